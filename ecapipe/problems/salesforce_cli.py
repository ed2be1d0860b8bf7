"""Problems whose remedy is the Salesforce CLI."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import Wording, command, did_you_mean, listed, option, problem, say


@problem(
    "config",
    "The Salesforce CLI is needed and not there: no program called sf lies in a folder of PATH.",
    "Install it, or do without what needs it.",
)
def sf_not_found(needed_for: str) -> Wording:
    return say(
        f"There is no Salesforce CLI: no sf was found on the PATH, and {needed_for} needs it.",
        "Install it: npm install --global @salesforce/cli",
        "If it is installed, add the folder that sf lies in to PATH. Inside this repository or project it is passed "
        "over: name one with ECAPIPE_SF=/absolute/path/to/sf.",
    )


@problem(
    "config",
    "The Salesforce CLI is older than the commands that ecapipe calls.",
    "Update it.",
)
def sf_too_old(installed: str, needed: str) -> Wording:
    return say(
        f"The Salesforce CLI is too old: {installed}, and {needed} is needed.",
        "Update it: sf update",
        "If npm installed it: npm install --global @salesforce/cli@latest",
    )


@problem(
    "config",
    "A command of the Salesforce CLI failed, or answered with something that is not its JSON.",
    "Read what it said, and run the command yourself.",
)
def sf_failed(command: str, reason: str) -> Wording:
    return say(
        f"The Salesforce CLI could not do {command}: {reason}",
        f"To see more, run it yourself: {command}",
        "Check that the sf on the PATH is the Salesforce CLI: sf version",
    )


@problem(
    "config",
    "The Salesforce CLI did not end in time, and was stopped.",
    "Run again; check network and proxy if it repeats.",
    retryable=True,
)
def sf_timed_out(command: str, seconds: int) -> Wording:
    return say(
        f"The Salesforce CLI did not finish {command} within {seconds} seconds, and was stopped.",
        f"To see where it stops, run it yourself: {command}",
    )


# Measured: of ten logins handed over at once five failed, one on a state file that another was writing.
@problem(
    "config",
    "Another ecapipe hands logins over to the Salesforce CLI, which loses some if it is given two at once.",
    "Run again when the other one has ended.",
    retryable=True,
)
def sf_busy(seconds: int) -> Wording:
    return say(
        f"Another ecapipe has been handing logins over to the Salesforce CLI for {seconds} seconds.",
        "Run again when it has ended.",
    )


@problem(
    "config",
    "The Salesforce CLI keeps no login under this alias or username.",
    "Log in to the org with it, or correct the name.",
)
def sf_login_missing(name: str, url: str | None, known: Sequence[str]) -> Wording:
    message = f'The Salesforce CLI knows no login called "{name}".'
    if url is not None:
        message = f"The Salesforce CLI knows no login to {url}."
    login = command("sf org login web", alias=name, instance_url=url or "https://MyDomain.my.salesforce.com")
    return say(
        message,
        *did_you_mean(name, known),
        f"Log in to the org: {login}",
        "See what it knows: sf org list auth",
    )


@problem(
    "credentials",
    "The refresh token that the Salesforce CLI was to use is dead: expired, revoked, or replaced by another.",
    "Log in to the org again.",
)
def sf_refresh_refused(org: str, description: str) -> Wording:
    return say(
        f"Salesforce refused the refresh token of {org}: {description}",
        "Log in to the org again. If another program used the token meanwhile, give each its own login.",
        "Look at the app's refresh token policy: it may be valid for no time, or from few addresses.",
    )


# Node reads neither the store of the operating system nor SSL_CERT_FILE.
@problem(
    "network",
    "The Salesforce CLI could not reach the org, although ecapipe may have: the two read different settings for "
    "proxies and certificates.",
    "Check HTTPS_PROXY, and name your company's CA file in NODE_EXTRA_CA_CERTS.",
    retryable=True,
)
def sf_unreachable(org: str, reason: str) -> Wording:
    return say(
        f"The Salesforce CLI could not reach {org}: {reason}",
        "Check HTTPS_PROXY and NO_PROXY; it reads further certificates from NODE_EXTRA_CA_CERTS only.",
    )


@problem(
    "config",
    "A configuration file of the Salesforce CLI, which holds the default org, cannot be read.",
    "Correct or delete the file, or name the org with --target-org.",
)
def sf_config_unreadable(file: str, reason: str) -> Wording:
    return say(
        f"The Salesforce CLI's default org cannot be read from {file}: {reason}.",
        "Correct or delete the file.",
        "Or name the org with --target-org.",
        file=file,
    )


@problem(
    "config",
    "Several apps would hand a login over for one org. The Salesforce CLI keeps one login for a username, and one "
    "username for an alias, so that only the last would remain.",
    "Choose the app whose login it shall keep, with --name.",
)
def hand_over_ambiguous(org: str, apps: Sequence[str]) -> Wording:
    return say(
        f"The Salesforce CLI can keep only one of these logins in {org}: {listed(apps)}.",
        "Choose the app with --name.",
    )


@problem(
    "config",
    "The Salesforce CLI keeps one login for a username, and this username is the user of another org, too: the one "
    "login would overwrite the other.",
    "Sign in as another user, or end the other login first.",
)
def sf_username_taken(username: str, org: str, other: str) -> Wording:
    return say(
        f"The Salesforce CLI keeps one login for each username, and {username} is the user both in {org} and in "
        f"{other}.",
        "Sign in to one of the two as another user, whom --username or the org's configuration names.",
        f"If the login in {other} is no longer needed: {command('sf org logout', target_org=username)}",
    )


@problem(
    "config",
    "The Salesforce CLI knows the alias for a login elsewhere: every later command with it would go to this org.",
    "Hand the login over under an alias of its own: --target-org NEWALIAS=URL. Or let the alias mean this org: "
    "--replace-alias, with the address given by you.",
)
def alias_taken(alias: str, url: str, username: str, instance_url: str, by_user: bool) -> Wording:
    """`by_user`: the user gave the alias with the address; the project's word is no reason to let an alias go."""
    address = "" if by_user else " " + option("target-org", f"ALIAS={url}")
    return say(
        f'The Salesforce CLI knows "{alias}" as {username} at {instance_url}: it would name {url} instead.',
        f"Hand the login over under another alias: {option('target-org', f'NEWALIAS={url}')}",
        f"Or, if the alias is to name this org: --replace-alias{address}",
    )


@problem(
    "config",
    "The Salesforce CLI cannot take this login: its login URL has no place for what it would have to hold.",
    "Do what the message says, or run without --hand-over.",
)
def hand_over_not_possible(app: str, org: str, reason: str) -> Wording:
    return say(
        f"The login of {app} in {org} cannot be handed over to the Salesforce CLI: {reason}.",
        "Run without --hand-over, and use --print-token or --save instead.",
    )
