"""Requests that are sent, and sent again where that is safe."""

from __future__ import annotations

from collections.abc import Callable

from ecapipe.exchange.ports import NetworkAccess
from ecapipe.oauth.messages import Request, Response
from ecapipe.problems.problem import EcapipeError

_ATTEMPTS = 3

_PASSING = frozenset({429, 500, 502, 503, 504})

_UNSENT = frozenset({"HostNotFound", "ConnectionFailed"})

_LONGEST_WAIT = 10.0
"""Seconds that a Retry-After is obeyed; a longer one is reported instead."""


def send(
    request: Request | Callable[[], Request], world: NetworkAccess, end: float, repeatable: bool = True
) -> Response:
    """Send, and until `end` send again where that is safe: when nothing was sent, or, if `repeatable`, after what
    passes. A request that may be sent only once is made by a call.

    Waits grow and have jitter; a Retry-After is obeyed up to a limit.
    """
    for attempt in range(_ATTEMPTS):
        last = attempt == _ATTEMPTS - 1
        try:
            answer = world.send(request() if callable(request) else request)
        except EcapipeError as error:
            safe = error.problem.name in _UNSENT or (repeatable and error.problem.category == "network")
            if last or not (safe and error.problem.retryable and _paused(attempt, 0.0, world, end)):
                raise
        else:
            passes = repeatable and answer.status in _PASSING
            if last or not (passes and _paused(attempt, answer.retry_after or 0.0, world, end)):
                return answer
    raise AssertionError("the last attempt returns or raises")


def _paused(attempt: int, asked_for: float, world: NetworkAccess, end: float) -> bool:
    """Wait before the next attempt, `asked_for` seconds at least; False, at once, if that would be too long."""
    wait = max(asked_for, 2**attempt * (0.5 + world.chance(1)[0] / 512))
    if asked_for > _LONGEST_WAIT or world.clock.seconds() + wait > end:
        return False
    world.clock.sleep(wait)
    return True
