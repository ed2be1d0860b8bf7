"""Findings: the rules' promises, and fingerprints that outlive edits."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.check.findings import PURPOSES, Finding
from ecapipe.check.rules.registry import RULES
from ecapipe.check.rules.rule import Rule

FOUND = Finding("consumer-key-missing", "error", "message", "Billing", "a/file", 3, ("action",), "consumerKey")


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_says_what_it_means_why_it_matters_and_what_to_do(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name)
    assert any(rule.levels.of(purpose) for purpose in PURPOSES)
    for sentence in (rule.means, rule.why, rule.remedy):
        assert re.fullmatch(r"[A-Za-z].*\.", sentence, re.DOTALL), sentence
        assert "  " not in sentence
    assert rule.source


@pytest.mark.parametrize(
    "edit",
    [{"line": 4}, {"line": None}, {"message": "other"}, {"level": "note"}, {"actions": ()}, {"accepted": True}],
)
def test_a_fingerprint_outlives_edits(edit: dict[str, object]) -> None:
    assert replace(FOUND, **edit).fingerprint == FOUND.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        {"rule": "consumer-secret-missing"},
        {"app": "Portal"},
        {"app": None},
        {"file": "b/file"},
        {"file": None},
        {"element": "consumerSecret"},
        {"file": "a/fileBilling", "app": None},
    ],
)
def test_a_fingerprint_tells_findings_apart(other: dict[str, object]) -> None:
    assert replace(FOUND, **other).fingerprint != FOUND.fingerprint


def test_a_fingerprint_is_a_promise() -> None:
    # printf 'consumer-key-missing\0a/file\0Billing\0consumerKey' | sha256sum | cut -c 1-32
    assert FOUND.fingerprint == "bff63edc4fe520edb818a6956bb8b482"


PARTS = st.text(st.characters(exclude_characters="\0", categories=("L", "P", "Cs")), max_size=4)


@given(st.tuples(PARTS, PARTS, PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS, PARTS))
def test_fingerprints_are_alike_only_for_what_is_alike(one: tuple[str, ...], two: tuple[str, ...]) -> None:
    def fingerprint(rule: str, app: str, file: str, element: str) -> str:
        return replace(FOUND, rule=rule, app=app, file=file, element=element).fingerprint

    assert re.fullmatch(r"[0-9a-f]{32}", fingerprint(*one))
    assert (fingerprint(*one) == fingerprint(*two)) == (one == two)
