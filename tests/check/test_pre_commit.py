"""The commit hook, as the real pre-commit installs and runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trees
from check import ground
from check.ground import IGNORE, SETTINGS, committed

ROOT = Path(__file__).parents[2]
SHIPPED = ("ecapipe", "pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml")
PRE_COMMIT = (sys.executable, "-m", "pre_commit")

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]  # the hook is installed with all its dependencies


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository that offers the hook, as this checkout is now."""
    root = tmp_path_factory.mktemp("ecapipe")
    for name in SHIPPED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    return ground.ready(root, committed())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pre-commit keeps what it has installed."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def clone(hook: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clean project with the hook installed."""
    monkeypatch.setenv("PRE_COMMIT_HOME", str(cache))
    revision = ground.git(hook, "rev-parse", "HEAD").strip()
    config = f"repos:\n- repo: {hook}\n  rev: {revision}\n  hooks:\n  - id: ecapipe-check\n"
    files = trees.project() | trees.app(settings=None) | IGNORE | {".pre-commit-config.yaml": config}
    root = ground.ready(tmp_path / "clone", [*committed(files), trees.app()])
    subprocess.run([*PRE_COMMIT, "install", "--install-hooks"], cwd=root, check=True, capture_output=True)
    return root


def commit(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [
        "git",
        "-c",
        "user.name=Nobody",
        "-c",
        "user.email=nobody@example.com",
        "commit",
        "--message",
        "made up",
    ]
    return subprocess.run([*command, *arguments], cwd=root, capture_output=True, text=True, check=False)


def test_a_commit_without_a_secret_goes_through(clone: Path) -> None:
    trees.plant(clone, {"README.md": "made up\n"})
    ground.git(clone, "add", "--all")
    ended = commit(clone)
    assert ended.returncode == 0, ended.stderr
    assert "ecapipe app check" in ended.stderr
    assert "Passed" in ended.stderr


def test_a_commit_with_a_settings_file_is_stopped(clone: Path) -> None:
    ground.git(clone, "add", "--force", SETTINGS)
    ended = commit(clone)
    assert ended.returncode == 1
    assert f"{SETTINGS}:5\n" in ended.stderr
    assert "The next commit would add the consumer secret of" in ended.stderr
    assert trees.secret("Billing")[:8] not in ended.stdout + ended.stderr
    assert ground.git(clone, "log", "--format=%s").count("\n") == 1


@pytest.mark.parametrize("way", [("login.sh",), ("--all",)])
def test_a_commit_with_the_secret_anywhere_is_stopped(way: tuple[str, ...], clone: Path) -> None:
    trees.plant(clone, {"login.sh": "made up\n"})
    ground.git(clone, "add", "login.sh")
    assert commit(clone).returncode == 0
    trees.plant(clone, {"login.sh": f"curl -d client_secret={trees.secret('Billing')}\n"})
    ended = commit(clone, *way)  # git lends the hook an index of its own
    assert ended.returncode == 1
    assert "This file holds the consumer secret of" in ended.stderr


def test_a_worktree_and_all_files_are_checked_alike(clone: Path, tmp_path: Path) -> None:
    ground.git(clone, "worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
    trees.plant(tmp_path / "other", trees.app())
    ground.git(tmp_path / "other", "add", "--force", SETTINGS)
    assert commit(tmp_path / "other").returncode == 1
    command = [*PRE_COMMIT, "run", "--all-files"]
    assert subprocess.run(command, cwd=clone, capture_output=True, env=dict(os.environ), check=False).returncode == 0
    ended = subprocess.run(command, cwd=tmp_path / "other", capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "secret-staged" in ended.stdout
