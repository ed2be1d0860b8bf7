"""What holds for all tests."""

from __future__ import annotations

import profiles  # noqa: F401  # loads the profile that Hypothesis goes by
