"""Problems whose remedy lies with the app in the org: what it refuses at authorize and token."""

from __future__ import annotations

from ecapipe.problems.problem import (
    SPREADING,
    Wording,
    command,
    option,
    problem,
    retrieval,
    retrieve_command,
    say,
)

_CODE_LIFE = "15 minutes"
"""Salesforce Help, "OAuth 2.0 Web Server Flow"."""
_OWN_DOMAIN = "Check that the URL is the org's My Domain."
_LOGIN_HISTORY = "Check Setup, Login History in the org for the reason."
_MANAGER = "In Setup, External Client App Manager,"
_IN_MANAGER = " in Setup, External Client App Manager"


@problem(
    "people",
    "The user clicked Deny in the browser.",
    "Run again and click Allow, or find out why access was denied.",
)
def access_denied(host: str) -> Wording:
    return say(f"Access was denied in the browser at {host}.", "Run again and click Allow.")


@problem(
    "credentials",
    "The org doesn't know the consumer key. The key belongs to another org, was rotated, or is not available "
    "everywhere yet.",
    f"Retrieve the settings from this org. After a deploy, wait {SPREADING}.",
    retryable=True,
)
def invalid_client_id(
    host: str, code: str = "invalid_client_id", settles: bool = False, key_from: str | None = None
) -> Wording:
    """`settles`: ``--settle`` would repeat what was asked; `key_from`: where the key comes from."""
    source = f" The key comes from {key_from}." if key_from else ""
    return say(
        f"{host} does not know the consumer key ({code}).{source}",
        retrieval("Retrieve the settings from this org again"),
        f"If the app was just deployed, wait: a new key takes {SPREADING} to become available everywhere.",
        *_settle(settles),
    )


def _settle(settles: bool) -> tuple[str, ...]:
    return (SETTLE_ACTION,) if settles else ()


FEWER_SCOPES = "Or log in with fewer scopes: ecapipe run --scopes"

SETTLE_ACTION = "Or repeat the request automatically for some minutes: --settle 30"


@problem(
    "credentials",
    "The org knows the consumer key, but the consumer secret is wrong.",
    "Supply the current consumer secret.",
)
def invalid_client(
    host: str,
    code: str = "invalid_client",
    key_from: str | None = None,
    secret_from: str | None = None,
    renewal: str | None = None,
) -> Wording:
    """`key_from` and `secret_from`: where they come from; `renewal`: what to do once the secret has been rotated."""
    if not (key_from and secret_from and renewal):
        return say(
            f"{host} refused the consumer secret ({code}).",
            "Check where the secret came from. If it was rotated, retrieve again, or set the new one in the "
            "environment.",
        )
    origins = f"The secret comes from {secret_from}, the key from {key_from}."
    if secret_from == key_from:
        origins = f"Key and secret come from {key_from}."
    return say(
        f"{host} refused the consumer secret ({code}). {origins}",
        f"Check {secret_from}. If the secret was rotated, {renewal}.",
    )


@problem(
    "credentials",
    "The org requires a consumer secret, but none was sent, because the app's files say that it is optional.",
    "Supply the consumer secret, or make it optional in the org as well.",
)
def secret_required(host: str, code: str) -> Wording:
    return say(
        f"{host} requires a consumer secret, and none was sent ({code}).",
        "Supply the consumer secret in an environment variable, or with --secret-from prompt.",
        retrieval("Or check the settings of the app in the org"),
    )


@problem(
    "org",
    "The app doesn't exist in this org. The host is wrong, the app's package is not installed, the key belongs to "
    "another org, or the sandbox was created after the app: local apps are not copied to sandboxes.",
    "Use the org's own My Domain URL. Deploy the app or install its package there, then retrieve again.",
)
def app_not_found_in_org(host: str, code: str = "OAUTH_EC_APP_NOT_FOUND", packaged: bool = False) -> Wording:
    where = f"Check that {host} is the org that the key belongs to."
    if host in ("login.salesforce.com", "test.salesforce.com"):
        where = f"Use the My Domain of the org that the key belongs to: {host} serves all orgs."
    if packaged:
        return say(
            f"The external client app is not installed in the org at {host} ({code}).",
            "Install the app's package in the org.",
            where,
        )
    return say(
        f"The external client app is not installed in the org at {host} ({code}).",
        where,
        f"If the org is a new or refreshed sandbox, deploy the app again and retrieve: {retrieve_command()}",
    )


@problem(
    "org",
    "The app belongs to a different org than the one of this login, or than the one the browser is signed in to.",
    "Use the My Domain URL of the app's own org. Sign out in the browser, or use a private window.",
)
def cross_org_blocked(host: str, browser: bool = True) -> Wording:
    """`browser`: a user was signing in."""
    if not browser:
        return say(
            f"{host} blocked the login: the app belongs to another org.",
            "Use the My Domain URL of the org that the settings were retrieved from.",
        )
    return say(
        f"{host} blocked the login: the app belongs to a different org, or the browser is signed in to another org.",
        "Use the My Domain URL of the org that the settings were retrieved from.",
        "Open the link in a private window and sign in to that org.",
    )


@problem(
    "policy",
    "An administrator blocked the app in the org.",
    "Ask an administrator to unblock it in Setup.",
)
def app_blocked(host: str, description: str) -> Wording:
    return say(
        f"{host} blocked the app: {description}.",
        "Ask an administrator to unblock the app in Setup, Connected Apps OAuth Usage.",
    )


# OAUTH_APPROVAL_ERROR_GENERIC: its text says no more than "unexpected error", whatever the cause.
@problem(
    "policy",
    "Salesforce did not approve the app, usually without a reason. Known causes are a requested scope that the app "
    "doesn't have, an API-only user, a user who is not pre-authorized, and a blocked app.",
    "Check the app's scopes and policies, and the user.",
)
def approval_refused(host: str, description: str | None) -> Wording:
    """`description`: what the org says outside a browser."""
    if description:
        return say(
            f"{host} did not approve the app: {description}.",
            "Check that the app is enabled and not blocked, and that the user is pre-authorized.",
            _LOGIN_HISTORY,
        )
    return say(
        f"{host} did not approve the app and gave no reason.",
        "Check that the app is enabled and not blocked, that it has every requested scope, and that the user is "
        "pre-authorized and not API-only.",
        "Try fewer scopes with --scopes.",
    )


@problem(
    "policy",
    "The app, its OAuth plugin, or the flow is disabled in the org.",
    "Enable it in the app's settings and policies.",
)
def oauth_flow_disabled(host: str, description: str) -> Wording:
    return say(
        f"{host} reports that the app or the flow is disabled: {description}.",
        f"{_MANAGER} enable the app, its OAuth plugin and the flow, in both settings and policies.",
    )


@problem(
    "policy",
    "The app has no OAuth policies in the org. They are created when the app is deployed or installed there.",
    "Open and save the app's policies in Setup, or deploy them.",
)
def policies_missing(host: str, description: str) -> Wording:
    return say(
        f"{host} found no OAuth policies for the app: {description}.",
        f"{_MANAGER} open the app's policies and save them, or deploy the policies with the other files.",
    )


@problem(
    "config",
    "The org doesn't accept the app because of its distribution state. A local app works only in the org that it was "
    "created in, a packaged app only where its package is installed.",
    "Log in to the app's own org, or install its package.",
)
def distribution_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refused the app because of its distribution state: {description}.",
        "Check that the URL is that of the app's own org. For a packaged app, check that the package is installed.",
    )


@problem(
    "policy",
    "The app or the org requires a session with a higher security level, for example from multi-factor "
    "authentication.",
    "Sign in with multi-factor authentication, or lower the required level in the app's policies.",
)
def session_level_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} requires a session with a higher security level: {description}.",
        f"{_MANAGER} check the session policies of the app. Also check the session level in the user's profile.",
    )


@problem(
    "policy",
    "The org issues only tokens that are bound to a key (DPoP) to this app, and the request carried no proof.",
    "Log in with --dpop, or turn off Require DPoP for the app in the org.",
)
def dpop_required(host: str, description: str) -> Wording:
    return say(
        f"{host} requires a proof of possession (DPoP), and none was sent: {description}.",
        "Log in with --dpop.",
        retrieval("Or retrieve the settings: if they contain isDPopEnabled, no flag is needed"),
        f"If the app's clients can't send proofs, turn off Require DPoP for the app{_IN_MANAGER}.",
    )


@problem(
    "org",
    "The org did not accept the proof (DPoP) of a request: it is signed for a time, a method and a URL, with the key "
    "that the token is bound to.",
    "Correct the clock of this machine, and look for a proxy that changes URLs or headers.",
)
def dpop_proof_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refused the proof of possession (DPoP): {description}.",
        "Check the clock of this machine: a proof is valid for a short time only.",
        "Look for a proxy that changes the URL, or the headers DPoP and DPoP-Nonce: ecapipe doctor",
    )


@problem(
    "org",
    "The org did not accept the Authorization header of a token that is bound to a key (DPoP). The org issues such "
    "tokens, but not all of its APIs may support them yet.",
    "Log in without a bound token if the app allows it, or without the scopes that the API needs.",
)
def dpop_not_supported(
    host: str,
    status: int,
    description: str,
    required: bool | None = None,
    scopes: str | None = None,
    api: bool = True,
) -> Wording:
    """`required`: whether the app's settings require bound tokens, if that is known; `scopes`: those that a login
    without API calls can ask for; `api`: UserInfo has accepted the token, and the REST API has not."""
    refused = "The REST API" if api else "UserInfo"
    off = f"{_MANAGER} turn off Require DPoP for the app until the org supports such tokens everywhere."
    unbound = "Log in without --dpop" + (" if the app doesn't require it." if required is None else ".")
    return say(
        f"{refused} at {host} did not accept the token (HTTP {status}): {description}. The token is bound to a key "
        "(DPoP), which may not be supported there yet.",
        *([] if required else [unbound]),
        *([] if required is False else [off]),
        *without_api(scopes),
    )


def without_api(scopes: str | None) -> list[str]:
    if scopes is None:
        return []
    return [f"For a login without API calls, omit the scopes api and full: {option('scopes', scopes)}"]


@problem(
    "policy",
    "The JWT flow works only for an app that has the scope refresh_token, is installed, and is pre-authorized.",
    "Add the scope RefreshToken to the app's OAuth settings, deploy, and pre-authorize the user.",
)
def refresh_scope_required(host: str, description: str) -> Wording:
    return say(
        f"{host} requires the app to have the scope refresh_token: {description}.",
        "Add RefreshToken to commaSeparatedOauthScopes in the app's OAuth settings, and deploy them.",
        f"{_MANAGER} set Permitted Users to admin-approved users, and add the user's profile or a permission set.",
    )


# A code that no request of ours explains: better said so than with advice for what was not done.
@problem(
    "network",
    "The error is about something that the request didn't contain. Another host responded, a proxy changed the "
    "request, or the org requires something that ecapipe doesn't support.",
    "Use the org's My Domain URL, and check for a proxy.",
)
def misplaced_answer(host: str, answer: str, about: str) -> Wording:
    return say(
        f"{host} returned {answer}. That error is about {about}, which the request did not use.",
        f"{_OWN_DOMAIN} Check for a proxy that changes requests: ecapipe doctor",
        "If neither is the cause, check the app's policies in Setup, External Client App Manager.",
    )


@problem(
    "org",
    "The org considers the code, assertion or credentials invalid, and gives no details.",
    "Run again, and check Login History in the org for the reason.",
)
def grant_refused(host: str, description: str, grant: str) -> Wording:
    return say(f"{host} refused the {grant}: {description}.", _LOGIN_HISTORY)


@problem(
    "network",
    "The org considers the request malformed.",
    "Use the org's My Domain URL, and check whether a proxy changes requests.",
)
def request_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} considers the request malformed: {description}.",
        f"{_OWN_DOMAIN} Check for a proxy that changes requests: ecapipe doctor",
    )


@problem(
    "org",
    "The org considers the assertion as already used. An assertion works only once.",
    "Run again. Each request uses a new assertion.",
    retryable=True,
)
def assertion_used(host: str, description: str) -> Wording:
    return say(
        f"{host} refused the assertion because it was already used: {description}.",
        "Run again. Each request uses a new assertion.",
    )


# Scheme, host, port, path and a slash at its end all count (RFC 6749 §3.1.2.3), and an edit takes minutes to spread.
@problem(
    "config",
    "The redirect_uri doesn't exactly match a callback URL of the app in the org, or the app has none there.",
    f"Retrieve the settings again, or deploy yours. A change takes {SPREADING}.",
    retryable=True,
)
def redirect_uri_mismatch(host: str, sent: bool = True, settles: bool = False) -> Wording:
    """`sent`: a redirect_uri was; `settles`: ``--settle`` would repeat what was asked."""
    if not sent:
        return say(
            f"{host} found no matching callback URL for the app.",
            f"{_MANAGER} check whether the app has a callback URL.",
        )
    return say(
        f"{host} refused the redirect_uri: it does not match a callback URL of the app in the org.",
        retrieval("Retrieve the settings from this org again"),
        f"If the callback URL was just deployed, wait: a change takes {SPREADING}.",
        *_settle(settles),
    )


# Thirteen causes share the code invalid_grant, and only the description distinguishes them: hence this problem and
# the ones like it below.
@problem(
    "people",
    "The authorization code is expired, already used, or from a different login.",
    f"Run again for a new code. A code is valid for {_CODE_LIFE} and works once.",
    retryable=True,
)
def authorization_code_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refused the authorization code: {description}.",
        f"Run again for a new code. It is valid for {_CODE_LIFE} and works once.",
    )


@problem(
    "org",
    "The PKCE code verifier sent to the token endpoint doesn't match the code challenge of the authorization "
    "request.",
    "Run again. If it happens repeatedly, check for a proxy that changes requests.",
    retryable=True,
)
def code_verifier_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refused the PKCE code verifier: {description}.",
        "Run again, and use only redirect URLs of that run.",
    )


@problem(
    "policy",
    "The IP ranges or login hours of the org don't allow this user to log in from here or now.",
    "Run from an allowed network, or change the app's IP relaxation policy or the user's IP ranges.",
)
def ip_restricted(host: str, description: str) -> Wording:
    return say(
        f"{host} refused the request because of the IP address or the login hours: {description}.",
        "Run from an allowed network, or relax the IP policy of the app (Setup, External Client App Manager).",
    )


@problem(
    "policy",
    "The user is not approved for the app.",
    "Assign the app to the user's profile or a permission set in its policies.",
)
def user_not_approved(host: str, description: str) -> Wording:
    return say(
        f"{host} reports that the user is not approved for the app: {description}.",
        "In Setup, External Client App Manager, add the user's profile or a permission set to the app's policies.",
    )


@problem(
    "policy",
    "The client credentials flow is not fully enabled. It must be enabled in the settings and in the policies, "
    "with a run-as user.",
    "Enable it in both, set the run-as user, and use the org's My Domain URL.",
)
def client_credentials_refused(host: str, description: str, domain: bool = False) -> Wording:
    """`domain`: the host is the reason."""
    action = f"{_MANAGER} enable the client credentials flow in the app's policies, and set the run-as user."
    if domain:
        action = "Use the org's My Domain URL: the client credentials flow works at no other host."
    return say(f"{host} refused the client credentials flow: {description}.", action)


@problem(
    "credentials",
    "The org refused the signed assertion. The app has no certificate there (deploying a settings file without it "
    "removes it), or the certificate belongs to another key, has expired, or is not active everywhere yet.",
    f"Add the certificate of the private key to the app's settings, deploy, and wait {SPREADING}.",
    retryable=True,
)
def assertion_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refused the signed assertion: {description}.",
        "In Setup, External Client App Manager, check that the app has the certificate of this private key. "
        "Deploying a settings file without <certificate> removes it.",
        "Compare them: openssl x509 -in server.crt -noout -pubkey; openssl pkey -in server.key -pubout",
        f"If the app was just deployed, wait: a change takes {SPREADING} to become active everywhere.",
    )


@problem(
    "config",
    "The org refused the audience of the assertion. It has to be Salesforce's login host for this kind of org, or "
    "the URL of the site.",
    "Set SF_AUDIENCE_URL to the audience that the org expects.",
)
def audience_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refused the audience of the assertion: {description}.",
        "Set SF_AUDIENCE_URL to https://login.salesforce.com for a production or developer org, to "
        "https://test.salesforce.com for a sandbox or scratch org, or to the URL of the site.",
    )


@problem(
    "config",
    "The org considers the assertion, or the user's approval of the app, expired. An assertion is valid for three "
    "minutes, so a clock that is wrong is enough.",
    "Set the clock of this machine. If it is right, check the app's policies.",
    retryable=True,
)
def assertion_expired(host: str, description: str) -> Wording:
    return say(
        f"{host} refused the assertion as expired or not valid yet: {description}.",
        CLOCK_ACTION,
        f"If the clock is right, the user's approval of the app may have expired: check Permitted Users and the "
        f"refresh token policy of the app{_IN_MANAGER}.",
    )


CLOCK_ACTION = "Set the clock of this machine (timedatectl set-ntp true, or w32tm /resync), then run again."


@problem(
    "policy",
    "The user has not approved the app, so the JWT flow can't log in. Either an administrator pre-authorizes users "
    "in the app's policies, or the user signs in once with the web flow and the scope refresh_token.",
    "Ask an administrator to pre-authorize the user, or sign in once with the web flow.",
)
def assertion_not_approved(host: str, description: str, app: str | None = None, scopes: str | None = None) -> Wording:
    """`scopes`: those of the `app`, if a sign-in with them is an approval that lasts."""
    options = {"name": app or "APP"} | ({"scopes": scopes} if scopes else {})
    return say(
        f"{host} reports that the user has not approved the app: {description}.",
        "Check the username. Salesforce reports the same error for an unknown user.",
        f"Check that {host} is the user's org, and the audience: https://login.salesforce.com for a production or "
        "developer org, https://test.salesforce.com for a sandbox or scratch org (SF_AUDIENCE_URL overrides it).",
        "In Setup, External Client App Manager, set Permitted Users to admin-approved users, and add the user's "
        "profile or a permission set.",
        f"Or sign in once as the user: {command('ecapipe run --flow web', **options)}",
    )


@problem(
    "people",
    "The user can't log in: the password is wrong or expired, or the user is inactive or locked.",
    "Check Login History in the org for the reason.",
)
def authentication_failed(host: str, description: str, attended: bool = True) -> Wording:
    """`attended`: the user signs in; others may have no password, such as the run-as user of an app."""
    action = (
        "Check Setup, Login History for the reason, and Setup, Users for whether the user is active and not locked."
    )
    if attended:
        action = "Sign in to the org in a browser as that user. Setup, Login History also shows the reason."
    return say(f"{host} could not authenticate the user: {description}.", action)


@problem(
    "policy",
    "The app, or the org for all apps, requires PKCE, but the request had no valid code challenge.",
    "Run again. ecapipe always sends PKCE S256, so something between ecapipe and the org removed it.",
)
def code_challenge_missing(host: str, description: str) -> Wording:
    return say(
        f"{host} received no valid PKCE code challenge: {description}.",
        "ecapipe sent one. If the link was copied, copy all of it, without line breaks.",
        "Check for a proxy that changes URLs: ecapipe doctor",
    )


@problem(
    "policy",
    "A requested scope is not among the app's scopes in the org.",
    "Request fewer scopes, or add the scope to the app.",
)
def invalid_scope(host: str, description: str, scopes: str | None, requested: bool) -> Wording:
    """`scopes`: those of the app, if others were asked for; `requested`: scopes were named in the request."""
    look = retrieval("Check which scopes the app has in the org", metadata="ExtlClntAppOauthSettings")
    add = "Add the missing scopes to commaSeparatedOauthScopes in the app's OAuth settings, and deploy them."
    if not requested:
        return say(f"{host} refused the scopes of the app: {description}.", look, add)
    ways = [look, add, FEWER_SCOPES]
    if scopes:
        ways = [f"Request scopes that the app has: {option('scopes', scopes)}", look, add]
    return say(f"{host} refused the requested scopes: {description}.", *ways)


@problem(
    "policy",
    "The token endpoint doesn't support the flow. It is disabled for the app, or the URL is not an OAuth host.",
    "Use the org's My Domain URL, and enable the flow for the app.",
)
def unsupported_grant_type(host: str, description: str, code_sent: bool = False) -> Wording:
    """`code_sent`: an authorization code was; Salesforce says the same of one that comes late."""
    late = "If the redirect URL was pasted minutes after the sign-in, run again, and paste it at once."
    return say(
        f"{host} does not support the flow for this app: {description}.",
        "Check that the URL is the org's My Domain and that the app's settings enable the flow.",
        *([late] if code_sent else []),
    )


@problem(
    "org",
    "The org or the user is inactive.",
    "Ask an administrator to activate the user, or Salesforce to activate the org.",
)
def inactive(host: str, description: str, user: bool) -> Wording:
    """`user`: not the whole org."""
    if user:
        return say(
            f"{host} reports that the user is inactive: {description}.",
            "Ask an administrator of the org to activate the user.",
        )
    return say(f"{host} reports that the org is inactive: {description}.", "Ask Salesforce to activate the org.")


@problem(
    "org",
    "The org limits how many requests or logins it accepts in a period, and the limit is reached.",
    "Wait, and log in less often. Salesforce's limit of logins lasts an hour.",
    retryable=True,
)
def rate_limited(host: str, answer: str) -> Wording:
    return say(
        f"{host} accepts no more requests for now ({answer}).",
        "Wait, then run again. If the limit of logins is reached, that takes an hour.",
    )


@problem(
    "org",
    "Salesforce reported a temporary error.",
    "Run again in a minute.",
    retryable=True,
)
def server_busy(host: str, description: str) -> Wording:
    return say(
        f"{host} reported a temporary error: {description}.",
        "Run again in a minute. If it happens repeatedly, check status.salesforce.com.",
    )


@problem(
    "credentials",
    "A token is expired, revoked, or of a type that the endpoint doesn't accept.",
    "Run again for a new token.",
    retryable=True,
)
def token_refused(host: str, description: str) -> Wording:
    return say(f"{host} refused the token: {description}.", "Run again for a new token.")


# Salesforce signs id and issued_at of a token answer with the consumer secret (HMAC-SHA256).
@problem(
    "org",
    "The signature of the token response was not made with the app's consumer secret. The response doesn't come from "
    "the org, or the secret belongs to another app.",
    "Check the consumer secret, and check for a proxy between this machine and the org.",
)
def signature_mismatch(host: str) -> Wording:
    return say(
        f"The signature of the token response from {host} does not match the consumer secret.",
        "Check where the consumer secret comes from, and whether a proxy changes responses. Don't use the token.",
    )


@problem(
    "credentials",
    "The org doesn't check a token for an app that sends no secret, and a public client has none. The org did not "
    "report the consumer key as unknown, but that is no proof that it is correct.",
    "Log in with the web flow to be sure, or supply the secret if the app has one.",
)
def probe_needs_secret(host: str, app: str, url: str) -> Wording:
    return say(
        f"{host} did not refuse the consumer key, but can't confirm it without a secret, and a public client has "
        "none.",
        f"To be sure, log in: {_log_in(app, url)}",
    )


def _log_in(app: str, url: str) -> str:
    return command("ecapipe run", name=app, target_org=url)


@problem(
    "org",
    "Asked whether a login could start, the org neither redirected to its login page nor refused the app: a "
    "maintenance page, single sign-on on another host, or a proxy's page.",
    "Check the URL, and whether the org is under maintenance. Only a login is certain.",
    retryable=True,
)
def authorize_unclear(host: str, status: int, answer: str, app: str, url: str) -> Wording:
    return say(
        f"{host} neither redirects to its login page nor refuses the app (HTTP {status}): it returned {answer}.",
        "Check that the URL is the org's My Domain, and status.salesforce.com for maintenance.",
        f"To be sure, log in: {_log_in(app, url)}",
    )


@problem(
    "org",
    "The org refused the request with an error that ecapipe doesn't recognize.",
    "Look up the error in Salesforce's list of OAuth errors.",
)
def oauth_refused(host: str, error: str, description: str) -> Wording:
    answer = ": ".join(part for part in (error, description) if part) or "the error has no valid code"
    history = "Check Setup, Login History in the org."
    search = [f'Search Salesforce Help for "OAuth error {error}".'] if error else []
    return say(f"{host} refused the request: {answer}.", *search, history)
