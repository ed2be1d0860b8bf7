"""What the Salesforce CLI writes, read: its JSON, its errors, its logins."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ecapipe.adapters.salesforce_cli_process import ProcessResult, command_name
from ecapipe.orgs.sf_logins import SfLogin
from ecapipe.problems.oauth import invalid_client, invalid_client_id
from ecapipe.problems.problem import Problem
from ecapipe.problems.salesforce_cli import sf_failed, sf_login_missing, sf_refresh_refused, sf_unreachable
from ecapipe.secret import Secret, redact_answer

_UNREACHABLE: Final = re.compile(
    r"fetch failed|getaddrinfo|socket hang up|ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH"
    r"|UND_ERR_|self.signed|certificate has expired|unable to (get|verify)\b.*certificate|altnames",
    re.IGNORECASE,
)
"""What Node says of networks and certificates."""
_UNKNOWN_KEY: Final = re.compile(r"invalid_client_id|client identifier", re.IGNORECASE)
_WRONG_SECRET: Final = re.compile(r"invalid[ _]client|client credentials", re.IGNORECASE)
_DEAD_TOKEN: Final = re.compile(r"expired|refresh token|invalid_grant|inactive|revoked", re.IGNORECASE)
_HTML_PAGE: Final = re.compile(r"\s*<(!doctype|html)", re.IGNORECASE)
_PREFIX: Final = re.compile(r"^.*?due to: *", re.IGNORECASE | re.DOTALL)

_ERROR: Final = re.compile(
    r"^Error(?: \((?P<name>[^)]*)\))?: *(?P<message>.*?)(?=\n\s*\n|\Z)", re.DOTALL | re.MULTILINE
)
_STAGE: Final = re.compile(r"[▶>] (.+?)(?:…|\.\.\.)?")
_UNKNOWN_TYPE: Final = re.compile(r"Missing metadata type definition in registry for id '(\w+)'")
"""How a source-deploy-retrieve that is older than a type speaks of it."""


@dataclass(frozen=True, slots=True)
class SfError:
    """An error as it is written for people; the name is empty where there is none."""

    name: str
    message: str


def document(out: str) -> dict[str, Any] | None:
    """The JSON of a command, whatever stands before and behind it; None if there is none."""
    # A prompt in JSON mode, and the warnings of plugins, are written to standard output, too.
    decoder = json.JSONDecoder()
    for start in re.finditer(r"^\s*\{", out, re.MULTILINE):
        try:
            value, _ = decoder.raw_decode(out, start.end() - 1)
        except (ValueError, RecursionError):
            continue
        if not isinstance(value, dict):
            continue
        if "cliVersion" in value:  # sf version has no envelope
            return {"status": 0, "result": value}
        if isinstance(value.get("status"), int):
            return value
    return None


def login(entry: object) -> SfLogin | None:
    """A login as it is listed, or as logging in gives it back, a broken one with what is left; None for no login."""
    if not isinstance(entry, dict) or not (username := _text(entry, "username")):
        return None
    return SfLogin(
        username,
        _text(entry, "orgId"),
        _text(entry, "instanceUrl").rstrip("/"),
        aliases=tuple(alias for alias in _text(entry, "alias").split(",") if alias),
        dev_hub=entry.get("isDevHub") is True,
        method=_text(entry, "oauthMethod"),
    )


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def stage(line: str) -> str | None:
    """The stage of a retrieve that a line of its output tells of."""
    match = _STAGE.fullmatch(line.strip())
    return match and match[1]


def warnings(result: ProcessResult) -> list[str]:
    lines = result.err.splitlines()
    return [line.partition(": ")[2] for line in lines if line.startswith("Warning: ")]


def error(result: ProcessResult) -> SfError | None:
    """The error that a command without --json ended with."""
    match = _ERROR.search(result.err) or _ERROR.search(result.out)
    return SfError(match["name"] or "", match["message"]) if match else None


def unknown_type(message: str, types: Sequence[str]) -> str | None:
    """The one of metadata `types` that an error names as unknown."""
    match = _UNKNOWN_TYPE.search(message)
    return next((type for type in types if match and type.lower() == match[1].lower()), None)


def failure(result: ProcessResult) -> str:
    """What a program said that gave no JSON: the first lines of its complaint, or its status."""
    lines = [line.strip() for line in (*result.err.splitlines(), *result.out.splitlines()) if line.strip()]
    if complaint := " ".join(lines[:2])[:300]:
        return f'exit status {result.status}, "{complaint}".'
    return f"exit status {result.status}."


def problem(error: SfError, command: Sequence[str], subject: str, secrets: Sequence[Secret] = ()) -> Problem:
    """What an error of the Salesforce CLI means; `subject` is the org or login that the command was about.

    By its message, for its actions mislead: every failed refresh, for want of a network, too, is told to be a stored
    token that is no longer valid.
    """
    message = error.message
    if _HTML_PAGE.match(message):
        message = "the org returned a web page"
    text = redact_answer(" ".join(message.split()), *secrets)[:500]
    reason = _PREFIX.sub("", text) or text
    sentence = reason if reason.endswith((".", "!", "?")) else f"{reason}."
    if error.name == "NamedOrgNotFoundError":
        return sf_login_missing(subject, None, ())
    # From the most to the least telling: a failed refresh names the network, the key or the secret in passing.
    if _UNREACHABLE.search(reason):
        return sf_unreachable(subject, sentence)
    if _UNKNOWN_KEY.search(reason):
        return invalid_client_id(subject)
    if _WRONG_SECRET.search(reason):
        return invalid_client(subject)
    if error.name == "RefreshTokenAuthError" or (_DEAD_TOKEN.search(reason) and "token" in reason.lower()):
        return sf_refresh_refused(subject, sentence)
    # The name comes from outside, too: on one line, and without secrets.
    name = redact_answer(" ".join(error.name.split()), *secrets)
    if name[:1].isalpha():
        sentence = f"{sentence} ({name})"
    return sf_failed(command_name(command), sentence)
