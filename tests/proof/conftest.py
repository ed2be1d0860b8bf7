from __future__ import annotations

from pathlib import Path

import pytest
import trees


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Billing, which can log in with a person and without."""
    settings = {"callbackUrl": "https://www.example.com/done", **trees.CLIENT_CREDENTIALS}
    policies = {"clientCredentialsFlowUser": "robot@acme.example", **trees.CLIENT_CREDENTIALS}
    return trees.plant(
        tmp_path_factory.mktemp("project"), trees.project() | trees.app(settings=settings, policies=policies)
    )
