"""The scanner rules: the real detect-secrets finds what it missed; gitleaks' rules are tried with Python's re."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import trees

from ecapipe.protect import scanners

SECRET = trees.secret("Billing")
DIGITS = "7315908264159037264"
"""A consumer secret of the old form."""

CAUGHT = {
    "hex.ecaGlblOauth-meta.xml": trees.xml("ExtlClntAppGlobalOauthSettings", {"consumerSecret": SECRET}),
    "digits.ecaGlblOauth": f"<r><consumerSecret>{DIGITS}</consumerSecret></r>\n",
    "copy.txt": f"as retrieved: <consumerSecret> {SECRET} </consumerSecret>\n",
    "settings.env": f"ECAPIPE_CLIENT_SECRET_BILLING={SECRET}\n",
    "settings.json": f'{{"ECAPIPE_CLIENT_SECRET": "{DIGITS}"}}\n',
}  # fmt: skip
PASSED = {
    "placeholder.xml": "<consumerSecret>@@ECAPIPE_CLIENT_SECRET_BILLING@@</consumerSecret>\n",
    "empty.xml": "<consumerSecret></consumerSecret>\n<consumerSecret/>\n",
    "scrubbed.xml": "<consumerSecret>REPLACE_ME_BEFORE_THE_DEPLOY</consumerSecret>\n",
    "workflow.yml": "ECAPIPE_CLIENT_SECRET_BILLING: ${{ secrets.ECAPIPE_CLIENT_SECRET_BILLING }}\n",
    "file.env": "ECAPIPE_CLIENT_SECRET_BILLING_FILE=/run/secrets/billing-consumer-secret\n",
    "sfdx-project.json": '{"replaceWithEnv": "ECAPIPE_CLIENT_SECRET_BILLING"}\n',
}


def found_by_detect_secrets(root: Path, *options: str) -> set[str]:
    program = Path(sys.executable).with_name("detect-secrets")
    done = subprocess.run(
        [program, "scan", "--all-files", *options], cwd=root, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout)["results"])


def test_detect_secrets_finds_with_the_rules_what_it_passes_over_without(tmp_path: Path) -> None:
    trees.plant(tmp_path, CAUGHT | PASSED)
    in_metadata = {name for name, text in CAUGHT.items() if "<consumerSecret>" in str(text)}
    assert found_by_detect_secrets(tmp_path).isdisjoint(in_metadata)
    (tmp_path / "rules.py").write_text(scanners.rules("detect-secrets"))
    assert found_by_detect_secrets(tmp_path, "--plugin", "rules.py") == set(CAUGHT)


def test_every_gitleaks_rule_is_complete_and_adds_to_the_default_ones() -> None:
    config = tomllib.loads(scanners.rules("gitleaks"))
    assert config["extend"] == {"useDefault": True}
    for rule in config["rules"]:
        assert set(rule) == {"id", "description", "regex", "secretGroup", "keywords"}
        assert re.compile(rule["regex"]).groups == rule["secretGroup"] == 1
        assert not re.search(r"\(\?[=!<]|\\[1-9]", rule["regex"]), "Go's regexp has no lookaround, no references"


def caught_by_gitleaks_rules(text: str) -> list[str]:
    """As gitleaks works: a rule is tried where one of its keywords stands, in lower case."""
    rules = tomllib.loads(scanners.rules("gitleaks"))["rules"]
    return [
        found[rule["secretGroup"]]
        for rule in rules
        if any(word in text.lower() for word in rule["keywords"])
        for found in re.finditer(rule["regex"], text)
    ]


@pytest.mark.parametrize("name", [*CAUGHT, "multiline"])
def test_gitleaks_rules_catch_the_secret_and_nothing_around_it(name: str) -> None:
    text = str({**CAUGHT, "multiline": f"<consumerSecret>\n    {SECRET}\n</consumerSecret>"}[name])
    assert caught_by_gitleaks_rules(text) in ([SECRET], [DIGITS])


@pytest.mark.parametrize("name", PASSED)
def test_gitleaks_rules_pass_placeholders_and_references(name: str) -> None:
    assert caught_by_gitleaks_rules(PASSED[name]) == []
