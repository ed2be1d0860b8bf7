"""The web flow in the browser: the authorize request, and the redirect that answers it; PKCE and state."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, unquote_plus, urlencode, urlsplit

from ecapipe.credentials.resolution import Credentials
from ecapipe.oauth.dpop import ProofKey, thumbprint
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

_AROUND: Final = " \t\r\n\"'`<>()[]{},;\u00ab\u00bb\u2018\u2019\u201c\u201d\u00a0\u200b\ufeff"
"""What people, mail and chat programs put around an address."""

_VALUE: Final = re.compile(r"[?&][\w.-]+=\Z")
"""What comes before the value of a parameter: an address there begins no other."""

_BULLET: Final = re.compile(r"\s(?:\d{1,3}[.)]|[-*\u2022])\Z")

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:/*", re.IGNORECASE)

_NO_SCHEME: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?/", re.IGNORECASE)

_NEITHER: Final = "Not a redirect URL or code. After Allow, copy the full URL from the address bar."

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
    scopes: str | None = None
    """Those that were asked for; None for all of the app."""
    key: ProofKey | None = None
    """The code, and then the token, are bound to it."""

    @property
    def secrets(self) -> tuple[Secret | None, ...]:
        """What the org may repeat."""
        return self.code_verifier, self.consumer_secret


class UnmatchedResponse(Exception):
    """An answer that belongs to no waiting login; it changes nothing. The text is for the person who gave it."""


def build_request(
    credentials: Credentials,
    org: Org,
    redirect_uri: str,
    scopes: str | None,
    random_bytes: Callable[[int], bytes],
    key: ProofKey | None = None,
) -> AuthorizationRequest:
    """A login ready to be opened in a browser.

    State has 192 random bits, the verifier 86 characters (RFC 7636 §4.1 allows 43 to 128).
    """
    state = base64url(random_bytes(24))
    verifier = Secret(base64url(random_bytes(64)))
    parameters = authorize_fields(credentials.consumer_key, redirect_uri, scopes, state, verifier, org.username)
    if key is not None:
        parameters["dpop_jkt"] = thumbprint(key)
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
        key=key,
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
    if issuer and not same_origin(issuer, login.org.url):
        raise UnmatchedResponse("The URL names another org as its issuer.")
    if code and error:
        raise UnmatchedResponse("The response contains both a code and an error.")
    if error:
        return login, _refusal(login, error, parameters.get("error_description", ""))
    if not code:
        raise UnmatchedResponse("The response contains neither a code nor an error.")
    if not _CODE.fullmatch(code):
        raise UnmatchedResponse("The code in the URL contains invalid characters.")
    return login, AuthorizationCode(Secret(code), login.redirect_uri, login.code_verifier, login.key)


def _refusal(login: AuthorizationRequest, error: str, description: str) -> EcapipeError:
    app, scopes = login.app, login.scopes
    return refusal(
        error, description, login.org.host, None, *login.secrets, place="authorize", app=app, scopes=scopes
    )


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


def split_pasted(text: str, logins: Sequence[AuthorizationRequest]) -> list[str]:
    """The addresses in a paste, each without what surrounds it; where there is none, its lines, or the text of a page
    about an error as a whole.

    An address begins where a scheme or the callback of a pending login begins, whatever comes before it.
    """
    schemes, callbacks = {"http://", "https://"}, set()
    for login in logins:
        scheme, callback = _split_scheme(login.redirect_uri)
        schemes.add(scheme)
        callbacks.add(callback)
    begin = f"(?:{'|'.join(map(re.escape, sorted(schemes - {''})))})"
    known = "|".join(map(re.escape, sorted(callbacks - {""}, key=len, reverse=True)))
    # What follows a slash, say, is a part of another address.
    pattern = re.compile(rf"(?:{begin}|(?<![/@.]))(?:{known})(?=/?[?#])|{begin}" if known else begin, re.IGNORECASE)
    starts = [found.start() for found in pattern.finditer(text) if not _is_value(text, found.start())]
    if starts and not _error_texts()[0].search(text, 0, starts[0]):
        ends = [*starts[1:], len(text)]
        return [_trim(text[start:end]) for start, end in zip(starts, ends, strict=True)]
    whole = text.strip(_AROUND)
    parts = [whole] if _error_texts()[0].search(whole) or _NO_SCHEME.match(whole) else whole.splitlines()
    return [part.strip(_AROUND) for part in parts if part.strip(_AROUND)]


def _trim(address: str) -> str:
    """An address without what surrounds it, and without the number or bullet that comes before the next one."""
    address = address.rstrip()
    return (address[:-5] + _BULLET.sub("", address[-5:])).strip(_AROUND)


def _is_value(text: str, start: int) -> bool:
    # The name of a parameter is short: the work for each address has a bound.
    return _VALUE.search(text, max(0, start - 60), start) is not None


def match_pasted(
    text: str, logins: Sequence[AuthorizationRequest]
) -> tuple[AuthorizationRequest, AuthorizationCode | EcapipeError]:
    """The login that a pasted redirected URL answers, or the address or text of Salesforce's page about an error;
    `text` is one part of `split_pasted`. Blanks and line breaks in an address are taken out.

    A bare code, encoded or decoded, is accepted only while exactly one login waits, for nothing ties it to one.
    Raises `UnmatchedResponse`.
    """
    if not logins:
        raise UnmatchedResponse("No sign-in is waiting for this response.")
    address, *words = text.split()[:2] or [""]
    text = _with_scheme(text.strip(), logins)
    if not words or ":/" not in text:
        return _match_one(text, logins)
    try:
        return _match_one("".join(text.split()), logins)
    except UnmatchedResponse:
        # What follows the blank may be no part of it, but the number of the next line.
        return _match_one(_with_scheme(address.strip(_AROUND), logins), logins)


def _with_scheme(text: str, logins: Sequence[AuthorizationRequest]) -> str:
    """A pasted address with the scheme that browsers do not always show."""
    for login in logins:
        scheme, callback = _split_scheme(login.redirect_uri)
        if callback and text.lower().startswith((f"{callback}?", f"{callback}/?")):
            return f"{scheme}{text}"
    return f"https://{text}" if _NO_SCHEME.match(text) and "?" in text else text


def _split_scheme(redirect_uri: str) -> tuple[str, str]:
    """The scheme of a callback with its slashes, and in lower case what comes before its query."""
    scheme = _SCHEME.match(redirect_uri)
    end = scheme.end() if scheme else 0
    # Of an address without a path, browsers show one.
    return redirect_uri[:end], redirect_uri[end:].partition("?")[0].rstrip("/").lower()


def _match_one(
    text: str, logins: Sequence[AuthorizationRequest]
) -> tuple[AuthorizationRequest, AuthorizationCode | EcapipeError]:
    try:
        address = urlsplit(text)
    except ValueError:
        raise UnmatchedResponse(_NEITHER) from None
    if address.scheme and (address.netloc or address.query):
        return _match_pasted_address(address, logins)
    # As the page has it, somewhere in its text, the code alone, or as a part of an address.
    page, alone, part = _error_texts()
    if error := page.search(text) or alone.match(text) or part.match(text):
        login = _only(logins, "text of the page")
        return login, _refusal(login, error["code"], unquote_plus(error["description"] or ""))
    code = unquote(text)
    if not _BARE_CODE.fullmatch(text) or not _CODE.fullmatch(code):
        raise UnmatchedResponse(_NEITHER)
    login = _only(logins, "code")
    return login, AuthorizationCode(Secret(code), login.redirect_uri, login.code_verifier, login.key)


def _only(logins: Sequence[AuthorizationRequest], what: str) -> AuthorizationRequest:
    """The one login that waits; raises `UnmatchedResponse` where several do."""
    if len(logins) != 1:
        raise UnmatchedResponse(f"Several sign-ins are pending. Paste the full URL instead of the {what}.")
    return logins[0]


def _match_pasted_address(
    address: SplitResult, logins: Sequence[AuthorizationRequest]
) -> tuple[AuthorizationRequest, AuthorizationCode | EcapipeError]:
    if address.path.lower().endswith(_ERROR_PAGE):
        return _match_error_page(address, logins)
    # First: somebody who copies too early pastes the address of the login page, which has parameters of its own.
    if not any(same_address(address, login.redirect_uri) for login in logins):
        raise UnmatchedResponse("Not the redirect URL. After Allow, copy the full URL from the address bar.")
    login, outcome = match_redirect(address.query, logins)
    if not same_address(address, login.redirect_uri):
        raise UnmatchedResponse("That URL belongs to another sign-in.")
    return login, outcome


def _match_error_page(
    address: SplitResult, logins: Sequence[AuthorizationRequest]
) -> tuple[AuthorizationRequest, EcapipeError]:
    """The login that Salesforce's page about an error ends: by its state, or, where that is missing, by its host."""
    parameters = _parse_query(address.query)
    if not (error := parameters.get("error")):
        raise UnmatchedResponse("The URL of that page contains no error. Copy the text of the page instead.")
    if state := parameters.get("state"):
        fits = [login for login in logins if login.state == state]
    else:
        fits = [login for login in logins if urlsplit(login.org.url).hostname == address.hostname]
    login = _only(fits, "URL of that page") if fits else None
    if login is None:
        raise UnmatchedResponse("No sign-in is waiting for that page.")
    return login, _refusal(login, error, parameters.get("error_description", ""))


def same_address(address: SplitResult, redirect_uri: str) -> bool:
    """Equal but for query and fragment; a browser shows an empty path as ``/``, and leaves out a usual port."""
    try:
        return _normalize(address) == _normalize(urlsplit(redirect_uri))
    except ValueError:
        return False


def _normalize(address: SplitResult) -> tuple[object, ...]:
    port = address.port or {"http": 80, "https": 443}.get(address.scheme)
    return address.scheme, address.username, address.password, address.hostname, port, address.path or "/"


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses are of one host, by scheme and port as well."""
    try:
        # All but the path.
        return _normalize(urlsplit(one))[:-1] == _normalize(urlsplit(other))[:-1]
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
