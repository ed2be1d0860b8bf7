"""Journals: written as the run goes, private, and in the way of nothing."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from commandline import environment
from render import scenes

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import journal, state
from ecapipe.adapters.storage.journal import JournalFile, JournalWriter
from ecapipe.documents import journal_lines
from ecapipe.documents.recorded_runs import RECORDED, SubjectRecord
from ecapipe.documents.report import Report
from ecapipe.events import (
    AUTHORIZE,
    TARGET_STAGES,
    VERIFY,
    Event,
    ProjectFacts,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.storage import damaged_record, newer_format, state_directory_unusable
from ecapipe.problems.usage import run_ambiguous, run_going_on, run_not_found

AT = "2026-01-05T09:00:00.000Z"
BILLING, PORTAL = Subject("Billing", "uat", "p"), Subject("Portal2", "uat", "p")


@pytest.fixture
def home(tmp_path: Path) -> Environment:
    return Environment({"ECAPIPE_STATE_DIR": str(tmp_path / "state")})


def write(home: Environment, events: Iterable[Event], resumes: str | None = None) -> str | None:
    """Tell a journal all events; why it was lost."""
    kept = JournalWriter(home, arguments=["-d", "."], resumes=resumes)
    for event in events:
        kept(event)
    kept.close()
    return kept.lost


def named(run: str, root: str = "/p", events: Iterable[Event] | None = None) -> Iterator[Event]:
    """A run under another name, of another project."""
    for event in events or scenes.run():
        if isinstance(event, RunStarted):
            yield event._replace(run=run, at=run)
        elif isinstance(event, RunPlanned):
            yield event._replace(projects=(ProjectFacts(root, ("force-app",), "p"),))
        else:
            yield event


def path(home: Environment, run: str = "20260105T090000Z-abcdef") -> Path:
    return Path(home.get("ECAPIPE_STATE_DIR") or "", "runs", f"{run}.jsonl")


def problem(home: Environment, name: str | None, roots: Iterable[str] | None = None) -> Problem:
    with pytest.raises(EcapipeError) as caught:
        journal.find(home, name, None if roots is None else list(roots))
    return caught.value.problem


# --- writing ----------------------------------------------------------------------------------------------------


def test_a_run_can_be_read_from_its_journal_again(home: Environment) -> None:
    assert write(home, scenes.run()) is None
    before, after = Report(), Report()
    for event in scenes.run():
        before(event)
    for event in journal.find(home, None).journal.recorded.events():
        after(event)
    assert after.result() == json.loads(json.dumps(before.result()))
    assert after.status == before.status


def test_only_its_user_can_read_it(home: Environment) -> None:
    write(home, scenes.run())
    assert stat.S_IMODE(path(home).stat().st_mode) == 0o600
    assert stat.S_IMODE(path(home).parent.stat().st_mode) == 0o700


def soon(home: Environment, subject: Subject) -> SubjectRecord:
    """What the journal tells of a subject, as soon as it does."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        courses = journal.find(home, None).journal.recorded.courses
        if subject in courses:
            return courses[subject]
        time.sleep(0.001)
    raise AssertionError(f"nothing is told of {subject}")


def test_each_login_is_there_as_soon_as_it_has_ended(home: Environment) -> None:
    kept = JournalWriter(home)
    for event in scenes.run():
        kept(event)
        if isinstance(event, StageEnded) and event.subject == PORTAL and event.stage == VERIFY:
            assert soon(home, PORTAL).failed
        if isinstance(event, SubjectFinished) and event.subject == BILLING:
            assert soon(home, BILLING).finished == event
            assert journal.find(home, None).going
    kept.close()
    assert not journal.find(home, None).going


def test_a_login_that_is_tried_again_replaces_what_it_came_to(home: Environment) -> None:
    events = scenes.run()
    again: list[Event] = []
    for stage in TARGET_STAGES[:3]:
        again += [StageStarted(stage, PORTAL), StageEnded(stage, PORTAL, "passed", AT, 1)]
    events[-1:-1] = [*again, SubjectFinished(PORTAL, scenes.login())]
    write(home, events)
    recorded = journal.find(home, None).journal.recorded
    assert recorded.courses[PORTAL].finished
    assert not recorded.courses[PORTAL].failed


def test_a_login_that_starts_again_before_its_failure_was_told_whole_is_told_once(home: Environment) -> None:
    events = scenes.run()
    verify = next(
        n for n, e in enumerate(events) if isinstance(e, StageEnded) and (e.stage, e.subject) == (VERIFY, PORTAL)
    )
    again: list[Event] = [StageStarted(AUTHORIZE, PORTAL)]
    again += [StageEnded(stage, PORTAL, "passed", AT, 1) for stage in TARGET_STAGES[:3]]
    events[verify : verify + 1] = [*again, SubjectFinished(PORTAL, scenes.login())]
    write(home, events)
    assert len(journal.find(home, None).journal.recorded.courses[PORTAL].ended) == 3


def test_a_run_without_logins_leaves_nothing(home: Environment) -> None:
    events = [e for e in scenes.run() if not isinstance(e, RunPlanned)]
    planned = RunPlanned((ProjectFacts("/p", ("force-app",), "/p"),), (BILLING.whole_app,))
    write(home, [*events[:2], planned, *events[2:]])
    write(home, events)
    assert journal.entries(home) == ([], [])


def test_an_interrupted_run_is_told_with_what_it_left(home: Environment) -> None:
    events = scenes.run()
    cut = next(
        n for n, e in enumerate(events) if isinstance(e, StageStarted) and e.subject == PORTAL and e.subject.org
    )
    write(home, [*events[:cut], RunEnded(True, 10)])
    recorded = journal.find(home, None).journal.recorded
    assert (recorded.interrupted, recorded.milliseconds) == (True, 10)
    assert PORTAL in recorded.plan
    assert PORTAL not in recorded.courses


def test_what_was_taken_over_is_not_waited_for(home: Environment) -> None:
    """It lies on the disk already, in the journal of the run that it was taken over from."""
    marked = [replace(e, facts={RECORDED: "before"}) if isinstance(e, StageEnded) else e for e in scenes.run()]
    write(home, marked)
    assert journal.find(home, None).journal.recorded.courses[BILLING].finished


# --- what may be in the way -------------------------------------------------------------------------------------


def lost(sentence: str | None) -> str:
    assert sentence is not None
    assert "cannot be resumed" in sentence
    return sentence


def test_a_state_directory_that_cannot_be_used_ends_the_journal_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    said = write(Environment({"ECAPIPE_STATE_DIR": str(tmp_path / "state")}), scenes.run())
    assert "This run is not recorded" in lost(said)
    assert "--no-journal" in lost(said)


READ_ONLY = """
import os, sys
from ecapipe.adapters import environment
from ecapipe.adapters.storage.journal import JournalWriter
from render import scenes
os.setuid(12345)
kept = JournalWriter(environment.process())
for event in scenes.run():
    kept(event)
print(kept.lost)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody else")
def test_a_state_directory_that_is_read_only_ends_the_journal_and_not_the_run(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "state"
    (folder / "runs").mkdir(parents=True, mode=0o500)
    for each in (folder, folder / "runs"):
        os.chown(each, 12345, -1)
    folder.chmod(0o500)
    path = os.pathsep.join(("tests", *sys.path))
    ended = subprocess.run(
        [sys.executable, "-c", READ_ONLY],
        env=environment(tmp_path, ECAPIPE_STATE_DIR=str(folder)) | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert ended.stderr == ""
    assert "permission denied" in lost(ended.stdout)


@contextmanager
def files_of(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("part", [0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_full_disk_ends_the_journal_and_not_the_run(home: Environment, part: float) -> None:
    write(home, scenes.run())
    whole = path(home).read_bytes()
    path(home).unlink()
    size = int(len(whole) * part)
    with files_of(size):
        said = write(home, scenes.run())
    assert "file too large" in lost(said)
    left = path(home).read_bytes()
    assert left == whole[:size]
    told = journal_lines.parse(left, "run.jsonl")
    assert (told is None) == (b"\n" not in left)
    journal.entries(home)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
def test_a_disk_without_space_is_said_to_be_that(home: Environment) -> None:
    kept = JournalWriter(home)
    events = iter(scenes.run())
    for event in events:
        kept(event)
        if isinstance(event, RunPlanned):
            break
    soon(home, Subject())
    full = os.open("/dev/full", os.O_WRONLY)
    (descriptor,) = [each for each in range(3, full) if os.path.realpath(f"/proc/self/fd/{each}") == str(path(home))]
    os.dup2(full, descriptor)
    os.close(full)
    for event in events:
        kept(event)
    assert "The rest of this run is not recorded" in lost(kept.lost)
    assert "no space left on device" in lost(kept.lost)
    kept.close()
    assert list(journal.find(home, None).journal.recorded.courses) == [Subject()]


# --- several of them --------------------------------------------------------------------------------------------

WRITER = """
import sys
from ecapipe.adapters import environment
from ecapipe.adapters.storage.journal import JournalWriter
from adapters.test_journal import named
for number in range(int(sys.argv[2])):
    kept = JournalWriter(environment.process())
    for event in named(f"20260101T{number:06}Z-abcde{sys.argv[1]}"):
        kept(event)
    assert kept.lost is None
"""


def test_many_writers_at_once_leave_whole_journals_and_as_many_as_are_kept(home: Environment) -> None:
    place = Path(home.get("ECAPIPE_STATE_DIR") or "")
    place.mkdir()
    search = os.pathsep.join(("tests", *sys.path))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number), "20"],
            env=environment(place, ECAPIPE_STATE_DIR=str(place)) | {"PYTHONPATH": search},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for number in range(4)
    ]
    assert [process.communicate()[0] for process in processes] == [b""] * 4
    entries, failures = journal.entries(home)
    assert failures == []
    assert journal.KEPT <= len(entries) < journal.KEPT + 4, "each passes over what another is just working on"
    assert {len(entry.journal.recorded.courses) for entry in entries} == {5}
    assert all(entry.journal.recorded.milliseconds is not None for entry in entries)
    assert {each.stem for each in (place / "runs").glob("*.lock")} == {entry.run for entry in entries}


def test_the_oldest_goes_when_a_new_one_begins_unless_it_is_going_on(home: Environment) -> None:
    runs = [f"20260101T{number:06}Z-abcdef" for number in range(journal.KEPT + 2)]
    going = JournalWriter(home)
    for event in named(runs[0]):
        if not isinstance(event, RunEnded):
            going(event)
    for run in runs[1:]:
        write(home, named(run))
    kept = [entry.run for entry in journal.entries(home)[0]]
    assert kept == [*reversed(runs[2:]), runs[0]]
    going.close()
    write(home, named("20260102T000000Z-abcdef"))
    assert not {runs[0], runs[2]} & {entry.run for entry in journal.entries(home)[0]}


def test_as_many_are_recorded_as_the_user_says(home: Environment) -> None:
    few = Environment({"ECAPIPE_STATE_DIR": home.get("ECAPIPE_STATE_DIR") or "", "ECAPIPE_KEEP_RUNS": "2"})
    for number in range(4):
        write(few, named(f"20260101T{number:06}Z-abcdef"))
    assert len(journal.entries(few)[0]) == 2
    for wrong in ("0", "-1", "many", "1000000"):
        with pytest.raises(EcapipeError, match="ECAPIPE_KEEP_RUNS must be a number from 1"):
            journal.kept(Environment({"ECAPIPE_KEEP_RUNS": wrong}))


def test_one_that_cannot_be_read_hides_no_other(home: Environment) -> None:
    write(home, named("20260101T000000Z-aaaaaa"))
    write(home, named("20260102T000000Z-aaaaaa"))
    path(home, "20260102T000000Z-aaaaaa").write_bytes(b"{}\n")
    path(home, "20260103T000000Z-aaaaaa").write_bytes(b"")
    entries, failures = journal.entries(home)
    assert [entry.run for entry in entries] == ["20260101T000000Z-aaaaaa"]
    assert [failure.name for failure in failures] == [damaged_record.name]


def test_looking_makes_nothing_and_believes_nobody_else(home: Environment, tmp_path: Path) -> None:
    assert journal.entries(home) == ([], [])
    assert journal.names(home) == []
    assert problem(home, None).kind is run_not_found
    assert list(tmp_path.iterdir()) == []
    write(home, scenes.run())
    assert journal.names(home) == ["20260105T090000Z-abcdef"]
    (tmp_path / "state").chmod(0o777)
    assert problem(home, None).kind is state_directory_unusable


# --- finding ----------------------------------------------------------------------------------------------------


def test_the_latest_of_a_project_is_found_and_a_named_one(home: Environment) -> None:
    for run, root in (
        ("20260101T000000Z-aaaaaa", "/p"),
        ("20260102T000000Z-bbbbbb", "/q"),
        ("20260102T000001Z-cccccc", "/q"),
    ):
        write(home, named(run, root))
    assert journal.find(home, None).run == "20260102T000001Z-cccccc"
    assert journal.find(home, None, ["/p", "/other"]).run == "20260101T000000Z-aaaaaa"
    assert journal.find(home, "20260101").run == "20260101T000000Z-aaaaaa"
    assert journal.find(home, "20260102T000000Z-bbbbbb").run == "20260102T000000Z-bbbbbb"
    assert problem(home, None, ["/elsewhere"]).kind is run_not_found
    assert problem(home, "").kind is run_not_found
    assert problem(home, "../runs/20260101").kind is run_not_found
    assert "20260101T000000Z-aaaaaa" in " ".join(problem(home, "20260101T000000Z-aaaaab").actions)
    ambiguous = problem(home, "20260102")
    assert ambiguous.kind is run_ambiguous
    assert "20260102T000000Z-bbbbbb" in ambiguous.message


def test_one_of_a_later_ecapipe_is_refused_and_not_passed_over(home: Environment) -> None:
    """It may be the latest run of this very project: going on with an older one would repeat what it did."""
    write(home, named("20260101T000000Z-aaaaaa"))
    path(home, "20260102T000000Z-aaaaaa").write_bytes(b'{"journal": 2}\n')
    assert problem(home, None, ["/p"]).kind is newer_format
    assert problem(home, "20260102").kind is newer_format
    assert journal.find(home, "20260101", ["/p"]).run == "20260101T000000Z-aaaaaa"


# --- going on ---------------------------------------------------------------------------------------------------


def found(home: Environment, run: str) -> JournalFile:
    return journal.find(home, run)


def test_a_run_that_is_going_on_cannot_be_resumed_nor_by_two(home: Environment) -> None:
    run = "20260101T000000Z-aaaaaa"
    kept = JournalWriter(home)
    for event in named(run):
        if not isinstance(event, RunEnded):
            kept(event)
    with pytest.raises(EcapipeError) as caught, journal.held(found(home, run)):
        pass
    assert caught.value.problem.kind is run_going_on
    kept.close()
    with journal.held(found(home, run)):
        with pytest.raises(EcapipeError) as caught, journal.held(found(home, run)):
            pass
        assert caught.value.problem.kind is run_going_on
    with journal.held(found(home, run)) as recorded:
        assert recorded.courses[BILLING].finished


def test_what_a_run_did_that_went_on_with_it_counts_for_both(home: Environment) -> None:
    """Whichever of the two is named, nothing is repeated."""
    only = (PORTAL.whole_app, PORTAL)
    second: list[Event] = [
        event._replace(subjects=only) if isinstance(event, RunPlanned) else event
        for event in scenes.run()
        if not (isinstance(event, StageStarted | StageEnded | SubjectFinished) and event.subject.app)
    ]
    passed = [StageEnded(stage, PORTAL, "passed", AT, 1) for stage in TARGET_STAGES[:3]]
    second[-1:-1] = [*passed, SubjectFinished(PORTAL, scenes.login())]
    write(home, named("20260101T000000Z-aaaaaa"))
    write(home, named("20260102T000000Z-bbbbbb", events=second), resumes="20260101T000000Z-aaaaaa")
    write(home, named("20260103T000000Z-cccccc"))
    for run in ("20260101", "20260102"):
        with journal.held(found(home, run)) as recorded:
            assert {subject for subject in recorded.targets if recorded.courses[subject].finished} == {
                BILLING,
                PORTAL,
            }
            assert recorded.run == "20260102T000000Z-bbbbbb"
    with journal.held(found(home, "20260103")) as recorded:
        assert recorded.courses[PORTAL].failed


def test_nothing_in_the_state_directory_is_for_others_to_read(home: Environment) -> None:
    write(home, scenes.run())
    for each in Path(state.directory(home)).rglob("*"):
        assert stat.S_IMODE(each.stat().st_mode) == (0o700 if each.is_dir() else 0o600), each
