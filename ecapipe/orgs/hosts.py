"""The allow-list: hosts that a secret may be sent to."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ecapipe.problems.orgs import invalid_allowed_host
from ecapipe.problems.problem import EcapipeError

SUFFIXES: Final = (
    "my.salesforce.com",
    "salesforce.com",
    "force.com",
    "my.site.com",
    "my-salesforce.com",
    "cloudforce.com",
    "salesforce.mil",
    "crmforce.mil",
    "sfcrmproducts.cn",
)
"""Salesforce's own domains, accepted at a dot boundary."""

MY_DOMAINS: Final = (".my.salesforce.com", ".my-salesforce.com", ".my.salesforce.mil", ".my.sfcrmproducts.cn")
"""Below these Salesforce alone answers; on a site, the code of its maker may."""

_INSTANCE: Final = r"[a-z]{2,3}[0-9]{1,4}s?"
_INSTANCED: Final = re.compile(
    rf"(?:(?:[^.]+\.)*{_INSTANCE}(?:-api)?\.(?:salesforce|cloudforce)"
    # A My Domain may be called as an instance is: there, and on sites, the instance stands behind a name.
    rf"|(?:[^.]+\.)+{_INSTANCE}\.(?:my\.salesforce|(?:visual\.|content\.)?force))\.(?:com|mil)"
)

SHARED_HOSTS: Final = ("login.salesforce.com", "test.salesforce.com")


def is_my_domain(url: str) -> bool:
    """Whether `url` names one org, not a login host all orgs share."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    # A name that starts like a shared login host stands for no single org.
    return host.endswith(MY_DOMAINS) and not host.startswith(("login.", "test."))


def is_instanced(address: str) -> bool:
    """Whether an address, with or without a scheme, holds the name of an instance: ``na99.salesforce.com``, or
    ``acme--uat.cs12.my.salesforce.com`` as before enhanced domains."""
    try:
        host = urlsplit(address if "//" in address else f"//{address}").hostname or ""
    except ValueError:
        return False
    return _INSTANCED.fullmatch(host.removesuffix(".")) is not None


_ALLOWABLE: Final = re.compile(
    r"(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[1-9][0-9]{0,4})?|[0-9a-f.]*(?::[0-9a-f.]*){2,}",
    re.IGNORECASE,
)


def require_hosts(names: Iterable[str], source: str) -> tuple[str, ...]:
    """The `names`, each of which can be the host of an address, or host and port. Raises `EcapipeError`
    (InvalidAllowedHost): any other would allow nothing, though it looks as if it did."""
    hosts = tuple(names)
    for name in hosts:
        if not _ALLOWABLE.fullmatch(name):
            raise EcapipeError(invalid_allowed_host(name, source))
    return hosts


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The user's own word on addresses: hosts `allowed` besides Salesforce's, and the exact URLs `given`, which are
    asked for only where somebody else names an address."""

    allowed: tuple[str, ...] = ()
    given: Callable[[], Collection[str]] = frozenset

    def allow(self, host: str, port: int) -> bool:
        """Whether a host is allowed, at every port or at this one; exactly, in any case."""
        # An IPv6 address may be allowed with brackets or without; before a port it needs them.
        bracketed = f"[{host}]" if ":" in host else host
        return not {host, bracketed, f"{bracketed}:{port}"}.isdisjoint(name.lower() for name in self.allowed)


def is_salesforce_host(host: str) -> bool:
    """Whether `host` is one of Salesforce's."""
    # With a dot in front, so that evil-force.com does not end like force.com.
    return f".{host.lower()}".endswith(tuple(f".{suffix}" for suffix in SUFFIXES))
