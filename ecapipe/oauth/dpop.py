"""Proofs of possession (DPoP, RFC 9449): the JWTs that bind a token to a key, and what an org says of them."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

from ecapipe.oauth.grants import base64url
from ecapipe.secret import Secret

TokenType = Literal["Bearer", "DPoP"]
"""The scheme of the header that a token goes in (RFC 6750 §2.1, RFC 9449 §7.1)."""

NONCE_WANTED: Final = "use_dpop_nonce"

_NONCE: Final = re.compile(r"[!#-\[\]-~]{1,1024}")
"""RFC 9449 §8.1; those of servers have some 40 characters."""


class ProofKey(Protocol):
    """A private key on the curve P-256, of one login."""

    @property
    def x(self) -> bytes: ...

    @property
    def y(self) -> bytes:
        """With `x` the public key, 32 bytes each, the first ones most significant."""

    @property
    def secret(self) -> Secret:
        """What `ProofKeys.load` makes the same key of."""

    def sign(self, data: bytes) -> bytes:
        """The ES256 signature of `data`, 64 bytes (RFC 7518 §3.4)."""


class ProofKeys(Protocol):
    """Makes keys for proofs."""

    def new(self) -> ProofKey: ...

    def load(self, secret: Secret) -> ProofKey | None:
        """The key that was saved; None for what is none."""


def thumbprint(key: ProofKey) -> str:
    """The thumbprint of the public key: ``dpop_jkt`` of an authorize request (RFC 9449 §10, RFC 7638)."""
    return base64url(hashlib.sha256(_encode(_public(key))).digest())


def sign_proof(
    key: ProofKey,
    method: str,
    url: str,
    *,
    at: float,
    random: bytes,
    nonce: str | None = None,
    token: Secret | None = None,
) -> Secret:
    """The proof for one request (RFC 9449 §4.2).

    `at` is in seconds since 1970; `random` tells it from all others; `nonce` is the last that the host named;
    `token` the access token that goes with it.
    """
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": _public(key)}
    claims: dict[str, object] = {"jti": base64url(random), "htm": method, "htu": target(url), "iat": int(at)}
    if nonce is not None:
        claims["nonce"] = nonce
    if token is not None:
        claims["ath"] = base64url(hashlib.sha256(token.reveal().encode("ascii")).digest())
    content = ".".join(base64url(_encode(part)) for part in (header, claims))
    return Secret(f"{content}.{base64url(key.sign(content.encode('ascii')))}")


def target(url: str) -> str:
    """The ``htu`` of a URL: without query and fragment, normalized as RFC 3986 §6.2.2 and §6.2.3 say; the path prefix
    of an Experience Cloud site is a part of it."""
    return f"{origin(url)}{urlsplit(url).path or '/'}"


def origin(url: str) -> str:
    """What has a nonce of its own: scheme, host, and the port unless it is the usual one."""
    parts = urlsplit(url)
    host, port = (parts.hostname or ""), parts.port
    if ":" in host:
        host = f"[{host}]"
    if port in (None, {"http": 80, "https": 443}.get(parts.scheme)):
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{port}"


def read_nonce(header: str | None) -> str | None:
    """The nonce of a ``DPoP-Nonce`` header, if it is one."""
    if header is None or not _NONCE.fullmatch(header):
        return None
    return header


def read_challenge(header: str | None) -> str | None:
    """The ``error`` of the DPoP challenge in a ``WWW-Authenticate`` header (RFC 9449 §7.1, §9)."""
    match = re.search(r'(?:^|[\s,])DPoP\s[^\n]{0,500}?\berror="([a-z_]{1,40})"', (header or "")[:2000], re.IGNORECASE)
    return match and match[1]


def _public(key: ProofKey) -> dict[str, str]:
    # In the order of RFC 7638 §3.2, and no other members: the thumbprint is made of this.
    return {"crv": "P-256", "kty": "EC", "x": base64url(key.x), "y": base64url(key.y)}


def _encode(part: object) -> bytes:
    return json.dumps(part, separators=(",", ":")).encode("ascii")
