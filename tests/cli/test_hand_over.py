"""Logins that go over to the Salesforce CLI, and apps that come from it, as people and scripts see it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
import trees
from cli.test_canary import Secrets
from commandline import Ended, ecapipe, on_terminal, started
from fakes.orgs import emulated
from fakes.salesforce_cli import StandIn, login
from render.test_json_schemas import strict

from ecapipe.cli.interrupts import ENDING
from ecapipe.emulator.server import Emulator
from ecapipe.project import metadata

ROBOT = "batch@acme.example"
ALONE = trees.robot("Batch", oauth={"commaSeparatedOauthScopes": "Api, Basic, Web, RefreshToken"})
FORMS = {
    "lines": (),
    "verbose": ("--verbose",),
    "concise": ("--concise",),
    "json": ("--json",),
}


@dataclass
class Scene:
    """A project, an org that speaks https and knows its app, and a Salesforce CLI."""

    home: Path
    org: Emulator
    sf: StandIn
    secrets: Secrets = field(default_factory=Secrets)

    @property
    def url(self) -> str:
        return self.org.urls["uat"]

    @property
    def variables(self) -> dict[str, str]:
        assert self.org.ca_file is not None
        return {"PATH": f"{self.sf.folder}:/usr/local/bin:/usr/bin:/bin", "SSL_CERT_FILE": self.org.ca_file}

    def run(self, *words: str, **variables: str) -> Ended:
        return ecapipe("run", "-d", "project", *words, at=self.home, **{**self.variables, **variables})

    def hand_over(self, *words: str) -> Ended:
        return self.run("--target-org", f"uat={self.url}", "--hand-over", "sf", *words)

    def check(self, ended: Ended) -> None:
        """Nothing secret came out, was written down, or stood where other processes can read it."""
        self.secrets.add(trees.secret("Batch"))
        for call in self.sf.calls:
            if isinstance(call.given, str) and call.given:
                self.secrets.add(call.given)
        told = json.dumps([[call.argv, call.env] for call in self.sf.calls])
        assert self.secrets.heard_in(ended.out, ended.err, told) == set()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    trees.plant(tmp_path / "project", trees.project() | ALONE)
    sf = StandIn(tmp_path / "bin")
    with emulated(tmp_path / "project", tls=True) as org:
        kept = {"username": ROBOT, "orgId": "00D000000000001EAA", "instanceUrl": org.urls["uat"]}
        sf.gives("org login access-token", kept)
        yield Scene(tmp_path, org, sf)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_a_hand_over_tells_what_became_of_the_login_and_nothing_secret(form: tuple[str, ...], scene: Scene) -> None:
    ended = scene.hand_over(*form)
    assert ended.status == 0, ended
    assert len(scene.sf.calls) == 3
    assert scene.sf.calls[-1].given.startswith("00D")
    scene.check(ended)
    if form == ("--json",):
        strict("run").validate(ended.document)
        (success,) = ended.result["successes"]
        assert (success["token"], success["username"]) == ("handedOver", ROBOT)
        assert ended.outcomes["hand-over Batch@uat"] == "passed"
    else:
        assert "Without a refresh token, the Salesforce CLI received only an access token" in ended.out
        assert "The access tokens weren't stored" not in ended.out


@pytest.mark.parametrize("echo", ["{}", "{}@acme.example", "a\x1b[2Jb", "a" * 300])
def test_what_the_cli_calls_a_user_is_no_secret_and_no_text_of_any_kind(echo: str, scene: Scene) -> None:
    scene.hand_over()
    token = scene.sf.calls[-1].given.strip()
    answer = {"orgId": "00D000000000001EAA", "instanceUrl": scene.url}
    # The Salesforce CLI asks the org, which has heard the token.
    for user in {echo.format(token), echo.format(trees.secret("Batch").lower())}:
        scene.sf.gives("org login access-token", {**answer, "username": user})
        ended = scene.hand_over("--json")
        assert [each["name"] for each in ended.result["failures"]] == ["SfFailed"]
        recorded = "".join(file.read_text() for file in scene.home.rglob("*.jsonl"))
        assert json.dumps(user)[1:-1].removesuffix("@acme.example") not in ended.out + ended.err + recorded


def test_the_display_shows_the_stage(scene: Scene) -> None:
    command = ("run", "-d", "project", "--target-org", f"uat={scene.url}", "--hand-over", "sf")
    with on_terminal(*command, at=scene.home, **cast(Any, scene.variables)) as screen:
        ended = screen.end()
    assert ended.status == 0
    assert "Handing over to Salesforce CLI" in ended.out
    scene.check(ended)


def test_a_hand_over_that_fails_is_told_with_a_way_out_and_nothing_secret(scene: Scene) -> None:
    scene.sf.fails("org login access-token", "AuthCodeUsernameRetrievalError", "Due to: fetch failed", 10)
    scene.check(scene.hand_over())
    ended = scene.hand_over("--json")
    scene.check(ended)
    assert ended.status == 1
    strict("run").validate(ended.document)
    (failure,) = ended.result["failures"]
    assert (failure["stage"], failure["name"], failure["category"]) == ("hand-over", "SfUnreachable", "network")
    assert (failure["host"], failure["retryable"]) == (scene.url.removeprefix("https://"), True)
    assert any("NODE_EXTRA_CA_CERTS" in action for action in failure["actions"])


def test_an_error_that_quotes_the_token_is_struck_out(scene: Scene) -> None:
    token = "00D000000000001!" + "A.b_" * 20
    scene.sf.fails("org login access-token", "2", f"Unexpected argument: {token}")
    ended = scene.hand_over()
    assert ended.status == 1
    assert "Unexpected argument: [REDACTED]" in ended.err


def test_a_dry_run_looks_whether_there_is_a_salesforce_cli_and_gives_it_nothing(scene: Scene) -> None:
    assert scene.hand_over("--dry-run").status == 0
    assert [call.command for call in scene.sf.calls] == ["version", "org list auth"]
    (scene.sf.folder / "sf").unlink()
    ended = scene.hand_over("--dry-run", "--json")
    assert (ended.status, ended.document["name"]) == (1, "SfNotFound")
    strict("error").validate(ended.document)


def test_the_token_of_a_run_is_only_in_the_pipe(scene: Scene) -> None:
    scene.hand_over()
    token = scene.sf.calls[-1].given
    files = [path for path in scene.home.rglob("*") if path.is_file() and "calls" not in path.parts]
    assert [path for path in files if token.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("by", ENDING)
def test_an_interrupt_lets_a_hand_over_that_has_begun_end(scene: Scene, by: signal.Signals) -> None:
    kept = {"username": ROBOT, "orgId": "00D000000000001EAA", "instanceUrl": scene.url}
    scene.sf.gives("org login access-token", kept, seconds=1.5)
    command = ("run", "-d", "project", "--target-org", f"uat={scene.url}", "--hand-over", "sf")
    with started(*command, "--json", at=scene.home, **scene.variables) as running:
        while not (scene.sf.folder / "begun").exists():
            time.sleep(0.01)
        running.interrupt(by)
        ended = running.end()
    assert ended.status == 130
    assert ended.outcomes["hand-over Batch@uat"] == "passed"
    assert [call.command for call in scene.sf.calls][-1] == "org login access-token"


# --- retrieve ---


def retrieved(name: str) -> dict[str, str]:
    return {path: str(content) for path, content in trees.robot(name).items()}


def test_from_nothing_to_a_verified_token_in_one_command(scene: Scene) -> None:
    scene.sf.keeps(login("uat", url=scene.url))
    scene.sf.says("project retrieve start", "▶ Sending request to org…\n", files=retrieved("Batch"))
    for path in (scene.home / "project").rglob("*.xml"):
        path.unlink()
    ended = scene.run("--retrieve", "--target-org", "uat")
    assert ended.status == 0, ended
    assert "Salesforce CLI: Sending request to org" in ended.err
    assert f"Batch@uat: Successfully authorized {ROBOT}" in ended.out
    (call,) = [call for call in scene.sf.calls if call.command == "project retrieve start"]
    assert call.argv == [
        "project", "retrieve", "start", *(f"--metadata={type.name}" for type in metadata.TYPES),
        "--target-org=uat@acme.example",
    ]  # fmt: skip
    assert call.cwd == str(scene.home / "project")
    scene.check(ended)


def test_the_default_org_of_the_salesforce_cli_is_retrieved_from(scene: Scene) -> None:
    scene.sf.keeps(login("other"), login("uat", url=scene.url))
    scene.sf.says("project retrieve start", files=retrieved("New"))
    settings = scene.home / "project/.sf/config.json"
    settings.parent.mkdir()
    settings.write_text('{"target-org": "uat"}', encoding="utf-8")
    ended = scene.run("--retrieve", "--until", "check", "--json")
    assert [app["name"] for app in ended.result["apps"]] == ["Batch", "New"]
    assert scene.sf.calls[-1].argv[-1] == "--target-org=uat@acme.example"


def test_an_org_that_the_salesforce_cli_does_not_know_is_named(scene: Scene) -> None:
    scene.sf.keeps(login("uat"))  # at another address
    ended = scene.run("--retrieve", "--target-org", f"uat={scene.url}", "--json")
    assert (ended.status, ended.document["name"]) == (1, "SfLoginMissing")
    assert any(f"--instance-url {scene.url}" in action for action in ended.document["actions"])
    assert [call.command for call in scene.sf.calls] == ["org list auth"]


def test_a_retrieve_that_fails_ends_the_run_with_its_own_words(scene: Scene) -> None:
    scene.sf.keeps(login("uat", url=scene.url))
    scene.sf.says(
        "project retrieve start", "", "Error (1): INVALID_TYPE: Unknown type.\n\nTry this:\n\nx\n", status=1
    )
    ended = scene.run("--retrieve", "--target-org", "uat", "--json")
    assert (ended.status, ended.document["name"]) == (1, "SfFailed")
    assert "INVALID_TYPE: Unknown type." in ended.document["message"]


def test_hostile_words_of_a_retrieve_are_made_harmless(scene: Scene) -> None:
    scene.sf.keeps(login("uat", url=scene.url))
    scene.sf.says("project retrieve start", "▶ \x1b]0;owned\x07::error::x…\n", "Warning: \x1b[2Jgone\n")
    ended = scene.run("--retrieve", "--target-org", "uat", "--until", "discover")
    assert ended.status == 0
    assert "\x1b" not in ended.out + ended.err
    assert "gone" in ended.out + ended.err


def test_a_retrieve_needs_a_project(scene: Scene) -> None:
    scene.sf.keeps(login("uat", url=scene.url))
    bare = scene.home / "bare"
    trees.plant(bare, ALONE)
    ended = ecapipe("run", "-d", "bare", "--retrieve", "-o", "uat", "--json", at=scene.home, **scene.variables)
    assert (ended.status, ended.document["name"]) == (1, "RequiresProjectError")
