"""What an earlier run has done of this one: found out before anything is sent, told as it was, and not repeated."""

from __future__ import annotations

from collections.abc import Mapping

from ecapipe import credentials, discovery, login, resumption
from ecapipe.credentials import Chain
from ecapipe.events import AppSeen, Subject
from ecapipe.login import How
from ecapipe.pairing import Pairing
from ecapipe.record import Course, Recorded
from ecapipe.stages import OF_TARGETS, Tracker, Work

Done = Mapping[Subject, Course]
"""The logins that are done, and the apps of which every login is."""


def done(known: Recorded | None, paired: Pairing, chain: Chain, how: How, track: Tracker, work: Work) -> Done:
    """What of an earlier run, if there is one, serves this one; what has changed in between is told to `work`."""
    if known is None:
        return {}
    planned = {}
    for pair in paired.pairs:
        spared = login.spares_secret(pair.app, pair.org, how)
        resolved = credentials.resolve(pair.app, pair.org, credentials.quiet(chain), spared=spared)
        planned[pair.subject] = login.fingerprint(pair.app, pair.org, how, resolved)
    found = resumption.resume(known, planned, track.those(OF_TARGETS), how.fate)
    work.facts |= {"resumes": found.run, "takenOver": sum(subject.org is not None for subject in found.taken)}
    work.warnings += found.changes
    return found.taken


def take_over(done: Done, paired: Pairing, chain: Chain, track: Tracker) -> Pairing:
    """Tell what is done as it was told then; what is left to do."""
    left = paired.part(lambda subject: subject not in done) if done else paired
    going = {id(app) for app in left.found.apps}
    for app in paired.found.apps:
        if id(app) not in going:
            for event in done.get(paired.subject(app), Course()).events():
                track.emit(event)
            resolved = credentials.resolve(app, None, credentials.quiet(chain))
            targets = discovery.ids(app, [pair.org for pair in paired.of(app)])
            track.emit(AppSeen(discovery.facts(app, resolved, targets)))
    for pair in paired.pairs:
        for event in done.get(pair.subject, Course()).events():
            track.emit(event)
    return left
