"""Variables that fit no app, and those that hold no credential, in every command that reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
import trees
from commandline import inside

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.credentials.strays import stray_variables
from ecapipe.project import discovery
from ecapipe.project.discovery import ProjectSelection

SINGLE = "only for a single app"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    orgs = {"uat": {"url": "https://acme--uat.sandbox.my.salesforce.com", "secretEnv": "ECAPIPE_CLIENT_SECRET_OWN"}}
    files = trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.app("Billing") | trees.app("Portal-EU")
    return trees.plant(tmp_path_factory.mktemp("tree"), files)


@pytest.mark.parametrize(
    ("variable", "names", "said"),
    [
        ("ECAPIPE_CLIENT_SECRET_BILING", (), 'matches no app here. Did you mean "Billing"?'),
        ("ECAPIPE_CLIENT_ID_BILING_UAT_FILE", ("Billing",), 'matches no app here. Did you mean "Billing"?'),
        ("ECAPIPE_CLIENT_SECRET_PORTAL_UE", (), 'matches no app here. Did you mean "Portal-EU"?'),
        ("ECAPIPE_CLIENT_SECRET_WAREHOUSE", (), "matches no app here."),
        ("ECAPIPE_CLIENT_SECRET", (), SINGLE),
        ("ECAPIPE_CLIENT_ID_FILE", (), SINGLE),
        ("ECAPIPE_CLIENT_SECRET", ("Billing",), None),
        ("ECAPIPE_CLIENT_SECRET_FILE", ("Billing",), None),
        ("ECAPIPE_CLIENT_SECRET_BILLING", ("Portal-EU",), None),
        ("ECAPIPE_CLIENT_SECRET_BILLING_ANY_ORG", (), None),
        ("ECAPIPE_CLIENT_SECRET_PORTAL_EU_FILE", (), None),
        ("ECAPIPE_CLIENT_SECRET_OWN", (), None),
        ("ECAPIPE_CLIENT_SECRET_OWN_FILE", (), None),
        ("ECAPIPE_CLIENTELE", (), None),
        ("CLIENT_SECRET_BILING", (), None),
    ],
)
def test_a_variable_that_is_read_for_no_app_is_named(
    tree: Path, variable: str, names: tuple[str, ...], said: str | None
) -> None:
    found = discovery.discover(ProjectSelection((str(tree),), names=names), composition.real_world(Environment({})))
    sentences = list(stray_variables({variable, "PATH"}, found))
    assert len(sentences) == (said is not None)
    for sentence in sentences:
        assert sentence.startswith(f"{variable} is set, ")
        assert sentence.endswith(said or "") or SINGLE in sentence


COMMANDS = {
    "run": ("run", "--until", "check"),
    "probe": ("app", "probe", "-o", "uat=http://localhost:9"),
    "check": ("app", "check"),
    "list": ("app", "list"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_warns_of_variables_that_do_not_serve(tree: Path, command: str) -> None:
    values = {
        "ECAPIPE_CLIENT_SECRET_BILING": "s",
        "ECAPIPE_CLIENT_SECRET_BILLING": "",
        "ECAPIPE_CLIENT_ID_BILLING": "k",
    }
    ended = inside(*COMMANDS[command], "-d", str(tree), "-n", "Billing", "--json", at=tree, **values)
    warnings = " ".join(ended.document["warnings"])
    assert "ECAPIPE_CLIENT_SECRET_BILING is set, but matches no app here." in warnings
    assert "ECAPIPE_CLIENT_SECRET_BILLING is empty." in warnings
    (app,) = ended.document["result"]["apps"]
    assert app["credentials"]["consumerSecret"]["causes"] == ["ECAPIPE_CLIENT_SECRET_BILLING is empty."]
    findings = ended.document["result"].get("findings", [])
    mixed = [*ended.document["warnings"], *(finding["message"] for finding in findings)]
    assert command == "list" or any("comes from environment" in each and "from file" in each for each in mixed)


def test_an_app_without_its_file_fails_by_the_name_of_the_variable_that_is_empty(tmp_path: Path) -> None:
    tree = trees.plant(tmp_path, trees.project() | trees.app("Billing", settings=None, oauth=None))
    for command in (("run", "-o", "uat=https://acme.my.salesforce.com"), COMMANDS["probe"]):
        ended = inside(*command, "-d", str(tree), "--json", at=tree, ECAPIPE_CLIENT_ID="k", ECAPIPE_CLIENT_SECRET="")
        assert ended.status == 1
        assert "ECAPIPE_CLIENT_SECRET is empty." in ended.out
