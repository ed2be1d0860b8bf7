"""Every rule: a tree that breaks it, and one that is nearly the same and does not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

import chains
import keypairs
import pytest
import trees
from check import ground
from check.ground import AWAY, HOME, IGNORE, LINK, SETTINGS, Step, committed
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.adapters.environment import Environment
from ecapipe.check.findings import NOT_EXAMINED, PURPOSES, Finding
from ecapipe.check.inspection import CheckOptions
from ecapipe.check.rules import values
from ecapipe.check.rules.registry import RULES
from ecapipe.check.rules.subject import Evidence, Remark, RuleInput
from ecapipe.credentials import resolution
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.problems.project import unfit_api_version
from ecapipe.project import manifest
from ecapipe.project.apps import App

PROJECT = trees.project()
TARGETED = trees.project(plugins={"ecapipe": {"orgs": {"prod": {"url": "acme.my.salesforce.com", "orgId": HOME}}}})
ELSEWHERE = trees.project(plugins={"ecapipe": {"orgs": {"prod": {"url": "acme.my.salesforce.com", "orgId": AWAY}}}})
JWT = trees.project(plugins={"ecapipe": {"orgs": {"prod": {"url": "acme.my.salesforce.com", "flow": "jwt"}}}})
LENIENT = trees.project(plugins={"ecapipe": {"rules": {"scope-full": "off"}}})
REPLACED = trees.project(
    replacements=[{"filename": SETTINGS, "stringToReplace": "@@SECRET@@", "replaceWithEnv": "BILLING_SECRET"}]
)
OF_HOME = trees.project(
    replacements=[{"filename": SETTINGS, "stringToReplace": "@@SECRET@@", "replaceWithEnv": "HOME"}]
)
SCOPED = {"orgScopedExternalApp": f"{HOME}:Billing"}
PUBLIC = {"isConsumerSecretOptional": "true"}
DEVICE = {"isDeviceFlowEnabled": "true"}
CERTIFICATE = {"certificate": "TUlJRkFLRQ=="}
CLIENT_CREDENTIALS: trees.Changes = {
    "settings": trees.CLIENT_CREDENTIALS,
    "policies": {**trees.CLIENT_CREDENTIALS, "clientCredentialsFlowUser": "robot@example.com"},
}
POLICIES = f"{trees.DEFAULT}/extlClntAppPolicies/Billing_plcy.ecaPlcy-meta.xml"
PUSH = f"{trees.DEFAULT}/extlClntAppPushSettings/Billing.ecaPush-meta.xml"
APPLE = {"applePushConfig": "made up", "externalClientApplication": "Billing"}
LONG = "\n".join(f"https://example.com/{number:0100}" for number in range(20))
SECRET = trees.secret("Billing")
# Always of the same day: recorded journeys show it.
LONG_AGO = (datetime(2020, 1, 1, tzinfo=UTC) - datetime.now(UTC)).days
OLD, NEW = (keypairs.certificate(keypairs.rsa_key(), days).strip() for days in (LONG_AGO, 365))
SETTINGS_NAME = SETTINGS.rpartition("/")[2]


def app(**changes: Unpack[trees.Changes]) -> trees.Files:
    """The app Billing, with changes to its files, in a plain project."""
    return PROJECT | trees.app(**changes)


def mcp(settings: trees.Elements = trees.AS_USUAL, oauth: trees.Elements = trees.AS_USUAL) -> trees.Files:
    """An app as Salesforce's guide to hosted MCP servers makes it, for a client on a desktop, with changes."""
    public: trees.Elements = {
        "callbackUrl": "https://claude.ai/api/mcp/auth_callback",
        "consumerSecret": None,
        "isConsumerSecretOptional": "true",
        "isNamedUserJwtEnabled": "true",
        "isPkceRequired": "true",
        "isSecretRequiredForRefreshToken": "false",
    }
    return app(settings={**public, **settings}, oauth={"commaSeparatedOauthScopes": "MCP, RefreshToken", **oauth})


def connected(name: str, key: str = "3MVG9.another") -> trees.Files:
    """The file of a connected app."""
    config = f"<oauthConfig><callbackUrl>{trees.LOOPBACK}</callbackUrl><consumerKey>{key}</consumerKey></oauthConfig>"
    text = f'<ConnectedApp xmlns="{trees.NAMESPACE}">{config}<label>{name}</label></ConnectedApp>'
    return {f"{trees.DEFAULT}/connectedApps/{name}.connectedApp-meta.xml": text}


def switches(**elements: str) -> trees.Files:
    """The app and its policies with a switch."""
    document = trees.xml("ExtlClntAppConfigurablePolicies", {"externalClientApplication": "Billing", **elements})
    return app() | {POLICIES: document}


def asked(rule: str, app: App) -> list[Remark]:
    """What a rule says of an app, asked for itself."""
    chain = chains.chain((app,), (), Environment({}).credential)
    check = RULES[rule].check_app
    assert check is not None
    return list(check(RuleInput.of(app, resolution.resolve(app, None, chain, allowed_flows), Evidence())))


def broken_callbacks(root: Path, *urls: str) -> list[Finding]:
    ground.ready(root, app(settings={"callbackUrl": urls}))
    return [each for each in ground.findings(root) if each.rule == "callback-invalid"]


def renamed(old: str, new: str, files: trees.Files) -> trees.Files:
    return {path.replace(old, new): content for path, content in files.items()}


@dataclass(frozen=True)
class Case:
    """`line` is what stands on the line of the finding; empty for what is not there."""

    bad: trees.Files | Sequence[Step]
    good: trees.Files | Sequence[Step]
    line: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    gate: CheckOptions = field(default_factory=CheckOptions)


TARGET = CheckOptions(target="prod")

CASES = {
    "consumer-key-missing": Case(app(settings={"consumerKey": None}), app()),
    "consumer-secret-missing": Case(app(settings={"consumerSecret": None}), app()),
    "credential-placeholder": Case(
        app(settings={"consumerSecret": "REPLACE_ME"}), app(), "<consumerSecret>REPLACE_ME</consumerSecret>"
    ),
    "credential-duplicated": Case(
        app(settings={"consumerKey": ("one", "two")}),
        app(settings={"consumerKey": ("one",)}),
        "<consumerKey>one</consumerKey>",
    ),
    "replacement-unresolved": Case(
        REPLACED | trees.app(settings={"consumerSecret": "@@SECRET@@"}),
        REPLACED | trees.app(settings={"consumerSecret": SECRET}),
        "<consumerSecret>@@SECRET@@</consumerSecret>",
    ),
    "variable-reserved": Case(
        OF_HOME | trees.app(settings={"consumerSecret": "@@SECRET@@"}),
        OF_HOME | trees.app(),
        "<consumerSecret>@@SECRET@@</consumerSecret>",
        {"HOME": "/home/made-up"},
    ),
    "credential-sources-mixed": Case(
        app(settings={"consumerKey": "3MVG9.another"}),
        app(settings={"consumerSecret": None}),
        "<consumerKey>3MVG9.another</consumerKey>",
        {"ECAPIPE_CLIENT_ID": trees.key("Billing")},
    ),
    "secret-not-needed": Case(app(settings=PUBLIC), app(), f"<consumerSecret>{SECRET}</consumerSecret>"),
    "credential-shape": Case(
        app(settings={"consumerSecret": "0123456789ABCDEF-made-up"}),
        app(settings={"consumerSecret": "0123456789012345678"}),
        "<consumerSecret>0123456789ABCDEF-made-up</consumerSecret>",
    ),
    "same-key-in-two-apps": Case(
        app() | trees.app("Portal", settings={"consumerKey": trees.key("Billing")}),
        app() | trees.app("Portal"),
        f"<consumerKey>{trees.key('Billing')}</consumerKey>",
    ),
    "settings-missing": Case(app(settings=None), app()),
    "settings-duplicated": Case(
        app() | trees.app(folder="force-app/copy", header=None, oauth=None, policies=None),
        app() | trees.app("Portal", folder="force-app/copy", header=None, oauth=None, policies=None),
        "<externalClientApplication>Billing</externalClientApplication>",
    ),
    "settings-orphaned": Case(
        app(header=None, oauth=None, policies=None),
        app(header=None, policies=None),
        "<externalClientApplication>Billing</externalClientApplication>",
    ),
    "app-header-missing": Case(
        app(header=None), app(), "<externalClientApplication>Billing</externalClientApplication>"
    ),
    "oauth-settings-missing": Case(
        app(oauth=None), app(), "<externalClientApplication>Billing</externalClientApplication>"
    ),
    "policies-missing": Case(
        app(policies=None), app(), "<externalClientApplication>Billing</externalClientApplication>"
    ),
    "suffix-misspelt": Case(app() | {"force-app/a.ecaGlobalOauth-meta.xml": "<a/>"}, app()),
    "wrong-root": Case(
        app() | {"force-app/a.eca-meta.xml": trees.xml("ConnectedApp", {"label": "a"})},
        app() | {"force-app/a.eca-meta.xml": trees.xml("ExternalClientApplication", {"label": "a"})},
        f'<ConnectedApp xmlns="{trees.NAMESPACE}">',
    ),
    "malformed-xml": Case(
        app() | {"force-app/a.eca-meta.xml": "<ExternalClientApplication>\n</oops>"},
        app() | {"force-app/a.eca-meta.xml": "<ExternalClientApplication>\n</ExternalClientApplication>"},
        "</oops>",
    ),
    "namespace-mismatch": Case(
        app(settings={"externalClientApplication": "acme__Billing"}),
        trees.project(namespace="acme") | trees.app(settings={"externalClientApplication": "acme__Billing"}),
        "<externalClientApplication>acme__Billing</externalClientApplication>",
    ),
    "callback-missing": Case(
        app(settings={"callbackUrl": None}), app(**(CLIENT_CREDENTIALS | {"settings": {
            **trees.CLIENT_CREDENTIALS, "callbackUrl": None}}))
    ),
    "callback-invalid": Case(
        app(settings={"callbackUrl": "https://example.com/a\nexample.com/b"}),
        app(settings={"callbackUrl": "https://example.com/a\nbilling://example.com/b"}),
        "<callbackUrl>https://example.com/a",
    ),
    "callback-insecure": Case(
        app(settings={"callbackUrl": "http://example.com/a"}),
        app(settings={"callbackUrl": "http://127.0.0.1:8080/a"}),
        "<callbackUrl>http://example.com/a</callbackUrl>",
    ),
    "callback-too-long": Case(
        app(settings={"callbackUrl": LONG}),
        app(settings={"callbackUrl": LONG[:2000]}),
        f"<callbackUrl>{LONG.splitlines()[0]}",
    ),
    "label-missing": Case(app(), app(settings={"label": "Billing_glbloauth"})),
    "settings-forceignored": Case(
        app() | {".forceignore": "*.ecaGlblOauth-meta.xml\n"}, app() | {".forceignore": "*.ecaOauth-meta.xml\n"}
    ),
    "rotates-on-deploy": Case(
        app(settings={"shouldRotateConsumerSecret": "true"}),
        app(settings={"shouldRotateConsumerSecret": "false"}),
        "<shouldRotateConsumerSecret>true</shouldRotateConsumerSecret>",
    ),
    "dpop-required": Case(
        app(settings={"isDPopEnabled": "true"}),
        app(settings={"isDPopEnabled": "false"}),
        "<isDPopEnabled>true</isDPopEnabled>",
    ),
    "certificate-dropped": Case(
        [*committed(app(settings=CERTIFICATE)), app()],
        [*committed(app(settings=CERTIFICATE)), app(settings={"certificate": "TmV3"})],
    ),
    "value-unknown": Case(
        app(header={"distributionState": "Locale"}),
        app(header={"distributionState": "Managed"}, settings={"isPkceRequired": "1"}),
        "<distributionState>Locale</distributionState>",
    ),
    "scope-unknown": Case(
        app(oauth={"commaSeparatedOauthScopes": "Basic, api"}),
        app(oauth={"commaSeparatedOauthScopes": "Basic,Api,CDP"}),
        "<commaSeparatedOauthScopes>Basic, api</commaSeparatedOauthScopes>",
    ),
    "jwt-without-refresh-scope": Case(
        JWT | trees.app(settings=CERTIFICATE),
        JWT | trees.app(settings=CERTIFICATE, oauth={"commaSeparatedOauthScopes": "Api, RefreshToken"}),
        "<commaSeparatedOauthScopes>Api, Basic</commaSeparatedOauthScopes>",
    ),
    "certificate-expired": Case(
        app(settings={"certificate": OLD}), app(settings={"certificate": NEW}), f"<certificate>{OLD.splitlines()[0]}"
    ),
    "certificate-invalid": Case(
        app(settings={"certificate": "{{CERTIFICATE}}"}),
        app(settings={"certificate": "\n        ".join(NEW.splitlines()[1:-1])}),
        "<certificate>{{CERTIFICATE}}</certificate>",
    ),
    "api-version-too-old": Case(
        trees.project(sourceApiVersion="58.0") | trees.app(), trees.project(sourceApiVersion="59.0") | trees.app()
    ),
    "org-scoped-app-malformed": Case(
        app(header={"orgScopedExternalApp": "Billing"}),
        app(header=SCOPED),
        "<orgScopedExternalApp>Billing</orgScopedExternalApp>",
    ),
    "contact-email-missing": Case(app(header={"contactEmail": None}), app()),
    "settings-deleted": Case(
        [*committed(app()), f"rm --quiet {SETTINGS}"], [*committed(app()), f"mv {SETTINGS} force-app/{SETTINGS_NAME}"]
    ),
    "oauth-link-foreign": Case(
        ELSEWHERE | trees.app(oauth=LINK),
        TARGETED | trees.app(oauth=LINK),
        f"<oauthLink>{LINK['oauthLink']}</oauthLink>",
        gate=TARGET,
    ),
    "oauth-link-stale": Case(
        app(oauth=LINK, settings={"consumerKey": None}),
        app(oauth=LINK),
        f"<oauthLink>{LINK['oauthLink']}</oauthLink>",
    ),
    "org-scoped-app-foreign": Case(
        ELSEWHERE | trees.app(header=SCOPED),
        TARGETED | trees.app(header=SCOPED),
        f"<orgScopedExternalApp>{HOME}:Billing</orgScopedExternalApp>",
        gate=TARGET,
    ),
    "app-disabled": Case(switches(isEnabled="false"), switches(isEnabled="true"), "<isEnabled>false</isEnabled>"),
    "oauth-plugin-disabled": Case(
        switches(isOauthPluginEnabled="false"),
        switches(isOauthPluginEnabled="1"),
        "<isOauthPluginEnabled>false</isOauthPluginEnabled>",
    ),
    "client-credentials-half-enabled": Case(
        app(settings=trees.CLIENT_CREDENTIALS),
        PROJECT | trees.app(**CLIENT_CREDENTIALS),
        "<isClientCredentialsFlowEnabled>false</isClientCredentialsFlowEnabled>",
    ),
    "run-as-user-missing": Case(
        app(settings=trees.CLIENT_CREDENTIALS, policies=trees.CLIENT_CREDENTIALS),
        PROJECT | trees.app(**CLIENT_CREDENTIALS),
        "<isClientCredentialsFlowEnabled>true</isClientCredentialsFlowEnabled>",
    ),
    "jwt-without-certificate": Case(JWT | trees.app(), JWT | trees.app(settings=CERTIFICATE)),
    "key-deployed-to-other-org": Case(
        ELSEWHERE | trees.app(oauth=LINK),
        TARGETED | trees.app(oauth=LINK),
        f"<consumerKey>{trees.key('Billing')}</consumerKey>",
        gate=TARGET,
    ),
    "unknown-element": Case(
        app(settings={"consumerSecrett": "x"}), app(settings={"label": "x"}), "<consumerSecrett>x</consumerSecrett>"
    ),
    "secret-tracked-by-git": Case(
        committed(app()), [*committed(IGNORE), app()], f"<consumerSecret>{SECRET}</consumerSecret>"
    ),
    "secret-staged": Case([app(), "add --all"], committed(app()), f"<consumerSecret>{SECRET}</consumerSecret>"),
    "secret-in-history": Case(
        [*committed(app()), "mv force-app old", *committed(IGNORE), "rm -r --quiet old", *committed(app() | IGNORE)],
        [*committed(IGNORE, app(settings={"consumerSecret": trees.secret("old")})), app()],
        f"<consumerSecret>{SECRET}</consumerSecret>",
        gate=CheckOptions(history=True),
    ),
    "secret-elsewhere-in-tree": Case(
        [app() | {"scripts/login.sh": f"#!/bin/sh\ncurl -d client_secret={SECRET}\n"}, "status"],
        [app() | {"scripts/login.sh": f"#!/bin/sh\ncurl -d client_secret={SECRET[:-1]}\n"}, "status"],
        f"curl -d client_secret={SECRET}",
    ),
    "settings-not-gitignored": Case([app(), "status"], [app(), IGNORE, "status"]),
    "push-settings-secret-tracked": Case(
        committed(app() | {PUSH: trees.xml("ExtlClntAppPushSettings", APPLE)}),
        committed(app() | {PUSH: trees.xml("ExtlClntAppPushSettings", {**APPLE, "applePushConfig": None})}),
        "<applePushConfig>made up</applePushConfig>",
    ),
    "pkce-not-required": Case(
        app(settings={"isPkceRequired": "false"}), app(), "<isPkceRequired>false</isPkceRequired>"
    ),
    "secret-optional-with-client-credentials": Case(
        app(**(CLIENT_CREDENTIALS | {"settings": {**trees.CLIENT_CREDENTIALS, **PUBLIC}})),
        app(**CLIENT_CREDENTIALS),
        "<isConsumerSecretOptional>true</isConsumerSecretOptional>",
    ),
    "scope-full": Case(
        app(oauth={"commaSeparatedOauthScopes": "Full, Api"}),
        app(oauth={"commaSeparatedOauthScopes": "Fuller, Api"}),
        "<commaSeparatedOauthScopes>Full, Api</commaSeparatedOauthScopes>",
    ),
    "refresh-token-never-expires": Case(
        app(policies={"refreshTokenPolicyType": "Infinite"}),
        app(policies={"refreshTokenPolicyType": "SpecificLifetime"}),
        "<refreshTokenPolicyType>Infinite</refreshTokenPolicyType>",
    ),
    "ip-relaxation-bypassed": Case(
        app(policies={"ipRelaxationPolicyType": "Bypass_2factor"}),
        app(policies={"ipRelaxationPolicyType": "Enforce_RelaxRefresh"}),
        "<ipRelaxationPolicyType>Bypass_2factor</ipRelaxationPolicyType>",
    ),
    "all-users-self-authorized": Case(
        app(policies={"permittedUsersPolicyType": "AllSelfAuthorized"}),
        app(policies={"permittedUsersPolicyType": "AdminApprovedPreAuthorized"}),
        "<permittedUsersPolicyType>AllSelfAuthorized</permittedUsersPolicyType>",
    ),
    "device-flow-restricted": Case(
        app(settings={**DEVICE, "callbackUrl": "https://example.com/a"}),
        app(settings=DEVICE),
        "<isDeviceFlowEnabled>true</isDeviceFlowEnabled>",
    ),
    "instanced-url": Case(
        trees.project(sfdcLoginUrl="https://na99.salesforce.com") | trees.app(),
        trees.project(sfdcLoginUrl="https://na99.my.salesforce.com") | trees.app(),
    ),
    "connected-app-beside": Case(app() | connected("Billing"), app() | connected("Billing2")),
    "mcp-scopes": Case(
        mcp(oauth={"commaSeparatedOauthScopes": "Api, RefreshToken"}),
        mcp(),
        "<commaSeparatedOauthScopes>Api, RefreshToken</commaSeparatedOauthScopes>",
    ),
    "mcp-tokens-not-jwt": Case(
        mcp({"isNamedUserJwtEnabled": "false"}), mcp(), "<isNamedUserJwtEnabled>false</isNamedUserJwtEnabled>"
    ),
    "mcp-secret-required": Case(
        mcp({"isConsumerSecretOptional": "false"}),
        mcp(),
        "<isConsumerSecretOptional>false</isConsumerSecretOptional>",
    ),
    "mcp-callback-unknown": Case(
        mcp({"callbackUrl": "https://claude.ai/api/mcp/auth_callback/"}),
        mcp(),
        "<callbackUrl>https://claude.ai/api/mcp/auth_callback/</callbackUrl>",
    ),
    "check-config-changed": Case(
        [*committed(app()), LENIENT], committed(app() | LENIENT), gate=CheckOptions(config_from="HEAD")
    ),
}  # fmt: skip
BY_HAND = {"file-permissions-open", NOT_EXAMINED}
"""Rules about what no tree of files says."""


@pytest.mark.parametrize(("rule", "case"), CASES.items(), ids=CASES)
def test_a_rule_is_broken_by_one_tree_and_kept_by_the_other(rule: str, case: Case, tmp_path: Path) -> None:
    bad, good = ground.ready(tmp_path / "bad", case.bad), ground.ready(tmp_path / "good", case.good)
    for purpose in PURPOSES:
        gate = replace(case.gate, purpose=purpose)
        found = [each for each in ground.findings(bad, gate, **case.variables) if each.rule == rule]
        level = RULES[rule].levels.of(purpose)
        assert {each.level for each in found} == ({level} if level else set()), purpose
        assert rule not in ground.rules(good, gate, **case.variables), purpose
        for each in found:
            assert each.actions
            assert each.file is not None
            assert ground.line(bad, each) == case.line if case.line else each.line is None


def test_others_may_read_the_secret(tmp_path: Path) -> None:
    root = ground.private(ground.ready(tmp_path, app()))
    assert "file-permissions-open" not in ground.rules(root)
    os.chmod(root / SETTINGS, 0o640)
    (found,) = [each for each in ground.findings(root) if each.rule == "file-permissions-open"]
    assert (found.level, ground.line(root, found)) == ("note", f"<consumerSecret>{SECRET}</consumerSecret>")
    assert "file-permissions-open" not in ground.rules(root, CheckOptions("deploy"))


def test_every_rule_has_its_trees() -> None:
    assert CASES.keys() | BY_HAND == RULES.keys()


def test_fingerprints_of_one_project_are_all_different(tmp_path: Path) -> None:
    for number, case in enumerate(CASES.values()):
        root = ground.ready(tmp_path / str(number), case.bad)
        found = ground.findings(root, replace(case.gate, purpose="deploy"), **case.variables)
        assert len({each.fingerprint for each in found}) == len(found), [each.rule for each in found]


def test_no_finding_holds_a_secret_or_a_key(tmp_path: Path) -> None:
    for number, case in enumerate(CASES.values()):
        root = ground.ready(tmp_path / str(number), case.bad)
        for value in (SECRET, trees.key("Billing")):
            assert value[:8] not in repr(ground.findings(root, case.gate, **case.variables))


def test_a_complete_app_is_clean_before_a_login(tmp_path: Path) -> None:
    assert ground.findings(ground.private(ground.ready(tmp_path, app()))) == []


# --- cases within a rule ------------------------------------------------------------------------------------


KNOWN_VALUES = [(name, value) for name, known in values.VALUES.items() for value in sorted(known)]


@given(st.sampled_from(KNOWN_VALUES), st.integers(0, 30), st.sampled_from("case more less other".split()))
def test_a_slip_of_the_pen_is_an_error_before_a_deploy(known: tuple[str, str], at: int, kind: str) -> None:
    name, value = known
    at = min(at, len(value))
    slips = {
        "case": value.swapcase(),
        "more": f"{value[:at]}q{value[at:]}",
        "less": value[:at] + value[at + 1 :],
        "other": f"{value[:at]}q{value[at + 1 :]}",
    }
    (found,) = trees.assembled(trees.app(settings={name: slips[kind]}))
    remarks = [(each.element, each.at_most) for each in asked("value-unknown", found)]
    silent = not slips[kind] or slips[kind] in values.VALUES[name]
    assert remarks == ([] if silent else [(name, None)])


@given(st.sampled_from(KNOWN_VALUES))
def test_another_value_is_an_error_only_where_it_should_be_a_boolean(known: tuple[str, str]) -> None:
    (found,) = trees.assembled(trees.app(settings={known[0]: "Quite Different"}))
    (remark,) = asked("value-unknown", found)
    assert remark.at_most == (None if "true" in values.VALUES[known[0]] else "warning")


@pytest.mark.parametrize(
    ("scopes", "levels"),
    [
        ("Api, refresh_token", ["warning"]),
        ("Api; Basic", ["warning"]),
        ("Apii", ["error"]),
        ("openid, BASIC", ["error", "error"]),
        ("Something2030", ["warning"]),
    ],
)
def test_only_slips_of_known_scopes_stop_a_deploy(scopes: str, levels: list[str], tmp_path: Path) -> None:
    root = ground.ready(tmp_path, app(oauth={"commaSeparatedOauthScopes": scopes}))
    found = [each for each in ground.findings(root, CheckOptions("deploy")) if each.rule == "scope-unknown"]
    assert [each.level for each in found] == levels


@pytest.mark.parametrize("name", ["Billing", "ns__Billing"])
def test_a_name_of_a_package_is_the_apps_own_with_and_without_its_namespace(name: str, tmp_path: Path) -> None:
    header = {"orgScopedExternalApp": f"{HOME}:{name}"}
    root = ground.ready(tmp_path, trees.project() | trees.app("ns__Billing", header=header))
    assert "org-scoped-app-malformed" not in ground.rules(root, CheckOptions("deploy"))


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (f"{HOME}:Billing", None),
        (f"{HOME[:15]}:ns__Billing", None),
        (f"{HOME}:Portal", "warning"),
        (f"{HOME}:", "error"),
        (f"{HOME}", "error"),
        ("001000000000001:Billing", "error"),
        (f"Billing:{HOME}", "error"),
    ],
)
def test_the_element_that_is_wrong_is_blamed(text: str, level: str | None, tmp_path: Path) -> None:
    root = ground.ready(tmp_path, app(header={"orgScopedExternalApp": text}, oauth=LINK))
    found = ground.findings(root, CheckOptions("deploy"))
    assert {each.level for each in found if each.rule == "org-scoped-app-malformed"} == ({level} if level else set())
    assert "oauth-link-stale" not in {each.rule for each in found}


@pytest.mark.parametrize("version", ["58.0", "9.0", "abc", "", "59.1", "-60.0"])
def test_a_version_that_knows_no_external_client_app_stops_deploy_and_manifest(version: str, tmp_path: Path) -> None:
    root = ground.ready(tmp_path, trees.project(sourceApiVersion=version) | trees.app())
    assert "api-version-too-old" in ground.rules(root, CheckOptions("deploy"))
    problem = problem_of(manifest.of, ground.inspect(root).found)
    assert (problem.kind, repr(version) in problem.message) == (unfit_api_version, True)
    assert problem.actions


def test_a_certificate_that_a_replacement_fills_in_is_not_judged(tmp_path: Path) -> None:
    entry = {"filename": SETTINGS, "stringToReplace": "{{CERTIFICATE}}", "replaceWithEnv": "BILLING_CERTIFICATE"}
    files = trees.project(replacements=[entry]) | trees.app(settings={"certificate": "{{CERTIFICATE}}"})
    assert "certificate-invalid" not in ground.rules(ground.ready(tmp_path, files))


def test_the_fault_of_a_callback_is_named(tmp_path: Path) -> None:
    urls = "https://example.com/a#b\nhttps://*.example.com\nexample.com"
    (found,) = broken_callbacks(tmp_path / "faults", urls)
    for part in ("a#b has a fragment", "example.com has a wildcard", "example.com is not an absolute URL"):
        assert part in found.message
    (found,) = broken_callbacks(tmp_path / "two", trees.LOOPBACK, "https://example.com/b")
    assert ground.line(tmp_path / "two", found) == "<callbackUrl>https://example.com/b</callbackUrl>"


@pytest.mark.parametrize("rule", ["oauth-link-foreign", "org-scoped-app-foreign", "key-deployed-to-other-org"])
def test_an_unknown_target_is_a_note(rule: str, tmp_path: Path) -> None:
    orgs = {"prod": {"url": "acme.my.salesforce.com"}}
    files = trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.app(oauth=LINK, header=SCOPED)
    root = ground.ready(tmp_path, files)
    for gate in (
        CheckOptions("deploy"),
        CheckOptions("deploy", target="prod"),
        CheckOptions("deploy", target="acme.my.salesforce.com"),
    ):
        (found,) = [each for each in ground.findings(root, gate) if each.rule == rule]
        assert found.level == "note"
        assert "unknown" in found.message
    assert rule not in ground.rules(root)


def test_a_linked_app_may_name_another_org(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, ELSEWHERE | trees.app(settings=None, oauth=LINK))
    assert not {"oauth-link-foreign", "oauth-link-stale"} & ground.rules(root, CheckOptions("deploy", target="prod"))


@pytest.mark.parametrize(
    ("header", "oauth", "stale"),
    [
        ({}, {"oauthLink": "not a link"}, True),
        ({}, {"oauthLink": f"{HOME[:15]}:888000000000001"}, False),
        ({"orgScopedExternalApp": f"{AWAY}:Billing"}, LINK, True),
        (SCOPED, LINK, False),
        ({"orgScopedExternalApp": f"{HOME[:15]}:Billing"}, LINK, False),
    ],
)
def test_a_link_is_stale_if_it_cannot_be_the_apps_own(
    header: trees.Elements, oauth: trees.Elements, stale: bool, tmp_path: Path
) -> None:
    root = ground.ready(tmp_path, app(header=header, oauth=oauth))
    assert ("oauth-link-stale" in ground.rules(root)) is stale


def test_one_key_stands_in_for_jwt_only_where_one_app_is_checked(tmp_path: Path) -> None:
    one = ground.ready(tmp_path / "one", app())
    two = ground.ready(tmp_path / "two", app() | trees.app("Portal"))
    assert "jwt-without-certificate" in ground.rules(one, ECAPIPE_JWT_KEY_FILE="key.pem")
    assert "jwt-without-certificate" not in ground.rules(two, ECAPIPE_JWT_KEY_FILE="key.pem")


@pytest.mark.parametrize("apps", [["Portal"], "Portal", "Portal; Other"])
def test_an_org_may_name_the_apps_that_use_jwt(apps: object, tmp_path: Path) -> None:
    orgs = {"prod": {"url": "acme.my.salesforce.com", "flow": "jwt", "apps": apps}}
    files = trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.app() | trees.app("Portal")
    found = ground.findings(ground.ready(tmp_path, files), CheckOptions("deploy"))
    told = {each.app for each in found if each.rule in ("jwt-without-certificate", "certificate-dropped")}
    assert told == {"Portal"}


@pytest.mark.parametrize(
    ("url", "valid"),
    [
        ("https://example.com", True),
        ("https://example.com:8443/a?b=c", True),
        ("billing:done", True),
        ("com.example.app://done", True),
        ("http://[::1]:1717/a", True),
        ("https://", False),
        ("https:///path", False),
        ("https://example.com/a#b", False),
        ("https://*.example.com/a", False),
        ("https://example.com/a b", False),
        ("https://example.com:port/", False),
        ("//example.com/a", False),
        ("example.com", False),
        ("1a://b", False),
    ],
)
def test_callback_urls_are_absolute(url: str, valid: bool, tmp_path: Path) -> None:
    root = ground.ready(tmp_path, app(settings={"callbackUrl": url}))
    assert ("callback-invalid" not in ground.rules(root)) is valid


def test_a_secret_that_is_supplied_counts_before_a_login_but_not_in_a_deploy(tmp_path: Path) -> None:
    files = REPLACED | trees.app(settings={"consumerKey": "REPLACE_ME", "consumerSecret": "@@SECRET@@"})
    root = ground.ready(tmp_path, files)
    supplied: dict[str, Any] = {"ECAPIPE_CLIENT_ID": trees.key("Billing"), "ECAPIPE_CLIENT_SECRET": SECRET}
    both = {"credential-placeholder", "replacement-unresolved"}
    assert not both & ground.rules(root, **supplied)
    assert both <= ground.rules(root, CheckOptions("deploy"), **supplied)
    assert "replacement-unresolved" not in ground.rules(root, CheckOptions("deploy"), BILLING_SECRET=SECRET)


def test_orgs_that_name_what_programs_need_are_told_of(tmp_path: Path) -> None:
    orgs = {
        alias: {"url": "acme.my.salesforce.com", "secretEnv": name}
        for alias, name in {"one": "https_proxy", "two": "GIT_DIR", "three": "THREE_SECRET"}.items()
    }
    root = ground.ready(tmp_path, trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.app())
    for purpose, level in {"login": "error", "deploy": "error", "commit": "warning"}.items():
        (found,) = [each for each in ground.findings(root, ground.for_(purpose)) if each.rule == "variable-reserved"]
        assert (found.level, found.app, found.file) == (level, None, "sfdx-project.json")
        assert "plugins.ecapipe.orgs.one is https_proxy" in found.message
        assert "plugins.ecapipe.orgs.two is GIT_DIR" in found.message
        assert "three" not in found.message
    assert "variable-reserved" not in {each.rule for each in ground.inspect(root, trusted=False).findings}


def test_a_reserved_variable_is_no_unresolved_one_and_cannot_be_left_empty(tmp_path: Path) -> None:
    entry = {"filename": SETTINGS, "stringToReplace": "@@SECRET@@", "replaceWithEnv": "LANG"}
    for optional in (False, True):
        entries = [{**entry, "allowUnsetEnvVariable": optional}]
        files = trees.project(replacements=entries) | trees.app(settings={"consumerSecret": "@@SECRET@@"})
        told = ground.rules(ground.ready(tmp_path / str(optional), files), LANG="C")
        assert "variable-reserved" in told
        assert not {"replacement-unresolved", "credential-placeholder"} & told


def test_a_refresh_that_needs_the_secret_needs_it_in_a_public_client(tmp_path: Path) -> None:
    scopes = {"commaSeparatedOauthScopes": "Api, RefreshToken"}
    needed = ground.ready(tmp_path / "needed", app(settings=PUBLIC, oauth=scopes))
    spare = ground.ready(
        tmp_path / "spare", app(settings={**PUBLIC, "isSecretRequiredForRefreshToken": "false"}, oauth=scopes)
    )
    assert "secret-not-needed" not in ground.rules(needed)
    assert "secret-not-needed" in ground.rules(spare)


def test_a_secret_of_the_environment_is_looked_for_too(tmp_path: Path) -> None:
    files = app(settings={"consumerSecret": None}) | {"notes/todo.txt": f"secret: {SECRET}\n"}
    root = ground.ready(tmp_path, [files, "status"])
    assert "secret-elsewhere-in-tree" not in ground.rules(root)
    (found,) = [
        each
        for each in ground.findings(root, ECAPIPE_CLIENT_SECRET_BILLING=SECRET)
        if each.rule == "secret-elsewhere-in-tree"
    ]
    assert (found.file, found.line, found.app) == ("notes/todo.txt", 1, "Billing")


def test_git_looks_for_a_secret_letter_by_letter(tmp_path: Path) -> None:
    secret = r"^a.b*c[d]^e$f\g+h?1234$"
    files = app(settings={"consumerSecret": None}) | {
        "notes/todo.txt": f"secret: {secret}\n",
        "notes/other.txt": secret.replace(".", "x"),
    }
    root = ground.ready(tmp_path, [files, "status"])
    found = ground.findings(root, ECAPIPE_CLIENT_SECRET_BILLING=secret)
    assert [each.file for each in found if each.rule == "secret-elsewhere-in-tree"] == ["notes/todo.txt"]


def test_what_git_ignores_is_nobodys_business(tmp_path: Path) -> None:
    files = app() | {".env": f"SECRET={SECRET}\n", ".gitignore": ".env\n"}
    assert "secret-elsewhere-in-tree" not in ground.rules(ground.ready(tmp_path, [files, "status"]))


def test_without_a_repository_every_file_is_read_but_not_for_a_login(tmp_path: Path) -> None:
    files = app() | {"scripts/login.sh": f"made up\n{SECRET}\n", "node_modules/a": SECRET, ".sf/config": SECRET}
    root = ground.ready(tmp_path, files)
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to("scripts/login.sh")
    assert "secret-elsewhere-in-tree" not in ground.rules(root)
    for purpose in ("deploy", "commit"):
        found = [
            each for each in ground.findings(root, ground.for_(purpose)) if each.rule == "secret-elsewhere-in-tree"
        ]
        assert [(each.file, each.line) for each in found] == [("scripts/login.sh", 2)]


def test_before_a_login_git_is_asked_only_where_a_secret_is(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [*committed(app(settings={**CERTIFICATE, "consumerSecret": None})), "status"])
    trees.plant(root, app(settings={"consumerSecret": None}))
    asked = {"certificate-dropped", "settings-not-gitignored"}
    assert not asked & ground.rules(root)
    assert asked <= ground.rules(root, CheckOptions("deploy"))
    trees.plant(root, app())
    assert asked <= ground.rules(root)


def test_a_rotated_secret_is_staged_anew(tmp_path: Path) -> None:
    rotated = app(settings={"consumerSecret": trees.secret("rotated")})
    root = ground.ready(tmp_path, [*committed(app()), rotated])
    assert "secret-staged" not in ground.rules(root)
    ground.git(root, "add", "--all")
    assert "secret-staged" in ground.rules(root)
    moved = ground.ready(tmp_path / "moved", [*committed(app()), app(settings={"label": "new"}), "add --all"])
    assert "secret-staged" not in ground.rules(moved)
