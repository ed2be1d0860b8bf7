"""What a check is for, and what it looks at."""

from __future__ import annotations

from dataclasses import dataclass

from ecapipe.check.findings import Purpose


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What a check is for, and what it looks at.

    `target` is the org of a deploy, as ``--target-org`` names it, `allowed` are hosts accepted besides Salesforce's;
    `staged` reads git's index instead of the disk; `since` leaves only apps that differ from a revision; `history`
    looks for secrets in all commits; `config_from` is the revision that says how the project wants to be checked, in
    place of the tree; `update` accepts what is found.
    """

    purpose: Purpose = "login"
    target: str | None = None
    allowed: tuple[str, ...] = ()
    staged: bool = False
    since: str | None = None
    history: bool = False
    config_from: str | None = None
    update: bool = False
