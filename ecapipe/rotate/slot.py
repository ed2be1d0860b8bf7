"""Staging: what is in the slot of a consumer decides what is done next."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from math import inf
from typing import Final

from ecapipe.documents.rotation_record import RotationRecord
from ecapipe.exchange import sending
from ecapipe.login.plan import now
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import credentials_api, userinfo
from ecapipe.oauth.credentials_api import StagedPair
from ecapipe.oauth.tokens import Token
from ecapipe.orgs.org import error_at, same_id
from ecapipe.problems.credentials import rest_secret_withheld
from ecapipe.problems.network import unexpected_answer
from ecapipe.problems.problem import EcapipeError, command
from ecapipe.problems.rotation import (
    no_proof_possible,
    nothing_staged,
    pair_staged_elsewhere,
    previous_pair_still_there,
)
from ecapipe.rotate import proof
from ecapipe.rotate.case import Case
from ecapipe.rotate.consumer import ask, read_slot
from ecapipe.rotate.memory import Memory
from ecapipe.rotate.target import Found, NewPair, RotationOptions, Target
from ecapipe.run.world import World
from ecapipe.secret import Secret, mask

_CLOCKS: Final = 10.0
"""Seconds by which the times of one org may differ."""

_LONGEST: Final = 300.0
"""Seconds between an announcement and the making of the pair: the request ends after 60, whatever the org does."""


def stage(case: Case, work: StageWork) -> NewPair:
    """The pair that is to be in force; an earlier run may have got as far as that. Raises `EcapipeError`."""
    target, found, memory, world = case.target, case.found, case.memory, case.world
    read_slot(found, world)
    look(case)
    if found.rotated:
        work.pass_over("The new pair is already active. Finishing the remaining stages.")
        return NewPair(found.consumer.key, main_secret(target, found, world), promoted=True)
    if found.active:
        work.note("hint", f"Resuming with the staged pair {_since(found.active)}.")
        _remember(found, found.active, memory, world)
        return _of_staged(target, found, found.active, work)
    return _of_staged(target, found, _make(case), work)


def look(case: Case) -> None:
    """Raises `EcapipeError` where what is in the slot, or missing there, keeps a rotation from going on."""
    found, options = case.found, case.options
    if found.rotated:
        _require_rest_of_rotation(case, found.rotated)
    elif found.active:
        if not (options.adopt or _is_ours(found.active, found, case.memory, case.world)):
            raise _elsewhere(case.target, found.active)
    elif options.mode == "promote":
        raise EcapipeError(nothing_staged(*case.names))
    else:
        require_proof(case.target, found, options, case.world)


def _require_rest_of_rotation(case: Case, rotated: StagedPair) -> None:
    """Raises `EcapipeError` unless an earlier run put the pair in force, and left something to do."""
    record = case.memory.record
    unfinished = record is not None and record.key == case.found.consumer.key and not record.finished
    # Who knows only the previous key has not been told of the new one.
    if case.options.mode == "stage-only" or not (rotated.key == case.target.key or unfinished):
        raise EcapipeError(previous_pair_still_there(*case.names, mask(rotated.key), rotated.created, rotated.until))


def main_secret(target: Target, found: Found, world: World) -> Secret:
    """The secret of the pair in force; raises `EcapipeError` (RestSecretWithheld)."""
    org, bearer = found.session.org, found.session.bearer
    response = ask(credentials_api.pair(org, bearer, found.app_id, found.consumer), found.session, world)
    secret = credentials_api.secret(response, org, bearer, found.consumer)
    if secret is None:
        raise error_at(rest_secret_withheld(target.app.name, org.host, credentials_api.PERMISSIONS), org)
    return secret


def require_proof(target: Target, found: Found, options: RotationOptions, world: World) -> None:
    """Raises `EcapipeError` (NoProofPossible) where the org does not even say that it accepts the pair in force."""
    if options.unproved or proof.login_flows(target, options):
        return
    verdict = proof.introspect(target, found.consumer.key, main_secret(target, found, world), world)
    if not verdict.proofs:
        reason = verdict.refusal or "; ".join(verdict.doubts)
        raise error_at(no_proof_possible(target.app.name, target.org.name, reason), target.org)


def _of_staged(target: Target, found: Found, pair: StagedPair, work: StageWork) -> NewPair:
    # It would prove itself, and be found in force, without anything being rotated.
    if pair.key == found.consumer.key:
        org = found.session.org
        raise error_at(unexpected_answer(org.host, 200, "the staged pair is the active one"), org)
    if pair.secret is None or not pair.id:
        org = found.session.org
        raise error_at(rest_secret_withheld(target.app.name, org.host, credentials_api.PERMISSIONS), org)
    work.facts |= {"consumerKey": mask(pair.key), "stagedUntil": pair.until}
    return NewPair(pair.key, pair.secret, pair)


def _make(case: Case) -> StagedPair:
    """A new pair. It is announced before it is asked for, so that it is known for ours if the response is lost."""
    found, memory, world = case.found, case.memory, case.world
    session, org = found.session, found.session.org
    memory.write(_announcement(found, memory, world))
    request = credentials_api.stage(org, session.bearer, found.app_id, found.consumer)
    failure: EcapipeError | None = None
    pair: StagedPair | None = None
    try:
        # Once: a second request would meet the pair of the first.
        response = sending.send(session.sign(request), world, inf, repeatable=False)
        pair = credentials_api.staged_pair(response, org, session.bearer)
    except EcapipeError as error:
        failure = error
    # Whatever came of the request: the slot says what the org has.
    if pair is None or pair.secret is None or not pair.id:
        pair = _made_all_the_same(case, failure)
    memory.update(staged=pair.id, key=pair.key)
    found.slot = pair
    return pair


def _announcement(found: Found, memory: Memory, world: World) -> RotationRecord:
    at = found.read_at if found.read_at is not None else now(world)
    url, consumer = found.session.org.url, found.consumer.id
    return RotationRecord(app=memory.app, url=url, consumer=consumer, announced_at=at)


def _remember(found: Found, pair: StagedPair, memory: Memory, world: World) -> None:
    """Write down whose pair it is from now on: one that was adopted, or one whose response was lost."""
    if memory.record is None or memory.record.finished or memory.record.key not in (None, pair.key):
        memory.write(_announcement(found, memory, world))
    memory.update(staged=pair.id, key=pair.key)


def _made_all_the_same(case: Case, failure: EcapipeError | None) -> StagedPair:
    """The pair of a request whose response was lost. Raises `EcapipeError`."""
    found, memory, world = case.found, case.memory, case.world
    if failure and 400 <= (failure.problem.http_status or 0) < 500:
        # The org refused: what is in the slot now, if anything, is somebody else's.
        memory.update(finished=True)
        raise _expired_in_the_way(case, failure) if found.expired else failure
    try:
        read_slot(found, world)
    except EcapipeError as error:
        raise failure or error from None
    # The slot was empty before, so that a pair which follows a success is that of the request.
    if found.active and (failure is None or _is_ours(found.active, found, memory, world)):
        return found.active
    raise failure or EcapipeError(nothing_staged(*case.names))


def _expired_in_the_way(case: Case, failure: EcapipeError) -> EcapipeError:
    app, org = case.names
    away = (
        f"An expired pair may take the place. To delete it: {command('ecapipe app rotate', name=app, target_org=org)}"
    )
    return EcapipeError(replace(failure.problem, actions=(f"{away} --abort", *failure.problem.actions)))


def _is_ours(pair: StagedPair, found: Found, memory: Memory, world: World) -> bool:
    """Whether this machine's record announced the pair before it was made, and user and time fit."""
    record = memory.record
    if record is None or record.finished or not same_id(record.consumer, found.consumer.id):
        return False
    if record.key is not None:
        return record.key == pair.key
    made = _seconds(pair.created)
    if made is None or not record.announced_at - _CLOCKS <= made <= record.announced_at + _LONGEST:
        return False
    return not pair.created_by or _is_user(pair.created_by, found, world)


def _is_user(id: str, found: Found, world: World) -> bool:
    """Whether the session is that of the user with this id, as far as the org says so."""
    org = found.session.org
    token = Token(found.session.bearer, None, None, org_id="", user_id="", scopes=())
    try:
        return same_id(userinfo.read(ask(userinfo.request(token, org), found.session, world), token, org).user_id, id)
    except EcapipeError:
        return False


def _seconds(time: str) -> float | None:
    try:
        parsed = datetime.fromisoformat(time)
    except ValueError:
        return None
    return parsed.timestamp() if parsed.tzinfo else None


def _elsewhere(target: Target, pair: StagedPair) -> EcapipeError:
    return EcapipeError(
        pair_staged_elsewhere(target.app.name, target.org.name, mask(pair.key), pair.created, pair.until)
    )


def _since(pair: StagedPair) -> str:
    return f"on {pair.created[:10]}" if pair.created else "earlier"
