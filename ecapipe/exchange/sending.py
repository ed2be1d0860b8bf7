"""Requests that are sent, and sent again where that is safe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ecapipe.exchange.ports import CredentialsAccess, NetworkAccess
from ecapipe.oauth import dpop, messages
from ecapipe.oauth.dpop import ProofKey
from ecapipe.oauth.messages import Request, Response, Send
from ecapipe.problems.network import connection_failed, host_not_found, host_timed_out, proxy_failed
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.secret import Secret

_ATTEMPTS = 3

_TRANSIENT = frozenset({429, 500, 502, 503, 504})
"""Statuses that may pass by themselves."""

_NOT_SENT = frozenset({host_not_found, connection_failed, proxy_failed})
"""Problems that show that no request reached an org, so that it can be repeated whatever it does."""

_LONGEST_WAIT = 10.0
"""Seconds that a Retry-After is obeyed; a longer one is reported instead."""

LONGEST_QUESTION = 120.0
"""Seconds in which the last request of a question to an org has to begin: a page of many takes one."""


def send(
    request: Request | Callable[[], Request], network: NetworkAccess, end: float, repeatable: bool = True
) -> Response:
    """Send, and until `end` send again where that is safe: when nothing was sent, or, if `repeatable`, after what may
    pass by itself. A request that may be sent only once is a function, which makes another for each attempt.

    Waits grow and have jitter; a Retry-After is obeyed up to a limit.
    """
    # The last attempt stands alone: whatever comes of it is the result.
    for attempt in range(_ATTEMPTS - 1):
        try:
            response = send_once(_build(request), network)
        except EcapipeError as error:
            if not (_may_repeat(error.problem, repeatable) and _wait(attempt, 0.0, network, end)):
                raise
        else:
            transient = repeatable and response.status in _TRANSIENT
            if not (transient and _wait(attempt, response.retry_after or 0.0, network, end)):
                return response
    return send_once(_build(request), network)


def bounded(network: NetworkAccess | CredentialsAccess) -> Send:
    """Sends several requests of one question, which is begun now: raises `EcapipeError` (HostTimedOut) when they take
    too long together, however quick each is."""
    end = network.clock.seconds() + LONGEST_QUESTION

    def send(request: Request) -> Response:
        if network.clock.seconds() > end:
            raise EcapipeError(host_timed_out(request.host))
        return network.send(request)

    return send


def send_once(request: Request, network: NetworkAccess) -> Response:
    """Send a request, with a proof if it has a key for one; once more where all that was wrong is the nonce (RFC
    9449 §8, §9): such a request has changed nothing."""
    if request.key is None:
        return network.send(request)
    nonce = network.nonces.get(dpop.origin(request.url))
    response = _send_proved(request, request.key, network)
    if messages.wants_nonce(response) and response.nonce not in (None, nonce):
        return _send_proved(request, request.key, network)
    return response


def _send_proved(request: Request, key: ProofKey, network: NetworkAccess) -> Response:
    proof = prove(key, request.method, request.url, request.bearer, network)
    response = network.send(replace(request, proof=proof))
    # The last one counts, also that of a success (RFC 9449 §8.2).
    if response.nonce is not None:
        network.nonces[dpop.origin(request.url)] = response.nonce
    return response


def prove(key: ProofKey, method: str, url: str, token: Secret | None, network: NetworkAccess) -> Secret:
    """The proof for one request of `method` to `url`, with the last nonce of its host."""
    return dpop.sign_proof(
        key,
        method,
        url,
        at=datetime.fromisoformat(network.clock.utc()).timestamp(),
        random=network.random_bytes(16),
        nonce=network.nonces.get(dpop.origin(url)),
        token=token,
    )


def _build(request: Request | Callable[[], Request]) -> Request:
    if isinstance(request, Request):
        return request
    return request()


def _may_repeat(problem: Problem, repeatable: bool) -> bool:
    """Whether a request that failed can be sent again, and may succeed then."""
    safe = problem.kind in _NOT_SENT or (repeatable and problem.category == "network")
    return safe and problem.retryable


def _wait(attempt: int, at_least: float, network: NetworkAccess, end: float) -> bool:
    """Wait before the next attempt, `at_least` so many seconds; False, at once, if that would be too long."""
    # With jitter, so that the workers of a run do not come back to a busy org all at once.
    seconds = max(at_least, 2**attempt * (0.5 + network.random_bytes(1)[0] / 512))
    if at_least > _LONGEST_WAIT or network.clock.seconds() + seconds > end:
        return False
    network.clock.sleep(seconds)
    return True
