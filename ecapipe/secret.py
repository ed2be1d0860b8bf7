"""A string that cannot be shown by accident, and the means to strike secrets out of foreign text."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Final, NoReturn
from urllib.parse import quote, quote_plus, unquote_plus

REDACTED: Final = "[REDACTED]"

SHORTEST = 8
"""A part of a secret this long (in characters) counts as the secret itself."""

_SHORTEST_CONSUMER_SECRET: Final = 16
"""Characters: Salesforce makes 64, and made 19 of old."""

_WORDS: Final = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*")

_FEW: Final = 32
"""Secrets that are looked for one by one."""

_RUN = re.compile(r"[A-Za-z0-9+/=]{32,}")
_CLASSES = re.compile(r"[A-Z]+|[a-z]+|[0-9]+")

_LONGEST_PART = 256
"""Bytes of a secret that are searched for."""

# What Salesforce makes has fixed beginnings: a secret is struck out even if nobody told us of it.
_ASCII_IN_BASE64 = r"[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][\w-]"
"""Three characters of ASCII; hardly any four letters of a name that has eyJ in the middle, such as SurveyJourney."""
_SHAPES = re.compile(
    r"00D[A-Za-z0-9]{12,15}!\S+"  # access token
    r"|5Aep861\S+"  # refresh token
    r"|(?<![A-Za-z0-9])aPrx\S+|aPrx\S{12,}"  # authorization code; the middle of an id may look like the start of one
    rf"|eyJ[\w-](?:{_ASCII_IN_BASE64}){{2}}[\w-]*(?:\.[\w-]*){{0,2}}"  # JWT
    r"|(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])"  # consumer secret, current form
    r"|3MVG9[\w.]{20,}"  # consumer key: no secret, but not for everybody's eyes either
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*"  # in PEM
    r"|(?<=://)[^\s/?#@:]*:[^\s/?#@]+(?=@)"  # name and password in an address
)

_ORG = re.compile(r"^00D[A-Za-z0-9]{12,15}(?=!.)")
"""The id of the org that an access token begins with: everybody may know it."""

_ESCAPES = re.compile(
    r"(?:%|\\x|0x|=)(?P<byte>[0-9a-f]{2})"  # of addresses, of JSON and others, of mail
    r"|(?:%u|\\u(?:0{4})?)(?P<hex>[0-9a-f]{4})"
    r"|\\[ux]\{0*(?P<braced>[0-9a-f]{2,5})\}"
    r"|\\(?P<octal>[01][0-7]{2})"
    r"|\\(?P<itself>[\"'/\\])"
    r"|&(?:\#(?:x0*[0-9a-f]{2,5}|0*[0-9]{2,6});?|[a-z][a-z0-9]{1,30};)",  # of HTML
    re.IGNORECASE,
)
_UTF8 = re.compile(r"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A character that was encoded, and read a byte at a time."""
_FOREIGN = re.compile(r"[^\x00-\x7f]")
_LAYERS: Final = 6
"""Escapes within escapes that are undone: an address in JSON in HTML."""
_NOT_DENSE: Final = bytes(byte for byte in range(256) if not (chr(byte).isascii() and chr(byte).isalnum()))
_PRINTABLE = re.compile(rb"[ -~]{4,}")
_BASE32 = str.maketrans("abcdefghijklmnopqrstuvwxyz2345670189", "0123456789abcdefghijklmnopqrstuv0000")
"""The digits of base32 (RFC 4648), as those that Python reads."""


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
        raise TypeError("a Secret cannot be pickled or copied")


class SecretSearch:
    """Secrets to be found in foreign bytes, each with the name of its owner: exact values, all in one pass.

    Values under eight characters would be found everywhere, and are left out.
    """

    def __init__(self, secrets: Iterable[tuple[str, Secret]]) -> None:
        self._owners: dict[bytes, set[str]] = {}
        for owner, secret in secrets:
            # Of a very long one its beginning says enough.
            value = secret.reveal().encode()[:_LONGEST_PART]
            if len(value) >= SHORTEST and b"\n" not in value:
                self._owners.setdefault(value, set()).add(owner)
        # Sorted, what begins a text stands right before where that text would, or is a beginning of what does.
        self._values = sorted(self._owners)
        self._beginnings = _beginnings(self._values)
        self._starts = frozenset(value[:SHORTEST] for value in self._values)
        self._longest = max(map(len, self._values), default=0)

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def patterns(self) -> bytes:
        """One value a line, for the standard input of a program that searches."""
        return b"".join(value + b"\n" for value in sorted(self._owners))

    def find(self, pieces: Iterable[bytes]) -> dict[str, int]:
        """The owners of the secrets in what `pieces` make up together, each with the first line it is on; in UTF-16,
        too."""
        first_lines: dict[str, int] = {}
        if not self._owners:
            return first_lines
        tail, line, found = b"", 1, set[bytes]()
        for piece in pieces:
            data, counted = tail + piece.replace(b"\0", b""), 0
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
            for start in range(run.start(), run.end() - SHORTEST + 1):
                if data[start : start + SHORTEST] in self._starts:
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


class _Withheld:
    """The consumer secrets that this process knows, to be struck out of what it shows."""

    def __init__(self) -> None:
        self._secrets: dict[str, Secret] = {}
        self._search, self._searched = SecretSearch(()), 0
        self._known_to_all: set[str] = set()

    def add(self, secret: Secret) -> None:
        import json

        value = secret.reveal()
        if len(value) >= SHORTEST:
            # As it stands, and as JSON has it.
            for form in (value, json.dumps(value)[1:-1]):
                self._secrets.setdefault(form, secret)

    def spare(self, text: str) -> None:
        self._known_to_all.add(text)

    @property
    def last(self) -> list[Secret]:
        """The last few."""
        return list(dict.fromkeys(reversed(self._secrets.values())))[:_FEW]

    def strike(self, text: str) -> str:
        if not self._secrets:
            return text
        # Apps come one after the other: a search is made anew only when many have come.
        recent = list(self._secrets)[self._searched :]
        if len(recent) > max(_FEW, self._searched // 4):
            self._search = SecretSearch((form, Secret(form)) for form in self._secrets)
            self._searched, recent = len(self._secrets), []
        found = self._search.find([text.encode("utf-8", "surrogatepass")]) if self._searched else {}
        for form in sorted((*found, *recent), key=len, reverse=True):
            if form in text and not any(form in each for each in self._known_to_all):
                text = text.replace(form, REDACTED)
        return text


_WITHHELD: Final = _Withheld()


def withhold(secret: Secret) -> None:
    """Let `without_known` strike out a consumer secret from now on, wherever somebody has written it besides."""
    _WITHHELD.add(secret)


def spare(text: str) -> None:
    """Let nobody strike out `text`, or a part of it: a host or a variable that people have to see, and that a tree
    could call a secret."""
    _WITHHELD.spare(text)


def may_be_consumer_secret(text: str) -> bool:
    """Whether a text of a tree may be a consumer secret rather than words that stand for one."""
    return len(text) >= _SHORTEST_CONSUMER_SECRET and any(map(str.isdigit, text))


def may_be_ours(text: str) -> bool:
    """Whether a text may be a word of ours, such as a rule or an outcome: a tree could have all of these struck out,
    and nothing that is generated looks like one."""
    return _WORDS.fullmatch(text) is not None


def without_known(text: str) -> str:
    """`text`, which may be that of a tree, without the consumer secrets that were withheld."""
    return _WITHHELD.strike(text)


def members_without_known(value: object) -> object:
    """The same of each string in a JSON document. To strike in its text could break it: a tree chooses what stands
    where a secret belongs. Names are ours."""
    if isinstance(value, str):
        return without_known(value)
    if isinstance(value, dict):
        return {name: members_without_known(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [members_without_known(member) for member in value]
    return value


def redact(text: str, *secrets: Secret | None) -> str:
    """`text` from an org or a file, without secrets.

    Struck out are the given secrets, any part of them of eight or more characters, and whatever has the shape of a
    Salesforce token, code or consumer secret: plain, backwards, in base64, base32, hexadecimal, URL-encoded, behind
    the escapes of JSON or HTML, in other forms of the same letters, or several of these at once, in upper or lower
    case; what was given also where other characters stand in between. Takes time in proportion to `text`.
    """
    parts, position = list[str](), 0
    for start, end in sorted(_spans(text, secrets)):
        if start >= position:
            parts += text[position:start], REDACTED
        position = max(position, end)
    return "".join([*parts, text[position:]])


def without_shapes(text: str) -> str:
    """`text` without what has the shape of a secret as it stands: quick, for what files hold many of."""
    return _SHAPES.sub(REDACTED, text)


def redact_answer(text: str, *secrets: Secret | None) -> str:
    """`text` that an org chose, as `redact`; and without what the org may know besides (the consumer secrets withheld
    last), and without long runs of letters and digits, for one encoding may lie in another."""
    text = redact(text, *secrets, *(each for each in _WITHHELD.last if repeats(text, each)))
    return _RUN.sub(_random_redacted, text)


def _random_redacted(run: re.Match[str]) -> str:
    # Names and addresses stay what they are, capital, small or digit, for longer than an encoding does.
    return REDACTED if len(_CLASSES.findall(run[0])) > 0.3 * len(run[0]) else run[0]


def repeats(text: str, *secrets: Secret | None) -> bool:
    """Whether `text` holds what `redact` would strike out. Made to be asked of every answer.

    Secrets under eight characters would be found everywhere, and are left out.
    """
    candidates = [each for each in secrets if each is not None and len(each.reveal()) >= SHORTEST]
    likely = not text.isascii() or _ESCAPES.search(text) or _SHAPES.search(text)
    if not likely and not _resembles(_lower(text), candidates):
        return False
    return any(True for _ in _spans(text, candidates))


def _resembles(lower: str, secrets: Sequence[Secret]) -> bool:
    """A fast way to say no: whether four characters of a text are those of a secret."""
    dense = _dense(lower)
    # A part of eight characters holds one of these four; almost no text shares one with a secret.
    samples = [lower[start : start + 4] for start in range(0, len(lower) - 3, 5)]
    dense_samples = [dense[start : start + 4] for start in range(0, len(dense) - 3, 5)]
    dense_samples += _base32_samples(dense)
    return any(
        any(map(plain.__contains__, samples)) or any(map(encoded.__contains__, dense_samples))
        for plain, encoded in map(_joined, map(_value, secrets))
    )


def _base32_samples(dense: str) -> Iterator[str]:
    """The same of what a text is in base32, wherever in it that begins. To encode the secrets takes far longer."""
    # Eight digits are five bytes, of which four may be whole.
    number = int(dense.translate(_BASE32) or "0", 32)
    size = len(dense) * 5 // 8 + 1
    for shift in range(8):
        for run in _PRINTABLE.findall((number >> shift).to_bytes(size, "big")):
            text = run.decode().lower()
            yield from (text[start : start + 4] for start in range(len(text) - 3))


def mask(key: str) -> str:
    """A consumer key as it may be shown: its first five and last four characters."""
    return f"{key[:5]}…{key[-4:]}" if len(key) > 13 else REDACTED


def _spans(text: str, secrets: Iterable[Secret | None]) -> Iterator[tuple[int, int]]:
    """Start and end of each part of a secret in `text`, in no order."""
    # Parts by their length: one look-up in a set for each place keeps the time in proportion to the text.
    parts: dict[int, set[str]] = {}
    dense_parts: set[str] = set()
    for form in (form for secret in secrets if secret is not None for form in _forms(secret)):
        size = min(SHORTEST, len(form))
        parts.setdefault(size, set()).update(_windows(form, size))
        dense_parts.update(_windows(_dense(form), SHORTEST))
    for view, places in _views(text):
        for shape in _SHAPES.finditer(view):
            yield places[shape.start()], places[shape.end()]
        lower = _lower(view)
        for size, parts_of_size in parts.items():
            for start, window in enumerate(_windows(lower, size)):
                if window in parts_of_size:
                    yield places[start], places[start + size]
        if not dense_parts:
            continue
        # With separators between its characters, a secret is still one.
        kept = [place for place, letter in enumerate(lower) if letter.isascii() and letter.isalnum()]
        for start, window in enumerate(_windows("".join([lower[place] for place in kept]), SHORTEST)):
            if window in dense_parts:
                yield places[kept[start]], places[kept[start + SHORTEST - 1] + 1]


def _dense(text: str) -> str:
    """Letters and digits alone, for anything may stand between them."""
    return text.encode("utf-8", "ignore").translate(None, _NOT_DENSE).decode()


def _windows(text: str, size: int) -> Iterator[str]:
    """All parts of a text that have this length."""
    return (text[start : start + size] for start in range(len(text) - size + 1))


# A run asks the same few secrets of every answer.
@lru_cache(maxsize=256)
def _joined(value: str) -> tuple[str, str]:
    """A secret as it stands, and its letters and digits alone, in every form but base32."""
    plain = "\n".join(_plain(value))
    return plain, _dense("".join([plain, *_encodings(value)]))


def _forms(secret: Secret) -> set[str]:
    """What a secret may look like, in lower case."""
    import base64

    value = _value(secret)
    encodings = [*_encodings(value), *_aligned(value, base64.b32encode, 5, 8)]
    in_urls = [form.replace("+", "-").replace("/", "_") for form in encodings]
    return {*_plain(value), *(form for form in (*encodings, *in_urls) if len(form) > 3)}


def _plain(value: str) -> list[str]:
    """A secret itself, both ways round, and what a query makes of it, in lower case."""
    plain = [value, value[::-1]]
    if "%" in value or "+" in value:
        plain.append(unquote_plus(value))
    if not value.isascii():
        plain.append(_FOREIGN.sub(_folded, value))
    if not value.isascii() or " " in value:
        plain += quote(value, safe=""), quote_plus(value)
    return [_lower(form) for form in plain if form]


def _encodings(value: str) -> list[str]:
    """A secret in hexadecimal, and in base64 in its three alignments, trimmed of padding; in lower case."""
    import base64

    return [value.encode().hex(), *_aligned(value, base64.b64encode, 3, 4)]


def _value(secret: Secret) -> str:
    return _ORG.sub("", secret.reveal(), count=1)


def _aligned(value: str, encode: Callable[[bytes], bytes], size: int, letters: int) -> list[str]:
    """A secret in an encoding that makes `letters` of a group of `size` bytes, in lower case."""
    data = value.encode()
    # In a longer text a secret starts at any of the places in a group, and each encodes it differently.
    encoded = (encode(b" " * lead + data).decode()[-(-lead * letters // size) :] for lead in range(size))
    return [form.rstrip("=")[:-1].lower() for form in encoded]


def _views(text: str) -> Iterator[tuple[str, Sequence[int]]]:
    """`text` as it stands, and as it reads when its escapes are undone, one layer after the other; with the place in
    `text` at which each character, and the end, is."""
    places: Sequence[int] = range(len(text) + 1)
    yield text, places
    for _ in range(_LAYERS):
        before = text
        for pattern, reading in _READINGS:
            if not pattern.search(text):
                continue
            text, places = _read(text, places, pattern, reading)
            yield text, places
        if text == before:
            return


def _read(
    text: str, places: Sequence[int], pattern: re.Pattern[str], reading: Callable[[re.Match[str]], str]
) -> tuple[str, Sequence[int]]:
    """`text` with the `reading` of each match of a pattern."""
    parts, origins, position = list[str](), list[int](), 0
    for match in pattern.finditer(text):
        start, characters = match.start(), reading(match)
        parts += text[position:start], characters
        origins += [*places[position:start], *([places[start]] * len(characters))]
        position = match.end()
    return "".join([*parts, text[position:]]), [*origins, *places[position:]]


def _character(escape: re.Match[str]) -> str:
    """What an escape stands for; a name that HTML does not know, for itself."""
    import html

    if digits := escape["byte"] or escape["hex"] or escape["braced"]:
        return chr(int(digits, 16))
    if escape["octal"]:
        return chr(int(escape["octal"], 8))
    return escape["itself"] or html.unescape(escape[0])


def _decoded(encoded: re.Match[str]) -> str:
    return encoded[0].encode("latin-1").decode("utf-8", "ignore")


def _folded(match: re.Match[str]) -> str:
    """The plain letters that a letter of another width or style stands for; nothing for what nobody sees."""
    import unicodedata

    if unicodedata.category(match[0]) in ("Cf", "Mn"):
        return ""
    return unicodedata.normalize("NFKC", match[0])


_READINGS: Final = ((_ESCAPES, _character), (_UTF8, _decoded), (_FOREIGN, _folded))


def _lower(text: str) -> str:
    """In lower case, and as long as it was, which one letter would not be."""
    return text.replace("\u0130", "i").lower()
