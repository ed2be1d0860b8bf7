"""What an org's refusals mean, at each place where it gives them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import get_args

import billing
import pytest
import trees
from billing import ORG, ORG_ID, USER_ID
from failure import problem_of

from ecapipe.credentials.sources import ClientIdentity, PairOrigin
from ecapipe.oauth import messages, refusals, userinfo
from ecapipe.oauth.messages import Response
from ecapipe.oauth.refusals import Place
from ecapipe.oauth.tokens import Token
from ecapipe.problems import api, oauth
from ecapipe.problems.problem import Kind, Problem
from ecapipe.secret import Secret

HOST = ORG.host
PLACES: tuple[Place, ...] = get_args(Place)
TOKEN = Token(Secret("00D000000000001!AQEAQFAKEaccess.token"), None, ORG.url, ORG_ID, USER_ID, ("api", "id"))

WIRE = """
    access_denied app_blocked app_not_found authorization_pending bad_jti_claim client_blocked client_blocked_retry
    ecapp_policy_not_found exceeded_registration_limit fail_close_app_blocked failed_registration
    immediate_unsuccessful installation_error invalid_app_access invalid_assertion_type invalid_basic_auth_header
    invalid_client invalid_client_id invalid_dpop_proof invalid_distribution_state invalid_expid invalid_grant
    invalid_otp invalid_request invalid_scope invalid_session_level invalid_token login_error oauth_flow_disabled
    oauth_policy_not_found otp_error redirect_uri_missing redirect_uri_mismatch registration_error server_error
    service_unavailable slow_down system_down unknown_error unsupported_expid unsupported_grant_type
    unsupported_response_type unsupported_token_type use_dpop_nonce
""".split()
PAGE = ["OAUTH_EC_APP_NOT_FOUND", "OAUTH_AUTHORIZATION_BLOCKED", "OAUTH_APPROVAL_ERROR_GENERIC", "OAUTH_APP_BLOCKED"]
OTHERS = """
    access-denied inactive_user inactive_org rate_limit_exceeded invalid_client_credentials temporarily_unavailable
    token_rejected unauthorized_client unsupported_scope
""".split()


def refused(
    place: Place, code: str, description: str = "", client: ClientIdentity | None = None, proved: bool = False
) -> Problem:
    error = refusals.refusal(code, description, HOST, 400, place=place, app=None, client=client, proved=proved)
    return error.problem


@pytest.mark.parametrize("place", PLACES)
def test_who_sent_no_proof_is_told_to_and_who_did_what_may_be_wrong_with_it(place: Place) -> None:
    for code in ("use_dpop_nonce", "invalid_dpop_proof"):
        unproved, proved = refused(place, code), refused(place, code, proved=True)
        assert (unproved.kind, proved.kind) == (oauth.dpop_required, oauth.dpop_proof_refused)
        assert "--dpop" in unproved.actions[0]
        assert "clock" in proved.actions[0]


def test_a_resource_that_knows_no_bound_tokens_is_told_from_one_that_takes_no_token() -> None:
    cases: list[tuple[bool | None, Place, bool, bool]] = [
        (None, "rest", True, True), (True, "userinfo", False, True), (False, "rest", True, False),
    ]  # fmt: skip
    for required, place, flag, setup in cases:
        settings = {"isDPopEnabled": str(required).lower()}
        (app,) = trees.assembled(trees.app(settings=settings)) if required is not None else (None,)
        error = refusals.refusal(
            "INVALID_AUTH_HEADER", "", HOST, 401, place=place, app=app, scopes="api web", proved=True
        )
        actions = " ".join(error.problem.actions)
        assert error.problem.kind is oauth.dpop_not_supported
        assert ("--dpop" in actions, "Require DPoP" in actions) == (flag, setup)
        # Only who asks for scopes can ask for others, and only the API is done without.
        assert ("--scopes web" in actions) == (place == "rest")
    assert refused("rest", "INVALID_AUTH_HEADER").kind is oauth.request_refused
    bound = refused("userinfo", "invalid_token", proved=True)
    # A saved login is refreshed because of it.
    assert bound.kind is api.user_info_refused
    assert "or its proof" in bound.message


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("code", [*WIRE, *PAGE, *OTHERS])
@pytest.mark.parametrize("description", ["", "made up by the org."])
def test_no_known_code_is_unknown_anywhere(place: Place, code: str, description: str) -> None:
    problem = refused(place, code, description)
    assert problem.kind is not oauth.oauth_refused
    assert (problem.oauth_error, problem.host, problem.http_status) == (code, HOST, 400)
    assert HOST in problem.message
    assert ".." not in problem.message
    assert problem.actions


BUSY = ["server_error", "service_unavailable", "system_down", "temporarily_unavailable", "unknown_error"]


@pytest.mark.parametrize("place", PLACES)
def test_what_passes_is_retryable_anywhere(place: Place) -> None:
    for code in (*BUSY, "rate_limit_exceeded"):
        assert refused(place, code).retryable
    for code in ("app_not_found", "app_blocked", "oauth_flow_disabled", "invalid_app_access"):
        assert not refused(place, code).retryable


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("refresh_token scope is required and the connected app should be installed and preauthorized.",
         oauth.refresh_scope_required),
        ("External client app is not installed in this org", oauth.app_not_found_in_org),
        ("app must be installed into org", oauth.app_not_found_in_org),
        ("Cross-org OAuth flows are not supported for this external client app", oauth.cross_org_blocked),
        ("this app is blocked by admin", oauth.app_blocked),
        ("The external client app or the OAuth plugin is disabled.", oauth.oauth_flow_disabled),
        ("user is not admin approved to access this app", oauth.user_not_approved),
        ("IP restricted or invalid login hours", oauth.ip_restricted),
        ("grant type not supported", oauth.unsupported_grant_type),
        ("client identifier invalid", oauth.invalid_client_id),
        ("redirect_uri must match configuration", oauth.redirect_uri_mismatch),
        ("no client credentials user enabled", oauth.client_credentials_refused),
        ("no valid scopes defined", oauth.invalid_scope),
    ],
)  # fmt: skip
def test_a_description_decides_before_the_code(place: Place, description: str, kind: Kind[...]) -> None:
    for code in ("invalid_client", "invalid_request", "invalid_grant", "made_up"):
        assert refused(place, code, description).kind is kind


@pytest.mark.parametrize(
    ("place", "code", "description", "kind"),
    [
        ("authorize", "OAUTH_APPROVAL_ERROR_GENERIC", "An unexpected error has occurred during authentication",
         oauth.approval_refused),
        ("authorize", "OAUTH_APP_ACCESS_DENIED", "", oauth.user_not_approved),
        ("authorize", "access_denied", "end-user denied authorization", oauth.access_denied),
        ("client-credentials", "access_denied", "", oauth.approval_refused),
        # No secret is sent there.
        ("authorize", "invalid_client", "", oauth.invalid_client_id),
        ("authorize", "invalid_client", "invalid client credentials", oauth.invalid_client_id),
        ("web", "invalid_client", "invalid client credentials", oauth.invalid_client),
        ("refresh", "invalid_client", "", oauth.invalid_client),
        ("introspect", "invalid_client_credentials", "client secret invalid", oauth.invalid_client),
        ("jwt", "invalid_client", "invalid client credentials", oauth.assertion_refused),
        ("jwt", "invalid_client", "", oauth.assertion_refused),
        ("jwt", "invalid_client_id", "", oauth.invalid_client_id),
        ("refresh", "invalid_token", "", oauth.token_refused),
        ("revoke", "unsupported_token_type", "", oauth.token_refused),
        ("userinfo", "invalid_token", "", api.user_info_refused),
        ("web", "invalid_token", "", oauth.misplaced_answer),
        ("jwt", "bad_jti_claim", "", oauth.assertion_used),
        ("web", "unauthorized_client", "", oauth.unsupported_grant_type),
        ("refresh", "inactive_user", "user is inactive", oauth.inactive),
        ("authorize", "invalid_request", "Missing Required Code Challenge", oauth.code_challenge_missing),
        ("web", "invalid_request", "invalid code verifier", oauth.code_verifier_refused),
        ("web", "invalid_grant", "invalid code verifier", oauth.code_verifier_refused),
        ("web", "invalid_grant", "expired authorization code", oauth.authorization_code_refused),
        ("web", "invalid_grant", "invalid authorization code", oauth.authorization_code_refused),
        ("web", "invalid_grant", "", oauth.grant_refused),
        ("web", "invalid_request", "must use HTTP POST", oauth.request_refused),
        ("web", "invalid_grant", "request not supported on this domain", oauth.unsupported_grant_type),
        ("client-credentials", "invalid_grant", "request not supported on this domain",
         oauth.client_credentials_refused),
        ("jwt", "invalid_grant", "request not supported on this domain", oauth.unsupported_grant_type),
        ("refresh", "invalid_grant", "expired access/refresh token", oauth.token_refused),
        ("refresh", "invalid_grant", "", oauth.token_refused),
        ("refresh", "invalid_grant", "inactive user", oauth.authentication_failed),
        ("jwt", "invalid_grant", "user hasn't approved this consumer", oauth.assertion_not_approved),
        ("web", "invalid_grant", "user hasn't approved this consumer", oauth.user_not_approved),
        ("jwt", "invalid_grant", "audience is invalid", oauth.audience_refused),
        ("jwt", "invalid_grant", "Audience validation failed", oauth.audience_refused),
        ("jwt", "invalid_grant", "expired authorization code", oauth.assertion_expired),
        ("jwt", "invalid_grant", "expired access/refresh token", oauth.assertion_expired),
        ("jwt", "invalid_grant", "the assertion is not yet valid", oauth.assertion_expired),
        ("jwt", "invalid_grant", "invalid assertion", oauth.assertion_refused),
        ("jwt", "invalid_grant", "user password expired", oauth.authentication_failed),
        ("client-credentials", "invalid_grant", "authentication failure", oauth.authentication_failed),
        ("web", "invalid_grant", "challenge required", oauth.authentication_failed),
        ("web", "INVALID_CLIENT", "", oauth.oauth_refused),
        ("web", "something_new", "a code of the next release", oauth.oauth_refused),
    ],
)  # fmt: skip
def test_a_code_means_what_it_can_mean_there(place: Place, code: str, description: str, kind: Kind[...]) -> None:
    problem = refused(place, code, description)
    assert (problem.kind, problem.oauth_error) == (kind, code)


def test_an_app_that_sent_no_secret_is_not_told_that_it_was_refused() -> None:
    public = replace(billing.proven(), consumer_secret=None)
    for place in ("web", "refresh", "introspect"):
        assert refused(place, "invalid_client", client=public).kind is oauth.secret_required


def test_a_refused_secret_is_said_to_come_from_where_it_does() -> None:
    client = replace(billing.proven(), origin=PairOrigin("main/A.xml", "ECAPIPE_CLIENT_SECRET_A", "set the new one"))
    problem = refused("client-credentials", "invalid_client", client=client)
    assert problem.message.endswith("The secret comes from ECAPIPE_CLIENT_SECRET_A, the key from main/A.xml.")
    assert problem.actions == ("Check ECAPIPE_CLIENT_SECRET_A. If the secret was rotated, set the new one.",)
    assert refused("web", "invalid_client_id", client=client).message.endswith("The key comes from main/A.xml.")


def test_an_assertion_that_nobody_approved_names_audience_and_login_host() -> None:
    actions = " ".join(refused("jwt", "invalid_grant", "user hasn't approved this consumer").actions)
    for name in (HOST, "https://test.salesforce.com", "SF_AUDIENCE_URL"):
        assert name in actions


def test_what_has_two_causes_is_not_said_to_have_one() -> None:
    blocked = refused("authorize", "OAUTH_AUTHORIZATION_BLOCKED", "Cross-org OAuth flows are not supported")
    assert "My Domain" in blocked.actions[0]
    assert "private window" in blocked.actions[1]
    unbound = refusals.refusal("Bad_OAuth_Token", "", HOST, 403, place="userinfo", app=None).problem
    assert "DPoP" in unbound.actions[0]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("code", ["invalid_client_id", "redirect_uri_mismatch"])
def test_settling_is_advised_only_where_it_repeats_the_request(place: Place, code: str) -> None:
    repeats = {"web"} if code == "redirect_uri_mismatch" else {"token", "web", "client-credentials", "jwt"}
    assert ("--settle" in " ".join(refused(place, code).actions)) == (place in repeats)


@pytest.mark.parametrize(
    ("status", "code", "kind", "category", "retryable"),
    [
        (403, "API_DISABLED_FOR_ORG", api.api_disabled, "org", False),
        (403, "API_CURRENTLY_DISABLED", api.api_disabled_for_user, "policy", False),
        (403, "REQUEST_LIMIT_EXCEEDED", api.request_limit_exceeded, "org", True),
        (401, "INVALID_SESSION_ID", api.api_session_refused, "policy", False),
        (403, "SERVER_UNAVAILABLE", oauth.server_busy, "org", True),
        (403, "app_blocked", oauth.app_blocked, "policy", False),
        (403, "SOMETHING_NEW", api.api_access_blocked, "policy", False),
    ],
)
def test_the_api_says_why_it_refuses_a_token(
    status: int, code: str, kind: Kind[...], category: str, retryable: bool
) -> None:
    body = json.dumps([{"errorCode": code, "message": "made up"}]).encode()
    problem = userinfo.api_problem(Response(status, "application/json", body), TOKEN, ORG)
    assert problem is not None
    assert (problem.kind, problem.category, problem.retryable) == (kind, category, retryable)
    assert code in problem.message
    assert problem.oauth_error is None


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Bad_OAuth_Token", api.user_info_refused),
        ("Missing_OAuth_Token", api.user_info_refused),
        ("Wrong_Org", api.user_info_refused),
        ("app_blocked", oauth.app_blocked),
        ("service_unavailable", oauth.server_busy),
    ],
)
def test_user_info_says_why_it_refuses_a_token(word: str, kind: Kind[...]) -> None:
    problem = problem_of(userinfo.read, Response(403, "text/html", word.encode()), TOKEN, ORG)
    assert (problem.kind, problem.http_status) == (kind, 403)
    assert word in problem.message


def test_the_place_reaches_the_table() -> None:
    body = json.dumps({"error": "invalid_client", "error_description": "invalid client credentials"}).encode()
    given = Response(400, "application/json", body)
    for place, kind in (("jwt", oauth.assertion_refused), ("web", oauth.invalid_client)):
        assert problem_of(messages.members, given, HOST, place=place, app=None).kind is kind
