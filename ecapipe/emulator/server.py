"""The emulator: orgs on the loopback addresses of this machine, for as long as a ``with`` block lasts."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple, Self

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from ecapipe.emulator import faults, site, tls, visitor
from ecapipe.emulator.faults import Fault, Plan
from ecapipe.emulator.org import EmulatedOrg, OrgSetup, RegisteredApp
from ecapipe.emulator.wire import Call, Parameters

_TRIES = 20
"""Free ports to try until one is free on both loopback addresses."""


class Asked(NamedTuple):
    """A request as it is remembered: the names of its parameters, never their values.

    `status` is None where the connection was closed without an answer.
    """

    org: str
    method: str
    path: str
    parameters: tuple[str, ...]
    status: int | None


class Emulator:
    """Local orgs that know `apps`; a context manager.

    Each org has its own port (`port`, the next one, and so on; with 0 any free ones), its own ids, its own user,
    and its own codes and tokens; one that is more than a name is an `OrgSetup`. `faults` say what goes wrong
    there; with `tls` the addresses are https. `clock` gives seconds since the epoch. Raises ValueError for what
    cannot be meant.
    """

    def __init__(
        self,
        apps: Iterable[RegisteredApp],
        *,
        orgs: Sequence[str | OrgSetup] = ("emulator",),
        port: int = 0,
        faults: Iterable[Fault] = (),
        tls: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._apps = tuple(apps)
        self._setups = tuple(OrgSetup(org) if isinstance(org, str) else org for org in orgs)
        names = [setup.name for setup in self._setups]
        keys = [key for app in self._apps for key in (app.consumer_key, *(pair.key for pair in app.more_consumers))]
        if len(set(keys)) < len(keys):
            raise ValueError("two apps share a consumer key")
        if not names or len(set(names)) < len(names):
            raise ValueError("an emulator needs orgs, each with a name of its own")
        if not 0 <= port <= 65536 - len(names):
            raise ValueError("there are no such ports")
        self._faults = tuple(faults)
        named = {name for app in self._apps for name in app.orgs or ()}
        named |= {fault.org for fault in self._faults if fault.org is not None}
        if unknown := sorted(named.difference(names)):
            raise ValueError(f'there is no org "{unknown[0]}" here')
        self._port = port
        self._tls = tls
        self._clock = clock
        self._trusted: str | None = None
        self._plan: Plan
        self._server: _Server
        self._orgs: dict[int, EmulatedOrg] = {}
        self._asked: list[Asked] = []
        self._running = ExitStack()

    def __enter__(self) -> Self:
        """Start, and return when every org answers.

        Raises OSError for a port that is taken, ModuleNotFoundError if `tls` lacks its package.
        """
        with ExitStack() as stack:
            certificate = stack.enter_context(tls.issued()) if self._tls else None
            self._trusted = certificate.ca_file if certificate else None
            self._plan = Plan(self._faults)
            scheme = "https" if certificate else "http"
            listening: list[socket.socket] = []
            stack.callback(self._orgs.clear)
            for at, setup in enumerate(self._setups):
                pair = _listen(self._port + at if self._port else 0)
                listening += [stack.enter_context(one) for one in pair]
                port = pair[0].getsockname()[1]
                self._orgs[port] = EmulatedOrg(setup, at + 1, f"{scheme}://localhost:{port}", self._apps, self._clock)
            self._server = server = _Server(
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
                    ssl_certfile=certificate.server_file if certificate else None,
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
    def ca_file(self) -> str | None:
        """The certificate to trust, a PEM file that lives as long as the emulator runs; None without `tls`."""
        return self._trusted if self._orgs else None

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
        trust = ssl.create_default_context(cafile=self._trusted) if self._trusted else None
        return visitor.visit(url, org.person.username, org.password, trust)

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
            # An address that ends in a slash makes two of them; Salesforce takes them for one.
            "/" + scope["path"].lstrip("/"),
            query=Parameters(scope["query_string"].decode("utf-8", "replace")),
            form=Parameters(body.decode("utf-8", "replace") if is_form else ""),
            authorization=request.headers.get("authorization", ""),
        )
        # The port that was reached decides, and not the Host header, which anybody can write.
        org = self._orgs[scope["server"][1]]
        do = self._plan.due(org.name, call.path)
        response = faults.answer(do, lambda: site.answer(org, call))
        status = None if "reset" in do else response.status_code
        self._asked.append(Asked(org.name, call.method, call.path, call.query.names + call.form.names, status))
        await faults.deliver(do, response, scope, receive, send, partial(self._server.hang_up, scope))


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
        for server in self.servers:
            server.close()
        for connection in self.server_state.connections:
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks)

    def hang_up(self, scope: Scope) -> None:
        """Close the connection that a request came by, after what was sent so far."""
        for connection in self.server_state.connections:
            ends = (connection.client, connection.server) if isinstance(connection, H11Protocol) else None
            if ends == (scope["client"], scope["server"]):
                connection.transport.close()


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
