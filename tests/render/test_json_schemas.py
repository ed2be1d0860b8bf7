"""What --json prints is valid against the schemas that ship, and they are those of the types."""

from __future__ import annotations

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
from ecapipe.documents import schemas
from ecapipe.oauth.flows.registry import CHOICES
from ecapipe.orgs import org_file
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.credentials import consumer_key_missing

Json = dict[str, Any]

TEXTS = {
    file.name.removesuffix(".json"): file.read_text("utf-8")
    for file in resources.files("ecapipe").joinpath("schemas").iterdir()
}
FILES = {name: json.loads(text) for name, text in TEXTS.items()}
NAMES = sorted(FILES.keys() - schemas.PARTS)
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


def test_the_schemas_that_ship_are_made_of_the_types() -> None:
    made = {name: schemas.text(schema) for name, schema in schemas.schemas().items()}
    assert made == TEXTS, "make them anew: .venv/bin/python -m ecapipe.documents.schemas, and look at the difference"


def test_every_result_is_described_to_its_last_member(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, PROJECT)
    check = lenient()
    seen = set()
    for name, document in outputs(root):
        names(name, document)
        check.validate(document)
        seen.add(name)
    assert seen == set(NAMES) - {"app-rotate", "emulator-start", *KEPT}


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
    assert damaged["warnings"], "it is removed, and said"


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


def test_new_members_do_not_break_who_relies_on_the_schemas(tmp_path: Path) -> None:
    document = ecapipe("app", "list", "--json", at=trees.plant(tmp_path, PROJECT)).document
    document["result"]["apps"][0]["anotherMember"] = 1
    lenient().validate(document)


# --- what people write --------------------------------------------------------------------------------------


def input_schema(name: str) -> Draft202012Validator:
    """The schema of something that ecapipe reads."""
    parts = [Resource.from_contents(file) for file in FILES.values()]
    return Draft202012Validator({"$ref": FILES[name]["$id"]}, registry=parts @ Registry())


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
    assert input_schema("org-file").is_valid([org]) is read
    assert input_schema("settings").is_valid({"orgs": {"uat": org}}) is read


def test_the_schema_of_an_org_has_a_member_for_every_column() -> None:
    assert set(FILES["shared"]["$defs"]["OrgRow"]["properties"]) == set(org_file.COLUMNS)
