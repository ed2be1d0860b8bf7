"""Everything that can go wrong, worded once, each with its remedies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, ParamSpec

Category = Literal["config", "credentials", "policy", "org", "network", "people"]
"""Where the remedy lies: the project or the command line, key and secret, the app's policies, the org,
the way there, or somebody at a browser."""

P = ParamSpec("P")

USAGE = 2
BUG = 3
WAITING = 69
INTERRUPTED = 130

_MISTAKES_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One failure and its way out. `exit_code` is what a command ends with if this alone stopped it."""

    name: str
    message: str
    actions: tuple[str, ...]
    category: Category
    exit_code: int = 1
    retryable: bool = False
    file: str | None = None
    line: int | None = None
    host: str | None = None
    http_status: int | None = None
    oauth_error: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `ecapipe explain` says of a problem, whatever its particulars."""

    name: str
    category: Category
    means: str
    remedy: str
    exit_code: int


class EcapipeError(Exception):
    """The one exception for foreseen failures: it carries a `Problem`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


CATALOGUE: dict[str, Explanation] = {}
BUILDERS: dict[str, Callable[..., Problem]] = {}


@dataclass(frozen=True, slots=True)
class _Said:
    message: str
    actions: tuple[str, ...]
    place: dict[str, str | int | None] = field(default_factory=dict)


def _say(message: str, *actions: str, file: str | None = None, line: int | None = None) -> _Said:
    return _Said(message, actions, {"file": file, "line": line})


def _problem(
    category: Category, means: str, remedy: str, *, exit_code: int = 1, retryable: bool = False
) -> Callable[[Callable[P, _Said]], Callable[P, Problem]]:
    """Register the problem under the PascalCase form of the function's name."""

    def register(words: Callable[P, _Said]) -> Callable[P, Problem]:
        name = "".join(part.capitalize() for part in words.__name__.split("_"))

        def build(*args: P.args, **kwargs: P.kwargs) -> Problem:
            said = words(*args, **kwargs)
            file, line = said.place["file"], said.place["line"]
            return Problem(
                name,
                said.message,
                said.actions,
                category,
                exit_code,
                retryable,
                file if isinstance(file, str) else None,
                line if isinstance(line, int) else None,
            )

        CATALOGUE[name] = Explanation(name, category, means, remedy, exit_code)
        BUILDERS[name] = build
        build.__wrapped__ = words  # type: ignore[attr-defined]  # lets a test read the parameters
        return build

    return register


def did_you_mean(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """The action for a mistyped `word`: the nearest known one, if any is near."""
    by_fold = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return tuple(f'Did you mean "{by_fold[name]}"?' for name in near)


def _several(words: Sequence[str]) -> str:
    return ", ".join(words) if words else "none"


def retrieve_command(org: str | None = None) -> str:
    """The `sf` command that brings the global OAuth settings of every external client app."""
    return f"sf project retrieve start --metadata ExtlClntAppGlobalOauthSettings --target-org {org or '<alias>'}"


# --- the command line ---------------------------------------------------------------------------------------


@_problem(
    "config",
    "The command line asks for something ecapipe does not know, or gives a value it cannot use.",
    "Read the message, then the command's help.",
    exit_code=USAGE,
)
def usage_error(message: str, command: str, *hints: str) -> _Said:
    return _say(message, *hints, f"See {command} --help.")


@_problem(
    "config",
    "A folder or file named with --source-dir, --metadata-dir, --credentials-dir or --file, or as sourceDir of an "
    "org, does not exist.",
    "Correct the path. It is relative to the current directory, sourceDir to the batch file or the project.",
    exit_code=USAGE,
)
def source_dir_not_found(path: str, flag: str = "--source-dir") -> _Said:
    return _say(f'The path "{path}", given with {flag}, does not exist.', "Name an existing folder or file.")


@_problem(
    "config",
    "An app named with --name is not among the external client apps of the project.",
    "Use the exact developer name, as ecapipe app list prints it.",
    exit_code=USAGE,
)
def unknown_app(name: str, known: Sequence[str]) -> _Said:
    return _say(
        f'There is no external client app "{name}". Known: {_several(known)}.',
        *did_you_mean(name, known),
        "Run ecapipe app list to see the apps of this project.",
    )


@_problem(
    "config",
    "--print-token prints one token, and the run has more than one target, or none.",
    "Choose one app with --name and one org with --target-org.",
    exit_code=USAGE,
)
def not_one_target(count: int) -> _Said:
    return _say(
        f"--print-token needs exactly one app in one org; this run has {count}.",
        "Choose the app with --name and the org with --target-org.",
    )


@_problem(
    "config",
    "--set-default makes one org the default of the Salesforce CLI, and the run has several.",
    "Choose one org with --target-org, or set the default afterwards: sf config set target-org ALIAS.",
    exit_code=USAGE,
)
def not_one_default(count: int) -> _Said:
    return _say(
        f"--set-default needs exactly one org; this run has {count}.",
        "Choose the org with --target-org.",
        "Or leave the flag out, and choose afterwards: sf config set target-org ALIAS",
    )


@_problem(
    "config",
    "--retrieve fetches the apps of one org, and the run has several, or none.",
    "Choose one org with --target-org.",
    exit_code=USAGE,
)
def not_one_source(count: int) -> _Said:
    return _say(
        f"--retrieve fetches the apps of exactly one org; this run has {count}.", "Choose the org with --target-org."
    )


@_problem(
    "config",
    "A run that logs in needs at least one org, and none was named or configured.",
    "Name one with --target-org, or configure orgs in sfdx-project.json under plugins.ecapipe.orgs.",
    exit_code=USAGE,
)
def no_org_chosen(choices: Sequence[str]) -> _Said:
    known = f" Configured orgs: {_several(choices)}." if choices else ""
    return _say(
        f"No org was chosen.{known}",
        "Use -o or --target-org with an alias, or with the org's My Domain URL such as "
        "https://MyDomain.my.salesforce.com.",
        "Or list orgs in a file for --file, or in sfdx-project.json under plugins.ecapipe.orgs.",
        "Use --emulator to try the pipeline without an org.",
    )


@_problem(
    "config",
    "A name given with --target-org, in a batch file or as the default is no org that the project or the Salesforce "
    "CLI knows.",
    "Correct the alias, or give it a URL: --target-org ALIAS=URL.",
    exit_code=USAGE,
)
def named_org_not_found_error(alias: str, known: Sequence[str], reason: str | None = None) -> _Said:
    unasked = f" The Salesforce CLI could not be asked: {reason}" if reason else ""
    return _say(
        f'No org is known under the name "{alias}".{unasked}',
        *did_you_mean(alias, known),
        f"Name its My Domain URL as well: --target-org {alias.strip() or 'ALIAS'}=https://MyDomain.my.salesforce.com.",
        "Or add it to sfdx-project.json under plugins.ecapipe.orgs.",
    )


@_problem(
    "config",
    "Two orgs would be called the same, so that output, journal and variables could not tell them apart.",
    "Give each its own alias.",
    exit_code=USAGE,
)
def org_name_ambiguous(name: str, first: str, second: str) -> _Said:
    return _say(
        f'Two orgs would be called "{name}": {first} and {second}.',
        f"Give one of them an alias: --target-org ALIAS={second}.",
    )


@_problem(
    "config",
    "No chosen app is meant for any of the chosen orgs, so there is nothing to log in to.",
    "Choose other apps or orgs, or correct the apps that the batch file or plugins.ecapipe.orgs names for the orgs.",
    exit_code=USAGE,
)
def nothing_paired(apps: Sequence[str], orgs: Sequence[str]) -> _Said:
    chosen = f"of the chosen apps ({_several(apps)})" if apps else "app"
    return _say(
        f"No {chosen} is meant for any of the chosen orgs: {_several(orgs)}.",
        "Name one of the apps that are meant for these orgs with --name, or correct the apps of the orgs.",
    )


@_problem(
    "policy",
    "One user would approve one app in one org more often than Salesforce keeps approvals with a refresh token: each "
    "further one revokes the oldest.",
    "Log in to each org once, or ask for no refresh_token.",
)
def too_many_approvals(app: str, org: str, most: int) -> _Said:
    return _say(
        f"{app} would be approved in {org} more than {most} times by the same user in this run, and Salesforce would "
        "revoke the first refresh token again.",
        "Name each org once, or say with username which user is meant where.",
        "Or leave refresh_token out of the scopes.",
    )


@_problem(
    "config",
    "A batch file, given with --file, has mistakes. All that were found are named, each with its row and column.",
    "Correct them and run again: nothing was sent.",
    exit_code=USAGE,
)
def malformed_batch_file(file: str, line: int | None, mistakes: Sequence[str]) -> _Said:
    shown = mistakes[:_MISTAKES_SHOWN]
    rest = f"; and {len(mistakes) - len(shown)} more" if len(mistakes) > len(shown) else ""
    places = "; ".join(mistake.partition(": ")[0] for mistake in shown)
    one = len(mistakes) == 1
    return _say(
        f"The batch file has a mistake: {shown[0]}"
        if one
        else f"The batch file has {len(mistakes)} mistakes: {places}{rest}.",
        *(() if one else shown),
        "Correct the file and run again: nothing was sent.",
        file=file,
        line=line,
    )


@_problem(
    "config",
    "The org's address does not belong to Salesforce, or is not https, or only files of the project give it although "
    "it is no My Domain. Key and secret would be sent there.",
    "Use the org's My Domain URL. A site, this machine, or a host of your own has to be named by you: as "
    "--target-org ALIAS=URL, with --allow-host, or in ECAPIPE_ALLOWED_HOSTS.",
    exit_code=USAGE,
)
def refused_host(url: str, reason: str, foreign: bool = False, by_tree: bool = False) -> _Said:
    """`foreign`: the host is the reason, so that allowing it would help; `by_tree`: who gave it is."""
    given = "If you know the host, name it yourself: with --allow-host HOST, or in ECAPIPE_ALLOWED_HOSTS."
    return _say(
        f'The org address "{url}" is refused: {reason}.',
        *([given, "Or give the address yourself: --target-org ALIAS=URL."] if by_tree else ()),
        "Use the org's My Domain URL, such as https://MyDomain.my.salesforce.com.",
        *(["If the host is yours, name it with --allow-host HOST."] if foreign else ()),
    )


@_problem(
    "config",
    "A Lightning or Setup address serves pages, not OAuth.",
    "Use the My Domain login URL that the message names.",
    exit_code=USAGE,
)
def lightning_domain(host: str, instead: str) -> _Said:
    return _say(f'"{host}" is a Lightning host, which does not serve OAuth.', f"Use https://{instead} instead.")


@_problem(
    "config",
    "Two apps or orgs would read the same environment variable, so ecapipe cannot tell whose value it is.",
    "Rename one of them, or name the variable with secretEnv in plugins.ecapipe.orgs.",
    exit_code=USAGE,
)
def ambiguous_variable(variable: str, first: str, second: str) -> _Said:
    return _say(
        f'The environment variable {variable} would serve both "{first}" and "{second}".',
        f"Unset {variable} and supply each secret in another way, or select one app with --name.",
        "Or let an org name a variable of its own, as secretEnv in the batch file or in plugins.ecapipe.orgs.",
    )


@_problem(
    "config",
    "A credential is to come from an environment variable that programs need, such as PATH, HOME, HTTPS_PROXY or one "
    "that starts with GIT_, SF_ or XDG_. Nothing is read from it, and every program still gets it.",
    "Put the credential into a variable of its own, and name that.",
    exit_code=USAGE,
)
def variable_reserved(places: Sequence[str], file: str, line: int | None = None) -> _Said:
    """`places` say where which variable is named, without a full stop."""
    return _say(
        f"{'; '.join(places)}: programs need such a variable, so no credential is read from it.",
        "Put the credential into a variable of its own, and name that one instead.",
        file=file,
        line=line,
    )


# --- the project --------------------------------------------------------------------------------------------


@_problem(
    "config",
    "No sfdx-project.json was found in the current directory or above it.",
    "Run from within a Salesforce project, or name a folder with --source-dir.",
)
def requires_project_error(directory: str) -> _Said:
    return _say(
        f"This command is required to run from within a Salesforce project directory; {directory} is in none.",
        "Change to a folder that holds sfdx-project.json, or name one with --source-dir.",
    )


@_problem(
    "config",
    "The folder is in no project, but projects lie below it, and ecapipe does not guess which one is meant.",
    "Name one of them with --source-dir.",
)
def project_not_chosen(directory: str, below: Sequence[str]) -> _Said:
    return _say(
        f"{directory} is in no Salesforce project, but there are projects below it: {_several(below)}.",
        *(f"Use --source-dir {path}." for path in below[:3]),
        "Or change to the folder of the project that is meant.",
    )


@_problem(
    "config",
    "sfdx-project.json is not valid JSON.",
    "Mend the file at the line and column that the message names.",
)
def json_parse_error(file: str, line: int, column: int, reason: str) -> _Said:
    return _say(
        f"{file} is not valid JSON: {reason} (line {line}, column {column}).",
        f"Mend {file} at line {line}.",
        file=file,
        line=line,
    )


@_problem(
    "config",
    "sfdx-project.json can be parsed, but a member has the wrong type.",
    "Give the member the shape the message names.",
)
def schema_validation_error(file: str, reason: str) -> _Said:
    return _say(f"{file} is not valid: {reason}.", f"Correct {file}.", file=file)


@_problem(
    "config",
    "sfdx-project.json names no package directory, so there is nowhere to look.",
    'Add packageDirectories, for example [{"path": "force-app", "default": true}].',
)
def no_package_directories(file: str) -> _Said:
    return _say(
        "The sfdx-project.json does not have any packageDirectories defined.",
        'Add one: "packageDirectories": [{"path": "force-app", "default": true}].',
        file=file,
    )


@_problem(
    "config",
    "A package directory of sfdx-project.json does not exist.",
    "Create the folder, or remove it from packageDirectories.",
)
def missing_package_directory_error(path: str, file: str) -> _Said:
    return _say(
        f'The package directory "{path}", specified in sfdx-project.json, does not exist.',
        f"Create {path}, or remove it from packageDirectories.",
        file=file,
    )


@_problem(
    "config",
    "A package directory of sfdx-project.json is absolute or leads out of the project.",
    "Write it relative to the project root.",
)
def invalid_package_directory_error(path: str, file: str) -> _Said:
    return _say(
        f'The package directory "{path}" in sfdx-project.json must be a path relative to the project root.',
        "Write it relative to the folder of sfdx-project.json.",
        file=file,
    )


@_problem(
    "config",
    "Of several package directories none is the default.",
    'Give exactly one of them "default": true.',
)
def missing_default_path_error(file: str) -> _Said:
    return _say(
        "No package directory in sfdx-project.json is the default.",
        'Add "default": true to one entry of packageDirectories.',
        file=file,
    )


@_problem(
    "config",
    "More than one package directory is the default.",
    'Leave "default": true on exactly one of them.',
)
def multiple_default_paths_error(file: str) -> _Said:
    return _say(
        "More than one package directory in sfdx-project.json is the default.",
        'Remove "default": true from all entries of packageDirectories but one.',
        file=file,
    )


@_problem(
    "config",
    "The only package directory says that it is not the default, and one has to be.",
    'Remove "default": false from it.',
)
def single_non_default_package_error(file: str) -> _Said:
    return _say(
        "The only package directory in sfdx-project.json must be the default.",
        'Remove "default": false from it.',
        file=file,
    )


@_problem(
    "config",
    "A link leads out of the repository. It is not followed: what lies there belongs to somebody else, until you "
    "name it.",
    "Name the target with --source-dir: it is a tree of its own. Or put a copy in the place of the link.",
)
def link_out_of_repository(file: str, target: str) -> _Said:
    return _say(
        f"{file} is a link that leads out of the repository, so it was not followed.",
        f"Name its target with --source-dir: {target}",
        file=file,
    )


@_problem(
    "config",
    "A file or folder of the project could not be read.",
    "Give the user that runs ecapipe the right to read it.",
)
def unreadable_file(file: str, reason: str) -> _Said:
    return _say(f"{file} could not be read: {reason}.", f"Check the permissions of {file}.", file=file)


@_problem(
    "config",
    "A file that was to be changed could not be written. It is as it was: files are replaced whole or not at all.",
    "Do what the message says is in the way, then run again; what is done already is not done twice.",
)
def unwritable_file(file: str, reason: str) -> _Said:
    return _say(
        f"{file} was not written: {reason}.",
        f"Make sure that you may write {file} and that nothing else does, then run again.",
        file=file,
    )


@_problem(
    "config",
    "The folder in which ecapipe keeps its records of runs and its logins cannot be used: it cannot be made, belongs "
    "to somebody else, or others may write to it.",
    "Name a folder that is yours alone in ECAPIPE_STATE_DIR. A run can do without one: use --no-journal.",
)
def state_directory_unusable(directory: str, reason: str) -> _Said:
    return _say(
        f"The state directory {directory} cannot be used: {reason}.",
        "Name a folder that is yours alone in ECAPIPE_STATE_DIR.",
        "Or use ecapipe run --no-journal, which keeps no record of the run.",
    )


@_problem(
    "config",
    "No record of the run that --resume or runs show names is there, or none of this project. Only the last runs are "
    "kept.",
    "List the runs with ecapipe runs list. A JSON result of a run serves --resume just as well: give its path.",
    exit_code=USAGE,
)
def run_not_found(run: str | None, known: Sequence[str]) -> _Said:
    message = f"There is no record of a run {run}." if run else "There is no record of a run of this project."
    return _say(
        message, *did_you_mean(run or "", known), "List the runs with ecapipe runs list.", "Run without --resume."
    )


@_problem(
    "config",
    "Several runs start with what was given.",
    "Give more of the name of the run.",
    exit_code=USAGE,
)
def run_ambiguous(run: str, candidates: Sequence[str]) -> _Said:
    return _say(f"Several runs start with {run}: {_several(candidates)}.", "Give more of the name.")


@_problem(
    "config",
    "--resume alone repeats the command line of the run. Its paths count from the folder it was given in, and it "
    "is not recorded if something in it looks like a secret.",
    "Go to that folder, or give the options of the run beside --resume.",
    exit_code=USAGE,
)
def options_not_repeatable(run: str, folder: str | None) -> _Said:
    elsewhere = (f"cd {folder} && ecapipe run --resume {run}",) if folder else ()
    reason = f"it was started in {folder}" if folder else "they look as if they held a secret, and were not recorded"
    return _say(
        f"The options of run {run} cannot be repeated here: {reason}.",
        *elsewhere,
        f"Give the options that matter beside --resume {run}: the orgs above all.",
    )


@_problem(
    "config",
    "Another ecapipe is at work on the run that is to be resumed: two of them would do the same logins twice.",
    "Wait until it has ended, or end it; then run again.",
)
def run_going_on(run: str) -> _Said:
    return _say(
        f"Run {run} is still going on, or is being resumed.",
        "Wait until it has ended, or end it; then run again.",
        "Or start a run of its own, without --resume.",
    )


@_problem(
    "config",
    "The file is not what ecapipe run prints with --json, or has been changed since.",
    "Give the JSON that ecapipe run --json printed, or that --report json=FILE wrote, as it is.",
    exit_code=USAGE,
)
def malformed_result(file: str, reason: str) -> _Said:
    return _say(
        f"{file} is no result of ecapipe run: {reason}.",
        "Give the JSON that ecapipe run --json printed, or that --report json=FILE wrote, as it is.",
        file=file,
    )


@_problem(
    "config",
    "A record of a run is damaged in its middle, which an end of the process at any time does not explain.",
    "Start a run of its own, or resume from a JSON result of that run.",
)
def damaged_record(file: str, line: int, reason: str) -> _Said:
    return _say(
        f"{file} is damaged: {reason}.",
        "Start a run without --resume, or resume from a JSON result of that run.",
        file=file,
        line=line,
    )


@_problem(
    "config",
    "The record or result of a run was written by a later version of ecapipe.",
    "Use the ecapipe that wrote it, or a later one.",
    exit_code=USAGE,
)
def newer_format(file: str, version: int) -> _Said:
    return _say(
        f"{file} was written by a later ecapipe (format {version}), which this one cannot read.",
        "Use the ecapipe that wrote it, or a later one.",
        file=file,
    )


@_problem(
    "config",
    "The results that were put together are not all parts of their run: of the others' targets nothing is known.",
    "Wait for the jobs that are missing, or run them again; then put all results together.",
)
def shards_missing(shards: Sequence[str]) -> _Said:
    return _say(
        f"The result of shard {_several(shards)} is missing.",
        "Run ecapipe report merge again with the results of all shards.",
        f"Run the missing one with ecapipe run --shard {shards[0] if shards else 'K/N'} and the other options.",
    )


@_problem(
    "people",
    "The changes were shown and not agreed to, so nothing was written.",
    "Run again and answer y, or use --no-prompt to write without being asked.",
)
def not_confirmed() -> _Said:
    return _say(
        "Nothing was written: the changes were not confirmed.",
        "Run again and answer y, or use --no-prompt to write without being asked.",
    )


@_problem(
    "config",
    "The searched folders hold no external client app.",
    "Retrieve the apps, or look in another folder.",
)
def no_apps_found(searched: Sequence[str]) -> _Said:
    return _say(
        f"No external client apps were found in {_several(searched)}.",
        "Retrieve them: sf project retrieve start --metadata ExternalClientApplication "
        "--metadata ExtlClntAppGlobalOauthSettings --metadata ExtlClntAppOauthSettings --target-org <alias>",
        "Or name the folder that holds them with --source-dir.",
    )


@_problem(
    "config",
    "A metadata file is not the XML that Salesforce writes, or holds what ecapipe refuses (DOCTYPE, entities, "
    "more than 1 MiB, nesting deeper than 64).",
    "Retrieve the file again, or mend it at the line the message names.",
)
def malformed_xml(file: str, line: int | None, reason: str) -> _Said:
    return _say(
        f"{file} could not be read as metadata: {reason}.",
        "Mend the file, or retrieve it again with sf project retrieve start.",
        file=file,
        line=line,
    )


@_problem(
    "config",
    "A metadata file's root element is not the type that its suffix promises.",
    "Rename the file to the suffix of its type, or retrieve it again.",
)
def wrong_root(file: str, line: int | None, found: str, expected: str) -> _Said:
    return _say(
        f'{file} has the root element "{found}"; its suffix promises "{expected}".',
        "Give the file the suffix of its type, or retrieve it again.",
        file=file,
        line=line,
    )


@_problem(
    "config",
    "A file's suffix is nearly that of an external client app type. Salesforce's tools go by the exact suffix.",
    "Rename the file.",
)
def suffix_misspelt(file: str, meant: str) -> _Said:
    return _say(f'{file} has a misspelt suffix. Did you mean "{meant}"?', f"Rename {file} to {meant}.", file=file)


@_problem(
    "config",
    "Two global OAuth settings files name the same app and hold different credentials, so it is unclear which count.",
    "Keep one of them.",
)
def settings_duplicated(app: str, files: Sequence[str]) -> _Said:
    return _say(
        f"{app} has several global OAuth settings files with different credentials: {_several(files)}.",
        "Keep one of them in the project.",
        file=files[0],
    )


OTHER_GIT = "A git inside this repository or project is passed over: name one with ECAPIPE_GIT=/absolute/path/to/git."


@_problem(
    "config",
    "git could not be asked: there is no repository or no git program, or git refuses to read the repository.",
    "Read the reason in the message. A repository that belongs to somebody else has to be named in git's "
    "safe.directory.",
)
def git_unavailable(directory: str, reason: str) -> _Said:
    return _say(
        f"git cannot tell about {directory}: {reason}.",
        "Install git, or run in a clone that belongs to you.",
        OTHER_GIT,
        f'If you trust a repository of somebody else: git config --global --add safe.directory "{directory}"',
    )


@_problem(
    "config",
    "The revision given with --since is not in the repository.",
    "Correct it, or fetch it: CI systems often clone only the newest commit.",
    exit_code=USAGE,
)
def unknown_revision(revision: str) -> _Said:
    return _say(
        f'There is no revision "{revision}" in the repository.',
        "Name a branch, a tag or a commit.",
        "If the clone is shallow, fetch more: git fetch --unshallow.",
    )


@_problem(
    "config",
    "--update-baseline needs a file to write, and the project names none.",
    "Name one in sfdx-project.json, under plugins.ecapipe.baseline.",
    exit_code=USAGE,
)
def baseline_not_configured(directory: str) -> _Said:
    return _say(
        f"The project in {directory} names no baseline.",
        'Add to its sfdx-project.json: "plugins": {"ecapipe": {"baseline": "ecapipe-baseline.json"}}.',
    )


@_problem(
    "config",
    "The baseline, the file of accepted findings, is not what --update-baseline writes.",
    "Restore it, or delete it and write it anew with --update-baseline.",
)
def malformed_baseline(file: str, reason: str) -> _Said:
    return _say(
        f"{file} is no baseline: {reason}.",
        f"Restore {file}, or delete it and run ecapipe app check --update-baseline.",
        file=file,
    )


# --- locate -------------------------------------------------------------------------------------------------


@_problem(
    "config",
    "The app's global OAuth settings file is not in the project. It holds the consumer key and secret.",
    "Retrieve the type ExtlClntAppGlobalOauthSettings, which manifests often leave out. Where git is to have no such "
    "file, take key and secret from the environment, or from another tree with --credentials-dir.",
)
def settings_not_retrieved(app: str, org: str | None, variables: Sequence[str], source_org: str | None) -> _Said:
    linked = f"; or {app} is linked to org {source_org}, whose key and secret it uses" if source_org else ""
    return _say(
        f"{app} has no global OAuth settings file in the project: it was not retrieved, or is kept out of git"
        f"{linked}.",
        f"Retrieve it{f' from org {source_org}' if source_org else ''}: {retrieve_command(org)}",
        "If it is to stay out of this tree, retrieve it into another with --output-dir, and name that one with "
        "--credentials-dir.",
        _without_the_file(variables),
    )


@_problem(
    "config",
    "The app is linked: another org, its source org, holds its key and secret, so this tree has no global OAuth "
    "settings file for it.",
    "Retrieve the file from the source org.",
)
def settings_in_source_org(app: str, source_org: str, variables: Sequence[str], scoped_to: str | None) -> _Said:
    """`scoped_to`: the org that the app was made in, where that alone speaks for a link."""
    seen = f" (its oauthLink names that org, its orgScopedExternalApp {scoped_to})" if scoped_to else ""
    return _say(
        f"{app} is {'likely ' if scoped_to else ''}linked: its key and secret belong to its source org {source_org}"
        f"{seen}, so it has no global OAuth settings file here.",
        f"Retrieve the file from org {source_org}: {retrieve_command()}",
        "Or name the tree of that org with --credentials-dir.",
        _without_the_file(variables),
    )


@_problem(
    "config",
    "The app was installed from a package, and packages never contain global OAuth settings.",
    "Take key and secret from the org in which the package was made.",
)
def settings_not_packaged(app: str) -> _Said:
    return _say(
        f"{app} is packaged: packages never contain global OAuth settings.",
        f"Retrieve the file from the org that owns the package: {retrieve_command()}",
    )


@_problem(
    "config",
    "The app has no OAuth settings at all (a SAML-only app, for example), so there is nothing to authorize.",
    "Leave it out with --name, or enable OAuth for it in the org and retrieve again.",
)
def no_oauth_settings(app: str) -> _Said:
    return _say(f"{app} has no OAuth settings.", f"Retrieve them if the app uses OAuth: {retrieve_command()}")


def _without_the_file(variables: Sequence[str]) -> str:
    """How a login does without the settings file."""
    return f"Or set {' and '.join(variables)}: enough for the flows without a callback, client credentials and JWT."


# --- check --------------------------------------------------------------------------------------------------


@_problem(
    "credentials",
    "No consumer key was found for the app. Salesforce makes the key at the first deploy, and it is in the file "
    "only after the next retrieve.",
    "Deploy the app, then retrieve it.",
)
def consumer_key_missing(app: str, variable: str, causes: Sequence[str], file: str | None, line: int | None) -> _Said:
    return _say(
        f"{app} has no consumer key. {' '.join(causes)}".rstrip(),
        f"Deploy the app, then retrieve: {retrieve_command()}",
        f"Or set {variable}.",
        file=file,
        line=line,
    )


@_problem(
    "credentials",
    "No consumer secret was found for the app, and the flow needs one. In most orgs a retrieve leaves it out.",
    "Supply the secret from the environment or at the prompt, or open the org's switch and retrieve again.",
)
def consumer_secret_missing(
    app: str,
    variable: str,
    causes: Sequence[str],
    allowed: Sequence[str],
    without: Sequence[str],
    file: str | None,
    line: int | None,
) -> _Said:
    flows = f"Its settings allow: {_several(allowed)}; without a secret: {_several(without)}."
    return _say(
        " ".join((f"{app} has no consumer secret.", *causes, flows)),
        f"Set {variable} to the consumer secret, from your CI system's secret store.",
        "Or run in a terminal without --json or --no-prompt and type it at the prompt.",
        f"Or keep it in the keyring: ecapipe app set-secret {app}",
        *(["Or log in without it, with a private key: --jwt-key-file PATH"] if "jwt" in without else []),
        f"Or allow it in the org, then retrieve: {retrieve_command()}",
        file=file,
        line=line,
    )


@_problem(
    "credentials",
    "The secret should come from the org's REST API, and the Salesforce CLI has no login to the org that has the "
    "app's consumer.",
    "Log in to that org with the Salesforce CLI.",
)
def rest_login_missing(app: str, where: str, url: str | None) -> _Said:
    return _say(
        f"The Salesforce CLI has no login to {where}, which could tell the consumer secret of {app}.",
        f"Log in to it: sf org login web --instance-url {url or 'https://MyDomain.my.salesforce.com'}",
        "Or supply the secret in another way, without --secret-from rest.",
    )


@_problem(
    "policy",
    "The org does not tell consumer secrets by REST: a switch in Setup is off.",
    "Turn the switch on in Setup, External Client App Settings, or supply the secret in another way.",
)
def rest_switch_off(host: str, switch: str) -> _Said:
    return _say(
        f"{host} does not tell consumer secrets by REST: the feature is switched off.",
        f'In Setup, External Client App Settings, turn on "{switch}".',
        "Or supply the secret in another way, without --secret-from rest.",
    )


@_problem(
    "policy",
    "The user of the Salesforce CLI's login may not see consumer secrets.",
    "Give the user the permissions that the message names, or log in as somebody who has them.",
)
def rest_permission_missing(host: str, permissions: Sequence[str]) -> _Said:
    return _say(
        f"{host} does not tell this user consumer secrets by REST.",
        f"Give the user of the Salesforce CLI's login the permissions: {_several(permissions)}.",
        "Or log in with the Salesforce CLI as a user who has them.",
    )


@_problem(
    "credentials",
    "The org no longer takes the access token that the Salesforce CLI keeps.",
    "Log in to the org again with the Salesforce CLI.",
)
def rest_session_refused(host: str) -> _Said:
    return _say(
        f"{host} refuses the Salesforce CLI's access token.",
        f"Log in again: sf org login web --instance-url https://{host}",
    )


@_problem(
    "org",
    "The org's REST API lists apps only once they have been used, and this one is not listed.",
    "Supply the secret in another way this time; after a login with the app it is listed.",
    retryable=True,
)
def rest_app_not_listed(app: str, host: str) -> _Said:
    return _say(
        f"{host} does not list {app} among the apps that have been used, and tells secrets of no other.",
        "Use the app once: supply the secret from the environment or at the prompt this time.",
        "Or copy the secret from Setup, External Client App Manager, OAuth settings of the app.",
    )


@_problem(
    "credentials",
    "The app has consumers in the org, but none with the key at hand: it was rotated, or belongs to another org.",
    "Retrieve the settings again.",
)
def rest_consumer_unknown(app: str, host: str, key: str, keys: Sequence[str]) -> _Said:
    return _say(
        f"None of the consumers of {app} in {host} has the key {key}; theirs: {_several(keys)}.",
        f"Retrieve the settings again: {retrieve_command()}",
    )


@_problem(
    "credentials",
    "No consumer key is known, and the app has several consumers in the org, or none.",
    "Say which one is meant, by its key.",
)
def rest_consumers_several(app: str, host: str, keys: Sequence[str]) -> _Said:
    return _say(
        f"{app} has {len(keys)} consumers in {host}, and no consumer key says which is meant: {_several(keys)}.",
        f"Retrieve the settings again: {retrieve_command()}",
        "Or set the consumer key in the environment.",
    )


@_problem(
    "credentials",
    "The consumer key at hand belongs to a pair that is staged in the org and not in force yet.",
    "Rotate the staged pair in, or use the key that is in force.",
)
def rest_pair_staged(app: str, host: str, key: str) -> _Said:
    return _say(
        f"The key {key} of {app} belongs to a staged pair in {host}, which is not in force yet.",
        "Rotate it in (Setup, External Client App Manager, OAuth settings of the app), then run again.",
        f"Or go back to the key in force: {retrieve_command()}",
    )


@_problem(
    "policy",
    "The org tells the consumer, but leaves its secret out.",
    "Give the user the permissions that the message names.",
)
def rest_secret_withheld(app: str, host: str, permissions: Sequence[str]) -> _Said:
    return _say(
        f"{host} tells the consumer of {app} without its secret.",
        f"Give the user of the Salesforce CLI's login the permissions: {_several(permissions)}.",
        "Or copy the secret from Setup, External Client App Manager, OAuth settings of the app.",
    )


@_problem(
    "org",
    "The org's REST API refuses to tell consumers, for a reason that ecapipe has no better words for.",
    "Supply the secret in another way.",
)
def rest_refused(host: str, reason: str) -> _Said:
    return _say(
        f"{host} does not tell consumer secrets by REST: {reason}.",
        "Supply the secret in another way, without --secret-from rest.",
    )


@_problem(
    "config",
    "--write-back would put the consumer secret into a file where it must not be, or cannot be put.",
    "Untrack the file, or run without --write-back.",
)
def not_written_back(file: str, reason: str, *actions: str) -> _Said:
    return _say(
        f"The consumer secret is not written into {file}: {reason}.",
        *actions,
        "Or run without --write-back: the secret is used all the same.",
        file=file,
    )


# --- authorize ----------------------------------------------------------------------------------------------


@_problem(
    "policy",
    "None of the flows that the app's settings allow can be used here.",
    "Use a flow the app allows, or enable another in the app's settings and policies.",
)
def flow_not_possible(app: str, wanted: str, allowed: Sequence[str], why: str, told: bool) -> _Said:
    """`told`: its settings file says what is `allowed`."""
    left = "Its settings allow" if told else "Without the file these can be tried"
    return _say(
        f"{app} cannot log in with flow {wanted}: {why}. {left}: {_several(allowed)}.",
        *(f"Use --flow {flow}." for flow in allowed if flow not in (wanted, "jwt")),
        *(["Use --jwt-key-file PATH, with the private key of the app's certificate."] if "jwt" in allowed else []),
        "Enable another flow in the app's OAuth settings, deploy, and retrieve again.",
    )


@_problem(
    "config",
    "The private key that should sign the assertions of the JWT flow cannot be used.",
    "Give --jwt-key-file the RSA private key, in PEM, whose certificate the app has.",
)
def jwt_key_not_usable(file: str, reason: str) -> _Said:
    return _say(
        f"{file} is no usable private key: {reason}.",
        "Name the RSA private key (at least 2048 bits, PEM) that belongs to the app's certificate.",
        "Or make a new pair, and put server.crt into the app as its certificate: openssl req -x509 -newkey rsa:2048 "
        "-nodes -days 365 -subj /CN=ecapipe -keyout server.key -out server.crt",
        file=file,
    )


@_problem(
    "config",
    "--jwt-key-file or ECAPIPE_JWT_KEY_FILE names no file that is there: it holds a wrong path, or the private key "
    "itself.",
    "Give the path of a file with the key, which only you can read.",
    exit_code=USAGE,
)
def jwt_key_not_path() -> _Said:
    return _say(
        "--jwt-key-file or ECAPIPE_JWT_KEY_FILE does not hold the path of a file that is there.",
        "Correct the path. It is not repeated here, for it may be the key itself.",
        "If it is: write the key to a file that only you can read, and give the path of that file.",
    )


@_problem(
    "credentials",
    "The private key is encrypted, and there is no passphrase for it.",
    "Supply the passphrase from the environment, or at the prompt.",
)
def jwt_key_encrypted(file: str, variable: str) -> _Said:
    return _say(
        f"The private key in {file} is encrypted, and there is no passphrase.",
        f"Set {variable} to the passphrase, or {variable}_FILE to the path of a file that holds it.",
        "Or run in a terminal without --json or --no-prompt and type it at the prompt.",
        file=file,
    )


@_problem(
    "credentials",
    "The passphrase does not open the private key.",
    "Supply the right passphrase.",
)
def jwt_key_passphrase_wrong(file: str, variable: str) -> _Said:
    return _say(
        f"The passphrase does not open the private key in {file}, or the file is damaged.",
        f"Correct {variable}, or type the passphrase again at the prompt.",
        f"To see whether it is right: openssl pkey -in {file} -noout",
        file=file,
    )


@_problem(
    "config",
    "The JWT flow logs in as one user, and nobody said which.",
    "Name the user with --username, or as username of the org in plugins.ecapipe.orgs.",
)
def jwt_username_missing(app: str, org: str) -> _Said:
    return _say(
        f"The JWT flow of {app} needs to know as whom to log in to {org}.",
        "Add --username NAME, with the full username of a user who is approved for the app.",
        f"Or give {org} a username in plugins.ecapipe.orgs of sfdx-project.json, or in the batch file.",
    )


@_problem(
    "config",
    "The way the answer should come back does not fit any callback URL of the app.",
    "Add a fitting callback URL to the app, or use the other --callback.",
)
def callback_not_usable(app: str, wanted: str, callbacks: Sequence[str]) -> _Said:
    other = "paste" if wanted == "listen" else "listen"
    return _say(
        f"{app} has no callback URL for --callback {wanted}. It has: {_several(callbacks)}.",
        f"Use --callback {other}."
        if callbacks
        else "Add a callback URL to the app's OAuth settings, such as http://localhost:1717/OauthRedirect, "
        "deploy, and retrieve again.",
    )


@_problem(
    "config",
    "Another program listens on the port of the app's callback URL, so the answer could not be received.",
    "Stop that program, or use --callback paste.",
)
def port_in_use_error(host: str, port: int) -> _Said:
    return _say(
        f"Cannot listen for the login's answer on {host}, port {port}: {port} is in use.",
        f"Stop the program that uses port {port} (another ecapipe or sf org login web, perhaps), then run again.",
        "Or use --callback paste.",
    )


@_problem(
    "config",
    "The system does not let ecapipe listen on the callback URL's address.",
    "Use another callback URL with a port above 1023, or --callback paste.",
)
def cannot_listen(url: str, reason: str) -> _Said:
    return _say(f"Cannot listen on {url}: {reason}.", "Use --callback paste, or a callback URL with another port.")


@_problem(
    "config",
    "The page for signing in to several orgs could not be served on the port that --board-port names.",
    "Choose another port, or leave the flag out, which takes a free one.",
)
def board_cannot_listen(port: int, reason: str) -> _Said:
    return _say(
        f"Cannot serve the page for signing in on port {port}: {reason}.",
        "Choose another port with --board-port, or leave it out.",
        "Or use --no-board.",
    )


@_problem(
    "config",
    "The emulator could not listen on the port of one of its orgs: another program uses it, or it is not allowed.",
    "Choose another port with --port; 0 takes free ones.",
)
def emulator_cannot_listen(first: int, last: int, reason: str) -> _Said:
    ports = f"port {first}" if first == last else f"ports {first} to {last}"
    return _say(f"The emulator cannot listen on {ports}: {reason}.", "Choose another with --port; 0 takes free ones.")


@_problem(
    "people",
    "Nobody finished the login in the browser in time. Salesforce shows some refusals only as a page of its own, "
    "without an answer to ecapipe, so look at the browser.",
    "Run again; give people longer with --wait.",
    exit_code=WAITING,
    retryable=True,
)
def auth_timeout_error(app: str, minutes: float) -> _Said:
    return _say(
        f"No answer came for {app} within {minutes:g} minutes.",
        "Look at the browser: a page that says OAUTH_EC_APP_NOT_FOUND, invalid_client_id or redirect_uri_mismatch "
        "sends no answer (wrong org, wrong key, or another callback URL; a change takes up to 15 minutes).",
        "Run again, with a longer --wait if people need more time.",
    )


@_problem(
    "people",
    "Somebody ended the sign-in page while logins were still waiting.",
    "Run again when everybody can sign in.",
    exit_code=WAITING,
)
def sign_in_ended() -> _Said:
    return _say(
        "The sign-in page was told to end before anybody signed in here.",
        "Run again; --resume goes on with what is left.",
    )


@_problem(
    "people",
    "The login needs somebody who pastes the redirected URL, and there is no terminal to ask on.",
    "Run in a terminal, or use a flow without people.",
    exit_code=WAITING,
    retryable=True,
)
def nobody_to_ask(app: str) -> _Said:
    return _say(
        f"{app} needs the redirected URL pasted, but the input is closed or --no-prompt is set.",
        "Run in a terminal without --no-prompt, or pipe the redirected URL in.",
        "Or enable the client credentials flow for the app and use --flow client-credentials.",
    )


@_problem(
    "people",
    "The person at the browser pressed Deny.",
    "Run again and allow the access, or find out why it was denied.",
)
def access_denied(host: str) -> _Said:
    return _say(f"The access was denied in the browser at {host}.", "Run again and press Allow.")


# --- what orgs answer ---------------------------------------------------------------------------------------


@_problem(
    "credentials",
    "The org does not know the consumer key: it belongs to another org, was rotated, or has not spread yet.",
    "Retrieve the settings from this very org; after a deploy wait up to 15 minutes.",
    retryable=True,
)
def invalid_client_id(host: str) -> _Said:
    return _say(
        f"{host} does not know the consumer key (invalid_client_id).",
        f"Retrieve the settings from this org again: {retrieve_command()}",
        "If the app was deployed just now, wait: a new key takes up to 15 minutes to spread.",
    )


@_problem(
    "credentials",
    "The org knows the consumer key, but not with this secret.",
    "Supply the current consumer secret.",
)
def invalid_client(host: str) -> _Said:
    return _say(
        f"{host} refuses the consumer secret (invalid_client).",
        "Check where the secret came from; if it was rotated, retrieve again or set the new one in the environment.",
    )


@_problem(
    "org",
    "The app does not exist in this org: a wrong host, a package that is not installed, another org's key, or a "
    "sandbox made after the app (local apps are not copied to sandboxes).",
    "Use the org's own My Domain URL; deploy the app or install its package there, then retrieve again.",
)
def app_not_found_in_org(host: str) -> _Said:
    return _say(
        f"The external client app is not installed in the org at {host} (OAUTH_EC_APP_NOT_FOUND).",
        "Check that the URL is the My Domain of the org the settings came from, not login or test.salesforce.com.",
        f"After a sandbox refresh, deploy the app again and retrieve: {retrieve_command()}",
    )


@_problem(
    "org",
    "The browser was signed in to one org and the app belongs to another.",
    "Sign out in the browser or use a private window, and use the org's My Domain URL.",
)
def cross_org_blocked(host: str) -> _Said:
    return _say(
        f"{host} blocked the login: the app belongs to another org than the browser's session.",
        "Open the link in a private window and sign in to the org the settings came from.",
    )


@_problem(
    "policy",
    "Salesforce ended the approval without a reason. Known ones: a requested scope the app lacks, an API-only user, "
    "a user who is not pre-authorized, or a blocked app.",
    "Check the app's scopes and policies, and who signs in.",
)
def approval_refused(host: str) -> _Said:
    return _say(
        f"{host} does not approve the app, and names no reason.",
        "Check that the app is enabled and not blocked, that it has every requested scope, and that the user is "
        "pre-authorized and not API-only.",
        "Try fewer scopes with --scopes.",
    )


@_problem(
    "config",
    "The redirect_uri is not, character by character, a callback URL of the app in the org.",
    "Retrieve the settings again, or deploy yours; a change takes up to 15 minutes.",
    retryable=True,
)
def redirect_uri_mismatch(host: str) -> _Said:
    return _say(
        f"{host} refuses the redirect_uri: it does not match a callback URL of the app in the org.",
        f"Retrieve the settings from this org again: {retrieve_command()}",
        "If the callback URL was deployed just now, wait up to 15 minutes.",
    )


@_problem(
    "people",
    "The authorization code was too old, used already, or not the one of this login.",
    "Run again: a code lives 15 minutes and works once.",
    retryable=True,
)
def authorization_code_refused(host: str, description: str) -> _Said:
    return _say(
        f"{host} refuses the authorization code: {description}.",
        "Run again for a new code; it lives 15 minutes and works once.",
    )


@_problem(
    "org",
    "The PKCE proof did not reach the token endpoint as the code's login promised it.",
    "Run again; if it repeats, a proxy may alter the requests.",
    retryable=True,
)
def code_verifier_refused(host: str, description: str) -> _Said:
    return _say(
        f"{host} refuses the PKCE code verifier: {description}.",
        "Run again, and do not mix the answers of two runs.",
    )


@_problem(
    "policy",
    "The org's IP ranges or login hours do not let this user in from here.",
    "Run from an allowed network, or change the app's IP relaxation policy or the user's ranges.",
)
def ip_restricted(host: str) -> _Said:
    return _say(
        f"{host} refuses the login from this IP address or at this hour.",
        "Run from an allowed network, or relax the IP policy of the app (Setup, External Client App Manager).",
    )


@_problem(
    "policy",
    "The user is not approved for the app.",
    "Assign the app to the user's profile or a permission set in its policies.",
)
def user_not_approved(host: str, description: str) -> _Said:
    return _say(
        f"{host} says the user is not approved for the app: {description}.",
        "In Setup, External Client App Manager, add the user's profile or a permission set to the app's policies.",
    )


@_problem(
    "policy",
    "The client credentials flow is not fully enabled: it needs the flag in the settings and in the policies, and "
    "a user to run as.",
    "Enable it in both, name the run-as user, and use the org's My Domain URL.",
)
def client_credentials_refused(host: str, description: str) -> _Said:
    return _say(
        f"{host} refuses the client credentials flow: {description}.",
        "In the app's policies enable the client credentials flow and name the user it runs as.",
        "Check that the URL is the org's My Domain.",
    )


@_problem(
    "credentials",
    "The org does not accept the signed assertion: the app has no certificate there (a deploy whose settings file "
    "lacks it takes it away), or the certificate belongs to another key, has expired, or has not spread yet.",
    "Put the certificate of the private key into the app's settings, deploy, and wait up to 15 minutes.",
    retryable=True,
)
def assertion_refused(host: str, description: str) -> _Said:
    return _say(
        f"{host} refuses the signed assertion: {description}.",
        "Check in Setup, External Client App Manager, that the app has the certificate of this private key: a deploy "
        "of a settings file without <certificate> takes it away.",
        "Compare them: openssl x509 -in server.crt -noout -pubkey and openssl pkey -in server.key -pubout",
        "If the app was deployed just now, wait: a change takes up to 15 minutes to spread.",
    )


@_problem(
    "config",
    "The org does not accept the audience of the assertion: Salesforce's login host for the kind of org, or the "
    "site's own URL.",
    "Set SF_AUDIENCE_URL to the audience that the org expects.",
)
def audience_refused(host: str, description: str) -> _Said:
    return _say(
        f"{host} refuses the audience of the assertion: {description}.",
        "Set SF_AUDIENCE_URL to https://login.salesforce.com for a production or developer org, to "
        "https://test.salesforce.com for a sandbox or scratch org, or to the URL of the site.",
    )


@_problem(
    "config",
    "The org takes the assertion for expired, or for not valid yet: a clock is wrong. An assertion is good for three "
    "minutes.",
    "Correct the clock of this machine.",
    retryable=True,
)
def assertion_expired(host: str, description: str) -> _Said:
    return _say(
        f"{host} refuses the assertion as expired or not valid yet: {description}.",
        "Set the clock of this machine (timedatectl set-ntp true, or w32tm /resync), then run again.",
    )


@_problem(
    "policy",
    "The user may not log in with this app by JWT: nobody approved it. Either an administrator approves users in the "
    "app's policies, or the user signs in once by the web flow with the scope refresh_token.",
    "Let an administrator pre-authorize the user, or sign in once by the web flow.",
)
def assertion_not_approved(host: str, description: str) -> _Said:
    return _say(
        f"{host} says the user has not approved the app: {description}.",
        "Check the username; Salesforce says the same of one that it does not know.",
        "In Setup, External Client App Manager, set the app's permitted users to admin approved, and add the user's "
        "profile or a permission set.",
        'Or let the user sign in once: ecapipe run --flow web --scopes "api refresh_token".',
    )


@_problem(
    "people",
    "The user cannot log in: wrong password, inactive, locked, or an expired password.",
    "Sign in to the org in a browser and see what it says.",
)
def authentication_failed(host: str, description: str) -> _Said:
    return _say(
        f"{host} could not authenticate the user: {description}.",
        "Sign in to the org in a browser as that user; Setup, Login History names the reason.",
    )


@_problem(
    "policy",
    "The app, or the org for all apps, requires PKCE and the request carried no challenge, or an unusable one.",
    "Run again; ecapipe always sends PKCE S256, so something on the way removed it.",
)
def code_challenge_missing(host: str, description: str) -> _Said:
    return _say(
        f"{host} misses the PKCE code challenge: {description}.",
        "Open the link exactly as printed, without line breaks or changes.",
    )


@_problem(
    "policy",
    "A requested scope is not among the app's scopes in the org.",
    "Ask for fewer scopes, or add the scope to the app.",
)
def invalid_scope(host: str, description: str) -> _Said:
    return _say(
        f"{host} refuses the requested scopes: {description}.",
        'Name scopes the app has: --scopes "api web".',
        f"Or add them to the app's OAuth settings, deploy, and retrieve: {retrieve_command()}",
    )


@_problem(
    "policy",
    "The token endpoint does not offer the flow: it is off for the app, or the URL is not an OAuth host.",
    "Use the org's My Domain URL, and enable the flow for the app.",
)
def unsupported_grant_type(host: str, description: str) -> _Said:
    return _say(
        f"{host} does not support the flow for this app: {description}.",
        "Check that the URL is the org's My Domain and that the app's settings enable the flow.",
    )


@_problem(
    "org",
    "The org, or the user's account, is not active.",
    "Ask the org's administrator.",
)
def inactive(host: str, description: str) -> _Said:
    return _say(f"{host} says: {description}.", "Ask the org's administrator to activate the org or the user.")


@_problem(
    "org",
    "Salesforce limits how often one may log in.",
    "Wait an hour, and log in less often.",
    retryable=True,
)
def rate_limited(host: str) -> _Said:
    return _say(
        f"{host} allows no more logins for now.",
        "Wait, then run again; Salesforce's login limit lasts an hour.",
    )


@_problem(
    "org",
    "Salesforce reported a passing fault of its own.",
    "Run again in a minute.",
    retryable=True,
)
def server_busy(host: str, description: str) -> _Said:
    return _say(f"{host} reports a fault of its own: {description}.", "Run again in a minute.")


@_problem(
    "credentials",
    "A token is expired, revoked, or of a kind the endpoint does not take.",
    "Run again for a new token.",
    retryable=True,
)
def token_refused(host: str, description: str) -> _Said:
    return _say(f"{host} refuses the token: {description}.", "Run again for a new token.")


@_problem(
    "org",
    "The token answer is not signed with the app's consumer secret, so it does not come from the org, or the secret "
    "belongs to another app.",
    "Check the secret and whatever stands between you and the org.",
)
def signature_mismatch(host: str) -> _Said:
    return _say(
        f"The signature of the token answer from {host} does not match the consumer secret.",
        "Check where the consumer secret comes from, and whether a proxy alters answers. Do not use the token.",
    )


@_problem(
    "credentials",
    "The org takes no question about a token from an app that shows no secret. The app is a public client, so there "
    "is none to show; at least the org did not say that it does not know the key.",
    "Log in with the web flow to be sure, or supply the secret if the app has one after all.",
)
def probe_needs_secret(host: str) -> _Said:
    return _say(
        f"{host} does not refuse the consumer key, but says no more without a secret, and a public client has none.",
        "Log in to be sure: ecapipe run --flow web",
    )


@_problem(
    "org",
    "The org refused with a code that ecapipe has no better words for.",
    "Look the code up in Salesforce's list of OAuth errors.",
)
def oauth_refused(host: str, error: str, description: str) -> _Said:
    said = f"{error}: {description}" if description else error
    return _say(
        f"{host} refused: {said}.",
        f'Search Salesforce Help for "OAuth error {error}", and look at Setup, Login History in the org.',
    )


@_problem(
    "org",
    "The token worked for nothing: UserInfo refused it.",
    "Check that API access is allowed for the app and the user.",
)
def user_info_refused(host: str, status: int, description: str) -> _Said:
    return _say(
        f"UserInfo at {host} refused the token (HTTP {status}): {description}.",
        "Check Setup, API Access Control, and the session policies of the app and the user's profile.",
    )


@_problem(
    "policy",
    "The token identifies the user but may not call the API although its scope says so: API Access Control.",
    "Allow the app in Setup, API Access Control, or give the user the permission to use any API client.",
)
def api_access_blocked(host: str, status: int, description: str) -> _Said:
    return _say(
        f"{host} refuses API calls with the token (HTTP {status}): {description}.",
        "Allow the app in Setup, API Access Control, or assign the user Use Any API Client.",
    )


@_problem(
    "org",
    "The token belongs to another org than the one that was asked.",
    "Sign in to the right org; check the URL and the expected orgId.",
)
def wrong_org(expected: str, found: str, remains: str) -> _Said:
    return _say(
        f"The login ended in org {found}, not in {expected}. {remains}",
        "Open the link in a private window and sign in to the expected org.",
        "If the expected org id is wrong, correct orgId in plugins.ecapipe.orgs.",
    )


@_problem(
    "people",
    "Somebody else than expected signed in.",
    "Sign in as the expected user.",
)
def wrong_user(expected: str, found: str, remains: str) -> _Said:
    return _say(
        f"The login was made as {found}, not as {expected}. {remains}",
        f"Open the link in a private window and sign in as {expected}.",
    )


# --- the way there ------------------------------------------------------------------------------------------


@_problem(
    "network",
    "The host name could not be resolved.",
    "Check the URL; a new My Domain can take minutes to appear.",
    retryable=True,
)
def host_not_found(host: str) -> _Said:
    return _say(
        f"The host {host} was not found.",
        "Check the spelling of the My Domain URL, the network, and HTTPS_PROXY.",
        "A new My Domain can take minutes to appear: run again.",
    )


@_problem(
    "network",
    "No connection to the host could be made; nothing was sent.",
    "Check network, proxy and firewall, then run again.",
    retryable=True,
)
def connection_failed(host: str, reason: str) -> _Said:
    return _say(
        f"No connection to {host} could be made: {reason}.",
        "Check the network, HTTPS_PROXY and NO_PROXY, then run again.",
    )


@_problem(
    "network",
    "The connection broke after the request was sent, so it is unknown whether the host acted on it.",
    "Check network, proxy and firewall, then run again.",
    retryable=True,
)
def connection_lost(host: str, reason: str) -> _Said:
    return _say(
        f"The connection to {host} broke: {reason}.",
        "Check the network, HTTPS_PROXY and NO_PROXY, then run again.",
    )


@_problem(
    "network",
    "The host's certificate is not trusted on this machine, or belongs to another host.",
    "Install your company's CA in the system's store, or name its file in SSL_CERT_FILE.",
)
def tls_failed(host: str, reason: str) -> _Said:
    return _say(
        f"The TLS connection to {host} failed: {reason}.",
        "If a proxy of your company re-signs traffic, name its CA file in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS.",
    )


@_problem(
    "network",
    "The host did not answer in time.",
    "Run again; check proxy and firewall if it repeats.",
    retryable=True,
)
def host_timed_out(host: str) -> _Said:
    return _say(f"{host} did not answer in time.", "Run again; if it repeats, check HTTPS_PROXY and the firewall.")


@_problem(
    "org",
    "The host answered with something else than the JSON that Salesforce's endpoints send: a maintenance page, a "
    "proxy's page, or a host that is not an org.",
    "Check the URL, and whether the org is under maintenance.",
    retryable=True,
)
def unexpected_answer(host: str, status: int, reason: str) -> _Said:
    return _say(
        f"{host} gave an unexpected answer (HTTP {status}): {reason}.",
        "Check that the URL is the org's My Domain, and status.salesforce.com for maintenance.",
    )


@_problem(
    "org",
    "The host redirected a request that carries a secret. Secrets never follow a redirect.",
    "Use the URL of the host that really serves the org.",
)
def redirect_refused(host: str, status: int) -> _Said:
    return _say(
        f"{host} answered with a redirect (HTTP {status}), which is never followed with a secret.",
        "Use the org's own My Domain URL.",
    )


# --- the Salesforce CLI -------------------------------------------------------------------------------------


@_problem(
    "config",
    "The Salesforce CLI is needed and not there: no program called sf lies in a folder of PATH.",
    "Install it, or do without what needs it.",
)
def sf_not_found(needed_for: str) -> _Said:
    return _say(
        f"There is no Salesforce CLI: no sf was found on the PATH, and {needed_for} needs it.",
        "Install it: npm install --global @salesforce/cli",
        "If it is installed, add the folder that sf lies in to PATH. Inside this repository or project it is passed "
        "over: name one with ECAPIPE_SF=/absolute/path/to/sf.",
    )


@_problem(
    "config",
    "The Salesforce CLI is older than the commands that ecapipe calls.",
    "Update it.",
)
def sf_too_old(found: str, needed: str) -> _Said:
    return _say(
        f"The Salesforce CLI is too old: {found}, and {needed} is needed.",
        "Update it: sf update",
        "If npm installed it: npm install --global @salesforce/cli@latest",
    )


@_problem(
    "config",
    "A command of the Salesforce CLI failed, or answered with something that is not its JSON.",
    "Read what it said, and run the command yourself.",
)
def sf_failed(command: str, reason: str) -> _Said:
    return _say(
        f"The Salesforce CLI could not do {command}: {reason}",
        f"Run {command} yourself to see more.",
        "Check that the sf on the PATH is the Salesforce CLI: sf version",
    )


@_problem(
    "config",
    "The Salesforce CLI did not end in time, and was stopped.",
    "Run again; check network and proxy if it repeats.",
    retryable=True,
)
def sf_timed_out(command: str, seconds: int) -> _Said:
    return _say(
        f"The Salesforce CLI did not finish {command} within {seconds} seconds, and was stopped.",
        f"Run {command} yourself to see where it stops; then run again.",
    )


@_problem(
    "config",
    "Another ecapipe hands logins over to the Salesforce CLI, which loses some if it is given two at once.",
    "Run again when the other one has ended.",
    retryable=True,
)
def sf_busy(seconds: int) -> _Said:
    return _say(
        f"Another ecapipe has been handing logins over to the Salesforce CLI for {seconds} seconds.",
        "Run again when it has ended.",
    )


@_problem(
    "config",
    "The Salesforce CLI keeps no login under this alias or username.",
    "Log in to the org with it, or correct the name.",
)
def sf_login_missing(name: str, url: str | None, known: Sequence[str]) -> _Said:
    return _say(
        f'The Salesforce CLI knows no login called "{name}".'
        if url is None
        else f"The Salesforce CLI knows no login to {url}.",
        *did_you_mean(name, known),
        f"Log in to the org: sf org login web --alias {name} --instance-url "
        f"{url or 'https://MyDomain.my.salesforce.com'}",
        "See what it knows: sf org list auth",
    )


@_problem(
    "credentials",
    "The refresh token that the Salesforce CLI was to use is dead: expired, revoked, or replaced by another.",
    "Log in to the org again.",
)
def sf_refresh_refused(org: str, description: str) -> _Said:
    return _say(
        f"Salesforce refused the refresh token of {org}: {description}",
        "Log in to the org again. If another program used the token meanwhile, give each its own login.",
        "Look at the app's refresh token policy: it may be valid for no time, or from few addresses.",
    )


@_problem(
    "network",
    "The Salesforce CLI could not reach the org, although ecapipe may have: the two read different settings for "
    "proxies and certificates.",
    "Check HTTPS_PROXY, and name your company's CA file in NODE_EXTRA_CA_CERTS.",
    retryable=True,
)
def sf_unreachable(org: str, reason: str) -> _Said:
    return _say(
        f"The Salesforce CLI could not reach {org}: {reason}",
        "Check HTTPS_PROXY and NO_PROXY; it reads further certificates from NODE_EXTRA_CA_CERTS only.",
    )


@_problem(
    "config",
    "A configuration file of the Salesforce CLI, which holds the default org, cannot be read.",
    "Correct or delete the file, or name the org with --target-org.",
)
def sf_config_unreadable(file: str, reason: str) -> _Said:
    return _say(
        f"The Salesforce CLI's default org cannot be read from {file}: {reason}.",
        "Correct or delete the file.",
        "Or name the org with --target-org.",
        file=file,
    )


@_problem(
    "config",
    "Several apps would hand a login over for one org. The Salesforce CLI keeps one login for a username, and one "
    "username for an alias, so that only the last would remain.",
    "Choose the app whose login it shall keep, with --name.",
)
def hand_over_ambiguous(org: str, apps: Sequence[str]) -> _Said:
    return _say(
        f"The Salesforce CLI can keep only one of these logins in {org}: {_several(apps)}.",
        "Choose the app with --name.",
    )


@_problem(
    "config",
    "The Salesforce CLI keeps one login for a username, and this username is the user of another org, too: the one "
    "login would overwrite the other.",
    "Sign in as another user, or end the other login first.",
)
def sf_username_taken(username: str, org: str, other: str) -> _Said:
    return _say(
        f"The Salesforce CLI keeps one login for each username, and {username} is the user both in {org} and in "
        f"{other}.",
        "Sign in to one of the two as another user, whom --username or the org's configuration names.",
        f"If the login in {other} is no longer needed: sf org logout --target-org {username}",
    )


@_problem(
    "config",
    "The Salesforce CLI knows the alias for a login elsewhere: every later command with it would go to this org.",
    "Hand the login over under an alias of its own: --target-org NEWALIAS=URL. Or let the alias mean this org: "
    "--replace-alias, with the address given by you.",
)
def alias_taken(alias: str, url: str, username: str, instance_url: str, given: bool) -> _Said:
    """`given`: the user gave the alias with the address; the project's word is no reason to let an alias go."""
    return _say(
        f'The Salesforce CLI knows "{alias}" as {username} at {instance_url}: it would name {url} instead.',
        f"Hand the login over under another alias: --target-org NEWALIAS={url}.",
        f"Or, if the alias is to name this org: --replace-alias{'' if given else f' --target-org ALIAS={url}'}.",
    )


@_problem(
    "config",
    "The Salesforce CLI cannot take this login: its login URL has no place for what it would have to hold.",
    "Do what the message says, or run without --hand-over.",
)
def hand_over_not_possible(app: str, org: str, reason: str) -> _Said:
    return _say(
        f"The login of {app} in {org} cannot be handed over to the Salesforce CLI: {reason}.",
        "Run without --hand-over, and use --print-token or --save instead.",
    )


# --- kept logins and secrets --------------------------------------------------------------------------------


@_problem(
    "config",
    "Logins and consumer secrets are kept in the keyring of the operating system, and there is none that can be "
    "used: the library for it is not installed, or nothing here protects what it would be given.",
    "Install the extra, pip install 'ecapipe[keyring]', and run where a keyring is unlocked. Or add --store file, "
    "which keeps secrets unencrypted in files that only you may read.",
)
def keyring_not_found(reason: str) -> _Said:
    return _say(
        f"There is no keyring to use: {reason}.",
        "Add --store file to keep secrets in files that only you may read; they are not encrypted.",
        "Or install what ecapipe needs for the keyring of the operating system: pip install 'ecapipe[keyring]'.",
    )


@_problem(
    "config",
    "The keyring is there and did not do what it was asked: it is locked, somebody refused, or it failed.",
    "Unlock the keyring and run again, or add --store file.",
    retryable=True,
)
def keyring_failed(keyring: str, task: str, reason: str) -> _Said:
    return _say(
        f"The keyring ({keyring}) did not {task}: {reason}.",
        "Unlock the keyring, allow the access, and run again.",
        "Or keep secrets in files that only you may read: ecapipe run --save --store file.",
    )


@_problem(
    "config",
    "What was to be kept is larger than an entry of the keyring may be; the one of Windows takes 1,280 characters.",
    "Add --store file, which has no such limit.",
)
def too_large_for_keyring(characters: int, limit: int) -> _Said:
    return _say(
        f"An entry of {characters} characters is too large for the keyring, which takes {limit}.",
        "Add --store file to keep it in a file that only you may read.",
    )


@_problem(
    "config",
    "A file of a kept login or secret, or its entry in the keyring, is not as ecapipe wrote it. It is left as it is.",
    "Remove the file that the message names, then keep it anew: ecapipe run --save, or ecapipe app set-secret.",
)
def record_damaged(file: str, reason: str) -> _Said:
    return _say(
        f"{file} is not as ecapipe wrote it: {reason}.",
        f"Remove the file {file}, then keep it anew: ecapipe run --save, or ecapipe app set-secret.",
        file=file,
    )


@_problem(
    "config",
    "A login or secret was kept by a newer ecapipe, in a form that this one does not know. It is left as it is.",
    "Update ecapipe, or give this version a place of its own with ECAPIPE_STATE_DIR.",
)
def record_too_new(file: str, version: int) -> _Said:
    return _say(
        f"{file} has version {version}, which only a newer ecapipe knows.",
        "Update ecapipe: pip install --upgrade ecapipe.",
        "Or give this version a place of its own: set ECAPIPE_STATE_DIR to another folder.",
        file=file,
    )


@_problem(
    "config",
    "Another process works with the same kept login, and did not finish in time.",
    "Run again. If it happens again, look for an ecapipe that hangs.",
    retryable=True,
)
def login_busy(seconds: float) -> _Said:
    return _say(
        f"Another process has been working with this kept login for {seconds:g} seconds.",
        "Run again in a moment.",
    )


@_problem(
    "config",
    "No login is kept that fits --name and --target-org.",
    "Look at ecapipe login list. ecapipe run --save keeps a login.",
    exit_code=USAGE,
)
def login_not_kept(wanted: str, known: Sequence[str], meant: Sequence[str] = ()) -> _Said:
    what = f"No login is kept for {wanted}." if wanted else "No login is kept."
    return _say(
        f"{what} Kept: {_several(known)}." if known else what,
        *meant,
        "Run ecapipe login list to see what is kept; ecapipe run --save keeps a login.",
    )


@_problem(
    "config",
    "Several kept logins fit, and one is needed.",
    "Choose with --name and --target-org; a username or host tells apart what shares an alias.",
    exit_code=USAGE,
)
def login_ambiguous(choices: Sequence[str]) -> _Said:
    return _say(
        f"More than one kept login fits: {_several(choices)}.",
        "Choose one with --name APP and --target-org ORG: an alias, a username, a host or a URL.",
    )


@_problem(
    "people",
    "Salesforce no longer takes the refresh token of a kept login: it was revoked, it expired, more than five "
    "approvals of the same user pushed it out, or it was used twice although it changes with each use.",
    "Log in again with ecapipe run --save.",
)
def login_expired(subject: str, host: str, description: str, command: str) -> _Said:
    return _say(f"{host} no longer takes the kept login of {subject}: {description}.", f"Log in again: {command}")


@_problem(
    "config",
    "A kept login cannot get a new access token by itself: it has no refresh token, or lacks the consumer secret "
    "that Salesforce asks for.",
    "Log in again with ecapipe run --save.",
)
def login_not_refreshable(subject: str, reason: str, command: str, variable: str) -> _Said:
    return _say(
        f"{subject} cannot be refreshed: {reason}.",
        f"Log in again: {command}",
        f"If only the consumer secret is missing, put it in {variable}.",
    )


@_problem(
    "policy",
    "A login is to be kept, and the app does not allow the scope that brings a refresh token, so the login would "
    "end with its first access token.",
    "Add RefreshToken to commaSeparatedOauthScopes and deploy, or name the scopes with --scopes.",
)
def refresh_scope_missing(app: str, allowed: Sequence[str]) -> _Said:
    return _say(
        f"{app} does not allow the scope refresh_token, without which a login cannot be kept for long. "
        f"It allows: {_several(allowed)}.",
        "Add RefreshToken to commaSeparatedOauthScopes of its OAuth settings, and deploy.",
        'Or keep the access token alone, by naming the scopes: --scopes "api".',
    )


@_problem(
    "network",
    "The org could not be told, or did not confirm, that a kept login is over. It is still kept, and still valid.",
    "Try again when the org can be reached, or forget it here with --forget and revoke it in the org.",
    retryable=True,
)
def not_revoked(subject: str, host: str, reason: str) -> _Said:
    return _say(
        f"The login of {subject} was not ended: {reason}. Its tokens stay valid at Salesforce, and it is still kept.",
        f"Run ecapipe login logout again when {host} can be reached.",
        "Or forget it here all the same with --forget, and revoke it in the org: Setup, "
        "Connected Apps OAuth Usage, or Session Management.",
    )


@_problem(
    "credentials",
    "What was given as a consumer secret cannot be one: it is empty, not plain text, or only stands in the place "
    "of a secret.",
    "Copy the secret from Setup, External Client App Manager, Settings, OAuth Settings.",
    exit_code=USAGE,
)
def secret_unusable(app: str, reason: str) -> _Said:
    return _say(
        f"That is no consumer secret for {app}: {reason}.",
        "Copy it from Setup, External Client App Manager, the app, Settings, OAuth Settings.",
        f"Then run ecapipe app set-secret {app} again, and type it, or give it as one line of standard input.",
    )


@_problem(
    "config",
    "One app is meant, and several of the projects that were named have one of that name.",
    "Name one project with --source-dir, or in a batch file the tree of each org in sourceDir.",
    exit_code=USAGE,
)
def app_in_several_projects(app: str, projects: Sequence[str]) -> _Said:
    return _say(
        f"{app} is in more than one project: {_several(projects)}.",
        "Name the one that is meant with --source-dir.",
    )


@_problem(
    "config",
    "No consumer secret is kept for that app.",
    "ecapipe app set-secret keeps one; the names of apps are exact.",
    exit_code=USAGE,
)
def secret_not_kept(app: str, known: Sequence[str], meant: Sequence[str] = ()) -> _Said:
    return _say(
        f"No consumer secret is kept for {app}. Kept for: {_several(known)}.",
        *meant,
        f"Run ecapipe app set-secret {app} to keep one.",
    )


@_problem(
    "config",
    "Consumer secrets of several apps of that name are kept: from several orgs or projects.",
    "Choose with --target-org, or take --all.",
    exit_code=USAGE,
)
def secrets_ambiguous(app: str, choices: Sequence[str]) -> _Said:
    return _say(
        f"More than one consumer secret is kept for {app}: {_several(choices)}.",
        "Choose with --target-org ORG, or forget all of them with --all.",
    )


# --- ecapipe itself -----------------------------------------------------------------------------------------


@_problem(
    "people",
    "The run was interrupted (Ctrl-C, SIGTERM, or a terminal that was closed).",
    "Run again for what did not finish.",
    exit_code=INTERRUPTED,
    retryable=True,
)
def interrupted() -> _Said:
    return _say("Interrupted.", "Run again for what did not finish.")


@_problem(
    "config",
    "Standard output could not be written to. What was done is done; what it came to is only in the journal and in "
    "reports.",
    "Make room where the output goes, or send it elsewhere, then run again.",
)
def output_not_written(reason: str) -> _Said:
    return _say(
        f"Standard output was not written: {reason}.",
        "Make room where it goes, or send it elsewhere, then run again: ecapipe runs list shows what is recorded.",
    )


@_problem(
    "config",
    "A mistake in ecapipe.",
    "Report it with the version and the names of the failing functions; they hold no secret.",
    exit_code=BUG,
)
def internal_error(kind: str, where: str) -> _Said:
    return _say(
        f"ecapipe failed with {kind} at {where}. This is a bug in ecapipe.",
        "Report it with the output of ecapipe --version and this message; it holds no secret.",
    )


@_problem(
    "config",
    "No problem and no rule has this name.",
    "Run ecapipe explain for the list.",
    exit_code=USAGE,
)
def nothing_to_explain(name: str, known: Sequence[str]) -> _Said:
    return _say(
        f'There is no problem or rule named "{name}".',
        *did_you_mean(name, known),
        "Run ecapipe explain to list all names.",
    )
