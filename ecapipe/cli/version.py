"""``ecapipe --version --verbose``: what a report of a bug says about this machine, and nothing secret."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata

from ecapipe import __version__

_NAME = re.compile(r"^[\w.-]+", re.MULTILINE)
_OF_DEVELOPERS = re.compile(r"extra\s*==\s*[\"'](?:dev|interop)[\"']")


def details() -> Iterator[str]:
    """The version, Python, the platform, how ecapipe was installed, and the packages it uses, a line for each."""
    yield f"ecapipe {__version__}"
    yield f"Python: {platform.python_version()} ({platform.python_implementation()})"
    yield f"Platform: {platform.platform()}"
    yield f"Encoding: {sys.stdout.encoding} (output), {sys.getfilesystemencoding()} (file names)"
    try:
        package = metadata.distribution("ecapipe")
    except metadata.PackageNotFoundError:
        yield "Installed: no, it runs from a folder"
        return
    yield f"Installed: {_origin(package)}"
    yield "Packages:"
    used = "\n".join(each for each in package.requires or () if not _OF_DEVELOPERS.search(each))
    for name in sorted(set(_NAME.findall(used)), key=str.casefold):
        yield f"  {name} {_version(name)}"


def _origin(package: metadata.Distribution) -> str:
    """By what, and from where; no address or path, which could hold a password or a name.

    `direct_url.json` is there for what was not taken from an index:
    https://packaging.python.org/en/latest/specifications/direct-url/.
    """
    installer = "pipx" if os.path.exists(os.path.join(sys.prefix, "pipx_metadata.json")) else None
    installer = installer or (package.read_text("INSTALLER") or "").strip() or "an unknown program"
    direct = json.loads(package.read_text("direct_url.json") or "{}")
    if direct.get("dir_info", {}).get("editable"):
        return f"by {installer}, editable"
    if "vcs_info" in direct:
        return f"by {installer}, from commit {direct['vcs_info']['commit_id']}"
    if direct:
        return f"by {installer}, from a {'folder' if 'dir_info' in direct else 'file'}"
    return f"by {installer}, from an index"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(not installed)"
