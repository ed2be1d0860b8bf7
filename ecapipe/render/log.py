"""Events as log lines on standard error, redacted, for those who ask for them."""

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

# Without a handler Python prints warnings on standard error that nobody asked for.
logging.getLogger("ecapipe").addHandler(logging.NullHandler())


def configure(level: str, stream: TextIO) -> None:
    """Let ecapipe's loggers write to `stream` from `level` on."""
    # Only ecapipe's own, and not the root logger: httpx logs whole URLs, and a query may hold a code.
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
        # A link holds what nobody but the person at the browser should have.
        case StageNoted() if event.note.kind != "link":
            _log.info("%s noted %s: %s", event.stage.name, event.subject, event.note.text)
        case StageEnded():
            _log_end(event)
        case _:
            _log.log(LEVELS["trace"], "%s", type(event).__name__)


def _log_end(event: StageEnded) -> None:
    level = logging.INFO
    if event.outcome in ("failed", "warning"):
        level = logging.WARNING
    if not _log.isEnabledFor(level):
        return
    reason = event.problem.name if event.problem else event.reason or "done"
    about = " ".join(filter(None, (event.stage.name, event.outcome, str(event.subject))))
    _log.log(level, "%s: %s", about, reason)
    _log.log(LEVELS["trace"], "%s facts %s", event.stage.name, dict(event.facts))


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        # Redacted first: cleaning could break up a secret, so that it would no longer be recognized.
        return text.clean(redact(super().format(record)))
