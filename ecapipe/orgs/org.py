"""An org: where a secret may go, and who named it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import urlsplit

from ecapipe.orgs.hosts import SHARED_HOSTS
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.apps import Flow


def error_at(problem: Problem, org: Org) -> EcapipeError:
    return EcapipeError(replace(problem, host=org.host))


_OF_TESTS: Final = re.compile(r"^test\.|^[^.]*--|\.(sandbox|scratch)\.|(^|\.)cs\d+\.")
"""Hosts of sandboxes, today's and older ones, and of scratch orgs."""

NamedBy = Literal["user", "tree", "salesforceCli"]
"""Whose word an address is: the user's (a flag, the environment, a file that lies outside the tree), the tree's (any
file of its repository), or that of the user's own Salesforce CLI."""


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
    apps: tuple[str, ...] = ()
    """The apps that are meant for it; none: all."""
    source_dir: str | None = None
    """The tree that was retrieved from it, whose apps it has for itself."""
    flow: Literal["auto"] | Flow | None = None
    secret_env: str | None = None
    """The variable that holds the consumer secret for it."""
    browser: str | None = None
    callback: Literal["auto", "listen", "paste"] | None = None
    named_by: NamedBy = field(default="tree", compare=False)
    """Who gave the address; the user, if several did."""
    paired_by: NamedBy = field(default="tree", compare=False)
    """Who gave the alias to the address: a tree may do so with one that the user gave, too."""

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
        if self.host in SHARED_HOSTS:
            return (
                f"{self.host} does not know local external client apps: use the org's My Domain URL, "
                "such as https://MyDomain.my.salesforce.com."
            )
        return None


def doubles(chosen: Iterable[Org]) -> list[str]:
    """A sentence for each org that is there under several names, told by its address or its id.

    Several names for one org are meant where each expects a user of its own.
    """
    groups: dict[str, dict[str, Org]] = {}
    for org in chosen:
        for mark in (org.url, org.org_id and org.org_id[:15]):
            if mark:
                groups.setdefault(mark, {}).setdefault(org.name, org)
    said = {}
    for mark, group in groups.items():
        users = {org.username for org in group.values()}
        if len(group) > 1 and not (None not in users and len(users) == len(group)):
            names = list(group)
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            said[tuple(names)] = f"{', '.join(names[:10])}{more} are the same org: {mark}."
    return list(said.values())


def assertion_audience(org: Org) -> str:
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
