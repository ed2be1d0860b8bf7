from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecapipe.project import globs

PARTS = [
    "a",
    "b",
    "*",
    "**",
    "/",
    "?",
    "[ab]",
    "[!a]",
    "[a-c]",
    ".",
    "!",
    " ",
    "\\",
    "[z-a]",
    "[",
    "#",
    "[[:alpha:]]",
]
LINES = st.lists(st.lists(st.sampled_from(PARTS), max_size=6).map("".join), max_size=4)
NAMES = st.text("abc", min_size=1, max_size=3)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(lines=LINES, paths=st.sets(PATHS, min_size=1, max_size=20))
def test_ignore_files_are_read_as_git_reads_them(repository: Path, lines: list[str], paths: set[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    (repository / ".gitignore").write_text(text)
    command = ["git", "-C", str(repository), "check-ignore", "--no-index", "-z", "--stdin"]
    answer = subprocess.run(command, input="\0".join(paths).encode(), capture_output=True, check=False)
    ignored = {name for name in answer.stdout.decode().split("\0") if name}
    assert set(filter(globs.Ignores(text), paths)) == ignored


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("**/{x,y}/*.xml", "p/x/a.xml", True),
        ("**/{x,{y,z}}/*.xml", "p/z/a.xml", True),
        ("**/{x,y}/*.xml", "p/z/a.xml", False),
        ("a{1..3}", "a2", True),
        ("a{01..10..3}", "a04", True),
        ("a{9..11}", "a9", True),
        ("{a..c}", "d", False),
        ("{a}", "{a}", True),
        ("*.@(xml|json)", "a.json", True),
        ("+(ab|c)", "abcab", True),
        ("*(ab|c)d", "d", True),
        ("**(ab|c)d", "xabd", True),
        ("!(a)", "b", True),
        ("!(a)", "a", False),
        ("?(a)b", "b", True),
        ("*", ".hidden", False),
        ("**/b", ".hidden/b", False),
        (".*", ".hidden", True),
        ("*", "a/b", False),
    ],
)
def test_globs_are_read_as_the_salesforce_cli_reads_them(glob: str, path: str, matches: bool) -> None:
    matched = globs.Path(path, hidden=False)
    assert bool(globs.parse(glob, extended=True).ends(matched) & matched.end) is matches


@pytest.mark.parametrize("glob", ["{1..99999999}", "@(a", "@(@(a))", "[a", "a\\", "x" * 5000, "{a," * 9 + "}" * 9])
def test_a_glob_without_a_sense_or_an_end_is_refused(glob: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        globs.parse(glob, extended=True)


@given(glob=st.text("a*?[]{},.@+!()|\\/-^:1", max_size=30), path=st.text("a/.1", max_size=30))
def test_any_text_is_a_glob_or_refused(glob: str, path: str) -> None:
    try:
        pattern = globs.parse(glob, extended=True)
    except ValueError:
        return
    pattern.ends(globs.Path(path, hidden=False))


def test_each_part_of_a_pattern_is_looked_at_once() -> None:
    seen: list[int] = []

    def counted(step: globs.Step) -> globs.Step:
        def counting(path: globs.Path, places: int) -> int:
            seen.append(places)
            return step(path, places)

        return counting

    steps = globs.parse("*a" * 50 + "*b", extended=False).steps
    pattern = globs.Pattern(tuple(map(counted, steps)))
    assert not pattern.ends(globs.Path("a" * 1000, hidden=True)) & 1 << 1000
    assert len(seen) == len(steps)
