"""What ``app check`` and ``app probe`` print for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from ecapipe.check.findings import LEVELS, Finding
from ecapipe.events import Subject, SubjectNames
from ecapipe.render.listings import Length, advice, steps
from ecapipe.render.screen import PLAIN, Screen
from ecapipe.render.text import clean, location, plural, split_sentences, without_names

if TYPE_CHECKING:
    from ecapipe.documents.verdicts import ProbeCheck, Verdict

_DETAIL: Final = "      "

_ROOM: Final = 24
"""Characters of a message that make it worth to begin it on a line."""


def findings(
    findings: Sequence[Finding], apps: int, length: Length = "usual", screen: Screen = PLAIN
) -> Iterator[str]:
    """``app check``: the findings of each app, the worst first, and a summary. A finding is a headline, then where it
    is and what to do, unless concise, and why it matters, when verbose. What several apps have is told at the first,
    which lists the others."""
    if not findings and not apps:  # a hook has nothing to say of a commit that has nothing to do with apps
        return
    owners = SubjectNames(_owner(finding) for finding in findings)
    groups: dict[Subject, list[Finding]] = {}
    alike: dict[object, dict[Subject, None]] = {}
    for finding in sorted(findings, key=_rank):
        groups.setdefault(_owner(finding), []).append(finding)
        alike.setdefault(_likeness(finding), {})[_owner(finding)] = None
    blank = False
    for owner, group in groups.items():
        # Whatever is not the first of its kind is in the list of the first.
        told = [finding for finding in group if next(iter(alike[_likeness(finding)])) == owner]
        if not told:
            continue
        if blank:
            yield ""
        blank = True
        yield screen.paint(clean(owners(owner)).strip() or "Project", "heading")
        for finding in told:
            yield from _finding(finding, length, screen)
            if others := [clean(owners(each)) for each in alike[_likeness(finding)] if each != owner]:
                yield from screen.wrap(f"Same for {plural(len(others), 'more app')}: {', '.join(others)}", _DETAIL)
    if blank:
        yield ""
    yield from screen.wrap(_summary(findings, apps))


def _summary(findings: Sequence[Finding], apps: int) -> str:
    levels = [finding.level for finding in findings if not finding.accepted]
    counts = [plural(levels.count(level), level) for level in LEVELS]
    # Not mentioned where nothing was accepted: most projects have no baseline.
    if len(findings) > len(levels):
        counts.append(f"{len(findings) - len(levels)} accepted")
    return f"Checked {plural(apps, 'app')}: {', '.join(counts)}."


def _owner(finding: Finding) -> Subject:
    return Subject(finding.app, None, finding.project)


def _rank(finding: Finding) -> tuple[object, ...]:
    return finding.accepted, LEVELS.index(finding.level)


def _likeness(finding: Finding) -> tuple[object, ...]:
    """What findings of several apps have in common if they are told once: all but the names of app and file. One
    without an app is like no other."""
    if finding.app is None:
        return (finding.rule, finding.accepted, finding.message, finding.file, finding.line, finding.project)
    # Imported here: the other lists need no sources of credentials.
    from ecapipe.credentials.sources import in_capitals

    blank = without_names((finding.app, in_capitals(finding.app), finding.file))
    parts = (*map(blank, (finding.message, *finding.actions)),)
    return (finding.rule, finding.level, finding.accepted, *parts)


def _finding(finding: Finding, length: Length, screen: Screen) -> Iterator[str]:
    level = f"{finding.level} (accepted)" if finding.accepted else finding.level
    # A headline, and what the message says besides as details.
    headline, *details = split_sentences(clean(finding.message))
    head = (
        f"  {screen.level('' if finding.accepted else finding.level, level)}  {screen.paint(finding.rule, 'heading')}"
    )
    start = len(f"  {level}  {finding.rule}  ")
    if screen.width - start >= _ROOM:
        first, *rest = screen.wrap(headline, " " * start, _DETAIL)
        yield f"{head}  {first.strip()}"
        yield from rest
    else:
        yield head
        yield from screen.wrap(headline, _DETAIL)
    if length == "concise":
        return
    # Unbroken: editors and CI systems know this form, and make links of it.
    if place := location(finding.file, finding.line):
        yield screen.paint(f"{_DETAIL}{clean(place)}", "quiet")
    for detail in details:
        yield from screen.wrap(detail, _DETAIL)
    if length == "verbose":
        # Imported here: a list of apps or of logins needs no rules.
        from ecapipe.check.rules.registry import RULES

        yield from screen.wrap(f"Why: {RULES[finding.rule].why}", _DETAIL)
    if not finding.accepted:
        yield from steps(finding.actions, screen, _DETAIL)


def verdicts(verdicts: Sequence[Verdict], length: Length = "usual", screen: Screen = PLAIN) -> Iterator[str]:
    """``app probe``: a row per app and org, then what to do, unless concise; where the pair came from, when
    verbose."""
    from ecapipe.documents.verdicts import WORDS

    rows = []
    for verdict in verdicts:
        part = f" ({verdict.refused})" if verdict.refused else ""
        rows.append((clean(f"{verdict.app}@{verdict.org}"), verdict.word, clean(f"{verdict.message}{part}")))
    if rows:
        yield from screen.table(("App@Org", "Result", "Details"), rows, [verdict.word for verdict in verdicts])
        yield ""
    for verdict in verdicts:
        steps = verdict.actions if length != "concise" and verdict.word != "skipped" else ()
        sources: tuple[str, ...] = ()
        if length == "verbose" and verdict.key_source:
            secret = (
                f"consumer secret from {verdict.secret_source}" if verdict.secret_source else "no consumer secret"
            )
            sources = (f"Consumer key from {verdict.key_source}, {secret}.",)
        # One alone is what the row says.
        if len(verdict.checks) > 1 and (length == "verbose" or verdict.problem):
            sources = (*sources, *map(_check, verdict.checks))
        yield from advice(f"{verdict.app}@{verdict.org}", (*sources, *steps), screen)
    counts = {word: sum(verdict.word == word for verdict in verdicts) for word in WORDS}
    # "0 accepted" is an answer; that nothing was, say, skipped is none.
    words = ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "accepted")
    yield f"{plural(len(verdicts), 'target')}: {words}."


def _check(check: ProbeCheck) -> str:
    asked = check.what if check.callback is None else f"{check.what} {check.callback}"
    reason = f" ({check.problem.name})" if check.problem else ""
    return f"{asked}: {check.verdict}{reason}"
