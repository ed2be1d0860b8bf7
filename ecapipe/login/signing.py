"""What logins ask of a private key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the world is described in words of modules that most commands do without
    from ecapipe.secret import Secret


class PrivateKey(Protocol):
    """A private RSA key."""

    @property
    def open_to_others(self) -> bool:
        """Whether other users of this machine may read its file; False where that cannot be told."""

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`, RSASSA-PKCS1-v1_5 with SHA-256 (RS256, RFC 7518 §3.3)."""

    def doubt(self, certificate: str, at: str) -> str | None:
        """What speaks against `certificate` (PEM, or the base64 of it) as this key's, at a time in ISO 8601."""


class KeyReader(Protocol):
    """The private key in a PEM file. `ask` is a hidden question, for its passphrase.

    Raises `EcapipeError`: UnreadableFile, JwtKeyNotPath, JwtKeyNotUsable, JwtKeyEncrypted, JwtKeyPassphraseWrong.
    """

    def __call__(self, path: str, ask: Callable[[str], Secret | None] | None) -> PrivateKey: ...
