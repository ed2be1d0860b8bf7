"""Commands and topics as typer knows them, but with our help, and with flags as one value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from copy import copy
from dataclasses import fields
from functools import cache, wraps
from importlib import import_module
from inspect import Parameter, Signature, get_annotations
from typing import Any, TypeVar

from typer import Context, Typer
from typer.core import TyperCommand, TyperGroup

from ecapipe.adapters.storage import state
from ecapipe.cli import mistakes
from ecapipe.cli.help import page
from ecapipe.cli.options import CommonFlags
from ecapipe.cli.session import CommandSession
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import usage_error

Flags = TypeVar("Flags", bound=CommonFlags)


class Command(TyperCommand):
    """A command whose help is ours, and which takes no word for something else than it was meant for."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:  # type: ignore[override]  # one class under two names
        mistakes.refuse(ctx, self, args)
        return super().parse_args(ctx, args)

    def get_help(self, ctx: Context) -> str:  # type: ignore[override]  # one class under two names
        return "\n".join(page(self, ctx))


class Group(TyperGroup):
    """A topic whose help is ours."""

    def get_help(self, ctx: Context) -> str:  # type: ignore[override]
        return "\n".join(page(self, ctx))

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:  # type: ignore[override]
        if args and args[0] not in self.commands and ctx.parent is not None:
            raise EcapipeError(mistakes.unknown_word(args, ctx.command_path, self.commands))
        return super().resolve_command(ctx, args)


def load_topic(name: str, children: Collection[str]) -> Typer:
    """A topic with those of its commands, so that only their imports and flags cost time."""
    module = import_module(f"ecapipe.cli.{name}")
    topic: Typer = copy(module.commands)
    topic.registered_commands = [each for each in topic.registered_commands if each.name in children]
    for child, (place, function) in getattr(module, "MODULES", {}).items():
        if child in children:
            command = import_module(f"ecapipe.cli.{place}")
            topic.command(child, cls=getattr(command, "COMMAND_CLASS", Command))(getattr(command, function))
    return topic


def with_flags(flags: type[Flags]) -> Callable[[Callable[[CommandSession, Flags], int]], Callable[..., int]]:
    """Let typer read the flags of a command from the fields of the dataclass `flags`, and hand them over as one value
    in which nothing contradicts itself."""

    def decorate(command: Callable[[CommandSession, Flags], int]) -> Callable[..., int]:
        @wraps(command)
        def call(context: Context, **values: Any) -> int:
            session: CommandSession = context.obj
            state.named(session.environment)
            filled = flags(**values)
            for sentence in filled.contradictions(session):
                raise EcapipeError(usage_error(sentence, context.command_path))
            return command(session, filled)

        # typer asks a function for its signature, and `inspect` answers with this attribute where there is one.
        call.__signature__ = Signature([*_parameters(flags)], return_annotation=int)  # type: ignore[attr-defined]
        return call

    return decorate


def _parameters(flags: type[CommonFlags]) -> Iterator[Parameter]:
    """What typer is to read, in the order of the help."""
    yield Parameter("context", Parameter.KEYWORD_ONLY, annotation=Context)
    types = {name: type for base in reversed(flags.__mro__) for name, type in _declared_types(base).items()}
    names = [field.name for field in fields(flags) if field.name not in flags.LAST]
    for name in (*names, *flags.LAST):
        default = getattr(flags, name, Parameter.empty)
        yield Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=types[name])


# Commands share what most of their flags come from: each is evaluated once.
@cache
def _declared_types(flags: type) -> dict[str, Any]:
    return get_annotations(flags, eval_str=True)
