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
    means="An element holds a value that it does not have, as far as ecapipe knows. Before a deploy it is an error "
    "only where it is all but one of the known values, or no boolean.",
    why="Salesforce refuses the deploy of a value it does not know, and takes true and false in lower case only.",
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
                f"{element.name} of {subject.app.name} is {element.text[:80]}, which is none of its values.",
                *did_you_mean(element.text, choices),
                f"Write one of {', '.join(choices)}, or retrieve the file again.",
                at=file,
                element=element.name,
                at_most=None if known is _BOOLEAN else _mildest(element.text, known),
            )


@rule(
    levels=Levels(login="warning", deploy="error", commit="note"),
    means="commaSeparatedOauthScopes names a scope that does not exist, as far as ecapipe knows. Before a deploy it "
    "is an error only where it is all but the name of a known one.",
    why="Salesforce refuses the deploy of a scope it does not know. Metadata has names of its own for them, such as "
    "RefreshToken for refresh_token.",
    remedy="Correct the name; several are separated by commas.",
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
            f"{subject.app.name} has the scope {name[:80]}, which does not exist as far as ecapipe knows.",
            *hints,
            "Correct it in commaSeparatedOauthScopes, whose names are separated by commas.",
            at=subject.oauth,
            element="commaSeparatedOauthScopes",
            at_most=_mildest(name, SCOPES),
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="The app logs in with the JWT flow, or has a certificate, but its scopes lack RefreshToken.",
    why="An org refuses the flow without it: refresh_token scope is required.",
    remedy="Add RefreshToken to commaSeparatedOauthScopes, and deploy.",
    source=f"{HELP}, OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration",
    file_type=metadata.OAUTH,
)
def jwt_without_refresh_scope(subject: RuleInput) -> Iterator[Remark]:
    app, scopes = subject.app, subject.app.scope_names
    if scopes is None or {"RefreshToken", "OfflineAccess"} & set(scopes):
        return
    if app.name in subject.evidence.jwt or subject.settings_text("certificate"):
        yield subject.remark(
            f"{app.name} can log in with the JWT flow only if RefreshToken is among its scopes.",
            "Add RefreshToken to commaSeparatedOauthScopes, and deploy.",
            at=subject.oauth,
            element="commaSeparatedOauthScopes",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="The certificate of the settings has expired.",
    why="Salesforce verifies assertions of the JWT flow with it.",
    remedy="Make a new key and certificate, put the certificate into the settings, deploy, and retrieve.",
    source=f"{guide(metadata.SETTINGS)}; RFC 5280, section 4.1.2.5",
    needs=("expired_certificates",),
)
def certificate_expired(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if end := subject.evidence.expired_certificates.get(file.path):
            yield subject.remark(
                f"The certificate of {subject.app.name} expired on {end}.",
                "Put a new one into the settings, and deploy; a new private key goes with it.",
                at=file,
                element="certificate",
            )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="What stands in the settings as a certificate cannot be read as one: it is cut, or a placeholder.",
    why="Salesforce refuses the deploy, or every login with the JWT flow.",
    remedy="Put the certificate there, in PEM or as the base64 in it, or retrieve the file again.",
    source=f"{guide(metadata.SETTINGS)}; RFC 7468",
    needs=("invalid_certificates",),
)
def certificate_invalid(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.path in subject.evidence.invalid_certificates:
            yield subject.remark(
                f"The certificate in the settings of {subject.app.name} cannot be read as one.",
                "Put the certificate there, in PEM or as the base64 in it, or retrieve the file again.",
                at=file,
                element="certificate",
            )


@project_rule(
    levels=Levels(login="warning", deploy="error", commit="note"),
    means=f"sourceApiVersion of the project is below {FIRST_API_VERSION}, or no API version.",
    why="External client apps came with API version 59.0: a retrieve for an earlier one brings none, and a deploy "
    "is refused.",
    remedy="Set sourceApiVersion to that of your org.",
    source=f"{GUIDE}, ExternalClientApplication",
    needs=("unfit_api_version",),
)
def api_version_too_old(evidence: Evidence) -> Iterator[Remark]:
    problem = evidence.unfit_api_version
    if problem:
        yield Remark(problem.message, problem.actions, file=FILE, line=None, element="sourceApiVersion")


@rule(
    levels=Levels(login="warning", deploy="error", commit="warning"),
    means="orgScopedExternalApp is not of the form ORG_ID:NAME. A warning where only the name is another app's.",
    why="Salesforce refuses the deploy: the element says in which org the app was made, and under which name.",
    remedy="Remove orgScopedExternalApp; Salesforce makes a new one at the deploy.",
    source=guide(metadata.HEADER),
    file_type=metadata.HEADER,
)
def org_scoped_app_malformed(subject: RuleInput) -> Iterator[Remark]:
    app, header = subject.app, subject.header
    text = header.document.text("orgScopedExternalApp") if header else None
    if text is None:
        return
    parts = _SCOPED.fullmatch(text)
    if parts and app.name in (parts[1], parts[1].rpartition("__")[2]):
        return
    mildest: Level | None = None
    reason = "is not an org id, a colon and the app's name"
    if parts:
        mildest, reason = "warning", f"names the app {parts[1]}"
    yield subject.remark(
        f"orgScopedExternalApp of {app.name} {reason}.",
        "Remove it: Salesforce makes a new one at the deploy.",
        at=header,
        element="orgScopedExternalApp",
        at_most=mildest,
    )


@rule(
    levels=Levels(deploy="warning"),
    means="The app's own file has no contactEmail.",
    why="Salesforce asks for one when an app is made.",
    remedy="Add contactEmail, with an address that is read.",
    source=f"{HELP}, Create a Local External Client App; {guide(metadata.HEADER)}",
    file_type=metadata.HEADER,
)
def contact_email_missing(subject: RuleInput) -> Iterator[Remark]:
    header = subject.header
    if header and not header.document.text("contactEmail"):
        yield subject.remark(
            f"{subject.app.name} has no contactEmail.",
            "Add contactEmail, with an address that is read.",
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
