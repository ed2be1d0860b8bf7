"""What of a command line may be recorded and repeated.

No flag takes a secret. One that stands there all the same was pasted to the wrong place, and goes no further.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ecapipe.problems.problem import Problem
from ecapipe.secret import REDACTED, Secret, redact

_LONGEST: Final = 500
"""Characters of a value that may be shown: all scopes together have fewer."""
_ODD: Final = re.compile(r"[!$^<>`\n]")
"""What passwords and keys have, and no name, path, address or scope."""
_RUN: Final = re.compile(r"[A-Za-z0-9]{16,}")
"""What may be random. Ids of Salesforce and names of runs have as many characters."""
_CLASSES: Final = re.compile(r"[A-Z]+|[a-z]+|[0-9]+")


_KEY_FILE: Final = "--jwt-key-file"
"""The flag whose value may be taken for the key itself: what is no file may be a line of one."""


def presentable(words: Sequence[str]) -> list[str]:
    """`words` of a command line, with ``[REDACTED]`` for each value that looks like a secret."""
    shown = []
    for word, before in zip(words, ["", *words], strict=False):
        value = _value(word)
        if _looks_secret(value, before):
            word = word.removesuffix(value) + REDACTED
        shown.append(word)
    return shown


def conceal(problem: Problem, words: Sequence[str]) -> Problem:
    """`problem` without what looks like a secret in `words`, the command line that it is about."""
    values = map(_value, words)
    secrets = [
        Secret(value) for value, before in zip(values, ["", *words], strict=False) if _looks_secret(value, before)
    ]
    if not secrets:
        return problem
    message, *actions = (redact(text, *secrets) for text in (problem.message, *problem.actions))
    file = problem.file and redact(problem.file, *secrets)
    return replace(problem, message=message, actions=tuple(actions), file=file)


def _value(word: str) -> str:
    """What follows ``--flag=``, else the word itself."""
    return re.sub(r"^--[a-z-]+=", "", word)


def _looks_secret(value: str, before: str) -> bool:
    """Whether `value` may be a secret, in a command line that has the word `before` in front of it."""
    # What is there under this name is a file or a folder, whatever the name looks like.
    if not value or os.path.exists(value):
        return False
    if before == _KEY_FILE:
        return True
    if len(value) > _LONGEST or (len(value) > 11 and _ODD.search(value)):
        return True
    return redact(value) != value or any(map(_looks_random, _RUN.findall(value)))


def _looks_random(run: str) -> bool:
    """Whether letters and digits are mixed as no name mixes them, or are a number as long as a consumer secret."""
    if run.isdecimal():
        return True
    kinds = [part[0] for part in _CLASSES.findall(run)]
    numbers = sum(map(str.isdecimal, kinds))
    # Words and numbers put together differ in kind from letter to letter one time in three, random ones more often.
    return len(run) >= 20 and (numbers > 3 or (numbers > 1 and len(kinds) > 0.4 * len(run)))
