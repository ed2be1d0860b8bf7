"""Problems whose remedy lies with the org: its answers at authorize, token, UserInfo and the API, and the way back
from a browser."""

from __future__ import annotations

from ecapipe.problems.problem import (
    SPREADING,
    WAITING,
    Wording,
    minutes_in_words,
    option,
    problem,
    retrieve_command,
    say,
)

_CODE_LIFE = "15 minutes"
"""Salesforce Help, "OAuth 2.0 Web Server Flow"."""
_OWN_DOMAIN = "Check that the URL is the org's My Domain."
_LOGIN_HISTORY = "Setup, Login History in the org names the reason."
_MANAGER = "In Setup, External Client App Manager,"


# The name is that of sf, which listens on the same port, 1717, by default.
@problem(
    "config",
    "Another program listens on the port of the app's callback URL, so the answer could not be received.",
    "Stop that program, or use --callback paste.",
)
def port_in_use_error(host: str, port: int) -> Wording:
    return say(
        f"Cannot listen for the login's answer on {host}, port {port}: {port} is in use.",
        f"Stop the program that uses port {port} (another ecapipe or sf org login web, perhaps), then run again.",
        "Or use --callback paste.",
    )


@problem(
    "config",
    "The system does not let ecapipe listen on the callback URL's address.",
    "Use another callback URL with a port above 1023, or --callback paste.",
)
def cannot_listen(url: str, reason: str) -> Wording:
    return say(f"Cannot listen on {url}: {reason}.", "Use --callback paste, or a callback URL with another port.")


@problem(
    "config",
    "The page for signing in to several orgs could not be served on the port that --board-port names.",
    "Choose another port, or leave the flag out, which takes a free one.",
)
def board_cannot_listen(port: int, reason: str) -> Wording:
    return say(
        f"Cannot serve the page for signing in on port {port}: {reason}.",
        "Choose another port with --board-port, or leave it out.",
        "Or use --no-board.",
    )


@problem(
    "config",
    "The emulator could not listen on the port of one of its orgs: another program uses it, or it is not allowed.",
    "Choose another port with --port; 0 takes free ones.",
)
def emulator_cannot_listen(first: int, last: int, reason: str) -> Wording:
    ports = f"port {first}" if first == last else f"ports {first} to {last}"
    return say(f"The emulator cannot listen on {ports}: {reason}.", "Choose another with --port; 0 takes free ones.")


# What Salesforce refuses before it trusts the redirect_uri is a page of its own, without a callback: all that is left
# is to list the causes. The name is that of sf.
@problem(
    "people",
    "Nobody finished the login in the browser in time. Salesforce shows some refusals only as a page of its own, "
    "without an answer to ecapipe, so look at the browser.",
    "Run again; give people longer with --wait.",
    exit_code=WAITING,
    retryable=True,
)
def auth_timeout_error(app: str, minutes: float, listened: bool = False) -> Wording:
    """`listened`: the answer was to come to this machine by itself."""
    elsewhere = "If the browser is on another machine, use --callback paste: its last address is then asked for."
    return say(
        f"No answer came for {app} within {minutes_in_words(minutes)}.",
        "Look at the browser: a page that says OAUTH_EC_APP_NOT_FOUND, invalid_client_id or redirect_uri_mismatch "
        f"sends no answer (wrong org, wrong key, or another callback URL; a change takes {SPREADING}).",
        *([elsewhere] if listened else []),
        "Run again, with a longer --wait if people need more time.",
    )


@problem(
    "people",
    "Somebody ended the sign-in page while logins were still waiting.",
    "Run again when everybody can sign in.",
    exit_code=WAITING,
)
def sign_in_ended() -> Wording:
    return say(
        "The sign-in page was told to end before anybody signed in here.",
        "Run again; --resume goes on with what is left.",
    )


@problem(
    "people",
    "The login needs somebody who pastes the redirected URL, and there is no terminal to ask on.",
    "Run in a terminal, or use a flow without people.",
    exit_code=WAITING,
    retryable=True,
)
def nobody_to_ask(app: str) -> Wording:
    return say(
        f"{app} needs the redirected URL pasted, but the input is closed or --no-prompt is set.",
        "Run in a terminal without --no-prompt, or pipe the redirected URL in.",
        "Or enable the client credentials flow for the app and use --flow client-credentials.",
    )


@problem(
    "people",
    "The person at the browser pressed Deny.",
    "Run again and allow the access, or find out why it was denied.",
)
def access_denied(host: str) -> Wording:
    return say(f"The access was denied in the browser at {host}.", "Run again and press Allow.")


@problem(
    "credentials",
    "The org does not know the consumer key: it belongs to another org, was rotated, or has not spread yet.",
    f"Retrieve the settings from this very org; after a deploy wait {SPREADING}.",
    retryable=True,
)
def invalid_client_id(host: str, code: str = "invalid_client_id", settles: bool = False) -> Wording:
    """`settles`: ``--settle`` would repeat what was asked."""
    return say(
        f"{host} does not know the consumer key ({code}).",
        f"Retrieve the settings from this org again: {retrieve_command()}",
        f"If the app was deployed just now, wait: a new key takes {SPREADING} to spread.",
        *_settle(settles),
    )


def _settle(settles: bool) -> tuple[str, ...]:
    return (SETTLE_ACTION,) if settles else ()


SETTLE_ACTION = "Or have the request repeated meanwhile: --settle 30"


@problem(
    "credentials",
    "The org knows the consumer key, but not with this secret.",
    "Supply the current consumer secret.",
)
def invalid_client(host: str, code: str = "invalid_client") -> Wording:
    return say(
        f"{host} refuses the consumer secret ({code}).",
        "Check where the secret came from; if it was rotated, retrieve again or set the new one in the environment.",
    )


@problem(
    "credentials",
    "The org wants a consumer secret of the app, and none was sent: its files say that the app needs none.",
    "Supply the consumer secret, or make it optional in the org as well.",
)
def secret_required(host: str, code: str) -> Wording:
    return say(
        f"{host} refuses the app, which sent no consumer secret ({code}).",
        "Supply the consumer secret, in the environment or with --secret-from prompt.",
        f"Or see which settings the app has in the org: {retrieve_command()}",
    )


@problem(
    "org",
    "The app does not exist in this org: a wrong host, a package that is not installed, another org's key, or a "
    "sandbox made after the app (local apps are not copied to sandboxes).",
    "Use the org's own My Domain URL; deploy the app or install its package there, then retrieve again.",
)
def app_not_found_in_org(host: str, code: str = "OAUTH_EC_APP_NOT_FOUND", packaged: bool = False) -> Wording:
    where = f"Check that {host} is the org that the key came from."
    if host in ("login.salesforce.com", "test.salesforce.com"):
        where = f"Use the My Domain of the org that the key came from: {host} is for all orgs."
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
    "The app belongs to another org than the one that was asked, or than the session of the browser.",
    "Use the My Domain URL of the app's own org; sign out in the browser or use a private window.",
)
def cross_org_blocked(host: str, browser: bool = True) -> Wording:
    """`browser`: somebody was signing in."""
    if not browser:
        return say(
            f"{host} blocked the login: the app belongs to another org.",
            "Use the My Domain URL of the org the settings came from.",
        )
    return say(
        f"{host} blocked the login: the app belongs to another org than this one, or than the browser's session.",
        "Use the My Domain URL of the org the settings came from.",
        "Open the link in a private window and sign in to that org.",
    )


@problem(
    "policy",
    "An administrator blocked the app in the org.",
    "Have it unblocked in Setup.",
)
def app_blocked(host: str, description: str) -> Wording:
    return say(
        f"{host} blocks the app: {description}.",
        "In Setup, Connected Apps OAuth Usage, have an administrator unblock the app.",
    )


# OAUTH_APPROVAL_ERROR_GENERIC: its text says no more than "unexpected error", whatever the cause.
@problem(
    "policy",
    "Salesforce ended the approval, mostly without a reason. Known ones: a requested scope the app lacks, an "
    "API-only user, a user who is not pre-authorized, or a blocked app.",
    "Check the app's scopes and policies, and who signs in.",
)
def approval_refused(host: str, description: str | None) -> Wording:
    """`description`: what the org says outside a browser."""
    if description:
        return say(
            f"{host} does not approve the app: {description}.",
            "Check that the app is enabled and not blocked, and that the user is pre-authorized.",
            _LOGIN_HISTORY,
        )
    return say(
        f"{host} does not approve the app, and names no reason.",
        "Check that the app is enabled and not blocked, that it has every requested scope, and that the user is "
        "pre-authorized and not API-only.",
        "Try fewer scopes with --scopes.",
    )


@problem(
    "policy",
    "The app, its OAuth plugin, or the flow is off in the org.",
    "Switch it on in the app's settings and policies.",
)
def oauth_flow_disabled(host: str, description: str) -> Wording:
    return say(
        f"{host} says that the app or this flow is off: {description}.",
        f"{_MANAGER} enable the app, its OAuth plugin and the flow, in its settings and in its policies.",
    )


@problem(
    "policy",
    "The app has no policies in the org, which are made when it is deployed or installed there.",
    "Open and save the app's policies in Setup, or deploy them.",
)
def policies_missing(host: str, description: str) -> Wording:
    return say(
        f"{host} finds no OAuth policies of the app: {description}.",
        f"{_MANAGER} open the app's policies and save them, or deploy its policies with the other files.",
    )


@problem(
    "config",
    "The org does not take an app of this distribution state: a local app works only in the org that it was made in, "
    "a packaged one where its package is installed.",
    "Log in to the app's own org, or install its package.",
)
def distribution_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} does not take the app in its distribution state: {description}.",
        "Check that the URL is that of the app's own org, or that the package of a packaged app is installed.",
    )


@problem(
    "policy",
    "The app or the org wants a session of a higher level, such as one with multi-factor authentication.",
    "Sign in with multi-factor authentication, or lower the level that the app's policies ask for.",
)
def session_level_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} wants a session of a higher security level: {description}.",
        f"{_MANAGER} look at the session policies of the app, and in the user's profile the session level.",
    )


@problem(
    "policy",
    "The org wants the token bound to a key (DPoP), and takes no other, or not this proof.",
    "Switch the demand off for the app in the org.",
)
def dpop_required(host: str, description: str) -> Wording:
    return say(
        f"{host} wants a proof of possession (DPoP) that it accepts: {description}.",
        f"{_MANAGER} see whether the app demands DPoP, and whether this login has to have it.",
    )


@problem(
    "policy",
    "The JWT flow works only for apps that have the scope refresh_token, installed and pre-authorized.",
    "Add the scope RefreshToken to the app's OAuth settings, deploy, and pre-authorize the user.",
)
def refresh_scope_required(host: str, description: str) -> Wording:
    return say(
        f"{host} wants the app to have the scope refresh_token: {description}.",
        "Add RefreshToken to commaSeparatedOauthScopes in the app's OAuth settings, and deploy them.",
        f"{_MANAGER} set the permitted users to admin approved, and add the user's profile or a permission set.",
    )


# A code that no request of ours explains: better said so than with advice for what was not done.
@problem(
    "network",
    "The answer concerns something that the request had not: another host answered, a proxy changed the request, or "
    "the org asks for what ecapipe does not do.",
    "Use the org's My Domain URL, and see what stands between.",
)
def misplaced_answer(host: str, answer: str, about: str) -> Wording:
    return say(
        f"{host} answers {answer}. That concerns {about}, which was no part of the request.",
        f"{_OWN_DOMAIN} Look for a proxy that changes requests: ecapipe doctor",
        "If both are in order, see in Setup, External Client App Manager, what the app's policies ask for.",
    )


@problem(
    "org",
    "The org takes what was presented (a code, an assertion, credentials) for invalid, and says no more.",
    "Run again; Login History in the org names the reason.",
)
def grant_refused(host: str, description: str, grant: str) -> Wording:
    return say(f"{host} refuses the {grant}: {description}.", _LOGIN_HISTORY)


@problem(
    "network",
    "The org takes the request for malformed.",
    "Use the org's My Domain URL, and see whether a proxy changes requests.",
)
def request_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} takes the request for malformed: {description}.",
        f"{_OWN_DOMAIN} Look for a proxy that changes requests: ecapipe doctor",
    )


@problem(
    "org",
    "The org takes the assertion for one that was used already.",
    "Run again: each request has an assertion of its own.",
    retryable=True,
)
def assertion_used(host: str, description: str) -> Wording:
    return say(
        f"{host} takes the assertion for one that was used already: {description}.",
        "Run again: each request has an assertion of its own.",
    )


# Scheme, host, port, path and a slash at its end all count (RFC 6749 §3.1.2.3), and an edit takes minutes to spread.
@problem(
    "config",
    "The redirect_uri is not, character by character, a callback URL of the app in the org, or it has none there.",
    f"Retrieve the settings again, or deploy yours; a change takes {SPREADING}.",
    retryable=True,
)
def redirect_uri_mismatch(host: str, sent: bool = True, settles: bool = False) -> Wording:
    """`sent`: a redirect_uri was; `settles`: ``--settle`` would repeat what was asked."""
    if not sent:
        return say(
            f"{host} does not find a fitting callback URL of the app.",
            f"See whether the app has one in the org: {retrieve_command()}",
        )
    return say(
        f"{host} refuses the redirect_uri: it does not match a callback URL of the app in the org.",
        f"Retrieve the settings from this org again: {retrieve_command()}",
        f"If the callback URL was deployed just now, wait: that takes {SPREADING}.",
        *_settle(settles),
    )


# Thirteen causes share the code invalid_grant, and only the description tells them apart: hence this problem and the
# ones like it below.
@problem(
    "people",
    "The authorization code was too old, used already, or not the one of this login.",
    f"Run again: a code lives {_CODE_LIFE} and works once.",
    retryable=True,
)
def authorization_code_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refuses the authorization code: {description}.",
        f"Run again for a new code; it lives {_CODE_LIFE} and works once.",
    )


@problem(
    "org",
    "The PKCE proof did not reach the token endpoint as the code's login promised it.",
    "Run again; if it repeats, a proxy may alter the requests.",
    retryable=True,
)
def code_verifier_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refuses the PKCE code verifier: {description}.",
        "Run again, and do not mix the answers of two runs.",
    )


@problem(
    "policy",
    "The org's IP ranges or login hours do not let this user in from here.",
    "Run from an allowed network, or change the app's IP relaxation policy or the user's ranges.",
)
def ip_restricted(host: str) -> Wording:
    return say(
        f"{host} refuses the login from this IP address or at this hour.",
        "Run from an allowed network, or relax the IP policy of the app (Setup, External Client App Manager).",
    )


@problem(
    "policy",
    "The user is not approved for the app.",
    "Assign the app to the user's profile or a permission set in its policies.",
)
def user_not_approved(host: str, description: str) -> Wording:
    return say(
        f"{host} says the user is not approved for the app: {description}.",
        "In Setup, External Client App Manager, add the user's profile or a permission set to the app's policies.",
    )


@problem(
    "policy",
    "The client credentials flow is not fully enabled: it needs the flag in the settings and in the policies, and "
    "a user to run as.",
    "Enable it in both, name the run-as user, and use the org's My Domain URL.",
)
def client_credentials_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refuses the client credentials flow: {description}.",
        "In the app's policies enable the client credentials flow and name the user it runs as.",
        "Check that the URL is the org's My Domain.",
    )


@problem(
    "credentials",
    "The org does not accept the signed assertion: the app has no certificate there (a deploy whose settings file "
    "lacks it takes it away), or the certificate belongs to another key, has expired, or has not spread yet.",
    f"Put the certificate of the private key into the app's settings, deploy, and wait {SPREADING}.",
    retryable=True,
)
def assertion_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refuses the signed assertion: {description}.",
        "Check in Setup, External Client App Manager, that the app has the certificate of this private key: a deploy "
        "of a settings file without <certificate> takes it away.",
        "Compare them: openssl x509 -in server.crt -noout -pubkey; openssl pkey -in server.key -pubout",
        f"If the app was deployed just now, wait: a change takes {SPREADING} to spread.",
    )


@problem(
    "config",
    "The org does not accept the audience of the assertion: Salesforce's login host for the kind of org, or the "
    "site's own URL.",
    "Set SF_AUDIENCE_URL to the audience that the org expects.",
)
def audience_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refuses the audience of the assertion: {description}.",
        "Set SF_AUDIENCE_URL to https://login.salesforce.com for a production or developer org, to "
        "https://test.salesforce.com for a sandbox or scratch org, or to the URL of the site.",
    )


@problem(
    "config",
    "The org takes the assertion for expired, or for not valid yet: a clock is wrong. An assertion is good for three "
    "minutes.",
    "Correct the clock of this machine.",
    retryable=True,
)
def assertion_expired(host: str, description: str) -> Wording:
    return say(
        f"{host} refuses the assertion as expired or not valid yet: {description}.",
        "Set the clock of this machine (timedatectl set-ntp true, or w32tm /resync), then run again.",
    )


@problem(
    "policy",
    "The user may not log in with this app by JWT: nobody approved it. Either an administrator approves users in the "
    "app's policies, or the user signs in once by the web flow with the scope refresh_token.",
    "Let an administrator pre-authorize the user, or sign in once by the web flow.",
)
def assertion_not_approved(host: str, description: str) -> Wording:
    return say(
        f"{host} says the user has not approved the app: {description}.",
        "Check the username; Salesforce says the same of one that it does not know.",
        f"Check that {host} is the user's org, and the audience: https://login.salesforce.com for a production or "
        "developer org, https://test.salesforce.com for a sandbox or scratch org (SF_AUDIENCE_URL names another).",
        "In Setup, External Client App Manager, set the app's permitted users to admin approved, and add the user's "
        "profile or a permission set.",
        'Or let the user sign in once: ecapipe run --flow web --scopes "api refresh_token"',
    )


@problem(
    "people",
    "The user cannot log in: wrong password, inactive, locked, or an expired password.",
    "Sign in to the org in a browser and see what it says.",
)
def authentication_failed(host: str, description: str) -> Wording:
    return say(
        f"{host} could not authenticate the user: {description}.",
        "Sign in to the org in a browser as that user; Setup, Login History names the reason.",
    )


@problem(
    "policy",
    "The app, or the org for all apps, requires PKCE and the request carried no challenge, or an unusable one.",
    "Run again; ecapipe always sends PKCE S256, so something on the way removed it.",
)
def code_challenge_missing(host: str, description: str) -> Wording:
    return say(
        f"{host} misses the PKCE code challenge: {description}.",
        "Open the link exactly as printed, without line breaks or changes.",
    )


@problem(
    "policy",
    "A requested scope is not among the app's scopes in the org.",
    "Ask for fewer scopes, or add the scope to the app.",
)
def invalid_scope(host: str, description: str, scopes: str | None, requested: bool) -> Wording:
    """`scopes`: those of the app, if others were asked for; `requested`: scopes were named in the request."""
    look = f"See which scopes the app has in the org: {retrieve_command(metadata='ExtlClntAppOauthSettings')}"
    if not requested:
        return say(
            f"{host} refuses the scopes of the app: {description}.",
            look,
            "Add the missing ones to commaSeparatedOauthScopes in the app's OAuth settings, and deploy them.",
        )
    return say(
        f"{host} refuses the requested scopes: {description}.",
        *([f"Name scopes the app has: {option('scopes', scopes)}"] if scopes else []),
        look,
        "Name others with --scopes, or add them to the app's OAuth settings and deploy these.",
    )


@problem(
    "policy",
    "The token endpoint does not offer the flow: it is off for the app, or the URL is not an OAuth host.",
    "Use the org's My Domain URL, and enable the flow for the app.",
)
def unsupported_grant_type(host: str, description: str) -> Wording:
    return say(
        f"{host} does not support the flow for this app: {description}.",
        "Check that the URL is the org's My Domain and that the app's settings enable the flow.",
    )


@problem(
    "org",
    "The org, or the user's account, is not active.",
    "Ask the org's administrator.",
)
def inactive(host: str, description: str) -> Wording:
    return say(f"{host} says: {description}.", "Ask the org's administrator to activate the org or the user.")


@problem(
    "org",
    "Salesforce limits how often one may log in.",
    "Wait an hour, and log in less often.",
    retryable=True,
)
def rate_limited(host: str) -> Wording:
    return say(
        f"{host} allows no more logins for now.",
        "Wait, then run again; Salesforce's login limit lasts an hour.",
    )


@problem(
    "org",
    "Salesforce reported a passing fault of its own.",
    "Run again in a minute.",
    retryable=True,
)
def server_busy(host: str, description: str) -> Wording:
    return say(f"{host} reports a fault of its own: {description}.", "Run again in a minute.")


@problem(
    "credentials",
    "A token is expired, revoked, or of a kind the endpoint does not take.",
    "Run again for a new token.",
    retryable=True,
)
def token_refused(host: str, description: str) -> Wording:
    return say(f"{host} refuses the token: {description}.", "Run again for a new token.")


# Salesforce signs id and issued_at of a token answer with the consumer secret (HMAC-SHA256).
@problem(
    "org",
    "The token answer is not signed with the app's consumer secret, so it does not come from the org, or the secret "
    "belongs to another app.",
    "Check the secret and whatever stands between you and the org.",
)
def signature_mismatch(host: str) -> Wording:
    return say(
        f"The signature of the token answer from {host} does not match the consumer secret.",
        "Check where the consumer secret comes from, and whether a proxy alters answers. Do not use the token.",
    )


@problem(
    "credentials",
    "The org takes no question about a token from an app that shows no secret. The app is a public client, so there "
    "is none to show; at least the org did not say that it does not know the key.",
    "Log in with the web flow to be sure, or supply the secret if the app has one after all.",
)
def probe_needs_secret(host: str) -> Wording:
    return say(
        f"{host} does not refuse the consumer key, but says no more without a secret, and a public client has none.",
        "Log in to be sure: ecapipe run --flow web",
    )


@problem(
    "org",
    "The org refused with a code that ecapipe has no better words for.",
    "Look the code up in Salesforce's list of OAuth errors.",
)
def oauth_refused(host: str, error: str, description: str) -> Wording:
    answer = ": ".join(part for part in (error, description) if part) or "the error has no usable code"
    search = f'Search Salesforce Help for "OAuth error {error}", and look at' if error else "Look at"
    return say(f"{host} refused: {answer}.", f"{search} Setup, Login History in the org.")


@problem(
    "org",
    "The token worked for nothing: UserInfo refused it.",
    "Check that API access is allowed for the app and the user.",
)
def user_info_refused(host: str, status: int, description: str) -> Wording:
    return say(
        f"UserInfo at {host} refused the token (HTTP {status}): {description}.",
        *_USER_INFO_ACTIONS.get(description, ()),
        "Check Setup, API Access Control, and the session policies of the app and the user's profile.",
    )


# Salesforce Help, "Identity URLs".
_USER_INFO_ACTIONS = {
    "Missing_OAuth_Token": ("Look for a proxy that takes the Authorization header away: ecapipe doctor",),
    # What a bearer token gets where the app has Require DPoP.
    "Bad_OAuth_Token": ("See in Setup, External Client App Manager, whether the app requires DPoP.",),
    "Wrong_Org": ("Use the My Domain URL of the org that issued the token.",),
    "HTTPS_Required": ("Give the org's address with https.",),
}


@problem(
    "policy",
    "The token identifies the user but may not call the API although its scope says so; the usual reason is API "
    "Access Control.",
    "Allow the app in Setup, API Access Control, or give the user the permission to use any API client.",
)
def api_access_blocked(host: str, status: int, description: str) -> Wording:
    return say(
        f"{host} refuses API calls with the token (HTTP {status}): {description}.",
        "If the org uses API Access Control, allow the app in Setup, or assign the user Use Any API Client.",
        "Check that the user's profile or a permission set has API Enabled.",
    )


@problem(
    "org",
    "The org has no REST API: its edition comes without, or the API is off for it.",
    "Use an org of an edition with API access, or have the API enabled.",
)
def api_disabled(host: str) -> Wording:
    return say(
        f"The API is not enabled in the org at {host} (API_DISABLED_FOR_ORG).",
        "Check in Setup, Company Information, whether the org's edition has API access; Salesforce can enable it.",
        "For a login without API calls leave the scopes api and full out: --scopes id",
    )


@problem(
    "policy",
    "The user may not use the API.",
    "Give the user the permission API Enabled.",
)
def api_disabled_for_user(host: str) -> Wording:
    return say(
        f"{host} does not let the user call the API (API_CURRENTLY_DISABLED).",
        "Give the user's profile or a permission set API Enabled.",
    )


@problem(
    "org",
    "The org has used up its API requests of 24 hours, or too many run at once.",
    "Wait, and make fewer requests.",
    retryable=True,
)
def request_limit_exceeded(host: str) -> Wording:
    return say(
        f"The org at {host} has no API requests left for now (REQUEST_LIMIT_EXCEEDED).",
        "Wait, then run again; Setup, Company Information shows the API requests of the last 24 hours.",
    )


@problem(
    "policy",
    "The API takes no session of this token, although UserInfo took the token: IP ranges, or session policies.",
    "Check the session settings of the org, and the IP and session policies of the app and the user's profile.",
)
def api_session_refused(host: str, status: int, description: str) -> Wording:
    return say(
        f"The API at {host} refuses the session (HTTP {status}): {description}.",
        "Check the IP ranges and the session policies of the app and of the user's profile, and Setup, Session "
        "Settings, for sessions that are locked to an IP address or a domain.",
    )
