"""One login with client credentials, from start to exit, while the org runs elsewhere.

Held against the time that the org takes to answer the same three requests of a client that is ready, and, with a
TLS org that answers at once, against ``sf org login sfdx-url``.

Repeat it with: tests/interop/setup && .venv/bin/python tests/bench/client_credentials_run.py
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode, urlsplit

import peer
from forest import robot, trees
from measure import ECAPIPE, QUIET, SF, Call, Program, compare, least, milliseconds, tell

ROUNDS = 10


@contextmanager
def emulator(root: Path) -> Iterator[str]:
    """The address of an org in a process of its own that knows the project's apps."""
    words = (ECAPIPE, "emulator", "start", "--source-dir", str(root), "--port", "0", "--json")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        text = "".join(iter(running.stdout.readline, "}\n")) + "}"  # the document ends with a line of its own
        yield str(json.loads(text)["result"]["orgs"][0]["url"])
        running.terminate()


def ask(url: str) -> None:
    """What a run sends, by a client that has nothing else to do."""
    connection = HTTPConnection("127.0.0.1", urlsplit(url).port)
    form = {"client_id": trees.key("Robot"), "client_secret": trees.secret("Robot")}
    body = urlencode({**form, "grant_type": "client_credentials"})
    connection.request("POST", "/services/oauth2/token", body, {"Content-Type": "application/x-www-form-urlencoded"})
    token = json.loads(connection.getresponse().read())["access_token"]
    for path in ("/services/oauth2/userinfo", "/services/data/v60.0/"):
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        connection.getresponse().read()
    connection.close()


def main() -> None:
    with TemporaryDirectory() as folder:
        root = robot(Path(folder, "project"))
        run = (ECAPIPE, "run", "--flow", "client-credentials", "--json", "--target-org")
        state = {"ECAPIPE_STATE_DIR": str(Path(folder, "state"))}
        with emulator(root) as url:
            cost = least(ROUNDS, run=Program((*run, f"uat={url}"), root, state), org=Call(lambda: ask(url)))
        tell("run above the org's time", cost["run"].seconds - cost["org"].seconds, 0.35, "s", milliseconds(**cost))
        with peer.listening() as org:
            link = Path(folder, "link")
            link.write_text(f"force://PlatformCLI::FAKEREFRESH@{urlsplit(org.url).netloc}")
            login = (SF, "org", "login", "sfdx-url", "--sfdx-url-file", str(link), "--json")
            home = {"HOME": folder, "NODE_EXTRA_CA_CERTS": org.ca_file, "SF_USE_GENERIC_UNIX_KEYCHAIN": "true"}
            cost = least(
                3,
                run=Program((*run, f"uat={org.url}"), root, {**state, "SSL_CERT_FILE": org.ca_file}),
                sf=Program(login, root, {**QUIET, **home}),
            )
        compare("run / sf org login sfdx-url", cost["run"], cost["sf"], 0.3)


if __name__ == "__main__":
    main()
