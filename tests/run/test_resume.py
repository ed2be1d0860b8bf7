"""Going on: recorded successes are not repeated, unless what they depend on has changed, and that is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ecapipe.documents.recorded_runs import FINGERPRINT, RECORDED, RecordedRun, SubjectRecord
from ecapipe.events import (
    AUTHORIZE,
    CHECK,
    TARGET_STAGES,
    LoginResult,
    StageEnded,
    Subject,
    SubjectFinished,
    TokenFate,
)
from ecapipe.problems.oauth import invalid_client
from ecapipe.problems.problem import Problem
from ecapipe.run import resume
from ecapipe.run.resume import Resumption

ASKED = TARGET_STAGES[:3]
A1, A2, B1 = Subject("A", "1"), Subject("A", "2"), Subject("B", "1")
THEN = {"files": "f", "key": "k", "org": "o", "scopes": "s", "expected": "e", "flow": "auto"}
LOGIN = LoginResult("ann@acme.test", None, "00D000000000001EAA", None, (), "web", "forgotten")


def passed(subject: Subject, login: LoginResult | None = LOGIN) -> SubjectRecord:
    ended = [StageEnded(stage, subject, "passed", "", 1) for stage in ASKED]
    ended[0] = replace(ended[0], facts={FINGERPRINT: THEN})
    return SubjectRecord(tuple(ended), SubjectFinished(subject, login))


def failed(subject: Subject) -> SubjectRecord:
    problem = invalid_client("acme")
    return SubjectRecord((StageEnded(AUTHORIZE, subject, "failed", "", problem=problem),))


def of_app(name: str, problem: Problem | None = None) -> SubjectRecord:
    return SubjectRecord((StageEnded(CHECK, Subject(name), "failed" if problem else "passed", "", problem=problem),))


EARLIER = RecordedRun(
    "run-1",
    "2026-01-01T00:00:00Z",
    plan=(A1, A2, B1),
    courses={Subject("A"): of_app("A"), Subject("B"): of_app("B"), A1: passed(A1), A2: failed(A2), B1: passed(B1)},
)


def resumed(
    now: dict[Subject, dict[str, str]], fate: TokenFate | None = None, earlier: RecordedRun = EARLIER
) -> Resumption:
    return resume.compare(earlier, now, ASKED, fate)


def test_successes_are_taken_over_and_failures_are_not() -> None:
    found = resumed({A1: THEN, A2: THEN, B1: THEN})
    assert set(found.records) == {A1, B1, Subject("B")}
    assert found.changes == ()


def test_what_is_taken_over_says_from_where() -> None:
    course = resumed({A1: THEN}).records[A1]
    assert {ended.facts[RECORDED] for ended in course.ended} == {"run-1"}
    assert course.finished == SubjectFinished(A1, LOGIN)
    again = replace(EARLIER, run="run-2", courses={A1: course})
    assert resumed({A1: THEN}, earlier=again).records[A1].ended[0].facts[RECORDED] == "run-1"


def test_an_app_is_taken_over_with_its_last_login_only() -> None:
    """As long as one of its logins is to be done, the app has to be located and checked."""
    assert Subject("B") in resumed({A1: THEN, A2: THEN, B1: THEN}).records
    assert Subject("A") not in resumed({A1: THEN, A2: THEN, B1: THEN}).records
    assert Subject("A") in resumed({A1: THEN, B1: THEN}).records


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("files", "the files of the app have changed"),
        ("key", "the consumer key has changed"),
        ("org", "the URL of the org has changed"),
        ("scopes", "the requested scopes have changed"),
        ("tokenType", "the binding of the token to a key has changed"),
        ("expected", "the expected user or org ID has changed"),
    ],
)
def test_a_login_is_done_again_when_what_it_depends_on_has_changed(part: str, sentence: str) -> None:
    found = resumed({A1: {**THEN, part: "other"}, B1: THEN})
    assert A1 not in found.records
    assert B1 in found.records
    assert f"Done again, because {sentence}: A@1." in found.changes


def test_what_was_not_written_down_is_not_held_against_it() -> None:
    assert A1 in resumed({A1: {part: "other" for part in ("new", "kinds")}}).records
    bare = replace(passed(A1), ended=tuple(replace(ended, facts={}) for ended in passed(A1).ended))
    assert A1 in resumed({A1: THEN}, earlier=replace(EARLIER, courses={A1: bare})).records


def test_another_flow_is_done_again_and_the_same_by_its_name_is_not() -> None:
    assert A1 in resumed({A1: {**THEN, "flow": "web"}}).records
    found = resumed({A1: {**THEN, "flow": "jwt"}})
    assert found.changes[0] == "Done again, because the flow is now jwt and was web: A@1."


@pytest.mark.parametrize("fate", ["saved", "handedOver", "revoked"])
def test_another_fate_of_the_token_is_done_again(fate: TokenFate) -> None:
    found = resumed({A1: THEN}, fate)
    assert A1 not in found.records
    assert "the token must be" in found.changes[0]
    assert "was forgotten" in found.changes[0]
    same = replace(EARLIER, courses={A1: passed(A1, replace(LOGIN, token=fate))})
    assert A1 in resumed({A1: THEN}, fate, same).records
    assert A1 in resumed({A1: THEN}, None, same).records, "nobody asks for another fate"


def test_a_login_that_stopped_before_what_is_asked_now_is_done_again() -> None:
    begun = SubjectRecord(passed(A1).ended[:1], SubjectFinished(A1, None))
    found = resumed({A1: THEN}, earlier=replace(EARLIER, courses={A1: begun}))
    assert found.records == {}
    assert "more stages are requested" in found.changes[0]


def test_what_is_gone_and_what_is_new_is_said() -> None:
    new = {Subject("C", str(number)): THEN for number in range(7)}
    changes = resumed({A1: THEN, **new}).changes
    assert changes == (
        "No longer requested: A@2, B@1.",
        "New since run run-1: C@0, C@1, C@2, C@3, C@4 and 2 more.",
    )
