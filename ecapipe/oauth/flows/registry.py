"""All flows, and the choice of one that an app allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ecapipe.credentials.resolution import AllowedFlows
from ecapipe.oauth.flows.client_credentials import CLIENT_CREDENTIALS
from ecapipe.oauth.flows.flow import Means, UnattendedFlow
from ecapipe.oauth.flows.jwt import JWT
from ecapipe.oauth.flows.web import WEB, WebFlow
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import flow_not_possible
from ecapipe.project.apps import App

AnyFlow = WebFlow | UnattendedFlow
"""Each kind of login; `login.plan` plans it, and `run.scheduler` has it done."""

FLOWS: Final[tuple[AnyFlow, ...]] = (WEB, CLIENT_CREDENTIALS, JWT)
"""In the order of help, results and, but for a key that was given, of the choice: pipelines rely on the flow that
``auto`` leads to."""

UNATTENDED: Final = tuple([flow for flow in FLOWS if isinstance(flow, UnattendedFlow)])

FLOW_NAMES: Final = tuple([flow.name for flow in FLOWS])

AUTO: Final = "auto"

CHOICES: Final = (AUTO, *FLOW_NAMES)
"""What can be asked for."""


def find(name: str) -> AnyFlow | None:
    """The flow of that name; None for one that a record of another version may hold."""
    return next((flow for flow in FLOWS if flow.name == name), None)


def leads_to(option: str) -> tuple[AnyFlow, ...]:
    """The flows that may come of `option`, one of `CHOICES`."""
    return tuple([flow for flow in FLOWS if option in (AUTO, flow.name)])


def allowed_by(app: App) -> tuple[AnyFlow, ...]:
    """The flows that the files of `app` allow."""
    return tuple([flow for flow in FLOWS if flow.allowed_by(app)])


def may_be_allowed(flow: AnyFlow, app: App) -> bool:
    """Whether the org may allow `flow`, as far as the files of `app` tell."""
    return not flow.settings_decide or (app.settings is not None and flow.allowed_by(app))


def names_allowed_by(app: App) -> tuple[str, ...]:
    return _names(allowed_by(app))


def allowed_flows(app: App) -> AllowedFlows:
    """What there is to say of the flows of `app` where its consumer secret is missing."""
    allowed = allowed_by(app)
    without_secret = [flow for flow in allowed if not flow.needs_secret(app)]
    advice = [flow.advice_without_secret for flow in without_secret if flow.advice_without_secret]
    return AllowedFlows(_names(allowed), _names(without_secret), tuple(advice))


def _names(flows: Sequence[AnyFlow]) -> tuple[str, ...]:
    return tuple([flow.name for flow in flows])


def choose_flow(app: App, option: str, means: Means) -> AnyFlow:
    """The flow to use for `option`, one of `CHOICES`.

    Raises `EcapipeError` (FlowNotPossible), which says what the file allows. Without a file nothing tells what the
    app allows, and those flows are tried that need nothing from it.
    """
    candidates = _candidates(app, option)
    # A private key is given for nothing else, so that it decides.
    for flow in sorted(candidates, key=lambda flow: not flow.signs):
        if flow.name == option and flow.usable_on_demand(means):
            return flow
        if option == AUTO and flow.usable(means):
            return flow
    reason = _explain_refusal(app, option, candidates)
    # None that would fail again.
    advice = [each.advice for each in candidates if each.signs or (each.name != option and each.usable(means))]
    if not means.person and any(flow.attended for flow in candidates):
        advice.append("Run where a user can sign in: in a terminal, without --no-prompt.")
    raise EcapipeError(
        flow_not_possible(app.name, option, _names(_candidates(app, AUTO)), reason, app.settings is not None, advice)
    )


def _candidates(app: App, option: str) -> tuple[AnyFlow, ...]:
    if app.settings is None:
        return tuple(flow for flow in FLOWS if not flow.needs_file)
    asked = [flow for flow in FLOWS if flow.name == option and not flow.settings_decide]
    return tuple([flow for flow in FLOWS if flow in asked or flow.allowed_by(app)])


def _explain_refusal(app: App, option: str, candidates: Sequence[AnyFlow]) -> str:
    """Why no flow can be used, or not the one of `option`: what the user can change comes first."""
    flow = find(option)
    if flow:
        return flow.lacking if flow in candidates else flow.refusal(app)
    reasons = (flow.lacking_in_auto for flow in candidates if flow.lacking_in_auto)
    return next(reasons, "no flow that ecapipe supports is enabled")


def uses_key(app: App, option: str, has_key: bool) -> bool:
    """Whether `app` will log in with a private key, for which it needs no secret."""
    return has_key and any(flow.signs and flow in leads_to(option) for flow in _candidates(app, option))


def needs_no_secret(app: App, option: str, has_key: bool) -> bool:
    """Whether the login of `app` will need no secret, whichever flow `option` leads to."""
    flows = [flow for flow in _candidates(app, option) if flow in leads_to(option) and not flow.signs]
    without_secret = bool(flows) and not any(flow.needs_secret(app) for flow in flows)
    return without_secret or uses_key(app, option, has_key)
