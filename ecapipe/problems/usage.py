"""Problems whose remedy is the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ecapipe import ADDRESS
from ecapipe.problems.problem import (
    BUG,
    INTERRUPTED,
    USAGE,
    Problem,
    Wording,
    alternatives,
    command,
    did_you_mean,
    listed,
    option,
    problem,
    say,
)


@problem(
    "config",
    "The command line has a flag, value or combination that ecapipe doesn't accept.",
    "Read the message, then the help of the command.",
    exit_code=USAGE,
)
def usage_error(message: str, command: str, *hints: str) -> Wording:
    return say(message, *hints, f"See {command} --help.")


@problem(
    "config",
    "The folder or file that --source-dir, --metadata-dir, --credentials-dir or --file names, or the sourceDir of an "
    "org, does not exist.",
    "Correct the path. It is relative to the current folder, a sourceDir to the org file or the project.",
    exit_code=USAGE,
)
def source_dir_not_found(path: str, flag: str = "--source-dir") -> Wording:
    return say(f'The path "{path}", specified with {flag}, does not exist.', "Specify an existing folder or file.")


@problem(
    "config",
    "A file named on the command line does not exist.",
    "Correct the path. It is relative to the current folder.",
    exit_code=USAGE,
)
def file_not_found(path: str, flag: str = "") -> Wording:
    given = f", specified with {flag}," if flag else ""
    return say(f'The file "{path}"{given} does not exist.', "Specify an existing file.")


@problem(
    "config",
    "The project has no external client app with the name given with --name.",
    "Use the exact developer name, as listed by ecapipe app list.",
    exit_code=USAGE,
)
def unknown_app(name: str, known: Sequence[str]) -> Wording:
    return say(
        f'No external client app is named "{name}". Known: {listed(known)}.',
        *did_you_mean(name, known),
        "Run ecapipe app list to see the apps of this project.",
    )


# Standard output is the token and nothing else, to be read by another program.
@problem(
    "config",
    "--print-token prints a single token, but the run has several targets, or none.",
    "Select one app with --name and one org with --target-org.",
    exit_code=USAGE,
)
def not_one_target(count: int) -> Wording:
    return say(
        f"--print-token needs exactly one app in one org; this run has {count}.",
        "Select the app with --name and the org with --target-org.",
    )


@problem(
    "config",
    "--set-default makes one org the default org of the Salesforce CLI, but the run has several.",
    "Select one org with --target-org, or set the default later: sf config set target-org ALIAS.",
    exit_code=USAGE,
)
def not_one_default(count: int) -> Wording:
    return say(
        f"--set-default needs exactly one org; this run has {count}.",
        "Select the org with --target-org.",
        "Or omit the flag, and set the default later: sf config set target-org ALIAS",
    )


@problem(
    "config",
    "--retrieve would put the apps of several orgs into one folder.",
    "Give each org its own sourceDir, or none.",
    exit_code=USAGE,
)
def not_one_source(folder: str, orgs: Sequence[str]) -> Wording:
    return say(
        f"--retrieve would put the apps of several orgs into {folder}: {listed(orgs)}.",
        "Give each org its own sourceDir, or none.",
    )


@problem(
    "config",
    "None of the selected apps is assigned to any of the selected orgs, so there is nothing to log in to.",
    "Select other apps or orgs, or correct the apps that the org file or plugins.ecapipe.orgs assigns to the orgs.",
    exit_code=USAGE,
)
def nothing_paired(apps: Sequence[str], orgs: Sequence[str]) -> Wording:
    selection = f"None of the selected apps ({listed(apps)})" if apps else "No app"
    return say(
        f"{selection} is assigned to any of the selected orgs: {listed(orgs)}.",
        "With --name, select an app that is assigned to these orgs, or correct the apps of the orgs.",
    )


@problem(
    "config",
    "Two apps or orgs would read the same environment variable, so it is unclear whose value it holds.",
    "Rename one of them, or set its own variable with secretEnv in plugins.ecapipe.orgs.",
    exit_code=USAGE,
)
def ambiguous_variable(variable: str, first: str, second: str) -> Wording:
    return say(
        f'The environment variable {variable} applies to both "{first}" and "{second}".',
        f"Unset {variable} and supply each secret another way, or select one app with --name.",
        "Or give an org its own variable: secretEnv in the org file or in plugins.ecapipe.orgs.",
    )


@problem(
    "config",
    "ecapipe could not read a file or folder of the project, or one that a flag or an environment variable names.",
    "Depending on the reason in the message, correct the path, replace the file, or grant yourself read permission.",
)
def unreadable_file(file: str, reason: str) -> Wording:
    reason = reason[:1].lower() + reason[1:]
    remedy = _REMEDIES.get(reason, "Check {file}, and replace it or specify another one.")
    return say(f"{file} could not be read: {reason}.", remedy.format(file=file), file=file)


_REMEDIES: Final = {
    "no such file or directory": "Make sure that {file} exists, or specify another file.",
    "not a directory": "Correct the path: part of it is not a folder.",
    "is a directory": "Specify a file: {file} is a folder.",
    "permission denied": "Check the permissions of {file}.",
    "operation not permitted": "Check the permissions of {file}.",
}
"""What to do about a file that could not be read, by the system's reason."""


def in_metadata_format(file: str, way: str) -> Problem:
    """The problem of a file that is not read for its format; `way` is the option that reads such files."""
    problem = unreadable_file(file, "it is in metadata format")
    actions = (f"To read such files: {way}",)
    return replace(problem, message=f"{file} was not read: it is in metadata format.", actions=actions)


def given_with(flag: str, problem: Problem) -> Problem:
    """The problem of a file that the command line names: whatever it is, the command line has to change."""
    prefix = f"{flag}: " if flag else ""
    return replace(problem, message=f"{prefix}{problem.message}", exit_code=USAGE)


@problem(
    "config",
    "ecapipe could not write a file. The file is unchanged: ecapipe replaces files as a whole or not at all.",
    "Fix the cause that the message gives, then run again. What is already done isn't repeated.",
)
def unwritable_file(file: str, reason: str, is_link: bool = False, is_full: bool = False) -> Wording:
    """`is_link`: the reason is a link, which might lead anywhere; `is_full`: the disk has no room."""
    action = f"Make sure that {file} is writable and that no other program is changing it, then run again."
    if is_link:
        action = "Replace the link with a real file or folder, or specify a path without links."
    elif is_full:
        action = "Free up disk space, then run again."
    return say(f"{file} was not written: {reason}.", action, file=file)


@problem(
    "config",
    "--resume or runs show refers to a run that is not recorded, or this project has no recorded runs. ecapipe "
    "stores only the most recent runs.",
    "List the runs with ecapipe runs list. --resume also accepts the path of a JSON result.",
    exit_code=USAGE,
)
def run_not_found(run: str | None, known: Sequence[str], resumes: bool) -> Wording:
    message = "No run of this project is recorded."
    if run:
        message = f"Run {run} is not recorded."
    actions = []
    if known:
        actions.append("List the recorded runs with ecapipe runs list.")
    if resumes:
        actions.append("Run without --resume.")
    elif not known:
        actions.append("Only ecapipe run records one, unless --no-journal is set.")
    return say(message, *did_you_mean(run or "", known), *alternatives(*actions))


@problem(
    "config",
    "Several runs have IDs that start with the given text.",
    "Give more characters of the run ID.",
    exit_code=USAGE,
)
def run_ambiguous(run: str, candidates: Sequence[str]) -> Wording:
    return say(f"Several runs start with {run}: {listed(candidates)}.", "Give more characters of the run ID.")


@problem(
    "config",
    "--resume alone repeats the command line of the run. That works only in the folder where the run was started, "
    "because paths are relative to it. A command line that may contain a secret is not recorded.",
    "Change to that folder, or pass the options of the run together with --resume.",
    exit_code=USAGE,
)
def options_not_repeatable(run: str, folder: str | None, rotates: bool) -> Wording:
    reason, actions = "they were not recorded, because they may contain a secret", list[str]()
    if folder:
        reason, program = f"it was started in {folder}", "ecapipe app rotate" if rotates else "ecapipe run"
        actions.append(f"Change to that folder: {command('cd', folder)} && {command(program, resume=run)}")
    actions.append(
        f"Pass the options again, at least those that select the orgs, together with {option('resume', run)}"
    )
    return say(f"The options of run {run} cannot be repeated here: {reason}.", *alternatives(*actions))


@problem(
    "config",
    "Another ecapipe process is working on the run to resume. Two of them would perform the same logins twice.",
    "Wait until that process finishes, or stop it; then run again.",
)
def run_going_on(run: str) -> Wording:
    return say(
        f"Run {run} is still in progress, or is being resumed.",
        "Wait until it finishes, or stop it; then run again.",
        "Or start a new run, without --resume.",
    )


@problem(
    "config",
    "The file is not the JSON output of ecapipe run, or it was changed afterwards.",
    "Pass the unchanged JSON that ecapipe run --json printed, or that --report json=FILE wrote.",
    exit_code=USAGE,
)
def malformed_result(file: str, reason: str) -> Wording:
    return say(
        f"{file} is not a result of ecapipe run: {reason}.",
        "Pass the unchanged JSON that ecapipe run --json printed, or that --report json=FILE wrote.",
        file=file,
    )


# Without this, a job that never ran would look like one in which everything went well.
@problem(
    "config",
    "The merged results don't include every shard of the run, so the outcome of some targets is unknown.",
    "Wait for the missing jobs, or run them again; then merge all results.",
)
def shards_missing(shards: Sequence[str]) -> Wording:
    shard = shards[0] if shards else "K/N"
    missing = f"The result of shard {shard} is missing."
    if len(shards) > 1:
        missing = f"The results of shards {listed(shards)} are missing."
    return say(
        missing,
        "Run ecapipe report merge again with the results of all shards.",
        f"If a shard did not run, run it with its other options: {command('ecapipe run', shard=shard)}",
    )


@problem(
    "people",
    "The proposed changes were not confirmed, so nothing was written.",
    "Run again and answer y, or use --no-prompt to write without confirmation.",
)
def not_confirmed() -> Wording:
    return say(
        "Nothing was written: the changes were not confirmed.",
        "Run again and answer y, or use --no-prompt to write without confirmation.",
    )


@problem(
    "config",
    "The command needs a single app, but several of the selected projects have an app with that name.",
    "Select one project with --source-dir, or set sourceDir for each org in an org file.",
    exit_code=USAGE,
)
def app_in_several_projects(app: str, projects: Sequence[str]) -> Wording:
    return say(
        f"{app} is in more than one project: {listed(projects)}.",
        "Select one of the projects with --source-dir.",
    )


@problem(
    "people",
    "The run was interrupted: by Ctrl-C, by SIGTERM, or because the terminal was closed.",
    "Run again to finish the rest.",
    exit_code=INTERRUPTED,
    retryable=True,
)
def interrupted() -> Wording:
    return say("The command was interrupted.", "Run again to finish the rest.")


@problem(
    "config",
    "The current folder was deleted.",
    "Change to a folder that exists, then run again.",
)
def no_current_folder() -> Wording:
    return say("The current folder no longer exists.", "Change to another folder, then run again.")


@problem(
    "config",
    "ecapipe could not write to standard output. Work that was done stays done, but its outcome appears only in the "
    "journal and in reports.",
    "Free up space, or redirect the output elsewhere, then run again.",
)
def output_not_written(reason: str) -> Wording:
    return say(
        f"Standard output could not be written: {reason}.",
        "Free up space, or redirect the output elsewhere, then run again. ecapipe runs list shows what is recorded.",
    )


@problem(
    "config",
    "This is a bug in ecapipe. If it occurred in one app or login, the others continued.",
    "Report it with the version and the place that the message names. Neither contains a secret.",
    exit_code=BUG,
)
def internal_error(kind: str, place: str) -> Wording:
    return say(
        f"Unexpected {kind} at {place}: this is a bug in ecapipe.",
        f"Report it{ADDRESS and f' at {ADDRESS}/issues'} with the output of ecapipe --version --verbose and this "
        "message. Neither contains a secret.",
    )


def bug(error: BaseException) -> Problem:
    """What was not foreseen, as a problem. Names only, no values: the exception's own text may hold anything."""
    place, frame = "an unknown place", error.__traceback__
    while frame is not None:
        module = str(frame.tb_frame.f_globals.get("__name__"))
        if module.partition(".")[0] == "ecapipe":
            place = f"{module}:{frame.tb_lineno}"
        frame = frame.tb_next
    return internal_error(type(error).__name__, place)


@problem(
    "config",
    "No problem and no rule has this name.",
    "Run ecapipe explain to list all names.",
    exit_code=USAGE,
)
def nothing_to_explain(name: str, known: Sequence[str]) -> Wording:
    return say(
        f'There is no problem or rule named "{name}".',
        *did_you_mean(name, known),
        "Run ecapipe explain to list all names.",
    )
