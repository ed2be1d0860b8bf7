"""How a login will go, found before anyone signs in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import assert_never

from ecapipe.documents import recorded_runs
from ecapipe.login import handover
from ecapipe.login.fingerprints import fingerprint
from ecapipe.login.options import LoginOptions
from ecapipe.login.ports import LoginAccess
from ecapipe.login.target import JwtPlan, LoginPlan, Target, UnattendedPlan, WebPlan
from ecapipe.login.tracker import DRY_RUN, EndEarly, StageWork
from ecapipe.oauth import grants
from ecapipe.oauth.flows import choose_callback, choose_flow, uses_key
from ecapipe.oauth.grants import ClientCredentials, JwtBearer
from ecapipe.oauth.scopes import scopes_to_hand_over, scopes_to_request, scopes_to_save
from ecapipe.orgs.org import Org, assertion_audience
from ecapipe.problems.credentials import jwt_username_missing
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.usage import not_one_default
from ecapipe.project.apps import App


def plan(target: Target, how: LoginOptions, world: LoginAccess) -> LoginPlan:
    """How `target` will log in, found before anyone signs in.

    Raises `EcapipeError`: missing credentials, FlowNotPossible, CallbackNotUsable, JwtUsernameMissing,
    RefreshScopeMissing, HandOverNotPossible, and what keeps a private key from being used, or the login from being
    kept.
    """
    if how.keep and (obstacle := world.store.obstacle("login", how.keep)):
        raise EcapipeError(obstacle)
    asked, how = how.scopes, how.of(target.org)
    has_secret = target.credentials.consumer_secret is not None
    flow = choose_flow(target.app, how.flow, has_secret, world.person, how.key_file is not None)
    if how.hand_over:
        handover.check(target.credentials, target.org, lasting=flow == "web")
    match flow:
        case "client-credentials":
            return ClientCredentials()
        case "jwt":
            return _with_key(target, how.key_file or "", how.audience, world)
        case "web":
            local = world.local_browser and not (target.org.browser and opener(target.org, world) is None)
            callback, redirect_uri = choose_callback(target.app, how.callback, local)
            if how.hand_over:
                return WebPlan(callback, redirect_uri, scopes_to_hand_over(target.app, how.scopes))
            if how.keep and asked is None:
                return WebPlan(callback, redirect_uri, scopes_to_save(target.app, how.scopes))
            return WebPlan(callback, redirect_uri, how.scopes or scopes_to_request(target.app))


def needs_no_secret(app: App, org: Org | None, how: LoginOptions) -> bool:
    """Whether `app` will log in with a private key, so that no consumer secret is needed."""
    flow = how.of(org).flow if org else how.flow
    return uses_key(app, flow, how.key_file is not None)


def _with_key(target: Target, key_file: str, audience: str | None, world: LoginAccess) -> JwtPlan:
    app, org, credentials = target.app, target.org, target.credentials
    if org.username is None:
        raise EcapipeError(jwt_username_missing(app.name, org.name))
    username, whom = org.username, audience or assertion_audience(org)
    key = world.keys(key_file, world.ask)
    doubts = []
    if key.open_to_others:
        doubts.append(f"Other users of this machine can read the private key: chmod 600 {key_file}")
    certificate = app.settings.document.text("certificate") if app.settings else None
    if certificate and (doubt := key.doubt(certificate, world.clock.utc())):
        doubts.append(f"The certificate in the settings of {app.name} {doubt}.")

    def sign(ahead: float) -> JwtBearer:
        return grants.sign_assertion(
            credentials.consumer_key, username, whom, key.sign, now(world) + ahead, world.chance
        )

    return JwtPlan(username, whom, key_file, sign, tuple(doubts))


def expect_to_hand_over(chosen: Sequence[Org], how: LoginOptions, world: LoginAccess) -> None:
    """Whether there is a Salesforce CLI that can be given logins in `chosen` orgs, before anything else is done.

    Raises `EcapipeError`: SfNotFound, SfTooOld, SfFailed, NotOneDefault.
    """
    if how.set_default and len(chosen) != 1:
        raise EcapipeError(not_one_default(len(chosen)))
    world.sf.version()


def doubts(app: App, chosen: Sequence[Org], how: LoginOptions, world: LoginAccess) -> list[str]:
    """What may go wrong with the app's logins in `chosen` orgs after they were handed over."""
    flows = {how.of(org).flow for org in chosen if not needs_no_secret(app, org, how)}
    if not how.hand_over or "web" not in app.flows or not ("web" in flows or ("auto" in flows and world.person)):
        return []
    version = world.sf.version()
    return handover.doubts(app, version.core if version.loses_rotated_tokens else None)


def opener(org: Org, world: LoginAccess) -> Callable[[str], bool] | None:
    """Shows a URL in the browser that is meant for `org`; None where links are only printed for it."""
    return world.browsers(org.browser) if org.browser and world.browsers else world.open


def show(planned: LoginPlan | Problem, target: Target, how: LoginOptions, work: StageWork) -> None:
    """Tell the plan as the facts of a stage. Raises `EcapipeError`, what the plan met; `EndEarly` for a dry run."""
    match planned:
        case Problem():
            raise EcapipeError(planned)
        case WebPlan():
            work.facts |= {"browser": target.org.browser} if target.org.browser else {}
            scopes = (planned.scopes or "").split()
            work.facts |= {"flow": "web", "host": target.org.host, "callback": planned.callback}
            work.facts |= {"redirectUri": planned.redirect_uri, "scopes": scopes}
        case ClientCredentials():
            work.facts |= {"flow": "client-credentials", "host": target.org.host}
        case JwtPlan():
            work.facts |= {"flow": "jwt", "host": target.org.host, "audience": planned.audience}
            work.facts |= {"username": planned.username, "keyFile": planned.key_file}
            if planned.doubts:
                work.facts["doubts"] = list(planned.doubts)
        case _:
            assert_never(planned)
    if how.dry_run:
        key, secret, variable = target.resolved.key, target.resolved.secret, target.org.secret_env
        work.facts |= {"consumerKey": key.source, "consumerSecret": secret.source}
        work.facts |= {"secretEnv": variable} if variable else {}
        raise EndEarly(DRY_RUN)
    work.facts[recorded_runs.FINGERPRINT] = fingerprint(target.app, target.org, how, target.resolved)


def why_unattended(planned: UnattendedPlan) -> str:
    """Why nobody is asked to sign in."""
    match planned:
        case ClientCredentials():
            return "The client credentials flow has no browser step."
        case JwtPlan():
            return "The JWT bearer flow has no browser step."
        case _:
            assert_never(planned)


def now(world: LoginAccess) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(world.clock.utc()).timestamp()
