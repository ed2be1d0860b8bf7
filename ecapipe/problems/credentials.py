"""Problems whose remedy is key and secret: where they come from, and who may see them."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import USAGE, Wording, command, listed, option, problem, quote, retrieve_command, say


# The key is not for the author to choose: Salesforce makes it, at the first deploy.
@problem(
    "credentials",
    "No consumer key was found for the app. Salesforce makes the key at the first deploy, and it is in the file "
    "only after the next retrieve.",
    "Deploy the app, then retrieve it.",
)
def consumer_key_missing(
    app: str, variable: str, causes: Sequence[str], file: str | None, line: int | None
) -> Wording:
    return say(
        f"{app} has no consumer key. {' '.join(causes)}".rstrip(),
        f"Deploy the app, then retrieve: {retrieve_command()}",
        f"Or set {variable}.",
        file=file,
        line=line,
    )


@problem(
    "credentials",
    "No consumer secret was found for the app, and the flow needs one. In most orgs a retrieve leaves it out.",
    "Supply the secret from the environment or at the prompt, or open the org's switch and retrieve again.",
)
def consumer_secret_missing(
    app: str,
    variable: str,
    causes: Sequence[str],
    allowed: Sequence[str],
    secretless: Sequence[str],
    advice: Sequence[str],
    file: str | None,
    line: int | None,
) -> Wording:
    flows = f"Its settings allow: {listed(allowed)}; without a secret: {listed(secretless)}."
    actions = [
        f"Set {variable} to the consumer secret, from your CI system's secret store.",
        "Or run in a terminal without --json or --no-prompt and type it at the prompt.",
        f"Or keep it in the keyring: {command('ecapipe app set-secret', app)}",
    ]
    return say(
        " ".join((f"{app} has no consumer secret.", *causes, flows)),
        *actions,
        *advice,
        f"Or allow it in the org, then retrieve: {retrieve_command()}",
        file=file,
        line=line,
    )


@problem(
    "credentials",
    "The secret should come from the org's REST API, and the Salesforce CLI has no login to the org that has the "
    "app's consumer.",
    "Log in to that org with the Salesforce CLI.",
)
def rest_login_missing(app: str, org: str, url: str | None) -> Wording:
    login = command("sf org login web", instance_url=url or "https://MyDomain.my.salesforce.com")
    return say(
        f"The Salesforce CLI has no login to {org}, which could tell the consumer secret of {app}.",
        f"Log in to it: {login}",
        "Or supply the secret in another way, without --secret-from rest.",
    )


@problem(
    "policy",
    "The org does not tell consumer secrets by REST: a switch in Setup is off.",
    "Turn the switch on in Setup, External Client App Settings, or supply the secret in another way.",
)
def rest_switch_off(host: str, switch: str) -> Wording:
    return say(
        f"{host} does not tell consumer secrets by REST: the feature is switched off.",
        f'In Setup, External Client App Settings, turn on "{switch}".',
        "Or supply the secret in another way, without --secret-from rest.",
    )


@problem(
    "policy",
    "The user of the Salesforce CLI's login may not see consumer secrets.",
    "Give the user the permissions that the message names, or log in as somebody who has them.",
)
def rest_permission_missing(host: str, permissions: Sequence[str]) -> Wording:
    return say(
        f"{host} does not tell this user consumer secrets by REST.",
        f"Give the user of the Salesforce CLI's login the permissions: {listed(permissions)}.",
        "Or log in with the Salesforce CLI as a user who has them.",
    )


@problem(
    "credentials",
    "The org no longer takes the access token that the Salesforce CLI keeps.",
    "Log in to the org again with the Salesforce CLI.",
)
def rest_session_refused(host: str) -> Wording:
    return say(
        f"{host} refuses the Salesforce CLI's access token.",
        f"Log in again: {command('sf org login web', instance_url=f'https://{host}')}",
    )


# The id by which the API knows an app comes from GET /apps/oauth/usage, which lists those with usage only.
@problem(
    "org",
    "The org's REST API lists apps only once they have been used, and this one is not listed.",
    "Supply the secret in another way this time; after a login with the app it is listed.",
    retryable=True,
)
def rest_app_not_listed(app: str, host: str) -> Wording:
    return say(
        f"{host} does not list {app} among the apps that have been used, and tells secrets of no other.",
        "Use the app once: supply the secret from the environment or at the prompt this time.",
        "Or copy the secret from Setup, External Client App Manager, OAuth settings of the app.",
    )


@problem(
    "credentials",
    "The app has consumers in the org, but none with the key at hand: it was rotated, or belongs to another org.",
    "Retrieve the settings again.",
)
def rest_consumer_unknown(app: str, host: str, key: str, keys: Sequence[str]) -> Wording:
    return say(
        f"None of the consumers of {app} in {host} has the key {key}; theirs: {listed(keys)}.",
        f"Retrieve the settings again: {retrieve_command()}",
    )


@problem(
    "credentials",
    "No consumer key is known, and the app has several consumers in the org, or none.",
    "Say which one is meant, by its key.",
)
def rest_consumers_several(app: str, host: str, keys: Sequence[str]) -> Wording:
    if not keys:
        return say(
            f"{app} has no consumer in {host}, and so no consumer key and no consumer secret.",
            "See in Setup, External Client App Manager, whether OAuth is enabled for the app.",
        )
    return say(
        f"{app} has {len(keys)} consumers in {host}, and no consumer key says which is meant: {listed(keys)}.",
        f"Retrieve the settings again: {retrieve_command()}",
        "Or set the consumer key in the environment.",
    )


# An org keeps one staged pair at a time, for 30 days; logins work with the active one only.
@problem(
    "credentials",
    "The consumer key at hand belongs to a pair that is staged in the org and not in force yet.",
    "Rotate the staged pair in, or use the key that is in force.",
)
def rest_pair_staged(app: str, host: str, key: str) -> Wording:
    return say(
        f"The key {key} of {app} belongs to a staged pair in {host}, which is not in force yet.",
        "Rotate it in (Setup, External Client App Manager, OAuth settings of the app), then run again.",
        f"Or go back to the key in force: {retrieve_command()}",
    )


@problem(
    "policy",
    "The org tells the consumer, but leaves its secret out.",
    "Give the user the permissions that the message names.",
)
def rest_secret_withheld(app: str, host: str, permissions: Sequence[str]) -> Wording:
    return say(
        f"{host} tells the consumer of {app} without its secret.",
        f"Give the user of the Salesforce CLI's login the permissions: {listed(permissions)}.",
        "Or copy the secret from Setup, External Client App Manager, OAuth settings of the app.",
    )


@problem(
    "org",
    "The org's REST API refuses to tell consumers, for a reason that ecapipe has no better words for.",
    "Supply the secret in another way.",
)
def rest_refused(host: str, reason: str) -> Wording:
    return say(
        f"{host} does not tell consumer secrets by REST: {reason}.",
        "Supply the secret in another way, without --secret-from rest.",
    )


@problem(
    "config",
    "The private key that should sign the assertions of the JWT flow cannot be used.",
    "Give --jwt-key-file the RSA private key, in PEM, whose certificate the app has.",
)
def jwt_key_not_usable(file: str, reason: str) -> Wording:
    return say(
        f"{file} is no usable private key: {reason}.",
        "Name the RSA private key (at least 2048 bits, PEM) that belongs to the app's certificate.",
        "Or make a new pair, and put server.crt into the app as its certificate: openssl req -x509 -newkey rsa:2048 "
        "-nodes -days 365 -subj /CN=ecapipe -keyout server.key -out server.crt",
        file=file,
    )


@problem(
    "config",
    "ECAPIPE_JWT_KEY_FILE names no file that is there: it holds a wrong path, or the private key itself.",
    "Give the path of a file with the key, which only you can read.",
    exit_code=USAGE,
)
def jwt_key_not_path() -> Wording:
    # The value is not an argument: people do put the key itself there, and the message would print it.
    return say(
        "ECAPIPE_JWT_KEY_FILE does not hold the path of a file that is there, or it is a folder.",
        "Correct the path. It is not repeated here, for it may be the key itself.",
        "If it is: write the key to a file that only you can read, and give the path of that file.",
    )


@problem(
    "credentials",
    "The private key is encrypted, and there is no passphrase for it.",
    "Supply the passphrase from the environment, or at the prompt.",
)
def jwt_key_encrypted(file: str, variable: str) -> Wording:
    return say(
        f"The private key in {file} is encrypted, and there is no passphrase.",
        f"Set {variable} to the passphrase, or {variable}_FILE to the path of a file that holds it.",
        "Or run in a terminal without --json or --no-prompt and type it at the prompt.",
        file=file,
    )


@problem(
    "credentials",
    "The passphrase does not open the private key.",
    "Supply the right passphrase.",
)
def jwt_key_passphrase_wrong(file: str, variable: str) -> Wording:
    return say(
        f"The passphrase does not open the private key in {file}, or the file is damaged.",
        f"Correct {variable}, or type the passphrase again at the prompt.",
        f"To see whether it is right: openssl pkey -noout -in {quote(file)}",
        file=file,
    )


@problem(
    "config",
    "The JWT flow logs in as one user, and nobody said which.",
    "Name the user with --username, or as username of the org in plugins.ecapipe.orgs.",
)
def jwt_username_missing(app: str, org: str) -> Wording:
    return say(
        f"The JWT flow of {app} needs to know as whom to log in to {org}.",
        "Add --username NAME, with the full username of a user who is approved for the app.",
        f"Or give {org} a username in plugins.ecapipe.orgs of sfdx-project.json, or in the batch file.",
    )


@problem(
    "credentials",
    "What was given as a consumer secret cannot be one: it is empty, not plain text, or only stands in the place "
    "of a secret.",
    "Copy the secret from Setup, External Client App Manager, Settings, OAuth Settings.",
    exit_code=USAGE,
)
def secret_unusable(app: str, reason: str) -> Wording:
    return say(
        f"That is no consumer secret for {app}: {reason}.",
        "Copy it from Setup, External Client App Manager, the app, Settings, OAuth Settings.",
        f"Then type it, or give it as one line of standard input: {command('ecapipe app set-secret', app)}",
    )


@problem(
    "config",
    "No consumer secret is kept for that app.",
    "ecapipe app set-secret keeps one; the names of apps are exact.",
    exit_code=USAGE,
)
def secret_not_kept(app: str, org: str | None, known: Sequence[str], suggestions: Sequence[str] = ()) -> Wording:
    subject, options = app, dict[str, str]()
    if org:
        subject, options = f"{app}@{org}", {"target_org": org}
    return say(
        f"No consumer secret is kept for {subject}. Kept for: {listed(known)}.",
        *suggestions,
        f"To keep one: {command('ecapipe app set-secret', app, **options)}",
    )


@problem(
    "config",
    "Consumer secrets of several apps of that name are kept: from several orgs or projects.",
    "Choose with --target-org, or take --all.",
    exit_code=USAGE,
)
def secrets_ambiguous(app: str, choices: Sequence[str]) -> Wording:
    return say(
        f"More than one consumer secret is kept for {app}: {listed(choices)}.",
        "Choose with --target-org ORG, or forget all of them with --all.",
    )


@problem(
    "config",
    "Files of the project name both a variable of the environment, as secretEnv or in replacements, and the address "
    "that its value would be sent to, which is not the My Domain of one org.",
    "Use the org's My Domain URL, or name the host yourself: with --allow-host, or in ECAPIPE_ALLOWED_HOSTS.",
)
def variables_withheld(app: str, host: str, names: Sequence[str]) -> Wording:
    return say(
        f"The project takes {', '.join(names)} from the environment for {app}, and only files of the project name "
        f"{host}, which is no My Domain: nothing was sent there.",
        "Use the org's My Domain URL, such as https://MyDomain.my.salesforce.com.",
        f"Or name the host yourself: {option('allow_host', host)}",
    )
