"""What turns documents into JSON values, JSON values into documents, and their types into JSON Schemas.

msgspec takes some 10 ms to import: whoever needs neither to write nor to read JSON imports no document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, Final, Literal, TypeVar, dataclass_transform

import msgspec

from ecapipe.documents import json_object
from ecapipe.documents.json_object import MalformedRecord, NewerVersion
from ecapipe.documents.report import VERSION, Json

T = TypeVar("T")

_JSON_WORDS: Final = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


@dataclass_transform(frozen_default=True)
class Document(msgspec.Struct, frozen=True, rename="camel"):
    """A JSON object: its members are those of the class, in their order and in camel case.

    A member whose default is `msgspec.UNSET` is left out where nothing is known of it.
    """


class Result(Document, kw_only=True):
    """What a command prints as ``result``, or a report holds."""

    version: Literal[1] = 1


def builtins(document: Document) -> Json:
    """The members of `document`, as JSON has them."""
    members: Json = msgspec.to_builtins(document)
    return members


def encode(document: Document) -> bytes:
    """`document` as JSON on one line."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:  # a name from a file may hold half of a surrogate pair
        return json.dumps(builtins(document)).encode()


def indented(document: object) -> str:
    """What `json.dumps` writes with an indent of two: that leaves its C code for it."""
    line = json.dumps(document)
    try:
        return msgspec.json.format(line)
    except msgspec.DecodeError:  # a name from a file may hold half of a surrogate pair
        return json.dumps(document, indent=2)


def of(source: object, kind: type[T], /, **more: object) -> T:
    """A document or dataclass of `kind`, with each member from `more`, or from the attribute of `source` of the same
    name."""
    names: Iterable[str] = getattr(kind, "__struct_fields__", ()) or vars(kind)["__dataclass_fields__"]
    members = {name: getattr(source, name) for name in names if hasattr(source, name)} | more
    known = {name: member for name, member in members.items() if member is not msgspec.UNSET}
    return msgspec.convert(SimpleNamespace(**known), kind, from_attributes=True)


def parse(data: bytes, kind: type[T], path: str = "") -> T:
    """The document of type `kind` in `data`, which is UTF-8; raises `MalformedRecord` and `NewerVersion`."""
    return convert(json_object.parse(data), kind, path)


def convert(value: object, kind: type[T], path: str = "") -> T:
    """`value`, which was JSON, as a document of type `kind`; `path` is its place in a larger one.

    Members that `kind` does not know are ignored. Raises `MalformedRecord`, and `NewerVersion` for the result of
    a later format.
    """
    # First of all: in a later format any other member may mean something else.
    if issubclass(kind, Result):
        expect_version(value, "version", VERSION, path)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise MalformedRecord(_message(str(error), path)) from None
    except UnicodeEncodeError:
        # msgspec looks up enumerations as UTF-8, and JSON can hold half of a surrogate pair.
        raise MalformedRecord(f"{path or 'the document'} holds text that is not Unicode") from None


def expect_version(value: object, member: str, known: int, path: str = "") -> None:
    """Raises `NewerVersion` if `value` is of a format version above `known`, `MalformedRecord` for any other."""
    place = f"{path}.{member}".lstrip(".")
    if not isinstance(value, dict):
        raise MalformedRecord(f"{path or 'the document'} is not an object")
    if member not in value:
        raise MalformedRecord(f"{place} is missing")
    version = value[member]
    # To Python, True is an int.
    if not isinstance(version, int) or isinstance(version, bool):
        raise MalformedRecord(f"{place} is not an integer")
    if version > known:
        raise NewerVersion(version)
    if version != known:
        raise MalformedRecord(f"{place} is {version}")


def _message(error: str, path: str) -> str:
    """An error of msgspec, whose place comes last and begins with ``$``, in the words of our messages."""
    what, _, place = error.partition(" - at `$")
    place = f"{path}{place.removesuffix('`')}".lstrip(".")
    if missing := re.fullmatch(r"Object missing required field `(.*)`", what):
        return f"{place}.{missing[1]} is missing".lstrip(".")
    place = place or "the document"
    if wrong := re.fullmatch(r"Expected `(.*?)`(.*?)(, got `.*`)?", what):
        kinds = " or ".join(_JSON_WORDS.get(word, word) for word in wrong[1].split(" | "))
        return f"{place} is not {kinds}{wrong[2]}"
    return f"{place} cannot be {what.removeprefix('Invalid enum value ')}"


def schema(kinds: Sequence[Any], reference: str) -> tuple[list[Json], dict[str, Any]]:
    """The JSON Schemas of `kinds`, and the definitions that they refer to by `reference`, which holds ``{name}``.

    They describe what is written: there a member is left out only if its default is `msgspec.UNSET`.
    """
    schemas, definitions = msgspec.json.schema_components(kinds, ref_template=reference)
    for definition in definitions.values():
        properties = definition["properties"]
        written = {name for name, member in properties.items() if "default" in member}
        required = written.union(definition["required"])
        definition["required"] = [name for name in properties if name in required]
        for member in properties.values():
            member.pop("default", None)
        # It only repeats the name.
        del definition["title"]
    return list(schemas), definitions
