"""Completion: what may follow, in the shells themselves, and how nothing of anybody's files is run there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
import trees
from commandline import SAMPLE, ecapipe, environment
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.adapters.environment import Environment
from ecapipe.check.rules.registry import RULES
from ecapipe.cli import completion, completion_scripts, help
from ecapipe.events import VERIFY
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.render import reports

APPS = ["Billing_Sync", "Field_Mobile", "Nightly_Reports", "Partner_Portal"]


def offered(*words: str, **variables: str) -> list[str]:
    """The words that may come in place of the last one."""
    return [line.partition("\t")[0] for line in completion.answer(words, Environment(dict(variables)))]


def test_a_line_begins_with_a_command() -> None:
    assert offered("") == list(help.COMMANDS)
    assert offered() == list(help.COMMANDS)
    assert offered("ap") == ["app"]
    assert offered("--") == ["--show-completion", "--install-completion", "--version", "--help"]


@pytest.mark.parametrize("topic", [name for name, entry in help.COMMANDS.items() if entry.children])
def test_a_topic_has_its_commands(topic: str) -> None:
    assert offered(topic, "") == list(help.COMMANDS[topic].children)


COMMANDS: list[tuple[str, ...]] = [
    (name, *words)
    for name, entry in help.COMMANDS.items()
    for words in ([[child] for child in entry.children] or [[]])
]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_has_its_flags_each_with_a_meaning(words: tuple[str, ...]) -> None:
    lines = list(completion.answer((*words, "--"), Environment({})))
    assert "--json" in [line.partition("\t")[0] for line in lines]
    assert all(line.partition("\t")[2] for line in lines)


def test_a_flag_comes_once_unless_it_repeats() -> None:
    assert "--json" not in offered("run", "--json", "--")
    assert "--concise" not in offered("app", "list", "--concise", "--")
    assert "--name" in offered("run", "--name", "Billing", "--")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run", "--flow", ""), ["auto", "web", "client-credentials", "jwt"]),
        (("run", "--flow", "c"), ["client-credentials"]),
        (("run", "--flow=c"), ["--flow=client-credentials"]),
        (("run", "--flow", "=", "c"), ["client-credentials"]),
        (("run", "--flow", "="), ["auto", "web", "client-credentials", "jwt"]),
        (("run", "--json", "--callback", "li"), ["listen"]),
        (("run", "--until", "ver"), [VERIFY.name]),
        (("app", "check", "--report", ""), [f"{name}=" for name in reports.FORMATS]),
        (("explain", "ConsumerSec"), [name for name in CATALOGUE if name.startswith("ConsumerSec")]),
        (("--show-completion", ""), ["bash", "zsh", "fish", "powershell"]),
        (("--install-completion", ""), ["bash", "zsh", "fish"]),
        (("run", "--wait", ""), []),
        (("run", "--source-dir", ""), []),
        (("run", "unexpected", ""), []),
        (("app", "nothing", "--"), []),
        (("nothing", ""), []),
        (("app", "list", ""), []),
    ],
)
def test_values(words: tuple[str, ...], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_rules_and_problems_can_be_explained() -> None:
    assert offered("explain", "") == [*RULES, *CATALOGUE]


def test_apps_are_those_of_the_project(tmp_path: Path) -> None:
    assert offered("run", "-d", str(SAMPLE), "-n", "") == APPS
    assert offered("app", "check", f"--source-dir={SAMPLE}", "--name", "Part") == ["Partner_Portal"]
    assert offered("manifest", "--name=Fi", "-d", str(SAMPLE)) == []
    assert offered("manifest", "-d", str(SAMPLE), "--name=Fi") == ["--name=Field_Mobile"]
    assert offered("run", "-d", str(tmp_path), "-n", "") == []
    assert offered("run", "-d", str(tmp_path / "nowhere"), "-n", "") == []
    assert offered("run", "-d") == []


def test_orgs_are_the_projects_and_the_salesforce_clis(tmp_path: Path) -> None:
    orgs = {"uat": {"url": "https://acme--uat.sandbox.my.salesforce.com"}, "my org": {"url": "x"}, "b": {}}
    root = trees.plant(tmp_path / "project", trees.project(plugins={"ecapipe": {"orgs": orgs}}))
    aliases = tmp_path / "home/.sfdx/alias.json"
    aliases.parent.mkdir(parents=True)
    aliases.write_text(json.dumps({"orgs": {"dev": "user@dev.example", "uat": "user@uat.example"}}))
    home = {"HOME": str(tmp_path / "home"), "USERPROFILE": str(tmp_path / "home")}
    assert offered("run", "-d", str(root), "-o", "", **home) == ["dev", "uat", "b"]
    assert offered("run", "-d", str(root), "--no-project-config", "-o", "", **home) == ["dev", "uat"]
    assert offered("run", "-d", str(tmp_path), "-o", "d", **home) == ["dev"]


def test_logins_are_those_that_are_kept(tmp_path: Path) -> None:
    state = {"ECAPIPE_STATE_DIR": str(tmp_path / "state")}
    assert offered("login", "token", "-n", "", **state) == []
    logins = tmp_path / "state/logins"
    logins.mkdir(parents=True)
    for number, (app, alias) in enumerate([("Robot", "uat"), ("Other", None), ("$(touch owned)", "uat")]):
        members = {"app": app, "alias": alias}
        record = {"version": 1, "kind": "login", "place": "keyring", "members": members}
        (logins / f"{number:032x}.json").write_text(json.dumps(record))
    (logins / f"{9:032x}.json").write_text("{")
    assert offered("login", "token", "-n", "", **state) == ["Robot", "Other"]
    assert offered("login", "logout", "-o", "", **state) == ["uat"]


def test_runs_are_those_that_there_is_a_record_of(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/20260105T090000Z-abcdef.jsonl").write_text("")
    for words in (("run", "--resume", ""), ("run", "--resume=2026"), ("runs", "show", "")):
        (run,) = offered(*words, ECAPIPE_STATE_DIR=str(tmp_path))
        assert run.endswith("20260105T090000Z-abcdef")
    assert offered("run", "--resume", "", ECAPIPE_STATE_DIR=str(tmp_path / "none")) == []


@pytest.mark.parametrize("content", [None, "", "[", "[]", '{"orgs": []}', '{"orgs": 1}', "\udcff", "[" * 100_000])
def test_a_file_of_the_salesforce_cli_that_is_none_offers_nothing(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / ".sfdx").mkdir()
        (tmp_path / ".sfdx/alias.json").write_text(content, errors="surrogateescape")
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    assert offered("run", "-d", str(tmp_path), "-o", "", **home) == []


HOSTILE = ("$(touch owned)", "`touch owned`", "a;touch owned", "a b", "'", '"', "a\nb", "*", "~", "\x1b[31m", "a\\b")


def test_a_name_that_a_shell_would_read_is_not_offered(tmp_path: Path) -> None:
    orgs = {name: {"url": "x"} for name in (*HOSTILE, "good")}
    files = trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.app("Good") | trees.app("$(touch owned)")
    root = trees.plant(tmp_path / "project", files)
    assert offered("run", "-d", str(root), "-o", "", HOME=str(tmp_path), USERPROFILE=str(tmp_path)) == ["good"]
    assert offered("run", "-d", str(root), "-n", "") == ["Good"]


@given(
    st.lists(st.sampled_from(["run", "app", "check", "-o", "--flow", "=", "--"]) | st.text(max_size=5), max_size=5)
)
def test_no_words_break_it(words: list[str]) -> None:
    for line in completion.answer(words, Environment({"HOME": "/nowhere", "USERPROFILE": "/nowhere"})):
        assert line.isprintable() or line.replace("\t", "", 1).isprintable()


def test_completing_writes_nothing_and_says_nothing_else(tmp_path: Path) -> None:
    words = ["run", "-d", str(SAMPLE), "-n", "Bill"]
    done = subprocess.run(
        [sys.executable, "-m", "ecapipe", *words],
        env=environment(tmp_path, _ECAPIPE_COMPLETE="bash", PYTHONDONTWRITEBYTECODE="1"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("Billing_Sync\n", "")
    assert list(tmp_path.iterdir()) == []


needs = {
    shell: pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")
    for shell in ("bash", "zsh", "fish")
}


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with ecapipe on it."""
    program = tmp_path / "bin/ecapipe"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ecapipe "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def told(shell: str, script: str, path: str, home: Path) -> list[str]:
    done = subprocess.run(
        [shell, "-c", script], env=environment(home) | {"PATH": path}, cwd=SAMPLE, capture_output=True, text=True
    )
    return done.stdout.split("\n")[:-1]


LINES = [
    (["man"], ["manifest"]),
    (["run", "-n", "Bill"], ["Billing_Sync"]),
    (["app", "check", "--report", "sar"], ["sarif="]),
    (["run", "--flow", ""], ["auto", "web", "client-credentials", "jwt"]),
]


@needs["bash"]
@pytest.mark.parametrize(("words", "expected"), LINES)
def test_bash(words: list[str], expected: list[str], path: str, tmp_path: Path) -> None:
    quoted = " ".join(f"'{word}'" for word in words)
    script = (
        f'eval "$(ecapipe --show-completion bash)"; COMP_WORDS=(ecapipe {quoted}); COMP_CWORD={len(words)}\n'
        '_ecapipe ecapipe; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert told("bash", script, path, tmp_path) == expected


@needs["fish"]
@pytest.mark.parametrize(("words", "expected"), [*LINES, (["run", "-d", "force"], ["force-app/"])])
def test_fish(words: list[str], expected: list[str], path: str, tmp_path: Path) -> None:
    script = f"ecapipe --show-completion fish | source; complete -C'ecapipe {' '.join(words)}'"
    found = told("fish", script, path, tmp_path)
    assert sorted(line.partition("\t")[0] for line in found) == sorted(expected)


@pytest.fixture
def typing(path: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[pexpect.spawn[str]]:
    """A shell at which somebody types."""
    shell, flags = request.param
    typed = pexpect.spawn(
        shell,
        flags,
        env=environment(tmp_path) | {"PATH": path, "TERM": "dumb", "PS1": "> "},
        cwd=str(SAMPLE),
        encoding="utf-8",
        timeout=30,
        dimensions=(40, 200),
    )
    typed.sendline(f'eval "$(ecapipe --show-completion {shell})"; echo rea""dy')
    typed.expect("ready\r")
    yield typed
    typed.close(force=True)


@pytest.mark.parametrize(
    "typing",
    [
        pytest.param(("bash", ["--norc", "-i"]), marks=needs["bash"]),
        pytest.param(("zsh", ["-f", "-i"]), marks=needs["zsh"]),
    ],
    indirect=True,
)
@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("man", "manifest "),
        ("run --flow cl", "client-credentials "),
        ("run --flow=cl", "--flow=client-credentials "),
        ("run -n Bill", "Billing_Sync "),
        ("app check --report sar", "sarif=x"),
        ("run -d force", "force-app/"),
    ],
)
def test_the_tab_key(typing: pexpect.spawn[str], typed: str, expected: str) -> None:
    typing.send(f"ecapipe {typed}\t")
    typing.send("x" if expected.endswith("x") else "")
    typing.expect_exact(expected)


def test_powershell_is_told_by_a_variable_what_an_argument_cannot_hold() -> None:
    asked = {"_ECAPIPE_COMPLETE": "powershell"}
    assert offered("run", "--flow", **asked) == ["auto", "web", "client-credentials", "jwt"]
    assert offered("run", "--flow", **asked, _ECAPIPE_COMPLETE_WORD="c") == ["client-credentials"]
    assert offered("run", **asked, _ECAPIPE_COMPLETE_WORD="--flow=c") == ["--flow=client-credentials"]
    assert offered(**asked) == list(help.COMMANDS)


def test_a_script_for_the_users_own_shell(tmp_path: Path) -> None:
    own = ecapipe("--show-completion", at=tmp_path, SHELL="/usr/bin/fish")
    assert (own.status, own.out) == (0, completion_scripts.SCRIPTS["fish"])


@pytest.mark.parametrize(
    "words",
    [("--show-completion", "tcsh"), ("--show-completion", "bash", "zsh"), ("--install-completion", "powershell"),
     ("--show-completion", "bash", "--json"), ("--show-completion",)],
)  # fmt: skip
def test_other_shells_are_usage_errors(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = ecapipe(*words, at=tmp_path, SF_CONTENT_TYPE="JSON")
    assert (ended.status, ended.document["name"]) == (2, "UsageError")
    assert ended.document["actions"]


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_installing_adds_one_line_once(shell: str, file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_bytes(b"alias x=y # \xff")
    first, second = (ecapipe("--install-completion", shell, at=tmp_path) for _ in range(2))
    line = f'eval "$(ecapipe --show-completion {shell})"'.encode()
    assert (tmp_path / file).read_bytes() == b"alias x=y # \xff\n" + line + b"\n"
    assert first.out == f"Added completion to {tmp_path / file}. Open a new shell to use it.\n"
    assert second.out == f"Completion is already installed in {tmp_path / file}.\n"


def test_installing_for_fish_writes_a_file_of_our_own(tmp_path: Path) -> None:
    file = tmp_path / ".config/fish/completions/ecapipe.fish"
    assert ecapipe("--install-completion", "fish", at=tmp_path).out == f"Wrote {file}.\n"
    assert file.read_text() == completion_scripts.SCRIPTS["fish"]


def test_a_startup_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".zshrc").mkdir()
    ended = ecapipe("--install-completion", "zsh", at=tmp_path)
    assert ended.status == 1
    assert f"{tmp_path / '.zshrc'} could not be read" in ended.err
