"""``ecapipe run`` with a private key: flags and variables, and that nothing of the key leaves the process."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import trees
from cli.test_canary import Secrets, as_json, as_lines, on_screen, repeated
from commandline import Ended, inside, on_terminal
from fakes.orgs import emulated
from fakes.servers import Origin, Said, Seen, origin
from keypairs import PASSPHRASE, certificate, pem, rsa_key, written

ADA = "ada@example.com"
ORG, USER = "00D000000000001EAA", "005000000000001AAA"


@dataclass
class Scene:
    """A project with an app that has a certificate and no secret, an encrypted key, and an org that repeats every
    assertion; `refusal` is what it says to them, if anything."""

    root: Path
    home: Path
    key: str
    org: Origin
    secrets: Secrets
    refusal: dict[str, str]

    def command(self, *more: str) -> list[str]:
        return ["run", "-d", str(self.root), "-o", f"uat={self.org.url('')}", "--username", ADA, *more]

    def check(self, ended: Ended) -> None:
        for body in (seen.body for seen in self.org.seen):
            for value in parse_qs(body).get("assertion", []):
                self.secrets.add(value)
        assert self.secrets.heard_in(ended.out, ended.err) == set()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    settings = {"certificate": certificate(rsa_key()), "consumerSecret": None}
    root = trees.plant(tmp_path / "project", trees.project() | trees.app(settings=settings))
    encrypted = pem(rsa_key(), PASSPHRASE)
    (home := tmp_path / "home").mkdir()
    refusal: dict[str, str] = {}

    def answer(seen: Seen) -> Said:
        if seen.target.endswith("/userinfo"):
            members = {"user_id": USER, "organization_id": ORG, "preferred_username": ADA}
            return Said(body=json.dumps(members).encode())
        told = repeated(seen, Said())
        if refusal:
            return Said(400, json.dumps({**refusal, "error_description": f"{refusal['told']} {told}"}).encode())
        token = "00D000000000001!AQMADEUP.MADEUP.MADEUP"
        identity = f"https://login.salesforce.com/id/{ORG}/{USER}"
        return Said(body=json.dumps({"access_token": token, "id": identity, "scope": "id", "told": told}).encode())

    lines = [line for line in encrypted.decode().splitlines() if "-----" not in line]
    plain = [line for line in pem(rsa_key()).decode().splitlines() if "-----" not in line]
    with origin(answer) as org:
        secrets = Secrets({PASSPHRASE, *lines, *plain, "AQMADEUP.MADEUP.MADEUP"})
        yield Scene(root, home, written(home, encrypted), org, secrets, refusal)


@pytest.mark.parametrize("form", [as_json, as_lines, on_screen])
@pytest.mark.parametrize("refused", [None, "invalid assertion", "audience is invalid", "expired authorization code"])
def test_nothing_of_a_key_leaves_the_process(scene: Scene, form: object, refused: str | None) -> None:
    assert callable(form)
    if refused is not None:
        scene.refusal.update(error="invalid_grant", told=refused)
    variables = {"ECAPIPE_JWT_KEY_PASSPHRASE": PASSPHRASE}
    ended = form(*scene.command("--jwt-key-file", scene.key, "--verbose"), at=scene.home, **variables)
    assert ended.status == (0 if refused is None else 1), ended
    scene.check(ended)


def test_key_and_passphrase_come_from_files_that_variables_name(scene: Scene) -> None:
    (scene.home / "passphrase").write_text(PASSPHRASE)
    variables = {
        "ECAPIPE_JWT_KEY_FILE": scene.key,
        "ECAPIPE_JWT_KEY_PASSPHRASE_FILE": str(scene.home / "passphrase"),
        "SF_AUDIENCE_URL": "https://aud.example",
    }
    ended = inside(*scene.command("--flow", "jwt", "--json"), at=scene.home, **variables)
    assert ended.status == 0, ended
    (success,) = ended.result["successes"]
    assert (success["flow"], success["username"]) == ("jwt", ADA)
    (app,) = ended.result["apps"]
    assert app["credentials"]["consumerSecret"]["usable"] is False
    assert ended.outcomes["check Billing"] == "passed"


def test_a_passphrase_is_typed_unseen(scene: Scene) -> None:
    with on_terminal(*scene.command("--jwt-key-file", scene.key), at=scene.home) as screen:
        screen.terminal.expect("Passphrase for .*server.key: ")
        screen.terminal.sendline(PASSPHRASE)
        ended = screen.end()
    assert ended.status == 0, ended
    scene.check(ended)


def test_a_dry_run_shows_the_plan_and_sends_nothing(scene: Scene) -> None:
    variables = {"ECAPIPE_JWT_KEY_PASSPHRASE": PASSPHRASE}
    ended = inside(*scene.command("--jwt-key-file", scene.key, "--dry-run"), at=scene.home, **variables)
    assert ended.status == 0, ended
    for fact in ("jwt", scene.org.url(""), ADA, scene.key):
        assert fact in ended.out
    assert scene.org.seen == []


@pytest.mark.parametrize(
    ("more", "variables"),
    [
        (["--jwt-key-file", "server.key", "--flow", "web"], {}),
        (["--jwt-key-file", "server.key", "--flow", "client-credentials"], {}),
        (["--jwt-key-file", ""], {}),
        (["--flow", "saml"], {}),
        (["--jwt-key-file", "server.key", "--flow", "jwt"], {"SF_AUDIENCE_URL": "login.salesforce.com"}),
    ],
)
def test_what_cannot_be_meant_is_refused(scene: Scene, more: list[str], variables: dict[str, str]) -> None:
    assert inside(*scene.command(*more), at=scene.home, **variables).status == 2
    assert scene.org.seen == []


def test_a_key_in_the_place_of_its_path_is_not_repeated(scene: Scene) -> None:
    ended = inside(*scene.command("--json"), at=scene.home, ECAPIPE_JWT_KEY_FILE=pem(rsa_key()).decode())
    assert [each["name"] for each in ended.result["failures"]] == ["JwtKeyNotPath"]
    scene.check(ended)


@pytest.mark.parametrize("made", ["key", "body", "line", "pipe"])
@pytest.mark.parametrize("form", ["apart", "joined", "twice"])
def test_what_is_no_file_is_neither_repeated_nor_recorded(scene: Scene, tmp_path: Path, made: str, form: str) -> None:
    text = pem(rsa_key()).decode()
    if made == "pipe":
        text = str(tmp_path / "thing.of.no.file")
        os.mkfifo(text)
    given = {"body": "".join(text.splitlines()[1:-1]), "line": text.splitlines()[min(1, text.count(chr(10)))]}.get(
        made, text
    )
    variables = {"ECAPIPE_JWT_KEY_PASSPHRASE": PASSPHRASE}
    flag = {"apart": ["--jwt-key-file", given], "joined": [f"--jwt-key-file={given}"]}.get(
        form, ["--jwt-key-file", given, "--jwt-key-file", scene.key]
    )
    if made == "pipe" and form != "twice":
        pytest.skip("a pipe holds a key as well as a file does: it is read")
    ended = inside(*scene.command(*flag, "--json"), at=scene.home, **variables)
    assert ended.status == 2, ended
    assert [path for path in scene.home.rglob("*.jsonl") if path.is_file()] == []
    scene.check(ended)


def test_a_variable_that_names_no_file_is_not_repeated(scene: Scene) -> None:
    body = "".join(pem(rsa_key()).decode().splitlines()[1:-1])
    ended = inside(*scene.command("--json"), at=scene.home, ECAPIPE_JWT_KEY_FILE=body)
    assert [each["name"] for each in ended.result["failures"]] == ["JwtKeyNotPath"]
    scene.check(ended)


# --- against the emulator, which checks assertions by its own means -----------------------------------------

APPROVED = {"permittedUsersPolicyType": "AdminApprovedPreAuthorized", "commaSeparatedPermissionSet": "Robots"}
SELF = {"permittedUsersPolicyType": "AllSelfAuthorized"}


@pytest.mark.parametrize(
    ("key", "policies", "more", "variables", "problem"),
    [
        ("one", APPROVED, [], {}, None),
        ("one", APPROVED, ["--flow", "jwt"], {"SF_AUDIENCE_URL": "https://login.salesforce.com"}, None),
        ("two", APPROVED, [], {}, "AssertionRefused"),
        ("one", SELF, [], {}, "AssertionNotApproved"),
        ("one", APPROVED, [], {"SF_AUDIENCE_URL": "https://elsewhere.example"}, "AudienceRefused"),
        ("one", APPROVED, [], {"ECAPIPE_CLIENT_ID": trees.key("Other")}, "InvalidClientId"),
    ],
)
def test_an_org_takes_the_key_of_its_certificate(
    tmp_path: Path,
    key: str,
    policies: dict[str, str],
    more: list[str],
    variables: dict[str, str],
    problem: str | None,
) -> None:
    settings = {"certificate": certificate(rsa_key()), "callbackUrl": None, "consumerSecret": None}
    root = trees.plant(tmp_path, trees.project() | trees.app(settings=settings, policies=policies))
    with emulated(root) as emulator:
        where = ["-d", str(root), "-o", f"uat={emulator.urls['uat']}", "--username", "user@uat.example"]
        with_key = ["--jwt-key-file", written(tmp_path, pem(rsa_key(key)))]
        ended = inside("run", *where, *with_key, *more, "--json", at=tmp_path, **variables)
    assert [each["name"] for each in ended.result["failures"]] == ([problem] if problem else [])
    assert [each["username"] for each in ended.result["successes"]] == ([] if problem else ["user@uat.example"])
    assert ended.status == (1 if problem else 0)
