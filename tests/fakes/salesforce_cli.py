"""A stand-in for the Salesforce CLI: a program called sf that records what it is asked, and answers as told."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROGRAM = """#!{python}
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
words = [word for word in sys.argv[1:] if not word.startswith("-")]
answers = json.loads((here / "answers.json").read_text())
unknown = {{"status": 127, "err": "Warning: it is not a sf command.\\n"}}
leading = (each for name, each in answers.items() if each.get("leading") and " ".join(words).startswith(name + " "))
answer = answers.get(" ".join(words)) or next(leading, unknown)
answer |= next((more for word, more in answer.get("by", {{}}).items() if word in sys.argv), {{}})
piped, read = "", [word.partition("=")[2] for word in sys.argv if word.startswith("--sfdx-url-file=")]
if read and read[0] != "/dev/stdin":
    place = pathlib.Path(read[0])
    piped = {{"file": place.read_text(), "mode": place.stat().st_mode & 0o777}}
elif read or "access-token" in words:
    piped = open("/dev/stdin").read()
call = {{
    "argv": sys.argv[1:], "env": dict(os.environ), "given": piped, "cwd": os.getcwd(), "start": time.monotonic(),
}}
if "login" in words:
    (here / "begun").touch()
time.sleep(answer.get("seconds", 0))
for path, content in answer.get("files", {{}}).items():
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text(content)
call["end"] = time.monotonic()
calls = here / "calls"
calls.mkdir(exist_ok=True)
(calls / f"{{time.monotonic_ns()}}-{{os.getpid()}}.json").write_text(json.dumps(call))
for word, out in answer.get("answers", {{}}).items():
    if word in sys.argv:
        sys.stdout.write(out)
        sys.exit(json.loads(out)["status"])
for word, error in answer.get("refuses", {{}}).items():
    if word in sys.argv:
        sys.stderr.write(error)
        sys.exit(1)
sys.stdout.write(answer.get("out", ""))
sys.stderr.write(answer.get("err", ""))
sys.exit(answer.get("status", 0))
"""

VERSION = {"cliVersion": "@salesforce/cli/2.150.6", "nodeVersion": "node-v24.0.0", "rootPath": "/nowhere"}


@dataclass(frozen=True)
class Call:
    """One start of the program. `given` is what was piped, or the content and mode of the file that was named."""

    argv: list[str]
    env: dict[str, str]
    given: Any
    cwd: str
    start: float
    end: float

    @property
    def command(self) -> str:
        return " ".join(word for word in self.argv if not word.startswith("-"))


class StandIn:
    """The program lies in `folder`, which belongs into PATH. It knows its version, and keeps no login."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._answers: dict[str, dict[str, Any]] = {}
        program = folder / "sf"
        program.write_text(_PROGRAM.format(python=sys.executable), encoding="utf-8")
        program.chmod(0o755)
        self.says("version", json.dumps(VERSION))
        self.gives("org list auth", [])

    def says(self, command: str, out: str = "", err: str = "", *, status: int = 0, **more: Any) -> None:
        """Let a command print this; if wanted, `seconds` late, and with `files` written first. By argument, it gives
        other `answers`, an error for those that it `refuses`, and anything else as `by` says; `leading`: whatever
        words follow."""
        self._answers[command] = {"out": out, "err": err, "status": status, **more}
        (self.folder / "answers.json").write_text(json.dumps(self._answers), encoding="utf-8")

    def gives(self, command: str, result: object, **more: Any) -> None:
        """Let a command succeed with a result."""
        self.says(command, json.dumps({"status": 0, "result": result, "warnings": []}, indent=2), **more)

    def fails(self, command: str, name: str, message: str, status: int = 1) -> None:
        """Let a command fail as the Salesforce CLI does, with the action that it gives to everybody."""
        action = "The stored refresh token is no longer valid. Re-authenticate to the org, then try again."
        error = {"name": name, "message": message, "exitCode": status, "actions": [action], "status": status}
        self.says(command, json.dumps({**error, "context": "X", "warnings": []}, indent=2), status=status)

    def keeps(self, *logins: dict[str, str]) -> None:
        """Let it list these logins."""
        self.gives("org list auth", list(logins))

    @property
    def calls(self) -> list[Call]:
        """What it was asked, in order."""
        files = sorted((self.folder / "calls").glob("*.json"))
        return [Call(**json.loads(file.read_text(encoding="utf-8"))) for file in files]


def login(alias: str = "uat", username: str = "", org_id: str = "", url: str = "") -> dict[str, str]:
    """A login as it is listed."""
    return {
        "alias": alias,
        "username": username or f"{alias}@acme.example",
        "orgId": org_id or "00D000000000001EAA",
        "instanceUrl": url or f"https://acme--{alias}.sandbox.my.salesforce.com",
        "accessToken": "[REDACTED] Use 'sf org auth show-access-token' to view",
        "oauthMethod": "web",
    }
