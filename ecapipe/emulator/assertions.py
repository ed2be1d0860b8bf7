"""Assertions of the JWT bearer flow (RFC 7523): the app that issued one, the user it names, and its signature."""

from __future__ import annotations

from typing import Any, Final

from ecapipe.emulator import clients, jws
from ecapipe.emulator.org import EmulatedOrg
from ecapipe.emulator.registration import RegisteredApp
from ecapipe.emulator.wire import OAuthError

LONGEST: Final = 180.0
"""Seconds that an assertion may have left."""

SKEW: Final = 60.0
"""Seconds by which a client's clock may be wrong, in either direction."""

_LOGIN_URLS: Final = ("https://login.salesforce.com", "https://test.salesforce.com")
_MILLISECONDS: Final = 1e11
"""From here on a time is in milliseconds: the Salesforce CLI writes such, and Salesforce accepts them."""

_LATEST: Final = 1e15
"""Beyond it, also in milliseconds, no client can mean a time."""


def verify(org: EmulatedOrg, assertion: str) -> tuple[RegisteredApp, str]:
    """The app that signed the assertion, and the username it asks for; anything wrong is refused."""
    try:
        token = jws.parse(assertion)
    except ValueError:
        raise _invalid() from None
    claims = token.claims
    issuer, subject = claims.get("iss"), claims.get("sub")
    # Only RS256: "none", or HMAC with the certificate as its key, would let anybody sign.
    if token.header.get("alg") != "RS256" or not isinstance(issuer, str) or not isinstance(subject, str):
        raise _invalid()
    if org.lacks(issuer):
        raise OAuthError("OAUTH_EC_APP_NOT_FOUND", "External client app is not installed in this org")
    app = clients.enabled(org, issuer)
    if app.certificate is None or not _signed(app.certificate, token.signed, token.signature):
        raise _invalid()
    audiences = claims.get("aud")
    if not isinstance(audiences, list):
        audiences = [audiences]
    # The token endpoint, which RFC 7523 names as audience, is none here: Salesforce wants the login URL.
    if not {*_LOGIN_URLS, org.url}.intersection(audience for audience in audiences if isinstance(audience, str)):
        raise OAuthError("invalid_grant", "audience is invalid")
    _check_time(claims, org.clock())
    return app, subject


def _check_time(claims: dict[str, Any], now: float) -> None:
    ends = _time(claims.get("exp"))
    if ends is None or ("nbf" in claims and _time(claims["nbf"]) is None):
        raise _invalid()
    if ends + SKEW <= now:
        # Salesforce words it like this, though there is no code.
        raise OAuthError("invalid_grant", "expired authorization code")
    if ends > now + LONGEST + SKEW or (_time(claims.get("nbf")) or now) > now + SKEW:
        raise _invalid()


def _time(value: object) -> float | None:
    """Seconds since 1970."""
    # true is an int to Python. NaN, which json reads, fails the comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        return None
    if value >= _MILLISECONDS:
        return value / 1000
    return value


def _signed(certificate: str, signed: bytes, signature: bytes) -> bool:
    """Whether the key of the certificate made the signature. A certificate that cannot be read fits none."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    pem = certificate.strip()
    # Metadata has only the base64 between the lines.
    if "-----BEGIN" not in pem:
        pem = f"-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----"
    try:
        key = x509.load_pem_x509_certificate(pem.encode()).public_key()
        if not isinstance(key, RSAPublicKey):
            return False
        key.verify(signature, signed, PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True


def _invalid() -> OAuthError:
    return OAuthError("invalid_grant", "invalid assertion")
