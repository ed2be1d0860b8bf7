"""git as it is installed, on real repositories."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trees
from commandline import ROOT, environment

from ecapipe.adapters.project_tree.git import tracked

ODD = [
    "with space.xml", "'quoted' \"twice\".xml", "new\nline.xml", "tab\t.xml", "*.xml", "[a].xml", "-x.xml",
    ":(top)a.xml", ":!a.xml", "é ☃.xml", "..hidden.xml", "back\\slash.xml",
]  # fmt: skip

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Runs git in a repository of its own, `repo`, with nobody's configuration."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    def run(*arguments: str, at: Path = tmp_path / "repo") -> str:
        who = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.com")
        return subprocess.run(
            ["git", *who, *arguments], cwd=at, check=True, capture_output=True, text=True, timeout=30
        ).stdout

    run("init", "--quiet", "repo", at=tmp_path)
    return run


@pytest.fixture
def repo(git: Git, tmp_path: Path) -> Path:
    return tmp_path / "repo"


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("made up")


def snapshot(root: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*") if path.is_file()}


def test_what_is_in_the_index_is_tracked(git: Git, repo: Path) -> None:
    write(repo, "committed.xml", "staged.xml", "untracked.xml", "ignored.xml", "removed.xml", "forced.xml")
    (repo / ".gitignore").write_text("ignored.xml\nforced.xml\n")
    git("add", "committed.xml", "removed.xml")
    git("commit", "--quiet", "--message", "made up")
    git("add", "staged.xml")
    git("add", "--force", "forced.xml")
    git("rm", "--quiet", "--cached", "removed.xml")
    write(repo, "committed.xml")
    names = [
        "committed.xml",
        "staged.xml",
        "untracked.xml",
        "ignored.xml",
        "removed.xml",
        "forced.xml",
        "missing.xml",
    ]
    assert tracked(str(repo), names) == {"committed.xml", "staged.xml", "forced.xml"}


def test_only_what_was_asked_for_is_told(git: Git, repo: Path) -> None:
    write(repo, "a.xml", "b.xml", "folder/c.xml")
    git("add", ".")
    assert tracked(str(repo), ["a.xml"]) == {"a.xml"}
    assert tracked(str(repo), ["folder"]) == set()
    assert tracked(str(repo), []) == set()


def test_a_project_in_a_subfolder_keeps_its_own_paths(git: Git, repo: Path) -> None:
    write(repo, "sales/force-app/a.xml", "sales/force-app/b.xml", "force-app/b.xml")
    git("add", "sales/force-app/a.xml", "force-app/b.xml")
    assert tracked(str(repo / "sales"), ["force-app/a.xml", "force-app/b.xml"]) == {"force-app/a.xml"}


def test_a_repository_within_has_an_index_of_its_own(git: Git, repo: Path) -> None:
    write(repo, "inner/a.xml", "inner/b.xml", "c.xml")
    git("init", "--quiet", "inner")
    git("-C", "inner", "add", "a.xml")
    git("add", "c.xml")
    assert tracked(str(repo), ["inner/a.xml", "inner/b.xml", "c.xml"]) == {"inner/a.xml", "c.xml"}


@pytest.mark.parametrize("name", ODD)
def test_any_name_is_only_a_name(git: Git, repo: Path, name: str) -> None:
    write(repo, name, "a.xml")
    assert tracked(str(repo), [name]) == set()
    git("--literal-pathspecs", "add", "--", name)
    assert tracked(str(repo), [name, "a.xml"]) == {name}


def test_a_name_that_is_no_text_is_a_name(git: Git, repo: Path) -> None:
    name = os.fsdecode(b"Caf\xe9.xml")
    write(repo, name)
    git("add", ".")
    assert tracked(str(repo), [name]) == {name}


def test_thousands_of_paths_are_asked_about(git: Git, repo: Path) -> None:
    names = [f"folder/{number:04}.xml" for number in range(700)]
    write(repo, *names)
    git("add", ".")
    git("rm", "--quiet", "--cached", *names[::2])
    assert tracked(str(repo), names) == set(names[1::2])


def test_a_link_counts_as_what_it_leads_to(git: Git, repo: Path, tmp_path: Path) -> None:
    write(repo, "real/a.xml", "b.xml")
    write(tmp_path, "away/c.xml")
    (repo / "linked").symlink_to("real")
    (repo / "a-again.xml").symlink_to("real/a.xml")
    (repo / "c.xml").symlink_to(tmp_path / "away/c.xml")
    git("add", ".")
    asked = ["linked/a.xml", "real/a.xml", "a-again.xml", "b.xml", "c.xml"]
    assert tracked(str(repo), asked) == {"linked/a.xml", "real/a.xml", "a-again.xml", "b.xml"}


def test_a_repository_is_found_through_a_link(git: Git, repo: Path, tmp_path: Path) -> None:
    write(repo, "a.xml")
    git("add", ".")
    (tmp_path / "way in").symlink_to(repo)
    assert tracked(str(tmp_path / "way in"), ["a.xml"]) == {"a.xml"}


def test_a_worktree_has_an_index_of_its_own(git: Git, repo: Path, tmp_path: Path) -> None:
    write(repo, "a.xml")
    git("add", ".")
    git("commit", "--quiet", "--message", "made up")
    git("worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
    git("rm", "--quiet", "--cached", "a.xml")
    assert tracked(str(repo), ["a.xml"]) == set()
    assert tracked(str(tmp_path / "other"), ["a.xml"]) == {"a.xml"}


def test_without_a_repository_nothing_is_tracked(tmp_path: Path) -> None:
    write(tmp_path, "a.xml")
    assert tracked(str(tmp_path), ["a.xml"]) == set()


def test_a_bare_or_broken_repository_tracks_nothing(git: Git, repo: Path, tmp_path: Path) -> None:
    git("init", "--quiet", "--bare", "bare", at=tmp_path)
    write(tmp_path, "bare/a.xml", "broken/a.xml")
    (tmp_path / "broken/.git").write_text("gitdir: nowhere\n")
    assert tracked(str(tmp_path / "bare"), ["a.xml"]) == set()
    assert tracked(str(tmp_path / "broken"), ["a.xml"]) == set()
    write(repo, "b.xml")
    git("add", ".")
    (repo / ".git/index").write_bytes(b"no index")
    assert tracked(str(repo), ["b.xml"]) == set()


def test_a_repository_of_somebody_else_is_not_read(git: Git, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repo, "a.xml")
    git("add", ".")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for this very test
    assert tracked(str(repo), ["a.xml"]) == set()


def test_without_git_nothing_is_tracked(git: Git, repo: Path, tmp_path: Path) -> None:
    write(repo, "a.xml")
    git("add", ".")
    program = (
        "import sys; from ecapipe.adapters.project_tree import git;print(sorted(git.tracked(sys.argv[1], ['a.xml'])))"
    )

    def told(path: str) -> str:
        asked = [sys.executable, "-c", program, str(repo)]
        variables = environment(tmp_path, PATH=path)
        return subprocess.run(asked, env=variables, check=True, capture_output=True, text=True, timeout=30).stdout

    assert told(os.environ["PATH"]) == "['a.xml']\n"
    assert told(str(tmp_path)) == "[]\n"


def test_git_is_given_a_list_and_our_own_environment_stays(git: Git, repo: Path, tmp_path: Path) -> None:
    """Also by GitPython, which runs git when it is loaded."""
    write(repo, "a.xml")
    git("add", ".")
    trees.plant(tmp_path, {"bin/git": f'#!/bin/sh\nenv > {tmp_path}/told-$$\nPATH=/usr/bin:/bin exec git "$@"\n'})
    (tmp_path / "bin/git").chmod(0o755)
    program = (
        "import os, sys; from ecapipe.adapters.project_tree.git import tracked;"
        "whole, before = os.environ, dict(os.environ);"
        "print(sorted(tracked(sys.argv[1], ['a.xml'])), os.environ is whole and dict(os.environ) == before)"
    )
    needed = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "GIT_AUTHOR_NAME": "Nobody", "https_proxy": "http://192.0.2.1"}
    variables = environment(tmp_path, **needed, SF_ACCESS_TOKEN="made-up", ORDINARY="made-up", PYTHONPATH=str(ROOT))
    asked = [sys.executable, "-c", program, str(repo)]
    ended = subprocess.run(asked, env=variables, check=True, capture_output=True, text=True, timeout=30)
    assert ended.stdout == "['a.xml'] True\n"
    told = [file.read_text() for file in tmp_path.glob("told-*")]
    assert len(told) > 1
    for given in told:
        names = {line.partition("=")[0] for line in given.splitlines()}
        assert {*needed, "HOME", "LANG"} <= names
        assert {"SF_ACCESS_TOKEN", "ORDINARY", "PYTHONPATH"}.isdisjoint(names)


def test_a_git_that_does_not_work_tracks_nothing(repo: Path, git: Git, tmp_path: Path) -> None:
    write(repo, "a.xml")
    git("add", ".")
    trees.plant(tmp_path, {"bin/git": "#!/bin/sh\nexit 1\n"})
    (tmp_path / "bin/git").chmod(0o755)
    program = "import sys; from ecapipe.adapters.project_tree import git; git.GitRepository(sys.argv[1]).tracked()"
    variables = environment(tmp_path, PATH=str(tmp_path / "bin"))
    asked = [sys.executable, "-c", program, str(repo)]
    ended = subprocess.run(asked, env=variables, check=False, capture_output=True, text=True, timeout=30)
    assert "GitRefused" in ended.stderr.splitlines()[-1]


def test_asking_changes_nothing(git: Git, repo: Path) -> None:
    write(repo, "a.xml", "b.xml")
    git("add", "a.xml")
    before = snapshot(repo)
    tracked(str(repo), ["a.xml", "b.xml"])
    assert snapshot(repo) == before
