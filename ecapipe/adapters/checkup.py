"""How this machine is equipped for ecapipe, looked at without changing anything."""

from __future__ import annotations

import os
import platform
import socket
import stat
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.network import browser, http, nearness, proxies
from ecapipe.adapters.project_tree import git as repositories
from ecapipe.adapters.storage import state, store
from ecapipe.documents import health
from ecapipe.documents.health import Check, Stored
from ecapipe.login.callbacks import CallbackListener, CallbackReply
from ecapipe.login.salesforce_cli import SalesforceCli
from ecapipe.problems.git import OTHER_GIT
from ecapipe.problems.network import proxy_failed
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.salesforce_cli import sf_not_found
from ecapipe.saved.records import RecordKind, SavedRecord
from ecapipe.saved.store import SecretStore

_PATIENCE: Final = 10.0
"""Seconds for a program to tell its version."""
_NEAR: Final = 3.0
"""Seconds for a proxy to take a connection."""
_ORG: Final = "login.salesforce.com"
"""A host that stands for those of orgs."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of stored things: `description`, whether they are secret, what writes them, and what removes them."""

    description: str
    secret: bool
    writer: str
    remover: str

    def stored(self, path: str, *, exists: bool, mode: str | None = None, entries: int | None = None) -> Stored:
        return Stored(
            self.description,
            path,
            exists=exists,
            mode=mode,
            entries=entries,
            secret=self.secret,
            written_by=self.writer,
            removed_by=self.remover,
        )

    def at(self, path: str) -> Stored:
        """As it lies at `path`, if it does."""
        try:
            status = os.stat(path)
        except OSError:
            return self.stored(path, exists=False)
        # Windows knows no such modes.
        mode = f"{stat.S_IMODE(status.st_mode):04o}" if os.name == "posix" else None
        return self.stored(path, exists=True, mode=mode, entries=_entries(path))


_STATE_FOLDERS: Final = {
    "rotated": _Kind(
        "Recorded rotations",
        secret=False,
        writer="ecapipe app rotate",
        remover="Old records are removed automatically. To remove all, delete the folder.",
    ),
    "rotations": _Kind(
        "Records of the keys that ecapipe staged",
        secret=False,
        writer="ecapipe app rotate",
        remover="To remove them, delete the folder when nothing is staged.",
    ),
    "runs": _Kind(
        "Recorded runs",
        secret=False,
        writer="ecapipe run",
        remover="Old records are removed automatically. To remove all, delete the folder.",
    ),
    "retrieved": _Kind(
        "Files retrieved by runs in progress",
        secret=True,
        writer="ecapipe run --retrieve",
        remover="Removed automatically when the run ends or, if it was killed, by the next run.",
    ),
    "logins": _Kind(
        "Saved logins; their secrets are here or in the keyring",
        secret=True,
        writer="ecapipe run --save",
        remover="ecapipe login logout",
    ),
    "secrets": _Kind(
        "Saved consumer secrets, here or in the keyring",
        secret=True,
        writer="ecapipe app set-secret",
        remover="ecapipe app forget-secret",
    ),
}
"""What lies in each folder of the state directory."""
_KEYRING: Final = _Kind(
    "Secrets of saved logins, and consumer secrets",
    secret=True,
    writer="ecapipe run --save, and ecapipe app set-secret",
    remover="ecapipe login logout, and ecapipe app forget-secret",
)
_SETTINGS: Final = _Kind(
    "Consumer secret in a settings file",
    secret=True,
    writer="sf project retrieve start",
    remover="To keep it out of git: ecapipe app protect. To remove it, delete the file.",
)
_SALESFORCE_CLI: Final = _Kind(
    "Logins of the Salesforce CLI, with secrets and refresh tokens",
    secret=True,
    writer="sf, and ecapipe run --hand-over sf",
    remover="sf org logout --target-org ALIAS",
)

_RECORD_KINDS: Final[tuple[RecordKind, ...]] = ("login", "secret")


def python() -> Check:
    return Check("python", "ok", f"Python {platform.python_version()}.", details=(f"Path: {sys.executable}.",))


def git(environment: Environment) -> Check:
    path = repositories.program(environment)
    message = "git was not found on the PATH, so ecapipe can't check which settings files a repository tracks."
    if path:
        # A program that is there may be broken: on macOS, git is a stub until the developer tools are installed.
        if version := _first_line([path, "--version"], environment.for_git()):
            return Check("git", "ok", f"{version}.", details=(f"Path: {path}.",))
        message = f"{path} did not return its version."
    actions = ("Install git, or add its folder to PATH.", OTHER_GIT)
    return Check("git", "warn", message, actions)


def salesforce_cli(cli: SalesforceCli) -> Check:
    try:
        version = cli.version()
    except EcapipeError as error:
        problem = error.problem
        if problem.kind is sf_not_found:
            message = (
                "The Salesforce CLI was not found on the PATH. Only --hand-over, --retrieve and its aliases need it."
            )
            return Check("sf", "warn", message, problem.actions)
        return health.of_problem("sf", "warn", problem)
    core = f"It uses sfdx-core {version.core}." if version.core else "Its version of sfdx-core was not found."
    if version.loses_rotated_tokens:
        return Check(
            "sf",
            "warn",
            f"Salesforce CLI {version.cli} loses the login of an app whose refresh tokens rotate: it uses sfdx-core "
            f"{version.core}, and only 9.2.0 or later stores new refresh tokens.",
            ("Update it: npm install --global @salesforce/cli",),
        )
    return Check("sf", "ok", f"Salesforce CLI {version.cli}.", details=(core,))


def web_browser(environment: Environment) -> Check:
    browsers = ", ".join(browser.installed(environment))
    details = (f"Found for --browser: {browsers or 'none'}.",)
    if environment.get("SSH_CONNECTION"):
        message = "This is an SSH session: links are printed, and redirect URLs are pasted."
        return Check("browser", "ok", message, details=details)
    obstacle = nearness.obstacle(environment)
    if obstacle is None:
        opener = "BROWSER" if environment.get("BROWSER") else "The system's browser"
        return Check("browser", "ok", f"{opener} opens login pages.", details=details)
    actions = ["Use --browser none, and open the links elsewhere."]
    if environment.get("BROWSER"):
        actions = ["Set BROWSER to a browser on the PATH, or unset it."]
    message = f"Login pages can't be opened here: {obstacle}."
    return Check("browser", "warn", message, tuple(actions), details)


def keyring() -> Check:
    try:
        backend = store.system()
    except EcapipeError as error:
        return health.of_problem("keyring", "warn", error.problem)
    return Check("keyring", "ok", f"Secrets can be saved in the keyring ({backend.name}).")


def proxy() -> Check:
    """The proxy for orgs, as requests take it; never its password."""
    try:
        found = http.find_proxy("https", _ORG)
    except EcapipeError as error:
        return health.of_problem("proxy", "fail", error.problem)
    details = (f"Not used for: {exceptions}.",) if (exceptions := proxies.exceptions()) else ()
    if found is None:
        return Check("proxy", "ok", "Requests to orgs use no proxy.", details=details)
    try:
        socket.create_connection((found.host, found.port), _NEAR).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it does not respond"
        problem = proxy_failed(found.named_by, found.place, _ORG, reason.lower())
        return health.of_problem("proxy", "fail", problem, *details)
    return Check(
        "proxy", "ok", f"Requests to orgs use the proxy at {found.host}, port {found.port}.", details=details
    )


def certificates(environment: Environment) -> Check:
    places = [f"{name} is set to {environment.get(name)}." for name in http.CERTIFICATES if environment.get(name)]
    try:
        http.tls_context()
    except EcapipeError as error:
        return health.of_problem("certificates", "fail", error.problem, *places)
    more = ""
    if places:
        plural = "" if len(places) == 1 else "s"
        more = f", plus {len(places)} more location{plural}"
    return Check("certificates", "ok", f"The system's certificates are trusted{more}.", details=tuple(places))


def callbacks(urls: Collection[str], listen: CallbackListener) -> Check:
    """Whether logins can be answered on the callback URLs of this machine."""

    def nobody(_query: str) -> CallbackReply:
        return CallbackReply(fits=False, granted=False, sentence="No sign-in is waiting for a response.")

    with listen(urls, nobody) as failures:
        problems = dict(failures)
    details = tuple(f"ecapipe can listen on {url}." for url in urls if url not in problems)
    if problems:
        first = next(iter(problems.values()))
        message = " ".join(dict.fromkeys(problem.message for problem in problems.values()))
        return Check("callbacks", "warn", message, first.actions, details)
    return Check("callbacks", "ok", "Redirects of sign-ins can be received on this machine.", details=details)


def state_directory(environment: Environment) -> Check:
    """Where it is, or whether it could be made: nothing is."""
    if problem := state.obstacle(environment, *_STATE_FOLDERS):
        return health.of_problem("state", "fail", problem)
    path = state.place(environment)
    verb = "is" if os.path.lexists(path) else "will be"
    return Check("state", "ok", f"The state directory {verb} {path}.")


def stored(environment: Environment, secret_store: SecretStore, settings: Iterable[str]) -> list[Stored]:
    """What is kept on this machine; `settings` are the paths of settings files that hold a consumer secret."""
    home = environment.get("USERPROFILE" if os.name == "nt" else "HOME") or os.path.expanduser("~")
    return [
        *(_in_state_folder(environment, folder, kind) for folder, kind in _STATE_FOLDERS.items()),
        _in_keyring(secret_store),
        *map(_SETTINGS.at, settings),
        _SALESFORCE_CLI.at(os.path.join(home, ".sfdx")),
    ]


def _in_state_folder(environment: Environment, folder: str, kind: _Kind) -> Stored:
    try:
        return kind.at(state.place(environment, folder))
    except EcapipeError:
        return kind.stored(folder, exists=False)


def _in_keyring(secret_store: SecretStore) -> Stored:
    """The entries that records speak of; the keyring itself is not asked, for that may ask a person."""
    try:
        records = [record for kind in _RECORD_KINDS for record in secret_store.records(kind)]
    except EcapipeError:  # the check of the state directory tells why
        records = []
    entries = sum(isinstance(record, SavedRecord) and record.place == "keyring" for record in records)
    place = "the system's keyring, under ecapipe login and ecapipe consumer secret"
    return _KEYRING.stored(place, exists=entries > 0, entries=entries)


def _entries(path: str) -> int | None:
    """How many files a folder holds, other than locks; None for a file, or a folder that cannot be read."""
    try:
        return sum(not entry.name.endswith(".lock") for entry in os.scandir(path))
    except OSError:
        return None


def _first_line(command: list[str], variables: Mapping[str, str]) -> str | None:
    try:
        result = subprocess.run(  # noqa: S603  # a program by its path, without a shell
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
    lines = result.stdout.splitlines()
    if result.returncode or not lines:
        return None
    return lines[0].strip() or None
