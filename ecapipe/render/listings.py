"""What the commands without stages print for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from ecapipe.events import (
    AppFacts,
    CredentialFacts,
    SavedLoginFacts,
    SavedSecretFacts,
    Subject,
    SubjectNames,
    VariableFacts,
)
from ecapipe.problems.problem import INTERRUPTED, Kind, command, option
from ecapipe.render.screen import PLAIN, Screen, split_command
from ecapipe.render.text import clean, ending, plural, success

if TYPE_CHECKING:
    from ecapipe.check.rules.rule import Rule
    from ecapipe.documents.health import Check, Stored
    from ecapipe.documents.report import Report
    from ecapipe.documents.results import AppRotate
    from ecapipe.documents.run_summary import RunSummary
    from ecapipe.protect.protection import Protection

Length = Literal["concise", "usual", "verbose"]
"""How much people want to read."""

_STORES: Final = {"keyring": "the keyring", "file": "a private file, not encrypted"}

_STATES: Final = {"going": "Running", "interrupted": ending(INTERRUPTED)}
"""Words for the states of runs that have not ended; a run without a word was stopped by force."""


def listing(apps: Sequence[AppFacts], length: Length = "usual", screen: Screen = PLAIN) -> Iterator[str]:
    """``app list``: a table, then the files of each app; a line per app when concise, a block when verbose."""
    if not apps:
        yield "No external client apps found."
        return
    subjects = [app.subject for app in apps]
    names = [clean(name) for name in map(SubjectNames(subjects), subjects)]
    match length:
        case "concise":
            yield from (f"{name}: {', '.join(app.flows) or 'no flow'}" for app, name in zip(apps, names, strict=True))
        case "verbose":
            for number, (app, name) in enumerate(zip(apps, names, strict=True)):
                yield from ("",) if number else ()
                yield screen.paint(name, "heading")
                yield from _app(app)
        case "usual":
            yield from screen.table(
                ("App", "Distribution", "Flows", "Consumer Key", "Consumer Secret"),
                [
                    (
                        name,
                        app.distribution or "unknown",
                        ", ".join(app.flows) or "none",
                        _credential_cell(app.consumer_key),
                        _credential_cell(app.consumer_secret),
                    )
                    for app, name in zip(apps, names, strict=True)
                ],
            )
            for app, name in zip(apps, names, strict=True):
                yield ""
                yield screen.paint(name, "heading")
                if not app.settings_file:
                    yield f"  Settings: {clean(_absent(app))}"
                yield from (f"  {clean(path)}" for path in app.files)
            yield ""
            yield from screen.wrap("To show callback URLs and what is missing, add --verbose.")


def _app(app: AppFacts) -> Iterator[str]:
    yield f"  Distribution: {app.distribution or 'unknown'}"
    yield f"  Settings: {clean(app.settings_file or _absent(app))}"
    yield f"  Callback URLs: {clean(', '.join(app.callback_urls) or 'none')}"
    yield f"  Flows: {', '.join(app.flows) or 'none'}"
    yield f"  Consumer key: {_credential(app.consumer_key)}"
    yield f"  Consumer secret: {_credential(app.consumer_secret)}"
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
    yield (f"{count} of {len(shown)} variables are set. An org's own takes precedence over every org's.")


def logins(logins: Sequence[SavedLoginFacts], length: Length = "usual", screen: Screen = PLAIN) -> Iterator[str]:
    """``login list``: a table; a line per login when concise, a block when verbose."""
    if not logins:
        yield "No saved logins. To save one: ecapipe run --save"
    elif length == "usual":
        yield from screen.table(
            ("App", "Org", "Username", "Flow", "Refresh", "Saved In", "Last Used", "Expires If Unused By"),
            [
                (
                    clean(login.app),
                    clean(login.org),
                    clean(login.username or login.user_id),
                    clean(login.flow),
                    _yes_or_no(login.refreshable),
                    login.store,
                    clean(login.last_used_at)[:16].replace("T", " "),
                    clean(login.expires_if_unused_by or "–"),
                )
                for login in logins
            ],
        )
    else:
        yield from login_details(logins, length, screen)


def login_details(
    logins: Sequence[SavedLoginFacts], length: Length = "usual", screen: Screen = PLAIN
) -> Iterator[str]:
    """``login display``: a block per login, a line when concise."""
    for number, login in enumerate(logins):
        if length == "concise":
            yield clean(f"{login.app}@{login.org}: {login.username or login.user_id}")
            continue
        if number:
            yield ""
        yield screen.paint(clean(f"{login.app}@{login.org}"), "heading")
        yield from _login(login, verbose=length == "verbose")


def _login(login: SavedLoginFacts, *, verbose: bool) -> Iterator[str]:
    yield clean(f"  URL: {login.url}")
    yield clean(f"  Username: {login.username or 'unknown'}")
    yield clean(f"  Org ID: {login.org_id or 'unknown'}")
    yield clean(f"  Flow: {login.flow}")
    yield clean(f"  Scopes: {' '.join(login.scopes) or 'unknown'}")
    if login.bound:
        yield "  Bound to a key: yes (DPoP)"
    yield f"  Can be refreshed: {_yes_or_no(login.refreshable)}"
    yield f"  Saved in: {_STORES[login.store]}"
    yield clean(f"  Saved: {login.saved_at}")
    if login.refreshed_at:
        yield clean(f"  Refreshed: {login.refreshed_at}")
    yield clean(f"  Last used: {login.last_used_at}")
    if login.expires_if_unused_by:
        yield clean(f"  Refresh token: expires if unused by {login.expires_if_unused_by}")
    if verbose:
        yield clean(f"  User ID: {login.user_id}")
        yield clean(f"  Instance URL: {login.instance_url or 'unknown'}")
        yield clean(f"  Consumer key: {login.consumer_key}")


def kept_secret(secret: SavedSecretFacts, place: str, length: Length = "usual") -> Iterator[str]:
    """``app set-secret``: whose secret is saved, and in which place."""
    yield clean(f"The consumer secret of {secret.app} (key {secret.consumer_key}) is stored in {place}.")
    if length == "concise":
        return
    if secret.store == "file":
        yield "The file is not encrypted: anyone who can read your files or a copy can read it."
    yield clean(f"To remove it: {command('ecapipe app forget-secret', secret.app)}")


def forgotten(secrets: Sequence[SavedSecretFacts], length: Length = "usual") -> Iterator[str]:
    """``app forget-secret``: whose secrets are no longer saved."""
    for secret in secrets:
        yield clean(f"The saved consumer secret of {secret.app} (key {secret.consumer_key}) was removed.")
    if length != "concise":
        yield "The secret in Salesforce is unchanged."


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
        yield "Nothing to change: the settings files are already ignored."
    for supply in protection.supplies:
        yield clean(f"The consumer secret of {supply.app} {comes} from {supply.variable}, not from {supply.file}.")
    if protection.supplies:
        yield "    Set the variable where sf deploys, which fails without it, and where ecapipe logs in."
        yield "    To commit a file with its placeholder even though it is ignored, use git add --force."
        yield "    A retrieve may restore the value: run this command again after each retrieve."
    for exposure in protection.exposures:
        yield clean(exposure.message)
        yield from (f"    {clean(action)}" for action in exposure.actions)


def runs(runs: Sequence[RunSummary], length: Length = "usual", screen: Screen = PLAIN) -> Iterator[str]:
    """``runs list``: a row per run; just its name when concise, and how to resume it when verbose."""
    if not runs:
        yield "No recorded runs."
    elif length == "concise":
        yield from (clean(run.run) for run in runs)
    else:
        rows = [
            (
                each.run,
                each.command_name.rpartition(" ")[2],
                _state(each),
                f"{each.finished} of {each.planned}",
                str(each.failed),
                ", ".join(each.projects),
            )
            for each in runs
        ]
        cells = [tuple(map(clean, row)) for row in rows]
        yield from screen.table(("Run", "Command", "Status", "Done", "Failed", "Project"), cells)
    if length == "verbose":
        for run in runs:
            yield from ("", screen.paint(clean(run.run), "heading"), *(f"  {line}" for line in _continuation(run)))


def run(summary: RunSummary, report: Report, length: Length = "usual", screen: Screen = PLAIN) -> Iterator[str]:
    """``runs show``: the run, how to resume it, and unless concise a line per login with the reason of a failure."""
    yield from _head(summary, "Logins", screen)
    if length != "concise":
        yield from _logins(report, verbose=length == "verbose")


def rotation(
    summary: RunSummary, result: AppRotate, length: Length = "usual", screen: Screen = PLAIN
) -> Iterator[str]:
    """``runs show`` of a rotation, in the same way."""
    yield from _head(summary, "Rotations", screen)
    if length == "concise":
        return
    for done in result.successes:
        delivered = f", delivered to {', '.join(done.delivered)}" if done.delivered else ""
        yield clean(f"  {done.app}@{done.org}: key {done.consumer_key}{delivered}")
    for failure in result.failures:
        yield clean(f"  {failure.app}@{failure.org}: failed: {failure.name}: {failure.message}")
        if length == "verbose":
            yield from (f"      {clean(action)}" for action in failure.actions)


def _head(summary: RunSummary, noun: str, screen: Screen) -> Iterator[str]:
    yield screen.paint(clean(f"Run {summary.run}: {_state(summary)}"), "heading")
    yield f"  Started: {clean(summary.started_at)}"
    yield from (f"  Project: {clean(project)}" for project in summary.projects)
    counts = f"{summary.finished} done, {summary.failed} failed, {summary.skipped} skipped, {summary.open} left"
    yield f"  {noun}: {summary.planned} planned, {counts}"
    yield from (f"  {line}" for line in _continuation(summary))


def _logins(report: Report, *, verbose: bool) -> Iterator[str]:
    failures = {stage.subject: stage.problem for stage in report.ended if stage.problem}
    started = {stage.subject for stage in report.ended}
    logins = report.logins
    for subject in report.subjects:
        name = report.name(subject)
        if login := logins.get(subject):
            yield f"  {success(name, login)}"
        elif problem := failures.get(subject):
            yield clean(f"  {name}: failed: {problem.name}: {problem.message}")
            if verbose:
                yield from (f"      {clean(action)}" for action in problem.actions)
        elif subject in started and (problem := failures.get(subject.whole_app)):
            # What the app failed with stands above, in full.
            yield clean(f"  {name}: failed: {problem.name}")
        elif subject.org:
            yield clean(f"  {name}: {'no login' if subject in started else 'not started'}")


def _continuation(run: RunSummary) -> Iterator[str]:
    """What part the run is of something larger, and how to resume it."""
    if run.shard:
        yield f"Shard: {clean(run.shard)}"
    if run.resumes:
        yield f"Resumes: {clean(run.resumes)}"
    if run.command:
        yield f"To resume: {clean(run.command)}"
    elif run.resumable:
        yield f"To resume: repeat the command, with {option('resume', run.run)}"


def _state(run: RunSummary) -> str:
    if run.status is not None and run.state == "ended":
        return ending(run.status)
    return _STATES.get(run.state, "Stopped")


def steps(actions: Iterable[str], screen: Screen, indent: str) -> Iterator[str]:
    """What to do: a command at the end of it is on a line of its own, and not broken."""
    for action in actions:
        sentence, *commands = split_command(clean(action))
        yield from screen.wrap(sentence, f"{indent}- ", f"{indent}  ")
        yield from (f"{indent}    {line}" for line in commands)


def advice(name: str, sentences: Sequence[str], screen: Screen) -> Iterator[str]:
    """What to do about what is called `name`."""
    if sentences:
        yield screen.paint(clean(name), "heading")
        yield from steps(sentences, screen, "  ")
        yield ""


def checkup(checks: Sequence[Check], length: Length = "usual", screen: Screen = PLAIN) -> Iterator[str]:
    """``doctor``: a row per check, then what to do; only what is not well when concise, details when verbose."""
    from ecapipe.documents.health import STATES

    shown = [check for check in checks if check.state != "ok" or length != "concise"]
    if shown:
        rows = [(check.state, clean(check.name), clean(check.message)) for check in shown]
        yield from screen.table(("Status", "Check", "Result"), rows, [check.state for check in shown])
        yield ""
    for check in shown:
        yield from advice(check.name, (*check.actions, *(check.details if length == "verbose" else ())), screen)
    counts = ", ".join(f"{sum(check.state == state for check in checks)} {state}" for state in STATES)
    yield f"{plural(len(checks), 'check')}: {counts}."


def storage(places: Sequence[Stored], length: Length = "usual", screen: Screen = PLAIN) -> Iterator[str]:
    """``doctor --storage``: a block for each place; only what exists when concise."""
    for place in places:
        if not place.exists and length == "concise":
            continue
        yield f"{screen.paint(clean(place.what), 'heading')}: {clean(place.where)} ({_condition(place)})"
        if length != "concise":
            yield f"  Secret: {_yes_or_no(place.secret)}"
            yield f"  Written by: {clean(place.written_by)}"
            yield f"  Removed by: {clean(place.removed_by)}"


def _condition(place: Stored) -> str:
    if not place.exists:
        return "doesn't exist"
    # A keyring has no mode, nor has anything on Windows.
    condition = f"mode {place.mode}" if place.mode else "there"
    if place.entries is None:
        return condition
    return f"{condition}, {place.entries} {'entry' if place.entries == 1 else 'entries'}"


def _yes_or_no(answer: bool) -> str:
    return "yes" if answer else "no"


def rule(rule: Rule, screen: Screen = PLAIN) -> Iterator[str]:
    """``explain`` for a rule."""
    yield f"{screen.paint(rule.name, 'heading')} (rule; {rule.levels})"
    yield from _paragraphs(
        {
            "What it means": rule.means,
            "Why it matters": rule.why,
            "What to do": rule.remedy,
            "Source": rule.source,
        },
        screen,
    )


def problem(problem: Kind[...], screen: Screen = PLAIN) -> Iterator[str]:
    """``explain`` for a problem."""
    yield f"{screen.paint(problem.name, 'heading')} (problem, {problem.category}, exit code {problem.exit_code})"
    yield from _paragraphs({"What it means": problem.means, "What to do": problem.remedy}, screen)


def index(
    rules: Iterable[Rule], problems: Iterable[Kind[...]], length: Length = "usual", screen: Screen = PLAIN
) -> Iterator[str]:
    """``explain`` without a name: a row for each; just its name when concise, all of it when verbose."""
    match length:
        case "concise":
            yield from (*(rule.name for rule in rules), *(problem.name for problem in problems))
        case "verbose":
            for page in (*(rule(each, screen) for each in rules), *(problem(each, screen) for each in problems)):
                yield from (*page, "")
        case "usual":
            yield from screen.table(("Rule", "What It Means"), [(rule.name, rule.means) for rule in rules])
            yield ""
            yield from screen.table(("Problem", "What It Means"), [(each.name, each.means) for each in problems])


def _paragraphs(sections: Mapping[str, str], screen: Screen) -> Iterator[str]:
    for title, body in sections.items():
        first, *rest = screen.wrap(f"{title}: {body}")
        yield from ("", screen.paint(title, "heading") + first.removeprefix(title), *rest)


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


def _credential_cell(facts: CredentialFacts) -> str:
    if facts.source:
        return f"from {facts.source}"
    return f"{facts.in_file} (not required)" if facts.required is False else facts.in_file


def _credential(facts: CredentialFacts) -> str:
    if facts.source:
        return f"usable, from {facts.source}"
    # None, of a key, is not False: every flow needs the key.
    if facts.required is False:
        return f"{facts.in_file} in the file (not required)"
    return f"{facts.in_file} in the file"
