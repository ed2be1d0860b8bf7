"""Asking orgs whether they accept each app (``app probe``): without a person or a login."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ecapipe.check import listing
from ecapipe.credentials import resolution, settings_file
from ecapipe.credentials.resolution import Credentials, Resolution, require_presentable_key
from ecapipe.credentials.sources import ANYBODY, Chain, Scope, without_questions
from ecapipe.documents.verdicts import ProbeCheck, Verdict, Word, worst
from ecapipe.events import AppFacts
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.oauth.scopes import all_scopes
from ecapipe.orgs.org import Org, duplicate_warnings
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.credentials import consumer_secret_missing
from ecapipe.problems.oauth import FEWER_SCOPES
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.usage import bug, interrupted
from ecapipe.project import discovery
from ecapipe.project.apps import App
from ecapipe.project.discovery import Discovery, ProjectSelection
from ecapipe.run import steps, targets
from ecapipe.run.questions import Question, ask_all
from ecapipe.run.targets import AppInOrg, RunTargets
from ecapipe.run.world import World


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The apps of the project, a verdict for each pair of app and org, in order, and sentences to warn with."""

    found: Discovery
    apps: tuple[AppFacts, ...]
    verdicts: tuple[Verdict, ...]
    notices: tuple[str, ...]


def run(
    selection: ProjectSelection, org_selection: OrgSelection, secret_from: frozenset[str], world: World
) -> ProbeResult:
    """Ask each org about its apps. Raises `EcapipeError` if the project cannot be read, or an org not used."""
    run_targets = targets.choose_targets(selection, org_selection, world)
    found = run_targets.found
    chain = world.chain(
        Scope(found.apps, run_targets.chosen, found.known, ANYBODY, secret_from, org_selection.allowed)
    )
    # A dict as an ordered set: the same warning may come up again.
    warnings: dict[str, None] = {}
    verdicts = _ask_all([_prepare(pair, chain, world, warnings) for pair in run_targets.pairs], world)
    # A pair that nobody asked for may be skipped, as long as another one is accepted.
    if not any(verdict.word == "accepted" for verdict in verdicts):
        verdicts = tuple(_unskipped(verdict) for verdict in verdicts)
    return ProbeResult(
        found=found,
        apps=tuple(_describe(app, run_targets, chain) for app in found.apps),
        verdicts=verdicts,
        notices=(*_notices(run_targets), *warnings),
    )


def _unskipped(verdict: Verdict) -> Verdict:
    if verdict.word != "skipped":
        return verdict
    return replace(verdict, word="missing")


def _describe(app: App, run_targets: RunTargets, chain: Chain) -> AppFacts:
    # Nobody is asked again for what is only shown.
    resolved = resolution.resolve(app, None, without_questions(chain), allowed_flows)
    org_ids = settings_file.known_org_ids(app, [pair.org for pair in run_targets.of(app)])
    return listing.describe(app, resolved, org_ids)


def _notices(run_targets: RunTargets) -> list[str]:
    notices = [problem.message for problem in run_targets.found.unreadable]
    notices += [*run_targets.found.notices, *run_targets.notices]
    notices += [org.warning for org in run_targets.chosen if org.warning]
    return [*notices, *duplicate_warnings(run_targets.chosen)]


@dataclass(frozen=True, slots=True)
class _Row:
    """An app in an org, with the questions that can be asked, and the sources of its credentials."""

    pair: AppInOrg
    resolved: Resolution
    questions: tuple[Question, ...]
    lacks_secret: bool
    """Whether a login would need a secret, and there is none to ask about."""

    def verdict(self, checks: Sequence[ProbeCheck]) -> Verdict:
        """The row is as bad as its worst answer."""
        bad = worst(checks)
        verdict = _verdict(self.pair, bad.verdict, self._acceptance(checks))
        if bad.problem:
            verdict = _failure(self.pair, bad.verdict, bad.problem)
            if bad.callback and len(self.pair.app.callback_urls) > 1:
                verdict = replace(verdict, message=f"{bad.callback}: {verdict.message}")
        return _with_sources(replace(verdict, refused=bad.refused, checks=tuple(checks)), self.resolved)

    def _acceptance(self, checks: Sequence[ProbeCheck]) -> str:
        callbacks = sum(check.callback is not None for check in checks)
        parts = ["consumer key"]
        if callbacks:
            parts += ["callback URL" if callbacks == 1 else f"{callbacks} callback URLs", "scopes"]
        # A public client has no secret, and the key alone was proved.
        if callbacks < len(checks) and self.questions[-1].credentials.consumer_secret:
            parts.append("secret")
        *first, last = parts
        listed = " and ".join(filter(None, (", ".join(first), last)))
        sentence = f"{self.pair.org.name} accepts the {listed} of {self.pair.app.name}."
        if self.lacks_secret:
            sentence += " Its consumer secret was not checked, because it is unknown."
        return sentence


def _prepare(pair: AppInOrg, chain: Chain, world: World, warnings: dict[str, None]) -> Verdict | _Row:
    """The questions about a pair, or its verdict if there is nothing to ask. Adds what a run would warn of."""
    app, org = pair.app, pair.org
    if app.settings is None and not steps.has_credentials_from_outside(app, (org,), chain, lambda org: False):
        problem = settings_file.settings_problem(app, (org,), chain)
        # Settings that should be here are an oversight, whoever asked; a packaged app has them elsewhere.
        if pair.named or problem.kind not in settings_file.ELSEWHERE:
            return _failure(pair, "missing", problem)
        return _failure(pair, "skipped", problem)
    try:
        discovery.refuse_rivals(app)
        resolved = resolution.resolve(app, org, chain, allowed_flows)
        missing = resolved.problem
        lacks_secret = missing is not None and missing.kind is consumer_secret_missing
        if lacks_secret and app.callback_urls:
            # Authorize is asked without the secret.
            resolved = resolution.resolve(app, org, without_questions(chain), allowed_flows, needs_no_secret=True)
    except EcapipeError as error:
        return _failure(pair, "missing", error.problem)
    except Exception as error:
        return _failure(pair, "missing", bug(error))
    if resolved.warning:
        warnings[f"{app.name}@{org.name}: {resolved.warning}"] = None
    match resolved.outcome:
        case Problem() as problem:
            return _with_sources(_failure(pair, "missing", problem), resolved)
        case Credentials() as credentials:
            try:
                if app.callback_urls:  # authorize is asked in a URL
                    require_presentable_key(resolved, credentials)
            except EcapipeError as error:
                return _with_sources(_failure(pair, "missing", error.problem), resolved)
            return _Row(pair, resolved, _questions(credentials, org), lacks_secret)


def _questions(credentials: Credentials, org: Org) -> tuple[Question, ...]:
    """One for each callback, and one about the secret; where there is neither, about the key alone."""
    app = credentials.app
    questions = [Question(credentials, org, url, all_scopes(app)) for url in app.callback_urls]
    if credentials.consumer_secret or not questions:
        questions.append(Question(credentials, org))
    return tuple(questions)


def _failure(pair: AppInOrg, word: Word, problem: Problem) -> Verdict:
    return replace(_verdict(pair, word, problem.message), problem=problem)


def _verdict(pair: AppInOrg, word: Word, message: str) -> Verdict:
    app, org = pair.app, pair.org
    return Verdict(app.name, project=app.project, org=org.name, host=org.host, word=word, message=message)


def _with_sources(verdict: Verdict, resolved: Resolution) -> Verdict:
    message = verdict.message
    if resolved.read_from:
        message = f"{message} The consumer secret was read from {resolved.read_from}."
    return replace(verdict, message=message, key_source=resolved.key.source, secret_source=resolved.secret.source)


def _without_login(check: ProbeCheck) -> ProbeCheck:
    """The same, without advice for a login: nobody logs in here."""
    if check.problem is None:
        return check
    actions = tuple(action for action in check.problem.actions if action != FEWER_SCOPES)
    return replace(check, problem=replace(check.problem, actions=actions))


def _ask_all(rows: Sequence[Verdict | _Row], world: World) -> tuple[Verdict, ...]:
    """The verdicts in the order of `rows`; an interrupt leaves the questions that have not been answered."""
    questions = [question for row in rows if isinstance(row, _Row) for question in row.questions]
    answers, unanswered = ask_all(questions, world), EcapipeError(interrupted())
    checks = iter(
        _without_login(answers.checks.get(number) or question.answer("unclear", unanswered))
        for number, question in enumerate(questions)
    )
    return tuple(
        row if isinstance(row, Verdict) else row.verdict(list(islice(checks, len(row.questions)))) for row in rows
    )
