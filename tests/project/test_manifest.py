"""What a manifest names: every app of the org, or only those that were asked for."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st
from trees import DEFAULT, NAMESPACE, Files

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.project import discovery, manifest, metadata
from ecapipe.project.discovery import ProjectSelection
from ecapipe.project.manifest import Manifest

FULL = tuple(sorted(type.name for type in metadata.TYPES if "Sample" not in type.name and "Attest" not in type.name))
"""Every type of an org of API version 67."""


def made(root: Path, files: Files, *names: str, inside: str = "", **members: object) -> Manifest:
    trees.plant(root, trees.project(**members) | files)
    where = ProjectSelection((str(root / inside),), names)
    return manifest.of(discovery.discover(where, composition.real_world(Environment({}))))


def read(made: Manifest, comment: str | None = None) -> tuple[dict[str, list[str]], str]:
    """Members by type, and the version, as an XML parser sees them."""
    root = ElementTree.fromstring("\n".join(manifest.lines(made, comment)))
    space = {"": NAMESPACE}
    assert root.tag == f"{{{NAMESPACE}}}Package"
    types = {
        each.findtext("name", "", space): [member.text or "" for member in each.findall("members", space)]
        for each in root.findall("types", space)
    }
    return types, root.findtext("version", "", space)


@pytest.mark.parametrize("files", [{}, trees.app()], ids=["a fresh project", "a project with an app"])
def test_a_project_is_retrieved_with_every_app_of_the_org(tmp_path: Path, files: Files) -> None:
    types, version = read(made(tmp_path, files, sourceApiVersion="67.0"))
    assert (tuple(types), version) == (FULL, "67.0")
    assert all(members == ["*"] for members in types.values())


def test_types_that_are_newer_than_the_project_are_left_out(tmp_path: Path) -> None:
    old, version = read(made(tmp_path / "old", {}, sourceApiVersion="59.0"))
    assert version == "59.0"
    assert set(old) == {
        "ExternalClientApplication",
        "ExtlClntAppGlobalOauthSettings",
        "ExtlClntAppOauthConfigurablePolicies",
        "ExtlClntAppOauthSettings",
    }
    new, _ = read(made(tmp_path / "new", {}, sourceApiVersion="68.0"))
    assert set(new) == {*FULL, "ExtlClntAppAttestSettings", "ExtlClntAppAttestConfigurablePolicies"}


def test_named_apps_are_named_by_the_members_they_have(tmp_path: Path) -> None:
    files = trees.app("Billing") | trees.app("Other") | trees.app("Third")
    plcy = f"{DEFAULT}/extlClntAppPolicies/{{}}.ecaPlcy-meta.xml"
    push = f"{DEFAULT}/x/Odd name.ecaPush-meta.xml"
    for app, name in (("Billing", "B_plcy"), ("Other", "O_plcy")):
        files[plcy.format(name)] = trees.xml("ExtlClntAppConfigurablePolicies", {"externalClientApplication": app})
    files[push] = trees.xml("ExtlClntAppPushSettings", {"externalClientApplication": "Other"})
    both = made(tmp_path, files, "Other", "Billing", sourceApiVersion="66.0")
    assert both.notices == ()
    assert read(both)[0] == {
        "ExternalClientApplication": ["Billing", "Other"],
        "ExtlClntAppConfigurablePolicies": ["B_plcy", "O_plcy"],
        "ExtlClntAppGlobalOauthSettings": ["Billing_glbloauth", "Other_glbloauth"],
        "ExtlClntAppOauthConfigurablePolicies": ["Billing_oauthPlcy", "Other_oauthPlcy"],
        "ExtlClntAppOauthSettings": ["Billing_oauth", "Other_oauth"],
        "ExtlClntAppPushSettings": ["Odd name"],
    }


def test_what_a_named_app_lacks_is_retrieved_of_all(tmp_path: Path) -> None:
    files = trees.app("Billing", header=None, settings=None) | trees.app("Other")
    both = made(tmp_path, files, "Billing", "Other")
    types, _ = read(both)
    assert types["ExternalClientApplication"] == ["Billing", "Other"], "a header is named after its app"
    assert types["ExtlClntAppGlobalOauthSettings"] == ["*"]
    assert types["ExtlClntAppOauthSettings"] == ["Billing_oauth", "Other_oauth"]
    assert "ExtlClntAppPushSettings" not in types
    missing = [notice for notice in both.notices if "ExtlClntAppGlobalOauthSettings of Billing," in notice]
    assert len(missing) == 1


def test_a_folder_inside_names_the_apps_that_lie_there(tmp_path: Path) -> None:
    files = trees.app("Billing") | trees.app("Other", folder="force-app/other")
    types, _ = read(made(tmp_path, files, inside="force-app/other"))
    assert types["ExternalClientApplication"] == ["Other"]


def test_a_name_that_xml_cannot_hold_is_left_out(tmp_path: Path) -> None:
    files = trees.app("Billing")
    settings = f"{DEFAULT}/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"
    files[settings.replace("Billing_", "Bill\x01ing\u202e_")] = files.pop(settings)
    one = made(tmp_path, files, "Billing")
    assert "ExtlClntAppGlobalOauthSettings" not in read(one)[0]
    assert any("can't be written to a manifest" in notice for notice in one.notices)


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1), min_size=1))
def test_names_come_through_as_they_are(names: list[str]) -> None:
    made = Manifest("66.0", ((metadata.SETTINGS, tuple(names)),))
    assert all(line.isascii() for line in manifest.lines(made, "all apps"))
    assert read(made, "all apps") == ({metadata.SETTINGS.name: names}, "66.0")
