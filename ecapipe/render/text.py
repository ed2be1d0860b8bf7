"""Words and glyphs that every form of output for people shares; hostile text is made harmless here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from ecapipe.documents.report import Report
from ecapipe.events import LoginResult, Outcome, StageEnded, Subject
from ecapipe.problems.problem import Problem

_HOSTILE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: escapes, line breaks
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # marks and overrides of direction, line separators
    "\ufeff\ud800-\udfff\ufffe\uffff]"  # invisible, or not text at all
)


_MANY: Final = 20
"""Parts of a list that people are shown, unless they want all of them."""

_COMMAND: Final = re.compile(r"##(?=\w*\[)")
"""Azure Pipelines, TeamCity and, of old, GitHub Actions find their commands anywhere in a line."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The marks of `sf`'s stage list, or their ASCII stand-ins."""

    passed: str = "✔"
    failed: str = "✘"
    skipped: str = "◯"
    warning: str = "⚠"
    current: str = "▶"
    pending: str = "◼"
    info: str = "▸"
    rule: str = "─"
    ellipsis: str = "…"

    def of(self, outcome: Outcome) -> str:
        return {"passed": self.passed, "failed": self.failed, "skipped": self.skipped, "warning": self.warning}[
            outcome
        ]


ASCII: Final = Glyphs("+", "x", "o", "!", ">", ".", "-", "-", "...")


def glyphs(encoding: str | None) -> Glyphs:
    """The glyphs that `encoding` can write."""
    try:
        "✔◯─".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return Glyphs()


def clean(text: str) -> str:
    """`text` on one line, unable to move the cursor, colour, hide or reorder anything, or to command a CI system."""
    shown = _HOSTILE.sub(lambda match: " " if match[0] in "\n\r\t" else "\N{REPLACEMENT CHARACTER}", text)
    return _COMMAND.sub("# #", shown)


def duration(milliseconds: int) -> str:
    """As `sf` writes it: 116ms, 1.30s, 2m 3.45s."""
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    seconds = milliseconds // 10 / 100
    if seconds < 60:
        return f"{seconds:.2f}s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{int(minutes)}m {rest:.2f}s"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}h {minutes}m"


def facts(event: StageEnded, verbose: bool) -> list[tuple[str, str]]:
    """The facts of a stage as label and text; unless `verbose`, only what was found, who signed in, what was kept."""
    if not verbose and event.stage.name not in ("discover", "verify", "hand-over"):
        return []
    shown = []
    for name, value in event.facts.items():
        if isinstance(value, Mapping):  # for programs
            continue
        text = _listed(value, verbose) if isinstance(value, (list, tuple)) else str(value or "")
        if text and name != "diff":  # which has been shown line by line
            words = re.findall(r"[A-Z]?[a-z]+", name)
            label = " ".join(word.upper() if word in ("Id", "Uri") else word.capitalize() for word in words)
            shown.append((label, clean(text)))
    return shown


def _listed(parts: Sequence[object], verbose: bool) -> str:
    shown = parts if verbose or len(parts) <= _MANY else parts[:_MANY]
    rest = len(parts) - len(shown)
    return ", ".join(str(part) for part in shown) + (f" and {rest} more" if rest else "")


def problem(found: Problem) -> list[str]:
    """A problem as `sf` prints one: the error, then what to try."""
    place = f"{found.file}:{found.line}: " if found.file and found.line else ""
    error = f"Error ({found.name}): {clean(place + found.message)}"
    return [error, "", "Try this:", "", *(clean(action) for action in found.actions), ""]


def success(subject: Subject, login: LoginResult) -> str:
    """The sentence of `sf` for a login, with the app before it."""
    who = clean(login.username or login.user_id or "")
    return f"{clean(str(subject))}: Successfully authorized {who} with org ID {clean(login.org_id or '')}"


def status(report: Report) -> str:
    """The end of a run in a word or two."""
    return ending(report.status)


def ending(status: int) -> str:
    """The same, for an exit status."""
    return {
        0: "Succeeded",
        68: "Partial Success",
        69: "Waiting for people",
        130: "Interrupted",
    }.get(status, "Failed")


def _refreshes(login: LoginResult) -> bool:
    return login.flow == "web" and not {"refresh_token", "offline_access"}.isdisjoint(login.scopes)


def farewell(logins: Iterable[LoginResult]) -> list[str]:
    """What became of the tokens."""
    known = list(logins)
    fates = [login.token for login in known]
    said = []
    if "forgotten" in fates:
        said.append(
            "ecapipe has forgotten the access tokens. They stay valid at Salesforce until their sessions end; "
            "use --revoke to end them at once."
        )
    lasting = [_refreshes(login) for login in known if login.token == "handedOver"]  # noqa: S105
    if True in lasting:
        said.append(
            "The Salesforce CLI now keeps the consumer secret and the refresh token; ecapipe has forgotten them. "
            "See the logins with: sf org list auth"
        )
    if False in lasting:
        said.append(
            "The Salesforce CLI was given an access token where there was no refresh token: such a login ends with "
            "its session."
        )
    if "revoked" in fates:
        said.append("The access tokens were revoked.")
    for kept in dict.fromkeys(login.kept for login in known if login.token == "saved"):  # noqa: S105
        where = clean(kept.place) if kept else "the place that an earlier run kept them in"
        said.append(f"Logins are kept in {where}. ecapipe login list shows them, ecapipe login logout ends them.")
        if kept and kept.store == "file":
            said.append(
                "These files are not encrypted: whoever can read your files, or a copy of them, can use the logins."
            )
    return said


def tame(line: str) -> str:
    """`line`, which GitHub Actions takes for no command, as it does a line that starts with ``::``."""
    return line.replace("::", ": :", 1) if line.lstrip().startswith("::") else line


class Unwritten(OSError):
    """A stream cannot be written to, though somebody reads it: its disk is full, say."""


def write(stream: TextIO, lines: Iterable[str], *, commands: bool = False) -> None:
    """Write whole lines, at once; what the stream's encoding lacks becomes ``?``.

    `commands`: they are meant to be obeyed by the CI system; no other line is. Raises `BrokenPipeError` when nobody
    reads on, and `Unwritten`.
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        for line in lines:
            if not commands:
                line = tame(line)
            if not line.isascii():
                line = line.encode(encoding, "replace").decode(encoding)
            stream.write(line + "\n")
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unwritten(error.errno, error.strerror) from None
