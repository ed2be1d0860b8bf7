"""Environment variables: what they choose, and the credentials they carry."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from ecapipe import variables
from ecapipe.problems import EcapipeError, unreadable_file, usage_error
from ecapipe.secret import Secret

_OWN = "ECAPIPE_"
_TWIN = "_FILE"
_LARGEST = 64 * 1024


class Environment:
    """The variables as they were at the start. Those of the process itself are never changed.

    Every child process is given an environment of its own, `inherited` or `listed`. What may hold a credential is in
    neither: ecapipe's own variables, those that a project or an org file names, and the ``…_FILE`` of each.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values: Mapping[str, str] = dict(environ)
        self._known = frozenset(each for name in self._values for each in (name, name.removesuffix(_TWIN)))
        self._taken: set[str] = set()

    def get(self, name: str) -> str | None:
        """The value of `name`; None when it is unset or empty."""
        return self._values.get(name) or None

    def take(self, name: str) -> str | None:
        """The value of a variable that a project or an org file names; no child process inherits it from now on.

        None for a reserved one, which stays what it is for everybody.
        """
        if variables.reserved(name):
            return None
        self._taken.add(name.upper())
        return self._values.get(name)

    def inherited(self) -> dict[str, str]:
        """What programs of the user's are given: the variables, without what may hold a credential."""
        return {name: value for name, value in self._values.items() if not self._withheld(name.upper())}

    def listed(self) -> dict[str, str]:
        """What git is given, whatever any project says: what it needs to know of machine and user."""
        return {name: value for name, value in self._values.items() if variables.of_git(name)}

    def program(self, *names: str) -> str | None:
        """The first program that is called so; only absolute folders of PATH are searched, never the current one."""
        for folder in (self.get("PATH") or "").split(os.pathsep):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isabs(path) and os.path.isfile(path) and os.access(path, os.X_OK):
                    return path
        return None

    def credential(self, name: str) -> Secret | None:
        """The value of `name`, else the content of the file that ``name_FILE`` names, without surrounding space.

        No child process inherits them from now on; a reserved name has no value. Raises `EcapipeError`
        (UnreadableFile).
        """
        if name not in self._known:  # thousands of apps ask, and mostly in vain
            return None
        if variables.reserved(name):
            return None
        self._taken.add(name.upper())
        if value := (self.get(name) or "").strip():
            if not value.isprintable():  # bytes that are no text, or a line break in the middle
                raise EcapipeError(usage_error(f"{name} does not hold plain text.", "ecapipe run"))
            return Secret(value)
        path = self.get(name + _TWIN)
        if path is None or variables.reserved(name + _TWIN):  # SSL_CERT has a twin that is no twin
            return None
        try:
            with open(path, encoding="utf-8-sig") as file:
                content = file.read(_LARGEST).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            # By name: what stands in the variable may be the secret itself, put there by mistake.
            problem = unreadable_file(f"the file that {name}_FILE names", reason)
            raise EcapipeError(replace(problem, file=None)) from None
        return Secret(content) if content else None

    def _withheld(self, name: str) -> bool:
        if variables.reserved(name):
            return False
        return name.startswith(_OWN) or name in self._taken or name.removesuffix(_TWIN) in self._taken

    def is_ci(self) -> bool:
        """The test of `sf`: CI, CONTINUOUS_INTEGRATION or any CI_* variable, unless CI says no."""
        if (self._values.get("CI") or "").lower() in ("0", "false"):
            return False
        names = self._values.keys()
        return bool(
            self.get("CI") or self.get("CONTINUOUS_INTEGRATION") or any(name.startswith("CI_") for name in names)
        )


def process() -> Environment:
    """The environment of this process."""
    return Environment(os.environ)
