"""Which orgs are meant: flags, org files, the project, the Salesforce CLI."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import PureWindowsPath
from typing import Final, Literal, Protocol, cast

from ecapipe.orgs import org_file
from ecapipe.orgs.address import accept_address, without_secrets
from ecapipe.orgs.hosts import AllowedHosts, accepted, is_my_domain
from ecapipe.orgs.org import NamedBy, Org
from ecapipe.orgs.org_file import OrgFile, OrgRow, RowMistake, RowPlace
from ecapipe.problems.orgs import named_org_not_found_error, no_org_chosen, org_name_ambiguous, refused_host
from ecapipe.problems.problem import USAGE, EcapipeError, did_you_mean
from ecapipe.problems.project import schema_validation_error
from ecapipe.project.apps import Flow
from ecapipe.project.sfdx_project import Project

_USERNAME: Final = re.compile(r"[^@\s:/?#\\]+@[^@\s:/?#\\]+\.[^@\s:/?#\\]+")


@dataclass(frozen=True, slots=True)
class OrgSelection:
    """The orgs a user asks for, added up: ``--target-org`` values, those of a batch file, and `every` configured one.

    Without any: `default` (``SF_TARGET_ORG``). `given`: one outright, instead of all others. `allowed` are hosts
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


class KnownLogin(Protocol):
    """An org that the Salesforce CLI is logged in to."""

    @property
    def aliases(self) -> Sequence[str]: ...
    @property
    def username(self) -> str: ...
    @property
    def org_id(self) -> str: ...
    @property
    def instance_url(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SalesforceCliOrgs:
    """What others know of orgs, each asked only when it is needed: the Salesforce CLI's logins, and its
    ``target-org`` with who set it; `file` is whose word the batch file is. `logins` raises `EcapipeError` where the
    Salesforce CLI cannot be asked. `held` tells whether what a path leads to lies in the repository of the batch file
    (None), or of a project's root."""

    logins: Callable[[], Sequence[KnownLogin]] = tuple
    default: Callable[[], tuple[str, NamedBy] | None] = lambda: None
    file: NamedBy = "tree"
    held: Callable[[str | None, str], bool] = lambda root, path: True


def select(
    which: OrgSelection,
    projects: Iterable[Project],
    elsewhere: SalesforceCliOrgs | None = None,
    apps_in: Callable[[str | None], Collection[str]] | None = None,
) -> tuple[Org, ...]:
    """The orgs meant. Asked for: by name, in the batch file, every configured one; they add up, and an org that is
    asked for twice is one. Else the first there is of: default, the Salesforce CLI's ``target-org``, the only
    configured one, ``sfdcLoginUrl``. An address that only the tree gives is accepted where Salesforce alone answers.

    `apps_in` gives the names of the apps in an org's own tree (or, for None, in the run's) and raises `EcapipeError`
    for a tree that cannot be used; without it, ``apps`` and ``sourceDir`` are not judged. Raises `EcapipeError`:
    NoOrgChosen, MalformedBatchFile or SchemaValidationError with all mistakes, OrgNameAmbiguous, or as `choose`.
    """
    chosen = (
        [which.given]
        if which.given
        else _OrgReader(which, tuple(projects), elsewhere or SalesforceCliOrgs(), apps_in).read()
    )
    if which.username:
        chosen = [replace(org, username=which.username) for org in chosen]
    return tuple(dict.fromkeys(chosen))


class _OrgReader:
    """The orgs that one run can name: those of the batch file, of the project, of the Salesforce CLI."""

    def __init__(
        self,
        which: OrgSelection,
        projects: tuple[Project, ...],
        elsewhere: SalesforceCliOrgs,
        apps_in: Callable[[str | None], Collection[str]] | None,
    ) -> None:
        self.which, self.projects, self.apps_in = which, projects, apps_in
        self.elsewhere = replace(elsewhere, logins=_asked_once(elsewhere.logins))
        self.entries = which.batch.entries if which.batch else ()
        self.configured = {alias: project for project in projects for alias in project.orgs}
        self.hosts = AllowedHosts(which.allowed, frozenset(self.given()))
        self.in_file: list[RowMistake] = []
        self.in_project: list[RowMistake] = []
        self.refused: dict[str, EcapipeError] = {}

    def given(self) -> Iterator[str]:
        """The addresses in the user's own words: what a tree says of the same address, the user says, too."""
        words = [*self.which.names] if self.which.asked else [self.which.default or ""]
        words += [entry.url or "" for entry in self.entries if self.elsewhere.file == "user"]
        yield from (url for word in words if (url := _read(word, self.which.allowed)))

    def read(self) -> list[Org]:
        """Everything asked for; raises with all mistakes at once."""
        rows = [(entry, self.row(entry)) for entry in self.entries]
        by_alias: dict[str, list[Org]] = {}
        for entry, org in rows:
            if entry.alias:
                by_alias.setdefault(entry.alias, []).extend([org] if org else [])

        def named(alias: str, by: NamedBy) -> list[Org]:
            if alias in by_alias:
                return by_alias[alias]
            return self.of_project(alias) if alias in self.configured else [self.elsewhere_or_address(alias, by)]

        chosen = [org for name in self.which.names for org in named(name, "user")]
        chosen += [org for _, org in rows if org]
        chosen += [org for alias in self.configured if self.which.every for org in named(alias, "tree")]
        if not self.which.asked:
            chosen = self.by_default(named)
        self.refuse_overlaps([(entry, org) for entry, org in rows if org])
        if self.which.batch:
            self.which.batch.require(self.in_file)
        self.require_project()
        if not chosen:
            raise EcapipeError(no_org_chosen(sorted(self.configured)))
        return _recognised(_once(chosen), self.configured, self.hosts)

    def require_project(self) -> None:
        """Raises `EcapipeError` for the mistakes in the project: a refused address alone as just that."""
        mistakes = list(dict.fromkeys(self.in_project))
        if len(mistakes) == len(self.refused) == 1:
            raise next(iter(self.refused.values()))
        if mistakes:
            problem = schema_validation_error("sfdx-project.json", _sentences(mistakes))
            raise EcapipeError(replace(problem, exit_code=USAGE) if self.refused else problem)

    def by_default(self, named: Callable[[str, NamedBy], list[Org]]) -> list[Org]:
        ours: tuple[str, NamedBy] | None = (self.which.default, "user") if self.which.default else None
        if default := ours or self.elsewhere.default():
            try:
                return named(*default)
            except EcapipeError as error:
                source = "SF_TARGET_ORG" if self.which.default else "target-org of the Salesforce CLI"
                message = f"{error.problem.message} It was not chosen with a flag, but is {source}."
                raise EcapipeError(replace(error.problem, message=message)) from None
        if len(self.configured) == 1:
            return [org for alias in self.configured for org in named(alias, "tree")]
        urls = {each.login_url for each in self.projects if each.login_url and is_my_domain(each.login_url)}
        if self.configured or len(urls) != 1:
            raise EcapipeError(no_org_chosen(sorted(self.configured)))
        return [accept_address(urls.pop(), self.hosts, "tree")]

    def of_project(self, alias: str) -> list[Org]:
        entry = self.own(alias)
        return [org] if (org := self.judge(entry, self.in_project, "tree")) else []

    def own(self, alias: str) -> OrgRow:
        """What the project says under `alias`."""
        project = self.configured[alias]
        return self.within(_configured(alias, project, self.in_project), project.root, self.in_project)

    def within(self, entry: OrgRow, root: str | None, mistakes: list[RowMistake]) -> OrgRow:
        """An entry of a tree without a ``sourceDir`` that leaves the repository of `root`, as `Elsewhere.held`."""
        if entry.source_dir is None or self.elsewhere.held(root, entry.source_dir):
            return entry
        sentence = "leads out of the repository, where only you may send ecapipe: name its target with -d"
        mistakes.append(
            RowMistake(entry.place, "sourceDir", f"{sentence}, or use an org file outside of the repository.")
        )
        return replace(entry, source_dir=None, apps=())

    def row(self, entry: OrgRow) -> Org | None:
        """The org of a row; one without a URL takes what the project, or the Salesforce CLI, says of its alias."""
        if self.elsewhere.file == "tree":
            entry = self.within(entry, None, self.in_file)
        alias, by = entry.alias or "", self.elsewhere.file
        if not entry.url and alias in self.configured:
            by = "tree"
            found = len(self.in_project)
            base = self.own(alias)
            if len(self.in_project) > found:
                return None
            own = {each.name: getattr(entry, each.name) for each in fields(entry)}
            entry = replace(base, **{name: value for name, value in own.items() if value})
        elif not entry.url and alias:
            try:
                org = self.elsewhere_or_address(alias, by)
            except EcapipeError as error:
                hints = [each for each in error.problem.actions if each.startswith("Did you mean")]
                sentence = f"{error.problem.message} Give its My Domain URL in the column url."
                self.in_file.append(RowMistake(entry.place, "alias", " ".join((sentence, *hints))))
                return None
            by = org.paired_by
            entry = replace(
                entry, url=org.url, org_id=entry.org_id or org.org_id, username=entry.username or org.username
            )
        return self.judge(entry, self.in_file, by)

    def judge(self, entry: OrgRow, mistakes: list[RowMistake], by: NamedBy) -> Org | None:
        """The org of an entry, once its address, which is the word of `by`, is accepted and its apps are there."""
        self.judge_apps(entry, mistakes)
        if not entry.url:
            return None  # said already
        try:
            org = accept_address(entry.url, self.hosts, by, alias=entry.alias)
        except EcapipeError as error:
            problem = error.problem
            mistakes.append(RowMistake(entry.place, "url", f"cannot be used: {problem.message} {problem.actions[0]}"))
            if mistakes is self.in_project:
                self.refused[entry.place.label] = error
            return None
        if by == "tree" and (mistake := _misnamed(entry, org.url, self.which.allowed)):
            mistakes.append(mistake)
            return None
        return _described(org, entry)

    def judge_apps(self, entry: OrgRow, mistakes: list[RowMistake]) -> None:
        if self.apps_in is None or not (entry.apps or entry.source_dir):
            return
        try:
            known = sorted(self.apps_in(entry.source_dir))
        except EcapipeError as error:
            if entry.source_dir is None:
                raise
            mistakes.append(RowMistake(entry.place, "sourceDir", f"cannot be used: {error.problem.message}"))
            return
        for app in entry.apps:
            if app not in known:
                hints = did_you_mean(app, known) or (f"Known: {', '.join(known[:20]) or 'none'}.",)
                mistakes.append(RowMistake(entry.place, "apps", " ".join((f'names no app "{app}".', *hints))))

    def refuse_overlaps(self, rows: Sequence[tuple[OrgRow, Org]]) -> None:
        """An app in an org is one login, so no two rows may describe it in two ways."""
        first: dict[str, list[tuple[OrgRow, Org]]] = {}
        for entry, org in rows:
            for earlier, other in first.setdefault(org.name, []):
                if other.url != org.url:
                    sentence = f'the name "{org.name}" is that of another org in {earlier.place.label}.'
                elif other == org or (org.apps and other.apps and not set(org.apps) & set(other.apps)):
                    continue
                else:
                    sentence = f"describes {org.name} for apps that {earlier.place.label} describes, too."
                self.in_file.append(RowMistake(entry.place, "alias" if entry.alias else "url", sentence))
                break
            else:
                first[org.name].append((entry, org))

    def elsewhere_or_address(self, text: str, by: NamedBy) -> Org:
        """The org of a name that neither the file nor the project knows; raises as `choose`."""
        known = [*self.configured, *(entry.alias for entry in self.entries if entry.alias and entry.url)]
        return _elsewhere_or_address(text, known, self.hosts, self.elsewhere.logins, by)


def _asked_once(logins: Callable[[], Sequence[KnownLogin]]) -> Callable[[], Sequence[KnownLogin]]:
    """The same; what came of it, be it a failure, counts for every name."""
    told: list[Sequence[KnownLogin] | EcapipeError] = []

    def ask() -> Sequence[KnownLogin]:
        if not told:
            try:
                told.append(logins())
            except EcapipeError as error:
                told.append(error)
        if isinstance(told[0], EcapipeError):
            raise told[0]
        return told[0]

    return ask


def _once(chosen: Sequence[Org]) -> list[Org]:
    """Each org once: one that is only an address, and described elsewhere, is that one.

    Raises `EcapipeError` (OrgNameAmbiguous) where two orgs would be called the same.
    """
    described = {(alias, org.url) for org in chosen if org != _bare(org) for alias in (None, org.alias)}
    aliased = {org.url for org in chosen if org.alias}
    kept = [
        org
        for org in dict.fromkeys(chosen)
        if org != _bare(org) or not ((org.alias, org.url) in described or (org.alias is None and org.url in aliased))
    ]
    named: dict[str, str] = {}
    for org in kept:
        url = named.setdefault(org.name, org.url)
        if url != org.url:
            raise EcapipeError(org_name_ambiguous(org.name, url, org.url))
    return kept


def _bare(org: Org) -> Org:
    """The address of `org`, and nothing else of it."""
    return Org(org.url, org.host, org.alias)


def choose(text: str, known: Mapping[str, Mapping[str, object]], allowed: Iterable[str]) -> Org:
    """The org meant by a ``--target-org`` value: ALIAS, a URL or host, or ALIAS=URL.

    `known` are the orgs of ``plugins.ecapipe``, `allowed` hosts accepted besides Salesforce's. Raises
    `EcapipeError`: NamedOrgNotFoundError, RefusedHost, LightningDomain, SchemaValidationError.
    """
    hosts = AllowedHosts(tuple(allowed))
    if text not in known:
        found = _elsewhere_or_address(text, list(known), hosts, tuple, "user")
        return _recognised([found], dict.fromkeys(known, Project("", (), orgs=known)), hosts)[0]
    mistakes: list[RowMistake] = []
    entry = _configured(text, Project("", (), orgs=known), mistakes)
    org = None if mistakes else accept_address(entry.url or "", hosts, "tree", alias=text)
    if org and (mistake := _misnamed(entry, org.url, hosts.allowed)):
        mistakes.append(mistake)
    if org is None or mistakes:
        raise EcapipeError(schema_validation_error("sfdx-project.json", _sentences(mistakes)))
    return _described(org, entry)


def _elsewhere_or_address(
    text: str, known: Sequence[str], hosts: AllowedHosts, logins: Callable[[], Sequence[KnownLogin]], by: NamedBy
) -> Org:
    alias, equals, url = text.partition("=")
    if equals and "/" not in alias and ":" not in alias:
        if not alias or not url:
            raise EcapipeError(refused_host(without_secrets(text), "both sides of ALIAS=URL are needed"))
        return accept_address(url, hosts, by, alias=alias)
    username = _USERNAME.fullmatch(text) is not None
    refused: EcapipeError | None = None
    if not username and ("." in text or ":" in text or text.lower() == "localhost"):
        try:
            return accept_address(text, hosts, by)
        except EcapipeError as error:
            if ":" in text or "/" in text or error.problem.name != "RefusedHost":
                raise
            refused = error  # still, an alias may have a dot in it
    try:
        asked, reason = tuple(logins()), None
    except EcapipeError as error:
        asked, reason = (), error.problem.message
    for login in asked:
        if text == login.username or text in login.aliases:
            alias = text if text in login.aliases else next(iter(login.aliases), "")
            org = accept_address(login.instance_url, hosts, "salesforceCli", alias=alias or None)
            return replace(org, org_id=login.org_id, username=login.username if text == login.username else None)
    if refused:
        raise refused
    names = {*known, *(name for login in asked for name in (login.username, *login.aliases))}
    raise EcapipeError(named_org_not_found_error(text, sorted(names), reason))


def _configured(alias: str, project: Project, mistakes: list[RowMistake]) -> OrgRow:
    """What ``plugins.ecapipe.orgs`` says under `alias`; what is wrong with it is added to `mistakes`."""
    place, members = RowPlace(f"plugins.ecapipe.orgs.{alias}", "."), project.orgs[alias]
    found = len(mistakes)
    read = org_file.entry(place, members, "", mistakes)
    if "alias" in members:
        mistakes.append(RowMistake(place, "alias", "is not known: the name of the member is the alias."))
    if not read.url and not any(mistake.column == "url" for mistake in mistakes[found:]):
        mistakes.append(RowMistake(place, "url", "is missing."))
    if read.source_dir is None:
        return replace(read, alias=alias)
    inside = posixpath.normpath(read.source_dir)
    if inside.startswith("/") or inside == ".." or inside.startswith("../") or PureWindowsPath(inside).drive:
        mistakes.append(RowMistake(place, "sourceDir", "must be a path inside the project."))
        return replace(read, alias=alias, source_dir=None)
    return replace(read, alias=alias, source_dir=posixpath.join(project.root, inside))


def _recognised(chosen: Iterable[Org], configured: Mapping[str, Project], hosts: AllowedHosts) -> list[Org]:
    """The orgs, each with the id that the project expects at its address, whatever it was called: a configured org is
    known by its URL, too. Where several ids are said to be at an address, none is."""
    ids: dict[str, dict[str, str]] = {}
    for alias, project in configured.items():
        entry = _configured(alias, project, [])
        if entry.org_id and (url := _read(entry.url or "", hosts.allowed)):
            ids.setdefault(url, {})[entry.org_id[:15]] = entry.org_id

    def known(org: Org) -> str | None:
        there = list(ids.get(org.url, {}).values())
        return there[0] if len(there) == 1 else None

    return [replace(org, org_id=org.org_id or known(org)) for org in chosen]


def _sentences(mistakes: Iterable[RowMistake]) -> str:
    return "; ".join(str(mistake).removesuffix(".") for mistake in mistakes)


def _described(org: Org, entry: OrgRow) -> Org:
    return replace(
        org,
        org_id=entry.org_id,
        username=entry.username,
        scopes=entry.scopes,
        apps=entry.apps,
        source_dir=entry.source_dir,
        flow=cast(Literal["auto"] | Flow | None, entry.flow),
        secret_env=entry.secret_env,
        browser=entry.browser,
        callback=cast(Literal["auto", "listen", "paste"] | None, entry.callback),
    )


def _read(word: str, allowed: tuple[str, ...]) -> str | None:
    """The URL that a word stands for when it is read as ALIAS=URL or as an address; None for what is a name."""
    if not re.search("[.:=]", word):
        return None
    try:
        return accept_address(word.partition("=")[2] or word, AllowedHosts(allowed), "user").url
    except EcapipeError:
        return None


def _misnamed(entry: OrgRow, url: str, allowed: tuple[str, ...]) -> RowMistake | None:
    """What is wrong with the name that a tree gives to the org at `url`: whoever types it means something else, an
    address or a username. The org's own address is fine, and so is a dot in what is no host of Salesforce."""
    name = entry.alias or ""
    if not re.search(r"[.:/@=?#%\\]", name) and name.strip().lower() != "localhost":
        return None
    try:
        meant = accept_address(name.partition("=")[2] or name, AllowedHosts(allowed), "user").url
    except EcapipeError as error:
        plain = re.fullmatch(r"[\w .-]+", name) and not accepted(name.strip().rstrip("."))
        if plain and error.problem.name == "RefusedHost":
            return None
        return RowMistake(entry.place, None, "has an address or a username as its name: give it a plain alias.")
    if meant == url:
        return None
    return RowMistake(entry.place, None, f"has the address of another org as its name: {meant}.")
