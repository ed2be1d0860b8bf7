"""Which flow is possible; the authorize URL out, the code back; PKCE and state."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, assert_never
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from ecapipe import messages, problems
from ecapipe.apps import App, Flow, loopback
from ecapipe.credentials import Credentials
from ecapipe.orgs import Org
from ecapipe.problems import EcapipeError
from ecapipe.secret import Secret

Callback = Literal["listen", "paste"]

SCOPES: Final[Mapping[str, str]] = {
    "Basic": "id",
    "Api": "api",
    "Web": "web",
    "Full": "full",
    "Chatter": "chatter_api",
    "CustomApplications": "visualforce",
    "RefreshToken": "refresh_token",
    "OfflineAccess": "offline_access",
    "OpenID": "openid",
    "Profile": "profile",
    "Email": "email",
    "Address": "address",
    "Phone": "phone",
    "CustomPermissions": "custom_permissions",
    "Wave": "wave_api",
    "Eclair": "eclair_api",
    "Pardot": "pardot_api",
    "Lightning": "lightning",
    "Content": "content",
    "CDPIngest": "cdp_ingest_api",
    "CDPProfile": "cdp_profile_api",
    "CDPQuery": "cdp_query_api",
    "CDPSegment": "cdp_segment_api",
    "CDPIdentityResolution": "cdp_identityresolution_api",
    "CDPCalculatedInsight": "cdp_calculated_insight_api",
    "Chatbot": "chatbot_api",
    "SFApiPlatform": "sfap_api",
    "Interaction": "interaction_api",
    "EinsteinGPT": "einstein_gpt_api",
    "PwdlessLogin": "pwdless_login_api",
    "ForgotPassword": "forgot_password",
    "UserRegistration": "user_registration_api",
    "MCP": "mcp_api",
    "SCRT": "scrt_api",
}
"""Scope names of the metadata (``commaSeparatedOauthScopes``) and their OAuth strings."""

_ASSERTION_LIFE: Final = 150
"""Seconds. Salesforce allows 180: what is left serves clocks that are a little fast."""

_LONG_LIVED: Final = ("refresh_token", "offline_access")
_HANDED_OVER: Final = ("refresh_token", "api", "web")
"""What the Salesforce CLI asks for itself."""
WITHOUT_CALLBACK: Final[tuple[Flow, ...]] = ("client-credentials", "jwt")
"""The flows that need nothing from the settings file but key and secret."""
_CODE: Final = re.compile(r"[ -~]+")
"""RFC 6749, appendix A.11."""
_BARE_CODE: Final = re.compile(r"[A-Za-z0-9._~%+/!-]{16,1024}={0,2}")


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """RFC 6749 §4.1.3, with the PKCE verifier (RFC 7636 §4.5) and the redirect_uri of the authorize request."""

    code: Secret
    redirect_uri: str
    code_verifier: Secret


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """RFC 6749 §4.4."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """RFC 6749 §6: what a login that is kept goes on with. With rotation it is good for one use."""

    refresh_token: Secret


@dataclass(frozen=True, slots=True)
class JwtBearer:
    """RFC 7523 §2.1: a signed assertion, which lives for minutes and is sent once."""

    assertion: Secret


Grant = AuthorizationCode | ClientCredentials | JwtBearer | RefreshToken


@dataclass(frozen=True, slots=True)
class Login:
    """A web login in flight: what the authorize URL promised, to be matched by the answer."""

    app: str
    org: Org
    redirect_uri: str
    state: str
    code_verifier: Secret
    authorize_url: str


class Misfit(Exception):
    """An answer that fits no login in flight; it changes nothing. The text is for the person who gave it."""


def choose(app: App, wanted: Literal["auto"] | Flow, has_secret: bool, person: bool, has_key: bool = False) -> Flow:
    """The flow to use.

    `person`: whether somebody can be asked to sign in; `has_key`: whether a private key was given. Raises
    `EcapipeError` (FlowNotPossible), which says what the file allows. Without a file nothing tells what the app
    allows, and those flows are tried that need nothing from it.
    """
    allowed = app.flows if app.settings else WITHOUT_CALLBACK
    match wanted:
        case "web" if "web" in allowed:
            return "web"
        case "client-credentials" if "client-credentials" in allowed and has_secret:
            return "client-credentials"
        case "auto" | "jwt" if takes_key(app, wanted, has_key):
            return "jwt"
        case "auto" if "web" in allowed and person:
            return "web"
        case "auto" if "client-credentials" in allowed and has_secret:
            return "client-credentials"
        case "auto" if "web" in allowed:
            why = "nobody can be asked to sign in (no terminal, CI, or --no-prompt)"
        case "client-credentials" if "client-credentials" in allowed:
            why = "this flow needs the consumer secret, and there is none"
        case "jwt" if "jwt" in allowed:
            why = "this flow needs a private key, and --jwt-key-file names none"
        case "auto" if "jwt" in allowed:
            why = "of the flows it allows only jwt is possible without people, and --jwt-key-file names no key"
        case "web" if app.settings is None:
            why = "its callback URLs are in its global OAuth settings file, which is not here"
        case "web":
            why = "it has no callback URL"
        case "client-credentials":
            why = "isClientCredentialsFlowEnabled is not true in its settings and policies"
        case "jwt":
            why = "its settings file has no certificate (some orgs leave it out of a retrieve: add it to the file)"
        case _:
            why = "no flow that ecapipe supports is enabled"
    raise EcapipeError(problems.flow_not_possible(app.name, wanted, allowed, why, app.settings is not None))


def takes_key(app: App, wanted: Literal["auto"] | Flow, has_key: bool) -> bool:
    """Whether `app` will log in with a private key, for which it needs no secret."""
    return has_key and wanted in ("auto", "jwt") and (app.settings is None or app.allows("jwt"))


def flow(grant: Grant) -> Flow:
    """The flow that `grant` belongs to."""
    match grant:
        case AuthorizationCode() | RefreshToken():
            return "web"
        case ClientCredentials():
            return "client-credentials"
        case JwtBearer():
            return "jwt"
        case _:
            assert_never(grant)


def bearer(
    consumer_key: str,
    username: str,
    audience: str,
    sign: Callable[[bytes], bytes],
    now: float,
    chance: Callable[[int], bytes],
) -> JwtBearer:
    """A grant for `username` without a person (RFC 7523 §3; Salesforce Help, "OAuth 2.0 JWT Bearer Flow").

    `sign` makes RS256 signatures, `now` is in seconds since 1970, `chance` gives random bytes. There is no ``iat``
    or ``nbf``: a clock that is a little fast would make them lie in the org's future.
    """
    claims = {
        "iss": consumer_key,
        "sub": username,
        "aud": audience,
        "exp": int(now) + _ASSERTION_LIFE,
        "jti": _base64url(chance(16)),
    }
    parts = [_base64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims)]
    signed = ".".join(parts)
    return JwtBearer(Secret(f"{signed}.{_base64url(sign(signed.encode('ascii')))}"))


def redirect_uri(app: App, wanted: Literal["auto"] | Callback, local_browser: bool) -> tuple[Callback, str]:
    """How the answer comes back, and the registered callback URL, byte for byte, that it comes to.

    `local_browser`: whether the browser can be on this machine. Raises `EcapipeError` (CallbackNotUsable).
    """
    urls = app.callback_urls
    local = next((url for url in urls if loopback(url)), None)
    if wanted != "paste" and local and (wanted == "listen" or local_browser):
        return "listen", local
    if wanted != "listen" and urls:
        # A browser shows the address of an https page, and of a refused loopback one; of another scheme it may not.
        return "paste", min(urls, key=lambda url: (not url.startswith("https:"), not url.startswith("http:")))
    raise EcapipeError(problems.callback_not_usable(app.name, wanted, urls))


def scope(app: App) -> str | None:
    """The scopes to ask for: the app's own but for the long-lived ones; None, which asks for all, when unknown.

    A refresh token is an approval, and the sixth approval of a user for an app revokes the oldest.
    """
    known = [SCOPES[name] for name in app.scope_names or () if name in SCOPES]
    return " ".join(name for name in dict.fromkeys(known) if name not in _LONG_LIVED) or None


def scope_to_keep(app: App, asked: str | None) -> str | None:
    """The scopes for a login that ecapipe is to keep: those `asked` for, else all of the app, with a refresh token.

    None asks for all. Raises `EcapipeError` (RefreshScopeMissing).
    """
    known = [SCOPES[name] for name in dict.fromkeys(app.scope_names or ()) if name in SCOPES]
    if not lasts(app):
        raise EcapipeError(problems.refresh_scope_missing(app.name, known))
    if asked is None:
        return " ".join(known) or None
    return asked if any(name in _LONG_LIVED for name in asked.split()) else f"{asked} refresh_token"


def lasts(app: App) -> bool:
    """Whether a web login can bring a refresh token, as far as the files tell."""
    known = {SCOPES.get(name) for name in app.scope_names or ()}
    return not known or not known.isdisjoint(_LONG_LIVED)


def scope_to_hand_over(app: App, asked: str | None) -> str:
    """The scopes for a login that the Salesforce CLI is to keep: those `asked` for, else the app's own, and what it
    works with, as far as the app is known to have it."""
    known = {SCOPES[name] for name in app.scope_names or () if name in SCOPES}
    if "full" in known:
        known |= {"api", "web"}
    if known and lasts(app):
        known |= {"refresh_token"}
    more = [name for name in _HANDED_OVER if not known or name in known]
    return " ".join(dict.fromkeys([*(asked or scope(app) or "").split(), *more]))


def begin(
    credentials: Credentials, org: Org, redirect_uri: str, scopes: str | None, chance: Callable[[int], bytes]
) -> Login:
    """A login ready to be opened in a browser. `chance` gives random bytes.

    State has 192 random bits, the verifier 86 characters (RFC 7636 §4.1 allows 43 to 128).
    """
    state = _base64url(chance(24))
    verifier = Secret(_base64url(chance(64)))
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
    return Login(credentials.app.name, org, redirect_uri, state, verifier, url)


def challenge(verifier: Secret) -> str:
    """The S256 code challenge (RFC 7636 §4.2)."""
    return _base64url(hashlib.sha256(verifier.reveal().encode("ascii")).digest())


def answer(query: str, logins: Sequence[Login]) -> tuple[Login, AuthorizationCode | EcapipeError]:
    """The login that a redirect's `query` answers, with its code or the org's refusal.

    Raises `Misfit` for what answers none: state missing, repeated or unknown; code or error repeated, both or
    neither (RFC 6749 §3.1, §4.1.2); an ``iss`` of another org (RFC 9207).
    """
    values: dict[str, list[str]] = {}
    try:
        for name, value in parse_qsl(query, keep_blank_values=True, max_num_fields=50):
            values.setdefault(name, []).append(value)
    except ValueError:
        raise Misfit("The address has too many parameters.") from None
    repeated = [name for name in ("state", "code", "error", "iss") if len(values.get(name, ())) > 1]
    if repeated:
        raise Misfit(f"The address has more than one {repeated[0]}.")
    state, code, error, iss = (values.get(name, [""])[0] for name in ("state", "code", "error", "iss"))
    login = next((login for login in logins if login.state == state), None)
    if login is None:
        raise Misfit("The address belongs to no login that is waiting: its state is missing or unknown.")
    if iss and not _same_origin(iss, login.org.url):
        raise Misfit("The address names another org as its issuer.")
    if bool(code) == bool(error):
        raise Misfit("The address has neither a code nor an error." if not code else "The address has both.")
    if error:
        description = values.get("error_description", [""])[0]
        return login, messages.refusal(error, description, login.org.host, None, login.code_verifier)
    if not _CODE.fullmatch(code):
        raise Misfit("The address has a code with characters that no code has.")
    return login, AuthorizationCode(Secret(code), login.redirect_uri, login.code_verifier)


def pasted(text: str, logins: Sequence[Login]) -> tuple[Login, AuthorizationCode | EcapipeError]:
    """The login that a pasted redirected URL answers.

    A bare code, encoded or decoded, is taken only while exactly one login waits, for nothing ties it to one.
    Raises `Misfit`.
    """
    text = text.strip()
    try:
        address = urlsplit(text)
    except ValueError:
        raise Misfit("That is no address.") from None
    if address.scheme and (address.netloc or address.query):
        if not any(_same_place(address, login.redirect_uri) for login in logins):
            raise Misfit("That is not the address the login ends at. Copy the whole address after pressing Allow.")
        login, outcome = answer(address.query, logins)
        if not _same_place(address, login.redirect_uri):
            raise Misfit("That address belongs to another login.")
        return login, outcome
    code = unquote(text)
    if not _BARE_CODE.fullmatch(text) or not _CODE.fullmatch(code):
        raise Misfit("That is neither an address nor a code. Copy the whole address after pressing Allow.")
    if len(logins) != 1:
        raise Misfit("A code alone does not tell its login while several wait. Copy the whole address instead.")
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


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
