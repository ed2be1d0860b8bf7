"""Commands and topics as typer knows them, but with our help, and with flags as one value."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar

from typer import Context
from typer.core import TyperCommand, TyperGroup

from ecapipe.cli.help import page

Flags = TypeVar("Flags")


class Command(TyperCommand):
    """A command whose help is ours."""

    def get_help(self, ctx: Context) -> str:  # type: ignore[override]  # one class under two names
        return "\n".join(page(self, ctx))


class Group(TyperGroup):
    """A topic whose help is ours."""

    def get_help(self, ctx: Context) -> str:  # type: ignore[override]
        return "\n".join(page(self, ctx))


def with_flags(
    flags: type[Flags],
) -> Callable[[Callable[[Context, Flags], int]], Callable[..., int]]:
    """Let typer read the flags of a command from the fields of the dataclass `flags`, and hand them over as one."""

    def decorate(command: Callable[[Context, Flags], int]) -> Callable[..., int]:
        @wraps(command)
        def call(context: Context, **values: Any) -> int:
            return command(context, flags(**values))

        context = Parameter("context", Parameter.KEYWORD_ONLY, annotation=Context)
        fields = signature(flags, eval_str=True)
        # typer asks a function for its signature, and `inspect` answers with this attribute where there is one.
        call.__signature__ = fields.replace(  # type: ignore[attr-defined]
            parameters=[context, *fields.parameters.values()], return_annotation=int
        )
        return call

    return decorate
