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
    "The program of a --deliver command is not installed, or PATH leads to none that may be started.",
    "Install it, or name it by its absolute path.",
    exit_code=USAGE,
)
def delivery_program_not_found(program: str) -> Wording:
    return say(
        f"The program {program} of --deliver is not found.",
        "Install it, or give its absolute path. Entries of PATH inside the project are not used.",
    )


@problem(
    "credentials",
    "Nothing here has a login to the org through which the app could be rotated.",
    "Log in to the org with the Salesforce CLI, or save a login with ecapipe run --save.",
)
def rotation_login_missing(app: str, org: str, url: str) -> Wording:
    return say(
        f"There is no login to {org} through which {app} could be rotated.",
        f"Log in with the Salesforce CLI: {command('sf org login web', instance_url=url)}",
        f"Or save a login of an app with the scope api: {command('ecapipe run', target_org=url)} --save",
    )


@problem(
    "policy",
    "The org does not give out consumer keys and secrets through its REST API: a switch in Setup is off.",
    "Turn the switch on in Setup, External Client App Settings.",
)
def rotation_switched_off(host: str, switch: str) -> Wording:
    return say(
        f'{host} does not rotate through its REST API: "{switch}" is off.',
        f"Turn it on: {setup_page(host, 'ExternalClientApplicationSettings')}",
        "Or deploy enableClientSecretInRestApiAccess in ExternalClientAppSettings.",
    )


@problem(
    "policy",
    "The user of the login may not see or change consumer secrets.",
    "Give the user the permissions that the message names, or log in as a user who has them.",
)
def rotation_not_permitted(host: str, permissions: Sequence[str]) -> Wording:
    return say(
        f"{host} does not let this user rotate consumer secrets.",
        f"Give the user of the login the permissions: {listed(permissions)}: {setup_page(host, 'PermSets')}",
        "Or log in as a user who has them.",
    )


@problem(
    "policy",
    "The app came with a package: only the org that it comes from can rotate its key and secret.",
    "Rotate the app in the org in which it was made.",
    exit_code=USAGE,
)
def packaged_app_not_rotated(app: str, org: str) -> Wording:
    return say(
        f"{app} is a packaged app in {org}: its key and secret are rotated in the org that it was made in.",
        "Name that org with --target-org.",
    )


@problem(
    "org",
    "The org's API is older than staged credentials, which came with version 65.0.",
    "Wait for the org's next release.",
)
def rotation_api_too_old(host: str, newest: str) -> Wording:
    return say(
        f"{host} has API versions up to {newest}, and rotation needs 65.0 or later.",
        "Rotate in Setup, External Client App Manager, or wait for the org's next release.",
    )


@problem(
    "org",
    "The org has no external client app of the name, or does not show it to this user.",
    "Check the name and the org, or log in as a user who may see external client apps.",
)
def rotation_app_not_found(app: str, host: str) -> Wording:
    return say(
        f"{host} has no external client app {app} that this user may see.",
        f"Check the name: {setup_page(host, 'ManageExternalClientApplication')}",
    )


@problem(
    "credentials",
    "A pair that was replaced earlier still takes the place that a new one needs.",
    "Delete the previous pair with --end-previous, once nothing uses it, or wait until it expires.",
)
def previous_pair_still_there(app: str, org: str, key: str, since: str, until: str) -> Wording:
    return say(
        f"The previous key {key} of {app} in {org} still works{_period(since, until)}, and a further rotation needs "
        "its place.",
        f"Once nothing uses it: {command('ecapipe app rotate', name=app, target_org=org)} --end-previous",
        "Or wait until it expires.",
    )


@problem(
    "credentials",
    "A pair is staged that this machine has no record of: another user may be about to use it.",
    "Ask who staged it. Take it with --adopt, or delete it with --abort.",
)
def pair_staged_elsewhere(app: str, org: str, key: str, since: str, until: str) -> Wording:
    rotate = command("ecapipe app rotate", name=app, target_org=org)
    return say(
        f"The key {key} is staged for {app} in {org}{_period(since, until)}, and no record here says that this "
        "machine did it.",
        "To use it, add --adopt.",
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
    "There is no previous pair to delete: the staged pair is not in force yet.",
    "Promote the staged pair first, or delete it with --abort.",
)
def nothing_replaced(app: str, org: str) -> Wording:
    return say(
        f"{app} in {org} has a staged pair and no previous one.",
        "Promote the staged pair first (--promote), or delete it with --abort.",
    )


@problem(
    "org",
    "The org does not say whether it accepts a key and a secret, so that a new pair could not be proved.",
    "Allow a login that proves it (client credentials, or JWT with --jwt-key-file), or add --unproved.",
)
def no_proof_possible(app: str, org: str, reason: str) -> Wording:
    return say(
        f"{org} gives no proof of a key and secret of {app}: {reason}.",
        "Allow the client credentials flow, or log in with --jwt-key-file PATH --username NAME: that proves it.",
        "Or continue without a proof: add --unproved.",
    )


@problem(
    "credentials",
    "The org refuses the new key or secret. It is neither delivered nor promoted; the key in force is as it was.",
    "Wait some minutes and run again, or delete the staged pair with --abort.",
    retryable=True,
)
def new_pair_refused(app: str, org: str, reason: str) -> Wording:
    rotate = command("ecapipe app rotate", name=app, target_org=org)
    return say(
        f"{org} refuses the new pair of {app}: {reason}. The previous pair works as before.",
        "A new pair may take some minutes to work everywhere: run again later to resume.",
        f"Or delete it: {rotate} --abort",
    )


@problem(
    "org",
    "The org neither accepts nor refuses the new pair. It is neither delivered nor promoted.",
    "Run again, or continue without a proof: add --unproved.",
    retryable=True,
)
def new_pair_not_proved(app: str, org: str, reason: str) -> Wording:
    return say(
        f"{org} does not prove the new pair of {app}: {reason}. The previous pair works as before.",
        "Run again to resume.",
        "Or continue without a proof: add --unproved.",
    )


@problem(
    "config",
    "A --deliver command failed, so that the new pair is not promoted; the previous one works as before.",
    "Fix what the command reports, and run again: the same pair is delivered.",
)
def delivery_failed(program: str, field: str, reason: str, done: Sequence[str]) -> Wording:
    return say(
        f"{program} did not take the {field}: {reason}. Nothing is promoted; delivered so far: {listed(done)}.",
        "Fix the command and run again: it resumes with the same pair.",
    )


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
    "After the promotion the org does not say what it should: the new pair may not be in force.",
    "Run again: it reads the state from the org, and resumes.",
    retryable=True,
)
def promotion_not_confirmed(app: str, org: str, reason: str) -> Wording:
    return say(
        f"{org} does not confirm the new pair of {app}: {reason}.",
        "Run again: it reads what the org has, and finishes what is left.",
    )


@problem(
    "credentials",
    "The staged pair was delivered: once it is deleted, its recipients hold a dead key and secret.",
    "Promote it, or delete it with --abort --force and deliver the pair in force again.",
)
def delivered_pair_not_deleted(app: str, org: str, places: Sequence[str]) -> Wording:
    return say(
        f"The staged pair of {app} in {org} was delivered, and is not deleted: {listed(places)} would hold a dead "
        "pair.",
        "Promote it: --promote.",
        "Or delete it all the same: --abort --force.",
    )


@problem(
    "credentials",
    "Something that ecapipe knows of still uses the previous pair.",
    "Refresh or log in again with what the message names, or delete the pair with --force.",
)
def previous_pair_in_use(app: str, org: str, users: Sequence[str]) -> Wording:
    return say(
        f"The previous pair of {app} in {org} is not deleted, for it is used by: {listed(users)}.",
        "Log in again with each of them.",
        "Or delete it all the same: --end-previous --force.",
    )


@problem(
    "config",
    "Another process on this machine is rotating the same app in the same org.",
    "Wait until it has ended, and run again.",
    retryable=True,
)
def rotation_going_on(app: str, org: str) -> Wording:
    return say(f"Another process is rotating {app} in {org}.", "Wait until it has ended, and run again.")


def _period(since: str, until: str) -> str:
    """Since when a pair is there, and how long; dates alone."""
    words = [f"since {since[:10]}" if since else "", f"until {until[:10]}" if until else ""]
    return f" ({', '.join(filter(None, words))})" if any(words) else ""
