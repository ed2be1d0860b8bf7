"""Advice on what to install fits the way ecapipe was installed."""

from __future__ import annotations

import subprocess
import tomllib
import venv
from pathlib import Path

import pytest
from commandline import ROOT

from ecapipe.adapters.installation import OPTIONAL

CODE = "from ecapipe.adapters import installation; print(installation.adding('trustme'))"


@pytest.mark.parametrize(
    ("has", "advice"),
    [
        ("pip", "'{python}' -m pip install 'trustme>=1.2,<2'"),
        ("pipx_metadata.json", "pipx inject 'an env' 'trustme>=1.2,<2'"),
        ("nothing", "uv pip install --python '{python}' 'trustme>=1.2,<2'"),
    ],
)
def test_the_command_fits_the_environment(has: str, advice: str, tmp_path: Path) -> None:
    place = tmp_path / "an env"
    venv.create(place, with_pip=has == "pip", symlinks=True)
    (place / has).touch()
    python = place / "bin" / "python"
    run = subprocess.run(
        [python, "-c", CODE], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == advice.format(python=python)


def test_packages_are_those_of_the_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert {*extras["keyring"], *extras["tls"]} == {OPTIONAL["keyring"], OPTIONAL["trustme"]}
