"""Billing: an app that is ready to log in, and the org it logs in to."""

from __future__ import annotations

from functools import cache

import trees

from ecapipe import credentials, orgs
from ecapipe.apps import App
from ecapipe.credentials import Credentials

KEY, SECRET = trees.key("Billing"), trees.secret("Billing")
ORG = orgs.choose("uat=https://acme--uat.sandbox.my.salesforce.com", {}, ())
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
    outcome = credentials.resolve(found, ORG, credentials.chain((found,), (ORG,), lambda name: None, None)).outcome
    assert isinstance(outcome, Credentials)
    return outcome
