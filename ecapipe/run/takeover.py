"""What an earlier run has done of this one: found before anything is sent, reported as it was, and not repeated."""

from __future__ import annotations

from collections.abc import Mapping

from ecapipe.check import listing
from ecapipe.credentials import resolution, settings_file, sources
from ecapipe.credentials.sources import Chain
from ecapipe.documents.recorded_runs import RecordedRun, SubjectRecord
from ecapipe.events import TARGET_STAGES, AppDescribed, Subject
from ecapipe.login import fingerprints
from ecapipe.login import plan as login_plan
from ecapipe.login.options import LoginOptions
from ecapipe.login.tracker import StageWork, Tracker
from ecapipe.run import resume
from ecapipe.run.targets import RunTargets

DoneBefore = Mapping[Subject, SubjectRecord]
"""The logins that are done, and the apps of which every login is."""


def find_done(
    known: RecordedRun | None, paired: RunTargets, chain: Chain, how: LoginOptions, track: Tracker, work: StageWork
) -> DoneBefore:
    """What of an earlier run, if there is one, serves this one; what has changed in between is told to `work`."""
    if known is None:
        return {}
    planned = {}
    for pair in paired.pairs:
        spared = login_plan.needs_no_secret(pair.app, pair.org, how)
        resolved = resolution.resolve(pair.app, pair.org, sources.without_prompts(chain), spared=spared)
        planned[pair.subject] = fingerprints.fingerprint(pair.app, pair.org, how, resolved)
    found = resume.resume(known, planned, track.those(TARGET_STAGES), how.fate)
    work.facts |= {"resumes": found.run, "takenOver": sum(subject.org is not None for subject in found.taken)}
    work.warnings += found.changes
    return found.taken


def take_over(done: DoneBefore, paired: RunTargets, chain: Chain, track: Tracker) -> RunTargets:
    """Tell what is done as it was told then; what is left to do."""
    left = paired.part(lambda subject: subject not in done) if done else paired
    going = {id(app) for app in left.found.apps}
    for app in paired.found.apps:
        if id(app) not in going:
            for event in done.get(paired.subject(app), SubjectRecord()).events():
                track.emit(event)
            resolved = resolution.resolve(app, None, sources.without_prompts(chain))
            targets = settings_file.known_org_ids(app, [pair.org for pair in paired.of(app)])
            track.emit(AppDescribed(listing.describe(app, resolved, targets)))
    for pair in paired.pairs:
        for event in done.get(pair.subject, SubjectRecord()).events():
            track.emit(event)
    return left
