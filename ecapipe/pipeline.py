"""READ FIRST: the order of things, on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from ecapipe import (
    credentials,
    discovery,
    earlier,
    guards,
    keeping,
    login,
    logins,
    orgs,
    pairing,
    problems,
    record,
    writeback,
)
from ecapipe.apps import App
from ecapipe.disclosure import Disclosure
from ecapipe.discovery import Where
from ecapipe.earlier import Done
from ecapipe.events import AppSeen, Emit, Finished, Planned, RunEnded, RunStarted, Subject
from ecapipe.login import How, Target
from ecapipe.orgs import Which
from ecapipe.pairing import Pairing
from ecapipe.problems import EcapipeError, Problem
from ecapipe.record import Recorded
from ecapipe.shards import Shard
from ecapipe.stages import AUTHORIZE, CHECK, DISCOVER, LOCATE, OF_APPS, Tracker, Work, until
from ecapipe.world import World


@dataclass(frozen=True, slots=True)
class Request:
    """What a run is asked to do; `last` names the stage to stop after, `secret_from` where secrets may come from,
    `at_once` how many logins may be at work at the same time, `retrieve` that the apps are fetched first,
    `write_back` that secrets which orgs tell are put into the settings files; `shard` is the part of the logins that
    is meant, and `earlier` the run to go on with."""

    where: Where
    which: Which
    how: How
    last: str | None = None
    secret_from: frozenset[str] = frozenset(credentials.USUAL_SOURCES)
    at_once: int = logins.AT_ONCE
    retrieve: bool = False
    write_back: bool = False
    shard: Shard | None = None
    earlier: Recorded | None = None


def run(request: Request, world: World, emit: Emit) -> None:
    """discover → locate → check → authorize → token → verify → hand-over; what happens is told to `emit` alone."""
    start, at = world.clock.seconds(), world.clock.utc()
    planned = until(request.last, hand_over=request.how.hand_over)
    emit(RunStarted(f"{at[:19].translate({45: None, 58: None})}Z-{world.chance(3).hex()}", at, planned))
    interrupted = False
    try:
        _River(request, world, Tracker(emit, world.clock, planned)).flow()
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
            paired, chain, done = self.discover(work)
        if not course.finished:
            return
        self.track.emit(Planned(paired.found.facts, self.subjects(paired)))
        if not self.track.reaches(LOCATE) or not paired.found.apps:
            self.track.emit(Finished(Subject(), None))
            return
        left = earlier.take_over(done, paired, chain, self.track)
        apps = left.found.apps
        stuck = not self.track.promising and not any(app.settings or self.supplied(app, left, chain) for app in apps)
        ready = [each for app in apps for each in self.prepare(app, paired.subject(app), left, chain, stuck)]
        if self.track.reaches(AUTHORIZE):
            self.log_in(ready)
        self.track.own_up()

    def discover(self, work: Work) -> tuple[Pairing, credentials.Chain, Done]:
        """Which app is meant in which org, where key and secret may come from, and what an earlier run has done."""
        request, world = self.request, self.world
        where, which, how = request.where, request.which, request.how
        if request.retrieve:
            pairing.retrieve(where, which, world, work)
        paired = pairing.choose(where, which, world, wanted=which.asked or self.track.reaches(AUTHORIZE))
        if request.shard:
            work.facts[record.SHARD] = str(request.shard)
            paired = paired.part(request.shard.holds)
        found, chosen = paired.found, paired.chosen
        if how.deliver and (count := len(paired.pairs)) != 1:
            raise EcapipeError(problems.not_one_target(count))
        if how.hand_over:
            login.expect_to_hand_over(chosen, how, world)
        disclose, kept = Disclosure(which.allowed, world), keeping.secret(world)
        chain = credentials.chain(found.apps, chosen, world.variable, world.ask, request.secret_from, disclose, kept)
        work.facts |= {"apps": len(found.apps), "orgs": [org.name for org in chosen]}
        work.warnings += [*(problem.message for problem in found.unreadable), *found.notices, *paired.notices]
        work.warnings += [*(org.warning for org in chosen if org.warning), *orgs.doubles(chosen)]
        return paired, chain, earlier.done(request.earlier, paired, chain, how, self.track, work)

    def subjects(self, paired: Pairing) -> tuple[Subject, ...]:
        """Each app, and after it the orgs that it is to log in to, if the run goes that far."""
        logs_in = self.track.reaches(AUTHORIZE)
        return tuple(
            subject
            for app in paired.found.apps
            for subject in (
                paired.subject(app),
                *(Subject(app.name, pair.org.name) for pair in (paired.of(app) if logs_in else ())),
            )
        )

    def supplied(self, app: App, paired: Pairing, chain: credentials.Chain) -> bool:
        """Whether the app can log in without a settings file."""
        spared = partial(login.spares_secret, app, how=self.request.how)
        return discovery.supplied(app, [pair.org for pair in paired.of(app)], chain, spared)

    def prepare(
        self, app: App, subject: Subject, paired: Pairing, chain: credentials.Chain, stuck: bool
    ) -> list[tuple[Target, Problem | str | None]]:
        """locate → check; the logins that follow, with what keeps each from it. `stuck`: no app of the run gets any
        further."""
        pairs = paired.of(app)
        chosen, named = [pair.org for pair in pairs], app.name in self.request.where.names
        proven = [credentials.resolve(app, None, credentials.quiet(chain))]
        told = bool(pairs) and all(pair.named for pair in pairs) and self.track.reaches(AUTHORIZE)
        with self.track.course(subject, OF_APPS) as course:
            with course.stage(LOCATE) as work:
                work.facts |= {"project": app.project} if paired.subject(app).tree else {}
                wanted, supplied = named or (stuck and not told), self.supplied(app, paired, chain)
                discovery.locate(app, named=wanted, orgs=chosen, work=work, supplied=supplied, told=told)
            with course.stage(CHECK) as work:
                spared = partial(login.spares_secret, app, how=self.request.how)
                proven = discovery.prove(app, chosen, chain, work, spared=spared)
                if self.request.write_back:
                    writeback.keep(app, proven, self.world, work, dry_run=self.request.how.dry_run)
                work.warnings += login.doubts(app, chosen, self.request.how, self.world)
        self.track.emit(AppSeen(discovery.facts(app, proven[0], discovery.ids(app, chosen))))
        if course.finished and not self.track.reaches(AUTHORIZE):
            self.track.emit(Finished(subject, None))
        version = paired.found.api_version(app)
        each = dict(zip(chosen, proven, strict=True)) if course.finished and chosen else {}
        return [
            (
                Target(app, pair.org, each.get(pair.org, proven[0]), version, pair.named),
                course.halted and (discovery.owing(pair.app, pair.org, pair.named and not named) or course.halted),
            )
            for pair in pairs
        ]

    def log_in(self, ready: Sequence[tuple[Target, Problem | str | None]]) -> None:
        """authorize → token → verify → hand-over, of all targets that can; the others are told of first."""
        how, begun = self.request.how, list[tuple[Target, login.Plan]]()
        for (target, _), planned in zip(ready, self.preflight(ready), strict=True):
            if how.dry_run or isinstance(planned, guards.UNPLANNED):
                logins.settle(target, planned, how, self.track)
            else:
                begun.append((target, planned))
        logins.run(begun, how, self.world, self.track, self.request.at_once)

    def preflight(self, ready: Sequence[tuple[Target, Problem | str | None]]) -> list[guards.Planned]:
        """How each target will log in, or why it will not: known of all of them before anyone signs in."""
        plans: list[guards.Planned] = [reason or self.plan(target) for target, reason in ready]
        lost = logins.closed(plans, self.world)
        plans = [lost.get(plan.listens or "", plan) if isinstance(plan, login.Web) else plan for plan in plans]
        return guards.judge([target for target, _ in ready], plans, self.request.how, self.world)

    def plan(self, target: Target) -> login.Plan | Problem:
        try:
            return login.plan(target, self.request.how, self.world)
        except EcapipeError as error:
            return error.problem
