"""Proofs of possession: what they say, what they are signed by, and what an org says of them."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.adapters.signer import EcKeys
from ecapipe.emulator import jws
from ecapipe.oauth import dpop
from ecapipe.secret import Secret

KEY = EcKeys().new()
TOKEN = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"


class Example:
    """The public key of the examples of RFC 9449."""

    x = jws.base64url("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs")
    y = jws.base64url("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA")
    secret = Secret("unknown")

    def sign(self, data: bytes) -> bytes:
        raise NotImplementedError


def sign(**changes: Any) -> jws.Jws:
    given = {"method": "POST", "url": "https://acme.example/token", "at": 1_800_000_000.9, "random": bytes(16)}
    return jws.parse(dpop.sign_proof(KEY, **{**given, **changes}).reveal())


def test_the_examples_of_the_standard() -> None:
    assert dpop.thumbprint(Example()) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    assert sign(token=Secret(TOKEN)).claims["ath"] == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


nonces = st.text(st.sampled_from([chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"\\']), min_size=1)


@given(st.sampled_from(["GET", "PATCH"]), nonces, st.binary(min_size=16, max_size=16))
def test_a_proof_says_what_it_is_for_and_nothing_else(method: str, nonce: str, random: bytes) -> None:
    proof = sign(method=method, nonce=nonce, random=random)
    numbers = (int.from_bytes(proof.signature[:32]), int.from_bytes(proof.signature[32:]))
    point = ec.EllipticCurvePublicNumbers(int.from_bytes(KEY.x), int.from_bytes(KEY.y), ec.SECP256R1())
    point.public_key().verify(utils.encode_dss_signature(*numbers), proof.signed, ec.ECDSA(hashes.SHA256()))
    assert set(proof.header) == {"typ", "alg", "jwk"}
    assert set(proof.header["jwk"]) == {"crv", "kty", "x", "y"}
    jti = base64.urlsafe_b64encode(random).rstrip(b"=").decode()
    expected = {"jti": jti, "htm": method, "htu": "https://acme.example/token", "iat": 1_800_000_000}
    assert proof.claims == {**expected, "nonce": nonce}
    assert KEY.secret.reveal() not in json.dumps([proof.header, proof.claims])


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (
            "https://acme.my.site.com/shop/services/oauth2/token",
            "https://acme.my.site.com/shop/services/oauth2/token",
        ),
        ("HTTPS://Acme.Example:443/a?q=1#f", "https://acme.example/a"),
        ("http://localhost:8080/A/?", "http://localhost:8080/A/"),
        ("http://[::1]:80", "http://[::1]/"),
        ("https://acme.example/a%2Fb", "https://acme.example/a%2Fb"),
    ],
)
def test_the_address_of_a_proof_is_that_of_the_request_without_query(url: str, target: str) -> None:
    assert dpop.target(url) == target
    assert dpop.target(target) == target
    assert urlsplit(target)[:2] == urlsplit(dpop.origin(url))[:2]


@given(st.text(st.characters(codec="latin-1"), max_size=40))
def test_a_nonce_is_one_or_none(header: str) -> None:
    nonce = dpop.read_nonce(header)
    fits = bool(header) and all("!" <= each <= "~" and each not in '"\\' for each in header)
    assert nonce == (header if fits else None)


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ('DPoP error="use_dpop_nonce", error_description="Resource server requires nonce"', "use_dpop_nonce"),
        ('DPoP algs="ES256", error="invalid_token"', "invalid_token"),
        ('Bearer realm="x", dpop algs="ES256 PS256", error="invalid_dpop_proof"', "invalid_dpop_proof"),
        ('Bearer error="invalid_token"', None),
        ("Token", None),
        ("", None),
        (None, None),
    ],
)
def test_the_error_of_a_challenge(header: str | None, error: str | None) -> None:
    assert dpop.read_challenge(header) == error
    assert dpop.read_nonce("x" * 1025) is None
