"""The same trees read by the Salesforce CLI and by ecapipe."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trees
from interop import installed
from interop.program import environment, ran
from interop.salesforce import Sf
from trees import DEFAULT, Files

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.project import discovery, metadata
from ecapipe.project.discovery import Discovery, ProjectSelection

pytestmark = pytest.mark.interop

SAMPLE = installed.HERE.parents[1] / "sample-project"
REGISTRY = "node_modules/@salesforce/source-deploy-retrieve/lib/src/registry/metadataRegistry.json"
OURS = frozenset(type.name for type in metadata.TYPES)

Components = set[tuple[str, str]]
"""Type and member name."""


@pytest.fixture(scope="session")
def sf(tmp_path_factory: pytest.TempPathFactory) -> Sf:
    return Sf(tmp_path_factory.mktemp("home"), {})


def seen_by_sf(sf: Sf, root: Path, output: Path) -> Components:
    """What the manifest of all package directories lists of our types."""
    folders = [entry["path"] for entry in json.loads((root / "sfdx-project.json").read_text())["packageDirectories"]]
    sources = [word for folder in folders for word in ("--source-dir", folder)]
    answer = sf(root, "project", "generate", "manifest", *sources, "--output-dir", output)
    assert answer["status"] == 0, answer
    return listed(output)


def listed(folder: Path) -> Components:
    """What the manifest in a folder lists of our types."""
    space = f"{{{trees.NAMESPACE}}}"
    types = ElementTree.parse(folder / "package.xml").iter(f"{space}types")
    found = {each.findtext(f"{space}name", ""): each.findall(f"{space}members") for each in types}
    return {(name, member.text or "") for name, members in found.items() if name in OURS for member in members}


def discovered(*source: Path, converted: tuple[Path, ...] = ()) -> Discovery:
    selection = ProjectSelection(tuple(map(str, source)), metadata_dirs=tuple(map(str, converted)))
    return discovery.discover(selection, composition.real_world(Environment({})))


def seen_by_us(*source: Path, converted: tuple[Path, ...] = ()) -> Components:
    """What is discovered, but for what .forceignore hides from the Salesforce CLI."""
    apps = discovered(*source, converted=converted).apps
    return {(file.type.name, file.name) for app in apps for file in app.files if not file.ignored}


def components(app: str) -> Components:
    """The components of an app that `trees.app` makes."""
    return {
        ("ExternalClientApplication", app),
        ("ExtlClntAppGlobalOauthSettings", f"{app}_glbloauth"),
        ("ExtlClntAppOauthSettings", f"{app}_oauth"),
        ("ExtlClntAppOauthConfigurablePolicies", f"{app}_oauthPlcy"),
    }


def within(folder: str, files: Files) -> Files:
    """The same files, all in one folder."""
    return {f"{DEFAULT}/{folder}/{path.rpartition('/')[2]}": content for path, content in files.items()}


def renamed(old: str, new: str, files: Files) -> Files:
    return {path.replace(old, new): content for path, content in files.items()}


def test_both_know_the_same_types() -> None:
    registry = json.loads((installed.FOLDER / REGISTRY).read_text())["types"].values()
    theirs = {(each["name"], each["suffix"], each["directoryName"]) for each in registry if "suffix" in each}

    assert {each for each in theirs if each[1].startswith("eca")} == {
        (type.name, type.suffix, type.folder) for type in metadata.TYPES
    }


def test_both_see_the_same_in_the_sample_project(sf: Sf, tmp_path: Path) -> None:
    theirs = seen_by_sf(sf, SAMPLE, tmp_path)

    assert theirs == seen_by_us(SAMPLE)
    listed = ran("app", "list", "-d", SAMPLE, env=environment(tmp_path)).result["apps"]
    assert [app["name"] for app in listed] == sorted(
        member for name, member in theirs if name == "ExternalClientApplication"
    )


BILLING = trees.app("Billing")

ALIKE: dict[str, Files] = {
    "as a retrieve writes it": trees.project() | BILLING,
    "all files in one folder": trees.project() | within("billing", BILLING),
    "in the folder of another type": trees.project() | within("classes", BILLING),
    "in the folder of custom objects": trees.project() | BILLING | within("objects/Invoice__c", trees.app("Other")),
    "in node_modules": trees.project() | within("node_modules/copies", BILLING),
    "with two hyphens in a comment": trees.project()
    | {path: f"<!-- a -- b -->{str(text).partition('?>')[2]}" for path, text in BILLING.items()},
    "at the top of a package directory": trees.project() | renamed(f"{DEFAULT}/", "force-app/", BILLING),
    "deep down": trees.project() | within("a/b/c/d e/f", BILLING),
    "in two package directories": trees.project("force-app", "more") | BILLING | trees.app("Other", folder="more"),
    "one app spread over two": trees.project("force-app", "more")
    | trees.app("Billing", settings=None)
    | trees.app("Billing", header=None, oauth=None, policies=None, folder="more"),
    "the same file in two": trees.project("force-app", "more") | BILLING | trees.app("Billing", folder="more"),
    "satellites with names of their own": trees.project() | renamed("Billing_glbloauth", "Some other.name", BILLING),
    "a namespace": trees.project(namespace="acme") | trees.app("acme__Billing") | trees.app("Other"),
    "names beyond ASCII": trees.project() | trees.app("Fakturación"),
    "a header alone": trees.project() | trees.app("Billing", settings=None, oauth=None, policies=None),
    "right in the folder of Lightning components": trees.project() | trees.app("Other") | within("lwc", BILLING),
    "right in the folder of Aura components": trees.project() | trees.app("Other") | within("aura", BILLING),
    "a file that is ignored": trees.project() | BILLING | {".forceignore": "**/*_glbloauth*\n"},
    "a folder that is ignored": trees.project() | BILLING | {".forceignore": "extlClntAppGlobalOauthSets\n"},
    "all but one ignored": trees.project()
    | BILLING
    | trees.app("Other")
    | {".forceignore": "**/*.ecaGlblOauth-meta.xml\n!**/Other_*\n"},
}


@pytest.mark.parametrize("files", ALIKE.values(), ids=ALIKE.keys())
def test_both_see_the_same(files: Files, sf: Sf, tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "project", files)

    ours = seen_by_us(root)
    assert ours
    assert ours == seen_by_sf(sf, root, tmp_path / "manifest")


@pytest.mark.parametrize("files", ALIKE.values(), ids=ALIKE.keys())
def test_what_the_salesforce_cli_converts_is_what_we_see_before_and_after(
    files: Files, sf: Sf, tmp_path: Path
) -> None:
    root = trees.plant(tmp_path / "project", files)
    folders = [entry["path"] for entry in json.loads((root / "sfdx-project.json").read_text())["packageDirectories"]]
    sources = [word for folder in folders for word in ("--source-dir", folder)]
    output = tmp_path / "converted"
    answer = sf(root, "project", "convert", "source", *sources, "--output-dir", output)
    assert answer["status"] == 0, answer

    assert seen_by_us(root) == listed(output) == seen_by_us(converted=(output,))


STATIC: Files = {
    f"{DEFAULT}/staticresources/Logo/logo.svg": "<svg/>",
    f"{DEFAULT}/staticresources/Logo.resource-meta.xml": trees.xml(
        "StaticResource", {"contentType": "application/zip"}
    ),
}

DIFFERENT: dict[str, tuple[Files, Components, Components]] = {
    # A static resource may be any file to the Salesforce CLI; a secret that lies in one is no less exposed.
    "in a static resource": (STATIC | within("staticresources/Logo", BILLING), set(), components("Billing")),
    # Folders of tools: there are copies in them at best, and nobody deploys from there.
    "in a hidden folder": (within(".copies", BILLING), components("Billing"), set()),
    # The Salesforce CLI takes the metadata format for source; ecapipe reads it only from --metadata-dir.
    "in metadata format": (renamed("-meta.xml", "", BILLING), components("Billing"), set()),
}
"""Trees with more than the app Other, what only the Salesforce CLI sees of them, and what only ecapipe does."""


@pytest.mark.parametrize(("files", "theirs", "ours"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_what_only_one_of_them_sees(
    files: Files, theirs: Components, ours: Components, sf: Sf, tmp_path: Path
) -> None:
    root = trees.plant(tmp_path / "project", trees.project() | trees.app("Other") | files)

    assert seen_by_sf(sf, root, tmp_path / "manifest") == components("Other") | theirs
    assert seen_by_us(root) == components("Other") | ours


@pytest.mark.parametrize("suffix", ["ecaglbloauth", "ecaGlobalOauth"])
def test_a_misspelt_suffix_stops_the_one_and_is_named_by_the_other(suffix: str, sf: Sf, tmp_path: Path) -> None:
    files = trees.project() | renamed("ecaGlblOauth", suffix, BILLING)
    root = trees.plant(tmp_path / "project", files)

    answer = sf(root, "project", "generate", "manifest", "--source-dir", "force-app", "--output-dir", tmp_path)
    assert (answer["status"], answer["name"]) == (1, "TypeInferenceError")
    assert [problem.name for problem in discovered(root).unreadable] == ["SuffixMisspelt"]


def test_what_the_salesforce_cli_converts_are_the_same_apps_with_the_same_credentials(sf: Sf, tmp_path: Path) -> None:
    project = shutil.copytree(SAMPLE, tmp_path / "project")
    sources = ["--source-dir", "force-app", "--source-dir", "integrations"]
    answer = sf(project, "project", "convert", "source", *sources, "--output-dir", tmp_path / "converted")
    assert answer["status"] == 0, answer

    env = environment(tmp_path)
    source = ran("app", "list", "-d", project, env=env).result["apps"]
    converted = ran("app", "list", "--metadata-dir", tmp_path / "converted", env=env).result["apps"]

    assert len(source) == 4
    assert [_placeless(app) for app in converted] == [_placeless(app) for app in source]


def _placeless(app: dict[str, Any]) -> dict[str, Any]:
    """The app without where it lies, which is what a conversion changes."""
    return {name: value for name, value in app.items() if name not in ("project", "settingsFile")}


def test_the_salesforce_cli_reads_our_manifests(sf: Sf, tmp_path: Path) -> None:
    project = shutil.copytree(SAMPLE, tmp_path / "project")
    env = environment(tmp_path)
    everything = ran("manifest", "-d", project, env=env).result
    names = [
        word for app in ran("app", "list", "-d", project, env=env).result["apps"] for word in ("-n", app["name"])
    ]
    named = ran("manifest", "-d", project, *names, env=env).result
    for manifest in (everything, named):
        (project / "package.xml").write_text(manifest["manifest"])
        answer = sf(project, "project", "convert", "source", "--manifest", "package.xml", "--output-dir", "out")
        assert answer["status"] == 0, answer
        assert listed(project / "out") == {
            (type["name"], member) for type in manifest["types"] for member in type["members"]
        }
        assert {path.suffix for path in (project / "out").rglob("*.eca*")} == {
            ".eca", ".ecaGlblOauth", ".ecaOauth", ".ecaOauthPlcy", ".ecaPlcy"
        }  # fmt: skip
        shutil.rmtree(project / "out")
    assert {(type["name"], member) for type in named["types"] for member in type["members"]} == seen_by_sf(
        sf, project, tmp_path
    )
