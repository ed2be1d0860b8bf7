"""The token request, and the token in its response."""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from ecapipe.credentials.sources import ClientIdentity
from ecapipe.oauth import messages
from ecapipe.oauth.dpop import ProofKey, TokenType
from ecapipe.oauth.grants import Grant
from ecapipe.oauth.messages import Request, Response
from ecapipe.oauth.scopes import SCOPE_NAMES
from ecapipe.orgs.org import Org
from ecapipe.problems.oauth import signature_mismatch
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.apps import App
from ecapipe.secret import Secret

_TOKEN: Final = re.compile(r"(?!::|.*##)[!-~]{1,16384}")
"""What a token is made of (RFC 6749, appendix A.12): anything else would end the header that carries it.
Printed, it is no command to a CI system either; no bearer token has these characters (RFC 6750 §2.1)."""
ORG_ID: Final = re.compile(r"00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
USER_ID: Final = re.compile(r"005[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
_IDENTITY: Final = re.compile(rf"https?://[^/?#]+/id/(?P<org>{ORG_ID.pattern})/(?P<user>{USER_ID.pattern})")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,128}")
"""One scope (RFC 6749, appendix A.4); Salesforce's own and those of admins are far shorter."""
_MAX_SCOPES: Final = 200
_ORIGIN: Final = re.compile(
    r"(?P<https>https://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?)/?"
    r"|(?P<http>http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?)(?:/[a-z0-9-]*)?"
)
"""The origin of an org. On this machine it may be over http, with the path of an emulated org, which is left out."""
_MEMBERS: Final = (
    "token_type", "access_token", "refresh_token", "id", "issued_at", "signature", "scope", "instance_url",
)  # fmt: skip
"""The members of a response that are read."""
_SCOPES: Final = frozenset(SCOPE_NAMES.values())


class Unusable(EcapipeError):
    """A response that has tokens, and is wrong otherwise. The tokens are valid at the org all the same: they have to
    be revoked, or the last refresh token saved, for with rotation it has replaced the one before."""

    def __init__(
        self, error: EcapipeError, access_tokens: list[Secret], refresh_tokens: list[Secret], key: ProofKey | None
    ) -> None:
        super().__init__(error.problem)
        self.access_tokens, self.refresh_tokens, self.key = access_tokens, refresh_tokens, key


@dataclass(frozen=True, slots=True)
class Token:
    """A token response, parsed. `scopes` is empty when the org names none; ids have 15 or 18 characters, as sent; the
    instance URL is an origin."""

    access_token: Secret
    refresh_token: Secret | None
    instance_url: str | None
    org_id: str
    user_id: str
    scopes: tuple[str, ...]
    sent: tuple[Secret, ...] = ()
    """The secrets of the request."""
    key: ProofKey | None = None
    """What it is bound to: no request takes it without a proof."""

    @property
    def type(self) -> TokenType:
        return "Bearer" if self.key is None else "DPoP"

    @property
    def secrets(self) -> tuple[Secret | None, ...]:
        """What the org knows, and might repeat."""
        return self.access_token, self.refresh_token, *self.sent


def request(grant: Grant, client: ClientIdentity, org: Org, key: ProofKey | None = None) -> Request:
    """The form POST that redeems `grant`, client authentication in the body (RFC 6749 §2.3.1), for a token that is
    bound to `key`, if there is one (RFC 9449 §5).

    A code is encoded here, once.
    """
    return Request(org.address, "/services/oauth2/token", form=Secret(urlencode(grant.fields(client))), key=key)


def read(
    response: Response,
    grant: Grant,
    client: ClientIdentity,
    org: Org,
    app: App | None,
    key: ProofKey | None = None,
) -> Token:
    """The token of a response (RFC 6749 §5.1, and Salesforce's ``id`` and ``instance_url``).

    `app`, if it is known, is for the words of a refusal. An org need not bind the token to `key`.

    Raises `EcapipeError`: a refusal, or UnexpectedAnswer when a member is missing; `Unusable` when the response
    has a token and is wrong otherwise: a SignatureMismatch, a member of another form, or one that repeats a secret.
    """
    sent = grant.secrets
    if client.consumer_secret is not None:
        sent = (client.consumer_secret, *sent)
    # Whatever else the response says, an error included, it may have tokens, so that every failure carries them.
    access_tokens, refresh_tokens = issued(response, "access_token"), issued(response, "refresh_token")
    secrets = *access_tokens, *refresh_tokens, *sent
    try:
        members = messages.members(
            response, org.host, *secrets, place=grant.place, app=app, client=client, proved=key is not None
        )
        if len(access_tokens) > 1 or len(refresh_tokens) > 1:
            raise messages.unexpected(response, org.host, "it has more than one token of a type")
        token = replace(_parse(members, response, org, key), sent=sent)
        _refuse_repeats(response, token, org)
        content = _text(members, "id") + _text(members, "issued_at")
        _check_signature(_text(members, "signature"), content, client.consumer_secret, org)
    except EcapipeError as error:
        if access_tokens or refresh_tokens:
            raise Unusable(error, access_tokens, refresh_tokens, key) from None
        raise
    return token


def issued(response: Response, name: str) -> list[Secret]:
    """The different tokens in the members of this name, wherever an org has put them."""
    found = (as_token(value) for value in messages.values(response, name))
    return list({token.reveal(): token for token in found if token}.values())


def as_token(value: object) -> Secret | None:
    """The token that `value` is, if it has the form of one."""
    return Secret(value) if isinstance(value, str) and _TOKEN.fullmatch(value) else None


def _refuse_repeats(response: Response, token: Token, org: Org) -> None:
    """Raises `EcapipeError` (UnexpectedAnswer) where what will be shown of the token repeats a secret."""
    visible = {"id": f"{token.org_id} {token.user_id}"}
    # The org's own address and the known scopes are no secret, whatever they have in common with one.
    if token.instance_url and token.instance_url != org.url:
        visible["instance_url"] = token.instance_url
    visible["scope"] = " ".join(name for name in token.scopes if name not in _SCOPES)
    messages.refuse_repeats(response, org.host, visible, *token.secrets)


def _parse(members: messages.Members, response: Response, org: Org, key: ProofKey | None) -> Token:
    """The token, every member in the one form that it has.

    Raises `EcapipeError` (UnexpectedAnswer).
    """
    for name in _MEMBERS:
        # What is not there may be null, too; any other kind of value is a mistake.
        if not isinstance(members.get(name) or "", str):
            raise messages.unexpected(response, org.host, f"its {name} is not a string")
    bound = key is not None and _text(members, "token_type").lower() == "dpop"
    if not bound and _text(members, "token_type").lower() not in ("bearer", ""):
        types = "Bearer or DPoP" if key else "Bearer"
        raise messages.unexpected(response, org.host, f"its token_type is not {types}")
    access_token, refresh_token = as_token(members.get("access_token")), as_token(members.get("refresh_token"))
    if access_token is None:
        raise messages.unexpected(response, org.host, "its access_token is not a valid token")
    if refresh_token is None and members.get("refresh_token"):
        raise messages.unexpected(response, org.host, "its refresh_token is not a valid token")
    identity = _IDENTITY.fullmatch(_text(members, "id"))
    if identity is None:
        raise messages.unexpected(response, org.host, "its id does not identify an org and a user")
    # With a limit, so that a host cannot have us split megabytes.
    scopes = tuple(_text(members, "scope").split(maxsplit=_MAX_SCOPES))
    if len(scopes) > _MAX_SCOPES or not all(map(_SCOPE.fullmatch, scopes)):
        raise messages.unexpected(response, org.host, "its scope is not a valid list of scopes")
    address = _text(members, "instance_url").lower()
    origin = _ORIGIN.fullmatch(address)
    if address and origin is None:
        raise messages.unexpected(response, org.host, "its instance_url is not the https URL of an org")
    return Token(
        access_token=access_token,
        refresh_token=refresh_token,
        instance_url=origin and (origin["https"] or origin["http"]),
        org_id=identity["org"],
        user_id=identity["user"],
        scopes=scopes,
        key=key if bound else None,
    )


def _text(members: messages.Members, name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _check_signature(signature: str, content: str, secret: Secret | None, org: Org) -> None:
    """Raises `EcapipeError` (SignatureMismatch) unless `signature` is the HMAC-SHA256 of `content`, keyed with the
    consumer secret, in base64. Without a signature or a secret there is nothing to check."""
    if secret is None or not signature:
        return
    expected = base64.b64encode(hmac.digest(secret.reveal().encode(), content.encode("utf-8", "replace"), "sha256"))
    if not hmac.compare_digest(expected, signature.encode("utf-8", "replace")):
        raise EcapipeError(replace(signature_mismatch(org.host), host=org.host))


def revocation(token: Secret, org: Org, key: ProofKey | None = None) -> Request:
    """The request that revokes `token`, an access or refresh token (RFC 7009 §2.1), which `key` may be proved for."""
    form = Secret(urlencode({"token": token.reveal()}))
    return Request(org.address, "/services/oauth2/revoke", form=form, key=key)
