"""The words and glyphs of all forms of output, and text from outside made harmless."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from render.scenes import AT, Screen, dangerous, hostile, login

from ecapipe.documents.report import Report
from ecapipe.events import (
    CHECK,
    DISCOVER,
    TOKEN,
    VERIFY,
    RunEnded,
    SavedPlace,
    Stage,
    StageEnded,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.network import host_not_found
from ecapipe.problems.problem import Problem
from ecapipe.problems.sign_in import auth_timeout_error
from ecapipe.problems.usage import interrupted
from ecapipe.render import text


@given(hostile)
@example("\x1b[31mred\x1b]0;title\x07\x9b2J")
@example("\u202egnp.exe\u2066\u200f")
def test_cleaned_text_is_harmless(given: str) -> None:
    cleaned = text.clean(given)
    assert dangerous(cleaned) == set()
    assert "\n" not in cleaned
    assert text.clean(cleaned) == cleaned


@given(st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs"), exclude_characters="#")))
@example("::")
@example("http://[::1]:1717/OauthRedirect")
@example("## a heading [sic]")
def test_ordinary_text_stays_as_it_is(given: str) -> None:
    assert text.clean(given) == given


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("forged ##vso[task.setvariable]", "forged # #vso[task.setvariable]"),
        ("forged ##[error]", "forged # #[error]"),
        ("##teamcity[forged]", "# #teamcity[forged]"),
        ("###[error]", "## #[error]"),
    ],
)
def test_cleaned_text_commands_no_ci_system(given: str, cleaned: str) -> None:
    assert text.clean(given) == cleaned


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("::error::forged", ": :error::forged"),
        (" \u00a0::add-mask::forged", " \u00a0: :add-mask::forged"),
        ("http://[::1]:1717/", "http://[::1]:1717/"),
    ],
)
def test_no_line_starts_with_a_command_for_github(line: str, written: str) -> None:
    screen = Screen()
    text.write(screen, [line])
    assert screen.getvalue() == f"{written}\n"


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (0, "0ms"),
        (116, "116ms"),
        (999, "999ms"),
        (1_000, "1.00s"),
        (1_300, "1.30s"),
        (1_309, "1.30s"),
        (59_999, "59.99s"),
        (60_000, "1m 0.00s"),
        (123_450, "2m 3.45s"),
        (3_599_999, "59m 59.99s"),
        (3_600_000, "1h 0m"),
        (90_061_000, "25h 1m"),
    ],
)
def test_durations_read_as_sf_writes_them(milliseconds: int, said: str) -> None:
    assert text.duration(milliseconds) == said


@pytest.mark.parametrize(
    ("encoding", "glyphs"),
    [
        ("utf-8", text.Glyphs()),
        ("UTF-16", text.Glyphs()),
        ("latin-1", text.ASCII),
        ("cp1252", text.ASCII),
        ("ascii", text.ASCII),
        ("no such encoding", text.ASCII),
        (None, text.ASCII),
    ],
)
def test_glyphs_are_those_that_can_be_written(encoding: str | None, glyphs: text.Glyphs) -> None:
    assert text.glyphs(encoding) == glyphs


def test_the_stand_ins_are_ascii_and_differ() -> None:
    marks = [text.ASCII.of(outcome) for outcome in ("passed", "failed", "skipped", "warning")]
    assert len(set(marks)) == 4
    assert "".join(marks).isascii()


def ended(stage: Stage = VERIFY, **facts: object) -> StageEnded:
    return StageEnded(stage, Subject("Billing", "uat"), "passed", AT, facts=facts)


def test_facts_are_labelled_and_empty_ones_left_out() -> None:
    event = ended(username="ada\x1b", orgId="00D", redirectUri="http://localhost/", scopes=["api", "id"], none=None)
    assert text.facts(event, verbose=False) == [
        ("Username", "ada\N{REPLACEMENT CHARACTER}"),
        ("Org ID", "00D"),
        ("Redirect URI", "http://localhost/"),
        ("Scopes", "api, id"),
    ]


def test_the_facts_of_the_middle_are_for_those_who_ask() -> None:
    middle = ended(CHECK, consumerKey="file")
    assert text.facts(middle, verbose=False) == []
    assert text.facts(middle, verbose=True) == [("Consumer Key", "file")]


def test_a_problem_reads_as_sf_prints_one() -> None:
    message = "It broke in 1.2. Or it was broken. Look at it."
    found = Problem("MadeUp", message, ("Mend it.", "Or leave it."), "config", file="main/a.xml", line=7)
    assert text.problem(found, "Billing") == [
        "Error (MadeUp) Billing: It broke in 1.2.", "  Or it was broken.", "  Look at it.", "  main/a.xml:7",
        "", "Try this:", "", "Mend it.", "Or leave it.", "",
    ]  # fmt: skip
    assert text.problem_line(found, "Billing") == f"Error (MadeUp) Billing: {message}"


def test_a_success_reads_as_sf_prints_one() -> None:
    said = text.success("Billing@uat", login())
    assert said == "Billing@uat: Successfully authorized ada@acme.example with org ID 00D000000000001EAA"


@pytest.mark.parametrize(
    ("problem", "finished", "interrupted", "said"),
    [
        (None, True, False, "Succeeded"),
        (interrupted(), False, True, "Interrupted"),
        (host_not_found("x"), False, False, "Failed"),
        (host_not_found("x"), True, False, "Partial Success"),
        (auth_timeout_error("Billing", 5), True, False, "Waiting for sign-in"),
    ],
)
def test_a_run_ends_in_a_word_or_two(problem: Problem | None, finished: bool, interrupted: bool, said: str) -> None:
    report = Report()
    if problem:
        report(StageEnded(TOKEN, Subject("Portal", "uat"), "failed", AT, problem=problem))
    if finished:
        report(SubjectFinished(Subject("Billing", "uat"), login()))
    report(RunEnded(interrupted, 1))
    assert text.status(report) == said


def test_it_is_said_what_became_of_the_tokens() -> None:
    assert text.farewell([]) == []
    (sentence,) = text.farewell([login(), login()])
    assert "weren't stored" in sentence
    assert "remain valid" in sentence


def test_it_is_said_what_the_salesforce_cli_keeps() -> None:
    web = replace(login(), token="handedOver", flow="web", scopes=("api", "refresh_token"))
    alone = replace(web, flow="client-credentials")
    (sentence,) = text.farewell([web, web])
    assert "now stores the consumer secret and the refresh token" in sentence
    (sentence,) = text.farewell([alone])
    assert "access token" in sentence
    assert text.farewell([replace(web, scopes=("api",))]) == [sentence]
    assert len(text.farewell([web, alone])) == 2


def test_it_is_said_where_logins_are_kept_and_what_that_means() -> None:
    def saved(kept: SavedPlace | None) -> list[str]:
        return text.farewell([replace(login(), token="saved", saved_place=kept)] * 2)

    (sentence,) = saved(SavedPlace("keyring", "the keyring (X\x1b[2J)"))
    assert sentence.startswith("Logins are saved in the keyring (X\N{REPLACEMENT CHARACTER}[2J). ecapipe login list")
    where, means = saved(SavedPlace("file", "/home/ada/keyring/logins"))
    assert "/home/ada/keyring/logins. " in where
    assert "not encrypted" in means
    (earlier,) = saved(None)
    assert "an earlier run" in earlier


@pytest.mark.parametrize(
    ("encoding", "written"), [("ascii", b"caf? ?\n"), ("latin-1", b"caf\xe9 ?\n"), ("utf-8", "café ✔\n".encode())]
)
def test_what_a_stream_cannot_write_becomes_a_question_mark(encoding: str, written: bytes) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
    text.write(stream, ["café ✔"])
    assert raw.getvalue() == written


def test_lines_are_written_whole_and_at_once() -> None:
    screen = Screen()
    text.write(screen, ["one", "", "lone \ud800"])
    assert screen.getvalue() == "one\n\nlone ?\n"


def test_a_long_list_is_shown_whole_only_to_those_who_ask() -> None:
    event = ended(DISCOVER, orgs=[f"org{number}" for number in range(200)])
    ((_, short),) = text.facts(event, verbose=False)
    assert short.startswith("org0, org1, ")
    assert short.endswith("org19 and 180 more")
    ((_, whole),) = text.facts(event, verbose=True)
    assert whole.endswith("org199")
