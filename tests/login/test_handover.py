"""What the Salesforce CLI is given of a login, and what it cannot take."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from billing import KEY, ORG, ORG_ID, SECRET, USER_ID, app, proven
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.login import handover
from ecapipe.oauth.tokens import Token
from ecapipe.orgs import selection
from ecapipe.orgs.org import Address, NamedBy, Org
from ecapipe.orgs.sf_logins import SfLogin
from ecapipe.problems import salesforce_cli
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import Secret

ACCESS, REFRESH = f"{ORG_ID[:15]}!AQEAQFAKEaccess.token", "5Aep861FAKErefresh.token=="
ADA = "ada@acme.example"
BY: tuple[NamedBy, ...] = ("user", "tree", "salesforceCli")
READ_BY_SFDX_CORE = re.compile(
    r"force://([a-zA-Z0-9._-]+={0,2}):([a-zA-Z0-9._-]*={0,2}):([a-zA-Z0-9._-]+={0,2})@([a-zA-Z0-9:._-]+)"
)


def token(access: str = ACCESS, refresh: str | None = REFRESH) -> Token:
    return Token(Secret(access), Secret(refresh) if refresh else None, ORG.url, ORG_ID, USER_ID, ("api",))


def at(url: str) -> Org:
    return selection.choose(f"uat={url}", {}, ())


def test_a_refresh_token_makes_a_login_url() -> None:
    made = handover.of(proven(), token(), ADA, ORG, default=True)
    assert made.given.reveal() == f"force://{KEY}:{SECRET}:{REFRESH}@{ORG.host}"
    assert (made.lasting, made.username, made.org_id, made.org, made.default) == (True, ADA, ORG_ID, ORG, True)
    assert {secret.reveal() for secret in made.secrets} == {SECRET, REFRESH, ACCESS}
    assert not any(each in repr(made) for each in (SECRET, REFRESH, ACCESS))


def test_a_public_app_has_an_empty_secret() -> None:
    made = handover.of(
        replace(proven(), consumer_secret=None), token(), ADA, at("https://localhost:8443"), default=False
    )
    assert made.given.reveal() == f"force://{KEY}::{REFRESH}@localhost:8443"


def test_without_a_refresh_token_the_access_token_goes_over() -> None:
    org = Org(Address(ORG.url, ORG.host, "user"))
    made = handover.of(proven(), token(refresh=None), ADA, org, default=False)
    assert (made.given.reveal(), made.lasting, made.org.alias) == (ACCESS, False, None)


@pytest.mark.parametrize("access", ["eyJ0FAKE.eyJpc3M.c2ln-_", f"{ORG_ID}!AQEAQFAKE"])
def test_both_forms_of_access_tokens_are_taken(access: str) -> None:
    assert handover.of(proven(), token(access, None), ADA, ORG, default=False).given.reveal() == access


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (token("opaque", None), "access token"),
        (token(refresh="5Aep861/slash"), "refresh token"),
        (token(refresh="5Aep861:colon"), "refresh token"),
        (token(refresh="5Aep861==="), "refresh token"),
    ],
)
def test_a_token_that_has_no_place_in_it_is_refused(found: Token, word: str) -> None:
    problem = problem_of(handover.of, proven(), found, ADA, ORG, default=False)
    assert (problem.kind, word in problem.message) == (salesforce_cli.hand_over_not_possible, True)


@pytest.mark.parametrize("secret", ["a/b", "a+b", "a!b", "a%b", "a:b", "a@b", "a b", "a\nb", "é", "a===", "a=b"])
def test_a_secret_that_has_no_place_in_it_is_refused_before_anyone_signs_in(secret: str) -> None:
    pair = replace(proven(), consumer_secret=Secret(secret))
    problem = problem_of(handover.check, pair, ORG, lasting=True)
    assert (problem.kind, "consumer secret" in problem.message) == (salesforce_cli.hand_over_not_possible, True)
    assert secret not in problem.message
    handover.check(pair, ORG, lasting=False)


def test_a_key_that_has_no_place_in_it_is_refused() -> None:
    pair = replace(proven(), consumer_key="3MVG9/made+up")
    assert "consumer key" in problem_of(handover.check, pair, ORG, lasting=True).message
    handover.check(pair, ORG, lasting=False)


@pytest.mark.parametrize("url", ["http://localhost:7070", "https://acme.my.site.com/portal", "https://[::1]:8443"])
def test_an_org_that_is_not_at_a_host_of_its_own_is_refused(url: str) -> None:
    for lasting in (True, False):
        assert (
            problem_of(handover.check, proven(), at(url), lasting=lasting).kind
            is salesforce_cli.hand_over_not_possible
        )


@given(st.text(st.characters(codec="ascii")), st.text(st.characters(codec="ascii"), min_size=1))
def test_what_goes_over_is_read_as_it_was_meant(secret: str, refresh: str) -> None:
    pair = replace(proven(), consumer_secret=Secret(secret) if secret else None)
    try:
        made = handover.of(pair, token(refresh=refresh), ADA, ORG, default=False)
    except EcapipeError:
        return  # refused, as the tests above want it
    parsed = READ_BY_SFDX_CORE.match(made.given.reveal())
    assert parsed is not None
    assert parsed.groups() == (KEY, secret, refresh, ORG.host)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Acme.my.salesforce.com", "acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com:443", "acme.my.salesforce.com"),
        ("https://localhost:8443", "localhost:8443"),
        ("https://[", ""),
        ("acme", ""),
    ],
)
def test_a_login_knows_its_host(url: str, host: str) -> None:
    assert SfLogin(ADA, ORG_ID, url).host == host


def test_what_to_know_of_a_login_that_is_kept_now() -> None:
    plain, hub = SfLogin(ADA, ORG_ID, ORG.url), SfLogin(ADA, ORG_ID, ORG.url, dev_hub=True)
    assert handover.hints(token(), ORG, plain) == []
    (said,) = handover.hints(token(), ORG, hub)
    assert "SF_SCRATCH_SIGNUP_CONNECTED_APP=PlatformCLI" in said
    (said,) = handover.hints(token("eyJ0FAKE.eyJpc3M.c2ln"), ORG, plain)
    assert "68.0" in said


# --- logins that stand in each other's way ---


def rivals(*wanted: tuple[str, Org]) -> list[str | None]:
    found = [handover.rival(app, org, wanted) for app, org in wanted]
    return [problem.name if problem else None for problem in found]


UAT, PROD = (
    at("https://acme--uat.sandbox.my.salesforce.com"),
    replace(at("https://acme.my.salesforce.com"), alias="prod"),
)


def test_several_apps_in_one_org_cannot_all_be_kept() -> None:
    assert rivals(("Billing", UAT), ("Portal", UAT), ("Billing", PROD)) == [
        salesforce_cli.hand_over_ambiguous.name
    ] * 2 + [None]
    problem = handover.rival("Portal", UAT, [("Billing", UAT), ("Portal", UAT)])
    assert problem is not None
    assert "Billing, Portal" in problem.message


def test_one_username_in_several_orgs_cannot_be_kept() -> None:
    def of(org: Org, username: str = ADA) -> tuple[str, Org]:
        return "Billing", replace(org, username=username)

    assert rivals(of(UAT), of(PROD, ADA.upper())) == [salesforce_cli.sf_username_taken.name] * 2
    assert rivals(of(UAT), of(PROD, "bob@acme.example")) == [None, None]
    assert rivals(("Billing", UAT), ("Billing", PROD)) == [None, None]
    assert rivals(of(UAT), of(replace(UAT, alias="second"))) == [None, None]


def test_a_login_to_another_org_would_be_overwritten() -> None:
    kept = [SfLogin("Ada@acme.example", "00D000000000002EAA", PROD.url, ("prod", "live"))]
    problem = handover.overwritten(ADA, ORG_ID, UAT, kept)
    assert problem is not None
    assert (problem.kind, "uat and prod, live" in problem.message) == (salesforce_cli.sf_username_taken, True)
    assert handover.overwritten(ADA, "00D000000000002", UAT, kept) is None
    assert handover.overwritten("bob@acme.example", ORG_ID, UAT, kept) is None
    assert handover.overwritten(None, ORG_ID, UAT, kept) is None
    assert handover.overwritten(ADA, None, UAT, kept) is None


@pytest.mark.parametrize(
    ("scopes", "rotates", "core", "doubt"),
    [
        ("Api, Web, RefreshToken", "true", "9.1.7", "sfdx-core 9.1.7"),
        ("Full, OfflineAccess", "true", "9.1.7", "sfdx-core 9.1.7"),
        ("Api, Web, RefreshToken", "false", "9.1.7", None),
        ("Api, Web, RefreshToken", "true", None, None),
        ("Api, Web", "true", "9.1.7", "does not have the scope refresh_token"),
        ("Api, RefreshToken", "false", None, "does not have the scope web"),
        (None, "false", None, None),
    ],
)
def test_what_may_go_wrong_afterwards_is_told_before(
    scopes: str | None, rotates: str, core: str | None, doubt: str | None
) -> None:
    found = app(settings={"isRefreshTokenRotationEnabled": rotates}, oauth={"commaSeparatedOauthScopes": scopes})
    said = handover.doubts(found, core)
    assert [doubt in each for each in said if doubt] == ([True] if doubt else [])
    assert bool(said) == bool(doubt)


# --- aliases that the Salesforce CLI knows ---

OTHER = "00D000000000009EAA"
KNOWN = SfLogin("bob@acme.example", OTHER, "https://other.my.salesforce.com", ("uat", "live"))


def named(by: NamedBy, url: str = UAT.url, alias: str = "uat") -> Org:
    return replace(at(url), alias=alias, paired_by=by)


def taken(org: Org, org_id: str | None, *kept: SfLogin, replacing: bool = False) -> str | None:
    problem = handover.overwritten(ADA, org_id, org, kept, replace_alias=replacing)
    return problem.name if problem else None


@pytest.mark.parametrize("org_id", [None, ORG_ID])
@pytest.mark.parametrize("alias", ["uat", "live", "bob@acme.example"])
def test_a_name_that_means_another_org_is_not_given_away(alias: str, org_id: str | None) -> None:
    for by in BY:
        assert taken(named(by, alias=alias), org_id, KNOWN) == salesforce_cli.alias_taken.name
    assert taken(named("user", alias="UAT"), org_id, KNOWN) is None, "it is matched exactly"


@pytest.mark.parametrize("org_id", [None, ORG_ID])
def test_it_is_given_away_to_an_org_that_the_user_gave(org_id: str | None) -> None:
    assert [taken(named(by), org_id, KNOWN, replacing=True) for by in BY] == [
        None,
        salesforce_cli.alias_taken.name,
        salesforce_cli.alias_taken.name,
    ]


def test_ids_tell_orgs_apart_and_my_domains_do_while_there_is_none() -> None:
    same = replace(KNOWN, org_id=ORG_ID[:15])
    assert taken(named("user"), ORG_ID, same) is None, "a My Domain may have been renamed"
    assert taken(named("user"), None, same) == salesforce_cli.alias_taken.name
    here = replace(KNOWN, instance_url=f"{UAT.url}/")
    assert taken(named("user"), None, here) is None
    assert taken(named("user"), ORG_ID, here) == salesforce_cli.alias_taken.name
    for url in ("https://login.salesforce.com", "https://localhost:8443"):
        assert taken(named("user", url), None, KNOWN) is None, "which org is there is not known yet"
        assert taken(named("user", url), ORG_ID, KNOWN) == salesforce_cli.alias_taken.name
    assert taken(named("user"), None, replace(KNOWN, instance_url="https://na1.salesforce.com")) is None


@pytest.mark.parametrize("org_id", [None, ORG_ID])
def test_an_org_of_which_nothing_is_known_is_another_one(org_id: str | None) -> None:
    broken = SfLogin("bob@acme.example", "", "", ("uat",))
    for url in (UAT.url, "https://localhost:8443"):
        assert taken(named("user", url), org_id, broken) == salesforce_cli.alias_taken.name
    assert taken(named("user"), org_id, broken, replacing=True) is None
    problem = handover.overwritten(ADA, org_id, named("tree"), [broken])
    assert problem is not None
    assert "bob@acme.example at an unknown address" in problem.message
    assert taken(named("user"), org_id, replace(broken, username=ADA, aliases=())) is None, "that mends it"
    assert taken(named("user"), ORG_ID, replace(broken, org_id=OTHER)) == salesforce_cli.alias_taken.name


def test_a_login_without_an_alias_takes_none() -> None:
    assert taken(replace(UAT, alias=None), ORG_ID, KNOWN) is None


def test_a_taken_alias_is_told_with_both_ways_out() -> None:
    problem = handover.overwritten(ADA, None, named("tree"), [KNOWN], replace_alias=True)
    assert problem is not None
    assert all(word in problem.message for word in ('"uat"', KNOWN.username, KNOWN.instance_url, UAT.url))
    assert f"--target-org NEWALIAS={UAT.url}" in problem.actions[0]
    assert f"--replace-alias --target-org ALIAS={UAT.url}" in problem.actions[1]
