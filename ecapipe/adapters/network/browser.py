"""A browser: the person's own, or the emulator's stand-in for a person."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urljoin

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.network import nearness
from ecapipe.project.apps import loopback

Name = Literal["chrome", "edge", "firefox"]

_COMMANDS: dict[Name, tuple[str, ...]] = {
    "chrome": ("google-chrome", "chrome", "chromium", "chromium-browser"),
    "edge": ("microsoft-edge", "msedge"),
    "firefox": ("firefox",),
}


_OPEN = """
import sys, webbrowser
for name in ("microsoft-edge", "msedge"):  # unknown to webbrowser before Python 3.13
    webbrowser.register(name, None, webbrowser.Chrome(name))
for name in sys.argv[2:]:
    try:
        if webbrowser.get(name or None).open(sys.argv[1]):
            sys.exit()
    except (webbrowser.Error, OSError):
        continue
sys.exit(1)
"""


def opener(name: Name | None, environment: Environment, patience: float = 3.0) -> Callable[[str], bool]:
    """Opens a URL in the named browser, or in the system's (`BROWSER` is honoured). False: none could be opened.

    It is opened from a process of its own: nothing that a browser prints gets into our output. One that stays in
    the foreground for `patience` seconds counts as opened.
    """

    if name is None and not environment.get("BROWSER") and nearness.in_windows_linux(environment):
        for program, words in nearness.WINDOWS.items():
            if path := environment.program(program):
                return lambda url: _start([path, *words, url], environment, patience)

    # An empty name is the system's browser.
    commands = _COMMANDS[name] if name else ("",)

    # Our own interpreter, without site; no shell sees the URL.
    return lambda url: _start([sys.executable, "-I", "-S", "-c", _OPEN, url, *commands], environment, patience)


def _start(command: list[str], environment: Environment, patience: float) -> bool:
    process = subprocess.Popen(  # noqa: S603  # a program by its path, without a shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=_variables(environment),
        cwd=os.path.abspath(os.sep),  # where nothing of a tree is found
        start_new_session=True,
    )
    try:
        # explorer.exe ends with 1 when it has opened something.
        return process.wait(patience) == 0 or command[0].endswith("explorer.exe")
    except subprocess.TimeoutExpired:
        return True


def installed(environment: Environment) -> tuple[Name, ...]:
    """The browsers, by the names of ``--browser``, that have a program."""
    return tuple(name for name, commands in _COMMANDS.items() if environment.program(*commands))


def _variables(environment: Environment) -> dict[str, str]:
    """What the browser is given; a BROWSER that is a relative path would be a file of the current folder."""
    variables = environment.for_programs()
    commands = [each.strip() for each in variables.pop("BROWSER", "").split(os.pathsep)]
    safe = [each for each in commands if each and (os.path.isabs(each) or not os.path.dirname(each.split()[0]))]
    if safe:
        variables["BROWSER"] = os.pathsep.join(safe)
    return variables


class StandInBrowser:
    """Signs in through the emulator's pages, over HTTP, and brings the answer back as a person's browser would:
    by opening the callback, or, where nothing listens, by pasting its address. Used from many threads.

    `visit` walks the pages from an authorize URL to the redirect's address.
    """

    def __init__(self, visit: Callable[[str], str]) -> None:
        self._visit = visit
        self._take: Callable[[str | None], None] | None = None

    def open(self, url: str) -> bool:
        """Sign in, at once; raises what `visit` raises."""
        address = self._visit(url)
        if not (loopback(address) and self._show(address)) and self._take is not None:
            self._take(address)
        return True

    def _show(self, address: str) -> bool:
        """Open an address on this machine; False if nobody listens there."""
        # A proxy would look for this address on its own machine.
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Staying())
        try:
            with direct.open(address, timeout=10) as answer:
                if page := answer.headers["Location"]:
                    # As a browser does; on a thread of its own, for that page waits for the end of the login.
                    threading.Thread(target=_look, args=(urljoin(address, page),), daemon=True).start()
                return True
        except urllib.error.HTTPError:  # somebody listens, but for something else
            return False
        except urllib.error.URLError as error:
            if isinstance(error.reason, ConnectionRefusedError):
                return False
            raise

    @contextmanager
    def lines(self, take: Callable[[str | None], None]) -> Iterator[None]:
        """See `ecapipe.login.callbacks.LineReader`."""
        self._take = take
        try:
            yield
        finally:
            self._take = None


class _Staying(urllib.request.HTTPErrorProcessor):
    """Takes a redirect as it is."""

    def http_response(self, request: urllib.request.Request, response: Any) -> Any:
        return response if response.status == 303 else super().http_response(request, response)


def _look(address: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(address, timeout=20) as page:
            page.read()
    except OSError:
        # The run has ended without it.
        return
