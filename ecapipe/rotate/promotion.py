"""Putting a pair in force, and confirming what the org has then."""

from __future__ import annotations

from math import inf
from typing import Final

from ecapipe.exchange import sending
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import credentials_api
from ecapipe.oauth.credentials_api import StagedPair
from ecapipe.orgs.org import error_at
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.rotation import promotion_not_confirmed, staged_pair_gone
from ecapipe.rotate import proof
from ecapipe.rotate.case import Case
from ecapipe.rotate.consumer import find_main, read_slot
from ecapipe.rotate.proof import Verdict
from ecapipe.rotate.target import Found, NewPair, Outcome, RotationOptions, Target
from ecapipe.run.world import World
from ecapipe.secret import Secret

_TRIES: Final = 3
_PAUSE: Final = 2.0
"""Seconds between two questions about a pair that has just been put in force."""


def promote(case: Case, pair: NewPair) -> None:
    """Put a staged pair in force. Raises `EcapipeError` unless the org has it in force then, whatever it said."""
    found, failure = case.found, None
    # A delivery takes its time: by now another pair may be staged.
    read_slot(found, case.world)
    staged = found.active if found.active and found.active.key == pair.key else None
    if staged:
        try:
            _put_in_force(found, staged, case.world)
        except EcapipeError as error:
            failure = error
    try:
        in_force = find_main(found, pair.key, case.world)
    except EcapipeError as error:
        raise failure or error from None
    if not in_force and staged:
        raise failure or _unconfirmed(case.target, "its consumer has another key than the one that was promoted")
    if not in_force:
        record = case.memory.record
        raise EcapipeError(staged_pair_gone(*case.names, list(record.places.values()) if record else []))


def _put_in_force(found: Found, pair: StagedPair, world: World) -> None:
    session = found.session
    request = credentials_api.promote(session.org, session.bearer, found.app_id, found.consumer, pair)
    # Once: whether it had an effect is read from the org.
    response = sending.send(session.sign(request), world, inf, repeatable=False)
    credentials_api.require_success(response, session.org, session.bearer)


def confirm(case: Case, pair: NewPair, work: StageWork, outcome: Outcome) -> None:
    """Ask the org about the new pair and the previous one. Raises `EcapipeError` (PromotionNotConfirmed)."""
    target, world = case.target, case.world
    confirm_new(target, pair, case.options, world, work)
    read_slot(case.found, world)
    previous = case.found.rotated
    if previous is None:
        work.warn(f"{target.org.name} does not report until when the previous pair works.")
        return
    outcome.previous_until = previous.until or None
    work.facts["previousUntil"] = previous.until
    if previous.secret:
        _confirm_previous(target, previous.key, previous.secret, world, work=work)


def confirm_new(target: Target, pair: NewPair, options: RotationOptions, world: World, work: StageWork) -> None:
    """Ask the org about the pair in force. Raises `EcapipeError` (PromotionNotConfirmed)."""
    verdict = _ask(target, pair.key, pair.secret, world)
    if verdict.doubts and proof.login_flows(target, options):
        # It was proved by a login, which an org that does not introspect accepts again.
        verdict = proof.prove(target, (pair.key, pair.secret), options, world, work)
    if verdict.refusal:
        raise _unconfirmed(target, verdict.refusal)
    if not verdict.proved and not options.unproved:
        raise _unconfirmed(target, "; ".join(verdict.doubts))
    work.warnings += verdict.doubts


def _confirm_previous(target: Target, key: str, secret: Secret, world: World, *, work: StageWork) -> None:
    verdict = proof.introspect(target, key, secret, world)
    work.facts["previousWorks"] = None if verdict.doubts else not verdict.refusal
    if verdict.refusal:
        work.warn(f"{target.org.name} no longer accepts the previous pair: {verdict.refusal}.")


def _ask(target: Target, key: str, secret: Secret, world: World) -> Verdict:
    """Introspect; what has just been promoted may need a moment to be known everywhere."""
    for _ in range(_TRIES - 1):
        verdict = proof.introspect(target, key, secret, world)
        if verdict.proofs:
            return verdict
        world.clock.sleep(_PAUSE)
    return proof.introspect(target, key, secret, world)


def _unconfirmed(target: Target, reason: str) -> EcapipeError:
    return error_at(promotion_not_confirmed(target.app.name, target.org.name, reason), target.org)
