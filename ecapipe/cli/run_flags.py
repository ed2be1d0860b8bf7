"""The flags of ``ecapipe run``, and which of them contradict each other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final

import typer

from ecapipe.cli import arguments, options
from ecapipe.cli.options import (
    AllOrgs,
    AllowHosts,
    OrgFiles,
    ProjectFlags,
    ReportFiles,
    SecretsFrom,
    StoreIn,
    TargetOrgs,
    TokenForm,
    command_flags,
)
from ecapipe.cli.session import CommandSession
from ecapipe.documents import shards
from ecapipe.events import APP_STAGES, AUTHORIZE, DISCOVER, RUN_STAGES, VERIFY
from ecapipe.oauth.flows import registry
from ecapipe.run.workers import CONCURRENCY

COMMAND: Final = "ecapipe run"

OFFLINE_STAGES: Final = tuple(stage.name for stage in (DISCOVER, *APP_STAGES))
"""The stages of a run that send nothing to an org."""


class Callback(StrEnum):
    auto = "auto"
    listen = "listen"
    paste = "paste"


class Browser(StrEnum):
    chrome = "chrome"
    edge = "edge"
    firefox = "firefox"
    none = "none"


class Receiver(StrEnum):
    """Programs that verified logins are handed over to."""

    sf = "sf"


Flow = StrEnum("Flow", {name: name for name in registry.CHOICES})  # type: ignore[misc]  # made of the flows

Until = StrEnum("Until", {stage.name: stage.name for stage in RUN_STAGES})  # type: ignore[misc]  # made of the stages


@command_flags
class RunFlags(ProjectFlags):
    """What ``ecapipe run`` takes."""

    LAST = ("no_prompt", "concise", "verbose", "no_progress", "report_to", "no_project_config", "json")

    target_org: TargetOrgs = None
    file: OrgFiles = None
    all_orgs: AllOrgs = False
    emulator: Annotated[
        bool, typer.Option("--emulator", help="Start a local org for this run, and sign in to it automatically.")
    ] = False
    # Not "auto" by default: the word, typed, wins over an org file.
    flow: Annotated[
        Flow | None, typer.Option("--flow", metavar="|".join(Flow), help="OAuth flow to use. Default: auto.")
    ] = None
    callback: Annotated[
        Callback | None,
        typer.Option(
            "--callback",
            metavar="|".join(Callback),
            help="Way to receive the response from the browser. Default: auto.",
        ),
    ] = None
    browser: Annotated[
        Browser | None,
        typer.Option(
            "--browser",
            "-b",
            metavar="|".join(Browser),
            help="Browser to open; none prints each URL on stderr instead.",
        ),
    ] = None
    scopes: Annotated[
        str | None, typer.Option("--scopes", metavar='"A B"', help="Scopes to request, separated by spaces.")
    ] = None
    username: Annotated[
        str | None, typer.Option("--username", metavar="NAME", help="Username that is expected to sign in.")
    ] = None
    jwt_key_file: Annotated[
        str | None,
        typer.Option("--jwt-key-file", metavar="PATH", help="Private key (RSA, PEM) for the JWT bearer flow."),
    ] = None
    dpop: Annotated[
        bool,
        typer.Option("--dpop", help="Bind tokens to a key (DPoP, RFC 9449). Always on for apps with isDPopEnabled."),
    ] = False
    until: Annotated[Until | None, typer.Option("--until", metavar="|".join(Until), help="Stage to stop after.")] = (
        None
    )
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            "-w",
            metavar="MINUTES",
            help="Minutes to wait for sign-ins. Default: 5 for one login, otherwise 30.",
        ),
    ] = None
    settle: Annotated[
        float,
        typer.Option("--settle", metavar="MINUTES", help="Minutes to retry errors that a recent deploy can cause."),
    ] = 0.0
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be done for each app and org, without sending anything."),
    ] = False
    probe: Annotated[
        bool, typer.Option("--probe", help="With --dry-run: ask each org whether the login could start.")
    ] = False
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", help="Maximum number of logins at the same time.")
    ] = CONCURRENCY
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="K/N", help="Run only part K of N of the logins.")
    ] = None
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="[RUN|FILE]",
            help="Resume the latest run, a run from runs list, or a JSON result. Succeeded logins aren't repeated.",
        ),
    ] = None
    no_journal: Annotated[
        bool, typer.Option("--no-journal", help="Don't record the run. It can't be resumed then.")
    ] = False
    secret_from: SecretsFrom = None
    write_back: Annotated[
        bool,
        typer.Option("--write-back", help="Write a secret that was read from rest to the app's settings file."),
    ] = False
    print_token: Annotated[
        TokenForm | None,
        typer.Option(
            "--print-token",
            metavar="|".join(TokenForm),
            help="Print only the access token on standard output.",
        ),
    ] = None
    save: Annotated[
        bool,
        typer.Option(
            "--save", help="Save each login for ecapipe login, in the keyring or the place set with --store."
        ),
    ] = False
    store: StoreIn = None
    hand_over: Annotated[
        Receiver | None,
        typer.Option(
            "--hand-over",
            metavar="|".join(Receiver),
            help="Store each verified login in the Salesforce CLI, under the org's alias.",
        ),
    ] = None
    no_board: Annotated[
        bool,
        typer.Option(
            "--no-board",
            help="For several logins, print sign-in links in the terminal instead of opening the sign-in page.",
        ),
    ] = False
    board_port: Annotated[
        int | None,
        typer.Option("--board-port", metavar="N", help="Port of the sign-in page, to reach it over SSH."),
    ] = None
    set_default: Annotated[
        bool,
        typer.Option(
            "--set-default", "-s", help="With --hand-over: also make the org the default of the Salesforce CLI."
        ),
    ] = False
    replace_alias: Annotated[
        bool,
        typer.Option(
            "--replace-alias",
            help="With --hand-over: replace the alias if the Salesforce CLI uses it for another org.",
        ),
    ] = False
    retrieve: Annotated[
        bool,
        typer.Option("--retrieve", help="First retrieve each org's external client apps with the Salesforce CLI."),
    ] = False
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke each token after verifying it.")] = False
    allow_host: AllowHosts = None
    no_prompt: Annotated[bool, typer.Option("--no-prompt", "-p", help="Don't prompt.")] = False
    concise: Annotated[bool, typer.Option("--concise", help="Print only logins and problems.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", help="Print the details of every stage.")] = False
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Print lines instead of a live display.")] = False
    report_to: ReportFiles = None

    @property
    def last_stage(self) -> str | None:
        """The stage to stop after, None for the last there is."""
        # A dry run ends with the plan of each login: authorize makes it, and sends nothing then.
        if self.dry_run and self.until not in OFFLINE_STAGES:
            return AUTHORIZE.name
        return None if self.until is None else self.until.value

    @property
    def recordable(self) -> bool:
        """Whether the run is recorded. One that is to print a token could not be gone on with."""
        return not (self.no_journal or self.dry_run or self.print_token)

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        usage = _usage(self, session)
        for first, second in _EXCLUSIVE:
            if first in usage and second in usage:
                yield f"{usage[first]} can't be used with {usage[second]}."
        yield from _mistakes(self, session)


_EXCLUSIVE: Final = (
    ("--concise", "--verbose"),
    ("--emulator", "--target-org"),
    ("--no-board", "--board-port"),
    ("--emulator", "--board-port"),
    ("--no-prompt", "--board-port"),
    ("--emulator", "--file"),
    ("--emulator", "--all-orgs"),
    ("--print-token", "--json"),
    ("--print-token", "--revoke"),
    ("--save", "--print-token"),
    ("--save", "--revoke"),
    ("--save", "--emulator"),
    ("--save", "--hand-over"),
    ("--save", "before verify"),
    ("--revoke", "before verify"),
    ("--print-token", "--dry-run"),
    ("--jwt-key-file", "--flow"),
    ("--print-token", "--until"),
    ("--print-token", "--resume"),
    ("--shard", "offline stage"),
    ("--hand-over", "--print-token"),
    ("--hand-over", "--dpop"),
    ("--hand-over", "--revoke"),
    ("--hand-over", "--until"),
    ("--hand-over", "--emulator"),
    ("--retrieve", "--emulator"),
    ("--retrieve", "--dry-run"),
    ("--retrieve", "--metadata-dir"),
)
"""Pairs that exclude each other, in the order in which they are reported; the names are those of `_usage`."""


def _usage(flags: RunFlags, session: CommandSession) -> dict[str, str]:
    """What the command line uses of what `_EXCLUSIVE` names, and the words for it in a message."""
    in_use = {
        "--all-orgs": flags.all_orgs,
        "--board-port": flags.board_port is not None,
        "--concise": flags.concise,
        "--dpop": flags.dpop,
        "--dry-run": flags.dry_run,
        "--emulator": flags.emulator,
        "--file": bool(flags.file),
        "--hand-over": flags.hand_over is not None,
        "--jwt-key-file": flags.jwt_key_file is not None,
        # SF_CONTENT_TYPE=JSON counts like the flag.
        "--json": session.json,
        "--metadata-dir": bool(flags.metadata_dir),
        "--no-board": flags.no_board,
        "--no-prompt": flags.no_prompt,
        "--print-token": flags.print_token is not None,
        "--resume": flags.resume is not None,
        "--retrieve": flags.retrieve,
        "--revoke": flags.revoke,
        "--save": flags.save,
        "--shard": flags.shard is not None,
        "--target-org": bool(flags.target_org),
        "--until": flags.until is not None,
        "--verbose": flags.verbose,
    }
    usage = {name: name for name, used in in_use.items() if used}
    if not any(flow.signs for flow in registry.leads_to(flags.flow or registry.AUTO)):
        usage["--flow"] = f"--flow {flags.flow}"
    if flags.until is not None and flags.until.value != VERIFY.name:
        usage["before verify"] = "--until"
    if flags.until in OFFLINE_STAGES:
        usage["offline stage"] = f"--until {flags.until}"
    recorded = {f"--{name.replace('_', '-')}" for name in session.repeated}
    return {
        name: f"{words} of the run to resume" if words.partition(" ")[0] in recorded else words
        for name, words in usage.items()
    }


def _mistakes(flags: RunFlags, session: CommandSession) -> Iterator[str]:
    """A sentence for each value that cannot be used, and for each flag without the one it belongs to."""
    if flags.shard is not None and shards.parse(flags.shard) is None:
        yield "--shard must be K/N, with 1 <= K <= N <= 10000."
    if flags.scopes is not None and ("," in flags.scopes or not flags.scopes.split()):
        yield "--scopes must be one string, with spaces between the scopes."
    # They would stand in the address that a browser is sent to.
    elif flags.scopes is not None and not arguments.has_form(flags.scopes, '"A B"'):
        yield "--scopes contains something that isn't a scope name."
    if flags.username is not None and not arguments.has_form(flags.username, "NAME"):
        yield "--username isn't a valid username."
    # An alias is shown wherever its org is.
    if not all(arguments.has_form(org, "ORG") for org in flags.target_org or () if re.match(r"[^:/]*=", org)):
        yield "--target-org must be in the form ALIAS=URL."
    # The value is not repeated: it may be the key itself, pasted instead of its path. It may be a pipe.
    key = flags.jwt_key_file
    if key is not None and (not os.path.exists(key) or os.path.isdir(key)):
        yield "--jwt-key-file must be the path of an existing file."
    from_orgs = options.sources_in_orgs()
    if flags.write_back and options.secret_sources(flags.secret_from).isdisjoint(from_orgs):
        yield f"--write-back requires --secret-from {' or '.join(from_orgs)}."
    if flags.wait is not None and not 0 < flags.wait <= 24 * 60:
        yield "--wait must be a number of minutes, more than 0 and at most 1440."
    if flags.store is not None and not flags.save:
        yield "--store requires --save."
    if not 0 <= flags.settle <= 60:
        yield "--settle must be a number of minutes from 0 to 60."
    if flags.board_port is not None and not 1 <= flags.board_port <= 65535:
        yield "--board-port must be from 1 to 65535."
    if not 1 <= flags.concurrency <= 128:
        yield "--concurrency must be from 1 to 128."
    if flags.set_default and flags.hand_over is None:
        yield "--set-default requires --hand-over."
    if flags.probe and not flags.dry_run:
        yield "--probe requires --dry-run."
    if flags.probe and flags.until in OFFLINE_STAGES:
        yield f"--probe can't be used with --until {flags.until}."
    if flags.replace_alias and flags.hand_over is None:
        yield "--replace-alias requires --hand-over."
    # Scrollback and recordings of a terminal outlive the command.
    if flags.print_token is not None and session.out.isatty() and not flags.no_prompt:
        yield "--print-token would print the token on the terminal. To allow that, add --no-prompt."
