"""The grants that are exchanged for a token, and the signed assertion of the JWT flow."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from ecapipe.project.apps import Flow
from ecapipe.secret import Secret

_ASSERTION_LIFE: Final = 150
"""Seconds. Salesforce allows 180; the rest is for clocks that are a little fast."""

WITHOUT_CALLBACK: Final[tuple[Flow, ...]] = ("client-credentials", "jwt")
"""The flows that need nothing from the settings file but key and secret."""


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """RFC 6749 §4.1.3, with the PKCE verifier (RFC 7636 §4.5) and the redirect_uri of the authorize request."""

    code: Secret
    redirect_uri: str
    code_verifier: Secret


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """RFC 6749 §4.4."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """RFC 6749 §6: what continues a saved login. With rotation it can be used once."""

    refresh_token: Secret


@dataclass(frozen=True, slots=True)
class JwtBearer:
    """RFC 7523 §2.1: a signed assertion, which lives for minutes and is sent once."""

    assertion: Secret


Grant = AuthorizationCode | ClientCredentials | JwtBearer | RefreshToken


def flow_of(grant: Grant) -> Flow:
    """The flow that `grant` belongs to."""
    match grant:
        case AuthorizationCode() | RefreshToken():
            return "web"
        case ClientCredentials():
            return "client-credentials"
        case JwtBearer():
            return "jwt"
        case _:
            assert_never(grant)


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


def base64url(data: bytes) -> str:
    """Base64 for URLs, without padding (RFC 7515, appendix C)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
