"""Every problem that there is, by where its remedy lies."""

from __future__ import annotations

from typing import Final

from ecapipe.problems import (
    api,
    credentials,
    git,
    network,
    oauth,
    orgs,
    project,
    rotation,
    salesforce_cli,
    sign_in,
    storage,
    usage,
)
from ecapipe.problems.problem import Kind

CATALOGUE: Final[dict[str, Kind[...]]] = {
    kind.name: kind
    # The order of the list in `ecapipe explain`: what a user can mend first, the machine last.
    for module in (
        usage,
        project,
        credentials,
        orgs,
        sign_in,
        oauth,
        api,
        rotation,
        network,
        salesforce_cli,
        storage,
        git,
    )
    for kind in vars(module).values()
    if isinstance(kind, Kind)
}
"""All kinds of problems by name, in the order in which they are listed."""
