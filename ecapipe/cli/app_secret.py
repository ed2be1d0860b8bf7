"""``ecapipe app set-secret`` and ``forget-secret``: consumer secrets that settings files lack."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.cli import options
from ecapipe.cli.documents import results
from ecapipe.cli.options import (
    AsJson,
    Concise,
    CredentialsDirs,
    MetadataDirs,
    NoProgress,
    NoProjectConfig,
    NoPrompt,
    SourceDirs,
    StoreIn,
    Verbose,
)
from ecapipe.cli.session import CommandSession
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.credentials import secret_unusable
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import usage_error
from ecapipe.render import listings
from ecapipe.secret import Secret

SET_COMMAND = "ecapipe app set-secret"
FORGET_COMMAND = "ecapipe app forget-secret"

AppName = Annotated[str | None, typer.Argument(metavar="APP", help="The app, by its exact developer name.")]
NameOfApp = Annotated[
    list[str] | None, typer.Option("--name", "-n", metavar="APP", help="The app, if it is not given as APP.")
]


def _parse_app(app: str | None, names: list[str] | None, command: str) -> str:
    """The one app of APP and --name; raises `EcapipeError` (UsageError) for none and for several."""
    apps = set(names or ())
    if app is not None:
        apps.add(app)
    if len(apps) != 1:
        raise EcapipeError(usage_error(f"Name one app: {command} APP.", command))
    return apps.pop()


def set_secret(
    context: typer.Context,
    app: AppName = None,
    name: NameOfApp = None,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    target_org: Annotated[
        str | None,
        typer.Option(
            "--target-org",
            "-o",
            metavar="ORG",
            help="Org whose consumer key is meant, where they differ.",
        ),
    ] = None,
    store: StoreIn = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", "-p", help="Never ask anything: the secret has to be piped in.")
    ] = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Keep the consumer secret of an app, for when its settings file lacks it.

    The secret is asked for without being shown; without a terminal it is read from standard input, as one line. No
    flag takes it.

    It is kept for the app's consumer key, so that it is never used with another one. ecapipe run takes it where
    environment, replacements and settings file have none; ecapipe app forget-secret removes it.
    """
    from ecapipe.saved import secrets as saved_secrets

    session: CommandSession = context.obj
    environment = session.environment
    app = _parse_app(app, name, SET_COMMAND)
    length = options.length(concise, verbose, SET_COMMAND)
    place = options.store_place(store)
    world = composition.real_world(environment)
    # Before the question: nobody types a secret that cannot be saved.
    if obstacle := world.store.obstacle("secret", place):
        raise EcapipeError(obstacle)
    project = options.select_project(environment, source_dir, metadata_dir, credentials_dir, [app], no_project_config)
    orgs = OrgSelection(names=(target_org,) if target_org else (), allowed=options.allowed_hosts(environment))
    owner, earlier = saved_secrets.owner(project, orgs, place, world)
    facts = saved_secrets.secret_facts(owner)
    secret = _read_secret(session, f"Consumer secret of {app} (key {facts.consumer_key}): ", no_prompt)
    if secret is None:
        raise EcapipeError(secret_unusable(app, "nothing was given"))
    saved_secrets.save_secret(owner, secret, world)
    warnings = []
    if earlier is not None:
        warnings.append(f"A consumer secret of {app} is found in {earlier}, too, which comes first.")
    lines = listings.kept_secret(facts, world.store.where("secret", place), length)
    return session.finish(lambda: results.AppSetSecret.of(facts), lines, warnings=warnings)


def forget_secret(
    context: typer.Context,
    app: AppName = None,
    name: NameOfApp = None,
    target_org: Annotated[
        str | None, typer.Option("--target-org", "-o", metavar="ORG", help="Org that the secret was kept for.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Forget the secrets of all apps of that name.")] = False,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: NoPrompt = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Forget the consumer secret that ecapipe app set-secret keeps.

    It needs no project, and changes nothing at Salesforce: the secret stays what it is there. With a folder, only
    what is kept for the consumer key that the app has there is forgotten.
    """
    from ecapipe.saved import secrets as saved_secrets

    session: CommandSession = context.obj
    environment = session.environment
    app = _parse_app(app, name, FORGET_COMMAND)
    length = options.length(concise, verbose, FORGET_COMMAND)
    world = composition.real_world(environment)
    consumer_key = None
    # The secret of an app that is no longer in any project can be forgotten, too.
    if source_dir or metadata_dir or credentials_dir:
        project = options.select_project(
            environment, source_dir, metadata_dir, credentials_dir, [app], no_project_config
        )
        owner, _ = saved_secrets.owner(project, OrgSelection(), "keyring", world)
        consumer_key = owner.consumer_key
    owners = saved_secrets.forget_secrets(app, target_org, every, world, consumer_key)
    facts = [saved_secrets.secret_facts(owner) for owner in owners]
    return session.finish(lambda: results.AppForgetSecret.of(facts), listings.forgotten(facts, length))


def _read_secret(session: CommandSession, question: str, no_prompt: bool) -> Secret | None:
    """What somebody types, unseen, or what is piped in; raises `EcapipeError` (UsageError)."""
    from ecapipe.adapters import terminal

    if not sys.stdin.isatty():
        return terminal.given(sys.stdin)
    if no_prompt or session.json:
        flag = "--no-prompt" if no_prompt else "--json"
        sentence = f"{flag} asks for nothing: pipe the consumer secret in, as one line."
        raise EcapipeError(usage_error(sentence, SET_COMMAND))
    return terminal.ask(question)
