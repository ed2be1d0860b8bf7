"""Files are written whole, with their mode, and never through a link."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ecapipe.adapters.project_tree import writer
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unwritable_file
from ecapipe.project.edits import Change


def change(root: Path, path: str, before: bytes | None, after: bytes) -> Change:
    return Change(str(root), path, str(root), path, before, after, ())


def refused(root: Path, path: str, before: bytes | None) -> str:
    with pytest.raises(EcapipeError) as caught:
        writer.write(change(root, path, before, b"new"))
    assert caught.value.problem.kind is unwritable_file
    return caught.value.problem.message


def test_a_new_file_gets_the_mode_that_the_umask_allows(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        writer.write(change(tmp_path, ".gitignore", None, b"new"))
    finally:
        os.umask(old)
    assert (tmp_path / ".gitignore").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / ".gitignore").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == [".gitignore"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755])
def test_a_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(mode)
    writer.write(change(tmp_path, "a", b"old", b"new"))
    assert (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["a"]


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with (tmp_path / "a").open("rb") as reader:
        writer.write(change(tmp_path, "a", b"old", b"new"))
        assert reader.read() == b"old"


def test_a_file_that_has_changed_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"newer")
    assert "changed in the meantime" in refused(tmp_path, "a", b"old")
    assert "changed in the meantime" in refused(tmp_path, "a", None)
    assert (tmp_path / "a").read_bytes() == b"newer"
    assert "changed in the meantime" in refused(tmp_path, "gone", b"old")
    assert os.listdir(tmp_path) == ["a"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside, project = tmp_path / "outside", tmp_path / "project"
    outside.mkdir()
    project.mkdir()
    (outside / "a").write_bytes(b"old")
    (project / "link").symlink_to(outside / "a")
    (project / "folder").symlink_to(outside)
    (project / "dangling").symlink_to(outside / "nothing")
    assert "a link leads to it" in refused(project, "link", b"old")
    assert "a link leads to it" in refused(project, "folder/a", b"old")
    assert "a link leads to it" in refused(project, "dangling", None)
    assert os.listdir(outside) == ["a"]
    assert (outside / "a").read_bytes() == b"old"


def test_the_project_itself_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("project")
    writer.write(change(tmp_path / "link", "a", b"old", b"new"))
    assert (tmp_path / "project/a").read_bytes() == b"new"


def test_what_the_disk_refuses_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert "Is a directory" in refused(tmp_path, "a", None)
    assert "No such file" in refused(tmp_path, "missing/a", None)
    assert os.listdir(tmp_path) == ["a"]


def test_what_is_written_is_never_shown() -> None:
    shown = repr(Change("/p", "a", "/p", "a", b"FAKE-OLD", b"FAKE-NEW", ()))
    assert "FAKE" not in shown
