"""Many logins at once: on a few threads those that need nobody, on one thread each those that wait for a person.

Threads put what happens into one queue, and the thread that called `run` alone takes it out and emits it. So
displays, journal and report need no lock, and a signal comes between two events, never into one.

What arrives in which order is relied upon:

- The events of one login are in order: its sign-in thread hands over to a worker, and waits for it.
- `LoginOver` comes after all events of its login. A login whose `LoginOver` has not arrived is one that an interrupt
  ends, so that nothing of it may be emitted afterwards.
- A bug in a thread, outside of the stages, arrives as `_Crash`, in its place: what happened before it has been
  emitted.
- An interrupt arrives as `_Stop`. The first one lets nothing new begin and wakes everybody who waits; what is at work
  has `GRACE` to end for itself. The second one ends that time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from ecapipe.events import (
    AUTHORIZE,
    HAND_OVER,
    TARGET_STAGES,
    TOKEN,
    VERIFY,
    Event,
    LoginResult,
    Note,
    NoteKind,
    StageEnded,
    StageNoted,
    Subject,
    SubjectFinished,
)
from ecapipe.login import handover, sign_in, token_request, verification
from ecapipe.login import plan as login_plan
from ecapipe.login.callbacks import BROWSER_PATIENCE, PastedLines, PendingLogins
from ecapipe.login.deadline import SignInDeadline
from ecapipe.login.options import LoginOptions
from ecapipe.login.target import Target, UnattendedPlan, WebPlan
from ecapipe.login.tracker import SkipStage, StageSequence, StageWork, Tracker
from ecapipe.oauth.flows.web import AuthorizationCode
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.usage import bug
from ecapipe.run.board import BoardActions, BoardPage, SignInBoard
from ecapipe.run.login_progress import LoginOver, LoginProgress
from ecapipe.run.preflight import callback_urls
from ecapipe.run.prompts import SignInPrompts, WebLogin
from ecapipe.run.readiness import Blocked, Readiness, Ready, Refused, Skipped
from ecapipe.run.workers import CONCURRENCY, PER_HOST, Workers
from ecapipe.run.world import World

GRACE: Final = 4.0
"""Seconds that logins have to end after an interrupt."""

_TICK: Final = 0.25
"""Seconds between two looks at what takes long."""

_GATHER: Final = 0.005
"""Seconds for which messages are gathered: emitting each for itself would get in the way of the logins."""


@dataclass(frozen=True, slots=True)
class _Crash:
    """A bug in a thread, which ends one login."""

    subject: Subject
    error: Exception


class _Stop:
    """Somebody interrupts the run."""


_Message = Event | LoginOver | _Crash | _Stop


def record_unstarted(readiness: Readiness, options: LoginOptions, tracker: Tracker) -> None:
    """Emit the stages of a target that is not logged in to; a target that is ready is one of a dry run."""
    subject = readiness.target.subject
    with tracker.course(subject, TARGET_STAGES) as sequence:
        if isinstance(readiness, Blocked):
            sequence.halt(readiness.reason)
        with sequence.stage(AUTHORIZE) as work:
            match readiness:
                case Skipped(_, problem):
                    raise SkipStage(problem.message, problem)
                case Refused(_, problem):
                    raise EcapipeError(problem)
                case Ready(target, plan, check):
                    if check:
                        work.facts["probe"] = check.verdict
                    if check and check.problem:
                        work.facts["probeMessage"] = check.problem.message
                    login_plan.show(plan, target, options, work)
    if sequence.finished:
        tracker.emit(SubjectFinished(subject, None))


def run(
    ready: Sequence[Ready], options: LoginOptions, world: World, tracker: Tracker, concurrency: int = CONCURRENCY
) -> None:
    """Log in to every target, `concurrency` of them at the same time; whoever waits for a person takes no place.

    Everything is emitted by the thread that calls this. Raises KeyboardInterrupt, once all is emitted, if it was
    interrupted.
    """
    if ready:
        _Scheduler(ready, options, world, tracker, concurrency).run()


class _Scheduler:
    def __init__(
        self, ready: Sequence[Ready], options: LoginOptions, world: World, tracker: Tracker, concurrency: int
    ) -> None:
        self._options, self._world = options, world
        self._unattended: list[tuple[Target, UnattendedPlan]] = []
        self._web: list[tuple[Target, WebPlan]] = []
        for each in ready:
            if isinstance(each.plan, WebPlan):
                self._web.append((each.target, each.plan))
            else:
                self._unattended.append((each.target, each.plan))
        self._messages: SimpleQueue[_Message] = SimpleQueue()
        # What threads emit goes to the queue; `tracker` itself is for the emitting thread alone.
        self._tracker = tracker.by(self._messages.put)
        self._progress = LoginProgress([each.target.subject for each in ready], tracker, world.clock)
        self._end: float | None = None
        self._workers = Workers(concurrency, PER_HOST, world.clock.seconds, world.close_connections)
        self._deadline = SignInDeadline(options.wait, len(self._web), world.clock.seconds)
        self._pending = PendingLogins(BROWSER_PATIENCE)
        self._board = SignInBoard(self._pending, self._deadline)
        self._prompts = SignInPrompts(
            world,
            board=self._board,
            pending=self._pending,
            deadline=self._deadline,
            note=self._note,
            start=self._start_thread,
        )
        self._callback_problems: Mapping[str, Problem] = {}
        self._orgs_by_id: dict[str, Org] = {}

    def run(self) -> None:
        # On the way out, in reverse: no answer is taken any more, then no work, and interrupts come last, so that
        # none of these steps is cut short.
        with ExitStack() as stack:
            stack.enter_context(self._world.interrupts(lambda: self._messages.put(_Stop())))
            stack.callback(self._workers.close)
            for target, plan in self._unattended:
                self._workers.submit(target.org.host, partial(self._log_in_unattended, target, plan))
            if self._web:
                if len(self._web) > 1 and self._world.board is not None and not self._world.stand_in:
                    self._open_board(self._world.board, stack)
                # Before any link is shown: its answer may come at once.
                self._open_callbacks(stack)
                self._begin_web_logins()
            self._emit_all()

    # --- the thread that emits

    def _emit_all(self) -> None:
        seconds = self._world.clock.seconds
        relieved = seconds()
        while self._progress.open:
            messages = self._receive()
            for message in messages:
                self._handle(message)
            now = seconds()
            if now - relieved >= _TICK:
                self._workers.relieve()
                relieved = now
            # Then what is still open has not begun, or waits for a worker that will not come any more.
            quiet = not messages and not self._progress.running and not self._workers.busy
            if self._end is not None and (quiet or now >= self._end):
                break
        self._progress.interrupt()
        self._pending.release(target.subject for target, _ in self._web)
        if self._end is not None:
            raise KeyboardInterrupt

    def _receive(self) -> list[_Message]:
        """The messages that have arrived, none if there were none for a while."""
        messages: list[_Message] = []
        try:
            messages.append(self._messages.get(timeout=_TICK))
            # Measured over 1,000 logins: woken by each message, this thread stands in the way of those that log in.
            time.sleep(_GATHER)
            while True:
                messages.append(self._messages.get_nowait())
        except Empty:
            return messages
        except KeyboardInterrupt:
            # Where no handler makes a message of it, the interrupt still comes after what has arrived.
            return [*messages, _Stop()]

    def _handle(self, message: _Message) -> None:
        match message:
            case _Crash(subject, error):
                self._progress.fail(subject, bug(error))
            case _Stop():
                self._stop()
            case _:
                self._progress.record(message)
                self._tell_browser(message)

    def _tell_browser(self, message: Event | LoginOver) -> None:
        match message:
            case StageEnded(subject=subject, problem=Problem() as problem):
                self._pending.conclude(subject, problem)
            case StageEnded(stage=stage, subject=subject, outcome="passed" | "warning") if stage is VERIFY:
                self._pending.conclude(subject, None)
            case LoginOver(subject):
                self._pending.release([subject])
            case _:
                pass

    def _stop(self) -> None:
        now = self._world.clock.seconds()
        if self._end is not None:
            self._end = now
            return
        self._end = now + GRACE
        self._progress.record(StageNoted(AUTHORIZE, Subject(), Note("hint", self._stopping())))
        # In this order: a code that arrives now is not exchanged any more, no failed login is offered to begin again,
        # and only then those that wait are woken.
        self._workers.close()
        self._board.end()
        self._pending.give_up(KeyboardInterrupt())

    def _stopping(self) -> str:
        count = sum(stage is not AUTHORIZE for stage in self._progress.running.values())
        if not count:
            return "Stopping..."
        logins = "1 login" if count == 1 else f"{count} logins"
        return f"Stopping: finishing {logins}, {GRACE:.0f} seconds at most. Press Ctrl-C again to stop now."

    # --- logins that need nobody

    def _log_in_unattended(self, target: Target, plan: UnattendedPlan) -> None:
        with self._until_over(target.subject):
            sequence = self._tracker.begin(target.subject, TARGET_STAGES, target.org.alias)
            with sequence.piece(last=False), sequence.stage(AUTHORIZE) as work:
                login_plan.show(plan, target, self._options, work)
                work.pass_over(f"The {plan.flow.title} flow has no browser step.")
            self._exchange(sequence, target, plan)

    def _exchange(self, sequence: StageSequence, target: Target, source: AuthorizationCode | UnattendedPlan) -> None:
        """token → verify → hand-over, on a worker."""
        options, world = self._options, self._world
        login: LoginResult | None = None
        # One end for all the requests of a login, however often each is sent again.
        end = world.clock.seconds() + token_request.LONGEST + options.settle * 60
        with sequence.piece():
            with sequence.stage(TOKEN) as work:
                token = token_request.request_token(target, source, options, world, work, end)
                # The result if the run is to stop here; the next stage replaces it.
                login = token_request.unverified_login(token, source.flow)
            with sequence.stage(VERIFY) as work:
                login = verification.verify(target, token, source.flow, options, world, work=work, end=end)
                self._warn_of_same_org(target, login, work)
            with sequence.stage(HAND_OVER) as work:
                login = handover.hand_over(target, token, login, options, world, work)
        if sequence.finished:
            self._messages.put(SubjectFinished(target.subject, login))

    def _warn_of_same_org(self, target: Target, login: LoginResult, work: StageWork) -> None:
        """Two addresses may turn out to be one org: only the verified id tells."""
        first = self._orgs_by_id.setdefault((login.org_id or "")[:15], target.org)
        if first.url != target.org.url:
            work.warn(
                f"{target.org.name} is the same org as {first.name}: both are {login.org_id}, at "
                f"{target.org.url} and {first.url}."
            )

    # --- logins with people

    def _open_board(
        self, board: Callable[[BoardActions], AbstractContextManager[BoardPage]], stack: ExitStack
    ) -> None:
        """Without its page, people are shown links in the terminal."""
        try:
            self._board.page = stack.enter_context(board(self._board))
        except EcapipeError as error:
            self._note("hint", error.problem.message)

    def _open_callbacks(self, stack: ExitStack) -> None:
        """Listen for redirects, and read what is pasted."""
        urls = callback_urls(plan for _, plan in self._web)
        if urls:
            # Another program may have taken a port since the preflight; then these logins fail, each for itself.
            self._callback_problems = stack.enter_context(self._world.listen(urls, self._pending.land))
        # On a terminal always: somebody may have used another browser, or one that cannot reach this machine.
        # Where the browser may be elsewhere, whatever the input is.
        doubtful = self._world.ask is not None or self._world.browser_doubt is not None
        if doubtful or any(plan.callback == "paste" for _, plan in self._web):
            stack.enter_context(self._world.lines(PastedLines(self._take_paste)))

    def _take_paste(self, text: str | None) -> None:
        if text is None:
            # The board has a box to paste into: the end of the input is not the end of answers.
            if self._board.page is None:
                self._pending.unread()
            return
        reply = self._pending.paste(text)
        # What signs in by itself needs no answer.
        if not self._world.stand_in:
            for sentence in reply.sentences:
                self._note("hint", sentence)
        if reply.refused and self._pending.waiting:
            self._note("asking", "Paste a redirect URL:")

    def _begin_web_logins(self) -> None:
        """One after the other up to its link, so that links are shown in order; then say once what is to be done."""
        count = len(self._web)
        for number, (target, plan) in enumerate(self._web, 1):
            login = WebLogin(target, plan, number, several=count > 1)
            work = partial(self._log_in_attended, login)
            threading.Thread(target=work, name=f"ecapipe-{target.subject}", daemon=True).start()
            login.link_shown.wait()
        self._prompts.announce(count)

    def _log_in_attended(self, login: WebLogin) -> None:
        subject = login.target.subject
        with self._until_over(subject):
            while True:
                sequence = self._tracker.begin(subject, TARGET_STAGES)
                code: AuthorizationCode | None = None
                with sequence.piece(last=False), sequence.stage(AUTHORIZE) as work:
                    try:
                        code = self._sign_in(login, work)
                    finally:
                        # Also of a login that fails before it has a link: the next one waits for this.
                        login.link_shown.set()
                        login.wait_over.set()
                if code is not None:
                    # On a worker, for those bound how much is sent at once; waited for, so that events stay in order.
                    self._submit_exchange(sequence, login.target, code).wait()
                if sequence.finished or not self._board.again(subject):
                    return

    def _sign_in(self, login: WebLogin, work: StageWork) -> AuthorizationCode:
        target, plan = login.target, login.plan
        login_plan.show(plan, target, self._options, work)
        if plan.listens and plan.listens in self._callback_problems:
            raise EcapipeError(self._callback_problems[plan.listens])

        def show(link: str) -> None:
            self._prompts.show_link(login, link, work)

        return sign_in.sign_in(target, plan, self._world, self._pending, self._deadline, show)

    def _submit_exchange(self, sequence: StageSequence, target: Target, code: AuthorizationCode) -> threading.Event:
        """Have the rest of a login done by a worker; the event is set when it is."""
        over = threading.Event()

        def work() -> None:
            try:
                with self._reporting_crashes(target.subject):
                    self._exchange(sequence, target, code)
            finally:
                over.set()

        self._workers.submit(target.org.host, work)
        return over

    def _note(self, kind: NoteKind, text: str) -> None:
        """Tell people something that concerns several logins."""
        self._messages.put(StageNoted(AUTHORIZE, Subject(), Note(kind, text)))

    # --- every thread

    def _start_thread(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except Exception as error:
                # Links are shown all the same.
                self._note("hint", bug(error).message)

        threading.Thread(target=guarded, name="ecapipe-browser", daemon=True).start()

    @contextmanager
    def _until_over(self, subject: Subject) -> Iterator[None]:
        """All that is done for a login; nothing is emitted of it after that."""
        with self._reporting_crashes(subject):
            yield
        self._messages.put(LoginOver(subject))

    @contextmanager
    def _reporting_crashes(self, subject: Subject) -> Iterator[None]:
        """Hand a bug to the thread that emits, as the failure of one login. An interrupt needs no message: it came as
        one."""
        try:
            yield
        except KeyboardInterrupt:
            return
        except Exception as error:
            self._messages.put(_Crash(subject, error))
