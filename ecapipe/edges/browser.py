"""A browser: the person's own, or the emulator's stand-in for a person."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from ecapipe.apps import loopback

Name = Literal["chrome", "edge", "firefox"]

_COMMANDS: dict[Name, tuple[str, ...]] = {
    "chrome": ("google-chrome", "chrome", "chromium", "chromium-browser"),
    "edge": ("microsoft-edge", "msedge"),
    "firefox": ("firefox",),
}


def opener(name: Name | None) -> Callable[[str], bool]:
    """Opens a URL in the named browser, or in the system's (`BROWSER` is honoured). False: none could be opened."""

    def show(url: str) -> bool:
        import webbrowser

        for command in _COMMANDS[name] if name else (None,):
            try:
                if webbrowser.get(command).open(url):
                    return True
            except (webbrowser.Error, OSError):
                continue
        return False

    return show


class Stand:
    """Signs in through the emulator's pages, over HTTP, and brings the answer back as a person's browser would:
    by opening the callback, or, when nothing listens there, by pasting its address.

    `visit` walks the pages from an authorize URL to the redirect's address.
    """

    def __init__(self, visit: Callable[[str], str]) -> None:
        self._visit = visit
        self._take: Callable[[str | None], None] | None = None

    def open(self, url: str) -> bool:
        """Sign in, at once; raises what `visit` raises."""
        address = self._visit(url)
        if self._take is not None:
            self._take(address)
        elif loopback(address):
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(address, timeout=10):  # follows to the clean page, as a browser does
                pass
        return True

    @contextmanager
    def lines(self, take: Callable[[str | None], None]) -> Iterator[None]:
        """See `ecapipe.world.Lines`."""
        self._take = take
        try:
            yield
        finally:
            self._take = None
