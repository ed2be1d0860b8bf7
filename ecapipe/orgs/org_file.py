"""Batch files: the orgs of a run as a CSV or JSON file lists them, read with all their mistakes at once."""

from __future__ import annotations

import codecs
import csv
import io
import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Final

from ecapipe.problems.orgs import malformed_batch_file
from ecapipe.problems.problem import EcapipeError, did_you_mean
from ecapipe.project.apps import FLOWS

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a batch file that are read; more is a mistake."""

COLUMNS: Final = (
    *("alias", "url", "apps", "sourceDir", "flow", "username", "orgId", "scopes", "secretEnv", "browser", "callback"),
)
"""What can be said of an org, in a file and in ``plugins.ecapipe.orgs``."""

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "flow": ("auto", *FLOWS),
    "browser": ("chrome", "edge", "firefox", "none"),
    "callback": ("auto", "listen", "paste"),
}
_LISTS: Final = ("apps", "scopes")
_ROWS: Final = 10_000
_CELL: Final = 4_000
_NAME: Final = 200
_DELIMITERS: Final = (",", ";", "\t")
_ORG_ID: Final = re.compile(r"00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_SECRET_LIKE: Final = re.compile(r"[0-9A-Fa-f]{32,}|00D[A-Za-z0-9]{12,15}!.*")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_MISTAKES: Final = 1_000
"""More are not worth anybody's time; the next run tells of the rest."""
_TELLING: Final = re.compile(r"secret|password|token|private|consumerkey|clientid")


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where an org is described: the row of a file, or a member of sfdx-project.json; `line` counts from 1."""

    label: str
    joint: str
    line: int | None = None

    def of(self, column: str) -> str:
        """Where one thing that is said of the org stands."""
        return f"{self.label}{self.joint}{column}"


@dataclass(frozen=True, slots=True)
class RowMistake:
    """Something that cannot be meant, where it stands, and what it should be."""

    place: RowPlace
    column: str | None
    sentence: str

    def __str__(self) -> str:
        where = self.place.of(self.column) if self.column else self.place.label
        return f"{where}{':' if self.place.joint != '.' else ''} {self.sentence}"


@dataclass(frozen=True, slots=True)
class OrgRow:
    """One org as it is described; nothing of it is judged yet that needs to know other orgs, hosts or apps.

    Of `alias` and `url` one is given at least. `source_dir` is the way from where the run was started.
    """

    place: RowPlace
    alias: str | None = None
    url: str | None = None
    apps: tuple[str, ...] = ()
    source_dir: str | None = None
    flow: str | None = None
    username: str | None = None
    org_id: str | None = None
    scopes: str | None = None
    secret_env: str | None = None
    browser: str | None = None
    callback: str | None = None


@dataclass(frozen=True, slots=True)
class OrgFile:
    """A batch file as read: its orgs, and the mistakes that the text alone shows."""

    file: str
    entries: tuple[OrgRow, ...] = ()
    mistakes: tuple[RowMistake, ...] = ()

    @property
    def attended(self) -> bool:
        """Whether it says how somebody is to sign in, so that there is somebody."""
        return any(entry.browser or entry.callback not in (None, "auto") for entry in self.entries)

    def require(self, further: Sequence[RowMistake] = ()) -> None:
        """Raises `EcapipeError` (MalformedBatchFile) with all mistakes, those in the text and `further` ones."""
        mistakes = sorted((*self.mistakes, *further), key=lambda mistake: mistake.place.line or 0)
        if mistakes:
            raise EcapipeError(
                malformed_batch_file(self.file, mistakes[0].place.line, [str(each) for each in mistakes])
            )


def parse(data: bytes, file: str) -> OrgFile:
    """Read a batch file: JSON if it starts with a bracket, else CSV.

    `file` is its path; a ``sourceDir`` in it is relative to its folder. CSV is read as spreadsheets write it: UTF-8
    or, with a byte order mark, UTF-16; commas, semicolons, tabs or bars; the names of columns in any case, spaces in
    them and empty rows passed over. Row 1 is the header, as a spreadsheet counts.
    """
    whole = RowPlace("the file", ", ", 1)
    if len(data) > LARGEST:
        return OrgFile(file, mistakes=(RowMistake(whole, None, f"is larger than {LARGEST // 1024**2} MiB."),))
    try:
        text = _decode(data)
    except UnicodeDecodeError as error:
        place = RowPlace("the file", ", ", data[: error.start].count(b"\n") + 1)
        advice = 'is not UTF-8 text: save it as "CSV UTF-8".'
        return OrgFile(file, mistakes=(RowMistake(place, None, advice),))
    mistakes: list[RowMistake] = []
    folder = posixpath.dirname(file.replace("\\", "/"))
    read = _json if text.lstrip()[:1] in ("[", "{") else _csv
    entries: list[OrgRow] = []
    for place, members in read(text, mistakes):
        if len(entries) == _ROWS:
            mistakes.append(RowMistake(place, None, f"is one too many: a file holds at most {_ROWS} orgs."))
        if len(entries) == _ROWS or len(mistakes) >= _MISTAKES:
            break
        if not any(str(members.get(name) or "").strip() for name in ("alias", "url")):
            mistakes.append(RowMistake(place, "url", "is missing, and so is the alias: one of them is needed."))
        entries.append(entry(place, members, folder, mistakes))
    if not entries and not mistakes:
        mistakes.append(RowMistake(whole, None, "names no org."))
    return OrgFile(file, tuple(entries), tuple(mistakes))


def entry(place: RowPlace, members: Mapping[str, object], folder: str, mistakes: list[RowMistake]) -> OrgRow:
    """The org that `members` describe; what is wrong with them is added to `mistakes`, and left out."""
    texts: dict[str, str] = {}
    for name, value in members.items():
        text = _value(name, value) if name in COLUMNS else _Wrong(_unknown(name))
        if isinstance(text, _Wrong):
            mistakes.append(RowMistake(place, _shown(name), text.sentence))
        elif text:
            texts[name] = text
        if len(mistakes) >= _MISTAKES:
            break
    source_dir = texts.get("sourceDir")
    return OrgRow(
        place,
        texts.get("alias"),
        texts.get("url"),
        listed(texts.get("apps")),
        _from(folder, source_dir) if source_dir else None,
        texts.get("flow"),
        texts.get("username"),
        texts.get("orgId"),
        texts.get("scopes"),
        texts.get("secretEnv"),
        texts.get("browser"),
        texts.get("callback"),
    )


def _from(folder: str, path: str) -> str:
    absolute = bool(PureWindowsPath(path).drive)
    return path.replace("\\", "/") if absolute else posixpath.join(folder, path.replace("\\", "/"))


def listed(value: object) -> tuple[str, ...]:
    """The names in a cell or member that lists some: a string with spaces, commas or semicolons, or strings."""
    parts = value if isinstance(value, list) else [value]
    words = [word for part in parts if isinstance(part, str) for word in re.split(r"[\s,;]+", part) if word]
    return tuple(dict.fromkeys(words))


@dataclass(frozen=True, slots=True)
class _Wrong:
    """What is wrong with a value."""

    sentence: str


def _value(name: str, value: object) -> str | _Wrong:
    """The text of one member, empty for none. Lists come with a space between their parts."""
    if name in _LISTS and isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = " ".join(value)
    if not isinstance(value, str):
        return _Wrong(f"must be a string{' or a list of strings' if name in _LISTS else ''}.")
    text = " ".join(listed(value)) if name in _LISTS else value.strip()
    most = _NAME if name == "alias" else _CELL
    if len(text) > most:
        return _Wrong(f"is longer than {most} characters.")
    if not text.isprintable():
        return _Wrong("holds characters that cannot be seen.")
    if text and name in CHOICES and text not in CHOICES[name]:
        hints = did_you_mean(text, CHOICES[name])
        return _Wrong(" ".join((f"must be one of {', '.join(CHOICES[name])}.", *hints)))
    if text and name == "orgId" and not _ORG_ID.fullmatch(text):
        return _Wrong("must be an org ID: 00D and 12 or 15 more letters and digits.")
    if text and name == "secretEnv" and (_SECRET_LIKE.fullmatch(text) or not _VARIABLE.fullmatch(text)):
        # What stands here may be the secret itself, so it is not repeated.
        return _Wrong("must be the name of an environment variable, never the secret itself.")
    return text


def _unknown(name: str) -> str:
    if _TELLING.search(_folded(name)):
        return "is not known: put secrets into environment variables, and name the variable in secretEnv."
    hints = did_you_mean(name, COLUMNS)
    return " ".join(("is not known.", *(hints or (f"Known: {', '.join(COLUMNS)}.",))))


def _shown(name: str) -> str:
    """A name that somebody else chose, short and on one line."""
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name.strip())
    return f'"{printable[:40]}{"…" if len(printable) > 40 else ""}"' if printable != name or len(name) > 40 else name


def _folded(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _decode(data: bytes) -> str:
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if data.startswith(mark):
            return data.decode("utf-16")
    return data.decode("utf-8-sig")


# --- CSV ----------------------------------------------------------------------------------------------------


def _csv(text: str, mistakes: list[RowMistake]) -> Iterator[tuple[RowPlace, Mapping[str, object]]]:
    header: list[str] | None = None
    for place, cells in _records(text, mistakes):
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = _header(cells, place, mistakes)
            if not header:
                return
            continue
        members: dict[str, object] = {}
        for number, cell in enumerate(cells):
            if number >= len(header) or not header[number]:
                if cell.strip():
                    mistakes.append(RowMistake(place, str(number + 1), "has a value, but no name in the header."))
            elif header[number] in COLUMNS:
                members[header[number]] = cell
        yield place, members


def _records(text: str, mistakes: list[RowMistake]) -> Iterator[tuple[RowPlace, list[str]]]:
    """The rows, numbered as a spreadsheet shows them: a quoted line break starts none."""
    start = 1
    delimiter = None
    if declared := re.match(r"sep=([,;\t])\r?(?:\n|$)", text):  # spreadsheets obey this first line, and hide it
        delimiter, text, start = declared[1], text[declared.end() :], 2
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter or _delimiter(text), strict=True)
    number = 0
    while True:
        number += 1
        line = reader.line_num + start
        try:
            yield RowPlace(f"row {number}", ", column ", line), next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            advice = "quotes must enclose a whole cell, and be doubled within it"
            reason = "is longer than anything meant" if "limit" in str(error) else f"cannot be read: {advice}"
            mistakes.append(RowMistake(RowPlace(f"row {number}", ", column ", line), None, f"{reason}."))
            return


def _delimiter(text: str) -> str:
    """The one that makes the most known names of the first row that is not empty."""
    first = text.lstrip("\r\n\t ;,").partition("\n")[0].partition("\r")[0][:_CELL]
    known = {_folded(name) for name in COLUMNS}

    def names(delimiter: str) -> int:
        return len({_folded(name) for name in first.split(delimiter)} & known)

    return max(_DELIMITERS, key=names)


def _header(cells: Sequence[str], place: RowPlace, mistakes: list[RowMistake]) -> list[str]:
    """The columns by their exact names; one that is not known stays as it is, and is a mistake. None in a row that is
    no header, of which nothing is repeated: who knows what stands there."""
    by_fold = {_folded(name): name for name in COLUMNS}
    if not any(_folded(cell) in by_fold for cell in cells):
        mistakes.append(RowMistake(place, None, f"must name the columns: {', '.join(COLUMNS)}."))
        return []
    names: list[str] = []
    for cell in cells:
        name = by_fold.get(_folded(cell), cell.strip())
        if name in COLUMNS and name in names:
            mistakes.append(RowMistake(place, name, "is there twice."))
        elif name and name not in COLUMNS:
            mistakes.append(RowMistake(place, _shown(name), _unknown(name)))
        names.append(name)
    if not {"alias", "url"} & set(names):
        mistakes.append(RowMistake(place, "url", "is missing, and so is the column alias: one of them is needed."))
    return names


# --- JSON ---------------------------------------------------------------------------------------------------


class _Pairs(tuple[tuple[str, object], ...]):
    """The members of a JSON object, as they stand there."""

    __slots__ = ()


def _json(text: str, mistakes: list[RowMistake]) -> Iterator[tuple[RowPlace, Mapping[str, object]]]:
    """The objects of a JSON list, one at a time, so that each has its line."""
    decoder = json.JSONDecoder(object_pairs_hook=_Pairs)
    line, at, number = 1, 0, 0

    def skip() -> str:
        """Move over white space; the character that is next."""
        nonlocal at, line
        space = _SPACE.match(text, at)
        if space:
            line += space[0].count("\n")
            at = space.end()
        return text[at : at + 1]

    def fail(sentence: str) -> None:
        mistakes.append(RowMistake(RowPlace(f"line {line}", ", ", line), None, sentence))

    if skip() != "[":
        fail("must start a list of orgs: [{...}, {...}].")
        return
    at += 1
    following = skip()
    if following == "]":
        at += 1
    while following != "]":
        number += 1
        skip()
        place = RowPlace(f"entry {number} (line {line})", ", ", line)
        start = at
        try:
            value, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            line = error.lineno
            fail(f"is not JSON at column {error.colno}: {error.msg}.")
            return
        except RecursionError:
            fail("is nested too deeply.")
            return
        except ValueError:
            fail("holds a number with too many digits.")
            return
        line += text.count("\n", start, at)
        if isinstance(value, _Pairs):
            mistakes += [
                RowMistake(place, _shown(name), "is there twice.")
                for name, times in Counter(name for name, _ in value).items()
                if times > 1
            ][:_MISTAKES]
            yield place, dict(value)
        else:
            mistakes.append(RowMistake(place, None, "must be an object."))
        following = skip()
        if following not in ("]", ","):
            fail("must have a comma between two orgs, and a bracket after the last.")
            return
        at += 1
    if skip():
        fail("must be the end of the file.")
