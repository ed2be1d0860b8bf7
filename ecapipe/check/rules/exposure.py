"""Rules about secrets that others can read, and about apps that let too many in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ecapipe.check.findings import Levels
from ecapipe.check.rules.rule import HELP, guide, project_rule, rule
from ecapipe.check.rules.subject import Evidence, Remark, RuleInput
from ecapipe.problems.git import git_command
from ecapipe.problems.problem import command
from ecapipe.project import metadata
from ecapipe.project.sfdx_project import FILE

_PUSH: Final = ("applePushConfig", "androidPushConfig")
_REVIEW: Final = "Review this change separately: once it is merged, checks use it."
_IGNORE: Final = "Add **/*.{0.suffix}-meta.xml to .gitignore."


def _strays(evidence: Evidence) -> Iterator[Remark]:
    sighted = {each.path for sightings in evidence.elsewhere.values() for each in sightings}
    for path in evidence.strays:
        if path in sighted:  # a copy, for which there is a rule of its own
            continue
        yield Remark(
            "git tracks a consumer secret in this file, which is not the settings file of an app here.",
            (
                f"Untrack it: {git_command('rm --cached', path)}",
                "Then rotate the secret: committed values remain in the history.",
            ),
            file=path,
            line=None,
            element="consumerSecret",
        )


def _stray_pushes(evidence: Evidence) -> Iterator[Remark]:
    for path in evidence.stray_pushes:
        yield Remark(
            "git tracks a signing key or a service account in this file, which belongs to no app here.",
            (f"Untrack it: {git_command('rm --cached', path)}", "Then replace the key at Apple or Google."),
            file=path,
            line=None,
            element="push",
        )


@rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="A settings file that holds a consumer secret, or a copy of one, is tracked by git. Before a commit and a "
    "deploy, so is any file with a generated secret in a consumerSecret element.",
    why="Anyone who can read the repository, now or later, can act as the app. Salesforce says not to add this type "
    "to source control.",
    remedy="Untrack the file, add it to .gitignore, and rotate the secret.",
    source=guide(metadata.SETTINGS),
    needs=("exposed",),
    check_project=_strays,
)
def secret_tracked_by_git(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.exposed:
            yield subject.remark(
                f"git tracks the consumer secret of {subject.app.name} in this file.",
                f"Untrack it: {git_command('rm --cached', file.path)}",
                _IGNORE.format(file.type),
                "Then rotate the secret: committed values remain in the history.",
                at=file,
                element="consumerSecret",
            )


@rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="The next commit would add a consumer secret: it is staged, and not in the last commit.",
    why="A secret that was never committed needs no rotation. After the commit, it does.",
    remedy="Unstage the file, and add it to .gitignore.",
    source=guide(metadata.SETTINGS),
    needs=("staged",),
)
def secret_staged(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.staged:
            yield subject.remark(
                f"The next commit would add the consumer secret of {subject.app.name}.",
                # Other than `git restore`, it knows a repository without a commit.
                f"Unstage it: {git_command('reset', file.path)}",
                _IGNORE.format(file.type),
                at=file,
                element="consumerSecret",
            )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="The app's consumer secret appears in the history of the repository (searched with --history).",
    why="Every clone contains the secret, even if the newest commit doesn't.",
    remedy="Rotate the secret. Rewriting the history doesn't change existing clones.",
    source=f"{HELP}, Stage, Rotate, and Delete OAuth Credentials",
    needs=("history",),
)
def secret_in_history(subject: RuleInput) -> Iterator[Remark]:
    if paths := subject.evidence.history.get(subject.app.name):
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        yield subject.remark(
            f"The git history contains the consumer secret of {subject.app.name}: {', '.join(paths[:3])}{more}.",
            "Rotate the secret: rewriting the history doesn't change existing clones.",
            element="consumerSecret",
        )


@rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="A file other than the settings holds the app's consumer secret. Files that git ignores "
    "are skipped; before a login, so is a project outside a repository.",
    why="A copy in a script, a workflow or a note is easily committed, deployed and overlooked.",
    remedy="Remove the value, read it from the environment instead, and rotate it if the file was shared.",
    source="CWE-798, Use of Hard-coded Credentials",
    needs=("elsewhere",),
)
def secret_elsewhere_in_tree(subject: RuleInput) -> Iterator[Remark]:
    for sighting in subject.evidence.elsewhere.get(subject.app.name, ()):
        # Not `subject.remark`: it is in a file that is none of the app's.
        yield Remark(
            f"This file holds the consumer secret of {subject.app.name}.",
            ("Remove it, and read it from the environment instead.", "Rotate the secret if the file was shared."),
            file=sighting.path,
            line=sighting.line,
            element="consumerSecret",
        )


@rule(
    levels=Levels(login="note", deploy="warning", commit="warning"),
    means="No .gitignore pattern covers the app's global OAuth settings file. Before a login, git "
    "is checked only if the project contains a secret.",
    why="The next retrieve may include the secret, and the next commit then adds it.",
    remedy="Add **/*.ecaGlblOauth-meta.xml to .gitignore.",
    source=guide(metadata.SETTINGS),
    needs=("unignored",),
)
def settings_not_gitignored(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.unignored:
            yield subject.remark(
                f"No .gitignore pattern covers the settings file of {subject.app.name}: after a retrieve, "
                "a commit may add the secret.",
                _IGNORE.format(file.type),
                at=file,
            )


@rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="A push settings file with a signing key or a service account is tracked by git.",
    why="Anyone who can read it can send notifications as the app.",
    remedy="Untrack the file, add it to .gitignore, and replace the key at Apple or Google.",
    source=guide(metadata.PUSH),
    file_type=metadata.PUSH,
    needs=("exposed",),
    check_project=_stray_pushes,
)
def push_settings_secret_tracked(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.app.files:
        if file.type is metadata.PUSH and file.path in subject.evidence.exposed:
            # None where only git has it.
            element = next((name for name in _PUSH if file.document.first(name)), None)
            yield subject.remark(
                f"git tracks the {element or 'push key'} of {subject.app.name} in this file.",
                f"Untrack it: {git_command('rm --cached', file.path)}",
                _IGNORE.format(file.type),
                "Then replace the key at Apple or Google.",
                at=file,
                element=element or "",
            )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning", mcp="error"),
    means="The file allows the web server flow without PKCE: isPkceRequired is false.",
    why="An attacker can exchange an intercepted authorization code for a token. Hosted MCP "
    "servers require PKCE. Also, false may not last: an org has been seen to reset it to true "
    'minutes after a deploy, and clients without PKCE failed with "missing required code '
    'challenge".',
    remedy="Set isPkceRequired to true, and have all clients send a code challenge.",
    source="RFC 9700, section 2.1.1; Salesforce Hosted MCP Servers, Create an External Client App",
)
def pkce_not_required(subject: RuleInput) -> Iterator[Remark]:
    if not subject.app.pkce_required:
        yield subject.remark(
            f"{subject.app.name} allows the web server flow without PKCE. The setting may not last: an "
            "org has been seen to reset it within minutes after a deploy.",
            "Set isPkceRequired to true, and have all clients send a code challenge.",
            element="isPkceRequired",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="The secret is optional, but the client credentials flow is enabled.",
    why="In that flow, the secret alone authenticates the client, so the app can't be a public client.",
    remedy="Set isConsumerSecretOptional to false, or create a separate app for the public client.",
    source="RFC 6749, section 4.4",
)
def secret_optional_with_client_credentials(subject: RuleInput) -> Iterator[Remark]:
    if subject.app.secret_optional and subject.client_credentials:
        yield subject.remark(
            f"The secret of {subject.app.name} is optional, but its client credentials flow is enabled.",
            "Set isConsumerSecretOptional to false.",
            element="isConsumerSecretOptional",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="The app can request the full scope.",
    why="A token with this scope can do everything that its user can.",
    remedy="List only the scopes that the app needs, such as Api.",
    source=f"{guide(metadata.OAUTH)}; RFC 9700, section 2.3",
    file_type=metadata.OAUTH,
)
def scope_full(subject: RuleInput) -> Iterator[Remark]:
    if "Full" in (subject.app.scope_names or ()):
        yield subject.remark(
            f"{subject.app.name} can request the full scope.",
            "List only the scopes that the app needs, such as Api.",
            at=subject.oauth,
            element="commaSeparatedOauthScopes",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="refreshTokenPolicyType is Infinite: refresh tokens stay valid until they are revoked or idle for 30 days.",
    why="A leaked token works for as long as it is used. Salesforce expires tokens that are idle "
    "for 30 days, regardless of this policy: in sandboxes since 21 October 2026, elsewhere "
    "since 4 November 2026.",
    remedy="Set refreshTokenPolicyType to SpecificInactivity or SpecificLifetime.",
    source=f"{guide(metadata.OAUTH_POLICIES)}; RFC 9700, section 4.14",
    file_type=metadata.OAUTH_POLICIES,
)
def refresh_token_never_expires(subject: RuleInput) -> Iterator[Remark]:
    yield from _policy(
        subject,
        "refreshTokenPolicyType",
        ("Infinite",),
        sentence="The refresh tokens of {} don't expire as long as they are used.",
        action="Set refreshTokenPolicyType to SpecificInactivity or SpecificLifetime.",
    )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="ipRelaxationPolicyType lets the app's users bypass the org's IP restrictions.",
    why="A stolen token works from anywhere.",
    remedy="Set ipRelaxationPolicyType to Enforce or Enforce_RelaxRefresh.",
    source=guide(metadata.OAUTH_POLICIES),
    file_type=metadata.OAUTH_POLICIES,
)
def ip_relaxation_bypassed(subject: RuleInput) -> Iterator[Remark]:
    yield from _policy(
        subject,
        "ipRelaxationPolicyType",
        ("Bypass", "Bypass_2factor"),
        sentence="{} lets its users bypass the org's IP restrictions.",
        action="Set ipRelaxationPolicyType to Enforce or Enforce_RelaxRefresh.",
    )


@rule(
    levels=Levels(login="note", deploy="note", commit="note"),
    means="permittedUsersPolicyType is AllSelfAuthorized: every user in the org can authorize the app.",
    why="Admins don't control who uses the app, and see it only after its first use.",
    remedy="Set permittedUsersPolicyType to AdminApprovedPreAuthorized, and assign a permission set.",
    source=guide(metadata.OAUTH_POLICIES),
    file_type=metadata.OAUTH_POLICIES,
)
def all_users_self_authorized(subject: RuleInput) -> Iterator[Remark]:
    yield from _policy(
        subject,
        "permittedUsersPolicyType",
        ("AllSelfAuthorized",),
        sentence="Every user in the org can authorize {}.",
        action="Set permittedUsersPolicyType to AdminApprovedPreAuthorized, and assign a permission set.",
    )


@rule(
    levels=Levels(login="note"),
    means="Other users of this machine can read a settings file that holds a consumer secret.",
    why="On a shared machine, every user can read the secret.",
    remedy="Restrict the permissions: chmod 600.",
    source="CWE-732, Incorrect Permission Assignment for Critical Resource",
    needs=("open_to_others",),
)
def file_permissions_open(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.open_to_others:
            yield subject.remark(
                f"Other users can read the consumer secret of {subject.app.name} in this file.",
                f"Restrict the permissions: {command('chmod 600', file.path)}",
                at=file,
                element="consumerSecret",
            )


@project_rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="A file can't be read or is in metadata format, git refuses to read the repository, or the clone lacks "
    "some of the contents to search. At most a warning for an incomplete clone, and if git isn't installed. A "
    "baseline can't accept it.",
    why="What wasn't examined may hold a secret, so an empty result doesn't mean that there is none.",
    remedy="Give ecapipe and git read permission, and check again. If the repository belongs to another user, add it "
    "to git's safe.directory.",
    source="git-config, safe.directory",
)
def not_examined(evidence: Evidence) -> Iterator[Remark]:
    yield from evidence.unexamined


@project_rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="plugins.ecapipe or the baseline differs from the commit given with --project-config-from. The check used "
    "that commit. Or a folder is no longer a package directory, and wasn't checked.",
    why="A change to the configuration of a check can make later checks pass anything.",
    remedy="Have the change reviewed separately. Once it is merged, checks use it.",
    source="CWE-807, Reliance on Untrusted Inputs in a Security Decision",
    needs=("changed_config",),
)
def check_config_changed(evidence: Evidence) -> Iterator[Remark]:
    for file in evidence.changed_config:
        changed = "plugins.ecapipe" if file == FILE else "The baseline"
        message = f"{changed} differs from {evidence.config_commit}, which this check used."
        yield Remark(message, (_REVIEW,), file=file, line=None, element="")
    for directory in evidence.unlisted:
        message = f"{directory} was not checked: it is no longer a package directory, as at {evidence.config_commit}."
        if directory == ".":
            message = (
                f"Apps outside the package directories were not checked, as they are at {evidence.config_commit}."
            )
        yield Remark(message, (_REVIEW,), file=FILE, line=None, element=directory)


def _policy(
    subject: RuleInput, element: str, values: tuple[str, ...], *, sentence: str, action: str
) -> Iterator[Remark]:
    """A remark if an element of the OAuth policies has one of `values`."""
    policies = subject.oauth_policies
    if policies and policies.document.text(element) in values:
        yield subject.remark(sentence.format(subject.app.name), action, at=policies, element=element)
