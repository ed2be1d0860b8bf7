"""Asking orgs whether they accept the key and secret of each app: without a person, and without a login."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue

from ecapipe.check import listing
from ecapipe.credentials import resolution, settings_file, sources
from ecapipe.credentials.resolution import Credentials
from ecapipe.credentials.sources import Chain
from ecapipe.documents.verdicts import Verdict, Word
from ecapipe.events import AppFacts
from ecapipe.exchange.credentials_lookup import CredentialsLookup
from ecapipe.oauth import introspection
from ecapipe.oauth.introspection import ProbeRefusal
from ecapipe.orgs.org import doubles
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project import discovery
from ecapipe.project.discovery import Discovery, ProjectSelection
from ecapipe.run import scheduler, steps, targets
from ecapipe.run.targets import AppInOrg
from ecapipe.run.workers import Workers
from ecapipe.run.world import World
from ecapipe.saved import secrets as saved_secrets

_TICK = 0.25
"""Seconds between two looks at what takes long."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What was found, and a verdict for each pair of app and org, in order."""

    found: Discovery
    apps: tuple[AppFacts, ...]
    verdicts: tuple[Verdict, ...]
    notices: tuple[str, ...]


def run(where: ProjectSelection, which: OrgSelection, secret_from: Collection[str], world: World) -> ProbeResult:
    """One request for each pair. Raises `EcapipeError` for what keeps the project or the orgs from being known."""
    paired = targets.choose_targets(where, which, world)
    found, chosen = paired.found, paired.chosen
    disclose, kept = CredentialsLookup(which.allowed, world), saved_secrets.secret_finder(world)
    chain = sources.chain(found.apps, chosen, world.variable, world.ask, secret_from, disclose, kept)
    doubts: dict[str, None] = {}
    verdicts = _in_order([(pair.org.host, _asked(pair, chain, world, doubts)) for pair in paired.pairs], world)
    if not any(each.word == "accepted" for each in verdicts):  # then what was left out is a failure as well
        verdicts = tuple(replace(each, word="missing") if each.word == "skipped" else each for each in verdicts)
    facts = tuple(
        listing.describe(
            app,
            resolution.resolve(app, None, sources.without_prompts(chain)),
            settings_file.known_org_ids(app, [pair.org for pair in paired.of(app)]),
        )
        for app in found.apps
    )
    notices = [*(problem.message for problem in found.unreadable), *found.notices, *paired.notices]
    notices += [*(org.warning for org in chosen if org.warning), *doubles(chosen), *doubts]
    return ProbeResult(found, facts, verdicts, tuple(notices))


def _asked(pair: AppInOrg, chain: Chain, world: World, doubts: dict[str, None]) -> Verdict | Callable[[], Verdict]:
    """How to come to the verdict on a pair; the verdict itself where there is nothing to ask. `doubts` takes what a
    run would warn of."""
    app, org = pair.app, pair.org
    if app.settings is None and not steps.has_credentials_from_outside(app, (org,), chain, lambda org: False):
        problem = settings_file.settings_problem(app, (org,))
        word: Word = "missing" if pair.named or problem.name == "SettingsNotRetrieved" else "skipped"
        return Verdict(app.name, app.project, org.name, org.host, word, problem.message, problem=problem)
    try:
        discovery.refuse_rivals(app)
        resolved = resolution.resolve(app, org, chain)
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
    pair: AppInOrg, pair_of: Credentials, key_source: str | None, secret_source: str | None, world: World
) -> Verdict:
    app, org = pair.app, pair.org
    verdict = partial(Verdict, app.name, app.project, org.name, org.host)
    sources = key_source, secret_source
    try:
        introspection.read(world.send(introspection.request(pair_of, org)), pair_of, org)
    except ProbeRefusal as refusal:
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
    workers = Workers(scheduler.CONCURRENCY, scheduler.PER_HOST, world.clock.seconds, world.parted)

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
