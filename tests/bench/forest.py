"""Generated SFDX projects of any size, whose keys and secrets are made from the names of the apps."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import trees
from loopback import free_port

__all__ = ["grow", "listener", "robot", "settings_only", "trees"]

_CLASS = '<?xml version="1.0" encoding="UTF-8"?>\n<ApexClass xmlns="http://soap.sforce.com/2006/04/metadata"/>\n'
_PER_FOLDER = 200
"""Files: as many as a folder of Salesforce metadata often has."""


def grow(root: Path, apps: int, others: int, *, pruned: int = 0) -> Path:
    """A project with `apps` external client apps of four files each, and `others` files that are Apex classes.

    Besides, `pruned` files lie where nobody has to look: in node_modules, in bundles and in hidden folders.
    """
    files = trees.project()
    for number in range(apps):
        files |= trees.app(f"App{number:05}")
    trees.plant(root, files)
    for number in range(others // 2):
        folder = root / trees.DEFAULT / "classes" / f"area{number // (_PER_FOLDER // 2):04}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"Class{number:06}.cls").write_bytes(b"")
        (folder / f"Class{number:06}.cls-meta.xml").write_text(_CLASS)
    places = ("staticresources/site/node_modules", "lwc", "aura", ".cache")
    for number in range(pruned):
        place = places[number // _PER_FOLDER % len(places)]
        folder = root / trees.DEFAULT / place / f"part{number // _PER_FOLDER:04}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{number:06}.js").write_bytes(b"")
    return root


def settings_only(root: Path, apps: int) -> Path:
    """A project of nothing but the settings files of `apps` external client apps."""
    files = trees.project()
    for number in range(apps):
        files |= trees.app(f"App{number:05}", header=None, oauth=None, policies=None)
    return trees.plant(root, files)


def robot(root: Path) -> Path:
    """A project of one app that logs in by itself."""
    return trees.plant(root, trees.project() | trees.robot())


def listener(root: Path) -> Path:
    """A project of one app whose answers come back to this machine."""
    callback = f"http://localhost:{free_port()}/OauthRedirect"
    return trees.plant(root, trees.project() | trees.app("Listener", settings={"callbackUrl": callback}))
