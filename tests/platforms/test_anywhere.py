"""What holds in every system: the program as it is installed there, with nothing of one system alone."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample-project"


def run(
    *words: str, at: Path, status: int = 0, encoding: str = "utf-8", **more: str
) -> subprocess.CompletedProcess[str]:
    """A command in `at`, whose state lies there, too, on a console of that encoding."""
    own = {"ECAPIPE_STATE_DIR": str(at / "state"), "PYTHONIOENCODING": encoding, "CI": "true"}
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("ECAPIPE_", "SF_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "ecapipe", *words], cwd=at, env={**ours, **own, **more},
        stdin=subprocess.DEVNULL, capture_output=True, encoding=encoding, check=False,
    )  # fmt: skip
    assert ended.returncode == status, ended.stdout + ended.stderr
    return ended


def test_it_knows_where_it_runs(tmp_path: Path) -> None:
    lines = run("--version", "--verbose", at=tmp_path).stdout.splitlines()
    assert f"Platform: {platform.platform()}" in lines
    checks = json.loads(run("doctor", "--json", at=tmp_path).stdout)["result"]["checks"]
    assert {"python", "git", "state"} <= {each["name"] for each in checks if each["state"] == "ok"}


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "cp437", "cp932", "ascii"])
def test_the_pipeline_succeeds_on_any_console(encoding: str, tmp_path: Path) -> None:
    words = ("run", "--source-dir", str(SAMPLE), "--name", "Nightly_Reports", "--emulator")
    ended = run(*words, at=tmp_path, encoding=encoding)
    assert "Status: Succeeded" in ended.stdout
    assert ended.stderr == ""
    listed = json.loads(run("runs", "list", "--json", at=tmp_path, encoding=encoding).stdout)["result"]
    assert len(listed["runs"]) == 1


def test_names_of_any_script_are_read_and_written(tmp_path: Path) -> None:
    project = tmp_path / "プロジェクト"
    (project / "force-app").mkdir(parents=True)
    folders = json.dumps({"packageDirectories": [{"path": "force-app", "default": True}]})
    (project / "sfdx-project.json").write_text(folders, encoding="utf-8")
    for encoding in ("utf-8", "cp1252"):
        run("app", "list", "--source-dir", str(project), at=tmp_path, encoding=encoding)
    run("app", "check", "--source-dir", str(project), "--report", "html=été.html", at=tmp_path, status=1)
    assert "</html>" in (tmp_path / "été.html").read_text(encoding="utf-8")


def test_a_report_is_replaced_and_names_files_with_slashes(tmp_path: Path) -> None:
    for _ in range(2):
        run("app", "check", "--source-dir", str(SAMPLE), "--report", "json=out/check.json", at=tmp_path)
    text = (tmp_path / "out/check.json").read_bytes()
    findings = json.loads(text)["result"]["findings"]
    assert findings
    assert all("\\" not in each["file"] for each in findings if each["file"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["check.json"]
    assert b"\r" not in text


def test_a_secret_is_saved_and_forgotten(tmp_path: Path) -> None:
    words = ("Billing_Sync", "--source-dir", str(SAMPLE))
    secret = tmp_path / "secret.txt"
    secret.write_text("0FAKE" * 12 + "\n", encoding="utf-8")
    own = {**os.environ, "ECAPIPE_STATE_DIR": str(tmp_path / "state")}
    with secret.open(encoding="utf-8") as line:
        saved = subprocess.run(
            [sys.executable, "-m", "ecapipe", "app", "set-secret", *words, "--store", "file"],
            cwd=tmp_path, env=own, stdin=line, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert saved.returncode == 0, saved.stderr
    run("app", "forget-secret", *words, at=tmp_path)
