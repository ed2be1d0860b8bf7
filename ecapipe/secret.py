"""A string that cannot be shown by accident, and the means to strike secrets out of foreign text."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Final, NoReturn
from urllib.parse import quote, quote_plus, unquote_plus

REDACTED: Final = "[REDACTED]"

_SHORTEST_PART = 8
"""A part of a secret this long (in characters) counts as the secret itself."""

_LONGEST_PART = 256
"""Bytes of a secret that are searched for."""

# What Salesforce makes has fixed beginnings: a secret is struck out even if nobody told us of it.
_SHAPES = re.compile(
    r"00D[A-Za-z0-9]{12,15}!\S+"  # access token
    r"|5Aep861\S+"  # refresh token
    r"|(?<![A-Za-z0-9])aPrx\S+|aPrx\S{12,}"  # authorization code; the middle of an id may look like the start of one
    r"|eyJ[\w-]{8,}(?:\.[\w-]*){0,2}"  # JWT
    r"|(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])"  # consumer secret, current form
    r"|3MVG9[\w.]{20,}"  # consumer key: no secret, but not for everybody's eyes either
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*"  # in PEM
)

_ORG = re.compile(r"^00D[A-Za-z0-9]{12,15}(?=!.)")
"""The id of the org that an access token begins with: everybody may know it."""

_ESCAPES = re.compile(
    r"(?:%|\\x|\\u00)(?P<hex>[0-9a-f]{2})"  # of addresses, and of JSON
    r"|\\(?P<itself>[\"'/\\])"
    r"|&(?:\#(?:x0*[0-9a-f]{2}|0*[0-9]{2,3});?|[a-z][a-z0-9]{1,30};)",  # of HTML
    re.IGNORECASE,
)
_LAYERS: Final = 6
"""Escapes within escapes that are undone: an address in JSON in HTML."""


class Secret:
    """A consumer secret, code, verifier, assertion, key or token.

    Every accidental way out (``repr``, ``str``, ``format``, pickle, copy, JSON) is shut;
    `reveal` is the only door, so ``grep reveal`` is the audit. An empty secret is a mistake of the caller.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not value:
            raise ValueError("an empty string is no secret")
        self._value: Final = value

    def reveal(self) -> str:
        """The value itself: for the wire, the store and the hand-over, never for people."""
        return self._value

    # Not __eq__: `==` on secrets would be easy to write, and would tell by its time how much of two values agrees.
    def same(self, other: Secret) -> bool:
        """Whether both hold one value, compared in constant time."""
        import hmac

        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return REDACTED

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is neither pickled nor copied")


class SecretSearch:
    """Secrets to be found in foreign bytes, each with the name of its owner: exact values, all in one pass.

    Values under eight characters would be found everywhere, and are left out.
    """

    def __init__(self, secrets: Iterable[tuple[str, Secret]]) -> None:
        self._owners: dict[bytes, set[str]] = {}
        for owner, secret in secrets:
            # Of a very long one its beginning says enough.
            value = secret.reveal().encode()[:_LONGEST_PART]
            if len(value) >= _SHORTEST_PART and b"\n" not in value:
                self._owners.setdefault(value, set()).add(owner)
        # Sorted, what begins a text stands right before where that text would, or is a beginning of what does.
        self._values = sorted(self._owners)
        self._beginnings = _beginnings(self._values)
        self._starts = frozenset(value[:_SHORTEST_PART] for value in self._values)
        self._longest = max(map(len, self._values), default=0)

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def patterns(self) -> bytes:
        """One value a line, for the standard input of a program that searches."""
        return b"".join(value + b"\n" for value in sorted(self._owners))

    def find(self, pieces: Iterable[bytes]) -> dict[str, int]:
        """The owners of the secrets in what `pieces` make up together, each with the first line it is on."""
        first_lines: dict[str, int] = {}
        if not self._owners:
            return first_lines
        tail, line, found = b"", 1, set[bytes]()
        for piece in pieces:
            data, counted = tail + piece, 0
            for start, value in self._matches(data, found):
                line += data.count(b"\n", counted, start)
                counted = start
                for owner in self._owners[value]:
                    first_lines.setdefault(owner, line)
            # A secret may lie across two pieces: one byte less than the longest is looked at again.
            end = max(0, len(data) - self._longest + 1)
            tail = data[end:]
            line += data.count(b"\n", counted, end) - data.count(b"\n", end, counted)
        return first_lines

    @cached_property
    def _marks(self) -> bytes:
        """For each byte an x if it stands in a secret, else a space."""
        marks = bytearray(b" " * 256)
        for byte in b"".join(self._owners):
            marks[byte] = ord("x")
        return bytes(marks)

    @cached_property
    def _runs(self) -> re.Pattern[bytes]:
        return re.compile(b"x{%d,}" % min(map(len, self._values)))

    def _matches(self, data: bytes, found: set[bytes]) -> Iterator[tuple[int, bytes]]:
        """Each place at which a secret begins that is not `found` yet, in order."""
        # Most text has no run of a secret's own characters that is long enough: a fast way to say no.
        for run in self._runs.finditer(data.translate(self._marks)):
            for start in range(run.start(), run.end() - _SHORTEST_PART + 1):
                if data[start : start + _SHORTEST_PART] in self._starts:
                    for value in self._at(data[start : start + self._longest]):
                        if value in found:
                            break  # and so are those that it begins with
                        found.add(value)
                        yield start, value

    def _at(self, window: bytes) -> Sequence[bytes]:
        """The secrets that `window` begins with, the longest first."""
        place = bisect_right(self._values, window) - 1
        nested = self._beginnings[self._values[place]] if place >= 0 else ()
        # What begins with one of them begins with all before it: halving takes few steps, however many there are.
        count = bisect_left(nested, True, key=lambda value: not window.startswith(value))
        return nested[:count][::-1]


def _beginnings(values: Iterable[bytes]) -> dict[bytes, tuple[bytes, ...]]:
    """For each of the sorted `values` those that it begins with, itself included, the shortest first."""
    beginnings: dict[bytes, tuple[bytes, ...]] = {}
    nested: tuple[bytes, ...] = ()
    for value in values:
        while nested and not value.startswith(nested[-1]):
            nested = nested[:-1]
        nested = beginnings[value] = (*nested, value)
    return beginnings


def redact(text: str, *secrets: Secret | None) -> str:
    """`text` from an org or a file, without secrets.

    Struck out are the given secrets, any part of them of eight or more characters, and whatever has the shape of a
    Salesforce token, code or consumer secret: plain, in base64, in hexadecimal, URL-encoded, behind the escapes of
    JSON or HTML, or several of these at once, in upper or lower case. Takes time in proportion to `text`.
    """
    parts, position = list[str](), 0
    for start, end in sorted(_spans(text, secrets)):
        if start >= position:
            parts += text[position:start], REDACTED
        position = max(position, end)
    return "".join([*parts, text[position:]])


def repeats(text: str, *secrets: Secret | None) -> bool:
    """Whether `text` holds what `redact` would strike out. Made to be asked of every answer.

    Secrets under eight characters would be found everywhere, and are left out.
    """
    candidates = [each for each in secrets if each is not None and len(each.reveal()) >= _SHORTEST_PART]
    lower = _lower(text)
    # A part of eight characters holds one of these four; almost no text shares one with a secret.
    samples = [lower[start : start + 4] for start in range(0, len(lower) - 3, 5)]
    likely = _ESCAPES.search(text) or _SHAPES.search(text)
    if not likely and not any(sample in forms for forms in map(_joined, candidates) for sample in samples):
        return False
    return any(True for _ in _spans(text, candidates))


def mask(key: str) -> str:
    """A consumer key as it may be shown: its first five and last four characters."""
    return f"{key[:5]}…{key[-4:]}" if len(key) > 13 else REDACTED


def _spans(text: str, secrets: Iterable[Secret | None]) -> Iterator[tuple[int, int]]:
    """Start and end of each part of a secret in `text`, in no order."""
    # Parts by their length: one look-up in a set for each place keeps the time in proportion to the text.
    parts: dict[int, set[str]] = {}
    for form in (form for secret in secrets if secret is not None for form in _forms(secret)):
        size = min(_SHORTEST_PART, len(form))
        parts.setdefault(size, set()).update(form[start : start + size] for start in range(len(form) - size + 1))
    for view, places in _views(text):
        for shape in _SHAPES.finditer(view):
            yield places[shape.start()], places[shape.end()]
        lower = _lower(view)
        for size, parts_of_size in parts.items():
            for start in range(len(lower) - size + 1):
                if lower[start : start + size] in parts_of_size:
                    yield places[start], places[start + size]


# A run asks the same few secrets of every answer.
@lru_cache(maxsize=256)
def _joined(secret: Secret) -> str:
    return "\n".join(_forms(secret))


def _forms(secret: Secret) -> list[str]:
    """What a secret may look like, in lower case: itself, what a query makes of it, hexadecimal, and base64 in its
    three alignments, trimmed of padding."""
    import base64

    value = _ORG.sub("", secret.reveal(), count=1)
    # A value that is not encoded comes twice here; the last line takes each form once.
    plain = [value, unquote_plus(value)]
    if not value.isascii() or " " in value:
        plain += quote(value, safe=""), quote_plus(value)
    data = value.encode()
    # In a longer text a secret starts at any of the three places in a group, and each encodes it differently.
    encoded = (base64.b64encode(b" " * lead + data).decode()[-(-lead * 4 // 3) :] for lead in range(3))
    trimmed = [form.rstrip("=")[:-1] for form in encoded]
    in_urls = [form.replace("+", "-").replace("/", "_") for form in trimmed]
    encodings = [form for form in (data.hex(), *trimmed, *in_urls) if len(form) > 3]
    return [_lower(form) for form in dict.fromkeys([*plain, *encodings])]


def _views(text: str) -> Iterator[tuple[str, Sequence[int]]]:
    """`text` as it stands, and as it reads when its escapes are undone, one layer after the other; with the place in
    `text` at which each character, and the end, is."""
    places: Sequence[int] = range(len(text) + 1)
    yield text, places
    for _ in range(_LAYERS):
        if not _ESCAPES.search(text):
            return
        text, places = _unescaped(text, places)
        yield text, places


def _unescaped(text: str, places: Sequence[int]) -> tuple[str, Sequence[int]]:
    parts, origins, position = list[str](), list[int](), 0
    for escape in _ESCAPES.finditer(text):
        start, character = escape.start(), _character(escape)
        parts += text[position:start], character
        origins += [*places[position:start], *([places[start]] * len(character))]
        position = escape.end()
    return "".join([*parts, text[position:]]), [*origins, *places[position:]]


def _character(escape: re.Match[str]) -> str:
    """What an escape stands for; a name that HTML does not know, for itself."""
    import html

    if escape["hex"]:
        return chr(int(escape["hex"], 16))
    return escape["itself"] or html.unescape(escape[0])


def _lower(text: str) -> str:
    """In lower case, and as long as it was, which one letter would not be."""
    return text.replace("\u0130", "i").lower()
