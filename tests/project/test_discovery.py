"""Discovery: which project is meant, which apps lie there, and what is said when nothing does."""

from __future__ import annotations

import os
import tempfile
import zipfile
from contextlib import chdir
from pathlib import Path
from typing import Any, Unpack, cast

import chains
import pytest
import trees
from billing import app
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st
from profiles import tries

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.check import listing
from ecapipe.credentials import resolution
from ecapipe.credentials.resolution import Resolution
from ecapipe.events import CHECK, LOCATE, Clock, StageEnded, Subject
from ecapipe.login.tracker import Tracker
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org
from ecapipe.problems.credentials import consumer_secret_missing
from ecapipe.problems.problem import Kind
from ecapipe.problems.project import (
    invalid_package_directory_error,
    json_parse_error,
    malformed_xml,
    missing_package_directory_error,
    no_apps_found,
    no_package_directories,
    project_not_chosen,
    requires_project_error,
    settings_duplicated,
    settings_in_source_org,
    settings_not_packaged,
    settings_not_retrieved,
    suffix_misspelt,
    wrong_root,
)
from ecapipe.problems.usage import source_dir_not_found, unknown_app
from ecapipe.project import discovery
from ecapipe.project.apps import App
from ecapipe.project.discovery import Discovery, ProjectSelection
from ecapipe.run import steps
from ecapipe.run.world import World

LINK = {"oauthLink": "00D000000000001EAA:888000000000001AAA"}
MADE_HERE = {"orgScopedExternalApp": "00D000000000002EAA:Billing"}
SETTINGS = "extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth"


def world(**variables: str) -> World:
    """The real disk, and nothing of this process's environment."""
    return composition.real_world(Environment(variables))


def found(*directories: str | Path, names: tuple[str, ...] = (), **changes: Any) -> Discovery:
    return discovery.discover(ProjectSelection(tuple(str(path) for path in directories), names, **changes), world())


def names(result: Discovery) -> list[str]:
    return [app.name for app in result.apps]


def paths(app: App) -> list[str]:
    return [file.path for file in app.files]


def unreadable(result: Discovery) -> list[tuple[str, str | None]]:
    return [(problem.name, problem.file) for problem in result.unreadable]


# --- which project ------------------------------------------------------------------------------------------


def test_the_root_of_a_project_means_all_its_package_directories(tmp_path: Path) -> None:
    files = (
        trees.project("force-app", "ps-eca", "unused") | trees.app("Billing") | trees.app("Portal", folder="ps-eca")
    )
    root = trees.plant(tmp_path, files | trees.app("Elsewhere", folder="elsewhere"))
    result = found(root)
    assert names(result) == ["Billing", "Portal"]
    assert result.unreadable == ()
    (facts,) = result.facts
    assert (facts.root, facts.package_directories) == (str(root), ("force-app", "ps-eca", "unused"))


def test_without_a_folder_the_current_one_is_meant(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project() | trees.app())
    for place in (tmp_path, tmp_path / "force-app/main"):
        with chdir(place):
            assert names(found()) == ["Billing"]


def test_the_suffix_decides_not_the_folder(tmp_path: Path) -> None:
    files = trees.project() | {f"force-app/{Path(path).name}": text for path, text in trees.app("Billing").items()}
    files |= trees.app("Portal", folder="force-app/main/mcp/connectedApps")
    files |= {
        "force-app/README.md": "#",
        "force-app/main/.DS_Store": b"\0",
        "force-app/X.connectedApp-meta.xml": "<x/>",
    }
    result = found(trees.plant(tmp_path, files))
    assert names(result) == ["Billing", "Portal"]
    assert [len(app.files) for app in result.apps] == [4, 4]


def test_what_no_salesforce_tool_would_look_into_is_passed_over(tmp_path: Path) -> None:
    hidden = ("force-app/.sfdx", "force-app/lwc/billing", "force-app/main/aura/billing")
    files = trees.project() | trees.app("Billing")
    for folder in hidden:
        files |= trees.app("Hidden", folder=folder)
    assert names(found(trees.plant(tmp_path, files))) == ["Billing"]


def test_what_is_in_metadata_format_names_the_flag_that_reads_it(tmp_path: Path) -> None:
    inner = {
        path.replace("-meta.xml", ""): text for path, text in trees.app("Portal", folder="force-app/mdapi").items()
    }
    (notice,) = found(trees.plant(tmp_path, trees.project() | trees.app("Billing") | inner)).notices
    assert notice.endswith(f"--metadata-dir {tmp_path}/force-app/mdapi")


def test_a_folder_inside_means_the_apps_with_a_file_there_and_all_their_files(tmp_path: Path) -> None:
    apart = trees.app("Billing", header=None, oauth=None, policies=None, folder="credentials")
    files = (
        trees.project("force-app", "credentials") | trees.app("Billing", settings=None) | apart | trees.app("Portal")
    )
    root = trees.plant(tmp_path, files)
    (app,) = found(root / "credentials").apps
    assert app.name == "Billing"
    assert app.settings is not None
    assert app.settings.path.startswith("credentials/")
    assert len(app.files) == 4


def test_a_single_file_means_its_app(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.app("Billing") | trees.app("Portal"))
    result = found(root / trees.DEFAULT / "externalClientApps/Portal.eca-meta.xml")
    assert names(result) == ["Portal"]
    assert len(result.apps[0].files) == 4


def test_a_folder_above_package_directories_means_those_below_it(tmp_path: Path) -> None:
    files = trees.project("packages/one", "packages/two", "other")
    for name, folder in (("One", "packages/one"), ("Two", "packages/two"), ("Other", "other")):
        files |= trees.app(name, folder=folder)
    root = trees.plant(tmp_path, files)
    assert names(found(root / "packages")) == ["One", "Two"]
    assert names(found(root / "packages/one")) == ["One"]
    assert names(found(root / "packages/one", root / "other")) == ["One", "Other"]


def test_a_folder_name_that_begins_like_another_is_another_folder(tmp_path: Path) -> None:
    files = trees.project("app", "app-two") | trees.app("One", folder="app") | trees.app("Two", folder="app-two")
    assert names(found(trees.plant(tmp_path, files) / "app")) == ["One"]


def test_a_folder_outside_every_package_directory_is_searched_itself(tmp_path: Path) -> None:
    files = trees.project() | trees.app("Billing", settings=None) | trees.app("Billing", folder="retrieved")
    root = trees.plant(tmp_path, files)
    result = found(root / "retrieved")
    (app,) = result.apps
    assert all(path.startswith("retrieved/") for path in paths(app))
    assert result.facts[0].package_directories == ("retrieved",)
    settings = root / "retrieved" / f"{SETTINGS}-meta.xml"
    assert len(found(settings).apps[0].files) == 1
    alone = (
        trees.plant(root, {"Alone.eca-meta.xml": trees.xml("ExternalClientApplication", {})}) / "Alone.eca-meta.xml"
    )
    assert [paths(app) for app in found(alone).apps] == [["Alone.eca-meta.xml"]]


def test_a_folder_without_a_project_is_searched_itself(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.app("Billing", folder="retrieved"))
    result = found(tmp_path / "retrieved")
    assert names(result) == ["Billing"]
    assert (result.facts[0].root, result.facts[0].package_directories) == (str(tmp_path / "retrieved"), (".",))
    assert f"{SETTINGS}-meta.xml" in paths(result.apps[0])
    (alone,) = found(tmp_path / "retrieved" / f"{SETTINGS}-meta.xml").apps
    assert paths(alone) == ["Billing_glbloauth.ecaGlblOauth-meta.xml"]


def test_the_current_folder_has_to_be_in_a_project_or_to_hold_apps(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.app("Billing", folder="retrieved") | {"empty/": ""})
    with chdir(tmp_path / "empty"):
        problem = problem_of(found)
    assert problem.kind is requires_project_error
    assert str(tmp_path) in problem.message
    with chdir(tmp_path):
        assert names(found()) == names(found(".")) == ["Billing"]


def test_projects_below_are_named_and_none_is_guessed(tmp_path: Path) -> None:
    files = {f"{folder}/{path}": text for folder in ("a", "b/c") for path, text in trees.project().items()}
    trees.plant(tmp_path, files)
    with chdir(tmp_path):
        problem = problem_of(found)
    assert problem.kind is project_not_chosen
    for project in ("a", "b/c"):
        assert any(action.startswith("Use ") and f" {project}" in action.rstrip(".") for action in problem.actions)
    assert problem_of(found, tmp_path).kind is project_not_chosen


@pytest.mark.parametrize(
    ("member", "flag"),
    [
        ("directories", "--source-dir"),
        ("metadata_dirs", "--metadata-dir"),
        ("credentials_dirs", "--credentials-dir"),
    ],
)
def test_a_folder_that_does_not_exist_is_a_usage_error(tmp_path: Path, member: str, flag: str) -> None:
    where = ProjectSelection(**cast(Any, {"directories": (str(tmp_path),), member: (str(tmp_path / "nowhere"),)}))
    problem = problem_of(discovery.discover, where, world())
    assert (problem.kind, problem.exit_code) == (source_dir_not_found, 2)
    assert "nowhere" in problem.message
    assert flag in problem.message


def test_several_folders_of_one_project_are_one_search(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.app("Billing") | trees.app("Portal"))
    header = root / trees.DEFAULT / "externalClientApps/Billing.eca-meta.xml"
    for folders in ((header, header), (header, root), (root, header), (root, root / "force-app")):
        result = found(*folders)
        assert len(result.projects) == 1
        assert names(result) == (["Billing"] if root not in folders else ["Billing", "Portal"])


def test_two_projects_are_two_searches(tmp_path: Path) -> None:
    one = trees.plant(tmp_path / "one", trees.project(sourceApiVersion="66.0") | trees.app("Billing"))
    two = trees.plant(tmp_path / "two", trees.project(sourceApiVersion="65.0") | trees.app("Billing"))
    result = found(one, two)
    assert [app.project for app in result.apps] == [str(one), str(two)]
    assert [result.api_version(app) for app in result.apps] == ["66.0", "65.0"]


def test_the_nearest_project_above_is_meant(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project() | trees.app("Outer"))
    trees.plant(tmp_path / "force-app/inner", trees.project() | trees.app("Inner"))
    assert names(found(tmp_path / "force-app/inner/force-app")) == ["Inner"]


# --- sfdx-project.json --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind", "line"),
    [
        (b"{\n\n  oops\n}", json_parse_error, 3),
        (b'{"packageDirectories": [\n{"path": "\xff"}]}', json_parse_error, 2),
        ('{"packageDirectories": []}'.encode("utf-16"), json_parse_error, 1),
        (b"{}", no_package_directories, None),
        (b'{"packageDirectories": [{"path": "../x"}]}', invalid_package_directory_error, None),
        (b'{"packageDirectories": [{"path": "gone"}]}', missing_package_directory_error, None),
        (b'{"packageDirectories": [{"path": "sfdx-project.json"}]}', missing_package_directory_error, None),
    ],
)
def test_a_project_that_cannot_be_read_is_an_error(
    tmp_path: Path, content: bytes, kind: Kind[...], line: int | None
) -> None:
    root = trees.plant(tmp_path, {"sfdx-project.json": content, "force-app/": ""})
    problem = problem_of(found, root)
    assert (problem.kind, problem.file, problem.line) == (kind, "sfdx-project.json", line)


def test_an_untrusted_project_keeps_its_settings_to_itself(tmp_path: Path) -> None:
    configured = {"ecapipe": {"orgs": {"uat": {"url": "https://acme.my.salesforce.com"}}}}
    root = trees.plant(tmp_path, trees.project(plugins=configured) | trees.app())
    assert set(found(root).projects[0].orgs) == {"uat"}
    where = ProjectSelection((str(root),), trusted=False)
    assert discovery.discover(where, world()).projects[0].orgs == {}


def test_the_namespace_of_the_project_joins_files(tmp_path: Path) -> None:
    element = {"externalClientApplication": "acme__Billing"}
    files = trees.project(namespace="acme") | trees.app(settings=element, oauth=element)
    assert names(found(trees.plant(tmp_path, files))) == ["Billing"]


# --- which apps ---------------------------------------------------------------------------------------------


def test_apps_are_named_exactly(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.app("Billing") | trees.app("Portal"))
    assert names(found(root, names=("Portal",))) == ["Portal"]
    assert names(found(root, names=("Portal", "Billing", "Portal"))) == ["Billing", "Portal"]
    for name in ("billing", "Bill", "Billing ", ""):
        problem = problem_of(found, root, names=("Portal", name))
        assert (problem.kind, problem.exit_code) == (unknown_app, 2)
        assert "Billing, Portal" in problem.message
    assert 'Did you mean "Billing"?' in problem_of(found, root, names=("Biling",)).actions


def test_an_app_elsewhere_in_the_project_is_unknown_here(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project("one", "two") | trees.app("One", folder="one"))
    assert problem_of(found, root / "two", names=("One",)).kind is unknown_app


def test_a_tree_without_apps_names_where_it_looked(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project("force-app", "other"))
    result = found(root)
    assert result.apps == ()
    problem = problem_of(discovery.require_apps, result)
    assert problem.kind is no_apps_found
    assert f"{root}/force-app, {root}/other" in problem.message


# --- what cannot be read ------------------------------------------------------------------------------------

BROKEN = f"{trees.DEFAULT}/Broken.ecaGlblOauth-meta.xml"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("<broken", malformed_xml.name),
        ("", malformed_xml.name),
        (trees.xml("ConnectedApp", {}), wrong_root.name),
        (trees.xml("ExtlClntAppGlobalOauthSettings", {"label": "names no app"}), malformed_xml.name),
        (b" " * (1024 * 1024 + 1), malformed_xml.name),
    ],
)
def test_a_file_that_cannot_be_read_is_listed_and_harms_no_other(
    tmp_path: Path, content: str | bytes, name: str
) -> None:
    result = found(trees.plant(tmp_path, trees.project() | trees.app() | {BROKEN: content}))
    assert names(result) == ["Billing"]
    assert unreadable(result) == [(name, BROKEN)]
    discovery.require_apps(result)


def test_a_tree_of_nothing_but_a_broken_file_says_what_is_broken(tmp_path: Path) -> None:
    result = found(trees.plant(tmp_path, trees.project() | {BROKEN: "<broken"}))
    assert problem_of(discovery.require_apps, result).kind is malformed_xml


def test_a_broken_file_elsewhere_is_not_told_of_here(tmp_path: Path) -> None:
    files = trees.project("one", "two") | trees.app("One", folder="one")
    root = trees.plant(tmp_path, files | {"two/Broken.eca-meta.xml": "<", "one/Broken.eca-meta.xml": "<"})
    assert unreadable(found(root / "one")) == [(malformed_xml.name, "one/Broken.eca-meta.xml")]
    assert len(found(root).unreadable) == 2


@pytest.mark.parametrize(
    ("filename", "meant"),
    [
        ("Billing.ecaGlobalOauth-meta.xml", "Billing.ecaGlblOauth-meta.xml"),
        ("Billing.ecaglbloauth-meta.xml", "Billing.ecaGlblOauth-meta.xml"),
        ("Billing.ECA-meta.xml", "Billing.eca-meta.xml"),
    ],
)
def test_a_misspelt_suffix_is_named_with_the_one_that_was_meant(tmp_path: Path, filename: str, meant: str) -> None:
    files = {f"force-app/{filename}": trees.app()[f"{trees.DEFAULT}/{SETTINGS}-meta.xml"]}
    result = found(trees.plant(tmp_path, trees.project() | files))
    assert unreadable(result) == [(suffix_misspelt.name, f"force-app/{filename}")]
    assert meant in result.unreadable[0].message


@pytest.mark.parametrize("ending", [".bak", ".dup", "~", ".orig"])
def test_a_copy_that_an_editor_left_is_no_file_of_ours(tmp_path: Path, ending: str) -> None:
    copies = {path + ending: text for path, text in trees.app("Billing", settings={"label": "old"}).items()}
    result = found(trees.plant(tmp_path, trees.project() | trees.app() | copies))
    assert (len(result.apps[0].files), result.unreadable) == (4, ())


# --- links --------------------------------------------------------------------------------------------------


def test_a_loop_of_links_ends_and_no_file_counts_twice(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project("force-app", "again") | trees.app())
    (root / "force-app/loop").symlink_to(root / "force-app", target_is_directory=True)
    (root / "force-app/itself").symlink_to("itself")
    (root / "again/main").symlink_to(root / "force-app/main", target_is_directory=True)
    assert [len(app.files) for app in found(root).apps] == [4]


def test_a_link_to_a_project_or_into_it_is_that_project_and_so_is_its_file(tmp_path: Path) -> None:
    root = tmp_path / "project"
    trees.plant(root, trees.project() | trees.app("Billing"))
    settings = next(root.rglob("*.ecaGlblOauth-meta.xml"))
    for number, target in enumerate([root, root / "force-app", settings, root / "sfdx-project.json"]):
        link = tmp_path / f"link{number}"
        link.symlink_to(target)
        for place in (target, link):
            (app,) = found(place).apps
            assert (app.name, app.settings and app.settings.path) == ("Billing", str(settings.relative_to(root)))


def test_a_link_out_of_the_project_is_followed_within_the_repository_alone(tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "project", trees.project())
    trees.plant(tmp_path / "outside", trees.app("Billing", folder="."))
    (root / "force-app/linked").symlink_to(tmp_path / "outside", target_is_directory=True)
    result = found(root)
    assert (names(result), len(result.notices)) == ([], 1)
    assert "force-app/linked is a link" in result.notices[0]
    (tmp_path / ".git").mkdir()
    assert (names(found(root)), found(root).notices) == (["Billing"], ())
    (tmp_path / ".git").rename(root / ".git")
    result = found(root / "force-app/linked")  # named by the user: a tree of its own
    assert (names(result), result.projects[0].root) == (["Billing"], str(tmp_path / "outside"))


# --- metadata format, lent credentials, replacements --------------------------------------------------------


def retrieved(name: str = "Billing", **changes: Unpack[trees.Changes]) -> trees.Files:
    """The files of an app as a retrieve in metadata format brings them."""
    files = trees.app(name, folder="unpackaged", **changes)
    return {path.removesuffix("-meta.xml"): text for path, text in files.items()}


def test_a_tree_in_metadata_format_is_searched_only_when_it_is_said_to_be_one(tmp_path: Path) -> None:
    trees.plant(tmp_path, retrieved())
    (app,) = found(metadata_dirs=(str(tmp_path),)).apps
    assert f"unpackaged/{SETTINGS}" in paths(app)
    assert len(app.files) == 4
    assert found(tmp_path).apps == ()


def test_a_retrieved_zip_is_read_as_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "unpackaged.zip", "w") as archive:
        for path, text in retrieved().items():
            archive.writestr(path, text)
    (app,) = found(metadata_dirs=(str(tmp_path / "unpackaged.zip"),)).apps
    assert app.settings is not None
    assert app.settings.document.text("consumerKey") == trees.key("Billing")


def test_a_linked_app_borrows_the_settings_of_its_source_orgs_tree(tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "target", trees.project() | trees.app(settings=None, oauth=LINK))
    source = trees.plant(tmp_path / "source", trees.project() | trees.app(settings={"label": "lent"}))
    assert found(root).apps[0].settings is None
    (app,) = found(root, credentials_dirs=(str(source),)).apps
    assert app.settings is not None
    assert app.settings.path == f"../source/{trees.DEFAULT}/{SETTINGS}-meta.xml"
    assert app.credentials_of() == "sourceOrg"
    bare = trees.plant(tmp_path / "bare", trees.app(folder="."))
    assert found(root, credentials_dirs=(str(bare),)).apps[0].settings is not None


def test_an_app_with_settings_of_its_own_borrows_nothing(tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "target", trees.project() | trees.app())
    source = trees.plant(tmp_path / "source", trees.project() | trees.app() | trees.app("Portal"))
    (app,) = found(root, credentials_dirs=(str(source),)).apps
    assert app.settings is not None
    assert (app.settings.path, app.credentials_of()) == (f"{trees.DEFAULT}/{SETTINGS}-meta.xml", "own")


def replacing(origin: str, **entry: object) -> trees.Files:
    rule = {"glob": "**/*.ecaGlblOauth-meta.xml", "stringToReplace": "@@SECRET@@", origin: "ECA_SECRET", **entry}
    return trees.project(replacements=[rule]) | trees.app(settings={"consumerSecret": "@@SECRET@@"})


def secret_of(result: Discovery) -> tuple[str | None, str | None]:
    """Source and value of the app's consumer secret."""
    (app,) = result.apps
    resolved = resolution.resolve(app, None, chains.chain(result.apps), allowed_flows)
    outcome = resolved.outcome
    value = outcome.consumer_secret if isinstance(outcome, resolution.Credentials) else None
    return resolved.secret.source, value.reveal() if value else None


@pytest.mark.parametrize("value", ["0123456789", "$&a$1", "a<b&c>d", "\\1\\g<0>", "é"])
def test_a_replacement_is_put_in_as_it_is(tmp_path: Path, value: str) -> None:
    where = ProjectSelection((str(trees.plant(tmp_path, replacing("replaceWithEnv"))),))
    assert secret_of(discovery.discover(where, world(ECA_SECRET=value))) == ("replacement", value)


def test_a_replacement_may_be_a_key(tmp_path: Path) -> None:
    rule = {
        "filename": "Billing_glbloauth.ecaGlblOauth-meta.xml",
        "regexToReplace": "@.*@",
        "replaceWithEnv": "ECA_KEY",
    }
    files = trees.project(replacements=[rule]) | trees.app(settings={"consumerKey": "@KEY@"})
    result = discovery.discover(ProjectSelection((str(trees.plant(tmp_path, files)),)), world(ECA_KEY="0123456789"))
    chain = chains.chain(result.apps)
    resolved = resolution.resolve(result.apps[0], None, chain, allowed_flows)
    assert (resolved.key.source, resolved.secret.source) == ("replacement", "file")


def test_a_replacement_may_come_from_a_file_of_the_project(tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "project", replacing("replaceWithFile") | {"ECA_SECRET": "0123456789\n"})
    assert secret_of(found(root)) == ("replacement", "0123456789")


def test_a_replacement_never_comes_from_outside_the_project(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, {"ECA_SECRET": "0123456789"}) / "project"
    for path in ("../ECA_SECRET", str(tmp_path / "ECA_SECRET")):
        trees.plant(root, replacing("replaceWithFile", replaceWithFile=path))
        assert secret_of(found(root)) == (None, None)
    (root / "link").symlink_to(tmp_path / "ECA_SECRET")
    trees.plant(root, replacing("replaceWithFile", replaceWithFile="link"))
    assert secret_of(found(root)) == (None, None)


def test_a_replacement_without_a_value_leaves_a_placeholder(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, replacing("replaceWithEnv"))
    assert secret_of(found(root)) == (None, None)
    assert found(root).apps[0].settings is not None


def test_an_untrusted_project_replaces_nothing(tmp_path: Path) -> None:
    where = ProjectSelection((str(trees.plant(tmp_path, replacing("replaceWithEnv"))),), trusted=False)
    assert secret_of(discovery.discover(where, world(ECA_SECRET="0123456789"))) == (None, None)


# --- locate and check ---------------------------------------------------------------------------------------


class Ended:
    """Runs one stage of one app, and knows how it ended."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.track = Tracker(
            self.events.append, Clock(lambda: 0.0, lambda: "2026-01-01T00:00:00.000Z"), (LOCATE, CHECK)
        )

    def locate(self, app: App, *, named: bool = False, orgs: tuple[Org, ...] = ()) -> StageEnded:
        with self.track.course(Subject(app.name), (LOCATE,)) as course, course.stage(LOCATE) as work:
            steps.locate(app, named=named, orgs=orgs, work=work)
        return self.last

    def prove(self, app: App, chosen: tuple[Org, ...], **variables: str) -> tuple[StageEnded, list[Resolution]]:
        chain = chains.chain((app,), chosen, Environment(variables).credential)
        proven: list[Resolution] = []
        with self.track.course(Subject(app.name), (CHECK,)) as course, course.stage(CHECK) as work:
            proven = steps.resolve_credentials(app, chosen, chain, work)
        return self.last, proven

    @property
    def last(self) -> StageEnded:
        (ended,) = (event for event in self.events if isinstance(event, StageEnded))
        return ended


UAT = selection.choose("uat=https://acme--uat.sandbox.my.salesforce.com", {}, ())
PROD = selection.choose("prod=https://acme.my.salesforce.com", {}, ())


def test_a_settings_file_is_located() -> None:
    ended = Ended().locate(app())
    assert (ended.outcome, ended.facts) == ("passed", {"settingsFile": f"{trees.DEFAULT}/{SETTINGS}-meta.xml"})


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"settings": None, "oauth": LINK, "header": MADE_HERE}, settings_in_source_org),
        ({"settings": None, "header": {"distributionState": "Packaged"}}, settings_not_packaged),
    ],
)
def test_a_file_that_is_missing_for_a_reason_is_a_failure_only_if_the_app_was_named(
    changes: dict[str, trees.Elements | None], kind: Kind[...]
) -> None:
    skipped = Ended().locate(app(**changes))
    assert (skipped.outcome, skipped.problem) == ("skipped", None)
    assert skipped.reason
    failed = Ended().locate(app(**changes), named=True)
    assert failed.outcome == "failed"
    assert failed.problem is not None
    assert (failed.problem.kind, failed.problem.message) == (kind, skipped.reason)


@pytest.mark.parametrize("named", [True, False])
def test_a_file_that_was_not_retrieved_is_a_failure_that_names_the_org(named: bool) -> None:
    ended = Ended().locate(app(settings=None), named=named, orgs=(PROD, UAT))
    assert ended.outcome == "failed"
    assert ended.problem is not None
    assert ended.problem.kind is settings_not_retrieved
    assert "--target-org prod" in ended.problem.actions[0]


@pytest.mark.parametrize("field", ["consumerKey", "consumerSecret"])
def test_settings_that_contradict_each_other_are_refused(tmp_path: Path, field: str) -> None:
    again = trees.app(settings={field: "another"}, header=None, oauth=None, policies=None, folder="force-app/b")
    ended = Ended().locate(found(trees.plant(tmp_path, trees.project() | trees.app() | again)).apps[0])
    assert ended.problem is not None
    assert ended.problem.kind is settings_duplicated
    assert "force-app/b" in ended.problem.message


def test_settings_that_are_there_twice_alike_are_no_problem(tmp_path: Path) -> None:
    again = trees.app(header=None, oauth=None, policies=None, folder="force-app/b")
    assert Ended().locate(found(trees.plant(tmp_path, trees.project() | trees.app() | again)).apps[0]).problem is None


def test_a_file_hidden_from_the_salesforce_cli_is_read_all_the_same(tmp_path: Path) -> None:
    files = trees.project() | trees.app() | {".forceignore": "**/*.ecaGlblOauth-meta.xml\n"}
    ended = Ended().locate(found(trees.plant(tmp_path, files)).apps[0])
    assert ended.outcome == "passed"
    assert ended.facts["forceignored"] is True


def test_files_of_another_org_than_expected_are_a_warning() -> None:
    expected = selection.choose("uat", {"uat": {"url": UAT.url, "orgId": "00D000000000002EAA"}}, ())
    ended = Ended().locate(app(oauth=LINK), orgs=(expected,))
    assert ended.outcome == "warning"
    assert "00D000000000001EAA" in (ended.reason or "")
    same = selection.choose("uat", {"uat": {"url": UAT.url, "orgId": "00D000000000001"}}, ())
    assert Ended().locate(app(oauth=LINK), orgs=(same,)).outcome == "passed"


def test_key_and_secret_are_proved_for_each_org() -> None:
    ended, proven = Ended().prove(app(), (UAT, PROD), ECAPIPE_CLIENT_ID="k", ECAPIPE_CLIENT_SECRET="s")
    assert ended.outcome == "passed"
    assert ended.facts == {"consumerKey": "environment", "consumerSecret": "environment"}
    assert [each.problem for each in proven] == [None, None]


def test_without_orgs_they_are_proved_once() -> None:
    ended, proven = Ended().prove(app(), ())
    assert (ended.outcome, len(proven)) == ("passed", 1)


def test_what_no_org_has_is_a_failure_and_what_some_lack_a_warning() -> None:
    lacking = app(settings={"consumerSecret": None})
    failed, none = Ended().prove(lacking, (UAT, PROD))
    assert (failed.outcome, none) == ("failed", [])
    assert failed.problem is not None
    assert failed.problem.kind is consumer_secret_missing
    warned, some = Ended().prove(lacking, (UAT, PROD), ECAPIPE_CLIENT_SECRET_BILLING_UAT="s")
    assert warned.outcome == "warning"
    assert [each.problem.name if each.problem else None for each in some] == [None, consumer_secret_missing.name]


def test_a_pair_from_two_places_is_a_warning() -> None:
    ended, _ = Ended().prove(app(), (), ECAPIPE_CLIENT_ID="k")
    assert ended.outcome == "warning"
    assert "make sure that they match" in (ended.reason or "")


def test_facts_show_what_is_known_and_no_value(tmp_path: Path) -> None:
    result = found(trees.plant(tmp_path, trees.project() | trees.app(oauth=LINK)))
    (app,) = result.apps
    resolved = resolution.resolve(app, None, chains.chain((app,)), allowed_flows)
    facts = listing.describe(app, resolved)
    assert (facts.name, facts.project) == ("Billing", str(tmp_path))
    assert facts.settings_file == f"{trees.DEFAULT}/{SETTINGS}-meta.xml"
    assert facts.files == tuple(paths(app))
    assert (facts.distribution, facts.credentials_of, facts.source_org_id) == ("Local", "own", None)
    assert (facts.callback_urls, facts.flows) == ((trees.LOOPBACK,), ("web",))
    assert (facts.consumer_key.in_file, facts.consumer_key.usable, facts.consumer_key.required) == (
        "present",
        True,
        None,
    )
    assert (facts.consumer_secret.source, facts.consumer_secret.required) == ("file", True)
    for value in (trees.key("Billing"), trees.secret("Billing")):
        assert value[:8] not in repr(facts)


# --- any tree -----------------------------------------------------------------------------------------------

FOLDERS = ("one", "one/main/default", "two", "two/odd name", "two/ünï", "three/deep/er", "elsewhere", "two/.hidden")
NAMES = ("A", "AB", "a", "n__A")


@tries(25)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(FOLDERS)), max_size=6), st.booleans())
def test_every_app_in_a_package_directory_is_found_once_wherever_it_lies(
    placed: list[tuple[str, str]], backwards: bool
) -> None:
    files = trees.project("one", "two", "three")
    for name, folder in reversed(placed) if backwards else placed:
        files |= trees.app(name, folder=folder)
    with tempfile.TemporaryDirectory() as folder:
        result = found(trees.plant(Path(os.path.realpath(folder)), files))
    seen = {path for path in files if path.endswith(".xml") and not path.startswith(("elsewhere", "two/.hidden"))}
    listed = [path for app in result.apps for path in paths(app)]
    assert sorted(listed) == sorted(seen)
    assert names(result) == sorted(names(result))
    assert result.unreadable == ()
