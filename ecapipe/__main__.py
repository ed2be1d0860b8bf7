"""``python -m ecapipe``, and the console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process."""
    from ecapipe.cli.main import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
