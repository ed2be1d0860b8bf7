"""Rules about secrets that others can read, and about apps that let too many in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ecapipe.check.findings import Levels
from ecapipe.check.rules.rule import HELP, guide, project_rule, rule
from ecapipe.check.rules.subject import Evidence, Remark, RuleInput, holds_secret
from ecapipe.problems.git import git_command
from ecapipe.problems.problem import command
from ecapipe.project import metadata
from ecapipe.project.sfdx_project import FILE

_PUSH: Final = ("applePushConfig", "androidPushConfig")
_REVIEW: Final = "Review the change for itself: once it is merged, checks go by it."
_IGNORE: Final = "Add **/*.{0.suffix}-meta.xml to .gitignore."


@rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="A file that holds a consumer secret is tracked by git.",
    why="Everyone who can read the repository, now or later, can use the app's identity. Salesforce says this type "
    "must not be added to source control.",
    remedy="Untrack the file, ignore it, and rotate the secret.",
    source=guide(metadata.SETTINGS),
    needs=("tracked",),
)
def secret_tracked_by_git(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.tracked and holds_secret(file.document):
            yield subject.remark(
                f"git tracks this file, which holds the consumer secret of {subject.app.name}.",
                f"Untrack it: {git_command('rm --cached', file.path)}",
                _IGNORE.format(file.type),
                "Then rotate the secret: what was committed stays in the history.",
                at=file,
                element="consumerSecret",
            )


@rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="The next commit would add a consumer secret: it is in git's index, and not in the last commit.",
    why="What was never committed needs no rotation. This is the last moment.",
    remedy="Take the file out of the index, and ignore it.",
    source=guide(metadata.SETTINGS),
    needs=("staged",),
)
def secret_staged(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.staged:
            yield subject.remark(
                f"The next commit would add the consumer secret of {subject.app.name}.",
                # Other than `git restore`, it knows a repository without a commit.
                f"Take it out of the index: {git_command('reset', file.path)}",
                _IGNORE.format(file.type),
                at=file,
                element="consumerSecret",
            )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="The app's consumer secret stands somewhere in the history of the repository (looked for with --history).",
    why="Whoever has a clone has the secret, whatever the newest commit looks like.",
    remedy="Rotate the secret. Rewriting history does not reach the clones.",
    source=f"{HELP}, Stage, Rotate, and Delete OAuth Credentials",
    needs=("history",),
)
def secret_in_history(subject: RuleInput) -> Iterator[Remark]:
    if paths := subject.evidence.history.get(subject.app.name):
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        yield subject.remark(
            f"The history of the repository holds the consumer secret of {subject.app.name}: "
            f"{', '.join(paths[:3])}{more}.",
            "Rotate the secret: every clone has it, whatever is rewritten.",
            element="consumerSecret",
        )


@rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="A file besides the settings holds the app's consumer secret. Files that git ignores are passed over, and "
    "before a login those of a tree that is in no repository.",
    why="A copy in a script, a workflow or a note is committed, deployed and forgotten.",
    remedy="Remove the value there, read it from the environment, and rotate it if the file was shared.",
    source="CWE-798, Use of Hard-coded Credentials",
    needs=("elsewhere",),
)
def secret_elsewhere_in_tree(subject: RuleInput) -> Iterator[Remark]:
    for sighting in subject.evidence.elsewhere.get(subject.app.name, ()):
        # Not `subject.remark`: it is in a file that is none of the app's.
        yield Remark(
            f"This file holds the consumer secret of {subject.app.name}.",
            ("Remove it there, and read it from the environment.", "Rotate the secret if the file was shared."),
            file=sighting.path,
            line=sighting.line,
            element="consumerSecret",
        )


@rule(
    levels=Levels(login="note", deploy="warning", commit="warning"),
    means="No pattern of .gitignore covers the app's global OAuth settings file. Before a login git is asked only "
    "if a secret is in the tree.",
    why="The next retrieve may bring the secret, and the next commit takes it along.",
    remedy="Add **/*.ecaGlblOauth-meta.xml to .gitignore.",
    source=guide(metadata.SETTINGS),
    needs=("unignored",),
)
def settings_not_gitignored(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.unignored:
            yield subject.remark(
                f"No .gitignore covers the settings of {subject.app.name}: a retrieve may bring the secret, "
                "and a commit take it along.",
                _IGNORE.format(file.type),
                at=file,
            )


@rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="A push settings file that holds a signing key or a service account is tracked by git.",
    why="Whoever can read it can send notifications in the app's name.",
    remedy="Untrack the file, ignore it, and replace the key at Apple or Google.",
    source=guide(metadata.PUSH),
    file_type=metadata.PUSH,
    needs=("tracked",),
)
def push_settings_secret_tracked(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.app.files:
        if file.type is not metadata.PUSH or file.path not in subject.evidence.tracked:
            continue
        element = next((name for name in _PUSH if file.document.first(name)), None)
        if element:
            yield subject.remark(
                f"git tracks this file, which holds the {element} of {subject.app.name}.",
                f"Untrack it: {git_command('rm --cached', file.path)}",
                _IGNORE.format(file.type),
                "Then replace the key at Apple or Google.",
                at=file,
                element=element,
            )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning", mcp="error"),
    means="The file allows the web server flow without PKCE: isPkceRequired is false.",
    why="An authorization code that was overheard can be redeemed by somebody else. Salesforce wants PKCE for hosted "
    "MCP servers. And false may not last: minutes after a deploy an org has been seen to have true again, so that "
    "clients without PKCE failed with missing required code challenge.",
    remedy="Set isPkceRequired to true, and have all clients send a code challenge.",
    source="RFC 9700, section 2.1.1; Salesforce Hosted MCP Servers, Create an External Client App",
)
def pkce_not_required(subject: RuleInput) -> Iterator[Remark]:
    if not subject.app.pkce_required:
        yield subject.remark(
            f"{subject.app.name} allows the web server flow without PKCE. A deploy of false may not last: it has "
            "been seen to turn true again within minutes.",
            "Set isPkceRequired to true, and have all clients send a code challenge.",
            element="isPkceRequired",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="The secret is optional although the client credentials flow is on.",
    why="With that flow the secret is all that proves who asks; an app with it is no public client.",
    remedy="Set isConsumerSecretOptional to false, or make a second app for the public client.",
    source="RFC 6749, section 4.4",
)
def secret_optional_with_client_credentials(subject: RuleInput) -> Iterator[Remark]:
    if subject.app.secret_optional and subject.client_credentials:
        yield subject.remark(
            f"The secret of {subject.app.name} is optional although its client credentials flow is on.",
            "Set isConsumerSecretOptional to false.",
            element="isConsumerSecretOptional",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="The app may ask for the scope full.",
    why="A token with it can do all that its user can.",
    remedy="Name the scopes that are needed, such as Api.",
    source=f"{guide(metadata.OAUTH)}; RFC 9700, section 2.3",
    file_type=metadata.OAUTH,
)
def scope_full(subject: RuleInput) -> Iterator[Remark]:
    if "Full" in (subject.app.scope_names or ()):
        yield subject.remark(
            f"{subject.app.name} may ask for the scope full.",
            "Name the scopes that are needed, such as Api.",
            at=subject.oauth,
            element="commaSeparatedOauthScopes",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="refreshTokenPolicyType is Infinite: refresh tokens are valid until they are revoked, or 30 days unused.",
    why="A token that leaked works for as long as somebody uses it. Salesforce ends those that are idle for 30 days, "
    "whatever the file says: in sandboxes since 21 October 2026, elsewhere since 4 November 2026.",
    remedy="Use SpecificInactivity or SpecificLifetime.",
    source=f"{guide(metadata.OAUTH_POLICIES)}; RFC 9700, section 4.14",
    file_type=metadata.OAUTH_POLICIES,
)
def refresh_token_never_expires(subject: RuleInput) -> Iterator[Remark]:
    yield from _policy(
        subject,
        "refreshTokenPolicyType",
        ("Infinite",),
        sentence="The refresh tokens of {} never expire while they are used.",
        action="Use SpecificInactivity or SpecificLifetime.",
    )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="ipRelaxationPolicyType lets the app's users past the org's IP restrictions.",
    why="A stolen token works from anywhere.",
    remedy="Use Enforce, or Enforce_RelaxRefresh.",
    source=guide(metadata.OAUTH_POLICIES),
    file_type=metadata.OAUTH_POLICIES,
)
def ip_relaxation_bypassed(subject: RuleInput) -> Iterator[Remark]:
    yield from _policy(
        subject,
        "ipRelaxationPolicyType",
        ("Bypass", "Bypass_2factor"),
        sentence="{} lets its users past the org's IP restrictions.",
        action="Use Enforce, or Enforce_RelaxRefresh.",
    )


@rule(
    levels=Levels(login="note", deploy="note", commit="note"),
    means="permittedUsersPolicyType is AllSelfAuthorized: every user of the org may authorize the app.",
    why="Admins see the app only once somebody uses it.",
    remedy="Use AdminApprovedPreAuthorized with a permission set.",
    source=guide(metadata.OAUTH_POLICIES),
    file_type=metadata.OAUTH_POLICIES,
)
def all_users_self_authorized(subject: RuleInput) -> Iterator[Remark]:
    yield from _policy(
        subject,
        "permittedUsersPolicyType",
        ("AllSelfAuthorized",),
        sentence="Every user of the org may authorize {}.",
        action="Use AdminApprovedPreAuthorized with a permission set.",
    )


@rule(
    levels=Levels(login="note"),
    means="Other users of this machine may read a settings file that holds a consumer secret.",
    why="On a shared machine that is everyone.",
    remedy="Take the rights away: chmod 600.",
    source="CWE-732, Incorrect Permission Assignment for Critical Resource",
    needs=("open_to_others",),
)
def file_permissions_open(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.open_to_others:
            yield subject.remark(
                f"Others may read this file, which holds the consumer secret of {subject.app.name}.",
                f"Take the right away: {command('chmod 600', file.path)}",
                at=file,
                element="consumerSecret",
            )


@project_rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="A file cannot be read or is in metadata format, git refuses to read the repository, or the clone has only "
    "a part of what was to be searched. It is a warning at most for a part, and where there is no git program. No "
    "baseline accepts it.",
    why="What was not looked at may hold a secret: that nothing was found there says nothing.",
    remedy="Give ecapipe and git the right to read, and check again. A repository that belongs to somebody else has "
    "to be named in git's safe.directory.",
    source="git-config, safe.directory",
)
def not_examined(evidence: Evidence) -> Iterator[Remark]:
    yield from evidence.unexamined


@project_rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="The tree has another plugins.ecapipe, or another baseline, than the commit that --project-config-from "
    "names. The check went by that commit. Or a folder is no package directory any more, and was not checked.",
    why="Whoever changes what a check goes by can let anything pass, from the next check on.",
    remedy="Have somebody review the change for itself. Once it is merged, checks go by it.",
    source="CWE-807, Reliance on Untrusted Inputs in a Security Decision",
    needs=("changed_config",),
)
def check_config_changed(evidence: Evidence) -> Iterator[Remark]:
    for file in evidence.changed_config:
        changed = "plugins.ecapipe" if file == FILE else "The baseline"
        message = f"{changed} is not what it is at {evidence.config_commit}, which this check went by."
        yield Remark(message, (_REVIEW,), file=file, line=None, element="")
    for directory in evidence.unlisted:
        message = f"{directory} is no package directory, as it is at {evidence.config_commit}: it was not checked."
        if directory == ".":
            message = (
                f"Apps beside the package directories were not checked, as they are at {evidence.config_commit}."
            )
        yield Remark(message, (_REVIEW,), file=FILE, line=None, element=directory)


def _policy(
    subject: RuleInput, element: str, values: tuple[str, ...], *, sentence: str, action: str
) -> Iterator[Remark]:
    """A remark if an element of the OAuth policies has one of `values`."""
    policies = subject.oauth_policies
    if policies and policies.document.text(element) in values:
        yield subject.remark(sentence.format(subject.app.name), action, at=policies, element=element)
