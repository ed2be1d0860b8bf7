"""The authorize request out, the redirect back; PKCE and state."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from ecapipe.credentials.resolution import Credentials
from ecapipe.oauth import messages
from ecapipe.oauth.grants import AuthorizationCode, base64url
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import Secret

_CODE: Final = re.compile(r"[ -~]+")
"""RFC 6749, appendix A.11."""

_BARE_CODE: Final = re.compile(r"[A-Za-z0-9._~%+/!-]{16,1024}={0,2}")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A web login in flight: what the authorize URL promised, to be matched by the answer."""

    app: str
    org: Org
    redirect_uri: str
    state: str
    code_verifier: Secret
    authorize_url: str


class UnmatchedResponse(Exception):
    """An answer that fits no login in flight; it changes nothing. The text is for the person who gave it."""


def build_request(
    credentials: Credentials, org: Org, redirect_uri: str, scopes: str | None, chance: Callable[[int], bytes]
) -> AuthorizationRequest:
    """A login ready to be opened in a browser. `chance` gives random bytes.

    State has 192 random bits, the verifier 86 characters (RFC 7636 §4.1 allows 43 to 128).
    """
    state = base64url(chance(24))
    verifier = Secret(base64url(chance(64)))
    query = {
        "response_type": "code",
        "client_id": credentials.consumer_key,
        "redirect_uri": redirect_uri,
        "scope": scopes,
        "state": state,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        "prompt": "login",
        "login_hint": org.username,
    }
    sent = urlencode({name: value for name, value in query.items() if value is not None}, quote_via=quote, safe="")
    url = f"{org.url}/services/oauth2/authorize?{sent}"
    return AuthorizationRequest(credentials.app.name, org, redirect_uri, state, verifier, url)


def challenge(verifier: Secret) -> str:
    """The S256 code challenge (RFC 7636 §4.2)."""
    return base64url(hashlib.sha256(verifier.reveal().encode("ascii")).digest())


def match_redirect(
    query: str, logins: Sequence[AuthorizationRequest]
) -> tuple[AuthorizationRequest, AuthorizationCode | EcapipeError]:
    """The login that a redirect's `query` answers, with its code or the org's refusal.

    Raises `Misfit` for what answers none: state missing, repeated or unknown; code or error repeated, both or
    neither (RFC 6749 §3.1, §4.1.2); an ``iss`` of another org (RFC 9207).
    """
    values: dict[str, list[str]] = {}
    try:
        for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=50):
            values.setdefault(name, []).append(value)
    except ValueError:
        raise UnmatchedResponse("The address has too many parameters.") from None
    repeated = [name for name in ("state", "code", "error", "iss") if len(values.get(name, ())) > 1]
    if repeated:
        raise UnmatchedResponse(f"The address has more than one {repeated[0]}.")
    state, code, error, iss = (values.get(name, [""])[0] for name in ("state", "code", "error", "iss"))
    login = next((login for login in logins if login.state == state), None)
    if login is None:
        raise UnmatchedResponse("The address belongs to no login that is waiting: its state is missing or unknown.")
    if iss and not _same_origin(iss, login.org.url):
        raise UnmatchedResponse("The address names another org as its issuer.")
    if bool(code) == bool(error):
        raise UnmatchedResponse(
            "The address has neither a code nor an error." if not code else "The address has both."
        )
    if error:
        description = values.get("error_description", [""])[0]
        return login, messages.refusal(error, description, login.org.host, None, login.code_verifier)
    if not _CODE.fullmatch(code):
        raise UnmatchedResponse("The address has a code with characters that no code has.")
    return login, AuthorizationCode(Secret(code), login.redirect_uri, login.code_verifier)


def match_pasted(
    text: str, logins: Sequence[AuthorizationRequest]
) -> tuple[AuthorizationRequest, AuthorizationCode | EcapipeError]:
    """The login that a pasted redirected URL answers.

    A bare code, encoded or decoded, is taken only while exactly one login waits, for nothing ties it to one.
    Raises `Misfit`.
    """
    text = text.strip()
    try:
        address = urlsplit(text)
    except ValueError:
        raise UnmatchedResponse("That is no address.") from None
    if address.scheme and (address.netloc or address.query):
        if not any(_same_place(address, login.redirect_uri) for login in logins):
            raise UnmatchedResponse(
                "That is not the address the login ends at. Copy the whole address after pressing Allow."
            )
        login, outcome = match_redirect(address.query, logins)
        if not _same_place(address, login.redirect_uri):
            raise UnmatchedResponse("That address belongs to another login.")
        return login, outcome
    code = unquote(text)
    if not _BARE_CODE.fullmatch(text) or not _CODE.fullmatch(code):
        raise UnmatchedResponse("That is neither an address nor a code. Copy the whole address after pressing Allow.")
    if len(logins) != 1:
        raise UnmatchedResponse(
            "A code alone does not tell its login while several wait. Copy the whole address instead."
        )
    (login,) = logins
    return login, AuthorizationCode(Secret(code), login.redirect_uri, login.code_verifier)


def _same_place(address: SplitResult, redirect_uri: str) -> bool:
    """Equal but for query and fragment; a browser shows an empty path as ``/``, and leaves out a usual port."""
    try:
        return _place(address) == _place(urlsplit(redirect_uri))
    except ValueError:
        return False


def _place(address: SplitResult) -> tuple[object, ...]:
    port = address.port or {"http": 80, "https": 443}.get(address.scheme)
    return address.scheme, address.username, address.password, address.hostname, port, address.path or "/"


def _same_origin(one: str, other: str) -> bool:
    try:
        a, b = urlsplit(one), urlsplit(other)
        return (a.scheme, a.hostname, a.port) == (b.scheme, b.hostname, b.port)
    except ValueError:
        return False
