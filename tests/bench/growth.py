"""Hostile trees of two sizes: twice the size, about twice the time.

Each input once broke a version. Processor time above that of a project with one app is compared, and has to stay
below three times as much.

Repeat it with: .venv/bin/python tests/bench/growth.py [INPUT...]
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import ECAPIPE, Program, least, tell

ROUNDS = 3
MOST = 3.0
SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<ExtlClntAppGlobalOauthSettings xmlns="http://soap.sforce.com/2006/04/metadata">
<externalClientApplication>{name}</externalClientApplication>
<consumerKey>{key}</consumerKey><consumerSecret>{secret}</consumerSecret>{rest}
</ExtlClntAppGlobalOauthSettings>
"""
CHECK = ("app", "check", "--for", "commit")


def plant(
    root: Path, apps: int = 1, rest: str = "", secret: Callable[[int], str] = "S{:063d}".format, **config: object
) -> None:
    folder = root / "force-app/g"
    folder.mkdir(parents=True)
    for number in range(apps):
        text = SETTINGS.format(name=f"A{number}", key="3MVG9" + "k" * 80, secret=secret(number), rest=rest)
        (folder / f"{'a' * 60}{number}.ecaGlblOauth-meta.xml").write_text(text)
    project = {"packageDirectories": [{"path": "force-app", "default": True}], **config}
    (root / "sfdx-project.json").write_text(json.dumps(project))


def elements(root: Path, size: int) -> None:
    plant(root, rest="<a/>" * (60_000 * size))


def comments(root: Path, size: int) -> None:
    plant(root, rest=f"<a><![CDATA[{'<!--' * (60_000 * size)}]]></a>")


def apps_with_one_key(root: Path, size: int) -> None:
    plant(root, 1000 * size)


def secrets_to_replace(root: Path, size: int) -> None:
    plant(root, 500 * size)


def secrets(root: Path, size: int) -> None:
    plant(root, 200, secret=lambda number: "ABCDEF0123456789" * 2 + f"{number:0{number + 8}x}")
    (root / "hex.txt").write_text("ABCDEF0123456789" * (60_000 * size))


def ignore_file(root: Path, size: int) -> None:
    plant(root, 200)
    (root / ".forceignore").write_text("".join(f"{'*a' * 20}*{line}\n" for line in range(200 * size)))


def globs(root: Path, size: int) -> None:
    entries = [
        {"glob": f"{'*a' * 20}*{n}", "stringToReplace": "x", "replaceWithEnv": "X_Y"} for n in range(50 * size)
    ]
    plant(root, 100, replacements=entries)


def git_ignore_file(root: Path, size: int) -> None:
    plant(root)
    (root / ".git").mkdir()
    (root / ".gitignore").write_text("eyJ" * (100_000 * size))


def archive(root: Path, size: int) -> None:
    root.mkdir()
    with zipfile.ZipFile(root / "retrieved.zip", "w") as members:
        for number in range(1000 * size):
            text = SETTINGS.format(name=f"A{number}", key="3MVG9", secret=f"{number:064d}", rest="")
            members.writestr(f"a/A{number}.ecaGlblOauth", text)


INPUTS: Mapping[Callable[[Path, int], None], tuple[str, ...]] = {
    elements: CHECK,
    comments: ("app", "protect", "--dry-run", "--replace-with-env"),
    apps_with_one_key: CHECK,
    secrets_to_replace: ("app", "protect", "--dry-run", "--replace-with-env"),
    secrets: CHECK,
    ignore_file: ("app", "list"),
    globs: ("manifest",),
    git_ignore_file: ("app", "protect", "--dry-run"),
    archive: ("app", "list", "--metadata-dir", "retrieved.zip"),
}


def main() -> None:
    chosen = [each for each in INPUTS if not sys.argv[1:] or each.__name__ in sys.argv[1:]]
    with TemporaryDirectory() as folder:
        plant(Path(folder, "empty"))
        for make in chosen:
            runs = {"none": Program((ECAPIPE, "app", "list"), Path(folder, "empty"))}
            for name, size in (("once", 1), ("twice", 2)):
                root = Path(folder, make.__name__, name)
                root.parent.mkdir(exist_ok=True)
                make(root, size)
                runs[name] = Program((ECAPIPE, *INPUTS[make]), root, statuses=(0, 1))
            cost = least(ROUNDS, **runs)
            idle, once, twice = (cost[name].processor for name in ("none", "once", "twice"))
            tell(f"{make.__name__}, {once:.2f} s", (twice - idle) / max(once - idle, 0.02), MOST, "x")


if __name__ == "__main__":
    main()
