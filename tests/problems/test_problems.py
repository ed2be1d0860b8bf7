"""Problems: every one of them has a name, a message, a way out and an explanation."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import tries

from ecapipe import problems
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.network import TlsFault
from ecapipe.problems.oauth import invalid_client, invalid_client_id, rate_limited
from ecapipe.problems.orgs import refused_host
from ecapipe.problems.problem import Category, EcapipeError, Kind, did_you_mean
from ecapipe.problems.project import json_parse_error, settings_duplicated
from ecapipe.problems.usage import interrupted

EXIT_CODES = {1, 2, 3, 69, 130}


WORDS = st.text().map("x{}".format)
VALUES: dict[object, st.SearchStrategy[object]] = {
    str: WORDS,
    TlsFault: st.sampled_from(get_args(TlsFault)),
    int: st.integers(),
    bool: st.booleans(),
    bool | None: st.none() | st.booleans(),
    float: st.floats(0, 1000),
    str | None: st.none() | WORDS,
    int | None: st.none() | st.integers(),
    Sequence[str]: st.lists(WORDS, min_size=1),
    Sequence[str] | None: st.none() | st.lists(WORDS),
}


def parameters(kind: Kind[...]) -> dict[str, object]:
    """The type of every parameter by name, in order."""
    return {name: hint for name, hint in get_type_hints(kind.word).items() if name != "return"}


every_kind = pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.name)


@every_kind
@tries(20)
@given(data=st.data())
def test_every_problem_has_a_way_out_whatever_it_is_about(kind: Kind[...], data: st.DataObject) -> None:
    values = {each: data.draw(VALUES[hint]) for each, hint in parameters(kind).items()}
    problem = kind(*values.values())
    assert problem.kind is kind
    assert problem.message.strip()
    assert problem.actions
    assert all(action.strip() for action in problem.actions)
    if "line" in values:
        assert (problem.file, problem.line) == (values["file"], values["line"])


MAY_BE_EMPTY = [
    kind
    for kind in CATALOGUE.values()
    if Sequence[str] in parameters(kind).values() and kind is not settings_duplicated
]


@pytest.mark.parametrize("kind", MAY_BE_EMPTY)
def test_a_problem_with_nothing_to_list_has_a_way_out_too(kind: Kind[...]) -> None:
    one: dict[object, object] = {str: "x", int: 1, float: 1.0, bool: True, str | None: None, int | None: None}
    one |= {bool | None: None, Sequence[str]: (), Sequence[str] | None: ()}
    problem = kind(*(one[hint] for hint in parameters(kind).values()))
    assert problem.actions
    assert all(action.strip() for action in problem.actions)


@every_kind
@tries(20)
@given(data=st.data())
def test_nobody_who_has_retrieved_is_told_to_retrieve_and_nothing_else(kind: Kind[...], data: st.DataObject) -> None:
    problem = kind(*(data.draw(VALUES[hint]) for hint in parameters(kind).values())).after_retrieve()
    assert problem.actions
    for action in problem.actions:
        lead, command, _ = action.partition("sf project retrieve start")
        # From another org, or after something else.
        assert not command or re.search(r"from org|owns the package|, then retrieve|again and retrieve", lead), action


@every_kind
def test_every_problem_is_explained(kind: Kind[...]) -> None:
    assert kind.category in get_args(Category)
    assert kind.exit_code in EXIT_CODES
    for sentence in (kind.means, kind.remedy):
        assert re.fullmatch(r"\S.*[.\]]", sentence), sentence
        assert "  " not in sentence


@every_kind
def test_every_name_is_pascal_case_and_that_of_its_constant(kind: Kind[...]) -> None:
    assert re.fullmatch(r"([A-Z][a-z0-9]+)+", kind.name)
    assert getattr(sys.modules[kind.word.__module__], kind.word.__name__) is kind


def test_the_catalogue_has_all_problems() -> None:
    """A module that it leaves out would be missed by ``ecapipe explain``."""
    modules = {file.stem for file in Path(problems.__path__[0]).glob("*.py")} - {"__init__", "problem", "catalogue"}
    assert {kind.word.__module__.rpartition(".")[2] for kind in CATALOGUE.values()} == modules


def test_the_problem_of_another_version_has_no_kind() -> None:
    assert replace(interrupted(), name="OfAnotherVersion").kind is None
    assert replace(interrupted(), message="Read back.").kind is interrupted


def test_the_salesforce_clis_names_are_kept() -> None:
    kept = """
        RequiresProjectError JsonParseError SchemaValidationError NoPackageDirectories MissingPackageDirectoryError
        InvalidPackageDirectoryError MissingDefaultPathError MultipleDefaultPathsError SingleNonDefaultPackageError
        NamedOrgNotFoundError LightningDomain PortInUseError AuthTimeoutError
    """
    assert set(kept.split()) <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("name", "exit_code"),
    [
        ("UsageError", 2),
        ("UnknownApp", 2),
        ("NamedOrgNotFoundError", 2),
        ("NoOrgChosen", 2),
        ("RefusedHost", 2),
        ("LightningDomain", 2),
        ("SourceDirNotFound", 2),
        ("AmbiguousVariable", 2),
        ("NothingToExplain", 2),
        ("InternalError", 3),
        ("AuthTimeoutError", 69),
        ("NobodyToAsk", 69),
        ("Interrupted", 130),
        ("RequiresProjectError", 1),
        ("NoAppsFound", 1),
        ("InvalidClient", 1),
    ],
)
def test_the_exit_code_is_what_is_promised(name: str, exit_code: int) -> None:
    assert CATALOGUE[name].exit_code == exit_code


def test_a_problem_carries_its_catalogued_category_and_exit_code() -> None:
    problem = refused_host("https://evil.test", "it is not Salesforce's")
    assert (problem.category, problem.exit_code) == ("config", 2)
    assert invalid_client_id("acme.my.salesforce.com").retryable
    assert not invalid_client("acme.my.salesforce.com").retryable


def test_a_problem_knows_its_place() -> None:
    problem = json_parse_error("sfdx-project.json", 3, 7, "Expecting value")
    assert (problem.file, problem.line) == ("sfdx-project.json", 3)
    assert "line 3, column 7" in problem.message
    nowhere = rate_limited("acme.my.salesforce.com", "HTTP 429")
    assert (nowhere.file, nowhere.line, nowhere.host, nowhere.http_status, nowhere.oauth_error) == (None,) * 5


def test_the_error_says_the_message() -> None:
    problem = interrupted()
    error = EcapipeError(problem)
    assert error.problem is problem
    assert str(error) == problem.message


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("Biling", ["Billing", "Portal"], ('Did you mean "Billing"?',)),
        ("billing", ["Billing"], ('Did you mean "Billing"?',)),
        ("BILLING_SINC", ["Billing", "Billing_Sync"], ('Did you mean "Billing_Sync"?',)),
        ("Xyz", ["Billing"], ()),
        ("", ["Billing"], ()),
        ("Billing", [], ()),
    ],
)
def test_the_nearest_known_word_is_suggested(word: str, known: list[str], said: tuple[str, ...]) -> None:
    assert did_you_mean(word, known) == said


@given(st.text(), st.lists(st.text()))
def test_only_a_known_word_is_suggested(word: str, known: list[str]) -> None:
    said = did_you_mean(word, known)
    assert said in [(), *((f'Did you mean "{name}"?',) for name in known)]
