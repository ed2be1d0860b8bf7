"""The world in. `real` is the one place where real tools are made."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from ecapipe.edges import git, place, terminal
from ecapipe.edges.disk import Disk
from ecapipe.edges.environment import Environment
from ecapipe.edges.index import Index
from ecapipe.edges.store import Store
from ecapipe.stages import Clock
from ecapipe.world import World

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ecapipe.edges.browser import Name
    from ecapipe.messages import Answer, Request, Send
    from ecapipe.world import Landing

CLOCK = Clock(time.monotonic, lambda: datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def real(
    environment: Environment,
    *,
    browser: Name | Literal["none"] | None = None,
    prompts: bool = False,
    secret_prompts: bool = False,
    person: bool = False,
) -> World:
    """The world of this process.

    `prompts`: lines may be read from standard input; `secret_prompts`: hidden questions may be asked, too.
    """
    return World(
        tree=Disk(),
        tracked=git.tracked,
        git=(around := git.Around()),
        index=lambda: Index(around),
        write=place.write,
        send=_sender(),
        environ=environment.get,
        taken=environment.take,
        variable=environment.credential,
        ask=terminal.ask if secret_prompts else None,
        open=None if browser == "none" else _opener(browser),
        listen=_listen,
        lines=terminal.Typed(sys.stdin if prompts else None),
        store=Store(environment),
        person=person,
        local_browser=browser != "none" and environment.get("SSH_CONNECTION") is None,
        clock=CLOCK,
        chance=secrets.token_bytes,
    )


def _sender() -> Send:
    made: list[Send] = []

    def send(request: Request) -> Answer:
        if not made:
            from ecapipe.edges.http import Http

            made.append(Http())
        return made[0](request)

    return send


def _opener(browser: Name | None) -> Callable[[str], bool]:
    def show(url: str) -> bool:
        from ecapipe.edges.browser import opener

        return opener(browser)(url)

    return show


def _listen(callback_url: str, land: Callable[[str], Landing]) -> AbstractContextManager[None]:
    from ecapipe.edges.listener import listen

    return listen(callback_url, land)
