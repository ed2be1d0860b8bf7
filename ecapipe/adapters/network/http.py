"""HTTP, bounded and never redirected; the only module that meets httpx."""

from __future__ import annotations

import logging
import os
import re
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ecapipe import __version__
from ecapipe.adapters import installation, reading
from ecapipe.adapters.network import proxies
from ecapipe.adapters.network.proxies import Proxy
from ecapipe.adapters.storage.files import reason
from ecapipe.oauth import dpop
from ecapipe.oauth.messages import Request, Response
from ecapipe.problems.network import (
    TlsFault,
    certificates_not_usable,
    connection_failed,
    connection_lost,
    host_not_found,
    host_timed_out,
    proxy_failed,
    proxy_not_usable,
    tls_failed,
    unexpected_answer,
)
from ecapipe.problems.problem import EcapipeError, Problem

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

_PROXY_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""The schemes of proxies that can be used, with their ports."""

CERTIFICATES: Final = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR")
"""Variables that add to the certificates that are trusted. Whoever uses sf behind a proxy has set the second already,
which is Node's; whoever uses other programs in Python the third, which may name a folder, too."""


_FAULTS: Final[Mapping[int, TlsFault]] = {9: "time", 10: "time", 62: "name", 64: "name"}
"""By the code with which OpenSSL rejects a certificate (``X509_V_ERR_…``)."""


class Http:
    """Sends requests, by what is made with the first of them and keeps its connections.

    An exchange that has not ended after `longest` seconds is given up, however steadily something drips.

    Certificates are checked against the operating system's store and what `CERTIFICATES` name. Proxies come from the
    usual variables, but never stand before this very machine.
    """

    def __init__(
        self,
        transport: httpx.BaseTransport | None = None,
        longest: float = 60.0,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._given, self._longest, self._tls = transport, longest, tls or tls_context
        self._transports: dict[tuple[bool, Proxy | None], httpx.HTTPTransport] = {}
        self._wire: Wire | None = None

    def __call__(self, request: Request) -> Response:
        import httpx

        scheme = request.url.partition(":")[0]
        proxy = find_proxy(scheme, request.host)
        try:
            with closing(self._send(request, self._transport(scheme, proxy))) as response:
                body = _read(response, request.host)
            if _log.isEnabledFor(logging.DEBUG):
                # Without the query, which may hold a code.
                place = f"{request.host}{urlsplit(request.url).path}"
                _log.debug("%s %s: %s", request.method, place, response.status_code)
            headers = _lowered(response)
            content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
            retry_after = _seconds(headers.get("retry-after"))
            return Response(
                response.status_code,
                content_type,
                body,
                retry_after,
                date=_date(headers.get("date")),
                nonce=dpop.read_nonce(headers.get("dpop-nonce")),
                challenge=dpop.read_challenge(headers.get("www-authenticate")),
                location=headers.get("location"),
            )
        except httpx.HTTPError as error:
            # Before TLS with the host nothing has come farther than to the proxy.
            if proxy and self._wire and self._wire.peer == proxy.host and scheme == "https":
                raise EcapipeError(_proxy_problem(error, proxy, request.host)) from None
            raise EcapipeError(_problem(error, request.host)) from None
        except (httpx.InvalidURL, UnicodeError):  # a name that cannot be one: a label too long, broken punycode
            raise EcapipeError(host_not_found(request.host)) from None

    def _send(self, request: Request, transport: httpx.BaseTransport) -> httpx.Response:
        """The response as it begins to come in."""
        import httpx

        content = None
        if request.form is not None:
            content = request.form.reveal().encode()
        elif request.json is not None:
            content = request.json.encode()
        # Seconds of silence, not of the whole: that is for the wire.
        if self._wire is not None:
            self._wire.begin(self._longest)
        timeout = {"connect": 10.0, **dict.fromkeys(("read", "write", "pool"), min(30.0, self._longest))}
        built = httpx.Request(
            request.method,
            request.url,
            headers=_headers(request),
            content=content,
            extensions={"timeout": timeout},
        )
        return transport.handle_request(built)

    def open(self) -> None:
        """Load what requests are sent with, if that has not been done."""
        self._transport("https", None)

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()

    def _transport(self, scheme: str, proxy: Proxy | None) -> httpx.BaseTransport:
        """What sends requests through `proxy`: a client would add redirects, cookies and authentication, and none of
        them is wanted. Raises `EcapipeError` (CertificatesNotUsable), but for plain http, which needs none."""
        key = scheme == "https" or (proxy is not None and proxy.scheme == "https"), proxy
        if self._given is not None:
            return self._given
        if key not in self._transports:
            self._transports[key] = self._make(*key)
        return self._transports[key]

    def _make(self, encrypted: bool, proxy: Proxy | None) -> httpx.HTTPTransport:
        # Without TLS nothing has to be trusted.
        verify = self._tls() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        import httpx

        from ecapipe.adapters.network.wire import LOGGER, Wire

        # httpx writes full URLs, with their query, into the log at INFO.
        for logger in (httpx.__name__, LOGGER):
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        through = None
        if proxy is not None:
            through = httpx.Proxy(proxy.url, ssl_context=verify if proxy.scheme == "https" else None)
        limits = httpx.Limits(max_keepalive_connections=_KEEPALIVE)
        transport = httpx.HTTPTransport(verify=verify, limits=limits, proxy=through)
        # Connections that end with the exchange; httpx does not hand them on to httpcore.
        self._wire = self._wire or Wire()
        transport._pool._network_backend = self._wire
        return transport


def find_proxy(scheme: str, host: str) -> Proxy | None:
    """The proxy for requests to `host`, as the doctor judges it, too. Raises `EcapipeError` (ProxyNotUsable)."""
    import httpx

    named = proxies.named(scheme, host)
    if named is None:
        return None
    text, named_by = named
    try:
        # As curl does: a proxy without a scheme is an HTTP proxy.
        url = httpx.URL(text if "://" in text else f"http://{text}")
        proxy_host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        raise EcapipeError(proxy_not_usable(named_by, "it is not a valid URL of a proxy")) from None
    if url.scheme not in _PROXY_PORTS:
        reason = f"it begins with {url.scheme}://, but ecapipe supports only {', '.join(_PROXY_PORTS)}"
        raise EcapipeError(proxy_not_usable(named_by, reason))
    if not proxy_host:
        raise EcapipeError(proxy_not_usable(named_by, "it has no host"))
    if url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise EcapipeError(proxy_not_usable(named_by, "it is a SOCKS proxy", installation.adding("socksio")))
    return Proxy(str(url), url.scheme, proxy_host, url.port or _PROXY_PORTS[url.scheme], named_by)


def _lowered(response: httpx.Response) -> dict[str, str]:
    """The headers by their names in lower case, one after the other where a name comes again.

    Each is asked for once, which takes httpx longer than this.
    """
    headers: dict[str, str] = {}
    encoding = response.headers.encoding
    for raw_name, raw_value in response.headers.raw:
        name, value = raw_name.decode(encoding).lower(), raw_value.decode(encoding)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


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
    """The operating system's trust, and what the environment adds to it.

    Raises `EcapipeError` (CertificatesNotUsable), which names the variable.
    """
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for variable in CERTIFICATES:
        if path := os.environ.get(variable):
            _trust(context, variable, path)
    return context


def _trust(context: ssl.SSLContext, variable: str, path: str) -> None:
    try:
        if variable == "SSL_CERT_DIR" or (variable == "REQUESTS_CA_BUNDLE" and os.path.isdir(path)):
            # OpenSSL takes a list, and says nothing of a folder that is not there.
            for folder in filter(None, path.split(os.pathsep)):
                os.scandir(folder).close()
            context.load_verify_locations(capath=path)
        else:
            # OpenSSL takes a folder for a file without certificates, and waits for a pipe.
            os.close(reading.open_file(path))
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        raise EcapipeError(
            certificates_not_usable(variable, path, "it contains no certificate in PEM format")
        ) from None
    except OSError as error:
        raise EcapipeError(certificates_not_usable(variable, path, reason(error))) from None


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


def _headers(request: Request) -> dict[str, str]:
    # Uncompressed: what is small on the wire may not become large here.
    # A page, where one is asked for, is second to JSON.
    accepted = "application/json, */*;q=0.1"
    headers = {"Accept": accepted, "Accept-Encoding": "identity", "User-Agent": f"ecapipe/{__version__}"}
    if request.bearer is not None:
        scheme = "Bearer" if request.proof is None else "DPoP"
        headers["Authorization"] = f"{scheme} {request.bearer.reveal()}"
    if request.proof is not None:
        headers["DPoP"] = request.proof.reveal()
    if request.form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif request.json is not None:
        headers["Content-Type"] = "application/json"
    return headers


def _problem(error: httpx.HTTPError, host: str) -> Problem:
    """What failed before an answer. The library's own text stays out: it can hold a URL."""
    import socket

    import httpx

    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return tls_failed(host, _handshake(cause), _FAULTS.get(cause.verify_code, "trust"))
        if isinstance(cause, ssl.SSLError):
            return tls_failed(host, _handshake(cause), "protocol", local=proxies.local(host))
        if isinstance(cause, socket.gaierror):
            return host_not_found(host)
    if isinstance(error, httpx.ConnectTimeout):
        return connection_failed(host, "it took too long")
    if isinstance(error, httpx.TimeoutException):
        return host_timed_out(host)
    if isinstance(error, httpx.ConnectError):
        return connection_failed(host, _system_reason(causes) or "the host does not respond")
    return connection_lost(host, _system_reason(causes) or "the response was cut off, or is not HTTP")


def _proxy_problem(error: httpx.HTTPError, proxy: Proxy, host: str) -> Problem:
    """Why a proxy let nothing through. Of the library's text only the status is told."""
    import socket

    import httpx

    causes = _causes(error)
    reason = _system_reason(causes) or "it does not respond like a proxy"
    plain = False
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        reason = "its host was not found"
    elif tls := next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None):
        plain = not isinstance(tls, ssl.SSLCertVerificationError)
        reason = f"the TLS connection to it failed, {_handshake(tls)}"
    elif isinstance(error, httpx.ProxyError):
        status = str(error)[:3]
        reason = f"it refused with HTTP {status}" if status.isdecimal() else "it refused the request"
    elif isinstance(error, httpx.TimeoutException):
        reason = "it did not respond in time"
    return proxy_failed(proxy.named_by, proxy.place, host, reason, speaks_http=plain)


def _handshake(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (error.verify_message or "the certificate is not trusted").rstrip(".")
    return (error.reason or "handshake failed").lower().replace("_", " ")


def _system_reason(causes: list[BaseException]) -> str:
    found = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    return str(getattr(found, "strerror", "")).lower()


def _causes(error: BaseException) -> list[BaseException]:
    """An error and those behind it: httpx and httpcore each wrap what the system raised."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and len(causes) < 10:
        causes.append(cause)
    return causes
