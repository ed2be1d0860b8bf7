"""Asking an org for a secret: how far, how often, and of whom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest
import trees
from billing import app

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.events import Clock
from ecapipe.exchange.credentials_lookup import MAX_SLOTS, CredentialsLookup
from ecapipe.login.salesforce_cli import SalesforceCli
from ecapipe.oauth.messages import Request, Response
from ecapipe.orgs import selection
from ecapipe.orgs.org import Address, Org
from ecapipe.orgs.sf_logins import SfLogin
from ecapipe.problems.credentials import rest_app_not_listed, rest_consumer_unknown, rest_login_missing
from ecapipe.problems.network import host_timed_out
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import Secret

KEY, SECRET = trees.key("Billing"), trees.secret("Billing")
UAT = "https://acme--uat.sandbox.my.salesforce.com"
ORG = selection.choose(f"uat={UAT}", {}, ())
MOVED = Address("https://moved.my.salesforce.com", "moved.my.salesforce.com", "user")


@dataclass
class FakeSf:
    """A Salesforce CLI with these logins."""

    kept: Sequence[SfLogin]
    tokens: list[str] = field(default_factory=list)

    def logins(self) -> Sequence[SfLogin]:
        return self.kept

    def access_token(self, name: str) -> tuple[Secret, str]:
        self.tokens.append(name)
        (found,) = [each for each in self.kept if each.username == name]
        return Secret(f"00D!AQ.{name}"), found.instance_url


@dataclass
class Api:
    """An org whose apps fill so many pages; Billing is on the last. It is asked for `paths`, by whom is checked."""

    pages: int = 1
    endless: bool = False
    key: str = KEY
    consumers: int = 1
    paths: list[str] = field(default_factory=list)
    bearers: set[str] = field(default_factory=set)

    def __call__(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        assert request.bearer is not None
        self.bearers.add(request.bearer.reveal())
        self.paths.append(parts.path.rpartition("/apps/oauth/")[2])
        match self.paths[-1].split("/"):
            case ["usage"]:
                return said(self.page(int(parse_qs(parts.query)["page"][0])))
            case ["credentials", _]:
                found = [{"id": "888000001000001", "key": self.key}] * self.consumers
                return said({"consumers": found, "nextPageUrl": "/next?page=1" if self.consumers > 1 else None})
            case ["credentials", _, _]:
                return said({"key": KEY, "secret": SECRET})
            case _:
                return said({"stagedCredentials": []})

    def page(self, number: int) -> object:
        last = number == self.pages - 1 and not self.endless
        name = "Billing" if last else f"App{number}"
        apps = [{"developerName": name, "identifier": "0xI000000000001"}]
        return {"apps": apps, "nextPageUrl": None if last else "/next"}


def said(body: object) -> Response:
    return Response(200, "application/json", json.dumps(body).encode())


def disclosure(api: Api, *kept: SfLogin) -> tuple[CredentialsLookup, FakeSf]:
    sf = FakeSf(kept)
    world = replace(composition.real_world(Environment({})), send=api, sf=cast(SalesforceCli, sf))
    return CredentialsLookup((), world), sf


ADMIN = SfLogin("admin@acme.example", "00D000000000001EAA", UAT, ("uat",))
SOURCE = SfLogin("dev@acme.example", "00D000000000002EAA", "https://acme-dev.my.salesforce.com")


def test_an_app_is_asked_for_once_however_many_orgs_it_is_for() -> None:
    api = Api(pages=3)
    ask, sf = disclosure(api, ADMIN)
    for _ in range(3):
        assert ask(app(), ORG, KEY).secret.reveal() == SECRET
    assert [path.partition("/")[0] for path in api.paths] == ["usage"] * 3 + ["credentials"] * 3
    assert sf.tokens == ["admin@acme.example"]


def test_pages_that_never_end_are_left_after_fifty() -> None:
    api = Api(endless=True)
    ask, _ = disclosure(api, ADMIN)
    with pytest.raises(EcapipeError) as caught:
        ask(app(), ORG, KEY)
    assert (caught.value.problem.kind, len(api.paths)) == (rest_app_not_listed, 50)


def test_pages_that_come_slowly_are_left_when_the_time_of_one_look_up_is_over() -> None:
    api, now = Api(endless=True), 0.0

    def drip(request: Request) -> Response:
        nonlocal now
        now += 50
        return api(request)

    clock = Clock(lambda: now, lambda: "2026-11-25T12:00:00+00:00")
    world = replace(composition.real_world(Environment({})), send=drip, clock=clock)
    ask = CredentialsLookup((), replace(world, sf=cast(SalesforceCli, FakeSf((ADMIN,)))))
    with pytest.raises(EcapipeError) as caught:
        ask(app(), ORG, KEY)
    assert (caught.value.problem.kind, len(api.paths)) == (host_timed_out, 3)


def test_consumers_without_end_are_not_asked_about_without_end() -> None:
    api = Api(key="3MVG9another", consumers=5000)
    ask, _ = disclosure(api, ADMIN)
    with pytest.raises(EcapipeError) as caught:
        ask(app(), ORG, KEY)
    assert (caught.value.problem.kind, len(api.paths)) == (rest_consumer_unknown, 1 + 1 + MAX_SLOTS)


@pytest.mark.parametrize(
    ("changes", "bearer"),
    [
        ({}, "admin"),
        ({"oauth": {"oauthLink": "00D000000000002:888"}}, "dev"),
        ({"header": {"orgScopedExternalApp": "00D000000000002EAA:Billing"}}, "dev"),
        ({"oauth": {"oauthLink": "00D000000000001:888"}, "header": {"orgScopedExternalApp": "00D000000000002:B"}},
         "admin"),
    ],
)  # fmt: skip
def test_the_org_that_has_the_consumer_is_asked(changes: dict[str, trees.Elements], bearer: str) -> None:
    api = Api()
    ask, _ = disclosure(api, ADMIN, SOURCE)
    assert ask(app(**changes), ORG, KEY).key == KEY
    assert api.bearers == {f"00D!AQ.{bearer}@acme.example"}


@pytest.mark.parametrize("org", [ORG, replace(ORG, alias="other", paired_by="tree"), replace(ORG, address=MOVED)])
def test_a_login_to_the_target_is_known_by_address_or_by_the_alias_that_the_user_gave_it(org: Org) -> None:
    ask, _ = disclosure(Api(), ADMIN)
    assert ask(app(), org, KEY).key == KEY


@pytest.mark.parametrize(
    "org",
    [
        None,
        replace(ORG, org_id="00D000000000009"),
        replace(ORG, alias="x", address=MOVED),
        replace(ORG, address=MOVED, paired_by="tree"),
        replace(ORG, alias="x", address=MOVED, org_id="00D000000000001"),
    ],
)
def test_no_other_login_is_used(org: Org | None) -> None:
    api = Api()
    ask, sf = disclosure(api, ADMIN)
    with pytest.raises(EcapipeError) as caught:
        ask(app(), org, KEY)
    assert (caught.value.problem.kind, api.paths, sf.tokens) == (rest_login_missing, [], [])
