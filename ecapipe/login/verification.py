"""The verify step: check whose token it is, then save, print, revoke or forget it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ecapipe.events import LoginResult, SavedPlace
from ecapipe.exchange.sending import send
from ecapipe.login.options import LoginOptions
from ecapipe.login.ports import LoginAccess
from ecapipe.login.revocation import give_back, revoke
from ecapipe.login.target import Target
from ecapipe.login.token_request import unverified_login
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import userinfo
from ecapipe.oauth.flows.flow import Flow
from ecapipe.oauth.tokens import Token
from ecapipe.oauth.userinfo import User
from ecapipe.orgs.org import error_at
from ecapipe.problems.network import unexpected_answer
from ecapipe.problems.problem import EcapipeError
from ecapipe.saved import records
from ecapipe.saved.records import StorePlace


def verify(
    target: Target,
    token: Token,
    flow: Flow,
    options: LoginOptions,
    world: LoginAccess,
    work: StageWork,
    end: float,
) -> LoginResult:
    """The verified login: its user and org are the expected ones, and the API accepts the token if its scopes allow.

    On a mismatch a refresh token is revoked, after an answer that cannot be trusted every token. Raises
    `EcapipeError`.
    """
    org = target.org
    try:
        user = userinfo.read(send(userinfo.request(token, org), world, end), token, org, target.app)
    except EcapipeError as error:
        # Any other refusal leaves the token as it is: the org may only have been busy.
        if error.problem.kind is unexpected_answer:
            give_back((token.access_token, token.refresh_token), token.key, org, world, work)
        raise
    remains = "The issued access token remains valid until its session expires."
    if problem := userinfo.mismatch(user, token, org, remains, attended=flow.attended):
        if token.refresh_token is not None and revoke(token, org, world):
            remains = "The issued tokens were revoked."
            problem = userinfo.mismatch(user, token, org, remains, attended=flow.attended) or problem
        raise error_at(problem, org)
    work.facts |= {"username": user.username, "userId": user.user_id, "orgId": user.org_id}
    if userinfo.needs_api(token):
        # UserInfo works where API Access Control blocks everything else, so it proves nothing about the API.
        response = send(userinfo.api_request(token, org, target.api_version), world, end)
        # A login without a person asks for no scopes.
        scopes = " ".join(token.scopes) if flow.attended else None
        if problem := userinfo.api_problem(response, token, org, target.app, scopes):
            raise error_at(replace(problem, http_status=response.status), org)
    login = replace(unverified_login(token, flow), username=user.username)
    return _dispose(_VerifiedLogin(target, token, user, login), options, world, work)


@dataclass(frozen=True, slots=True)
class _VerifiedLogin:
    target: Target
    token: Token
    user: User
    result: LoginResult


def _dispose(login: _VerifiedLogin, options: LoginOptions, world: LoginAccess, work: StageWork) -> LoginResult:
    """Print, save, revoke or forget the token, as the options say; the result names its fate."""
    if options.deliver is not None:
        options.deliver(login.token.access_token, login.token.type)
        if login.token.key is not None:
            work.warn(
                "The printed token is bound to a key (DPoP) that is discarded after this run, so no "
                "request with it can be proved. Use --save, then ecapipe login token --proof METHOD URL."
            )
        return replace(login.result, token="printed")  # noqa: S106
    if options.keep is not None:
        return replace(login.result, token="saved", saved_place=_save(login, options.keep, world, work))  # noqa: S106
    if options.revoke:
        if revoke(login.token, login.target.org, world):
            return replace(login.result, token="revoked")  # noqa: S106
        work.warn("Salesforce did not confirm that the token was revoked.")
    return login.result


def _save(verified: _VerifiedLogin, store: StorePlace, world: LoginAccess, work: StageWork) -> SavedPlace:
    """Save a verified login; returns its place. Raises `EcapipeError`, as the store."""
    org, token = verified.target.org, verified.token
    login, secrets = records.new(
        verified.target.credentials,
        org,
        token=token,
        user=verified.user,
        flow=verified.result.flow,
        place=store,
        at=world.clock.utc(),
    )
    try:
        with world.store.locked("login", login.id):
            world.store.put(records.record(login), secrets)
    except EcapipeError:
        # A refresh token that nobody has would stay valid, and count among the five that Salesforce allows.
        if token.refresh_token is not None:
            revoke(token, org, world)
        raise
    place = world.store.where("login", store)
    work.facts["kept"] = place
    if not login.refreshable:
        work.warn("The login is saved, but cannot be refreshed: it ends when its access token expires.")
    return SavedPlace(store, place)
