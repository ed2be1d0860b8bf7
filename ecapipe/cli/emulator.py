"""``ecapipe emulator``: a local org that behaves like Salesforce's login server."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from ecapipe import credentials, discovery, edges, grants, metadata, problems
from ecapipe.apps import App
from ecapipe.cli import options
from ecapipe.cli.options import AsJson, Names, NoProjectConfig, SourceDirs
from ecapipe.cli.session import Session
from ecapipe.credentials import Credentials
from ecapipe.discovery import Where
from ecapipe.problems import EcapipeError
from ecapipe.report import Json
from ecapipe.world import World

if TYPE_CHECKING:
    from ecapipe.emulator import Emulator, RegisteredApp

DEFAULT_PORT = 8717

commands = typer.Typer(help="Run a local org for trying and testing.", rich_markup_mode=None)


@commands.callback()
def emulator() -> None:
    """Run a local org for trying and testing."""


@commands.command("start")
def start(
    context: typer.Context,
    source_dir: SourceDirs = None,
    name: Names = None,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port of the first org; 0 takes a free one.")
    ] = DEFAULT_PORT,
    org: Annotated[
        list[str] | None,
        typer.Option("--org", metavar="NAME", help="Name of an org. Repeatable; each has its own port."),
    ] = None,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Start a local org that knows the project's apps, until Ctrl-C.

    Prints the address, and the user name and password to sign in with.
    Example: ecapipe emulator start --source-dir sample-project
    """
    from ecapipe.emulator import Emulator

    session: Session = context.obj
    where = options.where(session.environment, source_dir, None, None, name, no_project_config)
    apps = registered(where, edges.real(session.environment))
    names = tuple(dict.fromkeys(org or ["emulator"]))
    try:
        server = Emulator(apps, orgs=names, port=port)
    except ValueError as error:
        raise EcapipeError(problems.usage_error(str(error), "ecapipe emulator start")) from None
    with ExitStack() as stack:
        try:
            stack.enter_context(server)
        except OSError:
            raise EcapipeError(problems.port_in_use_error("localhost", port)) from None
        session.finish(_started(server, apps), _lines(server, apps))
        try:
            threading.Event().wait()
        except KeyboardInterrupt:  # the way to stop it: there is nothing to report
            return problems.INTERRUPTED
    return 0


def registered(where: Where, world: World) -> list[RegisteredApp]:
    """The project's apps as an org would know them; those without credentials are left out."""
    from ecapipe.emulator import RegisteredApp

    found = discovery.discover(where, world)
    chain = credentials.chain(found.apps, (), world.variable, None)
    proven = [credentials.resolve(app, None, chain).outcome for app in found.apps]
    by_key: dict[str, RegisteredApp] = {}
    for each in proven:
        if isinstance(each, Credentials):
            app = each.app
            by_key[each.consumer_key] = RegisteredApp(
                app.name,
                each.consumer_key,
                each.consumer_secret,
                app.callback_urls,
                tuple(dict.fromkeys(grants.SCOPES[name] for name in app.scope_names or () if name in grants.SCOPES)),
                app.pkce_required,
                app.secret_optional,
                app.allows("client-credentials"),
                _run_as(app),
            )
    return list(by_key.values())


def _run_as(app: App) -> str | None:
    policies = app.of(metadata.OAUTH_POLICIES)
    return policies.document.text("clientCredentialsFlowUser") if policies else None


def _started(server: Emulator, apps: Iterable[RegisteredApp]) -> Json:
    logins = {name: server.login(name) for name in server.urls}
    return {
        "version": 1,
        "orgs": [
            {"name": name, "url": url, "username": logins[name][0], "password": logins[name][1]}
            for name, url in server.urls.items()
        ],
        "apps": [app.name for app in apps],
    }


def _lines(server: Emulator, apps: Iterable[RegisteredApp]) -> list[str]:
    lines = []
    for name, url in server.urls.items():
        username, password = server.login(name)
        lines += [f"{name}: {url}", f"  User name: {username}", f"  Password: {password}"]
    known = ", ".join(app.name for app in apps) or "none"
    return [*lines, f"Apps: {known}", "Stop it with Ctrl-C."]
