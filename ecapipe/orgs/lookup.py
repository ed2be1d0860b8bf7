"""The org that a name stands for: an address, ALIAS=URL, or a login of the Salesforce CLI."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from ecapipe.orgs.address import accept_address, without_secrets
from ecapipe.orgs.hosts import AllowedHosts
from ecapipe.orgs.org import NamedBy, Org
from ecapipe.problems.orgs import named_org_not_found_error, refused_host
from ecapipe.problems.problem import EcapipeError

_USERNAME: Final = re.compile(r"[^@\s:/?#\\]+@[^@\s:/?#\\]+\.[^@\s:/?#\\]+")


class KnownLogin(Protocol):
    """An org that the Salesforce CLI is logged in to."""

    @property
    def aliases(self) -> Sequence[str]: ...
    @property
    def username(self) -> str: ...
    @property
    def org_id(self) -> str: ...
    @property
    def instance_url(self) -> str: ...
    @property
    def named_by(self) -> NamedBy: ...


Logins = Callable[[], Sequence[KnownLogin]]
"""Lists the logins. Raises `EcapipeError` where the Salesforce CLI cannot be asked."""


def look_up(text: str, known: Sequence[str], hosts: AllowedHosts, logins: Logins, by: NamedBy) -> Org:
    """The org of a name that no file describes; `known` are names that it might be a misspelling of.

    Raises `EcapipeError`: NamedOrgNotFoundError, RefusedHost, LightningDomain.
    """
    alias, equals, url = text.partition("=")
    # In a URL an equals sign belongs to a query.
    if equals and "/" not in alias and ":" not in alias:
        if not alias or not url:
            raise EcapipeError(refused_host(without_secrets(text), "ALIAS=URL needs both an alias and a URL"))
        return accept_address(url, hosts, by, alias=alias)
    refusal: EcapipeError | None = None
    if _looks_like_address(text):
        try:
            return accept_address(text, hosts, by)
        except EcapipeError as error:
            # An alias may have a dot in it, so what is refused as a host may still be the name of a login.
            if ":" in text or "/" in text or error.problem.kind is not refused_host:
                raise
            refusal = error
    sf_logins: Sequence[KnownLogin] = ()
    reason: str | None = None
    try:
        sf_logins = tuple(logins())
    except EcapipeError as error:
        reason = error.problem.message
    for login in sf_logins:
        if text == login.username or text in login.aliases:
            return _org_of_login(login, text, hosts)
    if refusal:
        raise refusal
    names = {*known, *(name for login in sf_logins for name in (login.username, *login.aliases))}
    raise EcapipeError(named_org_not_found_error(text, sorted(names), reason))


def _looks_like_address(text: str) -> bool:
    if _USERNAME.fullmatch(text):
        return False
    return "." in text or ":" in text or text.lower() == "localhost"


def _org_of_login(login: KnownLogin, name: str, hosts: AllowedHosts) -> Org:
    """The org of a login that was called by `name`, its alias or its username."""
    alias = name
    if name not in login.aliases:
        alias = next(iter(login.aliases), "")
    org = accept_address(login.instance_url, hosts, login.named_by, alias=alias or None)
    # An alias names an org; only a username says who is to sign in there.
    username = login.username if name == login.username else None
    return replace(org, org_id=login.org_id, username=username)


def ask_once(logins: Logins) -> Logins:
    """The same question, asked once: the answer, or the failure, serves for every name."""
    answers: list[Sequence[KnownLogin] | EcapipeError] = []

    def ask() -> Sequence[KnownLogin]:
        if not answers:
            try:
                answers.append(logins())
            except EcapipeError as error:
                answers.append(error)
        (answer,) = answers
        if isinstance(answer, EcapipeError):
            raise answer
        return answer

    return ask
