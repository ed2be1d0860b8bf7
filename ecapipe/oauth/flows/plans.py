"""How the grant of a login without a person is made. Only what logs in loads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ecapipe.oauth.grants import Grant
from ecapipe.oauth.signing import PrivateKey
from ecapipe.orgs.org import Org
from ecapipe.project.apps import App


@dataclass(frozen=True, slots=True)
class GrantInput:
    """What a grant is made of without a person: the target, what the user chose, and what the machine does.

    `read_key` reads a private key, and asks for its passphrase; `utc` is the time in ISO 8601.
    """

    app: App
    org: Org
    consumer_key: str
    key_file: str | None
    audience: str | None
    read_key: Callable[[str], PrivateKey]
    utc: Callable[[], str]
    random_bytes: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class GrantPlan:
    """How the grant of a login is made.

    `make` makes it for each request, since it may be valid for minutes only; its argument is by how many seconds
    the org's clock is ahead. `facts` are those of the plan, `doubts` sentences about it.
    """

    make: Callable[[float], Grant]
    facts: Mapping[str, object] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
