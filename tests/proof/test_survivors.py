"""What mutation testing found that no other test would have missed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import trees
from river.billing import KEY, ORG, ORG_ID, SECRET, USER_ID, app, proven
from river.failure import problem_of

from ecapipe import credentials, grants, orgs, tokens, userinfo
from ecapipe.grants import AuthorizationCode, ClientCredentials, Misfit
from ecapipe.messages import Answer
from ecapipe.secret import Secret
from ecapipe.tokens import Token

PASTE = "https://www.example.com"
LOGIN = grants.begin(proven(), ORG, PASTE, "api", lambda size: bytes(range(size)))
OTHER = grants.begin(proven(), ORG, "https://two.example.com", "api", lambda size: bytes(range(1, size + 1)))
GRANT = AuthorizationCode(Secret("aPrxMADEUP.MADEUP.CODE=="), PASTE, LOGIN.code_verifier)
WHOLE = {"access_token": "00D!MADE.UP", "id": f"{ORG.url}/id/{ORG_ID}/{USER_ID}", "instance_url": f"{ORG.url}/"}
TOKEN = Token(Secret("made-up-access-token"), Secret("made-up-refresh-token"), None, ORG_ID, USER_ID, ("api",))


def answer(members: object, status: int = 200) -> Answer:
    return Answer(status, "application/json", json.dumps(members).encode())


# --- what an org repeats ------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", [SECRET, GRANT.code.reveal(), GRANT.code_verifier.reveal()])
def test_a_refused_code_is_told_without_what_was_sent(secret: str) -> None:
    said = answer({"error": "made_up_error", "error_description": f"not {secret} please"}, 400)
    problem = problem_of(tokens.read, said, GRANT, proven(), ORG)
    assert problem.name == "OauthRefused"
    assert problem.host == ORG.host
    assert problem.message.startswith(ORG.host)
    assert "not [REDACTED] please" in problem.message


def test_an_api_that_fails_is_told_without_the_token() -> None:
    said = answer({"error": "made_up", "error_description": TOKEN.access_token.reveal()}, 400)
    problem = problem_of(userinfo.api_problem, said, TOKEN, ORG)
    assert (problem.name, problem.host) == ("OauthRefused", ORG.host)
    assert problem.message == f"{ORG.host} refused: made_up: [REDACTED]."


def test_an_api_that_refuses_is_told_without_the_token() -> None:
    said = answer([{"errorCode": f"No {TOKEN.access_token.reveal()}"}], 403)
    problem = userinfo.api_problem(said, TOKEN, ORG)
    assert problem is not None
    assert problem.message == f"{ORG.host} refuses API calls with the token (HTTP 403): No [REDACTED]."


# --- token answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token_type": "MAC"}, "the token is of a type other than Bearer"),
        ({"access_token": "made up"}, "it has no usable access_token"),
        ({"id": "https://acme.test/id/none"}, "its id does not name an org and a user"),
    ],
)
def test_an_answer_that_is_no_token_says_why(changes: dict[str, str], reason: str) -> None:
    problem = problem_of(tokens.read, answer({**WHOLE, **changes}), ClientCredentials(), proven(), ORG)
    assert problem.message == (
        f"{ORG.host} gave an unexpected answer (HTTP 200): {reason}, and it is application/json."
    )


@pytest.mark.parametrize("changes", [{"issued_at": "\ud800", "signature": "x"}, {"signature": "\ud800"}])
def test_half_a_character_in_what_is_signed_proves_nothing(changes: dict[str, str]) -> None:
    problem = problem_of(tokens.read, answer({**WHOLE, **changes}), ClientCredentials(), proven(), ORG)
    assert (problem.name, problem.host) == ("SignatureMismatch", ORG.host)
    assert ORG.host in problem.message


def test_an_instance_url_loses_its_slash_and_no_more() -> None:
    read = tokens.read(answer({**WHOLE, "instance_url": "https://XX/XX/"}), ClientCredentials(), proven(), ORG)
    assert read.instance_url == "https://XX/XX"


# --- answers of a login -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("https://[www.example.com", "That is no address."),
        (
            "https://evil.test/?code=x",
            "That is not the address the login ends at. Copy the whole address after pressing Allow.",
        ),
        (f"{PASTE}/?code=x&state={OTHER.state}", "That address belongs to another login."),
        ("hm?", "That is neither an address nor a code. Copy the whole address after pressing Allow."),
        (
            "aPrxMADEUP.MADEUP.CODE==",
            "A code alone does not tell its login while several wait. Copy the whole address instead.",
        ),
        (f"{PASTE}/?state={LOGIN.state}", "The address has neither a code nor an error."),
        (f"{PASTE}/?state={LOGIN.state}&code=x&error=y", "The address has both."),
    ],
)
def test_a_wrong_paste_is_told_what_is_wrong_with_it(text: str, sentence: str) -> None:
    with pytest.raises(Misfit) as raised:
        grants.pasted(text, (LOGIN, OTHER))
    assert str(raised.value) == sentence


def test_a_code_may_look_like_a_place_on_a_network() -> None:
    _, grant = grants.pasted("//MADEUP.MADEUP.CODE", (LOGIN,))
    assert isinstance(grant, AuthorizationCode)
    assert grant.code.reveal() == "//MADEUP.MADEUP.CODE"


def test_a_refusal_without_a_description_has_none() -> None:
    _, refusal = grants.answer(f"error=made_up&state={LOGIN.state}", (LOGIN,))
    assert not isinstance(refusal, AuthorizationCode)
    assert refusal.problem.message == f"{ORG.host} refused: made_up."


def test_a_callback_that_cannot_be_used_is_told_with_the_app_and_the_wish() -> None:
    found = app(settings={"callbackUrl": "https://www.example.com"})
    problem = problem_of(grants.redirect_uri, found, "listen", True)
    assert "Billing" in problem.message
    assert problem == problem_of(grants.redirect_uri, found, "listen", False)
    assert problem.message != problem_of(grants.redirect_uri, app(settings={"callbackUrl": ""}), "auto", True).message


# --- orgs and credentials -----------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [{"surprise": "x"}, {"url": 1}, {}])
def test_a_configured_org_that_is_none_names_the_file(members: dict[str, object]) -> None:
    assert problem_of(orgs.choose, "uat", {"uat": members}, ()).file == "sfdx-project.json"


def test_a_refused_address_is_shown_without_the_password_on_any_of_its_lines() -> None:
    problem = problem_of(orgs.choose, "https://robot:made\nup@acme.test/?code=made#up", {}, ())
    assert "https://…@acme.test/" in problem.message
    assert "made" not in problem.message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("uat=", "both sides of ALIAS=URL are needed"),
        ("https://[acme.test", "it is not a URL"),
        ("https://robot@acme.my.salesforce.com", "it carries a user name or password"),
        ("https://acme%2e.my.salesforce.com", "it has no usable host"),
        ("http://acme.my.salesforce.com", "only https is accepted"),
        ("https://acme.test", "the host does not belong to Salesforce"),
        ("uat=https://acme.my.salesforce.com/?a=b", "it has a query or fragment"),
    ],
)
def test_a_refused_address_says_why(text: str, reason: str) -> None:
    problem = problem_of(orgs.choose, text, {}, ())
    assert problem.name == "RefusedHost"
    assert f": {reason}." in problem.message


def test_this_machine_may_be_written_in_any_case() -> None:
    assert orgs.choose("LocalHost", {}, ()).url == "https://localhost"


def test_a_login_knows_its_app() -> None:
    assert LOGIN.app == "Billing"


def test_a_missing_secret_names_its_place_and_its_variable() -> None:
    found = app(settings={"consumerSecret": "YOUR_SECRET"})
    problem = credentials.resolve(found, None, credentials.chain((found,), (), lambda name: None, None)).problem
    assert problem is not None
    assert found.settings is not None
    element = found.settings.document.first("consumerSecret")
    assert element is not None
    assert (problem.file, problem.line) == (found.settings.path, element.line)
    assert "ECAPIPE_CLIENT_SECRET_BILLING" in " ".join(problem.actions)


def test_a_replacement_by_a_placeholder_is_none() -> None:
    found = app()
    value = {"consumerSecret": trees.apps.Replaced(Secret("${NOT_SET}"))}
    again = replace(found, files=tuple(replace(file, replaced=value) for file in found.files))
    resolved = credentials.resolve(again, None, credentials.chain((again,), (), lambda name: None, None))
    assert resolved.secret.source is None


def test_a_source_of_keys_only_still_tells_its_name_and_orgs() -> None:
    found = app(settings={"consumerKey": None, "consumerSecret": None})
    values = {"ECAPIPE_CLIENT_ID_BILLING_UAT": KEY, "ECAPIPE_CLIENT_SECRET_BILLING_UAT": SECRET}
    chain = credentials.chain(
        (found,), (ORG,), lambda name: Secret(values[name]) if name in values else None, None, ("file",)
    )
    resolved = credentials.resolve(found, ORG, chain)
    assert resolved.key.source == "environment"
    assert resolved.secret.source is None


def test_what_lacks_a_value_is_listed() -> None:
    found = app(settings={"consumerKey": "PLACE_HOLDER"})
    assert found.settings is not None
    lacking = {"consumerKey": replaced("KEY_ONE", "KEY_TWO")}
    again = replace(found, files=tuple(replace(file, replaced=lacking) for file in found.files))
    problem = credentials.resolve(again, None, credentials.chain((again,), (), lambda name: None, None)).problem
    assert problem is not None
    assert "Billing" in problem.message
    assert any("KEY_ONE, KEY_TWO" in action for action in (problem.message, *problem.actions))


def replaced(*lacking: str) -> trees.apps.Replaced:
    return trees.apps.Replaced(None, lacking)
