"""The JWT bearer flow: an assertion, signed with a private key, logs in a user (RFC 7523)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from ecapipe.credentials.sources import ClientIdentity
from ecapipe.oauth.flows.flow import Means, UnattendedFlow
from ecapipe.oauth.grants import Grant, base64url
from ecapipe.orgs.org import assertion_audience
from ecapipe.problems.credentials import jwt_username_missing
from ecapipe.problems.problem import EcapipeError, command
from ecapipe.problems.usage import usage_error
from ecapipe.project.apps import App
from ecapipe.secret import Secret

# Every command loads the flows.
if TYPE_CHECKING:
    from ecapipe.oauth.flows.plans import GrantInput, GrantPlan
    from ecapipe.oauth.signing import PrivateKey

_ASSERTION_LIFE: Final = 150
"""Seconds. Salesforce allows 180; the rest is for clocks that are a little fast."""


@dataclass(frozen=True, slots=True)
class JwtBearer(Grant):
    """RFC 7523 §2.1: a signed assertion, which lives for minutes and is sent once."""

    place = "jwt"
    assertion: Secret

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self.assertion,)

    def fields(self, client: ClientIdentity) -> dict[str, str]:
        # An assertion is the authentication itself (RFC 7523 §3.1): no secret goes with it.
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": self.assertion.reveal(),
        }


class JwtFlow(UnattendedFlow):
    name = "jwt"
    title = "JWT bearer"
    lacking = "this flow needs a private key, and --jwt-key-file specifies none"
    lacking_in_auto = (
        f"the only flow that it allows without a browser is {name}, and --jwt-key-file specifies no private key"
    )
    signs = hands_over_key = True
    # Some orgs leave the certificate out of a retrieve.
    settings_decide = False
    # The flow follows from the key: without one, asking for the flow would only fail again.
    advice = "Use --jwt-key-file PATH, with the private key of the app's certificate."
    advice_without_secret = "Log in with a private key instead: --jwt-key-file PATH"  # noqa: S105

    def allowed_by(self, app: App) -> bool:
        return certificate(app) is not None

    def refusal(self, app: App) -> str:
        return "its settings file has no certificate (some orgs omit it from a retrieve: add it to the file)"

    def usable(self, means: Means) -> bool:
        return means.key

    def plan(self, given: GrantInput) -> GrantPlan:
        """Raises `EcapipeError`: JwtUsernameMissing, UsageError, and the problems of a key that cannot be used."""
        from ecapipe.oauth.flows.plans import GrantPlan

        app, org = given.app, given.org
        username = org.username
        if username is None:
            raise EcapipeError(jwt_username_missing(app.name, org.name))
        require_audience(given.audience)
        audience = given.audience or assertion_audience(org)
        key_file = given.key_file or ""
        # The passphrase, if the key has one, is asked for here, before anything is sent.
        key = given.read_key(key_file)
        doubts = tuple(_doubts(app, key, key_file, given.utc()))

        def sign(ahead: float) -> JwtBearer:
            at = datetime.fromisoformat(given.utc()).timestamp() + ahead
            return sign_assertion(given.consumer_key, username, audience, key.sign, at, given.random_bytes)

        facts = {"audience": audience, "username": username, "keyFile": key_file}
        return GrantPlan(sign, facts, doubts)


JWT: Final = JwtFlow()


def certificate(app: App) -> str | None:
    """The certificate that Salesforce verifies assertions of `app` with."""
    return app.settings.document.text("certificate") if app.settings else None


def require_audience(audience: str | None) -> None:
    """Raises `EcapipeError` (UsageError) for one that is no URL."""
    if audience is not None and not re.fullmatch(r"https?://[!-~]+", audience):
        raise EcapipeError(usage_error("SF_AUDIENCE_URL is not a URL.", "ecapipe run"))


def _doubts(app: App, key: PrivateKey, key_file: str, now: str) -> Iterator[str]:
    """Sentences about what may be wrong with the key."""
    if key.open_to_others:
        yield f"Other users of this machine can read the private key: {command('chmod 600', key_file)}"
    public = certificate(app)
    if app.settings and public is None:
        yield f"The settings of {app.name} contain no certificate. Some orgs omit it from a retrieve."
    elif public and (doubt := key.doubt(public, now)):
        yield f"The certificate in the settings of {app.name} {doubt}."


def sign_assertion(
    consumer_key: str,
    username: str,
    audience: str,
    sign: Callable[[bytes], bytes],
    now: float,
    random_bytes: Callable[[int], bytes],
) -> JwtBearer:
    """A grant for `username` without a person (RFC 7523 §3; Salesforce Help, "OAuth 2.0 JWT Bearer Flow").

    `sign` makes RS256 signatures, `now` is in seconds since 1970.
    """
    # No iat and no nbf: a clock that is a little fast would make them lie in the org's future.
    claims = {
        "iss": consumer_key,
        "sub": username,
        "aud": audience,
        "exp": int(now) + _ASSERTION_LIFE,
        # An org may accept each id only once (RFC 7523 §3), so that a repeated request needs another one.
        "jti": base64url(random_bytes(16)),
    }
    parts = [base64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
    content = ".".join(parts)
    return JwtBearer(Secret(f"{content}.{base64url(sign(content.encode('ascii')))}"))
