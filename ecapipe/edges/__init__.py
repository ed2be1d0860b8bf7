"""The world in. `real` is the one place where real tools are made."""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, cast

from ecapipe.edges import git, place, spare, terminal
from ecapipe.edges.disk import Disk
from ecapipe.edges.environment import Environment
from ecapipe.edges.index import Index
from ecapipe.edges.sf import Sf
from ecapipe.edges.signer import Keys
from ecapipe.stages import Clock
from ecapipe.world import World

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from ssl import SSLContext

    from ecapipe.edges.browser import Name
    from ecapipe.edges.http import Http
    from ecapipe.messages import Answer, Request
    from ecapipe.problems import Problem
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
    spare.http_client()
    return World(
        tree=Disk(),
        tracked=git.tracked,
        git=(around := git.Around()),
        index=lambda: Index(around),
        write=place.write,
        send=(sender := _Sender()),
        environ=environment.get,
        taken=environment.take,
        variable=environment.credential,
        ask=terminal.ask if secret_prompts else None,
        keys=Keys(environment.credential),
        open=_opening(browser),
        listen=_listen,
        lines=terminal.Typed(sys.stdin if prompts else None),
        sf=Sf(environment),
        person=person,
        local_browser=browser != "none" and environment.get("SSH_CONNECTION") is None,
        clock=CLOCK,
        chance=secrets.token_bytes,
        browsers=_opening if browser is None else None,
        parted=sender.part,
    )


class _Sender:
    """Sends requests. Each thread has connections of its own: one client for all would cost several times as much."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._lock = threading.Lock()
        self._tls: SSLContext | None = None

    def __call__(self, request: Request) -> Answer:
        own: Http | None = getattr(self._own, "http", None)
        if own is None:
            own = self._own.http = self._made()
        return own(request)

    def part(self) -> None:
        """Close the connections of this thread."""
        own: Http | None = getattr(self._own, "http", None)
        if own is not None:
            own.close()

    def _made(self) -> Http:
        from ecapipe.edges.http import Http, tls_context

        with self._lock:  # making one reads every certificate there is
            self._tls = self._tls or tls_context()
        return Http(tls=self._tls)


def _opening(browser: str | None) -> Callable[[str], bool] | None:
    return None if browser == "none" else _opener(cast("Name | None", browser))


def _opener(browser: Name | None) -> Callable[[str], bool]:
    def show(url: str) -> bool:
        from ecapipe.edges.browser import opener

        return opener(browser)(url)

    return show


def _listen(
    callback_urls: Collection[str], land: Callable[[str], Landing]
) -> AbstractContextManager[Mapping[str, Problem]]:
    from ecapipe.edges.listener import listen

    return listen(callback_urls, land)
