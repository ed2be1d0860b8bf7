"""What ``app protect`` would write into a project, and what it leaves to people."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Change:
    """New content for one file: `path` below the absolute folder `root`, called `file` from its `project`.

    `before` is None for a file that is not there yet. Old content may hold a secret, so neither is shown; `diff` is
    made for people and holds none.
    """

    project: str
    file: str
    root: str
    path: str
    before: bytes | None = field(repr=False)
    after: bytes = field(repr=False)
    diff: tuple[str, ...]


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
    """Everything that one ``app protect`` comes to; `changes` are in the order in which to write them."""

    changes: tuple[Change, ...]
    exposures: tuple[Exposure, ...]
    supplies: tuple[Supply, ...]
    notices: tuple[str, ...]
