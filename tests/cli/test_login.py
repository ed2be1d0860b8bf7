"""``run --save`` and ``ecapipe login``: a login that is kept, used by scripts, refreshed, and ended."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import trees
from commandline import Ended, Json, ecapipe, inside, keyring, on_terminal, started, together
from fakes.orgs import emulated
from fakes.scene import PASTED
from loopback import request

from ecapipe.emulator.faults import Do, Fault
from ecapipe.emulator.server import Emulator

ROTATING = {"isRefreshTokenRotationEnabled": "true"}
LASTING = {"commaSeparatedOauthScopes": "Api, Basic, RefreshToken"}


@dataclass(frozen=True)
class Org:
    """A project, an org that knows it, and a home where logins are kept."""

    root: Path
    home: Path
    emulator: Emulator

    @property
    def url(self) -> str:
        return self.emulator.urls["uat"]

    def run(self, app: str, *more: str) -> list[str]:
        return ["run", "-d", str(self.root), "-n", app, "-o", f"uat={self.url}", "--save", "--store", "file", *more]

    def save(self, app: str, *more: str, **variables: str) -> Ended:
        """Keep a login of the app; a person signs in if it takes one."""
        if app == "Robot":
            return ecapipe(*self.run(app, *more), at=self.home, **variables)
        way = ("--flow", "web", "--callback", "paste", "-b", "none")
        with started(*self.run(app, *way, *more), at=self.home, **variables) as run:
            run.type(self.emulator.visit(run.line(self.url)))
            return run.end()

    def login(self, *words: str, **variables: str) -> Ended:
        return inside("login", *words, at=self.home, **variables)

    @property
    def records(self) -> list[Json]:
        """What is kept, with all secrets."""
        return [json.loads(path.read_text()) for path in sorted(self.home.rglob("logins/*.json"))]

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets of the one login that is kept."""
        (record,) = self.records
        return dict(record["secrets"])

    def post(self, path: str, **form: str) -> Any:
        body = "&".join(f"{name}={value}" for name, value in form.items())
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        port = int(self.url.rpartition(":")[2])
        return request(port, f"/services/oauth2/{path}", "POST", body=body, headers=headers)

    def works(self, access_token: str) -> bool:
        port = int(self.url.rpartition(":")[2])
        headers = {"Authorization": f"Bearer {access_token}"}
        return bool(request(port, "/services/oauth2/userinfo", headers=headers).status == 200)

    def end_session(self) -> None:
        """The access token ends, as sessions do; the login does not."""
        assert self.post("revoke", token=self.secrets["accessToken"]).status == 200

    def refreshes(self) -> int:
        """How often the org was asked for a token."""
        return sum(asked.path == "/services/oauth2/token" for asked in self.emulator.requests)


@contextmanager
def known(root: Path, home: Path, *faults: Fault) -> Iterator[Org]:
    home.mkdir(exist_ok=True)
    web = {"callbackUrl": PASTED}
    public = {**web, "isConsumerSecretOptional": "true", "isSecretRequiredForRefreshToken": "false"}
    trees.plant(
        root,
        trees.project()
        | trees.robot()
        | trees.app("Steady", settings=web, oauth=LASTING)
        | trees.app("Rotating", settings={**web, **ROTATING}, oauth=LASTING)
        | trees.app("Public", settings={**public, "consumerSecret": None}, oauth=LASTING)
        | trees.app("Brief", settings=web, oauth={"commaSeparatedOauthScopes": "Api, Basic"}),
    )
    with emulated(root, faults=faults) as emulator:
        yield Org(root, home, emulator)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Org]:
    place = tmp_path_factory.mktemp("kept")
    with known(place / "project", place / "home") as org:
        yield org


@pytest.fixture
def org(scene: Org) -> Org:
    """The org, and a home where nothing is kept yet."""
    shutil.rmtree(scene.home)
    scene.home.mkdir()
    return scene


def test_a_login_is_kept_and_the_output_says_where_and_how_it_ends(org: Org) -> None:
    ended = org.save("Rotating")
    assert ended.status == 0, ended
    place = next(org.home.rglob("logins"))
    assert (
        f"Logins are saved in {place}. ecapipe login list shows them, ecapipe login logout ends them.\n" in ended.out
    )
    assert "These files are not encrypted: anyone who can read your files or a copy can use" in ended.out
    assert "has forgotten" not in ended.out
    assert set(org.secrets) == {"accessToken", "refreshToken", "consumerSecret"}
    assert org.works(org.secrets["accessToken"])


def test_a_kept_login_is_a_saved_success(org: Org) -> None:
    ended = org.save("Robot", "--json")
    (success,) = ended.result["successes"]
    assert (success["token"], success["flow"]) == ("saved", "client-credentials")
    assert set(org.secrets) == {"accessToken", "consumerSecret"}
    stage = next(stage for stage in ended.result["stages"] if stage["stage"] == "verify")
    assert stage["facts"]["kept"].endswith("logins")


def test_a_public_client_keeps_no_secret(org: Org) -> None:
    assert org.save("Public").status == 0
    assert set(org.secrets) == {"accessToken", "refreshToken"}
    assert org.login("refresh").status == 0
    assert org.works(org.secrets["accessToken"])


def test_scopes_bring_a_refresh_token_unless_the_command_line_says_otherwise(org: Org) -> None:
    ended = org.save("Steady", "--scopes", "api")
    assert ended.status == 0
    assert "Warning: Steady@uat: The login is saved, but cannot be refreshed" in ended.err
    assert set(org.secrets) == {"accessToken"}
    refused = org.login("refresh")
    assert (refused.status, "Error (LoginNotRefreshable)" in refused.err) == (1, True)
    assert f"ecapipe run --name Steady --target-org uat={org.url} --save" in refused.err
    assert org.login("token").out.strip() == org.secrets["accessToken"]


def test_an_app_without_the_scope_is_told_before_anybody_signs_in(org: Org) -> None:
    ended = ecapipe(*org.run("Brief", "--flow", "web", "--callback", "paste", "-b", "none"), at=org.home)
    assert (ended.status, "Error (RefreshScopeMissing)" in ended.err) == (1, True)
    assert "/services/oauth2/authorize" not in ended.err
    assert org.save("Brief", "--scopes", "api").status == 0


@pytest.mark.parametrize(
    "flags",
    [
        ["--save", "--print-token", "value"],
        ["--save", "--revoke"],
        ["--save", "--emulator"],
        ["--save", "--until", "token"],
        ["--store", "file"],
        ["--save", "--store", "cloud"],
    ],
)
def test_what_cannot_be_meant_with_save_is_refused(org: Org, flags: list[str]) -> None:
    ended = inside("run", "-d", str(org.root), *flags, at=org.home)
    assert (ended.status, ended.out) == (2, "")
    assert "Error (UsageError)" in ended.err


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_without_a_keyring_nobody_is_asked_to_sign_in(org: Org, more: list[str]) -> None:
    command = ["run", "-d", str(org.root), "-n", "Steady", "-o", org.url, "--save", "-b", "none", "--json", *more]
    before = len(org.emulator.requests)
    ended = ecapipe(*command, at=org.home, PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")
    (failure,) = ended.result["failures"]
    assert (ended.status, failure["name"], failure["stage"]) == (1, "KeyringNotFound", "authorize")
    assert any("--store file" in action for action in failure["actions"])
    assert len(org.emulator.requests) == before


def test_a_dry_run_looks_whether_the_store_is_there(org: Org) -> None:
    ended = inside(*org.run("Robot", "--dry-run"), at=org.home)
    assert ended.status == 0
    assert org.records == []
    (org.home / "blocked").write_text("")
    blocked = inside(*org.run("Robot", "--dry-run"), at=org.home, ECAPIPE_STATE_DIR=str(org.home / "blocked"))
    assert (blocked.status, "Error (StateDirectoryUnusable)" in blocked.err) == (1, True)


def test_a_login_that_cannot_be_kept_is_no_success_and_leaves_no_refresh_token(org: Org) -> None:
    with started(*org.run("Rotating", "--flow", "web", "-b", "none"), at=org.home) as run:
        link = run.line(org.url)
        (logins,) = org.home.rglob("logins")
        logins.rmdir()
        logins.write_text("in the way")
        run.type(org.emulator.visit(link))
        ended = run.end()
    assert (ended.status, "Error (StateDirectoryUnusable)" in ended.err) == (1, True)
    assert "Successfully authorized" not in ended.out
    assert [asked.path for asked in org.emulator.requests][-1] == "/services/oauth2/revoke"


def test_nothing_kept_is_an_empty_list(org: Org) -> None:
    assert org.login("list").out == "No saved logins. To save one: ecapipe run --save\n"
    assert org.login("list", "--json").result == {"version": 1, "logins": []}
    assert list(org.home.rglob("*")) == [], "looking makes nothing"
    for command in ("display", "refresh", "token", "logout"):
        ended = org.login(command)
        assert (ended.status, ended.out) == (2, ""), command
        assert "Error (LoginNotKept): No login is saved." in ended.err


def test_logins_are_listed_and_displayed_without_their_tokens(org: Org) -> None:
    org.save("Steady")
    org.save("Robot")
    values = {value for record in org.records for value in record["secrets"].values()}
    listed = org.login("list", "--json").result["logins"]
    assert [(each["app"], each["username"]) for each in listed] == [
        ("Robot", "robot@acme.example"),
        ("Steady", "user@uat.example"),
    ]
    displayed = org.login("display", "-n", "Steady", "-o", "uat", "--json").result
    assert displayed == {"version": 1, "login": listed[1], "verified": None}
    assert listed[1]["consumerKey"] == f"{trees.key('Steady')[:5]}…{trees.key('Steady')[-4:]}"
    for words in (["list"], ["list", "--verbose"], ["list", "--concise"], ["display", "-n", "Robot", "--verbose"]):
        ended = org.login(*words)
        assert ended.status == 0
        assert not any(value in ended.out + ended.err for value in (*values, trees.key("Steady"))), words
    assert org.login("list", "--concise").out == "Robot@uat: robot@acme.example\nSteady@uat: user@uat.example\n"
    assert [each["app"] for each in org.login("list", "-n", "Robot", "--json").result["logins"]] == ["Robot"]


def test_the_login_that_is_meant_has_to_be_told(org: Org) -> None:
    org.save("Steady")
    org.save("Robot")
    ended = org.login("display")
    assert (ended.status, ended.out) == (2, "")
    assert "Error (LoginAmbiguous): More than one saved login matches: Robot@uat (robot@acme.example, " in ended.err
    mistyped = org.login("token", "-n", "Stedy", "-o", "uta")
    assert (mistyped.status, mistyped.out) == (2, "")
    assert 'Did you mean "Steady"?' in mistyped.err
    assert 'Did you mean "uat"?' in mistyped.err
    host = urlsplit(org.url).netloc
    for name in ("uat", host, org.url, "USER@uat.example"):
        assert org.login("display", "-n", "Steady", "-o", name).status == 0, name


def test_verifying_asks_the_org_and_changes_nothing(org: Org) -> None:
    org.save("Steady")
    before = org.records
    assert "Access token: accepted by the org" in org.login("display", "--verify").out
    org.end_session()
    ended = org.login("display", "--verify", "--json")
    assert (ended.status, ended.result["verified"]) == (1, False)
    assert "ecapipe login refresh" in ended.document["warnings"][0]
    assert org.records == before


@pytest.mark.parametrize("do", [Do(status=429), Do(html=True), Do(wrongUser=True), Do(status=403, html=True)])
def test_an_org_that_says_nothing_of_a_token_has_not_refused_it(tmp_path: Path, do: Do) -> None:
    with known(tmp_path / "project", tmp_path / "home", Fault("*/userinfo", do, after=1)) as org:
        org.save("Robot")
        ended = org.login("display", "--verify")
        assert ended.status == 1
        refused = do.get("status") == 403
        assert ("not accepted" in ended.out) == refused
        assert refused or " Robot@uat: " in ended.err


@pytest.mark.parametrize("over", [False, True])
def test_tokens_that_the_org_does_not_revoke_are_called_ended_only_if_they_are(tmp_path: Path, over: bool) -> None:
    body = {"error": "unsupported_token_type", "error_description": "this token type is not supported"}
    refused = Fault("*/revoke", Do(status=400, body=body), after=int(over))
    with known(tmp_path / "project", tmp_path / "home", refused) as org:
        org.save("Steady")
        if over:
            org.end_session()
        ended = org.login("logout")
        assert (ended.status, "logged out" in ended.out, len(org.records)) == (
            (0, True, 0) if over else (1, False, 1)
        )
        assert over or "still accepts the access token" in ended.err
        assert over or "ecapipe login logout --name Steady --target-org uat" in ended.err


@pytest.mark.parametrize("app", ["Steady", "Rotating", "Robot", "Public"])
def test_a_refresh_keeps_what_the_next_one_needs(org: Org, app: str) -> None:
    org.save(app)
    seen = [org.secrets]
    for _ in range(3):
        ended = org.login("refresh", "--json")
        assert (ended.status, ended.err) == (0, "")
        assert ended.result["login"]["refreshedAt"] >= ended.result["login"]["savedAt"]
        seen.append(org.secrets)
    assert len({each["accessToken"] for each in seen}) == 4
    assert org.works(seen[-1]["accessToken"])
    assert len({each.get("refreshToken") for each in seen}) == (4 if app == "Rotating" else 1)


def test_a_token_stands_alone_and_is_replaced_when_it_is_over(org: Org) -> None:
    org.save("Rotating")
    ended = org.login("token", "--no-prompt")
    assert (ended.status, ended.out, ended.err) == (0, f"{org.secrets['accessToken']}\n", "")
    asked = org.refreshes()
    assert org.login("token", "--header").out == f"Authorization: Bearer {org.secrets['accessToken']}\n"
    assert org.refreshes() == asked, "a token that is good is not replaced"
    before = org.secrets
    org.end_session()
    ended = org.login("token")
    assert (ended.status, ended.out, ended.err) == (0, f"{org.secrets['accessToken']}\n", "")
    assert org.secrets["accessToken"] != before["accessToken"]
    assert org.works(org.secrets["accessToken"])


def test_a_token_is_refused_as_json_and_on_a_terminal(org: Org) -> None:
    org.save("Robot")
    for ended in (org.login("token", "--json"), org.login("token", SF_CONTENT_TYPE="JSON")):
        assert ended.status == 2
        assert json.loads(ended.out)["name"] == "UsageError"
        assert org.secrets["accessToken"] not in ended.out
    with on_terminal("login", "token", at=org.home) as screen:
        refused = screen.end()
    assert refused.status == 2
    assert org.secrets["accessToken"] not in refused.out
    with on_terminal("login", "token", "--no-prompt", at=org.home) as screen:
        assert screen.end().out == f"{org.secrets['accessToken']}\n"


def test_many_scripts_get_one_new_token_from_one_refresh(org: Org) -> None:
    org.save("Rotating")
    org.end_session()
    before = org.refreshes()
    ended = together([["login", "token"]] * 6, at=org.home)
    assert [each.status for each in ended] == [0] * 6, ended
    assert {each.out for each in ended} == {f"{org.secrets['accessToken']}\n"}
    assert org.refreshes() == before + 1
    assert org.works(org.secrets["accessToken"])


def test_parallel_refreshers_of_a_rotating_login_do_not_end_it(org: Org) -> None:
    """An old refresh token, used once, would revoke the login: each takes the newest, after the one before."""
    org.save("Rotating")
    before, first = org.refreshes(), org.secrets
    ended = together([["login", "refresh", "--json"]] * 6, at=org.home)
    assert [each.status for each in ended] == [0] * 6, ended
    assert org.refreshes() == before + 6
    assert org.secrets["refreshToken"] != first["refreshToken"]
    assert org.login("refresh").status == 0
    assert org.works(org.secrets["accessToken"])


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_token_that_is_under_way(tmp_path: Path, by: signal.Signals) -> None:
    """Salesforce has given the old one up by then, and the new one is nowhere else."""
    slow = Fault("/services/oauth2/token", {"delay": 1.5}, after=1)
    with known(tmp_path / "project", tmp_path / "home", slow) as org:
        org.save("Rotating")
        first = org.secrets
        with started("login", "refresh", at=org.home) as running:
            while org.refreshes() < 2:
                assert running.process.poll() is None
            running.interrupt(by)
            ended = running.end()
        assert (ended.status, "Error (Interrupted)" in ended.err) == (130, True)
        assert org.secrets["refreshToken"] != first["refreshToken"]
        assert org.works(org.secrets["accessToken"])


@pytest.mark.parametrize(("fault", "name"), [("wrongOrg", "WrongOrg"), ("wrongUser", "WrongUser")])
def test_a_token_of_somebody_else_is_not_kept(tmp_path: Path, fault: Any, name: str) -> None:
    with known(tmp_path / "project", tmp_path / "home", Fault("*/token", cast(Any, {fault: True}), after=1)) as org:
        org.save("Steady")
        before = org.secrets
        ended = org.login("refresh")
        assert (ended.status, f"Error ({name})" in ended.err) == (1, True), ended.err
        assert org.secrets == before


def test_a_refresh_token_is_never_sent_twice(tmp_path: Path) -> None:
    """An answer that was lost may have ended it: to use it again would revoke the login."""
    lost = Fault("/services/oauth2/token", {"reset": True}, after=1, times=1)
    with known(tmp_path / "project", tmp_path / "home", lost) as org:
        org.save("Steady")
        ended = org.login("refresh")
        assert (ended.status, "Error (ConnectionLost)" in ended.err) == (1, True)
        assert org.refreshes() == 2
        assert org.login("refresh").status == 0, "without rotation nothing is lost"


def test_a_refresh_token_that_is_over_says_how_to_log_in_again(org: Org) -> None:
    org.save("Rotating")
    assert org.post("revoke", token=org.secrets["refreshToken"]).status == 200
    for command in ("refresh", "token"):
        ended = org.login(command)
        assert (ended.status, ended.out) == (1, "")
        assert "Error (LoginExpired) Rotating@uat: " in ended.err
        assert "refused the saved login of Rotating@uat: expired access/refresh token." in ended.err
        assert f"Log in again: ecapipe run --name Rotating --target-org uat={org.url} --save" in ended.err
    assert len(org.records) == 1, "it is kept until somebody ends it"


def test_a_secret_of_the_environment_wins_and_is_kept_from_then_on(org: Org) -> None:
    org.save("Steady")
    wrong = org.login("refresh", ECAPIPE_CLIENT_SECRET_STEADY_UAT="MADE0UP0AND0WRONG0SECRET")
    assert (wrong.status, "Error (InvalidClient)" in wrong.err) == (1, True)
    assert "If it was rotated, set ECAPIPE_CLIENT_SECRET_STEADY_UAT to the new secret" in wrong.err
    assert org.secrets["consumerSecret"] == trees.secret("Steady")
    (path,) = org.home.rglob("logins/*.json")
    record = json.loads(path.read_text())
    del record["secrets"]["consumerSecret"]
    path.write_text(json.dumps(record))
    lacking = org.login("refresh")
    assert (lacking.status, "ECAPIPE_CLIENT_SECRET_STEADY_UAT" in lacking.err) == (1, True)
    assert org.login("refresh", ECAPIPE_CLIENT_SECRET_STEADY=trees.secret("Steady")).status == 0
    assert org.login("refresh").status == 0


@pytest.mark.parametrize("text", ["", "$(SECRET)", "0" * 64])
def test_a_variable_without_a_secret_is_named_and_the_kept_secret_is_sent(org: Org, text: str) -> None:
    org.save("Steady")
    refreshed = org.login("refresh", ECAPIPE_CLIENT_SECRET_STEADY_UAT=text)
    assert refreshed.status == 0
    assert "Warning: ECAPIPE_CLIENT_SECRET_STEADY_UAT " in refreshed.err
    assert org.secrets["consumerSecret"] == trees.secret("Steady")
    (path,) = org.home.rglob("logins/*.json")
    path.write_text(path.read_text().replace(trees.secret("Steady"), "changeme"))
    lacking = org.login("refresh", ECAPIPE_CLIENT_SECRET_STEADY_UAT=text)
    assert (lacking.status, "Error (LoginNotRefreshable)" in lacking.err) == (1, True)
    assert "which was not saved; ECAPIPE_CLIENT_SECRET_STEADY_UAT " in lacking.err


def test_logging_in_again_replaces_the_login(org: Org) -> None:
    org.save("Steady")
    first = org.secrets
    org.save("Steady")
    assert org.secrets["refreshToken"] != first["refreshToken"]


def test_a_logout_revokes_and_forgets(org: Org) -> None:
    org.save("Rotating")
    org.login("refresh")
    gone = org.secrets
    ended = org.login("logout", "--json")
    assert ended.status == 0
    (logout,) = ended.result["logouts"]
    assert (logout["login"]["app"], logout["revoked"], ended.result["failures"]) == ("Rotating", True, [])
    assert any(
        "Salesforce may issue the same access token to several programs" in each
        for each in ended.document["warnings"]
    )
    assert not org.works(gone["accessToken"])
    assert org.records == []
    assert list(next(org.home.rglob("logins")).iterdir()) == []


def test_all_logins_end_at_once_or_those_that_fit(org: Org) -> None:
    for app in ("Steady", "Rotating", "Robot"):
        org.save(app)
    ended = org.login("logout", "--all", "-n", "Steady", "-n", "Robot", "--json")
    assert [each["login"]["app"] for each in ended.result["logouts"]] == ["Robot", "Steady"]
    ended = org.login("logout", "--all")
    assert (ended.status, ended.out) == (0, "Rotating@uat: logged out.\n")
    assert org.login("logout", "--all").out == "No saved logins.\n"


def test_a_login_that_is_over_already_is_forgotten(org: Org) -> None:
    org.save("Rotating")
    assert org.post("revoke", token=org.secrets["refreshToken"]).status == 200
    assert org.login("logout").status == 0
    assert org.records == []


def test_a_refresh_token_that_is_over_leaves_no_access_token_behind(org: Org) -> None:
    org.save("Steady")
    (path,) = org.home.rglob("logins/*.json")
    record = json.loads(path.read_text())
    record["secrets"]["refreshToken"] = "5Aep861" + "made.up" * 10
    path.write_text(json.dumps(record))
    access = org.secrets["accessToken"]
    assert org.login("logout").status == 0
    assert not org.works(access)


def test_offline_a_login_stays_and_the_output_says_what_stays_valid(tmp_path: Path) -> None:
    with known(tmp_path / "project", tmp_path / "home") as org:
        for app in ("Steady", "Robot"):
            org.save(app)
    before = org.records
    ended = org.login("logout", "-n", "Steady")
    assert (ended.status, "Error (NotRevoked)" in ended.err) == (1, True)
    assert "remain valid" in ended.err
    assert "--forget" in ended.err
    every = org.login("logout", "--all", "--json")
    assert (every.status, every.result["logouts"]) == (1, [])
    assert [each["name"] for each in every.result["failures"]] == ["NotRevoked"] * 2
    assert org.records == before
    for command in ("token", "refresh"):
        offline = org.login(command, "-n", "Steady")
        assert (offline.status, offline.out) == (1, "")
        assert "Error (ConnectionFailed)" in offline.err
    assert org.records == before
    forgotten = org.login("logout", "-n", "Steady", "--forget")
    assert (forgotten.status, forgotten.out) == (0, "Steady@uat: forgotten.\n")
    assert "Its tokens remain valid: revoke them in the org" in forgotten.err
    assert [record["members"]["app"] for record in org.records] == ["Robot"]


def test_a_damaged_record_hides_no_other_and_can_be_removed(org: Org) -> None:
    org.save("Robot")
    (good,) = org.home.rglob("logins/*.json")
    bad = good.with_name("0" * 32 + ".json")
    bad.write_text("{")
    listed = org.login("list", "--json")
    assert [each["app"] for each in listed.result["logins"]] == ["Robot"]
    assert any(str(bad) in warning for warning in listed.document["warnings"])
    assert org.login("token").status == 0
    missing = org.login("token", "-n", "Other")
    assert (missing.status, "Error (RecordDamaged)" in missing.err) == (1, True)
    # It may be that of the login, which would be found out only when somebody has signed in.
    asked = len(org.emulator.requests)
    saved = org.save("Robot")
    assert (saved.status, "Error (RecordDamaged)" in saved.err, bad.read_text()) == (1, True, "{")
    assert len(org.emulator.requests) == asked
    removed = org.login("logout", "-n", bad.stem)
    assert (removed.status, bad.name in removed.out + removed.err) == (0, True), removed
    bad.write_text('{"version": 3, "members": {"app": "Robot"}}')
    kept = org.login("logout", "--all", "-n", "Other", "--json")
    assert (kept.document["name"], bad.exists()) == ("LoginNotKept", True), "it says that it is not meant"
    fresh = org.login("refresh", "--all", "--json")
    assert [(each["app"], each["name"]) for each in fresh.result["failures"]] == [(None, "RecordTooNew")]
    ended = org.login("logout", "--all", "--json")
    assert (ended.status, len(ended.result["logouts"])) == (68, 1)
    assert [each["name"] for each in ended.result["failures"]] == ["RecordTooNew"]
    assert bad.exists()
    gone = org.login("logout", "--all", "--forget", "--json")
    assert (gone.status, bad.exists()) == (0, False)
    assert any(str(bad) in warning for warning in gone.document["warnings"])


@pytest.mark.parametrize(
    "change", ["other users can read it", "other users can write to it", "no regular file", "folder"]
)
def test_what_is_not_believed_is_not_used(org: Org, change: str) -> None:
    org.save("Robot")
    (file,) = org.home.rglob("logins/*.json")
    match change:
        case "other users can read it":
            file.chmod(0o644)
        case "other users can write to it":
            file.chmod(0o620)
        case "folder":
            file.parent.chmod(0o777)
        case _:
            file.rename(file.with_suffix(".other"))
            file.symlink_to(file.with_suffix(".other").name)
    ended = org.login("token")
    assert (ended.status, ended.out) == (1, "")
    name = "StateDirectoryUnusable" if change == "folder" else "StateFileRefused"
    assert f"Error ({name})" in ended.err


@pytest.mark.parametrize("place", ["~/state", "state", "./x", "~"])
@pytest.mark.parametrize("command", ["login list", "runs list", "run --dry-run", "app forget-secret X", "app check"])
def test_a_state_directory_that_is_relative_is_refused(tmp_path: Path, place: str, command: str) -> None:
    ended = inside(*command.split(), at=tmp_path, ECAPIPE_STATE_DIR=place)
    assert (ended.status, "Error (StateDirectoryRelative)" in ended.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_login_in_a_keyring_leaves_no_secret_on_disk(org: Org) -> None:
    drawer = org.home.parent / "drawer"
    variables = keyring(drawer)

    def command(*words: str) -> Ended:
        return ecapipe(*words, at=org.home, **variables)

    run = command("run", "-d", str(org.root), "-n", "Robot", "-o", f"uat={org.url}", "--save")
    assert run.status == 0, run
    assert "Logins are saved in the keyring (drawer Shared). ecapipe login list shows them" in run.out
    assert "not encrypted" not in run.out
    token = command("login", "token").out.strip()
    assert org.works(token)
    written = "".join(path.read_text() for path in org.home.rglob("*") if path.is_file())
    assert token not in written
    assert trees.secret("Robot") not in written
    assert command("login", "refresh").status == 0
    assert not any(secret in command("login", "list").out for secret in (token, trees.secret("Robot")))
    unlocked = ecapipe("login", "list", "--json", at=org.home)
    assert unlocked.result["logins"][0]["store"] == "keyring", "the list needs no keyring"
    assert "Error (KeyringNotFound)" in ecapipe("login", "token", at=org.home).err
    assert command("login", "logout").status == 0
    assert ecapipe("login", "list", "--json", at=org.home).result["logins"] == []


def test_all_logins_are_refreshed_and_one_that_fails_leaves_the_others(org: Org) -> None:
    assert org.login("refresh", "--all").out == "No saved logins.\n"
    for app in ("Robot", "Rotating", "Steady"):
        assert org.save(app).status == 0
    assert org.save("Brief", "--scopes", "api").status == 0
    before = {record["members"]["app"]: record["secrets"] for record in org.records}
    everything = org.login("refresh", "--all", "--json")
    assert everything.status == 0
    assert [each["app"] for each in everything.result["logins"]] == ["Robot", "Rotating", "Steady"]
    # It never had a refresh token, which is no failure of those that have one.
    assert "Brief@uat" in everything.document["warnings"][0]
    after = {record["members"]["app"]: record["secrets"] for record in org.records}
    assert after["Rotating"]["refreshToken"] != before["Rotating"]["refreshToken"]
    assert org.post("revoke", token=after["Steady"]["refreshToken"]).status == 200
    partly = org.login("refresh", "--all", "--json")
    assert partly.status == 68
    assert [(each["app"], each["name"]) for each in partly.result["failures"]] == [("Steady", "LoginExpired")]
    assert [each["app"] for each in partly.result["logins"]] == ["Robot", "Rotating"]
    named = org.login("refresh", "--all", "-n", "Brief")
    assert (named.status, "Error (LoginNotRefreshable) Brief@uat: " in named.err) == (1, True)
    assert org.login("refresh", "--all", "-n", "Nobody").status == 2


@pytest.mark.parametrize(
    ("days", "warned"), [(1, None), (22, None), (24, "expires if it is unused by"), (40, "may have")]
)
def test_a_refresh_token_is_said_to_end_unused_and_warned_of_in_its_last_week(
    org: Org, days: int, warned: str | None
) -> None:
    assert org.save("Steady").status == 0
    (path,) = org.home.rglob("logins/*.json")
    record = json.loads(path.read_text())
    used = datetime.now(UTC) - timedelta(days=days)
    path.write_text(json.dumps(record | {"members": record["members"] | {"savedAt": used.isoformat()}}))
    login: Json = {}
    for command in ("list", "display"):
        ended = org.login(command, "--json")
        login = ended.result["login"] if command == "display" else ended.result["logins"][0]
        assert login["lastUsedAt"] == used.isoformat()
        assert login["expiresIfUnusedBy"] == max((used + timedelta(days=30)).date(), date(2026, 11, 4)).isoformat()
        assert [warned in warning for warning in ended.document["warnings"] if warned] == ([True] if warned else [])
        assert bool(ended.document["warnings"]) is (warned is not None)
    assert f"Refresh token: expires if unused by {login['expiresIfUnusedBy']}" in org.login("display").out
    assert login["expiresIfUnusedBy"] in org.login("list").out
    # Using it puts the end off.
    assert org.login("refresh", "--all").status == 0
    assert org.login("list", "--json").document["warnings"] == []
