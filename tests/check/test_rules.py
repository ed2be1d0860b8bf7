"""Rules: which findings an app gives rise to, where, and at which level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import chains
import pytest
import trees
from commandline import inside

from ecapipe.adapters.environment import Environment
from ecapipe.check.findings import Finding
from ecapipe.check.rules import registry
from ecapipe.check.rules.registry import RULES
from ecapipe.check.rules.subject import Evidence, Remark, RuleInput, Sighting
from ecapipe.credentials import resolution
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.problems.problem import Problem
from ecapipe.problems.project import malformed_xml, suffix_misspelt, wrong_root
from ecapipe.project import metadata
from ecapipe.project.apps import App

SETTINGS = f"{trees.DEFAULT}/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"
HEADER = f"{trees.DEFAULT}/externalClientApps/Billing.eca-meta.xml"
LINK = {"oauthLink": "00D000000000001EAA:888000000000001AAA"}
PUBLIC = {"isConsumerSecretOptional": "true"}
NO_SECRET = {"consumerSecret": None}


def checked(
    apps: Sequence[App],
    *,
    exposed: Sequence[str] = (),
    unreadable: Sequence[Problem] = (),
    **variables: Any,
) -> list[Finding]:
    chain = chains.chain(apps, (), Environment(variables).credential)
    proven = [resolution.resolve(app, None, chain, allowed_flows) for app in apps]
    return registry.check(apps, proven, Evidence(exposed=frozenset(exposed), problems=tuple(unreadable)), {})


def findings(files: trees.Files, *, exposed: Sequence[str] = (), **variables: Any) -> list[Finding]:
    return checked(trees.assembled(files), exposed=exposed, **variables)


def only(files: trees.Files, **variables: str) -> Finding:
    (finding,) = findings(files, **variables)
    return finding


def shown(found: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(finding.rule, finding.level) for finding in found]


@pytest.mark.parametrize(
    "token", ["00D000000000001!AQFAKE.token", "5Aep861FAKE.token", "eyJhbGciOiJSUzI1NiJ9.eyJG.FAKE"]
)
def test_no_finding_quotes_a_token(token: str) -> None:
    scopes = {"commaSeparatedOauthScopes": f"Api, Basic, {token}"}
    found = findings(
        trees.app(header={"distributionState": token}, oauth=scopes, policies={"sessionTimeoutInMinutes": token})
    )
    assert len(found) > 1
    assert not any(token[:12] in finding.message for finding in found)


def test_a_complete_app_gives_rise_to_nothing() -> None:
    assert findings(trees.app()) == []


CASES = [
    ({"settings": {"consumerKey": None}}, [("consumer-key-missing", "error")]),
    ({"settings": {"consumerKey": " "}}, [("consumer-key-missing", "error")]),
    ({"settings": NO_SECRET}, [("consumer-secret-missing", "error")]),
    ({"settings": {"consumerSecret": ""}}, [("consumer-secret-missing", "error")]),
    ({"settings": {**NO_SECRET, **PUBLIC}}, []),
    ({"settings": {**NO_SECRET, **PUBLIC, "callbackUrl": None}}, [("callback-missing", "error")]),
    ({"settings": {**NO_SECRET, "certificate": "TUlJRkFLRQ=="}, "oauth": {"commaSeparatedOauthScopes": None}},
     [("consumer-secret-missing", "warning")]),
    ({"settings": {"consumerKey": None, **NO_SECRET}},
     [("consumer-key-missing", "error"), ("consumer-secret-missing", "error")]),
    ({"settings": {"consumerKey": "REPLACE_ME"}}, [("credential-placeholder", "error")]),
    ({"settings": {"consumerSecret": "{{SECRET}}"}}, [("credential-placeholder", "error")]),
    ({"settings": {**PUBLIC, "consumerSecret": "CHANGE_ME"}}, [("credential-placeholder", "note")]),
    ({"settings": {**PUBLIC, "consumerKey": "CHANGE_ME", **NO_SECRET}}, [("credential-placeholder", "error")]),
    ({"settings": {**PUBLIC, "consumerSecret": ("CHANGE_ME", "TODO")}}, [("credential-duplicated", "note")]),
    ({"settings": {"consumerSecret": "CHANGE_ME", "certificate": "TUlJRkFLRQ=="},
      "oauth": {"commaSeparatedOauthScopes": None}}, [("credential-placeholder", "warning")]),
    ({"settings": {"consumerKey": ("one", "two")}}, [("credential-duplicated", "error")]),
    ({"settings": {"consumerSecret": ("one", "one")}}, [("credential-duplicated", "error")]),
    ({"settings": None}, [("settings-missing", "error")]),
    ({"settings": None, "oauth": LINK}, [("settings-missing", "error")]),
    ({"settings": None, "oauth": LINK, "header": {"orgScopedExternalApp": "00D000000000001:Billing"}},
     [("settings-missing", "error")]),
    ({"settings": None, "oauth": LINK, "header": {"orgScopedExternalApp": "00D000000000002:Billing"}},
     [("settings-missing", "note")]),
    ({"settings": None, "header": {"distributionState": "Packaged"}}, [("settings-missing", "note")]),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), CASES)
def test_each_rule_finds_its_case_and_no_other(changes: trees.Changes, expected: list[tuple[str, str]]) -> None:
    found = findings(trees.app(**changes))
    assert shown(found) == expected
    for finding in found:
        assert finding.app == "Billing"
        assert "Billing" in finding.message
        assert finding.rule in RULES
        assert finding.actions
        assert all(finding.actions)
        assert not finding.accepted


def test_a_saml_app_needs_no_settings() -> None:
    policies = trees.xml("ExtlClntAppSamlConfigurablePolicies", {"externalClientApplication": "Billing"})
    files = trees.app(settings=None, oauth=None) | {"force-app/Billing.ecaSamlPlcy-meta.xml": policies}
    assert findings(files) == []


def test_a_finding_stands_where_the_element_stands() -> None:
    finding = only(trees.app(settings={"consumerSecret": "REPLACE_ME"}))
    lines = str(trees.app(settings={"consumerSecret": "REPLACE_ME"})[SETTINGS]).splitlines()
    assert finding.file == SETTINGS
    assert finding.line is not None
    assert "<consumerSecret>" in lines[finding.line - 1]


def test_a_finding_about_what_is_absent_has_a_file_but_no_line() -> None:
    finding = only(trees.app(settings=NO_SECRET))
    assert (finding.file, finding.line) == (SETTINGS, None)
    missing = only(trees.app(settings=None))
    assert (missing.file, missing.line) == (HEADER, None)


@pytest.mark.parametrize(
    ("settings", "variables"),
    [
        (NO_SECRET, {"ECAPIPE_CLIENT_SECRET_BILLING": "s"}),
        ({"consumerSecret": "REPLACE_ME"}, {"ECAPIPE_CLIENT_SECRET": "s"}),
        ({"consumerKey": None, **NO_SECRET}, {"ECAPIPE_CLIENT_ID": "k", "ECAPIPE_CLIENT_SECRET": "s"}),
    ],
)
def test_what_another_source_supplies_is_not_missed(settings: trees.Elements, variables: dict[str, str]) -> None:
    assert findings(trees.app(settings=settings), **variables) == []


def test_the_variables_of_the_org_that_is_named_supply_it(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.app(settings=NO_SECRET))
    variables = {"ECAPIPE_CLIENT_SECRET_BILLING_UAT": "s"}
    for org, status in ((), 1), (("--target-org", "uat=https://acme--uat.sandbox.my.salesforce.com"), 0):
        assert inside("app", "check", *org, at=root, **variables).status == status


@pytest.mark.parametrize("key", [None, "<key>"])
def test_a_key_from_elsewhere_may_not_be_that_of_the_secret_in_the_file(key: str | None) -> None:
    finding = only(trees.app(settings={"consumerKey": key}), ECAPIPE_CLIENT_ID="k")
    assert (finding.rule, finding.level) == ("credential-sources-mixed", "warning")
    assert "key of Billing comes from environment, but its consumer secret from file" in finding.message


def test_a_file_that_a_variable_names_and_that_cannot_be_read_is_a_finding() -> None:
    finding = only(trees.app(), ECAPIPE_CLIENT_SECRET_FILE="/nowhere/at/all")
    assert finding.rule == "consumer-secret-missing"
    assert "ECAPIPE_CLIENT_SECRET_FILE" in finding.message


def test_what_stands_twice_is_told_even_if_another_source_supplies_it() -> None:
    found = findings(trees.app(settings={"consumerKey": ("one", "two")}), ECAPIPE_CLIENT_ID="k")
    assert ("credential-duplicated", "error") in shown(found)


def test_a_missing_secret_names_the_causes_the_flows_and_the_variable() -> None:
    files = trees.app(
        settings={**NO_SECRET, "certificate": "TUlJRkFLRQ=="}, oauth={"commaSeparatedOauthScopes": None}
    )
    finding = only(files)
    assert resolution.SWITCH in finding.message
    assert resolution.PERMISSION in finding.message
    assert "web, jwt" in finding.message
    assert "ECAPIPE_CLIENT_SECRET_BILLING" in " ".join(finding.actions)


def test_no_finding_repeats_a_value() -> None:
    key, secret = trees.key("Billing"), trees.secret("Billing")
    for changes in (
        {"consumerKey": (key, key)},
        {"consumerSecret": (secret, secret)},
        {"consumerKey": "YOUR_KEY_HERE"},
    ):
        finding = only(trees.app(settings=changes))
        for value in (key[:8], secret[:8], "YOUR_KEY_HERE"):
            assert value not in repr(finding)


# --- git ----------------------------------------------------------------------------------------------------


def test_a_secret_that_git_tracks_is_a_warning() -> None:
    (finding,) = findings(trees.app(), exposed=(SETTINGS, HEADER))
    assert (finding.rule, finding.level, finding.file) == ("secret-tracked-by-git", "warning", SETTINGS)
    assert finding.line is not None
    assert f"git rm --cached -- {SETTINGS}" in " ".join(finding.actions)


# --- files that cannot be read ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "rule"),
    [
        (malformed_xml("a/file", 3, "it is not well-formed"), "malformed-xml"),
        (wrong_root("a/file", 3, "ConnectedApp", metadata.SETTINGS.name), "wrong-root"),
        (suffix_misspelt("a/file", "a/File"), "suffix-misspelt"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_finding_about_no_app(problem: Problem, rule: str) -> None:
    (finding,) = checked((), unreadable=(problem,))
    assert (finding.rule, finding.level, finding.app) == (rule, "error", None)
    assert (finding.file, finding.line) == (problem.file, problem.line)
    assert (finding.message, finding.actions) == (problem.message, problem.actions)


def test_findings_are_sorted_by_path_then_line() -> None:
    files = trees.app("Portal", settings={"consumerKey": "<k>", "consumerSecret": "<s>"}) | trees.app(
        "Billing", settings=NO_SECRET
    )
    broken = malformed_xml("a/file", 3, "it is not well-formed")
    found = checked(trees.assembled(files), unreadable=(broken,))
    assert [finding.rule for finding in found] == [
        "malformed-xml",
        "consumer-secret-missing",
        "credential-placeholder",
        "credential-placeholder",
    ]
    places = [(finding.file or "", finding.line or 0) for finding in found]
    assert places == sorted(places)
    assert len(set(places)) == 4


ANGRY = trees.app(
    header={"orgScopedExternalApp": "00D000000000009EAA:Billing"},
    settings={**PUBLIC, **trees.CLIENT_CREDENTIALS, "isPkceRequired": "false"},
    oauth={**LINK, "commaSeparatedOauthScopes": "Full"},
    policies={
        "isClientCredentialsFlowEnabled": "false",
        "refreshTokenPolicyType": "Infinite",
        "ipRelaxationPolicyType": "Bypass",
        "permittedUsersPolicyType": "AllSelfAuthorized",
    },
) | {
    f"{trees.DEFAULT}/Billing.ecaPlcy-meta.xml": trees.xml(
        "ExtlClntAppConfigurablePolicies",
        {"externalClientApplication": "Billing", "isEnabled": "false", "isOauthPluginEnabled": "false"},
    ),
    f"{trees.DEFAULT}/Billing.ecaPush-meta.xml": trees.xml(
        "ExtlClntAppPushSettings", {"externalClientApplication": "Billing", "applePushConfig": "made up"}
    ),
}
"""An app with which nearly every rule finds fault."""


def asked(rule: str, app: App, evidence: Evidence) -> list[Remark]:
    """What a rule says when it is asked, useful or not."""
    chain = chains.chain((app,), (), Environment({}).credential)
    check = RULES[rule].check_app
    assert check is not None
    return list(check(RuleInput.of(app, resolution.resolve(app, None, chain, allowed_flows), evidence)))


def known_of(app: App) -> Evidence:
    """Evidence of everything, against every file."""
    files = frozenset(file.path for file in app.files)
    spots = {app.name: (Sighting("notes.md", 1),)}
    return Evidence(
        "", "deploy", target="00D000000000001EAA", jwt=frozenset((app.name,)), exposed=files,
        unignored=files, staged=files, certified=files, open_to_others=files,
        elsewhere=spots, history={app.name: ("notes.md",)},
        keys={trees.key(app.name): (app.name, "Copy")}, expired_certificates=dict.fromkeys(files, "2020-01-01"),
        invalid_certificates=files, deleted={app.name: "a"},
        connected_apps={app.name: ("a",)},
    )  # fmt: skip


@pytest.mark.parametrize("rule", [name for name, rule in RULES.items() if rule.file_type])
def test_a_rule_that_is_not_asked_for_want_of_a_file_would_say_nothing(rule: str) -> None:
    (whole,) = trees.assembled(ANGRY)
    lacking = App("Billing", "", tuple(file for file in whole.files if file.type is not RULES[rule].file_type))
    assert asked(rule, lacking, known_of(whole)) == []


@pytest.mark.parametrize("rule", [name for name, rule in RULES.items() if rule.needs and rule.check_app])
def test_a_rule_that_is_not_asked_for_want_of_evidence_would_say_nothing(rule: str) -> None:
    (whole,) = trees.assembled(ANGRY)
    everything = known_of(whole)
    nothing = {need: getattr(Evidence(), need) for need in RULES[rule].needs}
    assert asked(rule, whole, everything) != []
    assert asked(rule, whole, replace(everything, **nothing)) == []
