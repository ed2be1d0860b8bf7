"""What somebody sees of a batch in a terminal, at a moment that stands still."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import pyte
import pytest
from render.scenes import AT, Screen, login, tell

from ecapipe.documents.report import Report
from ecapipe.events import (
    APP_STAGES,
    AUTHORIZE,
    RUN_STAGES,
    TOKEN,
    VERIFY,
    Event,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.oauth import invalid_client
from ecapipe.render.live_display import LiveDisplay

APP = "Billing_Sync_For_Subsidiaries"
TARGETS = [Subject(APP, f"emea-uat-{number}") for number in range(1, 5)]


class Terminal(Screen):
    def isatty(self) -> bool:
        return True


def batch() -> list[Event]:
    """One login has succeeded, one has failed, two are on their way."""
    events: list[Event] = [RunStarted("made-up", AT, RUN_STAGES), RunPlanned((), (Subject(APP), *TARGETS))]
    for stage in APP_STAGES:
        events += [StageStarted(stage, Subject(APP)), StageEnded(stage, Subject(APP), "passed", AT, 1)]
    for target in TARGETS:
        reason = "The client credentials flow has no browser step."
        events += [StageStarted(AUTHORIZE, target), StageEnded(AUTHORIZE, target, "skipped", AT, 0, reason)]
        events.append(StageStarted(TOKEN, target))
    first, second, *_ = TARGETS
    events += [StageEnded(stage, first, "passed", AT, 20) for stage in (TOKEN, VERIFY)]
    events.append(SubjectFinished(first, login("billing_sync_for_subsidiaries@acme.example")))
    problem = invalid_client("emea--uat.sandbox.my.salesforce.com", "invalid client credentials")
    return [*events, StageEnded(TOKEN, second, "failed", AT, 20, problem=problem)]


def frame(events: Sequence[Event], width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """The screen after these events, without what is chance."""
    for name, value in {"COLUMNS": str(width), "LINES": "40", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    terminal, report = Terminal(), Report()
    human = LiveDisplay(terminal, terminal, report, colour=False)
    tell(events, report, human)
    told, end = len(terminal.getvalue()), time.monotonic() + 5
    while not isinstance(events[-1], RunEnded) and " of 4 done" not in terminal.getvalue()[told:]:
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    seen = terminal.getvalue()
    human.close()
    screen = pyte.Screen(width, 40)
    screen.set_mode(pyte.modes.LNM)
    pyte.Stream(screen).feed(seen)
    lines = "\n".join(line.rstrip() for line in screen.display).strip("\n")
    return re.sub(r"[⣾⣽⣻⢿⡿⣟⣯⣷](.* failed) .*", r"*\1", lines) + "\n"


def test_a_batch_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        frame(batch(), 80, monkeypatch)
        == """\
──────── Authorizing External Client Apps ────────

Error (InvalidClient) Billing_Sync_For_Subsidiaries@emea-uat-2:
emea--uat.sandbox.my.salesforce.com refused the consumer secret (invalid client
credentials).

Try this:

Check where the secret came from. If it was rotated, retrieve again, or set the
new one in the environment.

 App@Org                             Stages  Result
 ───────────────────────────────────────────────────────────────────────────────
 Billing_Syn…ubsidiaries@emea-uat-1  ✔✔◯✔✔   billing_sync_for_subsidiaries@acme…
 Billing_Syn…ubsidiaries@emea-uat-2  ✔✔◯✘◼   InvalidClient
 Billing_Syn…ubsidiaries@emea-uat-3  ✔✔◯▶◼   Requesting token
 Billing_Syn…ubsidiaries@emea-uat-4  ✔✔◯▶◼   Requesting token
 Stages: Locate, Check, Authorize, Token, Verify

 * 2 of 4 done, 1 failed
"""
    )


def test_a_batch_on_a_narrow_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        frame(batch(), 40, monkeypatch)
        == """\
─── Authorizing External Client Apps ──

Error (InvalidClient)
Billing_Sync_For_Subsidiaries@emea-uat-2
:
emea--uat.sandbox.my.salesforce.com
refused the consumer secret (invalid
client credentials).

Try this:

Check where the secret came from. If it
was rotated, retrieve again, or set the
new one in the environment.

 App@Org
   Stages  Result
 ───────────────────────────────────────
 Billing_Sync_F…_Subsidiaries@emea-uat-1
   ✔✔◯✔✔   billing_sync_for_subsidiarie…
 Billing_Sync_F…_Subsidiaries@emea-uat-2
   ✔✔◯✘◼   InvalidClient
 Billing_Sync_F…_Subsidiaries@emea-uat-3
   ✔✔◯▶◼   Requesting token
 Billing_Sync_F…_Subsidiaries@emea-uat-4
   ✔✔◯▶◼   Requesting token
 Stages: Locate, Check, Authorize,
 Token, Verify

 * 2 of 4 done, 1 failed
"""
    )


def test_a_batch_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = [StageEnded(stage, target, "passed", AT, 5) for target in TARGETS[2:] for stage in (TOKEN, VERIFY)]
    done = [SubjectFinished(target, login()) for target in TARGETS[2:]]
    assert (
        frame([*batch(), *rest, *done, RunEnded(False, 66_900)], 100, monkeypatch)
        == """\
──────── Authorizing External Client Apps ────────

Error (InvalidClient) Billing_Sync_For_Subsidiaries@emea-uat-2: emea--uat.sandbox.my.salesforce.com
refused the consumer secret (invalid client credentials).

Try this:

Check where the secret came from. If it was rotated, retrieve again, or set the new one in the
environment.

 App@Org                                   Stages  Result
 ────────────────────────────────────────────────────────────────────────────────────────────
 Billing_Sync_For_Subsidiaries@emea-uat-1  ✔✔◯✔✔   billing_sync_for_subsidiaries@acme.example
 Billing_Sync_For_Subsidiaries@emea-uat-2  ✔✔◯✘◼   InvalidClient
 Billing_Sync_For_Subsidiaries@emea-uat-3  ✔✔◯✔✔   ada@acme.example
 Billing_Sync_For_Subsidiaries@emea-uat-4  ✔✔◯✔✔   ada@acme.example
 Stages: Locate, Check, Authorize, Token, Verify

 4 targets: 3 succeeded, 1 failed, 0 waiting
 Status: Partial Success
 The access tokens weren't stored. They remain valid until the session expires; use --revoke to
 revoke them.
 Elapsed Time: 1m 6.90s
"""
    )
