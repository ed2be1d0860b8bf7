"""Problems of a token in use: what an org refuses at UserInfo and its REST API."""

from __future__ import annotations

from ecapipe.problems.oauth import without_api
from ecapipe.problems.problem import (
    Wording,
    problem,
    say,
)


@problem(
    "org",
    "UserInfo, the first request with the new token, refused it.",
    "Check that the app and the user have API access.",
)
def user_info_refused(host: str, status: int, description: str, bound: bool = False) -> Wording:
    """`bound`: the token went with a proof."""
    actions = [_BOUND] if bound else _USER_INFO_ACTIONS.get(description, ())
    return say(
        f"UserInfo at {host} refused the token{' or its proof' if bound else ''} (HTTP {status}): {description}.",
        *actions,
        "Check Setup, API Access Control, and the session policies of the app and the user's profile.",
    )


_BOUND = (
    "The token is bound to a key (DPoP). Check the clock of this machine, and check for a proxy that changes URLs or "
    "removes headers: ecapipe doctor"
)

# Salesforce Help, "Identity URLs".
_USER_INFO_ACTIONS = {
    "Missing_OAuth_Token": ("Check for a proxy that removes the Authorization header: ecapipe doctor",),
    # What a bearer token gets where the app has Require DPoP.
    "Bad_OAuth_Token": ("In Setup, External Client App Manager, check whether the app requires DPoP.",),
    "Wrong_Org": ("Use the My Domain URL of the org that issued the token.",),
    "HTTPS_Required": ("Use https in the org's address.",),
}


@problem(
    "policy",
    "The token identifies the user but can't call the API, although its scope includes it. The usual cause is API "
    "Access Control.",
    "Allow the app in Setup, API Access Control, or assign the permission Use Any API Client to the user.",
)
def api_access_blocked(host: str, status: int, description: str) -> Wording:
    return say(
        f"{host} refused API calls with the token (HTTP {status}): {description}.",
        "If the org uses API Access Control, allow the app in Setup, or assign Use Any API Client to the user.",
        "Check that the user's profile or a permission set has API Enabled.",
    )


@problem(
    "org",
    "The org has no REST API. Its edition doesn't include it, or the API is disabled.",
    "Use an org whose edition includes API access, or ask Salesforce to enable it.",
)
def api_disabled(host: str, scopes: str | None = None) -> Wording:
    """`scopes`: as for `dpop_not_supported`."""
    return say(
        f"The API is not enabled in the org at {host} (API_DISABLED_FOR_ORG).",
        "In Setup, Company Information, check whether the org's edition includes API access. Salesforce can enable "
        "it.",
        *without_api(scopes),
    )


@problem(
    "policy",
    "The user is not allowed to use the API.",
    "Assign the permission API Enabled to the user.",
)
def api_disabled_for_user(host: str) -> Wording:
    return say(
        f"{host} does not allow the user to call the API (API_CURRENTLY_DISABLED).",
        "Add the permission API Enabled to the user's profile or a permission set.",
    )


@problem(
    "org",
    "The org reached its limit of API requests in 24 hours, or of concurrent requests.",
    "Wait, and send fewer requests.",
    retryable=True,
)
def request_limit_exceeded(host: str) -> Wording:
    return say(
        f"The org at {host} has no API requests left for now (REQUEST_LIMIT_EXCEEDED).",
        "Wait, then run again. Setup, Company Information shows the API requests of the last 24 hours.",
    )


@problem(
    "policy",
    "The API refused the session of this token, although UserInfo accepted the token. The usual causes are IP "
    "ranges and session policies.",
    "Check the session settings of the org, and the IP and session policies of the app and the user's profile.",
)
def api_session_refused(host: str, status: int, description: str, bound: bool = False) -> Wording:
    """`bound`: as for `user_info_refused`."""
    return say(
        f"The API at {host} refused the session (HTTP {status}): {description}.",
        *([_BOUND] if bound else []),
        "Check the IP ranges and the session policies of the app and of the user's profile.",
        "Check Setup, Session Settings for sessions that are locked to an IP address or a domain.",
    )
