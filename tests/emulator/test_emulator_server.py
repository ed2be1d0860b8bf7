"""Starting, listening and stopping."""

from __future__ import annotations

import ast
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
from emulator.client import APPS, Client
from loopback import free_port

import ecapipe.emulator
from ecapipe.emulator.server import Emulator


def port_of(emulator: Emulator) -> int:
    return int(emulator.urls["emulator"].rpartition(":")[2])


def url(emulator: Emulator) -> str:
    return f"{emulator.urls['emulator']}/services/data"


def loopbacks() -> dict[str, socket.AddressFamily]:
    """The addresses of ``localhost`` that this machine has."""
    found = {"127.0.0.1": socket.AF_INET}
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return found
    return found | {"::1": socket.AF_INET6}


def test_localhost_answers_on_both_addresses(http: httpx.Client) -> None:
    with Emulator(APPS) as emulator:
        for address in loopbacks():
            assert http.get(httpx.URL(url(emulator), host=address)).status_code == 200


def test_nobody_else_can_reach_it() -> None:
    # An address of this machine, too: what listened everywhere would answer there.
    with Emulator(APPS) as emulator, pytest.raises(OSError, match=r".*"):
        socket.create_connection(("127.0.0.2", port_of(emulator)), timeout=1).close()


@pytest.mark.parametrize("taken", [0, 1])
def test_a_taken_port_is_an_oserror_and_leaves_nothing_behind(taken: int) -> None:
    threads = threading.active_count()
    with socket.create_server(("127.0.0.1", free_port())) as stranger:
        port = stranger.getsockname()[1] - taken
        emulator = Emulator(APPS, orgs=("a", "b"), port=port)
        with pytest.raises(OSError, match=r".*"):
            emulator.__enter__()
        assert emulator.urls == {}
    assert threading.active_count() == threads
    if taken:
        socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize("address", loopbacks())
def test_a_port_taken_on_one_address_is_taken(address: str) -> None:
    with socket.create_server((address, 0), family=loopbacks()[address]) as stranger:
        emulator = Emulator(APPS, port=stranger.getsockname()[1])
        with pytest.raises(OSError, match=r".*"):
            emulator.__enter__()


def test_it_can_be_started_again_at_the_same_ports(http: httpx.Client) -> None:
    with Emulator(APPS, orgs=("a", "b")) as emulator:
        free = int(emulator.urls["a"].rpartition(":")[2])
    again = Emulator(APPS, port=free)
    for _ in range(2):
        with again:
            assert again.urls == {"emulator": f"http://localhost:{free}"}
            assert http.get(f"{again.urls['emulator']}/services/data").status_code == 200


def test_it_starts_and_stops_at_once_whatever_is_open() -> None:
    threads = threading.active_count()
    began = time.perf_counter()
    emulator = Emulator(APPS).__enter__()
    started = time.perf_counter()
    with httpx.Client(trust_env=False) as http, socket.create_connection(("127.0.0.1", port_of(emulator))) as half:
        http.get(f"{emulator.urls['emulator']}/services/data")
        half.sendall(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
        http.get(f"{emulator.urls['emulator']}/services/data")
        stopping = time.perf_counter()
        emulator.__exit__(None, None, None)
        stopped = time.perf_counter()
    assert started - began < 1
    assert stopped - stopping < 1
    assert threading.active_count() == threads


def test_it_says_nothing(capfd: pytest.CaptureFixture[str], http: httpx.Client) -> None:
    with Emulator(APPS) as emulator:
        Client(emulator, http).token()
        with socket.create_connection(("127.0.0.1", port_of(emulator))) as stranger:
            stranger.sendall(b"\x16\x03\x01 not http\r\n\r\n")
            stranger.recv(100)
    assert capfd.readouterr() == ("", "")


def test_an_unregistered_org_has_no_login() -> None:
    with Emulator(APPS) as emulator, pytest.raises(KeyError):
        emulator.login("other")


def test_it_is_no_relative_of_the_client() -> None:
    folder = Path(ecapipe.emulator.__file__).parent
    imported = {
        node.module or ""
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
    }
    ours = {name for name in imported if name.startswith("ecapipe") and not name.startswith("ecapipe.emulator")}
    assert ours == {"ecapipe.page", "ecapipe.secret"}
