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
from ecapipe.emulator.org import EmulatedOrg
from ecapipe.emulator.registration import OrgSetup, RegisteredApp
from ecapipe.emulator.wire import Call, Parameters

_TRIES = 20
"""Free ports to try until one is free on both loopback addresses."""


class ReceivedRequest(NamedTuple):
    """A request that an org received: the names of its parameters, never their values.

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
        self._faults = tuple(faults)
        _check(self._apps, self._setups, self._faults, port)
        self._port = port
        self._tls = tls
        self._clock = clock
        self._ca_file: str | None = None
        self._plan: Plan
        self._server: _Server
        self._orgs: dict[int, EmulatedOrg] = {}
        self._requests: list[ReceivedRequest] = []
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        """Start, and return when every org answers.

        Raises OSError for a port that is taken, ModuleNotFoundError if `tls` lacks its package.
        """
        with ExitStack() as stack:
            scheme, server_file = "http", None
            if self._tls:
                certificate = stack.enter_context(tls.issue_certificate())
                self._ca_file, server_file, scheme = certificate.ca_file, certificate.server_file, "https"
            self._plan = Plan(self._faults)
            stack.callback(self._orgs.clear)
            sockets = self._open(scheme, stack)
            self._server = server = _Server(self._config(server_file))
            thread = threading.Thread(target=server.run, args=(sockets,), name="emulator", daemon=True)
            thread.start()
            # Undone in reverse: the server is stopped, its thread joined, and only then are the sockets closed.
            stack.callback(thread.join)
            stack.callback(server.stop)
            server.ready.wait()
            if not server.started:
                raise RuntimeError("the emulator did not start")
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._resources.close()

    def _open(self, scheme: str, stack: ExitStack) -> list[socket.socket]:
        """Make the orgs, each with sockets of its own that `stack` closes."""
        sockets: list[socket.socket] = []
        for index, setup in enumerate(self._setups):
            pair = _listen(self._port + index if self._port else 0)
            sockets += [stack.enter_context(each) for each in pair]
            port = pair[0].getsockname()[1]
            url = f"{scheme}://localhost:{port}"
            self._orgs[port] = EmulatedOrg(setup, index + 1, url, self._apps, self._clock)
        return sockets

    def _config(self, server_file: str | None) -> uvicorn.Config:
        # Nothing that depends on what else is installed, and no log: addresses hold codes.
        return uvicorn.Config(
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
            ssl_certfile=server_file,
        )

    @property
    def urls(self) -> dict[str, str]:
        """Each org's address, as its ``instance_url`` says it."""
        return {org.name: org.url for org in self._orgs.values()}

    @property
    def ca_file(self) -> str | None:
        """The certificate to trust, a PEM file that lives as long as the emulator runs; None without `tls`."""
        # Its folder is removed when the emulator stops.
        if not self._orgs:
            return None
        return self._ca_file

    @property
    def requests(self) -> tuple[ReceivedRequest, ...]:
        """All requests so far, oldest first."""
        return tuple(self._requests)

    def login(self, org: str) -> tuple[str, str]:
        """Username and password that sign in at an org. The password is a new one at every start."""
        emulated = {each.name: each for each in self._orgs.values()}[org]
        return emulated.person.username, emulated.password

    def visit(self, url: str) -> str:
        """Play the person in the browser: from an authorize URL to the address the org redirects to.

        Raises VisitError when the org shows an error page instead.
        """
        # With the slash: port 1234 is no part of port 12345.
        org = next((org for org in self._orgs.values() if url.startswith(f"{org.url}/")), None)
        if org is None:
            raise visitor.VisitError("unknown_address", "this is not an address of the emulator")
        trust = None
        if self._ca_file:
            trust = ssl.create_default_context(cafile=self._ca_file)
        return visitor.visit(url, org.person.username, org.password, trust)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            call = await _read(Request(scope, receive))
        except ClientDisconnect:
            return
        # The port that was reached decides, and not the Host header, which anybody can write.
        org = self._orgs[scope["server"][1]]
        do = self._plan.due(org.name, call.path)
        response = faults.answer(do, lambda: site.answer(org, call))
        status = None if "reset" in do else response.status_code
        names = call.query.names + call.form.names
        self._requests.append(ReceivedRequest(org.name, call.method, call.path, parameters=names, status=status))
        await faults.deliver(do, response, scope, receive, send, partial(self._server.hang_up, scope))


def _check(apps: Iterable[RegisteredApp], setups: Iterable[OrgSetup], faults: Iterable[Fault], port: int) -> None:
    """Raises ValueError for what cannot be meant."""
    names = [setup.name for setup in setups]
    keys = [key for app in apps for key in (app.consumer_key, *(pair.key for pair in app.more_consumers))]
    if len(set(keys)) < len(keys):
        raise ValueError("two apps share a consumer key")
    if not names or len(set(names)) < len(names):
        raise ValueError("an emulator needs at least one org, and each org needs its own name")
    if not 0 <= port <= 65536 - len(names):
        raise ValueError("the ports are not valid")
    references = {name for app in apps for name in app.orgs or ()}
    references |= {fault.org for fault in faults if fault.org is not None}
    if unknown := sorted(references.difference(names)):
        raise ValueError(f'there is no org "{unknown[0]}"')


async def _read(request: Request) -> Call:
    """The whole request; raises ClientDisconnect."""
    body = await request.body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_form = media_type == "application/x-www-form-urlencoded"
    return Call(
        request.method,
        # An address that ends in a slash makes two of them; Salesforce takes them for one.
        "/" + request.scope["path"].lstrip("/"),
        query=Parameters(request.scope["query_string"].decode("utf-8", "replace")),
        form=Parameters(body.decode("utf-8", "replace") if is_form else ""),
        authorization=request.headers.get("authorization", ""),
        proofs=tuple(request.headers.getlist("dpop")),
        body=b"" if is_form else body,
    )


class _Server(uvicorn.Server):
    """uvicorn in a thread: signals when it is ready, and stops without waiting for clients."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    def stop(self) -> None:
        self.should_exit = True

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        # Also after a failure, for which whoever waits would wait for ever.
        try:
            super().run(sockets)
        finally:
            self.ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn's own shutdown waits for connections that clients keep open.
        for server in self.servers:
            server.close()
        for connection in self.server_state.connections:
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks)

    def hang_up(self, scope: Scope) -> None:
        """Close the connection that a request came by, after what was sent so far."""
        for connection in self.server_state.connections:
            if not isinstance(connection, H11Protocol):
                continue
            if (connection.client, connection.server) == (scope["client"], scope["server"]):
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
            # A machine without IPv6.
            if error.errno != errno.EADDRINUSE:
                return [first]
            first.close()
            if port or not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def _bind(address: str, port: int, family: socket.AddressFamily) -> socket.socket:
    listener = socket.create_server((address, port), family=family)
    # Accepted connections inherit this. Without it the second packet of an answer waits 40 ms for the client.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
