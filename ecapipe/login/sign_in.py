"""The authorize step: a link out, a code back."""

from __future__ import annotations

from collections.abc import Callable

from ecapipe.login.callbacks import PendingLogins
from ecapipe.login.deadline import SignInDeadline
from ecapipe.login.ports import LoginAccess
from ecapipe.login.target import Target, WebPlan
from ecapipe.oauth import authorize
from ecapipe.oauth.flows.web import AuthorizationCode
from ecapipe.orgs.org import error_at
from ecapipe.problems.sign_in import auth_timeout_error


def sign_in(
    target: Target,
    plan: WebPlan,
    world: LoginAccess,
    pending: PendingLogins,
    deadline: SignInDeadline,
    tell: Callable[[str], None],
) -> AuthorizationCode:
    """Give the link to `tell`, and wait for the authorization code.

    Raises `EcapipeError`: a refusal, AuthTimeoutError, NobodyToAsk, or the error that ended all pending logins.
    """
    key = plan.new_key() if plan.new_key else None
    login = authorize.build_request(
        target.credentials, target.org, plan.redirect_uri, plan.scopes, world.random_bytes, key
    )
    # Before the link is shown: an answer may come at once.
    future = pending.expect(login, pasted=plan.callback == "paste")
    try:
        # The count starts with the first link, not with the first wait: opening a browser takes its time, too.
        deadline.left()
        tell(login.authorize_url)
        return future.result(deadline.left())
    except TimeoutError:
        problem = auth_timeout_error(target.app.name, deadline.minutes, listened=plan.callback == "listen")
        raise error_at(problem, target.org) from None
    finally:
        pending.forget(login)
