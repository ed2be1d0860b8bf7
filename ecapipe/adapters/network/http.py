"""HTTP, bounded and never redirected; the only module that meets httpx."""

from __future__ import annotations

import logging
import os
import re
import ssl
import sys
import time
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

from ecapipe import __version__
from ecapipe.oauth.messages import Request, Response
from ecapipe.problems.network import (
    connection_failed,
    connection_lost,
    host_not_found,
    host_timed_out,
    tls_failed,
    unexpected_answer,
)
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.usage import unreadable_file

if TYPE_CHECKING:
    import httpx

    from ecapipe.adapters.network.wire import Wire

# httpx has a command line of its own, and loads click, rich and pygments for it if they are there. Measured
# (python -X importtime, CPython 3.11, five runs): 46 to 60 ms of the 100 to 128 that `import httpx` takes. None in
# sys.modules makes an import of that name fail (Python's reference, "The module cache"), and httpx allows for that:
# it puts a function in the place of its command line, which is all that is lost, and only in this process.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

LARGEST = 1024 * 1024
"""Bytes of an answer that are read; Salesforce's stay below 20 KiB."""

_KEEPALIVE = 2
"""Connections that are kept open: a login asks the same host a few times, and seldom again."""

_DAY = 24 * 60 * 60.0
_IMF_FIXDATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [1-9][0-9]{3} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")

_log = logging.getLogger("ecapipe.http")

_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")


class Http:
    """Sends requests, by what is made with the first of them and keeps its connections.

    An exchange that has not ended after `longest` seconds is given up, however steadily something drips.

    Certificates are checked against the operating system's store, `SSL_CERT_FILE`, `SSL_CERT_DIR` and
    `NODE_EXTRA_CA_CERTS`. Proxies come from the usual variables, but never stand before this very machine.
    """

    def __init__(
        self,
        transport: httpx.BaseTransport | None = None,
        longest: float = 60.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._transport, self._longest, self._tls = transport, longest, tls
        self._sender: httpx.Client | httpx.BaseTransport | None = None
        self._wire: Wire | None = None

    def __call__(self, request: Request) -> Response:
        import httpx

        try:
            with closing(self._send(request)) as response:
                body = _read(response, request.host)
            if _log.isEnabledFor(logging.DEBUG):
                # Without the query, which may hold a code.
                place = f"{request.host}{urlsplit(request.url).path}"
                _log.debug("%s %s: %s", _method(request), place, response.status_code)
            headers = response.headers
            content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            retry_after = _seconds(headers.get("retry-after"))
            return Response(response.status_code, content_type, body, retry_after, _date(headers.get("date")))
        except httpx.HTTPError as error:
            raise EcapipeError(_problem(error, request.host)) from None
        except (httpx.InvalidURL, UnicodeError):  # a name that cannot be one: a label too long, broken punycode
            raise EcapipeError(host_not_found(request.host)) from None

    def _send(self, request: Request) -> httpx.Response:
        """The response as it begins to come in."""
        import httpx

        sender, content = self.open(), None
        if request.form is not None:
            content = request.form.reveal().encode()
        # Seconds of silence, not of the whole: that is for the wire.
        if self._wire is not None:
            self._wire.begin(self._longest)
        timeout = {"connect": 10.0, **dict.fromkeys(("read", "write", "pool"), min(30.0, self._longest))}
        built = httpx.Request(
            _method(request),
            request.url,
            headers=_headers(request),
            content=content,
            extensions={"timeout": timeout},
        )
        if isinstance(sender, httpx.Client):
            return sender.send(built, stream=True)
        return sender.handle_request(built)

    def open(self) -> httpx.Client | httpx.BaseTransport:
        """Make what sends, and load what it is made of, if that has not been done."""
        self._sender = self._sender or self._make_sender()
        return self._sender

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()

    def _make_sender(self) -> httpx.Client | httpx.BaseTransport:
        """A client where a proxy may have to be chosen. Elsewhere its transport alone, which takes two thirds of the
        time: what a client adds are redirects, cookies and authentication, and none of them is wanted."""
        import httpx

        # httpx writes full URLs, with their query, into the log at INFO.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if self._transport is not None:
            return self._transport
        verify, limits = self._tls or tls_context(), httpx.Limits(max_keepalive_connections=_KEEPALIVE)
        if not getproxies():
            return self._bounded(httpx.HTTPTransport(verify=verify, limits=limits))
        # httpx itself goes by NO_PROXY alone, and would ask a proxy for the emulator.
        mounts = dict.fromkeys(_LOOPBACK)
        client = httpx.Client(verify=verify, follow_redirects=False, limits=limits, mounts=mounts)
        for transport in (client._transport, *client._mounts.values()):
            if isinstance(transport, httpx.HTTPTransport):
                self._bounded(transport)
        return client

    def _bounded(self, transport: httpx.HTTPTransport) -> httpx.HTTPTransport:
        """The transport, on connections that end with the exchange; httpx does not hand them on to httpcore."""
        from ecapipe.adapters.network.wire import Wire

        self._wire = self._wire or Wire()
        transport._pool._network_backend = self._wire
        return transport


def _read(response: httpx.Response, host: str) -> bytes:
    """The body; raises `EcapipeError` (UnexpectedAnswer) for one that is too large, or encoded: none was asked for,
    and a few kilobytes may unpack to gigabytes."""
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise EcapipeError(unexpected_answer(host, response.status_code, "it is compressed"))
    body = b""
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > LARGEST:
            raise EcapipeError(unexpected_answer(host, response.status_code, "it is larger than 1 MiB"))
    return body


def tls_context() -> ssl.SSLContext:
    """The operating system's trust, and the files that the environment adds to it."""
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The second is the variable of Node, which whoever uses sf behind a proxy has set already.
    for variable in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
        if file := os.environ.get(variable):
            _load(context, cafile=file)
    if folder := os.environ.get("SSL_CERT_DIR"):
        _load(context, capath=folder)
    return context


def _load(context: ssl.SSLContext, cafile: str | None = None, capath: str | None = None) -> None:
    try:
        context.load_verify_locations(cafile, capath)
    except OSError as error:  # ssl.SSLError is one
        raise EcapipeError(
            unreadable_file(cafile or capath or "", error.strerror or "it holds no certificate")
        ) from None


def _seconds(retry_after: str | None) -> float | None:
    """A Retry-After header (RFC 9110 §10.2.3), a number of seconds or a date: a day at most."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdecimal():
        return float(min(_DAY, int(retry_after[:9])))
    at = _date(retry_after)
    if at is None:
        return None
    return min(_DAY, max(0.0, at - time.time()))


def _date(header: str | None) -> float | None:
    """A Date header (RFC 9110 §5.6.7), in seconds since 1970; None for any but the form that everybody sends.

    The library's reader also takes years, numbers and time zones that no clock can hold, and fails in many ways.
    """
    if header is None or not _IMF_FIXDATE.fullmatch(header):
        return None
    try:
        return parsedate_to_datetime(header).timestamp()
    except ValueError:
        return None


def _method(request: Request) -> str:
    return "GET" if request.form is None else "POST"


def _headers(request: Request) -> dict[str, str]:
    # Uncompressed: what is small on the wire may not become large here.
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": f"ecapipe/{__version__}"}
    if request.bearer is not None:
        headers["Authorization"] = f"Bearer {request.bearer.reveal()}"
    if request.form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    return headers


def _problem(error: httpx.HTTPError, host: str) -> Problem:
    """What failed before an answer. The library's own text stays out: it can hold a URL."""
    import socket

    import httpx

    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return tls_failed(host, cause.verify_message or "the certificate is not trusted")
        if isinstance(cause, ssl.SSLError):
            return tls_failed(host, (cause.reason or "handshake failed").lower().replace("_", " "))
        if isinstance(cause, socket.gaierror):
            return host_not_found(host)
    if isinstance(error, httpx.ConnectTimeout):
        return connection_failed(host, "it took too long")
    if isinstance(error, httpx.TimeoutException):
        return host_timed_out(host)
    if isinstance(error, httpx.ProxyError):
        return connection_failed(host, "the proxy refused it")
    os_error = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    reason = str(getattr(os_error, "strerror", "")).lower()
    if isinstance(error, httpx.ConnectError):
        return connection_failed(host, reason or "nobody answers")
    return connection_lost(host, reason or "the answer was cut off, or is not HTTP")


def _causes(error: BaseException) -> list[BaseException]:
    """An error and those behind it: httpx and httpcore each wrap what the system raised."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and len(causes) < 10:
        causes.append(cause)
    return causes
