"""What a rotation uses of the machine: the programs that it delivers to, and its records."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from typing import IO, Final

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import state, writer
from ecapipe.documents import codec, rotation_record
from ecapipe.documents.json_object import MalformedRecord, NewerVersion
from ecapipe.documents.recorded_runs import FINGERPRINT
from ecapipe.documents.rotation_record import RecordedRotation, RotationRecord
from ecapipe.events import TokenFate
from ecapipe.problems.problem import EcapipeError, Problem, did_you_mean
from ecapipe.problems.usage import malformed_result, run_going_on, run_not_found
from ecapipe.rotate.ports import Ended, HandedOver, RotationTools
from ecapipe.secret import Secret

_FOLDER, _RUNS = "rotations", "rotated"
_LARGEST: Final = 64 * 1024
_KEPT: Final = 50
"""Records of runs."""
_LARGEST_RUN: Final = 64 * 2**20
_FATE: Final[TokenFate] = "handedOver"
_SECONDS: Final = 60.0
_PATIENCE: Final = 1.0
"""Seconds to wait for the end of another rotation, and for what a program that has ended may still have to say."""


def tools(environment: Environment) -> RotationTools:
    """The real ones."""
    return RotationTools(DeliveryPrograms(environment), RecordFiles(environment), _HandedOver(environment))


class DeliveryPrograms:
    """See `ecapipe.rotate.ports.Programs`; `seconds` is the time that a program has."""

    def __init__(self, environment: Environment, seconds: float = _SECONDS) -> None:
        self._environment, self._seconds = environment, seconds

    def find(self, name: str) -> str | None:
        # A path is the user's word, wherever it leads; a name is looked up where nobody else decides.
        if os.sep not in name:
            return self._environment.program(name)
        path = os.path.abspath(name)
        return path if os.path.isfile(path) and os.access(path, os.X_OK) else None

    def feed(self, path: str, arguments: Sequence[str], value: Secret) -> Ended:
        output = bytearray()
        # Our own end of what it reads stays open: it tells what was left.
        source, sink = os.pipe()
        with os.fdopen(source, "rb", 0) as given:
            with os.fdopen(sink, "wb", 0) as pipe:
                # Any pipe holds more than a key or a secret, so that this waits for nobody.
                pipe.write(value.reveal().encode())
            try:
                process = subprocess.Popen(  # noqa: S603 - the user's own command, and given no shell
                    [path, *arguments],
                    env=self._environment.for_programs(),
                    stdin=given,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    # A session of its own: a Ctrl-C is ours to act on, and its end takes along what it started.
                    start_new_session=os.name == "posix",
                )
            except (OSError, ValueError) as error:
                return Ended(127, getattr(error, "strerror", None) or "it cannot be started")
            reader = threading.Thread(target=_read, args=(process.stdout, output), daemon=True)
            reader.start()
            try:
                status: int | None = process.wait(self._seconds)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _kill(process)
            unread = given.read(1) != b""
        # What it leaves running may keep the pipe open: nobody waits for that.
        reader.join(_PATIENCE)
        return Ended(status, bytes(output).decode("utf-8", "replace"), unread)


def _read(pipe: IO[bytes], output: bytearray) -> None:
    """Keep the beginning of what comes, and read on, or the program would stop."""
    with pipe:
        while piece := os.read(pipe.fileno(), _LARGEST):
            output += piece[: _LARGEST - len(output)]


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError, PermissionError):  # it has just ended
        if sys.platform != "win32":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


class RecordFiles:
    """See `ecapipe.rotate.ports.RotationRecords`: private files below the state directory."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def locked(self, id: str, busy: Problem) -> AbstractContextManager[None]:
        return state.lock(self._path(f"{id}.lock"), busy, _PATIENCE)

    def read(self, id: str) -> RotationRecord | None:
        try:
            with state.open_file(self._path(f"{id}.json")) as file:
                return rotation_record.parse(file.read(_LARGEST))
        except FileNotFoundError:
            return None

    def write(self, id: str, record: RotationRecord) -> None:
        writer.write(self._path(f"{id}.json"), rotation_record.encode(record), private=True)

    def _path(self, name: str) -> str:
        return os.path.join(state.folder(self._environment, _FOLDER), name)


def write_run(environment: Environment, run: RecordedRotation) -> None:
    """Write down what came of a run so far; the records of old runs go. Raises `EcapipeError`."""
    folder = state.folder(environment, _RUNS)
    writer.write(os.path.join(folder, f"{run.result.run}.json"), codec.encode(run), private=True)
    for name in run_names(environment)[:-_KEPT]:
        for suffix in (".json", ".lock"):
            with suppress(FileNotFoundError):  # another run was faster
                os.unlink(os.path.join(folder, f"{name}{suffix}"))


def run_names(environment: Environment) -> list[str]:
    """The recorded runs, the oldest first. Raises `EcapipeError` (StateDirectoryUnusable)."""
    try:
        names = os.listdir(state.existing(environment, _RUNS))
    except FileNotFoundError:
        return []
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def going_on(environment: Environment, run: str) -> AbstractContextManager[None]:
    """While the context lasts, a run counts as one that goes on. Raises `EcapipeError`."""
    return state.lock(os.path.join(state.folder(environment, _RUNS), f"{run}.lock"), run_going_on(run))


def is_going_on(environment: Environment, run: str) -> bool:
    """Whether some process is at work on it."""
    try:
        with going_on(environment, run):
            return False
    except EcapipeError:
        return True


def read_run(environment: Environment, name: str) -> RecordedRotation:
    """What came of the run of this name; of the latest for an empty one. Raises `EcapipeError` (RunNotFound,
    MalformedResult)."""
    folder, runs = state.existing(environment, _RUNS), run_names(environment)
    with suppress(FileNotFoundError):
        if name in runs or (runs and not name):
            # Names tell seconds alone.
            paths = [os.path.join(folder, f"{each}.json") for each in ([name] if name else runs)]
            path = max(paths, key=lambda each: os.stat(each).st_mtime_ns)
            with state.open_file(path) as file:
                data = file.read(_LARGEST_RUN)
            try:
                return codec.parse(data, RecordedRotation)
            except (MalformedRecord, NewerVersion) as error:
                raise EcapipeError(malformed_result(path, str(error))) from None
    problem = run_not_found(name or None, runs, resumes=True)
    raise EcapipeError(
        replace(
            problem,
            message="No rotation is recorded." if not name else problem.message,
            actions=(*did_you_mean(name, runs), "Rotate without --resume."),
        )
    )


class _HandedOver:
    """The logins that the recorded runs handed over."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def __iter__(self) -> Iterator[HandedOver]:
        from ecapipe.adapters.storage import journal

        with suppress(EcapipeError):  # where there can be no records, nothing was recorded
            for entry in journal.entries(self._environment)[0]:
                for subject, course in entry.journal.recorded.courses.items():
                    login = course.finished.login if course.finished else None
                    if login and login.token == _FATE and subject.app and login.org_id and login.username:
                        hashes = course.fact(FINGERPRINT)
                        key = hashes.get("key") if isinstance(hashes, dict) else None
                        yield HandedOver(subject.app, login.org_id, login.username, key)
