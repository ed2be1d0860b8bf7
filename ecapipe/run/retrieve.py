"""The apps of an org, fetched by the Salesforce CLI before a run."""

from __future__ import annotations

from collections.abc import Sequence

from ecapipe.login.tracker import StageWork
from ecapipe.oauth.flows.registry import CHOICES
from ecapipe.orgs import selection as org_selection
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


def retrieve(selection: ProjectSelection, orgs: OrgSelection, world: World, work: StageWork) -> None:
    """Let the Salesforce CLI fetch the apps of the one selected org into the selected projects.

    Raises `EcapipeError`: as `org_selection.select`, and `_retrieve_into`.
    """
    trees = RunTrees(selection, orgs, world)
    orgs = trees.orgs
    selected_orgs = org_selection.select(orgs, trees.projects, salesforce_cli_orgs(trees, orgs, world), flows=CHOICES)
    trees.withhold_variables()
    _retrieve_into(trees.projects, selected_orgs, world, work)


def _retrieve_into(projects: Sequence[Project], orgs: Sequence[Org], world: World, work: StageWork) -> None:
    """Let the Salesforce CLI fetch all external client apps of the org into the projects.

    Raises `EcapipeError`: NotOneSource, RequiresProjectError, SfLoginMissing, and what the Salesforce CLI meets.
    """
    if len(orgs) != 1:
        raise EcapipeError(not_one_source(len(orgs)))
    username = _username(orgs[0], world)
    for project in projects:
        # The Salesforce CLI looks for its project above the folder it is started in: it would write elsewhere.
        if world.tree.project_above(project.root) != project.root:
            raise EcapipeError(requires_project_error(project.root))
        if project.unfit_api_version:
            raise EcapipeError(project.unfit_api_version)
        types = [type.name for type in metadata.TYPES]
        work.warnings += world.sf.retrieve(project.root, username, types, lambda text: work.note("hint", text))
    work.facts["retrievedFrom"] = username


def _username(org: Org, world: World) -> str:
    """Who the Salesforce CLI is logged in to `org` as; of several, the user that the org's alias names."""
    logins = [login for login in world.sf.logins() if login.host == org.host]
    if not logins:
        known = [login.instance_url for login in world.sf.logins()]
        raise EcapipeError(sf_login_missing(org.name, org.url, known))
    for login in logins:
        if org.alias in (*login.aliases, login.username):
            return login.username
    return logins[0].username
