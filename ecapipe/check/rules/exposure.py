"""Rules about secrets that others can read, and about apps that let too many in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ecapipe.check.rules.subject import Remark, RuleInput, holds_secret
from ecapipe.project import metadata

_PUSH: Final = ("applePushConfig", "androidPushConfig")
_IGNORE: Final = "Add **/*.{0.suffix}-meta.xml to .gitignore."


def secret_tracked_by_git(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.tracked and holds_secret(file.document):
            yield subject.remark(
                f"git tracks this file, which holds the consumer secret of {subject.app.name}.",
                f'Untrack it: git rm --cached "{file.path}"',
                _IGNORE.format(file.type),
                "Then rotate the secret: what was committed stays in the history.",
                at=file,
                element="consumerSecret",
            )


def secret_staged(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.staged:
            yield subject.remark(
                f"The next commit would add the consumer secret of {subject.app.name}.",
                f'Take it out of the index: git restore --staged "{file.path}"',
                _IGNORE.format(file.type),
                at=file,
                element="consumerSecret",
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


def settings_not_gitignored(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.unignored:
            yield subject.remark(
                f"No .gitignore covers the settings of {subject.app.name}: a retrieve may bring the secret, "
                "and a commit take it along.",
                _IGNORE.format(file.type),
                at=file,
            )


def push_settings_secret_tracked(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.app.files:
        if file.type is not metadata.PUSH or file.path not in subject.evidence.tracked:
            continue
        element = next((name for name in _PUSH if file.document.first(name)), None)
        if element:
            yield subject.remark(
                f"git tracks this file, which holds the {element} of {subject.app.name}.",
                f'Untrack it: git rm --cached "{file.path}"',
                _IGNORE.format(file.type),
                "Then replace the key at Apple or Google.",
                at=file,
                element=element,
            )


def pkce_not_required(subject: RuleInput) -> Iterator[Remark]:
    if not subject.app.pkce_required:
        yield subject.remark(
            f"{subject.app.name} allows the web server flow without PKCE.",
            "Set isPkceRequired to true.",
            element="isPkceRequired",
        )


def secret_optional_with_client_credentials(subject: RuleInput) -> Iterator[Remark]:
    if subject.app.secret_optional and subject.client_credentials:
        yield subject.remark(
            f"The secret of {subject.app.name} is optional although its client credentials flow is on.",
            "Set isConsumerSecretOptional to false.",
            element="isConsumerSecretOptional",
        )


def scope_full(subject: RuleInput) -> Iterator[Remark]:
    if "Full" in (subject.app.scope_names or ()):
        yield subject.remark(
            f"{subject.app.name} may ask for the scope full.",
            "Name the scopes that are needed, such as Api.",
            at=subject.oauth,
            element="commaSeparatedOauthScopes",
        )


def refresh_token_never_expires(subject: RuleInput) -> Iterator[Remark]:
    yield from _policy(
        subject,
        "refreshTokenPolicyType",
        ("Infinite",),
        sentence="The refresh tokens of {} never expire.",
        action="Use SpecificInactivity or SpecificLifetime.",
    )


def ip_relaxation_bypassed(subject: RuleInput) -> Iterator[Remark]:
    yield from _policy(
        subject,
        "ipRelaxationPolicyType",
        ("Bypass", "Bypass_2factor"),
        sentence="{} lets its users past the org's IP restrictions.",
        action="Use Enforce, or Enforce_RelaxRefresh.",
    )


def all_users_self_authorized(subject: RuleInput) -> Iterator[Remark]:
    yield from _policy(
        subject,
        "permittedUsersPolicyType",
        ("AllSelfAuthorized",),
        sentence="Every user of the org may authorize {}.",
        action="Use AdminApprovedPreAuthorized with a permission set.",
    )


def file_permissions_open(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.open_to_others:
            yield subject.remark(
                f"Others may read this file, which holds the consumer secret of {subject.app.name}.",
                f'Take the right away: chmod 600 "{file.path}"',
                at=file,
                element="consumerSecret",
            )


def _policy(
    subject: RuleInput, element: str, values: tuple[str, ...], *, sentence: str, action: str
) -> Iterator[Remark]:
    """A remark if an element of the OAuth policies has one of `values`."""
    policies = subject.oauth_policies
    if policies and policies.document.text(element) in values:
        yield subject.remark(sentence.format(subject.app.name), action, at=policies, element=element)
