"""READ FIRST of a rotation: for each app and org, one after the other,

find-consumer → stage → prove → deliver → promote → confirm → update-saved.

The order is a promise: nothing is delivered that was not proved, nothing is promoted that was not delivered. Every
step can be broken off: run again, it reads what the org has, and goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

from ecapipe.credentials import resolution
from ecapipe.credentials.sources import Chain, Scope
from ecapipe.events import (
    CONFIRM,
    DELIVER,
    DRY_RUN_ONLINE,
    FIND_CONSUMER,
    PROMOTE,
    PROVE,
    ROTATION_STAGES,
    STAGE,
    UPDATE_SAVED,
    Emit,
    RunEnded,
    RunPlanned,
    RunStarted,
    Stage,
    Subject,
    SubjectFinished,
)
from ecapipe.exchange import sending
from ecapipe.login.tracker import EndEarly, SkipStage, StageSequence, StageWork, Tracker
from ecapipe.oauth import credentials_api
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.orgs.org import error_at
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import USAGE, EcapipeError, Problem
from ecapipe.problems.project import not_written_back
from ecapipe.problems.rotation import (
    delivered_pair_not_deleted,
    new_pair_not_proved,
    new_pair_refused,
    nothing_replaced,
    nothing_staged,
    packaged_app_not_rotated,
    previous_pair_in_use,
    rotation_going_on,
)
from ecapipe.project.discovery import ProjectSelection
from ecapipe.rotate import consumer, delivery, dependents, memory, promotion, proof, slot
from ecapipe.rotate.memory import Memory
from ecapipe.rotate.ports import RotationTools
from ecapipe.rotate.target import Found, Mode, NewPair, Outcome, RotationOptions, Target
from ecapipe.run.pipeline import run_id
from ecapipe.run.targets import AppInOrg, choose_targets
from ecapipe.run.world import World
from ecapipe.secret import mask

STAGES: Final[Mapping[Mode, tuple[Stage, ...]]] = {
    "rotate": ROTATION_STAGES,
    "promote": ROTATION_STAGES,
    "stage-only": (FIND_CONSUMER, STAGE, PROVE),
    "abort": (FIND_CONSUMER, STAGE),
    "end-previous": (FIND_CONSUMER, CONFIRM, UPDATE_SAVED),
}


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """What is to be rotated; `done` are the targets that an earlier run has rotated, each with what came of it."""

    projects: ProjectSelection
    orgs: OrgSelection
    options: RotationOptions
    done: Mapping[Subject, Outcome] = field(default_factory=dict)


Outcomes = dict[Subject, Outcome]


def run(request: RotationRequest, world: World, tools: RotationTools, emit: Emit, outcomes: Outcomes) -> None:
    """Rotate each target. `outcomes` gets what came of those that succeed, before that is emitted.

    Raises `EcapipeError` for what keeps all from it.
    """
    for each in request.options.commands:
        delivery.find_program(each, tools.programs)
    start, at = world.clock.seconds(), world.clock.utc()
    targets = choose_targets(request.projects, request.orgs, world)
    chain = world.chain(Scope(targets.found.apps, targets.chosen, targets.found.known, allowed=request.orgs.allowed))
    stages = STAGES[request.options.mode]
    tracker = Tracker(emit, world.clock, stages)
    _require_a_file_each(targets.pairs, request.options)

    def end(*, interrupted: bool) -> None:
        emit(RunEnded(interrupted, round((world.clock.seconds() - start) * 1000)))

    emit(RunStarted(run_id(at, world), at, stages))
    emit(
        RunPlanned(
            targets.found.facts,
            tuple(pair.subject for pair in targets.pairs),
            tuple(org.facts for org in targets.chosen),
        )
    )
    try:
        for pair in targets.pairs:
            if done := request.done.get(pair.subject):
                outcomes[pair.subject] = done
                _take_over(pair, stages, tracker)
            else:
                _Rotation(pair, request.options, chain, tracker, world, tools, outcomes).run()
        tracker.report_skipped_failures()
        end(interrupted=False)
    except KeyboardInterrupt:
        end(interrupted=True)


def _require_a_file_each(pairs: Sequence[AppInOrg], options: RotationOptions) -> None:
    """Raises `EcapipeError` (NotWrittenBack) where one settings file would get the pairs of several orgs."""
    files = Counter((pair.app.project, pair.app.name) for pair in pairs)
    for (_, name), count in files.items():
        if options.write_back and count > 1:
            problem = not_written_back(f"the settings file of {name}", f"{count} orgs would write to it")
            raise EcapipeError(replace(problem, exit_code=USAGE))


def _take_over(pair: AppInOrg, stages: Sequence[Stage], tracker: Tracker) -> None:
    # All stages are told of: they say what was done to whoever goes on with this run.
    with tracker.course(pair.subject, stages) as sequence, sequence.stage(FIND_CONSUMER):
        raise SkipStage("Already done by an earlier rotation.")
    tracker.emit(SubjectFinished(pair.subject, None))


@dataclass
class _Rotation:
    """The rotation of one app in one org."""

    pair: AppInOrg
    options: RotationOptions
    chain: Chain
    tracker: Tracker
    world: World
    tools: RotationTools
    outcomes: Outcomes
    outcome: Outcome = field(default_factory=Outcome)

    def run(self) -> None:
        subject = self.pair.subject
        steps: dict[Mode, Callable[[StageSequence, Target, Found, Memory, Sequence[delivery.Delivery]], None]] = {
            "abort": self.abort,
            "end-previous": self.end_previous,
        }
        with ExitStack() as locks, self.tracker.course(subject, STAGES[self.options.mode]) as sequence:
            with sequence.stage(FIND_CONSUMER) as work:
                target = self.target()
                deliveries = self.plan(target, work)
                found = consumer.find(target, self.options.allowed, self.world)
                work.facts |= {"host": found.session.org.host, "consumerKey": mask(target.key)}
                if found.session.username:
                    work.facts["username"] = found.session.username
                own = memory.of(target, found, self.tools.records)
                if self.options.dry_run:
                    self.show_plan(target, found, own, deliveries, work)
                locks.enter_context(
                    self.tools.records.locked(own.id, rotation_going_on(target.app.name, target.org.name))
                )
                own.read()
            steps.get(self.options.mode, self.rotate)(sequence, target, found, own, deliveries)
        if sequence.finished:
            self.outcomes[subject] = self.outcome
            self.tracker.emit(SubjectFinished(subject, None))

    def target(self) -> Target:
        """The app with its known key; raises `EcapipeError`, and `SkipStage` for one that nobody asked for."""
        app, org = self.pair.app, self.pair.org
        if app.distribution == "Packaged":
            raise self.unless_named(packaged_app_not_rotated(app.name, org.name))
        resolved = resolution.resolve(app, org, self.chain, allowed_flows, needs_no_secret=True)
        if isinstance(resolved.outcome, Problem):
            raise self.unless_named(resolved.outcome)
        return Target(app, org, resolved.outcome.consumer_key, resolved)

    def unless_named(self, problem: Problem) -> Exception:
        return EcapipeError(problem) if self.pair.named else SkipStage(problem.message, problem)

    def plan(self, target: Target, work: StageWork) -> list[delivery.Delivery]:
        """What would be delivered, and whether it can be; nothing is staged that has nowhere to go."""
        if not self.options.promotes:
            return []
        proof.require_login(target, self.options, self.world)
        return delivery.plan(target, self.options, self.tools.programs, self.world, work)

    def show_plan(
        self, target: Target, found: Found, own: Memory, deliveries: Sequence[delivery.Delivery], work: StageWork
    ) -> None:
        """Raises `EndEarly`, or what a rotation would fail with."""
        own.read()
        consumer.read_slot(found, self.world)
        if self.options.mode in ("rotate", "stage-only", "promote"):
            slot.look(target, found, self.options, own, self.world)
        elif self.options.mode == "abort":
            self.doomed_places(target, found, own)
        else:
            self.require_unused(target, found)
        work.facts |= {
            "stages": [stage.name for stage in STAGES[self.options.mode]],
            "slot": found.slot.state if found.slot else "free",
            "deliver": [each.name for each in deliveries] or ["nowhere"],
            "prove": ["introspect", *proof.login_flows(target, self.options)],
        }
        raise EndEarly(DRY_RUN_ONLINE)

    def rotate(
        self,
        sequence: StageSequence,
        target: Target,
        found: Found,
        own: Memory,
        deliveries: Sequence[delivery.Delivery],
    ) -> None:
        options, world = self.options, self.world
        with sequence.stage(STAGE) as work:
            pair = slot.stage(target, found, options, own, world, work)
            self.outcome.key = mask(pair.key)
        with sequence.stage(PROVE) as work:
            self.prove(target, pair, work)
        if options.mode == "stage-only":
            return
        with sequence.stage(DELIVER) as work:
            self.deliver(deliveries, pair, own, work)
        with sequence.stage(PROMOTE) as work:
            if pair.promoted:
                work.pass_over("The new pair is already active.")
            else:
                promotion.promote(target, found, pair, world)
                own.update(promoted=True)
        with sequence.stage(CONFIRM) as work:
            promotion.confirm(target, found, pair, options, world=world, work=work, outcome=self.outcome)
        with sequence.stage(UPDATE_SAVED) as work:
            old = found.rotated.key if found.rotated else target.key
            dependents.update(target, old, pair, tools=self.tools, world=world, work=work)
            if not options.write_back:
                dependents.tell_of_settings(target, pair, work)
            own.update(finished=True)

    def prove(self, target: Target, pair: NewPair, work: StageWork) -> None:
        """Raises `EcapipeError` unless the org proves the pair, or a proof is not asked for."""
        app, org = target.app.name, target.org.name
        verdict = proof.prove(target, (pair.key, pair.secret), self.options, self.world, work)
        self.outcome.proved[:] = verdict.proofs
        work.facts["proved"] = list(verdict.proofs)
        if verdict.refusal:
            raise error_at(new_pair_refused(app, org, verdict.refusal), target.org)
        if not verdict.proved and not self.options.unproved:
            raise error_at(new_pair_not_proved(app, org, "; ".join(verdict.doubts)), target.org)
        work.warnings += verdict.doubts

    def deliver(self, deliveries: Sequence[delivery.Delivery], pair: NewPair, own: Memory, work: StageWork) -> None:
        done = self.outcome.delivered
        # Of a pair that is in force everything may have been delivered already, and is not delivered twice.
        record = own.record if own.record and own.record.key == pair.key else None
        known = record.delivered if record and record.promoted else ()
        done += [each.name for each in deliveries if each.name in known]
        left = [each for each in deliveries if each.name not in known]
        try:
            delivery.deliver(left, pair, done)
        finally:
            # A delivery that was broken off may have arrived: it counts where the pair would be deleted.
            own.update(delivered=[each.name for each in deliveries][: len(done) + 1])
            work.facts["delivered"] = list(done)

    def abort(
        self,
        sequence: StageSequence,
        target: Target,
        found: Found,
        own: Memory,
        deliveries: Sequence[delivery.Delivery],
    ) -> None:
        """Delete the staged pair, unless somebody was given it."""
        app, org = target.app.name, target.org.name
        with sequence.stage(STAGE) as work:
            consumer.read_slot(found, self.world)
            places = self.doomed_places(target, found, own)
            if found.active is None:
                work.pass_over(f"No pair is staged for {app} in {org}.")
            else:
                work.facts["deleted"] = mask(found.active.key)
                self.delete(found)
                if places:
                    work.warn(f"Delivered values that no longer work: {', '.join(places)}.")
            own.update(finished=True)
            self.outcome.key = mask(found.consumer.key)

    def doomed_places(self, target: Target, found: Found, own: Memory) -> list[str]:
        """What would hold a dead pair without the staged one. Raises `EcapipeError` where that keeps it."""
        app, org, staged = target.app.name, target.org.name, found.active
        if found.rotated:
            raise EcapipeError(nothing_staged(app, org))
        if staged is None:
            return []
        places = list(own.record.delivered) if own.record and own.record.key == staged.key else []
        file = target.app.settings
        if staged.key == target.key and file and not any(place.endswith(file.path) for place in places):
            places.append(file.path)
        if places and not self.options.force:
            raise EcapipeError(delivered_pair_not_deleted(app, org, places))
        return places

    def require_unused(self, target: Target, found: Found) -> None:
        """Raises `EcapipeError` unless the pair that was replaced may be deleted."""
        app, org = target.app.name, target.org.name
        if found.active:
            raise EcapipeError(nothing_replaced(app, org))
        users = dependents.users(target, found.rotated.key, self.tools, self.world) if found.rotated else []
        if users and not self.options.force:
            raise EcapipeError(previous_pair_in_use(app, org, users))

    def end_previous(
        self,
        sequence: StageSequence,
        target: Target,
        found: Found,
        own: Memory,
        deliveries: Sequence[delivery.Delivery],
    ) -> None:
        """Delete the pair that was replaced, unless something uses it."""
        app, org = target.app.name, target.org.name
        with sequence.stage(CONFIRM) as work:
            consumer.read_slot(found, self.world)
            if found.active:
                raise EcapipeError(nothing_replaced(app, org))
            previous = found.rotated
            pair = NewPair(found.consumer.key, slot.main_secret(target, found, self.world), promoted=True)
            self.outcome.key = mask(pair.key)
            promotion.confirm_new(target, pair, self.options, self.world, work)
        with sequence.stage(UPDATE_SAVED) as work:
            if previous is None:
                work.pass_over(f"{app} in {org} has no previous pair.")
                return
            self.require_unused(target, found)
            if target.key == previous.key:
                work.warn(
                    f"The key in the project or environment is the previous one, which no longer works. {app} "
                    "needs the new key."
                )
            self.delete(found)
            own.update(finished=True)
            work.facts["deleted"] = mask(previous.key)

    def delete(self, found: Found) -> None:
        """Empty the slot. Raises `EcapipeError` unless it is empty then."""
        session, doomed, failure = found.session, found.slot, None
        if doomed is None:
            return
        request = credentials_api.end(session.org, session.bearer, found.app_id, found.consumer, doomed)
        try:
            response = sending.send(session.sign(request), self.world, inf, repeatable=False)
            if response.status != 404:  # it is gone already
                credentials_api.require_success(response, session.org, session.bearer)
        except EcapipeError as error:
            failure = error
        if failure:
            consumer.read_slot(found, self.world)
            if found.slot and found.slot.id == doomed.id:
                raise failure
