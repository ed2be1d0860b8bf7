"""Replacements of sfdx-project.json: what a deploy would put into a file, resolved literally."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from ecapipe.project import globs, reserved_variables
from ecapipe.project.globs import Pattern

_FIRST_MARK: Final = 0xF0000
MOST: Final = 10_000
MOST_GLOBS: Final = 1000
"""Entries of a project: each is tried on each file."""
_MARK: Final = re.compile(f"[{chr(_FIRST_MARK)}-{chr(_FIRST_MARK + MOST)}]")
"""A character of Unicode's private use, which stands for a value while the file is parsed."""
_LARGEST: Final = 4 * 1024 * 1024
"""Characters that replacing may bring a text to: an expression that matches nothing matches everywhere."""
_LONGEST: Final = 2000
"""Characters of a regular expression."""

Substitute = Callable[[str, str, str], tuple[str, int] | None]
"""Puts a mark for every match of a regular expression in a text; None if that would take too long."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """One entry of ``replacements`` (Salesforce DX Developer Guide, Replace Strings in Code Before Deploying).

    `place` is a file name's end or a glob; `origin` the variable or the file that the value comes from; the entry
    holds only where every variable of `when` has its value.
    """

    place: str
    glob: Pattern | None
    text: str
    is_regex: bool
    kind: Literal["variable", "file"]
    origin: str
    optional: bool = False
    when: Mapping[str, str] = field(default_factory=dict)

    def applies(self, path: str) -> bool:
        """Whether the entry is for the file at the absolute `path`, by the Salesforce CLI's reading of it."""
        if self.glob is None:
            return path.endswith(self.place)
        matched = _path(path)
        return bool(self.glob.ends(matched) & matched.end)


# One file goes through all entries before the next.
@lru_cache(maxsize=4)
def _path(text: str) -> globs.Path:
    return globs.Path(text, hidden=False)


@dataclass(frozen=True, slots=True)
class Value:
    """The text that `origin`, a variable or a file, has for a replacement; None if it has none."""

    origin: str
    text: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Resolved:
    """An element's text with its values, or None and the origins that lack one; `origins` are all of them. `whole`:
    one value is all of the text."""

    text: str | None
    missing: tuple[str, ...]
    origins: tuple[str, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Marked:
    """A file's text with a mark where each value belongs.

    The values stay out of it, so they need no escaping, and nothing in them (``$&``, ``<``) means anything.
    `values` are by the number in the mark. `unfinished` are the origins of entries whose regular expression took too
    long: nobody knows what they would have replaced.
    """

    text: str
    values: Sequence[Value]
    unfinished: Sequence[str] = ()

    def resolve(self, text: str) -> Resolved | None:
        """An element's text with its values; None if nothing is replaced."""
        values = [self._value(mark) for mark in _MARK.findall(text)]
        if not values:
            return None
        missing = tuple(dict.fromkeys(value.origin for value in values if value.text is None))
        resolved = None
        if not missing:
            resolved = _MARK.sub(lambda mark: self._value(mark[0]).text or "", text).strip() or None
        whole = _MARK.fullmatch(text) is not None
        return Resolved(resolved, missing, tuple(dict.fromkeys(value.origin for value in values)), whole)

    def _value(self, mark: str) -> Value:
        return self.values[ord(mark) - _FIRST_MARK]


def mark(
    text: str,
    path: str,
    entries: Sequence[Replacement],
    variable: Callable[[str], str | None],
    value: Callable[[Replacement], str | None],
    substitute: Substitute,
) -> Marked | None:
    """Apply `entries`, in order, to the text of the file at the absolute `path`; None if none of them changes it.

    `variable` reads the environment for conditions, `value` the origin of an entry that is used, and `substitute`
    replaces what a regular expression matches.
    """
    values, unfinished = list[Value](), list[str]()
    # What looks like a mark and is none would stand for somebody else's value.
    text = _MARK.sub("\ufffd", text)
    for entry in entries:
        if not entry.applies(path) or any(variable(name) != expected for name, expected in entry.when.items()):
            continue
        outcome = _replace(entry, text, chr(_FIRST_MARK + len(values)), substitute)
        if outcome is None or len(outcome[0]) > _LARGEST:
            unfinished.append(entry.origin)
            continue
        text, count = outcome
        if count == 0:
            continue
        # Only now: a value is not even read for an entry that changes nothing.
        content = value(entry)
        if content is None and entry.optional:
            content = ""
        values.append(Value(entry.origin, content))
    if not values and not unfinished:
        return None
    return Marked(text, values, tuple(dict.fromkeys(unfinished)))


def _replace(entry: Replacement, text: str, mark: str, substitute: Substitute) -> tuple[str, int] | None:
    if entry.is_regex:
        return substitute(entry.text, mark, text)
    return text.replace(entry.text, mark), text.count(entry.text)


def parse(entry: Mapping[str, object]) -> Replacement | str:
    """A `Replacement` from its JSON, or what is wrong with it."""
    place = _either(entry, "filename", "glob")
    target = _either(entry, "stringToReplace", "regexToReplace")
    origin = _either(entry, "replaceWithEnv", "replaceWithFile")
    if place is None or target is None or origin is None:
        return (
            "needs exactly one of filename and glob, of stringToReplace and regexToReplace, "
            "and of replaceWithEnv and replaceWithFile"
        )
    is_regex = target.name == "regexToReplace"
    # JavaScript writes named groups (?<name>…), Python (?P<name>…).
    text = re.sub(r"\(\?<(?![=!])", "(?P<", target.text) if is_regex else target.text
    if is_regex and (reason := _flaw(text)):
        return f"has a regexToReplace that cannot be read ({reason})"
    try:
        glob = globs.parse(f"**/{place.text}", extended=True) if place.name == "glob" else None
    except ValueError as error:
        return f"has a glob that cannot be read ({error})"
    conditions = entry.get("replaceWhenEnv", [])
    if not isinstance(conditions, list) or not all(isinstance(each, dict) for each in conditions):
        return "has a replaceWhenEnv that is not a list of objects"
    kind: Literal["variable", "file"] = "variable" if origin.name == "replaceWithEnv" else "file"
    # A variable that programs need is never read for a credential: as an optional one it would empty the element.
    may_be_unset = kind == "variable" and not reserved_variables.reserved(origin.text)
    return Replacement(
        place=place.text,
        glob=glob,
        text=text,
        is_regex=is_regex,
        kind=kind,
        origin=origin.text,
        optional=may_be_unset and entry.get("allowUnsetEnvVariable") is True,
        when={str(each.get("env")): str(each.get("value")) for each in conditions},
    )


@dataclass(frozen=True, slots=True)
class _Member:
    """A member of an entry's JSON."""

    name: str
    text: str


def _either(entry: Mapping[str, object], *names: str) -> _Member | None:
    """The only one of the members `names` that is there with a text; None if there is none, or more than one."""
    members = [_Member(name, value) for name in names if isinstance(value := entry.get(name), str) and value]
    if len(members) != 1:
        return None
    return members[0]


def _flaw(pattern: str) -> str | None:
    """What is wrong with a regular expression, as far as can be seen without applying it."""
    if len(pattern) > _LONGEST:
        return f"it has more than {_LONGEST} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except RecursionError:
        return "it is nested too deeply"
    except (re.error, OverflowError) as error:
        return str(error)
    return None
