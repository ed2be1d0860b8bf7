"""Batches of real size against real orgs on this machine: the right users everywhere, nothing asked twice, and nobody
held up by anybody."""

from __future__ import annotations

import csv
import io
import json
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import trees
from commandline import Ended, ecapipe, started
from fakes.orgs import emulated
from keypairs import certificate, pem, rsa_key, written
from loopback import free_port

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.documents.report import Report
from ecapipe.emulator.faults import Fault
from ecapipe.emulator.server import Emulator
from ecapipe.login.options import LoginOptions
from ecapipe.oauth.flows.registry import CHOICES
from ecapipe.orgs import org_file
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.credentials import consumer_secret_missing
from ecapipe.problems.network import redirect_refused, unexpected_answer
from ecapipe.problems.oauth import invalid_client
from ecapipe.problems.orgs import wrong_org, wrong_user
from ecapipe.problems.usage import interrupted, usage_error
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run import pipeline
from ecapipe.run.pipeline import RunRequest

TOKEN, USERINFO = "/services/oauth2/token", "/services/oauth2/userinfo"


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """A batch file as a spreadsheet writes it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    return "\ufeff" + text.getvalue()


def successes(result: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """What succeeded, by ``app@org``."""
    found = cast(list[dict[str, Any]], result["successes"])
    by_target = {f"{each['app']}@{each['org']}": each for each in found}
    assert len(by_target) == len(found), "a target succeeded twice"
    return by_target


def asked(emulator: Emulator) -> Counter[tuple[str, str]]:
    """How often each org was asked at each address."""
    return Counter((each.org, each.path) for each in emulator.requests)


def test_two_hundred_orgs_with_flows_of_all_kinds(tmp_path: Path) -> None:
    port = free_port()
    root = trees.plant(
        tmp_path,
        trees.project()
        | trees.robot()
        | trees.app("Signed", settings={"callbackUrl": None, "certificate": certificate(rsa_key())})
        | trees.app("Person", settings={"callbackUrl": f"http://localhost:{port}/OauthRedirect"}),
    )
    names = [f"org{number}" for number in range(200)]
    flows = {name: ("web", "jwt", *["client-credentials"] * 6)[number % 8] for number, name in enumerate(names)}
    apps = {"web": "Person", "jwt": "Signed", "client-credentials": "Robot"}
    key = written(tmp_path, pem(rsa_key()))
    with emulated(root, names) as emulator:
        users = {name: emulator.login(name)[0] for name in names}
        rows = [
            {
                "Alias": name,
                "URL": emulator.urls[name],
                "apps": apps[flow],
                "flow": flow,
                "username": "robot@acme.example" if flow == "client-credentials" else users[name],
            }
            for name, flow in flows.items()
        ]

        def browse(link: str) -> bool:
            def person() -> None:
                with urllib.request.urlopen(emulator.visit(link), timeout=10):  # our own address
                    pass

            threading.Thread(target=person).start()
            return True

        report = Report()
        world = replace(composition.real_world(Environment({})), person=True, local_browser=True, open=browse)
        which = OrgSelection(
            allowed=("localhost",), batch=org_file.parse(table(rows).encode(), str(root / "orgs.csv"), CHOICES)
        )
        pipeline.run(RunRequest(ProjectSelection((str(root),)), which, LoginOptions(key_file=key)), world, report)
        requests = asked(emulator)
        urls = dict(emulator.urls)
    assert report.problems == []
    assert report.status == 0
    done = successes(report.result())
    assert set(done) == {f"{apps[flow]}@{name}" for name, flow in flows.items()}
    for name, flow in flows.items():
        success = done[f"{apps[flow]}@{name}"]
        expected = "robot@acme.example" if flow == "client-credentials" else users[name]
        assert (success["username"], success["flow"], success["instanceUrl"]) == (expected, flow, urls[name])
        assert requests[name, TOKEN] == requests[name, USERINFO] == 1
    assert len({success["orgId"] for success in done.values()}) == 200


def run(root: Path, *arguments: str, **variables: str) -> Ended:
    command = ["run", "--source-dir", str(root), "--file", str(root / "orgs.csv"), "--json", *arguments]
    return ecapipe(*command, at=root, ECAPIPE_ALLOWED_HOSTS="localhost", **variables)


def test_slow_silent_and_misleading_orgs_hold_nobody_up(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.robot())
    ill = {
        "hung": Fault("*", {"delay": 600}, "hung"),
        "hung2": Fault(USERINFO, {"delay": 600}, "hung2"),
        "dripping": Fault(TOKEN, {"drip": 1}, "dripping"),
        "moved": Fault(TOKEN, {"redirect": "https://elsewhere.example/token"}, "moved"),
        "reset": Fault(TOKEN, {"reset": True}, "reset"),
        "wrong": Fault(TOKEN, {"status": 400, "body": {"error": "invalid_client"}}, "wrong"),
        "page": Fault(TOKEN, {"html": True}, "page"),
    }
    names = [*ill, *(f"org{number}" for number in range(60))]
    with emulated(root, names, list(ill.values())) as emulator:
        text = table([{"alias": name, "url": emulator.urls[name]} for name in names])
        (root / "orgs.csv").write_text(text, encoding="utf-8")
        command = ["run", "-d", str(root), "-f", str(root / "orgs.csv"), "--concurrency", "4", "--json"]
        with started(*command, at=root, ECAPIPE_ALLOWED_HOSTS="localhost") as running:
            begun = time.monotonic()
            healthy = {(name, USERINFO) for name in names if name not in ill}
            while not healthy <= set(asked(emulator)):
                assert time.monotonic() - begun < 20, "orgs that answer at once wait for those that do not"
                time.sleep(0.02)
            time.sleep(1.0)
            running.interrupt(signal.SIGTERM)
            stopped = time.monotonic()
            ended = running.end()
            assert time.monotonic() - stopped < 5
        requests = asked(emulator)
    assert ended.status == 130
    done = successes(ended.result)
    assert set(done) == {f"Robot@{name}" for name in names if name not in ill}
    assert all(requests[name, TOKEN] == requests[name, USERINFO] == 1 for name in names if name not in ill)
    failed = {failure["org"]: failure["name"] for failure in ended.result["failures"]}
    assert set(failed) == set(ill)
    assert (failed["moved"], failed["wrong"]) == (redirect_refused.name, invalid_client.name)
    assert all(failed[name] == interrupted.name for name in ("hung", "hung2", "dripping"))


def test_each_row_has_a_variable_of_its_own_for_the_secret(tmp_path: Path) -> None:
    names = [f"org{number}" for number in range(6)]
    folders = {name: trees.plant(tmp_path / name, trees.project() | trees.robot()) for name in names}
    rows, variables, running = [], dict[str, str](), list[Emulator]()
    root = trees.plant(tmp_path / "here", trees.project() | trees.robot(settings={"consumerSecret": None}))
    try:
        for name, folder in folders.items():
            secret = trees.secret(f"Robot in {name}")
            trees.plant(folder, trees.robot(settings={"consumerSecret": secret}))
            emulator = emulated(folder, [name])
            running.append(emulator.__enter__())
            rows.append({"alias": name, "url": emulator.urls[name], "secretEnv": f"SECRET_{name.upper()}"})
            variables[f"SECRET_{name.upper()}"] = secret
        (root / "orgs.csv").write_text(table(rows), encoding="utf-8")
        ended = run(root, **variables)
        swapped = dict(variables, SECRET_ORG1=variables["SECRET_ORG2"])
        del swapped["SECRET_ORG3"]
        partly = run(root, **swapped)
    finally:
        for emulator in running:
            emulator.__exit__()
    assert ended.status == 0
    assert set(successes(ended.result)) == {f"Robot@{name}" for name in names}
    assert partly.status == 68
    assert {failure["org"]: failure["name"] for failure in partly.result["failures"]} == {
        "org1": invalid_client.name,
        "org3": consumer_secret_missing.name,
    }
    for secret in variables.values():
        assert secret not in ended.out + ended.err + partly.out + partly.err


def test_each_org_is_logged_in_to_with_the_pair_of_its_own_tree(tmp_path: Path) -> None:
    names = ["uat", "prod", "dev"]
    rows, running = [], list[Emulator]()
    try:
        for name in names:
            pair = {"consumerKey": trees.key(f"Robot of {name}"), "consumerSecret": trees.secret(f"Robot of {name}")}
            folder = trees.plant(tmp_path / "retrieved" / name, trees.robot(settings=pair))
            emulator = emulated(folder, [name])
            running.append(emulator.__enter__())
            rows.append({"alias": name, "url": emulator.urls[name], "sourceDir": f"retrieved/{name}"})
        (tmp_path / "orgs.json").write_text(json.dumps(rows))
        ended = ecapipe("run", "--file", "orgs.json", "--json", at=tmp_path)
        counts = [asked(emulator)[name, TOKEN] for name, emulator in zip(names, running, strict=True)]
        lines = ecapipe("run", "--file", "orgs.json", at=tmp_path)
    finally:
        for emulator in running:
            emulator.__exit__()
    assert ended.status == 0
    assert set(successes(ended.result)) == {f"Robot@{name}" for name in names}
    assert counts == [1, 1, 1]
    assert sorted(Path(app["project"]).name for app in ended.result["apps"]) == sorted(names)
    for name in names:
        assert f"Robot (retrieved/{name})" in lines.out, lines.out


def test_two_addresses_that_turn_out_to_be_one_org_are_told(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.robot())
    with emulated(root, ["uat"]) as emulator:
        url = emulator.urls["uat"]
        orgs = ["--target-org", f"a={url}", "--target-org", f"b={url.replace('localhost', '127.0.0.1')}"]
        ended = ecapipe("run", "--source-dir", str(root), *orgs, "--json", at=tmp_path)
    assert ended.status in (0, 68)
    assert any("is the same org as" in warning for warning in ended.document["warnings"])


def test_a_batch_of_which_a_part_fails_says_which(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.robot())
    with emulated(root, ["uat", "prod"], [Fault(USERINFO, {"wrongUser": True}, "prod")]) as emulator:
        text = table([{"alias": name, "url": url, "orgId": "00D000000000009"} for name, url in emulator.urls.items()])
        (root / "orgs.csv").write_text(text, encoding="utf-8")
        ended = run(root)
    assert ended.status == 1
    assert {failure["name"] for failure in ended.result["failures"]} <= {
        wrong_org.name,
        unexpected_answer.name,
        wrong_user.name,
    }
    assert "uat" in {failure["org"] for failure in ended.result["failures"] if failure["name"] == wrong_org.name}


@pytest.mark.parametrize("flag", ["--file", "--all-orgs"])
def test_the_emulator_of_the_run_excludes_other_orgs(flag: str, tmp_path: Path) -> None:
    arguments = [flag, "orgs.csv"] if flag == "--file" else [flag]
    ended = ecapipe("run", "--emulator", *arguments, "--json", at=tmp_path)
    assert (ended.status, ended.document["name"]) == (2, usage_error.name)


@pytest.mark.parametrize("made", ["missing", "folder"])
def test_a_file_that_cannot_be_read_is_a_usage_error(made: str, tmp_path: Path) -> None:
    if made == "folder":
        (tmp_path / "orgs.csv").mkdir()
    ended = ecapipe("run", "--file", "orgs.csv", "--json", at=tmp_path)
    assert ended.status == 2
    assert "orgs.csv" in ended.document["message"]


def test_mistakes_of_a_file_are_printed_one_a_line(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.robot())
    (root / "orgs.csv").write_text("alias,url,flow\nuat,https://evil.test,wbe\n\x1b[31m,,\n")
    ended = ecapipe("run", "-f", "orgs.csv", at=root)
    assert ended.status == 2
    assert "row 2, column url: cannot be used" in ended.err
    assert 'row 2, column flow: must be one of auto, web, client-credentials, jwt. Did you mean "web"?' in ended.err
    assert "row 3, column alias: contains invisible characters." in ended.err.splitlines()
    assert "\x1b" not in ended.err
