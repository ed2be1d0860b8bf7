"""Whether an org accepts key and secret of an app (``app probe``), as facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from ecapipe.problems.problem import Problem

Word = Literal["accepted", "refused", "unclear", "missing", "skipped"]
"""``settings_problem``: there is no pair to ask about; ``skipped``: nobody asked for this very pair of app and
org."""

WORDS: Final[tuple[Word, ...]] = get_args(Word)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of asking one org about one app. `refused` is the part that the org does not accept; sources are
    where key and secret came from."""

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
        return self.problem.actions if self.problem else ()
