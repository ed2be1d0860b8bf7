"""``ecapipe app`` as a program: offline, and honest about what it finds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import trees
from cli.promises import APP, CHECK, FINDING, LIST, PROJECT, SUMMARY
from commandline import SAMPLE, Ended, ecapipe, inside, together

SETTINGS = f"{trees.DEFAULT}/extlClntAppGlobalOauthSets/{{}}_glbloauth.ecaGlblOauth-meta.xml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A ready app, one without a secret, one without settings, and a file that cannot be read; no file is anybody
    else's to read."""
    planted = trees.plant(
        tmp_path / "project",
        trees.project()
        | trees.app("Ready")
        | trees.app("Silent", settings={"consumerSecret": None})
        | trees.app("Lost", settings=None)
        | {SETTINGS.format("Broken"): "<ExtlClntAppGlobalOauthSettings"},
    )
    (planted / SETTINGS.format("Ready")).chmod(0o600)
    return planted


def test_a_list_has_complete_and_incomplete_apps(project: Path, tmp_path: Path) -> None:
    command = ["app", "list", "-d", "project"]
    as_json, as_lines = together([[*command, "--json"], command], tmp_path)
    result = as_json.result
    assert (as_json.status, as_json.err) == (0, "")
    assert set(result) == LIST
    assert [set(each) for each in result["projects"]] == [PROJECT]
    assert [set(each) for each in result["apps"]] == [APP] * 3
    assert [(app["name"], app["settingsFile"]) for app in result["apps"]] == [
        ("Lost", None),
        ("Ready", SETTINGS.format("Ready")),
        ("Silent", SETTINGS.format("Silent")),
    ]
    (warning,) = as_json.document["warnings"]
    assert SETTINGS.format("Broken") in warning
    assert as_lines.status == 0
    assert [line.split()[0] for line in as_lines.out.splitlines()[2:5]] == ["Lost", "Ready", "Silent"]
    assert as_lines.err == f"Warning: {warning}\n"


def test_a_list_of_nothing_is_empty(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project())
    assert inside("app", "list", "--json", at=tmp_path).result["apps"] == []
    assert inside("app", "list", at=tmp_path) == Ended(0, "No external client apps found.\n", "")


def test_a_check_names_what_is_wrong_and_where(project: Path, tmp_path: Path) -> None:
    command = ["app", "check", "-d", "project"]
    as_json, as_lines = (inside(*command, *more, at=tmp_path) for more in (["--json"], []))
    assert as_json.status == 1
    result = as_json.result
    assert set(result) == CHECK
    assert [set(finding) for finding in result["findings"]] == [FINDING] * 3
    assert {(finding["rule"], finding["app"], finding["line"]) for finding in result["findings"]} == {
        ("malformed-xml", None, 1),
        ("consumer-secret-missing", "Silent", None),
        ("settings-missing", "Lost", None),
    }
    assert all(finding["actions"] for finding in result["findings"])
    assert len({finding["fingerprint"] for finding in result["findings"]}) == 3
    assert set(result["summary"]) == SUMMARY
    assert result["summary"] == {"error": 3, "warning": 0, "note": 0, "accepted": 0}
    assert as_lines.status == 1
    assert "  error  malformed-xml  " in as_lines.out
    assert f"      {SETTINGS.format('Broken')}:1\n" in as_lines.out
    assert as_lines.out.endswith("Checked 3 apps: 3 errors, 0 warnings, 0 notes.\n")


def test_a_check_of_one_app_is_about_that_app(project: Path, tmp_path: Path) -> None:
    (project / SETTINGS.format("Broken")).unlink()
    ended = inside("app", "check", "-d", "project", "--name", "Ready", "--json", at=tmp_path)
    assert (ended.status, ended.result["findings"]) == (0, [])
    assert [app["name"] for app in ended.result["apps"]] == ["Ready"]


def test_a_secret_that_the_environment_supplies_is_not_missing(project: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("made-up\n")
    command = ("app", "check", "-d", "project", "-n", "Silent", "--json")
    for variables in (
        {"ECAPIPE_CLIENT_SECRET_SILENT": "made-up"},
        {"ECAPIPE_CLIENT_SECRET": "made-up"},
        {"ECAPIPE_CLIENT_SECRET_SILENT_FILE": str(tmp_path / "secret")},
    ):
        ended = inside(*command, at=tmp_path, **variables)
        rules = {finding["rule"] for finding in ended.result["findings"]}
        assert "consumer-secret-missing" not in rules
        assert ended.result["apps"][0]["credentials"]["consumerSecret"]["source"] == "environment"


def test_a_settings_file_in_git_is_a_warning_and_no_failure(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project() | trees.app("Ready"))
    (tmp_path / SETTINGS.format("Ready")).chmod(0o600)
    clean = inside("app", "check", "--json", at=tmp_path)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, capture_output=True, timeout=30)
    tracked = ecapipe("app", "check", "--json", at=tmp_path)
    assert clean.result["findings"] == []
    assert tracked.status == 0
    assert {(finding["rule"], finding["level"], finding["file"]) for finding in tracked.result["findings"]} == {
        ("secret-tracked-by-git", "warning", SETTINGS.format("Ready")),
        ("secret-staged", "warning", SETTINGS.format("Ready")),
        ("settings-not-gitignored", "note", SETTINGS.format("Ready")),
    }


def test_the_sample_project_is_ready(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE, tmp_path / "sample")
    ended = inside("app", "check", "-d", "sample", "--json", at=tmp_path)
    assert ended.status == 0
    assert ended.result["summary"]["error"] == 0


def test_it_can_be_asked_from_anywhere_in_the_project(project: Path) -> None:
    ended = inside("app", "list", "--json", at=project / trees.DEFAULT / "externalClientApps")
    assert ended.result["projects"] == [{"root": str(project), "packageDirectories": ["force-app"]}]
    assert len(ended.result["apps"]) == 3
