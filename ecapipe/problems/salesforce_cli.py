"""Problems whose remedy is the Salesforce CLI."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import Wording, command, did_you_mean, listed, option, problem, say


@problem(
    "config",
    "The command needs the Salesforce CLI, but there is no program named sf in a folder of PATH.",
    "Install it, or omit the option that needs it.",
)
def sf_not_found(needed_for: str) -> Wording:
    return say(
        f"The Salesforce CLI was not found: there is no sf on the PATH, and {needed_for} needs it.",
        "Install it: npm install --global @salesforce/cli",
        "If it is installed, add its folder to PATH. An sf inside this repository or project is ignored: set "
        "ECAPIPE_SF=/absolute/path/to/sf to use another one.",
    )


@problem(
    "config",
    "The installed Salesforce CLI lacks commands that ecapipe needs.",
    "Update it.",
)
def sf_too_old(installed: str, needed: str) -> Wording:
    return say(
        f"The Salesforce CLI is too old: {installed}, and {needed} is required.",
        "Update it: sf update",
        "If npm installed it: npm install --global @salesforce/cli@latest",
    )


@problem(
    "config",
    "A command of the Salesforce CLI failed, or returned something other than its JSON.",
    "Read its error message, and run the command yourself.",
)
def sf_failed(command: str, reason: str) -> Wording:
    return say(
        f"The Salesforce CLI failed to run {command}: {reason}",
        f"For details, run it yourself: {command}",
        "Check that the sf on the PATH is the Salesforce CLI: sf version",
    )


@problem(
    "config",
    "The Salesforce CLI did not finish in time, and was stopped.",
    "Run again. If it happens repeatedly, check the network and the proxy.",
    retryable=True,
)
def sf_timed_out(command: str, seconds: int) -> Wording:
    return say(
        f"The Salesforce CLI did not finish {command} within {seconds} seconds, and was stopped.",
        f"To see where it hangs, run it yourself: {command}",
    )


# Measured: of ten logins handed over at once five failed, one on a state file that another was writing.
@problem(
    "config",
    "Another ecapipe process is handing over logins to the Salesforce CLI, which loses some if it gets two at once.",
    "Run again when the other process has finished.",
    retryable=True,
)
def sf_busy(seconds: int) -> Wording:
    return say(
        f"Another ecapipe process has been handing over logins to the Salesforce CLI for {seconds} seconds.",
        "Run again when it has finished.",
    )


@problem(
    "config",
    "The Salesforce CLI has no login with this alias or username.",
    "Log in to the org with the Salesforce CLI, or correct the name.",
)
def sf_login_missing(name: str, url: str | None, known: Sequence[str]) -> Wording:
    message = f'The Salesforce CLI has no login named "{name}".'
    if url is not None:
        message = f"The Salesforce CLI has no login to {url}."
    login = command("sf org login web", alias=name, instance_url=url or "https://MyDomain.my.salesforce.com")
    return say(
        message,
        *did_you_mean(name, known),
        f"Log in to the org: {login}",
        "To list its logins: sf org list auth",
    )


@problem(
    "credentials",
    "The refresh token given to the Salesforce CLI is no longer valid: it expired, was revoked, or was rotated.",
    "Log in to the org again.",
)
def sf_refresh_refused(org: str, description: str) -> Wording:
    return say(
        f"Salesforce refused the refresh token of {org}: {description}",
        "Log in to the org again. If another program used the token in the meantime, use a separate login for each.",
        "Check the app's refresh token policy. It may make tokens expire immediately, or restrict IP addresses.",
    )


# Node reads neither the store of the operating system nor SSL_CERT_FILE.
@problem(
    "network",
    "The Salesforce CLI could not reach the org, even if ecapipe could. The two read different settings for "
    "proxies and certificates.",
    "Check HTTPS_PROXY, and set NODE_EXTRA_CA_CERTS to your company's CA file.",
    retryable=True,
)
def sf_unreachable(org: str, reason: str) -> Wording:
    return say(
        f"The Salesforce CLI could not reach {org}: {reason}",
        "Check HTTPS_PROXY and NO_PROXY. The Salesforce CLI reads additional certificates only from "
        "NODE_EXTRA_CA_CERTS.",
    )


@problem(
    "config",
    "ecapipe can't read the configuration file of the Salesforce CLI that contains the default org.",
    "Correct or delete the file, or specify the org with --target-org.",
)
def sf_config_unreadable(file: str, reason: str) -> Wording:
    return say(
        f"The Salesforce CLI's default org cannot be read from {file}: {reason}.",
        "Correct or delete the file.",
        "Or specify the org with --target-org.",
        file=file,
    )


@problem(
    "config",
    "Several apps would hand over a login for the same org. The Salesforce CLI stores one login for each username "
    "and one username for each alias, so only the last login would remain.",
    "Select the app to hand over with --name.",
)
def hand_over_ambiguous(org: str, apps: Sequence[str]) -> Wording:
    return say(
        f"The Salesforce CLI can store only one of these logins in {org}: {listed(apps)}.",
        "Select the app with --name.",
    )


@problem(
    "config",
    "The Salesforce CLI stores one login for each username, and this username is also used in another org. One login "
    "would overwrite the other.",
    "Sign in as another user, or log out of the other org first.",
)
def sf_username_taken(username: str, org: str, other: str) -> Wording:
    return say(
        f"The Salesforce CLI stores one login for each username, and {username} is the user of both {org} and "
        f"{other}.",
        "Sign in to one of them as another user, and set that username with --username or in the configuration of "
        "the org.",
        f"If you no longer need the login to {other}: {command('sf org logout', target_org=username)}",
    )


@problem(
    "config",
    "The Salesforce CLI already uses the alias for another login. After the handover, every command with that alias "
    "would go to this org.",
    "Use another alias: --target-org NEWALIAS=URL. Or replace the alias with --replace-alias, and specify the "
    "address yourself.",
)
def alias_taken(alias: str, url: str, username: str, instance_url: str, by_user: bool) -> Wording:
    """`by_user`: the user gave the alias with the address; the project's word is no reason to let an alias go."""
    address = "" if by_user else " " + option("target-org", f"ALIAS={url}")
    return say(
        f'The Salesforce CLI already uses "{alias}" for {username} at {instance_url}; it would point to {url} '
        "instead.",
        f"Use another alias: {option('target-org', f'NEWALIAS={url}')}",
        f"Or, to replace the alias: --replace-alias{address}",
    )


@problem(
    "config",
    "The Salesforce CLI can't use this login: its login URL has no field for a required value.",
    "Do what the message says, or run without --hand-over.",
)
def hand_over_not_possible(app: str, org: str, reason: str) -> Wording:
    return say(
        f"The login of {app} in {org} cannot be handed over to the Salesforce CLI: {reason}.",
        "Run without --hand-over, and use --print-token or --save instead.",
    )
