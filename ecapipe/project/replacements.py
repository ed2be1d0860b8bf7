"""Replacements of sfdx-project.json: what a deploy would put into a file, resolved literally."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ecapipe.project import reserved_variables

_MARK: Final = re.compile("\ue000(\\d+)\ue001")
"""Characters of Unicode's private use around a number, which stands for a value while the file is parsed."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """One entry of ``replacements`` (Salesforce DX Developer Guide, Replace Strings in Code Before Deploying).

    `place` is a file name's end or a glob; `origin` the variable or the file that the value comes from; the entry
    holds only where every variable of `when` has its value.
    """

    place: str
    is_glob: bool
    pattern: re.Pattern[str]
    kind: Literal["variable", "file"]
    origin: str
    optional: bool = False
    when: Mapping[str, str] = field(default_factory=dict)

    def applies(self, path: str) -> bool:
        """Whether the entry is for the file at the absolute `path`, by the Salesforce CLI's reading of it."""
        if not self.is_glob:
            return path.endswith(self.place)
        from wcmatch import glob

        return glob.globmatch(path, f"**/{self.place}", flags=glob.GLOBSTAR | glob.BRACE | glob.EXTGLOB)


@dataclass(frozen=True, slots=True)
class Value:
    """The text that `origin`, a variable or a file, has for a replacement; None if it has none."""

    origin: str
    text: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Resolved:
    """An element's text with its values, or None and the origins that lack one; `origins` are all of them."""

    text: str | None
    missing: tuple[str, ...]
    origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Marked:
    """A file's text with a mark where each value belongs.

    The values stay out of it, so they need no escaping, and nothing in them (``$&``, ``<``) means anything.
    `values` are by the number in the mark.
    """

    text: str
    values: Sequence[Value]

    def resolve(self, text: str) -> Resolved | None:
        """An element's text with its values; None if nothing is replaced."""
        values = [self.values[int(number)] for number in _MARK.findall(text)]
        if not values:
            return None
        missing = tuple(dict.fromkeys(value.origin for value in values if value.text is None))
        resolved = None
        if not missing:
            resolved = _MARK.sub(lambda mark: self.values[int(mark[1])].text or "", text).strip() or None
        return Resolved(resolved, missing, tuple(dict.fromkeys(value.origin for value in values)))


def mark(
    text: str,
    path: str,
    entries: Sequence[Replacement],
    variable: Callable[[str], str | None],
    value: Callable[[Replacement], str | None],
) -> Marked | None:
    """Apply `entries`, in order, to the text of the file at the absolute `path`; None if none of them changes it.

    `variable` reads the environment for conditions, `value` the origin of an entry that is used.
    """
    values: list[Value] = []
    for entry in entries:
        if not entry.applies(path) or any(variable(name) != expected for name, expected in entry.when.items()):
            continue
        stand_in = f"\ue000{len(values)}\ue001"
        # A function, since a string would be read for backslashes and groups.
        text, count = entry.pattern.subn(lambda _, mark=stand_in: mark, text)  # type: ignore[misc]
        if count == 0:
            continue
        # Only now: a value is not even read for an entry that changes nothing.
        content = value(entry)
        if content is None and entry.optional:
            content = ""
        values.append(Value(entry.origin, content))
    if not values:
        return None
    return Marked(text, values)


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
    try:
        pattern = _pattern(target)
    except re.error as error:
        return f"has a regexToReplace that cannot be read ({error})"
    conditions = entry.get("replaceWhenEnv", [])
    if not isinstance(conditions, list) or not all(isinstance(each, dict) for each in conditions):
        return "has a replaceWhenEnv that is no list of objects"
    kind: Literal["variable", "file"] = "variable" if origin.name == "replaceWithEnv" else "file"
    # A variable that programs need is never read for a credential: as an optional one it would empty the element.
    may_be_unset = kind == "variable" and not reserved_variables.reserved(origin.text)
    return Replacement(
        place=place.text,
        is_glob=place.name == "glob",
        pattern=pattern,
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


def _pattern(target: _Member) -> re.Pattern[str]:
    """The pattern of what an entry replaces; raises `re.error`."""
    if target.name == "stringToReplace":
        return re.compile(re.escape(target.text))
    # JavaScript writes named groups (?<name>…), Python (?P<name>…).
    return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", target.text))
