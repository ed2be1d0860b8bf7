"""A JSON object that others wrote, read member by member, each of the type it has to have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeVar

from ecapipe.documents.report import Json

T = TypeVar("T")


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


class JsonObject:
    """A JSON object whose members are read one by one; `path` names it in messages.

    Every method raises `MalformedRecord` for a member that is missing, or of another type.
    """

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise MalformedRecord(f"{path} is not an object")
        self.value: Mapping[str, object] = value
        self.path = path

    def _member(self, name: str, kind: type[T], article: str) -> T:
        value = self.value.get(name)
        if name not in self.value:
            raise MalformedRecord(f"{self.path}.{name} is missing")
        # To Python, True is an int; to JSON it is not a number.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise MalformedRecord(f"{self.path}.{name} is not {article}")
        return value

    def _is_null(self, name: str) -> bool:
        """Whether the member is there as ``null``: a missing one is an error, unlike in most readers of JSON."""
        return name in self.value and self.value[name] is None

    def text(self, name: str) -> str:
        return self._member(name, str, "a string")

    def text_or_none(self, name: str) -> str | None:
        if self._is_null(name):
            return None
        return self.text(name)

    def number(self, name: str) -> int:
        return self._member(name, int, "an integer")

    def number_or_none(self, name: str) -> int | None:
        if self._is_null(name):
            return None
        return self.number(name)

    def expect_version(self, name: str, known: int) -> None:
        """Raises `NewerVersion` for a version above the `known` one, `MalformedRecord` for any other."""
        version = self.number(name)
        if version > known:
            raise NewerVersion(version)
        if version != known:
            raise MalformedRecord(f"{self.path}.{name} is {version}")

    def flag(self, name: str) -> bool:
        return self._member(name, bool, "true or false")

    def one_of(self, name: str, words: Sequence[str]) -> str:
        word = self.text(name)
        if word not in words:
            raise MalformedRecord(f"{self.path}.{name} is none of {', '.join(words)}")
        return word

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._member(name, list, "a list")
        if not all(isinstance(value, str) for value in values):
            raise MalformedRecord(f"{self.path}.{name} holds something that is not a string")
        return tuple(values)

    def object(self, name: str) -> JsonObject:
        return JsonObject(self._member(name, dict, "an object"), f"{self.path}.{name}")

    def object_or_none(self, name: str) -> JsonObject | None:
        if self._is_null(name):
            return None
        return self.object(name)

    def objects(self, name: str) -> list[JsonObject]:
        """The objects of a list; an empty list for a member that is missing."""
        if name not in self.value:
            return []
        values = self._member(name, list, "a list")
        return [JsonObject(value, f"{self.path}.{name}[{index}]") for index, value in enumerate(values)]
