"""Where key and secret may come from: one source after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, Protocol

from ecapipe.credentials.placeholders import is_placeholder
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import ambiguous_variable
from ecapipe.project.apps import App, Replaced
from ecapipe.secret import Secret

Field = Literal["consumerKey", "consumerSecret"]

InFile = Literal["present", "absent", "placeholder", "duplicate"]

SourceName = Literal["environment", "replacement", "file", "keyring", "rest", "prompt"]

SOURCES: Final[tuple[SourceName, ...]] = ("environment", "replacement", "file", "keyring", "rest", "prompt")

FILE: Final = "file"

KEYRING: Final[SourceName] = "keyring"

REST: Final[SourceName] = "rest"

USUAL_SOURCES: Final = tuple(source for source in SOURCES if source != REST)
"""Those that nobody has to name."""

FindSavedSecret = Callable[[str], Secret | None]
"""The consumer secret that is kept for a consumer key."""

HasSavedSecret = Callable[[str], bool]
"""Whether one is kept, without a look at it."""


class ClientIdentity(Protocol):
    """How an app identifies itself to an org: its key, and its secret if that is sent."""

    @property
    def consumer_key(self) -> str: ...

    @property
    def consumer_secret(self) -> Secret | None: ...


@dataclass(frozen=True, slots=True)
class FetchedPair:
    """Key and secret of a consumer as its org tells them; `notice` is a sentence about what is to come."""

    key: str
    secret: Secret
    notice: str | None = None


FetchPair = Callable[[App, Org | None, str | None], FetchedPair]
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


def in_file(app: App, field: Field) -> InFile:
    """What the settings file holds for `field`."""
    settings = app.settings
    elements = settings.document.all(field) if settings else ()
    if len(elements) > 1:
        return "duplicate"
    if settings is None or not elements or (text := elements[0].text) is None:
        return "absent"
    return "placeholder" if field in settings.replaced or is_placeholder(text) else "present"


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
        replaced = replaced_value(app, field)
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
                    raise EcapipeError(ambiguous_variable(name, owner, subject))

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


def from_keyring(kept: FindSavedSecret, earlier: Chain) -> Source:
    """The secret that was kept for the very key that `takeover` sources give: a pair that belongs together."""

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        key = first_value(earlier, app, org, "consumerKey")[0] if field == "consumerSecret" else None
        return kept(key.reveal()) if key else None

    return Source(KEYRING, find)


def from_rest(disclose: FetchPair, earlier: Chain) -> Source:
    """The org's credentials REST API; the secret is that of the key that `takeover` sources give, if they do."""

    def told(app: App, org: Org | None) -> FetchedPair:
        key, _ = first_value(earlier, app, org, "consumerKey")
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
    disclose: FetchPair | None = None,
    kept: FindSavedSecret | None = None,
) -> Chain:
    """Where key and secret may come from, in order; secrets only from sources named in `secret_from`.

    Nobody is asked when `ask` is None, no keyring when `records` is, and no org when `disclose` is, or is not named.
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


def variables(app: str, orgs: Sequence[Org] = ()) -> tuple[str, str]:
    """The variables for the key and the secret of `app`, the latter as all of `orgs` name it, if they do."""
    named = {org.secret_env for org in orgs}
    secret = named.pop() if len(named) == 1 else None
    return variable("consumerKey", app), secret or variable("consumerSecret", app)


def unprompted(chain: Chain) -> Chain:
    """The chain without its questions to people at this terminal."""
    return tuple(source for source in chain if source.name != "prompt")


def without_prompts(chain: Chain) -> Chain:
    """The chain without its questions, to people, to orgs or to a keyring, which may ask people."""
    return tuple(source for source in chain if source.name not in (KEYRING, REST, "prompt"))


def first_value(chain: Chain, app: App, org: Org | None, field: Field) -> tuple[Secret | None, SourceName | None]:
    for source in chain:
        value = source.find(app, org, field)
        if value is not None:
            return value, source.name
        if field == "consumerSecret" and named_variable(source, org):
            break  # no other secret is meant than that of the variable
    return None, None


def named_variable(source: Source, org: Org | None) -> str | None:
    """The variable that `org` names for its secret, if `source` is the environment and may give secrets."""
    return org.secret_env if org and source.secrets and source.name == "environment" else None


def replaced_value(app: App, field: Field) -> Replaced | None:
    settings = app.settings
    return settings.replaced.get(field) if settings else None
