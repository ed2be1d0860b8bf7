"""Verified logins on their way to the Salesforce CLI: scripted orgs, and a stand-in for it."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trees
from fakes import salesforce_cli, scripted
from fakes.salesforce_cli import StandIn, login
from fakes.scripted import PASTED, Orgs, org_id
from keypairs import certificate, pem, rsa_key, written

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.salesforce_cli import Sf
from ecapipe.documents.report import Report
from ecapipe.login.handover import Handover
from ecapipe.login.options import LoginOptions
from ecapipe.orgs.selection import OrgSelection
from ecapipe.orgs.sf_logins import SfLogin
from ecapipe.problems.oauth import invalid_client
from ecapipe.problems.orgs import wrong_org
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.salesforce_cli import (
    alias_taken,
    hand_over_ambiguous,
    hand_over_not_possible,
    sf_failed,
    sf_not_found,
    sf_timed_out,
    sf_too_old,
    sf_unreachable,
    sf_username_taken,
)
from ecapipe.problems.usage import not_one_default
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run.pipeline import RunRequest

REFRESH = "5Aep861FAKE.refresh.token"
WEB: trees.Changes = {
    "settings": {"callbackUrl": PASTED},
    "oauth": {"commaSeparatedOauthScopes": "Api, Basic, Web, RefreshToken"},
}
ALONE: trees.Changes = {
    "settings": {"callbackUrl": None, **trees.CLIENT_CREDENTIALS},
    "policies": trees.CLIENT_CREDENTIALS,
}
HAND_OVER = LoginOptions(hand_over=True)


def host(alias: str) -> str:
    return f"acme--{alias}.sandbox.my.salesforce.com"


@dataclass
class Scene:
    """A run in a folder of its own, and what it left behind."""

    root: Path
    standin: StandIn
    orgs: Orgs = field(default_factory=lambda: Orgs(scope="api web refresh_token", refresh=REFRESH))
    files: trees.Files = field(default_factory=lambda: trees.app("Billing", **WEB))
    sf: type[Sf] = Sf
    notes: list[str] = field(default_factory=list)
    report: Report = field(default_factory=Report)

    def run(
        self, *aliases: str, how: LoginOptions = HAND_OVER, which: OrgSelection | None = None, last: str | None = None
    ) -> Report:
        root = trees.plant(self.root / "project", trees.project() | self.files)
        environment = Environment(
            {"PATH": str(self.standin.folder), "HOME": str(self.root), "ECAPIPE_STATE_DIR": str(self.root / "state")}
        )
        named = OrgSelection(tuple(f"{alias}=https://{host(alias)}" for alias in aliases or ("uat",)))
        request = RunRequest(ProjectSelection((str(root),)), which or named, how, last)
        outcome = scripted.run(request, self.orgs, environment, sf=self.sf(environment))
        self.report, self.notes = outcome.report, outcome.notes
        return self.report

    @property
    def given(self) -> list[str]:
        """The commands that were given a login, with their alias."""
        return [
            f"{call.command} {word}"
            for call in self.standin.calls
            if call.command.startswith("org login")
            for word in call.argv
            if word.startswith("--alias")
        ]

    @property
    def outcomes(self) -> dict[str, str]:
        return {f"{each.stage.name} {each.subject}".strip(): each.outcome for each in self.report.ended}

    @property
    def tokens(self) -> dict[str, str]:
        return {str(subject): login.token for subject, login in self.report.logins.items()}

    @property
    def problems(self) -> list[str]:
        return [problem.name for problem in self.report.problems]


def answers(standin: StandIn) -> None:
    """Let it keep whatever it is given."""
    kept = {"username": "ada@uat.example", "orgId": org_id(host("uat")), "instanceUrl": f"https://{host('uat')}"}
    standin.gives("org login sfdx-url", kept)
    standin.gives("org login access-token", kept)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    standin = StandIn(tmp_path / "bin")
    answers(standin)
    return Scene(tmp_path, standin)


def test_a_web_login_is_handed_over_last_and_forgotten(scene: Scene) -> None:
    assert scene.run().status == 0
    assert [each.stage.name for each in scene.report.ended][-4:] == ["authorize", "token", "verify", "hand-over"]
    assert scene.report.stages[-1].title == "Handing over to Salesforce CLI"
    assert scene.tokens == {"Billing@uat": "handedOver"}
    assert scene.report.ended[-1].facts == {
        "alias": "uat", "kept": "consumer secret and refresh token",
    }  # fmt: skip
    assert [call.command for call in scene.standin.calls] == ["version", "org list auth", "org login sfdx-url"]
    key, secret = trees.key("Billing"), trees.secret("Billing")
    assert scene.standin.calls[-1].given == f"force://{key}:{secret}:{REFRESH}@{host('uat')}"
    assert scene.orgs.revoked == []


def test_the_scopes_that_the_salesforce_cli_needs_are_asked_for(scene: Scene) -> None:
    scene.run()
    (asked,) = scene.orgs.authorized
    assert asked["scope"] == ["api id web refresh_token"]


@pytest.mark.parametrize(
    ("has", "scopes", "asked"),
    [
        ("Api, Basic, Web, RefreshToken", "id", "id refresh_token api web"),
        ("Full, RefreshToken", None, "full refresh_token api web"),
        ("Basic, OfflineAccess, Api", None, "id api refresh_token"),
        ("Basic, Api", None, "id api"),
        (None, None, "refresh_token api web"),
        (None, "id api", "id api refresh_token web"),
    ],
)
def test_no_scope_is_asked_for_that_the_app_is_known_to_lack(
    has: str | None, scopes: str | None, asked: str, scene: Scene
) -> None:
    scene.files = trees.app("Billing", **(WEB | {"oauth": {"commaSeparatedOauthScopes": has}}))
    scene.run(how=replace(HAND_OVER, scopes=scopes))
    assert scene.orgs.authorized[0]["scope"] == [asked]


def test_without_a_hand_over_no_refresh_token_is_asked_for(scene: Scene) -> None:
    scene.run(how=LoginOptions())
    assert scene.orgs.authorized[0]["scope"] == ["api id web"]
    assert scene.standin.calls == []
    assert "hand-over Billing@uat" not in scene.outcomes


@pytest.mark.parametrize("usable", [True, False])
def test_a_jwt_login_is_handed_over_with_its_key_so_that_it_can_be_renewed(usable: bool, scene: Scene) -> None:
    """As ``sf org login jwt`` does it; a key that is in no file is no help to it later."""
    pair = {"certificate": certificate(rsa_key()), "callbackUrl": None, "consumerSecret": None}
    scene.files, scene.orgs.refresh = trees.app("Billing", settings=pair), None
    kept = {"username": "ada@uat.example", "orgId": org_id(host("uat")), "instanceUrl": f"https://{host('uat')}"}
    scene.standin.gives("org login jwt", kept)
    key = written(scene.root, pem(rsa_key()))
    if not usable:
        # A pipe, as <(...) of a shell is.
        key = str(scene.root / "pipe")
        os.mkfifo(key)
        threading.Thread(target=Path(key).write_bytes, args=(pem(rsa_key()),), daemon=True).start()
    which = OrgSelection((f"uat=https://{host('uat')}",), username="ada@uat.example")
    scene.run(how=replace(HAND_OVER, flow="jwt", key_file=key), which=which)
    assert scene.tokens == {"Billing@uat": "handedOver"}
    call = scene.standin.calls[-1]
    if usable:
        assert call.command == "org login jwt"
        assert call.argv[3:8] == [
            "--username=ada@uat.example", f"--jwt-key-file={key}", f"--client-id={trees.key('Billing')}",
            f"--instance-url=https://{host('uat')}", "--alias=uat",
        ]  # fmt: skip
        assert scene.report.ended[-1].facts["kept"] == "path of the private key"
    else:
        assert call.command == "org login access-token"
        assert "cannot renew this login" in str(scene.report.ended[-1].reason)


def test_without_a_refresh_token_the_access_token_is_handed_over(scene: Scene) -> None:
    scene.files = trees.app("Billing", **ALONE)
    scene.run()
    assert scene.tokens == {"Billing@uat": "handedOver"}
    assert scene.report.ended[-1].facts["kept"] == "access token only"
    assert scene.standin.calls[-1].given == scripted.access_token(host("uat"))


def test_an_earlier_login_that_stays_beside_an_access_token_is_told(scene: Scene) -> None:
    scene.files = trees.app("Billing", **ALONE)
    scene.standin.keeps(login("uat", "ada@uat.example", org_id(host("uat"))))
    scene.run()
    assert scene.outcomes["hand-over Billing@uat"] == "warning"
    assert "had a login of ada@uat.example" in scene.report.warnings[-1]


def test_it_becomes_the_default_org_where_that_is_wanted(scene: Scene) -> None:
    scene.run(how=replace(HAND_OVER, set_default=True))
    assert scene.standin.calls[-1].argv[-3:] == ["--alias=uat", "--set-default", "--json"]


def test_only_one_org_can_be_the_default(scene: Scene) -> None:
    assert scene.run("uat", "prod", how=replace(HAND_OVER, set_default=True)).status == 2
    assert scene.problems == [not_one_default.name]
    assert scene.standin.calls == []


def test_several_orgs_are_handed_over(scene: Scene) -> None:
    scene.files = trees.app("Billing", **ALONE)
    scene.run("uat", "prod", "dev")
    assert sorted(scene.given) == [f"org login access-token --alias={alias}" for alias in ("dev", "prod", "uat")]
    assert set(scene.tokens.values()) == {"handedOver"}


def test_one_failure_leaves_the_others(scene: Scene) -> None:
    scene.files = trees.app("Billing", **ALONE)
    refused = json.dumps({"status": 1, "name": "X", "message": "due to: invalid client credentials"})
    scene.standin.says("org login access-token", json.dumps({"status": 0, "result": scene_login("uat")}),
                       answers={"--alias=prod": refused})  # fmt: skip
    assert scene.run("uat", "prod", "dev").status == 68
    assert sorted(scene.tokens) == ["Billing@dev", "Billing@uat"]
    assert scene.outcomes["hand-over Billing@prod"] == "failed"
    assert scene.problems == [invalid_client.name]
    assert scene.report.problems[0].host == host("prod")


def scene_login(alias: str) -> dict[str, str]:
    return {"username": f"ada@{alias}.example", "orgId": org_id(host(alias)), "instanceUrl": f"https://{host(alias)}"}


def test_a_refresh_token_that_nobody_holds_is_revoked(scene: Scene) -> None:
    scene.standin.fails("org login sfdx-url", "RefreshTokenAuthError", "due to: fetch failed", 10)
    assert scene.run().status == 1
    assert scene.orgs.revoked == [REFRESH]
    assert (scene.problems, scene.report.ended[-1].facts) == ([sf_unreachable.name], {"revoked": True})
    assert scene.tokens == {}


def test_one_that_has_no_place_in_a_login_url_is_revoked_too(scene: Scene) -> None:
    scene.orgs.refresh = "5Aep861/FAKE"
    scene.run()
    assert (scene.problems, scene.orgs.revoked) == ([hand_over_not_possible.name], ["5Aep861/FAKE"])


class Hanging(Sf):
    """It takes a login, and is never heard of again."""

    def log_in(self, login: Handover) -> SfLogin:
        raise EcapipeError(sf_timed_out("sf org login sfdx-url", 180))


def test_one_whose_fate_is_unknown_is_left_alone(scene: Scene) -> None:
    scene.sf = Hanging
    scene.run()
    assert (scene.problems, scene.orgs.revoked) == ([sf_timed_out.name], [])


def test_a_dev_hub_gets_its_hint(scene: Scene) -> None:
    scene.standin.gives("org login sfdx-url", {**scene_login("uat"), "isDevHub": True})
    scene.run()
    assert any("SF_SCRATCH_SIGNUP_CONNECTED_APP=PlatformCLI" in note for note in scene.notes)


# --- before anyone signs in ---


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_missing_salesforce_cli_is_told_before_anything_is_done(dry_run: bool, scene: Scene) -> None:
    (scene.standin.folder / "sf").unlink()
    last = "authorize" if dry_run else None
    assert scene.run(how=replace(HAND_OVER, dry_run=dry_run), last=last).status == 1
    assert (scene.problems, scene.orgs.authorized) == ([sf_not_found.name], [])


@pytest.mark.parametrize("dry_run", [False, True])
def test_one_that_is_too_old_is_told_before_anything_is_done(dry_run: bool, scene: Scene) -> None:
    scene.standin.says("version", json.dumps({**salesforce_cli.VERSION, "cliVersion": "@salesforce/cli/2.100.4"}))
    last = "authorize" if dry_run else None
    scene.run(how=replace(HAND_OVER, dry_run=dry_run), last=last)
    assert (scene.problems, scene.orgs.authorized) == ([sf_too_old.name], [])


def losing(scene: Scene) -> None:
    """Let the Salesforce CLI run on an sfdx-core that throws rotated tokens away."""
    core = scene.root / "cli/node_modules/@salesforce/core/package.json"
    core.parent.mkdir(parents=True)
    core.write_text('{"version": "9.1.7"}', encoding="utf-8")
    scene.standin.says("version", json.dumps({**salesforce_cli.VERSION, "rootPath": str(scene.root / "cli")}))


@pytest.mark.parametrize("dry_run", [False, True])
def test_rotation_with_an_sfdx_core_that_loses_tokens_is_a_warning(dry_run: bool, scene: Scene) -> None:
    losing(scene)
    rotating = {"callbackUrl": PASTED, "isRefreshTokenRotationEnabled": "true"}
    scene.files = trees.app("Billing", **(WEB | {"settings": rotating}))
    last = "authorize" if dry_run else None
    assert scene.run(how=replace(HAND_OVER, dry_run=dry_run), last=last).status == 0
    assert scene.outcomes["check Billing"] == "warning"
    assert "9.1.7" in scene.report.warnings[0]


def test_an_app_without_rotation_is_none(scene: Scene) -> None:
    losing(scene)
    scene.run()
    assert scene.outcomes["check Billing"] == "passed"


def test_an_app_without_refresh_scope_is_told_what_can_be_kept(scene: Scene) -> None:
    scene.files = trees.app("Billing", settings=WEB["settings"])
    scene.orgs.refresh = None
    assert scene.run().status == 0
    assert "does not have the scope refresh_token" in scene.report.warnings[0]
    assert scene.report.ended[-1].facts["kept"] == "access token only"


def test_a_secret_that_has_no_place_in_a_login_url_is_told_before_anyone_signs_in(scene: Scene) -> None:
    scene.files = trees.app(
        "Billing", **(WEB | {"settings": {"callbackUrl": PASTED, "consumerSecret": "a/b+c/d=e/f"}})
    )
    scene.run()
    assert (scene.problems, scene.orgs.authorized) == ([hand_over_not_possible.name], [])


def test_a_login_that_is_bound_to_a_key_is_refused_before_anyone_signs_in(scene: Scene) -> None:
    scene.files = trees.app("Billing", **(WEB | {"settings": {"callbackUrl": PASTED, "isDPopEnabled": "true"}}))
    scene.run()
    assert (scene.problems, scene.orgs.asked, scene.orgs.authorized) == ([hand_over_not_possible.name], [], [])
    assert "bound to a key (DPoP)" in scene.report.problems[0].message
    assert "--print-token" not in " ".join(scene.report.problems[0].actions), "a printed token has lost its key"


def test_several_apps_for_one_org_are_refused_before_anyone_signs_in(scene: Scene) -> None:
    scene.files |= trees.app("Portal", **WEB)
    assert scene.run().status == 1
    assert (scene.problems, scene.orgs.authorized) == ([hand_over_ambiguous.name] * 2, [])


def test_an_app_that_cannot_log_in_does_not_stand_in_the_way(scene: Scene) -> None:
    scene.files |= trees.app("Portal", settings={"callbackUrl": PASTED, "consumerKey": None})
    assert scene.run().status == 68
    assert scene.tokens == {"Billing@uat": "handedOver"}


def test_one_username_in_several_orgs_is_refused_before_anyone_signs_in(scene: Scene) -> None:
    orgs = {alias: {"url": f"https://{host(alias)}", "username": "ada@acme.example"} for alias in ("uat", "prod")}
    scene.files |= trees.project(plugins={"ecapipe": {"orgs": orgs}})
    scene.run(which=OrgSelection(("uat", "prod")))
    assert (scene.problems, scene.orgs.authorized) == ([sf_username_taken.name] * 2, [])


def test_a_username_that_is_kept_for_another_org_is_refused_before_anyone_signs_in(scene: Scene) -> None:
    scene.standin.keeps(login("prod", "Ada@acme.example", "00D000000000009EAA"))
    uat = {"url": f"https://{host('uat')}", "username": "ada@acme.example", "orgId": org_id(host("uat"))}
    scene.files |= trees.project(plugins={"ecapipe": {"orgs": {"uat": uat}}})
    scene.run(which=OrgSelection(("uat",)))
    assert (scene.problems, scene.orgs.authorized) == ([sf_username_taken.name], [])


def test_a_username_that_turns_out_to_be_in_several_orgs_is_handed_over_once(scene: Scene) -> None:
    scene.files = trees.app("Billing", **ALONE)
    scene.orgs.users = {host("uat"): "ada@acme.example", host("prod"): "ada@acme.example"}
    kept = {"username": "ada@acme.example", "instanceUrl": "https://x"}
    scene.standin.says(
        "org login access-token",
        answers={
            f"--alias={alias}": json.dumps({"status": 0, "result": {**kept, "orgId": org_id(host(alias))}})
            for alias in ("uat", "prod")
        },
    )
    assert scene.run("uat", "prod").status == 68
    assert scene.problems == [sf_username_taken.name]
    assert len(scene.given) == 1


# --- an alias that the Salesforce CLI knows for another org ---

SET_DEFAULT, REPLACE = replace(HAND_OVER, set_default=True), replace(HAND_OVER, replace_alias=True)


def stranger(scene: Scene, **members: str) -> OrgSelection:
    """A tree that calls its own org by the name of somebody's production."""
    scene.files |= trees.project(
        plugins={"ecapipe": {"orgs": {"prod": {"url": f"https://{host('uat')}", **members}}}}
    )
    return OrgSelection(("prod",))


@pytest.mark.parametrize("how", [HAND_OVER, SET_DEFAULT, REPLACE, replace(HAND_OVER, dry_run=True)])
@pytest.mark.parametrize("known", ["the host", "the id"])
def test_a_tree_points_no_alias_to_another_org(known: str, how: LoginOptions, scene: Scene) -> None:
    if known == "the host":
        scene.standin.keeps(login("prod", org_id="00D000000000009EAA", url="https://acme.my.salesforce.com"))
        which = stranger(scene)
    else:
        scene.standin.keeps(login("prod", org_id="00D000000000009EAA", url=f"https://{host('uat')}"))
        which = stranger(scene, orgId=org_id(host("uat")))
    assert scene.run(which=which, how=how, last="authorize" if how.dry_run else None).status == 1
    assert (scene.problems, scene.orgs.authorized, scene.given) == ([alias_taken.name], [], [])


def test_an_id_that_a_tree_makes_up_does_not_help_it(scene: Scene) -> None:
    scene.standin.keeps(login("prod", org_id="00D000000000009EAA", url="https://acme.my.salesforce.com"))
    scene.run(which=stranger(scene, orgId="00D000000000009EAA"), how=REPLACE)
    assert (scene.problems, scene.given) == ([wrong_org.name], [])


@pytest.mark.parametrize("replaces", [False, True])
def test_the_user_may_point_an_alias_to_another_org(replaces: bool, scene: Scene) -> None:
    scene.standin.keeps(login("uat", org_id="00D000000000009EAA", url="https://acme.my.salesforce.com"))
    assert scene.run(how=REPLACE if replaces else HAND_OVER).status == (0 if replaces else 1)
    assert scene.given == (["org login sfdx-url --alias=uat"] if replaces else [])
    assert scene.problems == ([] if replaces else [alias_taken.name])


def test_an_org_that_only_its_id_tells_apart_is_refused_before_it_is_handed_over(scene: Scene) -> None:
    scene.standin.keeps(login("uat", org_id="00D000000000009EAA", url=f"https://{host('uat')}"))
    assert scene.run().status == 1
    assert (scene.problems, scene.given, scene.orgs.revoked) == ([alias_taken.name], [], [REFRESH])
    assert len(scene.orgs.authorized) == 1


def test_an_alias_of_the_same_org_stays_usable(scene: Scene) -> None:
    kept = login("uat", "bob@acme.example", org_id(host("uat")), f"https://{host('uat')}")
    scene.standin.keeps(kept, login("prod", org_id="00D000000000009EAA"))
    assert scene.run().status == 0
    assert scene.given == ["org login sfdx-url --alias=uat"]


def test_what_keeps_its_logins_from_being_told_is_said_before_anyone_signs_in(scene: Scene) -> None:
    scene.standin.fails("org list auth", "JsonParseError", "unexpected end of alias.json")
    assert scene.run().status == 1
    assert (scene.problems, scene.orgs.authorized) == ([sf_failed.name], [])
