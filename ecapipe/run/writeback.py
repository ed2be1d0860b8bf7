"""A consumer secret that an org told, put into the settings file it is missing from (``--write-back``)."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Sequence

from ecapipe.credentials import placeholders, sources
from ecapipe.credentials.resolution import Credentials, Resolution
from ecapipe.login.tracker import StageWork
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import not_written_back
from ecapipe.project import edits, metadata
from ecapipe.project.apps import App, SourceFile
from ecapipe.project.edits import Change
from ecapipe.run.world import World
from ecapipe.secret import REDACTED, Secret, mask, redact


def keep(app: App, proven: Sequence[Resolution], world: World, work: StageWork, *, dry_run: bool) -> None:
    """Put the secret of `app` where a retrieve would have put it, and show that, without the value.

    Nothing happens if the secret does not come from the org. Raises `EcapipeError`: NotWrittenBack, GitUnavailable,
    UnreadableFile, UnwritableFile.
    """
    told = [each.outcome for each in proven if each.secret.source == sources.REST]
    pairs = [outcome for outcome in told if isinstance(outcome, Credentials)]
    secrets = [outcome.consumer_secret for outcome in pairs if outcome.consumer_secret]
    if not secrets:
        return
    change = _change(app, pairs[0].consumer_key, secrets, world)
    for line in change.diff:
        work.note("hint", line)
    if not dry_run:
        world.amend(change)
        if _committable(app, change.file, world):
            work.warn(
                f"git does not ignore {change.file}, which holds the consumer secret now: run ecapipe app protect."
            )
    work.facts |= {"writtenBack": None if dry_run else change.file, "diff": list(change.diff)}


def _change(app: App, key: str, secrets: Sequence[Secret], world: World) -> Change:
    file = app.of(metadata.SETTINGS)
    if file is None:
        raise EcapipeError(not_written_back(f"a file of {app.name}", "the app has no settings file here"))
    _require_place(app, file, world)
    if any(not secret.same(secrets[0]) for secret in secrets):
        raise EcapipeError(not_written_back(file.path, "several orgs tell several secrets for it"))
    before = world.tree.read(posixpath.join(app.project, file.path), metadata.LARGEST)
    after, shown = _with(before, file, secrets[0]), _with(before, file, Secret(REDACTED))
    if after is None or shown is None:
        raise EcapipeError(not_written_back(file.path, "its XML is not as Salesforce writes it"))
    names = f"a/{file.path}", f"b/{file.path}"
    diff = difflib.unified_diff(_lines(before), _lines(shown), *names, lineterm="", n=1)
    earlier = file.document.text("consumerSecret")
    known = [secrets[0]]
    if earlier and not placeholders.is_placeholder(earlier):
        known.append(Secret(earlier))
    harmless = tuple(redact(line.replace(key, mask(key)), *known) for line in diff)
    return Change(app.project, file.path, app.project, file.path, before, after, harmless)


def _committable(app: App, path: str, world: World) -> bool:
    """Whether the next commit may take the file along."""
    repository = world.git(app.project)
    name = repository.name(posixpath.join(app.project, path)) if repository else None
    return repository is not None and name is not None and name not in repository.ignored([name])


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
    repository = world.git(app.project)
    if repository is None:
        return
    name = repository.name(path)
    if name is not None and repository.blob(name) is not None:
        raise refuse("git tracks it", f"Untrack it: git rm --cached -- {file.path}", "Then: ecapipe app protect")


def _with(before: bytes, file: SourceFile, secret: Secret) -> bytes | None:
    """The content with the secret in it; None unless that is all that changes."""
    text = secret.reveal()
    if not text.isascii() or any(character in "<>&" for character in text):
        return None
    after = edits.put_text(before, "consumerSecret", text, "consumerKey")
    if after is None:
        return None
    try:
        changed = metadata.parse(after, file.type, file.path)
    except EcapipeError:
        return None

    def others(document: metadata.Document) -> list[tuple[str, str | None]]:
        return [(each.name, each.text) for each in document.elements if each.name != "consumerSecret"]

    return after if changed.text("consumerSecret") == text and others(changed) == others(file.document) else None


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()
