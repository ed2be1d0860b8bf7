"""Where a browser can be: one judgement for logins and for the doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.network import browser, nearness


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


def program(tools: Path, name: str, script: str = "exit 0") -> None:
    file = tools / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("variables", "found", "obstacle"),
    [
        ({}, "chromium", "there is no display"),
        ({"DISPLAY": ":0"}, "chromium", None),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "xdg-open", None),
        ({"DISPLAY": ":0"}, "git", "there is no browser on the PATH"),
        ({"BROWSER": "opener %s"}, "opener", None),
        ({"BROWSER": "opener", "DISPLAY": ":0"}, "chromium", "the program that BROWSER specifies was not found"),
        ({"WSL_DISTRO_NAME": "Ubuntu"}, "rundll32.exe", None),
        ({"WSL_DISTRO_NAME": "Ubuntu"}, "chromium", "there is no display"),
    ],
)
def test_what_keeps_a_browser_from_being_opened(
    tools: Path, variables: dict[str, str], found: str, obstacle: str | None
) -> None:
    program(tools, found)
    assert nearness.obstacle(Environment({"PATH": str(tools), **variables})) == obstacle


@pytest.mark.parametrize("variable", ["CODESPACES", "REMOTE_CONTAINERS", "GITPOD_WORKSPACE_ID", "SF_CONTAINER_MODE"])
def test_a_container_is_a_reason_to_ask_for_the_address_as_well(tools: Path, variable: str) -> None:
    program(tools, "xdg-open")
    assert nearness.doubt(Environment({"PATH": str(tools), "DISPLAY": ":0", variable: "1"})) == f"{variable} is set"


def test_in_the_linux_of_windows_the_browser_of_windows_is_opened(tools: Path, tmp_path: Path) -> None:
    program(tools, "explorer.exe", f'echo "$@" > {tmp_path}/opened; exit 1')
    environment = Environment({"PATH": f"{tools}:/usr/bin:/bin", "WSL_INTEROP": "/run/WSL/1_interop"})
    assert browser.opener(None, environment)("http://127.0.0.1:1/x")
    assert (tmp_path / "opened").read_text() == "http://127.0.0.1:1/x\n"
