"""``ecapipe emulator``: a local org that behaves like Salesforce's login server."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.adapters.storage import files
from ecapipe.cli import options
from ecapipe.cli.commands import Command, Group, with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import CommonFlags, NoProjectConfig, SourceDirs, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.credentials import resolution
from ecapipe.credentials.sources import Chain, Scope, first_value
from ecapipe.oauth.flows import jwt
from ecapipe.oauth.flows.client_credentials import CLIENT_CREDENTIALS
from ecapipe.oauth.scopes import SCOPE_NAMES
from ecapipe.problems.problem import INTERRUPTED, EcapipeError, Problem
from ecapipe.problems.sign_in import emulator_cannot_listen
from ecapipe.problems.usage import usage_error
from ecapipe.project import discovery, metadata
from ecapipe.project.apps import App
from ecapipe.project.discovery import ProjectSelection
from ecapipe.render import text
from ecapipe.render.listings import Length
from ecapipe.run.world import World
from ecapipe.secret import Secret

if TYPE_CHECKING:
    from ecapipe.emulator.faults import Fault
    from ecapipe.emulator.registration import RegisteredApp
    from ecapipe.emulator.server import Emulator

DEFAULT_PORT = 8717

_COMMAND = "ecapipe emulator start"
_MAX_FAULTS = 1024 * 1024
"""Bytes of a fault file."""

commands = typer.Typer(cls=Group, help="Run a local org for tests and trials.", rich_markup_mode=None)


@commands.callback()
def emulator() -> None:
    """Run a local org for tests and trials."""


@command_flags
class StartFlags(CommonFlags):
    """What ``ecapipe emulator start`` takes."""

    source_dir: SourceDirs = None
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="Port of the first org; others follow. 0 picks free ports."
        ),
    ] = DEFAULT_PORT
    org: Annotated[
        list[str] | None,
        typer.Option(
            "--org",
            metavar="NAME",
            help="Name of an org. Repeatable. Apps with distributionState Local are only in the first.",
        ),
    ] = None
    tls: Annotated[bool, typer.Option("--tls", help="Use https, with a temporary certificate.")] = False
    faults: Annotated[
        str | None,
        typer.Option("--faults", metavar="FILE", help="JSON file of faults to inject; see DESCRIPTION."),
    ] = None
    concise: Annotated[bool, typer.Option("--concise", help="Print only the URLs.")] = False
    no_project_config: NoProjectConfig = False


@commands.command("start", cls=Command)
@with_flags(StartFlags)
def start(session: CommandSession, flags: StartFlags) -> int:
    """Run a local org with the project's apps, until Ctrl-C.

    Prints the URL of each org, its apps, and the username and password to sign in with. With --tls, also prints the
    certificate file to trust, in a private folder that is removed when the emulator stops.

    A token request with a DPoP proof gets a token that is bound to its key. An app with isDPopEnabled gets no other.

    The --faults file is a JSON list, such as [{"path": "/services/oauth2/token", "times": 1, "do": {"status": 503,
    "retryAfter": 5}}]. In "path", * matches anything. "org": NAME limits the fault to one org, "after": 2 skips
    the first two requests, and "times": 1 makes it happen once.

    "do" can have: "status" with a JSON "body"; "html": true for a maintenance page, or {"error", "error_description"}
    for an error page; "redirect": URL; "reset", "form", "wrongOrg", "wrongUser": true; "truncate", "huge":
    bytes; "drip": bytes per second; "delay", "retryAfter": seconds; "wrongContentType": TYPE.
    "seen": true means that the org processes the request anyway, "unseen": true that it doesn't.
    """
    from ecapipe.emulator.server import Emulator

    world = composition.real_world(session.environment)
    # An org is known by its name: one that is named twice is one.
    names = tuple(dict.fromkeys(flags.org or ["emulator"]))
    project = options.select_project(session.environment, flags.source_dir, no_project_config=flags.no_project_config)
    apps = registered(project, world, names[0])
    plan = () if flags.faults is None else planned(flags.faults)
    try:
        server = Emulator(apps, orgs=names, port=flags.port, faults=plan, tls=flags.tls)
    except ValueError as error:
        raise EcapipeError(usage_error(f"{error}.", _COMMAND)) from None
    with ExitStack() as stack:
        _listen(server, flags.port, len(names), stack)
        try:
            session.finish(lambda: _result(server, apps), _lines(server, apps, flags.length), goes_on=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            # The way to stop it: there is nothing to report.
            return INTERRUPTED
    return 0


def _listen(server: Emulator, port: int, orgs: int, stack: ExitStack) -> None:
    """Start the orgs, on `port` and those after it, until `stack` is closed.

    Raises `EcapipeError`: UsageError without the package that makes certificates, EmulatorCannotListen.
    """
    try:
        stack.enter_context(server)
    except ModuleNotFoundError:
        raise EcapipeError(_no_certificates()) from None
    except OSError as error:
        # An error of name resolution has no number.
        reason = os.strerror(error.errno).lower() if error.errno else "unknown reason"
        last = port
        # Port 0 stands for free ones, not for a range.
        if port:
            last = port + orgs - 1
        raise EcapipeError(emulator_cannot_listen(port, last, reason)) from None


def registered(project: ProjectSelection, world: World, home: str | None = None) -> list[RegisteredApp]:
    """The project's apps as orgs would know them; those without a consumer key are left out.

    Local apps are registered in the org `home` only, or, like packaged ones, in every org if there is none. An org
    has a secret for every app that needs one: one that the project does not tell is made up.
    """
    from ecapipe.emulator.registration import RegisteredApp

    found = discovery.discover(project, world)
    apps = found.apps
    chain = world.chain(Scope(apps, known=found.known, asks=frozenset({"keyring"})))
    by_key: dict[str, RegisteredApp] = {}
    for app in apps:
        key = resolution.consumer_key(app, None, chain)
        if key is None:
            continue
        orgs = (home,) if home is not None and app.distribution == "Local" else None
        # A consumer key names one app in all of Salesforce: of two that share it, one can be registered.
        by_key[key] = RegisteredApp(
            name=app.name,
            consumer_key=key,
            consumer_secret=_secret(app, chain),
            callback_urls=app.callback_urls,
            scopes=_scopes(app),
            pkce_required=app.pkce_required,
            secret_optional=app.secret_optional,
            client_credentials=CLIENT_CREDENTIALS.allowed_by(app),
            run_as_user=_policy(app, "clientCredentialsFlowUser"),
            enabled=_enabled(app),
            approved=_approved(app),
            orgs=orgs,
            refresh_tokens=_policy(app, "refreshTokenPolicyType") != "Zero",
            dpop_required=app.requires_dpop,
            rotates=_flag(app, "isRefreshTokenRotationEnabled", False),
            refresh_needs_secret=_flag(app, "isSecretRequiredForRefreshToken", True),
            introspects_all=_flag(app, "isIntrospectAllTokens", False),
            certificate=jwt.certificate(app),
            pre_authorized=_policy(app, "permittedUsersPolicyType") != "AllSelfAuthorized",
            packaged=app.distribution == "Packaged",
        )
    return list(by_key.values())


def _secret(app: App, chain: Chain) -> Secret | None:
    """The app's consumer secret; a new one where an app needs one that no source knows."""
    if known := first_value(chain, app, None, "consumerSecret").result:
        return known.value
    if app.secret_optional:
        return None
    # In the form of Salesforce's: 64 upper-case hexadecimal digits.
    return Secret(secrets.token_hex(32).upper())


def _scopes(app: App) -> tuple[str, ...]:
    """The app's scopes by their OAuth names; those that ecapipe does not know are left out."""
    names = (SCOPE_NAMES[name] for name in app.scope_names or () if name in SCOPE_NAMES)
    return tuple(dict.fromkeys(names))


def planned(file: str) -> tuple[Fault, ...]:
    """The faults in a file; raises `EcapipeError` (FileNotFound, UnreadableFile, UsageError)."""
    from ecapipe.emulator import faults

    data = files.read(file, _MAX_FAULTS, "--faults")
    try:
        return faults.parse(data)
    except ValueError as error:
        raise EcapipeError(usage_error(f"{file} is not a valid fault file: {error}.", _COMMAND)) from None


def _flag(app: App, name: str, default: bool) -> bool:
    if app.settings is None:
        return default
    return app.settings.document.flag(name, default)


def _policy(app: App, name: str) -> str | None:
    policies = app.of(metadata.OAUTH_POLICIES)
    return policies.document.text(name) if policies else None


def _enabled(app: App) -> bool:
    """Whether the policies leave the app, and OAuth for it, switched on."""
    policies = app.of(metadata.POLICIES)
    switches = ("isEnabled", "isOauthPluginEnabled")
    return not policies or all(policies.document.flag(switch, True) for switch in switches)


def _approved(app: App) -> bool:
    """Whether the policies let the org's users in: by themselves, or by some profile or permission set."""
    if _policy(app, "permittedUsersPolicyType") != "AdminApprovedPreAuthorized":
        return True
    return any(_policy(app, name) for name in ("commaSeparatedPermissionSet", "commaSeparatedProfile"))


def _no_certificates() -> Problem:
    from ecapipe.adapters import installation

    return usage_error(
        "--tls requires the Python package trustme, which isn't installed.",
        _COMMAND,
        f"Install it in ecapipe's environment: {installation.adding('trustme')}",
    )


def _app_names(apps: Sequence[RegisteredApp], org: str) -> list[str]:
    """The apps that `org` has."""
    return [app.name for app in apps if app.orgs is None or org in app.orgs]


def _result(server: Emulator, apps: Sequence[RegisteredApp]) -> results.EmulatorStart:
    orgs = [
        results.LocalOrg(name, url, *server.login(name), _app_names(apps, name)) for name, url in server.urls.items()
    ]
    return results.EmulatorStart(orgs=orgs, ca_file=server.ca_file)


def _lines(server: Emulator, apps: Sequence[RegisteredApp], length: Length) -> list[str]:
    if length == "concise":
        return [text.clean(f"{name}: {url}") for name, url in server.urls.items()]
    lines = []
    for name, url in server.urls.items():
        username, password = server.login(name)
        app_names = ", ".join(_app_names(apps, name)) or "none"
        lines += [f"{name}: {url}", f"  Username: {username}", f"  Password: {password}", f"  Apps: {app_names}"]
    if server.ca_file:
        lines.append(f"To trust its certificate, set SSL_CERT_FILE={server.ca_file}")
    return [text.clean(line) for line in [*lines, "Press Ctrl-C to stop."]]
