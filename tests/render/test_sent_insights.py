"""What ``.github/send_insights.py`` sends to Bitbucket, by way of a stand-in for the proxy of its pipelines."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from render import accounts

from ecapipe.render.reports import FORMATS

SCRIPT = Path(__file__).parents[2] / ".github/send_insights.py"
REPORTS = "http://api.bitbucket.org/2.0/repositories/acme/apps/commit/0000fake/reports"


@dataclass
class Api:
    """Bitbucket's API behind the proxy of a pipeline: what it was sent, in order."""

    proxy: str
    sent: list[tuple[str, str, Any]] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        names = {"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_REPO_FULL_NAME": "acme/apps"}
        return {**names, "BITBUCKET_COMMIT": "0000fake", "BITBUCKET_API_PROXY": self.proxy}


@pytest.fixture
def api() -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.sent.append((self.command, self.path, json.loads(body) if body else None))
            self.send_response(204 if self.command == "DELETE" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_DELETE = do_PUT = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Api(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def test_a_report_replaces_the_one_before_and_annotations_come_a_hundred_at_a_time(api: Api, tmp_path: Path) -> None:
    findings = [accounts.finding(line=line) for line in range(1, 251)]
    text = FORMATS["bitbucket"](accounts.check([accounts.app("Billing")], findings))
    (tmp_path / "a.json").write_text(text)
    command = [sys.executable, "-I", str(SCRIPT), "a.json"]
    done = subprocess.run(command, cwd=tmp_path, env=api.variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    insights, url = json.loads(text), f"{REPORTS}/ecapipe-app-check"
    assert api.sent[:2] == [("DELETE", url, None), ("PUT", url, insights["report"])]
    assert {each[:2] for each in api.sent[2:]} == {("POST", f"{url}/annotations")}
    assert [len(each[2]) for each in api.sent[2:]] == [100, 100, 50]
    assert [one for each in api.sent[2:] for one in each[2]] == insights["annotations"]
