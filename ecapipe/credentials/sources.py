"""Sources of key and secret, tried one after the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final, Generic, Literal, Protocol, TypeVar, get_args

from ecapipe.credentials.placeholders import fault, is_placeholder
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError, listed
from ecapipe.problems.usage import ambiguous_variable
from ecapipe.project.apps import App, Replaced
from ecapipe.secret import Secret, may_be_ours, withhold

Field = Literal["consumerKey", "consumerSecret"]

FIELDS: Final[tuple[Field, ...]] = ("consumerKey", "consumerSecret")

_LABELS: Final[Mapping[Field, str]] = {"consumerKey": "Consumer key", "consumerSecret": "Consumer secret"}

InFile = Literal["present", "absent", "placeholder", "duplicate"]

FILE_SUFFIX: Final = "_FILE"
"""Of a variable that holds the path of a file with the value."""

SourceName = Literal["environment", "replacement", "file", "keyring", "rest", "prompt"]
"""What ``--secret-from`` and results call the sources; a promise. `ecapipe.adapters.composition` has their order."""

Asked = Literal["people", "org", "keyring"]
"""Who may be asked for a key or secret; a keyring may ask people in turn."""

ANYBODY: Final[frozenset[Asked]] = frozenset(get_args(Asked))


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands in one `place`, as a sentence begins with it; `first_value` judges whether it is a credential."""

    place: str
    value: Secret | None
    """None if there is nothing in the place."""


Find = Callable[[App, Org | None, Field], Iterable[Reading]]
"""What a source holds for a field of an app in an org, the most specific first."""

Access = TypeVar("Access", contravariant=True)


@dataclass(frozen=True, slots=True)
class PairOrigin:
    """Where a key and a secret come from, as words within a sentence, and what to do once the secret has been
    rotated; each None where that is not known, or there is no secret."""

    key: str | None = None
    secret: str | None = None
    renewal: str | None = None


UNKNOWN_ORIGIN: Final = PairOrigin()


class ClientIdentity(Protocol):
    """How an app identifies itself to an org: its key, and its secret if that is sent."""

    @property
    def consumer_key(self) -> str: ...

    @property
    def consumer_secret(self) -> Secret | None: ...

    @property
    def origin(self) -> PairOrigin:
        """Where they come from."""


@dataclass(frozen=True, slots=True)
class FetchedPair:
    """Key and secret of a consumer as the org at `host` gives them; `notice` warns of a pair that is to replace
    them."""

    key: str
    secret: Secret
    host: str
    notice: str | None = None


FetchPair = Callable[[App, Org | None, str | None], FetchedPair]
"""Asks the org that has the consumer of an app, by its key if that is known. Raises `EcapipeError`."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a command wants sources for.

    `known`: the names of all apps of the trees, chosen or not; `asks`: who may be asked; `secret_from`: the names of
    the sources that secrets may come from, empty: all that need not be named; `allowed`: hosts accepted besides
    Salesforce's.
    """

    apps: Sequence[App]
    orgs: Sequence[Org] = ()
    known: Collection[str] = ()
    asks: frozenset[Asked] = frozenset()
    secret_from: frozenset[str] = frozenset()
    allowed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """A source that was opened: `notice` gives a sentence about the secret that `find` gave, `place` the host of the
    org that it is from."""

    find: Find
    notice: Callable[[App, Org | None], str | None] = lambda app, org: None
    place: Callable[[App, Org | None], str | None] = lambda app, org: None


# Compared by identity: there is one list of them. Slots and Generic do not go together in Python 3.11.
@dataclass(frozen=True, eq=False)
class Source(Generic[Access]):
    """A place that keys and secrets may come from; `ecapipe.adapters.composition.SOURCES` has them all.

    `open` is given what it takes from outside, the scope, and the sources before it.
    """

    name: SourceName
    open: Callable[[Access, Scope, Chain], Lookup]
    asks: Asked | None = None
    """Who is asked. One that asks nobody serves commands that only look."""
    has_to_be_named: bool = False
    """Whether it is used only if ``--secret-from`` names it."""
    reads_secret_env: bool = False
    """Whether it reads the variable that an org names for its secret."""
    renewal: str = "set the new one there"
    """What to do with it, in words, once its secret has been rotated."""
    holds: Callable[[Access, str], bool] | None = None
    """Tells whether it has the secret of a consumer key, and asks nobody."""


@dataclass(frozen=True, slots=True)
class Link:
    """A source in the chain of a command. `secrets`: whether consumer secrets may come from it."""

    source: Source[Any]
    lookup: Lookup
    secrets: bool = True
    holds: Callable[[str], bool] = lambda key: False
    """Whether the secret of a key is there, though nobody may be asked for it."""

    def find(self, app: App, org: Org | None, field: Field) -> Iterable[Reading]:
        # A consumer key is no secret, so that it is found in every source.
        if field == "consumerSecret" and not self.secrets:
            return ()
        return self.lookup.find(app, org, field)


@dataclass(frozen=True, slots=True)
class SourceValue:
    """A key or secret, the link that gave it, and the place that it stands in."""

    value: Secret
    link: Link
    place: str


@dataclass(frozen=True, slots=True)
class Search:
    """The first value in a chain, if there is one, and sentences on what was no credential before it."""

    result: SourceValue | None
    faults: tuple[str, ...] = ()


Chain = tuple[Link, ...]

NOTHING: Final = Lookup(lambda app, org, field: ())


class ChainAccess(Protocol):
    """What gives the sources of key and secret."""

    def chain(self, scope: Scope) -> Chain: ...

    @property
    def variable_names(self) -> Collection[str]:
        """The variables of the environment that are set, be they empty."""


class VariableAccess(Protocol):
    """Access to the environment."""

    @property
    def variable(self) -> Callable[[str], Secret | None]:
        """Reads a credential from a variable of the environment, or from the file that its ``…_FILE`` names; None
        where there is nothing in it."""

    @property
    def environ(self) -> Callable[[str], str | None]:
        """Any variable of the environment; None if it is empty."""

    @property
    def variable_names(self) -> Collection[str]:
        """The variables of the environment that are set, be they empty."""


class SourceAccess(VariableAccess, Protocol):
    """What the sources of this module take from outside."""

    @property
    def ask(self) -> Callable[[str], Secret | None] | None:
        """Asks a hidden question; None where nobody can be asked."""


def chain(sources: Iterable[Source[Access]], access: Access, scope: Scope) -> Chain:
    """The links to those of the sources that a command may use, in order.

    One that must not be asked can still tell what it holds, if it knows without asking. Raises `EcapipeError` as the
    sources do when they are opened.
    """
    links: Chain = ()
    for source in sources:
        named = source.name in scope.secret_from
        if source.has_to_be_named and not named:
            continue
        if source.asks is None or source.asks in scope.asks:
            lookup = source.open(access, scope, links)
            links += (Link(source, lookup, secrets=named or not scope.secret_from),)
        elif source.holds is not None:
            links += (Link(source, NOTHING, holds=partial(source.holds, access)),)
    return links


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


def _find_in_file(app: App, org: Org | None, field: Field) -> Iterable[Reading]:
    """A placeholder or a duplicate counts as absent: `in_file` tells of it."""
    if app.settings is None or in_file(app, field) != "present":
        return ()
    text = app.settings.document.text(field)
    if not text:
        return ()
    return (Reading(app.settings.path, Secret(text)),)


FILE: Final = Source[object](
    "file",
    lambda access, scope, earlier: Lookup(_find_in_file),
    renewal="retrieve again, or set the new one in the environment",
)
"""The settings file itself."""


def find_replacement(app: App, field: Field) -> Secret | None:
    """What the project's replacements make of a field of the settings file, if that can be a credential."""
    replaced = replaced_value(app, field)
    if replaced is None or replaced.value is None or in_file(app, field) == "duplicate":
        return None
    if is_placeholder(replaced.value.reveal()):
        return None
    return replaced.value


def _find_replacement(app: App, org: Org | None, field: Field) -> Iterable[Reading]:
    value, replaced = find_replacement(app, field), replaced_value(app, field)
    origins = f"{listed(replaced.origins)} (replacements of sfdx-project.json)" if replaced else ""
    return (Reading(origins, value),) if value else ()


REPLACEMENT: Final = Source[object]("replacement", lambda access, scope, earlier: Lookup(_find_replacement))


def _open_environment(access: SourceAccess, scope: Scope, earlier: Chain) -> Lookup:
    """Variables ``ECAPIPE_CLIENT_ID_<APP>_<ORG>``, ``…_<APP>`` and, for a single app, ``ECAPIPE_CLIENT_ID``; the
    same with SECRET. An org that names its variable for the secret has that one alone.

    Raises `EcapipeError` (AmbiguousVariable) when a variable that is set could be meant for two of the apps or orgs.
    """
    value, environ = access.variable, access.environ
    apps = list(dict.fromkeys(app.name for app in scope.apps))
    # Capitals and underscores can make one name of two: a secret would go to the wrong app or org.
    owners: dict[str, str] = {}
    for name, subject in _subjects_of_variables(apps, scope.orgs):
        owner = owners.setdefault(name, subject)
        if owner != subject and value(name):
            raise EcapipeError(ambiguous_variable(name, owner, subject))
    for name, owner in owners.items():
        file = name + FILE_SUFFIX
        if (namesake := owners.get(file)) and environ(file) and not environ(name):
            raise EcapipeError(ambiguous_variable(file, namesake, f"{owner} (as the path of a file)"))
    # The variable of an app that was not chosen names no file of another one.
    owners = {variable(field, app): app for app in scope.known for field in FIELDS} | owners

    def find(app: App, org: Org | None, field: Field) -> Iterator[Reading]:
        for name in variables_of(app, org, field, only_app=len(apps) == 1):
            if reading := read_variable(name, access, owners):
                yield reading

    return Lookup(find)


def read_variable(name: str, access: VariableAccess, owners: Collection[str] = ()) -> Reading | None:
    """What a variable holds, or the file that its ``…_FILE`` names, unless that is one of the variables that `owners`
    have for a value; None if neither is set."""
    file, is_set = name + FILE_SUFFIX, name in access.variable_names
    if not access.environ(name) and file in owners:
        return Reading(name, None) if is_set else None
    value = access.variable(name)
    if not access.environ(name) and file in access.variable_names:
        return Reading(f"The file specified by {file}" if access.environ(file) else file, value)
    return Reading(name, value) if value or is_set else None


ENVIRONMENT: Final = Source[SourceAccess]("environment", _open_environment, reads_secret_env=True)


def _subjects_of_variables(apps: Sequence[str], orgs: Sequence[Org]) -> Iterator[tuple[str, str]]:
    """Every variable that names an app, with the app, or app@org, that it is meant for."""
    for app in apps:
        for field in FIELDS:
            yield variable(field, app), app
        for org in orgs:
            for field in FIELDS:
                if not _own_variable(org, field):
                    yield variable(field, app, org), f"{app}@{org.name}"


def variables_of(app: App, org: Org | None, field: Field, *, only_app: bool) -> list[str]:
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


def of_key(find_secret: Callable[[str], Secret | None], earlier: Chain) -> Lookup:
    """The secret that belongs to the very key that `earlier` sources give."""

    def find(app: App, org: Org | None, field: Field) -> Iterable[Reading]:
        key = consumer_key(earlier, app, org) if field == "consumerSecret" else None
        secret = find_secret(key) if key else None
        return (Reading("The store of saved secrets", secret),) if secret else ()

    return Lookup(find)


def of_pair(fetch_pair: FetchPair, earlier: Chain) -> Lookup:
    """Key and secret together; the secret is that of the key that `earlier` sources give, if they do."""

    def fetch(app: App, org: Org | None) -> FetchedPair:
        return fetch_pair(app, org, consumer_key(earlier, app, org))

    def find(app: App, org: Org | None, field: Field) -> Iterable[Reading]:
        pair = fetch(app, org)
        value = Secret(pair.key) if field == "consumerKey" else pair.secret
        return (Reading(f"The response of {pair.host}", value),)

    return Lookup(find, lambda app, org: fetch(app, org).notice, lambda app, org: fetch(app, org).host)


def _open_prompt(access: SourceAccess, scope: Scope, earlier: Chain) -> Lookup:
    """A question on the terminal, asked once per app and field."""
    ask = access.ask
    if ask is None:
        return NOTHING
    answers: dict[tuple[str, str, Field], Secret | None] = {}

    def find(app: App, org: Org | None, field: Field) -> Iterable[Reading]:
        question = (app.project, app.name, field)
        if question not in answers:
            owner = app.name
            # With a tree of its own the org has an app of its own, which may share its name with others.
            if org and org.source_dir:
                owner = f"{app.name} in {org.name}"
            answers[question] = ask(f"{_LABELS[field]} of {owner}: ")
        answer = answers[question]
        return (Reading("The value entered at the prompt", answer),) if answer else ()

    return Lookup(find)


PROMPT: Final = Source[SourceAccess]("prompt", _open_prompt, asks="people", renewal="run again and enter the new one")


def variable(field: Field, app: str | None = None, org: Org | None = None) -> str:
    """The environment variable for `field`: upper case, every other character ``_``."""
    parts = ["ECAPIPE_CLIENT_ID" if field == "consumerKey" else "ECAPIPE_CLIENT_SECRET"]
    if app:
        parts.append(in_capitals(app))
    if org and org.variable_name:
        parts.append(in_capitals(org.variable_name))
    return "_".join(parts)


# Each app meets each org, so that a name comes here thousands of times.
@cache
def in_capitals(name: str) -> str:
    """A name as variables have it."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def variable_for(app: App, org: Org | None, field: Field) -> str:
    """The variable to set, as advice names it: that of the org, and the one that serves all orgs."""
    first, *others = variables_of(app, org, field, only_app=False)
    return f"{first} (for all orgs: {others[0]})" if others else first


def variables(app: str, orgs: Sequence[Org] = ()) -> tuple[str, str]:
    """The variables for the key and the secret of `app`, the latter as all of `orgs` name it, if they do."""
    secret = variable("consumerSecret", app)
    names = {org.secret_env for org in orgs}
    if len(names) == 1:
        secret = names.pop() or secret
    return variable("consumerKey", app), secret


def without_terminal_prompt(chain: Chain) -> Chain:
    """The chain without its questions to people at this terminal."""
    return tuple(link for link in chain if link.source.asks != "people")


def without_questions(chain: Chain) -> Chain:
    """The chain without its questions, to people, to orgs or to a keyring, which may ask people."""
    return tuple(link for link in chain if link.source.asks is None)


def first_credential(readings: Iterable[Reading], faults: list[str]) -> Reading | None:
    """The first of `readings` that may be a credential; `faults` gets a sentence on each before it."""
    for reading in readings:
        reason = fault(reading.value)
        if reading.value and reason is None:
            return reading
        faults.append(f"{reading.place} {reason}.")
    return None


def first_value(chain: Chain, app: App, org: Org | None, field: Field) -> Search:
    """The value of the first source that has one which can be a credential."""
    faults: list[str] = []
    for link in chain:
        found = first_credential(link.find(app, org, field), faults)
        if found and found.value:
            by_tree = link.source in (FILE, REPLACEMENT)
            if field == "consumerSecret" and not (by_tree and may_be_ours(found.value.reveal())):
                withhold(found.value)
            return Search(SourceValue(found.value, link, found.place), tuple(faults))
        # An org that names a variable means no other secret: that of another source could be another org's.
        if field == "consumerSecret" and named_variable(link, org):
            break
    return Search(None, tuple(faults))


def consumer_key(chain: Chain, app: App, org: Org | None) -> str | None:
    """The key alone, which is no secret."""
    key = first_value(chain, app, org, "consumerKey").result
    return key.value.reveal() if key else None


def named_variable(link: Link, org: Org | None) -> str | None:
    """The variable that `org` names for its secret, if the source reads it and may give secrets."""
    if org is None or not link.secrets or not link.source.reads_secret_env:
        return None
    return org.secret_env


def replaced_value(app: App, field: Field) -> Replaced | None:
    """What the project's replacements make of `field`, if they touch it."""
    if app.settings is None:
        return None
    return app.settings.replaced.get(field)
