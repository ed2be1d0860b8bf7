"""Patterns for paths, matched in steps that grow with pattern and path alone.

A matcher that tries and goes back, as regular expressions do, takes years over ``*a*a*a*a*a*b``, and whoever writes
a tree writes its patterns. Here all places that a part of a pattern may end at are held at once, as a number's bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

_MOST_ALTERNATIVES: Final = 1000
_LONGEST: Final = 4096
"""Characters of a pattern; a path can't be longer either."""
_CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "alpha": str.isalpha,
    "digit": str.isdigit,
    "alnum": str.isalnum,
    "upper": str.isupper,
    "lower": str.islower,
    "space": str.isspace,
    "blank": lambda character: character in " \t",
    "punct": lambda character: character.isprintable() and not character.isalnum() and character != " ",
    "xdigit": lambda character: character in "0123456789abcdefABCDEF",
}


class Path:
    """A path to be matched. Bit n of a number stands for the place before its nth character."""

    def __init__(self, text: str, *, hidden: bool) -> None:
        """`hidden`: wildcards match a dot at the beginning of a name, too."""
        self.text = text
        self.end = 1 << len(text)
        self.slashes = self.where(lambda character: character == "/")
        self.inside = (self.end - 1) & ~self.slashes
        self.starts = (self.slashes << 1) | 1
        # Places of which wildcards take the next character, and those that ** may pass.
        dots = 0 if hidden else self.where(lambda character: character == ".") & self.starts
        self.wild = self.inside & ~dots
        self.open = (self.end - 1) & ~(flood(dots, self.inside) | (flood(dots, self.inside) & self.slashes))

    @cached_property
    def _places(self) -> dict[str, int]:
        places: dict[str, int] = {}
        for index, character in enumerate(self.text):
            places[character] = places.get(character, 0) | 1 << index
        return places

    def of(self, character: str) -> int:
        return self._places.get(character, 0)

    def where(self, holds: Callable[[str], bool]) -> int:
        """The places of all characters of a kind."""
        found = 0
        for character, places in self._places.items():
            if holds(character):
                found |= places
        return found


def flood(start: int, through: int) -> int:
    """The places `start`, and all that are reached from there by going only `through` certain places."""
    entry = start & through
    # The carry of an addition runs through neighbouring bits.
    return start | (((entry + through) ^ through) | entry)


Step = Callable[[Path, int], int]
"""From the places where a part of a pattern begins to those where it may end."""


@dataclass(frozen=True, slots=True)
class Pattern:
    steps: tuple[Step, ...]

    def ends(self, path: Path, places: int = 1) -> int:
        """Where the pattern may end, if it begins at `places`."""
        for step in self.steps:
            if not places:
                return 0
            places = step(path, places)
        return places


def _literal(character: str) -> Step:
    return lambda path, places: (places & path.of(character)) << 1


def _one(path: Path, places: int) -> int:
    return (places & path.wild) << 1


def _star(path: Path, places: int) -> int:
    # At a dot that is hidden it may still match nothing.
    return places | flood(places & path.wild, path.inside)


def _folders(path: Path, places: int) -> int:
    """``**/``: any folders, or none."""
    return (places | flood(places & path.open, path.open)) & path.starts


def _all(path: Path, places: int) -> int:
    """``**`` at the end."""
    return places | flood(places & path.open, path.open)


def _either(patterns: Sequence[Pattern], kind: str) -> Step:
    """One of `patterns`; `kind` as in extended globs: ``@ ? * + !``."""

    def once(path: Path, places: int) -> int:
        found = 0
        for pattern in patterns:
            found |= pattern.ends(path, places)
        return found

    def other(path: Path, places: int) -> int:
        found = 0
        for start in _bits(places):
            found |= _star(path, start) & ~once(path, start)
        return found

    def repeated(path: Path, places: int) -> int:
        found, new = (places if kind == "*" else 0), places
        while new := once(path, new) & ~found:
            found |= new
        return found

    match kind:
        case "?":
            return lambda path, places: places | once(path, places)
        case "!":
            return other
        case "*" | "+":
            return repeated
        case _:
            return once


def _bits(number: int) -> Iterator[int]:
    while number:
        yield (lowest := number & -number)
        number ^= lowest


def parse(text: str, *, extended: bool) -> Pattern:
    """The pattern that `text` means; `extended`: with ``{a,b}``, ``{1..3}`` and ``@(a|b)``.

    Raises `ValueError` for one that cannot be read.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST} characters")
    reader = _Reader(text, extended)
    pattern = reader.sequence("")
    if reader.place < len(text):
        raise ValueError(f"{text[reader.place]} closes nothing")
    return pattern


class _Reader:
    def __init__(self, text: str, extended: bool) -> None:
        self.text, self.place, self.extended = text, 0, extended
        self.grouped, self.depth = 0, 0

    def sequence(self, until: str) -> Pattern:
        """What stands before one of the characters `until`, or the end."""
        steps: list[Step] = []
        while self.place < len(self.text) and self.text[self.place] not in until:
            step = self._step()
            # A second star matches nothing that the first does not.
            if step is not _star or not steps or steps[-1] is not _star:
                steps.append(step)
        return Pattern(tuple(steps))

    def _step(self) -> Step:
        character = self.text[self.place]
        if self.extended and character in "@?*+!" and self.text[self.place + 1 : self.place + 2] == "(":
            return self._group(character)
        if self.extended and character == "{" and (step := self._braces()):
            return step
        if character == "[":
            return self._class()
        if character == "*":
            return self._stars()
        self.place += 1
        if character == "?":
            return _one
        if character == "\\":
            if self.place == len(self.text):
                raise ValueError("it ends with a backslash")
            character = self.text[self.place]
            self.place += 1
        return _literal(character)

    def _stars(self) -> Step:
        start = self.place
        while self.text[self.place : self.place + 1] == "*":
            self.place += 1
        if self.extended and self.text[self.place : self.place + 1] == "(":
            self.place -= 1  # the last one belongs to the group
            return _star
        if self.place - start == 2 and (start == 0 or self.text[start - 1] in "/{,"):
            if self.text[self.place : self.place + 1] == "/":
                self.place += 1
                return _folders
            if self.place == len(self.text) or self.text[self.place] in ",}":
                return _all
        return _star

    def _group(self, kind: str) -> Step:
        # One that repeats another could take the power of its depth.
        if self.grouped:
            raise ValueError("it has groups in groups")
        self.grouped += 1
        self.place += 2
        patterns = self._alternatives("|", ")")
        self.grouped -= 1
        return _either(patterns, kind)

    def _alternatives(self, separator: str, end: str) -> list[Pattern]:
        patterns = [self.sequence(separator + end)]
        while self.text[self.place : self.place + 1] == separator:
            self.place += 1
            patterns.append(self.sequence(separator + end))
        if self.place == len(self.text):
            raise ValueError(f"{end} is missing")
        self.place += 1
        return patterns

    def _braces(self) -> Step | None:
        """The alternatives in braces; None for braces that are only characters."""
        end = self.text.find("}", self.place)
        inner = self.text[self.place + 1 : end]
        if end < 0:
            return None
        if "{" not in inner and "," not in inner:
            bounds = inner.split("..")
            if len(bounds) not in (2, 3):
                return None
            words = _range(bounds)
            self.place = end + 1
            return _either([Pattern(tuple(map(_literal, word))) for word in words], "@")
        self.place += 1
        self.depth += 1
        if self.depth > 8:
            raise ValueError("it has braces nested deeper than 8 levels")
        step = _either(self._alternatives(",", "}"), "@")
        self.depth -= 1
        return step

    def _class(self) -> Step:
        """``[a-z]``; raises `ValueError` where it has no end."""
        place = self.place + 1
        negated = self.text[place : place + 1] in ("!", "^")
        place += negated
        tests: list[Callable[[str], bool]] = []
        first = place
        while self.text[place : place + 1] != "]" or place == first:
            if place >= len(self.text):
                raise ValueError("] is missing")
            if self.text.startswith("[:", place) and (end := self.text.find(":]", place)) > 0:
                tests.append(_CLASSES.get(self.text[place + 2 : end], lambda _: False))
                place = end + 2
                continue
            low, place = _member(self.text, place)
            high = low
            if self.text[place : place + 1] == "-" and self.text[place + 1 : place + 2] not in ("]", ""):
                high, place = _member(self.text, place + 1)
            tests.append(lambda character, low=low, high=high: low <= character <= high)  # type: ignore[misc]
        self.place = place + 1
        return lambda path, places: (
            (places & path.wild & path.where(lambda each: negated != any(test(each) for test in tests))) << 1
        )


def _member(text: str, place: int) -> tuple[str, int]:
    """A character in brackets, which may stand behind a backslash, and the place behind it."""
    if text[place] == "\\" and place + 1 < len(text):
        place += 1
    return text[place], place + 1


def _range(bounds: Sequence[str]) -> list[str]:
    """The words of ``{1..3}`` or ``{a..c}``; raises `ValueError` for too many."""
    if all(len(bound) == 1 and bound.isalpha() for bound in bounds[:2]):
        low, high = map(ord, bounds[:2])
        number = False
    else:
        low, high = (int(bound) if len(bound) < 10 else 10**9 for bound in bounds[:2])
        number = True
    step = max(1, abs(int(bounds[2][:9]))) if len(bounds) == 3 else 1
    if abs(high - low) // step >= _MOST_ALTERNATIVES:
        raise ValueError(f"it has more than {_MOST_ALTERNATIVES} alternatives in braces")
    values = range(low, high + 1, step) if low <= high else range(low, high - 1, -step)
    width = (
        max(map(len, bounds[:2])) if number and any(bound.lstrip("-").startswith("0") for bound in bounds[:2]) else 0
    )
    return [f"{value:0{width}d}" if number else chr(value) for value in values]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A line of an ignore file."""

    pattern: Pattern
    ignores: bool
    folders_only: bool


class Ignores:
    """What an ignore file says, as git and the Salesforce CLI read it: the last line that matches decides, and
    nothing below an ignored folder is taken back."""

    MOST: Final = 2000
    """Lines with a pattern."""

    def __init__(self, text: str) -> None:
        """Raises `ValueError` for more than `MOST` patterns; a line that is no pattern says nothing."""
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if len(lines) > self.MOST:
            raise ValueError(f"it has more than {self.MOST} patterns")
        self._rules = [rule for line in lines if (rule := _rule(line))]

    def __call__(self, path: str) -> bool:
        if not self._rules:
            return False
        matched = Path(path, hidden=True)
        levels = matched.slashes | matched.end
        # What the last line says of each level, all levels at once.
        ignored = 0
        for rule in self._rules:
            ends = rule.pattern.ends(matched) & (matched.slashes if rule.folders_only else levels)
            ignored = ignored | ends if rule.ignores else ignored & ~ends
        return ignored != 0


def _rule(line: str) -> _Rule | None:
    ignores = not line.startswith("!")
    text = line if ignores else line[1:]
    while text.endswith(" ") and not text.endswith("\\ "):
        text = text[:-1]
    folders_only = text.endswith("/")
    text = text.removesuffix("/")
    # A slash in it, but for one at the end, ties it to the folder of the file.
    text = text.removeprefix("/") if "/" in text else f"**/{text}"
    if text in ("", "**/"):
        return None
    try:
        return _Rule(parse(text, extended=False), ignores, folders_only)
    except ValueError:
        return None
