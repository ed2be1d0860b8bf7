"""What --json prints is valid against the schemas that ship, and the schemas mean what the contract says."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import trees
from commandline import ROOT, ecapipe, started
from fakes.orgs import emulated
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from ecapipe.check.rules.registry import RULES
from ecapipe.oauth.flows.registry import CHOICES
from ecapipe.orgs import org_file
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.credentials import consumer_key_missing
from ecapipe.problems.oauth import invalid_client
from ecapipe.problems.usage import unknown_app

Json = dict[str, Any]

FILES = {
    file.name.removesuffix(".json"): json.loads(file.read_text("utf-8"))
    for file in resources.files("ecapipe").joinpath("schemas").iterdir()
}
NAMES = sorted(FILES.keys() - {"shared"})
PROJECT = trees.project() | trees.app("Billing") | trees.app("Portal", settings={"consumerKey": None})


def closed(schema: Any) -> Any:
    """The schema without room for members that it does not describe."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inside = {name: closed(value) for name, value in schema.items()}
    return {"unevaluatedProperties": False, **inside} if "properties" in schema else inside


@cache
def strict(name: str) -> Draft202012Validator:
    """One schema and what it refers to, all closed: what a result holds beyond them is a mistake of either."""
    parts = [Resource.from_contents(closed(file)) for file in FILES.values()]
    return Draft202012Validator({"$ref": FILES[name]["$id"]}, registry=parts @ Registry())


def lenient() -> Draft202012Validator:
    """The document that `ecapipe explain json-schema` prints, as a script would use it."""
    return Draft202012Validator(printed())


def printed() -> Json:
    done = ecapipe("explain", "json-schema", at=ROOT)
    return json.loads(done.out)  # type: ignore[no-any-return]


def names(name: str, document: Json) -> None:
    """Fails unless the document is valid, and of this kind only."""
    strict(name).validate(document)
    assert [each for each in NAMES if strict(each).is_valid(document)] == [name]


def outputs(root: Path) -> Iterator[tuple[str, Json]]:
    """A result of each command, and each kind of result where a command has several."""
    for name, arguments in (
        ("app-list", ["app", "list"]),
        ("app-check", ["app", "check"]),
        ("app-check", ["app", "check", "--for", "deploy"]),
        ("app-probe", ["app", "probe", "--emulator"]),
        ("app-probe", ["app", "probe", "--target-org", "http://localhost:1"]),
        ("app-protect", ["app", "protect", "--dry-run", "--replace-with-env"]),
        ("app-protect", ["app", "protect", "--rules", "gitleaks"]),
        ("doctor", ["doctor"]),
        ("doctor", ["doctor", "--storage"]),
        ("manifest", ["manifest"]),
        ("manifest", ["manifest", "--name", "Billing"]),
        ("run", ["run", "--emulator"]),
        ("run", ["run", "--emulator", "--name", "Billing", "--revoke"]),
        ("run", ["run", "--emulator", "--dry-run"]),
        ("run", ["run", "--emulator", "--report", "json=result.json"]),
        ("run", ["report", "merge", "result.json"]),
        ("runs-list", ["runs", "list"]),
        ("runs-show", ["runs", "show"]),
        ("run", ["run", "--until", "check"]),
        ("login-list", ["login", "list"]),
        ("login-logout", ["login", "logout", "--all"]),
        ("explain", ["explain"]),
        ("explain", ["explain", consumer_key_missing.name]),
        ("explain", ["explain", "consumer-key-missing"]),
        ("explain", ["explain", "json-schema"]),
        ("error", ["explain", "nothing-of-the-kind"]),
        ("error", ["app", "list", "--nonsense"]),
        ("error", ["run", "--target-org", "https://evil.example"]),
        ("error", ["app", "check", "--source-dir", "nowhere"]),
    ):
        yield name, ecapipe(*arguments, "--json", at=root).document


def test_every_result_is_described_to_its_last_member(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, PROJECT)
    check = lenient()
    seen = set()
    for name, document in outputs(root):
        names(name, document)
        check.validate(document)
        seen.add(name)
    assert seen == set(NAMES) - {"emulator-start", *KEPT}


KEPT = ("login-display", "login-refresh", "app-set-secret", "app-forget-secret")


def test_what_is_kept_is_described_to_its_last_member(tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "project", trees.project() | trees.robot())
    with emulated(root) as emulator:
        target = f"uat={emulator.urls['uat']}"
        secret = trees.secret("Robot")
        for name, arguments in (
            ("run", ["run", "-d", str(root), "-o", target, "--save", "--store", "file", "-p"]),
            ("login-list", ["login", "list"]),
            ("login-display", ["login", "display", "--verify"]),
            ("login-display", ["login", "display"]),
            ("login-refresh", ["login", "refresh"]),
            ("login-logout", ["login", "logout"]),
            ("app-set-secret", ["app", "set-secret", "Robot", "-d", str(root), "--store", "file"]),
            ("app-forget-secret", ["app", "forget-secret", "Robot"]),
            ("error", ["app", "forget-secret", "Robot"]),
            ("error", ["login", "display"]),
        ):
            names(name, ecapipe(*arguments, "--json", at=tmp_path, typed=secret).document)
    (tmp_path / ".local/state/ecapipe/logins" / f"{'0' * 32}.json").write_text("{")
    damaged = ecapipe("login", "logout", "--all", "--json", at=tmp_path).document
    names("login-logout", damaged)
    assert damaged["result"]["failures"]


def test_the_emulator_says_where_it_is_as_described(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, PROJECT)
    with started("emulator", "start", "--port", "0", "--org", "dev", "--org", "uat", "--json", at=root) as running:
        running.line("}", "out")
        running.interrupt()
        names("emulator-start", json.loads(running.end().out))


def test_explain_prints_what_ships(tmp_path: Path) -> None:
    document = printed()
    Draft202012Validator.check_schema(document)
    assert document["$defs"] == FILES
    assert [each["$ref"] for each in document["anyOf"]] == [FILES[name]["$id"] for name in NAMES]
    enveloped = ecapipe("explain", "json-schema", "--json", at=tmp_path).document
    assert enveloped["result"]["schema"] == document


def test_explain_lists_every_rule_and_problem(tmp_path: Path) -> None:
    result = ecapipe("explain", "--json", at=tmp_path).result
    assert [each["name"] for each in result["rules"]] == list(RULES)
    assert [each["name"] for each in result["problems"]] == list(CATALOGUE)


# The shapes of the interface, version 1, with every member; each alternative of a value stands in some of them.

APP: Json = {
    "name": "Billing",
    "project": "/project",
    "settingsFile": None,
    "distribution": "Local",
    "credentialsOf": "own",
    "sourceOrgId": None,
    "callbackUrls": [],
    "flows": ["web"],
    "credentials": {
        "consumerKey": {"inFile": "present", "usable": True, "source": "environment", "causes": []},
        "consumerSecret": {
            "inFile": "absent",
            "required": True,
            "usable": False,
            "source": None,
            "causes": ["A permission is lacking."],
        },
    },
}
PROJECTS: list[Json] = [{"root": "/project", "packageDirectories": ["force-app"]}]
STAGE: Json = {
    "stage": "discover",
    "app": None,
    "org": None,
    "outcome": "passed",
    "reason": None,
    "milliseconds": 12,
    "facts": {},
    "problem": None,
}
SUCCESS: Json = {
    "app": "Billing",
    "org": "uat",
    "username": "user@acme.example",
    "userId": "005000000000001AAA",
    "orgId": "00D000000000001EAA",
    "instanceUrl": "https://acme.my.salesforce.com",
    "scopes": [],
    "flow": "web",
    "token": "forgotten",
}
FAILURE: Json = {
    "app": "Billing",
    "org": "uat",
    "stage": "token",
    "name": invalid_client.name,
    "message": "No.",
    "actions": [],
    "category": "credentials",
    "retryable": False,
    "host": None,
    "httpStatus": None,
    "oauthError": None,
    "at": "2026-01-02T03:04:05Z",
}
FINDING: Json = {
    "rule": "malformed-xml",
    "level": "error",
    "message": "No.",
    "app": None,
    "file": "force-app/a.eca-meta.xml",
    "line": 3,
    "actions": [],
    "fingerprint": "0" * 32,
    "accepted": False,
}
SUMMARY: Json = {"error": 1, "warning": 0, "note": 0, "accepted": 0}


def listing() -> Json:
    return {"status": 0, "result": {"version": 1, "projects": PROJECTS, "apps": [APP]}, "warnings": []}


def check() -> Json:
    result = {**listing()["result"], "findings": [FINDING], "summary": SUMMARY}
    return {"status": 1, "result": result, "warnings": ["A sentence."]}


def run() -> Json:
    result = {
        "version": 1,
        "run": "20260102T030405Z-000000",
        "startedAt": "2026-01-02T03:04:05Z",
        "projects": PROJECTS,
        "apps": [APP],
        "stages": [STAGE],
        "successes": [SUCCESS],
        "failures": [FAILURE],
    }
    return {"status": 68, "result": result, "warnings": []}


def error() -> Json:
    return {
        "name": unknown_app.name,
        "message": "No.",
        "exitCode": 2,
        "actions": [],
        "context": "EcapipeRun",
        "warnings": [],
        "code": unknown_app.name,
        "status": 2,
        "commandName": "ecapipe run",
        "stack": "at home",
    }


SHAPES = {"app-list": listing, "app-check": check, "run": run, "error": error}


def changed(document: Json, path: str, value: object) -> Json:
    """A copy of the document with another value at a path like ``result.apps.0.name``; ... takes the member away."""
    copied = copy.deepcopy(document)
    *way, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    inside: Any = copied
    for step in way:
        inside = inside[step]
    if value is ...:
        del inside[last]
    else:
        inside[last] = value
    return copied


@pytest.mark.parametrize("name", SHAPES)
def test_the_promised_shapes_are_valid(name: str) -> None:
    names(name, SHAPES[name]())


CREDENTIALS = "result.apps.0.credentials"
ALLOWED: list[tuple[str, str, list[object]]] = [
    ("run", f"{CREDENTIALS}.consumerKey.inFile", ["present", "absent", "placeholder", "duplicate"]),
    (
        "run",
        f"{CREDENTIALS}.consumerSecret.source",
        ["environment", "replacement", "file", "keyring", "rest", "prompt", None],
    ),
    ("app-list", "result.apps.0.distribution", ["Local", "Packaged", None]),
    ("app-list", "result.apps.0.credentialsOf", ["own", "sourceOrg", "none"]),
    (
        "run",
        "result.stages.0.stage",
        ["discover", "locate", "check", "authorize", "token", "verify", "hand-over"],
    ),
    ("run", "result.stages.0.outcome", ["passed", "warning", "failed", "skipped"]),
    (
        "run",
        "result.stages.0.problem",
        [None, {"name": "A", "message": "b", "actions": ["c"], "file": None, "line": None}],
    ),
    ("run", "result.successes.0.token", ["forgotten", "revoked", "saved", "handedOver", "printed"]),
    (
        "run",
        "result.failures.0.category",
        ["config", "credentials", "policy", "org", "network", "people"],
    ),
    ("run", "status", [0, 1, 68, 69, 130]),
    ("app-check", "status", [0, 1]),
    ("app-check", "result.findings.0.level", ["error", "warning", "note"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "values"), ALLOWED)
def test_every_promised_value_is_valid_and_no_other(name: str, path: str, values: list[object]) -> None:
    for value in values:
        strict(name).validate(changed(SHAPES[name](), path, value))
    others: tuple[object, ...] = ("something else", 7, [])
    for other in others:
        assert not strict(name).is_valid(changed(SHAPES[name](), path, other)) or other in values


def members(document: object, path: str = "") -> Iterator[str]:
    if isinstance(document, dict):
        for name, value in document.items():
            yield f"{path}{name}"
            if name != "facts":
                yield from members(value, f"{path}{name}.")
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from members(value, f"{path}{number}.")


@pytest.mark.parametrize("name", SHAPES)
def test_every_promised_member_has_to_be_there(name: str) -> None:
    document = SHAPES[name]()
    for path in members(document):
        missing = changed(document, path, ...)
        assert strict(name).is_valid(missing) == (path == "stack"), path
        wrong = changed(document, path, ["of", 1, "wrong type"])
        assert not strict(name).is_valid(wrong), path


def test_new_members_do_not_break_who_relies_on_the_schemas() -> None:
    check = Draft202012Validator(printed())
    for document in (listing(), run()):
        check.validate(changed(document, "result.apps.0.anotherMember", 1))


# --- what people write --------------------------------------------------------------------------------------


def input_schema(name: str) -> Draft202012Validator:
    """The part of the shared schema for something that ecapipe reads."""
    parts = [Resource.from_contents(file) for file in FILES.values()]
    return Draft202012Validator({"$ref": f"{FILES['shared']['$id']}#/$defs/{name}"}, registry=parts @ Registry())


UAT = {"url": "https://acme--uat.sandbox.my.salesforce.com"}
ORGS: list[Json] = [
    UAT,
    {**UAT, "apps": ["A", "B"], "scopes": "api id", "flow": "jwt", "orgId": "00D000000000001"},
    {**UAT, "secretEnv": "UAT_SECRET", "browser": "none", "callback": "paste", "sourceDir": "retrieved/uat"},
    {**UAT, "flow": "", "orgId": "", "secretEnv": ""},
    {**UAT, "flow": "device"},
    {**UAT, "orgId": "005000000000001"},
    {**UAT, "secretEnv": "not a name"},
    {**UAT, "browser": "lynx"},
    {**UAT, "callback": "no"},
    {**UAT, "apps": 7},
    {**UAT, "clientSecret": "x"},
    {"username": "ann@acme.test"},
]


@pytest.mark.parametrize("org", ORGS, ids=str)
def test_the_schemas_of_orgs_say_what_is_read(org: Json) -> None:
    read = org_file.parse(json.dumps([org]).encode(), "orgs.json", CHOICES).mistakes == ()
    assert input_schema("batchFile").is_valid([org]) is read
    assert input_schema("settings").is_valid({"orgs": {"uat": org}}) is read


def test_the_schema_of_an_org_has_a_member_for_every_column() -> None:
    assert {*FILES["shared"]["$defs"]["org"]["properties"], "alias"} == set(org_file.COLUMNS)
