"""Files of the Salesforce CLI that are read without starting it: aliases, configuration, the version of sfdx-core."""

from __future__ import annotations

import json
import os
import re
from typing import Final

from ecapipe.adapters import reading
from ecapipe.adapters.environment import Environment
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.salesforce_cli import sf_config_unreadable

_LARGEST: Final = 1024 * 1024
_LONGEST_NAME: Final = 200


def aliases(environment: Environment) -> dict[str, str]:
    """Usernames by alias, from the file the Salesforce CLI keeps them in; empty where that cannot be read.

    For suggestions and names that are taken: the file is the Salesforce CLI's own affair, and `Sf.logins` asks it.
    """
    home = environment.get("USERPROFILE" if os.name == "nt" else "HOME") or os.path.expanduser("~")
    try:
        usernames = json.loads(reading.read(os.path.join(home, ".sfdx", "alias.json"), _LARGEST))["orgs"]
        return {str(alias): str(username) for alias, username in usernames.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def config_value(path: str, member: str) -> str | None:
    """A member of a configuration file; None if it is not set, or there is no file.

    Raises `EcapipeError` (SfConfigUnreadable).
    """
    try:
        data = reading.read(path, _LARGEST)
        if len(data) > _LARGEST:
            raise _unreadable(path, "it is larger than 1 MiB")
        config = json.loads(data or b"{}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or "it cannot be read") from None
    except (ValueError, RecursionError):
        raise _unreadable(path, "it is not valid JSON") from None
    if not isinstance(config, dict):
        raise _unreadable(path, "it is not a JSON object")
    value = config.get(member)
    if value is None or value == "":
        return None
    # The name goes into arguments and messages: control characters would be read by a terminal.
    if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST_NAME:
        raise _unreadable(path, f"{member} is not a valid name")
    return value


def _unreadable(path: str, reason: str) -> EcapipeError:
    return EcapipeError(sf_config_unreadable(path, reason))


def core_version(root: str) -> str | None:
    """The lowest version of sfdx-core below the folder that the Salesforce CLI runs from, or beside it.

    Any plugin may refresh a token, and may have a core of its own.
    """
    folder = root
    while os.path.isabs(folder):
        versions = [version for place in _core_folders(folder) if (version := _package_version(place))]
        if versions:
            return min(versions, key=lambda version: [int(part) for part in version.split(".")])
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        # npm puts what a package needs beside it, too, in the node_modules of a folder above.
        folder = parent
    return None


def _core_folders(folder: str) -> list[str]:
    """The folders of sfdx-core that there may be: the program's own, and that of each plugin."""
    scope = os.path.join(folder, "node_modules", "@salesforce")
    if not os.path.isdir(scope):
        return []
    plugins = [name for name in os.listdir(scope) if name.startswith("plugin-")]
    nested = [os.path.join(scope, name, "node_modules", "@salesforce", "core") for name in plugins]
    return [os.path.join(scope, "core"), *nested]


def _package_version(folder: str) -> str | None:
    try:
        version = json.loads(reading.read(os.path.join(folder, "package.json"), _LARGEST)).get("version")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    match = re.match(r"\d+\.\d+\.\d+", version) if isinstance(version, str) else None
    return match and match[0]
