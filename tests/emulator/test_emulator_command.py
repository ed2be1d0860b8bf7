"""``ecapipe emulator start``, as a program; and what a project's files make of its apps there."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trees
from fakes.orgs import registered

from ecapipe.cli.emulator import planned
from ecapipe.emulator.faults import Fault
from ecapipe.emulator.registration import RegisteredApp
from ecapipe.problems.network import tls_failed
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.sign_in import emulator_cannot_listen
from ecapipe.problems.usage import unreadable_file, usage_error

SAMPLE = Path(__file__).parents[2] / "sample-project"
SETTINGS = ("--source-dir", str(SAMPLE), "--port", "0")


def environment(**more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(SAMPLE.parent), **more}


def ecapipe(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ecapipe", *arguments],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def started(*arguments: str, end: signal.Signals = signal.SIGTERM) -> Iterator[Mapping[str, Any]]:
    """The emulator, and the document it prints as soon as it runs; it has to end well, and silently."""
    with subprocess.Popen(
        [sys.executable, "-m", "ecapipe", "emulator", "start", *SETTINGS, *arguments, "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            text = ""
            for line in process.stdout:
                text += line
                if line == "}\n":
                    break
            document = json.loads(text)
            assert document["status"] == 0
            yield document["result"]
        finally:
            process.send_signal(end)
            rest = process.communicate(timeout=5)
        assert (process.returncode, *rest) == (130, "", "")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_when_it_is_told(end: signal.Signals) -> None:
    with started("--org", "dev", "--org", "uat", "--org", "dev", end=end) as result:
        assert result["version"] == 1
        assert result["caFile"] is None
        dev, uat = result["orgs"]
        assert (dev["name"], dev["username"]) == ("dev", "user@dev.example")
        assert dev["apps"] == ["Billing_Sync", "Field_Mobile", "Nightly_Reports", "Partner_Portal"]
        assert (uat["name"], uat["apps"]) == ("uat", []), (
            "all apps of the sample are local: they are in the first org"
        )
        for org in (dev, uat):
            assert httpx.get(f"{org['url']}/services/data", trust_env=False).status_code == 200
        open_connection = httpx.Client(trust_env=False)
        open_connection.get(dev["url"])
    open_connection.close()


def test_our_own_client_trusts_its_tls_by_the_file_it_names() -> None:
    run = ("run", *SETTINGS[:2], "--name", "Nightly_Reports", "--flow", "client-credentials", "--json")
    with started("--tls") as result:
        ca_file = result["caFile"]
        target = ("--target-org", f"local={result['orgs'][0]['url']}")
        trusted = ecapipe(*run, *target, SSL_CERT_FILE=ca_file)
        assert trusted.returncode == 0, trusted.stdout
        assert json.loads(trusted.stdout)["result"]["successes"][0]["instanceUrl"] == result["orgs"][0]["url"]
        stranger = ecapipe(*run, *target)
        assert [failure["name"] for failure in json.loads(stranger.stdout)["result"]["failures"]] == [tls_failed.name]
    assert not os.path.exists(ca_file)


def test_faults_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text('[{"path": "/services/data", "org": "uat", "do": {"status": 503, "retryAfter": 5}}]')
    with started("--org", "dev", "--org", "uat", "--faults", str(file), "--tls") as result:
        with httpx.Client(verify=ssl.create_default_context(cafile=result["caFile"]), trust_env=False) as http:
            dev, uat = (http.get(f"{org['url']}/services/data") for org in result["orgs"])
        assert (dev.status_code, uat.status_code, uat.headers["retry-after"]) == (200, 503, "5")


def test_people_read_lines() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ecapipe", "emulator", "start", *SETTINGS, "--tls"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().rstrip("\n") for _ in range(6)]
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=5)[0] == ""
    assert process.returncode == 130
    assert lines[0].startswith("emulator: https://localhost:")
    assert lines[1] == "  Username: user@emulator.example"
    assert lines[2].startswith("  Password: ")
    assert lines[3] == "  Apps: Billing_Sync, Field_Mobile, Nightly_Reports, Partner_Portal"
    assert lines[4].startswith("To trust its certificate, set SSL_CERT_FILE=/")
    assert lines[5] == "Press Ctrl-C to stop."


def test_concise_it_prints_the_addresses_alone() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ecapipe", "emulator", "start", *SETTINGS, "--concise"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("emulator: http://localhost:")
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=5)[0] == ""


def refused(*arguments: str, **more: str) -> tuple[int, str, str]:
    """Exit status, name and message of a start that is refused."""
    ended = ecapipe("emulator", "start", "--source-dir", str(SAMPLE), *arguments, "--json", **more)
    document = json.loads(ended.stdout)
    assert document["actions"]
    assert ended.stderr == ""
    return ended.returncode, document["name"], document["message"]


def test_tls_without_its_package_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "trustme.py").write_text('raise ModuleNotFoundError("No module named trustme", name="trustme")')
    code, name, message = refused("--tls", "--port", "0", PYTHONPATH=f"{tmp_path}{os.pathsep}{SAMPLE.parent}")
    assert (code, name) == (2, usage_error.name)
    assert message == "--tls requires the Python package trustme, which isn't installed."


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        assert refused("--port", str(port)) == (
            1,
            emulator_cannot_listen.name,
            f"The emulator cannot listen on port {port}: address already in use.",
        )
        code, _, message = refused("--port", str(port - 1), "--org", "a", "--org", "b")
        assert (code, message.startswith("The emulator cannot listen on ")) == (1, True)
        assert f"ports {port - 1} to {port}: " in message


def test_values_that_cannot_be_meant_are_usage_errors(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text('[{"path": "/", "org": "uat", "do": {"reset": true}}]')
    assert refused("--faults", str(file)) == (2, usage_error.name, 'there is no org "uat".')
    code, name, message = refused("--port", "65535", "--org", "a", "--org", "b")
    assert (code, name, message) == (2, usage_error.name, "the ports are not valid.")


def test_a_fault_file_is_read_from_disk(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    file.write_text('[{"path": "/a", "do": {"reset": true}}]')
    assert planned(str(file)) == (Fault("/a", {"reset": True}),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is not a valid fault file: it is not JSON: Expecting value, line 1, column 2."),
        (
            '[{"path": "/", "do": {"huge": -1}}]',
            'is not a valid fault file: fault 1: "huge" must be a whole number of bytes',
        ),
    ],
)
def test_a_wrong_fault_file_is_a_usage_error(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "faults.json"
    file.write_text(content)
    with pytest.raises(EcapipeError) as caught:
        planned(str(file))
    assert (caught.value.problem.kind, caught.value.problem.exit_code) == (usage_error, 2)
    assert f"{file} {message}" in caught.value.problem.message


def test_a_fault_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(EcapipeError, match="--faults, does not exist") as caught:
        planned(str(tmp_path / "faults.json"))
    assert caught.value.problem.exit_code == 2
    large = tmp_path / "large.json"
    large.write_text(" " * (1024 * 1024) + "[]")
    for path, reason in (tmp_path, "is a directory"), (large, "it is larger than 1 MiB"):
        with pytest.raises(EcapipeError) as caught:
            planned(str(path))
        problem = caught.value.problem
        assert (problem.kind, problem.exit_code) == (unreadable_file, 2)
        assert problem.message == f"--faults: {path} could not be read: {reason}."


def only(root: Path, files: trees.Files, home: str | None = None) -> RegisteredApp:
    """The one app of a project as the emulator knows it."""
    trees.plant(root, trees.project() | files)
    (app,) = registered(root, home)
    return app


def policies(**elements: str) -> trees.Files:
    """The policies of the app Billing."""
    text = trees.xml("ExtlClntAppConfigurablePolicies", {"externalClientApplication": "Billing", **elements})
    return {f"{trees.DEFAULT}/extlClntAppPolicies/Billing_plcy.ecaPlcy-meta.xml": text}


def test_an_app_is_as_its_files_say(tmp_path: Path) -> None:
    app = only(tmp_path, trees.app() | policies(isEnabled="true", isOauthPluginEnabled="true"))
    assert (app.name, app.consumer_key) == ("Billing", trees.key("Billing"))
    assert app.consumer_secret is not None
    assert app.consumer_secret.reveal() == trees.secret("Billing")
    assert (app.callback_urls, app.scopes) == ((trees.LOOPBACK,), ("api", "id"))
    assert (app.enabled, app.approved, app.client_credentials, app.run_as_user) == (True, True, False, None)
    assert app.orgs is None


@pytest.mark.parametrize("switch", ["isEnabled", "isOauthPluginEnabled"])
def test_an_app_can_be_switched_off(tmp_path: Path, switch: str) -> None:
    assert not only(tmp_path, trees.app() | policies(**{switch: "false"})).enabled


@pytest.mark.parametrize(
    ("elements", "approved"),
    [
        ({"permittedUsersPolicyType": "AllSelfAuthorized"}, True),
        ({"permittedUsersPolicyType": "AdminApprovedPreAuthorized"}, False),
        ({"permittedUsersPolicyType": "AdminApprovedPreAuthorized", "commaSeparatedProfile": "Admin"}, True),
        ({"permittedUsersPolicyType": "AdminApprovedPreAuthorized", "commaSeparatedPermissionSet": "0PS1"}, True),
    ],
)
def test_somebody_has_to_be_approved(tmp_path: Path, elements: dict[str, str], approved: bool) -> None:
    assert only(tmp_path, trees.app(policies=elements)).approved is approved


@pytest.mark.parametrize(
    ("settings", "in_policies", "enabled"),
    [("true", "true", True), ("true", "false", False), ("false", "true", False)],
)
def test_client_credentials_are_enabled_in_both_files(
    tmp_path: Path, settings: str, in_policies: str, enabled: bool
) -> None:
    app = only(
        tmp_path,
        trees.app(
            settings={"isClientCredentialsFlowEnabled": settings},
            policies={
                "isClientCredentialsFlowEnabled": in_policies,
                "clientCredentialsFlowUser": "robot@example.com",
            },
        ),
    )
    assert (app.client_credentials, app.run_as_user) == (enabled, "robot@example.com")


@pytest.mark.parametrize(("distribution", "orgs"), [("Local", ("dev",)), ("Packaged", None), ("Managed", None)])
def test_a_local_app_lives_in_one_org(tmp_path: Path, distribution: str, orgs: tuple[str, ...] | None) -> None:
    assert only(tmp_path, trees.app(header={"distributionState": distribution}), "dev").orgs == orgs


def test_an_app_without_a_secret_has_one_that_only_the_org_knows(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.app(settings={"consumerSecret": None}))
    (one,), (two,) = registered(root), registered(root)
    assert one.consumer_secret is not None
    assert two.consumer_secret is not None
    assert re.fullmatch(r"[0-9A-F]{64}", one.consumer_secret.reveal())
    assert not one.consumer_secret.same(two.consumer_secret)


def test_a_public_app_without_a_secret_has_none(tmp_path: Path) -> None:
    public = {"isConsumerSecretOptional": "true", "consumerSecret": None}
    assert only(tmp_path, trees.app(settings=public)).consumer_secret is None


@pytest.mark.parametrize(
    ("policy", "pre_authorized"), [(None, True), ("AdminApprovedPreAuthorized", True), ("AllSelfAuthorized", False)]
)
def test_the_jwt_flow_needs_a_certificate_and_users_who_are_authorized(
    tmp_path: Path, policy: str | None, pre_authorized: bool
) -> None:
    certificate = "MIIDazCCAlOg\nAwIBAgIU"
    app = only(
        tmp_path, trees.app(settings={"certificate": certificate}, policies={"permittedUsersPolicyType": policy})
    )
    assert (app.certificate, app.pre_authorized) == (certificate, pre_authorized)


def test_an_app_without_a_key_is_unknown(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.app(settings={"consumerKey": None}))
    assert registered(root) == []


def test_refresh_and_introspection_are_as_the_files_say(tmp_path: Path) -> None:
    usual = only(tmp_path / "usual", trees.app())
    assert (usual.refresh_tokens, usual.rotates, usual.refresh_needs_secret) == (True, False, True)
    assert not usual.introspects_all
    settings = {"isRefreshTokenRotationEnabled": "true", "isSecretRequiredForRefreshToken": "false"}
    other = only(
        tmp_path / "other",
        trees.app(settings=settings | {"isIntrospectAllTokens": "true"}, policies={"refreshTokenPolicyType": "Zero"}),
    )
    assert (other.refresh_tokens, other.rotates, other.refresh_needs_secret) == (False, True, False)
    assert other.introspects_all
