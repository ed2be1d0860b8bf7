"""What the Salesforce CLI is given of a login, and what it cannot take."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.billing import KEY, ORG, ORG_ID, SECRET, USER_ID, proven
from river.failure import problem_of

from ecapipe import handover, orgs
from ecapipe.orgs import Org
from ecapipe.problems import EcapipeError
from ecapipe.secret import Secret
from ecapipe.tokens import Token

ACCESS, REFRESH = f"{ORG_ID[:15]}!AQEAQFAKEaccess.token", "5Aep861FAKErefresh.token=="
READ_BY_SFDX_CORE = re.compile(
    r"force://([a-zA-Z0-9._-]+={0,2}):([a-zA-Z0-9._-]*={0,2}):([a-zA-Z0-9._-]+={0,2})@([a-zA-Z0-9:._-]+)"
)


def token(access: str = ACCESS, refresh: str | None = REFRESH) -> Token:
    return Token(Secret(access), Secret(refresh) if refresh else None, ORG.url, ORG_ID, USER_ID, ("api",))


def at(url: str) -> Org:
    return orgs.choose(f"uat={url}", {}, ())


def test_a_refresh_token_makes_a_login_url() -> None:
    made = handover.of(proven(), token(), ORG, default=True)
    assert made.given.reveal() == f"force://{KEY}:{SECRET}:{REFRESH}@{ORG.host}"
    assert (made.lasting, made.url, made.alias, made.default) == (True, ORG.url, "uat", True)
    assert {secret.reveal() for secret in made.secrets} == {SECRET, REFRESH, ACCESS}
    assert not any(each in repr(made) for each in (SECRET, REFRESH, ACCESS))


def test_a_public_app_has_an_empty_secret() -> None:
    made = handover.of(replace(proven(), consumer_secret=None), token(), at("https://localhost:8443"), default=False)
    assert made.given.reveal() == f"force://{KEY}::{REFRESH}@localhost:8443"


def test_without_a_refresh_token_the_access_token_goes_over() -> None:
    org = Org(ORG.url, ORG.host)
    made = handover.of(proven(), token(refresh=None), org, default=False)
    assert (made.given.reveal(), made.lasting, made.alias) == (ACCESS, False, None)


@pytest.mark.parametrize("access", ["eyJ0FAKE.eyJpc3M.c2ln-_", f"{ORG_ID}!AQEAQFAKE"])
def test_both_forms_of_access_tokens_are_taken(access: str) -> None:
    assert handover.of(proven(), token(access, None), ORG, default=False).given.reveal() == access


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
    problem = problem_of(handover.of, proven(), found, ORG, default=False)
    assert (problem.name, word in problem.message) == ("HandOverNotPossible", True)


@pytest.mark.parametrize("secret", ["a/b", "a+b", "a!b", "a%b", "a:b", "a@b", "a b", "a\nb", "é", "a===", "a=b"])
def test_a_secret_that_has_no_place_in_it_is_refused_before_anyone_signs_in(secret: str) -> None:
    pair = replace(proven(), consumer_secret=Secret(secret))
    problem = problem_of(handover.check, pair, ORG, lasting=True)
    assert (problem.name, "consumer secret" in problem.message) == ("HandOverNotPossible", True)
    assert secret not in problem.message
    handover.check(pair, ORG, lasting=False)


def test_a_key_that_has_no_place_in_it_is_refused() -> None:
    pair = replace(proven(), consumer_key="3MVG9/made+up")
    assert "consumer key" in problem_of(handover.check, pair, ORG, lasting=True).message
    handover.check(pair, ORG, lasting=False)


@pytest.mark.parametrize("url", ["http://localhost:7070", "https://acme.my.site.com/portal", "https://[::1]:8443"])
def test_an_org_that_is_not_at_a_host_of_its_own_is_refused(url: str) -> None:
    for lasting in (True, False):
        assert problem_of(handover.check, proven(), at(url), lasting=lasting).name == "HandOverNotPossible"


@given(st.text(st.characters(codec="ascii")), st.text(st.characters(codec="ascii"), min_size=1))
def test_what_goes_over_is_read_as_it_was_meant(secret: str, refresh: str) -> None:
    pair = replace(proven(), consumer_secret=Secret(secret) if secret else None)
    try:
        made = handover.of(pair, token(refresh=refresh), ORG, default=False)
    except EcapipeError:
        return  # refused, as the tests above want it
    parsed = READ_BY_SFDX_CORE.match(made.given.reveal())
    assert parsed is not None
    assert parsed.groups() == (KEY, secret, refresh, ORG.host)
