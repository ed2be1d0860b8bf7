"""Problems whose remedy is git."""

from __future__ import annotations

from ecapipe.problems.problem import USAGE, Wording, command, problem, quote, say

OTHER_GIT = (
    "A git inside this repository or project is ignored. To use another, set ECAPIPE_GIT=/absolute/path/to/git."
)


def git_command(line: str, path: str, root: str | None = None) -> str:
    """A git command about one file, named from `root` or from where it is to be run."""
    git = f"git -C {quote(root)}" if root else "git"
    # git reads names as patterns.
    if path.startswith(":") or any(character in path for character in "*?[\\"):
        git += " --literal-pathspecs"
    return f"{git} {line} -- {quote(path)}"


# safe.directory is git's answer to CVE-2022-24765: the configuration of a foreign repository can name programs.
@problem(
    "config",
    "ecapipe could not get information from git. There is no repository or no git program, or git refuses to read "
    "the repository.",
    "Read the reason in the message. A repository that belongs to another user has to be listed in git's "
    "safe.directory.",
)
def git_unavailable(directory: str, reason: str) -> Wording:
    trust = command("git config --global --add safe.directory", directory)
    actions = {
        "there is no repository": ("Run in a clone of the repository.",),
        "there is no git program": ("Install git.", OTHER_GIT),
        "the git program does not work": ("Reinstall git.", OTHER_GIT),
        "the repository is broken": ("Run in another clone.",),
    }.get(reason)
    if actions is None:
        actions = ("Run in a clone that belongs to you.", OTHER_GIT, f"If you trust this one: {trust}")
    return say(f"git could not be used in {directory}: {reason}.", *actions)


@problem(
    "config",
    "The revision specified with --since or --project-config-from is not in the repository.",
    "Correct the revision, or fetch it: CI systems often clone only the latest commit.",
    exit_code=USAGE,
)
def unknown_revision(revision: str) -> Wording:
    return say(
        f'There is no revision "{revision}" in the repository.',
        "Specify a branch, a tag or a commit.",
        "If the clone is shallow, fetch more: git fetch --unshallow.",
    )
