"""The log that somebody asks for: one line per record, without a secret in it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from render.scenes import AT, LINK, Screen, dangerous, hostile, run, tell

from ecapipe.documents.report import Report
from ecapipe.events import TOKEN, StageEnded, Subject
from ecapipe.problems.usage import interrupted
from ecapipe.render import log

ACCESS = "00D000000000001!AQmade.up.token"
SECRET = "FA4E" * 16


@pytest.fixture(autouse=True, scope="module")
def as_before() -> Iterator[None]:
    """Logging is one for the whole process: leave it as it was."""
    logger = logging.getLogger("ecapipe")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers, logger.propagate = handlers, propagate
    logger.setLevel(level)


def logged(level: str, text: str | None = None) -> str:
    screen = Screen()
    log.configure(level, screen)
    tell(run(text), Report(), log.log)
    return screen.getvalue()


def test_a_level_lets_through_itself_and_what_is_worse() -> None:
    found = {level: re.findall(r" (TRACE|DEBUG|INFO|WARNING|ERROR) ", logged(level)) for level in log.LEVELS}
    assert set(found["trace"]) == {"TRACE", "DEBUG", "INFO", "WARNING"}
    assert set(found["debug"]) == {"DEBUG", "INFO", "WARNING"}
    assert set(found["info"]) == {"INFO", "WARNING"}
    assert set(found["warn"]) == {"WARNING"}
    assert found["error"] == found["fatal"] == []


def test_a_record_names_the_stage_the_subject_and_the_problem() -> None:
    lines = logged("warn").splitlines()
    assert [line.partition("ecapipe.stages: ")[2] for line in lines] == [
        "check warning Billing: Key and secret differ in source.",
        "token failed Portal2@uat: ConnectionFailed",
    ]


def test_links_are_not_logged() -> None:
    assert LINK not in logged("trace")


def test_what_has_the_shape_of_a_secret_is_struck_out() -> None:
    screen = Screen()
    log.configure("trace", screen)
    lost = replace(interrupted(), message=SECRET)
    facts: dict[str, object] = {"token": ACCESS, "secret": SECRET}
    log.log(StageEnded(TOKEN, Subject("Billing", "uat"), "failed", AT, 1, SECRET, facts, lost))
    logging.getLogger("ecapipe.made.up").error("sent %s and %s", ACCESS, SECRET)
    assert "[REDACTED]" in screen.getvalue()
    assert ACCESS not in screen.getvalue()
    assert SECRET not in screen.getvalue()


@given(hostile)
def test_no_record_can_forge_another(text: str) -> None:
    mine, usual = logged("trace", text), logged("trace")
    assert dangerous(mine) == set()
    assert mine.count("\n") == usual.count("\n")
    assert all(re.match(r"\d{4}-\d\d-\d\d ", line) for line in mine.split("\n")[:-1])
