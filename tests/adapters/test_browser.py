"""Browsers as programs that are really started, and the stand-in for a person."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import environment
from fakes.servers import Said, origin

from ecapipe.adapters import environment as variables
from ecapipe.adapters.network.browser import Name, StandInBrowser, opener
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import interrupted

URL = "https://acme.my.salesforce.com/authorize?a=b&c=%20d&e='\"$(touch sprung);`touch sprung`|f\\#x"

Browser = Callable[..., Path]


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """Makes the only browsers of this machine; each appends the address it is given to a file of its own."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "XDG_CURRENT_DESKTOP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def make(name: str, then: str = "") -> Path:
        script = tmp_path / name
        script.write_text(f"#!/bin/sh\nfor last; do :; done\nprintf '%s\\n' \"$last\" >> '{script}.opened'\n{then}\n")
        script.chmod(0o755)
        return script.with_name(f"{name}.opened")

    return make


def opened_by(name: Name | None) -> bool:
    return opener(name, variables.process())(URL)


def test_the_browser_of_the_environment_is_used(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = browser("mine")
    monkeypatch.setenv("BROWSER", str(tmp_path / "mine"))
    assert opened_by(None)
    assert opened.read_text() == f"{URL}\n"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("name", "command"),
    [("chrome", "google-chrome"), ("chrome", "chromium"), ("edge", "microsoft-edge"), ("firefox", "firefox")],
)
def test_a_named_browser_is_used(browser: Browser, name: Name, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":made-up")
    opened = browser(command)
    assert opened_by(name)
    until = time.monotonic() + 5
    while not opened.exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert opened.read_text() == f"{URL}\n"


def test_no_browser_is_no_success(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not opened_by(None)
    assert not opened_by("firefox")
    browser("mine", then="exit 1")
    monkeypatch.setenv("BROWSER", str(tmp_path / "mine"))
    assert not opened_by(None)


@pytest.mark.parametrize("path", [".", "", "bin", "{here}"])
@pytest.mark.parametrize("chosen", ["./firefox", "firefox", "bin/firefox %s"])
def test_no_browser_of_the_tree_is_used(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, chosen: str
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "bin").mkdir()
    opened = browser("firefox")
    (tmp_path / "bin/firefox").symlink_to(tmp_path / "firefox")
    monkeypatch.setenv("DISPLAY", ":made-up")
    monkeypatch.setenv("PATH", path.format(here=tmp_path) + ":/nowhere")
    monkeypatch.setenv("BROWSER", chosen)
    assert not opened_by("firefox")
    assert not opened_by(None)
    assert not opened.exists()


def asked(patience: float, **variables: str) -> str:
    """What a program prints and is told when it opens a browser; its own input is not empty."""
    program = (
        "from ecapipe.adapters.network import browser; from ecapipe.adapters import environment;"
        f"print(browser.opener(None, environment.process(), {patience})('https://example.com'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(Path.cwd(), **variables),
        input="typed",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return ended.stdout + ended.stderr


def test_what_a_browser_prints_and_reads_is_none_of_ours(browser: Browser, tmp_path: Path) -> None:
    browser("loud", then='echo loud; echo loud >&2; read -r line; printf "%s" "$line" > "$0.read"')
    assert asked(5, BROWSER=str(tmp_path / "loud")) == "True\n"
    assert (tmp_path / "loud.read").read_text() == ""


def test_a_browser_that_stays_open_is_not_waited_for(browser: Browser, tmp_path: Path) -> None:
    opened = browser("patient", then="exec sleep 15")
    start = time.monotonic()
    assert asked(0.5, BROWSER=str(tmp_path / "patient")) == "True\n"
    assert time.monotonic() - start < 10
    assert opened.read_text() == "https://example.com\n"


def test_the_stand_in_opens_a_callback_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with origin(lambda seen: Said(303 if "code" in seen.target else 200, b"", {"Location": "/done"})) as site:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert StandInBrowser(lambda url: site.url("/callback?code=made-up")).open(URL)
        # The page after it is looked at meanwhile.
        end = time.monotonic() + 10
        while len(site.seen) < 2 and time.monotonic() < end:
            time.sleep(0.01)
    assert [seen.target for seen in site.seen] == ["/callback?code=made-up", "/done"]


def test_the_stand_in_types_where_somebody_reads() -> None:
    heard: list[str | None] = []
    stand = StandInBrowser(lambda url: f"{url}&code=made-up")
    with stand.lines(heard.append):
        assert stand.open("https://example.com/?state=x")
    assert heard == ["https://example.com/?state=x&code=made-up"]


def test_the_stand_in_visits_no_other_machine() -> None:
    visited: list[str] = []

    def visit(url: str) -> str:
        visited.append(url)
        return "https://example.invalid/callback?code=made-up"

    assert StandInBrowser(visit).open(URL)
    assert visited == [URL]


def test_the_stand_in_fails_as_the_visit_does() -> None:
    def visit(url: str) -> str:
        raise EcapipeError(interrupted())

    with pytest.raises(EcapipeError):
        StandInBrowser(visit).open(URL)
