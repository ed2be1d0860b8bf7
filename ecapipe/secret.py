"""A string that cannot be shown by accident, and the means to strike secrets out of foreign text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Final, NoReturn
from urllib.parse import quote, quote_plus, unquote_plus

REDACTED: Final = "[REDACTED]"

_SHORTEST_PART = 8
"""A part of a secret this long (in characters) counts as the secret itself."""

_SHAPES = re.compile(
    r"00D[A-Za-z0-9]{12,15}!\S+"  # access token
    r"|5Aep861\S+"  # refresh token
    r"|aPrx\S+"  # authorization code
    r"|eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"  # JWT
    r"|(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])"  # consumer secret, current form
    r"|3MVG9[\w.]{20,}"  # consumer key: no secret, but not for everybody's eyes either
)


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


class Sought:
    """Secrets to be found in foreign bytes, each with the name of its owner: exact values, all in one pass.

    Values under eight characters would be found everywhere, and are left out.
    """

    def __init__(self, secrets: Iterable[tuple[str, Secret]]) -> None:
        self._owners: dict[bytes, set[str]] = {}
        for owner, secret in secrets:
            if len(value := secret.reveal().encode()) >= _SHORTEST_PART and b"\n" not in value:
                self._owners.setdefault(value, set()).add(owner)
        self._lengths = sorted({len(value) for value in self._owners})

    def __len__(self) -> int:
        return len(self._owners)

    @property
    def patterns(self) -> bytes:
        """One value a line, for the standard input of a program that searches."""
        return b"".join(value + b"\n" for value in sorted(self._owners))

    def find(self, pieces: Iterable[bytes]) -> dict[str, int]:
        """The owners of the secrets in what `pieces` make up together, each with the first line it is on."""
        found: dict[str, int] = {}
        kept, line = b"", 1
        for piece in pieces if self._owners else ():
            data = kept + piece
            marked = data.translate(self._marks)
            # Most text has no run of a secret's own characters that is long enough: a fast way to say no.
            if b"x" * self._lengths[0] in marked:
                for run in self._runs.finditer(marked):
                    for start, owners in self._hits(data, run.start(), run.end()):
                        for owner in owners:
                            found.setdefault(owner, line + data.count(b"\n", 0, start))
            kept = data[max(0, len(data) - self._lengths[-1] + 1) :]
            line += data.count(b"\n", 0, len(data) - len(kept))
        return found

    @cached_property
    def _marks(self) -> bytes:
        """For each byte an x if it stands in a secret, else a space."""
        alphabet = frozenset(b"".join(self._owners))
        return bytes(120 if byte in alphabet else 32 for byte in range(256))

    @cached_property
    def _runs(self) -> re.Pattern[bytes]:
        return re.compile(b"x{%d,}" % self._lengths[0])

    def _hits(self, data: bytes, start: int, end: int) -> Iterable[tuple[int, set[str]]]:
        for length in self._lengths:
            for at in range(start, end - length + 1):
                if owners := self._owners.get(data[at : at + length]):
                    yield at, owners


def redact(text: str, *secrets: Secret | None) -> str:
    """`text` from an org or a file, without secrets.

    Struck out are the given secrets in plain, URL-encoded and base64 form, any part of them of eight or more
    characters, and whatever has the shape of a Salesforce token, code or consumer secret.
    """
    for secret in secrets:
        if secret is not None:
            for form in _forms(secret.reveal()):
                text = _strike(text, form)
    return _SHAPES.sub(REDACTED, text)


def mask(key: str) -> str:
    """A consumer key as it may be shown: its first five and last four characters."""
    return f"{key[:5]}…{key[-4:]}" if len(key) > 13 else REDACTED


def _forms(value: str) -> list[str]:
    """The value as it stands in text, in a query, and in the three alignments of base64, trimmed of padding."""
    import base64

    encoded = [base64.b64encode(b" " * lead + value.encode()).decode()[-(-lead * 4 // 3) :] for lead in range(3)]
    trimmed = [form.rstrip("=")[:-1] for form in encoded]
    return [value, quote(value, safe=""), quote_plus(value), unquote_plus(value), *trimmed]


def _strike(text: str, form: str) -> str:
    """Replace each longest run of at least eight characters that `text` shares with `form`."""
    out: list[str] = []
    at = 0
    while at < len(text):
        end = at + min(_SHORTEST_PART, len(form))
        if form and end <= len(text) and text[at:end] in form:
            while end < len(text) and text[at : end + 1] in form:
                end += 1
            out.append(REDACTED)
            at = end
        else:
            out.append(text[at])
            at += 1
    return "".join(out)
