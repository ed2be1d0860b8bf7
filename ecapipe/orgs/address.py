"""The address of an org, accepted or refused: the one place that makes an `Org`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ecapipe.orgs.hosts import MY_DOMAINS, SHARED_HOSTS, AllowedHosts, is_salesforce_host
from ecapipe.orgs.org import NamedBy, Org
from ecapipe.problems.orgs import lightning_domain, refused_host
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.apps import LOOPBACK

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}

_LIGHTNING: Final = {
    ".lightning.force.com": ".my.salesforce.com",
    ".my.salesforce-setup.com": ".my.salesforce.com",
    ".lightning.crmforce.mil": ".my.salesforce.mil",
}
"""Domains that serve pages only, each with the My Domain of the same org."""


class _Malformed(Exception):
    """An address that no org can have. The text is the reason."""


@dataclass(frozen=True, slots=True)
class _Address:
    """The parts of a well-formed address. `port` is the one in the text, `default_port` the scheme's own."""

    scheme: str
    host: str
    port: int | None
    default_port: int
    path: str
    has_suffix: bool
    """Whether there is a query or a fragment."""

    @property
    def local(self) -> bool:
        return self.host in LOOPBACK

    @property
    def netloc(self) -> str:
        """The host, with the port unless it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in (None, self.default_port) else f"{host}:{self.port}"

    @property
    def login_path(self) -> str:
        """The path below which the org's OAuth endpoints are.

        Only Experience Cloud sites have theirs below one; elsewhere it is that of a page somebody copied.
        """
        if self.local or self.host.endswith((".my.site.com", ".force.com")):
            return self.path.rstrip("/")
        return ""


def accept_address(text: str, hosts: AllowedHosts, by: NamedBy, *, alias: str | None = None) -> Org:
    """The org at an address that `by` names. Where the project tree alone names it, Salesforce alone may answer
    there: a site can run the code of whoever wrote the tree.

    Raises `EcapipeError` (RefusedHost, LightningDomain).
    """

    def refuse(reason: str, *, foreign: bool = False, by_tree: bool = False) -> EcapipeError:
        return EcapipeError(refused_host(without_secrets(text), reason, foreign=foreign, by_tree=by_tree))

    try:
        address = _parse(text.strip())
    except _Malformed as error:
        raise refuse(str(error)) from None
    host = address.host
    # Before the allow-list, which accepts these hosts too: they belong to Salesforce, but answer no OAuth request.
    for lightning, my_domain in _LIGHTNING.items():
        if host.endswith(lightning):
            raise EcapipeError(lightning_domain(host, host.removesuffix(lightning) + my_domain))
    allowed = hosts.allow(host, address.port or address.default_port)
    if not address.local and not is_salesforce_host(host) and not allowed:
        raise refuse("the host does not belong to Salesforce", foreign=True)
    if address.has_suffix:
        raise refuse("it has a query or fragment")
    path = address.login_path
    # Refused from everybody, not from the tree alone: Apex REST of a site would be sent the secret.
    if "/services" in path.casefold():
        raise refuse("its path holds /services, below which anybody's code may answer on a site")
    url = f"{address.scheme}://{address.netloc}{path}"
    by_user = url in hosts.given
    if by == "tree" and not (by_user or allowed or host in SHARED_HOSTS or host.endswith(MY_DOMAINS)):
        raise refuse("only files of the project give it, and it is no My Domain of Salesforce", by_tree=True)
    return Org(url, address.netloc, alias, named_by="user" if by_user else by, paired_by=by)


def _parse(text: str) -> _Address:
    """The parts of an address, a host alone standing for https. Raises `_Malformed`."""
    url = text
    if "://" not in url:
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _Malformed("it is not a URL") from None
    # DNS takes a host with a final dot for the same one; comparisons of suffixes would not.
    host = (parts.hostname or "").lower().rstrip(".")
    # https://acme.my.salesforce.com@evil.test looks like an address of Salesforce.
    if parts.username is not None or parts.password is not None:
        raise _Malformed("it carries a user name or password")
    if not host or not re.fullmatch(r"[a-z0-9._:-]+", host):
        raise _Malformed("it has no usable host")
    # Parsers of URLs disagree about these, so that a request could go to another host than the one accepted here.
    if re.search(r"[\s\\%]", url):
        raise _Malformed("it has a space, a backslash or a percent sign")
    if not _encrypted(parts, host):
        raise _Malformed("only https is accepted")
    return _Address(
        scheme=parts.scheme,
        host=host,
        port=port,
        default_port=_DEFAULT_PORTS[parts.scheme],
        path=parts.path,
        has_suffix=bool(parts.query or parts.fragment),
    )


def _encrypted(parts: SplitResult, host: str) -> bool:
    """Whether a secret is safe on the way: over https, or without leaving this machine."""
    return parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK)


def read_url(word: str, allowed: tuple[str, ...]) -> str | None:
    """The URL in a word that is an address or ALIAS=URL; None for a name."""
    if not re.search("[.:=]", word):
        return None
    try:
        return accept_address(word.partition("=")[2] or word, AllowedHosts(allowed), "user").url
    except EcapipeError:
        return None


def without_secrets(text: str) -> str:
    """`text` without what may be secret in it: a password, the code of a pasted redirect."""
    return re.split(r"[?#]", re.sub(r"^([^/]*//)?.*@", r"\1…@", text, flags=re.DOTALL))[0]
