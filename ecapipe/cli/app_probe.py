"""``ecapipe app probe``: whether orgs accept the credentials of the apps, without a login."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.cli import options
from ecapipe.cli.commands import with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import AllOrgs, AllowHosts, OrgFileFlag, ProjectFlags, SecretsFrom, TargetOrgs, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.problems.problem import INTERRUPTED
from ecapipe.render import listings


@command_flags
class ProbeFlags(ProjectFlags):
    """What ``ecapipe app probe`` takes."""

    target_org: TargetOrgs = None
    file: OrgFileFlag = None
    all_orgs: AllOrgs = False
    emulator: Annotated[bool, typer.Option("--emulator", help="Ask a local org, started for this command.")] = False
    secret_from: SecretsFrom = None
    allow_host: AllowHosts = None
    no_prompt: Annotated[bool, typer.Option("--no-prompt", "-p", help="Never ask anything.")] = False

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        if self.emulator and (self.target_org or self.file is not None or self.all_orgs):
            yield "--emulator excludes every flag that names orgs."
        yield from super().contradictions(session)


@with_flags(ProbeFlags)
def probe_apps(session: CommandSession, flags: ProbeFlags) -> int:
    """Ask orgs whether they accept the consumer key and secret of each app: without a person, and without a login.

    Every app is paired with every org, or as the orgs say, and one request is sent for each pair: the app asks what a
    token is worth that no org ever issued. An org that says "nothing" has accepted the pair before; one that refuses
    says whether the key or the secret is to blame. Whatever else it says is called unclear, and so is what it says of
    a public client, which has no secret to prove itself with.

    The file for --file is the one that ecapipe run takes, and described there.

    Ends with 0 if all pairs are accepted, with 68 if some are, with 1 if none is.
    """
    # Probing loads HTTP and OAuth, which the other commands of the topic do without.
    from ecapipe import probe

    environment = session.environment
    project = flags.select_project(environment, flags.name)
    orgs = options.select_orgs(
        environment, flags.target_org, file=flags.file, all_orgs=flags.all_orgs, allow_hosts=flags.allow_host
    )
    interactive = not flags.no_prompt and not session.json and session.err.isatty() and not environment.is_ci()
    world = replace(
        composition.real_world(environment, secret_prompts=interactive),
        interrupts=partial(session.interrupts.divert, last=True),
    )
    with ExitStack() as stack:
        if flags.emulator:
            from ecapipe.cli.local_org import use_local_org

            world, orgs = use_local_org(project, orgs, world, stack)
        result = probe.run(project, orgs, options.secret_sources(flags.secret_from), world)
    return session.finish(
        lambda: results.AppProbe.of(result.found.facts, result.apps, result.verdicts),
        listings.verdicts(result.verdicts, flags.length, session.screen),
        INTERRUPTED if session.interrupts.came else report.probe_status(result.verdicts),
        result.notices,
    )
