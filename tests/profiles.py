"""How many examples Hypothesis tries: few and always the same in CI, many and new ones where ECAPIPE_TEST_PROFILE is
``nightly``."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hypothesis import HealthCheck, settings

NIGHTLY = os.environ.get("ECAPIPE_TEST_PROFILE") == "nightly"
MANY = 10_000

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=MANY, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nightly" if NIGHTLY else "ci")


def tries(number: int, suppress: Sequence[HealthCheck] = ()) -> settings:
    """For a test whose examples cost more, or less, than most: `number` of them in CI, as many as all at night."""
    also = [HealthCheck.too_slow] if NIGHTLY else []
    return settings(max_examples=MANY if NIGHTLY else number, suppress_health_check=[*suppress, *also])
