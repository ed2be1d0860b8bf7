"""A login as the Salesforce CLI takes it, what it cannot take, and the hand-over itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.credentials.resolution import Credentials
from ecapipe.events import LoginResult
from ecapipe.login.options import LoginOptions
from ecapipe.login.ports import LoginAccess
from ecapipe.login.revocation import revoke
from ecapipe.login.target import Target
from ecapipe.login.tracker import StageWork
from ecapipe.oauth.scopes import brings_refresh_token
from ecapipe.oauth.tokens import Token
from ecapipe.orgs.hosts import is_my_domain
from ecapipe.orgs.org import Org, error_at, same_id
from ecapipe.orgs.salesforce_cli import SfLogin
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.salesforce_cli import (
    alias_taken,
    hand_over_ambiguous,
    hand_over_not_possible,
    sf_username_taken,
)
from ecapipe.project.apps import App
from ecapipe.secret import Secret

_KEY: Final = re.compile(r"[a-zA-Z0-9._-]+={0,2}")

_SECRET: Final = re.compile(r"[a-zA-Z0-9._-]*={0,2}")

_HOST: Final = re.compile(r"[a-zA-Z0-9:._-]+")
"""The parts of a ``force://`` URL, as sfdx-core reads them (AuthInfo.parseSfdxAuthUrl)."""

_ACCESS_TOKEN: Final = re.compile(r"00D\w{12,15}!\S+|[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""What ``sf org login access-token`` takes: Salesforce's own form, or a JWT."""


@dataclass(frozen=True, slots=True)
class Handover:
    """What the Salesforce CLI is given: `given` is piped to it, a ``force://`` URL if `lasting`, or an access token.

    Only `of` makes one. `username` and `org_id` are whose login it is; `secrets` are what nobody may read in what is
    answered; `replace_alias`: the alias may be taken from another org.
    """

    given: Secret
    lasting: bool
    username: str
    org_id: str
    org: Org
    default: bool
    secrets: tuple[Secret, ...]
    replace_alias: bool = False


def check(credentials: Credentials, org: Org, *, lasting: bool) -> None:
    """Whether a login with `credentials` in `org` can be handed over, as far as it is known before there is a token.

    `lasting`: a refresh token is expected. Raises `EcapipeError` (HandOverNotPossible).
    """
    if org.url != f"https://{org.host}" or not _HOST.fullmatch(org.host):
        raise _refuse(credentials, org, f"it only knows orgs at https://HOST, and this one is at {org.url}")
    if not lasting:
        return
    secret = credentials.consumer_secret
    if not _KEY.fullmatch(credentials.consumer_key):
        raise _refuse(credentials, org, "the consumer key has characters that it does not read")
    if secret is not None and not _SECRET.fullmatch(secret.reveal()):
        raise _refuse(credentials, org, "the consumer secret has characters that it does not read")


def rival(app: str, org: Org, wanted: Sequence[tuple[str, Org]]) -> Problem | None:
    """Why the login of `app` in `org` cannot be kept beside all that are `wanted`, as far as it is known before.

    The Salesforce CLI keeps one login for a username, and one username for an alias.
    """
    beside = [other for other, its in wanted if its.name == org.name and other != app]
    if beside:
        return hand_over_ambiguous(org.name, sorted([app, *beside]))
    for _, other in wanted:
        if org.username and other.username and other.url != org.url and _same_name(org.username, other.username):
            return sf_username_taken(org.username, org.name, other.name)
    return None


def overwritten(
    username: str | None, org_id: str | None, org: Org, kept: Iterable[SfLogin], *, replace_alias: bool = False
) -> Problem | None:
    """Why a login of `username` in `org` would take the place of one to another org that is `records` already: its
    username or its alias is that one's.

    `replace_alias` lets an alias go, but only if the user gave both it and the address: a tree may not say what it is
    to mean.
    An org of which nothing is known is another one.
    """
    for login in kept:
        known = username and org_id and login.org_id
        if known and _same_name(login.username, username or "") and not same_id(login.org_id, org_id or ""):
            return sf_username_taken(login.username, org.name, ", ".join(login.aliases) or login.org_id)
        if org.alias in (*login.aliases, login.username) and _is_another(login, org_id, org):
            given = org.paired_by == "user"
            if not (given and replace_alias):
                place = login.instance_url or "an address that it does not tell"
                return alias_taken(org.alias or "", org.url, login.username, place, given)
    return None


def _is_another(login: SfLogin, org_id: str | None, org: Org) -> bool:
    """Whether a login is to another org, by the ids, or where `org_id` is not known yet by their My Domains."""
    if not login.org_id and not login.instance_url:
        return True
    if org_id:
        return not same_id(login.org_id, org_id)
    return login.host != org.host and is_my_domain(login.instance_url) and is_my_domain(org.url)


def _same_name(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def doubts(app: App, core: str | None) -> list[str]:
    """What may go wrong with a web login after it was handed over; `core` is an sfdx-core that loses rotated tokens,
    if it is one."""
    if not brings_refresh_token(app):
        return [
            f"{app.name} has no scope refresh_token: the Salesforce CLI can only be given an access token, and the "
            "login ends with its session."
        ]
    if app.rotates_refresh_tokens and core:
        return [
            f"{app.name} rotates its refresh tokens, and the sfdx-core {core} of this Salesforce CLI throws the new "
            "ones away: the login will end soon. Update it first: sf update"
        ]
    return []


def of(
    credentials: Credentials, token: Token, username: str, org: Org, *, default: bool, replace_alias: bool = False
) -> Handover:
    """The login of a user with `token`. Without a refresh token it lasts as long as the session.

    Raises `EcapipeError` (HandOverNotPossible).
    """
    secret, refresh = credentials.consumer_secret, token.refresh_token
    check(credentials, org, lasting=refresh is not None)
    secrets = tuple(each for each in (secret, refresh, token.access_token) if each is not None)
    if refresh is None:
        if not _ACCESS_TOKEN.fullmatch(token.access_token.reveal()):
            raise _refuse(credentials, org, "the access token has a form that it does not read")
        return Handover(token.access_token, False, username, token.org_id, org, default, secrets, replace_alias)
    if not _KEY.fullmatch(refresh.reveal()):
        raise _refuse(credentials, org, "the refresh token has characters that it does not read")
    # In one expression: no variable holds what a traceback could show.
    url = Secret(
        f"force://{credentials.consumer_key}:{secret.reveal() if secret else ''}:{refresh.reveal()}@{org.host}"
    )
    return Handover(url, True, username, token.org_id, org, default, secrets, replace_alias)


def hints(token: Token, org: Org, kept: SfLogin) -> list[str]:
    """What to know before the login that is `records` now is used with the Salesforce CLI."""
    said = []
    if kept.dev_hub:
        said.append(
            f"{org.name} is a Dev Hub: to create scratch orgs with this login, set "
            "SF_SCRATCH_SIGNUP_CONNECTED_APP=PlatformCLI."
        )
    if token.access_token.reveal().startswith("eyJ"):
        said.append(
            f"{org.name} issues JWT-based access tokens: deploying and retrieving needs API version 68.0 or later "
            "(sourceApiVersion in sfdx-project.json)."
        )
    return said


def _refuse(credentials: Credentials, org: Org, reason: str) -> EcapipeError:
    return EcapipeError(hand_over_not_possible(credentials.app.name, org.name, reason))


def hand_over(
    target: Target, token: Token, login: LoginResult, how: LoginOptions, world: LoginAccess, work: StageWork
) -> LoginResult:
    """Let the Salesforce CLI keep the verified `login`; nothing of it is used from then on.

    A refresh token that it refuses is revoked: nobody would hold it. Raises `EcapipeError`.
    """
    username = login.username or ""
    try:
        given = of(
            *(target.credentials, token, username, target.org),
            default=how.set_default,
            replace_alias=how.replace_alias,
        )
        known = {kept.username.casefold() for kept in world.sf.logins()}
        kept = world.sf.log_in(given)
    except EcapipeError as error:
        if token.refresh_token is not None and error.problem.name != "SfTimedOut":
            work.facts["revoked"] = revoke(token, target.org, world)
        raise error_at(error.problem, target.org) from None
    secret = "consumer secret and " if target.credentials.consumer_secret else ""
    what = f"{secret}refresh token" if given.lasting else "access token only"
    work.facts |= {"alias": target.org.alias, "kept": what}
    if kept.username != username:
        work.facts["username"] = kept.username
    if not given.lasting and username.casefold() in known:
        work.warn(f"The Salesforce CLI still holds the refresh token of an earlier login of {username} beside it.")
    for hint in hints(token, target.org, kept):
        work.note("hint", hint)
    return replace(login, token="handedOver")  # noqa: S106
