"""Apps without a settings file: whose key and secret they use, what is said of that, and what needs no such file."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import trees
from cli.test_jwt import ADA, Scene, scene
from commandline import inside
from fakes.batch import batch
from keypairs import PASSPHRASE
from loopback import free_port

from ecapipe.render.reports import FORMATS

__all__ = ["scene"]

HOME, OTHER, TARGET = "00D000000000001EAA", "00D000000000002EAA", "00D000000000003EAA"
URL = "https://acme.my.salesforce.com"


def without_file(made_in: str | None = HOME, *, link: str | None = HOME, name: str = "Acme") -> trees.Files:
    """An app as a clone has it: all was retrieved, and the settings file is not there."""
    header = {"orgScopedExternalApp": f"{made_in}:{name}"} if made_in else {}
    return trees.app(name, settings=None, header=header, oauth={"oauthLink": link and f"{link}:888000000000001AAA"})


def plant(root: Path, *apps: trees.Files, org_id: str | None = None) -> Path:
    orgs = {"dev": {"url": URL} | ({"orgId": org_id} if org_id else {})}
    files = trees.project(plugins={"ecapipe": {"orgs": orgs}})
    for app in apps:
        files |= app
    return trees.plant(root, files)


# --- app check ----------------------------------------------------------------------------------------------

PAIR = {"ECAPIPE_CLIENT_ID_ACME": trees.key("Acme"), "ECAPIPE_CLIENT_SECRET_ACME": trees.secret("Acme")}
CHECKS: list[tuple[str | None, str | None, list[str], dict[str, str], tuple[int, str | None, str]]] = [
    # where it was made, the target's id, flags, variables; status, level, whose
    (HOME, None, [], {}, (1, "error", "own")),
    (None, None, [], {}, (1, "error", "own")),
    (OTHER, None, [], {}, (0, "note", "sourceOrg")),
    (HOME, HOME[:15], ["-o", "dev"], {}, (1, "error", "own")),
    (OTHER, HOME, ["-o", "dev"], {}, (1, "error", "own")),
    (HOME, TARGET, ["-o", "dev"], {}, (0, "note", "sourceOrg")),
    (HOME, None, ["-o", "dev"], {}, (1, "error", "own")),
    (HOME, HOME, ["-o", "dev", "--for", "deploy"], {}, (0, "note", "own")),
    (HOME, None, ["--for", "commit"], {}, (0, None, "own")),
    (HOME, None, [], PAIR, (0, "warning", "own")),
    (HOME, None, [], {"ECAPIPE_CLIENT_ID_ACME": trees.key("Acme")}, (1, "error", "own")),
]


@pytest.mark.parametrize(("made_in", "org_id", "flags", "variables", "expected"), CHECKS)
def test_a_clone_without_the_file_cannot_log_in_unless_it_is_linked(
    tmp_path: Path,
    made_in: str | None,
    org_id: str | None,
    flags: list[str],
    variables: dict[str, str],
    expected: tuple[int, str | None, str],
) -> None:
    root = plant(tmp_path, without_file(made_in), org_id=org_id)
    ended = inside("app", "check", *flags, "--json", at=root, **variables)
    found = [each["level"] for each in ended.result["findings"] if each["rule"] == "settings-missing"]
    (app,) = ended.result["apps"]
    assert (ended.status, next(iter(found), None), app["credentialsOf"]) == expected
    assert app["sourceOrgId"] == (HOME if expected[2] == "sourceOrg" else None)


def test_a_check_says_which_variable_was_to_stand_in_for_the_file_and_cannot(tmp_path: Path) -> None:
    variables = {"ECAPIPE_CLIENT_ID_ACME": "$(KEY)", "ECAPIPE_CLIENT_SECRET_ACME": ""}
    ended = inside("app", "check", "--json", at=plant(tmp_path, without_file()), **variables)
    told = [f"{name} {fault}." for name, fault in zip(variables, ("contains a placeholder", "is empty"), strict=True)]
    (app,), (message, *_) = ended.result["apps"], [each["message"] for each in ended.result["findings"]]
    assert message.endswith(" ".join(told))
    assert [app["credentials"][each]["causes"] for each in ("consumerKey", "consumerSecret")] == [
        [each] for each in told
    ]


def test_a_list_of_apps_does_not_call_them_linked(tmp_path: Path) -> None:
    root = plant(tmp_path, without_file(), without_file(OTHER, name="Linked"), without_file(link=None, name="New"))
    lines = [line for line in inside("app", "list", at=root).out.splitlines() if "Settings:" in line]
    assert lines == [
        "  Settings: none: not retrieved, kept out of git, or linked",
        f"  Settings: none: likely linked, key and secret belong to org {HOME}",
        "  Settings: none",
    ]


# --- no run that fails in silence -----------------------------------------------------------------------------

PACKAGED = trees.app("Acme", settings=None, header={"distributionState": "Packaged"})
SAML = trees.app("Acme", settings=None, oauth=None) | {
    f"{trees.DEFAULT}/saml/Acme.ecaSamlPlcy-meta.xml": trees.xml(
        "ExtlClntAppSamlConfigurablePolicies", {"externalClientApplication": "Acme"}
    )
}
ROBOT = trees.robot()
SILENT: dict[str, tuple[list[trees.Files], str | None, list[str], str]] = {
    # the apps, the target's id, flags; the problem of Acme
    "not retrieved": ([without_file()], None, [], "SettingsNotRetrieved"),
    "not retrieved from the target": ([without_file()], HOME, [], "SettingsNotRetrieved"),
    "likely linked": ([without_file(OTHER)], None, [], "SettingsInSourceOrg"),
    "linked": ([without_file()], TARGET, [], "SettingsInSourceOrg"),
    "named": ([without_file(OTHER)], None, ["-n", "Acme"], "SettingsInSourceOrg"),
    "packaged": ([PACKAGED], None, [], "SettingsNotPackaged"),
    "SAML": ([SAML], None, [], "NoOauthSettings"),
    "no secret": ([trees.app("Acme", settings={"consumerSecret": None})], None, [], "ConsumerSecretMissing"),
    "the other login fails": ([without_file(OTHER), ROBOT], None, [], "SettingsInSourceOrg"),
    "the other flow fails": ([trees.app("Acme"), ROBOT], None, ["--flow", "client-credentials"], "FlowNotPossible"),
    "before any login": ([without_file(OTHER)], None, ["--until", "locate"], "SettingsInSourceOrg"),
    "a dry run": ([without_file(OTHER)], None, ["--dry-run"], "SettingsInSourceOrg"),
}


@pytest.mark.parametrize("case", SILENT)
def test_a_run_in_which_nothing_succeeded_says_why_in_every_format(tmp_path: Path, case: str) -> None:
    apps, org_id, flags, name = SILENT[case]
    root = plant(tmp_path, *apps)
    rows = [{"alias": "uat", "url": f"http://localhost:{free_port()}", **({"orgId": org_id} if org_id else {})}]
    (root / "orgs.json").write_text(json.dumps(rows))
    command = [
        "run",
        "-f",
        "orgs.json",
        "--allow-host",
        "localhost",
        *flags,
        *(f"--report={each}=out.{each}" for each in FORMATS),
    ]

    ended = inside(*command, "--json", at=root, GITHUB_ACTIONS="true")
    (failure,) = [each for each in ended.result["failures"] if each["app"] == "Acme"]
    told = [each["problem"]["name"] for each in ended.result["stages"] if each["app"] == "Acme" and each["problem"]]
    assert (ended.status, failure["name"], told) == (1, name, [name])
    assert "Acme" in failure["message"]
    assert f"title={name}::" in ended.err, "an annotation"
    reports = {each: (root / f"out.{each}").read_text() for each in FORMATS}
    shown = inside("runs", "show", at=root)
    if not {"--until", "--dry-run"} & {*flags}:  # there is nothing to go on with
        reports["runs show"] = shown.out
    for form, text in reports.items():
        assert name in text, form
        assert "Acme" in text, form
    assert "<failure" in reports["junit"]

    for length in (["--concise"], []):
        said = inside(*command, *length, at=root)
        assert said.status == 1
        assert said.err.count(f"Error ({name})") == 1
        assert failure["message"] in " ".join(said.err.split())
        assert (failure["message"] in said.out) == (not length and case.startswith("the other")), "told once"
        for action in failure["actions"]:
            assert action in said.err


def test_what_only_came_from_the_crossing_is_skipped_where_something_succeeds(tmp_path: Path) -> None:
    with batch(tmp_path, ("dev",)) as made:
        trees.plant(made.root, without_file(OTHER))
        ended = inside(*made.run("dev"), "--json", at=tmp_path)
        assert (ended.status, ended.result["failures"]) == (0, [])
        assert ended.outcomes["locate Acme"] == "skipped"
        assert inside(*made.run("dev"), "--concise", at=tmp_path).err == ""
        probed = inside("app", "probe", *made.run("dev")[1:], "--json", at=tmp_path)
        assert (probed.status, probed.result["summary"]["skipped"]) == (0, 1)
        alone = inside("app", "probe", *made.run("dev")[1:], "-n", "Acme", "--json", at=tmp_path)
        assert alone.status == 1


def test_a_probe_that_nobody_accepts_says_what_to_do_about_each(tmp_path: Path) -> None:
    root = plant(tmp_path, without_file(OTHER))
    ended = inside("app", "probe", "-o", URL, at=root)
    assert ended.status == 1
    assert re.search(r"^Acme@acme.my.salesforce.com +missing +Acme is likely linked", ended.out, re.MULTILINE)
    assert "--credentials-dir" in ended.out


# --- without the file -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", [[], ["--flow", "client-credentials"]])
def test_key_and_secret_from_outside_log_in_without_the_file(tmp_path: Path, flow: list[str]) -> None:
    with batch(tmp_path / "made", ("dev", "uat")) as made:
        root = trees.plant(tmp_path / "clone", trees.project() | without_file(OTHER, name="Batch"))
        clone = replace(made, root=root)
        one = {"ECAPIPE_CLIENT_ID_BATCH": trees.key("Batch"), "ECAPIPE_CLIENT_SECRET_BATCH": trees.secret("Batch")}
        ended = inside(*clone.run("dev"), *flow, "--json", at=tmp_path, **one)
        assert ended.status == 0, ended
        (success,) = ended.result["successes"]
        assert success["flow"] == "client-credentials"
        stages = {each["stage"]: each for each in ended.result["stages"] if each["app"] and not each["org"]}
        assert stages["locate"]["outcome"] == "skipped"
        assert "come from elsewhere" in stages["locate"]["reason"]
        assert stages["check"]["facts"] == {"consumerKey": "environment", "consumerSecret": "environment"}
        assert trees.secret("Batch") not in ended.out + ended.err

        for_one = {f"{name}_DEV": value for name, value in one.items()}
        crossing = inside(*clone.run("dev", "uat"), "--json", at=tmp_path, **for_one)
        assert (crossing.status, crossing.result["failures"]) == (0, [])
        assert crossing.outcomes["authorize Batch@uat"] == "skipped"
        named = inside(*clone.run("dev", "uat"), "-n", "Batch", "--json", at=tmp_path, **for_one)
        assert named.status == 68
        (failure,) = named.result["failures"]
        assert (failure["org"], failure["name"]) == ("uat", "SettingsInSourceOrg")

        web = inside(*clone.run("dev"), "--flow", "web", "--json", at=tmp_path, **one)
        (failure,) = web.result["failures"]
        assert (web.status, failure["name"]) == (1, "FlowNotPossible")
        assert "callback URLs are in its global OAuth settings file" in failure["message"]
        assert "Use --flow client-credentials." in failure["actions"]

        probed = inside("app", "probe", *clone.run("dev")[1:], "--json", at=tmp_path, **one)
        assert (probed.status, probed.result["probes"][0]["verdict"]) == (0, "accepted")


@pytest.mark.parametrize("variables", [{"ECAPIPE_CLIENT_ID": "A_KEY"}, {"ECAPIPE_CLIENT_SECRET": "0" * 63 + "1"}])
def test_half_a_pair_is_not_enough(tmp_path: Path, variables: dict[str, str]) -> None:
    ended = inside("run", "-o", URL, "--json", at=plant(tmp_path, without_file()), **variables)
    assert [each["name"] for each in ended.result["failures"]] == ["SettingsNotRetrieved"]


def test_a_secret_that_cannot_be_read_is_what_is_told(tmp_path: Path) -> None:
    variables = {"ECAPIPE_CLIENT_ID": "A_KEY", "ECAPIPE_CLIENT_SECRET_FILE": str(tmp_path / "gone")}
    ended = inside("run", "-o", URL, "--json", at=plant(tmp_path, without_file()), **variables)
    (failure,) = ended.result["failures"]
    assert failure["stage"] == "check"
    assert failure["name"] != "SettingsNotRetrieved"
    assert "ECAPIPE_CLIENT_SECRET_FILE" in failure["message"]


def test_the_variable_that_a_row_names_is_the_one_to_set(tmp_path: Path) -> None:
    root = plant(tmp_path, without_file())
    (root / "orgs.json").write_text(json.dumps([{"url": URL, "secretEnv": "DEV_SECRET"}]))
    ended = inside("run", "-f", "orgs.json", "--json", at=root)
    (failure,) = ended.result["failures"]
    assert "set ECAPIPE_CLIENT_ID_ACME and DEV_SECRET" in " ".join(failure["actions"])


def test_a_private_key_and_a_consumer_key_log_in_without_the_file(scene: Scene) -> None:
    for file in scene.root.rglob("*.ecaGlblOauth-meta.xml"):
        file.unlink()
    variables = {"ECAPIPE_JWT_KEY_PASSPHRASE": PASSPHRASE, "ECAPIPE_CLIENT_ID": trees.key("Billing")}
    ended = inside(*scene.command("--jwt-key-file", scene.key, "--json"), at=scene.home, **variables)
    assert ended.status == 0, ended
    (success,) = ended.result["successes"]
    assert (success["flow"], success["username"]) == ("jwt", ADA)
    scene.check(ended)


def test_a_short_dry_run_names_each_login_and_its_flow(tmp_path: Path) -> None:
    root = plant(tmp_path, trees.app("Acme"), ROBOT)
    ended = inside(
        "run", "-o", URL, "--flow", "web", "-n", "Acme", "--callback", "paste", "--dry-run", "--concise", at=root
    )
    host = URL.removeprefix("https://")
    assert (ended.status, ended.out) == (0, f"Acme@{host}: web at {host}\n")


def test_a_probe_warns_of_a_pair_from_two_sources(tmp_path: Path) -> None:
    with batch(tmp_path, ("dev",)) as made:
        ended = inside("app", "probe", *made.run("dev")[1:], at=tmp_path, ECAPIPE_CLIENT_ID_BATCH=trees.key("Batch"))
    assert "Batch@dev: The consumer key comes from environment, the consumer secret from file" in ended.err


# --- a file that is there, and cannot be read -------------------------------------------------------------------

SETTINGS = f"{trees.DEFAULT}/extlClntAppGlobalOauthSets/Acme_glbloauth.ecaGlblOauth-meta.xml"
UNREADABLE = {
    "not closed": ("</consumerKey>", "</oops>"),
    "a DOCTYPE": ("?>\n", "?>\n<!DOCTYPE x>\n"),
    "of no app": ("<externalClientApplication>Acme</externalClientApplication>", ""),
    "another root": ("ExtlClntAppGlobalOauthSettings", "Profile"),
    "empty": (None, ""),
}


@pytest.mark.parametrize("case", UNREADABLE)
@pytest.mark.parametrize("base", [without_file(), without_file(OTHER), PACKAGED])
def test_a_settings_file_that_cannot_be_read_is_not_missing(tmp_path: Path, case: str, base: trees.Files) -> None:
    old, new = UNREADABLE[case]
    text = str(trees.app("Acme")[SETTINGS])
    root = plant(tmp_path, base, {SETTINGS: new if old is None else text.replace(old, new)}, trees.app("Portal"))
    checked = inside("app", "check", "--json", at=root)
    errors = [each for each in checked.result["findings"] if each["level"] == "error"]
    assert checked.status == 1
    assert [(each["app"], each["file"]) for each in errors] == [(None, SETTINGS)]
    assert f"Settings: not read: {SETTINGS}" in inside("app", "list", at=root).out

    ended = inside("run", "-o", URL, "--json", at=root)
    (failure,) = [each for each in ended.result["failures"] if each["app"] == "Acme"]
    assert (failure["stage"], failure["name"]) == (
        "locate",
        "WrongRoot" if case == "another root" else "MalformedXml",
    )
    assert "retrieved, or" not in failure["message"]
    probed = inside("app", "probe", "-o", URL, "-n", "Acme", "--json", at=root)
    assert (probed.status, probed.result["probes"][0]["verdict"]) == (1, "missing")
    assert SETTINGS in probed.result["probes"][0]["message"]


@pytest.mark.parametrize("name", ["Acme.ecaGlblOauth-META.XML", "Acme.ecaGlblOauth.xml", "x.ecaGlobalOauth-meta.xml"])
def test_a_settings_file_that_is_misnamed_is_not_missing(tmp_path: Path, name: str) -> None:
    path = SETTINGS.replace("Acme_glbloauth.ecaGlblOauth-meta.xml", name)
    root = plant(tmp_path, without_file(), {path: trees.app("Acme")[SETTINGS]})
    checked = inside("app", "check", "--json", at=root)
    assert [each["rule"] for each in checked.result["findings"] if each["level"] == "error"] == ["suffix-misspelt"]
    (failure,) = inside("run", "-o", URL, "--json", at=root).result["failures"]
    assert (failure["app"], failure["name"]) == ("Acme", "SuffixMisspelt")


def test_another_apps_file_that_cannot_be_read_says_nothing_of_this_one(tmp_path: Path) -> None:
    broken: trees.Files = {SETTINGS: str(trees.app("Acme")[SETTINGS]).replace("</consumerKey>", "</oops>")}
    root = plant(tmp_path, without_file(), without_file(name="Portal"), broken)
    ended = inside("run", "-o", URL, "--json", at=root)
    names = {each["app"]: each["name"] for each in ended.result["failures"]}
    assert names == {"Acme": "MalformedXml", "Portal": "SettingsNotRetrieved"}


def test_a_file_that_names_no_app_is_that_of_the_app_it_is_called_by(tmp_path: Path) -> None:
    others = [without_file(name=name) for name in ("Ac", "Acme_Two", "Portal")]
    root = plant(tmp_path, without_file(), *others, {SETTINGS: ""})
    found = inside("app", "check", "--json", at=root).result["findings"]
    missing = [each["app"] for each in found if each["rule"] == "settings-missing"]
    assert missing == ["Ac", "Acme_Two", "Portal"]


# --- what is said of a public client ------------------------------------------------------------------------------


@pytest.mark.parametrize("robot", [False, True])
def test_a_public_client_lacks_a_secret_only_for_a_flow_that_needs_one(tmp_path: Path, robot: bool) -> None:
    flows = trees.CLIENT_CREDENTIALS if robot else {}
    public = {"isConsumerSecretOptional": "true", "consumerSecret": None, **flows}
    root = plant(tmp_path, trees.app("Acme", settings=public, policies=flows))
    checked = inside("app", "check", "--json", at=root)
    rules = {each["rule"]: each["level"] for each in checked.result["findings"]}
    assert rules.get("consumer-secret-missing") == ("warning" if robot else None)
    (listed,) = inside("app", "list", "--json", at=root).result["apps"]
    assert listed["credentials"]["consumerSecret"]["required"] is robot


def test_an_auto_that_is_typed_wins_over_the_org_file(tmp_path: Path) -> None:
    root = plant(tmp_path, trees.app("Acme"))
    (root / "orgs.json").write_text(json.dumps([{"alias": "dev", "url": URL, "flow": "jwt", "callback": "paste"}]))
    command = ["run", "-f", "orgs.json", "--dry-run", "--concise"]
    assert inside(*command, at=root).status == 1
    assert inside(*command, "--flow", "auto", at=root).out == "Acme@dev: web at acme.my.salesforce.com\n"
    # Nothing is left out of orgs that nobody asked for.
    assert inside("run", "--until", "check", "-n", "Acme", "--json", at=root).document["warnings"] == []
