"""Private keys and certificates, made when a test first needs one; each is worth nothing anywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

PASSPHRASE = "made-up-horse-battery"


@cache
def _made(name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def rsa_key(name: str = "one", bits: int = 2048) -> rsa.RSAPrivateKey:
    """The RSA key that goes by `name` in this run of the tests."""
    return _made(name, bits)


def pem(
    key: CertificateIssuerPrivateKeyTypes,
    passphrase: str | None = None,
    form: PrivateFormat = PrivateFormat.PKCS8,
) -> bytes:
    """A private key as a file holds it."""
    locked = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, locked)


def certificate(key: CertificateIssuerPrivateKeyTypes, days: int = 365) -> str:
    """A self-signed certificate of `key`, in PEM, that ends in so many days."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made up")])
    end = datetime.now(UTC) + timedelta(days=days)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - timedelta(days=730))
        .not_valid_after(end)
    )
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def written(folder: Path, data: bytes, mode: int = 0o600) -> str:
    """A file with a key in it; its path."""
    path = folder / "server.key"
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)
