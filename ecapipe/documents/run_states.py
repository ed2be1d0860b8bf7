"""How a recorded run can stand."""

from __future__ import annotations

from typing import Literal

# Apart from what reads records: every result is declared together, and needs no journal to be.
RunState = Literal["going", "ended", "interrupted", "brokenOff"]
RunCommand = Literal["ecapipe run", "ecapipe app rotate"]
