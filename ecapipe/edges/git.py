"""git, read only; the only module that meets GitPython."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence

from ecapipe.world import Repository, Ruling

_BATCH = 500

# core.fsmonitor is a command that the repository itself may name: nothing of a tree is run.
_LIST = ("git", "--literal-pathspecs", "-c", "core.fsmonitor=false", "ls-files", "-z", "--")

# --no-index: what the ignore files say of a path, whether git tracks it or not.
_DECIDE = (
    "git",
    "-c",
    "core.fsmonitor=false",
    "check-ignore",
    "-z",
    "--stdin",
    "--verbose",
    "--non-matching",
    "--no-index",
)


def tracked(root: str, paths: Sequence[str]) -> frozenset[str]:
    """Those of `paths` (relative to `root`) that are in the index of the repository around `root`.

    Empty where git cannot tell: no git program, no repository, or one that git refuses to read.
    """
    if not _in_repository(root):
        return frozenset()
    try:
        import git
    except ImportError:  # GitPython raises it when there is no git program
        return frozenset()
    listed: set[str] = set()
    real: dict[str, str] = {}
    try:
        with git.Repo(root, search_parent_directories=True) as repository:
            top = os.path.realpath(str(repository.working_tree_dir))
            real = {path: os.path.relpath(os.path.realpath(os.path.join(root, path)), top) for path in paths}
            # A single name outside of the repository would make git refuse all of them.
            inside = sorted({name for name in real.values() if not _leaves(name)})
            for start in range(0, len(inside), _BATCH):
                batch = inside[start : start + _BATCH]
                output = repository.git.execute([*_LIST, *batch], with_extended_output=False)
                listed.update(str(output).split("\0"))
    except (git.InvalidGitRepositoryError, git.NoSuchPathError, git.GitCommandError, git.GitCommandNotFound):
        pass  # git cannot tell, or not of all of them
    return frozenset(path for path, name in real.items() if name in listed)


def rulings(root: str, paths: Sequence[str]) -> Repository | None:
    """What ignore files say of `paths` (relative to `root`, and perhaps not there yet).

    None where git cannot tell: no git program, no repository, or one that git refuses to read.
    """
    if not _in_repository(root):
        return None
    try:
        import git
    except ImportError:  # GitPython raises it when there is no git program
        return None
    try:
        with git.Repo(root, search_parent_directories=True) as repository, tempfile.TemporaryFile() as asked:
            top = os.path.realpath(str(repository.working_tree_dir))
            home = os.path.relpath(os.path.realpath(root), top)
            real = {path: os.path.relpath(os.path.realpath(os.path.join(root, path)), top) for path in paths}
            # A single name outside of the repository would make git refuse all of them.
            inside = [path for path in paths if not _leaves(real[path])]
            asked.write(b"".join(os.fsencode(real[path]) + b"\0" for path in inside))
            asked.seek(0)
            status, output, _ = repository.git.execute(
                list(_DECIDE),
                istream=asked,
                with_extended_output=True,
                with_exceptions=False,
                strip_newline_in_stdout=False,
            )
    except (git.InvalidGitRepositoryError, git.NoSuchPathError, git.GitCommandError, git.GitCommandNotFound):
        return None
    answers = str(output).split("\0")[:-1]
    if status not in (0, 1) or _leaves(home) or len(answers) != 4 * len(inside):
        return None
    lines = zip(answers[0::4], answers[2::4], strict=True)
    found = {path: _ruling(*line) for path, line in zip(inside, lines, strict=True)}
    return Repository(top.replace(os.sep, "/"), home.replace(os.sep, "/"), found)


def _ruling(source: str, pattern: str) -> Ruling | None:
    shared = os.path.basename(source) == ".gitignore" and not os.path.isabs(source)
    return Ruling(source if shared else None, not pattern.startswith("!")) if source else None


def _leaves(path: str) -> bool:
    """Whether a path relative to the top of a repository leads out of it."""
    return path == os.pardir or path.startswith(os.pardir + os.sep)


def _in_repository(folder: str) -> bool:
    """Whether a ``.git`` lies in `folder` or above, which is cheaper to tell than to load what reads it."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        folder, last = os.path.dirname(folder), folder
        if folder == last:
            return False
    return True
