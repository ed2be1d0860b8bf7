"""What CONTRIBUTING says is enough for a change is enough: each is made in a copy of the product, and works."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trees
from commandline import ROOT, Ended, ecapipe, environment

from ecapipe.problems.oauth import unsupported_grant_type

FLOW = """
from ecapipe.oauth.flows.flow import UnattendedFlow
from ecapipe.oauth.flows.plans import GrantPlan
from ecapipe.oauth.grants import Grant


class ToyGrant(Grant):
    def fields(self, client):
        return {"grant_type": "toy", "client_id": client.consumer_key}


class ToyFlow(UnattendedFlow):
    name = "toy"
    title = "toy"
    lacking = "it lacks nothing"

    def allowed_by(self, app):
        return app.settings.document.flag("isToyFlowEnabled", False)

    def refusal(self, app):
        return "isToyFlowEnabled is not true in its settings"

    def usable(self, means):
        return True

    def needs_secret(self, app):
        return False

    def plan(self, given):
        return GrantPlan(lambda ahead: ToyGrant(), {"toy": given.org.name})


TOY = ToyFlow()
"""

FORMAT = """
def render(data):
    return "".join(f"{row.subject}\\n" for row in data.rows if row.is_target)
"""


class Copy:
    """A copy of the product, and a project to use it with."""

    def __init__(self, folder: Path) -> None:
        self.product, self.project = folder / "product", folder / "project"
        shutil.copytree(ROOT / "ecapipe", self.product / "ecapipe", ignore=shutil.ignore_patterns("__pycache__"))
        settings = {"isToyFlowEnabled": "true", "callbackUrl": None, "consumerSecret": None}
        trees.plant(self.project, trees.project() | trees.app("Toys", settings=settings))

    def add(self, path: str, content: str) -> None:
        (self.product / "ecapipe" / path).write_text(content, encoding="utf-8")

    def edit(self, path: str, line: str, edited: str) -> None:
        file = self.product / "ecapipe" / path
        text = file.read_text(encoding="utf-8")
        assert text.count(line) == 1
        file.write_text(text.replace(line, edited), encoding="utf-8")

    def run(self, *arguments: str) -> Ended:
        return ecapipe(*arguments, at=self.project, PYTHONPATH=str(self.product))


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_a_flow_is_a_module_and_its_place_in_the_list(copy: Copy) -> None:
    copy.add("oauth/flows/toy.py", FLOW)
    copy.edit("oauth/flows/registry.py", "import JWT\n", "import JWT\nfrom ecapipe.oauth.flows.toy import TOY\n")
    copy.edit("oauth/flows/registry.py", "(WEB, CLIENT_CREDENTIALS, JWT)", "(WEB, CLIENT_CREDENTIALS, JWT, TOY)")

    assert "|jwt|toy" in copy.run("run", "--help").out
    (app,) = copy.run("app", "list", "--json").result["apps"]
    assert app["flows"] == ["toy"]
    (copy.project / "orgs.csv").write_text("alias,url,flow\nacme,https://acme.my.salesforce.com,toy\n")
    plan = copy.run("run", "--file", "orgs.csv", "--dry-run", "--json").result
    (authorize,) = [stage for stage in plan["stages"] if stage["stage"] == "authorize"]
    assert (authorize["facts"]["flow"], authorize["facts"]["toy"]) == ("toy", "acme")
    # The org does not know it; what it was asked for, and what it says of that, come from the module all the same.
    (failure,) = copy.run("run", "--emulator", "--flow", "toy", "--json").result["failures"]
    assert (failure["stage"], failure["name"]) == ("token", unsupported_grant_type.name)

    described = [sys.executable, "-m", "ecapipe.documents.schemas"]
    env = environment(copy.project, PYTHONPATH=str(copy.product))
    subprocess.run(described, cwd=copy.product, env=env, check=True)
    shared = json.loads((copy.product / "ecapipe/schemas/shared.json").read_text(encoding="utf-8"))
    text = json.dumps(shared)
    assert '"enum": ["web", "client-credentials", "jwt", "toy"]' in text
    assert '"enum": ["introspect", "client-credentials", "jwt", "toy"]' in text


def test_a_report_format_is_a_module_and_its_name_in_the_list(copy: Copy) -> None:
    copy.add("render/toy.py", FORMAT)
    copy.edit("render/reports.py", '"sarif")', '"sarif", "toy")')
    assert "toy" in copy.run("run", "--help").out
    copy.run("run", "--dry-run", "--target-org", "https://acme.my.salesforce.com", "--report", "toy=toys.txt")
    assert (copy.project / "toys.txt").read_text(encoding="utf-8") == "Toys@acme.my.salesforce.com\n"
