"""A check from beginning to end: the apps, the evidence, the rules, and which findings are new."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ecapipe.check import baseline, committed_config, evidence, listing, revision
from ecapipe.check.baseline import AcceptedFinding
from ecapipe.check.committed_config import CommittedConfig
from ecapipe.check.evidence import EvidenceCollector, Target
from ecapipe.check.findings import NOT_EXAMINED, USING, Finding
from ecapipe.check.git import GitRefused
from ecapipe.check.options import CheckOptions as CheckOptions
from ecapipe.check.ports import CheckAccess
from ecapipe.check.rules import registry
from ecapipe.check.rules.registry import RULES
from ecapipe.check.rules.subject import Evidence, Remark
from ecapipe.credentials import resolution
from ecapipe.credentials.resolution import Credentials, Resolution
from ecapipe.credentials.sources import Scope
from ecapipe.events import AppFacts
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.orgs.lookup import KnownLogin
from ecapipe.orgs.org import Org
from ecapipe.orgs.selection import choose as choose_org
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import baseline_not_configured
from ecapipe.project.apps import App
from ecapipe.project.discovery import (
    Discovery,
    ProjectSelection,
    configured_trees,
    discover,
    projects,
    require_apps,
    reserved,
    withhold_variables,
)
from ecapipe.project.search import lies_in
from ecapipe.project.sfdx_project import Project
from ecapipe.secret import Secret


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of a check.

    `notices` are sentences about the check itself, `rules` those that were applied to some project, whether they
    found something or not.
    """

    found: Discovery
    apps: tuple[AppFacts, ...]
    findings: tuple[Finding, ...]
    notices: tuple[str, ...]
    rules: frozenset[str]


def inspect(selection: ProjectSelection, options: CheckOptions, world: CheckAccess) -> CheckResult:
    """Find the apps, gather the evidence, apply the rules, compare with the baseline.

    Raises `EcapipeError` as `discover` and `require_apps` do, and for a revision, a target or a baseline that cannot
    be used, and for git where it is needed and cannot be asked; before a deploy or a commit a refusal of git is a
    finding, for every report to tell.
    """
    is_named = bool(selection.directories or selection.metadata_dirs)
    if options.purpose != "login" and not is_named:
        selection = replace(selection, directories=_directories_here(options, world))
    try:
        return _inspect(selection, options, world, is_hook=options.purpose == "commit" and not is_named)
    except GitRefused as refusal:
        return _refused(selection, options, world, refusal)


def _directories_here(options: CheckOptions, world: CheckAccess) -> tuple[str, ...]:
    """What a hook, or a job before a deploy, looks at where nobody names it. It is for every folder: it has no
    objection to one without a project, and a commit may be one of several projects below."""
    here = world.tree.resolve(".")
    if options.purpose == "commit" and here and world.tree.project_above(here) is None:
        return tuple(world.tree.projects_below(here)) or (".",)
    return (".",)


def _inspect(selection: ProjectSelection, options: CheckOptions, world: CheckAccess, *, is_hook: bool) -> CheckResult:
    """`is_hook`: a commit is checked, and nobody says in which folder."""
    view = world.staged() if options.staged else world
    discovery = discover(selection, view)
    on_disk = _apps_on_disk(selection, options, discovery, world)
    # A file that cannot be read is a finding, even where it was the only one.
    if options.purpose == "login" and not discovery.unreadable:
        require_apps(replace(discovery, apps=(*discovery.apps, *on_disk)))
    configs: dict[str, CommittedConfig] = {}
    if options.config_from is not None:
        starts = [view.tree.resolve(each) for each in selection.directories or (".",)]
        for each in discovery.projects:
            named = [start for start in starts if start and view.tree.project_above(start) == each.root]
            configs[each.root] = committed_config.read(options.config_from, each, named, view)
        discovery = replace(discovery, projects=tuple(each.project for each in configs.values()))
    org = _target_org(selection, options, discovery.projects, world)
    target: Target | None = None
    if org:
        target = Target(org)
    elif options.purpose == "deploy":
        # A deploy has a target, even where nobody knows its id.
        target = Target()
    chain = view.chain(Scope(discovery.apps, orgs=(org,) if org else (), known=discovery.known))
    all_apps = discovery.apps
    if options.since is not None:
        discovery = revision.changed_since(options.since, discovery, view)
    resolutions = [resolution.resolve(app, org, chain, allowed_flows) for app in discovery.apps]
    findings, applied = list[Finding](), set[str]()
    # What was not read is a finding.
    unread = {problem.text for _, problem in discovery.unread}
    notices = [notice for notice in discovery.notices if notice not in unread]
    if options.purpose in USING:
        notices += listing.doubts_of_variables(discovery, resolutions, world)
    roots = [project.root for project in discovery.projects]
    for project in discovery.projects:
        check = _ProjectCheck(project, options, view, configs.get(project.root))
        # One of them answers for what is in none.
        check.others = roots[1:] if is_hook and project.root == roots[0] else None
        # A hook of a repository within the project starts there.
        check.within = view.tree.target(".") if is_hook and not (discovery.whole or selection.names) else None
        # Apps that have not changed may have the key of one that has.
        keys = evidence.consumer_keys(app for app in all_apps if app.project == project.root)
        secrets = evidence.consumer_secrets(app for app in on_disk if app.project == project.root)
        findings += check.findings(discovery, resolutions, target, keys=keys, secrets=secrets)
        notices += check.notices
        applied |= check.applied_rules()
    targets = (target.org_id,) if target and target.org_id else ()
    facts = [listing.describe(app, each, targets) for app, each in zip(discovery.apps, resolutions, strict=True)]
    return CheckResult(
        found=discovery,
        apps=tuple(facts),
        findings=tuple(findings),
        notices=tuple(notices),
        rules=frozenset(applied),
    )


def _refused(
    selection: ProjectSelection, options: CheckOptions, world: CheckAccess, refusal: GitRefused
) -> CheckResult:
    """Where git refuses what alone was to be looked at; raises `refusal` unless it is found to be an error."""
    remark = Remark(refusal.problem.message, refusal.problem.actions, file=None, line=None, element="git 1")
    found = Discovery(projects(selection, world), (), ())
    findings = list[Finding]()
    for project in found.projects:
        evidence = Evidence(project.root, options.purpose, project.namespace, unexamined=(remark,))
        findings += registry.check((), (), evidence, registry.parse_levels(project.rules))
    if not any(finding.level == "error" for finding in findings):
        raise refusal
    return CheckResult(found, apps=(), findings=tuple(findings), notices=(), rules=frozenset({NOT_EXAMINED}))


class _ProjectCheck:
    """The check of one project, by its own configuration or a committed one."""

    def __init__(
        self, project: Project, options: CheckOptions, world: CheckAccess, config: CommittedConfig | None
    ) -> None:
        self.project, self.options, self.world, self.config = project, options, world, config
        self.root = project.root
        self.levels = registry.parse_levels(project.rules)
        self.active = registry.active(options.purpose, self.levels)
        self.notices: list[str] = []
        self.has_git_facts = False
        self.others: Sequence[str] | None = None
        self.within: str | None = None
        """The other projects of the repository, if this one answers for all that is in none of them."""

    def findings(
        self,
        discovery: Discovery,
        resolutions: Sequence[Resolution],
        target: Target | None,
        *,
        keys: Mapping[str, tuple[str, ...]],
        secrets: Sequence[tuple[str, Secret]],
    ) -> list[Finding]:
        """The findings of all rules, those in the baseline marked as accepted.

        `keys` and `secrets`, as `EvidenceCollector` takes them, are those of all the project's apps.
        """
        # Before anything slow: a baseline that cannot be used ends the check.
        accepted = self.read_baseline()
        pairs = [pair for pair in zip(discovery.apps, resolutions, strict=True) if pair[0].project == self.root]
        apps, resolved = [app for app, _ in pairs], [each for _, each in pairs]
        collector = EvidenceCollector(
            self.project,
            self.options,
            self.world,
            active=self.active.keys(),
            keys=keys,
            secrets=[*secrets, *_login_secrets(resolved)],
        )
        failures = (*discovery.failures, *discovery.unread)
        unreadable = [problem for root, problem in failures if root == self.root]
        connected_apps = [path for root, path in discovery.connected_apps if root == self.root]
        is_whole = discovery.whole and self.options.since is None
        problems = [*unreadable, *reserved((self.project,), ())]
        elsewhere = self.answers_for if is_whole or (self.within and self.options.since is None) else None
        facts = collector.collect(apps, target, problems, connected_apps, elsewhere)
        self.notices += collector.notices
        self.has_git_facts = collector.has_git_facts
        if self.config:
            changed = tuple(self.config.changed(self.world.tree))
            facts = replace(facts, config_commit=self.config.revision, changed_config=changed)
            facts = replace(facts, unlisted=self.config.unlisted(self.world.tree))
        findings = registry.check(apps, resolved, facts, self.levels)
        names = {app.name for app in apps}
        examined = self.examined_entries(names, is_incomplete=bool(facts.unexamined), is_whole=is_whole)
        return self.accept(findings, accepted, examined)

    def answers_for(self, path: str) -> bool:
        """Whether a file of the repository, by its absolute path, is this project's to answer for."""
        if self.within:
            return lies_in(path, self.within)
        if self.others is None:
            return lies_in(path, self.root)
        return not any(lies_in(path, root) for root in self.others)

    def applied_rules(self) -> set[str]:
        return {rule for rule in self.active if self.applies(rule)}

    def applies(self, rule: str) -> bool:
        """Whether the rule was applied: it is not silent, and git, if it needs git, was asked."""
        if rule not in self.active:
            return False
        needs = RULES[rule].needs
        if needs & evidence.FROM_GIT and not self.has_git_facts:
            return False
        if "changed_config" in needs and not self.config:
            return False
        return "history" not in needs or self.options.history

    def examined_entries(
        self, names: Collection[str | None], *, is_incomplete: bool, is_whole: bool
    ) -> Callable[[AcceptedFinding], bool]:
        """Whether this check would have found again what an entry of the baseline accepts.

        `names` are those of the apps that were checked, `is_whole`: all that the project has; `is_incomplete`: git
        refused an answer.
        """

        def examined(entry: AcceptedFinding) -> bool:
            if not self.applies(entry.rule):
                return False
            needs = RULES[entry.rule].needs
            if is_incomplete and needs & evidence.WITH_GIT:
                return False
            # A rule about two apps says nothing unless both were looked at.
            return is_whole or (entry.app in names and "keys" not in needs)

        return examined

    def accept(
        self,
        findings: Sequence[Finding],
        accepted: Sequence[AcceptedFinding],
        examined: Callable[[AcceptedFinding], bool],
    ) -> list[Finding]:
        """The findings, those in the baseline marked as accepted; writes the baseline if it is to be updated."""
        path = self.project.baseline
        if self.options.update and path:
            accepted = baseline.updated(accepted, findings, examined)
            self.world.write(self.root, path, baseline.render(accepted).encode())
        for entry in baseline.obsolete(accepted, findings, examined):
            self.notices.append(
                f"{path} accepts {entry.rule} in {entry.file or 'no file'}, which is no longer "
                "found. Remove it with --update-baseline."
            )
        return baseline.accept(findings, accepted)

    def read_baseline(self) -> tuple[AcceptedFinding, ...]:
        """The accepted findings; raises `EcapipeError` if they are to be written, and the project names no file."""
        name = self.project.baseline
        if name is None:
            if self.options.update:
                raise EcapipeError(baseline_not_configured(self.root))
            return ()
        if self.config:
            content, notice = self.config.baseline, f"The baseline {name} doesn't exist at {self.config.revision}."
        else:
            content = committed_config.read_tree(self.world.tree, self.project, name, baseline.LARGEST)
            notice = f"The baseline {name} doesn't exist. Create it with --update-baseline."
        if content is None:
            if not self.options.update:
                self.notices.append(notice)
            return ()
        return baseline.parse(content.decode("utf-8", "replace"), name)


def _apps_on_disk(
    selection: ProjectSelection, options: CheckOptions, discovery: Discovery, world: CheckAccess
) -> tuple[App, ...]:
    """The apps on the disk: those of `discovery`, unless the index is checked.

    A secret that git ignores stands only there, and must not be staged in another file. And it is no mistake
    if git tracks none of the apps.
    """
    if not options.staged:
        return discovery.apps
    return discover(replace(selection, names=()), world).apps


def _target_org(
    selection: ProjectSelection, options: CheckOptions, projects: Sequence[Project], world: CheckAccess
) -> Org | None:
    """The org that the apps are for, if one is named."""
    if options.target is None:
        return None
    orgs = {alias: members for project in projects for alias, members in project.orgs.items()}

    def logins() -> Sequence[KnownLogin]:
        for tree in configured_trees(projects):
            withhold_variables(tree, selection.trusted, world)
        return world.sf.logins()

    return choose_org(options.target, orgs, options.allowed, logins)


def _login_secrets(resolutions: Iterable[Resolution]) -> list[tuple[str, Secret]]:
    """The consumer secrets that a login would use, from every source."""
    ready = [each.outcome for each in resolutions if isinstance(each.outcome, Credentials)]
    return [(each.app.name, each.consumer_secret) for each in ready if each.consumer_secret]
