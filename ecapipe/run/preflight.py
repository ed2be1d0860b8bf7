"""What cannot work, or would do harm, seen across all logins of a run before anyone signs in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from ecapipe.login import handover
from ecapipe.login.options import LoginOptions
from ecapipe.login.target import LoginPlan, Target, WebPlan
from ecapipe.login.tracker import SkipStage
from ecapipe.problems.orgs import too_many_approvals
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.run.world import World

APPROVALS = 5
"""Refresh tokens that one user has of one app in one org; the next one revokes the oldest."""
_REFRESHING = frozenset({"refresh_token", "offline_access"})

_AWAY: Final = frozenset({"SettingsInSourceOrg", "SettingsNotPackaged", "NoOauthSettings"})
"""Why an app has no settings file in an org, though it may have one elsewhere."""

PlanOutcome = LoginPlan | Problem | SkipStage | str
UNPLANNED: Final = (Problem, SkipStage, str)
"""What stands where there is no plan: the target is not logged in to."""


def review_plans(
    targets: Sequence[Target], plans: Sequence[PlanOutcome], how: LoginOptions, world: World
) -> list[PlanOutcome]:
    """The plans, but for those that are better not carried out: a problem, or the reason to skip the login."""
    judged = _approvals(targets, _crossing(targets, plans, how))
    return _overwriting(targets, judged, how, world) if how.hand_over else judged


def _crossing(targets: Sequence[Target], plans: Sequence[PlanOutcome], how: LoginOptions) -> list[PlanOutcome]:
    """A flow that was asked for chooses among the apps of an org: one that does not allow it, and was not named, is
    skipped, unless no app of the org allows it; so is one that has its key and secret elsewhere."""
    able = {target.org for target, plan in zip(targets, plans, strict=True) if not isinstance(plan, UNPLANNED)}

    def meant(target: Target, plan: PlanOutcome) -> PlanOutcome:
        if not isinstance(plan, Problem) or target.named:
            return plan
        chosen = plan.name == "FlowNotPossible" and target.org in able and how.of(target.org).flow != "auto"
        return SkipStage(plan.message, plan) if chosen or plan.name in _AWAY else plan

    return [meant(target, plan) for target, plan in zip(targets, plans, strict=True)]


def _approvals(targets: Sequence[Target], plans: Sequence[PlanOutcome]) -> list[PlanOutcome]:
    """More refresh tokens for one user and app in one org than Salesforce keeps are a problem of those beyond."""
    begun: Counter[tuple[str, str, str | None]] = Counter()
    judged: list[PlanOutcome] = []
    for target, plan in zip(targets, plans, strict=True):
        if isinstance(plan, WebPlan) and _REFRESHING & set((plan.scopes or "").split()):
            org = target.org
            key = (target.credentials.consumer_key, org.org_id[:15] if org.org_id else org.url, org.username)
            begun[key] += 1
            if begun[key] > APPROVALS:
                plan = too_many_approvals(target.app.name, org.name, APPROVALS)
        judged.append(plan)
    return judged


def _overwriting(
    targets: Sequence[Target], plans: Sequence[PlanOutcome], how: LoginOptions, world: World
) -> list[PlanOutcome]:
    """A login that the Salesforce CLI could not keep beside the others is a problem, as far as users and orgs are
    known."""
    ready = [target for target, plan in zip(targets, plans, strict=True) if not isinstance(plan, UNPLANNED)]
    wanted = [(target.app.name, target.org) for target in ready]
    told = any(target.org.alias or (target.org.username and target.org.org_id) for target in ready)
    try:
        kept = world.sf.named() if told else ()
    except EcapipeError as error:  # it could not take a login, either
        return [plan if isinstance(plan, UNPLANNED) else error.problem for plan in plans]

    def judged(target: Target, plan: PlanOutcome) -> PlanOutcome:
        org = target.org
        if isinstance(plan, UNPLANNED):
            return plan
        rival = handover.rival(target.app.name, org, wanted)
        taken = handover.overwritten(org.username, org.org_id, org, kept, replace_alias=how.replace_alias)
        return rival or taken or plan

    return [judged(target, plan) for target, plan in zip(targets, plans, strict=True)]
