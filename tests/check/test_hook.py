"""The gate as git's own pre-commit hook: it sees what the commit takes, whatever way the commit is made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trees
from check import ground
from check.ground import IGNORE, SETTINGS, committed
from commandline import environment

SECRET = trees.secret("Billing")
HOOK = f'#!/bin/sh\nexec "{sys.executable}" -m ecapipe app check --for commit --staged'
NOBODY = {
    "GIT_AUTHOR_NAME": "Nobody", "GIT_AUTHOR_EMAIL": "nobody@example.com",
    "GIT_COMMITTER_NAME": "Nobody", "GIT_COMMITTER_EMAIL": "nobody@example.com",
}  # fmt: skip


def hooked(root: Path) -> Path:
    """A clean project, its settings file ignored, with a script that is tracked, and the hook."""
    base = trees.project() | trees.app(settings=None) | IGNORE | {"login.sh": "made up\n", "other": "made up\n"}
    return hook(ground.ready(root, [*committed(base), trees.app()]))


def hook(root: Path, *options: str) -> Path:
    """The repository, with the gate as its hook."""
    trees.plant(root, {".git/hooks/pre-commit": " ".join([HOOK, *options])})
    (root / ".git/hooks/pre-commit").chmod(0o755)
    return root


def commit(root: Path, *arguments: str, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "commit", "--quiet", "--message", "made up", *arguments],
        cwd=root, env=environment(root.parent, **NOBODY, **variables), input=typed, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def leak(root: Path) -> None:
    trees.plant(root, {"login.sh": f"client_secret={SECRET}\n"})


def paths(root: Path) -> subprocess.CompletedProcess[str]:
    return commit(root, "--", "login.sh")


def only(root: Path) -> subprocess.CompletedProcess[str]:
    trees.plant(root, {"other": "changed\n"})
    ground.git(root, "add", "other")
    return commit(root, "--only", "login.sh")


def include(root: Path) -> subprocess.CompletedProcess[str]:
    return commit(root, "--include", "login.sh")


def everything(root: Path) -> subprocess.CompletedProcess[str]:
    return commit(root, "--all")


def hunks(root: Path) -> subprocess.CompletedProcess[str]:
    return commit(root, "--patch", typed="y\n")


def index_of_ones_own(root: Path) -> subprocess.CompletedProcess[str]:
    (root.parent / "index").write_bytes((root / ".git/index").read_bytes())
    lent = {"GIT_INDEX_FILE": str(root.parent / "index")}
    subprocess.run(["git", "add", "login.sh"], cwd=root, env={**os.environ, **lent}, check=True)
    return commit(root, **lent)


def amended(root: Path) -> subprocess.CompletedProcess[str]:
    return commit(root, "--amend", "--", "login.sh")


def from_a_folder(root: Path) -> subprocess.CompletedProcess[str]:
    return commit(root / "force-app", "--", "../login.sh")


WAYS = [paths, only, include, everything, hunks, index_of_ones_own, amended, from_a_folder]


@pytest.mark.parametrize("way", WAYS, ids=lambda each: each.__name__)
def test_what_is_committed_is_checked(
    way: Callable[[Path], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    root = hooked(tmp_path / "project")
    leak(root)
    before = ground.git(root, "rev-parse", "HEAD")
    ended = way(root)
    assert ended.returncode == 1, ended
    assert "This file holds the consumer secret of" in ended.stderr + ended.stdout
    assert ground.git(root, "rev-parse", "HEAD") == before

    trees.plant(root, {"login.sh": "without it\n"})
    assert way(root).returncode == 0
    assert ground.git(root, "rev-parse", "HEAD") != before


@pytest.mark.parametrize("kind", ["LITERAL", "GLOB", "NOGLOB", "ICASE"])
def test_what_git_was_told_of_paths_hides_nothing(kind: str, tmp_path: Path) -> None:
    """Some programs commit with --literal-pathspecs, which git hands on to its hooks."""
    root = hooked(tmp_path / "project")
    ground.git(root, "add", "--force", SETTINGS)
    assert commit(root, **{f"GIT_{kind}_PATHSPECS": "1"}).returncode == 1


def test_what_is_not_committed_is_not_checked(tmp_path: Path) -> None:
    root = hooked(tmp_path / "project")
    leak(root)
    ground.git(root, "add", "login.sh")
    trees.plant(root, {"other": "changed\n"})
    assert commit(root, "--", "other").returncode == 0
    assert commit(root).returncode == 1


def test_a_work_tree_lends_its_own_index(tmp_path: Path) -> None:
    ground.git(hooked(tmp_path / "project"), "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    trees.plant(tmp_path / "linked", trees.app())
    leak(tmp_path / "linked")
    assert commit(tmp_path / "linked", "--", "login.sh").returncode == 1


def test_what_git_lends_a_hook_is_for_its_own_repository(tmp_path: Path) -> None:
    outer = hooked(tmp_path / "outer")
    inner = ground.ready(outer / "inner", [*committed(trees.project() | trees.app(settings=None)), trees.app()])
    ground.git(inner, "add", "--force", SETTINGS)
    hook(outer, "--source-dir inner")
    trees.plant(outer, {"other": "changed\n"})
    ended = commit(outer, "--", "other")
    assert ended.returncode == 1
    assert "would add the consumer secret of" in ended.stderr + ended.stdout


def test_a_commit_of_a_project_without_apps_goes_through_in_silence(tmp_path: Path) -> None:
    root = hook(ground.ready(tmp_path / "project", [trees.project() | {"force-app/a": "made up\n"}, "add --all"]))
    ended = commit(root)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_repository_without_a_project_is_no_objection(tmp_path: Path) -> None:
    """Nor to a word: the hook may be one for all repositories of somebody."""
    root = hook(ground.ready(tmp_path / "other", committed({"login.sh": "made up\n"})))
    leak(root)
    ended = commit(root, "--all")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_a_commit_to_a_repository_of_several_projects_is_checked_in_each_without_arguments(tmp_path: Path) -> None:
    projects = {f"{place}/{path}": text for place in ("a", "b/c") for path, text in trees.project().items()}
    root = hook(ground.ready(tmp_path / "mono", committed(projects | {"README": "made up\n"})))
    trees.plant(root, {"README": "changed\n"})
    ground.git(root, "add", "README")
    clean = commit(root)
    assert (clean.returncode, clean.stderr) == (0, "")
    trees.plant(root, {f"b/c/{path}": text for path, text in trees.app().items()})
    ground.git(root, "add", "--force", ".")
    stopped = commit(root)
    assert stopped.returncode == 1
    assert "Billing" in stopped.stdout + stopped.stderr
