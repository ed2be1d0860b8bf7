"""Private keys, as a port."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

# Ports are imported by every command, the modules of their types are not: start-up stays fast.
if TYPE_CHECKING:
    from ecapipe.secret import Secret


class PrivateKey(Protocol):
    """A private RSA key."""

    @property
    def open_to_others(self) -> bool:
        """Whether other users of this machine may read its file; False where that cannot be found out."""

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`, RSASSA-PKCS1-v1_5 with SHA-256 (RS256, RFC 7518 §3.3)."""

    def doubt(self, certificate: str, at: str) -> str | None:
        """The reason, if any, why `certificate` (PEM, or its base64) cannot be this key's at a time in ISO 8601."""


class KeyReader(Protocol):
    """Reads the private key in a PEM file. `ask` asks for its passphrase, without echo.

    Raises `EcapipeError`: UnreadableFile, JwtKeyNotPath, JwtKeyNotUsable, JwtKeyEncrypted, JwtKeyPassphraseWrong.
    """

    def __call__(self, path: str, ask: Callable[[str], Secret | None] | None) -> PrivateKey: ...
