"""Key and secret proved present, and from where, or why they are not."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Literal, Protocol

from ecapipe import problems
from ecapipe.apps import App, Replaced
from ecapipe.orgs import Org
from ecapipe.problems import EcapipeError, Problem
from ecapipe.secret import Secret, mask

Field = Literal["consumerKey", "consumerSecret"]
InFile = Literal["present", "absent", "placeholder", "duplicate"]
SourceName = Literal["environment", "replacement", "file", "keyring", "rest", "prompt"]
SOURCES: Final[tuple[SourceName, ...]] = ("environment", "replacement", "file", "keyring", "rest", "prompt")
FILE: Final = "file"
KEYRING: Final[SourceName] = "keyring"
REST: Final[SourceName] = "rest"
USUAL_SOURCES: Final = tuple(source for source in SOURCES if source != REST)
"""Those that nobody has to name."""
Kept = Callable[[str], Secret | None]
"""The consumer secret that is kept for a consumer key."""
Held = Callable[[str], bool]
"""Whether one is kept, without a look at it."""

SWITCH: Final = "Allow access to External Client App consumer secrets via Metadata API"
PERMISSION: Final = "View External Client Apps Consumer Secrets in Metadata"

_PLACEHOLDER: Final = re.compile(
    r"\s"  # a sentence
    r"|^[\W_]*$"  # ***, ----, ...
    r"|\{\{|\$\{|^\$[\w(]|^\{.*\}$|^<.*>$|@@|^%\w+%$|^__\w+__$"  # {{X}}, ${X}, $X, {env.X}, <key>, @@X@@, %X%, __X__
    r"|\[REDACTED"
    r"|^(x+|auto_?generated|change[_-]?me|replace[_-]?me|redacted|placeholder|dummy|todo|tbd|none|null|n/?a|secret)$"
    r"|(^|[^a-z])(your|replace|insert|enter|paste|placeholder|redacted|scrubbed)([^a-z]|$)",
    re.IGNORECASE,
)
_GENERATED: Final = re.compile(r"3MVG9[A-Za-z0-9._]{80}|[0-9A-F]{64}")
"""A key and a secret as Salesforce makes them."""


class Client(Protocol):
    """How an app identifies itself to an org: its key, and its secret if that is sent."""

    @property
    def consumer_key(self) -> str: ...

    @property
    def consumer_secret(self) -> Secret | None: ...


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
class Disclosed:
    """Key and secret of a consumer as its org tells them; `notice` is a sentence about what is to come."""

    key: str
    secret: Secret
    notice: str | None = None


Disclose = Callable[[App, Org | None, str | None], Disclosed]
"""Ask the org that has the consumer of an app, by its key if that is known. Raises `EcapipeError`."""


@dataclass(frozen=True, slots=True)
class Source:
    """One link of the chain. `find` gives the value of a field of an app for an org, or None."""

    name: SourceName
    find: Callable[[App, Org | None, Field], Secret | None]
    secrets: bool = True
    """Whether consumer secrets may come from it."""
    notice: Callable[[App, Org | None], str | None] = lambda app, org: None
    """A sentence about the secret that it gave."""


Chain = tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a key or secret, never the value. `source` is None when no source has a usable one."""

    in_file: InFile
    source: SourceName | None
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the chain gave for one app (and org): the evidence, and either credentials or why there are none."""

    key: Evidence
    secret: Evidence
    outcome: Credentials | Problem
    warning: str | None = None

    @property
    def problem(self) -> Problem | None:
        return self.outcome if isinstance(self.outcome, Problem) else None


def in_file(app: App, field: Field) -> InFile:
    """What the settings file holds for `field`."""
    settings = app.settings
    elements = settings.document.all(field) if settings else ()
    if len(elements) > 1:
        return "duplicate"
    if settings is None or not elements or (text := elements[0].text) is None:
        return "absent"
    return "placeholder" if field in settings.replaced or is_placeholder(text) else "present"


def is_placeholder(text: str) -> bool:
    """Whether `text` only stands where a credential belongs. A key may have any shape; Salesforce's own is proof."""
    return _GENERATED.fullmatch(text) is None and _PLACEHOLDER.search(text) is not None


def unfit(secret: Secret, consumer_key: str) -> str | None:
    """Why what was given as the consumer secret of that key cannot be one."""
    text = secret.reveal()
    if not text.isprintable() or not text.isascii():
        return "it is not plain text on one line"
    if is_placeholder(text):
        return "it only stands in the place of a secret"
    return "it is the consumer key" if text == consumer_key else None


def from_file() -> Source:
    """The settings file itself; a placeholder or a duplicate counts as absent."""

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        settings = app.settings
        text = settings.document.text(field) if settings else None
        return Secret(text) if text and in_file(app, field) == "present" else None

    return Source(FILE, find)


def from_replacements() -> Source:
    """What the project's replacements make of the settings file."""

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        replaced = _replaced(app, field)
        if replaced is None or replaced.value is None or in_file(app, field) == "duplicate":
            return None
        return None if is_placeholder(replaced.value.reveal()) else replaced.value

    return Source("replacement", find)


def from_environment(value: Callable[[str], Secret | None], apps: Sequence[str], orgs: Sequence[Org]) -> Source:
    """Variables ``ECAPIPE_CLIENT_ID_<APP>_<ORG>``, ``…_<APP>`` and, for a single app, ``ECAPIPE_CLIENT_ID``; the
    same with SECRET. An org that names its variable for the secret has that one alone.

    `value` reads one variable. Raises `EcapipeError` (AmbiguousVariable) when a variable that is set could be
    meant for two of the given apps or orgs.
    """
    owners: dict[str, str] = {}
    for app in apps:
        for org in (None, *orgs):
            subject = f"{app}@{org.name}" if org else app
            for field in ("consumerKey", "consumerSecret"):
                if org and org.secret_env and field == "consumerSecret":
                    continue
                name = variable(field, app, org)
                owner = owners.setdefault(name, subject)
                if owner != subject and value(name) is not None:
                    raise EcapipeError(problems.ambiguous_variable(name, owner, subject))

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        names = [variable(field, app.name, org)] if org else []
        names.append(variable(field, app.name))
        if len(apps) == 1:
            names.append(variable(field))
        if org and org.secret_env and field == "consumerSecret":
            names = [org.secret_env]
        for name in names:
            secret = value(name)
            if secret and not is_placeholder(secret.reveal()):
                return secret
        return None

    return Source("environment", find)


def from_keyring(kept: Kept, earlier: Chain) -> Source:
    """The secret that was kept for the very key that `earlier` sources give: a pair that belongs together."""

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        key = _first(earlier, app, org, "consumerKey")[0] if field == "consumerSecret" else None
        return kept(key.reveal()) if key else None

    return Source(KEYRING, find)


def from_rest(disclose: Disclose, earlier: Chain) -> Source:
    """The org's credentials REST API; the secret is that of the key that `earlier` sources give, if they do."""

    def told(app: App, org: Org | None) -> Disclosed:
        key, _ = _first(earlier, app, org, "consumerKey")
        return disclose(app, org, key.reveal() if key else None)

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        found = told(app, org)
        return Secret(found.key) if field == "consumerKey" else found.secret

    return Source(REST, find, notice=lambda app, org: told(app, org).notice)


def from_prompt(ask: Callable[[str], Secret | None]) -> Source:
    """A question on the terminal, asked once per app and field."""
    answers: dict[tuple[str, str, Field], Secret | None] = {}

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        asked = (app.project, app.name, field)
        if asked not in answers:
            of = f"{app.name} in {org.name}" if org and org.source_dir else app.name
            answers[asked] = ask(f"{'Consumer key' if field == 'consumerKey' else 'Consumer secret'} of {of}: ")
        return answers[asked]

    return Source("prompt", find)


def variable(field: Field, app: str | None = None, org: Org | None = None) -> str:
    """The environment variable for `field`: upper case, every other character ``_``."""
    parts = ["ECAPIPE_CLIENT", "ID" if field == "consumerKey" else "SECRET"]
    parts += [_in_capitals(name) for name in (app, org.variable_name if org else None) if name]
    return "_".join(parts)


@cache
def _in_capitals(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def chain(
    apps: Sequence[App],
    orgs: Sequence[Org],
    value: Callable[[str], Secret | None],
    ask: Callable[[str], Secret | None] | None,
    secret_from: Collection[str] = SOURCES,
    disclose: Disclose | None = None,
    kept: Kept | None = None,
) -> Chain:
    """Where key and secret may come from, in order; secrets only from sources named in `secret_from`.

    Nobody is asked when `ask` is None, no keyring when `kept` is, and no org when `disclose` is, or is not named.
    """
    sources = [
        from_environment(value, list(dict.fromkeys(app.name for app in apps)), orgs),
        from_replacements(),
        from_file(),
    ]
    if kept is not None:
        sources.append(from_keyring(kept, tuple(sources)))
    if disclose is not None and REST in secret_from:
        sources.append(from_rest(disclose, tuple(sources)))
    if ask is not None:
        sources.append(from_prompt(ask))
    return tuple(source if source.name in secret_from else _keys_only(source) for source in sources)


def _keys_only(source: Source) -> Source:
    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        return source.find(app, org, field) if field == "consumerKey" else None

    return Source(source.name, find, secrets=False)


def resolve(app: App, org: Org | None, chain: Chain, held: Held | None = None, *, spared: bool = False) -> Resolved:
    """Walk the chain for key and secret of `app`; `spared`: the flow to come needs no secret, though others may.

    `held`: a secret that no source gives, but that is kept for the key, counts as found; it is known to be there, and
    nobody looked at it, so that there are no credentials. A source that cannot be read is a problem of this app in
    this org alone.
    """
    required = not app.secret_optional and not spared
    # Nobody is asked for a secret that no flow needs.
    wanted = chain if required else quiet(chain)
    key = key_source = None
    try:
        key, key_source = _first(chain, app, org, "consumerKey")
        secret, secret_source = _first(wanted, app, org, "consumerSecret")
    except EcapipeError as error:
        causes = (error.problem.message,)
        key_evidence = Evidence(in_file(app, "consumerKey"), key_source, () if key else causes)
        return Resolved(key_evidence, Evidence(in_file(app, "consumerSecret"), None, causes), error.problem)
    if key and secret is None and required and held and held(key.reveal()):
        secret_source = KEYRING
    # What came from the file is present in it.
    key_in_file = "present" if key_source == FILE else in_file(app, "consumerKey")
    secret_in_file = "present" if secret_source == FILE else in_file(app, "consumerSecret")
    key_evidence = Evidence(key_in_file, key_source, () if key else _key_causes(app))
    secret_evidence = Evidence(
        secret_in_file,
        secret_source,
        () if secret_source or app.secret_optional else _secret_causes(app),
    )
    if key is None:
        return Resolved(key_evidence, secret_evidence, _no_key(app, key_evidence.causes))
    if secret is None and required:
        named = next((name for source in chain if (name := _named_variable(source, org))), None)
        if named:
            secret_evidence = replace(secret_evidence, causes=(f"{named}, which secretEnv names, is not set.",))
        return Resolved(key_evidence, secret_evidence, _no_secret(app, secret_evidence.causes, named))
    mixed = (
        f"The consumer key comes from {key_source}, the consumer secret from {secret_source}: make sure they belong "
        "together."
        if secret is not None and secret_source not in (key_source, KEYRING, REST)
        else None
    )
    notices = [source.notice(app, org) for source in wanted if source.name == secret_source]
    warning = " ".join(sentence for sentence in (mixed, *notices) if sentence) or None
    return Resolved(key_evidence, secret_evidence, Credentials(app, key.reveal(), secret), warning)


def consumer_key(app: App, org: Org | None, chain: Chain) -> str | None:
    """The key alone, which is no secret."""
    key, _ = _first(chain, app, org, "consumerKey")
    return key.reveal() if key else None


def quiet(chain: Chain) -> Chain:
    """The chain without its questions, to people, to orgs or to a keyring, which may ask people."""
    return tuple(source for source in chain if source.name not in (KEYRING, REST, "prompt"))


def line(app: App, field: Field) -> int | None:
    """Where `field` stands in the settings file."""
    element = app.settings.document.first(field) if app.settings else None
    return element.line if element else None


def flows_without_secret(app: App) -> tuple[str, ...]:
    """The flows the file allows that need no secret."""
    web = ("web",) if app.secret_optional and app.allows("web") else ()
    return (*web, "jwt") if app.allows("jwt") else web


def _first(chain: Chain, app: App, org: Org | None, field: Field) -> tuple[Secret | None, SourceName | None]:
    for source in chain:
        value = source.find(app, org, field)
        if value is not None:
            return value, source.name
        if field == "consumerSecret" and _named_variable(source, org):
            break  # no other secret is meant than that of the variable
    return None, None


def _named_variable(source: Source, org: Org | None) -> str | None:
    """The variable that `org` names for its secret, if `source` is the environment and may give secrets."""
    return org.secret_env if org and source.secrets and source.name == "environment" else None


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


def _replaced(app: App, field: Field) -> Replaced | None:
    settings = app.settings
    return settings.replaced.get(field) if settings else None


def _placeholder(app: App, field: Field) -> str:
    replaced = _replaced(app, field)
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
    return problems.consumer_key_missing(app.name, name, causes, file, line(app, "consumerKey"))


def _no_secret(app: App, causes: Sequence[str], named: str | None) -> Problem:
    file = app.settings.path if app.settings else None
    name = named or variable("consumerSecret", app.name)
    return problems.consumer_secret_missing(
        app.name, name, causes, app.flows, flows_without_secret(app), file, line(app, "consumerSecret")
    )
