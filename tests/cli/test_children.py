"""What git, the Salesforce CLI and a browser are given, in every command that starts them: nothing that a tree, an
org file or we ourselves keep a credential in, and no address that another user of the machine could go to."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import trees
from check import ground
from commandline import ROOT, Ended, ecapipe
from fakes.salesforce_cli import StandIn, login
from fakes.scene import staged
from loopback import free_port

HOOK = """import os, sys

STARTS = ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system", "os.fork", "os.forkpty")

def note(event, arguments):
    if event in STARTS:
        # Without an environment of its own a child gets all of ours.
        env = arguments[-1] if event in ("subprocess.Popen", "os.posix_spawn", "os.exec") else None
        variables = dict(os.environ if env is None else env)
        program = os.path.basename(os.fsdecode(arguments[0])) if arguments else event
        with open({told!r} + f"/started-{{os.getpid()}}-{{len(os.listdir({told!r}))}}", "w") as file:
            words = "WORDS=" + repr(arguments[1:-1])
            print("PROGRAM=" + program, words, *map("=".join, variables.items()), sep="\\n", file=file)

sys.addaudithook(note)
"""
"""Python's own word of every child that anybody starts in it, libraries included."""
BROWSER = """#!{python}
import os, sys
with open({told!r} + f"/browser-{{os.getpid()}}", "w") as file:
    print("WORDS=" + repr(sys.argv), *map("=".join, os.environ.items()), sep="\\n", file=file)
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
from ecapipe.emulator.visitor import visit
from fakes.browser import sign_in
# Nobody looks at the page for several logins.
sign_in(sys.argv[1], lambda link: visit(link, *{login!r}, None) if "/services/" in link else sys.exit())
"""
GIT = """#!/bin/sh
{{ echo "WORDS=$*"; env; }} > {told}/git-$$
PATH=/usr/local/bin:/usr/bin:/bin exec git "$@"
"""

OF_THE_TREE = ("ORG_SECRET", "IDLE_SECRET", "REPLACED_KEY", "LABEL_TOKEN")
OF_IDLE = ("LATE_SECRET",)
"""What the tree of an org names that nobody chose; it is known where the Salesforce CLI is asked for orgs."""
OF_ROWS = ("ROW_SECRET",)
OURS = ("ECAPIPE_CLIENT_SECRET", "ECAPIPE_CLIENT_ID_ROBOT", "ECAPIPE_JWT_KEY_PASSPHRASE")
NEEDED = {"HOME", "PATH", "LANG"}


@dataclass(frozen=True)
class Watch:
    """A committed project whose configuration names variables, an org, and programs that tell what they are given."""

    home: Path
    project: Path
    told: Path
    sf: StandIn
    url: str

    def run(self, *words: str, at: Path | None = None) -> Ended:
        canaries = {
            spelt: f"canary-in-{spelt.lower().replace('_', '-')}"
            for name in (*OF_THE_TREE, *OF_IDLE, *OF_ROWS, *OURS)
            for spelt in (name, f"{name}_FILE")
        }
        variables = {
            **canaries,
            "HOME": str(self.home),
            "PATH": f"{self.told / 'bin'}:{self.sf.folder}:/usr/local/bin:/usr/bin:/bin",
            "BROWSER": str(self.told / "bin/browser"),
            "ORDINARY": "kept",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        return ecapipe(*words, at=at or self.project, **variables, PYTHONPATH=f"{self.told / 'hook'}:{ROOT}")

    def started(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The same, but only what Python says: libraries, too, start programs."""
        for program, variables in self.given():
            if program == "started":
                yield variables["PROGRAM"], variables

    def given(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Each program that was started, with its environment: as it says itself, and as Python says."""
        for file in self.told.glob("*-*"):
            lines = [line.partition("=") for line in file.read_text().splitlines()]
            yield file.name.partition("-")[0], {name: value for name, _, value in lines}
        yield from (("sf", {**call.env, "WORDS": repr(call.argv)}) for call in self.sf.calls)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    home = tmp_path_factory.mktemp("children")
    port = free_port()
    with staged(home / "project", port) as scene:
        told = home / "told"
        trees.plant(
            home,
            {
                "told/bin/browser": BROWSER.format(
                    python=sys.executable, told=str(told), root=str(ROOT), login=scene.emulator.login("uat")
                ),
                "told/bin/git": GIT.format(told=told),
                "told/hook/sitecustomize.py": HOOK.format(told=str(told)),
                "orgs.csv": f"alias,url,secretEnv\nrow,{scene.url},ROW_SECRET\nknown,,ROW_SECRET\n",
            },
        )
        for program in (told / "bin").iterdir():
            program.chmod(0o755)
        my_domain = "https://acme.my.salesforce.com"
        late = {"filename": "Late.xml", "stringToReplace": "x", "replaceWithEnv": "LATE_SECRET"}
        trees.plant(home, {f"project/late/{path}": text for path, text in trees.project(replacements=[late]).items()})
        trees.plant(home / "project/late", trees.app("Batch"))
        entries = [
            {"glob": "**/*.labels-meta.xml", "stringToReplace": "x", "replaceWithEnv": "LABEL_TOKEN"},
            {"glob": "**/Robot*", "stringToReplace": trees.key("Robot"), "replaceWithEnv": "REPLACED_KEY"},
        ]
        configured = {
            "mine": {"url": my_domain, "secretEnv": "ORG_SECRET"},
            "idle": {"url": my_domain, "secretEnv": "IDLE_SECRET", "sourceDir": "late"},
        }
        trees.plant(home / "project", trees.project(replacements=entries, plugins={"ecapipe": {"orgs": configured}}))
        ground.ready(home / "project", ground.committed())
        sf = StandIn(home / "sf")
        sf.keeps(login("known", url=scene.url), login("acme", url=my_domain))
        sf.says("project retrieve start")
        yield Watch(home, home / "project", told, sf, scene.url)


@pytest.fixture
def watch(place: Watch) -> Watch:
    for record in (*place.told.glob("*-*"), *place.sf.folder.glob("calls/*")):
        record.unlink()
    return place


@pytest.mark.parametrize(
    ("command", "started"),
    [
        ("app list", set()),
        ("app list --credentials-dir late", set()),
        ("app set-secret Batch --store file", set()),
        ("app set-secret Batch", set()),
        ("app forget-secret Batch", set()),
        ("login list", set()),
        ("login refresh --all", set()),
        ("login display acme", set()),
        ("login logout acme", set()),
        ("runs list", set()),
        ("explain", set()),
        ("doctor --storage", set()),
        ("run --emulator -n Batch --save", set()),
        ("manifest", set()),
        ("app check", {"git"}),
        ("app check --for commit --history", {"git"}),
        ("app check --staged", {"git"}),
        ("app check --since HEAD", {"git"}),
        ("app protect --dry-run", {"git"}),
        ("doctor", {"git", "sf"}),
        ("app check --for deploy -o known", {"git", "sf"}),
        ("app probe -o known -n Batch", {"sf"}),
        ("run -o known -n Batch --dry-run --hand-over sf", {"sf"}),
        ("run -o known -n Batch --retrieve", {"sf"}),
        ("run -o uat={url} -n Listener --flow web --callback listen", {"browser"}),
        ("run -o uat={url} -n Listener -n Paster --board-port {port} --wait 0.02", {"browser"}),
        ("run -f {home}/orgs.csv -n Batch", {"sf"}),  # known, too, is a row of it,
    ],
)
def test_no_child_is_given_a_credential(watch: Watch, command: str, started: set[str]) -> None:
    ended = watch.run(*command.format(url=watch.url, home=watch.home, port=free_port()).split(), "--json")
    assert ended.status in (0, 1, 2, 69), ended
    shown = re.findall(r"http://127\.0\.0\.1:\d+/([\w-]{20,})", ended.err)
    assert bool(shown) == ("Paster" in command)
    children = list(watch.given())
    assert {program for program, _ in children} - {"started"} == started, ended
    interpreter = Path(sys.executable).name  # opens the browser
    assert {program for program, _ in watch.started()} <= {"git", "sf", interpreter}
    named = {
        *OF_THE_TREE,
        *OURS,
        *(OF_ROWS if "orgs.csv" in command else ()),
        *(OF_IDLE if "sf" in started and command != "doctor" else ()),
    }
    for program, variables in children:
        assert not [name for name in variables if name.removesuffix("_FILE") in named], program
        assert not [name for name in variables if name.startswith("ECAPIPE_")], program
        assert NEEDED <= variables.keys(), program
        assert not [word for word in (*shown, "canary", "state=", "/oauth2/") if word in variables["WORDS"]], program
        program = variables.get("PROGRAM", program)
        assert ("ORDINARY" in variables) == (program != "git"), "the watchers are given what others are"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("app list", 0),
        ("app protect --dry-run", 0),
        ("manifest", 0),
        ("doctor", 0),
        ("app check", 1),
        ("run -o https://acme.my.salesforce.com", 2),
        ("run -o https://acme.my.salesforce.com --retrieve", 2),
        ("app probe -o https://acme.my.salesforce.com", 2),
    ],
)
@pytest.mark.parametrize("named", ["org", "replacement"])
def test_a_tree_that_names_what_programs_need_is_looked_at_and_not_used(
    watch: Watch, named: str, command: str, status: int, tmp_path: Path
) -> None:
    orgs = {"uat": {"url": "https://acme.my.salesforce.com", "secretEnv": "HOME"}}
    entry = {"glob": "**/*", "stringToReplace": "@@S@@", "replaceWithEnv": "HOME"}
    members = {"plugins": {"ecapipe": {"orgs": orgs}}} if named == "org" else {"replacements": [entry]}
    trees.plant(tmp_path, trees.project(**members) | trees.app(settings={"consumerSecret": "@@S@@"}))
    ended = watch.run(*command.split(), "--json", at=tmp_path)
    assert ended.status == status, ended
    assert all(str(watch.home) == variables["HOME"] for _, variables in watch.given())
    document = ended.document
    if status == 2:
        assert document["name"] == "VariableReserved"
        assert len(document["actions"]) == 1
    elif command == "app list":
        assert [warning for warning in document["warnings"] if "HOME: other programs need" in warning]
    elif command == "app check":
        assert "variable-reserved" in {each["rule"] for each in ended.result["findings"]}


@pytest.mark.parametrize(
    ("broken", "command"),
    [
        ({"packageDirectories": [{"path": "nowhere"}]}, "doctor"),
        ({"packageDirectories": 5}, "doctor"),
        ({"rules": {"no-such-rule": "off"}}, "doctor"),
        ({}, "doctor --no-project-config"),
        ({}, "run -o known --dry-run --no-project-config"),
    ],
)
def test_what_a_tree_names_is_withheld_though_the_tree_is_refused_or_not_trusted(
    watch: Watch, broken: dict[str, object], command: str, tmp_path: Path
) -> None:
    plugin = {"orgs": {"uat": {"url": watch.url, "secretEnv": "ORG_SECRET"}}, "rules": broken.get("rules", {})}
    entry = {"glob": "**/*", "stringToReplace": "@@S@@", "replaceWithEnv": "REPLACED_KEY"}
    trees.plant(tmp_path, trees.project() | trees.app("Billing"))
    members = {"packageDirectories": [{"path": "force-app"}], "replacements": [entry], "plugins": {"ecapipe": plugin}}
    (tmp_path / "sfdx-project.json").write_text(json.dumps(members | broken))
    watch.run(*command.split(), at=tmp_path)
    children = list(watch.given())
    assert "sf" in {program for program, _ in children}
    for program, variables in children:
        assert not {name.removesuffix("_FILE") for name in variables} & {"ORG_SECRET", "REPLACED_KEY"}, program
