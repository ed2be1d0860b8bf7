"""What a token is asked for with: the grants, and the signed assertion of the JWT flow."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from ecapipe.project.apps import Flow
from ecapipe.secret import Secret

_ASSERTION_LIFE: Final = 150
"""Seconds. Salesforce allows 180: what is left serves clocks that are a little fast."""

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
    """RFC 6749 §6: what a login that is kept goes on with. With rotation it is good for one use."""

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
    chance: Callable[[int], bytes],
) -> JwtBearer:
    """A grant for `username` without a person (RFC 7523 §3; Salesforce Help, "OAuth 2.0 JWT Bearer Flow").

    `sign` makes RS256 signatures, `now` is in seconds since 1970, `chance` gives random bytes. There is no ``iat``
    or ``nbf``: a clock that is a little fast would make them lie in the org's future.
    """
    claims = {
        "iss": consumer_key,
        "sub": username,
        "aud": audience,
        "exp": int(now) + _ASSERTION_LIFE,
        "jti": base64url(chance(16)),
    }
    parts = [base64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
    signed = ".".join(parts)
    return JwtBearer(Secret(f"{signed}.{base64url(sign(signed.encode('ascii')))}"))


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
