"""Batch files: the orgs of a run as a CSV or JSON file lists them, read with all their mistakes at once."""

from __future__ import annotations

import codecs
import io
import json
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.orgs.org import NamedBy
from ecapipe.orgs.org_rows import (
    COLUMNS,
    MAX_CELL,
    MAX_MISTAKES,
    OrgRow,
    RowMistake,
    RowPlace,
    fold_name,
    parse_row,
    quote_name,
    unknown_column,
)
from ecapipe.orgs.org_rows import split_list as listed
from ecapipe.problems.orgs import malformed_batch_file, resumed_orgs_unusable
from ecapipe.problems.problem import EcapipeError

__all__ = ["COLUMNS", "LARGEST", "OrgFile", "listed", "parse"]

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a batch file that are read; more is a mistake."""

_MAX_ROWS: Final = 10_000
_WHOLE: Final = "the file"
_DELIMITERS: Final = (",", ";", "\t")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
"""White space as JSON knows it; ``\\s`` would pass over what no JSON parser accepts."""

_Rows = Iterator[tuple[RowPlace, Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class OrgFile:
    """A batch file as read, or several: their orgs, and the mistakes that the text alone shows."""

    entries: tuple[OrgRow, ...] = ()
    mistakes: tuple[RowMistake, ...] = ()
    named_by: NamedBy | None = None
    """Whose word it is, where that does not depend on where it lies."""
    resumed: bool = False
    """Whether the orgs are those of an earlier run, of which the file is the name."""

    @classmethod
    def joined(cls, files: Sequence[OrgFile]) -> OrgFile:
        """Several files as one, whose places say which of them is meant."""
        return cls(
            tuple(replace(row, place=_in_file(row.place)) for each in files for row in each.entries),
            tuple(replace(mistake, place=_in_file(mistake.place)) for each in files for mistake in each.mistakes),
        )

    @property
    def source_dirs(self) -> tuple[str, ...]:
        """The trees that orgs bring along."""
        return tuple(row.source_dir for row in self.entries if row.source_dir)

    @property
    def attended(self) -> bool:
        """Whether it says how somebody is to sign in, so that there is somebody."""
        return any(row.browser or row.callback not in (None, "auto") for row in self.entries)

    def require(self, further: Sequence[RowMistake] = ()) -> None:
        """Raises `EcapipeError` (MalformedBatchFile, ResumedOrgsUnusable) with all mistakes, those in the text and
        `further` ones."""
        mistakes = sorted((*self.mistakes, *further), key=lambda each: (each.place.file, each.place.line or 0))
        if mistakes:
            first, files = mistakes[0].place, len({each.place.file for each in mistakes})
            if self.resumed:
                raise EcapipeError(resumed_orgs_unusable(first.file, [str(each) for each in mistakes]))
            raise EcapipeError(malformed_batch_file(first.file, first.line, [str(each) for each in mistakes], files))


def _in_file(place: RowPlace) -> RowPlace:
    label = f"{place.label} of {place.file}"
    if place.label == _WHOLE:
        label = f"{_WHOLE} {place.file}"
    return replace(place, label=label)


def parse(data: bytes, file: str, flows: tuple[str, ...]) -> OrgFile:
    """Read a batch file: JSON if it starts with a bracket, else CSV.

    `file` is its path; a ``sourceDir`` in it is relative to its folder; `flows` are the words that ``flow`` may be.
    CSV is read as spreadsheets write it: UTF-8 or, with a byte order mark, UTF-16; commas, semicolons or tabs; the
    names of columns in any case, spaces in them and empty rows passed over. Row 1 is the header, as a spreadsheet
    counts.
    """
    if len(data) > LARGEST:
        return _unreadable(file, f"is larger than {LARGEST // 1024**2} MiB.")
    try:
        text = _decode(data)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return _unreadable(file, 'is not UTF-8 text: save it as "CSV UTF-8".', line)
    read: Callable[[str, list[RowMistake]], _Rows] = _read_csv
    if text.lstrip().startswith(("[", "{")):
        read = _read_json
    # Windows writes backslashes.
    folder = posixpath.dirname(file.replace("\\", "/"))
    mistakes: list[RowMistake] = []
    rows: list[OrgRow] = []
    for position, members in read(text, mistakes):
        place = replace(position, file=file)
        if len(rows) == _MAX_ROWS:
            mistakes.append(RowMistake(place, None, f"is one too many: a file can list at most {_MAX_ROWS} orgs."))
            break
        if len(mistakes) >= MAX_MISTAKES:
            break
        if not any(str(members.get(name) or "").strip() for name in ("alias", "url")):
            mistakes.append(RowMistake(place, "url", "is missing, and so is the alias: one of them is required."))
        rows.append(parse_row(place, members, folder, mistakes, flows))
    if not rows and not mistakes:
        return _unreadable(file, "names no org.")
    return OrgFile(
        tuple(rows), tuple(replace(mistake, place=replace(mistake.place, file=file)) for mistake in mistakes)
    )


def _unreadable(file: str, sentence: str, line: int = 1) -> OrgFile:
    """A file that is wrong as a whole."""
    return OrgFile(mistakes=(RowMistake(RowPlace(_WHOLE, ", ", line, file), None, sentence),))


def _decode(data: bytes) -> str:
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if data.startswith(mark):
            return data.decode("utf-16")
    return data.decode("utf-8-sig")


# --- CSV ----------------------------------------------------------------------------------------------------


def _read_csv(text: str, mistakes: list[RowMistake]) -> _Rows:
    header: list[str] | None = None
    for place, cells in _read_records(text, mistakes):
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = _parse_header(cells, place, mistakes)
            if not header:
                return
            continue
        yield place, _name_cells(header, cells, place, mistakes)


def _name_cells(
    header: Sequence[str], cells: Sequence[str], place: RowPlace, mistakes: list[RowMistake]
) -> Mapping[str, object]:
    """The cells of a row by their columns. Those of unknown columns are left out: the header has a mistake."""
    members: dict[str, object] = {}
    for number, cell in enumerate(cells, 1):
        name = ""
        if number <= len(header):
            name = header[number - 1]
        if name in COLUMNS:
            members[name] = cell
        elif not name and cell.strip():
            mistakes.append(RowMistake(place, str(number), "has a value, but no column name in the header."))
    return members


def _read_records(text: str, mistakes: list[RowMistake]) -> Iterator[tuple[RowPlace, list[str]]]:
    """The rows, numbered as a spreadsheet shows them: a quoted line break starts none."""
    import csv  # orgs of a project are read here too, and seldom stand in a table

    first_line = 1
    # Spreadsheets obey a first line like this, and hide it.
    if declaration := re.match(r"sep=([,;\t])\r?(?:\n|$)", text):
        delimiter, text, first_line = declaration[1], text[declaration.end() :], 2
    else:
        delimiter = _guess_delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        # Before the row is read: a quoted line break in it moves the reader to its last line.
        place = RowPlace(f"row {number}", ", column ", reader.line_num + first_line)
        try:
            yield place, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "cannot be read: quotes must enclose a whole cell, and be doubled inside it"
            # The module gives the size of a field no error of its own; an unclosed quote makes one cell of the rest.
            if "limit" in str(error):
                reason = "has a cell that is too long, perhaps because of an unclosed quote"
            mistakes.append(RowMistake(place, None, f"{reason}."))
            return


def _guess_delimiter(text: str) -> str:
    """The one that makes the most known names of the first row that is not empty."""
    header = text.lstrip("\r\n\t ;,").partition("\n")[0].partition("\r")[0][:MAX_CELL]
    known = {fold_name(name) for name in COLUMNS}

    def count_known(delimiter: str) -> int:
        return len({fold_name(name) for name in header.split(delimiter)} & known)

    return max(_DELIMITERS, key=count_known)


def _parse_header(cells: Sequence[str], place: RowPlace, mistakes: list[RowMistake]) -> list[str]:
    """The columns by their exact names; an unknown one stays as it is, and is a mistake. Empty for a row that is no
    header."""
    exact = {fold_name(name): name for name in COLUMNS}
    if not any(fold_name(cell) in exact for cell in cells):
        # Nothing of such a row is repeated: it may be a file of secrets.
        mistakes.append(RowMistake(place, None, f"must list the column names: {', '.join(COLUMNS)}."))
        return []
    names: list[str] = []
    for cell in cells:
        name = exact.get(fold_name(cell), cell.strip())
        if name in COLUMNS and name in names:
            mistakes.append(RowMistake(place, name, "appears twice."))
        elif name and name not in COLUMNS:
            mistakes.append(RowMistake(place, quote_name(name), unknown_column(name)))
        names.append(name)
    if {"alias", "url"}.isdisjoint(names):
        mistakes.append(RowMistake(place, "url", "is missing, and so is the column alias: one of them is required."))
    return names


# --- JSON ---------------------------------------------------------------------------------------------------


class _Pairs(tuple[tuple[str, object], ...]):
    """The members of a JSON object in their order, repeated ones too, which a dict would hide."""

    __slots__ = ()


class _NotJson(Exception):
    """A file that cannot be read further; the text says why."""


def _read_json(text: str, mistakes: list[RowMistake]) -> _Rows:
    reader = _JsonReader(text)
    try:
        for place, value in reader.values():
            if isinstance(value, _Pairs):
                mistakes += _repetitions(place, value)
                yield place, dict(value)
            else:
                mistakes.append(RowMistake(place, None, "must be an object."))
    except _NotJson as error:
        place = RowPlace(f"line {reader.line}", ", ", reader.line)
        mistakes.append(RowMistake(place, None, str(error)))


def _repetitions(place: RowPlace, members: _Pairs) -> list[RowMistake]:
    times = Counter(name for name, _ in members)
    repeated = [name for name, count in times.items() if count > 1][:MAX_MISTAKES]
    return [RowMistake(place, quote_name(name), "appears twice.") for name in repeated]


class _JsonReader:
    """Reads a JSON list one value at a time, so that each has its line, which `json.loads` would not tell."""

    def __init__(self, text: str) -> None:
        self.text, self.position, self.line = text, 0, 1
        self.decoder = json.JSONDecoder(object_pairs_hook=_Pairs)

    def values(self) -> Iterator[tuple[RowPlace, object]]:
        """Each value with its place. Raises `_NotJson`, after the values before the fault."""
        if self.skip_space() != "[":
            raise _NotJson("must start a list of orgs: [{...}, {...}].")
        self.position += 1
        number = 0
        following = self.skip_space()
        if following == "]":
            self.position += 1
        while following != "]":
            number += 1
            self.skip_space()
            place = RowPlace(f"entry {number} (line {self.line})", ", ", self.line)
            yield place, self.decode()
            following = self.skip_space()
            if following not in ("]", ","):
                raise _NotJson("must have a comma between two orgs, and a bracket after the last.")
            self.position += 1
        if self.skip_space():
            raise _NotJson("must be the end of the file.")

    def skip_space(self) -> str:
        """Move over white space; the character that is next, empty at the end."""
        space = _SPACE.match(self.text, self.position)
        if space:
            self.line += space[0].count("\n")
            self.position = space.end()
        return self.text[self.position : self.position + 1]

    def decode(self) -> object:
        """Read the value at this position, and move behind it."""
        start = self.position
        try:
            value, self.position = self.decoder.raw_decode(self.text, start)
        except json.JSONDecodeError as error:
            self.line = error.lineno
            raise _NotJson(f"is not valid JSON at column {error.colno}: {error.msg}.") from None
        except RecursionError:
            raise _NotJson("is nested too deeply.") from None
        except ValueError:
            # Python converts at most 4,300 digits, for longer numbers cost too much time (CVE-2020-10735).
            raise _NotJson("contains a number with too many digits.") from None
        self.line += self.text.count("\n", start, self.position)
        return value
