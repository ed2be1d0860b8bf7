"""Every problem that there is, by where its remedy lies: importing this registers all of them."""

from __future__ import annotations

from typing import Final

from ecapipe.problems import credentials, git, network, oauth, orgs, project, salesforce_cli, storage, usage
from ecapipe.problems.problem import BUILDERS, EXPLANATIONS, Explanation

# The order of the list in `ecapipe explain`: what a user can mend first, the machine last.
MODULES: Final = (usage, project, credentials, orgs, oauth, network, salesforce_cli, storage, git)

CATALOGUE: Final[dict[str, Explanation]] = {
    name: EXPLANATIONS[name]
    for module in MODULES
    for name, build in BUILDERS.items()
    if build.__module__ == module.__name__
}
"""What `ecapipe explain` says of each problem, by its name, in the order in which they are listed."""
