"""The baseline: findings that a project has accepted, by fingerprint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.check.findings import NOT_EXAMINED, Finding
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import malformed_baseline

VERSION: Final = 1
LARGEST: Final = 64 * 1024 * 1024
"""Bytes."""


@dataclass(frozen=True, slots=True)
class AcceptedFinding:
    """One accepted finding. The fingerprint decides; the rest tells people what it stands for."""

    fingerprint: str
    rule: str
    app: str | None
    file: str | None


def parse(text: str, path: str) -> tuple[AcceptedFinding, ...]:
    """The entries of a baseline; raises `EcapipeError` (MalformedBaseline)."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise EcapipeError(malformed_baseline(path, "it is not valid JSON")) from None
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise EcapipeError(malformed_baseline(path, f"its version is not {VERSION}"))
    entries = document.get("accepted")
    if not isinstance(entries, list):
        raise EcapipeError(malformed_baseline(path, "it has no list of accepted findings"))
    return tuple(_entry(entry, path) for entry in entries)


def render(entries: Iterable[AcceptedFinding]) -> str:
    """The text of a baseline: sorted, and the same for the same entries."""
    # In version control a new entry is one block of a diff, whatever order the rules were applied in.
    unique = {entry.fingerprint: entry for entry in entries}
    ordered = sorted(unique.values(), key=lambda e: (e.file or "", e.app or "", e.rule, e.fingerprint))
    members = [{"rule": e.rule, "app": e.app, "file": e.file, "fingerprint": e.fingerprint} for e in ordered]
    return json.dumps({"version": VERSION, "accepted": members}, indent=2) + "\n"


def accept(findings: Iterable[Finding], entries: Iterable[AcceptedFinding]) -> list[Finding]:
    """The findings, those in the baseline marked as accepted."""
    known = {entry.fingerprint for entry in entries}
    # A fingerprint costs more than all the rest of a finding.
    if not known:
        return list(findings)

    def marked(finding: Finding) -> Finding:
        if finding.rule == NOT_EXAMINED:
            return finding
        return replace(finding, accepted=finding.fingerprint in known)

    return [marked(finding) for finding in findings]


def obsolete(
    entries: Iterable[AcceptedFinding], findings: Iterable[Finding], examined: Callable[[AcceptedFinding], bool]
) -> list[AcceptedFinding]:
    """The entries that were looked for (`examined`) and stand for nothing any more."""
    candidates = [entry for entry in entries if examined(entry)]
    if not candidates:
        return []
    alive = {finding.fingerprint for finding in findings}
    return [entry for entry in candidates if entry.fingerprint not in alive]


def updated(
    entries: Sequence[AcceptedFinding], findings: Sequence[Finding], examined: Callable[[AcceptedFinding], bool]
) -> list[AcceptedFinding]:
    """The baseline that accepts all `findings` that can be, and still what was not examined this time."""
    gone = obsolete(entries, findings, examined)
    current = [AcceptedFinding(f.fingerprint, f.rule, f.app, f.file) for f in findings]
    updated_entries = [*(entry for entry in entries if entry not in gone), *current]
    return [entry for entry in updated_entries if entry.rule != NOT_EXAMINED]


def _entry(entry: object, path: str) -> AcceptedFinding:
    members = entry if isinstance(entry, dict) else {}
    fingerprint, rule = _string(members, "fingerprint"), _string(members, "rule")
    if fingerprint is None or rule is None:
        raise EcapipeError(malformed_baseline(path, "an entry has no fingerprint, or no rule"))
    return AcceptedFinding(fingerprint, rule, app=_string(members, "app"), file=_string(members, "file"))


def _string(members: Mapping[str, object], name: str) -> str | None:
    value = members.get(name)
    if not isinstance(value, str):
        return None
    return value
