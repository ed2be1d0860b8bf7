"""``ecapipe app protect``: settings files, which hold consumer secrets, stay out of git."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.cli.commands import with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import ProjectFlags, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import not_confirmed
from ecapipe.protect import scanners
from ecapipe.render import listings, text

if TYPE_CHECKING:
    from ecapipe.protect.protection import Protection

Tool = StrEnum("Tool", {name: name for name in scanners.TOOLS})  # type: ignore[misc]  # made of the tools


@command_flags
class ProtectFlags(ProjectFlags):
    """What ``ecapipe app protect`` takes."""

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the changes without writing them.")] = False
    forceignore: Annotated[
        bool,
        typer.Option(
            "--forceignore",
            help="Also add patterns to .forceignore: the Salesforce CLI then neither deploys nor retrieves the "
            "files.",
        ),
    ] = False
    replace_with_env: Annotated[
        bool,
        typer.Option(
            "--replace-with-env",
            help="Replace secrets in files with placeholders, and add replacements to sfdx-project.json.",
        ),
    ] = False
    rules: Annotated[
        Tool | None,
        typer.Option("--rules", metavar="|".join(Tool), help="Only print rules for a secret scanner."),
    ] = None
    concise: Annotated[bool, typer.Option("--concise", help="Don't print the changes to files.")] = False
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", "-p", help="Remove secrets from files without asking for confirmation.")
    ] = False

    @property
    def removes_secrets(self) -> bool:
        """Whether secrets leave their files without anybody having agreed."""
        return self.replace_with_env and not self.dry_run and not self.no_prompt

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        yield from super().contradictions(session)
        if self.rules:
            if self.dry_run or self.forceignore or self.replace_with_env:
                yield "--rules can't be used with flags that select or change files."
        # Nobody can be asked where the answer has to be JSON.
        elif self.removes_secrets and session.json and _has_person(session):
            yield "--replace-with-env can't ask for confirmation with --json: add --no-prompt."


@with_flags(ProtectFlags)
def protect_apps(session: CommandSession, flags: ProtectFlags) -> int:
    """Keep settings files with consumer secrets out of git.

    Adds patterns to the .gitignore that applies to the files, lists files that git already tracks, and shows how to
    untrack them. Files that are already protected aren't changed. --credentials-dir folders are also protected.

    --replace-with-env removes consumer secrets from the files. They aren't stored anywhere else: make sure that you
    have them. The output names the variable to set for each.
    """
    from ecapipe.adapters.project_tree import git
    from ecapipe.protect import plan

    environment = session.environment
    if flags.rules:
        return _print_rules(session, flags.rules)
    project = flags.select_project(environment, flags.name)
    discovery, protection = plan.plan(
        project,
        composition.real_world(environment),
        git.rulings,
        forceignore=flags.forceignore,
        replace=flags.replace_with_env,
    )
    # Before the question: who confirms has to see what is about to change.
    if not session.json and not flags.concise:
        text.write(session.out, listings.changes(protection))
    if not flags.dry_run:
        _write(session, protection, confirm=flags.removes_secrets and _has_person(session))
    return session.finish(
        lambda: results.AppProtect.of(discovery.facts, protection, written=not flags.dry_run),
        listings.protected(protection, written=not flags.dry_run),
        warnings=[
            *(problem.message for problem in discovery.unreadable),
            *discovery.notices,
            *protection.notices,
        ],
    )


def _print_rules(session: CommandSession, tool: Tool) -> int:
    rules = scanners.rules(tool.value)
    return session.finish(lambda: results.ScannerRules(tool=tool.value, rules=rules), rules.splitlines())


def _has_person(session: CommandSession) -> bool:
    return session.err.isatty() and not session.environment.is_ci()


def _write(session: CommandSession, protection: Protection, *, confirm: bool) -> None:
    """Make the changes; raises `EcapipeError` (NotConfirmed) if somebody is asked and does not agree."""
    from ecapipe.adapters.storage import writer

    # Only what takes a secret out of a file cannot be undone by hand.
    if confirm and protection.supplies and not _confirms():
        raise EcapipeError(not_confirmed())
    # All of them or none, and then it is reported.
    session.interrupts.retire()
    for change in protection.changes:
        writer.amend(change)


def _confirms() -> bool:
    question = "Remove the consumer secrets from these files? They aren't stored anywhere else"
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False
