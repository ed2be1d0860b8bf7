"""Machines that share a batch: each login is done by one of them, and their results come to one."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trees
import yaml
from check import ground
from check.ground import committed
from commandline import ROOT, Ended, environment, inside, together
from fakes.batch import Batch, batch

from ecapipe.emulator.faults import Fault

ORGS = tuple(f"org{number}" for number in range(8))
EXAMPLES = ROOT / ".github/examples"


@pytest.fixture
def orgs(tmp_path: Path) -> Iterator[Batch]:
    """Eight orgs, of which one refuses."""
    fault = Fault("/services/oauth2/token", {"status": 400}, "org3")
    with batch(tmp_path / "project", ORGS, [fault]) as made:
        yield made


def listed(orgs: Batch, folder: Path, *, turned: bool = False) -> None:
    """The orgs in a batch file, in one order or the other."""
    rows = [f"{name},{url}" for name, url in orgs.emulator.urls.items()]
    text = "\n".join(["alias,url", *(reversed(rows) if turned else rows)])
    (folder / "orgs.csv").write_text(text, encoding="utf-8")


def targets(ended: Ended) -> set[str]:
    return {stage["org"] for stage in ended.result["stages"] if stage["org"]}


def test_shards_are_disjoint_complete_and_the_same_in_any_order(orgs: Batch, tmp_path: Path) -> None:
    listed(orgs, tmp_path)
    command = ["run", "-d", str(orgs.root), "-f", "orgs.csv", "--json"]
    parts = [inside(*command, "--shard", f"{k}/3", at=tmp_path) for k in (1, 2, 3)]
    sets = [targets(part) for part in parts]
    assert sorted(org for part in sets for org in part) == sorted(ORGS)
    listed(orgs, tmp_path, turned=True)
    for number, part in enumerate(sets, 1):
        again = inside(*command, "--shard", f"{number}/3", at=tmp_path)
        assert targets(again) == part
        assert again.result["stages"][0]["facts"]["shard"] == f"{number}/3"
        assert set(again.result["stages"][0]["facts"]["orgs"]) == part, "what is not meant does not appear"


def test_results_of_shards_come_to_what_one_run_would_have(orgs: Batch, tmp_path: Path) -> None:
    listed(orgs, tmp_path)
    command = ["run", "-d", str(orgs.root), "-f", "orgs.csv", "--json"]
    commands = [[*command, "--shard", f"{k}/4", "--report", f"json=shard-{k}.json"] for k in (1, 2, 3, 4)]
    parts = together(commands, tmp_path)
    assert orgs.tokens() == dict.fromkeys(ORGS, 1)
    names = [f"shard-{k}.json" for k in (1, 2, 3, 4)]
    formats = ("bitbucket", "gitlab", "html", "json", "junit", "markdown", "sarif")
    reports = [word for each in formats for word in ("--report", f"{each}=all.{each}")]
    merged = inside("report", "merge", *names, "--json", *reports, at=tmp_path)
    whole = inside(*command, at=tmp_path)
    assert merged.status == whole.status == 68
    for member in ("successes", "failures"):
        unlike = ("at", "userId")
        told = [
            sorted(json.dumps({k: v for k, v in each.items() if k not in unlike}) for each in ended.result[member])
            for ended in (merged, whole)
        ]
        assert told[0] == told[1]
    assert targets(merged) == set(ORGS)
    assert sum(len(part.result["successes"]) for part in parts) == 7
    assert json.loads((tmp_path / "all.json").read_text())["result"] == merged.result
    assert len(list(ElementTree.parse(tmp_path / "all.junit").iter("failure"))) == 1
    assert json.loads((tmp_path / "all.sarif").read_text())["runs"][0]["results"]
    for each in formats:
        assert (tmp_path / f"all.{each}").stat().st_size > 0
    again = inside("report", "merge", "all.json", "--json", at=tmp_path)
    assert again.result["successes"] == merged.result["successes"], "what was put together can be so again"


def test_a_merged_result_is_gone_on_with(orgs: Batch, tmp_path: Path) -> None:
    listed(orgs, tmp_path)
    command = ["run", "-d", str(orgs.root), "-f", "orgs.csv"]
    for k in (1, 2):
        inside(*command, "--shard", f"{k}/2", "--report", f"json=shard-{k}.json", at=tmp_path)
    inside("report", "merge", "shard-1.json", "shard-2.json", "--report", "json=all.json", at=tmp_path)
    ended = inside(*command, "--resume", "all.json", "--json", at=tmp_path)
    assert len(ended.result["successes"]) == 7
    assert orgs.tokens() == {**dict.fromkeys(ORGS, 1), "org3": 2}


def test_nothing_in_a_shard_is_a_success_of_nothing(orgs: Batch, tmp_path: Path) -> None:
    command = [*orgs.run("org0"), "--json"]
    parts = [inside(*command, "--shard", f"{k}/2", at=tmp_path) for k in (1, 2)]
    assert [part.status for part in parts] == [0, 0]
    (empty,) = [part.result for part in parts if not part.result["successes"]]
    assert [stage["stage"] for stage in empty["stages"]] == ["discover"]
    assert (empty["apps"], empty["failures"]) == ([], [])
    assert orgs.tokens() == {"org0": 1}


@pytest.mark.parametrize("value", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"])
def test_a_shard_that_cannot_be_is_refused(orgs: Batch, tmp_path: Path, value: str) -> None:
    ended = inside(*orgs.run("org0"), f"--shard={value}", "--json", at=tmp_path)
    assert (ended.status, ended.document["name"]) == (2, "UsageError")
    assert "K/N" in ended.document["message"]
    assert orgs.asked() == {}


def test_a_shard_of_what_has_no_logins_is_refused(orgs: Batch, tmp_path: Path) -> None:
    assert inside(*orgs.run("org0"), "--shard", "1/2", "--until", "check", at=tmp_path).status == 2


# --- putting together -------------------------------------------------------------------------------------------


def test_a_missing_shard_is_a_failure(orgs: Batch, tmp_path: Path) -> None:
    listed(orgs, tmp_path)
    command = ["run", "-d", str(orgs.root), "-f", "orgs.csv"]
    inside(*command, "--shard", "1/2", "--report", "json=one.json", at=tmp_path)
    ended = inside("report", "merge", "one.json", "--json", "--report", "junit=all.xml", at=tmp_path)
    assert ended.status == 68
    assert ended.result["failures"][0]["name"] == "ShardsMissing"
    assert "2/2" in ended.result["failures"][0]["message"]
    assert "ShardsMissing" in (tmp_path / "all.xml").read_text()


def test_results_that_are_none_are_refused(orgs: Batch, tmp_path: Path) -> None:
    inside(*orgs.run("org0"), "--report", "json=good.json", at=tmp_path)
    (tmp_path / "bad.json").write_text("{]")
    for file, name in (("bad.json", "MalformedResult"), ("missing.json", "FileNotFound")):
        ended = inside("report", "merge", "good.json", file, "--json", at=tmp_path)
        assert (ended.status, ended.document["name"], ended.document["commandName"]) == (
            2,
            name,
            "ecapipe report merge",
        )
        assert file in ended.document["message"]
    (tmp_path / "folder").mkdir()
    assert inside("report", "merge", "folder", at=tmp_path).status == 2
    assert inside("report", "merge", at=tmp_path).status == 2


def test_runs_that_could_not_do_their_work_come_to_that(tmp_path: Path, orgs: Batch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/sfdx-project.json").write_text('{"packageDirectories": [{"path": "."}]}')
    lost = inside("run", "-d", "empty", "-o", orgs.emulator.urls["org0"], "--json", at=tmp_path)
    assert lost.status == 1
    (tmp_path / "lost.json").write_text(lost.out)
    ended = inside("report", "merge", "lost.json", "--json", at=tmp_path)
    assert (ended.status, ended.document["name"]) == (1, "NoAppsFound")
    inside(*orgs.run("org0"), "--report", "json=good.json", at=tmp_path)
    ended = inside("report", "merge", "lost.json", "good.json", "--json", at=tmp_path)
    assert (ended.status, ended.result["failures"][0]["name"]) == (68, "NoAppsFound")


def test_hostile_results_do_no_harm(orgs: Batch, tmp_path: Path) -> None:
    document = inside(*orgs.run("org0", "org3"), "--json", at=tmp_path).document
    text = json.dumps(document).replace("org3", "::error::\\u001b[2J<script>\\u202e")
    text = text.replace("UnexpectedAnswer", "Bad\\n::error::x\\u001b[31m<script>")
    (tmp_path / "bad.json").write_text(text)
    formats = ("html", "junit", "markdown")
    reports = [word for each in formats for word in ("--report", f"{each}=all.{each}")]
    ended = inside("report", "merge", "bad.json", *reports, at=tmp_path, GITHUB_ACTIONS="true")
    assert ended.status == 68
    shown = [ended.out, ended.err, *((tmp_path / f"all.{each}").read_text() for each in formats)]
    for each in shown:
        assert "\x1b" not in each
        assert "\u202e" not in each
    assert "<script>" not in shown[2]
    assert not any(line.startswith("::error::") for line in (ended.out + ended.err).splitlines())
    assert ElementTree.fromstring(shown[3]) is not None
    (tmp_path / "bare.json").write_text(json.dumps(document["result"] | {"stages": []}))
    assert inside("report", "merge", "bare.json", at=tmp_path).status in (0, 1, 68)
    bad = {"name": "Bad\n::error::x", "message": "m", "exitCode": 300, "actions": []}
    (tmp_path / "none.json").write_text(json.dumps(bad))
    ended = inside("report", "merge", "none.json", at=tmp_path)
    assert (ended.status, "Error (Baderrorx)" in ended.err) == (1, True)


# --- the examples that people copy ------------------------------------------------------------------------------


@pytest.fixture
def clone(orgs: Batch, tmp_path: Path) -> Path:
    """A fresh clone of the project as app protect keeps it: the app is there, its key and secret are not."""
    ground.git(orgs.root, "init", "--quiet")
    assert inside("app", "protect", at=orgs.root).status == 0
    ground.ready(orgs.root, committed())
    ground.git(tmp_path, "clone", "--quiet", "project", "clone")
    assert not [*(tmp_path / "clone").rglob("*.ecaGlblOauth-meta.xml")]
    listed(orgs, tmp_path / "clone")
    return tmp_path / "clone"


PAIR = {"ECAPIPE_CLIENT_ID_BATCH": trees.key("Batch"), "ECAPIPE_CLIENT_SECRET_BATCH": trees.secret("Batch")}


def bash(script: str, at: Path, **variables: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        cwd=at,
        env=environment(at, ECAPIPE_ALLOWED_HOSTS="localhost", **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder as an environment of Python that ecapipe is installed in."""
    made = tmp_path / "ecapipe/bin/ecapipe"
    made.parent.mkdir(parents=True)
    made.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ecapipe "$@"\n')
    made.chmod(0o755)
    return tmp_path


def ended(processes: list[subprocess.Popen[bytes]]) -> list[int]:
    for process in processes:
        process.communicate(timeout=60)
    return [process.returncode for process in processes]


def came_together(orgs: Batch, at: Path, shards: list[int], merging: subprocess.Popen[bytes]) -> None:
    said = merging.communicate(timeout=60)[0].decode()
    assert merging.returncode == 68, said
    assert set(shards) <= {0, 1, 68}
    assert orgs.tokens() == dict.fromkeys(ORGS, 1)
    result = json.loads((at / "ecapipe.json").read_text())["result"]
    assert {success["org"] for success in result["successes"]} == set(ORGS) - {"org3"}
    assert {failure["org"] for failure in result["failures"]} == {"org3"}
    assert len(list(ElementTree.parse(at / "ecapipe.xml").iter("failure"))) == 1


def test_the_example_for_github_works(orgs: Batch, clone: Path, program: Path) -> None:
    jobs: dict[str, Any] = yaml.safe_load((EXAMPLES / "github-batch.yml").read_text())["jobs"]
    (step,) = [each for each in jobs["authorize"]["steps"] if "--shard" in each.get("run", "")]
    assert {name.replace("NIGHTLY_REPORTS", "BATCH") for name in step["env"]} == {*PAIR, "SHARD", "SHARDS"}
    numbers = jobs["authorize"]["strategy"]["matrix"]["shard"]
    given = {"RUNNER_TEMP": str(program), "SHARDS": str(len(numbers))}
    shards = [bash(step["run"], clone, SHARD=str(number), **given, **PAIR) for number in numbers]
    statuses = ended(shards)
    (script,) = [each["run"] for each in jobs["result"]["steps"] if "report merge" in each.get("run", "")]
    came_together(orgs, clone, statuses, bash(script, clone, **given))


def test_the_example_for_gitlab_works(orgs: Batch, clone: Path, program: Path) -> None:
    jobs: dict[str, Any] = yaml.safe_load((EXAMPLES / "gitlab-batch.yml").read_text())
    here = os.path.join(program, "ecapipe")

    def script(job: str) -> str:
        return "\n".join(jobs[job]["script"]).replace("/opt/ecapipe", here)

    count = jobs["authorize-orgs"]["parallel"]
    shards = [
        bash(script("authorize-orgs"), clone, CI_NODE_INDEX=str(k), CI_NODE_TOTAL=str(count), **PAIR)
        for k in range(1, count + 1)
    ]
    statuses = ended(shards)
    came_together(orgs, clone, statuses, bash(script("authorized-orgs"), clone))


def test_no_artifact_of_the_examples_holds_more_than_results() -> None:
    jobs = yaml.safe_load((EXAMPLES / "github-batch.yml").read_text())["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    kept = [step["with"]["path"] for step in steps]
    gitlab = yaml.safe_load((EXAMPLES / "gitlab-batch.yml").read_text())
    for job in ("authorize-orgs", "authorized-orgs"):
        kept += [*gitlab[job]["artifacts"]["paths"], *gitlab[job]["artifacts"].get("reports", {}).values()]
    assert set(kept) == {"shard-*.json", "ecapipe.*", "ecapipe.json", "ecapipe.html", "ecapipe.xml"}
