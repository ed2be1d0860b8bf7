"""One app in one org that is to be rotated, and what is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from ecapipe.credentials.resolution import Resolution
from ecapipe.events import Subject
from ecapipe.oauth.credentials_api import Consumer, StagedPair
from ecapipe.oauth.dpop import ProofKey
from ecapipe.oauth.messages import Request
from ecapipe.orgs.org import Org
from ecapipe.project.apps import App
from ecapipe.rotate.commands import DeliverCommand
from ecapipe.saved.records import StorePlace
from ecapipe.secret import Secret

Mode = Literal["rotate", "stage-only", "promote", "end-previous", "abort"]
Proof = str
"""What proved a pair: one of `documents.results.PROOFS`."""


@dataclass(frozen=True, slots=True)
class RotationOptions:
    """What is asked for; `keep` is where the secret is saved, `key_file` signs a login that proves the pair."""

    mode: Mode = "rotate"
    commands: tuple[DeliverCommand, ...] = ()
    write_back: bool = False
    keep: StorePlace | None = None
    force: bool = False
    unproved: bool = False
    adopt: bool = False
    dry_run: bool = False
    key_file: str | None = None
    audience: str | None = None
    allowed: tuple[str, ...] = ()

    @property
    def promotes(self) -> bool:
        return self.mode in ("rotate", "promote")


@dataclass(frozen=True, slots=True)
class Target:
    """An app in an org; `key` is the consumer key that is known here."""

    app: App
    org: Org
    key: str
    resolved: Resolution

    @property
    def subject(self) -> Subject:
        return Subject(self.app.name, self.org.name, self.app.tree)


@dataclass(frozen=True, slots=True)
class Session:
    """A login to an org through which its REST API is asked."""

    org: Org
    bearer: Secret
    username: str | None
    key: ProofKey | None = None
    """What the bearer is bound to, if it is."""
    org_id: str | None = None

    def sign(self, request: Request) -> Request:
        """The request, with proofs of the key if the bearer is bound to one (RFC 9449 §7)."""
        return replace(request, key=self.key if request.bearer else None)


@dataclass(slots=True)
class Found:
    """The consumer of a target as the org has it, and what is in its slot."""

    session: Session
    app_id: str
    consumer: Consumer
    slot: StagedPair | None = None
    expired: StagedPair | None = None
    read_at: float | None = None
    """When the slot was read, by the clock of the org."""

    @property
    def active(self) -> StagedPair | None:
        return self.slot if self.slot and self.slot.state == "Active" else None

    @property
    def rotated(self) -> StagedPair | None:
        return self.slot if self.slot and self.slot.state == "Rotated" else None


@dataclass(frozen=True, slots=True)
class NewPair:
    """The key and secret that are to be in force; `promoted`: they are already."""

    key: str
    secret: Secret
    staged: StagedPair | None = None
    promoted: bool = False


@dataclass(slots=True)
class Outcome:
    """What came of a rotation so far."""

    key: str | None = None
    previous_until: str | None = None
    delivered: list[str] = field(default_factory=list)
    proved: list[Proof] = field(default_factory=list)
