"""``app rotate``: a new pair is staged, proved, delivered, promoted and confirmed, in this order."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trees
from check import ground
from commandline import ecapipe, inside
from fakes.rotation import Recipient, Rotation, failure, hurry, staged
from render.test_json_schemas import strict

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.rotation_tools import DeliveryPrograms
from ecapipe.emulator.faults import Fault
from ecapipe.emulator.registration import EmulatedPair, OrgSetup
from ecapipe.events import ROTATION_STAGES
from ecapipe.problems.rotation import staged_pair_gone
from ecapipe.rotate.ports import Ended
from ecapipe.secret import Secret

KEY, SECRET = trees.key("Robot"), trees.secret("Robot")
OTHER = EmulatedPair(trees.key("Other"), Secret("FA4E" * 16))


def test_a_rotation_from_the_first_request_to_the_last(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        before = len(scene.requests)
        ended = scene.deliver()
        assert ended.status == 0, ended
        (success,) = ended.result["successes"]
        key, secret = (call["stdin"] for call in scene.received)
        assert success["consumerKey"] == f"{key[:5]}…{key[-4:]}"
        assert success["proved"] == ["introspect", "client-credentials"]
        assert success["delivered"] == ["consumerKey: receiver", "consumerSecret: receiver"]
        assert success["previousUntil"]
        assert [(stage["stage"], stage["outcome"]) for stage in ended.result["stages"]] == [
            (name, "passed")
            for name in ("find-consumer", "stage", "prove", "deliver", "promote", "confirm", "update-saved")
        ]
        assert scene.requests[before:] == [
            "GET usage",
            "GET credentials/app",
            "GET credentials/app/consumer/staged",
            "POST credentials/app/consumer/staged",
            "POST oauth2/introspect",
            "POST oauth2/token",
            "GET credentials/app/consumer/staged",
            "PATCH credentials/app/consumer/staged/pair",
            "GET credentials/app",
            "POST oauth2/introspect",
            "GET credentials/app/consumer/staged",
            "POST oauth2/introspect",
        ]
        assert scene.accepts(key, secret)
        assert scene.accepts(KEY, SECRET)
        assert [call["argv"][1:] for call in scene.received] == [
            ["set", "ECAPIPE_CLIENT_ID_ROBOT_UAT"],
            ["set", "ECAPIPE_CLIENT_SECRET_ROBOT_UAT"],
        ]


@pytest.mark.parametrize("mode", [(), ("--abort",), ("--end-previous",)])
def test_no_tree_sends_a_rotation_to_another_org_by_its_id(mode: tuple[str, ...], tmp_path: Path) -> None:
    with staged(tmp_path, orgs=("uat", "prod")) as scene:
        before, (_, (prod, _)) = len(scene.requests), scene.logins
        config = {"orgs": {"x": {"url": scene.url, "orgId": prod.org_id}}}
        trees.plant(scene.root, trees.project(plugins={"ecapipe": config}))
        words = ["app", "rotate", "-d", str(scene.root), "-n", "Robot", "-o", scene.url, "--json", *mode]
        deliver = () if mode else ("--deliver", "receiver set {variable}")
        ended = inside(*words, *deliver, at=scene.home, **scene.variables)
        assert (failure(ended), scene.requests[before:]) == ("RotationLoginMissing", [])


def test_a_plan_names_the_variable_that_a_tree_chooses_for_a_program(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        config = {"orgs": {"x": {"url": scene.url, "secretEnv": "NPM_TOKEN"}}}
        trees.plant(scene.root, trees.project(plugins={"ecapipe": config}))
        words = ["app", "rotate", "-d", str(scene.root), "-n", "Robot", "-o", "x", "--dry-run"]
        words += ["--allow-host", scene.url.partition("//")[2], "--deliver", "receiver set {variable}"]
        ended = inside(*words, at=scene.home, **scene.variables)
        assert (ended.status, "Secret Env: NPM_TOKEN" in ended.out) == (0, True), ended


def values(scene: Rotation) -> tuple[str, str]:
    """The key and secret that were delivered last."""
    key, secret = (call["stdin"] for call in scene.received[-2:])
    return key, secret


REFUSED: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "the switch is off": ({"orgs": [OrgSetup("uat", secrets_by_rest=False)]}, [], "RotationSwitchedOff"),
    "the permission is missing": ({"orgs": [OrgSetup("uat", may_view_secrets=False)]}, [], "RotationNotPermitted"),
    "the API is too old": ({"orgs": [OrgSetup("uat", newest=64)]}, [], "RotationApiTooOld"),
    "the app is packaged": ({"packaged": True}, [], "PackagedAppNotRotated"),
    "a file says that it is packaged": (
        {"files": trees.project() | trees.robot(header={"distributionState": "Packaged"})}, [],
        "PackagedAppNotRotated"),
    "somebody else staged a pair": ({"staged": OTHER}, [], "PairStagedElsewhere"),
    "the same, to be promoted": ({"staged": OTHER}, ["--promote"], "PairStagedElsewhere"),
    "nothing is staged": ({}, ["--promote"], "NothingStaged"),
    "nobody is logged in": ({"logged_in": False}, [], "RotationLoginMissing"),
    "the key is unknown": ({"consumer_key": trees.key("Other")}, [], "RestConsumerUnknown"),
    "the org has no such app": ({"name": "Another"}, [], "RotationAppNotFound"),
    "git tracks the settings file": ({}, ["--write-back"], "NotWrittenBack"),
    "no such program": ({}, ["--deliver", "nowhere {field}"], "DeliveryProgramNotFound"),
    "no proof": (
        {"files": trees.project() | trees.app("Robot"),
         "faults": [Fault("/services/oauth2/introspect", {"status": 404})]}, [], "NoProofPossible"),
}  # fmt: skip


@pytest.mark.parametrize(("around", "more", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_before_anything_is_staged(
    tmp_path: Path, around: dict[str, Any], more: list[str], problem: str
) -> None:
    with staged(tmp_path, **around) as scene:
        if problem == "NotWrittenBack":
            ground.ready(scene.root, ground.committed({}))
        ended = scene.deliver(*more)
    told = ended.document["name"] if ended.status == 2 else failure(ended)
    assert told == problem, ended
    assert not [request for request in scene.requests if not request.startswith("GET") and "credentials" in request]
    assert scene.received == []


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--deliver", "consumerSecret=receiver x"],
        ["--deliver", "receiver x"],
        ["--deliver", "receiver '{field}"],
        ["--deliver", ""],
        ["--deliver", "consumerKey="],
        ["--store", "keyring"],
        ["--promote", "--abort"],
        ["--write-back", "--stage-only"],
        ["--write-back", "--force"],
        ["--abort", "--adopt"],
        ["--abort", "--jwt-key-file", "/dev/null", "--username", "ada"],
    ],
)
def test_a_command_line_that_cannot_be_meant_is_refused(tmp_path: Path, words: list[str]) -> None:
    with staged(tmp_path) as scene:
        before = len(scene.requests)
        ended = scene.rotate(*words)
        assert (ended.status, ended.document["name"]) == (2, "UsageError")
        assert len(scene.requests) == before


def test_names_and_values_reach_a_program_apart(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        ended = scene.rotate(
            "--deliver", "consumerKey=receiver 'a b' \"{app}\\\"\" {org}-{field}",
            "--deliver", "consumerSecret=receiver {variable}{field} {other} $HOME;",
        )  # fmt: skip
        assert ended.status == 0, ended
        assert [call["argv"][1:] for call in scene.received] == [
            ["a b", 'Robot"', "uat-consumerKey"],
            ["ECAPIPE_CLIENT_SECRET_ROBOT_UATconsumerSecret", "{other}", "$HOME;"],
        ]
        assert not [name for call in scene.received for name in call["env"] if name.startswith("ECAPIPE_")]


def test_a_program_that_fails_keeps_the_pair_from_being_promoted(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        ended = scene.deliver(RECEIVER_STATUS="3")
        assert failure(ended) == "DeliveryFailed"
        (told,) = ended.result["failures"]
        assert "exit status 3: received [REDACTED]. Nothing was promoted. Delivered so far: " in told["message"]
        (call,) = scene.received
        assert call["stdin"] not in ended.out + ended.err
        assert "PATCH credentials/app/consumer/staged/pair" not in scene.requests
        again = scene.deliver()
        assert again.status == 0, again
        assert values(scene)[0] == call["stdin"], "the same pair"


def test_what_was_delivered_is_said_whatever_fails_after_it(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        (scene.tools / "receiver").write_text(f"#!/bin/sh\ncat >/dev/null; rm -f '{scene.settings}'\n")
        (told,) = scene.deliver("--write-back").result["failures"]
        assert told["name"] != "DeliveryFailed"
        assert "Nothing was promoted. Delivered so far: consumerKey: receiver" in told["message"]


def test_a_program_that_is_killed_is_said_to_be(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        (scene.tools / "receiver").write_text("#!/bin/sh\nbase64; kill -9 $$\n")
        (told,) = scene.deliver().result["failures"]
        assert "ended by signal 9: [REDACTED]" in told["message"]


def test_a_program_has_a_minute(tmp_path: Path) -> None:
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\necho begun; sleep 60 & sleep 60\n")
    sleeper.chmod(0o755)
    programs = DeliveryPrograms(Environment({}), seconds=0.3)
    assert programs.feed(str(sleeper), [], Secret("x" * 64)) == Ended(None, "begun\n", unread=True)
    sleeper.write_text("#!/bin/sh\nexec </dev/null; yes begun | head -c 300000; exit 4\n")
    ended = DeliveryPrograms(Environment({"PATH": "/usr/bin:/bin"})).feed(str(sleeper), [], Secret("x" * 64))
    assert (ended.status, len(ended.output)) == (4, 65536)


def test_a_program_that_leaves_its_input_unread_is_told_of(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        (scene.tools / "receiver").write_text("#!/bin/sh\nhead -c 40\n")
        ended = scene.deliver()
        assert (ended.status, ended.outcomes["deliver Robot@uat"]) == (0, "warning"), ended
        assert "receiver succeeded without reading all of its standard input" in ended.document["warnings"][0]


def test_a_further_place_is_delivered_to_and_a_known_one_is_not(tmp_path: Path) -> None:
    """Both by one program, after the pair was put in force."""
    with staged(tmp_path) as scene:
        assert scene.deliver().status == 0
        more = scene.deliver("--deliver", "receiver set {variable} --repo other")
        assert more.status == 0, more
        assert [call["argv"][-1] for call in scene.received[2:]] == ["other", "other"]
        assert [call["stdin"] for call in scene.received[2:]] == [call["stdin"] for call in scene.received[:2]]
        assert len(more.result["successes"][0]["delivered"]) == 4


def test_a_command_line_that_does_not_tell_targets_apart_is_a_warning(tmp_path: Path) -> None:
    with staged(tmp_path, orgs=["uat", "prod"]) as scene:
        ended = scene.rotate("--deliver", "receiver {field}")
        assert (ended.status, ended.outcomes["deliver Robot@prod"]) == (0, "warning"), ended
        assert "consumerKey: receiver got the pair of Robot@uat by the same command line" in ended.out
        assert ended.outcomes["deliver Robot@uat"] == "passed"


def test_two_orgs_whose_variables_are_one_are_refused(tmp_path: Path) -> None:
    with staged(tmp_path, orgs=["u-at", "u.at"]) as scene:
        before = len(scene.requests)
        ended = scene.deliver()
        assert (ended.status, ended.document["name"], len(scene.requests)) == (2, "AmbiguousVariable", before), ended
        assert scene.rotate("--deliver", "receiver {field} {org}").status == 0


def test_a_pair_that_vanishes_while_it_is_delivered_is_not_promoted(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:

        class Remover(Recipient):
            def feed(self, path: str, arguments: Sequence[str], value: Secret) -> Ended:
                if len(self.received) == 1:
                    scene.delete_staged()
                return super().feed(path, arguments, value)

        recipient = Remover()
        report = hurry(scene, recipient)
        (problem,) = [stage.problem for stage in report.ended if stage.problem]
        assert problem.kind is staged_pair_gone
        assert "consumerKey: vault, consumerSecret: vault" in problem.message
        assert scene.accepts(KEY, SECRET)
        assert hurry(scene, recipient).status == 0
        assert recipient.received[2:] != recipient.received[:2]
        assert scene.accepts(*recipient.received[2:])


def test_an_expired_pair_is_deleted_on_demand_alone(tmp_path: Path) -> None:
    taken = {"status": 400, "body": [{"errorCode": "INVALID_OPERATION", "message": "already exist"}]}
    entry = {"id": "1SC000000000009AAA", "key": OTHER.key, "state": "Expired", "secret": OTHER.secret.reveal()}
    expired = {"status": 200, "body": {"stagedCredentials": [entry]}}
    faults = [Fault("*/staged", taken, after=1, times=1), Fault("*/staged", expired, times=3)]  # type: ignore[arg-type]
    with staged(tmp_path, faults=faults) as scene:
        (refused,) = scene.deliver().result["failures"]
        assert "An expired pair may take the place" in refused["actions"][0]
        aborted = scene.rotate("--abort")
        assert aborted.status == 0, aborted
        assert "DELETE credentials/app/consumer/staged/pair" in scene.requests
        assert scene.deliver().status == 0


def test_resume_alone_repeats_the_command_line(tmp_path: Path) -> None:
    files = trees.project() | trees.robot() | trees.robot("Second")
    with staged(tmp_path, files=files) as scene:
        at = {"at": scene.home, "PATH": scene.path}
        first = inside(*scene.words("--deliver", "receiver {variable}"), RECEIVER_STATUS="1", **at)  # type: ignore[arg-type]
        assert first.status == 1
        instead = ("--deliver", "receiver instead {field} {app}")
        again = inside("app", "rotate", "--resume", "--json", *instead, **at)  # type: ignore[arg-type]
        assert again.status == 0, again
        assert len(again.result["successes"]) == 2
        assert {call["argv"][1] for call in scene.received[-4:]} == {"instead"}
        assert len(scene.received) == 6, "in place of the recorded one"
        last = inside("app", "rotate", "--resume", again.result["run"], "--json", **at)  # type: ignore[arg-type]
        assert last.result["successes"] == again.result["successes"]
        assert {stage["outcome"] for stage in last.result["stages"]} == {"skipped"}
        elsewhere = inside("app", "rotate", "--resume", at=tmp_path, PATH=scene.path, HOME=str(scene.home))
        assert f"cd {scene.home} && ecapipe app rotate --resume {last.result['run']}" in elsewhere.err
        result = scene.home / "result.json"
        result.write_text(again.out)
        alone = inside("app", "rotate", f"--resume={result}", **at)  # type: ignore[arg-type]
        assert (alone.status, "must be delivered" in alone.err) == (2, True), "a file names no programs"
        secret = inside(*scene.words("--deliver", f"receiver {{variable}} {'A1b2C3d4' * 6}"), **at)  # type: ignore[arg-type]
        assert secret.status == 0, secret
        assert "may contain a secret" in inside("app", "rotate", "--resume", **at).err  # type: ignore[arg-type]


def test_step_by_step(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        dry = scene.rotate("--dry-run")
        assert (dry.status, dry.result["successes"][0]["consumerKey"]) == (0, None)
        one = scene.rotate("--stage-only")
        assert (one.status, one.result["successes"][0]["proved"]) == (0, ["introspect", "client-credentials"])
        assert scene.rotate("--stage-only").result["successes"] == one.result["successes"], "it goes on"
        assert scene.received == []
        two = scene.deliver("--promote")
        assert two.status == 0, two
        new = values(scene)
        assert scene.deliver().status == 0, "what is known here is the previous key"
        assert len(scene.received) == 2
        assert scene.accepts(*new)
        assert scene.accepts(KEY, SECRET)
        three = scene.rotate("--end-previous")
        assert three.status == 0, three
        assert not scene.accepts(KEY, SECRET)
        assert scene.accepts(*new)
        known = {"ECAPIPE_CLIENT_ID_ROBOT": new[0]}
        assert scene.rotate("--end-previous", **known).status == 0, "it is gone already"
        assert failure(scene.deliver()) == "RestConsumerUnknown"
        assert scene.deliver(**known).status == 0
        assert failure(scene.deliver(ECAPIPE_CLIENT_ID_ROBOT=values(scene)[0])) == "PreviousPairStillThere"


def test_a_staged_pair_is_deleted_unless_it_was_delivered(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        assert scene.rotate("--abort").status == 0, "there is none"
        scene.rotate("--stage-only")
        assert scene.rotate("--abort").status == 0
        assert failure(scene.deliver("--promote")) == "NothingStaged"
        scene.deliver(RECEIVER_STATUS="1")
        refused = scene.rotate("--abort")
        assert failure(refused) == "DeliveredPairNotDeleted"
        assert "consumerKey: receiver" in refused.result["failures"][0]["message"]
        forced = scene.rotate("--abort", "--force")
        assert forced.status == 0, forced
        assert "consumerKey: receiver" in forced.document["warnings"][0]
        assert scene.accepts(KEY, SECRET)


def test_a_pair_of_somebody_else_is_taken_or_deleted_on_demand_alone(tmp_path: Path) -> None:
    with staged(tmp_path, staged=OTHER) as scene:
        assert failure(scene.deliver()) == "PairStagedElsewhere"
        ended = scene.deliver("--adopt")
        assert ended.status == 0, ended
        assert values(scene) == (OTHER.key, OTHER.secret.reveal())


def test_a_pair_that_the_org_refuses_is_neither_delivered_nor_promoted(tmp_path: Path) -> None:
    refuse = {"status": 400, "body": {"error": "invalid_client", "error_description": "invalid client credentials"}}
    for path in ("introspect", "token"):
        (tmp_path / path).mkdir()
        # The login of the administrator came first.
        fault = Fault(f"/services/oauth2/{path}", refuse, after=1 if path == "token" else 0)  # type: ignore[arg-type]
        with staged(tmp_path / path, faults=[fault]) as scene:
            for more in ([], ["--unproved"]):
                assert failure(scene.deliver(*more)) == "NewPairRefused"
            assert scene.received == []
            assert not [request for request in scene.requests if request.startswith("PATCH")]


def test_an_org_that_stages_the_active_pair_has_rotated_nothing(tmp_path: Path) -> None:
    pair = {"id": "1SC000000000009AAA", "key": KEY, "secret": SECRET, "state": "Active"}
    with staged(tmp_path, faults=[Fault("*/staged", {"status": 201, "body": pair}, after=1, times=1)]) as scene:
        assert failure(scene.deliver()) == "UnexpectedAnswer"
        assert scene.received == []


def test_a_pair_without_a_proof_is_promoted_on_demand_alone(tmp_path: Path) -> None:
    faults = [Fault("/services/oauth2/*", {"status": 404}, after=1)]
    with staged(tmp_path, faults=faults) as scene:
        assert failure(scene.deliver()) == "NewPairNotProved"
        assert scene.received == []
        ended = scene.deliver("--unproved")
        assert ended.status == 0, ended
        assert ended.result["successes"][0]["proved"] == []
        assert ended.document["warnings"]


def test_the_right_one_of_many_consumers_is_rotated(tmp_path: Path) -> None:
    more = tuple(EmulatedPair(trees.key(f"More{each}"), Secret("E" * 64)) for each in range(150))
    with staged(tmp_path, more_consumers=more, used=False) as scene:
        known = {"ECAPIPE_CLIENT_ID_ROBOT": more[-1].key}
        ended = scene.deliver(**known)
        assert ended.status == 0, ended
        assert scene.accepts(*values(scene))
        assert scene.accepts(KEY, SECRET)
        assert "GET data/v65.0/query" in scene.requests, "it had not been used, and is not listed"


def test_key_and_secret_go_into_the_settings_file(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        ended = scene.rotate("--write-back")
        assert ended.status == 0, ended
        text = scene.settings.read_text()
        key = text.partition("<consumerKey>")[2].partition("<")[0]
        secret = text.partition("<consumerSecret>")[2].partition("<")[0]
        assert scene.accepts(key, secret)
        assert (key, secret) != (KEY, SECRET)
        for value in (key, secret, KEY, SECRET):
            assert value not in ended.out + ended.err
        assert failure(scene.rotate("--write-back")) == "PreviousPairStillThere"


def test_nothing_secret_is_left_anywhere(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        log = {"ECAPIPE_LOG_LEVEL": "trace", "PATH": scene.path}
        words = scene.words("-n", "Robot", "--json", "--verbose", "--deliver", "receiver {variable}")
        ended = ecapipe(*words, at=scene.home, **log)
        assert ended.status == 0, ended
        plain = ecapipe(*scene.words("-n", "Robot", "--deliver", "receiver {field}"), at=scene.home, PATH=scene.path)
        secrets = [SECRET, *(call["stdin"] for call in scene.received if "SECRET" in call["argv"][-1])]
        files = [path.read_text(errors="replace") for path in scene.home.rglob("*") if path.is_file()]
        calls = [json.dumps([call["argv"], call["env"]]) for call in scene.received]
        for text in (ended.out, ended.err, plain.out, plain.err, *files, *calls):
            for secret in secrets:
                assert secret[:8] not in text


def test_several_apps_and_orgs_one_after_the_other_and_resumed(tmp_path: Path) -> None:
    files = trees.project() | trees.robot() | trees.robot("Second")
    with staged(tmp_path, files=files, orgs=["uat", OrgSetup("prod", secrets_by_rest=False)]) as scene:
        words = scene.words("--deliver", "receiver {variable}", "--json")
        first = inside(*words, at=scene.home, PATH=scene.path)
        assert first.status == 68, first
        done = [(each["app"], each["org"]) for each in first.result["successes"]]
        assert done == [("Robot", "uat"), ("Second", "uat")]
        assert [each["name"] for each in first.result["failures"]] == ["RotationSwitchedOff"] * 2
        received = len(scene.received)
        result = scene.home / "result.json"
        result.write_text(first.out)
        for value in ("--resume", f"--resume={first.result['run']}", f"--resume={result}"):
            again = inside(*words, value, at=scene.home, PATH=scene.path)
            assert again.status == 68
            assert again.result["successes"] == first.result["successes"]
        assert len(scene.received) == received
        unknown = inside(*words, "--resume=never", at=scene.home, PATH=scene.path)
        assert (unknown.status, unknown.document["actions"]) == (2, ["Rotate without --resume."])
        assert inside(*words, "--resume=", at=scene.home, PATH=scene.path).document["name"] == "UsageError"
        plain = inside(*words[:-1], "--resume", at=scene.home, PATH=scene.path)
        assert "2 succeeded, 2 failed" in plain.out


def test_an_org_that_says_less_is_asked_again(tmp_path: Path) -> None:
    """An empty slot may be a 404, and the response to the staging may tell no pair: the slot does."""
    nothing: Fault = Fault("*/staged", {"status": 404, "body": [{"errorCode": "NOT_FOUND"}]}, times=1)
    little = Fault("*/staged", {"status": 201, "body": {}, "seen": True}, after=1, times=1)
    with staged(tmp_path, faults=[nothing, little]) as scene:
        ended = scene.deliver()
        assert ended.status == 0, ended
        assert scene.accepts(*values(scene))


def test_every_stage_of_a_rotation_is_shown_as_it_ends(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        words = scene.words("-n", "Robot", "--deliver", "receiver set {variable}")
        ended = inside(*words, at=scene.home, PATH=scene.path)
        shown = re.findall(r"^\S (.+) - Robot@uat \(", ended.out, re.MULTILINE)
        assert (ended.status, shown) == (0, [stage.title for stage in ROTATION_STAGES])


def test_a_login_confirms_what_an_org_does_not_introspect(tmp_path: Path) -> None:
    with staged(tmp_path, faults=[Fault("*/introspect", {"status": 404})]) as scene:
        ended = scene.deliver()
        assert ended.status == 0, ended
        assert ended.result["successes"][0]["proved"] == ["client-credentials"]
        assert scene.accepts(*values(scene))
        assert scene.rotate("--end-previous").status == 0


def test_nothing_but_a_whole_rotation_is_left_out_by_resume(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        planned = scene.home / "planned"
        planned.write_text(scene.rotate("--dry-run").out)
        assert scene.rotate("--stage-only", f"--resume={planned}").result["stages"][-1]["stage"] == "prove"
        assert scene.rotate("--stage-only", "--resume").result["stages"][0]["outcome"] == "skipped"
        assert scene.deliver("--promote", "--resume").status == 0, "it was only staged"
        assert scene.accepts(*values(scene))
        assert len(scene.received) == 2


def test_rotations_are_listed_and_shown_with_the_runs(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        assert scene.deliver(RECEIVER_STATUS="1").status == 1
        assert scene.deliver().status == 0
        (listed, shown, named, words) = (
            inside(*line.split(), at=scene.home)
            for line in ("runs list --json", "runs show --json", "runs show", "runs list --verbose")
        )
    strict("runs-list").validate(listed.document)
    strict("runs-show").validate(shown.document)
    last, first = listed.result["runs"]
    assert [(each["commandName"], each["status"], each["targets"]["failed"]) for each in (first, last)] == [
        ("ecapipe app rotate", 1, 1),
        ("ecapipe app rotate", 0, 0),
    ]
    assert shown.result["recorded"] == last
    (success,) = shown.result["result"]["successes"]
    assert success["delivered"] == ["consumerKey: receiver", "consumerSecret: receiver"]
    assert "  Robot@uat: key 3MVG9" in named.out
    assert first["command"] == f"ecapipe app rotate --resume {first['run']}"
    assert f"  To resume: {first['command']}" in words.out.splitlines()


def test_a_plan_says_what_would_keep_it_from_being_done(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        words = scene.words("-n", "Robot", "--dry-run")
        plan = inside(*words, at=scene.home, PATH=scene.path)
        assert "To deliver the new pair, add --deliver" in plan.out
        assert failure(scene.deliver(RECEIVER_STATUS="1")) == "DeliveryFailed"
        assert failure(scene.rotate("--abort", "--dry-run")) == "DeliveredPairNotDeleted"
        assert failure(scene.rotate("--end-previous", "--dry-run")) == "NothingReplaced"
        assert scene.rotate("--abort", "--force", "--dry-run").status == 0
        assert not [request for request in scene.requests if request.startswith("DELETE")]
