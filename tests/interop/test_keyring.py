"""Logins in a real keyring: GNOME's, by way of the Secret Service, in a session of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trees
from commandline import PROGRAM, Json, environment
from fakes.orgs import emulated

from ecapipe.emulator.server import Emulator

pytestmark = pytest.mark.interop

SESSION = """
printf made-up-password | gnome-keyring-daemon --unlock --components=secrets > /dev/null
printenv DBUS_SESSION_BUS_ADDRESS
exec cat
"""


@dataclass(frozen=True)
class Session:
    """Somebody who is logged in on this machine, with a keyring that is open."""

    home: Path
    bus: str

    def ecapipe(self, *words: str, typed: str = "") -> tuple[int, str]:
        variables = environment(self.home, DBUS_SESSION_BUS_ADDRESS=self.bus)
        ended = subprocess.run(
            [*PROGRAM, *words], cwd=self.home, env=variables, input=typed, capture_output=True, text=True, timeout=60
        )
        return ended.returncode, ended.stdout + ended.stderr


@contextmanager
def logged_in(home: Path) -> Iterator[Session]:
    runtime = home / "runtime"
    runtime.mkdir(mode=0o700, parents=True)
    variables = {**environment(home), "XDG_RUNTIME_DIR": str(runtime), "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        ["dbus-run-session", "--", "sh", "-c", SESSION],
        env=variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as session:
        assert session.stdout is not None
        yield Session(home, session.stdout.readline().strip())
        session.communicate(timeout=20)  # its input has ended, and so it does, too


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with logged_in(tmp_path / "home") as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, Emulator]]:
    root = trees.plant(tmp_path / "project", trees.project() | trees.robot())
    with emulated(root) as emulator:
        yield root, emulator


def entries(session: Session) -> str:
    """Everything in the keyring, as it tells it."""
    program = (
        "import keyring, secretstorage\n"
        "for item in secretstorage.get_default_collection(secretstorage.dbus_init()).get_all_items():\n"
        "    print(item.get_attributes(), item.get_secret().decode())"
    )
    variables = environment(session.home, DBUS_SESSION_BUS_ADDRESS=session.bus)
    done = subprocess.run([PROGRAM[0], "-c", program], env=variables, capture_output=True, text=True, check=True)
    return done.stdout


def kept(session: Session) -> list[Json]:
    return [json.loads(path.read_text()) for path in session.home.rglob("logins/*.json")]


def test_a_login_lives_in_the_keyring(session: Session, place: tuple[Path, Emulator]) -> None:
    root, emulator = place
    status, said = session.ecapipe("run", "-d", str(root), "-o", f"uat={emulator.urls['uat']}", "--save")
    assert status == 0, said
    assert "Logins are saved in the keyring (SecretService Keyring)." in said
    (record,) = kept(session)
    assert "secrets" not in record
    assert trees.secret("Robot") in entries(session)

    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda _: session.ecapipe("login", "refresh"), range(4)))
    assert [status for status, _ in ended] == [0] * 4, ended
    status, token = session.ecapipe("login", "token")
    assert status == 0, token
    assert token.strip() in entries(session)
    assert entries(session).count("accessToken") == 1, "one entry, whatever happens to it"
    assert session.ecapipe("login", "display", "--verify")[0] == 0

    assert session.ecapipe("login", "logout")[0] == 0
    assert "ecapipe" not in entries(session)


def test_a_consumer_secret_lives_in_the_keyring(session: Session, place: tuple[Path, Emulator]) -> None:
    root, emulator = place
    status, said = session.ecapipe("app", "set-secret", "Robot", "-d", str(root), typed=trees.secret("Robot"))
    assert status == 0, said
    (file,) = root.rglob("*.ecaGlblOauth-meta.xml")
    file.write_text("\n".join(line for line in file.read_text().splitlines() if "consumerSecret" not in line))
    run = ("run", "-d", str(root), "-o", emulator.urls["uat"], "--json")
    status, said = session.ecapipe(*run)
    assert status == 0, said
    assert json.loads(said)["result"]["apps"][0]["credentials"]["consumerSecret"]["source"] == "keyring"
    assert session.ecapipe("app", "forget-secret", "Robot")[0] == 0
    assert "ecapipe" not in entries(session)
    assert session.ecapipe(*run)[0] == 1


def test_without_the_session_there_is_no_keyring(tmp_path: Path, place: tuple[Path, Emulator]) -> None:
    root, emulator = place
    (tmp_path / "nobody").mkdir()
    nobody = Session(tmp_path / "nobody", "unix:path=/nonexistent")
    status, said = nobody.ecapipe("run", "-d", str(root), "-o", emulator.urls["uat"], "--save")
    assert (status, "Error (KeyringNotFound)" in said, "--store file" in said) == (1, True, True)
