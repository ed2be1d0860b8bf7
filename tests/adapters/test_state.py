"""The state directory is its user's alone, and its locks exclude everybody else."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import environment
from hypothesis import example, given
from hypothesis import strategies as st

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import private_folder, state
from ecapipe.problems.problem import USAGE, EcapipeError, Problem
from ecapipe.problems.storage import state_directory_relative, state_directory_unusable, state_file_refused
from ecapipe.problems.usage import usage_error

modes = st.integers(0, 0o777)
BUSY = usage_error("somebody else has it", "ecapipe")


def at(path: Path) -> Environment:
    return Environment({"ECAPIPE_STATE_DIR": str(path)})


def mode(path: Path | str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def problem(path: Path) -> Problem:
    with pytest.raises(EcapipeError) as caught:
        state.directory(at(path))
    assert caught.value.problem.kind is state_directory_unusable
    actions = " ".join(caught.value.problem.actions)
    assert "--no-journal" in actions
    assert "ECAPIPE_STATE_DIR" in actions
    return caught.value.problem


def test_it_is_made_for_its_user_alone(tmp_path: Path) -> None:
    made = state.directory(at(tmp_path / "new" / "state"))
    assert made == str(tmp_path / "new" / "state")
    assert mode(made) == 0o700
    assert state.directory(at(tmp_path / "new" / "state")) == made


def test_a_folder_in_it_is_private_even_where_it_was_not(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0o755)
    assert mode(state.folder(at(tmp_path), "runs")) == 0o700
    assert mode(state.folder(at(tmp_path), "logins")) == 0o700


@pytest.mark.parametrize("home", ["XDG_STATE_HOME", "HOME"])
def test_without_the_variable_it_is_where_the_system_has_such_things(tmp_path: Path, home: str) -> None:
    program = (
        "from ecapipe.adapters import environment; from ecapipe.adapters.storage import state;"
        "print(state.directory(environment.process()), end='')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment(tmp_path) | {home: str(tmp_path)}, capture_output=True
    )
    assert ended.stderr == b""
    path = Path(ended.stdout.decode())
    assert path.is_relative_to(tmp_path)
    assert path.name == "ecapipe"
    assert mode(path) == 0o700


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1))
@example("~/state")
@example("./state")
def test_what_is_no_absolute_path_is_refused(name: str) -> None:
    environment = Environment({"ECAPIPE_STATE_DIR": name.lstrip("/") or "."})
    for use in (state.directory, state.named, state.place):
        with pytest.raises(EcapipeError) as caught:
            use(environment)
        assert caught.value.problem.kind is state_directory_relative
        assert caught.value.problem.exit_code == USAGE


def test_one_that_cannot_be_made_is_a_problem_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "not a folder" in problem(tmp_path / "file").message
    assert "not a directory" in problem(tmp_path / "file" / "below").message


def test_one_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert "other users can write to it" in problem(tmp_path).message
    tmp_path.chmod(0o755)
    assert state.directory(at(tmp_path)) == str(tmp_path)
    assert mode(tmp_path) == 0o755, "a folder that somebody named is theirs to open"


STRANGER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@as_root
@given(depth=st.sampled_from(["state", "state/runs"]), owner=st.sampled_from([0, STRANGER]), mode=modes)
def test_a_folder_is_believed_only_if_it_is_ours(
    tmp_path_factory: pytest.TempPathFactory, depth: str, owner: int, mode: int
) -> None:
    root = tmp_path_factory.mktemp("x")
    (root / "state/runs").mkdir(parents=True)
    (root / depth).chmod(mode)
    os.chown(root / depth, owner, -1)
    reason = "other users can write to it" if mode & 0o022 else None
    if owner == STRANGER:
        reason = "it belongs to another user"
    for use in (state.existing, state.folder):
        assert refusal(use, at(root / "state"), "runs") == reason


@as_root
@given(owner=st.sampled_from([0, STRANGER]), mode=modes, private=st.booleans())
def test_a_file_is_believed_only_if_it_is_ours(
    tmp_path_factory: pytest.TempPathFactory, owner: int, mode: int, private: bool
) -> None:
    file = tmp_path_factory.mktemp("x") / "file"
    file.write_text("planted")
    file.chmod(mode)
    os.chown(file, owner, -1)
    reason = "other users can read it" if private and mode & 0o077 else None
    if mode & 0o022:
        reason = "other users can write to it"
    if owner == STRANGER:
        reason = "it belongs to another user"
    assert refusal(lambda: state.open_file(str(file), private=private).close()) == reason


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "device", "socket", "folder"])
def test_what_is_no_file_is_neither_followed_nor_waited_for(tmp_path: Path, kind: str) -> None:
    (tmp_path / "target").write_text("planted")
    path = tmp_path / "file"
    with socket.socket(socket.AF_UNIX) as end:
        match kind:
            case "link":
                path.symlink_to("target")
            case "dangling":
                path.symlink_to("nothing")
            case "pipe":
                os.mkfifo(path)
            case "device":
                path.symlink_to("/dev/zero")
            case "socket":
                end.bind(str(path))
            case _:
                path.mkdir()
        assert refusal(lambda: state.open_file(str(path)).close()) == "it is not a regular file"
        assert refusal(lambda: state.lock(str(path), BUSY).__enter__()) == "it is not a regular file"


def test_a_pipe_among_what_runs_have_left_is_not_waited_for(tmp_path: Path) -> None:
    home = Path(state.folder(at(tmp_path), private_folder.FOLDER))
    (home / "left").mkdir()
    os.mkfifo(home / "pipe")
    private_folder.sweep(at(tmp_path))
    assert [each.name for each in home.iterdir()] == ["pipe"]


def test_a_link_is_not_followed_below_the_state_directory_and_may_lead_to_it(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state/logins").symlink_to("../other")
    (tmp_path / "link").symlink_to("state")
    for use in (state.existing, state.folder):
        assert refusal(use, at(tmp_path / "state"), "logins") == "it is not a folder"
        assert use(at(tmp_path / "link"), "runs") == str(tmp_path / "link/runs")


def refusal(work: Callable[..., object], *arguments: object) -> str | None:
    """The reason why something is not believed; None if it is."""
    try:
        work(*arguments)
    except EcapipeError as error:
        problem = error.problem
    else:
        return None
    assert problem.kind in (state_directory_unusable, state_file_refused)
    return problem.message.rpartition(": ")[2].rstrip(".")


def test_a_lock_excludes_other_threads_until_it_is_let_go(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    with state.lock(path, BUSY):
        assert mode(path) == 0o600
        with pytest.raises(EcapipeError) as caught, state.lock(path, BUSY):
            pass
        assert caught.value.problem is BUSY
    got = threading.Event()

    def take() -> None:
        with state.lock(path, BUSY, 10):
            got.set()

    with state.lock(path, BUSY):
        thread = threading.Thread(target=take)
        thread.start()
        assert not got.wait(0.1)
    thread.join(10)
    assert got.is_set()


HOLDER = "import sys; from ecapipe.adapters.storage import state; \
held = state.lock(sys.argv[1], None); held.__enter__(); \
print(flush=True); sys.stdin.read()"


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    path = str(tmp_path / "x.lock")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(EcapipeError), state.lock(path, BUSY):
            pass
        process.kill()
    with state.lock(path, BUSY):
        pass


def test_where_there_can_be_no_lock_the_state_directory_is_to_blame(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EcapipeError) as caught, state.lock(str(tmp_path / "file" / "x.lock"), BUSY):
        pass
    assert caught.value.problem.kind is state_directory_unusable


def test_where_a_folder_would_be_is_told_without_making_it(tmp_path: Path) -> None:
    assert state.place(at(tmp_path / "state"), "logins") == str(tmp_path / "state" / "logins")
    assert list(tmp_path.iterdir()) == []
    assert state.folder(at(tmp_path / "state"), "logins") == state.place(at(tmp_path / "state"), "logins")
