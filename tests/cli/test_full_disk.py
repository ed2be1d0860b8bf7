"""A disk that takes nothing: what was there stays, nothing is spent that could not be kept, and it is said."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trees
from commandline import PATIENCE, PROGRAM, Ended, ecapipe, environment
from fakes.batch import Batch, batch
from fakes.rotation import staged

TREE = {".gitignore": "# mine\n", ".forceignore": "# mine\n", "accepted.json": '{"version": 1, "accepted": []}\n'}


@pytest.fixture
def orgs(tmp_path: Path) -> Iterator[Batch]:
    with batch(tmp_path / "project") as made:
        plugins = {"ecapipe": {"baseline": "accepted.json"}}
        trees.plant(made.root, trees.project(plugins=plugins) | TREE)
        yield made


def full(*words: str, at: Path, **variables: str) -> Ended:
    """Run a command where no file may have a byte; Python ignores the signal that comes with that."""
    ended = subprocess.run(
        [*PROGRAM, *words, "--json"],
        cwd=at,
        env=environment(at, **variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def test_a_run_reports_its_logins(orgs: Batch, tmp_path: Path) -> None:
    ended = full(*orgs.run(), "--report", "junit=run.xml", at=tmp_path)
    assert (ended.status, len(ended.result["successes"])) == (1, 3)
    assert ended.document["warnings"] == [
        "This run is not recorded, so it cannot be resumed: file too large.",
        "run.xml was not written: file too large.",
    ]
    assert not (tmp_path / "run.xml").exists()


def test_a_merge_says_which_report_is_missing(orgs: Batch, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(ecapipe(*orgs.run(), "--json", at=tmp_path).out)
    ended = full("report", "merge", "run.json", "--report", "junit=run.xml", at=tmp_path)
    assert (ended.status, len(ended.result["successes"])) == (1, 3)
    assert ended.document["warnings"] == ["run.xml was not written: file too large."]


def test_no_login_that_could_not_be_saved_is_begun(orgs: Batch, tmp_path: Path) -> None:
    ended = full(*orgs.run(), "--save", "--store", "file", at=tmp_path)
    assert (ended.status, {each["name"] for each in ended.result["failures"]}) == (1, {"UnwritableFile"})
    assert not orgs.asked()


@pytest.mark.parametrize("words", [("app", "protect"), ("app", "check", "--update-baseline")])
def test_a_project_stays_as_it_was(orgs: Batch, tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = full(*words, "-d", str(orgs.root), at=tmp_path)
    assert (ended.status, ended.document["name"]) == (1, "UnwritableFile")
    assert {name: (orgs.root / name).read_text() for name in TREE} == TREE


def test_no_rotation_is_begun(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        words = scene.words("-n", "Robot", "--deliver", "receiver set {variable}")
        before = scene.requests
        ended = full(*words, at=scene.home, **scene.variables)
        (failure,) = ended.result["failures"]
        # Not even for what the Salesforce CLI complains of.
        assert (ended.status, failure["name"]) == (1, "SfFailed")
        assert "no temporary file could be made" in failure["message"]
        assert scene.requests == before
