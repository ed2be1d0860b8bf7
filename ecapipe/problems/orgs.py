"""Problems whose remedy is the choice of an org, or its address."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import MISTAKES_SHOWN, USAGE, Wording, did_you_mean, listed, option, problem, say


@problem(
    "config",
    "A run that logs in needs at least one org, and none was named or configured.",
    "Name one with --target-org, or configure orgs in sfdx-project.json under plugins.ecapipe.orgs.",
    exit_code=USAGE,
)
def no_org_chosen(choices: Sequence[str]) -> Wording:
    known = f" Configured orgs: {listed(choices)}." if choices else ""
    return say(
        f"No org was chosen.{known}",
        "Use -o or --target-org with an alias, or with the org's My Domain URL such as "
        "https://MyDomain.my.salesforce.com.",
        "Or list orgs in a file for --file, or in sfdx-project.json under plugins.ecapipe.orgs.",
        "Use --emulator to try the pipeline without an org.",
    )


# The name is that of sf for the same mistake.
@problem(
    "config",
    "A name given with --target-org, in a batch file or as the default is no org that the project or the Salesforce "
    "CLI knows.",
    "Correct the alias, or give it a URL: --target-org ALIAS=URL.",
    exit_code=USAGE,
)
def named_org_not_found_error(alias: str, known: Sequence[str], reason: str | None = None) -> Wording:
    address = f"{alias.strip() or 'ALIAS'}=https://MyDomain.my.salesforce.com"
    doubt = f" The Salesforce CLI could not be asked: {reason}" if reason else ""
    return say(
        f'No org is known under the name "{alias}".{doubt}',
        *did_you_mean(alias, known),
        f"Name its My Domain URL as well: {option('target-org', address)}",
        "Or add it to sfdx-project.json under plugins.ecapipe.orgs.",
    )


@problem(
    "config",
    "Two orgs would be called the same, so that output, journal and variables could not tell them apart.",
    "Give each its own alias.",
    exit_code=USAGE,
)
def org_name_ambiguous(name: str, first: str, second: str) -> Wording:
    return say(
        f'Two orgs would be called "{name}": {first} and {second}.',
        f"Give one of them an alias: {option('target-org', f'ALIAS={second}')}",
    )


# Salesforce Help: five approvals of one app by one user; the sixth revokes the oldest without a word.
@problem(
    "policy",
    "One user would approve one app in one org more often than Salesforce keeps approvals with a refresh token: each "
    "further one revokes the oldest.",
    "Log in to each org once, or ask for no refresh_token.",
)
def too_many_approvals(app: str, org: str, most: int) -> Wording:
    return say(
        f"{app} would be approved in {org} more than {most} times by the same user in this run, and Salesforce would "
        "revoke the first refresh token again.",
        "Name each org once, or say with username which user is meant where.",
        "Or leave refresh_token out of the scopes.",
    )


@problem(
    "config",
    "A batch file, given with --file, has mistakes. All that were found are named, each with its row and column.",
    "Correct them and run again: nothing was sent.",
    exit_code=USAGE,
)
def malformed_batch_file(file: str, line: int | None, mistakes: Sequence[str], files: int = 1) -> Wording:
    """`file` and `line` are those of the first of the `mistakes`, which lie in as many `files`."""
    shown = mistakes[:MISTAKES_SHOWN]
    correct = f"Correct the {'file' if files == 1 else 'files'} and run again: nothing was sent."
    if len(mistakes) == 1:
        return say(f"The batch file has a mistake: {mistakes[0]}", correct, file=file, line=line)
    places = "; ".join(mistake.partition(": ")[0] for mistake in shown)
    rest = f"; and {len(mistakes) - len(shown)} more" if len(mistakes) > len(shown) else ""
    have = "file has" if files == 1 else "files have"
    message = f"The batch {have} {len(mistakes)} mistakes: {places}{rest}."
    return say(message, *shown, correct, file=file, line=line)


@problem(
    "config",
    "The org's address does not belong to Salesforce, or is not https, or only files of the project give it although "
    "it is no My Domain. Key and secret would be sent there.",
    "Use the org's My Domain URL. A site, this machine, or a host of your own has to be named by you: as "
    "--target-org ALIAS=URL, with --allow-host, or in ECAPIPE_ALLOWED_HOSTS.",
    exit_code=USAGE,
)
def refused_host(
    url: str, reason: str, foreign: bool = False, by_tree: bool = False, my_domain: str | None = None
) -> Wording:
    """`foreign`: the host is the reason, so that allowing it would help; `by_tree`: who gave it is; `my_domain`: the
    host of the org that is meant."""
    if my_domain:
        return say(f'The org address "{url}" is refused: {reason}.', f"Use https://{my_domain} instead.")
    actions = ["Use the org's My Domain URL, such as https://MyDomain.my.salesforce.com."]
    if by_tree:
        actions = [
            "If you know the host, name it yourself: with --allow-host HOST, or in ECAPIPE_ALLOWED_HOSTS.",
            "Or give the address yourself: --target-org ALIAS=URL.",
            *actions,
        ]
    if foreign:
        actions.append("If the host is yours, name it with --allow-host HOST.")
    return say(f'The org address "{url}" is refused: {reason}.', *actions)


# It is what people copy from the address bar; Salesforce serves OAuth on *.my.salesforce.com only.
@problem(
    "config",
    "A Lightning or Setup address serves pages, not OAuth.",
    "Use the My Domain login URL that the message names.",
    exit_code=USAGE,
)
def lightning_domain(host: str, my_domain: str) -> Wording:
    return say(f'"{host}" is a Lightning host, which does not serve OAuth.', f"Use https://{my_domain} instead.")


@problem(
    "org",
    "The token belongs to another org than the one that was asked.",
    "Sign in to the right org; check the URL and the expected orgId.",
)
def wrong_org(
    expected: str, actual: str, remains: str, attended: bool = False, contradiction: bool = False
) -> Wording:
    """`remains`: a sentence on what becomes of the token; `attended`: somebody signed in; `contradiction`: nobody
    but the token itself names the `expected` org."""
    if contradiction:
        return say(f"The token names org {expected}, and UserInfo org {actual}. {remains}", *_CONTRADICTION)
    way_out = "Check that the URL is the My Domain of the expected org."
    if attended:
        way_out = "Open the link in a private window and sign in to the expected org."
    return say(
        f"The login ended in org {actual}, not in {expected}. {remains}",
        way_out,
        "If the expected org id is wrong, correct orgId in the org file, or in plugins.ecapipe.orgs.",
    )


_CONTRADICTION = ("Check that the URL is the org's My Domain. Look for a proxy that changes answers: ecapipe doctor",)


@problem(
    "people",
    "The login was made as another user than expected.",
    "Sign in as the expected user; a login without a person runs as the user that the app's policies name.",
)
def wrong_user(
    expected: str, actual: str, remains: str, attended: bool = False, contradiction: bool = False
) -> Wording:
    """As `wrong_org`."""
    if contradiction:
        return say(f"The token names user {expected}, and UserInfo user {actual}. {remains}", *_CONTRADICTION)
    if attended:
        way_out = f"Open the link in a private window and sign in as {expected}."
    else:
        way_out = "Correct the username that is expected, or the user that the app runs as, in its policies."
    return say(f"The login was made as {actual}, not as {expected}. {remains}", way_out)


@problem(
    "config",
    "What the Salesforce CLI retrieved from the org holds no external client app, or none of those that were asked "
    "for.",
    "Look which apps the org has, and whether the user of the login may retrieve metadata.",
)
def org_without_apps(org: str, apps: Sequence[str], known: Sequence[str]) -> Wording:
    """`apps` were asked for, `known` are there."""
    there = f"It brought {listed(known)}." if known else "It brought none."
    return say(
        f"The retrieve from {org} did not bring {listed(apps) or 'an external client app'}. {there}",
        *(hint for app in apps for hint in did_you_mean(app, known)),
        "Look in Setup of the org, under External Client App Manager, which apps it has.",
        "Check that the user whom the Salesforce CLI is logged in as may read metadata there.",
    )
