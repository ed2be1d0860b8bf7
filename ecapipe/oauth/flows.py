"""Which flow is possible, and where its answer comes back."""

from __future__ import annotations

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
    allowed = app.flows if app.settings else WITHOUT_CALLBACK
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
        case "auto" if "web" in allowed:
            why = "nobody can be asked to sign in (no terminal, CI, or --no-prompt)"
        case "client-credentials" if "client-credentials" in allowed:
            why = "this flow needs the consumer secret, and there is none"
        case "jwt" if "jwt" in allowed:
            why = "this flow needs a private key, and --jwt-key-file names none"
        case "auto" if "jwt" in allowed:
            why = "of the flows it allows only jwt is possible without people, and --jwt-key-file names no key"
        case "web" if app.settings is None:
            why = "its callback URLs are in its global OAuth settings file, which is not here"
        case "web":
            why = "it has no callback URL"
        case "client-credentials":
            why = "isClientCredentialsFlowEnabled is not true in its settings and policies"
        case "jwt":
            why = "its settings file has no certificate (some orgs leave it out of a retrieve: add it to the file)"
        case _:
            why = "no flow that ecapipe supports is enabled"
    raise EcapipeError(flow_not_possible(app.name, wanted, allowed, why, app.settings is not None))


def uses_key(app: App, wanted: Literal["auto"] | Flow, has_key: bool) -> bool:
    """Whether `app` will log in with a private key, for which it needs no secret."""
    return has_key and wanted in ("auto", "jwt") and (app.settings is None or app.allows("jwt"))


def choose_callback(app: App, wanted: Literal["auto"] | Callback, local_browser: bool) -> tuple[Callback, str]:
    """How the answer comes back, and the registered callback URL, byte for byte, that it comes to.

    `local_browser`: whether the browser can be on this machine. Raises `EcapipeError` (CallbackNotUsable).
    """
    urls = app.callback_urls
    local = next((url for url in urls if loopback(url)), None)
    if wanted != "paste" and local and (wanted == "listen" or local_browser):
        return "listen", local
    if wanted != "listen" and urls:
        # A browser shows the address of an https page, and of a refused loopback one; of another scheme it may not.
        return "paste", min(urls, key=lambda url: (not url.startswith("https:"), not url.startswith("http:")))
    raise EcapipeError(callback_not_usable(app.name, wanted, urls))
