"""What is saved from one command to the next, as records: logins, and consumer secrets."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

from ecapipe.credentials import sources
from ecapipe.credentials.resolution import Credentials
from ecapipe.oauth.grants import ClientCredentials, Grant, RefreshToken
from ecapipe.oauth.tokens import Token
from ecapipe.oauth.userinfo import User
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org, same_id
from ecapipe.problems.problem import EcapipeError, Problem, did_you_mean
from ecapipe.problems.storage import login_ambiguous, login_not_kept, login_not_refreshable, record_damaged
from ecapipe.saved.ports import StoreAccess
from ecapipe.secret import Secret, mask

Thing = TypeVar("Thing")


def read_all(
    kind: RecordKind, read: Callable[[SavedRecord], Thing], world: StoreAccess
) -> tuple[list[Thing], list[Problem]]:
    found: list[Thing] = []
    damaged: list[Problem] = []
    for record in world.store.records(kind):
        if isinstance(record, Problem):
            damaged.append(record)
            continue
        try:
            found.append(read(record))
        except EcapipeError as error:
            damaged.append(error.problem)
    return found, damaged


RecordKind = Literal["login", "secret"]
StorePlace = Literal["keyring", "file"]
"""Where secrets are: an entry of the keyring, or the record itself, a file that its user alone may read."""

_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class SavedRecord:
    """A thing that is kept: what may be read of it without its secrets, and where these are.

    `id` is made from what it is about, so that a record that was altered no longer fits its name; `file` is what
    messages call it.
    """

    kind: RecordKind
    id: str
    place: StorePlace
    members: Mapping[str, object]
    file: str = ""


@dataclass(frozen=True, slots=True)
class SavedSecrets:
    """The secrets of a record. The access token can be had again by the others."""

    access_token: Secret | None = None
    refresh_token: Secret | None = None
    consumer_secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class SavedLogin:
    """A kept login. Times are UTC, as ISO 8601; `org` has the id and the username that were met there."""

    app: str
    org: Org
    user_id: str
    consumer_key: str
    flow: str
    scopes: tuple[str, ...]
    instance_url: str | None
    refreshable: bool
    """Whether a new access token can be had without a person."""
    secret_required: bool
    """Whether Salesforce wants the consumer secret for that."""
    place: StorePlace
    saved_at: str
    refreshed_at: str | None = None

    @property
    def id(self) -> str:
        """One per app, org and user."""
        return _id(self.app, self.org.url, self.user_id[:15])

    @property
    def subject(self) -> str:
        """What output calls it."""
        return f"{self.app}@{self.org.name}"

    @property
    def full_name(self) -> str:
        """What tells it from others of the same app and alias."""
        return f"{self.app}@{self.org.name} ({', '.join(filter(None, (self.org.username, self.org.host)))})"

    @property
    def variable(self) -> str:
        """The environment variable that its consumer secret may come from."""
        return sources.variable("consumerSecret", self.app, self.org)

    @property
    def command(self) -> str:
        """The command that logs in anew."""
        target = f"{self.org.alias}={self.org.url}" if self.org.alias else self.org.url
        flow = [] if self.flow == "web" else ["--flow", self.flow]
        return shlex.join(["ecapipe", "run", "--name", self.app, "--target-org", target, *flow, "--save"])


@dataclass(frozen=True, slots=True)
class SavedClient:
    """Key and secret of a kept login, as `tokens.request` takes them."""

    consumer_key: str
    consumer_secret: Secret | None

    def __repr__(self) -> str:
        return f"Client({mask(self.consumer_key)!r})"


@dataclass(frozen=True, slots=True)
class SecretOwner:
    """Whose consumer secret is kept: the app's of this key. `org` is what it was called, if anything."""

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
        return f"{self.app}{f'@{self.org}' if self.org else ''} (key {mask(self.consumer_key)})"


def new(
    proven: Credentials, org: Org, token: Token, user: User, flow: str, place: StorePlace, at: str
) -> tuple[SavedLogin, SavedSecrets]:
    """The login that a verified `token` makes, and its secrets: the consumer secret only if it is needed again."""
    settings = proven.app.settings
    required = flow == "client-credentials" or (
        settings is None or settings.document.flag("isSecretRequiredForRefreshToken", True)
    )
    secret = proven.consumer_secret if required else None
    renewable = flow == "client-credentials" or token.refresh_token is not None
    login = SavedLogin(
        proven.app.name,
        replace(org, org_id=user.org_id, username=user.username, scopes=None),
        user.user_id,
        proven.consumer_key,
        flow,
        token.scopes,
        token.instance_url,
        renewable and not (required and secret is None),
        required,
        place,
        at,
    )
    return login, SavedSecrets(token.access_token, token.refresh_token, secret if renewable else None)


def renewed(
    login: SavedLogin, old: SavedSecrets, token: Token, client: SavedClient, at: str
) -> tuple[SavedLogin, SavedSecrets]:
    """The login after a refresh. Without rotation the refresh token stays what it was."""
    refresh = token.refresh_token or old.refresh_token
    changed = replace(
        login, scopes=token.scopes or login.scopes, instance_url=token.instance_url or login.instance_url,
        refreshable=True, refreshed_at=at,
    )  # fmt: skip
    return changed, SavedSecrets(token.access_token, refresh, client.consumer_secret or old.consumer_secret)


def client(login: SavedLogin, sealed: SavedSecrets, given: Secret | None) -> SavedClient:
    """How the app identifies itself for a new token: with the secret that is `given`, else the one that was kept."""
    return SavedClient(login.consumer_key, (given or sealed.consumer_secret) if login.secret_required else None)


def grant(login: SavedLogin, sealed: SavedSecrets, client: SavedClient) -> Grant:
    """What brings a new access token; raises `EcapipeError` (LoginNotRefreshable)."""
    if login.flow != "client-credentials" and sealed.refresh_token is None:
        reason = f"its login with the {login.flow} flow brought no refresh token"
    elif login.secret_required and client.consumer_secret is None:
        reason = "Salesforce asks for the consumer secret, and it was not kept"
    else:
        return RefreshToken(sealed.refresh_token) if sealed.refresh_token else ClientCredentials()
    raise EcapipeError(login_not_refreshable(login.subject, reason, login.command, login.variable))


def record(login: SavedLogin) -> SavedRecord:
    """The login as it is kept."""
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
    }
    return SavedRecord("login", login.id, login.place, members)


def login(record: SavedRecord) -> SavedLogin:
    """The kept login of a record; raises `EcapipeError` (RecordDamaged)."""
    read = _Members(record)
    url = read.text("url")
    host = url.partition("://")[2].partition("/")[0].rsplit(":", 1)[0].strip("[]")
    try:
        # Its host was accepted when the login was kept, and the name of the record vouches for it.
        org = selection.choose(url, {}, (host,))
    except EcapipeError as error:
        raise read.damaged(f"its url is not usable: {error.problem.message}") from None
    found = SavedLogin(
        read.text("app"),
        replace(org, alias=read.maybe("alias"), org_id=read.text("orgId"), username=read.maybe("username")),
        read.text("userId"),
        read.text("consumerKey"),
        read.text("flow"),
        read.texts("scopes"),
        read.maybe("instanceUrl"),
        read.flag("refreshable"),
        read.flag("secretRequired"),
        record.place,
        read.text("savedAt"),
        read.maybe("refreshedAt"),
    )
    if found.id != record.id:
        raise read.damaged("its content does not belong to its name")
    return found


def owner_record(owner: SecretOwner) -> SavedRecord:
    """Whose secret it is, as it is kept."""
    members = {
        "app": owner.app,
        "org": owner.org,
        "consumerKey": owner.consumer_key,
        "savedAt": owner.saved_at,
    }
    return SavedRecord("secret", owner.id, owner.place, members)


def owner(record: SavedRecord) -> SecretOwner:
    """Whose secret a record keeps; raises `EcapipeError` (RecordDamaged)."""
    read = _Members(record)
    found = SecretOwner(
        read.text("app"), read.maybe("org"), read.text("consumerKey"), record.place, read.text("savedAt")
    )
    if found.id != record.id:
        raise read.damaged("its content does not belong to its name")
    return found


def owner_id(consumer_key: str) -> str:
    """The id of the record that keeps the secret of this very key: a pair that belongs together."""
    return _id(consumer_key)


def is_id(text: str) -> bool:
    """Whether `text` can name a record."""
    return _ID.fullmatch(text) is not None


def choose(logins: Sequence[SavedLogin], apps: Sequence[str], org: str | None) -> SavedLogin:
    """The one login meant by app names and by what its org goes by: alias, username, host or URL.

    Raises `EcapipeError` (LoginNotKept, LoginAmbiguous).
    """
    found = fitting(logins, apps, org)
    if not found:
        wanted = "@".join(filter(None, (", ".join(apps), org)))
        raise EcapipeError(login_not_kept(wanted, [login.full_name for login in logins], _meant(logins, apps, org)))
    if len(found) > 1:
        raise EcapipeError(login_ambiguous([login.full_name for login in found]))
    return found[0]


def fitting(logins: Iterable[SavedLogin], apps: Sequence[str], org: str | None) -> list[SavedLogin]:
    """The logins that fit; an alias wins over whatever else has the same text."""
    mine = [login for login in logins if not apps or login.app in apps]
    if org is None:
        return mine
    return [login for login in mine if login.org.alias == org] or [login for login in mine if _called(login, org)]


def _called(login: SavedLogin, org: str) -> bool:
    username = login.org.username or ""
    return (
        username.casefold() == org.casefold()
        or org.rstrip("/").casefold() in (login.org.host.casefold(), login.org.url.casefold())
        or (len(org) in (15, 18) and login.org.org_id is not None and same_id(login.org.org_id, org))
    )


def _meant(logins: Sequence[SavedLogin], apps: Sequence[str], org: str | None) -> list[str]:
    hints: list[str] = []
    for app in apps:
        if app not in {login.app for login in logins}:
            hints += did_you_mean(app, [login.app for login in logins])
    if org and not fitting(logins, (), org):
        names = [name for each in logins for name in (each.org.alias, each.org.username, each.org.host) if name]
        hints += did_you_mean(org, names)
    return hints


def _id(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class _Members:
    """The members of a record, each of the type it has to have."""

    def __init__(self, record: SavedRecord) -> None:
        self._record = record

    def text(self, name: str) -> str:
        value = self._record.members.get(name)
        if not isinstance(value, str) or not value:
            raise self.damaged(f"{name} is missing, or no text")
        return value

    def maybe(self, name: str) -> str | None:
        return None if self._record.members.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        value = self._record.members.get(name)
        if not isinstance(value, bool):
            raise self.damaged(f"{name} is missing, or neither true nor false")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._record.members.get(name)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.damaged(f"{name} is missing, or no list of texts")
        return tuple(value)

    def damaged(self, reason: str) -> EcapipeError:
        return EcapipeError(record_damaged(self._record.file, reason))
