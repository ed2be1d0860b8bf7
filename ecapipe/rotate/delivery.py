"""Delivering a proved pair: to the programs that the user names, into the settings file, into the keyring."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.credentials.sources import FIELDS, Field, variable
from ecapipe.events import Subject
from ecapipe.login.fingerprints import digest
from ecapipe.login.tracker import StageWork
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.rotation import delivered_so_far, delivery_failed, delivery_program_not_found
from ecapipe.problems.usage import ambiguous_variable, usage_error
from ecapipe.project import metadata
from ecapipe.project.apps import App
from ecapipe.rotate.case import Case
from ecapipe.rotate.commands import DeliverCommand
from ecapipe.rotate.ports import Ended, Programs
from ecapipe.rotate.target import NewPair, RotationOptions, Target
from ecapipe.run import writeback
from ecapipe.run.targets import AppInOrg
from ecapipe.run.world import World
from ecapipe.saved import secrets as saved_secrets
from ecapipe.saved.records import SecretOwner
from ecapipe.secret import Secret, redact

COMMAND: Final = "ecapipe app rotate"
_SHOWN: Final = 500
"""Characters that are shown of what a program wrote."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One part for one place; `hand_over` brings it there."""

    name: str
    id: str
    """Tells it from others of the same name, such as two repositories of one program."""
    hand_over: Callable[[NewPair, StageWork], None]


def plan(target: Target, options: RotationOptions, programs: Programs, world: World) -> list[Delivery]:
    """All that is to be delivered, in order. Raises `EcapipeError` for what cannot be, before anything is staged:
    UsageError, DeliveryProgramNotFound, NotWrittenBack, and what keeps the store from being written to."""
    deliveries = [
        _to_program(target, command, field, programs) for command in options.commands for field in command.fields
    ]
    if options.write_back:
        writeback.require_pair_place(target.app, world)
        file = target.app.of(metadata.SETTINGS)
        name = " and ".join(FIELDS) + f": {file.path if file else ''}"
        deliveries.append(
            Delivery(
                name,
                digest(name, str(target.subject)),
                lambda pair, work: writeback.write_pair(target.app, pair.key, pair.secret, world, work),
            )
        )
    if options.keep:
        if obstacle := world.store.obstacle("secret", options.keep):
            raise EcapipeError(obstacle)
        name = f"consumerSecret: {options.keep}"
        deliveries.append(
            Delivery(name, digest(name, str(target.subject)), lambda pair, work: _keep(target, pair, options, world))
        )
    return deliveries


def deliver(
    deliveries: Sequence[Delivery],
    pair: NewPair,
    case: Case,
    work: StageWork,
    *,
    done: list[str],
    given: dict[str, Subject],
) -> None:
    """Bring the pair to all places; `done` is told of each, and `given` of whose pair each place got in this run.
    Raises `EcapipeError` at the first that fails."""
    memory = case.memory
    known = memory.record if memory.record and memory.record.key == pair.key else None
    for delivery in deliveries:
        # Of a pair that is in force everything may have been delivered already, and is not delivered twice.
        if not (known and known.promoted and delivery.id in known.delivered):
            # Before: one that is broken off, by kill -9 too, may have arrived, which counts where a pair is deleted.
            if known:
                memory.update(places={**known.places, delivery.id: delivery.name})
            try:
                delivery.hand_over(pair, work)
            except EcapipeError as error:
                state = delivered_so_far(done, promoted=pair.promoted)
                raise EcapipeError(replace(error.problem, message=f"{error.problem.message} {state}")) from None
            known = memory.record if known else None
            if known:
                memory.update(delivered=[*known.delivered, delivery.id])
                known = memory.record
            if (before := given.setdefault(delivery.id, case.subject)) != case.subject:
                work.warn(
                    f"{delivery.name} got the pair of {before} by the same command line, and may have replaced it. "
                    "Use {variable}, or {app} and {org}."
                )
        done.append(delivery.name)
        work.facts["delivered"] = list(done)


def find_program(command: DeliverCommand, programs: Programs) -> str:
    """The absolute path of a command's program. Raises `EcapipeError` (DeliveryProgramNotFound)."""
    path = programs.find(command.program)
    if path is None:
        raise EcapipeError(delivery_program_not_found(command.program))
    return path


def _to_program(target: Target, command: DeliverCommand, field: Field, programs: Programs) -> Delivery:
    path = find_program(command, programs)
    values = {
        "field": field,
        "variable": _variable(target.app, target.org, field),
        "app": target.app.name,
        "org": target.org.name,
    }
    try:
        arguments = command.arguments(values)
    except ValueError as error:
        raise EcapipeError(usage_error(f"--deliver cannot be used for {target.subject}: {error}.", COMMAND)) from None

    def feed(pair: NewPair, work: StageWork) -> None:
        name, value = os.path.basename(path), Secret(pair.key) if field == "consumerKey" else pair.secret
        ended = programs.feed(path, arguments, value)
        if ended.status != 0:
            raise EcapipeError(delivery_failed(name, field, _reason(ended, pair)))
        if ended.unread:
            work.warn(
                f"{name} succeeded without reading all of its standard input: check that it has the new {field}."
            )

    return Delivery(f"{field}: {command.program}", digest(field, path, *arguments), feed)


def _variable(app: App, org: Org, field: Field) -> str:
    """The variable that a run reads for a field."""
    if field == "consumerSecret" and org.secret_env:
        return org.secret_env
    return variable(field, app.name, org)


def require_variables_apart(pairs: Sequence[AppInOrg], commands: Sequence[DeliverCommand]) -> None:
    """Raises `EcapipeError` (AmbiguousVariable) where ``{variable}`` would be one name for two targets: the second
    would get what the first has just been given."""
    owners: dict[str, AppInOrg] = {}
    for field in {field for each in commands if each.tells("variable") for field in each.fields}:
        for pair in pairs:
            name = _variable(pair.app, pair.org, field)
            if (owner := owners.setdefault(name, pair)) is not pair:
                raise EcapipeError(ambiguous_variable(name, str(owner.subject), str(pair.subject)))


def _reason(ended: Ended, pair: NewPair) -> str:
    """Why a program failed, with what it said, in which neither key nor secret is repeated."""
    status = "it did not finish within 60 seconds" if ended.status is None else f"exit status {ended.status}"
    if ended.status is not None and ended.status < 0:
        status = f"it was ended by signal {-ended.status}"
    said = redact(" ".join(ended.output.split()), pair.secret, Secret(pair.key))[-_SHOWN:]
    return f"{status}: {said.rstrip('. ')}" if said else status


def _keep(target: Target, pair: NewPair, options: RotationOptions, world: World) -> None:
    owner = SecretOwner(
        target.app.name,
        target.org.name,
        consumer_key=pair.key,
        place=options.keep or "keyring",
        saved_at=world.clock.utc(),
    )
    saved_secrets.save_secret(owner, pair.secret, world)
