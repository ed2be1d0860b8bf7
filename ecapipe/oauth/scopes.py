"""Scopes: their names in the metadata and in OAuth, and those to request."""

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

LONG_LIVED: Final = frozenset({"refresh_token", "offline_access"})
"""Either brings a refresh token."""

_SF_SCOPES: Final = ("refresh_token", "api", "web")
"""The scopes that the Salesforce CLI requests for itself."""


def scopes_to_request(app: App) -> str | None:
    """The scopes to request: the app's own without the long-lived ones; None, which requests all, when unknown."""
    # A refresh token is an approval, and the sixth approval of a user for an app revokes the oldest.
    return " ".join(name for name in _known_scopes(app) if name not in LONG_LIVED) or None


def all_scopes(app: App) -> str | None:
    """All scopes of an app, as far as they are known; None requests all."""
    return " ".join(_known_scopes(app)) or None


def scopes_to_save(app: App, scopes: str | None) -> str | None:
    """The scopes for a login that is saved: those of `scopes`, else all of the app, with a refresh token.

    None requests all. Raises `EcapipeError` (RefreshScopeMissing).
    """
    known = _known_scopes(app)
    if not brings_refresh_token(app):
        raise EcapipeError(refresh_scope_missing(app.name, known))
    if scopes is None:
        return all_scopes(app)
    if LONG_LIVED.isdisjoint(scopes.split()):
        return f"{scopes} refresh_token"
    return scopes


def brings_refresh_token(app: App) -> bool:
    """Whether a web login can bring a refresh token, as far as the files tell."""
    # Here an unknown name counts: an app whose scopes are all new ones has none that is long-lived.
    known = {SCOPE_NAMES.get(name) for name in app.scope_names or ()}
    return not known or not known.isdisjoint(LONG_LIVED)


def scopes_to_hand_over(app: App, scopes: str | None) -> str:
    """The scopes for a login that the Salesforce CLI takes over: those of `scopes`, else the app's own, and those
    that it works with, as far as the app is known to have them."""
    known = set(_known_scopes(app))
    # "full" includes these two, but no refresh token.
    if "full" in known:
        known |= {"api", "web"}
    # Either of the long-lived scopes brings one, and this is the name that the Salesforce CLI uses.
    if known and brings_refresh_token(app):
        known |= {"refresh_token"}
    needed = [name for name in _SF_SCOPES if not known or name in known]
    names = (scopes or scopes_to_request(app) or "").split()
    return " ".join(dict.fromkeys([*names, *needed]))


def _known_scopes(app: App) -> list[str]:
    """The OAuth scopes of an app, each once, in the order of its file; names of no known scope are left out."""
    scopes = [SCOPE_NAMES[name] for name in app.scope_names or () if name in SCOPE_NAMES]
    return list(dict.fromkeys(scopes))
