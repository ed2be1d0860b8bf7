"""The browser that was opened: it keeps the cookie that it gets at the address it was started with."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit
from urllib.request import ProxyHandler, Request, build_opener


class Entered(NamedTuple):
    """Where an address led to, and what it gave."""

    status: int
    link: str
    cookie: str


def enter(address: str, cookie: str = "") -> Entered:
    """One request, which follows nothing; `cookie`: what it has already."""
    parts = urlsplit(address)
    connection = HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(
            "GET", f"{parts.path}?{parts.query}" if parts.query else parts.path, headers={"Cookie": cookie}
        )
        reply = connection.getresponse()
        given = reply.headers.get("Set-Cookie", "").partition(";")[0]
        return Entered(reply.status, urljoin(address, reply.headers.get("Location", "")), given)
    finally:
        connection.close()


def sign_in(address: str, visit: Callable[[str], str]) -> None:
    """Go where the address leads, sign in, and come back. `visit` walks the org's pages."""
    entered = enter(address)
    back = Request(visit(entered.link), headers={"Cookie": entered.cookie})
    build_opener(ProxyHandler({})).open(back, timeout=10).close()
