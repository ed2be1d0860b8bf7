"""The token form out, the token back."""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, replace
from typing import Final, assert_never
from urllib.parse import urlencode

from ecapipe.credentials.sources import ClientIdentity
from ecapipe.oauth import messages
from ecapipe.oauth.grants import AuthorizationCode, ClientCredentials, Grant, JwtBearer, RefreshToken
from ecapipe.oauth.messages import Request, Response
from ecapipe.oauth.scopes import SCOPE_NAMES
from ecapipe.orgs.org import Org
from ecapipe.problems.oauth import signature_mismatch
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import Secret

_VISIBLE: Final = re.compile(r"[!-~]+")
"""What a token is made of (RFC 6749, appendix A.12): anything else would end the header that carries it."""
ORG_ID: Final = re.compile(r"00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
USER_ID: Final = re.compile(r"005[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
_IDENTITY: Final = re.compile(rf"https?://[^/?#]+/id/(?P<org>{ORG_ID.pattern})/(?P<user>{USER_ID.pattern})")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,128}")
"""One scope (RFC 6749, appendix A.4); Salesforce's own and those of admins are far shorter."""
_MOST_SCOPES: Final = 200
_ORIGIN: Final = re.compile(
    r"(?P<origin>(?:https://[a-z0-9.-]{1,253}|http://(?:localhost|127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?)(?:/[^?#\s]*)?"
)
"""The address of an org, of which only the origin counts; over http on this machine alone."""
_SCOPES: Final = frozenset(SCOPE_NAMES.values())


class Unusable(EcapipeError):
    """An answer that brought tokens, of which `refresh_token` is one, and cannot be believed otherwise."""

    def __init__(self, error: EcapipeError, refresh_token: Secret | None) -> None:
        super().__init__(error.problem)
        self.refresh_token = refresh_token


@dataclass(frozen=True, slots=True)
class Token:
    """A token answer, parsed. `scopes` is empty when the org does not tell; ids have 15 or 18 characters, as sent;
    the instance URL is an origin."""

    access_token: Secret
    refresh_token: Secret | None
    instance_url: str | None
    org_id: str
    user_id: str
    scopes: tuple[str, ...]
    sent: tuple[Secret, ...] = ()
    """What the org was sent for it."""

    @property
    def secrets(self) -> tuple[Secret | None, ...]:
        """What the org knows, and might repeat."""
        return self.access_token, self.refresh_token, *self.sent


def request(grant: Grant, client: ClientIdentity, org: Org) -> Request:
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


def authentication(client: ClientIdentity) -> dict[str, str]:
    """Who asks, as fields of a form (RFC 6749 §2.3.1)."""
    key = {"client_id": client.consumer_key}
    secret = client.consumer_secret
    return key if secret is None else key | {"client_secret": secret.reveal()}


def read(answer: Response, grant: Grant, client: ClientIdentity, org: Org) -> Token:
    """The token of an answer (RFC 6749 §5.1, and Salesforce's ``id`` and ``instance_url``).

    Raises `EcapipeError`: a refusal, or UnexpectedAnswer when a member is missing; `Unusable` when it is only after
    the tokens that the answer is wrong: a SignatureMismatch, a member of another form, or one that repeats a secret.
    """
    is_assertion = isinstance(grant, JwtBearer)
    sent = _sent(grant) if client.consumer_secret is None else (client.consumer_secret, *_sent(grant))
    members = messages.members(answer, org.host, *sent, assertion=is_assertion)
    if _text(members, "token_type").lower() not in ("bearer", ""):
        raise messages.unexpected(answer, org.host, "the token is of a type other than Bearer")
    if not _VISIBLE.fullmatch(_text(members, "access_token")):
        raise messages.unexpected(answer, org.host, "it has no usable access_token")
    access, refresh = Secret(_text(members, "access_token")), _text(members, "refresh_token")
    refresh_token = Secret(refresh) if _VISIBLE.fullmatch(refresh) else None
    try:
        token = _parsed(members, answer, org, access, refresh_token, sent)
        told = {
            "id": f"{token.org_id} {token.user_id}",
            "instance_url": token.instance_url if token.instance_url and token.instance_url != org.url else "",
            "scope": " ".join(name for name in token.scopes if name not in _SCOPES),
        }
        messages.refuse_repeats(answer, org.host, told, *token.secrets)
        signed = _text(members, "id") + _text(members, "issued_at")
        _check_signature(_text(members, "signature"), signed, client.consumer_secret, org)
    except EcapipeError as error:
        raise Unusable(error, refresh_token) from None
    return token


def _parsed(
    members: messages.Members,
    answer: Response,
    org: Org,
    access: Secret,
    refresh: Secret | None,
    sent: tuple[Secret, ...],
) -> Token:
    """What stands beside the tokens, each in the one form that it has; raises `EcapipeError` (UnexpectedAnswer)."""
    identity = _IDENTITY.fullmatch(_text(members, "id"))
    if identity is None:
        raise messages.unexpected(answer, org.host, "its id does not name an org and a user")
    scopes = tuple(_text(members, "scope").split(maxsplit=_MOST_SCOPES))
    if len(scopes) > _MOST_SCOPES or not all(map(_SCOPE.fullmatch, scopes)):
        raise messages.unexpected(answer, org.host, "its scope is no list of scopes")
    address = _text(members, "instance_url").lower()
    origin = _ORIGIN.fullmatch(address)
    if address and origin is None:
        raise messages.unexpected(answer, org.host, "its instance_url is not the https address of an org")
    return Token(access, refresh, origin and origin["origin"], identity["org"], identity["user"], scopes, sent)


def _text(members: messages.Members, name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


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
        raise EcapipeError(replace(signature_mismatch(org.host), host=org.host))


def revocation(token: Secret, org: Org) -> Request:
    """The request that revokes `token`, an access or refresh token (RFC 7009 §2.1)."""
    return Request(f"{org.url}/services/oauth2/revoke", form=Secret(urlencode({"token": token.reveal()})))
