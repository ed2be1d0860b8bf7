"""The emulator: orgs on the loopback addresses of this machine, for as long as a ``with`` block lasts."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import NamedTuple, Self

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from ecapipe.emulator import site, visitor
from ecapipe.emulator.org import Org, RegisteredApp
from ecapipe.emulator.wire import Call, Parameters

_TRIES = 20
"""Free ports to try until one is free on both loopback addresses."""


class Asked(NamedTuple):
    """A request as it is remembered: the names of its parameters, never their values."""

    org: str
    method: str
    path: str
    parameters: tuple[str, ...]


class Emulator:
    """Local orgs that know `apps`; a context manager.

    Each org has its own port (`port`, the next one, and so on; with 0 any free ones), its own ids, its own
    user, and its own codes and tokens. `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        apps: Iterable[RegisteredApp],
        *,
        orgs: Sequence[str] = ("emulator",),
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._apps = tuple(apps)
        self._names = tuple(orgs)
        if len({app.consumer_key for app in self._apps}) < len(self._apps):
            raise ValueError("two apps share a consumer key")
        if not self._names or len(set(self._names)) < len(self._names):
            raise ValueError("an emulator needs orgs, each with a name of its own")
        if not 0 <= port <= 65536 - len(self._names):
            raise ValueError("there are no such ports")
        self._port = port
        self._clock = clock
        self._orgs: dict[int, Org] = {}
        self._asked: list[Asked] = []
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start, and return when every org answers. A port that is taken raises OSError."""
        with ExitStack() as stack:
            listening: list[socket.socket] = []
            stack.callback(self._orgs.clear)
            for at, name in enumerate(self._names):
                pair = _listen(self._port + at if self._port else 0)
                listening += [stack.enter_context(one) for one in pair]
                port = pair[0].getsockname()[1]
                self._orgs[port] = Org(name, at + 1, f"http://localhost:{port}", self._apps, self._clock)
            server = _Server(
                uvicorn.Config(
                    self._serve,
                    interface="asgi3",
                    loop="asyncio",
                    http="h11",
                    ws="none",
                    lifespan="off",
                    log_config=None,
                    log_level="error",
                    access_log=False,
                    proxy_headers=False,
                    server_header=False,
                )
            )
            thread = threading.Thread(target=server.run, args=(listening,), name="emulator", daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.stop)
            server.ready.wait()
            if not server.started:
                raise RuntimeError("the emulator did not start")
            self._running = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._running.close()

    @property
    def urls(self) -> dict[str, str]:
        """Each org's address, as its ``instance_url`` says it."""
        return {org.name: org.url for org in self._orgs.values()}

    @property
    def requests(self) -> tuple[Asked, ...]:
        """Everything that was asked so far, oldest first."""
        return tuple(self._asked)

    def login(self, org: str) -> tuple[str, str]:
        """Username and password that sign in at an org. The password is a new one at every start."""
        found = {one.name: one for one in self._orgs.values()}[org]
        return found.person.username, found.password

    def visit(self, url: str) -> str:
        """Play the person in the browser: from an authorize URL to the address the org redirects to.

        Raises VisitError when the org shows an error page instead.
        """
        org = next((one for one in self._orgs.values() if url.startswith(f"{one.url}/")), None)
        if org is None:
            raise visitor.VisitError("unknown_address", "this is not an address of the emulator")
        return visitor.visit(url, org.person.username, org.password)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        is_form = kind == "application/x-www-form-urlencoded"
        call = Call(
            request.method,
            scope["path"],
            query=Parameters(scope["query_string"].decode("utf-8", "replace")),
            form=Parameters(body.decode("utf-8", "replace") if is_form else ""),
            authorization=request.headers.get("authorization", ""),
        )
        # The port that was reached decides, and not the Host header, which anybody can write.
        org = self._orgs[scope["server"][1]]
        self._asked.append(Asked(org.name, call.method, call.path, call.query.names + call.form.names))
        await site.answer(org, call)(scope, receive, send)


class _Server(uvicorn.Server):
    """uvicorn in a thread: says when it is ready, and stops without waiting for anybody."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    def stop(self) -> None:
        self.should_exit = True

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            self.ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in self.server_state.connections:
            connection.transport.abort()
        await super().shutdown(sockets)


def _listen(port: int) -> list[socket.socket]:
    """Listening sockets for ``localhost``: IPv4, and IPv6 on the same port where this machine has it.

    A browser or client may try either first, and must not meet a stranger there.
    """
    for tries_left in reversed(range(_TRIES)):
        first = _bind("127.0.0.1", port, socket.AF_INET)
        try:
            return [first, _bind("::1", first.getsockname()[1], socket.AF_INET6)]
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return [first]
            first.close()
            if port or not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def _bind(address: str, port: int, family: socket.AddressFamily) -> socket.socket:
    bound = socket.create_server((address, port), family=family)
    # Accepted connections inherit this. Without it the second packet of an answer waits 40 ms for the client.
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound
