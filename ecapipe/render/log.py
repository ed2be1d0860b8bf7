"""What happens, as log lines on standard error for who asks for them; redacted."""

from __future__ import annotations

import logging
from typing import Final, TextIO

from ecapipe.events import Event, StageEnded, StageNoted, StageStarted
from ecapipe.render import text
from ecapipe.secret import redact

LEVELS: Final = {
    "trace": 5,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}
"""The names that `sf` uses."""

_log = logging.getLogger("ecapipe.stages")
logging.getLogger("ecapipe").addHandler(logging.NullHandler())  # else Python prints warnings that nobody asked for


def configure(level: str, stream: TextIO) -> None:
    """Let ecapipe's loggers write to `stream` from `level` on. The libraries' own loggers stay silent: httpx writes
    whole URLs, with their query."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.addLevelName(LEVELS["trace"], "TRACE")
    logger = logging.getLogger("ecapipe")
    logger.handlers = [handler]
    logger.setLevel(LEVELS[level])
    logger.propagate = False


def log(event: Event) -> None:
    """An `Emit`."""
    match event:
        case StageStarted():
            _log.debug("%s started %s", event.stage.name, event.subject)
        case StageNoted() if event.note.kind != "link":
            _log.info("%s noted %s: %s", event.stage.name, event.subject, event.note.text)
        case StageEnded():
            level = logging.WARNING if event.outcome in ("failed", "warning") else logging.INFO
            why = event.problem.name if event.problem else event.reason or "done"
            _log.log(level, "%s %s %s: %s", event.stage.name, event.outcome, event.subject, why)
            _log.log(LEVELS["trace"], "%s facts %s", event.stage.name, dict(event.facts))
        case _:
            _log.log(LEVELS["trace"], "%s", type(event).__name__)


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return text.clean(redact(super().format(record)))
