"""The manifest that retrieves external client apps: all of them, or only some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from ecapipe.project import metadata
from ecapipe.project.discovery import Discovery
from ecapipe.project.metadata import Type

ALL: Final = "*"

_OF_EVERY_APP: Final = (
    metadata.HEADER,
    metadata.SETTINGS,
    metadata.OAUTH,
    metadata.OAUTH_POLICIES,
    metadata.POLICIES,
)
"""The types that an org has for every app with OAuth, whether or not they were retrieved yet."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What to retrieve: members by type, both in the order of the file. `notices` say what is more than was meant."""

    api_version: str
    members: tuple[tuple[Type, tuple[str, ...]], ...]
    notices: tuple[str, ...] = ()


def of(found: Discovery) -> Manifest:
    """The manifest for what was found: every app that the org has, or, if apps or folders were named, only those.

    Only an app's header is named after it. Of the other types, the members are those in the project; where there is
    none of a type that every app has, all members are retrieved.
    """
    version = max((each.api_version for each in found.projects), key=float)
    types = sorted(metadata.known_at(version), key=lambda type: type.name)
    if found.whole:
        return Manifest(version, tuple((type, (ALL,)) for type in types))
    members: list[tuple[Type, tuple[str, ...]]] = []
    notices: list[str] = []
    for type in types:
        named = {file.name for app in found.apps for file in app.files if file.type is type}
        lacking = [app.name for app in found.apps if not app.of(type)]
        if type is metadata.HEADER:
            named |= set(lacking)
        elif lacking and type in _OF_EVERY_APP:
            notices.append(
                f"The project has no {type.name} of {', '.join(lacking)}, and its name follows no rule: all are "
                "retrieved."
            )
            named = {ALL}
        unsafe = sorted(name for name in named if not name.isprintable())
        notices += [f"{type.name} has a member whose name no manifest can hold: it is left out." for _ in unsafe]
        if kept := tuple(sorted(named.difference(unsafe))):
            members.append((type, kept))
    return Manifest(version, tuple(members), tuple(notices))


def lines(manifest: Manifest, comment: str | None) -> Iterator[str]:
    """The lines of ``package.xml``, in ASCII, so that no shell can spoil them on the way to a file."""
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    if comment:
        yield f"<!-- {comment} -->"
    yield f'<Package xmlns="{metadata.NAMESPACE}">'
    for type, members in manifest.members:
        yield from ("    <types>", *_members(members), f"        <name>{type.name}</name>", "    </types>")
    yield f"    <version>{manifest.api_version}</version>"
    yield "</Package>"


def _members(members: Sequence[str]) -> Iterator[str]:
    for member in members:
        yield f"        <members>{escape(member).encode('ascii', 'xmlcharrefreplace').decode()}</members>"
