"""Rules about values that an org refuses, or that no login gets by with."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from ecapipe.check.findings import Level, Levels
from ecapipe.check.rules.deploy import KNOWN
from ecapipe.check.rules.rule import GUIDE, HELP, guide, project_rule, rule
from ecapipe.check.rules.subject import Evidence, Remark, RuleInput
from ecapipe.oauth.scopes import SCOPE_NAMES
from ecapipe.problems.problem import did_you_mean
from ecapipe.project import metadata
from ecapipe.project.sfdx_project import FILE, FIRST_API_VERSION

_BOOLEAN: Final = frozenset({"true", "false", "1", "0"})
_SESSION: Final = "UserSession Custom"

# What starts like this is a boolean in every type of an external client app.
VALUES: Final[Mapping[str, frozenset[str]]] = {
    name: _BOOLEAN for names in KNOWN.values() for name in names if re.match("(is|are|shouldRotate)[A-Z]", name)
} | {
    name: frozenset(values.split())
    for name, values in {
        "accessMethod": "Get Post",
        "distributionState": "Local Packaged AutoInstalled Managed",
        "guestJwtSessionTimeoutType": _SESSION,
        "ipRelaxationPolicyType": "Enforce Bypass Bypass_2factor Enforce_RelaxRefresh",
        "namedUserJwtSessionTimeoutType": _SESSION,
        "permittedUsersPolicyType": "AdminApprovedPreAuthorized AllSelfAuthorized",
        "policyAction": "Block RaiseSessionLevel",
        "pushServiceType": "Apple Android",
        "refreshTokenPolicyType": "Infinite SpecificInactivity SpecificLifetime Zero",
        "refreshTokenValidityUnit": "Days Hours Months",
        "requiredSessionLevel": "HIGH_ASSURANCE LOW STANDARD",
        "startPage": "Custom None OAuth",
    }.items()
}
"""The values of elements that take no others, as the Metadata API Developer Guide has them."""

SCOPES: Final = SCOPE_NAMES.keys() | {"CDP", "DataCloudUserClaims"}
"""The names of scopes, also of those whose OAuth string is not known."""

_SCOPED: Final = re.compile(r"00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?:(\S.*)")


@rule(
    levels=Levels(login="warning", deploy="error", commit="note"),
    means="An element has a value that ecapipe doesn't know. Before a deploy, an error only if it is almost one of "
    "the known values, or isn't a boolean where one is required.",
    why="Salesforce refuses to deploy unknown values, and accepts true and false only in lowercase.",
    remedy="Correct the value, or retrieve the file again.",
    source=GUIDE,
)
def value_unknown(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.app.files:
        for element in file.document.elements:
            known = VALUES.get(element.name)
            if known is None or element.text is None or element.text in known:
                continue
            choices = sorted(known)
            if known is _BOOLEAN:
                choices = ["true", "false"]
            yield subject.remark(
                f"{element.name} of {subject.app.name} has an unknown value: {element.text[:80]}.",
                *did_you_mean(element.text, choices),
                f"Use one of {', '.join(choices)}, or retrieve the file again.",
                at=file,
                element=element.name,
                at_most=None if known is _BOOLEAN else _mildest(element.text, known),
            )


@rule(
    levels=Levels(login="warning", deploy="error", commit="note"),
    means="commaSeparatedOauthScopes has a scope that ecapipe doesn't know. Before a deploy, an error only if it is "
    "almost the name of a known one.",
    why="Salesforce refuses to deploy unknown scopes. In metadata, scopes have their own names, such as RefreshToken "
    "for refresh_token.",
    remedy="Correct the name. Separate several with commas.",
    source=guide(metadata.OAUTH),
    file_type=metadata.OAUTH,
)
def scope_unknown(subject: RuleInput) -> Iterator[Remark]:
    for name in subject.app.scope_names or ():
        if name in SCOPES:
            continue
        meant = [known for known, scope in SCOPE_NAMES.items() if scope == name]
        hints = (f'Did you mean "{meant[0]}"?',) if meant else did_you_mean(name, sorted(SCOPES))
        yield subject.remark(
            f"{subject.app.name} has an unknown scope: {name[:80]}.",
            *hints,
            "Correct it in commaSeparatedOauthScopes, a list of names separated by commas.",
            at=subject.oauth,
            element="commaSeparatedOauthScopes",
            at_most=_mildest(name, SCOPES),
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="The app uses the JWT flow, or has a certificate, but its scopes lack RefreshToken.",
    why='Without it, the org refuses the flow with "refresh_token scope is required".',
    remedy="Add RefreshToken to commaSeparatedOauthScopes, then deploy.",
    source=f"{HELP}, OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration",
    file_type=metadata.OAUTH,
)
def jwt_without_refresh_scope(subject: RuleInput) -> Iterator[Remark]:
    app, scopes = subject.app, subject.app.scope_names
    if scopes is None or {"RefreshToken", "OfflineAccess"} & set(scopes):
        return
    if app.name in subject.evidence.jwt or subject.settings_text("certificate"):
        yield subject.remark(
            f"{app.name} can't log in with the JWT flow: its scopes lack RefreshToken.",
            "Add RefreshToken to commaSeparatedOauthScopes, then deploy.",
            at=subject.oauth,
            element="commaSeparatedOauthScopes",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="The certificate in the settings has expired.",
    why="Salesforce uses it to verify the assertions of the JWT flow.",
    remedy="Create a new key and certificate, put the certificate in the settings, deploy, then retrieve.",
    source=f"{guide(metadata.SETTINGS)}; RFC 5280, section 4.1.2.5",
    needs=("expired_certificates",),
)
def certificate_expired(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if end := subject.evidence.expired_certificates.get(file.path):
            yield subject.remark(
                f"The certificate of {subject.app.name} expired on {end}.",
                "Create a new private key and certificate, put the certificate in the settings, then deploy.",
                at=file,
                element="certificate",
            )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="The certificate in the settings can't be parsed: it is truncated, or a placeholder.",
    why="Salesforce refuses the deploy, or every JWT login.",
    remedy="Insert the certificate, as PEM or as its base64 content, or retrieve the file again.",
    source=f"{guide(metadata.SETTINGS)}; RFC 7468",
    needs=("invalid_certificates",),
)
def certificate_invalid(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.invalid_certificates:
            yield subject.remark(
                f"The certificate in the settings of {subject.app.name} can't be parsed.",
                "Insert the certificate, as PEM or as its base64 content, or retrieve the file again.",
                at=file,
                element="certificate",
            )


@project_rule(
    levels=Levels(login="warning", deploy="error", commit="note"),
    means=f"sourceApiVersion of the project is below {FIRST_API_VERSION}, or isn't an API version.",
    why="External client apps exist since API version 59.0: a retrieve with an earlier version returns none, and a "
    "deploy is refused.",
    remedy="Set sourceApiVersion to the API version of your org.",
    source=f"{GUIDE}, ExternalClientApplication",
    needs=("unfit_api_version",),
)
def api_version_too_old(evidence: Evidence) -> Iterator[Remark]:
    problem = evidence.unfit_api_version
    if problem:
        yield Remark(problem.message, problem.actions, file=FILE, line=None, element="sourceApiVersion")


@rule(
    levels=Levels(login="warning", deploy="error", commit="warning"),
    means="orgScopedExternalApp isn't in the form ORG_ID:NAME. At most a warning if only the name is another app's.",
    why="Salesforce refuses the deploy: the element records the org where the app was created, and its name there.",
    remedy="Remove orgScopedExternalApp; Salesforce creates a new one on deploy.",
    source=guide(metadata.HEADER),
    file_type=metadata.HEADER,
)
def org_scoped_app_malformed(subject: RuleInput) -> Iterator[Remark]:
    app, header = subject.app, subject.header
    text = header.document.text("orgScopedExternalApp") if header else None
    if text is None:
        return
    parts = _SCOPED.fullmatch(text)
    # Either may have the namespace of a package before it.
    if parts and (app.name == parts[1].rpartition("__")[2] or parts[1] in (app.name, app.name.rpartition("__")[2])):
        return
    mildest: Level | None = None
    reason = "isn't in the form ORG_ID:NAME"
    if parts:
        mildest, reason = "warning", f"names the app {parts[1]}"
    yield subject.remark(
        f"orgScopedExternalApp of {app.name} {reason}.",
        "Remove it: Salesforce creates a new one on deploy.",
        at=header,
        element="orgScopedExternalApp",
        at_most=mildest,
    )


@rule(
    levels=Levels(deploy="warning"),
    means="The app's .eca file has no contactEmail.",
    why="Salesforce requires one when an app is created.",
    remedy="Add contactEmail, with a monitored address.",
    source=f"{HELP}, Create a Local External Client App; {guide(metadata.HEADER)}",
    file_type=metadata.HEADER,
)
def contact_email_missing(subject: RuleInput) -> Iterator[Remark]:
    header = subject.header
    if header and not header.document.text("contactEmail"):
        yield subject.remark(
            f"{subject.app.name} has no contactEmail.",
            "Add contactEmail, with a monitored address.",
            at=header,
            element="contactEmail",
        )


def _mildest(word: str, known: Collection[str]) -> Level | None:
    """Newer values than ecapipe knows are no errors; slips of the pen are."""
    if any(word.casefold() == each.casefold() or _one_edit(word, each) for each in known):
        return None
    return "warning"


def _one_edit(one: str, other: str) -> bool:
    """Whether one character more, less or changed makes one word of the other."""
    short, long = sorted((one, other), key=len)
    at = next((index for index, (left, right) in enumerate(zip(short, long)) if left != right), len(short))  # noqa: B905
    rests = {short[at:], short[at + 1 :]} if len(short) == len(long) else {short[at:]}
    return len(long) - len(short) <= 1 and long[at + 1 :] in rests
