"""What is printed to be pasted into a shell does there what it says, whatever names are in it, and nothing else."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
import trees
from check import ground
from hypothesis import given
from hypothesis import strategies as st
from problems.test_problems import parameters
from profiles import tries

from ecapipe.adapters.environment import Environment
from ecapipe.cli import completion
from ecapipe.cli.session import open_session
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.credentials import secret_unusable
from ecapipe.problems.git import git_unavailable
from ecapipe.problems.problem import EcapipeError, Kind, Problem, command, quote
from ecapipe.problems.project import project_not_chosen
from ecapipe.problems.salesforce_cli import sf_login_missing
from ecapipe.problems.usage import run_not_found
from ecapipe.render.text import clean

PROGRAMS: Final = ("git", "sf", "ecapipe", "chmod", "openssl", "npm", "pip", "cd")
TRAPS: Final = ("touch", "id", "reboot")
STAND_INS: Final = "\n".join(f"{name}() {{ printf '%s\\0' $# {name} \"$@\"; }}" for name in (*PROGRAMS, *TRAPS))
IN_FISH: Final = "\n".join(
    f"function {name}; printf '%s\\0' (count $argv) {name} $argv; end" for name in (*PROGRAMS, *TRAPS)
)
SHELLS: Final = ("bash", "sh", *filter(shutil.which, ("fish", "zsh")))
PASTED: Final = re.compile(rf"(?:(?<=: )|(?<=Use )|(?<=beside )|(?<=[Rr]un )|^)((?:{'|'.join(PROGRAMS)}) |--[a-z])")

PIECES: Final = st.sampled_from(
    ["$(touch x)", "`touch x`", "; touch x", "&& id", "| id", "> x", "'", '"', "\\", " ", "\n", "\r", "\t",
     "\x1b[31m", "$HOME", "${IFS}", "!!", "*", "?", "[a]", "~", "#", "-", "--", "=", "ü", "\u202e", "\udcff", "a",
     "{a,b}", "(", ")", "\u2018", "\u2019", "\u201b", "\u201d", "\\'", "; id #"]
)  # fmt: skip
NAMES: Final = st.lists(PIECES, min_size=1, max_size=5).map("".join)


def pasted(text: str, shell: str) -> list[list[str]]:
    """The programs that a shell starts if `text` is pasted, each with its arguments."""
    script = os.fsencode(f"{IN_FISH if shell == 'fish' else STAND_INS}\n{text}\n")
    program = [shutil.which(shell) or shell, *(["--no-config"] if shell == "fish" else ["-s"])]
    ended = subprocess.run(program, input=script, capture_output=True, check=True, timeout=30, env={}, cwd="/")
    assert ended.stderr == b""
    words = iter([os.fsdecode(word) for word in ended.stdout.split(b"\0")[:-1]])
    return [[next(words) for _ in range(int(count) + 1)] for count in words]


def commands(actions: Sequence[str], marker: str) -> Iterator[str]:
    """What of `actions`, as displays show them, is to be pasted and has a name in it."""
    for action in actions:
        shown = clean(action)
        match = PASTED.search(shown)
        if match and marker in shown[match.start() :]:
            text = shown[match.start() :]
            yield f"ecapipe {text}" if text.startswith("--") else text


def require_harmless(texts: Sequence[str], name: str) -> list[list[str]]:
    started = [each for text in texts for each in pasted(text, "bash")]
    for words in started:
        assert words[0] in PROGRAMS, words
        assert any(name.strip() in word for word in words), (words, name)
    return started


def require_parsed(words: Sequence[str]) -> None:
    """The command line is understood: it would not end with 2 for what it says."""
    name, *rest = words
    child = rest.pop(0) if name in ("app", "login", "runs", "report", "emulator") else None
    session = open_session(list(words), Environment({}), io.StringIO(), io.StringIO())
    parser = completion.load_command(name, child)
    assert parser is not None, words
    try:
        parser.make_context(name, rest, obj=session)
    except EcapipeError as error:
        # A run to resume is looked up, and there is no record of it here.
        if error.problem.kind is not run_not_found:
            raise


@given(NAMES)
def test_a_word_reaches_a_program_as_it_is(name: str) -> None:
    for shell in SHELLS if name.isprintable() else ("bash",):
        text = f"{command('git x', name, alias=name)}; git {quote(name)}"
        first, second = pasted(text, shell)
        assert first == ["git", "x", *_option("--alias", name), *(["--"] if name.startswith("-") else []), name]
        assert second == ["git", name]
        assert clean(text).replace("# #", "##") == text


@given(NAMES)
def test_nothing_of_a_word_stands_outside_of_the_quotes_of_powershell(name: str) -> None:
    outside, closing = "", ""
    for character in quote(name):
        alike = next((each for each in ("'\u2018\u2019\u201a\u201b", '"\u201c\u201d\u201e') if character in each), "")
        if not closing:
            outside, closing = outside + ("" if alike else character), alike
        elif character in closing:
            closing = ""
    assert not closing
    assert re.fullmatch(r"[\w@%+=:,./\\-]*|\$", outside, re.ASCII), outside


def test_the_path_of_a_windows_file_is_left_as_it_is() -> None:
    assert quote(r"C:\Users\Ada Lee\orgs.csv") == r"'C:\Users\Ada Lee\orgs.csv'"


def _option(flag: str, value: str) -> list[str]:
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


MARKER: Final = "M4RK"


every_kind = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.name)


def build(kind: Kind[...], name: str) -> Problem:
    """A problem with one name wherever it has a text."""

    def value(parameter: str, hint: str) -> object:
        # Commands that are handed on are made by the same function.
        text = command("ecapipe run", name=name) if parameter in ("command", "advice", "hints", "actions") else name
        if "Sequence" in hint:
            return [text]
        return text if "str" in hint else 1

    return kind(*(value(parameter, str(hint)) for parameter, hint in parameters(kind).items()))


@every_kind
@tries(8)
@given(name=NAMES.map(f"{{}}{MARKER}".format))
def test_every_command_of_every_problem_is_harmless(kind: Kind[...], name: str) -> None:
    started = require_harmless(list(commands(build(kind, name).actions, MARKER)), name)
    for words in started:
        if words[0] == "ecapipe" and not words[1].startswith("-"):
            require_parsed(words[1:])


def test_commands_are_looked_at() -> None:
    for kind in (secret_unusable, git_unavailable, sf_login_missing, project_not_chosen):
        assert list(commands(build(kind, MARKER).actions, MARKER)), kind.name


@pytest.mark.parametrize("name", ["$(touch x)", "a b", "it's", '"', "new\nline", ";touch x", "-f", ":!x", "*"])
def test_every_command_of_a_finding_is_harmless(name: str, tmp_path: Path) -> None:
    file = f"{trees.DEFAULT}/extlClntAppGlobalOauthSets/{name}{MARKER}.ecaGlblOauth-meta.xml"
    whole = trees.app(f"{name}{MARKER}")
    (settings,) = (text for path, text in whole.items() if path.endswith(".ecaGlblOauth-meta.xml"))
    files = {path: text for path, text in whole.items() if not path.endswith(".ecaGlblOauth-meta.xml")}
    root = ground.ready(tmp_path, [trees.project() | files | {file: settings}, "add --all"])
    started = advised(root, name, file)
    # Before there is a commit, too.
    run_git(root, started, "reset")
    ground.git(root, "add", "--all")
    ground.git(root, "commit", "--quiet", "--message", "made-up")
    started += advised(root, name, file)
    run_git(root, started, "rm")
    assert {"ecapipe", "git", "chmod"} >= {words[0] for words in started} >= {"git", "chmod"}


def advised(root: Path, name: str, file: str) -> list[list[str]]:
    started = list[list[str]]()
    for finding in ground.findings(root, ground.for_("login")):
        texts = list(commands(finding.actions, MARKER))
        started += require_harmless(texts, f"{name}{MARKER}" if "set-secret" in "".join(texts) else file)
    return started


def run_git(root: Path, started: Sequence[Sequence[str]], verb: str) -> None:
    """Run the first git command with a verb; then the index holds no settings."""
    ground.git(root, *next(words for words in started if verb in words)[1:])
    assert not ground.git(root, "ls-files", "*.ecaGlblOauth-meta.xml")


PRINTED: Final = re.compile(
    r"ecapipe (?:(app|login|runs|report) ([a-z-]+)|(run|manifest|explain|doctor))((?: (?:[a-z]+|--[a-z-]+))*)"
)


@every_kind
def test_every_flag_of_a_command_that_is_named_is_known(kind: Kind[...]) -> None:
    for text in (kind.means, kind.remedy, *build(kind, "x").actions):
        for match in PRINTED.finditer(text):
            parser = completion.load_command(match[1] or match[3], match[2])
            assert parser is not None, text
            known = {flag for each in parser.params for flag in each.opts}
            assert {word for word in match[4].split() if word.startswith("--")} <= {*known, "--help"}, text
