"""Logins bound to a key (DPoP, RFC 9449): in every flow, saved, used and ended; and where they cannot go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keypairs
import pytest
import trees
from cli.test_login import LASTING, ROTATING, Org
from commandline import Ended, inside, on_terminal
from fakes.orgs import emulated
from fakes.scene import PASTED
from loopback import request

from ecapipe.emulator.faults import Fault

BOUND = {"isDPopEnabled": "true"}
TOKEN, USERINFO, REST = "/services/oauth2/token", "/services/oauth2/userinfo", "/services/data/v60.0/"


@contextmanager
def known(place: Path, *faults: Fault) -> Iterator[Org]:
    home = place / "home"
    home.mkdir()
    certificate = keypairs.certificate(keypairs.rsa_key())
    root = trees.plant(
        place / "project",
        trees.project()
        | trees.robot()
        | trees.app("Bound", settings={"callbackUrl": PASTED, **BOUND, **ROTATING}, oauth=LASTING)
        | trees.app("Nightly", settings={**trees.CLIENT_CREDENTIALS, **BOUND}, policies=ROBOT)
        | trees.app("Signer", settings={"certificate": certificate, **BOUND}, policies=ROBOT),
    )
    with emulated(root, faults=faults) as emulator:
        yield Org(root, home, emulator)


ROBOT = {**trees.CLIENT_CREDENTIALS, "clientCredentialsFlowUser": "robot@acme.example"}


@pytest.fixture
def org(tmp_path: Path) -> Iterator[Org]:
    with known(tmp_path) as org:
        yield org


def run(org: Org, app: str, *more: str) -> Ended:
    return inside("run", "-d", str(org.root), "-n", app, "-o", f"uat={org.url}", *more, at=org.home)


def asked(org: Org) -> list[tuple[str, int | None]]:
    return [(each.path, each.status) for each in org.emulator.requests]


def headers(ended: Ended) -> dict[str, str]:
    """The headers that a command printed."""
    return dict(line.split(": ", 1) for line in ended.out.splitlines())


def get(org: Org, path: str, ended: Ended) -> Any:
    return request(int(org.url.rpartition(":")[2]), path, headers=headers(ended))


@pytest.mark.parametrize("app", ["Nightly", "Signer"])
def test_an_app_that_requires_dpop_logs_in_without_people(org: Org, app: str) -> None:
    key = ("--jwt-key-file", keypairs.written(org.home, keypairs.pem(keypairs.rsa_key())))
    way = (*key, "--username", "robot@acme.example") if app == "Signer" else ()
    ended = run(org, app, *way)
    assert ended.status == 0, ended
    assert asked(org) == [(TOKEN, 400), (TOKEN, 200), (USERINFO, 200), (REST, 200)]


def test_a_flag_binds_the_token_of_an_app_that_does_not_require_it_and_the_plan_says_so(org: Org) -> None:
    plan = run(org, "Robot", "--dpop", "--dry-run", "--json").result["stages"][-1]
    assert plan["facts"]["tokenType"] == "DPoP"
    assert run(org, "Robot", "--dpop", "--revoke", "--json").result["successes"][0]["token"] == "revoked"
    assert asked(org)[:2] == [(TOKEN, 400), (TOKEN, 200)]
    assert run(org, "Robot").status == 0
    assert asked(org)[-3:] == [(TOKEN, 200), (USERINFO, 200), (REST, 200)]


def test_a_printed_token_that_is_bound_says_that_it_needs_a_proof(org: Org) -> None:
    printed = run(org, "Nightly", "--print-token", "header")
    assert printed.out.startswith("Authorization: DPoP 00D")
    assert "no request with it can be proved" in printed.err
    assert get(org, USERINFO, printed).text == "Bad_OAuth_Token"


def test_an_org_that_answers_with_a_bearer_token_all_the_same_is_a_warning(tmp_path: Path) -> None:
    identity = "http://localhost/id/00D000000000001EAA/005000001000002AAA"
    bearer = {"access_token": "00D000000000001!MADE.UP", "token_type": "Bearer", "id": identity}
    with known(tmp_path, Fault(TOKEN, {"status": 200, "body": bearer})) as org:
        ended = run(org, "Robot", "--dpop", "--until", "token", "--json")
    assert ended.status == 0, ended
    assert any("did not bind the token" in warning for warning in ended.document["warnings"])


def test_no_bound_login_is_handed_over(org: Org) -> None:
    refused = run(org, "Robot", "--dpop", "--hand-over", "sf")
    assert (refused.status, asked(org)) == (2, [])
    assert "--hand-over can't be used with --dpop" in refused.err


def test_a_saved_login_keeps_its_key_with_its_secrets_and_uses_it_to_the_end(org: Org) -> None:
    saved = org.save("Bound")
    assert saved.status == 0, saved
    (record,) = org.records
    key = record["secrets"].pop("dpopKey")
    assert record["version"] == 2, "0.1.0 would lose the key"
    assert len(key) == 43
    assert key not in json.dumps(record)
    assert org.login("display", "--verify", "--json").result["login"]["bound"]
    first = record["secrets"]["refreshToken"]
    assert org.login("refresh").status == 0
    assert (org.secrets["dpopKey"], org.secrets["refreshToken"] != first) == (key, True)

    plain = org.login("token")
    assert plain.out.strip() == org.secrets["accessToken"]
    assert "--proof METHOD URL" in plain.err
    assert get(org, USERINFO, org.login("token", "--header")).text == "Bad_OAuth_Token"
    proved = org.login("token", "--proof", "GET", f"{org.url}{REST}?q=1")
    assert set(headers(proved)) == {"Authorization", "DPoP"}
    assert get(org, f"{REST}?q=1", proved).status == 200
    assert get(org, f"{REST}?q=1", proved).status == 401, "a proof is good once"

    org.end_session()
    renewed = org.login("token")
    assert (renewed.status, renewed.out != plain.out) == (0, True)
    assert org.login("logout").status == 0
    assert org.records == []
    assert org.post("revoke", token=renewed.out.strip()).status == 400, "it is revoked"


def test_a_proof_is_for_bound_logins_and_addresses(org: Org) -> None:
    org.save("Robot")
    assert org.records[0]["version"] == 1
    refused = org.login("token", "--proof", "GET", f"{org.url}{REST}")
    assert (refused.status, refused.out) == (1, "")
    assert "LoginNotBound" in refused.err
    for method, url in (
        ("G T", org.url),
        ("GET", "nonsense"),
        ("GET", "http://acme.example/"),
        ("GET", "https://a@b"),
    ):
        assert org.login("token", "--proof", method, url).status == 2
    with on_terminal("login", "token", "--proof", "GET", org.url, at=org.home) as screen:
        assert screen.end().status == 2


@pytest.mark.parametrize("key", [None, "A" * 43, "short"])
def test_a_saved_login_whose_key_is_gone_is_damaged(org: Org, key: str | None) -> None:
    org.save("Bound")
    (path,) = org.home.rglob("logins/*.json")
    record = json.loads(path.read_text())
    if key is None:
        del record["secrets"]["dpopKey"]
    else:
        record["secrets"]["dpopKey"] = key
    path.write_text(json.dumps(record))
    before = len(asked(org))
    for command in ("refresh", "token"):
        ended = org.login(command)
        assert (ended.status, "RecordDamaged" in ended.err, ended.out) == (1, True, "")
    assert len(asked(org)) == before
    assert org.login("logout", "--forget").status == 0


@pytest.mark.parametrize(
    ("path", "answer", "name"),
    [
        (TOKEN, {"status": 400, "body": {"error": "invalid_dpop_proof"}}, "DpopProofRefused"),
        (TOKEN, {"status": 400, "body": {"error": "use_dpop_nonce"}}, "DpopProofRefused"),
        (REST, {"status": 401, "body": [{"errorCode": "INVALID_AUTH_HEADER"}]}, "DpopNotSupported"),
        (USERINFO, {"status": 403, "body": "Bad_OAuth_Token"}, "UserInfoRefused"),
    ],
)
def test_what_an_org_says_of_a_proof_is_named(tmp_path: Path, path: str, answer: Any, name: str) -> None:
    with known(tmp_path, Fault(path, answer)) as org:
        ended = run(org, "Nightly", "--json")
    assert [failure["name"] for failure in ended.result["failures"]] == [name]


def test_an_org_that_requires_dpop_of_an_app_whose_file_does_not_say_so_names_the_flag(org: Org) -> None:
    (settings,) = org.root.rglob("Nightly_glbloauth*")
    settings.write_text(settings.read_text().replace("<isDPopEnabled>true</isDPopEnabled>", ""))
    ended = run(org, "Nightly", "--json")
    (failure,) = ended.result["failures"]
    assert (failure["name"], failure["oauthError"]) == ("DpopRequired", "invalid_dpop_proof")
    assert "--dpop" in failure["actions"][0]
    assert run(org, "Nightly", "--dpop").status == 0
