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

    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")] = False
    forceignore: Annotated[
        bool,
        typer.Option(
            "--forceignore",
            help="Keep the files from the Salesforce CLI, too: it then neither deploys nor retrieves them.",
        ),
    ] = False
    replace_with_env: Annotated[
        bool,
        typer.Option(
            "--replace-with-env",
            help="Put placeholders into the files for their secrets, and replacements into sfdx-project.json.",
        ),
    ] = False
    rules: Annotated[
        Tool | None,
        typer.Option(
            "--rules", metavar="|".join(Tool), help="Print rules for a secret scanner, and do nothing else."
        ),
    ] = None
    concise: Annotated[bool, typer.Option("--concise", help="Leave out how the files change.")] = False
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", "-p", help="Take secrets out of files without asking.")
    ] = False

    @property
    def removes_secrets(self) -> bool:
        """Whether secrets leave their files without anybody having agreed."""
        return self.replace_with_env and not self.dry_run and not self.no_prompt

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        yield from super().contradictions(session)
        if self.rules:
            if self.dry_run or self.forceignore or self.replace_with_env:
                yield "--rules excludes every flag that is about files."
        # Nobody can be asked where the answer has to be JSON.
        elif self.removes_secrets and session.json and _has_person(session):
            yield "--replace-with-env with --json takes secrets out of files without asking: add --no-prompt."


@with_flags(ProtectFlags)
def protect_apps(session: CommandSession, flags: ProtectFlags) -> int:
    """Keep the settings files, which hold consumer secrets, out of git.

    Adds patterns to the .gitignore that decides on the files, and says which files git tracks all the same and how
    to untrack them. What is protected already stays as it is. A tree named with --credentials-dir holds such files,
    too, and is protected like the project.

    With --replace-with-env each consumer secret leaves its file, and is kept nowhere: make sure that you have it.
    The output names the variable to supply it in.
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
    question = "Take the consumer secrets out of these files? They are kept nowhere else"
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False
