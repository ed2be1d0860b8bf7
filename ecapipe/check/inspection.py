"""A check from beginning to end: the apps, the evidence, the rules, and which findings are new."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.check import baseline, listing
from ecapipe.check.baseline import AcceptedFinding
from ecapipe.check.findings import NOT_EXAMINED, Finding, Level, Purpose, levels
from ecapipe.check.git import Git, GitMissing
from ecapipe.check.ports import CheckAccess
from ecapipe.check.rules import registry
from ecapipe.check.rules.subject import Evidence, Remark, Sighting, holds_secret
from ecapipe.credentials import resolution, sources
from ecapipe.credentials.placeholders import is_placeholder
from ecapipe.credentials.resolution import Credentials, Resolution
from ecapipe.events import AppFacts
from ecapipe.orgs import org_file, selection
from ecapipe.problems.git import git_unavailable
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.project import baseline_not_configured
from ecapipe.project import discovery, metadata
from ecapipe.project.apps import App, SourceFile
from ecapipe.project.discovery import Discovery, ProjectSelection
from ecapipe.project.metadata import Document
from ecapipe.project.sfdx_project import Project
from ecapipe.project.tree import ProjectTree
from ecapipe.saved import store
from ecapipe.secret import Secret, SecretSearch

_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a baseline."""
_OFTEN: Final = 2000
"""Contents of the history between two words about progress."""

_MANY: Final = 50
"""Secrets from which on reading every file is faster than letting git look for them."""

_ASK_GIT: Final = frozenset(
    {
        "secret-tracked-by-git", "secret-staged", "settings-not-gitignored", "push-settings-secret-tracked",
        "certificate-dropped",
    }
)  # fmt: skip
_GO_BY_GIT: Final = _ASK_GIT | {"secret-elsewhere-in-tree", "secret-in-history"}


def silent(words: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What a check is for, and what it looks at.

    `target` is the org of a deploy, as ``--target-org`` names it, `allowed` are hosts accepted besides Salesforce's;
    `staged` reads git's index instead of the disk; `since` leaves only apps that differ from a revision; `history`
    looks for secrets in all commits; `update` accepts what is found; `tell` hears of slow progress.
    """

    purpose: Purpose = "login"
    target: str | None = None
    allowed: tuple[str, ...] = ()
    staged: bool = False
    since: str | None = None
    history: bool = False
    update: bool = False
    tell: Callable[[str], None] = silent


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of a check; `notices` are sentences about the check itself, `rules` those that were applied to some
    project, whether they found something or not."""

    found: Discovery
    apps: tuple[AppFacts, ...]
    findings: tuple[Finding, ...]
    notices: tuple[str, ...]
    rules: frozenset[str]


def inspect(where: ProjectSelection, gate: CheckOptions, world: CheckAccess) -> CheckResult:
    """Find the apps, gather the evidence, apply the rules, compare with the baseline.

    Raises `EcapipeError` as `discovery.discover` and `discovery.require_apps` do, and for a revision, a target or a
    baseline that cannot be used, and for git where it is needed and cannot be asked.
    """
    seen = world.staged() if gate.staged else world
    found = discovery.discover(where, seen)
    on_disk = discovery.discover(replace(where, names=()), world).apps if gate.staged else found.apps
    if not found.unreadable:
        discovery.require_apps(replace(found, apps=(*found.apps, *on_disk)))
    target = _target(gate, found.projects)
    chain = sources.chain(found.apps, (), seen.variable, None)
    everyone = found.apps
    if gate.since is not None:
        found = _since(gate.since, found, seen)
    proven = [resolution.resolve(app, None, chain, store.has_saved_secret(world)) for app in found.apps]
    findings, notices, applied = list[Finding](), list(found.notices), set[str]()
    for project in found.projects:
        inspector = _ProjectCheck(project, gate, seen)
        inspector.keys = _keys(app for app in everyone if app.project == project.root)
        inspector.known += _secrets(app for app in on_disk if app.project == project.root)
        findings += inspector.findings(found, proven, target)
        notices += inspector.notices
        applied |= {rule for rule in inspector.active if inspector.applies(rule)}
    targets = (target,) if target else ()
    facts = tuple(listing.describe(app, each, targets) for app, each in zip(found.apps, proven, strict=True))
    return CheckResult(found, facts, tuple(findings), tuple(notices), frozenset(applied))


class _ProjectCheck:
    """The check of one project."""

    def __init__(self, project: Project, gate: CheckOptions, world: CheckAccess) -> None:
        self.project, self.gate, self.world = project, gate, world
        self.root = project.root
        self.levels = levels(project.rules)
        self.active = registry.active(gate.purpose, self.levels)
        self.notices: list[str] = []
        self.known: list[tuple[str, Secret]] = []
        """Secrets to look for, with the apps they belong to."""
        self.keys: Mapping[str, tuple[str, ...]] = {}
        """Consumer keys, with the apps that have them."""
        self.asked_git = False
        self.unexamined: list[Remark] = []

    def findings(self, found: Discovery, proven: Sequence[Resolution], target: str | None) -> list[Finding]:
        """What the rules say, those in the baseline marked as accepted."""
        accepted = self.baseline()
        mine = [(app, each) for app, each in zip(found.apps, proven, strict=True) if app.project == self.root]
        apps, resolved = [app for app, _ in mine], [each for _, each in mine]
        self.known += _live(resolved)
        evidence = self.evidence(apps, target)
        unreadable = [problem for root, problem in found.failures if root == self.root]
        unreadable += discovery.reserved((self.project,), ())
        findings = registry.check(apps, resolved, unreadable, evidence, self.levels)

        names = {app.name for app in apps}
        whole = found.whole and self.gate.since is None

        def examined(entry: AcceptedFinding) -> bool:
            alone = entry.app in names and entry.rule != "same-key-in-two-apps"
            seen = not evidence.unexamined or entry.rule not in _GO_BY_GIT
            return self.applies(entry.rule) and seen and (whole or alone)

        if self.gate.update and self.project.baseline:
            accepted = tuple(baseline.updated(accepted, findings, examined))
            self.world.write(f"{self.root}/{self.project.baseline}", baseline.render(accepted).encode())
        for entry in baseline.dead(accepted, findings, examined):
            self.notices.append(
                f"{self.project.baseline} accepts {entry.rule} in {entry.file or 'no file'}, which is no longer "
                "found. Take it out with --update-baseline."
            )
        return baseline.accept(findings, accepted)

    def applies(self, rule: str) -> bool:
        """Whether the rule was applied: it speaks, and git, if it needs git, was asked."""
        git = rule not in _ASK_GIT or self.asked_git
        history = rule != "secret-in-history" or self.gate.history
        return rule in self.active and git and history

    def baseline(self) -> tuple[AcceptedFinding, ...]:
        """The accepted findings; raises `EcapipeError` if they are to be written, and the project names no file."""
        name = self.project.baseline
        if name is None:
            if self.gate.update:
                raise EcapipeError(baseline_not_configured(self.root))
            return ()
        if self.world.tree.resolve(f"{self.root}/{name}") is None:
            if not self.gate.update:
                self.notices.append(f"The baseline {name} does not exist. --update-baseline writes it.")
            return ()
        text = self.world.tree.read(f"{self.root}/{name}", _LARGEST).decode("utf-8", "replace")
        return baseline.parse(text, name)

    def evidence(self, apps: Sequence[App], target: str | None) -> Evidence:
        """Everything that the rules are told besides the apps."""
        evidence = Evidence(
            self.root,
            self.gate.purpose,
            self.project.namespace,
            target,
            self.jwt(apps),
            self.keys,
            open_to_others=frozenset(
                file.path
                for file in _settings(apps)
                if holds_secret(file.document) and self.world.tree.open_to_others(f"{self.root}/{file.path}")
            ),
        )
        if not self.world.tree.is_directory(self.root):  # a zip file: nothing in it is git's
            return evidence
        sought = SecretSearch(self.known)
        # First, since git looks for them while it is asked about the rest.
        suspects = self.suspects(sought) if sought and "secret-elsewhere-in-tree" in self.active else ()
        if _ASK_GIT & self.active.keys() and (self.gate.purpose != "login" or _shows_secret(apps)):
            evidence = self.ask_git(apps, evidence)
        evidence = replace(evidence, elsewhere=self.elsewhere(apps, sought, suspects))
        if self.gate.history and "secret-in-history" in self.active:
            evidence = replace(evidence, history=self.history(sought))
        return replace(evidence, unexamined=tuple(self.unexamined))

    def miss(self, message: str, actions: tuple[str, ...], at_most: Level | None = None) -> None:
        """Note what cannot be looked at: for a finding, and where the project switched that off, for a warning."""
        if message not in {each.message for each in self.unexamined}:
            element = f"git {len(self.unexamined) + 1}"
            self.unexamined.append(Remark(message, actions, None, None, element, at_most))
            self.notices += [] if NOT_EXAMINED in self.active else [message]

    def refused(self, error: EcapipeError) -> None:
        """Note that git refuses an answer."""
        problem = error.problem
        at_most: Level | None = "warning" if isinstance(error, GitMissing) else None
        self.miss(f"{problem.message} What git knows was not checked.", problem.actions, at_most)

    def jwt(self, apps: Sequence[App]) -> frozenset[str]:
        """The apps that log in with the JWT flow, as the project's orgs and the environment tell."""
        names = [app.name for app in apps]
        used: set[object] = set(names) if len(names) == 1 and self.world.environ("ECAPIPE_JWT_KEY_FILE") else set()
        for members in self.project.orgs.values():
            if members.get("flow") == "jwt":
                used.update(org_file.listed(members.get("apps")) or names)
        return frozenset(name for name in names if name in used)

    def ask_git(self, apps: Sequence[App], evidence: Evidence) -> Evidence:
        """The evidence, and what git knows of files that hold, or may get, a secret."""
        files = [*_settings(apps), *(file for app in apps for file in app.files if file.type is metadata.PUSH)]
        for git, named in self.by_repository(files):
            try:
                evidence = _asked(git, named, evidence)
                self.asked_git = True
            except EcapipeError as error:  # what another repository tells still counts
                self.refused(error)
        return evidence

    def by_repository(self, files: Iterable[SourceFile]) -> Iterator[tuple[Git, dict[str, SourceFile]]]:
        """The files by the repository they lie in, under the names git gives them; a submodule is one of its own."""
        folders: dict[str, Git | None] = {}
        grouped: dict[str, tuple[Git, dict[str, SourceFile]]] = {}
        for file in files:
            place = posixpath.normpath(f"{self.root}/{file.path}")
            folder = place.rpartition("/")[0] or "/"
            if folder not in folders:
                folders[folder] = self.around(folder)
            git = folders[folder]
            if git is not None and (name := git.name(place)):
                grouped.setdefault(git.top, (git, {}))[1][name] = file
        yield from grouped.values()

    def around(self, folder: str) -> Git | None:
        """The repository around a folder, if there is one and it can be opened."""
        try:
            return self.world.git(folder)
        except EcapipeError as error:
            self.refused(error)
            return None

    def elsewhere(
        self, apps: Sequence[App], sought: SecretSearch, suspects: Iterable[tuple[Sequence[str], Iterator[bytes]]]
    ) -> Mapping[str, tuple[Sighting, ...]]:
        """Where secrets stand besides the settings files of their apps."""
        found: dict[str, tuple[Sighting, ...]] = {}
        try:
            for paths, pieces in suspects:
                for app, line in sought.find(pieces).items():
                    found[app] = (*found.get(app, ()), *(Sighting(path, line) for path in paths))
        except EcapipeError as error:  # git lists them, or looks for them
            self.refused(error)
        own = {app.name: {file.path for file in _settings((app,))} for app in apps if app.name in found}
        return {
            app: tuple(each for each in sightings if each.path not in own.get(app, ()))
            for app, sightings in found.items()
        }

    def suspects(self, sought: SecretSearch) -> Iterable[tuple[Sequence[str], Iterator[bytes]]]:
        """The contents that may hold a secret, with their paths: git knows what is ignored, and finds a few fast.

        Before a login nothing is read that is in no repository: it is shared with nobody.
        """
        git = self.repository()
        folder = git.name(self.root) if git else None
        above = "" if folder in (None, ".") else f"{folder}/"
        held: Iterable[str]
        if git is None or folder is None:
            held = () if self.gate.purpose == "login" else self.world.tree.files(self.root)
        elif self.gate.staged:
            contents = git.staged(folder)
            return (([name.removeprefix(above) for name in names], pieces) for names, pieces in contents)
        else:
            held = git.holding(folder, sought) if len(sought) < _MANY else git.files(folder)
        paths = (name.removeprefix(above) for name in held)
        return (([path], self.world.tree.pieces(f"{self.root}/{path}")) for path in paths)

    def repository(self) -> Git | None:
        """The repository around the project, if there is one and git reads it."""
        git = self.around(self.root)
        try:
            if git is not None:
                git.index()
        except EcapipeError as error:
            self.refused(error)
            return None
        return git

    def history(self, sought: SecretSearch) -> Mapping[str, tuple[str, ...]]:
        """The paths at which secrets stand in the history, by app."""
        git = self.world.git(self.root)
        if git is None:
            raise EcapipeError(git_unavailable(self.root, "there is no repository"))
        if not sought:
            self.notices.append("No consumer secret is known that could be looked for in the history.")
            return {}
        if git.shallow:
            part = "The clone is shallow: only a part of the history was searched."
            self.miss(part, ("Fetch the rest, and check again: git fetch --unshallow",), "warning")
        folder = git.name(self.root) or "."
        found: dict[str, set[str]] = {}
        for count, (name, pieces) in enumerate(git.history(), 1):
            if count % _OFTEN == 0:
                self.gate.tell(f"Searching the history: {count} contents")
            for app in sought.find(pieces):
                found.setdefault(app, set()).add(posixpath.relpath(name, folder))
        return {app: tuple(sorted(paths)) for app, paths in found.items()}


def _target(gate: CheckOptions, projects: Sequence[Project]) -> str | None:
    """The org id of the deploy target: None without one, empty if it is not known."""
    if gate.target is None:
        return "" if gate.purpose == "deploy" else None
    known = {alias: members for project in projects for alias, members in project.orgs.items()}
    return selection.choose(gate.target, known, gate.allowed).org_id or ""


def _since(revision: str, found: Discovery, world: CheckAccess) -> Discovery:
    """Only the apps of which a file differs from `revision`, is not in it, or is only in it.

    What git ignores or does not track is in no revision, so it always counts.
    """
    apps, failures = list[App](), list[tuple[str, Problem]]()
    for project in found.projects:
        root = project.root
        git = world.git(root)
        if git is None:
            raise EcapipeError(git_unavailable(root, "there is no repository"))
        mine = [app for app in found.apps if app.project == root]
        broken = [problem for where, problem in found.failures if where == root]
        paths = {file.path for app in mine for file in app.files} | {problem.file or "" for problem in broken}
        changed = _changed(paths, root, git.at(revision), git, world.tree)
        gone = _gone(paths, root, git.at(revision), git)
        apps += [app for app in mine if any(file.path in changed or file.app in gone for file in app.files)]
        failures += [(root, problem) for problem in broken if problem.file in changed]
    return replace(found, apps=tuple(apps), failures=tuple(failures))


def _changed(paths: Iterable[str], root: str, then: Mapping[str, str], git: Git, tree: ProjectTree) -> set[str]:
    blobs = {path: then.get(git.name(f"{root}/{path}") or "") for path in paths}
    contents = git.read(blob for blob in blobs.values() if blob)
    changed = set()
    for path, blob in blobs.items():
        # Line endings are git's to change on the way to the disk.
        now = tree.read(f"{root}/{path}", metadata.LARGEST).replace(b"\r\n", b"\n") if blob else b""
        if blob is None or contents.get(blob, b"").replace(b"\r\n", b"\n") != now:
            changed.add(path)
    return changed


def _gone(paths: set[str], root: str, then: Mapping[str, str], git: Git) -> set[str]:
    """The apps of files that are no longer there."""
    folder = git.name(root) or "."
    missing = {}
    for name, blob in then.items():
        known = metadata.recognise(name.rpartition("/")[2])
        path = posixpath.relpath(name, folder)
        if known and path not in paths and not path.startswith("../"):
            missing[path] = (known, blob)
    contents = git.read(blob for _, blob in missing.values())
    gone = set()
    for path, ((type, name), blob) in missing.items():
        try:
            document = metadata.parse(contents.get(blob, b""), type, path)
        except EcapipeError:  # it could not be read then, and belonged to no app
            continue
        gone.add(SourceFile(path, type, name, document).app or "")
    return gone


def _asked(git: Git, named: Mapping[str, SourceFile], evidence: Evidence) -> Evidence:
    """The evidence, and what one repository knows of files in it."""
    index, head = git.index(), git.at("HEAD")
    settings = {name: file for name, file in named.items() if file.type is metadata.SETTINGS}
    ignored = git.ignored(settings)
    new = {name for name in settings if name in index and index[name] != head.get(name)}
    dropped = {name for name, file in settings.items() if not file.document.text("certificate")}
    contents = git.read([*(index[name] for name in new), *(head[name] for name in new | dropped if name in head)])
    staged, certified = set[str](), set[str]()
    for name, file in settings.items():
        before = contents.get(head.get(name, ""), b"")
        if name in new and _secrets_in(contents.get(index[name], b"")) - _secrets_in(before):
            staged.add(file.path)
        if name in dropped and (document := _parsed(before, b"certificate")) and document.text("certificate"):
            certified.add(file.path)
    return replace(
        evidence,
        tracked=evidence.tracked | {file.path for name, file in named.items() if name in index},
        unignored=evidence.unignored | {file.path for name, file in settings.items() if name not in ignored},
        staged=evidence.staged | staged,
        certified=evidence.certified | certified,
    )


def _shows_secret(apps: Sequence[App]) -> bool:
    """Whether a file of the apps holds something that git should not have; without one, git is not loaded."""
    push = any(file.type is metadata.PUSH for app in apps for file in app.files)
    return push or any(holds_secret(file.document) for file in _settings(apps))


def _settings(apps: Iterable[App]) -> list[SourceFile]:
    """All settings files, borrowed ones too."""
    own = [file for app in apps for file in app.files if file.type is metadata.SETTINGS]
    return [*own, *(app.lent for app in apps if app.lent)]


def _keys(apps: Iterable[App]) -> dict[str, tuple[str, ...]]:
    keys: dict[str, tuple[str, ...]] = {}
    for app in apps:
        if app.settings and (key := app.settings.document.text("consumerKey")):
            keys[key] = (*keys.get(key, ()), app.name)
    return keys


def _secrets(apps: Iterable[App]) -> list[tuple[str, Secret]]:
    """The consumer secrets in settings files, with their apps."""
    return [
        (app.name, Secret(element.text))
        for app in apps
        for file in _settings((app,))
        for element in file.document.all("consumerSecret")
        if element.text and not is_placeholder(element.text)
    ]


def _live(proven: Iterable[Resolution]) -> list[tuple[str, Secret]]:
    """The consumer secrets that a login would use, wherever they come from."""
    ready = [each.outcome for each in proven if isinstance(each.outcome, Credentials)]
    return [(each.app.name, each.consumer_secret) for each in ready if each.consumer_secret]


def _secrets_in(content: bytes) -> set[str]:
    document = _parsed(content, b"consumerSecret")
    texts = [element.text for element in document.all("consumerSecret")] if document else []
    return {text for text in texts if text and not is_placeholder(text)}


def _parsed(content: bytes, word: bytes) -> Document | None:
    """An earlier or staged version of a settings file, if it holds `word`; None too if it cannot be read."""
    if word not in content:
        return None
    try:
        return metadata.parse(content, metadata.SETTINGS, "")
    except EcapipeError:  # a finding of its own where it is the version that is checked
        return None
