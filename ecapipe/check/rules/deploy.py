"""Rules about what a deploy would do, and what the policies switch off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ecapipe.check.findings import Levels
from ecapipe.check.rules.rule import GUIDE, HELP, guide, rule
from ecapipe.check.rules.subject import Remark, RuleInput
from ecapipe.orgs.org import same_id
from ecapipe.problems.problem import did_you_mean
from ecapipe.project import metadata
from ecapipe.project.metadata import Type

# An org's id, 00D…, and the id of its consumer, 888…, each with 15 or 18 characters.
_LINK: Final = re.compile(r"00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?:888[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
_SWITCH: Final = "isClientCredentialsFlowEnabled"

KNOWN: Final[dict[Type, frozenset[str]]] = {
    metadata.HEADER: frozenset(
        "contactEmail contactPhone description distributionState iconUrl infoUrl isProtected label logoUrl "
        "managedType orgScopedExternalApp".split()
    ),
    metadata.SETTINGS: frozenset(
        "callbackUrl certificate consumerKey consumerSecret externalClientApplication idTokenConfig "
        "isClientCredentialsFlowEnabled isCodeCredFlowEnabled isCodeCredPostOnly isConsumerSecretOptional "
        "isDPopEnabled isDeviceFlowEnabled isEnforceRefreshTokenTTL isIntrospectAllTokens isNamedUserJwtEnabled "
        "isPkceRequired isRefreshTokenRotationEnabled isSecretRequiredForRefreshToken "
        "isSecretRequiredForTokenExchange isTokenExchangeEnabled label shouldRotateConsumerKey "
        "shouldRotateConsumerSecret".split()
    ),
    metadata.OAUTH: frozenset(
        "areAttributesIncludedInAssetToken areCustomPermsIncludedInAssetToken assetTokenAudiences "
        "assetTokenSigningCertificate assetTokenValidity clientAssertionCertificate commaSeparatedOauthScopes "
        "customAttributes externalClientApplication isFirstPartyAppEnabled label oauthLink singleLogoutUrl "
        "trustedIpRanges".split()
    ),
    metadata.OAUTH_POLICIES: frozenset(
        "apexHandler clientCredentialsFlowUser commaSeparatedCustomScopes commaSeparatedPermissionSet "
        "commaSeparatedProfile customAttributes executeHandlerAs externalClientApplication "
        "guestJwtSessionTimeoutType guestJwtTimeout ipRelaxationPolicyType isClientCredentialsFlowEnabled "
        "isGuestCodeCredFlowEnabled isNamedUserJwtEnabled isTokenExchangeFlowEnabled label "
        "namedUserJwtSessionTimeoutType namedUserJwtTimeout permittedUsersPolicyType policyAction "
        "refreshTokenPolicyType refreshTokenValidityPeriod refreshTokenValidityUnit requiredSessionLevel "
        "sessionTimeoutInMinutes singleLogoutUrl startUrl".split()
    ),
    metadata.POLICIES: frozenset(
        "externalClientApplication isCanvasPluginEnabled isEnabled isMobilePluginEnabled isNotificationPluginEnabled "
        "isOauthPluginEnabled isPushPluginEnabled isSamlPluginEnabled label startPage startUrl".split()
    ),
}
"""The children of the root, by type, as the Metadata API Developer Guide and retrieved files show them."""


@rule(
    levels=Levels(login="warning", deploy="error", commit="error", mcp=None),
    means="shouldRotateConsumerKey or shouldRotateConsumerSecret is true.",
    why="Every deploy generates a new key or secret, and locks out every client that uses the old one.",
    remedy="Set both to false, and rotate deliberately, with staged credentials.",
    source=guide(metadata.SETTINGS),
)
def rotates_on_deploy(subject: RuleInput) -> Iterator[Remark]:
    settings = subject.own_settings
    for switch in ("shouldRotateConsumerKey", "shouldRotateConsumerSecret"):
        if settings and settings.document.flag(switch, False):
            yield subject.remark(
                f"{switch} of {subject.app.name} is true: every deploy locks out clients that use the old one.",
                f"Set {switch} to false.",
                element=switch,
            )


@rule(
    levels=Levels(login="note", deploy="note"),
    means="isDPopEnabled is true: the org issues only tokens that are bound to a client key (DPoP, RFC 9449).",
    why="Clients that send no DPoP proofs can't log in, or get a token that they can't use. The Salesforce CLI, "
    "jsforce, simple-salesforce and most other clients send none. ecapipe and the Salesforce Mobile SDK do.",
    remedy="Leave it on if all clients of the app send proofs. Otherwise, set isDPopEnabled to false.",
    source=f"{HELP}, Demonstrating Proof of Possession (DPoP)",
    file_type=metadata.SETTINGS,
)
def dpop_required(subject: RuleInput) -> Iterator[Remark]:
    if subject.own_settings and subject.app.requires_dpop:
        yield subject.remark(
            f"{subject.app.name} requires DPoP: clients that send no proofs, such as the Salesforce CLI, can't use "
            "it.",
            "If one of its clients sends no proofs, set isDPopEnabled to false.",
            element="isDPopEnabled",
        )


@rule(
    levels=Levels(login="warning", deploy="error", commit="warning", mcp=None),
    means="The settings have no certificate, but the last commit had one, or the app uses the JWT "
    "flow. Before a login, git is checked only if the project contains a secret.",
    why="A deploy is declarative: without the element, it removes the app's certificate, and every JWT login fails.",
    remedy="Restore the certificate. If you meant to remove it, commit that first.",
    source=guide(metadata.SETTINGS),
    needs=("certified", "jwt"),
)
def certificate_dropped(subject: RuleInput) -> Iterator[Remark]:
    settings = subject.own_settings
    if not settings or settings.document.text("certificate"):
        return
    if settings.path in subject.evidence.certified:
        reason = "the last commit had one"
    elif subject.app.name in subject.evidence.jwt:
        reason = "the app uses the JWT flow"
    else:
        return
    yield subject.remark(
        f"The settings of {subject.app.name} have no certificate, but {reason}: a deploy removes it from the app.",
        "Restore the certificate before you deploy.",
        element="certificate",
    )


@rule(
    levels=Levels(login="note", deploy="error", mcp=None),
    means="The app has its own global OAuth settings, but its oauthLink names an org other than the "
    "target. A note if the target's org ID is unknown.",
    why="The link points to a consumer that doesn't exist in the target: the deploy fails.",
    remedy="Remove oauthLink before the deploy; Salesforce creates a new one.",
    source=f"{HELP}, Deploy an External Client App with a New Global OAuth Settings File",
    file_type=metadata.OAUTH,
)
def oauth_link_foreign(subject: RuleInput) -> Iterator[Remark]:
    if subject.own_settings and subject.app.link_org:
        yield from _foreign(
            subject,
            "oauthLink",
            org=subject.app.link_org,
            type=metadata.OAUTH,
            action="Remove oauthLink before the deploy.",
        )


@rule(
    levels=Levels(login="warning", deploy="error", commit="warning", mcp=None),
    means="The app has its own global OAuth settings, but its oauthLink doesn't match them: it is malformed, names "
    "an org other than the app's .eca file does, or there is no consumer key yet.",
    why="A link left over from an earlier or copied app makes the deploy fail.",
    remedy="Remove oauthLink before the deploy; Salesforce creates a new one.",
    source=f"{HELP}, Deploy an External Client App with a New Global OAuth Settings File",
    file_type=metadata.OAUTH,
)
def oauth_link_stale(subject: RuleInput) -> Iterator[Remark]:
    app, oauth = subject.app, subject.oauth
    if not oauth or not subject.own_settings:
        return
    link = oauth.document.text("oauthLink")
    if not link:
        return
    home = app.scoped_org
    if not _LINK.fullmatch(link):
        reason = "is malformed"
    elif home and app.link_org and not same_id(home, app.link_org):
        reason = f"names org {app.link_org}, but the app is scoped to {home}"
    elif subject.in_file("consumerKey") == "absent":
        # Salesforce makes the key at the first deploy, and the link with it.
        reason = "is older than the settings, which have no consumerKey yet"
    else:
        return
    yield subject.remark(
        f"The oauthLink of {app.name} {reason}.", "Remove oauthLink before the deploy.", at=oauth, element="oauthLink"
    )


@rule(
    levels=Levels(login="note", deploy="warning", mcp=None),
    means="orgScopedExternalApp names an org other than the target. A note if the target's org ID is unknown.",
    why="It ties the app to the org where it was created.",
    remedy="Remove orgScopedExternalApp before the deploy; Salesforce creates a new one.",
    source=guide(metadata.HEADER),
    file_type=metadata.HEADER,
)
def org_scoped_app_foreign(subject: RuleInput) -> Iterator[Remark]:
    if home := subject.app.scoped_org:
        yield from _foreign(
            subject,
            "orgScopedExternalApp",
            org=home,
            type=metadata.HEADER,
            action="Remove orgScopedExternalApp before the deploy; Salesforce creates a new one.",
        )


@rule(
    levels=Levels(login="error", deploy="warning"),
    means="The policies disable the app: isEnabled is false.",
    why="No user can log in with it.",
    remedy="Set isEnabled to true, or exclude the app by listing the others with --name.",
    source=guide(metadata.POLICIES),
    file_type=metadata.POLICIES,
)
def app_disabled(subject: RuleInput) -> Iterator[Remark]:
    yield from _switched_off(subject, "isEnabled", "The policies disable {}: no user can log in with it.")


@rule(
    levels=Levels(login="error", deploy="warning"),
    means="The policies disable OAuth for the app: isOauthPluginEnabled is false.",
    why="No user can log in with it over OAuth.",
    remedy="Set isOauthPluginEnabled to true, or exclude the app by listing the others with --name.",
    source=guide(metadata.POLICIES),
    file_type=metadata.POLICIES,
)
def oauth_plugin_disabled(subject: RuleInput) -> Iterator[Remark]:
    yield from _switched_off(subject, "isOauthPluginEnabled", "The policies disable OAuth for {}.")


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning", mcp=None),
    means="The client credentials flow is enabled in the settings or in the policies, but not in both.",
    why="Salesforce requires both, and otherwise refuses the token request.",
    remedy="Set isClientCredentialsFlowEnabled to the same value in both files.",
    source=f"{guide(metadata.SETTINGS)}; {guide(metadata.OAUTH_POLICIES)}",
    file_type=metadata.OAUTH_POLICIES,
)
def client_credentials_half_enabled(subject: RuleInput) -> Iterator[Remark]:
    settings, policies = subject.settings, subject.oauth_policies
    if not settings or not policies:
        return
    on = settings.document.flag(_SWITCH, False)
    # Policies without the element do not contradict.
    if policies.document.flag(_SWITCH, on) != on:
        only = "settings" if on else "policies"
        yield subject.remark(
            f"The client credentials flow of {subject.app.name} is enabled only in its {only}.",
            f"Set {_SWITCH} to the same value in settings and policies.",
            at=policies,
            element=_SWITCH,
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="The client credentials flow is enabled, but the policies have no clientCredentialsFlowUser.",
    why="The token is issued for that user; without one, the request is refused.",
    remedy="Set clientCredentialsFlowUser to an API-only user with the least permissions.",
    source=guide(metadata.OAUTH_POLICIES),
    file_type=metadata.OAUTH_POLICIES,
)
def run_as_user_missing(subject: RuleInput) -> Iterator[Remark]:
    policies = subject.oauth_policies
    if policies and subject.client_credentials and not policies.document.text("clientCredentialsFlowUser"):
        yield subject.remark(
            f"The client credentials flow of {subject.app.name} is enabled, but has no run-as user.",
            "Set clientCredentialsFlowUser to an API-only user.",
            at=policies,
            element=_SWITCH,
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="The project or ECAPIPE_JWT_KEY_FILE selects the JWT flow for the app, but the settings have no "
    "certificate.",
    why="Salesforce verifies the assertion with the certificate; without it, the flow is disabled.",
    remedy="Add the certificate that matches the private key, deploy, then retrieve.",
    source=f"{guide(metadata.SETTINGS)}; RFC 7523",
    needs=("jwt",),
)
def jwt_without_certificate(subject: RuleInput) -> Iterator[Remark]:
    settings = subject.settings
    if settings and subject.app.name in subject.evidence.jwt and not settings.document.text("certificate"):
        yield subject.remark(
            f"{subject.app.name} uses the JWT flow, but its settings have no certificate.",
            "Add the certificate that matches the private key, deploy, then retrieve again.",
            element="certificate",
        )


@rule(
    levels=Levels(deploy="warning"),
    means="The settings hold the consumer key of an org other than the target. A note if the "
    "target's org ID is unknown.",
    why="A key belongs to one org. Deployed to another, it makes two orgs share an identity, or the deploy fails.",
    remedy="Remove consumerKey and consumerSecret before the deploy, then retrieve the new ones.",
    source=guide(metadata.SETTINGS),
)
def key_deployed_to_other_org(subject: RuleInput) -> Iterator[Remark]:
    settings = subject.own_settings
    # The link names the org of the key; the org in which the app was made is the next best clue.
    home = subject.app.link_org or subject.app.scoped_org
    if settings and home and subject.in_file("consumerKey") == "present":
        yield from _foreign(
            subject,
            "consumerKey",
            org=home,
            type=metadata.SETTINGS,
            action="Remove consumerKey and consumerSecret before the deploy, then retrieve the new ones.",
        )


@rule(
    levels=Levels(login="note", deploy="note", commit="note", mcp=None),
    means="A file has an element that ecapipe doesn't know in its metadata type.",
    why="It may be misspelled, and then has no effect or makes the deploy fail. Or it is newer than ecapipe.",
    remedy="Check the name in the documentation of the type.",
    source=GUIDE,
)
def unknown_element(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.app.files:
        # Of the other types too little was seen to call an element unknown.
        known = KNOWN.get(file.type)
        if known is None or file.document.names <= known:
            continue
        for name in file.document.names:
            if name not in known:
                yield subject.remark(
                    f"Unknown element {name} in {file.type.name}.",
                    *did_you_mean(name, sorted(known)),
                    f"Check {file.type.name} in the Metadata API Developer Guide. The element may be newer than "
                    "ecapipe.",
                    at=file,
                    element=name,
                )


def _foreign(subject: RuleInput, element: str, *, org: str, type: Type, action: str) -> Iterator[Remark]:
    """A remark if `element`, in the file of `type`, belongs to another org than the target, or if that is unknown."""
    target = subject.evidence.target
    file = subject.app.of(type)
    if target == "":
        yield subject.remark(
            f"{element} of {subject.app.name} belongs to org {org}, which may not be the target: the "
            "target's org ID is unknown.",
            "Specify the target with --target-org, and set its orgId in plugins.ecapipe.orgs of sfdx-project.json.",
            at=file,
            element=element,
            at_most="note",
        )
    elif target and not same_id(org, target):
        yield subject.remark(
            f"{element} of {subject.app.name} belongs to org {org}, not to the target {target}.",
            action,
            at=file,
            element=element,
        )


def _switched_off(subject: RuleInput, switch: str, sentence: str) -> Iterator[Remark]:
    policies = subject.policies
    if policies and not policies.document.flag(switch, True):
        yield subject.remark(
            sentence.format(subject.app.name), f"Set {switch} to true, then deploy.", at=policies, element=switch
        )
