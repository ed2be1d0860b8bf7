"""Input that nobody would type: names of environment variables, and what fuzzing turned up."""

from __future__ import annotations

import os
import re
import string
import subprocess
import sys
from dataclasses import replace

import chains
import pytest
import trees
from billing import ORG
from hypothesis import example, given
from hypothesis import strategies as st

from ecapipe.adapters.environment import Environment
from ecapipe.credentials import sources
from ecapipe.oauth import authorize
from ecapipe.oauth.authorize import AuthorizationRequest
from ecapipe.oauth.flows.web import AuthorizationCode
from ecapipe.orgs import selection
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import ambiguous_variable
from ecapipe.project.apps import App
from ecapipe.secret import Secret

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
MADE_UP = "made-up-value-of-the-test"


@given(NAMES, NAMES.map(lambda alias: re.sub(r"[=/:]", "-", alias)))
@example("ß", "ǆ")
def test_any_app_and_org_have_variables_that_a_shell_can_set(app: str, alias: str) -> None:
    org = selection.choose(f"{alias}=https://acme.my.salesforce.com", {}, ())
    for field in ("consumerKey", "consumerSecret"):
        for name in (sources.variable(field, app), sources.variable(field, app, org)):
            assert re.fullmatch(r"ECAPIPE_CLIENT_(ID|SECRET)_[A-Z0-9_]+", name)


@given(NAMES, NAMES)
def test_two_apps_share_a_variable_only_with_an_error_that_names_both(one: str, other: str) -> None:
    name = sources.variable("consumerSecret", one)
    value = {name: Secret(MADE_UP)}.get
    (billing,) = trees.assembled(trees.app())
    apps = [replace(billing, name=each) for each in (one, other)]
    if one != other and sources.variable("consumerSecret", other) == name:
        with pytest.raises(EcapipeError) as raised:
            chains.chain(apps, (), value)
        assert raised.value.problem.kind is ambiguous_variable
    else:
        found = sources.first_value(chains.chain(apps, (), value), billing, ORG, "consumerSecret").result
        assert found is None or found.link.source is sources.FILE or "BILLING" in name


@given(st.dictionaries(st.text(string.ascii_uppercase + "_ é=\n", min_size=1, max_size=12), NAMES, max_size=5))
def test_no_credential_is_in_what_children_are_given(others: dict[str, str]) -> None:
    names = [f"ECAPIPE_CLIENT_{kind}{tail}" for kind in ("ID", "SECRET") for tail in ("", "_X", "_X_FILE")]
    environ = {**others, **dict.fromkeys(names, MADE_UP)}
    environment = Environment(environ)
    given = environment.for_programs()
    assert {name: value for name, value in given.items() if name not in others} == {}
    assert given == {name: value for name, value in others.items() if not name.startswith("ECAPIPE_")}
    assert environ == {**others, **dict.fromkeys(names, MADE_UP)}
    assert all(environment.get(name) == MADE_UP for name in names)


def test_a_child_gets_no_credential_whatever_its_variable_is_called() -> None:
    names = ["ECAPIPE_CLIENT_SECRET", "ECAPIPE_CLIENT_SECRET_ÄÖ", "ECAPIPE_CLIENT_ID_1", "ECAPIPE_CLIENT_SECRET_FILE"]
    script = (
        "import subprocess, sys; from ecapipe.adapters import environment;"
        "given = environment.process().for_programs();"
        "subprocess.run([sys.executable, '-c', 'import os; print(*os.environ)'], check=True, env=given)"
    )
    environ = {**os.environ, **dict.fromkeys(names, MADE_UP)}
    ran = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert "PATH" in ran.stdout
    assert "ECAPIPE_CLIENT" not in ran.stdout


def test_an_address_that_was_broken_into_lines_is_joined_as_a_browser_does() -> None:
    login = AuthorizationRequest(
        App("Billing", "", ()), ORG, "https://www.example.com", "FAKE0STATE", Secret("FAKE-VERIFIER"), ORG.url
    )
    pasted = "https://www.example.com/?code=aPrxFAKE&state=FA\n\n\tKE0STATE"
    found, grant = authorize.match_pasted(pasted, [login])
    assert found is login
    assert isinstance(grant, AuthorizationCode)
    assert grant.code.reveal() == "aPrxFAKE"
