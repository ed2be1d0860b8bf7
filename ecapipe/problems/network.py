"""Problems on the way to an org."""

from __future__ import annotations

from typing import Literal

from ecapipe.problems.problem import Wording, problem, say

TlsFault = Literal["trust", "time", "name", "protocol"]
"""What is wrong: who issued the certificate, when it is valid, whose it is; or no certificate was judged."""


@problem(
    "network",
    "The host name could not be resolved.",
    "Check the URL. A new My Domain can take minutes to become available.",
    retryable=True,
)
def host_not_found(host: str) -> Wording:
    return say(
        f"The host {host} was not found.",
        "Check the spelling of the My Domain URL, the network, and HTTPS_PROXY.",
        "If the My Domain is new, wait a few minutes and run again.",
    )


@problem(
    "network",
    "ecapipe could not connect to the host. Nothing was sent.",
    "Check the network, proxy and firewall, then run again.",
    retryable=True,
)
def connection_failed(host: str, reason: str) -> Wording:
    return say(
        f"Could not connect to {host}: {reason}.",
        "Check the network, HTTPS_PROXY and NO_PROXY, then run again.",
    )


# Apart from ConnectionFailed, because a code or a rotated refresh token may be used up by now.
@problem(
    "network",
    "The connection was lost after the request was sent, so it is unknown whether the host processed it.",
    "Check the network, proxy and firewall, then run again.",
    retryable=True,
)
def connection_lost(host: str, reason: str) -> Wording:
    return say(
        f"The connection to {host} was lost: {reason}.",
        "Check the network, HTTPS_PROXY and NO_PROXY, then run again.",
    )


@problem(
    "network",
    "The host's certificate is not trusted on this machine or belongs to another host, or the host doesn't support "
    "TLS.",
    "Install your company's CA in the system's certificate store, or set SSL_CERT_FILE to its file.",
)
def tls_failed(host: str, reason: str, fault: TlsFault = "trust", local: bool = False) -> Wording:
    """`local`: the host is this machine."""
    action = "If a proxy of your company re-signs traffic, set SSL_CERT_FILE or NODE_EXTRA_CA_CERTS to its CA file."
    if fault == "time":
        action = "Check the date and time of this machine. If they are right, the certificate must be renewed."
    elif fault == "name":
        action = f"Check the URL: {host} presented the certificate of another host."
    elif fault == "protocol" and local:
        action = f"If it uses http, as the emulator does without --tls, use this address: http://{host}"
    elif fault == "protocol":
        action = (
            "Check the host and port. The server may not support TLS, may support only versions that this machine "
            "doesn't, or may require a client certificate."
        )
    return say(f"The TLS connection to {host} failed: {reason}.", action)


@problem(
    "config",
    "ecapipe can't use the proxy that a variable or the system's settings specify. The value is not a URL, or the "
    "type of proxy is not supported.",
    "Correct the variable that the message names, or unset it. NO_PROXY lists hosts that need no proxy.",
)
def proxy_not_usable(named_by: str, reason: str, installation: str | None = None) -> Wording:
    """`installation`: the command that installs the package for such proxies, where it is missing."""
    action = "Set it to a proxy such as http://proxy.example:8080, or remove it."
    if installation:
        reason += ", and the Python package socksio is not installed"
        action = f"Install it in the environment of ecapipe: {installation}"
    return say(f"The proxy in {named_by} can't be used: {reason}.", action)


@problem(
    "network",
    "The proxy could not be reached, or did not forward the request. Nothing was sent to the host.",
    "Check the variable that the message names, and the proxy. NO_PROXY lists hosts that need no proxy.",
    retryable=True,
)
def proxy_failed(named_by: str, place: str, host: str, reason: str, speaks_http: bool = False) -> Wording:
    """`speaks_http`: it may do so, where its URL begins with https."""
    return say(
        f"{host} was not reached through the proxy {place} (from {named_by}): {reason}.",
        *([f"If the proxy uses http, start its URL in {named_by} with http://"] if speaks_http else []),
        f"Correct {named_by}, or add {host} to NO_PROXY if it needs no proxy.",
    )


@problem(
    "config",
    "A variable specifies additional trusted certificates, but none of them can be read.",
    "Set the variable to a file of certificates in PEM format (SSL_CERT_DIR: to folders), or unset it.",
)
def certificates_not_usable(variable: str, path: str, reason: str) -> Wording:
    action = f"Set {variable} to a file with certificates in PEM format, or unset it."
    if variable == "SSL_CERT_DIR":
        action = f"Set {variable} to folders with certificates, or unset it."
    return say(f"{variable} is set to {path}, which can't be used: {reason}.", action, file=path)


@problem(
    "network",
    "The host did not respond in time.",
    "Run again. If it happens repeatedly, check the proxy and firewall.",
    retryable=True,
)
def host_timed_out(host: str) -> Wording:
    actions = "Run again.", "If it happens repeatedly, check HTTPS_PROXY and the firewall."
    return say(f"{host} did not respond in time.", *actions)


@problem(
    "org",
    "The response is not the JSON that Salesforce's endpoints return. It may be a maintenance page or a proxy's "
    "page, or the host is not an org.",
    "Check the URL, and whether the org is under maintenance.",
    retryable=True,
)
def unexpected_answer(host: str, status: int, reason: str) -> Wording:
    return say(
        f"{host} returned an unexpected response (HTTP {status}): {reason}.",
        "Check that the URL is the org's My Domain, and check status.salesforce.com for maintenance.",
    )


# A redirect would let whoever answers choose who gets key and secret.
@problem(
    "org",
    "The host redirected a request that contains a secret. ecapipe never follows a redirect with a secret.",
    "Use the URL of the host that serves the org.",
)
def redirect_refused(host: str, status: int) -> Wording:
    return say(
        f"{host} returned a redirect (HTTP {status}), which is never followed with a secret.",
        "Use the org's own My Domain URL.",
    )
