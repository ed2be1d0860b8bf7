"""``ecapipe explain``: what a problem or rule means, and what to do."""

from __future__ import annotations

from typing import Annotated

import typer

from ecapipe.check.rules.registry import RULES
from ecapipe.cli.commands import with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import CommonFlags, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import nothing_to_explain
from ecapipe.render import json as json_output
from ecapipe.render import listings

SCHEMAS = "json-schema"


@command_flags
class ExplainFlags(CommonFlags):
    """What ``ecapipe explain`` takes."""

    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Name of a problem or rule, as shown in the output.")
    ] = None
    concise: Annotated[bool, typer.Option("--concise", help="Without NAME: print only the names.")] = False


@with_flags(ExplainFlags)
def explain(session: CommandSession, flags: ExplainFlags) -> int:
    """Explain a problem or a rule: what it means, why it matters, and how to fix it. Without NAME, list all.

    ecapipe explain json-schema prints the JSON Schema of all --json output, with each command under $defs.
    """
    rules = list(RULES.values())
    problems = list(CATALOGUE.values())
    if flags.name is None:
        lines = listings.index(rules, problems, flags.length, session.screen)
        return session.finish(lambda: results.Explanations.of(rules, problems), lines)
    if flags.name == SCHEMAS:
        from ecapipe.documents import schemas

        schema = schemas.all_in_one()
        # The lines are JSON without the envelope too: the schema can be redirected to a file as it is.
        return session.finish(lambda: results.Schema(schema=schema), [json_output.dump(schema)])
    return _explain_one(session, flags.name)


def _explain_one(session: CommandSession, name: str) -> int:
    """Explain the rule or problem `name`, in any case; raises `EcapipeError` (UsageError)."""
    rules = {rule.name.casefold(): rule for rule in RULES.values()}
    problems = {problem.name.casefold(): problem for problem in CATALOGUE.values()}
    if rule := rules.get(name.casefold()):
        return session.finish(lambda: results.ExplainedRule.of(rule), listings.rule(rule, session.screen))
    if problem := problems.get(name.casefold()):
        return session.finish(lambda: results.ExplainedProblem.of(problem), listings.problem(problem, session.screen))
    raise EcapipeError(nothing_to_explain(name, [*RULES, *CATALOGUE, SCHEMAS]))
