"""Which app logs in to which org: batch files, configured orgs, trees of their own, and what each row says."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import trees
from loopback import free_port

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.documents.report import Report
from ecapipe.login.options import LoginOptions
from ecapipe.oauth.flows.registry import CHOICES
from ecapipe.orgs import org_file
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems import project, usage
from ecapipe.problems.credentials import consumer_secret_missing
from ecapipe.problems.orgs import malformed_batch_file, too_many_approvals
from ecapipe.problems.problem import Problem
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run import pipeline
from ecapipe.run.pipeline import RunRequest

UAT = "https://acme--uat.sandbox.my.salesforce.com"
PROD = "https://acme.my.salesforce.com"
LINKED = {"oauthLink": "00D000000000009EAA:888000000000001"}
MADE_HERE = {"orgScopedExternalApp": "00D000000000008EAA:A"}
"""With another org in the link, a sign of a linked app."""
ALONE = {"callbackUrl": None, **trees.CLIENT_CREDENTIALS}


def loopback() -> str:
    """A callback on this machine where nothing listens."""
    return f"http://localhost:{free_port()}/OauthRedirect"


def web(name: str, **settings: str | None) -> trees.Files:
    """An app that allows only the web flow, and comes back to this machine."""
    return trees.app(name, settings={"callbackUrl": loopback(), **settings})


def alone(name: str) -> trees.Files:
    """An app that allows only the client credentials flow."""
    return trees.app(name, settings=ALONE, policies=trees.CLIENT_CREDENTIALS)


@dataclass(frozen=True, slots=True)
class Planned:
    """What a dry run says it would do."""

    report: Report

    @property
    def stages(self) -> list[dict[str, Any]]:
        return cast(list[dict[str, Any]], self.report.result()["stages"])

    @property
    def targets(self) -> dict[str, tuple[str, str | None]]:
        """By ``app@org``: the outcome of authorize, and the reason."""
        return {
            f"{stage['app']}@{stage['org']}": (stage["outcome"], stage["reason"])
            for stage in self.stages
            if stage["stage"] == "authorize"
        }

    def facts(self, subject: str) -> Mapping[str, Any]:
        found = [s for s in self.stages if s["stage"] == "authorize" and f"{s['app']}@{s['org']}" == subject]
        return cast(Mapping[str, Any], found[0]["facts"])

    @property
    def problem(self) -> Problem:
        (problem,) = self.report.problems
        return problem


def plan(
    where: ProjectSelection,
    which: OrgSelection,
    how: LoginOptions | None = None,
    last: str = "authorize",
    environ: dict[str, str] | None = None,
    secret_from: frozenset[str] = frozenset(),
) -> Planned:
    report = Report()
    world = replace(composition.real_world(Environment(environ or {})), person=True, local_browser=True)
    how = replace(how or LoginOptions(), dry_run=True)
    pipeline.run(RunRequest(where, which, how, last, secret_from), world, report)
    return Planned(report)


def listed(root: Path, text: str) -> OrgSelection:
    return OrgSelection(batch=org_file.parse(text.encode(), str(root / "orgs.csv"), CHOICES))


def started_in(root: Path, text: str, *names: str, lender: Path | None = None) -> Planned:
    """A run that is started in `root` for the orgs of a file, without a flag for a folder."""
    with chdir(root):
        where = ProjectSelection(names=names, credentials_dirs=(str(lender),) if lender else ())
        return plan(where, listed(root, text))


def here(root: Path, *names: str) -> ProjectSelection:
    return ProjectSelection((str(root),), names)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return trees.plant(tmp_path, trees.project() | web("A") | alone("B"))


# --- which app in which org ---------------------------------------------------------------------------------


def test_a_row_is_for_all_apps_or_for_those_it_names(two: Path) -> None:
    planned = plan(here(two), listed(two, f"alias,url,apps\nuat,{UAT},\nprod,{PROD},B\n"))
    assert list(planned.targets) == ["A@uat", "B@uat", "B@prod"]
    assert planned.report.status == 0


def test_configured_orgs_say_the_same(tmp_path: Path) -> None:
    members = {"uat": {"url": UAT, "apps": "A"}, "prod": {"url": PROD, "apps": ["B"]}}
    tree = trees.project(plugins={"ecapipe": {"orgs": members}}) | web("A") | alone("B")
    planned = plan(here(trees.plant(tmp_path, tree)), OrgSelection(every=True))
    assert list(planned.targets) == ["A@uat", "B@prod"]


def test_an_app_that_no_org_means_is_no_part_of_the_run(two: Path) -> None:
    trees.plant(two, web("C", consumerSecret=None))
    planned = plan(here(two), listed(two, f"alias,url,apps\nuat,{UAT},A\n"))
    assert planned.report.status == 0
    assert [app.name for app in planned.report.apps] == ["A"]


def test_names_on_the_command_line_are_for_all_rows(two: Path) -> None:
    planned = plan(here(two, "A"), listed(two, f"alias,url,apps\nuat,{UAT},A B\nprod,{PROD},B\n"))
    assert list(planned.targets) == ["A@uat"]
    assert planned.report.warnings == ["prod is skipped: none of the selected apps is assigned to it."]


def test_where_nothing_is_meant_for_anything_the_run_is_refused(two: Path) -> None:
    problem = plan(here(two, "A"), listed(two, f"alias,url,apps\nprod,{PROD},B\n")).problem
    assert (problem.kind, problem.exit_code) == (usage.nothing_paired, 2)


def test_unknown_apps_and_refused_hosts_are_told_at_once(two: Path) -> None:
    text = f"alias,url,apps,sourceDir\nuat,{UAT},C,\nprod,https://evil.test,,\nx,{PROD},,gone\n"
    problem = started_in(two, text).problem
    assert (problem.kind, problem.exit_code) == (malformed_batch_file, 2)
    for place in ("row 2, column apps", "row 3, column url", "row 4, column sourceDir"):
        assert place in problem.message


def test_rows_may_share_out_the_apps_of_an_org(two: Path) -> None:
    text = f"alias,url,apps,flow\nuat,{UAT},A,web\nuat,{UAT},B,client-credentials\n"
    planned = plan(here(two), listed(two, text))
    assert [planned.facts(subject)["flow"] for subject in planned.targets] == ["web", "client-credentials"]


@pytest.mark.parametrize(("text", "outcome"), [("apps\n{},A", "failed"), ("apps\n{},", "skipped")])
def test_a_pair_that_cannot_work_fails_where_it_was_named(tmp_path: Path, text: str, outcome: str) -> None:
    tree = trees.project() | trees.app("A", settings=None, oauth=LINKED, header=MADE_HERE) | alone("B")
    root = trees.plant(tmp_path, tree)
    planned = plan(here(root), listed(root, f"alias,url,{text.format(f'uat,{UAT}')}\nprod,{PROD},B\n"))
    assert planned.targets["A@uat"][0] == outcome
    assert planned.targets["B@prod"][0] == "skipped"
    names = [project.settings_in_source_org.name] if outcome == "failed" else []
    assert [problem.name for problem in planned.report.problems] == names


def test_a_flow_that_was_asked_for_chooses_among_apps_that_nobody_named(two: Path) -> None:
    how = LoginOptions(flow="client-credentials")
    planned = plan(here(two), OrgSelection((f"uat={UAT}",)), how)
    outcome, reason = planned.targets["A@uat"]
    assert outcome == "skipped"
    assert "A cannot log in with flow client-credentials" in (reason or "")
    assert planned.report.status == 0
    named = plan(here(two, "A", "B"), OrgSelection((f"uat={UAT}",)), how)
    assert named.targets["A@uat"][0] == "failed"
    assert named.report.status == 68


def test_a_flow_that_no_app_allows_is_a_failure(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | web("A"))
    assert (
        plan(here(root), OrgSelection((f"uat={UAT}",)), LoginOptions(flow="client-credentials")).problem.kind
        is project.flow_not_possible
    )


@pytest.mark.parametrize("last", ["discover", "locate", "check"])
def test_mistakes_are_told_however_early_the_run_is_to_end(two: Path, last: str) -> None:
    text = f"alias,url,apps\nuat,{UAT},C\n"
    assert plan(here(two), listed(two, text), last=last).problem.kind is malformed_batch_file


def test_a_check_for_an_org_uses_what_is_there_for_it(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | web("A", consumerSecret=None))
    environ = {"UAT": trees.secret("A")}
    planned = plan(here(root), listed(root, f"alias,url,secretEnv\nuat,{UAT},UAT\n"), last="check", environ=environ)
    assert planned.report.status == 0
    assert [(stage["stage"], stage["org"]) for stage in planned.stages] == [
        ("discover", None),
        ("locate", None),
        ("check", None),
    ]


# --- what a row says of a login -----------------------------------------------------------------------------


def test_a_row_says_how_to_log_in_unless_the_command_line_does(tmp_path: Path) -> None:
    settings = {"callbackUrl": f"{loopback()}\nhttps://www.example.com/done", **trees.CLIENT_CREDENTIALS}
    tree = trees.project() | trees.app("A", settings=settings, policies=trees.CLIENT_CREDENTIALS)
    root = trees.plant(tmp_path, tree)
    text = f"alias,url,flow,callback,scopes,browser\na,{UAT},web,paste,id,none\nb,{PROD},,,,\n"
    planned = plan(here(root), listed(root, text))
    one, other = planned.facts("A@a"), planned.facts("A@b")
    assert (one["flow"], one["callback"], one["scopes"], one["browser"]) == ("web", "paste", ["id"], "none")
    assert (other["flow"], other["callback"], other["scopes"]) == ("web", "listen", ["api", "id"])
    flags = plan(here(root), listed(root, text), LoginOptions(flow="web", callback="listen", scopes="api"))
    assert (flags.facts("A@a")["callback"], flags.facts("A@a")["scopes"]) == ("listen", ["api"])
    quiet = plan(here(root), listed(root, text), LoginOptions(flow="client-credentials"))
    assert quiet.facts("A@a")["flow"] == "client-credentials"


def test_no_browser_for_an_org_means_pasting_there(tmp_path: Path) -> None:
    settings = {"callbackUrl": f"{loopback()}\nhttps://www.example.com/done"}
    root = trees.plant(tmp_path, trees.project() | trees.app("A", settings=settings))
    planned = plan(here(root), listed(root, f"alias,url,browser\na,{UAT},none\nb,{PROD},firefox\n"))
    assert [planned.facts(subject)["callback"] for subject in ("A@a", "A@b")] == ["paste", "listen"]


def test_a_dry_run_says_where_key_and_secret_come_from(two: Path) -> None:
    environ = {"MY_UAT_SECRET": trees.secret("other")}
    planned = plan(
        here(two), listed(two, f"alias,url,secretEnv\nuat,{UAT},MY_UAT_SECRET\nprod,{PROD},\n"), environ=environ
    )
    facts = planned.facts("B@uat")
    assert (facts["consumerKey"], facts["consumerSecret"], facts["secretEnv"]) == (
        "file",
        "environment",
        "MY_UAT_SECRET",
    )
    assert (facts["host"], facts["flow"]) == ("acme--uat.sandbox.my.salesforce.com", "client-credentials")
    assert planned.facts("B@prod")["consumerSecret"] == "file"
    assert trees.secret("other") not in repr(planned.report.result())


def test_a_variable_that_is_named_and_not_set_is_told_by_its_name(two: Path) -> None:
    text = f"alias,url,secretEnv\nuat,{UAT},MY_UAT_SECRET\nprod,{PROD},\n"
    planned = plan(here(two, "B"), listed(two, text))
    assert planned.targets["B@uat"][0] == "failed"
    assert planned.problem.kind is consumer_secret_missing
    assert "MY_UAT_SECRET" in " ".join((planned.problem.message, *planned.problem.actions))
    from_file = plan(here(two, "B"), listed(two, text), secret_from=frozenset({"file"}))
    assert from_file.report.status == 0


def test_a_named_variable_settles_whose_a_variable_is(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | web("A", consumerSecret=None) | web("A_B", consumerSecret=None))
    environ = {"ECAPIPE_CLIENT_SECRET_A_B": "fake-one", "SECRET_OF_B": "fake-other"}
    text = f"alias,url,secretEnv\nB,{UAT},{{}}\n"
    assert plan(here(root), listed(root, text.format("")), environ=environ).problem.kind is usage.ambiguous_variable
    settled = plan(here(root), listed(root, text.format("SECRET_OF_B")), environ=environ)
    assert settled.report.status == 0


def test_no_child_inherits_a_variable_that_a_row_names(two: Path) -> None:
    environ = {"MY_UAT_SECRET": "fake", "OF_THE_PROJECT": "fake", "OTHER": "kept"}
    members = {"prod": {"url": PROD, "secretEnv": "OF_THE_PROJECT"}}
    trees.plant(two, trees.project(plugins={"ecapipe": {"orgs": members}}))
    environment = Environment(environ)
    report, world = Report(), replace(composition.real_world(environment), person=True)
    which = listed(two, f"alias,url,secretEnv\nuat,{UAT},MY_UAT_SECRET\n")
    pipeline.run(RunRequest(here(two), which, LoginOptions(dry_run=True), "authorize"), world, report)
    assert (report.status, environment.for_programs()) == (0, {"OTHER": "kept"})


RESERVED = ("HOME", "https_proxy", "GIT_SSH_COMMAND", "SF_ACCESS_TOKEN")


@pytest.mark.parametrize("name", RESERVED)
def test_what_programs_need_is_refused_in_a_row(name: str, two: Path) -> None:
    text = f"alias,url,secretEnv\nuat,{UAT},MINE\nprod,{PROD},{name}\n"
    planned = plan(here(two), listed(two, text), environ={name: "made-up", "MINE": "made-up"})
    problem = planned.problem
    assert (problem.kind, problem.exit_code, planned.report.status) == (project.variable_reserved, 2, 2)
    assert problem.file == str(two / "orgs.csv")
    assert f"row 3, column secretEnv names {name}" in problem.message


@pytest.mark.parametrize("name", RESERVED)
def test_what_programs_need_is_refused_in_a_project(name: str, two: Path) -> None:
    members = {"prod": {"url": PROD, "secretEnv": name}}
    trees.plant(two, trees.project(plugins={"ecapipe": {"orgs": members}}))
    for which in (OrgSelection(every=True), OrgSelection((UAT,))):
        planned = plan(here(two), which, environ={name: "made-up"})
        assert (planned.problem.kind, planned.report.status) == (project.variable_reserved, 2)
        assert f"plugins.ecapipe.orgs.prod is {name}" in planned.problem.message
    untrusted = replace(here(two), trusted=False)
    assert plan(untrusted, OrgSelection((UAT,)), environ={name: "made-up"}).report.status == 0


@pytest.mark.parametrize("name", RESERVED)
def test_what_programs_need_is_refused_in_a_replacement_of_key_or_secret(name: str, tmp_path: Path) -> None:
    secret = {"stringToReplace": "@@S@@", "replaceWithEnv": name}
    for place, status in {"**/*": 2, "**/*.labels-meta.xml": 0}.items():
        tree = trees.project(replacements=[{"glob": place, **secret}]) | alone("B")
        if status:
            settings = {**ALONE, "consumerSecret": "@@S@@"}
            tree |= trees.app("B", settings=settings, policies=trees.CLIENT_CREDENTIALS)
        root = trees.plant(tmp_path / str(status), tree)
        planned = plan(here(root), OrgSelection((UAT,)), environ={name: "made-up", "ECAPIPE_CLIENT_SECRET": "FA4E"})
        assert planned.report.status == status
        if status:
            assert planned.problem.kind is project.variable_reserved
            assert f"the consumerSecret of B, is {name}" in planned.problem.message


# --- trees of their own -------------------------------------------------------------------------------------


def retrieved(name: str, *apps: str) -> trees.Files:
    """A tree in source format that a retrieve left in a folder of its own; its keys are its org's."""
    files: trees.Files = {}
    for app in apps:
        pair = {
            "callbackUrl": loopback(),
            "consumerKey": trees.key(f"{app} of {name}"),
            "consumerSecret": trees.secret(f"{app} of {name}"),
        }
        files |= trees.app(app, settings=pair, folder=f"retrieved/{name}")
    return files


def test_an_org_with_a_tree_of_its_own_has_the_apps_of_that_tree(tmp_path: Path) -> None:
    tree = trees.project() | web("Main") | retrieved("uat", "A", "B") | retrieved("prod", "A")
    root = trees.plant(tmp_path, tree)
    text = f"alias,url,sourceDir\nuat,{UAT},retrieved/uat\nprod,{PROD},retrieved/prod\ndev,https://dev.my.salesforce.com,\n"
    planned = started_in(root, text)
    assert set(planned.targets) == {"A@uat", "B@uat", "A@prod", "Main@dev"}
    assert planned.report.status == 0
    apps = cast(list[dict[str, Any]], planned.report.result()["apps"])
    assert sorted((app["name"], Path(app["project"]).relative_to(root).as_posix()) for app in apps) == [
        ("A", "retrieved/prod"),
        ("A", "retrieved/uat"),
        ("B", "retrieved/uat"),
        ("Main", "."),
    ]
    checks = [ended.subject for ended in planned.report.ended if ended.stage.name == "check"]
    assert len(set(checks)) == 4
    assert "A (retrieved/uat)" in set(map(planned.report.name, checks))
    located = [stage["project"] for stage in planned.stages if stage["stage"] == "locate"]
    assert located == [str(root / folder) for folder in ("retrieved/uat", "retrieved/uat", "retrieved/prod", "")]


def test_no_project_is_needed_where_every_row_brings_its_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees.plant(tmp_path, retrieved("uat", "A") | retrieved("prod", "A"))
    monkeypatch.chdir(tmp_path)
    rows = [
        {"alias": name, "url": url, "sourceDir": f"retrieved/{name}"} for name, url in (("uat", UAT), ("prod", PROD))
    ]
    planned = plan(
        ProjectSelection(), OrgSelection(batch=org_file.parse(json.dumps(rows).encode(), "orgs.json", CHOICES))
    )
    assert planned.report.status == 0
    assert set(planned.targets) == {"A@uat", "A@prod"}
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    without = plan(
        ProjectSelection(),
        OrgSelection(batch=org_file.parse(json.dumps([*rows, {"url": UAT}]).encode(), "../orgs.json", CHOICES)),
    )
    assert without.problem.kind in (project.requires_project_error, project.project_not_chosen)


def test_a_tree_may_be_a_project_and_be_shared(tmp_path: Path) -> None:
    trees.plant(tmp_path / "one", trees.project() | web("A"))
    planned = started_in(tmp_path, f"alias,url,sourceDir\nuat,{UAT},one\nprod,{PROD},./one/\n")
    assert list(planned.targets) == ["A@uat", "A@prod"]
    assert len(planned.report.apps) == 1


def test_a_folder_that_a_flag_names_wins_over_the_trees_of_rows(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | web("Main") | retrieved("uat", "A"))
    text = f"alias,url,sourceDir\nuat,{UAT},retrieved/uat\n"
    planned = plan(here(root), listed(root, text))
    assert list(planned.targets) == ["Main@uat"]
    (warning,) = planned.report.warnings
    assert warning.endswith("orgs.csv is ignored: --source-dir overrides it.")
    retrieved_dir = ProjectSelection(metadata_dirs=(str(root / "force-app"),))
    assert list(plan(retrieved_dir, listed(root, text)).targets) == ["Main@uat"]


def test_names_are_looked_for_in_all_trees(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | web("Main") | retrieved("uat", "A", "B"))
    text = f"alias,url,sourceDir\nuat,{UAT},retrieved/uat\n"
    assert list(started_in(root, text, "B").targets) == ["B@uat"]
    problem = started_in(root, text, "C").problem
    assert (problem.kind, problem.exit_code) == (usage.unknown_app, 2)


def test_an_empty_tree_is_a_mistake_of_its_row(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | web("Main") | {"empty/": ""})
    problem = started_in(root, f"alias,url,sourceDir\nuat,{UAT},empty\n").problem
    assert "row 2, column sourceDir: cannot be used" in problem.message


def test_one_key_in_the_trees_of_two_orgs_is_doubtful(tmp_path: Path) -> None:
    copied = {path.replace("retrieved/uat", "retrieved/prod"): text for path, text in retrieved("uat", "A").items()}
    root = trees.plant(tmp_path, retrieved("uat", "A") | copied)
    text = f"alias,url,sourceDir\nuat,{UAT},retrieved/uat\nprod,{PROD},retrieved/prod\n"
    (warning,) = started_in(root, text).report.warnings
    assert warning.startswith("A@uat, A@prod have the same consumer key in the folders of different orgs")


def test_linked_apps_of_all_trees_take_the_pair_of_the_source_org(tmp_path: Path) -> None:
    trees.plant(tmp_path / "hub", trees.project() | web("A"))
    root = trees.plant(
        tmp_path,
        trees.app("A", settings=None, oauth=LINKED, folder="retrieved/uat")
        | trees.app("A", settings=None, oauth=LINKED, folder="retrieved/prod"),
    )
    text = f"alias,url,sourceDir\nuat,{UAT},retrieved/uat\nprod,{PROD},retrieved/prod\n"
    planned = started_in(root, text, lender=tmp_path / "hub")
    assert planned.report.status == 0
    assert planned.report.warnings == []


# --- guards -------------------------------------------------------------------------------------------------


def test_one_org_under_two_names_is_told_before_anything_is_sent(two: Path) -> None:
    planned = plan(here(two, "B"), listed(two, f"alias,url\na,{UAT}\nb,{UAT}\n"))
    assert planned.report.warnings == [f"a, b are the same org: {UAT}."]
    assert planned.report.status == 0


def test_more_refresh_tokens_than_salesforce_keeps_are_refused(tmp_path: Path) -> None:
    root = trees.plant(
        tmp_path,
        trees.project()
        | trees.app(
            "A", settings={"callbackUrl": loopback()}, oauth={"commaSeparatedOauthScopes": "Api, RefreshToken"}
        ),
    )
    text = "alias,url,username\n" + "".join(f"a{number},{UAT},ann@acme.test\n" for number in range(7))
    asked = plan(
        here(root), listed(root, text + f"b,{UAT},bob@acme.test\n"), LoginOptions(scopes="api refresh_token")
    )
    failed = [subject for subject, (outcome, _) in asked.targets.items() if outcome == "failed"]
    assert failed == ["A@a5", "A@a6"]
    assert {problem.name for problem in asked.report.problems} == {too_many_approvals.name}
    assert plan(here(root), listed(root, text)).report.status == 0


def test_a_variable_that_cannot_be_read_is_the_trouble_of_its_org_alone(two: Path) -> None:
    text = f"alias,url,secretEnv\nuat,{UAT},BROKEN\nprod,{PROD},\ndev,https://dev.my.salesforce.com,GONE\n"
    environ = {"BROKEN": "two\nlines", "GONE_FILE": str(two / "nowhere")}
    planned = plan(here(two, "B"), listed(two, text), environ=environ)
    assert {subject: outcome for subject, (outcome, _) in planned.targets.items()} == {
        "B@uat": "failed",
        "B@prod": "skipped",
        "B@dev": "failed",
    }
    assert [problem.name for problem in planned.report.problems] == [
        usage.usage_error.name,
        usage.unreadable_file.name,
    ]
    assert planned.report.status == 68


def test_a_tree_may_be_in_metadata_format(tmp_path: Path) -> None:
    files = {path.removesuffix("-meta.xml"): text for path, text in retrieved("uat", "A").items()}
    root = trees.plant(tmp_path, files)
    with zipfile.ZipFile(root / "unpackaged.zip", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    text = f"alias,url,sourceDir\nuat,{UAT},retrieved/uat\nprod,{PROD},unpackaged.zip\n"
    planned = started_in(root, text)
    assert {subject: outcome for subject, (outcome, _) in planned.targets.items()} == dict.fromkeys(
        ("A@uat", "A@prod"), "skipped"
    )


def test_apps_of_two_projects_that_would_be_one_target_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    one = trees.plant(tmp_path / "one", trees.project() | alone("Billing"))
    two = trees.plant(tmp_path / "two", trees.project() | alone("Billing") | alone("Other"))
    where = ProjectSelection((str(one), str(two)))
    problem = plan(where, OrgSelection((f"prod={PROD}",))).problem
    assert (problem.kind, problem.exit_code) == (usage.app_in_several_projects, 2)
    assert str(one) in problem.message
    assert str(two) in problem.message
    assert set(plan(replace(where, names=("Other",)), OrgSelection((f"prod={PROD}",))).targets) == {"Other@prod"}
