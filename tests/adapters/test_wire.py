"""TLS through TLS, as to an org behind a proxy that is itself spoken to in TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import httpcore
import pytest
import trustme
from fakes.servers import origin

from ecapipe.adapters.network.wire import Wire

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@contextmanager
def relay(tls: ssl.SSLContext, port: int, pause: float = 0.0) -> Iterator[int]:
    """Takes TLS off, and passes on what is in it; with a `pause`, byte by byte on the way back."""

    def forward(source: socket.socket, sink: socket.socket, size: int, pause: float) -> None:
        with suppress(OSError):
            while piece := source.recv(size):
                sink.sendall(piece)
                time.sleep(pause)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            outside = tls.wrap_socket(server.accept()[0], server_side=True)
            inside = socket.create_connection(("127.0.0.1", port))
            with outside, inside:
                sender = threading.Thread(target=forward, args=(outside, inside, 65536, 0.0), daemon=True)
                sender.start()
                forward(inside, outside, 1 if pause else 65536, pause)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_tls_goes_through_tls(tls: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    wire = Wire()
    wire.begin(10.0)
    with origin(tls=tls) as org, relay(tls, org.port) as port:
        outer = wire.connect_tcp("localhost", port).start_tls(trust, "localhost")
        with closing(outer.start_tls(trust, "localhost")) as inner:
            inner.write(REQUEST)
            assert b"".join(iter(lambda: inner.read(65536), b"")).endswith(b"{}")
    assert [seen.target for seen in org.seen] == ["/"]


def test_a_record_that_drips_through_tls_ends_with_the_exchange(tls: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    wire = Wire()
    wire.begin(0.5)
    with origin(tls=tls) as org, relay(tls, org.port, pause=0.02) as port:
        with closing(wire.connect_tcp("localhost", port).start_tls(trust, "localhost")) as outer:
            start = time.monotonic()
            with pytest.raises((httpcore.ReadTimeout, httpcore.ConnectTimeout)):
                outer.start_tls(trust, "localhost").read(1)
            assert time.monotonic() - start < 2


def test_another_host_within_is_not_trusted(tls: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    wire = Wire()
    wire.begin(10.0)
    with origin(tls=tls) as org, relay(tls, org.port) as port:
        with closing(wire.connect_tcp("localhost", port).start_tls(trust, "localhost")) as outer:
            with pytest.raises(httpcore.ConnectError):
                outer.start_tls(trust, "acme.my.salesforce.com")
    assert org.seen == []
