"""Scopes: their names in the metadata and on the wire, and those to ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import refresh_scope_missing
from ecapipe.project.apps import App

SCOPE_NAMES: Final[Mapping[str, str]] = {
    "Basic": "id",
    "Api": "api",
    "Web": "web",
    "Full": "full",
    "Chatter": "chatter_api",
    "CustomApplications": "visualforce",
    "RefreshToken": "refresh_token",
    "OfflineAccess": "offline_access",
    "OpenID": "openid",
    "Profile": "profile",
    "Email": "email",
    "Address": "address",
    "Phone": "phone",
    "CustomPermissions": "custom_permissions",
    "Wave": "wave_api",
    "Eclair": "eclair_api",
    "Pardot": "pardot_api",
    "Lightning": "lightning",
    "Content": "content",
    "CDPIngest": "cdp_ingest_api",
    "CDPProfile": "cdp_profile_api",
    "CDPQuery": "cdp_query_api",
    "CDPSegment": "cdp_segment_api",
    "CDPIdentityResolution": "cdp_identityresolution_api",
    "CDPCalculatedInsight": "cdp_calculated_insight_api",
    "Chatbot": "chatbot_api",
    "SFApiPlatform": "sfap_api",
    "Interaction": "interaction_api",
    "EinsteinGPT": "einstein_gpt_api",
    "PwdlessLogin": "pwdless_login_api",
    "ForgotPassword": "forgot_password",
    "UserRegistration": "user_registration_api",
    "MCP": "mcp_api",
    "SCRT": "scrt_api",
}
"""Scope names of the metadata (``commaSeparatedOauthScopes``) and their OAuth strings."""

_LONG_LIVED: Final = ("refresh_token", "offline_access")

_HANDED_OVER: Final = ("refresh_token", "api", "web")
"""What the Salesforce CLI asks for itself."""


def scopes_to_request(app: App) -> str | None:
    """The scopes to ask for: the app's own but for the long-lived ones; None, which asks for all, when unknown.

    A refresh token is an approval, and the sixth approval of a user for an app revokes the oldest.
    """
    known = [SCOPE_NAMES[name] for name in app.scope_names or () if name in SCOPE_NAMES]
    return " ".join(name for name in dict.fromkeys(known) if name not in _LONG_LIVED) or None


def scopes_to_save(app: App, asked: str | None) -> str | None:
    """The scopes for a login that ecapipe is to keep: those `asked` for, else all of the app, with a refresh token.

    None asks for all. Raises `EcapipeError` (RefreshScopeMissing).
    """
    known = [SCOPE_NAMES[name] for name in dict.fromkeys(app.scope_names or ()) if name in SCOPE_NAMES]
    if not brings_refresh_token(app):
        raise EcapipeError(refresh_scope_missing(app.name, known))
    if asked is None:
        return " ".join(known) or None
    return asked if any(name in _LONG_LIVED for name in asked.split()) else f"{asked} refresh_token"


def brings_refresh_token(app: App) -> bool:
    """Whether a web login can bring a refresh token, as far as the files tell."""
    known = {SCOPE_NAMES.get(name) for name in app.scope_names or ()}
    return not known or not known.isdisjoint(_LONG_LIVED)


def scopes_to_hand_over(app: App, asked: str | None) -> str:
    """The scopes for a login that the Salesforce CLI is to keep: those `asked` for, else the app's own, and what it
    works with, as far as the app is known to have it."""
    known = {SCOPE_NAMES[name] for name in app.scope_names or () if name in SCOPE_NAMES}
    if "full" in known:
        known |= {"api", "web"}
    if known and brings_refresh_token(app):
        known |= {"refresh_token"}
    more = [name for name in _HANDED_OVER if not known or name in known]
    return " ".join(dict.fromkeys([*(asked or scopes_to_request(app) or "").split(), *more]))
