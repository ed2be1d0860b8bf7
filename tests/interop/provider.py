"""An org that is a certified OAuth server, not ours; see provider.mjs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from interop import installed

SCOPES = ("api", "id", "openid", "refresh_token")


@dataclass(frozen=True)
class Asked:
    """A request as the provider saw it."""

    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    status: int


@dataclass(frozen=True)
class Provider:
    """A running provider."""

    url: str
    org_id: str

    def asked(self, path: str) -> list[Asked]:
        """Every request to `path` so far."""
        seen = [Asked(**each) for each in httpx.get(f"{self.url}/asked", trust_env=False).json()]
        return [each for each in seen if each.path == path]

    def redeemed(self) -> list[str]:
        """The codes that came to the token endpoint."""
        return [each.form["code"] for each in self.asked("/services/oauth2/token") if "code" in each.form]


def client(
    key: str, secret: str, callback_url: str | None, *, bound: bool = False, scopes: Sequence[str] = SCOPES
) -> dict[str, Any]:
    """An app in the provider's terms: for the web flow, or, without a callback, for client credentials; `bound`: with
    tokens that are bound to keys only; `scopes` are those of the web flow."""
    web = callback_url is not None
    return {
        "client_id": key,
        "client_secret": secret,
        "dpop_bound_access_tokens": bound,
        "token_endpoint_auth_method": "client_secret_post",
        "redirect_uris": [callback_url] if web else [],
        "response_types": ["code"] if web else [],
        "grant_types": ["authorization_code", "refresh_token"] if web else ["client_credentials"],
        "scope": " ".join(scopes) if web else "api id",
    }


@contextmanager
def running(
    org_id: str, user_ids: Mapping[str, str], run_as: str, clients: Sequence[object], pkce_required: Sequence[str]
) -> Iterator[Provider]:
    """A provider for as long as the context lasts. `user_ids` are by username; `pkce_required` are client ids."""
    told = {
        "orgId": org_id,
        "userIds": dict(user_ids),
        "runAs": run_as,
        "scopes": SCOPES,
        "clients": list(clients),
        "pkceRequired": list(pkce_required),
    }
    command = [str(installed.node()), str(Path(__file__).with_suffix(".mjs")), json.dumps(told)]
    with subprocess.Popen(command, cwd=installed.FOLDER, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "oidc-provider did not start"
            yield Provider(url, org_id)
        finally:
            process.terminate()
