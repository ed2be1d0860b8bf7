"""Rules over external client apps; every rule is registered here, under the name it has in
`ecapipe.check.findings`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ecapipe.check.findings import NOT_EXAMINED, RULES, Finding, Level, Purpose, milder
from ecapipe.check.rules import credentials, deploy, exposure, structure
from ecapipe.check.rules.subject import Evidence, Remark, RuleInput
from ecapipe.credentials.resolution import Resolution
from ecapipe.problems.problem import Kind, Problem
from ecapipe.problems.project import suffix_misspelt, variable_reserved, wrong_root
from ecapipe.project import metadata
from ecapipe.project.apps import App
from ecapipe.project.metadata import Type

AppRule = Callable[[RuleInput], Iterator[Remark]]
"""A rule about an app: a remark for each place where it does not hold."""

# Most rules have nothing to say of most apps. The two tables after this one spare the call, which decides how long
# a check of thousands of apps takes; a rule that is in neither is called for every app.
OF_APPS: Final[Mapping[str, AppRule]] = {
    rule.__name__.replace("_", "-"): rule
    for rule in (
        credentials.consumer_key_missing,
        credentials.consumer_secret_missing,
        credentials.credential_placeholder,
        credentials.credential_duplicated,
        credentials.replacement_unresolved,
        credentials.variable_reserved,
        credentials.credential_sources_mixed,
        credentials.secret_not_needed,
        credentials.credential_shape,
        credentials.same_key_in_two_apps,
        structure.settings_missing,
        structure.settings_duplicated,
        structure.settings_orphaned,
        structure.app_header_missing,
        structure.oauth_settings_missing,
        structure.policies_missing,
        structure.namespace_mismatch,
        structure.callback_missing,
        structure.callback_invalid,
        structure.callback_insecure,
        structure.callback_too_long,
        structure.label_missing,
        structure.settings_forceignored,
        deploy.rotates_on_deploy,
        deploy.certificate_dropped,
        deploy.oauth_link_foreign,
        deploy.oauth_link_stale,
        deploy.org_scoped_app_foreign,
        deploy.app_disabled,
        deploy.oauth_plugin_disabled,
        deploy.client_credentials_half_enabled,
        deploy.run_as_user_missing,
        deploy.jwt_without_certificate,
        deploy.key_deployed_to_other_org,
        deploy.unknown_element,
        exposure.secret_tracked_by_git,
        exposure.secret_staged,
        exposure.secret_in_history,
        exposure.secret_elsewhere_in_tree,
        exposure.settings_not_gitignored,
        exposure.push_settings_secret_tracked,
        exposure.pkce_not_required,
        exposure.secret_optional_with_client_credentials,
        exposure.scope_full,
        exposure.refresh_token_never_expires,
        exposure.ip_relaxation_bypassed,
        exposure.all_users_self_authorized,
        exposure.file_permissions_open,
    )
}
"""The rules about apps, by name."""

ABOUT: Final[Mapping[str, Type]] = {
    "policies-missing": metadata.OAUTH,
    "oauth-link-foreign": metadata.OAUTH,
    "oauth-link-stale": metadata.OAUTH,
    "org-scoped-app-foreign": metadata.HEADER,
    "app-disabled": metadata.POLICIES,
    "oauth-plugin-disabled": metadata.POLICIES,
    "client-credentials-half-enabled": metadata.OAUTH_POLICIES,
    "run-as-user-missing": metadata.OAUTH_POLICIES,
    "push-settings-secret-tracked": metadata.PUSH,
    "scope-full": metadata.OAUTH,
    "refresh-token-never-expires": metadata.OAUTH_POLICIES,
    "ip-relaxation-bypassed": metadata.OAUTH_POLICIES,
    "all-users-self-authorized": metadata.OAUTH_POLICIES,
}
"""The type of file that a rule is about: it has nothing to say of an app without one, and is not called."""

GOES_BY: Final[Mapping[str, str]] = {
    "jwt-without-certificate": "jwt",
    "secret-tracked-by-git": "tracked",
    "secret-staged": "staged",
    "secret-in-history": "history",
    "secret-elsewhere-in-tree": "elsewhere",
    "settings-not-gitignored": "unignored",
    "push-settings-secret-tracked": "tracked",
    "file-permissions-open": "open_to_others",
}
"""The member of `Evidence` that a rule goes by: while it is empty, the rule is not called."""

OF_FILES: Final[Mapping[Kind[...] | None, str]] = {
    wrong_root: "wrong-root",
    suffix_misspelt: "suffix-misspelt",
    variable_reserved: "variable-reserved",
}
"""The rules about files that could not be read, or used, by problem; any other problem is malformed-xml."""


def active(purpose: Purpose, overrides: Mapping[str, Level | None]) -> dict[str, Level]:
    """The rules that are not silent, with their levels: the project's `overrides` (None: off), else their own."""
    levels = {name: overrides.get(name, rule.levels.of(purpose)) for name, rule in RULES.items()}
    return {name: level for name, level in levels.items() if level is not None}


def check(
    apps: Sequence[App],
    resolutions: Sequence[Resolution],
    unreadable: Sequence[Problem],
    evidence: Evidence,
    overrides: Mapping[str, Level | None],
) -> list[Finding]:
    """All findings of one project, by path and line."""
    levels = active(evidence.purpose, overrides)
    findings = [
        *_file_findings(unreadable, levels, evidence.root),
        *_unexamined_findings(levels, evidence),
        *_app_findings(apps, resolutions, evidence, levels, overrides),
    ]
    return sorted(findings, key=lambda each: (each.file or "", each.line or 0, each.app or "", each.rule))


def _file_findings(problems: Sequence[Problem], levels: Mapping[str, Level], root: str) -> Iterator[Finding]:
    """The findings about files that could not be read, or used."""
    for problem in problems:
        rule = OF_FILES.get(problem.kind, "malformed-xml")
        if rule in levels:
            remark = Remark(problem.message, problem.actions, file=problem.file, line=problem.line, element="")
            yield _finding(rule, levels[rule], None, remark, root)


def _unexamined_findings(levels: Mapping[str, Level], evidence: Evidence) -> Iterator[Finding]:
    """The findings about what could not be looked at."""
    level = levels.get(NOT_EXAMINED)
    if level is not None:
        for remark in evidence.unexamined:
            yield _finding(NOT_EXAMINED, level, None, remark, evidence.root)


def _app_findings(
    apps: Sequence[App],
    resolutions: Sequence[Resolution],
    evidence: Evidence,
    levels: Mapping[str, Level],
    overrides: Mapping[str, Level | None],
) -> Iterator[Finding]:
    """The findings of the rules about apps."""
    candidates = [name for name in OF_APPS if name in levels and _has_evidence(name, evidence)]
    # By the types of an app's files: thousands of apps have the same few combinations.
    by_types: dict[frozenset[Type], list[tuple[str, AppRule]]] = {}
    for app, resolution in zip(apps, resolutions, strict=True):
        if app.types not in by_types:
            names = [name for name in candidates if name not in ABOUT or ABOUT[name] in app.types]
            by_types[app.types] = [(name, OF_APPS[name]) for name in names]
        subject = RuleInput.of(app, resolution, evidence)
        for name, rule in by_types[app.types]:
            for remark in rule(subject):
                # A level that the project sets is for all cases of the rule, the milder ones too.
                if name in overrides:
                    remark = replace(remark, at_most=None)
                yield _finding(name, levels[name], app.name, remark, evidence.root)


def _has_evidence(rule: str, evidence: Evidence) -> bool:
    """Whether there is anything that the rule could find something by."""
    return rule not in GOES_BY or bool(getattr(evidence, GOES_BY[rule]))


def _finding(rule: str, level: Level, app: str | None, remark: Remark, project: str) -> Finding:
    if remark.at_most:
        level = milder(level, remark.at_most)
    return Finding(
        rule=rule,
        level=level,
        message=remark.message,
        app=app,
        file=remark.file,
        line=remark.line,
        actions=remark.actions,
        element=remark.element,
        project=project,
    )
