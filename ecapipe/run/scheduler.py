"""Many logins at once: on a few threads those that need nobody, on one thread each those that wait for a person."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final
from urllib.parse import urlsplit

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
    StageNoted,
    Subject,
    SubjectFinished,
)
from ecapipe.login import handover, sign_in, token_request, verification
from ecapipe.login import plan as login_plan
from ecapipe.login.callbacks import PendingLogins, SignInDeadline
from ecapipe.login.options import LoginOptions
from ecapipe.login.target import LoginPlan, Target, UnattendedPlan, WebPlan
from ecapipe.login.tracker import SkipStage, StageSequence, StageWork, Tracker
from ecapipe.oauth.grants import AuthorizationCode, Grant
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.run.board import BoardActions, BoardPage, SignInBoard
from ecapipe.run.ledger import LoginLedger, LoginOver
from ecapipe.run.workers import Workers
from ecapipe.run.world import World

CONCURRENCY: Final = 8
"""Logins at work at the same time, unless somebody asks for another number."""

PER_HOST: Final = 8
"""Logins that one host gets at the same time, however many there may be in all."""

GRACE: Final = 4.0
"""Seconds that logins have to end after an interrupt."""

_TICK: Final = 0.25
"""Seconds between two looks at what takes long."""

_GATHER: Final = 0.005
"""Seconds for which what is told is gathered: telling each event for itself would get in the way of the logins."""


@dataclass(frozen=True, slots=True)
class _Turn:
    """A link that is shown in a browser when it is its turn, unless the login is over by then."""

    link: str
    open: Callable[[str], bool]
    over: threading.Event


@dataclass(frozen=True, slots=True)
class _Crash:
    """A bug in a thread: the run ends with it."""

    error: BaseException


class _Stop:
    """Somebody interrupts the run."""


_Told = Event | LoginOver | _Crash | _Stop


def closed_callbacks(plans: Iterable[object], world: World) -> Mapping[str, Problem]:
    """The callback URLs of `plans` that cannot be listened on, tried before anyone signs in."""
    urls = _listened(plans)
    if not urls:
        return {}
    with world.listen(urls, PendingLogins().land) as lost:
        return lost


def record_unstarted(
    target: Target, planned: LoginPlan | Problem | SkipStage | str, how: LoginOptions, track: Tracker
) -> None:
    """Tell of a target that is not logged in to: a reason to skip it, what its plan met, or a dry run."""
    with track.course(target.subject, TARGET_STAGES) as course:
        if isinstance(planned, str):
            course.halt(planned)
        with course.stage(AUTHORIZE) as work:
            if isinstance(planned, SkipStage):
                raise planned
            login_plan.show(planned, target, how, work)
    if course.finished:
        track.emit(SubjectFinished(target.subject, None))


def run(
    ready: Sequence[tuple[Target, LoginPlan]],
    how: LoginOptions,
    world: World,
    track: Tracker,
    at_once: int = CONCURRENCY,
) -> None:
    """Log in to every target, `at_once` of them at the same time; whoever waits for a person takes no place.

    Everything is told by the thread that calls this. Raises KeyboardInterrupt, once all is told, if it was
    interrupted.
    """
    if ready:
        _Scheduler(ready, how, world, track, at_once).run()


class _Scheduler:
    def __init__(
        self, ready: Sequence[tuple[Target, LoginPlan]], how: LoginOptions, world: World, track: Tracker, at_once: int
    ) -> None:
        self._how, self._world = how, world
        self._alone = [(target, plan) for target, plan in ready if not isinstance(plan, WebPlan)]
        self._web = [(target, plan) for target, plan in ready if isinstance(plan, WebPlan)]
        self._told: SimpleQueue[_Told] = SimpleQueue()
        self._track = track.by(self._told.put)
        self._ledger = LoginLedger([target.subject for target, _ in ready], track, world.clock)
        self._patience = SignInDeadline(how.wait, len(self._web), world.clock.seconds)
        self._flight = PendingLogins()
        self._desk = SignInBoard(self._flight, self._patience)
        self._workers = Workers(at_once, PER_HOST, world.clock.seconds, world.parted)
        self._lost: Mapping[str, Problem] = {}
        self._turns: list[_Turn] = []
        self._verified: dict[str, Org] = {}

    def run(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(self._world.interrupts(lambda: self._told.put(_Stop())))
            stack.callback(self._workers.close)
            for target, plan in self._alone:
                self._workers.submit(target.org.host, partial(self._unattended, target, plan))
            if self._web:
                if len(self._web) > 1 and self._world.board is not None and not self._world.stand_in:
                    self._open_board(self._world.board, stack)
                self._open_ways_back(stack)
                self._invite()
            self._tell()

    # --- the thread that tells

    def _tell(self) -> None:
        seconds = self._world.clock.seconds
        looked, end = seconds(), None
        while self._ledger.open:
            heard = self._hear()
            for told in heard:
                if isinstance(told, _Crash):
                    raise told.error
                if not isinstance(told, _Stop):
                    self._ledger.write(told)
                elif end is not None:
                    end = seconds()
                else:
                    end = seconds() + GRACE
                    self._workers.close()
                    self._desk.end()
                    self._flight.give_up(KeyboardInterrupt())
            now = seconds()
            if now - looked >= _TICK:
                self._workers.relieve()
                looked = now
            quiet = not heard and not self._ledger.running and not self._workers.busy
            if end is not None and (quiet or now >= end):
                break
        self._ledger.close()
        if end is not None:
            raise KeyboardInterrupt

    def _hear(self) -> list[_Told]:
        """What has been told, if anything was for a while."""
        heard: list[_Told] = []
        try:
            heard.append(self._told.get(timeout=_TICK))
            time.sleep(_GATHER)
            while True:
                heard.append(self._told.get_nowait())
        except Empty:
            return heard
        except KeyboardInterrupt:
            return [*heard, _Stop()]

    # --- logins that need nobody

    def _unattended(self, target: Target, grant: UnattendedPlan) -> None:
        with self._answering(target.subject):
            course = self._track.begin(target.subject, TARGET_STAGES)
            with course.piece(last=False), course.stage(AUTHORIZE) as work:
                login_plan.show(grant, target, self._how, work)
                work.pass_over(login_plan.why_unattended(grant))
            self._finish(course, target, grant)

    def _finish(self, course: StageSequence, target: Target, grant: Grant | UnattendedPlan) -> None:
        """token → verify → hand-over, on a worker."""
        how, world, ended = self._how, self._world, None
        end = world.clock.seconds() + token_request.LONGEST + how.settle * 60
        with course.piece():
            with course.stage(TOKEN) as work:
                token = token_request.request_token(target, grant, how, world, work, end)
                ended = token_request.unverified_login(token, grant)
            with course.stage(VERIFY) as work:
                ended = verification.verify(target, token, grant, how, world, work, end)
                self._compare(target, ended, work)
            with course.stage(HAND_OVER) as work:
                ended = handover.hand_over(target, token, ended, how, world, work)
        if course.finished:
            self._told.put(SubjectFinished(target.subject, ended))

    def _compare(self, target: Target, ended: LoginResult, work: StageWork) -> None:
        """Tell if two addresses have turned out to be one org."""
        first = self._verified.setdefault((ended.org_id or "")[:15], target.org)
        if first.url != target.org.url:
            work.warn(
                f"{target.org.name} is the same org as {first.name}: both are {ended.org_id}, at "
                f"{target.org.url} and {first.url}."
            )

    # --- logins with people

    def _open_board(
        self, board: Callable[[BoardActions], AbstractContextManager[BoardPage]], stack: ExitStack
    ) -> None:
        """Without its page, people are told in the terminal."""
        try:
            self._desk.board = stack.enter_context(board(self._desk))
        except EcapipeError as error:
            self._note("hint", error.problem.message)

    def _open_ways_back(self, stack: ExitStack) -> None:
        listened = _listened(plan for _, plan in self._web)
        if listened:
            self._lost = stack.enter_context(self._world.listen(listened, self._flight.land))
        if any(plan.callback == "paste" for _, plan in self._web):
            stack.enter_context(self._world.lines(self._typed))

    def _typed(self, line: str | None) -> None:
        if line is None:
            if self._desk.board is None:  # it has a box to paste into
                self._flight.unread()
        elif line.strip() and (misfit := self._flight.paste(line)):
            self._note("hint", misfit)

    def _invite(self) -> None:
        """Let every login that needs somebody begin, in order, and say once what is to be done."""
        several = len(self._web) > 1
        for number, (target, plan) in enumerate(self._web, 1):
            shown = threading.Event()
            work = partial(self._attended, target, plan, number if several else None, shown)
            threading.Thread(target=work, name=f"ecapipe-{target.subject}", daemon=True).start()
            shown.wait()
        if self._world.stand_in or not several:
            return
        if self._desk.board is not None:
            self._note("hint", f"Sign in on this page, for {len(self._web)} logins, within {self._patience}:")
            self._note("link", self._desk.board.url)
            if not self._world.local_browser:
                port = urlsplit(self._desk.board.url).port
                self._note("hint", f"From another machine, first: ssh -L {port}:127.0.0.1:{port} <this machine>")
            threading.Thread(target=self._show_board, args=(self._desk.board.url,), daemon=True).start()
        else:
            self._ask_for_all()
            threading.Thread(target=self._open_in_turn, name="ecapipe-browser", daemon=True).start()

    def _open_in_turn(self) -> None:
        """Show one link after the other: many tabs at once are of no use, and one browser has one session a host."""
        with self._catching():
            for turn in self._turns:
                if not turn.over.is_set() and not turn.open(turn.link):
                    self._note("hint", "No browser could be opened: open the links yourself.")
                    return
                turn.over.wait()

    def _ask_for_all(self) -> None:
        """Say once, below all links, what is to be done with them."""
        if self._flight.pasting:
            self._note(
                "asking",
                "At each link, sign in and allow the app, then paste the addresses the browser ends at, in any order "
                f"(within {self._patience}):",
            )
        elif self._flight.waiting:
            self._note("waiting", f"At each link, sign in and allow the app: waiting up to {self._patience}.")

    def _show_board(self, url: str) -> None:
        with self._catching():
            if self._world.open is None or self._world.open(url):
                return
            self._note("hint", "No browser could be opened: open the page yourself.")
            if self._world.local_browser:  # then there may be none at all on this machine
                for number, (subject, link) in enumerate(self._desk.links(), 1):
                    self._note("hint", f"{number}. {subject}")
                    self._note("link", link)
                self._ask_for_all()

    def _attended(self, target: Target, plan: WebPlan, number: int | None, shown: threading.Event) -> None:
        with self._answering(target.subject):
            while True:
                course = self._track.begin(target.subject, TARGET_STAGES)
                grant: AuthorizationCode | None = None
                with course.piece(last=False), course.stage(AUTHORIZE) as work:
                    try:
                        grant = self._sign_in(target, plan, number, shown, work)
                    finally:
                        shown.set()
                if grant is not None:
                    self._redeemed(course, target, grant).wait()
                if course.finished or not self._desk.again(target.subject):
                    return

    def _sign_in(
        self, target: Target, plan: WebPlan, number: int | None, shown: threading.Event, work: StageWork
    ) -> AuthorizationCode:
        login_plan.show(plan, target, self._how, work)
        if plan.listens and plan.listens in self._lost:
            raise EcapipeError(self._lost[plan.listens])

        opening, over = login_plan.opener(target.org, self._world), threading.Event()

        def tell(link: str) -> None:
            if self._desk.board is not None:
                self._desk.offer(target.subject, link, opening)
                own = opening is not None and opening is not self._world.open and self._world.local_browser
                browser = target.org.browser if own else None
                work.note("offer", link, pasted=plan.callback == "paste", browser=browser)
            if not self._world.stand_in and (self._desk.board is None or opening is None):
                if number is not None:
                    work.note("hint", f"{number}. {target.subject}")
                work.note("link", link)
                if number is None:
                    work.note("asking" if plan.callback == "paste" else "waiting", self._request(plan, target))
            alone = number is None or self._world.stand_in
            if opening is not None and self._desk.board is None and not alone:
                self._turns.append(_Turn(link, opening, over))
            shown.set()
            self._world.ready()
            if opening is not None and self._desk.board is None and alone and not opening(link):
                work.note("hint", "No browser could be opened: open the link yourself.")

        try:
            return sign_in.sign_in(target, plan, self._world, self._flight, self._patience, tell)
        finally:
            over.set()

    def _redeemed(self, course: StageSequence, target: Target, grant: Grant) -> threading.Event:
        """Have the rest done by a worker; the event is set when it is."""
        done = threading.Event()

        def work() -> None:
            try:
                with self._catching():
                    self._finish(course, target, grant)
            finally:
                done.set()

        self._workers.submit(target.org.host, work)
        return done

    def _request(self, plan: WebPlan, target: Target) -> str:
        org, app = target.org.name, target.app.name
        if plan.callback == "listen":
            return f"Sign in to {org} and allow {app}: waiting up to {self._patience} for the answer."
        return f"Sign in to {org}, allow {app}, then paste the address the browser ends at (within {self._patience}):"

    def _note(self, kind: NoteKind, text: str) -> None:
        """Tell people something that concerns several logins."""
        self._told.put(StageNoted(AUTHORIZE, Subject(), Note(kind, text)))

    # --- every thread

    @contextmanager
    def _answering(self, subject: Subject) -> Iterator[None]:
        with self._catching():
            yield
        self._told.put(LoginOver(subject))

    @contextmanager
    def _catching(self) -> Iterator[None]:
        """Hand a bug to the thread that tells; an interrupt has been told of."""
        try:
            yield
        except KeyboardInterrupt:
            return
        except BaseException as error:
            self._told.put(_Crash(error))


def _listened(plans: Iterable[object]) -> frozenset[str]:
    return frozenset(plan.listens for plan in plans if isinstance(plan, WebPlan) and plan.listens)
