#!/usr/bin/env python3
"""Keep what this version writes: ``.venv/bin/python tests/past/make.py VERSION``, once, just before it is released.

Every file comes from the commands themselves, run against the emulator. What an earlier version wrote is never made
anew: the version is gone.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import trees
from commandline import Ended, ecapipe, started
from past import world

from ecapipe.emulator.faults import Fault

PASTED = "https://www.example.com/done"
SLOW = Fault("/services/oauth2/token", {"delay": 60.0}, "prod")


def project(root: Path) -> Path:
    """Batch logs in by itself, and so does Robot, whose secret is kept; Steady's users sign in, for long."""

    def alone(name: str, **settings: str | None) -> trees.Files:
        return trees.app(
            name,
            header={"distributionState": "Packaged"},
            settings={"callbackUrl": None, **settings, **trees.CLIENT_CREDENTIALS},
            policies={"clientCredentialsFlowUser": f"{name.lower()}@acme.example", **trees.CLIENT_CREDENTIALS},
        )

    steady = trees.app(
        "Steady",
        settings={"callbackUrl": PASTED, "shouldRotateConsumerSecret": "true"},
        oauth={"commaSeparatedOauthScopes": "Api, Basic, RefreshToken"},
    )
    baseline = trees.project(plugins={"ecapipe": {"baseline": "ecapipe-baseline.json"}})
    return trees.plant(root, baseline | alone("Batch") | alone("Robot", consumerSecret=None) | steady)


def make(home: Path) -> None:
    """Everything, below a home."""
    root = project(home / "acme")
    baseline, drawer = root / "ecapipe-baseline.json", home / "drawer"
    state = {"ECAPIPE_STATE_DIR": str(home / "state")}
    (home / "results").mkdir()

    def done(ended: Ended, status: int = 0) -> str:
        assert ended.status == status, ended
        return ended.out

    def do(*arguments: str, **more: str) -> None:
        done(ecapipe(*arguments, at=home, **state, **more))

    def keep(name: str, *arguments: str, status: int = 0) -> None:
        out = done(ecapipe(*arguments, "--json", at=home, **state), status)
        (home / "results" / f"{name}.json").write_text(out, encoding="utf-8")

    def save(app: str, org: str, *more: str) -> list[str]:
        target = f"{org}={world.URLS[org]}"
        return ["run", "-d", "acme", "-n", app, "-o", target, "--save", "--no-journal", *more]

    batch = ["-d", "acme", "-n", "Batch", *world.TARGETS]
    with world.orgs(root) as emulator:
        do(*save("Batch", "dev", "--store", "file"))
        do(*save("Batch", "uat"), **world.KEYRING, DRAWER=str(drawer))
        paste = ("--store", "file", "--callback", "paste", "-b", "none")
        with started(*save("Steady", "prod", *paste), at=home, **state) as run:
            run.type(emulator.visit(run.line(world.URLS["prod"])))
            done(run.end())
        do("app", "set-secret", "Robot", "-d", "acme", "--store", "file", typed=trees.secret("Robot"))
        keep("run", "run", *batch)
        keep("app-probe", "app", "probe", *batch)
        for number in (1, 2):
            keep(f"run-shard-{number}", "run", *batch, "--shard", f"{number}/2", "--no-journal")
    with world.orgs(root, [SLOW]), started("run", *batch, "--concurrency", "1", at=home, **state) as run:
        run.line("✔ Verifying user info - Batch@uat", "out")
        time.sleep(1)  # a thread of its own brings lines to the file
        run.process.kill()
        run.process.wait()
    keep("app-list", "app", "list", "-d", "acme")
    keep("app-check", "app", "check", "-d", "acme", "--for", "deploy", status=1)
    do("app", "check", "-d", "acme", "--for", "deploy", "--update-baseline")
    assert baseline.exists()
    with closing(sqlite3.connect(drawer)) as base:
        rows = base.execute("select service, user, value from entry").fetchall()
    entries = [{"service": row[0], "user": row[1], "value": bytes.fromhex(row[2]).decode()} for row in rows]
    (home / "keyring.json").write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    drawer.unlink()


if __name__ == "__main__":
    target = world.HERE / sys.argv[1]
    if target.exists():
        sys.exit(f"{target} is there already, and not made anew.")
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary).resolve()
        make(home)
        world.moved(home, target, str(home), world.HOME)
