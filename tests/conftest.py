"""What holds for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import profiles  # noqa: F401  # loads the profile that Hypothesis goes by
import pytest

from ecapipe import secret


@pytest.fixture(autouse=True)
def nothing_withheld() -> Iterator[None]:
    """A process remembers the secrets that it has met; no test leaves its own to the next."""
    yield
    vars(secret._WITHHELD).update(vars(secret._Withheld()))
