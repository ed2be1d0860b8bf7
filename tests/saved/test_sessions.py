"""What real runs tell is recorded as it came to be in the end, however many tries it took."""

from __future__ import annotations

from pathlib import Path

from run.test_scheduler import everybody, failed, offers, on_the_board, until, usernames, web

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import journal
from ecapipe.adapters.storage.journal import JournalWriter
from ecapipe.documents.report import Report
from ecapipe.events import Event, Subject, SubjectFinished

__all__ = ["web"]  # the fixture


def written(events: list[Event], home: Path) -> Report:
    """The run as its journal tells it."""
    environment = Environment({"ECAPIPE_STATE_DIR": str(home)})
    kept = JournalWriter(environment)
    for event in events:
        kept(event)
    assert kept.lost is None
    told = Report()
    for event in journal.find(environment, None).journal.recorded.events():
        told(event)
    return told


def test_a_login_that_was_tried_again_is_recorded_as_it_ended(web: Path, tmp_path: Path) -> None:
    stage, page = on_the_board(web, 2)
    stage.orgs.refuse.add("o1.my.salesforce.com")
    for link in offers(stage):
        stage.people.approve(link)
    stage.until(failed("o1"))
    stage.orgs.refuse.clear()
    until(lambda: page.desk is not None and page.desk.retry(Subject("Billing", "o1", str(web))))
    stage.until(lambda events: len(offers(stage)) == 3)
    stage.people.approve(offers(stage)[-1])
    seen = stage.end()
    told = written(stage.events, tmp_path / "state")
    assert (usernames(told), told.problems, told.status) == (everybody(2), [], 0)
    assert len(told.ended) == len(seen.ended), "and nothing of what it came to before"


def test_what_an_interrupt_left_is_recorded(web: Path, tmp_path: Path) -> None:
    stage, page = on_the_board(web, 3)
    stage.people.approve(offers(stage)[0])
    stage.until(lambda events: any(isinstance(event, SubjectFinished) for event in events))
    assert page.desk is not None
    page.desk.finish()
    seen = stage.end()
    told = written(stage.events, tmp_path / "state")
    assert (told.status, usernames(told)) == (seen.status, usernames(seen))
    assert {problem.name for problem in told.problems} == {problem.name for problem in seen.problems}
