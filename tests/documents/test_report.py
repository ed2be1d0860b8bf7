"""The report: what a run comes to, as JSON and as an exit status."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecapipe import __version__
from ecapipe.check.findings import Finding
from ecapipe.documents import codec, report, results
from ecapipe.documents.report import Report
from ecapipe.documents.run_document import App
from ecapipe.events import (
    AUTHORIZE,
    CHECK,
    DISCOVER,
    LOCATE,
    RUN_STAGES,
    TOKEN,
    VERIFY,
    AppDescribed,
    AppFacts,
    CredentialFacts,
    Event,
    LoginResult,
    Note,
    ProjectFacts,
    RunEnded,
    RunPlanned,
    RunStarted,
    Stage,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.oauth import invalid_client
from ecapipe.problems.orgs import no_org_chosen
from ecapipe.problems.problem import Problem
from ecapipe.problems.project import requires_project_error
from ecapipe.problems.sign_in import auth_timeout_error, nobody_to_ask
from ecapipe.problems.usage import interrupted, unknown_app

UAT, PROD = Subject("Billing", "uat", "acme"), Subject("Billing", "prod", "acme")
AT = "2026-01-02T03:04:05.678Z"

PROJECT = ProjectFacts("/home/ada/acme", ("force-app", "ps-eca"), "acme")
APP = AppFacts(
    name="Billing",
    project="acme",
    settings_file="force-app/Billing.ecaGlblOauth-meta.xml",
    files=("force-app/Billing.eca-meta.xml", "force-app/Billing.ecaGlblOauth-meta.xml"),
    distribution="Local",
    credentials_of="own",
    source_org_id=None,
    callback_urls=("http://localhost:1717/OauthRedirect",),
    flows=("web",),
    consumer_key=CredentialFacts("present", True, "file", ()),
    consumer_secret=CredentialFacts("absent", False, None, ("The switch is off.",), required=True),
)
LOGIN = LoginResult(
    "ann@acme.test", "005000000000001AAA", "00D000000000001EAA", "https://acme", ("api", "id"), "web", "forgotten"
)

FAILED = invalid_client("acme.my.salesforce.com")
WAITING = auth_timeout_error("Billing", 5)
USAGE = no_org_chosen([])
FATAL = requires_project_error("/work")


def ended(stage: Stage, subject: Subject, outcome: str = "passed", problem: Problem | None = None) -> StageEnded:
    reason = f"{outcome} for a reason" if outcome in ("skipped", "warning") else None
    return StageEnded(stage, subject, outcome, AT, 250, reason, {"a": 1}, problem)  # type: ignore[arg-type]


def failed(problem: Problem, subject: Subject = UAT, stage: Stage = VERIFY) -> StageEnded:
    return ended(stage, subject, "failed", problem)


def told(*events: Event, interrupted: bool = False) -> Report:
    """The report of a whole run in which `events` happened."""
    made = Report()
    for event in (RunStarted("20260102T030405Z-abcdef", AT, RUN_STAGES), *events, RunEnded(interrupted, 1000)):
        made(event)
    return made


# --- the exit status ----------------------------------------------------------------------------------------

DONE, ALSO_DONE = SubjectFinished(UAT, LOGIN), SubjectFinished(PROD, LOGIN)


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((DONE,), 0),
        ((DONE, ALSO_DONE), 0),
        ((SubjectFinished(Subject("Billing"), None),), 0),
        ((ended(VERIFY, UAT, "warning"), DONE), 0),
        ((ended(LOCATE, Subject("Portal"), "skipped"), DONE), 0),
        ((), 1),
        ((ended(LOCATE, Subject("Billing"), "skipped"),), 1),
        ((failed(FAILED),), 1),
        ((failed(FAILED), failed(FAILED, PROD)), 1),
        ((failed(USAGE, stage=AUTHORIZE),), 1),
        ((failed(FATAL, Subject(), DISCOVER),), 1),
        ((failed(USAGE, Subject(), DISCOVER),), 2),
        ((failed(unknown_app("x", []), Subject(), DISCOVER),), 2),
        ((failed(FAILED), ALSO_DONE), 68),
        ((ALSO_DONE, failed(FAILED)), 68),
        ((failed(FAILED), failed(WAITING, PROD), SubjectFinished(Subject("Portal", "uat"), LOGIN)), 68),
        ((failed(WAITING, stage=AUTHORIZE),), 69),
        ((failed(WAITING), failed(nobody_to_ask("Billing"), PROD)), 69),
        ((failed(WAITING), ALSO_DONE), 69),
        ((failed(WAITING), failed(FAILED, PROD)), 1),
    ],
)
def test_the_exit_status_is_told_by_what_finished_and_what_failed(events: tuple[Event, ...], status: int) -> None:
    assert told(*events).status == status
    assert told(*events, interrupted=True).status == 130


@given(st.lists(st.sampled_from((DONE, ALSO_DONE, failed(FAILED), failed(WAITING), failed(USAGE, stage=TOKEN)))))
def test_the_exit_status_does_not_depend_on_the_order(events: list[Event]) -> None:
    status = told(*events).status
    assert status in (0, 1, 68, 69)
    assert told(*reversed(events)).status == status
    assert (status == 0) == (bool(events) and all(isinstance(event, SubjectFinished) for event in events))


def test_only_what_kept_the_project_from_being_read_is_fatal() -> None:
    assert told(failed(FATAL, Subject(), DISCOVER)).fatal is FATAL
    assert told(failed(FATAL, Subject("Billing"), CHECK)).fatal is None
    assert told(failed(interrupted(), Subject(), DISCOVER), interrupted=True).fatal is None
    assert told(DONE).fatal is None


# --- the fold -----------------------------------------------------------------------------------------------


def test_a_report_knows_nothing_before_anything_happened() -> None:
    empty = Report().result()
    assert (empty["run"], empty["startedAt"]) == ("", "")
    assert all(empty[name] == [] for name in ("projects", "apps", "stages", "successes", "failures"))


def test_a_later_state_of_an_app_replaces_an_earlier_one() -> None:
    later = replace(APP, flows=("web", "jwt"))
    result = told(AppDescribed(APP), AppDescribed(replace(APP, name="Portal")), AppDescribed(later)).result()
    described = [codec.builtins(App.of(each)) for each in (later, replace(APP, name="Portal"))]
    assert result["apps"] == described


def test_apps_of_one_name_in_two_projects_are_two() -> None:
    result = told(AppDescribed(APP), AppDescribed(replace(APP, project="/other"))).result()
    apps = result["apps"]
    assert isinstance(apps, list)
    assert [app["project"] for app in apps] == ["acme", "/other"]


def test_what_is_for_people_meanwhile_leaves_no_trace() -> None:
    started = StageStarted(AUTHORIZE, UAT)
    noted = StageNoted(AUTHORIZE, UAT, Note("link", "https://acme?client_id=key"))
    assert told(started, noted, DONE).result() == told(DONE).result()


def test_problems_and_warnings_are_listed_in_order() -> None:
    made = told(
        ended(DISCOVER, Subject(), "warning"), failed(FAILED), ended(VERIFY, PROD, "warning"), failed(WAITING, PROD)
    )
    assert made.problems == [FAILED, WAITING]
    assert made.warnings == ["warning for a reason", "Billing@prod: warning for a reason"]


# --- the shape ----------------------------------------------------------------------------------------------


def whole() -> Report:
    return told(
        ended(DISCOVER, Subject()),
        RunPlanned((PROJECT,), (Subject("Billing"), UAT, PROD)),
        AppDescribed(APP),
        ended(VERIFY, UAT),
        DONE,
        failed(
            replace(FAILED, file="a/file", line=3, host="acme", http_status=400, oauth_error="invalid_client"), PROD
        ),
        ended(TOKEN, PROD, "skipped"),
    )


def test_the_result_of_a_run_is_exactly_this() -> None:
    assert json.loads(json.dumps(whole().result())) == {
        "version": 1,
        "run": "20260102T030405Z-abcdef",
        "startedAt": AT,
        "ecapipe": __version__,
        "projects": [{"root": "/home/ada/acme", "packageDirectories": ["force-app", "ps-eca"]}],
        "orgs": [],
        "apps": [
            {
                "name": "Billing",
                "project": "acme",
                "settingsFile": "force-app/Billing.ecaGlblOauth-meta.xml",
                "distribution": "Local",
                "credentialsOf": "own",
                "sourceOrgId": None,
                "callbackUrls": ["http://localhost:1717/OauthRedirect"],
                "flows": ["web"],
                "credentials": {
                    "consumerKey": {"inFile": "present", "usable": True, "source": "file", "causes": []},
                    "consumerSecret": {
                        "inFile": "absent",
                        "required": True,
                        "usable": False,
                        "source": None,
                        "causes": ["The switch is off."],
                    },
                },
            }
        ],
        "stages": [
            {
                "stage": "discover",
                "project": None,
                "app": None,
                "org": None,
                "outcome": "passed",
                "reason": None,
                "milliseconds": 250,
                "facts": {"a": 1},
                "problem": None,
            },
            {
                "stage": "verify",
                "project": "acme",
                "app": "Billing",
                "org": "uat",
                "outcome": "passed",
                "reason": None,
                "milliseconds": 250,
                "facts": {"a": 1},
                "problem": None,
            },
            {
                "stage": "verify",
                "project": "acme",
                "app": "Billing",
                "org": "prod",
                "outcome": "failed",
                "reason": None,
                "milliseconds": 250,
                "facts": {"a": 1},
                "problem": {
                    "name": invalid_client.name,
                    "message": FAILED.message,
                    "actions": list(FAILED.actions),
                    "file": "a/file",
                    "line": 3,
                },
            },
            {
                "stage": "token",
                "project": "acme",
                "app": "Billing",
                "org": "prod",
                "outcome": "skipped",
                "reason": "skipped for a reason",
                "milliseconds": 250,
                "facts": {"a": 1},
                "problem": None,
            },
        ],
        "successes": [
            {
                "project": "acme",
                "app": "Billing",
                "org": "uat",
                "username": "ann@acme.test",
                "userId": "005000000000001AAA",
                "orgId": "00D000000000001EAA",
                "instanceUrl": "https://acme",
                "scopes": ["api", "id"],
                "flow": "web",
                "token": "forgotten",
            }
        ],
        "failures": [
            {
                "project": "acme",
                "app": "Billing",
                "org": "prod",
                "stage": "verify",
                "name": invalid_client.name,
                "message": FAILED.message,
                "actions": list(FAILED.actions),
                "category": "credentials",
                "retryable": False,
                "host": "acme",
                "httpStatus": 400,
                "oauthError": "invalid_client",
                "at": AT,
            }
        ],
    }


def test_a_subject_that_finished_without_a_login_is_no_success() -> None:
    result = told(SubjectFinished(Subject("Billing"), None)).result()
    assert (result["successes"], result["failures"]) == ([], [])


def test_a_finding_that_is_accepted_counts_as_that_only() -> None:
    found = Finding("consumer-key-missing", "error", "No key.", "Billing", "a/file", 3, ("Retrieve.",), "consumerKey")
    each = (found, replace(found, level="warning"), replace(found, level="note"), replace(found, accepted=True))
    assert results.AppCheck.of((), (), each, "login", None).summary == results.FindingCounts(1, 1, 1, 1)


def test_a_command_that_did_its_work_has_a_result() -> None:
    assert report.success({"a": 1}, iter(["Mind."])) == {"status": 0, "result": {"a": 1}, "warnings": ["Mind."]}
    assert report.success([], (), 68)["status"] == 68


def test_a_command_that_could_not_do_its_work_has_the_salesforce_clis_members() -> None:
    assert report.failure(USAGE, "app check", ("Mind.",)) == {
        "name": no_org_chosen.name,
        "message": USAGE.message,
        "exitCode": 2,
        "actions": list(USAGE.actions),
        "context": "AppCheck",
        "warnings": ["Mind."],
        "code": no_org_chosen.name,
        "status": 2,
        "commandName": "app check",
    }
    assert report.failure(USAGE, "run", stack="Traceback")["stack"] == "Traceback"
    assert report.failure(USAGE, "app set-secret")["context"] == "AppSetSecret"
