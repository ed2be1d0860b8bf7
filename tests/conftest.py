"""How many examples Hypothesis tries: few and always the same in CI, many and new ones where ECAPIPE_TEST_PROFILE is
``nightly``."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("ECAPIPE_TEST_PROFILE", "ci"))
