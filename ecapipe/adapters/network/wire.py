"""Connections with an end: one moment for all of an exchange, and a bound on what it may bring in."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import httpcore

T = TypeVar("T")

LARGEST: Final = 2 * 1024 * 1024
"""Bytes that one exchange may bring in: what the body may hold, and as much again around it."""

_RECORD: Final = 16 * 1024
"""Bytes of a TLS record (RFC 8446, section 5.1)."""

LOGGER: Final = httpcore.__name__
"""Where the library below httpx logs."""


class Wire(httpcore.NetworkBackend):
    """Makes connections. Timeouts of libraries begin anew with every byte; whatever is done on these ends with the
    exchange, be it a name looked up, a handshake, a proxy, headers, interim answers, chunks or trailers.

    Used by one thread alone, for one exchange at a time.
    """

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()
        self._end = 0.0
        self._room = 0
        self.peer = ""
        """Whom the exchange has tried to connect to last: with a proxy first that, then, in TLS, the host behind it.
        Empty while an earlier connection serves."""

    def begin(self, seconds: float) -> None:
        """An exchange begins, which may take so long."""
        self._end = time.monotonic() + seconds
        self._room = LARGEST
        self.peer = ""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        self.peer = host
        error: Exception = httpcore.ConnectError()
        for address in self._look_up(host, port, timeout):
            left = self.left(timeout, httpcore.ConnectTimeout)
            try:
                stream = self._backend.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failure:
                error = failure
            else:
                return _Stream(stream, self)
        raise error

    def left(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float:
        """Seconds that the next step may take: raises `late` if the exchange has none left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise late()
        return left if timeout is None else min(left, timeout)

    def count(self, received: bytes) -> bytes:
        """What has come in; raises `httpcore.RemoteProtocolError` if the exchange has brought too much."""
        self._room -= len(received)
        if self._room < 0:
            raise httpcore.RemoteProtocolError("The response is too large.")
        return received

    def _look_up(self, host: str, port: int, timeout: float | None) -> list[str]:
        """The addresses of a host, in the order of the system. The resolver itself cannot be told to hurry."""
        addresses: Future[list[str]] = Future()

        def ask() -> None:
            try:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                addresses.set_result([str(address[0]) for *_, address in found])
            except (OSError, UnicodeError) as error:
                addresses.set_exception(error)

        threading.Thread(target=ask, name="ecapipe-resolver", daemon=True).start()
        try:
            return addresses.result(self.left(timeout, httpcore.ConnectTimeout))
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except OSError as error:
            raise httpcore.ConnectError from error


class _Stream(httpcore.NetworkStream):
    """A connection of a wire, by the stream of httpcore that does the work."""

    def __init__(self, stream: httpcore.NetworkStream, wire: Wire) -> None:
        self._stream, self._wire = stream, wire

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._wire.count(self._stream.read(max_bytes, self._wire.left(timeout, httpcore.ReadTimeout)))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._wire.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        self._wire.peer = server_hostname or ""
        # Within TLS to a proxy httpcore reads records with a timeout for each byte.
        if self.get_extra_info("ssl_object") is not None:
            return _InnerTls(self, self._wire, ssl_context, server_hostname)
        left = self._wire.left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._wire)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _InnerTls(_Stream):
    """TLS on top of another connection."""

    def __init__(
        self, stream: httpcore.NetworkStream, wire: Wire, context: ssl.SSLContext, server_hostname: str | None
    ) -> None:
        super().__init__(stream, wire)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        try:
            self._run(self._tls.do_handshake)
        except ssl.SSLError as error:
            self.close()
            raise httpcore.ConnectError from error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._run(lambda: self._tls.read(max_bytes), timeout)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise httpcore.ReadError from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        while buffer:
            rest = buffer
            buffer = rest[self._run(lambda: self._tls.write(rest), timeout) :]  # noqa: B023

    def get_extra_info(self, info: str) -> Any:
        return self._tls if info == "ssl_object" else super().get_extra_info(info)

    def _run(self, step: Callable[[], T], timeout: float | None = None) -> T:
        """Do `step`, with as many records from the other side as it takes."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush(timeout)
                if received := self._stream.read(_RECORD, timeout):
                    self._incoming.write(received)
                else:
                    self._incoming.write_eof()
            else:
                self._flush(timeout)
                return result

    def _flush(self, timeout: float | None) -> None:
        if self._outgoing.pending:
            self._stream.write(self._outgoing.read(), timeout)
