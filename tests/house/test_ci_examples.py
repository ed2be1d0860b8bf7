"""The examples for CI systems, run step by step in a fresh clone, with stand-ins for what the systems bring."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trees
from check import ground
from check.ground import committed
from commandline import ecapipe
from fakes.orgs import registered
from fakes.salesforce_cli import StandIn, login
from pipelines import EXAMPLES, GITHUB, steps
from render.test_sent_insights import Api, api

from ecapipe.emulator.faults import Fault
from ecapipe.emulator.server import Emulator

APP, ORGS = "Nightly_Reports", ("prod", "uat")
SYSTEMS = (
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "circleci.yml",
    "github.yml",
    "gitlab-ci.yml",
    "Jenkinsfile",
)
INSTALL = f"""import os, pathlib, sys
program = pathlib.Path(sys.argv[1], "bin/ecapipe")
program.parent.mkdir(parents=True)
program.write_text('#!/bin/sh\\nexec {sys.executable} -I -m ecapipe "$@"\\n')
program.chmod(0o755)
print(program)
"""
"""Instead of what the lock names: the ecapipe under test. `tests/package` tries the lock."""

__all__ = ["api"]


def pair(org: str) -> dict[str, str]:
    return {"consumerKey": trees.key(f"{APP} of {org}"), "consumerSecret": trees.secret(f"{APP} of {org}")}


def app(org: str, **settings: str | None) -> trees.Files:
    return trees.robot(APP, settings={**pair(org), **settings})


@dataclass
class Machine:
    """A machine of a CI system: a fresh clone, a folder for what is temporary, and programs of others."""

    root: Path
    sf: StandIn
    api: Api
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def clone(self) -> Path:
        return self.root / "clone"

    @property
    def temporary(self) -> Path:
        return self.root / "temporary"

    def known(self) -> dict[str, str]:
        """What the variables of steps refer to, in the words of each system."""
        key = str(self.root / "ci.key")
        known = {"key.secureFilePath": key, "salesforce-ci-key": key, "salesforce-ci-client-id": "3MVG9fake"}
        known |= {"vars.SF_CLIENT_ID": "3MVG9fake", "secrets.SF_JWT_KEY": "made up"}
        for org, secret in self.secrets.items():
            name = f"{APP}_{org}"
            known |= {f"secrets.{name.upper()}": secret, name.upper(): secret}
            known[name.lower().replace("_", "-")] = secret
        known["steps.install.outputs.ecapipe"] = str(self.temporary / "ecapipe/bin/ecapipe")
        return known

    def variables(self, name: str) -> dict[str, str]:
        """The variables of the machine, those of the system among them."""
        temporary, home = str(self.temporary), str(self.root / "home")
        systems = {
            "azure-pipelines.yml": {
                "TF_BUILD": "True", "AGENT_TEMPDIRECTORY": temporary, "SF_CLIENT_ID": "3MVG9fake",
            },
            "bitbucket-pipelines.yml": {"BITBUCKET_CLONE_DIR": str(self.clone), **self.api.variables},
            "circleci.yml": {"CIRCLECI": "true", "BASH_ENV": str(self.root / "bash_env"), "HOME": temporary},
            "github.yml": {
                "GITHUB_ACTIONS": "true", "RUNNER_TEMP": temporary, "GITHUB_WORKSPACE": str(self.clone),
                "GITHUB_OUTPUT": str(self.root / "output"), "GITHUB_STEP_SUMMARY": str(self.root / "summary.md"),
                "GITHUB_ACTION_PATH": str(self.root / "source/.github/actions/check"),
            },
            "gitlab-ci.yml": {
                "GITLAB_CI": "true", "CI_PROJECT_DIR": str(self.clone), "SF_JWT_KEY_FILE": str(self.root / "ci.key"),
            },
            "Jenkinsfile": {"JENKINS_URL": "https://ci.example", "WORKSPACE_TMP": temporary, "HOME": temporary},
        }  # fmt: skip
        given = {}
        if name in ("bitbucket-pipelines.yml", "circleci.yml", "gitlab-ci.yml"):  # they give all to the whole job
            given = {f"ECAPIPE_CLIENT_SECRET_{APP}_{org}".upper(): secret for org, secret in self.secrets.items()}
            given |= {"SF_JWT_KEY_BASE64": base64.b64encode(b"made up").decode(), "SF_CLIENT_ID": "3MVG9fake"}
        path = os.pathsep.join([str(self.sf.folder), os.environ["PATH"]])
        source = {"ECAPIPE_SOURCE": str(self.root / "source"), "ECAPIPE_COMMIT": "HEAD"}
        usual = {"PATH": path, "HOME": home, "CI": "true", "LANG": "C.UTF-8", "PYTHONPATH": "", **source}
        return {**usual, **systems[name], **given}

    def work(self, name: str) -> list[subprocess.CompletedProcess[str]]:
        """Run an example to its end, or to its first failure."""
        ended: list[subprocess.CompletedProcess[str]] = []
        for step in steps(name):
            if all(each.returncode == 0 for each in ended) or step.always:
                here = replace(step, script=step.script.replace("/opt/", f"{self.temporary}/"))
                ended.append(here.run(self.clone, self.variables(name), self.known()))
        return ended

    @property
    def result(self) -> Path:
        """The JSON result that the run left."""
        places = (self.clone, self.clone / "reports", self.temporary / "reports")
        return next(place / "ecapipe.json" for place in places if (place / "ecapipe.json").exists())


@pytest.fixture
def faults() -> list[Fault]:
    return []


@pytest.fixture
def machine(tmp_path: Path, api: Api, faults: list[Fault]) -> Iterator[Machine]:
    sender = (GITHUB / "send_insights.py").read_text()
    source = {"install.py": INSTALL, "send_insights.py": sender, "actions/check/action.yml": ""}
    ground.ready(tmp_path / "source", committed({f".github/{name}": text for name, text in source.items()}))
    project = trees.plant(tmp_path / "project", trees.project() | app("uat"))
    (project / "orgs.csv").write_text((EXAMPLES / "orgs.csv").read_text())
    ground.git(project, "init", "--quiet")
    assert ecapipe("app", "protect", at=project).status == 0
    ground.git(project, "add", "--all")
    ground.git(project, "commit", "--quiet", "--message", "The app, without its settings")
    ground.git(tmp_path, "clone", "--quiet", "project", "clone")
    assert not [*(tmp_path / "clone").rglob("*.ecaGlblOauth-meta.xml")]
    for folder in ("temporary", "home"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ci.key").write_text("made up")
    sf = StandIn(tmp_path / "bin")
    for program in ("npm", "apt-get"):
        shutil.copy("/bin/true", sf.folder / program)
    with ExitStack() as stack:
        urls = {}
        for org in ORGS:
            planted = trees.plant(tmp_path / "orgs" / org, trees.project() | app(org))
            own = [fault for fault in faults if fault.org == org]
            urls[org] = stack.enter_context(Emulator(registered(planted), orgs=[org], faults=own)).urls[org]
        sf.keeps(*(login(org, url=url) for org, url in urls.items()))
        sf.says("org login jwt", leading=True)
        files = {org: {str(path): str(text) for path, text in app(org, consumerSecret=None).items()} for org in ORGS}
        words = {"uat": "uat", **{f"--target-org={org}@acme.example": org for org in ORGS}}
        sf.says(
            "project retrieve start", by={word: {"files": files[org]} for word, org in words.items()}, leading=True
        )
        yield Machine(tmp_path, sf, api, {org: pair(org)["consumerSecret"] for org in ORGS})


def test_there_is_a_test_of_every_example() -> None:
    elsewhere = {"github-batch.yml", "gitlab-batch.yml", "github-refresh.yml"}
    assert {path.name for path in EXAMPLES.iterdir()} == {*SYSTEMS, *elsewhere, "orgs.csv"}


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_first_run_is_green_when_secrets_are_set(name: str, machine: Machine) -> None:
    ended = machine.work(name)
    assert [each.returncode for each in ended] == [0] * len(steps(name)), ended
    said = "".join(each.stdout + each.stderr for each in ended)
    logins = [call.argv for call in machine.sf.calls if call.command.startswith("org login jwt")]
    assert [[*words][words.index("--alias") + 1] for words in logins] == [*ORGS]
    result = json.loads(machine.result.read_text())
    assert {each["org"] for each in result["result"]["successes"]} == {*ORGS}
    for secret in machine.secrets.values():
        assert secret not in said
        assert all(secret not in " ".join(call.argv) for call in machine.sf.calls)
    assert ground.git(machine.clone, "status", "--porcelain", "--", "force-app") == ""


@pytest.mark.parametrize("name", SYSTEMS)
def test_without_secrets_it_is_red_and_one_line_says_so(name: str, machine: Machine) -> None:
    machine.secrets.clear()
    ended = [each for each in machine.work(name) if each.returncode != 0]
    assert [each.returncode for each in ended] == [1]
    said = [line for each in ended for line in (each.stdout + each.stderr).splitlines()]
    (line,) = [line for line in said if line.startswith("  error  ")]
    assert f"{APP} has no consumerSecret." in line
    told = " ".join(" ".join(line for line in said if not line.startswith(("::", "##vso["))).split())
    if name == "azure-pipelines.yml":  # it leaves the reference as it is
        assert "ECAPIPE_CLIENT_SECRET_NIGHTLY_REPORTS_UAT contains a placeholder." in told
    if name == "github.yml":  # it makes nothing of it
        assert "ECAPIPE_CLIENT_SECRET_NIGHTLY_REPORTS_UAT is empty." in told


@pytest.mark.parametrize("faults", [[Fault("/services/oauth2/token", {"status": 400}, "prod", times=1)]])
def test_what_failed_is_tried_again_elsewhere_by_the_line_that_every_example_names(machine: Machine) -> None:
    """Azure's example, which calls a partial success one with issues."""
    ended = machine.work("azure-pipelines.yml")
    assert [each.returncode for each in ended] == [0] * len(ended), ended
    commands = [line for line in ended[-1].stderr.splitlines() if line.startswith("##vso[")]
    assert commands[0].startswith("##vso[task.logissue type=error;")
    assert [line for line in commands if "[task.complete " in line] == [
        "##vso[task.complete result=SucceededWithIssues;]Partial Success"
    ]
    texts = [(EXAMPLES / name).read_text() for name in SYSTEMS]
    ((line,), *_) = named = [re.findall(r"with the same \w+: (.*)", text) for text in texts]
    assert named == [[line]] * len(SYSTEMS)
    other = machine.root / "other"
    ground.git(machine.root, "clone", "--quiet", "project", "other")
    shutil.copy(machine.result, other)
    given = {f"ECAPIPE_CLIENT_SECRET_{APP}_{org}".upper(): secret for org, secret in machine.secrets.items()}
    path = os.pathsep.join([str(machine.sf.folder), os.environ["PATH"]])
    program, *words = line.split()
    assert program == "ecapipe"
    again = ecapipe(*words, "--json", at=other, PATH=path, ECAPIPE_ALLOWED_HOSTS="localhost", **given)
    assert again.status == 0, again
    assert {each["org"] for each in again.result["successes"]} == {*ORGS}


def test_bitbucket_gets_junit_where_it_looks_and_insights_about_both(machine: Machine) -> None:
    machine.work("bitbucket-pipelines.yml")
    for name in ("check", "run"):
        assert "<testsuites" in (machine.clone / f"test-results/{name}.xml").read_text()
    titles = [document["title"] for method, _, document in machine.api.sent if method == "PUT"]
    assert titles == ["ecapipe app check", "ecapipe run"]
