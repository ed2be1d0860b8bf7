"""What the commands without stages print for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from ecapipe.check.findings import LEVELS, Finding
from ecapipe.events import (
    AppFacts,
    CredentialFacts,
    SavedLoginFacts,
    SavedSecretFacts,
    Subject,
    SubjectNames,
    VariableFacts,
)
from ecapipe.problems.problem import Kind, command
from ecapipe.render.text import clean, ending, location, plural, success

if TYPE_CHECKING:
    from ecapipe.check.rules.rule import Rule
    from ecapipe.documents.health import Check, Stored
    from ecapipe.documents.report import Report
    from ecapipe.documents.run_summary import RunSummary
    from ecapipe.documents.verdicts import ProbeCheck, Verdict
    from ecapipe.protect.protection import Protection

Length = Literal["concise", "usual", "verbose"]
"""How much people want to read."""

_STORES: Final = {"keyring": "the keyring", "file": "a private file, not encrypted"}

_STATES: Final = {"going": "going on", "interrupted": "interrupted"}
"""Words for the states of runs that have not ended; a run without a word was broken off."""


def listing(apps: Sequence[AppFacts], length: Length = "usual") -> Iterator[str]:
    """``app list``: a block per app, a line when concise, with the causes of what is missing when verbose."""
    if not apps:
        yield "No external client apps found."
    subjects = [app.subject for app in apps]
    names = map(SubjectNames(subjects), subjects)
    for number, (app, name) in enumerate(zip(apps, names, strict=True)):
        if length == "concise":
            yield clean(f"{name}: {', '.join(app.flows) or 'no flow'}")
            continue
        if number:
            yield ""
        yield clean(name)
        yield from _app(app, verbose=length == "verbose")


def _app(app: AppFacts, *, verbose: bool) -> Iterator[str]:
    yield f"  Distribution: {app.distribution or 'unknown'}"
    yield f"  Settings: {clean(app.settings_file or _absent(app))}"
    yield f"  Callback URLs: {clean(', '.join(app.callback_urls) or 'none')}"
    yield f"  Flows: {', '.join(app.flows) or 'none'}"
    yield f"  Consumer key: {_credential(app.consumer_key)}"
    yield f"  Consumer secret: {_credential(app.consumer_secret)}"
    if verbose:
        # Key and secret often lack for one cause: the file is not there.
        causes = dict.fromkeys((*app.consumer_key.causes, *app.consumer_secret.causes))
        yield from (f"    {clean(cause)}" for cause in causes)
    yield "  Files:"
    yield from (f"    {clean(path)}" for path in app.files)


_VARIABLE_STATES: Final[Mapping[str, str]] = {
    "set": "set",
    "file": "set, as a file",
    "placeholder": "holds a placeholder",
    "empty": "set, but empty",
    "unset": "not set",
}


def variables(variables: Sequence[VariableFacts], length: Length = "usual") -> Iterator[str]:
    """``app list --variables``: a block per app, a line per name. Those for a key, which a settings file mostly has,
    only if one is set, or everything is to be printed; when concise only those that are not set."""
    apps = dict.fromkeys(Subject(each.app, tree=each.project) for each in variables)
    names = SubjectNames(apps)
    keys = length == "verbose" or any(each.field == "consumerKey" and each.state != "unset" for each in variables)
    shown = [each for each in variables if keys or each.field == "consumerSecret"]
    width = max((len(each.name) for each in shown), default=0)
    for app in apps:
        yield clean(names(app))
        for each in (each for each in shown if (each.app, each.project) == (app.app, app.tree)):
            if length != "concise" or each.state not in ("set", "file"):
                yield clean(f"  {each.name:{width}}  {each.org or 'every org'}: {_VARIABLE_STATES[each.state]}")
        yield ""
    count = sum(each.state in ("set", "file") for each in shown)
    yield f"{count} of {len(shown)} variables are set. An org takes its own before that of every org."


def logins(logins: Sequence[SavedLoginFacts], length: Length = "usual") -> Iterator[str]:
    """``login list`` and ``login display``: a block per login, a line when concise."""
    if not logins:
        yield "No login is kept. ecapipe run --save keeps one."
    for number, login in enumerate(logins):
        if length == "concise":
            yield clean(f"{login.app}@{login.org}: {login.username or login.user_id}")
            continue
        if number:
            yield ""
        yield from _login(login, verbose=length == "verbose")


def _login(login: SavedLoginFacts, *, verbose: bool) -> Iterator[str]:
    yield clean(f"{login.app}@{login.org}")
    yield clean(f"  URL: {login.url}")
    yield clean(f"  Username: {login.username or 'unknown'}")
    yield clean(f"  Org ID: {login.org_id or 'unknown'}")
    yield clean(f"  Flow: {login.flow}")
    yield clean(f"  Scopes: {' '.join(login.scopes) or 'not told'}")
    if login.bound:
        yield "  Bound to a key: yes (DPoP)"
    yield f"  Can be refreshed: {_yes_or_no(login.refreshable)}"
    yield f"  Kept in: {_STORES[login.store]}"
    yield clean(f"  Saved: {login.saved_at}")
    if login.refreshed_at:
        yield clean(f"  Refreshed: {login.refreshed_at}")
    yield clean(f"  Last used: {login.last_used_at}")
    if login.expires_if_unused_by:
        yield clean(f"  Refresh token: expires if unused by {login.expires_if_unused_by}")
    if verbose:
        yield clean(f"  User ID: {login.user_id}")
        yield clean(f"  Instance URL: {login.instance_url or 'not told'}")
        yield clean(f"  Consumer key: {login.consumer_key}")


def kept_secret(secret: SavedSecretFacts, place: str, length: Length = "usual") -> Iterator[str]:
    """``app set-secret``: whose secret is saved, and in which place."""
    yield clean(f"The consumer secret of {secret.app} (key {secret.consumer_key}) is kept in {place}.")
    if length == "concise":
        return
    if secret.store == "file":
        yield "The file is not encrypted: whoever can read your files, or a copy of them, can read it."
    yield clean(f"To remove it: {command('ecapipe app forget-secret', secret.app)}")


def forgotten(secrets: Sequence[SavedSecretFacts], length: Length = "usual") -> Iterator[str]:
    """``app forget-secret``: whose secrets are no longer saved."""
    for secret in secrets:
        yield clean(f"The consumer secret of {secret.app} (key {secret.consumer_key}) is forgotten.")
    if length != "concise":
        yield "At Salesforce nothing has changed."


def findings(findings: Sequence[Finding], apps: int, length: Length = "usual") -> Iterator[str]:
    """``app check``: a line per finding as compilers print them, and a summary; with what to do, unless concise, and
    why it matters, when verbose."""
    # Imported here: a list of apps or of logins needs no rules.
    from ecapipe.check.rules.registry import RULES

    if not findings and not apps:  # a hook has nothing to say of a commit that has nothing to do with apps
        return
    for finding in findings:
        yield clean(_finding(finding))
        if length == "verbose":
            yield f"    Why: {RULES[finding.rule].why}"
        if not finding.accepted and length != "concise":
            yield from (f"    {clean(action)}" for action in finding.actions)
    levels = [finding.level for finding in findings if not finding.accepted]
    counts = [plural(levels.count(level), level) for level in LEVELS]
    # Not mentioned where nothing was accepted: most projects have no baseline.
    if len(findings) > len(levels):
        counts.append(f"{len(findings) - len(levels)} accepted")
    yield f"Checked {plural(apps, 'app')}: {', '.join(counts)}."


def _finding(finding: Finding) -> str:
    # Editors and CI systems know this form, and make links of it.
    level: str = finding.level
    if finding.accepted:
        level = f"{level} (accepted)"
    place = location(finding.file, finding.line)
    return ": ".join(filter(None, (place, level, f"{finding.message} [{finding.rule}]")))


def verdicts(verdicts: Sequence[Verdict], length: Length = "usual") -> Iterator[str]:
    """``app probe``: a line per app and org; with what to do, unless concise, and where the pair came from, when
    verbose."""
    from ecapipe.documents.verdicts import WORDS

    for verdict in verdicts:
        part = f" ({verdict.refused})" if verdict.refused else ""
        yield clean(f"{verdict.app}@{verdict.org}: {verdict.word}{part}: {verdict.message}")
        if length == "verbose" and verdict.key_source:
            secret_source = verdict.secret_source or "nowhere"
            yield f"    Consumer key from {verdict.key_source}, consumer secret from {secret_source}."
        # One alone is what the row says.
        if len(verdict.checks) > 1 and (length == "verbose" or (length == "usual" and verdict.problem)):
            yield from (f"    {clean(_check(check))}" for check in verdict.checks)
        if length != "concise" and verdict.word != "skipped":
            yield from (f"    {clean(action)}" for action in verdict.actions)
    counts = {word: sum(verdict.word == word for verdict in verdicts) for word in WORDS}
    # "0 accepted" is an answer; that nothing was, say, skipped is none.
    words = ", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "accepted")
    yield f"Asked about {plural(len(verdicts), 'pair')}: {words}."


def _check(check: ProbeCheck) -> str:
    asked = check.what if check.callback is None else f"{check.what} {check.callback}"
    reason = f" ({check.problem.name})" if check.problem else ""
    return f"{asked}: {check.verdict}{reason}"


def changes(protection: Protection) -> Iterator[str]:
    """``app protect``: what would change, as unified diffs."""
    for change in protection.changes:
        yield from map(clean, change.diff)
    if protection.changes:
        yield ""


def protected(protection: Protection, *, written: bool) -> Iterator[str]:
    """``app protect``: the changes, made if `written`, and what remains to be done by hand."""
    changed, comes = "Would change", "would come"
    if written:
        changed, comes = "Changed", "now comes"
    yield from (f"{changed} {clean(change.file)}." for change in protection.changes)
    if not protection.changes:
        yield "Nothing to change: the settings files are ignored already."
    for supply in protection.supplies:
        yield clean(f"The consumer secret of {supply.app} {comes} from {supply.variable}, not from {supply.file}.")
    if protection.supplies:
        yield "    Set the variable wherever sf deploys, which fails without it, and wherever ecapipe logs in."
        yield "    To commit a file with its placeholder although it is ignored, use git add --force."
        yield "    A retrieve may bring the value back: run this again after one."
    for exposure in protection.exposures:
        yield clean(exposure.message)
        yield from (f"    {clean(action)}" for action in exposure.actions)


def runs(runs: Sequence[RunSummary], length: Length = "usual") -> Iterator[str]:
    """``runs list``: a line per run; just its name when concise, and how to resume it when verbose."""
    if not runs:
        yield "There are no records of runs."
    for run in runs:
        if length == "concise":
            yield clean(run.run)
            continue
        projects = ", ".join(run.projects)
        yield clean(f"{run.run}  {_state(run)}, {run.finished} of {run.planned} done  {projects}")
        if length == "verbose":
            yield from (f"    {line}" for line in _continuation(run))


def run(summary: RunSummary, report: Report, length: Length = "usual") -> Iterator[str]:
    """``runs show``: the run, how to resume it, and unless concise a line per login with the reason of a failure."""
    yield clean(f"Run {summary.run}: {_state(summary)}")
    yield f"  Started: {clean(summary.started_at)}"
    yield from (f"  Project: {clean(project)}" for project in summary.projects)
    counts = f"{summary.finished} done, {summary.failed} failed, {summary.skipped} skipped, {summary.open} open"
    yield f"  Logins: {summary.planned} planned, {counts}"
    yield from (f"  {line}" for line in _continuation(summary))
    if length != "concise":
        yield from _logins(report, verbose=length == "verbose")


def _logins(report: Report, *, verbose: bool) -> Iterator[str]:
    failures = {stage.subject: stage.problem for stage in report.ended if stage.problem}
    started = {stage.subject for stage in report.ended}
    for subject in report.subjects:
        name = report.name(subject)
        if login := report.logins.get(subject):
            yield f"  {success(name, login)}"
        elif problem := failures.get(subject):
            yield clean(f"  {name}: failed: {problem.name}: {problem.message}")
            if verbose:
                yield from (f"      {clean(action)}" for action in problem.actions)
        elif subject in started and (problem := failures.get(subject.whole_app)):
            # What the app failed with stands above, in full.
            yield clean(f"  {name}: failed: {problem.name}")
        elif subject.org:
            yield clean(f"  {name}: {'no login' if subject in started else 'open'}")


def _continuation(run: RunSummary) -> Iterator[str]:
    """What part the run is of something larger, and how to resume it."""
    if run.shard:
        yield f"Shard: {clean(run.shard)}"
    if run.resumes:
        yield f"Went on with: {clean(run.resumes)}"
    if run.command:
        yield f"Go on with: {clean(run.command)}"


def _state(run: RunSummary) -> str:
    if run.status is not None and run.state == "ended":
        return ending(run.status)
    return _STATES.get(run.state, "broken off")


def checkup(checks: Sequence[Check], length: Length = "usual") -> Iterator[str]:
    """``doctor``: a line per check, with what to do; only what is not well when concise, details when verbose."""
    from ecapipe.documents.health import STATES

    for check in checks:
        if check.state == "ok" and length == "concise":
            continue
        yield clean(f"{check.state:4}  {check.name}: {check.message}")
        yield from (f"      {clean(action)}" for action in check.actions)
        if length == "verbose":
            yield from (f"      {clean(detail)}" for detail in check.details)
    counts = ", ".join(f"{sum(check.state == state for check in checks)} {state}" for state in STATES)
    yield f"Looked at {len(checks)} things: {counts}."


def storage(places: Sequence[Stored], length: Length = "usual") -> Iterator[str]:
    """``doctor --storage``: a block for each place; only what exists when concise."""
    for place in places:
        if not place.exists and length == "concise":
            continue
        yield clean(f"{place.what}: {place.where} ({_condition(place)})")
        if length != "concise":
            yield f"  Secret: {_yes_or_no(place.secret)}"
            yield f"  Written by: {clean(place.written_by)}"
            yield f"  Removed by: {clean(place.removed_by)}"


def _condition(place: Stored) -> str:
    if not place.exists:
        return "not there"
    # A keyring has no mode, nor has anything on Windows.
    condition = f"mode {place.mode}" if place.mode else "there"
    if place.entries is None:
        return condition
    return f"{condition}, {place.entries} entries"


def _yes_or_no(answer: bool) -> str:
    return "yes" if answer else "no"


def rule(rule: Rule) -> Iterator[str]:
    """``explain`` for a rule."""
    yield f"{rule.name} (rule; {rule.levels})"
    yield from _paragraphs(
        {
            "What it means": rule.means,
            "Why it matters": rule.why,
            "What to do": rule.remedy,
            "Source": rule.source,
        }
    )


def problem(problem: Kind[...]) -> Iterator[str]:
    """``explain`` for a problem."""
    yield f"{problem.name} (problem, {problem.category}, exit code {problem.exit_code})"
    yield from _paragraphs({"What it means": problem.means, "What to do": problem.remedy})


def index(rules: Iterable[Rule], problems: Iterable[Kind[...]], length: Length = "usual") -> Iterator[str]:
    """``explain`` without a name: a line for each; just its name when concise, all of it when verbose."""
    match length:
        case "concise":
            yield from (*(rule.name for rule in rules), *(problem.name for problem in problems))
        case "verbose":
            for page in (*map(rule, rules), *map(problem, problems)):
                yield from (*page, "")
        case "usual":
            yield "Rules of ecapipe app check:"
            yield from (f"  {rule.name}: {rule.means}" for rule in rules)
            yield ""
            yield "Problems:"
            yield from (f"  {problem.name}: {problem.means}" for problem in problems)


def _paragraphs(sections: Mapping[str, str]) -> Iterator[str]:
    for title, body in sections.items():
        yield ""
        yield f"{title}: {body}"


def _absent(app: AppFacts) -> str:
    """Why there is no settings file, as far as the files of the project show: the target org is not known here."""
    if app.unread_settings:
        return f"not read: {app.unread_settings}"
    if app.source_org_id:
        return f"none: likely linked, key and secret belong to org {app.source_org_id}"
    if app.credentials_of == "own":
        return "none: not retrieved, kept out of git, or linked"
    if app.distribution == "Packaged":
        return "none: packaged"
    return "none"


def _credential(facts: CredentialFacts) -> str:
    if facts.source:
        return f"usable, from {facts.source}"
    # None, of a key, is not False: every flow needs the key.
    if facts.required is False:
        return f"{facts.in_file} in the file (not required)"
    return f"{facts.in_file} in the file"
