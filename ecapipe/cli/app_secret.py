"""``ecapipe app set-secret`` and ``forget-secret``: consumer secrets that settings files lack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, ClassVar

import typer

from ecapipe.adapters import composition
from ecapipe.cli import options
from ecapipe.cli.commands import with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import CommonFlags, StoreIn, TreeFlags, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.credentials import secret_unusable
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import usage_error
from ecapipe.render import listings
from ecapipe.secret import Secret


@command_flags
class AppFlags(CommonFlags):
    """The one app that is meant."""

    app: Annotated[str | None, typer.Argument(metavar="APP", help="Exact developer name of the app.")] = None
    name: Annotated[list[str] | None, typer.Option("--name", "-n", metavar="APP", help="Same as APP.")] = None

    COMMAND: ClassVar[str]

    @property
    def apps(self) -> list[str]:
        """The app, named once or several times; a command gets no more than one, see `contradictions`."""
        return list({*(self.name or ()), *([] if self.app is None else [self.app])})

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        if len(self.apps) != 1:
            yield f"Specify one app: {self.COMMAND} APP."
        yield from super().contradictions(session)


@command_flags
class SetSecretFlags(TreeFlags, AppFlags):
    """What ``ecapipe app set-secret`` takes."""

    COMMAND = "ecapipe app set-secret"

    target_org: Annotated[
        str | None,
        typer.Option(
            "--target-org", "-o", metavar="ORG", help="Org of the consumer key, if it differs between orgs."
        ),
    ] = None
    store: StoreIn = None
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", "-p", help="Don't prompt. Pipe the secret to standard input.")
    ] = False


@with_flags(SetSecretFlags)
def set_secret(session: CommandSession, flags: SetSecretFlags) -> int:
    """Save the consumer secret of an app whose settings file lacks it.

    Prompts for the secret without echoing it. Without a terminal, reads it from standard input, as one line. A secret
    can't be passed in a flag.

    The secret is saved for the app's consumer key, and never used with another key. ecapipe run uses it if the
    environment, replacements and settings file have none. To remove it, run ecapipe app forget-secret.
    """
    from ecapipe.saved import secrets as saved_secrets

    environment = session.environment
    [app] = flags.apps
    place = options.store_place(flags.store)
    world = composition.real_world(environment)
    # Before the question: nobody types a secret that cannot be saved.
    if obstacle := world.store.obstacle("secret", place):
        raise EcapipeError(obstacle)
    project = flags.select_project(environment, flags.apps)
    names = (flags.target_org,) if flags.target_org else ()
    orgs = OrgSelection(names=names, allowed=options.allowed_hosts(environment))
    owner, earlier = saved_secrets.owner(project, orgs, place, world)
    # A record that is damaged, or of a later version, is not written over: this raises its problem.
    world.store.read("secret", owner.id)
    facts = saved_secrets.secret_facts(owner)
    secret = _read_secret(session, f"Consumer secret of {app} (key {facts.consumer_key}): ", flags.no_prompt)
    if secret is None:
        raise EcapipeError(secret_unusable(app, "it is empty"))
    saved_secrets.save_secret(owner, secret, world)
    warnings = []
    if earlier is not None:
        warnings.append(f"{earlier} also has a consumer secret for {app}, and takes precedence.")
    lines = listings.kept_secret(facts, world.store.where("secret", place), flags.length)
    return session.finish(lambda: results.AppSetSecret.of(facts), lines, warnings=warnings)


@command_flags
class ForgetSecretFlags(TreeFlags, AppFlags):
    """What ``ecapipe app forget-secret`` takes."""

    COMMAND = "ecapipe app forget-secret"
    LAST = ("source_dir", "metadata_dir", "credentials_dir", *CommonFlags.LAST)

    target_org: Annotated[
        str | None, typer.Option("--target-org", "-o", metavar="ORG", help="Org that the secret was saved for.")
    ] = None
    every: Annotated[bool, typer.Option("--all", help="Remove the secrets of all apps with this name.")] = False


@with_flags(ForgetSecretFlags)
def forget_secret(session: CommandSession, flags: ForgetSecretFlags) -> int:
    """Remove the consumer secret that ecapipe app set-secret saved.

    Doesn't need a project, and doesn't change the secret in Salesforce. With a folder, removes only the secret for
    the consumer key that the app has there.
    """
    from ecapipe.saved import secrets as saved_secrets

    environment = session.environment
    [app] = flags.apps
    world = composition.real_world(environment)
    consumer_key = None
    # The secret of an app that is no longer in any project can be forgotten, too.
    if flags.source_dir or flags.metadata_dir or flags.credentials_dir:
        project = flags.select_project(environment, flags.apps)
        owner, _ = saved_secrets.owner(project, OrgSelection(), "keyring", world)
        consumer_key = owner.consumer_key
    owners, removed = saved_secrets.forget_secrets(app, flags.target_org, flags.every, world, consumer_key)
    facts = [saved_secrets.secret_facts(owner) for owner in owners]
    warnings = [f"Removed {record.problem.file}, which couldn't be read." for record in removed]
    lines = listings.forgotten(facts, flags.length)
    return session.finish(lambda: results.AppForgetSecret.of(facts), lines, warnings=warnings)


def _read_secret(session: CommandSession, question: str, no_prompt: bool) -> Secret | None:
    """What somebody types, unseen, or what is piped in; raises `EcapipeError` (UsageError)."""
    from ecapipe.adapters import terminal

    if not sys.stdin.isatty():
        return terminal.given(sys.stdin)
    if no_prompt or session.json:
        flag = "--no-prompt" if no_prompt else "--json"
        sentence = f"{flag} doesn't prompt: pipe the consumer secret to standard input, as one line."
        raise EcapipeError(usage_error(sentence, SetSecretFlags.COMMAND))
    return terminal.ask(question)
