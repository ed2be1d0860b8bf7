"""UserInfo: whom the token belongs to, and whether that is whom everybody expected."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from billing import ORG, ORG_ID, USER_ID
from disguises import DISGUISES
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.oauth import userinfo
from ecapipe.oauth.messages import Response
from ecapipe.oauth.tokens import Token
from ecapipe.oauth.userinfo import User
from ecapipe.orgs.org import Org
from ecapipe.problems import api, oauth
from ecapipe.problems.network import redirect_refused, unexpected_answer
from ecapipe.problems.orgs import wrong_org, wrong_user
from ecapipe.problems.problem import EcapipeError, Kind
from ecapipe.secret import Secret

ACCESS = "00D000000000001!AQEAQFAKEaccess.token"
TOKEN = Token(Secret(ACCESS), None, ORG.url, ORG_ID, USER_ID, ("api", "id"))
USER = User("ann@acme.test", USER_ID, ORG_ID)
WHOLE = {
    "sub": f"https://login.salesforce.com/id/{ORG_ID}/{USER_ID}",
    "preferred_username": "ann@acme.test",
    "user_id": USER_ID,
    "organization_id": ORG_ID,
    "email": "ann@acme.test",
    "new": {"a": [1]},
}


def answer(body: object, status: int = 200, kind: str = "application/json") -> Response:
    return Response(status, kind, body if isinstance(body, bytes) else json.dumps(body).encode())


def read(given: Response) -> User:
    return userinfo.read(given, TOKEN, ORG)


def test_the_token_goes_in_the_header_only() -> None:
    request = userinfo.request(TOKEN, ORG)
    assert request.url == f"{ORG.url}/services/oauth2/userinfo"
    assert request.bearer is TOKEN.access_token
    assert request.form is None
    assert ACCESS not in repr(request)


def test_a_whole_answer_is_a_user() -> None:
    assert read(answer(WHOLE)) == USER


@pytest.mark.parametrize("member", ["preferred_username", "user_id", "organization_id"])
@pytest.mark.parametrize("value", [None, "", 7, ["x"]])
def test_an_answer_that_does_not_name_the_user_is_unexpected(member: str, value: object) -> None:
    problem = problem_of(read, answer({**WHOLE, member: value}))
    assert problem.kind is unexpected_answer
    assert member in problem.message


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("user_id", ORG_ID),
        ("user_id", USER_ID[:14]),
        ("user_id", USER_ID[:16]),
        ("user_id", f"{USER_ID}FAKE"),
        ("user_id", f"{USER_ID[:14]}\u0661"),
        ("organization_id", USER_ID),
        ("organization_id", f"{ORG_ID} "),
        ("organization_id", f"{ORG_ID[:14]}-"),
        ("preferred_username", f"ada@{'acme' * 15_000}"),
        ("preferred_username", f"{'ada' * 81}@acme.example"),
        ("preferred_username", "ada@acme.example\n::error::FAKE"),
        ("preferred_username", "ada@acme.example\x1b[2J"),
        ("preferred_username", "ada\u202e@acme.example"),
        ("preferred_username", "ada@acme.example\ud800"),
    ],
)
def test_a_member_of_another_form_is_named_and_not_repeated(member: str, value: str) -> None:
    problem = problem_of(read, answer({**WHOLE, member: value}))
    assert problem.kind is unexpected_answer
    assert f"its {member} is not a valid " in problem.message
    assert len(problem.message) < 200
    assert "FAKE" not in repr(problem)


@pytest.mark.parametrize(
    "username",
    ["a", f"{'ada' * 80}@acme.example", "autoproc@00d000000000001", "o'ada+x%20&y@bücher.example", "ada b@c"],
)
def test_a_username_of_any_common_form_is_taken(username: str) -> None:
    assert read(answer({**WHOLE, "preferred_username": username})).username == username


KNOWN = replace(TOKEN, refresh_token=Secret("5Aep861FAKErefresh.token"), sent=(Secret("MADE0UP0SECRET0OF0AN0APP"),))


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize("secret", [ACCESS.partition("!")[2], "5Aep861FAKErefresh.token", "MADE0UP0SECRET0OF0AN0APP"])
@pytest.mark.parametrize(
    ("member", "form"),
    [
        ("preferred_username", "{:.240}@acme.example"),
        ("user_id", "005{:0<12.12}"),
        ("organization_id", "00D{:0<12.12}"),
    ],
)
def test_an_answer_that_repeats_what_the_org_was_sent_is_refused(
    member: str, form: str, secret: str, disguise: Callable[[str], str]
) -> None:
    told = form.format(disguise(secret))
    problem = problem_of(userinfo.read, answer({**WHOLE, member: told}), KNOWN, ORG)
    assert problem.kind is unexpected_answer
    assert re.search(rf"\bits {member}\b", problem.message)
    assert told[3:11] not in repr(problem)


@pytest.mark.parametrize("read", [userinfo.read, userinfo.api_problem])
def test_a_refusal_repeats_nothing_that_the_org_was_sent(read: Callable[[Response, Token, Org], object]) -> None:
    for secret in ("5Aep861FAKErefresh.token", "MADE0UP0SECRET0OF0AN0APP", "4d414445305550305345435245543"):
        given = answer(f"Bad {secret}".encode(), 403)
        try:
            problem = read(given, KNOWN, ORG)
        except EcapipeError as error:
            problem = error.problem
        assert "Bad [REDACTED]" in repr(problem)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer(b"Bad_OAuth_Token", 403, "text/html"), api.user_info_refused),
        (answer(b"", 401, ""), api.user_info_refused),
        (answer({"error": "invalid_token"}, 401), api.user_info_refused),
        (answer(WHOLE, 403), api.user_info_refused),
        (answer(b"<html>", 200, "text/html"), unexpected_answer),
        (answer(b"", 200, ""), unexpected_answer),
        (answer(json.dumps(WHOLE).encode()[:-5]), unexpected_answer),
        (answer([WHOLE]), unexpected_answer),
        (answer(WHOLE, 404), unexpected_answer),
        (answer(WHOLE, 302), redirect_refused),
        (answer(b"", 429, ""), oauth.rate_limited),
        (answer(b"", 500, ""), oauth.server_busy),
        (answer({"error": "server_error"}), oauth.server_busy),
    ],
)
def test_any_other_answer_is_a_problem_with_host_and_status(given: Response, kind: Kind[...]) -> None:
    problem = problem_of(read, given)
    assert (problem.kind, problem.host, problem.http_status) == (kind, ORG.host, given.status)


def test_a_refusal_says_the_orgs_word_but_never_the_token() -> None:
    assert "Bad_OAuth_Token" in problem_of(read, answer(b"Bad_OAuth_Token", 403)).message
    assert "FAKE" not in repr(problem_of(read, answer(f"got {ACCESS}".encode(), 403)))
    assert "FAKE" not in repr(problem_of(read, answer({"error": "new", "error_description": ACCESS}, 400)))


# --- whom it belongs to -------------------------------------------------------------------------------------

REMAINS = "The token stays valid."
OTHER_ORG, OTHER_USER = "00D000000000002EAA", "005000000000002AAA"


@pytest.mark.parametrize(
    ("user", "org"),
    [
        (USER, ORG),
        (replace(USER, user_id=USER_ID[:15], org_id=ORG_ID[:15]), ORG),
        (USER, replace(ORG, org_id=ORG_ID, username="ann@acme.test")),
        (USER, replace(ORG, org_id=ORG_ID[:15])),
        (USER, replace(ORG, username="ANN@Acme.test")),
    ],
)
def test_an_expected_user_in_the_expected_org_is_no_mismatch(user: User, org: Org) -> None:
    assert userinfo.mismatch(user, TOKEN, org, REMAINS) is None


@pytest.mark.parametrize(
    ("user", "org", "kind", "expected", "found"),
    [
        (replace(USER, org_id=OTHER_ORG), ORG, wrong_org, ORG_ID, OTHER_ORG),
        (USER, replace(ORG, org_id=OTHER_ORG), wrong_org, OTHER_ORG, ORG_ID),
        (replace(USER, org_id=OTHER_ORG), replace(ORG, org_id=OTHER_ORG), wrong_org, ORG_ID, OTHER_ORG),
        (replace(USER, user_id=OTHER_USER), ORG, wrong_user, USER_ID, OTHER_USER),
        (USER, replace(ORG, username="bob@acme.test"), wrong_user, "bob@acme.test", "ann@acme.test"),
        (USER, replace(ORG, username="ann@acme.test.uat"), wrong_user, "ann@acme.test.uat", "ann@acme.test"),
        (replace(USER, user_id=OTHER_USER, org_id=OTHER_ORG), ORG, wrong_org, ORG_ID, OTHER_ORG),
    ],
)
def test_whatever_contradicts_is_a_mismatch_that_says_what_remains(
    user: User, org: Org, kind: Kind[...], expected: str, found: str
) -> None:
    problem = userinfo.mismatch(user, TOKEN, org, REMAINS)
    assert problem is not None
    assert problem.kind is kind
    assert all(said in problem.message for said in (expected, found, REMAINS))


@pytest.mark.parametrize("attended", [True, False])
def test_a_private_window_is_advised_only_where_somebody_signed_in(attended: bool) -> None:
    for org in (replace(ORG, org_id=OTHER_ORG), replace(ORG, username="bob@acme.test")):
        problem = userinfo.mismatch(USER, TOKEN, org, REMAINS, attended=attended)
        assert problem is not None
        assert ("private window" in " ".join(problem.actions)) == attended
    for user in (replace(USER, org_id=OTHER_ORG), replace(USER, user_id=OTHER_USER)):
        contradiction = userinfo.mismatch(user, TOKEN, ORG, REMAINS, attended=attended)
        assert contradiction is not None
        # Nobody expected the other one: neither another sign-in nor a correction would help.
        assert "private window" not in " ".join(contradiction.actions)
        assert "ecapipe doctor" in contradiction.actions[-1]


# --- the API ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "needed"),
    [(("api",), True), (("id", "full"), True), (("id", "openid"), False), (("chatter_api",), False), ((), False)],
)
def test_the_api_is_tried_if_the_scope_promises_it(scopes: tuple[str, ...], needed: bool) -> None:
    assert userinfo.needs_api(replace(TOKEN, scopes=scopes)) is needed


def test_the_api_is_asked_in_the_org_that_was_meant_not_where_the_token_says() -> None:
    request = userinfo.api_request(replace(TOKEN, instance_url="https://evil.test"), ORG, "66.0")
    assert request.url == f"{ORG.url}/services/data/v66.0/"
    assert request.bearer is TOKEN.access_token


def test_an_api_that_answers_is_no_problem() -> None:
    assert userinfo.api_problem(answer({}), TOKEN, ORG) is None


@pytest.mark.parametrize("status", [401, 403])
def test_an_api_that_refuses_the_token_is_a_policy_problem(status: int) -> None:
    problem = userinfo.api_problem(answer([{"errorCode": "SOMETHING_NEW"}], status), TOKEN, ORG)
    assert problem is not None
    assert (problem.kind, problem.category) == (api.api_access_blocked, "policy")
    assert "SOMETHING_NEW" in problem.message
    assert f"HTTP {status}" in problem.message


def test_an_org_older_than_the_project_proves_nothing() -> None:
    assert userinfo.api_problem(answer([{"errorCode": "NOT_FOUND"}], 404), TOKEN, ORG) is None


@pytest.mark.parametrize(
    ("status", "kind"), [(429, oauth.rate_limited), (503, oauth.server_busy), (204, unexpected_answer)]
)
def test_a_fault_of_the_org_is_not_taken_for_a_policy(status: int, kind: Kind[...]) -> None:
    with pytest.raises(EcapipeError) as raised:
        userinfo.api_problem(answer({}, status), TOKEN, ORG)
    assert raised.value.problem.kind is kind


ODD = st.none() | st.integers() | st.text() | st.text(st.characters(categories=("Cs", "Cc")), max_size=3)


@given(st.sampled_from((200, 401)), st.dictionaries(st.sampled_from(sorted(WHOLE)), ODD, max_size=3))
def test_any_answer_is_a_user_or_a_problem(status: int, changes: dict[str, object]) -> None:
    try:
        user = read(answer({**WHOLE, **changes}, status))
    except EcapipeError:
        return
    assert status == 200
    problem = userinfo.mismatch(user, TOKEN, ORG, REMAINS)
    same = (user.user_id[:15], user.org_id[:15]) == (USER_ID[:15], ORG_ID[:15])
    assert (problem is None) == same
