"""Shards: parts of the targets, for machines that share the work."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from ecapipe.events import Subject

MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts, counted from 1. A target is in exactly one of them, whatever the other targets are."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, subject: Subject) -> bool:
        """Whether the target is in this part."""
        # A hash of the name, not its place in the list: machines that see different lists still share the work
        # without a gap. Python's own hash differs from process to process, and app names may hold lone surrogates.
        name = f"{subject.app}\0{subject.org}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(name).digest()) % self.count == self.index - 1


def parse(text: str) -> Shard | None:
    """``K/N``, with 1 ≤ K ≤ N; None for anything else."""
    index, slash, count = text.partition("/")
    # At most five digits, which is all that MOST needs: Python refuses to convert very long ones.
    if not slash or not all(part.isascii() and part.isdecimal() and len(part) <= 5 for part in (index, count)):
        return None
    shard = Shard(int(index), int(count))
    if 1 <= shard.index <= shard.count <= MOST:
        return shard
    return None
