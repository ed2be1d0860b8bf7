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
    why="Every deploy makes a new key or secret, and cuts off every client that uses the old one.",
    remedy="Set both to false; rotate on purpose, with staged credentials.",
    source=guide(metadata.SETTINGS),
)
def rotates_on_deploy(subject: RuleInput) -> Iterator[Remark]:
    settings = subject.own_settings
    for switch in ("shouldRotateConsumerKey", "shouldRotateConsumerSecret"):
        if settings and settings.document.flag(switch, False):
            yield subject.remark(
                f"{switch} of {subject.app.name} is true: every deploy cuts off the clients of the old one.",
                f"Set {switch} to false.",
                element=switch,
            )


@rule(
    levels=Levels(login="note", deploy="note"),
    means="isDPopEnabled is true: the org issues only tokens that are bound to a key of the client (DPoP, RFC 9449).",
    why="Clients that send no proofs of a key cannot log in, or have a token that they cannot use: neither the "
    "Salesforce CLI nor jsforce, simple-salesforce and most other clients send any. ecapipe does, and Salesforce's "
    "mobile SDK.",
    remedy="Leave it on if all clients of the app send proofs, else set isDPopEnabled to false.",
    source=f"{HELP}, Demonstrating Proof of Possession (DPoP)",
    file_type=metadata.SETTINGS,
)
def dpop_required(subject: RuleInput) -> Iterator[Remark]:
    if subject.own_settings and subject.app.requires_dpop:
        yield subject.remark(
            f"{subject.app.name} requires DPoP: clients without proofs, such as the Salesforce CLI, cannot use it.",
            "If a client of it sends none, set isDPopEnabled to false.",
            element="isDPopEnabled",
        )


@rule(
    levels=Levels(login="warning", deploy="error", commit="warning", mcp=None),
    means="The settings hold no certificate, but the last commit had one, or the app is used with the JWT flow. "
    "Before a login git is asked only if a secret is in the tree.",
    why="A deploy is declarative: without the element it removes the app's certificate, and every JWT login fails.",
    remedy="Put the certificate back, or remove it on purpose and commit that first.",
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
        reason = "the app logs in with the JWT flow"
    else:
        return
    yield subject.remark(
        f"The settings of {subject.app.name} hold no certificate, but {reason}: a deploy removes it from the app.",
        "Put the certificate back before a deploy.",
        element="certificate",
    )


@rule(
    levels=Levels(login="note", deploy="error", mcp=None),
    means="The app has its own global OAuth settings, but its oauthLink names another org than the target. It is a "
    "note while the target's org id is unknown.",
    why="The link points to a consumer that the target does not have: the deploy fails.",
    remedy="Remove oauthLink before the deploy; Salesforce makes a new one.",
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
    means="The app has its own global OAuth settings, but its oauthLink cannot belong to them: it has the wrong "
    "form, names another org than the app's own file does, or there is no consumer key yet.",
    why="A link of an earlier or copied app makes the deploy fail.",
    remedy="Remove oauthLink first; Salesforce makes a new one at the deploy.",
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
        reason = "has not the form of one"
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
    means="orgScopedExternalApp names another org than the target. It is a note while the target's org id is "
    "unknown.",
    why="It ties the app to the org it was made in.",
    remedy="Remove orgScopedExternalApp before the deploy; Salesforce makes a new one.",
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
            action="Remove orgScopedExternalApp before the deploy; Salesforce makes a new one.",
        )


@rule(
    levels=Levels(login="error", deploy="warning"),
    means="The policies switch the app off: isEnabled is false.",
    why="Nobody can log in with it.",
    remedy="Set isEnabled to true, or leave the app out with --name.",
    source=guide(metadata.POLICIES),
    file_type=metadata.POLICIES,
)
def app_disabled(subject: RuleInput) -> Iterator[Remark]:
    yield from _switched_off(subject, "isEnabled", "The policies switch {} off: nobody can log in with it.")


@rule(
    levels=Levels(login="error", deploy="warning"),
    means="The policies switch OAuth off for the app: isOauthPluginEnabled is false.",
    why="Nobody can log in with it by OAuth.",
    remedy="Set isOauthPluginEnabled to true, or leave the app out with --name.",
    source=guide(metadata.POLICIES),
    file_type=metadata.POLICIES,
)
def oauth_plugin_disabled(subject: RuleInput) -> Iterator[Remark]:
    yield from _switched_off(subject, "isOauthPluginEnabled", "The policies switch OAuth off for {}.")


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning", mcp=None),
    means="The client credentials flow is on in only one of settings and policies.",
    why="Salesforce needs both; the token request is refused.",
    remedy="Set isClientCredentialsFlowEnabled alike in both files.",
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
            f"The client credentials flow of {subject.app.name} is on in its {only} only.",
            f"Set {_SWITCH} alike in settings and policies.",
            at=policies,
            element=_SWITCH,
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="The client credentials flow is on, but the policies name no clientCredentialsFlowUser.",
    why="The token belongs to that user; without one the request is refused.",
    remedy="Name an API-only user with the least permissions in clientCredentialsFlowUser.",
    source=guide(metadata.OAUTH_POLICIES),
    file_type=metadata.OAUTH_POLICIES,
)
def run_as_user_missing(subject: RuleInput) -> Iterator[Remark]:
    policies = subject.oauth_policies
    if policies and subject.client_credentials and not policies.document.text("clientCredentialsFlowUser"):
        yield subject.remark(
            f"The client credentials flow of {subject.app.name} is on, but no user is named to run as.",
            "Name an API-only user in clientCredentialsFlowUser.",
            at=policies,
            element=_SWITCH,
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="The project, or ECAPIPE_JWT_KEY_FILE, says that the app logs in with the JWT flow, but the settings hold "
    "no certificate.",
    why="Salesforce verifies the assertion with the certificate; without it the flow is off.",
    remedy="Add the certificate that belongs to the key, deploy, and retrieve.",
    source=f"{guide(metadata.SETTINGS)}; RFC 7523",
    needs=("jwt",),
)
def jwt_without_certificate(subject: RuleInput) -> Iterator[Remark]:
    settings = subject.settings
    if settings and subject.app.name in subject.evidence.jwt and not settings.document.text("certificate"):
        yield subject.remark(
            f"{subject.app.name} is to log in with the JWT flow, but its settings hold no certificate.",
            "Add the certificate that belongs to the key, deploy, and retrieve again.",
            element="certificate",
        )


@rule(
    levels=Levels(deploy="warning"),
    means="The settings hold the consumer key of another org than the target. It is a note while the target's org "
    "id is unknown.",
    why="A key is made for one org. Deployed to another, it makes two orgs share an identity, or the deploy fails.",
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
    means="A file holds an element that its type does not have, as far as ecapipe knows.",
    why="It may be misspelt, and then has no effect or stops the deploy; or newer than ecapipe.",
    remedy="Compare the name with the documentation of the type.",
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
                    f"{file.type.name} has no element {name}, as far as ecapipe knows.",
                    *did_you_mean(name, sorted(known)),
                    f"Compare it with {file.type.name} in the Metadata API Developer Guide.",
                    at=file,
                    element=name,
                )


def _foreign(subject: RuleInput, element: str, *, org: str, type: Type, action: str) -> Iterator[Remark]:
    """A remark if `element`, in the file of `type`, belongs to another org than the target, or if that is unknown."""
    target = subject.evidence.target
    file = subject.app.of(type)
    if target == "":
        yield subject.remark(
            f"{element} of {subject.app.name} belongs to org {org}. Whether that is the target is unknown.",
            "Name the target with --target-org, and its orgId in plugins.ecapipe.orgs of sfdx-project.json.",
            at=file,
            element=element,
            at_most="note",
        )
    elif target and not same_id(org, target):
        yield subject.remark(
            f"{element} of {subject.app.name} belongs to org {org}, not to the target, {target}.",
            action,
            at=file,
            element=element,
        )


def _switched_off(subject: RuleInput, switch: str, sentence: str) -> Iterator[Remark]:
    policies = subject.policies
    if policies and not policies.document.flag(switch, True):
        yield subject.remark(
            sentence.format(subject.app.name), f"Set {switch} to true, and deploy.", at=policies, element=switch
        )
