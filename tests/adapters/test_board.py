"""The board's server, over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import pytest
from fakes.desk import Desk
from loopback import Reply, free_port, listens, other_addresses, request

from ecapipe.adapters.network.board_server import Served, serve
from ecapipe.events import Subject
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.sign_in import board_cannot_listen

BILLING = Subject("Billing", "uat")
POLICY = "default-src 'none'"


@dataclass
class PlainPage:
    """A page that says what it was asked, and has a version."""

    said: list[str] = field(default_factory=list)
    version: int = 1
    ended: bool = False
    changed: threading.Condition = field(default_factory=threading.Condition)
    policy: str = POLICY

    def page(self, asked: Mapping[str, str], left: float) -> str:
        return f"page {sorted(asked.items())} {left} {'ended' if self.ended else ''}"

    def parts(self, asked: Mapping[str, str], left: float) -> str:
        return f"parts {sorted(asked.items())} {left} {'ended' if self.ended else ''}"

    def wait(self, version: int, seconds: float) -> None:
        with self.changed:
            self.changed.wait_for(lambda: self.version != version, seconds)

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def subject(self, number: str) -> Subject | None:
        return BILLING if number == "1" else None

    def end(self) -> None:
        with self.changed:
            self.ended, self.version = True, self.version + 1
            self.changed.notify_all()


@dataclass
class FakeWatch:
    """Seconds that pass when a test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Site:
    """A board that is served, and what comes of it."""

    page: PlainPage
    desk: Desk
    served: Served
    watch: FakeWatch

    @property
    def port(self) -> int:
        return self.served.port

    @property
    def path(self) -> str:
        return f"/{self.served.token}/"

    @property
    def cookie(self) -> str:
        """What its address gives to a browser."""
        return f"{self.served.key.name}={self.served.key.value}"

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def names(self) -> str:
        """The headers of its page's own requests, as they are sent."""
        return f"Host: 127.0.0.1:{self.port}\r\nOrigin: {self.origin}\r\nCookie: {self.cookie}\r\n"

    def get(self, name: str = "", **headers: str) -> Reply:
        named = {"Cookie": self.cookie} | {key.replace("_", "-"): value for key, value in headers.items()}
        return request(self.port, self.path + name, headers=named)

    def post(self, name: str, fields: Mapping[str, str] | None = None, **headers: str | None) -> Reply:
        usual = {"Origin": self.origin, "Cookie": self.cookie, "Content-Type": "application/x-www-form-urlencoded"}
        named = usual | {key.replace("_", "-"): value for key, value in headers.items()}
        sent = {key: value for key, value in named.items() if value is not None}
        return request(self.port, self.path + name, "POST", body=urlencode(fields or {}), headers=sent)

    def raw(self, sent: bytes) -> bytes:
        """Whatever comes back for these bytes, until the server hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(sent)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def opened(port: int | None = None) -> Iterator[Site]:
    page, desk, watch = PlainPage(), Desk(7.0, opens=False), FakeWatch()
    with serve(page, desk, port, watch) as served:
        yield Site(page, desk, served, watch)


@pytest.fixture
def site() -> Iterator[Site]:
    with opened() as site:
        yield site
        site.watch.now += 60  # nobody looks any more


def test_the_page_and_its_parts_are_served_with_their_policy(site: Site) -> None:
    whole, parts = site.get("?show=open&find="), site.get("parts?show=open")
    assert (whole.status, whole.text) == (200, "page [('show', 'open')] 7.0 ")
    assert (parts.status, parts.text) == (200, "parts [('show', 'open')] 7.0 ")
    for reply in (whole, parts):
        assert reply.headers["Content-Security-Policy"] == POLICY
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "same-origin"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"


def test_its_address_lets_a_browser_in_and_nobody_else_gets_there(site: Site) -> None:
    entered = request(site.port, urlsplit(site.served.url).path)
    assert (entered.status, entered.headers["Location"]) == (303, site.path)
    cookie, *attributes = entered.headers["Set-Cookie"].split("; ")
    assert (cookie, attributes) == (site.cookie, [f"Path={site.path}", "HttpOnly", "SameSite=Lax"])
    for held in ("", cookie[:-1], cookie.upper(), cookie.partition("=")[2], f"{cookie}x; other={cookie}"):
        assert [site.get(Cookie=held).status, site.post("finish", Cookie=held).status] == [404, 404]
    assert site.desk.done == []
    assert site.get(Cookie=f"other=1;{cookie}; another=2").status == 200


def test_its_address_works_without_its_last_slash(site: Site) -> None:
    # No browser sends the cookie there: it is for what is below that address.
    reply = request(site.port, site.path.rstrip("/"))
    assert (reply.status, reply.headers["Location"], reply.headers.get("Set-Cookie")) == (303, site.path, None)


def test_its_address_cannot_be_guessed() -> None:
    with opened() as one, opened() as other:
        assert len({one.path, other.path, urlsplit(one.served.url).path, urlsplit(other.served.url).path}) == 4
        assert len(one.path.strip("/")) >= 32


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    ["/", "/parts", "/paste", "/x/", "/{half}/", "/{token}/../{token}/", "/{token}/parts/",
     "/{token}/nothing", "/{upper}/", "http://127.0.0.1/{token}/", "/{token}//paste", "/favicon.ico"],
)  # fmt: skip
def test_nothing_is_at_any_other_address(site: Site, method: str, path: str) -> None:
    token = site.path.strip("/")
    target = path.format(token=token, half=token[: len(token) // 2], upper=token.swapcase())
    reply = request(site.port, target, method, headers={"Origin": site.origin, "Cookie": site.cookie})
    assert reply.status == (421 if path.startswith("http:") else 404)
    assert token not in reply.text
    assert site.desk.done == []


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost", "localhost:1", "127.0.0.1.nip.io:{port}",
     "localhost.:{port}", "localhost:{port}.evil.example", "[::1]:{port}", "0.0.0.0:{port}", ""],
)  # fmt: skip
def test_a_name_that_was_rebound_to_this_machine_reaches_nothing(site: Site, host: str) -> None:
    named = host.format(port=site.port)
    assert site.get(Host=named).status == 421
    assert site.post("finish", Host=named, Origin=f"http://{named}").status == 421
    assert site.desk.done == []


def test_it_answers_to_both_names_of_this_machine(site: Site) -> None:
    for host in (f"127.0.0.1:{site.port}", f"localhost:{site.port}"):
        assert site.get(Host=host).status == 200
        assert site.post("finish", Host=host, Origin=f"http://{host}").status == 303


@pytest.mark.parametrize("hosts", [b"", b"Host: 127.0.0.1:%d\r\nHost: 127.0.0.1:%d\r\n"])
def test_a_host_that_is_missing_or_repeated_reaches_nothing(site: Site, hosts: bytes) -> None:
    named = hosts.replace(b"%d", str(site.port).encode())
    answer = site.raw(b"GET " + site.path.encode() + b" HTTP/1.1\r\n" + named + b"\r\n")
    assert answer.startswith(b"HTTP/1.0 421 ")


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1", "http://localhost:{port}",
     "http://127.0.0.1:{port}.evil.example", "http://127.0.0.1:{port}/"],
)  # fmt: skip
def test_no_other_site_can_do_anything(site: Site, origin: str | None) -> None:
    reply = site.post("finish", Origin=origin and origin.format(port=site.port))
    assert (reply.status, site.desk.done) == (403, [])


@pytest.mark.parametrize("kind", ["cross-site", "same-site", "none"])
def test_a_browser_that_says_the_request_is_foreign_is_believed(site: Site, kind: str) -> None:
    assert site.post("finish", Sec_Fetch_Site=kind).status == 403
    assert site.get("parts", Sec_Fetch_Site=kind, Sec_Fetch_Dest="empty").status == 403
    assert site.get("", Sec_Fetch_Site=kind, Sec_Fetch_Dest="iframe").status == 403
    assert site.get("", Sec_Fetch_Site=kind, Sec_Fetch_Dest="document").status == 200
    assert site.post("finish", Sec_Fetch_Site="same-origin").status == 303


@pytest.mark.parametrize("name", ["paste", "open", "retry", "finish"])
def test_nothing_is_done_by_a_get(site: Site, name: str) -> None:
    assert (site.get(f"{name}?pasted=https://x&row=1").status, site.desk.done) == (404, [])


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused(site: Site, method: str) -> None:
    reply = request(site.port, site.path, method, headers={"Origin": site.origin, "Cookie": site.cookie})
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, POST")
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]


def test_what_is_pasted_goes_to_the_desk_and_comes_back_nowhere(site: Site) -> None:
    pasted = "https://a.example/?code=aPrx1\r\n https://b.example/?code=aPrx2 aPrx3"
    reply = site.post("paste", {"pasted": pasted})
    assert (reply.status, reply.headers["Location"]) == (303, site.path)
    assert site.desk.done == [pasted]
    assert site.page.said == ["URL accepted."]


def test_a_row_can_be_tried_again_and_the_run_be_finished(site: Site) -> None:
    assert [site.post("retry", {"row": "1"}).status, site.post("finish").status] == [303, 303]
    assert site.desk.done == ["retry Billing@uat", "finish"]
    site.post("retry", {"row": "99"})
    assert site.page.said[-1] == "This login can't be tried again now."


def test_a_login_can_be_shown_in_the_browser_that_is_meant_for_it(site: Site) -> None:
    assert site.post("open", {"row": "1"}).status == 303
    assert site.desk.done == ["open Billing@uat"]
    assert site.page.said[-1].startswith("The browser couldn't be opened.")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("Content-Length: 65537", 413),
        ("Content-Length: 999999999999", 411),
        ("Content-Length: -1", 411),
        ("Content-Length: x", 411),
        ("Content-Length: ²", 411),
        ("Transfer-Encoding: chunked", 411),
        ("Content-Length: 0\r\nTransfer-Encoding: chunked", 411),
        ("Content-Length: 5\r\nContent-Length: 6", 411),
        ("X-Nothing: 0", 411),
        ("Content-Type: text/plain\r\nContent-Length: 0", 415),
    ],
)
def test_bodies_that_cannot_be_meant_are_refused_unread(site: Site, headers: str, status: int) -> None:
    kind = "" if "Content-Type" in headers else "Content-Type: application/x-www-form-urlencoded\r\n"
    head = f"POST {site.path}finish HTTP/1.1\r\n{site.names}{kind}"
    answer = site.raw(f"{head}{headers}\r\n\r\n".encode())
    assert answer.split()[1] == str(status).encode()
    assert site.desk.done == []


@pytest.mark.parametrize(
    "sent",
    [b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"G" * 70_000,
     b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n"],
)  # fmt: skip
def test_what_no_browser_sends_is_survived(site: Site, sent: bytes) -> None:
    try:
        answer = site.raw(sent + b"\r\n")
    except ConnectionResetError:
        answer = b""
    assert b"200 OK" not in answer
    assert site.get().status == 200


def test_somebody_slow_holds_nobody_up(site: Site) -> None:
    with (
        socket.create_connection(("127.0.0.1", site.port)) as slow,
        socket.create_connection(("127.0.0.1", site.port)) as slower,
    ):
        slow.sendall(b"GET / HT")
        slower.sendall(
            f"POST {site.path}finish HTTP/1.1\r\n{site.names}"
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nx".encode()
        )
        start = time.monotonic()
        assert site.get().status == 200
        assert time.monotonic() - start < 1
    assert site.desk.done == []


def test_it_is_on_this_machine_only(site: Site) -> None:
    assert listens("127.0.0.1", site.port)
    assert [address for address in other_addresses() if listens(address, site.port)] == []


def test_a_port_can_be_asked_for_and_is_told_of_if_it_is_taken() -> None:
    port = free_port()
    with opened(port) as site:
        assert site.served.url.startswith(f"http://127.0.0.1:{port}/")
        with pytest.raises(EcapipeError) as refused, opened(port):
            pass
    assert refused.value.problem.kind is board_cannot_listen
    assert f"port {port}: it is in use" in refused.value.problem.message
    with opened(port) as again:
        assert again.get().status == 200
        again.watch.now += 60


def test_a_change_is_told_at_once_to_whoever_waits_for_it() -> None:
    with opened() as site:
        replies: list[Reply] = []
        asking = threading.Thread(target=lambda: replies.append(site.get("parts?since=1")))
        start = time.monotonic()
        asking.start()
        time.sleep(0.2)
        assert replies == []
    asking.join(5)
    assert [reply.text.split()[-1] for reply in replies] == ["ended"]
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("since", ["", "x", "-1", "²", "1" * 400])
def test_a_version_that_is_none_is_not_waited_for(site: Site, since: str) -> None:
    start = time.monotonic()
    assert site.get("parts?" + urlencode({"since": since})).status == 200
    assert time.monotonic() - start < 2


def test_it_knows_whether_somebody_watches() -> None:
    with opened() as site:
        assert not site.served.watched()
        request(site.port, "/")
        assert not site.served.watched()
        site.get()
        assert site.served.watched()
        site.watch.now += 14
        assert site.served.watched()
        site.watch.now += 2
        assert not site.served.watched()
        asking = threading.Thread(target=lambda: site.get("parts?since=1"))
        asking.start()
        while not site.served.watched():
            time.sleep(0.01)
    asking.join(5)


def test_where_nobody_watches_it_ends_at_once() -> None:
    start = time.monotonic()
    with opened():
        pass
    assert time.monotonic() - start < 1


def test_a_page_that_loads_itself_again_is_shown_the_end() -> None:
    with opened() as site:
        site.get()
        late: list[Reply] = []
        timer = threading.Timer(1.0, lambda: late.append(site.get()))
        timer.start()
        start = time.monotonic()
    assert 0.5 < time.monotonic() - start < 3
    timer.join()
    assert [reply.text.split()[-1] for reply in late] == ["ended"]
    assert not listens("127.0.0.1", site.port)
