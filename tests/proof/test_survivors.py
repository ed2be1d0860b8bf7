"""What mutation testing found that no other test would have missed."""

from __future__ import annotations

import json
from dataclasses import replace

import chains
import pytest
from billing import KEY, ORG, ORG_ID, SECRET, USER_ID, app, proven
from failure import problem_of

from ecapipe.check.rules.registry import parse_levels
from ecapipe.credentials import resolution
from ecapipe.oauth import authorize, messages, refusals, tokens, userinfo
from ecapipe.oauth.authorize import UnmatchedResponse
from ecapipe.oauth.flows.client_credentials import ClientCredentials
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.oauth.flows.web import AuthorizationCode, choose_callback
from ecapipe.oauth.messages import Response
from ecapipe.oauth.refusals import Place
from ecapipe.oauth.tokens import Token
from ecapipe.orgs import selection
from ecapipe.problems import oauth, project
from ecapipe.problems.network import redirect_refused, unexpected_answer
from ecapipe.problems.orgs import refused_host
from ecapipe.problems.problem import Kind
from ecapipe.project import apps, metadata
from ecapipe.secret import Secret

PASTE = "https://www.example.com"
LOGIN = authorize.build_request(proven(), ORG, PASTE, "api", lambda size: bytes(range(size)))
OTHER = authorize.build_request(
    proven(), ORG, "https://two.example.com", "api", lambda size: bytes(range(1, size + 1))
)
GRANT = AuthorizationCode(Secret("aPrxMADEUP.MADEUP.CODE=="), PASTE, LOGIN.code_verifier)
WHOLE = {"access_token": "00D!MADE.UP", "id": f"{ORG.url}/id/{ORG_ID}/{USER_ID}", "instance_url": f"{ORG.url}/"}
TOKEN = Token(Secret("made-up-access-token"), Secret("made-up-refresh-token"), None, ORG_ID, USER_ID, ("api",))


def answer(members: object, status: int = 200) -> Response:
    return Response(status, "application/json", json.dumps(members).encode())


# --- what an org repeats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [SECRET, GRANT.code.reveal(), GRANT.code_verifier.reveal()])
def test_a_refused_code_is_told_without_what_was_sent(secret: str) -> None:
    said = answer({"error": "made_up_error", "error_description": f"not {secret} please"}, 400)
    problem = problem_of(tokens.read, said, GRANT, proven(), ORG, app=None)
    assert problem.kind is oauth.oauth_refused
    assert problem.host == ORG.host
    assert problem.message.startswith(ORG.host)
    assert "not [REDACTED] please" in problem.message


def test_an_api_that_fails_is_told_without_the_token() -> None:
    said = answer({"error": "made_up", "error_description": TOKEN.access_token.reveal()}, 400)
    problem = problem_of(userinfo.api_problem, said, TOKEN, ORG)
    assert (problem.kind, problem.host) == (oauth.oauth_refused, ORG.host)
    assert problem.message == f"{ORG.host} refused the request: made_up: [REDACTED]."


def test_an_api_that_refuses_is_told_without_the_token() -> None:
    said = answer([{"errorCode": f"No {TOKEN.access_token.reveal()}"}], 403)
    problem = userinfo.api_problem(said, TOKEN, ORG)
    assert problem is not None
    assert problem.message == f"{ORG.host} refused API calls with the token (HTTP 403): No [REDACTED]."


# --- token answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token_type": "MAC"}, "its token_type is not Bearer"),
        ({"access_token": "made up"}, "its access_token is not a valid token"),
        ({"id": "https://acme.test/id/none"}, "its id does not identify an org and a user"),
    ],
)
def test_an_answer_that_is_no_token_says_why(changes: dict[str, str], reason: str) -> None:
    problem = problem_of(tokens.read, answer({**WHOLE, **changes}), ClientCredentials(), proven(), ORG, app=None)
    assert problem.message == (
        f"{ORG.host} returned an unexpected response (HTTP 200): {reason} (content type application/json)."
    )


@pytest.mark.parametrize("changes", [{"issued_at": "\ud800", "signature": "x"}, {"signature": "\ud800"}])
def test_half_a_character_in_what_is_signed_proves_nothing(changes: dict[str, str]) -> None:
    problem = problem_of(tokens.read, answer({**WHOLE, **changes}), ClientCredentials(), proven(), ORG, app=None)
    assert (problem.kind, problem.host) == (oauth.signature_mismatch, ORG.host)
    assert ORG.host in problem.message


def test_an_instance_url_is_an_origin() -> None:
    read = tokens.read(
        answer({**WHOLE, "instance_url": "https://XX:8443/"}), ClientCredentials(), proven(), ORG, app=None
    )
    assert read.instance_url == "https://xx:8443"


# --- answers of a login -------------------------------------------------------------------------------------


NEITHER = "Not a redirect URL or code. After Allow, copy the full URL from the address bar."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("https://[www.example.com", NEITHER),
        (
            "https://evil.test/?code=x",
            "Not the redirect URL. After Allow, copy the full URL from the address bar.",
        ),
        (f"{PASTE}/?code=x&state={OTHER.state}", "That URL belongs to another sign-in."),
        ("hm?", NEITHER),
        (
            "aPrxMADEUP.MADEUP.CODE==",
            "Several sign-ins are pending. Paste the full URL instead of the code.",
        ),
        (f"{PASTE}/?state={LOGIN.state}", "The response contains neither a code nor an error."),
        (f"{PASTE}/?state={LOGIN.state}&code=x&error=y", "The response contains both a code and an error."),
    ],
)
def test_a_wrong_paste_is_told_what_is_wrong_with_it(text: str, sentence: str) -> None:
    with pytest.raises(UnmatchedResponse) as raised:
        authorize.match_pasted(text, (LOGIN, OTHER))
    assert str(raised.value) == sentence


def test_a_code_may_look_like_a_place_on_a_network() -> None:
    _, grant = authorize.match_pasted("//MADEUP.MADEUP.CODE", (LOGIN,))
    assert isinstance(grant, AuthorizationCode)
    assert grant.code.reveal() == "//MADEUP.MADEUP.CODE"


def test_a_refusal_without_a_description_has_none() -> None:
    _, refusal = authorize.match_redirect(f"error=made_up&state={LOGIN.state}", (LOGIN,))
    assert not isinstance(refusal, AuthorizationCode)
    assert refusal.problem.message == f"{ORG.host} refused the request: made_up."


def test_a_callback_that_cannot_be_used_is_told_with_the_app_and_the_wish() -> None:
    found = app(settings={"callbackUrl": "https://www.example.com"})
    problem = problem_of(choose_callback, found, "listen", True)
    assert "Billing" in problem.message
    assert problem == problem_of(choose_callback, found, "listen", False)
    assert problem.message != problem_of(choose_callback, app(settings={"callbackUrl": ""}), "auto", True).message


# --- orgs and credentials -----------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [{"surprise": "x"}, {"url": 1}, {}])
def test_a_configured_org_that_is_none_names_the_file(members: dict[str, object]) -> None:
    assert problem_of(selection.choose, "uat", {"uat": members}, ()).file == "sfdx-project.json"


def test_a_refused_address_is_shown_without_the_password_on_any_of_its_lines() -> None:
    problem = problem_of(selection.choose, "https://robot:made\nup@acme.test/?code=made#up", {}, ())
    assert "https://…@acme.test/" in problem.message
    assert "made" not in problem.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("uat=", "ALIAS=URL needs both an alias and a URL"),
        ("https://[acme.test", "it is not a URL"),
        ("https://robot@acme.my.salesforce.com", "it contains a username or password"),
        ("https://acme%2e.my.salesforce.com", "it has no valid host"),
        ("http://acme.my.salesforce.com", "only https is accepted"),
        ("https://acme.test", "the host does not belong to Salesforce"),
        ("uat=https://acme.my.salesforce.com/?a=b", "it has a query or fragment"),
    ],
)
def test_a_refused_address_says_why(text: str, reason: str) -> None:
    problem = problem_of(selection.choose, text, {}, ())
    assert problem.kind is refused_host
    assert f": {reason}." in problem.message


def test_this_machine_may_be_written_in_any_case() -> None:
    assert selection.choose("LocalHost", {}, ()).url == "http://localhost"


def test_a_login_knows_its_app() -> None:
    assert LOGIN.app.name == "Billing"


def test_a_missing_secret_names_its_place_and_its_variable() -> None:
    found = app(settings={"consumerSecret": "YOUR_SECRET"})
    problem = resolution.resolve(found, None, chains.chain((found,)), allowed_flows).problem
    assert problem is not None
    assert found.settings is not None
    element = found.settings.document.first("consumerSecret")
    assert element is not None
    assert (problem.file, problem.line) == (found.settings.path, element.line)
    assert "ECAPIPE_CLIENT_SECRET_BILLING" in " ".join(problem.actions)


def test_a_replacement_by_a_placeholder_is_none() -> None:
    found = app()
    value = {"consumerSecret": apps.Replaced(Secret("${NOT_SET}"))}
    again = replace(found, files=tuple(replace(file, replaced=value) for file in found.files))
    resolved = resolution.resolve(again, None, chains.chain((again,)), allowed_flows)
    assert resolved.secret.source is None


def test_a_source_of_keys_only_still_tells_its_name_and_orgs() -> None:
    found = app(settings={"consumerKey": None, "consumerSecret": None})
    values = {"ECAPIPE_CLIENT_ID_BILLING_UAT": KEY, "ECAPIPE_CLIENT_SECRET_BILLING_UAT": SECRET}
    chain = chains.chain(
        (found,), (ORG,), lambda name: Secret(values[name]) if name in values else None, secret_from=("file",)
    )
    resolved = resolution.resolve(found, ORG, chain, allowed_flows)
    assert resolved.key.source == "environment"
    assert resolved.secret.source is None


def test_what_lacks_a_value_is_listed() -> None:
    found = app(settings={"consumerKey": "PLACE_HOLDER"})
    assert found.settings is not None
    lacking = {"consumerKey": replaced("KEY_ONE", "KEY_TWO")}
    again = replace(found, files=tuple(replace(file, replaced=lacking) for file in found.files))
    problem = resolution.resolve(again, None, chains.chain((again,)), allowed_flows).problem
    assert problem is not None
    assert "Billing" in problem.message
    assert any("KEY_ONE, KEY_TWO" in action for action in (problem.message, *problem.actions))


def replaced(*lacking: str) -> apps.Replaced:
    return apps.Replaced(None, lacking)


# --- levels that are none


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"no-rule": "off"}, "no-rule is not a rule (ecapipe explain lists them)"),
        ({"scope-full": "loud"}, "scope-full must be one of off, note, warning, error"),
        ({"scope-full": ["off"]}, "scope-full must be one of off, note, warning, error"),
    ],
)
def test_what_is_wrong_with_levels_is_told_in_these_words(rules: dict[str, object], reason: str) -> None:
    problem = problem_of(parse_levels, rules)
    assert (problem.kind, problem.file) == (project.schema_validation_error, "sfdx-project.json")
    assert problem.message == f"sfdx-project.json is not valid: plugins.ecapipe.rules.{reason}."


# --- an answer that is none -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (Response(302, "text/html", b""), redirect_refused, "(HTTP 302)"),
        (Response(429, "text/html", b""), oauth.rate_limited, f"{ORG.host} accepts no more requests"),
        (Response(502, "text/html", b""), oauth.server_busy, "temporary error: HTTP 502."),
        (
            Response(200, "", b"<html>"),
            unexpected_answer,
            ": expected a JSON object (no content type).",
        ),
        (
            Response(200, "text/html", b"[]"),
            unexpected_answer,
            ": expected a JSON object (content type text/html).",
        ),
        (answer({"a": 1}, 404), unexpected_answer, ": expected HTTP 200 (content type application/json)."),
    ],
)
def test_an_answer_that_is_none_is_told_with_its_host_and_its_reason(
    said: Response, kind: Kind[...], words: str
) -> None:
    problem = problem_of(messages.members, said, ORG.host, place="web", app=None)
    assert (problem.kind, problem.host, problem.http_status) == (kind, ORG.host, said.status)
    assert problem.message.startswith(ORG.host)
    assert words in problem.message


@pytest.mark.parametrize(
    ("place", "error", "description", "kind"),
    [
        ("refresh", "invalid_token", "made up", oauth.token_refused),
        ("refresh", "unsupported_grant_type", "made up", oauth.unsupported_grant_type),
        ("web", "invalid_request", "made up code challenge", oauth.code_challenge_missing),
        ("web", "invalid_grant", "made up authorization code", oauth.authorization_code_refused),
        ("refresh", "invalid_grant", "made up and expired", oauth.token_refused),
    ],
)
def test_a_refusal_repeats_what_the_org_says(place: Place, error: str, description: str, kind: Kind[...]) -> None:
    problem = refusals.refusal(error, description, ORG.host, place=place, app=None).problem
    assert (problem.kind, problem.oauth_error) == (kind, error)
    assert description in problem.message


def test_what_an_org_says_is_cut_after_three_hundred_characters() -> None:
    problem = refusals.refusal("made_up", "z" * 400, ORG.host, place="web", app=None).problem
    assert problem.message.count("z") == 300


# --- metadata that is refused, in exact words -----------------------------------------------------------------

SETTINGS = metadata.SETTINGS


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<a>" + b" " * metadata.LARGEST, "it is larger than 1 MiB"),
        (b"<!DOCTYPE a><a/>", "it contains a DOCTYPE"),
        (b"<a>\n<<<<<<< ours\n</a>", "it contains the markers of an unresolved merge conflict"),
        (b"<a>\n</b>", "it is not well-formed (mismatched tag"),
        (b'<?xml version="1.0" encoding="made-up"?><a/>', "made-up"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_these_words(data: bytes, reason: str) -> None:
    data = data.replace(b"<a>", f"<{SETTINGS.name}>".encode())
    problem = problem_of(metadata.parse, data, SETTINGS, "X.ecaGlblOauth-meta.xml")
    assert (problem.kind, problem.file) == (project.malformed_xml, "X.ecaGlblOauth-meta.xml")
    assert reason in problem.message


def test_a_name_of_the_metadata_format_counts_only_where_that_was_asked_for() -> None:
    assert metadata.recognise("X.ecaGlblOauth") is None
    assert metadata.recognise("X.ecaGlblOauth", metadata_format=True) == (SETTINGS, "X")


def test_an_element_that_is_nil_is_empty() -> None:
    nil = '<label xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="{}">x</label>'
    for value, text in (("true", None), ("1", None), ("false", "x")):
        data = f'<{SETTINGS.name} xmlns="{metadata.NAMESPACE}">{nil.format(value)}</{SETTINGS.name}>'
        assert metadata.parse(data.encode(), SETTINGS, "X").text("label") == text


def test_an_app_without_oauth_is_named() -> None:
    found = app(settings=None, oauth=None)
    assert "Billing" in apps.missing_settings(found, None, ("KEY", "SECRET")).message


# --- refusals of an assertion ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "description", "kind"),
    [
        ("invalid_grant", "made up and expired", oauth.assertion_expired),
        ("invalid_request", "made up, not yet valid", oauth.assertion_expired),
        ("invalid_grant", "user hasn't approved, made up", oauth.assertion_not_approved),
        ("invalid_request", "made up: request not supported on this domain", oauth.unsupported_grant_type),
        ("invalid_client", "made up", oauth.assertion_refused),
        ("invalid_client_id", "made up", oauth.invalid_client_id),
    ],
)
def test_the_same_words_mean_something_else_where_an_assertion_was_sent(
    error: str, description: str, kind: Kind[...]
) -> None:
    problem = refusals.refusal(error, description, ORG.host, place="jwt", app=None).problem
    assert (problem.kind, problem.host, problem.oauth_error) == (kind, ORG.host, error)
    assert ORG.host in problem.message
    assert "None" not in problem.message
