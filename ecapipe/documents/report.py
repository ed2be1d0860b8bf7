"""The run as data: a fold over events, its JSON shape, and the exit status."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar, assert_never

from ecapipe import __version__
from ecapipe.events import (
    DISCOVER,
    DRY_RUNS,
    AppDescribed,
    AppFacts,
    Event,
    LoginResult,
    OrgFacts,
    Origin,
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
    SubjectNames,
)
from ecapipe.problems.problem import BUG, INTERRUPTED, WAITING, Problem

if TYPE_CHECKING:
    from ecapipe.documents.verdicts import Verdict

VERSION = 1
"""The version of the format of every result."""
PARTIAL = 68
"""The exit status when some of the work succeeded and some failed."""

Json = dict[str, object]
E = TypeVar("E", StageEnded, SubjectFinished)


class Conclusion(NamedTuple):
    """How a target has ended, and what there is to say of it in a word: its user, its problem, or a reason."""

    word: Literal["succeeded", "planned", "failed", "waiting", "skipped", "not reached"]
    detail: str = ""


def _conclusion(
    login: LoginResult | None, problem: Problem | None, reason: str | None, *, is_finished: bool
) -> Conclusion:
    if is_finished:
        if reason in DRY_RUNS:
            return Conclusion("planned")
        return Conclusion("succeeded", (login.username or login.user_id or "") if login else "")
    if problem:
        return Conclusion("waiting" if problem.exit_code == WAITING else "failed", problem.name)
    return Conclusion("not reached") if reason is None else Conclusion("skipped", reason)


class Report:
    """A fold over the events of a run: an `Emit` that comes to the result and the exit status."""

    def __init__(self) -> None:
        self._run = RunStarted("", "", ())
        self._planned = RunPlanned((), ())
        self.name = SubjectNames()
        self._apps: dict[Subject, AppFacts] = {}
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
                self._run = event
            case RunPlanned():
                self._planned = event
                self.name = SubjectNames(event.subjects)
                # Apps have no place of their own: their stages come before all logins.
                self._place = {subject: number for number, subject in enumerate(event.subjects, 1) if subject.org}
                self._sorted = None
            case AppDescribed():
                self._apps[event.app.subject] = event.app
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
    def run(self) -> str:
        """Its name."""
        return self._run.run

    @property
    def started_at(self) -> str:
        return self._run.at

    @property
    def origin(self) -> Origin | None:
        return self._run.origin

    @property
    def interrupted(self) -> bool:
        return self._interrupted

    @property
    def projects(self) -> tuple[ProjectFacts, ...]:
        return self._planned.projects

    @property
    def orgs(self) -> tuple[OrgFacts, ...]:
        return self._planned.orgs

    @property
    def apps(self) -> tuple[AppFacts, ...]:
        return tuple(self._apps.values())

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages the run was asked for."""
        return self._run.stages

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """What the run was to work on, as far as it came to know."""
        return self._planned.subjects

    @property
    def ended(self) -> tuple[StageEnded, ...]:
        """In the order of the plan, whichever login was quicker."""
        if self._sorted is None:
            self._sorted = tuple(self._in_order(self._ended))
        return self._sorted

    @property
    def logins(self) -> dict[Subject, LoginResult]:
        return {finished.subject: finished.login for finished in self._in_order(self._finished) if finished.login}

    def conclusions(self) -> dict[Subject, Conclusion]:
        """How each target of the plan has ended; what keeps an app from its check keeps it from all of its logins."""
        problems = {ended.subject: ended.problem for ended in self._ended if ended.problem}
        reasons = {ended.subject: ended.reason or "" for ended in reversed(self._ended) if ended.outcome == "skipped"}
        finished = {each.subject: each.login for each in self._finished}
        return {
            target: _conclusion(
                finished.get(target),
                problems.get(target) or problems.get(target.whole_app),
                reasons.get(target),
                is_finished=target in finished,
            )
            for target in self.subjects
            if target.org is not None
        }

    def taken_from(self, subject: Subject) -> str | None:
        """The earlier run from which the login that has just finished was taken over."""
        from ecapipe.documents.recorded_runs import RECORDED

        last = self._ended[-1] if self._ended else None
        if last is None or last.subject != subject or RECORDED not in last.facts:
            return None
        return str(last.facts[RECORDED])

    @property
    def problems(self) -> list[Problem]:
        """What failed, in the order of the plan."""
        return [ended.problem for ended in self.ended if ended.problem is not None]

    @property
    def warnings(self) -> list[str]:
        """The sentences of the stages that passed with a warning."""
        return [self._warning(ended) for ended in self.ended if ended.outcome == "warning"]

    def _warning(self, ended: StageEnded) -> str:
        # The stages of the project as a whole have a subject without a name.
        return ": ".join(filter(None, (self.name(ended.subject), str(ended.reason))))

    @property
    def fatal(self) -> Problem | None:
        """The problem that kept the run from any work: the project itself could not be read."""
        for ended in self._ended:
            if (
                ended.stage == DISCOVER
                and not ended.subject.org
                and ended.problem
                and ended.problem.exit_code != INTERRUPTED
            ):
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
        if all(problem.exit_code == BUG for problem in problems):
            return BUG
        return self.fatal.exit_code if self.fatal else 1

    def result(self) -> Json:
        """The run as the JSON of ``ecapipe run``, version 1."""
        from ecapipe.documents import codec, run_document

        result = run_document.RunResult(
            run=self._run.run,
            started_at=self._run.at,
            ecapipe=__version__,
            invocation=run_document.Invocation.of(self._run.options),
            origin=run_document.Origin.of(self._run.origin),
            projects=list(map(run_document.Project.of, self.projects)),
            orgs=list(map(run_document.Org.of, self._planned.orgs)),
            apps=list(map(run_document.App.of, self.apps)),
            **run_document.courses(self.ended, self.logins),
        )
        return codec.builtins(result)


def probe_status(verdicts: Iterable[Verdict], *, strict: bool) -> int:
    """0 if no pair that was asked about fails, 1 if all do, `PARTIAL` between the two; 3 if bugs are all that came of
    it."""
    asked = [each for each in verdicts if each.word != "skipped"]
    failures = [each for each in asked if each.fails(strict=strict)]
    if asked and all(each.problem and each.problem.exit_code == BUG for each in asked):
        return BUG
    if len(failures) == len(asked):
        return 1
    return PARTIAL if failures else 0


def success(result: object, warnings: Iterable[str], status: int = 0) -> Json:
    """The envelope of a command that did its work, whatever came of it. It has the members of ``sf --json``."""
    return {"status": status, "result": result, "warnings": list(warnings)}


def failure(problem: Problem, command: str, warnings: Iterable[str] = (), stack: str | None = None) -> Json:
    """The envelope of a command that could not do its work; `stack` is the traceback of an unforeseen error."""
    from ecapipe.documents import codec, results

    return codec.builtins(results.Error.of(problem, command, warnings, stack))
