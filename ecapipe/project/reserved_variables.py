"""Environment variables that programs need: no tree can take them for a credential."""

from __future__ import annotations

from typing import Final

_NAMES: Final = frozenset(
    # the user, the folders, and the machine
    "PATH PATHEXT HOME HOMEDRIVE HOMEPATH USER USERNAME USERDOMAIN LOGNAME SHELL PWD USERPROFILE APPDATA "
    "LOCALAPPDATA PROGRAMDATA ALLUSERSPROFILE SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC COMPUTERNAME "
    "TEMP TMP TMPDIR LANG LANGUAGE TZ TERM CI "
    # the way to orgs
    "SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE "
    # the way to a person's screen
    "DISPLAY WAYLAND_DISPLAY XAUTHORITY".split()
)
_PREFIXES: Final = ("LC_", "XDG_", "GIT_", "SSH_", "DBUS_", "LD_", "DYLD_", "WSL", "PROGRAMFILES", "COMMONPROGRAM")
_PROXY: Final = "_PROXY"
"""The end of HTTPS_PROXY, NO_PROXY and the like: programs look for one of each scheme."""
# Needed by `sf`, or by what opens a browser. git does without them, and tokens may be among them.
_NAMES_OF_SOME: Final = frozenset({"BROWSER"})
_PREFIXES_OF_SOME: Final = ("SF_", "SFDX_", "NODE_", "PYTHON")


def of_git(name: str) -> bool:
    """Whether git is given the variable, if the user has set it."""
    name = name.upper()
    return name in _NAMES or name.startswith(_PREFIXES) or name.endswith(_PROXY)


def reserved(name: str) -> bool:
    """Whether some program needs the variable."""
    # Upper and lower case are one: they are on Windows, and for proxies.
    name = name.upper()
    return of_git(name) or name in _NAMES_OF_SOME or name.startswith(_PREFIXES_OF_SOME)
