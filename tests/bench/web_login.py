"""One web login, from start to exit, without the person, against ``sf org login web``.

The org answers at once, too, over TLS. The Salesforce CLI needs port 1717.

Repeat it with: tests/interop/setup && .venv/bin/python tests/bench/web_login.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import peer
from forest import listener
from measure import ECAPIPE, QUIET, SF, Program, least, milliseconds, tell

ROUNDS = 5

PERSON = 0.5
"""Seconds from an open page to the answer. The Salesforce CLI misses one that comes before it listens."""

BROWSER = """#!{python} -IS
import os, sys, time
if os.fork() == 0:
    os.setsid()
    begun = time.monotonic()
    import ssl, urllib.request
    time.sleep(max(0, {person} - time.monotonic() + begun))
    trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile={ca_file!r}))
    handlers = urllib.request.ProxyHandler({{}}), urllib.request.HTTPCookieProcessor(), trust
    urllib.request.build_opener(*handlers).open(sys.argv[1]).read()
"""


def main() -> None:
    with TemporaryDirectory() as folder, peer.listening() as org:
        root = listener(Path(folder, "project"))
        browser = Path(folder, "browser")
        browser.write_text(BROWSER.format(python=sys.executable, person=PERSON, ca_file=org.ca_file))
        browser.chmod(0o700)
        opened = {"BROWSER": str(browser), "SSH_CONNECTION": "", "SF_USE_GENERIC_UNIX_KEYCHAIN": "true"}
        run = (ECAPIPE, "run", "--callback", "listen", "--json", "--target-org", f"uat={org.url}")
        login = (SF, "org", "login", "web", "--instance-url", org.url, "--json")
        state = {"ECAPIPE_STATE_DIR": str(Path(folder, "state"))}
        home = {"HOME": folder, "NODE_EXTRA_CA_CERTS": org.ca_file}
        cost = least(
            ROUNDS,
            run=Program(run, root, {**opened, **state, "SSL_CERT_FILE": org.ca_file}),
            sf=Program(login, root, {**opened, **QUIET, **home}),
        )
    ours, theirs = cost["run"].seconds - PERSON, cost["sf"].seconds - PERSON
    worked = f"processor time {cost['run'].processor / cost['sf'].processor:.2f} ×"
    times = f"with {PERSON} s for the person: {milliseconds(**cost)}; {worked}"
    tell("run / sf org login web", ours / theirs, 0.3, detail=times)


if __name__ == "__main__":
    main()
