"""Flows: which the files allow, and which is chosen."""

from __future__ import annotations

import pytest
import trees
from billing import app
from failure import problem_of

from ecapipe.oauth.flows import registry
from ecapipe.oauth.flows.flow import Means
from ecapipe.oauth.flows.registry import choose_flow, uses_key
from ecapipe.problems.project import flow_not_possible

WEB: trees.Changes = {}
NIGHTLY: trees.Changes = {"settings": trees.CLIENT_CREDENTIALS, "policies": trees.CLIENT_CREDENTIALS}

ON, OFF = trees.CLIENT_CREDENTIALS, {"isClientCredentialsFlowEnabled": "false"}
UNSAID = {"isClientCredentialsFlowEnabled": None}


ALLOWED: list[tuple[trees.Elements, trees.Elements | None, tuple[str, ...]]] = [
    ({}, {}, ("web",)),
    ({"callbackUrl": None}, {}, ()),
    (ON, ON, ("web", "client-credentials")),
    (ON, OFF, ("web",)),
    (ON, UNSAID, ("web", "client-credentials")),
    (ON, None, ("web", "client-credentials")),
    (OFF, ON, ("web",)),
    (UNSAID, ON, ("web",)),
    ({**ON, "callbackUrl": None}, ON, ("client-credentials",)),
    ({"certificate": "TUlJRkFLRQ=="}, {}, ("web", "jwt")),
    ({"certificate": "", "callbackUrl": None}, {}, ()),
    ({**ON, "certificate": "TUlJRkFLRQ=="}, ON, ("web", "client-credentials", "jwt")),
]


@pytest.mark.parametrize(("settings", "policies", "flows"), ALLOWED)
def test_the_files_tell_which_flows_are_allowed(
    settings: trees.Elements, policies: trees.Elements | None, flows: tuple[str, ...]
) -> None:
    assert registry.names_allowed_by(app(settings=settings, policies=policies)) == flows


def test_every_flow_is_allowed_by_some_files() -> None:
    assert {flow for *_, flows in ALLOWED for flow in flows} == {*registry.FLOW_NAMES}


def test_without_settings_no_flow_is_known_to_be_allowed() -> None:
    assert registry.names_allowed_by(app(settings=None)) == ()


PUBLIC = {"isConsumerSecretOptional": "true"}


@pytest.mark.parametrize(
    ("settings", "flows"),
    [
        ({}, ()),
        (PUBLIC, ("web",)),
        ({**PUBLIC, "callbackUrl": None}, ()),
        ({"certificate": "TUlJRkFLRQ=="}, ("jwt",)),
        ({**PUBLIC, "certificate": "TUlJRkFLRQ=="}, ("web", "jwt")),
    ],
)
def test_some_flows_need_no_secret(settings: trees.Elements, flows: tuple[str, ...]) -> None:
    assert registry.allowed_flows(app(settings=settings)).without_secret == flows


@pytest.mark.parametrize(
    ("files", "wanted", "has_secret", "person", "flow"),
    [
        (WEB, "auto", True, True, "web"),
        (WEB, "auto", False, True, "web"),
        (WEB, "web", True, True, "web"),
        (WEB, "web", True, False, "web"),
        (NIGHTLY, "auto", True, True, "web"),
        (NIGHTLY, "auto", True, False, "client-credentials"),
        (NIGHTLY, "web", True, False, "web"),
        (NIGHTLY, "client-credentials", True, True, "client-credentials"),
        (NIGHTLY, "client-credentials", True, False, "client-credentials"),
    ],
)
def test_the_flow_is_the_one_that_is_wanted_and_allowed(
    files: dict[str, trees.Elements],
    wanted: str,
    has_secret: bool,
    person: bool,
    flow: str,
) -> None:
    assert choose_flow(app(**files), wanted, Means(person, has_secret, key=False)).name == flow


def test_without_a_callback_nobody_needs_to_sign_in() -> None:
    robot = app(settings={**trees.CLIENT_CREDENTIALS, "callbackUrl": None}, policies=trees.CLIENT_CREDENTIALS)
    assert choose_flow(robot, "auto", Means(person=True, secret=True, key=False)).name == "client-credentials"


CLOSED = {"settings": {"callbackUrl": None}}


@pytest.mark.parametrize(
    ("files", "wanted", "has_secret", "person", "says"),
    [
        (WEB, "auto", True, False, "no user can sign in"),
        (NIGHTLY, "auto", False, False, "no user can sign in"),
        (NIGHTLY, "client-credentials", False, True, "needs the consumer secret"),
        (WEB, "client-credentials", True, True, "isClientCredentialsFlowEnabled"),
        (CLOSED, "web", True, True, "no callback URL"),
        (CLOSED, "auto", True, True, "no flow"),
    ],
)
def test_a_flow_that_is_not_possible_is_explained_with_those_that_are(
    files: dict[str, trees.Elements], wanted: str, has_secret: bool, person: bool, says: str
) -> None:
    found = app(**files)
    problem = problem_of(choose_flow, found, wanted, Means(person, has_secret, key=False))
    assert (problem.name, problem.category) == (flow_not_possible.name, "policy")
    assert says in problem.message
    assert all(flow in problem.message for flow in registry.names_allowed_by(found))


SIGNING = {"settings": {"certificate": "MIIC", "callbackUrl": None}}
BOTH = {"settings": {"certificate": "MIIC"}}


@pytest.mark.parametrize(
    ("files", "wanted", "has_key", "flow"),
    [
        (BOTH, "auto", True, "jwt"),
        (BOTH, "auto", False, "web"),
        (BOTH, "web", True, "web"),
        (BOTH, "jwt", True, "jwt"),
        (WEB, "auto", True, "web"),
        (WEB, "jwt", True, "jwt"),
        (SIGNING, "auto", True, "jwt"),
    ],
)
def test_a_key_that_the_app_takes_spares_people_and_secret(
    files: dict[str, trees.Elements], wanted: str, has_key: bool, flow: str
) -> None:
    assert choose_flow(app(**files), wanted, Means(person=True, secret=False, key=has_key)).name == flow
    assert uses_key(app(**files), wanted, has_key) is (flow == "jwt")


@pytest.mark.parametrize(
    ("files", "wanted", "has_key", "says"),
    [
        (SIGNING, "jwt", False, "--jwt-key-file specifies none"),
        (SIGNING, "auto", False, "--jwt-key-file specifies no private key"),
        (WEB, "jwt", False, "--jwt-key-file specifies none"),
    ],
)
def test_a_login_by_key_that_is_not_possible_is_explained(
    files: dict[str, trees.Elements], wanted: str, has_key: bool, says: str
) -> None:
    problem = problem_of(choose_flow, app(**files), wanted, Means(person=True, secret=True, key=has_key))
    assert problem.kind is flow_not_possible
    assert says in problem.message
