"""The real disk, with everything that people and archives can put there."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import tries

from ecapipe.adapters.project_tree.archive import opened as open_archive
from ecapipe.adapters.project_tree.disk import Disk
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.project import suffix_misspelt
from ecapipe.problems.usage import unreadable_file
from ecapipe.project import metadata
from ecapipe.project.tree import Entry, InMetadataFormat, LinkOutside, MetadataFile

NOBODY = 65534
LIMIT = 100


def touch(root: Path, *paths: str) -> Path:
    """Empty files below `root`; a path that ends in ``/`` is a folder."""
    for path in paths:
        place = root / path
        (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            place.touch()
    return root


def walked(root: Path, directories: Sequence[str] = (".",), *, metadata_format: bool = False) -> list[Entry]:
    return list(Disk().walk(str(root), directories, metadata_format=metadata_format))


def paths(root: Path, directories: Sequence[str] = (".",), *, metadata_format: bool = False) -> list[str]:
    """The paths of what was found; nothing else may have come up."""
    found = walked(root, directories, metadata_format=metadata_format)
    assert all(isinstance(each, MetadataFile) for each in found), found
    return [each.path for each in found if isinstance(each, MetadataFile)]


@contextmanager
def nobody() -> Iterator[None]:
    """As a user whom permissions bind: nothing is unreadable for root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may enter, which `tmp_path` is not."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


def test_a_walk_finds_metadata_by_its_suffix_wherever_it_lies(tmp_path: Path) -> None:
    touch(tmp_path, "classes/A.eca-meta.xml", "any/deep/er/B_x.ecaGlblOauth-meta.xml", "C.cls-meta.xml", "D.eca.xml")
    by_path = {each.path: each for each in walked(tmp_path) if isinstance(each, MetadataFile)}
    assert by_path == {
        "classes/A.eca-meta.xml": MetadataFile("classes/A.eca-meta.xml", metadata.HEADER, "A"),
        "any/deep/er/B_x.ecaGlblOauth-meta.xml": MetadataFile(
            "any/deep/er/B_x.ecaGlblOauth-meta.xml", metadata.SETTINGS, "B_x"
        ),
    }


def test_metadata_format_has_no_meta_xml(tmp_path: Path) -> None:
    touch(tmp_path, "b/A.eca", "b/B_x.ecaGlblOauth")
    assert paths(tmp_path, metadata_format=True) == ["b/A.eca", "b/B_x.ecaGlblOauth"]


@pytest.mark.parametrize("folder", [".sfdx", ".git", "lwc", "aura", "main/lwc/deep", "a/.b/c"])
def test_some_folders_are_not_entered(tmp_path: Path, folder: str) -> None:
    touch(tmp_path, f"{folder}/A.eca-meta.xml", "B.eca-meta.xml")
    assert paths(tmp_path) == ["B.eca-meta.xml"]


@pytest.mark.parametrize(
    ("name", "correct"),
    [
        ("X.ecaGlblOauth-META.XML", "X.ecaGlblOauth-meta.xml"),
        ("X.ecaGlblOauth-Meta.xml", "X.ecaGlblOauth-meta.xml"),
        ("X.ecaGlblOauth.xml", "X.ecaGlblOauth-meta.xml"),
        ("X.eca.XML", "X.eca-meta.xml"),
        ("X.ecaglobaloauth.xml", "X.ecaGlblOauth-meta.xml"),
    ],
)
def test_an_ending_that_is_nearly_right_is_misspelt(tmp_path: Path, name: str, correct: str) -> None:
    touch(tmp_path, f"node_modules/a/{name}")
    (problem,) = walked(tmp_path)
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.file) == (suffix_misspelt, f"node_modules/a/{name}")
    assert f'"{correct}"' in problem.message


def test_the_metadata_format_is_a_slip_among_source_files_only(tmp_path: Path) -> None:
    touch(tmp_path, "a/X.ecaGlblOauth", "a/Y.cls-meta.xml", "b/X.ecaGlblOauth", "c/X.ecaOther")
    other, slip = walked(tmp_path)
    assert other == InMetadataFormat("b/X.ecaGlblOauth")
    assert isinstance(slip, Problem)
    assert (slip.kind, slip.file) == (suffix_misspelt, "a/X.ecaGlblOauth")


def test_only_the_named_directories_are_walked(tmp_path: Path) -> None:
    touch(tmp_path, "one/A.eca-meta.xml", "two/B.eca-meta.xml", "three/C.eca-meta.xml", "D.eca-meta.xml")
    assert paths(tmp_path, ["one", "three"]) == ["one/A.eca-meta.xml", "three/C.eca-meta.xml"]


def test_no_folder_is_walked_twice(tmp_path: Path) -> None:
    touch(tmp_path, "one/in/A.eca-meta.xml", "two/B.eca-meta.xml")
    (tmp_path / "two/again").symlink_to(tmp_path / "one")
    (tmp_path / "three").symlink_to(tmp_path / "two")
    everything = ["one", "one/in", "one", "three", "two", "."]
    assert paths(tmp_path, everything) == ["one/in/A.eca-meta.xml", "three/B.eca-meta.xml"]


def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/A.eca-meta.xml")
    (tmp_path / "a/b/up").symlink_to("..")
    (tmp_path / "a/root").symlink_to(tmp_path)
    (tmp_path / "a/self").symlink_to("self")
    assert paths(tmp_path) == ["a/b/A.eca-meta.xml"]


def test_links_that_lead_out_of_the_repository_are_told_and_not_followed(tmp_path: Path) -> None:
    root, away = touch(tmp_path / "project", "A.eca-meta.xml"), touch(tmp_path / "away", "in/B.eca-meta.xml")
    (root / "linked").symlink_to(away)
    (root / "C.eca-meta.xml").symlink_to(away / "in/B.eca-meta.xml")
    (root / "x-first").symlink_to("linked")
    (root / "D.eca-meta.xml").symlink_to("A.eca-meta.xml")
    (root / "E.eca-meta.xml").symlink_to("nowhere")
    found = {each.path: type(each) for each in walked(root) if isinstance(each, MetadataFile | LinkOutside)}
    assert found == {
        "A.eca-meta.xml": MetadataFile,
        "C.eca-meta.xml": LinkOutside,
        "D.eca-meta.xml": MetadataFile,
        "linked": LinkOutside,
        "x-first": LinkOutside,
    }
    (tmp_path / ".git").mkdir()  # around both: one repository, with a project in it
    assert {each.path for each in walked(root) if isinstance(each, MetadataFile)} == {
        "A.eca-meta.xml",
        "C.eca-meta.xml",
        "D.eca-meta.xml",
        "x-first/in/B.eca-meta.xml",
    }


def test_a_neighbour_whose_name_begins_the_same_is_outside(tmp_path: Path) -> None:
    root, away = touch(tmp_path / "project", "x/"), touch(tmp_path / "project-2", "A.eca-meta.xml")
    (root / "x/A.eca-meta.xml").symlink_to(away / "A.eca-meta.xml")
    assert walked(root) == [LinkOutside("x/A.eca-meta.xml")]


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    touch(tmp_path, "A.eca-meta.xml/B.eca-meta.xml")
    os.mkfifo(tmp_path / "C.eca-meta.xml")
    told, found = sorted(walked(tmp_path), key=lambda each: isinstance(each, MetadataFile))
    assert told == unreadable_file("C.eca-meta.xml", "it is not a regular file")
    assert isinstance(found, MetadataFile)
    assert found.path == "A.eca-meta.xml/B.eca-meta.xml"


def test_the_order_does_not_depend_on_the_disk(tmp_path: Path) -> None:
    names = [f"{folder}/{name}.eca-meta.xml" for folder in ("b", "a", "a/c", "B") for name in ("z", "A", "é", "m")]
    one, other = touch(tmp_path / "one", *names), touch(tmp_path / "other", *reversed(names))
    assert paths(one) == paths(other)
    assert sorted(paths(one)) == sorted(names)


def test_names_that_are_no_text_are_names(tmp_path: Path) -> None:
    raw = b"Caf\xe9.eca-meta.xml"
    os.close(os.open(os.fsencode(tmp_path) + b"/" + raw, os.O_CREAT))
    (path,) = paths(tmp_path)
    assert os.fsencode(path) == raw
    assert Disk().read(f"{tmp_path}/{path}", LIMIT) == b""


@pytest.mark.parametrize("name", ["A\n\x1b[2J.eca-meta.xml", " .eca-meta.xml", "-rf.eca-meta.xml", "*?.eca-meta.xml"])
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"odd \t{name}/{name}")
    assert paths(tmp_path) == [f"odd \t{name}/{name}"]


@pytest.mark.parametrize("name", ["A.ecaglbloauth-meta.xml", "A.ECA-meta.xml", "A.ecaGlobalOauth-meta.xml"])
def test_a_misspelt_suffix_is_a_problem(tmp_path: Path, name: str) -> None:
    touch(tmp_path, f"main/{name}")
    (problem,) = walked(tmp_path)
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.file) == (suffix_misspelt, f"main/{name}")


def test_a_folder_that_may_not_be_read_is_a_problem_and_hides_nothing_else(public: Path) -> None:
    touch(public, "closed/A.eca-meta.xml", "open/B.eca-meta.xml")
    (public / "closed").chmod(0)
    with nobody():
        found = walked(public)
    (public / "closed").chmod(0o700)
    problems = [(each.name, each.file) for each in found if isinstance(each, Problem)]
    assert problems == [(unreadable_file.name, "closed")]
    assert [each.path for each in found if isinstance(each, MetadataFile)] == ["open/B.eca-meta.xml"]


def test_a_file_that_may_not_be_read_is_a_problem(public: Path) -> None:
    touch(public, "A.eca-meta.xml")
    (public / "A.eca-meta.xml").chmod(0)
    with nobody():
        assert paths(public) == ["A.eca-meta.xml"]
        with pytest.raises(EcapipeError) as caught:
            Disk().read(f"{public}/A.eca-meta.xml", LIMIT)
    assert caught.value.problem.kind is unreadable_file
    assert "permission denied" in caught.value.problem.message


@pytest.mark.parametrize("path", ["nothing", ".", "file/below"])
def test_what_cannot_be_read_is_a_problem(tmp_path: Path, path: str) -> None:
    touch(tmp_path, "file")
    with pytest.raises(EcapipeError) as caught:
        Disk().read(f"{tmp_path}/{path}", LIMIT)
    assert caught.value.problem.kind is unreadable_file


def test_one_byte_more_than_the_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 500)
    assert len(Disk().read(f"{tmp_path}/file", LIMIT)) == LIMIT + 1


def test_nothing_is_changed_by_looking(tmp_path: Path) -> None:
    touch(tmp_path, "a/A.eca-meta.xml", ".forceignore")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    paths(tmp_path)
    Disk().read(f"{tmp_path}/a/A.eca-meta.xml", LIMIT)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_forceignore_marks_what_sf_does_not_see(tmp_path: Path) -> None:
    touch(tmp_path, "main/A.eca-meta.xml", "main/B.eca-meta.xml", "other/C.eca-meta.xml")
    (tmp_path / ".forceignore").write_bytes(b"# ours\n**/other/**\n*.eca-meta.xml\n!**/B.eca-meta.xml\n\xff\n")
    found = {each.path: each.ignored for each in walked(tmp_path) if isinstance(each, MetadataFile)}
    assert found == {"main/A.eca-meta.xml": True, "main/B.eca-meta.xml": False, "other/C.eca-meta.xml": True}


def test_a_path_is_resolved_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/b/")
    monkeypatch.chdir(tmp_path / "a")
    assert Disk().resolve(".") == f"{tmp_path}/a"
    assert Disk().resolve("b/../b/") == f"{tmp_path}/a/b"
    assert Disk().resolve("../nothing") is None
    assert Disk().resolve("\0") is None


def test_a_project_is_found_above(tmp_path: Path) -> None:
    touch(tmp_path, "p/sfdx-project.json", "p/a/b/", "p/q/sfdx-project.json", "p/r/sfdx-project.json/")
    disk = Disk()
    assert disk.project_above(f"{tmp_path}/p/a/b") == f"{tmp_path}/p"
    assert disk.project_above(f"{tmp_path}/p") == f"{tmp_path}/p"
    assert disk.project_above(f"{tmp_path}/p/q") == f"{tmp_path}/p/q"
    assert disk.project_above(f"{tmp_path}/p/r") == f"{tmp_path}/p"
    assert disk.project_above(f"{tmp_path}") is None


def test_projects_are_found_a_few_levels_below(tmp_path: Path) -> None:
    below = ["b", "a/deep/er", "a/deep/er/too/far", "node_modules/x", ".hidden/x"]
    touch(tmp_path, *(f"{folder}/sfdx-project.json" for folder in below))
    (tmp_path / "a/loop").symlink_to(tmp_path)
    assert [path for path in Disk().projects_below(str(tmp_path)) if "loop" not in path] == ["a/deep/er", "b"]


def test_a_replacement_stays_inside(tmp_path: Path) -> None:
    root = touch(tmp_path / "project", "a/", "key-of-neighbour")
    (tmp_path / "project-2").mkdir()
    for place in ("project/key", "project-2/key", "key"):
        (tmp_path / place).write_text(" made up \n")
    (root / "a/link").symlink_to("../../key")
    (root / "a/inner").symlink_to("../key")
    (root / "raw").write_bytes(b"\xff")

    def inside(name: str) -> str | None:
        return Disk().read_inside(str(root), name, LIMIT)

    assert [inside(name) for name in ("key", "a/../key", "a/inner", f"{root}/key")] == ["made up"] * 4
    outside = [
        "../key",
        "../project-2/key",
        "a/link",
        f"{tmp_path}/key",
        "/etc/hostname",
        "nothing",
        "a",
        "raw",
        "\0",
    ]
    assert [inside(name) for name in outside] == [None] * len(outside)


def archive(place: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return place


def test_a_zip_is_a_tree_in_metadata_format(tmp_path: Path) -> None:
    place = archive(tmp_path / "got.zip", {"unpackaged/b/B.eca": b"b", "A.ecaGlblOauth": b"a", "package.xml": b""})
    assert paths(place) == ["A.ecaGlblOauth", "unpackaged/b/B.eca"]
    assert Disk().read(f"{place}/unpackaged/b/B.eca", LIMIT) == b"b"
    with pytest.raises(EcapipeError) as caught:
        Disk().read(f"{place}/nothing.eca", LIMIT)
    assert caught.value.problem.kind is unreadable_file


def test_a_zip_is_not_unpacked_beyond_the_limit(tmp_path: Path) -> None:
    place = archive(tmp_path / "bomb.zip", {"A.eca": b"0" * 50_000_000})
    assert len(Disk().read(f"{place}/A.eca", LIMIT)) == LIMIT + 1


@pytest.mark.parametrize("name", ["{}/victim.eca", "../victim.eca", "in/../../victim.eca"])
def test_no_name_in_a_zip_leads_out_of_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "victim.eca").write_bytes(b"outside")
    place = archive(tmp_path / "got.zip", {name.format(tmp_path): b"inside"})
    (path,) = paths(place)
    assert Disk().read(f"{place}/{path}", LIMIT) == b"inside"


def test_a_damaged_zip_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "got.zip").write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(EcapipeError) as caught:
        walked(tmp_path / "got.zip")
    assert caught.value.problem.kind is unreadable_file
    assert "it is not a zip file" in caught.value.problem.message


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("unpackaged/A.eca", "<ExternalClientApplication/>" * 20)
        opened.writestr("unpackaged/B.ecaGlblOauth", "<ExtlClntAppGlobalOauthSettings/>")
    return buffer.getvalue()


GOOD = zipped()


@tries(200)
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=4)), max_size=4))
def test_no_damage_to_a_zip_is_worse_than_a_problem(damage: list[tuple[int, bytes]]) -> None:
    data = bytearray(GOOD)
    for at, change in damage:
        data[at : at + len(change)] = change
    with tempfile.NamedTemporaryFile(suffix=".zip") as file, suppress(EcapipeError):
        file.write(data)
        file.flush()
        for each in Disk().walk(file.name, ["."], metadata_format=True):
            if isinstance(each, MetadataFile):
                Disk().read(f"{file.name}/{each.path}", LIMIT)


# --- whose file a file is ---


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a project in a folder, and two files."""
    root = tmp_path / "repository"
    for path in (".git/HEAD", "apps/one/sfdx-project.json", "apps/one/force-app/x", "orgs.csv", "apps/one/orgs.csv"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("{}", encoding="utf-8")
    (tmp_path / "orgs.csv").write_text("", encoding="utf-8")
    return root


def within(file: Path | str, *trees: Path | str) -> bool:
    return Disk().in_repository(str(file), [str(tree) for tree in trees])


@pytest.mark.parametrize("tree", ["apps/one", "apps/one/force-app", "apps", "."])
def test_every_file_of_a_repository_is_its_trees(tree: str, repository: Path) -> None:
    assert within(repository / "orgs.csv", repository / tree)
    assert within(repository / "apps/one/orgs.csv", repository / tree)
    assert within(repository / "apps/one/../../orgs.csv", repository / tree)
    assert not within(repository.parent / "orgs.csv", repository / tree)
    assert not within(repository / "../orgs.csv", repository / tree)
    assert within(repository / "orgs.csv", repository.parent / "elsewhere", repository / tree)


def test_a_work_tree_whose_git_is_a_file_is_one_too(repository: Path) -> None:
    (repository / ".git/HEAD").unlink()
    (repository / ".git").rmdir()
    (repository / ".git").write_text("gitdir: /elsewhere", encoding="utf-8")
    assert within(repository / "orgs.csv", repository / "apps/one")


def test_the_nearest_repository_counts(repository: Path) -> None:
    (repository / "apps/.git").mkdir()
    assert within(repository / "apps/one/orgs.csv", repository / "apps/one")
    assert not within(repository / "orgs.csv", repository / "apps/one")


def test_without_a_repository_it_is_the_project(repository: Path) -> None:
    (repository / ".git/HEAD").unlink()
    (repository / ".git").rmdir()
    for tree in ("apps/one", "apps/one/force-app"):
        assert within(repository / "apps/one/orgs.csv", repository / tree)
        assert not within(repository / "orgs.csv", repository / tree)
    assert not within(repository / "apps/one/orgs.csv", repository / "apps/two")


def test_links_change_nothing_about_whose_it_is(repository: Path) -> None:
    outside = repository.parent
    (outside / "link.csv").symlink_to(repository / "orgs.csv")
    (outside / "folder").symlink_to(repository / "apps")
    (repository / "link.csv").symlink_to(outside / "orgs.csv")
    (repository / "out").symlink_to(outside)
    for file in ("link.csv", "folder/one/orgs.csv", "repository/link.csv", "repository/out/orgs.csv"):
        assert within(outside / file, repository / "apps/one"), file
        assert within(outside / file, outside / "folder/one"), file


def test_a_path_is_taken_from_where_we_are(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository / "apps")
    assert within("../orgs.csv", "one")
    assert not within("../../orgs.csv", "one")


# --- trees of strangers ---


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("text", [None, "x\n" * 2001, "x" * (metadata.LARGEST + 1)], ids=["pipe", "many", "large"])
def test_an_ignore_file_that_cannot_be_read_is_a_problem_and_hides_nothing(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / ".forceignore"
    (tmp_path / "A.eca-meta.xml").touch()
    if text is None:
        os.mkfifo(path)
    else:
        path.write_text(text)
    problem, file = Disk().walk(str(tmp_path), ["."], metadata_format=False)
    assert isinstance(problem, Problem)
    assert isinstance(file, MetadataFile)
    assert not file.ignored


def test_a_path_that_is_too_long_is_a_problem(tmp_path: Path) -> None:
    current = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(50):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
    finally:
        os.chdir(current)
    (problem,) = Disk().walk(str(tmp_path), ["."], metadata_format=False)
    assert isinstance(problem, Problem)


def test_a_zip_file_is_opened_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as members:
        members.writestr("A.eca", "x")
    assert open_archive(f"{tmp_path}/a.zip") is open_archive(f"{tmp_path}/a.zip")


def test_members_of_a_zip_may_not_be_far_larger_than_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as members:
        for number in range(20):
            members.writestr(f"A{number}.eca", b" " * metadata.LARGEST)
    with pytest.raises(EcapipeError, match="far more than its size suggests"):
        list(Disk().walk(f"{tmp_path}/a.zip", ["."], metadata_format=True))
