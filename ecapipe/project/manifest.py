"""The manifest that retrieves external client apps: all of them, or only some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from ecapipe.problems.problem import EcapipeError
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
    """What to retrieve: members by type, both in the order of the file.

    `notices` say what is more, or less, than was asked for.
    """

    api_version: str
    members: tuple[tuple[Type, tuple[str, ...]], ...]
    notices: tuple[str, ...] = ()


def of(discovery: Discovery) -> Manifest:
    """The manifest for a discovery: every app that the org has, or, if apps or folders were named, only those.

    Only an app's header is named after it. Of the other types, the members are those in the project; where there is
    none of a type that every app has, all members are retrieved.

    Raises `EcapipeError` (UnfitApiVersion).
    """
    unfit = [project.unfit_api_version for project in discovery.projects if project.unfit_api_version]
    if unfit:
        raise EcapipeError(unfit[0])
    # The newest of the projects' versions knows the types of all of them.
    version = max((project.api_version for project in discovery.projects), key=float)
    types = sorted(metadata.types_at(version), key=lambda type: type.name)
    if discovery.whole:
        return Manifest(version, tuple((type, (ALL,)) for type in types))
    members: list[tuple[Type, tuple[str, ...]]] = []
    notices: list[str] = []
    for type in types:
        names, notice = _members_of(type, discovery)
        if notice:
            notices.append(notice)
        # No escape makes a control character part of an XML document.
        printable = sorted(name for name in names if name.isprintable())
        for _ in range(len(names) - len(printable)):
            notices.append(f"{type.name} has a member whose name can't be written to a manifest: it is omitted.")
        if printable:
            members.append((type, tuple(printable)))
    return Manifest(version, tuple(members), tuple(notices))


def _members_of(type: Type, discovery: Discovery) -> tuple[set[str], str | None]:
    """The names to retrieve of one type, and a notice if they are more than those of the apps."""
    names = {file.name for app in discovery.apps for file in app.files if file.type is type}
    incomplete = [app.name for app in discovery.apps if not app.of(type)]
    if type is metadata.HEADER:
        return names.union(incomplete), None
    if incomplete and type in _OF_EVERY_APP:
        apps = ", ".join(incomplete)
        return {ALL}, f"The project has no {type.name} of {apps}, and its name can't be predicted: all are retrieved."
    return names, None


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
