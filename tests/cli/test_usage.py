"""What cannot be meant, or leads nowhere: said once, with a way out, in words or as one JSON document."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import trees
from cli.promises import ENVELOPE
from commandline import ROOT, ecapipe, inside, together
from fakes.scene import PASTED

from ecapipe import __version__
from ecapipe.cli.completion import load_command
from ecapipe.cli.help import COMMANDS

COMMANDS_OF_ALL = [(name, child) for name, entry in COMMANDS.items() for child in entry.children or ("",)]
ORGS = {name: {"url": f"https://{name}.my.salesforce.com"} for name in ("dev", "uat")}

# command line → exit status, name of the problem, something that its message or one of its actions says
WRONG = {
    "bogus": (2, "UsageError", "bogus"),
    "app bogus": (2, "UsageError", "See ecapipe app --help."),
    "run --bogus": (2, "UsageError", "See ecapipe run --help."),
    "run --emulater": (2, "UsageError", "Did you mean --emulator?"),
    "run --flow device": (2, "UsageError", "device"),
    "run --until hand": (2, "UsageError", "hand"),
    "run --wait soon": (2, "UsageError", "--wait"),
    "run --wait 0": (2, "UsageError", "--wait must be a number of minutes"),
    "run --scopes api,web": (2, "UsageError", "spaces between the scopes"),
    "run --board-port 0": (2, "UsageError", "--board-port must be from 1 to 65535."),
    "run --board-port 8765 --no-board": (2, "UsageError", "--no-board can't be used with --board-port."),
    "run --board-port 8765 --emulator": (2, "UsageError", "--emulator can't be used with --board-port."),
    "run --board-port 8765 --no-prompt": (2, "UsageError", "--no-prompt can't be used with --board-port."),
    "run superfluous": (2, "UsageError", "superfluous"),
    "run --emulator --target-org dev": (2, "UsageError", "--emulator can't be used with --target-org."),
    "run --hand-over sfdx": (2, "UsageError", "sf"),
    "run --hand-over sf --revoke": (2, "UsageError", "--hand-over can't be used with --revoke."),
    "run --hand-over sf --print-token value -p": (2, "UsageError", "can't be used with"),
    "run --hand-over sf --until token": (2, "UsageError", "--hand-over can't be used with --until."),
    "run --revoke --until token": (2, "UsageError", "--revoke can't be used with --until."),
    "run --hand-over sf --emulator": (2, "UsageError", "--hand-over can't be used with --emulator."),
    "run --set-default": (2, "UsageError", "--set-default requires --hand-over."),
    "run --replace-alias": (2, "UsageError", "--replace-alias requires --hand-over."),
    "run --retrieve --dry-run": (2, "UsageError", "--retrieve can't be used with --dry-run."),
    "run --retrieve --emulator": (2, "UsageError", "--retrieve can't be used with --emulator."),
    "run --retrieve --metadata-dir .": (2, "UsageError", "--retrieve can't be used with --metadata-dir."),
    "run --print-token value": (2, "UsageError", "can't be used with"),
    "run -d project/nowhere": (2, "SourceDirNotFound", "project/nowhere"),
    "run -d project": (2, "NoOrgChosen", "dev, uat"),
    "run -d project -n Biling -o dev": (2, "UnknownApp", 'Did you mean "Billing"?'),
    "app check -d project -n billing": (2, "UnknownApp", 'Did you mean "Billing"?'),
    "run -d project -o uatt": (2, "NamedOrgNotFoundError", 'Did you mean "uat"?'),
    "run -d project -o https://evil.example": (2, "RefusedHost", "does not belong to Salesforce"),
    "run -d project -o http://dev.my.salesforce.com": (2, "RefusedHost", "only https is accepted"),
    "run -d project -o https://dev.my.salesforce.com.evil.example": (2, "RefusedHost", "--allow-host"),
    "run -d project -o https://dev.my.salesforce.com/?a=b": (2, "RefusedHost", "query"),
    "run -d project -o dev.lightning.force.com": (2, "LightningDomain", "https://dev.my.salesforce.com"),
    "run -d project -o dev --allow-host *": (2, "InvalidAllowedHost", "HOST:PORT"),
    "run -d project -o dev --allow-host https://dev.example": (2, "InvalidAllowedHost", "without a scheme"),
    "app probe -d project -o dev --allow-host *.dev.example": (2, "InvalidAllowedHost", "wildcard"),
    "report merge": (2, "UsageError", "Specify at least one FILE."),
    "run": (1, "ProjectNotChosen", "project"),
    "app list": (1, "ProjectNotChosen", "empty"),
    "run -d broken": (1, "JsonParseError", "line 2"),
    "app check -d broken": (1, "JsonParseError", "Fix sfdx-project.json at line 2."),
    "run -d empty": (1, "NoAppsFound", "sf project retrieve start"),
    "app check -d empty": (1, "NoAppsFound", "force-app"),
    "run -n A B": (2, "UsageError", "Repeat the flag for each value: -n"),
    "run -a uat": (2, "UsageError", "--target-org ALIAS=URL"),
    "run --client-secret x": (2, "UsageError", "ECAPIPE_CLIENT_SECRET_<APP>"),
    "run -z": (2, "UsageError", "Nonexistent flag: -z."),
    "run --wait": (2, "UsageError", "--wait expects a value"),
    "run --json=1": (2, "UsageError", "--json doesn't take a value."),
    "run --resume=": (2, "UsageError", "--resume expects a run or a file"),
    "run --resume a --resume b": (2, "UsageError", "--resume can only be given once."),
    "run --resume --resume": (2, "UsageError", "--resume can only be given once."),
    "run -o=": (2, "UsageError", "--target-org expects a value, but it is empty."),
    "run -n -dproject": (2, "UsageError", "--name expects a value, but is followed by another flag."),
    "run Billing": (2, "UsageError", "Select an app with --name."),
    "help help run": (2, "UsageError", "Unexpected argument: run."),
    "help environment more": (2, "UsageError", "Unexpected argument: more."),
    "commands": (2, "UsageError", "ecapipe --help"),
    "version": (2, "UsageError", "ecapipe --version"),
    "app:list": (2, "UsageError", "Did you mean ecapipe app list?"),
    "check": (2, "UsageError", "Did you mean ecapipe app check?"),
    "app chek": (2, "UsageError", 'Did you mean "check"?'),
    "help nope": (2, "UsageError", "nope"),
    "explain NoSuchThing": (2, "NothingToExplain", "Run ecapipe explain to list all names."),
    "explain consumer-secret-mising": (2, "NothingToExplain", 'Did you mean "consumer-secret-missing"?'),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole project, an empty and a broken one below it."""
    root = tmp_path_factory.mktemp("place")
    project = trees.project(plugins={"ecapipe": {"orgs": ORGS}})
    trees.plant(root / "project", project | trees.app("Billing", settings={"callbackUrl": PASTED}))
    trees.plant(root / "empty", trees.project())
    trees.plant(root / "broken", trees.project() | {"sfdx-project.json": '{\n  "packageDirectories": [,]\n}\n'})
    return root


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_one_document_with_a_way_out(place: Path, line: str) -> None:
    status, name, says = WRONG[line]
    ended = inside(*line.split(), "--json", at=place)
    assert (ended.status, ended.err) == (status, "")
    document = ended.document
    assert set(document) == ENVELOPE
    assert (document["name"], document["code"], document["exitCode"]) == (name, name, status)
    assert document["actions"]
    assert says in "\n".join([document["message"], *document["actions"]])
    assert document["commandName"] == " ".join(["ecapipe", *command_of(line)])


def command_of(line: str) -> list[str]:
    """The words of a line that name a command."""
    first, *rest = line.split()
    if first == "app":
        return [first, *rest[:1]] if rest[0] in ("list", "check", "probe") else [first]
    if first == "report":
        return [first, *rest]
    return [first] if first in ("run", "explain") else []


def test_people_are_told_in_words(place: Path) -> None:
    flag, org, outside = together([["run", "--emulater"], ["run", "-d", "project", "-o", "uatt"], ["run"]], place)
    assert flag.out == ""
    assert (
        flag.err
        == """\
Error (UsageError): Nonexistent flag: --emulater.

Try this:

Did you mean --emulator?
See ecapipe run --help.

"""
    )
    assert org.err.startswith('Error (NamedOrgNotFoundError): No org named "uatt" was found.\n')
    assert "The Salesforce CLI could not be queried: The Salesforce CLI was not found" in org.err
    assert "Status: Failed" in org.out
    assert [flag.status, org.status, outside.status] == [2, 2, 1]


def test_outside_of_any_project_it_says_so(tmp_path: Path) -> None:
    run, listed = together([["run", "--json"], ["app", "list"]], tmp_path)
    assert (run.status, run.document["name"]) == (1, "RequiresProjectError")
    assert (listed.status, listed.out) == (1, "")
    assert "Error (RequiresProjectError): This command is required to run from within a " in listed.err


def test_a_variable_asks_for_json_as_the_flag_does(place: Path) -> None:
    ended = ecapipe("run", "--bogus", at=place, SF_CONTENT_TYPE="JSON")
    assert set(ended.document) == ENVELOPE
    assert inside("app", "list", "-d", "empty", at=place, SF_CONTENT_TYPE="json").result["apps"] == []


def test_a_log_level_that_does_not_exist_is_refused(place: Path) -> None:
    ended = inside("app", "list", "-d", "project", "--json", at=place, SF_LOG_LEVEL="loud")
    assert (ended.status, ended.document["name"]) == (2, "UsageError")
    assert "SF_LOG_LEVEL" in ended.document["message"]


def test_a_version_is_one_line(tmp_path: Path) -> None:
    ended = ecapipe("--version", at=tmp_path)
    assert (ended.status, ended.out, ended.err) == (0, f"ecapipe {__version__}\n", "")


@pytest.mark.parametrize("words", [["--version", "--verbose"], ["--verbose", "--version"]])
def test_a_version_at_length_names_what_a_report_of_a_bug_needs(words: list[str], tmp_path: Path) -> None:
    ended = ecapipe(*words, at=tmp_path)
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == f"ecapipe {__version__}"
    assert f"Python: {platform.python_version()} (CPython)" in lines
    assert f"Platform: {platform.platform()}" in lines
    assert {f"  {name} {metadata.version(name)}" for name in ("typer", "msgspec", "keyring")} <= {*lines}
    assert "  pytest" not in ended.out


@pytest.mark.parametrize(
    ("direct", "origin"),
    [
        ({"url": "file:///home/ada/ecapipe", "dir_info": {"editable": True}}, "by pip, editable"),
        ({"url": "file:///home/ada/ecapipe", "dir_info": {}}, "by pip, from a folder"),
        ({"url": "https://ada:0FAKE@git.example/e", "vcs_info": {"vcs": "git", "commit_id": "0" * 40}},
         f"by pip, from commit {'0' * 40}"),
        ({"url": "https://ada:0FAKE@files.example/e.whl", "archive_info": {}}, "by pip, from a file"),
        (None, "by pip, from an index"),
    ],
)  # fmt: skip
def test_a_version_at_length_says_how_ecapipe_was_installed(
    direct: dict[str, Any] | None, origin: str, tmp_path: Path
) -> None:
    """In words of its own: an address may hold a password, and a path a name."""
    package = {"METADATA": "Metadata-Version: 2.1\nName: ecapipe\nVersion: 0\n", "INSTALLER": "pip\n"}
    package |= {"direct_url.json": json.dumps(direct)} if direct else {}
    trees.plant(tmp_path, {f"ecapipe-0.dist-info/{name}": text for name, text in package.items()})
    ended = ecapipe("--version", "--verbose", at=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert f"Installed: {origin}" in ended.out.splitlines()
    assert "ada" not in ended.out


def test_a_version_goes_with_nothing_else(tmp_path: Path) -> None:
    ended = ecapipe("--version", "--json", at=tmp_path)
    assert (ended.status, ended.document["name"]) == (2, "UsageError")


@pytest.mark.parametrize(
    "command", ["", "run", "app", "app list", "app check", "app probe", "emulator", "emulator start", "explain"]
)
def test_help_is_short_or_whole(tmp_path: Path, command: str) -> None:
    short, whole = (inside(*command.split(), flag, at=tmp_path) for flag in ("-h", "--help"))
    for ended in (short, whole):
        assert (ended.status, ended.err) == (0, "")
        assert f"$ ecapipe {command}".rstrip() in ended.out
    for title in ("EXAMPLES", "ENVIRONMENT VARIABLES", "EXIT CODES"):
        assert f"\n{title}\n" in whole.out
        assert f"\n{title}\n" not in short.out


def test_help_is_a_command_too(tmp_path: Path) -> None:
    for words in ((), ("run",), ("app",), ("app", "check")):
        assert inside("help", *words, at=tmp_path) == inside(*words, "--help", at=tmp_path)
    assert inside("help", "app:check", at=tmp_path) == inside("help", "app", "check", at=tmp_path)
    assert inside("help", "help", at=tmp_path) == inside("help", at=tmp_path)
    whole = inside("help", "environment", at=tmp_path).out
    assert "SF_AUDIENCE_URL" in whole
    # A command's own page names what it reads, and no more.
    assert "SF_AUDIENCE_URL" not in inside("app", "list", "--help", at=tmp_path).out
    assert "\n  69 " not in inside("app", "list", "--help", at=tmp_path).out
    page = inside("explain", "--help", at=tmp_path).out
    table = page.partition("ENVIRONMENT VARIABLES\n")[2].partition("\nEXIT")[0]
    of_all = "ECAPIPE_LOG_LEVEL SF_LOG_LEVEL SF_CONTENT_TYPE CI NO_COLOR FORCE_COLOR TERM SF_ENV"
    assert re.findall(r"(?:^  |, )([A-Z][A-Z_]+)(?=,|\s)", table, re.MULTILINE) == of_all.split()
    rotation = inside("app", "rotate", "--help", at=tmp_path).out
    assert all(f"\n  {word}" in rotation for word in ("HTTPS_PROXY", "SF_TARGET_ORG", "ECAPIPE_ALLOWED_HOSTS", "68 "))


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_help_fits_the_terminal(columns: int, tmp_path: Path) -> None:
    for words in (("--help",), ("help", "environment"), *((*words, "--help") for words in COMMANDS_OF_ALL)):
        page = inside(*filter(None, words), at=tmp_path, COLUMNS=str(columns)).out
        # A command is printed as it is typed.
        long = [line for line in page.splitlines() if len(line) > columns and not line.lstrip().startswith("$ ")]
        assert long == [], words


VALUES = [
    (command, option)
    for command in COMMANDS_OF_ALL
    for option in load_command(command[0], command[1] or None).params
    if option.param_type_name == "option" and not option.is_flag
]


@pytest.mark.parametrize(("command", "option"), VALUES)
def test_a_value_is_given_once_is_not_empty_and_is_no_flag(
    command: tuple[str, str], option: Any, tmp_path: Path
) -> None:
    words, flag = [*filter(None, command)], option.opts[0]
    for wrong in ([flag, ""], [flag, " "], *([[flag, "--json"], [flag, "-p"]] if flag != "--resume" else [])):
        ended = inside(*words, *wrong, at=tmp_path)
        assert (ended.status, "expects " in ended.err + ended.out) == (2, True), wrong
    once = [flag, *("1" for _ in range(option.nargs))]
    twice = inside(*words, *once, *once, at=tmp_path)
    assert (f"{flag} can only be given once." in twice.err) is not option.multiple


def test_help_may_be_asked_for_before_the_command(tmp_path: Path) -> None:
    for flag in ("-h", "--help"):
        assert inside(flag, "app", "list", at=tmp_path) == inside("app", "list", flag, at=tmp_path)


def test_a_short_flag_may_have_its_value_behind_an_equals_sign(place: Path) -> None:
    spelled = (["-d", "project", "-n", "Billing"], ["-d=project", "-n=Billing"], ["-dproject", "-nBilling"])
    apart, *others = (inside("app", "list", *words, at=place) for words in spelled)
    assert apart.status == 0
    assert others == [apart, apart]


def test_arguments_are_no_blanks(tmp_path: Path) -> None:
    for command in (["explain"], ["runs", "show"], ["app", "forget-secret"], ["report", "merge"]):
        ended = inside(*command, " ", at=tmp_path)
        assert (ended.status, " is empty." in ended.err) == (2, True), command


def test_a_topic_alone_is_a_request_for_help(tmp_path: Path) -> None:
    for command in ("", "app", "emulator"):
        assert inside(*command.split(), at=tmp_path) == inside(*command.split(), "-h", at=tmp_path)


@pytest.mark.parametrize("command", [" ".join((name, child)).strip() for name, child in COMMANDS_OF_ALL])
def test_every_command_takes_the_flags_that_are_everywhere(tmp_path: Path, command: str) -> None:
    page = inside(*command.split(), "-h", at=tmp_path).out
    for flag in ("--json", "--concise", "--verbose", "--no-progress", "-p, --no-prompt", "--no-project-config"):
        assert f" {flag} " in page
    if "FILE..." not in page and "APP " not in page:
        assert inside(*command.split(), "--concise", "--verbose", at=tmp_path).status == 2


def test_help_names_every_variable_that_is_read_and_what_an_interrupt_leaves(tmp_path: Path) -> None:
    page = inside("help", "environment", at=tmp_path).out + inside("help", "exit-codes", at=tmp_path).out
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "ecapipe").rglob("*.py"))
    read = set(re.findall(r'environ(?:ment)?(?:\.get)?\("([A-Z_]+)"\)', sources))
    of_the_system = {"DISPLAY", "HOME", "PATH", "PWD", "SHELL", "WAYLAND_DISPLAY", "XDG_CONFIG_HOME"} | {
        "WSL_DISTRO_NAME",
        "WSL_INTEROP",
    }
    assert "SSH_CONNECTION" in read
    assert {name for name in read - of_the_system if not re.search(rf"\b{name}\b", page)} == set()
    assert "What finished is reported, and reports are written." in " ".join(page.split())


def test_each_value_of_a_long_command_line_is_looked_at_once(tmp_path: Path) -> None:
    words = [word for number in range(6000) for word in ("-o", f"o{number}=https://acme.my.salesforce.com")]
    began = time.process_time()
    ended = inside("run", *words, "--until", "nowhere", at=tmp_path)
    assert ended.status == 2
    # With the square of their number it would be 36 million looks.
    assert time.process_time() - began < 5
