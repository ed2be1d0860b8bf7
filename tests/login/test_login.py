"""One app in one org, against a scripted org: what is sent, how often, and what becomes of the token."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trees
from fakes import scripted
from fakes.scripted import BUSY, Answer, Orgs, Outcome, answer

from ecapipe.login.options import LoginOptions
from ecapipe.oauth.messages import Response
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems import api, oauth
from ecapipe.problems.network import connection_failed, connection_lost, unexpected_answer
from ecapipe.problems.orgs import wrong_org, wrong_user
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run.pipeline import RunRequest
from ecapipe.secret import Secret

HOST = "acme.my.salesforce.com"
Script = dict[str, list[Answer]]
Login = Callable[..., Outcome]


def token(**changes: object) -> Response:
    return scripted.token(HOST, **{"scope": "api", **changes})


def user(**changes: object) -> Response:
    return scripted.user(HOST, **changes)


@pytest.fixture
def run(tmp_path: Path) -> Login:
    """Runs Billing against a scripted org; with `web` a person signs in, else client credentials are used."""

    def go(
        script: Script, how: LoginOptions | None = None, *, web: bool = False, which: OrgSelection | None = None
    ) -> Outcome:
        flows = {} if web else trees.CLIENT_CREDENTIALS
        settings = {"callbackUrl": scripted.PASTED if web else None, **flows}
        root = trees.plant(tmp_path, trees.project() | trees.app(settings=settings, policies=flows))
        which = which or OrgSelection((f"uat=https://{HOST}",))
        request = RunRequest(ProjectSelection((str(root),)), which, how or LoginOptions())
        return scripted.run(request, Orgs(script, scope="api"))

    return go


def test_a_login_asks_each_endpoint_once(run: Login) -> None:
    outcome = run({})
    assert outcome.orgs.endpoints == ["token", "userinfo", "v60.0"]
    assert outcome.report.status == 0
    assert outcome.orgs.forms == [
        {
            "client_id": [trees.key("Billing")],
            "client_secret": [trees.secret("Billing")],
            "grant_type": ["client_credentials"],
        }
    ]


def test_a_code_is_decoded_once_and_sent_with_its_verifier(run: Login) -> None:
    outcome = run({}, web=True)
    (form,) = outcome.orgs.forms
    assert form["code"][0].endswith("==")
    assert form["redirect_uri"] == [scripted.PASTED]
    assert len(form["code_verifier"][0]) == 86


def test_user_info_is_asked_again_after_what_passes(run: Login) -> None:
    outcome = run({"userinfo": [BUSY, EcapipeError(connection_lost(HOST, "reset")), user()]})
    assert outcome.report.status == 0
    assert outcome.orgs.endpoints.count("userinfo") == 3
    assert [0.5 <= outcome.slept[0] <= 1.0, 1.0 <= outcome.slept[1] <= 2.0] == [True, True]


def test_three_attempts_are_enough(run: Login) -> None:
    outcome = run({"userinfo": [BUSY]})
    assert (outcome.orgs.endpoints.count("userinfo"), outcome.problem) == (3, oauth.server_busy.name)


def test_retry_after_is_obeyed(run: Login) -> None:
    outcome = run({"userinfo": [answer({}, 429, retry_after=7.0), user()]})
    assert outcome.report.status == 0
    assert outcome.slept == [7.0]


def test_a_long_retry_after_is_reported_at_once(run: Login) -> None:
    outcome = run({"userinfo": [answer({}, 429, retry_after=3600.0)]})
    assert (outcome.slept, outcome.problem) == ([], oauth.rate_limited.name)


@pytest.mark.parametrize("failure", [BUSY, EcapipeError(connection_lost(HOST, "reset"))])
def test_a_code_is_never_redeemed_twice_after_an_ambiguous_failure(
    run: Login, failure: Response | EcapipeError
) -> None:
    outcome = run({"token": [failure, token()]}, web=True)
    assert outcome.orgs.endpoints == ["token"]
    assert outcome.report.status == 1


def test_a_code_is_sent_again_when_nothing_was_sent(run: Login) -> None:
    refused = EcapipeError(connection_failed(HOST, "connection refused"))
    outcome = run({"token": [refused, refused, token()]}, web=True)
    assert outcome.orgs.endpoints[:3] == ["token", "token", "token"]
    assert outcome.report.status == 0


def test_client_credentials_are_sent_again(run: Login) -> None:
    assert run({"token": [BUSY, token()]}).report.status == 0


def test_a_refusal_of_scopes_that_nobody_named_does_not_advise_to_name_others(run: Callable[..., Outcome]) -> None:
    problem = run({"token": [answer({"error": "invalid_scope"}, 400)]}).report.problems[0]
    assert (problem.kind, "--scopes" in " ".join(problem.actions)) == (oauth.invalid_scope, False)


FRESH = {"error": "invalid_client_id", "error_description": "client identifier invalid"}


def test_settling_waits_for_a_fresh_deploy(run: Login) -> None:
    outcome = run({"token": [answer(FRESH, 400), answer(FRESH, 400), token()]}, LoginOptions(settle=1.0), web=True)
    assert outcome.report.status == 0
    assert outcome.slept == [15.0, 15.0]


def test_settling_ends(run: Login) -> None:
    outcome = run({"token": [answer(FRESH, 400)]}, LoginOptions(settle=1.0))
    assert (outcome.problem, outcome.orgs.endpoints.count("token")) == (oauth.invalid_client_id.name, 5)


def test_without_settling_the_first_refusal_counts(run: Login) -> None:
    outcome = run({"token": [answer(FRESH, 400)]})
    assert (outcome.problem, outcome.orgs.endpoints) == (oauth.invalid_client_id.name, ["token"])


def test_settling_does_not_wait_for_a_wrong_secret(run: Login) -> None:
    refused = answer({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)
    assert run({"token": [refused]}, LoginOptions(settle=10.0)).slept == []


def signed(key: str) -> str:
    return base64.b64encode(hmac.digest(key.encode(), f"{scripted.identity(HOST)}1".encode(), "sha256")).decode()


def test_a_signature_made_with_the_secret_is_accepted(run: Login) -> None:
    assert run({"token": [token(signature=signed(trees.secret("Billing")))]}).report.status == 0


def test_another_signature_is_refused_and_the_token_not_used(run: Login) -> None:
    outcome = run({"token": [token(signature=signed("another secret"))]})
    assert (outcome.problem, outcome.orgs.endpoints) == (oauth.signature_mismatch.name, ["token", "revoke"])


@pytest.mark.parametrize(
    ("found", "expected", "problem"),
    [
        ({"organization_id": "00D000000000002EAA"}, {}, wrong_org.name),
        ({"user_id": "005000000000002AAA"}, {}, wrong_user.name),
        ({}, {"username": "grace@example.com"}, wrong_user.name),
    ],
)
def test_a_mismatch_fails_and_revokes_what_lives_long(
    run: Login, found: dict[str, str], expected: dict[str, Any], problem: str
) -> None:
    which = replace(OrgSelection((f"uat=https://{HOST}",)), **expected)
    script: Script = {"token": [token(refresh_token="5Aep861FAKE")], "userinfo": [user(**found)]}
    outcome = run(script, which=which)
    assert (outcome.problem, outcome.orgs.endpoints) == (problem, ["token", "userinfo", "revoke"])
    assert outcome.orgs.forms[-1] == {"token": ["5Aep861FAKE"]}
    assert "were revoked" in outcome.report.problems[0].message


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"token": {"scope": 'FAKE\n"FAKE'}}, ["token"]),
        ({"token": {"signature": "wrong"}}, ["token"]),
        ({"token": {"id": "https://x.test/id/FAKE"}}, ["token"]),
        ({"userinfo": {"preferred_username": "ada" * 100}}, ["token", "userinfo"]),
        ({"userinfo": {"user_id": "FAKE"}}, ["token", "userinfo"]),
    ],
)
@pytest.mark.parametrize("also", [{}, {"refresh_token": "5Aep861FAKE"}], ids=["access", "refresh, too"])
def test_an_answer_that_cannot_be_believed_revokes_what_it_brought(
    run: Login, changes: dict[str, dict[str, str]], asked: list[str], also: dict[str, str]
) -> None:
    issued = token(**{**also, **changes.get("token", {})})
    outcome = run({"token": [issued], "userinfo": [user(**changes.get("userinfo", {}))]})
    assert outcome.problem in (unexpected_answer.name, oauth.signature_mismatch.name)
    brought = [json.loads(token().body)["access_token"], *also.values()]
    assert outcome.orgs.endpoints == [*asked, *["revoke"] * len(brought)]
    assert outcome.orgs.forms[-len(brought) :] == [{"token": [each]} for each in brought]
    assert [each.facts["revoked"] for each in outcome.report.ended if each.outcome == "failed"] == [True]


def test_a_mismatch_without_refresh_token_says_what_stays_valid(run: Login) -> None:
    outcome = run({"userinfo": [user(organization_id="00D000000000002EAA")]})
    assert "revoke" not in outcome.orgs.endpoints
    assert "remains valid" in outcome.report.problems[0].message


def test_a_blocked_api_fails_although_user_info_works(run: Login) -> None:
    outcome = run({"v60.0": [answer([{"errorCode": "MADE_UP"}], 403)]})
    assert outcome.problem == api.api_access_blocked.name


def test_the_api_is_left_alone_without_the_scope(run: Login) -> None:
    assert run({"token": [token(scope="id")]}).orgs.endpoints == ["token", "userinfo"]


def test_revoking_ends_the_token(run: Login) -> None:
    outcome = run({}, LoginOptions(revoke=True))
    assert outcome.orgs.endpoints[-1] == "revoke"
    assert outcome.report.result()["successes"][0]["token"] == "revoked"  # type: ignore[index]


def test_a_revocation_that_is_not_confirmed_is_a_warning(run: Login) -> None:
    outcome = run({"revoke": [answer({"error": "invalid_token"}, 400)]}, LoginOptions(revoke=True))
    assert outcome.report.result()["successes"][0]["token"] == "forgotten"  # type: ignore[index]
    assert outcome.report.warnings == ["Billing@uat: Salesforce did not confirm that the token was revoked."]


def test_a_token_is_delivered_when_it_is_verified_and_not_before(run: Login) -> None:
    given: list[Secret] = []
    options = LoginOptions(deliver=lambda token, _: given.append(token))
    run({"userinfo": [user(organization_id="00D000000000002EAA")]}, options)
    assert given == []
    outcome = run({}, options)
    assert [each.reveal() for each in given] == [scripted.access_token(HOST)]
    assert outcome.report.result()["successes"][0]["token"] == "printed"  # type: ignore[index]


def test_a_dry_run_plans_and_sends_nothing(run: Login) -> None:
    outcome = run({}, LoginOptions(dry_run=True))
    assert outcome.orgs.endpoints == []
    authorize = outcome.ended("authorize")
    planned = {"flow": "client-credentials", "host": HOST, "consumerKey": "file", "consumerSecret": "file"}
    assert (authorize.outcome, authorize.facts) == ("skipped", planned)
    assert outcome.report.status == 0


def test_scopes_that_the_flow_cannot_ask_for_are_said_and_not_sent(run: Login) -> None:
    options = LoginOptions(scopes="api web")
    outcome = run({}, options)
    assert "scope" not in outcome.orgs.forms[0]
    token = outcome.ended("token")
    assert token.outcome == "warning"
    assert run({}, replace(options, dry_run=True)).ended("authorize").facts["doubts"] == [token.reason]
