"""Small edits of other people's files: inserted into their bytes, and shown as a diff."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Change:
    """New content for one file: `path` below the absolute folder `root`, called `file` from its `project`.

    `before` is None for a file that is not there yet. Old content may hold a secret, so neither is shown; `diff` is
    made for people and holds none.
    """

    project: str
    file: str
    root: str
    path: str
    before: bytes | None = field(repr=False)
    after: bytes = field(repr=False)
    diff: tuple[str, ...]


_SPACE: Final = frozenset(" \t\r\n")
_FIRST_MEMBER: Final = re.compile(r'\s*\{[ \t]*\r?\n([ \t]+)"')
_COMMENT: Final = re.compile(rb"<!--.*?-->", re.DOTALL)


def lists(data: bytes, pattern: str) -> bool:
    """Whether an ignore file holds `pattern`, and no exception after it, which might take it back."""
    lines = [line.strip() for line in data.splitlines()]
    line = pattern.encode()
    if line not in lines:
        return False
    after = lines[lines.index(line) :]
    return not any(each.startswith(b"!") for each in after)


def append(data: bytes, lines: Sequence[str]) -> bytes:
    """`data` with further lines at its end, with the line endings that most of it has."""
    newline = b"\r\n" if data.count(b"\r\n") * 2 > data.count(b"\n") else b"\n"
    if data and not data.endswith(b"\n"):
        data += newline
    return data + b"".join(line.encode() + newline for line in lines)


def text_span(data: bytes, element: str) -> tuple[int, int] | None:
    """Where the text of an XML element starts and ends, in bytes; None unless there is exactly one with plain text.

    Comments are passed over. The encoding must be one that writes tags as ASCII does.
    """
    name = rb"(?:[\w.-]+:)?" + element.encode()
    pattern = rb"<" + name + rb"(?:\s[^<>]*)?>([^<]*)</" + name + rb"\s*>"
    match = _only_match(pattern, _blank_comments(data))
    if match is None:
        return None
    return match.span(1)


def put_text(data: bytes, element: str, text: str, after: str) -> bytes | None:
    """`data` with `text` in an XML element: in place of its text, or in a new element on a line after the element
    `after`.

    None where neither can be done by inserting into bytes; `text` is written as it is.
    """
    # Parsed and written anew, a file of somebody else would lose its comments, its order and its layout.
    span = text_span(data, element)
    if span is not None:
        return data[: span[0]] + text.encode() + data[span[1] :]
    bare, name = _blank_comments(data), element.encode()
    empty = _only_match(rb"<((?:[\w.-]+:)?" + name + rb")(\s[^<>]*)?/>", bare)
    if empty:
        tag, attributes = empty[1], (empty[2] or b"").rstrip()
        filled = b"<" + tag + attributes + b">" + text.encode() + b"</" + tag + b">"
        return data[: empty.start()] + filled + data[empty.end() :]
    if re.search(rb"<(?:[\w.-]+:)?" + name + rb"[\s/>]", bare):
        return None
    return _insert_element(data, bare, name, text.encode(), after.encode())


def _insert_element(data: bytes, bare: bytes, name: bytes, text: bytes, after: bytes) -> bytes | None:
    """`data` with a new element behind the only element `after`, with its indent and its namespace prefix."""
    pattern = (
        rb"(?P<indent>^[ \t]*)?<(?P<prefix>(?:[\w.-]+:)?)" + after + rb"(?:\s[^<>]*)?>[^<]*</[^<>]*>"
        rb"(?P<end>[ \t]*\r?\n)?"
    )
    previous = _only_match(pattern, bare, re.MULTILINE)
    if previous is None:
        return None
    tag = previous["prefix"] + name
    element = (previous["indent"] or b"") + b"<" + tag + b">" + text + b"</" + tag + b">"
    return data[: previous.end()] + element + (previous["end"] or b"") + data[previous.end() :]


def _blank_comments(data: bytes) -> bytes:
    """`data` with spaces for comments: what follows them stays at its place."""
    last = data.rfind(b"-->")
    # Behind the last end nothing is one: what begins there would be looked for to the end of the file each time.
    return _COMMENT.sub(lambda comment: b" " * len(comment[0]), data[: last + 3]) + data[last + 3 :]


def _only_match(pattern: bytes, data: bytes, flags: int = 0) -> re.Match[bytes] | None:
    """The match of `pattern` in `data`; None if there is none, or several, of which any could be meant."""
    matches = list(re.finditer(pattern, data, flags))
    if len(matches) != 1:
        return None
    return matches[0]


def add_replacements(text: str, entries: Sequence[Mapping[str, str]]) -> str:
    """An `sfdx-project.json`, which has to be valid, with `entries` among its ``replacements``, in its own layout."""
    layout = _Layout.of(text)
    span = _member(text, "replacements")
    if span is None:
        last = len(text[: text.rindex("}")].rstrip())
        return f'{text[:last]},{layout.lead}"replacements": {layout.dump(entries, 1)}{text[last:]}'
    start, end = span
    known = {json.dumps(entry, sort_keys=True) for entry in json.loads(text[start:end])}
    entries = [entry for entry in entries if json.dumps(entry, sort_keys=True) not in known]
    if not entries:
        return text
    last = len(text[: end - 1].rstrip())
    is_empty = last == start + 1
    if is_empty:
        return text[:start] + layout.dump(entries, 1) + text[end:]
    if layout.indent is None or "\n" not in text[start:end]:
        added = [f", {json.dumps(entry, ensure_ascii=False)}" for entry in entries]
    else:
        added = ["," + layout.newline + layout.indent * 2 + layout.dump(entry, 2) for entry in entries]
    return text[:last] + "".join(added) + text[last:]


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a JSON file is written: the indent of one level (None: all on one line), and the line ending."""

    indent: str | None
    newline: str

    @classmethod
    def of(cls, text: str) -> _Layout:
        first_member = _FIRST_MEMBER.match(text)
        indent = first_member[1] if first_member else None
        return cls(indent, "\r\n" if "\r\n" in text else "\n")

    @property
    def lead(self) -> str:
        """What stands before a member of the outermost object."""
        if self.indent is None:
            return " "
        return self.newline + self.indent

    def dump(self, value: object, depth: int) -> str:
        """The JSON of `value`, all lines but the first `depth` levels deep."""
        text = json.dumps(value, ensure_ascii=False, indent=self.indent)
        return text.replace("\n", self.newline + (self.indent or "") * depth)


def _member(text: str, name: str) -> tuple[int, int] | None:
    """Where the value of a member of the outermost object stands; of several, the one that counts: the last."""
    decoder = json.JSONDecoder()
    span = None
    position = _skip_space(text, text.index("{") + 1)
    while text[position] != "}":
        key, position = decoder.raw_decode(text, position)
        colon = _skip_space(text, position)
        start = _skip_space(text, colon + 1)
        _, end = decoder.raw_decode(text, start)
        if key == name:
            span = start, end
        position = _skip_space(text, end)
        if text[position] == ",":
            position = _skip_space(text, position + 1)
    return span


def _skip_space(text: str, position: int) -> int:
    while text[position : position + 1] in _SPACE:
        position += 1
    return position
