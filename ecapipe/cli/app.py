"""``ecapipe app``: the external client apps of a project."""

from __future__ import annotations

import typer

from ecapipe.cli.app_check import check_apps
from ecapipe.cli.app_list import list_apps
from ecapipe.cli.app_probe import probe_apps
from ecapipe.cli.app_protect import protect_apps
from ecapipe.cli.app_rotate import RotateCommand, rotate_apps
from ecapipe.cli.app_secret import forget_secret, set_secret
from ecapipe.cli.commands import Command, Group
from ecapipe.cli.help import COMMANDS

commands = typer.Typer(cls=Group, help=COMMANDS["app"].summary, rich_markup_mode=None)

# In the order of the overview: from what only looks to what changes something.
commands.command("list", cls=Command)(list_apps)
commands.command("check", cls=Command)(check_apps)
commands.command("probe", cls=Command)(probe_apps)
commands.command("protect", cls=Command)(protect_apps)
commands.command("rotate", cls=RotateCommand)(rotate_apps)
commands.command("set-secret", cls=Command)(set_secret)
commands.command("forget-secret", cls=Command)(forget_secret)
