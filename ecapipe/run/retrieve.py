"""The apps of an org, fetched by the Salesforce CLI before a run."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.login.tracker import StageWork
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import requires_project_error
from ecapipe.problems.salesforce_cli import sf_login_missing
from ecapipe.problems.usage import not_one_source
from ecapipe.project import metadata
from ecapipe.project.discovery import ProjectSelection
from ecapipe.project.sfdx_project import Project
from ecapipe.run.targets import RunTrees, salesforce_cli_orgs
from ecapipe.run.world import World


def retrieve_into(into: Sequence[Project], orgs: Sequence[Org], world: World, work: StageWork) -> None:
    """Let the Salesforce CLI fetch all external client apps of the org into the projects.

    Raises `EcapipeError`: NotOneSource, RequiresProjectError, SfLoginMissing, and what the Salesforce CLI meets.
    """
    if len(orgs) != 1:
        raise EcapipeError(not_one_source(len(orgs)))
    (org,) = orgs
    logins = [login for login in world.sf.logins() if login.host == org.host]
    if not logins:
        known = [login.instance_url for login in world.sf.logins()]
        raise EcapipeError(sf_login_missing(org.name, org.url, known))
    login = next((login for login in logins if org.alias in (*login.aliases, login.username)), logins[0])
    for found in into:
        if world.tree.project_above(found.root) != found.root:
            raise EcapipeError(requires_project_error(found.root))
        types = [type.name for type in metadata.TYPES]
        work.warnings += world.sf.retrieve(found.root, login.username, types, lambda text: work.note("hint", text))
    work.facts["retrievedFrom"] = login.username


def retrieve(where: ProjectSelection, which: OrgSelection, world: World, work: StageWork) -> None:
    """Let the Salesforce CLI fetch the apps of the one org that is meant into the projects that are.

    Raises `EcapipeError`: as `choose`, and `retrieve.retrieve_into`.
    """
    grounds = RunTrees(where, which, world)
    chosen = selection.select(which, grounds.projects, salesforce_cli_orgs(grounds, which, world))
    grounds.acquaint()
    retrieve_into(grounds.projects, chosen, world, work)
