"""Handing a login over to the Salesforce CLI: what it accepts, what it would overwrite, and the hand-over itself."""

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
from ecapipe.oauth.flows import registry
from ecapipe.oauth.scopes import brings_refresh_token
from ecapipe.oauth.tokens import Token
from ecapipe.orgs.hosts import is_my_domain
from ecapipe.orgs.org import Org, error_at, same_id
from ecapipe.orgs.sf_logins import SfLogin
from ecapipe.problems.problem import EcapipeError, Problem, command
from ecapipe.problems.salesforce_cli import (
    alias_taken,
    hand_over_ambiguous,
    hand_over_not_possible,
    sf_timed_out,
    sf_username_taken,
)
from ecapipe.project.apps import App
from ecapipe.secret import Secret

_KEY: Final = re.compile(r"[a-zA-Z0-9._-]+={0,2}")

_SECRET: Final = re.compile(r"[a-zA-Z0-9._-]*={0,2}")

_HOST: Final = re.compile(r"[a-zA-Z0-9:._-]+")
"""The parts of a ``force://`` URL, as sfdx-core reads them (AuthInfo.parseSfdxAuthUrl)."""

_ACCESS_TOKEN: Final = re.compile(r"00D\w{12,15}!\S+|[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""An access token that ``sf org login access-token`` accepts: Salesforce's own form, or a JWT."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A login in the form that the Salesforce CLI accepts; only `of` makes one.

    `given` is piped to it: a ``force://`` URL if `lasting`, else an access token. `username` and `org_id` belong to
    the login. `secrets` must not be shown if its answer repeats them. `replace_alias`: the alias may be taken from
    another org.
    """

    given: Secret
    lasting: bool
    username: str
    org_id: str
    org: Org
    default: bool
    secrets: tuple[Secret, ...]
    replace_alias: bool = False
    client_id: str = ""
    key_file: str | None = None
    """The private key with which the Salesforce CLI is to log in itself, by the JWT bearer flow."""


def check(credentials: Credentials, org: Org, *, lasting: bool, bound: bool = False) -> None:
    """Check that a login with `credentials` in `org` can be handed over, as far as can be known without a token.

    `lasting`: a refresh token is expected; `bound`: tokens are bound to a key. Raises `EcapipeError`
    (HandOverNotPossible).
    """
    if bound:
        reason = "its tokens are bound to a key (DPoP), and the Salesforce CLI sends no proofs"
        refused = _refuse(credentials, org, reason)
        # A printed token has lost its key.
        way_out = (
            "Run without --hand-over, and use --save instead: ecapipe login token --proof then signs single requests."
        )
        raise EcapipeError(replace(refused.problem, actions=(way_out,)))
    # A force:// URL has only a host: sfdx-core puts https:// before it, and drops everything else.
    if org.url != f"https://{org.host}" or not _HOST.fullmatch(org.host):
        raise _refuse(credentials, org, f"it only supports orgs at https://HOST, and this one is at {org.url}")
    # An access token is handed over alone: without the key and the secret, their form does not matter.
    if not lasting:
        return
    secret = credentials.consumer_secret
    if not _KEY.fullmatch(credentials.consumer_key):
        raise _refuse(credentials, org, "the consumer key contains characters that it cannot read")
    if secret is not None and not _SECRET.fullmatch(secret.reveal()):
        raise _refuse(credentials, org, "the consumer secret contains characters that it cannot read")


def rival(app: str, org: Org, logins: Sequence[tuple[str, Org]]) -> Problem | None:
    """The reason, if any, why `app` in `org` cannot be handed over in the same run as the other `logins`.

    `logins` are pairs of app and org. The Salesforce CLI stores one login for a username, and one username for an
    alias, so a second one would overwrite the first.
    """
    others = [other_app for other_app, other_org in logins if other_org.name == org.name and other_app != app]
    if others:
        return hand_over_ambiguous(org.name, sorted([app, *others]))
    for _, other in logins:
        if org.username and other.username and other.url != org.url and _same_name(org.username, other.username):
            return sf_username_taken(org.username, org.name, other.name)
    return None


def overwritten(
    username: str | None, org_id: str | None, org: Org, sf_logins: Iterable[SfLogin], *, replace_alias: bool = False
) -> Problem | None:
    """The reason, if any, why a login of `username` in `org` would overwrite one of `sf_logins` to another org.

    It would if both have the same username, or if the alias of `org` belongs to the other. `replace_alias` allows the
    alias to be moved, but only if the user paired it with the address.
    """
    for login in sf_logins:
        if username and org_id and _is_username_elsewhere(login, username, org_id):
            return sf_username_taken(login.username, org.name, ", ".join(login.aliases) or login.org_id)
        if org.alias not in (*login.aliases, login.username) or not _is_another_org(login, org_id, org):
            continue
        # A project tree may not decide what an alias of the user's own CLI means.
        by_user = org.paired_by == "user"
        if not (by_user and replace_alias):
            place = login.instance_url or "an unknown address"
            return alias_taken(org.alias or "", org.url, login.username, place, by_user)
    return None


def _is_username_elsewhere(login: SfLogin, username: str, org_id: str) -> bool:
    return bool(login.org_id) and _same_name(login.username, username) and not same_id(login.org_id, org_id)


def _is_another_org(login: SfLogin, org_id: str | None, org: Org) -> bool:
    """Whether a login is to another org: by the ids, or while `org_id` is unknown by their My Domains."""
    # A broken login tells nothing of its org. It counts as another one: an alias is not moved on a guess.
    if not login.org_id and not login.instance_url:
        return True
    if org_id:
        return not same_id(login.org_id, org_id)
    return login.host != org.host and is_my_domain(login.instance_url) and is_my_domain(org.url)


def _same_name(one: str, other: str) -> bool:
    # Salesforce compares usernames without regard to case.
    return one.casefold() == other.casefold()


def doubts(app: App, core: str | None) -> list[str]:
    """Sentences about what may go wrong with a web login after it was handed over.

    `core` is the version of an sfdx-core that loses rotated refresh tokens; None: it does not.
    """
    doubts = []
    if app.scope_names and {"Web", "Full"}.isdisjoint(app.scope_names):
        doubts.append(
            f"{app.name} does not have the scope web: the Salesforce CLI can call the API, but not open the org."
        )
    if not brings_refresh_token(app):
        doubts.append(
            f"{app.name} does not have the scope refresh_token: the Salesforce CLI gets only an access "
            "token, and the login ends when its session expires."
        )
    elif app.rotates_refresh_tokens and core:
        doubts.append(
            f"{app.name} rotates its refresh tokens, and this Salesforce CLI (sfdx-core {core}) discards the new "
            "ones: the login will end soon. Update it first: sf update"
        )
    return doubts


def of(
    credentials: Credentials, token: Token, username: str, org: Org, *, default: bool, replace_alias: bool = False
) -> Handover:
    """The login of `username` with `token`, to hand over. Without a refresh token it ends with its session.

    Raises `EcapipeError` (HandOverNotPossible).
    """
    secret, refresh = credentials.consumer_secret, token.refresh_token
    check(credentials, org, lasting=refresh is not None, bound=token.key is not None)
    return Handover(
        _login_secret(credentials, token, org),
        lasting=refresh is not None,
        username=username,
        org_id=token.org_id,
        org=org,
        default=default,
        secrets=tuple(each for each in (secret, refresh, token.access_token) if each is not None),
        replace_alias=replace_alias,
        client_id=credentials.consumer_key,
    )


def _login_secret(credentials: Credentials, token: Token, org: Org) -> Secret:
    """The ``force://`` URL of a login, or its access token if there is no refresh token; raises `EcapipeError`."""
    secret, refresh = credentials.consumer_secret, token.refresh_token
    if refresh is None:
        if not _ACCESS_TOKEN.fullmatch(token.access_token.reveal()):
            raise _refuse(credentials, org, "the access token has a format that it cannot read")
        return token.access_token
    if not _KEY.fullmatch(refresh.reveal()):
        raise _refuse(credentials, org, "the refresh token contains characters that it cannot read")
    # In one expression: no variable holds what a traceback could show.
    return Secret(
        f"force://{credentials.consumer_key}:{secret.reveal() if secret else ''}:{refresh.reveal()}@{org.host}"
    )


def hints(token: Token, org: Org, sf_login: SfLogin) -> list[str]:
    """Sentences about what to know before a login that was handed over is used with the Salesforce CLI."""
    hints = []
    if sf_login.dev_hub:
        # A scratch org cannot be signed up for with the key of an external client app (C-1016), only with that of a
        # connected app, such as the CLI's own.
        hints.append(
            f"{org.name} is a Dev Hub: to create scratch orgs with this login, set "
            "SF_SCRATCH_SIGNUP_CONNECTED_APP=PlatformCLI."
        )
    # A JWT begins with the Base64 of `{"`.
    if token.access_token.reveal().startswith("eyJ"):
        hints.append(
            f"{org.name} issues JWT-based access tokens: deploy and retrieve need API version 68.0 or later "
            "(sourceApiVersion in sfdx-project.json)."
        )
    return hints


def _refuse(credentials: Credentials, org: Org, reason: str) -> EcapipeError:
    return EcapipeError(hand_over_not_possible(credentials.app.name, org.name, reason))


def hand_over(
    target: Target, token: Token, login: LoginResult, options: LoginOptions, world: LoginAccess, work: StageWork
) -> LoginResult:
    """Hand the verified `login` over to the Salesforce CLI; nothing of it is used from then on.

    A refresh token that the CLI refuses is revoked. Raises `EcapipeError`.
    """
    username = login.username or ""
    try:
        handover = of(
            target.credentials,
            token,
            username=username,
            org=target.org,
            default=options.set_default,
            replace_alias=options.replace_alias,
        )
        flow = registry.find(login.flow)
        if flow and flow.hands_over_key and not handover.lasting:
            handover = replace(handover, key_file=_key_file(options, world, work))
        # Only these hold more than an access token, which is all that takes the place of another then.
        earlier = {each.username.casefold() for each in world.sf.logins() if each.method != "token"}
        sf_login = world.sf.log_in(handover)
    except EcapipeError as error:
        # After a timeout the CLI may have stored the login all the same: revoking would break it.
        if token.refresh_token is not None and error.problem.kind is not sf_timed_out:
            work.facts["revoked"] = revoke(token, target.org, world)
        raise error_at(error.problem, target.org) from None
    work.facts |= {"alias": target.org.alias, "kept": _contents(handover, target.credentials)}
    if sf_login.username != username:
        work.facts["username"] = sf_login.username
    if not (handover.lasting or handover.key_file) and username.casefold() in earlier:
        work.warn(
            f"The Salesforce CLI already had a login of {username}. If that login has a refresh token "
            "or a private key, the Salesforce CLI still stores it with the new access token. To "
            f"remove both, log out first: {command('sf org logout', target_org=username)}"
        )
    for hint in hints(token, target.org, sf_login):
        work.note("hint", hint)
    return replace(login, token="handedOver")  # noqa: S106


def _key_file(options: LoginOptions, world: LoginAccess, work: StageWork) -> str | None:
    """The private key of the login, if the Salesforce CLI can renew the login with it; `work` says why not."""
    reason = world.sf.key_obstacle(options.key_file) if options.key_file else "the private key is not in a file"
    if reason is None:
        return options.key_file
    work.warn(f"The Salesforce CLI cannot renew this login, which ends with its session: {reason}.")
    return None


def _contents(handover: Handover, credentials: Credentials) -> str:
    """The secrets that the Salesforce CLI has from now on, in words."""
    if handover.key_file:
        return "path of the private key"
    if not handover.lasting:
        return "access token only"
    if credentials.consumer_secret:
        return "consumer secret and refresh token"
    return "refresh token"
