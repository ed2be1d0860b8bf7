"""Whether an org accepts an app (``app probe``), as facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from ecapipe.problems.problem import Problem

CheckWord = Literal["accepted", "unclear", "refused"]
"""From good to bad."""

Word = Literal["accepted", "refused", "unclear", "missing", "skipped"]
"""``missing``: there are no credentials to ask about; ``skipped``: there are none either, but nobody asked for this
very pair of app and org."""

WORDS: Final[tuple[Word, ...]] = get_args(Word)

RefusedPart = Literal["consumerKey", "consumerSecret", "callback", "scopes"]


@dataclass(frozen=True, slots=True)
class ProbeCheck:
    """The answer to one request: about a `callback` with key, scopes and PKCE at authorize, or about key and secret
    at introspect. `refused` is what the org does not accept, as far as it tells."""

    what: Literal["authorize", "introspect"]
    callback: str | None
    verdict: CheckWord
    problem: Problem | None = None
    refused: RefusedPart | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of asking one org about one app. `refused` is the part of it that the org does not accept; the
    sources say where key and secret came from."""

    app: str
    project: str
    org: str
    host: str
    word: Word
    message: str
    key_source: str | None = None
    secret_source: str | None = None
    refused: RefusedPart | None = None
    problem: Problem | None = None
    checks: tuple[ProbeCheck, ...] = ()

    @property
    def actions(self) -> tuple[str, ...]:
        if self.problem is None:
            return ()
        return self.problem.actions

    def fails(self, *, strict: bool) -> bool:
        """Whether it is a failure: an answer that is unclear is one only if that is to be `strict`; that there was
        no answer, or a bug, is."""
        if self.word != "unclear" or strict:
            return self.word != "accepted"
        return not any(_answered(check) for check in self.checks)


def worst(checks: Sequence[ProbeCheck]) -> ProbeCheck:
    """The first of the worst; there is at least one."""
    order = get_args(CheckWord)
    return max(checks, key=lambda check: order.index(check.verdict))


def _answered(check: ProbeCheck) -> bool:
    """Whether an org did, whatever it said."""
    problem = check.problem
    return problem is None or (problem.exit_code == 1 and problem.category not in ("network", "config"))
