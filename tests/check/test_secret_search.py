"""Secrets in foreign bytes: found exactly, wherever the bytes are cut."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ecapipe.secret import Secret, SecretSearch

ALPHABET = "ABab0\n <"
VALUES = st.text(ALPHABET.replace("\n", ""), min_size=8, max_size=12)


@st.composite
def texts(draw: st.DrawFn) -> tuple[list[str], str]:
    """Values, and a text in which some of them may stand."""
    values = draw(st.lists(VALUES, min_size=1, max_size=4, unique=True))
    parts = draw(st.lists(st.one_of(st.sampled_from(values), st.text(ALPHABET, max_size=9)), max_size=12))
    return values, "".join(parts)


@given(texts(), st.lists(st.integers(0, 80), max_size=6), st.sampled_from(["utf-8", "utf-16", "utf-16-be"]))
def test_a_secret_is_found_if_and_only_if_it_is_there(
    given: tuple[list[str], str], cuts: list[int], encoding: str
) -> None:
    values, text = given
    data = text.encode(encoding)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(edges)]
    found = SecretSearch((value, Secret(value)) for value in values).find(pieces)
    assert found == {value: text[: text.index(value)].count("\n") + 1 for value in values if value in text}


def test_owners_of_one_value_are_all_told() -> None:
    sought = SecretSearch(
        [("one", Secret("same-value")), ("two", Secret("same-value")), ("two", Secret("other-value"))]
    )
    assert sought.find([b"\n\nsame-", b"value"]) == {"one": 3, "two": 3}


def test_what_would_be_found_everywhere_is_not_looked_for() -> None:
    short = SecretSearch([("one", Secret("seven77")), ("two", Secret("two\nlines"))])
    assert not short
    assert short.find([b"seven77 two\nlines"]) == {}
    assert SecretSearch([]).find([b"anything"]) == {}


def test_nothing_shows_a_value() -> None:
    sought = SecretSearch([("one", Secret("made-up-value"))])
    assert "made-up" not in repr(sought) + str(sought)
