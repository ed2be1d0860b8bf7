"""Going on: what of an earlier run serves the targets of a new one, and what has changed in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.documents.recorded_runs import FINGERPRINT, RECORDED, RecordedRun, SubjectRecord
from ecapipe.events import Stage, Subject, TokenFate

_SHOWN: Final = 5
"""Targets that a sentence names; more are counted."""

_PARTS: Final = {
    "files": "the files of the app have changed",
    "key": "the consumer key is another",
    "org": "the URL of the org has changed",
    "scopes": "other scopes are asked for",
    "expected": "another user or org id is expected",
}
"""The hashes of a fingerprint, and what it means when they differ. Its ``flow_of`` is the one that is asked for."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """What a run takes over from an earlier one: logins, and the apps of which every login is. `changes` are
    sentences about what has changed in between."""

    run: str
    taken: Mapping[Subject, SubjectRecord]
    changes: tuple[str, ...]


def resume(
    earlier: RecordedRun, planned: Mapping[Subject, Mapping[str, str]], asked: Sequence[Stage], fate: TokenFate | None
) -> Resumption:
    """What of `takeover` serves the targets now `planned`: every success, unless something it depends on has changed,
    or its token met another fate than the one that is asked for (None: whatever it was).

    `planned` has the fingerprint of every target, `asked` are a target's stages.
    """
    taken: dict[Subject, SubjectRecord] = {}
    again: dict[str, list[Subject]] = {}
    for target, fingerprint in planned.items():
        course = earlier.courses.get(target)
        if course is None or course.finished is None:
            continue
        if why := _differs(course, fingerprint, asked, fate):
            again.setdefault(why, []).append(target)
        else:
            told = tuple(ended for ended in course.ended if ended.stage in asked)
            taken[target] = _marked(replace(course, ended=told), earlier.run)
    left = {target.app for target in planned if target not in taken}
    for app in dict.fromkeys(Subject(target.app) for target in planned if target.app not in left):
        if app in earlier.courses:
            taken[app] = _marked(earlier.courses[app], earlier.run)
    known = earlier.targets
    gone = [target for target in known if target not in planned]
    new = [target for target in planned if target not in known]
    changes = [f"Done again, because {why}: {_several(targets)}." for why, targets in again.items()]
    changes += [f"Not asked for any more: {_several(gone)}."] if gone else []
    changes += [f"New since run {earlier.run}: {_several(new)}."] if new else []
    return Resumption(earlier.run, taken, tuple(changes))


def _differs(
    course: SubjectRecord, now: Mapping[str, str], asked: Sequence[Stage], fate: TokenFate | None
) -> str | None:
    """Why a recorded success does not serve; None: it does. What was not written down is not held against it."""
    told = course.fact(FINGERPRINT)
    then = told if isinstance(told, Mapping) else {}
    for part, sentence in _PARTS.items():
        if part in then and part in now and then[part] != now[part]:
            return sentence
    if not {ended.stage for ended in course.ended}.issuperset(asked):
        return "more stages are asked for"
    if (login := course.finished.login if course.finished else None) is None:
        return None
    if (flow := now.get("flow", "auto")) not in ("auto", login.flow):
        return f"the flow is to be {flow} and was {login.flow}"
    if fate and login.token != fate:
        return f"the token is to be {_FATES[fate]} and was {_FATES[login.token]}"
    return None


_FATES: Final[Mapping[str, str]] = {
    "forgotten": "forgotten",
    "revoked": "revoked",
    "saved": "saved",
    "handedOver": "handed over",
    "printed": "printed",
}


def _marked(course: SubjectRecord, run: str) -> SubjectRecord:
    """The course with where it was taken over from: the run that really went through it."""
    return replace(course, ended=tuple(replace(each, facts={RECORDED: run, **each.facts}) for each in course.ended))


def _several(targets: Sequence[Subject]) -> str:
    names = ", ".join(str(target) for target in targets[:_SHOWN])
    return names if len(targets) <= _SHOWN else f"{names} and {len(targets) - _SHOWN} more"
