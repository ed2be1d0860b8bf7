"""What the commands without stages print for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from ecapipe.check.findings import LEVELS, RULES, Finding, Rule
from ecapipe.events import AppFacts, CredentialFacts, SavedLoginFacts, SavedSecretFacts
from ecapipe.problems.problem import Explanation
from ecapipe.render.text import clean, ending, success

if TYPE_CHECKING:
    from ecapipe.documents.health import Check, Stored
    from ecapipe.documents.report import Report
    from ecapipe.documents.run_summary import RunSummary
    from ecapipe.documents.verdicts import Verdict
    from ecapipe.protect.protection import Protection

Length = Literal["concise", "usual", "verbose"]


def listing(apps: Sequence[AppFacts], length: Length = "usual") -> Iterator[str]:
    """``app list``: a block per app, a line when concise, with the causes of what is missing when verbose."""
    if not apps:
        yield "No external client apps found."
    for number, app in enumerate(apps):
        if length == "concise":
            yield clean(f"{app.name}: {', '.join(app.flows) or 'no flow'}")
            continue
        if number:
            yield ""
        yield clean(app.name)
        yield f"  Distribution: {app.distribution or 'unknown'}"
        yield f"  Settings: {clean(app.settings_file or _absent(app))}"
        yield f"  Callback URLs: {clean(', '.join(app.callback_urls) or 'none')}"
        yield f"  Flows: {', '.join(app.flows) or 'none'}"
        yield f"  Consumer key: {_credential(app.consumer_key)}"
        yield f"  Consumer secret: {_credential(app.consumer_secret)}"
        if length == "verbose":
            causes = dict.fromkeys((*app.consumer_key.causes, *app.consumer_secret.causes))
            yield from (f"    {clean(cause)}" for cause in causes)
        yield "  Files:"
        yield from (f"    {clean(path)}" for path in app.files)


def logins(kept: Sequence[SavedLoginFacts], length: Length = "usual") -> Iterator[str]:
    """``login list`` and ``login display``: a block per login, a line when concise."""
    if not kept:
        yield "No login is kept. ecapipe run --save keeps one."
    for number, login in enumerate(kept):
        if length == "concise":
            yield clean(f"{login.app}@{login.org}: {login.username or login.user_id}")
            continue
        if number:
            yield ""
        yield clean(f"{login.app}@{login.org}")
        yield clean(f"  URL: {login.url}")
        yield clean(f"  Username: {login.username or 'unknown'}")
        yield clean(f"  Org ID: {login.org_id or 'unknown'}")
        yield clean(f"  Flow: {login.flow}")
        yield clean(f"  Scopes: {' '.join(login.scopes) or 'not told'}")
        yield f"  Can be refreshed: {'yes' if login.refreshable else 'no'}"
        yield f"  Kept in: {'the keyring' if login.store == 'keyring' else 'a private file, not encrypted'}"
        yield clean(f"  Saved: {login.saved_at}")
        if login.refreshed_at:
            yield clean(f"  Refreshed: {login.refreshed_at}")
        if length == "verbose":
            yield clean(f"  User ID: {login.user_id}")
            yield clean(f"  Instance URL: {login.instance_url or 'not told'}")
            yield clean(f"  Consumer key: {login.consumer_key}")


def kept_secret(secret: SavedSecretFacts, place: str, length: Length = "usual") -> Iterator[str]:
    """``app set-secret``: whose secret is kept, and where."""
    yield clean(f"The consumer secret of {secret.app} (key {secret.consumer_key}) is kept in {place}.")
    if length == "concise":
        return
    if secret.store == "file":
        yield "The file is not encrypted: whoever can read your files, or a copy of them, can read it."
    yield clean(f"ecapipe app forget-secret {secret.app} removes it.")


def forgotten(secrets: Sequence[SavedSecretFacts], length: Length = "usual") -> Iterator[str]:
    """``app forget-secret``: whose secrets are kept no more."""
    for secret in secrets:
        yield clean(f"The consumer secret of {secret.app} (key {secret.consumer_key}) is forgotten.")
    if length != "concise":
        yield "At Salesforce nothing has changed."


def findings(found: Sequence[Finding], apps: int, length: Length = "usual") -> Iterator[str]:
    """``app check``: a line per finding as compilers print them, and a summary; with what to do, unless concise, and
    why it matters, when verbose."""
    for finding in found:
        place = ":".join(str(part) for part in (finding.file, finding.line) if part)
        level = f"{finding.level} (accepted)" if finding.accepted else finding.level
        yield clean(f"{f'{place}: ' if place else ''}{level}: {finding.message} [{finding.rule}]")
        if length == "verbose":
            yield f"    Why: {RULES[finding.rule].why}"
        if not finding.accepted and length != "concise":
            yield from (f"    {clean(action)}" for action in finding.actions)
    open = [finding.level for finding in found if not finding.accepted]
    said = ", ".join(f"{open.count(level)} {level}{'' if open.count(level) == 1 else 's'}" for level in LEVELS)
    accepted = f", {len(found) - len(open)} accepted" if len(found) > len(open) else ""
    yield f"Checked {apps} app{'' if apps == 1 else 's'}: {said}{accepted}."


def verdicts(found: Sequence[Verdict], length: Length = "usual") -> Iterator[str]:
    """``app probe``: a line per app and org; with what to do, unless concise, and where the pair came from, when
    verbose."""
    from ecapipe.documents.verdicts import WORDS

    for each in found:
        part = f" ({each.refused})" if each.refused else ""
        yield clean(f"{each.app}@{each.org}: {each.word}{part}: {each.message}")
        if length == "verbose" and each.key_source:
            yield f"    Consumer key from {each.key_source}, consumer secret from {each.secret_source or 'nowhere'}."
        if length != "concise" and each.word != "skipped":
            yield from (f"    {clean(action)}" for action in each.actions)
    counts = {word: sum(each.word == word for each in found) for word in WORDS}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "accepted")
    yield f"Asked about {len(found)} pair{'' if len(found) == 1 else 's'}: {said}."


def changes(planned: Protection) -> Iterator[str]:
    """``app protect``: what would change, as unified diffs."""
    for change in planned.changes:
        yield from map(clean, change.diff)
    if planned.changes:
        yield ""


def protected(planned: Protection, *, written: bool) -> Iterator[str]:
    """``app protect``: what was done, and what is left to do."""
    for change in planned.changes:
        yield f"{'Changed' if written else 'Would change'} {clean(change.file)}."
    if not planned.changes:
        yield "Nothing to change: the settings files are ignored already."
    for each in planned.supplies:
        comes = "now comes" if written else "would come"
        yield clean(f"The consumer secret of {each.app} {comes} from {each.variable}, not from {each.file}.")
    if planned.supplies:
        yield "    Set the variable wherever sf deploys, which fails without it, and wherever ecapipe logs in."
        yield "    To commit a file with its placeholder although it is ignored, use git add --force."
        yield "    A retrieve may bring the value back: run this again after one."
    for found in planned.exposures:
        yield clean(found.message)
        yield from (f"    {clean(action)}" for action in found.actions)


def runs(found: Sequence[RunSummary], length: Length = "usual") -> Iterator[str]:
    """``runs list``: a line per run; just its name when concise, and what goes on with it when verbose."""
    if not found:
        yield "There are no records of runs."
    for each in found:
        if length == "concise":
            yield clean(each.run)
            continue
        projects = ", ".join(each.projects)
        yield clean(f"{each.run}  {_state(each)}, {each.finished} of {each.planned} done  {projects}")
        if length == "verbose":
            yield from (f"    {line}" for line in _further(each))


def run(shown: RunSummary, report: Report, length: Length = "usual") -> Iterator[str]:
    """``runs show``: the run, a line per login unless concise, with the reasons of failures, and what goes on."""
    yield clean(f"Run {shown.run}: {_state(shown)}")
    yield f"  Started: {clean(shown.started_at)}"
    yield from (f"  Project: {clean(project)}" for project in shown.projects)
    counts = [(shown.finished, "done"), (shown.failed, "failed"), (shown.skipped, "skipped"), (shown.open, "open")]
    yield f"  Logins: {shown.planned} planned, {', '.join(f'{count} {word}' for count, word in counts)}"
    yield from (f"  {line}" for line in _further(shown))
    if length == "concise":
        return
    failures = {ended.subject: ended.problem for ended in report.ended if ended.problem}
    courses = {ended.subject for ended in report.ended}
    for subject in report.subjects:
        if login := report.logins.get(subject):
            yield f"  {success(subject, login)}"
        elif problem := failures.get(subject):
            yield clean(f"  {subject}: failed: {problem.name}: {problem.message}")
            if length == "verbose":
                yield from (f"      {clean(action)}" for action in problem.actions)
        elif subject.org:
            yield clean(f"  {subject}: {'no login' if subject in courses else 'open'}")


def _further(each: RunSummary) -> Iterator[str]:
    if each.shard:
        yield f"Shard: {clean(each.shard)}"
    if each.resumes:
        yield f"Went on with: {clean(each.resumes)}"
    if each.command:
        yield f"Go on with: {clean(each.command)}"


def _state(each: RunSummary) -> str:
    if each.status is not None and each.state == "ended":
        return ending(each.status)
    return {"going": "going on", "interrupted": "interrupted"}.get(each.state, "broken off")


def checkup(checks: Sequence[Check], length: Length = "usual") -> Iterator[str]:
    """``doctor``: a line per check, with what to do; only what is not well when concise, details when verbose."""
    from ecapipe.documents.health import STATES

    for each in checks:
        if each.state == "ok" and length == "concise":
            continue
        yield clean(f"{each.state:4}  {each.name}: {each.message}")
        yield from (f"      {clean(action)}" for action in each.actions)
        if length == "verbose":
            yield from (f"      {clean(detail)}" for detail in each.details)
    counts = ", ".join(f"{sum(each.state == state for each in checks)} {state}" for state in STATES)
    yield f"Looked at {len(checks)} things: {counts}."


def storage(kept: Sequence[Stored], length: Length = "usual") -> Iterator[str]:
    """``doctor --storage``: a block for each place; only what is there when concise."""
    for each in kept:
        if not each.exists and length == "concise":
            continue
        entries = "" if each.entries is None else f", {each.entries} entries"
        mode = f"mode {each.mode}{entries}" if each.mode else f"there{entries}"
        yield clean(f"{each.what}: {each.where} ({mode if each.exists else 'not there'})")
        if length != "concise":
            yield f"  Secret: {'yes' if each.secret else 'no'}"
            yield f"  Written by: {clean(each.written_by)}"
            yield f"  Removed by: {clean(each.removed_by)}"


def rule(explained: Rule) -> Iterator[str]:
    """``explain`` for a rule."""
    yield f"{explained.name} (rule; {explained.levels})"
    yield from _paragraphs(
        ("What it means", explained.means),
        ("Why it matters", explained.why),
        ("What to do", explained.remedy),
        ("Source", explained.source),
    )


def problem(explained: Explanation) -> Iterator[str]:
    """``explain`` for a problem."""
    yield f"{explained.name} (problem, {explained.category}, exit code {explained.exit_code})"
    yield from _paragraphs(("What it means", explained.means), ("What to do", explained.remedy))


def index(rules: Iterable[Rule], problems: Iterable[Explanation], length: Length = "usual") -> Iterator[str]:
    """``explain`` without a name: a line for each; just its name when concise, all of it when verbose."""
    if length == "concise":
        yield from (*(each.name for each in rules), *(each.name for each in problems))
        return
    if length == "verbose":
        for page in (*map(rule, rules), *map(problem, problems)):
            yield from (*page, "")
        return
    yield "Rules of ecapipe app check:"
    yield from (f"  {each.name}: {each.means}" for each in rules)
    yield ""
    yield "Problems:"
    yield from (f"  {each.name}: {each.means}" for each in problems)


def _paragraphs(*parts: tuple[str, str]) -> Iterator[str]:
    for title, body in parts:
        yield ""
        yield f"{title}: {body}"


def _absent(app: AppFacts) -> str:
    """Why there is no settings file, as far as the files tell: which org is meant is not known here."""
    if app.source_org_id:
        return f"none: likely linked, key and secret belong to org {app.source_org_id}"
    if app.credentials_of == "own":
        return "none: not retrieved, kept out of git, or linked"
    return "none: packaged" if app.distribution == "Packaged" else "none"


def _credential(facts: CredentialFacts) -> str:
    if facts.source:
        return f"usable, from {facts.source}"
    needed = " (not required)" if facts.required is False else ""
    return f"{facts.in_file} in the file{needed}"
