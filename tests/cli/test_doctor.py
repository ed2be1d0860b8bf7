"""``ecapipe doctor`` as a program: what this machine lacks, what to do, and what is kept on it."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import trees
from commandline import Ended, ecapipe, keyring
from fakes.salesforce_cli import VERSION, StandIn

PASSWORD = "a-made-up-proxy-password"
CHECKS = ["python", "git", "sf", "browser", "keyring", "proxy", "certificates", "callbacks", "state"]


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """The only folder on the PATH."""
    folder = tmp_path / "tools"
    StandIn(folder)
    git = shutil.which("git")
    assert git
    (folder / "git").symlink_to(git)
    (folder / "xdg-open").symlink_to(git)
    return folder


def asked(tmp_path: Path, tools: Path, *more: str, **variables: str) -> Ended:
    return here(tmp_path, tools, "doctor", *more, **variables)


def here(tmp_path: Path, tools: Path, *command: str, typed: str = "", **variables: str) -> Ended:
    place = tmp_path / "here"
    if not place.exists():
        # A port of its own: somebody else may be logging in on the usual one.
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}/cb"
        trees.plant(place, trees.project() | trees.app(settings={"callbackUrl": url}))
    known = {"PATH": str(tools), "DISPLAY": ":0", **keyring(tmp_path / "drawer")}
    return ecapipe(*command, at=place, typed=typed, **(known | variables))


def checked(tmp_path: Path, tools: Path, **variables: str) -> dict[str, dict[str, Any]]:
    """The checks by name; every one that is not ok says what to do."""
    ended = asked(tmp_path, tools, "--json", **variables)
    checks = {each["name"]: each for each in ended.result["checks"]}
    assert list(checks) == CHECKS
    assert all(each["actions"] for each in checks.values() if each["state"] != "ok")
    assert ended.status == int(any(each["state"] == "fail" for each in checks.values()))
    assert ended.err == ""
    return checks


def test_a_machine_that_has_everything(tmp_path: Path, tools: Path) -> None:
    checks = checked(tmp_path, tools)
    assert {name: each["state"] for name, each in checks.items()} == dict.fromkeys(CHECKS, "ok")
    assert checks["git"]["message"].startswith("git version ")
    assert "2.150.6" in checks["sf"]["message"]
    assert not (tmp_path / "here/.local").exists(), "looking makes nothing"


def test_it_prints_a_line_for_each_and_a_sum(tmp_path: Path, tools: Path) -> None:
    (tools / "git").unlink()
    usual = asked(tmp_path, tools)
    assert usual.status == 0
    lines = usual.out.splitlines()
    assert lines[0].split() == ["Status", "Check", "Result"]
    assert [line.split()[1] for line in lines if line[:4].strip() in ("ok", "warn")] == CHECKS
    assert lines[-1] == "9 checks: 8 ok, 1 warn, 0 fail."
    assert "  - Install git, or add its folder to PATH." in lines
    concise = asked(tmp_path, tools, "--concise").out.splitlines()
    assert [line.split()[1] for line in concise if line[:4].strip() in ("ok", "warn")] == ["git"]
    assert "  - Path: /" in asked(tmp_path, tools, "--verbose").out
    assert asked(tmp_path, tools, "--verbose", "--concise").status == 2


def test_no_salesforce_cli(tmp_path: Path, tools: Path) -> None:
    (tools / "sf").unlink()
    sf = checked(tmp_path, tools)["sf"]
    assert (sf["state"], "npm install --global @salesforce/cli" in sf["actions"][0]) == ("warn", True)


def test_a_salesforce_cli_that_is_too_old_or_broken(tmp_path: Path, tools: Path) -> None:
    stand_in = StandIn(tmp_path / "other")
    (tmp_path / "other/git").symlink_to(os.readlink(tools / "git"))
    stand_in.says("version", json.dumps(VERSION | {"cliVersion": "@salesforce/cli/2.100.0"}))
    assert checked(tmp_path, tmp_path / "other")["sf"]["state"] == "warn"
    stand_in.says("version", "oops", status=1)
    assert checked(tmp_path, tmp_path / "other")["sf"]["state"] == "warn"


def test_one_that_loses_rotated_tokens(tmp_path: Path, tools: Path) -> None:
    stand_in = StandIn(tmp_path / "other")
    (tmp_path / "other/git").symlink_to(os.readlink(tools / "git"))
    core = tmp_path / "cli/node_modules/@salesforce/core/package.json"
    core.parent.mkdir(parents=True)
    core.write_text('{"version": "9.1.7"}')
    stand_in.says("version", json.dumps(VERSION | {"rootPath": str(tmp_path / "cli")}))
    sf = checked(tmp_path, tmp_path / "other")["sf"]
    assert sf["state"] == "warn"
    assert "9.1.7" in sf["message"]


@pytest.mark.parametrize(
    ("variables", "state", "words"),
    [
        ({"DISPLAY": ""}, "warn", "--browser none"),
        ({"DISPLAY": "", "WAYLAND_DISPLAY": "wayland-0"}, "ok", ""),
        ({"BROWSER": "no-such-browser"}, "warn", "unset it"),
        ({"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22", "DISPLAY": ""}, "ok", ""),
        ({"BROWSER": "git --version"}, "ok", ""),
    ],
)
def test_browsers(tmp_path: Path, tools: Path, variables: dict[str, str], state: str, words: str) -> None:
    found = checked(tmp_path, tools, **variables)["browser"]
    assert found["state"] == state
    assert words in " ".join(found["actions"])


@pytest.mark.parametrize(
    "url",
    ["ftp://proxy.example", "http://", "http://[", f"//user:{PASSWORD}@proxy.example:x", "socks5://127.0.0.1:1"],
)
def test_a_proxy_that_cannot_be_used(tmp_path: Path, tools: Path, url: str) -> None:
    assert checked(tmp_path, tools, HTTPS_PROXY=url)["proxy"]["state"] == "fail"


def test_a_proxy_is_tried_and_its_password_is_never_told(tmp_path: Path, tools: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        url = f"http://user:{PASSWORD}@127.0.0.1:{port}"
        for more in ((), ("--json",), ("--verbose",), ("--storage", "--json")):
            ended = asked(tmp_path, tools, *more, HTTPS_PROXY=url, NO_PROXY="intranet.example")
            assert ended.status == 0
            assert PASSWORD not in ended.out + ended.err
        proxy = checked(tmp_path, tools, HTTPS_PROXY=url, NO_PROXY="intranet.example")["proxy"]
        assert proxy["message"] == f"Requests to orgs use the proxy at 127.0.0.1, port {port}."
        assert proxy["details"] == ["Not used for: intranet.example."]
    gone = asked(tmp_path, tools, "--verbose", HTTPS_PROXY=url)
    assert f"the proxy http://127.0.0.1:{port} (from HTTPS_PROXY): connection refused." in " ".join(gone.out.split())
    assert (gone.status, PASSWORD in gone.out + gone.err) == (1, False)


def test_a_certificate_file_that_is_none(tmp_path: Path, tools: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    found = checked(tmp_path, tools, SSL_CERT_FILE=str(file))["certificates"]
    assert found["state"] == "fail"
    assert str(file) in found["message"]


def test_a_callback_port_that_is_taken(tmp_path: Path, tools: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        app = trees.app(settings={"callbackUrl": f"http://localhost:{port}/cb\nhttps://www.example.com"})
        trees.plant(tmp_path / "here", trees.project() | app)
        found = checked(tmp_path, tools)["callbacks"]
        assert found["state"] == "warn"
        assert f"port {port}" in found["message"]
    assert checked(tmp_path, tools)["callbacks"]["details"] == [f"ecapipe can listen on http://localhost:{port}/cb."]


def test_a_state_directory_that_cannot_be(tmp_path: Path, tools: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for place in (file, file / "below"):
        assert checked(tmp_path, tools, ECAPIPE_STATE_DIR=str(place))["state"]["state"] == "fail"
    ready = tmp_path / "ready"
    ready.mkdir(mode=0o700)
    assert checked(tmp_path, tools, ECAPIPE_STATE_DIR=str(ready))["state"]["message"].endswith(f"is {ready}.")
    assert list(ready.iterdir()) == []
    ready.chmod(0o777)
    assert checked(tmp_path, tools, ECAPIPE_STATE_DIR=str(ready))["state"]["state"] == "fail"


def test_what_is_stored_and_how_it_goes(tmp_path: Path, tools: Path) -> None:
    trees.plant(
        tmp_path / "here", trees.project() | trees.app() | trees.app("Bare", settings={"consumerSecret": None})
    )
    settings = (
        tmp_path / "here" / trees.DEFAULT / "extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"
    )
    settings.chmod(0o640)
    runs = tmp_path / "state/runs"
    runs.mkdir(parents=True, mode=0o700)
    (runs / "one.jsonl").write_text("")
    (runs / "one.lock").write_text("")
    state = {"ECAPIPE_STATE_DIR": str(tmp_path / "state")}
    ended = asked(tmp_path, tools, "--storage", "--json", **state)
    assert ended.status == 0
    places = {each["where"]: each for each in ended.result["storage"]}
    assert (places[str(runs)]["mode"], places[str(runs)]["entries"], places[str(runs)]["secret"]) == (
        "0700",
        1,
        False,
    )
    assert (places[str(settings)]["mode"], places[str(settings)]["entries"]) == ("0640", None)
    assert not places[str(tmp_path / "state/logins")]["exists"]
    assert str(tmp_path / "here/.sfdx") in places
    assert [each for each in places if "Bare" in each] == []
    assert all(each["writtenBy"] and each["removedBy"] for each in places.values())
    assert trees.secret("Billing") not in ended.out

    text = asked(tmp_path, tools, "--storage", **state).out
    assert f"Recorded runs: {runs} (mode 0700, 1 entry)\n  Secret: no\n  Written by: ecapipe run\n" in text
    concise = asked(tmp_path, tools, "--storage", "--concise", **state).out.splitlines()
    assert [line.partition(":")[0] for line in concise] == ["Recorded runs", "Consumer secret in a settings file"]
