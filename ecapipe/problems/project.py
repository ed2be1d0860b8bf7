"""Problems whose remedy lies in the project: its settings, its metadata, its links."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import (
    USAGE,
    Retrieval,
    Wording,
    listed,
    option,
    problem,
    retrieval,
    retrieve_command,
    say,
)


@problem(
    "config",
    "A credential refers to an environment variable that other programs need, such as PATH, HOME, HTTPS_PROXY or one "
    "that starts with GIT_, SF_ or XDG_. ecapipe reads no credential from it, and still passes it to every program.",
    "Put the credential in a separate variable, and refer to that one.",
    exit_code=USAGE,
)
def variable_reserved(places: Sequence[str], file: str, line: int | None = None) -> Wording:
    """`places` say where which variable is named, without a full stop."""
    return say(
        f"{'; '.join(places)}: other programs need this variable, so no credential is read from it.",
        "Put the credential in a separate variable, and refer to that one instead.",
        file=file,
        line=line,
    )


# Names and words of what sf refuses, too, are those of sf (sfdx-core, sfProject.ts): a search finds both.
@problem(
    "config",
    "There is no sfdx-project.json in the current folder or above it.",
    "Run the command from within a Salesforce project, or specify a folder with --source-dir.",
)
def requires_project_error(directory: str) -> Wording:
    return say(
        f"This command is required to run from within a Salesforce project directory; {directory} is in no project.",
        "Change to a folder that contains sfdx-project.json, or specify one with --source-dir.",
    )


@problem(
    "config",
    "The folder is not in a project, but there are projects below it. ecapipe doesn't guess which one to use.",
    "Select a project with --source-dir.",
)
def project_not_chosen(directory: str, below: Sequence[str]) -> Wording:
    return say(
        f"{directory} is not in a Salesforce project, but has projects below it: {listed(below)}.",
        *(f"Use {option('source-dir', path)}" for path in below[:3]),
        "Or change to the folder of a project.",
    )


@problem(
    "config",
    "sfdx-project.json is not valid JSON.",
    "Fix the file at the line and column that the message names.",
)
def json_parse_error(file: str, line: int, column: int, reason: str) -> Wording:
    return say(
        f"{file} is not valid JSON: {reason} (line {line}, column {column}).",
        f"Fix {file} at line {line}.",
        file=file,
        line=line,
    )


@problem(
    "config",
    "sfdx-project.json is valid JSON, but one of its members has the wrong type or an invalid value.",
    "Correct the member that the message names.",
)
def schema_validation_error(file: str, reason: str) -> Wording:
    return say(f"{file} is not valid: {reason}.", f"Correct {file}.", file=file)


@problem(
    "config",
    "sfdx-project.json lists no package directories, so there is nowhere to look for apps.",
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
    "A package directory listed in sfdx-project.json does not exist.",
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
    "A package directory in sfdx-project.json is an absolute path, or leads outside the project.",
    "Use a path relative to the project root.",
)
def invalid_package_directory_error(path: str, file: str) -> Wording:
    return say(
        f'The package directory "{path}" in sfdx-project.json must be a path relative to the project root.',
        "Use a path inside the folder of sfdx-project.json.",
        file=file,
    )


@problem(
    "config",
    "sfdx-project.json has several package directories, and none is marked as the default.",
    'Add "default": true to exactly one of them.',
)
def missing_default_path_error(file: str) -> Wording:
    return say(
        "No package directory in sfdx-project.json is the default.",
        'Add "default": true to one entry of packageDirectories.',
        file=file,
    )


@problem(
    "config",
    "sfdx-project.json marks more than one package directory as the default.",
    'Leave "default": true on only one of them.',
)
def multiple_default_paths_error(file: str) -> Wording:
    return say(
        "More than one package directory in sfdx-project.json is the default.",
        'Remove "default": true from all but one entry of packageDirectories.',
        file=file,
    )


# sf takes a single entry for the default, unless it says that it is not.
@problem(
    "config",
    "The only package directory is marked as not the default, but one of them must be.",
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
    "A symbolic link leads outside the repository. ecapipe doesn't follow it unless you specify the target yourself, "
    "because the target is not part of the repository.",
    "Specify the target with --source-dir, or replace the link with a copy.",
)
def link_out_of_repository(file: str, target: str) -> Wording:
    return say(
        f"{file} is a link that leads outside the repository, so it was not followed.",
        f"Specify its target: {option('source-dir', target)}",
        file=file,
    )


@problem(
    "config",
    "The searched folders contain no external client apps.",
    "Retrieve the apps, or specify another folder.",
)
def no_apps_found(searched: Sequence[str]) -> Wording:
    return say(
        f"No external client apps were found in {listed(searched)}.",
        Retrieval(
            "Retrieve them: sf project retrieve start --metadata ExternalClientApplication "
            "--metadata ExtlClntAppGlobalOauthSettings --metadata ExtlClntAppOauthSettings --target-org ALIAS"
        ),
        "Or specify the folder that contains them with --source-dir.",
    )


# Salesforce writes none of what is refused. Entities expand without bound, and could read files.
@problem(
    "config",
    "A metadata file is not the XML that Salesforce writes, or contains something that ecapipe rejects: a DOCTYPE, "
    "entities, more than 1 MiB, or nesting deeper than 64 levels.",
    "Retrieve the file again, or fix it at the line that the message names.",
)
def malformed_xml(file: str, line: int | None, reason: str) -> Wording:
    return say(
        f"{file} could not be read as metadata: {reason}.",
        "Fix the file.",
        Retrieval("Or retrieve it again with sf project retrieve start."),
        file=file,
        line=line,
    )


@problem(
    "config",
    "The root element of a metadata file doesn't match the type that its suffix indicates.",
    "Rename the file with the suffix of its type, or retrieve it again.",
)
def wrong_root(file: str, line: int | None, actual: str, expected: str) -> Wording:
    return say(
        f'{file} has the root element "{actual}", but its suffix requires "{expected}".',
        "Rename the file with the suffix of its type, or retrieve it again.",
        file=file,
        line=line,
    )


@problem(
    "config",
    "The project's sourceApiVersion is not an API version, or is lower than 59.0, the first version with external "
    "client apps.",
    "Set sourceApiVersion in sfdx-project.json to the API version of your org.",
)
def unfit_api_version(version: str, file: str) -> Wording:
    return say(
        f"sourceApiVersion in {file} is {version!r}, but external client apps need API version 59.0 or later.",
        f"Set sourceApiVersion in {file} to the API version of your org, such as 66.0.",
        file=file,
    )


# Salesforce ignores a file that it does not recognise, without a word: nothing would point to the mistake.
@problem(
    "config",
    "A file has almost the suffix of an external client app type. Salesforce tools require the exact suffix.",
    "Rename the file.",
)
def suffix_misspelt(file: str, correct: str) -> Wording:
    message = f'The suffix of {file} is misspelled. Did you mean "{correct}"?'
    return say(message, f"Rename {file} to {correct}.", file=file)


@problem(
    "config",
    "Two global OAuth settings files belong to the same app but contain different credentials, so it is unclear "
    "which ones to use.",
    "Remove all but one of them.",
)
def settings_duplicated(app: str, files: Sequence[str]) -> Wording:
    return say(
        f"{app} has several global OAuth settings files with different credentials: {listed(files)}.",
        "Remove all but one of them from the project.",
        file=files[0],
    )


@problem(
    "config",
    "--update-baseline writes to the baseline file of the project, but sfdx-project.json doesn't set one.",
    "Set plugins.ecapipe.baseline in sfdx-project.json.",
    exit_code=USAGE,
)
def baseline_not_configured(directory: str) -> Wording:
    return say(
        f"The project in {directory} has no baseline file configured.",
        'Add this to its sfdx-project.json: "plugins": {"ecapipe": {"baseline": "ecapipe-baseline.json"}}.',
    )


@problem(
    "config",
    "The baseline file, which lists accepted findings, is not in the format that --update-baseline writes.",
    "Restore the file, or delete it and create a new one with --update-baseline.",
)
def malformed_baseline(file: str, reason: str) -> Wording:
    return say(
        f"{file} is not a valid baseline: {reason}.",
        f"Restore {file}, or delete it and run ecapipe app check --update-baseline.",
        file=file,
    )


@problem(
    "config",
    "The project has no global OAuth settings file for the app. That file contains the consumer key and secret.",
    "Retrieve the type ExtlClntAppGlobalOauthSettings, which manifests often omit. If the file must not be in git, "
    "set the key and secret as environment variables, or use another tree with --credentials-dir.",
)
def settings_not_retrieved(
    app: str, org: str | None, variables: Sequence[str], source_org: str | None, retrieved: bool = False
) -> Wording:
    """`source_org`: the org that holds its key and secret, if another than its own does; `retrieved`: the run has
    just retrieved all files of the app."""
    if retrieved:
        return _settings_not_returned(app, variables, source_org)
    link = origin = ""
    if source_org:
        link = f"; or {app} is linked to org {source_org}, and uses its key and secret"
        origin = f" from org {source_org}"
    return say(
        f"{app} has no global OAuth settings file in the project: it was not retrieved or is kept out of git{link}.",
        # Whether that org is the one of the alias is what is not known.
        retrieval(f"Retrieve it{origin}", None if source_org else org),
        "To leave it out of this tree, retrieve it to another folder with --output-dir, then use --credentials-dir "
        "with that folder.",
        _without_the_file(variables),
    )


def _settings_not_returned(app: str, variables: Sequence[str], source_org: str | None) -> Wording:
    link, other_tree = "", list[str]()
    if source_org:
        link = f" The app may be linked to org {source_org}, and use its key and secret."
        other_tree = ["If the app is linked, specify a tree of its source org with --credentials-dir."]
    return say(
        f"{app} has no global OAuth settings file: the retrieve did not return one.{link}",
        "In Setup, External Client App Manager, check whether OAuth is enabled for the app.",
        "Check that .forceignore does not exclude the file, and that the Salesforce CLI's user may read it.",
        *other_tree,
        _without_the_file(variables),
    )


@problem(
    "config",
    "The app is linked: its key and secret belong to another org, its source org. This tree therefore has no global "
    "OAuth settings file for it.",
    "Retrieve the file from the source org.",
)
def settings_in_source_org(app: str, source_org: str, variables: Sequence[str], scoped_to: str | None) -> Wording:
    """`scoped_to`: the org that the app was made in, where that alone speaks for a link."""
    likely = evidence = ""
    if scoped_to:
        likely = "likely "
        evidence = f" (its oauthLink names that org, its orgScopedExternalApp names {scoped_to})"
    return say(
        f"{app} is {likely}linked: its key and secret belong to its source org {source_org}{evidence}, "
        "so it has no global OAuth settings file here.",
        f"Retrieve the file from org {source_org}: {retrieve_command()}",
        "Or specify the tree of that org with --credentials-dir.",
        _without_the_file(variables),
    )


# Not retrieved by mistake, but by design: the type cannot be packaged at all.
@problem(
    "config",
    "The app was installed from a package, and packages never contain global OAuth settings.",
    "Use the key and secret of the org in which the package was created.",
)
def settings_not_packaged(app: str, variables: Sequence[str]) -> Wording:
    return say(
        f"{app} is packaged, and packages never contain global OAuth settings.",
        f"Retrieve the file from the org that owns the package: {retrieve_command()}",
        "Or specify the tree of that org with --credentials-dir.",
        _without_the_file(variables),
    )


@problem(
    "config",
    "The app has no OAuth settings, so there is nothing to authorize. It may be a SAML-only app, for example.",
    "Use --name to select other apps, or enable OAuth for the app in the org and retrieve again.",
)
def no_oauth_settings(app: str) -> Wording:
    return say(
        f"{app} has no OAuth settings.",
        retrieval("If the app uses OAuth, retrieve them"),
        "In Setup, External Client App Manager, check whether OAuth is enabled for the app.",
    )


def _without_the_file(variables: Sequence[str]) -> str:
    """How a login does without the settings file."""
    return f"Or set {' and '.join(variables)}. That is enough for the client credentials and JWT flows."


@problem(
    "config",
    "--write-back could not add the consumer secret to the settings file, or the file is not a safe place for it.",
    "Remove the file from git's index, or run without --write-back.",
)
def not_written_back(file: str, reason: str, *actions: str) -> Wording:
    return say(
        f"The consumer secret was not written to {file}: {reason}.",
        *actions,
        "Or run without --write-back: a login uses the secret anyway, and app rotate delivers it with --deliver.",
        file=file,
    )


@problem(
    "policy",
    "None of the flows that the app's settings allow can be used in this environment.",
    "Use a flow that the app allows, or enable another flow in the app's settings and policies.",
)
def flow_not_possible(
    app: str, requested: str, allowed: Sequence[str], reason: str, by_settings: bool, advice: Sequence[str]
) -> Wording:
    """`by_settings`: its settings file says what is `allowed`; `advice`: how to use one of these."""
    choices, other = (
        "Its settings allow",
        "Enable another flow in the app's OAuth settings, deploy, and retrieve again.",
    )
    if not by_settings:
        choices = "Without its settings file, these flows can be tried"
        other = retrieval("For other flows, retrieve its settings file")
    return say(f"{app} cannot log in with flow {requested}: {reason}. {choices}: {listed(allowed)}.", *advice, other)


@problem(
    "config",
    "No callback URL of the app works with the selected --callback mode.",
    "Add a suitable callback URL to the app, or use the other --callback mode.",
)
def callback_not_usable(app: str, requested: str, callbacks: Sequence[str]) -> Wording:
    if not callbacks:
        return say(
            f"{app} has no callback URL.",
            "Add one to the app's OAuth settings, such as http://localhost:1717/OauthRedirect, deploy, and retrieve "
            "again.",
        )
    other = "paste" if requested == "listen" else "listen"
    return say(
        f"{app} has no callback URL for --callback {requested}. It has: {listed(callbacks)}.",
        f"Use --callback {other}.",
    )


# Salesforce gives a refresh token for the scope refresh_token alone: full does not include it.
@problem(
    "policy",
    "A saved login needs a refresh token, but the app doesn't allow the scope refresh_token. The login would end "
    "when its first access token expires.",
    "Add RefreshToken to commaSeparatedOauthScopes and deploy, or specify the scopes with --scopes.",
)
def refresh_scope_missing(app: str, allowed: Sequence[str]) -> Wording:
    return say(
        f"{app} doesn't allow the scope refresh_token, so a saved login would end with its first access token. "
        f"It allows: {listed(allowed)}.",
        "Add RefreshToken to commaSeparatedOauthScopes in its OAuth settings, and deploy.",
        f"Or save the access token alone: {option('scopes', ' '.join(allowed) or 'id')}",
    )
