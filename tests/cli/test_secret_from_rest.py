"""``--secret-from rest``: the missing secret from the org that has it, through a login of the Salesforce CLI."""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import urlencode

import pytest
import trees
from commandline import Ended, ecapipe
from fakes.orgs import registered
from fakes.salesforce_cli import StandIn, login
from loopback import request

from ecapipe.emulator.registration import EmulatedPair, OrgSetup, RegisteredApp
from ecapipe.emulator.server import Emulator
from ecapipe.secret import Secret

SETTINGS = "force-app/main/default/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"
OTHER = trees.key("Other")


def files(**changes: Unpack[trees.Changes]) -> trees.Files:
    """Billing, which logs in with client credentials, and lacks its secret unless something else is said."""
    settings = {"callbackUrl": None, "consumerSecret": None, **trees.CLIENT_CREDENTIALS}
    policies = {"clientCredentialsFlowUser": "robot@acme.example", **trees.CLIENT_CREDENTIALS}
    changes.setdefault("policies", policies)
    changes["settings"] = {**settings, **(changes.get("settings") or {})}
    return trees.project() | trees.app(**changes)


@dataclass
class Scene:
    """A project whose app lacks its secret, the org that has it, and a Salesforce CLI that is logged in there."""

    root: Path
    home: Path
    sf: StandIn
    url: str
    org_id: str
    bearer: str

    def run(self, *more: str, verb: str = "run", **variables: str) -> Ended:
        path = f"{self.sf.folder}:/usr/local/bin:/usr/bin:/bin"
        where = ["-d", str(self.root), "-o", f"uat={self.url}"]
        return ecapipe(*verb.split(), *where, "--secret-from", "rest", *more, at=self.home, PATH=path, **variables)


@contextmanager
def staged(
    tmp_path: Path,
    here: trees.Files | None = None,
    *,
    setup: OrgSetup | None = None,
    used: bool = True,
    logged_in: bool = True,
    **registration: Any,
) -> Iterator[Scene]:
    at_home = trees.plant(tmp_path / "org", files(settings={"consumerSecret": trees.secret("Billing")}))
    (app,) = registered(at_home)
    robot = RegisteredApp("Robot", trees.key("Robot"), Secret(trees.secret("Robot")), (), ("api",),
                          client_credentials=True, run_as_user="robot@acme.example")  # fmt: skip
    more = [replace(robot, name=f"More{number}", consumer_key=trees.key(f"More{number}")) for number in range(3)]
    with Emulator(
        [*more, replace(app, used=used, **registration), robot], orgs=(setup or OrgSetup("uat"),)
    ) as emulator:
        url = emulator.urls["uat"]
        bearer, org_id = token(url, "Robot")
        for each in ("More0", "More1", "More2", *(["Billing"] if used else [])):
            token(url, each, trees.secret("Billing" if each == "Billing" else "Robot"))
        root = trees.plant(tmp_path / "project", files() if here is None else here)
        (home := tmp_path / "home").mkdir()
        sf = StandIn(tmp_path / "bin")
        if logged_in:
            sf.keeps(login("source", org_id=org_id, url=url))
        sf.gives("org auth show-access-token", {"accessToken": bearer})
        yield Scene(root, home, sf, url, org_id, bearer)


def token(url: str, app: str, secret: str | None = None) -> tuple[str, str]:
    """An access token by client credentials, and the id of the org."""
    form = {"grant_type": "client_credentials", "client_id": trees.key(app)}
    body = urlencode({**form, "client_secret": secret or trees.secret(app)})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    port = int(url.rpartition(":")[2])
    said = json.loads(request(port, "/services/oauth2/token", "POST", body=body, headers=headers).text)
    return said["access_token"], said["id"].split("/")[-2]


def failure(ended: Ended) -> str:
    (found,) = ended.result["failures"]
    return str(found["name"])


def test_a_missing_secret_comes_from_the_org_and_is_used(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        before = (scene.root / SETTINGS).read_bytes()
        ended = scene.run("--json")
        assert ended.status == 0, ended
        (app,) = ended.result["apps"]
        assert app["credentials"]["consumerSecret"]["source"] == "rest"
        assert app["credentials"]["consumerKey"]["source"] == "file"
        assert ended.document["warnings"] == []
        assert (scene.root / SETTINGS).read_bytes() == before
        assert trees.secret("Billing")[:8] not in ended.out + ended.err
        (checked,) = (stage for stage in ended.result["stages"] if stage["stage"] == "check")
        place = scene.url.partition("//")[2]
        assert checked["facts"]["consumerSecretReadFrom"] == [place], "it says from which org"
        told = scene.run("--verbose", ECAPIPE_LOG_LEVEL="trace", SF_ENV="development")
        assert told.status == 0
        assert f"The consumer secret of Billing was read from {place}." in told.out + told.err
        for secret in (trees.secret("Billing"), scene.bearer.partition("!")[2]):
            parts = {secret[at : at + 8] for at in range(len(secret) - 7)}
            assert not [part for part in parts if part in told.out + told.err]
        probed = scene.run("--json", verb="app probe")
        assert probed.result["probes"][0]["verdict"] == "accepted"
        assert f"was read from {place}." in probed.result["probes"][0]["message"]


@pytest.mark.parametrize("alias", ["source", "x"])
def test_no_tree_reads_the_secret_of_another_org_by_an_alias_or_id(alias: str, tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        org = {"url": "https://stranger.my.salesforce.com"} | ({"orgId": scene.org_id} if alias == "x" else {})
        trees.plant(scene.root, trees.project(plugins={"ecapipe": {"orgs": {alias: org}}}))
        words = ["run", "-d", str(scene.root), "--all-orgs", "--secret-from", "rest", "--until", "check", "--json"]
        ended = ecapipe(*words, at=scene.home, PATH=f"{scene.sf.folder}:/usr/local/bin:/usr/bin:/bin")
        asked = [call.command for call in scene.sf.calls if "show-access-token" in call.command]
        assert (failure(ended), asked) == ("RestLoginMissing", [])


def test_nobody_asks_an_org_that_is_not_named_as_a_source(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        ended = scene.run("--json", "--secret-from", "file", "--until", "check")
        assert ended.status == 0
        path = f"{scene.sf.folder}:/usr/bin:/bin"
        where = ["-d", str(scene.root), "-o", f"uat={scene.url}", "--json"]
        without = ecapipe("run", *where, at=scene.home, PATH=path)
        assert failure(without) == "ConsumerSecretMissing"


def test_a_key_that_is_missing_comes_along(tmp_path: Path) -> None:
    with staged(tmp_path, files(settings={"consumerKey": None})) as scene:
        ended = scene.run("--json")
        (app,) = ended.result["apps"]
        assert app["credentials"]["consumerKey"]["source"] == "rest"
        assert ended.status == 0, ended


def test_without_the_settings_file_key_and_secret_come_from_the_org(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        for file in scene.root.rglob("*.ecaGlblOauth-meta.xml"):
            file.unlink()
        ended = scene.run("--json")
        assert ended.status == 0, ended
        credentials = ended.result["apps"][0]["credentials"]
        assert [credentials[each]["source"] for each in ("consumerKey", "consumerSecret")] == ["rest", "rest"]


def test_the_link_of_the_app_decides_which_org_is_asked(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        link = {"oauthLink": f"{scene.org_id[:15]}:888000000000001"}
        trees.plant(scene.root, files(oauth=link))
        assert scene.run("--json").status == 0
        trees.plant(scene.root, files(oauth={"oauthLink": "00D000000000099EAA:888000000000001"}))
        ended = scene.run("--json")
        assert failure(ended) == "RestLoginMissing"
        assert "00D000000000099EAA" in ended.result["failures"][0]["message"]


FAILURES: dict[str, tuple[dict[str, object], str]] = {
    "the switch is off": ({"setup": OrgSetup("uat", secrets_by_rest=False)}, "RestSwitchOff"),
    "the permission is missing": ({"setup": OrgSetup("uat", may_view_secrets=False)}, "RestPermissionMissing"),
    "the app was never used": ({"used": False}, "RestAppNotListed"),
    "nobody is logged in": ({"logged_in": False}, "RestLoginMissing"),
    "another key": ({"here": files(settings={"consumerKey": OTHER})}, "RestConsumerUnknown"),
    "a staged pair": (
        {"here": files(settings={"consumerKey": OTHER}), "staged": EmulatedPair(OTHER, Secret("F" * 64))},
        "RestPairStaged",
    ),
    "several consumers and no key": (
        {"here": files(settings={"consumerKey": None}), "more_consumers": (EmulatedPair(OTHER, Secret("F" * 64)),)},
        "RestConsumersSeveral",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "problem"), FAILURES.values(), ids=FAILURES.keys())
def test_what_keeps_an_org_from_telling_is_told_apart(
    tmp_path: Path, changes: dict[str, object], problem: str
) -> None:
    with staged(tmp_path, **changes) as scene:  # type: ignore[arg-type]
        ended = scene.run("--json")
    assert failure(ended) == problem
    assert ended.status in (1, 2)
    assert "F" * 8 not in ended.out


def test_the_right_one_of_several_consumers_is_found_by_its_key(tmp_path: Path) -> None:
    with staged(tmp_path, more_consumers=(EmulatedPair(OTHER, Secret("F" * 64)),)) as scene:
        assert scene.run("--json").status == 0


def test_a_staged_pair_that_waits_is_a_warning(tmp_path: Path) -> None:
    with staged(tmp_path, staged=EmulatedPair(OTHER, Secret("F" * 64))) as scene:
        ended = scene.run("--json")
    assert ended.status == 0
    (warning,) = ended.document["warnings"]
    assert "staged for Billing" in warning
    assert re.search(r"until 20\d\d-\d\d-\d\d", warning)


def test_no_token_goes_to_an_instance_elsewhere(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        trees.plant(scene.root, files(oauth={"oauthLink": f"{scene.org_id}:888000000000001"}))
        scene.sf.keeps(login("source", org_id=scene.org_id, url="https://evil.example"))
        assert failure(scene.run("--json")) == "RefusedHost"
        assert "org auth show-access-token" not in [call.command for call in scene.sf.calls]


def test_without_a_salesforce_cli_that_is_said(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        (scene.sf.folder / "sf").unlink()
        assert failure(scene.run("--json")) == "SfNotFound"


def test_an_access_token_that_has_died_is_said_to_have(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        scene.sf.gives("org auth show-access-token", {"accessToken": "00DDEAD!AQMADEUP"})
        ended = scene.run("--json")
        assert failure(ended) == "RestSessionRefused"
        assert "AQMADEUP" not in ended.out


# --- --write-back -------------------------------------------------------------------------------------------


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


def test_a_secret_is_written_where_it_is_missing_and_shown_without_its_value(tmp_path: Path) -> None:
    secret = trees.secret("Billing")
    with staged(tmp_path) as scene:
        path = scene.root / SETTINGS
        path.chmod(0o640)
        before = path.read_text()
        plan = scene.run("--write-back", "--dry-run")
        assert plan.status == 0, plan
        assert path.read_text() == before
        ended = scene.run("--write-back")
        assert ended.status == 0, ended
        for said in (plan, ended):
            assert "+    <consumerSecret>[REDACTED]</consumerSecret>" in said.err
            assert secret[:8] not in said.out + said.err
            assert trees.key("Billing")[:12] not in said.err
        line = f"    <consumerKey>{trees.key('Billing')}</consumerKey>\n"
        assert path.read_text() == before.replace(line, f"{line}    <consumerSecret>{secret}</consumerSecret>\n")
        assert path.stat().st_mode & 0o777 == 0o640
        again = scene.run("--write-back", "--secret-from", "file", "--json")
        assert again.status == 0
        assert again.result["apps"][0]["credentials"]["consumerSecret"]["source"] == "file"


@pytest.mark.parametrize(
    ("earlier", "shown"), [("1234567890123456789", "[REDACTED]"), ("{{BILLING_SECRET}}", "{{BILLING_SECRET}}")]
)
def test_a_secret_that_is_replaced_is_not_shown_either(tmp_path: Path, earlier: str, shown: str) -> None:
    with staged(tmp_path, files(settings={"consumerSecret": earlier})) as scene:
        ended = scene.run("--write-back")
        assert ended.status == 0, ended
        assert f"-    <consumerSecret>{shown}</consumerSecret>" in ended.err
        assert "+    <consumerSecret>[REDACTED]</consumerSecret>" in ended.err
        assert "12345678" not in ended.out + ended.err
        assert trees.secret("Billing") in (scene.root / SETTINGS).read_text()


@pytest.mark.parametrize("place", ["", "force-app"])
def test_a_file_that_git_tracks_is_left_alone(place: str, tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        git(scene.root, "init", "-q")
        git(scene.root / place, "init", "-q")
        git(scene.root / place, "add", "-A")
        before = (scene.root / SETTINGS).read_bytes()
        ended = scene.run("--write-back", "--json")
        assert failure(ended) == "NotWrittenBack"
        assert "git tracks it" in ended.result["failures"][0]["message"]
        assert (scene.root / SETTINGS).read_bytes() == before
        git(scene.root / place, "rm", "-q", "--cached", posixpath.relpath(SETTINGS, place or "."))
        exposed = scene.run("--write-back", "--json")
        assert exposed.status == 0
        assert "app protect" in " ".join(exposed.document["warnings"])
        (scene.root / SETTINGS).write_bytes(before)
        (scene.root / place / ".gitignore").write_text("*.ecaGlblOauth-meta.xml\n")
        assert scene.run("--write-back", "--json").document["warnings"] == []


def test_a_file_that_cannot_take_the_secret_is_left_alone(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        path = scene.root / SETTINGS
        key = trees.key("Billing")
        broken = path.read_text().replace(key, f"<![CDATA[{key}]]>")
        path.write_text(broken)
        ended = scene.run("--write-back", "--json")
        assert failure(ended) == "NotWrittenBack"
        assert path.read_text() == broken


def test_only_what_an_org_tells_is_written_back(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        path = f"{scene.sf.folder}:/usr/bin:/bin"
        where = ["-d", str(scene.root), "-o", f"uat={scene.url}", "--write-back"]
        assert ecapipe("run", *where, at=scene.home, PATH=path).status == 2
        before = (scene.root / SETTINGS).read_bytes()
        variables = {"ECAPIPE_CLIENT_SECRET": trees.secret("Billing")}
        ended = scene.run("--write-back", "--secret-from", "environment", "--json", **variables)
        assert ended.status == 0
        assert (scene.root / SETTINGS).read_bytes() == before
