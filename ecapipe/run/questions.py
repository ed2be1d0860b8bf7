"""Questions to orgs that need no login, many at once: could a login begin, and are key and secret good?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue

from ecapipe.credentials.resolution import Credentials
from ecapipe.documents.verdicts import CheckWord, ProbeCheck
from ecapipe.oauth import authorize, authorize_probe, introspection
from ecapipe.oauth.authorize_probe import ProbeRefusal
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import bug
from ecapipe.run.workers import CONCURRENCY, PER_HOST, Workers
from ecapipe.run.world import World

_TICK = 0.25
"""Seconds between two looks for requests that take long."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request, and what it says of an app: with a `callback` (of which `scopes` are asked for; None: all of the
    app's) that to authorize, else that to introspect."""

    credentials: Credentials
    org: Org
    callback: str | None = None
    scopes: str | None = None

    def ask(self, world: World) -> ProbeCheck:
        try:
            self._send(world)
        except ProbeRefusal as refusal:
            return self.answer("refused", refusal)
        except EcapipeError as error:
            return self.answer("unclear", error)
        except Exception as error:  # a bug is the end of this question alone
            return self.answer("unclear", EcapipeError(bug(error)))
        return self.answer("accepted")

    def answer(self, verdict: CheckWord, error: EcapipeError | None = None) -> ProbeCheck:
        return ProbeCheck(
            what="authorize" if self.callback else "introspect",
            callback=self.callback,
            verdict=verdict,
            problem=error.problem.in_org(self.org.alias) if error else None,
            refused=error.part if isinstance(error, ProbeRefusal) else None,
        )

    def _send(self, world: World) -> None:
        credentials, org = self.credentials, self.org
        if self.callback is None:
            introspection.read(world.send(introspection.request(credentials, org)), credentials, org)
            return
        login = authorize.build_request(credentials, org, self.callback, self.scopes, world.random_bytes)
        authorize_probe.read(world.send(authorize_probe.request(login)), login)


@dataclass(slots=True)
class Answers:
    """What came of questions, by their places in the order that they were asked in."""

    checks: dict[int, ProbeCheck] = field(default_factory=dict)
    interrupted: bool = False


def ask_all(questions: Sequence[Question], world: World, at_once: int = CONCURRENCY) -> Answers:
    """Ask them, several at once. An interrupt leaves what has not been answered; an error that is no `Exception` is
    raised here."""
    results: SimpleQueue[tuple[int, ProbeCheck | BaseException] | None] = SimpleQueue()
    answers = Answers()
    workers = Workers(at_once, PER_HOST, world.clock.seconds, world.close_connections)

    def work(number: int, question: Question) -> None:
        try:
            results.put((number, question.ask(world)))
        # `Workers` must not see an exception; an interrupt belongs to the main thread as well.
        except BaseException as error:
            results.put((number, error))

    try:
        with world.interrupts(partial(results.put, None)):
            for number, question in enumerate(questions):
                workers.submit(question.org.host, partial(work, number, question))
            while len(answers.checks) < len(questions) and not answers.interrupted:
                world.tell("Asking orgs", len(answers.checks), len(questions))
                _take(results, answers, workers.relieve)
    finally:
        workers.close()
    return answers


def _take(
    results: SimpleQueue[tuple[int, ProbeCheck | BaseException] | None],
    answers: Answers,
    relieve: Callable[[], None],
) -> None:
    """The next answer, if there is one soon."""
    try:
        arrived = results.get(timeout=_TICK)
    except Empty:
        # Slow hosts must not hold the quick ones up.
        relieve()
        return
    if arrived is None:
        answers.interrupted = True
        return
    number, result = arrived
    if isinstance(result, BaseException):
        raise result
    answers.checks[number] = result
