"""A consumer secret that came from an org, put into the settings file it is missing from (``--write-back``)."""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Sequence

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
    change = _plan_change(app, pairs[0].consumer_key, secrets, world)
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


def _plan_change(app: App, key: str, secrets: Sequence[Secret], world: World) -> Change:
    file = app.of(metadata.SETTINGS)
    if file is None:
        raise EcapipeError(not_written_back(f"a file of {app.name}", "the app has no settings file here"))
    _require_place(app, file, world)
    if any(not secret.same(secrets[0]) for secret in secrets):
        raise EcapipeError(not_written_back(file.path, "several orgs tell several secrets for it"))
    before = world.tree.read(posixpath.join(app.project, file.path), metadata.LARGEST)
    # The diff is made from a text that never held the secret, not by taking the secret out of one that did.
    after, harmless = _with_secret(before, file, secrets[0]), _with_secret(before, file, Secret(REDACTED))
    if after is None or harmless is None:
        raise EcapipeError(not_written_back(file.path, "its XML is not as Salesforce writes it"))
    return Change(
        project=app.project,
        file=file.path,
        root=app.project,
        path=file.path,
        before=before,
        after=after,
        diff=_diff(before, harmless, file, key, secrets[0]),
    )


def _diff(before: bytes, after: bytes, file: SourceFile, key: str, secret: Secret) -> tuple[str, ...]:
    """The lines that change, without key and secret: the new one, and one that the file may have had before."""
    secrets = [secret]
    previous = file.document.text("consumerSecret")
    if previous and not placeholders.is_placeholder(previous):
        secrets.append(Secret(previous))
    names = f"a/{file.path}", f"b/{file.path}"
    lines = difflib.unified_diff(_lines(before), _lines(after), *names, lineterm="", n=1)
    return tuple(redact(line.replace(key, mask(key)), *secrets) for line in lines)


def _committable(app: App, path: str, world: World) -> bool:
    """Whether the next commit may take the file along."""
    repository = world.git(app.project)
    if repository is None:
        return False
    name = repository.name(posixpath.join(app.project, path))
    return name is not None and name not in repository.ignored([name])


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
        raise refuse(
            "git tracks it",
            f"Untrack it: {git_command('rm --cached', file.path, app.project)}",
            "Then: ecapipe app protect",
        )


def _with_secret(before: bytes, file: SourceFile, secret: Secret) -> bytes | None:
    """The content with the secret in it; None unless that is all that changes."""
    text = secret.reveal()
    # It is put between tags as it is: what XML would have to escape is not what Salesforce makes a secret of.
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

    if changed.text("consumerSecret") != text or others(changed) != others(file.document):
        return None
    return after


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()
