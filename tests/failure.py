"""The problem that a call fails with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ecapipe.problems.problem import EcapipeError, Problem


def problem_of(call: Callable[..., object], *args: object, **named: object) -> Problem:
    """The `Problem` of ``call(*args, **named)``; fails when the call does not."""
    with pytest.raises(EcapipeError) as raised:
        call(*args, **named)
    return raised.value.problem
