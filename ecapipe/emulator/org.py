"""One org: its ids, its users, the apps it knows, and the codes, sessions and approvals it has granted."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

from ecapipe.emulator.proofs import Proofs
from ecapipe.emulator.registration import EmulatedPair, OrgSetup, RegisteredApp
from ecapipe.emulator.wire import Call, OAuthError
from ecapipe.secret import Secret

LIFETIME: Final = 15 * 60.0
"""Seconds that an authorization code lives, and a login that nobody finishes."""

SESSION: Final = 2 * 60 * 60.0
"""Seconds that an access token lives: the session timeout of a new org."""

APPROVALS: Final = 5
"""Approvals of one user for one app, each with a refresh token; one more revokes the oldest."""

STAGED_LIFETIME: Final = 30 * 24 * 60 * 60.0
"""Seconds that a pair lives in the slot of a consumer."""

REFRESHING: Final = frozenset({"refresh_token", "offline_access"})
"""Scopes that bring a refresh token."""

# The forms of ids and tokens are Salesforce's: clients recognize them, and secret scanners look for them.
_TOKEN_LETTERS: Final = string.ascii_letters + string.digits + "._"
_SUFFIX_LETTERS: Final = string.ascii_uppercase + "012345"


@dataclass(slots=True)
class Staged:
    """The pair in the slot of a consumer, which is as good as the one in force for as long as it is there: staged for
    the next rotation (Active), or in force until the last one (Rotated)."""

    id: str
    app: RegisteredApp
    """The app with this pair."""
    state: Literal["Active", "Rotated"]
    created_by: str
    created: float
    since: float
    """Seconds since the epoch when it came into the slot."""

    @property
    def ends(self) -> float:
        return self.since + STAGED_LIFETIME


@dataclass(slots=True, eq=False)
class EmulatedConsumer:
    """A consumer of an app in one org: `app` has the pair that is in force."""

    id: str
    app: RegisteredApp
    slot: Staged | None = None


@dataclass(frozen=True, slots=True)
class EmulatedUser:
    """A person, or an integration user that only client credentials log in."""

    id: str
    username: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """An authorization request: open until `user` is known, then what a code stands for."""

    app: RegisteredApp
    redirect_uri: str
    state: str | None
    scopes: tuple[str, ...]
    challenge: str | None
    hint: str
    since: float
    user: EmulatedUser | None = None
    thumbprint: str | None = None
    """Of the key that its code is bound to."""


@dataclass(slots=True, eq=False)
class Approval:
    """A person's lasting approval of an app. `refresh_token` is the current one; rotation changes it."""

    app: RegisteredApp
    user: EmulatedUser
    scopes: tuple[str, ...]
    since: float
    refresh_token: str
    thumbprint: str | None = None
    """Of the key that its tokens are bound to."""


@dataclass(frozen=True, slots=True)
class EmulatedSession:
    """What an access token stands for."""

    app: RegisteredApp
    user: EmulatedUser
    scopes: tuple[str, ...]
    since: float
    approval: Approval | None
    thumbprint: str | None = None
    """Of the key that the token is bound to."""


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
        self._all_keys = {key for app in apps for key in _keys(app)}
        self._consumers = {
            app.name: [
                EmulatedConsumer(full_id(f"888{position:06}{number:06}"), each)
                for number, each in enumerate(_each_pair(app), 1)
            ]
            for position, app in enumerate(self.apps, 1)
        }
        self._owners = {each.app.consumer_key: each for own in self._consumers.values() for each in own}
        """The consumer of every key there ever was: what was granted with an old one is good with the next."""
        self._staged_count = 0
        self._app_names: set[str] = set()
        """Of the apps that somebody has logged in with."""
        self._users: dict[str, EmulatedUser] = {}
        self._pending: dict[str, Authorization] = {}
        self._codes: dict[str, Authorization] = {}
        self._sessions: dict[str, EmulatedSession] = {}
        self._approvals: dict[str, Approval] = {}
        """By each refresh token that was ever issued for it, as long as it is not revoked."""
        # The person comes first: numbers, and with them ids, follow the order in which users are first named.
        self.person = self.user(f"user@{name}.example")
        self.password = secrets.token_urlsafe(9)
        self.proofs = Proofs(url, clock)
        for app in self.apps:
            if app.staged:
                self._put_into_slot(self._consumers[app.name][0], app.staged, self.person)

    def app(self, consumer_key: str) -> RegisteredApp:
        """The app with this key; raises OAuthError."""
        consumer = self._owners.get(consumer_key)
        if consumer:
            slot = self.slot(consumer)
            for app in [consumer.app, slot.app] if slot else [consumer.app]:
                if app.consumer_key == consumer_key:
                    return app
        raise OAuthError("invalid_client_id", "client identifier invalid")

    def lacks(self, consumer_key: str) -> bool:
        """Whether the key belongs to an app of other orgs, but not of this one."""
        return consumer_key in self._all_keys and consumer_key not in self._owners

    def same(self, one: RegisteredApp, other: RegisteredApp) -> bool:
        """Whether both are one consumer of one app, be it with different pairs."""
        return self._owners[one.consumer_key] is self._owners[other.consumer_key]

    def consumers(self, app: RegisteredApp) -> list[EmulatedConsumer]:
        """The consumers of an app, each with the pair that is in force."""
        return self._consumers[app.name]

    def slot(self, consumer: EmulatedConsumer) -> Staged | None:
        """The pair in the slot of a consumer, unless it has expired."""
        if consumer.slot and self.clock() >= consumer.slot.ends:
            consumer.slot = None
        return consumer.slot

    def stage(self, consumer: EmulatedConsumer, user: EmulatedUser) -> Staged | None:
        """Put a new pair into the slot of a consumer; None if there is one already."""
        if self.slot(consumer):
            return None
        pair = EmulatedPair(f"3MVG9{_random(80)}", Secret(secrets.token_hex(32).upper()))
        return self._put_into_slot(consumer, pair, user)

    def rotate(self, consumer: EmulatedConsumer) -> Staged | None:
        """Exchange the staged pair and the one in force, which gets a new id in the slot; None if none is staged."""
        staged = self.slot(consumer)
        if staged is None or staged.state != "Active":
            return None
        old, consumer.app = consumer.app, staged.app
        now = self.clock()
        consumer.slot = Staged(self._staged_id(), old, "Rotated", staged.created_by, created=now, since=now)
        return consumer.slot

    def _put_into_slot(self, consumer: EmulatedConsumer, pair: EmulatedPair, user: EmulatedUser) -> Staged:
        app, now = replace(consumer.app, consumer_key=pair.key, consumer_secret=pair.secret), self.clock()
        consumer.slot = Staged(self._staged_id(), app, "Active", user.id, created=now, since=now)
        self._owners[pair.key] = consumer
        return consumer.slot

    def _staged_id(self) -> str:
        self._staged_count += 1
        return full_id(f"1SC{self._number:06}{self._staged_count:06}")

    def user(self, username: str) -> EmulatedUser:
        """The user of this name, who is created with the first request for it."""
        user = EmulatedUser(full_id(f"005{self._number:06}{len(self._users) + 1:06}"), username)
        return self._users.setdefault(username, user)

    def known(self, username: str) -> EmulatedUser | None:
        """The user of this name, if it is the person or one that an app runs as."""
        # Others are not created: an assertion may name anybody.
        if username not in {self.person.username, *(app.run_as_user for app in self.apps)}:
            return None
        return self.user(username)

    def uses(self, app: RegisteredApp) -> bool:
        """Whether there is usage data of the app."""
        return app.used or app.name in self._app_names

    @property
    def users(self) -> tuple[EmulatedUser, ...]:
        """Everybody who exists, the person first."""
        return tuple(self._users.values())

    def identity(self, user: EmulatedUser) -> str:
        """The identity URL, the ``id`` of a token answer."""
        return f"{self.url}/id/{self.id}/{user.id}"

    def sign_in(self, username: str, password: str) -> EmulatedUser | None:
        """The person, if that is the right password."""
        # In constant time, so that the time of an answer does not tell how much of a guess is right.
        if not hmac.compare_digest(password.encode(), self.password.encode()):
            return None
        if username != self.person.username:
            return None
        return self.person

    def suspend(self, authorization: Authorization) -> str:
        """Store an authorization while its person looks at a page; the handle is good for one form."""
        handle = secrets.token_urlsafe(32)
        self._pending[handle] = authorization
        return handle

    def resume(self, handle: str) -> Authorization:
        """The authorization that a form belongs to; raises OAuthError for a form sent twice or too late."""
        authorization = self.pending(handle)
        # Taken out: the handle stands in for a session cookie, and a form must not be sent again by a stranger.
        del self._pending[handle]
        return authorization

    def pending(self, handle: str) -> Authorization:
        """The same, for a page that may be looked at again."""
        authorization = self._pending.get(handle)
        if authorization is None or self.clock() - authorization.since >= LIFETIME:
            raise OAuthError("invalid_request", "this login was already used or has expired")
        return authorization

    def code(self, authorization: Authorization) -> str:
        """A new authorization code."""
        code = f"aPrx{_random(76)}=="
        self._codes[code] = replace(authorization, since=self.clock())
        return code

    def redeem(self, code: str, app: RegisteredApp) -> tuple[Authorization, EmulatedUser]:
        """What a code stands for, and the user who allowed it; raises OAuthError."""
        # A code is gone with its first use, also if that fails (RFC 6749, section 4.1.2).
        authorization = self._codes.pop(code, None)
        if authorization is None or authorization.user is None or not self.same(authorization.app, app):
            raise OAuthError("invalid_grant", "invalid authorization code")
        if self.clock() - authorization.since >= LIFETIME:
            raise OAuthError("invalid_grant", "expired authorization code")
        return authorization, authorization.user

    def log_in(
        self,
        app: RegisteredApp,
        user: EmulatedUser,
        scopes: tuple[str, ...],
        *,
        lasting: bool,
        thumbprint: str | None = None,
    ) -> dict[str, str]:
        """A token answer; the tokens are bound to the key with `thumbprint`, if there is one. Only a `lasting` login
        gets a refresh token, and only if scopes and policies say so. Raises OAuthError where a key is missing."""
        if app.dpop_required and thumbprint is None:
            raise OAuthError("invalid_dpop_proof", "DPoP proof is required")
        if not (lasting and app.refresh_tokens and REFRESHING.intersection(scopes)):
            return self._issue(app, user, scopes, None, thumbprint)
        # Without duplicates: after rotations an approval is there under several tokens.
        oldest_first = dict.fromkeys(self._approvals.values())
        approvals = [approval for approval in oldest_first if self.same(approval.app, app) and approval.user == user]
        if len(approvals) >= APPROVALS:
            self._end(approvals[0])
        approval = Approval(app, user, scopes, self.clock(), _refresh_token(), thumbprint)
        self._approvals[approval.refresh_token] = approval
        return self._issue(app, user, scopes, approval, thumbprint) | {"refresh_token": approval.refresh_token}

    def refresh(self, refresh_token: str, app: RegisteredApp, thumbprint: str | None = None) -> dict[str, str]:
        """A token answer without a person, with rotation also the next refresh token; raises OAuthError, also for one
        that is bound to another key."""
        approval = self._approvals.get(refresh_token)
        if approval is None or not self.same(approval.app, app):
            raise OAuthError("invalid_grant", "expired access/refresh token")
        if approval.thumbprint != thumbprint:
            raise OAuthError("invalid_dpop_proof", "the refresh token is bound to another key, or to none")
        # A token from before a rotation: one of two who have it is a thief, so the approval ends (RFC 9700, 4.14.2).
        if approval.refresh_token != refresh_token:
            self._end(approval)
            raise OAuthError("invalid_grant", "expired access/refresh token")
        answer = self._issue(app, approval.user, approval.scopes, approval, thumbprint)
        if not app.rotates:
            return answer
        approval.refresh_token = _refresh_token()
        self._approvals[approval.refresh_token] = approval
        return answer | {"refresh_token": approval.refresh_token}

    def session(self, access_token: str) -> EmulatedSession | None:
        """What the token stands for, if it is one of this org's, not revoked and not expired."""
        session = self._sessions.get(access_token)
        if session is None or self.clock() - session.since >= SESSION:
            return None
        return session

    def admit(self, call: Call) -> EmulatedSession | None:
        """The session of a request to a resource: that of its token, with a proof where the token is bound to a key.

        Raises OAuthError for a proof that does not fit.
        """
        token = call.access_token or ""
        session = self.session(token)
        bound = call.authorization[:5].lower() == "dpop "
        if session is None or bound != (session.thumbprint is not None):
            return None
        if bound and self.proofs.verify(call, token) != session.thumbprint:
            return None
        return session

    def approval(self, refresh_token: str) -> Approval | None:
        """What the refresh token stands for, if it is the current one."""
        approval = self._approvals.get(refresh_token)
        if approval is None or approval.refresh_token != refresh_token:
            return None
        return approval

    def approved(self, app: RegisteredApp, user: EmulatedUser) -> bool:
        """Whether the user has approved the app and not revoked it since."""
        return any(self.same(each.app, app) and each.user == user for each in self._approvals.values())

    def revoke(self, token: str) -> None:
        """End an access token, or a refresh token and all access tokens issued for it; raises OAuthError."""
        approval = self.approval(token)
        if approval is not None:
            self._end(approval)
        elif self._sessions.pop(token, None) is None:
            raise OAuthError("invalid_token", "token is invalid, expired or revoked")

    def _end(self, approval: Approval) -> None:
        self._approvals = {token: other for token, other in self._approvals.items() if other is not approval}
        self._sessions = {token: other for token, other in self._sessions.items() if other.approval is not approval}

    def _issue(
        self,
        app: RegisteredApp,
        user: EmulatedUser,
        scopes: tuple[str, ...],
        approval: Approval | None,
        thumbprint: str | None,
    ) -> dict[str, str]:
        self._app_names.add(app.name)
        access_token = f"{self.id[:15]}!AQ{_random(94)}"
        now = self.clock()
        self._sessions[access_token] = EmulatedSession(app, user, scopes, now, approval, thumbprint)
        issued_at = str(int(now * 1000))
        answer = {"access_token": access_token}
        # A public client has no secret to check a signature with.
        if app.consumer_secret is not None:
            signed = (self.identity(user) + issued_at).encode()
            digest = hmac.digest(app.consumer_secret.reveal().encode(), signed, hashlib.sha256)
            answer["signature"] = base64.b64encode(digest).decode()
        return answer | {
            "scope": " ".join(scopes),
            "instance_url": self.url,
            "id": self.identity(user),
            "token_type": "DPoP" if thumbprint else "Bearer",
            "issued_at": issued_at,
            "token_format": "opaque",
        }


def _keys(app: RegisteredApp) -> list[str]:
    return [app.consumer_key, *(pair.key for pair in app.more_consumers)]


def _each_pair(app: RegisteredApp) -> list[RegisteredApp]:
    """The app with each pair of its consumers."""
    return [app, *(replace(app, consumer_key=each.key, consumer_secret=each.secret) for each in app.more_consumers)]


def timestamp(seconds: float) -> str:
    """A time as the REST API writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def full_id(short: str) -> str:
    """The 18-character form of a 15-character id: three letters tell which characters are capitals."""
    chunks = (short[start : start + 5] for start in (0, 5, 10))
    return short + "".join(_SUFFIX_LETTERS[_capitals(chunk)] for chunk in chunks)


def _capitals(chunk: str) -> int:
    """A number with a bit for each capital, the first letter in the lowest."""
    return sum(1 << bit for bit, letter in enumerate(chunk) if letter in string.ascii_uppercase)


def _refresh_token() -> str:
    return f"5Aep861{_random(80)}"


def _random(length: int) -> str:
    return "".join(secrets.choice(_TOKEN_LETTERS) for _ in range(length))
