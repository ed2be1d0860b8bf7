"""No text from outside takes more than a stated time and memory for each of its bytes, however it is made."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
import trees
from billing import ORG, proven
from hypothesis import given
from hypothesis import strategies as st
from profiles import tries

from ecapipe.check import baseline
from ecapipe.credentials import placeholders
from ecapipe.documents import journal_lines, run_results
from ecapipe.oauth import authorize, authorize_probe, credentials_api, introspection, tokens
from ecapipe.oauth.authorize import UnmatchedResponse
from ecapipe.oauth.flows.registry import CHOICES
from ecapipe.oauth.flows.web import AuthorizationCode
from ecapipe.oauth.messages import Response
from ecapipe.orgs import org_file
from ecapipe.problems.problem import EcapipeError
from ecapipe.project import globs, metadata, sfdx_project
from ecapipe.render import text
from ecapipe.secret import Secret, redact

SIZE = 65_536
SECONDS = 25e-6
"""For each byte. Text takes a fifth of it at most; what grows with the square takes many times as much."""
MEMORY = 400
"""Bytes for each byte."""

GRANT = AuthorizationCode(Secret("aPrxFAKEcode1234567890=="), "https://www.example.com/", Secret("v" * 43))
ANSWER = {"access_token": "00D000000000001!AQEAQFAKE", "instance_url": ORG.url, "scope": "api id", "id": ORG.url}
PROJECT = {"packageDirectories": [{"path": "force-app"}], "replacements": [{"filename": "a", "stringToReplace": "b"}]}
USAGE = {"apps": [{"developerName": "Billing", "identifier": "0xI000000000001"}], "nextPageUrl": "/next"}
STAGED = {"stagedCredentials": [{"id": "1sc000000000001", "key": "3MVG9", "expirationDate": "2026-01-01"}]}
REFUSED = [{"errorCode": "FUNCTIONALITY_NOT_ENABLED", "message": "not enabled for this user"}]
PATH = "force-app/" + "a" * 200 + "/b.cls"
LOGIN = authorize.build_request(proven(), ORG, "https://www.example.com/", None, bytes)
SETTINGS = trees.xml("ExtlClntAppGlobalOauthSettings", {"callbackUrl": "https://a", "consumerKey": "k"})


def answer(status: int) -> Callable[[str], object]:
    """A reader of an org's answer with this status."""
    return lambda given: tokens.read(response(given, status), GRANT, proven(), ORG, app=None)


def response(given: str, status: int = 200, kind: str = "application/json") -> Response:
    return Response(status, kind, given.encode())


def probed(kind: str) -> Callable[[str], object]:
    """A reader of what authorize answers a probe with."""
    return lambda given: authorize_probe.read(response(given, 400, kind), LOGIN)


def ignored(given: str) -> None:
    with suppress(ValueError):  # more lines than are read
        globs.Ignores(given)(PATH)


READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "settings": (SETTINGS, lambda given: metadata.parse(given.encode(), metadata.SETTINGS, "a.xml")),
    "project": (json.dumps(PROJECT), lambda given: sfdx_project.parse(given, "/p")),
    "orgs as CSV": ("alias,url\nuat,acme\n", lambda given: org_file.parse(given.encode(), "orgs.csv", CHOICES)),
    "orgs as JSON": ('[{"alias": "uat"}]', lambda given: org_file.parse(given.encode(), "orgs.json", CHOICES)),
    "baseline": ('{"version": 1, "findings": []}', lambda given: baseline.parse(given, "b.json")),
    "result": ('{"status": 0, "result": {"version": 1}}', lambda given: run_results.load(given.encode(), "r.json")),
    "journal": ('{"version": 1}\n', lambda given: journal_lines.parse(given.encode(), "run.jsonl")),
    "token answer": (json.dumps(ANSWER), answer(200)),
    "refusal": ('{"error": "invalid_grant", "error_description": "expired"}', answer(400)),
    "page": ("<p>invalid_client_id</p>", probed("text/html")),
    "probe answer": ('{"error": "invalid_scope"}', probed("application/json")),
    "introspection": ('{"active": false}', lambda given: introspection.read(response(given), proven(), ORG)),
    "apps of an org": (json.dumps(USAGE), lambda given: credentials_api.listed(response(given), ORG, GRANT.code)),
    "staged pairs": (json.dumps(STAGED), lambda given: credentials_api.slot(response(given), ORG, GRANT.code)),
    "REST refusal": (json.dumps(REFUSED), lambda given: credentials_api.slot(response(given, 403), ORG, GRANT.code)),
    "ignore file": ("force-app/*\n", ignored),
    "paste": ("https://www.example.com/?code=a&state=b", lambda given: authorize.match_pasted(given, ())),
    "value": ("changeMe", placeholders.is_placeholder),
    "shown": ("a text", lambda given: (text.clean(given), redact(given, Secret("made-up-value-of-the-test")))),
}
PIECES = [
    *("<a>", "<a/>", "</a>", "<!--", "-->", "<![CDATA[", "&amp;", "&#x41;", "<?a ", ' b="c"', "&", "<"),
    *("[", "{", "]", "}", '{"a":', "[{", '"', "\\", "\\u0041", "9", "-", "1e9", ",", ":", "null,", '"a":1,'),
    *(
        "%41",
        "%25",
        "eyJ",
        "3MVG9",
        "+",
        "/",
        "=",
        "?code=a&",
        "&state=b",
        "OAUTH_",
        "a:",
        "http://",
        "00D",
        "é",
        "ß",
    ),
    *(" ", "\t", "\n", "\r\n", "\0", "\x1b[", "a", "A1", "x", "_", ".", "##[", "'", ";", "\n\n", '"\n', "a b "),
]


def cost(read: Callable[[str], object], given: str) -> float:
    """The seconds of processor time for each byte."""
    began = time.process_time()
    with suppress(EcapipeError, UnmatchedResponse):
        read(given)
    return (time.process_time() - began) / len(given.encode())


@pytest.mark.parametrize("name", READERS)
@tries(30)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map("".join), st.floats(0, 1))
def test_no_text_takes_more_than_its_time(name: str, piece: str, place: float) -> None:
    whole, read = READERS[name]
    at = round(place * len(whole))
    given = whole[:at] + piece * (SIZE // len(piece)) + whole[at:]
    assert cost(read, given) < SECONDS


@pytest.mark.parametrize("name", READERS)
@tries(4)
@given(st.sampled_from(PIECES), st.floats(0, 1))
def test_no_text_takes_more_than_its_memory(name: str, piece: str, place: float) -> None:
    whole, read = READERS[name]
    at = round(place * len(whole))
    given = whole[:at] + piece * (SIZE // len(piece)) + whole[at:]
    tracemalloc.start()
    try:
        cost(read, given)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / len(given.encode()) < MEMORY
