"""Shards: every target is in exactly one, whatever else there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.documents import shards
from ecapipe.documents.shards import Shard
from ecapipe.events import Subject

names = st.text(max_size=8)
targets = st.lists(st.builds(Subject, names, names), max_size=40)


@given(targets, st.integers(1, 50))
def test_every_target_is_in_exactly_one_shard(subjects: list[Subject], count: int) -> None:
    for subject in subjects:
        assert sum(Shard(index, count).holds(subject) for index in range(1, count + 1)) == 1


def test_which_one_it_is_never_changes() -> None:
    """Machines of one batch may run different versions."""
    placed = [
        next(index for index in range(1, 5) if Shard(index, 4).holds(Subject(app, org)))
        for app in ("Billing", "Portal")
        for org in ("dev", "uat", "acme.my.salesforce.com")
    ]
    assert placed == [3, 2, 1, 3, 3, 2]


def test_the_parts_are_of_about_the_same_size() -> None:
    subjects = [Subject(f"App{number % 10}", f"org{number}") for number in range(4000)]
    sizes = [sum(Shard(index, 8).holds(subject) for subject in subjects) for index in range(1, 9)]
    assert 400 < min(sizes) <= max(sizes) < 600


@pytest.mark.parametrize("text", ["1/1", "2/4", "10000/10000"])
def test_a_shard_is_written_as_it_is_read(text: str) -> None:
    assert str(shards.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "/", "1", "1/", "/2", "0/2", "3/2", "-1/2", "1/0", "1/2/3", "a/b", " 1/2", "1/+2", "1/10001", "²/3", "١/٢"],
)
def test_anything_else_is_no_shard(text: str) -> None:
    assert shards.parse(text) is None
