from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from emulator.client import APPS, Client

from ecapipe.emulator.server import Emulator


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator(APPS, orgs=("emulator", "other")) as running:
        yield running


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def client(emulator: Emulator, http: httpx.Client) -> Client:
    return Client(emulator, http)
