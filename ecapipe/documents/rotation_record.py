"""What this machine remembers of the rotation of a consumer: enough to know its own staged pair, and no secret."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from ecapipe.documents import codec
from ecapipe.documents.codec import Result
from ecapipe.documents.json_object import MalformedRecord, NewerVersion


class RotationRecord(Result, kw_only=True):
    """`announced_at` was written down before the pair was asked for, by the clock of the org if it told its time;
    `staged` and `key` name the pair once it is known. Members that say how far the rotation got are set at the end of
    each step."""

    app: str
    url: str
    consumer: str
    announced_at: float
    staged: str | None = None
    key: str | None = None
    delivered: Sequence[str] = ()
    promoted: bool = False
    finished: bool = False


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
