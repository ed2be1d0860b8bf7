"""The commands of ``--deliver``: split like a POSIX shell line, with a value for each placeholder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ecapipe.credentials.sources import FIELDS, Field

_LIMITED: Final = re.compile(rf"({'|'.join(FIELDS)})=(.*)", re.DOTALL)
_PLACEHOLDER: Final = re.compile(r"\{(field|variable|app|org)\}")
_TELLING: Final = re.compile(r"\{(?:field|variable)\}")
"""The placeholders that tell a program which of the two values it is given."""
_PLAIN: Final = re.compile(r"(?!\.+\Z|-|.* -)[\w .:@+-]+")
"""A name that is one in a path, and neither code nor an option in a user's own shell code, where blanks end words."""


@dataclass(frozen=True, slots=True)
class DeliverCommand:
    """A command for the `fields` that it takes; `words` begin with the program, which has no placeholder."""

    words: tuple[str, ...]
    fields: tuple[Field, ...] = FIELDS

    @property
    def program(self) -> str:
        return self.words[0]

    def tells(self, placeholder: str) -> bool:
        """Whether an argument has the placeholder."""
        return any(f"{{{placeholder}}}" in word for word in self.words[1:])

    def arguments(self, values: Mapping[str, str]) -> list[str]:
        """The arguments of the program with `values` for the placeholders.

        Raises ValueError for a value that would become an option, another path or shell code.
        """
        return [_fill(word, values) for word in self.words[1:]]


def _fill(word: str, values: Mapping[str, str]) -> str:
    # In one pass: what a name holds is not read again.
    filled = _PLACEHOLDER.sub(lambda match: values[match[1]], word)
    used = [values[match[1]] for match in _PLACEHOLDER.finditer(word)]
    # Names come from files of anybody, and a program takes options from its user alone.
    if not all(map(_PLAIN.fullmatch, used)):
        raise ValueError(
            "a word of a name starts with a hyphen, or it contains other characters than letters, digits, spaces and "
            "_.:@+-"
        )
    return filled


def parse(text: str) -> DeliverCommand:
    """The command in a value of ``--deliver``; raises ValueError with a sentence for one that cannot be meant."""
    fields: tuple[Field, ...] = FIELDS
    if limited := _LIMITED.fullmatch(text):
        fields = tuple(field for field in FIELDS if field == limited[1])
        text = limited[2]
    try:
        words = shlex.split(text)
    except ValueError:
        raise ValueError("The command of --deliver has an unclosed quotation mark.") from None
    if not words or not words[0]:
        raise ValueError("--deliver must be a command.")
    if len(fields) > 1 and not any(map(_TELLING.search, words[1:])):
        raise ValueError(
            "A --deliver command must show which value it receives: use {field} or {variable} in an "
            "argument, or limit it to one: --deliver consumerSecret=COMMAND."
        )
    return DeliverCommand(tuple(words), fields)


def covered(commands: Sequence[DeliverCommand]) -> bool:
    """Whether both key and secret are delivered."""
    return {field for command in commands for field in command.fields} == set(FIELDS)
