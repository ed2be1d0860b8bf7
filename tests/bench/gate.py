"""What the gate costs in a repository, with many apps, and over a long history.

Repeat it with: tests/interop/setup && .venv/bin/python tests/bench/gate.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

import trees

HERE = Path(__file__).parents[2]
SF = Path(os.environ.get("SF", HERE / ".cache/interop/node_modules/.bin/sf"))
ECAPIPE = str(Path(sys.executable).with_name("ecapipe"))
QUIET = {"SF_DISABLE_TELEMETRY": "true", "SF_AUTOUPDATE_DISABLE": "true", "SF_DISABLE_AUTOUPDATE": "true"}
ROUNDS = 3

PARSE = """
import sys, xmltodict
from pathlib import Path
for path in Path(sys.argv[1]).rglob("*.xml"):
    xmltodict.parse(path.read_bytes())
"""
LOG = "git log --all --raw --no-abbrev --format= -- '*ecaGlblOauth*'"
BLOBS = f"{LOG} > ../log && cut -d' ' -f4 ../log | sort -u | git cat-file --batch > ../blobs"


def least(command: list[str], at: Path) -> float:
    """The least seconds of a few rounds."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # Node lies beside Python
    costs = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ended = subprocess.run(command, cwd=at, env={**os.environ, **QUIET, "PATH": path}, capture_output=True)
        costs.append(time.perf_counter() - start)
        if ended.returncode not in (0, 1):
            raise SystemExit(ended.stderr.decode())
    return min(costs)


def tell(what: str, ours: float, theirs: float, goal: float) -> None:
    verdict = "met" if ours <= goal * theirs else "MISSED"
    sys.stdout.write(f"{what}: {ours / theirs:.2f} (at most {goal}: {verdict})  {ours:.2f} s, {theirs:.2f} s\n")


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


def main() -> None:
    with TemporaryDirectory() as folder:
        root = grown(Path(folder) / "project", 20, 20_000 - 80)
        repository(root, 1000, lambda number: (f"notes/{number % 50}.md", f"{number}\n"))
        check = least([ECAPIPE, "app", "check", "--for", "deploy", "--json"], root)
        manifest = [str(SF), "project", "generate", "manifest", "--source-dir", "force-app", "--output-dir", folder]
        tell("all rules / sf manifest", check, least(manifest, root), 0.25)
    with TemporaryDirectory() as folder:
        root = grown(Path(folder) / "project", 5000, 0)
        for name in ("plain", "repository"):
            if name == "repository":
                repository(root, 1, lambda number: ("notes.md", "made up\n"))
            check = least([ECAPIPE, "app", "check", "--for", "deploy", "--json"], root)
            tell(f"5,000 apps, {name} / xmltodict", check, least([sys.executable, "-c", PARSE, str(root)], root), 4)
    with TemporaryDirectory() as folder:
        root = grown(Path(folder) / "project", 20, 400)
        settings = f"{trees.DEFAULT}/old/App{{}}.ecaGlblOauth-meta.xml"
        repository(root, 10_000, lambda number: (settings.format(number % 50), f"<a>{number}</a>\n" * 40))
        search = least([ECAPIPE, "app", "check", "--history", "--json"], root)
        tell("--history / git", search, least(["sh", "-c", BLOBS], root), 2)


if __name__ == "__main__":
    main()
