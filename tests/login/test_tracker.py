"""Stages: what the tracker makes of the work in them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from ecapipe.events import (
    APP_STAGES,
    AUTHORIZE,
    CHECK,
    DISCOVER,
    HAND_OVER,
    LOCATE,
    RUN_STAGES,
    TARGET_STAGES,
    TOKEN,
    VERIFY,
    Clock,
    Event,
    Note,
    Stage,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
    Unwritten,
    stages_until,
)
from ecapipe.login.tracker import EndEarly, SkipStage, StageSequence, Tracker
from ecapipe.problems.oauth import invalid_client
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.sign_in import auth_timeout_error
from ecapipe.problems.usage import internal_error, interrupted

TARGET = Subject("Billing", "uat")
PROBLEM = invalid_client("acme.my.salesforce.com")
AT = "2026-01-02T03:04:05.678Z"


class Told:
    """Everything that a tracker tells, with a clock on which every look takes a quarter of a second."""

    def __init__(self, asked_for: tuple[Stage, ...] = RUN_STAGES) -> None:
        ticks = count(100.0, 0.25)
        self.events: list[Event] = []
        self.track = Tracker(self.events.append, Clock(lambda: next(ticks), lambda: AT), asked_for)

    @property
    def ended(self) -> list[tuple[str, str, str | None]]:
        return [(e.stage.name, e.outcome, e.reason) for e in self.events if isinstance(e, StageEnded)]

    @property
    def last(self) -> StageEnded:
        event = self.events[-1]
        assert isinstance(event, StageEnded)
        return event


@pytest.fixture
def told() -> Told:
    return Told()


def test_the_stages_are_those_that_are_promised() -> None:
    assert [(stage.name, stage.title) for stage in RUN_STAGES] == [
        ("discover", "Finding external client apps"),
        ("locate", "Locating global OAuth settings"),
        ("check", "Checking credentials"),
        ("authorize", "Authorizing"),
        ("token", "Requesting token"),
        ("verify", "Verifying user info"),
    ]
    assert (HAND_OVER.name, HAND_OVER.title) == ("hand-over", "Handing over to Salesforce CLI")
    assert (DISCOVER, *APP_STAGES, *TARGET_STAGES) == (*RUN_STAGES, HAND_OVER)


@pytest.mark.parametrize(("name", "stops_after"), [(stage.name, stage) for stage in RUN_STAGES])
def test_a_run_may_stop_after_any_stage(name: str, stops_after: Stage) -> None:
    assert stages_until(name)[-1] == stops_after
    assert stages_until(name) == RUN_STAGES[: len(stages_until(name))]


def test_a_run_that_stops_nowhere_has_all_stages() -> None:
    assert stages_until(None) == RUN_STAGES


def test_a_hand_over_follows_only_where_it_is_asked_for() -> None:
    assert stages_until(None, hand_over=True) == (*RUN_STAGES, HAND_OVER)
    assert stages_until("verify", hand_over=True) == RUN_STAGES


# --- how a stage ends ---------------------------------------------------------------------------------------


def test_a_stage_that_works_passes_with_its_facts_and_its_time(told: Told) -> None:
    with told.track.course(TARGET, TARGET_STAGES) as course, course.stage(AUTHORIZE) as work:
        work.facts["callback"] = "listen"
    assert told.events == [
        StageStarted(AUTHORIZE, TARGET),
        StageEnded(AUTHORIZE, TARGET, "passed", AT, 250, None, {"callback": "listen"}, None),
    ]
    assert course.finished


def test_a_stage_that_warns_ends_with_its_sentences(told: Told) -> None:
    with told.track.course(TARGET, (CHECK, VERIFY)) as course:
        with course.stage(CHECK) as work:
            work.warn("One.")
            work.warn("Two.")
        with course.stage(VERIFY):
            pass
    assert told.ended == [("check", "warning", "One. Two."), ("verify", "passed", None)]
    assert (course.finished, course.halted) == (True, None)


def test_a_stage_that_is_passed_over_is_skipped_and_the_course_goes_on(told: Told) -> None:
    with told.track.course(TARGET, TARGET_STAGES) as course:
        with course.stage(AUTHORIZE) as work:
            work.facts["flow"] = "client-credentials"
            work.pass_over("No browser step.")
        with course.stage(TOKEN):
            pass
    assert told.ended == [("authorize", "skipped", "No browser step."), ("token", "passed", None)]
    assert course.finished


def test_a_failure_ends_the_course_and_skips_the_rest_with_the_reason(told: Told) -> None:
    with told.track.course(TARGET, TARGET_STAGES) as course:
        with course.stage(AUTHORIZE) as work:
            work.facts["flow"] = "web"
            raise EcapipeError(PROBLEM)
        pytest.fail("the course went on")
    assert told.ended == [
        ("authorize", "failed", None),
        ("token", "skipped", "Authorizing failed."),
        ("verify", "skipped", "Authorizing failed."),
    ]
    failed = told.events[1]
    assert isinstance(failed, StageEnded)
    assert (failed.problem, failed.facts) == (PROBLEM, {"flow": "web"})
    assert (course.finished, course.halted) == (False, "Authorizing failed.")


def test_a_failure_stays_inside_its_course(told: Told) -> None:
    for subject in (TARGET, Subject("Portal", "uat")):
        with told.track.course(subject, (TOKEN,)) as course, course.stage(TOKEN):
            if subject is TARGET:
                raise EcapipeError(PROBLEM)
    assert told.ended == [("token", "failed", None), ("token", "passed", None)]


def test_a_skip_skips_the_stage_and_the_rest_for_one_reason(told: Told) -> None:
    with told.track.course(Subject("Billing"), APP_STAGES) as course, course.stage(LOCATE):
        raise SkipStage("It is packaged.")
    assert told.ended == [("locate", "skipped", "It is packaged."), ("check", "skipped", "It is packaged.")]
    assert (course.finished, course.halted) == (False, "It is packaged.")


def test_enough_skips_the_stage_and_the_course_has_done_its_work(told: Told) -> None:
    with told.track.course(TARGET, TARGET_STAGES) as course:
        with course.stage(AUTHORIZE):
            raise EndEarly("Dry run.")
        pytest.fail("the course went on")
    assert told.ended[0] == ("authorize", "skipped", "Dry run.")
    assert (course.finished, course.halted) == (True, None)


def test_a_course_that_is_halted_skips_what_is_left(told: Told) -> None:
    with told.track.course(TARGET, TARGET_STAGES) as course:
        with course.stage(AUTHORIZE):
            pass
        course.halt("Checking credentials failed.")
    assert told.ended == [
        ("authorize", "passed", None),
        ("token", "skipped", "Checking credentials failed."),
        ("verify", "skipped", "Checking credentials failed."),
    ]
    assert course.halted == "Checking credentials failed."


def test_what_is_skipped_was_never_started_and_took_no_time(told: Told) -> None:
    with told.track.course(TARGET, TARGET_STAGES) as course:
        course.halt("Why.")
    assert not [event for event in told.events if isinstance(event, StageStarted)]
    assert (told.last.at, told.last.milliseconds, told.last.problem) == (AT, 0, None)


def test_an_interruption_is_told_and_goes_on(told: Told) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        told.track.course(TARGET, TARGET_STAGES) as course,
        course.stage(AUTHORIZE),
    ):
        raise KeyboardInterrupt
    assert told.ended == [
        ("authorize", "failed", None),
        ("token", "skipped", "Interrupted."),
        ("verify", "skipped", "Interrupted."),
    ]
    failed = told.events[1]
    assert isinstance(failed, StageEnded)
    assert failed.problem is not None
    assert (failed.problem.kind, failed.problem.exit_code) == (interrupted, 130)


def test_an_interruption_between_stages_is_told_too(told: Told) -> None:
    with pytest.raises(KeyboardInterrupt), told.track.course(TARGET, (TOKEN,)):
        raise KeyboardInterrupt
    assert told.ended == [("token", "skipped", "Interrupted.")]


def test_a_bug_is_a_failure(told: Told) -> None:
    with told.track.course(TARGET, (TOKEN, VERIFY)) as course, course.stage(TOKEN):
        raise ZeroDivisionError("a secret")
    assert [(name, outcome) for name, outcome, _ in told.ended] == [("token", "failed"), ("verify", "skipped")]
    failed = told.events[1]
    assert isinstance(failed, StageEnded)
    assert failed.problem is not None
    assert failed.problem.kind is internal_error
    assert "a secret" not in failed.problem.message
    assert not course.finished


@pytest.mark.parametrize("error", [BrokenPipeError(), Unwritten(28, "No space left on device")])
def test_an_output_that_is_lost_is_no_failure_of_a_target(told: Told, error: OSError) -> None:
    with pytest.raises(type(error)), told.track.course(TARGET, (TOKEN,)) as course, course.stage(TOKEN):
        raise error
    assert told.ended == []


# --- what the run is asked for ------------------------------------------------------------------------------


def walked(course: StageSequence) -> Iterator[str]:
    for stage in TARGET_STAGES:
        with course.stage(stage):
            yield stage.name


@pytest.mark.parametrize(("last", "reached"), [("authorize", 1), ("token", 2), ("verify", 3)])
def test_a_course_is_done_before_a_stage_nobody_asked_for(last: str, reached: int) -> None:
    told, seen = Told(stages_until(last)), list[str]()
    with told.track.course(TARGET, TARGET_STAGES) as course:
        for name in walked(course):
            seen.append(name)
    assert seen == ["authorize", "token", "verify"][:reached]
    assert told.ended == [(name, "passed", None) for name in seen]
    assert course.finished


def test_a_failure_skips_only_what_was_asked_for() -> None:
    told = Told(stages_until("token"))
    with told.track.course(TARGET, TARGET_STAGES) as course, course.stage(AUTHORIZE):
        raise EcapipeError(PROBLEM)
    assert [name for name, _, _ in told.ended] == ["authorize", "token"]


def test_the_tracker_knows_what_the_run_reaches() -> None:
    track = Told(stages_until("check")).track
    assert [stage.name for stage in RUN_STAGES if track.reaches(stage)] == ["discover", "locate", "check"]


# --- what people are told meanwhile -------------------------------------------------------------------------


def test_a_note_is_told_at_once(told: Told) -> None:
    with told.track.course(TARGET, (AUTHORIZE,)) as course, course.stage(AUTHORIZE) as work:
        work.note("link", "https://acme.my.salesforce.com")
        assert told.events[-1] == StageNoted(AUTHORIZE, TARGET, Note("link", "https://acme.my.salesforce.com"))


def test_displays_hold_still_before_somebody_is_asked(told: Told) -> None:
    asked = told.track.asking(lambda question: (question, len(told.events)))
    assert asked is not None
    assert asked("Consumer secret: ") == ("Consumer secret: ", 1)
    (event,) = told.events
    assert isinstance(event, StageNoted)
    assert event.note.kind == "asking"


def test_without_anybody_to_ask_nothing_is_asked(told: Told) -> None:
    assert told.track.asking(None) is None
    assert told.events == []


# --- what is owed -------------------------------------------------------------------------------------------


def leave_out(told: Told) -> None:
    with told.track.course(TARGET, TARGET_STAGES) as course, course.stage(AUTHORIZE):
        raise SkipStage("It belongs elsewhere.", PROBLEM)


def test_what_was_left_out_is_told_again_as_a_failure_where_nothing_succeeded(told: Told) -> None:
    leave_out(told)
    before = len(told.events)
    told.track.report_skipped_failures()
    again = told.events[before:]
    assert [type(each) for each in again] == [StageStarted, StageEnded, StageEnded, StageEnded]
    assert [each.problem for each in again if isinstance(each, StageEnded)] == [PROBLEM, None, None]
    assert told.ended[-2:] == [(name, "skipped", "Authorizing failed.") for name in ("token", "verify")]


@pytest.mark.parametrize(
    "hopeful",
    [
        SubjectFinished(Subject("Portal", "uat"), None),
        StageEnded(AUTHORIZE, Subject("Portal", "uat"), "failed", AT, problem=auth_timeout_error("Portal", 5)),
    ],
)
def test_it_stays_left_out_where_something_succeeded_or_waits_for_people(told: Told, hopeful: Event) -> None:
    leave_out(told)
    told.track.emit(hopeful)
    before = len(told.events)
    told.track.report_skipped_failures()
    assert told.events[before:] == []


def test_a_reason_that_owes_nothing_stays_one(told: Told) -> None:
    with told.track.course(TARGET, TARGET_STAGES) as course, course.stage(AUTHORIZE):
        raise SkipStage("Somebody else tells of it.")
    before = len(told.events)
    told.track.report_skipped_failures()
    assert told.events[before:] == []
