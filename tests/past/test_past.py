"""What an earlier version wrote is read by every later one: kept logins and secrets, runs, results, a baseline."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from commandline import Ended, Json, ecapipe, inside
from past import world

from ecapipe.documents.recorded_runs import RECORDED
from ecapipe.emulator.server import Emulator

VERSIONS = sorted(path.name for path in world.HERE.glob("v*_*_*"))


@dataclass(frozen=True)
class Past:
    """A home as an earlier version left it, and its orgs, which know nothing of earlier tokens."""

    home: Path
    emulator: Emulator

    @property
    def variables(self) -> dict[str, str]:
        drawer = str(self.home / "drawer")
        return {"ECAPIPE_STATE_DIR": str(self.home / "state"), "DRAWER": drawer, **world.KEYRING}

    def __call__(self, *arguments: str) -> Ended:
        """Run a command; without a keyring, and within this process."""
        return inside(*arguments, at=self.home, ECAPIPE_STATE_DIR=self.variables["ECAPIPE_STATE_DIR"])

    def with_keyring(self, *arguments: str) -> Ended:
        return ecapipe(*arguments, at=self.home, **self.variables)

    def result(self, name: str) -> Json:
        read: Json = json.loads((self.home / "results" / name).read_text())
        return read

    def run(self, *more: str) -> Ended:
        return self("run", "-d", "acme", "-n", "Batch", *world.TARGETS, *more, "--json")

    def asked(self) -> Counter[str]:
        """How often each org was asked for a token."""
        return Counter(asked.org for asked in self.emulator.requests if asked.path.endswith("/oauth2/token"))

    @property
    def runs(self) -> list[str]:
        """The runs that were recorded: one that ended, then one that was killed."""
        files = (self.home / "state/runs").glob("*.jsonl")
        heads = [json.loads(path.read_text().partition("\n")[0]) for path in files]
        return [head["run"] for head in sorted(heads, key=lambda head: str(head["startedAt"]))]


@pytest.fixture(params=VERSIONS)
def past(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Past]:
    home = tmp_path / "home"
    world.moved(world.HERE / request.param, home, world.HOME, str(home))
    with closing(sqlite3.connect(home / "drawer", isolation_level=None)) as base:
        base.execute("create table entry (service, user, value, primary key (service, user))")
        for entry in json.loads((home / "keyring.json").read_text()):
            value = entry["value"].encode().hex()
            base.execute("insert into entry values (?, ?, ?)", (entry["service"], entry["user"], value))
    with world.orgs(home / "acme") as emulator:
        yield Past(home, emulator)


def succeeded(ended: Ended) -> set[str]:
    return {success["org"] for success in ended.result["successes"]}


def taken_over(ended: Ended) -> set[str]:
    return {stage["org"] for stage in ended.result["stages"] if stage["org"] and RECORDED in stage["facts"]}


# --- logins -----------------------------------------------------------------------------------------------------


def test_kept_logins_are_listed(past: Past) -> None:
    ended = past("login", "list", "--json")
    kept = {(login["app"], login["alias"], login["store"]) for login in ended.result["logins"]}
    assert kept == {("Batch", "dev", "file"), ("Batch", "uat", "keyring"), ("Steady", "prod", "file")}
    assert (ended.status, ended.document["warnings"]) == (0, [])


@pytest.mark.parametrize("org", ["dev", "uat"])
def test_a_kept_login_is_shown_refreshed_used_and_ended(past: Past, org: str) -> None:
    """From a file, and from the keyring."""

    def login(*words: str) -> Ended:
        return past.with_keyring("login", *words, "-n", "Batch", "-o", org)

    shown = login("display", "--json")
    assert (shown.status, shown.result["login"]["username"]) == (0, "batch@acme.example")
    refreshed = login("refresh", "--json")
    assert refreshed.status == 0, refreshed
    assert past.asked() == {org: 1}
    verified = login("display", "--verify", "--json")
    assert (verified.status, past.asked()) == (0, {org: 1})
    token = login("token", "--no-prompt")
    assert (token.status, token.out[:16], past.asked()) == (0, shown.result["login"]["orgId"][:15] + "!", {org: 1})
    assert login("logout").status == 0
    left = {record["alias"] for record in past("login", "list", "--json").result["logins"]}
    assert left == {"dev", "uat", "prod"} - {org}


@pytest.mark.parametrize("org", ["dev", "uat"])
def test_a_token_that_is_over_is_replaced(past: Past, org: str) -> None:
    token = past.with_keyring("login", "token", "-o", org, "--no-prompt")
    assert (token.status, past.asked()) == (0, {org: 1})


def test_a_kept_refresh_token_is_sent(past: Past) -> None:
    """The org of the test never issued it, and says so."""
    ended = past("login", "refresh", "-o", "prod", "--json")
    assert ended.status == 1
    assert "expired access/refresh token" in ended.out
    assert past.asked() == {"prod": 1}
    assert past("login", "logout", "-o", "prod").status == 0


# --- a consumer secret ------------------------------------------------------------------------------------------


def test_a_kept_consumer_secret_is_used_and_forgotten(past: Past) -> None:
    target = ("-o", f"dev={world.URLS['dev']}")
    checked = past("app", "list", "-d", "acme", "-n", "Robot", "--json").result["apps"][0]
    assert checked["credentials"]["consumerSecret"]["source"] == "keyring"
    ended = past("app", "probe", "-d", "acme", "-n", "Robot", *target, "--json")
    assert ended.status == 0, ended
    ended = past("run", "-d", "acme", "-n", "Robot", *target, "--json")
    assert (ended.status, succeeded(ended)) == (0, {"dev"})
    assert past("app", "forget-secret", "Robot", "--json").status == 0
    assert past("run", "-d", "acme", "-n", "Robot", *target, "--json").status == 1


# --- runs -------------------------------------------------------------------------------------------------------


def test_recorded_runs_are_listed_and_shown(past: Past) -> None:
    listed = past("runs", "list", "--json")
    assert (listed.status, {run["run"] for run in listed.result["runs"]}) == (0, set(past.runs))
    for run, orgs in zip(past.runs, ({"dev", "uat", "prod"}, {"dev", "uat"}), strict=True):
        shown = past("runs", "show", run, "--json")
        assert (shown.result["recorded"]["run"], {each["org"] for each in shown.result["result"]["successes"]}) == (
            run,
            orgs,
        )
        assert past("runs", "show", run).out


def test_what_it_printed_of_a_run_is_what_is_shown(past: Past) -> None:
    written = past.result("run.json")["result"]
    shown = past("runs", "show", past.runs[0], "--json").result["result"]
    assert holds(shown, written)


def holds(shown: object, written: object) -> bool:
    """Whether all that was written is shown; later versions show more."""
    if isinstance(shown, dict) and isinstance(written, dict):
        return all(holds(shown[name], member) for name, member in written.items())
    if isinstance(shown, list) and isinstance(written, list):
        return len(shown) == len(written) and all(map(holds, shown, written))
    return shown == written


def test_a_run_that_was_killed_is_gone_on_with(past: Past) -> None:
    ended = past("run", "--resume", "--json")
    assert (ended.status, succeeded(ended), taken_over(ended)) == (0, set(world.ORGS), {"dev", "uat"})
    assert past.asked() == {"prod": 1}


def test_a_run_is_gone_on_with_by_its_name(past: Past) -> None:
    ended = past.run("--resume", past.runs[1])
    assert (ended.status, succeeded(ended), taken_over(ended)) == (0, set(world.ORGS), {"dev", "uat"})
    ended = past.run("--resume", past.runs[0])
    assert (ended.status, taken_over(ended)) == (0, set(world.ORGS))
    assert past.asked() == {"prod": 1}


# --- results ----------------------------------------------------------------------------------------------------


def test_a_json_result_is_gone_on_with(past: Past) -> None:
    ended = past.run("--resume", "results/run-shard-1.json")
    first = {success["org"] for success in past.result("run-shard-1.json")["result"]["successes"]}
    assert (ended.status, succeeded(ended), taken_over(ended)) == (0, set(world.ORGS), first)
    assert past.asked() == dict.fromkeys(set(world.ORGS) - first, 1)


def test_json_results_are_put_together(past: Past) -> None:
    files = ("results/run-shard-1.json", "results/run-shard-2.json")
    ended = past("report", "merge", *files, "--report", "html=all.html", "--json")
    assert (ended.status, succeeded(ended)) == (0, set(world.ORGS))
    assert "batch@acme.example" in (past.home / "all.html").read_text()
    assert past("report", "merge", files[0], "--json").status == 68, "the other part is missing"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("app-list", ("app", "list", "-d", "acme")),
        ("app-check", ("app", "check", "-d", "acme", "--for", "deploy")),
        ("app-probe", ("app", "probe", "-d", "acme", "-n", "Batch", *world.TARGETS)),
    ],
)
def test_results_keep_their_members(past: Past, name: str, command: tuple[str, ...]) -> None:
    """Whoever reads a member of a result finds it in the results of later versions, and of the same kind."""
    (past.home / "acme/ecapipe-baseline.json").unlink()
    ended = past(*command, "--json")
    written = past.result(f"{name}.json")
    assert ended.status == written["status"]
    assert shape(written["result"]) <= shape(ended.result)


def shape(value: object, at: str = "") -> set[str]:
    """Where which kinds of values stand."""
    match value:
        case dict():
            return {at}.union(*(shape(each, f"{at}.{name}") for name, each in value.items()))
        case list():
            return {f"{at}[]"}.union(*(shape(each, f"{at}[]") for each in value))
        case _:
            return {f"{at}: {type(value).__name__}"}


# --- a baseline -------------------------------------------------------------------------------------------------


def test_a_baseline_still_accepts_what_it_accepted(past: Past) -> None:
    """New rules may find more; what was accepted stays so."""
    baseline = past.home / "acme/ecapipe-baseline.json"
    accepted = {entry["fingerprint"] for entry in json.loads(baseline.read_text())["accepted"]}
    ended = past("app", "check", "-d", "acme", "--for", "deploy", "--json")
    assert accepted == {each["fingerprint"] for each in ended.result["findings"] if each["accepted"]}
    assert not any("baseline" in warning for warning in ended.document["warnings"])
    assert past("app", "check", "-d", "acme", "--for", "deploy", "--update-baseline").status == 0
    assert {entry["fingerprint"] for entry in json.loads(baseline.read_text())["accepted"]} >= accepted
