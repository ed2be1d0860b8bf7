"""What ecapipe knows of that uses a pair: saved logins, a saved secret, and logins that were handed over."""

from __future__ import annotations

from dataclasses import replace

from ecapipe.credentials.sources import variable
from ecapipe.login.fingerprints import digest
from ecapipe.login.tracker import StageWork
from ecapipe.orgs.org import same_id
from ecapipe.problems.problem import EcapipeError, command, retrieve_command
from ecapipe.rotate.case import Case
from ecapipe.rotate.ports import HandedOver
from ecapipe.rotate.target import NewPair, Target
from ecapipe.run.world import World
from ecapipe.saved import records, sessions
from ecapipe.saved import secrets as saved_secrets
from ecapipe.saved.records import SavedLogin, SecretOwner


def users(case: Case, key: str) -> list[str]:
    """The names of all that uses a consumer key in the org."""
    owner = _owner(key, case.world)
    # One that stays for other orgs, which have the same key, is not used here.
    if owner and _owner(case.found.consumer.key, case.world):
        owner = None
    return [
        *(f"the saved login {login.full_name}" for login in _logins(case.target, key, case.world)),
        *([f"the saved secret of {owner.full_name}"] if owner else ()),
        *(f"the login of {each.username} in the Salesforce CLI" for each in _handed_over(case, key)),
    ]


def update(case: Case, old: str, pair: NewPair, work: StageWork, *, shared: bool) -> None:
    """Move what is saved to the new pair; name what has to be moved by its user. `shared`: other orgs may have the
    old key, too, and need the saved secret of it."""
    target, world = case.target, case.world
    if old == pair.key:
        return
    for login in _logins(target, old, world):
        _move_login(login, pair, world, work)
    if owner := _owner(old, world):
        saved, _ = sessions.logins(world)
        shared = shared or any(each.consumer_key == old and each.org.url != target.org.url for each in saved)
        _move_secret(owner, pair, world, work, shared=shared)
    for each in _handed_over(case, old):
        again = command("ecapipe run", name=target.app.name, target_org=target.org.name)
        work.note(
            "hint",
            f"The login of {each.username} in the Salesforce CLI uses the previous pair. Log in again: {again} "
            "--hand-over sf",
        )


def _logins(target: Target, key: str, world: World) -> list[SavedLogin]:
    saved, _ = sessions.logins(world)
    return [login for login in saved if login.consumer_key == key and login.org.url == target.org.url]


def _owner(key: str, world: World) -> SecretOwner | None:
    """The owner of the saved secret of a key, if there is one."""
    id = records.owner_id(key)
    record = world.store.read("secret", id) if world.store.holds("secret", id) else None
    return records.owner(record) if record else None


def _handed_over(case: Case, key: str) -> list[HandedOver]:
    """Logins that earlier runs handed over, each once, unless the Salesforce CLI has them no more."""
    org_id = case.found.session.org_id or case.target.org.org_id
    candidates = {
        each.username: each
        for each in case.tools.handed_over
        if each.app == case.target.app.name and each.key in (None, digest(key))
        if org_id is None or same_id(each.org_id, org_id)
    }
    if not candidates:
        return []
    try:
        logins = {login.username: login for login in case.world.sf.logins()}
    except EcapipeError:  # what it has is not known, so that all of them may be there
        return list(candidates.values())
    return [
        each
        for username, each in candidates.items()
        if username in logins and same_id(logins[username].org_id, each.org_id)
    ]


def _move_login(login: SavedLogin, pair: NewPair, world: World, work: StageWork) -> None:
    try:
        sessions.move(login, pair.key, pair.secret, world)
    except EcapipeError as error:
        work.warn(
            f"The saved login {login.full_name} still uses the previous pair: {error.problem.message} Log in again: "
            f"{login.command}"
        )
    else:
        work.note("hint", f"The saved login {login.full_name} now uses the new pair.")


def _move_secret(owner: SecretOwner, pair: NewPair, world: World, work: StageWork, *, shared: bool) -> None:
    moved = replace(owner, consumer_key=pair.key, saved_at=world.clock.utc())
    # The new one first: at no time is there none.
    saved_secrets.save_secret(moved, pair.secret, world)
    if shared:
        work.note("hint", f"The new secret is saved, and that of {owner.full_name} stays for other orgs.")
        return
    with world.store.locked("secret", owner.id):
        world.store.remove(records.owner_record(owner))
    work.note("hint", f"The saved secret of {owner.full_name} was replaced with the new one.")


def tell_of_settings(target: Target, pair: NewPair, work: StageWork) -> None:
    """Say how the project gets the new key, where its settings file has the old one."""
    file = target.app.settings
    if file is None or target.key == pair.key:
        return
    name = variable("consumerKey", target.app.name, target.org)
    work.note(
        "hint",
        f"{file.path} still holds the previous key. Retrieve it: {retrieve_command(target.org.name)}, or set {name}.",
    )
