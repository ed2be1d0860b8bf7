"""The steps of the examples in ``.github/examples``, each as its CI system runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

GITHUB = Path(__file__).parents[1] / ".github"
EXAMPLES = GITHUB / "examples"
BASH = (shutil.which("bash") or "bash", "--noprofile", "--norc")

_REFERENCE = re.compile(r"\$\{\{ *(.*?) *\}\}|\$\((\w[\w.-]*)\)")


@dataclass(frozen=True)
class Step:
    """A script, with its own variables as they are written, which may refer to secrets. `always`: after a failure,
    too."""

    name: str
    script: str
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ("-e", "-o", "pipefail")
    always: bool = False

    def run(
        self, at: Path, variables: Mapping[str, str], known: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run it; `known` has what its variables refer to, such as ``secrets.X`` or, in Azure, ``X``."""
        own = {name: resolved(value, known) for name, value in self.variables.items()}
        return subprocess.run(
            [*BASH, *self.options, "-c", self.script],
            cwd=at,
            env={**variables, **own},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def resolved(text: str, known: Mapping[str, str]) -> str:
    """A value as the system hands it on: GitHub makes nothing of what it does not know, Azure leaves it as it is."""

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return next((known[name] for name in match[1].split(" || ") if known.get(name)), "")
        return known.get(match[2], match[0])

    return _REFERENCE.sub(value, text)


def read(path: str) -> Any:
    return yaml.safe_load((GITHUB / path).read_text(encoding="utf-8"))


def steps(name: str) -> list[Step]:
    """The steps of an example, by the name of its file."""
    readers = {
        "azure-pipelines.yml": _azure,
        "bitbucket-pipelines.yml": _bitbucket,
        "circleci.yml": _circleci,
        "github.yml": _github,
        "gitlab-ci.yml": _gitlab,
        "Jenkinsfile": _jenkins,
    }
    return list(readers[name]())


def _azure() -> Iterator[Step]:
    pipeline = read("examples/azure-pipelines.yml")
    for step in pipeline["steps"]:
        if "bash" in step:
            # The task starts bash without -e.
            yield Step(step["displayName"], step["bash"], step.get("env", {}), ())


def _bitbucket() -> Iterator[Step]:
    step = read("examples/bitbucket-pipelines.yml")["pipelines"]["custom"]["authorize-orgs"][0]["step"]
    script = [line for line in step["script"] if "export ECAPIPE_" not in line]
    yield Step(step["name"], "\n".join(script), options=("-e",))
    yield Step("After", "\n".join(step["after-script"]), options=("-e",), always=True)


def _circleci() -> Iterator[Step]:
    for step in read("examples/circleci.yml")["jobs"]["authorize-orgs"]["steps"]:
        if "run" in step:
            yield Step(step["run"]["name"], step["run"]["command"])


def _gitlab() -> Iterator[Step]:
    job = read("examples/gitlab-ci.yml")["external-client-apps"]
    yield Step("external-client-apps", "\n".join([*job["before_script"], *job["script"]]))


def _jenkins() -> Iterator[Step]:
    text = (EXAMPLES / "Jenkinsfile").read_text(encoding="utf-8")
    bound = re.findall(r"credentialsId: '([\w-]+)', variable: '(\w+)'", text)
    for name, script in re.findall(r"stage\('([^']+)'\).*?sh '''#!/bin/bash -eu\n(.*?)'''", text, re.DOTALL):
        given = {variable: f"$({credential})" for credential, variable in bound}
        # Groovy joins lines that end with a backslash.
        yield Step(name, script.replace("\\\n", ""), given if "SF_CLIENT_ID" in script else {}, ("-eu",))


def _github() -> Iterator[Step]:
    for step in read("examples/github.yml")["jobs"]["check"]["steps"]:
        if "run" in step:
            yield Step(step["name"], step["run"], step.get("env", {}), ("-e",))
        elif "/.github/actions/" in step["uses"]:
            yield from _action(step)


def _action(use: Mapping[str, Any]) -> Iterator[Step]:
    """The steps of our action, with what `use` gives it."""
    action = read("actions/check/action.yml")
    inputs = {name: str(each.get("default", "")) for name, each in action["inputs"].items()} | use["with"]
    given = {f"inputs.{name}": value for name, value in inputs.items()}
    for step in action["runs"]["steps"]:
        own = {
            name: resolved(value, given) if "inputs." in value and "steps." not in value else value
            for name, value in step["env"].items()
        }
        yield Step(step["name"], step["run"], {**use.get("env", {}), **own})
