"""Files are written whole, with their mode, and never through a link."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecapipe.adapters.storage import writer
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unwritable_file
from ecapipe.project.edits import Change


def change(root: Path, path: str, before: bytes | None, after: bytes) -> Change:
    return Change(str(root), path, str(root), path, before, after, ())


def refused(root: Path, path: str, before: bytes | None) -> str:
    with pytest.raises(EcapipeError) as caught:
        writer.amend(change(root, path, before, b"new"))
    assert caught.value.problem.kind is unwritable_file
    return caught.value.problem.message


def test_a_new_file_gets_the_mode_that_the_umask_allows(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        writer.amend(change(tmp_path, ".gitignore", None, b"new"))
    finally:
        os.umask(old)
    assert (tmp_path / ".gitignore").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / ".gitignore").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == [".gitignore"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o755])
def test_a_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "a").chmod(mode)
    writer.amend(change(tmp_path, "a", b"old", b"new"))
    assert (tmp_path / "a").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["a"]


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    writer.write(str(tmp_path / ("a" * 255)), b"new")
    assert os.listdir(tmp_path) == ["a" * 255]


FULL = """
import os, sys
from ecapipe.adapters.storage import writer
from ecapipe.problems.problem import EcapipeError
def write(name, content, private=True):
    try:
        writer.write(os.path.join(sys.argv[1], name), content, private=private)
    except EcapipeError as error:
        print(error.problem.actions[0])
    print(open(os.path.join(sys.argv[1], name)).read())
write("record", b"quite long"); write("report", b"old", private=False)
with open(os.path.join(sys.argv[1], "rest"), "wb", 0) as rest:
    try:
        while rest.write(b"." * 4096): pass
    except OSError: pass
write("record", b"short"); write("record", b"rather long"); write("record", b"." * 5000)
write("report", b"new", private=False)
print(sorted(os.listdir(sys.argv[1])))
"""


def test_a_private_file_is_written_over_where_the_disk_has_no_room_for_another(tmp_path: Path) -> None:
    own = ["unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o size=16k tmpfs "$1" && exec "$2" -c "$3" "$1"', "sh"]
    if subprocess.run([*own[:3], "true"], capture_output=True, check=False).returncode:
        pytest.skip("there can be no disk of our own")
    command = [*own, str(tmp_path), sys.executable, FULL]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    refusal = "Free up disk space, then run again."
    told = ["quite long", "old", "short", "rather long", refusal, "rather long", refusal, "old"]
    assert (ended.stdout.splitlines(), ended.stderr) == ([*told, "['record', 'report', 'rest']"], "")


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with (tmp_path / "a").open("rb") as reader:
        writer.amend(change(tmp_path, "a", b"old", b"new"))
        assert reader.read() == b"old"


@pytest.mark.parametrize("refusals", [0, 2, 3])
def test_what_windows_refuses_for_a_moment_is_tried_again(refusals: int) -> None:
    tries: list[int] = []

    def replace() -> None:
        tries.append(len(tries))
        if len(tries) <= refusals:
            raise PermissionError(13, "The process cannot access the file")

    if refusals > 2:
        with pytest.raises(PermissionError):
            writer.insist(replace, waits=(0, 0))
    else:
        writer.insist(replace, waits=(0, 0))
    assert len(tries) == min(refusals + 1, 3)


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
    assert "its path contains a link" in refused(project, "link", b"old")
    assert "its path contains a link" in refused(project, "folder/a", b"old")
    assert "its path contains a link" in refused(project, "dangling", None)
    assert os.listdir(outside) == ["a"]
    assert (outside / "a").read_bytes() == b"old"


def test_the_project_itself_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project/a").write_bytes(b"old")
    (tmp_path / "link").symlink_to("project")
    writer.amend(change(tmp_path / "link", "a", b"old", b"new"))
    assert (tmp_path / "project/a").read_bytes() == b"new"


def test_what_the_disk_refuses_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert "it is a folder" in refused(tmp_path, "a", None)
    assert "no such file" in refused(tmp_path, "missing/a", None)
    assert os.listdir(tmp_path) == ["a"]


def test_what_is_written_is_never_shown() -> None:
    shown = repr(Change("/p", "a", "/p", "a", b"FAKE-OLD", b"FAKE-NEW", ()))
    assert "FAKE" not in shown


def _tree(tmp_path: Path) -> tuple[Path, Path]:
    """A repository with a project and folders in it, and a folder outside with one file."""
    root, outside = tmp_path / "repository/project", tmp_path / "outside"
    for folder in (tmp_path / "repository/.git", root / "out", outside):
        folder.mkdir(parents=True)
    (outside / "target").write_bytes(b"old")
    return root, outside


SHAPES: dict[str, Callable[[Path, Path], str]] = {
    "last part": lambda root, outside: _link(root / "out/a", outside / "target"),
    "relative": lambda root, outside: _link(root / "out/a", "../../../outside/target"),
    "dangling": lambda root, outside: _link(root / "out/a", outside / "new"),
    "inside": lambda root, outside: _link(root / "out/a", "b"),
    "itself": lambda root, outside: _link(root / "out/a", "a"),
    "folder": lambda root, outside: _link(root / "out/f", outside) + "/target",
    "new in folder": lambda root, outside: _link(root / "out/f", outside) + "/new",
    "new folder in folder": lambda root, outside: _link(root / "out/f", outside) + "/deep/er/new",
    "folder inside": lambda root, outside: _link(root / "f", "out") + "/new",
    "way in": lambda root, outside: _link(root / "f", "..") + "/project/out/new",
    "up from a link": lambda root, outside: _link(root / "out/f", outside) + "/../outside/target",
    "link to a link": lambda root, outside: _link(root / "f", _link(root / "g", outside)) + "/target",
    "above the project": lambda root, outside: _link(root.parent / "f", outside) + "/target",
    "up to the repository": lambda root, outside: _link(root.parent / "f", outside)[:-1] + "project/../f/target",
    "user's link to the tree's": lambda root, outside: (
        _link(outside / "in", root) + "/" + os.path.basename(_link(root / "f", outside)) + "/target"
    ),
    "user's link to a file": lambda root, outside: _link(outside / "a", outside / "target"),
}


def _link(link: Path, target: Path | str) -> str:
    link.symlink_to(target)
    return str(link)


@pytest.mark.parametrize("is_submodule", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_written_through_a_link_of_a_tree(shape: str, is_submodule: bool, tmp_path: Path) -> None:
    root, outside = _tree(tmp_path)
    if is_submodule:
        (root / ".git").write_text("gitdir: ../.git/modules/project\n")
    path = SHAPES[shape](root, outside)
    before = sorted(os.listdir(outside))
    assert writer.obstacle(path, [str(root)])
    for write in (writer.write, writer.write_report):
        with pytest.raises(EcapipeError) as caught:
            write(path, b"new", trees=[str(root)])
        assert caught.value.problem.kind is unwritable_file
        assert path in caught.value.problem.message
        assert "its path contains a link" in caught.value.problem.message
    assert sorted(os.listdir(outside)) == before
    assert (outside / "target").read_bytes() == b"old"
    assert sorted(os.listdir(root / "out")) in ([], ["a"], ["f"])


def test_links_of_the_user_are_followed_and_folders_made(tmp_path: Path) -> None:
    root, outside = _tree(tmp_path)
    (outside / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "way in").symlink_to(root)
    for path in (outside / "link/new", tmp_path / "way in/out/../x/new", root / "x/y/../z/new", outside / "target"):
        assert writer.obstacle(str(path), [str(root)]) is None
        writer.write_report(str(path), b"text", trees=[str(root)])
        assert path.read_text() == "text"


def test_only_regular_files_are_replaced(tmp_path: Path) -> None:
    root, _ = _tree(tmp_path)
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(os.path.relpath(root / "plug"))
        for name in ("folder", "pipe", "plug"):
            with pytest.raises(EcapipeError, match=r"folder|not a regular file"):
                writer.write_in_project(str(root), name, b"new")
        assert writer.obstacle(str(root / "plug"), []) == (
            "it is not a regular file",
            "Specify a path that you can write to.",
        )
    writer.write_report("/dev/null", b"text", trees=[str(root)])
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_report_goes_to_what_is_open(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w") as file:
        path = f"/dev/fd/{file.fileno()}"
        assert writer.obstacle(path, []) is None
        writer.write_report(path, b"text", trees=[])
    assert (tmp_path / "a").read_text() == "text"


def test_a_link_that_is_swapped_in_gets_nothing(tmp_path: Path) -> None:
    """Somebody swaps folder and file for links, and back, as fast as can be."""
    root, outside = _tree(tmp_path)
    (outside / "out").mkdir()
    swap = (
        "import os, sys\nroot, outside = sys.argv[1:]\nprint(flush=True)\n"
        "while True:\n"
        "    os.rename(root + '/out', root + '/kept'); os.symlink(outside + '/out', root + '/out')\n"
        "    os.unlink(root + '/out'); os.rename(root + '/kept', root + '/out')\n"
    )
    command = [sys.executable, "-c", swap, str(root), str(outside)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        outcomes = set()
        try:
            deadline = time.monotonic() + 2
            while time.monotonic() < deadline:
                try:
                    writer.write(str(root / "out/a"), b"new", trees=[str(root)])
                    outcomes.add("written")
                except EcapipeError:
                    outcomes.add("refused")
        finally:
            process.kill()
    assert outcomes == {"written", "refused"}
    assert os.listdir(outside / "out") == []
