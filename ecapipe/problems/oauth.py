"""Problems whose remedy lies with the org: its answers at authorize, token, UserInfo and the API, and the way back
from a browser."""

from __future__ import annotations

from ecapipe.problems.problem import WAITING, Wording, option, problem, retrieve_command, say


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
        f"No answer came for {app} within {minutes:g} minutes.",
        "Look at the browser: a page that says OAUTH_EC_APP_NOT_FOUND, invalid_client_id or redirect_uri_mismatch "
        "sends no answer (wrong org, wrong key, or another callback URL; a change takes up to 15 minutes).",
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


# Salesforce takes 2 to 15 minutes to spread a change of an app, so this may pass by itself.
@problem(
    "credentials",
    "The org does not know the consumer key: it belongs to another org, was rotated, or has not spread yet.",
    "Retrieve the settings from this very org; after a deploy wait up to 15 minutes.",
    retryable=True,
)
def invalid_client_id(host: str) -> Wording:
    return say(
        f"{host} does not know the consumer key (invalid_client_id).",
        f"Retrieve the settings from this org again: {retrieve_command()}",
        "If the app was deployed just now, wait: a new key takes up to 15 minutes to spread.",
    )


@problem(
    "credentials",
    "The org knows the consumer key, but not with this secret.",
    "Supply the current consumer secret.",
)
def invalid_client(host: str) -> Wording:
    return say(
        f"{host} refuses the consumer secret (invalid_client).",
        "Check where the secret came from; if it was rotated, retrieve again or set the new one in the environment.",
    )


@problem(
    "org",
    "The app does not exist in this org: a wrong host, a package that is not installed, another org's key, or a "
    "sandbox made after the app (local apps are not copied to sandboxes).",
    "Use the org's own My Domain URL; deploy the app or install its package there, then retrieve again.",
)
def app_not_found_in_org(host: str) -> Wording:
    return say(
        f"The external client app is not installed in the org at {host} (OAUTH_EC_APP_NOT_FOUND).",
        "Check that the URL is the My Domain of the org the settings came from, not login or test.salesforce.com.",
        f"After a sandbox refresh, deploy the app again and retrieve: {retrieve_command()}",
    )


@problem(
    "org",
    "The browser was signed in to one org and the app belongs to another.",
    "Sign out in the browser or use a private window, and use the org's My Domain URL.",
)
def cross_org_blocked(host: str) -> Wording:
    return say(
        f"{host} blocked the login: the app belongs to another org than the browser's session.",
        "Open the link in a private window and sign in to the org the settings came from.",
    )


# OAUTH_APPROVAL_ERROR_GENERIC: its text says no more than "unexpected error", whatever the cause.
@problem(
    "policy",
    "Salesforce ended the approval without a reason. Known ones: a requested scope the app lacks, an API-only user, "
    "a user who is not pre-authorized, or a blocked app.",
    "Check the app's scopes and policies, and who signs in.",
)
def approval_refused(host: str) -> Wording:
    return say(
        f"{host} does not approve the app, and names no reason.",
        "Check that the app is enabled and not blocked, that it has every requested scope, and that the user is "
        "pre-authorized and not API-only.",
        "Try fewer scopes with --scopes.",
    )


# Scheme, host, port, path and a slash at its end all count (RFC 6749 §3.1.2.3), and an edit takes minutes to spread.
@problem(
    "config",
    "The redirect_uri is not, character by character, a callback URL of the app in the org.",
    "Retrieve the settings again, or deploy yours; a change takes up to 15 minutes.",
    retryable=True,
)
def redirect_uri_mismatch(host: str) -> Wording:
    return say(
        f"{host} refuses the redirect_uri: it does not match a callback URL of the app in the org.",
        f"Retrieve the settings from this org again: {retrieve_command()}",
        "If the callback URL was deployed just now, wait up to 15 minutes.",
    )


# Thirteen causes share the code invalid_grant, and only the description tells them apart: hence this problem and the
# ones like it below.
@problem(
    "people",
    "The authorization code was too old, used already, or not the one of this login.",
    "Run again: a code lives 15 minutes and works once.",
    retryable=True,
)
def authorization_code_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refuses the authorization code: {description}.",
        "Run again for a new code; it lives 15 minutes and works once.",
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
    "Put the certificate of the private key into the app's settings, deploy, and wait up to 15 minutes.",
    retryable=True,
)
def assertion_refused(host: str, description: str) -> Wording:
    return say(
        f"{host} refuses the signed assertion: {description}.",
        "Check in Setup, External Client App Manager, that the app has the certificate of this private key: a deploy "
        "of a settings file without <certificate> takes it away.",
        "Compare them: openssl x509 -in server.crt -noout -pubkey; openssl pkey -in server.key -pubout",
        "If the app was deployed just now, wait: a change takes up to 15 minutes to spread.",
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
def invalid_scope(host: str, description: str, scopes: str | None) -> Wording:
    return say(
        f"{host} refuses the requested scopes: {description}.",
        f"Name scopes the app has: {option('scopes', scopes or 'api web')}",
        f"Or add them to the app's OAuth settings, deploy, and retrieve: {retrieve_command()}",
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
        "Check Setup, API Access Control, and the session policies of the app and the user's profile.",
    )


@problem(
    "policy",
    "The token identifies the user but may not call the API although its scope says so: API Access Control.",
    "Allow the app in Setup, API Access Control, or give the user the permission to use any API client.",
)
def api_access_blocked(host: str, status: int, description: str) -> Wording:
    return say(
        f"{host} refuses API calls with the token (HTTP {status}): {description}.",
        "Allow the app in Setup, API Access Control, or assign the user Use Any API Client.",
    )
