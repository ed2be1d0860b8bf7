"""Proving a pair: the org is asked whether it accepts it, and logs in with it where that needs nobody."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from ecapipe.credentials.resolution import Credentials, Resolution
from ecapipe.exchange import sending
from ecapipe.login import plan as login_plan
from ecapipe.login.options import LoginOptions
from ecapipe.login.target import Target as LoginTarget
from ecapipe.login.target import UnattendedPlan
from ecapipe.login.token_request import LONGEST, request_token
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import introspection
from ecapipe.oauth.authorize_probe import ProbeRefusal
from ecapipe.oauth.flows.flow import Means, UnattendedFlow
from ecapipe.oauth.flows.registry import UNATTENDED, may_be_allowed
from ecapipe.problems.oauth import app_not_found_in_org, invalid_client, invalid_client_id
from ecapipe.problems.problem import EcapipeError
from ecapipe.rotate.target import Proof, RotationOptions, Target
from ecapipe.run.world import World
from ecapipe.secret import Secret

_OF_PAIR = frozenset({invalid_client, invalid_client_id, app_not_found_in_org})
"""Refusals of a login that are about key and secret."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the org said of a pair: how it proved that it accepts it, why it does not, what it did not tell."""

    proofs: tuple[Proof, ...] = ()
    refusal: str | None = None
    doubts: tuple[str, ...] = ()

    @property
    def proved(self) -> bool:
        """A login says more than an introspection: where it works, nothing is in doubt."""
        return bool(self.proofs) and (not self.doubts or "introspect" != self.proofs[-1])


def prove(
    target: Target, pair: tuple[str, Secret], options: RotationOptions, world: World, work: StageWork
) -> Verdict:
    """Ask the org in every way that there is."""
    verdict = introspect(target, *pair, world)
    for flow in login_flows(target, options):
        if verdict.refusal:
            break
        verdict = _merge(verdict, _log_in(target, pair, flow, options, world, work))
    return verdict


def login_flows(target: Target, options: RotationOptions) -> tuple[UnattendedFlow, ...]:
    """The logins without a person that can prove a pair."""
    means = Means(person=False, secret=True, key=options.key_file is not None)
    return tuple([flow for flow in UNATTENDED if flow.usable(means) and may_be_allowed(flow, target.app)])


def introspect(target: Target, key: str, secret: Secret, world: World) -> Verdict:
    """Whether the org accepts a pair, asked without a login."""
    credentials = Credentials(target.app, key, secret)
    try:
        request = introspection.request(credentials, target.org)
        introspection.read(sending.send(request, world, inf), credentials, target.org)
    except ProbeRefusal as error:
        return Verdict(refusal=error.problem.message.rstrip("."))
    except EcapipeError as error:
        return Verdict(doubts=(error.problem.message.rstrip("."),))
    return Verdict(proofs=("introspect",))


def _merge(one: Verdict, other: Verdict) -> Verdict:
    return Verdict(one.proofs + other.proofs, one.refusal or other.refusal, one.doubts + other.doubts)


def _log_in(
    target: Target,
    pair: tuple[str, Secret],
    flow: UnattendedFlow,
    options: RotationOptions,
    world: World,
    work: StageWork,
) -> Verdict:
    """Log in. The token is forgotten, and not revoked: Salesforce may give the same one to the programs that use the
    app as this user, and they, or the very login that the rotation goes through, would be logged out."""
    login, login_options = _login(target, *pair, flow, options)
    try:
        plan = login_plan.plan(login, login_options, world)
        if not isinstance(plan, UnattendedPlan):
            raise AssertionError("these flows need no user")
        request_token(login, plan, login_options, world, work, world.clock.seconds() + LONGEST)
    except EcapipeError as error:
        reason = error.problem.message.rstrip(".")
        return Verdict(refusal=reason) if error.problem.kind in _OF_PAIR else Verdict(doubts=(reason,))
    work.note(
        "hint", "The token of the login that proved the pair is not stored; it is valid until its session ends."
    )
    return Verdict(proofs=(flow.name,))


def require_login(target: Target, options: RotationOptions, world: World) -> None:
    """Raises `EcapipeError` for a private key that cannot be used, or a username that is missing."""
    for flow in login_flows(target, options):
        if flow.signs:
            login, login_options = _login(target, target.key, Secret("unused"), flow, options)
            login_plan.plan(login, login_options, world)


def _login(
    target: Target, key: str, secret: Secret, flow: UnattendedFlow, options: RotationOptions
) -> tuple[LoginTarget, LoginOptions]:
    """A login with other credentials than those that the project has. An org file may name another flow."""
    resolved: Resolution = replace(target.resolved, outcome=Credentials(target.app, key, secret))
    login = LoginOptions(
        flow=flow.name,
        settled=frozenset({"flow"}),
        key_file=options.key_file if flow.signs else None,
        audience=options.audience,
    )
    return LoginTarget(target.app, target.org, resolved, ""), login
