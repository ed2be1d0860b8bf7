"""The proxy that the environment or the system names for a host."""

from __future__ import annotations

import os
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ecapipe.project.apps import LOOPBACK


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


def named(scheme: str, host: str) -> tuple[str, str] | None:
    """The proxy for requests to `host`, as it is written, and who names it; never one for this very machine."""
    if local(host):
        return None
    known = urllib.request.getproxies()
    used = next((each for each in (scheme, "all") if known.get(each)), None)
    # Programs agree on a leading dot, people write a star before it.
    excepted = {"no": known.get("no", "").replace("*.", ".")}
    if used is None or urllib.request.proxy_bypass_environment(host, excepted):  # type: ignore[attr-defined]
        return None
    return known[used], _named_by(used, known[used])


def local(host: str) -> bool:
    """Whether `host`, which may have a port, is this machine."""
    return urlsplit(f"//{host}").hostname in LOOPBACK


def exceptions() -> str | None:
    """The hosts that are reached without a proxy, as NO_PROXY has them."""
    return urllib.request.getproxies().get("no")


def _named_by(used: str, url: str) -> str:
    """The variable that holds `url`; lower case goes first, as in the library that reads them."""
    name = f"{used}_proxy"
    spellings = (each for each in sorted(os.environ, reverse=True) if each.lower() == name)
    return next((each for each in spellings if os.environ[each] == url), "the system's settings")
