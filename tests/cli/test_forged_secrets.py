"""What a tree calls a consumer secret is struck out of all output: that breaks none, and hides nothing of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trees
from commandline import inside

HOST = "evil-1234567890.my.salesforce.com"
VARIABLE = "DEPLOY_TOKEN_OF_2026"
SAID = (
    '"message":', '"error": 1,\n    "warning": 1', '"executionSuccessful": 1234', '{"1234567890123": [',
    '"stage":"check","project":null,"1', "oauth-settings-missing", "forgotten", "authorize",
    HOST, HOST.partition(".")[0], f"https://{HOST}", VARIABLE, f'"replaceWithEnv": ["{VARIABLE}"]',
)  # fmt: skip


@pytest.mark.parametrize("text", SAID)
def test_a_tree_breaks_no_output_with_what_it_calls_a_secret(text: str, tmp_path: Path) -> None:
    plugin = {"ecapipe": {"orgs": {"prod": {"url": f"https://{HOST}"}}}}
    replaced = {"glob": "**/*.xml", "stringToReplace": "@@KEY@@", "replaceWithEnv": VARIABLE}
    settings = {"consumerKey": "@@KEY@@", "consumerSecret": text, "isConsumerSecretOptional": "true"}
    app = trees.app("One", header={"label": f"a {text} b"}, settings=settings)
    tree = trees.plant(tmp_path / "project", trees.project(plugins=plugin, replacements=[replaced]) | app)
    variables = {"ECAPIPE_STATE_DIR": str(tmp_path / "state"), VARIABLE: trees.key("One")}
    sarif = tmp_path / "check.sarif"
    checked = inside("app", "check", "--json", "--report", f"sarif={sarif}", at=tree, **variables)
    assert len(checked.result["apps"]) == 1
    assert json.loads(sarif.read_bytes())["runs"][0]["invocations"][0]["executionSuccessful"] is True
    command = ("run", "-o", "prod", "--flow", "web", "--callback", "paste", "--browser", "none")
    planned = inside(*command, "--dry-run", at=tree, **variables)
    assert (HOST in planned.out, VARIABLE in planned.out) == (True, True)
    ended = inside(*command, "--json", at=tree, **variables)
    assert [each["name"] for each in ended.result["failures"]] == ["NobodyToAsk"]
    assert inside("runs", "show", "--json", at=tree, **variables).status == 0
