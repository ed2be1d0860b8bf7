"""The proxy between this machine and a host, and who named it: one judgement, for requests and for the doctor."""

from __future__ import annotations

import os
import urllib.request
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

from ecapipe.problems.network import proxy_not_usable
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.apps import LOOPBACK

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""The schemes of proxies that can be used, with their ports."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy. `url` may hold a password; `named_by` is a variable, or the system's settings."""

    url: str = field(repr=False)
    scheme: str
    host: str
    port: int
    named_by: str

    @property
    def place(self) -> str:
        """Its address, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def find(scheme: str, host: str) -> Proxy | None:
    """The proxy for requests to `host`; never one for this very machine. Raises `EcapipeError` (ProxyNotUsable)."""
    if local(host):
        return None
    known = urllib.request.getproxies()
    used = next((each for each in (scheme, "all") if known.get(each)), None)
    # Programs agree on a leading dot, people write a star before it.
    excepted = {"no": known.get("no", "").replace("*.", ".")}
    if used is None or urllib.request.proxy_bypass_environment(host, excepted):  # type: ignore[attr-defined]
        return None
    return _judge(known[used], _named_by(used, known[used]))


def local(host: str) -> bool:
    """Whether `host`, which may have a port, is this machine."""
    return urlsplit(f"//{host}").hostname in LOOPBACK


def exceptions() -> str | None:
    """The hosts that are reached without a proxy, as NO_PROXY has them."""
    return urllib.request.getproxies().get("no")


def _judge(text: str, named_by: str) -> Proxy:
    import httpx

    try:
        # As curl does: a proxy without a scheme is an HTTP proxy.
        url = httpx.URL(text if "://" in text else f"http://{text}")
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError):
        raise EcapipeError(proxy_not_usable(named_by, "it is not the URL of a proxy")) from None
    if url.scheme not in _PORTS:
        reason = f"it begins with {url.scheme}://, and ecapipe uses {', '.join(_PORTS)}"
        raise EcapipeError(proxy_not_usable(named_by, reason))
    if not host:
        raise EcapipeError(proxy_not_usable(named_by, "it has no host"))
    if url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise EcapipeError(proxy_not_usable(named_by, "it is a SOCKS proxy", lacks_socks=True))
    return Proxy(str(url), url.scheme, host, url.port or _PORTS[url.scheme], named_by)


def _named_by(used: str, url: str) -> str:
    """The variable that holds `url`; lower case goes first, as in the library that reads them."""
    name = f"{used}_proxy"
    spellings = (each for each in sorted(os.environ, reverse=True) if each.lower() == name)
    return next((each for each in spellings if os.environ[each] == url), "the system's settings")
