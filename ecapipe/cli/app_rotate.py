"""``ecapipe app rotate``: a new key and secret for apps in orgs, proved before they are promoted."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ecapipe.adapters import composition
from ecapipe.cli import options
from ecapipe.cli.commands import with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import AllOrgs, AllowHosts, OrgFiles, ProjectFlags, StoreIn, TargetOrgs, command_flags
from ecapipe.cli.resume import SELECTIONS, CommandLine, ResumableCommand, is_file
from ecapipe.cli.session import CommandSession
from ecapipe.problems.problem import EcapipeError
from ecapipe.render import text
from ecapipe.rotate import commands as deliver_commands

if TYPE_CHECKING:
    from ecapipe.documents.report import Report
    from ecapipe.events import Emit, Event, Subject
    from ecapipe.rotate.target import Mode, Outcome, RotationOptions

_MAX_RESULT: Final = 64 * 2**20


class RotateCommand(ResumableCommand):
    """See there; rotations have records of their own."""

    rotates = True
    kinds = (
        *SELECTIONS,
        frozenset(("deliver", "write_back")),
        frozenset(("stage_only", "promote", "end_previous", "abort")),
    )

    def earlier(self, session: CommandSession, name: str) -> CommandLine:
        from ecapipe.adapters import rotation_tools

        recorded = rotation_tools.read_run(session.environment, name)
        return CommandLine(recorded.result.run, recorded.arguments, recorded.folder)

    def options_of(self, path: str) -> list[str]:
        # A result may come from anybody, and programs are the user's to name.
        return []


COMMAND_CLASS = RotateCommand


@command_flags
class RotateFlags(ProjectFlags):
    """What ``ecapipe app rotate`` takes."""

    target_org: TargetOrgs = None
    file: OrgFiles = None
    all_orgs: AllOrgs = False
    deliver: Annotated[
        list[str] | None,
        typer.Option(
            "--deliver",
            metavar="COMMAND",
            help="Command to pipe key and secret to, one at a time; consumerSecret=COMMAND for only one of "
            "them. Repeatable.",
        ),
    ] = None
    write_back: Annotated[
        bool,
        typer.Option("--write-back", help="Write key and secret to the settings file, unless git tracks it."),
    ] = False
    store: StoreIn = None
    stage_only: Annotated[bool, typer.Option("--stage-only", help="Stop after the new pair is proved.")] = False
    promote: Annotated[bool, typer.Option("--promote", help="Resume with the staged pair.")] = False
    end_previous: Annotated[
        bool, typer.Option("--end-previous", help="Delete the pair that was replaced, unless something uses it.")
    ] = False
    abort: Annotated[bool, typer.Option("--abort", help="Delete the staged pair, unless it was delivered.")] = False
    force: Annotated[
        bool, typer.Option("--force", help="With --abort or --end-previous: delete the pair anyway.")
    ] = False
    unproved: Annotated[
        bool, typer.Option("--unproved", help="Continue if the org neither accepts nor refuses the new pair.")
    ] = False
    adopt: Annotated[bool, typer.Option("--adopt", help="Use a staged pair that this machine has no record of.")] = (
        False
    )
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show what would be done, and check whether it is possible, without changing anything."
        ),
    ] = False
    jwt_key_file: Annotated[
        str | None,
        typer.Option(
            "--jwt-key-file", metavar="PATH", help="Private key (RSA, PEM) for a login that proves the new pair."
        ),
    ] = None
    username: Annotated[
        str | None, typer.Option("--username", metavar="NAME", help="User of that login. Requires --jwt-key-file.")
    ] = None
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="[RUN|FILE]",
            help="Resume the latest rotation, or this one. Pairs that were rotated are skipped.",
        ),
    ] = None
    allow_host: AllowHosts = None

    @property
    def mode(self) -> Mode:
        names = ("stage-only", "promote", "end-previous", "abort")
        modes: dict[str, Mode] = {name: name for name in names}  # type: ignore[misc]
        return next((modes[name] for name in names if getattr(self, name.replace("-", "_"))), "rotate")

    @property
    def commands(self) -> tuple[deliver_commands.DeliverCommand, ...]:
        """Raises ValueError for a command that cannot be meant."""
        return tuple(map(deliver_commands.parse, self.deliver or ()))

    @property
    def homeless(self) -> bool:
        """Whether a pair would be promoted whose key or secret goes nowhere; raises as `commands`."""
        promotes = self.mode in ("rotate", "promote")
        return not deliver_commands.covered(self.commands) and promotes and not self.write_back

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        yield from super().contradictions(session)
        chosen = [
            flag
            for flag, used in (
                ("--stage-only", self.stage_only),
                ("--promote", self.promote),
                ("--end-previous", self.end_previous),
                ("--abort", self.abort),
            )
            if used
        ]
        if len(chosen) > 1:
            yield f"{chosen[0]} can't be used with {chosen[1]}."
        yield from self._idle_flags()
        try:
            homeless = self.homeless
        except ValueError as error:
            yield str(error)
            return
        if homeless and not self.dry_run:
            yield (
                "A new key and secret must be delivered before they are promoted: add --deliver COMMAND "
                "for both, or --write-back."
            )

    def _idle_flags(self) -> Iterator[str]:
        """A sentence for each flag that would have no effect."""
        mode = self.mode
        deletes = mode in ("end-previous", "abort")
        if mode not in ("rotate", "promote") and (self.deliver or self.write_back or self.store):
            yield f"--{mode} can't be used with --deliver, --write-back or --store, because it delivers nothing."
        if self.force and not deletes:
            yield "--force requires --abort or --end-previous."
        if self.adopt and deletes:
            yield f"--adopt can't be used with --{mode}."
        if self.unproved and mode == "abort":
            yield "--unproved can't be used with --abort."
        if self.jwt_key_file and deletes:
            yield f"--jwt-key-file can't be used with --{mode}, which has no new pair to prove."
        if (self.username is None) != (self.jwt_key_file is None) and self.file is None:
            yield "--jwt-key-file and --username require each other: they log in to prove the new pair."
        key = self.jwt_key_file
        if key is not None and (not os.path.exists(key) or os.path.isdir(key)):
            yield "--jwt-key-file must be the path of an existing file."


@with_flags(RotateFlags)
def rotate_apps(session: CommandSession, flags: RotateFlags) -> int:
    """Rotate the consumer key and secret of apps: prove that orgs accept the new ones, deliver and promote them.

    Uses a login of the Salesforce CLI, or one saved with ecapipe run --save, whose user may see consumer secrets, and
    the org's REST API: finds the consumer by its current key, then stages, proves, delivers, promotes and confirms a
    new pair. The previous pair works for 30 more days, or until --end-previous.

    A --deliver command is split like a shell command line, but no shell is started. It runs once for the key and once
    for the secret, and reads the value on standard input. In its arguments, {field} is replaced with consumerKey or
    consumerSecret, {variable} with the variable that ecapipe run reads, {app} and {org} with their names.

    You can interrupt it at any time. Run it again: it reads the state from the org and resumes. Saved logins and
    secrets move to the new pair.

    Exits with 0 if all apps are rotated, with 68 if some are, with 1 if none is.
    """
    # Rotating loads HTTP and OAuth, which the other commands of the topic do without.
    from ecapipe.adapters import rotation_tools
    from ecapipe.documents.report import Report
    from ecapipe.rotate import pipeline
    from ecapipe.rotate.pipeline import STAGES

    environment = session.environment
    project = flags.select_project(environment, flags.name)
    orgs = options.select_orgs(environment, flags, flags.username)
    world = replace(composition.real_world(environment), interrupts=session.interrupts.divert)
    done = {} if flags.resume is None else _earlier(session, flags.resume, {each.name for each in STAGES[flags.mode]})
    request = pipeline.RotationRequest(
        project, orgs, _options(flags, orgs.allowed, environment.get("SF_AUDIENCE_URL")), done
    )
    report, outcomes = Report(), pipeline.Outcomes()
    with ExitStack() as stack:
        stack.callback(world.close_connections)
        emit = _emit(session, flags, report, outcomes, stack)
        pipeline.run(request, world, rotation_tools.tools(environment), emit, outcomes)
    warnings = report.warnings if session.json else ()
    return session.finish(lambda: _result(report, outcomes), _lines(report, outcomes, flags), report.status, warnings)


def _options(flags: RotateFlags, allowed: tuple[str, ...], audience: str | None) -> RotationOptions:
    from ecapipe.rotate.target import RotationOptions

    return RotationOptions(
        mode=flags.mode,
        commands=flags.commands,
        write_back=flags.write_back,
        keep=options.store_place(flags.store) if flags.store else None,
        force=flags.force,
        unproved=flags.unproved,
        adopt=flags.adopt,
        dry_run=flags.dry_run,
        key_file=flags.jwt_key_file,
        audience=audience,
        allowed=allowed,
    )


def _emit(
    session: CommandSession, flags: RotateFlags, report: Report, outcomes: dict[Subject, Outcome], stack: ExitStack
) -> Emit:
    """What hears of events: the report, the record for --resume, the display. Until the end of `stack`, the run is
    one that goes on."""
    from ecapipe.events import RunEnded
    from ecapipe.render import log
    from ecapipe.render.plain_display import PlainDisplay

    verbose = flags.verbose or flags.dry_run
    display = PlainDisplay(
        session.out, session.err, report, stages=not flags.concise, verbose=verbose, screen=session.screen
    )

    def emit(event: Event) -> None:
        with session.interrupts.defer(last=isinstance(event, RunEnded)):
            report(event)
            log.log(event)
            if not flags.dry_run:
                _record(session, report, outcomes, event, stack)
            if not session.json:
                display(event)

    return emit


def _record(
    session: CommandSession, report: Report, outcomes: dict[Subject, Outcome], event: Event, stack: ExitStack
) -> None:
    """Write down what came of the run so far: a rotation that succeeded is not done twice."""
    from ecapipe.adapters import rotation_tools
    from ecapipe.documents import run_summary
    from ecapipe.documents.rotation_record import RecordedRotation
    from ecapipe.events import RunEnded, RunPlanned, SubjectFinished

    if not isinstance(event, RunPlanned | SubjectFinished | RunEnded):
        return
    try:
        if isinstance(event, RunPlanned):
            stack.enter_context(rotation_tools.going_on(session.environment, report.run))
            return
        repeatable, ended = session.arguments is not None, isinstance(event, RunEnded)
        summary = run_summary.summarize_rotation(report, ended=ended, repeatable=repeatable)
        run = RecordedRotation(
            folder=os.getcwd(),
            arguments=session.arguments,
            recorded=results.RecordedRun.of(summary),
            result=_result(report, outcomes),
        )
        rotation_tools.write_run(session.environment, run)
    except EcapipeError as error:
        # What was rotated is rotated: a full disk is no reason to call it failed.
        session.tell([text.clean(f"Warning: The rotation can't be resumed: {error.problem.message}")])


def _earlier(session: CommandSession, value: str, stages: Collection[str]) -> dict[Subject, Outcome]:
    """What an earlier rotation did that had the same `stages`: one that only staged, or deleted, has rotated nothing,
    and a dry run has done nothing. Raises `EcapipeError`: RunNotFound, FileNotFound, MalformedResult."""
    from ecapipe.adapters import rotation_tools
    from ecapipe.events import Subject
    from ecapipe.rotate.target import Outcome

    result = _read(value) if is_file(value) else rotation_tools.read_run(session.environment, value).result
    reached: dict[tuple[str | None, ...], set[str]] = {}
    for stage in result.stages:
        reached.setdefault((stage.app, stage.org, stage.project or None), set()).add(stage.stage)
    return {
        Subject(each.app, each.org, each.project or None): Outcome(
            each.consumer_key, each.previous_until, list(each.delivered), list(each.proved)
        )
        for each in result.successes
        if reached.get((each.app, each.org, each.project or None)) == stages
    }


def _read(path: str) -> results.AppRotate:
    """The result in a file. Raises `EcapipeError` (FileNotFound, MalformedResult)."""
    from ecapipe.adapters.storage import files
    from ecapipe.documents import codec, json_object
    from ecapipe.documents.json_object import MalformedRecord, NewerVersion
    from ecapipe.problems.usage import malformed_result

    data = files.read(path, _MAX_RESULT, "--resume")
    try:
        document = json_object.parse(data)
        return codec.convert(document.get("result", document), results.AppRotate)
    except (MalformedRecord, NewerVersion) as error:
        raise EcapipeError(malformed_result(path, str(error))) from None


def _result(report: Report, outcomes: dict[Subject, Outcome]) -> results.AppRotate:
    rotated = [
        results.Rotated(
            project=subject.tree,
            app=subject.app or "",
            org=subject.org or "",
            consumer_key=outcome.key,
            previous_until=outcome.previous_until,
            delivered=outcome.delivered,
            proved=outcome.proved,
        )
        for subject, outcome in outcomes.items()
    ]
    return results.AppRotate.of(report.run, report.ended, rotated)


def _lines(report: Report, outcomes: dict[Subject, Outcome], flags: RotateFlags) -> Iterator[str]:
    """What came of each rotation, and what is left to do."""
    for subject, outcome in outcomes.items():
        sentence = _SENTENCES[flags.mode].format(key=outcome.key)
        if flags.dry_run:
            sentence = _PLANNED if flags.homeless else "The rotation is possible."
        line = f"{report.name(subject)}: {sentence}"
        if outcome.previous_until:
            line += f" The previous key works until {outcome.previous_until}."
        yield text.clean(line)


_PLANNED: Final = "The rotation is possible. To deliver the new pair, add --deliver COMMAND or --write-back."
_SENTENCES: Final[dict[str, str]] = {
    "rotate": "The key {key} is active.",
    "promote": "The key {key} is active.",
    "stage-only": "The key {key} is staged and proved. To continue: --promote.",
    "abort": "Nothing is staged. The key {key} is active.",
    "end-previous": "The key {key} is active, and no other one.",
}
