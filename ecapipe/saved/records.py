"""The records of saved logins and saved consumer secrets, which outlive a command."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, TypeVar

from ecapipe.credentials import sources
from ecapipe.credentials.placeholders import fault
from ecapipe.credentials.resolution import Credentials
from ecapipe.credentials.sources import UNKNOWN_ORIGIN, PairOrigin
from ecapipe.oauth.flows import registry
from ecapipe.oauth.grants import Grant, RefreshToken
from ecapipe.oauth.tokens import Token
from ecapipe.oauth.userinfo import User
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org, same_id
from ecapipe.problems.problem import EcapipeError, Problem, command, did_you_mean
from ecapipe.problems.storage import login_ambiguous, login_not_kept, login_not_refreshable, record_damaged
from ecapipe.project.apps import App
from ecapipe.saved.ports import StoreAccess
from ecapipe.secret import Secret, mask

T = TypeVar("T")


def read_all(
    kind: RecordKind, read: Callable[[SavedRecord], T], world: StoreAccess
) -> tuple[list[T], list[UnreadableRecord]]:
    """Everything that is saved of a kind, each record parsed by `read`, and those that cannot be."""
    values: list[T] = []
    unreadable: list[UnreadableRecord] = []
    for record in world.store.records(kind):
        if isinstance(record, UnreadableRecord):
            unreadable.append(record)
            continue
        # One damaged record must not hide the others.
        try:
            values.append(read(record))
        except EcapipeError as error:
            unreadable.append(UnreadableRecord(kind, record.id, error.problem, record.members))
    return values, unreadable


RecordKind = Literal["login", "secret"]
StorePlace = Literal["keyring", "file"]
"""Where the secrets of a record are: in the keyring, or in the record itself, a file that its user alone may read."""

_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class SavedRecord:
    """One saved thing: what may be read of it without its secrets, and where these are.

    `id` is a hash of what the record is about, so that an altered record no longer fits its name; `file` is its name
    in messages.
    """

    kind: RecordKind
    id: str
    place: StorePlace
    members: Mapping[str, object]
    file: str = ""

    @property
    def removal(self) -> str:
        """The command that removes it, though it cannot be read."""
        return removal(self.kind, self.id)


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A record that is there and cannot be used; `members` are what it says of itself, as far as that is known."""

    kind: RecordKind
    id: str
    problem: Problem
    members: Mapping[str, object]

    @property
    def app(self) -> str | None:
        app = self.members.get("app")
        return app if isinstance(app, str) else None

    def may_fit(self, apps: Sequence[str], org: str | None) -> bool:
        """Whether it may be a login that is named so: by its id, or as in `fitting`, if nothing says otherwise."""
        if self.id in apps:
            return True
        url = str(self.members.get("url") or "")
        names = url, url.partition("://")[2], *(self.members.get(name) for name in ("alias", "username", "orgId"))
        of_org = not url or org is None or org in names
        return of_org and (not apps or self.app is None or self.app in apps)

    def may_be(self, app: str, url: str) -> bool:
        """Whether it may be the login of an app in the org at `url`: it is, if nothing says otherwise."""
        return self.app in (None, app) and self.members.get("url") in (None, url)


@dataclass(frozen=True, slots=True)
class SavedSecrets:
    """The secrets of a record. The others can bring a new access token."""

    access_token: Secret | None = None
    refresh_token: Secret | None = None
    consumer_secret: Secret | None = None
    dpop_key: Secret | None = None
    """What the tokens are bound to (RFC 9449)."""


@dataclass(frozen=True, slots=True)
class SavedLogin:
    """A saved login. Times are UTC, as ISO 8601; `org` has the id and the username that were verified there."""

    app: str
    org: Org
    user_id: str
    consumer_key: str
    flow: str
    scopes: tuple[str, ...]
    instance_url: str | None
    refreshable: bool
    """Whether a new access token can be requested without a person."""
    secret_required: bool
    """Whether Salesforce asks for the consumer secret with that request."""
    place: StorePlace
    saved_at: str
    refreshed_at: str | None = None
    bound: bool = False
    """Whether the access token is bound to a key."""

    @property
    def id(self) -> str:
        """One per app, org and user."""
        # An id has 15 characters, and 18 in other places; the last three are a checksum.
        return _id(self.app, self.org.url, self.user_id[:15])

    @property
    def subject(self) -> str:
        """Its name in output."""
        return f"{self.app}@{self.org.name}"

    @property
    def full_name(self) -> str:
        """A name that tells it from others of the same app and alias."""
        return f"{self.app}@{self.org.name} ({', '.join(filter(None, (self.org.username, self.org.host)))})"

    @property
    def variable(self) -> str:
        """The environment variable that its consumer secret is read from."""
        return sources.variable("consumerSecret", self.app, self.org)

    @property
    def command(self) -> str:
        """The command that logs in anew."""
        target = self.org.url
        if self.org.alias:
            target = f"{self.org.alias}={target}"
        words = [command("ecapipe run", name=self.app, target_org=target)]
        if flow := registry.find(self.flow):
            words += flow.flags
        if self.bound:
            words.append("--dpop")
        return " ".join([*words, "--save"])


@dataclass(frozen=True, slots=True)
class SavedClient:
    """Key and secret of a saved login, as `tokens.request` takes them."""

    consumer_key: str
    consumer_secret: Secret | None
    origin: ClassVar[PairOrigin] = UNKNOWN_ORIGIN

    def __repr__(self) -> str:
        # A traceback or a log may show it: the full key has no place there.
        return f"Client({mask(self.consumer_key)!r})"


@dataclass(frozen=True, slots=True)
class SecretOwner:
    """The app whose consumer secret is saved, by its key. `org` is the name of the org it was saved for, if any."""

    app: str
    org: str | None
    consumer_key: str
    place: StorePlace
    saved_at: str

    @property
    def id(self) -> str:
        return owner_id(self.consumer_key)

    @property
    def full_name(self) -> str:
        name = f"{self.app}@{self.org}" if self.org else self.app
        return f"{name} (key {mask(self.consumer_key)})"


def new(
    credentials: Credentials, org: Org, token: Token, user: User, flow: str, place: StorePlace, at: str
) -> tuple[SavedLogin, SavedSecrets]:
    """The login of a verified `token`, and its secrets: the consumer secret only if a refresh needs it."""
    by_secret = _renewal(flow) is not None
    required = by_secret or _requires_secret(credentials.app)
    renewable = by_secret or token.refresh_token is not None
    secret = credentials.consumer_secret
    login = SavedLogin(
        app=credentials.app.name,
        org=replace(org, org_id=user.org_id, username=user.username, scopes=None),
        user_id=user.user_id,
        consumer_key=credentials.consumer_key,
        flow=flow,
        scopes=token.scopes,
        instance_url=token.instance_url,
        refreshable=renewable and (secret is not None or not required),
        secret_required=required,
        place=place,
        saved_at=at,
        bound=token.key is not None,
    )
    # A secret that no request will need is not stored: what is not there cannot leak.
    if not (required and renewable):
        secret = None
    return login, SavedSecrets(
        token.access_token, token.refresh_token, secret, token.key.secret if token.key else None
    )


def _renewal(flow: str) -> Grant | None:
    """The grant of the flow that brings a new access token without a refresh token."""
    known = registry.find(flow)
    return known.renewal if known else None


def _requires_secret(app: App) -> bool:
    """Whether Salesforce asks for the consumer secret with a refresh token: it does unless the settings say no."""
    return app.settings is None or app.settings.document.flag("isSecretRequiredForRefreshToken", True)


def renewed(
    login: SavedLogin, old: SavedSecrets, token: Token, client: SavedClient, at: str
) -> tuple[SavedLogin, SavedSecrets]:
    """The login after a refresh, and its secrets."""
    refreshed = replace(
        login,
        # The same, but where the app was rotated.
        consumer_key=client.consumer_key,
        scopes=token.scopes or login.scopes,
        instance_url=token.instance_url or login.instance_url,
        refreshable=True,
        refreshed_at=at,
        bound=token.key is not None,
    )
    # Only an app that rotates its refresh tokens answers with a new one; otherwise the old one stays valid.
    refresh_token = token.refresh_token or old.refresh_token
    # A secret from the environment has just been accepted: it replaces one that was rotated away.
    consumer_secret = client.consumer_secret or old.consumer_secret
    # A refresh token stays bound to its key (RFC 9449 §5).
    return refreshed, SavedSecrets(token.access_token, refresh_token, consumer_secret, old.dpop_key)


def client(login: SavedLogin, secrets: SavedSecrets, override: Secret | None) -> SavedClient:
    """How the app identifies itself for a new token: with the secret in `override`, else with the saved one."""
    # Salesforce validates a secret that it does not require, so one that is out of date would do harm.
    if not login.secret_required:
        return SavedClient(login.consumer_key, None)
    saved = secrets.consumer_secret
    if saved and fault(saved):
        saved = None
    return SavedClient(login.consumer_key, override or saved)


def grant(login: SavedLogin, secrets: SavedSecrets, client: SavedClient, faults: Sequence[str] = ()) -> Grant:
    """The grant for a new access token; `faults` are why other secrets do not count. Raises `EcapipeError`
    (LoginNotRefreshable)."""
    renewal = RefreshToken(secrets.refresh_token) if secrets.refresh_token else _renewal(login.flow)
    if renewal is None:
        reason = f"the {login.flow} flow returned no refresh token"
    elif login.secret_required and client.consumer_secret is None:
        reason = "Salesforce requires the consumer secret, which was not saved"
        reason = "; ".join((reason, *(each.rstrip(".") for each in faults)))
    else:
        return renewal
    raise EcapipeError(login_not_refreshable(login.subject, reason, login.command, login.variable))


def record(login: SavedLogin) -> SavedRecord:
    """The login as it is stored, without its secrets."""
    members = {
        "app": login.app,
        "url": login.org.url,
        "alias": login.org.alias,
        "orgId": login.org.org_id,
        "userId": login.user_id,
        "username": login.org.username,
        "consumerKey": login.consumer_key,
        "flow": login.flow,
        "scopes": list(login.scopes),
        "instanceUrl": login.instance_url,
        "refreshable": login.refreshable,
        "secretRequired": login.secret_required,
        "savedAt": login.saved_at,
        "refreshedAt": login.refreshed_at,
        "bound": login.bound,
    }
    return SavedRecord("login", login.id, login.place, members)


def login(record: SavedRecord) -> SavedLogin:
    """The login of a record; raises `EcapipeError` (RecordDamaged)."""
    read = _Members(record)
    url = read.text("url")
    host = url.partition("://")[2].partition("/")[0].rsplit(":", 1)[0].strip("[]")
    try:
        # Its host was accepted when the login was saved, so it is allowed again; that the address was not altered
        # since then is proved below, by the name of the record.
        org = selection.choose(url, {}, (host,))
    except EcapipeError as error:
        raise read.damaged(f"its url is not valid: {error.problem.message}") from None
    login = SavedLogin(
        app=read.text("app"),
        org=replace(
            org,
            alias=read.text_or_none("alias"),
            org_id=read.text("orgId"),
            username=read.text_or_none("username"),
        ),
        user_id=read.text("userId"),
        consumer_key=read.text("consumerKey"),
        flow=read.text("flow"),
        scopes=read.texts("scopes"),
        instance_url=read.text_or_none("instanceUrl"),
        refreshable=read.flag("refreshable"),
        secret_required=read.flag("secretRequired"),
        place=record.place,
        saved_at=read.text("savedAt"),
        refreshed_at=read.text_or_none("refreshedAt"),
        # Earlier versions had no other.
        bound="bound" in record.members and read.flag("bound"),
    )
    # Otherwise a file copied over another, or edited, could send the refresh token to a foreign address.
    if login.id != record.id:
        raise read.damaged("its content does not match its name")
    return login


def owner_record(owner: SecretOwner) -> SavedRecord:
    """The owner of a secret as it is stored, without the secret."""
    members = {
        "app": owner.app,
        "org": owner.org,
        "consumerKey": owner.consumer_key,
        "savedAt": owner.saved_at,
    }
    return SavedRecord("secret", owner.id, owner.place, members)


def owner(record: SavedRecord) -> SecretOwner:
    """The owner of the secret in a record; raises `EcapipeError` (RecordDamaged)."""
    read = _Members(record)
    owner = SecretOwner(
        read.text("app"),
        read.text_or_none("org"),
        consumer_key=read.text("consumerKey"),
        place=record.place,
        saved_at=read.text("savedAt"),
    )
    if owner.id != record.id:
        raise read.damaged("its content does not match its name")
    return owner


def owner_id(consumer_key: str) -> str:
    """The id of the record with the secret of a consumer key."""
    # Of the key, not of the app's name: two apps of one name never get each other's secret.
    return _id(consumer_key)


def removal(kind: RecordKind, id: str) -> str:
    """The command that removes a record which cannot be read: it is named by its id, as its file is."""
    if kind == "secret":
        return command("ecapipe app forget-secret", id)
    return command("ecapipe login logout", name=id) + " --forget"


def is_id(text: str) -> bool:
    """Whether `text` can name a record."""
    return _ID.fullmatch(text) is not None


def choose(logins: Sequence[SavedLogin], apps: Sequence[str], org: str | None) -> SavedLogin:
    """The one login of any of `apps` in an org named by alias, username, host, URL or id.

    No `apps`: of any app; no `org`: in any org. Raises `EcapipeError` (LoginNotKept, LoginAmbiguous).
    """
    matches = fitting(logins, apps, org)
    if not matches:
        query = "@".join(filter(None, (", ".join(apps), org)))
        names = [login.full_name for login in logins]
        raise EcapipeError(login_not_kept(query, names, _suggestions(logins, apps, org)))
    if len(matches) > 1:
        raise EcapipeError(login_ambiguous([login.full_name for login in matches]))
    return matches[0]


def fitting(logins: Iterable[SavedLogin], apps: Sequence[str], org: str | None) -> list[SavedLogin]:
    """The logins of any of `apps` in an org named as in `choose`; of any app or org where none is given."""
    candidates = [login for login in logins if not apps or login.app in apps]
    if org is None:
        return candidates
    # An alias is the user's own name for an org, so it wins over a username or host of the same text.
    by_alias = [login for login in candidates if login.org.alias == org]
    return by_alias or [login for login in candidates if _is_named(login, org)]


def _is_named(login: SavedLogin, org: str) -> bool:
    """Whether `org` is the username, host, URL or id (of 15 or 18 characters) of the login's org."""
    username = login.org.username or ""
    return (
        username.casefold() == org.casefold()
        or org.rstrip("/").casefold() in (login.org.host.casefold(), login.org.url.casefold())
        or (len(org) in (15, 18) and login.org.org_id is not None and same_id(login.org.org_id, org))
    )


def _suggestions(logins: Sequence[SavedLogin], apps: Sequence[str], org: str | None) -> list[str]:
    """Similar names for those that no login has."""
    hints: list[str] = []
    for app in apps:
        if app not in {login.app for login in logins}:
            hints += did_you_mean(app, [login.app for login in logins])
    if org and not fitting(logins, (), org):
        names = [name for each in logins for name in (each.org.alias, each.org.username, each.org.host) if name]
        hints += did_you_mean(org, names)
    return hints


def _id(*parts: str) -> str:
    # Lone surrogates come from file names that are not UTF-8.
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class _Members:
    """The members of a record, each of the type it has to have: anybody may have edited the file.

    Methods raise `EcapipeError` (RecordDamaged).
    """

    def __init__(self, record: SavedRecord) -> None:
        self._record = record

    def text(self, name: str) -> str:
        value = self._record.members.get(name)
        if not isinstance(value, str) or not value:
            raise self.damaged(f"{name} is missing, or not a string")
        return value

    def text_or_none(self, name: str) -> str | None:
        if self._record.members.get(name) is None:
            return None
        return self.text(name)

    def flag(self, name: str) -> bool:
        value = self._record.members.get(name)
        if not isinstance(value, bool):
            raise self.damaged(f"{name} is missing, or not true or false")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._record.members.get(name)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.damaged(f"{name} is missing, or not a list of strings")
        return tuple(value)

    def damaged(self, reason: str) -> EcapipeError:
        return EcapipeError(record_damaged(self._record.file, reason, self._record.removal))
