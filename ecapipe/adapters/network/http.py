"""HTTP, bounded and never redirected; the only module that meets httpx."""

from __future__ import annotations

import logging
import os
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

# httpx has a command line of its own, and loads click, rich and pygments for it: more than half of its import.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: an import fails, which httpx allows for

LARGEST = 1024 * 1024
"""Bytes of an answer that are read; Salesforce's stay below 20 KiB."""

_KEPT = 2
"""Connections that are kept open: a login asks the same host a few times, and seldom again."""

_log = logging.getLogger("ecapipe.http")

_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")


class Http:
    """Sends requests, by what is made with the first of them and keeps its connections.

    An answer that has not ended after `longest` seconds is given up, however steadily it drips.

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

    def __call__(self, request: Request) -> Response:
        import httpx

        end = time.monotonic() + self._longest
        try:
            with closing(self._answer(request)) as response:
                body, encoded = b"", "content-encoding" in response.headers
                for chunk in response.iter_bytes() if encoded else response.iter_raw():
                    body += chunk
                    if time.monotonic() > end:
                        raise EcapipeError(host_timed_out(request.host))
                    if len(body) > LARGEST:
                        reason = "it is larger than 1 MiB"
                        raise EcapipeError(unexpected_answer(request.host, response.status_code, reason))
            if _log.isEnabledFor(logging.DEBUG):
                place = f"{request.host}{urlsplit(request.url).path}"
                _log.debug("%s %s: %s", _method(request), place, response.status_code)
            headers = response.headers
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            retry_after = _seconds(headers.get("retry-after"))
            return Response(response.status_code, kind, body, retry_after, _date(headers.get("date")))
        except httpx.HTTPError as error:
            raise EcapipeError(_problem(error, request.host)) from None
        except (httpx.InvalidURL, UnicodeError):  # a name that cannot be one: a label too long, broken punycode
            raise EcapipeError(host_not_found(request.host)) from None

    def _answer(self, request: Request) -> httpx.Response:
        """The answer as it begins to come in."""
        import httpx

        sender, content = self.open(), request.form.reveal().encode() if request.form else None
        timeout = {"connect": 10.0, **dict.fromkeys(("read", "write", "pool"), min(30.0, self._longest))}
        asked = httpx.Request(
            _method(request),
            request.url,
            headers=_headers(request),
            content=content,
            extensions={"timeout": timeout},
        )
        if isinstance(sender, httpx.Client):
            return sender.send(asked, stream=True)
        return sender.handle_request(asked)

    def open(self) -> httpx.Client | httpx.BaseTransport:
        """Make what sends, and load what it is made of, if that has not been done."""
        self._sender = self._sender or self._made()
        return self._sender

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()

    def _made(self) -> httpx.Client | httpx.BaseTransport:
        """A client where a proxy may have to be chosen. Elsewhere its transport alone, which takes two thirds of the
        time: what a client adds are redirects, cookies and authentication, and none of them is wanted."""
        import httpx

        # httpx writes full URLs, with their query, into the log at INFO.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if self._transport is not None:
            return self._transport
        verify, limits = self._tls or tls_context(), httpx.Limits(max_keepalive_connections=_KEPT)
        if getproxies():
            mounts = dict.fromkeys(_LOOPBACK)
            return httpx.Client(verify=verify, follow_redirects=False, limits=limits, mounts=mounts)
        return httpx.HTTPTransport(verify=verify, limits=limits)


def tls_context() -> ssl.SSLContext:
    """The operating system's trust, and the files that the environment adds to it."""
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    extra = os.environ.get("SSL_CERT_FILE"), os.environ.get("NODE_EXTRA_CA_CERTS")
    for file in extra:
        if file:
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
    """A Retry-After header (RFC 9110 §10.2.3): a number of seconds, or a date."""
    if retry_after is None:
        return None
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def _date(named: str | None) -> float | None:
    """A Date header (RFC 9110 §6.6.1), in seconds since 1970."""
    try:
        return parsedate_to_datetime(named).timestamp() if named else None
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

    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and len(causes) < 10:
        causes.append(cause)
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
