"""Problems on the way to an org."""

from __future__ import annotations

from ecapipe.problems.problem import Wording, problem, say


@problem(
    "network",
    "The host name could not be resolved.",
    "Check the URL; a new My Domain can take minutes to appear.",
    retryable=True,
)
def host_not_found(host: str) -> Wording:
    return say(
        f"The host {host} was not found.",
        "Check the spelling of the My Domain URL, the network, and HTTPS_PROXY.",
        "A new My Domain can take minutes to appear: run again.",
    )


@problem(
    "network",
    "No connection to the host could be made; nothing was sent.",
    "Check network, proxy and firewall, then run again.",
    retryable=True,
)
def connection_failed(host: str, reason: str) -> Wording:
    return say(
        f"No connection to {host} could be made: {reason}.",
        "Check the network, HTTPS_PROXY and NO_PROXY, then run again.",
    )


# Apart from ConnectionFailed, because a code or a rotated refresh token may be used up by now.
@problem(
    "network",
    "The connection broke after the request was sent, so it is unknown whether the host acted on it.",
    "Check network, proxy and firewall, then run again.",
    retryable=True,
)
def connection_lost(host: str, reason: str) -> Wording:
    return say(
        f"The connection to {host} broke: {reason}.",
        "Check the network, HTTPS_PROXY and NO_PROXY, then run again.",
    )


@problem(
    "network",
    "The host's certificate is not trusted on this machine, or belongs to another host.",
    "Install your company's CA in the system's store, or name its file in SSL_CERT_FILE.",
)
def tls_failed(host: str, reason: str) -> Wording:
    return say(
        f"The TLS connection to {host} failed: {reason}.",
        "If a proxy of your company re-signs traffic, name its CA file in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS.",
    )


@problem(
    "network",
    "The host did not answer in time.",
    "Run again; check proxy and firewall if it repeats.",
    retryable=True,
)
def host_timed_out(host: str) -> Wording:
    return say(f"{host} did not answer in time.", "Run again; if it repeats, check HTTPS_PROXY and the firewall.")


@problem(
    "org",
    "The host answered with something else than the JSON that Salesforce's endpoints send: a maintenance page, a "
    "proxy's page, or a host that is not an org.",
    "Check the URL, and whether the org is under maintenance.",
    retryable=True,
)
def unexpected_answer(host: str, status: int, reason: str) -> Wording:
    return say(
        f"{host} gave an unexpected answer (HTTP {status}): {reason}.",
        "Check that the URL is the org's My Domain, and status.salesforce.com for maintenance.",
    )


# A redirect would let whoever answers choose who gets key and secret.
@problem(
    "org",
    "The host redirected a request that carries a secret. Secrets never follow a redirect.",
    "Use the URL of the host that really serves the org.",
)
def redirect_refused(host: str, status: int) -> Wording:
    return say(
        f"{host} answered with a redirect (HTTP {status}), which is never followed with a secret.",
        "Use the org's own My Domain URL.",
    )
