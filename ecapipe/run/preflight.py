"""How each login will go, and what cannot work or would do harm: seen across all of a run before anyone signs in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from ecapipe.login import handover
from ecapipe.login import plan as login_plan
from ecapipe.login.callbacks import PendingLogins
from ecapipe.login.options import LoginOptions
from ecapipe.login.target import LoginPlan, Target, WebPlan
from ecapipe.problems.orgs import too_many_approvals
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import (
    flow_not_possible,
    no_oauth_settings,
    settings_in_source_org,
    settings_not_packaged,
)
from ecapipe.problems.usage import bug
from ecapipe.run.readiness import Candidate, Readiness, Ready, Refused, Skipped
from ecapipe.run.world import World
from ecapipe.saved import sessions

APPROVALS: Final = 5
"""Refresh tokens that one user has of one app in one org; the next one revokes the oldest."""

_SETTINGS_ELSEWHERE: Final = frozenset({settings_in_source_org, settings_not_packaged, no_oauth_settings})
"""Why an app has no settings file in an org, though it may have one elsewhere."""


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
        if (problem.kind is flow_not_possible and flow_chooses) or problem.kind in _SETTINGS_ELSEWHERE:
            return Skipped(target, problem)
        return readiness

    return [check(each) for each in targets]


def _refuse_surplus_approvals(targets: Sequence[Readiness]) -> list[Readiness]:
    """More refresh tokens for one user and app in one org than Salesforce grants are a problem of those beyond: they
    would silently revoke the first, which may be the one that production uses."""
    approvals: Counter[tuple[str, str, str | None]] = Counter()

    def check(readiness: Readiness) -> Readiness:
        match readiness:
            case Ready(target, WebPlan(flow=flow, scopes=str(scopes))) if flow.brings_refresh_token(scopes.split()):
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
