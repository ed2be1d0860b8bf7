"""The web flow in the browser: the authorize request, and the redirect that answers it; PKCE and state."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_plus, urlencode, urlsplit

from ecapipe.credentials.resolution import Credentials
from ecapipe.oauth.flows.web import AuthorizationCode, authorize_fields
from ecapipe.oauth.grants import base64url
from ecapipe.oauth.refusals import CODES, refusal
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.apps import App
from ecapipe.secret import Secret

_CODE: Final = re.compile(r"[ -~]+")
"""RFC 6749, appendix A.11."""

_BARE_CODE: Final = re.compile(r"[A-Za-z0-9._~%+/!-]{16,1024}={0,2}")
"""What may be a code when it is pasted without its URL."""

_ERROR_PAGE: Final = "/remoteaccesserrorpage.apexp"
"""Where Salesforce shows an error that it sends to no callback, in lower case."""

_SINGLE: Final = ("state", "code", "error", "iss")
"""Parameters that decide on an answer, and must not be repeated (RFC 6749 §3.1)."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A web login that waits for its answer: what the authorize URL asked for, to match the answer against."""

    app: App
    org: Org
    redirect_uri: str
    state: str
    code_verifier: Secret
    authorize_url: str
    consumer_secret: Secret | None = None
    """The org knows it, and might repeat it."""
    scopes: str | None = None
    """Those that were asked for; None for all of the app."""


class UnmatchedResponse(Exception):
    """An answer that belongs to no waiting login; it changes nothing. The text is for the person who gave it."""


def build_request(
    credentials: Credentials, org: Org, redirect_uri: str, scopes: str | None, random_bytes: Callable[[int], bytes]
) -> AuthorizationRequest:
    """A login ready to be opened in a browser.

    State has 192 random bits, the verifier 86 characters (RFC 7636 §4.1 allows 43 to 128).
    """
    state = base64url(random_bytes(24))
    verifier = Secret(base64url(random_bytes(64)))
    parameters = authorize_fields(credentials.consumer_key, redirect_uri, scopes, state, verifier, org.username)
    # Spaces become %20, for not every server reads a plus sign in a URL as a space.
    encoded = urlencode(parameters, quote_via=quote, safe="")
    return AuthorizationRequest(
        app=credentials.app,
        org=org,
        redirect_uri=redirect_uri,
        state=state,
        code_verifier=verifier,
        authorize_url=f"{org.url}/services/oauth2/authorize?{encoded}",
        consumer_secret=credentials.consumer_secret,
        scopes=scopes,
    )


def match_redirect(
    query: str, logins: Sequence[AuthorizationRequest]
) -> tuple[AuthorizationRequest, AuthorizationCode | EcapipeError]:
    """The login that a redirect's `query` answers, with its code or the org's refusal.

    Raises `UnmatchedResponse` for what answers none: state missing, repeated or unknown; code or error repeated, both
    or neither (RFC 6749 §3.1, §4.1.2); an ``iss`` of another org (RFC 9207).
    """
    parameters = _parse_query(query)
    state, code, error = parameters.get("state"), parameters.get("code", ""), parameters.get("error", "")
    login = next((login for login in logins if login.state == state), None)
    # Before anything is believed: only the login's own answer knows the state, so that a forged one ends no login.
    if login is None:
        raise UnmatchedResponse("No sign-in is waiting for this response: its state is missing or unknown.")
    issuer = parameters.get("iss")
    # Against mix-up: a code of one org must not be sent to another. Many name no issuer.
    if issuer and not _same_origin(issuer, login.org.url):
        raise UnmatchedResponse("The response names another org as its issuer.")
    if code and error:
        raise UnmatchedResponse("The response contains both a code and an error.")
    if error:
        return login, _refusal(login, error, parameters.get("error_description", ""))
    if not code:
        raise UnmatchedResponse("The response contains neither a code nor an error.")
    if not _CODE.fullmatch(code):
        raise UnmatchedResponse("The response contains a code with invalid characters.")
    return login, AuthorizationCode(Secret(code), login.redirect_uri, login.code_verifier)


def _refusal(login: AuthorizationRequest, error: str, description: str) -> EcapipeError:
    app, scopes = login.app, login.scopes
    secrets = login.code_verifier, login.consumer_secret
    return refusal(error, description, login.org.host, None, *secrets, place="authorize", app=app, scopes=scopes)


def _parse_query(query: str) -> dict[str, str]:
    """The parameters of a redirect; of a repeated one that decides nothing, the first. Raises `UnmatchedResponse`."""
    parameters: dict[str, str] = {}
    repeated: set[str] = set()
    try:
        # Anybody on this machine can call a loopback address, so that the work is bounded.
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise UnmatchedResponse("The response contains too many parameters.") from None
    for name, value in pairs:
        if name in parameters:
            repeated.add(name)
        else:
            parameters[name] = value
    for name in _SINGLE:
        if name in repeated:
            raise UnmatchedResponse(f"The response contains more than one {name}.")
    return parameters


_COPY: Final = "After Allow, copy the full URL from the address bar."


def match_pasted(
    text: str, logins: Sequence[AuthorizationRequest]
) -> tuple[AuthorizationRequest, AuthorizationCode | EcapipeError]:
    """The login that a pasted redirected URL answers, or the address or text of Salesforce's page about an error.

    A bare code, encoded or decoded, is accepted only while exactly one login waits, for nothing ties it to one.
    Raises `UnmatchedResponse`.
    """
    text = text.strip()
    try:
        address = urlsplit(text)
    except ValueError:
        raise UnmatchedResponse("Not a valid URL.") from None
    if address.scheme and (address.netloc or address.query):
        return _match_pasted_address(address, logins)
    # As the page has it, somewhere in its text, the code alone, or as a part of an address.
    page, alone, part = _error_texts()
    if error := page.search(text) or alone.match(text) or part.match(text):
        login = _only(logins, "Several sign-ins are pending. Paste the full URL of the page instead of its text.")
        return login, _refusal(login, error["code"], unquote_plus(error["description"] or ""))
    code = unquote(text)
    if not _BARE_CODE.fullmatch(text) or not _CODE.fullmatch(code):
        raise UnmatchedResponse(f"Not a redirect URL or code. {_COPY}")
    login = _only(logins, "Several sign-ins are pending. Paste the full URL instead of the code.")
    return login, AuthorizationCode(Secret(code), login.redirect_uri, login.code_verifier)


def _only(logins: Sequence[AuthorizationRequest], otherwise: str) -> AuthorizationRequest:
    """The one login that waits; raises `UnmatchedResponse`, which says `otherwise`."""
    if len(logins) != 1:
        raise UnmatchedResponse(otherwise)
    return logins[0]


def _match_pasted_address(
    address: SplitResult, logins: Sequence[AuthorizationRequest]
) -> tuple[AuthorizationRequest, AuthorizationCode | EcapipeError]:
    if address.path.lower().endswith(_ERROR_PAGE):
        return _match_error_page(address, logins)
    # First: somebody who copies too early pastes the address of the login page, which has parameters of its own.
    if not any(_same_address(address, login.redirect_uri) for login in logins):
        raise UnmatchedResponse(f"Not the redirect URL. {_COPY}")
    login, outcome = match_redirect(address.query, logins)
    if not _same_address(address, login.redirect_uri):
        raise UnmatchedResponse("This URL is the redirect URL of another sign-in.")
    return login, outcome


def _match_error_page(
    address: SplitResult, logins: Sequence[AuthorizationRequest]
) -> tuple[AuthorizationRequest, EcapipeError]:
    """The login that Salesforce's page about an error ends: by its state, or, where that is missing, by its host."""
    parameters = _parse_query(address.query)
    if not (error := parameters.get("error")):
        raise UnmatchedResponse("The URL of this page contains no error. Copy the text of the page instead.")
    if state := parameters.get("state"):
        fits = [login for login in logins if login.state == state]
    else:
        fits = [login for login in logins if urlsplit(login.org.url).hostname == address.hostname]
    if not fits:
        raise UnmatchedResponse("No sign-in is waiting for this page.")
    login = _only(fits, "Several sign-ins to this org are pending, and the URL doesn't say which one failed.")
    return login, _refusal(login, error, parameters.get("error_description", ""))


def _same_address(address: SplitResult, redirect_uri: str) -> bool:
    """Equal but for query and fragment; a browser shows an empty path as ``/``, and leaves out a usual port."""
    try:
        return _normalize(address) == _normalize(urlsplit(redirect_uri))
    except ValueError:
        return False


def _normalize(address: SplitResult) -> tuple[object, ...]:
    port = address.port or {"http": 80, "https": 443}.get(address.scheme)
    return address.scheme, address.username, address.password, address.hostname, port, address.path or "/"


def _same_origin(one: str, other: str) -> bool:
    try:
        a, b = urlsplit(one), urlsplit(other)
        return (a.scheme, a.hostname, a.port) == (b.scheme, b.hostname, b.port)
    except ValueError:
        return False


# Only what is pasted needs them, and the table of refusals makes them dear.
@cache
def _error_texts() -> tuple[re.Pattern[str], ...]:
    code = rf"(?P<code>OAUTH_[A-Z_]+|{'|'.join(map(re.escape, sorted(CODES)))})"
    return (
        re.compile(rf"(?<!\S){code}\s*:\s+(?P<description>.+)"),
        re.compile(rf"{code}(?P<description>)$"),
        re.compile(rf"(?:.*[?&\s])?error={code}(?:&error_description=(?P<description>[^&\s]*))?(?![\w-])"),
    )
