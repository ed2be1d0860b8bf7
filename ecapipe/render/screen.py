"""What all output for people is laid out for: the width of the screen, its colours, and tables that fit."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, TextIO

UNKNOWN: Final = 80
NARROWEST: Final = 40
_LEAST: Final = 10
"""A column that gets narrower than this breaks every word: then each row becomes a block."""

_WORD: Final = 40
"""A word that is longer may be broken although the table fits."""

_SHORT: Final = 16
"""A column whose cells all are no longer holds counts, outcomes or times: it is wrapped when nothing else helps."""

_SEPARATORS: Final = "/@._:-"
"""A word may be broken behind one of these."""
_PARTS: Final = re.compile(rf"[^{_SEPARATORS}]*[{_SEPARATORS}]?")
_PAINT: Final = re.compile(r"\x1b\[[0-9;]*m")

_COMMAND: Final = r"(?:ecapipe|git|sf|npm|pip|pipx|uv|python3?|chmod) "
"""How a command begins that people copy."""

_GAP: Final = 2

Role = Literal["heading", "good", "bad", "caution", "active", "quiet"]
_CODES: Final[Mapping[str, str]] = {
    "heading": "1",
    "good": "32",
    "bad": "31",
    "caution": "33",
    "active": "35",
    "quiet": "2",
}
"""The colours of `sf` (SGR)."""

LEVEL_ROLES: Final[Mapping[str, Role]] = {
    **dict.fromkeys(("error", "fail", "failed", "refused", "missing"), "bad"),
    **dict.fromkeys(("warning", "warn", "unclear", "waiting"), "caution"),
    **dict.fromkeys(("ok", "accepted", "succeeded", "passed", "planned"), "good"),
}
"""How the words for an outcome are coloured; others are quiet."""


@dataclass(frozen=True, slots=True)
class Screen:
    """What lines are made for. Without colours, what is painted stays as it is."""

    width: int = UNKNOWN
    colour: bool = False
    rule: str = "─"

    def paint(self, text: str, role: Role) -> str:
        return f"\x1b[{_CODES[role]}m{text}\x1b[0m" if self.colour and text else text

    def level(self, word: str, text: str | None = None) -> str:
        """The word for an outcome, or a `text` about it, in its colour."""
        return self.paint(word if text is None else text, LEVEL_ROLES.get(word, "quiet"))

    def message(self, line: str) -> str:
        """A line of an error or warning, in the colours of `sf`."""
        for prefix, role in (("Error (", "bad"), ("Error: ", "bad"), ("Warning: ", "caution")):
            if self.colour and line.startswith(prefix):
                head, colon, rest = line.partition(": ")
                return f"\x1b[1;{_CODES[role]}m{head}{colon}\x1b[0m{rest}"
        return self.paint(line, "quiet") if line == "Try this:" else line

    def fitting(self, lines: Iterable[str]) -> Iterator[str]:
        """Lines of a terminal, those that are too long broken between words."""
        for line in lines:
            indent = " " * (len(line) - len(line.lstrip()))
            fits = len(_PAINT.sub("", line)) <= self.width
            yield from (line,) if fits else self.wrap(line.lstrip(), indent, f"{indent}  ")

    def messages(self, lines: Iterable[str], *, wrapped: bool) -> Iterator[str]:
        """The lines of errors and warnings in their colours; `wrapped`, for a terminal, between words, but for
        commands."""
        for line in lines:
            for part in self._between_words(line) if wrapped else (line,):
                yield self.message(part)

    def _between_words(self, line: str) -> Iterator[str]:
        if len(line) <= self.width or re.match(_COMMAND, line):
            yield line
            return
        sentence, *commands = split_command(line)
        yield from (*self.wrap(sentence), *commands)

    def wrap(self, text: str, indent: str = "", later: str | None = None) -> list[str]:
        """`text` in lines that fit, each after `indent`, or after `later` from the second on; a word that does not
        fit has a line of its own."""
        return textwrap.wrap(
            text,
            self.width,
            initial_indent=indent,
            subsequent_indent=indent if later is None else later,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [indent.rstrip()]

    def folded(self, text: str, indent: str = "", later: str | None = None) -> list[str]:
        """The same, where a word that does not fit is broken behind a separator."""
        later = indent if later is None else later
        parts = fold(text, self.width - max(len(indent), len(later)))
        return [f"{later if number else indent}{part}" for number, part in enumerate(parts)]

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]], marks: Sequence[str] = ()) -> Iterator[str]:
        """A table under heads. Cells are wrapped where it is wider than the screen; where that leaves too little for
        a column, each row is a block of its own. `marks`: for each row the word that decides the colour of the cell
        that says it."""
        widths = self._widths(heads, rows)
        if widths is None:
            yield from self._blocks(heads, rows)
            return
        for line in _lines(heads, widths):
            yield self.paint(line, "heading")
        yield self.paint(_join([self.rule * width for width in widths], widths), "quiet")
        for row, mark in zip(rows, marks or [""] * len(rows), strict=True):
            first, *rest = _lines(row, widths)
            if mark in row:
                start = sum(width + _GAP for width in widths[: list(row).index(mark)])
                first = first[:start] + self.level(mark) + first[start + len(mark) :]
            yield from (first, *rest)

    def _widths(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int] | None:
        """The width of each column, the widest made narrower first; None if that would break names."""
        columns = list(zip(heads, *rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        room = self.width - _GAP * (len(widths) - 1)
        texts = [[word for cell in column for word in cell.split()] or [""] for column in columns]
        words = [min(_WORD, max(map(len, each))) for each in texts]
        cells = [max(map(len, cells), default=0) for _, *cells in columns]
        short = [cell if word <= cell <= _SHORT else word for cell, word in zip(cells, words, strict=True)]
        # Words stay whole, for they may be names to be copied, and so do short cells, if that is possible: paths are
        # broken first, then words, behind their separators.
        floors = [_LEAST if any("/" in word for word in each) else _WORD for each in texts]
        parts = [max(len(part) for word in each for part in _PARTS.findall(word) or [""]) for each in texts]
        choices = (_narrowed(*each, room) for each in ((short, floors), (words, floors), (words, parts)))
        least = next((choice for choice in choices if sum(choice) <= room), None)
        if least is None:
            return None
        while (excess := sum(widths) - room) > 0:
            number = max(range(len(widths)), key=lambda column: (widths[column] > least[column], widths[column]))
            widths[number] = max(least[number], widths[number] - max(1, excess // len(widths)))
        return widths

    def _blocks(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
        for number, row in enumerate(rows):
            if number:
                yield ""
            for head, cell in zip(heads, row, strict=True):
                if cell:
                    yield from self.folded(f"{head}: {cell}" if head else cell)


PLAIN: Final = Screen()
"""No terminal."""


def _narrowed(widths: Sequence[int], floors: Sequence[int], room: int) -> list[int]:
    """The widths where they need more than `room`, the widest made narrower first, down to its floor."""
    narrowed = list(widths)
    while sum(narrowed) > room:
        wide = [column for column, width in enumerate(narrowed) if width > max(floors[column], _LEAST)]
        if not wide:
            break
        narrowed[max(wide, key=lambda column: (narrowed[column], column))] -= 1
    return narrowed


def split_command(sentence: str) -> list[str]:
    """A sentence, and the command at its end, if there is one."""
    return re.split(rf"(?<=:) (?={_COMMAND})", sentence, maxsplit=1)


def _lines(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """The lines of a row."""
    folded = [fold(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, folded))):
        yield _join([lines[number] if number < len(lines) else "" for lines in folded], widths)


def _join(cells: Sequence[str], widths: Sequence[int]) -> str:
    return (" " * _GAP).join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def fold(cell: str, width: int) -> list[str]:
    """The lines of a cell: broken between words, and where one is longer than the column, behind a separator."""
    lines, line = list[str](), ""
    for word in cell.split():
        if line and len(line) + 1 + len(word) <= width:
            line += f" {word}"
            continue
        lines += [line] if line else []
        while len(word) > width:
            cut = max(word.rfind(mark, 0, width) for mark in _SEPARATORS) + 1
            cut = cut if cut > width // 2 else width
            lines.append(word[:cut])
            word = word[cut:]
        line = word
    return [*lines, line]


def terminal_width(stream: int = 1) -> int:
    """Columns of the terminal, at least 40; 80 where there is none."""
    # As shutil.get_terminal_size, which costs the import of every compression.
    columns = os.environ.get("COLUMNS", "")
    with suppress(OSError, ValueError):
        found = int(columns) if columns.isdecimal() and int(columns) else os.get_terminal_size(stream).columns
        return max(NARROWEST, found) if found else UNKNOWN
    return UNKNOWN


def coloured(stream: TextIO, get: Mapping[str, str] = os.environ) -> bool:
    """Whether lines on `stream` have colours: NO_COLOR (no-color.org) comes before FORCE_COLOR, as for `sf`."""
    if get.get("NO_COLOR"):
        return False
    if forced := get.get("FORCE_COLOR"):
        return forced.lower() not in ("0", "false")
    return stream.isatty() and get.get("TERM") != "dumb"
