"""Send reports of ``--report bitbucket=FILE`` to Code Insights: ``python3 -I .github/send_insights.py FILE…``.

To be run in Bitbucket Pipelines, whose proxy signs what is sent to the API: no token is needed, nor given.
"""

import json
import os
import sys
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

AT_ONCE = 100
"""Annotations that one request may hold."""


def main(*files: str) -> int:
    """Replace the commit's reports of the same title; an `HTTPError` ends it."""
    proxy = os.environ.get("BITBUCKET_API_PROXY", "http://localhost:29418")
    opener = build_opener(ProxyHandler({"http": proxy}))
    repository, commit = os.environ["BITBUCKET_REPO_FULL_NAME"], os.environ["BITBUCKET_COMMIT"]
    reports = f"http://api.bitbucket.org/2.0/repositories/{repository}/commit/{commit}/reports"

    def send(method: str, url: str, document: object = None) -> None:
        body = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(url, body, headers, method=method)  # noqa: S310  # it is http, of one host
        opener.open(request, timeout=60).close()

    for file in files:
        insights = json.loads(Path(file).read_text(encoding="utf-8"))
        url = f"{reports}/{insights['report']['title'].replace(' ', '-')}"
        send("DELETE", url)  # with the annotations that an earlier run of this commit has left
        send("PUT", url, insights["report"])
        annotations = insights["annotations"]
        for start in range(0, len(annotations), AT_ONCE):
            send("POST", f"{url}/annotations", annotations[start : start + AT_ONCE])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if sys.argv[1:] else __doc__)
