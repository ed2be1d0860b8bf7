"""Every network fault at every place that a login asks: what the run makes of it, and how often it asks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
import trees
from fakes.orgs import emulated

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.network.browser import StandInBrowser
from ecapipe.adapters.network.http import LARGEST, Http
from ecapipe.documents.report import Json, Report
from ecapipe.emulator.faults import Do, Fault
from ecapipe.emulator.server import Emulator
from ecapipe.emulator.visitor import VisitError
from ecapipe.events import Clock
from ecapipe.login.options import LoginOptions
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems import api, network, oauth, sign_in
from ecapipe.problems.network import unexpected_answer
from ecapipe.problems.orgs import wrong_org, wrong_user
from ecapipe.problems.problem import WAITING, Kind
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run import pipeline
from ecapipe.run.pipeline import RunRequest
from ecapipe.secret import Secret, redact

Place = Literal["token", "code", "userinfo", "data", "page"]
"""Where the fault waits: at the token endpoint for client credentials or for a code, further on, or before it all."""

PATHS: Mapping[Place, str] = {
    "token": "/services/oauth2/token",
    "code": "/services/oauth2/token",
    "userinfo": "/services/oauth2/userinfo",
    "data": "/services/data/v60.0/",
    "page": "/services/oauth2/authorize",
}
WEB: tuple[Place, ...] = ("code", "page")

SLOW = 0.6
LONGEST = 0.4
"""Seconds: how long a slow org takes, and how long an answer may take where one is slow."""
NOT_LONG = 0.01
"""Minutes: how long people are waited for. What is pasted is read after 0.3 seconds, as one paste."""


@dataclass(frozen=True)
class Met:
    """What a fault leads to: the problem at each place (None: the login succeeds), and how often a request that
    may be repeated is sent in vain. A code is sent once, whatever happens; a page is asked by a person."""

    do: Do
    token: Kind[...] | None
    userinfo: Kind[...] | None
    data: Kind[...] | None
    page: Kind[...] | None = sign_in.auth_timeout_error
    asked: int = 1

    def at(self, place: Place) -> Kind[...] | None:
        return self.token if place == "code" else getattr(self, place)


def everywhere(
    do: Do, problem: Kind[...] | None, *, page: Kind[...] | None = sign_in.auth_timeout_error, asked: int = 1
) -> Met:
    return Met(do, problem, problem, problem, page, asked)


REFUSAL = {"error": "OAUTH_APPROVAL_ERROR_GENERIC", "error_description": "An unexpected error has occurred"}
BLOCKED = [{"errorCode": "API_DISABLED_FOR_ORG", "message": "API is not enabled for this Organization"}]

FAULTS: Mapping[str, Met] = {
    "refused": everywhere({"status": 400, "body": REFUSAL}, oauth.approval_refused),
    "unauthorized": Met({"status": 401}, unexpected_answer, api.user_info_refused, api.api_access_blocked),
    "forbidden": Met(
        {"status": 403, "body": BLOCKED},
        unexpected_answer,
        api.api_disabled,
        api.api_disabled,
    ),
    "missing": Met({"status": 404}, unexpected_answer, unexpected_answer, None),
    "no-object": Met({"status": 200, "body": ["none"]}, unexpected_answer, unexpected_answer, None),
    "limited": everywhere({"status": 429}, oauth.rate_limited, asked=3),
    "limited-shortly": everywhere({"status": 429, "retryAfter": 3}, oauth.rate_limited, asked=3),
    "limited-for-long": everywhere({"status": 429, "retryAfter": 3600}, oauth.rate_limited),
    "broken": everywhere({"status": 500}, oauth.server_busy, asked=3),
    "bad-gateway": everywhere({"status": 502}, oauth.server_busy, asked=3),
    "busy": everywhere({"status": 503, "retryAfter": 1}, oauth.server_busy, asked=3),
    "unsupported": everywhere({"status": 501}, oauth.server_busy),
    "maintained": everywhere({"html": True}, oauth.server_busy, asked=3),
    "maintained-well": Met({"html": True, "status": 200}, unexpected_answer, unexpected_answer, None),
    "refused-on-a-page": everywhere({"html": {"error": "oops", "error_description": "no"}}, unexpected_answer),
    "redirected": everywhere({"redirect": "https://elsewhere.example/"}, network.redirect_refused),
    "redirected-for-ever": everywhere(
        {"redirect": "https://elsewhere.example/", "status": 308}, network.redirect_refused
    ),
    "other-org": Met({"wrongOrg": True}, wrong_org, wrong_org, None, page=None),
    "other-user": Met({"wrongUser": True}, wrong_user, wrong_user, None, page=None),
    "form": everywhere({"form": True}, None, page=None),
    "huge": everywhere({"huge": LARGEST}, unexpected_answer, page=None),
    "mistyped": everywhere({"wrongContentType": "text/html"}, None, page=None),
    "advised": everywhere({"retryAfter": 7}, None, page=None),
    "a-little-late": everywhere({"delay": 0.05}, None, page=None),
    "too-late": everywhere({"delay": SLOW}, network.host_timed_out, page=None, asked=3),
    "dripping": everywhere({"drip": 4.0}, network.host_timed_out, asked=3),
    "cut": everywhere({"truncate": 10}, network.connection_lost, page=None, asked=3),
    "cut-at-once": everywhere({"truncate": 0}, network.connection_lost, page=None, asked=3),
    "reset": everywhere({"reset": True}, network.connection_lost, asked=3),
}
PASSING = sorted(name for name, met in FAULTS.items() if met.asked > 1)
UNENDING = ("dripping", "page")
"""A browser shows it as it comes, until the person has seen enough."""
CASES: Mapping[str, tuple[str, Place, int | None]] = {
    **{f"{fault}-{place}": (fault, place, None) for fault in FAULTS for place in PATHS if (fault, place) != UNENDING},
    **{f"{fault}-{place}-once": (fault, place, 1) for fault in PASSING for place in ("token", "userinfo", "data")},
}


@dataclass
class Outcome:
    """A run, its result, the requests that met the fault, and the seconds that were waited between requests."""

    status: int
    result: Json
    asked: int
    waited: list[float]

    @property
    def failed(self) -> tuple[str, str] | None:
        """The stage and the name of the problem, which names a way out."""
        failures = self.result["failures"]
        assert isinstance(failures, list)
        assert all(failure["actions"] for failure in failures)
        return (failures[0]["stage"], failures[0]["name"]) if failures else None


@pytest.fixture(scope="module")
def emulator(project: Path) -> Iterator[Emulator]:
    """One org for each case."""
    faults = [Fault(PATHS[place], FAULTS[fault].do, org, times) for org, (fault, place, times) in CASES.items()]
    with emulated(project, tuple(CASES), faults) as running:
        yield running


@pytest.fixture(scope="module")
def patient() -> Iterator[Http]:
    http = Http()
    yield http
    http.close()


@pytest.fixture(scope="module")
def impatient() -> Iterator[Http]:
    http = Http(longest=LONGEST)
    yield http
    http.close()


def run(org: str, project: Path, emulator: Emulator, http: Http) -> Outcome:
    """Log Billing in to `org`, with a person who leaves every page that is none."""
    _, place, _ = CASES[org]
    waited, before = list[float](), len(emulator.requests)

    def visit(link: str) -> str:
        try:
            return emulator.visit(link)
        except VisitError:
            return "https://elsewhere.example/"

    stand = StandInBrowser(visit)
    world = replace(
        composition.real_world(Environment({})),
        send=http,
        open=stand.open,
        lines=stand.lines,
        person=True,
        clock=Clock(lambda: sum(waited), lambda: "2026-11-23T12:00:00.000Z", waited.append),
    )
    how = LoginOptions(flow="web" if place in WEB else "client-credentials", wait=NOT_LONG)
    report = Report()
    pipeline.run(
        RunRequest(ProjectSelection((str(project),)), OrgSelection((f"{org}={emulator.urls[org]}",)), how),
        world,
        report,
    )
    asked = sum((asked.org, asked.path) == (org, PATHS[place]) for asked in emulator.requests[before:])
    return Outcome(report.status, report.result(), asked, waited)


@pytest.mark.parametrize("org", CASES)
def test_a_fault_leads_to_its_problem_after_as_many_requests_as_are_safe(
    org: str, project: Path, emulator: Emulator, patient: Http, impatient: Http
) -> None:
    fault, place, times = CASES[org]
    met = FAULTS[fault]
    problem = met.at(place) if times is None else None
    outcome = run(org, project, emulator, impatient if met.at("token") is network.host_timed_out else patient)
    if problem is None:
        assert (outcome.failed, outcome.status) == (None, 0)
    else:
        stage = {"token": "token", "code": "token", "page": "authorize"}.get(place, "verify")
        found_later = problem in (wrong_org, wrong_user)
        assert outcome.failed == ("verify" if found_later else stage, problem.name)
        assert outcome.status == (WAITING if problem is sign_in.auth_timeout_error else 1)
    repeated = 1 if place in WEB else met.asked if times is None else 2
    assert (outcome.asked, len(outcome.waited)) == (repeated, repeated - 1)
    assert all(0.5 <= seconds <= 10 for seconds in outcome.waited)
    said = json.dumps(outcome.result)
    assert redact(said, Secret(trees.secret("Billing"))) == said


def test_a_short_retry_after_is_waited_for(project: Path, emulator: Emulator, patient: Http) -> None:
    assert run("limited-shortly-userinfo", project, emulator, patient).waited == [3.0, 3.0]


def test_every_fault_there_is_has_its_place_in_the_table() -> None:
    # Whether the org has acted on a request whose answer is lost matters where it changes something: tests/rotate.
    assert {name for met in FAULTS.values() for name in met.do} == {*Do.__annotations__} - {"seen", "unseen"}
