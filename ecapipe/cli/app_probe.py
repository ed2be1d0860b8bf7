"""``ecapipe app probe``: whether orgs accept the apps, without a login."""

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
from ecapipe.cli.options import AllOrgs, AllowHosts, OrgFiles, ProjectFlags, SecretsFrom, TargetOrgs, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.problems.problem import INTERRUPTED
from ecapipe.render import finding_list


@command_flags
class ProbeFlags(ProjectFlags):
    """What ``ecapipe app probe`` takes."""

    target_org: TargetOrgs = None
    file: OrgFiles = None
    all_orgs: AllOrgs = False
    emulator: Annotated[
        bool, typer.Option("--emulator", help="Start a local org for this command, and probe that.")
    ] = False
    secret_from: SecretsFrom = None
    allow_host: AllowHosts = None
    strict: Annotated[bool, typer.Option("--strict", help="Also treat unclear answers as failures.")] = False
    no_prompt: Annotated[bool, typer.Option("--no-prompt", "-p", help="Don't prompt.")] = False

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        if self.emulator and (self.target_org or self.file or self.all_orgs):
            yield "--emulator can't be used with flags that select orgs."
        yield from super().contradictions(session)


@with_flags(ProbeFlags)
def probe_apps(session: CommandSession, flags: ProbeFlags) -> int:
    """Check whether orgs accept each app as its files describe it, without a user and without a login.

    Each app is probed in each org, unless an org lists its apps. For each callback URL, ecapipe requests the start of
    a login with PKCE and all scopes of the app, without a secret: an org that accepts key, callback URL and scopes
    redirects to its login page, any other returns an error. If the consumer secret is known, ecapipe also asks the
    org to introspect a token that was never issued, which works only if the org accepts key and secret. Any other
    response is unclear, such as a maintenance page or single sign-on on another host.

    For the format of the --file file, see ecapipe run --help.

    Exits with 0 if all pairs are accepted, with 68 if some are, with 1 if none is. An unclear answer is a warning, or
    a failure with --strict. An org that can't be reached is a failure.
    """
    # Probing loads HTTP and OAuth, which the other commands of the topic do without.
    from ecapipe import probe

    environment = session.environment
    project = flags.select_project(environment, flags.name)
    orgs = options.select_orgs(environment, flags)
    interactive = not flags.no_prompt and not session.json and session.err.isatty() and not environment.is_ci()
    world = replace(
        composition.real_world(environment, secret_prompts=interactive),
        interrupts=partial(session.interrupts.divert, last=True),
    )
    with ExitStack() as stack:
        if flags.emulator:
            from ecapipe.cli.local_org import use_local_org

            world, orgs = use_local_org(project, orgs, world, stack)
        progress = stack.enter_context(session.progress(shown=not flags.no_progress))
        world = replace(world, tell=progress.tell)
        result = probe.run(project, orgs, options.secret_sources(flags.secret_from), world)
    strict = flags.strict
    unclear = [
        f"{each.app}@{each.org} is unclear: {each.message}"
        for each in result.verdicts
        if each.word == "unclear" and not each.fails(strict=strict)
    ]
    return session.finish(
        lambda: results.AppProbe.of(result.found.facts, result.apps, result.verdicts),
        finding_list.verdicts(result.verdicts, flags.length, session.screen),
        INTERRUPTED if session.interrupts.came else report.probe_status(result.verdicts, strict=strict),
        [*result.notices, *unclear],
    )
