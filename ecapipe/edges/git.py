"""git, read only; the only module that meets GitPython."""

from __future__ import annotations

import os
from collections.abc import Sequence

_BATCH = 500


def tracked(root: str, paths: Sequence[str]) -> frozenset[str]:
    """Those of `paths` (relative to `root`) that are in the index of the repository around `root`.

    Empty where git cannot tell: no git program, no repository, or one that git refuses to read.
    """
    try:
        import git
    except ImportError:  # GitPython raises it when there is no git program
        return frozenset()
    found: set[str] = set()
    try:
        with git.Repo(root, search_parent_directories=True) as repository:
            top = os.path.realpath(str(repository.working_tree_dir))
            names = {os.path.relpath(os.path.realpath(os.path.join(root, path)), top): path for path in paths}
            listed = list(names)
            for start in range(0, len(listed), _BATCH):
                batch = listed[start : start + _BATCH]
                output = repository.git.execute(
                    ["git", "--literal-pathspecs", "ls-files", "-z", "--", *batch], with_extended_output=False
                )
                found.update(names[name] for name in str(output).split("\0") if name in names)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError, git.GitCommandError, git.GitCommandNotFound):
        return frozenset(found)
    return frozenset(found)
