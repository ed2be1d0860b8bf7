"""What a check reports: findings, and the levels they have for each purpose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Level = Literal["error", "warning", "note"]
LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "note")
"""From worst to mildest."""

Purpose = Literal["login", "deploy", "commit", "mcp"]
PURPOSES: Final[tuple[Purpose, ...]] = ("login", "deploy", "commit", "mcp")
USING: Final[tuple[Purpose, ...]] = ("login", "mcp")
"""The purposes for which somebody signs in with what the tree holds."""

NOT_EXAMINED: Final = "not-examined"
"""The rule about what could not be looked at. Nobody can accept that: it is not known what is accepted."""


_AS_LOGIN: Final[Any] = object()


@dataclass(frozen=True, slots=True)
class Levels:
    """How much a rule matters before a login, a deploy and a commit, and for Salesforce's hosted MCP servers, where
    it is by default as much as before a login; None: it is silent."""

    login: Level | None = None
    deploy: Level | None = None
    commit: Level | None = None
    mcp: Level | None = _AS_LOGIN

    def __post_init__(self) -> None:
        if self.mcp is _AS_LOGIN:
            object.__setattr__(self, "mcp", self.login)

    def of(self, purpose: Purpose) -> Level | None:
        level: Level | None = getattr(self, purpose)
        return level

    def __str__(self) -> str:
        return ", ".join(f"{purpose}: {self.of(purpose) or 'silent'}" for purpose in PURPOSES)


@dataclass(frozen=True, slots=True)
class Finding:
    """One place in a project where a rule does not hold.

    `app` is None for a file that names no app; `project` is the root that `file` is relative to.
    """

    rule: str
    level: Level
    message: str
    app: str | None
    file: str | None
    line: int | None
    actions: tuple[str, ...]
    element: str = ""
    accepted: bool = False
    project: str = ""

    @property
    def fingerprint(self) -> str:
        """Names the finding across edits: made of rule, path, app and element, never of a value."""
        # A line moves with every edit above it, and a hash of a secret invites guessing.
        # Imported here: most checks have no baseline, and ask for no fingerprint.
        import hashlib

        parts = (self.rule, self.file or "", self.app or "", self.element)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def at_least(level: Level, least: Level) -> bool:
    """Whether `level` is as bad as `least`, or worse."""
    return LEVELS.index(level) <= LEVELS.index(least)


def milder(one: Level, other: Level) -> Level:
    """The milder of two levels."""
    return max(one, other, key=LEVELS.index)
