"""How this ecapipe was installed, as far as it decides what a user types."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Final

from ecapipe.problems.problem import command, quote

OPTIONAL: Final = {"keyring": "keyring>=25.7,<26", "socksio": "socksio>=1,<2", "trustme": "trustme>=1.2,<2"}
"""Packages that ecapipe works without, and the versions that it works with."""


def adding(package: str, prefix: str = sys.prefix, python: str = sys.executable) -> str:
    """The command that installs one of `OPTIONAL` for the ecapipe in the environment `prefix`, which `python` runs.

    It names no package called ecapipe: whoever holds that name in an index need not be us.
    """
    requirement = OPTIONAL[package]
    # pipx and uv make environments without pip, and pipx knows those of its own by name.
    if os.path.exists(os.path.join(prefix, "pipx_metadata.json")):
        return command(f"pipx inject {quote(os.path.basename(prefix))}", requirement)
    if find_spec("pip") is None:
        return command("uv pip install", requirement, python=python)
    return command(f"{quote(python)} -m pip install", requirement)
