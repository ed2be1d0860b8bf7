"""The JWT bearer flow: an assertion, signed with a private key, logs in a user (RFC 7523)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ecapipe.credentials.sources import ClientIdentity
from ecapipe.oauth.flows.flow import Flow, Means
from ecapipe.oauth.grants import Grant, base64url
from ecapipe.project.apps import App
from ecapipe.secret import Secret

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


class JwtFlow(Flow):
    name = "jwt"
    title = "JWT bearer"
    lacking = "this flow needs a private key, and --jwt-key-file specifies none"
    lacking_in_auto = (
        f"the only flow that it allows without a browser is {name}, and --jwt-key-file specifies no private key"
    )
    signs = True
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


JWT: Final = JwtFlow()


def certificate(app: App) -> str | None:
    """The certificate that Salesforce verifies assertions of `app` with."""
    return app.settings.document.text("certificate") if app.settings else None


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
