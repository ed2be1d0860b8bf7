"""Asks an org what the emulator assumes of Salesforce, and prints what differs and what was open.

    python tests/live/check.py ORG --source-dir DIR --name APP

ORG is an alias or username of the Salesforce CLI; APP an external client app of the project in DIR that the org has.
Nothing in the org is changed. Ends with 1 if the org and the emulator differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from live import probes
from live.probes import Place

from ecapipe.adapters import composition, environment
from ecapipe.adapters.network import http
from ecapipe.cli.emulator import registered
from ecapipe.credentials import resolution
from ecapipe.credentials.resolution import Credentials
from ecapipe.credentials.sources import Scope
from ecapipe.emulator.registration import RegisteredApp
from ecapipe.emulator.server import Emulator
from ecapipe.oauth.flows.registry import allowed_flows
from ecapipe.orgs import selection
from ecapipe.problems.problem import EcapipeError
from ecapipe.project import discovery, metadata
from ecapipe.project.apps import App
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run.world import World
from ecapipe.secret import Secret

_NEWEST = "68.0"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="check.py", description=__doc__.partition("\n")[0])
    parser.add_argument("org", help="alias or username of the Salesforce CLI")
    parser.add_argument("--source-dir", default=".", help="the project")
    parser.add_argument("--name", required=True, help="an app that the org has")
    parser.add_argument("--no-retrieve", action="store_true", help="leave the metadata alone")
    given = parser.parse_args(arguments)
    try:
        lines, differ = checked(given.org, given.source_dir, given.name, retrieve=not given.no_retrieve)
    except EcapipeError as error:
        lines, differ = [error.problem.message, *error.problem.actions], True
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return int(differ)


def checked(name: str, source_dir: str, app_name: str, *, retrieve: bool) -> tuple[list[str], bool]:
    """The lines to print, and whether the org differs from the emulator."""
    world = composition.real_world(environment.process())
    where = ProjectSelection((source_dir,), (app_name,))
    (app,) = discovery.discover(where, world).apps
    outcome = resolution.resolve(app, None, world.chain(Scope([app])), allowed_flows).outcome
    if not isinstance(outcome, Credentials):
        raise EcapipeError(outcome)
    (known,) = registered(where, world)
    token, url = world.sf.access_token(name)
    allowed = [urlsplit(url).netloc] if urlsplit(url).hostname in ("localhost", "127.0.0.1") else []
    org = selection.choose(url, {}, allowed)  # nothing secret goes to any other host
    with ExitStack() as stack:
        real = stack.enter_context(httpx.Client(verify=http.tls_context(), timeout=30))
        local = stack.enter_context(httpx.Client(trust_env=False))
        emulator = stack.enter_context(Emulator([known]))
        tree = Path(stack.enter_context(tempfile.TemporaryDirectory())) if retrieve else None
        if tree is not None:
            _retrieve(tree, name, world)
        there = Place(org.url, real, app, outcome.consumer_key, outcome.consumer_secret, token)
        here = Place(
            emulator.urls["emulator"],
            local,
            app,
            known.consumer_key,
            known.consumer_secret,
            own_token(emulator, app, known),
        )
        said = probes.seen(there)
        differences = probes.compared(said, probes.seen(here))
        points = probes.open_points(there, tree, said)
    lines = [f"Asked {org.host} as {app.name}: {len(said)} questions, {len(differences)} answered differently."]
    lines += [f"differs  {difference}" for difference in differences]
    return [*lines, *(f"open     {point}" for point in points)], bool(differences)


def own_token(emulator: Emulator, app: App, known: RegisteredApp) -> Secret | None:
    """A token of the emulator's user: from a web login, if the app has a callback."""
    if not app.callback_urls:
        return None
    with httpx.Client(trust_env=False) as client:
        place = Place(emulator.urls["emulator"], client, app, known.consumer_key, known.consumer_secret, None)
        landed = emulator.visit(place.authorize_url())
        code = dict(httpx.URL(landed).params)["code"]
        answer = place.post(
            probes.TOKEN,
            grant_type="authorization_code",
            code=code,
            redirect_uri=app.callback_urls[0],
            code_verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            **place.pair,
        )
        return Secret(answer.json()["access_token"])


def _retrieve(tree: Path, name: str, world: World) -> None:
    """Fetch the settings of all apps into a project that is gone afterwards."""
    (tree / "force-app").mkdir()
    project = f'{{"packageDirectories": [{{"path": "force-app", "default": true}}], "sourceApiVersion": "{_NEWEST}"}}'
    (tree / "sfdx-project.json").write_text(project, encoding="utf-8")
    types = [metadata.SETTINGS.name, "ExtlClntAppOauthSecuritySettings"]
    world.sf.retrieve(str(tree), name, types, lambda _: None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
