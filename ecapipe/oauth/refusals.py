"""What an org's refusals mean: one table, by what the org says, the code it says it with, and what it was asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from ecapipe.credentials.sources import UNKNOWN_ORIGIN, ClientIdentity, PairOrigin
from ecapipe.oauth.scopes import all_scopes, brings_refresh_token, scopes_to_request
from ecapipe.problems import api, oauth
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.apps import App
from ecapipe.secret import REDACTED, Secret, redact_answer

Place = Literal[
    "authorize", "token", "web", "client-credentials", "jwt", "refresh", "introspect", "revoke", "userinfo", "rest"
]
"""What was asked: the authorize page, the token endpoint for a grant ("token": one that nothing is special about), or
another endpoint."""

_ASKS_TOKEN: Final[tuple[Place, ...]] = ("token", "web", "client-credentials", "jwt")
_SENDS_TOKEN: Final[tuple[Place, ...]] = ("refresh", "introspect", "revoke")


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an org refused with, and all that the words for it go by.

    `app` is the one that asked, if it is known, and `scopes` are those that were asked for; `client`: what
    showed key and secret, or the key alone; `proved`: a proof of a key was.
    """

    place: Place
    code: str
    reason: str
    """The org's own words, or its code."""
    host: str
    status: int | None = None
    app: App | None = None
    scopes: str | None = None
    client: ClientIdentity | None = None
    proved: bool = False

    @property
    def origin(self) -> PairOrigin:
        return self.client.origin if self.client else UNKNOWN_ORIGIN

    @property
    def answer(self) -> str:
        return self.code if self.reason == self.code else f"{self.code}: {self.reason}"


CODE: Final = re.compile(r"[A-Za-z0-9_. -]{1,80}")
"""What has the form of an error code. Anything else is no code, whatever it stands for."""


def refusal(
    error: str,
    description: str,
    host: str,
    status: int | None = None,
    *secrets: Secret | None,
    place: Place,
    app: App | None,
    scopes: str | None = None,
    client: ClientIdentity | None = None,
    proved: bool = False,
) -> EcapipeError:
    """What an error means: by description first, then by code; an unknown one shows both, redacted."""
    error = one_line(error)
    # A code of UserInfo was judged, and redacted, before.
    if not CODE.fullmatch(error.replace(REDACTED, "")):
        error = ""
    error = redact_answer(error, *secrets)
    description = words_of_org(description, *secrets)
    # Our sentence has a full stop of its own.
    reason = (description or error).rstrip(". ")
    said = Refusal(place, error, reason, host, status, app, scopes, client, proved)
    build = next((row.build for row in TABLE if row.fits(said)), _unknown)
    return at(replace(build(said), oauth_error=error or None), host, status)


def at(problem: Problem, host: str, status: int | None) -> EcapipeError:
    return EcapipeError(replace(problem, host=host, http_status=status))


def one_line(value: object) -> str:
    """A text of the host on one line, cut off before it could fill a terminal; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return " ".join(value.split())[:300]


def words_of_org(value: object, *secrets: Secret | None) -> str:
    """The same without secrets: the only way in which an org's own words are shown."""
    return redact_answer(one_line(value), *secrets)


# --- what they mean: functions where that depends on more than the place ----------------------------------------


def _of_reason(kind: Callable[[str, str], Problem]) -> Callable[[Refusal], Problem]:
    return lambda said: kind(said.host, said.reason)


def _of_host(kind: Callable[[str], Problem]) -> Callable[[Refusal], Problem]:
    return lambda said: kind(said.host)


def _about(what: str) -> Callable[[Refusal], Problem]:
    """Of something that no request of ours has: a code of another flow."""
    return lambda said: oauth.misplaced_answer(said.host, said.answer, what)


def _app_not_found(said: Refusal) -> Problem:
    return oauth.app_not_found_in_org(said.host, said.code, bool(said.app and said.app.distribution == "Packaged"))


def _cross_org(said: Refusal) -> Problem:
    return oauth.cross_org_blocked(said.host, said.place == "authorize")


def _client_id(said: Refusal) -> Problem:
    return oauth.invalid_client_id(said.host, said.code, said.place in _ASKS_TOKEN, said.origin.key)


def _client(said: Refusal) -> Problem:
    match said.place:
        case "authorize":
            # No secret is sent there: the key alone names the app.
            return _client_id(said)
        case "jwt":
            # The assertion is the only thing that authenticated the client.
            return oauth.assertion_refused(said.host, said.reason)
        case _ if said.client and said.client.consumer_secret is None:
            return oauth.secret_required(said.host, said.code)
        case _:
            return oauth.invalid_client(
                said.host, said.code, said.origin.key, said.origin.secret, said.origin.renewal
            )


def _denied(said: Refusal) -> Problem:
    if said.place == "authorize":
        return oauth.access_denied(said.host)
    return oauth.approval_refused(said.host, said.reason)


def _redirect_uri(said: Refusal) -> Problem:
    sent = said.place in ("authorize", "web")
    return oauth.redirect_uri_mismatch(said.host, sent, said.place == "web")


def _scope(said: Refusal) -> Problem:
    known = None
    # Those that the files name help only where others were asked for.
    if said.app and not set((said.scopes or "").split()) <= set((all_scopes(said.app) or "").split()):
        known = scopes_to_request(said.app)
    return oauth.invalid_scope(said.host, said.reason, known, said.place in ("authorize", "web"))


def _ip(said: Refusal) -> Problem:
    return oauth.ip_restricted(said.host, said.reason)


def _not_approved(said: Refusal) -> Problem:
    """Of an assertion; a sign-in helps only with a scope that makes the approval last."""
    scopes = all_scopes(said.app) if said.app and brings_refresh_token(said.app) else None
    return oauth.assertion_not_approved(said.host, said.reason, said.app.name if said.app else None, scopes)


def _authentication(said: Refusal) -> Problem:
    attended = said.place not in ("client-credentials", "jwt")
    return oauth.authentication_failed(said.host, said.reason, attended)


def _domain(said: Refusal) -> Problem:
    return oauth.client_credentials_refused(said.host, said.reason, domain=True)


def _flow(said: Refusal) -> Problem:
    return oauth.unsupported_grant_type(said.host, said.reason, said.place == "web")


def _rate(said: Refusal) -> Problem:
    return oauth.rate_limited(said.host, said.answer)


def _dpop(said: Refusal) -> Problem:
    if said.proved:
        return oauth.dpop_proof_refused(said.host, said.reason)
    return oauth.dpop_required(said.host, said.reason)


def _without_api(said: Refusal) -> str | None:
    """The scopes with which the same login calls no API, if it asks for scopes at all."""
    if said.scopes is None or said.place != "rest":
        return None
    return " ".join(scope for scope in said.scopes.split() if scope not in ("api", "full")) or "id"


def _header(said: Refusal) -> Problem:
    # A resource that knows no other scheme than Bearer.
    if not said.proved and said.place == "rest":
        return oauth.request_refused(said.host, said.reason)
    if said.proved:
        required = said.app.requires_dpop if said.app else None
        return oauth.dpop_not_supported(
            said.host, said.status or 401, said.reason, required, _without_api(said), api=said.place != "userinfo"
        )
    return _token(said)


def _token(said: Refusal) -> Problem:
    if said.place == "userinfo":
        return api.user_info_refused(said.host, said.status or 401, said.reason, bound=said.proved)
    if said.place == "rest":
        return api.api_session_refused(said.host, said.status or 401, said.reason, bound=said.proved)
    if said.place in _SENDS_TOKEN:
        return oauth.token_refused(said.host, said.reason)
    return _about("a token")(said)


def _grant(said: Refusal) -> Problem:
    match said.place:
        case "web":
            return oauth.grant_refused(said.host, said.reason, "authorization code")
        case "jwt":
            return oauth.grant_refused(said.host, said.reason, "assertion")
        case "client-credentials":
            return oauth.grant_refused(said.host, said.reason, "client credentials")
        case "token":
            return oauth.grant_refused(said.host, said.reason, "grant")
        case "authorize":
            return _about("a grant")(said)
        case "refresh" | "introspect" | "revoke" | "userinfo" | "rest":
            return _token(said)


def _unknown(said: Refusal) -> Problem:
    if said.status in (401, 403):
        if said.place == "userinfo":
            return api.user_info_refused(said.host, said.status, said.reason, bound=said.proved)
        if said.place == "rest":
            return api.api_access_blocked(said.host, said.status, said.reason)
    # What was struck out is nothing to search for.
    code = "" if REDACTED in said.code else said.code
    return oauth.oauth_refused(said.host, code, "" if said.reason == code else said.reason)


# --- the table --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """What one kind of refusal is: it `fits` by words of the description, codes and places; None stands for any."""

    build: Callable[[Refusal], Problem]
    words: tuple[str, ...] | None = None
    codes: tuple[str, ...] | None = None
    places: tuple[Place, ...] | None = None

    def fits(self, said: Refusal) -> bool:
        text = said.reason.lower()
        return (
            (self.places is None or said.place in self.places)
            and (self.codes is None or said.code in self.codes)
            and (self.words is None or any(words in text for words in self.words))
        )


# Words that mean one thing, whichever code they come with. The first says "installed", too.
_WORDS: Final = (
    Row(_of_reason(oauth.refresh_scope_required), ("refresh_token scope is required",)),
    Row(_app_not_found, ("not installed", "must be installed")),
    Row(_cross_org, ("cross-org",)),
    Row(_of_reason(oauth.app_blocked), ("blocked by admin", "app is blocked")),
    Row(_of_reason(oauth.oauth_flow_disabled), ("plugin is disabled", "app is disabled", "flow is disabled")),
    Row(_not_approved, ("hasn't approved",), places=("jwt",)),
    Row(_of_reason(oauth.user_not_approved), ("hasn't approved", "not approved", "not admin approved")),
    Row(_ip, ("ip restricted", "login hours")),
    Row(_of_reason(oauth.code_challenge_missing), ("code challenge",), places=("authorize", "web")),
    Row(_of_reason(oauth.code_verifier_refused), ("code verifier",), places=("web",)),
    Row(_of_reason(oauth.authorization_code_refused), ("authorization code",), places=("web",)),
    Row(_of_reason(oauth.audience_refused), ("audience",), places=("jwt",)),
    Row(_of_reason(oauth.client_credentials_refused), ("no client credentials user",)),
    Row(_domain, ("not supported on this domain",), places=("client-credentials",)),
    Row(_flow, ("not supported on this domain", "grant type not supported")),
    Row(_client_id, ("client identifier invalid",)),
    Row(_client, ("invalid client credentials", "client secret invalid")),
    Row(_redirect_uri, ("redirect_uri must match",)),
    Row(_scope, ("no valid scopes",)),
)

# invalid_grant stands for thirteen causes, which only the description tells apart.
_GRANT: Final = ("invalid_grant", "invalid_request")
_GRANTS: Final = (
    Row(
        _authentication,
        ("password", "authentication failure", "inactive", "challenge required"),
        _GRANT,
    ),
    # Salesforce says "expired authorization code" of an assertion, too.
    Row(_of_reason(oauth.assertion_expired), ("expired", "not yet valid"), _GRANT, ("jwt",)),
    Row(_of_reason(oauth.assertion_refused), ("assertion",), _GRANT, ("jwt",)),
    Row(_of_reason(oauth.authorization_code_refused), ("expired",), _GRANT, ("web",)),
    Row(_of_reason(oauth.user_not_approved), ("approved",), _GRANT),
)

# The codes of Salesforce's token endpoint, as its mobile SDKs list them (SFOAuthErrorCode), those of its authorize
# page and of Salesforce Help, "OAuth 2.0 Error Codes".
_CODES: Final = (
    Row(_app_not_found, codes=("app_not_found", "OAUTH_EC_APP_NOT_FOUND", "installation_error")),
    Row(_cross_org, codes=("OAUTH_AUTHORIZATION_BLOCKED",)),
    Row(_of_reason(oauth.app_blocked), codes=("app_blocked", "fail_close_app_blocked", "OAUTH_APP_BLOCKED")),
    Row(lambda said: oauth.approval_refused(said.host, None), codes=("OAUTH_APPROVAL_ERROR_GENERIC",)),
    Row(_denied, codes=("access_denied", "access-denied")),
    Row(_client_id, codes=("invalid_client_id",)),
    Row(_client, codes=("invalid_client", "invalid_client_credentials")),
    Row(_redirect_uri, codes=("redirect_uri_mismatch", "redirect_uri_missing", "invalid_redirect_uri")),
    Row(_of_reason(oauth.user_not_approved), codes=("invalid_app_access", "OAUTH_APP_ACCESS_DENIED")),
    Row(_scope, codes=("invalid_scope", "unsupported_scope")),
    Row(_of_reason(oauth.oauth_flow_disabled), codes=("oauth_flow_disabled",)),
    Row(_of_reason(oauth.policies_missing), codes=("ecapp_policy_not_found", "oauth_policy_not_found")),
    Row(_of_reason(oauth.distribution_refused), codes=("invalid_distribution_state",)),
    Row(_of_reason(oauth.session_level_refused), codes=("invalid_session_level",)),
    Row(_authentication, codes=("login_error",)),
    Row(lambda said: oauth.inactive(said.host, said.reason, user=True), codes=("inactive_user",)),
    Row(lambda said: oauth.inactive(said.host, said.reason, user=False), codes=("inactive_org",)),
    Row(_rate, codes=("rate_limit_exceeded", "slow_down")),
    Row(
        _of_reason(oauth.server_busy),
        codes=(
            *("server_error", "service_unavailable", "system_down", "temporarily_unavailable", "unknown_error"),
            *("SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION"),
        ),
    ),
    Row(_dpop, codes=("invalid_dpop_proof", "use_dpop_nonce")),
    Row(_of_reason(oauth.assertion_used), codes=("bad_jti_claim",), places=("jwt",)),
    Row(_dpop, codes=("bad_jti_claim",)),
    Row(_flow, codes=("invalid_assertion_type",), places=("jwt",)),
    Row(
        _flow,
        codes=("unsupported_grant_type", "unauthorized_client", "unsupported_response_type"),
    ),
    Row(_token, codes=("invalid_token", "token_rejected", "unsupported_token_type")),
    Row(_grant, codes=("invalid_grant",)),
    Row(_of_reason(oauth.request_refused), codes=("invalid_request",)),
    Row(_about("an assertion"), codes=("invalid_assertion_type",)),
    Row(_about("the device flow"), codes=("authorization_pending",)),
    Row(_about("a one-time password"), codes=("invalid_otp", "otp_error")),
    Row(_about("mobile app attestation"), codes=("client_blocked", "client_blocked_retry")),
    Row(
        _about("client or user registration"),
        codes=("exceeded_registration_limit", "failed_registration", "registration_error"),
    ),
    Row(_about("an Experience ID"), codes=("invalid_expid", "unsupported_expid")),
    Row(_about("an Authorization header with client credentials"), codes=("invalid_basic_auth_header",)),
    Row(
        _about("a login without a sign-in page"),
        codes=("immediate_unsuccessful", "login_required", "consent_required", "interaction_required"),
    ),
)

# Those of the REST API, after UserInfo took the token.
_RESOURCES: Final = (
    Row(lambda said: api.api_disabled(said.host, _without_api(said)), codes=("API_DISABLED_FOR_ORG",)),
    Row(_of_host(api.api_disabled_for_user), codes=("API_CURRENTLY_DISABLED",)),
    Row(_of_host(api.request_limit_exceeded), codes=("REQUEST_LIMIT_EXCEEDED",)),
    Row(_header, codes=("INVALID_AUTH_HEADER",)),
    Row(_token, codes=("INVALID_SESSION_ID",)),
    Row(_ip, codes=("LOGIN_DURING_RESTRICTED_DOMAIN", "LOGIN_DURING_RESTRICTED_TIME")),
)

RESOURCE_CODES: Final = frozenset(
    {*(code for row in _RESOURCES for code in row.codes or ()), "SERVER_UNAVAILABLE", "UNKNOWN_EXCEPTION"}
)
"""The codes that mean the same of every resource of the REST API."""

TABLE: Final = (*_WORDS, *_GRANTS, *_CODES, *_RESOURCES)
"""The first row that fits counts: what is said decides before the code."""

CODES: Final = frozenset(code for row in TABLE for code in row.codes or ())
"""Every code that the table knows."""
