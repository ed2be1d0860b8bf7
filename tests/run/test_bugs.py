"""A bug in one target is the end of that target alone, wherever it comes up, and gives nothing away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import chains
import pytest
import trees
from fakes import scripted

from ecapipe import probe
from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.check.rules import registry
from ecapipe.check.rules.subject import Evidence
from ecapipe.credentials import resolution
from ecapipe.documents import report
from ecapipe.events import AUTHORIZE, TARGET_STAGES, Clock, Event, StageEnded, StageStarted, Subject
from ecapipe.login.options import LoginOptions
from ecapipe.login.tracker import Tracker
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.oauth.messages import Request, Response
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.sign_in import auth_timeout_error
from ecapipe.problems.usage import bug, internal_error
from ecapipe.project.apps import App
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run.login_progress import LoginProgress
from ecapipe.run.pipeline import RunRequest

SECRET = "a-secret-that-is-made-up"
ORGS = {name: f"acme--{name}.sandbox.my.salesforce.com" for name in ("dev", "uat", "prod")}
ERRORS = [ZeroDivisionError(SECRET), OverflowError(SECRET), RecursionError(), KeyError(SECRET), OSError(5, SECRET)]


def broken(orgs: scripted.Orgs, names: tuple[str, ...], at: str, error: Exception) -> Callable[[Request], Response]:
    """Orgs some of which are answered by a bug of ours."""

    def send(request: Request) -> Response:
        parts = urlsplit(request.url)
        if parts.netloc in {ORGS[name] for name in names} and parts.path.endswith(at):
            raise error
        return orgs(request)

    return send


def request(root: Path) -> RunRequest:
    trees.plant(root, trees.project() | trees.robot())
    orgs = OrgSelection(tuple(f"{name}=https://{host}" for name, host in ORGS.items()))
    return RunRequest(ProjectSelection((str(root),)), orgs, LoginOptions())


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("at", ["/oauth2/token", "/oauth2/userinfo"])
def test_the_others_go_on(tmp_path: Path, at: str, error: Exception) -> None:
    orgs = scripted.Orgs()
    outcome = scripted.run(request(tmp_path), orgs, send=broken(orgs, ("uat",), at, error))
    (problem,) = outcome.report.problems
    assert problem.kind is internal_error
    assert f"{type(error).__name__} at ecapipe.exchange.sending:" in problem.message
    assert SECRET not in str(outcome.report.result())
    assert {subject.org for subject in outcome.report.logins} == {"dev", "prod"}
    assert outcome.report.status == report.PARTIAL


def test_a_run_of_bugs_alone_says_so(tmp_path: Path) -> None:
    orgs = scripted.Orgs()
    names, error = tuple(ORGS), ZeroDivisionError()
    outcome = scripted.run(request(tmp_path), orgs, send=broken(orgs, names, "/oauth2/token", error))
    assert (outcome.report.status, len(outcome.report.problems)) == (3, 3)
    orgs.script = {"token": [scripted.answer({"error": "invalid_client"}, 400)]}
    outcome = scripted.run(request(tmp_path), orgs, send=broken(orgs, names[1:], "/oauth2/token", error))
    assert (outcome.report.status, len(outcome.report.problems)) == (1, 3)


def test_links_are_waited_for_though_no_browser_could_be_opened(tmp_path: Path) -> None:
    def open_nothing(url: str) -> bool:
        raise ZeroDivisionError(SECRET)

    asked = request(tmp_path)
    trees.plant(tmp_path, trees.app(settings={"callbackUrl": scripted.PASTED}))
    options = LoginOptions(flow="web", wait=0.01)
    outcome = scripted.run(replace(asked, options=options), scripted.Orgs(), open=open_nothing, browsers=None)
    assert {problem.name for problem in outcome.report.problems} == {auth_timeout_error.name}
    assert any("ZeroDivisionError at ecapipe." in note for note in outcome.notes)
    assert not any(SECRET in note for note in outcome.notes)


@pytest.mark.parametrize(("names", "status"), [(("uat",), 68), (tuple(ORGS), 3)])
def test_a_probe_has_a_row_for_it(tmp_path: Path, names: tuple[str, ...], status: int) -> None:
    asked = request(tmp_path)
    orgs = scripted.Orgs({"introspect": [scripted.answer({"active": False})]})
    world = replace(
        composition.real_world(Environment({})), send=broken(orgs, names, "/introspect", ZeroDivisionError(SECRET))
    )
    verdicts = probe.run(asked.projects, asked.orgs, frozenset(), world).verdicts
    unclear = {each.org for each in verdicts if each.problem and each.problem.kind is internal_error}
    assert (unclear, len(verdicts)) == (set(names), 3)
    assert SECRET not in str(verdicts)
    assert report.probe_status(verdicts, strict=False) == status


def test_a_rule_that_breaks_costs_the_other_apps_nothing() -> None:
    # No tree makes an app without a file, and rules do not reckon with one.
    apps = [App("Broken", "", ()), *trees.assembled(trees.app("Portal", header=None))]
    resolved = [resolution.resolve(app, None, chains.chain(apps), allowed_flows) for app in apps]
    found = registry.check(apps, resolved, Evidence(), {"not-examined": None})
    by_app = {each.app: each for each in found}
    assert (by_app["Broken"].rule, by_app["Broken"].level) == ("not-examined", "error")
    assert "IndexError at ecapipe.check." in by_app["Broken"].message
    assert [each.app for each in found if each.rule != "not-examined"]


def test_a_bug_between_two_stages_fails_the_next_one() -> None:
    subject, clock = Subject("Billing", "uat"), Clock(lambda: 0.0, lambda: scripted.NOW)
    events: list[Event] = []
    progress = LoginProgress([subject], Tracker(events.append, clock, TARGET_STAGES[:3]), clock)
    progress.record(StageStarted(AUTHORIZE, subject))
    progress.record(StageEnded(AUTHORIZE, subject, "passed", scripted.NOW))
    progress.fail(subject, bug(ZeroDivisionError(SECRET)))
    ended = [event for event in events if isinstance(event, StageEnded)]
    assert [(each.stage.name, each.outcome) for each in ended] == [
        ("authorize", "passed"),
        ("token", "failed"),
        ("verify", "skipped"),
    ]
    assert SECRET not in str(ended)
