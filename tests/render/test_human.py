"""A run on a terminal: what stays on the screen, and what stands there for a moment."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given
from render.scenes import AT, LINK, LOST, Screen, dangerous, hostile, login, run, tell

from ecapipe.documents.report import Report
from ecapipe.events import (
    APP_STAGES,
    AUTHORIZE,
    RUN_STAGES,
    TOKEN,
    VERIFY,
    Event,
    Note,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.usage import interrupted
from ecapipe.render.live_display import TABLE_FROM, LiveDisplay


class Terminal(Screen):
    """A stream that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True, scope="module")
def wide() -> object:
    """A terminal of a known size, whatever the tests run in."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"COLUMNS": "100", "LINES": "24", "TERM": "xterm-256color"}.items():
            patch.setenv(name, value)
        for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            patch.delenv(name, raising=False)
        yield


def shown(events: Sequence[Event], *, encoding: str = "utf-8", verbose: bool = False) -> tuple[str, str]:
    """What goes to standard output and to standard error."""
    out, err, report = Screen(encoding), Screen(encoding), Report()
    human = LiveDisplay(out, err, report, colour=False, verbose=verbose)
    tell(events, report, human)
    human.close()
    return out.getvalue(), err.getvalue()


def batch(text: str | None = None, size: int = TABLE_FROM) -> list[Event]:
    """A run with so many targets that they are shown as a table: the first logs in, the others do not."""
    org = "uat" if text is None else text
    targets = [Subject(f"App{number}" if text is None else text + str(number), org) for number in range(size)]
    events: list[Event] = [RunStarted("made-up", AT, RUN_STAGES), RunPlanned((), tuple(targets))]
    for target in targets:
        app = Subject(target.app)
        for stage in APP_STAGES:
            events += [StageStarted(stage, app), StageEnded(stage, app, "passed", AT, 1)]
    for target in targets:
        events.append(StageStarted(AUTHORIZE, target))
        if target is targets[0]:
            events.append(StageEnded(AUTHORIZE, target, "passed", AT, 1))
            events += [StageEnded(stage, target, "passed", AT, 1) for stage in (TOKEN, VERIFY)]
            events.append(SubjectFinished(target, login(text or "ada@acme.example")))
        elif target is targets[1]:
            lost = replace(interrupted(), name="MadeUp", message=text or "It broke.")
            events.append(StageEnded(AUTHORIZE, target, "failed", AT, 1, problem=lost))
        else:
            events.append(StageEnded(AUTHORIZE, target, "skipped", AT, 1, text or "It cannot work."))
    return [*events, RunEnded(False, 66_900)]


def test_a_run_reads_so() -> None:
    out, err = shown(run())
    assert (
        out.replace(" \n", "\n")
        == """
──────── Authorizing External Client Apps ────────

 ✔ Finding external client apps 5ms
   ▸ Apps: 2
   ▸ Orgs: uat

 Billing
 ✔ Locating global OAuth settings 1ms
 ⚠ Checking credentials 1ms

 Portal2
 ✔ Locating global OAuth settings 1ms
 ✔ Checking credentials 1ms

 Billing@uat
 ✔ Authorizing 1m 5.43s
 ✔ Requesting token 1.30s
 ✔ Verifying user info 116ms
   ▸ Username: ada@acme.example
 Billing@uat: Successfully authorized ada@acme.example with org ID 00D000000000001EAA

 Portal2@uat
 ◯ Authorizing - Skipped: It has no browser step.
 ✘ Requesting token 20ms
 ◯ Verifying user info - Skipped: Requesting token failed.

 2 targets: 1 succeeded, 1 failed, 0 waiting
 Status: Partial Success
 The access tokens weren't stored. They remain valid until the session expires; use --revoke to
 revoke them.
 Elapsed Time: 1m 6.90s

"""
    )
    assert err == f"Warning: Billing: Key and secret differ in source.\n\n{LINK}\n\n{LOST}"


def test_many_targets_are_a_table() -> None:
    out, err = shown(batch())
    assert (
        out.replace(" \n", "\n")
        == """
──────── Authorizing External Client Apps ────────

 App@Org   Stages  Result
 ──────────────────────────────────
 App0@uat  ✔✔✔✔✔   ada@acme.example
 App1@uat  ✔✔✘◼◼   MadeUp
 App2@uat  ✔✔◯◼◼   It cannot work.
 App3@uat  ✔✔◯◼◼   It cannot work.
 Stages: Locate, Check, Authorize, Token, Verify

 4 targets: 1 succeeded, 1 failed, 0 waiting, 2 skipped
 Status: Partial Success
 The access tokens weren't stored. They remain valid until the session expires; use --revoke to
 revoke them.
 Elapsed Time: 1m 6.90s

"""
    )
    assert "Error (MadeUp) App1@uat: It broke." in err


def test_verbose_adds_the_facts_of_the_middle() -> None:
    usual, verbose = (shown(run(), verbose=choice)[0].splitlines() for choice in (False, True))
    assert [line for line in verbose if line not in usual] == [
        "   ▸ Settings File: main/Billing.xml",
        "   ▸ Redirect URI: http://localhost/",
    ]


@pytest.mark.parametrize("events", [run(), batch()], ids=["blocks", "table"])
def test_a_terminal_without_our_glyphs_gets_others(events: Sequence[Event]) -> None:
    for encoding in ("ascii", "latin-1"):
        out, err = shown(events, encoding=encoding)
        assert out.isascii()
        assert err.isascii()


@given(hostile)
@example("\x1b[2J\x1b]0;title\x07")
@example("[bold red]forged[/bold red] :smile: [link=https://evil.example]here[/link]")
def test_text_from_outside_does_nothing(text: str) -> None:
    for events in (run(text), batch(text)):
        out, err = shown(events, verbose=True)
        assert dangerous(out) == set()
        assert dangerous(err) == set()


def test_markup_and_emoji_of_others_are_only_text() -> None:
    text = "[bold]a[/bold]:ox:"
    out, err = shown(run(text))
    assert f"Successfully authorized {text}" in out
    assert f"Orgs: {text}" in out
    assert f"{text}" in err


def test_what_people_copy_is_never_broken() -> None:
    link, command = f"https://acme.my.salesforce.com/?{'x' * 300}", f"sf project retrieve {'--metadata X ' * 30}."
    problem = replace(interrupted(), actions=(command,))
    target = Subject("Billing", "uat")
    _, err = shown(
        [
            StageNoted(AUTHORIZE, target, Note("link", link)),
            StageEnded(AUTHORIZE, target, "failed", AT, 1, problem=problem),
        ]
    )
    assert f"\n{link}\n" in err
    assert f"\n{command}\n" in err


def running() -> list[Event]:
    target = Subject("Billing", "uat")
    return [
        RunStarted("made-up", AT, RUN_STAGES),
        RunPlanned((), (Subject("Billing"), target)),
        StageStarted(AUTHORIZE, target),
    ]


def wait_for(seen: Callable[[], object]) -> None:
    until = time.monotonic() + 5
    while not seen():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)


def test_what_runs_and_what_is_to_come_stands_there_until_it_is_closed() -> None:
    out, report = Terminal(), Report()
    human = LiveDisplay(out, Terminal(), report, colour=False)
    tell(running(), report, human)
    wait_for(lambda: re.search(r"Authorizing .*Requesting token.*Verifying user info", out.getvalue(), re.DOTALL))
    assert out.getvalue().rfind("\x1b[?25l") > out.getvalue().rfind("\x1b[?25h")
    human.close()
    human.close()
    closed = out.getvalue()
    assert closed.rfind("\x1b[?25h") > closed.rfind("\x1b[?25l")
    time.sleep(0.2)
    assert out.getvalue() == closed


def test_the_live_part_of_many_fits_on_the_screen() -> None:
    out, report = Terminal(), Report()
    human = LiveDisplay(out, Terminal(), report, colour=False)
    events = batch(size=60)
    tell(events[: events.index(StageStarted(AUTHORIZE, Subject("App40", "uat"))) + 1], report, human)

    def heights() -> list[int]:
        """By how many lines the cursor goes up to draw the live part anew; it stands on the last of them."""
        return [up.count("A") for up in re.findall(r"(?:\x1b\[1A(?:\x1b\[2K)?)+", out.getvalue())]

    wait_for(lambda: len(heights()) > 1)
    drawn = max(heights())
    human.close()
    # The terminal has 24 lines, of which the last is left to the cursor.
    assert 19 <= drawn <= 22


def test_a_display_holds_still_while_a_question_stands() -> None:
    out, report = Terminal(), Report()
    human = LiveDisplay(out, Terminal(), report, colour=False)
    events = running()
    asking = StageNoted(AUTHORIZE, Subject("Billing", "uat"), Note("asking", "Paste the address:"))
    tell([*events, asking], report, human)
    still = out.getvalue()
    time.sleep(0.3)
    assert out.getvalue() == still
    tell([StageEnded(AUTHORIZE, Subject("Billing", "uat"), "passed", AT, 1)], report, human)
    assert "✔ Authorizing" in out.getvalue().removeprefix(still)
    human.close()


@pytest.mark.parametrize("colour", [True, False])
def test_colour_is_a_choice(colour: bool) -> None:
    out, err, report = Terminal(), Terminal(), Report()
    human = LiveDisplay(out, err, report, colour=colour)
    tell(run(), report, human)
    human.close()
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]", out.getvalue() + err.getvalue())) is colour
