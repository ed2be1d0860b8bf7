"""Problems of what is saved: records, keyring, folder."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import USAGE, Wording, command, listed, problem, say


@problem(
    "config",
    "The folder in which ecapipe keeps its records of runs and its logins cannot be used: it cannot be made, belongs "
    "to somebody else, or others may write to it.",
    "Name a folder that is yours alone in ECAPIPE_STATE_DIR. A run can do without one: use --no-journal.",
)
def state_directory_unusable(directory: str, reason: str) -> Wording:
    return say(
        f"The state directory {directory} cannot be used: {reason}.",
        "Name a folder that is yours alone in ECAPIPE_STATE_DIR.",
        "Or use ecapipe run --no-journal, which keeps no record of the run.",
    )


@problem(
    "config",
    "ECAPIPE_STATE_DIR names a folder from the current one, or from a home with ~, which only a shell knows. Runs "
    "and secrets would lie in another place for each folder that a command is run in.",
    "Set ECAPIPE_STATE_DIR to an absolute path, or unset it.",
    exit_code=USAGE,
)
def state_directory_relative(directory: str) -> Wording:
    return say(
        f"ECAPIPE_STATE_DIR is {directory}, which is no absolute path.",
        'Set it to an absolute path, such as ECAPIPE_STATE_DIR="$HOME/.local/state/ecapipe", or unset it.',
    )


@problem(
    "config",
    "A file of the state directory is not believed: it belongs to somebody else, others may write to it, or read the "
    "secrets in it, or it is a link, a pipe or a device.",
    "If the file is yours, take it back with chmod 600. If it is not, remove it.",
)
def state_file_refused(file: str, reason: str) -> Wording:
    return say(
        f"{file} is not used: {reason}.",
        f"If it is yours, and nobody else has changed it: {command('chmod 600', file)}",
        f"If not: {command('rm', file)}",
        file=file,
    )


# A crash or a full disk cuts off the last line at most: lines are only ever added.
@problem(
    "config",
    "A record of a run is damaged in its middle, which an end of the process at any time does not explain.",
    "Start a run of its own, or resume from a JSON result of that run.",
)
def damaged_record(file: str, line: int, reason: str) -> Wording:
    return say(
        f"{file} is damaged: {reason}.",
        "Start a run without --resume, or resume from a JSON result of that run.",
        file=file,
        line=line,
    )


@problem(
    "config",
    "The record or result of a run was written by a later version of ecapipe.",
    "Use the ecapipe that wrote it, or a later one.",
    exit_code=USAGE,
)
def newer_format(file: str, version: int) -> Wording:
    return say(
        f"{file} was written by a later ecapipe (format {version}), which this one cannot read.",
        "Use the ecapipe that wrote it, or a later one.",
        file=file,
    )


@problem(
    "config",
    "Logins and consumer secrets are kept in the keyring of the operating system, and there is none that can be "
    "used: the library for it is not installed, or nothing here protects what it would be given.",
    "Install the Python package keyring with the command of the message, and run where a keyring is unlocked. Or add "
    "--store file, which keeps secrets unencrypted in files that only you may read.",
)
def keyring_not_found(reason: str, installation: str | None = None) -> Wording:
    """`installation`: the command that installs the library, where it is missing."""
    return say(
        f"There is no keyring to use: {reason}.",
        "Add --store file to keep secrets in files that only you may read; they are not encrypted.",
        *([f"Or install the package into the environment of ecapipe: {installation}"] if installation else []),
    )


@problem(
    "config",
    "The keyring is there and did not do what it was asked: it is locked, somebody refused, or it failed.",
    "Unlock the keyring and run again, or add --store file.",
    retryable=True,
)
def keyring_failed(keyring: str, task: str, reason: str) -> Wording:
    return say(
        f"The keyring ({keyring}) did not {task}: {reason}.",
        "Unlock the keyring, allow the access, and run again.",
        "Or keep secrets in files that only you may read: ecapipe run --save --store file.",
    )


# Windows keeps 2,560 bytes of UTF-16 for an entry.
@problem(
    "config",
    "What was to be kept is larger than an entry of the keyring may be; the one of Windows takes 1,280 characters.",
    "Add --store file, which has no such limit.",
)
def too_large_for_keyring(characters: int, limit: int) -> Wording:
    return say(
        f"An entry of {characters} characters is too large for the keyring, which takes {limit}.",
        "Add --store file to keep it in a file that only you may read.",
    )


@problem(
    "config",
    "A file of a kept login or secret, or its entry in the keyring, is not as ecapipe wrote it. It is left as it is.",
    "Remove it with ecapipe login logout or ecapipe app forget-secret, as the message says, then keep it anew: "
    "ecapipe run --save, or ecapipe app set-secret.",
)
def record_damaged(file: str, reason: str, removal: str) -> Wording:
    return say(
        f"{file} is not as ecapipe wrote it: {reason}.",
        f"Remove it: {removal}",
        "Then keep it anew: ecapipe run --save, or ecapipe app set-secret.",
        file=file,
    )


@problem(
    "config",
    "A login or secret was kept by a newer ecapipe, in a form that this one does not know. It is left as it is.",
    "Update ecapipe, or give this version a place of its own with ECAPIPE_STATE_DIR.",
)
def record_too_new(file: str, version: int, removal: str) -> Wording:
    return say(
        f"{file} has version {version}, which only a newer ecapipe knows.",
        "Update ecapipe to the version that kept it, or a later one.",
        "Or give this version a place of its own: set ECAPIPE_STATE_DIR to another folder.",
        f"Or remove it: {removal}",
        file=file,
    )


@problem(
    "config",
    "Another process works with the same kept login, and did not finish in time.",
    "Run again. If it happens again, look for an ecapipe that hangs.",
    retryable=True,
)
def login_busy(seconds: float) -> Wording:
    return say(
        f"Another process has been working with this kept login for {seconds:g} seconds.",
        "Run again in a moment.",
    )


@problem(
    "config",
    "No login is kept that fits --name and --target-org.",
    "Look at ecapipe login list. ecapipe run --save keeps a login.",
    exit_code=USAGE,
)
def login_not_kept(name: str, known: Sequence[str], suggestions: Sequence[str] = ()) -> Wording:
    message = f"No login is kept for {name}." if name else "No login is kept."
    if known:
        message += f" Kept: {listed(known)}."
    return say(
        message,
        *suggestions,
        "Run ecapipe login list to see what is kept; ecapipe run --save keeps a login.",
    )


@problem(
    "config",
    "Several kept logins fit, and one is needed.",
    "Choose with --name and --target-org; a username or host tells apart what shares an alias.",
    exit_code=USAGE,
)
def login_ambiguous(choices: Sequence[str]) -> Wording:
    return say(
        f"More than one kept login fits: {listed(choices)}.",
        "Choose one with --name APP and --target-org ORG: an alias, a username, a host or a URL.",
    )


@problem(
    "people",
    "Salesforce no longer takes the refresh token of a kept login: it was revoked, it expired, more than five "
    "approvals of the same user pushed it out, or it was used twice although it changes with each use.",
    "Log in again with ecapipe run --save.",
)
def login_expired(subject: str, host: str, description: str, command: str) -> Wording:
    return say(f"{host} no longer takes the kept login of {subject}: {description}.", f"Log in again: {command}")


@problem(
    "config",
    "A kept login cannot get a new access token by itself: it has no refresh token, or lacks the consumer secret "
    "that Salesforce asks for.",
    "Log in again with ecapipe run --save.",
)
def login_not_refreshable(subject: str, reason: str, command: str, variable: str) -> Wording:
    return say(
        f"{subject} cannot be refreshed: {reason}.",
        f"Log in again: {command}",
        f"If only the consumer secret is missing, put it in {variable}.",
    )


@problem(
    "config",
    "A proof was asked for of a kept login whose token is bound to no key: its requests need none.",
    "Leave out --proof, or log in again with --dpop.",
)
def login_not_bound(subject: str, command: str) -> Wording:
    return say(
        f"{subject} needs no proof: its access token is a bearer token.",
        "Leave out --proof, and use --header.",
        f"Or log in again for a token that is bound to a key: {command}",
    )


@problem(
    "network",
    "The org could not be told, or did not confirm, that a kept login is over. It is still kept, and still valid.",
    "Try again when the org can be reached, or forget it here with --forget and revoke it in the org.",
    retryable=True,
)
def not_revoked(subject: str, host: str, reason: str) -> Wording:
    return say(
        f"The login of {subject} was not ended: {reason}. Its tokens stay valid at Salesforce, and it is still kept.",
        f"When {host} can be reached, run ecapipe login logout again.",
        "Or forget it here all the same with --forget, and revoke it in the org: Setup, "
        "Connected Apps OAuth Usage, or Session Management.",
    )
