"""READ FIRST: the order of things, on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ecapipe import credentials, discovery, gate, login, logins, orgs, problems
from ecapipe.apps import App
from ecapipe.discovery import Discovery, Where
from ecapipe.events import AppFacts, AppSeen, Emit, Finished, Planned, RunEnded, RunStarted, Subject
from ecapipe.gate import Gate, Inspection
from ecapipe.login import How, Target
from ecapipe.orgs import Org, Which
from ecapipe.problems import EcapipeError, Problem
from ecapipe.stages import AUTHORIZE, CHECK, DISCOVER, LOCATE, OF_APPS, Tracker, until
from ecapipe.world import World


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is asked to do; `last` names the stage to stop after, `secret_from` where secrets may come from,
    `at_once` how many logins may be at work at the same time."""

    where: Where
    which: Which
    how: How
    last: str | None = None
    secret_from: frozenset[str] = frozenset(credentials.SOURCES)
    at_once: int = logins.AT_ONCE


def run(request: Request, world: World, emit: Emit) -> None:
    """discover → locate → check → authorize → token → verify; what happens is told to `emit`, and only to it."""
    start, at = world.clock.seconds(), world.clock.utc()
    emit(RunStarted(f"{at[:19].translate({45: None, 58: None})}Z-{world.chance(3).hex()}", at, until(request.last)))
    interrupted = False
    try:
        _River(request, world, Tracker(emit, world.clock, until(request.last))).flow()
    except KeyboardInterrupt:
        interrupted = True
    emit(RunEnded(interrupted, round((world.clock.seconds() - start) * 1000)))


class _River:
    """One run: the stages of the project, then of each app, then of each app in each org."""

    def __init__(self, request: Request, world: World, track: Tracker) -> None:
        self.request, self.track = request, track
        self.world = replace(world, ask=track.asking(world.ask))

    def flow(self) -> None:
        with self.track.course(Subject(), (DISCOVER,)) as course, course.stage(DISCOVER) as work:
            found = discovery.discover(self.request.where, self.world)
            discovery.require_apps(found)
            chosen = orgs.select(self.request.which, found.projects) if self.track.reaches(AUTHORIZE) else ()
            if self.request.how.deliver and (count := len(found.apps) * len(chosen)) != 1:
                raise EcapipeError(problems.not_one_target(count))
            sources = self.request.secret_from
            chain = credentials.chain(found.apps, chosen, self.world.variable, self.world.ask, sources)
            work.facts |= {"apps": len(found.apps), "orgs": [org.name for org in chosen]}
            work.warnings += [*(problem.message for problem in found.unreadable), *found.notices]
            work.warnings += [org.warning for org in chosen if org.warning]
        if not course.finished:
            return
        self.track.emit(Planned(found.facts, self.subjects(found, chosen)))
        if not self.track.reaches(LOCATE):
            self.track.emit(Finished(Subject(), None))
            return
        ready = [(target, reason) for app in found.apps for target, reason in self.prepare(app, found, chosen, chain)]
        plans = self.preflight(ready)
        for (target, _), planned in zip(ready, plans, strict=True):
            if self.request.how.dry_run or isinstance(planned, (str, Problem)):
                logins.settle(target, planned, self.request.how, self.track)
        begun = [
            (target, planned)
            for (target, _), planned in zip(ready, plans, strict=True)
            if not isinstance(planned, (str, Problem))
        ]
        if not self.request.how.dry_run:
            logins.run(begun, self.request.how, self.world, self.track, self.request.at_once)

    def subjects(self, found: Discovery, chosen: Sequence[Org]) -> tuple[Subject, ...]:
        return tuple(Subject(app.name, org) for app in found.apps for org in (None, *(org.name for org in chosen)))

    def prepare(
        self, app: App, found: Discovery, chosen: Sequence[Org], chain: credentials.Chain
    ) -> list[tuple[Target, str | None]]:
        """locate → check; the logins that follow, with the reason for each that cannot."""
        proven = [credentials.resolve(app, None, credentials.quiet(chain))]
        with self.track.course(Subject(app.name), OF_APPS) as course:
            with course.stage(LOCATE) as work:
                discovery.locate(app, named=app.name in self.request.where.names, orgs=chosen, work=work)
            with course.stage(CHECK) as work:
                spared = login.spares_secret(app, self.request.how)
                proven = discovery.prove(app, chosen, chain, work, spared=spared)
        self.track.emit(AppSeen(discovery.facts(app, proven[0])))
        if course.finished and not self.track.reaches(AUTHORIZE):
            self.track.emit(Finished(Subject(app.name), None))
        version = found.api_version(app)
        each = dict(zip(chosen, proven, strict=True)) if course.finished and chosen else {}
        return [(Target(app, org, each.get(org, proven[0]), version), course.halted) for org in chosen]

    def preflight(self, ready: Sequence[tuple[Target, str | None]]) -> list[login.Plan | Problem | str]:
        """How each target will log in, or why it will not: known of all of them before anyone signs in."""
        plans = [reason or self.plan(target) for target, reason in ready]
        lost = logins.closed(plans, self.world)
        return [lost.get(plan.listens or "", plan) if isinstance(plan, login.Web) else plan for plan in plans]

    def plan(self, target: Target) -> login.Plan | Problem:
        try:
            return login.plan(target, self.request.how, self.world)
        except EcapipeError as error:
            return error.problem


def survey(where: Where, world: World) -> tuple[Discovery, list[AppFacts]]:
    """The apps of the project, complete or not (``app list``)."""
    found = discovery.discover(where, world)
    chain = credentials.chain(found.apps, (), world.variable, None)
    return found, [discovery.facts(app, credentials.resolve(app, None, chain)) for app in found.apps]


def check(where: Where, asked: Gate, world: World) -> Inspection:
    """The apps and what the rules say of them (``app check``); offline."""
    return gate.inspect(where, asked, world)
