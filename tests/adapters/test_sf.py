"""The Salesforce CLI as ecapipe calls it, tried on a stand-in that records what it was asked."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trees
from fakes import salesforce_cli
from fakes.salesforce_cli import StandIn, login
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.adapters import composition
from ecapipe.adapters import salesforce_cli_answers as answers
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.salesforce_cli import Sf
from ecapipe.adapters.salesforce_cli_answers import SfError
from ecapipe.adapters.salesforce_cli_process import SfProgram
from ecapipe.login.handover import Handover
from ecapipe.login.salesforce_cli import SfVersion
from ecapipe.orgs.org import Address, Org
from ecapipe.orgs.sf_logins import SfLogin
from ecapipe.problems.oauth import invalid_client, invalid_client_id
from ecapipe.problems.problem import EcapipeError, Kind, Problem
from ecapipe.problems.salesforce_cli import (
    alias_taken,
    sf_config_unreadable,
    sf_failed,
    sf_login_missing,
    sf_not_found,
    sf_refresh_refused,
    sf_timed_out,
    sf_too_old,
    sf_unreachable,
    sf_username_taken,
)
from ecapipe.secret import Secret

REFRESH = "5Aep861made-up.refresh.token"
TOKEN = "00D000000000001!made.up.access.token"
URL = f"force://{trees.key('Billing')}:{trees.secret('Billing')}:{REFRESH}@acme.my.salesforce.com"
LOGGED_IN = {
    "username": "ada@acme.example",
    "orgId": "00D000000000001EAA",
    "instanceUrl": "https://acme.my.salesforce.com/",
    "accessToken": "[REDACTED]",
}
SECRETS = (trees.secret("Billing"), REFRESH, TOKEN)


@pytest.fixture
def standin(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path / "bin")


def made(standin: StandIn, windows: bool = False, **variables: str) -> Sf:
    here = str(standin.folder)
    usual = {"PATH": here, "HOME": here, "ECAPIPE_STATE_DIR": f"{here}/state"}
    return Sf(Environment({**usual, **variables}), windows=windows)


def handover(*, lasting: bool = True, alias: str | None = "uat", default: bool = False) -> Handover:
    return Handover(
        Secret(URL if lasting else TOKEN),
        lasting,
        "ada@acme.example",
        "00D000000000001EAA",
        Org(Address("https://acme.my.salesforce.com", "acme.my.salesforce.com", "user"), alias),
        default,
        tuple(Secret(value) for value in SECRETS),
    )


def failing(act: Any, *arguments: Any) -> Problem:
    with pytest.raises(EcapipeError) as caught:
        act(*arguments)
    return caught.value.problem


# --- the program and its environment ---


def test_nothing_is_started_before_something_is_asked(standin: StandIn) -> None:
    composition.real_world(Environment({"PATH": str(standin.folder)}))
    assert made(standin).default_org(None) is None
    assert standin.calls == []


@pytest.mark.parametrize("path", ["", "relative", ".", os.pathsep])
def test_only_the_absolute_folders_of_path_are_searched(
    path: str, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(standin.folder)
    (standin.folder / "relative").mkdir()
    (standin.folder / "relative/sf").write_bytes((standin.folder / "sf").read_bytes())
    problem = failing(Sf(Environment({"PATH": path})).logins)
    assert (problem.kind, "sf org list auth" in problem.message) == (sf_not_found, True)


def test_what_cannot_be_run_is_passed_over(standin: StandIn, tmp_path: Path) -> None:
    first = tmp_path / "first"
    (first / "sf").mkdir(parents=True)
    second = tmp_path / "second"
    second.mkdir()
    (second / "sf").write_text("no program", encoding="utf-8")
    path = os.pathsep.join([str(first), str(second), str(standin.folder)])
    assert Sf(Environment({"PATH": path})).logins() == ()


def test_a_program_that_does_not_start_is_a_problem(tmp_path: Path) -> None:
    program = tmp_path / "sf"
    program.write_text("#!/nowhere/node\n", encoding="utf-8")
    program.chmod(0o755)
    assert failing(Sf(Environment({"PATH": str(tmp_path)})).logins).kind is sf_failed


def test_its_environment_is_prepared(standin: StandIn) -> None:
    made(
        standin,
        FORCE_COLOR="1",
        SF_TEMP_SHOW_SECRETS="true",
        SFDX_TEMP_SHOW_SECRETS="true",
        SF_ACCESS_TOKEN="made-up",
        SFDX_ACCESS_TOKEN="made-up",
        SF_CONTENT_TYPE="JSON",
        SFDX_ENV="demo",
        ECAPIPE_CLIENT_SECRET_BILLING="made-up",
        ECAPIPE_STATE_DIR="/nowhere",
        SF_USE_GENERIC_UNIX_KEYCHAIN="true",
        NODE_EXTRA_CA_CERTS="/ca.pem",
    ).logins()
    (call,) = standin.calls
    assert call.argv == ["org", "list", "auth", "--json"]
    given = {name: value for name, value in call.env.items() if name not in ("LC_CTYPE", "PATH", "HOME")}
    assert given == {
        "NO_COLOR": "1",
        "SF_AUTOUPDATE_DISABLE": "true",
        "SF_DISABLE_AUTOUPDATE": "true",
        "SF_SKIP_NEW_VERSION_CHECK": "true",
        "SF_USE_GENERIC_UNIX_KEYCHAIN": "true",
        "NODE_EXTRA_CA_CERTS": "/ca.pem",
    }


@pytest.mark.parametrize("name", ["sf.cmd", "SF.CMD", "own.bat"])
def test_a_name_that_cmd_would_read_otherwise_is_not_handed_to_a_batch_file(name: str, standin: StandIn) -> None:
    (standin.folder / "sf").rename(standin.folder / name)
    standin.keeps(login("a&calc"), login("plain"))
    standin.gives("org auth show-access-token", {"accessToken": TOKEN})
    sf = made(standin, windows=True, ECAPIPE_SF=str(standin.folder / name))
    assert "cmd.exe" in failing(sf.access_token, "a&calc").message
    assert sf.access_token("plain")[0].reveal() == TOKEN
    assert [call.command for call in standin.calls] == ["org list auth", "org auth show-access-token"]


# --- version ---


def installed(root: Path, **cores: str) -> Path:
    """The folders of an installation; `cores` are versions of sfdx-core, by the plugin that has its own."""
    for plugin, version in cores.items():
        inside = "" if plugin == "core" else f"{plugin.replace('_', '-')}/node_modules/@salesforce/"
        place = root / "node_modules/@salesforce" / f"{inside}core/package.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps({"version": version}), encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("cores", "found", "loses"),
    [
        ({"core": "9.4.0"}, "9.4.0", False),
        ({"core": "9.2.0"}, "9.2.0", False),
        ({"core": "9.1.7"}, "9.1.7", True),
        ({"core": "10.0.0-beta.1"}, "10.0.0", False),
        ({"core": "9.4.0", "plugin_auth": "8.32.6"}, "8.32.6", True),
        ({"core": "newest"}, None, False),
        ({}, None, False),
    ],
)
def test_the_version_of_its_core_is_looked_up(
    cores: dict[str, str], found: str | None, loses: bool, standin: StandIn, tmp_path: Path
) -> None:
    root = tmp_path / "lib/node_modules/@salesforce/cli"
    root.mkdir(parents=True)
    installed(root, **cores)
    standin.says("version", json.dumps({**salesforce_cli.VERSION, "rootPath": str(root)}))
    version = made(standin).version()
    assert (version, version.loses_rotated_tokens) == (SfVersion("2.150.6", found), loses)


def test_a_core_beside_it_is_found_as_node_finds_it(standin: StandIn, tmp_path: Path) -> None:
    installed(tmp_path / "lib", core="9.1.4")
    root = tmp_path / "lib/node_modules/@salesforce/cli"
    root.mkdir()
    standin.says("version", json.dumps({**salesforce_cli.VERSION, "rootPath": str(root)}))
    assert made(standin).version().core == "9.1.4"


@pytest.mark.parametrize("version", ["2.136.7", "2.99.99", "1.86.3"])
def test_one_that_lacks_a_command_is_too_old(version: str, standin: StandIn) -> None:
    standin.says("version", json.dumps({"cliVersion": f"@salesforce/cli/{version}"}))
    problem = failing(made(standin).version)
    assert (problem.kind, version in problem.message, "2.136.8" in problem.message) == (sf_too_old, True, True)


@pytest.mark.parametrize("answer", ['{"cliVersion": "sfdx-cli/7.209.6"}', "siegfried 1.11.0", "", "[1]", '{"a": 1}'])
def test_another_program_called_sf_is_told(answer: str, standin: StandIn) -> None:
    standin.says("version", answer)
    assert failing(made(standin).version).kind is sf_failed


def test_it_is_asked_for_its_version_once(standin: StandIn) -> None:
    sf = made(standin)
    assert sf.version() is sf.version()
    assert len(standin.calls) == 1


# --- its JSON ---


@pytest.mark.parametrize(
    "noise",
    [
        "%s",
        "Warning: a plugin speaks.\n%s",
        "{ not json\n%s\n(node:1) Warning: {more}\n",
        '{"of": "another tool"}\n%s',
        "\x1b[1m\x1b[31m%s\x1b[39m\n",
        "  %s",
    ],
)
def test_its_json_is_found_among_noise(noise: str, standin: StandIn) -> None:
    listing = json.dumps({"status": 0, "result": [login("a,b")], "warnings": []}, indent=2)
    standin.says("org list auth", noise % listing)
    assert made(standin).logins() == (
        SfLogin(
            "a,b@acme.example",
            "00D000000000001EAA",
            "https://acme--a,b.sandbox.my.salesforce.com",
            ("a", "b"),
            method="web",
        ),
    )


@pytest.mark.parametrize("out", ["", "no json", "[]", '{"result": []}', '{"status": "0", "result": []}', "{" * 5000])
def test_what_is_no_answer_of_it_is_a_problem(out: str, standin: StandIn) -> None:
    standin.says("org list auth", out, "segmentation fault\n", status=139)
    problem = failing(made(standin).logins)
    assert (problem.kind, "139" in problem.message, "segmentation fault" in problem.message) == (
        sf_failed,
        True,
        True,
    )


@given(st.text(), st.text())
def test_any_error_has_a_way_out_and_no_secret(name: str, text: str) -> None:
    secrets = tuple(Secret(value) for value in SECRETS)
    problem = answers.problem(SfError(name, f"{text}{URL}{text}"), ("org", "login", "sfdx-url"), "uat", secrets)
    assert problem.actions
    assert [secret for secret in SECRETS if secret in repr(problem)] == []
    assert "\n" not in problem.message


@given(st.text())
def test_any_output_is_an_answer_or_none(text: str) -> None:
    found = answers.document(text)
    assert found is None or isinstance(found["status"], int)


def test_logins_that_are_broken_are_left_out(standin: StandIn) -> None:
    whole = login("uat", url="https://acme.my.salesforce.com/")
    broken: list[Any] = [{**whole, "instanceUrl": None}, {"username": "x@y.z", "error": "no key"}, 7, None]
    standin.keeps(*broken, {**whole, "alias": None}, whole)  # type: ignore[dict-item]
    bare, named = made(standin).logins()
    assert (bare.aliases, named.aliases, named.instance_url) == ((), ("uat",), "https://acme.my.salesforce.com")


@pytest.mark.parametrize("listed", [True, False])
def test_a_name_of_a_login_that_is_broken_or_gone_is_not_given_away(listed: bool, standin: StandIn) -> None:
    broken: Any = {"alias": "uat", "username": "bob@acme.example", "error": "bad"}
    standin.keeps(*([broken] if listed else [login("other")]))
    if not listed:
        place = standin.folder / ".sfdx"
        place.mkdir()
        (place / "alias.json").write_text('{"orgs": {"uat": "bob@acme.example"}}', encoding="utf-8")
    sf = Sf(Environment({"PATH": str(standin.folder), "HOME": str(standin.folder)}))
    assert all(kept.whole for kept in sf.logins())
    assert [kept.username for kept in sf.named() if "uat" in kept.aliases] == ["bob@acme.example"]
    assert failing(sf.log_in, handover()).kind is alias_taken
    assert [call.command for call in standin.calls] == ["org list auth"]


def test_one_that_takes_too_long_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    program, mark = tmp_path / "sf", tmp_path / "mark"
    program.write_text(f"#!/bin/sh\necho started\n(sleep 2; touch {mark}) & wait\n", encoding="utf-8")
    program.chmod(0o755)
    environment = Environment({"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"})
    begun = time.monotonic()
    problem = failing(lambda: SfProgram(environment, windows=False).run(["org", "list", "auth"], limit=1))
    assert (problem.kind, time.monotonic() - begun < 1.9) == (sf_timed_out, True)
    time.sleep(max(0, begun + 2.3 - time.monotonic()))
    assert not mark.exists()


INTERRUPTED = """
import os, sys
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.salesforce_cli_process import SfProgram
program = SfProgram(Environment(dict(os.environ)), windows=False)
try:
    program.run(["org", "list"], limit=60, on_line=lambda line: print(line, end="", flush=True))
except KeyboardInterrupt:
    sys.exit(7)
"""


def test_an_interrupt_ends_it_too(tmp_path: Path) -> None:
    program = tmp_path / "sf"
    program.write_text("#!/bin/sh\nsleep 60 &\necho $!\nwait\n", encoding="utf-8")
    program.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 7
    until = time.monotonic() + 5
    while time.monotonic() < until and " Z " not in _stat(child):
        time.sleep(0.01)
    assert " Z " in _stat(child)


def _stat(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return " Z "


# --- configuration files ---


def settings(folder: Path, content: str | bytes | dict[str, object], place: str = ".sf/config.json") -> Path:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content) if isinstance(content, dict) else content
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_the_default_org_is_the_projects_then_the_users(tmp_path: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    sf = Sf(Environment({"HOME": str(home)}))
    assert sf.default_org(str(project)) is None
    settings(home, {"defaultusername": "oldest"}, ".sfdx/sfdx-config.json")
    assert sf.default_org(str(project)) == ("oldest", "salesforceCli")
    settings(home, {"target-org": "mine"})
    assert sf.default_org(str(project)) == ("mine", "salesforceCli")
    settings(project, {"defaultusername": "old"}, ".sfdx/sfdx-config.json")
    assert sf.default_org(str(project)) == ("old", "tree")
    settings(project, {"target-org": "ours"})
    assert sf.default_org(str(project)) == ("ours", "tree")
    assert sf.default_org(None) == ("mine", "salesforceCli")


@pytest.mark.parametrize("content", [b"", b"{}", b'{"target-org": ""}', b'{"target-org": null}', b'{"x": 1}'])
def test_a_file_without_a_default_org_says_nothing(content: bytes, tmp_path: Path) -> None:
    settings(tmp_path, content)
    assert Sf(Environment({"HOME": str(tmp_path)})).default_org(None) is None


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"\xff\xfe{}",
        b'{"target-org": 7}',
        b'{"target-org": ["a"]}',
        b'{"target-org": "\\u001b[31ma"}',
        b'{"target-org": "%s"}' % (b"a" * 201),
        b"[" * 100_000,
        b" " * (1024 * 1024 + 1),
    ],
    ids=str,
)
def test_a_hostile_or_broken_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = settings(tmp_path, content)
    problem = failing(Sf(Environment({"HOME": str(tmp_path)})).default_org, None)
    assert (problem.kind, problem.file) == (sf_config_unreadable, str(path))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / ".sf").mkdir()
    os.mkfifo(tmp_path / ".sf/config.json")
    sf = Sf(Environment({"HOME": str(tmp_path)}))
    assert failing(sf.default_org, None).kind is sf_config_unreadable
    (tmp_path / ".sf/config.json").unlink()
    (tmp_path / ".sf/config.json").mkdir()
    assert failing(sf.default_org, None).kind is sf_config_unreadable


def test_a_file_where_a_folder_should_be_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / ".sf").write_text("", encoding="utf-8")
    assert Sf(Environment({"HOME": str(tmp_path)})).default_org(None) is None


# --- tokens that it keeps ---


@pytest.mark.parametrize("name", ["uat", "second", "uat@acme.example"])
def test_an_access_token_is_fetched_by_alias_or_username(name: str, standin: StandIn) -> None:
    standin.keeps({**login("uat"), "alias": "uat,second"}, login("other"))
    standin.gives("org auth show-access-token", {"accessToken": TOKEN})
    token, url = made(standin).access_token(name)
    assert (token.reveal(), url) == (TOKEN, "https://acme--uat.sandbox.my.salesforce.com")
    assert standin.calls[-1].argv == ["org", "auth", "show-access-token", f"--target-org={name}", "--json"]


def test_a_login_that_is_not_there_is_not_asked_for(standin: StandIn) -> None:
    standin.keeps(login("uat"))
    problem = failing(made(standin).access_token, "uta")
    assert (problem.kind, problem.actions[0]) == (sf_login_missing, 'Did you mean "uat"?')
    assert len(standin.calls) == 1


@pytest.mark.parametrize("result", [{}, {"accessToken": ""}, {"accessToken": "[REDACTED] Use sf"}, [], None])
def test_a_placeholder_is_no_token(result: object, standin: StandIn) -> None:
    standin.keeps(login("uat"))
    standin.gives("org auth show-access-token", result)
    assert failing(made(standin).access_token, "uat").kind is sf_failed


def test_an_old_one_that_does_not_know_the_command_is_too_old(standin: StandIn) -> None:
    standin.keeps(login("uat"))
    said = " ›   Warning: org auth show-access-token is not a sf command.\n ›   Error: Run sf help org\n"
    standin.says("org auth show-access-token", "", said, status=127)
    assert failing(made(standin).access_token, "uat").kind is sf_too_old


# --- the hand-over ---


def test_a_lasting_login_is_piped_as_a_file(standin: StandIn) -> None:
    standin.gives("org login sfdx-url", LOGGED_IN)
    kept = made(standin).log_in(handover(default=True))
    assert kept == SfLogin("ada@acme.example", "00D000000000001EAA", "https://acme.my.salesforce.com", ("uat",))
    call = standin.calls[-1]
    assert call.argv == [
        "org", "login", "sfdx-url", "--sfdx-url-file=/dev/stdin", "--alias=uat", "--set-default", "--json",
    ]  # fmt: skip
    assert call.given == URL
    shut_in(call)


def test_a_login_without_refresh_token_is_piped_as_an_access_token(standin: StandIn) -> None:
    standin.gives("org login access-token", LOGGED_IN)
    kept = made(standin).log_in(handover(lasting=False, alias=None))
    assert (kept.username, kept.aliases) == ("ada@acme.example", ())
    call = standin.calls[-1]
    assert call.argv == [
        "org", "login", "access-token", "--instance-url=https://acme.my.salesforce.com", "--json",
    ]  # fmt: skip
    assert call.given == TOKEN
    shut_in(call)


def shut_in(call: salesforce_cli.Call) -> None:
    """Nothing secret is where other processes, or other users, could read it."""
    seen = json.dumps([call.argv, call.env])
    assert [secret for secret in (*SECRETS, trees.key("Billing")) if secret in seen] == []


@pytest.mark.parametrize("fails", [False, True])
def test_on_windows_it_is_a_private_file_that_is_gone_afterwards(fails: bool, standin: StandIn) -> None:
    (standin.folder / "sf").rename(standin.folder / "sf.cmd")
    standin.gives("org login sfdx-url", LOGGED_IN)
    if fails:
        standin.fails("org login sfdx-url", "RefreshTokenAuthError", "due to: invalid client credentials")
        failing(made(standin, windows=True).log_in, handover())
    else:
        made(standin, windows=True).log_in(handover())
    call = standin.calls[-1]
    assert call.given == {"file": URL, "mode": 0o600}
    (path,) = [word.partition("=")[2] for word in call.argv if word.startswith("--sfdx-url-file=")]
    assert not Path(path).exists()
    shut_in(call)


def test_logins_are_handed_over_one_at_a_time(standin: StandIn) -> None:
    standin.gives("org login sfdx-url", LOGGED_IN, seconds=0.1)
    sf = made(standin)
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda number: sf.log_in(handover(alias=f"org{number}")), range(5)))
    calls = sorted(standin.calls, key=lambda call: call.start)[1:]
    assert len(calls) == 5
    assert all(one.end <= next.start for one, next in itertools.pairwise(calls))


def test_several_ecapipes_take_turns(standin: StandIn) -> None:
    standin.gives("org login sfdx-url", LOGGED_IN, seconds=0.1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: made(standin).log_in(handover(alias=f"org{number}")), range(4)))
    given = [call for call in standin.calls if "login" in call.command]
    calls = sorted(given, key=lambda call: call.start)
    assert len(calls) == 4
    assert all(one.end <= next.start for one, next in itertools.pairwise(calls))


def test_without_a_place_for_a_lock_a_login_is_handed_over_all_the_same(standin: StandIn) -> None:
    standin.gives("org login sfdx-url", LOGGED_IN)
    place = standin.folder / "taken"
    place.write_text("", encoding="utf-8")
    assert made(standin, ECAPIPE_STATE_DIR=str(place)).log_in(handover()).username == "ada@acme.example"


def test_what_it_was_given_counts_as_kept_and_is_not_asked_again(standin: StandIn) -> None:
    standin.keeps(login("old", "ada@acme.example"), login("other"))
    standin.gives("org login sfdx-url", LOGGED_IN)
    sf = made(standin)
    sf.log_in(handover())
    assert [kept.aliases for kept in sf.logins()] == [("other",), ("uat",)]
    assert len(standin.calls) == 2


def test_who_was_logged_in_while_somebody_signed_in_counts(standin: StandIn) -> None:
    sf = Sf(Environment({"PATH": str(standin.folder), "HOME": str(standin.folder)}), fresh=0.0)
    assert sf.logins() == ()
    standin.keeps(login("uat", "bob@acme.example", "00D000000000002EAA"))
    assert failing(sf.log_in, handover()).kind is alias_taken
    assert [call.command for call in standin.calls] == ["org list auth"] * 2


def test_an_alias_of_another_org_is_only_taken_if_that_is_wanted(standin: StandIn) -> None:
    standin.keeps(login("uat", "bob@acme.example", "00D000000000002EAA"))
    standin.gives("org login sfdx-url", LOGGED_IN)
    wanted = replace(handover(), replace_alias=True)
    for refused in (handover(), wanted):
        assert failing(made(standin).log_in, refused).kind is alias_taken
    assert {call.command for call in standin.calls} == {"org list auth"}
    made(standin).log_in(replace(wanted, org=replace(wanted.org, paired_by="user")))
    assert standin.calls[-1].command == "org login sfdx-url"


@pytest.mark.parametrize("username", ["ada@acme.example", "Ada@Acme.example"])
def test_a_login_to_another_org_is_never_overwritten(username: str, standin: StandIn) -> None:
    standin.keeps(login("prod", username, "00D000000000002EAA"))
    problem = failing(made(standin).log_in, handover())
    assert (problem.kind, "prod" in problem.message, "uat" in problem.message) == (sf_username_taken, True, True)
    assert f"sf org logout --target-org {username}" in problem.actions[1]
    assert len(standin.calls) == 1


def test_the_second_of_two_orgs_with_one_username_is_not_handed_over(standin: StandIn) -> None:
    standin.gives("org login sfdx-url", LOGGED_IN, seconds=0.05)
    sf = made(standin)
    orgs = [handover(alias="uat"), replace(handover(alias="prod"), org_id="00D000000000002EAA")]

    def give(login: Handover) -> str:
        try:
            sf.log_in(login)
        except EcapipeError as error:
            return error.problem.name
        return "kept"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(give, orgs)) == [sf_username_taken.name, "kept"]


def test_a_bug_while_a_login_is_handed_over_shows_no_secret_with_all_its_values(standin: StandIn) -> None:
    class Breaking(Environment):
        broken = False

        def for_programs(self) -> dict[str, str]:
            if self.broken:
                raise ZeroDivisionError
            return super().for_programs()

    here = str(standin.folder)
    environment = Breaking({"PATH": here, "HOME": here, "ECAPIPE_STATE_DIR": f"{here}/state"})
    sf = Sf(environment)
    sf.logins()
    environment.broken = True
    with pytest.raises(ZeroDivisionError) as raised:
        sf.log_in(handover())
    stack = traceback.StackSummary.extract(traceback.walk_tb(raised.tb), capture_locals=True)
    frames = [frame for frame in stack if "/ecapipe/" in frame.filename]
    assert len(frames) > 3
    shown = repr([frame.locals for frame in frames])
    assert "Handover" in shown
    assert [secret for secret in SECRETS if secret in shown] == []


@pytest.mark.parametrize("json_too", [False, True])
def test_an_old_one_that_asks_for_the_token_is_too_old(json_too: bool, standin: StandIn) -> None:
    error = {"status": 13, "name": "ExitPromptError", "message": "User force closed the prompt with 13 null"}
    said = json.dumps(error) if json_too else "? Access token of user ... User force closed the prompt with 13 null"
    standin.says("org login access-token", said, status=13)
    assert failing(made(standin).log_in, handover(lasting=False)).kind is sf_too_old


def test_a_hand_over_that_names_nobody_is_a_problem(standin: StandIn) -> None:
    standin.gives("org login sfdx-url", {"username": "ada@acme.example"})
    assert failing(made(standin).log_in, handover()).kind is sf_failed


PREFIX = "Error authenticating with the refresh token due to: "


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("RefreshTokenAuthError", f"{PREFIX}invalid client credentials", invalid_client),
        ("RefreshTokenAuthError", f"{PREFIX}client identifier invalid", invalid_client_id),
        ("RefreshTokenAuthError", f"{PREFIX}expired access/refresh token", sf_refresh_refused),
        ("RefreshTokenAuthError", f"{PREFIX}inactive user", sf_refresh_refused),
        ("RefreshTokenAuthError", f"{PREFIX}fetch failed", sf_unreachable),
        ("RefreshTokenAuthError", f"{PREFIX}getaddrinfo ENOTFOUND acme.my.salesforce.com", sf_unreachable),
        ("RefreshTokenAuthError", f"{PREFIX}self-signed certificate in certificate chain", sf_unreachable),
        (
            "AuthCodeUsernameRetrievalError",
            "No username.\n\nDue to: fetch failed",
            sf_unreachable,
        ),
        ("INVALID_SFDX_AUTH_URL", "Invalid SFDX authorization URL.", sf_failed),
        ("NamedOrgNotFoundError", "No authorization information found for uat.", sf_login_missing),
        ("RetrieveError", "The client has timed out.", sf_failed),
        ("SomethingNewError", "Nobody has seen this before", sf_failed),
        ("1", "<!DOCTYPE html>\n<html><title>Maintenance</title></html>", sf_failed),
        ("", "", sf_failed),
    ],
)
def test_an_error_is_read_by_its_message_and_not_by_its_action(
    name: str, message: str, kind: Kind[...], standin: StandIn
) -> None:
    standin.fails("org login sfdx-url", name, message, 10)
    problem = failing(made(standin).log_in, handover())
    assert problem.kind is kind
    assert "<" not in problem.message
    assert not any("stored refresh token" in action for action in problem.actions)


@pytest.mark.parametrize("where", ["json", "stderr"])
def test_a_secret_that_it_prints_is_struck_out(where: str, standin: StandIn) -> None:
    said = f'Unexpected argument: {URL}. Try this: echo "{REFRESH}" {TOKEN}'
    if where == "json":
        standin.fails("org login sfdx-url", "2", said)
    else:
        standin.says("org login sfdx-url", "", said, status=2)
    problem = failing(made(standin).log_in, handover())
    shown = repr(problem)
    assert [secret for secret in (*SECRETS, trees.key("Billing")) if secret in shown] == []
    assert "Unexpected argument" in problem.message


# --- retrieve ---

FRAME = """
───── Retrieving Metadata ─────
Stages:
1. Preparing retrieve request
2. Done

▶ Preparing retrieve request…
✔ Preparing retrieve request (12ms)
▶ Waiting for the org to respond…
   Status: In Progress
▶ Waiting for the org to respond…
✔ Done (1.2s)
"""


def test_a_retrieve_asks_for_exactly_the_types_and_tells_what_it_is_at(standin: StandIn, tmp_path: Path) -> None:
    standin.keeps(login("uat"))
    standin.says("project retrieve start", FRAME, "Warning: Nothing retrieved\n", files={"force-app/new": "there"})
    told: list[str] = []
    said = made(standin, CI="false", MSO_DISABLE_CI_MODE="1").retrieve(
        str(tmp_path), "uat", ["ExternalClientApplication", "ExtlClntAppPushSettings"], told.append
    )
    assert told == [
        "Salesforce CLI: Preparing retrieve request",
        "Salesforce CLI: Waiting for the org to respond",
    ]
    assert said == ["Nothing retrieved"]
    call = standin.calls[-1]
    assert call.argv == [
        "project", "retrieve", "start", "--metadata=ExternalClientApplication", "--metadata=ExtlClntAppPushSettings",
        "--target-org=uat",
    ]  # fmt: skip
    assert (call.cwd, call.env["CI"], "MSO_DISABLE_CI_MODE" in call.env) == (str(tmp_path), "true", False)
    assert (tmp_path / "force-app/new").read_text() == "there"


def test_what_goes_wrong_while_progress_is_told_is_no_failure_of_it(standin: StandIn, tmp_path: Path) -> None:
    standin.keeps(login("uat"))
    standin.says("project retrieve start", FRAME)

    def tell(line: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        made(standin).retrieve(str(tmp_path), "uat", ["X"], tell)


def test_progress_is_told_while_it_runs(tmp_path: Path) -> None:
    listing = json.dumps({"status": 0, "result": [login("uat")]})
    program = tmp_path / "sf"
    program.write_text(
        f"#!/bin/sh\nif [ $1 = org ]; then echo '{listing}'; else echo '▶ One…'; sleep 1; echo '▶ Two…'; fi\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    heard: list[float] = []
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    Sf(Environment({"PATH": path})).retrieve(str(tmp_path), "uat", [], lambda line: heard.append(time.monotonic()))
    assert heard[1] - heard[0] > 0.8


def test_a_type_that_it_does_not_know_yet_is_left_out(standin: StandIn, tmp_path: Path) -> None:
    standin.keeps(login("uat"))
    error = "Error (TypeInferenceError): Missing metadata type definition in registry for id 'attest'.\n"
    standin.says("project retrieve start", refuses={"--metadata=Attest": error})
    said = made(standin).retrieve(str(tmp_path), "uat", ["Header", "Attest", "Push"], lambda line: None)
    assert said == ["This Salesforce CLI does not support the metadata type Attest. To update it: sf update"]
    assert standin.calls[-1].argv[3:5] == ["--metadata=Header", "--metadata=Push"]


def test_one_that_knows_none_of_the_types_fails(standin: StandIn, tmp_path: Path) -> None:
    standin.keeps(login("uat"))
    error = "Error (1): Missing metadata type definition in registry for id 'attest'.\n"
    standin.says("project retrieve start", "", error, status=1)
    for types in (["Attest"], ["Header"]):
        assert failing(made(standin).retrieve, str(tmp_path), "uat", types, print).kind is sf_failed


@pytest.mark.parametrize(
    ("err", "kind", "words"),
    [
        ("Error (NamedOrgNotFoundError): Parsing --target-org \n\tNo authorization.\n\n", sf_login_missing, "uat"),
        (f"Error (RefreshTokenAuthError): {PREFIX}expired access/refresh token\n\nTry this:\n\nRe-authenticate\n",
         sf_refresh_refused, "expired access/refresh token"),
        ("\x1b[1m\x1b[31mError (MetadataTransferError):\x1b[39m\x1b[22m Metadata API request failed: fetch failed\n",
         sf_unreachable, "fetch failed"),
        ("Warning: old\nError (1): INVALID_TYPE: no such type\n", sf_failed, "INVALID_TYPE"),
        ("Error: plain words\n\nTry this: nothing\n", sf_failed, "plain words."),
        ("killed", sf_failed, "killed"),
        ("", sf_failed, "exit status 1"),
    ],
)  # fmt: skip
def test_a_retrieve_that_fails_says_why(
    err: str, kind: Kind[...], words: str, standin: StandIn, tmp_path: Path
) -> None:
    standin.keeps(login("uat"))
    standin.says("project retrieve start", "", err, status=1)
    problem = failing(made(standin).retrieve, str(tmp_path), "uat", ["X"], print)
    assert (problem.kind, words in problem.message) == (kind, True), problem.message
    assert "nothing" not in problem.message


def test_many_ask_at_once_and_it_is_started_once(standin: StandIn) -> None:
    standin.gives("org list auth", [login("uat")], seconds=0.1)
    sf = made(standin)
    threads = [threading.Thread(target=sf.logins) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(standin.calls) == 1
