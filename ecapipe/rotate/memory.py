"""What this machine remembers of the rotation of a consumer, while it goes on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ecapipe.documents import rotation_record
from ecapipe.documents.rotation_record import RotationRecord
from ecapipe.rotate.ports import RotationRecords
from ecapipe.rotate.target import Found, Target


@dataclass(slots=True)
class Memory:
    """The record of one consumer; whoever has it holds its lock."""

    id: str
    app: str
    records: RotationRecords
    record: RotationRecord | None = None

    def read(self) -> None:
        self.record = self.records.read(self.id)

    def write(self, record: RotationRecord) -> None:
        self.records.write(self.id, record)
        self.record = record

    def update(self, **changes: object) -> None:
        """Write other members; without a record nothing is remembered, as of a pair that was adopted."""
        if self.record is not None:
            self.write(rotation_record.changed(self.record, **changes))


def of(target: Target, found: Found, records: RotationRecords) -> Memory:
    """Named after the org and the consumer, which is the same whatever its key is."""
    parts = (found.session.org.url, found.app_id[:15], found.consumer.id[:15])
    return Memory(hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32], target.app.name, records)
