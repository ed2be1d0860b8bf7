"""How each login will go, and what cannot work or would do harm: seen across all of a run before anyone signs in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ecapipe.credentials import settings_file
from ecapipe.login import handover
from ecapipe.login import plan as login_plan
from ecapipe.login.callbacks import PendingLogins
from ecapipe.login.options import LoginOptions
from ecapipe.login.target import LoginPlan, Target, WebPlan
from ecapipe.oauth.scopes import all_scopes
from ecapipe.problems.orgs import too_many_approvals
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import flow_not_possible
from ecapipe.problems.usage import bug
from ecapipe.run.readiness import Candidate, Readiness, Ready, Refused, Skipped
from ecapipe.run.world import World

if TYPE_CHECKING:
    from ecapipe.documents.verdicts import ProbeCheck
    from ecapipe.run.questions import Question

APPROVALS: Final = 5
"""Refresh tokens that one user has of one app in one org; the next one revokes the oldest."""


def plan_logins(candidates: Sequence[Candidate], options: LoginOptions, world: World) -> list[Readiness]:
    """How each target will log in, or why it will not."""
    targets = [_plan(each, options, world) for each in candidates]
    targets = _refuse_closed_callbacks(targets, world)
    # Approvals are counted, and rivals for an alias looked for, only among the logins that are left by then.
    targets = _skip_unsuitable(targets, options)
    targets = _refuse_surplus_approvals(targets)
    if options.keep:
        targets = _refuse_unreadable_records(targets, world)
    if options.hand_over:
        targets = _refuse_overwriting(targets, options, world)
    return targets


def callback_urls(plans: Iterable[LoginPlan]) -> frozenset[str]:
    """The addresses that have to be listened on."""
    return frozenset(plan.listens for plan in plans if isinstance(plan, WebPlan) and plan.listens)


def _plan(candidate: Candidate, options: LoginOptions, world: World) -> Readiness:
    if not isinstance(candidate, Target):
        return candidate
    try:
        return Ready(candidate, login_plan.plan(candidate, options, world))
    except EcapipeError as error:
        return Refused(candidate, error.problem)
    except Exception as error:
        return Refused(candidate, bug(error))


def ask_orgs(targets: Sequence[Readiness], world: World, at_once: int) -> tuple[list[Readiness], bool]:
    """The targets after their orgs were asked whether the logins could begin, and whether that was interrupted: then
    those that were not answered are left out."""
    # Few runs ask: what reads the answers is loaded for those alone.
    from ecapipe.run.questions import ask_all

    questions = {place: question for place, each in enumerate(targets) if (question := _question(each))}
    answers = ask_all(list(questions.values()), world, at_once)
    checks = {place: answers.checks.get(number) for number, place in enumerate(questions)}
    answered = [_judge(each, checks.get(place)) for place, each in enumerate(targets) if checks.get(place, True)]
    return answered, answers.interrupted


def _question(readiness: Readiness) -> Question | None:
    from ecapipe.run.questions import Question

    match readiness:
        case Ready(target, WebPlan() as plan):
            return Question(target.credentials, target.org, plan.redirect_uri, plan.scopes)
        # It takes no authorize step of its own, which yet knows key and app.
        case Ready(target) if target.app.callback_urls:
            return Question(target.credentials, target.org, target.app.callback_urls[0], all_scopes(target.app))
    return None


def _judge(readiness: Readiness, check: ProbeCheck | None) -> Readiness:
    """A refusal is a problem, unless it is about what the login does not use."""
    if not isinstance(readiness, Ready) or check is None:
        return readiness
    unused = not readiness.plan.flow.attended and check.refused in ("callback", "scopes")
    if check.verdict == "refused" and check.problem and not unused:
        return Refused(readiness.target, check.problem)
    return replace(readiness, check=check)


def _refuse_closed_callbacks(targets: Sequence[Readiness], world: World) -> list[Readiness]:
    """A login whose callback URL cannot be listened on, which is tried here, is refused."""
    urls = callback_urls(each.plan for each in targets if isinstance(each, Ready))
    if not urls:
        return list(targets)
    # Nobody waits for an answer yet, so that one that comes fits nothing.
    with world.listen(urls, PendingLogins().land) as failures:
        problems = dict(failures)

    def check(readiness: Readiness) -> Readiness:
        match readiness:
            case Ready(target, WebPlan(listens=str(url))) if url in problems:
                return Refused(target, problems[url])
        return readiness

    return [check(each) for each in targets]


def _skip_unsuitable(targets: Sequence[Readiness], options: LoginOptions) -> list[Readiness]:
    """A flow that was asked for chooses among the apps of an org: one that does not allow it, and was not named, is
    skipped, unless no app of the org allows it; so is one that has its key and secret elsewhere."""
    served = {each.target.org for each in targets if isinstance(each, Ready)}

    def check(readiness: Readiness) -> Readiness:
        # Whoever names an app wants to know why it does not work.
        if not isinstance(readiness, Refused) or readiness.target.named:
            return readiness
        target, problem = readiness.target, readiness.problem
        flow_chooses = target.org in served and options.of(target.org).flow != "auto"
        if (problem.kind is flow_not_possible and flow_chooses) or problem.kind in settings_file.ELSEWHERE:
            return Skipped(target, problem)
        return readiness

    return [check(each) for each in targets]


def _refuse_surplus_approvals(targets: Sequence[Readiness]) -> list[Readiness]:
    """More refresh tokens for one user and app in one org than Salesforce grants are a problem of those beyond: they
    would silently revoke the first, which may be the one that production uses."""
    approvals: Counter[tuple[str, str, str | None]] = Counter()

    def check(readiness: Readiness) -> Readiness:
        match readiness:
            case Ready(target, plan) if plan.brings_refresh_token:
                org = target.org
                # Ids are known with 15 characters and with 18, of which the last three are a checksum.
                org_key = org.org_id[:15] if org.org_id else org.url
                user_of_app = target.credentials.consumer_key, org_key, org.username
                approvals[user_of_app] += 1
                if approvals[user_of_app] > APPROVALS:
                    return Refused(target, too_many_approvals(target.app.name, org.name, APPROVALS))
        return readiness

    return [check(each) for each in targets]


def _refuse_unreadable_records(targets: Sequence[Readiness], world: World) -> list[Readiness]:
    """A login whose record may be one that cannot be read is refused: that is never written over, and whose it is
    turns out only when the login is done."""
    from ecapipe.saved import sessions

    unreadable = sessions.logins(world)[1] if any(isinstance(each, Ready) for each in targets) else ()

    def check(readiness: Readiness) -> Readiness:
        if isinstance(readiness, Ready):
            app, url = readiness.target.app.name, readiness.target.org.url
            for record in unreadable:
                if record.may_be(app, url):
                    return Refused(readiness.target, record.problem)
        return readiness

    return [check(each) for each in targets]


def _refuse_overwriting(targets: Sequence[Readiness], options: LoginOptions, world: World) -> list[Readiness]:
    """A login that the Salesforce CLI could not store beside the others is a problem, as far as users and orgs are
    known."""
    ready = [each.target for each in targets if isinstance(each, Ready)]
    logins = [(target.app.name, target.org) for target in ready]
    # Without an alias, or a user whose org is known, there is nothing to compare, and it need not be started.
    comparable = any(target.org.alias or (target.org.username and target.org.org_id) for target in ready)
    try:
        stored_logins = world.sf.named() if comparable else ()
    except EcapipeError as error:  # it could not take a login, either
        return [Refused(each.target, error.problem) if isinstance(each, Ready) else each for each in targets]

    def check(readiness: Readiness) -> Readiness:
        if not isinstance(readiness, Ready):
            return readiness
        target, org = readiness.target, readiness.target.org
        problem = handover.rival(target.app.name, org, logins) or handover.overwritten(
            org.username, org.org_id, org, stored_logins, replace_alias=options.replace_alias
        )
        return Refused(target, problem) if problem else readiness

    return [check(each) for each in targets]
