"""``ecapipe app probe``: what each pair is asked, and what is made of the answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import trees
from commandline import PATIENCE, inside, on_terminal, started
from fakes.orgs import emulated
from fakes.servers import Said, Seen, origin
from loopback import free_port

from ecapipe.emulator.faults import Do, Fault

HTML = {"Content-Type": "text/html"}
PUBLIC = {"consumerSecret": None, "isConsumerSecretOptional": "true"}
WRONG = "WRONG0SECRET0THAT0IS0MADE0UP"


def org(seen: Seen) -> Said:
    """Knows Billing and Portal, and says no more to who shows no secret."""
    known = {trees.key(app): trees.secret(app) for app in ("Billing", "Portal")}
    if seen.method == "GET":
        return authorize(seen, known)
    form = {name: values[0] for name, values in parse_qs(seen.body, strict_parsing=True).items()}
    assert (seen.method, seen.target) == ("POST", "/services/oauth2/introspect")
    if form["client_id"] not in known:
        refusal = {"error": "invalid_client_id", "error_description": "client identifier invalid"}
        return Said(400, json.dumps(refusal).encode())
    if form.get("client_secret") != known[form["client_id"]]:
        # As bad servers repeat what they were sent.
        refusal = {"error": "invalid_client", "error_description": f"invalid client credentials {seen.body}"}
        return Said(400, json.dumps(refusal).encode())
    return Said(body=b'{"active": false}')


def authorize(seen: Seen, known: Collection[str]) -> Said:
    """Sends whoever may log in to the login page, as Salesforce does."""
    target = urlsplit(seen.target)
    query = {name: values[0] for name, values in parse_qs(target.query, strict_parsing=True).items()}
    assert target.path == "/services/oauth2/authorize"
    assert {"Cookie", "Authorization"}.isdisjoint(seen.headers)
    assert (query["response_type"], query["code_challenge_method"]) == ("code", "S256")
    if query["client_id"] not in known:
        return Said(400, b"error=invalid_client_id&error_description=client%20identifier%20invalid", HTML)
    if query["redirect_uri"] != trees.LOOPBACK:
        return Said(400, b"<p>redirect_uri_mismatch</p><p>redirect_uri must match configuration</p>", HTML)
    if not set(query["scope"].split()) <= {"api", "id", "refresh_token"}:
        refusal = urlencode({"error": "invalid_scope", "error_description": "no valid scopes defined"})
        return Said(302, b"", {"Location": f"{trees.LOOPBACK}?{refusal}&state={query['state']}"})
    return Said(302, b"", {"Location": "/setup/secur/RemoteAccessAuthorizationPage.apexp?source=CAAA"})


def plant(root: Path, *apps: trees.Files) -> str:
    files = trees.project()
    for app in apps:
        files |= app
    return str(trees.plant(root, files))


def test_each_pair_is_asked_about_login_and_secret_and_all_accepted_is_success(tmp_path: Path) -> None:
    root = plant(tmp_path, trees.app("Billing"), trees.app("Portal"))
    with origin(org) as first, origin(org) as second:
        orgs = ["-o", f"uat={first.url('')}", "-o", f"prod={second.url('')}"]
        ended = inside("app", "probe", "-d", root, *orgs, "--json", at=tmp_path)
        assert [len(first.seen), len(second.seen)] == [4, 4]
    assert ended.status == 0
    assert [(each["app"], each["org"], each["verdict"]) for each in ended.result["probes"]] == [
        ("Billing", "uat", "accepted"),
        ("Billing", "prod", "accepted"),
        ("Portal", "uat", "accepted"),
        ("Portal", "prod", "accepted"),
    ]
    assert ended.result["summary"]["accepted"] == 4
    assert ended.result["probes"][0]["message"] == (
        "uat accepts the consumer key, callback URL, scopes and secret of Billing."
    )
    assert ended.result["probes"][0]["checks"] == [
        {"what": "authorize", "callback": trees.LOOPBACK, "verdict": "accepted", "problem": None},
        {"what": "introspect", "callback": None, "verdict": "accepted", "problem": None},
    ]


PASTE = "https://www.example.com/cb"
CASES: dict[str, tuple[trees.Files, str, str | None, str]] = {
    "another org's key": (trees.app("Other"), "refused", "consumerKey", "InvalidClientId"),
    "a wrong secret": (
        trees.app("Billing", settings={"consumerSecret": WRONG}), "refused", "consumerSecret", "InvalidClient",
    ),
    "a callback with a slash more": (
        trees.app("Billing", settings={"callbackUrl": f"{trees.LOOPBACK}/"}), "refused", "callback",
        "RedirectUriMismatch",
    ),
    "one callback of two": (
        trees.app("Billing", settings={"callbackUrl": f"{trees.LOOPBACK}\n{PASTE}"}), "refused", "callback",
        "RedirectUriMismatch",
    ),
    "a scope": (
        trees.app("Billing", oauth={"commaSeparatedOauthScopes": "Api, Full"}), "refused", "scopes", "InvalidScope",
    ),
    "a public client without callback": (
        trees.app("Portal", settings={**PUBLIC, "callbackUrl": None}), "unclear", None, "ProbeNeedsSecret",
    ),
    "a public client with another key": (trees.app("Other", settings=PUBLIC), "refused", "consumerKey",
                                         "InvalidClientId"),
    "neither secret nor callback": (
        trees.app("Billing", settings={"consumerSecret": None, "callbackUrl": None}), "missing", None,
        "ConsumerSecretMissing",
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
        checks: list[object] = []
        for form in ("--json", "--verbose"):
            ended = inside("app", "probe", "-d", root, "-o", f"uat={uat.url('')}", form, at=tmp_path)
            assert ended.status == (0 if verdict == "unclear" else 1)
            assert WRONG[:8] not in ended.out + ended.err
            # Nobody logs in here, and the org is known.
            assert not any(word in ended.out for word in ("--scopes", "--target-org ALIAS"))
            if form == "--json":
                (probe,) = ended.result["probes"]
                assert (probe["verdict"], probe["refused"], probe["problem"]) == (verdict, refused, problem)
                assert probe["actions"]
                checks = probe["checks"]
            else:
                assert {verdict, f"({refused})" if refused else verdict} <= set(ended.out.split())
        assert bool(checks) is (verdict != "missing")
        assert len(uat.seen) == 2 * len(checks), "each check is one request"


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
        assert len(uat.seen) == 2, "one request for each question, whatever comes of it"
        strict = inside("app", "probe", "-d", root, "-o", f"uat={uat.url('')}", "--json", "--strict", at=tmp_path)
    (warning,) = ended.document["warnings"]
    assert "Billing@uat is unclear: " in warning
    assert (ended.status, ended.result["summary"]["unclear"]) == (0, 1)
    assert (strict.status, strict.result["summary"]["unclear"], strict.document["warnings"]) == (1, 1, [])


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
        (unasked,) = inside("app", "probe", *where, at=tmp_path).result["probes"]
        assert (unasked["verdict"], unasked["consumerSecret"]) == ("accepted", None)
        assert unasked["message"].endswith(" Its consumer secret was not checked, because it is unknown.")
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
            while len(uat.seen + prod.seen) < 8 and time.monotonic() < until:
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


def test_a_dry_run_that_is_interrupted_while_orgs_are_asked_reports_those_that_answered(tmp_path: Path) -> None:
    root, over = plant(tmp_path, trees.app("Billing")), threading.Event()

    def hung(seen: Seen) -> Said:
        over.wait(PATIENCE)
        return Said()

    with origin(hung) as uat, origin(org) as prod:
        orgs = ["-o", f"prod={prod.url('')}", "-o", f"uat={uat.url('')}", "--callback", "paste"]
        with started("run", "-d", root, *orgs, "--dry-run", "--probe", "--json", at=tmp_path) as running:
            until = time.monotonic() + PATIENCE
            while not (uat.seen and prod.seen) and time.monotonic() < until:
                time.sleep(0.01)
            # For the answer that has left to arrive.
            time.sleep(0.5)
            running.interrupt()
            begun = time.monotonic()
            ended = running.end()
            assert time.monotonic() - begun < 5
        over.set()
    assert ended.status == 130
    asked = [each for each in ended.result["stages"] if each["stage"] == "authorize"]
    assert [(each["org"], each["facts"]["probe"]) for each in asked] == [("prod", "accepted")]


def test_the_emulator_gives_the_same_answers(tmp_path: Path) -> None:
    names = ("Billing", "Slashed", "Scoped")
    at_home = plant(tmp_path / "org", *map(trees.app, names), trees.app("Portal", settings=PUBLIC))
    wrong = trees.app("Billing", settings={"consumerSecret": WRONG})
    slashed = trees.app("Slashed", settings={"callbackUrl": f"{trees.LOOPBACK}/"})
    scoped = trees.app("Scoped", oauth={"commaSeparatedOauthScopes": "Api, Basic, MCP"})
    public = trees.app("Portal", settings=PUBLIC)
    here = plant(tmp_path / "here", wrong, slashed, scoped, public, trees.app("Other"))
    with emulated(at_home) as emulator:
        where = ["-o", f"uat={emulator.urls['uat']}", "--json"]
        ended = inside("app", "probe", "-d", here, *where, at=tmp_path)
        right = inside("app", "probe", "-d", at_home, "-n", "Billing", *where, at=tmp_path)
    assert [(each["app"], each["verdict"], each["refused"]) for each in ended.result["probes"]] == [
        ("Billing", "refused", "consumerSecret"),
        ("Other", "refused", "consumerKey"),
        ("Portal", "accepted", None),
        ("Scoped", "refused", "scopes"),
        ("Slashed", "refused", "callback"),
    ]
    assert [each["verdict"] for each in right.result["probes"]] == ["accepted"]


SAID: dict[str, tuple[Do, str, str | None]] = {
    "maintenance": ({"html": True}, "unclear", "ServerBusy"),
    "maintenance that claims to be fine": ({"html": True, "status": 200}, "unclear", "AuthorizeUnclear"),
    "single sign-on": ({"redirect": "https://sso.example/login"}, "unclear", "AuthorizeUnclear"),
    "blocked": (
        {"html": {"error": "OAUTH_APP_BLOCKED", "error_description": "this app is blocked by admin"}},
        "refused", "AppBlocked",
    ),
    "PKCE": (
        {"html": {"error": "invalid_request", "error_description": "missing required code challenge"}},
        "refused", "CodeChallengeMissing",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("do", "verdict", "problem"), SAID.values(), ids=SAID.keys())
def test_what_authorize_says_counts_beside_a_good_secret(
    tmp_path: Path, do: Do, verdict: str, problem: str | None
) -> None:
    root = plant(tmp_path, trees.app("Billing"))
    with emulated(root, faults=[Fault("/services/oauth2/authorize", do)]) as emulator:
        where = ["-d", root, "-o", f"uat={emulator.urls['uat']}", "--json"]
        ended = inside("app", "probe", *where, at=tmp_path)
        strict = inside("app", "probe", *where, "--strict", at=tmp_path)
    (probe,) = ended.result["probes"]
    asked, secret = probe["checks"]
    assert (probe["verdict"], asked["verdict"], secret["verdict"]) == (verdict, verdict, "accepted")
    assert probe["problem"] == asked["problem"]["name"] == problem
    assert (ended.status, strict.status) == (0 if verdict == "unclear" else 1, 1)


def test_a_dry_run_asks_for_every_login_before_people_are(tmp_path: Path) -> None:
    robot = trees.app("Robot", settings=trees.CLIENT_CREDENTIALS, policies=trees.CLIENT_CREDENTIALS)
    root = plant(tmp_path / "org", trees.app("Billing"), trees.app("Slashed"), robot)
    slashed = trees.app("Slashed", settings={"callbackUrl": f"{trees.LOOPBACK}/"})
    # Its login goes without a callback.
    robot |= trees.app("Robot", settings={**trees.CLIENT_CREDENTIALS, "callbackUrl": PASTE}, policies=None)
    here = plant(tmp_path / "here", trees.app("Billing"), slashed, trees.app("Other"), robot)
    orgs = tmp_path / "orgs.csv"
    with emulated(root) as emulator:
        url = emulator.urls["uat"]
        orgs.write_text(
            f"alias,url,apps,flow\nuat,{url},Billing;Slashed;Other,web\nci,{url},Robot,client-credentials\n"
        )
        where = ["-d", here, "-f", str(orgs), "--dry-run", "--callback", "paste", "--json"]
        unasked = inside("run", *where, at=tmp_path)
        assert (unasked.status, list(emulator.requests)) == (0, [])
        ended = inside("run", *where, "--probe", at=tmp_path)
        asked = [(request.method, request.path) for request in emulator.requests]
    assert asked == [("GET", "/services/oauth2/authorize")] * 4
    assert ended.status == 68
    assert {each["app"]: each["name"] for each in ended.result["failures"]} == {
        "Slashed": "RedirectUriMismatch",
        "Other": "InvalidClientId",
    }
    stages = {each["app"]: each for each in ended.result["stages"] if each["stage"] == "authorize"}
    assert (stages["Billing"]["facts"]["probe"], stages["Robot"]["facts"]["probe"]) == ("accepted", "refused")
    assert "redirect_uri" in stages["Robot"]["facts"]["probeMessage"]
