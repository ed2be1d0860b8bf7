"""UserInfo: the user and the org that a token belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.oauth import messages
from ecapipe.oauth.messages import Request, Response
from ecapipe.oauth.refusals import Place, refusal
from ecapipe.oauth.tokens import ORG_ID, USER_ID, Token
from ecapipe.orgs.org import Org, same_id
from ecapipe.problems.orgs import wrong_org, wrong_user
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.apps import App

_USERNAME: Final = re.compile(r".{1,255}")
"""Salesforce allows 80 characters; sandboxes add their name."""


def is_username(text: str) -> bool:
    """Whether a text has the form of a username, whoever says that it is one."""
    return _USERNAME.fullmatch(text) is not None and text.isprintable()


@dataclass(frozen=True, slots=True)
class User:
    """The user and org that UserInfo names. Only `read` makes one."""

    username: str
    user_id: str
    org_id: str


def request(token: Token, org: Org) -> Request:
    """UserInfo of the org, the bearer in the header (RFC 6750 §2.1), with a proof if it is bound (RFC 9449 §7)."""
    return Request(org.address, "/services/oauth2/userinfo", bearer=token.access_token, key=token.key)


def read(response: Response, token: Token, org: Org, app: App | None = None) -> User:
    """The user of a UserInfo response; `app`, if it is known, is for the words of a refusal.

    Raises `EcapipeError` (UserInfoRefused, or as `messages.members`; UnexpectedAnswer also for a member of another
    form, or one that repeats a secret).
    """
    if response.status in (401, 403):
        raise _refusal(response, token, org, app, "userinfo", None)
    members = messages.members(response, org.host, *token.secrets, place="userinfo", app=app)

    def text(name: str, form: re.Pattern[str], noun: str) -> str:
        value = members.get(name)
        if not isinstance(value, str) or not value:
            raise messages.unexpected(response, org.host, f"it has no {name}")
        if not form.fullmatch(value) or not value.isprintable():
            raise messages.unexpected(response, org.host, f"its {name} is not a valid {noun}")
        return value

    user = User(
        username=text("preferred_username", _USERNAME, "username"),
        user_id=text("user_id", USER_ID, "user ID"),
        org_id=text("organization_id", ORG_ID, "org ID"),
    )
    # Ids that the token names as well were compared with the secrets when it was read.
    visible = {"preferred_username": user.username}
    if user.user_id != token.user_id:
        visible["user_id"] = user.user_id
    if user.org_id != token.org_id:
        visible["organization_id"] = user.org_id
    messages.refuse_repeats(response, org.host, visible, *token.secrets)
    return user


def _refusal(
    response: Response, token: Token, org: Org, app: App | None, place: Place, scopes: str | None
) -> EcapipeError:
    code, proved = messages.refusal_code(response, *token.secrets), token.key is not None
    error = refusal(
        code,
        "",
        org.host,
        response.status,
        *token.secrets,
        place=place,
        app=app,
        scopes=scopes,
        proved=proved,
    )
    # The codes of resources are no OAuth errors.
    return EcapipeError(replace(error.problem, oauth_error=None))


def mismatch(user: User, token: Token, org: Org, remains: str, *, attended: bool = False) -> Problem | None:
    """The contradiction between UserInfo and the token's ``id``, or between them and what `org` expects.

    `remains` says what stays valid at Salesforce if there is a contradiction; `attended`: somebody signed in.
    """
    if not same_id(user.org_id, token.org_id):
        return wrong_org(token.org_id, user.org_id, remains, attended, contradiction=True)
    if org.org_id and not same_id(user.org_id, org.org_id):
        return wrong_org(org.org_id, user.org_id, remains, attended)
    if not same_id(user.user_id, token.user_id):
        return wrong_user(token.user_id, user.user_id, remains, attended, contradiction=True)
    if org.username and org.username.casefold() != user.username.casefold():
        return wrong_user(org.username, user.username, remains, attended)
    return None


def needs_api(token: Token) -> bool:
    """Whether the token's scope promises API access, so that it can be tried."""
    return "api" in token.scopes or "full" in token.scopes


def api_request(token: Token, org: Org, version: str) -> Request:
    """A resource that needs a token: UserInfo works where API Access Control blocks everything else.

    `version` is an API version such as 66.0.
    """
    return Request(org.address, f"/services/data/v{version}/", bearer=token.access_token, key=token.key)


def api_problem(
    response: Response, token: Token, org: Org, app: App | None = None, scopes: str | None = None
) -> Problem | None:
    """Why the API could not be read with the token, if it could not; `app` and the `scopes` that were asked for are
    for the words of a refusal.

    An org that is older than the project's API version does not know the resource, and proves nothing. Raises
    `EcapipeError` for a response that says nothing of the token either, such as a fault of the org.
    """
    if response.status in (200, 404):
        return None
    if response.status in (401, 403):
        return _refusal(response, token, org, app, "rest", scopes).problem
    # Words what kind of fault it is; whatever passes was a success of another kind.
    messages.members(response, org.host, *token.secrets, place="rest", app=app)
    raise messages.unexpected(response, org.host, "expected a resource of the REST API")
