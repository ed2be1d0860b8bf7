"""All rules, and how they are applied to a project."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ecapipe.check.findings import LEVELS, NOT_EXAMINED, Finding, Level, Purpose, milder
from ecapipe.check.rules import credentials, dated, deploy, exposure, mcp, structure, values
from ecapipe.check.rules.rule import AppCheck, Rule
from ecapipe.check.rules.subject import Evidence, Need, Remark, RuleInput
from ecapipe.credentials.resolution import Resolution
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import schema_validation_error
from ecapipe.problems.usage import bug
from ecapipe.project.apps import App
from ecapipe.project.metadata import Type
from ecapipe.project.sfdx_project import FILE
from ecapipe.secret import without_shapes

MODULES: Final = (credentials, structure, deploy, values, exposure, dated, mcp)

RULES: Final[Mapping[str, Rule]] = {
    rule.name: rule for module in MODULES for rule in vars(module).values() if isinstance(rule, Rule)
}
"""Every rule, in the order in which they are listed."""


def parse_levels(settings: Mapping[str, object]) -> dict[str, Level | None]:
    """The levels that ``plugins.ecapipe.rules`` gives to rules; None is off.

    Raises `EcapipeError` (SchemaValidationError) for a rule or a level that does not exist.
    """
    # A misspelt rule would switch nothing off, or nothing on, and nobody would know.
    known: dict[object, Level | None] = {"off": None} | {level: level for level in LEVELS}
    for name, value in settings.items():
        if name not in RULES:
            reason = f"plugins.ecapipe.rules.{name} is not a rule (ecapipe explain lists them)"
            raise EcapipeError(schema_validation_error(FILE, reason))
        if not isinstance(value, str) or value not in known:
            reason = f"plugins.ecapipe.rules.{name} must be one of off, note, warning, error"
            raise EcapipeError(schema_validation_error(FILE, reason))
    return {name: known[value] for name, value in settings.items()}


def active(purpose: Purpose, overrides: Mapping[str, Level | None]) -> dict[str, Level]:
    """The rules that are not silent, with their levels: the project's `overrides` (None: off), else their own."""
    levels = {name: overrides.get(name, rule.levels.of(purpose)) for name, rule in RULES.items()}
    return {name: level for name, level in levels.items() if level is not None}


def needs(rules: Collection[str]) -> frozenset[Need]:
    """The evidence that these rules need."""
    return frozenset(need for name in rules for need in RULES[name].needs)


def check(
    apps: Sequence[App],
    resolutions: Sequence[Resolution],
    evidence: Evidence,
    overrides: Mapping[str, Level | None],
) -> list[Finding]:
    """All findings of one project, by path and line."""
    levels = active(evidence.purpose, overrides)
    findings = [
        *_project_findings(evidence, levels),
        *_app_findings(apps, resolutions, evidence, levels, overrides),
    ]
    return sorted(findings, key=lambda each: (each.file or "", each.line or 0, each.app or "", each.rule))


def _project_findings(evidence: Evidence, levels: Mapping[str, Level]) -> Iterator[Finding]:
    """The findings about a project as a whole."""
    for name, level in levels.items():
        check = RULES[name].check_project
        if check is not None:
            for remark in check(evidence):
                yield _finding(name, level, None, remark, evidence.root)


def _app_findings(
    apps: Sequence[App],
    resolutions: Sequence[Resolution],
    evidence: Evidence,
    levels: Mapping[str, Level],
    overrides: Mapping[str, Level | None],
) -> Iterator[Finding]:
    """The findings of the rules about apps."""
    candidates = [rule for name in levels if (rule := RULES[name]).concerns(evidence)]
    # By the types of an app's files: thousands of apps have the same few combinations.
    by_types: dict[frozenset[Type], list[tuple[str, AppCheck]]] = {}
    for app, resolution in zip(apps, resolutions, strict=True):
        if app.types not in by_types:
            by_types[app.types] = [
                (rule.name, rule.check_app)
                for rule in candidates
                if rule.check_app and (rule.file_type is None or rule.file_type in app.types)
            ]
        try:
            subject = RuleInput.of(app, resolution, evidence)
            for name, check in by_types[app.types]:
                for remark in check(subject):
                    # A level that the project sets is for all cases of the rule, the milder ones too.
                    if name in overrides:
                        remark = replace(remark, at_most=None)
                    yield _finding(name, levels[name], app.name, remark, evidence.root)
        except Exception as error:
            yield _bug(error, app, evidence.root)


def _bug(error: Exception, app: App, project: str) -> Finding:
    """An app that some rule fell over, which the others are not to pay for. An error, whatever the project says of
    rules: what would have come of the rest is not known."""
    problem = bug(error)
    remark = Remark(
        problem.message,
        problem.actions,
        file=next((file.path for file in app.files), None),
        line=None,
        element=app.name,
    )
    return _finding(NOT_EXAMINED, "error", app.name, remark, project)


def _finding(rule: str, level: Level, app: str | None, remark: Remark, project: str) -> Finding:
    if remark.at_most:
        level = milder(level, remark.at_most)
    return Finding(
        rule=rule,
        level=level,
        # Findings quote values, and somebody may have pasted a token where a word belongs.
        message=without_shapes(remark.message),
        app=app,
        file=remark.file,
        line=remark.line,
        actions=remark.actions,
        element=remark.element,
        project=project,
    )
