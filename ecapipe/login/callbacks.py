"""Web logins that wait for their redirects, and the one place where answers arrive, whether by callback or pasted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from ecapipe.events import Subject
from ecapipe.oauth import authorize
from ecapipe.oauth.authorize import AuthorizationRequest, UnmatchedResponse
from ecapipe.oauth.flows.web import AuthorizationCode
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.sign_in import nobody_to_ask

# Ports are imported by every command, the modules of their types are not: start-up stays fast.
if TYPE_CHECKING:
    from ecapipe.problems.problem import Problem


BROWSER_PATIENCE: Final = 10.0
"""Seconds that a browser waits to hear what became of its login."""


PASTE_GAP: Final = 0.3
"""Seconds within which lines belong to one paste."""


@dataclass(frozen=True, slots=True)
class _PendingLogin:
    request: AuthorizationRequest
    future: Future[AuthorizationCode]
    pasted: bool


class PendingLogins:
    """Web logins that wait for their answers, identified by ``state`` (RFC 6749, section 10.12). Thread-safe."""

    def __init__(self, patience: float = 0.0) -> None:
        """`patience`: for how many seconds a browser waits to hear what became of its login."""
        self._lock = threading.Lock()
        self._patience = patience
        self._replies: dict[Subject, Future[CallbackReply]] = {}
        """What browsers wait for."""
        self._pending: dict[str, _PendingLogin] = {}
        self._error: BaseException | None = None
        """The end of all logins, once `give_up` was called."""
        self._unread = False
        self._accepted: set[int] = set()
        """Hashes of what was pasted and accepted."""

    @property
    def waiting(self) -> int:
        """The number of logins that wait."""
        return len(self._pending)

    @property
    def pasting(self) -> bool:
        """Whether any of them waits for a pasted answer."""
        # A copy, made in one step: another thread may add a login meanwhile.
        return any(login.pasted for login in tuple(self._pending.values()))

    def expect(self, login: AuthorizationRequest, *, pasted: bool = False) -> Future[AuthorizationCode]:
        """Wait for the answer to `login`; `pasted`: a person has to paste it.

        The future raises a refusal or NobodyToAsk (`EcapipeError`), or the error of `give_up`.
        """
        future: Future[AuthorizationCode] = Future()
        with self._lock:
            if self._error:
                future.set_exception(self._error)
            elif pasted and self._unread:
                future.set_exception(EcapipeError(nobody_to_ask(login.app.name)))
            else:
                self._pending[login.state] = _PendingLogin(login, future, pasted)
        return future

    def land(self, query: str) -> CallbackReply:
        """Match the query of a request to the loopback site with the login that waits for it."""
        with self._lock:
            try:
                login, outcome = authorize.match_redirect(query, self._requests())
            except UnmatchedResponse as error:
                return CallbackReply(False, False, str(error))
            subject = _subject(login)
            if isinstance(outcome, EcapipeError):
                self._settle(login, outcome)
                return _failed(subject, outcome.problem)
            reply: Future[CallbackReply] = Future()
            # Before the lock is given back, so that the end of the login cannot come earlier.
            self._replies[subject] = reply
            self._settle(login, outcome)
        sentence = f"{login.app.name} is signed in to {login.org.name}. See the terminal for the result."
        return CallbackReply(True, True, sentence, reply if self._patience else None, self._patience)

    def conclude(self, subject: Subject, problem: Problem | None) -> None:
        """Tell the browser that waits for it what became of a login."""
        with self._lock:
            reply = self._replies.pop(subject, None)
        if reply is None:
            return
        if problem:
            reply.set_result(_failed(subject, problem))
        else:
            authorized = f"{subject.app} is authorized in {subject.org}."
            sentence = f"{authorized} You can close this page and return to the terminal."
            reply.set_result(CallbackReply(True, True, sentence, authorized=True))

    def release(self, subjects: Iterable[Subject]) -> None:
        """Let browsers that still wait go: nothing more will be known."""
        with self._lock:
            replies = [self._replies.pop(subject, None) for subject in subjects]
        for reply in replies:
            if reply:
                reply.cancel()

    def paste(self, text: str) -> PasteReply:
        """Accept what was pasted, several addresses in one if need be; says of each what became of it."""
        with self._lock:
            replies = [self._paste(part) for part in authorize.split_pasted(text, self._requests())]
        sentences = dict.fromkeys(sentence for sentence, _ in replies)
        return PasteReply(
            tuple(sentences) or ("Nothing was pasted.",), refused=not all(ok for _, ok in replies) or not replies
        )

    def _paste(self, text: str) -> tuple[str, bool]:
        """The answer to one pasted address or code, and whether a login waited for it."""
        # What was pasted holds a code, so that no more of it is remembered.
        digest = hash("".join(text.split()))
        if digest in self._accepted:
            return "That URL was already accepted.", False
        try:
            login, outcome = authorize.match_pasted(text, self._requests())
        except UnmatchedResponse as error:
            return str(error), False
        self._settle(login, outcome)
        self._accepted.add(digest)
        word = "sign-in refused" if isinstance(outcome, EcapipeError) else "URL accepted"
        count = len(self._pending)
        return f"{_subject(login)}: {word}. {count or 'No'} sign-in{'' if count == 1 else 's'} pending.", True

    def unread(self) -> None:
        """End the logins that wait for a pasted answer: the input has ended, so none can come."""
        with self._lock:
            self._unread = True
            for login in tuple(self._pending.values()):
                if login.pasted:
                    self._settle(login.request, EcapipeError(nobody_to_ask(login.request.app.name)))

    def give_up(self, error: BaseException) -> None:
        """End every login that waits, and each that comes later, with `error`."""
        with self._lock:
            self._error = error
            for login in self._requests():
                self._settle(login, error)

    def forget(self, login: AuthorizationRequest) -> None:
        """Stop waiting for the answer to `login`: one that comes later matches nothing."""
        with self._lock:
            self._pending.pop(login.state, None)

    def _requests(self) -> list[AuthorizationRequest]:
        return [login.request for login in self._pending.values()]

    def _settle(self, login: AuthorizationRequest, outcome: AuthorizationCode | BaseException) -> None:
        # Removed first: a state is good for one answer, so a replayed redirect matches nothing.
        future = self._pending.pop(login.state).future
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


@dataclass(frozen=True, slots=True)
class CallbackReply:
    """The loopback site's answer to the browser. Unless it `fits` a login, the request has changed nothing."""

    fits: bool
    granted: bool
    sentence: str
    outcome: Future[CallbackReply] | None = None
    """What became of the login, once that is known."""
    patience: float = 0.0
    """For how many seconds to wait for it."""
    authorized: bool = False
    """The login is verified, too: until then somebody is only signed in."""

    def settled(self) -> CallbackReply:
        """What became of the login, or, if that takes too long, this."""
        if self.outcome is None:
            return self
        try:
            return self.outcome.result(self.patience)
        except (TimeoutError, CancelledError):
            return self

    @property
    def title(self) -> str:
        if not self.granted:
            return "Not authorized"
        return "Authorized" if self.authorized else "Signed in"

    @property
    def verdict(self) -> str:
        """How the page looks; see `ecapipe.page.card`."""
        if not self.granted:
            return "bad"
        return "good" if self.authorized else ""


def _subject(login: AuthorizationRequest) -> Subject:
    return Subject(login.app.name, login.org.name, login.app.tree)


def _failed(subject: Subject, problem: Problem) -> CallbackReply:
    sentence = f"{subject.app} was not authorized in {subject.org}. {problem.message}"
    return CallbackReply(True, False, "\n".join([sentence, *problem.actions]))


class PastedLines:
    """Gathers the lines of one paste: those that arrive within `PASTE_GAP` of each other. See `LineReader`."""

    def __init__(self, take: Callable[[str | None], None]) -> None:
        self._take = take
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._timer: threading.Timer | None = None

    def __call__(self, line: str | None) -> None:
        if line is None:
            self._flush()
            self._take(None)
            return
        with self._lock:
            self._lines.append(line)
            if self._timer:
                self._timer.cancel()
            self._timer = threading.Timer(PASTE_GAP, self._flush)
            self._timer.daemon = True
            self._timer.start()

    def _flush(self) -> None:
        # The lock is held until the lines are taken: the end of the input comes after them.
        with self._lock:
            text = "\n".join(line.rstrip("\r\n") for line in self._lines)
            self._lines.clear()
            if text.strip():
                self._take(text)


@dataclass(frozen=True, slots=True)
class PasteReply:
    """What to say of a paste: a sentence for each thing in it. `refused`: something in it belongs to no login."""

    sentences: tuple[str, ...]
    refused: bool


class CallbackListener(Protocol):
    """A site at exactly the given callback URLs, for as long as the context lasts.

    `land` is called with the query of each request to one of them. The value of the context are the addresses that
    could not be opened, each with its problem (PortInUseError, CannotListen).
    """

    def __call__(
        self, callback_urls: Collection[str], land: Callable[[str], CallbackReply]
    ) -> AbstractContextManager[Mapping[str, Problem]]: ...


class LineReader(Protocol):
    """A context in which every line of the input goes to `take`, and None when the input has ended."""

    def __call__(self, take: Callable[[str | None], None]) -> AbstractContextManager[None]: ...
