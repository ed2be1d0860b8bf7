"""Puts a file in place: whole, or not at all."""

from __future__ import annotations

import os
from contextlib import suppress

from ecapipe import problems
from ecapipe.problems import EcapipeError


def write(path: str, content: bytes) -> None:
    """See `ecapipe.world.World.write`. A link stays a link: what it leads to is written."""
    place = os.path.realpath(path)
    # In the same folder, so that the last step only renames.
    temporary = os.path.join(os.path.dirname(place), f".{os.path.basename(place)}.{os.urandom(4).hex()}")
    try:
        try:
            with open(temporary, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, place)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    except OSError as error:
        raise EcapipeError(problems.unwritable_file(path, error.strerror or "unknown reason")) from None
