"""Install the ecapipe of this checkout into an environment of its own: ``python3 -I .github/install.py FOLDER``.

What ecapipe needs comes in the versions and with the hashes of ``.github/lock``; anything else is refused. With
``--extras`` after the folder, so does what the keyring (``run --save``) and ``emulator start --tls`` need.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(folder: str, *options: str) -> int:
    """Make the environment, or bring it up to date; the exit status."""
    programs = Path(folder).resolve() / ("Scripts" if os.name == "nt" else "bin")
    lock = HERE / "lock" / ("extras.txt" if "--extras" in options else "ecapipe.txt")
    # -I: no module is taken from the folder that this is run in, nor from PYTHONPATH.
    python = str(programs / "python")
    pip = [python, "-I", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    for command in (
        [sys.executable, "-I", "-m", "venv", folder],
        [*pip, "--require-hashes", "--only-binary", ":all:", "--requirement", str(lock)],
        [*pip, "--force-reinstall", "--no-deps", "--no-index", "--no-build-isolation", str(HERE.parent)],
    ):
        status = subprocess.run(command, check=False).returncode
        if status:
            return status
    print(programs / "ecapipe")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if sys.argv[1:] else __doc__)
