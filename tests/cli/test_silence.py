"""Every way for a run to end with 1, 68 or 69 says why, and what to do, wherever somebody may look."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
import trees
from commandline import inside

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.cli.emulator import registered
from ecapipe.emulator.faults import Do, Fault
from ecapipe.emulator.server import Emulator
from ecapipe.project.discovery import ProjectSelection
from ecapipe.render.reports import FORMATS

TOKEN, USERINFO, API = "/services/oauth2/token", "/services/oauth2/userinfo", "/services/data/*"
REFUSED: Do = {"status": 400, "body": {"error": "invalid_client", "error_description": "made up"}}
ROBOT = trees.robot("App", header={"distributionState": "Packaged"})
BARE = trees.robot("App", settings={"consumerSecret": None}, header={"distributionState": "Packaged"})
WEB = trees.app(
    "App", settings={"callbackUrl": "https://www.example.com/done"}, header={"distributionState": "Packaged"}
)
NO_API: Do = {"status": 403, "body": [{"errorCode": "API_DISABLED_FOR_ORG", "message": "made up"}]}
ONE, OTHER = "App@one", "App@other"
WAYS: dict[str, tuple[trees.Files, list[Fault], int, dict[str, str]]] = {
    # the app in both trees, what goes wrong; how it ends, and which problem of whom
    "refused": (ROBOT, [Fault(TOKEN, REFUSED)], 1, {ONE: "InvalidClient", OTHER: "InvalidClient"}),
    "refused by one": (ROBOT, [Fault(TOKEN, REFUSED, "one")], 68, {ONE: "InvalidClient"}),
    "another user": (ROBOT, [Fault(USERINFO, {"wrongUser": True}, "one")], 68, {ONE: "WrongUser"}),
    "no answer": (ROBOT, [Fault(TOKEN, {"reset": True}, "one")], 68, {ONE: "ConnectionLost"}),
    "no API": (ROBOT, [Fault(API, NO_API, "one")], 68, {ONE: "ApiDisabled"}),
    "a page": (ROBOT, [Fault(TOKEN, {"status": 503, "html": True})], 1, {ONE: "ServerBusy", OTHER: "ServerBusy"}),
    "no secret": (BARE, [], 1, {"App (one)": "ConsumerSecretMissing", "App (other)": "ConsumerSecretMissing"}),
    "nobody to ask": (WEB, [], 69, {ONE: "NobodyToAsk", OTHER: "NobodyToAsk"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_did_not_succeed_says_of_each_login_why_and_what_to_do(tmp_path: Path, way: str) -> None:
    app, faults, status, problems = WAYS[way]
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    for tree in ("one", "other"):
        trees.plant(root / tree, trees.project() | app)
    apps = registered(ProjectSelection((str(root / "one"),)), composition.real_world(Environment({})))
    with Emulator(apps, orgs=("one", "other"), faults=faults) as orgs:
        rows = [{"alias": org, "url": url, "sourceDir": f"repository/{org}"} for org, url in orgs.urls.items()]
        (tmp_path / "orgs.json").write_text(json.dumps(rows))
        reports = [f"--report={each}=out.{each}" for each in FORMATS]
        command = ["run", "-f", "../orgs.json", "--callback", "paste", "--no-board"]
        ended = inside(*command, *reports, "--json", at=root, GITHUB_ACTIONS="true")
        accounts = {each: (root / f"out.{each}").read_text(encoding="utf-8") for each in FORMATS}
        accounts["annotations"] = ended.err
        accounts["runs show"] = inside("runs", "show", "--verbose", at=root).out
        accounts["concise"] = inside(*command, "--concise", at=root).err
        accounts["text"] = inside(*command, at=root).err
    assert ended.status == status
    failures = {
        f"{each['app']}@{each['org']}" if each["org"] else f"{each['app']} ({each['project']})": each
        for each in ended.result["failures"]
    }
    assert {subject: each["name"] for subject, each in failures.items()} == problems
    for subject, failure in failures.items():
        for account, text in accounts.items():
            # The JSON is the same document, which has app, org and tree apart.
            told = html.unescape(text).replace("\\", "")
            for part in (failure["name"], *([] if account == "json" else [subject]), *failure["actions"]):
                assert part.replace("\\", "") in told, f"{account} lacks {part}:\n{text}"
