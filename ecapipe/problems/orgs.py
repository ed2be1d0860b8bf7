"""Problems whose remedy is the choice of an org, or its address."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import MISTAKES_SHOWN, USAGE, Wording, did_you_mean, listed, option, problem, say


@problem(
    "config",
    "The run needs at least one org to log in to, and none was specified or configured.",
    "Specify one with --target-org, or configure orgs in sfdx-project.json under plugins.ecapipe.orgs.",
    exit_code=USAGE,
)
def no_org_chosen(choices: Sequence[str]) -> Wording:
    known = f" Configured orgs: {listed(choices)}." if choices else ""
    return say(
        f"No org was specified.{known}",
        "Use -o or --target-org with an alias, or with the org's My Domain URL, such as "
        "https://MyDomain.my.salesforce.com.",
        "Or list the orgs in a file for --file, or in sfdx-project.json under plugins.ecapipe.orgs.",
        "To try ecapipe without an org, use --emulator.",
    )


# The name is that of sf for the same mistake.
@problem(
    "config",
    "Neither the project nor the Salesforce CLI knows an org with this name. It was specified with --target-org, "
    "in an org file, or as the default org.",
    "Correct the alias, or add its URL: --target-org ALIAS=URL.",
    exit_code=USAGE,
)
def named_org_not_found_error(alias: str, known: Sequence[str], reason: str | None = None) -> Wording:
    address = f"{alias.strip() or 'ALIAS'}=https://MyDomain.my.salesforce.com"
    doubt = f" The Salesforce CLI could not be queried: {reason}" if reason else ""
    return say(
        f'No org named "{alias}" was found.{doubt}',
        *did_you_mean(alias, known),
        f"Add its My Domain URL: {option('target-org', address)}",
        "Or add the org to sfdx-project.json under plugins.ecapipe.orgs.",
    )


@problem(
    "config",
    "Two orgs would have the same name, so that output, journal and variables could not distinguish them.",
    "Give each its own alias.",
    exit_code=USAGE,
)
def org_name_ambiguous(name: str, first: str, second: str) -> Wording:
    return say(
        f'Two orgs have the name "{name}": {first} and {second}.',
        f"Give one of them an alias: {option('target-org', f'ALIAS={second}')}",
    )


# Salesforce Help: five approvals of one app by one user; the sixth revokes the oldest without a word.
@problem(
    "policy",
    "The same user would approve the app in one org too many times. Salesforce limits the number of approvals with a "
    "refresh token, and each additional one revokes the oldest.",
    "Log in to each org once, or don't request refresh_token.",
)
def too_many_approvals(app: str, org: str, most: int) -> Wording:
    return say(
        f"{app} would be approved in {org} more than {most} times by the same user in this run, and Salesforce would "
        "revoke the oldest refresh token.",
        "List each org once, or set a different username for each login.",
        "Or omit refresh_token from the scopes.",
    )


@problem(
    "config",
    "The org file, specified with --file, contains errors. The output lists each with its row and column.",
    "Correct the file and run again. Nothing was sent.",
    exit_code=USAGE,
)
def malformed_batch_file(file: str, line: int | None, mistakes: Sequence[str], files: int = 1) -> Wording:
    """`file` and `line` are those of the first of the `mistakes`, which lie in as many `files`."""
    shown = mistakes[:MISTAKES_SHOWN]
    correct = f"Correct the {'file' if files == 1 else 'files'} and run again. Nothing was sent."
    if len(mistakes) == 1:
        return say(f"The org file has an error: {mistakes[0]}", correct, file=file, line=line)
    places = "; ".join(mistake.partition(": ")[0] for mistake in shown)
    rest = f"; and {len(mistakes) - len(shown)} more" if len(mistakes) > len(shown) else ""
    have = "file has" if files == 1 else "files have"
    message = f"The org {have} {len(mistakes)} errors: {places}{rest}."
    return say(message, *_each_cause_once(shown), correct, file=file, line=line)


def _each_cause_once(mistakes: Sequence[str]) -> list[str]:
    """Mistakes of one cause as one: in full at the first place, with the other places."""
    places: dict[str, list[str]] = {}
    for mistake in mistakes:
        place, _, cause = mistake.partition(": ")
        places.setdefault(cause, []).append(place)
    return [
        f"{first}: {cause}" + (f" The same: {'; '.join(others)}." if others else "")
        for cause, (first, *others) in places.items()
    ]


@problem(
    "config",
    "The orgs of the run that --resume names can't be used as they are recorded. What a JSON result says counts as "
    "the project's word: another host than a My Domain has to be specified by you.",
    "Allow the hosts with --allow-host or in ECAPIPE_ALLOWED_HOSTS, or specify the orgs with --target-org or --file.",
    exit_code=USAGE,
)
def resumed_orgs_unusable(run: str, mistakes: Sequence[str]) -> Wording:
    """Each mistake begins with the name of its org and a comma."""
    names = list(dict.fromkeys(mistake.partition(",")[0] for mistake in mistakes))
    return say(
        f"Orgs of {run} can't be used as recorded: {listed(names[:MISTAKES_SHOWN])}.",
        *mistakes[:MISTAKES_SHOWN],
        "Or specify the orgs yourself, with --target-org ALIAS=URL or --file.",
    )


@problem(
    "config",
    "The org's address doesn't belong to Salesforce, doesn't use https, or is not a My Domain and comes only from "
    "files of the project. The key and secret would be sent there.",
    "Use the org's My Domain URL. Sites, this machine and your own hosts have to be allowed by you: with "
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
            "If you trust the host, allow it with --allow-host HOST, or in ECAPIPE_ALLOWED_HOSTS.",
            "Or specify the address yourself: --target-org ALIAS=URL.",
            *actions,
        ]
    elif foreign:
        actions.append("If the host is yours, allow it with --allow-host HOST.")
    return say(f'The org address "{url}" is refused: {reason}.', *actions)


@problem(
    "config",
    "A value of --allow-host or ECAPIPE_ALLOWED_HOSTS is not a host, so it would allow nothing.",
    "Specify each host exactly, as HOST or HOST:PORT.",
    exit_code=USAGE,
)
def invalid_allowed_host(value: str, source: str) -> Wording:
    return say(
        f'{source} contains "{value}", which is not a host.',
        "Specify each host exactly, as HOST or HOST:PORT, without a scheme, a path or a wildcard.",
    )


# This is what gets copied from the address bar; Salesforce serves OAuth on *.my.salesforce.com only.
@problem(
    "config",
    "The address is a Lightning or Setup address, which serves pages but not OAuth.",
    "Use the My Domain login URL that the message names.",
    exit_code=USAGE,
)
def lightning_domain(host: str, my_domain: str) -> Wording:
    return say(f'"{host}" is a Lightning host, which does not serve OAuth.', f"Use https://{my_domain} instead.")


@problem(
    "org",
    "The token belongs to a different org than expected.",
    "Sign in to the expected org, or correct the URL or the expected orgId.",
)
def wrong_org(
    expected: str, actual: str, remains: str, attended: bool = False, contradiction: bool = False
) -> Wording:
    """`remains`: a sentence on what becomes of the token; `attended`: a user signed in; `contradiction`: only the
    token itself names the `expected` org."""
    if contradiction:
        return say(f"The token names org {expected}, but UserInfo names org {actual}. {remains}", *_CONTRADICTION)
    way_out = "Check that the URL is the My Domain of the expected org."
    if attended:
        way_out = "Open the link in a private window and sign in to the expected org."
    return say(
        f"The login is for org {actual}, but org {expected} was expected. {remains}",
        way_out,
        "If the expected org ID is wrong, correct orgId in the org file, or in plugins.ecapipe.orgs.",
    )


_CONTRADICTION = (
    "Check that the URL is the org's My Domain.",
    "Check for a proxy that changes responses: ecapipe doctor",
)


@problem(
    "people",
    "The login is for a different user than expected.",
    "Sign in as the expected user. A login without a browser runs as the user that the app's policies name.",
)
def wrong_user(
    expected: str, actual: str, remains: str, attended: bool = False, contradiction: bool = False
) -> Wording:
    """As `wrong_org`."""
    if contradiction:
        return say(f"The token names user {expected}, but UserInfo names user {actual}. {remains}", *_CONTRADICTION)
    if attended:
        way_out = f"Open the link in a private window and sign in as {expected}."
    else:
        way_out = "Correct the expected username, or the run-as user in the app's policies."
    return say(f"The login is for user {actual}, but {expected} was expected. {remains}", way_out)


@problem(
    "config",
    "What the Salesforce CLI retrieved from the org has no external client app, or none of those you asked for.",
    "Check which apps the org has, and whether the user of the login may retrieve metadata.",
)
def org_without_apps(org: str, apps: Sequence[str], known: Sequence[str]) -> Wording:
    """`apps` were asked for, `known` are there."""
    message = f"The retrieve from {org} returned no external client apps."
    if known:
        message = f"The retrieve from {org} did not return {listed(apps)}. It returned {listed(known)}."
    return say(
        message,
        *(hint for app in apps for hint in did_you_mean(app, known)),
        "In Setup of the org, External Client App Manager, check which apps it has.",
        "Check that the Salesforce CLI's user may read metadata there.",
    )
