"""What keeps consumer secrets out of git, worked out as changes of files and advice (``app protect``)."""

from __future__ import annotations

import difflib
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from ecapipe import credentials, discovery, edits, metadata, problems, project
from ecapipe.apps import App, SourceFile
from ecapipe.changes import Change, Exposure, Protection, Supply
from ecapipe.discovery import Discovery, Where
from ecapipe.problems import EcapipeError
from ecapipe.project import Project
from ecapipe.secret import REDACTED, Secret, mask, redact
from ecapipe.world import Repository, World

Rulings = Callable[[str, Sequence[str]], Repository | None]
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


def plan(
    where: Where, world: World, rulings: Rulings, *, forceignore: bool = False, replace: bool = False
) -> tuple[Discovery, Protection]:
    """What to write so that no settings file gets into git, and what people have to do themselves.

    `forceignore` keeps the files from the Salesforce CLI, too; `replace` takes plain secrets out of them and lets
    the project's replacements put them in at a deploy. Raises `EcapipeError`: what `discovery.discover` raises,
    SettingsDuplicated and AmbiguousVariable.
    """
    found = discovery.discover(where, world)
    draft = _Draft(found, world)
    for each in found.projects:
        draft.ignore(each, rulings, forceignore)
    for app in found.apps if replace else ():
        draft.replace(app)
    for app in found.apps:
        draft.look(app)
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
    world: World
    missing: dict[tuple[str, str], tuple[_Place, dict[str, None]]] = field(default_factory=dict)
    edited: dict[tuple[str, str], _Edit] = field(default_factory=dict)
    exposures: list[Exposure] = field(default_factory=list)
    supplies: list[Supply] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def ignore(self, where: Project, rulings: Rulings, forceignore: bool) -> None:
        """Note the patterns that the ignore files of one project lack, each for the file that decides."""
        root, wanted = self.wanted(where)
        around = rulings(root, list(wanted)) or Repository(root, ".", {})
        usual = self.nearest(".gitignore", root, around)
        for path, pattern in wanted.items():
            ruling = around.rulings.get(path)
            if ruling and ruling.file and ruling.ignored:
                continue
            if ruling and ruling.file:  # an exception, which only a later line takes back
                file = posixpath.relpath(ruling.file, around.prefix)
                self.miss(_Place(root, file, around.top, ruling.file), pattern)
            elif path in around.rulings or not self.listed(usual, pattern):
                self.miss(usual, pattern)
        hidden = self.nearest(".forceignore", root, around)
        for pattern in PATTERNS if forceignore and root == where.root else ():
            if not self.listed(hidden, pattern):
                self.miss(hidden, pattern)

    def wanted(self, where: Project) -> tuple[str, dict[str, str]]:
        """The folder to protect, and the pattern that each path in it should be ignored by: files that are there,
        and files that a retrieve may bring."""
        if not self.world.tree.is_directory(where.root):  # a zip file
            folder, name = posixpath.split(where.root)
            return folder, {name: re.sub(r"([\\*?\[\]!# ])", r"\\\1", name)}
        any_name = f"any.{metadata.SETTINGS.suffix}"
        folders = [*where.package_directories, "."]
        paths = {posixpath.normpath(f"{folder}/{any_name}-meta.xml"): SOURCE_FORMAT for folder in folders}
        paths[any_name] = METADATA_FORMAT
        for file in (file for app in self.found.apps if app.project == where.root for file in _settings(app)):
            paths[file.path] = SOURCE_FORMAT if file.path.endswith("-meta.xml") else METADATA_FORMAT
        return where.root, paths

    def nearest(self, name: str, root: str, around: Repository) -> _Place:
        """The file `name` in the folder `root`, unless only a folder above it in the repository has one."""
        folder = around.prefix
        while not self.world.tree.resolve(posixpath.join(around.top, folder, name)):
            if folder == ".":
                folder = around.prefix
                break
            folder = posixpath.dirname(folder) or "."
        path = posixpath.normpath(posixpath.join(folder, name))
        return _Place(root, posixpath.relpath(path, around.prefix), around.top, path)

    def listed(self, place: _Place, pattern: str) -> bool:
        return edits.lists(self.read(place) or b"", pattern)

    def miss(self, place: _Place, pattern: str) -> None:
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
            raise EcapipeError(problems.settings_duplicated(app.name, [file.path for file in files]))
        variable = credentials.variable("consumerSecret", app.name)
        for other in self.supplies if files else ():
            if other.variable == variable:
                raise EcapipeError(problems.ambiguous_variable(variable, other.app, app.name))
        for file in files:
            home = _Place(app.project, project.FILE, app.project, project.FILE)
            place = _Place(app.project, file.path, app.project, file.path)
            settings, content = self.read(home), self.read(place)
            emptied = _emptied(content or b"", file, f"@@{variable}@@")
            if settings is None or emptied is None:
                why = f"there is no {project.FILE}" if settings is None else "its XML is not as Salesforce writes it"
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

    def look(self, app: App) -> None:
        """Note the settings files of `app` that git tracks, unless they hold a placeholder as they should."""
        files = {file.path: file for file in _settings(app)}
        supplied = {each.file for each in self.supplies if each.project == app.project}
        for path in sorted(self.world.tracked(app.project, list(files))):
            untrack = f"git -C {shlex.quote(app.project)} rm --cached -- {shlex.quote(path)}"
            rotate = (
                f"If it was ever committed, rotate the consumer secret of {app.name} (Setup, External Client App "
                "Manager): what was committed stays in the history."
            )
            if _plain(files[path]):
                message = f"git tracks {path}, with the consumer secret of {app.name} in it."
                first = f"Commit {path} with its placeholder." if path in supplied else f"Untrack it: {untrack}"
                self.exposures.append(Exposure(app.project, app.name, path, True, message, (first, rotate)))
            elif files[path].document.text("consumerSecret") is None:
                message = f"git tracks {path}: no pattern keeps the secret out that a retrieve may bring."
                self.exposures.append(
                    Exposure(app.project, app.name, path, False, message, (f"Untrack it: {untrack}",))
                )

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
            raise EcapipeError(problems.unreadable_file(place.file, "it is larger than 1 MiB"))
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
        real = [secret for secret in secrets if secret and not credentials.is_placeholder(secret)]
        return redact(text, *(Secret(secret) for secret in real if secret in text))


def _settings(app: App) -> Iterable[SourceFile]:
    """The app's own settings files: one, if all is well."""
    return [file for file in app.files if file.type is metadata.SETTINGS]


def _plain(file: SourceFile) -> str | None:
    """The consumer secret that stands in a settings file: no placeholder, and nothing that is replaced."""
    texts = [element.text for element in file.document.all("consumerSecret")]
    real = [text for text in texts if text and not credentials.is_placeholder(text)]
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
    project.parse(text, root)  # which raises for a file that could not be edited
    entry = {"filename": path, "stringToReplace": f"@@{variable}@@", "replaceWithEnv": variable}
    byte_order_mark = data[: len(data) - len(text.encode())]
    return byte_order_mark + edits.add_replacement(text, entry).encode()
