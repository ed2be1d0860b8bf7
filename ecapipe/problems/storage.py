"""Problems of what is saved: records, keyring, folder."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.problems.problem import USAGE, Wording, command, listed, problem, say


@problem(
    "config",
    "ecapipe can't use the folder in which it stores recorded runs and logins. The folder can't be created, "
    "belongs to another user, or is writable for other users.",
    "Set ECAPIPE_STATE_DIR to a folder that only you can access. A run can also work without it: use --no-journal.",
)
def state_directory_unusable(directory: str, reason: str) -> Wording:
    return say(
        f"The state directory {directory} cannot be used: {reason}.",
        "Set ECAPIPE_STATE_DIR to a folder that only you can access.",
        "Or use ecapipe run --no-journal, which doesn't record the run.",
    )


@problem(
    "config",
    "ECAPIPE_STATE_DIR is a relative path, or starts with ~, which only a shell expands. Runs and secrets would be "
    "stored in a different place for each folder that a command is run in.",
    "Set ECAPIPE_STATE_DIR to an absolute path, or unset it.",
    exit_code=USAGE,
)
def state_directory_relative(directory: str) -> Wording:
    return say(
        f"ECAPIPE_STATE_DIR is {directory}, which is not an absolute path.",
        'Set it to an absolute path, such as ECAPIPE_STATE_DIR="$HOME/.local/state/ecapipe", or unset it.',
    )


@problem(
    "config",
    "ecapipe doesn't trust a file in the state directory. The file belongs to another user, can be changed by other "
    "users, contains secrets that others can read, or is a link, a pipe or a device.",
    "If the file is yours, restrict its permissions with chmod 600. Otherwise remove it.",
)
def state_file_refused(file: str, reason: str) -> Wording:
    return say(
        f"{file} is not used: {reason}.",
        f"If the file is yours, and no one else changed it: {command('chmod 600', file)}",
        f"Otherwise: {command('rm', file)}",
        file=file,
    )


# A crash or a full disk cuts off the last line at most: lines are only ever added.
@problem(
    "config",
    "The record of a run is damaged. Only its last line can be incomplete after a crash, so something else changed "
    "it.",
    "Start a new run, or resume from a JSON result of that run.",
)
def damaged_record(file: str, line: int, reason: str) -> Wording:
    return say(
        f"{file} is damaged: {reason}.",
        "Start a new run without --resume, or resume from a JSON result of that run.",
        file=file,
        line=line,
    )


@problem(
    "config",
    "The record or result was written by a newer version of ecapipe.",
    "Use the version that wrote it, or a later one.",
    exit_code=USAGE,
)
def newer_format(file: str, version: int) -> Wording:
    return say(
        f"{file} was written by a newer version of ecapipe (format {version}), which this version cannot read.",
        "Use the version that wrote it, or a later one.",
        file=file,
    )


@problem(
    "config",
    "ecapipe saves logins and consumer secrets in the keyring of the operating system, but found no keyring to "
    "use. The Python package for it is not installed, or the system has no keyring that protects secrets.",
    "Install the Python package keyring with the command that the message gives, and run where a keyring is "
    "unlocked. Or add --store file, which saves secrets unencrypted in files that only you can read.",
)
def keyring_not_found(reason: str, installation: str | None = None) -> Wording:
    """`installation`: the command that installs the library, where it is missing."""
    return say(
        f"No usable keyring was found: {reason}.",
        "Add --store file to save secrets in files that only you can read. They are not encrypted.",
        *([f"Or install the package in the environment of ecapipe: {installation}"] if installation else []),
    )


@problem(
    "config",
    "The keyring did not perform an operation. It is locked, access was denied, or it failed.",
    "Unlock the keyring and run again, or add --store file.",
    retryable=True,
)
def keyring_failed(keyring: str, task: str, reason: str) -> Wording:
    return say(
        f"The keyring ({keyring}) could not {task}: {reason}.",
        "Unlock the keyring, allow access, and run again.",
        "Or save secrets in files that only you can read: ecapipe run --save --store file.",
    )


# Windows stores 2,560 bytes of UTF-16 for an entry.
@problem(
    "config",
    "The entry is larger than the keyring allows. The keyring of Windows allows 1,280 characters.",
    "Add --store file, which has no such limit.",
)
def too_large_for_keyring(characters: int, limit: int) -> Wording:
    return say(
        f"The entry has {characters} characters, but the keyring allows only {limit}.",
        "Add --store file to save it in a file that only you can read.",
    )


@problem(
    "config",
    "The file of a saved login or secret, or its entry in the keyring, is damaged or was changed by something else "
    "than ecapipe. ecapipe leaves it unchanged.",
    "Remove it with ecapipe login logout or ecapipe app forget-secret, as the message says. Then save it again with "
    "ecapipe run --save or ecapipe app set-secret.",
)
def record_damaged(file: str, reason: str, removal: str) -> Wording:
    return say(
        f"{file} is damaged, or was not written by ecapipe: {reason}.",
        f"Remove it: {removal}",
        "Then save it again: ecapipe run --save, or ecapipe app set-secret.",
        file=file,
    )


@problem(
    "config",
    "A login or secret was saved by a newer version of ecapipe, in a format that this version doesn't know. ecapipe "
    "leaves it unchanged.",
    "Update ecapipe, or set ECAPIPE_STATE_DIR to a separate folder for this version.",
)
def record_too_new(file: str, version: int, removal: str) -> Wording:
    return say(
        f"{file} has format version {version}, which needs a newer version of ecapipe.",
        "Update ecapipe to the version that saved it, or a later one.",
        "Or set ECAPIPE_STATE_DIR to a separate folder for this version.",
        f"Or remove it: {removal}",
        file=file,
    )


@problem(
    "config",
    "Another process is using the same saved login, and did not finish in time.",
    "Run again. If it happens again, check for an ecapipe process that hangs.",
    retryable=True,
)
def login_busy(seconds: float) -> Wording:
    return say(
        f"Another process has been using this saved login for {seconds:g} seconds.",
        "Run again in a moment.",
    )


@problem(
    "config",
    "No saved login matches --name and --target-org.",
    "Check the saved logins with ecapipe login list. To save a login, use ecapipe run --save.",
    exit_code=USAGE,
)
def login_not_kept(name: str, known: Sequence[str], suggestions: Sequence[str] = ()) -> Wording:
    message = f"No login is saved for {name}." if name else "No login is saved."
    if known:
        message += f" Saved: {listed(known)}."
        suggestions = (*suggestions, "Run ecapipe login list to see the saved logins.")
    return say(message, *suggestions, "To save a login, use ecapipe run --save.")


@problem(
    "config",
    "Several saved logins match, and the command needs one.",
    "Select one with --name and --target-org. If several have the same alias, use the username or host.",
    exit_code=USAGE,
)
def login_ambiguous(choices: Sequence[str]) -> Wording:
    return say(
        f"More than one saved login matches: {listed(choices)}.",
        "Select one with --name APP and --target-org ORG: an alias, a username, a host or a URL.",
    )


@problem(
    "people",
    "Salesforce no longer accepts the refresh token of a saved login. It was revoked, it expired, more than five "
    "approvals by the same user replaced it, or it was used twice although it rotates with each use.",
    "Log in again with ecapipe run --save.",
)
def login_expired(subject: str, host: str, description: str, command: str) -> Wording:
    return say(f"{host} refused the saved login of {subject}: {description}.", f"Log in again: {command}")


@problem(
    "config",
    "ecapipe can't get a new access token for the saved login. It has no refresh token, or lacks the consumer secret "
    "that Salesforce requires.",
    "Log in again with ecapipe run --save.",
)
def login_not_refreshable(subject: str, reason: str, command: str, variable: str) -> Wording:
    return say(
        f"The login {subject} cannot be refreshed: {reason}.",
        f"Log in again: {command}",
        f"If only the consumer secret is missing, set {variable} to it.",
    )


@problem(
    "config",
    "A proof was requested for a saved login whose token is not bound to a key: its requests need none.",
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
    "The org could not be reached to revoke a saved login, or did not confirm it. The login is still saved and "
    "valid.",
    "Run again when the org is available. Or remove the login here with --forget, and revoke it in the org.",
    retryable=True,
)
def not_revoked(subject: str, host: str, reason: str, app: str, org: str) -> Wording:
    return say(
        f"The login of {subject} was not revoked: {reason}. It is still saved, and its tokens remain valid.",
        f"When {host} is available, run again: {command('ecapipe login logout', name=app, target_org=org)}",
        "Or remove it here anyway with --forget, and revoke it in the org: Setup, Connected Apps OAuth Usage or "
        "Session Management.",
    )
