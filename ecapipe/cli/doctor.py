"""``ecapipe doctor``: how this machine is equipped, and what is kept on it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ecapipe.adapters import checkup, composition
from ecapipe.cli import options
from ecapipe.cli.commands import with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import CommonFlags, NoProjectConfig, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.credentials import sources
from ecapipe.documents import health
from ecapipe.problems.problem import EcapipeError
from ecapipe.project import apps, discovery
from ecapipe.project.apps import App
from ecapipe.render import listings
from ecapipe.run.world import World

_SALESFORCE_CLI_CALLBACK = "http://localhost:1717/OauthRedirect"
"""The callback URL of the Salesforce CLI, which many apps share."""


@command_flags
class DoctorFlags(CommonFlags):
    """What ``ecapipe doctor`` takes."""

    storage: Annotated[
        bool, typer.Option("--storage", help="Show what is stored on this machine instead, and how to remove it.")
    ] = False
    no_project_config: NoProjectConfig = False


@with_flags(DoctorFlags)
def doctor(session: CommandSession, flags: DoctorFlags) -> int:
    """Check this machine: Python, git, Salesforce CLI, browser, keyring, proxy, CA, callback ports, state.

    Changes nothing, and doesn't contact orgs. Each check is ok, warn or fail, with a fix. Exits with 1 if any fails.
    The callback ports are those of the project in the current folder.

    With --storage, shows what is stored where, with which file mode and owner, and how to remove it.
    """
    world = composition.real_world(session.environment)
    project_apps = _project_apps(session, world, flags.no_project_config)
    if flags.storage:
        entries = checkup.stored(session.environment, world.store, _files_with_secret(project_apps))
        return session.finish(
            lambda: results.Storage.of(entries), listings.storage(entries, flags.length, session.screen)
        )
    # Only a port of this machine can be taken by another program.
    urls = sorted({url for app in project_apps for url in app.callback_urls if apps.loopback(url)}) or [
        _SALESFORCE_CLI_CALLBACK
    ]
    checks = [
        checkup.python(),
        checkup.git(session.environment),
        checkup.salesforce_cli(world.sf),
        checkup.web_browser(session.environment),
        checkup.keyring(),
        checkup.proxy(),
        checkup.certificates(session.environment),
        checkup.callbacks(urls, world.listen),
        checkup.state_directory(session.environment),
    ]
    checks = [health.redacted(each) for each in checks]
    status = int(any(each.state == "fail" for each in checks))
    return session.finish(
        lambda: results.Doctor.of(checks), listings.checkup(checks, flags.length, session.screen), status
    )


def _project_apps(session: CommandSession, world: World, no_project_config: bool) -> tuple[App, ...]:
    """The apps of the project around the current folder; none where there is no project, or no good one."""
    project = options.select_project(session.environment, no_project_config=no_project_config)
    try:
        return discovery.discover(project, world).apps
    except EcapipeError:
        # The doctor looks at the machine; what is wrong with a project is for app check to say.
        return ()


def _files_with_secret(project_apps: tuple[App, ...]) -> list[str]:
    """The settings files that hold a consumer secret."""
    return [
        os.path.join(app.project, *app.settings.path.split("/"))
        for app in project_apps
        if app.settings and sources.in_file(app, "consumerSecret") in ("present", "duplicate")
    ]
