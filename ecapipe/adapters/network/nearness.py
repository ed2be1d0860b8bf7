"""Whether a browser that is opened from here can be on this machine: one judgement, for logins and for the doctor."""

from __future__ import annotations

import os
import sys
from typing import Final

from ecapipe.adapters.environment import Environment

_ELSEWHERE: Final = ("CODESPACES", "REMOTE_CONTAINERS", "GITPOD_WORKSPACE_ID", "SF_CONTAINER_MODE")
"""Set where this runs in a container, and the browser mostly elsewhere."""
_BROWSERS: Final = (
    "xdg-open", "gio", "gvfs-open", "x-www-browser", "firefox", "firefox-esr", "google-chrome", "chrome", "chromium",
    "chromium-browser", "microsoft-edge", "opera", "epiphany",
)  # fmt: skip
"""What webbrowser starts on a display."""
WINDOWS: Final = {
    "wslview": (),
    "rundll32.exe": ("url.dll,FileProtocolHandler",),
    "explorer.exe": (),
    "powershell.exe": ("-NoProfile", "-Command", "Start-Process"),
}
"""Programs that open an address in the browser of Windows from its Linux, with what goes before the address."""


def in_windows_linux(environment: Environment) -> bool:
    """Whether this is the Linux of Windows (WSL)."""
    return bool(environment.get("WSL_DISTRO_NAME") or environment.get("WSL_INTEROP"))


def obstacle(environment: Environment) -> str | None:
    """Why no browser can be opened here."""
    if chosen := environment.get("BROWSER"):
        program = chosen.split(os.pathsep)[0].split(" ")[0]
        return (
            None
            if environment.program(program) or os.path.isabs(program)
            else "the program that BROWSER specifies was not found"
        )
    windows = in_windows_linux(environment) and environment.program(*WINDOWS)
    if windows or sys.platform in ("win32", "darwin"):
        return None
    if not environment.get("DISPLAY") and not environment.get("WAYLAND_DISPLAY"):
        return "there is no display"
    return None if environment.program(*_BROWSERS) else "there is no browser on the PATH"


def doubt(environment: Environment) -> str | None:
    """Why an answer may not reach this machine."""
    if variable := next(filter(environment.get, _ELSEWHERE), None):
        return f"{variable} is set"
    if os.path.exists("/.dockerenv"):
        return "this is a container"
    return obstacle(environment)
