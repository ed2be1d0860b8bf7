"""What a login leaves behind where nobody looks: tracebacks with all their values, dry runs, temporary files."""

from __future__ import annotations

import traceback
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import trees
from commandline import ecapipe, inside, on_terminal
from fakes.orgs import emulated

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.network.browser import StandInBrowser
from ecapipe.adapters.network.http import Http
from ecapipe.documents.report import Report
from ecapipe.emulator.server import Emulator
from ecapipe.login.options import LoginOptions
from ecapipe.oauth.messages import Request as Sent
from ecapipe.oauth.messages import Response
from ecapipe.orgs.selection import OrgSelection
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run import pipeline
from ecapipe.run.pipeline import RunRequest

PART = 8
"""So many characters of a secret count as the secret."""

PLACES = ("/services/oauth2/token", "/services/oauth2/userinfo", "/services/data/v60.0/")


@pytest.fixture(scope="module")
def emulator(project: Path) -> Iterator[Emulator]:
    with emulated(project, ("emulator",)) as running:
        yield running


def parts(*secrets: str) -> set[str]:
    """Every part of `secrets` that counts, in plain, in a URL and in base64."""
    forms = {
        form
        for secret in secrets
        for form in (
            secret,
            quote(secret, safe=""),
            *(b64encode(b" " * lead + secret.encode()).decode()[4:-4] for lead in range(3)),
        )
    }
    return {form[at : at + PART] for form in forms for at in range(len(form) - PART + 1)}


def heard(said: str, *secrets: str) -> set[str]:
    known = parts(*secrets)
    return {said[at : at + PART] for at in range(len(said) - PART + 1)} & known


@pytest.mark.parametrize("flow", ["web", "client-credentials"])
@pytest.mark.parametrize("place", PLACES)
def test_a_bug_in_the_middle_of_a_login_shows_no_secret_with_all_its_values(
    project: Path, emulator: Emulator, place: str, flow: str
) -> None:
    http, secrets, stacks = Http(), [trees.secret("Billing")], list[traceback.StackSummary]()

    def send(request: Sent) -> Response:
        if request.form is not None:
            sent = parse_qs(request.form.reveal())
            secrets.extend(sent[name][0] for name in ("code", "code_verifier") if name in sent)
        if request.bearer is not None:
            secrets.append(request.bearer.reveal().partition("!")[2])
        if urlsplit(request.url).path == place:
            frames = [frame for frame in traceback.walk_stack(None) if "/ecapipe/" in frame[0].f_code.co_filename]
            stacks.append(traceback.StackSummary.extract(iter(frames), capture_locals=True))
            raise ZeroDivisionError
        return http(request)

    stand = StandInBrowser(emulator.visit)
    world = replace(
        composition.real_world(Environment({})), send=send, open=stand.open, lines=stand.lines, person=True
    )
    org = f"uat={emulator.urls['emulator']}"
    report = Report()
    with closing(http):
        pipeline.run(
            RunRequest(ProjectSelection((str(project),)), OrgSelection((org,)), LoginOptions(flow=flow)),
            world,
            report,
        )
    (stack,) = stacks
    assert len(stack) > 3
    assert report.status == 3
    assert len(set(secrets)) == 1 + 2 * (flow == "web") + (place != PLACES[0])
    assert heard("".join(stack.format()), *secrets) == set()


@pytest.mark.parametrize("flow", ["web", "client-credentials"])
@pytest.mark.parametrize("form", [("--json",), ("--verbose",), ("--concise",)])
def test_a_dry_run_tells_no_secret_and_asks_no_org(
    project: Path, emulator: Emulator, tmp_path: Path, form: tuple[str, ...], flow: str
) -> None:
    before = emulator.requests
    command = (
        "run",
        "-d",
        str(project),
        "-o",
        f"uat={emulator.urls['emulator']}",
        "--dry-run",
        "--flow",
        flow,
        *form,
    )
    quiet = {"ECAPIPE_LOG_LEVEL": "trace", "ECAPIPE_CLIENT_ID": trees.key("Billing")}
    web = ("--callback", "paste") if flow == "web" else ()
    ended = inside(*command, *web, at=tmp_path, **quiet)
    assert ended.status == 0, ended
    assert "dry run" in (ended.out + ended.err).lower()
    assert heard(ended.out + ended.err, trees.secret("Billing")) == set()
    assert emulator.requests == before


def test_a_dry_run_on_a_terminal_tells_no_secret(project: Path, emulator: Emulator, tmp_path: Path) -> None:
    command = ("run", "-d", str(project), "-o", f"uat={emulator.urls['emulator']}", "--dry-run")
    with on_terminal(*command, at=tmp_path) as screen:
        ended = screen.end()
    assert ended.status == 0, ended
    assert heard(ended.out, trees.secret("Billing")) == set()


def test_a_run_leaves_no_temporary_file(project: Path, tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    command = ("run", "-d", str(project), "--emulator", "--json")
    ended = ecapipe(*command, at=home, TMPDIR=str(temporary), ECAPIPE_CLIENT_SECRET=trees.secret("Billing"))
    assert ended.status == 0, ended
    assert list(temporary.rglob("*")) == []
    files = [path.read_text(errors="replace") for path in home.rglob("*") if path.is_file()]
    assert heard("".join(files), trees.secret("Billing")) == set()
