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
from ecapipe.problems.problem import Problem
from ecapipe.project import metadata
from ecapipe.project.apps import App
from ecapipe.project.metadata import Type

OF_APPS: Final[Mapping[str, Callable[[RuleInput], Iterator[Remark]]]] = {
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
"""The type of file that a rule is about: it has nothing to say of an app without one, and is not asked."""

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
"""The member of `Evidence` that a rule goes by: while it is empty, the rule is not asked."""

OF_FILES: Final[Mapping[str, str]] = {
    "WrongRoot": "wrong-root",
    "SuffixMisspelt": "suffix-misspelt",
    "VariableReserved": "variable-reserved",
}
"""The rules about files that could not be read, or used, by problem; any other problem is malformed-xml."""


def active(purpose: Purpose, chosen: Mapping[str, Level | None]) -> dict[str, Level]:
    """The rules that speak, with their levels: those `chosen` by the project (None: off), else the table's."""
    levels = {name: chosen[name] if name in chosen else rule.levels.of(purpose) for name, rule in RULES.items()}
    return {name: level for name, level in levels.items() if level is not None}


def check(
    apps: Sequence[App],
    proven: Sequence[Resolution],
    unreadable: Sequence[Problem],
    evidence: Evidence,
    chosen: Mapping[str, Level | None],
) -> list[Finding]:
    """All findings of one project, by path and line."""
    levels = active(evidence.purpose, chosen)
    found = []
    for problem in unreadable:
        name = OF_FILES.get(problem.name, "malformed-xml")
        if name in levels:
            place = Remark(problem.message, problem.actions, problem.file, problem.line, "")
            found.append(_finding(name, levels[name], None, place, evidence.root))
    if NOT_EXAMINED in levels:
        level = levels[NOT_EXAMINED]
        found += [_finding(NOT_EXAMINED, level, None, each, evidence.root) for each in evidence.unexamined]
    useful = [
        name for name in OF_APPS if name in levels and (name not in GOES_BY or getattr(evidence, GOES_BY[name]))
    ]
    rules: dict[frozenset[Type], list[tuple[str, Callable[[RuleInput], Iterator[Remark]]]]] = {}
    for app, resolved in zip(apps, proven, strict=True):
        subject = RuleInput.of(app, resolved, evidence)
        if app.types not in rules:
            asked = [name for name in useful if name not in ABOUT or ABOUT[name] in app.types]
            rules[app.types] = [(name, OF_APPS[name]) for name in asked]
        for name, rule in rules[app.types]:
            for remark in rule(subject):
                # A level that the project chose is meant for all cases of the rule.
                told = replace(remark, at_most=None) if name in chosen else remark
                found.append(_finding(name, levels[name], app.name, told, evidence.root))
    return sorted(found, key=lambda finding: (finding.file or "", finding.line or 0, finding.app or "", finding.rule))


def _finding(rule: str, level: Level, app: str | None, remark: Remark, project: str) -> Finding:
    return Finding(
        rule,
        milder(level, remark.at_most) if remark.at_most else level,
        remark.message,
        app,
        remark.file,
        remark.line,
        remark.actions,
        remark.element,
        project=project,
    )
