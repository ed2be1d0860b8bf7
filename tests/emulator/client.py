"""An OAuth client as plain as it gets, to hold against the emulator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from ecapipe.emulator.registration import RegisteredApp
from ecapipe.emulator.server import Emulator
from ecapipe.secret import Secret

SECRET = "5EC2E7" * 10
CALLBACK = "http://localhost:1717/OauthRedirect"

# RFC 7636, appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

WEB = RegisteredApp(
    "Web", "3MVG9web", Secret(SECRET), (CALLBACK, "https://www.example.com"), ("api", "id", "refresh_token")
)
FRESH = RegisteredApp("Fresh", "3MVG9fresh", Secret(SECRET), (CALLBACK,), ())
NO_PKCE = RegisteredApp("NoPkce", "3MVG9nopkce", Secret(SECRET), (CALLBACK,), ("id",), pkce_required=False)
PUBLIC = RegisteredApp("Public", "3MVG9public", None, ("mobile://done?from=org",), ("api",), secret_optional=True)
NIGHTLY = RegisteredApp(
    "Nightly",
    "3MVG9nightly",
    Secret(SECRET),
    (),
    ("api", "id", "refresh_token", "full"),
    client_credentials=True,
    run_as_user="robot@example.com",
)
NOBODY = replace(NIGHTLY, name="Nobody", consumer_key="3MVG9nobody", run_as_user=None)
APPS = (WEB, FRESH, NO_PKCE, PUBLIC, NIGHTLY, NOBODY)


@dataclass(frozen=True)
class Client:
    """One app at one org. In every call ``name=None`` leaves a parameter out."""

    emulator: Emulator
    http: httpx.Client
    app: RegisteredApp = WEB
    org: str = "emulator"

    def at(self, org: str) -> Client:
        return replace(self, org=org)

    def of(self, app: RegisteredApp) -> Client:
        return replace(self, app=app)

    def url(self, path: str) -> str:
        return self.emulator.urls[self.org] + path

    def authorize_url(self, **changes: str | None) -> str:
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.app.consumer_key,
            "redirect_uri": self.app.callback_urls[0],
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "state": "some state",
        }
        return self.url("/services/oauth2/authorize?") + urlencode(_without_none(parameters | changes))

    def authorize(self, **changes: str | None) -> httpx.Response:
        """The answer, or the login page that it leads to."""
        response = self.http.get(self.authorize_url(**changes))
        if response.headers.get("location", "").startswith("/login?"):
            return self.http.get(self.url(response.headers["location"]))
        return response

    def log_in(self, page: httpx.Response, **typed: str) -> httpx.Response:
        """Fill the form of a login page."""
        username, password = self.emulator.login(self.org)
        return self.post("/login", {**held(page), "username": username, "password": password, **typed})

    def visit(self, **changes: str | None) -> dict[str, str]:
        """What arrives at the callback."""
        return answer(self.emulator.visit(self.authorize_url(**changes)))

    def token(self, **changes: str | None) -> httpx.Response:
        """Redeem a code: a new one, unless one is given."""
        parameters: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "client_id": self.app.consumer_key,
            "client_secret": SECRET,
            "redirect_uri": self.app.callback_urls[0] if self.app.callback_urls else None,
            "code_verifier": VERIFIER,
        }
        if "code" not in changes and changes.get("grant_type", "authorization_code") == "authorization_code":
            changes["code"] = self.visit()["code"]
        return self.post("/services/oauth2/token", parameters | changes)

    def credentials(self, **changes: str | None) -> httpx.Response:
        """Ask for a token with client credentials."""
        return self.token(
            **{"grant_type": "client_credentials", "redirect_uri": None, "code_verifier": None} | changes
        )

    def refresh(self, refresh_token: str, /, **changes: str | None) -> httpx.Response:
        parameters: dict[str, str | None] = {
            "grant_type": "refresh_token",
            "client_id": self.app.consumer_key,
            "client_secret": SECRET,
            "refresh_token": refresh_token,
        }
        return self.post("/services/oauth2/token", parameters | changes)

    def introspect(self, token: str, /, **changes: str | None) -> httpx.Response:
        parameters: dict[str, str | None] = {
            "client_id": self.app.consumer_key,
            "client_secret": SECRET,
            "token": token,
        }
        return self.post("/services/oauth2/introspect", parameters | changes)

    def works(self, access_token: str) -> bool:
        """Whether UserInfo takes the token."""
        return self.get("/services/oauth2/userinfo", access_token).status_code == 200

    def post(self, path: str, form: Mapping[str, str | None], **more: str) -> httpx.Response:
        return self.http.post(self.url(path), data=_without_none(form), headers=more)

    def get(self, path: str, access_token: str | None = None) -> httpx.Response:
        headers = {} if access_token is None else {"Authorization": f"Bearer {access_token}"}
        return self.http.get(self.url(path), headers=headers)


def held(page: httpx.Response) -> dict[str, str]:
    """What a page's form carries on to the next page."""
    found = re.search(r'name="id" value="([\w-]+)"', page.text)
    assert found, page.text
    return {"id": found[1]}


def answer(location: str) -> dict[str, str]:
    """The parameters of a callback."""
    return dict(parse_qsl(urlsplit(location).query, strict_parsing=True))


def refusal(response: httpx.Response) -> tuple[str, str]:
    """Code and description of an OAuth error, which always has the same shape."""
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    said = response.json()
    assert set(said) == {"error", "error_description"}
    return said["error"], said["error_description"]


def _without_none(parameters: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value is not None}
