"""git, read only; the only module that meets GitPython."""

from __future__ import annotations

import os
from collections.abc import Sequence

_BATCH = 500

# core.fsmonitor is a command that the repository itself may name: nothing of a tree is run.
_LIST = ("git", "--literal-pathspecs", "-c", "core.fsmonitor=false", "ls-files", "-z", "--")


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
            inside = sorted({name for name in real.values() if not name.startswith(os.pardir + os.sep)})
            for start in range(0, len(inside), _BATCH):
                batch = inside[start : start + _BATCH]
                output = repository.git.execute([*_LIST, *batch], with_extended_output=False)
                listed.update(str(output).split("\0"))
    except (git.InvalidGitRepositoryError, git.NoSuchPathError, git.GitCommandError, git.GitCommandNotFound):
        pass  # git cannot tell, or not of all of them
    return frozenset(path for path, name in real.items() if name in listed)


def _in_repository(folder: str) -> bool:
    """Whether a ``.git`` lies in `folder` or above, which is cheaper to tell than to load what reads it."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        folder, last = os.path.dirname(folder), folder
        if folder == last:
            return False
    return True
