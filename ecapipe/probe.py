"""Asking orgs whether they accept the key and secret of each app (``app probe``): without a person or a login."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue

from ecapipe.check import listing
from ecapipe.credentials import resolution, settings_file
from ecapipe.credentials.resolution import Credentials, Resolution
from ecapipe.credentials.sources import ANYBODY, Chain, Scope, without_questions
from ecapipe.documents.verdicts import Verdict, Word
from ecapipe.events import AppFacts
from ecapipe.oauth import introspection
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.oauth.introspection import ProbeRefusal
from ecapipe.orgs.org import duplicate_warnings
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.project import settings_not_retrieved
from ecapipe.problems.usage import bug, interrupted
from ecapipe.project import discovery
from ecapipe.project.apps import App
from ecapipe.project.discovery import Discovery, ProjectSelection
from ecapipe.run import scheduler, steps, targets
from ecapipe.run.targets import AppInOrg, RunTargets
from ecapipe.run.workers import Workers
from ecapipe.run.world import World

_TICK = 0.25
"""Seconds between two looks for requests that take long."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The apps of the project, a verdict for each pair of app and org, in order, and sentences to warn with."""

    found: Discovery
    apps: tuple[AppFacts, ...]
    verdicts: tuple[Verdict, ...]
    notices: tuple[str, ...]


def run(
    selection: ProjectSelection, org_selection: OrgSelection, secret_from: frozenset[str], world: World
) -> ProbeResult:
    """Send one request for each pair. Raises `EcapipeError` if the project cannot be read, or an org not used."""
    run_targets = targets.choose_targets(selection, org_selection, world)
    found = run_targets.found
    chain = world.chain(
        Scope(found.apps, run_targets.chosen, found.known, ANYBODY, secret_from, org_selection.allowed)
    )
    # A dict as an ordered set: the same warning may come up again.
    warnings: dict[str, None] = {}
    verdicts = _send_all([_prepare(pair, chain, world, warnings) for pair in run_targets.pairs], world)
    # A pair that nobody asked for may be skipped, as long as another one is accepted.
    if not any(verdict.word == "accepted" for verdict in verdicts):
        verdicts = tuple(_unskipped(verdict) for verdict in verdicts)
    return ProbeResult(
        found=found,
        apps=tuple(_describe(app, run_targets, chain) for app in found.apps),
        verdicts=verdicts,
        notices=(*_notices(run_targets), *warnings),
    )


def _unskipped(verdict: Verdict) -> Verdict:
    if verdict.word != "skipped":
        return verdict
    return replace(verdict, word="missing")


def _describe(app: App, run_targets: RunTargets, chain: Chain) -> AppFacts:
    # Nobody is asked again for what is only shown.
    resolved = resolution.resolve(app, None, without_questions(chain), allowed_flows)
    org_ids = settings_file.known_org_ids(app, [pair.org for pair in run_targets.of(app)])
    return listing.describe(app, resolved, org_ids)


def _notices(run_targets: RunTargets) -> list[str]:
    notices = [problem.message for problem in run_targets.found.unreadable]
    notices += [*run_targets.found.notices, *run_targets.notices]
    notices += [org.warning for org in run_targets.chosen if org.warning]
    return [*notices, *duplicate_warnings(run_targets.chosen)]


@dataclass(frozen=True, slots=True)
class _Probe:
    """One request that is ready to be sent, and the sources of its credentials."""

    pair: AppInOrg
    credentials: Credentials
    resolved: Resolution

    def send(self, world: World) -> Verdict:
        return _with_sources(self._ask(world), self.resolved)

    def _ask(self, world: World) -> Verdict:
        app, org = self.pair.app, self.pair.org
        try:
            introspection.read(world.send(introspection.request(self.credentials, org)), self.credentials, org)
        except ProbeRefusal as refusal:
            return replace(_failure(self.pair, "refused", refusal.problem), refused=refusal.part)
        except EcapipeError as error:
            return _failure(self.pair, "unclear", error.problem)
        except Exception as error:  # a bug is the end of this row alone
            return _failure(self.pair, "unclear", bug(error))
        # A public client has no secret, and the key alone was proved.
        credentials = "consumer key and secret" if self.credentials.consumer_secret else "consumer key"
        return _verdict(self.pair, "accepted", f"{org.name} accepts the {credentials} of {app.name}.")


def _prepare(pair: AppInOrg, chain: Chain, world: World, warnings: dict[str, None]) -> Verdict | _Probe:
    """The request about a pair, or its verdict if there is nothing to ask. Adds what a run would warn of."""
    app, org = pair.app, pair.org
    if app.settings is None and not steps.has_credentials_from_outside(app, (org,), chain, lambda org: False):
        problem = settings_file.settings_problem(app, (org,), chain)
        # Settings that were never retrieved are an oversight, whoever asked; a packaged app has them elsewhere.
        if pair.named or problem.kind is settings_not_retrieved:
            return _failure(pair, "missing", problem)
        return _failure(pair, "skipped", problem)
    try:
        discovery.refuse_rivals(app)
        resolved = resolution.resolve(app, org, chain, allowed_flows)
    except EcapipeError as error:
        return _failure(pair, "missing", error.problem)
    except Exception as error:
        return _failure(pair, "missing", bug(error))
    if resolved.warning:
        warnings[f"{app.name}@{org.name}: {resolved.warning}"] = None
    match resolved.outcome:
        case Problem() as problem:
            return _with_sources(_failure(pair, "missing", problem), resolved)
        case Credentials() as credentials:
            return _Probe(pair, credentials, resolved)


def _failure(pair: AppInOrg, word: Word, problem: Problem) -> Verdict:
    return replace(_verdict(pair, word, problem.message), problem=problem)


def _verdict(pair: AppInOrg, word: Word, message: str) -> Verdict:
    app, org = pair.app, pair.org
    return Verdict(app.name, project=app.project, org=org.name, host=org.host, word=word, message=message)


def _with_sources(verdict: Verdict, resolved: Resolution) -> Verdict:
    message = verdict.message
    if resolved.read_from:
        message = f"{message} The consumer secret was read from {resolved.read_from}."
    return replace(verdict, message=message, key_source=resolved.key.source, secret_source=resolved.secret.source)


def _interrupted(probe: Verdict | _Probe) -> Verdict:
    """What is left of a request that nobody waits for."""
    if isinstance(probe, Verdict):
        return probe
    return _with_sources(_failure(probe.pair, "unclear", interrupted()), probe.resolved)


def _send_all(probes: Sequence[Verdict | _Probe], world: World) -> tuple[Verdict, ...]:
    """The verdicts in the order of `probes`, several of which are sent at once; a bug in a thread is raised here.

    An interrupt leaves what has not been answered.
    """
    results: SimpleQueue[tuple[int, Verdict | BaseException] | None] = SimpleQueue()
    verdicts: dict[int, Verdict] = {}
    workers = Workers(scheduler.CONCURRENCY, scheduler.PER_HOST, world.clock.seconds, world.close_connections)

    def work(number: int, probe: _Probe) -> None:
        try:
            results.put((number, probe.send(world)))
        # `Workers` must not see an exception; an interrupt belongs to the main thread as well.
        except BaseException as error:
            results.put((number, error))

    try:
        with world.interrupts(partial(results.put, None)):
            for number, probe in enumerate(probes):
                match probe:
                    case Verdict():
                        verdicts[number] = probe
                    case _Probe():
                        workers.submit(probe.pair.org.host, partial(work, number, probe))
            while len(verdicts) < len(probes):
                try:
                    arrived = results.get(timeout=_TICK)
                except Empty:
                    # Slow hosts must not hold the quick ones up.
                    workers.relieve()
                    continue
                if arrived is None:
                    break
                number, result = arrived
                if isinstance(result, BaseException):
                    raise result
                verdicts[number] = result
    finally:
        workers.close()
    return tuple(verdicts.get(number) or _interrupted(probe) for number, probe in enumerate(probes))
