"""How this machine is equipped for ecapipe, looked at without changing anything."""

from __future__ import annotations

import os
import platform
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Collection, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.network import browser, http
from ecapipe.adapters.project_tree import git as repositories
from ecapipe.adapters.storage import state, store
from ecapipe.documents import health
from ecapipe.documents.health import Check, Stored
from ecapipe.login.callbacks import CallbackListener, CallbackReply
from ecapipe.login.salesforce_cli import SalesforceCli
from ecapipe.problems.git import OTHER_GIT
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.storage import state_directory_unusable
from ecapipe.saved.records import RecordKind, SavedRecord
from ecapipe.saved.store import SecretStore

_PATIENCE: Final = 10.0
"""Seconds for a program to tell its version."""
_NEAR: Final = 3.0
"""Seconds for a proxy to take a connection."""
_PROXIES: Final = ("http", "https", "socks5", "socks5h")
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
_KEPT: Final = (
    (
        "Records of runs",
        "runs",
        False,
        "ecapipe run",
        "Old ones go by themselves; delete the folder to remove all.",
    ),
    (
        "Logins, whose secrets are here or in the keyring",
        "logins",
        True,
        "ecapipe run --save",
        "ecapipe login logout",
    ),
    (
        "Consumer secrets, here or in the keyring",
        "secrets",
        True,
        "ecapipe app set-secret",
        "ecapipe app forget-secret",
    ),
)
"""What is kept, in which folder of the state directory, whether it is secret, who writes it, and how it goes."""

_KINDS: Final[tuple[RecordKind, ...]] = ("login", "secret")


def python() -> Check:
    return Check("python", "ok", f"Python {platform.python_version()}.", details=(f"It is {sys.executable}.",))


def git(environment: Environment) -> Check:
    path = repositories.program(environment)
    said = _first_line([path, "--version"], environment.listed()) if path else None
    if path and said:
        return Check("git", "ok", f"{said}.", details=(f"It is {path}.",))
    return Check(
        "git",
        "warn",
        f"{path} does not tell its version."
        if path
        else "There is no git on the PATH: inside a repository, ecapipe cannot tell which settings files git tracks.",
        ("Install git, or add the folder that it lies in to PATH.", OTHER_GIT),
    )


def salesforce_cli(cli: SalesforceCli) -> Check:
    try:
        version = cli.version()
    except EcapipeError as error:
        problem = error.problem
        if problem.name == "SfNotFound":
            message = "There is no Salesforce CLI on the PATH: only --hand-over, --retrieve and its aliases need it."
            return Check("sf", "warn", message, problem.actions)
        return health.of_problem("sf", "warn", problem)
    core = f"It runs on sfdx-core {version.core}." if version.core else "Its version of sfdx-core was not found."
    if version.loses_rotated_tokens:
        return Check(
            "sf",
            "warn",
            f"Salesforce CLI {version.cli} loses the login of an app whose refresh tokens rotate: it runs on "
            f"sfdx-core {version.core}, and only 9.2.0 keeps new refresh tokens.",
            ("Update it: npm install --global @salesforce/cli",),
        )
    return Check("sf", "ok", f"Salesforce CLI {version.cli}.", details=(core,))


def web_browser(environment: Environment) -> Check:
    known = ", ".join(browser.installed(environment))
    details = (f"Found for --browser: {known or 'none'}.",)
    if environment.get("SSH_CONNECTION"):
        message = "This is an SSH session: links are printed, and answers are pasted."
        return Check("browser", "ok", message, details=details)
    chosen = environment.get("BROWSER")
    if not chosen:
        by_itself = sys.platform in ("win32", "darwin")
        if known or (by_itself or environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
            return Check("browser", "ok", "The system's browser opens login pages.", details=details)
        message = "There is neither a display nor a known browser: a login page cannot be opened here."
        return Check("browser", "warn", message, ("Use --browser none, and open the links elsewhere.",), details)
    program = chosen.split(os.pathsep)[0].split(" ")[0]
    if environment.program(program):
        return Check("browser", "ok", "BROWSER opens login pages.", details=details)
    message = "BROWSER names a program that is not on the PATH."
    return Check("browser", "warn", message, ("Set BROWSER to a browser on the PATH, or unset it.",), details)


def keyring() -> Check:
    try:
        backend = store.system()
    except EcapipeError as error:
        return health.of_problem("keyring", "warn", error.problem)
    return Check("keyring", "ok", f"Secrets can be kept in the keyring ({backend.name}).")


def proxy() -> Check:
    """The proxy for orgs, as the HTTP client takes it from the environment or the system; never its password."""
    found = urllib.request.getproxies()
    url = found.get("https") or found.get("all")
    without = (f"Without it: {found['no']}.",) if found.get("no") else ()
    if not url:
        return Check("proxy", "ok", "There is no proxy before orgs.")
    actions = ("Set HTTPS_PROXY to the proxy's URL, such as http://proxy.example:8080, or unset it.",)
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if not host or parts.scheme not in _PROXIES:
        message = "The proxy that the environment names for https is no URL that ecapipe can use."
        return Check("proxy", "fail", message, actions)
    if parts.scheme.startswith("socks") and not _can_socks():
        message = "The proxy for orgs is a SOCKS proxy, and the Python package socksio is not installed."
        return Check(
            "proxy", "fail", message, ('Install it into the environment of ecapipe: pip install "socksio<2"',)
        )
    port = port or {"http": 80, "https": 443}.get(parts.scheme, 1080)
    place = f"{host}, port {port}"
    try:
        socket.create_connection((host, port), _NEAR).close()
    except OSError:
        return Check("proxy", "fail", f"The proxy for orgs does not answer on {place}.", actions, without)
    return Check("proxy", "ok", f"Orgs are reached by the proxy on {place}.", details=without)


def certificates(environment: Environment) -> Check:
    named = [f"{name} names {environment.get(name)}." for name in _CERTIFICATES if environment.get(name)]
    try:
        http.tls_context()
    except EcapipeError as error:
        return health.of_problem("certificates", "fail", error.problem, *named)
    more = f", and {len(named)} more place{'' if len(named) == 1 else 's'}" if named else ""
    return Check("certificates", "ok", f"The system's certificates are trusted{more}.", details=tuple(named))


def callbacks(urls: Collection[str], listen: CallbackListener) -> Check:
    """Whether logins can be answered on the callback URLs of this machine."""

    def nobody(_query: str) -> CallbackReply:
        return CallbackReply(fits=False, granted=False, sentence="No login is waiting for an answer.")

    with listen(urls, nobody) as lost:
        refused = dict(lost)
    opened = tuple(f"Could listen on {url}." for url in urls if url not in refused)
    if refused:
        first = next(iter(refused.values()))
        message = " ".join(dict.fromkeys(problem.message for problem in refused.values()))
        return Check("callbacks", "warn", message, first.actions, opened)
    return Check("callbacks", "ok", "Answers of logins can be received on this machine.", details=opened)


def state_directory(environment: Environment) -> Check:
    """Where it is, or whether it could be made: nothing is."""
    try:
        path = state.place(environment, "").rstrip(os.sep)
        if os.path.lexists(path):
            state.directory(environment)
            return Check("state", "ok", f"The state directory is {path}.")
    except EcapipeError as error:
        return health.of_problem("state", "fail", error.problem)
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK):
        return Check("state", "ok", f"The state directory will be {path}.")
    problem = state_directory_unusable(path, f"{above} is no folder that you may write to")
    return health.of_problem("state", "fail", problem)


def stored(environment: Environment, kept: SecretStore, settings: Iterable[str]) -> list[Stored]:
    """What is kept on this machine; `settings` are the paths of settings files that hold a consumer secret."""
    home = environment.get("USERPROFILE" if os.name == "nt" else "HOME") or os.path.expanduser("~")
    return [
        *(_kept(environment, *each) for each in _KEPT),
        _in_keyring(kept),
        *(
            _found(
                "Consumer secret in a settings file",
                path,
                True,
                "sf project retrieve start",
                "Keep it out of git with ecapipe app protect; delete the file to remove it.",
            )
            for path in settings
        ),
        _found(
            "Logins of the Salesforce CLI, with secrets and refresh tokens",
            os.path.join(home, ".sfdx"),
            True,
            "sf, and ecapipe run --hand-over sf through it",
            "sf org logout --target-org <alias>",
        ),
    ]


def _kept(environment: Environment, what: str, folder: str, secret: bool, written: str, removed: str) -> Stored:
    try:
        path = state.place(environment, folder)
    except EcapipeError:
        return Stored(what, folder, False, None, None, secret, written, removed)
    return _found(what, path, secret, written, removed)


def _in_keyring(kept: SecretStore) -> Stored:
    """The entries that records speak of; the keyring itself is not asked, for that may ask a person."""
    records = [record for kind in _KINDS for record in kept.records(kind)]
    entries = sum(isinstance(record, SavedRecord) and record.place == "keyring" for record in records)
    return Stored(
        "Secrets of kept logins, and consumer secrets",
        "the system's keyring, as ecapipe login and ecapipe consumer secret",
        entries > 0,
        None,
        entries,
        True,
        "ecapipe run --save, and ecapipe app set-secret",
        "ecapipe login logout, and ecapipe app forget-secret",
    )


def _found(what: str, path: str, secret: bool, written: str, removed: str) -> Stored:
    try:
        there = os.stat(path)
    except OSError:
        return Stored(what, path, False, None, None, secret, written, removed)
    mode = f"{stat.S_IMODE(there.st_mode):04o}" if os.name == "posix" else None
    return Stored(what, path, True, mode, _entries(path), secret, written, removed)


def _entries(path: str) -> int | None:
    """How many files a folder holds, other than locks; None for a file, or a folder that cannot be read."""
    try:
        return sum(not entry.name.endswith(".lock") for entry in os.scandir(path))
    except OSError:
        return None


def _first_line(command: list[str], variables: Mapping[str, str]) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603  # a program by its path, without a shell
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
            env=variables,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.splitlines()
    return lines[0].strip() or None if done.returncode == 0 and lines else None


def _can_socks() -> bool:
    from importlib.util import find_spec

    return find_spec("socksio") is not None
