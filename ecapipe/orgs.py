"""Target orgs: alias, My Domain URL, and whom to expect there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from ecapipe import problems
from ecapipe.apps import LOOPBACK
from ecapipe.problems import EcapipeError
from ecapipe.project import Project

SUFFIXES: Final = (
    "my.salesforce.com",
    "salesforce.com",
    "force.com",
    "my.site.com",
    "cloudforce.com",
    "salesforce.mil",
    "crmforce.mil",
    "sfcrmproducts.cn",
)
"""Salesforce's own domains, accepted at a dot boundary."""

_LIGHTNING: Final = (
    (".lightning.force.com", ".my.salesforce.com"),
    (".my.salesforce-setup.com", ".my.salesforce.com"),
    (".lightning.crmforce.mil", ".my.salesforce.mil"),
)
_MY_DOMAINS: Final = (".my.salesforce.com", ".my.salesforce.mil", ".my.sfcrmproducts.cn")
_SHARED: Final = ("login.salesforce.com", "test.salesforce.com")
_OF_TESTS: Final = re.compile(r"^test\.|^[^.]*--|\.(sandbox|scratch)\.|(^|\.)cs\d+\.")
"""Hosts of sandboxes, today's and older ones, and of scratch orgs."""
_MEMBERS: Final = ("url", "orgId", "username", "scopes")


@dataclass(frozen=True, slots=True)
class Org:
    """A place secrets may be sent to: making one is the proof that its host was accepted.

    `url` has no slash at the end; `host` includes a port that is not the scheme's own.
    """

    url: str
    host: str
    alias: str | None = None
    org_id: str | None = None
    username: str | None = None
    scopes: str | None = None

    @property
    def name(self) -> str:
        """What output calls it: the alias, else the host."""
        return self.alias or self.host

    @property
    def variable_name(self) -> str:
        """What environment variables call it: the alias, else the host's first label."""
        return self.alias or self.host.partition(":")[0].partition(".")[0]

    @property
    def warning(self) -> str | None:
        """What is doubtful about the address."""
        if self.host in _SHARED:
            return (
                f"{self.host} does not know local external client apps: use the org's My Domain URL, "
                "such as https://MyDomain.my.salesforce.com."
            )
        return None


@dataclass(frozen=True, slots=True)
class Which:
    """The orgs a user asks for: ``--target-org`` values, else `default` (``SF_TARGET_ORG``), or one `given` outright.

    `allowed` are hosts accepted besides Salesforce's; `username` is expected in every org.
    """

    names: tuple[str, ...] = ()
    default: str | None = None
    allowed: tuple[str, ...] = ()
    username: str | None = None
    given: Org | None = None


def select(which: Which, projects: Iterable[Project]) -> tuple[Org, ...]:
    """The orgs meant, in the order of the contract: named, default, the only configured one, ``sfdcLoginUrl``.

    Raises `EcapipeError`: NoOrgChosen, or as `choose`.
    """
    projects = tuple(projects)
    known = {alias: members for project in projects for alias, members in project.orgs.items()}
    if which.given:
        found = [which.given]
    elif which.names or which.default:
        found = [choose(name, known, which.allowed) for name in which.names or (which.default or "",)]
    elif len(known) == 1:
        found = [configured(alias, members, which.allowed) for alias, members in known.items()]
    else:
        urls = {project.login_url for project in projects if project.login_url and is_my_domain(project.login_url)}
        if known or len(urls) != 1:
            raise EcapipeError(problems.no_org_chosen(sorted(known)))
        found = [_accept(urls.pop(), which.allowed)]
    if which.username:
        found = [replace(org, username=which.username) for org in found]
    return tuple(dict.fromkeys(found))


def is_my_domain(url: str) -> bool:
    """Whether `url` names one org, not a login host all orgs share."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host.endswith(_MY_DOMAINS) and not host.startswith(("login.", "test."))


def choose(text: str, known: Mapping[str, Mapping[str, object]], allowed: Iterable[str]) -> Org:
    """The org meant by a ``--target-org`` value: ALIAS, a URL or host, or ALIAS=URL.

    `known` are the orgs of ``plugins.ecapipe``, `allowed` hosts accepted besides Salesforce's. Raises
    `EcapipeError`: NamedOrgNotFoundError, RefusedHost, LightningDomain, SchemaValidationError.
    """
    if text in known:
        return configured(text, known[text], allowed)
    alias, equals, url = text.partition("=")
    if equals and "/" not in alias and ":" not in alias:
        if not alias or not url:
            raise EcapipeError(problems.refused_host(_shown(text), "both sides of ALIAS=URL are needed"))
        return _accept(url, allowed, alias=alias)
    if "." in text or ":" in text or text.lower() == "localhost":
        return _accept(text, allowed)
    raise EcapipeError(problems.named_org_not_found_error(text, sorted(known)))


def configured(alias: str, members: Mapping[str, object], allowed: Iterable[str]) -> Org:
    """The org that ``plugins.ecapipe.orgs`` describes under `alias`; raises as `choose`."""
    place = f"plugins.ecapipe.orgs.{alias}"
    for name, value in members.items():
        if name not in _MEMBERS:
            raise EcapipeError(problems.schema_validation_error("sfdx-project.json", f"{place}.{name} is not known"))
        if not isinstance(value, str):
            raise EcapipeError(
                problems.schema_validation_error("sfdx-project.json", f"{place}.{name} must be a string")
            )
    texts = {name: str(value) for name, value in members.items()}
    if not texts.get("url"):
        raise EcapipeError(problems.schema_validation_error("sfdx-project.json", f"{place}.url is missing"))
    return _accept(
        texts["url"],
        allowed,
        alias=alias,
        org_id=texts.get("orgId"),
        username=texts.get("username"),
        scopes=texts.get("scopes"),
    )


def audience(org: Org) -> str:
    """Whom an assertion for `org` names as its audience: the login host for the org's kind.

    Sites, hosts that are not Salesforce's, and Salesforce's clouds of their own stand for themselves. Help,
    "OAuth 2.0 JWT Bearer Flow"; sandboxes and scratch orgs as the Salesforce CLI tells them.
    """
    host = urlsplit(org.url).hostname or ""
    if not host.endswith(".salesforce.com"):
        return org.url
    return "https://test.salesforce.com" if _OF_TESTS.search(host) else "https://login.salesforce.com"


def same_id(one: str, other: str) -> bool:
    """Whether two org or user ids are the same: the last 3 of 18 characters only repeat the case of the first 15."""
    return one[:15] == other[:15]


def accepted(host: str, allowed: Iterable[str]) -> bool:
    """Whether a secret may be sent to `host` over https: Salesforce's domains, and the exact hosts in `allowed`."""
    host = host.lower()
    return any(host == suffix or host.endswith("." + suffix) for suffix in SUFFIXES) or host in {
        name.lower() for name in allowed
    }


def _accept(
    text: str,
    allowed: Iterable[str],
    *,
    alias: str | None = None,
    org_id: str | None = None,
    username: str | None = None,
    scopes: str | None = None,
) -> Org:
    def refuse(reason: str) -> EcapipeError:
        return EcapipeError(problems.refused_host(_shown(text), reason))

    url = text.strip()
    url = url if "://" in url else f"https://{url}"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower().rstrip("."), parts.port
    except ValueError:
        raise refuse("it is not a URL") from None
    if parts.username is not None or parts.password is not None:
        raise refuse("it carries a user name or password")
    if not host or not host.isascii() or any(c.isspace() or c in "\\%" for c in url):
        raise refuse("it has no usable host")
    local = host in LOOPBACK
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        raise refuse("only https is accepted")
    for lightning, my_domain in _LIGHTNING:
        if host.endswith(lightning):
            raise EcapipeError(problems.lightning_domain(host, host.removesuffix(lightning) + my_domain))
    if not local and not accepted(host, allowed):
        raise refuse("the host does not belong to Salesforce")
    if parts.query or parts.fragment:
        raise refuse("it has a query or fragment")
    bracketed = f"[{host}]" if ":" in host else host
    default = {"https": 443, "http": 80}[parts.scheme]
    netloc = bracketed if port in (None, default) else f"{bracketed}:{port}"
    # Only Experience Cloud sites have their OAuth endpoints below a path; elsewhere it is a page somebody copied.
    path = parts.path.rstrip("/") if local or host.endswith((".my.site.com", ".force.com")) else ""
    return Org(f"{parts.scheme}://{netloc}{path}", netloc, alias, org_id, username, scopes)


def _shown(text: str) -> str:
    """`text` without what may be secret in it: a password, the code of a pasted redirect."""
    return re.split(r"[?#]", re.sub(r"^([^/]*//)?.*@", r"\1…@", text, flags=re.DOTALL))[0]
