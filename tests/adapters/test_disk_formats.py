"""Trees beyond a plain project: metadata format, zip files, lent credentials, ignored and misspelt files, links."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import trees

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import malformed_xml, suffix_misspelt
from ecapipe.project import discovery
from ecapipe.project.discovery import Discovery, ProjectSelection
from ecapipe.run.world import World


def world() -> World:
    return composition.real_world(Environment({}))


def found(*directories: Path, metadata: Path | None = None, lender: Path | None = None) -> Discovery:
    return discovery.discover(
        ProjectSelection(
            tuple(map(str, directories)),
            metadata_dirs=(str(metadata),) if metadata else (),
            credentials_dirs=(str(lender),) if lender else (),
        ),
        world(),
    )


def in_metadata_format(name: str = "Billing") -> trees.Files:
    return {path.removesuffix("-meta.xml"): text for path, text in trees.app(name, folder="unpackaged").items()}


def zipped(path: Path, files: trees.Files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_folder_in_metadata_format_is_read(tmp_path: Path) -> None:
    (app,) = found(metadata=trees.plant(tmp_path, in_metadata_format())).apps
    assert app.name == "Billing"
    assert app.settings is not None
    assert app.settings.path == "unpackaged/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth"


def test_a_retrieved_zip_is_read_like_its_folder(tmp_path: Path) -> None:
    from_zip = found(metadata=zipped(tmp_path / "unpackaged.zip", in_metadata_format())).apps
    from_folder = found(metadata=trees.plant(tmp_path / "folder", in_metadata_format())).apps
    assert [replace(app, project="", tree="") for app in from_zip] == [
        replace(app, project="", tree="") for app in from_folder
    ]


def test_a_project_does_not_see_metadata_format(tmp_path: Path) -> None:
    plain = {f"force-app/{path}": text for path, text in in_metadata_format().items()}
    assert found(trees.plant(tmp_path, trees.project() | plain)).apps == ()


def test_a_zip_that_climbs_out_writes_nothing(tmp_path: Path) -> None:
    climbing = {f"../../{path}": text for path, text in in_metadata_format().items()}
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    archive = zipped(inside / "evil.zip", climbing)
    before = sorted(tmp_path.rglob("*"))
    (app,) = found(metadata=archive).apps
    assert app.name == "Billing"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_bomb_is_read_no_further_than_the_limit(tmp_path: Path) -> None:
    bomb: trees.Files = {"unpackaged/X.ecaGlblOauth": b" " * 50_000_000}
    archive = zipped(tmp_path / "bomb.zip", bomb)
    (problem,) = found(metadata=archive).unreadable
    assert (problem.kind, problem.file) == (malformed_xml, "unpackaged/X.ecaGlblOauth")
    assert "1 MiB" in problem.message
    assert len(world().tree.read(f"{archive}/unpackaged/X.ecaGlblOauth", 1000)) == 1001


def test_a_file_that_is_no_zip_is_said(tmp_path: Path) -> None:
    (tmp_path / "not.zip").write_text("text")
    with pytest.raises(EcapipeError, match="it is not a zip file"):
        found(metadata=tmp_path / "not.zip")


def test_a_missing_metadata_dir_is_said_with_its_flag(tmp_path: Path) -> None:
    with pytest.raises(EcapipeError, match="--metadata-dir"):
        found(metadata=tmp_path / "nowhere")


def test_a_linked_app_borrows_from_its_source_orgs_tree(tmp_path: Path) -> None:
    link = {"oauthLink": "00D000000000009EAA:888000000000001"}
    target = trees.plant(
        tmp_path / "target",
        trees.project()
        | trees.app(settings=None, oauth=link, header={"orgScopedExternalApp": "00D000000000008EAA:Billing"}),
    )
    source = trees.plant(tmp_path / "source", trees.project() | trees.app())
    (alone,) = found(target).apps
    (app,) = found(target, lender=source).apps
    assert (alone.settings, alone.credentials_of()) == (None, "sourceOrg")
    assert app.settings is not None
    assert app.settings.path == (
        "../source/force-app/main/default/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"
    )
    assert (app.credentials_of(), app.source_org()) == ("sourceOrg", "00D000000000009EAA")
    assert app.settings.document.text("consumerSecret") == trees.secret("Billing")


def test_an_app_with_a_file_of_its_own_borrows_nothing(tmp_path: Path) -> None:
    own = trees.plant(tmp_path / "own", trees.project() | trees.app(settings={"consumerKey": "own.key.of.billing"}))
    source = trees.plant(tmp_path / "source", trees.project() | trees.app())
    (app,) = found(own, lender=source).apps
    assert app.settings is not None
    assert app.settings.document.text("consumerKey") == "own.key.of.billing"


def test_a_forceignored_file_is_found_and_marked(tmp_path: Path) -> None:
    ignore: trees.Files = {".forceignore": "# not deployed\n**/*.ecaGlblOauth-meta.xml\n"}
    (app,) = found(trees.plant(tmp_path, trees.project() | trees.app() | ignore)).apps
    assert {file.type.suffix: file.ignored for file in app.files} == {
        "eca": False,
        "ecaGlblOauth": True,
        "ecaOauth": False,
        "ecaOauthPlcy": False,
    }


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("X.ecaGlobalOauth-meta.xml", "X.ecaGlblOauth-meta.xml"),
        ("X.ecaglbloauth-meta.xml", "X.ecaGlblOauth-meta.xml"),
        ("X.ECA-meta.xml", "X.eca-meta.xml"),
    ],
)
def test_a_misspelt_suffix_is_said_with_the_right_one(tmp_path: Path, name: str, meant: str) -> None:
    root = trees.plant(tmp_path, trees.project() | {f"force-app/{name}": "<x/>"})
    (problem,) = found(root).unreadable
    assert (problem.kind, problem.file) == (suffix_misspelt, f"force-app/{name}")
    assert f'Did you mean "force-app/{meant}"?' in problem.message or f'Did you mean "{meant}"?' in problem.message


def test_a_link_out_of_the_repository_is_said_and_not_followed(tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "project", trees.project())
    elsewhere = trees.plant(tmp_path / "elsewhere", trees.app(folder="apps"))
    (root / "force-app" / "shared").symlink_to(elsewhere / "apps")
    result = found(root)
    assert result.apps == ()
    (notice,) = result.notices
    assert notice == (
        "force-app/shared is a link that leads outside the repository, so it was not followed. "
        f"Specify its target: --source-dir {elsewhere / 'apps'}"
    )


def test_two_settings_files_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    rival = trees.app(header=None, settings={"consumerKey": "another.key"}, oauth=None, policies=None, folder="extra")
    root = trees.plant(tmp_path, trees.project("force-app", "extra") | trees.app() | rival)
    (app,) = found(root).apps
    with pytest.raises(EcapipeError, match="several global OAuth settings files"):
        discovery.refuse_rivals(app)
