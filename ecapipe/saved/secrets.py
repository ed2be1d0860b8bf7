"""Saved consumer secrets: find one, save it, forget it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ecapipe.credentials import placeholders, resolution
from ecapipe.credentials.sources import Scope
from ecapipe.events import SavedSecretFacts
from ecapipe.oauth.flows.registry import CHOICES, allowed_flows
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.credentials import secret_not_kept, secret_unusable, secrets_ambiguous
from ecapipe.problems.problem import EcapipeError, Problem, did_you_mean
from ecapipe.problems.usage import app_in_several_projects
from ecapipe.project import discovery
from ecapipe.project.discovery import ProjectSelection
from ecapipe.saved import records
from ecapipe.saved.ports import SecretsAccess, StoreAccess
from ecapipe.saved.records import SavedRecord, SavedSecrets, SecretOwner, StorePlace, UnreadableRecord, read_all
from ecapipe.secret import Secret, mask


def secret_facts(owner: SecretOwner) -> SavedSecretFacts:
    """The owner of a saved consumer secret, as output shows it."""
    return SavedSecretFacts(
        owner.app,
        owner.org,
        consumer_key=mask(owner.consumer_key),
        store=owner.place,
        saved_at=owner.saved_at,
    )


def secret_finder(world: StoreAccess) -> Callable[[str], Secret | None]:
    """The saved secret of a consumer key, as a source of the chain."""

    # A keyring may ask the user to unlock it, and an app may be used in many orgs: each key is looked up once.
    @cache
    def find(consumer_key: str) -> Secret | None:
        id = records.owner_id(consumer_key)
        # `holds` first: who has no place for such things at all has no secret there, which is no problem.
        if not world.store.holds("secret", id):
            return None
        record = world.store.read("secret", id)
        if record is None:
            return None
        return world.store.unseal(record).consumer_secret

    return find


def owners(world: StoreAccess) -> tuple[tuple[SecretOwner, ...], tuple[UnreadableRecord, ...]]:
    """The owners of all saved consumer secrets, by name, and the records that cannot be read."""
    saved, unreadable = read_all("secret", records.owner, world)
    return tuple(sorted(saved, key=lambda owner: owner.full_name.casefold())), tuple(unreadable)


def owner(
    projects: ProjectSelection, orgs: OrgSelection, place: StorePlace, world: SecretsAccess
) -> tuple[SecretOwner, str | None]:
    """The owner of a secret that is to be saved: the one app that is selected, for an org if one is selected.

    The second value is the source, if any, that has a secret already and would win over the saved one.
    Raises `EcapipeError`: as `discovery.discover` and `selection.select`, SettingsDuplicated, ConsumerKeyMissing.
    """
    discovered = discovery.discover(projects, world)
    targets: tuple[Org, ...] = ()
    if orgs.names:
        targets = tuple(selection.select(orgs, discovered.projects, flows=CHOICES))[:1]
    if len(discovered.apps) > 1:
        roots = [app.project for app in discovered.apps]
        raise EcapipeError(app_in_several_projects(discovered.apps[0].name, roots))
    (app,) = discovered.apps
    discovery.refuse_rivals(app)
    org = next(iter(targets), None)
    chain = world.chain(Scope(discovered.apps, targets, discovered.known))
    # The secret may be missing: it is what this command is about to save.
    resolved = resolution.resolve(app, org, chain, allowed_flows, needs_no_secret=True)
    if isinstance(resolved.outcome, Problem):
        raise EcapipeError(resolved.outcome)
    resolution.require_presentable_key(resolved, resolved.outcome)
    secret_owner = SecretOwner(
        app.name,
        org.name if org else None,
        consumer_key=resolved.outcome.consumer_key,
        place=place,
        saved_at=world.clock.utc(),
    )
    return secret_owner, resolved.secret.source


def save_secret(owner: SecretOwner, value: Secret, world: StoreAccess) -> None:
    """Save the consumer secret of an app; raises `EcapipeError` (SecretUnusable, and as the store)."""
    if reason := placeholders.unfit(value, owner.consumer_key):
        raise EcapipeError(secret_unusable(owner.app, reason))
    with world.store.locked("secret", owner.id):
        world.store.put(records.owner_record(owner), SavedSecrets(consumer_secret=value))


def forget_secrets(
    app: str, org: str | None, every: bool, world: StoreAccess, consumer_key: str | None = None
) -> tuple[tuple[SecretOwner, ...], tuple[UnreadableRecord, ...]]:
    """Remove the saved consumer secret of an app; with `every`, all that were saved under its name.

    `org` and `consumer_key` narrow the selection. A record that cannot be read is removed, too, if `app` is its id,
    if it is that of the key, or, with `every`, if it may be the app's. Raises `EcapipeError` (SecretNotKept,
    SecretsAmbiguous).
    """
    saved, unreadable = owners(world)
    matches = [
        owner
        for owner in saved
        if owner.app == app and org in (None, owner.org) and consumer_key in (None, owner.consumer_key)
    ]
    candidates = [each for each in unreadable if each.app in (None, app) or each.id == app]
    named = app if consumer_key is None else records.owner_id(consumer_key)
    removed = [each for each in candidates if each.id == named or (every and consumer_key is None)]
    if not matches and not removed:
        # The damaged record may be the very one that is asked for.
        if candidates:
            raise EcapipeError(candidates[0].problem)
        suggestions = did_you_mean(app, [owner.app for owner in saved if owner.app != app])
        raise EcapipeError(secret_not_kept(app, org, [owner.full_name for owner in saved], suggestions))
    if len(matches) > 1 and not every:
        raise EcapipeError(secrets_ambiguous(app, [owner.full_name for owner in matches]))
    doomed: list[SavedRecord | UnreadableRecord] = [*map(records.owner_record, matches), *removed]
    for record in doomed:
        with world.store.locked("secret", record.id):
            world.store.remove(record)
    return tuple(matches), tuple(removed)
