"""Projects on the real disk, in real repositories, and the gate they are put through."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import trees

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.check import inspection
from ecapipe.check.findings import Finding
from ecapipe.check.inspection import CheckOptions, CheckResult
from ecapipe.project.discovery import ProjectSelection

SETTINGS = f"{trees.DEFAULT}/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"
HOME, AWAY = "00D000000000001EAA", "00D000000000002EAA"
LINK = {"oauthLink": f"{HOME}:888000000000001AAA"}
IGNORE: trees.Files = {".gitignore": "*.ecaGlblOauth-meta.xml\n"}

Step = Mapping[str, str | bytes] | str
"""Files to write, or the arguments of a git command."""


def git(at: Path, *arguments: str) -> str:
    """Run git as nobody in particular."""
    who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.com", "-c", "protocol.file.allow=always")
    ended = subprocess.run(["git", *who, *arguments], cwd=at, check=True, capture_output=True, text=True, timeout=60)
    return ended.stdout


def ready(root: Path, steps: Mapping[str, str | bytes] | Sequence[Step]) -> Path:
    """A folder after `steps`; a repository if one of them is a git command."""
    root.mkdir(parents=True, exist_ok=True)
    todo = [steps] if isinstance(steps, Mapping) else list(steps)
    if any(isinstance(step, str) for step in todo):
        git(root, "init", "--quiet")
    for step in todo:
        if isinstance(step, str):
            git(root, *step.split())
        else:
            trees.plant(root, step)
    return root


def committed(*files: Mapping[str, str | bytes]) -> list[Step]:
    """Steps that commit `files`."""
    return [*files, "add --all", "commit --quiet --allow-empty --message made-up"]


def inspect(
    root: Path, gate: CheckOptions | None = None, *names: str, trusted: bool = True, today: str = "", **variables: str
) -> CheckResult:
    """What the gate says of the project in a folder, in a real world with these environment variables; `today` if it
    is to be another day."""
    world = composition.real_world(Environment(dict(variables)))
    if today:
        world = replace(world, clock=replace(world.clock, utc=lambda: f"{today}T00:00:00.000Z"))
    return inspection.inspect(ProjectSelection((str(root),), names, trusted), gate or CheckOptions(), world)


def hook(staged: bool = False) -> CheckResult:
    """What the gate says before a commit where no folder is named."""
    options = CheckOptions("commit", staged=staged)
    return inspection.inspect(ProjectSelection(), options, composition.real_world(Environment({})))


def findings(root: Path, gate: CheckOptions | None = None, **variables: Any) -> list[Finding]:
    return list(inspect(root, gate, **variables).findings)


def rules(root: Path, gate: CheckOptions | None = None, **variables: Any) -> set[str]:
    """The names of the rules that are not kept."""
    return {finding.rule for finding in findings(root, gate, **variables)}


def line(root: Path, finding: Finding) -> str:
    """The text of the line that a finding is on."""
    assert finding.file is not None
    assert finding.line is not None
    return (root / finding.file).read_text().splitlines()[finding.line - 1].strip()


def for_(purpose: str, **more: object) -> CheckOptions:
    """A gate for a purpose."""
    return replace(CheckOptions(purpose), **more)  # type: ignore[arg-type]


def private(root: Path) -> Path:
    """The folder, its settings files readable by their owner only, as file-permissions-open wants them."""
    for path in root.rglob("*.ecaGlblOauth-meta.xml"):
        os.chmod(path, 0o600)
    return root
