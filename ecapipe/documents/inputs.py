"""What people write of orgs, for its JSON Schemas; `ecapipe.orgs.org_rows` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from ecapipe.documents.codec import Document
from ecapipe.oauth.flows import registry
from ecapipe.orgs.org_rows import CHOICES

Names = str | Sequence[str] | UnsetType
Url = Annotated[str, Meta(description="My Domain URL or host.", min_length=1)]
OrgId = Annotated[
    str, Meta(description="The org ID that is expected.", pattern="^(00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?)?$")
]
Variable = Annotated[
    str,
    Meta(
        description="The environment variable that holds the consumer secret for this org.",
        pattern="^([A-Za-z_][A-Za-z0-9_]{0,199})?$",
    ),
]


def _one_of(*choices: str) -> Meta:
    return Meta(extra_json_schema={"enum": [*choices, ""]})


class Org(Document, kw_only=True, forbid_unknown_fields=True):
    """What can be said of an org."""

    url: Url | UnsetType = UNSET
    apps: Annotated[
        Names,
        Meta(
            description="The apps to use; if missing, all. In a string, names are separated by spaces, commas or "
            "semicolons."
        ),
    ] = UNSET
    source_dir: Annotated[
        str | UnsetType,
        Meta(description="The folder that was retrieved from this org, relative to the project or to the org file."),
    ] = UNSET
    flow: Annotated[str, _one_of(*registry.CHOICES)] | UnsetType = UNSET
    username: Annotated[str | UnsetType, Meta(description="The username that is expected to sign in.")] = UNSET
    org_id: OrgId | UnsetType = UNSET
    scopes: Annotated[Names, Meta(description="Scopes to request.")] = UNSET
    secret_env: Variable | UnsetType = UNSET
    browser: Annotated[str, _one_of(*CHOICES["browser"])] | UnsetType = UNSET
    callback: Annotated[str, _one_of(*CHOICES["callback"])] | UnsetType = UNSET


class ConfiguredOrg(Org, kw_only=True, forbid_unknown_fields=True):
    url: Url


class OrgRow(Org, kw_only=True, forbid_unknown_fields=True):
    alias: str | UnsetType = UNSET


NamedRow = Annotated[OrgRow, Meta(extra_json_schema={"anyOf": [{"required": ["alias"]}, {"required": ["url"]}]})]
OrgFile = Annotated[Sequence[NamedRow], Meta(min_length=1, max_length=10_000)]
"""A JSON file for ``ecapipe run --file``."""


class Settings(Document, kw_only=True):
    """plugins.ecapipe in sfdx-project.json."""

    orgs: Mapping[str, ConfiguredOrg] | UnsetType = UNSET
    rules: Mapping[str, Literal["off", "note", "warning", "error"]] | UnsetType = UNSET
    baseline: str | UnsetType = UNSET
