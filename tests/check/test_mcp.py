"""``--for mcp``: apps in the forms that people make them in for Salesforce's hosted MCP servers."""

from __future__ import annotations

from pathlib import Path

import pytest
import trees
from check import ground
from check.test_every_rule import CLIENT_CREDENTIALS, app, mcp, switches
from commandline import inside

from ecapipe.check.inspection import CheckOptions
from ecapipe.check.rules import credentials, deploy, exposure, structure
from ecapipe.check.rules.registry import RULES

SECRET = {"consumerSecret": trees.secret("Billing")}
SCOPES = "commaSeparatedOauthScopes"
ALL = """https://claude.ai/api/mcp/auth_callback
cursor://anysphere.cursor-mcp/oauth/callback
https://oauth.pstmn.io/v1/callback
https://chatgpt.com/connector/oauth/Ab3-x_Y9"""
REMOTE = "http://localhost:3334/oauth/callback"
OF_POLICIES = trees.app(settings=None, header=None, oauth=None, policies={"isNamedUserJwtEnabled": "true"})


def moved(files: trees.Files) -> trees.Files:
    """In one folder of its own, as a retrieve into a package directory for MCP leaves it."""
    return {f"force-app/main/mcp/{path.rpartition('/')[2]}" if "/main/" in path else path: text
            for path, text in files.items()}  # fmt: skip


SHAPES = {
    "as the guide has it": (mcp(), {}),
    "every client at once": (mcp({"callbackUrl": ALL}), {}),
    "a test client on this machine as well": (mcp({"callbackUrl": f"{ALL}\r\n{trees.LOOPBACK}"}), {}),
    "in a folder of its own, with a namespace": (moved(mcp({"externalClientApplication": "acme__Billing"})), {
        "namespace-mismatch": "note"}),
    "the scopes the other way round": (mcp(oauth={SCOPES: "RefreshToken,MCP"}), {}),
    "the other name of the same scope": (mcp(oauth={SCOPES: "MCP, OfflineAccess"}), {}),
    "of version 62, where the policies said it": (mcp({"isNamedUserJwtEnabled": None}) | OF_POLICIES, {}),
    "as most guides leave it": (mcp({"isNamedUserJwtEnabled": None}), {"mcp-tokens-not-jwt": "error"}),
    "with a scope more": (mcp(oauth={SCOPES: "Api, MCP, RefreshToken"}), {"mcp-scopes": "error"}),
    "without refresh": (mcp(oauth={SCOPES: "MCP"}), {"mcp-scopes": "error"}),
    "with an OAuth scope for one of metadata": (mcp(oauth={SCOPES: "mcp_api, RefreshToken"}), {
        "mcp-scopes": "error", "scope-unknown": "warning"}),
    "without scopes": (mcp(oauth={SCOPES: None}), {"mcp-scopes": "error"}),
    "without PKCE": (mcp({"isPkceRequired": "false"}), {"pkce-not-required": "error"}),
    "a secret, and the client has it": (mcp({"isConsumerSecretOptional": None, **SECRET}), {
        "mcp-secret-required": "warning"}),
    "a secret for the refresh": (mcp({"isSecretRequiredForRefreshToken": "true"}), {"mcp-secret-required": "note"}),
    "a client that nobody knows": (mcp({"callbackUrl": REMOTE}), {"mcp-callback-unknown": "note"}),
    "no callback": (mcp({"callbackUrl": None}), {"callback-missing": "error"}),
    "no key yet": (mcp({"consumerKey": None}), {"consumer-key-missing": "error"}),
    "switched off": (mcp() | switches(isOauthPluginEnabled="false") | mcp(), {"oauth-plugin-disabled": "error"}),
    "disabled": (mcp() | switches(isEnabled="false") | mcp(), {"app-disabled": "error"}),
    "an app for something else": (app(), {
        "mcp-scopes": "error", "mcp-tokens-not-jwt": "error", "mcp-secret-required": "warning",
        "mcp-callback-unknown": "note"}),
    "rotating on each deploy": (mcp({"shouldRotateConsumerSecret": "true"}), {}),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_an_app_is_taken_or_what_the_client_will_show_is_said(shape: str, tmp_path: Path) -> None:
    files, expected = SHAPES[shape]
    root = ground.private(ground.ready(tmp_path, files))
    found = ground.findings(root, CheckOptions("mcp"))
    assert {each.rule: each.level for each in found} == expected
    for each in found:
        if each.rule in ("mcp-scopes", "mcp-tokens-not-jwt", "mcp-secret-required"):
            assert "30 for a new app" in " ".join(each.actions)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("https://claude.ai/api/mcp/auth_callback/", "https://claude.ai/api/mcp/auth_callback"),
        ("http://claude.ai/api/mcp/auth_callback", "https://claude.ai/api/mcp/auth_callback"),
        ("https://claude.ai/api/mcp/Auth_Callback", "https://claude.ai/api/mcp/auth_callback"),
        ("cursor://anysphere.cursor-mcp/oauth/callback2", "cursor://anysphere.cursor-mcp/oauth/callback"),
        ("https://oauth.example.com/v1/callback", None),
        ("https://chatgpt.com.example.com/connector/oauth/a", None),
        ("https://chatgpt.com/connector/oauth/a/b", None),
    ],
)
def test_a_callback_url_is_that_of_a_client_to_the_letter(url: str, meant: str | None, tmp_path: Path) -> None:
    root = ground.ready(tmp_path, mcp({"callbackUrl": url}))
    (found,) = [each for each in ground.findings(root, CheckOptions("mcp")) if each.rule == "mcp-callback-unknown"]
    hints = [action for action in found.actions if action.startswith("Did you mean")]
    assert hints == ([f'Did you mean "{meant}"?'] if meant else [])


def test_rules_count_as_before_a_login_but_for_those_about_a_deploy() -> None:
    def of(*modules: object) -> dict[str, str | None]:
        names = {id(rule): name for name, rule in RULES.items()}
        rules = {names[id(each)]: each for module in modules for each in vars(module).values() if id(each) in names}
        return {name: rule.levels.mcp for name, rule in rules.items()}

    same = of(credentials, structure, exposure)
    assert same.pop("pkce-not-required") == "error"
    assert same == {name: RULES[name].levels.login for name in same}
    loud = {name for name, level in of(deploy).items() if level}
    assert loud == {"app-disabled", "oauth-plugin-disabled", "dpop-required"}


def test_a_tree_without_apps_is_no_failure(tmp_path: Path) -> None:
    trees.plant(tmp_path, {"nothing/": ""} | {f"empty/{path}": text for path, text in trees.project().items()})
    for line in ("-d empty", "-d nothing", "-d empty --json"):
        ended = inside("app", "check", "--for", "mcp", *line.split(), at=tmp_path)
        assert ended.status == 0, ended
    trees.plant(tmp_path / "full", trees.project() | trees.app("Robot", **CLIENT_CREDENTIALS))
    assert inside("app", "check", "--for", "mcp", "-d", "full", at=tmp_path).status == 1
    assert inside("app", "check", "--for", "mcp", "-d", "full", "-n", "Robott", at=tmp_path).status == 2
