"""What is saved and handed over of an app moves to its new pair, or is named; and a saved login may rotate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trees
from commandline import ecapipe, inside
from fakes.rotation import failure, staged
from fakes.salesforce_cli import login
from keypairs import certificate, pem, rsa_key, written
from render.test_json_schemas import names

from ecapipe.emulator.registration import OrgSetup

KEY, SECRET = trees.key("Robot"), trees.secret("Robot")


def test_saved_logins_and_secrets_move_to_the_new_pair(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        target = ["-d", str(scene.root), "-o", f"uat={scene.url}"]
        at = {"at": scene.home, "PATH": scene.path}
        saved = ecapipe("run", *target, "--save", "--store", "file", **at)  # type: ignore[arg-type]
        assert saved.status == 0, saved
        ecapipe("app", "set-secret", "Robot", "-d", str(scene.root), "--store", "file", at=scene.home, typed=SECRET)
        ended = scene.deliver()
        assert ended.status == 0, ended
        names("app-rotate", ended.document)
        new = ended.result["successes"][0]["consumerKey"]
        logins = inside("login", "list", "--json", at=scene.home).result["logins"]
        assert [login["consumerKey"] for login in logins] == [new]
        assert inside("login", "refresh", "--json", at=scene.home).status == 0
        forgotten = inside("app", "forget-secret", "Robot", "--json", at=scene.home).result["secrets"]
        assert [each["consumerKey"] for each in forgotten] == [new]
        assert scene.rotate("--end-previous").status == 0
        assert inside("login", "refresh", "--json", at=scene.home).status == 0


def test_a_pair_that_something_saved_uses_is_not_deleted(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        assert scene.deliver().status == 0
        ecapipe("app", "set-secret", "Robot", "-d", str(scene.root), "--store", "file", at=scene.home, typed=SECRET)
        refused = scene.rotate("--end-previous")
        assert failure(refused) == "PreviousPairInUse"
        assert "the saved secret of Robot" in refused.result["failures"][0]["message"]
        assert scene.accepts(KEY, SECRET)
        assert scene.rotate("--end-previous", "--force").status == 0
        assert not scene.accepts(KEY, SECRET)


def test_a_saved_secret_stays_for_an_org_that_has_not_been_rotated(tmp_path: Path) -> None:
    """The same key in two orgs, as after a sandbox was copied."""
    with staged(tmp_path, orgs=["uat", OrgSetup("prod", secrets_by_rest=False)]) as scene:
        ecapipe("app", "set-secret", "Robot", "-d", str(scene.root), "--store", "file", at=scene.home, typed=SECRET)
        assert scene.deliver().status == 68
        assert len(list(scene.home.rglob("secrets/*.json"))) == 2
        refused = scene.rotate("--end-previous")
        assert "PreviousPairInUse" not in refused.out, "uat has a secret of its own now"
        assert scene.accepts(KEY, SECRET, "prod")
        assert not scene.accepts(KEY, SECRET, "uat")


def test_a_login_that_was_handed_over_is_named_and_keeps_the_previous_pair(tmp_path: Path) -> None:
    with staged(tmp_path, tls=True) as scene:
        (admin, _), robot = scene.logins[0], "robot@acme.example"
        scene.sf.gives("org login access-token", {"username": robot, "orgId": admin.org_id, "instanceUrl": scene.url})
        at = {"at": scene.home, **scene.variables}
        words = ["-d", str(scene.root), "-n", "Robot", "-o", f"uat={scene.url}", "--hand-over", "sf"]
        assert inside("run", *words, **at).status == 0  # type: ignore[arg-type]
        entries = [login(each, username=each, org_id=admin.org_id, url=scene.url) for each in (admin.username, robot)]
        scene.sf.keeps(*entries)
        ended = inside(*scene.words("-n", "Robot", "--deliver", "receiver {field}"), **at)  # type: ignore[arg-type]
        assert ended.status == 0, ended
        assert f"The login of {robot} in the Salesforce CLI uses the previous pair." in ended.err
        refused = scene.rotate("--end-previous")
        assert failure(refused) == "PreviousPairInUse"
        assert f"the login of {robot} in the Salesforce CLI" in refused.result["failures"][0]["message"]
        assert scene.accepts(KEY, SECRET)
        scene.sf.keeps(entries[0])
        assert scene.rotate("--end-previous").status == 0, "it has logged out"
        assert not scene.accepts(KEY, SECRET)


def test_the_secret_is_also_saved(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        ended = scene.deliver("--store", "file")
        assert ended.status == 0, ended
        success = ended.result["successes"][0]
        assert success["delivered"][-1] == "consumerSecret: file"
        forgotten = inside("app", "forget-secret", "Robot", "--json", at=scene.home).result["secrets"]
        assert [each["consumerKey"] for each in forgotten] == [success["consumerKey"]]


@pytest.mark.parametrize("bound", ["true", "false"])
def test_an_app_rotates_itself_through_a_login_that_is_saved(tmp_path: Path, bound: str) -> None:
    files = trees.project() | trees.robot(settings={"isDPopEnabled": bound})
    with staged(tmp_path, logged_in=False, files=files) as scene:
        target = ["-d", str(scene.root), "-o", f"uat={scene.url}"]
        (scene.sf.folder / "sf").unlink()
        assert inside("run", *target, "--save", "--store", "file", at=scene.home, PATH=scene.path).status == 0
        ended = scene.deliver()
        assert ended.status == 0, ended
        assert scene.rotate("--end-previous").status == 0
        assert not scene.accepts(KEY, SECRET)


def test_a_user_with_the_permission_is_found(tmp_path: Path) -> None:
    """The first login is of a user who may not see secrets; the second may."""
    with staged(tmp_path, orgs=[OrgSetup("uat", may_view_secrets=False)]) as scene:
        ended = scene.deliver()
        assert failure(ended) == "RotationNotPermitted"
        assert "View Client Secret" in json.dumps(ended.result["failures"][0]["actions"])


def test_a_login_with_a_private_key_proves_the_pair(tmp_path: Path) -> None:
    key = written(tmp_path, pem(rsa_key()))
    files = trees.project() | trees.app("Robot", settings={"certificate": certificate(rsa_key())})
    with staged(tmp_path, files=files) as scene:
        username, _ = scene.emulator.login("uat")
        audience = {"SF_AUDIENCE_URL": scene.url}
        ended = scene.deliver("--jwt-key-file", key, "--username", username, **audience)
        assert ended.status == 0, ended
        assert ended.result["successes"][0]["proved"] == ["introspect", "jwt"]
        refused = scene.rotate("--jwt-key-file", key, "--write-back")
        assert (refused.status, refused.document["name"]) == (2, "UsageError")
