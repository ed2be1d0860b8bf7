"""``ecapipe emulator start`` and ``ecapipe run``: two programs, and a person with a password between them."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from commandline import started
from fakes.scene import project
from loopback import free_port, listens

from ecapipe.emulator.visitor import visit


def test_one_signs_in_with_what_the_emulator_prints(tmp_path: Path) -> None:
    root = str(project(tmp_path / "project", free_port()))
    port = free_port()
    emulator = ("emulator", "start", "-d", root, "--port", str(port), "--org", "uat", "--json")
    with started(*emulator, at=tmp_path) as org:
        org.line("}", "out")
        (known,) = json.loads(org.said)["result"]["orgs"]
        assert known["url"] == f"http://localhost:{port}"
        assert known["apps"] == ["Batch", "Listener", "Paster", "Robot"]
        login = ("run", "-d", root, "-n", "Paster", "-o", f"uat={known['url']}", "--callback", "paste", "-b", "none")
        with started(*login, "--json", at=tmp_path) as run:
            run.type(visit(run.line(known["url"]), known["username"], known["password"], None))
            ended = run.end()
        assert [success["username"] for success in ended.result["successes"]] == [known["username"]]
        org.interrupt(signal.SIGTERM)
        stopped = org.end()
    assert (stopped.status, stopped.err) == (130, "")
    assert json.loads(stopped.out)["status"] == 0, "one document, whatever ended it"
    assert not listens("127.0.0.1", port)
