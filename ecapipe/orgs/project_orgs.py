"""The orgs of ``plugins.ecapipe.orgs`` in sfdx-project.json."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PureWindowsPath

from ecapipe.orgs.address import accept_address, read_url
from ecapipe.orgs.hosts import AllowedHosts, is_salesforce_host
from ecapipe.orgs.org import Org
from ecapipe.orgs.org_rows import SECRET_GIVEN, OrgRow, RowMistake, RowPlace, looks_secret, parse_row
from ecapipe.problems.orgs import refused_host
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.sfdx_project import Project
from ecapipe.secret import without_shapes


def configured_row(alias: str, project: Project, mistakes: list[RowMistake], flows: tuple[str, ...] = ()) -> OrgRow:
    """The description of `alias`; what is wrong with it is added to `mistakes`. `flows`: see `parse_row`."""
    place, members = RowPlace(f"plugins.ecapipe.orgs.{without_shapes(alias)}", "."), project.orgs[alias]
    earlier = len(mistakes)
    if looks_secret(alias):
        mistakes.append(RowMistake(place, None, SECRET_GIVEN))
    row = replace(parse_row(place, members, "", mistakes, flows), alias=alias)
    if "alias" in members:
        mistakes.append(RowMistake(place, "alias", "is not needed: the name of this entry is the alias."))
    # A URL that is there and wrong is not reported as missing, too.
    if not row.url and not any(mistake.column == "url" for mistake in mistakes[earlier:]):
        mistakes.append(RowMistake(place, "url", "is missing."))
    if row.source_dir is None:
        return row
    source_dir = posixpath.normpath(row.source_dir)
    if _leaves_project(source_dir):
        mistakes.append(RowMistake(place, "sourceDir", "must be a path inside the project."))
        return replace(row, source_dir=None)
    return replace(row, source_dir=posixpath.join(project.root, source_dir))


def _leaves_project(path: str) -> bool:
    """Whether a normalized path is absolute or leads upwards; on every system, a drive of Windows is absolute."""
    return path.startswith(("/", "../")) or path == ".." or bool(PureWindowsPath(path).drive)


def add_expected_ids(orgs: Iterable[Org], configured: Mapping[str, Project], hosts: AllowedHosts) -> list[Org]:
    """The orgs, each with the id that the project expects at its address, whatever name it was selected by.

    Otherwise an org would go unchecked when it is named by its URL instead of its alias.
    """
    ids: dict[str, dict[str, str]] = {}
    for alias, project in configured.items():
        row = configured_row(alias, project, [])
        if row.org_id and (url := read_url(row.url or "", hosts.allowed)):
            ids.setdefault(url, {})[row.org_id[:15]] = row.org_id
    # Where the project gives one address several ids, none of them is to be expected.
    expected = {url: org_id for url, same in ids.items() if len(same) == 1 for org_id in same.values()}
    return [replace(org, org_id=org.org_id or expected.get(org.url)) for org in orgs]


def misleading_alias(name: str, url: str, allowed: tuple[str, ...]) -> str | None:
    """What is wrong with the alias `name` that a tree gives to the org at `url`: it must not be an address, a
    username or several aliases.

    Whoever types one of those means that, and would be sent to the org of the tree instead. The org's own address is
    fine, and so is a dot in what is no host of Salesforce.
    """
    # Handed over, it would be two of the user's aliases from then on.
    if "," in name:
        return "contains a comma, with which the Salesforce CLI separates aliases: use a plain alias."
    if not re.search(r"[.:/@=?#%\\]", name) and name.strip().lower() != "localhost":
        return None
    try:
        address = accept_address(name.partition("=")[2] or name, AllowedHosts(allowed), "user").url
    except EcapipeError as error:
        plain = re.fullmatch(r"[\w .-]+", name) and not is_salesforce_host(name.strip().rstrip("."))
        if plain and error.problem.kind is refused_host:
            return None
        return "is named like an address or a username: use a plain alias."
    if address == url:
        return None
    return f"is named like the address of another org: {address}."


def join_sentences(mistakes: Iterable[RowMistake]) -> str:
    return "; ".join(str(mistake).removesuffix(".") for mistake in mistakes)
