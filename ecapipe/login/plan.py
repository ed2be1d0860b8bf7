"""The plan of a login, made before anyone signs in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from ecapipe.credentials.resolution import require_presentable_key
from ecapipe.documents import recorded_runs
from ecapipe.events import DRY_RUN, PROBED
from ecapipe.login import handover
from ecapipe.login.fingerprints import fingerprint
from ecapipe.login.options import LoginOptions
from ecapipe.login.ports import LoginAccess
from ecapipe.login.target import LoginPlan, Target, UnattendedPlan, WebPlan
from ecapipe.login.tracker import EndEarly, StageWork
from ecapipe.oauth.flows import registry
from ecapipe.oauth.flows.flow import Means, UnattendedFlow
from ecapipe.oauth.flows.plans import GrantInput
from ecapipe.oauth.flows.registry import AUTO, AnyFlow, allowed_by, choose_flow, uses_key
from ecapipe.oauth.flows.web import WebFlow, choose_callback
from ecapipe.oauth.scopes import scopes_to_hand_over, scopes_to_request, scopes_to_save
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import not_one_default
from ecapipe.project.apps import App


def plan(target: Target, options: LoginOptions, world: LoginAccess) -> LoginPlan:
    """The plan for the login of `target`.

    Raises `EcapipeError`: missing credentials, ConsumerKeyWithheld, FlowNotPossible, CallbackNotUsable,
    JwtUsernameMissing, RefreshScopeMissing, HandOverNotPossible, and the problems of a private key that cannot be
    used, or of a store that cannot save the login.
    """
    # Everything that can fail without the org fails here: nobody is to sign in for nothing.
    if options.keep and (obstacle := world.store.obstacle("login", options.keep)):
        raise EcapipeError(obstacle)
    org_options = options.of(target.org)
    has_secret = target.credentials.consumer_secret is not None
    means = Means(world.person, secret=has_secret, key=options.key_file is not None)
    flow = choose_flow(target.app, org_options.flow, means)
    bound = options.dpop or target.app.requires_dpop
    if flow.attended or options.hand_over or options.probe or options.keep:
        require_presentable_key(target.resolved, target.credentials)
    if options.hand_over:
        handover.check(target.credentials, target.org, lasting=flow.refreshes, bound=bound)
    plan = _plan_flow(flow, target, options, world)
    if isinstance(plan, UnattendedPlan) and org_options.scopes:
        unused = f"The scopes asked for aren't sent: with the {flow.title} flow the org grants those of the app."
        plan = replace(plan, grant=replace(plan.grant, doubts=(*plan.grant.doubts, unused)))
    # Made for each login, and for no dry run: the library that makes keys takes its time to load.
    return replace(plan, new_key=world.proof_keys.new) if bound else plan


def _plan_flow(flow: AnyFlow, target: Target, options: LoginOptions, world: LoginAccess) -> LoginPlan:
    match flow:
        case WebFlow():
            return _web_plan(target, options, world)
        case UnattendedFlow():
            return UnattendedPlan(flow, flow.plan(_grant_input(target, options, world)))


def _grant_input(target: Target, options: LoginOptions, world: LoginAccess) -> GrantInput:
    return GrantInput(
        target.app,
        target.org,
        target.credentials.consumer_key,
        options.key_file,
        options.audience,
        lambda path: world.keys(path, world.ask),
        world.clock.utc,
        world.random_bytes,
    )


def needs_no_secret(app: App, org: Org | None, options: LoginOptions) -> bool:
    """Whether the login of `app` will need no consumer secret."""
    if org:
        options = options.of(org)
    return registry.needs_no_secret(app, options.flow, options.key_file is not None)


def _web_plan(target: Target, options: LoginOptions, world: LoginAccess) -> WebPlan:
    app, org, org_options = target.app, target.org, options.of(target.org)
    # A browser that cannot be opened from here may run on another machine, which no loopback address reaches.
    local = world.local_browser and not (org.browser and opener(org, world) is None)
    callback, redirect_uri = choose_callback(app, org_options.callback, local)
    return WebPlan(callback, redirect_uri, _scopes(app, options, org_options.scopes))


def _scopes(app: App, options: LoginOptions, chosen: str | None) -> str | None:
    """The scopes that a user is asked to approve: those `chosen` for the org, or the app's."""
    if options.hand_over:
        return scopes_to_hand_over(app, chosen)
    # Scopes of the command line are taken as they are; those of an org file get what a saved login needs.
    if options.keep and options.scopes is None:
        return scopes_to_save(app, chosen)
    return chosen or scopes_to_request(app)


def expect_to_hand_over(orgs: Sequence[Org], options: LoginOptions, world: LoginAccess) -> None:
    """Check for a Salesforce CLI that can take over logins in `orgs`, before anything else is done.

    Raises `EcapipeError`: SfNotFound, SfTooOld, SfFailed, NotOneDefault.
    """
    if options.set_default and len(orgs) != 1:
        raise EcapipeError(not_one_default(len(orgs)))
    # It raises the problems of a CLI that is missing or too old.
    world.sf.version()


def doubts(app: App, orgs: Sequence[Org], options: LoginOptions, world: LoginAccess) -> list[str]:
    """Sentences about what may go wrong with the app's logins in `orgs` after they were handed over."""
    # Refresh tokens are what the doubts are about.
    lasting = [flow for flow in allowed_by(app) if flow.refreshes]
    if not options.hand_over or not lasting:
        return []
    has_key = options.key_file is not None
    asked = {flow for org in orgs if not uses_key(app, flow := options.of(org).flow, has_key)}
    if AUTO in asked and world.person:
        asked |= {flow.name for flow in lasting}
    if asked.isdisjoint(flow.name for flow in lasting):
        return []
    version = world.sf.version()
    if not version.loses_rotated_tokens:
        return handover.doubts(app, None)
    return handover.doubts(app, version.core)


def opener(org: Org, world: LoginAccess) -> Callable[[str], bool] | None:
    """Opens a URL in the browser for `org`; None if links are only printed for it."""
    if org.browser and world.browsers:
        return world.browsers(org.browser)
    return world.open


def show(plan: LoginPlan, target: Target, options: LoginOptions, work: StageWork) -> None:
    """Record the plan as the facts of a stage. Raises `EndEarly` for a dry run."""
    if plan.flow.attended and target.org.browser:
        work.facts["browser"] = target.org.browser
    work.facts |= {"flow": plan.flow.name, "host": target.org.host, **plan.facts}
    if isinstance(plan, UnattendedPlan) and plan.grant.doubts:
        work.facts["doubts"] = list(plan.grant.doubts)
    if plan.new_key:
        work.facts["tokenType"] = "DPoP"
    if options.dry_run:
        key, secret, variable = target.resolved.key, target.resolved.secret, target.org.secret_env
        work.facts |= {"consumerKey": key.source, "consumerSecret": secret.source}
        if variable:
            work.facts["secretEnv"] = variable
        if target.resolved.replaced_by:
            work.facts["replaceWithEnv"] = list(target.resolved.replaced_by)
        raise EndEarly(PROBED if "probe" in work.facts else DRY_RUN)
    work.facts[recorded_runs.FINGERPRINT] = fingerprint(target.app, target.org, options, target.resolved)


def now(world: LoginAccess) -> float:
    """The time of day in seconds since 1970, UTC, as assertions have it (RFC 7519, NumericDate)."""
    return datetime.fromisoformat(world.clock.utc()).timestamp()
