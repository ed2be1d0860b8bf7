"""The state directory is its user's alone, and its locks exclude everybody else."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from commandline import environment

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import state
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.storage import state_directory_unusable
from ecapipe.problems.usage import usage_error

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


def test_a_relative_path_counts_from_the_current_folder(tmp_path: Path) -> None:
    program = (
        "from ecapipe.adapters import environment; from ecapipe.adapters.storage import state;"
        "print(state.directory(environment.process()), end='')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(tmp_path, ECAPIPE_STATE_DIR="here"),
        cwd=tmp_path,
        capture_output=True,
    )
    assert ended.stdout.decode() == str(tmp_path / "here")


def test_one_that_cannot_be_made_is_a_problem_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "not a folder" in problem(tmp_path / "file").message
    assert "not a directory" in problem(tmp_path / "file" / "below").message


def test_one_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert "others may write to it" in problem(tmp_path).message
    tmp_path.chmod(0o755)
    assert state.directory(at(tmp_path)) == str(tmp_path)
    assert mode(tmp_path) == 0o755, "a folder that somebody named is theirs to open"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_one_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, -1)
    assert "somebody else" in problem(tmp_path).message


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
