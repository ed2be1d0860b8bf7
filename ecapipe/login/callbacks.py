"""The web logins that wait for their redirects, and the one place where these arrive, whichever way they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ecapipe.oauth import authorize
from ecapipe.oauth.authorize import AuthorizationRequest, UnmatchedResponse
from ecapipe.oauth.grants import AuthorizationCode
from ecapipe.problems.oauth import nobody_to_ask
from ecapipe.problems.problem import EcapipeError

if TYPE_CHECKING:  # the world is described in words of modules that most commands do without
    from ecapipe.problems.problem import Problem


class SignInDeadline:
    """How long people are waited for: `minutes` in total, from the first link."""

    def __init__(self, minutes: float | None, logins: int, clock: Callable[[], float]) -> None:
        self.minutes = minutes if minutes is not None else 5.0 if logins <= 1 else 30.0
        self._clock = clock
        self._lock = threading.Lock()
        self._end: float | None = None

    def left(self) -> float:
        """Seconds; the first call starts the count."""
        with self._lock:
            if self._end is None:
                self._end = self._clock() + self.minutes * 60
        return max(0.0, self._end - self._clock())

    def __str__(self) -> str:
        return f"{self.minutes:g} minute{'' if self.minutes == 1 else 's'}"


class PendingLogins:
    """Web logins that wait for their answers, told apart by ``state``. Used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[AuthorizationRequest, Future[AuthorizationCode], bool]] = {}
        self._over: BaseException | None = None
        self._unread = False

    @property
    def waiting(self) -> int:
        """How many logins wait."""
        return len(self._waiting)

    @property
    def pasting(self) -> bool:
        """Whether any of them waits for what somebody pastes."""
        return any(pasted for _, _, pasted in tuple(self._waiting.values()))

    def expect(self, login: AuthorizationRequest, *, pasted: bool = False) -> Future[AuthorizationCode]:
        """Wait for the answer to `login`; `match_pasted`: somebody has to type it.

        The future raises a refusal or NobodyToAsk (`EcapipeError`), or what `give_up` was given.
        """
        future: Future[AuthorizationCode] = Future()
        with self._lock:
            if self._over:
                future.set_exception(self._over)
            elif pasted and self._unread:
                future.set_exception(EcapipeError(nobody_to_ask(login.app)))
            else:
                self._waiting[login.state] = login, future, pasted
        return future

    def land(self, query: str) -> CallbackReply:
        """Judge what the loopback site was sent."""
        with self._lock:
            try:
                login, outcome = authorize.match_redirect(query, self._logins())
            except UnmatchedResponse as misfit:
                return CallbackReply(False, False, str(misfit))
            self._settle(login, outcome)
        if isinstance(outcome, EcapipeError):
            return CallbackReply(True, False, f"{login.app} was not authorized in {login.org.name}.")
        return CallbackReply(True, True, f"{login.app} is authorized in {login.org.name}.")

    def paste(self, text: str) -> str | None:
        """Take a pasted address or code; the sentence that says why it fits nothing, else None."""
        with self._lock:
            try:
                login, outcome = authorize.match_pasted(text, self._logins())
            except UnmatchedResponse as misfit:
                return str(misfit)
            self._settle(login, outcome)
        return None

    def unread(self) -> None:
        """Nobody types any more: logins whose answer is to be pasted wait in vain."""
        with self._lock:
            self._unread = True
            for login, _, pasted in tuple(self._waiting.values()):
                if pasted:
                    self._settle(login, EcapipeError(nobody_to_ask(login.app)))

    def give_up(self, error: BaseException) -> None:
        """End every login that waits, and each that comes later, with `error`."""
        with self._lock:
            self._over = error
            for login in self._logins():
                self._settle(login, error)

    def forget(self, login: AuthorizationRequest) -> None:
        """Wait no more for the answer to `login`: one that comes later fits nothing."""
        with self._lock:
            self._waiting.pop(login.state, None)

    def _logins(self) -> list[AuthorizationRequest]:
        return [login for login, _, _ in self._waiting.values()]

    def _settle(self, login: AuthorizationRequest, outcome: AuthorizationCode | BaseException) -> None:
        """The first answer that fits counts; its state fits nothing from then on."""
        _, future, _ = self._waiting.pop(login.state)
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


@dataclass(frozen=True, slots=True)
class CallbackReply:
    """What the loopback site tells the browser. `fits` False: the answer changed nothing."""

    fits: bool
    granted: bool
    sentence: str


class CallbackListener(Protocol):
    """One site on exactly the given callback URLs for as long as the context lasts.

    `land` judges the query of each request to one of these addresses. The context gives the addresses that could not
    be opened, each with its problem (PortInUseError, CannotListen).
    """

    def __call__(
        self, callback_urls: Collection[str], land: Callable[[str], CallbackReply]
    ) -> AbstractContextManager[Mapping[str, Problem]]: ...


class LineReader(Protocol):
    """While the context lasts, every line that somebody types goes to `take`; None when the input has ended."""

    def __call__(self, take: Callable[[str | None], None]) -> AbstractContextManager[None]: ...
