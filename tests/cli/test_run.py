"""``ecapipe run`` as a program: every way through, and how each ends."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import trees
from cli.promises import APP, CREDENTIAL, FAILURE, PROBLEM, PROJECT, RUN, STAGE, SUCCESS
from commandline import SAMPLE, ecapipe, inside, on_terminal, started, together
from fakes.browser import enter
from fakes.scene import PASTED, Scene
from loopback import free_port, request

from ecapipe.emulator.visitor import VisitError
from ecapipe.events import RUN_STAGES


def keys(members: list[dict[str, Any]]) -> list[set[str]]:
    """The different sets of keys that `members` have."""
    return [set(found) for found in dict.fromkeys(frozenset(each) for each in members)]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample project, with callbacks on ports that are free right now."""
    copy = tmp_path_factory.mktemp("sample") / "project"
    shutil.copytree(SAMPLE, copy)
    for port in ("1717", "1718"):
        free = str(free_port())
        for file in copy.rglob("*.ecaGlblOauth-meta.xml"):
            file.write_text(file.read_text().replace(f"http://localhost:{port}/", f"http://localhost:{free}/"))
    return copy


def test_the_sample_project_logs_in_and_says_so_as_promised(sample: Path, tmp_path: Path) -> None:
    ended = ecapipe("run", "--source-dir", str(sample), "--emulator", "--json", at=tmp_path)
    assert (ended.status, ended.err) == (0, "")
    assert list(ended.document) == ["status", "result", "warnings"]
    result = ended.result
    assert set(result) == RUN
    assert result["version"] == 1
    assert result["startedAt"].endswith("Z")
    assert keys(result["projects"]) == [PROJECT]
    assert result["projects"][0]["root"] == str(sample)
    assert keys(result["apps"]) == [APP]
    assert keys([app["credentials"]["consumerKey"] for app in result["apps"]]) == [CREDENTIAL]
    assert keys([app["credentials"]["consumerSecret"] for app in result["apps"]]) == [CREDENTIAL | {"required"}]
    assert keys(result["stages"]) == [STAGE]
    assert keys(result["successes"]) == [SUCCESS]
    assert result["failures"] == []
    logins = {success["app"]: (success["flow"], success["token"]) for success in result["successes"]}
    assert logins == {
        "Billing_Sync": ("web", "forgotten"),
        "Field_Mobile": ("web", "forgotten"),
        "Nightly_Reports": ("client-credentials", "forgotten"),
        "Partner_Portal": ("web", "forgotten"),
    }
    assert ended.outcomes["authorize Nightly_Reports@emulator"] == "skipped"
    skipped = [stage for stage in result["stages"] if stage["outcome"] == "skipped"]
    assert all(stage["reason"] for stage in skipped)


def test_the_sample_project_logs_in_line_by_line(sample: Path, tmp_path: Path) -> None:
    ended = ecapipe("run", "--source-dir", str(sample), "--emulator", at=tmp_path)
    assert (ended.status, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    assert "\r" not in ended.out
    lines = ended.out.splitlines()
    assert lines[0] == "───── Authorizing External Client Apps ─────"
    assert "/4] Partner_Portal@emulator: Successfully authorized " in ended.out
    assert sum(": Successfully authorized " in line for line in lines) == 4
    assert "Status: Succeeded" in lines
    assert len(set(lines)) >= len(lines) - lines.count("") - 12, "nothing but facts is said twice"


def test_a_run_stops_after_the_stage_it_is_told(scene: Scene, tmp_path: Path) -> None:
    names = [stage.name for stage in RUN_STAGES]
    for number, name in enumerate(names, 1):
        before = scene.emulator.requests
        ended = inside(*scene.run("Batch"), "--json", "--until", name, at=tmp_path)
        assert ended.status == 0
        assert [stage["stage"] for stage in ended.result["stages"]] == names[:number]
        users = [success["username"] for success in ended.result["successes"]]
        assert users == {"token": [None], "verify": ["batch@acme.example"]}.get(name, [])
        assert (scene.emulator.requests == before) is (name not in ("token", "verify"))


def test_a_login_comes_back_to_a_port_of_this_machine(scene: Scene, tmp_path: Path) -> None:
    with started(*scene.run("Listener"), "--flow", "web", "--callback", "listen", "-b", "none", at=tmp_path) as run:
        address = scene.sign_in(run.line(scene.url))
        assert request(scene.port, "/favicon.ico").status == 404
        assert request(scene.port, "/OauthRedirect?code=forged&state=forged").status == 400
        page = scene.come_back(address)
        assert "Listener is authorized in uat." in page.text
        ended = run.end()
    assert ended.status == 0
    assert "Listener@uat: Successfully authorized user@uat.example with org ID 00D000000000001EAA (" in ended.out
    link, request_ = ended.err.splitlines()
    assert link.startswith(f"{scene.url}/services/oauth2/authorize?response_type=code&client_id=3MVG9")
    assert request_ == "Sign in to uat and allow Listener: waiting up to 5 minutes for the response."


def test_the_browser_of_the_environment_is_opened(scene: Scene, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    # It is started outside of any project, so it says where to write.
    browser.write_text(
        f'#!/bin/sh\ncd "{tmp_path}"\necho noise; echo noise >&2\n'
        'printf "%s\\n" "$1" > opened.new; mv opened.new opened\n'
    )
    browser.chmod(0o755)
    command = [*scene.run("Listener"), "--flow", "web", "--json"]
    with started(*command, at=tmp_path, BROWSER=str(browser)) as run:
        link = run.line(scene.url)
        run.line("Sign in to uat")
        while not (tmp_path / "opened").exists():
            assert run.process.poll() is None
        address = (tmp_path / "opened").read_text().strip()
        back = scene.sign_in(link)
        # Whoever reads the command line of the browser learns nothing of the login, and is too late to open it.
        assert address.startswith(f"http://localhost:{scene.port}/ecapipe/open/")
        entered = enter(address)
        assert (entered.status, entered.link) == (303, link)
        assert enter(address).status == 410
        for cookie in ("", "ecapipe=1", entered.cookie[:-1]):
            assert enter(back, cookie).status == 403
        assert enter(enter(back, entered.cookie).link).status == 200
        ended = run.end()
    assert ended.status == 0
    assert [success["app"] for success in ended.result["successes"]] == ["Listener"]
    assert "noise" not in ended.err


def test_an_address_is_pasted_and_a_wrong_one_asked_for_again(scene: Scene, tmp_path: Path) -> None:
    with started(*scene.run("Paster"), "--callback", "paste", "--browser", "none", "--json", at=tmp_path) as run:
        address = scene.sign_in(run.line(scene.url))
        run.type("what?")
        run.line("Not a redirect URL or code.")
        run.type(f"{PASTED}?code=forged&state=forged")
        run.line("No sign-in is waiting for this response")
        run.type(f"  {address} ")
        ended = run.end()
    assert address.startswith(f"{PASTED}?code=")
    assert ended.status == 0
    assert [success["username"] for success in ended.result["successes"]] == ["user@uat.example"]


def test_a_bare_code_is_enough_while_one_login_waits(scene: Scene, tmp_path: Path) -> None:
    with started(*scene.run("Paster"), "--callback", "paste", "--browser", "none", at=tmp_path) as run:
        address = scene.sign_in(run.line(scene.url))
        run.type(address.partition("code=")[2].partition("&")[0])
        assert run.end().status == 0


def test_a_denial_is_a_failure_of_people(scene: Scene, tmp_path: Path) -> None:
    command = [*scene.run("Listener"), "--flow", "web", "--browser", "none", "--callback", "listen", "--json"]
    with started(*command, at=tmp_path) as run:
        state = scene.sign_in(run.line(scene.url)).partition("state=")[2]
        denied = f"error=access_denied&error_description=end-user%20denied%20authorization&state={state}"
        page = scene.come_back(f"http://localhost:{scene.port}/OauthRedirect?{denied}")
        assert "Listener was not authorized in uat." in page.text
        ended = run.end()
    assert ended.status == 1
    (failure,) = ended.result["failures"]
    assert keys([failure]) == [FAILURE]
    assert (failure["name"], failure["category"], failure["stage"]) == ("AccessDenied", "people", "authorize")
    assert failure["oauthError"] == "access_denied"
    assert ended.outcomes["token Listener@uat"] == ended.outcomes["verify Listener@uat"] == "skipped"
    problem = next(stage["problem"] for stage in ended.result["stages"] if stage["problem"])
    assert set(problem) == PROBLEM


def test_nobody_who_comes_in_time_leaves_people_to_wait_for(scene: Scene, tmp_path: Path) -> None:
    command = [*scene.run("Listener"), "--flow", "web", "--callback", "listen", "--browser", "none"]
    ended = ecapipe(*command, at=tmp_path, SF_WEB_OAUTH_SERVER_TIMEOUT="300")
    assert ended.status == 69
    assert "Status: Waiting for sign-in" in ended.out
    assert "Error (AuthTimeoutError) Listener@uat: No response arrived for Listener within 1 second." in ended.err
    assert "--callback paste" in ended.err
    for value in ("0", "abc", "99999999999999"):
        assert inside(*command, at=tmp_path, SF_WEB_OAUTH_SERVER_TIMEOUT=value).status == 2
    wins = inside(*command, "--wait", "0.002", "--json", at=tmp_path, SF_WEB_OAUTH_SERVER_TIMEOUT="never")
    assert wins.status == 69
    assert "within 1 second" in wins.result["failures"][0]["message"]


def test_an_org_that_refuses_the_callback_is_a_page_to_look_at(scene: Scene, tmp_path: Path) -> None:
    callback = f"http://localhost:{scene.port}/another"
    files = trees.project() | trees.app("Listener", settings={"callbackUrl": callback})
    other = trees.plant(tmp_path / "project", files)
    command = ["run", "-d", str(other), "-o", f"uat={scene.url}", "--callback", "listen", "--browser", "none"]
    with started(*command, "--wait", "0.005", at=tmp_path) as run:
        with pytest.raises(VisitError, match="redirect_uri_mismatch"):
            scene.sign_in(run.line(scene.url))
        ended = run.end()
    assert ended.status == 69
    assert "OAUTH_EC_APP_NOT_FOUND, invalid_client_id and redirect_uri_mismatch" in ended.err


def test_a_wrong_secret_is_refused_and_some_successes_are_partial(scene: Scene, tmp_path: Path) -> None:
    wrong = {"ECAPIPE_CLIENT_SECRET_ROBOT": "made-up-but-wrong"}
    both = ecapipe(*scene.run("Batch", "Robot"), "--json", at=tmp_path, **wrong)
    one = inside(*scene.run("Robot"), at=tmp_path, **wrong)
    assert both.status == 68
    assert [success["app"] for success in both.result["successes"]] == ["Batch"]
    (failure,) = both.result["failures"]
    assert (failure["app"], failure["name"], failure["category"]) == ("Robot", "InvalidClient", "credentials")
    assert (failure["oauthError"], failure["httpStatus"]) == ("invalid_client", 400)
    assert both.document["warnings"] == []
    assert one.status == 1
    assert "Status: Failed" in one.out
    assert "Error (InvalidClient) Robot@uat: " in one.err
    assert "The secret comes from ECAPIPE_CLIENT_SECRET_ROBOT, the key from " in " ".join(one.err.split())
    assert "made-up-but-wrong" not in both.out + both.err + one.out + one.err


def test_without_people_a_login_that_needs_one_says_what_else_there_is(scene: Scene, tmp_path: Path) -> None:
    ended = inside(*scene.run("Batch", "Listener"), "--json", at=tmp_path)
    assert ended.status == 68
    (failure,) = ended.result["failures"]
    assert (failure["app"], failure["name"]) == ("Listener", "FlowNotPossible")
    assert "no user can sign in here" in failure["message"]
    assert "Its settings allow: web." in failure["message"]


def test_pasting_without_input_waits_for_people(scene: Scene, tmp_path: Path) -> None:
    command = [*scene.run("Paster"), "--flow", "web", "--callback", "paste", "--browser", "none", "--json"]
    for ended in together([command, [*command, "--no-prompt"]], tmp_path):
        assert ended.status == 69
        assert [failure["name"] for failure in ended.result["failures"]] == ["NobodyToAsk"]


def test_a_port_in_use_is_known_before_anyone_signs_in(scene: Scene, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", scene.port)):
        command = [*scene.run("Listener"), "--callback", "listen", "--browser", "none", "--json"]
        ended = inside(*command, at=tmp_path)
    assert (ended.status, ended.err) == (1, "")
    assert [failure["name"] for failure in ended.result["failures"]] == ["PortInUseError"]


def test_a_dry_run_sends_nothing(scene: Scene, tmp_path: Path) -> None:
    before = scene.emulator.requests
    ended = inside(*scene.run(), "--flow", "auto", "--browser", "none", "--dry-run", "--json", at=tmp_path)
    assert scene.emulator.requests == before
    assert ended.status == 0
    assert ended.err == ""
    assert ended.result["successes"] == []
    flows = {
        stage["app"]: stage["facts"]["flow"] for stage in ended.result["stages"] if stage["stage"] == "authorize"
    }
    assert flows == {"Batch": "client-credentials", "Robot": "client-credentials", "Listener": "web", "Paster": "web"}


def test_a_printed_token_stands_alone(scene: Scene, tmp_path: Path) -> None:
    forms = {"value": "", "header": "Authorization: Bearer "}
    for form, prefix in forms.items():
        ended = inside(*scene.run("Batch"), "--print-token", form, at=tmp_path)
        assert ended.status == 0
        assert ended.out.startswith(f"{prefix}00D000000000001!")
        assert ended.out.count("\n") == 1
        token = ended.out.removeprefix(prefix).strip()
        assert token not in ended.err
        assert "Batch@uat: Successfully authorized" in ended.err
        bearer = {"Authorization": f"Bearer {token}"}
        port = int(scene.url.rpartition(":")[2])
        assert '"batch@acme.example"' in request(port, "/services/oauth2/userinfo", headers=bearer).text


def test_a_token_printed_on_a_terminal_has_a_line_of_its_own(scene: Scene, tmp_path: Path) -> None:
    with on_terminal(*scene.run("Batch"), "--print-token", "value", "--no-prompt", at=tmp_path) as terminal:
        said = terminal.end().out
    assert "\x1b[?25l" not in said
    assert len(re.findall(r"^00D000000000001!\S+$", said, re.MULTILINE)) == 1


def test_a_revoked_token_is_dead(scene: Scene, tmp_path: Path) -> None:
    before = len(scene.emulator.requests)
    ended = inside(*scene.run("Batch"), "--revoke", "--json", at=tmp_path)
    assert [success["token"] for success in ended.result["successes"]] == ["revoked"]
    last = scene.emulator.requests[before:][-1]
    assert (last.path, last.parameters, last.status) == ("/services/oauth2/revoke", ("token",), 200)


def test_an_org_comes_from_the_flag_the_environment_or_the_project(scene: Scene, tmp_path: Path) -> None:
    configured = tmp_path / "project"
    shutil.copytree(scene.root, configured)
    file = configured / "sfdx-project.json"
    plugins = f'"plugins": {{"ecapipe": {{"orgs": {{"dev": {{"url": "{scene.url}"}}}}}}}}'
    file.write_text(file.read_text().replace("{", "{" + plugins + ",", 1))
    command = ["run", "--source-dir", str(configured), "--name", "Batch", "--dry-run", "--json"]

    def orgs(*more: str, **variables: str) -> list[str]:
        ended = inside(*command, *more, at=tmp_path, **variables)
        return ended.result["stages"][0]["facts"]["orgs"] if ended.status == 0 else [ended.document["name"]]

    assert orgs() == ["RefusedHost"], "only the tree says where dev is"
    assert orgs(ECAPIPE_ALLOWED_HOSTS="localhost") == ["dev"]
    assert orgs("--allow-host", scene.url.removeprefix("http://"), "-o", "dev") == ["dev"]
    assert orgs(SF_TARGET_ORG=f"ci={scene.url}") == ["ci"]
    assert orgs("--target-org", f"mine={scene.url}", "-o", "dev", SF_TARGET_ORG=f"ci={scene.url}") == ["mine", "dev"]
    assert orgs("--no-project-config") == ["NoOrgChosen"]
    assert orgs(ECAPIPE_NO_PROJECT_CONFIG="1") == ["NoOrgChosen"]
