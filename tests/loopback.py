"""This machine as a network: its loopback addresses, free ports, and requests that follow nothing."""

from __future__ import annotations

import random
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage, HTTPSConnection


def _has(family: socket.AddressFamily, address: str) -> bool:
    try:
        socket.create_server((address, 0), family=family).close()
    except OSError:
        return False
    return True


ADDRESSES = {
    address: family
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
    if _has(family, address)
}
"""The loopback addresses that this machine has, with their families."""


def free_port() -> int:
    """A port on which nothing listens, on no loopback address, and which no system gives away by itself."""
    while True:
        port = random.randrange(10_000, 32_768)
        try:
            for address, family in ADDRESSES.items():
                socket.create_server((address, port), family=family).close()
        except OSError:
            continue
        return port


def listens(address: str, port: int) -> bool:
    """Whether somebody can connect."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def other_addresses() -> list[str]:
    """Addresses that lead to this machine, too, but on which nothing of a single user has any business."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing, but picks the address of this machine
            own = str(probe.getsockname()[0])
        except OSError:  # no network
            own = "127.0.0.2"
    return ["127.0.0.2", own]


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: HTTPMessage
    text: str


def request(
    port: int,
    target: str,
    method: str = "GET",
    *,
    address: str = "127.0.0.1",
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    ca_file: str | None = None,
) -> Reply:
    """One request, straight to `address`, with TLS if there is a `ca_file`; redirects are not followed."""
    connection = HTTPConnection(address, port, timeout=10)
    if ca_file:
        connection = HTTPSConnection(address, port, timeout=10, context=ssl.create_default_context(cafile=ca_file))
    try:
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read().decode())
    finally:
        connection.close()
