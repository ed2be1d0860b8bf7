"""What the gate costs in a repository, with many apps, and over a long history.

Repeat it with: tests/interop/setup && .venv/bin/python tests/bench/gate.py
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from forest import trees
from measure import ECAPIPE, PYTHON, QUIET, SF, Program, compare, least

ROUNDS = 5

PARSE = """
import sys, xmltodict
from pathlib import Path
for path in Path(sys.argv[1]).rglob("*.xml"):
    xmltodict.parse(path.read_bytes())
"""
LOG = "git log --all --raw --no-abbrev --format= -- '*ecaGlblOauth*'"
BLOBS = f"{LOG} > ../log && cut -d' ' -f4 ../log | sort -u | git cat-file --batch > ../blobs"


def history(commits: int, change: Callable[[int], tuple[str, str]]) -> bytes:
    """A stream for git fast-import: each commit changes one file."""
    parts = ["reset refs/heads/main\nfrom refs/heads/main^0\n\n"]
    for number in range(commits):
        path, text = change(number)
        parts.append(
            f"commit refs/heads/main\ncommitter N <n@example.com> {number} +0000\ndata 0\n"
            f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"
        )
    return "".join(parts).encode()


def repository(root: Path, commits: int, change: Callable[[int], tuple[str, str]]) -> None:
    def git(*arguments: str, given: bytes = b"") -> None:
        subprocess.run(
            ["git", "-c", "user.name=N", "-c", "user.email=n@example.com", *arguments],
            cwd=root, input=given, check=True, capture_output=True,
        )  # fmt: skip

    git("init", "--quiet", "--initial-branch=main")
    git("add", "--all")
    git("commit", "--quiet", "--message", "made up")
    git("fast-import", "--quiet", "--force", given=history(commits, change))
    git("reset", "--quiet", "--hard")


def grown(root: Path, apps: int, others: int) -> Path:
    files = trees.project()
    for number in range(apps):
        files |= trees.app(f"App{number:05}")
    for number in range(others // 2):
        path = f"{trees.DEFAULT}/classes/area{number // 100:03}/Class{number:06}.cls"
        files[path] = f"public class Class{number:06} {{\n" + "    // made up, and as long as a class\n" * 30 + "}\n"
        files[f"{path}-meta.xml"] = trees.xml("ApexClass", {"apiVersion": "66.0"})
    return trees.plant(root, files)


def check(root: Path, *flags: str) -> Program:
    return Program((ECAPIPE, "app", "check", *flags, "--json"), root, statuses=(0, 1))


def main() -> None:
    with TemporaryDirectory() as folder:
        root = grown(Path(folder) / "project", 20, 20_000 - 80)
        repository(root, 1000, lambda number: (f"notes/{number % 50}.md", f"{number}\n"))
        manifest = (SF, "project", "generate", "manifest", "--source-dir", "force-app", "--output-dir", folder)
        cost = least(ROUNDS, ours=check(root, "--for", "deploy"), sf=Program(manifest, root, QUIET))
        compare("all rules / sf manifest", cost["ours"], cost["sf"], 0.25)
    with TemporaryDirectory() as folder:
        root = grown(Path(folder) / "project", 5000, 0)
        for name in ("plain", "repository"):
            if name == "repository":
                repository(root, 1, lambda number: ("notes.md", "made up\n"))
            alone = Program((PYTHON, "-c", PARSE, str(root)), root)
            cost = least(ROUNDS, ours=check(root, "--for", "deploy"), xmltodict=alone)
            compare(f"5,000 apps, {name} / xmltodict", cost["ours"], cost["xmltodict"], 4)
    with TemporaryDirectory() as folder:
        root = grown(Path(folder) / "project", 20, 400)
        settings = f"{trees.DEFAULT}/old/App{{}}.ecaGlblOauth-meta.xml"
        repository(root, 10_000, lambda number: (settings.format(number % 50), f"<a>{number}</a>\n" * 40))
        cost = least(ROUNDS, ours=check(root, "--history"), git=Program(("sh", "-c", BLOBS), root))
        compare("--history / git log and cat-file", cost["ours"], cost["git"], 2)


if __name__ == "__main__":
    main()
