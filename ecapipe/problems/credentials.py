"""Problems whose remedy is key and secret: where they come from, and who may see them."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import (
    USAGE,
    Wording,
    alternatives,
    command,
    listed,
    option,
    problem,
    quote,
    retrieval,
    retrieve_command,
    say,
)


# The key is not for the author to choose: Salesforce makes it, at the first deploy.
@problem(
    "credentials",
    "ecapipe found no consumer key for the app. Salesforce creates the key when the app is first deployed. The file "
    "contains it only after the next retrieve.",
    "Deploy the app, then retrieve it.",
)
def consumer_key_missing(
    app: str, variable: str, causes: Sequence[str], org: str | None, file: str | None, line: int | None
) -> Wording:
    """`org` is the alias of the one to log in to."""
    return say(
        f"{app} has no consumer key. {' '.join(causes)}".rstrip(),
        f"Deploy the app, then retrieve: {retrieve_command(org)}",
        f"Or set {variable} to the consumer key.",
        file=file,
        line=line,
    )


@problem(
    "credentials",
    "ecapipe found no consumer secret for the app, and the flow requires one. In most orgs a retrieve omits it.",
    "Supply the secret in an environment variable or at the prompt, or change the setting of the org and retrieve "
    "again.",
)
def consumer_secret_missing(
    app: str,
    variable: str,
    causes: Sequence[str],
    allowed: Sequence[str],
    secretless: Sequence[str],
    advice: Sequence[str],
    sources: Sequence[str] | None,
    org: str | None,
    file: str | None,
    line: int | None,
) -> Wording:
    """`allowed` are the flows of the app, `secretless` those that need no secret, for which there is `advice`;
    `sources` are those that the secret may come from, if not all; `org` is the alias of the one to log in to."""
    flows = [f"Its settings allow: {listed(allowed)}."]
    if secretless:
        flows.append(f"No secret is needed for: {listed(secretless)}.")
    ways = {
        "environment": f"Set {variable} to the consumer secret, from the secret store of your CI system.",
        "prompt": "Run in a terminal without --json or --no-prompt, and enter it at the prompt.",
        "keyring": f"Save it in the keyring: {command('ecapipe app set-secret', app)}",
    }
    actions = [way for source, way in ways.items() if sources is None or source in sources]
    actions += advice
    if sources is None or "file" in sources:
        actions.append(f"Allow the org to include it, then retrieve: {retrieve_command(org)}")
    if sources is not None and "environment" not in sources:
        actions.append("Supply it another way, without --secret-from.")
    return say(
        " ".join((f"{app} has no consumer secret.", *causes, *flows)),
        *alternatives(*actions),
        file=file,
        line=line,
    )


@problem(
    "credentials",
    "--secret-from rest reads the secret from an org with the login of the Salesforce CLI. The Salesforce CLI has no "
    "login to the org that owns the app's consumer.",
    "Log in to that org with the Salesforce CLI.",
)
def rest_login_missing(app: str, org: str, url: str | None) -> Wording:
    login = command("sf org login web", instance_url=url or "https://MyDomain.my.salesforce.com")
    return say(
        f"The Salesforce CLI has no login to {org}, which is needed to read the consumer secret of {app}.",
        f"Log in to the org: {login}",
        "Or supply the secret another way, without --secret-from rest.",
    )


@problem(
    "policy",
    "The org doesn't return consumer secrets over REST, because a setting in Setup is off.",
    "Turn on the setting in Setup, External Client App Settings, or supply the secret another way.",
)
def rest_switch_off(host: str, switch: str) -> Wording:
    return say(
        f"{host} does not return consumer secrets over REST: the setting is off.",
        f'In Setup, External Client App Settings, turn on "{switch}".',
        "Or supply the secret another way, without --secret-from rest.",
    )


@problem(
    "policy",
    "The user that the Salesforce CLI is logged in as is not allowed to view consumer secrets.",
    "Assign the permissions that the message names to the user, or log in as a user who has them.",
)
def rest_permission_missing(host: str, permissions: Sequence[str]) -> Wording:
    return say(
        f"{host} does not return consumer secrets to this user over REST.",
        f"Assign these permissions to the user of the Salesforce CLI's login: {listed(permissions)}.",
        "Or log in with the Salesforce CLI as a user who has them.",
    )


@problem(
    "credentials",
    "The org no longer accepts the access token of a login to its REST API.",
    "Log in to the org again.",
)
def rest_session_refused(host: str) -> Wording:
    return say(
        f"{host} refused the access token of the login to its REST API.",
        f"Log in again: {command('sf org login web', instance_url=f'https://{host}')}",
    )


# The id by which the API knows an app comes from GET /apps/oauth/usage, which lists those with usage only.
@problem(
    "org",
    "The org's REST API lists an app only after the app has been used, and doesn't list this one yet.",
    "Supply the secret another way this time. After a login with the app, the org lists it.",
    retryable=True,
)
def rest_app_not_listed(app: str, host: str) -> Wording:
    return say(
        f"{host} does not list {app} among the apps that have been used, so its secret is not available over REST.",
        "Use the app once: supply the secret in an environment variable or at the prompt this time.",
        "Or copy the secret from Setup, External Client App Manager, OAuth settings of the app.",
    )


@problem(
    "credentials",
    "None of the app's consumers in the org has this key. The key was rotated, or belongs to another org.",
    "Retrieve the settings again.",
)
def rest_consumer_unknown(app: str, host: str, key: str, keys: Sequence[str]) -> Wording:
    return say(
        f"No consumer of {app} in {host} has the key {key}. Keys in the org: {listed(keys)}.",
        retrieval("Retrieve the settings again"),
        f"Check that {host} is the org that the key belongs to.",
    )


@problem(
    "credentials",
    "Without a consumer key ecapipe can't choose a consumer: the app has several in the org, or none.",
    "Retrieve the settings again, or set the consumer key in the environment.",
)
def rest_consumers_several(app: str, host: str, keys: Sequence[str]) -> Wording:
    if not keys:
        return say(
            f"{app} has no consumer in {host}, so it has no consumer key and no consumer secret.",
            "In Setup, External Client App Manager, check whether OAuth is enabled for the app.",
        )
    return say(
        f"{app} has {len(keys)} consumers in {host}, and no consumer key is known to choose one: {listed(keys)}.",
        retrieval("Retrieve the settings again"),
        "Or set the consumer key in the environment.",
    )


# An org keeps one staged pair at a time, for 30 days; logins work with the active one only.
@problem(
    "credentials",
    "The consumer key belongs to a pair of key and secret that is staged in the org. A staged pair works only "
    "after it is rotated in.",
    "Rotate the staged pair in, or use the active key.",
)
def rest_pair_staged(app: str, host: str, key: str) -> Wording:
    return say(
        f"The key {key} of {app} belongs to a staged pair in {host}, which is not active yet.",
        "Rotate it in (Setup, External Client App Manager, OAuth settings of the app), then run again.",
        retrieval("Or use the active key"),
    )


@problem(
    "policy",
    "The org returned the app's consumer without its secret.",
    "Assign the permissions that the message names to the user.",
)
def rest_secret_withheld(app: str, host: str, permissions: Sequence[str]) -> Wording:
    return say(
        f"{host} returned the consumer of {app} without its secret.",
        f"Assign these permissions to the user of the Salesforce CLI's login: {listed(permissions)}.",
        "Or copy the secret from Setup, External Client App Manager, OAuth settings of the app.",
    )


@problem(
    "org",
    "The org's REST API refused a request about a consumer, with an error that ecapipe doesn't recognize.",
    "Read the secret, or rotate it, in Setup.",
)
def rest_refused(host: str, reason: str) -> Wording:
    return say(
        f"{host} refused a request about a consumer over REST: {reason}.",
        "Read the secret, or rotate it, in Setup: External Client App Manager.",
    )


@problem(
    "config",
    "ecapipe can't use the private key that signs the assertion of the JWT flow.",
    "Specify the RSA private key, in PEM format, that belongs to the app's certificate with --jwt-key-file.",
)
def jwt_key_not_usable(file: str, reason: str) -> Wording:
    return say(
        f"{file} is not a usable private key: {reason}.",
        "Specify the RSA private key (at least 2048 bits, PEM) that belongs to the app's certificate.",
        "Or create a new pair, and add server.crt to the app as its certificate: openssl req -x509 -newkey rsa:2048 "
        "-nodes -days 365 -subj /CN=ecapipe -keyout server.key -out server.crt",
        file=file,
    )


@problem(
    "config",
    "ECAPIPE_JWT_KEY_FILE does not contain the path of an existing file. The path is wrong, or the variable contains "
    "the private key itself.",
    "Set it to the path of a key file that only you can read.",
    exit_code=USAGE,
)
def jwt_key_not_path() -> Wording:
    # The value is not an argument: it may be the key itself, and the message would print it.
    return say(
        "ECAPIPE_JWT_KEY_FILE does not contain the path of an existing file, or the path is a folder.",
        "Correct the path. It is not shown here, because the value may be the key itself.",
        "If it is, write the key to a file that only you can read, and set the variable to its path.",
    )


@problem(
    "credentials",
    "The private key is encrypted, and no passphrase was supplied.",
    "Supply the passphrase in an environment variable, or at the prompt.",
)
def jwt_key_encrypted(file: str, variable: str) -> Wording:
    return say(
        f"The private key in {file} is encrypted, and no passphrase was supplied.",
        f"Set {variable} to the passphrase, or {variable}_FILE to the path of a file that contains it.",
        "Or run in a terminal without --json or --no-prompt, and enter it at the prompt.",
        file=file,
    )


@problem(
    "credentials",
    "The passphrase does not decrypt the private key, or the key file is damaged.",
    "Supply the correct passphrase.",
)
def jwt_key_passphrase_wrong(file: str, variable: str) -> Wording:
    return say(
        f"The passphrase does not decrypt the private key in {file}, or the file is damaged.",
        f"Correct {variable}, or enter the passphrase again at the prompt.",
        f"To check the passphrase: openssl pkey -noout -in {quote(file)}",
        file=file,
    )


@problem(
    "config",
    "The JWT flow logs in as a specific user, and none was specified.",
    "Specify the user with --username, or as username of the org in plugins.ecapipe.orgs.",
)
def jwt_username_missing(app: str, org: str) -> Wording:
    return say(
        f"The JWT flow of {app} needs a username to log in to {org}.",
        "Add --username NAME, with the full username of a user who is approved for the app.",
        f"Or add a username for {org} to plugins.ecapipe.orgs in sfdx-project.json, or to the org file.",
    )


@problem(
    "credentials",
    "The value can't be a consumer secret: it is empty, not plain text, or a placeholder.",
    "Copy the secret from Setup, External Client App Manager, Settings, OAuth Settings.",
    exit_code=USAGE,
)
def secret_unusable(app: str, reason: str) -> Wording:
    return say(
        f"The value is not a consumer secret of {app}: {reason}.",
        "Copy the secret from Setup, External Client App Manager, the app, Settings, OAuth Settings.",
        f"Then enter it at the prompt, or pipe it in as one line: {command('ecapipe app set-secret', app)}",
    )


@problem(
    "config",
    "No consumer secret is saved for this app.",
    "Use the exact name of the app. To save its secret, run ecapipe app set-secret.",
    exit_code=USAGE,
)
def secret_not_kept(app: str, org: str | None, known: Sequence[str], suggestions: Sequence[str] = ()) -> Wording:
    subject, options = app, dict[str, str]()
    if org:
        subject, options = f"{app}@{org}", {"target_org": org}
    return say(
        f"No consumer secret is saved for {subject}. Saved for: {listed(known)}.",
        *suggestions,
        f"To save it: {command('ecapipe app set-secret', app, **options)}",
    )


@problem(
    "config",
    "Several consumer secrets are saved for apps with this name, from different orgs or projects.",
    "Select an org with --target-org, or use --all.",
    exit_code=USAGE,
)
def secrets_ambiguous(app: str, choices: Sequence[str]) -> Wording:
    return say(
        f"More than one consumer secret is saved for {app}: {listed(choices)}.",
        "Select one with --target-org ORG, or remove all of them with --all.",
    )


@problem(
    "config",
    "A replacement of the project takes the consumer key from an environment variable or a file, and the value isn't "
    "one that Salesforce makes. It may be a secret, and a consumer key is shown in the authorize URL and in "
    "arguments of the Salesforce CLI, and saved as text. So it wasn't used.",
    "Correct the variable or the replacement, or supply the key in the ECAPIPE_CLIENT_ID variable of the app.",
)
def consumer_key_withheld(app: str, variable: str, origins: Sequence[str]) -> Wording:
    return say(
        f"The consumer key of {app} comes from {listed(origins)} (replacements of sfdx-project.json), which doesn't "
        "contain a whole key that starts with 3MVG9 like those of Salesforce. The value may be a secret, and a "
        "consumer key is shown, or saved as text.",
        f"Correct that value, or set {variable} to the consumer key.",
    )


@problem(
    "config",
    "Files of the project choose both an environment variable, through secretEnv or replacements, and the address "
    "that its value would be sent to. The address is not the My Domain of an org, so nothing was sent.",
    "Use the org's My Domain URL, or allow the host yourself with --allow-host or ECAPIPE_ALLOWED_HOSTS.",
)
def variables_withheld(app: str, host: str, names: Sequence[str]) -> Wording:
    return say(
        f"Nothing was sent to {host}: it is not a My Domain, only files of the project name it, and the project "
        f"reads {', '.join(names)} from the environment for {app}.",
        "Use the org's My Domain URL, such as https://MyDomain.my.salesforce.com.",
        f"Or allow the host yourself: {option('allow_host', host)}",
    )
