"""The order of things over several apps and orgs: who is tried, who is skipped, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import trees

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.documents.report import Report
from ecapipe.login.options import LoginOptions
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.credentials import consumer_secret_missing
from ecapipe.problems.project import settings_in_source_org, settings_not_retrieved
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run import pipeline
from ecapipe.run.pipeline import RunRequest

TWO_ORGS = OrgSelection(("dev=https://dev.my.salesforce.com", "uat=https://uat.my.salesforce.com"))
NO_SECRET: dict[str, str | None] = {"consumerSecret": None}
LINKED = {"oauthLink": "00D000000000009EAA:888000000000001"}
MADE_HERE = {"orgScopedExternalApp": "00D000000000008EAA:A"}
"""With another org in the link, a sign of a linked app."""


def dry_run(tmp_path: Path, tree: trees.Files, *names: str, environ: dict[str, str] | None = None) -> Report:
    report = Report()
    world = replace(composition.real_world(Environment(environ or {})), person=True)
    where = ProjectSelection((str(trees.plant(tmp_path, trees.project() | tree)),), names)
    pipeline.run(
        RunRequest(where, TWO_ORGS, LoginOptions(callback="paste", dry_run=True), "authorize"), world, report
    )
    return report


def outcomes(report: Report) -> list[tuple[str, str | None, str | None, str]]:
    stages = report.result()["stages"]
    assert isinstance(stages, list)
    return [(stage["stage"], stage["app"], stage["org"], stage["outcome"]) for stage in stages]


def test_every_app_is_paired_with_every_org(tmp_path: Path) -> None:
    report = dry_run(tmp_path, trees.app("A") | trees.app("B"))
    assert [each for each in outcomes(report) if each[0] == "authorize"] == [
        ("authorize", app, org, "skipped") for app in ("A", "B") for org in ("dev", "uat")
    ]
    assert report.status == 0


def test_an_app_without_secret_is_skipped_in_every_org_and_others_go_on(tmp_path: Path) -> None:
    report = dry_run(tmp_path, trees.app("A", settings=NO_SECRET) | trees.app("B"))
    assert ("check", "A", None, "failed") in outcomes(report)
    assert [org for stage, app, org, _ in outcomes(report) if (stage, app) == ("authorize", "A")] == ["dev", "uat"]
    assert report.status == 68


def test_a_secret_for_one_org_serves_that_org_alone(tmp_path: Path) -> None:
    environ = {"ECAPIPE_CLIENT_SECRET_A_UAT": trees.secret("A")}
    report = dry_run(tmp_path, trees.app("A", settings=NO_SECRET), environ=environ)
    assert ("check", "A", None, "warning") in outcomes(report)
    assert ("authorize", "A", "dev", "failed") in outcomes(report)
    assert ("authorize", "A", "uat", "skipped") in outcomes(report)
    assert [problem.name for problem in report.problems] == [consumer_secret_missing.name]
    assert report.status == 68


def test_a_linked_app_is_skipped_when_it_only_came_from_the_crossing(tmp_path: Path) -> None:
    report = dry_run(tmp_path, trees.app("A", settings=None, oauth=LINKED, header=MADE_HERE) | trees.app("B"))
    assert ("locate", "A", None, "skipped") in outcomes(report)
    assert report.status == 0


def test_a_linked_app_fails_when_it_was_named(tmp_path: Path) -> None:
    report = dry_run(tmp_path, trees.app("A", settings=None, oauth=LINKED, header=MADE_HERE), "A")
    assert [problem.name for problem in report.problems] == [settings_in_source_org.name]
    assert report.status == 1


def test_what_is_skipped_is_a_failure_where_nothing_succeeds(tmp_path: Path) -> None:
    linked = trees.app("A", settings=None, oauth=LINKED, header=MADE_HERE)
    report = dry_run(tmp_path, linked | trees.app("B", settings=NO_SECRET))
    assert [each.name for each in report.problems] == [consumer_secret_missing.name, settings_in_source_org.name]
    assert report.status == 1
    told = [outcome for stage, app, _, outcome in outcomes(report) if (stage, app) == ("locate", "A")]
    assert told == ["failed"], "told again, and once"


@pytest.mark.parametrize("last", ["discover", "locate", "check"])
def test_a_run_that_ends_before_any_login_needs_no_org(tmp_path: Path, last: str) -> None:
    report = Report()
    where = ProjectSelection((str(trees.plant(tmp_path, trees.project() | trees.app())),))
    pipeline.run(
        RunRequest(where, OrgSelection(), LoginOptions(), last), composition.real_world(Environment({})), report
    )
    assert (report.status, outcomes(report)[-1][0]) == (0, last)


def test_a_run_that_ends_before_the_check_takes_several_orgs(tmp_path: Path) -> None:
    report = Report()
    where = ProjectSelection((str(trees.plant(tmp_path, trees.project() | trees.app())),))
    orgs = OrgSelection(("a=https://a.my.salesforce.com", "b=https://b.my.salesforce.com"))
    world = composition.real_world(Environment({"HOME": str(tmp_path)}))
    pipeline.run(RunRequest(where, orgs, LoginOptions(), "locate"), world, report)
    assert (report.status, outcomes(report)[-1][0]) == (0, "locate")


def test_the_oauth_link_of_another_org_is_a_warning(tmp_path: Path) -> None:
    orgs = {"uat": {"url": "https://uat.my.salesforce.com", "orgId": "00D000000000005EAA"}}
    tree = trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.app(oauth=LINKED)
    report = Report()
    where = ProjectSelection((str(trees.plant(tmp_path, tree)),))
    world = composition.real_world(Environment({"HOME": str(tmp_path)}))
    pipeline.run(RunRequest(where, OrgSelection(), LoginOptions(dry_run=True), "authorize"), world, report)
    assert "names org 00D000000000009EAA, not uat (00D000000000005EAA)" in report.warnings[0]


def test_a_link_to_the_target_itself_means_that_the_file_was_not_retrieved(tmp_path: Path) -> None:
    orgs = {"uat": {"url": "https://uat.my.salesforce.com", "orgId": "00D000000000009"}}
    tree = trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.app(settings=None, oauth=LINKED)
    report = Report()
    where = ProjectSelection((str(trees.plant(tmp_path, tree)),))
    world = composition.real_world(Environment({"HOME": str(tmp_path)}))
    pipeline.run(RunRequest(where, OrgSelection(), LoginOptions(dry_run=True), "authorize"), world, report)
    assert [problem.name for problem in report.problems] == [settings_not_retrieved.name]
    assert "--target-org uat" in report.problems[0].actions[0]
