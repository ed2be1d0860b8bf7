"""Delivering a proved pair: to the programs that the user names, into the settings file, into the keyring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ecapipe.credentials.sources import FIELDS, Field, variable
from ecapipe.login.tracker import StageWork
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.rotation import delivery_failed, delivery_program_not_found
from ecapipe.problems.usage import usage_error
from ecapipe.project import metadata
from ecapipe.rotate.commands import DeliverCommand
from ecapipe.rotate.ports import Ended, Programs
from ecapipe.rotate.target import NewPair, RotationOptions, Target
from ecapipe.run import writeback
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
    hand_over: Callable[[NewPair, Sequence[str]], None]
    """Is given what was delivered before, for the words of a failure."""


def plan(
    target: Target, options: RotationOptions, programs: Programs, world: World, work: StageWork
) -> list[Delivery]:
    """All that is to be delivered, in order. Raises `EcapipeError` for what cannot be, before anything is staged:
    UsageError, DeliveryProgramNotFound, NotWrittenBack, and what keeps the store from being written to."""
    deliveries = [
        _to_program(target, command, field, programs) for command in options.commands for field in command.fields
    ]
    if options.write_back:
        writeback.require_pair_place(target.app, world)
        file = target.app.of(metadata.SETTINGS)
        name = " and ".join(FIELDS) + f": {file.path if file else ''}"
        deliveries.append(Delivery(name, lambda pair, done: _write_back(target, pair, world, work)))
    if options.keep:
        if obstacle := world.store.obstacle("secret", options.keep):
            raise EcapipeError(obstacle)
        deliveries.append(
            Delivery(f"consumerSecret: {options.keep}", lambda pair, done: _keep(target, pair, options, world))
        )
    return deliveries


def deliver(deliveries: Sequence[Delivery], pair: NewPair, done: list[str]) -> None:
    """Bring the pair to all places; `done` is told of each. Raises `EcapipeError` at the first that fails."""
    for delivery in deliveries:
        delivery.hand_over(pair, tuple(done))
        done.append(delivery.name)


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
        "variable": _variable(target, field),
        "app": target.app.name,
        "org": target.org.name,
    }
    try:
        arguments = command.arguments(values)
    except ValueError as error:
        raise EcapipeError(usage_error(f"--deliver cannot be used for {target.subject}: {error}.", COMMAND)) from None

    def feed(pair: NewPair, done: Sequence[str]) -> None:
        ended = programs.feed(path, arguments, Secret(pair.key) if field == "consumerKey" else pair.secret)
        if ended.status != 0:
            raise EcapipeError(delivery_failed(path.rpartition("/")[2], field, _reason(ended, pair), done))

    return Delivery(f"{field}: {command.program}", feed)


def _variable(target: Target, field: Field) -> str:
    """The variable that a run reads for a field."""
    if field == "consumerSecret" and target.org.secret_env:
        return target.org.secret_env
    return variable(field, target.app.name, target.org)


def _reason(ended: Ended, pair: NewPair) -> str:
    """Why a program failed, with what it said, in which neither key nor secret is repeated."""
    status = "it did not finish within 60 seconds" if ended.status is None else f"exit status {ended.status}"
    if ended.status is not None and ended.status < 0:
        status = f"it was ended by signal {-ended.status}"
    said = redact(" ".join(ended.output.split()), pair.secret, Secret(pair.key))[-_SHOWN:]
    return f"{status}: {said.rstrip('. ')}" if said else status


def _write_back(target: Target, pair: NewPair, world: World, work: StageWork) -> None:
    writeback.write_pair(target.app, pair.key, pair.secret, world, work)


def _keep(target: Target, pair: NewPair, options: RotationOptions, world: World) -> None:
    owner = SecretOwner(
        target.app.name,
        target.org.name,
        consumer_key=pair.key,
        place=options.keep or "keyring",
        saved_at=world.clock.utc(),
    )
    saved_secrets.save_secret(owner, pair.secret, world)
