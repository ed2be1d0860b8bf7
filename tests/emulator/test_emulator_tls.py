"""An emulator that speaks https."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from emulator.client import APPS, Client

from ecapipe.emulator.faults import Fault
from ecapipe.emulator.server import Emulator

CUT = "/cut"


@pytest.fixture(scope="module")
def secure() -> Iterator[Emulator]:
    faults = [Fault(CUT, {"status": 200, "body": "x" * 50, "truncate": 5})]
    with Emulator(APPS, tls=True, faults=faults) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def trusting(secure: Emulator) -> Iterator[Client]:
    with httpx.Client(trust_env=False, verify=ssl.create_default_context(cafile=secure.ca_file)) as http:
        yield Client(secure, http)


def port_of(emulator: Emulator) -> int:
    return int(emulator.urls["emulator"].rpartition(":")[2])


def test_a_client_that_trusts_it_goes_all_the_way(trusting: Client) -> None:
    said = trusting.token().json()
    assert said["instance_url"] == trusting.url("")
    assert said["instance_url"].startswith("https://localhost:")
    assert said["id"].startswith(said["instance_url"])
    assert trusting.get("/services/oauth2/userinfo", said["access_token"]).json()["sub"] == said["id"]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_the_certificate_is_for_every_name_of_this_machine(secure: Emulator, name: str) -> None:
    trust = ssl.create_default_context(cafile=secure.ca_file)
    with (
        socket.create_connection(("127.0.0.1", port_of(secure))) as plain,
        trust.wrap_socket(plain, server_hostname=name) as wrapped,
    ):
        assert wrapped.getpeercert()


def test_no_other_name_and_no_other_trust_will_do(secure: Emulator) -> None:
    trust = ssl.create_default_context(cafile=secure.ca_file)
    with socket.create_connection(("127.0.0.1", port_of(secure))) as plain:
        with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)hostname mismatch"):
            trust.wrap_socket(plain, server_hostname="acme.my.salesforce.com")
    with Emulator(APPS, tls=True) as stranger, httpx.Client(verify=trust, trust_env=False) as http:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            http.get(stranger.urls["emulator"])


def test_a_connection_can_be_cut_under_tls_too(trusting: Client) -> None:
    with pytest.raises(httpx.RemoteProtocolError, match="closed connection"):
        trusting.get(CUT)


def test_the_files_are_private_and_go_when_it_stops() -> None:
    emulator = Emulator(APPS, tls=True)
    assert emulator.ca_file is None
    with emulator:
        assert emulator.ca_file is not None
        folder = os.path.dirname(emulator.ca_file)
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        with open(emulator.ca_file) as file:
            assert "PRIVATE" not in file.read()
    assert not os.path.exists(folder)
    assert emulator.ca_file is None


def test_without_tls_there_is_nothing_to_trust(emulator: Emulator) -> None:
    assert emulator.ca_file is None


def test_it_stops_at_once_and_says_nothing_whoever_hangs_on(capfd: pytest.CaptureFixture[str]) -> None:
    threads = threading.active_count()
    emulator = Emulator(APPS, tls=True, faults=[Fault("*", {"delay": 60})]).__enter__()
    port = port_of(emulator)
    trust = ssl.create_default_context(cafile=emulator.ca_file)
    with (
        socket.create_connection(("127.0.0.1", port)),  # never says hello
        socket.create_connection(("127.0.0.1", port)) as confused,
        socket.create_connection(("127.0.0.1", port)) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as waiting,
    ):
        confused.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        confused.settimeout(5)
        confused.recv(100)
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while not emulator.requests:
            time.sleep(0.01)
        began = time.perf_counter()
        emulator.__exit__(None, None, None)
        assert time.perf_counter() - began < 1
    assert threading.active_count() == threads
    assert capfd.readouterr() == ("", "")
