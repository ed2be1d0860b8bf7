"""Going on with an earlier run: what of it serves this one is found before anything is sent, reported as it was, and
not repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.check import listing
from ecapipe.credentials import resolution, settings_file, sources
from ecapipe.credentials.sources import Chain
from ecapipe.documents.recorded_runs import FINGERPRINT, RECORDED, RecordedRun, SubjectRecord
from ecapipe.events import TARGET_STAGES, AppDescribed, Stage, Subject, SubjectNames, TokenFate
from ecapipe.login import plan as login_plan
from ecapipe.login.fingerprints import fingerprint
from ecapipe.login.options import LoginOptions
from ecapipe.login.tracker import StageWork, Tracker
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.run.targets import AppKey, RunTargets

Records = Mapping[Subject, SubjectRecord]
"""What an earlier run has completed: logins, and the apps of which every login is."""

Fingerprint = Mapping[str, str]
"""What a login depends on: a hash by the name of each part, and the flow that is asked for."""

_SHOWN: Final = 5
"""Targets that a sentence names; more are counted."""

_PARTS: Final = {
    "files": "the files of the app have changed",
    "key": "the consumer key has changed",
    "org": "the URL of the org has changed",
    "scopes": "the requested scopes have changed",
    "expected": "the expected user or org ID has changed",
}
"""The hashes of a fingerprint, and what it means when they differ."""

_FATES: Final[Mapping[str, str]] = {
    "forgotten": "forgotten",
    "revoked": "revoked",
    "saved": "saved",
    "handedOver": "handed over",
    "printed": "printed",
}


@dataclass(frozen=True, slots=True)
class Resumption:
    """What a run takes over from the earlier `run`. `changes` are sentences about what has changed in between."""

    run: str
    records: Records
    changes: tuple[str, ...]


def resume(
    earlier: RecordedRun | None,
    targets: RunTargets,
    *,
    chain: Chain,
    options: LoginOptions,
    tracker: Tracker,
    work: StageWork,
) -> Records:
    """What of an earlier run, if there is one, serves this one; `work` warns of what has changed in between."""
    if earlier is None:
        return {}
    # A fingerprint has the consumer key in it, never a secret, so that nobody has to be asked for one.
    chain = sources.without_questions(chain)
    fingerprints: dict[Subject, Fingerprint] = {}
    for pair in targets.pairs:
        needs_no_secret = login_plan.needs_no_secret(pair.app, pair.org, options)
        resolved = resolution.resolve(pair.app, pair.org, chain, allowed_flows, needs_no_secret=needs_no_secret)
        fingerprints[pair.subject] = fingerprint(pair.app, pair.org, options, resolved)
    earlier = earlier.known_as(targets.found.facts, (*fingerprints, *(app.subject for app in targets.found.apps)))
    resumption = compare(earlier, fingerprints, tracker.those(TARGET_STAGES), options.fate)
    logins = [subject for subject in resumption.records if subject.org is not None]
    work.facts |= {"resumes": resumption.run, "takenOver": len(logins)}
    work.warnings += resumption.changes
    if logins:
        name = SubjectNames(fingerprints)
        work.note(
            "hint",
            f"Already authorized in run {resumption.run}, and not repeated: {_enumerate(map(name, logins))}. "
            "Secrets aren't recorded, so a change of a secret since then is not noticed.",
        )
    return resumption.records


def replay(records: Records, targets: RunTargets, chain: Chain, tracker: Tracker) -> RunTargets:
    """Emit what is completed as it was emitted then, and give what remains to be done."""
    remaining = targets
    if records:
        remaining = targets.part(lambda subject: subject not in records)
    apps = {AppKey.of(app) for app in remaining.found.apps}
    for app in targets.found.apps:
        if AppKey.of(app) in apps:
            continue
        _emit(records, app.subject, tracker)
        # The files are described as they are now; that they are those of the record is what was compared.
        resolved = resolution.resolve(app, None, sources.without_questions(chain), allowed_flows)
        org_ids = settings_file.known_org_ids(app, targets.orgs_of(app))
        tracker.emit(AppDescribed(listing.describe(app, resolved, org_ids)))
    for pair in targets.pairs:
        _emit(records, pair.subject, tracker)
    return remaining


def _emit(records: Records, subject: Subject, tracker: Tracker) -> None:
    for event in records.get(subject, SubjectRecord()).events():
        tracker.emit(event)


def compare(
    earlier: RecordedRun, fingerprints: Mapping[Subject, Fingerprint], stages: Sequence[Stage], fate: TokenFate | None
) -> Resumption:
    """What of `earlier` serves a run: every success, unless something it depends on has changed, or its token met
    another fate than the one that is asked for (None: whatever it was).

    `fingerprints` are those of all targets now; `stages` are a target's stages as far as they are asked for.
    """
    records: dict[Subject, SubjectRecord] = {}
    repeated: dict[str, list[Subject]] = {}
    for target, now in fingerprints.items():
        record = earlier.courses.get(target)
        if record is None or record.finished is None:
            continue
        if reason := _difference(record, now, stages, fate):
            repeated.setdefault(reason, []).append(target)
        else:
            ended = tuple(each for each in record.ended if each.stage in stages)
            records[target] = _with_origin(replace(record, ended=ended), earlier.run)
    # An app has to be located and checked as long as one of its logins is to be done.
    open_apps = {target.whole_app for target in fingerprints if target not in records}
    for app in dict.fromkeys(target.whole_app for target in fingerprints):
        if app in earlier.courses and app not in open_apps:
            records[app] = _with_origin(earlier.courses[app], earlier.run)
    return Resumption(earlier.run, records, _changes(earlier, fingerprints, repeated))


def _changes(
    earlier: RecordedRun, fingerprints: Mapping[Subject, Fingerprint], repeated: Mapping[str, Sequence[Subject]]
) -> tuple[str, ...]:
    """A sentence for each kind of change, with the targets that it is about."""
    recorded = earlier.targets
    name = SubjectNames((*recorded, *fingerprints))
    removed = [target for target in recorded if target.app and target not in fingerprints]
    new = [target for target in fingerprints if target not in recorded]
    changes = [
        f"Done again, because {reason}: {_enumerate(map(name, targets))}." for reason, targets in repeated.items()
    ]
    if removed:
        changes.append(f"No longer requested: {_enumerate(map(name, removed))}.")
    if new:
        changes.append(f"New since run {earlier.run}: {_enumerate(map(name, new))}.")
    return tuple(changes)


def _difference(
    record: SubjectRecord, now: Fingerprint, stages: Sequence[Stage], fate: TokenFate | None
) -> str | None:
    """Why a recorded success does not serve; None: it does."""
    then = record.fact(FINGERPRINT)
    if isinstance(then, Mapping):
        for part, sentence in _PARTS.items():
            # What was not written down then is not held against it.
            if part in then and part in now and then[part] != now[part]:
                return sentence
        # Bearer tokens, of earlier versions too, are not written down.
        if then.get("tokenType") != now.get("tokenType"):
            return "the binding of the token to a key has changed"
    if not {ended.stage for ended in record.ended}.issuperset(stages):
        return "more stages are requested"
    if record.finished is None or record.finished.login is None:
        return None
    login = record.finished.login
    flow = now.get("flow", "auto")
    if flow not in ("auto", login.flow):
        return f"the flow is now {flow} and was {login.flow}"
    if fate and login.token != fate:
        return f"the token must be {_FATES[fate]} and was {_FATES[login.token]}"
    return None


def _with_origin(record: SubjectRecord, run: str) -> SubjectRecord:
    """The record with the run that really went through it, which may be earlier than `run`: the first one stays."""
    ended = tuple(replace(each, facts={RECORDED: run, **each.facts}) for each in record.ended)
    return replace(record, ended=ended)


def _enumerate(targets: Iterable[str]) -> str:
    names = list(targets)
    if len(names) > _SHOWN:
        return f"{', '.join(names[:_SHOWN])} and {len(names) - _SHOWN} more"
    return ", ".join(names)
