"""An app that is to be rotated, its org, a Salesforce CLI that is logged in there, and a program that it is delivered
to, which records what it got."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import trees
from commandline import Ended, inside
from fakes.orgs import registered
from fakes.salesforce_cli import StandIn, login
from loopback import Reply, request

from ecapipe.adapters import composition, rotation_tools
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.network.http import Http
from ecapipe.documents.report import Report
from ecapipe.emulator.faults import Fault
from ecapipe.emulator.registration import OrgSetup, RegisteredApp
from ecapipe.emulator.server import Emulator
from ecapipe.orgs.selection import OrgSelection
from ecapipe.orgs.sf_logins import SfLogin
from ecapipe.project.discovery import ProjectSelection
from ecapipe.rotate import commands, pipeline, ports
from ecapipe.rotate.ports import RotationTools
from ecapipe.rotate.target import RotationOptions
from ecapipe.secret import Secret

SETTINGS = "force-app/main/default/extlClntAppGlobalOauthSets/{}_glbloauth.ecaGlblOauth-meta.xml"

RECEIVERS = ("receiver", "gh", "glab", "az", "vault", "aws")
"""Stand-ins for the programs that the guide delivers to."""

_RECEIVER = """#!{python}
import json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent / "received"
here.mkdir(exist_ok=True)
call = {{"argv": sys.argv, "stdin": sys.stdin.read(), "env": dict(os.environ)}}
part = here / f"{{time.monotonic_ns()}}.part"
part.write_text(json.dumps(call))
part.rename(part.with_suffix(".json"))  # whole, whenever it is read
time.sleep(float(os.environ.get("RECEIVER_SECONDS", "0")))
print("received", call["stdin"])
sys.exit(int(os.environ.get("RECEIVER_STATUS", "0")))
"""


@dataclass
class Rotation:
    """What a rotation takes place in."""

    root: Path
    home: Path
    tools: Path
    sf: StandIn
    emulator: Emulator
    orgs: Sequence[str]
    logins: list[tuple[SfLogin, Secret]] = field(default_factory=list)
    """What the Salesforce CLI is logged in to."""

    @property
    def url(self) -> str:
        return self.emulator.urls[self.orgs[0]]

    def words(self, *more: str) -> list[str]:
        orgs = [word for org in self.orgs for word in ("-o", f"{org}={self.emulator.urls[org]}")]
        return ["app", "rotate", "-d", str(self.root), *orgs, *more]

    @property
    def path(self) -> str:
        return f"{self.tools}:{self.sf.folder}:/usr/local/bin:/usr/bin:/bin"

    def rotate(self, *more: str, **variables: str) -> Ended:
        """Rotate Robot, as JSON."""
        return inside(*self.words("-n", "Robot", "--json", *more), at=self.home, **{**self.variables, **variables})

    def deliver(self, *more: str, **variables: str) -> Ended:
        """The same, delivered to the program that records."""
        return self.rotate("--deliver", "receiver set {variable}", *more, **variables)

    @property
    def received(self) -> list[dict[str, Any]]:
        files = sorted((self.tools / "received").glob("*.json"))
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]

    @property
    def requests(self) -> list[str]:
        """What the org was asked by the rotation: method, and what of the path says what it is about."""
        names = []
        for each in self.emulator.requests:
            path = each.path.rpartition("/apps/oauth/")[2].rpartition("/services/")[2]
            steps = path.split("/")
            if steps[0] == "credentials":
                steps = ["credentials", "app", "consumer", "staged", "pair"][: len(steps)]
            names.append(f"{each.method} {'/'.join(steps)}")
        return names

    def delete_staged(self) -> None:
        """Do what another administrator may do."""
        path = next(each.path for each in reversed(self.emulator.requests) if each.path.endswith("/staged"))
        bearer = self.logins[0][1].reveal()
        (pair,) = json.loads(self.ask("GET", path, bearer=bearer).text)["stagedCredentials"]
        assert self.ask("DELETE", f"{path}/{pair['id']}", bearer=bearer).status == 204

    @property
    def settings(self) -> Path:
        return self.root / SETTINGS.format("Robot")

    def accepts(self, key: str, secret: str, org: str | None = None) -> bool:
        """Whether the org logs in with the pair."""
        return self.log_in(key, secret, org or self.orgs[0]).status == 200

    def log_in(self, key: str, secret: str, org: str) -> Reply:
        form = {"grant_type": "client_credentials", "client_id": key, "client_secret": secret}
        return self.ask("POST", "/services/oauth2/token", org, body=urlencode(form))

    def ask(self, method: str, path: str, org: str = "", *, bearer: str = "", body: str | None = None) -> Reply:
        port = int(self.emulator.urls[org or self.orgs[0]].rpartition(":")[2])
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return request(port, path, method, body=body, headers=headers, ca_file=self.emulator.ca_file)

    @property
    def variables(self) -> dict[str, str]:
        """The variables of a command that rotates."""
        return {"PATH": self.path, **({"SSL_CERT_FILE": self.emulator.ca_file} if self.emulator.ca_file else {})}


@dataclass
class Recipient:
    """A program that a pair is delivered to, without a process."""

    received: list[str] = field(default_factory=list)

    def find(self, name: str) -> str:
        return f"/{name}"

    def feed(self, path: str, arguments: Sequence[str], value: Secret) -> ports.Ended:
        self.received.append(value.reveal())
        return ports.Ended(0, "")


class _Logins:
    """As the Salesforce CLI has them."""

    def __init__(self, logins: Sequence[tuple[SfLogin, Secret]]) -> None:
        self._logins = logins

    def logins(self) -> list[SfLogin]:
        return [login for login, _ in self._logins]

    def access_token(self, username: str) -> tuple[Secret, str]:
        return next((token, login.instance_url) for login, token in self._logins if login.username == username)


def hurry(scene: Rotation, recipient: Recipient, seconds: float = 30.0) -> Report:
    """Rotate Robot within this process: no wait lasts, and an org has so many seconds for its response."""
    environment = Environment({"ECAPIPE_STATE_DIR": str(scene.home / "state")})
    http = Http(longest=seconds)
    world = replace(
        composition.real_world(environment),
        send=http,
        sf=cast(Any, _Logins(scene.logins)),
        clock=replace(composition.CLOCK, sleep=lambda seconds: None),
    )
    tools = RotationTools(recipient, rotation_tools.RecordFiles(environment), ())
    request = pipeline.RotationRequest(
        ProjectSelection((str(scene.root),), ("Robot",)),
        OrgSelection(tuple(f"{org}={scene.emulator.urls[org]}" for org in scene.orgs)),
        RotationOptions(commands=(commands.parse("vault {variable}"),)),
    )
    report = Report()
    with closing(http):
        pipeline.run(request, world, tools, report, {})
    return report


def failure(ended: Ended) -> str:
    """The name of the one problem."""
    (found,) = ended.result["failures"]
    return str(found["name"])


@contextmanager
def staged(
    tmp_path: Path,
    *,
    orgs: Sequence[str | OrgSetup] = ("uat",),
    faults: Sequence[Fault] = (),
    files: trees.Files | None = None,
    root: Path | None = None,
    logged_in: bool = True,
    tls: bool = False,
    **registration: Any,
) -> Iterator[Rotation]:
    """Robot in a project and its orgs."""
    root = root or trees.plant(tmp_path / "project", files or (trees.project() | trees.robot()))
    apps = [replace(app, **registration) if app.name == "Robot" else app for app in registered(root)]
    admin = RegisteredApp("Admin", trees.key("Admin"), Secret(trees.secret("Admin")), (), ("api", "id"),
                          client_credentials=True, run_as_user="admin@acme.example")  # fmt: skip
    names = [org if isinstance(org, str) else org.name for org in orgs]
    with Emulator([*apps, admin], orgs=orgs, faults=faults, tls=tls) as emulator:
        (home := tmp_path / "home").mkdir()
        (tools := tmp_path / "tools").mkdir()
        for name in RECEIVERS:
            receiver = tools / name
            receiver.write_text(_RECEIVER.format(python=sys.executable), encoding="utf-8")
            receiver.chmod(0o755)
        sf = StandIn(tmp_path / "bin")
        scene = Rotation(root, home, tools, sf, emulator, names)
        if logged_in:
            _log_in(scene)
        yield scene


def _log_in(scene: Rotation) -> None:
    """Let the Salesforce CLI have a login of an administrator to each org."""
    logins, tokens = [], {}
    for org in scene.orgs:
        url = scene.emulator.urls[org]
        said = json.loads(scene.log_in(trees.key("Admin"), trees.secret("Admin"), org).text)
        entry = login(org, org_id=said["id"].split("/")[-2], url=url)
        logins.append(entry)
        scene.logins.append((SfLogin(entry["username"], entry["orgId"], url), Secret(said["access_token"])))
        answer = {"status": 0, "result": {"accessToken": said["access_token"]}, "warnings": []}
        tokens[f"--target-org={entry['username']}"] = json.dumps(answer)
    scene.sf.keeps(*logins)
    scene.sf.says("org auth show-access-token", answers=tokens)
