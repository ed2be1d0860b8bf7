"""Results put together: one result, and the exit status that a single run would have had."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.documents.recorded_runs import SHARD, RecordedRun, SubjectRecord
from ecapipe.documents.report import Report
from ecapipe.events import (
    AUTHORIZE,
    CHECK,
    DISCOVER,
    TARGET_STAGES,
    LoginResult,
    StageEnded,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.oauth import invalid_client
from ecapipe.problems.problem import Problem
from ecapipe.problems.project import no_apps_found
from ecapipe.problems.sign_in import auth_timeout_error
from ecapipe.problems.usage import interrupted, shards_missing
from ecapipe.run import merge

LOGIN = LoginResult("ann@acme.test", None, "00D000000000001EAA", None, (), "web", "forgotten")
REFUSED = invalid_client("acme.my.salesforce.com")
WAITING = auth_timeout_error("A", 5)
FIRST, SECOND, THIRD = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"


def passed(*names: str) -> SubjectRecord:
    subject = Subject(*names)
    ended = tuple(StageEnded(stage, subject, "passed", "", 1) for stage in TARGET_STAGES[:3])
    return SubjectRecord(ended, SubjectFinished(subject, LOGIN))


def failed(*names: str, problem: Problem = REFUSED) -> SubjectRecord:
    subject = Subject(*names)
    first = StageEnded(AUTHORIZE, subject, "failed", "", 1, problem=problem)
    rest = [StageEnded(stage, subject, "skipped", "", reason="Authorizing failed.") for stage in TARGET_STAGES[1:3]]
    return SubjectRecord((first, *rest))


def skipped(app: str, org: str) -> SubjectRecord:
    subject = Subject(app, org)
    return SubjectRecord(
        tuple(StageEnded(stage, subject, "skipped", "", reason="Checking failed.") for stage in TARGET_STAGES[:3])
    )


def of_app(app: Subject, problem: Problem | None = None) -> SubjectRecord:
    return SubjectRecord((StageEnded(CHECK, app, "failed" if problem else "passed", "", problem=problem),))


def run(at: str, courses: Mapping[Subject, SubjectRecord], shard: str | None = None, **more: object) -> RecordedRun:
    found = StageEnded(DISCOVER, Subject(), "passed", at, facts={SHARD: shard} if shard else {})
    apps = {subject.whole_app: of_app(subject.whole_app) for subject in courses}
    plan = tuple(subject for subject in courses if subject.org)
    everything = {Subject(): SubjectRecord((found,)), **apps, **courses}
    return RecordedRun(at, at, plan=plan, courses=everything, milliseconds=10, **more)  # type: ignore[arg-type]


def report(*runs: RecordedRun) -> Report:
    seen = Report()
    for event in merge.merge(runs).events():
        seen(event)
    return seen


A1, A2, B1 = Subject("A", "1"), Subject("A", "2"), Subject("B", "1")


def test_shards_come_to_what_one_run_would_have() -> None:
    seen = report(
        run(FIRST, {A1: passed("A", "1")}, "1/2"), run(SECOND, {A2: failed("A", "2"), B1: passed("B", "1")}, "2/2")
    )
    assert seen.status == 68
    assert seen.subjects == (Subject("A"), A1, A2, Subject("B"), B1)
    assert list(seen.logins) == [A1, B1]
    assert seen.started_at == FIRST
    assert [stage["stage"] for stage in seen.result()["stages"]].count("discover") == 1  # type: ignore[attr-defined]
    assert SHARD not in seen.ended[0].facts


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_login_in_several_results_the_later_run_counts(turned: bool) -> None:
    runs = [run(FIRST, {A1: failed("A", "1")}), run(SECOND, {A1: passed("A", "1")})]
    assert report(*(reversed(runs) if turned else runs)).status == 0
    runs = [run(FIRST, {A1: passed("A", "1")}), run(SECOND, {A1: failed("A", "1")})]
    assert report(*(reversed(runs) if turned else runs)).status == 1


def test_a_login_that_was_not_reached_says_nothing_against_what_is_known() -> None:
    later = run(SECOND, {A2: passed("A", "2")})
    later = RecordedRun(later.run, SECOND, plan=(A1, A2), courses=later.courses, milliseconds=1)
    assert set(report(run(FIRST, {A1: passed("A", "1")}), later).logins) == {A1, A2}


@pytest.mark.parametrize("turned", [False, True])
def test_an_app_that_failed_in_one_shard_only_has_failed(turned: bool) -> None:
    """Its job lacked a variable, say: the logins that were left out for that are not done."""
    lacking = run(
        SECOND if turned else FIRST, {A1: skipped("A", "1"), Subject("A"): of_app(Subject("A"), REFUSED)}, "1/2"
    )
    other = run(FIRST if turned else SECOND, {A2: passed("A", "2")}, "2/2")
    assert report(lacking, other).status == 68


def test_an_app_that_failed_is_mended_by_a_later_run_of_all_its_logins() -> None:
    lacking = run(FIRST, {A1: skipped("A", "1"), Subject("A"): of_app(Subject("A"), REFUSED)})
    assert report(lacking, run(SECOND, {A1: passed("A", "1")})).status == 0


def test_a_missing_shard_is_a_failure_that_names_it() -> None:
    seen = report(run(FIRST, {A1: passed("A", "1")}, "1/4"), run(SECOND, {B1: passed("B", "1")}, "3/4"))
    assert seen.status == 68
    (problem,) = seen.problems
    assert problem.kind is shards_missing
    assert "2/4, 4/4" in problem.message
    assert "--shard 2/4" in " ".join(problem.actions)


def test_nothing_in_a_shard_is_no_failure() -> None:
    found = StageEnded(DISCOVER, Subject(), "passed", SECOND, facts={SHARD: "2/2"})
    empty = RecordedRun(
        SECOND, SECOND, courses={Subject(): SubjectRecord((found,), SubjectFinished(Subject(), None))}, milliseconds=1
    )
    assert report(run(FIRST, {A1: passed("A", "1")}, "1/2"), empty).status == 0


def test_a_run_that_could_not_do_its_work_counts_whenever_it_was() -> None:
    problem = no_apps_found(["force-app"])
    lost = RecordedRun(
        "", "", courses={Subject(): SubjectRecord((StageEnded(DISCOVER, Subject(), "failed", "", problem=problem),))}
    )
    seen = report(lost, run(FIRST, {A1: passed("A", "1")}, "1/2"))
    assert seen.status == 68
    assert [each.name for each in seen.problems] == [no_apps_found.name]
    assert report(lost).status == 1


def test_an_interrupted_run_stays_one_until_its_logins_are_done() -> None:
    stopped = run(FIRST, {A1: passed("A", "1"), A2: failed("A", "2", problem=interrupted())}, interrupted=True)
    assert report(stopped).status == 130
    assert report(stopped, run(SECOND, {A2: passed("A", "2")})).status == 0
    early = RecordedRun(FIRST, FIRST, plan=(A1,), courses={}, interrupted=True, milliseconds=1)
    assert report(early).status == 130
    assert report(early, run(SECOND, {A1: passed("A", "1")})).status == 0


def test_only_waiting_ones_left_is_waiting() -> None:
    seen = report(run(FIRST, {A1: passed("A", "1")}), run(SECOND, {A2: failed("A", "2", problem=WAITING)}))
    assert seen.status == 69


OUTCOMES = st.sampled_from(["passed", "failed", "waiting"])


@given(
    st.dictionaries(
        st.builds(Subject, *map(st.sampled_from, ("AB", "123456", "xyz"))),
        OUTCOMES,
        min_size=1,
    ),
    st.data(),
)
def test_however_the_logins_are_parted_they_come_to_the_same(
    outcomes: dict[Subject, str], data: st.DataObject
) -> None:
    def course(subject: Subject) -> SubjectRecord:
        if outcomes[subject] == "passed":
            return passed(*map(str, subject))
        return failed(*map(str, subject), problem=WAITING if outcomes[subject] == "waiting" else REFUSED)

    whole = run(FIRST, {subject: course(subject) for subject in outcomes})
    part = {subject: data.draw(st.integers(0, 2)) for subject in outcomes}
    parts = [
        run(
            f"2026-01-0{index + 1}T00:00:00Z",
            {subject: course(subject) for subject in outcomes if part[subject] == index},
        )
        for index in range(3)
    ]
    apart, together = report(*parts), report(whole)
    assert apart.status == together.status
    assert apart.logins.keys() == together.logins.keys()
    assert len(apart.ended) == len(together.ended)
