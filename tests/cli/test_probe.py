"""``ecapipe app probe``: one request for each pair, and what is made of the answers."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import trees
from commandline import PATIENCE, inside, on_terminal, started
from fakes.orgs import emulated
from fakes.servers import Said, Seen, origin
from loopback import free_port

PUBLIC = {"consumerSecret": None, "isConsumerSecretOptional": "true"}
WRONG = "WRONG0SECRET0THAT0IS0MADE0UP"


def org(seen: Seen) -> Said:
    """Knows Billing and Portal, and says no more to who shows no secret."""
    form = {name: values[0] for name, values in parse_qs(seen.body, strict_parsing=True).items()}
    assert (seen.method, seen.target) == ("POST", "/services/oauth2/introspect")
    known = {trees.key(app): trees.secret(app) for app in ("Billing", "Portal")}
    if form["client_id"] not in known:
        refusal = {"error": "invalid_client_id", "error_description": "client identifier invalid"}
        return Said(400, json.dumps(refusal).encode())
    if form.get("client_secret") != known[form["client_id"]]:
        # As bad servers repeat what they were sent.
        refusal = {"error": "invalid_client", "error_description": f"invalid client credentials {seen.body}"}
        return Said(400, json.dumps(refusal).encode())
    return Said(body=b'{"active": false}')


def plant(root: Path, *apps: trees.Files) -> str:
    files = trees.project()
    for app in apps:
        files |= app
    return str(trees.plant(root, files))


def test_each_pair_is_asked_once_and_all_accepted_is_success(tmp_path: Path) -> None:
    root = plant(tmp_path, trees.app("Billing"), trees.app("Portal"))
    with origin(org) as first, origin(org) as second:
        orgs = ["-o", f"uat={first.url('')}", "-o", f"prod={second.url('')}"]
        ended = inside("app", "probe", "-d", root, *orgs, "--json", at=tmp_path)
        assert [len(first.seen), len(second.seen)] == [2, 2]
    assert ended.status == 0
    assert [(each["app"], each["org"], each["verdict"]) for each in ended.result["probes"]] == [
        ("Billing", "uat", "accepted"),
        ("Billing", "prod", "accepted"),
        ("Portal", "uat", "accepted"),
        ("Portal", "prod", "accepted"),
    ]
    assert ended.result["summary"]["accepted"] == 4


CASES: dict[str, tuple[trees.Files, str, str | None, str]] = {
    "another org's key": (trees.app("Other"), "refused", "consumerKey", "InvalidClientId"),
    "a wrong secret": (
        trees.app("Billing", settings={"consumerSecret": WRONG}), "refused", "consumerSecret", "InvalidClient",
    ),
    "a public client": (trees.app("Portal", settings=PUBLIC), "unclear", None, "ProbeNeedsSecret"),
    "a public client with another key": (trees.app("Other", settings=PUBLIC), "refused", "consumerKey",
                                         "InvalidClientId"),
    "no secret": (
        trees.app("Billing", settings={"consumerSecret": None}), "missing", None, "ConsumerSecretMissing",
    ),
    "no key": (trees.app("Billing", settings={"consumerKey": None}), "missing", None, "ConsumerKeyMissing"),
    "no settings": (trees.app("Billing", settings=None), "missing", None, "SettingsNotRetrieved"),
}  # fmt: skip


def test_orgs_come_from_a_file_or_the_project_too(tmp_path: Path) -> None:
    with origin(org) as uat:
        orgs = {"uat": {"url": uat.url("")}, "prod": {"url": uat.url("")}}
        files = trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.app("Billing") | trees.app("Portal")
        root = str(trees.plant(tmp_path, files))
        (tmp_path / "orgs.csv").write_text("alias,apps\nuat,Portal\n")
        refused = inside("app", "probe", "-d", root, "-f", "orgs.csv", "--json", at=tmp_path)
        command = ["app", "probe", "-d", root, "--allow-host", "localhost", "--json"]
        listed = inside(*command, "-f", "orgs.csv", at=tmp_path)
        every = inside(*command, "--all-orgs", at=tmp_path)
    assert (refused.status, refused.document["name"]) == (2, "MalformedBatchFile")
    assert [(each["app"], each["org"]) for each in listed.result["probes"]] == [("Portal", "uat")]
    assert every.result["summary"]["accepted"] == 4
    assert (listed.status, every.status) == (0, 0)


@pytest.mark.parametrize(("app", "verdict", "refused", "problem"), CASES.values(), ids=CASES.keys())
def test_what_is_not_accepted_is_told_apart(
    tmp_path: Path, app: trees.Files, verdict: str, refused: str | None, problem: str
) -> None:
    root = plant(tmp_path, app)
    with origin(org) as uat:
        for form in ("--json", "--verbose"):
            ended = inside("app", "probe", "-d", root, "-o", f"uat={uat.url('')}", form, at=tmp_path)
            assert ended.status == 1
            assert WRONG[:8] not in ended.out + ended.err
            if form == "--json":
                (probe,) = ended.result["probes"]
                assert (probe["verdict"], probe["refused"], probe["problem"]) == (verdict, refused, problem)
                assert probe["actions"]
            else:
                assert {verdict, f"({refused})" if refused else verdict} <= set(ended.out.split())
        assert len(uat.seen) == (0 if verdict == "missing" else 2)


def test_some_accepted_is_partial_and_what_nobody_asked_for_does_not_count(tmp_path: Path) -> None:
    header, link = {"orgScopedExternalApp": "00D000000000002EAA:Linked"}, "00D000000000001EAA:888000000000001"
    linked = trees.app("Linked", settings=None, oauth={"oauthLink": link}, header=header)
    root = plant(tmp_path, trees.app("Billing"), trees.app("Other"), linked)
    with origin(org) as uat:
        where = ["-d", root, "-o", f"uat={uat.url('')}", "--json"]
        ended = inside("app", "probe", *where, at=tmp_path)
        assert ended.status == 68
        assert ended.result["summary"] == {"accepted": 1, "refused": 1, "unclear": 0, "missing": 0, "skipped": 1}
        assert inside("app", "probe", *where, "-n", "Billing", "-n", "Linked", at=tmp_path).status == 68


@pytest.mark.parametrize("said", [Said(500), Said(200, b"<html>", {"Content-Type": "text/html"}), Said(404)])
def test_an_unclear_answer_is_called_so(tmp_path: Path, said: Said) -> None:
    root = plant(tmp_path, trees.app("Billing"))
    with origin(lambda seen: said) as uat:
        ended = inside("app", "probe", "-d", root, "-o", f"uat={uat.url('')}", "--json", at=tmp_path)
        assert len(uat.seen) == 1, "one request, whatever comes of it"
    assert (ended.status, ended.result["summary"]["unclear"]) == (1, 1)


def test_an_org_that_is_not_there_is_unclear_and_holds_no_other_up(tmp_path: Path) -> None:
    root = plant(tmp_path, trees.app("Billing"))
    with origin(org) as uat:
        orgs = ["-o", f"gone=http://localhost:{free_port()}", "-o", f"uat={uat.url('')}"]
        ended = inside("app", "probe", "-d", root, *orgs, "--json", at=tmp_path)
    assert [each["verdict"] for each in ended.result["probes"]] == ["unclear", "accepted"]
    assert ended.status == 68


def test_a_secret_comes_from_where_it_is_told_to(tmp_path: Path) -> None:
    root = plant(tmp_path, trees.app("Billing"))
    with origin(org) as uat:
        where = ["-d", root, "-o", f"uat={uat.url('')}", "--secret-from", "environment", "--json"]
        assert inside("app", "probe", *where, at=tmp_path).result["probes"][0]["verdict"] == "missing"
        ended = inside("app", "probe", *where, at=tmp_path, ECAPIPE_CLIENT_SECRET=trees.secret("Billing"))
    (probe,) = ended.result["probes"]
    assert (probe["verdict"], probe["consumerKey"], probe["consumerSecret"]) == ("accepted", "file", "environment")


def test_a_secret_is_typed_unseen(tmp_path: Path) -> None:
    root = plant(tmp_path, trees.app("Billing", settings={"consumerSecret": None}))
    with origin(org) as uat:
        command = ["app", "probe", "-d", root, "-o", f"uat={uat.url('')}"]
        with on_terminal(*command, at=tmp_path) as screen:
            screen.terminal.expect("Consumer secret of Billing: ")
            screen.terminal.sendline(trees.secret("Billing"))
            ended = screen.end()
    assert ended.status == 0, ended
    assert trees.secret("Billing")[:8] not in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "https://evil.example"],
        ["-o", "uat=http://localhost:1", "--emulator"],
        ["--all-orgs", "--emulator"],
        ["-f", "missing.csv"],
        ["-o", "uat=http://localhost:1", "--concise", "--verbose"],
        ["-o", "uat=http://localhost:1", "-n", "Biling"],
        [],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(tmp_path: Path, arguments: list[str]) -> None:
    plant(tmp_path, trees.app("Billing"))
    assert inside("app", "probe", *arguments, at=tmp_path).status == 2


def test_a_probe_that_is_interrupted_tells_what_it_was_answered(tmp_path: Path) -> None:
    root, over = plant(tmp_path, trees.app("Billing"), trees.app("Portal")), threading.Event()

    def hung(seen: Seen) -> Said:
        over.wait(PATIENCE)
        return Said()

    with origin(hung) as uat, origin(org) as prod:
        orgs = ["-o", f"prod={prod.url('')}", "-o", f"uat={uat.url('')}"]
        with started("app", "probe", "-d", root, *orgs, "--json", at=tmp_path) as running:
            until = time.monotonic() + PATIENCE
            while len(uat.seen + prod.seen) < 4 and time.monotonic() < until:
                time.sleep(0.01)
            # For the answers that have left to arrive.
            time.sleep(0.5)
            running.interrupt()
            begun = time.monotonic()
            ended = running.end()
            assert time.monotonic() - begun < 5
        over.set()
    assert ended.status == 130
    assert [(each["org"], each["verdict"], each["problem"]) for each in ended.result["probes"]] == [
        ("prod", "accepted", None),
        ("uat", "unclear", "Interrupted"),
    ] * 2


def test_the_emulator_gives_the_same_answers(tmp_path: Path) -> None:
    at_home = plant(tmp_path / "org", trees.app("Billing"), trees.app("Portal", settings=PUBLIC))
    wrong = trees.app("Billing", settings={"consumerSecret": WRONG})
    here = plant(tmp_path / "here", wrong, trees.app("Portal", settings=PUBLIC), trees.app("Other"))
    with emulated(at_home) as emulator:
        where = ["-o", f"uat={emulator.urls['uat']}", "--json"]
        ended = inside("app", "probe", "-d", here, *where, at=tmp_path)
        right = inside("app", "probe", "-d", at_home, "-n", "Billing", *where, at=tmp_path)
    assert [(each["app"], each["verdict"], each["refused"]) for each in ended.result["probes"]] == [
        ("Billing", "refused", "consumerSecret"),
        ("Other", "refused", "consumerKey"),
        ("Portal", "unclear", None),
    ]
    assert [each["verdict"] for each in right.result["probes"]] == ["accepted"]
