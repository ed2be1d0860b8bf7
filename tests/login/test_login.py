"""One app in one org, against a scripted org: what is sent, how often, and what becomes of the token."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import trees

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.documents.report import Report
from ecapipe.events import Clock, Event, StageEnded
from ecapipe.login.options import LoginOptions
from ecapipe.oauth.messages import Request, Response
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems import oauth
from ecapipe.problems.network import connection_failed, connection_lost, unexpected_answer
from ecapipe.problems.orgs import wrong_org, wrong_user
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run import pipeline
from ecapipe.run.pipeline import RunRequest as Run
from ecapipe.run.world import World
from ecapipe.secret import Secret

ORG, USER = "00D000000000001EAA", "005000000000001AAA"
HOST = "acme.my.salesforce.com"
IDENTITY = f"https://{HOST}/id/{ORG}/{USER}"


def answer(members: object, status: int = 200, retry_after: float | None = None) -> Response:
    return Response(status, "application/json", json.dumps(members).encode(), retry_after)


def token(**changes: object) -> Response:
    members = {"access_token": "00D000000000001!FAKE.TOKEN", "id": IDENTITY, "issued_at": "1", "token_type": "Bearer"}
    return answer({**members, "instance_url": f"https://{HOST}", "scope": "api", **changes})


def user(**changes: object) -> Response:
    return answer({"user_id": USER, "organization_id": ORG, "preferred_username": "ada@example.com", **changes})


Script = dict[str, list[Response | EcapipeError]]
BUSY = Response(503, "text/html", b"<html>Data Not Available</html>")


@dataclass
class ScriptedOrg:
    """Answers each endpoint from its script, the last answer for ever; keeps what was asked, and checks it."""

    script: Script
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        assert (parts.scheme, parts.netloc, parts.query) == ("https", HOST, "")
        endpoint = parts.path.rstrip("/").rpartition("/")[2]
        self.asked.append(endpoint)
        if request.form is not None:
            self.forms.append(parse_qs(request.form.reveal()))
        else:
            assert request.bearer is not None
            assert request.bearer.reveal() == "00D000000000001!FAKE.TOKEN"
        answers = self.script[endpoint]
        given = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(given, EcapipeError):
            raise given
        return given


@dataclass
class FakeTime:
    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: "2026-11-23T12:00:00.000Z", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Outcome:
    report: Report
    org: ScriptedOrg
    time: FakeTime
    ended: list[StageEnded]

    @property
    def problem(self) -> str | None:
        return self.report.problems[0].name if self.report.problems else None


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs Billing against a scripted org; `web` pastes a fitting answer, else client credentials are used."""

    def go(
        script: Script, how: LoginOptions | None = None, *, web: bool = False, which: OrgSelection | None = None
    ) -> Outcome:
        flows = {} if web else trees.CLIENT_CREDENTIALS
        callback = {"callbackUrl": "https://www.example.com" if web else None}
        tree = trees.project() | trees.app(settings={**callback, **flows}, policies=flows)
        usual: Script = {"token": [token()], "userinfo": [user()], "v60.0": [answer({})], "revoke": [answer({})]}
        org, time, report, ended = ScriptedOrg({**usual, **script}), FakeTime(), Report(), list[StageEnded]()

        def emit(event: Event) -> None:
            report(event)
            if isinstance(event, StageEnded):
                ended.append(event)

        request = Run(
            ProjectSelection((str(trees.plant(tmp_path, tree)),)),
            which or OrgSelection((f"uat=https://{HOST}",)),
            how or LoginOptions(),
        )
        pipeline.run(request, world(org, time), emit)
        return Outcome(report, org, time, ended)

    return go


def world(org: ScriptedOrg, time: FakeTime) -> World:
    pasted: list[Callable[[str | None], None]] = []

    @contextmanager
    def lines(take: Callable[[str | None], None]) -> Iterator[None]:
        pasted.append(take)
        yield

    def open_browser(url: str) -> bool:
        state = parse_qs(urlsplit(url).query)["state"][0]
        pasted[-1](f"https://www.example.com/?code=aPrxFAKECODE%3D%3D&state={state}")
        return True

    real = composition.real_world(Environment({}))
    return replace(real, send=org, clock=time.clock(), lines=lines, open=open_browser, person=True)


def test_a_login_asks_each_endpoint_once(run: Callable[..., Outcome]) -> None:
    outcome = run({})
    assert outcome.org.asked == ["token", "userinfo", "v60.0"]
    assert outcome.report.status == 0
    assert outcome.org.forms == [
        {
            "client_id": [trees.key("Billing")],
            "client_secret": [trees.secret("Billing")],
            "grant_type": ["client_credentials"],
        }
    ]


def test_a_code_is_decoded_once_and_sent_with_its_verifier(run: Callable[..., Outcome]) -> None:
    outcome = run({}, web=True)
    (form,) = outcome.org.forms
    assert form["code"] == ["aPrxFAKECODE=="]
    assert form["redirect_uri"] == ["https://www.example.com"]
    assert len(form["code_verifier"][0]) == 86


def test_user_info_is_asked_again_after_what_passes(run: Callable[..., Outcome]) -> None:
    outcome = run({"userinfo": [BUSY, EcapipeError(connection_lost(HOST, "reset")), user()]})
    assert outcome.report.status == 0
    assert outcome.org.asked.count("userinfo") == 3
    assert [0.5 <= outcome.time.slept[0] <= 1.0, 1.0 <= outcome.time.slept[1] <= 2.0] == [True, True]


def test_three_attempts_are_enough(run: Callable[..., Outcome]) -> None:
    outcome = run({"userinfo": [BUSY]})
    assert (outcome.org.asked.count("userinfo"), outcome.problem) == (3, oauth.server_busy.name)


def test_retry_after_is_obeyed(run: Callable[..., Outcome]) -> None:
    outcome = run({"userinfo": [answer({}, 429, retry_after=7.0), user()]})
    assert outcome.report.status == 0
    assert outcome.time.slept == [7.0]


def test_a_long_retry_after_is_reported_at_once(run: Callable[..., Outcome]) -> None:
    outcome = run({"userinfo": [answer({}, 429, retry_after=3600.0)]})
    assert (outcome.time.slept, outcome.problem) == ([], oauth.rate_limited.name)


@pytest.mark.parametrize("failure", [BUSY, EcapipeError(connection_lost(HOST, "reset"))])
def test_a_code_is_never_redeemed_twice_after_an_ambiguous_failure(
    run: Callable[..., Outcome], failure: Response | EcapipeError
) -> None:
    outcome = run({"token": [failure, token()]}, web=True)
    assert outcome.org.asked == ["token"]
    assert outcome.report.status == 1


def test_a_code_is_sent_again_when_nothing_was_sent(run: Callable[..., Outcome]) -> None:
    refused = EcapipeError(connection_failed(HOST, "connection refused"))
    outcome = run({"token": [refused, refused, token()]}, web=True)
    assert outcome.org.asked[:3] == ["token", "token", "token"]
    assert outcome.report.status == 0


def test_client_credentials_are_sent_again(run: Callable[..., Outcome]) -> None:
    assert run({"token": [BUSY, token()]}).report.status == 0


def test_a_refusal_of_scopes_names_those_that_the_app_has(run: Callable[..., Outcome]) -> None:
    problem = run({"token": [answer({"error": "invalid_scope"}, 400)]}).report.problems[0]
    assert (problem.kind, '--scopes "api id"' in problem.actions[0]) == (oauth.invalid_scope, True)


FRESH = {"error": "invalid_client_id", "error_description": "client identifier invalid"}


def test_settling_waits_for_a_fresh_deploy(run: Callable[..., Outcome]) -> None:
    outcome = run({"token": [answer(FRESH, 400), answer(FRESH, 400), token()]}, LoginOptions(settle=1.0), web=True)
    assert outcome.report.status == 0
    assert outcome.time.slept == [15.0, 15.0]


def test_settling_ends(run: Callable[..., Outcome]) -> None:
    outcome = run({"token": [answer(FRESH, 400)]}, LoginOptions(settle=1.0))
    assert (outcome.problem, outcome.org.asked.count("token")) == (oauth.invalid_client_id.name, 5)


def test_without_settling_the_first_refusal_counts(run: Callable[..., Outcome]) -> None:
    outcome = run({"token": [answer(FRESH, 400)]})
    assert (outcome.problem, outcome.org.asked) == (oauth.invalid_client_id.name, ["token"])


def test_settling_does_not_wait_for_a_wrong_secret(run: Callable[..., Outcome]) -> None:
    refused = answer({"error": "invalid_client", "error_description": "invalid client credentials"}, 400)
    assert run({"token": [refused]}, LoginOptions(settle=10.0)).time.slept == []


def signed(key: str) -> str:
    return base64.b64encode(hmac.digest(key.encode(), f"{IDENTITY}1".encode(), "sha256")).decode()


def test_a_signature_made_with_the_secret_is_accepted(run: Callable[..., Outcome]) -> None:
    assert run({"token": [token(signature=signed(trees.secret("Billing")))]}).report.status == 0


def test_another_signature_is_refused_and_the_token_not_used(run: Callable[..., Outcome]) -> None:
    outcome = run({"token": [token(signature=signed("another secret"))]})
    assert (outcome.problem, outcome.org.asked) == (oauth.signature_mismatch.name, ["token"])


@pytest.mark.parametrize(
    ("found", "expected", "problem"),
    [
        ({"organization_id": "00D000000000002EAA"}, {}, wrong_org.name),
        ({"user_id": "005000000000002AAA"}, {}, wrong_user.name),
        ({}, {"username": "grace@example.com"}, wrong_user.name),
    ],
)
def test_a_mismatch_fails_and_revokes_what_lives_long(
    run: Callable[..., Outcome], found: dict[str, str], expected: dict[str, str], problem: str
) -> None:
    which = replace(OrgSelection((f"uat=https://{HOST}",)), **expected)
    script: Script = {"token": [token(refresh_token="5Aep861FAKE")], "userinfo": [user(**found)]}
    outcome = run(script, which=which)
    assert (outcome.problem, outcome.org.asked) == (problem, ["token", "userinfo", "revoke"])
    assert outcome.org.forms[-1] == {"token": ["5Aep861FAKE"]}
    assert "have been revoked" in outcome.report.problems[0].message


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"token": {"scope": 'FAKE\n"FAKE'}}, ["token", "revoke"]),
        ({"token": {"signature": "wrong"}}, ["token", "revoke"]),
        ({"token": {"id": "https://x.test/id/FAKE"}}, ["token", "revoke"]),
        ({"userinfo": {"preferred_username": "ada" * 100}}, ["token", "userinfo", "revoke"]),
        ({"userinfo": {"user_id": "FAKE"}}, ["token", "userinfo", "revoke"]),
    ],
)
def test_an_answer_that_cannot_be_believed_revokes_what_lives_long(
    run: Callable[..., Outcome], changes: dict[str, dict[str, str]], asked: list[str]
) -> None:
    issued = token(**{"refresh_token": "5Aep861FAKE", **changes.get("token", {})})
    outcome = run({"token": [issued], "userinfo": [user(**changes.get("userinfo", {}))]})
    assert outcome.problem in (unexpected_answer.name, oauth.signature_mismatch.name)
    assert outcome.org.asked == asked
    assert outcome.org.forms[-1] == {"token": ["5Aep861FAKE"]}
    assert [each.facts["revoked"] for each in outcome.ended if each.outcome == "failed"] == [True]


def test_a_mismatch_without_refresh_token_says_what_stays_valid(run: Callable[..., Outcome]) -> None:
    outcome = run({"userinfo": [user(organization_id="00D000000000002EAA")]})
    assert "revoke" not in outcome.org.asked
    assert "stays valid" in outcome.report.problems[0].message


def test_a_blocked_api_fails_although_user_info_works(run: Callable[..., Outcome]) -> None:
    outcome = run({"v60.0": [answer([{"errorCode": "API_DISABLED_FOR_ORG"}], 403)]})
    assert outcome.problem == oauth.api_access_blocked.name


def test_the_api_is_left_alone_without_the_scope(run: Callable[..., Outcome]) -> None:
    assert run({"token": [token(scope="id")]}).org.asked == ["token", "userinfo"]


def test_revoking_ends_the_token(run: Callable[..., Outcome]) -> None:
    outcome = run({}, LoginOptions(revoke=True))
    assert outcome.org.asked[-1] == "revoke"
    assert outcome.report.result()["successes"][0]["token"] == "revoked"  # type: ignore[index]


def test_a_revocation_that_is_not_confirmed_is_a_warning(run: Callable[..., Outcome]) -> None:
    outcome = run({"revoke": [answer({"error": "invalid_token"}, 400)]}, LoginOptions(revoke=True))
    assert outcome.report.result()["successes"][0]["token"] == "forgotten"  # type: ignore[index]
    assert outcome.report.warnings == ["Billing@uat: Salesforce did not confirm that the token was revoked."]


def test_a_token_is_delivered_when_it_is_verified_and_not_before(run: Callable[..., Outcome]) -> None:
    given: list[Secret] = []
    run({"userinfo": [user(organization_id="00D000000000002EAA")]}, LoginOptions(deliver=given.append))
    assert given == []
    outcome = run({}, LoginOptions(deliver=given.append))
    assert [each.reveal() for each in given] == ["00D000000000001!FAKE.TOKEN"]
    assert outcome.report.result()["successes"][0]["token"] == "printed"  # type: ignore[index]


def test_a_dry_run_plans_and_sends_nothing(run: Callable[..., Outcome]) -> None:
    outcome = run({}, LoginOptions(dry_run=True))
    assert outcome.org.asked == []
    (authorize,) = [ended for ended in outcome.ended if ended.stage.name == "authorize"]
    planned = {"flow": "client-credentials", "host": HOST, "consumerKey": "file", "consumerSecret": "file"}
    assert (authorize.outcome, authorize.facts) == ("skipped", planned)
    assert outcome.report.status == 0
