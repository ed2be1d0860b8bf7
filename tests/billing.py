"""Billing: an app that is ready to log in, and the org it logs in to."""

from __future__ import annotations

from functools import cache

import chains
import trees

from ecapipe.credentials import resolution
from ecapipe.credentials.resolution import Credentials
from ecapipe.orgs import selection
from ecapipe.project.apps import App

KEY, SECRET = trees.key("Billing"), trees.secret("Billing")
ORG = selection.choose("uat=https://acme--uat.sandbox.my.salesforce.com", {}, ())
ORG_ID, USER_ID = "00D000000000001EAA", "005000000000001AAA"


def app(**changes: trees.Elements | None) -> App:
    """Billing, with the changes that `trees.app` takes."""
    (found,) = trees.assembled(trees.app(**changes))
    return found


@cache
def proven() -> Credentials:
    """The credentials of Billing as it is."""
    return proven_of(app())


def proven_of(found: App) -> Credentials:
    """The credentials of any app that has some."""
    outcome = resolution.resolve(found, ORG, chains.chain((found,), (ORG,))).outcome
    assert isinstance(outcome, Credentials)
    return outcome
