"""Logins and secrets are kept for their user alone, whole or not at all, in the keyring or in private files."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from commandline import ROOT, environment, keyring
from fakes.drawer import Memory
from keyring import errors

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage.store import RecordStore
from ecapipe.problems import storage
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.saved.records import RecordKind, SavedRecord, SavedSecrets, StorePlace, UnreadableRecord
from ecapipe.secret import Secret

ID = "0123456789abcdef" * 2
PLACES: tuple[StorePlace, ...] = ("keyring", "file")


def sealed(number: int = 1) -> SavedSecrets:
    return SavedSecrets(
        Secret(f"made-up-access-{number}"), Secret(f"made-up-refresh-{number}"), Secret("made-up-secret")
    )


def values(found: SavedSecrets) -> list[str | None]:
    return [
        each.reveal() if each else None for each in (found.access_token, found.refresh_token, found.consumer_secret)
    ]


def record(place: StorePlace, number: int = 1, kind: RecordKind = "login") -> SavedRecord:
    return SavedRecord(kind, ID, place, {"number": number})


def store(state: Path, keyring: Any = None, limit: int | None = None, patience: float = 60.0) -> RecordStore:
    return RecordStore(
        Environment({"ECAPIPE_STATE_DIR": str(state)}), lambda: keyring or cast(Any, Memory()), limit, patience
    )


def problem(work: Callable[..., object], *arguments: object) -> Problem:
    with pytest.raises(EcapipeError) as caught:
        work(*arguments)
    return caught.value.problem


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def file_of(state: Path, kind: str = "logins") -> Path:
    return state / kind / f"{ID}.json"


def plant(state: Path, content: bytes) -> Path:
    """Put something where a record belongs, as private as one is."""
    file = file_of(state)
    file.write_bytes(content)
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["login", "secret"])
def test_what_was_put_is_there_until_it_is_removed(tmp_path: Path, place: StorePlace, kind: RecordKind) -> None:
    keyring = Memory()
    kept = store(tmp_path, keyring)
    assert (list(kept.records(kind)), kept.holds(kind, ID), kept.read(kind, ID)) == ([], False, None)
    kept.put(record(place, kind=kind), sealed())
    again = store(tmp_path, keyring)
    (found,) = again.records(kind)
    assert isinstance(found, SavedRecord)
    assert (found.kind, found.id, found.place, found.members) == (kind, ID, place, {"number": 1})
    assert again.holds(kind, ID)
    assert values(again.unseal(found)) == values(sealed())
    with again.locked(kind, ID):
        again.remove(found)
    assert (list(kept.records(kind)), kept.holds(kind, ID), keyring.entries) == ([], False, {})
    assert list((tmp_path / f"{kind}s").iterdir()) == []


def test_files_are_for_their_user_alone(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        kept = store(tmp_path / "state")
        kept.put(record("file"), sealed())
        with kept.locked("login", ID):
            files = list((tmp_path / "state/logins").iterdir())
    finally:
        os.umask(previous)
    assert [mode(tmp_path / "state"), mode(tmp_path / "state/logins")] == [0o700, 0o700]
    assert sorted(path.suffix for path in files) == [".json", ".lock"]
    assert {mode(path) for path in files} == {0o600}


def test_with_a_keyring_no_file_holds_a_secret(tmp_path: Path) -> None:
    keyring = Memory()
    store(tmp_path, keyring).put(record("keyring"), sealed())
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "made-up" not in written
    assert list(keyring.entries) == [("ecapipe login", ID)]


@pytest.mark.parametrize(("before", "after"), [("keyring", "file"), ("file", "keyring")])
def test_what_moves_is_in_one_place_only(tmp_path: Path, before: StorePlace, after: StorePlace) -> None:
    keyring = Memory()
    kept = store(tmp_path, keyring)
    kept.put(record(before), sealed(1))
    kept.put(record(after, 2), sealed(2))
    found = kept.read("login", ID)
    assert found is not None
    assert (found.place, values(kept.unseal(found))) == (after, values(sealed(2)))
    assert bool(keyring.entries) is (after == "keyring")
    assert ("made-up" in file_of(tmp_path).read_text()) is (after == "file")


def test_looking_makes_nothing_and_asks_no_keyring(tmp_path: Path) -> None:
    def never() -> Any:
        raise AssertionError("no keyring is needed")

    kept = RecordStore(Environment({"ECAPIPE_STATE_DIR": str(tmp_path / "state")}), never)
    assert (list(kept.records("login")), kept.holds("secret", ID), kept.read("login", ID)) == ([], False, None)
    assert not (tmp_path / "state").exists()
    kept.put(record("file"), sealed())
    assert kept.obstacle("login", "file") is None
    assert [type(each) for each in kept.records("login")] == [SavedRecord]


def test_without_a_home_nothing_is_kept_and_nothing_breaks(tmp_path: Path) -> None:
    program = (
        "import os; from ecapipe.adapters.environment import Environment\n"
        "from ecapipe.adapters.storage.store import RecordStore\n"
        "os.path.expanduser = lambda path: path\n"
        f"print(RecordStore(Environment({{}})).holds('secret', {ID!r}))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment(tmp_path), capture_output=True, text=True, cwd=tmp_path
    )
    assert ended.stdout == "False\n", ended


DAMAGES = {
    "nothing": b"",
    "no JSON": b"{",
    "no object": b"[]",
    "bytes": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "no version": b"{}",
    "a version that is none": b'{"version": true}',
    "no kind": b'{"version": 1, "place": "file", "members": {}}',
    "another kind": b'{"version": 1, "kind": "secret", "place": "file", "members": {}}',
    "another place": b'{"version": 1, "kind": "login", "place": "cloud", "members": {}}',
    "no members": b'{"version": 1, "kind": "login", "place": "file"}',
}


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_told_and_never_written_over(tmp_path: Path, content: bytes) -> None:
    kept = store(tmp_path)
    assert kept.obstacle("login", "file") is None
    file = plant(tmp_path, content)
    (listed,) = kept.records("login")
    assert isinstance(listed, UnreadableRecord)
    for found in (listed.problem, problem(kept.read, "login", ID), problem(kept.put, record("file"), sealed())):
        assert (found.kind, found.file) == (storage.record_damaged, str(file))
        assert f"ecapipe login logout --name {ID}" in " ".join(found.actions)
    assert file.read_bytes() == content
    kept.remove(listed)
    assert list(kept.records("login")) == []


@pytest.mark.parametrize(
    "secrets", [None, [], {}, {"accessToken": ""}, {"accessToken": 1}, {"accessToken": "x", "refreshToken": []}]
)
def test_damaged_secrets_are_told(tmp_path: Path, secrets: object) -> None:
    keyring = Memory()
    kept = store(tmp_path, keyring)
    document = {"version": 1, "kind": "login", "place": "file", "members": {}, "secrets": secrets}
    assert kept.obstacle("login", "file") is None
    plant(tmp_path, json.dumps(document).encode())
    assert problem(kept.unseal, record("file")).kind is storage.record_damaged
    keyring.entries["ecapipe login", ID] = json.dumps({"version": 1, "secrets": secrets})
    assert problem(kept.unseal, record("keyring")).kind is storage.record_damaged


@pytest.mark.parametrize("entry", [None, "", "no JSON", "[]", '"text"'])
def test_an_entry_that_is_gone_or_foreign_is_told(tmp_path: Path, entry: str | None) -> None:
    keyring = Memory()
    kept = store(tmp_path, keyring)
    kept.put(record("keyring"), sealed())
    if entry is None:
        keyring.entries.clear()
    else:
        keyring.entries["ecapipe login", ID] = entry
    assert problem(kept.unseal, record("keyring")).kind is storage.record_damaged


def test_a_newer_version_is_left_alone_and_named(tmp_path: Path) -> None:
    keyring = Memory()
    kept = store(tmp_path, keyring)
    assert kept.obstacle("login", "file") is None
    content = json.dumps({"version": 3, "kind": "login", "something": "new"})
    plant(tmp_path, content.encode())
    for found in (problem(kept.read, "login", ID), problem(kept.put, record("file"), sealed())):
        assert (found.kind, "version 3" in found.message) == (storage.record_too_new, True)
    assert file_of(tmp_path).read_text() == content
    keyring.entries["ecapipe login", ID] = json.dumps({"version": 3})
    assert problem(kept.unseal, record("keyring")).kind is storage.record_too_new


def test_other_files_in_the_folder_are_none_of_ours(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.put(record("file"), sealed())
    for name in ("notes.txt", "UPPER.json", f"{ID}.json.bak", f".{ID}.json.0a1b2c3d", f"{ID}.lock"):
        (tmp_path / "logins" / name).write_text("something else")
    assert [type(each) for each in kept.records("login")] == [SavedRecord]


def test_where_an_entry_has_no_room_the_access_token_is_left_out(tmp_path: Path) -> None:
    keyring = Memory()
    kept = store(tmp_path, keyring, limit=1280)
    large = SavedSecrets(Secret("eyJ" + "x" * 2000), Secret("r" * 100), Secret("s" * 64))
    kept.put(record("keyring"), large)
    assert all(len(entry.encode("utf-16-le")) <= 2560 for entry in keyring.entries.values())
    assert values(kept.unseal(record("keyring"))) == [None, "r" * 100, "s" * 64]
    for hopeless in (SavedSecrets(Secret("x" * 2000)), SavedSecrets(Secret("a"), Secret("r" * 2000))):
        found = problem(kept.put, record("keyring"), hopeless)
        assert (found.kind, "--store file" in " ".join(found.actions)) == (storage.too_large_for_keyring, True)
    assert values(kept.unseal(record("keyring"))) == [None, "r" * 100, "s" * 64], "what was there stays"
    kept.put(record("file"), large)
    assert values(kept.unseal(record("file"))) == values(large)


@pytest.mark.parametrize("broken", [errors.KeyringLocked("made-up-access-1"), OSError("x"), ValueError("y")])
def test_a_keyring_that_fails_says_so_without_its_words(tmp_path: Path, broken: Exception) -> None:
    keyring = Memory()
    kept = store(tmp_path, keyring)
    kept.put(record("keyring"), sealed())
    keyring.broken = broken
    for work in (lambda: kept.put(record("keyring"), sealed(2)), lambda: kept.unseal(record("keyring"))):
        found = problem(work)
        assert (found.kind, type(broken).__name__ in found.message) == (storage.keyring_failed, True)
        assert "made-up" not in found.message
        assert any("--store file" in action for action in found.actions)
    assert problem(kept.remove, record("keyring")).kind is storage.keyring_failed
    keyring.broken = None
    assert values(store(tmp_path, keyring).unseal(record("keyring"))) == values(sealed(1))


@pytest.mark.parametrize("kind", ["login", "secret"])
def test_a_locked_keyring_is_woken_once(tmp_path: Path, kind: RecordKind) -> None:
    keyring = Memory()
    store(tmp_path, keyring).put(record("keyring", kind=kind), sealed())
    keyring.broken, kept = errors.KeyringLocked(), store(tmp_path, keyring)
    before = keyring.asked
    for _ in range(3):
        assert problem(kept.unseal, record("keyring", kind=kind)).kind is storage.keyring_failed
        obstacle = kept.obstacle(kind, "keyring")
        assert obstacle is not None
        assert obstacle.kind is storage.keyring_failed
    assert keyring.asked == before + 1
    assert [path.name for path in file_of(tmp_path, f"{kind}s").parent.iterdir()] == [f"{ID}.json"]


@pytest.mark.parametrize("place", PLACES)
def test_the_place_is_tried_once_and_nothing_stays(tmp_path: Path, place: StorePlace) -> None:
    keyring = Memory()
    kept = store(tmp_path, keyring, limit=1280)
    assert [kept.obstacle("login", place) for _ in range(3)] == [None] * 3
    assert keyring.asked == (3 if place == "keyring" else 0), "it is written, found and removed"
    assert (keyring.entries, list((tmp_path / "logins").iterdir())) == ({}, [])


FULL = """
import os, resource, signal
from ecapipe.adapters import environment
from ecapipe.adapters.storage.store import RecordStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
print(RecordStore(environment.process()).obstacle("login", "file").name)
print(os.listdir(os.environ["ECAPIPE_STATE_DIR"] + "/logins"))
"""


def test_too_little_room_is_found_out_before(tmp_path: Path) -> None:
    variables = environment(tmp_path, ECAPIPE_STATE_DIR=str(tmp_path))
    ended = subprocess.run([sys.executable, "-c", FULL], env=variables, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("UnwritableFile\n[]\n", "")


BACKENDS = {
    "none that works": "keyring.backends.fail.Keyring",
    "one that forgets": "keyring.backends.null.Keyring",
    "a chain of nothing": "keyring.backends.chainer.ChainerBackend",
    "a chain of plain text": "plain.Chain",
    "one that is not there": "no_such_module.Keyring",
    "plain text": "plain.PlaintextKeyring",
}
PLAIN = """
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend
class PlaintextKeyring(KeyringBackend):
    priority = 0.5
    def get_password(self, service, username): pass
    def set_password(self, service, username, password): pass
class Another(PlaintextKeyring):
    priority = 0.6
class Chain(ChainerBackend):
    priority = 10
    backends = [Another(), PlaintextKeyring()]
"""


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS)
def test_what_protects_nothing_is_no_keyring(tmp_path: Path, backend: str) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    program = (
        "from ecapipe.adapters.storage.store import system\nfrom ecapipe.problems.problem import EcapipeError\n"
        "try: print(system())\nexcept EcapipeError as error: print(error.problem.name, error.problem.actions)"
    )
    variables = environment(tmp_path, PYTHON_KEYRING_BACKEND=backend, PYTHONPATH=f"{ROOT}:{tmp_path}")
    ended = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
    assert ended.stdout.startswith("KeyringNotFound "), ended
    assert "--store file" in ended.stdout


def test_of_a_chain_the_best_is_taken(tmp_path: Path) -> None:
    good = "class Good(PlaintextKeyring):\n    priority = 5\nChain.backends.insert(1, Good())\n"
    (tmp_path / "plain.py").write_text(PLAIN + good)
    variables = environment(
        tmp_path,
        PYTHON_KEYRING_BACKEND="plain.Chain",
        PYTHONPATH=f"{ROOT}:{tmp_path}",
        ECAPIPE_STATE_DIR=str(tmp_path),
    )
    program = "from ecapipe.adapters.storage.store import system; print(type(system()).__name__)"
    ended = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
    assert ended.stdout == "Good\n", ended


def test_the_obstacle_is_known_before(tmp_path: Path) -> None:
    def no_keyring() -> Any:
        raise EcapipeError(storage.keyring_not_found("there is none"))

    none = RecordStore(Environment({"ECAPIPE_STATE_DIR": str(tmp_path)}), no_keyring)
    assert names(none) == [storage.keyring_not_found.name, None]
    (tmp_path / "file").write_text("")
    blocked = RecordStore(Environment({"ECAPIPE_STATE_DIR": str(tmp_path / "file")}), cast(Any, Memory))
    assert names(blocked) == [storage.state_directory_unusable.name] * 2


def names(kept: RecordStore) -> list[str | None]:
    """What stands in the way of each place."""
    found = [kept.obstacle("login", place) for place in PLACES]
    return [each.name if each else None for each in found]


def test_a_record_is_one_process_alone(tmp_path: Path) -> None:
    kept = store(tmp_path, patience=0.2)
    with kept.locked("login", ID):
        assert problem(lambda: kept.locked("login", ID).__enter__()).kind is storage.login_busy
        with kept.locked("login", ID[::-1]):
            pass
    with kept.locked("login", ID):
        pass


def test_a_lock_outlives_the_removal_of_its_record(tmp_path: Path) -> None:
    """Whoever waited while a login was ended does not share the lock with those who come later."""
    kept, holders, most = store(tmp_path), [0], [0]

    def work() -> None:
        for _ in range(20):
            with kept.locked("login", ID):
                holders[0] += 1
                most[0] = max(most[0], holders[0])
                kept.put(record("file"), sealed())
                time.sleep(0.0005)
                holders[0] -= 1
                kept.remove(record("file"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


WRITER = """
import itertools, sys
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage.store import RecordStore
from ecapipe.saved.records import SavedRecord, SavedSecrets
from ecapipe.secret import Secret
store = RecordStore(Environment({"ECAPIPE_STATE_DIR": sys.argv[1]}))
place, id = sys.argv[2], sys.argv[3]
while True:
    with store.locked("login", id):
        found = store.read("login", id)
        number = int(store.unseal(found).refresh_token.reveal().rpartition("-")[2]) + 1
        sealed = SavedSecrets(Secret(f"access-{number}"), Secret(f"refresh-{number}"), Secret("s" * 20_000))
        store.put(SavedRecord("login", id, place, {"number": number}), sealed)
    print(number, flush=True)
"""


@pytest.mark.parametrize("place", PLACES)
def test_killed_writers_lose_nothing_that_was_kept(tmp_path: Path, place: StorePlace) -> None:
    """Two writers at a time, killed at any moment: the newest token they told of is there, whole, and nobody is kept
    waiting by the dead."""
    variables = environment(tmp_path) | keyring(tmp_path / "drawer")
    first = (
        "import sys; from fakes.drawer import Shared; from ecapipe.adapters.storage.store import RecordStore\n"
        "from ecapipe.adapters.environment import Environment\n"
        "from ecapipe.saved.records import SavedRecord, SavedSecrets\n"
        "from ecapipe.secret import Secret\n"
        f"store = RecordStore(Environment({{'ECAPIPE_STATE_DIR': {str(tmp_path)!r}}}))\n"
        f"record = SavedRecord('login', {ID!r}, {place!r}, {{}})\n"
        "if len(sys.argv) > 1: store.put(record, SavedSecrets(refresh_token=Secret('refresh-0')))\n"
        "print(store.unseal(store.read('login', record.id)).refresh_token.reveal())"
    )

    def newest(*put: str) -> int:
        ended = subprocess.run(
            [sys.executable, "-c", first, *put], env=variables, capture_output=True, text=True, check=True
        )
        return int(ended.stdout.rpartition("-")[2])

    newest("put")
    told = 0
    random_bytes = random.Random(7)
    for _ in range(6):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(tmp_path), place, ID], env=variables, stdout=subprocess.PIPE
            )
            for _ in range(2)
        ]
        outputs = [writer.stdout for writer in writers]
        assert outputs[0] is not None
        assert outputs[0].readline(), "it is at work"
        time.sleep(random_bytes.random() * 0.05)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for writer, output in zip(writers, outputs, strict=True):
            assert output is not None
            numbers = [int(line) for line in output.read().split() if line.strip()]
            told = max(told, *numbers, 0)
            assert writer.wait() == -signal.SIGKILL
            output.close()
        assert newest() >= told
    assert told > 6
    leftovers = [path.name for path in (tmp_path / "logins").iterdir() if path.suffix not in (".json", ".lock")]
    assert all(name.startswith(".ecapipe-") for name in leftovers)
