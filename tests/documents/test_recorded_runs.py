"""A run as it was written down is the run again: from its JSON result, and from any part of its journal."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import tries
from render import scenes

from ecapipe.documents import codec, journal_lines, run_results, run_summary
from ecapipe.documents.recorded_runs import RecordedRun
from ecapipe.documents.report import Report, failure, success
from ecapipe.events import (
    AUTHORIZE,
    RUN_STAGES,
    TARGET_STAGES,
    Event,
    ProjectFacts,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
    stages_until,
)
from ecapipe.problems.problem import USAGE, WAITING, EcapipeError, Problem
from ecapipe.problems.project import no_apps_found
from ecapipe.problems.sign_in import auth_timeout_error
from ecapipe.problems.storage import damaged_record, newer_format
from ecapipe.problems.usage import malformed_result

Json = dict[str, Any]
BILLING, PORTAL = Subject("Billing", "uat", "p"), Subject("Portal2", "uat", "p")


def report(events: Iterable[Event]) -> Report:
    made = Report()
    for event in events:
        made(event)
    return made


def document(events: Iterable[Event]) -> Json:
    """What ``--json`` prints of a run."""
    made = report(events)
    return success(made.result(), made.warnings, made.status)


def loaded(data: object) -> RecordedRun:
    return run_results.load(json.dumps(data).encode(), "result.json")


def refused(data: object) -> Problem:
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    with pytest.raises(EcapipeError) as caught:
        run_results.load(text, "result.json")
    assert caught.value.problem.exit_code == USAGE
    return caught.value.problem


def lines(events: Iterable[Event]) -> list[bytes]:
    """The lines of a journal of a run, as the journal makes them."""
    started = next(event for event in events if isinstance(event, RunStarted))
    planned = next(event for event in events if isinstance(event, RunPlanned))
    parts: dict[Subject, list[Event]] = {}
    for event in events:
        if isinstance(event, StageEnded | SubjectFinished):
            parts.setdefault(event.subject, []).append(event)
    documents = [
        journal_lines.header(started, planned, None, ["-d", "."], "/somewhere"),
        *map(journal_lines.part, parts.values()),
    ]
    return [codec.encode(each) + b"\n" for each in (*documents, *map(journal_lines.end, only(events, RunEnded)))]


def only(events: Iterable[Event], kind: type[RunEnded]) -> list[RunEnded]:
    return [event for event in events if isinstance(event, kind)]


# --- results ----------------------------------------------------------------------------------------------------


@given(text=st.none() | scenes.hostile, interrupted=st.booleans())
def test_a_result_tells_the_same_run_again(text: str | None, interrupted: bool) -> None:
    events = [e._replace(interrupted=interrupted) if isinstance(e, RunEnded) else e for e in scenes.run(text)]
    before = document(events)
    assert document(loaded(before).events()) == json.loads(json.dumps(before))
    bare = loaded(before["result"])
    assert report(bare.events()).result() == json.loads(json.dumps(before["result"]))


def test_what_result_has_no_member_for_is_what_it_stands_for() -> None:
    waits = auth_timeout_error("Billing", 5)
    events = [
        StageEnded(each.stage, each.subject, "failed", each.at, 1, problem=waits) if each.problem else each
        for each in scenes.run()
        if isinstance(each, StageEnded)
    ]
    told = loaded(document([RunStarted("r", "t", RUN_STAGES), *events, RunEnded(False, 1)]))
    assert report(told.events()).status == WAITING


def test_what_a_later_version_adds_is_passed_over() -> None:
    known = document(scenes.run())
    more = copy.deepcopy(known)
    more["new"] = more["result"]["new"] = more["result"]["stages"][0]["new"] = {"any": [1]}
    assert loaded(more) == loaded(known)


@pytest.mark.parametrize("until", ["discover", "locate", "check", "authorize"])
def test_a_run_that_was_to_stop_early_has_succeeded_in_its_result(until: str) -> None:
    """Its result has no successes; the exit status is 0 all the same."""
    names = [stage.name for stage in stages_until(until)]
    kept: list[Event] = [
        event for event in scenes.run() if not isinstance(event, StageEnded) or event.stage.name in names
    ]
    kept = [event for event in kept if not isinstance(event, SubjectFinished | StageStarted | StageNoted)]
    if until in ("discover", "locate", "check"):
        subjects = {"discover": [Subject()]}.get(until, [BILLING.whole_app, PORTAL.whole_app])
        kept = [event for event in kept if not isinstance(event, StageEnded) or not event.subject.org]
    else:
        subjects = [BILLING, PORTAL]
    kept[-1:-1] = [SubjectFinished(subject, None) for subject in subjects]
    before = document(kept)
    assert before["status"] == 0
    after = loaded(before)
    assert report(after.events()).status == 0
    assert {subject for subject, course in after.courses.items() if course.finished} == set(subjects)


def test_a_run_that_could_not_do_its_work_is_that_failure() -> None:
    problem = no_apps_found(["force-app"])
    told = report(loaded(failure(problem, "ecapipe run")).events())
    assert told.fatal is not None
    assert (told.fatal.name, told.fatal.message, told.status) == (problem.name, problem.message, 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"{", "line 1, column 2"),
        (b"[1]", "not a JSON object"),
        (b'{"version": NaN}', "not JSON that any result holds"),
        (b"[" * 100_000, "not JSON that any result holds"),
        (b'{"version": ' + b"9" * 5000 + b"}", "not JSON that any result holds"),
        (b"{}", "version is missing"),
        (b'{"status": 0, "result": {"version": 1, "rules": []}, "warnings": []}', "result.run is missing"),
        (b'{"version": true}', "version is not an integer"),
        (b'{"version": 0}', "version is 0"),
    ],
)
def test_what_is_no_result_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    problem = refused(data)
    assert problem.kind is malformed_result
    assert reason in problem.message
    assert problem.file == "result.json"


def test_what_a_later_ecapipe_wrote_is_refused_with_a_way_out() -> None:
    later = document(scenes.run())
    later["result"]["version"] = 2
    assert refused(later).kind is newer_format


CHANGES: list[tuple[list[Any], object, str]] = [
    (["stages"], {}, "result.stages is not a list"),
    (["stages", 0], 1, "result.stages[0] is not an object"),
    (["stages", 0, "stage"], "brew", "names an unknown stage, brew"),
    (["stages", 0, "outcome"], "great", "outcome cannot be 'great'"),
    (["stages", 0, "outcome"], "failed", "has a problem and has not failed, or the other way round"),
    (["stages", 0, "milliseconds"], -1, "milliseconds is not an integer >= 0"),
    (["stages", 0, "milliseconds"], True, "milliseconds is not an integer"),
    (["stages", 0, "facts"], None, "facts is not an object"),
    (["stages", 0, "org"], "uat", "names the org uat"),
    (["failures"], [], "no failure says so"),
    (["failures", 0, "category"], "weather", "category cannot be 'weather'"),
    (["failures", 0, "retryable"], "no", "retryable is not true or false"),
    (["successes", 0, "token"], "lost", "token cannot be 'lost'"),
    (["successes", 0, "scopes"], [1], "scopes[0] is not a string"),
    (["successes", 0, "org"], 5, "org is not a string"),
    (["apps", 0, "credentials", "consumerKey", "inFile"], "perhaps", "inFile cannot be 'perhaps'"),
    (["apps", 0, "distribution"], "Sold", "distribution cannot be 'Sold'"),
    (["projects", 0, "root"], None, "root is not a string"),
]


@pytest.mark.parametrize(("path", "value", "reason"), CHANGES)
def test_a_result_that_was_changed_is_refused_with_the_place(path: list[Any], value: object, reason: str) -> None:
    changed = document(scenes.run())
    at: Any = changed["result"]
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    problem = refused(changed)
    assert problem.kind is malformed_result
    assert reason in problem.message


def test_a_login_cannot_have_both_succeeded_and_failed() -> None:
    changed = document(scenes.run())
    changed["result"]["successes"].append({**changed["result"]["successes"][0], "app": "Portal2"})
    assert "succeeded and that it failed" in refused(changed).message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def leaves(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        found += [each for name, inner in value.items() for each in leaves(inner, (*path, name))]
    if isinstance(value, list):
        found += [each for number, inner in enumerate(value) for each in leaves(inner, (*path, number))]
    return found


WHOLE = document(scenes.run())
PLACES = leaves(WHOLE)[1:]


@tries(300)
@given(place=st.sampled_from(PLACES), value=json_values)
def test_whatever_stands_in_a_place_of_a_result_is_read_or_refused(place: tuple[Any, ...], value: object) -> None:
    changed = copy.deepcopy(WHOLE)
    at: Any = changed
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    name, told = None, None
    try:
        told = loaded(changed)
    except EcapipeError as error:
        name = error.problem.name
    assert name in (None, malformed_result.name, newer_format.name)
    if told:
        json.dumps(report(told.events()).result())


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(data: bytes) -> None:
    assert refused(data).kind is malformed_result


# --- journals ---------------------------------------------------------------------------------------------------


@given(text=st.none() | scenes.hostile)
def test_a_journal_tells_the_same_run_again(text: str | None) -> None:
    events = scenes.run(text)
    told = journal_lines.parse(b"".join(lines(events)), "run.jsonl")
    assert told is not None
    assert (told.resumes, told.arguments, told.folder) == (None, ("-d", "."), "/somewhere")
    before, after = report(events).result(), report(told.recorded.events()).result()
    assert after == json.loads(json.dumps({**before, "apps": []}))
    assert told.recorded.milliseconds == 66_900


JOURNAL = b"".join(lines(scenes.run()))


@tries(400)
@given(st.integers(0, len(JOURNAL)))
def test_any_beginning_of_a_journal_can_be_read(length: int) -> None:
    told = journal_lines.parse(JOURNAL[:length], "run.jsonl")
    whole = JOURNAL[:length].count(b"\n")
    if whole == 0:
        assert told is None
        return
    assert told is not None
    assert len(told.recorded.courses) == min(whole - 1, 5)
    assert (told.recorded.milliseconds is not None) == (length == len(JOURNAL))
    assert told.recorded.plan == (BILLING, PORTAL)


def test_a_later_line_about_a_login_replaces_an_earlier_one() -> None:
    target = PORTAL
    again: list[Event] = [
        *(StageEnded(stage, target, "passed", "t", 1) for stage in TARGET_STAGES),
        SubjectFinished(target, None),
    ]
    data = JOURNAL + codec.encode(journal_lines.part(again)) + b"\n"
    told = journal_lines.parse(data, "run.jsonl")
    assert told is not None
    assert told.recorded.courses[target].finished == SubjectFinished(target, None)
    assert not told.recorded.courses[target].failed


@pytest.mark.parametrize("number", range(1, JOURNAL.count(b"\n")))
def test_a_journal_that_is_damaged_in_its_middle_is_refused_with_the_line(number: int) -> None:
    damaged = JOURNAL.splitlines(keepends=True)
    damaged[number - 1] = damaged[number - 1][:20] + b"\n"
    with pytest.raises(EcapipeError) as caught:
        journal_lines.parse(b"".join(damaged), "run.jsonl")
    problem = caught.value.problem
    assert (problem.kind, problem.file, problem.line) == (damaged_record, "run.jsonl", number)


def test_a_journal_of_a_later_ecapipe_is_refused() -> None:
    with pytest.raises(EcapipeError) as caught:
        journal_lines.parse(b'{"journal": 2, "anything": "else"}\n', "run.jsonl")
    assert caught.value.problem.kind is newer_format


def test_a_tree_is_called_as_the_other_run_calls_it() -> None:
    """It was begun in another folder of the same repository."""
    then, now = Subject("Billing", "uat", "p"), Subject("Billing", "uat", "../p")
    run = RecordedRun("r", "t", projects=(ProjectFacts("/r/p", (), "p"),), plan=(then, PORTAL), courses={})
    assert run.known_as([ProjectFacts("/r/p", (), "../p")], [now]).plan == (now, Subject("Portal2", "uat", "../p"))
    assert run.known_as([ProjectFacts("/elsewhere", (), "../p")], [now]).plan == (then, PORTAL)


# --- summaries --------------------------------------------------------------------------------------------------


def summary(data: bytes, *, going: bool = False) -> run_summary.RunSummary:
    told = journal_lines.parse(data, "run.jsonl")
    assert told is not None
    return run_summary.summarize(told, going=going)


def test_a_summary_counts_what_is_done_and_what_is_left() -> None:
    ended = summary(JOURNAL)
    assert (ended.state, ended.status, ended.projects) == ("ended", 68, ("/p",))
    assert (ended.planned, ended.finished, ended.failed, ended.skipped, ended.open) == (2, 1, 1, 0, 0)
    assert ended.command == "ecapipe run --resume 20260105T090000Z-abcdef"
    skipped = codec.encode(journal_lines.part([StageEnded(AUTHORIZE, PORTAL, "skipped", "t", 1)])) + b"\n"
    assert (summary(JOURNAL + skipped).skipped, summary(JOURNAL + skipped).failed) == (1, 0)


def test_a_run_of_which_no_end_is_known_is_going_on_or_broken_off() -> None:
    begun = JOURNAL.splitlines(keepends=True)[0]
    assert (summary(begun).state, summary(begun).status, summary(begun).open) == ("brokenOff", None, 2)
    assert summary(begun).command is not None
    assert (summary(begun, going=True).state, summary(begun, going=True).command) == ("going", None)


def test_there_is_nothing_to_go_on_with_after_a_run_that_did_everything() -> None:
    target = PORTAL
    passed = [StageEnded(stage, target, "passed", "t", 1) for stage in TARGET_STAGES]
    done = codec.encode(journal_lines.part([*passed, SubjectFinished(target, None)])) + b"\n"
    assert summary(JOURNAL + done).command is None
