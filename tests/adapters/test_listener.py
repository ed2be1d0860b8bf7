"""The loopback site, over real sockets."""

from __future__ import annotations

import html
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from loopback import ADDRESSES, Reply, free_port, listens, other_addresses, request
from profiles import tries

from ecapipe.adapters.network.listener import listen
from ecapipe.events import Subject
from ecapipe.login.callbacks import CallbackReply, PendingLogins
from ecapipe.oauth.authorize import AuthorizationRequest
from ecapipe.oauth.flows.web import AuthorizationCode
from ecapipe.orgs.selection import choose
from ecapipe.problems.oauth import access_denied, invalid_client
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.sign_in import port_in_use_error
from ecapipe.project.apps import App
from ecapipe.secret import Secret

STATE = "a-state-that-is-made-up"
CODE = "aPrxMADEUP.code=="
GOOD = f"code={quote(CODE, safe='')}&state={STATE}"
PATH = "/OauthRedirect"
HOSTILE = "</p><script>alert(1)</script>&\"'\ud800"
at_once = 0.6
"""Seconds; the grace for a page that nobody fetches is longer."""

Answer = Future[AuthorizationCode]

MISFITS = [
    ("code=aPrx", "state is missing or unknown"),
    (f"code=aPrx&state={STATE}x", "state is missing or unknown"),
    (f"code=aPrx&state={STATE.upper()}", "state is missing or unknown"),
    (f"code=aPrx&state={STATE}&state={STATE}", "more than one state"),
    (f"code=aPrx&state=other&state={STATE}", "more than one state"),
    (f"code=aPrx&code=aPry&state={STATE}", "more than one code"),
    (f"error=a&error=b&state={STATE}", "more than one error"),
    (f"code=aPrx&error=access_denied&state={STATE}", "both"),
    (f"state={STATE}", "neither a code nor an error"),
    (f"code=&state={STATE}", "neither a code nor an error"),
    (f"code=aPrx&state={STATE}&iss=https://evil.example", "another org as its issuer"),
    (f"code=aPrx&state={STATE}&" + "&".join(f"a{n}=1" for n in range(60)), "too many parameters"),
    ("favicon", "state is missing or unknown"),
]
STRAYS = [
    "/favicon.ico",
    "/",
    PATH,
    f"{PATH}?",
    f"{PATH}/?{GOOD}",
    f"{PATH.lower()}?{GOOD}",
    f"/?{GOOD}",
    f"//localhost{PATH}?{GOOD}",
    f"/x/..{PATH}?{GOOD}",
    f"{PATH};?{GOOD}",
    f"{PATH}%3F{GOOD}",
    "/ecapipe/signed-in",
    "/ecapipe/not-authorized",
    f"http://localhost{PATH}?{GOOD}",
]
METHODS = [
    ("HEAD", 200), ("OPTIONS", 204), ("POST", 405), ("PUT", 405), ("DELETE", 405), ("PATCH", 405), ("BREW", 501),
]  # fmt: skip


class Site(NamedTuple):
    """A site, and what would come of the login that waits on it."""

    port: int
    future: Answer


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One for all tests that must not change it."""
    port = free_port()
    with waiting(port) as future:
        yield Site(port, future)


@contextmanager
def waiting(port: int, *, host: str = "localhost", path: str = PATH) -> Iterator[Answer]:
    """A login that waits on its site."""
    url = f"http://{host}:{port}{path}"
    org = choose("uat=https://acme.my.salesforce.com", {}, ())
    flight = PendingLogins()
    future = flight.expect(
        AuthorizationRequest(
            App("Billing", "", ()), org, url, STATE, Secret("made-up-verifier"), "https://unused.example"
        )
    )
    with listen([url], flight.land) as lost:
        for problem in lost.values():
            raise EcapipeError(problem)
        yield future


def sign_in(port: int, query: str = GOOD, *, path: str = PATH, address: str = "127.0.0.1") -> Reply:
    """What a browser does: open the callback and follow it to the clean page."""
    reply = request(port, f"{path}?{query}", address=address)
    assert reply.status == 303, reply.text
    page = request(port, reply.headers["Location"], address=address)
    assert page.status == 200
    return page


def code(future: Answer) -> str:
    return future.result(5).code.reveal()


def test_the_answer_ends_at_a_clean_page(port: int) -> None:
    with waiting(port) as future:
        reply = request(port, f"{PATH}?{GOOD}")
        assert (reply.status, reply.headers["Location"], reply.text) == (303, "/ecapipe/signed-in", "")
        page = request(port, "/ecapipe/signed-in")
        assert page.status == 200
        assert "Billing is signed in to uat. See the terminal for the result." in page.text
        assert code(future) == CODE


def test_a_refusal_ends_at_another_clean_page(port: int) -> None:
    with waiting(port) as future:
        reply = request(port, f"{PATH}?error=access_denied&error_description=end-user+denied&state={STATE}")
        assert (reply.status, reply.headers["Location"]) == (303, "/ecapipe/not-authorized")
        assert "Billing was not authorized in uat. Access was denied" in request(port, "/ecapipe/not-authorized").text
        with pytest.raises(EcapipeError) as caught:
            future.result(5)
        assert caught.value.problem.kind is access_denied


@contextmanager
def concluding(port: int, patience: float) -> Iterator[tuple[PendingLogins, Answer]]:
    url = f"http://localhost:{port}{PATH}"
    pending = PendingLogins(patience)
    org = choose("uat=https://acme.my.salesforce.com", {}, ())
    login = AuthorizationRequest(App("Billing", "", ()), org, url, STATE, Secret("made-up-verifier"), "https://a.b")
    future = pending.expect(login)
    with listen([url], pending.land):
        yield pending, future


SUBJECT = Subject("Billing", "uat", "")


@pytest.mark.parametrize(
    ("problem", "title", "said"),
    [
        (None, "Authorized", "Billing is authorized in uat."),
        (invalid_client("acme.my.salesforce.com"), "Not authorized", "refused the consumer secret"),
    ],
)
def test_the_page_waits_for_the_end_of_its_login(port: int, problem: Problem | None, title: str, said: str) -> None:
    with concluding(port, 20) as (pending, future), ThreadPoolExecutor(1) as browser:
        page = browser.submit(sign_in, port)
        assert code(future) == CODE
        # Others are answered meanwhile.
        assert request(port, "/favicon.ico").status == 404
        assert not page.done()
        pending.conclude(SUBJECT, problem)
        text = page.result(5).text
    assert title in text
    assert said in text
    assert all(html.escape(action) in text for action in (problem.actions if problem else ()))
    assert ("is authorized" in text) == (problem is None)


def test_pages_that_wait_keep_no_callback_out(port: int) -> None:
    with concluding(port, 20) as (_, future), ExitStack() as stack:
        page = request(port, f"{PATH}?{GOOD}").headers["Location"]
        assert code(future) == CODE
        for _ in range(80):
            browser = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            browser.sendall(f"GET {page} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        assert request(port, f"{PATH}?{GOOD}").status == 400
        # More pages than may wait are shown at once.
        assert "Signed in" in request(port, page).text


@pytest.mark.parametrize("released", [True, False])
def test_a_page_that_hears_nothing_says_no_more_than_signed_in(port: int, released: bool) -> None:
    with concluding(port, 20 if released else 0.2) as (pending, future), ThreadPoolExecutor(1) as browser:
        page = browser.submit(sign_in, port)
        assert code(future) == CODE
        if released:
            pending.release([SUBJECT])
        text = page.result(5).text
        pending.conclude(SUBJECT, None)
    assert "Signed in" in text
    assert "authorized" not in text


def test_a_browser_that_goes_away_changes_nothing(port: int) -> None:
    with concluding(port, 20) as (pending, future):
        with socket.create_connection(("127.0.0.1", port)) as browser:
            browser.sendall(f"GET {PATH}?{GOOD} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            browser.recv(100)
        with socket.create_connection(("127.0.0.1", port)) as browser:
            browser.sendall(f"GET /ecapipe/signed-in HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        assert code(future) == CODE
        pending.conclude(SUBJECT, None)
        assert "Billing is authorized in uat." in request(port, "/ecapipe/signed-in").text


@pytest.mark.parametrize(("query", "said"), MISFITS)
def test_an_answer_that_fits_no_login_is_told_so_and_changes_nothing(site: Site, query: str, said: str) -> None:
    reply = request(site.port, f"{PATH}?{query}")
    assert reply.status == 400
    assert said in reply.text
    assert not site.future.done()


@pytest.mark.parametrize("target", STRAYS)
def test_a_stray_address_is_not_found_and_changes_nothing(site: Site, target: str) -> None:
    assert request(site.port, target).status == (421 if target.startswith("http:") else 404)
    assert not site.future.done()


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost", "127.0.0.1", "localhost:1", "[::1]:{port}", "",
             "localhost.:{port}", "127.0.0.1.nip.io:{port}", "0.0.0.0:{port}", "localhost:{port}@evil.example"],
)  # fmt: skip
def test_an_answer_for_another_host_changes_nothing(site: Site, host: str) -> None:
    named = {"Host": host.format(port=site.port)}
    assert request(site.port, f"{PATH}?{GOOD}", headers=named).status == 421
    assert not site.future.done()


@pytest.mark.parametrize(("method", "status"), METHODS)
def test_only_get_can_bring_an_answer(site: Site, method: str, status: int) -> None:
    reply = request(site.port, f"{PATH}?{GOOD}", method)
    assert (reply.status, reply.text) == (status, "")
    assert not site.future.done()


def test_after_all_that_changes_nothing_the_answer_counts(port: int) -> None:
    with waiting(port) as future:
        for query, _ in MISFITS:
            request(port, f"{PATH}?{query}")
        for target in STRAYS:
            request(port, target)
        for method, _ in METHODS:
            request(port, f"{PATH}?{GOOD}", method)
        sign_in(port)
        assert code(future) == CODE


def test_an_answer_in_a_form_is_refused(site: Site) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = request(site.port, PATH, "POST", body=GOOD, headers=kind)
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert not site.future.done()


def test_a_head_request_tells_whether_the_site_is_there(site: Site) -> None:
    assert [request(site.port, target, "HEAD").status for target in (PATH, "/elsewhere")] == [200, 404]


def test_a_preflight_for_a_private_network_is_allowed(site: Site) -> None:
    asked = request(site.port, PATH, "OPTIONS", headers={"Access-Control-Request-Private-Network": "true"})
    plain = request(site.port, PATH, "OPTIONS")
    assert (asked.status, asked.headers["Access-Control-Allow-Private-Network"]) == (204, "true")
    assert "Access-Control-Allow-Private-Network" not in plain.headers
    assert "Access-Control-Allow-Origin" not in asked.headers
    assert not site.future.done()


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", f"{PATH}?{GOOD}", 303),
        ("GET", "/ecapipe/signed-in", 200),
        ("GET", f"{PATH}?code=aPrx", 400),
        ("GET", "/favicon.ico", 404),
        ("HEAD", PATH, 200),
        ("OPTIONS", PATH, 204),
        ("POST", PATH, 405),
        ("BREW", PATH, 501),
    ],
)
def test_every_answer_is_kept_private(port: int, method: str, target: str, status: int) -> None:
    with waiting(port):
        if status == 200 and method == "GET":
            sign_in(port)
        reply = request(port, target, method)
        if status == 303:
            request(port, reply.headers["Location"])
        assert reply.status == status
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["X-Frame-Options"] == "DENY"
        policy = reply.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert reply.headers["Server"].strip() == "ecapipe"


def test_no_page_repeats_the_answer(port: int) -> None:
    with waiting(port):
        pages = [request(port, f"{PATH}?code={CODE}").text, sign_in(port).text, request(port, f"/{GOOD}").text]
    assert all(CODE not in page and STATE not in page for page in pages)


@pytest.mark.parametrize(("fits", "granted"), [(False, False), (True, False), (True, True)])
def test_hostile_text_is_only_text(port: int, fits: bool, granted: bool) -> None:
    with listen([f"http://localhost:{port}{PATH}"], lambda query: CallbackReply(fits, granted, HOSTILE)):
        reply = request(port, f"{PATH}?{GOOD}")
        page = request(port, reply.headers["Location"]) if fits else reply
    assert "&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#x27;?" in page.text
    assert "<script" not in page.text


def test_an_answer_counts_once(port: int) -> None:
    with waiting(port) as future:
        sign_in(port)
        again = request(port, f"{PATH}?{GOOD}")
        other = request(port, f"{PATH}?{GOOD.replace('MADEUP', 'OTHER')}")
        denial = request(port, f"{PATH}?error=access_denied&state={STATE}")
        assert [again.status, other.status, denial.status] == [400, 400, 400]
        assert code(future) == CODE


def test_of_many_answers_at_once_one_counts(port: int) -> None:
    together = threading.Barrier(8)

    def answer(number: int) -> int:
        together.wait(5)
        return request(port, f"{PATH}?code=aPrx{number}&state={STATE}").status

    with waiting(port) as future, ThreadPoolExecutor(8) as people:
        statuses = list(people.map(answer, range(8)))
        request(port, "/ecapipe/signed-in")
        assert sorted(statuses) == [303] + [400] * 7
        assert code(future) == f"aPrx{statuses.index(303)}"


@pytest.mark.parametrize("address", ADDRESSES)
def test_localhost_is_every_loopback_address(port: int, address: str) -> None:
    with waiting(port) as future:
        sign_in(port, address=address)
        assert code(future) == CODE


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_literal_address_is_only_that_address(port: int, address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with waiting(port, host=host) as future:
        assert [other for other in ADDRESSES if listens(other, port)] == [address]
        sign_in(port, address=address)
        assert code(future) == CODE


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_nobody_else_can_reach_it(port: int, host: str) -> None:
    with waiting(port, host=host):
        assert listens("127.0.0.1", port)
        assert [address for address in other_addresses() if listens(address, port)] == []


def test_a_callback_without_a_path_is_the_root(port: int) -> None:
    with waiting(port, path="") as future:
        sign_in(port, path="/")
        assert code(future) == CODE


@pytest.mark.parametrize("taken", ADDRESSES)
def test_a_port_in_use_is_a_problem_that_leaves_nothing_behind(port: int, taken: str) -> None:
    with socket.create_server((taken, port), family=ADDRESSES[taken]):
        with pytest.raises(EcapipeError) as caught, waiting(port):
            pass
        assert caught.value.problem.kind is port_in_use_error
        assert str(port) in caught.value.problem.message
        assert "Or use --callback paste." in caught.value.problem.actions
        assert [address for address in ADDRESSES if listens(address, port)] == [taken]


def test_two_logins_cannot_wait_at_one_port(port: int) -> None:
    with waiting(port) as first:
        with pytest.raises(EcapipeError) as caught, waiting(port, host="127.0.0.1"):
            pass
        assert caught.value.problem.kind is port_in_use_error
        sign_in(port)
        assert code(first) == CODE


def test_the_site_closes_and_can_open_again(port: int) -> None:
    for _ in range(2):
        with waiting(port) as future:
            sign_in(port)
            assert code(future) == CODE
        assert not any(listens(address, port) for address in ADDRESSES)


def test_the_site_closes_when_the_login_fails(port: int) -> None:
    with pytest.raises(TimeoutError), waiting(port) as future:
        future.result(0)
    assert not any(listens(address, port) for address in ADDRESSES)


def test_it_closes_at_once_when_nothing_came_and_when_the_page_was_shown(port: int) -> None:
    for query in ("code=unknown&state=unknown", GOOD):
        with waiting(port):
            reply = request(port, f"{PATH}?{query}")
            request(port, reply.headers["Location"] or "/")
            start = time.perf_counter()
        assert time.perf_counter() - start < at_once


def test_a_slow_browser_still_gets_its_page(port: int) -> None:
    def browse() -> int:
        location = request(port, f"{PATH}?{GOOD}").headers["Location"]
        time.sleep(0.2)
        return request(port, location).status

    with ThreadPoolExecutor(1) as browser:
        with waiting(port) as future:
            page = browser.submit(browse)
            code(future)
        assert page.result(5) == 200


def test_a_browser_that_never_comes_back_is_not_waited_for_long(port: int) -> None:
    with waiting(port):
        request(port, f"{PATH}?{GOOD}")
        start = time.perf_counter()
    assert time.perf_counter() - start < 2


def test_an_open_connection_holds_up_neither_the_answer_nor_the_closing(port: int) -> None:
    with closing(socket.socket()) as idle:
        with waiting(port) as future:
            idle.connect(("127.0.0.1", port))
            idle.sendall(f"GET {PATH} HTTP/1.1\r\n".encode())
            sign_in(port)
            assert code(future) == CODE
            start = time.perf_counter()
        assert time.perf_counter() - start < at_once


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/one\r\n\r\n",
        b"<script> / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\na: " + b"b" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_request_does_no_harm(site: Site, sent: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as stranger:
        try:
            stranger.sendall(sent)
            back = stranger.recv(100_000)
        except ConnectionError:  # it hung up in the middle of a long line
            back = b""
    assert b"script" not in back
    assert b"aaaa" not in back
    assert request(site.port, PATH).status == 404
    assert not site.future.done()
    assert capfd.readouterr() == ("", "")


def test_it_says_nothing_of_what_it_is_sent(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    with waiting(port):
        request(port, f"{PATH}?code={CODE}")
        sign_in(port)
        with socket.create_connection(("127.0.0.1", port)) as hasty:
            hasty.sendall(f"GET {PATH}?{GOOD} HTTP/1.1\r\n\r\n".encode())
    assert capfd.readouterr() == ("", "")


@tries(60)
@given(query=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
@example(query=f"state={STATE}")
@example(query="code=%00&state=%FF")
def test_whatever_comes_is_answered(site: Site, query: str) -> None:
    assert request(site.port, f"{PATH}?{query}").status in (400, 404)
    assert not site.future.done()


def test_one_site_serves_several_addresses_each_on_its_own_path(port: int) -> None:
    other = free_port()
    urls = [f"http://localhost:{port}/a", f"http://127.0.0.1:{port}/b", f"http://localhost:{other}/c"]
    landed: list[str] = []

    def land(query: str) -> CallbackReply:
        landed.append(query)
        return CallbackReply(True, True, f"{query} is authorized.")

    with listen(urls, land) as lost:
        assert lost == {}
        pages = [sign_in(port, "a=1", path="/a"), sign_in(port, "b=1", path="/b"), sign_in(other, "c=1", path="/c")]
        assert request(other, "/a?a=1").status == 404
        if "::1" in ADDRESSES:
            assert request(port, "/b?b=1", address="::1").status == 404
    assert landed == ["a=1", "b=1", "c=1"]
    assert [query in page.text for query, page in zip(landed, pages, strict=True)] == [True] * 3
    assert not any(listens("127.0.0.1", number) for number in (port, other))


def test_an_address_that_is_taken_is_lost_and_the_others_are_served(port: int) -> None:
    other = free_port()
    taken, free = f"http://localhost:{port}/a", f"http://localhost:{other}/a"
    with (
        socket.create_server(("127.0.0.1", port)),
        listen([taken, free], lambda query: CallbackReply(True, True, "")) as lost,
    ):
        assert {url: problem.name for url, problem in lost.items()} == {taken: port_in_use_error.name}
        sign_in(other, path="/a")
