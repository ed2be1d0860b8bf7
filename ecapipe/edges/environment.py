"""Environment variables: what they choose, and the credentials they carry."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import replace

from ecapipe.problems import EcapipeError, unreadable_file, usage_error
from ecapipe.secret import Secret

_CREDENTIALS = ("ECAPIPE_CLIENT_ID", "ECAPIPE_CLIENT_SECRET", "ECAPIPE_JWT_KEY")
_LARGEST = 64 * 1024


class Environment:
    """The variables as they were at the start.

    Making one takes the credentials out of `environ`, so that no child process can inherit them.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._environ = environ
        self._values: Mapping[str, str] = dict(environ)
        self._known = frozenset(name.removesuffix("_FILE") for name in self._values)
        for name in self._values:
            if name.startswith(_CREDENTIALS):
                del environ[name]

    def get(self, name: str) -> str | None:
        """The value of `name`; None when it is unset or empty."""
        return self._values.get(name) or None

    def take(self, name: str) -> str | None:
        """The value of a variable that may hold a credential; no child process inherits it from now on."""
        self._environ.pop(name, None)
        return self._values.get(name)

    def inherited(self) -> dict[str, str]:
        """What a child process is given: what is left of the variables, without ecapipe's own."""
        return {name: value for name, value in self._environ.items() if not name.startswith("ECAPIPE_")}

    def credential(self, name: str) -> Secret | None:
        """The value of `name`, else the content of the file that ``name_FILE`` names, without surrounding space.

        No child process inherits it from now on. Raises `EcapipeError` (UnreadableFile).
        """
        if name not in self._known:  # thousands of apps ask, and mostly in vain
            return None
        self._environ.pop(name, None)
        if value := (self.get(name) or "").strip():
            if not value.isprintable():  # bytes that are no text, or a line break in the middle
                raise EcapipeError(usage_error(f"{name} does not hold plain text.", "ecapipe run"))
            return Secret(value)
        path = self.get(f"{name}_FILE")
        if path is None:
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
