"""Addresses that work once, and sites that many, slow and strange visitors do not fill."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from urllib.parse import urlsplit

import pytest
from fakes.browser import enter
from loopback import free_port, request

from ecapipe.adapters.network import site
from ecapipe.adapters.network.listener import listen
from ecapipe.adapters.network.opening import FOLDER, Openings
from ecapipe.login.callbacks import CallbackReply

STATES = ("one-state", "another-state")


@contextmanager
def listening(openings: Openings) -> Iterator[tuple[str, list[str]]]:
    """A callback URL that is served, and the queries that reach a login there."""
    callback, landed = f"http://localhost:{free_port()}/OauthRedirect", list[str]()

    def land(query: str) -> CallbackReply:
        landed.append(query)
        return CallbackReply(True, True, "Done.")

    with listen([callback], land, openings):
        yield callback, landed


def link(callback: str, state: str) -> str:
    return f"https://acme.my.salesforce.com/services/oauth2/authorize?redirect_uri={callback}&state={state}"


def test_each_login_needs_the_cookie_of_its_own_opening() -> None:
    openings = Openings()
    with listening(openings) as (callback, landed):
        links = [link(callback, state) for state in STATES]
        addresses = [openings.address(each) for each in links]
        assert all(address.startswith(callback.removesuffix("/OauthRedirect") + FOLDER) for address in addresses)
        assert not any(state in address for state in STATES for address in addresses)
        one, other = map(enter, addresses)
        assert (one.link, other.link) == tuple(links)
        assert [enter(address).status for address in addresses] == [410, 410]
        for held in ("", other.cookie, one.cookie.partition("=")[0], f"{one.cookie}x"):
            for query in (STATES[0], f"x&state={STATES[1]}", f"x&other={STATES[0]}", "one%2dstate"):
                assert enter(f"{callback}?code=x&state={query}", held).status == 403 or held == other.cookie
        landed.clear()
        assert enter(f"{callback}?code=x&state={STATES[0]}", other.cookie).status == 403
        assert landed == []
        assert enter(f"{callback}?code=x&state={STATES[0]}", f"{other.cookie}; {one.cookie}").status == 303


def test_a_login_that_no_browser_was_opened_for_needs_none() -> None:
    openings = Openings()
    with listening(openings) as (callback, landed):
        openings.address(link(callback, STATES[0]))  # no browser could be started with it
        assert enter(f"{callback}?code=x&state={STATES[0]}").status == 303
        openings.require(link(callback, STATES[0]))  # now one was, though it has not come yet
        assert enter(f"{callback}?code=x&state={STATES[0]}").status == 403
        assert len(landed) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/board", link("https://www.example.com/done", "a-state")])
def test_what_ends_elsewhere_is_opened_at_a_place_of_its_own(url: str) -> None:
    address = Openings().address(url)
    parts = urlsplit(address)
    assert (parts.hostname, parts.query) == ("127.0.0.1", "")
    assert request(parts.port or 0, parts.path, "HEAD").status != 303
    assert request(parts.port or 0, parts.path, headers={"Host": "evil.example"}).status == 421
    assert enter(address) == (303, url, "")
    assert enter(address).status == 410


def test_visitors_that_say_nothing_make_way() -> None:
    with listening(Openings()) as (callback, landed), ExitStack() as stack:
        port = urlsplit(callback).port or 0
        before = threading.active_count()
        for _ in range(600):
            silent = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            with suppress(OSError):
                silent.sendall(b"GET /")
        assert threading.active_count() - before < 200
        assert enter(f"{callback}?code=x&state=y").status == 303
        assert landed == ["code=x&state=y"]


class _Hurried(site.Handler):
    timeout = 1

    def do_GET(self) -> None:
        self.reply(HTTPStatus.OK)


@pytest.mark.parametrize("start", [b"G", b"GET / HTTP/1.1\r\nX: "])
def test_a_request_that_drips_has_an_end(start: bytes) -> None:
    server = site.Server(socket.AF_INET, ("127.0.0.1", 0), _Hurried)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    begun = time.monotonic()
    with server, socket.create_connection(("127.0.0.1", server.server_port)) as visitor:
        visitor.sendall(start)
        visitor.settimeout(0.05)
        with suppress(ConnectionError):
            while time.monotonic() - begun < 5:
                visitor.sendall(b"a")
                with suppress(TimeoutError):
                    if not visitor.recv(1):
                        break
        assert 0.9 < time.monotonic() - begun < 3
        server.shutdown()


def test_a_request_without_end_is_not_read_to_its_end() -> None:
    with listening(Openings()) as (callback, landed), socket.socket() as visitor:
        visitor.connect(("127.0.0.1", urlsplit(callback).port or 0))
        with suppress(ConnectionError):
            visitor.sendall(b"GET /OauthRedirect?code=x HTTP/1.1\r\n" + (b"X: " + b"a" * 60_000 + b"\r\n") * 90)
            visitor.sendall(b"\r\n")
        assert landed == []
