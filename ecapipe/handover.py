"""A login as the Salesforce CLI takes it, and what it cannot take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ecapipe import problems
from ecapipe.credentials import Credentials
from ecapipe.orgs import Org
from ecapipe.problems import EcapipeError
from ecapipe.secret import Secret
from ecapipe.tokens import Token

_KEY: Final = re.compile(r"[a-zA-Z0-9._-]+={0,2}")
_SECRET: Final = re.compile(r"[a-zA-Z0-9._-]*={0,2}")
_HOST: Final = re.compile(r"[a-zA-Z0-9:._-]+")
"""The parts of a ``force://`` URL, as sfdx-core reads them (AuthInfo.parseSfdxAuthUrl)."""
_ACCESS_TOKEN: Final = re.compile(r"00D\w{12,15}!\S+|[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""What ``sf org login access-token`` takes: Salesforce's own form, or a JWT."""


@dataclass(frozen=True, slots=True)
class Handover:
    """What the Salesforce CLI is given: `given` is piped to it, a ``force://`` URL if `lasting`, or an access token.

    Only `of` makes one. `url` is the org's; `secrets` are what nobody may read in what it answers.
    """

    given: Secret
    lasting: bool
    url: str
    host: str
    alias: str | None
    default: bool
    secrets: tuple[Secret, ...]


def check(credentials: Credentials, org: Org, *, lasting: bool) -> None:
    """Whether a login with `credentials` in `org` can be handed over, as far as it is known before there is a token.

    `lasting`: a refresh token is expected. Raises `EcapipeError` (HandOverNotPossible).
    """
    if org.url != f"https://{org.host}" or not _HOST.fullmatch(org.host):
        raise _refuse(credentials, org, f"it only knows orgs at https://HOST, and this one is at {org.url}")
    if not lasting:
        return
    secret = credentials.consumer_secret
    if not _KEY.fullmatch(credentials.consumer_key):
        raise _refuse(credentials, org, "the consumer key has characters that it does not read")
    if secret is not None and not _SECRET.fullmatch(secret.reveal()):
        raise _refuse(credentials, org, "the consumer secret has characters that it does not read")


def of(credentials: Credentials, token: Token, org: Org, *, default: bool) -> Handover:
    """The login with `token`. Without a refresh token it lasts as long as the session.

    Raises `EcapipeError` (HandOverNotPossible).
    """
    secret, refresh = credentials.consumer_secret, token.refresh_token
    check(credentials, org, lasting=refresh is not None)
    secrets = tuple(each for each in (secret, refresh, token.access_token) if each is not None)
    if refresh is None:
        if not _ACCESS_TOKEN.fullmatch(token.access_token.reveal()):
            raise _refuse(credentials, org, "the access token has a form that it does not read")
        return Handover(token.access_token, False, org.url, org.host, org.alias, default, secrets)
    if not _KEY.fullmatch(refresh.reveal()):
        raise _refuse(credentials, org, "the refresh token has characters that it does not read")
    pair = f"{credentials.consumer_key}:{secret.reveal() if secret else ''}"
    url = Secret(f"force://{pair}:{refresh.reveal()}@{org.host}")
    return Handover(url, True, org.url, org.host, org.alias, default, secrets)


def _refuse(credentials: Credentials, org: Org, reason: str) -> EcapipeError:
    return EcapipeError(problems.hand_over_not_possible(credentials.app.name, org.name, reason))
