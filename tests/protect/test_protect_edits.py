"""Edits of foreign files: what they change, and that they change nothing else."""

from __future__ import annotations

import json
from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.project import edits

ENTRY = {"filename": "force-app/a.xml", "stringToReplace": "@@VAR@@", "replaceWithEnv": "VAR"}

# --- ignore files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", False),
        (b"**/*.x\n", True),
        (b"a\r\n**/*.x\r\nb\r\n", True),
        (b"  **/*.x  \n", True),
        (b"# **/*.x\n", False),
        (b"!**/*.x\n", False),
        (b"**/*.x\n!keep.x\n", False),
        (b"!keep.x\n**/*.x\n", True),
        (b"\xff\xfe\n**/*.x", True),
    ],
)
def test_a_pattern_counts_unless_an_exception_follows(data: bytes, found: bool) -> None:
    assert edits.lists(data, "**/*.x") is found


@pytest.mark.parametrize(
    ("data", "after"),
    [
        (b"", b"one\ntwo\n"),
        (b"a\n", b"a\none\ntwo\n"),
        (b"a", b"a\none\ntwo\n"),
        (b"a\r\nb", b"a\r\nb\r\none\r\ntwo\r\n"),
        (b"a\r\nb\nc\n", b"a\r\nb\nc\none\ntwo\n"),
        (b"a\r\nb\r\nc\n", b"a\r\nb\r\nc\none\r\ntwo\r\n"),
    ],
)
def test_lines_are_appended_with_the_endings_of_the_file(data: bytes, after: bytes) -> None:
    assert edits.append(data, ["one", "two"]) == after


@given(st.binary())
def test_appending_keeps_every_byte_and_makes_the_pattern_count(data: bytes) -> None:
    after = edits.append(data, ["**/*.x"])
    assert after.startswith(data)
    assert edits.lists(after, "**/*.x")


# --- XML ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"<r><s>value</s></r>", b"value"),
        (b"<r>\n  <s>\n value\n </s>\n</r>", b"\n value\n "),
        (b'<m:r xmlns:m="x"><m:s a="1">value</m:s></m:r>', b"value"),
        (b"<r><!-- <s>old</s> --><s>value</s></r>", b"value"),
        (b"<r><s>a&amp;b</s></r>", b"a&amp;b"),
        (b"<r><s></s></r>", b""),
    ],
)
def test_the_text_of_the_one_element_is_found(data: bytes, text: bytes) -> None:
    span = edits.text_span(data, "s")
    assert span is not None
    assert data[slice(*span)] == text


@pytest.mark.parametrize(
    "data",
    [
        b"<r/>",
        b"<r><s/></r>",
        b"<r><s>one</s><s>two</s></r>",
        b"<r><s><![CDATA[value]]></s></r>",
        b"<r><secret>value</secret></r>",
        b"<r><!-- <s>old</s> --></r>",
        "<r><s>value</s></r>".encode("utf-16"),
    ],
)
def test_anything_but_one_plain_element_is_left_alone(data: bytes) -> None:
    assert edits.text_span(data, "s") is None


# --- sfdx-project.json ----------------------------------------------------------------------------------------


def test_a_first_replacement_follows_the_layout_of_the_file() -> None:
    text = '{\n    "packageDirectories": [{"path": "force-app"}],\n    "name": "x"\n}\n'
    assert edits.add_replacements(text, [ENTRY]) == (
        '{\n    "packageDirectories": [{"path": "force-app"}],\n    "name": "x",\n'
        '    "replacements": [\n        {\n            "filename": "force-app/a.xml",\n'
        '            "stringToReplace": "@@VAR@@",\n            "replaceWithEnv": "VAR"\n        }\n    ]\n}\n'
    )


def test_a_further_replacement_goes_to_the_end_of_the_list() -> None:
    text = '{\n\t"replacements": [\n\t\t{\n\t\t\t"a": 1\n\t\t}\n\t],\n\t"name": "x"\n}'
    assert edits.add_replacements(text, [ENTRY]) == (
        '{\n\t"replacements": [\n\t\t{\n\t\t\t"a": 1\n\t\t},\n\t\t{\n\t\t\t"filename": "force-app/a.xml",\n'
        '\t\t\t"stringToReplace": "@@VAR@@",\n\t\t\t"replaceWithEnv": "VAR"\n\t\t}\n\t],\n\t"name": "x"\n}'
    )


def test_a_file_on_one_line_stays_on_one_line() -> None:
    added = edits.add_replacements('{"packageDirectories": []}', [ENTRY])
    assert added.count("\n") == 0
    assert edits.add_replacements('{"replacements": [{"a": 1}]}', [ENTRY]) == (
        '{"replacements": [{"a": 1}, ' + json.dumps(ENTRY) + "]}"
    )


def test_line_endings_are_kept() -> None:
    added = edits.add_replacements('{\r\n  "a": 1,\r\n  "replacements": []\r\n}\r\n', [ENTRY])
    assert added.count("\r\n") == added.count("\n") == 10


def test_a_replacement_that_is_there_is_not_added_again() -> None:
    once = edits.add_replacements('{\n  "a": 1\n}\n', [ENTRY])
    assert edits.add_replacements(once, [ENTRY]) == once


def test_only_the_outermost_member_counts_and_of_two_the_last() -> None:
    text = '{\n  "plugins": {"replacements": [1]},\n  "replacements": [2],\n  "replacements": [3]\n}'
    added = json.loads(edits.add_replacements(text, [ENTRY]))
    assert added == {"plugins": {"replacements": [1]}, "replacements": [3, ENTRY]}


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    members=st.dictionaries(st.text(), _values, max_size=4),
    listed=st.none() | st.lists(st.fixed_dictionaries({"filename": st.text()}), max_size=3),
    indent=st.sampled_from([None, 1, 2, 4, "\t"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_the_layout_one_entry_is_added_and_nothing_else_changes(
    members: dict[str, object], listed: list[dict[str, str]] | None, indent: int | str | None, newline: str
) -> None:
    before = {"packageDirectories": [], **members, **({} if listed is None else {"replacements": listed})}
    if listed is None:
        before.pop("replacements", None)
    text = json.dumps(before, indent=indent).replace("\n", newline)
    added = edits.add_replacements(text, [ENTRY])
    after = json.loads(added)
    assert after == {**before, "replacements": [*(listed or []), ENTRY]}
    assert _shared(text, added) + _shared(text[::-1], added[::-1]) >= len(text)


def _shared(first: str, second: str) -> int:
    """How many characters both start with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


PUT = {
    "in place of a text": (b"<a>old</a>", b"<a>NEW</a>"),
    "in an empty element": (b"<a></a>", b"<a>NEW</a>"),
    "in a closed element": (b"<k>1</k><a/>", b"<k>1</k><a>NEW</a>"),
    "in a closed element with a space": (b"<x:a />", b"<x:a>NEW</x:a>"),
    "on a line of its own": (b"<r>\n    <k>1</k>\n</r>", b"<r>\n    <k>1</k>\n    <a>NEW</a>\n</r>"),
    "with the line endings of the file": (b"<r>\r\n\t<k>1</k>\r\n</r>", b"<r>\r\n\t<k>1</k>\r\n\t<a>NEW</a>\r\n</r>"),
    "on the same line": (b"<r><k>1</k></r>", b"<r><k>1</k><a>NEW</a></r>"),
    "with the prefix of the file": (b"<m:r><m:k>1</m:k></m:r>", b"<m:r><m:k>1</m:k><m:a>NEW</m:a></m:r>"),
    "past what a comment holds": (b"<r><!-- <a>x</a> --><k>1</k></r>", b"<r><!-- <a>x</a> --><k>1</k><a>NEW</a></r>"),
    "not beside another": (b"<r><a>1</a><a>2</a></r>", None),
    "not in an element with children": (b"<r><a><b/></a><k>1</k></r>", None),
    "not without a place": (b"<r/>", None),
    "not after one of two": (b"<r><k>1</k><k>2</k></r>", None),
    "not in CDATA": (b"<r><a><![CDATA[x]]></a><k>1</k></r>", None),
}


@pytest.mark.parametrize(("data", "after"), PUT.values(), ids=PUT.keys())
def test_a_text_is_put_into_an_element(data: bytes, after: bytes | None) -> None:
    assert edits.put_text(data, "a", "NEW", "k") == after


@given(st.binary(), st.binary())
def test_putting_a_text_only_inserts_or_leaves_alone(head: bytes, tail: bytes) -> None:
    data = head + b"<k>1</k>" + tail
    after = edits.put_text(data, "a", "NEW", "k")
    assert after is None or b"NEW</" in after
