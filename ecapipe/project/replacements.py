"""Replacements of sfdx-project.json: what a deploy would put into a file, resolved literally."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ecapipe.project import reserved_variables

_MARK: Final = re.compile("\ue000(\\d+)\ue001")
"""Private characters around a number: it stands for a value while the file is parsed."""


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
        """Whether the file at the absolute `path` is meant, by the Salesforce CLI's reading of it."""
        if not self.is_glob:
            return path.endswith(self.place)
        from wcmatch import glob

        return glob.globmatch(path, f"**/{self.place}", flags=glob.GLOBSTAR | glob.BRACE | glob.EXTGLOB)


@dataclass(frozen=True, slots=True)
class Marked:
    """A file's text with a mark where each value belongs.

    The values stay out of it, so they need no escaping, and nothing in them (``$&``, ``<``) means anything.
    `values` holds (origin, value) by number; a value is None when its origin does not give one.
    """

    text: str
    values: Sequence[tuple[str, str | None]]

    def resolve(self, text: str) -> tuple[str | None, tuple[str, ...]] | None:
        """An element's text with its values, or None and the origins that lack one; None if nothing is replaced."""
        numbers = [int(number) for number in _MARK.findall(text)]
        if not numbers:
            return None
        lacking = tuple(
            dict.fromkeys(origin for origin, value in map(self.values.__getitem__, numbers) if value is None)
        )
        if lacking:
            return None, lacking
        return _MARK.sub(lambda found: self.values[int(found[1])][1] or "", text).strip() or None, ()


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
    marked = text
    values: list[tuple[str, str | None]] = []
    for entry in entries:
        if not entry.applies(path) or any(variable(name) != wanted for name, wanted in entry.when.items()):
            continue
        stand_in = f"\ue000{len(values)}\ue001"
        marked, count = entry.pattern.subn(lambda _, mark=stand_in: mark, marked)  # type: ignore[misc]
        if count:
            found = value(entry)
            values.append((entry.origin, "" if found is None and entry.optional else found))
    return Marked(marked, values) if values else None


def parse(entry: Mapping[str, object]) -> Replacement | str:
    """A `Replacement` from its JSON, or what is wrong with it."""
    place, is_glob = _one(entry, "filename", "glob")
    what, is_regex = _one(entry, "stringToReplace", "regexToReplace")
    origin, is_file = _one(entry, "replaceWithEnv", "replaceWithFile")
    if place is None or what is None or origin is None:
        return (
            "needs exactly one of filename and glob, of stringToReplace and regexToReplace, "
            "and of replaceWithEnv and replaceWithFile"
        )
    try:
        # JavaScript writes named groups (?<name>…), Python (?P<name>…).
        pattern = re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", what) if is_regex else re.escape(what))
    except re.error as error:
        return f"has a regexToReplace that cannot be read ({error})"
    conditions = entry.get("replaceWhenEnv", [])
    if not isinstance(conditions, list) or not all(isinstance(each, dict) for each in conditions):
        return "has a replaceWhenEnv that is no list of objects"
    when = {str(each.get("env")): str(each.get("value")) for each in conditions}
    optional = entry.get("allowUnsetEnvVariable") is True and not is_file and not reserved_variables.reserved(origin)
    return Replacement(place, is_glob, pattern, "file" if is_file else "variable", origin, optional, when)


def _one(entry: Mapping[str, object], first: str, second: str) -> tuple[str | None, bool]:
    """The text of the one of two members that is there, and whether it is the second."""
    found = [
        (value, name == second) for name in (first, second) if isinstance(value := entry.get(name), str) and value
    ]
    return found[0] if len(found) == 1 else (None, False)
