"""Asking orgs whether they accept the key and secret of each app: without a person, and without a login."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue

from ecapipe import credentials, discovery, introspection, keeping, logins, orgs, pairing
from ecapipe.credentials import Chain, Credentials
from ecapipe.disclosure import Disclosure
from ecapipe.discovery import Discovery, Where
from ecapipe.events import AppFacts
from ecapipe.introspection import Refusal
from ecapipe.orgs import Which
from ecapipe.pairing import Pair
from ecapipe.problems import EcapipeError, Problem
from ecapipe.verdicts import Verdict, Word
from ecapipe.workers import Workers
from ecapipe.world import World

_TICK = 0.25
"""Seconds between two looks at what takes long."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found, and a verdict for each pair of app and org, in order."""

    found: Discovery
    apps: tuple[AppFacts, ...]
    verdicts: tuple[Verdict, ...]
    notices: tuple[str, ...]


def run(where: Where, which: Which, secret_from: Collection[str], world: World) -> Probed:
    """One request for each pair. Raises `EcapipeError` for what keeps the project or the orgs from being known."""
    paired = pairing.choose(where, which, world)
    found, chosen = paired.found, paired.chosen
    disclose, kept = Disclosure(which.allowed, world), keeping.secret(world)
    chain = credentials.chain(found.apps, chosen, world.variable, world.ask, secret_from, disclose, kept)
    doubts: dict[str, None] = {}
    verdicts = _in_order([(pair.org.host, _asked(pair, chain, world, doubts)) for pair in paired.pairs], world)
    if not any(each.word == "accepted" for each in verdicts):  # then what was left out is a failure as well
        verdicts = tuple(replace(each, word="missing") if each.word == "skipped" else each for each in verdicts)
    facts = tuple(
        discovery.facts(
            app,
            credentials.resolve(app, None, credentials.quiet(chain)),
            discovery.ids(app, [pair.org for pair in paired.of(app)]),
        )
        for app in found.apps
    )
    notices = [*(problem.message for problem in found.unreadable), *found.notices, *paired.notices]
    notices += [*(org.warning for org in chosen if org.warning), *orgs.doubles(chosen), *doubts]
    return Probed(found, facts, verdicts, tuple(notices))


def _asked(pair: Pair, chain: Chain, world: World, doubts: dict[str, None]) -> Verdict | Callable[[], Verdict]:
    """How to come to the verdict on a pair; the verdict itself where there is nothing to ask. `doubts` takes what a
    run would warn of."""
    app, org = pair.app, pair.org
    if app.settings is None and not discovery.supplied(app, (org,), chain, lambda org: False):
        problem = discovery.missing(app, (org,))
        word: Word = "missing" if pair.named or problem.name == "SettingsNotRetrieved" else "skipped"
        return Verdict(app.name, app.project, org.name, org.host, word, problem.message, problem=problem)
    try:
        discovery.refuse_rivals(app)
        resolved = credentials.resolve(app, org, chain)
    except EcapipeError as error:
        problem = error.problem
        return Verdict(app.name, app.project, org.name, org.host, "missing", problem.message, problem=problem)
    sources = resolved.key.source, resolved.secret.source
    outcome = resolved.outcome
    if resolved.warning:
        doubts[f"{app.name}@{org.name}: {resolved.warning}"] = None
    if isinstance(outcome, Problem):
        return Verdict(app.name, app.project, org.name, org.host, "missing", outcome.message, *sources, None, outcome)
    return partial(_ask, pair, outcome, *sources, world)


def _ask(
    pair: Pair, pair_of: Credentials, key_source: str | None, secret_source: str | None, world: World
) -> Verdict:
    app, org = pair.app, pair.org
    verdict = partial(Verdict, app.name, app.project, org.name, org.host)
    sources = key_source, secret_source
    try:
        introspection.read(world.send(introspection.request(pair_of, org)), pair_of, org)
    except Refusal as refusal:
        problem = refusal.problem
        return verdict("refused", problem.message, *sources, refusal.part, problem)
    except EcapipeError as error:
        return verdict("unclear", error.problem.message, *sources, None, error.problem)
    what = "consumer key and secret" if pair_of.consumer_secret else "consumer key"
    return verdict("accepted", f"{org.name} accepts the {what} of {app.name}.", *sources)


def _in_order(asked: Sequence[tuple[str, Verdict | Callable[[], Verdict]]], world: World) -> tuple[Verdict, ...]:
    """The verdicts, several asked for at once, each at a host; a bug in a thread is raised here."""
    told: SimpleQueue[tuple[int, Verdict | BaseException]] = SimpleQueue()
    verdicts: dict[int, Verdict] = {}
    workers = Workers(logins.AT_ONCE, logins.OF_ONE_HOST, world.clock.seconds, world.parted)

    def work(number: int, ask: Callable[[], Verdict]) -> None:
        try:
            told.put((number, ask()))
        except BaseException as error:
            told.put((number, error))

    try:
        for number, (host, each) in enumerate(asked):
            if isinstance(each, Verdict):
                verdicts[number] = each
            else:
                workers.submit(host, partial(work, number, each))
        while len(verdicts) < len(asked):
            try:
                number, came = told.get(timeout=_TICK)
            except Empty:
                workers.relieve()
                continue
            if isinstance(came, BaseException):
                raise came
            verdicts[number] = came
    finally:
        workers.close()
    return tuple(verdicts[number] for number in range(len(asked)))
