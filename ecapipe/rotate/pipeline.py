"""READ FIRST of a rotation: for each app and org, one after the other,

find-consumer → stage → prove → deliver → promote → confirm → update-saved.

The order is a promise: nothing is delivered that was not proved, nothing is promoted that was not delivered. Every
step can be broken off: run again, it reads what the org has, and goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
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
from ecapipe.login.tracker import EndEarly, SkipStage, StageSequence, StageWork, Tracker
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.orgs.org import error_at
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import USAGE, EcapipeError, Problem
from ecapipe.problems.project import not_written_back
from ecapipe.problems.rotation import (
    new_pair_not_proved,
    new_pair_refused,
    nothing_replaced,
    packaged_app_not_rotated,
    rotation_going_on,
)
from ecapipe.project.discovery import ProjectSelection
from ecapipe.rotate import consumer, deletion, delivery, dependents, memory, promotion, proof, slot
from ecapipe.rotate.case import Case
from ecapipe.rotate.delivery import Delivery
from ecapipe.rotate.ports import RotationTools
from ecapipe.rotate.target import Mode, NewPair, Outcome, RotationOptions, Target
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
    delivery.require_variables_apart(targets.pairs, request.options.commands)

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
    given: dict[str, Subject] = {}
    try:
        for pair in targets.pairs:
            if done := request.done.get(pair.subject):
                outcomes[pair.subject] = done
                _take_over(pair, stages, tracker)
            else:
                shared = any(
                    each.app is pair.app and each != pair and each.subject not in outcomes for each in targets.pairs
                )
                _Rotation(pair, request.options, chain, tracker, world, tools, outcomes, shared, given).run()
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
    shared: bool
    """Whether the app is to be rotated in other orgs as well, and has not been."""
    given: dict[str, Subject]
    """Whose pair each place got in this run."""
    outcome: Outcome = field(default_factory=Outcome)

    def run(self) -> None:
        subject, mode = self.pair.subject, self.options.mode
        with ExitStack() as locks, self.tracker.course(subject, STAGES[mode]) as sequence:
            with sequence.stage(FIND_CONSUMER) as work:
                target = self.target()
                deliveries = self.plan(target)
                case = self.find(target, work)
                if self.options.dry_run:
                    self.show_plan(case, deliveries, work)
                locks.enter_context(self.tools.records.locked(case.memory.id, rotation_going_on(*case.names)))
                case.memory.read()
            if mode == "abort":
                self.abort(sequence, case)
            elif mode == "end-previous":
                self.end_previous(sequence, case)
            else:
                self.rotate(sequence, case, deliveries)
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
        resolution.require_presentable_key(resolved, resolved.outcome)
        return Target(app, org, resolved.outcome.consumer_key, resolved)

    def unless_named(self, problem: Problem) -> Exception:
        return EcapipeError(problem) if self.pair.named else SkipStage(problem.message, problem)

    def plan(self, target: Target) -> list[Delivery]:
        """What would be delivered, and whether it can be; nothing is staged that has nowhere to go."""
        if not self.options.promotes:
            return []
        proof.require_login(target, self.options, self.world)
        return delivery.plan(target, self.options, self.tools.programs, self.world)

    def find(self, target: Target, work: StageWork) -> Case:
        found = consumer.find(target, self.options.allowed, self.world)
        work.facts |= {"host": found.session.org.host, "consumerKey": mask(target.key)}
        if found.session.username:
            work.facts["username"] = found.session.username
        # Whoever wrote the project may choose what a program of the user's is told to overwrite.
        if target.org.secret_env and any(each.tells("variable") for each in self.options.commands):
            work.facts["secretEnv"] = target.org.secret_env
        own = memory.of(target, found, self.tools.records)
        return Case(target, found, own, self.options, self.world, self.tools)

    def show_plan(self, case: Case, deliveries: Sequence[Delivery], work: StageWork) -> None:
        """Raises `EndEarly`, or what a rotation would fail with."""
        case.memory.read()
        consumer.read_slot(case.found, self.world)
        if self.options.mode == "abort":
            deletion.doomed_places(case)
        elif self.options.mode == "end-previous":
            deletion.require_unused(case)
        else:
            slot.look(case)
        held = case.found.slot
        work.facts |= {
            "stages": [stage.name for stage in STAGES[self.options.mode]],
            "slot": held.state if held else "free",
            "deliver": [each.name for each in deliveries] or ["nowhere"],
            "prove": ["introspect", *(flow.name for flow in proof.login_flows(case.target, self.options))],
        }
        raise EndEarly(DRY_RUN_ONLINE)

    def rotate(self, sequence: StageSequence, case: Case, deliveries: Sequence[Delivery]) -> None:
        target, found, own = case.target, case.found, case.memory
        with sequence.stage(STAGE) as work:
            pair = slot.stage(case, work)
            self.outcome.key = mask(pair.key)
        with sequence.stage(PROVE) as work:
            self.prove(target, pair, work)
        if self.options.mode == "stage-only":
            return
        with sequence.stage(DELIVER) as work:
            delivery.deliver(deliveries, pair, case, work, done=self.outcome.delivered, given=self.given)
        with sequence.stage(PROMOTE) as work:
            if pair.promoted:
                work.pass_over("The new pair is already active.")
            else:
                promotion.promote(case, pair)
                own.update(promoted=True)
        with sequence.stage(CONFIRM) as work:
            promotion.confirm(case, pair, work, self.outcome)
        with sequence.stage(UPDATE_SAVED) as work:
            old = found.rotated.key if found.rotated else target.key
            dependents.update(case, old, pair, work, shared=self.shared)
            if not self.options.write_back:
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

    def abort(self, sequence: StageSequence, case: Case) -> None:
        with sequence.stage(STAGE) as work:
            deletion.abort(case, work)
            self.outcome.key = mask(case.found.consumer.key)

    def end_previous(self, sequence: StageSequence, case: Case) -> None:
        """Delete the pair that was replaced, once the one in force is confirmed."""
        with sequence.stage(CONFIRM) as work:
            consumer.read_slot(case.found, self.world)
            if case.found.active:
                raise EcapipeError(nothing_replaced(*case.names))
            secret = slot.main_secret(case.target, case.found, self.world)
            pair = NewPair(case.found.consumer.key, secret, promoted=True)
            self.outcome.key = mask(pair.key)
            promotion.confirm_new(case.target, pair, self.options, self.world, work)
        with sequence.stage(UPDATE_SAVED) as work:
            deletion.end_previous(case, work)
