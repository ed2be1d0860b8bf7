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
    "The host's certificate is not trusted on this machine or belongs to another host, or the host speaks no TLS.",
    "Install your company's CA in the system's store, or name its file in SSL_CERT_FILE.",
)
def tls_failed(host: str, reason: str, certificate: bool = True, local: bool = False) -> Wording:
    """`certificate`: that is what is wrong; `local`: the host is this machine."""
    action = "If a proxy of your company re-signs traffic, name its CA file in SSL_CERT_FILE or NODE_EXTRA_CA_CERTS."
    if not certificate and local:
        action = f"If it speaks http, as the emulator does without --tls, name it so: http://{host}"
    elif not certificate:
        action = "Check host and port: what answers there speaks no TLS, or none that this machine knows."
    return say(f"The TLS connection to {host} failed: {reason}.", action)


@problem(
    "config",
    "The proxy that a variable or the system's settings name cannot be used: it is no URL, or a kind of proxy that "
    "ecapipe does not know.",
    "Correct the variable that the message names, or unset it; NO_PROXY lists hosts that need no proxy.",
)
def proxy_not_usable(named_by: str, reason: str, installation: str | None = None) -> Wording:
    """`installation`: the command that installs the package for such proxies, where it is missing."""
    action = "Name a proxy such as http://proxy.example:8080 there, or remove it."
    if installation:
        reason += ", and the Python package socksio is not installed"
        action = f"Install it into the environment of ecapipe: {installation}"
    return say(f"No proxy that ecapipe can use is named by {named_by}: {reason}.", action)


@problem(
    "network",
    "The proxy on the way to the host could not be reached, or let nothing through. Nothing was sent to the host.",
    "Check the variable that the message names and the proxy; NO_PROXY lists hosts that need no proxy.",
    retryable=True,
)
def proxy_failed(named_by: str, place: str, host: str, reason: str, speaks_http: bool = False) -> Wording:
    """`speaks_http`: it may do so, where its URL begins with https."""
    return say(
        f"{host} was not reached through the proxy {place}, named by {named_by}: {reason}.",
        *([f"If the proxy speaks http, begin its URL in {named_by} with http://"] if speaks_http else []),
        f"Correct {named_by}, or name {host} in NO_PROXY if it needs no proxy.",
    )


@problem(
    "config",
    "A variable adds certificates to those that are trusted, and there are none that can be read.",
    "Name a file of certificates in PEM format in the variable (SSL_CERT_DIR takes folders), or unset it.",
)
def certificates_not_usable(variable: str, path: str, reason: str) -> Wording:
    action = f"Name a file with certificates in PEM format in {variable}, or unset it."
    if variable == "SSL_CERT_DIR":
        action = f"Name folders of certificates in {variable}, or unset it."
    return say(f"{variable} names {path}, which cannot be used: {reason}.", action, file=path)


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
