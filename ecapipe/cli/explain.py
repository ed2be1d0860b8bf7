"""``ecapipe explain``: what a problem or rule means, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from ecapipe.check import findings
from ecapipe.cli import options
from ecapipe.cli.documents import results
from ecapipe.cli.options import AsJson, NoConfigRead, NoProgress, NoPrompt, Verbose
from ecapipe.cli.session import CommandSession
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import nothing_to_explain
from ecapipe.render import json as json_output
from ecapipe.render import listings

SCHEMAS = "json-schema"

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A problem or rule, as output names it.")]


def explain(
    context: typer.Context,
    name: Name = None,
    concise: Annotated[bool, typer.Option("--concise", help="Without NAME: print the names only.")] = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: NoPrompt = False,
    no_project_config: NoConfigRead = False,
    json: AsJson = False,
) -> int:
    """Explain a problem or a rule: what it means, why it matters, what to do. Without NAME, list them all.

    With the name json-schema: print the JSON Schema of everything that --json prints, of each command by its name
    under $defs.
    """
    session: CommandSession = context.obj
    length = options.length(concise, verbose, "ecapipe explain")
    rules = list(findings.RULES.values())
    problems = list(CATALOGUE.values())
    if name is None:
        lines = listings.index(rules, problems, length)
        return session.finish(lambda: results.Explanations.of(rules, problems), lines)
    if name == SCHEMAS:
        from ecapipe.documents import schemas

        schema = schemas.all_in_one()
        # The lines are JSON without the envelope too: the schema can be redirected to a file as it is.
        return session.finish(lambda: results.Schema(schema=schema), [json_output.dump(schema)])
    return _explain_one(session, name)


def _explain_one(session: CommandSession, name: str) -> int:
    """Explain the rule or problem `name`, in any case; raises `EcapipeError` (UsageError)."""
    rules = {rule.name.casefold(): rule for rule in findings.RULES.values()}
    problems = {problem.name.casefold(): problem for problem in CATALOGUE.values()}
    if rule := rules.get(name.casefold()):
        return session.finish(lambda: results.ExplainedRule.of(rule), listings.rule(rule))
    if problem := problems.get(name.casefold()):
        return session.finish(lambda: results.ExplainedProblem.of(problem), listings.problem(problem))
    raise EcapipeError(nothing_to_explain(name, [*findings.RULES, *CATALOGUE, SCHEMAS]))
