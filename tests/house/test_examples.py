"""Every example that help, README and guides print works as printed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from fakes import rotation, salesforce_cli
from fakes.orgs import emulated
from fakes.salesforce_cli import StandIn

from ecapipe.adapters.composition import SOURCES
from ecapipe.check.rules.registry import RULES
from ecapipe.cli import help
from ecapipe.cli.commands import load_topic
from ecapipe.cli.run import run
from ecapipe.events import ALL_STAGES, RUN_STAGES
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.problem import INTERRUPTED
from ecapipe.render.reports import FORMATS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / ".github/docs").glob("*.md")))

IN_HELP = [example.command for examples in help.EXAMPLES.values() for example in examples]
IN_DOCS = [
    line for block in re.findall(r"```sh\n(.*?)```", README + GUIDES, re.DOTALL) for line in block.splitlines()
]
REFRESH = re.findall(
    r"^(?: +run:|#.*cron.*?(?: [\d*]+){5}) (ecapipe .+)$",
    (ROOT / ".github/examples/github-refresh.yml").read_text(encoding="utf-8"),
    re.MULTILINE,
)
"""What a runner with saved logins does every week, and a line for cron."""
ELSEWHERE = ("--file orgs.csv", "--resume result.json")
"""Of the recipe for twelve orgs, which tests/cli/test_retrieve.py executes."""
COMMANDS = sorted(
    line
    for line in {*IN_HELP, *IN_DOCS}
    if line.startswith("ecapipe ") and not any(words in line for words in ELSEWHERE)
)
SERVERS = [line for line in COMMANDS if " emulator start " in line]
NEED_A_LOGIN = [line for line in COMMANDS if line.startswith("ecapipe login ") and " list" not in line]
NEED_A_SECRET = [line for line in COMMANDS if "-secret " in line]
ROTATE = [line for line in COMMANDS if line.startswith("ecapipe app rotate")]
NEED_AN_ORG = [line for line in COMMANDS if "--target-org" in line and line not in (*NEED_A_LOGIN, *ROTATE)]
ALONE = sorted({*COMMANDS} - {*SERVERS} - {*NEED_AN_ORG} - {*NEED_A_LOGIN} - {*NEED_A_SECRET} - {*ROTATE})
RUN = "ecapipe run --source-dir sample-project --name Nightly_Reports --emulator"
BEFORE = {
    "--resume": [RUN],
    "ecapipe runs show": [RUN],
    "ecapipe report merge": [f"{RUN} --shard {k}/2 --report json=build/shard-{k}.json" for k in (1, 2)],
}
"""What has been done before somebody uses an example that this stands in."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with what the examples speak of."""
    (tmp_path / "sample-project").symlink_to(ROOT / "sample-project")
    (faults,) = re.findall(
        r"faults.*?```json\n(.*?)```", (ROOT / ".github/docs/emulator.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "faults.json").write_text(faults, encoding="utf-8")
    sf = StandIn(tmp_path / "bin")
    sf.keeps(salesforce_cli.login("uat"))
    sf.says("project retrieve start")
    return tmp_path


def environment(tmp_path: Path) -> dict[str, str]:
    path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
    return {"PATH": path, "HOME": str(tmp_path), "CI": "true"}


def spoken(line: str) -> list[str]:
    return [sys.executable, "-m", *shlex.split(line)]


@pytest.mark.parametrize("line", ALONE)
def test_an_example_that_needs_nothing_else_succeeds(line: str, place: Path) -> None:
    for earlier in (each for words, lines in BEFORE.items() if words in line for each in lines):
        subprocess.run(spoken(earlier), cwd=place, env=environment(place), capture_output=True, check=True)
    run = subprocess.run(spoken(line), cwd=place, env=environment(place), capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout != "") == (0, True), run.stderr


@pytest.mark.parametrize("line", SERVERS)
def test_an_example_that_serves_starts_and_stops(line: str, place: Path) -> None:
    with subprocess.Popen(
        [*spoken(line), "--port", "0"],
        cwd=place,
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.readline()
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=20)
    assert server.returncode == INTERRUPTED


@pytest.mark.parametrize("line", NEED_AN_ORG)
def test_an_example_that_needs_an_org_is_understood(line: str, place: Path) -> None:
    """It plans its logins for the sample project, with the aliases and the file that the text speaks of."""
    (place / "server.key").touch()
    known = {"uat": "uat=https://acme--uat.sandbox.my.salesforce.com"}
    words = [known.get(word, word) for word in spoken(line)]
    last = ["--until", "check"] if "--retrieve" in words else ["--dry-run"]
    extra = ["--source-dir", "sample-project", "--callback", "paste", *last]
    run = subprocess.run(
        [*words, *extra], cwd=place, env=environment(place), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.fixture(scope="module")
def org() -> Iterator[str]:
    """A local org that knows the sample project."""
    with emulated(ROOT / "sample-project") as emulator:
        yield emulator.urls["uat"]


@pytest.mark.parametrize("line", [*NEED_A_LOGIN, *REFRESH])
def test_an_example_that_needs_a_kept_login_succeeds(line: str, place: Path, org: str) -> None:
    keep = f"ecapipe run -d sample-project -n Nightly_Reports -o uat={org} --save --store file"
    # A proof is for a login that is bound to a key.
    if "--proof" in line:
        keep += " --dpop"
    for each in (keep, line):
        run = subprocess.run(
            spoken(each), cwd=place, env=environment(place), capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stdout != "") == (0, True), run.stderr


def test_the_example_that_refreshes_logins_says_what_a_test_runs() -> None:
    assert REFRESH == ["ecapipe login refresh --all --concise", "ecapipe login refresh --all", "ecapipe login list"]


@pytest.mark.parametrize("line", NEED_A_SECRET)
def test_an_example_about_a_kept_secret_succeeds(line: str, place: Path) -> None:
    keep = "ecapipe app set-secret Billing_Sync -d sample-project --store file"
    typed = f"{'0FAKE' * 12}\n"
    for each in (keep, line):
        run = subprocess.run(
            spoken(each), cwd=place, env=environment(place), input=typed, capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stdout != "") == (0, True), run.stderr


@pytest.mark.parametrize("line", ROTATE)
def test_an_example_of_a_rotation_succeeds(line: str, tmp_path: Path) -> None:
    """Recipes too: each value comes to the program on its standard input, and is nowhere else."""
    with rotation.staged(tmp_path, root=ROOT / "sample-project") as scene:
        words = [f"uat={scene.url}" if word == "uat" else word for word in spoken(line)]
        run = subprocess.run(
            [*words, "--source-dir", str(scene.root)],
            cwd=tmp_path,
            env={**environment(tmp_path), "PATH": scene.path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (run.returncode, run.stdout != "") == (0, True), run.stderr
        received = scene.received
        assert len(received) == (2 if "--deliver" in line else 0)
        if received:
            key, secret = (call["stdin"] for call in received)
            assert scene.accepts(key, secret)
            assert not [call for call in received for value in (key, secret) if value in json.dumps(call["argv"])]
            assert received[0]["argv"] != received[1]["argv"]


def test_no_example_lets_python_look_for_modules_in_the_current_folder() -> None:
    files = [path for path in (ROOT / ".github").rglob("*") if path.is_file() and path.suffix != ".md"]
    texts = [
        *re.findall(r"```\w*\n(.*?)```", README + GUIDES, re.DOTALL),
        *(path.read_text("utf-8") for path in files),
    ]
    started = [line for text in texts for line in text.splitlines() if re.search(r"-m ecapipe(?!\.)\b", line)]
    assert [line for line in started if " -I " not in line] == []
    assert "python -I -m ecapipe" in GUIDES


def test_every_command_has_an_example() -> None:
    leaves = [" ".join(("ecapipe", name, child)) for name, entry in help.COMMANDS.items() for child in entry.children]
    alone = [f"ecapipe {name}" for name, entry in help.COMMANDS.items() if not entry.children]
    assert [name for name in (*leaves, *alone) if not help.EXAMPLES.get(name)] == []


def test_the_overview_and_the_command_modules_agree() -> None:
    for name, entry in help.COMMANDS.items():
        if entry.children:
            topic = load_topic(name, entry.children)
            assert tuple(command.name for command in topic.registered_commands) == entry.children
        else:
            assert callable(getattr(import_module(f"ecapipe.cli.{name}"), name))


@pytest.mark.parametrize("use", ["run", "test"])
def test_each_quick_start_is_one_line_below_its_marker(use: str) -> None:
    (block,) = re.findall(rf"<!-- quickstart:{use} -->\n```sh\n(.*?)\n```", README, re.DOTALL)
    assert "\n" not in block
    assert block.startswith("python3 -m venv .venv && .venv/bin/pip install")


def test_the_guide_shows_the_table_that_ships() -> None:
    (table,) = re.findall(r"```csv\n(.*?)```", GUIDES, re.DOTALL)
    assert table == (ROOT / "sample-project" / "orgs.csv").read_text(encoding="utf-8")


def test_the_readme_shows_every_stage() -> None:
    table = re.findall(
        r"^\| `([\w-]+)` (.+?) \|", README.partition("| stage | of |")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert table == [(stage.name, stage.title) for stage in ALL_STAGES]
    shown = re.findall(r"^\d\. (.+)$", README.partition("Stages:\n")[2].partition("\n\n")[0], re.MULTILINE)
    assert shown == [stage.title for stage in RUN_STAGES]


def test_the_readme_is_short_and_links_to_what_is_there() -> None:
    assert len(README.splitlines()) <= 160
    for page in (ROOT / "README.md", *(ROOT / ".github").rglob("*.md")):
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == [], page


def test_the_readme_names_every_report_format() -> None:
    sentence = README.partition(" Formats: ")[2].partition(".\n")[0].partition(". ")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == FORMATS.keys()


def test_the_help_of_a_run_names_every_source_of_secrets_in_order() -> None:
    sentence = str(run.__doc__).partition("Key and secret are read from ")[2].partition(", in this order")[0].lower()
    assert re.findall("|".join(source.name for source in SOURCES), sentence) == [source.name for source in SOURCES]


def test_the_help_names_every_variable_of_ours() -> None:
    sources = [
        path.read_text(encoding="utf-8") for path in (ROOT / "ecapipe").rglob("*.py") if path.name != "help.py"
    ]
    read = {name for text in sources for name in re.findall(r'"(ECAPIPE_[A-Z_]*[A-Z])', text)}
    assert read == set(re.findall(r"ECAPIPE_[A-Z_]*[A-Z]", " ".join(help.VARIABLES)))


def test_the_documents_and_help_name_the_same_exit_codes() -> None:
    for text in (README, GUIDES):
        table = re.search(r"\| exit code \| meaning \|\n(.*?)\n\n", text, re.DOTALL)
        assert table is not None
        assert re.findall(r"^\| (\d+) \|", table[1], re.MULTILINE) == list(help.EXIT_CODES)


def test_the_guide_troubleshoots_problems_that_exist() -> None:
    section = (ROOT / ".github/docs/troubleshooting.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z][\w, ]+) \|", section, re.MULTILINE)
    names = [name for row in rows for name in row.split(", ")]
    assert len(names) > 10
    assert [name for name in names if name not in CATALOGUE] == []


def test_rules_and_problems_share_no_name() -> None:
    assert not {name.casefold() for name in RULES} & {name.casefold() for name in CATALOGUE}
