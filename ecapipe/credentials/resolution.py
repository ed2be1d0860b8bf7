"""Key and secret proved present, and from where, or why they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.credentials.sources import (
    FILE,
    KEYRING,
    REST,
    Chain,
    Field,
    HasSavedSecret,
    InFile,
    SourceName,
    first_value,
    in_file,
    named_variable,
    replaced_value,
    variable,
    without_prompts,
)
from ecapipe.orgs.org import Org
from ecapipe.problems.credentials import consumer_key_missing, consumer_secret_missing
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.apps import App
from ecapipe.secret import Secret, mask

SWITCH: Final = "Allow access to External Client App consumer secrets via Metadata API"

PERMISSION: Final = "View External Client Apps Consumer Secrets in Metadata"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The proof that `app` can identify itself to an org. Only `resolve` makes one.

    `consumer_secret` is None only for a public client, or where a private key proves more.
    """

    app: App
    consumer_key: str
    consumer_secret: Secret | None

    def __repr__(self) -> str:
        return f"Credentials({self.app.name!r}, {mask(self.consumer_key)!r})"


@dataclass(frozen=True, slots=True)
class CredentialState:
    """What is known of a key or secret, never the value. `source` is None when no source has a usable one."""

    in_file: InFile
    source: SourceName | None
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the chain gave for one app (and org): the evidence, and either credentials or why there are none."""

    key: CredentialState
    secret: CredentialState
    outcome: Credentials | Problem
    warning: str | None = None

    @property
    def problem(self) -> Problem | None:
        return self.outcome if isinstance(self.outcome, Problem) else None


def resolve(
    app: App, org: Org | None, chain: Chain, held: HasSavedSecret | None = None, *, spared: bool = False
) -> Resolution:
    """Walk the chain for key and secret of `app`; `spared`: the flow to come needs no secret, though others may.

    `held`: a secret that no source gives, but that is kept for the key, counts as found; it is known to be there, and
    nobody looked at it, so that there are no credentials. A source that cannot be read is a problem of this app in
    this org alone.
    """
    required = not app.secret_optional and not spared
    # Nobody is asked for a secret that no flow needs.
    wanted = chain if required else without_prompts(chain)
    key = key_source = None
    try:
        key, key_source = first_value(chain, app, org, "consumerKey")
        secret, secret_source = first_value(wanted, app, org, "consumerSecret")
    except EcapipeError as error:
        causes = (error.problem.message,)
        key_evidence = CredentialState(in_file(app, "consumerKey"), key_source, () if key else causes)
        return Resolution(key_evidence, CredentialState(in_file(app, "consumerSecret"), None, causes), error.problem)
    if key and secret is None and required and held and held(key.reveal()):
        secret_source = KEYRING
    # What came from the file is present in it.
    key_in_file = "present" if key_source == FILE else in_file(app, "consumerKey")
    secret_in_file = "present" if secret_source == FILE else in_file(app, "consumerSecret")
    key_evidence = CredentialState(key_in_file, key_source, () if key else _key_causes(app))
    secret_evidence = CredentialState(
        secret_in_file,
        secret_source,
        () if secret_source or app.secret_optional else _secret_causes(app),
    )
    if key is None:
        return Resolution(key_evidence, secret_evidence, _no_key(app, key_evidence.causes))
    if secret is None and required:
        named = next((name for source in chain if (name := named_variable(source, org))), None)
        if named:
            secret_evidence = replace(secret_evidence, causes=(f"{named}, which secretEnv names, is not set.",))
        return Resolution(key_evidence, secret_evidence, _no_secret(app, secret_evidence.causes, named))
    mixed = (
        f"The consumer key comes from {key_source}, the consumer secret from {secret_source}: make sure they belong "
        "together."
        if secret is not None and secret_source not in (key_source, KEYRING, REST)
        else None
    )
    notices = [source.notice(app, org) for source in wanted if source.name == secret_source]
    warning = " ".join(sentence for sentence in (mixed, *notices) if sentence) or None
    return Resolution(key_evidence, secret_evidence, Credentials(app, key.reveal(), secret), warning)


def consumer_key(app: App, org: Org | None, chain: Chain) -> str | None:
    """The key alone, which is no secret."""
    key, _ = first_value(chain, app, org, "consumerKey")
    return key.reveal() if key else None


def line(app: App, field: Field) -> int | None:
    """Where `field` stands in the settings file."""
    element = app.settings.document.first(field) if app.settings else None
    return element.line if element else None


def flows_without_secret(app: App) -> tuple[str, ...]:
    """The flows the file allows that need no secret."""
    web = ("web",) if app.secret_optional and app.allows("web") else ()
    return (*web, "jwt") if app.allows("jwt") else web


def _key_causes(app: App) -> tuple[str, ...]:
    match in_file(app, "consumerKey"):
        case "placeholder":
            return (_placeholder(app, "consumerKey"),)
        case "duplicate":
            return ("The file holds more than one consumerKey, so none is used.",)
        case _:
            return ("Salesforce makes the key at the first deploy; it is in the file only after the next retrieve.",)


def _secret_causes(app: App) -> tuple[str, ...]:
    match in_file(app, "consumerSecret"):
        case "placeholder":
            return (_placeholder(app, "consumerSecret"),)
        case "duplicate":
            return ("The file holds more than one consumerSecret, so none is used.",)
        case "present":
            return ("The file holds the consumerSecret, but --secret-from leaves the file out.",)
        case "absent":
            return (
                f'The org switch "{SWITCH}" may be off: Salesforce recommends that, and deprecates the switch.',
                f'The user who retrieved may lack the permission "{PERMISSION}".',
                "It may have been removed from the file, as Salesforce advises for source control.",
            )


def _placeholder(app: App, field: Field) -> str:
    replaced = replaced_value(app, field)
    if replaced is None:
        return f"The file holds a placeholder instead of the {field}."
    if replaced.lacking:
        origins = ", ".join(replaced.lacking)
        why = "from which no credential is read" if replaced.reserved else "which has no value"
        return f"The file holds a placeholder for {origins} (replacements of sfdx-project.json), {why}."
    return f"The replacements of sfdx-project.json leave the {field} empty, or a placeholder."


def _no_key(app: App, causes: Sequence[str]) -> Problem:
    file = app.settings.path if app.settings else None
    name = variable("consumerKey", app.name)
    return consumer_key_missing(app.name, name, causes, file, line(app, "consumerKey"))


def _no_secret(app: App, causes: Sequence[str], named: str | None) -> Problem:
    file = app.settings.path if app.settings else None
    name = named or variable("consumerSecret", app.name)
    return consumer_secret_missing(
        app.name, name, causes, app.flows, flows_without_secret(app), file, line(app, "consumerSecret")
    )
