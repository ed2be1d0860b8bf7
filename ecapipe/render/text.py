"""Wording and glyphs that all output for people shares; here hostile text is made harmless."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TextIO

from ecapipe.documents.report import Report
from ecapipe.events import (
    DISCOVER,
    DRY_RUNS,
    HAND_OVER,
    VERIFY,
    LoginResult,
    Outcome,
    SavedPlace,
    StageEnded,
    Unwritten,
)
from ecapipe.oauth.flows import registry
from ecapipe.problems.problem import Problem
from ecapipe.secret import without_known

_HOSTILE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: escapes, line breaks
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # marks and overrides of direction, line separators
    "\ufeff\ud800-\udfff\ufffe\uffff]"  # invisible, or not text at all
)

_ACRONYMS: Final[Mapping[str, str]] = {"Id": "ID", "Uri": "URI"}

_MANY: Final = 20
"""Items of a list that people are shown, unless they want all of them."""

_COMMAND: Final = re.compile(r"##(?=\w*\[)")
"""Azure Pipelines, TeamCity and, of old, GitHub Actions find their commands anywhere in a line."""


_PIECE: Final = 8192
"""Characters that are written at once."""


@dataclass(slots=True)
class Output:
    """How much was written, for whoever has to know whether it is read."""

    pieces: int = 0


OUTPUT: Final = Output()


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
        match outcome:
            case "passed":
                return self.passed
            case "failed":
                return self.failed
            case "skipped":
                return self.skipped
            case "warning":
                return self.warning


ASCII: Final = Glyphs(
    passed="+", failed="x", skipped="o", warning="!", current=">", pending=".", info="-", rule="-", ellipsis="..."
)


def glyphs(encoding: str | None) -> Glyphs:
    """The glyphs that `encoding` can write."""
    try:
        "✔◯─".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return Glyphs()


def clean(text: str) -> str:
    """`text` on one line, unable to move the cursor, colour, hide or reorder anything, or to command a CI system; and
    without a consumer secret that somebody has written into it."""
    return _COMMAND.sub("# #", _HOSTILE.sub(_substitute, without_known(text)))


def _substitute(match: re.Match[str]) -> str:
    # Whitespace separates words; anything else leaves a mark, so that two texts do not look the same.
    if match[0] in "\n\r\t":
        return " "
    return "\N{REPLACEMENT CHARACTER}"


def plural(count: int, noun: str) -> str:
    """A count with its noun: 1 app, 2 apps."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun}s"


def split_sentences(text: str) -> list[str]:
    """The sentences of a text of ours."""
    return re.split(r"(?<=\.) (?=[A-Z])", text)


def without_names(words: Iterable[str | None]) -> Callable[[str], str]:
    """What takes these names out of a text, so that what is said of several reads the same."""
    names = "|".join(sorted((re.escape(word) for word in words if word), key=len, reverse=True))
    if not names:
        return str
    pattern = re.compile(rf"(?<![^\W_])(?:{names})(?![^\W_])")
    return lambda text: pattern.sub("\0", text)


def location(file: str | None, line: int | None) -> str:
    """``file:line`` as compilers print it, as far as it is known."""
    return ":".join(str(part) for part in (file, line) if part)


def duration(milliseconds: int) -> str:
    """As `sf` writes it: 116ms, 1.30s, 2m 3.45s."""
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    # Cut, not rounded: 59.999 seconds would become 60.00s.
    seconds = milliseconds // 10 / 100
    if seconds < 60:
        return f"{seconds:.2f}s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{int(minutes)}m {rest:.2f}s"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}h {minutes}m"


def facts(event: StageEnded, verbose: bool) -> list[tuple[str, str]]:
    """The facts of a stage as label and text; unless `verbose`, only of the stages that find, verify or hand over,
    and of a plan."""
    if not verbose and event.reason not in DRY_RUNS and event.stage not in (DISCOVER, VERIFY, HAND_OVER):
        return []
    pairs = []
    for name, value in event.facts.items():
        # A mapping is for programs, and the diff has been printed line by line.
        if isinstance(value, Mapping) or name == "diff":
            continue
        if text := _fact(value, verbose):
            pairs.append((_label(name), clean(text)))
    return pairs


def variables(event: StageEnded) -> str:
    """The variables that a plan says are read where the project or an org file names them."""
    named = [event.facts.get(name) for name in ("secretEnv", "replaceWithEnv")]
    return ", ".join(_fact(value, verbose=True) for value in named if value)


def _fact(value: object, verbose: bool) -> str:
    if not isinstance(value, (list, tuple)):
        return str(value or "")
    if verbose or len(value) <= _MANY:
        return ", ".join(map(str, value))
    return f"{', '.join(map(str, value[:_MANY]))} and {len(value) - _MANY} more"


def _label(name: str) -> str:
    """The name of a fact for people: ``userId`` is User ID."""
    words = re.findall(r"[A-Z]?[a-z]+", name)
    return " ".join(_ACRONYMS.get(word, word.capitalize()) for word in words)


def problem(problem: Problem, name: str = "") -> list[str]:
    """A problem as `sf` prints one: a headline with the `name` of what it is about, details and place, then what to
    try."""
    headline, *details = split_sentences(clean(problem.message))
    if problem.file and problem.line:
        details.append(clean(location(problem.file, problem.line)))
    # Indented, because an org's words may be in them: no line that begins with these looks like one of ours.
    lines = [f"{_head(problem, name)}: {headline}", *(f"  {detail}" for detail in details)]
    return [*lines, "", "Try this:", "", *(clean(action) for action in problem.actions), ""]


def problem_line(problem: Problem, name: str = "") -> str:
    """The error of a problem, with its details, on one line."""
    return f"{_head(problem, name)}: {clean(problem.message)}"


def _head(problem: Problem, name: str) -> str:
    return " ".join(filter(None, (f"Error ({problem.name})", clean(name))))


def warning(name: str, reason: str) -> str:
    """A warning, with what it is about before it unless it says so."""
    name, reason = clean(name), clean(reason)
    return reason if name in reason else f"{name}: {reason}"


def shorten(name: str, app: str, width: int, ellipsis: str) -> str:
    """`name`, which begins with that of an app, in `width` characters if leaving out the middle of the app does it:
    an org is always readable."""
    room = max(width - (len(name) - len(app)), 2 + len(ellipsis))
    if len(app) <= room:
        return name
    tail = (room - len(ellipsis)) // 2
    return app[: room - len(ellipsis) - tail] + ellipsis + name[len(app) - tail :]


def tally(report: Report) -> str | None:
    """How many targets of a run came to which end; None if there is but one."""
    count = Counter[str](end.word for end in report.conclusions().values())
    if count.total() < 2:
        return None
    usual = ("planned" if "planned" in count else "succeeded", "failed", "waiting")
    words = (*usual, *(word for word in ("skipped", "not reached") if word in count))
    return f"{count.total()} targets: {', '.join(f'{count[word]} {word}' for word in words)}"


def success(name: str, login: LoginResult, earlier: str | None = None) -> str:
    """The sentence of `sf` for a login, with what is called so before it; `earlier`: the run that it is of."""
    user = clean(login.username or login.user_id or "")
    if earlier:
        return (
            f"{clean(name)}: Already authorized in run {clean(earlier)}: {user} with org ID "
            f"{clean(login.org_id or '')}"
        )
    return f"{clean(name)}: Successfully authorized {user} with org ID {clean(login.org_id or '')}"


def status(report: Report) -> str:
    """The end of a run in a word or two."""
    return ending(report.status)


def ending(status: int) -> str:
    """The same, for an exit status."""
    return {
        0: "Succeeded",
        68: "Partial Success",
        69: "Waiting for sign-in",
        130: "Interrupted",
    }.get(status, "Failed")


def _refreshes(login: LoginResult) -> bool:
    """Whether the token of the login came with a refresh token."""
    flow = registry.find(login.flow)
    return flow is not None and flow.brings_refresh_token(login.scopes)


def _renewed_with_key(login: LoginResult) -> bool:
    """Whether the Salesforce CLI renews the login with its key; where it does not, its hand-over warns."""
    flow = registry.find(login.flow)
    return flow is not None and flow.hands_over_key


def farewell(logins: Iterable[LoginResult]) -> list[str]:
    """What became of the tokens."""
    logins = list(logins)
    fates = {login.token for login in logins}
    lines = []
    if "forgotten" in fates:
        lines.append(
            "The access tokens weren't stored. They remain valid until the session expires; "
            "use --revoke to revoke them."
        )
    handed_over = [login for login in logins if login.token == "handedOver"]  # noqa: S105
    if any(map(_refreshes, handed_over)):
        lines.append(
            "The Salesforce CLI now stores the consumer secret and the refresh token; ecapipe doesn't. "
            "See the logins with: sf org list auth"
        )
    if not all(_refreshes(login) or _renewed_with_key(login) for login in handed_over):
        lines.append(
            "Without a refresh token, the Salesforce CLI received only an access token: that login "
            "ends with its session."
        )
    if "revoked" in fates:
        lines.append("The access tokens were revoked.")
    for place in dict.fromkeys(login.saved_place for login in logins if login.token == "saved"):  # noqa: S105
        lines.extend(_storage(place))
    return lines


def _storage(saved: SavedPlace | None) -> Iterator[str]:
    """Where logins are saved, and how safe that is."""
    place = "the place that an earlier run saved them in"
    if saved:
        place = clean(saved.place)
    yield f"Logins are saved in {place}. ecapipe login list shows them, ecapipe login logout ends them."
    if saved and saved.store == "file":
        yield "These files are not encrypted: anyone who can read your files or a copy can use the logins."


def tame(line: str) -> str:
    """`line`, which GitHub Actions takes for no command, as it does a line that starts with ``::``."""
    return line.replace("::", ": :", 1) if line.lstrip().startswith("::") else line


def write(stream: TextIO, lines: Iterable[str], *, commands: bool = False) -> None:
    """Write whole lines, at once; what the stream's encoding lacks becomes ``?``.

    `commands`: the CI system is to obey these lines, as it is no others. Raises `BrokenPipeError` when nobody reads
    on, and `Unwritten`.
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        for line in lines:
            if not commands:
                line = tame(line)
            if not line.isascii():
                line = line.encode(encoding, "replace").decode(encoding)
            line += "\n"
            for start in range(0, len(line), _PIECE):
                stream.write(line[start : start + _PIECE])
                OUTPUT.pieces += 1
        stream.flush()
    # An OSError, too, but no fault: whoever reads has seen enough.
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unwritten(error.errno, error.strerror) from None
