"""What is exchanged for a token, and how an app proves who it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ecapipe.credentials.sources import ClientIdentity
from ecapipe.secret import Secret

if TYPE_CHECKING:
    from ecapipe.oauth.refusals import Place


class Grant(ABC):
    """What a token request redeems; that of a flow lies in its module."""

    __slots__ = ()
    repeatable: ClassVar[bool] = True
    """Whether it can be sent again after a failure that may have come too late."""
    place: ClassVar[Place] = "token"
    """What a refusal of it is about: its own place, if refusals of it mean what those of others do not."""

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What an org might repeat of it."""
        return ()

    @abstractmethod
    def fields(self, client: ClientIdentity) -> dict[str, str]:
        """The form fields of its token request."""


@dataclass(frozen=True, slots=True)
class RefreshToken(Grant):
    """RFC 6749 §6: what continues a saved login."""

    place = "refresh"
    # With rotation it can be used once.
    repeatable: ClassVar[bool] = False
    refresh_token: Secret

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return (self.refresh_token,)

    def fields(self, client: ClientIdentity) -> dict[str, str]:
        refresh = self.refresh_token.reveal()
        return authentication(client) | {"grant_type": "refresh_token", "refresh_token": refresh}


def authentication(client: ClientIdentity) -> dict[str, str]:
    """Client authentication as fields of a form (RFC 6749 §2.3.1)."""
    fields = {"client_id": client.consumer_key}
    if client.consumer_secret is not None:
        fields["client_secret"] = client.consumer_secret.reveal()
    return fields


def base64url(data: bytes) -> str:
    """Base64 for URLs, without padding (RFC 7515, appendix C)."""
    import base64  # what only looks at flows encodes nothing

    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
