"""A string that cannot be shown by accident, and the means to strike secrets out of foreign text."""

from __future__ import annotations

import base64
import hmac
import re
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
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return REDACTED

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is neither pickled nor copied")


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
