"""What keeps consumer secrets out of git, worked out as changes of files and advice (``app protect``)."""

from __future__ import annotations

import difflib
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ecapipe.credentials import placeholders, sources
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
from ecapipe.secret import REDACTED, Secret, mask, redact

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
    where: ProjectSelection,
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
    found = discovery.discover(where, world, {}, in_lenders=True)
    draft = _Draft(found, world)
    for each in found.projects:
        draft.ignore(each, rulings, forceignore)
    for app in found.apps if replace else ():
        draft.replace(app)
    for each in found.projects:
        draft.look(each)
    if forceignore:
        draft.notices.append(_HIDDEN)
    changes = tuple(map(draft.change, (*draft.ignoring(), *draft.edited.values())))
    return found, Protection(changes, tuple(draft.exposures), tuple(draft.supplies), tuple(draft.notices))


@dataclass(frozen=True, slots=True)
class _Place:
    """A file: `path` below `root`, called `file` from its project."""

    project: str
    file: str
    root: str
    path: str


@dataclass(frozen=True, slots=True)
class _Ground:
    """A folder of a project, the repository around it, and where in that the search for an ignore file starts."""

    project: str
    folder: str
    around: IgnoreRules
    start: str

    def place(self, path: str) -> _Place:
        """The file at `path` below the top of the repository."""
        file = posixpath.normpath(posixpath.join(self.folder, posixpath.relpath(path, self.around.prefix)))
        return _Place(self.project, file, self.around.top, path)


@dataclass(frozen=True, slots=True)
class _Edit:
    """What becomes of a file; `shown` is its old content as far as people may see it."""

    place: _Place
    before: bytes | None = field(repr=False)
    shown: bytes = field(repr=False)
    after: bytes = field(repr=False)


@dataclass(slots=True)
class _Draft:
    """A plan in the making."""

    found: Discovery
    world: ProtectAccess
    missing: dict[tuple[str, str], tuple[_Place, dict[str, None]]] = field(default_factory=dict)
    edited: dict[tuple[str, str], _Edit] = field(default_factory=dict)
    exposures: list[Exposure] = field(default_factory=list)
    supplies: list[Supply] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def ignore(self, where: Project, rulings: Rulings, forceignore: bool) -> None:
        """Note the patterns that the ignore files of one project lack, each for the file that decides."""
        root, folders = self.wanted(where)
        home = rulings(root, []) or IgnoreRules(root, ".", {})
        for folder, wanted in folders.items():
            around = rulings(posixpath.join(root, folder), list(wanted)) or IgnoreRules(root, folder, {})
            # A package directory may be a repository of its own, to which ignore files around it say nothing.
            ground = _Ground(root, folder, around, home.prefix if around.top == home.top else around.prefix)
            self.cover(ground, wanted)
            if forceignore and folder == "." and root == where.root:
                hidden = self.nearest(ground, ".forceignore")
                self.miss(hidden, *(pattern for pattern in PATTERNS if not self.listed(hidden, pattern)))

    def wanted(self, where: Project) -> tuple[str, dict[str, dict[str, str]]]:
        """The folder to protect and, by folder in it, the pattern that each path should be ignored by: files that
        are there, and files that a retrieve may bring."""
        if not self.world.tree.is_directory(where.root):  # a zip file
            folder, name = posixpath.split(where.root)
            return folder, {".": {name: re.sub(r"([\\*?\[\]!# ])", r"\\\1", name)}}
        any_name = f"any.{metadata.SETTINGS.suffix}"
        folders = {folder: {f"{any_name}-meta.xml": SOURCE_FORMAT} for folder in (*where.package_directories, ".")}
        folders["."][any_name] = METADATA_FORMAT
        for file in (file for app in self.of(where) for file in _settings(app)):
            pattern = SOURCE_FORMAT if file.path.endswith("-meta.xml") else METADATA_FORMAT
            folder = next(folder for folder in folders if folder == "." or file.path.startswith(f"{folder}/"))
            folders[folder][posixpath.relpath(file.path, folder)] = pattern
        return where.root, folders

    def cover(self, ground: _Ground, wanted: Mapping[str, str]) -> None:
        """Note the patterns that keep paths of `ground` out of git and that are missing."""
        usual = self.nearest(ground, ".gitignore")
        for path, pattern in wanted.items():
            ruling = ground.around.rulings.get(path)
            if ruling and ruling.file:
                if not ruling.ignored:  # an exception, which only a later line takes back
                    self.miss(ground.place(ruling.file), pattern)
            elif path in ground.around.rulings or not self.listed(usual, pattern):
                self.miss(usual, pattern)

    def nearest(self, ground: _Ground, name: str) -> _Place:
        """The file `name` where `ground` starts, unless only a folder above that in the repository has one."""
        folder = ground.start
        while not self.world.tree.resolve(posixpath.join(ground.around.top, folder, name)):
            if folder == ".":
                folder = ground.start
                break
            folder = posixpath.dirname(folder) or "."
        return ground.place(posixpath.normpath(posixpath.join(folder, name)))

    def listed(self, place: _Place, pattern: str) -> bool:
        return edits.lists(self.read(place) or b"", pattern)

    def miss(self, place: _Place, *patterns: str) -> None:
        for pattern in patterns:
            self.missing.setdefault((place.root, place.path), (place, {}))[1][pattern] = None

    def ignoring(self) -> Iterator[_Edit]:
        """The ignore files with the patterns that they lack."""
        for place, patterns in self.missing.values():
            before = self.read(place)
            blank = [""] if before else []
            after = edits.append(before or b"", [*blank, _COMMENT, *patterns])
            yield _Edit(place, before, before or b"", after)

    def replace(self, app: App) -> None:
        """Take the plain secrets out of the settings files of `app`, and give the project a replacement for each."""
        files = [file for file in _settings(app) if _plain(file)]
        if len({_plain(file) for file in files}) > 1:
            raise EcapipeError(settings_duplicated(app.name, [file.path for file in files]))
        variable = sources.variable("consumerSecret", app.name)
        for other in self.supplies if files else ():
            if other.variable == variable:
                raise EcapipeError(ambiguous_variable(variable, other.app, app.name))
        for file in files:
            home = _Place(app.project, sfdx_project.FILE, app.project, sfdx_project.FILE)
            place = _Place(app.project, file.path, app.project, file.path)
            settings, content = self.read(home), self.read(place)
            emptied = _emptied(content or b"", file, f"@@{variable}@@")
            if settings is None or emptied is None:
                why = (
                    f"there is no {sfdx_project.FILE}"
                    if settings is None
                    else "its XML is not as Salesforce writes it"
                )
                self.notices.append(f"{file.path} keeps its consumer secret, because {why}.")
                continue
            # In this order on disk, too: a replacement without its placeholder does no harm, the reverse does.
            self.edit(_Edit(home, settings, settings, _supplied(settings, app.project, file.path, variable)))
            self.edit(_Edit(place, content, *emptied))
            self.supplies.append(Supply(app.project, app.name, file.path, variable))

    def edit(self, new: _Edit) -> None:
        """Add an edit of a file of a project to what becomes of it already."""
        key = new.place.root, new.place.path
        old = self.edited.get(key)
        if new.before != new.after:
            self.edited[key] = _Edit(new.place, old.before, old.shown, new.after) if old else new

    def look(self, where: Project) -> None:
        """Note the settings files of a project that git tracks, unless they hold a placeholder as they should."""
        files = {file.path: (app.name, file) for app in self.of(where) for file in _settings(app)}
        supplied = {each.file for each in self.supplies if each.project == where.root}
        for path in sorted(self.world.tracked(where.root, list(files))):
            app, file = files[path]
            untrack = f"Untrack it: git -C {shlex.quote(where.root)} rm --cached -- {shlex.quote(path)}"
            rotate = (
                f"If it was ever committed, rotate the consumer secret of {app} (Setup, External Client App "
                "Manager): what was committed stays in the history."
            )
            if _plain(file):
                message = f"git tracks {path}, with the consumer secret of {app} in it."
                first = f"Commit {path} with its placeholder." if path in supplied else untrack
                self.exposures.append(Exposure(where.root, app, path, True, message, (first, rotate)))
            elif file.document.text("consumerSecret") is None:
                message = f"git tracks {path}: no pattern keeps the secret out that a retrieve may bring."
                self.exposures.append(Exposure(where.root, app, path, False, message, (untrack,)))

    def of(self, where: Project) -> Iterator[App]:
        return (app for app in self.found.apps if app.project == where.root)

    def read(self, place: _Place) -> bytes | None:
        """The content of a file, as the draft leaves it; None if it is not there."""
        drafted = self.edited.get((place.root, place.path))
        if drafted:
            return drafted.after
        path = posixpath.join(place.root, place.path)
        if self.world.tree.resolve(path) is None:
            return None
        data = self.world.tree.read(path, metadata.LARGEST)
        if len(data) > metadata.LARGEST:
            raise EcapipeError(unreadable_file(place.file, "it is larger than 1 MiB"))
        return data

    def change(self, edit: _Edit) -> Change:
        place = edit.place
        old = "/dev/null" if edit.before is None else f"a/{place.file}"
        diff = difflib.unified_diff(_lines(edit.shown), _lines(edit.after), old, f"b/{place.file}", lineterm="")
        shown = self.harmless("\n".join(diff))
        return Change(
            place.project, place.file, place.root, place.path, edit.before, edit.after, tuple(shown.split("\n"))
        )

    def harmless(self, text: str) -> str:
        """`text` without any key or secret of the apps."""
        documents = [file.document for app in self.found.apps for file in _settings(app)]
        for key in (element.text for document in documents for element in document.all("consumerKey")):
            text = text.replace(key, mask(key)) if key else text
        secrets = [element.text for document in documents for element in document.all("consumerSecret")]
        real = [secret for secret in secrets if secret and not placeholders.is_placeholder(secret)]
        return redact(text, *(Secret(secret) for secret in real if secret in text))


def _settings(app: App) -> Iterable[SourceFile]:
    """The app's own settings files: one, if all is well."""
    return [file for file in app.files if file.type is metadata.SETTINGS]


def _plain(file: SourceFile) -> str | None:
    """The consumer secret that stands in a settings file: no placeholder, and nothing that is replaced."""
    texts = [element.text for element in file.document.all("consumerSecret")]
    real = [text for text in texts if text and not placeholders.is_placeholder(text)]
    return real[0] if real and "consumerSecret" not in file.replaced else None


def _lines(data: bytes) -> list[str]:
    text = data.decode("utf-8", "replace").removesuffix("\n")
    return [line.removesuffix("\r") for line in text.split("\n")] if text else []


def _emptied(data: bytes, file: SourceFile, placeholder: str) -> tuple[bytes, bytes] | None:
    """A settings file as people may see it, and with `placeholder` for its secret; None unless that is all that
    changes, and no copy of the secret stays behind."""
    span = edits.text_span(data, "consumerSecret")
    secret = _plain(file)
    if span is None or secret is None:
        return None
    head, written, tail = data[: span[0]], data[span[0] : span[1]].strip(), data[span[1] :]
    after = head + placeholder.encode() + tail
    if secret.encode() in after or written in after:
        return None
    try:
        changed = metadata.parse(after, file.type, file.path)
    except EcapipeError:
        return None
    wanted = [placeholder if each.name == "consumerSecret" else each.text for each in file.document.elements]
    return (head + REDACTED.encode() + tail, after) if [each.text for each in changed.elements] == wanted else None


def _supplied(data: bytes, root: str, path: str, variable: str) -> bytes:
    """`sfdx-project.json` with the replacement that puts `variable` into the file at `path` when it is deployed."""
    text = data.decode("utf-8-sig")
    sfdx_project.parse(text, root)  # which raises for a file that could not be edited
    entry = {"filename": path, "stringToReplace": f"@@{variable}@@", "replaceWithEnv": variable}
    byte_order_mark = data[: len(data) - len(text.encode())]
    return byte_order_mark + edits.add_replacement(text, entry).encode()
