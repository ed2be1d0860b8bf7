"""Proofs that are sent: each is new, and the nonce of a host goes into those that follow."""

from __future__ import annotations

import itertools
from dataclasses import replace

import billing
import pytest
from fakes.scripted import NOW, answer

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.signer import EcKeys
from ecapipe.emulator import jws
from ecapipe.events import Clock
from ecapipe.exchange.sending import send
from ecapipe.oauth.messages import Request, Response
from ecapipe.run.world import World
from ecapipe.secret import Secret

TOKEN = Request(billing.ORG.address, "/services/oauth2/token", form=Secret("a=b"), key=EcKeys().new())
USER = replace(TOKEN, path="/services/oauth2/userinfo", form=None, bearer=Secret("made.up.token"))
WANTED = answer({"error": "use_dpop_nonce"}, 400)
CHALLENGED = Response(401, "text/plain", b"Bad_OAuth_Token", nonce="two", challenge="use_dpop_nonce")
FINE = answer({})


class Org:
    """It gives its answers one after the other, and keeps the proofs."""

    def __init__(self, *answers: Response) -> None:
        self.answers, self.proofs = iter(answers), list[jws.Jws]()

    def __call__(self, request: Request) -> Response:
        if request.proof is not None:
            self.proofs.append(jws.parse(request.proof.reveal()))
        return next(self.answers)

    @property
    def nonces(self) -> list[object]:
        return [proof.claims.get("nonce") for proof in self.proofs]

    @property
    def world(self) -> World:
        clock = Clock(lambda: 0.0, lambda: NOW, lambda seconds: None)
        numbers = itertools.count()
        return replace(
            composition.real_world(Environment({})),
            send=self,
            clock=clock,
            random_bytes=lambda length: next(numbers).to_bytes(length),
        )


@pytest.mark.parametrize("refusal", [replace(WANTED, nonce="two"), CHALLENGED])
def test_a_request_that_lacks_the_nonce_is_sent_once_more_with_it_whatever_it_is(refusal: Response) -> None:
    org = Org(refusal, FINE, replace(FINE, nonce="three"), FINE)
    world = org.world
    assert send(TOKEN, world, 0.0, repeatable=False) is FINE
    assert org.nonces == [None, "two"]
    # The last one counts, also that of a success, for all that is sent to the host.
    send(USER, world, 0.0)
    send(USER, world, 0.0)
    assert org.nonces[2:] == ["two", "three"]
    assert len({proof.claims["jti"] for proof in org.proofs}) == 4
    assert [proof.claims["htm"] for proof in org.proofs] == ["POST", "POST", "GET", "GET"]
    assert ["ath" in proof.claims for proof in org.proofs] == [False, False, True, True]


def test_a_host_that_is_never_content_is_asked_twice() -> None:
    org = Org(replace(WANTED, nonce="one"), replace(WANTED, nonce="two"), FINE)
    assert send(TOKEN, org.world, 0.0, repeatable=False).status == 400
    assert org.nonces == [None, "one"]


@pytest.mark.parametrize("nonce", [None, "one"])
def test_a_nonce_that_is_no_news_changes_nothing(nonce: str | None) -> None:
    org = Org(replace(FINE, nonce="one"), replace(WANTED, nonce=nonce), FINE)
    world = org.world
    send(TOKEN, world, 0.0)
    assert send(TOKEN, world, 0.0, repeatable=False).status == 400
    assert org.nonces == [None, "one"]


def test_each_origin_has_a_nonce_of_its_own() -> None:
    org = Org(replace(FINE, nonce="one"), FINE)
    world = org.world
    send(TOKEN, world, 0.0)
    send(replace(TOKEN, to=replace(TOKEN.to, url="https://other.my.salesforce.com")), world, 0.0)
    assert org.nonces == [None, None]


def test_without_a_key_nothing_is_proved_and_no_nonce_is_kept() -> None:
    org = Org(replace(WANTED, nonce="one"))
    world = org.world
    assert send(replace(TOKEN, key=None), world, 0.0).status == 400
    assert (org.proofs, world.nonces) == ([], {})
