"""What libraries load without need, spared."""

from __future__ import annotations

import sys
from types import ModuleType

_CLIENT = "urllib.request"


def http_client() -> None:
    """Load xml.sax, which xmltodict is made of, without the HTTP client that one function of it would read URLs with.

    That is more than half of its import. Whoever needs the client later still gets it: nothing is left in its place.
    """
    if _CLIENT not in sys.modules:
        sys.modules[_CLIENT] = ModuleType(_CLIENT)
        try:
            import xml.sax.saxutils  # noqa: F401
        finally:
            del sys.modules[_CLIENT]
