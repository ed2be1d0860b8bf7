"""Rules about what Salesforce's hosted MCP servers, and the clients of them, ask of an app."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from ecapipe.check.findings import Levels
from ecapipe.check.rules.rule import rule
from ecapipe.check.rules.subject import Remark, RuleInput
from ecapipe.problems.problem import SPREADING, did_you_mean
from ecapipe.project import metadata

_HOSTED: Final = "Salesforce Hosted MCP Servers"
_SOURCE: Final = f"{_HOSTED}, Create an External Client App"
_DEPLOY: Final = f"Deploy that; it takes {SPREADING}."

SCOPES: Final = ("MCP", "RefreshToken")
CALLBACKS: Final[Mapping[str, str]] = {
    "https://claude.ai/api/mcp/auth_callback": "Claude",
    "https://claude.com/api/mcp/auth_callback": "Claude",
    "cursor://anysphere.cursor-mcp/oauth/callback": "Cursor",
    "https://oauth.pstmn.io/v1/callback": "Postman",
    "https://oauth.pstmn.io/v1/browser-callback": "Postman",
}
"""The callback URLs of clients that Salesforce has tried, with the client: those of its guide, and later ones."""
_CHATGPT: Final = re.compile(r"https://chatgpt\.com/(connector/oauth/[\w-]+|connector_platform_oauth_redirect)")
"""What ChatGPT shows in its advanced settings: a URL for each connector, or, of old, one for all."""


@rule(
    levels=Levels(mcp="error"),
    means="The app's scopes are not MCP and RefreshToken, and no others.",
    why="Without one of them sign-in ends with invalid_scope, or works and ends with the session. A client that asks "
    "for no scope by name gets all that the app has; Salesforce's guide wants these two.",
    remedy=f"Set commaSeparatedOauthScopes to MCP, RefreshToken. {_DEPLOY}",
    source=_SOURCE,
    file_type=metadata.OAUTH,
)
def mcp_scopes(subject: RuleInput) -> Iterator[Remark]:
    if not subject.oauth:
        return
    # Setup has one box for both: they give the same.
    names = ["RefreshToken" if name == "OfflineAccess" else name for name in subject.app.scope_names or ()]
    missing = [name for name in SCOPES if name not in names]
    others = [name for name in dict.fromkeys(names) if name not in SCOPES]
    faults = [f"It lacks {' and '.join(missing)}: sign-in in the client ends with invalid_scope."] if missing else []
    if others:
        faults.append(f"It has {', '.join(others)}, which Salesforce's guide leaves out.")
    if faults:
        yield subject.remark(
            f"{subject.app.name} does not have the scopes that hosted MCP servers ask for. {' '.join(faults)}",
            f"Set commaSeparatedOauthScopes to {', '.join(SCOPES)}. {_DEPLOY}",
            at=subject.oauth,
            element="commaSeparatedOauthScopes",
        )


@rule(
    levels=Levels(mcp="error"),
    means="The app does not issue its access tokens as JWTs: isNamedUserJwtEnabled is not true.",
    why="Sign-in works, then the server answers every call with 401 or 404, such as INVALID_AUTH_HEADER or "
    "INVALID_JWT_FORMAT: it takes JWTs only. The default is false. It is about the form of tokens, and has nothing "
    "to do with the JWT bearer flow.",
    remedy=f"Set isNamedUserJwtEnabled to true. {_DEPLOY} Then sign in anew in the client.",
    source=_SOURCE,
)
def mcp_tokens_not_jwt(subject: RuleInput) -> Iterator[Remark]:
    settings, policies = subject.settings, subject.oauth_policies
    # Up to API version 63 it stood in the policies.
    default = policies is not None and policies.document.flag("isNamedUserJwtEnabled", False)
    if settings and not settings.document.flag("isNamedUserJwtEnabled", default):
        yield subject.remark(
            f"{subject.app.name} issues no JWTs: sign-in works, then the MCP server answers 401 or 404.",
            f"Set isNamedUserJwtEnabled to true. {_DEPLOY}",
            "Then sign in anew in the client.",
            element="isNamedUserJwtEnabled",
        )


@rule(
    levels=Levels(mcp="warning"),
    means="The client has to send the consumer secret: isConsumerSecretOptional is not true. It is a note where only "
    "a refresh needs the secret.",
    why="A client on somebody's desktop has none. There sign-in ends with invalid_client, or, where only a refresh "
    "needs it, the client asks to sign in again and again.",
    remedy=f"Set isConsumerSecretOptional to true and isSecretRequiredForRefreshToken to false. {_DEPLOY} Or give "
    "the secret to the client.",
    source=_SOURCE,
)
def mcp_secret_required(subject: RuleInput) -> Iterator[Remark]:
    settings, name = subject.settings, subject.app.name
    if not settings:
        return
    if not subject.app.secret_optional:
        yield subject.remark(
            f"Clients of {name} need the consumer secret: in one that has none, sign-in ends with invalid_client.",
            f"Set isConsumerSecretOptional to true. {_DEPLOY}",
            "Or give the secret to the client.",
            element="isConsumerSecretOptional",
        )
    # Every file that was retrieved says so, one way or the other.
    elif settings.document.flag("isSecretRequiredForRefreshToken", False):
        yield subject.remark(
            f"A refresh needs the consumer secret of {name}: a client that has none asks to sign in again and again.",
            f"Set isSecretRequiredForRefreshToken to false. {_DEPLOY}",
            element="isSecretRequiredForRefreshToken",
            at_most="note",
        )


@rule(
    levels=Levels(mcp="note"),
    means="No callback URL of the app is that of Claude, Cursor, Postman or ChatGPT.",
    why="Clients send their own callback URL, and Salesforce compares it character by character: any other ends "
    "sign-in with redirect_uri_mismatch. Of other clients ecapipe does not know the URL.",
    remedy="Compare the callback URL with that of the client's documentation.",
    source=f"{_SOURCE}; {_HOSTED}, Connecting an MCP Client",
)
def mcp_callback_unknown(subject: RuleInput) -> Iterator[Remark]:
    urls = subject.callback_urls
    if not urls or any(url in CALLBACKS or _CHATGPT.fullmatch(url) for url in urls):
        return
    clients = ", ".join(dict.fromkeys((*CALLBACKS.values(), "ChatGPT")))
    near = [known for known in CALLBACKS if any(_host(known) == _host(url) for url in urls)]
    yield subject.remark(
        f"No callback URL of {subject.app.name} is that of a known MCP client ({clients}). In a client whose own "
        "is not among them, sign-in ends with redirect_uri_mismatch.",
        *(hint for url in urls for hint in did_you_mean(url, near)),
        "Compare it with the one that the client's documentation gives.",
        element="callbackUrl",
    )


def _host(url: str) -> str:
    return url.partition("//")[2].partition("/")[0].lower()
