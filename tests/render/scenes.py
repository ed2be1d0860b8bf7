"""Runs as the events they tell, and what no text from outside may bring onto a screen."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import strategies as st

from ecapipe.documents.report import Report
from ecapipe.events import (
    AUTHORIZE,
    CHECK,
    DISCOVER,
    LOCATE,
    RUN_STAGES,
    TOKEN,
    VERIFY,
    AppDescribed,
    AppFacts,
    CredentialFacts,
    Emit,
    Event,
    LoginResult,
    Note,
    ProjectFacts,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.network import connection_failed

AT = "2026-01-05T09:00:00.000Z"
LINK = "https://acme.my.salesforce.com/services/oauth2/authorize?state=made-up&scope=api%20id"

LOST = """\
Sign in to uat and allow Billing.
Not the redirect URL.
Error (ConnectionFailed) Portal2@uat: Could not connect to acme.my.salesforce.com: connection refused.
  main/Portal.xml:7

Try this:

Look at the network.

"""
"""What `run` says on standard error from the link on."""

hostile = st.text(
    st.sampled_from(
        "::##[\x1b\x9b\x07\x08\r\n\t\x00\x7f\x85\u2028\u2029\u202e\u2066\u200f\u061c\ufeff\ud800[31m]0;::%&<>"
    )
    | st.characters(),
    min_size=1,
    max_size=12,
)


class Screen(io.StringIO):
    """A stream of text in memory that says which encoding it has."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]  # StringIO has none
        return self._encoding


def dangerous(shown: str) -> set[str]:
    """The characters in `shown` that move, hide, reorder or are no text; line breaks apart."""
    reordering = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return {
        character
        for character in shown
        if (unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") and character != "\n")
        or unicodedata.bidirectional(character) in reordering
        or character in "\u061c\u200e\u200f\ufeff"
    }


def tell(events: Iterable[Event], report: Report, *displays: Emit) -> None:
    """Tell `events` as a run does: the report hears of each first."""
    everybody: list[Emit] = [report, *displays]
    for event in events:
        for emit in everybody:
            emit(event)


def login(user: str = "ada@acme.example", org: str = "00D000000000001EAA") -> LoginResult:
    return LoginResult(
        user, "005000001000001AAA", org, "https://acme.my.salesforce.com", ("api",), "web", "forgotten"
    )


def run(text: str | None = None) -> list[Event]:
    """A run with everything in it: two apps, of which one logs in and the other fails.

    With a `text`, that is what everything from outside says.
    """

    def said(usual: str) -> str:
        return usual if text is None else text

    one, two, uat = said("Billing"), said("Portal") + "2", said("uat")
    broken = connection_failed(said("acme.my.salesforce.com"), said("connection refused"))
    broken = replace(broken, file=said("main/Portal.xml"), line=7, actions=(said("Look at the network."),))
    key = CredentialFacts("present", True, "file", ())
    secret = replace(key, required=True)
    facts = AppFacts(one, "p", one, (one,), "Local", "own", None, (said("http://localhost:1717/"),), (), key, secret)
    first, second = Subject(one, uat, "p"), Subject(two, uat, "p")
    return [
        RunStarted("20260105T090000Z-abcdef", AT, RUN_STAGES),
        StageStarted(DISCOVER, Subject()),
        StageEnded(DISCOVER, Subject(), "passed", AT, 5, facts={"apps": 2, "orgs": [uat]}),
        RunPlanned((ProjectFacts("/p", ("force-app",), "p"),), (first.whole_app, first, second.whole_app, second)),
        StageStarted(LOCATE, first.whole_app),
        StageEnded(LOCATE, first.whole_app, "passed", AT, 1, facts={"settingsFile": said("main/Billing.xml")}),
        StageStarted(CHECK, first.whole_app),
        StageEnded(CHECK, first.whole_app, "warning", AT, 1, said("Key and secret differ in source.")),
        AppDescribed(facts),
        StageStarted(LOCATE, second.whole_app),
        StageEnded(LOCATE, second.whole_app, "passed", AT, 1),
        StageStarted(CHECK, second.whole_app),
        StageEnded(CHECK, second.whole_app, "passed", AT, 1),
        StageStarted(AUTHORIZE, first),
        StageNoted(AUTHORIZE, first, Note("link", LINK)),
        StageNoted(AUTHORIZE, first, Note("waiting", said("Sign in to uat and allow Billing."))),
        StageNoted(AUTHORIZE, first, Note("hint", said("Not the redirect URL."))),
        StageEnded(AUTHORIZE, first, "passed", AT, 65_430, facts={"redirectUri": said("http://localhost/")}),
        StageStarted(TOKEN, first),
        StageEnded(TOKEN, first, "passed", AT, 1_300),
        StageStarted(VERIFY, first),
        StageEnded(VERIFY, first, "passed", AT, 116, facts={"username": said("ada@acme.example")}),
        SubjectFinished(first, login(said("ada@acme.example"), said("00D000000000001EAA"))),
        StageStarted(AUTHORIZE, second),
        StageEnded(AUTHORIZE, second, "skipped", AT, 0, said("It has no browser step.")),
        StageStarted(TOKEN, second),
        StageEnded(TOKEN, second, "failed", AT, 20, None, {}, broken),
        StageEnded(VERIFY, second, "skipped", AT, 0, said("Requesting token failed.")),
        RunEnded(False, 66_900),
    ]
