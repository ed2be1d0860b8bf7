"""Replacements: matched as the Salesforce CLI matches them, resolved literally."""

from __future__ import annotations

import json
from pathlib import Path

import chains
import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.credentials import resolution
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.problems.problem import EcapipeError
from ecapipe.project import discovery, replacements, sfdx_project
from ecapipe.project.apps import App, Replaced
from ecapipe.project.discovery import ProjectSelection

FILE = "/project/force-app/main/default/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"
ENTRY: dict[str, object] = {
    "filename": "Billing_glbloauth.ecaGlblOauth-meta.xml",
    "stringToReplace": "@@S@@",
    "replaceWithEnv": "SECRET",
}


def parsed(entry: dict[str, object]) -> replacements.Replacement:
    found = replacements.parse(entry)
    assert isinstance(found, replacements.Replacement)
    return found


def billing(
    tmp_path: Path, environ: dict[str, str], *entries: object, secret: str = "@@S@@", trusted: bool = True
) -> App:
    tree = trees.project(replacements=list(entries)) | trees.app(settings={"consumerSecret": secret})
    world = composition.real_world(Environment(dict(environ)))
    (app,) = discovery.discover(ProjectSelection((str(trees.plant(tmp_path, tree)),), trusted=trusted), world).apps
    return app


def secret_of(app: App) -> str | None:
    assert app.settings is not None
    replaced = app.settings.replaced["consumerSecret"]
    return replaced.value.reveal() if replaced.value else None


@pytest.mark.parametrize(
    ("place", "applies"),
    [
        ({"filename": "Billing_glbloauth.ecaGlblOauth-meta.xml"}, True),
        ({"filename": "extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"}, True),
        ({"filename": "glbloauth.ecaGlblOauth-meta.xml"}, True),  # the CLI compares ends, not names
        ({"filename": "Other_glbloauth.ecaGlblOauth-meta.xml"}, False),
        ({"glob": "*.ecaGlblOauth-meta.xml"}, True),
        ({"glob": "force-app/**/*.ecaGlblOauth-meta.xml"}, True),
        ({"glob": "force-app/*.ecaGlblOauth-meta.xml"}, False),
        ({"glob": "**/*.{ecaOauth,ecaGlblOauth}-meta.xml"}, True),
        ({"glob": "**/*.eca-meta.xml"}, False),
    ],
)
def test_files_are_matched_as_the_salesforce_cli_matches_them(place: dict[str, object], applies: bool) -> None:
    entry = parsed({**place, "stringToReplace": "x", "replaceWithEnv": "X"})
    assert entry.applies(FILE) is applies


@pytest.mark.parametrize("value", ["plain", "S3$&x$1", r"\1\g<0>", "a<b>&amp;", "ünï", "@@S@@"])
def test_a_value_is_taken_literally(tmp_path: Path, value: str) -> None:
    assert secret_of(billing(tmp_path, {"SECRET": value}, ENTRY)) == value


@given(value=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1).filter(lambda text: text.strip()))
def test_no_value_means_anything(value: str) -> None:
    entries = [parsed(ENTRY)]
    marked = replacements.mark(
        "<a>@@S@@</a>", FILE, entries, lambda name: None, lambda entry: value, lambda *regex: None
    )
    assert marked is not None
    assert marked.resolve(marked.text[3:-4]) == replacements.Resolved(value.strip(), (), ("SECRET",), whole=True)


def test_a_regular_expression_may_span_the_element(tmp_path: Path) -> None:
    entry = {
        "glob": "**/*.ecaGlblOauth-meta.xml",
        "regexToReplace": "(?<=<consumerSecret>)(?<old>[^<]*)",
        "replaceWithEnv": "SECRET",
    }
    assert secret_of(billing(tmp_path, {"SECRET": "FA4E"}, entry, secret="anything")) == "FA4E"


def test_several_entries_apply_in_order(tmp_path: Path) -> None:
    first = {**ENTRY, "stringToReplace": "@@HALF@@", "replaceWithEnv": "ONE"}
    second = {**ENTRY, "stringToReplace": "@@REST@@", "replaceWithEnv": "TWO"}
    app = billing(tmp_path, {"ONE": "FA", "TWO": "4E"}, first, second, secret="@@HALF@@@@REST@@")
    assert secret_of(app) == "FA4E"


def test_an_unset_variable_is_named(tmp_path: Path) -> None:
    app = billing(tmp_path, {}, ENTRY)
    assert app.settings is not None
    assert app.settings.replaced["consumerSecret"].value is None
    assert app.settings.replaced["consumerSecret"].missing_origins == ("SECRET",)


def test_an_unset_variable_may_be_allowed_and_then_leaves_nothing(tmp_path: Path) -> None:
    app = billing(tmp_path, {}, {**ENTRY, "allowUnsetEnvVariable": True})
    assert app.settings is not None
    assert app.settings.replaced["consumerSecret"].value is None
    assert app.settings.replaced["consumerSecret"].missing_origins == ()


@pytest.mark.parametrize(("stage", "expected"), [("prod", "FA4E"), ("dev", None), (None, None)])
def test_an_entry_holds_only_where_its_conditions_do(tmp_path: Path, stage: str | None, expected: str | None) -> None:
    environ = {"SECRET": "FA4E"} | ({"STAGE": stage} if stage else {})
    app = billing(tmp_path, environ, {**ENTRY, "replaceWhenEnv": [{"env": "STAGE", "value": "prod"}]})
    assert app.settings is not None
    found = app.settings.replaced.get("consumerSecret")
    assert (found.value.reveal() if found and found.value else None) == expected


def test_a_file_inside_the_project_gives_the_value(tmp_path: Path) -> None:
    trees.plant(tmp_path, {"secrets/billing.txt": "  FA4E\n"})
    entry = {"filename": ENTRY["filename"], "stringToReplace": "@@S@@", "replaceWithFile": "secrets/billing.txt"}
    assert secret_of(billing(tmp_path, {}, entry)) == "FA4E"


@pytest.mark.parametrize("where", ["../outside.txt", "link.txt", "missing.txt"])
def test_a_file_outside_the_project_gives_none(tmp_path: Path, where: str) -> None:
    (tmp_path / "outside.txt").write_text("FA4E")
    root = tmp_path / "project"
    root.mkdir()
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    entry = {"filename": ENTRY["filename"], "stringToReplace": "@@S@@", "replaceWithFile": where}
    app = billing(root, {}, entry)
    assert app.settings is not None
    assert app.settings.replaced["consumerSecret"].missing_origins == (where,)


@pytest.mark.parametrize("text", ["@@S@@", "looks-like-a-secret-@@S@@"])
@pytest.mark.parametrize("origin", [{}, {"allowUnsetEnvVariable": True}])
def test_what_an_untrusted_project_would_replace_is_a_placeholder(
    tmp_path: Path, text: str, origin: dict[str, object]
) -> None:
    entry = {**ENTRY, "stringToReplace": text, **origin}
    app = billing(tmp_path, {"SECRET": "FA4E"}, entry, secret=text, trusted=False)
    assert app.settings is not None
    assert app.settings.replaced == {"consumerSecret": Replaced(None, ignored=True)}
    state = resolution.resolve(app, None, chains.chain((app,)), allowed_flows).secret
    assert (state.in_file, state.origin) == ("placeholder", None)
    assert "--no-project-config" in state.causes[0]


@pytest.mark.parametrize("value", ["", "${LATER}"])
def test_the_variable_of_a_replacement_that_gives_nothing_is_named(tmp_path: Path, value: str) -> None:
    app = billing(tmp_path, {"SECRET": value}, ENTRY)
    (cause,) = resolution.resolve(app, None, chains.chain((app,)), allowed_flows).secret.causes
    assert cause.startswith("SECRET, which a replacement")


def test_our_own_environment_is_not_changed(tmp_path: Path) -> None:
    environ = {"SECRET": "FA4E", "STAGE": "prod"}
    world = composition.real_world(Environment(environ))
    condition = {**ENTRY, "replaceWhenEnv": [{"env": "STAGE", "value": "prod"}]}
    tree = trees.project(replacements=[condition]) | trees.app(settings={"consumerSecret": "@@S@@"})
    discovery.discover(ProjectSelection((str(trees.plant(tmp_path, tree)),)), world)
    assert environ == {"SECRET": "FA4E", "STAGE": "prod"}


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("place", ["Billing_glbloauth.ecaGlblOauth-meta.xml", "Billing.labels-meta.xml"])
def test_no_child_inherits_what_a_replacement_names(place: str, trusted: bool, tmp_path: Path) -> None:
    """Whatever file it is for, and whether or not the project is trusted."""
    environment = Environment({"SECRET": "FA4E", "SECRET_FILE": "/made-up", "STAGE": "prod", "HOME": "/home/made-up"})
    needed = {**ENTRY, "filename": place, "replaceWithEnv": "HOME"}
    condition = {**ENTRY, "filename": place, "replaceWhenEnv": [{"env": "STAGE", "value": "prod"}]}
    tree = trees.project(replacements=[needed, condition]) | trees.app(settings={"consumerSecret": "@@S@@"})
    where = ProjectSelection((str(trees.plant(tmp_path, tree)),), trusted=trusted)
    discovery.discover(where, composition.real_world(environment))
    assert environment.for_programs() == {"STAGE": "prod", "HOME": "/home/made-up"}


def test_nothing_is_read_from_a_variable_that_programs_need(tmp_path: Path) -> None:
    app = billing(tmp_path, {"HOME": "/home/made-up"}, {**ENTRY, "replaceWithEnv": "HOME"})
    assert app.settings is not None
    replaced = app.settings.replaced["consumerSecret"]
    assert (replaced.value, replaced.missing_origins, replaced.reserved) == (None, ("HOME",), ("HOME",))


def test_a_file_may_be_called_like_a_variable(tmp_path: Path) -> None:
    entry = {key: value for key, value in ENTRY.items() if key != "replaceWithEnv"} | {"replaceWithFile": "HOME"}
    app = billing(tmp_path, {"HOME": "/home/made-up"}, entry)
    assert app.settings is not None
    assert app.settings.replaced["consumerSecret"].reserved == ()


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {**ENTRY, "glob": "x"},
        {**ENTRY, "regexToReplace": "x"},
        {**ENTRY, "replaceWithFile": "x"},
        {**ENTRY, "filename": 7},
        {**ENTRY, "replaceWhenEnv": "x"},
        {"filename": "x", "regexToReplace": "(", "replaceWithEnv": "X"},
        "no object",
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused_by_number(entry: object) -> None:
    text = json.dumps({"packageDirectories": [{"path": "force-app"}], "replacements": [ENTRY, entry]})
    with pytest.raises(EcapipeError, match="entry 2 of replacements"):
        sfdx_project.parse(text, "/project")
