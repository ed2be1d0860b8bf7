"""Results for report tests: a check and a run whose every foreign text is what the test gives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ecapipe.check.findings import Finding, Level
from ecapipe.check.rules.registry import RULES
from ecapipe.documents import codec, report, results
from ecapipe.documents.report import Report
from ecapipe.events import (
    APP_STAGES,
    DISCOVER,
    RUN_STAGES,
    TARGET_STAGES,
    AppDescribed,
    AppFacts,
    CredentialFacts,
    LoginResult,
    ProjectFacts,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.oauth import redirect_uri_mismatch
from ecapipe.problems.problem import Problem
from ecapipe.problems.project import malformed_xml
from ecapipe.render.report_data import ReportData, of_check, of_failure, of_run

CHECK, RUN = "ecapipe app check", "ecapipe run"
PROJECTS = (ProjectFacts("/project", ("force-app",), "/project"),)
KEY = CredentialFacts("present", True, "file", ())
SECRET = CredentialFacts("present", True, "file", (), required=True)
REFUSED = redirect_uri_mismatch.name


def app(name: str, file: str = "force-app/a.ecaGlblOauth-meta.xml") -> AppFacts:
    return AppFacts(name, "/project", file, (file,), "Local", "own", None, (), ("web",), KEY, SECRET)


def finding(
    rule: str = "consumer-key-missing",
    level: Level = "error",
    message: str = "There is no key.",
    *,
    app: str | None = "Billing",
    file: str | None = "force-app/a.ecaGlblOauth-meta.xml",
    line: int | None = 5,
    actions: Iterable[str] = ("Retrieve it.",),
    accepted: bool = False,
) -> Finding:
    return Finding(rule, level, message, app, file, line, tuple(actions), accepted=accepted, project="/project")


def check(apps: Iterable[AppFacts], findings: Iterable[Finding], **more: Any) -> ReportData:
    found, facts = list(findings), list(apps)
    result = results.AppCheck.of(PROJECTS, facts, found)
    document = report.success(codec.builtins(result), [], int(any(each.level == "error" for each in found)))
    return of_check(PROJECTS, facts, found, RULES.values(), document, _as_is, CHECK, **more)


def run(
    *,
    name: str = "Billing",
    org: str = "uat",
    message: str = "The callback URL does not match.",
    action: str = "Compare it with the file.",
    reason: str = "Requesting token failed.",
    warning: str = "Key and secret come from different sources.",
    username: str = "user@acme.example",
    file: str | None = None,
    interrupted: bool = False,
) -> ReportData:
    """Two apps in two orgs: a login that works, one that fails, one with a warning, and one that is not reached."""
    second = f"{name} 2"
    subjects = [Subject(each, place, "/project") for each in (name, second) for place in (None, org, f"{org} 2")]
    seen = Report()
    seen(RunStarted("run", "2026-01-02T03:04:05Z", RUN_STAGES))
    seen(StageEnded(DISCOVER, Subject(), "passed", "then", 8))
    seen(RunPlanned(PROJECTS, tuple(subjects)))
    for each in (name, second):
        seen(AppDescribed(app(each)))
    failure = Problem(REFUSED, message, (action,), "org", file=file, line=3 if file else None)
    for subject in subjects[:-1]:
        parts = list(TARGET_STAGES[:-1] if subject.org else APP_STAGES)
        if subject == subjects[2]:
            seen(StageEnded(parts.pop(0), subject, "failed", "then", 12, problem=failure))
            for part in parts:
                seen(StageEnded(part, subject, "skipped", "then", reason=reason))
            continue
        if subject == subjects[4]:
            seen(StageEnded(parts.pop(0), subject, "warning", "then", 12, reason=warning))
        for part in parts:
            seen(StageEnded(part, subject, "passed", "then", 1240))
        if subject.org:
            login = LoginResult(
                username, None, "00D000000000001EAA", "https://acme.my.salesforce.com", (), "web", "forgotten"
            )
            seen(SubjectFinished(subject, login))
    seen(RunEnded(interrupted, 2500))
    return of_run(seen, report.success(seen.result(), seen.warnings, seen.status), _as_is, RUN)


def failure(message: str, action: str, file: str | None) -> ReportData:
    problem = Problem(malformed_xml.name, message, (action,), "config", file=file)
    return of_failure(problem, report.failure(problem, CHECK), _as_is, CHECK)


def _as_is(file: str, subject: Subject) -> str:
    return file
