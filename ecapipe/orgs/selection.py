"""Selection of the orgs of a run: from flags, org files, the project and the Salesforce CLI."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Literal, cast

from ecapipe.orgs.address import accept_address, read_url
from ecapipe.orgs.hosts import AllowedHosts, is_my_domain
from ecapipe.orgs.lookup import KnownLogin, Logins, ask_once, look_up
from ecapipe.orgs.org import NamedBy, Org
from ecapipe.orgs.org_file import OrgFile
from ecapipe.orgs.org_rows import OrgRow, RowMistake
from ecapipe.orgs.project_orgs import add_expected_ids, configured_row, join_sentences, misleading_alias
from ecapipe.problems.orgs import named_org_not_found_error, no_org_chosen, org_name_ambiguous, refused_host
from ecapipe.problems.problem import USAGE, EcapipeError, did_you_mean
from ecapipe.problems.project import schema_validation_error
from ecapipe.project.sfdx_project import Project

AppsIn = Callable[[str | None], Collection[str]]
"""Lists the names of the apps in an org's own tree, or, for None, in that of the run."""


@dataclass(frozen=True, slots=True)
class OrgSelection:
    """The orgs a user asks for, added up: ``--target-org`` values, those of a batch file, and `every` configured one.

    Without any: `default` (``SF_TARGET_ORG``). `given`: one org outright, instead of all others. `allowed` are hosts
    accepted besides Salesforce's; `username` is expected in every org.
    """

    names: tuple[str, ...] = ()
    default: str | None = None
    allowed: tuple[str, ...] = ()
    username: str | None = None
    given: Org | None = None
    batch: OrgFile | None = None
    every: bool = False

    @property
    def asked(self) -> bool:
        """Whether orgs are named at all, rather than left to defaults."""
        return bool(self.names or self.batch or self.every or self.given)


@dataclass(frozen=True, slots=True)
class SalesforceCliOrgs:
    """What is known of orgs besides their files: the Salesforce CLI's `logins`, its ``target-org`` (`default`) with
    who set it, and who wrote a batch `file`.

    The functions are called only when they are needed. `logins` raises `EcapipeError` where the Salesforce CLI cannot
    be asked. `holds` is whether a path (second) leads into the repository of a folder.
    """

    logins: Callable[[], Sequence[KnownLogin]] = tuple
    default: Callable[[], tuple[str, NamedBy] | None] = lambda: None
    file: Callable[[str], NamedBy] = lambda file: "tree"
    holds: Callable[[str, str], bool] = lambda root, path: True


def select(
    selection: OrgSelection,
    projects: Iterable[Project],
    context: SalesforceCliOrgs | None = None,
    apps_in: AppsIn | None = None,
    *,
    flows: tuple[str, ...] = (),
) -> tuple[Org, ...]:
    """The orgs of a selection. Those by name, in the batch file and configured add up; an org that is selected twice
    is one. Without any, the first that exists of: default, the Salesforce CLI's ``target-org``, the only configured
    org, ``sfdcLoginUrl``. An address that only the tree names is accepted where Salesforce alone answers.

    `flows` are the words that a description may have for ``flow``, by default none.
    `apps_in` raises `EcapipeError` for a tree that cannot be used; without it, ``apps`` and ``sourceDir`` are not
    checked. Raises `EcapipeError`: NoOrgChosen, MalformedBatchFile or SchemaValidationError with all mistakes,
    OrgNameAmbiguous, or as `choose`.
    """
    if selection.given:
        orgs = [selection.given]
    else:
        orgs = _OrgReader(selection, tuple(projects), context or SalesforceCliOrgs(), apps_in, flows).read()
    if selection.username:
        orgs = [replace(org, username=selection.username) for org in orgs]
    return tuple(dict.fromkeys(orgs))


@dataclass(frozen=True, slots=True)
class _RowOrg:
    """A row of the batch file, and the org that it describes."""

    row: OrgRow
    org: Org


class _OrgReader:
    """Reads the orgs of one run, and collects the mistakes in their descriptions.

    A name is looked for in the batch file, then in the project, then among addresses and the logins of the
    Salesforce CLI.
    """

    def __init__(
        self,
        selection: OrgSelection,
        projects: tuple[Project, ...],
        context: SalesforceCliOrgs,
        apps_in: AppsIn | None,
        flows: tuple[str, ...],
    ) -> None:
        self.selection, self.projects, self.apps_in, self.flows = selection, projects, apps_in, flows
        self.context = replace(context, logins=ask_once(context.logins), file=cache(context.file))
        self.rows: tuple[OrgRow, ...] = ()
        if selection.batch:
            self.rows = selection.batch.entries
        self.configured = {alias: project for project in projects for alias in project.orgs}
        self.by_alias: dict[str, list[Org]] = {row.alias: [] for row in self.rows if row.alias}
        self.hosts = AllowedHosts(selection.allowed, cache(lambda: frozenset(self.user_urls())))
        self.file_mistakes: list[RowMistake] = []
        self.project_mistakes: list[RowMistake] = []
        self.refusals: dict[str, EcapipeError] = {}

    def user_urls(self) -> Iterator[str]:
        """The addresses in the user's own words, which stay the user's where a tree repeats them."""
        words = [*self.selection.names]
        if not self.selection.asked and self.selection.default:
            words.append(self.selection.default)
        words += [row.url for row in self.rows if row.url and self.context.file(row.place.file) == "user"]
        yield from (url for word in words if (url := read_url(word, self.selection.allowed)))

    def read(self) -> list[Org]:
        """Every selected org; raises with all mistakes at once."""
        described = [_RowOrg(row, org) for row in self.rows if (org := self.org_of_row(row))]
        for each in described:
            if each.row.alias:
                self.by_alias[each.row.alias].append(each.org)
        if self.selection.asked:
            orgs = self.selected_orgs(described)
        else:
            orgs = self.default_orgs()
        self.refuse_overlaps(described)
        if self.selection.batch:
            self.selection.batch.require(self.file_mistakes)
        self.require_project()
        if not orgs:
            raise EcapipeError(no_org_chosen(sorted(self.configured)))
        # The ids come last: they would make a bare address look like an org that is described.
        return add_expected_ids(_merge(orgs), self.configured, self.hosts)

    def selected_orgs(self, described: Sequence[_RowOrg]) -> list[Org]:
        orgs = [org for name in self.selection.names for org in self.orgs_named(name, "user")]
        orgs += [each.org for each in described]
        if self.selection.every:
            orgs += [org for alias in self.configured for org in self.orgs_named(alias, "tree")]
        return orgs

    def default_orgs(self) -> list[Org]:
        """The orgs of a run that names none."""
        if self.selection.default:
            return self.default_org(self.selection.default, "user", source="SF_TARGET_ORG")
        if default := self.context.default():
            name, by = default
            return self.default_org(name, by, source="target-org of the Salesforce CLI")
        if len(self.configured) == 1:
            (alias,) = self.configured
            return self.orgs_named(alias, "tree")
        # A login host that all orgs share names none of them.
        urls = {each.login_url for each in self.projects if each.login_url and is_my_domain(each.login_url)}
        if self.configured or len(urls) != 1:
            raise EcapipeError(no_org_chosen(sorted(self.configured)))
        return [accept_address(urls.pop(), self.hosts, "tree")]

    def default_org(self, name: str, by: NamedBy, source: str) -> list[Org]:
        """The org of a default; errors say from which `source` its name comes, for nobody typed it."""
        try:
            return self.orgs_named(name, by)
        except EcapipeError as error:
            message = f"{error.problem.message} The org comes from {source}, not from a flag."
            raise EcapipeError(replace(error.problem, message=message)) from None

    def orgs_named(self, name: str, by: NamedBy) -> list[Org]:
        """The orgs that `name` stands for: several where rows describe one org for different apps, none where its
        description has mistakes."""
        if name in self.by_alias:
            return self.by_alias[name]
        if name not in self.configured:
            return [self.look_up(name, by)]
        org = self.accept(self.project_row(name), self.project_mistakes, "tree")
        return [each for each in (org,) if each]

    def look_up(self, name: str, by: NamedBy) -> Org:
        """The org of a name that neither the file nor the project describes; raises as `choose`."""
        known = [*self.configured, *(row.alias for row in self.rows if row.alias and row.url)]
        org = look_up(name, known, self.hosts, self.context.logins, by)
        # ALIAS=URL in a configuration of the tree.
        if org.paired_by == "tree" and (fault := misleading_alias(org.alias or "", org.url, self.selection.allowed)):
            raise EcapipeError(refused_host(name, f"it {fault.removesuffix('.')}"))
        return org

    def project_row(self, alias: str) -> OrgRow:
        """What the project says of `alias`."""
        project = self.configured[alias]
        row = configured_row(alias, project, self.project_mistakes, self.flows)
        return self.stay_in_repository(row, (project.root,), self.project_mistakes)

    def stay_in_repository(self, row: OrgRow, roots: Iterable[str], mistakes: list[RowMistake]) -> OrgRow:
        """The row of a tree, without a ``sourceDir`` that leaves the repositories of `roots`.

        A cloned tree could otherwise send secrets of the user's other projects to an org of its choice.
        """
        if row.source_dir is None or any(self.context.holds(root, row.source_dir) for root in roots):
            return row
        sentence = "leads outside the repository, which only you can allow: specify its target with --source-dir"
        mistakes.append(RowMistake(row.place, "sourceDir", f"{sentence}, or use an org file outside the repository."))
        return replace(row, source_dir=None, apps=())

    def org_of_row(self, row: OrgRow) -> Org | None:
        """The org of a row; one without a URL takes what the project, or the Salesforce CLI, says of its alias."""
        by = self.context.file(row.place.file)
        if by == "tree":
            # The file may be a link, so that the run's own projects count, too. A result may lie anywhere, and
            # speaks of the tree around the current folder.
            resumed = self.selection.batch is not None and self.selection.batch.resumed
            folder = "" if resumed else posixpath.dirname(row.place.file)
            roots = (folder, *(each.root for each in self.projects))
            row = self.stay_in_repository(row, roots, self.file_mistakes)
        if row.url or not row.alias:
            return self.accept(row, self.file_mistakes, by)
        if row.alias in self.configured:
            return self.org_of_project_alias(row, row.alias)
        return self.org_of_login_alias(row, row.alias, by)

    def org_of_project_alias(self, row: OrgRow, alias: str) -> Org | None:
        """The org that the project calls `alias`; of what the row says, too, the row's word counts."""
        earlier = len(self.project_mistakes)
        base = self.project_row(alias)
        if len(self.project_mistakes) > earlier:
            return None
        members = {each.name: getattr(row, each.name) for each in fields(row)}
        merged = replace(base, **{name: value for name, value in members.items() if value})
        # The address is the tree's, even if the row that asks for it is the user's.
        return self.accept(merged, self.file_mistakes, "tree")

    def org_of_login_alias(self, row: OrgRow, alias: str, by: NamedBy) -> Org | None:
        try:
            org = self.look_up(alias, by)
        except EcapipeError as error:
            hints = [each for each in error.problem.actions if each.startswith("Did you mean")]
            message = error.problem.message
            # What is wrong there is one cause of every alias that only the Salesforce CLI may know.
            if error.problem.kind is named_org_not_found_error and (failure := self.failure_of_logins()):
                message = f"The Salesforce CLI, which may know the alias, could not be queried: {failure}"
            sentence = f"{message} Add its My Domain URL in the column url."
            self.file_mistakes.append(RowMistake(row.place, "alias", " ".join((sentence, *hints))))
            return None
        row = replace(row, url=org.url, org_id=row.org_id or org.org_id, username=row.username or org.username)
        return self.accept(row, self.file_mistakes, org.paired_by)

    def failure_of_logins(self) -> str | None:
        """Why the logins of the Salesforce CLI are not known, if they are not."""
        try:
            self.context.logins()
        except EcapipeError as error:
            return error.problem.message
        return None

    def accept(self, row: OrgRow, mistakes: list[RowMistake], by: NamedBy) -> Org | None:
        """The org of a row, once its address, which `by` names, is accepted; what is wrong is added to `mistakes`."""
        self.check_apps(row, mistakes)
        if not row.url:
            # The reader of the file, or of the project, has reported that.
            return None
        try:
            org = accept_address(row.url, self.hosts, by, alias=row.alias)
        except EcapipeError as error:
            problem = error.problem
            mistakes.append(RowMistake(row.place, "url", f"cannot be used: {problem.message} {problem.actions[0]}"))
            if mistakes is self.project_mistakes:
                self.refusals[row.place.label] = error
            return None
        if by == "tree" and (fault := misleading_alias(row.alias or "", org.url, self.selection.allowed)):
            mistakes.append(RowMistake(row.place, None, fault))
            return None
        return _describe(org, row)

    def check_apps(self, row: OrgRow, mistakes: list[RowMistake]) -> None:
        """Add a mistake for each app of `row` that its tree does not have, or for a tree that cannot be used."""
        if self.apps_in is None or not (row.apps or row.source_dir):
            return
        try:
            known = sorted(self.apps_in(row.source_dir))
        except EcapipeError as error:
            # The tree of the run is no part of the row, so that nothing in the row would mend it.
            if row.source_dir is None:
                raise
            mistakes.append(RowMistake(row.place, "sourceDir", f"cannot be used: {error.problem.message}"))
            return
        for app in row.apps:
            if app not in known:
                hints = did_you_mean(app, known) or (f"Known: {', '.join(known[:20]) or 'none'}.",)
                mistakes.append(RowMistake(row.place, "apps", " ".join((f'has an unknown app "{app}".', *hints))))

    def refuse_overlaps(self, described: Sequence[_RowOrg]) -> None:
        """An app in an org is one login, so no two rows may describe it in two ways."""
        by_name: dict[str, list[_RowOrg]] = {}
        for each in described:
            earlier = by_name.setdefault(each.org.name, [])
            sentence = next((text for other in earlier if (text := _overlap(each.org, other))), None)
            if sentence is None:
                earlier.append(each)
                continue
            column = "alias" if each.row.alias else "url"
            self.file_mistakes.append(RowMistake(each.row.place, column, sentence))

    def require_project(self) -> None:
        """Raises `EcapipeError` for the mistakes in the project: a refused address alone as just that."""
        # One org can be read twice, by name and as one of all.
        mistakes = list(dict.fromkeys(self.project_mistakes))
        if len(mistakes) == len(self.refusals) == 1:
            raise next(iter(self.refusals.values()))
        if not mistakes:
            return
        problem = schema_validation_error("sfdx-project.json", join_sentences(mistakes))
        if self.refusals:
            problem = replace(problem, exit_code=USAGE)
        raise EcapipeError(problem)


def _overlap(org: Org, earlier: _RowOrg) -> str | None:
    """What is wrong with `org` beside an earlier one of the same name; None for the same org, or for other apps."""
    other, place = earlier.org, earlier.row.place.label
    if other.url != org.url:
        return f'the name "{org.name}" is already used for another org in {place}.'
    if other == org:
        return None
    if org.apps and other.apps and set(org.apps).isdisjoint(other.apps):
        return None
    return f"configures {org.name} for apps that {place} already configures."


def _merge(orgs: Sequence[Org]) -> list[Org]:
    """Each org once: one that is only an address, and described by another, is that one.

    Raises `EcapipeError` (OrgNameAmbiguous) where two orgs would be called the same.
    """
    described = {(alias, org.url) for org in orgs if org != _bare(org) for alias in (None, org.alias)}
    aliased = {org.url for org in orgs if org.alias}

    def redundant(org: Org) -> bool:
        if org != _bare(org):
            return False
        return (org.alias, org.url) in described or (org.alias is None and org.url in aliased)

    merged = [org for org in dict.fromkeys(orgs) if not redundant(org)]
    urls: dict[str, str] = {}
    for org in merged:
        # The name stands for the org in reports and in the names of variables.
        url = urls.setdefault(org.name, org.url)
        if url != org.url:
            raise EcapipeError(org_name_ambiguous(org.name, url, org.url))
    return merged


def _bare(org: Org) -> Org:
    """The address of `org`, and nothing else of it."""
    return Org(org.address, org.alias)


def choose(
    text: str, known: Mapping[str, Mapping[str, object]], allowed: Iterable[str], logins: Logins = tuple
) -> Org:
    """The org of a ``--target-org`` value: ALIAS, a URL or host, or ALIAS=URL.

    `known` are the orgs of ``plugins.ecapipe``, `allowed` hosts accepted besides Salesforce's, `logins` are asked for
    any other alias. Raises `EcapipeError`: NamedOrgNotFoundError, RefusedHost, LightningDomain,
    SchemaValidationError.
    """
    hosts = AllowedHosts(tuple(allowed))
    project = Project("", (), orgs=known)
    if text not in known:
        org = look_up(text, list(known), hosts, logins, "user")
        (org,) = add_expected_ids([org], dict.fromkeys(known, project), hosts)
        return org
    mistakes: list[RowMistake] = []
    row = configured_row(text, project, mistakes)
    if not mistakes:
        org = accept_address(row.url or "", hosts, "tree", alias=text)
        fault = misleading_alias(text, org.url, hosts.allowed)
        if fault is None:
            return _describe(org, row)
        mistakes.append(RowMistake(row.place, None, fault))
    raise EcapipeError(schema_validation_error("sfdx-project.json", join_sentences(mistakes)))


def _describe(org: Org, row: OrgRow) -> Org:
    # The reader of rows has checked the words of a choice, see `org_rows.CHOICES`.
    return replace(
        org,
        org_id=row.org_id,
        username=row.username,
        scopes=row.scopes,
        apps=row.apps,
        source_dir=row.source_dir,
        flow=row.flow,
        secret_env=row.secret_env,
        browser=row.browser,
        callback=cast(Literal["auto", "listen", "paste"] | None, row.callback),
    )
