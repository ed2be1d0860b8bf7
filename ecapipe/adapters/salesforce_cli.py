"""The Salesforce CLI: what it keeps, what it is given, what it fetches; and its configuration files."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import IO, Final, cast

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import state
from ecapipe.login import handover
from ecapipe.login.handover import Handover
from ecapipe.login.salesforce_cli import SfVersion
from ecapipe.orgs.org import NamedBy
from ecapipe.orgs.salesforce_cli import SfLogin
from ecapipe.problems.oauth import invalid_client, invalid_client_id
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.salesforce_cli import (
    sf_busy,
    sf_config_unreadable,
    sf_failed,
    sf_login_missing,
    sf_not_found,
    sf_refresh_refused,
    sf_timed_out,
    sf_too_old,
    sf_unreachable,
)
from ecapipe.secret import Secret, redact

OLDEST: Final = (2, 136, 8)
"""The first version with ``org auth show-access-token``."""
_NEEDED: Final = f"{'.'.join(map(str, OLDEST))} or later"

_QUICK, _LOGIN, _RETRIEVE = 60, 180, 40 * 60
"""Seconds; a retrieve waits 33 minutes by itself."""
_FRESH: Final = 10.0
"""People sign in for minutes, and may log in elsewhere meanwhile."""

_DROPPED: Final = (
    # Colours in its JSON; with NO_COLOR beside it, a warning of Node.
    "FORCE_COLOR",
    # What would print secrets, be taken instead of the token that is piped, or ask a question.
    "TEMP_SHOW_SECRETS",
    "ACCESS_TOKEN",
    "ENV",
    # Output comes in the form that is asked for on the command line.
    "CONTENT_TYPE",
    "MSO_DISABLE_CI_MODE",
    "DEBUG",
)
_SET: Final = {
    "NO_COLOR": "1",
    "SF_AUTOUPDATE_DISABLE": "true",
    "SF_DISABLE_AUTOUPDATE": "true",
    "SF_SKIP_NEW_VERSION_CHECK": "true",
}

_PLACES: Final = ((".sf/config.json", "target-org"), (".sfdx/sfdx-config.json", "defaultusername"))
"""The configuration files below a project or a home, and how each calls the default org."""
_LARGEST: Final = 1024 * 1024
_LONGEST_NAME: Final = 200

_UNREACHED: Final = re.compile(
    r"fetch failed|getaddrinfo|socket hang up|ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH"
    r"|UND_ERR_|self.signed|certificate has expired|unable to (get|verify)\b.*certificate|altnames",
    re.IGNORECASE,
)
_KEY: Final = re.compile(r"invalid_client_id|client identifier", re.IGNORECASE)
_PAIR: Final = re.compile(r"invalid[ _]client|client credentials", re.IGNORECASE)
_DEAD: Final = re.compile(r"expired|refresh token|invalid_grant|inactive|revoked", re.IGNORECASE)
_PAGE: Final = re.compile(r"\s*<(!doctype|html)", re.IGNORECASE)
_PREFIX: Final = re.compile(r"^.*?due to: *", re.IGNORECASE | re.DOTALL)

_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_AT_WORK: Final = re.compile(r"[▶>] (.+?)(?:…|\.\.\.)?")
_ERROR: Final = re.compile(
    r"^Error(?: \((?P<name>[^)]*)\))?: *(?P<message>.*?)(?=\n\s*\n|\Z)", re.DOTALL | re.MULTILINE
)
_UNKNOWN_TYPE: Final = re.compile(r"Missing metadata type definition in registry for id '(\w+)'")
"""How a source-deploy-retrieve that is older than a type speaks of it."""
_BATCH_SAFE: Final = re.compile(r"[\w@.:/\\+=,~ -]*")
"""What cmd.exe, which runs a .cmd file, hands on as it is."""


@dataclass(frozen=True, slots=True)
class _Ended:
    status: int
    out: str
    err: str


class Sf:
    """See `ecapipe.login.salesforce_cli.SalesforceCli`. `windows`: how programs are named, and given what no
    argument may hold;
    `fresh`: seconds for which a list of logins tells what a further one would take the place of."""

    def __init__(self, environment: Environment, *, windows: bool = os.name == "nt", fresh: float = _FRESH) -> None:
        self._environment, self._windows, self._fresh = environment, windows, fresh
        self._turn = threading.RLock()
        self._version: SfVersion | None = None
        self._logins: tuple[SfLogin, ...] | None = None
        self._listed_at = 0.0

    def version(self) -> SfVersion:
        with self._turn:
            if self._version is None:
                answer = self._json("version", "--verbose", needs="version")
                named = re.search(r"(\d+)\.(\d+)\.(\d+)", str(answer.get("cliVersion")))
                if named is None or not str(answer.get("cliVersion")).startswith("@salesforce/cli/"):
                    raise EcapipeError(sf_failed("sf version", "it names no version of @salesforce/cli."))
                if tuple(map(int, named.groups())) < OLDEST:
                    raise EcapipeError(sf_too_old(named[0], _NEEDED))
                self._version = SfVersion(named[0], _core(str(answer.get("rootPath") or "")))
            return self._version

    def logins(self) -> tuple[SfLogin, ...]:
        return tuple(login for login in self._listed() if login.whole)

    def named(self) -> tuple[SfLogin, ...]:
        with self._turn:
            listed = self._listed()
            known = {name for login in listed for name in login.aliases}
            left = {name: username for name, username in aliases(self._environment).items() if name not in known}
            by_name = {login.username: login for login in listed}
            others = [
                replace(by_name.get(username) or SfLogin(username, "", ""), aliases=(name,))
                for name, username in left.items()
            ]
            return (*listed, *others)

    def _listed(self) -> tuple[SfLogin, ...]:
        with self._turn:
            if self._logins is None:
                self._listed_at = time.monotonic()
                listed = self._ask("org", "list", "auth")
                entries = listed if isinstance(listed, list) else []
                self._logins = tuple(login for entry in entries if (login := _login(entry)))
            return self._logins

    def default_org(self, root: str | None) -> tuple[str, NamedBy] | None:
        home = self._environment.get("USERPROFILE" if self._windows else "HOME") or os.path.expanduser("~")
        whose: tuple[tuple[str | None, NamedBy], ...] = ((root, "tree"), (home, "salesforceCli"))
        for folder, by in whose:
            for place, member in _PLACES if folder else ():
                if name := _setting(os.path.join(cast(str, folder), *place.split("/")), member):
                    return name, by
        return None

    def access_token(self, name: str) -> tuple[Secret, str]:
        with self._turn:
            login = self._known(name)
            answer = self._json("org", "auth", "show-access-token", f"--target-org={name}", needs=name)
            token = answer.get("accessToken")
            if not isinstance(token, str) or not token or "REDACTED" in token:
                raise EcapipeError(sf_failed("sf org auth show-access-token", "it gave no access token."))
            return Secret(token), login.instance_url

    def log_in(self, login: Handover) -> SfLogin:
        choices = [f"--alias={login.org.alias}"] if login.org.alias else []
        choices += ["--set-default"] if login.default else []
        with self._turn, self._alone():
            if time.monotonic() - self._listed_at > self._fresh:
                self._logins = None
            taken = handover.overwritten(
                login.username, login.org_id, login.org, self.named(), replace_alias=login.replace_alias
            )
            if taken:
                raise EcapipeError(taken)
            with self._handed(login) as (arguments, given):
                command = [*arguments, *choices]
                answer = self._json(*command, given=given, needs=login.org.host, limit=_LOGIN, secrets=login.secrets)
            done = _login({"alias": login.org.alias, **answer})
            if done is None or not done.whole:
                raise EcapipeError(sf_failed(_spoken(command), "it does not say whom it logged in."))
            self._logins = (*(kept for kept in self._listed() if kept.username != done.username), done)
            return done

    def retrieve(self, root: str, name: str, types: Sequence[str], tell: Callable[[str], None]) -> list[str]:
        self._known(name)
        left = list(types)
        warnings: list[str] = []
        while True:
            ended = self._retrieved(root, name, left, tell)
            if not ended.status:
                said = [line.partition(": ")[2] for line in ended.err.splitlines() if line.startswith("Warning: ")]
                return [*warnings, *said]
            error = _ERROR.search(ended.err) or _ERROR.search(ended.out)
            if error is None:
                raise EcapipeError(sf_failed("sf project retrieve start", _reason(ended)))
            unknown = _UNKNOWN_TYPE.search(error["message"])
            again = [type for type in left if unknown is None or type.lower() != unknown[1].lower()]
            if not again or len(again) == len(left):
                command = ("project", "retrieve", "start")
                raise EcapipeError(_translated(error["name"] or "", error["message"], command, name, ()))
            (lost,) = set(left).difference(again)
            warnings.append(f"This Salesforce CLI does not know the metadata type {lost}: sf update brings it.")
            left = again

    def _retrieved(self, root: str, name: str, types: Sequence[str], tell: Callable[[str], None]) -> _Ended:
        """One try. With --json it would be silent until the end; like this it tells its stages, a line each in CI."""
        told: set[str] = set()

        def hear(line: str) -> None:
            work = _AT_WORK.fullmatch(line.strip())
            if work and work[1] not in told:
                told.add(work[1])
                tell(f"Salesforce CLI: {work[1]}")

        wanted = [f"--metadata={type}" for type in types]
        command = ["project", "retrieve", "start", *wanted, f"--target-org={name}"]
        return self._run(command, limit=_RETRIEVE, at=root, hear=hear, CI="true")

    def _known(self, name: str) -> SfLogin:
        """The login of an alias or a username."""
        logins = self.logins()
        for login in logins:
            if name == login.username or name in login.aliases:
                return login
        known = [word for login in logins for word in (*login.aliases, login.username)]
        raise EcapipeError(sf_login_missing(name, None, known))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other ecapipe of this user hands a login over meanwhile, if there is a place for a lock."""
        try:
            path = os.path.join(state.directory(self._environment), "sf.lock")
        except EcapipeError:
            yield
            return
        with state.lock(path, sf_busy(_LOGIN), _LOGIN):
            yield

    @contextmanager
    def _handed(self, login: Handover) -> Iterator[tuple[list[str], Secret | None]]:
        """The command that takes a login, and what is piped to it."""
        if not login.lasting:
            yield ["org", "login", "access-token", f"--instance-url={login.org.url}"], login.given
        elif not self._windows:
            # As a file it is waited for; --sfdx-url-stdin waits 10 ms, and prints what it does not understand.
            yield ["org", "login", "sfdx-url", "--sfdx-url-file=/dev/stdin"], login.given
        else:
            handle, path = tempfile.mkstemp(prefix="ecapipe-", suffix=".txt")
            try:
                with open(handle, "w", encoding="utf-8") as file:
                    file.write(login.given.reveal())
                yield ["org", "login", "sfdx-url", f"--sfdx-url-file={path}"], None
            finally:
                os.unlink(path)

    def _json(
        self,
        *command: str,
        needs: str,
        given: Secret | None = None,
        limit: int = _QUICK,
        secrets: Sequence[Secret] = (),
    ) -> Mapping[str, object]:
        answer = self._ask(*command, given=given, limit=limit, about=needs, secrets=secrets)
        if not isinstance(answer, dict):
            raise EcapipeError(sf_failed(_spoken(command), "its JSON has no result."))
        return answer

    def _ask(
        self,
        *command: str,
        given: Secret | None = None,
        limit: int = _QUICK,
        about: str = "",
        secrets: Sequence[Secret] = (),
    ) -> object:
        """The result of a command; `about` is the org or login that its errors are about."""
        ended = self._run([*command, "--json"], given=given, limit=limit)
        document = _document(ended.out)
        if document is None and "is not a sf command" in ended.err:
            raise EcapipeError(sf_too_old(f"it does not know {_spoken(command)}", _NEEDED))
        if "force closed the prompt" in ended.out + ended.err:
            raise EcapipeError(sf_too_old("it asks for what is piped to it", "a later one"))
        if document is None:
            raise EcapipeError(sf_failed(_spoken(command), redact(_reason(ended), *secrets)))
        if document["status"] == 0 and "result" in document:
            return document["result"]
        name, message = document.get("name"), document.get("message")
        raise EcapipeError(_translated(str(name or ""), str(message or "no reason given"), command, about, secrets))

    def _run(
        self,
        command: Sequence[str],
        *,
        given: Secret | None = None,
        limit: int,
        at: str | None = None,
        hear: Callable[[str], None] = lambda line: None,
        **variables: str,
    ) -> _Ended:
        """Run a command to its end; `hear` is told each line of its output at once.

        It is a session of its own: a Ctrl-C is ours to act on, and its end takes along what it started.
        """
        program = self._program(f"sf {' '.join(command[:3])}")
        unsafe = [word for word in command if not _BATCH_SAFE.fullmatch(word)] if program.endswith(".cmd") else []
        if unsafe:
            reason = "a name has characters that cmd.exe would not hand on."
            raise EcapipeError(sf_failed(_spoken(command), reason))
        lines: list[str] = []
        late = threading.Event()
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(  # noqa: S603 - found on the PATH, and given no shell
                    [program, *command],
                    cwd=at,
                    env={**self._variables(), **variables},
                    stdin=subprocess.DEVNULL if given is None else subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=not self._windows,
                )
            except OSError as error:
                raise EcapipeError(sf_failed(_spoken(command), f"{error.strerror or error}.")) from None
            with process, self._ending(process, limit, late):
                _feed(process, given)
                for line in cast(IO[str], process.stdout):
                    lines.append(_ANSI.sub("", line))
                    hear(lines[-1])
                status = process.wait()
                errors.seek(0)
                said = _ANSI.sub("", errors.read(_LARGEST).decode("utf-8", "replace"))
        if late.is_set():
            raise EcapipeError(sf_timed_out(_spoken(command), limit))
        return _Ended(status, "".join(lines), said)

    @contextmanager
    def _ending(self, process: subprocess.Popen[str], limit: float, late: threading.Event) -> Iterator[None]:
        """The end of a program, and of all that it started, after `limit` seconds or when the context ends early."""

        def kill() -> None:
            if process.poll() is None:
                if self._windows:
                    command = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
                    subprocess.run(command, check=False, env=self._variables())  # noqa: S603
                else:
                    with suppress(ProcessLookupError, PermissionError):  # it has just ended
                        os.killpg(process.pid, signal.SIGKILL)

        def expire() -> None:
            late.set()
            kill()

        timer = threading.Timer(limit, expire)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            kill()

    def _program(self, needed_for: str) -> str:
        """The program; see `Environment.program`."""
        path = self._environment.program(*(("sf.cmd", "sf.exe") if self._windows else ("sf",)), chosen="ECAPIPE_SF")
        if path is None:
            raise EcapipeError(sf_not_found(needed_for))
        return path

    def _variables(self) -> dict[str, str]:
        inherited = self._environment.inherited()
        return {
            name: value
            for name, value in inherited.items()
            if name.upper().removeprefix("SFDX_").removeprefix("SF_") not in _DROPPED
        } | _SET


def _feed(process: subprocess.Popen[str], given: Secret | None) -> None:
    if process.stdin is None or given is None:
        return
    try:
        with process.stdin as pipe:
            pipe.write(given.reveal())
    except BrokenPipeError:  # it ended without reading: its status tells
        return


def _document(out: str) -> dict[str, object] | None:
    """The JSON of a command, whatever stands before and behind it; None if there is none."""
    decoder = json.JSONDecoder()
    for start in re.finditer(r"^\s*\{", out, re.MULTILINE):
        try:
            found, _ = decoder.raw_decode(out, start.end() - 1)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            if "cliVersion" in found:  # sf version has no envelope
                return {"status": 0, "result": found}
            if isinstance(found.get("status"), int):
                return found
    return None


def _login(entry: object) -> SfLogin | None:
    """A login as it is listed, or as logging in gives it back, a broken one with what is left; None for no login."""
    members = entry if isinstance(entry, dict) else {}
    username, org_id, url = (members.get(name) for name in ("username", "orgId", "instanceUrl"))
    if not (isinstance(username, str) and username):
        return None
    org_id, url = (value if isinstance(value, str) else "" for value in (org_id, url))
    alias = members.get("alias")
    aliases = tuple(name for name in alias.split(",") if name) if isinstance(alias, str) else ()
    return SfLogin(username, org_id, url.rstrip("/"), aliases, members.get("isDevHub") is True)


def _translated(name: str, message: str, command: Sequence[str], about: str, secrets: Sequence[Secret]) -> Problem:
    """What an error of the Salesforce CLI means.

    By its message, for its actions mislead: every failed refresh, for want of a network, too, is told to be a stored
    token that is no longer valid.
    """
    if _PAGE.match(message):
        message = "the org answered with a web page"
    said = redact(" ".join(message.split()), *secrets)[:500]
    reason = _PREFIX.sub("", said) or said
    sentence = reason if reason.endswith((".", "!", "?")) else f"{reason}."
    if name == "NamedOrgNotFoundError":
        return sf_login_missing(about, None, ())
    if _UNREACHED.search(reason):
        return sf_unreachable(about, sentence)
    if _KEY.search(reason):
        return invalid_client_id(about)
    if _PAIR.search(reason):
        return invalid_client(about)
    if name == "RefreshTokenAuthError" or (_DEAD.search(reason) and "token" in reason.lower()):
        return sf_refresh_refused(about, sentence)
    return sf_failed(_spoken(command), f"{sentence} ({name})" if name[:1].isalpha() else sentence)


def _reason(ended: _Ended) -> str:
    """What a program said that gave no JSON: the first line of its complaint, or its status."""
    lines = [line.strip() for line in (*ended.err.splitlines(), *ended.out.splitlines()) if line.strip()]
    said = " ".join(lines[:2])[:300]
    return f'it ended with status {ended.status} and said "{said}".' if said else f"it ended with {ended.status}."


def _spoken(command: Sequence[str]) -> str:
    """A command as people write it, up to its first flag."""
    words = [word for word in command if not word.startswith("-")]
    return f"sf {' '.join(words)}"


def aliases(environment: Environment) -> dict[str, str]:
    """Usernames by alias, from the file the Salesforce CLI keeps them in; empty where that cannot be read.

    For suggestions and names that are taken: the file is the Salesforce CLI's own affair, and `Sf.logins` asks it.
    """
    home = environment.get("USERPROFILE" if os.name == "nt" else "HOME") or os.path.expanduser("~")
    try:
        with open(os.path.join(home, ".sfdx", "alias.json"), "rb") as file:
            found = json.loads(file.read(_LARGEST))["orgs"]
        return {str(alias): str(username) for alias, username in found.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _setting(path: str, member: str) -> str | None:
    """A member of a configuration file; None if it is not set, or there is no file.

    Raises `EcapipeError` (SfConfigUnreadable).
    """
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            reason = "it is no file"
        elif found.st_size > _LARGEST:
            reason = "it is larger than 1 MiB"
        else:
            with open(path, "rb") as file:
                parsed = json.loads(file.read(_LARGEST) or b"{}")
            value = parsed.get(member) if isinstance(parsed, dict) else 0
            if value is None or value == "":
                return None
            if isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_NAME:
                return value
            reason = f"{member} is no name" if isinstance(parsed, dict) else "it holds no JSON object"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = error.strerror or "it cannot be read"
    except (ValueError, RecursionError):
        reason = "it is not valid JSON"
    raise EcapipeError(sf_config_unreadable(path, reason))


def _core(root: str) -> str | None:
    """The lowest version of sfdx-core below the folder that the Salesforce CLI runs from, or beside it.

    Any plugin may refresh a token, and may have a core of its own.
    """
    found = []
    folder = root
    while os.path.isabs(folder):
        scope = os.path.join(folder, "node_modules", "@salesforce")
        places = [os.path.join(scope, "core")]
        if os.path.isdir(scope):
            plugins = [name for name in os.listdir(scope) if name.startswith("plugin-")]
            places += [os.path.join(scope, name, "node_modules", "@salesforce", "core") for name in plugins]
        found += [version for place in places if (version := _package_version(place))]
        if found or folder == os.path.dirname(folder):
            break
        folder = os.path.dirname(folder)
    return min(found, key=lambda version: [int(part) for part in version.split(".")], default=None)


def _package_version(folder: str) -> str | None:
    try:
        with open(os.path.join(folder, "package.json"), "rb") as file:
            version = json.loads(file.read(_LARGEST)).get("version")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    plain = re.match(r"\d+\.\d+\.\d+", version) if isinstance(version, str) else None
    return plain[0] if plain else None
