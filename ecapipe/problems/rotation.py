"""Problems of a rotation: what keeps a new key and secret from being made, proved, delivered or put in force."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import USAGE, Wording, command, listed, problem, say

_MANAGER = "https://{name}.my.salesforce-setup.com/lightning/setup/{page}/home"


_PAGES = {
    "ExternalClientApplicationSettings": "External Client App Settings",
    "ManageExternalClientApplication": "External Client App Manager",
    "PermSets": "Permission Sets",
}


def setup_page(host: str, page: str) -> str:
    """The address of a page of Setup, if the host is a My Domain; else how to get there."""
    name, domain, _ = host.partition(".my.salesforce.com")
    if not domain:
        return f"Setup, {_PAGES[page]}"
    return _MANAGER.format(name=name, page=page)


@problem(
    "config",
    "The program of a --deliver command is not installed, or not on the PATH outside the project.",
    "Install it, or use its absolute path.",
    exit_code=USAGE,
)
def delivery_program_not_found(program: str) -> Wording:
    return say(
        f"The program {program} of --deliver was not found.",
        "Install it, or use its absolute path. Entries of PATH inside the project are ignored.",
    )


@problem(
    "credentials",
    "ecapipe rotates an app through a login to the org. Neither the Salesforce CLI nor ecapipe has saved one.",
    "Log in to the org with the Salesforce CLI, or save a login with ecapipe run --save.",
)
def rotation_login_missing(app: str, org: str, url: str) -> Wording:
    return say(
        f"There is no saved login to {org}, which is needed to rotate {app}.",
        f"Log in with the Salesforce CLI: {command('sf org login web', instance_url=url)}",
        f"Or save a login of an app with the scope api: {command('ecapipe run', target_org=url)} --save",
    )


@problem(
    "policy",
    "The org doesn't return consumer keys and secrets over REST, because a setting in Setup is off.",
    "Turn the setting on in Setup, External Client App Settings.",
)
def rotation_switched_off(host: str, switch: str) -> Wording:
    return say(
        f'{host} does not rotate apps over REST: the setting "{switch}" is off.',
        f"Turn it on: {setup_page(host, 'ExternalClientApplicationSettings')}",
        "Or deploy enableClientSecretInRestApiAccess in ExternalClientAppSettings.",
    )


@problem(
    "policy",
    "The user of the login is not allowed to view and change consumer secrets.",
    "Assign the permissions that the message names to the user, or log in as a user who has them.",
)
def rotation_not_permitted(host: str, permissions: Sequence[str]) -> Wording:
    return say(
        f"{host} does not allow this user to rotate consumer secrets.",
        f"Assign the permissions {listed(permissions)} to the user of the login: {setup_page(host, 'PermSets')}",
        "Or log in as a user who has them.",
    )


@problem(
    "policy",
    "The app was installed from a package. Only the org in which it was created can rotate its key and secret.",
    "Rotate the app in the org in which it was created.",
    exit_code=USAGE,
)
def packaged_app_not_rotated(app: str, org: str) -> Wording:
    return say(
        f"{app} is a packaged app in {org}. Its key and secret can be rotated only in the org in "
        "which it was created.",
        "Specify that org with --target-org.",
    )


@problem(
    "org",
    "Rotation requires API version 65.0 or later, which the org doesn't have yet.",
    "Wait for the org's next release.",
)
def rotation_api_too_old(host: str, newest: str) -> Wording:
    return say(
        f"{host} has API versions up to {newest}, but rotation requires 65.0 or later.",
        "Rotate in Setup, External Client App Manager, or wait for the org's next release.",
    )


@problem(
    "org",
    "The org has no external client app with this name, or the user is not allowed to see it.",
    "Check the name and the org, or log in as a user who can see external client apps.",
)
def rotation_app_not_found(app: str, host: str) -> Wording:
    return say(
        f"{host} has no external client app {app}, or this user is not allowed to see it.",
        f"Check the name: {setup_page(host, 'ManageExternalClientApplication')}",
    )


@problem(
    "credentials",
    "An org stores one pair besides the active one. A pair that was replaced earlier is still there.",
    "Delete the previous pair with --end-previous, once nothing uses it, or wait until it expires.",
)
def previous_pair_still_there(app: str, org: str, key: str, since: str, until: str) -> Wording:
    return say(
        f"The previous key {key} of {app} in {org} still works{_period(since, until)}, and must be "
        "deleted before another rotation.",
        f"Once nothing uses it: {command('ecapipe app rotate', name=app, target_org=org)} --end-previous",
        "Or wait until it expires.",
    )


@problem(
    "credentials",
    "This machine has no record of the staged pair. Another user may be rotating the app.",
    "Find out who staged it. Then use it with --adopt, or delete it with --abort.",
)
def pair_staged_elsewhere(app: str, org: str, key: str, since: str, until: str) -> Wording:
    rotate = command("ecapipe app rotate", name=app, target_org=org)
    return say(
        f"The key {key} is staged for {app} in {org}{_period(since, until)}, but not by ecapipe on this machine.",
        "To use that key and its secret, add --adopt.",
        f"To delete it: {rotate} --abort",
    )


@problem(
    "credentials",
    "There is no staged pair to promote or to delete.",
    "Stage one: run without --promote.",
)
def nothing_staged(app: str, org: str) -> Wording:
    return say(f"No pair is staged for {app} in {org}.", "Stage one: run without --promote or --abort.")


@problem(
    "credentials",
    "There is no previous pair to delete, because the staged pair is not active yet.",
    "Promote the staged pair first, or delete it with --abort.",
)
def nothing_replaced(app: str, org: str) -> Wording:
    return say(
        f"{app} in {org} has a staged pair, but no previous one.",
        "Promote the staged pair first (--promote), or delete it with --abort.",
    )


@problem(
    "org",
    "The org can't confirm a key and secret in any way that the app allows, so a new pair can't be proved.",
    "Allow a login as the proof (client credentials, or JWT with --jwt-key-file), or add --unproved.",
)
def no_proof_possible(app: str, org: str, reason: str) -> Wording:
    return say(
        f"A new key and secret of {app} can't be proved in {org}: {reason}.",
        "Allow the client credentials flow, or add --jwt-key-file PATH --username NAME: a login is the proof.",
        "Or continue without a proof: add --unproved.",
    )


@problem(
    "credentials",
    "The org refuses the new key or secret. The pair was neither delivered nor promoted. The "
    "active pair is unchanged.",
    "Wait some minutes and run again, or delete the staged pair with --abort.",
    retryable=True,
)
def new_pair_refused(app: str, org: str, reason: str) -> Wording:
    rotate = command("ecapipe app rotate", name=app, target_org=org)
    return say(
        f"{org} refuses the new pair of {app}: {reason}. The active pair is unchanged.",
        "A new pair can take some minutes to work everywhere. Run again later to resume.",
        f"Or delete it: {rotate} --abort",
    )


@problem(
    "org",
    "The org neither accepted nor refused the new pair. It was neither delivered nor promoted.",
    "Run again, or continue without a proof: add --unproved.",
    retryable=True,
)
def new_pair_not_proved(app: str, org: str, reason: str) -> Wording:
    return say(
        f"{org} neither accepted nor refused the new pair of {app}: {reason}. The active pair is unchanged.",
        "Run again to resume.",
        "Or continue without a proof: add --unproved.",
    )


@problem(
    "config",
    "A --deliver command failed, so the new pair was not promoted. The active pair is unchanged.",
    "Fix the cause that the command reports, then run again: the same pair is delivered.",
)
def delivery_failed(program: str, field: str, reason: str) -> Wording:
    return say(
        f"{program} failed to store the {field}: {reason}.",
        "Fix the command and run again. The rotation resumes with the same pair.",
    )


def delivered_so_far(done: Sequence[str], *, promoted: bool) -> str:
    """The sentence that follows a delivery that failed, whatever did."""
    state = "The new pair is already active" if promoted else "Nothing was promoted"
    return f"{state}. Delivered so far: {listed(done)}."


@problem(
    "credentials",
    "While the new pair was delivered, it vanished from the org: another user may have deleted or replaced it.",
    "Run again: a new pair is staged and delivered in its place.",
)
def staged_pair_gone(app: str, org: str, places: Sequence[str]) -> Wording:
    return say(
        f"The new pair of {app} is no longer staged in {org}: another user may have deleted or replaced it. Nothing "
        f"is promoted; these hold a pair that does not work: {listed(places)}.",
        "Run again: a new pair is staged and delivered in its place.",
    )


@problem(
    "org",
    "After the promotion, the org doesn't return the new pair as the active one.",
    "Run again to resume: ecapipe reads the state from the org.",
    retryable=True,
)
def promotion_not_confirmed(app: str, org: str, reason: str) -> Wording:
    return say(
        f"{org} does not confirm that the new pair of {app} is active: {reason}.",
        "Run again to resume: ecapipe reads the state from the org.",
    )


@problem(
    "credentials",
    "The staged pair was already delivered. If it is deleted, its recipients have a key and secret that don't work.",
    "Promote it, or delete it with --abort --force and deliver the active pair again.",
)
def delivered_pair_not_deleted(app: str, org: str, places: Sequence[str]) -> Wording:
    return say(
        f"The staged pair of {app} in {org} was not deleted, because it was already delivered: {listed(places)}.",
        "To promote it: --promote",
        "Or, to delete it anyway: --abort --force",
    )


@problem(
    "credentials",
    "A saved login, a saved secret or a login that was handed over still uses the previous pair.",
    "Log in again or save the secret again, or delete the pair anyway with --force.",
)
def previous_pair_in_use(app: str, org: str, users: Sequence[str]) -> Wording:
    return say(
        f"The previous pair of {app} in {org} was not deleted, because it is still used by: {listed(users)}.",
        "Log in again to update each of them.",
        "Or, to delete it anyway: --end-previous --force",
    )


@problem(
    "config",
    "Another process on this machine is rotating the same app in the same org.",
    "Wait until it finishes, then run again.",
    retryable=True,
)
def rotation_going_on(app: str, org: str) -> Wording:
    return say(f"Another process is rotating {app} in {org}.", "Wait until it finishes, then run again.")


def _period(since: str, until: str) -> str:
    """Since when a pair is there, and how long; dates alone."""
    words = [f"since {since[:10]}" if since else "", f"until {until[:10]}" if until else ""]
    return f" ({', '.join(filter(None, words))})" if any(words) else ""
