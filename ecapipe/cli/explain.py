"""``ecapipe explain``: what a problem or rule means, and what to do."""

from __future__ import annotations

import json as json_library
from dataclasses import asdict
from typing import Annotated

import typer

from ecapipe.check.rules.registry import RULES
from ecapipe.check.rules.rule import Rule
from ecapipe.cli import options
from ecapipe.cli.options import AsJson, NoConfigRead, NoProgress, NoPrompt, Verbose
from ecapipe.cli.session import CommandSession
from ecapipe.documents.report import Json
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.problem import EcapipeError, Kind
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
    rules = list(RULES.values())
    problems = list(CATALOGUE.values())
    if name is None:
        everything: Json = {
            "version": 1,
            "rules": [_rule(rule) for rule in rules],
            "problems": [_problem(problem) for problem in problems],
        }
        return session.finish(everything, listings.index(rules, problems, length))
    if name == SCHEMAS:
        schema = _schema()
        # The lines are JSON without the envelope too: the schema can be redirected to a file as it is.
        return session.finish({"version": 1, "kind": SCHEMAS, "schema": schema}, [json_output.dump(schema)])
    return _explain_one(session, name)


def _explain_one(session: CommandSession, name: str) -> int:
    """Explain the rule or problem `name`, in any case; raises `EcapipeError` (UsageError)."""
    for rule in RULES.values():
        if rule.name.casefold() == name.casefold():
            return session.finish({"version": 1, "kind": "rule", **_rule(rule)}, listings.rule(rule))
    for problem in CATALOGUE.values():
        if problem.name.casefold() == name.casefold():
            return session.finish({"version": 1, "kind": "problem", **_problem(problem)}, listings.problem(problem))
    raise EcapipeError(nothing_to_explain(name, [*RULES, *CATALOGUE, SCHEMAS]))


def _rule(rule: Rule) -> Json:
    return {
        "name": rule.name,
        "levels": asdict(rule.levels),
        "means": rule.means,
        "why": rule.why,
        "remedy": rule.remedy,
        "source": rule.source,
    }


def _problem(problem: Kind[...]) -> Json:
    return {
        "name": problem.name,
        "category": problem.category,
        "means": problem.means,
        "remedy": problem.remedy,
        "exitCode": problem.exit_code,
    }


def _schema() -> Json:
    """The schemas that ship in the package, as one document that any result of ecapipe is valid against."""
    from importlib import resources

    files = [file for file in resources.files("ecapipe").joinpath("schemas").iterdir() if file.name.endswith(".json")]
    parts = {file.name.removesuffix(".json"): json_library.loads(file.read_text("utf-8")) for file in files}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:ecapipe:schema:1",
        "title": "What ecapipe prints with --json",
        # What is shared is a part of results, and no result.
        "anyOf": [{"$ref": part["$id"]} for name, part in sorted(parts.items()) if name != "shared"],
        "$defs": dict(sorted(parts.items())),
    }
