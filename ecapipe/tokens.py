"""The token form out, the token back."""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, replace
from typing import Final, assert_never
from urllib.parse import urlencode

from ecapipe import messages, problems
from ecapipe.credentials import Client
from ecapipe.grants import AuthorizationCode, ClientCredentials, Grant, JwtBearer, RefreshToken
from ecapipe.messages import Answer, Request
from ecapipe.orgs import Org
from ecapipe.problems import EcapipeError
from ecapipe.secret import Secret

_VISIBLE: Final = re.compile(r"[!-~]+")
"""What a token is made of (RFC 6749, appendix A.12): anything else would end the header that carries it."""
_IDENTITY: Final = re.compile(r"https?://[^/?#]+/id/(?P<org>[A-Za-z0-9]{15,18})/(?P<user>[A-Za-z0-9]{15,18})")


@dataclass(frozen=True, slots=True)
class Token:
    """A token answer, parsed. `scopes` is empty when the org does not tell; ids have 18 characters as sent."""

    access_token: Secret
    refresh_token: Secret | None
    instance_url: str | None
    org_id: str
    user_id: str
    scopes: tuple[str, ...]


def request(grant: Grant, client: Client, org: Org) -> Request:
    """The form POST that redeems `grant`, client authentication in the body (RFC 6749 §2.3.1).

    A code is encoded here, once. An assertion is the authentication itself (RFC 7523 §3.1): no secret goes with it.
    """
    match grant:
        case AuthorizationCode():
            fields = authentication(client) | {
                "grant_type": "authorization_code",
                "code": grant.code.reveal(),
                "redirect_uri": grant.redirect_uri,
                "code_verifier": grant.code_verifier.reveal(),
            }
        case ClientCredentials():
            fields = authentication(client) | {"grant_type": "client_credentials"}
        case RefreshToken():
            refresh = grant.refresh_token.reveal()
            fields = authentication(client) | {"grant_type": "refresh_token", "refresh_token": refresh}
        case JwtBearer():
            fields = {
                "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
                "assertion": grant.assertion.reveal(),
            }
        case _:
            assert_never(grant)
    return Request(f"{org.url}/services/oauth2/token", form=Secret(urlencode(fields)))


def authentication(client: Client) -> dict[str, str]:
    """Who asks, as fields of a form (RFC 6749 §2.3.1)."""
    key = {"client_id": client.consumer_key}
    secret = client.consumer_secret
    return key if secret is None else key | {"client_secret": secret.reveal()}


def read(answer: Answer, grant: Grant, client: Client, org: Org) -> Token:
    """The token of an answer (RFC 6749 §5.1, and Salesforce's ``id`` and ``instance_url``).

    Raises `EcapipeError`: a refusal, or UnexpectedAnswer when a member is missing.
    """
    is_assertion = isinstance(grant, JwtBearer)
    members = messages.members(answer, org.host, client.consumer_secret, *_sent(grant), assertion=is_assertion)

    def text(name: str) -> str:
        value = members.get(name)
        return value if isinstance(value, str) else ""

    if text("token_type").lower() not in ("bearer", ""):
        raise messages.unexpected(answer, org.host, "the token is of a type other than Bearer")
    if not _VISIBLE.fullmatch(text("access_token")):
        raise messages.unexpected(answer, org.host, "it has no usable access_token")
    identity = _IDENTITY.fullmatch(text("id"))
    if identity is None:
        raise messages.unexpected(answer, org.host, "its id does not name an org and a user")
    _check_signature(text("signature"), text("id") + text("issued_at"), client.consumer_secret, org)
    refresh = text("refresh_token")
    return Token(
        Secret(text("access_token")),
        Secret(refresh) if _VISIBLE.fullmatch(refresh) else None,
        text("instance_url").rstrip("/") or None,
        identity["org"],
        identity["user"],
        tuple(text("scope").split()),
    )


def _sent(grant: Grant) -> tuple[Secret, ...]:
    """The secrets of `grant`, which an org might repeat."""
    match grant:
        case AuthorizationCode():
            return grant.code, grant.code_verifier
        case JwtBearer():
            return (grant.assertion,)
        case RefreshToken():
            return (grant.refresh_token,)
        case ClientCredentials():
            return ()
        case _:
            assert_never(grant)


def _check_signature(signature: str, signed: str, secret: Secret | None, org: Org) -> None:
    """Raises `EcapipeError` (SignatureMismatch) unless ``signature`` is the HMAC-SHA256 of ``id`` and ``issued_at``,
    keyed with the consumer secret, in base64. An answer without one, or an app without secret, proves nothing."""
    if secret is None or not signature:
        return
    expected = base64.b64encode(hmac.digest(secret.reveal().encode(), signed.encode("utf-8", "replace"), "sha256"))
    if not hmac.compare_digest(expected, signature.encode("utf-8", "replace")):
        raise EcapipeError(replace(problems.signature_mismatch(org.host), host=org.host))


def revocation(token: Secret, org: Org) -> Request:
    """The request that revokes `token`, an access or refresh token (RFC 7009 §2.1)."""
    return Request(f"{org.url}/services/oauth2/revoke", form=Secret(urlencode({"token": token.reveal()})))
