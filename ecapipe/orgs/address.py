"""The address of an org, accepted or refused: the one place that makes an `Address`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from ecapipe.orgs.hosts import MY_DOMAINS, SHARED_HOSTS, AllowedHosts, is_salesforce_host
from ecapipe.orgs.org import Address, NamedBy, Org
from ecapipe.problems.orgs import lightning_domain, refused_host
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.apps import LOOPBACK
from ecapipe.secret import spare

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}

_PAGES: Final = re.compile(
    r"(?:(?P<org>.+?)\.)?(?:(?P<kind>lightning|vf|file)\.(?:crm)?force|(?:my\.)?salesforce-setup)\.(?P<top>com|mil)"
)
"""Hosts that serve pages or files, with the name that the My Domain of the same org begins with."""

_NO_LOGIN: Final = re.compile(r"(?:www|(?:[^.]+\.)?api)\.(?P<rest>.+)")
"""Hosts of Salesforce itself that nobody logs in at."""


_ODD: Final = "it contains a space, a backslash, a percent sign or a letter that is not ASCII"

_ONLY_PAGES: Final = "the host serves pages, files or information, but no logins of an org"


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
    def salesforces_own(self) -> bool:
        """Whether Salesforce alone answers there, whatever the path."""
        return self.host in SHARED_HOSTS or self.host.endswith(MY_DOMAINS)

    @property
    def login_path(self) -> str:
        """The path below which the org's OAuth endpoints are.

        Only Experience Cloud sites have theirs below one; elsewhere it is that of a page somebody copied.
        """
        if self.local:
            return self.path.rstrip("/")
        if self.host.endswith((".my.site.com", ".force.com")):
            # Below /s are the pages of a site, such as /s/login.
            return re.sub(r"/s(/.*)?$", "", self.path).rstrip("/")
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
    _refuse_pages(host)
    allowed = hosts.allow(host, address.port or address.default_port)
    if not address.local and not is_salesforce_host(host) and not allowed:
        raise refuse("the host does not belong to Salesforce", foreign=True)
    if address.has_suffix:
        raise refuse("it has a query or fragment")
    # Refused from everybody, not from the tree alone: Apex REST of a site would be sent the secret.
    if "/services" in _decode(address.path).casefold() and not address.salesforces_own:
        raise refuse("its path contains /services, where custom code of a site can respond")
    if "%" in address.login_path or not address.login_path.isascii():
        raise refuse(_ODD)
    url = f"{address.scheme}://{address.netloc}{address.login_path}"
    named_by: NamedBy = "user" if by != "user" and url in hosts.given() else by
    by_user = named_by != "tree" or allowed
    if not by_user and not address.salesforces_own:
        raise refuse(
            "it is not a My Domain of Salesforce, and only files in the repository of the project specify it",
            by_tree=True,
        )
    spare(host)
    takes_variables = by_user or host.endswith(MY_DOMAINS)
    return Org(Address(url, address.netloc, named_by, takes_variables), alias, paired_by=by)


def _refuse_pages(host: str) -> None:
    """Raises `EcapipeError` (LightningDomain, RefusedHost) for hosts of Salesforce where no org is logged in to."""
    if pages := _PAGES.fullmatch(host):
        org, kind = pages["org"] or "", pages["kind"]
        if kind == "vf":  # acme--uat--package.sandbox
            org = re.sub(r"--[^.-]+(?=\.|$)", "", org, count=1)
        my_domain = f"{org}.my.salesforce.{pages['top']}" if org else None
        if my_domain and kind in ("lightning", None):
            raise EcapipeError(lightning_domain(host, my_domain))
        raise EcapipeError(refused_host(host, _ONLY_PAGES, my_domain=my_domain))
    if is_salesforce_host(host) and (other := _NO_LOGIN.fullmatch(host)):
        my_domain = other["rest"] if other["rest"].endswith(MY_DOMAINS) else None
        raise EcapipeError(refused_host(host, _ONLY_PAGES, my_domain=my_domain))


def _decode(path: str) -> str:
    """A path without any escapes, however often it was escaped."""
    while (decoded := unquote(path)) != path:
        path = decoded
    return path


def _parse(text: str) -> _Address:
    """The parts of an address. A host alone stands for https, and on this machine, as the emulator's, for http.

    Raises `_Malformed`.
    """
    url = text
    if "://" not in url:
        local = re.match(r"(localhost|127\.0\.0\.1|\[::1\])(?![^:/])", url, re.IGNORECASE)
        url = f"{'http' if local else 'https'}://{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _Malformed("it is not a URL") from None
    # DNS takes a host with a final dot for the same one; comparisons of suffixes would not.
    host = (parts.hostname or "").lower().removesuffix(".")
    # https://acme.my.salesforce.com@evil.test looks like an address of Salesforce.
    if parts.username is not None or parts.password is not None:
        raise _Malformed("it contains a username or password")
    if not re.fullmatch(r"[a-z0-9._:-]+", host) or "" in host.split(".") or port == 0:
        raise _Malformed("it has no valid host")
    # Parsers of URLs disagree about these, so that a request could go to another host than the one accepted here.
    if re.search(r"[\s\\]", url) or "%" in parts.netloc:
        raise _Malformed(_ODD)
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
