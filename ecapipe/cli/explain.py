"""``ecapipe explain``: what a problem or rule means, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from ecapipe import findings, problems
from ecapipe.cli.options import AsJson
from ecapipe.cli.session import Session
from ecapipe.problems import EcapipeError
from ecapipe.render import plain
from ecapipe.report import Json

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A problem or rule, as output names it.")]


def explain(context: typer.Context, name: Name = None, json: AsJson = False) -> int:
    """Explain a problem or a rule: what it means, why it matters, what to do. Without NAME, list them all."""
    session: Session = context.obj
    rules = list(findings.RULES.values())
    known = list(problems.CATALOGUE.values())
    if name is None:
        everything: Json = {"version": 1, "rules": [asdict(r) for r in rules], "problems": [asdict(p) for p in known]}
        return session.finish(everything, plain.index(rules, known))
    result, lines = _one(name)
    return session.finish(result, lines)


def _one(name: str) -> tuple[Json, Iterator[str]]:
    for rule in findings.RULES.values():
        if rule.name.casefold() == name.casefold():
            return {"version": 1, "kind": "rule", **asdict(rule)}, plain.rule(rule)
    for problem in problems.CATALOGUE.values():
        if problem.name.casefold() == name.casefold():
            return {"version": 1, "kind": "problem", **asdict(problem)}, plain.problem(problem)
    raise EcapipeError(problems.nothing_to_explain(name, [*findings.RULES, *problems.CATALOGUE]))
