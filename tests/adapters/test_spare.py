"""Libraries without what they load for nobody."""

from __future__ import annotations

import subprocess
import sys

ALONE = """
import sys
from ecapipe.adapters.network import spare
spare.without_http_client()
import xmltodict
assert xmltodict.parse("<a>text</a>") == {"a": "text"}
assert "urllib.request" not in sys.modules
import urllib.request
assert urllib.request.urlopen("data:,text").read() == b"text"
spare.without_http_client()
assert urllib.request is sys.modules["urllib.request"]
"""


def test_xml_is_read_without_an_http_client_and_whoever_needs_it_still_gets_it() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", ALONE], check=True, timeout=30)
