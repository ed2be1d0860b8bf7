"""Placeholders: texts that stand where a credential belongs, and that cannot be one."""

from __future__ import annotations

import re
from typing import Final

from ecapipe.secret import Secret

_PLACEHOLDER: Final = re.compile(
    r"\s"  # a sentence
    r"|^[\W_]*$"  # ***, ----, ...
    r"|\{\{|\$\{|^\$[\w(]|^\{.*\}$|^<.*>$|@@|^%\w+%$|^__\w+__$"  # {{X}}, ${X}, $X, {env.X}, <key>, @@X@@, %X%, __X__
    r"|\[REDACTED"
    r"|^(x+|auto_?generated|change[_-]?me|replace[_-]?me|redacted|placeholder|dummy|todo|tbd|none|null|n/?a|secret)$"
    r"|(^|[^a-z])(your|replace|insert|enter|paste|placeholder|redacted|scrubbed)([^a-z]|$)",
    re.IGNORECASE,
)

_GENERATED: Final = re.compile(r"3MVG9[A-Za-z0-9._]{80}|[0-9A-F]{64}")
"""A key and a secret as Salesforce makes them."""


def is_placeholder(text: str) -> bool:
    """Whether `text` only stands where a credential belongs. A key may have any shape; Salesforce's own is proof."""
    # First: a generated key is random text, in which a word of the pattern can occur.
    return _GENERATED.fullmatch(text) is None and _PLACEHOLDER.search(text) is not None


def unfit(secret: Secret, consumer_key: str) -> str | None:
    """Why `secret` cannot be the consumer secret of that key; None if it can."""
    text = secret.reveal()
    if not text.isprintable() or not text.isascii():
        return "it is not plain text on one line"
    if is_placeholder(text):
        return "it only stands in the place of a secret"
    if text == consumer_key:
        return "it is the consumer key"
    return None
