"""Assertions of the JWT bearer flow (RFC 7523): whose they are, whom they name, and whether that is signed."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from ecapipe.emulator import clients
from ecapipe.emulator.org import EmulatedOrg, RegisteredApp
from ecapipe.emulator.wire import Refused

LONGEST: Final = 180.0
"""Seconds that an assertion may have left."""

SKEW: Final = 60.0
"""Seconds by which a client's clock may be wrong, in either direction."""

_LOGIN_URLS: Final = ("https://login.salesforce.com", "https://test.salesforce.com")
_MILLISECONDS: Final = 1e11
"""From here a time is one in milliseconds: the Salesforce CLI writes such, and Salesforce takes them."""

_NO_TIME: Final = 1e15


def verify(org: EmulatedOrg, assertion: str) -> tuple[RegisteredApp, str]:
    """The app that signed the assertion, and the username it asks for; anything wrong is refused."""
    signed, _, signature = assertion.rpartition(".")
    header, claims = _members(signed)
    issuer, subject = claims.get("iss"), claims.get("sub")
    if header.get("alg") != "RS256" or not isinstance(issuer, str) or not isinstance(subject, str):
        raise _invalid()
    if org.lacks(issuer):
        raise Refused("OAUTH_EC_APP_NOT_FOUND", "External client app is not installed in this org")
    app = clients.enabled(org, issuer)
    if app.certificate is None or not _signed(app.certificate, signed, signature):
        raise _invalid()
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(one in named for one in (*_LOGIN_URLS, org.url)):
        raise Refused("invalid_grant", "audience is invalid")
    _check_time(claims, org.clock())
    return app, subject


def _check_time(claims: dict[str, Any], now: float) -> None:
    ends = _time(claims.get("exp"))
    if ends is None or ("nbf" in claims and _time(claims["nbf"]) is None):
        raise _invalid()
    if ends + SKEW <= now:
        # Salesforce's own words, though there is no code.
        raise Refused("invalid_grant", "expired authorization code")
    if ends > now + LONGEST + SKEW or (_time(claims.get("nbf")) or now) > now + SKEW:
        raise _invalid()


def _time(value: object) -> float | None:
    """Seconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _NO_TIME:
        return None
    return value / 1000 if value >= _MILLISECONDS else value


def _members(signed: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = signed.split(".")
    if len(parts) != 2:
        raise _invalid()
    try:
        header, claims = (json.loads(_decoded(part)) for part in parts)
    except (ValueError, RecursionError):
        raise _invalid() from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise _invalid()
    return header, claims


def _signed(certificate: str, signed: str, signature: str) -> bool:
    """Whether the key of the certificate made the signature. A certificate that cannot be read fits none."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    armoured = certificate.strip()
    if "-----BEGIN" not in armoured:
        armoured = f"-----BEGIN CERTIFICATE-----\n{armoured}\n-----END CERTIFICATE-----"
    try:
        key = x509.load_pem_x509_certificate(armoured.encode()).public_key()
        if not isinstance(key, RSAPublicKey):
            return False
        key.verify(_decoded(signature), signed.encode(), PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True


def _decoded(text: str) -> bytes:
    """base64url without padding, and nothing else (RFC 7515, section 2)."""
    if not text.isascii() or set("+/=") & set(text):
        raise binascii.Error("not base64url")
    padded = text + "=" * (-len(text) % 4)
    return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)


def _invalid() -> Refused:
    return Refused("invalid_grant", "invalid assertion")
