"""No signal costs a refresh token: what an org has answered with is kept before the program ends."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import parse_qs

import pytest
from commandline import PATIENCE, PROGRAM, Ended, Running, ecapipe, environment, keyring, started
from fakes.drawer import Drawer

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage.store import RecordStore
from ecapipe.cli.interrupts import ENDING
from ecapipe.orgs import selection
from ecapipe.saved import records
from ecapipe.saved.records import SavedLogin, SavedRecord, SavedSecrets, StorePlace
from ecapipe.secret import Secret

ORG_ID, USER_ID = "00D000000000001EAA", "005000001000001AAA"
SIGNALS = [
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGALRM,
    signal.SIGXCPU,
]
PLACES: list[StorePlace] = ["file", "keyring"]


def status(by: signal.Signals) -> int:
    """How a process ends that a signal ended; a shell calls the death by SIGQUIT 131."""
    return 130 if by in ENDING else -by


@dataclass
class Org:
    """An org that rotates refresh tokens, and one login in it that is kept.

    `asked` and `answered` are called before and after a token answer leaves; `also` changes its members; a
    `silent` org says nothing.
    """

    home: Path
    place: StorePlace
    asked: Callable[[], object] = lambda: None
    answered: Callable[[], object] = lambda: None
    also: dict[str, Any] = field(default_factory=dict)
    url: str = ""
    newest: int = 0
    silent: bool = False
    over: threading.Event = field(default_factory=threading.Event)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    interrupted: float = 0.0
    """When the last signal was sent."""
    revoked: list[str] = field(default_factory=list)
    revoking: Callable[[], object] = lambda: None
    reused: bool = False
    """A refresh token came again that was over: Salesforce would end the login."""

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a command."""
        drawer = keyring(self.home / "drawer") if self.place == "keyring" else {}
        return {"ECAPIPE_STATE_DIR": str(self.home / "state"), **drawer}

    @property
    def store(self) -> RecordStore:
        """What is kept, from the outside."""
        drawer: Any = Drawer(str(self.home / "drawer"))
        return RecordStore(Environment({"ECAPIPE_STATE_DIR": str(self.home / "state")}), lambda: drawer)

    def keep(self, url: str, app: str = "Rotating") -> None:
        """Keep the login, as ``run --save`` does."""
        org = replace(selection.choose(url, {}, ()), org_id=ORG_ID, username="ann@acme.example")
        scopes, at = ("api", "refresh_token"), "2026-11-25T12:00:00Z"
        login = SavedLogin(app, org, USER_ID, "3MVG9madeup", "web", scopes, url, True, True, self.place, at)
        self.store.put(
            records.record(login), SavedSecrets(*map(Secret, ("made-up-access", self.token, "made-up-secret")))
        )

    @property
    def token(self) -> str:
        """The only refresh token that is good."""
        return f"made-up-refresh-{self.newest}"

    def redeem(self, spent: str) -> dict[str, Any]:
        identity = f"https://login.salesforce.com/id/{ORG_ID}/{USER_ID}"
        with self.one_at_a_time:
            self.reused |= spent != self.token
            self.newest += 1
            answer = {"access_token": f"made-up-access-{self.newest}", "refresh_token": self.token, "id": identity}
        return {**answer, "token_type": "Bearer", **self.also}

    def check(self) -> None:
        """The kept refresh token is the newest, and none came twice."""
        (record,) = self.store.records("login")
        assert isinstance(record, SavedRecord)
        found = self.store.unseal(record).refresh_token
        assert (found and found.reveal(), self.reused) == (self.token, False)

    def run(self, command: str, by: signal.Signals, answered: bool, wait: float = 0.0) -> Ended:
        """Run a command on the login, send it a signal when the org was asked, or has answered, and `wait`."""
        started_as: SimpleQueue[Running] = SimpleQueue()

        def interrupt() -> None:
            time.sleep(wait)
            started_as.get(timeout=PATIENCE).interrupt(by)
            self.interrupted = time.monotonic()

        self.asked, self.answered = (lambda: None, interrupt) if answered else (interrupt, lambda: None)
        with started("login", command, at=self.home, **self.variables) as running:
            started_as.put(running)
            return running.end()


@contextmanager
def serving(home: Path, place: StorePlace) -> Iterator[Org]:
    org = Org(home, place)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(403, b"Bad_OAuth_Token", "text/plain")

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if self.path.endswith("/revoke"):
                org.revoked += form["token"]
                org.revoking()
                self._answer(200, b"", "text/plain")
                return
            org.asked()
            if org.silent:
                org.over.wait(PATIENCE)
                return
            self._answer(200, json.dumps(org.redeem(form["refresh_token"][0])).encode(), "application/json")
            org.answered()

        def _answer(self, code: int, body: bytes, kind: str) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        org.url = f"http://127.0.0.1:{server.server_port}"
        org.keep(org.url)
        try:
            yield org
        finally:
            org.over.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("by", SIGNALS)
def test_a_token_that_an_org_has_answered_with_is_kept(tmp_path: Path, by: signal.Signals, place: StorePlace) -> None:
    with serving(tmp_path, place) as org:
        for command, answered in (("refresh", False), ("token", False), ("refresh", True), ("token", True)):
            ended = org.run(command, by, answered)
            org.check()
            if not answered:
                assert ended.status == status(by)
                # What finished is reported; a token that nobody waits for is not printed.
                assert ended.out.endswith(": A new access token was saved.\n") == (
                    by in ENDING and command == "refresh"
                )
                assert ended.out == "" or command == "refresh"
                assert "Stopping...\n" in ended.err
                assert ended.err.count("Error (Interrupted)") == (by in ENDING)
        assert org.newest == 4
        org.answered = lambda: None
        assert ecapipe("login", "refresh", at=tmp_path, **org.variables).status == 0


@pytest.mark.parametrize("by", SIGNALS)
def test_no_moment_after_the_answer_loses_it(tmp_path: Path, by: signal.Signals) -> None:
    random_bytes = random.Random(by)
    with serving(tmp_path, "file") as org:
        for _ in range(8):
            ended = org.run(random_bytes.choice(["refresh", "token"]), by, True, random_bytes.uniform(0, 0.03))
            org.check()
            assert ended.status in (0, status(by))
            assert "Traceback" not in ended.err
        assert org.newest == 8


def test_a_signal_waits_ten_seconds_for_an_org_that_says_nothing(tmp_path: Path) -> None:
    def run(by: signal.Signals) -> tuple[Ended, float]:
        (home := tmp_path / by.name).mkdir()
        with serving(home, "file") as org:
            org.silent = True
            ended = org.run("refresh", by, False)
            waited = time.monotonic() - org.interrupted
            org.check()
            return ended, waited

    with ThreadPoolExecutor() as pool:
        ended = dict(zip(SIGNALS, pool.map(run, SIGNALS), strict=True))
    for by, (each, waited) in ended.items():
        assert each.status == status(by)
        assert 9.5 < waited < 15


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("also", "name"),
    [
        ({"id": None}, "UnexpectedAnswer"),
        ({"access_token": ""}, "UnexpectedAnswer"),
        ({"error": "invalid_client"}, "InvalidClient"),
        ({"signature": "bWFkZSB1cA=="}, "SignatureMismatch"),
        ({"id": f"https://login.salesforce.com/id/00D999999999999EAA/{USER_ID}"}, "WrongOrg"),
    ],
)
def test_an_answer_that_is_wrong_otherwise_brings_the_next_refresh_token_all_the_same(
    tmp_path: Path, place: StorePlace, also: dict[str, Any], name: str
) -> None:
    with serving(tmp_path, place) as org:
        org.also = also
        ended = ecapipe("login", "refresh", at=tmp_path, **org.variables)
        assert (ended.status, f"Error ({name})" in ended.err) == (1, True), ended
        assert org.newest == 1
        org.check()
        unusable = name != "WrongOrg" and "access_token" not in also
        assert org.revoked == ["made-up-access-1"] * unusable, "what came with it, but not what the login lives on"
        org.also = {}
        assert ecapipe("login", "refresh", at=tmp_path, **org.variables).status == 0
        org.check()


@pytest.mark.parametrize("token", ["", "made up", "made\nup", "ünmade", 7, None])
def test_what_is_no_token_takes_the_place_of_none(tmp_path: Path, token: object) -> None:
    with serving(tmp_path, "file") as org:
        org.also = {"id": None, "refresh_token": token}
        assert ecapipe("login", "refresh", at=tmp_path, **org.variables).status == 1
        org.newest = 0
        org.check()


def test_a_logout_of_all_that_is_interrupted_reports_what_is_over(tmp_path: Path) -> None:
    with serving(tmp_path, "file") as org:
        org.keep(org.url, "Another")
        org.keep(org.url, "Third")
        with started("login", "logout", "--all", "--json", at=tmp_path, **org.variables) as running:

            def hang() -> None:
                if len(org.revoked) == 2:
                    running.interrupt()
                    running.interrupt(signal.SIGTERM)
                    org.over.wait(PATIENCE)

            org.revoking = hang
            ended = running.end()
        org.over.set()
        assert ended.status == 130
        assert [each["login"]["app"] for each in ended.result["logouts"]] == ["Another"]
        assert [(each["app"], each["name"]) for each in ended.result["failures"]] == [
            ("Rotating", "Interrupted"),
            ("Third", "Interrupted"),
        ]
        assert len(list(org.store.records("login"))) == 2


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_a_refresh_of_all_that_is_interrupted_keeps_and_reports_what_orgs_answered(
    tmp_path: Path, by: signal.Signals
) -> None:
    with serving(tmp_path, "file") as org:
        for number in range(11):
            org.keep(org.url, f"App{number}")
        with started("login", "refresh", "--all", "--json", at=tmp_path, **org.variables) as running:
            first = threading.Lock()

            def interrupt() -> None:
                if first.acquire(blocking=False):
                    running.interrupt(by)
                # The others are on their way by then, and none is begun any more.
                time.sleep(0.5)

            org.asked = interrupt
            ended = running.end()
        kept = [
            org.store.unseal(each).refresh_token
            for each in org.store.records("login")
            if isinstance(each, SavedRecord)
        ]
        rotated = {token.reveal() for token in kept if token} - {"made-up-refresh-0"}
        assert rotated == {f"made-up-refresh-{number}" for number in range(1, org.newest + 1)}
        assert 0 < org.newest < 12
        assert ended.status == status(by)
        if by in ENDING:
            assert len(ended.result["logins"]) == org.newest
            assert {each["name"] for each in ended.result["failures"]} == {"Interrupted"}
            assert len(ended.result["failures"]) == 12 - org.newest


def test_signals_that_whoever_started_us_ignores_end_nothing(tmp_path: Path) -> None:
    """As ``nohup`` does, and a shell for jobs in the background."""
    command = [
        "sh",
        "-c",
        "trap '' INT HUP QUIT TERM USR1 ALRM XCPU; exec \"$@\"",
        "sh",
        *PROGRAM,
        "login",
        "refresh",
    ]
    with serving(tmp_path, "file") as org:
        variables = environment(tmp_path, **org.variables)
        with subprocess.Popen(command, env=variables, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:

            def interrupt() -> None:
                for by in SIGNALS:
                    process.send_signal(by)
                    time.sleep(0.05)

            org.asked = interrupt
            out, _ = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out.endswith(": A new access token was saved.\n")) == (0, True)
        org.check()
