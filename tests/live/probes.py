"""Questions to an org that change nothing in it, and what they show; the emulator is asked the same.

None needs a person. The worst that the org sees are logins that fail: with an unknown key, a wrong secret, a made-up
code. What is shown holds no key, secret or token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

import httpx

from ecapipe.project import metadata
from ecapipe.project.apps import App
from ecapipe.secret import Secret

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""RFC 7636, appendix B."""
TOKEN, INTROSPECT, REVOKE, USERINFO = (
    f"/services/oauth2/{name}" for name in ("token", "introspect", "revoke", "userinfo")
)
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_USAGE = "apps/oauth/usage"
MADE_UP = "aPrxMadeUpByATestOfEcapipe=="

_ON_PAGE = (
    re.compile(r'id="error">(?P<error>[\w-]+)<.*?id="error_description">(?P<description>[^<]*)<', re.DOTALL),
    re.compile(r"error=(?P<error>[\w-]+)(?:&(?:amp;)?error_description=(?P<description>[^<\"'&]*))?"),
    re.compile(r"(?P<error>OAUTH_[A-Z_]+|redirect_uri_mismatch|invalid_client_id)(?P<description>)"),
)


@dataclass(frozen=True)
class Place:
    """One org as one app, and perhaps a user's access token, see it."""

    url: str
    http: httpx.Client
    app: App
    key: str
    secret: Secret | None
    token: Secret | None

    def post(self, path: str, **form: str | None) -> httpx.Response:
        return self.http.post(
            self.url + path, data={name: value for name, value in form.items() if value is not None}
        )

    def get(self, path: str, bearer: str | None = None) -> httpx.Response:
        return self.http.get(self.url + path, headers={"Authorization": f"Bearer {bearer}"} if bearer else {})

    def authorize(self, **changes: str | None) -> httpx.Response:
        return self.http.get(self.authorize_url(**changes))

    def authorize_url(self, **changes: str | None) -> str:
        usual = {
            "response_type": "code",
            "client_id": self.key,
            "redirect_uri": next(iter(self.app.callback_urls), None),
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "state": "made-up-state",
            "prompt": "login",
        }
        query = {name: value for name, value in (usual | changes).items() if value is not None}
        return f"{self.url}/services/oauth2/authorize?{urlencode(query)}"

    @property
    def pair(self) -> dict[str, str | None]:
        return {"client_id": self.key, "client_secret": self.secret.reveal() if self.secret else None}


def seen(place: Place) -> dict[str, str]:
    """What the org does, by what it was asked."""
    asked: dict[str, Callable[[], str]] = {name: ask for name, ask in _questions(place)}
    return {name: ask() for name, ask in asked.items()}


def compared(org: Mapping[str, str], emulator: Mapping[str, str]) -> list[str]:
    """A sentence for each question that the two answer differently."""
    return [
        f"{name}: the org {said}; the emulator {emulator[name]}"
        for name, said in org.items()
        if name in emulator and said != emulator[name]
    ]


def _questions(place: Place) -> Iterator[tuple[str, Callable[[], str]]]:
    def page(**changes: str | None) -> Callable[[], str]:
        return lambda: _page(place, place.authorize(**changes))

    def refused(path: str, **form: str | None) -> Callable[[], str]:
        return lambda: _said(place.post(path, **form))

    if place.app.callback_urls:
        yield "authorize", page()
        yield "authorize, unknown key", page(client_id="3MVGmadeupbyatest")
        yield "authorize, other callback", page(redirect_uri="https://elsewhere.example/cb")
        yield "authorize, callback with a slash more", page(redirect_uri=place.app.callback_urls[0] + "/")
        yield "authorize, no callback", page(redirect_uri=None)
        yield "authorize, no PKCE", page(code_challenge=None, code_challenge_method=None)
        yield "authorize, plain PKCE", page(code_challenge_method="plain")
        yield "authorize, other response type", page(response_type="token id_token code")
        yield "authorize, unknown scope", page(scope="made_up_scope")
        for url in place.app.callback_urls:
            if urlsplit(url).hostname == "127.0.0.1":
                yield f"authorize, callback {url}", page(redirect_uri=url)
    code = {"grant_type": "authorization_code", "code": MADE_UP, "redirect_uri": "https://elsewhere.example/cb"}
    yield "token, made-up code", refused(TOKEN, **code, **place.pair)
    yield "token, unknown key", refused(TOKEN, **code, client_id="3MVGmadeupbyatest", client_secret="x")
    yield "token, wrong secret", refused(TOKEN, **code, client_id=place.key, client_secret="wrong")
    yield "token, no secret", refused(TOKEN, **code, client_id=place.key)
    yield "token, no grant type", refused(TOKEN, **place.pair)
    yield "token, unknown grant type", refused(TOKEN, grant_type="made_up", **place.pair)
    yield "token, GET", lambda: _said(place.get(f"{TOKEN}?grant_type=client_credentials"))
    yield "refresh, made-up token", refused(TOKEN, grant_type="refresh_token", refresh_token="x", **place.pair)
    yield "refresh, no secret", refused(TOKEN, grant_type="refresh_token", refresh_token="x", client_id=place.key)
    yield (
        "client credentials",
        lambda: _granted(place, place.post(TOKEN, grant_type="client_credentials", **place.pair)),
    )
    yield (
        "client credentials, wrong secret",
        refused(TOKEN, grant_type="client_credentials", client_id=place.key, client_secret="wrong"),
    )
    yield (
        "client credentials, with a scope",
        refused(TOKEN, grant_type="client_credentials", scope="made_up", **place.pair),
    )
    yield "assertion, none", refused(TOKEN, grant_type=JWT_BEARER)
    yield "assertion, made up", refused(TOKEN, grant_type=JWT_BEARER, assertion="a.b.c")
    yield "introspect, worthless token", lambda: _introspected(place.post(INTROSPECT, token="x", **place.pair))
    yield "introspect, wrong secret", refused(INTROSPECT, token="x", client_id=place.key, client_secret="wrong")
    yield "introspect, unknown key", refused(INTROSPECT, token="x", client_id="3MVGmadeupbyatest", client_secret="x")
    yield "introspect, no pair", refused(INTROSPECT, token="x")
    yield "revoke, made-up token", refused(REVOKE, token="x")
    yield "revoke, nothing", refused(REVOKE)
    yield "user info, no token", lambda: _said(place.get(USERINFO))
    yield "user info, made-up token", lambda: _said(place.get(USERINFO, "00D000000000000!x"))
    yield "REST, no token", lambda: _said(place.get("/services/data/v60.0/"))
    yield "versions", lambda: _members(place.get("/services/data/"), 0)
    if token := place.token:
        bearer = token.reveal()
        data = "/services/data/v66.0"
        yield "user info", lambda: _members(place.get(USERINFO, bearer))
        yield "REST, unknown resource", lambda: _said(place.get(f"{data}/made-up", bearer))
        yield "REST, unknown type", lambda: _said(place.get(f"{data}/query?q=SELECT+Id+FROM+MadeUp__c", bearer))
        yield "usage of apps", lambda: _members(place.get(f"{data}/apps/oauth/usage", bearer))
        yield (
            "credentials of an unknown app",
            lambda: _said(place.get(f"{data}/apps/oauth/credentials/0xI000000000000AAA", bearer)),
        )
        yield from _of_rotation(place, bearer)


def _of_rotation(place: Place, bearer: str) -> Iterator[tuple[str, Callable[[], str]]]:
    """What a rotation reads before it changes something."""
    query = f"SELECT Id FROM ExternalClientApplication WHERE DeveloperName='{place.app.name}'"

    def get(path: str, version: str = "65.0") -> httpx.Response:
        return place.get(f"/services/data/v{version}/{path}", bearer)

    yield "rotation, app by query", lambda: _members(get(f"query?{urlencode({'q': query})}"))
    yield "rotation, page of apps beyond the last", lambda: f"lists {_listed(get(f'{_USAGE}?page=900'), 'apps')}"
    if consumer := _consumer(place, bearer):
        path, found = consumer
        yield "rotation, consumer", lambda: f"tells {', '.join(sorted(found))}"
        yield "rotation, slot in API 64.0", lambda: _said(get(f"{path}/staged", "64.0"))
        yield "rotation, unknown pair", lambda: _said(get(f"{path}/staged/1SC000000000000AAA"))
        unknown = f"{path.rpartition('/')[0]}/888000000000000AAA/staged"
        yield "rotation, slot of an unknown consumer", lambda: _said(get(unknown))


def _consumer(place: Place, bearer: str) -> tuple[str, Mapping[str, Any]] | None:
    """The consumer with the app's key: its path, and what the org says of it. None where it cannot be found."""
    root = "/services/data/v65.0"
    apps = _json(place.get(f"{root}/{_USAGE}?pageSize=200", bearer)) or {}
    for app in apps.get("apps", ()) if isinstance(apps, dict) else ():
        if app["developerName"] == place.app.name:
            path = f"apps/oauth/credentials/{app['identifier']}"
            known = _json(place.get(f"{root}/{path}", bearer))
            for each in known.get("consumers", ()) if isinstance(known, dict) else ():
                if each["key"] == place.key:
                    return f"{path}/{each['id']}", each
    return None


def _of_slot(place: Place) -> Iterator[str]:
    """What is open about rotation and can be read; nothing of a pair but the names of what is told."""
    bearer = place.token.reveal() if place.token else ""
    usage = _json(place.get(f"/services/data/v65.0/{_USAGE}?pageSize=200", bearer))
    if isinstance(usage, dict) and "apps" in usage:
        last = "has an address" if usage.get("nextPageUrl") else "is null"
        yield f"Apps in use: {len(usage['apps'])}; nextPageUrl of the page {last}."
    consumer = _consumer(place, bearer)
    if consumer is None:
        yield "The slot of the consumer: the consumer is not listed, or may not be read by this user."
    else:
        response = place.get(f"/services/data/v65.0/{consumer[0]}/staged", bearer)
        pairs = (_json(response) or {}).get("stagedCredentials") if response.status_code == 200 else None
        told = [f"{each.get('state')} ({', '.join(sorted(each))})" for each in pairs or ()]
        yield f"The slot of the consumer: HTTP {response.status_code}, {', '.join(told) or 'no pair'}."
        yield f"The org tells its time: {'yes' if response.headers.get('date') else 'no'}."
    yield "Only a rotation shows what an org says of a taken slot, and whether refresh tokens outlive their pair."


def _listed(response: httpx.Response, name: str) -> str:
    body = _json(response)
    return str(len(body[name])) if isinstance(body, dict) and name in body else _said(response)


def open_points(place: Place, retrieved: Path | None, org: Mapping[str, str]) -> list[str]:
    """What is not settled about Salesforce, as far as this org settles it. `retrieved`: a tree of its metadata."""
    points = []
    if retrieved is not None:
        settings = _elements(retrieved, metadata.SETTINGS.suffix)
        holds = "holds" if "consumerSecret" in settings else "does not hold"
        points.append(f"A retrieve {holds} consumerSecret; elements: {', '.join(sorted(settings)) or 'none'}.")
        security = _elements(retrieved, "ecaOauthSecurity")
        points.append(f"ExtlClntAppOauthSecuritySettings holds: {', '.join(sorted(security)) or 'nothing here'}.")
        points.append(f"isPkceRequired of a retrieve: {settings.get('isPkceRequired', 'absent')}.")
    else:
        points.append("Without a retrieve: consumerSecret, ExtlClntAppOauthSecuritySettings, isPkceRequired.")
    points.append(f"UserInfo {org['user info, no token']} without a token, {org['user info, made-up token']} with a "
                  "made-up one; the least scope that it takes needs a login with only that.")  # fmt: skip
    local = [said for name, said in org.items() if name.startswith("authorize, callback http://127.0.0.1")]
    points.append(f"A callback on 127.0.0.1: {local[0] if local else 'the app has none registered'}.")
    answer = place.post(TOKEN, grant_type="client_credentials", **place.pair)
    found = answer.json().get("api_instance_url") if answer.status_code == 200 else None
    points.append(f"api_instance_url: {found or 'in no answer that needs no person'}.")
    points += _of_slot(place)
    points.append(f"Errors: {len({said for said in org.values() if said.startswith('refuses')})} kinds were seen.")
    return points


def _said(response: httpx.Response) -> str:
    """A refusal in the org's own words, in any of its shapes."""
    body = _json(response)
    if isinstance(body, list) and body and isinstance(body[0], dict):
        return f"refuses ({response.status_code}, {body[0].get('errorCode')})"
    if isinstance(body, dict) and "error" in body:
        return f"refuses ({response.status_code}, {body['error']}: {body.get('error_description', 'no description')})"
    if response.status_code < 300:
        return f"accepts ({response.status_code})"
    kind = response.headers.get("content-type", "").partition(";")[0]
    words = response.text.strip() if kind == "text/plain" or len(response.text) < 60 else "a page"
    return f"refuses ({response.status_code}, {words[:60] or 'nothing'})"


def _page(place: Place, response: httpx.Response) -> str:
    """What a person would see: the login page, an error page, or the callback with an error."""
    location = response.headers.get("location", "")
    if any(location.startswith(url) for url in place.app.callback_urls):
        sent = dict(parse_qsl(urlsplit(location).query))
        return f"sends {sent.get('error', 'no error')} ({sent.get('error_description', 'no description')})"
    text = unescape(f"{location} {response.text}")
    found = next((match for pattern in _ON_PAGE if (match := pattern.search(text))), None)
    if found:
        description = found["description"].replace("+", " ").replace("%20", " ") or "no description"
        return f"shows {found['error']} ({description})"
    return "asks to sign in" if response.status_code in (200, 302, 303) else f"answers {response.status_code}"


def _granted(place: Place, response: httpx.Response) -> str:
    body = _json(response)
    if response.status_code != 200 or not isinstance(body, dict):
        return _said(response)
    if token := body.get("access_token"):  # nobody needs it any more
        place.post(REVOKE, token=str(token))
    return f"grants {', '.join(sorted(body))}"


def _introspected(response: httpx.Response) -> str:
    return f"says {response.json()}" if response.status_code == 200 else _said(response)


def _members(response: httpx.Response, at: int | None = None) -> str:
    body: Any = _json(response)
    if response.status_code != 200 or body is None:
        return _said(response)
    return f"tells {', '.join(sorted(body if at is None else body[at]))}"


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _elements(tree: Path, suffix: str) -> dict[str, str]:
    """The elements of the files of a type, and the text of those that are booleans."""
    found: dict[str, str] = {}
    for file in sorted(tree.rglob(f"*.{suffix}-meta.xml")):
        for element in ElementTree.parse(file).getroot():
            text = (element.text or "").strip()
            found[element.tag.rpartition("}")[2]] = text if text in ("true", "false") else "present"
    return found
