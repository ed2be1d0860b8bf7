"""The Salesforce CLI as tests/interop/setup installs it, with a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interop import installed
from interop.program import environment


@dataclass(frozen=True)
class Sf:
    """Runs it, and ecapipe beside it. It keeps its key in its home, and tells nobody of anything."""

    home: Path
    more: dict[str, str]

    @property
    def env(self) -> dict[str, str]:
        return environment(
            self.home,
            PATH=os.pathsep.join([str(installed.node().parent), str(installed.PROGRAMS), os.environ["PATH"]]),
            SF_DISABLE_TELEMETRY="true",
            SF_AUTOUPDATE_DISABLE="true",
            SF_DISABLE_AUTOUPDATE="true",
            SF_SKIP_NEW_VERSION_CHECK="true",
            ECAPIPE_STATE_DIR=str(self.home / "state"),
            SF_USE_GENERIC_UNIX_KEYCHAIN="true",
            **self.more,
        )

    def __call__(self, folder: Path, *arguments: str | Path) -> dict[str, Any]:
        """Its JSON."""
        command = ["sf", *map(str, arguments), "--json"]
        done = subprocess.run(command, cwd=folder, env=self.env, capture_output=True, text=True, timeout=100)
        return dict(json.loads(done.stdout))
