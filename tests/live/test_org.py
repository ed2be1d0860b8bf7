"""A real org, asked on purpose only: ECAPIPE_LIVE="ORG DIR APP" pytest -m live tests/live."""

from __future__ import annotations

import os

import pytest
from live import check

pytestmark = pytest.mark.live


def test_the_emulator_assumes_what_the_org_does() -> None:
    named = os.environ.get("ECAPIPE_LIVE", "").split()
    assert len(named) == 3, 'set ECAPIPE_LIVE="ORG DIR APP"; or run tests/live/check.py, which explains itself'
    lines, differ = check.checked(*named, retrieve=True)
    assert not differ, "\n".join(lines)
