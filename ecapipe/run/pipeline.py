"""READ FIRST: the order of things in a run.

- discover, once for the run: read the project, select apps and orgs, and say which app is to be logged in to in which
  org. Such a pair is a target.
- locate, for each app: find its settings file, which holds key and secret.
- check, for each app: resolve key and secret for each of its orgs.
- The preflight plans the logins of all targets, before anyone signs in. It is no stage: what keeps a target from its
  login is the outcome of its first stage.
- authorize, for each target: get a grant, from a person in a browser where the flow takes one.
- token: exchange the grant for a token.
- verify: ask the org whose token that is, and compare that with what was expected.
- hand-over, if it is asked for: let the Salesforce CLI store the login.

A failure ends the stages of its subject (the project, an app, a target), and the run goes on with the others. The
stages of targets run side by side, in `scheduler`; everything before is done one after the other, here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from ecapipe.check import listing
from ecapipe.credentials import resolution, settings_file
from ecapipe.credentials.resolution import Resolution
from ecapipe.credentials.sources import ANYBODY, Chain, Scope, without_questions
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
    Origin,
    RunEnded,
    RunPlanned,
    RunStarted,
    Subject,
    SubjectFinished,
    Unwritten,
    stages_until,
)
from ecapipe.login import plan as login_plan
from ecapipe.login.options import LoginOptions
from ecapipe.login.target import Target
from ecapipe.login.tracker import StageSequence, StageWork, Tracker
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.orgs.org import Org, duplicate_warnings
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.orgs import org_without_apps
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import no_apps_found
from ecapipe.problems.usage import bug, not_one_target
from ecapipe.project.apps import App
from ecapipe.project.discovery import Discovery, ProjectSelection
from ecapipe.run import preflight, resume, scheduler, steps, writeback
from ecapipe.run.readiness import Blocked, Candidate, Readiness, Ready, Refused
from ecapipe.run.targets import RunTargets, choose_targets, pair_orgs
from ecapipe.run.workers import CONCURRENCY
from ecapipe.run.world import World


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run is asked to do; `last` names the stage to stop after, `secret_from` where secrets may come from,
    `at_once` how many logins may be at work at the same time, `retrieve` that the apps are fetched first,
    `write_back` that secrets which come from orgs are put into the settings files; `shard` is the part of the logins
    to do, `earlier` the run to resume, `invocation` the command line, redacted, `origin` what a CI system tells."""

    projects: ProjectSelection
    orgs: OrgSelection
    options: LoginOptions
    last: str | None = None
    secret_from: frozenset[str] = frozenset()
    at_once: int = CONCURRENCY
    retrieve: bool = False
    write_back: bool = False
    shard: Shard | None = None
    earlier: RecordedRun | None = None
    invocation: tuple[str, ...] | None = None
    origin: Origin | None = None


def run(request: RunRequest, world: World, emit: Emit) -> None:
    """discover → locate → check → authorize → token → verify → hand-over; what happens goes to `emit` alone."""
    start, at = world.clock.seconds(), world.clock.utc()
    stages = stages_until(request.last, hand_over=request.options.hand_over)

    def end(*, interrupted: bool) -> None:
        emit(RunEnded(interrupted, round((world.clock.seconds() - start) * 1000)))

    try:
        emit(RunStarted(run_id(at, world), at, stages, request.invocation, request.origin))
        with ExitStack() as closing:
            _Pipeline(request, world, Tracker(emit, world.clock, stages, request.retrieve), closing).run()
        # Within, so that no moment is left for an interrupt that nobody takes.
        end(interrupted=False)
    except KeyboardInterrupt:
        end(interrupted=True)


def run_id(at: str, world: World) -> str:
    """Sortable by time, and usable in a file name: no hyphens and colons in the time, like ``20260131T120000Z-…``."""
    return f"{at[:19].translate({ord('-'): None, ord(':'): None})}Z-{world.random_bytes(3).hex()}"


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the first stage finds: the targets of the run, the sources of their credentials, and what an earlier run
    has completed."""

    targets: RunTargets
    chain: Chain
    records: resume.Records
    failed: tuple[Subject, ...] = ()
    """The orgs that could not be retrieved from."""


class _Pipeline:
    """One run: the stages of the project, then of each app, then of each app in each org."""

    def __init__(self, request: RunRequest, world: World, tracker: Tracker, closing: ExitStack) -> None:
        """What lasts as long as the run is given to `closing`."""
        self.request, self.options, self.tracker, self.closing = request, request.options, tracker, closing
        self.world = replace(world, ask=tracker.asking(world.ask), tell=tracker.tell)

    def run(self) -> None:
        with self.tracker.course(Subject(), (DISCOVER,)) as sequence, sequence.stage(DISCOVER) as work:
            scope = self.discover(work)
        if not sequence.finished:
            return
        targets = scope.targets
        orgs = tuple(org.facts for org in targets.chosen)
        self.tracker.emit(RunPlanned(targets.found.facts, (*self.subjects(targets), *scope.failed), orgs))
        if not self.tracker.reaches(LOCATE) or not scope.targets.found.apps:
            if targets.found.apps or not scope.failed:
                self.tracker.emit(SubjectFinished(Subject(), None))
            return
        # After the plan, in which displays count all targets, and before anything is done anew.
        remaining = resume.replay(scope.records, scope.targets, scope.chain, self.tracker)
        candidates = self.locate_and_check(replace(scope, targets=remaining))
        if self.tracker.reaches(AUTHORIZE):
            self.log_in(preflight.plan_logins(candidates, self.options, self.world))
        # Only now is it known whether anything has succeeded, or whether what was skipped is a failure after all.
        self.tracker.report_skipped_failures()

    # --- discover

    def discover(self, work: StageWork) -> _Scope:
        """Which app is to be logged in to in which org, where key and secret may come from, and what an earlier run
        has completed of that."""
        request, world = self.request, self.world
        retrieved = None
        if request.retrieve:
            from ecapipe.run import retrieve

            # It changes the files that are about to be read.
            retrieved = retrieve.retrieve(
                request.projects, request.orgs, world, self.tracker, work, self.closing, request.shard
            )
        with_orgs = request.orgs.asked or self.tracker.reaches(AUTHORIZE)
        if retrieved is None:
            try:
                targets = choose_targets(
                    request.projects, request.orgs, world, with_orgs=with_orgs, retrieved=request.retrieve
                )
            except EcapipeError as error:
                if request.retrieve and error.problem.kind is no_apps_found:
                    raise EcapipeError(org_without_apps(str(work.facts["retrievedFrom"]), (), ())) from None
                raise
        elif retrieved.orgs:
            targets = pair_orgs(retrieved.trees, request.projects.names, retrieved.orgs, world)
        else:
            targets = RunTargets(Discovery((), (), ()), ())
        if request.shard:
            work.facts[recorded_runs.SHARD] = str(request.shard)
            count = len(targets.pairs)
            targets = targets.part(request.shard.holds)
            if count and not targets.pairs:
                work.warn(f"Shard {request.shard} has none of the {count} logins, so there is nothing to do.")
        self.require_possible(targets)
        found = targets.found
        scope = Scope(found.apps, targets.chosen, found.known, ANYBODY, request.secret_from, request.orgs.allowed)
        chain = world.chain(scope)
        work.facts |= {"apps": len(found.apps), "orgs": [org.name for org in targets.chosen]}
        work.warnings += [problem.message for problem in targets.found.unreadable]
        work.warnings += [*targets.found.notices, *targets.notices]
        work.warnings += [
            *(org.warning for org in targets.chosen if org.warning),
            *duplicate_warnings(targets.chosen),
        ]
        records = resume.resume(
            request.earlier, targets, chain=chain, options=self.options, tracker=self.tracker, work=work
        )
        return _Scope(targets, chain, records, retrieved.failed if retrieved else ())

    def require_possible(self, targets: RunTargets) -> None:
        """Raises `EcapipeError` for options that do not fit the targets, and as `login_plan.expect_to_hand_over`."""
        count = len(targets.pairs)
        if self.options.deliver and count != 1:
            raise EcapipeError(not_one_target(count))
        if self.options.hand_over:
            login_plan.expect_to_hand_over(targets.chosen, self.options, self.world)

    def subjects(self, targets: RunTargets) -> tuple[Subject, ...]:
        """Each app, and after it the orgs that it is to log in to, if the run goes that far."""
        subjects: list[Subject] = []
        for app in targets.found.apps:
            subjects.append(app.subject)
            if self.tracker.reaches(AUTHORIZE):
                subjects += [pair.subject for pair in targets.of(app)]
        return tuple(subjects)

    # --- locate, check

    def locate_and_check(self, scope: _Scope) -> list[Candidate]:
        """The targets that follow from the apps of `scope`."""
        apps = scope.targets.found.apps
        # Then there is nothing to be done at all, and an app without its file is a failure at once.
        hopeless = not self.tracker.may_succeed and not any(
            app.settings or self.has_credentials_from_outside(app, scope) for app in apps
        )
        return [target for app in apps for target in self.prepare(app, scope, hopeless=hopeless)]

    def prepare(self, app: App, scope: _Scope, *, hopeless: bool) -> list[Candidate]:
        """locate → check. `hopeless`: no app of the run gets any further."""
        try:
            return self.prepare_app(app, scope, hopeless=hopeless)
        except (BrokenPipeError, Unwritten):
            raise
        except Exception as error:  # a bug outside of the stages, which is no reason to end the run either
            with self.tracker.course(app.subject, APP_STAGES) as sequence, sequence.stage(LOCATE):
                raise EcapipeError(bug(error)) from None
            return []

    def prepare_app(self, app: App, scope: _Scope, *, hopeless: bool) -> list[Candidate]:
        """The same, where a bug may still come up outside of the stages."""
        orgs = scope.targets.orgs_of(app)
        # What is known without asking anybody describes an app that does not come through its check.
        resolutions = [resolution.resolve(app, None, without_questions(scope.chain), allowed_flows)]
        with self.tracker.course(app.subject, APP_STAGES) as sequence:
            with sequence.stage(LOCATE) as work:
                self.locate(app, scope, work, hopeless=hopeless)
            with sequence.stage(CHECK) as work:
                resolutions = self.check(app, orgs, scope.chain, work)
        facts = listing.describe(app, resolutions[0], settings_file.known_org_ids(app, orgs))
        self.tracker.emit(AppDescribed(facts))
        if self.tracker.reaches(AUTHORIZE):
            return self.targets_of(app, scope, resolutions, sequence)
        if sequence.finished:
            self.tracker.emit(SubjectFinished(app.subject, None))
        return []

    def locate(self, app: App, scope: _Scope, work: StageWork, *, hopeless: bool) -> None:
        """Raises `EcapipeError` and `SkipStage` as `steps.locate`."""
        pairs = scope.targets.of(app)
        # A login that somebody asked for fails for itself if the file is missing in its org: once is enough.
        logins_fail = bool(pairs) and all(pair.named for pair in pairs) and self.tracker.reaches(AUTHORIZE)
        steps.locate(
            app,
            named=app.name in self.request.projects.names or (hopeless and not logins_fail),
            orgs=[pair.org for pair in pairs],
            work=work,
            chain=scope.chain,
            supplied=self.has_credentials_from_outside(app, scope),
            logins_fail=logins_fail,
        )

    def check(self, app: App, orgs: Sequence[Org], chain: Chain, work: StageWork) -> list[Resolution]:
        """Key and secret for each org, as `steps.resolve_credentials`."""
        needs_no_secret = partial(login_plan.needs_no_secret, app, options=self.options)
        resolutions = steps.resolve_credentials(app, orgs, chain, work, needs_no_secret=needs_no_secret)
        if self.request.write_back:
            writeback.write_back(app, resolutions, self.world, work, dry_run=self.options.dry_run)
        work.warnings += login_plan.doubts(app, orgs, self.options, self.world)
        return resolutions

    def targets_of(
        self, app: App, scope: _Scope, resolutions: Sequence[Resolution], sequence: StageSequence
    ) -> list[Candidate]:
        """The app in each of its orgs; if its own stages halted, with what keeps it from being logged in to."""
        targets = scope.targets
        version = targets.found.api_version(app)
        if sequence.halted is None:
            pairs = zip(targets.of(app), resolutions, strict=False)
            return [Target(app, pair.org, each, version, pair.named) for pair, each in pairs]
        candidates: list[Candidate] = []
        for pair in targets.of(app):
            target = Target(app, pair.org, resolutions[0], version, pair.named)
            # An app that was named for the whole run has failed in its own stage already.
            named_for_org = pair.named and app.name not in self.request.projects.names
            if problem := steps.missing_in_org(app, pair.org, scope.chain, named=named_for_org):
                candidates.append(Refused(target, problem))
            else:
                candidates.append(Blocked(target, sequence.halted))
        return candidates

    def has_credentials_from_outside(self, app: App, scope: _Scope) -> bool:
        """Whether the app can log in without a settings file."""
        needs_no_secret = partial(login_plan.needs_no_secret, app, options=self.options)
        return steps.has_credentials_from_outside(app, scope.targets.orgs_of(app), scope.chain, needs_no_secret)

    # --- authorize, token, verify, hand-over

    def log_in(self, targets: Sequence[Readiness]) -> None:
        """Each target that is ready; the others are recorded first, since they take no time."""
        interrupted = False
        if self.options.probe:
            targets, interrupted = preflight.ask_orgs(targets, self.world, self.request.at_once)
        ready: list[Ready] = []
        for target in targets:
            if isinstance(target, Ready) and not self.options.dry_run:
                ready.append(target)
            else:
                scheduler.record_unstarted(target, self.options, self.tracker)
        if interrupted:
            raise KeyboardInterrupt
        scheduler.run(ready, self.options, self.world, self.tracker, self.request.at_once)
