"""A batch survives: whatever ended a run, another goes on with it, and what was recorded is never repeated."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import trees
from commandline import PATIENCE, Ended, Json, ecapipe, inside, started
from fakes.batch import ORGS, Batch, batch, project
from fakes.scene import Scene
from profiles import NIGHTLY

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import journal
from ecapipe.documents.recorded_runs import RECORDED
from ecapipe.emulator.faults import Fault


@pytest.fixture
def orgs(tmp_path: Path) -> Iterator[Batch]:
    with batch(tmp_path / "project") as made:
        yield made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    place.mkdir()
    return place


def recorded(home: Path) -> set[str]:
    """The orgs whose logins are recorded as done, in the latest run that there is a record of."""
    entries, failures = journal.entries(Environment({"ECAPIPE_STATE_DIR": str(home / ".local/state/ecapipe")}))
    assert failures == []
    courses = entries[0].journal.recorded.courses if entries else {}
    return {str(subject.org) for subject, course in courses.items() if subject.org and course.finished}


def succeeded(ended: Ended) -> set[str]:
    return {success["org"] for success in ended.result["successes"]}


def taken_over(result: Json) -> set[str]:
    return {stage["org"] for stage in result["stages"] if stage["org"] and RECORDED in stage["facts"]}


def run_id(ended: Ended) -> str:
    return str(ended.result["run"])


# --- kill -9 ----------------------------------------------------------------------------------------------------


def goes_on(orgs: Batch, home: Path, before: Counter[str]) -> int:
    """Resume what was killed: nothing that was recorded is asked for again, and nothing is lost; how much it was."""
    done, asked = recorded(home), orgs.asked()
    ended = ecapipe(*orgs.run(), "--resume" if done or asked != before else "--concise", "--json", at=home)
    if ended.status == 2:  # it was killed before there was anything to record
        assert ended.document["name"] == "RunNotFound"
        assert done == set()
        ended = ecapipe(*orgs.run(), "--json", at=home)
    assert ended.status == 0, ended
    assert succeeded(ended) == set(ORGS)
    again = orgs.asked() - asked
    assert set(again) == set(ORGS) - done
    assert taken_over(ended.result) == done
    return len(done)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("at_once", ["1", "3"])
def test_a_run_that_is_killed_at_any_boundary_of_a_stage_is_gone_on_with(
    orgs: Batch, tmp_path: Path, at_once: str
) -> None:
    # At each of them at night, else at those of one parity.
    step = 1 if NIGHTLY else 2
    boundary, kept = 0, set[int]()
    while True:
        home = tmp_path / f"home{boundary}"
        home.mkdir()
        before, told = orgs.asked(), 0
        with started(*orgs.run(), "--verbose", "--concurrency", at_once, at=home) as run:
            until = time.monotonic() + PATIENCE
            while run.process.poll() is None and time.monotonic() < until:
                told = sum(line[:1] in "✔◯▶" for line in run.said.splitlines() if line)
                if told > boundary:
                    run.process.kill()
                time.sleep(0.0005)
        kept.add(goes_on(orgs, home, before))
        if run.process.returncode == 0:
            break
        boundary += step
    assert kept >= {0, len(ORGS)}
    assert at_once != "1" or len(kept) > 2, "and with a part of it recorded"
    assert boundary >= 3 + 2 * len(ORGS), "it was killed at every boundary"


@pytest.mark.timeout(600)
def test_a_run_that_is_killed_after_any_request_is_gone_on_with(orgs: Batch, tmp_path: Path) -> None:
    count, kept = 0, set[int]()
    while True:
        home = tmp_path / f"home{count}"
        home.mkdir()
        before = orgs.asked()
        with started(*orgs.run(), "--concurrency", "1", at=home) as run:
            while run.process.poll() is None:
                if sum((orgs.asked() - before).values()) > count:
                    run.process.kill()
        kept.add(goes_on(orgs, home, before))
        if run.process.returncode == 0:
            break
        count += 1 if NIGHTLY else 2
    assert len(kept) > 2, "some of it was recorded, at one time more than at another"
    assert count >= len(ORGS), "it was killed after many requests"


# --- which run --------------------------------------------------------------------------------------------------


@pytest.fixture
def half(tmp_path: Path) -> Iterator[Batch]:
    """Orgs of which one fails, once."""
    fault = Fault("/services/oauth2/token", {"status": 400}, "uat", times=1)
    with batch(tmp_path / "project", faults=[fault]) as made:
        yield made


def begun(half: Batch, home: Path, *more: str) -> Ended:
    """A run that did all but one."""
    ended = inside(*half.run(), "--json", *more, at=home)
    assert ended.status == 68
    assert succeeded(ended) == {"dev", "prod"}
    return ended


def test_resume_alone_is_the_same_command_again_without_what_is_done(half: Batch, home: Path) -> None:
    first = begun(half, home)
    again = inside("run", "--resume", "--json", at=home)
    assert (again.status, succeeded(again)) == (0, set(ORGS))
    assert taken_over(again.result) == {"dev", "prod"}
    assert half.tokens() == {"dev": 1, "uat": 2, "prod": 1}
    facts = again.result["stages"][0]["facts"]
    assert (facts["resumes"], facts["takenOver"]) == (run_id(first), 2)


@pytest.mark.parametrize(
    "more", [["--wait", "7"], ["-w", "7", "--no-prompt"], ["--concurrency=2", "--wait=7", "--report", "junit=a.xml"]]
)
def test_how_it_is_done_may_change_beside_resume_alone(half: Batch, home: Path, more: list[str]) -> None:
    begun(half, home, "--wait", "5")
    ended = inside("run", *more, "--resume", "--json", at=home)
    assert (ended.status, taken_over(ended.result)) == (0, {"dev", "prod"})
    assert (home / "a.xml").exists() == ("--report" in more)
    again = inside("run", "--resume", "--json", at=home)
    assert taken_over(again.result) == set(ORGS)


def test_a_flag_beside_resume_replaces_the_recorded_one_alone(half: Batch, home: Path) -> None:
    begun(half, home, "--scopes", "api id", "--until", "token")
    ended = inside("run", "--resume", "--until=verify", "--scopes", "api", "--json", at=home)
    assert (ended.status, succeeded(ended)) == (0, set(ORGS)), "the tree and the orgs are the recorded ones"
    assert "verify" in {stage["stage"] for stage in ended.result["stages"]}
    assert any("the requested scopes have changed" in warning for warning in ended.document["warnings"])


def test_an_org_beside_resume_is_the_one_that_is_meant_and_an_app_the_one(half: Batch, home: Path) -> None:
    trees.plant(half.root, trees.robot("Other"))
    name = run_id(begun(half, home, "-n", "Batch", "--scopes", "api id"))
    one = (["-o", f"prod={half.emulator.urls['prod']}"], {"prod"}, {"prod"})
    for words, meant, done in (one, (["--name=Batch"], {"dev", "prod"}, set(ORGS))):
        ended = inside("run", *words, "--resume", name, "--json", at=home)
        assert (ended.status, taken_over(ended.result), succeeded(ended)) == (0, meant, done), ended
        options = ended.result["invocation"]["options"]
        assert (sum("Batch" in word for word in options), "api id" in options) == (1, True)


def test_what_the_run_to_resume_was_given_is_told_from_what_was_typed(half: Batch, home: Path) -> None:
    begun(half, home, "--revoke")
    ended = inside("run", "--resume", "--until", "check", "--json", at=home)
    assert ended.document["message"] == "--revoke of the run to resume can't be used with --until."


@pytest.mark.parametrize("form", ["--resume={}", "--resume {}", "{} prefix"])
def test_a_run_is_named_by_its_id_or_how_that_starts(half: Batch, home: Path, form: str) -> None:
    name = run_id(begun(half, home))
    words = ["--resume", name[:12]] if "prefix" in form else form.format(name).split()
    ended = inside(*half.run(), *words, "--json", at=home)
    assert (ended.status, taken_over(ended.result)) == (0, {"dev", "prod"})


def test_when_everything_is_done_nothing_is_sent(half: Batch, home: Path) -> None:
    begun(half, home)
    inside("run", "--resume", "--json", at=home)
    before = half.asked()
    ended = inside("run", "--resume", "--json", at=home)
    assert (ended.status, succeeded(ended)) == (0, set(ORGS))
    assert half.asked() == before
    apps = [stage for stage in ended.result["stages"] if stage["app"] and not stage["org"]]
    assert [stage["stage"] for stage in apps] == ["locate", "check"]
    assert len(ended.result["apps"]) == 1


def test_whichever_run_of_a_family_is_named_nothing_is_repeated(half: Batch, home: Path) -> None:
    first = begun(half, home)
    inside("run", "--resume", "--json", at=home)
    before = half.asked()
    ended = inside("run", "--resume", run_id(first), "--json", at=home)
    assert (ended.status, half.asked()) == (0, before)


def test_a_json_result_serves_on_another_machine(half: Batch, home: Path, tmp_path: Path) -> None:
    first = begun(half, home, "--report", "json=result.json")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(half.root, elsewhere / "checkout")
    shutil.copy(home / "result.json", elsewhere)
    command = [word.replace(str(half.root), "checkout") for word in half.run()]
    ended = inside(*command, "--resume", "result.json", "--json", at=elsewhere)
    assert (ended.status, succeeded(ended)) == (0, set(ORGS))
    assert taken_over(ended.result) == {"dev", "prod"}
    assert half.tokens() == {"dev": 1, "uat": 2, "prod": 1}
    assert {stage["facts"][RECORDED] for stage in ended.result["stages"] if RECORDED in stage["facts"]} == {
        run_id(first)
    }


def test_a_json_result_alone_says_orgs_apps_and_options_on_another_machine(
    half: Batch, home: Path, tmp_path: Path
) -> None:
    first = begun(half, home, "-n", "Batch", "--scopes", "api id", "--report", "json=result.json")
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(half.root, elsewhere)
    shutil.copy(home / "result.json", elsewhere)
    # Its word counts as the tree's: this machine is none of Salesforce's.
    refused = inside("run", "--resume", "result.json", "--json", at=elsewhere)
    assert (refused.status, refused.document["name"]) == (2, "ResumedOrgsUnusable")
    assert refused.document["message"] == "Orgs of result.json can't be used as recorded: dev, uat, prod."
    ended = inside("run", "--resume", "result.json", "--allow-host", "localhost", "--json", at=elsewhere)
    assert (ended.status, succeeded(ended)) == (0, set(ORGS)), ended
    assert taken_over(ended.result) == {"dev", "prod"}
    assert {stage["facts"][RECORDED] for stage in ended.result["stages"] if RECORDED in stage["facts"]} == {
        run_id(first)
    }
    options = ended.result["invocation"]["options"]
    assert options[options.index("--scopes") + 1] == "api id"
    words = ("--resume", "result.json", "--allow-host=localhost", "--wait=7", "--revoke")
    options = inside("run", *words, "--json", at=elsewhere).result["invocation"]["options"]
    assert {"-n", "Batch", "--scopes", "api id", "--revoke"} < set(options)


def test_a_json_result_decides_on_no_path_and_no_host(half: Batch, home: Path, tmp_path: Path) -> None:
    document = begun(half, home).document
    victim = tmp_path / "victim"
    words = [
        ("--report", f"html={victim}"),
        ("--jwt-key-file", str(victim)),
        ("--allow-host", "localhost"),
        ("--write-back",),
    ]
    document["result"]["invocation"]["options"] += [word for each in words for word in each]
    document["result"]["invocation"]["options"] += ["-d", str(tmp_path), "--source-dir=../..", "--replace-alias"]
    (half.root / "hostile.json").write_text(json.dumps(document))
    ended = inside("run", "--resume", "./hostile.json", "--json", at=half.root)
    assert (ended.status, victim.exists()) == (2, False)
    assert "only files in the repository of the project specify it" in ended.out
    ended = inside("run", "--resume", "./hostile.json", "--allow-host", "localhost", "--json", at=half.root)
    assert (ended.status, victim.exists()) == (0, False)
    kept = {"--report", "--jwt-key-file", "-d", "--source-dir=../..", "--replace-alias", "--write-back"}
    assert kept.isdisjoint(ended.result["invocation"]["options"])


def test_an_empty_shard_says_so(orgs: Batch, home: Path) -> None:
    ended = [inside(*orgs.run("dev"), "--shard", f"{k}/2", at=home) for k in (1, 2)]
    assert sorted("has none of the 1 logins" in each.err for each in ended) == [False, True]
    assert {each.status for each in ended} == {0}


def test_a_result_of_nothing_but_what_is_promised_serves_too(half: Batch, home: Path) -> None:
    """Whoever keeps results may drop the facts, which are not promised."""
    document = begun(half, home).document
    for stage in document["result"]["stages"]:
        stage["facts"] = {}
    (home / "bare.json").write_text(json.dumps(document["result"]))
    ended = inside(*half.run(), "--resume=./bare.json", "--json", at=home)
    assert (ended.status, taken_over(ended.result)) == (0, {"dev", "prod"})


def test_without_a_record_there_is_a_way_out(orgs: Batch, home: Path) -> None:
    for words, name in (
        (["--resume"], "RunNotFound"),
        (["--resume", "2026"], "RunNotFound"),
        (["--resume", "missing.json"], "FileNotFound"),
    ):
        ended = inside(*orgs.run(), *words, "--json", at=home)
        assert (ended.status, ended.document["name"]) == (2, name)
        assert ended.document["actions"]
    (home / "other.json").write_text('{"status": 0, "result": {"version": 1, "apps": []}, "warnings": []}')
    ended = inside(*orgs.run(), "--resume", "other.json", "--json", at=home)
    assert (ended.status, ended.document["name"]) == (2, "MalformedResult")
    assert orgs.asked() == {}


def test_only_a_run_of_this_project_is_the_latest(half: Batch, home: Path, tmp_path: Path) -> None:
    begun(half, home)
    other = project(tmp_path / "other")
    command = [word.replace(str(half.root), str(other)) for word in half.run()]
    ended = inside(*command, "--resume", "--json", at=home)
    assert (ended.status, ended.document["name"]) == (2, "RunNotFound")


def test_resume_alone_is_refused_in_another_folder(half: Batch, home: Path, tmp_path: Path) -> None:
    name = run_id(begun(half, home))
    state = {"ECAPIPE_STATE_DIR": str(home / ".local/state/ecapipe")}
    ended = inside("run", "--resume", name, "--json", at=tmp_path, **state)
    assert (ended.status, ended.document["name"]) == (2, "OptionsNotRepeatable")
    assert f"Change to that folder: cd {home} && ecapipe run --resume {name}" in ended.document["actions"]


def test_options_that_look_like_a_secret_are_not_recorded(orgs: Batch, home: Path) -> None:
    secret = trees.secret("Batch")
    ended = inside(*orgs.run(), "--report", f"json={secret}.json", "--json", at=home)
    assert ended.status == 0
    (record,) = (home / ".local/state/ecapipe/runs").glob("*.jsonl")
    assert secret not in record.read_text()
    ended = inside("run", "--resume", "--json", at=home)
    assert (ended.status, ended.document["name"]) == (2, "OptionsNotRepeatable")
    ended = inside(*orgs.run(), "--resume", "--json", at=home)
    assert (ended.status, taken_over(ended.result)) == (0, set(ORGS))


# --- what has changed -------------------------------------------------------------------------------------------


def test_a_changed_file_is_done_again_and_said(half: Batch, home: Path) -> None:
    begun(half, home)
    (settings,) = half.root.rglob("*.ecaGlblOauth-meta.xml")
    settings.write_text(settings.read_text().replace("</callbackUrl>", "</callbackUrl> <!-- same -->"))
    policies = next(half.root.rglob("*.ecaOauthPlcy-meta.xml"), None) or next(half.root.rglob("*OauthSet*-meta.xml"))
    text = policies.read_text()
    policies.write_text(
        text.replace("</externalClientApplication>", "</externalClientApplication><label>New</label>")
    )
    ended = inside("run", "--resume", "--json", at=home)
    assert (ended.status, taken_over(ended.result)) == (0, set())
    assert (
        "Done again, because the files of the app have changed: Batch@dev, Batch@prod."
        in ended.document["warnings"][0]
    )
    assert half.tokens() == {"dev": 2, "uat": 2, "prod": 2}


def test_what_is_gone_and_new_is_said(half: Batch, home: Path) -> None:
    begun(half, home)
    ended = inside(*half.run("uat", "prod"), "--resume", "--json", at=home)
    assert (ended.status, taken_over(ended.result)) == (0, {"prod"})
    assert "No longer requested: Batch@dev." in ended.document["warnings"][0]
    ended = inside(*half.run(), "--resume", "--json", at=home)
    assert taken_over(ended.result) == set(ORGS), "what the run before that did counts, too"


def test_another_fate_of_the_token_is_another_login(half: Batch, home: Path) -> None:
    begun(half, home)
    ended = inside(*half.run("dev"), "--resume", "--revoke", "--json", at=home)
    assert (ended.status, taken_over(ended.result)) == (0, set())
    assert ended.result["successes"][0]["token"] == "revoked"
    assert "the token must be revoked and was forgotten" in ended.document["warnings"][0]


def test_what_was_saved_is_not_saved_again(half: Batch, home: Path) -> None:
    saving = ["--save", "--store", "file", "--json"]
    begun(half, home)
    ended = inside(*half.run(), "--resume", *saving, at=home)
    assert (ended.status, taken_over(ended.result)) == (0, set()), "their tokens were forgotten"
    before = half.asked()
    for more in (saving, ["--json"]):
        ended = inside(*half.run(), "--resume", *more, at=home)
        assert (ended.status, taken_over(ended.result)) == (0, set(ORGS))
        assert {success["token"] for success in ended.result["successes"]} == {"saved"}
    assert half.asked() == before


def test_another_consumer_key_is_another_login(half: Batch, home: Path) -> None:
    begun(half, home)
    other = {"ECAPIPE_CLIENT_ID_BATCH": trees.key("Other"), "ECAPIPE_CLIENT_SECRET_BATCH": trees.secret("Other")}
    ended = inside(*half.run("dev"), "--resume", "--json", at=home, **other)
    assert ended.status == 1
    assert "Done again, because the consumer key has changed: Batch@dev." in ended.document["warnings"][0]
    rotated = {"ECAPIPE_CLIENT_SECRET_BATCH_PROD": trees.secret("Other")}
    ended = inside(*half.run("prod"), "--resume", "--json", at=home, **rotated)
    assert taken_over(ended.result) == {"prod"}, "nothing is kept of a secret that could tell"


# --- people -----------------------------------------------------------------------------------------------------


def test_people_who_were_too_slow_get_new_links(scene: Scene, home: Path) -> None:
    command = [*scene.run("Batch", "Paster"), "--callback", "paste", "--browser", "none"]
    with started(*command, "--wait", "0.02", at=home) as run:
        ended = run.end()
    assert ended.status == 69
    (line,) = [line for line in ended.err.splitlines() if line.startswith("To resume: ")]
    name = line.rpartition(" ")[2]
    assert line.endswith(f"ecapipe run --resume {name}")
    with started(*command, "--resume", name, "--json", at=home) as run:
        run.type(scene.sign_in(run.line("http")))
        again = run.end()
    assert again.status == 0
    assert {success["app"] for success in again.result["successes"]} == {"Batch", "Paster"}
    assert {stage["app"] for stage in again.result["stages"] if RECORDED in stage["facts"]} == {"Batch"}


def test_a_run_that_is_going_on_is_not_resumed(scene: Scene, home: Path) -> None:
    command = [*scene.run("Batch", "Paster"), "--callback", "paste", "--browser", "none"]
    with started(*command, at=home) as run:
        run.line("http")
        ended = ecapipe(*command, "--resume", "--json", at=home)
        assert (ended.status, ended.document["name"]) == (1, "RunGoingOn")
        (listed,) = ecapipe("runs", "list", "--json", at=home).result["runs"]
        assert (listed["state"], listed["status"], listed["command"]) == ("going", None, None)
        run.interrupt()
        run.end()
    (listed,) = ecapipe("runs", "list", "--json", at=home).result["runs"]
    assert (listed["state"], listed["status"]) == ("interrupted", 130)


# --- no record --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--no-journal", "--dry-run"])
def test_a_run_that_is_to_leave_no_record_leaves_none(orgs: Batch, home: Path, flag: str) -> None:
    assert inside(*orgs.run(), flag, "--json", at=home).status == 0
    assert not (home / ".local").exists()
    told = inside(*orgs.run(), flag, "--json", at=home, ECAPIPE_STATE_DIR="/dev/null").document["warnings"]
    assert any("can't be recorded" in warning for warning in told) is (flag == "--dry-run")


def test_a_run_goes_on_without_a_record_and_says_that_it_cannot_be_resumed(orgs: Batch, home: Path) -> None:
    (home / "file").write_text("")
    ended = inside(*orgs.run(), "--json", at=home, ECAPIPE_STATE_DIR=str(home / "file"))
    assert (ended.status, succeeded(ended)) == (0, set(ORGS))
    (warning,) = ended.document["warnings"]
    assert "cannot be resumed" in warning
    assert "--no-journal" in warning
    shown = inside(*orgs.run(), at=home, ECAPIPE_STATE_DIR=str(home / "file"))
    assert shown.status == 0
    assert shown.err.count("This run is not recorded") == 1


def test_a_token_is_printed_by_a_run_of_its_own(orgs: Batch, home: Path) -> None:
    ended = inside(*orgs.run("dev"), "--print-token", "value", "--no-prompt", "--resume", at=home)
    assert ended.status == 2
    assert "can't be used with" in ended.err
    assert inside(*orgs.run("dev"), "--print-token", "value", at=home).status == 0
    assert inside("runs", "list", "--json", at=home).result["runs"] == [], "it could not be gone on with"


# --- looking back -----------------------------------------------------------------------------------------------


def test_runs_are_listed_and_shown_with_what_is_left_and_how_to_go_on(half: Batch, home: Path) -> None:
    assert inside("runs", "list", "--json", at=home).result == {"version": 1, "runs": []}
    assert inside("runs", "show", "--json", at=home).document["name"] == "RunNotFound"
    first = begun(half, home)
    name = run_id(first)
    (listed,) = inside("runs", "list", "--json", at=home).result["runs"]
    assert (listed["run"], listed["state"], listed["status"]) == (name, "ended", 68)
    assert listed["targets"] == {"planned": 3, "finished": 2, "failed": 1, "skipped": 0, "open": 0}
    assert listed["command"] == f"ecapipe run --resume {name}"
    assert listed["projects"] == [str(half.root)]
    shown = inside("runs", "show", name[:10], "--json", at=home).result
    assert shown["recorded"] == listed
    same = ("run", "startedAt", "projects", "successes", "failures", "stages")
    for member in same[:3]:
        assert shown["result"][member] == first.result[member]
    for member in same[3:]:
        key = [json.dumps(each, sort_keys=True) for each in first.result[member]]
        assert sorted(json.dumps(each, sort_keys=True) for each in shown["result"][member]) == sorted(key)
    text = inside("runs", "show", at=home).out
    assert "2 done, 1 failed" in text
    assert "Batch@uat: failed:" in text
    assert f"To resume: ecapipe run --resume {name}" in text
    assert name in inside("runs", "list", at=home).out


def test_hostile_names_do_no_harm_in_a_list(home: Path) -> None:
    state = home / ".local/state/ecapipe/runs"
    state.mkdir(parents=True, mode=0o700)
    header = {
        "journal": 1,
        "run": "20260101T000000Z-abcdef",
        "startedAt": "\x1b[2J",
        "asked": ["verify"],
        "targets": [{"app": "::error::\x1b[31m", "org": "\u202e"}],
        "resumes": "\x1b]0;x\x07",
        "arguments": None,
        "folder": "/",
        "projects": [{"root": "/a\nb\x1b[0m", "packageDirectories": []}],
    }
    (state / "20260101T000000Z-abcdef.jsonl").write_text(json.dumps(header) + "\n")
    for command in (["runs", "list", "--verbose"], ["runs", "show", "--verbose"]):
        ended = inside(*command, at=home)
        assert ended.status == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(ended.out)
        assert not any(line.startswith("::") for line in ended.out.splitlines())
