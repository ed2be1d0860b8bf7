"""The web server flow: a person signs in with a browser, and a redirect brings a code (RFC 6749 §4.1, RFC 7636)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from ecapipe.credentials.sources import ClientIdentity
from ecapipe.oauth.flows.flow import Flow, Means
from ecapipe.oauth.grants import Grant, authentication, base64url
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import callback_not_usable
from ecapipe.project.apps import App, loopback
from ecapipe.secret import Secret

# Every command loads the flows.
if TYPE_CHECKING:
    from ecapipe.oauth.dpop import ProofKey

Callback = Literal["listen", "paste"]


@dataclass(frozen=True, slots=True)
class AuthorizationCode(Grant):
    """RFC 6749 §4.1.3, with the PKCE verifier (RFC 7636 §4.5) and the redirect_uri of the authorize request."""

    place = "web"
    # RFC 6749 §4.1.2: a code is good for one request.
    repeatable: ClassVar[bool] = False
    code: Secret
    redirect_uri: str
    code_verifier: Secret
    key: ProofKey | None = None
    """What it is bound to (RFC 9449 §10), if it is."""

    @property
    def flow(self) -> WebFlow:
        return WEB

    @property
    def secrets(self) -> tuple[Secret, ...]:
        return self.code, self.code_verifier

    def fields(self, client: ClientIdentity) -> dict[str, str]:
        return authentication(client) | {
            "grant_type": "authorization_code",
            "code": self.code.reveal(),
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.code_verifier.reveal(),
        }


class WebFlow(Flow):
    name = "web"
    title = "web server"
    lacking = lacking_in_auto = "nobody can be asked to sign in (no terminal, CI, or --no-prompt)"
    attended = True
    needs_file = True
    refreshes = True
    # It is what a command line leads to that names no flow.
    flags = ()

    def allowed_by(self, app: App) -> bool:
        return bool(app.callback_urls)

    def refusal(self, app: App) -> str:
        if app.settings is None:
            return "its callback URLs are in its global OAuth settings file, which is not here"
        return "it has no callback URL"

    def usable(self, means: Means) -> bool:
        return means.person

    def usable_on_demand(self, means: Means) -> bool:
        # Who asks for it is there to sign in.
        return True

    def needs_secret(self, app: App) -> bool:
        return not app.secret_optional


WEB: Final = WebFlow()


def authorize_fields(
    consumer_key: str, redirect_uri: str, scopes: str | None, state: str, verifier: Secret, username: str | None
) -> dict[str, str]:
    """The parameters of the authorize request (RFC 6749 §4.1.1, RFC 7636 §4.3)."""
    fields = {
        "response_type": "code",
        "client_id": consumer_key,
        "redirect_uri": redirect_uri,
        "scope": scopes,
        "state": state,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        # Without it a browser session of another user would sign in silently.
        "prompt": "login",
        "login_hint": username,
    }
    return {name: value for name, value in fields.items() if value is not None}


def challenge(verifier: Secret) -> str:
    """The S256 code challenge (RFC 7636 §4.2)."""
    # It loads OpenSSL, and every command loads the flows for their names.
    import hashlib

    return base64url(hashlib.sha256(verifier.reveal().encode("ascii")).digest())


def choose_callback(app: App, option: Literal["auto"] | Callback, local_browser: bool) -> tuple[Callback, str]:
    """How the response comes back, and the registered callback URL, byte for byte, that it comes to.

    `local_browser`: whether the browser can be on this machine. Raises `EcapipeError` (CallbackNotUsable).
    """
    urls = app.callback_urls
    # Preferred for a browser on this machine: nobody has to copy an address.
    local = next((url for url in urls if loopback(url)), None)
    if option != "paste" and local and (option == "listen" or local_browser):
        return "listen", local
    if option != "listen" and urls:
        # A browser shows the address of an https page, and of a refused loopback one; of another scheme it may not.
        return "paste", min(urls, key=lambda url: (not url.startswith("https:"), not url.startswith("http:")))
    raise EcapipeError(callback_not_usable(app.name, option, urls))
