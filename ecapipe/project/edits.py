"""Small edits of other people's files: inserted into their bytes, and shown as a diff."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Change:
    """New content for one file: `path` below the absolute folder `root`, called `file` from its `sfdx_project`.

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


_SPACE: Final = re.compile(r"[ \t\r\n]*")
_FIRST_MEMBER: Final = re.compile(r'\s*\{[ \t]*\r?\n([ \t]+)"')
_COMMENT: Final = re.compile(rb"<!--.*?-->", re.DOTALL)


def lists(data: bytes, pattern: str) -> bool:
    """Whether an ignore file holds `pattern`, and no exception after it."""
    lines = [line.strip() for line in data.splitlines()]
    wanted = pattern.encode()
    return wanted in lines and not any(line.startswith(b"!") for line in lines[lines.index(wanted) :])


def append(data: bytes, lines: Sequence[str]) -> bytes:
    """`data` with further lines at its end, with the line endings that most of it has."""
    newline = b"\r\n" if data.count(b"\r\n") * 2 > data.count(b"\n") else b"\n"
    ended = data if not data or data.endswith(b"\n") else data + newline
    return ended + b"".join(line.encode() + newline for line in lines)


def text_span(data: bytes, element: str) -> tuple[int, int] | None:
    """Where the text of an XML element starts and ends, in bytes; None unless there is exactly one with plain text.

    Comments are passed over. The encoding must be one that writes tags as ASCII does.
    """
    bare = _COMMENT.sub(lambda found: b" " * len(found[0]), data)
    name = rb"(?:[\w.-]+:)?" + element.encode()
    places = [
        found.span(1) for found in re.finditer(rb"<" + name + rb"(?:\s[^<>]*)?>([^<]*)</" + name + rb"\s*>", bare)
    ]
    return places[0] if len(places) == 1 else None


def put_text(data: bytes, element: str, text: str, after: str) -> bytes | None:
    """`data` with `text` in an XML element: in place of what stands there, or in a new element on a line after the
    element `after`. None where neither can be done by inserting into bytes; `text` is written as it is.
    """
    span = text_span(data, element)
    if span is not None:
        return data[: span[0]] + text.encode() + data[span[1] :]
    bare = _COMMENT.sub(lambda found: b" " * len(found[0]), data)
    name = element.encode()
    closed = list(re.finditer(rb"<((?:[\w.-]+:)?" + name + rb")((?:\s[^<>]*?)?)\s*/>", bare))
    if len(closed) == 1:
        (found,) = closed
        opened = b"<" + found[1] + found[2].rstrip() + b">" + text.encode() + b"</" + found[1] + b">"
        return data[: found.start()] + opened + data[found.end() :]
    if re.search(rb"<(?:[\w.-]+:)?" + name + rb"[\s/>]", bare):
        return None
    before = list(
        re.finditer(
            rb"(?P<indent>^[ \t]*)?<(?P<prefix>(?:[\w.-]+:)?)" + after.encode() + rb"(?:\s[^<>]*)?>[^<]*</[^<>]*>"
            rb"(?P<end>[ \t]*\r?\n)?",
            bare,
            re.MULTILINE,
        )
    )
    if len(before) != 1:
        return None
    (found,) = before
    tag = found["prefix"] + name
    new = (found["indent"] or b"") + b"<" + tag + b">" + text.encode() + b"</" + tag + b">"
    return data[: found.end()] + new + (found["end"] or b"") + data[found.end() :]


def add_replacement(text: str, entry: Mapping[str, str]) -> str:
    """An `sfdx-project.json`, which has to be valid, with `entry` among its ``replacements``, in its own layout."""
    newline = "\r\n" if "\r\n" in text else "\n"
    indented = _FIRST_MEMBER.match(text)
    indent = indented[1] if indented else None

    def dump(value: object, depth: int) -> str:
        dumped = json.dumps(value, ensure_ascii=False, indent=indent)
        return dumped.replace("\n", newline + (indent or "") * depth)

    span = _member(text, "replacements")
    if span is None:
        last = len(text[: text.rindex("}")].rstrip())
        lead = " " if indent is None else newline + indent
        return f'{text[:last]},{lead}"replacements": {dump([entry], 1)}{text[last:]}'
    start, end = span
    if entry in json.loads(text[start:end]):
        return text
    last = len(text[: end - 1].rstrip())
    if last == start + 1:
        return text[:start] + dump([entry], 1) + text[end:]
    if indent is None or "\n" not in text[start:end]:
        return f"{text[:last]}, {json.dumps(entry, ensure_ascii=False)}{text[last:]}"
    return text[:last] + "," + newline + indent * 2 + dump(entry, 2) + text[last:]


def _member(text: str, name: str) -> tuple[int, int] | None:
    """Where the value of a member of the outermost object stands; of several, the one that counts: the last."""
    decoder = json.JSONDecoder()
    found = None
    at = _skip(text, text.index("{") + 1)
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, end = decoder.raw_decode(text, start)
        if key == name:
            found = start, end
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
