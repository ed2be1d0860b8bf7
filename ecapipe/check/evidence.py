"""What is gathered about a project before the rules are applied: from git, other files, and the history."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

from ecapipe.check.findings import NOT_EXAMINED, USING, Level
from ecapipe.check.git import Git, GitMissing
from ecapipe.check.options import CheckOptions
from ecapipe.check.ports import CheckAccess
from ecapipe.check.rules import registry
from ecapipe.check.rules.subject import Evidence, Need, Remark, Sighting, holds_secret
from ecapipe.credentials.placeholders import is_placeholder
from ecapipe.oauth.flows.jwt import JWT
from ecapipe.orgs import org_file
from ecapipe.orgs.hosts import is_instanced
from ecapipe.orgs.org import Org
from ecapipe.problems.git import git_unavailable
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.usage import unreadable_file
from ecapipe.project import metadata
from ecapipe.project.apps import App, SourceFile
from ecapipe.project.metadata import Document
from ecapipe.project.sfdx_project import Project
from ecapipe.secret import Secret, SecretSearch

FROM_GIT: Final[frozenset[Need]] = frozenset({"exposed", "unignored", "staged", "certified"})
"""The evidence that is not there until git was asked about the settings files."""
WITH_GIT: Final[frozenset[Need]] = FROM_GIT | {"elsewhere", "history"}
"""The evidence that is less where git refuses an answer."""

_GENERATED: Final = re.compile(rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")
"""A consumer secret as Salesforce makes it."""
_NAMED: Final = re.compile(rb"[<:]consumerSecret\b[^<>]{0,200}>\s*([^<\s][^<]{0,999})", re.IGNORECASE)
"""A consumer secret in what may be no element to a parser, such as a comment."""
_ELEMENT: Final = re.compile(
    rb"[<:]consumerSecret\b[^<>]{0,200}>\s*(?:<!\[CDATA\[)?\s*(?:[0-9A-F]{64}|[0-9]{16,20})\s*[<\]]", re.IGNORECASE
)
"""One as Salesforce makes it, now or of old, where it stands in a file of any name."""
_PUSH_KEY: Final = re.compile(rb"[<:](?:applePushConfig|androidPushConfig)\b")
_OVERLAP: Final = 2048
"""Bytes that are looked at with one piece and the next, for a secret may lie across."""
_SETTINGS: Final = f".{metadata.SETTINGS.suffix.lower()}"
_PUSH: Final = f".{metadata.PUSH.suffix.lower()}"
_CONSUMER_KEY: Final = re.compile(r"<consumerKey>\s*([^<\s]+)")

_PROGRESS_STEP: Final = 2000
"""Contents of the history between two words about progress."""

_MANY_SECRETS: Final = 50
"""Secrets from which on reading every file is faster than letting git look for them."""


def settings_files(apps: Iterable[App]) -> list[SourceFile]:
    """All settings files, borrowed ones too."""
    own = [file for app in apps for file in app.files if file.type is metadata.SETTINGS]
    return [*own, *(app.borrowed_settings for app in apps if app.borrowed_settings)]


def consumer_keys(apps: Iterable[App]) -> dict[str, tuple[str, ...]]:
    """The consumer keys in settings files, with the names of the apps that have them."""
    keys: dict[str, list[str]] = {}
    for app in apps:
        if app.settings and (key := app.settings.document.text("consumerKey")):
            keys.setdefault(key, []).append(app.name)
    return {key: tuple(names) for key, names in keys.items()}


def consumer_secrets(apps: Iterable[App]) -> list[tuple[str, Secret]]:
    """The consumer secrets in settings files, with their apps."""
    return [
        (app.name, Secret(text))
        for app in apps
        for file in settings_files((app,))
        for text in _secrets(file.document)
    ]


@dataclass(frozen=True, slots=True)
class Target:
    """The org of a deploy, if it is known."""

    org: Org | None = None

    @property
    def org_id(self) -> str:
        """Its id; empty if that is not known."""
        return (self.org and self.org.org_id) or ""


@dataclass(frozen=True, slots=True)
class _Content:
    """Bytes that may hold a secret, and the paths they stand at."""

    paths: Sequence[str]
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository, and files in it under the names that git gives them."""

    git: Git
    files: dict[str, SourceFile] = field(default_factory=dict)


class EvidenceCollector:
    """Gathers the evidence about one project, for the rules in `active`.

    `keys` are consumer keys with the apps that have them, `secrets` the secrets to look for, with the apps they
    belong to. What cannot be looked at is noted in `unexamined`, not raised: the other rules still apply.
    """

    def __init__(
        self,
        project: Project,
        options: CheckOptions,
        world: CheckAccess,
        *,
        active: Collection[str],
        keys: Mapping[str, tuple[str, ...]],
        secrets: Sequence[tuple[str, Secret]],
    ) -> None:
        self._project, self._options, self._world = project, options, world
        self._root = project.root
        self._active = active
        self._needs = registry.needs(active)
        self._keys = keys
        self._search = SecretSearch(secrets)
        self._today = world.clock.utc()[:10]
        self.notices: list[str] = []
        self.has_git_facts = False
        """Whether some repository answered about the settings files."""
        self.unexamined: list[Remark] = []
        self._opened: dict[str, Git] = {}

    def collect(
        self,
        apps: Sequence[App],
        target: Target | None,
        problems: Sequence[Problem],
        connected_apps: Iterable[str],
        elsewhere: Callable[[str], bool] | None = None,
    ) -> Evidence:
        """Everything that the rules know besides the apps; `problems` are those of files that belong to no app for
        them, `connected_apps` the files of such. `elsewhere`: whether a file of the repository, by its absolute path,
        is this project's to answer for though it is no app's; None if `apps` are not all."""
        for problem in problems:
            if problem.kind is unreadable_file:
                self._note_refusal(EcapipeError(problem))
        expired, invalid = self._certificate_faults(apps)
        beside = self._connected_apps(connected_apps) if apps else {}
        evidence = Evidence(
            root=self._root,
            purpose=self._options.purpose,
            namespace=self._project.namespace,
            today=self._today,
            target=target.org_id if target else None,
            org=target.org if target else None,
            jwt=self._jwt_apps(apps),
            keys=self._keys,
            open_to_others=self._files_open_to_others(apps),
            expired_certificates=expired,
            invalid_certificates=invalid,
            instanced_urls=self._instanced_urls(target) if apps else {},
            connected_apps=beside,
            unfit_api_version=self._project.unfit_api_version if apps else None,
            problems=tuple(problems),
            unexamined=tuple(self.unexamined),
        )
        # Nothing in a zip file is git's, and its other files are not looked at.
        if not self._world.tree.is_directory(self._root):
            return evidence
        # First, since git looks for them while it is asked about the rest.
        suspects: Iterable[_Content] = ()
        if self._search and "elsewhere" in self._needs:
            suspects = self._suspects()
        if self._is_git_needed(apps):
            evidence = self._ask_git(apps, evidence)
            if elsewhere and self._options.purpose not in USING:
                own = {file.path for file in (*settings_files(apps), *_push_files(apps))}
                strays = self._strays(own, elsewhere)
                pushes = tuple(path for path in strays if _PUSH in path.lower())
                others = tuple(path for path in strays if path not in pushes)
                evidence = replace(evidence, strays=others, stray_pushes=pushes)
        if "deleted" in self._needs:
            evidence = replace(evidence, deleted=self._deleted_settings(apps))
        evidence = replace(evidence, elsewhere=self._sightings(apps, suspects))
        if self._options.history and "history" in self._needs:
            evidence = replace(evidence, history=self._paths_in_history())
        for git in self._opened.values():
            self._note_lack(git)
        return replace(evidence, unexamined=tuple(self.unexamined))

    def _files_open_to_others(self, apps: Sequence[App]) -> frozenset[str]:
        """The settings files that hold a secret and that other users of this machine may read."""
        if "open_to_others" not in self._needs:
            return frozenset()
        files = [file.path for file in settings_files(apps) if holds_secret(file.document)]
        return frozenset(path for path in files if self._world.tree.open_to_others(f"{self._root}/{path}"))

    def _certificate_faults(self, apps: Sequence[App]) -> tuple[dict[str, str], frozenset[str]]:
        """The settings files whose certificate has expired, with the day, and those with what is no certificate."""
        expired, invalid = dict[str, str](), set[str]()
        for file in settings_files(apps):
            text = file.document.text("certificate")
            # What a replacement of the project puts there is not looked at.
            if text is None or "certificate" in file.replaced:
                continue
            end = self._world.certificate_end(text)
            if end is None:
                invalid.add(file.path)
            elif end < self._today:
                expired[file.path] = end
        return expired, frozenset(invalid)

    def _instanced_urls(self, target: Target | None) -> dict[str, str]:
        """The addresses of orgs that are those of an instance, by the place that gives them."""
        project = self._project
        addresses: dict[str, object] = {"sfdcLoginUrl": project.login_url}
        addresses |= {f"plugins.ecapipe.orgs.{alias}": org.get("url") for alias, org in project.orgs.items()}
        if target and self._options.target not in project.orgs:
            addresses["--target-org"] = target.org and target.org.url
        return {place: url for place, url in addresses.items() if isinstance(url, str) and is_instanced(url)}

    def _connected_apps(self, paths: Iterable[str]) -> dict[str, list[str]]:
        """The files of connected apps, by the app's name and by its consumer key."""
        found: dict[str, list[str]] = {}
        for path in paths if "connected_apps" in self._needs else ():
            try:
                text = self._world.tree.read(f"{self._root}/{path}", metadata.LARGEST).decode("utf-8", "replace")
            except EcapipeError as error:
                self._note_refusal(error)
                continue
            for word in (metadata.connected_app(posixpath.basename(path)) or "", *_CONSUMER_KEY.findall(text)):
                found.setdefault(word, []).append(path)
        return found

    def _deleted_settings(self, apps: Sequence[App]) -> dict[str, str]:
        """The apps without a settings file that had one in the last commit, with its path."""
        missing = {app.name for app in apps if not app.settings}
        git = self._open_project() if missing else None
        folder = git.name(self._root) if git else None
        if git is None or folder is None:
            return {}
        try:
            head = {name: blob for name, blob in git.at("HEAD").items() if _is_settings(name)}
            contents = git.read(head.values())
        except EcapipeError as error:
            self._note_refusal(error)
            return {}
        deleted: dict[str, str] = {}
        for name, blob in head.items():
            document = _parse_version(contents.get(blob, b""), b"externalClientApplication")
            app = document.text("externalClientApplication") if document else None
            if app in missing:
                deleted[app] = posixpath.relpath(name, folder)
        return deleted

    def _is_git_needed(self, apps: Sequence[App]) -> bool:
        """Whether a rule asks for git's answers. Before a login git is not even loaded unless there is a secret that
        it should not have."""
        if FROM_GIT.isdisjoint(self._needs):
            return False
        return self._options.purpose not in USING or _any_secret(apps)

    def _note_unexamined(
        self, message: str, actions: tuple[str, ...], at_most: Level | None = None, file: str | None = None
    ) -> None:
        """Note what cannot be looked at: for a finding, and where the project switched that off, for a warning."""
        # Several questions meet the same refusal.
        if message in {remark.message for remark in self.unexamined}:
            return
        # The number keeps the fingerprints of several such findings apart.
        element = "" if file else f"git {len(self.unexamined) + 1}"
        self.unexamined.append(Remark(message, actions, file=file, line=None, element=element, at_most=at_most))
        # Never in silence: a gate that says nothing of what it could not see stands open.
        if NOT_EXAMINED not in self._active:
            self.notices.append(message)

    def _note_refusal(self, error: EcapipeError) -> None:
        """Note that git refuses an answer, or that a file cannot be read."""
        problem = error.problem
        if problem.kind is unreadable_file:
            file = posixpath.relpath(posixpath.join(self._root, problem.file or "."), self._root)
            # A settings file is read for itself, and for the secrets of others.
            if file not in {remark.file for remark in self.unexamined}:
                self._note_unexamined(problem.message, problem.actions, file=file)
            return
        at_most: Level | None = None
        if isinstance(error, GitMissing):
            at_most = "warning"
        self._note_unexamined(f"{problem.message} Checks that need git were skipped.", problem.actions, at_most)

    def _note_lack(self, git: Git) -> None:
        """Note the contents that a repository should hold, and does not."""
        if git.lacking:
            self._note_unexamined(
                f"{git.top} lacks {git.lacking} of the objects to search.",
                ("Check a full clone, or find damaged objects: git fsck",),
                "warning" if git.partial else None,
            )

    def _jwt_apps(self, apps: Sequence[App]) -> frozenset[str]:
        """The apps that log in with the JWT flow, by the project's orgs and the environment."""
        names = [app.name for app in apps]
        jwt: set[object] = set()
        # The variable names one key, and a key is for one app.
        if len(names) == 1 and self._world.environ("ECAPIPE_JWT_KEY_FILE"):
            jwt.update(names)
        for members in self._project.orgs.values():
            if members.get("flow") == JWT.name:
                jwt.update(org_file.listed(members.get("apps")) or names)
        return frozenset(name for name in names if name in jwt)

    def _ask_git(self, apps: Sequence[App], evidence: Evidence) -> Evidence:
        """The evidence, and what git knows of files that hold, or may get, a secret."""
        for repository in self._repositories([*settings_files(apps), *_push_files(apps)]):
            try:
                evidence = _with_git_facts(evidence, repository)
            except EcapipeError as error:
                # The answers of other repositories still count.
                self._note_refusal(error)
            else:
                self.has_git_facts = True
        return evidence

    def _strays(self, own: Collection[str], elsewhere: Callable[[str], bool]) -> tuple[str, ...]:
        """The files of the project's repository that hold a consumer secret or a push key and are called like the
        files of such, or hold a secret in its element; none of `own`, which are relative to the project."""
        found = list[str]()
        project = self._open_project()
        for git in (*filter(None, (project,)), *self._inner(project)):
            try:
                found += self._strays_in(git, own, elsewhere)
            except EcapipeError as error:
                self._note_refusal(error)
            else:
                self.has_git_facts = True
        return tuple(found)

    def _strays_in(self, git: Git, own: Collection[str], elsewhere: Callable[[str], bool]) -> list[str]:
        """Those of one repository; raises what git raises."""
        own_names = {git.name(f"{self._root}/{path}") for path in own}
        scope = "." if elsewhere(git.top) else git.name(self._root) or "."
        suffixes = _SETTINGS, _PUSH
        files = {name: blob for name, blob in git.index().items() if any(map(name.lower().__contains__, suffixes))}
        files |= git.naming(scope, "consumerSecret")
        names: dict[str, list[str]] = {}
        for name, blob in files.items():
            if name not in own_names and elsewhere(posixpath.join(git.top, name)):
                names.setdefault(blob, []).append(name)
        found = [name for blob, pieces in git.stream(names) for name in _telling(names[blob], pieces)]
        root = self._world.tree.target(self._root)
        return [posixpath.relpath(posixpath.join(git.top, name), root) for name in found]

    def _repositories(self, files: Iterable[SourceFile]) -> Iterable[_Repository]:
        """The repositories that `files` lie in; a submodule is one of its own."""
        opened: dict[str, Git | None] = {}
        repositories: dict[str, _Repository] = {}
        for file in files:
            path = posixpath.normpath(f"{self._root}/{file.path}")
            folder = path.rpartition("/")[0] or "/"
            # Once for each folder: looking for a repository climbs the tree.
            if folder not in opened:
                opened[folder] = self._open(folder)
            git = opened[folder]
            if git is not None and (name := git.name(path)):
                repositories.setdefault(git.top, _Repository(git)).files[name] = file
        return repositories.values()

    def _open(self, folder: str) -> Git | None:
        """The repository around a folder, if there is one and it can be opened."""
        try:
            git = self._world.git(folder)
        except EcapipeError as error:
            self._note_refusal(error)
            return None
        if git is not None:
            self._opened[git.top] = git
        return git

    def _open_project(self) -> Git | None:
        """The repository around the project, if there is one and git reads it."""
        git = self._open(self._root)
        if git is None:
            return None
        try:
            git.index()
        except EcapipeError as error:
            self._note_refusal(error)
            return None
        return git

    def _suspects(self) -> Iterable[_Content]:
        """The contents that may hold a secret: git knows what is ignored, and finds a few secrets fast."""
        git = self._open_project()
        folder = git.name(self._root) if git else None
        if git is None or folder is None:
            # Before a login nothing is read that is in no repository: it is shared with nobody.
            if self._options.purpose in USING:
                return ()
            suspects: list[Iterable[_Content]] = [self._contents(self._world.tree.files(self._root), "")]
        else:
            suspects = [self._suspects_of(git, folder, "" if folder == "." else f"{folder}/")]
        for inner in self._inner(git):
            place = posixpath.relpath(inner.top, self._world.tree.target(self._root))
            suspects.append(self._suspects_of(inner, ".", "", f"{place}/"))
        return chain(*suspects)

    def _inner(self, project: Git | None) -> Iterator[Git]:
        """The package directories that are repositories of their own, besides that around the project."""
        tops = {project.top} if project else set[str]()
        for directory in self._project.package_directories:
            place = posixpath.join(self._root, directory)
            # A link that leads outside is not followed.
            git = self._open(place) if self._world.tree.holds(self._root, place) else None
            if git is not None and git.top not in tops:
                tops.add(git.top)
                yield git

    def _suspects_of(self, git: Git, folder: str, prefix: str, place: str = "") -> Iterable[_Content]:
        """Those in a `folder` of one repository, which git names by `prefix`, and the project by `place`."""
        if self._options.staged:
            return _without_prefix(git.staged(folder), prefix, place)
        on_disk = git.holding(folder, self._search) if len(self._search) < _MANY_SECRETS else git.files(folder)
        # Meanwhile git looks through the disk.
        return chain(_without_prefix(git.altered(folder), prefix, place), self._contents(on_disk, prefix, place))

    def _contents(self, names: Iterable[str], prefix: str, place: str = "") -> Iterator[_Content]:
        """The contents of files on the disk; `names` are below `prefix`, which the project calls `place`."""
        paths = (place + name.removeprefix(prefix) for name in names)
        return (_Content([path], self._world.tree.pieces(f"{self._root}/{path}")) for path in paths)

    def _sightings(self, apps: Sequence[App], suspects: Iterable[_Content]) -> Mapping[str, tuple[Sighting, ...]]:
        """The places of secrets besides the settings files of their apps, by app."""
        sightings: dict[str, dict[str, Sighting]] = {}
        try:
            for content in suspects:
                for app, line in self._find(content.pieces).items():
                    of_app = sightings.setdefault(app, {})
                    for path in content.paths:
                        of_app.setdefault(path, Sighting(path, line))
        except EcapipeError as error:
            # git lists the files, or looks for the secrets, only while its answer is read.
            self._note_refusal(error)
        own_paths = {
            app.name: {file.path for file in settings_files((app,))} for app in apps if app.name in sightings
        }
        return {
            app: tuple(each for path, each in places.items() if path not in own_paths.get(app, ()))
            for app, places in sightings.items()
        }

    def _find(self, pieces: Iterator[bytes]) -> Mapping[str, int]:
        """The apps of which a secret stands in a file, with the lines; a file that cannot be read is noted."""
        try:
            return self._search.find(pieces)
        except EcapipeError as error:
            if error.problem.kind is not unreadable_file:
                raise
            self._note_refusal(error)
            return {}

    def _paths_in_history(self) -> Mapping[str, tuple[str, ...]]:
        """The paths at which secrets stand in the history, by app.

        Raises what git raises: who asks for the history is not content with a part of the answer.
        """
        git = self._world.git(self._root)
        if git is None:
            raise EcapipeError(git_unavailable(self._root, "there is no repository"))
        self._opened[git.top] = git
        if not self._search:
            self.notices.append("The history was not searched: no consumer secret is known.")
            return {}
        if git.shallow:
            message = "Only part of the history was searched: the clone is shallow."
            action = "Fetch the full history, then check again: git fetch --unshallow"
            self._note_unexamined(message, (action,), at_most="warning")
        folder = git.name(self._root) or "."
        paths: dict[str, set[str]] = {}
        total, contents = git.history()
        for count, (name, pieces) in enumerate(contents, 1):
            if count % _PROGRESS_STEP == 0:
                self._world.tell("Searching the history", count, total)
            for app in self._search.find(pieces):
                paths.setdefault(app, set()).add(posixpath.relpath(name, folder))
        return {app: tuple(sorted(each)) for app, each in paths.items()}


def _with_git_facts(evidence: Evidence, repository: _Repository) -> Evidence:
    """The evidence, and what one repository knows of files in it."""
    git, files = repository.git, repository.files
    settings = {name: file for name, file in files.items() if file.type is metadata.SETTINGS}
    index, head = git.index(), git.at("HEAD")
    ignored = git.ignored(settings)
    # A link may lead to a file of any name.
    blobs = {name: index.get(name) or (None if ".eca" in name.lower() else git.blob(name)) for name in files}
    indexed = {name: blob for name, blob in blobs.items() if blob}
    unignored = {file.path for name, file in settings.items() if name not in ignored}
    changed = {name for name in settings if name in index and index[name] != head.get(name)}
    uncertified = {name for name, file in settings.items() if not file.document.text("certificate")}
    # All in one question: each starts a program, and only what can have an effect on a rule is read.
    contents = git.read([*indexed.values(), *(head[name] for name in changed | uncertified if name in head)])
    committed = {name: contents.get(head.get(name, ""), b"") for name in settings}
    staged = {name for name in changed if _new_secrets(contents.get(index[name], b""), committed[name])}
    certified = {name for name in uncertified if _has_certificate(committed[name])}
    # Comments and attributes are no elements, and git may have what the disk does not.
    exposed = {
        files[name].path for name, blob in indexed.items() if _holds_secret(files[name], contents.get(blob, b""))
    }
    return replace(
        evidence,
        exposed=evidence.exposed | exposed,
        unignored=evidence.unignored | unignored,
        staged=evidence.staged | {settings[name].path for name in staged},
        certified=evidence.certified | {settings[name].path for name in certified},
    )


def _holds_secret(file: SourceFile, content: bytes) -> bool:
    """Whether a file of an app holds what git should not have, on the disk or by its `content` in git."""
    if file.type is metadata.PUSH:
        on_disk = file.document.names & {"applePushConfig", "androidPushConfig"}
        return bool(on_disk or _PUSH_KEY.search(_narrow(content)))
    return holds_secret(file.document) or bool(secrets_in(content))


def _without_prefix(
    contents: Iterator[tuple[Sequence[str], Iterator[bytes]]], prefix: str, place: str = ""
) -> Iterator[_Content]:
    return (_Content([place + name.removeprefix(prefix) for name in names], pieces) for names, pieces in contents)


def _is_settings(name: str) -> bool:
    type_and_name = metadata.recognise(posixpath.basename(name))
    return type_and_name is not None and type_and_name[0] is metadata.SETTINGS


def _push_files(apps: Iterable[App]) -> list[SourceFile]:
    return [file for app in apps for file in app.files if file.type is metadata.PUSH]


def _any_secret(apps: Sequence[App]) -> bool:
    """Whether a file of the apps holds something that git should not have; push settings hold keys by nature."""
    if _push_files(apps):
        return True
    return any(holds_secret(file.document) for file in settings_files(apps))


def _secrets(document: Document) -> list[str]:
    texts = [element.text for element in document.all("consumerSecret")]
    return [text for text in texts if text and not is_placeholder(text)]


def _new_secrets(content: bytes, earlier: bytes) -> set[str]:
    """The consumer secrets that a settings file in git holds and its earlier version does not."""
    return secrets_in(content) - secrets_in(earlier)


def secrets_in(content: bytes) -> set[str]:
    """The consumer secrets in a settings file, wherever they stand in it, also in UTF-16 and across lines."""
    text = _narrow(content)
    parts = {*_GENERATED.findall(text), *_GENERATED.findall(b"".join(text.split())), *_NAMED.findall(text)}
    secrets = {part.decode("utf-8", "replace").strip() for part in parts}
    document = _parse_version(content, b"consumerSecret")
    if document is not None:
        secrets.update(_secrets(document))
    return {secret for secret in secrets if not is_placeholder(secret)}


def _evidence_of(name: str) -> Callable[[bytes], object]:
    """Tells whether a part of a file holds what git should not have, by the file's name."""
    if _SETTINGS in name.lower():
        return secrets_in
    pattern = _PUSH_KEY if _PUSH in name.lower() else _ELEMENT
    return lambda content: pattern.search(_narrow(content))


def _narrow(content: bytes) -> bytes:
    """Plain letters in UTF-16 as those in UTF-8."""
    return content.replace(b"\0", b"")


def _telling(names: Sequence[str], pieces: Iterable[bytes]) -> list[str]:
    """Those of the `names` of a content, however large, under which it holds what git should not have."""
    tail, kinds = b"", {name: _evidence_of(name) for name in names}
    found = set[str]()
    for piece in pieces:
        found.update(name for name, holds in kinds.items() if name not in found and holds(tail + piece))
        tail = piece[-_OVERLAP:]
    return sorted(found)


def _has_certificate(content: bytes) -> bool:
    document = _parse_version(content, b"certificate")
    return document is not None and document.text("certificate") is not None


def _parse_version(content: bytes, word: bytes) -> Document | None:
    """An earlier or staged version of a settings file, if it holds `word`; None too if it cannot be read."""
    # Parsing takes far longer than a look for a word, in UTF-16 too.
    if word not in _narrow(content):
        return None
    try:
        return metadata.parse(content, metadata.SETTINGS, "")
    except EcapipeError:
        # A finding of its own where it is the version that is checked.
        return None
