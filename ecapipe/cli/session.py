"""What every command shares: the streams, the environment, and how a result leaves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from ecapipe.adapters.environment import Environment
from ecapipe.cli.arguments import conceal
from ecapipe.cli.interrupts import Interrupts
from ecapipe.documents import report
from ecapipe.problems.problem import INTERRUPTED, EcapipeError, Problem
from ecapipe.problems.usage import interrupted, output_not_written
from ecapipe.render import json, text
from ecapipe.render.screen import Screen, coloured, terminal_width

if TYPE_CHECKING:
    from ecapipe.documents.codec import Document
    from ecapipe.render.progress import Progress


@dataclass(frozen=True, slots=True)
class CommandSession:
    """One invocation.

    `json` is known before any flag is parsed, so that usage errors can be JSON, too; `full_help` tells ``--help``
    from ``-h``.
    """

    environment: Environment
    out: TextIO
    err: TextIO
    json: bool
    full_help: bool = True
    interrupts: Interrupts = field(default_factory=Interrupts)
    """Installed, where there is something to interrupt."""
    words: tuple[str, ...] = ()
    """The command line, as it was given."""
    arguments: tuple[str, ...] | None = None
    """What serves a run again, if it may be recorded."""
    options: tuple[str, ...] = ()
    """The same for results, redacted."""
    repeated: frozenset[str] = frozenset()
    """The options that only the run which is resumed was given."""

    @property
    def live(self) -> bool:
        """Whether a display may move: a capable terminal, and no CI."""
        dumb = self.environment.get("TERM") == "dumb"
        return self.out.isatty() and not dumb and not self.environment.is_ci()

    @property
    def screen(self) -> Screen:
        """What standard output is laid out for."""
        return self._screen(self.out)

    def _screen(self, stream: TextIO) -> Screen:
        """What lines on `stream` are laid out for. A CI system gets colours only where FORCE_COLOR asks for them."""
        get = {name: self.environment.get(name) or "" for name in ("NO_COLOR", "FORCE_COLOR", "TERM")}
        colour = coloured(stream, get) and (bool(get["FORCE_COLOR"]) or not self.environment.is_ci())
        rule = text.glyphs(getattr(stream, "encoding", None)).rule
        return Screen(terminal_width(2 if stream is self.err else 1), colour and not self.json, rule)

    def progress(self, *, shown: bool) -> Progress:
        """A line on standard error that says how far long work is, if it is to be `shown`; silent where it would be
        in the way."""
        from ecapipe.render.progress import Progress

        moves = self.live and self.err.isatty() and not self.json and shown
        return Progress(self.err if moves else None)

    def require_output(self) -> None:
        """For a command whose output nobody should miss: raises `EcapipeError` (OutputNotWritten) if whoever started
        us has closed it."""
        if getattr(self.out, "name", None) == os.devnull:
            raise EcapipeError(output_not_written("it is closed"))

    def finish(
        self,
        result: Callable[[], Document],
        lines: Iterable[str],
        status: int = 0,
        warnings: Iterable[str] = (),
        *,
        goes_on: bool = False,
    ) -> int:
        """Print a result, in the form that was asked for; the exit status. Nothing interrupts it, or what follows,
        unless the command `goes_on`."""
        if not goes_on:
            self.interrupts.retire()
        if self.json:
            from ecapipe.documents import codec

            json.write(self.out, report.success(codec.builtins(result()), warnings, status))
        else:
            # Standard output holds the result alone, so that it can be piped.
            try:
                self.tell([f"Warning: {text.clean(warning)}" for warning in warnings])
            finally:
                text.write(self.out, lines)
            if status == INTERRUPTED:
                self.tell(text.problem(interrupted()))
        return status

    def fail(self, problem: Problem, command: str, stack: str | None = None, about: str = "") -> int:
        """Print the problem that kept a command from its work, and what it is `about`; the exit status."""
        self.interrupts.retire()
        problem = conceal(problem, self.words)
        if self.json:
            json.write(self.out, report.failure(problem, command, stack=stack))
        else:
            self.tell([*text.problem(problem, about), *(stack or "").splitlines()])
        return problem.exit_code

    def tell(self, lines: Iterable[str]) -> None:
        """Print errors and warnings."""
        text.write(self.err, self._screen(self.err).messages(lines, wrapped=self.err.isatty()))


def open_session(
    arguments: Sequence[str], environment: Environment, out: TextIO, err: TextIO, interrupts: Interrupts | None = None
) -> CommandSession:
    """The session for a command line: JSON by ``--json`` before any ``--``, or ``SF_CONTENT_TYPE=JSON``."""
    flags = list(arguments)
    if "--" in flags:
        del flags[flags.index("--") :]
    content_type = environment.get("SF_CONTENT_TYPE") or ""
    as_json = "--json" in flags or content_type.upper() == "JSON"
    return CommandSession(
        environment,
        out,
        err,
        json=as_json,
        full_help="--help" in flags,
        interrupts=interrupts or Interrupts(),
        words=tuple(arguments),
    )
