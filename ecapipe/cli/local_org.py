"""``--emulator``: a local org for the time of one command."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from ecapipe.cli import emulator
from ecapipe.oauth.refusals import refusal
from ecapipe.orgs import selection
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run.world import World


def use_local_org(
    project: ProjectSelection, orgs: OrgSelection, world: World, stack: ExitStack
) -> tuple[World, OrgSelection]:
    """The world with a local org that knows the project's apps, and with somebody who signs in there; and the
    selection of that org. It runs until `stack` is closed."""
    from ecapipe.adapters.network.browser import StandInBrowser
    from ecapipe.emulator.server import Emulator
    from ecapipe.emulator.visitor import VisitError

    try:
        apps = emulator.registered(project, world)
    except EcapipeError:
        # The command meets the same problem when it reads the project, and reports it there.
        apps = []
    server = stack.enter_context(Emulator(apps))
    (name, url), *_ = server.urls.items()
    org = selection.choose(f"{name}={url}", {}, ())

    def visit(address: str) -> str:
        try:
            return server.visit(address)
        except VisitError as error:
            raise refusal(error.error, error.description, org.host, place="authorize", app=None) from None

    browser = StandInBrowser(visit)
    attended = replace(
        world,
        open=browser.open,
        lines=browser.lines,
        person=True,
        local_browser=True,
        browser_doubt=None,
        stand_in=True,
    )
    return attended, replace(orgs, given=org)
