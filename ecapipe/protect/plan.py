"""What keeps consumer secrets out of git, worked out as changes of files and advice (``app protect``)."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, Protocol

from ecapipe.credentials import placeholders, sources
from ecapipe.problems.git import git_command
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import settings_duplicated
from ecapipe.problems.usage import ambiguous_variable, unreadable_file
from ecapipe.project import discovery, edits, metadata, sfdx_project
from ecapipe.project.apps import App, SourceFile
from ecapipe.project.discovery import Discovery, ProjectSelection
from ecapipe.project.edits import Change
from ecapipe.project.sfdx_project import Project
from ecapipe.project.tree import ProjectAccess
from ecapipe.protect.protection import Exposure, IgnoreRules, Protection, Supply
from ecapipe.secret import REDACTED, SHORTEST, Secret, SecretSearch, mask, redact

Rulings = Callable[[str, Sequence[str]], IgnoreRules | None]
"""What git's ignore files say of paths below a folder; None where git cannot tell."""

SOURCE_FORMAT: Final = f"**/*.{metadata.SETTINGS.suffix}-meta.xml"
METADATA_FORMAT: Final = f"**/*.{metadata.SETTINGS.suffix}"
PATTERNS: Final = (SOURCE_FORMAT, METADATA_FORMAT)
"""Neither covers the files of the other."""

_COMMENT: Final = "# Consumer secrets of external client apps (ecapipe app protect)"
_HIDDEN: Final = (
    "With these patterns in .forceignore, sf neither deploys nor retrieves the settings files: key and secret then "
    "have to come from the environment."
)


class ProtectAccess(ProjectAccess, Protocol):
    """What protecting settings files takes from outside."""

    @property
    def tracked(self) -> Callable[[str, Sequence[str]], frozenset[str]]:
        """The paths, among those given relative to a root, that git tracks; empty where git cannot tell."""


def plan(
    selection: ProjectSelection,
    world: ProtectAccess,
    rulings: Rulings,
    *,
    forceignore: bool = False,
    replace: bool = False,
) -> tuple[Discovery, Protection]:
    """What to write so that no settings file gets into git, and what people have to do themselves.

    `forceignore` keeps the files from the Salesforce CLI, too; `replace` takes plain secrets out of them and lets
    the project's replacements put them in at a deploy. Raises `EcapipeError`: what `discovery.discover` raises,
    SettingsDuplicated and AmbiguousVariable.
    """
    # Source orgs' trees lie in a repository, too, and hold the very files that must not get into it.
    discovered = discovery.discover(selection, world, {}, in_lenders=True)
    draft = _Draft(discovered, world)
    for project in discovered.projects:
        draft.ignore(project, rulings, forceignore)
    if replace:
        for app in discovered.apps:
            draft.replace(app)
    # After the replacements, since a file that has its placeholder now is committed, not untracked.
    for project in discovered.projects:
        draft.expose(project)
    if forceignore:
        draft.notices.append(_HIDDEN)
    redactor = _Redactor(discovered.apps)
    # Replacements before placeholders, on disk, too: one without its placeholder does no harm, the reverse does.
    planned = (*draft.ignore_edits(), *draft.supply_edits(), *draft.edits.values())
    changes = tuple(_change(edit, redactor) for edit in planned)
    return discovered, Protection(
        changes, tuple(draft.exposures), tuple(chain.from_iterable(draft.supplies.values())), tuple(draft.notices)
    )


@dataclass(frozen=True, slots=True)
class _Location:
    """A file: `path` below `root`, called `file` from its project."""

    project: str
    file: str
    root: str
    path: str

    @property
    def key(self) -> tuple[str, str]:
        """The same for the same file, also where two projects of one repository name it."""
        return self.root, self.path


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of a project, what the repository around it ignores, and where in that the search for an ignore file
    starts."""

    project: str
    path: str
    ignores: IgnoreRules
    start: str

    def location(self, path: str) -> _Location:
        """The file at `path` below the top of the repository."""
        file = posixpath.normpath(posixpath.join(self.path, posixpath.relpath(path, self.ignores.prefix)))
        return _Location(self.project, file, self.ignores.top, path)


@dataclass(frozen=True, slots=True)
class _PathsToIgnore:
    """Paths below `root`: by folder in it, the pattern that each path should be ignored by."""

    root: str
    folders: Mapping[str, Mapping[str, str]]


@dataclass(slots=True)
class _MissingPatterns:
    """The patterns that an ignore file lacks; a dictionary for its order."""

    location: _Location
    patterns: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Edit:
    """What becomes of a file; `redacted` is its old content as far as people may see it."""

    location: _Location
    before: bytes | None = field(repr=False)
    redacted: bytes = field(repr=False)
    after: bytes = field(repr=False)


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    discovery: Discovery
    world: ProtectAccess
    missing: dict[tuple[str, str], _MissingPatterns] = field(default_factory=dict)
    edits: dict[tuple[str, str], _Edit] = field(default_factory=dict)
    exposures: list[Exposure] = field(default_factory=list)
    supplies: dict[str, list[Supply]] = field(default_factory=dict)
    """By the variable."""
    configs: dict[str, bytes | None] = field(default_factory=dict)
    """What stands in the sfdx-project.json of a project, if it has one."""
    notices: list[str] = field(default_factory=list)

    def ignore(self, project: Project, rulings: Rulings, forceignore: bool) -> None:
        """Note the patterns that the ignore files of one project lack, each for the file that decides."""
        paths = self.paths_to_ignore(project)
        root = paths.root
        home = rulings(root, []) or IgnoreRules(root, ".", {})
        for path, patterns in paths.folders.items():
            ignores = rulings(posixpath.join(root, path), list(patterns)) or IgnoreRules(root, path, {})
            # A package directory may be a repository of its own, to which ignore files around it say nothing.
            start = home.prefix if ignores.top == home.top else ignores.prefix
            folder = _Folder(root, path, ignores, start)
            self.cover(folder, patterns)
            if forceignore and path == "." and root == project.root:
                location = self.nearest(folder, ".forceignore")
                self.require(location, *(pattern for pattern in PATTERNS if not self.lists(location, pattern)))

    def paths_to_ignore(self, project: Project) -> _PathsToIgnore:
        """The settings files that are there, and those that a retrieve may bring."""
        if not self.world.tree.is_directory(project.root):  # a zip file
            folder, name = posixpath.split(project.root)
            escaped = re.sub(r"([\\*?\[\]!# ])", r"\\\1", name)
            return _PathsToIgnore(folder, {".": {name: escaped}})
        any_name = f"any.{metadata.SETTINGS.suffix}"
        folders = {folder: {f"{any_name}-meta.xml": SOURCE_FORMAT} for folder in (*project.package_directories, ".")}
        folders["."][any_name] = METADATA_FORMAT
        for file in (file for app in self.apps_of(project) for file in _settings(app)):
            pattern = SOURCE_FORMAT if file.path.endswith("-meta.xml") else METADATA_FORMAT
            folder = next(folder for folder in folders if folder == "." or file.path.startswith(f"{folder}/"))
            folders[folder][posixpath.relpath(file.path, folder)] = pattern
        return _PathsToIgnore(project.root, folders)

    def cover(self, folder: _Folder, patterns: Mapping[str, str]) -> None:
        """Note the patterns that keep paths of `folder` out of git and that are missing."""
        usual = self.nearest(folder, ".gitignore")
        rulings = folder.ignores.rulings
        for path, pattern in patterns.items():
            rule = rulings.get(path)
            if rule and rule.file:
                # An exception, which only a later line of the same file takes back.
                if not rule.ignored:
                    self.require(folder.location(rule.file), pattern)
            elif path in rulings or not self.lists(usual, pattern):
                # No ignore file decides, or only one of this clone or user, which protects nobody else's.
                self.require(usual, pattern)

    def nearest(self, folder: _Folder, name: str) -> _Location:
        """The file `name` where `folder` starts, unless only a folder above that in the repository has one."""
        path = folder.start
        while not self.world.tree.resolve(posixpath.join(folder.ignores.top, path, name)):
            if path == ".":
                path = folder.start
                break
            path = posixpath.dirname(path) or "."
        return folder.location(posixpath.normpath(posixpath.join(path, name)))

    def lists(self, location: _Location, pattern: str) -> bool:
        return edits.lists(self.read(location) or b"", pattern)

    def require(self, location: _Location, *patterns: str) -> None:
        """Note patterns that an ignore file lacks."""
        for pattern in patterns:
            self.missing.setdefault(location.key, _MissingPatterns(location)).patterns[pattern] = None

    def ignore_edits(self) -> Iterator[_Edit]:
        """The ignore files with the patterns that they lack."""
        for missing in self.missing.values():
            before = self.read(missing.location)
            blank = [""] if before else []
            after = edits.append(before or b"", [*blank, _COMMENT, *missing.patterns])
            yield _Edit(missing.location, before=before, redacted=before or b"", after=after)

    def replace(self, app: App) -> None:
        """Take the plain secrets out of the settings files of `app`, and give the project a replacement for each."""
        files = [file for file in _settings(app) if _plain_secret(file)]
        if not files:
            return
        if len({_plain_secret(file) for file in files}) > 1:
            raise EcapipeError(settings_duplicated(app.name, [file.path for file in files]))
        variable = sources.variable("consumerSecret", app.name)
        if variable in self.supplies:
            raise EcapipeError(ambiguous_variable(variable, self.supplies[variable][0].app, app.name))
        for file in files:
            self.replace_in_file(app, file, variable)

    def replace_in_file(self, app: App, file: SourceFile, variable: str) -> None:
        """Put a placeholder for `variable` into a settings file, or a notice if that cannot be done."""
        location = _Location(app.project, file.path, app.project, file.path)
        emptied = _empty(location, self.read(location) or b"", file, f"@@{variable}@@")
        if app.project not in self.configs:
            self.configs[app.project] = self.read(_config_location(app.project))
        if self.configs[app.project] is None:
            self.notices.append(
                f"{file.path} still has its consumer secret, because there is no {sfdx_project.FILE}."
            )
        elif not _is_text(file.path):
            self.notices.append(
                f"{file.path} still has its consumer secret, because {sfdx_project.FILE} cannot name it: "
                "it is not UTF-8."
            )
        elif emptied is None:
            self.notices.append(
                f"{file.path} still has its consumer secret, because its XML is not as Salesforce writes it."
            )
        else:
            self.add(emptied)
            self.supplies.setdefault(variable, []).append(Supply(app.project, app.name, file.path, variable))

    def supply_edits(self) -> Iterator[_Edit]:
        """The `sfdx-project.json` of each project with the replacements that it needs."""
        for project, config in self.configs.items():
            supplies = [each for each in chain.from_iterable(self.supplies.values()) if each.project == project]
            if config is not None and supplies:
                after = _supply(config, project, supplies)
                if after != config:
                    yield _Edit(_config_location(project), before=config, redacted=config, after=after)

    def add(self, edit: _Edit) -> None:
        """Add an edit of a file of a project to what becomes of it already."""
        if edit.before == edit.after:
            return
        key = edit.location.key
        earlier = self.edits.get(key)
        if earlier:
            edit = replace(earlier, location=edit.location, after=edit.after)
        self.edits[key] = edit

    def expose(self, project: Project) -> None:
        """Note the settings files of a project that git tracks, unless they hold a placeholder as they should."""
        settings = {file.path: (app.name, file) for app in self.apps_of(project) for file in _settings(app)}
        emptied = {each.file for each in chain.from_iterable(self.supplies.values()) if each.project == project.root}
        for path in sorted(self.world.tracked(project.root, list(settings))):
            app, file = settings[path]
            if _plain_secret(file):
                self.exposures.append(_secret_exposure(project.root, app, path, emptied=path in emptied))
            elif file.document.text("consumerSecret") is None:
                message = f"git tracks {path}: no pattern ignores the secret that a retrieve may bring."
                actions = (_untrack(project.root, path),)
                exposure = Exposure(project.root, app, path, secret=False, message=message, actions=actions)
                self.exposures.append(exposure)

    def apps_of(self, project: Project) -> Iterator[App]:
        return (app for app in self.discovery.apps if app.project == project.root)

    def read(self, location: _Location) -> bytes | None:
        """The content of a file, as the draft leaves it; None if it is not there."""
        edit = self.edits.get(location.key)
        if edit:
            return edit.after
        path = posixpath.join(location.root, location.path)
        if self.world.tree.resolve(path) is None:
            return None
        data = self.world.tree.read(path, metadata.LARGEST)
        if len(data) > metadata.LARGEST:
            raise EcapipeError(unreadable_file(location.file, "it is larger than 1 MiB"))
        return data


class _Redactor:
    """Strikes the keys and secrets of apps out of a text: a project may repeat them where nobody expects them.

    Takes time in proportion to the text, however many apps there are.
    """

    def __init__(self, apps: Iterable[App]) -> None:
        documents = [file.document for app in apps for file in _settings(app)]
        self._keys = _lines_of(element.text for document in documents for element in document.all("consumerKey"))
        texts = (element.text for document in documents for element in document.all("consumerSecret"))
        self._secrets = _lines_of(text for text in texts if text and not placeholders.is_placeholder(text))
        values = self._keys | self._secrets
        self._search = SecretSearch((value, Secret(value)) for value in values)
        # Those that it takes for too short.
        self._short = {value for value in values if len(value) < SHORTEST}

    def __call__(self, text: str) -> str:
        held = {*self._search.find([text.encode("utf-8", "replace")])}
        for size in {*map(len, self._short)}:
            held |= self._short.intersection(text[start : start + size] for start in range(len(text) - size + 1))
        for key in sorted(held & self._keys):
            text = text.replace(key, mask(key))
        return redact(text, *map(Secret, sorted(held & self._secrets)))


def _lines_of(texts: Iterable[str | None]) -> set[str]:
    """What may stand on one line of a diff."""
    return {line for text in texts if text for line in map(str.strip, text.splitlines()) if line}


def _change(edit: _Edit, redactor: _Redactor) -> Change:
    location = edit.location
    old = "/dev/null" if edit.before is None else f"a/{location.file}"
    diff = difflib.unified_diff(
        _lines(edit.redacted), _lines(edit.after), fromfile=old, tofile=f"b/{location.file}", lineterm=""
    )
    return Change(
        project=location.project,
        file=location.file,
        root=location.root,
        path=location.path,
        before=edit.before,
        after=edit.after,
        diff=tuple(redactor("\n".join(diff)).split("\n")),
    )


def _config_location(project: str) -> _Location:
    return _Location(project, sfdx_project.FILE, project, sfdx_project.FILE)


def _settings(app: App) -> Iterable[SourceFile]:
    """The app's own settings files: one, if all is well."""
    return [file for file in app.files if file.type is metadata.SETTINGS]


def _plain_secret(file: SourceFile) -> str | None:
    """The consumer secret that stands in a settings file: no placeholder, and nothing that is replaced."""
    if "consumerSecret" in file.replaced:
        return None
    texts = [element.text for element in file.document.all("consumerSecret")]
    return next((text for text in texts if text and not placeholders.is_placeholder(text)), None)


def _secret_exposure(root: str, app: str, path: str, *, emptied: bool) -> Exposure:
    """A tracked file with a secret in it; `emptied`: the plan puts a placeholder there."""
    first = _untrack(root, path)
    if emptied:
        first = f"Commit {path} with its placeholder."
    rotate = (
        f"If it was ever committed, rotate the consumer secret of {app} (Setup, External Client App "
        "Manager): what was committed stays in the history."
    )
    message = f"git tracks {path}, with the consumer secret of {app} in it."
    return Exposure(root, app, path, secret=True, message=message, actions=(first, rotate))


def _untrack(root: str, path: str) -> str:
    return f"Untrack it: {git_command('rm --cached', path, root)}"


def _lines(data: bytes) -> list[str]:
    if not data:
        return []
    text = data.decode("utf-8", "replace").removesuffix("\n")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _empty(location: _Location, data: bytes, file: SourceFile, placeholder: str) -> _Edit | None:
    """A settings file with `placeholder` for its secret; None unless that is all that changes, and no copy of the
    secret stays behind."""
    span = edits.text_span(data, "consumerSecret")
    secret = _plain_secret(file)
    if span is None or secret is None:
        return None
    head, raw, tail = data[: span[0]], data[span[0] : span[1]].strip(), data[span[1] :]
    after = head + placeholder.encode() + tail
    # Both as parsed and as written: an escape in the XML may make two of them.
    if secret.encode() in after or raw in after:
        return None
    try:
        changed = metadata.parse(after, file.type, file.path)
    except EcapipeError:
        return None
    expected = [placeholder if each.name == "consumerSecret" else each.text for each in file.document.elements]
    if [each.text for each in changed.elements] != expected:
        return None
    return _Edit(location, before=data, redacted=head + REDACTED.encode() + tail, after=after)


def _is_text(path: str) -> bool:
    """Whether the bytes of a name are text, which is all that JSON can hold."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _supply(data: bytes, root: str, supplies: Iterable[Supply]) -> bytes:
    """`sfdx-project.json` with the replacements that put variables into files when they are deployed."""
    text = data.decode("utf-8-sig")
    # Raises for a file that could not be edited.
    sfdx_project.parse(text, root)
    entries = [
        {"filename": each.file, "stringToReplace": f"@@{each.variable}@@", "replaceWithEnv": each.variable}
        for each in supplies
    ]
    # Some editors on Windows write it, and a file of somebody else keeps it.
    byte_order_mark = data[: len(data) - len(text.encode())]
    return byte_order_mark + edits.add_replacements(text, entries).encode()
