"""Whether an org accepts key and secret of an app (``app probe``), as facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from ecapipe.problems.problem import Problem

Word = Literal["accepted", "refused", "unclear", "missing", "skipped"]
"""``missing``: there are no credentials to ask about; ``skipped``: there are none either, but nobody asked for this
very pair of app and org."""

WORDS: Final[tuple[Word, ...]] = get_args(Word)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of asking one org about one app. `refused` is the credential that the org does not accept; the
    sources say where key and secret came from."""

    app: str
    project: str
    org: str
    host: str
    word: Word
    message: str
    key_source: str | None = None
    secret_source: str | None = None
    refused: Literal["consumerKey", "consumerSecret"] | None = None
    problem: Problem | None = None

    @property
    def actions(self) -> tuple[str, ...]:
        if self.problem is None:
            return ()
        return self.problem.actions
