"""``ecapipe app probe``: whether orgs accept the credentials of the apps, without a login."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.cli import options
from ecapipe.cli.documents import results
from ecapipe.cli.options import (
    AllOrgs,
    AllowHosts,
    AsJson,
    Concise,
    CredentialsDirs,
    MetadataDirs,
    Names,
    NoProgress,
    NoProjectConfig,
    OrgFileFlag,
    SecretsFrom,
    SourceDirs,
    TargetOrgs,
    Verbose,
)
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import usage_error
from ecapipe.render import listings

COMMAND = "ecapipe app probe"


def probe_apps(
    context: typer.Context,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    name: Names = None,
    target_org: TargetOrgs = None,
    file: OrgFileFlag = None,
    all_orgs: AllOrgs = False,
    emulator: Annotated[bool, typer.Option("--emulator", help="Ask a local org, started for this command.")] = False,
    secret_from: SecretsFrom = None,
    allow_host: AllowHosts = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: Annotated[bool, typer.Option("--no-prompt", "-p", help="Never ask anything.")] = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
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

    session: CommandSession = context.obj
    environment = session.environment
    if emulator and (target_org or file is not None or all_orgs):
        raise EcapipeError(usage_error("--emulator excludes every flag that names orgs.", COMMAND))
    length = options.length(concise, verbose, COMMAND)
    project = options.select_project(environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    orgs = options.select_orgs(environment, target_org, file=file, all_orgs=all_orgs, allow_hosts=allow_host)
    interactive = not no_prompt and not session.json and session.err.isatty() and not environment.is_ci()
    world = composition.real_world(environment, secret_prompts=interactive)
    with ExitStack() as stack:
        if emulator:
            from ecapipe.cli.local_org import use_local_org

            world, orgs = use_local_org(project, orgs, world, stack)
        result = probe.run(project, orgs, options.secret_sources(secret_from), world)
    return session.finish(
        lambda: results.AppProbe.of(result.found.facts, result.apps, result.verdicts),
        listings.verdicts(result.verdicts, length),
        report.probe_status(result.verdicts),
        result.notices,
    )
