"""From what a user points at to the external client apps that lie there."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ecapipe import apps, credentials, metadata, problems, project, replacements, variables
from ecapipe.apps import App, Replaced, SourceFile
from ecapipe.credentials import Chain, Evidence, Resolved
from ecapipe.events import AppFacts, CredentialFacts, ProjectFacts
from ecapipe.metadata import Document
from ecapipe.orgs import Org, same_id
from ecapipe.problems import EcapipeError, Problem
from ecapipe.project import Project
from ecapipe.replacements import Replacement
from ecapipe.secret import Secret
from ecapipe.stages import Skip, Work
from ecapipe.world import Astray, Found, Tree, World


@dataclass(frozen=True, slots=True)
class Where:
    """What the user points at: folders of a project, trees in metadata format (neither: the current folder), the
    trees that linked apps take their credentials from, app names (none: all), and whether the project's own
    settings for ecapipe are trusted."""

    directories: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    trusted: bool = True
    metadata_dirs: tuple[str, ...] = ()
    credentials_dirs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found. `failures` holds, with the root of its project, a problem for every metadata file that belongs
    to no app for that; `notices` are sentences about what was not looked at; `whole`: nothing of the projects was
    left out."""

    projects: tuple[Project, ...]
    apps: tuple[App, ...]
    failures: tuple[tuple[str, Problem], ...]
    notices: tuple[str, ...] = ()
    whole: bool = True

    @property
    def unreadable(self) -> tuple[Problem, ...]:
        return tuple(problem for _, problem in self.failures)

    def api_version(self, app: App) -> str:
        """The API version that the app's project is written for."""
        return next(found.api_version for found in self.projects if found.root == app.project)

    @property
    def facts(self) -> tuple[ProjectFacts, ...]:
        return tuple(ProjectFacts(found.root, found.package_directories) for found in self.projects)


def discover(
    where: Where, world: World, lent: Mapping[str, App] | None = None, *, in_lenders: bool = False
) -> Discovery:
    """Find the apps that `where` means; `lent`, if it is known already, as `lenders` gives it; `in_lenders`: those in
    the source orgs' trees, too.

    Raises `EcapipeError` for everything that keeps the project from being read, and UnknownApp. A file that
    cannot be read is no error here: it is listed in `unreadable`.
    """
    searches = _searches(where, world)
    for search in _lending(where, world).values() if in_lenders else ():
        _add(searches, search)
    lent = lenders(where, world) if lent is None else lent
    trees = [_read(search, world) for search in searches.values()]
    chosen = [_borrow(app, lent.get(app.name)) for tree in trees for app in tree.apps]
    refuse_unknown(where.names, chosen)
    return Discovery(
        tuple(search.project for search in searches.values()),
        tuple(app for app in chosen if not where.names or app.name in where.names),
        tuple((root, problem) for root, tree in zip(searches, trees, strict=True) for problem in tree.unreadable),
        tuple(notice for tree in trees for notice in tree.notices),
        not where.names and all(search.within is None for search in searches.values()),
    )


def projects(where: Where, world: World) -> tuple[Project, ...]:
    """The projects that `where` means, without a look at their apps; raises as `discover`."""
    return tuple(search.project for search in _searches(where, world).values())


def lenders(where: Where, world: World) -> dict[str, App]:
    """The apps of the source orgs' trees that have a settings file, by name; raises as `discover`."""
    found = _lending(where, world)
    return {app.name: app for search in found.values() for app in _read(search, world).apps if app.settings}


def retrieved(directory: str, trusted: bool, world: World, lent: Mapping[str, App]) -> Discovery:
    """The apps of one tree that was retrieved from one org: a project of its own, or a folder for itself even if it
    lies within a project, in source or metadata format, or a retrieved zip.

    Raises `EcapipeError`: SourceDirNotFound, NoAppsFound, or what keeps its project from being read.
    """
    start = _start(directory, "sourceDir", world.tree)
    search = _search(directory, True, trusted, world, "sourceDir")
    if world.tree.project_above(start) != start:
        # Told apart by their roots, apps of the same name may lie in many folders of one project. Its replacements
        # are for its package directories.
        apart = replace(search.project, root=start, package_directories=(".",), replacements=())
        search = _Search(apart, None, metadata_format=True)
    tree = _read(search, world)
    found = Discovery(
        (search.project,),
        tuple(_borrow(app, lent.get(app.name)) for app in tree.apps),
        tuple((search.project.root, problem) for problem in tree.unreadable),
        tuple(tree.notices),
    )
    require_apps(found)
    return found


def acquaint(directory: str, trusted: bool, world: World) -> None:
    """Let no program inherit the variables that the project of a tree names, long before the tree is read; whether it
    can be is told then."""
    with suppress(EcapipeError):
        _search(directory, True, trusted, world)


def reserved(found: Iterable[Project], among: Iterable[App]) -> Iterator[Problem]:
    """Where a credential is to come from a variable that programs need: of orgs of the projects, or of apps."""
    for each in found:
        named = [(alias, members.get("secretEnv")) for alias, members in each.orgs.items()]
        refused = [
            f"secretEnv of plugins.ecapipe.orgs.{alias} names {name}"
            for alias, name in named
            if isinstance(name, str) and variables.reserved(name)
        ]
        if refused:
            yield problems.variable_reserved(refused, project.FILE)
    for app, settings in ((app, app.settings) for app in among if app.settings):
        for element, replaced in settings.replaced.items():
            if replaced.reserved:
                names = ", ".join(replaced.reserved)
                sentence = f"replaceWithEnv, for the {element} of {app.name}, names {names}"
                line = settings.document.first(element)
                yield problems.variable_reserved([sentence], settings.path, line.line if line else None)


def survey(where: Where, world: World) -> tuple[Discovery, list[AppFacts]]:
    """The apps of the project, complete or not (``app list``); raises as `discover` does."""
    found = discover(where, world)
    refused = tuple(problem.message for problem in reserved(found.projects, found.apps))
    found = replace(found, notices=(*found.notices, *refused))
    chain = credentials.chain(found.apps, (), world.variable, None)
    return found, [facts(app, credentials.resolve(app, None, chain, held(world))) for app in found.apps]


def retrieve(into: Sequence[Project], orgs: Sequence[Org], world: World, work: Work) -> None:
    """Let the Salesforce CLI fetch all external client apps of the org into the projects.

    Raises `EcapipeError`: NotOneSource, RequiresProjectError, SfLoginMissing, and what the Salesforce CLI meets.
    """
    if len(orgs) != 1:
        raise EcapipeError(problems.not_one_source(len(orgs)))
    (org,) = orgs
    logins = [login for login in world.sf.logins() if login.host == org.host]
    if not logins:
        known = [login.instance_url for login in world.sf.logins()]
        raise EcapipeError(problems.sf_login_missing(org.name, org.url, known))
    login = next((login for login in logins if org.alias in (*login.aliases, login.username)), logins[0])
    for found in into:
        if world.tree.project_above(found.root) != found.root:
            raise EcapipeError(problems.requires_project_error(found.root))
        types = [type.name for type in metadata.TYPES]
        work.warnings += world.sf.retrieve(found.root, login.username, types, lambda text: work.note("hint", text))
    work.facts["retrievedFrom"] = login.username


def facts(app: App, resolved: Resolved, targets: Collection[str] = ()) -> AppFacts:
    """The app as reports show it; `targets` are the ids of the orgs that are meant, as far as they are known."""
    return AppFacts(
        app.name,
        app.project,
        app.settings.path if app.settings else None,
        tuple(file.path for file in app.files),
        app.distribution,
        app.credentials_of(targets),
        app.source_org(targets),
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
        problem = problems.no_apps_found([posixpath.normpath(posixpath.join(*pair)) for pair in folders])
        raise EcapipeError(replace(problem, message=" ".join((problem.message, *found.notices))))


def locate(
    app: App, *, named: bool, orgs: Sequence[Org], work: Work, supplied: bool = False, told: bool = False
) -> None:
    """Find the app's settings file, or say why there is none.

    An app that has none for a good reason is skipped unless it was named. If nothing succeeds that is a failure after
    all, unless each of its logins has `told` of one. `supplied`: it can do without the file.
    """
    if app.settings:
        work.facts["settingsFile"] = app.settings.path
        refuse_rivals(app)
        if app.settings.ignored:
            work.facts["forceignored"] = True
        for org in orgs:
            if app.link_org and org.org_id and not same_id(app.link_org, org.org_id):
                work.warn(
                    f"The oauthLink of {app.name} names org {app.link_org}, not {org.name} ({org.org_id}): the files "
                    "were retrieved from another org, or copied."
                )
        return
    if supplied:
        work.pass_over(f"{app.name} has no global OAuth settings file here: its key and secret come from elsewhere.")
        return
    problem = missing(app, orgs)
    if named or problem.name == "SettingsNotRetrieved":
        raise EcapipeError(problem)
    raise Skip(problem.message, None if told else problem)


def supplied(app: App, orgs: Sequence[Org], chain: Chain, spared: Callable[[Org | None], bool]) -> bool:
    """Whether `app` has no settings file, and yet what a login needs: from outside, for one of `orgs` at least, be it
    from a source that cannot be read."""
    if app.settings:
        return False
    chain = credentials.unprompted(chain)
    found = [credentials.resolve(app, org, chain, spared=spared(org)) for org in orgs or (None,)]
    return any(each.key.source and not _lacking(each) for each in found)


def _lacking(resolved: Resolved) -> bool:
    """Whether no source has the key or the secret, rather than one that cannot be read."""
    return resolved.problem is not None and resolved.problem.name in ("ConsumerKeyMissing", "ConsumerSecretMissing")


def owing(app: App, org: Org, named: bool) -> Problem | None:
    """Why an app has no settings file in an org that it was `named` for, though elsewhere it may lack it."""
    problem = None if app.settings or not named else missing(app, (org,))
    return None if problem is None or problem.name == "SettingsNotRetrieved" else problem


def missing(app: App, orgs: Sequence[Org]) -> Problem:
    """Why `app`, meant for `orgs`, has no settings file."""
    alias = next((org.alias for org in orgs if org.alias), None)
    return apps.missing_settings(app, alias, credentials.variables(app.name, orgs), ids(app, orgs))


def ids(app: App, orgs: Iterable[Org]) -> tuple[str, ...]:
    """The ids of `orgs` by which it can be told whose credentials `app` uses: the one that its link names, else all;
    none if some are unknown."""
    known = [org.org_id for org in orgs]
    told = tuple([each for each in known if each])
    own = tuple([each for each in told if app.link_org and same_id(each, app.link_org)])
    return own or (told if len(told) == len(known) else ())


def prove(
    app: App,
    orgs: Sequence[Org],
    chain: Chain,
    work: Work,
    *,
    spared: Callable[[Org | None], bool] = lambda org: False,
) -> list[Resolved]:
    """Key and secret for each org (or for none in particular, if there are no orgs). `spared`: whether a login there
    needs no secret.

    Raises `EcapipeError` if no org can be served; if some cannot, that is a warning here and their failure later.
    """
    chain = chain if app.settings else credentials.unprompted(chain)
    proven = [credentials.resolve(app, org, chain, spared=spared(org)) for org in orgs or (None,)]
    if app.settings is None and orgs:  # where nothing is supplied, it is the file that is missing
        pairs = zip(orgs, proven, strict=True)
        proven = [replace(each, outcome=missing(app, (org,))) if _lacking(each) else each for org, each in pairs]
    lacking = [each.problem for each in proven if each.problem]
    if len(lacking) == len(proven):
        raise EcapipeError(lacking[0])
    said: dict[str, list[str]] = {}
    for org, each in zip(orgs, proven, strict=False):
        if sentence := each.warning or (each.problem and each.problem.message):
            said.setdefault(sentence, []).append(org.name)
    if not orgs and proven[0].warning:
        work.warn(proven[0].warning)
    for sentence, names in said.items():
        work.warn(sentence if len(names) == len(orgs) else f"In {_some(names)}: {sentence}")
    work.facts |= {"consumerKey": proven[0].key.source, "consumerSecret": proven[0].secret.source}
    return proven


def held(world: World) -> credentials.Held:
    """Whether a consumer secret is kept for a consumer key, without a look at it: no keyring is asked."""

    def holds(consumer_key: str) -> bool:
        from ecapipe import kept  # needed only where a secret is missing

        return world.store.holds("secret", kept.owner_id(consumer_key))

    return holds


def _some(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def refuse_rivals(app: App) -> None:
    """Raises `EcapipeError` (SettingsDuplicated) if settings files of the app contradict each other."""
    rivals = [file for file in app.files if file.type is metadata.SETTINGS]
    pairs = {(file.document.text("consumerKey"), file.document.text("consumerSecret")) for file in rivals}
    if len(pairs) > 1:
        raise EcapipeError(problems.settings_duplicated(app.name, [file.path for file in rivals]))


def _credential(evidence: Evidence, required: bool | None = None) -> CredentialFacts:
    return CredentialFacts(evidence.in_file, evidence.source is not None, evidence.source, evidence.causes, required)


def _searches(where: Where, world: World) -> dict[str, _Search]:
    """What the user points at, by the root of each project."""
    searches: dict[str, _Search] = {}
    for directory in where.directories or (() if where.metadata_dirs else (".",)):
        _add(searches, _search(directory, bool(where.directories), where.trusted, world))
    for directory in where.metadata_dirs:
        _add(searches, _bare(_there(directory, "--metadata-dir", world.tree), metadata_format=True))
    return searches


def _lending(where: Where, world: World) -> dict[str, _Search]:
    """The trees of source orgs, by the root of each project."""
    found: dict[str, _Search] = {}
    for directory in where.credentials_dirs:
        _add(found, _search(directory, True, where.trusted, world, "--credentials-dir"))
    return found


@dataclass(frozen=True, slots=True)
class _Search:
    """A project to read, and the paths in it that an app must have a file under (None: anywhere)."""

    project: Project
    within: tuple[str, ...] | None
    metadata_format: bool = False


def _there(path: str, flag: str, tree: Tree) -> str:
    found = tree.resolve(path)
    if found is None:
        raise EcapipeError(problems.source_dir_not_found(path, flag))
    return found


def _start(path: str, flag: str, tree: Tree) -> str:
    """What a user named: where it leads out of its repository, the target, a tree of its own."""
    start = _there(path, flag, tree)
    around = tree.project_above(start) or (start if tree.is_directory(start) else posixpath.dirname(start))
    return start if tree.holds(around, start) else tree.target(start)


def _search(directory: str, explicit: bool, trusted: bool, world: World, flag: str = "--source-dir") -> _Search:
    """What one folder that a user named means."""
    tree = world.tree
    start = _start(directory, flag, tree)
    root = tree.project_above(start)
    if root is None:
        below = tree.projects_below(start)
        if below:
            raise EcapipeError(
                problems.project_not_chosen(
                    start, [posixpath.normpath(posixpath.join(directory, path)) for path in below]
                )
            )
        if not explicit:
            raise EcapipeError(problems.requires_project_error(start))
        if tree.is_directory(start):
            return _bare(start)
        folder, name = posixpath.split(start)
        return _Search(project.bare(folder), (name,))
    found = _parse(root, trusted, world)
    relative = posixpath.relpath(start, root)
    if relative == ".":
        return _Search(found, None)
    if any(_inside(relative, path) or _inside(path, relative) for path in found.package_directories):
        return _Search(found, (relative,))
    searched = relative if tree.is_directory(start) else posixpath.dirname(relative) or "."
    return _Search(replace(found, package_directories=(searched,)), (relative,))


def _bare(start: str, *, metadata_format: bool = False) -> _Search:
    return _Search(project.bare(start), None, metadata_format)


def _add(searches: dict[str, _Search], new: _Search) -> None:
    """One search per project: the union of folders and of filters, where no filter means everything."""
    root = new.project.root
    old = searches.get(root)
    if old is None:
        searches[root] = new
        return
    union = tuple(dict.fromkeys((*old.project.package_directories, *new.project.package_directories)))
    within = None if new.within is None or old.within is None else (*old.within, *new.within)
    either = old.metadata_format or new.metadata_format
    searches[root] = _Search(replace(new.project, package_directories=union), within, either)


def _parse(root: str, trusted: bool, world: World) -> Project:
    tree, path = world.tree, posixpath.join(root, project.FILE)
    if not tree.holds(root, path):
        raise EcapipeError(problems.link_out_of_repository(project.FILE, posixpath.dirname(tree.target(path))))
    data = tree.read(path, metadata.LARGEST)
    for name in project.named(data.decode("utf-8", "replace")):
        world.taken(name)  # before any other program is started; of a file that is refused or not trusted, too
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise EcapipeError(problems.json_parse_error(project.FILE, line, 1, "it is not UTF-8")) from None
    found = project.parse(text, root, trusted=trusted)
    for path in found.package_directories:
        if not world.tree.is_directory(posixpath.join(root, path)):
            raise EcapipeError(problems.missing_package_directory_error(path, project.FILE))
    return found


@dataclass(frozen=True, slots=True)
class _Tree:
    apps: Sequence[App]
    unreadable: Sequence[Problem]
    notices: Sequence[str]


def _read(search: _Search, world: World) -> _Tree:
    """Everything one search finds, within its filter."""
    found, files = search.project, list[SourceFile]()
    unreadable, notices = list[Problem](), list[str]()
    for file in world.tree.walk(found.root, found.package_directories, metadata_format=search.metadata_format):
        if isinstance(file, Problem):
            unreadable.append(file)
            continue
        if isinstance(file, Astray):
            target = world.tree.target(posixpath.join(found.root, file.path))
            problem = problems.link_out_of_repository(file.path, target)
            notices.append(" ".join((problem.message, *problem.actions)))
            continue
        try:
            files.append(_source(file, found, world))
        except EcapipeError as error:
            unreadable.append(replace(error.problem, file=file.path))
    assembled = apps.assemble(files, found.root, found.namespace)
    within = search.within
    if within is None:
        return _Tree(assembled, unreadable, notices)
    return _Tree(
        [app for app in assembled if _touches(app, within)],
        [problem for problem in unreadable if _under(problem.file or "", within)],
        notices,
    )


def _source(file: Found, found: Project, world: World) -> SourceFile:
    path = f"{found.root}/{file.path}"  # joined by hand: a name in a zip may look absolute
    data = world.tree.read(path, metadata.LARGEST)
    document = metadata.parse(data, file.type, file.path)
    replaced = _replaced(data, document, path, file, found, world) if file.type is metadata.SETTINGS else {}
    source = SourceFile(file.path, file.type, file.name, document, replaced, file.ignored)
    if source.app is None:
        raise EcapipeError(problems.malformed_xml(file.path, None, "it names no externalClientApplication"))
    return source


def _replaced(
    data: bytes, document: Document, path: str, file: Found, found: Project, world: World
) -> dict[str, Replaced]:
    """What the project's replacements make of key and secret in one settings file."""
    if not found.replacements:
        return {}

    def given(entry: Replacement) -> str | None:
        if entry.kind == "variable":
            return world.taken(entry.origin)
        return world.tree.read_inside(found.root, entry.origin, metadata.LARGEST)

    text = data.decode("utf-8", "replace")
    marked = replacements.mark(text, path, found.replacements, world.environ, given)
    if marked is None:
        return {}
    try:
        changed = metadata.parse(marked.text.encode(), file.type, file.path)
    except EcapipeError:
        return {}  # what is replaced is not the text of an element; the deploy's concern, not ours
    reserved = {name for name in found.variables if variables.reserved(name)}
    result = {}
    for name in ("consumerKey", "consumerSecret"):
        resolved = marked.resolve(changed.text(name) or "")
        if resolved is not None:
            value, lacking = resolved
            refused = tuple(origin for origin in lacking if origin in reserved)
            result[name] = Replaced(Secret(value) if value else None, lacking, refused)
    return result


def _borrow(app: App, lender: App | None) -> App:
    """The app with its source org's settings file, if it has none of its own."""
    if app.settings or lender is None or lender.settings is None:
        return app
    path = posixpath.relpath(posixpath.join(lender.project, lender.settings.path), app.project)
    return replace(app, lent=replace(lender.settings, path=path))


def refuse_unknown(names: Sequence[str], found: Iterable[App]) -> None:
    """Raises `EcapipeError` (UnknownApp) if one of `names` is none of the apps found."""
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
