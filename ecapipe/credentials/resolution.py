"""Resolution of credentials: key and secret proved present, with their sources, or why they are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ecapipe.credentials import sources
from ecapipe.credentials.placeholders import is_consumer_key
from ecapipe.credentials.sources import (
    FILE,
    REPLACEMENT,
    UNKNOWN_ORIGIN,
    Chain,
    Field,
    InFile,
    PairOrigin,
    Search,
    Source,
    SourceName,
    SourceValue,
    first_value,
    in_file,
    named_variable,
    replaced_value,
    variable_for,
    without_questions,
)
from ecapipe.orgs.org import Org
from ecapipe.problems.credentials import (
    consumer_key_missing,
    consumer_key_withheld,
    consumer_secret_missing,
    variables_withheld,
)
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.apps import App
from ecapipe.secret import Secret, mask

SWITCH: Final = "Allow access to External Client App consumer secrets via Metadata API"

NO_FILE: Final = "The app has no global OAuth settings file here."
"""Why a key or secret is missing where nobody meant to supply it another way."""

PERMISSION: Final = "View External Client Apps Consumer Secrets in Metadata"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The proof that `app` can identify itself to an org. Only `resolve` makes one, and a rotation
    for the pair that an org has staged for it.

    `consumer_secret` is None only for a public client, or where a private key proves more.
    """

    app: App
    consumer_key: str
    consumer_secret: Secret | None
    origin: PairOrigin = UNKNOWN_ORIGIN

    def __repr__(self) -> str:
        return f"Credentials({self.app.name!r}, {mask(self.consumer_key)!r})"


@dataclass(frozen=True, slots=True)
class AllowedFlows:
    """The flows that an app's files allow, by name, those that need no secret, and sentences on how to use these."""

    names: tuple[str, ...]
    without_secret: tuple[str, ...]
    advice: tuple[str, ...]


FlowsOf = Callable[[App], AllowedFlows]
"""What `oauth.flows.registry` knows of an app; it is asked only where the secret is missing."""


@dataclass(frozen=True, slots=True)
class CredentialState:
    """What is known of a key or secret, never the value. `origin` is None when no source has a usable one; else the
    `causes` are why others before it have none."""

    in_file: InFile
    origin: Source[Any] | None
    causes: tuple[str, ...] = ()

    @property
    def source(self) -> SourceName | None:
        """The name of the origin."""
        return self.origin.name if self.origin else None


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the chain gave for one app (and org): the state of key and secret, and credentials or why there are none.

    `warning` is for people who use the credentials. `replaced_by` are the variables that the project's replacements
    read them from, `read_from` is the host of the org that gave the secret.
    """

    key: CredentialState
    secret: CredentialState
    outcome: Credentials | Problem
    warning: str | None = None
    replaced_by: tuple[str, ...] = ()
    read_from: str | None = None

    @property
    def faults(self) -> tuple[str, ...]:
        """Sentences on what is no key or secret, where another source gave it."""
        return tuple([cause for state in (self.key, self.secret) if state.origin for cause in state.causes])

    @property
    def problem(self) -> Problem | None:
        """Why there are no credentials."""
        return self.outcome if isinstance(self.outcome, Problem) else None


def resolve(
    app: App, org: Org | None, chain: Chain, flows_of: FlowsOf, *, needs_no_secret: bool = False
) -> Resolution:
    """Walk the chain for key and secret of `app`; `needs_no_secret`: the flow to come needs none, though others may.

    A secret that no source gives, but that one holds for the key, counts as present; nobody has read it, so that
    there are no credentials. A source that cannot be read is a problem of this app in this org alone.
    """
    required = not app.secret_optional and not needs_no_secret
    secret_chain = chain
    if not required:
        # Nobody is asked for a secret that no flow needs.
        secret_chain = without_questions(chain)
    key_search, secret_search = Search(None), Search(None)
    try:
        key_search = first_value(chain, app, org, "consumerKey")
        secret_search = first_value(secret_chain, app, org, "consumerSecret")
    except EcapipeError as error:
        return _unreadable(app, key_search, error.problem)
    key, secret = key_search.result, secret_search.result
    key_state, secret_state = _key_state(app, key_search), _secret_state(app, secret_search)
    if key is None:
        return Resolution(key_state, secret_state, _no_key(app, org, key_state.causes))
    if secret is None and required:
        holder = next((link.source for link in chain if link.holds(key.value.reveal())), None)
        return _missing_secret(app, org, chain, key_state, secret_search, flows_of(app), holder=holder)
    outcome: Credentials | Problem = Credentials(
        app, key.value.reveal(), secret.value if secret else None, _origin(key, secret)
    )
    replaced_by = _replaced_by(app, key, secret)
    if taken := (*replaced_by, *_own_variable(org, secret)):
        # What the project chose from the environment must not go to a place that the project alone chose, too.
        outcome = (
            outcome if org is None or org.address.takes_variables else variables_withheld(app.name, org.host, taken)
        )
    return Resolution(
        key_state,
        secret_state,
        outcome,
        _warning(app, org, (key_state, secret_state), secret),
        replaced_by=replaced_by,
        read_from=secret.link.lookup.place(app, org) if secret else None,
    )


def _origin(key: SourceValue, secret: SourceValue | None) -> PairOrigin:
    return PairOrigin(
        _within_sentence(key.place),
        _within_sentence(secret.place) if secret else None,
        secret.link.source.renewal if secret else None,
    )


def _within_sentence(place: str) -> str:
    return f"the {place[4:]}" if place.startswith("The ") else place


def _replaced_by(app: App, key: SourceValue, secret: SourceValue | None) -> tuple[str, ...]:
    """The variables that key and secret come from by replacements of the project."""
    values: tuple[tuple[Field, SourceValue | None], ...] = (("consumerKey", key), ("consumerSecret", secret))
    replaced = [replaced_value(app, field) for field, value in values if value and value.link.source is REPLACEMENT]
    return tuple(dict.fromkeys(name for each in replaced if each for name in each.variables))


def _own_variable(org: Org | None, secret: SourceValue | None) -> tuple[str, ...]:
    """The variable that `org` names for its secret, if that is where it comes from."""
    name = named_variable(secret.link, org) if secret else None
    return (name,) if name else ()


def _unreadable(app: App, key: Search, problem: Problem) -> Resolution:
    """What there is when a source could not be read, before or after one gave the `key`."""
    causes = (problem.message,)
    key_state = CredentialState(in_file(app, "consumerKey"), None, causes)
    if key.result:
        key_state = _key_state(app, key)
    return Resolution(key_state, CredentialState(in_file(app, "consumerSecret"), None, causes), problem)


def _missing_secret(
    app: App,
    org: Org | None,
    chain: Chain,
    key_state: CredentialState,
    search: Search,
    flows: AllowedFlows,
    *,
    holder: Source[Any] | None,
) -> Resolution:
    """What there is without the secret; `holder` has it, and was not read."""
    state = _secret_state(app, search)
    if holder:
        state = replace(state, origin=holder, causes=search.faults)
    own_variable = next((name for link in chain if (name := named_variable(link, org))), None)
    if own_variable:
        # No other source was asked, so that nothing else is the cause.
        unset = (f"The variable {own_variable}, specified as secretEnv, is not set.",)
        state = replace(state, causes=search.faults or unset)
    sources = ["environment"] if own_variable else _restricted_sources(chain)
    return Resolution(key_state, state, _no_secret(app, org, state.causes, flows, sources))


def _restricted_sources(chain: Chain) -> list[str] | None:
    """The only sources that a secret may come from, if ``--secret-from`` names them."""
    if all(link.secrets for link in chain):
        return None
    return [link.source.name for link in chain if link.secrets]


def _warning(
    app: App, org: Org | None, states: tuple[CredentialState, CredentialState], secret: SourceValue | None
) -> str | None:
    """What is doubtful about a pair, and what the source of the secret has to say."""
    key_state, secret_state = states
    sentences = [cause for state in states if state.origin for cause in state.causes]
    if mixed(key_state, secret_state):
        sentences.append(
            f"The consumer key comes from {key_state.source}, the consumer secret from {secret_state.source}: make "
            "sure that they match."
        )
    if secret and (notice := secret.link.lookup.notice(app, org)):
        sentences.append(notice)
    return " ".join(sentences) or None


def mixed(key: CredentialState, secret: CredentialState) -> bool:
    """Whether the secret in the settings file may belong to another key than the one from elsewhere. The other way
    round, a key from the file and a secret that is kept out of it are what Salesforce advises."""
    return secret.origin is FILE and key.origin not in (None, FILE)


def _key_state(app: App, key: Search) -> CredentialState:
    if key.result is None:
        return CredentialState(in_file(app, "consumerKey"), None, (*key.faults, *_key_causes(app, key.faults)))
    return _state_of(app, "consumerKey", key.result, key.faults)


def _secret_state(app: App, secret: Search) -> CredentialState:
    if secret.result is not None:
        return _state_of(app, "consumerSecret", secret.result, secret.faults)
    causes = secret.faults
    if not app.secret_optional:
        causes += _secret_causes(app, causes)
    return CredentialState(in_file(app, "consumerSecret"), None, causes)


def _state_of(app: App, field: Field, value: SourceValue, faults: tuple[str, ...]) -> CredentialState:
    # What came from the file is present in it; a second look would cost time for each app and org.
    if value.link.source is FILE:
        return CredentialState("present", FILE, faults)
    return CredentialState(in_file(app, field), value.link.source, faults)


def consumer_key(app: App, org: Org | None, chain: Chain) -> str | None:
    """The key alone, which is no secret."""
    return sources.consumer_key(chain, app, org)


def require_presentable_key(resolution: Resolution, credentials: Credentials) -> None:
    """Raises `EcapipeError` (ConsumerKeyWithheld) for a key that must not be shown, as every login with a URL shows
    it, or written into a record: what the project took from the environment or a file may be a secret of the user's,
    and what the project put around it gives that the form of a key."""
    app = credentials.app
    replaced = replaced_value(app, "consumerKey")
    if resolution.key.origin is not REPLACEMENT or (
        replaced and replaced.whole and is_consumer_key(credentials.consumer_key)
    ):
        return
    origins = replaced.origins if replaced else ()
    raise EcapipeError(consumer_key_withheld(app.name, variable_for(app, None, "consumerKey"), origins))


def line(app: App, field: Field) -> int | None:
    """The line of `field` in the settings file."""
    if app.settings is None:
        return None
    element = app.settings.document.first(field)
    return element.line if element else None


def _key_causes(app: App, faults: Sequence[str]) -> tuple[str, ...]:
    """Why there is no key, as far as the file tells; where somebody meant to supply it, `faults` tell why it is not
    the file that matters."""
    match in_file(app, "consumerKey"):
        case "placeholder":
            return (_placeholder(app, "consumerKey"),)
        case "duplicate":
            return ("The file contains more than one consumerKey, so none is used.",)
        case _ if faults:
            return ()
        case _ if app.settings is None:
            return (NO_FILE,)
        case _:
            then = (
                "The retrieve did not return it."
                if app.retrieved
                else "It is in the file only after the next retrieve."
            )
            return (f"Salesforce creates it at the first deploy. {then}",)


def _secret_causes(app: App, faults: Sequence[str]) -> tuple[str, ...]:
    """Why there is no secret, as far as the file tells; `faults` as in `_key_causes`."""
    match in_file(app, "consumerSecret"):
        case "placeholder":
            return (_placeholder(app, "consumerSecret"),)
        case "duplicate":
            return ("The file contains more than one consumerSecret, so none is used.",)
        case "present":
            return ("The file contains the consumerSecret, but --secret-from excludes the file.",)
        case "absent" if faults:
            return ()
        case "absent" if app.settings is None:
            return (NO_FILE,)
        case "absent":
            causes = (
                f'The org setting "{SWITCH}" may be off, as Salesforce recommends; the setting is deprecated.',
                f'The user who retrieved the file may lack the permission "{PERMISSION}".',
            )
            if app.retrieved:
                return causes
            return (*causes, "Or the secret was removed from the file, as Salesforce recommends for source control.")


def _placeholder(app: App, field: Field) -> str:
    replaced = replaced_value(app, field)
    if replaced is None:
        return f"The file contains a placeholder instead of the {field}."
    if replaced.unfinished:
        return (
            f"The {field} is unknown: a regexToReplace of sfdx-project.json, for "
            f"{', '.join(replaced.missing_origins)}, took too long."
        )
    if replaced.missing_origins:
        origins = ", ".join(replaced.missing_origins)
        reason = "which has no value"
        # The variables of programs, such as PATH, are no place for a secret: children are given them.
        if replaced.reserved:
            reason = "which is never read for a credential"
        return f"The file contains a placeholder for {origins} (replacements of sfdx-project.json), {reason}."
    if replaced.ignored:
        return f"The {field} comes from a replacement of sfdx-project.json, which --no-project-config ignores."
    origins = ", ".join(replaced.origins)
    return f"{origins}, which a replacement of sfdx-project.json uses for the {field}, is empty or a placeholder."


def _no_key(app: App, org: Org | None, causes: Sequence[str]) -> Problem:
    name = variable_for(app, org, "consumerKey")
    alias = org.alias if org else None
    return consumer_key_missing(app.name, name, causes, alias, _settings_path(app), line(app, "consumerKey"))


def _no_secret(
    app: App, org: Org | None, causes: Sequence[str], flows: AllowedFlows, sources: Sequence[str] | None
) -> Problem:
    return consumer_secret_missing(
        app.name,
        variable_for(app, org, "consumerSecret"),
        causes,
        flows.names,
        flows.without_secret,
        flows.advice,
        sources,
        org.alias if org else None,
        file=_settings_path(app),
        line=line(app, "consumerSecret"),
    )


def _settings_path(app: App) -> str | None:
    if app.settings is None:
        return None
    return app.settings.path
