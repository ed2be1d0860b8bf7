"""What goes wrong on purpose, as a client meets it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl

import httpx
import pytest
from emulator.client import APPS, CALLBACK, NIGHTLY, WEB, Client, answer, refusal
from hypothesis import HealthCheck, given, reject
from hypothesis import strategies as st
from profiles import tries
from starlette.responses import JSONResponse

from ecapipe.emulator.faults import Do, ErrorReply, Fault, parse
from ecapipe.emulator.faults import answer as respond
from ecapipe.emulator.server import Emulator
from ecapipe.emulator.visitor import VisitError

AUTHORIZE = "/services/oauth2/authorize"
TOKEN = "/services/oauth2/token"
USERINFO = "/services/oauth2/userinfo"
DATA = "/services/data"
INACTIVE = {"error": "inactive_user", "error_description": "user is inactive"}
BLOCKED: ErrorReply = {
    "error": "OAUTH_AUTHORIZATION_BLOCKED",
    "error_description": "<b>Cross-org</b> flows are not supported",
}

FAULTS: dict[str, tuple[str, Do]] = {
    "late": (DATA, {"delay": 0.3}),
    "slow": (DATA, {"drip": 100, "status": 200, "body": "x" * 38}),
    "refusing": (TOKEN, {"status": 400, "body": INACTIVE}),
    "null": (DATA, {"status": 500, "body": None}),
    "mute": (DATA, {"status": 502}),
    "maintained": ("*", {"html": True}),
    "finished": (DATA, {"html": True, "status": 200}),
    "blocking": (AUTHORIZE, {"html": BLOCKED}),
    "moved": (TOKEN, {"redirect": "https://elsewhere.example/?a=%20b"}),
    "kept": (TOKEN, {"redirect": "https://elsewhere.example/", "status": 307}),
    "reset": (TOKEN, {"reset": True}),
    "patient": (DATA, {"reset": True, "delay": 0.3}),
    "cut": (DATA, {"truncate": 10}),
    "cut-slowly": (DATA, {"truncate": 4, "drip": 50}),
    "huge": (DATA, {"huge": 2_000_000}),
    "form": ("/services/*", {"form": True}),
    "mistyped": (DATA, {"wrongContentType": "text/html; charset=latin-1"}),
    "busy": (DATA, {"status": 429, "retryAfter": 7}),
    "other-org": ("*", {"wrongOrg": True}),
    "other-user": ("*", {"wrongUser": True}),
    "nobody": ("/services/*", {"wrongOrg": True, "wrongUser": True, "form": True}),
}


@pytest.fixture(scope="module")
def at(http: httpx.Client) -> Iterator[Callable[[str], Client]]:
    """One org for each fault."""
    faults = [Fault(path, do, org) for org, (path, do) in FAULTS.items()]
    with Emulator(APPS, orgs=("well", *FAULTS), faults=faults) as emulator:
        yield lambda org: Client(emulator, http, NIGHTLY, org)


def test_a_delay_comes_before_the_answer(at: Callable[[str], Client]) -> None:
    began = time.perf_counter()
    assert at("late").get(DATA).json() == at("well").get(DATA).json()
    assert time.perf_counter() - began >= 0.3


def test_a_drip_takes_its_time_and_is_complete(at: Callable[[str], Client]) -> None:
    began = time.perf_counter()
    with at("slow").http.stream("GET", at("slow").url(DATA)) as response:
        pieces = list(response.iter_raw())
    assert b"".join(pieces) == b'"' + b"x" * 38 + b'"'
    assert len(pieces) > 10
    assert time.perf_counter() - began >= 0.39


def test_any_oauth_error_can_be_put_in_place_of_an_answer(at: Callable[[str], Client]) -> None:
    assert refusal(at("refusing").credentials()) == ("inactive_user", "user is inactive")
    assert at("refusing").get(DATA).status_code == 200


def test_a_body_can_be_null_or_missing(at: Callable[[str], Client]) -> None:
    assert (at("null").get(DATA).status_code, at("null").get(DATA).text) == (500, "null")
    assert (at("mute").get(DATA).status_code, at("mute").get(DATA).content) == (502, b"")


def test_a_maintenance_page_is_html_whatever_was_asked(at: Callable[[str], Client]) -> None:
    for response in (at("maintained").credentials(), at("maintained").get(USERINFO)):
        assert response.status_code == 503
        assert response.headers["content-type"].startswith("text/html")
        assert "<h1>Data Not Available</h1>" in response.text
    assert at("finished").get(DATA).status_code == 200
    with pytest.raises(VisitError, match="HTTP 503"):
        at("maintained").emulator.visit(at("maintained").url(AUTHORIZE))


def test_a_refusal_can_be_a_page(at: Callable[[str], Client]) -> None:
    blocking = at("blocking").of(WEB)
    page = blocking.authorize()
    assert page.status_code == 400
    assert "location" not in page.headers
    assert "&lt;b&gt;Cross-org" in page.text
    with pytest.raises(VisitError) as caught:
        blocking.visit()
    assert (caught.value.error, caught.value.description) == tuple(BLOCKED.values())


def test_a_redirect_says_exactly_where(at: Callable[[str], Client]) -> None:
    moved, kept = at("moved").credentials(), at("kept").credentials()
    assert (moved.status_code, moved.headers["location"]) == (302, "https://elsewhere.example/?a=%20b")
    assert (kept.status_code, kept.headers["location"]) == (307, "https://elsewhere.example/")
    assert moved.content == kept.content == b""


def test_a_reset_closes_the_connection_but_the_org_has_done_its_work(http: httpx.Client) -> None:
    with Emulator(APPS, faults=[Fault(TOKEN, {"reset": True}, times=1)]) as emulator:
        client = Client(emulator, http)
        code = client.visit()["code"]
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            client.token(code=code)
        assert refusal(client.token(code=code)) == ("invalid_grant", "invalid authorization code")
        assert [one.status for one in emulator.requests][-2:] == [None, 400]


def test_a_reset_can_come_late(at: Callable[[str], Client]) -> None:
    began = time.perf_counter()
    with pytest.raises(httpx.RemoteProtocolError):
        at("patient").get(DATA)
    assert time.perf_counter() - began >= 0.3


def test_what_an_org_does_is_not_done_when_another_answer_takes_its_place(http: httpx.Client) -> None:
    with Emulator(APPS, faults=[Fault(TOKEN, {"status": 503}, times=1)]) as emulator:
        client = Client(emulator, http)
        code = client.visit()["code"]
        assert client.token(code=code).status_code == 503
        assert client.token(code=code).status_code == 200


@pytest.mark.parametrize(("org", "length"), [("cut", 10), ("cut-slowly", 4)])
def test_a_truncated_answer_promises_more_than_it_sends(at: Callable[[str], Client], org: str, length: int) -> None:
    with at(org).http.stream("GET", at(org).url(DATA)) as response:
        assert int(response.headers["content-length"]) > length
        pieces = response.iter_raw(1)
        assert b"".join(next(pieces) for _ in range(length)) == at("well").get(DATA).content[:length]
        with pytest.raises(httpx.RemoteProtocolError, match="closed connection"):
            next(pieces)


def test_a_huge_answer_is_still_the_answer(at: Callable[[str], Client]) -> None:
    response = at("huge").get(DATA)
    assert len(response.content) > 2_000_000
    assert response.json() == at("well").get(DATA).json()


def test_a_form_holds_the_members_of_the_answer(at: Callable[[str], Client]) -> None:
    response = at("form").credentials()
    assert response.headers["content-type"] == "application/x-www-form-urlencoded"
    members = dict(parse_qsl(response.text))
    assert members["scope"] == "api id"
    assert at("form").get(USERINFO, members["access_token"]).text.startswith("sub=http")
    assert at("form").get(DATA).json() == at("well").get(DATA).json(), "a list has no members"


def test_a_wrong_content_type_changes_nothing_else(at: Callable[[str], Client]) -> None:
    response = at("mistyped").get(DATA)
    assert response.headers["content-type"] == "text/html; charset=latin-1"
    assert response.content == at("well").get(DATA).content


def test_retry_after_counts_seconds(at: Callable[[str], Client]) -> None:
    response = at("busy").get(DATA)
    assert (response.status_code, response.headers["retry-after"]) == (429, "7")


def identity(client: Client) -> tuple[dict[str, str], dict[str, str]]:
    """The token answer and the UserInfo answer."""
    token = client.credentials().json()
    return token, client.get(USERINFO, token["access_token"]).json()


def test_a_wrong_org_is_wrong_wherever_an_org_is_named(at: Callable[[str], Client]) -> None:
    token, user = identity(at("other-org"))
    assert "signature" not in token
    assert token["id"] == user["sub"]
    assert token["id"].split("/")[-2:] == [user["organization_id"], user["user_id"]]
    assert user["organization_id"] == "00D999999999999EAA"
    assert token["access_token"][:15] != user["organization_id"][:15]
    assert user["preferred_username"] == NIGHTLY.run_as_user
    assert at("other-org").get(f"{DATA}/v66.0/", token["access_token"]).status_code == 200


def test_a_wrong_user_is_wrong_wherever_a_user_is_named(at: Callable[[str], Client]) -> None:
    token, user = identity(at("other-user"))
    assert token["id"] == user["sub"]
    assert token["id"].split("/")[-2:] == [user["organization_id"], user["user_id"]]
    assert user["user_id"] == "005999999999999AAA"
    assert user["organization_id"][:15] == token["access_token"][:15]
    assert user["preferred_username"] == "somebody.else@elsewhere.example"


def test_faults_of_an_answer_can_be_combined(at: Callable[[str], Client]) -> None:
    members = dict(parse_qsl(at("nobody").credentials().text))
    assert members["id"].endswith("/00D999999999999EAA/005999999999999AAA")
    assert at("nobody").get(USERINFO).text == "Missing_OAuth_Token", "what is no JSON stays as it is"


def statuses(client: Client, path: str, times: int) -> list[int]:
    return [client.get(path).status_code for _ in range(times)]


def test_faults_take_turns(http: httpx.Client) -> None:
    faults = [
        Fault("/services/d?ta", {"status": 501}, "one", times=1, after=1),
        Fault(DATA, {"status": 502}, times=3),
        Fault("/*", {"status": 503}, "two", after=4),
    ]
    with Emulator(APPS, orgs=("one", "two"), faults=faults) as emulator:
        one, two = Client(emulator, http, org="one"), Client(emulator, http, org="two")
        # The second fault counts the request that the first one takes, and the requests to both orgs.
        assert statuses(one, DATA, 2) == [502, 501]
        assert statuses(two, DATA, 2) == [502, 200]
        assert statuses(one, DATA, 2) == [200, 200]
        assert statuses(two, "/services/data/", 3) == [200, 200, 503]
        assert statuses(one, "/services/data/", 1) == [200]
        assert [asked.status for asked in emulator.requests] == [502, 501, 502, 200, 200, 200, 200, 200, 503, 200]


def test_faults_start_anew_with_the_emulator(http: httpx.Client) -> None:
    again = Emulator(APPS, faults=[Fault(DATA, {"status": 503}, times=1)])
    for _ in range(2):
        with again:
            assert statuses(Client(again, http), DATA, 2) == [503, 200]


@pytest.mark.parametrize("do", [{"delay": 60}, {"drip": 0.1}, {"truncate": 3, "drip": 0.1}])
def test_a_client_need_not_wait_and_the_emulator_does_not_either(do: Do, capfd: pytest.CaptureFixture[str]) -> None:
    threads = threading.active_count()
    emulator = Emulator(APPS, faults=[Fault(DATA, do)]).__enter__()
    port = httpx.URL(emulator.urls["emulator"]).port
    sent = f"GET {DATA} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port or 0)) as leaving:
        leaving.sendall(sent)
    with socket.create_connection(("127.0.0.1", port or 0)) as waiting:
        waiting.sendall(sent)
        while len(emulator.requests) < 2:
            time.sleep(0.01)
        began = time.perf_counter()
        emulator.__exit__(None, None, None)
        assert time.perf_counter() - began < 1
    assert threading.active_count() == threads
    assert capfd.readouterr() == ("", "")


def test_a_visitor_whose_connection_breaks_says_so(http: httpx.Client) -> None:
    with Emulator(APPS, faults=[Fault("/login", {"reset": True})]) as emulator:
        with pytest.raises(VisitError, match="the org did not answer"):
            Client(emulator, http).visit()


def test_a_visitor_goes_where_a_redirect_leads(http: httpx.Client) -> None:
    address = f"{CALLBACK}?error=inactive_org&error_description=org%20is%20inactive"
    with Emulator(APPS, faults=[Fault(AUTHORIZE, {"redirect": address})]) as emulator:
        assert Client(emulator, http).visit()["error"] == answer(address)["error"] == "inactive_org"


def test_a_fault_file_is_a_list_of_faults() -> None:
    text = """[
        {"path": "/a", "do": {"reset": true}},
        {"path": "*", "org": "uat", "times": 2, "after": 0, "do": {"delay": 1.5, "status": 400, "body": {"é": []}}},
        {"path": "/c", "do": {"html": {"error": "e", "error_description": ""}, "status": 599}}
    ]"""
    expected = (
        Fault("/a", {"reset": True}),
        Fault("*", {"delay": 1.5, "status": 400, "body": {"é": []}}, "uat", 2, 0),
        Fault("/c", {"html": {"error": "e", "error_description": ""}, "status": 599}),
    )
    assert parse(text.encode()) == parse(text.encode("utf-8-sig")) == expected
    assert parse(b"[]") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not JSON: Expecting value, line 1, column 1"),
        ("[\n{]", "it is not JSON: Expecting property name enclosed in double quotes, line 2, column 2"),
        (b"\xff[]", "it is not UTF-8"),
        ("[" * 100_000, "it is nested too deeply"),
        ("{}", "it is not a list of faults"),
        ("[1]", "fault 1: it is not an object"),
        ("[{}]", 'fault 1: "path" is missing'),
        ('[{"path": "/"}]', 'fault 1: "do" is missing'),
        ('[{"do": {"reset": true}}]', 'fault 1: "path" is missing'),
        ('[{"path": "/", "path": "/", "do": {"reset": true}}]', "an object has the same member twice"),
        ('[{"path": "/", "do": {"delay": NaN}}]', "NaN is not a JSON number"),
        ('[{"path": "/", "do": {"delay": 1e999}}]', '"delay" must be seconds'),
        ('[{"path": "/", "Do": {"reset": true}}]', '"Do" is unknown; did you mean "do"?'),
        ('[{"path": "/", "do": {"reset": true}, "time": 1}]', '"time" is unknown; did you mean "times"?'),
        ('[{"path": "services", "do": {"reset": true}}]', '"path" must be a path like'),
        ('[{"path": 1, "do": {"reset": true}}]', '"path" must be a path like'),
        ('[{"path": "/", "org": null, "do": {"reset": true}}]', '"org" must be the name of an org'),
        ('[{"path": "/", "times": 0, "do": {"reset": true}}]', '"times" must be a whole number from 1'),
        ('[{"path": "/", "times": true, "do": {"reset": true}}]', '"times" must be a whole number from 1'),
        ('[{"path": "/", "after": -1, "do": {"reset": true}}]', '"after" must be a whole number from 0'),
        ('[{"path": "/", "after": 1.0, "do": {"reset": true}}]', '"after" must be a whole number from 0'),
        ('[{"path": "/", "do": {}}]', '"do" must be an object'),
        ('[{"path": "/", "do": "reset"}]', '"do" must be an object'),
        ('[{"path": "/", "do": {"wrongorg": true}}]', '"wrongorg" is unknown; did you mean "wrongOrg"?'),
        ('[{"path": "/", "do": {"x": true}}]', '"x" is unknown$'),
        ('[{"path": "/", "do": {"delay": 0}}]', '"delay" must be seconds, more than 0 and up to 3600'),
        ('[{"path": "/", "do": {"delay": true}}]', '"delay" must be seconds'),
        ('[{"path": "/", "do": {"drip": "1"}}]', '"drip" must be bytes per second'),
        ('[{"path": "/", "do": {"status": 199}}]', '"status" must be a status from 200 to 599'),
        ('[{"path": "/", "do": {"status": 204}}]', '"status" must be a status from 200 to 599'),
        ('[{"path": "/", "do": {"status": 200, "body": "\\ud800"}}]', '"body" must be a JSON value'),
        ('[{"path": "/", "do": {"html": false}}]', '"html" must be true, or an object'),
        ('[{"path": "/", "do": {"html": {"error": "e"}}}]', '"html" must be true, or an object'),
        ('[{"path": "/", "do": {"html": {"error": "e", "error_description": 1}}}]', '"html" must be true'),
        ('[{"path": "/", "do": {"html": {"error": "\\ud800", "error_description": ""}}}]', '"html" must be true'),
        ('[{"path": "/", "do": {"redirect": "/a\\r\\nSet-Cookie: b=c"}}]', '"redirect" must be an address'),
        ('[{"path": "/", "do": {"redirect": ""}}]', '"redirect" must be an address'),
        ('[{"path": "/", "do": {"wrongContentType": "é"}}]', '"wrongContentType" must be a content type'),
        ('[{"path": "/", "do": {"wrongUser": 1}}]', '"wrongUser" must be true'),
        ('[{"path": "/", "do": {"reset": false}}]', '"reset" must be true'),
        ('[{"path": "/", "do": {"huge": 67108865}}]', '"huge" must be a whole number of bytes up to 67108864'),
        ('[{"path": "/", "do": {"truncate": -1}}]', '"truncate" must be a whole number of bytes'),
        ('[{"path": "/", "do": {"retryAfter": 1.5}}]', '"retryAfter" must be a whole number of seconds'),
        ('[{"path": "/", "do": {"reset": true, "status": 500}}]', '"reset" can only be combined with "delay"'),
        ('[{"path": "/", "do": {"redirect": "/a", "html": true}}]', '"redirect" can.t be combined'),
        (
            '[{"path": "/", "do": {"redirect": "/a", "status": 400}}]',
            'the "status" of a "redirect" must be from 300 to 399',
        ),
        ('[{"path": "/", "do": {"body": {}}}]', '"body" requires "status"'),
        (
            '[{"path": "/", "do": {"body": {}, "status": 400, "html": true}}]',
            '"body" requires "status", and can.t be combined',
        ),
        ('[{"path": "/", "do": {"reset": true}}, {"path": "/", "do": {"form": 1}}]', 'fault 2: "form" must be true'),
    ],
)
def test_a_wrong_fault_file_is_told_what_is_wrong(text: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        parse(text if isinstance(text, bytes) else text.encode())


def test_a_fault_made_in_python_is_checked_as_well() -> None:
    with pytest.raises(ValueError, match='"times" must be a whole number from 1'):
        Fault("/", {"reset": True}, times=0)
    with pytest.raises(ValueError, match='"body" must be a JSON value'):
        Fault("/", {"status": 200, "body": {1, 2}})


NAMES = st.sampled_from(["path", "do", "org", "times", "after", *Do.__annotations__]) | st.text(max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 700) | st.floats() | st.text(max_size=3) | st.just("/"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "status": st.integers(200, 599),
        "body": JSON,
        "html": st.just(True) | st.fixed_dictionaries({"error": st.text(), "error_description": st.text()}),
        "redirect": st.text(st.characters(codec="ascii"), min_size=1),
        "wrongContentType": st.text(st.characters(codec="ascii"), min_size=1),
        "retryAfter": st.integers(0, 10**6),
        "huge": st.integers(0, 99),
        **{name: st.just(True) for name in ("wrongOrg", "wrongUser", "form")},
    },
)


@tries(60)
@given(JSON | st.lists(st.fixed_dictionaries({"path": st.just("/"), "do": st.dictionaries(NAMES, JSON)})))
def test_any_json_is_faults_or_is_told_what_is_wrong(value: object) -> None:
    with contextlib.suppress(ValueError):
        assert all(isinstance(fault, Fault) for fault in parse(json.dumps(value).encode()))


@tries(60, [HealthCheck.filter_too_much])
@given(ANSWERS, JSON)
def test_whatever_is_accepted_can_be_answered(do: Do, usual: object) -> None:
    try:
        fault = Fault("/", do)
        json.dumps(usual, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        reject()
    response = respond(fault.do, lambda: JSONResponse(usual))
    assert int(response.headers["content-length"]) == len(response.body) > do.get("huge", -1)
    if "status" in do:
        assert response.status_code == do["status"]
