"""Two trees with an app of one name: one tree per org is a usual way to hold apps, and nothing mixes them up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from commandline import Ended, inside
from fakes.batch import project

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.cli.emulator import registered
from ecapipe.emulator.server import Emulator
from ecapipe.project.discovery import ProjectSelection
from ecapipe.render.reports import FORMATS

APP = "Nightly_Reports"
MISSING = "ConsumerSecretMissing"
TURNED = pytest.mark.parametrize("turned", [False, True])


@pytest.fixture
def at(tmp_path: Path) -> Path:
    """A repository with trees a and b, each with the same app."""
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    for name in "ab":
        project(repository / name, APP)
    return repository


@pytest.fixture
def orgs(at: Path) -> Iterator[Emulator]:
    """The orgs of both; the secret of the app in a is missing."""
    apps = registered(ProjectSelection((str(at / "b"),)), composition.real_world(Environment({})))
    (settings,) = (at / "a").rglob("*.ecaGlblOauth-meta.xml")
    text = settings.read_text(encoding="utf-8")
    before, _, rest = text.partition("<consumerSecret>")
    settings.write_text(before + rest.partition("</consumerSecret>")[2], encoding="utf-8")
    with Emulator(apps, orgs=("a", "b")) as emulator:
        yield emulator


def run(orgs: Emulator, at: Path, *more: str, turned: bool) -> Ended:
    rows = [f"{name},{orgs.urls[name]},repository/{name}" for name in "ab"]
    # Outside of the repository: what lies in it may not name these addresses.
    (at.parent / "orgs.csv").write_text("\n".join(["alias,url,sourceDir", *(reversed(rows) if turned else rows)]))
    return inside("run", "-f", "../orgs.csv", *more, at=at, ECAPIPE_STATE_DIR=str(at / "state"))


def accounts(at: Path) -> dict[str, str]:
    return {format: (at / f"report.{format}").read_text(encoding="utf-8") for format in FORMATS}


def reporting() -> list[str]:
    return [word for format in FORMATS for word in ("--report", f"{format}=report.{format}")]


def check_reports(at: Path) -> None:
    """Every format tells of one failure, in the tree a, and of the one login."""
    told = accounts(at)
    suites = ElementTree.fromstring(told["junit"])
    assert (suites.get("failures"), [s.get("name") for s in suites if s.get("failures") == "1"]) == (
        "1",
        [f"{APP} (a)"],
    )
    (result,) = [each for each in json.loads(told["sarif"])["runs"][0]["results"] if each["level"] == "error"]
    assert result["ruleId"] == MISSING
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].startswith("a/")
    (issue,) = [each for each in json.loads(told["gitlab"]) if each["severity"] == "major"]
    assert (issue["check_name"], issue["location"]["path"].partition("/")[0]) == (MISSING, "a")
    for page in (told["html"], told["markdown"]):
        assert MISSING in page
        assert f"{APP} (a)" in page
    assert f"{APP} (b)" in told["html"]
    assert f"`{APP}@b`" in told["markdown"], "what succeeded is a line only as a login"
    (failure,) = json.loads(told["json"])["result"]["failures"]
    assert (failure["project"], failure["app"], failure["org"], failure["name"]) == ("a", APP, None, MISSING)


@TURNED
def test_every_account_of_a_run_tells_the_trees_apart(orgs: Emulator, at: Path, turned: bool) -> None:
    ended = run(orgs, at, "--json", *reporting(), turned=turned)
    assert ended.status == 68, ended
    result = ended.result
    assert [success["project"] for success in result["successes"]] == ["b"]
    assert {(stage["project"], stage["app"]) for stage in result["stages"]} == {(None, None), ("a", APP), ("b", APP)}
    assert {(app["project"], app["name"]) for app in result["apps"]} == {("a", APP), ("b", APP)}
    check_reports(at)


@TURNED
def test_the_record_of_a_run_tells_the_trees_apart(orgs: Emulator, at: Path, turned: bool) -> None:
    before = run(orgs, at, "--json", turned=turned).result
    here = {"at": at, "ECAPIPE_STATE_DIR": str(at / "state")}
    listed = inside("runs", "list", COLUMNS="300", **here).out  # type: ignore[arg-type]
    assert re.search(r" Partial Success +1 of 2 +1 ", listed)
    shown = inside("runs", "show", **here).out  # type: ignore[arg-type]
    assert "2 planned, 1 done, 1 failed, 0 skipped, 0 left" in shown
    assert f"{APP} (a): failed: {MISSING}: " in shown
    assert f"{APP}@a: failed: {MISSING}\n" in shown
    again = inside("runs", "show", "--json", **here).result["result"]  # type: ignore[arg-type]
    assert again == before


@TURNED
def test_merged_results_tell_the_trees_apart(orgs: Emulator, at: Path, turned: bool) -> None:
    before = run(orgs, at, "--json", turned=turned)
    (at / "result.json").write_text(json.dumps(before.document))
    ended = inside("report", "merge", "result.json", "--json", *reporting(), at=at)
    assert ended.status == 68
    assert ended.result == before.result
    check_reports(at)


@TURNED
def test_what_is_resumed_is_the_login_of_the_tree_that_failed(orgs: Emulator, at: Path, turned: bool) -> None:
    name = run(orgs, at, "--json", turned=turned).result["run"]
    ended = run(orgs, at, "--resume", name, "--json", turned=turned)
    assert ended.status == 68
    # One login was not done again: the trees that the record names are those of this run.
    assert [asked.org for asked in orgs.requests if asked.path.endswith("/oauth2/token")] == ["b"]
    assert ended.result["stages"][0]["facts"]["takenOver"] == 1


def test_app_list_tells_the_trees_apart(orgs: Emulator, at: Path) -> None:
    listed = inside("app", "list", "-d", "a", "-d", "b", at=at)
    headings = [line for line in listed.out.splitlines() if line.startswith(f"{APP} (")]
    assert headings == [f"{APP} (a)", f"{APP} (b)"]
