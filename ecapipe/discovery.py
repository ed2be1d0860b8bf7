"""From what a user points at to the external client apps that lie there."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ecapipe import apps, credentials, metadata, problems, project
from ecapipe.apps import App, SourceFile
from ecapipe.credentials import Chain, Evidence, Resolved
from ecapipe.events import AppFacts, CredentialFacts, ProjectFacts
from ecapipe.orgs import Org
from ecapipe.problems import EcapipeError, Problem
from ecapipe.project import Project
from ecapipe.stages import Skip, Work
from ecapipe.world import Tree


@dataclass(frozen=True, slots=True)
class Where:
    """What the user points at: folders (none: the current one), app names (none: all), and whether the
    project's own settings for ecapipe are trusted."""

    directories: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found. `unreadable` holds a problem for every metadata file that belongs to no app for that."""

    projects: tuple[Project, ...]
    apps: tuple[App, ...]
    unreadable: tuple[Problem, ...]

    def api_version(self, app: App) -> str:
        """The API version that the app's project is written for."""
        return next(found.api_version for found in self.projects if found.root == app.project)

    @property
    def facts(self) -> tuple[ProjectFacts, ...]:
        return tuple(ProjectFacts(found.root, found.package_directories) for found in self.projects)


def discover(where: Where, tree: Tree) -> Discovery:
    """Find the apps that `where` means.

    Raises `EcapipeError` for everything that keeps the project from being read, and UnknownApp. A file that
    cannot be read is no error here: it is listed in `unreadable`.
    """
    searches: dict[str, tuple[Project, tuple[str, ...] | None]] = {}
    for directory in where.directories or (".",):
        found, within = _search(directory, bool(where.directories), where.trusted, tree)
        searches[found.root] = _merge(searches.get(found.root), found, within)
    chosen: list[App] = []
    unreadable: list[Problem] = []
    for found, within in searches.values():
        assembled, broken = _read(found, tree)
        chosen += [app for app in assembled if within is None or _touches(app, within)]
        unreadable += [problem for problem in broken if within is None or _under(problem.file or "", within)]
    _refuse_unknown(where.names, chosen)
    named = [app for app in chosen if not where.names or app.name in where.names]
    return Discovery(tuple(found for found, _ in searches.values()), tuple(named), tuple(unreadable))


def facts(app: App, resolved: Resolved) -> AppFacts:
    """The app as reports show it."""
    return AppFacts(
        app.name,
        app.project,
        app.settings.path if app.settings else None,
        tuple(file.path for file in app.files),
        app.distribution,
        app.credentials_of,
        app.linked_org,
        app.callback_urls,
        app.flows,
        _credential(resolved.key),
        _credential(resolved.secret, required=not app.secret_optional),
    )


def require_apps(found: Discovery) -> None:
    """Raises `EcapipeError` when there is no app: what made a file unreadable, else NoAppsFound."""
    if not found.apps:
        if found.unreadable:
            raise EcapipeError(found.unreadable[0])
        folders = [(each.root, path) for each in found.projects for path in each.package_directories]
        raise EcapipeError(problems.no_apps_found([posixpath.normpath(posixpath.join(*pair)) for pair in folders]))


def locate(app: App, *, named: bool, orgs: Sequence[Org], work: Work) -> None:
    """Find the app's settings file, or say why there is none.

    An app that has none for a good reason is skipped unless it was named.
    """
    if app.settings:
        work.facts["settingsFile"] = app.settings.path
        return
    problem = apps.missing_settings(app, next((org.alias for org in orgs if org.alias), None))
    if named or problem.name == "SettingsNotRetrieved":
        raise EcapipeError(problem)
    raise Skip(problem.message)


def prove(app: App, orgs: Sequence[Org], chain: Chain, work: Work) -> list[Resolved]:
    """Key and secret for each org (or for none in particular, if there are no orgs).

    Raises `EcapipeError` if no org can be served; if some cannot, that is a warning here and their failure later.
    """
    proven = [credentials.resolve(app, org, chain) for org in orgs or (None,)]
    lacking = [each.problem for each in proven if each.problem]
    if len(lacking) == len(proven):
        raise EcapipeError(lacking[0])
    for sentence in dict.fromkeys([each.warning for each in proven if each.warning] + [p.message for p in lacking]):
        work.warn(sentence)
    work.facts |= {"consumerKey": proven[0].key.source, "consumerSecret": proven[0].secret.source}
    return proven


def _credential(evidence: Evidence, required: bool | None = None) -> CredentialFacts:
    return CredentialFacts(evidence.in_file, evidence.source is not None, evidence.source, evidence.causes, required)


def _search(directory: str, explicit: bool, trusted: bool, tree: Tree) -> tuple[Project, tuple[str, ...] | None]:
    """The project to search for one ``--source-dir``, and the paths in it that an app must have a file under."""
    start = tree.resolve(directory)
    if start is None:
        raise EcapipeError(problems.source_dir_not_found(directory))
    root = tree.project_above(start)
    if root is None:
        below = tree.projects_below(start)
        if below:
            raise EcapipeError(
                problems.project_not_chosen(start, [posixpath.join(directory, path) for path in below])
            )
        if not explicit:
            raise EcapipeError(problems.requires_project_error(start))
        return _bare(start, tree)
    found = _parse(root, trusted, tree)
    relative = posixpath.relpath(start, root)
    if relative == ".":
        return found, None
    if any(_inside(relative, path) or _inside(path, relative) for path in found.package_directories):
        return found, (relative,)
    searched = relative if tree.is_directory(start) else posixpath.dirname(relative) or "."
    return replace(found, package_directories=(searched,)), (relative,)


def _bare(start: str, tree: Tree) -> tuple[Project, tuple[str, ...] | None]:
    if tree.is_directory(start):
        return project.bare(start), None
    folder, name = posixpath.split(start)
    return project.bare(folder), (name,)


def _merge(
    earlier: tuple[Project, tuple[str, ...] | None] | None, found: Project, within: tuple[str, ...] | None
) -> tuple[Project, tuple[str, ...] | None]:
    """One search per project: the union of folders and of filters, where no filter means everything."""
    if earlier is None:
        return found, within
    before, earlier_within = earlier
    union = tuple(dict.fromkeys((*before.package_directories, *found.package_directories)))
    both = None if within is None or earlier_within is None else (*earlier_within, *within)
    return replace(found, package_directories=union), both


def _parse(root: str, trusted: bool, tree: Tree) -> Project:
    data = tree.read(posixpath.join(root, project.FILE), metadata.LARGEST)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise EcapipeError(problems.json_parse_error(project.FILE, line, 1, "it is not UTF-8")) from None
    found = project.parse(text, root, trusted=trusted)
    for path in found.package_directories:
        if not tree.is_directory(posixpath.join(root, path)):
            raise EcapipeError(problems.missing_package_directory_error(path, project.FILE))
    return found


def _read(found: Project, tree: Tree) -> tuple[Sequence[App], list[Problem]]:
    files: list[SourceFile] = []
    unreadable: list[Problem] = []
    for file in tree.walk(found.root, found.package_directories):
        try:
            data = tree.read(posixpath.join(found.root, file.path), metadata.LARGEST)
            source = SourceFile(file.path, file.type, file.name, metadata.parse(data, file.type, file.path))
            if source.app is None:
                raise EcapipeError(problems.malformed_xml(file.path, None, "it names no externalClientApplication"))
            files.append(source)
        except EcapipeError as error:
            unreadable.append(replace(error.problem, file=file.path))
    return apps.assemble(files, found.root, found.namespace), unreadable


def _refuse_unknown(names: Sequence[str], found: Sequence[App]) -> None:
    known = sorted({app.name for app in found})
    for name in names:
        if name not in known:
            raise EcapipeError(problems.unknown_app(name, known))


def _inside(path: str, folder: str) -> bool:
    return folder == "." or path == folder or path.startswith(folder + "/")


def _under(path: str, within: Sequence[str]) -> bool:
    return any(_inside(path, folder) for folder in within)


def _touches(app: App, within: Sequence[str]) -> bool:
    return any(_under(file.path, within) for file in app.files)
