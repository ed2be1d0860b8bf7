"""READ FIRST: the order of things, on one screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from ecapipe.check import listing
from ecapipe.credentials import resolution, settings_file, sources
from ecapipe.documents import recorded_runs
from ecapipe.documents.recorded_runs import RecordedRun
from ecapipe.documents.shards import Shard
from ecapipe.events import (
    APP_STAGES,
    AUTHORIZE,
    CHECK,
    DISCOVER,
    LOCATE,
    AppDescribed,
    Emit,
    RunEnded,
    RunPlanned,
    RunStarted,
    Subject,
    SubjectFinished,
    stages_until,
)
from ecapipe.exchange.credentials_lookup import CredentialsLookup
from ecapipe.login import plan as login_plan
from ecapipe.login import target as login_target
from ecapipe.login.options import LoginOptions
from ecapipe.login.target import Target
from ecapipe.login.tracker import StageWork, Tracker
from ecapipe.orgs.org import doubles
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.usage import not_one_target
from ecapipe.project.apps import App
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run import preflight, scheduler, steps, takeover, targets, writeback
from ecapipe.run import retrieve as run_retrieve
from ecapipe.run.takeover import DoneBefore
from ecapipe.run.targets import RunTargets
from ecapipe.run.world import World
from ecapipe.saved import secrets as saved_secrets


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run is asked to do; `last` names the stage to stop after, `secret_from` where secrets may come from,
    `at_once` how many logins may be at work at the same time, `retrieve` that the apps are fetched first,
    `write_back` that secrets which orgs tell are put into the settings files; `shard` is the part of the logins that
    is meant, and `takeover` the run to go on with."""

    where: ProjectSelection
    which: OrgSelection
    how: LoginOptions
    last: str | None = None
    secret_from: frozenset[str] = frozenset(sources.USUAL_SOURCES)
    at_once: int = scheduler.CONCURRENCY
    retrieve: bool = False
    write_back: bool = False
    shard: Shard | None = None
    earlier: RecordedRun | None = None


def run(request: RunRequest, world: World, emit: Emit) -> None:
    """discover → locate → check → authorize → token → verify → hand-over; what happens is told to `emit` alone."""
    start, at = world.clock.seconds(), world.clock.utc()
    planned = stages_until(request.last, hand_over=request.how.hand_over)
    emit(RunStarted(f"{at[:19].translate({45: None, 58: None})}Z-{world.chance(3).hex()}", at, planned))
    interrupted = False
    try:
        _Pipeline(request, world, Tracker(emit, world.clock, planned)).flow()
    except KeyboardInterrupt:
        interrupted = True
    emit(RunEnded(interrupted, round((world.clock.seconds() - start) * 1000)))


class _Pipeline:
    """One run: the stages of the project, then of each app, then of each app in each org."""

    def __init__(self, request: RunRequest, world: World, track: Tracker) -> None:
        self.request, self.track = request, track
        self.world = replace(world, ask=track.asking(world.ask))

    def flow(self) -> None:
        with self.track.course(Subject(), (DISCOVER,)) as course, course.stage(DISCOVER) as work:
            paired, chain, done = self.discover(work)
        if not course.finished:
            return
        self.track.emit(RunPlanned(paired.found.facts, self.subjects(paired)))
        if not self.track.reaches(LOCATE) or not paired.found.apps:
            self.track.emit(SubjectFinished(Subject(), None))
            return
        left = takeover.take_over(done, paired, chain, self.track)
        apps = left.found.apps
        stuck = not self.track.promising and not any(app.settings or self.supplied(app, left, chain) for app in apps)
        ready = [each for app in apps for each in self.prepare(app, paired.subject(app), left, chain, stuck)]
        if self.track.reaches(AUTHORIZE):
            self.log_in(ready)
        self.track.own_up()

    def discover(self, work: StageWork) -> tuple[RunTargets, sources.Chain, DoneBefore]:
        """Which app is meant in which org, where key and secret may come from, and what an earlier run has done."""
        request, world = self.request, self.world
        where, which, how = request.where, request.which, request.how
        if request.retrieve:
            run_retrieve.retrieve(where, which, world, work)
        paired = targets.choose_targets(where, which, world, wanted=which.asked or self.track.reaches(AUTHORIZE))
        if request.shard:
            work.facts[recorded_runs.SHARD] = str(request.shard)
            paired = paired.part(request.shard.holds)
        found, chosen = paired.found, paired.chosen
        if how.deliver and (count := len(paired.pairs)) != 1:
            raise EcapipeError(not_one_target(count))
        if how.hand_over:
            login_plan.expect_to_hand_over(chosen, how, world)
        disclose, kept = CredentialsLookup(which.allowed, world), saved_secrets.secret_finder(world)
        chain = sources.chain(found.apps, chosen, world.variable, world.ask, request.secret_from, disclose, kept)
        work.facts |= {"apps": len(found.apps), "orgs": [org.name for org in chosen]}
        work.warnings += [*(problem.message for problem in found.unreadable), *found.notices, *paired.notices]
        work.warnings += [*(org.warning for org in chosen if org.warning), *doubles(chosen)]
        return paired, chain, takeover.find_done(request.earlier, paired, chain, how, self.track, work)

    def subjects(self, paired: RunTargets) -> tuple[Subject, ...]:
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

    def supplied(self, app: App, paired: RunTargets, chain: sources.Chain) -> bool:
        """Whether the app can log in without a settings file."""
        spared = partial(login_plan.needs_no_secret, app, how=self.request.how)
        return steps.has_credentials_from_outside(app, [pair.org for pair in paired.of(app)], chain, spared)

    def prepare(
        self, app: App, subject: Subject, paired: RunTargets, chain: sources.Chain, stuck: bool
    ) -> list[tuple[Target, Problem | str | None]]:
        """locate → check; the logins that follow, with what keeps each from it. `stuck`: no app of the run gets any
        further."""
        pairs = paired.of(app)
        chosen, named = [pair.org for pair in pairs], app.name in self.request.where.names
        proven = [resolution.resolve(app, None, sources.without_prompts(chain))]
        told = bool(pairs) and all(pair.named for pair in pairs) and self.track.reaches(AUTHORIZE)
        with self.track.course(subject, APP_STAGES) as course:
            with course.stage(LOCATE) as work:
                work.facts |= {"project": app.project} if paired.subject(app).tree else {}
                wanted, supplied = named or (stuck and not told), self.supplied(app, paired, chain)
                steps.locate(app, named=wanted, orgs=chosen, work=work, supplied=supplied, told=told)
            with course.stage(CHECK) as work:
                spared = partial(login_plan.needs_no_secret, app, how=self.request.how)
                proven = steps.resolve_credentials(app, chosen, chain, work, spared=spared)
                if self.request.write_back:
                    writeback.keep(app, proven, self.world, work, dry_run=self.request.how.dry_run)
                work.warnings += login_plan.doubts(app, chosen, self.request.how, self.world)
        self.track.emit(AppDescribed(listing.describe(app, proven[0], settings_file.known_org_ids(app, chosen))))
        if course.finished and not self.track.reaches(AUTHORIZE):
            self.track.emit(SubjectFinished(subject, None))
        version = paired.found.api_version(app)
        each = dict(zip(chosen, proven, strict=True)) if course.finished and chosen else {}
        return [
            (
                Target(app, pair.org, each.get(pair.org, proven[0]), version, pair.named),
                course.halted
                and (steps.missing_in_org(pair.app, pair.org, pair.named and not named) or course.halted),
            )
            for pair in pairs
        ]

    def log_in(self, ready: Sequence[tuple[Target, Problem | str | None]]) -> None:
        """authorize → token → verify → hand-over, of all targets that can; the others are told of first."""
        how, begun = self.request.how, list[tuple[Target, login_target.LoginPlan]]()
        for (target, _), planned in zip(ready, self.preflight(ready), strict=True):
            if how.dry_run or isinstance(planned, preflight.UNPLANNED):
                scheduler.record_unstarted(target, planned, how, self.track)
            else:
                begun.append((target, planned))
        scheduler.run(begun, how, self.world, self.track, self.request.at_once)

    def preflight(self, ready: Sequence[tuple[Target, Problem | str | None]]) -> list[preflight.PlanOutcome]:
        """How each target will log in, or why it will not: known of all of them before anyone signs in."""
        plans: list[preflight.PlanOutcome] = [reason or self.plan(target) for target, reason in ready]
        lost = scheduler.closed_callbacks(plans, self.world)
        plans = [
            lost.get(plan.listens or "", plan) if isinstance(plan, login_target.WebPlan) else plan for plan in plans
        ]
        return preflight.review_plans([target for target, _ in ready], plans, self.request.how, self.world)

    def plan(self, target: Target) -> login_target.LoginPlan | Problem:
        try:
            return login_plan.plan(target, self.request.how, self.world)
        except EcapipeError as error:
            return error.problem
