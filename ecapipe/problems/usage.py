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
    command,
    did_you_mean,
    listed,
    option,
    problem,
    say,
)


@problem(
    "config",
    "The command line asks for something ecapipe does not know, or gives a value it cannot use.",
    "Read the message, then the command's help.",
    exit_code=USAGE,
)
def usage_error(message: str, command: str, *hints: str) -> Wording:
    return say(message, *hints, f"See {command} --help.")


@problem(
    "config",
    "A folder or file named with --source-dir, --metadata-dir, --credentials-dir or --file, or as sourceDir of an "
    "org, does not exist.",
    "Correct the path. It is relative to the current directory, sourceDir to the batch file or the project.",
    exit_code=USAGE,
)
def source_dir_not_found(path: str, flag: str = "--source-dir") -> Wording:
    return say(f'The path "{path}", given with {flag}, does not exist.', "Name an existing folder or file.")


@problem(
    "config",
    "A file that the command line names does not exist.",
    "Correct the path. It is relative to the current directory.",
    exit_code=USAGE,
)
def file_not_found(path: str, flag: str) -> Wording:
    return say(f'The file "{path}", given with {flag}, does not exist.', "Name an existing file.")


@problem(
    "config",
    "An app named with --name is not among the external client apps of the project.",
    "Use the exact developer name, as ecapipe app list prints it.",
    exit_code=USAGE,
)
def unknown_app(name: str, known: Sequence[str]) -> Wording:
    return say(
        f'There is no external client app "{name}". Known: {listed(known)}.',
        *did_you_mean(name, known),
        "Run ecapipe app list to see the apps of this project.",
    )


# Standard output is the token and nothing else, to be read by another program.
@problem(
    "config",
    "--print-token prints one token, and the run has more than one target, or none.",
    "Choose one app with --name and one org with --target-org.",
    exit_code=USAGE,
)
def not_one_target(count: int) -> Wording:
    return say(
        f"--print-token needs exactly one app in one org; this run has {count}.",
        "Choose the app with --name and the org with --target-org.",
    )


@problem(
    "config",
    "--set-default makes one org the default of the Salesforce CLI, and the run has several.",
    "Choose one org with --target-org, or set the default afterwards: sf config set target-org ALIAS.",
    exit_code=USAGE,
)
def not_one_default(count: int) -> Wording:
    return say(
        f"--set-default needs exactly one org; this run has {count}.",
        "Choose the org with --target-org.",
        "Or leave the flag out, and choose afterwards: sf config set target-org ALIAS",
    )


@problem(
    "config",
    "--retrieve would put the apps of several orgs into one folder.",
    "Give each org a sourceDir of its own, or none.",
    exit_code=USAGE,
)
def not_one_source(folder: str, orgs: Sequence[str]) -> Wording:
    return say(
        f"--retrieve would put the apps of several orgs into {folder}: {listed(orgs)}.",
        "Give each org a sourceDir of its own, or none.",
    )


@problem(
    "config",
    "No chosen app is meant for any of the chosen orgs, so there is nothing to log in to.",
    "Choose other apps or orgs, or correct the apps that the batch file or plugins.ecapipe.orgs names for the orgs.",
    exit_code=USAGE,
)
def nothing_paired(apps: Sequence[str], orgs: Sequence[str]) -> Wording:
    selection = f"of the chosen apps ({listed(apps)})" if apps else "app"
    return say(
        f"No {selection} is meant for any of the chosen orgs: {listed(orgs)}.",
        "Name one of the apps that are meant for these orgs with --name, or correct the apps of the orgs.",
    )


@problem(
    "config",
    "Two apps or orgs would read the same environment variable, so ecapipe cannot tell whose value it is.",
    "Rename one of them, or name the variable with secretEnv in plugins.ecapipe.orgs.",
    exit_code=USAGE,
)
def ambiguous_variable(variable: str, first: str, second: str) -> Wording:
    return say(
        f'The environment variable {variable} would serve both "{first}" and "{second}".',
        f"Unset {variable} and supply each secret in another way, or select one app with --name.",
        "Or let an org name a variable of its own, as secretEnv in the batch file or in plugins.ecapipe.orgs.",
    )


@problem(
    "config",
    "A file or folder of the project, or one that a flag or a variable names, could not be read.",
    "The message says why: correct the path, or replace the file, or give the user that runs ecapipe the right to "
    "read it.",
)
def unreadable_file(file: str, reason: str) -> Wording:
    reason = reason[:1].lower() + reason[1:]
    remedy = _REMEDIES.get(reason, "Look at {file}, and replace it or name another.")
    return say(f"{file} could not be read: {reason}.", remedy.format(file=file), file=file)


_REMEDIES: Final = {
    "no such file or directory": "Make sure that {file} is there, or name another.",
    "not a directory": "Correct the path: a part of it is no folder.",
    "is a directory": "Name a file: {file} is a folder.",
    "permission denied": "Check the permissions of {file}.",
    "operation not permitted": "Check the permissions of {file}.",
}
"""What to do about a file that could not be read, by the system's reason."""


def in_metadata_format(file: str, way: str) -> Problem:
    """The problem of a file that is not read for its format; `way` is the option that reads such files."""
    problem = unreadable_file(file, "it is in metadata format")
    actions = (f"To read such files: {way}",)
    return replace(problem, message=f"{file} is in metadata format, and was not read.", actions=actions)


def given_with(flag: str, problem: Problem) -> Problem:
    """The problem of a file that the command line names: whatever it is, the command line has to change."""
    return replace(problem, message=f"{flag}: {problem.message}", exit_code=USAGE)


@problem(
    "config",
    "A file that was to be changed could not be written. It is as it was: files are replaced whole or not at all.",
    "Do what the message says is in the way, then run again; what is done already is not done twice.",
)
def unwritable_file(file: str, reason: str, is_link: bool = False) -> Wording:
    """`is_link`: the reason is a link, which might lead anywhere."""
    action = f"Make sure that you may write {file} and that nothing else does, then run again."
    if is_link:
        action = "Put a folder or a file of its own in the place of the link, or name a path without links."
    return say(f"{file} was not written: {reason}.", action, file=file)


@problem(
    "config",
    "No record of the run that --resume or runs show names is there, or none of this project. Only the last runs are "
    "kept.",
    "List the runs with ecapipe runs list. A JSON result of a run serves --resume just as well: give its path.",
    exit_code=USAGE,
)
def run_not_found(run: str | None, known: Sequence[str], resumes: bool) -> Wording:
    message = "There is no record of a run of this project."
    if run:
        message = f"There is no record of a run {run}."
    return say(
        message,
        *did_you_mean(run or "", known),
        "List the runs with ecapipe runs list.",
        *(["Run without --resume."] if resumes else []),
    )


@problem(
    "config",
    "Several runs start with what was given.",
    "Give more of the name of the run.",
    exit_code=USAGE,
)
def run_ambiguous(run: str, candidates: Sequence[str]) -> Wording:
    return say(f"Several runs start with {run}: {listed(candidates)}.", "Give more of the name.")


@problem(
    "config",
    "--resume alone repeats the command line of the run. Its paths count from the folder it was given in, and it "
    "is not recorded if something in it looks like a secret.",
    "Go to that folder, or give the options of the run beside --resume.",
    exit_code=USAGE,
)
def options_not_repeatable(run: str, folder: str | None) -> Wording:
    reason, actions = "they look as if they held a secret, and were not recorded", list[str]()
    if folder:
        reason = f"it was started in {folder}"
        actions.append(f"{command('cd', folder)} && {command('ecapipe run', resume=run)}")
    return say(
        f"The options of run {run} cannot be repeated here: {reason}.",
        *actions,
        f"Give the options that matter, the orgs above all, beside {option('resume', run)}",
    )


@problem(
    "config",
    "Another ecapipe is at work on the run that is to be resumed: two of them would do the same logins twice.",
    "Wait until it has ended, or end it; then run again.",
)
def run_going_on(run: str) -> Wording:
    return say(
        f"Run {run} is still going on, or is being resumed.",
        "Wait until it has ended, or end it; then run again.",
        "Or start a run of its own, without --resume.",
    )


@problem(
    "config",
    "The file is not what ecapipe run prints with --json, or has been changed since.",
    "Give the JSON that ecapipe run --json printed, or that --report json=FILE wrote, as it is.",
    exit_code=USAGE,
)
def malformed_result(file: str, reason: str) -> Wording:
    return say(
        f"{file} is no result of ecapipe run: {reason}.",
        "Give the JSON that ecapipe run --json printed, or that --report json=FILE wrote, as it is.",
        file=file,
    )


# Without this, a job that never ran would look like one in which everything went well.
@problem(
    "config",
    "The results that were put together are not all parts of their run: of the others' targets nothing is known.",
    "Wait for the jobs that are missing, or run them again; then put all results together.",
)
def shards_missing(shards: Sequence[str]) -> Wording:
    shard = shards[0] if shards else "K/N"
    return say(
        f"The result of shard {listed(shards)} is missing.",
        "Run ecapipe report merge again with the results of all shards.",
        f"Run the missing one, with its other options: {command('ecapipe run', shard=shard)}",
    )


@problem(
    "people",
    "The changes were shown and not agreed to, so nothing was written.",
    "Run again and answer y, or use --no-prompt to write without being asked.",
)
def not_confirmed() -> Wording:
    return say(
        "Nothing was written: the changes were not confirmed.",
        "Run again and answer y, or use --no-prompt to write without being asked.",
    )


@problem(
    "config",
    "One app is meant, and several of the projects that were named have one of that name.",
    "Name one project with --source-dir, or in a batch file the tree of each org in sourceDir.",
    exit_code=USAGE,
)
def app_in_several_projects(app: str, projects: Sequence[str]) -> Wording:
    return say(
        f"{app} is in more than one project: {listed(projects)}.",
        "Name the one that is meant with --source-dir.",
    )


@problem(
    "people",
    "The run was interrupted (Ctrl-C, SIGTERM, or a terminal that was closed).",
    "Run again for what did not finish.",
    exit_code=INTERRUPTED,
    retryable=True,
)
def interrupted() -> Wording:
    return say("Interrupted.", "Run again for what did not finish.")


@problem(
    "config",
    "The current folder was deleted.",
    "Change to a folder that exists, then run again.",
)
def no_current_folder() -> Wording:
    return say("The current folder does not exist any more.", "Change to another folder, then run again.")


@problem(
    "config",
    "Standard output could not be written to. What was done is done; what it came to is only in the journal and in "
    "reports.",
    "Make room where the output goes, or send it elsewhere, then run again.",
)
def output_not_written(reason: str) -> Wording:
    return say(
        f"Standard output was not written: {reason}.",
        "Make room where it goes, or send it elsewhere, then run again: ecapipe runs list shows what is recorded.",
    )


@problem(
    "config",
    "A mistake in ecapipe. Where it came up in one app or login, the others went on.",
    "Report it with the version and the place that the message names; they hold no secret.",
    exit_code=BUG,
)
def internal_error(kind: str, place: str) -> Wording:
    return say(
        f"ecapipe failed with {kind} at {place}. This is a bug in ecapipe.",
        f"Report it{ADDRESS and f' at {ADDRESS}/issues'} with the output of ecapipe --version --verbose and this "
        "message; they hold no secret.",
    )


def bug(error: BaseException) -> Problem:
    """What nobody foresaw, as a problem. Names only, no values: the exception's own text may hold anything."""
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
    "Run ecapipe explain for the list.",
    exit_code=USAGE,
)
def nothing_to_explain(name: str, known: Sequence[str]) -> Wording:
    return say(
        f'There is no problem or rule named "{name}".',
        *did_you_mean(name, known),
        "Run ecapipe explain to list all names.",
    )
