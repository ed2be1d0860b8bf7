"""The emulator and doctor, tried with the Salesforce CLI alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keypairs
import pytest
from emulator.client import WEB
from interop.program import ran
from interop.salesforce import Sf

from ecapipe.emulator.server import Emulator

pytestmark = pytest.mark.interop

APP = replace(WEB, scopes=("api", "web", "refresh_token"), certificate=keypairs.certificate(keypairs.rsa_key()))


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator([APP], tls=True) as running:
        yield running


def test_it_logs_in_with_a_private_key(emulator: Emulator, tmp_path: Path) -> None:
    sf = Sf(tmp_path, {"NODE_EXTRA_CA_CERTS": str(emulator.ca_file)})
    key = keypairs.written(tmp_path, keypairs.pem(keypairs.rsa_key()))
    username, _ = emulator.login("emulator")
    words = ["--client-id", APP.consumer_key, "--jwt-key-file", key, "--username", username, "--alias", "robot"]
    login = sf(tmp_path, "org", "login", "jwt", *words, "--instance-url", emulator.urls["emulator"])
    assert login["status"] == 0, login
    assert login["result"]["username"] == username
    assert sf(tmp_path, "org", "display", "-o", "robot")["result"]["connectedStatus"] == "Connected"
    asked = sf(tmp_path, "data", "query", "-q", "SELECT Name FROM MadeUp__c", "-o", "robot")
    assert (asked["status"], asked["name"]) == (1, "INVALID_TYPE")

    other = keypairs.written(tmp_path, keypairs.pem(keypairs.rsa_key("two")))
    words[3] = other
    refused = sf(tmp_path, "org", "login", "jwt", *words, "--instance-url", emulator.urls["emulator"])
    assert "invalid assertion" in json.dumps(refused)


def test_doctor_knows_it(tmp_path: Path) -> None:
    checks = {each["name"]: each for each in ran("doctor", env=Sf(tmp_path, {}).env).result["checks"]}
    assert checks["sf"]["state"] == "ok", checks["sf"]
    assert checks["sf"]["message"].startswith("Salesforce CLI 2.")
    assert checks["sf"]["details"][0].startswith("It uses sfdx-core 9.")
