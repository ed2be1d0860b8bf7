"""What a person reads is plain English: the words of the glossary in CONTRIBUTING, and none of the habits below."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecapipe.cli.completion import load_command
from ecapipe.cli.help import COMMANDS, EXAMPLES

ROOT = Path(__file__).parents[2]

# What to drop → what to say instead.
HABITS = {
    r"(?:keep|keeps|kept|keeping)(?! (?:[\w-]+ ){0,6}out of)": "save, store, leave",
    r"nobody|somebody|anybody|everybody|people|whoever": "user, no one, or leave it out",
    r"tell|tells|told|telling": "say, report, return, show",
    r"go on|goes on|went on|going on|gone on": "resume, continue",
    r"stand|stands|stood": "appear, be",
    r"mend|mends|mended": "fix, correct",
    r"anew": "again",
    r"pass(?:es|ed)? (?:\w+ )?over": "skip, ignore",
    r"forget|forgets|forgot|forgotten": "not stored, remove",
    r"fit|fits|fitting": "match, suit",
    r"is to be|are to be|is to come|are to come|was to come": "say what will happen, or what to do",
    r"look at|looks at|looked at|a look": "check, see, open",
    r"take for|takes for|taken for": "mistake for",
    r"broken off|comes? to nothing": "interrupted, fails",
    r"wherever|whatever|whosesoever": "any, all",
    r"by itself|by themselves": "automatically",
    r"put together": "merge",
    r"misses|lacks of": "lacks, is missing",
    r"(?:with|from|to|of) whom|whose sake": "name the user",
    r"speak(?:s)? of|speaking of": "name, describe",
    r"hold it|holds? still": "pause",
    r"all the same": "anyway",
    r"in force": "active",
    r"dead": "no longer works",
    r"taken? over|takes over": "already done in, reused from",
    r"exclude each other|belong together": "can't be used with, require",
    r"(?:is|are|were) asked for": "requested",
    r"batch files?": "org file",
    r"(?:and|given) is none": "is not a",
    r"not there|that is there": "doesn't exist, existing",
    r"to the letter|at hand": "exactly, available",
    r"meant for": "assigned to",
}
ENDS = re.compile(r", too(?=[.,;:)]|$)", re.MULTILINE)
"""A final "too": say also."""
WORDS = re.compile(rf"(?<![\w`$<.-])(?:{'|'.join(HABITS)})(?![\w`-]|\.\w)", re.IGNORECASE)

ALLOWED = {
    # Names in JSON, of flags and of commands, which are promises.
    "forgotten", "app forget-secret", "forget-secret",
}  # fmt: skip
ROOMS = sorted(path.name for path in (ROOT / "ecapipe").iterdir() if path.suffix == ".py" or any(path.glob("*.py")))
DOCS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / ".github/docs").glob("*.md"))
PAGES = ["README.md", ".github/CHANGELOG.md", ".github/SECURITY.md", ".github/SUPPORT.md", *DOCS]


def modules(room: Path) -> list[Path]:
    return [room] if room.suffix else sorted(room.rglob("*.py"))


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """The string constants of a module, and the docstrings of commands, which are their help."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # A docstring, and a string below an attribute, are read by developers.
    unseen = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    commands = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
        and any("with_flags" in ast.unparse(each) for each in node.decorator_list)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in unseen - commands:
            yield node.lineno, node.value


def habits(text: str) -> list[str]:
    """The habits in a text; a single word is a name, and no sentence."""
    if " " not in text.strip():
        return []
    return [each[0] for pattern in (WORDS, ENDS) for each in pattern.finditer(text) if each[0] not in ALLOWED]


LINES = [(name, child) for name, entry in COMMANDS.items() for child in entry.children or (None,)]


@pytest.mark.parametrize(("name", "child"), LINES)
def test_help_is_written_one_way(name: str, child: str | None) -> None:
    command = load_command(name, child)
    summary = (command.help or "").strip().partition("\n\n")[0]
    flags = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    for sentence in (summary, *(flag.help for flag in flags)):
        assert re.fullmatch(r"[A-Z].*\.", sentence, re.DOTALL), sentence
    examples = [example.does for example in EXAMPLES[" ".join(filter(None, ("ecapipe", name, child)))]]
    assert all(does.endswith(":") for does in examples)
    # "Prints the token" describes a command; "Print the token" is how sf, git and gh put it.
    assert [each for each in (summary, *examples) if re.match(r"\w+[^s]s ", each)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_the_program_speaks_plain_english(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {found}: {text[:90]!r}"
        for path in modules(ROOT / "ecapipe" / room)
        for line, text in texts(path)
        for found in habits(text)
    ]
    assert found == []


@pytest.mark.parametrize("page", [*PAGES, ".github/RULES.md"])
def test_the_documents_speak_plain_english(page: str) -> None:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert [f"{word}: {line}" for line in prose.splitlines() for word in habits(line)] == []
