"""Key and secret, put into the settings file that the app has here (``--write-back``)."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Mapping, Sequence
from typing import Final

from ecapipe.check.git import Git
from ecapipe.credentials import placeholders, sources
from ecapipe.credentials.resolution import Credentials, Resolution
from ecapipe.login.tracker import StageWork
from ecapipe.problems.git import git_command
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import not_written_back
from ecapipe.project import edits, metadata
from ecapipe.project.apps import App, SourceFile
from ecapipe.project.edits import Change
from ecapipe.run.world import World
from ecapipe.secret import REDACTED, Secret, mask, redact

_KEY: Final = "consumerKey"
_SECRET: Final = "consumerSecret"  # noqa: S105 - the name of an element


def write_back(app: App, resolutions: Sequence[Resolution], world: World, work: StageWork, *, dry_run: bool) -> None:
    """Put the secret of `app` where a retrieve would have put it, and show that, without the value.

    Nothing happens if the secret does not come from the org. Raises `EcapipeError`: NotWrittenBack, GitUnavailable,
    UnreadableFile, UnwritableFile.
    """
    outcomes = [each.outcome for each in resolutions if each.secret.origin and each.secret.origin.asks == "org"]
    pairs = [outcome for outcome in outcomes if isinstance(outcome, Credentials)]
    secrets = [pair.consumer_secret for pair in pairs if pair.consumer_secret]
    if not secrets:
        return
    file = _settings(app, world)
    if any(not secret.same(secrets[0]) for secret in secrets):
        raise EcapipeError(not_written_back(file.path, "several orgs return different secrets for it"))
    _write(app, _plan_change(app, file, pairs[0].consumer_key, {_SECRET: secrets[0]}, world), world, work, dry_run)


def require_pair_place(app: App, world: World) -> None:
    """Raises `EcapipeError`, as `write_pair`, where that could not write a key and a secret."""
    file = _settings(app, world)
    if "consumerKey" in file.replaced or sources.in_file(app, "consumerKey") != "present":
        raise EcapipeError(not_written_back(file.path, "it holds no consumerKey of its own"))
    placeholder = Secret(REDACTED)
    _plan_change(app, file, REDACTED, {_KEY: placeholder, _SECRET: placeholder}, world)


def write_pair(app: App, key: str, secret: Secret, world: World, work: StageWork) -> None:
    """Put a new key and secret in the place of the old ones, and show that, without the values.

    Raises `EcapipeError`: NotWrittenBack, GitUnavailable, UnreadableFile, UnwritableFile.
    """
    file = _settings(app, world)
    change = _plan_change(app, file, key, {_KEY: Secret(key), _SECRET: secret}, world)
    _write(app, change, world, work, dry_run=False)


def _write(app: App, change: Change, world: World, work: StageWork, dry_run: bool) -> None:
    for line in change.diff:
        work.note("hint", line)
    facts: dict[str, object] = {"writtenBack": None, "diff": list(change.diff)}
    if not dry_run:
        world.amend(change)
        facts["writtenBack"] = change.file
        # Asked after the fact: an untracked file is the right place, but the next git add must not take it along.
        if _committable(app, change.file, world):
            work.warn(
                f"git does not ignore {change.file}, which holds the consumer secret now: run ecapipe app protect."
            )
    work.facts |= facts


def _settings(app: App, world: World) -> SourceFile:
    """The settings file of the app, which may hold a secret. Raises `EcapipeError`."""
    file = app.of(metadata.SETTINGS)
    if file is None:
        raise EcapipeError(not_written_back(f"a file of {app.name}", "the app has no settings file here"))
    _require_place(app, file, world)
    return file


def _plan_change(app: App, file: SourceFile, key: str, values: Mapping[str, Secret], world: World) -> Change:
    """The change that puts `values` into their elements; `key` is no secret, and is shown in part."""
    before = world.tree.read(posixpath.join(app.project, file.path), metadata.LARGEST)
    # The diff is made from a text that never held the values, not by taking them out of one that did.
    after, harmless = before, before
    for element, value in values.items():
        after, harmless = _put(after, element, value), _put(harmless, element, Secret(REDACTED))
    if not _only_changes(after, values, file) or not harmless:
        raise EcapipeError(not_written_back(file.path, "its XML, or the secret, is not as Salesforce writes it"))
    return Change(
        project=app.project,
        file=file.path,
        root=app.project,
        path=file.path,
        before=before,
        after=after,
        diff=_diff(before, harmless, file, key, values[_SECRET]),
    )


def _diff(before: bytes, after: bytes, file: SourceFile, key: str, secret: Secret) -> tuple[str, ...]:
    """The lines that change, without key and secret: the new one, and one that the file may have had before."""
    secrets = [secret]
    previous = file.document.text("consumerSecret")
    if previous and not placeholders.is_placeholder(previous):
        secrets.append(Secret(previous))
    keys = {key, file.document.text("consumerKey") or key}
    names = f"a/{file.path}", f"b/{file.path}"
    lines = [*difflib.unified_diff(_lines(before), _lines(after), *names, lineterm="", n=1)]
    for known in keys:
        lines = [line.replace(known, mask(known)) for line in lines]
    return tuple(redact(line, *secrets) for line in lines)


def _committable(app: App, path: str, world: World) -> bool:
    """Whether the next commit may take the file along."""
    repository, name = _in_git(posixpath.join(app.project, path), world)
    return repository is not None and name is not None and name not in repository.ignored([name])


def _in_git(path: str, world: World) -> tuple[Git | None, str | None]:
    """The repository that a file lies in, which may be a submodule of the project's, and its name there."""
    repository = world.git(posixpath.dirname(world.tree.target(path)))
    return repository, repository.name(path) if repository else None


def _require_place(app: App, file: SourceFile, world: World) -> None:
    """Raises `EcapipeError` unless the file may hold a secret: it lies on disk, and git does not track it."""
    path = posixpath.join(app.project, file.path)

    def refuse(reason: str, *actions: str) -> EcapipeError:
        return EcapipeError(not_written_back(file.path, reason, *actions))

    if not world.tree.is_directory(app.project):
        raise refuse("it lies in a zip file")
    if "consumerSecret" in file.replaced:
        raise refuse("a replacement of sfdx-project.json supplies its secret")
    if sources.in_file(app, "consumerSecret") == "duplicate":
        raise refuse("it holds more than one consumerSecret")
    repository, name = _in_git(path, world)
    if repository is not None and name is not None and repository.blob(name) is not None:
        raise refuse(
            "git tracks it",
            f"Untrack it: {git_command('rm --cached', name, repository.top)}",
            "Then: ecapipe app protect",
        )


def _put(before: bytes, element: str, value: Secret) -> bytes:
    """The content with `value` in an element; empty where it cannot be put there."""
    text = value.reveal()
    # It is put between tags as it is: what XML would have to escape is not what Salesforce makes a secret of.
    if not before or not text.isascii() or any(character in "<>&" for character in text):
        return b""
    return edits.put_text(before, element, text, "consumerKey") or b""


def _only_changes(after: bytes, values: Mapping[str, Secret], file: SourceFile) -> bool:
    """Whether `after` has the `values`, and nothing else is another than in `file`."""
    try:
        changed = metadata.parse(after, file.type, file.path)
    except EcapipeError:
        return False

    def others(document: metadata.Document) -> list[tuple[str, str | None]]:
        return [(each.name, each.text) for each in document.elements if each.name not in values]

    has_values = all(changed.text(element) == value.reveal() for element, value in values.items())
    return has_values and others(changed) == others(file.document)


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()
