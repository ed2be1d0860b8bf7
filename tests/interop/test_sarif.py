"""Reports in SARIF, judged by Microsoft's SARIF Multitool and the schema that it carries."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import trees
from commandline import SAMPLE, ecapipe
from interop import installed

pytestmark = pytest.mark.interop

FOLDER = installed.FOLDER / "node_modules/@microsoft/sarif-multitool-linux"
HOSTILE = "https://evil.example/?a=1&b=<script>alert('x')</script>\u202e%41 {0} [link](http://evil.example)"


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((FOLDER / "sarif-2.1.0.json").read_text()))


def judged(report: Path) -> list[tuple[str, str]]:
    """What the Multitool says of a report: level and rule of each of its findings."""
    program, verdict = FOLDER / "Sarif.Multitool", report.with_suffix(".verdict")
    program.chmod(0o755)
    subprocess.run(
        [program, "validate", report, "--output", verdict],
        env={**os.environ, "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"},
        capture_output=True,
        timeout=100,
        check=False,
    )
    (run,) = json.loads(verdict.read_text())["runs"]
    return [(result.get("level", "warning"), result["ruleId"]) for result in run.get("results", ())]


def approved(report: Path, schema: jsonschema.Draft202012Validator) -> dict[str, Any]:
    """The report, if both have nothing to object. A tool without a home page has no address to give."""
    document = json.loads(report.read_text())
    schema.validate(document)
    assert [finding for finding in judged(report) if finding != ("warning", "SARIF2005")] == []
    return dict(document["runs"][0])


@pytest.mark.parametrize("purpose", ["login", "deploy", "commit"])
def test_findings(tmp_path: Path, schema: jsonschema.Draft202012Validator, purpose: str) -> None:
    changes: trees.Elements = {"callbackUrl": HOSTILE, "consumerSecret": "REPLACE_ME", "isPkceRequired": "false"}
    root = trees.plant(tmp_path / "a project", trees.project() | trees.app("Billing", settings=changes))
    report = tmp_path / "check.sarif"
    ecapipe("app", "check", "-d", str(root), "--for", purpose, "--report", f"sarif={report}", at=tmp_path)
    assert approved(report, schema)["results"]


def test_nothing_found(tmp_path: Path, schema: jsonschema.Draft202012Validator) -> None:
    report = tmp_path / "check.sarif"
    ecapipe("app", "check", "-d", str(SAMPLE), "--fail-on", "error", "--report", f"sarif={report}", at=tmp_path)
    assert approved(report, schema)["tool"]["driver"]["name"] == "ecapipe"


def test_a_run_that_fails(tmp_path: Path, schema: jsonschema.Draft202012Validator) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.app(settings={"consumerSecret": None}))
    report = tmp_path / "run.sarif"
    ended = ecapipe("run", "-d", str(root), "-o", "http://localhost:1", "--report", f"sarif={report}", at=tmp_path)
    assert ended.status == 1
    assert approved(report, schema)["results"]
