"""The description of an org as people write it: a row of a batch file, or a member of ``plugins.ecapipe.orgs``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Final

from ecapipe.problems.problem import did_you_mean
from ecapipe.secret import without_shapes

COLUMNS: Final = (
    *("alias", "url", "apps", "sourceDir", "flow", "username", "orgId", "scopes", "secretEnv", "browser", "callback"),
)
"""What can be said of an org, in a file and in ``plugins.ecapipe.orgs``."""

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "browser": ("chrome", "edge", "firefox", "none"),
    "callback": ("auto", "listen", "paste"),
}

MAX_MISTAKES: Final = 1_000
"""Nobody corrects more at a time; the next run reports the rest."""

MAX_CELL: Final = 4_000
"""Characters of one value."""

_LISTS: Final = ("apps", "scopes")
_PLACE: Final = "put secrets in environment variables, and set secretEnv to the name of the variable."
SECRET_GIVEN: Final = f"looks like a secret: {_PLACE}"
_MAX_ALIAS: Final = 200
_ORG_ID: Final = re.compile(r"00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]{32,}")

_SECRET_COLUMN: Final = re.compile(r"secret|password|token|private|consumerkey|clientid")
"""Parts of column names under which people expect to give a secret."""


@dataclass(frozen=True, slots=True)
class RowPlace:
    """Where an org is described: the row of the org file `file`, or a member of sfdx-project.json; `line` counts from
    1."""

    label: str
    joint: str
    line: int | None = None
    file: str = ""

    def of(self, column: str) -> str:
        """The place of one value of the description."""
        return f"{self.label}{self.joint}{column}"


@dataclass(frozen=True, slots=True)
class RowMistake:
    """A mistake in the description of an org: its place, and a sentence that says what should be there."""

    place: RowPlace
    column: str | None
    sentence: str

    def __str__(self) -> str:
        place = self.place.label
        if self.column:
            place = self.place.of(self.column)
        # The member of a project reads as the subject of the sentence: "plugins.ecapipe.orgs.uat.url is missing."
        if self.place.joint == ".":
            return f"{place} {self.sentence}"
        return f"{place}: {self.sentence}"


@dataclass(frozen=True, slots=True)
class OrgRow:
    """The description of one org, checked as far as that is possible without other orgs, hosts or apps.

    `alias` or `url` is given, or both. `source_dir` is relative to where the run was started.
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


def parse_row(
    place: RowPlace, members: Mapping[str, object], folder: str, mistakes: list[RowMistake], flows: tuple[str, ...]
) -> OrgRow:
    """The org that `members` describe; what is wrong with them is added to `mistakes`, and left out.

    ``sourceDir`` is relative to `folder`; `flows` are the words that ``flow`` may be.
    """
    choices = {**CHOICES, "flow": flows}
    texts: dict[str, str] = {}
    for name, value in members.items():
        text = _parse_value(name, value, choices)
        if isinstance(text, _Invalid):
            mistakes.append(RowMistake(place, quote_name(name), text.sentence))
        elif text:
            texts[name] = text
        # One row can have as many members as the file has room for.
        if len(mistakes) >= MAX_MISTAKES:
            break
    source_dir = texts.get("sourceDir")
    if source_dir:
        source_dir = _from_folder(folder, source_dir)
    return OrgRow(
        place=place,
        alias=texts.get("alias"),
        url=texts.get("url"),
        apps=split_list(texts.get("apps")),
        source_dir=source_dir,
        flow=texts.get("flow"),
        username=texts.get("username"),
        org_id=texts.get("orgId"),
        scopes=texts.get("scopes"),
        secret_env=texts.get("secretEnv"),
        browser=texts.get("browser"),
        callback=texts.get("callback"),
    )


def _from_folder(folder: str, path: str) -> str:
    """A path in a file that lies in `folder`, with slashes; a drive of Windows is absolute on every system."""
    slashed = path.replace("\\", "/")
    if PureWindowsPath(path).drive:
        return slashed
    return posixpath.join(folder, slashed)


def split_list(value: object) -> tuple[str, ...]:
    """The names in a cell or member that lists some: a string with spaces, commas or semicolons, or strings."""
    parts = value if isinstance(value, list) else [value]
    words = [word for part in parts if isinstance(part, str) for word in re.split(r"[\s,;]+", part) if word]
    return tuple(dict.fromkeys(words))


@dataclass(frozen=True, slots=True)
class _Invalid:
    """A value that cannot be used; `sentence` says what is wrong with it."""

    sentence: str


def _parse_value(name: str, value: object, choices: Mapping[str, tuple[str, ...]]) -> str | _Invalid:
    """The text of one member, empty for none. Lists come with a space between their parts."""
    if name not in COLUMNS:
        return _Invalid(unknown_column(name))
    if name in _LISTS:
        if not isinstance(value, str) and not _is_string_list(value):
            return _Invalid("must be a string or a list of strings.")
        text = " ".join(split_list(value))
    elif isinstance(value, str):
        text = value.strip()
    else:
        return _Invalid("must be a string.")
    sentence = _check(name, text, choices.get(name))
    if sentence:
        return _Invalid(sentence)
    return text


def _is_string_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _check(name: str, text: str, choices: tuple[str, ...] | None) -> str | None:
    """What is wrong with the text of a member, which is one of `choices` if there are any."""
    longest = _MAX_ALIAS if name == "alias" else MAX_CELL
    if len(text) > longest:
        return f"is longer than {longest} characters."
    # Terminals and reports show the value, and nobody could see that it is another one than it seems.
    if not text.isprintable():
        return "contains invisible characters."
    if not text:
        return None
    # Of a folder the path is the name, whatever it looks like.
    if name != "sourceDir" and looks_secret(text):
        return SECRET_GIVEN
    if choices is not None and text not in choices:
        return " ".join((f"must be one of {', '.join(choices)}.", *did_you_mean(text, choices)))
    if name == "orgId" and not _ORG_ID.fullmatch(text):
        return "must be an org ID: 00D and 12 or 15 more letters and digits."
    if name == "secretEnv" and (_HEXADECIMAL.fullmatch(text) or not _VARIABLE.fullmatch(text)):
        # What stands here may be the secret itself, so it is not repeated.
        return "must be the name of an environment variable, not the secret itself."
    return None


def looks_secret(text: str) -> bool:
    """Whether a value has the shape of a token, code or consumer secret: it is not repeated then, nor a name."""
    return without_shapes(text) != text


def unknown_column(name: str) -> str:
    """What to say of a column that is not known."""
    # A similar name is no help to somebody who is about to write a secret into the file.
    if _SECRET_COLUMN.search(fold_name(name)):
        return f"is unknown: {_PLACE}"
    hints = did_you_mean(name, COLUMNS) or (f"Known: {', '.join(COLUMNS)}.",)
    return " ".join(("is unknown.", *hints))


def quote_name(name: str) -> str:
    """A name that somebody else chose, short and on one line."""
    printable = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in name.strip())
    if printable == name and len(name) <= 40:
        return name
    if len(printable) > 40:
        printable = f"{printable[:40]}…"
    return f'"{printable}"'


def fold_name(name: str) -> str:
    """A column's name as it is compared: spreadsheets invite spaces, underscores and capitals."""
    return re.sub(r"[\W_]", "", name).casefold()
