"""The program as a process of its own, in a clean environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ECAPIPE = (sys.executable, "-m", "ecapipe")


def environment(home: Path, **more: str) -> Mapping[str, str]:
    """What the process inherits: nothing of the CI system or the user that these tests run under."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONUTF8": "1", **more}


def ecapipe(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in `folder`."""
    return subprocess.run(
        [*ECAPIPE, *arguments],
        cwd=folder,
        env=environment(folder, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
