"""The run as data: a fold over events, its JSON shape, and the exit status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar, assert_never

from ecapipe.events import (
    DISCOVER,
    AppDescribed,
    AppFacts,
    Event,
    LoginResult,
    ProjectFacts,
    RunEnded,
    RunPlanned,
    RunStarted,
    Stage,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.problem import INTERRUPTED, WAITING, Problem

if TYPE_CHECKING:
    from ecapipe.documents.verdicts import Verdict

VERSION = 1
"""The version of the format of every result."""
PARTIAL = 68
"""The exit status when some of the work succeeded and some failed."""

Json = dict[str, object]
E = TypeVar("E", StageEnded, SubjectFinished)


class Report:
    """A fold over the events of a run: an `Emit` that comes to the result and the exit status."""

    def __init__(self) -> None:
        self._run, self._started_at = "", ""
        self._stages: tuple[Stage, ...] = ()
        self._projects: tuple[ProjectFacts, ...] = ()
        self._subjects: tuple[Subject, ...] = ()
        self._apps: dict[tuple[str, str], AppFacts] = {}
        self._ended: list[StageEnded] = []
        self._reached: set[tuple[Stage, Subject]] = set()
        self._place: dict[Subject, int] = {}
        """The place of each target in the plan; everything before targets has place 0."""
        self._sorted: tuple[StageEnded, ...] | None = None
        """The stages in the order of the plan. Displays ask for it at every event, and there may be thousands."""
        self._finished: list[SubjectFinished] = []
        self._interrupted = False

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._run, self._started_at, self._stages = event.run, event.at, event.stages
            case RunPlanned():
                self._projects, self._subjects = event.projects, event.subjects
                # Apps have no place of their own: their stages come before all logins.
                self._place = {subject: number for number, subject in enumerate(event.subjects, 1) if subject.org}
                self._sorted = None
            case AppDescribed():
                self._apps[event.app.project, event.app.name] = event.app
            case StageStarted():
                self._begin(event)
            case StageEnded():
                self._ended.append(event)
                self._reached.add((event.stage, event.subject))
                self._sorted = None
            case SubjectFinished():
                self._finished.append(event)
            case RunEnded():
                self._interrupted = event.interrupted
            case StageNoted():
                pass
            case _:
                assert_never(event)

    def _begin(self, event: StageStarted) -> None:
        """A stage that starts again replaces everything that came of its subject before."""
        # A skipped subject is reported once more, as a failure, if nothing in the run succeeds (`Tracker`).
        if (event.stage, event.subject) not in self._reached:
            return
        self._ended = [ended for ended in self._ended if ended.subject != event.subject]
        self._finished = [finished for finished in self._finished if finished.subject != event.subject]
        self._reached = {(ended.stage, ended.subject) for ended in self._ended}
        self._sorted = None

    def _in_order(self, events: Iterable[E]) -> list[E]:
        # Sorting is stable: the stages of one subject stay in the order in which they ended.
        return sorted(events, key=lambda event: self._place.get(event.subject, 0))

    @property
    def started_at(self) -> str:
        return self._started_at

    @property
    def interrupted(self) -> bool:
        return self._interrupted

    @property
    def projects(self) -> tuple[ProjectFacts, ...]:
        return self._projects

    @property
    def apps(self) -> tuple[AppFacts, ...]:
        return tuple(self._apps.values())

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages the run was asked for."""
        return self._stages

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What the run was to work on, as far as it came to know."""
        return self._subjects

    @property
    def ended(self) -> tuple[StageEnded, ...]:
        """In the order of the plan, whichever login was quicker."""
        if self._sorted is None:
            self._sorted = tuple(self._in_order(self._ended))
        return self._sorted

    @property
    def logins(self) -> dict[Subject, LoginResult]:
        return {finished.subject: finished.login for finished in self._in_order(self._finished) if finished.login}

    @property
    def problems(self) -> list[Problem]:
        """What failed, in the order of the plan."""
        return [ended.problem for ended in self.ended if ended.problem is not None]

    @property
    def warnings(self) -> list[str]:
        """The sentences of the stages that passed with a warning."""
        return [_warning(ended) for ended in self.ended if ended.outcome == "warning"]

    @property
    def fatal(self) -> Problem | None:
        """The problem that kept the run from any work: the project itself could not be read."""
        for ended in self._ended:
            if ended.stage == DISCOVER and ended.problem and ended.problem.exit_code != INTERRUPTED:
                return ended.problem
        return None

    @property
    def status(self) -> int:
        """The exit status of the run; nothing else decides it."""
        problems = self.problems
        if self._interrupted:
            return INTERRUPTED
        if not problems:
            # Everything may have been skipped: then nothing failed, and nothing was done either.
            return 0 if self._finished else 1
        # Before partial success: a run that only waits for people is repeated as it is.
        if all(problem.exit_code == WAITING for problem in problems):
            return WAITING
        if self._finished:
            return PARTIAL
        return self.fatal.exit_code if self.fatal else 1

    def result(self) -> Json:
        """The run as the JSON of ``ecapipe run``, version 1."""
        return {
            "version": VERSION,
            "run": self._run,
            "startedAt": self._started_at,
            "projects": projects(self._projects),
            "apps": [app(facts) for facts in self._apps.values()],
            **courses(self.ended, self.logins),
        }


def _warning(ended: StageEnded) -> str:
    subject = str(ended.subject)
    # The stages of the project as a whole have a subject without a name.
    if not subject:
        return str(ended.reason)
    return f"{subject}: {ended.reason}"


def projects(facts: Iterable[ProjectFacts]) -> list[Json]:
    """Searched projects as every result shows them."""
    from ecapipe.documents import codec, run_document

    return [codec.builtins(codec.of(project, run_document.Project)) for project in facts]


def courses(ended: Sequence[StageEnded], logins: Mapping[Subject, LoginResult]) -> Json:
    """The stages of a run, its successes and its failures, as its result shows them."""
    from ecapipe.documents import run_document
    from ecapipe.documents.codec import builtins

    return {
        "stages": [builtins(run_document.Stage.of(each)) for each in ended],
        "successes": [builtins(run_document.Success.of(subject, login)) for subject, login in logins.items()],
        "failures": [builtins(run_document.Failure.of(each, each.problem)) for each in ended if each.problem],
    }


def app(facts: AppFacts) -> Json:
    """An app as every result shows it."""
    from ecapipe.documents import codec, run_document

    return codec.builtins(run_document.App.of(facts))


def probe_status(verdicts: Iterable[Verdict]) -> int:
    """0 if every pair that was asked about is accepted, 1 if none is, `PARTIAL` between the two."""
    words = [each.word for each in verdicts if each.word != "skipped"]
    if "accepted" not in words:
        return 1
    if set(words) == {"accepted"}:
        return 0
    return PARTIAL


def success(result: object, warnings: Iterable[str], status: int = 0) -> Json:
    """The envelope of a command that did its work, whatever came of it. It has the members of ``sf --json``."""
    return {"status": status, "result": result, "warnings": list(warnings)}


def failure(problem: Problem, command: str, warnings: Iterable[str] = (), stack: str | None = None) -> Json:
    """The envelope of a command that could not do its work; `stack` is the traceback of an unforeseen error."""
    from ecapipe.documents import codec, results

    return codec.builtins(results.Error.of(problem, command, warnings, stack))
