"""The guide's files for lefthook and husky, installed and run by the real ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trees
from check import ground
from check.ground import IGNORE, committed
from interop import installed
from interop.program import environment

pytestmark = pytest.mark.interop

GUIDE = (installed.HERE.parents[1] / ".github/docs/deploy-and-hooks.md").read_text(encoding="utf-8")
INSTALL = {"lefthook.yml": ["lefthook", "install"], ".husky/pre-commit": ["husky"]}
FILES = dict(re.findall(r"```(?:yaml|bash)\n# (\S+)\n(.*?)```", GUIDE, re.DOTALL))


def run(at: Path, *words: str) -> subprocess.CompletedProcess[str]:
    programs = (str(Path(sys.executable).parent), str(installed.node().parent), str(installed.PROGRAMS))
    env = environment(at.parent, PATH=os.pathsep.join([*programs, os.environ["PATH"]]))
    return subprocess.run(words, cwd=at, env=env, capture_output=True, text=True, timeout=100, check=False)


def test_the_guide_has_a_file_for_each() -> None:
    assert {*FILES} == {*INSTALL}


@pytest.mark.parametrize("file", INSTALL)
def test_a_commit_with_a_secret_is_stopped_and_one_without_goes_through(file: str, tmp_path: Path) -> None:
    base = trees.project() | trees.app(settings=None) | IGNORE | {file: FILES[file], "login.sh": "made up\n"}
    root = ground.ready(tmp_path / "project", [*committed(base), trees.app()])
    ground.git(root, "config", "user.name", "Nobody")
    ground.git(root, "config", "user.email", "nobody@example.com")
    ended = run(root, *INSTALL[file])
    assert ended.returncode == 0, ended
    trees.plant(root, {"login.sh": f"client_secret={trees.secret('Billing')}\n"})
    ended = run(root, "git", "commit", "--all", "--message", "made up")
    assert ended.returncode == 1, ended
    assert "This file holds the consumer secret of" in ended.stdout + ended.stderr
    trees.plant(root, {"login.sh": "without it\n"})
    ended = run(root, "git", "commit", "--all", "--message", "made up")
    assert ended.returncode == 0, ended
    assert ground.git(root, "log", "--format=%s").count("\n") == 2
