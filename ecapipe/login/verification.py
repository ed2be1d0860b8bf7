"""The verify step: whose token it is, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace

from ecapipe.events import LoginResult, SavedPlace, TokenFate
from ecapipe.exchange.sending import send
from ecapipe.login.options import LoginOptions
from ecapipe.login.ports import LoginAccess
from ecapipe.login.revocation import give_back, revoke
from ecapipe.login.target import JwtPlan, Target
from ecapipe.login.token_request import unverified_login
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import userinfo
from ecapipe.oauth.grants import Grant
from ecapipe.oauth.tokens import Token
from ecapipe.oauth.userinfo import User
from ecapipe.orgs.org import error_at
from ecapipe.problems.problem import EcapipeError
from ecapipe.saved import records
from ecapipe.saved.records import StorePlace


def verify(
    target: Target,
    token: Token,
    grant: Grant | JwtPlan,
    how: LoginOptions,
    world: LoginAccess,
    work: StageWork,
    end: float,
) -> LoginResult:
    """Whose token it is, compared with everything that was expected, and tried on the API if its scope allows.

    On a mismatch, or an answer that cannot be believed, a refresh token is revoked. Raises `EcapipeError`.
    """
    org = target.org
    try:
        user = userinfo.read(send(userinfo.request(token, org), world, end), token, org)
    except EcapipeError as error:
        if error.problem.name == "UnexpectedAnswer":
            give_back(token.refresh_token, org, world, work)
        raise
    remains = "The access token that was issued stays valid at Salesforce until its session ends."
    if problem := userinfo.mismatch(user, token, org, remains):
        if token.refresh_token is not None and revoke(token, org, world):
            remains = "The tokens that were issued have been revoked."
            problem = userinfo.mismatch(user, token, org, remains) or problem
        raise error_at(problem, org)
    work.facts |= {"username": user.username, "userId": user.user_id, "orgId": user.org_id}
    if userinfo.needs_api(token):
        answer = send(userinfo.api_request(token, org, target.api_version), world, end)
        if problem := userinfo.api_problem(answer, token, org):
            raise error_at(replace(problem, http_status=answer.status), org)
    ended = replace(unverified_login(token, grant), username=user.username)
    fate, place = _fate(target, token, user, ended.flow, how, world, work)
    return replace(ended, token=fate, kept=place)


def _fate(
    target: Target, token: Token, user: User, flow: str, how: LoginOptions, world: LoginAccess, work: StageWork
) -> tuple[TokenFate, SavedPlace | None]:
    """Let the verified token go, the way that was asked for; the place of one that is kept."""
    if how.deliver is not None:
        how.deliver(token.access_token)
        return "printed", None
    if how.keep is not None:
        return "saved", _keep(target, token, user, flow, how.keep, world, work)
    if how.revoke:
        if revoke(token, target.org, world):
            return "revoked", None
        work.warn("Salesforce did not confirm that the token was revoked.")
    return "forgotten", None


def _keep(
    target: Target, token: Token, user: User, flow: str, place: StorePlace, world: LoginAccess, work: StageWork
) -> SavedPlace:
    """Keep a verified login; where people find it. A refresh token that cannot be kept is revoked: nobody has it."""
    made, sealed = records.new(target.credentials, target.org, token, user, flow, place, world.clock.utc())
    try:
        with world.store.locked("login", made.id):
            world.store.put(records.record(made), sealed)
    except EcapipeError:
        if token.refresh_token is not None:
            revoke(token, target.org, world)
        raise
    work.facts["kept"] = where = world.store.where("login", place)
    if not made.refreshable:
        work.warn("The login is kept, but cannot be refreshed: it ends with its access token.")
    return SavedPlace(place, where)
