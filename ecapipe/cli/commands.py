"""Commands and topics as typer knows them, but with our help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.core import TyperCommand, TyperGroup

from ecapipe.cli.help import page

if TYPE_CHECKING:
    from typer import Context


class Command(TyperCommand):
    """A command whose help is ours."""

    def get_help(self, ctx: Context) -> str:  # type: ignore[override]  # one class under two names
        return "\n".join(page(self, ctx))


class Group(TyperGroup):
    """A topic whose help is ours."""

    def get_help(self, ctx: Context) -> str:  # type: ignore[override]
        return "\n".join(page(self, ctx))
