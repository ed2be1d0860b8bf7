"""``ecapipe app``: the external client apps of a project."""

from __future__ import annotations

from typing import Final

import typer

from ecapipe.cli.commands import Group
from ecapipe.cli.help import COMMANDS

commands = typer.Typer(cls=Group, help=COMMANDS["app"].summary, rich_markup_mode=None)

# In the order of the overview: from what only looks to what changes something.
MODULES: Final = {
    "list": ("app_list", "list_apps"),
    "check": ("app_check", "check_apps"),
    "probe": ("app_probe", "probe_apps"),
    "protect": ("app_protect", "protect_apps"),
    "rotate": ("app_rotate", "rotate_apps"),
    "set-secret": ("app_secret", "set_secret"),
    "forget-secret": ("app_secret", "forget_secret"),
}
"""The module and the function of each command: none pays for the imports and flags of another."""
