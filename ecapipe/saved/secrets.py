"""Saved consumer secrets: found, saved, removed."""

from __future__ import annotations

from functools import cache

from ecapipe.credentials import placeholders, resolution, sources
from ecapipe.events import SavedSecretFacts
from ecapipe.orgs import selection
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.credentials import secret_not_kept, secret_unusable, secrets_ambiguous
from ecapipe.problems.problem import EcapipeError, Problem, did_you_mean
from ecapipe.problems.usage import app_in_several_projects
from ecapipe.project import discovery
from ecapipe.project.discovery import ProjectSelection
from ecapipe.saved import records
from ecapipe.saved.ports import SecretsAccess, StoreAccess
from ecapipe.saved.records import SavedSecrets, SecretOwner, StorePlace, read_all
from ecapipe.secret import Secret, mask


def secret_facts(owner: SecretOwner) -> SavedSecretFacts:
    """Whose consumer secret is kept, as output shows it."""
    return SavedSecretFacts(owner.app, owner.org, mask(owner.consumer_key), owner.place, owner.saved_at)


def secret_finder(world: StoreAccess) -> sources.FindSavedSecret:
    """What the chain asks for the secret that is kept for a consumer key."""

    @cache
    def find(consumer_key: str) -> Secret | None:
        id = records.owner_id(consumer_key)
        record = world.store.read("secret", id) if world.store.holds("secret", id) else None
        return None if record is None else world.store.unseal(record).consumer_secret

    return find


def owners(world: StoreAccess) -> tuple[tuple[SecretOwner, ...], tuple[Problem, ...]]:
    """Whose consumer secrets are kept, and what kept others from being read."""
    found, damaged = read_all("secret", records.owner, world)
    return tuple(sorted(found, key=lambda each: each.full_name.casefold())), tuple(damaged)


def owner(
    where: ProjectSelection, which: OrgSelection, place: StorePlace, world: SecretsAccess
) -> tuple[SecretOwner, str | None]:
    """Whose secret is to be kept: the consumer key of the one app that `where` names, for an org if one is named; and
    the source that has a secret already, and comes first.

    Raises `EcapipeError`: as `discovery.discover` and `selection.select`, SettingsDuplicated, ConsumerKeyMissing.
    """
    found = discovery.discover(where, world)
    org = next(iter(selection.select(which, found.projects)), None) if which.names else None
    if len(found.apps) > 1:
        roots = [app.project for app in found.apps]
        raise EcapipeError(app_in_several_projects(found.apps[0].name, roots))
    (app,) = found.apps
    discovery.refuse_rivals(app)
    chain = sources.chain(found.apps, (org,) if org else (), world.variable, None)
    resolved = resolution.resolve(app, org, chain, spared=True)
    if isinstance(resolved.outcome, Problem):
        raise EcapipeError(resolved.outcome)
    key, at = resolved.outcome.consumer_key, world.clock.utc()
    return SecretOwner(app.name, org.name if org else None, key, place, at), resolved.secret.source


def save_secret(owner: SecretOwner, value: Secret, world: StoreAccess) -> None:
    """Keep the consumer secret of an app; raises `EcapipeError` (SecretUnusable, and as the store)."""
    if reason := placeholders.unfit(value, owner.consumer_key):
        raise EcapipeError(secret_unusable(owner.app, reason))
    with world.store.locked("secret", owner.id):
        world.store.put(records.owner_record(owner), SavedSecrets(consumer_secret=value))


def forget_secrets(
    app: str, org: str | None, every: bool, world: StoreAccess, consumer_key: str | None = None
) -> tuple[SecretOwner, ...]:
    """Forget the consumer secret of an app, or with `every` all that go by its name; with a `consumer_key`, only one
    that is kept for it.

    Raises `EcapipeError` (SecretNotKept, SecretsAmbiguous).
    """
    known, damaged = owners(world)
    found = [
        owner
        for owner in known
        if owner.app == app and org in (None, owner.org) and consumer_key in (None, owner.consumer_key)
    ]
    if not found and damaged:
        raise EcapipeError(damaged[0])
    if not found:
        name = f"{app}@{org}" if org else app
        meant = did_you_mean(app, [owner.app for owner in known if owner.app != app])
        raise EcapipeError(secret_not_kept(name, [owner.full_name for owner in known], meant))
    if len(found) > 1 and not every:
        raise EcapipeError(secrets_ambiguous(app, [owner.full_name for owner in found]))
    for owner in found:
        with world.store.locked("secret", owner.id):
            world.store.remove(records.owner_record(owner))
    return tuple(found)
