"""The address of an org, accepted or refused: the one place that makes an `Org`."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from ecapipe.orgs.hosts import MY_DOMAINS, SHARED_HOSTS, AllowedHosts, accepted
from ecapipe.orgs.org import NamedBy, Org
from ecapipe.problems.orgs import lightning_domain, refused_host
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.apps import LOOPBACK

_LIGHTNING: Final = (
    (".lightning.force.com", ".my.salesforce.com"),
    (".my.salesforce-setup.com", ".my.salesforce.com"),
    (".lightning.crmforce.mil", ".my.salesforce.mil"),
)


def accept_address(text: str, hosts: AllowedHosts, by: NamedBy, *, alias: str | None = None) -> Org:
    """The org at an address, which is the word of `by`. Where the tree alone gives it, Salesforce alone has to answer
    there: a site may hold the code of whoever wrote the tree.

    Raises `EcapipeError` (RefusedHost, LightningDomain).
    """

    def refuse(reason: str, *, foreign: bool = False, by_tree: bool = False) -> EcapipeError:
        return EcapipeError(refused_host(without_secrets(text), reason, foreign=foreign, by_tree=by_tree))

    url = text.strip()
    url = url if "://" in url else f"https://{url}"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower().rstrip("."), parts.port
    except ValueError:
        raise refuse("it is not a URL") from None
    if parts.username is not None or parts.password is not None:
        raise refuse("it carries a user name or password")
    if not host or not re.fullmatch(r"[a-z0-9._:-]+", host):
        raise refuse("it has no usable host")
    if re.search(r"[\s\\%]", url):
        raise refuse("it has a space, a backslash or a percent sign")
    local = host in LOOPBACK
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        raise refuse("only https is accepted")
    for lightning, my_domain in _LIGHTNING:
        if host.endswith(lightning):
            raise EcapipeError(lightning_domain(host, host.removesuffix(lightning) + my_domain))
    default = {"https": 443, "http": 80}[parts.scheme]
    allowed = hosts.allow(host, port or default)
    if not local and not accepted(host) and not allowed:
        raise refuse("the host does not belong to Salesforce", foreign=True)
    if parts.query or parts.fragment:
        raise refuse("it has a query or fragment")
    bracketed = f"[{host}]" if ":" in host else host
    netloc = bracketed if port in (None, default) else f"{bracketed}:{port}"
    # Only Experience Cloud sites have their OAuth endpoints below a path; elsewhere it is a page somebody copied.
    path = parts.path.rstrip("/") if local or host.endswith((".my.site.com", ".force.com")) else ""
    if "/services" in path.casefold():
        raise refuse("its path holds /services, below which anybody's code may answer on a site")
    url = f"{parts.scheme}://{netloc}{path}"
    if by == "tree" and not (url in hosts.given or allowed or host in SHARED_HOSTS or host.endswith(MY_DOMAINS)):
        raise refuse("only files of the project give it, and it is no My Domain of Salesforce", by_tree=True)
    return Org(url, netloc, alias, named_by="user" if url in hosts.given else by, paired_by=by)


def without_secrets(text: str) -> str:
    """`text` without what may be secret in it: a password, the code of a pasted redirect."""
    return re.split(r"[?#]", re.sub(r"^([^/]*//)?.*@", r"\1…@", text, flags=re.DOTALL))[0]
