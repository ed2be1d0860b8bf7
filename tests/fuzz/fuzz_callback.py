"""Any query and any pasted text is a grant, a refusal or a misfit, and nothing else; run by hand.

    pip install --target /tmp/atheris atheris
    PYTHONPATH=/tmp/atheris:. .venv/bin/python tests/fuzz/fuzz_callback.py -max_total_time=300 -max_len=2048

What it finds is written to a file ``crash-…``, which becomes a test in tests/oauth/test_grants.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from urllib.parse import parse_qsl

import atheris

with atheris.instrument_imports():
    from ecapipe.oauth import authorize
    from ecapipe.oauth.authorize import AuthorizationRequest, UnmatchedResponse
    from ecapipe.oauth.grants import AuthorizationCode
    from ecapipe.orgs import selection
    from ecapipe.problems.problem import EcapipeError
    from ecapipe.project.apps import App
from ecapipe.secret import Secret

STATES = ("FAKE0STATE0ONE", "FAKE0STATE0TWO")
ORGS = [selection.choose(f"https://{name}.my.salesforce.com", {}, ()) for name in ("one", "two")]
LOGINS = [
    AuthorizationRequest(
        App("Billing", "", ()), org, callback, state, Secret("FAKE-VERIFIER"), f"{org.url}/services/oauth2/authorize"
    )
    for org, callback, state in zip(ORGS, ("https://www.example.com", "acme://done?from=org"), STATES, strict=True)
]
Judge = Callable[[str, list[AuthorizationRequest]], tuple[AuthorizationRequest, AuthorizationCode | EcapipeError]]


def judged(
    judge: Judge, text: str, logins: list[AuthorizationRequest]
) -> tuple[AuthorizationRequest, AuthorizationCode] | None:
    try:
        login, outcome = judge(text, logins)
    except UnmatchedResponse:
        return None
    assert login in logins
    if isinstance(outcome, EcapipeError):
        assert outcome.problem.actions
        return None
    assert outcome.code.reveal().isprintable()
    return login, outcome


def one(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for logins in (LOGINS, LOGINS[:1], []):
        if found := judged(authorize.match_redirect, text, logins):
            sent = parse_qsl(text, keep_blank_values=True)
            assert [value for name, value in sent if name == "state"] == [found[0].state]
            assert [value for name, value in sent if name == "code"] == [found[1].code.reveal()]
        if found := judged(authorize.match_pasted, text, logins):
            joined = text.translate(dict.fromkeys(b"\t\r\n"))  # as urlsplit reads an address
            assert found[0].state in joined or len(logins) == 1


def main() -> None:
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
