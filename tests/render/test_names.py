"""Whatever apps, orgs and trees a run has, no account of it calls two of its subjects the same."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from ecapipe.documents import codec, journal_lines, run_results
from ecapipe.documents.report import Report, success
from ecapipe.events import (
    AUTHORIZE,
    CHECK,
    RUN_STAGES,
    Event,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    Subject,
    SubjectNames,
)
from ecapipe.problems.oauth import invalid_client
from ecapipe.render.report_data import of_run
from ecapipe.render.reports import FORMATS

TREES = ("a", "b", "x/a/b", "y/a/b", "/x/a/b", "a/b")
subjects = st.sets(
    st.builds(Subject, st.sampled_from("AB"), st.none() | st.sampled_from("12"), st.sampled_from(TREES)), min_size=1
)


def events(about: set[Subject]) -> list[Event]:
    """A run in which everything fails."""
    problem = invalid_client("acme.my.salesforce.com")
    ends = [StageEnded(AUTHORIZE if each.org else CHECK, each, "failed", "t", 1, problem=problem) for each in about]
    planned = RunPlanned((), tuple(about))
    return [RunStarted("r", "t", RUN_STAGES), planned, *ends, RunEnded(False, 1)]


def report(told: list[Event]) -> Report:
    made = Report()
    for event in told:
        made(event)
    return made


@given(subjects)
def test_names_are_as_many_as_subjects(about: set[Subject]) -> None:
    assert len(set(map(SubjectNames(about), about))) == len(about)


@given(subjects)
def test_every_format_has_a_place_for_each(about: set[Subject]) -> None:
    made = report(events(about))
    data = of_run(made, success(made.result(), [], 1), lambda file, subject: f"{subject.tree}/{file}", "ecapipe run")
    told = {format: render(data) for format, render in FORMATS.items()}
    failed = [suite.get("name") for suite in ElementTree.fromstring(told["junit"]) if suite.get("failures") == "1"]
    assert sorted(map(str, failed)) == sorted(map(made.name, about))
    assert len({issue["fingerprint"] for issue in json.loads(told["gitlab"])}) == len(about)
    for page in (told["markdown"], told["html"], told["sarif"]):
        assert all(made.name(each) in page for each in about)


@given(subjects)
def test_results_and_records_keep_each(about: set[Subject]) -> None:
    told = events(about)
    result = run_results.parse_result(report(told).result())
    lines = [codec.encode(journal_lines.part([event])) for event in told if isinstance(event, StageEnded)]
    header = journal_lines.header(RunStarted("r", "t", RUN_STAGES), RunPlanned((), tuple(about)), None, None, "/")
    journal = journal_lines.parse(b"\n".join([codec.encode(header), *lines, b""]), "run.jsonl")
    assert journal is not None
    assert set(result.courses) == set(journal.recorded.courses) == about
