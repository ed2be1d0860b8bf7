"""Problems whose remedy lies in the project: its settings, its metadata, its links."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import USAGE, Wording, listed, option, problem, retrieve_command, say


@problem(
    "config",
    "A credential is to come from an environment variable that programs need, such as PATH, HOME, HTTPS_PROXY or one "
    "that starts with GIT_, SF_ or XDG_. Nothing is read from it, and every program still gets it.",
    "Put the credential into a variable of its own, and name that.",
    exit_code=USAGE,
)
def variable_reserved(places: Sequence[str], file: str, line: int | None = None) -> Wording:
    """`places` say where which variable is named, without a full stop."""
    return say(
        f"{'; '.join(places)}: programs need such a variable, so no credential is read from it.",
        "Put the credential into a variable of its own, and name that one instead.",
        file=file,
        line=line,
    )


# Names and words of what sf refuses, too, are those of sf (sfdx-core, sfProject.ts): a search finds both.
@problem(
    "config",
    "No sfdx-project.json was found in the current directory or above it.",
    "Run from within a Salesforce project, or name a folder with --source-dir.",
)
def requires_project_error(directory: str) -> Wording:
    return say(
        f"This command is required to run from within a Salesforce project directory; {directory} is in none.",
        "Change to a folder that holds sfdx-project.json, or name one with --source-dir.",
    )


@problem(
    "config",
    "The folder is in no project, but projects lie below it, and ecapipe does not guess which one is meant.",
    "Name one of them with --source-dir.",
)
def project_not_chosen(directory: str, below: Sequence[str]) -> Wording:
    return say(
        f"{directory} is in no Salesforce project, but there are projects below it: {listed(below)}.",
        *(f"Use {option('source-dir', path)}" for path in below[:3]),
        "Or change to the folder of the project that is meant.",
    )


@problem(
    "config",
    "sfdx-project.json is not valid JSON.",
    "Mend the file at the line and column that the message names.",
)
def json_parse_error(file: str, line: int, column: int, reason: str) -> Wording:
    return say(
        f"{file} is not valid JSON: {reason} (line {line}, column {column}).",
        f"Mend {file} at line {line}.",
        file=file,
        line=line,
    )


@problem(
    "config",
    "sfdx-project.json can be parsed, but a member has the wrong type.",
    "Give the member the shape the message names.",
)
def schema_validation_error(file: str, reason: str) -> Wording:
    return say(f"{file} is not valid: {reason}.", f"Correct {file}.", file=file)


@problem(
    "config",
    "sfdx-project.json names no package directory, so there is nowhere to look.",
    'Add packageDirectories, for example [{"path": "force-app", "default": true}].',
)
def no_package_directories(file: str) -> Wording:
    return say(
        "The sfdx-project.json does not have any packageDirectories defined.",
        'Add one: "packageDirectories": [{"path": "force-app", "default": true}].',
        file=file,
    )


@problem(
    "config",
    "A package directory of sfdx-project.json does not exist.",
    "Create the folder, or remove it from packageDirectories.",
)
def missing_package_directory_error(path: str, file: str) -> Wording:
    return say(
        f'The package directory "{path}", specified in sfdx-project.json, does not exist.',
        f"Create {path}, or remove it from packageDirectories.",
        file=file,
    )


@problem(
    "config",
    "A package directory of sfdx-project.json is absolute or leads out of the project.",
    "Write it relative to the project root.",
)
def invalid_package_directory_error(path: str, file: str) -> Wording:
    return say(
        f'The package directory "{path}" in sfdx-project.json must be a path relative to the project root.',
        "Write it relative to the folder of sfdx-project.json.",
        file=file,
    )


@problem(
    "config",
    "Of several package directories none is the default.",
    'Give exactly one of them "default": true.',
)
def missing_default_path_error(file: str) -> Wording:
    return say(
        "No package directory in sfdx-project.json is the default.",
        'Add "default": true to one entry of packageDirectories.',
        file=file,
    )


@problem(
    "config",
    "More than one package directory is the default.",
    'Leave "default": true on exactly one of them.',
)
def multiple_default_paths_error(file: str) -> Wording:
    return say(
        "More than one package directory in sfdx-project.json is the default.",
        'Remove "default": true from all entries of packageDirectories but one.',
        file=file,
    )


# sf takes a single entry for the default, unless it says that it is not.
@problem(
    "config",
    "The only package directory says that it is not the default, and one has to be.",
    'Remove "default": false from it.',
)
def single_non_default_package_error(file: str) -> Wording:
    return say(
        "The only package directory in sfdx-project.json must be the default.",
        'Remove "default": false from it.',
        file=file,
    )


@problem(
    "config",
    "A link leads out of the repository. It is not followed: what lies there belongs to somebody else, until you "
    "name it.",
    "Name the target with --source-dir: it is a tree of its own. Or put a copy in the place of the link.",
)
def link_out_of_repository(file: str, target: str) -> Wording:
    return say(
        f"{file} is a link that leads out of the repository, so it was not followed.",
        f"Name its target: {option('source-dir', target)}",
        file=file,
    )


@problem(
    "config",
    "The searched folders hold no external client app.",
    "Retrieve the apps, or look in another folder.",
)
def no_apps_found(searched: Sequence[str]) -> Wording:
    return say(
        f"No external client apps were found in {listed(searched)}.",
        "Retrieve them: sf project retrieve start --metadata ExternalClientApplication "
        "--metadata ExtlClntAppGlobalOauthSettings --metadata ExtlClntAppOauthSettings --target-org ALIAS",
        "Or name the folder that holds them with --source-dir.",
    )


# Salesforce writes none of what is refused. Entities expand without bound, and could read files.
@problem(
    "config",
    "A metadata file is not the XML that Salesforce writes, or holds what ecapipe refuses (DOCTYPE, entities, "
    "more than 1 MiB, nesting deeper than 64).",
    "Retrieve the file again, or mend it at the line the message names.",
)
def malformed_xml(file: str, line: int | None, reason: str) -> Wording:
    return say(
        f"{file} could not be read as metadata: {reason}.",
        "Mend the file, or retrieve it again with sf project retrieve start.",
        file=file,
        line=line,
    )


@problem(
    "config",
    "A metadata file's root element is not the type that its suffix promises.",
    "Rename the file to the suffix of its type, or retrieve it again.",
)
def wrong_root(file: str, line: int | None, actual: str, expected: str) -> Wording:
    return say(
        f'{file} has the root element "{actual}"; its suffix promises "{expected}".',
        "Give the file the suffix of its type, or retrieve it again.",
        file=file,
        line=line,
    )


@problem(
    "config",
    "The project's sourceApiVersion is below 59.0, with which external client apps came, or no API version.",
    "Set sourceApiVersion in sfdx-project.json to the API version of your org.",
)
def unfit_api_version(version: str, file: str) -> Wording:
    return say(
        f"sourceApiVersion of {file} is {version!r}: external client apps came with API version 59.0.",
        f"Set sourceApiVersion in {file} to the API version of your org, such as 66.0.",
        file=file,
    )


# A file that Salesforce does not recognise is left out in silence: nothing would tell of the mistake.
@problem(
    "config",
    "A file's suffix is nearly that of an external client app type. Salesforce's tools go by the exact suffix.",
    "Rename the file.",
)
def suffix_misspelt(file: str, correct: str) -> Wording:
    return say(f'{file} has a misspelt suffix. Did you mean "{correct}"?', f"Rename {file} to {correct}.", file=file)


@problem(
    "config",
    "Two global OAuth settings files name the same app and hold different credentials, so it is unclear which count.",
    "Keep one of them.",
)
def settings_duplicated(app: str, files: Sequence[str]) -> Wording:
    return say(
        f"{app} has several global OAuth settings files with different credentials: {listed(files)}.",
        "Keep one of them in the project.",
        file=files[0],
    )


@problem(
    "config",
    "--update-baseline needs a file to write, and the project names none.",
    "Name one in sfdx-project.json, under plugins.ecapipe.baseline.",
    exit_code=USAGE,
)
def baseline_not_configured(directory: str) -> Wording:
    return say(
        f"The project in {directory} names no baseline.",
        'Add to its sfdx-project.json: "plugins": {"ecapipe": {"baseline": "ecapipe-baseline.json"}}.',
    )


@problem(
    "config",
    "The baseline, the file of accepted findings, is not what --update-baseline writes.",
    "Restore it, or delete it and write it anew with --update-baseline.",
)
def malformed_baseline(file: str, reason: str) -> Wording:
    return say(
        f"{file} is no baseline: {reason}.",
        f"Restore {file}, or delete it and run ecapipe app check --update-baseline.",
        file=file,
    )


@problem(
    "config",
    "The app's global OAuth settings file is not in the project. It holds the consumer key and secret.",
    "Retrieve the type ExtlClntAppGlobalOauthSettings, which manifests often leave out. Where git is to have no such "
    "file, take key and secret from the environment, or from another tree with --credentials-dir.",
)
def settings_not_retrieved(app: str, org: str | None, variables: Sequence[str], source_org: str | None) -> Wording:
    link = origin = ""
    if source_org:
        link = f"; or {app} is linked to org {source_org}, whose key and secret it uses"
        origin = f" from org {source_org}"
    return say(
        f"{app} has no global OAuth settings file in the project: it was not retrieved, or is kept out of git{link}.",
        f"Retrieve it{origin}: {retrieve_command(org)}",
        "If it is to stay out of this tree, retrieve it into another with --output-dir, and name that one with "
        "--credentials-dir.",
        _without_the_file(variables),
    )


@problem(
    "config",
    "The app is linked: another org, its source org, holds its key and secret, so this tree has no global OAuth "
    "settings file for it.",
    "Retrieve the file from the source org.",
)
def settings_in_source_org(app: str, source_org: str, variables: Sequence[str], scoped_to: str | None) -> Wording:
    """`scoped_to`: the org that the app was made in, where that alone speaks for a link."""
    likely = evidence = ""
    if scoped_to:
        likely = "likely "
        evidence = f" (its oauthLink names that org, its orgScopedExternalApp {scoped_to})"
    return say(
        f"{app} is {likely}linked: its key and secret belong to its source org {source_org}{evidence}, "
        "so it has no global OAuth settings file here.",
        f"Retrieve the file from org {source_org}: {retrieve_command()}",
        "Or name the tree of that org with --credentials-dir.",
        _without_the_file(variables),
    )


# Not retrieved by mistake, but by design: the type cannot be packaged at all.
@problem(
    "config",
    "The app was installed from a package, and packages never contain global OAuth settings.",
    "Take key and secret from the org in which the package was made.",
)
def settings_not_packaged(app: str) -> Wording:
    return say(
        f"{app} is packaged: packages never contain global OAuth settings.",
        f"Retrieve the file from the org that owns the package: {retrieve_command()}",
    )


@problem(
    "config",
    "The app has no OAuth settings at all (a SAML-only app, for example), so there is nothing to authorize.",
    "Leave it out with --name, or enable OAuth for it in the org and retrieve again.",
)
def no_oauth_settings(app: str) -> Wording:
    return say(f"{app} has no OAuth settings.", f"Retrieve them if the app uses OAuth: {retrieve_command()}")


def _without_the_file(variables: Sequence[str]) -> str:
    """How a login does without the settings file."""
    return f"Or set {' and '.join(variables)}: enough for the flows without a callback, client credentials and JWT."


@problem(
    "config",
    "--write-back would put the consumer secret into a file where it must not be, or cannot be put.",
    "Untrack the file, or run without --write-back.",
)
def not_written_back(file: str, reason: str, *actions: str) -> Wording:
    return say(
        f"The consumer secret is not written into {file}: {reason}.",
        *actions,
        "Or run without --write-back: the secret is used all the same.",
        file=file,
    )


@problem(
    "policy",
    "None of the flows that the app's settings allow can be used here.",
    "Use a flow the app allows, or enable another in the app's settings and policies.",
)
def flow_not_possible(
    app: str, requested: str, allowed: Sequence[str], reason: str, by_settings: bool, advice: Sequence[str]
) -> Wording:
    """`by_settings`: its settings file says what is `allowed`; `advice`: how to use one of these."""
    choices = "Its settings allow" if by_settings else "Without the file these can be tried"
    return say(
        f"{app} cannot log in with flow {requested}: {reason}. {choices}: {listed(allowed)}.",
        *advice,
        "Enable another flow in the app's OAuth settings, deploy, and retrieve again.",
    )


@problem(
    "config",
    "The way the answer should come back does not fit any callback URL of the app.",
    "Add a fitting callback URL to the app, or use the other --callback.",
)
def callback_not_usable(app: str, requested: str, callbacks: Sequence[str]) -> Wording:
    other = "paste" if requested == "listen" else "listen"
    action = f"Use --callback {other}."
    if not callbacks:
        action = (
            "Add a callback URL to the app's OAuth settings, such as http://localhost:1717/OauthRedirect, "
            "deploy, and retrieve again."
        )
    return say(f"{app} has no callback URL for --callback {requested}. It has: {listed(callbacks)}.", action)


# Salesforce gives a refresh token for the scope refresh_token alone: full does not include it.
@problem(
    "policy",
    "A login is to be kept, and the app does not allow the scope that brings a refresh token, so the login would "
    "end with its first access token.",
    "Add RefreshToken to commaSeparatedOauthScopes and deploy, or name the scopes with --scopes.",
)
def refresh_scope_missing(app: str, allowed: Sequence[str]) -> Wording:
    return say(
        f"{app} does not allow the scope refresh_token, without which a login cannot be kept for long. "
        f"It allows: {listed(allowed)}.",
        "Add RefreshToken to commaSeparatedOauthScopes of its OAuth settings, and deploy.",
        'Or keep the access token alone, by naming the scopes: --scopes "api".',
    )
