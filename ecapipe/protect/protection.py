"""What ``app protect`` would write into a project, and what it leaves to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ecapipe.project.edits import Change


@dataclass(frozen=True, slots=True)
class Exposure:
    """A settings file that git tracks, so that no ignore pattern has any effect on it. `secret`: a consumer secret
    stands in it."""

    project: str
    app: str
    file: str
    secret: bool
    message: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Supply:
    """The variable that gives the consumer secret of `app` once the value has left `file`."""

    project: str
    app: str
    file: str
    variable: str


@dataclass(frozen=True, slots=True)
class Protection:
    """The outcome of one ``app protect``; `changes` are in the order in which to write them."""

    changes: tuple[Change, ...]
    exposures: tuple[Exposure, ...]
    supplies: tuple[Supply, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """The line of an ignore file that decides on a path: the file, and whether the line ignores or excepts.

    `file` is relative to the top of the repository; None for one that holds for this clone or user only.
    """

    file: str | None
    ignored: bool


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """What git says of paths under a folder.

    `top` is that of the repository, an absolute path free of links, `prefix` the way from there to the folder.
    `rulings` holds, for each path that git can tell of, the line that decides; None if no ignore file does.
    """

    top: str
    prefix: str
    rulings: Mapping[str, IgnoreRule | None]
