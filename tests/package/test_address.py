"""The public address of the repository is kept in one place, and stands the same everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import ROOT

from ecapipe import ADDRESS

KNOWN = "https://github.com/acme/ecapipe"


def address(root: Path, word: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / ".ci/address.py", word], capture_output=True, text=True, check=False
    )


def test_nothing_differs_from_the_one_place() -> None:
    done = address(ROOT, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files that the address may stand in."""
    for name in (".ci", ".github", "ecapipe/problems", "ecapipe/__init__.py", "README.md", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    return tmp_path


def texts(root: Path) -> dict[Path, str]:
    paths = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path: path.read_text(encoding="utf-8") for path in paths}


def test_it_is_written_and_taken_away(clone: Path) -> None:
    before = texts(clone)
    for given in (f"{KNOWN}.git", f"{KNOWN}/"):
        assert address(clone, given).returncode == 0
        assert address(clone, "--check").returncode == 0
        changed = {str(path.relative_to(clone)) for path, text in texts(clone).items() if text != before[path]}
        assert {"README.md", "pyproject.toml", ".github/examples/github.yml", "ecapipe/__init__.py"} < changed
        assert not [name for name in changed if "your-" in (clone / name).read_text(encoding="utf-8")]
    code = "from ecapipe.problems.usage import bug; print(*bug(ValueError()).actions)"
    told = subprocess.check_output([sys.executable, "-c", code], cwd=clone, text=True)
    assert f"at {KNOWN}/issues with" in told
    assert address(clone, ADDRESS).returncode == 0
    assert texts(clone) == before


def test_a_place_that_differs_is_named(clone: Path) -> None:
    readme = clone / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("<!-- /address", "One more line.\n<!-- /address"))
    done = address(clone, "--check")
    assert (done.returncode, done.stdout) == (1, "README.md\n")


def test_nothing_is_installed_by_a_name_that_nobody_holds() -> None:
    """Whoever takes the name in an index would be installed."""
    places = (ROOT / name for name in ("README.md", ".github", "ecapipe"))
    files = [
        file for place in places for file in ([place] if place.is_file() else place.rglob("*.*")) if file.is_file()
    ]
    by_name = re.compile(r"\b(pipx?|tool) install ([-\w]+ )*['\"]?ecapipe(?!/)\b")
    texts = {file: file.read_bytes().decode(errors="replace") for file in files}
    assert [str(file) for file, text in texts.items() if by_name.search(text)] == []
    assert by_name.search("pip install 'ecapipe[keyring]'")


@pytest.mark.parametrize("word", ["ecapipe", "http://github.com/acme/ecapipe", "https://github.com", "https://a/b c"])
def test_only_an_address_is_written(word: str, clone: Path) -> None:
    before = texts(clone)
    assert (address(clone, word).returncode, texts(clone)) == (2, before)
