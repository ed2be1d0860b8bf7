"""``ecapipe app protect``: settings files, which hold consumer secrets, stay out of git."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.cli import options
from ecapipe.cli.documents import results
from ecapipe.cli.options import (
    AsJson,
    CredentialsDirs,
    MetadataDirs,
    Names,
    NoProgress,
    NoProjectConfig,
    SourceDirs,
    Verbose,
)
from ecapipe.cli.session import CommandSession
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import not_confirmed, usage_error
from ecapipe.protect import scanners
from ecapipe.render import listings, text

if TYPE_CHECKING:
    from ecapipe.protect.protection import Protection

COMMAND = "ecapipe app protect"

Tool = StrEnum("Tool", {name: name for name in scanners.TOOLS})  # type: ignore[misc]  # made of the tools


def protect_apps(
    context: typer.Context,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    name: Names = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")] = False,
    forceignore: Annotated[
        bool,
        typer.Option(
            "--forceignore",
            help="Keep the files from the Salesforce CLI, too: it then neither deploys nor retrieves them.",
        ),
    ] = False,
    replace_with_env: Annotated[
        bool,
        typer.Option(
            "--replace-with-env",
            help="Put placeholders into the files for their secrets, and replacements into sfdx-project.json.",
        ),
    ] = False,
    rules: Annotated[
        Tool | None,
        typer.Option(
            "--rules", metavar="|".join(Tool), help="Print rules for a secret scanner, and do nothing else."
        ),
    ] = None,
    concise: Annotated[bool, typer.Option("--concise", help="Leave out how the files change.")] = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", "-p", help="Take secrets out of files without asking.")
    ] = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Keep the settings files, which hold consumer secrets, out of git.

    Adds patterns to the .gitignore that decides on the files, and says which files git tracks all the same and how
    to untrack them. What is protected already stays as it is. A tree named with --credentials-dir holds such files,
    too, and is protected like the project.

    With --replace-with-env each consumer secret leaves its file, and is kept nowhere: make sure that you have it.
    The output names the variable to supply it in.
    """
    from ecapipe.adapters.project_tree import git
    from ecapipe.protect import plan

    session: CommandSession = context.obj
    environment = session.environment
    length = options.length(concise, verbose, COMMAND)
    if rules:
        if dry_run or forceignore or replace_with_env:
            raise EcapipeError(usage_error("--rules excludes every flag that is about files.", COMMAND))
        return _print_rules(session, rules)
    confirm = _is_to_confirm(session, replace_with_env and not dry_run and not no_prompt)
    project = options.select_project(environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    discovery, protection = plan.plan(
        project,
        composition.real_world(environment),
        git.rulings,
        forceignore=forceignore,
        replace=replace_with_env,
    )
    # Before the question: who confirms has to see what is about to change.
    if not session.json and length != "concise":
        text.write(session.out, listings.changes(protection))
    if not dry_run:
        _write(protection, confirm=confirm)
    return session.finish(
        lambda: results.AppProtect.of(discovery.facts, protection, written=not dry_run),
        listings.protected(protection, written=not dry_run),
        warnings=[
            *(problem.message for problem in discovery.unreadable),
            *discovery.notices,
            *protection.notices,
        ],
    )


def _print_rules(session: CommandSession, tool: Tool) -> int:
    rules = scanners.rules(tool.value)
    return session.finish(lambda: results.ScannerRules(tool=tool.value, rules=rules), rules.splitlines())


def _is_to_confirm(session: CommandSession, removes_secrets: bool) -> bool:
    """Whether somebody is to confirm that secrets leave their files.

    Raises `EcapipeError` (UsageError) where nobody can be asked because the answer has to be JSON.
    """
    if not removes_secrets or not session.err.isatty() or session.environment.is_ci():
        return False
    if session.json:
        sentence = "--replace-with-env with --json takes secrets out of files without asking: add --no-prompt."
        raise EcapipeError(usage_error(sentence, COMMAND))
    return True


def _write(protection: Protection, *, confirm: bool) -> None:
    """Make the changes; raises `EcapipeError` (NotConfirmed) if somebody is asked and does not agree."""
    from ecapipe.adapters.project_tree import writer

    # Only what takes a secret out of a file cannot be undone by hand.
    if confirm and protection.supplies and not _confirms():
        raise EcapipeError(not_confirmed())
    for change in protection.changes:
        writer.write(change)


def _confirms() -> bool:
    question = "Take the consumer secrets out of these files? They are kept nowhere else"
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False
