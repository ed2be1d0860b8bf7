"""One org: its ids, its people, the apps it knows, and what it has handed out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.emulator.wire import Refused
from ecapipe.secret import Secret

LIFETIME: Final = 15 * 60.0
"""Seconds that an authorization code lives, and a login that nobody finishes."""

SESSION: Final = 2 * 60 * 60.0
"""Seconds that an access token lives: the session timeout of a new org."""

APPROVALS: Final = 5
"""Refresh tokens of one user for one app; one more revokes the oldest."""

REFRESHING: Final = frozenset({"refresh_token", "offline_access"})
"""Scopes that bring a refresh token."""

_TOKEN_LETTERS: Final = string.ascii_letters + string.digits + "._"
_SUFFIX_LETTERS: Final = string.ascii_uppercase + "012345"


@dataclass(frozen=True, slots=True)
class EmulatedPair:
    """A consumer key and its secret."""

    key: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class RegisteredApp:
    """An external client app as orgs know it."""

    name: str
    consumer_key: str
    consumer_secret: Secret | None
    callback_urls: tuple[str, ...]
    scopes: tuple[str, ...]
    """OAuth scope names; empty means what a fresh app has."""
    pkce_required: bool = True
    secret_optional: bool = False
    client_credentials: bool = False
    """Enabled in the settings and in the policies."""
    run_as_user: str | None = None
    """Username that a client credentials login runs as."""
    enabled: bool = True
    """False: an administrator has switched the app, or OAuth for it, off."""
    approved: bool = True
    """False: only users whom an administrator approved may use it, and there are none."""
    orgs: tuple[str, ...] | None = None
    """The orgs that have it; None means all."""
    refresh_tokens: bool = True
    """False: the policies let a refresh token expire at once, so none is issued."""
    rotates: bool = False
    """Every refresh brings a new refresh token, and the old one dies."""
    refresh_needs_secret: bool = True
    introspects_all: bool = False
    """It may introspect the tokens of other apps, too."""
    certificate: str | None = None
    """For the JWT bearer flow: PEM, or the base64 between its BEGIN and END lines."""
    pre_authorized: bool = True
    """False: users approve the app themselves, in a web login, before the JWT bearer flow works for them."""
    more_consumers: tuple[EmulatedPair, ...] = ()
    """Further consumers of the app, each as good as the first."""
    staged: EmulatedPair | None = None
    """What an administrator has staged for the next rotation; not good yet."""
    used: bool = True
    """False: the orgs have no usage data of it until its first login."""

    @property
    def allowed(self) -> tuple[str, ...]:
        """The scopes that can be asked for."""
        return self.scopes or ("api",)


@dataclass(frozen=True, slots=True)
class OrgSetup:
    """An org as its administrator has set it up."""

    name: str
    login_host: bool = False
    """It is no My Domain but a host that many orgs share, as login.salesforce.com: it knows no app."""
    secrets_by_rest: bool = True
    """The switch "Allow access to External Client App consumer secrets via REST API"."""
    may_view_secrets: bool = True
    """Its users have the permission "View Client Secret"."""


@dataclass(frozen=True, slots=True)
class EmulatedUser:
    """A person, or an integration user that only client credentials log in."""

    id: str
    username: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """What an app asked of a person: open until `user` is known, then the content of a code."""

    app: RegisteredApp
    redirect_uri: str
    state: str | None
    scopes: tuple[str, ...]
    challenge: str | None
    hint: str
    since: float
    user: EmulatedUser | None = None


@dataclass(slots=True, eq=False)
class Approval:
    """What a person allowed an app for good. `refresh_token` is the one that counts; rotation changes it."""

    app: RegisteredApp
    user: EmulatedUser
    scopes: tuple[str, ...]
    since: float
    refresh_token: str


@dataclass(frozen=True, slots=True)
class EmulatedSession:
    """What an access token stands for."""

    app: RegisteredApp
    user: EmulatedUser
    scopes: tuple[str, ...]
    since: float
    approval: Approval | None


class EmulatedOrg:
    """An org at `url`, the `number`th of its emulator. It is used from one thread, so it needs no lock."""

    def __init__(
        self, setup: OrgSetup, number: int, url: str, apps: Iterable[RegisteredApp], clock: Callable[[], float]
    ) -> None:
        self.setup = setup
        self.name = name = setup.name
        self.url = url
        self.clock = clock
        self.id = full_id(f"00D{number:012}")
        self._number = number
        apps = tuple(apps)
        self.apps = tuple(app for app in apps if not setup.login_host and (app.orgs is None or name in app.orgs))
        self._everywhere = {key for app in apps for key in _consumers(app)}
        self._apps = {key: one for app in self.apps for key, one in _consumers(app).items()}
        self._used: set[str] = set()
        self._users: dict[str, EmulatedUser] = {}
        self._open: dict[str, Authorization] = {}
        self._codes: dict[str, Authorization] = {}
        self._sessions: dict[str, EmulatedSession] = {}
        self._approvals: dict[str, Approval] = {}
        """By each refresh token that was ever issued for it, as long as it is not revoked."""
        self.person = self.user(f"user@{name}.example")
        self.password = secrets.token_urlsafe(9)

    def app(self, consumer_key: str) -> RegisteredApp:
        """The app with this key, or refusal."""
        try:
            return self._apps[consumer_key]
        except KeyError:
            raise Refused("invalid_client_id", "client identifier invalid") from None

    def lacks(self, consumer_key: str) -> bool:
        """Whether the key belongs to an app that is there, but not in this org."""
        return consumer_key in self._everywhere and consumer_key not in self._apps

    def user(self, username: str) -> EmulatedUser:
        """The user of this name, who exists from the first time the name is said."""
        new = EmulatedUser(full_id(f"005{self._number:06}{len(self._users) + 1:06}"), username)
        return self._users.setdefault(username, new)

    def known(self, username: str) -> EmulatedUser | None:
        """The user of this name, if it is the person or one that an app runs as."""
        robots = {app.run_as_user for app in self.apps}
        return self.user(username) if username == self.person.username or username in robots else None

    def uses(self, app: RegisteredApp) -> bool:
        """Whether there is usage data of the app."""
        return app.used or app.name in self._used

    @property
    def users(self) -> tuple[EmulatedUser, ...]:
        """Everybody who exists, the person first."""
        return tuple(self._users.values())

    def identity(self, user: EmulatedUser) -> str:
        """The identity URL, the ``id`` of a token answer."""
        return f"{self.url}/id/{self.id}/{user.id}"

    def sign_in(self, username: str, password: str) -> EmulatedUser | None:
        """The person, if that is the right password."""
        right = hmac.compare_digest(password.encode(), self.password.encode())
        return self.person if right and username == self.person.username else None

    def hold(self, authorization: Authorization) -> str:
        """Keep an authorization while its person looks at a page; the id is good for one form."""
        handle = secrets.token_urlsafe(32)
        self._open[handle] = authorization
        return handle

    def resume(self, handle: str) -> Authorization:
        """The authorization a form belongs to; a form sent twice or too late is refused."""
        authorization = self._open.pop(handle, None)
        if authorization is None or self.clock() - authorization.since >= LIFETIME:
            raise Refused("invalid_request", "this login was already used or has expired")
        return authorization

    def code(self, authorization: Authorization) -> str:
        """A new authorization code."""
        code = f"aPrx{_chance(76)}=="
        self._codes[code] = replace(authorization, since=self.clock())
        return code

    def redeem(self, code: str, app: RegisteredApp) -> tuple[Authorization, EmulatedUser]:
        """What was allowed, and by whom. A code works once, also when that once is a failure."""
        authorization = self._codes.pop(code, None)
        if authorization is None or authorization.user is None or authorization.app is not app:
            raise Refused("invalid_grant", "invalid authorization code")
        if self.clock() - authorization.since >= LIFETIME:
            raise Refused("invalid_grant", "expired authorization code")
        return authorization, authorization.user

    def log_in(
        self, app: RegisteredApp, user: EmulatedUser, scopes: tuple[str, ...], *, lasting: bool
    ) -> dict[str, str]:
        """A token answer. Only a `lasting` login gets a refresh token, and only if scopes and policies say so."""
        if not (lasting and app.refresh_tokens and REFRESHING.intersection(scopes)):
            return self._issue(app, user, scopes, None)
        oldest_first = dict.fromkeys(self._approvals.values())
        mine = [one for one in oldest_first if one.app is app and one.user == user]
        if len(mine) >= APPROVALS:
            self._end(mine[0])
        approval = Approval(app, user, scopes, self.clock(), _refresh_token())
        self._approvals[approval.refresh_token] = approval
        return self._issue(app, user, scopes, approval) | {"refresh_token": approval.refresh_token}

    def refresh(self, refresh_token: str, app: RegisteredApp) -> dict[str, str]:
        """A token answer without a person; with rotation it brings the next refresh token.

        A refresh token from before a rotation may be in a thief's hands: using it ends the approval.
        """
        approval = self._approvals.get(refresh_token)
        if approval is None or approval.app is not app:
            raise Refused("invalid_grant", "expired access/refresh token")
        if approval.refresh_token != refresh_token:
            self._end(approval)
            raise Refused("invalid_grant", "expired access/refresh token")
        answer = self._issue(app, approval.user, approval.scopes, approval)
        if not app.rotates:
            return answer
        approval.refresh_token = _refresh_token()
        self._approvals[approval.refresh_token] = approval
        return answer | {"refresh_token": approval.refresh_token}

    def session(self, access_token: str) -> EmulatedSession | None:
        """What the token stands for, if it is one of this org's, not revoked and not expired."""
        session = self._sessions.get(access_token)
        return session if session and self.clock() - session.since < SESSION else None

    def approval(self, refresh_token: str) -> Approval | None:
        """What the refresh token stands for, if it counts."""
        approval = self._approvals.get(refresh_token)
        return approval if approval and approval.refresh_token == refresh_token else None

    def approved(self, app: RegisteredApp, user: EmulatedUser) -> bool:
        """Whether the user has approved the app and not revoked it since."""
        return any(one.app is app and one.user == user for one in self._approvals.values())

    def revoke(self, token: str) -> None:
        """End an access token, or a refresh token together with all access tokens issued for it."""
        approval = self.approval(token)
        if approval is not None:
            self._end(approval)
        elif self._sessions.pop(token, None) is None:
            raise Refused("invalid_token", "token is invalid, expired or revoked")

    def _end(self, approval: Approval) -> None:
        self._approvals = {token: one for token, one in self._approvals.items() if one is not approval}
        self._sessions = {token: one for token, one in self._sessions.items() if one.approval is not approval}

    def _issue(
        self, app: RegisteredApp, user: EmulatedUser, scopes: tuple[str, ...], approval: Approval | None
    ) -> dict[str, str]:
        self._used.add(app.name)
        access_token = f"{self.id[:15]}!AQ{_chance(94)}"
        now = self.clock()
        self._sessions[access_token] = EmulatedSession(app, user, scopes, now, approval)
        issued_at = str(int(now * 1000))
        answer = {"access_token": access_token}
        if app.consumer_secret is not None:
            signed = (self.identity(user) + issued_at).encode()
            digest = hmac.digest(app.consumer_secret.reveal().encode(), signed, hashlib.sha256)
            answer["signature"] = base64.b64encode(digest).decode()
        return answer | {
            "scope": " ".join(scopes),
            "instance_url": self.url,
            "id": self.identity(user),
            "token_type": "Bearer",
            "issued_at": issued_at,
            "token_format": "opaque",
        }


def _consumers(app: RegisteredApp) -> dict[str, RegisteredApp]:
    """The app under each of its keys."""
    return {app.consumer_key: app} | {
        pair.key: replace(app, consumer_key=pair.key, consumer_secret=pair.secret) for pair in app.more_consumers
    }


def full_id(short: str) -> str:
    """The 18-character form of a 15-character id: three letters tell which characters are capitals."""
    chunks = (short[at : at + 5] for at in (0, 5, 10))
    return short + "".join(
        _SUFFIX_LETTERS[sum(1 << at for at, letter in enumerate(chunk) if letter in string.ascii_uppercase)]
        for chunk in chunks
    )


def _refresh_token() -> str:
    return f"5Aep861{_chance(80)}"


def _chance(length: int) -> str:
    return "".join(secrets.choice(_TOKEN_LETTERS) for _ in range(length))
