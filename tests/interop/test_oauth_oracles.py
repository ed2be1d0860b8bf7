"""The same messages made and read by oauthlib, by Authlib and by ecapipe."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import billing
import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st
from keypairs import pem, rsa_key
from profiles import tries

from ecapipe.adapters.signer import EcKeys
from ecapipe.oauth import authorize, dpop, tokens
from ecapipe.oauth.authorize import UnmatchedResponse
from ecapipe.oauth.flows import jwt, web
from ecapipe.oauth.flows.client_credentials import ClientCredentials
from ecapipe.oauth.flows.web import AuthorizationCode
from ecapipe.oauth.messages import Response
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import Secret

pytestmark = pytest.mark.interop

CALLBACK = "https://www.example.com/done"
URI = f"{billing.ORG.url}/services/oauth2/authorize"

words = st.text(min_size=1, max_size=40)
verifiers = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", min_size=43, max_size=128)
"""RFC 7636, section 4.1."""


def parameters(encoded: str) -> list[tuple[str, str]]:
    """Names and values of a query or a form, in no order."""
    return sorted(parse_qsl(encoded, keep_blank_values=True, strict_parsing=True))


@given(verifiers)
def test_code_challenges_are_equal(verifier: str) -> None:
    from authlib.oauth2.rfc7636 import create_s256_code_challenge
    from oauthlib.oauth2 import WebApplicationClient

    ours = web.challenge(Secret(verifier))
    assert ours == WebApplicationClient("any").create_code_challenge(verifier, "S256")
    assert ours == create_s256_code_challenge(verifier)


@given(words, st.none() | words.filter(str.split), st.none() | words, st.binary(min_size=88, max_size=88))
def test_authorize_urls_have_equal_parameters(
    redirect_uri: str, scopes: str | None, username: str | None, random_bytes: bytes
) -> None:
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
    from oauthlib.oauth2 import WebApplicationClient

    drawn = iter(random_bytes)
    org = replace(billing.ORG, username=username)
    login = authorize.build_request(
        billing.proven(), org, redirect_uri, scopes, lambda n: bytes(next(drawn) for _ in range(n))
    )

    more = {
        "redirect_uri": redirect_uri,
        "scope": scopes,
        "state": login.state,
        "code_challenge": web.challenge(login.code_verifier),
        "code_challenge_method": "S256",
        "prompt": "login",
        "login_hint": username,
    }
    theirs = [
        WebApplicationClient(billing.KEY).prepare_request_uri(URI, **more),
        prepare_grant_uri(URI, billing.KEY, "code", **more),
    ]
    ours = urlsplit(login.authorize_url)
    for other in map(urlsplit, theirs):
        assert parameters(ours.query) == parameters(other.query)
        assert ours._replace(query="") == other._replace(query="")


@given(words, words, verifiers)
def test_requests_that_redeem_a_code_are_equal(code: str, redirect_uri: str, verifier: str) -> None:
    from authlib.oauth2.rfc6749.parameters import prepare_token_request
    from oauthlib.oauth2 import WebApplicationClient

    grant = AuthorizationCode(Secret(code), redirect_uri, Secret(verifier))
    ours = tokens.request(grant, billing.proven(), billing.ORG).form
    sent = {"code": code, "redirect_uri": redirect_uri, "code_verifier": verifier, "client_secret": billing.SECRET}

    assert ours is not None
    assert parameters(ours.reveal()) == parameters(WebApplicationClient(billing.KEY).prepare_request_body(**sent))
    assert parameters(ours.reveal()) == parameters(
        prepare_token_request("authorization_code", client_id=billing.KEY, **sent)
    )


def test_requests_with_client_credentials_are_equal() -> None:
    from authlib.oauth2.rfc6749.parameters import prepare_token_request
    from oauthlib.oauth2 import BackendApplicationClient

    ours = tokens.request(ClientCredentials(), billing.proven(), billing.ORG).form
    pair = {"client_id": billing.KEY, "client_secret": billing.SECRET}

    assert ours is not None
    assert parameters(ours.reveal()) == parameters(
        BackendApplicationClient(billing.KEY).prepare_request_body(
            include_client_id=True, client_secret=billing.SECRET
        )
    )
    assert parameters(ours.reveal()) == parameters(prepare_token_request("client_credentials", **pair))


def assertion(username: str, audience: str, random_bytes: bytes) -> tuple[str, str]:
    """An assertion of Billing, signed by a real key, and the form that it goes in."""

    def sign(data: bytes) -> bytes:
        return rsa_key().sign(data, padding.PKCS1v15(), hashes.SHA256())

    grant = jwt.sign_assertion(billing.KEY, username, audience, sign, time.time(), lambda n: random_bytes[:n])
    sent = tokens.request(grant, billing.proven(), billing.ORG).form
    assert sent is not None
    return grant.assertion.reveal(), sent.reveal()


assertions = given(words, st.from_regex(r"https://[a-z]{1,20}\.test/", fullmatch=True), st.binary(min_size=16))


@tries(20)
@assertions
def test_assertions_are_taken_by_authlib(username: str, audience: str, random_bytes: bytes) -> None:
    from authlib.oauth2.rfc7523 import JWTBearerGrant
    from joserfc.jwk import RSAKey

    class Judge(JWTBearerGrant):  # type: ignore[misc]  # it has no types
        LEEWAY = 0

        def resolve_issuer_client(self, issuer: str) -> str | None:
            return issuer if issuer == billing.KEY else None

        def resolve_client_public_key(self, client: str) -> Any:
            return RSAKey.import_key(rsa_key().public_key()).as_dict()

        def get_audiences(self) -> list[str]:
            return [audience]

    given, _ = assertion(username, audience, random_bytes)
    claims = Judge(None, None).process_assertion_claims(given)
    assert (claims["iss"], claims["sub"], claims["aud"]) == (billing.KEY, username, audience)


@tries(20)
@assertions
def test_assertions_are_taken_by_pyjwt_and_no_other_key_opens_them(
    username: str, audience: str, random_bytes: bytes
) -> None:
    import jwt

    given, _ = assertion(username, audience, random_bytes)
    required: Any = {"require": ["iss", "sub", "aud", "exp", "jti"]}
    public = rsa_key().public_key()
    claims = jwt.decode(given, public, ["RS256"], audience=audience, issuer=billing.KEY, options=required)
    assert claims["sub"] == username
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(given, rsa_key("two").public_key(), ["RS256"], audience=audience)


@tries(20)
@assertions
def test_forms_with_an_assertion_have_the_fields_of_oauthlib(
    username: str, audience: str, random_bytes: bytes
) -> None:
    from oauthlib.oauth2 import ServiceApplicationClient

    theirs = ServiceApplicationClient(billing.KEY).prepare_request_body(
        pem(rsa_key()).decode(), username, billing.KEY, audience, include_client_id=False
    )
    _, ours = assertion(username, audience, random_bytes)
    fields, expected = dict(parameters(ours)), dict(parameters(theirs))
    assert fields.pop("assertion").count(".") == expected.pop("assertion").count(".") == 2
    assert fields == expected


@given(
    st.sampled_from(["GET", "POST"]),
    st.binary(min_size=16, max_size=16),
    st.none() | st.from_regex(r"[A-Za-z0-9_-]{1,50}", fullmatch=True),
)
def test_proofs_are_taken_by_joserfc_and_by_pyjwt(method: str, random: bytes, nonce: str | None) -> None:
    import jwt as pyjwt
    from joserfc import jwt as joserfc
    from joserfc.jwk import ECKey

    url, at, token = f"{URI}?a=b", time.time(), Secret("00D!made.up")
    proof = dpop.sign_proof(PROOF_KEY, method, url, at=at, random=random, nonce=nonce, token=token).reveal()
    embedded = pyjwt.get_unverified_header(proof)["jwk"]
    key = ECKey.import_key(embedded)
    theirs = joserfc.decode(proof, key, algorithms=["ES256"])
    assert (theirs.header["typ"], key.is_private, key.thumbprint()) == ("dpop+jwt", False, dpop.thumbprint(PROOF_KEY))
    assert theirs.claims == pyjwt.decode(proof, pyjwt.PyJWK(embedded, "ES256").key, ["ES256"])
    assert (theirs.claims["htm"], theirs.claims["htu"], theirs.claims.get("nonce")) == (method, URI, nonce)
    other = ECKey.generate_key("P-256")
    with pytest.raises(pyjwt.InvalidSignatureError):
        pyjwt.decode(proof, pyjwt.PyJWK(other.as_dict(private=False), "ES256").key, ["ES256"])


PROOF_KEY = EcKeys().new()
LOGIN = authorize.build_request(billing.proven(), billing.ORG, CALLBACK, None, lambda length: bytes(range(length)))
FITS = f"state={LOGIN.state}"


def our_code(query: str) -> str | None:
    """The code of a redirect, or None for whatever is no code."""
    try:
        _, outcome = authorize.match_redirect(query, [LOGIN])
    except UnmatchedResponse:
        return None
    return outcome.code.reveal() if isinstance(outcome, AuthorizationCode) else None


def code_of_oauthlib(query: str) -> str | None:
    from oauthlib.oauth2 import OAuth2Error, WebApplicationClient

    try:
        answer = WebApplicationClient(billing.KEY).parse_request_uri_response(f"{CALLBACK}?{query}", LOGIN.state)
    except OAuth2Error:
        return None
    return str(answer["code"])


def code_of_authlib(query: str) -> str | None:
    from authlib.oauth2 import OAuth2Error
    from authlib.oauth2.rfc6749.parameters import parse_authorization_code_response

    try:
        return str(parse_authorization_code_response(f"{CALLBACK}?{query}", LOGIN.state)["code"])
    except OAuth2Error:
        return None


REDIRECTS_READ_ALIKE = {
    "a code": (f"code=aPrxFAKE&{FITS}", "aPrxFAKE"),
    "state before code": (f"{FITS}&code=aPrxFAKE", "aPrxFAKE"),
    "an encoded code": (f"code=aPrx%2F%2B%3D%3D&{FITS}", "aPrx/+=="),
    "a code whose padding is not encoded": (f"code=aPrx==&{FITS}", "aPrx=="),
    "a plus": (f"code=a+b&{FITS}", "a b"),
    "unknown parameters": (f"code=aPrxFAKE&{FITS}&sfdc_community_url=x&display", "aPrxFAKE"),
    "no state": ("code=aPrxFAKE", None),
    "an empty state": ("code=aPrxFAKE&state=", None),
    "another state": ("code=aPrxFAKE&state=another", None),
    "no code": (FITS, None),
    "an empty code": (f"code=&{FITS}", None),
    "a refusal": (f"error=access_denied&{FITS}", None),
    "a refusal without state": ("error=access_denied", None),
    "nothing": ("", None),
}


@pytest.mark.parametrize(("query", "code"), REDIRECTS_READ_ALIKE.values(), ids=REDIRECTS_READ_ALIKE.keys())
@pytest.mark.parametrize("read", [our_code, code_of_oauthlib, code_of_authlib])
def test_redirects_that_are_read_alike(read: Callable[[str], str | None], query: str, code: str | None) -> None:
    assert read(query) == code


REDIRECTS_READ_OTHERWISE = {
    # RFC 6749, section 3.1, forbids repetition; which of two is meant nobody can know. The others take the last.
    "two codes": (f"code=first&code=last&{FITS}", None, "last", "last"),
    "two states": (f"code=aPrxFAKE&state=another&{FITS}", None, "aPrxFAKE", "aPrxFAKE"),
    # Neither a refusal nor a grant. oauthlib reads the refusal, Authlib the code.
    "code and error": (f"code=aPrxFAKE&error=access_denied&{FITS}", None, None, "aPrxFAKE"),
    # RFC 9207: a code of another issuer goes nowhere. The parsers of the others leave that to their callers.
    "another issuer": (f"code=aPrxFAKE&{FITS}&iss=https://evil.example", None, "aPrxFAKE", "aPrxFAKE"),
}
"""Redirects, and the code that ecapipe, oauthlib and Authlib take from each."""


@pytest.mark.parametrize(
    ("query", "ours", "oauthlib", "authlib"), REDIRECTS_READ_OTHERWISE.values(), ids=REDIRECTS_READ_OTHERWISE.keys()
)
def test_redirects_that_are_read_otherwise(
    query: str, ours: str | None, oauthlib: str | None, authlib: str | None
) -> None:
    assert our_code(query) == ours
    assert code_of_oauthlib(query) == oauthlib
    assert code_of_authlib(query) == authlib


@given(st.from_regex(r"[a-z_]{3,30}", fullmatch=True), st.text("abcdefghij -.,'", max_size=60).map(str.strip))
def test_refusals_are_read_like_oauthlib_reads_them(error: str, description: str) -> None:
    from oauthlib.oauth2 import OAuth2Error, WebApplicationClient

    body = json.dumps({"error": error, "error_description": description})
    with pytest.raises(OAuth2Error) as theirs:
        WebApplicationClient(billing.KEY).parse_request_body_response(body)
    with pytest.raises(EcapipeError) as ours:
        tokens.read(Response(400, JSON, body.encode()), ClientCredentials(), billing.proven(), billing.ORG, app=None)

    assert ours.value.problem.oauth_error == theirs.value.error


JSON, FORM, HTML = "application/json", "application/x-www-form-urlencoded", "text/html"

USUAL = {
    "access_token": "00DFAKE!token",
    "token_type": "Bearer",
    "instance_url": billing.ORG.url,
    "id": f"{billing.ORG.url}/id/{billing.ORG_ID}/{billing.USER_ID}",
}

Read = tuple[str, str | None, tuple[str, ...]]
"""Access token, refresh token, scopes."""

PLAIN: Read = ("00DFAKE!token", None, ())


def our_token(answer: Response) -> Read | None:
    """What a token answer holds, or None for one that is refused."""
    try:
        token = tokens.read(answer, ClientCredentials(), billing.proven(), billing.ORG, app=None)
    except EcapipeError:
        return None
    refresh = token.refresh_token.reveal() if token.refresh_token else None
    return token.access_token.reveal(), refresh, token.scopes


def token_of_oauthlib(answer: Response) -> Read | None:
    from oauthlib.oauth2 import OAuth2Error, WebApplicationClient

    try:
        token = WebApplicationClient(billing.KEY).parse_request_body_response(answer.body.decode())
    except OAuth2Error:
        return None
    return token["access_token"], token.get("refresh_token"), tuple(token.get("scope") or ())


def token_of_authlib(answer: Response) -> Read | None:
    from authlib.oauth2 import OAuth2Client, OAuth2Error

    response = httpx.Response(
        answer.status,
        headers={"Content-Type": answer.content_type},
        content=answer.body,
        request=httpx.Request("POST", f"{billing.ORG.url}/services/oauth2/token"),
    )
    try:
        token = OAuth2Client(None, billing.KEY).parse_response_token(response)
    except (OAuth2Error, httpx.HTTPStatusError, ValueError):
        return None
    return token.get("access_token"), token.get("refresh_token"), tuple(token.get("scope", "").split())


def answered(changes: Mapping[str, object] | None = None, status: int = 200, without: str = "") -> Response:
    """The usual token answer with some changes."""
    members = {name: value for name, value in {**USUAL, **(changes or {})}.items() if name != without}
    return Response(status, JSON, json.dumps(members).encode())


TWO_SCOPES = Response(200, JSON, answered().body[:-1] + b', "scope": "api", "scope": "id"}')

TOKENS_READ_ALIKE: dict[str, tuple[Response, Read | None]] = {
    "the usual": (answered(), PLAIN),
    "scopes": (answered({"scope": "api id"}), ("00DFAKE!token", None, ("api", "id"))),
    "a refresh token": (answered({"refresh_token": "5AepFAKE"}), ("00DFAKE!token", "5AepFAKE", ())),
    "bearer in lower case": (answered({"token_type": "bearer"}), PLAIN),
    "no token type": (answered(without="token_type"), PLAIN),
    "a lifetime": (answered({"expires_in": 7200}), PLAIN),
    "unknown members": (answered({"sfdc_community_url": "x", "nested": {"a": [1]}}), PLAIN),
    "a member twice": (TWO_SCOPES, ("00DFAKE!token", None, ("id",))),
    "a refusal": (Response(400, JSON, b'{"error": "invalid_grant"}'), None),
    "a refusal that says 200": (answered({"error": "invalid_grant"}), None),
    "a page": (Response(200, HTML, b"<!doctype html><title>Maintenance</title>"), None),
    "nothing": (Response(200, JSON, b""), None),
}


@pytest.mark.parametrize(("answer", "token"), TOKENS_READ_ALIKE.values(), ids=TOKENS_READ_ALIKE.keys())
@pytest.mark.parametrize("read", [our_token, token_of_oauthlib, token_of_authlib])
def test_token_answers_that_are_read_alike(
    read: Callable[[Response], Read | None], answer: Response, token: Read | None
) -> None:
    assert read(answer) == token


TWO_TOKENS = Response(200, JSON, answered().body[:-1] + b', "access_token": "last"}')
AS_FORM = urlencode(USUAL).encode()

TOKENS_READ_OTHERWISE: dict[str, tuple[Response, object, object, object]] = {
    # Salesforce tells by `id` whose token it is; without one there is nothing to verify.
    "no id": (answered(without="id"), None, PLAIN, PLAIN),
    # A token of another type is not to be sent as a bearer (RFC 6749, section 7.1).
    "another token type": (answered({"token_type": "DPoP"}), None, PLAIN, PLAIN),
    # RFC 6749, section 5.1, requires one, a string. Authlib leaves that to its caller.
    "no access token": (answered(without="access_token"), None, None, (None, None, ())),
    "a number for a token": (answered({"access_token": 7}), None, (7, None, ()), (7, None, ())),
    # Which of two is meant, nobody can tell: both are revoked.
    "two tokens": (TWO_TOKENS, None, ("last", None, ()), ("last", None, ())),
    # A success is 200. oauthlib never sees the status; Authlib only minds those of servers in trouble.
    "status 500": (answered(status=500), None, PLAIN, None),
    "status 201": (answered(status=201), None, PLAIN, PLAIN),
    # Salesforce sends a form to who asks for it; it counts if it says that it is one. oauthlib always guesses.
    "a form that says so": (Response(200, FORM, AS_FORM), PLAIN, PLAIN, None),
    "a form that says JSON": (Response(200, JSON, AS_FORM), None, PLAIN, None),
}
"""Token answers, and what ecapipe, oauthlib and Authlib take from each."""


@pytest.mark.parametrize(
    ("answer", "ours", "oauthlib", "authlib"), TOKENS_READ_OTHERWISE.values(), ids=TOKENS_READ_OTHERWISE.keys()
)
def test_token_answers_that_are_read_otherwise(
    answer: Response, ours: object, oauthlib: object, authlib: object
) -> None:
    assert our_token(answer) == ours
    assert token_of_oauthlib(answer) == oauthlib
    assert token_of_authlib(answer) == authlib
