"""Orgs by the names that people have for them: in the project, in the environment, in the Salesforce CLI."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import trees
from commandline import Ended, inside
from fakes import salesforce_cli
from fakes.salesforce_cli import StandIn

PROD = "https://acme.my.salesforce.com"


class Place:
    """A project with an app that logs in by itself, below a home with a Salesforce CLI that keeps two logins."""

    def __init__(self, home: Path) -> None:
        self.home, self.root = home, home / "project"
        self.sf = StandIn(home / "bin")
        self.sf.keeps(
            salesforce_cli.login("dev", org_id="00D000000000007EAA"), salesforce_cli.login("qa", "robot@qa.example")
        )
        self.configure()

    def configure(self, **orgs: object) -> None:
        trees.plant(self.root, trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.robot())

    def target_org(self, name: str, below: Path | None = None) -> None:
        folder = (below or self.home) / ".sf"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"target-org": name}))

    def run(self, *arguments: str, **variables: str) -> Ended:
        path = os.pathsep.join([str(self.home / "bin"), os.environ["PATH"]])
        command = ["run", "-d", str(self.root), "--dry-run", "--json", *arguments]
        return inside(*command, at=self.home, PATH=path, **variables)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def hosts(ended: Ended) -> dict[str, str]:
    """The host of each org that would be logged in to."""
    assert ended.status == 0, ended.out + ended.err
    stages = ended.result["stages"]
    return {stage["org"]: stage["facts"]["host"] for stage in stages if stage["stage"] == "authorize"}


DEV, QA = "acme--dev.sandbox.my.salesforce.com", "acme--qa.sandbox.my.salesforce.com"


def test_aliases_and_usernames_of_the_salesforce_cli_are_orgs(place: Place) -> None:
    assert hosts(place.run("-o", "dev", "-o", "robot@qa.example")) == {"dev": DEV, "qa": QA}
    assert [call.command for call in place.sf.calls].count("org list auth") == 1


def test_rows_may_name_them_too(place: Place) -> None:
    (place.root / "orgs.csv").write_text(f"alias,url\nprod,{PROD}\nqa,\n")
    assert hosts(place.run("-f", str(place.root / "orgs.csv"))) == {"prod": "acme.my.salesforce.com", "qa": QA}


def test_its_default_org_is_the_default(place: Place) -> None:
    place.configure(prod={"url": PROD})
    assert hosts(place.run()) == {"prod": "acme.my.salesforce.com"}
    assert place.sf.calls == []
    place.target_org("dev")
    assert hosts(place.run()) == {"dev": DEV}
    place.target_org("qa", place.root)
    assert hosts(place.run()) == {"qa": QA}
    assert hosts(place.run(SF_TARGET_ORG="dev")) == {"dev": DEV}
    assert hosts(place.run("--all-orgs", SF_TARGET_ORG="dev")) == {"prod": "acme.my.salesforce.com"}


@pytest.mark.parametrize(("variable", "source"), [("div", "SF_TARGET_ORG"), ("", "target-org of the Salesforce CLI")])
def test_a_default_that_nobody_knows_is_told_with_its_origin(place: Place, variable: str, source: str) -> None:
    place.target_org("div")
    ended = place.run(SF_TARGET_ORG=variable)
    assert (ended.status, ended.document["name"]) == (2, "NamedOrgNotFoundError")
    assert source in ended.document["message"]
    assert 'Did you mean "dev"?' in ended.document["actions"]


def test_a_project_that_is_not_trusted_chooses_no_org(place: Place) -> None:
    place.configure(prod={"url": PROD})
    place.target_org("qa", place.root)
    ended = place.run("--no-project-config")
    assert (ended.status, ended.document["name"]) == (2, "NoOrgChosen")


def test_a_check_knows_the_orgs_of_the_salesforce_cli(place: Place) -> None:
    """And it asks for them only where neither the project nor the name itself says which org is meant."""
    place.configure(uat={"url": PROD, "orgId": "00D000000000009EAA"})
    trees.plant(place.root, trees.app("Robot", header={"orgScopedExternalApp": "00D000000000007EAA:Robot"}))

    def check(org: str) -> Ended:
        path = os.pathsep.join([str(place.home / "bin"), os.environ["PATH"]])
        command = ("app", "check", "-d", str(place.root), "--for", "deploy", "-o", org, "--json")
        return inside(*command, at=place.home, PATH=path)

    def levels(ended: Ended) -> list[str]:
        return [each["level"] for each in ended.result["findings"] if each["rule"] == "org-scoped-app-foreign"]

    assert levels(check("uat")) == levels(check(PROD)) == ["warning"]
    assert place.sf.calls == []
    assert levels(check("dev")) == []
    assert levels(check("qa")) == ["warning"]
    unknown = check("dew")
    assert (unknown.status, unknown.document["name"]) == (2, "NamedOrgNotFoundError")
    assert "dev" in " ".join(unknown.document["actions"])
