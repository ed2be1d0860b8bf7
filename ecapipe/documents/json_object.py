"""A JSON object that others wrote, and the ways in which it can be none."""

from __future__ import annotations

import json

from ecapipe.documents.report import Json


class MalformedRecord(Exception):
    """The text is no JSON, or the JSON is not the document it should be; the message says where and why."""


class NewerVersion(Exception):
    """The document was written by a later ecapipe; `version` is that of its format."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


def parse(data: bytes) -> Json:
    """The JSON object in `data`, UTF-8 with or without a byte order mark; raises `MalformedRecord`."""

    # NaN and Infinity are no JSON (RFC 8259, section 6), though Python reads them.
    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        document = json.loads(data.decode("utf-8-sig"), parse_constant=refuse)
    except UnicodeDecodeError:
        raise MalformedRecord("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise MalformedRecord(f"it is not JSON (line {error.lineno}, column {error.colno})") from None
    # Beside `refuse`: integers with more digits than Python converts, and nesting deeper than its stack.
    except (ValueError, RecursionError):
        raise MalformedRecord("it is not JSON that any result holds") from None
    if not isinstance(document, dict):
        raise MalformedRecord("it is not a JSON object")
    return document
