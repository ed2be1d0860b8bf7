"""Proofs of possession (DPoP, RFC 9449): whether one fits its request, and the key that it proves."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from ecapipe.emulator import jws
from ecapipe.emulator.wire import Call, OAuthError

SKEW: Final = 60.0
"""Seconds by which a client's clock may be wrong, in either direction."""

NONCE_LIFE: Final = 300.0
"""Seconds after which an org names another nonce; the one before is good for as long again."""

_LATEST: Final = 1e11
"""Beyond it no client can mean a time in seconds."""


class Proofs:
    """What an org knows of proofs: its nonces, and those that it has seen."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        scheme, _, address = url.partition("://")
        port = address.rpartition(":")[2]
        self._origins = tuple(f"{scheme}://{host}:{port}" for host in ("localhost", "127.0.0.1", "[::1]"))
        self._clock, self._key = clock, secrets.token_bytes(32)
        self._seen: dict[tuple[str, str], float] = {}

    @property
    def nonce(self) -> str:
        """The one that proofs should have now."""
        return self._nonce(0)

    def verify(self, call: Call, access_token: str | None = None) -> str | None:
        """The thumbprint (RFC 7638) of the key that a request proves; None for a request without a proof.

        Raises OAuthError: invalid_dpop_proof, or use_dpop_nonce where only the nonce is missing or old.
        """
        if not call.proofs:
            return None
        if len(call.proofs) > 1:
            raise _invalid("there is more than one DPoP header")
        try:
            proof = jws.parse(call.proofs[0])
            thumbprint = _signer(proof)
        except ValueError:
            raise _invalid("it is not a JWT, or not signed correctly") from None
        self._check_request(proof.claims, call, access_token)
        if proof.claims.get("nonce") not in (self._nonce(0), self._nonce(1)):
            raise OAuthError("use_dpop_nonce", "Authorization server requires nonce in DPoP proof")
        self._remember(thumbprint, proof.claims["jti"])
        return thumbprint

    def _check_request(self, claims: Mapping[str, Any], call: Call, access_token: str | None) -> None:
        jti, issued = claims.get("jti"), claims.get("iat")
        if not isinstance(jti, str) or not jti:
            raise _invalid("jti is missing")
        if claims.get("htm") != call.method:
            raise _invalid("htm is a different method")
        # As the client wrote the address: with any name of this machine, without query and fragment.
        if claims.get("htu") not in [origin + call.path for origin in self._origins]:
            raise _invalid("htu is a different URL")
        # true is an int to Python.
        if isinstance(issued, bool) or not isinstance(issued, int | float) or not 0 <= issued < _LATEST:
            raise _invalid("iat is not a time")
        if abs(issued - self._clock()) > SKEW:
            raise _invalid("iat is not the current time")
        if access_token is not None and claims.get("ath") != _digest(access_token.encode()):
            raise _invalid("ath does not match the access token")

    def _remember(self, thumbprint: str, jti: str) -> None:
        now = self._clock()
        self._seen = {seen: at for seen, at in self._seen.items() if now - at <= 2 * SKEW}
        if (thumbprint, jti) in self._seen:
            raise _invalid("jti was used before")
        self._seen[thumbprint, jti] = now

    def _nonce(self, before: int) -> str:
        window = int(self._clock() // NONCE_LIFE) - before
        return _base64url(hmac.digest(self._key, str(window).encode(), hashlib.sha256))


def _signer(proof: jws.Jws) -> str:
    """The thumbprint of the key in a proof, if that key signed it; raises ValueError."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    key = proof.header.get("jwk")
    # Nothing but what Salesforce takes: ES256, and a public key.
    if (proof.header.get("typ"), proof.header.get("alg")) != ("dpop+jwt", "ES256") or not isinstance(key, dict):
        raise ValueError("another kind of token")
    if (key.get("kty"), key.get("crv")) != ("EC", "P-256") or "d" in key or len(proof.signature) != 64:
        raise ValueError("another kind of key")
    x, y = (jws.base64url(str(key.get(name))) for name in ("x", "y"))
    if (len(x), len(y)) != (32, 32):
        raise ValueError("no point")
    r, s = int.from_bytes(proof.signature[:32]), int.from_bytes(proof.signature[32:])
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
    try:
        signature = utils.encode_dss_signature(r, s)
        numbers.public_key().verify(signature, proof.signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise ValueError("signed by another key") from None
    members = {"crv": "P-256", "kty": "EC", "x": _base64url(x), "y": _base64url(y)}
    return _digest(json.dumps(members, separators=(",", ":")).encode())


def _digest(data: bytes) -> str:
    return _base64url(hashlib.sha256(data).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _invalid(reason: str) -> OAuthError:
    return OAuthError("invalid_dpop_proof", f"DPoP proof is not valid: {reason}")
