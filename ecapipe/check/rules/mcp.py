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
_DEPLOY: Final = f"Deploy the change; it takes effect after {SPREADING}."

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
    means="The app's scopes aren't exactly MCP and RefreshToken.",
    why="Without one of them, sign-in fails with invalid_scope, or lasts only as long as the session. A client that "
    "requests no scopes gets all of the app's; Salesforce's guide lists only these two.",
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
    faults = [f"It lacks {' and '.join(missing)}: sign-in in the client fails with invalid_scope."] if missing else []
    if others:
        faults.append(f"It has {', '.join(others)}, which Salesforce's guide doesn't list.")
    if faults:
        yield subject.remark(
            f"{subject.app.name} doesn't have the scopes that hosted MCP servers require. {' '.join(faults)}",
            f"Set commaSeparatedOauthScopes to {', '.join(SCOPES)}. {_DEPLOY}",
            at=subject.oauth,
            element="commaSeparatedOauthScopes",
        )


@rule(
    levels=Levels(mcp="error"),
    means="The app doesn't issue its access tokens as JWTs: isNamedUserJwtEnabled isn't true.",
    why="Sign-in works, but then the server answers every call with 401 or 404, such as INVALID_AUTH_HEADER or "
    "INVALID_JWT_FORMAT: it accepts only JWTs. The default is false. This setting is the token format, and unrelated "
    "to the JWT bearer flow.",
    remedy=f"Set isNamedUserJwtEnabled to true. {_DEPLOY} Then sign in again in the client.",
    source=_SOURCE,
)
def mcp_tokens_not_jwt(subject: RuleInput) -> Iterator[Remark]:
    settings, policies = subject.settings, subject.oauth_policies
    # Up to API version 63 it stood in the policies.
    default = policies is not None and policies.document.flag("isNamedUserJwtEnabled", False)
    if settings and not settings.document.flag("isNamedUserJwtEnabled", default):
        yield subject.remark(
            f"{subject.app.name} doesn't issue JWTs: sign-in works, but then the MCP server answers 401 or 404.",
            f"Set isNamedUserJwtEnabled to true. {_DEPLOY}",
            "Then sign in again in the client.",
            element="isNamedUserJwtEnabled",
        )


@rule(
    levels=Levels(mcp="warning"),
    means="The client must send the consumer secret: isConsumerSecretOptional isn't true. At most a note if only a "
    "refresh requires the secret.",
    why="A desktop client has no secret. Its sign-in fails with invalid_client or, if only a refresh requires the "
    "secret, the user must sign in again and again.",
    remedy=f"Set isConsumerSecretOptional to true and isSecretRequiredForRefreshToken to false. {_DEPLOY} Or "
    "configure the secret in the client.",
    source=_SOURCE,
)
def mcp_secret_required(subject: RuleInput) -> Iterator[Remark]:
    settings, name = subject.settings, subject.app.name
    if not settings:
        return
    if not subject.app.secret_optional:
        yield subject.remark(
            f"Clients of {name} must send the consumer secret: without it, sign-in fails with invalid_client.",
            f"Set isConsumerSecretOptional to true. {_DEPLOY}",
            "Or configure the secret in the client.",
            element="isConsumerSecretOptional",
        )
    # Every file that was retrieved says so, one way or the other.
    elif settings.document.flag("isSecretRequiredForRefreshToken", False):
        yield subject.remark(
            f"A refresh requires the consumer secret of {name}: without it, users must sign in again and again.",
            f"Set isSecretRequiredForRefreshToken to false. {_DEPLOY}",
            element="isSecretRequiredForRefreshToken",
            at_most="note",
        )


@rule(
    levels=Levels(mcp="note"),
    means="The app has no callback URL of Claude, Cursor, Postman or ChatGPT.",
    why="Clients send their own callback URL, which Salesforce compares character by character: if it isn't in the "
    "app, sign-in fails with redirect_uri_mismatch. ecapipe doesn't know the URLs of other clients.",
    remedy="Compare the callback URL with the one in the client's documentation.",
    source=f"{_SOURCE}; {_HOSTED}, Connecting an MCP Client",
)
def mcp_callback_unknown(subject: RuleInput) -> Iterator[Remark]:
    urls = subject.callback_urls
    if not urls or any(url in CALLBACKS or _CHATGPT.fullmatch(url) for url in urls):
        return
    clients = ", ".join(dict.fromkeys((*CALLBACKS.values(), "ChatGPT")))
    near = [known for known in CALLBACKS if any(_host(known) == _host(url) for url in urls)]
    yield subject.remark(
        f"{subject.app.name} has no callback URL of a known MCP client ({clients}). If a client's URL isn't in the "
        "app, sign-in fails with redirect_uri_mismatch.",
        *(hint for url in urls for hint in did_you_mean(url, near)),
        "Compare the callback URLs with the one in the client's documentation.",
        element="callbackUrl",
    )


def _host(url: str) -> str:
    return url.partition("//")[2].partition("/")[0].lower()
