"""The recipes for secret managers, run as printed with stand-ins: the secret arrives, and no argument holds it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trees
import yaml
from commandline import ROOT
from fakes.orgs import registered
from fakes.salesforce_cli import StandIn, login
from pipelines import GITHUB, Step

from ecapipe.emulator.server import Emulator

APP, NAME = "Nightly_Reports", "ECAPIPE_CLIENT_SECRET_NIGHTLY_REPORTS_PROD"
SECRET = trees.secret(APP)
RECIPES = dict(
    re.findall(
        r"^## (.*?)\n\n(```.*?```)", (GITHUB / "docs/secret-managers.md").read_text(encoding="utf-8"), re.M | re.S
    )
)
MANAGERS = {
    "vault": ["kv", "get", "-mount=secret", "-field=consumerSecret", "salesforce/nightly-reports/prod"],
    "aws": ["secretsmanager", "get-secret-value", "--secret-id", "nightly-reports-prod", "--query", "SecretString",
            "--output", "text"],
}  # fmt: skip
"""What gives the secret, and what it has to be asked."""

ASKED = f"""#!{sys.executable} -I
import os, pathlib, sys
here = pathlib.Path(__file__)
with here.with_name("asked").open("a") as file:
    print(here.name, *sys.argv[1:], file=file)
"""
OURS = f"os.execv({sys.executable!r}, [{sys.executable!r}, '-m', 'ecapipe', *sys.argv[1:]])\n"
GIVES = ASKED + "known = here.with_name('secret')\nsys.exit(0 if not print(known.read_text()) else 1)\n"
RUNS = ASKED + (
    "secret = here.with_name('secret').read_text()\n"
    "found = {name: secret for name, value in os.environ.items() if value.startswith('op://')}\n"
    "assert sys.argv[1:3] == ['run', '--'] and list(found.values())\n"
    "os.execvpe(sys.argv[3], sys.argv[3:], os.environ | found)\n"
)


@dataclass
class Place:
    """A project without its secret, an org that knows it, and a folder of programs."""

    root: Path

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def asked(self) -> str:
        place = self.bin / "asked"
        return place.read_text() if place.exists() else ""

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, title: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.bin), os.environ["PATH"]])
        variables = {"PATH": path, "HOME": str(self.root / "home"), "PYTHONPATH": str(ROOT), "CI": "true"}
        known = {"secrets.NIGHTLY_REPORTS_PROD": SECRET, "nightly-reports-prod": SECRET}
        if title == "GitLab":
            variables[f"{NAME}_FILE"] = str(self.bin / "secret")
        step = recipe(RECIPES[title], self.bin)
        return step.run(self.root / "project", variables, known)


def recipe(block: str, secrets: Path) -> Step:
    """The one script of a fenced block, and the variables that its system gives it."""
    language, _, text = block.strip("`\n").partition("\n")
    if language == "bash":
        return Step("", text.replace("/run/secrets/nightly-reports-prod", f"{secrets}/secret"), options=())
    if language == "groovy":
        ((credential, variable),) = re.findall(r"credentialsId: '([\w-]+)', variable: '(\w+)'", text)
        (script,) = re.findall(r"sh '(.*)'", text)
        return Step("", script, {variable: f"$({credential})"})
    content = yaml.safe_load(text)
    if isinstance(content, dict):
        return Step("", "\n".join(content["authorize"]["script"]))
    return Step("", content[-1].get("run") or content[-1]["bash"], content[-1]["env"])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    trees.plant(tmp_path / "project", trees.project() | trees.robot(APP, settings={"consumerSecret": None}))
    org = trees.plant(tmp_path / "org", trees.project() | trees.robot(APP))
    sf, place = StandIn(tmp_path / "bin"), Place(tmp_path)
    (place.bin / "secret").write_text(SECRET)
    for name in MANAGERS:
        place.program(name, GIVES)
    place.program("op", RUNS)
    place.program("ecapipe", ASKED + OURS)
    with Emulator(registered(org), orgs=["prod"]) as emulator:
        sf.keeps(login("prod", url=emulator.urls["prod"]))
        yield place


@pytest.mark.parametrize("title", RECIPES)
def test_a_recipe_brings_the_secret_and_no_argument_holds_it(title: str, place: Place) -> None:
    ended = place.run(title)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Status: Succeeded" in ended.stdout
    assert SECRET not in ended.stdout + ended.stderr + place.asked
    managers = [line for line in place.asked.splitlines() if line.split()[0] in MANAGERS]
    assert managers == [line for line in managers if line.split()[1:] == MANAGERS[line.split()[0]]]


@pytest.mark.parametrize("title", ["HashiCorp Vault", "AWS Secrets Manager"])
def test_nothing_is_run_where_the_manager_does_not_give_it(title: str, place: Place) -> None:
    (place.bin / "secret").unlink()
    assert place.run(title).returncode != 0
    assert "ecapipe" not in place.asked


def test_every_recipe_is_tried() -> None:
    assert len(RECIPES) == 8
