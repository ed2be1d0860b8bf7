"""An org: where a secret may go, and who named it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import urlsplit

from ecapipe.events import NamedBy as NamedBy
from ecapipe.events import OrgFacts
from ecapipe.orgs.hosts import SHARED_HOSTS
from ecapipe.problems.problem import EcapipeError, Problem


def error_at(problem: Problem, org: Org) -> EcapipeError:
    """The error for a problem that `org` is the scene of: reports name its host."""
    return EcapipeError(replace(problem, host=org.host))


_TEST_HOST: Final = re.compile(r"^test\.|^[^.]*--|\.(sandbox|scratch)\.|(^|\.)cs\d+\.")
"""Hosts of sandboxes, today's and older ones, and of scratch orgs."""


@dataclass(frozen=True, slots=True)
class Address:
    """A place that secrets may be sent to, and who named it: without one there is no request to an org.

    `url` has no slash at the end; `host` includes a port that is not the scheme's own. Only `accept_address` makes
    one, which is the proof that the host was accepted from whoever named it.
    """

    url: str
    host: str
    # Who named an address does not make it another one.
    named_by: NamedBy = field(compare=False)
    """The user, if several did."""
    takes_variables: bool = field(default=False, compare=False)
    """Whether what the tree takes from the environment may go there: to one org of Salesforce, or where the user
    sends it."""


@dataclass(frozen=True, slots=True)
class Org:
    """An org, at an address that was accepted."""

    address: Address
    alias: str | None = None
    org_id: str | None = None
    username: str | None = None
    scopes: str | None = None
    apps: tuple[str, ...] = ()
    """The apps to log in with there; empty for all."""
    source_dir: str | None = None
    """The tree that was retrieved from it, whose apps no other org gets."""
    retrieved: bool = False
    """Whether that tree is there for the time of this run alone."""
    flow: str | None = None
    secret_env: str | None = None
    """The variable that holds the consumer secret for it."""
    browser: str | None = None
    callback: Literal["auto", "listen", "paste"] | None = None
    # Two equal descriptions of an org are one login, whoever made them.
    paired_by: NamedBy = field(default="tree", compare=False)
    """Who gave the address its alias: that can be the tree where the user named the address."""

    @property
    def url(self) -> str:
        return self.address.url

    @property
    def host(self) -> str:
        return self.address.host

    @property
    def name(self) -> str:
        """What output calls it: the alias, else the host."""
        return self.alias or self.host

    @property
    def facts(self) -> OrgFacts:
        source_dir = None if self.retrieved else self.source_dir
        return OrgFacts(self.name, self.url, self.address.named_by, source_dir)

    @property
    def variable_name(self) -> str:
        """What environment variables call it: the alias, else the host's first label."""
        return self.alias or self.host.partition(":")[0].partition(".")[0]

    @property
    def warning(self) -> str | None:
        """What is doubtful about the address."""
        if self.host in SHARED_HOSTS:
            return (
                f"{self.host} does not support local external client apps. Use the org's My Domain URL, "
                "such as https://MyDomain.my.salesforce.com."
            )
        return None


def duplicate_warnings(chosen: Iterable[Org]) -> list[str]:
    """A sentence for each org that is there under several names, recognised by its address or its id.

    Several names for one org are no mistake where each expects a user of its own.
    """
    groups: dict[str, dict[str, Org]] = {}
    for org in chosen:
        for identity in (org.url, org.org_id and org.org_id[:15]):
            if identity:
                groups.setdefault(identity, {}).setdefault(org.name, org)
    # By the names, so that an org with the same address and the same id is reported once.
    sentences = {
        tuple(group): f"{_list_names(list(group))} are the same org: {identity}."
        for identity, group in groups.items()
        if len(group) > 1 and not _distinct_users(group.values())
    }
    return list(sentences.values())


def _distinct_users(orgs: Collection[Org]) -> bool:
    users = {org.username for org in orgs}
    return None not in users and len(users) == len(orgs)


def _list_names(names: list[str]) -> str:
    """The first ten names, and how many more there are."""
    text = ", ".join(names[:10])
    if len(names) > 10:
        text += f" and {len(names) - 10} more"
    return text


def assertion_audience(org: Org) -> str:
    """The ``aud`` of an assertion for `org`: the login host for the org's kind.

    Sites, hosts that are not Salesforce's, and Salesforce's separate clouds are audiences themselves. Source:
    Salesforce Help, "OAuth 2.0 JWT Bearer Flow"; sandboxes and scratch orgs are recognised as the Salesforce CLI
    recognises them.
    """
    host = urlsplit(org.url).hostname or ""
    if not host.endswith(".salesforce.com"):
        return org.url
    return "https://test.salesforce.com" if _TEST_HOST.search(host) else "https://login.salesforce.com"


def same_id(one: str, other: str) -> bool:
    """Whether two org or user ids are the same: the last 3 of 18 characters only repeat the case of the first 15."""
    return one[:15] == other[:15]
