"""Deleting a pair: one that is staged (``--abort``), or the one that was replaced (``--end-previous``)."""

from __future__ import annotations

from math import inf

from ecapipe.exchange import sending
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import credentials_api
from ecapipe.oauth.credentials_api import StagedPair
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.rotation import (
    delivered_pair_not_deleted,
    nothing_replaced,
    nothing_staged,
    previous_pair_in_use,
)
from ecapipe.rotate import dependents
from ecapipe.rotate.case import Case
from ecapipe.rotate.consumer import read_slot
from ecapipe.secret import mask


def abort(case: Case, work: StageWork) -> None:
    """Delete the staged pair, unless somebody was given it. Raises `EcapipeError`."""
    found = case.found
    read_slot(found, case.world)
    places = doomed_places(case)
    doomed = found.active or found.expired
    if doomed is None:
        work.pass_over("No pair is staged for {} in {}.".format(*case.names))
    else:
        _delete(case, doomed, work)
        if found.rotated:  # somebody promoted it in this very moment
            raise EcapipeError(nothing_staged(*case.names))
        if places:
            work.warn(f"Delivered values that no longer work: {', '.join(places)}.")
    case.memory.update(finished=True)


def doomed_places(case: Case) -> list[str]:
    """What would hold a dead pair without the staged one. Raises `EcapipeError` where that keeps it."""
    target, record, staged = case.target, case.memory.record, case.found.active
    if case.found.rotated:
        raise EcapipeError(nothing_staged(*case.names))
    if staged is None:
        return []
    places = list(record.places.values()) if record and record.key == staged.key else []
    file = target.app.settings
    if staged.key == target.key and file and not any(place.endswith(file.path) for place in places):
        places.append(file.path)
    if places and not case.options.force:
        raise EcapipeError(delivered_pair_not_deleted(*case.names, places))
    return places


def end_previous(case: Case, work: StageWork) -> None:
    """Delete the pair that was replaced, unless something uses it. Raises `EcapipeError`."""
    found, target = case.found, case.target
    doomed = found.rotated or found.expired
    if doomed is None:
        work.pass_over("{} in {} has no previous pair.".format(*case.names))
        return
    require_unused(case)
    if target.key == doomed.key:
        work.warn(
            "The key in the project or environment is the previous one, which no longer works. "
            f"{target.app.name} needs the new key."
        )
    _delete(case, doomed, work)
    case.memory.update(finished=True)


def require_unused(case: Case) -> None:
    """Raises `EcapipeError` unless the pair that was replaced may be deleted."""
    if case.found.active:
        raise EcapipeError(nothing_replaced(*case.names))
    rotated = case.found.rotated
    users = dependents.users(case, rotated.key) if rotated else []
    if users and not case.options.force:
        raise EcapipeError(previous_pair_in_use(*case.names, users))


def _delete(case: Case, doomed: StagedPair, work: StageWork) -> None:
    """Take a pair out of the slot. Raises `EcapipeError` if the org refused, and still has it there."""
    session, found, failure = case.found.session, case.found, None
    work.facts["deleted"] = mask(doomed.key)
    request = credentials_api.end(session.org, session.bearer, found.app_id, found.consumer, doomed)
    try:
        response = sending.send(session.sign(request), case.world, inf, repeatable=False)
        if response.status != 404:  # it is gone already
            credentials_api.require_success(response, session.org, session.bearer)
    except EcapipeError as error:
        failure = error
    try:
        read_slot(found, case.world)
    except EcapipeError as error:
        if failure is None:  # the org has said that it did it
            return
        raise failure from error
    if failure and any(pair and pair.id == doomed.id for pair in (found.slot, found.expired)):
        raise failure
