"""What all tests against software of others need: that it is there."""

from __future__ import annotations

import pytest
from interop import installed


@pytest.fixture(scope="session", autouse=True)
def everything_is_installed() -> None:
    if lacking := installed.lacking():
        pytest.fail(f"These tests lack {', '.join(lacking)}: run tests/interop/setup first.", pytrace=False)
