"""The Salesforce CLI: what it keeps, what it is given, what it fetches; and its default org."""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from ecapipe.adapters import reading
from ecapipe.adapters import salesforce_cli_answers as answers
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.project_tree.disk import Disk
from ecapipe.adapters.salesforce_cli_answers import SfError
from ecapipe.adapters.salesforce_cli_files import aliases, config_value, core_version
from ecapipe.adapters.salesforce_cli_process import ProcessResult, SfProgram, command_name
from ecapipe.adapters.storage import state
from ecapipe.login import handover
from ecapipe.login.handover import Handover
from ecapipe.login.salesforce_cli import SfVersion
from ecapipe.oauth import tokens
from ecapipe.oauth.userinfo import is_username
from ecapipe.orgs.org import NamedBy
from ecapipe.orgs.sf_logins import SfLogin
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.salesforce_cli import sf_busy, sf_config_unreadable, sf_failed, sf_login_missing, sf_too_old
from ecapipe.secret import Secret, redact_answer, repeats

__all__ = ["OLDEST", "Sf", "aliases"]

OLDEST: Final = (2, 136, 8)
"""The first version with ``org auth show-access-token``."""
_NEEDED: Final = f"{'.'.join(map(str, OLDEST))} or later"

_QUICK, _LOGIN, _RETRIEVE = 60, 180, 40 * 60
"""Seconds; a retrieve waits 33 minutes by itself."""
_LARGEST_KEY: Final = 64 * 1024
_FRESH: Final = 10.0
"""People sign in for minutes, and may log in elsewhere meanwhile."""

_CONFIG_FILES: Final = ((".sf/config.json", "target-org"), (".sfdx/sfdx-config.json", "defaultusername"))
"""The configuration files below a project or a home, and how each calls the default org."""

_RETRIEVE_COMMAND: Final = ("project", "retrieve", "start")


class Sf:
    """See `ecapipe.login.salesforce_cli.SalesforceCli`.

    `windows`: how programs are named, and given what no argument may hold; `fresh`: seconds for which a list of
    logins tells what a further one would take the place of.
    """

    def __init__(self, environment: Environment, *, windows: bool = os.name == "nt", fresh: float = _FRESH) -> None:
        self._environment, self._windows, self._fresh = environment, windows, fresh
        self._program = SfProgram(environment, windows=windows)
        # One command at a time: of ten logins at once, as measured, five failed.
        self._lock = threading.RLock()
        self._version: SfVersion | None = None
        self._logins: tuple[SfLogin, ...] | None = None
        self._listed_at = 0.0

    def version(self) -> SfVersion:
        with self._lock:
            if self._version is None:
                self._version = self._ask_version()
            return self._version

    def _ask_version(self) -> SfVersion:
        answer = self._ask_object("version", "--verbose", subject="version")
        name = str(answer.get("cliVersion"))
        number = re.search(r"(\d+)\.(\d+)\.(\d+)", name)
        # Another program may be called sf, too.
        if number is None or not name.startswith("@salesforce/cli/"):
            raise EcapipeError(sf_failed("sf version", "it returned no version of @salesforce/cli."))
        if tuple(map(int, number.groups())) < OLDEST:
            raise EcapipeError(sf_too_old(f"{number[0]} is installed", _NEEDED))
        return SfVersion(number[0], core_version(str(answer.get("rootPath") or "")))

    def logins(self) -> tuple[SfLogin, ...]:
        return tuple(login for login in self._list() if login.whole)

    def named(self) -> tuple[SfLogin, ...]:
        with self._lock:
            logins = self._list()
            known_aliases = {alias for login in logins for alias in login.aliases}
            by_username = {login.username: login for login in logins}
            # An alias may outlive its login, and would still be found by every later command.
            others = [
                replace(by_username.get(username) or SfLogin(username, "", ""), aliases=(alias,))
                for alias, username in aliases(self._environment).items()
                if alias not in known_aliases
            ]
            return (*logins, *others)

    def _list(self) -> tuple[SfLogin, ...]:
        with self._lock:
            if self._logins is None:
                self._listed_at = time.monotonic()
                entries = self._ask("org", "list", "auth")
                if not isinstance(entries, list):
                    entries = []
                self._logins = tuple(login for entry in entries if (login := answers.login(entry)))
            return self._logins

    def home(self) -> str:
        return self._environment.get("USERPROFILE" if self._windows else "HOME") or os.path.expanduser("~")

    def default_org(self, root: str | None) -> tuple[str, NamedBy] | None:
        # As in sf, what the project says goes before what the user does.
        folders: tuple[tuple[str | None, NamedBy], ...] = ((root, "tree"), (self.home(), "salesforceCli"))
        for folder, named_by in folders:
            if not folder:
                continue
            for place, member in _CONFIG_FILES:
                path = os.path.join(folder, *place.split("/"))
                if named_by == "tree" and not Disk().holds(folder, path):
                    raise EcapipeError(sf_config_unreadable(path, "it leads outside the repository"))
                if name := config_value(path, member):
                    return name, named_by
        return None

    def access_token(self, name: str) -> tuple[Secret, str]:
        with self._lock:
            login = self._login(name)
            answer = self._ask_object("org", "auth", "show-access-token", f"--target-org={name}", subject=name)
            token = tokens.as_token(answer.get("accessToken"))
            # Since 2.136.8 every other command answers with "[REDACTED] …" in the place of a token.
            if token is None or "REDACTED" in str(answer["accessToken"]):
                raise EcapipeError(sf_failed("sf org auth show-access-token", "it returned no access token."))
            return token, login.instance_url

    def key_obstacle(self, path: str) -> str | None:
        if not os.path.isfile(path):
            return "the private key was not read from a regular file"
        try:
            text = reading.read(path, _LARGEST_KEY)
        except OSError as error:
            return f"the private key cannot be read: {error.strerror}"
        return "the private key is encrypted, and it can't use a passphrase" if b"ENCRYPTED" in text else None

    def log_in(self, login: Handover) -> SfLogin:
        with self._lock, self._state_lock():
            if time.monotonic() - self._listed_at > self._fresh:
                self._logins = None
            conflict = handover.overwritten(
                login.username, login.org_id, login.org, self.named(), replace_alias=login.replace_alias
            )
            if conflict:
                raise EcapipeError(conflict)
            with self._login_command(login) as (arguments, stdin):
                command = [*arguments, *_login_options(login)]
                answer = self._ask_object(
                    *command, subject=login.org.host, stdin=stdin, limit=_LOGIN, secrets=login.secrets
                )
            new = answers.login({"alias": login.org.alias, **answer})
            # The org may have chosen it, and been sent these secrets by the Salesforce CLI, too.
            if new is None or not new.whole or not is_username(new.username) or repeats(new.username, *login.secrets):
                raise EcapipeError(sf_failed(command_name(command), "it returned no valid username for the login."))
            self._logins = (*(other for other in self._list() if other.username != new.username), new)
            return new

    def stop(self) -> None:
        self._program.stop()

    def retrieve(
        self, root: str, name: str, types: Sequence[str], tell: Callable[[str], None], api_version: str | None = None
    ) -> list[str]:
        self._login(name)
        remaining = list(types)
        warnings: list[str] = []
        while True:
            result = self._retrieve(root, name, remaining, tell, api_version)
            if not result.status:
                return [*warnings, *answers.warnings(result)]
            error = answers.error(result)
            if error is None:
                raise EcapipeError(sf_failed(command_name(_RETRIEVE_COMMAND), answers.failure(result)))
            # One unknown type fails the whole retrieve, and the first one only is named: try without it.
            unknown = answers.unknown_type(error.message, remaining)
            remaining = [type for type in remaining if type != unknown]
            if unknown is None or not remaining:
                raise EcapipeError(answers.problem(error, _RETRIEVE_COMMAND, name))
            warnings.append(
                f"This Salesforce CLI does not support the metadata type {unknown}. To update it: sf update"
            )

    def _retrieve(
        self, root: str, name: str, types: Sequence[str], tell: Callable[[str], None], api_version: str | None
    ) -> ProcessResult:
        """One try. With --json it would be silent until the end; like this it tells its stages, a line each in CI."""
        stages: set[str] = set()

        def report(line: str) -> None:
            stage = answers.stage(line)
            if stage and stage not in stages:
                stages.add(stage)
                tell(f"Salesforce CLI: {stage}")

        options = [f"--metadata={type}" for type in types]
        if api_version:
            options.append(f"--api-version={api_version}")
        command = [*_RETRIEVE_COMMAND, *options, f"--target-org={name}"]
        return self._program.run(command, limit=_RETRIEVE, cwd=root, on_line=report, CI="true")

    def _login(self, name: str) -> SfLogin:
        """The login of an alias or a username; raises `EcapipeError` (SfLoginMissing)."""
        logins = self.logins()
        for login in logins:
            if name == login.username or name in login.aliases:
                return login
        known = [word for login in logins for word in (*login.aliases, login.username)]
        raise EcapipeError(sf_login_missing(name, None, known))

    @contextmanager
    def _state_lock(self) -> Iterator[None]:
        """No other ecapipe of this user hands a login over meanwhile, if there is a place for a lock."""
        try:
            path = os.path.join(state.directory(self._environment), "sf.lock")
        except EcapipeError:
            yield
            return
        with state.lock(path, sf_busy(_LOGIN), _LOGIN):
            yield

    @contextmanager
    def _login_command(self, login: Handover) -> Iterator[tuple[list[str], Secret | None]]:
        """The command that takes a login, and what is piped to it."""
        if login.key_file:
            # As a user would: it keeps the path, and makes a token of its own whenever it needs one.
            path, url = os.path.abspath(login.key_file), login.org.url
            command = ["org", "login", "jwt", f"--username={login.username}", f"--jwt-key-file={path}"]
            yield [*command, f"--client-id={login.client_id}", f"--instance-url={url}"], None
        elif not login.lasting:
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

    def _ask_object(
        self,
        *command: str,
        subject: str,
        stdin: Secret | None = None,
        limit: int = _QUICK,
        secrets: Sequence[Secret] = (),
    ) -> Mapping[str, object]:
        """As `_ask`, for a result that has to be a JSON object."""
        answer = self._ask(*command, subject=subject, stdin=stdin, limit=limit, secrets=secrets)
        if not isinstance(answer, dict):
            raise EcapipeError(sf_failed(command_name(command), "its JSON contains no result."))
        return answer

    def _ask(
        self,
        *command: str,
        subject: str = "",
        stdin: Secret | None = None,
        limit: int = _QUICK,
        secrets: Sequence[Secret] = (),
    ) -> object:
        """The result of a command; `subject` is the org or login that its errors are about."""
        result = self._program.run([*command, "--json"], stdin=stdin, limit=limit)
        document = answers.document(result.out)
        if document is None and "is not a sf command" in result.err:
            raise EcapipeError(sf_too_old(f"it has no command {command_name(command)}", _NEEDED))
        if "force closed the prompt" in result.out + result.err:
            raise EcapipeError(sf_too_old("it prompts for input that is piped in", "a later version"))
        if document is None:
            raise EcapipeError(sf_failed(command_name(command), redact_answer(answers.failure(result), *secrets)))
        if document["status"] == 0 and "result" in document:
            return document["result"]
        error = SfError(str(document.get("name") or ""), str(document.get("message") or "no reason given"))
        raise EcapipeError(answers.problem(error, command, subject, secrets))


def _login_options(login: Handover) -> list[str]:
    options: list[str] = []
    if login.org.alias:
        options.append(f"--alias={login.org.alias}")
    if login.default:
        options.append("--set-default")
    return options
