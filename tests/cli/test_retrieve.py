"""``run --retrieve``: the apps of several orgs, each in a tree of its own, brought by a stand-in for sf."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trees
from commandline import ROOT, Ended, ecapipe, started
from fakes.orgs import registered
from fakes.salesforce_cli import Call, StandIn, login
from render.test_json_schemas import strict

from ecapipe.documents.shards import Shard
from ecapipe.emulator.server import Emulator
from ecapipe.events import Subject

ORGS = tuple(f"org{number}" for number in range(1, 13))
RETRIEVE = "project retrieve start"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def pair(org: str) -> dict[str, str]:
    return {"consumerKey": trees.key(f"Robot of {org}"), "consumerSecret": trees.secret(f"Robot of {org}")}


def brought(org: str, *apps: str) -> dict[str, str]:
    """The files that a retrieve from `org` leaves, relative to its project: the keys are that org's own."""
    files: dict[str, str] = {}
    for app in apps or ("Robot",):
        files |= {path: str(text) for path, text in trees.robot(app, settings=pair(org)).items()}
    return files


@dataclass
class Scene:
    """Orgs with a key and secret of their own each, and a stand-in that brings their apps; `home` is where the user
    stands, in a project without apps."""

    home: Path
    urls: dict[str, str]
    sf: StandIn

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def retrieves(self) -> list[Call]:
        return [call for call in self.sf.calls if call.command == RETRIEVE]

    def bring(self, **by_org: dict[str, Any]) -> None:
        """Let a retrieve from each org bring its app, or do as told."""
        answers = {name: {"files": brought(name)} for name in ORGS} | by_org
        self.sf.says(RETRIEVE, by={f"--target-org={name}@acme.example": answers[name] for name in answers})

    def table(self, names: tuple[str, ...] = ORGS, **columns: str) -> str:
        """An org file; a value of `columns` may hold ``{}``, for the alias."""
        lines = [",".join(("alias", "url", *columns))]
        lines += [
            ",".join((each, self.urls[each], *(text.format(each) for text in columns.values()))) for each in names
        ]
        (self.home / "orgs.csv").write_text("\n".join(lines), encoding="utf-8")
        return "orgs.csv"

    def words(self) -> dict[str, Any]:
        """Where a command runs, and its variables. The home is not the project: what sf knows is the user's word."""
        variables = {"PATH": f"{self.sf.folder}:/usr/bin:/bin", "HOME": str(self.home / "user")}
        return {"at": self.home / "project", "ECAPIPE_STATE_DIR": str(self.state), **variables}

    def run(self, *words: str) -> Ended:
        return ecapipe("run", "--retrieve", *words, **self.words())


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    yield from staged(tmp_path)


def staged(tmp_path: Path) -> Iterator[Scene]:
    trees.plant(tmp_path / "project", trees.project(sourceApiVersion="58.0"))
    sf = StandIn(tmp_path / "bin")
    with ExitStack() as stack:
        urls = {}
        for name in ORGS:
            folder = trees.plant(tmp_path / "orgs" / name, trees.project() | trees.robot(settings=pair(name)))
            urls[name] = stack.enter_context(Emulator(registered(folder), orgs=[name])).urls[name]
        sf.keeps(*(login(name, url=url) for name, url in urls.items()))
        scene = Scene(tmp_path, urls, sf)
        scene.bring()
        yield scene


def test_twelve_orgs_are_logged_in_to_with_what_was_retrieved_from_each(scene: Scene) -> None:
    ended = scene.run("--file", f"../{scene.table()}", "--json")
    assert ended.status == 0, ended
    strict("run").validate(ended.document)
    assert [(each["org"], each["project"]) for each in ended.result["successes"]] == [
        (name, f"org:{name}") for name in ORGS
    ]
    assert {app["project"] for app in ended.result["apps"]} == {f"org:{name}" for name in ORGS}
    assert {org["sourceDir"] for org in ended.result["orgs"]} == {None}
    folders = {call.cwd for call in scene.retrieves}
    assert len(folders) == 12
    for line in ended.err.splitlines():
        assert str(scene.state) not in line
    assert all(folder.startswith(f"{scene.state}/") for folder in folders)
    # Nothing of it is left, and nothing has come into the user's project.
    assert not any(map(os.path.exists, folders))
    assert not list((scene.state / "retrieved").iterdir())
    assert [path.name for path in (scene.home / "project").rglob("*") if path.is_file()] == ["sfdx-project.json"]


def test_the_recipe_of_the_readme_works_as_printed(scene: Scene) -> None:
    block = re.search(r"```sh\n(ecapipe app list --variables --file orgs.csv\n.*?)```", README, re.DOTALL)
    assert block is not None
    variables, retrieve, resume = (shlex.split(line)[1:] for line in block[1].splitlines())
    place = scene.words()
    # In a repository that app protect keeps clean: the app is there, its key and secret are not.
    kept = {path: text for path, text in trees.robot().items() if "Global" not in path and "Glbl" not in path}
    trees.plant(place["at"], kept)
    (place["at"] / "orgs.csv").write_text("\n".join(["alias", *ORGS]), encoding="utf-8")
    listed = ecapipe(*variables, **place)
    assert (listed.status, all(f"ECAPIPE_CLIENT_SECRET_ROBOT_{org.upper()}" in listed.out for org in ORGS)) == (
        0,
        True,
    )
    place |= {"ECAPIPE_ALLOWED_HOSTS": "localhost"}
    # One org does not bring its secret, as is usual.
    scene.bring(
        org5={
            "files": {
                path: text.replace(pair("org5")["consumerSecret"], "") for path, text in brought("org5").items()
            }
        }
    )
    first = ecapipe(*retrieve, **place)
    assert first.status == 68
    again = ecapipe(*resume, **place, ECAPIPE_CLIENT_SECRET_ROBOT_ORG5=pair("org5")["consumerSecret"])
    assert again.status == 0, again


def test_what_is_retrieved_is_private_in_a_project_of_its_own_and_new_enough(scene: Scene, tmp_path: Path) -> None:
    program = scene.sf.folder / "sf"
    note = (
        'import os, pathlib, stat, json\nif "retrieve" in __import__("sys").argv:\n'
        '    text = pathlib.Path("sfdx-project.json").read_text()\n'
        '    above = [stat.S_IMODE(os.stat(each).st_mode) for each in ("..", "../..")]\n'
        f'    pathlib.Path("{tmp_path}", "seen-" + str(os.getpid())).write_text(json.dumps([text, above]))\n'
    )
    first, _, rest = program.read_text().partition("\n")
    program.write_text(f"{first}\n{note}{rest}", encoding="utf-8")
    assert scene.run("-o", f"org1={scene.urls['org1']}", "-o", "org2").status == 0
    seen = [json.loads(path.read_text()) for path in tmp_path.glob("seen-*")]
    assert len(seen) == 2
    for text, above in seen:
        assert float(json.loads(text)["sourceApiVersion"]) >= 60
        assert above == [0o700, 0o700]


def test_at_most_four_retrieves_run_at_a_time(scene: Scene) -> None:
    scene.bring(**{name: {"files": brought(name), "seconds": 0.3} for name in ORGS})
    assert scene.run("--file", f"../{scene.table()}").status == 0
    moments = [(call.start, 1) for call in scene.retrieves] + [(call.end, -1) for call in scene.retrieves]
    running = [sum(change for at, change in moments if at <= moment) for moment, _ in moments]
    assert max(running) == 4


@pytest.mark.parametrize("by", ["row", "flag"])
def test_a_shard_retrieves_only_from_orgs_that_its_logins_need(by: str, scene: Scene) -> None:
    names = ORGS[:3]
    selection = ["--file", f"../{scene.table(names, **({'apps': 'Robot'} if by == 'row' else {}))}"]
    selection += ["--name", "Robot"] if by == "flag" else []
    home = {
        number: [each for each in names if Shard(number, 7).holds(Subject("Robot", each))] for number in range(1, 8)
    }
    full = next(number for number, orgs in home.items() if orgs)
    empty = next(number for number, orgs in home.items() if not orgs)
    ended = scene.run(*selection, "--shard", f"{full}/7", "--json")
    assert (ended.status, [each["org"] for each in ended.result["successes"]]) == (0, home[full])
    assert len(scene.retrieves) == len(home[full])
    nothing = scene.run(*selection, "--shard", f"{empty}/7", "--json")
    assert (nothing.status, nothing.result["stages"][0]["outcome"]) == (0, "warning")
    assert len(scene.retrieves) == len(home[full])
    # What the orgs of this shard lack, those of another may have: it is a failure of these orgs.
    if by == "flag":
        scene.bring(**{org: {"files": brought(org, "Other")} for org in home[full]})
        lacking = scene.run(*selection, "--shard", f"{full}/7", "--json")
        assert {(each["org"], each["name"]) for each in lacking.result["failures"]} == {
            (org, "OrgWithoutApps") for org in home[full]
        }


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "refused": ({"status": 1, "err": "Error (1): INVALID_SESSION_ID: no.\n\n"}, "SfFailed"),
    "no app": ({"files": {}}, "OrgWithoutApps"),
    "unreadable": ({"files": {path: "<" for path in brought("org3")}}, "MalformedXml"),
}


@pytest.mark.parametrize(("answer", "name"), FAILURES.values(), ids=FAILURES.keys())
@pytest.mark.parametrize("form", ["lines", "json"])
def test_an_org_whose_retrieve_fails_is_one_failure(
    form: str, answer: dict[str, Any], name: str, scene: Scene
) -> None:
    scene.bring(org3=answer)
    ended = scene.run("--file", f"../{scene.table()}", *(["--json"] if form == "json" else []))
    assert ended.status == 68, ended
    if form == "json":
        (failure,) = ended.result["failures"]
        known = {key: failure[key] for key in ("project", "app", "org", "stage", "name")}
        assert known == {"project": "org:org3", "app": None, "org": "org3", "stage": "discover", "name": name}
        assert len(ended.result["successes"]) == 11
        strict("run").validate(ended.document)
    else:
        assert f"Error ({name}) org3: " in ended.err
        assert "11 succeeded, 1 failed" in ended.out


def without(files: dict[str, str], part: str) -> dict[str, str]:
    return {path: text for path, text in files.items() if part not in path}


AFTERWARDS: dict[str, tuple[dict[str, str], str]] = {
    "no settings file": (without(brought("org1"), "Glbl"), "SettingsNotRetrieved"),
    "no app": ({}, "OrgWithoutApps"),
    "another key": (
        {path: text.replace(pair("org1")["consumerKey"], trees.key("X")) for path, text in brought("org1").items()},
        "InvalidClientId",
    ),
    "no secret": (
        {path: text.replace(pair("org1")["consumerSecret"], "") for path, text in brought("org1").items()},
        "ConsumerSecretMissing",
    ),
}


@pytest.mark.parametrize("orgs", [1, 2])
@pytest.mark.parametrize("case", AFTERWARDS)
def test_what_was_just_retrieved_is_neither_said_to_be_missing_nor_advised(
    case: str, orgs: int, scene: Scene
) -> None:
    files, name = AFTERWARDS[case]
    scene.bring(org1={"files": files})
    ended = scene.run("-o", "org1", *(["-o", "org2"] if orgs == 2 else []), "--json")
    # Where the only retrieve brings nothing, there is no run.
    problem = ended.result["failures"][0] if "result" in ended.document else ended.document
    assert (ended.status, problem["name"]) == (1 if orgs == 1 else 68, name)
    text = " ".join((problem["message"], *problem["actions"]))
    for words in ("not retrieved", "kept out of git", "removed from the file", "Retrieve"):
        assert words not in text


def test_a_run_without_any_retrieve_that_works_has_failed(scene: Scene) -> None:
    scene.sf.says(RETRIEVE, "", "Error (1): no.\n\n", status=1)
    ended = scene.run("-o", "org1", "-o", "org2", "--json")
    assert (ended.status, ended.result["successes"]) == (1, [])
    assert [failure["org"] for failure in ended.result["failures"]] == ["org1", "org2"]


def test_an_app_that_one_org_lacks_is_a_failure_there(scene: Scene) -> None:
    scene.bring(org2={"files": brought("org2", "Other")})
    ended = scene.run("-o", "org1", "-o", "org2", "--name", "Robot", "--json")
    assert [(each["org"], each["name"]) for each in ended.result["failures"]] == [("org2", "OrgWithoutApps")]
    assert [each["org"] for each in ended.result["successes"]] == ["org1"]
    ended = scene.run("-o", "org1", "-o", "org2", "--name", "Rbot", "--json")
    assert (ended.status, ended.document["name"]) == (2, "UnknownApp")
    table = scene.table(("org1", "org2"), apps="Robot")
    ended = scene.run("-f", f"../{table}", "--json")
    assert [(each["org"], each["name"]) for each in ended.result["failures"]] == [("org2", "OrgWithoutApps")]


def test_a_source_dir_gets_the_files_where_they_lie(scene: Scene) -> None:
    trees.plant(
        scene.home / "trees/org1",
        {path.replace("force-app/main/default", "mine"): text for path, text in brought("old").items()},
    )
    trees.plant(scene.home / "trees/org2", trees.project())
    table = scene.table(("org1", "org2", "org3"), sourceDir="trees/{}")
    scene.bring(
        # sf writes a component where its project has it.
        org1={
            "files": {
                path.replace("force-app/main/default", "force-app/mine"): text
                for path, text in brought("org1").items()
            }
        }
    )
    ended = scene.run("-f", f"../{table}", "--json")
    assert [each["org"] for each in ended.result["successes"]] == ["org1", "org2", "org3"], ended
    assert scene.retrieves
    assert {call.cwd for call in scene.retrieves if not call.cwd.startswith(str(scene.state))} == {
        str(scene.home / "trees/org2")
    }
    assert (scene.home / "trees/org3/main/default").is_dir()
    assert len(list((scene.home / "trees/org1").rglob("*.ecaGlblOauth-meta.xml"))) == 1
    shared = scene.table(("org1", "org2"), sourceDir="trees/one")
    assert scene.run("-f", f"../{shared}", "--json").document["name"] == "NotOneSource"


@pytest.mark.parametrize("link", ["force-app", "force-app/main/default/externalClientApps", ".sf"])
@pytest.mark.parametrize("tree", ["project", "trees/org1"])
def test_nothing_is_retrieved_through_a_link_out_of_the_repository(scene: Scene, link: str, tree: str) -> None:
    """sf would follow it, and put secrets where the tree says."""
    (scene.home / "outside").mkdir()
    place = trees.plant(scene.home / tree, trees.project()) / link
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        shutil.rmtree(place)
    place.symlink_to(scene.home / "outside")
    columns = {} if tree == "project" else {"sourceDir": "trees/{}"}
    table = scene.table(("org1",), **columns)
    ended = scene.run("-f", f"../{table}", "--json")
    problem = ended.document if "name" in ended.document else ended.result["failures"][0]
    assert (ended.status, problem["name"], scene.retrieves) == (1, "LinkOutOfRepository", []), ended
    assert problem["message"].startswith(f"{link} is a link that leads outside the repository")


def test_an_interrupt_ends_all_retrieves_and_leaves_no_tree(scene: Scene) -> None:
    scene.bring(**{name: {"seconds": 60} for name in ORGS})
    with started("run", "--retrieve", "-f", f"../{scene.table()}", "--json", **scene.words()) as running:
        while not list(scene.state.glob("retrieved/*/4")):
            time.sleep(0.05)
        begun = time.monotonic()
        running.interrupt(signal.SIGTERM)
        ended = running.end()
    assert (ended.status, time.monotonic() - begun < 5) == (130, True)
    assert not list((scene.state / "retrieved").iterdir())


def test_what_a_killed_run_has_left_is_swept_by_the_next(scene: Scene) -> None:
    scene.bring(**{name: {"files": brought(name), "seconds": 2} for name in ORGS})
    with started("run", "--retrieve", "-f", f"../{scene.table()}", **scene.words()) as running:
        while not list(scene.state.glob("retrieved/*/4")):
            time.sleep(0.05)
        # One that is at work loses nothing to others.
        assert scene.run("-o", "org1", "-o", "org5", "--until", "discover", "--concise").status == 0
        assert list(scene.state.glob("retrieved/*/4"))
        running.interrupt(signal.SIGKILL)
        running.end()
    assert list(scene.state.glob("retrieved/*/4"))
    ecapipe("run", "--emulator", **scene.words())
    assert not list((scene.state / "retrieved").iterdir())


def test_it_is_resumed_without_what_succeeded(scene: Scene) -> None:
    scene.bring(org3={"status": 1, "err": "Error (1): no.\n\n"})
    first = scene.run("-f", f"../{scene.table()}", "--json", "--report", "json=../first.json")
    assert first.status == 68
    shown = ecapipe("runs", "show", **scene.words())
    assert "12 planned, 11 done, 1 failed" in shown.out
    scene.bring()
    again = ecapipe("run", "--resume", "--json", **scene.words())
    assert again.status == 0, again
    assert [each["org"] for each in again.result["successes"]] == list(ORGS)
    tokens = [stage for stage in again.result["stages"] if stage["stage"] == "token"]
    assert sum("recorded" not in stage["facts"] for stage in tokens) == 1
    (scene.home / "second.json").write_text(again.out, encoding="utf-8")
    merged = ecapipe("report", "merge", "../first.json", "../second.json", "--json", **scene.words())
    assert (merged.status, len(merged.result["successes"])) == (0, 12)


def test_reports_say_what_an_auditor_asks_for(scene: Scene) -> None:
    ci: dict[str, Any] = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SHA": "c0ffee",
        "GITHUB_REF_NAME": "release",
        "GITHUB_ACTOR": "ada",
    }
    reports = ("--report", "html=../run.html", "--report", "markdown=../run.md")
    ended = ecapipe("run", "--retrieve", "-o", "org1", "-o", "org2", *reports, **scene.words(), **ci)
    assert ended.status == 0, ended
    for name in ("run.html", "run.md"):
        text = (scene.home / name).read_text(encoding="utf-8")
        assert all(word in text for word in ("org:org1", "c0ffee", "release", "ada", "GitHub Actions", "ecapipe"))
