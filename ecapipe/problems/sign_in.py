"""Problems of a sign-in on the way back from a browser: nothing can listen for it, or nothing came."""

from __future__ import annotations

from ecapipe.problems.problem import (
    SPREADING,
    WAITING,
    Wording,
    minutes_in_words,
    problem,
    say,
)


# The name is that of sf, which listens on the same port, 1717, by default.
@problem(
    "config",
    "Another program uses the port of the app's callback URL, so ecapipe could not receive the redirect there.",
    "Stop that program, or use --callback paste.",
)
def port_in_use_error(host: str, port: int) -> Wording:
    return say(
        f"Cannot listen for the redirect on {host}, port {port}: the port is in use.",
        f"Stop the program that uses port {port} (maybe another ecapipe or sf org login web), then run again.",
        "Or use --callback paste.",
    )


@problem(
    "config",
    "The operating system doesn't allow ecapipe to listen on the address of the callback URL.",
    "Use another callback URL with a port above 1023, or --callback paste.",
)
def cannot_listen(url: str, reason: str) -> Wording:
    return say(f"Cannot listen on {url}: {reason}.", "Use --callback paste, or a callback URL with another port.")


@problem(
    "config",
    "The sign-in page could not be served on the port that --board-port specifies.",
    "Choose another port, or omit the flag to use any free port.",
)
def board_cannot_listen(port: int, reason: str) -> Wording:
    return say(
        f"Cannot serve the sign-in page on port {port}: {reason}.",
        "Choose another port with --board-port, or omit the flag.",
        "Or use --no-board.",
    )


@problem(
    "config",
    "The emulator could not listen on the port of one of its orgs: the port is in use or not allowed.",
    "Choose another port with --port; 0 uses free ports.",
)
def emulator_cannot_listen(first: int, last: int, reason: str) -> Wording:
    ports = f"port {first}" if first == last else f"ports {first} to {last}"
    message = f"The emulator cannot listen on {ports}: {reason}."
    return say(message, "Choose another port with --port; 0 uses free ports.")


# What Salesforce refuses before it trusts the redirect_uri is a page of its own, without a callback: all that is left
# is to list the causes. The name is that of sf.
@problem(
    "people",
    "The login was not finished in the browser in time. Salesforce shows some errors only on its own page and sends "
    "no response to ecapipe, so check the browser.",
    "Run again, with a longer --wait if needed.",
    exit_code=WAITING,
    retryable=True,
)
def auth_timeout_error(app: str, minutes: float, listened: bool = False) -> Wording:
    """`listened`: the redirect was to come to this machine."""
    elsewhere = "If the browser is on another machine, use --callback paste, which asks for the redirect URL."
    return say(
        f"No response arrived for {app} within {minutes_in_words(minutes)}.",
        "Check the browser: Salesforce shows OAUTH_EC_APP_NOT_FOUND, invalid_client_id and redirect_uri_mismatch "
        "only there. The org, the key or the callback URL is wrong then, or a change is not active everywhere yet, "
        f"which takes {SPREADING}.",
        *([elsewhere] if listened else []),
        "Run again, with a longer --wait if more time is needed.",
    )


@problem(
    "people",
    "Sign-in was ended on the sign-in page while logins were still pending.",
    "Run again when the users can sign in.",
    exit_code=WAITING,
)
def sign_in_ended() -> Wording:
    return say(
        "Sign-in was ended before this login was finished.",
        "Run again; --resume continues with the unfinished logins.",
    )


@problem(
    "people",
    "The login needs the redirect URL to be pasted, but there is no terminal to prompt on.",
    "Run in a terminal, or use a flow without a browser.",
    exit_code=WAITING,
    retryable=True,
)
def nobody_to_ask(app: str) -> Wording:
    return say(
        f"{app} needs the redirect URL, but it cannot be prompted for: the input is closed or --no-prompt is set.",
        "Run in a terminal without --no-prompt, or pipe the redirect URL in.",
        "Or enable the client credentials flow for the app and use --flow client-credentials.",
    )
