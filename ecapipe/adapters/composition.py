"""The composition root: `real_world` is the one place where real tools are made."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from ecapipe.adapters import terminal
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.network import nearness, spare
from ecapipe.adapters.project_tree import git
from ecapipe.adapters.project_tree.disk import Disk
from ecapipe.adapters.storage import private_folder, writer
from ecapipe.credentials import sources
from ecapipe.credentials.sources import Chain, Lookup, Scope, Source
from ecapipe.events import Clock
from ecapipe.problems.problem import EcapipeError
from ecapipe.run.world import World

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from ssl import SSLContext

    from ecapipe.adapters.network.browser import Name
    from ecapipe.adapters.network.http import Http
    from ecapipe.adapters.network.opening import Openings
    from ecapipe.login.callbacks import CallbackReply
    from ecapipe.login.salesforce_cli import SalesforceCli
    from ecapipe.oauth.dpop import ProofKeys
    from ecapipe.oauth.messages import Request, Response
    from ecapipe.oauth.signing import KeyReader
    from ecapipe.problems.problem import Problem
    from ecapipe.project.replacements import Substitute
    from ecapipe.project.tree import ProjectTree
    from ecapipe.saved.store import SecretStore

Tool = TypeVar("Tool")

CLOCK = Clock(time.monotonic, lambda: datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def _open_keyring(world: World, scope: Scope, earlier: Chain) -> Lookup:
    from ecapipe.saved.secrets import secret_finder

    return sources.of_key(secret_finder(world), earlier)


def _keyring_holds(world: World, consumer_key: str) -> bool:
    # Loaded here, for start-up time: commands that only look need it only where a secret is missing.
    from ecapipe.saved.records import owner_id

    id = owner_id(consumer_key)
    try:
        return world.store.holds("secret", id) and world.store.read("secret", id) is not None
    except EcapipeError:  # a run would refuse it
        return False


def _open_rest(world: World, scope: Scope, earlier: Chain) -> Lookup:
    from ecapipe.exchange.credentials_lookup import CredentialsLookup

    return sources.of_pair(CredentialsLookup(scope.allowed, world), earlier)


SOURCES: Final[tuple[Source[World], ...]] = (
    sources.ENVIRONMENT,
    sources.REPLACEMENT,
    sources.FILE,
    Source(
        *("keyring", _open_keyring, "keyring"),
        renewal="save the new one: ecapipe app set-secret",
        holds=_keyring_holds,
    ),
    # To ask an org has to be intended.
    Source("rest", _open_rest, asks="org", has_to_be_named=True, renewal="run again to read the new one"),
    # Last, so that nobody types what is to be had elsewhere.
    sources.PROMPT,
)
"""All sources of key and secret, in the order in which they are tried."""


def real_world(
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
    spare.without_http_client()
    repositories, sender = git.Repositories(), _Sender()
    openings = _later(_openings)
    return World(
        tree=Disk(),
        tracked=git.tracked,
        git=repositories,
        index=lambda: _index(repositories),
        write=writer.write_in_project,
        private_folder=lambda: private_folder.private_folder(environment),
        amend=writer.amend,
        send=sender,
        environ=environment.get,
        withhold=environment.take,
        substitute=_later(_substitution),
        variable=environment.credential,
        variable_names=environment.names,
        ask=terminal.ask if secret_prompts else None,
        sources=SOURCES,
        keys=_later(lambda: _keys(environment)),
        proof_keys=_later(_proof_keys),
        certificate_end=_certificate_end,
        open=_opening(openings, environment, browser),
        listen=partial(_listen, openings),
        lines=terminal.Typed(sys.stdin if prompts else None),
        store=_later(lambda: _store(environment)),
        sf=_later(lambda: _sf(environment)),
        person=person,
        local_browser=browser != "none" and environment.get("SSH_CONNECTION") is None,
        browser_doubt=nearness.doubt(environment) if person and browser != "none" else None,
        clock=CLOCK,
        random_bytes=os.urandom,
        browsers=partial(_opening, openings, environment) if browser is None else None,
        ready=sender.prepare,
        close_connections=sender.part,
    )


def _index(repositories: git.Repositories) -> ProjectTree:
    from ecapipe.adapters.project_tree.index import Index

    return Index(repositories)


def _substitution() -> Substitute:
    from ecapipe.adapters.project_tree.substitution import Substitution

    return Substitution()


def _keys(environment: Environment) -> KeyReader:
    from ecapipe.adapters.signer import PemKeys

    return PemKeys(environment.credential)


def _proof_keys() -> ProofKeys:
    from ecapipe.adapters.signer import EcKeys

    return EcKeys()


def _certificate_end(text: str) -> str | None:
    from ecapipe.adapters import signer

    return signer.certificate_end(text)


def _store(environment: Environment) -> SecretStore:
    from ecapipe.adapters.storage.store import RecordStore

    return RecordStore(environment)


def _sf(environment: Environment) -> SalesforceCli:
    from ecapipe.adapters.salesforce_cli import Sf

    return Sf(environment)


def _later(make: Callable[[], Tool]) -> Tool:
    """What `make` makes, loaded and made when it is first used."""
    return cast(Tool, _Later(make))


class _Later:
    """Stands in for a tool that most commands do without: what it needs, such as cryptography, is not loaded."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make, self._lock = make, threading.Lock()
        # A list, not None: a tool may be false.
        self._tools: list[Any] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._tool(), name)

    def __call__(self, *arguments: object) -> object:
        return self._tool()(*arguments)

    def _tool(self) -> Any:
        with self._lock:
            if not self._tools:
                self._tools.append(self._make())
        return self._tools[0]


class _Sender:
    """Sends requests. Each thread has connections of its own: one client for all would cost several times as much."""

    def __init__(self) -> None:
        self._of_thread = threading.local()
        self._lock = threading.Lock()
        self._tls: SSLContext | None = None
        self._prepared = False

    def __call__(self, request: Request) -> Response:
        http: Http | None = getattr(self._of_thread, "http", None)
        if http is None:
            http = self._of_thread.http = self._make()
        return http(request)

    def prepare(self) -> None:
        """Load and read, in the background, what the first request needs."""
        if not self._prepared:
            self._prepared = True
            threading.Thread(target=self._load, daemon=True).start()

    def part(self) -> None:
        """Close the connections of this thread."""
        http: Http | None = getattr(self._of_thread, "http", None)
        if http is not None:
            http.close()

    def _make(self) -> Http:
        from ecapipe.adapters.network.http import Http

        return Http(tls=self._context)

    def _context(self) -> SSLContext:
        from ecapipe.adapters.network.http import tls_context

        # One for all threads: making it reads every certificate there is.
        with self._lock:
            self._tls = self._tls or tls_context()
        return self._tls

    def _load(self) -> None:
        # A problem, such as a file of certificates that is not there, shows when something is sent.
        with suppress(EcapipeError):
            http = self._make()
            http.open()
            http.close()


def _openings() -> Openings:
    from ecapipe.adapters.network.opening import Openings

    return Openings()


def _opening(openings: Openings, environment: Environment, browser: str | None) -> Callable[[str], bool] | None:
    if browser == "none":
        return None
    return _opener(openings, environment, cast("Name | None", browser))


def _opener(openings: Openings, environment: Environment, browser: Name | None) -> Callable[[str], bool]:
    def show(url: str) -> bool:
        from ecapipe.adapters.network.browser import opener

        # Others see what a program is started with, so that it is an address of ours, which works once.
        try:
            opened = opener(browser, environment)(openings.address(url))
        except OSError:
            return False
        if opened:
            openings.require(url)
        return opened

    return show


def _listen(
    openings: Openings, callback_urls: Collection[str], land: Callable[[str], CallbackReply]
) -> AbstractContextManager[Mapping[str, Problem]]:
    from ecapipe.adapters.network.listener import listen

    return listen(callback_urls, land, openings)
