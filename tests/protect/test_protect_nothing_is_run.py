"""Action, examples and ecapipe itself at work in a checkout in which everything is a trap: none springs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pipelines
import pytest
import trees
import yaml
from check import ground
from check.ground import committed

GITHUB = Path(__file__).parents[2] / ".github"
BASH = shutil.which("bash") or "bash"
REAL = Path(sys.executable).with_name("ecapipe")

OTHERS = ("azure-pipelines.yml", "bitbucket-pipelines.yml", "circleci.yml", "Jenkinsfile")
MODULES = {*sys.stdlib_module_names, "pip", "setuptools", "ecapipe", "typer", "stand_in", "sitecustomize",
           "usercustomize"}  # fmt: skip
PROGRAMS = (
    "python3",
    "python",
    "pip",
    "ecapipe",
    "git",
    "sh",
    "env",
    "npm",
    "sf",
    "apt-get",
    "base64",
    "tr",
    "sed",
    "rm",
)

BACKEND = f"""
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/ecapipe-0-py3-none-any.whl", "w") as wheel:
        for name, text in {{
            "stand_in.py": "import os, sys\\ndef main(): os.execv({str(REAL)!r}, [{str(REAL)!r}, *sys.argv[1:]])\\n",
            "ecapipe-0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: ecapipe\\nVersion: 0\\n",
            "ecapipe-0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
            "ecapipe-0.dist-info/entry_points.txt": "[console_scripts]\\necapipe = stand_in:main\\n",
            "ecapipe-0.dist-info/RECORD": "",
        }}.items():
            wheel.writestr(name, text)
    return "ecapipe-0-py3-none-any.whl"
"""
"""Builds a package that starts the ecapipe under test, so that pip has all it needs without a network."""

INSTALL = {"install.py": (GITHUB / "install.py").read_text(), "lock/ecapipe.txt": "", "actions/check/action.yml": ""}
"""What the action installs with; a lock of nothing takes no network."""


@dataclass(frozen=True)
class Job:
    """What a job runs in its checkout: scripts that prepare it, and those that do its work."""

    install: Sequence[str]
    work: Sequence[str]


def read(path: str) -> Any:
    return yaml.safe_load((GITHUB / path).read_text())


def of_github(steps: Sequence[Any], variables: dict[str, str]) -> Job:
    scripts = []
    for step in (each for each in steps if "run" in each):
        own = {name: value for name, value in step.get("env", {}).items() if "${{" not in value}
        given = {**variables, **own} | {name: f"${name}" for name in ("ECAPIPE_SOURCE", "ECAPIPE_COMMIT")}
        begin = [f'export {name}="{value}"' for name, value in given.items()]
        script = [*begin, f'cd "{step.get("working-directory", ".")}"', step["run"]]
        scripts.append((step["name"], "\n".join(script)))
    return Job(
        [script for name, script in scripts if "Install" in name],
        [script for name, script in scripts if "Install" not in name],
    )


def of_gitlab(job: Any, base: Any) -> Job:
    whole = {**base, **job}
    begin = f'export PYTHONPATH="{whole["variables"]["PYTHONPATH"]}"\n'
    prepare = "\n".join(whole["before_script"])
    return Job([f'{begin}{prepare}\ntest "$PWD" = "$CI_PROJECT_DIR"'], [begin + "\n".join(job["script"])])


def of_steps(steps: Sequence[pipelines.Step]) -> Job:
    """The first step installs; where there is but one, it does so before it goes into the checkout."""
    scripts = [f"export PYTHONPATH=\n{step.script}" for step in steps if not step.always]
    if len(scripts) == 1:
        scripts = scripts[0].split('cd "$BITBUCKET_CLONE_DIR"')
    return Job(scripts[:1], [f"export PYTHONPATH=\n{script}" for script in scripts[1:]])


def jobs() -> dict[str, list[Job]]:
    check, batch = read("examples/github.yml"), read("examples/github-batch.yml")
    gitlab, shards = read("examples/gitlab-ci.yml"), read("examples/gitlab-batch.yml")
    return {
        "action": [of_github(read("actions/check/action.yml")["runs"]["steps"], {})],
        "github": [of_github(job["steps"], {"PYTHONPATH": ""}) for job in check["jobs"].values()],
        "github-batch": [of_github(job["steps"], batch["env"]) for job in batch["jobs"].values()],
        "gitlab-ci": [of_gitlab(gitlab["external-client-apps"], {})],
        **{name: [of_steps(pipelines.steps(name))] for name in OTHERS},
        "gitlab-batch": [
            of_gitlab(shards[name], shards[".ecapipe"]) for name in ("authorize-orgs", "authorized-orgs")
        ],
    }


@dataclass(frozen=True)
class Place:
    """A checkout full of traps, and a machine around it."""

    root: Path

    @property
    def checkout(self) -> Path:
        return self.root / "checkout"

    @property
    def sprung(self) -> list[str]:
        """The traps that somebody ran."""
        marks = self.root / "sprung"
        return sorted({*marks.read_text().split()}) if marks.exists() else []

    @property
    def outputs(self) -> dict[str, str]:
        """What steps hand on."""
        place = self.root / "outputs"
        return dict(line.split("=", 1) for line in place.read_text().splitlines()) if place.exists() else {}

    def run(self, script: str, *, path: Sequence[str] = (), **more: str) -> subprocess.CompletedProcess[str]:
        """Run a script as CI systems do. `path` comes first in the search for programs."""
        temporary = str(self.root / "temp")
        variables = {
            "PATH": os.pathsep.join([*path, str(self.root / "bin"), str(REAL.parent), os.environ["PATH"]]),
            "HOME": str(self.root / "home"), "CI": "true", "RUNNER_TEMP": temporary,
            "ECAPIPE_SOURCE": str(self.root / "package"), "ECAPIPE_COMMIT": "HEAD",
            "CI_PROJECT_DIR": str(self.checkout),
            "GITHUB_ACTION_PATH": str(self.root / "package/.github/actions/check"),
            "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "GIT_CONFIG_NOSYSTEM": "1",
            "SOURCE_DIR": ".", "PURPOSE": "commit", "FAIL_ON": "error", "REPORTS": "sarif=ecapipe.sarif",
            "GITHUB_WORKSPACE": str(self.checkout), "GITHUB_OUTPUT": str(self.root / "outputs"), "CONFIG_FROM": "",
            "GITHUB_SERVER_URL": f"file://{self.root}", "GITHUB_REPOSITORY": "remote", "TOKEN": "made-up",
            "RETRIEVE": "", "ECAPIPE": f"{temporary}/ecapipe/bin/ecapipe",
            "AGENT_TEMPDIRECTORY": temporary, "WORKSPACE_TMP": temporary, "BITBUCKET_CLONE_DIR": str(self.checkout),
            "BASH_ENV": str(self.root / "bash_env"), "SF_CLIENT_ID": "3MVG9fake", "SF_JWT_KEY_BASE64": "RkFLRQ==",
            "SF_JWT_KEY_FILE": str(self.root / "key"), "SF_JWT_KEY": "FAKE",
            "SHARD": "1", "SHARDS": "4", "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "4", "SFDX_AUTH_URL": "force://FAKE",
            **more,
        }  # fmt: skip
        script = script.replace("/opt/", f"{temporary}/opt-").replace("${{ runner.temp }}", temporary)
        return subprocess.run(
            [BASH, "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
            cwd=self.checkout, env=variables, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    install = {f".github/{name}": text for name, text in INSTALL.items()}
    package = {**install, "backend.py": BACKEND, "pyproject.toml": system}
    ground.ready(tmp_path / "package", committed(package))
    for folder in ("bin", "home", "temp"):
        (tmp_path / folder).mkdir()
    for program in ("npm", "sf", "apt-get"):
        written(tmp_path / "bin" / program, f"#!/bin/sh\necho {program} $* >> {tmp_path}/asked\n")
    checkout = ground.ready(tmp_path / "checkout", committed(trees.project() | trees.app()))
    # Some modules are loaded before Python can open a file by itself.
    marks = (
        f"posix.open({os.fsencode(tmp_path / 'sprung')!r}, posix.O_WRONLY | posix.O_APPEND | posix.O_CREAT, 0o644)"
    )
    traps = {f"{name}.py": f"import posix\nposix.write({marks}, b'{name}.py ')\n" for name in MODULES}
    trees.plant(checkout, traps)
    (checkout / "tools").mkdir()
    for program in PROGRAMS:
        for place in (checkout / program, checkout / "tools" / program):
            written(place, f"#!/bin/sh\necho {program} >> {tmp_path}/sprung\n")
    return Place(tmp_path)


def written(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize("name", jobs())
def test_no_job_runs_anything_of_its_checkout(name: str, place: Place) -> None:
    prepared = dict.fromkeys(script for job in jobs()[name] for script in job.install)  # jobs may begin alike
    assert prepared
    # No folder of the system is called so: a job may go elsewhere, to / say.
    here = [".", "", "./tools", "tools"]
    # The action is put into jobs of anybody: with folders of the checkout in PATH, as they have them.
    if name == "action":
        here += [str(place.checkout), f"{place.checkout}/tools"]
    pythonpath = f":{place.checkout}"
    for script in prepared:
        ended = place.run(script, path=here, PYTHONPATH=pythonpath, RETRIEVE="uat")
        assert (place.sprung, ended.returncode) == ([], 0), ended.stderr
    path = here if name == "action" else ()
    scripts = [script for job in jobs()[name] for script in job.work]
    worked = [place.run(script, path=path, PYTHONPATH=pythonpath) for script in scripts]
    assert place.sprung == []
    if name == "action":
        assert [each.returncode for each in worked] == [1]
        assert "secret-tracked-by-git" in worked[0].stdout
        assert (place.checkout / "ecapipe.sarif").exists()
        assert (place.root / "asked").read_text() == (
            f"sf project retrieve start --manifest {place.root}/temp/ecapipe-package.xml --target-org uat\n"
        )
        counts = {"errors": "error", "warnings": "warning", "notes": "note", "accepted": "accepted"}
        names = {"exit-code": "exit-code", "sarif": "sarif", **counts}
        outputs = read("actions/check/action.yml")["outputs"]
        assert {name: f"${{{{ steps.check.outputs.{step} }}}}" for name, step in names.items()} == {
            name: output["value"] for name, output in outputs.items()
        }
        assert {*names.values()} < {*place.outputs}
        summary = json.loads((place.root / "temp/ecapipe.json").read_text())["result"]["summary"]
        assert {name: int(place.outputs[name]) for name in counts.values()} == summary
        assert (place.outputs["exit-code"], place.outputs["sarif"]) == ("1", "ecapipe.sarif")


@pytest.mark.parametrize("fetched", [False, True])
def test_the_action_judges_a_pull_request_by_the_commit_that_it_starts_from(fetched: bool, place: Place) -> None:
    base = ground.git(place.checkout, "rev-parse", "HEAD").strip()
    lenient = trees.project(plugins={"ecapipe": {"rules": {"secret-tracked-by-git": "off", "secret-staged": "off"}}})
    if fetched:  # a checkout of the newest commit alone, as actions/checkout makes it
        ground.git(place.root, "clone", "--quiet", "--bare", "checkout", "remote")
        shutil.rmtree(place.checkout / ".git")
    ground.ready(place.checkout, committed(lenient) if fetched else lenient)
    (job,) = jobs()["action"]
    for script in job.install:
        ended = place.run(script, path=("tools", f"{place.checkout}/tools"), CONFIG_FROM=base)
        assert (ended.returncode, "could not be fetched" in ended.stdout) == (0, not fetched), ended.stderr
    assert "made-up" not in (place.root / "temp/ecapipe-config/config").read_text()
    (worked,) = [place.run(script, CONFIG_FROM=place.outputs.get("commit", base)) for script in job.work]
    assert worked.returncode == 1, worked.stderr
    for rule in ("secret-tracked-by-git", "check-config-changed"):
        assert rule in worked.stdout
    assert place.run(job.work[0]).returncode == 0  # by its own word it passes
    assert place.sprung == []


def test_the_action_finds_python_and_takes_its_answer_as_windows_has_them(place: Place) -> None:
    (place.root / "own").mkdir()
    program = r"D:\a\_temp\ecapipe\Scripts\ecapipe"
    answer = f"#!{sys.executable}\nimport sys\nsys.stdout.buffer.write({program.encode()!r} + b'\\r\\n')\n"
    written(place.root / "own/python", answer)
    (job,) = jobs()["action"]
    ended = place.run(job.install[0], PATH=str(place.root / "own"))
    assert ended.returncode == 0, ended.stderr
    assert (place.root / "outputs").read_bytes() == f"ecapipe={program}\n".encode()


@pytest.mark.parametrize("script", ["python3 -m venv place", "python3 -m pip --version", "git --version", "python3"])
def test_the_traps_spring_where_the_checkout_is_trusted(script: str, place: Place) -> None:
    place.run(script, path=() if " -m " in script else (".",))
    assert place.sprung != []
