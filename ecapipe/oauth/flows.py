"""The choice of a flow that an app allows, and of the callback that its response comes to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from ecapipe.oauth.grants import WITHOUT_CALLBACK
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import callback_not_usable, flow_not_possible
from ecapipe.project.apps import App, Flow, loopback

Callback = Literal["listen", "paste"]


def choose_flow(
    app: App, wanted: Literal["auto"] | Flow, has_secret: bool, person: bool, has_key: bool = False
) -> Flow:
    """The flow to use.

    `person`: whether somebody can be asked to sign in; `has_key`: whether a private key was given. Raises
    `EcapipeError` (FlowNotPossible), which says what the file allows. Without a file nothing tells what the app
    allows, and those flows are tried that need nothing from it.
    """
    allowed = WITHOUT_CALLBACK
    if app.settings:
        allowed = app.flows
    # The order of "auto" is part of the interface: pipelines rely on the flow that it leads to.
    match wanted:
        case "web" if "web" in allowed:
            return "web"
        case "client-credentials" if "client-credentials" in allowed and has_secret:
            return "client-credentials"
        case "auto" | "jwt" if uses_key(app, wanted, has_key):
            return "jwt"
        case "auto" if "web" in allowed and person:
            return "web"
        case "auto" if "client-credentials" in allowed and has_secret:
            return "client-credentials"
        case _:
            reason = _impossible(app, wanted, allowed)
            raise EcapipeError(flow_not_possible(app.name, wanted, allowed, reason, app.settings is not None))


def _impossible(app: App, wanted: Literal["auto"] | Flow, allowed: Collection[str]) -> str:
    """Why no flow can be used, or not the one that is `wanted`: what the user can change comes first."""
    match wanted:
        case "auto" if "web" in allowed:
            return "nobody can be asked to sign in (no terminal, CI, or --no-prompt)"
        case "client-credentials" if "client-credentials" in allowed:
            return "this flow needs the consumer secret, and there is none"
        case "jwt" if "jwt" in allowed:
            return "this flow needs a private key, and --jwt-key-file names none"
        case "auto" if "jwt" in allowed:
            return "of the flows it allows only jwt is possible without people, and --jwt-key-file names no key"
        case "web" if app.settings is None:
            return "its callback URLs are in its global OAuth settings file, which is not here"
        case "web":
            return "it has no callback URL"
        case "client-credentials":
            return "isClientCredentialsFlowEnabled is not true in its settings and policies"
        case "jwt":
            return "its settings file has no certificate (some orgs leave it out of a retrieve: add it to the file)"
        case _:
            return "no flow that ecapipe supports is enabled"


def uses_key(app: App, wanted: Literal["auto"] | Flow, has_key: bool) -> bool:
    """Whether `app` will log in with a private key, for which it needs no secret."""
    return has_key and wanted in ("auto", "jwt") and (app.settings is None or app.allows("jwt"))


def choose_callback(app: App, wanted: Literal["auto"] | Callback, local_browser: bool) -> tuple[Callback, str]:
    """How the response comes back, and the registered callback URL, byte for byte, that it comes to.

    `local_browser`: whether the browser can be on this machine. Raises `EcapipeError` (CallbackNotUsable).
    """
    urls = app.callback_urls
    # Preferred for a browser on this machine: nobody has to copy an address.
    local = next((url for url in urls if loopback(url)), None)
    if wanted != "paste" and local and (wanted == "listen" or local_browser):
        return "listen", local
    if wanted != "listen" and urls:
        # A browser shows the address of an https page, and of a refused loopback one; of another scheme it may not.
        return "paste", min(urls, key=lambda url: (not url.startswith("https:"), not url.startswith("http:")))
    raise EcapipeError(callback_not_usable(app.name, wanted, urls))
