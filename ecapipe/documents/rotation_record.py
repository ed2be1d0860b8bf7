"""What this machine remembers of rotations: of that of a consumer enough to know its own staged pair, of a whole run
what serves to resume it, and no secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from ecapipe.documents import codec
from ecapipe.documents.codec import Result
from ecapipe.documents.json_object import MalformedRecord, NewerVersion
from ecapipe.documents.results import AppRotate, RecordedRun


class RotationRecord(Result, kw_only=True):
    """`announced_at` was written down before the pair was asked for, by the clock of the org if it told its time;
    `staged` and `key` name the pair once it is known. `places` are the names of all that may have it, by id, and
    `delivered` the ids of those that took it. What says how far the rotation got is set at the end of each step."""

    app: str
    url: str
    consumer: str
    announced_at: float
    staged: str | None = None
    key: str | None = None
    places: Mapping[str, str] = {}
    delivered: Sequence[str] = ()
    promoted: bool = False
    finished: bool = False


class RecordedRotation(Result, kw_only=True):
    """What came of a run, how it stands, and the command line that serves it again in its folder, if that may be
    recorded."""

    folder: str
    arguments: Sequence[str] | None
    recorded: RecordedRun
    result: AppRotate


def changed(record: RotationRecord, **changes: object) -> RotationRecord:
    """The record with other members."""
    return structs.replace(record, **changes)


def encode(record: RotationRecord) -> bytes:
    return codec.encode(record)


def parse(data: bytes) -> RotationRecord | None:
    """None for what cannot be read: then nothing is remembered, and a staged pair counts as somebody else's."""
    try:
        return codec.parse(data, RotationRecord)
    except (MalformedRecord, NewerVersion):
        return None
