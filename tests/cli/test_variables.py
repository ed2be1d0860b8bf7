"""``app list --variables``: the names that a batch would read, and which are set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trees
import yaml
from commandline import ROOT, Ended, ecapipe, environment
from render.test_json_schemas import strict

ORGS = tuple(f"org{number}" for number in range(1, 13))
VALUE = "A0B1C2D3E4F5A6B7C8D9E0F1A2B3C4D5"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    trees.plant(tmp_path, trees.project() | trees.robot("Billing") | trees.robot("Robot"))
    rows = [f"{name},https://acme--{name}.sandbox.my.salesforce.com," for name in ORGS]
    rows[2] += "SECRET_OF_3"
    (tmp_path / "orgs.csv").write_text("\n".join(("alias,url,secretEnv", *rows)), encoding="utf-8")
    return tmp_path


def run(home: Path, *words: str) -> Ended:
    values = {"ECAPIPE_CLIENT_SECRET_BILLING_ORG1": VALUE, "ECAPIPE_CLIENT_SECRET_BILLING_ORG2_FILE": "/nowhere"}
    faults = {"ECAPIPE_CLIENT_SECRET_BILLING_ORG4": "", "ECAPIPE_CLIENT_SECRET_BILLING_ORG5": "changeme"}
    ended = ecapipe("app", "list", "--variables", *words, at=home, **values, **faults)
    assert VALUE not in ended.out + ended.err
    assert ended.status == 0
    return ended


def test_twelve_orgs_and_two_apps_are_listed_name_by_name(home: Path) -> None:
    ended = run(home, "--file", "orgs.csv", "--json")
    strict("app-list").validate(ended.document)
    found = {(each["app"], each["name"]): each for each in ended.result["variables"]}
    # An org's own for each app, one for all orgs, and that of the row, which stands for all others there.
    assert sum(each["field"] == "consumerSecret" for each in found.values()) == 2 * (11 + 1 + 1)
    assert found["Billing", "SECRET_OF_3"]["org"] == "org3"
    assert found["Robot", "ECAPIPE_CLIENT_SECRET_ROBOT"]["org"] is None
    states = {name[-4:]: (each["state"], each["set"]) for (app, name), each in found.items() if app == "Billing"}
    assert states["ORG1"], states["ORG2"] == (("set", True), ("file", True))
    assert (states["ORG4"], states["ORG5"]) == (("empty", False), ("placeholder", False))
    assert states["RG12"] == ("unset", False)


def test_people_read_a_line_for_each_name(home: Path) -> None:
    lines = run(home, "-f", "orgs.csv").out.splitlines()
    assert len(lines) == 2 * (1 + 13 + 1) + 1
    assert "  ECAPIPE_CLIENT_SECRET_BILLING_ORG1   org1: set" in lines
    assert lines[-1].startswith("2 of 26 variables are set.")
    assert max(map(len, lines)) <= 80


def test_the_guide_prints_what_a_github_job_passes_on(home: Path) -> None:
    guide = (ROOT / ".github/docs/ci.md").read_text(encoding="utf-8")
    (line,) = (line for line in guide.splitlines() if line.startswith("ecapipe app list") and "| sed" in line)
    program = home / "bin/ecapipe"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ecapipe "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    out = subprocess.run(
        ["sh", "-c", line], cwd=home, env=environment(home, PATH=path), capture_output=True, text=True
    )
    job = yaml.safe_load(f"env:\n{out.stdout}")["env"]
    assert len(out.stdout.splitlines()) == len(job) == 2 * 11 + 1  # the third org has one variable for both apps
    assert job["ECAPIPE_CLIENT_SECRET_ROBOT_ORG12"] == "${{ secrets.ECAPIPE_CLIENT_SECRET_ROBOT_ORG12 }}"


def test_without_orgs_or_apps_there_is_less_to_list(home: Path) -> None:
    names = [each["name"] for each in run(home, "-n", "Robot", "--json").result["variables"]]
    assert names == [
        *("ECAPIPE_CLIENT_ID_ROBOT", "ECAPIPE_CLIENT_ID", "ECAPIPE_CLIENT_SECRET_ROBOT", "ECAPIPE_CLIENT_SECRET"),
    ]
    trees.plant(home / "empty", trees.project())
    assert run(home, "-d", "empty", "--json").result["variables"] == []
