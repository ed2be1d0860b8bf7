"""A kept login is what was kept, is found by what its org goes by, and knows what brings its next token."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.oauth.flows.client_credentials import ClientCredentials
from ecapipe.oauth.grants import RefreshToken
from ecapipe.oauth.tokens import Token
from ecapipe.orgs import selection
from ecapipe.orgs.org import Address, Org
from ecapipe.problems import storage
from ecapipe.problems.problem import EcapipeError
from ecapipe.saved import records
from ecapipe.saved.records import SavedClient, SavedLogin, SavedRecord, SavedSecrets, SecretOwner, UnreadableRecord
from ecapipe.secret import Secret

URL = "https://acme--uat.sandbox.my.salesforce.com"
ORG_ID, USER_ID = "00D000000000001EAA", "005000001000001AAA"


def org(url: str = URL, alias: str | None = "uat", username: str | None = "ann@acme.example") -> Org:
    accepted = selection.choose(url, {}, ())
    return dataclasses.replace(accepted, alias=alias, org_id=ORG_ID, username=username)


def login(app: str = "Billing", target: Org | None = None, user_id: str = USER_ID, **changes: Any) -> SavedLogin:
    usual: dict[str, Any] = {
        "consumer_key": "3MVG9madeup",
        "flow": "web",
        "scopes": ("api", "refresh_token"),
        "instance_url": URL,
        "refreshable": True,
        "secret_required": True,
        "place": "file",
        "saved_at": "2026-11-25T12:00:00Z",
    }
    return SavedLogin(app, target or org(), user_id, **{**usual, **changes})


def test_a_login_is_read_as_it_was_kept() -> None:
    for one in (login(), login(target=org(alias=None, username=None), refreshed_at="later", instance_url=None)):
        assert records.login(records.record(one)) == one
    owner = SecretOwner("Billing", "uat", "3MVG9madeup", "keyring", "2026-11-25T12:00:00Z")
    assert records.owner(records.owner_record(owner)) == owner


def test_there_is_one_record_per_app_org_and_user() -> None:
    ids = {
        login().id,
        login("Other").id,
        login(target=org("https://other.my.salesforce.com")).id,
        login(user_id="005000001000002AAA").id,
    }
    assert len(ids) == 4
    assert all(records.is_id(id) for id in ids)
    assert login(scopes=(), target=org(alias="renamed"), user_id=USER_ID[:15]).id == login().id
    assert records.owner_id("3MVG9a") != records.owner_id("3MVG9b")


@pytest.mark.parametrize("name", ["app", "url", "userId"])
def test_a_record_that_was_altered_does_not_fit_its_name(name: str) -> None:
    """Its address above all: it is where the refresh token goes."""
    record = records.record(login())
    value = "https://evil.example" if name == "url" else "another"
    altered = dataclasses.replace(record, members={**record.members, name: value})
    assert problem_of(records.login, altered).kind is storage.record_damaged


def test_a_record_never_leads_to_plain_http() -> None:
    insecure = login(target=Org(Address("http://acme.my.salesforce.com", "acme.my.salesforce.com", "user")))
    assert problem_of(records.login, records.record(insecure)).kind is storage.record_damaged


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda each: st.lists(each, max_size=3),
    max_leaves=4,
)
MEMBERS = sorted(records.record(login()).members)


@given(st.sampled_from(MEMBERS), JSON)
def test_whatever_stands_in_a_record_is_read_or_refused(name: str, value: object) -> None:
    record = records.record(login())
    altered = dataclasses.replace(record, members={**record.members, name: value})
    found: SavedLogin | None
    try:
        found = records.login(altered)
    except EcapipeError as error:
        found, damage = None, error.problem.name
    else:
        damage = ""
    assert (damage, found) == (storage.record_damaged.name, None) or (found and found.id == record.id)


@given(st.dictionaries(st.sampled_from([*MEMBERS, "org"]), JSON))
def test_whatever_a_record_consists_of_is_refused_in_words(members: dict[str, object]) -> None:
    record = SavedRecord("login", "0" * 32, "file", members, "/somewhere")
    assert problem_of(records.login, record).kind is storage.record_damaged
    assert problem_of(records.owner, record).kind is storage.record_damaged


UAT, PROD = login(), login(target=org("https://acme.my.salesforce.com", "prod", "ann@acme.example"))
OTHER = login("Reports", org(alias="uat", username="robot@acme.example"), "005000001000002AAA")
ALL = (UAT, PROD, OTHER)


@pytest.mark.parametrize(
    ("apps", "wanted", "found"),
    [
        ((), None, ALL),
        (("Billing",), None, (UAT, PROD)),
        (("Billing",), "uat", (UAT,)),
        ((), "uat", (UAT, OTHER)),
        ((), "prod", (PROD,)),
        ((), "ROBOT@acme.example", (OTHER,)),
        ((), "acme.my.salesforce.com", (PROD,)),
        ((), "https://ACME.my.salesforce.com/", (PROD,)),
        (("Reports",), ORG_ID, (OTHER,)),
        (("Reports",), ORG_ID[:15], (OTHER,)),
        (("Nobody",), None, ()),
        ((), "UAT", ()),
        ((), "acme", ()),
    ],
)
def test_a_login_is_found_by_what_its_org_goes_by(
    apps: tuple[str, ...], wanted: str | None, found: tuple[SavedLogin, ...]
) -> None:
    assert tuple(records.fitting(ALL, apps, wanted)) == found


def test_an_alias_wins_over_the_same_text_elsewhere() -> None:
    confusing = login("Confusing", org("https://other.my.salesforce.com", "acme.my.salesforce.com"))
    assert records.fitting((*ALL, confusing), (), "acme.my.salesforce.com") == [confusing]


def test_what_does_not_tell_one_login_is_refused_with_the_choices() -> None:
    assert records.choose((UAT,), (), None) == UAT
    assert records.choose(ALL, ("Reports",), "uat") == OTHER
    ambiguous = problem_of(records.choose, ALL, (), "uat")
    assert (ambiguous.kind, ambiguous.exit_code) == (storage.login_ambiguous, 2)
    assert "Billing@uat (ann@acme.example, acme--uat.sandbox.my.salesforce.com)" in ambiguous.message
    assert "robot@acme.example" in ambiguous.message
    missing = problem_of(records.choose, ALL, ("Biling",), "prd")
    assert (missing.kind, missing.exit_code) == (storage.login_not_kept, 2)
    assert {'Did you mean "Billing"?', 'Did you mean "prod"?'} < set(missing.actions)
    assert problem_of(records.choose, (), (), None).message == "No login is saved."


def values(found: SavedSecrets) -> list[str | None]:
    return [
        each.reveal() if each else None for each in (found.access_token, found.refresh_token, found.consumer_secret)
    ]


def token(refresh: str | None) -> Token:
    return Token(Secret("access-2"), refresh and Secret(refresh), None, ORG_ID, USER_ID, ())  # type: ignore[arg-type]


OLD = SavedSecrets(Secret("access-1"), Secret("refresh-1"), Secret("hush-1"))


@pytest.mark.parametrize(("sent", "then"), [(None, "refresh-1"), ("refresh-2", "refresh-2")])
def test_rotation_replaces_the_refresh_token_and_its_absence_keeps_it(sent: str | None, then: str) -> None:
    changed, sealed = records.renewed(login(), OLD, token(sent), SavedClient("key", Secret("secret-2")), "later")
    assert values(sealed) == ["access-2", then, "secret-2"]
    assert (changed.refreshed_at, changed.saved_at) == ("later", login().saved_at)
    assert (changed.scopes, changed.instance_url) == (login().scopes, URL), "an answer that is silent changes nothing"


def test_the_secret_is_sent_only_where_it_is_required() -> None:
    given = Secret("given")
    assert records.client(login(), OLD, None).consumer_secret is OLD.consumer_secret
    assert records.client(login(), OLD, given).consumer_secret is given
    assert records.client(login(secret_required=False), OLD, given).consumer_secret is None
    assert "hush" not in repr(records.client(login(), OLD, None))


def test_what_brings_the_next_token() -> None:
    with_secret, without = SavedClient("key", Secret("secret")), SavedClient("key", None)
    assert records.grant(login(), OLD, with_secret) == RefreshToken(OLD.refresh_token)  # type: ignore[arg-type]
    assert isinstance(records.grant(login(secret_required=False), OLD, without), RefreshToken)
    robot = login(flow="client-credentials")
    assert isinstance(records.grant(robot, SavedSecrets(), with_secret), ClientCredentials)
    for one, sealed, client in (
        (login(), OLD, without),
        (robot, SavedSecrets(), without),
        (login(flow="jwt"), SavedSecrets(Secret("access")), with_secret),
    ):
        found = problem_of(records.grant, one, sealed, client)
        assert found.kind is storage.login_not_refreshable
        assert any(one.command in action for action in found.actions)
        assert any("ECAPIPE_CLIENT_SECRET_BILLING_UAT" in action for action in found.actions)


def test_the_command_that_logs_in_again_says_what_is_needed() -> None:
    assert login().command == f"ecapipe run --name Billing --target-org uat={URL} --save"
    quoted = login(target=org(alias="my $(uat)"))
    assert quoted.command == f"ecapipe run --name Billing --target-org 'my $(uat)={URL}' --save"
    alone = login(target=org(alias=None), flow="jwt")
    assert alone.command == f"ecapipe run --name Billing --target-org {URL} --flow jwt --save"


def test_a_record_that_cannot_be_read_may_be_meant_by_each_name_of_its_org() -> None:
    said = {"app": "Robot", "url": "https://a.my.salesforce.com", "alias": "uat", "username": "u@x", "orgId": "00D1"}
    bad = UnreadableRecord("login", "0" * 32, storage.newer_format("login.json", 2), said)
    names = [said["url"], "a.my.salesforce.com", "uat", "u@x", "00D1", None]
    assert [name for name in (*names, "b.my.salesforce.com") if bad.may_fit(("Robot",), name)] == names
    assert not bad.may_fit(("Other",), "uat")
    assert bad.may_fit((bad.id,), "elsewhere")
