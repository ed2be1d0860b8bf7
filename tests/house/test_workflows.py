"""The scripts of the workflows, run as far as they go without the network."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trees
import yaml

from ecapipe import __version__

ROOT = Path(__file__).parents[2]
WORKFLOWS = ROOT / ".github/workflows"
BUILT = {"ecapipe-1.whl": "wheel", "ecapipe-1.tar.gz": "sdist", "ecapipe-1.cdx.json": "parts"}
SUMS = "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n" for name, text in BUILT.items())

BOTH = ("first", "second")
OTHER_SUMS = SUMS.replace("1", "2")


@dataclass(frozen=True)
class Case:
    """What a script finds: variables and files; what it asks of other programs, and the packages it takes."""

    status: int = 0
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    asks: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


def built(*folders: str, **changes: str) -> dict[str, str]:
    files = BUILT | {"SHA256SUMS": SUMS}
    return {f"{folder}/{name}": text for folder in folders for name, text in files.items()} | changes


OUTPUTS = {"EXIT_CODE": "0", "ERRORS": "0", "SARIF": "ecapipe.sarif"}
CASES: Mapping[str, list[Case]] = {
    "ci: Gate": [Case(asks=(".ci/run",))],
    "ci: Build the image, and check the sample project in it": [
        Case(asks=("docker build --file .github/docker/Dockerfile --tag ecapipe .",
                   f"docker run --rm --user {os.getuid()} --volume HERE:/project:ro ecapipe app check --source-dir "
                   "sample-project")),
    ],
    "ci: Install": [Case(asks=("python -m pip install --quiet --editable .[dev]",))],
    "ci: Install shells and a keyring": [
        Case(asks=("sudo apt-get update -qq",
                   "sudo apt-get install -qqy --no-install-recommends dbus fish gnome-keyring zsh")),
    ],
    "ci: Test with other versions of what ecapipe needs": [Case(0, {"LEG": "lowest"}, asks=(".ci/leg lowest",))],
    "ci: Test": [Case(asks=("python -m pytest tests/platforms",))],
    "ci: See what the action says": [
        Case(0, OUTPUTS, {"ecapipe.sarif": "{}"}),
        Case(1, OUTPUTS),
        Case(1, OUTPUTS | {"ERRORS": ""}, {"ecapipe.sarif": "{}"}),
        Case(1, OUTPUTS | {"EXIT_CODE": "1"}, {"ecapipe.sarif": "{}"}),
    ],
    "release: Compare the tag with the version": [
        Case(0, {"TAG": f"v{__version__}"}),
        Case(1, {"TAG": __version__}),
        Case(1, {"TAG": "v0.0.1"}),
    ],
    "release: Build": [Case(asks=(".ci/build",))],
    "release: Compare them": [
        Case(0, files=built(*BOTH)),
        Case(1, files=built(*BOTH, **{"second/ecapipe-1.whl": "another"})),
        Case(2, files=built("first")),
        Case(1, files=built(*BOTH, **{f"{each}/SHA256SUMS": OTHER_SUMS for each in BOTH})),
    ],
    "release: Take the packages": [
        Case(files=built("dist"), packages=("ecapipe-1.tar.gz", "ecapipe-1.whl")),
    ],
    "release: Make the release": [
        Case(variables={"TAG": "v1"}, files=built("dist"), asks=(
            "gh release create v1 dist/SHA256SUMS dist/ecapipe-1.cdx.json dist/ecapipe-1.tar.gz dist/ecapipe-1.whl "
            "--verify-tag --title v1 --notes-from-tag",)),
    ],
}  # fmt: skip
"""Each script, by its workflow and step."""


def scripts() -> dict[str, Any]:
    return {
        f"{path.stem}: {step['name']}": step
        for path in WORKFLOWS.glob("*.yml")
        for job in yaml.safe_load(path.read_text())["jobs"].values()
        for step in job["steps"]
        if "run" in step
    }


def test_every_script_has_its_cases() -> None:
    assert CASES.keys() == scripts().keys()


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_a_script_does_what_its_step_says(name: str, case: Case, tmp_path: Path) -> None:
    trees.plant(tmp_path / "here", {"ecapipe/__init__.py": (ROOT / "ecapipe/__init__.py").read_text(), **case.files})
    record = f'#!/bin/sh\nname="${{0#{tmp_path}/here/}}"\necho "${{name##*/bin/}}" "$@" >> {tmp_path}/asked\n'
    programs = ["here/.ci/run", "here/.ci/build", "here/.ci/leg", "bin/sudo", "bin/python", "bin/gh", "bin/docker"]
    trees.plant(tmp_path, dict.fromkeys(programs, record))
    for program in programs:
        (tmp_path / program).chmod(0o755)
    step = scripts()[name]
    assert set(case.variables) <= set(step.get("env", {}))
    ended = subprocess.run(
        [shutil.which("bash") or "bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=tmp_path / "here",
        env={**case.variables, "PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == case.status, ended.stderr
    asked = tmp_path / "asked"
    assert (asked.read_text().replace(str(tmp_path / "here"), "HERE").splitlines() if asked.exists() else []) == [
        *case.asks
    ]
    packages = sorted(path.name for path in tmp_path.glob("here/packages/*"))
    assert packages == [*case.packages]


def test_what_the_scripts_ask_for_is_there() -> None:
    for name in ("run", "build", "leg"):
        assert os.access(ROOT / ".ci" / name, os.X_OK)
    assert [*(ROOT / "tests/platforms").glob("test_*.py")]
