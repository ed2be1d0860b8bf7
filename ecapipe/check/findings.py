"""What a check reports, and the rules it reports by: names, levels and help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import schema_validation_error
from ecapipe.problems.usage import nothing_to_explain
from ecapipe.project.sfdx_project import FILE

Level = Literal["error", "warning", "note"]
LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "note")
"""From worst to mildest."""

Purpose = Literal["login", "deploy", "commit"]
PURPOSES: Final[tuple[Purpose, ...]] = ("login", "deploy", "commit")

NOT_EXAMINED: Final = "not-examined"
"""The rule about what could not be looked at. Nobody can accept that: it is not known what is accepted."""


@dataclass(frozen=True, slots=True)
class Levels:
    """How much a rule matters before a login, a deploy and a commit; None: it is silent."""

    login: Level | None
    deploy: Level | None
    commit: Level | None

    def of(self, purpose: Purpose) -> Level | None:
        level: Level | None = getattr(self, purpose)
        return level

    def __str__(self) -> str:
        return ", ".join(f"{purpose}: {self.of(purpose) or 'silent'}" for purpose in PURPOSES)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's promise: `name` and `levels` do not change once released."""

    name: str
    levels: Levels
    means: str
    why: str
    remedy: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One place in a project where a rule does not hold.

    `app` is None for a file that names no app; `project` is the root that `file` is relative to.
    """

    rule: str
    level: Level
    message: str
    app: str | None
    file: str | None
    line: int | None
    actions: tuple[str, ...]
    element: str = ""
    accepted: bool = False
    project: str = ""

    @property
    def fingerprint(self) -> str:
        """Names the finding across edits: made of rule, path, app and element, never of a value."""
        # A line moves with every edit above it, and a hash of a secret invites guessing.
        # Imported here: most checks have no baseline, and ask for no fingerprint.
        import hashlib

        parts = (self.rule, self.file or "", self.app or "", self.element)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def at_least(level: Level, least: Level) -> bool:
    """Whether `level` is as bad as `least`, or worse."""
    return LEVELS.index(level) <= LEVELS.index(least)


def milder(one: Level, other: Level) -> Level:
    """The milder of two levels."""
    return max(one, other, key=LEVELS.index)


def explain(name: str) -> Rule:
    """The rule called `name`; raises `EcapipeError` (NothingToExplain) if there is none."""
    try:
        return RULES[name]
    except KeyError:
        raise EcapipeError(nothing_to_explain(name, sorted(RULES))) from None


_GUIDE: Final = "Metadata API Developer Guide"
_HEADER: Final = f"{_GUIDE}, ExternalClientApplication"
_SETTINGS: Final = f"{_GUIDE}, ExtlClntAppGlobalOauthSettings"
_OAUTH: Final = f"{_GUIDE}, ExtlClntAppOauthSettings"
_OAUTH_POLICIES: Final = f"{_GUIDE}, ExtlClntAppOauthConfigurablePolicies"
_POLICIES: Final = f"{_GUIDE}, ExtlClntAppConfigurablePolicies"
_REGISTRY: Final = "Metadata registry of the Salesforce CLI"
_HELP: Final = "Salesforce Help"
_STRINGS: Final = "Salesforce DX Developer Guide, Replace Strings in Code Before Deploying"

_CREDENTIALS: Final = (
    Rule(
        "consumer-key-missing",
        Levels("error", "note", None),
        "The app's global OAuth settings hold no consumerKey, and no other source supplies one.",
        "The key is the app's client_id; without it no flow can start. Salesforce makes it at the first deploy.",
        "Deploy the app, then retrieve it.",
        f"{_HELP}, Complete the OAuth Flow",
    ),
    Rule(
        "consumer-secret-missing",
        Levels("error", "note", None),
        "The app's global OAuth settings hold no consumerSecret, no other source supplies one, and one is needed. "
        "It is a warning at most where the app allows a flow that needs none.",
        "Most orgs leave the secret out of a retrieve: the switch that allows it is off, the user lacks the "
        "permission, or the release no longer supports it.",
        "Supply the secret from the environment, or allow it in the org and retrieve again.",
        _SETTINGS,
    ),
    Rule(
        "credential-placeholder",
        Levels("error", "warning", None),
        "consumerKey or consumerSecret holds a placeholder instead of a value.",
        "A placeholder sent to the token endpoint fails as invalid_client and may be logged there; deployed, it "
        "becomes the app's key or secret.",
        "Put the real value into the environment, let a replacement of the project fill it in, or retrieve the file "
        "again.",
        _STRINGS,
    ),
    Rule(
        "credential-duplicated",
        Levels("error", "error", "error"),
        "consumerKey or consumerSecret stands more than once in one settings file.",
        "It is undefined which of them Salesforce uses; ecapipe uses neither.",
        "Leave one element, or retrieve the file again.",
        _SETTINGS,
    ),
    Rule(
        "replacement-unresolved",
        Levels("error", "error", None),
        "The project's replacements stand where consumerKey or consumerSecret belongs, and their variable or file "
        "gives no value.",
        "A login has no credential then, and a deploy stops at the variable that is not set.",
        "Set the variable, or write the file, that the replacement names.",
        _STRINGS,
    ),
    Rule(
        "variable-reserved",
        Levels("error", "error", "warning"),
        "secretEnv or replaceWithEnv names an environment variable that programs need, such as PATH, HOME, "
        "HTTPS_PROXY or one that starts with GIT_, SF_ or XDG_.",
        "What stands in it is no credential, and taken away it would change what git and the Salesforce CLI do. "
        "ecapipe reads nothing from it, and refuses to log in; a deploy puts its value into the org.",
        "Put the credential into a variable of its own, and name that.",
        _STRINGS,
    ),
    Rule(
        "credential-sources-mixed",
        Levels("warning", None, None),
        "The consumer key comes from one source and the consumer secret from another.",
        "Key and secret belong together. After a rotation, or in another org, one of the two is stale.",
        "Take both from the same source, or make sure that they belong together.",
        "RFC 6749, section 2.3.1",
    ),
    Rule(
        "secret-not-needed",
        Levels("note", "note", "note"),
        "The file holds a consumer secret although the app is a public client, none of whose flows needs it.",
        "A secret that nobody needs can only leak.",
        "Remove consumerSecret from the file.",
        f"{_SETTINGS}; RFC 9700, section 2.5",
    ),
    Rule(
        "credential-shape",
        Levels("note", None, None),
        "consumerKey or consumerSecret does not look like those that Salesforce makes.",
        "It may have been cut, or pasted into the wrong element. Keys that a deployer chose look different, too.",
        "Compare it with the org, or retrieve the file again.",
        _SETTINGS,
    ),
    Rule(
        "same-key-in-two-apps",
        Levels("warning", "warning", "warning"),
        "Two apps have the same consumer key.",
        "A key names one app in one org. A copied file makes one app act as the other, and a deploy of it fails.",
        "Remove consumerKey and consumerSecret from the copy, deploy it, and retrieve it.",
        _SETTINGS,
    ),
)

_STRUCTURE: Final = (
    Rule(
        "settings-missing",
        Levels("error", "note", None),
        "The app has no global OAuth settings file. It is a note for linked and packaged apps, which have none, and "
        "a warning where key and secret come from elsewhere.",
        "Key and secret are in that file only.",
        "Retrieve the type ExtlClntAppGlobalOauthSettings.",
        _SETTINGS,
    ),
    Rule(
        "settings-duplicated",
        Levels("error", "error", "error"),
        "More than one global OAuth settings file names the app.",
        "It is unclear which key and secret count, and a deploy writes one over the other.",
        "Keep one of the files.",
        _SETTINGS,
    ),
    Rule(
        "settings-orphaned",
        Levels("warning", "warning", "warning"),
        "A global OAuth settings file names an app of which the project has nothing else.",
        "The name may be misspelt, or the app may be gone. Salesforce refuses settings of an app it does not know.",
        "Correct externalClientApplication, retrieve the rest of the app, or delete the file.",
        _SETTINGS,
    ),
    Rule(
        "app-header-missing",
        Levels("warning", "warning", "warning"),
        "Files of an app are there, but not its own, the .eca file.",
        "Without it the app cannot be made in another org, and nothing tells whether it is local or packaged.",
        "Retrieve the type ExternalClientApplication.",
        _HEADER,
    ),
    Rule(
        "oauth-settings-missing",
        Levels("warning", "warning", "note"),
        "The app has global OAuth settings, but no OAuth settings, the .ecaOauth file.",
        "They hold the scopes. Without them OAuth is not enabled for the app in another org.",
        "Retrieve the type ExtlClntAppOauthSettings.",
        _OAUTH,
    ),
    Rule(
        "policies-missing",
        Levels("note", "note", None),
        "The app has OAuth settings, but no OAuth policies, the .ecaOauthPlcy file.",
        "They say who may sign in, and whether client credentials are allowed. A deploy makes them anew, with "
        "Salesforce's defaults.",
        "Retrieve the type ExtlClntAppOauthConfigurablePolicies.",
        _OAUTH_POLICIES,
    ),
    Rule(
        "suffix-misspelt",
        Levels("error", "error", "error"),
        "A file's suffix is nearly that of an external client app type, or has it in the wrong case.",
        "The Salesforce CLI goes by the exact suffix: it fails, or passes the file over.",
        "Rename the file.",
        _REGISTRY,
    ),
    Rule(
        "wrong-root",
        Levels("error", "error", "error"),
        "A file's root element is not the metadata type its suffix promises.",
        "The Salesforce CLI goes by the suffix, the deploy by the root element: one of them fails.",
        "Give the file the suffix of its type.",
        _GUIDE,
    ),
    Rule(
        "malformed-xml",
        Levels("error", "error", "error"),
        "A metadata file of an external client app is not well-formed, or holds what ecapipe refuses.",
        "Neither ecapipe nor a deploy can read it.",
        "Mend the file at the line of the finding, or retrieve it again.",
        _GUIDE,
    ),
    Rule(
        "namespace-mismatch",
        Levels("note", "note", "note"),
        "A file names its app with a namespace that neither the app's own file nor the project has.",
        "ecapipe takes both for one app. A deploy may not: it goes by the exact name.",
        "Write the name as the .eca file has it, or set the project's namespace.",
        f"{_HEADER}; Salesforce DX Developer Guide, sfdx-project.json",
    ),
    Rule(
        "callback-missing",
        Levels("error", "warning", "warning"),
        "The app has no callback URL, and its settings allow no flow that does without one.",
        "Nobody can sign in: the web server flow has to send its answer to a registered address.",
        "Add a callback URL, such as http://localhost:1717/OauthRedirect.",
        f"{_SETTINGS}; RFC 6749, section 3.1.2",
    ),
    Rule(
        "callback-invalid",
        Levels("error", "error", "error"),
        "A line of callbackUrl is no absolute URL, or has a fragment or a wildcard.",
        "Salesforce compares callback URLs character by character; one that is no URL never matches.",
        "Correct the line. Several URLs stand on lines of their own.",
        "RFC 6749, section 3.1.2",
    ),
    Rule(
        "callback-insecure",
        Levels("warning", "warning", "warning"),
        "A callback URL is plain http, and not on this machine.",
        "The authorization code travels to it unencrypted.",
        "Use https, a scheme of the app's own, or http on localhost.",
        "RFC 9700, section 2.6; RFC 8252, section 7.3",
    ),
    Rule(
        "callback-too-long",
        Levels("warning", "error", "error"),
        "All callback URLs together have more than 2,000 characters.",
        "Salesforce refuses the deploy.",
        "Remove the callback URLs that nobody uses.",
        f"{_HELP}, Configure the External Client App OAuth Settings",
    ),
    Rule(
        "label-missing",
        Levels(None, "warning", "note"),
        "The global OAuth settings have no label.",
        "The documentation calls it optional, but deploys without it have failed with Missing required field.",
        "Add a label, such as the name of the file.",
        _SETTINGS,
    ),
    Rule(
        "settings-forceignored",
        Levels("note", "warning", None),
        "A pattern of .forceignore hides the app's global OAuth settings file.",
        "The Salesforce CLI neither deploys nor retrieves it, so what it holds is never renewed.",
        "Remove the pattern from .forceignore; to keep the file out of git, use .gitignore.",
        "Salesforce DX Developer Guide, How to Exclude Source When Syncing",
    ),
)

_DEPLOY: Final = (
    Rule(
        "rotates-on-deploy",
        Levels("warning", "error", "error"),
        "shouldRotateConsumerKey or shouldRotateConsumerSecret is true.",
        "Every deploy makes a new key or secret, and cuts off every client that uses the old one.",
        "Set both to false; rotate on purpose, with staged credentials.",
        _SETTINGS,
    ),
    Rule(
        "certificate-dropped",
        Levels("warning", "error", "warning"),
        "The settings hold no certificate, but the last commit had one, or the app is used with the JWT flow. Before "
        "a login git is asked only if a secret is in the tree.",
        "A deploy is declarative: without the element it removes the app's certificate, and every JWT login fails.",
        "Put the certificate back, or remove it on purpose and commit that first.",
        _SETTINGS,
    ),
    Rule(
        "oauth-link-foreign",
        Levels("note", "error", None),
        "The app has its own global OAuth settings, but its oauthLink names another org than the target. It is a "
        "note while the target's org id is unknown.",
        "The link points to a consumer that the target does not have: the deploy fails.",
        "Remove oauthLink before the deploy; Salesforce makes a new one.",
        f"{_HELP}, Deploy an External Client App with a New Global OAuth Settings File",
    ),
    Rule(
        "oauth-link-stale",
        Levels("warning", "error", "warning"),
        "The app has its own global OAuth settings, but its oauthLink cannot belong to them: it has the wrong form, "
        "names another org than the app's own file does, or there is no consumer key yet.",
        "A link of an earlier or copied app makes the deploy fail.",
        "Remove oauthLink first; Salesforce makes a new one at the deploy.",
        f"{_HELP}, Deploy an External Client App with a New Global OAuth Settings File",
    ),
    Rule(
        "org-scoped-app-foreign",
        Levels("note", "warning", None),
        "orgScopedExternalApp names another org than the target. It is a note while the target's org id is unknown.",
        "It ties the app to the org it was made in.",
        "Remove orgScopedExternalApp before the deploy; Salesforce makes a new one.",
        _HEADER,
    ),
    Rule(
        "app-disabled",
        Levels("error", "warning", None),
        "The policies switch the app off: isEnabled is false.",
        "Nobody can log in with it.",
        "Set isEnabled to true, or leave the app out with --name.",
        _POLICIES,
    ),
    Rule(
        "oauth-plugin-disabled",
        Levels("error", "warning", None),
        "The policies switch OAuth off for the app: isOauthPluginEnabled is false.",
        "Nobody can log in with it by OAuth.",
        "Set isOauthPluginEnabled to true, or leave the app out with --name.",
        _POLICIES,
    ),
    Rule(
        "client-credentials-half-enabled",
        Levels("warning", "warning", "warning"),
        "The client credentials flow is on in only one of settings and policies.",
        "Salesforce needs both; the token request is refused.",
        "Set isClientCredentialsFlowEnabled alike in both files.",
        f"{_SETTINGS}; {_OAUTH_POLICIES}",
    ),
    Rule(
        "run-as-user-missing",
        Levels("warning", "warning", "note"),
        "The client credentials flow is on, but the policies name no clientCredentialsFlowUser.",
        "The token belongs to that user; without one the request is refused.",
        "Name an API-only user with the least permissions in clientCredentialsFlowUser.",
        _OAUTH_POLICIES,
    ),
    Rule(
        "jwt-without-certificate",
        Levels("warning", "warning", "note"),
        "The project, or ECAPIPE_JWT_KEY_FILE, says that the app logs in with the JWT flow, but the settings hold no "
        "certificate.",
        "Salesforce verifies the assertion with the certificate; without it the flow is off.",
        "Add the certificate that belongs to the key, deploy, and retrieve.",
        f"{_SETTINGS}; RFC 7523",
    ),
    Rule(
        "key-deployed-to-other-org",
        Levels(None, "warning", None),
        "The settings hold the consumer key of another org than the target. It is a note while the target's org id "
        "is unknown.",
        "A key is made for one org. Deployed to another, it makes two orgs share an identity, or the deploy fails.",
        "Remove consumerKey and consumerSecret before the deploy, then retrieve the new ones.",
        _SETTINGS,
    ),
    Rule(
        "unknown-element",
        Levels("note", "note", "note"),
        "A file holds an element that its type does not have, as far as ecapipe knows.",
        "It may be misspelt, and then has no effect or stops the deploy; or newer than ecapipe.",
        "Compare the name with the documentation of the type.",
        _GUIDE,
    ),
)

_EXPOSURE: Final = (
    Rule(
        "secret-tracked-by-git",
        Levels("warning", "error", "error"),
        "A file that holds a consumer secret is tracked by git.",
        "Everyone who can read the repository, now or later, can use the app's identity. Salesforce says "
        "this type must not be added to source control.",
        "Untrack the file, ignore it, and rotate the secret.",
        _SETTINGS,
    ),
    Rule(
        "secret-staged",
        Levels("warning", "error", "error"),
        "The next commit would add a consumer secret: it is in git's index, and not in the last commit.",
        "What was never committed needs no rotation. This is the last moment.",
        "Take the file out of the index, and ignore it.",
        _SETTINGS,
    ),
    Rule(
        "secret-in-history",
        Levels("warning", "warning", "warning"),
        "The app's consumer secret stands somewhere in the history of the repository (looked for with --history).",
        "Whoever has a clone has the secret, whatever the newest commit looks like.",
        "Rotate the secret. Rewriting history does not reach the clones.",
        f"{_HELP}, Stage, Rotate, and Delete OAuth Credentials",
    ),
    Rule(
        "secret-elsewhere-in-tree",
        Levels("warning", "error", "error"),
        "A file besides the settings holds the app's consumer secret. Files that git ignores are passed over, and "
        "before a login those of a tree that is in no repository.",
        "A copy in a script, a workflow or a note is committed, deployed and forgotten.",
        "Remove the value there, read it from the environment, and rotate it if the file was shared.",
        "CWE-798, Use of Hard-coded Credentials",
    ),
    Rule(
        "settings-not-gitignored",
        Levels("note", "warning", "warning"),
        "No pattern of .gitignore covers the app's global OAuth settings file. Before a login git is asked only if a "
        "secret is in the tree.",
        "The next retrieve may bring the secret, and the next commit takes it along.",
        "Add **/*.ecaGlblOauth-meta.xml to .gitignore.",
        _SETTINGS,
    ),
    Rule(
        "push-settings-secret-tracked",
        Levels("warning", "error", "error"),
        "A push settings file that holds a signing key or a service account is tracked by git.",
        "Whoever can read it can send notifications in the app's name.",
        "Untrack the file, ignore it, and replace the key at Apple or Google.",
        f"{_GUIDE}, ExtlClntAppPushSettings",
    ),
    Rule(
        "pkce-not-required",
        Levels("warning", "warning", "warning"),
        "The app allows the web server flow without PKCE: isPkceRequired is false.",
        "An authorization code that was overheard can be redeemed by somebody else.",
        "Set isPkceRequired to true.",
        "RFC 9700, section 2.1.1",
    ),
    Rule(
        "secret-optional-with-client-credentials",
        Levels("warning", "warning", "warning"),
        "The secret is optional although the client credentials flow is on.",
        "With that flow the secret is all that proves who asks; an app with it is no public client.",
        "Set isConsumerSecretOptional to false, or make a second app for the public client.",
        "RFC 6749, section 4.4",
    ),
    Rule(
        "scope-full",
        Levels("warning", "warning", "warning"),
        "The app may ask for the scope full.",
        "A token with it can do all that its user can.",
        "Name the scopes that are needed, such as Api.",
        f"{_OAUTH}; RFC 9700, section 2.3",
    ),
    Rule(
        "refresh-token-never-expires",
        Levels("warning", "warning", "warning"),
        "refreshTokenPolicyType is Infinite: refresh tokens are valid until they are revoked.",
        "A token that leaked, or was forgotten, works for ever.",
        "Use SpecificInactivity or SpecificLifetime.",
        f"{_OAUTH_POLICIES}; RFC 9700, section 4.14",
    ),
    Rule(
        "ip-relaxation-bypassed",
        Levels("warning", "warning", "warning"),
        "ipRelaxationPolicyType lets the app's users past the org's IP restrictions.",
        "A stolen token works from anywhere.",
        "Use Enforce, or Enforce_RelaxRefresh.",
        _OAUTH_POLICIES,
    ),
    Rule(
        "all-users-self-authorized",
        Levels("note", "note", "note"),
        "permittedUsersPolicyType is AllSelfAuthorized: every user of the org may authorize the app.",
        "Admins see the app only once somebody uses it.",
        "Use AdminApprovedPreAuthorized with a permission set.",
        _OAUTH_POLICIES,
    ),
    Rule(
        "file-permissions-open",
        Levels("note", None, None),
        "Other users of this machine may read a settings file that holds a consumer secret.",
        "On a shared machine that is everyone.",
        "Take the rights away: chmod 600.",
        "CWE-732, Incorrect Permission Assignment for Critical Resource",
    ),
    Rule(
        NOT_EXAMINED,
        Levels("warning", "error", "error"),
        "git refuses to read the repository, or has only a part of the history that --history asks for. It is a "
        "warning at most for a part of the history, and where there is no git program. No baseline accepts it.",
        "What was not looked at may hold a secret: that nothing was found there says nothing.",
        "Let git read the repository, and check again. A repository that belongs to somebody else has to be named in "
        "git's safe.directory.",
        "git-config, safe.directory",
    ),
)

RULES: Final[dict[str, Rule]] = {
    rule.name: rule for group in (_CREDENTIALS, _STRUCTURE, _DEPLOY, _EXPOSURE) for rule in group
}


def levels(settings: Mapping[str, object]) -> dict[str, Level | None]:
    """The levels that ``plugins.ecapipe.rules`` gives to rules; None is off.

    Raises `EcapipeError` (SchemaValidationError) for a rule or a level that does not exist.
    """
    # A misspelt rule would switch nothing off, or nothing on, and nobody would know.
    known: dict[object, Level | None] = {"off": None} | {level: level for level in LEVELS}
    for name, value in settings.items():
        if name not in RULES:
            reason = f"plugins.ecapipe.rules.{name} is no rule (ecapipe explain lists them)"
            raise EcapipeError(schema_validation_error(FILE, reason))
        if not isinstance(value, str) or value not in known:
            reason = f"plugins.ecapipe.rules.{name} must be one of off, note, warning, error"
            raise EcapipeError(schema_validation_error(FILE, reason))
    return {name: known[value] for name, value in settings.items()}
