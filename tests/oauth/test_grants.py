"""Grants: the way back, the authorize URL, and which answers fit a login in flight."""

from __future__ import annotations

import base64
import hashlib
import json
import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest
import trees
from billing import KEY, ORG, SECRET, app, proven
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.oauth import authorize, tokens
from ecapipe.oauth.authorize import AuthorizationRequest, UnmatchedResponse
from ecapipe.oauth.flows import jwt, web
from ecapipe.oauth.flows.jwt import JwtBearer
from ecapipe.oauth.flows.web import AuthorizationCode, choose_callback
from ecapipe.oauth.scopes import SCOPE_NAMES, scopes_to_request, scopes_to_save
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org
from ecapipe.problems import project
from ecapipe.problems.oauth import (
    access_denied,
    app_not_found_in_org,
    invalid_client_id,
    invalid_scope,
    oauth_refused,
    redirect_uri_mismatch,
)
from ecapipe.problems.problem import EcapipeError, Kind, Problem
from ecapipe.secret import Secret

PROD = selection.choose("prod=https://acme.my.salesforce.com", {}, ())
PASTE = "https://www.example.com"
CODE = "aPrxFAKE+code/of~a.test-1234567890=="


def counting(size: int) -> bytes:
    return bytes(range(size))


def begun(
    redirect_uri: str = trees.LOOPBACK,
    org: Org = ORG,
    scopes: str | None = "api id",
    random_bytes: Callable[[int], bytes] = counting,
) -> AuthorizationRequest:
    return authorize.build_request(proven(), org, redirect_uri, scopes, random_bytes)


def other(login: AuthorizationRequest, **changes: Any) -> AuthorizationRequest:
    """A second login in flight, in another org."""
    return replace(login, org=PROD, state="another-state", code_verifier=Secret("v" * 43), **changes)


# --- PKCE and the authorize URL -----------------------------------------------------------------------------


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert web.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@given(st.data())
def test_a_verifier_is_43_to_128_unreserved_characters_and_the_challenge_is_its_hash(data: st.DataObject) -> None:
    login = begun(random_bytes=lambda size: data.draw(st.binary(min_size=size, max_size=size)))
    verifier = login.code_verifier.reveal()
    assert 43 <= len(verifier) <= 128
    assert set(verifier) <= set(string.ascii_letters + string.digits + "-._~")
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode()
    query = parse_qs(urlsplit(login.authorize_url).query)
    assert query["code_challenge"] == [digest.rstrip("=")]
    assert query["code_challenge_method"] == ["S256"]
    assert query["state"] == [login.state]
    assert len(login.state) == 32


def test_state_and_verifier_come_from_chances_of_their_own() -> None:
    sizes: list[int] = []

    def random_bytes(size: int) -> bytes:
        sizes.append(size)
        return bytes([len(sizes)]) * size

    login = begun(random_bytes=random_bytes)
    assert sizes == [24, 64]
    assert login.state == base64.urlsafe_b64encode(b"\1" * 24).decode()
    assert login.code_verifier.reveal() == base64.urlsafe_b64encode(b"\2" * 64).decode().rstrip("=")


def test_the_authorize_url_is_exactly_this() -> None:
    login = begun("http://localhost:1717/cb?a=b c&d=é", replace(ORG, username="ann+uat@acme.test"), "api id")
    assert login.authorize_url == (
        "https://acme--uat.sandbox.my.salesforce.com/services/oauth2/authorize"
        "?response_type=code"
        f"&client_id={KEY}"
        "&redirect_uri=http%3A%2F%2Flocalhost%3A1717%2Fcb%3Fa%3Db%20c%26d%3D%C3%A9"
        "&scope=api%20id"
        "&state=AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
        f"&code_challenge={web.challenge(login.code_verifier)}"
        "&code_challenge_method=S256"
        "&prompt=login"
        "&login_hint=ann%2Buat%40acme.test"
    )


def test_what_is_unknown_is_not_asked_for() -> None:
    query = parse_qs(urlsplit(begun(scopes=None).authorize_url).query, keep_blank_values=True)
    assert "scope" not in query
    assert "login_hint" not in query


def test_the_path_of_an_experience_site_stays_before_the_endpoint() -> None:
    site = selection.choose("https://acme.my.site.com/partners", {}, ())
    assert begun(org=site).authorize_url.startswith("https://acme.my.site.com/partners/services/oauth2/authorize?")


@given(st.text(), st.text(), st.binary(min_size=64, max_size=64))
def test_the_authorize_url_says_what_it_is_given_and_no_secret(
    redirect_uri: str, scopes: str, random_bytes: bytes
) -> None:
    login = begun(redirect_uri, scopes=scopes, random_bytes=lambda size: random_bytes[:size])
    query = parse_qs(urlsplit(login.authorize_url).query, keep_blank_values=True)
    assert (query["redirect_uri"], query["scope"]) == ([redirect_uri], [scopes])
    assert login.redirect_uri == redirect_uri
    assert SECRET not in login.authorize_url
    assert login.code_verifier.reveal() not in login.authorize_url
    assert login.authorize_url.isascii()
    assert not any(character.isspace() for character in login.authorize_url)


def test_a_login_shows_no_verifier() -> None:
    login = begun()
    assert login.code_verifier.reveal() not in repr(login)


# --- assertions ---------------------------------------------------------------------------------------------


def signed(ahead: float = 0.0, random_bytes: Callable[[int], bytes] = counting) -> JwtBearer:
    """An assertion of Billing for ann, in the second 1000.9, whose signature is what was signed, backwards."""
    return jwt.sign_assertion(
        KEY, "ann@acme.test", "https://aud.test", lambda data: data[::-1], 1000.9 + ahead, random_bytes
    )


def parts(grant: JwtBearer) -> list[bytes]:
    return [base64.urlsafe_b64decode(part + "==") for part in grant.assertion.reveal().split(".")]


def test_an_assertion_says_who_as_whom_to_whom_and_until_when() -> None:
    header, claims, signature = parts(signed())
    assert json.loads(header) == {"alg": "RS256", "typ": "JWT"}
    assert json.loads(claims) == {
        "iss": KEY,
        "sub": "ann@acme.test",
        "aud": "https://aud.test",
        "exp": 1150,
        "jti": base64.urlsafe_b64encode(counting(16)).decode().rstrip("="),
    }
    assert signature[::-1].decode() == signed().assertion.reveal().rpartition(".")[0]


def test_no_two_assertions_are_the_same() -> None:
    numbers = iter(range(9))

    def random_bytes(size: int) -> bytes:
        return bytes([next(numbers)]) * size

    first, second = (json.loads(parts(signed(ahead, random_bytes))[1]) for ahead in (0.0, -600.0))
    assert (first["exp"] - second["exp"], first["jti"] == second["jti"]) == (600, False)


def test_an_assertion_does_not_show_itself() -> None:
    assert signed().assertion.reveal() not in repr(signed())


# --- the way back -------------------------------------------------------------------------------------------

MOBILE = "acme://done"
IP = "http://127.0.0.1:8080/cb"


@pytest.mark.parametrize(
    ("urls", "wanted", "local", "kind", "url"),
    [
        ((trees.LOOPBACK,), "auto", True, "listen", trees.LOOPBACK),
        ((trees.LOOPBACK,), "auto", False, "paste", trees.LOOPBACK),
        ((trees.LOOPBACK,), "listen", False, "listen", trees.LOOPBACK),
        ((trees.LOOPBACK,), "paste", True, "paste", trees.LOOPBACK),
        ((PASTE, trees.LOOPBACK, IP), "auto", True, "listen", trees.LOOPBACK),
        ((PASTE, IP, trees.LOOPBACK), "auto", True, "listen", IP),
        ((PASTE, trees.LOOPBACK), "auto", False, "paste", PASTE),
        ((trees.LOOPBACK, PASTE), "paste", True, "paste", PASTE),
        ((MOBILE, trees.LOOPBACK), "paste", True, "paste", trees.LOOPBACK),
        ((MOBILE, PASTE), "auto", True, "paste", PASTE),
        ((MOBILE,), "auto", True, "paste", MOBILE),
        (("https://localhost:1717/cb",), "auto", True, "paste", "https://localhost:1717/cb"),
        (("https://a", "https://b"), "paste", True, "paste", "https://a"),
    ],
)
def test_the_answer_comes_back_to_a_registered_url_as_written(
    urls: tuple[str, ...], wanted: Literal["auto", "listen", "paste"], local: bool, kind: str, url: str
) -> None:
    found = app(settings={"callbackUrl": "\n".join(urls)})
    assert choose_callback(found, wanted, local) == (kind, url)


@pytest.mark.parametrize(
    ("urls", "wanted"), [((PASTE, MOBILE), "listen"), ((), "auto"), ((), "paste"), ((), "listen")]
)
def test_a_way_back_that_no_url_allows_is_refused(urls: tuple[str, ...], wanted: str) -> None:
    problem = problem_of(choose_callback, app(settings={"callbackUrl": "\n".join(urls)}), wanted, True)
    assert problem.kind is project.callback_not_usable
    assert all(url in problem.message for url in urls)


@pytest.mark.parametrize(
    ("names", "scope"),
    [
        ("Api, Basic", "api id"),
        ("Basic,Api", "id api"),
        ("Api, RefreshToken, OfflineAccess", "api"),
        ("Api, Api, SomethingNew", "api"),
        ("OpenID, SFApiPlatform, CDPQuery", "openid sfap_api cdp_query_api"),
        ("RefreshToken", None),
        ("SomethingNew", None),
        (None, None),
    ],
)
def test_the_apps_scopes_are_asked_for_but_no_refresh_token(names: str | None, scope: str | None) -> None:
    assert scopes_to_request(app(oauth={"commaSeparatedOauthScopes": names})) == scope


@pytest.mark.parametrize(
    ("names", "asked", "scope"),
    [
        ("Api, RefreshToken", None, "api refresh_token"),
        ("OfflineAccess, Api, Api", None, "offline_access api"),
        (None, None, None),
        (None, "api", "api refresh_token"),
        ("Api, RefreshToken", "id", "id refresh_token"),
        ("Api, OfflineAccess", "api offline_access", "api offline_access"),
    ],
)
def test_a_login_that_is_kept_asks_for_a_refresh_token(
    names: str | None, asked: str | None, scope: str | None
) -> None:
    assert scopes_to_save(app(oauth={"commaSeparatedOauthScopes": names}), asked) == scope


def test_an_app_that_gives_no_refresh_token_is_not_asked_for_one() -> None:
    problem = problem_of(scopes_to_save, app(oauth={"commaSeparatedOauthScopes": "Api"}), None)
    assert (problem.kind, "It allows: api." in problem.message) == (project.refresh_scope_missing, True)


SCOPES = """
    Basic=id Api=api Web=web Full=full Chatter=chatter_api CustomApplications=visualforce OpenID=openid
    Profile=profile Email=email Address=address Phone=phone CustomPermissions=custom_permissions Wave=wave_api
    Eclair=eclair_api Pardot=pardot_api Lightning=lightning Content=content CDPIngest=cdp_ingest_api
    CDPProfile=cdp_profile_api CDPQuery=cdp_query_api CDPSegment=cdp_segment_api
    CDPIdentityResolution=cdp_identityresolution_api CDPCalculatedInsight=cdp_calculated_insight_api
    Chatbot=chatbot_api SFApiPlatform=sfap_api Interaction=interaction_api EinsteinGPT=einstein_gpt_api
    PwdlessLogin=pwdless_login_api ForgotPassword=forgot_password UserRegistration=user_registration_api
    MCP=mcp_api SCRT=scrt_api
""".split()


@pytest.mark.parametrize("pair", SCOPES)
def test_each_scope_of_the_metadata_has_its_oauth_name(pair: str) -> None:
    name, _, oauth = pair.partition("=")
    assert scopes_to_request(app(oauth={"commaSeparatedOauthScopes": f"{name}, RefreshToken"})) == oauth


def test_no_scope_is_missing_from_the_table() -> None:
    assert set(SCOPE_NAMES) == {pair.partition("=")[0] for pair in SCOPES} | {"RefreshToken", "OfflineAccess"}


# --- answers ------------------------------------------------------------------------------------------------


def granted(
    outcome: tuple[AuthorizationRequest, AuthorizationCode | EcapipeError],
) -> tuple[AuthorizationRequest, str]:
    login, grant = outcome
    assert isinstance(grant, AuthorizationCode)
    assert grant.redirect_uri == login.redirect_uri
    assert grant.code_verifier is login.code_verifier
    return login, grant.code.reveal()


def refused(
    outcome: tuple[AuthorizationRequest, AuthorizationCode | EcapipeError],
) -> tuple[AuthorizationRequest, Problem]:
    login, error = outcome
    assert isinstance(error, EcapipeError)
    return login, error.problem


def query(login: AuthorizationRequest, **members: str) -> str:
    return urlencode({"code": CODE, "state": login.state, **members}, quote_via=quote)


def test_a_code_answers_the_login_of_its_state() -> None:
    first, second = begun(), other(begun())
    for login in (first, second):
        assert granted(authorize.match_redirect(query(login), (first, second))) == (login, CODE)


@pytest.mark.parametrize(
    "more",
    [
        {"sfdc_community_url": "https://acme.my.site.com", "sfdc_community_id": "0DB000000000001"},
        {"iss": ORG.url},
        {"iss": f"{ORG.url}/"},
        {"error": ""},
        {"scope": "api", "display": "popup"},
    ],
)
def test_what_else_a_redirect_may_say_changes_nothing(more: dict[str, str]) -> None:
    login = begun()
    assert granted(authorize.match_redirect(query(login, **more), (login,))) == (login, CODE)


def test_a_refusal_answers_the_login_of_its_state_and_repeats_no_verifier() -> None:
    login = begun()
    said = {"error": "access_denied", "error_description": f"denied {login.code_verifier.reveal()}"}
    found, problem = refused(authorize.match_redirect(urlencode({**said, "state": login.state}), (login,)))
    assert found is login
    assert (problem.kind, problem.host) == (access_denied, ORG.host)
    _, unknown = refused(
        authorize.match_redirect(urlencode({**said, "error": "new", "state": login.state}), (login,))
    )
    assert "[REDACTED]" in unknown.message
    assert login.code_verifier.reveal()[:8] not in repr(unknown)


STATE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "code=abc",
        f"state={STATE}",
        "code=abc&state=",
        "code=abc&state=unknown",
        f"code=abc&state={STATE[:-1]}",
        f"code=abc&state={STATE}x",
        f"code=abc&state={STATE.lower()}",
        f"code=abc&state={STATE}&state={STATE}",
        f"code=abc&state=unknown&state={STATE}",
        f"code=abc&state={STATE}&state=",
        f"code=abc&code=abc&state={STATE}",
        f"code=abc&code=&state={STATE}",
        f"error=a&error=b&state={STATE}",
        f"code=abc&error=access_denied&state={STATE}",
        f"code=&state={STATE}",
        f"code=&error=&state={STATE}",
        f"error_description=denied&state={STATE}",
        f"code=a%00b&state={STATE}",
        f"code=a%0D%0Ab&state={STATE}",
        f"code=%ff&state={STATE}",
        f"code=é&state={STATE}",
        f"code=\udc80&state={STATE}",
        f"CODE=abc&state={STATE}",
        f"code=abc&STATE={STATE}",
        f"code=abc;state={STATE}",
        f"code=abc&iss=https://acme.my.salesforce.com&state={STATE}",
        f"code=abc&iss=http://acme--uat.sandbox.my.salesforce.com&state={STATE}",
        f"code=abc&iss=https://acme--uat.sandbox.my.salesforce.com:8443&state={STATE}",
        f"code=abc&iss=https://[&state={STATE}",
        f"code=abc&iss={ORG.url}&iss={ORG.url}&state={STATE}",
        f"code=abc&state={STATE}" + "&a=b" * 49,
        "access_token=abc&token_type=bearer",
    ],
)
def test_an_answer_that_fits_no_login_is_a_misfit(query: str) -> None:
    assert begun().state == STATE
    with pytest.raises(UnmatchedResponse, match=r"^(The (URL|code|response)|No sign-in) .*\.$"):
        authorize.match_redirect(query, (begun(),))


def test_without_a_login_every_answer_is_a_misfit() -> None:
    with pytest.raises(UnmatchedResponse):
        authorize.match_redirect(query(begun()), ())


# --- pasted answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("redirect_uri", "address"),
    [
        ("https://www.example.com", "https://www.example.com/?{query}"),
        ("https://www.example.com", "https://www.example.com?{query}"),
        ("https://www.example.com/", "https://www.example.com?{query}"),
        ("https://www.example.com/cb", "  https://www.example.com/cb?{query}\r\n"),
        ("https://www.example.com/cb", "https://WWW.Example.com/cb?{query}"),
        ("https://www.example.com/cb", "HTTPS://www.example.com/cb?{query}"),
        ("https://www.example.com/cb", "https://www.example.com/cb?{query}#"),
        ("https://www.example.com/cb", "https://www.example.com/cb?{query}#_=_"),
        ("https://www.example.com/cb?app=1", "https://www.example.com/cb?app=1&{query}"),
        ("http://localhost:1717/OauthRedirect", "http://localhost:1717/OauthRedirect?{query}"),
        ("acme://done", "acme://done?{query}"),
        ("acme://done", "acme://done/?{query}"),
        ("acme:/done", "acme:/done?{query}"),
    ],
)
def test_a_pasted_address_answers_the_login_that_ends_there(redirect_uri: str, address: str) -> None:
    login = begun(redirect_uri)
    assert granted(authorize.match_pasted(address.format(query=query(login)), (login,))) == (login, CODE)


def test_pasted_addresses_come_in_any_order() -> None:
    first, second = begun(PASTE), other(begun(PASTE))
    for login in (second, first):
        assert granted(authorize.match_pasted(f"{PASTE}/?{query(login)}", (first, second))) == (login, CODE)


def test_a_pasted_refusal_is_a_refusal() -> None:
    login = begun(PASTE)
    found, problem = refused(authorize.match_pasted(f"{PASTE}/?error=access_denied&state={STATE}", (login,)))
    assert (found, problem.kind) == (login, access_denied)


ERROR_PAGE = f"{ORG.url}/setup/secur/RemoteAccessErrorPage.apexp"
NOT_FOUND = "OAUTH_EC_APP_NOT_FOUND"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"{ERROR_PAGE}?error=invalid_scope&error_description=not+allowed&state={STATE}", invalid_scope),
        (f"{ORG.url}/x/remoteaccesserrorpage.APEXP?error={NOT_FOUND}&state={STATE}#", app_not_found_in_org),
        (
            f"https://other.my.salesforce.com/RemoteAccessErrorPage.apexp?error=invalid_scope&state={STATE}",
            invalid_scope,
        ),
        (f"{ERROR_PAGE}?error={NOT_FOUND}", app_not_found_in_org),
        (f"{NOT_FOUND} : External client app is not installed in this org", app_not_found_in_org),
        (f" We can't authorize you. {NOT_FOUND} : External client app is not installed", app_not_found_in_org),
        (f"{NOT_FOUND}: not here", app_not_found_in_org),
        (NOT_FOUND, app_not_found_in_org),
        ("OAUTH_OF_THE_NEXT_RELEASE : something new", oauth_refused),
        ("error=invalid_client_id&error_description=client%20identifier%20invalid", invalid_client_id),
        ("error=redirect_uri_mismatch", redirect_uri_mismatch),
        ("access_denied", access_denied),
    ],
)
def test_the_page_about_an_error_ends_its_login(text: str, kind: Kind[...]) -> None:
    login = begun(PASTE)
    found, problem = refused(authorize.match_pasted(text, (login,)))
    assert (found, problem.kind) == (login, kind)
    assert "+" not in problem.message
    if f"state={STATE}" in text:
        assert refused(authorize.match_pasted(text, (other(begun(PASTE)), login)))[0] == login


@pytest.mark.parametrize(
    "text",
    [
        f"{ERROR_PAGE}?error=invalid_scope&state=unknown",
        f"{ERROR_PAGE}?state={STATE}",
        "https://other.my.salesforce.com/setup/secur/RemoteAccessErrorPage.apexp?error=invalid_scope",
        "was access_denied in my case",
        "made_up : by somebody",
        "myOAUTH_EC_APP_NOT_FOUND : not one",
    ],
)
def test_another_page_or_text_ends_no_login(text: str) -> None:
    with pytest.raises(UnmatchedResponse, match=r"\.$"):
        authorize.match_pasted(text, (begun(PASTE),))


def test_the_text_of_a_page_does_not_tell_which_of_several_logins_it_is_about() -> None:
    login = begun(PASTE)
    with pytest.raises(UnmatchedResponse):
        authorize.match_pasted(f"{NOT_FOUND} : not installed", (login, other(login)))


def test_a_refusal_of_scopes_names_those_that_the_app_has() -> None:
    # Those that were refused would be refused again.
    for asked, named in (("api web", True), ("api id", False), ("id", False), (None, False)):
        login = begun(scopes=asked)
        _, problem = refused(authorize.match_redirect(f"error=invalid_scope&state={STATE}", (login,)))
        assert problem.kind is invalid_scope
        assert ("--scopes 'api id'" in problem.actions[0]) == named
        assert "ExtlClntAppOauthSettings" in " ".join(problem.actions)


@pytest.mark.parametrize(
    "text",
    [
        f"https://www.example.com/other?code=abc&state={STATE}",
        f"https://www.example.com/cb/?code=abc&state={STATE}",
        f"https://www.example.com:8443/cb?code=abc&state={STATE}",
        f"https://www.example.com.evil.test/cb?code=abc&state={STATE}",
        f"https://someone@www.example.com/cb?code=abc&state={STATE}",
        f"http://www.example.com/cb?code=abc&state={STATE}",
        f"//www.example.com/cb?code=abc&state={STATE}",
        f"https://www.example.com/cb#code=abc&state={STATE}",
        "https://www.example.com/cb?code=abc&state=unknown",
        "https://www.example.com/cb?code=abc",
        "https://www.example.com/cb",
        "https://acme--uat.sandbox.my.salesforce.com/services/oauth2/authorize?response_type=code",
        "https://acme--uat.sandbox.my.salesforce.com/setup/secur/RemoteAccessErrorPage.apexp",
        f"code=abc&state={STATE}",
        f"?code=abc&state={STATE}",
        "code=aPrxFAKE1234567890==",
        "",
        "   ",
        "yes",
        "aPrxTooShort",
        "a" * 1025,
        "aPrxFAKE1234567890 aPrxFAKE1234567890",
        "aPrxFAKE\n1234567890",
        "aPrxFAKE1234567890===",
        "aPrx==FAKE1234567890",
        "aPrxFAKE1234567890%00",
        "aPrxFAKE1234567890%0A",
        "aPrxFAKE1234567890%ff",
        "aPrxFAKE1234567890é",
        "https://[",
        "http://[::1/cb?code=abc",
        "\x1b[200~aPrxFAKE1234567890\x1b[201~",
    ],
)
def test_a_wrong_paste_is_a_misfit(text: str) -> None:
    with pytest.raises(UnmatchedResponse, match=r"\.$"):
        authorize.match_pasted(text, (begun("https://www.example.com/cb"),))


@given(st.data())
def test_a_paste_of_several_is_taken_apart_however_each_is_written(data: st.DataObject) -> None:
    """Quoted, in brackets, without a scheme, broken by blanks or lines, and with or without a gap to the next."""
    callbacks = ("https://www.example.com/cb", "http://localhost:1717", "acme://done", "http://localhost:1718/")
    logins = tuple(
        replace(begun(callback), state=f"FAKE-STATE-{number}") for number, callback in enumerate(callbacks)
    )
    chosen = data.draw(st.lists(st.sampled_from(logins), min_size=1, max_size=4, unique_by=lambda each: each.state))
    pasted = ""
    for login in chosen:
        scheme, _, rest = login.redirect_uri.partition("://")
        head = data.draw(st.sampled_from((f"{scheme}://{rest}", rest, f"{scheme.upper()}://{rest.upper()}")))
        if login.redirect_uri == callbacks[0] and head.isupper():
            head = "HTTPS://WWW.Example.com/cb"
        tail = query(login)
        cut = data.draw(st.integers(1, len(tail)))
        broken = data.draw(st.sampled_from(("", " ", "\n", "\r\n  ")))
        before, after = data.draw(st.sampled_from((("", ""), ('"', '"'), ("<", ">"), ("\n1. ", ""), ("(", "),"))))
        gap = data.draw(st.sampled_from(("", " ", "\n")))
        pasted += f"{before}{head}?{tail[:cut]}{broken}{tail[cut:]}{after}{gap}"
    found = [granted(authorize.match_pasted(part, logins)) for part in authorize.split_pasted(pasted, logins)]
    assert found == [(login, CODE) for login in chosen]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f" {CODE}\n", [CODE]),
        ("one\n\ntwo\n", ["one", "two"]),
        (f"Oh no.\n{NOT_FOUND} : see https://help.example\n", [f"Oh no.\n{NOT_FOUND} : see https://help.example"]),
        (f"{PASTE}/?next=https://a.example/&{STATE}", [f"{PASTE}/?next=https://a.example/&{STATE}"]),
        ('""\n', []),
    ],
)
def test_what_is_no_address_or_inside_of_one_stays_whole(text: str, parts: list[str]) -> None:
    assert authorize.split_pasted(text, (begun(PASTE), begun("acme:/done"), begun("https://[broken"))) == parts


def test_an_address_of_one_login_does_not_answer_another() -> None:
    first, second = begun("https://one.example.com"), other(begun("https://two.example.com"))
    with pytest.raises(UnmatchedResponse):
        authorize.match_pasted(f"https://two.example.com/?{query(first)}", (first, second))


def test_a_callback_that_is_no_url_never_fits() -> None:
    login = begun("https://[broken")
    for text in (f"https://www.example.com/?{query(login)}", f"https://[broken?{query(login)}"):
        with pytest.raises(UnmatchedResponse):
            authorize.match_pasted(text, (login,))


@pytest.mark.parametrize("text", [CODE, quote(CODE, safe=""), f"  {CODE}\n", CODE.replace("=", "%3D")])
def test_a_bare_code_is_taken_encoded_or_not_while_one_login_waits(text: str) -> None:
    login = begun(PASTE)
    assert granted(authorize.match_pasted(text, (login,))) == (login, CODE)


def test_a_bare_code_is_refused_while_none_or_several_wait() -> None:
    login = begun(PASTE)
    for logins in ((), (login, other(login))):
        with pytest.raises(UnmatchedResponse):
            authorize.match_pasted(CODE, logins)


# --- properties ---------------------------------------------------------------------------------------------

NAMES = st.sampled_from(("code", "state", "error", "error_description", "iss", "app", "Code"))
TEXTS = st.text(max_size=20) | st.sampled_from((STATE, "another-state", CODE, "", ORG.url, PROD.url, "access_denied"))
QUERIES = st.lists(st.tuples(NAMES, TEXTS), max_size=6).map(urlencode) | st.text()


def judged(
    judge: Callable[..., tuple[AuthorizationRequest, AuthorizationCode | EcapipeError]],
    text: str,
    logins: tuple[AuthorizationRequest, ...],
) -> tuple[AuthorizationRequest, str] | None:
    """The login and code of a grant; None for a refusal or a misfit. Anything else fails the test."""
    try:
        login, outcome = judge(text, logins)
    except UnmatchedResponse:
        return None
    assert any(login is each for each in logins)
    return None if isinstance(outcome, EcapipeError) else granted((login, outcome))


@given(QUERIES)
def test_no_query_is_a_grant_unless_state_and_code_stand_in_it_once(text: str) -> None:
    found = judged(authorize.match_redirect, text, (begun(), other(begun())))
    if found is not None:
        pairs = parse_qsl(text, keep_blank_values=True)
        assert [value for name, value in pairs if name == "state"] == [found[0].state]
        assert [value for name, value in pairs if name == "code"] == [found[1]]


ADDRESSES = st.sampled_from(
    ("https://www.example.com", "https://www.example.com/", "acme://done", "https://evil.test/")
)


@given(st.builds("{}?{}".format, ADDRESSES, QUERIES) | QUERIES | st.text("aA0._~%=+/!- \n", max_size=40))
def test_no_paste_is_a_grant_unless_it_is_an_address_with_its_state_or_a_code_alone(text: str) -> None:
    both = (begun(PASTE), other(begun("acme://done")))
    found = judged(authorize.match_pasted, text, both)
    if found is not None:
        assert f"state={found[0].state}" in text
        assert text.strip().startswith(found[0].redirect_uri)
    alone = judged(authorize.match_pasted, text, both[:1])
    if alone is not None and f"state={STATE}" not in text:
        assert 16 <= len(text.strip()) <= 1026
        assert set(text.strip()) <= set(string.ascii_letters + string.digits + "._~%=+/!-")


@given(st.text(string.ascii_letters + string.digits + "+/=._~- %&#", min_size=1, max_size=60).filter(str.strip))
def test_a_code_is_decoded_once_and_encoded_once(code: str) -> None:
    login = begun(PASTE)
    address = f"{PASTE}/?code={quote(code, safe='')}&state={login.state}"
    for _, grant in (
        authorize.match_redirect(urlsplit(address).query, (login,)),
        authorize.match_pasted(address, (login,)),
    ):
        assert isinstance(grant, AuthorizationCode)
        form = tokens.request(grant, proven(), ORG).form
        assert form is not None
        sent = parse_qs(form.reveal(), strict_parsing=True)
        assert sent["code"] == [code]
        assert sent["redirect_uri"] == [PASTE]
        assert sent["code_verifier"] == [login.code_verifier.reveal()]


@given(
    st.text(string.ascii_letters + string.digits + "._~-", min_size=16, max_size=60), st.sampled_from(("", "=", "=="))
)
def test_a_bare_code_reaches_the_token_endpoint_unchanged(head: str, tail: str) -> None:
    code = head + tail
    for text in (code, quote(code, safe="")):
        _, grant = authorize.match_pasted(text, (begun(PASTE),))
        assert isinstance(grant, AuthorizationCode)
        form = tokens.request(grant, proven(), ORG).form
        assert form is not None
        assert parse_qs(form.reveal(), strict_parsing=True)["code"] == [code]
