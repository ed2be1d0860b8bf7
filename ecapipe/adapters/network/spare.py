"""Imports of libraries that cost more than they bring, and how they are left out."""

from __future__ import annotations

import sys
from types import ModuleType

_HTTP_CLIENT = "urllib.request"


def without_http_client() -> None:
    """Load xml.sax, which xmltodict is made of, without the HTTP client that one function of it would read URLs with.

    Whoever needs the client later still gets it: nothing is left in its place.
    """
    # xml.sax.saxutils imports urllib.request, and with it http.client, email and ssl, for prepare_input_source, which
    # xmltodict never calls. Measured (python -X importtime, CPython 3.11, five runs): 24 to 33 ms of the 25 to 35
    # that xml.sax.saxutils takes; ecapipe app list ends 27 ms earlier (282 instead of 309, medians of 15 runs).
    # `import a.b` is satisfied by what sys.modules holds under "a.b", so an empty module stands in for the moment.
    # It is safe because it is done before the first thread starts, and because nothing but saxutils gets to see it.
    if _HTTP_CLIENT in sys.modules:
        return
    sys.modules[_HTTP_CLIENT] = ModuleType(_HTTP_CLIENT)
    try:
        import xml.sax.saxutils  # noqa: F401
    finally:
        del sys.modules[_HTTP_CLIENT]
