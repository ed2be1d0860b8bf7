"""What of a command line may be recorded and repeated.

No flag takes a secret. One that stands there all the same was pasted to the wrong place, and goes no further: a value
is shown only if it has the form of what its flag takes, and does not look random.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from ecapipe.cli.help import COMMANDS
from ecapipe.problems.problem import Problem
from ecapipe.problems.usage import interrupted
from ecapipe.secret import REDACTED, Secret, redact

Parameter = Any
"""An option or argument, as typer knows it."""

_NAME: Final = r"\w[\w .-]{0,79}"
_HOST: Final = r"(?:https?://)?(?:\[[0-9a-f:]{2,39}\]|[\w.*-]{1,253})(?::[0-9]{1,5})?"
_USERNAME: Final = r"\w[\w.+'&%-]{0,79}(?:@[\w.-]{1,80})?"
_PATH: Final = r"(?!.*://)[^!$<>^`|*?\"]{1,400}"
"""Not an address, which may have a password in it."""
_NUMBER: Final = r"-?[0-9.]{0,10}[a-z]{0,10}"

_WORD, _FLAG, CHOICE = "word", "flag", "choice"
"""Kinds that no metavar names: what stands where nothing is expected, what looks like a flag, one of a few words."""

_FORMS: Final[Mapping[str, str]] = {
    "APP": _NAME,
    "ORG": rf"(?:{_NAME}=)?(?:{_HOST}(?:/[\w./~-]{{0,200}})?|{_USERNAME}|{_NAME})",
    "HOST": rf"{_HOST}/?",
    "NAME": _USERNAME,
    "DIR": _PATH,
    "FILE": _PATH,
    "FORMAT=PATH": _PATH,
    # What is no file may be the key itself, or a line of it.
    "PATH": r"(?!)",
    "COMMAND": r"[\w ./:@=,{}+'-]{1,400}",
    "RUN": r"[\w-]{1,40}",
    "RUN|FILE": _PATH,
    "REF": r"\w[\w./@~^{}-]{0,199}",
    '"A B"': r"[a-zA-Z][\w:./-]{0,79}(?:[ ,]+[a-zA-Z][\w:./-]{0,79}){0,99}[ ,]*",
    "METHOD URL": r"[A-Za-z]{1,20}",
    "MINUTES": _NUMBER,
    "N": _NUMBER,
    "K/N": r"[0-9]{1,6}/[0-9]{1,6}",
    CHOICE: r"[A-Za-z-]{1,20}",
    _WORD: r"[A-Za-z][\w.:-]{0,39}",
    _FLAG: r"--?[A-Za-z][A-Za-z-]{0,39}",
}
"""What a value looks like, by the metavar with which its flag or argument is declared."""
_PATHS: Final = frozenset({"DIR", "FILE", "PATH", "RUN|FILE"})

_LONGEST: Final = 500
"""Characters of a value that may be shown: all scopes together have fewer."""
_RUN: Final = re.compile(r"[A-Za-z0-9]{16,}")
"""What may be random. Ids of Salesforce and names of runs have as many characters."""
_LINE: Final = re.compile(r"[A-Za-z0-9+/]{40,}")
"""What may be a line of a key in PEM, or a path. The first line of a key is hardly random, but begins alike."""
_FIRST_LINE: Final = re.compile(r"MII[A-Za-z0-9+/]{20}")
_CLASSES: Final = re.compile(r"[A-Z]+|[a-z]+|[0-9]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def kind(parameter: Parameter) -> str:
    """What an option or argument takes, as its metavar says it."""
    metavar: str = (parameter.metavar or "").strip("[]").partition("...")[0].rstrip("…")
    if metavar.islower() or ("|" in metavar and metavar not in _FORMS):
        return CHOICE
    return metavar


def presentable(words: Sequence[str], parameters: Iterable[Parameter]) -> list[str]:
    """`words`, those that follow the name of a command with these `parameters`, with ``[REDACTED]`` for each value
    that may be a secret."""
    return [
        before + (value if _is_shown(value, kind) else REDACTED)
        for before, value, kind in values(words, list(parameters))
    ]


def conceal(problem: Problem, words: Sequence[str]) -> Problem:
    """`problem` without what may be a secret in `words`, the command line that it is about, and what has the shape of
    one, wherever it comes from."""
    # An interrupt says nothing of the command line, and comes while commands are being loaded.
    if problem.kind is interrupted:
        return problem
    hidden = _hidden(tuple(words))
    message, *actions = (_without(text, hidden) for text in (problem.message, *problem.actions))
    file = problem.file and _without(problem.file, hidden)
    return replace(problem, message=message, actions=tuple(actions), file=file)


# A run asks for each problem, and has one command line.
@lru_cache(maxsize=1)
def _hidden(words: tuple[str, ...]) -> tuple[str, ...]:
    """The values in a command line that may be secrets."""
    names, parameters = _command(words)
    found = values(words[names:], parameters)
    return tuple(value for _, value, kind in found if value.strip() and not _is_shown(value, kind))


def _without(text: str, hidden: Sequence[str]) -> str:
    for value in hidden:
        # Of an address or a name that is only mistaken, parts may be said: they are in other words, too.
        for form in (value, repr(value)[1:-1]):
            text = text.replace(form, REDACTED)
    return redact(text, *(Secret(value) for value in hidden if len(value) > _LONGEST or _looks_secret(value)))


def _command(words: Sequence[str]) -> tuple[int, Sequence[Parameter]]:
    """How many words name the command of a command line, and what the command takes."""
    from ecapipe.cli.completion import load_command

    name, child, *_ = (*words, "", "")
    if name not in COMMANDS:
        return 0, ()
    children = COMMANDS[name].children
    if not children:
        return 1, load_command(name, None).params
    if child not in children:
        return 1, ()
    return 2, load_command(name, child).params


def values(words: Sequence[str], parameters: Sequence[Parameter]) -> Iterator[tuple[str, str, str]]:
    """Each word as what stands before its value, the value, and what kind of value belongs there."""
    options = [each for each in parameters if each.param_type_name == "option"]
    kinds = {word: kind(each) for each in options if not each.is_flag for word in each.opts}
    argument = next((kind(each) for each in parameters if each.param_type_name == "argument"), _WORD)
    rest = iter(words)
    for word in rest:
        name, mark, value = word.partition("=")
        if word in kinds:
            yield word, "", _WORD
            yield "", next(rest, ""), kinds[word]
        elif mark and name.startswith("--"):
            known = name in kinds or _is_shown(name, _FLAG)
            yield (f"{name}=", value, kinds.get(name, _WORD)) if known else ("", word, _FLAG)
        elif word[:2] in kinds and not word.startswith("--"):
            yield word[:2], word[2:], kinds[word[:2]]
        elif word == "--":
            yield word, "", _WORD
            yield from (("", each, argument) for each in rest)
        else:
            yield "", word, _FLAG if word.startswith("-") else argument


def _is_shown(value: str, kind: str) -> bool:
    # What is there under this name is a file or a folder, whatever the name looks like.
    if not value or (kind in _PATHS and os.path.exists(value)):
        return True
    if kind == "REF" and _COMMIT.fullmatch(value):
        return True
    return has_form(value, kind) and not _looks_secret(value)


def has_form(value: str, kind: str) -> bool:
    """Whether a value is of a kind, by its form: it may still be random."""
    if len(value) > _LONGEST or not value.isprintable() or not re.fullmatch(_FORMS[kind], value):
        return False
    return redact(value) == value


def _looks_secret(value: str) -> bool:
    """Whether a value holds something random, or a key; of an address with a password the rest counts."""
    value = re.sub(r"(?<=://)[^/]*@", "", value)
    if redact(value) != value or _FIRST_LINE.search(value) or any(map(_looks_random, _RUN.findall(value))):
        return True
    return any(len(_CLASSES.findall(line)) > 0.4 * len(line) for line in _LINE.findall(value))


def _looks_random(run: str) -> bool:
    """Whether letters and digits are mixed as no name mixes them, or are a number as long as a consumer secret."""
    if run.isdecimal():
        return True
    kinds = [part[0] for part in _CLASSES.findall(run)]
    numbers = sum(map(str.isdecimal, kinds))
    # Words and numbers put together differ in kind from letter to letter one time in three, random ones more often.
    return len(run) >= 20 and (numbers > 3 or (numbers > 1 and len(kinds) > 0.4 * len(run)))
