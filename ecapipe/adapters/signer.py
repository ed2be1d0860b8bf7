"""Private keys, on disk and of single logins, and what they sign; the only client module that meets cryptography."""

from __future__ import annotations

import base64
import binascii
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from ecapipe.adapters import reading
from ecapipe.oauth.grants import base64url
from ecapipe.problems.credentials import (
    jwt_key_encrypted,
    jwt_key_not_path,
    jwt_key_not_usable,
    jwt_key_passphrase_wrong,
)
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.usage import unreadable_file
from ecapipe.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurveSignatureAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes

SHORTEST = 2048
"""Bits of an RSA key: less is forbidden for RS256 (RFC 7518 §3.3)."""
PASSPHRASE = "ECAPIPE_JWT_KEY_PASSPHRASE"  # noqa: S105  # the name of the variable

_LARGEST = 64 * 1024
_P256 = 32
"""Bytes of a number of the curve."""

_INSTEAD = {
    b"-----BEGIN CERTIFICATE": "it contains a certificate, not its private key",
    b"-----BEGIN PUBLIC KEY": "it contains a public key, not a private key",
    b"-----BEGIN RSA PUBLIC KEY": "it contains a public key, not a private key",
    b"-----BEGIN OPENSSH PRIVATE KEY": "it is in OpenSSH format, not PEM",
}


@dataclass(frozen=True, slots=True)
class RsaKey:
    """A private RSA key; see `ecapipe.oauth.signing.PrivateKey`."""

    open_to_others: bool
    _key: RSAPrivateKey

    def __repr__(self) -> str:
        return "Key()"

    def sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def doubt(self, certificate: str, at: str) -> str | None:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

        parsed = _certificate(certificate)
        if parsed is None:
            return "is not a valid certificate"
        public, end = parsed
        own = self._key.public_key().public_numbers()
        if not isinstance(public, RSAPublicKey) or public.public_numbers() != own:
            return "belongs to another private key"
        if end < datetime.fromisoformat(at):
            return f"expired on {end:%Y-%m-%d}"
        return None


class EcKey:
    """A private key on P-256; see `ecapipe.oauth.dpop.ProofKey`."""

    def __init__(self, key: EllipticCurvePrivateKey) -> None:
        self._key = key
        public = key.public_key().public_numbers()
        self.x, self.y = public.x.to_bytes(_P256), public.y.to_bytes(_P256)

    def __repr__(self) -> str:
        return "Key()"

    @property
    def secret(self) -> Secret:
        return Secret(base64url(self._key.private_numbers().private_value.to_bytes(_P256)))

    def sign(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import utils

        r, s = utils.decode_dss_signature(self._key.sign(data, _es256()))
        return r.to_bytes(_P256) + s.to_bytes(_P256)


@cache
def _es256() -> EllipticCurveSignatureAlgorithm:
    """ECDSA with SHA-256. Its constructor asks whether signatures can be deterministic, which ours are not, and loads
    RSA and every cipher for that: as measured, 5.5 of the 14.5 ms of processor time that a first signature costs."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    class Es256(ec.ECDSA):
        algorithm, deterministic_signing = hashes.SHA256(), False

        def __init__(self) -> None:
            """Not that of ECDSA."""

    return Es256()


class EcKeys:
    """See `ecapipe.oauth.dpop.ProofKeys`."""

    def new(self) -> EcKey:
        from cryptography.hazmat.primitives.asymmetric import ec

        return EcKey(ec.generate_private_key(ec.SECP256R1()))

    def load(self, secret: Secret) -> EcKey | None:
        from cryptography.hazmat.primitives.asymmetric import ec

        if not re.fullmatch(r"[\w-]{43}", secret.reveal(), re.ASCII):
            return None
        number = int.from_bytes(base64.urlsafe_b64decode(f"{secret.reveal()}="))
        try:
            return EcKey(ec.derive_private_key(number, ec.SECP256R1()))
        except ValueError:  # beyond the order of the curve
            return None


def certificate_end(certificate: str) -> str | None:
    """The last day of a certificate (PEM, or its base64) in ISO 8601; None for what is none."""
    parsed = _certificate(certificate)
    if parsed is None:
        return None
    return f"{parsed[1]:%Y-%m-%d}"


class PemKeys:
    """Private keys by file: each is read, and its passphrase asked for, once; see `ecapipe.oauth.signing.KeyReader`.

    `variable` reads a credential variable of the environment.
    """

    def __init__(self, variable: Callable[[str], Secret | None]) -> None:
        self._variable = variable
        self._lock = threading.Lock()
        self._known: dict[str, RsaKey | Problem] = {}

    def __call__(self, path: str, ask: Callable[[str], Secret | None] | None) -> RsaKey:
        with self._lock:
            # A problem as well: nobody is asked twice for the passphrase of a key that cannot be used.
            if path not in self._known:
                try:
                    self._known[path] = self._read(path, ask)
                except EcapipeError as error:
                    self._known[path] = error.problem
            result = self._known[path]
        match result:
            case Problem():
                raise EcapipeError(result)
            case key:
                return key

    def _read(self, path: str, ask: Callable[[str], Secret | None] | None) -> RsaKey:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

        if not os.path.exists(path) or os.path.isdir(path):  # it may be the key itself, which nobody may see
            raise EcapipeError(jwt_key_not_path())
        try:
            data = reading.read(path, _LARGEST, pipes=True)
            # Windows knows no such modes; a pipe has no others who could read it.
            exposed = os.name == "posix" and os.stat(path).st_mode & 0o044 != 0
        except OSError as error:
            raise EcapipeError(unreadable_file(path, error.strerror or "unknown reason")) from None
        key = self._load(data, path, ask)
        if not isinstance(key, RSAPrivateKey):
            kind = type(key).__name__.strip("_").removesuffix("PrivateKey")
            raise _unusable(path, f"it contains a key of type {kind}, but Salesforce supports only RSA")
        if key.key_size < SHORTEST:
            raise _unusable(path, f"its key has {key.key_size} bits, but at least {SHORTEST} are required")
        return RsaKey(exposed, key)

    def _load(self, data: bytes, path: str, ask: Callable[[str], Secret | None] | None) -> PrivateKeyTypes:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        reason = _obstacle(data)
        if reason:
            raise _unusable(path, reason)
        try:
            return load_pem_private_key(data, None)
        except TypeError:  # it is encrypted
            passphrase = self._variable(PASSPHRASE)
        except (ValueError, UnsupportedAlgorithm):
            raise _unusable(path, "its private key is damaged, or of an unknown type") from None
        if passphrase is None and ask is not None:
            passphrase = ask(f"Passphrase for {path}: ")
        if passphrase is None:
            raise EcapipeError(jwt_key_encrypted(path, PASSPHRASE))
        try:
            return load_pem_private_key(data, passphrase.reveal().encode())
        except (ValueError, UnsupportedAlgorithm):
            raise EcapipeError(jwt_key_passphrase_wrong(path, PASSPHRASE)) from None


def _obstacle(data: bytes) -> str | None:
    """Why a file holds no private key in PEM."""
    if len(data) > _LARGEST:
        return "it is larger than 64 KiB"
    if not data.strip():
        return "it is empty"
    if b"PRIVATE KEY-----" in data and b"BEGIN OPENSSH" not in data:
        # What a secret store of a CI system makes of a key that was pasted as one line.
        if rb"KEY-----\n" in data:
            return r"its line breaks are written as \n"
        return None
    return next((reason for start, reason in _INSTEAD.items() if start in data), "it is not a PEM file")


def _certificate(text: str) -> tuple[CertificatePublicKeyTypes, datetime] | None:
    """Key and end of the first certificate in `text`; None if there is none. Some tools put only the base64 between
    the lines of PEM into the settings, and people indent it with the XML."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    body = text.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0] or text
    try:
        parsed = x509.load_der_x509_certificate(binascii.a2b_base64("".join(body.split()), strict_mode=True))
        return parsed.public_key(), parsed.not_valid_after_utc
    except (ValueError, UnsupportedAlgorithm):
        return None


def _unusable(path: str, reason: str) -> EcapipeError:
    return EcapipeError(jwt_key_not_usable(path, reason))
