"""HTTP against real servers: bounded, never redirected, and quiet about what it carries."""

from __future__ import annotations

import gzip
import logging
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import trustme
from fakes.servers import Said, Seen, origin, saying
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from loopback import ADDRESSES, free_port

from ecapipe.adapters.network.http import CERTIFICATES, LARGEST, Http, find_proxy
from ecapipe.adapters.network.proxies import Proxy
from ecapipe.oauth.messages import Request, Response
from ecapipe.orgs.org import Address
from ecapipe.problems import network
from ecapipe.problems.problem import EcapipeError, Kind, Problem
from ecapipe.secret import Secret

FORM = "grant_type=authorization_code&code=aPrxMADEUP%3D%3D&client_secret=MADE0UP0SECRET"
BEARER = "00D000000000001!AQ.made.up.token"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's proxies and certificates."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in CERTIFICATES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def http() -> Iterator[Http]:
    made = Http()
    yield made
    made.close()


NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def at(url: str) -> Address:
    return Address(url, urlsplit(url).netloc, "user")


def post(url: str) -> Request:
    return Request(at(url), "", form=Secret(FORM))


def failure(http: Http, request: Request) -> Problem:
    """The problem a request ends in, which tells nothing of what was sent."""
    with pytest.raises(EcapipeError) as caught:
        http(request)
    problem = caught.value.problem
    assert not any(secret in repr(problem) for secret in ("aPrx", "MADE0UP0SECRET", "AQ.made", "/services/"))
    assert caught.value.__cause__ is None
    return problem


def test_a_get_carries_its_bearer_in_the_header(http: Http) -> None:
    with origin() as org:
        answer = http(Request(at(org.url("")), "/services/oauth2/userinfo", bearer=Secret(BEARER)))
    (seen,) = org.seen
    assert replace(answer, date=None) == Response(200, "application/json", b"{}")
    assert (seen.method, seen.target, seen.body) == ("GET", "/services/oauth2/userinfo", "")
    assert seen.headers["Authorization"] == f"Bearer {BEARER}"
    assert seen.headers["Accept"] == "application/json, */*;q=0.1"


def test_a_form_is_posted_byte_for_byte(http: Http) -> None:
    with origin() as org:
        http(post(org.url("/services/oauth2/token")))
    (seen,) = org.seen
    assert (seen.method, seen.target, seen.body) == ("POST", "/services/oauth2/token", FORM)
    assert seen.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in seen.headers


def test_an_answer_is_given_as_it_came(http: Http) -> None:
    said = Said(400, b'{"error": "invalid_grant"}', {"Content-Type": "Application/JSON; charset=UTF-8"})
    with origin(lambda seen: said) as org:
        assert replace(http(post(org.url())), date=None) == Response(400, "application/json", said.body)
    with origin(lambda seen: Said(204, b"", {})) as org:
        assert replace(http(post(org.url())), date=None) == Response(204, "", b"")


def test_requests_share_one_connection(http: Http) -> None:
    with origin() as org:
        for _ in range(3):
            http(post(org.url()))
    assert len(org.seen) == 3
    assert len({seen.peer for seen in org.seen}) == 1


def test_closing_what_was_never_used_is_nothing() -> None:
    Http().close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(http: Http, status: int) -> None:
    with origin() as thief:
        with origin(lambda seen: Said(status, b"", {"Location": thief.url("/collect")})) as org:
            assert http(post(org.url())).status == status
            assert http(Request(at(org.url()), "", bearer=Secret(BEARER))).status == status
        assert len(org.seen) == 2
        assert thief.seen == []


def test_an_answer_may_be_as_large_as_the_limit(http: Http) -> None:
    with origin(lambda seen: Said(200, b" " * LARGEST)) as org:
        assert len(http(post(org.url())).body) == LARGEST


def test_a_larger_answer_is_refused(http: Http) -> None:
    with origin(lambda seen: Said(200, b" " * (LARGEST + 1))) as org:
        problem = failure(http, post(org.url()))
    assert problem.kind is network.unexpected_answer
    assert "larger than 1 MiB" in problem.message


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br", "identity, gzip", "zstd", "x-unheard-of"])
def test_nothing_is_unpacked(http: Http, encoding: str) -> None:
    packed = gzip.compress(b"{}")
    with origin(lambda seen: Said(200, packed, {"Content-Encoding": encoding})) as org:
        problem = failure(http, post(org.url()))
    assert problem.kind is network.unexpected_answer
    assert "compressed" in problem.message


def test_an_answer_without_end_is_not_read_to_its_end(http: Http) -> None:
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000\r\n\r\n", drip=b" " * LARGEST) as port:
        assert failure(http, post(f"http://localhost:{port}/")).kind is network.unexpected_answer


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("line", "drip"),
    [
        pytest.param(HEAD + b"Content-Length: 9000\r\n\r\n{", b" ", id="body"),
        pytest.param(b"H", b"H", id="status"),
        pytest.param(HEAD + b"X-Slow: ", b"a", id="header"),
        pytest.param(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", id="hints"),
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="continue"),
        pytest.param(CHUNKED + b"1;", b"a", id="extension"),
        pytest.param(CHUNKED, b"1;extension=x\r\n \r\n", id="chunks"),
        pytest.param(CHUNKED + b"0\r\n", b"X-Trailer: a\r\n", id="trailers"),
    ],
)
@pytest.mark.parametrize("through", ["nothing", "a proxy"])
def test_an_answer_that_drips_is_given_up(
    line: bytes, drip: bytes, through: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    http = Http(longest=0.3)
    with saying(line, drip=drip) as port:
        url = f"http://localhost:{port}/"
        if through == "a proxy":
            monkeypatch.setenv("HTTP_PROXY", url)
            url = "http://acme.invalid/"
        start = time.monotonic()
        assert failure(http, post(url)).kind is network.host_timed_out
        assert time.monotonic() - start < 2
    http.close()


@pytest.mark.parametrize("variable", [None, "HTTPS_PROXY"])
def test_the_way_to_an_answer_may_not_drip(variable: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    http = Http(longest=0.3)
    # A TLS record that is 16 KiB long, or what a proxy says before it lets anybody through.
    line, drip = (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a") if variable else (b"\x16\x03\x03\x40\x00", b"\x02")
    with saying(line, drip=drip) as port:
        url = f"https://localhost:{port}/"
        if variable:
            monkeypatch.setenv(variable, f"http://localhost:{port}/")
            url = "https://acme.invalid/"
        start = time.monotonic()
        assert failure(http, post(url)).kind in (network.connection_failed, network.proxy_failed)
        assert time.monotonic() - start < 2
    http.close()


@pytest.mark.parametrize("flood", [b"X: " + b"a" * 60_000 + b"\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000])
def test_an_answer_without_end_is_given_up_for_its_size(http: Http, flood: bytes) -> None:
    line = b"" if flood.startswith(b"HTTP") else HEAD
    with saying(line + flood * 100, drip=flood) as port:
        start = time.monotonic()
        assert failure(http, post(f"http://localhost:{port}/")).kind is network.connection_lost
        assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_a_broken_answer_is_a_lost_connection(http: Http, line: bytes) -> None:
    with saying(line) as port:
        problem = failure(http, post(f"http://localhost:{port}/services/oauth2/token"))
    assert problem.kind is network.connection_lost
    assert f"localhost:{port}" in problem.message


def test_a_refused_connection_says_so(http: Http) -> None:
    problem = failure(http, post(f"http://localhost:{free_port()}/services/oauth2/token"))
    assert problem.kind is network.connection_failed
    assert "connection refused" in problem.message
    assert problem.retryable


@pytest.mark.parametrize("host", ["nowhere.invalid", f"{'a' * 70}.invalid", "a..invalid", ".invalid", "xn--.invalid"])
def test_a_host_that_cannot_be_found_says_so(http: Http, host: str) -> None:
    problem = failure(http, post(f"http://{host}/services/oauth2/token"))
    assert problem.kind is network.host_not_found
    assert host in problem.message


@pytest.mark.parametrize(
    ("late", "kind"),
    [
        (httpx.ConnectTimeout, network.connection_failed),
        (httpx.WriteTimeout, network.host_timed_out),
        (httpx.ReadTimeout, network.host_timed_out),
    ],
)
def test_a_host_that_takes_too_long_says_so(late: type[httpx.TimeoutException], kind: Kind[...]) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise late("made up", request=request)

    http = Http(httpx.MockTransport(never))
    problem = failure(http, post("https://acme.my.salesforce.com/services/oauth2/token"))
    http.close()
    assert problem.kind is kind
    assert "acme.my.salesforce.com" in problem.message


ABSURD = [
    f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT",
    "Mon, 01 Jan 2026 00:00:00 +99999999999999",
    "Mon, 01 Jan 2026 99:99:99 GMT",
    "Mon, 01 Jan 0000 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 -0000",
    "1 1 1 1 1 1 1",
    f"Mon, 01 Jan 2026 {'1' * 5000}:00:00 GMT",
    "Mon, 01 Jan \u0662\u0660\u0662\u0666 00:00:00 GMT".encode().decode("latin-1"),
]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0", 0.0),
        ("Sat, 01 Jan 2000 00:00:00 GMT", 0.0),
        ("-7", None),
        ("soon", None),
        ("", None),
        ("Sat, 31 Feb 2026 00:00:00 GMT", None),
        ("9" * 5000, 86400.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400.0),
        *((absurd, None) for absurd in ABSURD),
    ],
)
def test_an_answer_may_ask_for_patience(http: Http, value: str | None, seconds: float | None) -> None:
    headers = {} if value is None else {"Retry-After": value}
    with origin(lambda seen: Said(429, b"", headers)) as org:
        assert http(post(org.url())).retry_after == seconds


def test_patience_can_be_asked_for_until_a_date(http: Http) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    with origin(lambda seen: Said(503, b"", {"Retry-After": soon})) as org:
        assert http(post(org.url())).retry_after == pytest.approx(60, abs=5)


@pytest.mark.parametrize(
    ("named", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0),
        ("yesterday", None),
        ("", None),
        *((absurd, None) for absurd in ABSURD),
    ],
)
def test_the_hosts_own_time_is_told(http: Http, named: str, seconds: float | None) -> None:
    head = f"HTTP/1.1 200 OK\r\nDate: {named}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    with saying(head.encode()) as port:
        assert http(post(f"http://127.0.0.1:{port}/")).date == seconds


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The authority's certificate as a file."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    return str(tmp_path / "authority.pem")


def test_a_certificate_of_nobody_is_not_trusted(http: Http, authority: trustme.CA) -> None:
    with origin(tls=server_side(authority.issue_cert("localhost"))) as org:
        problem = failure(http, post(org.url("/services/oauth2/token", "https")))
    assert problem.kind is network.tls_failed
    assert org.seen == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE"])
def test_the_environment_can_add_an_authority(
    http: Http, authority: trustme.CA, bundle: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, bundle)
    with origin(tls=server_side(authority.issue_cert("localhost"))) as org:
        assert http(post(org.url(scheme="https"))).status == 200
    assert org.seen[0].body == FORM


def test_trust_is_not_enough_for_another_host_or_another_time(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", bundle)
    long_ago = datetime.now(UTC) - timedelta(days=1)
    for certificate, advice in (
        (authority.issue_cert("acme.my.salesforce.com"), "the certificate of another host"),
        (
            authority.issue_cert("localhost", not_before=long_ago - timedelta(days=1), not_after=long_ago),
            "date and time",
        ),
    ):
        http = Http()
        with origin(tls=server_side(certificate)) as org:
            problem = failure(http, post(org.url(scheme="https")))
        assert problem.kind is network.tls_failed
        assert advice in problem.actions[0]
        assert ".." not in problem.message
        http.close()
        assert org.seen == []


def test_a_host_without_tls_gets_nothing(http: Http) -> None:
    with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        problem = failure(http, post(f"https://localhost:{port}/services/oauth2/token"))
    assert problem.kind is network.tls_failed
    assert problem.actions[0].endswith(f"use this address: http://localhost:{port}")


@pytest.mark.parametrize("variable", CERTIFICATES)
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda path: None, "no such file", id="nothing"),
        pytest.param(lambda path: path.write_text("no certificate"), "no certificate|not a directory", id="text"),
        pytest.param(lambda path: path.write_bytes(b"\x30\x82\x01"), "no certificate|not a directory", id="DER"),
        pytest.param(os.mkfifo, "not a regular file|not a directory", id="pipe"),
        pytest.param(Path.mkdir, "is a directory", id="folder"),
    ],
)
def test_useless_certificates_are_named_and_stop_only_what_needs_them(
    http: Http,
    variable: str,
    make: Callable[[Path], object],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "authority"
    make(path)
    monkeypatch.setenv(variable, str(path))
    if reason != "is a directory" or variable not in ("SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        problem = failure(http, post("https://localhost/"))
        assert (problem.kind, problem.file) == (network.certificates_not_usable, str(path))
        assert problem.message.startswith(f"{variable} is set to {path}, which can't be used: ")
        assert re.search(reason, problem.message)
    with origin() as org:
        assert http(post(org.url())).status == 200


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_proxy_stands_before_this_very_machine(http: Http, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with origin() as proxy, origin(address=address) as org:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        host = f"[{address}]" if ":" in address else "localhost"
        assert http(post(org.url(host=host))).status == 200
        assert http(post(org.url(host=f"[{address}]" if ":" in address else address))).status == 200
        assert len(org.seen) == 2
        assert proxy.seen == []


def test_a_proxy_sees_the_host_and_nothing_else(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    with origin(lambda seen: Said(403, b"")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        problem = failure(http, post("https://acme.my.salesforce.com/services/oauth2/token"))
    (seen,) = proxy.seen
    assert (seen.method, seen.target, seen.body) == ("CONNECT", "acme.my.salesforce.com:443", "")
    assert problem.kind is network.proxy_failed
    assert problem.message.endswith(f"the proxy {proxy.url()[:-1]} (from HTTPS_PROXY): it refused with HTTP 403.")


PROXIES = st.from_regex(r"(ftp|socks5|https?)?(://)?[a-z@:.0-9/%\[]{0,9}", fullmatch=True).filter(bool)


def usable(host: str) -> Proxy | Problem | None:
    try:
        return find_proxy("https", host)
    except EcapipeError as error:
        return error.problem


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1) | PROXIES)
@example(text="http://[::1")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_whatever_a_variable_names_as_a_proxy_is_used_or_told_by_its_name(variable: str, text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, text)
        match usable("acme.my.salesforce.com"):
            case Problem() as problem:
                assert problem.kind is network.proxy_not_usable
                assert f"The proxy in {variable} can't be used: " in problem.message
            case found:
                assert found is not None
                assert found.named_by == variable
                httpx.HTTPTransport(proxy=httpx.Proxy(found.url), verify=NO_TRUST).close()


@pytest.mark.parametrize(
    ("scheme", "answer", "words"),
    [
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "start its URL in HTTPS_PROXY with http://"),
        ("http", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "HTTP 407"),
        ("http", b"SSH-2.0-OpenSSH\r\n", "does not respond like a proxy"),
        ("http", None, "connection refused"),
    ],
)
def test_a_proxy_that_lets_nothing_through_is_told_apart_from_the_org(
    http: Http, scheme: str, answer: bytes | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with saying(answer or b"") as port:
        place = f"localhost:{port if answer else free_port()}"
        monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://user:MADE0UP0SECRET@{place}")
        problem = failure(http, post("https://acme.my.salesforce.com/services/oauth2/token"))
    assert problem.kind is network.proxy_failed
    assert words in " ".join([problem.message, *problem.actions])


def test_a_proxy_that_is_not_found_is_not_an_org_that_is_not_found(
    http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://nowhere.invalid:3128")
    problem = failure(http, post("https://acme.my.salesforce.com/"))
    assert problem.message.endswith("(from ALL_PROXY): its host was not found.")


@pytest.mark.parametrize(
    ("exceptions", "direct"),
    [
        ("*", True),
        (".invalid", True),
        ("*.invalid", True),
        ("acme.invalid:1", False),
        ("x, acme.invalid", True),
        ("[::1", False),
    ],
)
def test_some_hosts_need_no_proxy(exceptions: str, direct: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert (find_proxy("https", "acme.invalid") is None) == direct


def test_an_answer_can_come_through_a_proxy(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(seen: Seen) -> Said:
        return Said(200, b'{"through": "the proxy"}')

    with origin(answer) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        assert http(Request(at("http://acme.invalid"), "/services/data")).body == b'{"through": "the proxy"}'
    assert proxy.seen[0].target == "http://acme.invalid/services/data"


def test_the_library_leaves_its_own_command_line_out() -> None:
    code = """
import sys
from ecapipe.adapters.network.http import Http
Http().open()
print(*({"click", "pygments", "rich"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30)
    assert done.stdout == "\n", "see the top of ecapipe/adapters/network/http.py"


def test_a_log_tells_the_address_without_its_query_and_nothing_that_is_sent(
    http: Http, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with origin() as org:
        http(post(org.url("/services/oauth2/token?secret=in-a-query")))
        http(Request(at(org.url()), "", bearer=Secret(BEARER)))
    assert caplog.messages == [
        f"POST localhost:{org.port}/services/oauth2/token: 200",
        f"GET localhost:{org.port}/: 200",
    ]
