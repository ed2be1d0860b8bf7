"""Sources of key and secret, tried one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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

_FIELDS: Final[tuple[Field, ...]] = ("consumerKey", "consumerSecret")

_LABELS: Final[Mapping[Field, str]] = {"consumerKey": "Consumer key", "consumerSecret": "Consumer secret"}

InFile = Literal["present", "absent", "placeholder", "duplicate"]

SourceName = Literal["environment", "replacement", "file", "keyring", "rest", "prompt"]

SOURCES: Final[tuple[SourceName, ...]] = ("environment", "replacement", "file", "keyring", "rest", "prompt")
"""The names of all sources; in which order they are tried is for `chain` to say."""

FILE: Final[SourceName] = "file"

KEYRING: Final[SourceName] = "keyring"

REST: Final[SourceName] = "rest"

USUAL_SOURCES: Final = tuple(source for source in SOURCES if source != REST)
"""The sources of a command that names none: to ask an org has to be intended."""

FindSavedSecret = Callable[[str], Secret | None]
"""Gives the consumer secret that is saved for a consumer key."""

HasSavedSecret = Callable[[str], bool]
"""Tells whether one is saved, without reading it."""


class ClientIdentity(Protocol):
    """How an app identifies itself to an org: its key, and its secret if that is sent."""

    @property
    def consumer_key(self) -> str: ...

    @property
    def consumer_secret(self) -> Secret | None: ...


@dataclass(frozen=True, slots=True)
class FetchedPair:
    """Key and secret of a consumer as its org gives them; `notice` warns of a pair that is to replace them."""

    key: str
    secret: Secret
    notice: str | None = None


FetchPair = Callable[[App, Org | None, str | None], FetchedPair]
"""Asks the org that has the consumer of an app, by its key if that is known. Raises `EcapipeError`."""


@dataclass(frozen=True, slots=True)
class Source:
    """One link of the chain. `find` gives the value of a field of an app for an org, or None."""

    name: SourceName
    find: Callable[[App, Org | None, Field], Secret | None]
    secrets: bool = True
    """Whether consumer secrets may come from it."""
    notice: Callable[[App, Org | None], str | None] = lambda app, org: None
    """A sentence about the secret that it gave."""


@dataclass(frozen=True, slots=True)
class SourceValue:
    """A key or secret, and the source that gave it."""

    value: Secret
    source: Source


Chain = tuple[Source, ...]


def in_file(app: App, field: Field) -> InFile:
    """What the settings file holds for `field`."""
    settings = app.settings
    if settings is None:
        return "absent"
    elements = settings.document.all(field)
    if len(elements) > 1:
        return "duplicate"
    if not elements or (text := elements[0].text) is None:
        return "absent"
    # The text of a replacement is no credential, whatever it looks like: a deploy puts something else there.
    if field in settings.replaced or is_placeholder(text):
        return "placeholder"
    return "present"


def from_file() -> Source:
    """The settings file itself; a placeholder or a duplicate counts as absent."""

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        if app.settings is None or in_file(app, field) != "present":
            return None
        text = app.settings.document.text(field)
        if not text:
            return None
        return Secret(text)

    return Source(FILE, find)


def from_replacements() -> Source:
    """What the project's replacements make of the settings file."""

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        replaced = replaced_value(app, field)
        if replaced is None or replaced.value is None or in_file(app, field) == "duplicate":
            return None
        if is_placeholder(replaced.value.reveal()):
            return None
        return replaced.value

    return Source("replacement", find)


def from_environment(value: Callable[[str], Secret | None], apps: Sequence[str], orgs: Sequence[Org]) -> Source:
    """Variables ``ECAPIPE_CLIENT_ID_<APP>_<ORG>``, ``…_<APP>`` and, for a single app, ``ECAPIPE_CLIENT_ID``; the
    same with SECRET. An org that names its variable for the secret has that one alone.

    `value` reads one variable. Raises `EcapipeError` (AmbiguousVariable) when a variable that is set could be
    meant for two of the given apps or orgs.
    """
    # Capitals and underscores can make one name of two: a secret would go to the wrong app or org.
    owners: dict[str, str] = {}
    for name, subject in _subjects_of_variables(apps, orgs):
        owner = owners.setdefault(name, subject)
        if owner != subject and value(name) is not None:
            raise EcapipeError(ambiguous_variable(name, owner, subject))

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        for name in _variables_of(app, org, field, only_app=len(apps) == 1):
            secret = value(name)
            if secret and not is_placeholder(secret.reveal()):
                return secret
        return None

    return Source("environment", find)


def _subjects_of_variables(apps: Sequence[str], orgs: Sequence[Org]) -> Iterator[tuple[str, str]]:
    """Every variable that names an app, with the app, or app@org, that it is meant for."""
    for app in apps:
        for field in _FIELDS:
            yield variable(field, app), app
        for org in orgs:
            for field in _FIELDS:
                if not _own_variable(org, field):
                    yield variable(field, app, org), f"{app}@{org.name}"


def _variables_of(app: App, org: Org | None, field: Field, *, only_app: bool) -> list[str]:
    """The variables to look into, the most specific first."""
    if own := _own_variable(org, field):
        return [own]
    names = [variable(field, app.name)]
    if org:
        names.insert(0, variable(field, app.name, org))
    if only_app:
        names.append(variable(field))
    return names


def _own_variable(org: Org | None, field: Field) -> str | None:
    """The variable that `org` names for `field`; only for the secret it can."""
    if org is None or field != "consumerSecret":
        return None
    return org.secret_env


def from_keyring(find_saved: FindSavedSecret, earlier: Chain) -> Source:
    """The secret that was saved for the very key that `earlier` sources give: a pair that belongs together."""

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        if field == "consumerKey":
            return None
        key = consumer_key(earlier, app, org)
        if key is None:
            return None
        return find_saved(key)

    return Source(KEYRING, find)


def from_rest(fetch_pair: FetchPair, earlier: Chain) -> Source:
    """The org's credentials REST API; the secret is that of the key that `earlier` sources give, if they do."""

    def fetch(app: App, org: Org | None) -> FetchedPair:
        return fetch_pair(app, org, consumer_key(earlier, app, org))

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        pair = fetch(app, org)
        if field == "consumerKey":
            return Secret(pair.key)
        return pair.secret

    return Source(REST, find, notice=lambda app, org: fetch(app, org).notice)


def from_prompt(ask: Callable[[str], Secret | None]) -> Source:
    """A question on the terminal, asked once per app and field."""
    answers: dict[tuple[str, str, Field], Secret | None] = {}

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        question = (app.project, app.name, field)
        if question not in answers:
            owner = app.name
            # With a tree of its own the org has an app of its own, which may share its name with others.
            if org and org.source_dir:
                owner = f"{app.name} in {org.name}"
            answers[question] = ask(f"{_LABELS[field]} of {owner}: ")
        return answers[question]

    return Source("prompt", find)


def variable(field: Field, app: str | None = None, org: Org | None = None) -> str:
    """The environment variable for `field`: upper case, every other character ``_``."""
    parts = ["ECAPIPE_CLIENT_ID" if field == "consumerKey" else "ECAPIPE_CLIENT_SECRET"]
    if app:
        parts.append(_in_capitals(app))
    if org and org.variable_name:
        parts.append(_in_capitals(org.variable_name))
    return "_".join(parts)


# Each app meets each org, so that a name comes here thousands of times.
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
    find_saved: FindSavedSecret | None = None,
) -> Chain:
    """The sources of key and secret, in order; secrets come only from those named in `secret_from`.

    Nobody is asked when `ask` is None, no keyring when `find_saved` is, and no org when `disclose` is, or
    REST is not named.
    """
    sources = [
        from_environment(value, list(dict.fromkeys(app.name for app in apps)), orgs),
        from_replacements(),
        from_file(),
    ]
    # A keyring and an org are asked for the secret of the key that the sources before them give.
    if find_saved is not None:
        sources.append(from_keyring(find_saved, tuple(sources)))
    if disclose is not None and REST in secret_from:
        sources.append(from_rest(disclose, tuple(sources)))
    # Last, so that nobody types what is to be had elsewhere.
    if ask is not None:
        sources.append(from_prompt(ask))
    return tuple(source if source.name in secret_from else _keys_only(source) for source in sources)


def _keys_only(source: Source) -> Source:
    """The source without its secrets; a consumer key is none, so that it is still found there."""

    def find(app: App, org: Org | None, field: Field) -> Secret | None:
        if field == "consumerSecret":
            return None
        return source.find(app, org, field)

    return Source(source.name, find, secrets=False)


def variables(app: str, orgs: Sequence[Org] = ()) -> tuple[str, str]:
    """The variables for the key and the secret of `app`, the latter as all of `orgs` name it, if they do."""
    secret = variable("consumerSecret", app)
    names = {org.secret_env for org in orgs}
    if len(names) == 1:
        secret = names.pop() or secret
    return variable("consumerKey", app), secret


def without_terminal_prompt(chain: Chain) -> Chain:
    """The chain without its questions to people at this terminal."""
    return tuple(source for source in chain if source.name != "prompt")


def without_questions(chain: Chain) -> Chain:
    """The chain without its questions, to people, to orgs or to a keyring, which may ask people."""
    return tuple(source for source in chain if source.name not in (KEYRING, REST, "prompt"))


def first_value(chain: Chain, app: App, org: Org | None, field: Field) -> SourceValue | None:
    """The value of the first source that has one."""
    for source in chain:
        value = source.find(app, org, field)
        if value is not None:
            return SourceValue(value, source)
        # An org that names a variable means no other secret: that of another source could be another org's.
        if field == "consumerSecret" and named_variable(source, org):
            break
    return None


def consumer_key(chain: Chain, app: App, org: Org | None) -> str | None:
    """The key alone, which is no secret."""
    key = first_value(chain, app, org, "consumerKey")
    return key.value.reveal() if key else None


def named_variable(source: Source, org: Org | None) -> str | None:
    """The variable that `org` names for its secret, if `source` is the environment and may give secrets."""
    if org is None or not source.secrets or source.name != "environment":
        return None
    return org.secret_env


def replaced_value(app: App, field: Field) -> Replaced | None:
    """What the project's replacements make of `field`, if they touch it."""
    if app.settings is None:
        return None
    return app.settings.replaced.get(field)
