"""Logins with a private key, against an org that checks every assertion."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
import trees
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from fakes import scripted
from fakes.scripted import BUSY, Answer, Form, Orgs, Outcome, answer
from keypairs import PASSPHRASE, certificate, pem, rsa_key, written

from ecapipe.adapters.environment import Environment
from ecapipe.events import StageNoted
from ecapipe.login.options import LoginOptions
from ecapipe.oauth.messages import Response
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems import oauth
from ecapipe.problems.credentials import jwt_key_encrypted, jwt_key_not_usable, jwt_username_missing
from ecapipe.problems.network import connection_lost
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run.pipeline import RunRequest
from ecapipe.secret import Secret

HOST = "acme--uat.sandbox.my.salesforce.com"
ADA = scripted.username(HOST)
EPOCH = datetime.fromisoformat(scripted.NOW).timestamp()
WITH_KEY = {"certificate": certificate(rsa_key()), "callbackUrl": None, "consumerSecret": None}


def refusal(error: str, description: str, date: float | None = None) -> Response:
    return answer({"error": error, "error_description": description}, 400, date=date)


@dataclass
class Judge(Orgs):
    """An org whose clock is `ahead`. It gives `first`; then it takes assertions as Salesforce does."""

    first: list[Answer] = field(default_factory=list)
    ahead: float = 0.0
    audience: str = "https://test.salesforce.com"
    claims: list[dict[str, object]] = field(default_factory=list)

    def take(self, host: str, endpoint: str, form: Form) -> Answer:
        assert sorted(form) == ["assertion", "grant_type"]
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        self.check(form["assertion"][0])
        if self.first:
            return self.first.pop(0)
        now = EPOCH + self.ahead
        if not now < float(str(self.claims[-1]["exp"])) <= now + 180:
            return refusal("invalid_grant", "expired authorization code", now)
        return scripted.token(host)

    def check(self, assertion: str) -> None:
        header, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in assertion.split("."))
        signed = assertion.rpartition(".")[0].encode()
        rsa_key().public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        assert json.loads(header) == {"alg": "RS256", "typ": "JWT"}
        said = json.loads(claims)
        assert said.items() >= {"iss": trees.key("Billing"), "sub": ADA, "aud": self.audience}.items()
        assert said["jti"] not in [earlier["jti"] for earlier in self.claims]
        self.claims.append(said)


Login = Callable[..., Outcome]


def claims(outcome: Outcome) -> list[dict[str, object]]:
    """What each assertion said."""
    assert isinstance(outcome.orgs, Judge)
    return outcome.orgs.claims


@pytest.fixture
def run(tmp_path: Path) -> Login:
    """Runs Billing, which has a certificate and no secret."""

    def go(
        org: Judge | None = None,
        how: LoginOptions | None = None,
        *,
        key: bytes = b"",
        mode: int = 0o600,
        settings: trees.Elements = WITH_KEY,
        username: str | None = ADA,
        secret_from: Sequence[str] = ("environment", "replacement", "file", "prompt"),
        ask: Callable[[str], Secret | None] | None = None,
        **variables: str,
    ) -> Outcome:
        tree = trees.project() | trees.app(settings=settings)
        root = trees.plant(tmp_path / "project", tree)
        key_file = written(tmp_path, key or pem(rsa_key()), mode)
        asked = replace(how or LoginOptions(), key_file=key_file)
        which = OrgSelection((f"uat=https://{HOST}",), username=username)
        request = RunRequest(ProjectSelection((str(root),)), which, asked, None, frozenset(secret_from))
        return scripted.run(request, org or Judge(), Environment(variables), ask=ask, person=False)

    return go


def test_a_key_logs_in_without_person_and_without_secret(run: Login) -> None:
    outcome = run()
    assert (outcome.report.status, outcome.report.warnings) == (0, [])
    (success,) = cast(Any, outcome.report.result()["successes"])
    assert (success["flow"], success["username"], success["orgId"]) == ("jwt", ADA, scripted.org_id(HOST))
    authorize = outcome.ended("authorize")
    assert (authorize.outcome, authorize.reason) == ("skipped", "The JWT bearer flow has no browser step.")
    (said,) = claims(outcome)
    assert said["exp"] == EPOCH + 150


def test_nobody_is_asked_for_a_secret_that_a_key_replaces(run: Login) -> None:
    def ask(question: str) -> Secret:
        raise AssertionError(question)

    assert run(ask=ask).report.status == 0


def test_a_secret_that_is_there_is_not_sent(run: Login) -> None:
    assert run(settings={"certificate": certificate(rsa_key())}).report.status == 0


def test_a_passphrase_is_asked_for_while_displays_hold_still(run: Login) -> None:
    asked: list[str] = []

    def ask(question: str) -> Secret:
        asked.append(question)
        return Secret(PASSPHRASE)

    outcome = run(key=pem(rsa_key(), PASSPHRASE), ask=ask)
    assert outcome.report.status == 0
    assert len(asked) == 1
    assert [each.note.kind for each in outcome.events if isinstance(each, StageNoted)] == ["asking"]


@pytest.mark.parametrize(
    ("how", "audience"),
    [
        (LoginOptions(), "https://test.salesforce.com"),
        (LoginOptions(audience="https://aud.example"), "https://aud.example"),
    ],
)
def test_a_dry_run_tells_user_audience_and_key_file_and_sends_nothing(
    run: Login, tmp_path: Path, how: LoginOptions, audience: str
) -> None:
    outcome = run(how=replace(how, dry_run=True))
    assert (outcome.report.status, claims(outcome)) == (0, [])
    assert outcome.ended("authorize").facts == {
        "flow": "jwt",
        "host": HOST,
        "audience": audience,
        "username": ADA,
        "keyFile": str(tmp_path / "server.key"),
        "consumerKey": "file",
        "consumerSecret": None,
    }


def test_a_dry_run_tells_what_is_doubtful_about_the_key(run: Login) -> None:
    facts = run(how=LoginOptions(dry_run=True), mode=0o644).ended("authorize").facts
    assert "chmod 600" in str(facts["doubts"])


def test_another_audience_is_what_the_assertion_says(run: Login) -> None:
    judge = Judge(audience="https://aud.example")
    assert run(judge, LoginOptions(audience="https://aud.example")).report.status == 0


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"username": None}, jwt_username_missing.name),
        ({"key": b"no key"}, jwt_key_not_usable.name),
        ({"key": pem(rsa_key(), PASSPHRASE)}, jwt_key_encrypted.name),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_sent(
    run: Login, changes: dict[str, object], problem: str
) -> None:
    outcome = run(**changes)
    assert (outcome.problem, claims(outcome)) == (problem, [])


def test_a_key_that_others_may_read_and_a_foreign_certificate_are_warnings(run: Login) -> None:
    foreign = {**WITH_KEY, "certificate": certificate(rsa_key("two"))}
    outcome = run(mode=0o644, settings=foreign)
    assert outcome.report.status == 0
    (warning,) = outcome.report.warnings
    assert "chmod 600" in warning
    assert "belongs to another private key" in warning


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "contain no certificate"),
        ("{{CERTIFICATE}}", "is not a valid certificate"),
        (certificate(rsa_key(), days=-9_000), "expired on"),
    ],
)
def test_a_doubtful_certificate_is_said_and_the_flow_that_was_asked_for_tried(
    run: Login, text: str | None, says: str
) -> None:
    outcome = run(how=LoginOptions("jwt"), settings={"certificate": text, "callbackUrl": None})
    assert outcome.report.status == 0
    (warning,) = outcome.report.warnings
    assert says in warning


@pytest.mark.parametrize("ahead", [-7200.0, -100.0, 170.0, 7200.0])
def test_a_wrong_clock_is_told_and_worked_around_by_the_orgs(run: Login, ahead: float) -> None:
    outcome = run(Judge(ahead=ahead))
    assert outcome.report.status == 0
    assert len(claims(outcome)) == 2
    (warning,) = outcome.report.warnings
    assert ("behind that of" if ahead > 0 else "ahead of that of") in warning


@pytest.mark.parametrize("ahead", [-25.0, 0.0, 140.0])
def test_a_clock_that_is_a_little_off_does_not_matter(run: Login, ahead: float) -> None:
    outcome = run(Judge(ahead=ahead))
    assert (outcome.report.status, outcome.report.warnings, len(claims(outcome))) == (0, [], 1)


@pytest.mark.parametrize("date", [None, EPOCH, EPOCH + 5])
def test_an_expiry_that_no_clock_explains_is_a_failure_at_once(run: Login, date: float | None) -> None:
    judge = Judge(first=[refusal("invalid_grant", "expired authorization code", date)])
    outcome = run(judge)
    assert (outcome.problem, len(judge.claims)) == (oauth.assertion_expired.name, 1)


def test_an_assertion_is_signed_anew_once_only(run: Login) -> None:
    refused = refusal("invalid_grant", "invalid assertion", EPOCH + 3600)
    outcome = run(Judge(first=[refused, refused, refused]))
    assert (outcome.problem, len(claims(outcome))) == (oauth.assertion_refused.name, 2)


@pytest.mark.parametrize("failure", [BUSY, EcapipeError(connection_lost(HOST, "reset"))])
def test_each_attempt_has_an_assertion_of_its_own(run: Login, failure: Response | EcapipeError) -> None:
    outcome = run(Judge(first=[failure, failure]))
    assert (outcome.report.status, len(claims(outcome))) == (0, 3)


def test_settling_signs_anew(run: Login) -> None:
    fresh = refusal("invalid_client_id", "client identifier invalid", EPOCH)
    outcome = run(Judge(first=[fresh, fresh]), LoginOptions(settle=1.0))
    assert (outcome.report.status, len(claims(outcome))) == (0, 3)


@pytest.mark.parametrize(
    ("error", "description", "problem"),
    [
        ("invalid_grant", "invalid assertion", oauth.assertion_refused.name),
        ("invalid_grant", "audience is invalid", oauth.audience_refused.name),
        ("invalid_grant", "user hasn't approved this consumer", oauth.assertion_not_approved.name),
        ("invalid_app_access", "user is not admin approved to access this app", oauth.user_not_approved.name),
        ("unsupported_grant_type", "grant type not supported", oauth.unsupported_grant_type.name),
        (
            "OAUTH_EC_APP_NOT_FOUND",
            "External client app is not installed in this org",
            oauth.app_not_found_in_org.name,
        ),
    ],
)
def test_each_refusal_has_a_remedy_of_its_own(run: Login, error: str, description: str, problem: str) -> None:
    outcome = run(Judge(first=[refusal(error, description)]))
    assert outcome.problem == problem
    assert outcome.report.problems[0].oauth_error == error
