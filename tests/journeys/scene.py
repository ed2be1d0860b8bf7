"""The home that journeys start from, made of trees, and the orgs that know its apps."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import trees
from check import ground
from check.test_every_rule import CASES
from commandline import SAMPLE
from fakes import scene
from fakes.orgs import registered
from fakes.salesforce_cli import StandIn
from loopback import free_port

from ecapipe.emulator.faults import Fault
from ecapipe.emulator.server import Emulator

CALLBACK = "http://localhost:1717/"
"""What the sample project has for the machine of whoever signs in; somebody else may be doing so just now."""
EVIL = "alias,url\nevil,https://evil.example\n"


def home(root: Path, ports: Mapping[str, int], rules: bool) -> Path:
    """Every tree, with `rules` also one that breaks each of them, and the files that command lines name."""
    root.mkdir(exist_ok=True)
    callback = f"http://localhost:{ports['callback']}/"
    shutil.copytree(SAMPLE, root / "sample")
    for path in (root / "sample").rglob("*.ecaGlblOauth-meta.xml"):
        path.write_text(path.read_text(encoding="utf-8").replace(CALLBACK, callback), encoding="utf-8")
        path.chmod(0o644)  # whatever umask this machine has
    ground.private(acme(root, ports["callback"]))
    orgs = {name: {"url": f"https://{name}.my.salesforce.com"} for name in ("dev", "uat")}
    elsewhere = {"callbackUrl": scene.PASTED}
    named = trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.app(settings=elsewhere)
    robot = {"callbackUrl": None, "consumerSecret": None, **trees.CLIENT_CREDENTIALS}
    alone = {"clientCredentialsFlowUser": "robot@acme.example", **trees.CLIENT_CREDENTIALS}
    link = {"oauthLink": "00D000000000001EAA:888000000000001AAA"}
    bare = trees.project() | trees.app() | trees.app("Portal")
    known = {name: f"http://localhost:{port}" for name, port in ports.items() if name in ("dev", "uat", "prod")}
    packaged = trees.app("Linked", settings=None, oauth=link)
    projects: dict[str, trees.Files | Sequence[ground.Step]] = {
        "named": named,
        "many": many(),
        "linked": trees.project() | packaged | trees.app("Portal", policies=None),
        "source": trees.project() | trees.app("Linked"),
        "secretless": trees.project() | trees.app("Robot", settings=robot, policies=alone),
        "bare": [bare, "status"],
        "tracked": ground.committed(bare),
        "empty": trees.project(),
        "broken": trees.project() | {"sfdx-project.json": '{\n  "packageDirectories": [,]\n}\n'},
        "mdapi": {path[2:].removesuffix("-meta.xml"): text for path, text in trees.app(folder=".").items()},
        **{f"rules/{rule}": case.bad for rule, case in CASES.items() if rules},
    }
    for tree, steps in projects.items():
        ground.private(ground.ready(root / tree, steps))
    trees.plant(
        root,
        {
            "orgs.csv": "".join(f"{','.join(row)}\n" for row in [("alias", "url"), *known.items()]),
            "orgs.json": json.dumps([{"alias": name, "url": url, "apps": "Batch"} for name, url in known.items()]),
            "bad.csv": "alias,color\nuat,red\n",
            "bad.json": "[{]",
            "evil.csv": EVIL,
            "key.pem": "no key at all\n",
            "nothing/": "",
            "mdapi/package.xml": trees.xml("Package", {"version": "66.0"}),
        },
    )
    tools = StandIn(root / "tools").folder
    git = shutil.which("git")
    assert git
    (tools / "git").symlink_to(git)
    return root


def acme(root: Path, callback: int) -> Path:
    """The project whose apps the orgs know."""
    lasting = {"commaSeparatedOauthScopes": "Api, Basic, RefreshToken"}
    scene.project(root / "acme", callback)
    return trees.plant(root / "acme", trees.app("Lasting", settings={"callbackUrl": scene.PASTED}, oauth=lasting))


def many() -> list[ground.Step]:
    """Two commits of apps of which each breaks other rules, with files that git tracks, stages and ignores."""
    http = {"callbackUrl": "http://example.com/a\nno-scheme.example.com"}
    odd = {"consumerSecret": "REPLACE_ME", "shouldRotateConsumerSecret": "true", "isPkceRequired": "false"}
    first = (
        trees.project("force-app", "more", plugins={"ecapipe": {"orgs": {"uat": {"url": "acme.my.salesforce.com"}}}})
        | trees.app()
        | trees.app("Portal", settings={"consumerSecret": None, **http})
        | trees.app("Twin", settings={"consumerKey": trees.key("Billing")})
        | trees.app("Odd", settings=odd, oauth={"commaSeparatedOauthScopes": "Full, Api"})
    )
    second = (
        trees.app("Nightly", folder="more", settings={"callbackUrl": None, **trees.CLIENT_CREDENTIALS})
        | trees.app("Loose", folder="more", header=None, policies=None)
        | trees.app("Unset", folder="more", settings=None)
        | trees.app("Keyless", folder="more", settings={"consumerKey": None, "unheardOf": "x & <y>"})
        | {"more/bad.ecaGlblOauth-meta.xml": "<ExtlClntAppGlobalOauthSettings>\n</oops>"}
        | {"scripts/login.sh": f"curl -d client_secret={trees.secret('Billing')}\n"}
        | {".forceignore": "*.ecaPlcy-meta.xml\n"}
    )
    return [*ground.committed(first), second, "add more/externalClientApps more/extlClntAppGlobalOauthSets"]


@dataclass(frozen=True)
class Scene:
    """A home, its orgs, and the ports of both."""

    home: Path
    ports: Mapping[str, int]
    emulator: Emulator | None = None

    @property
    def urls(self) -> dict[str, str]:
        return dict(self.emulator.urls) if self.emulator else {}

    @property
    def variables(self) -> dict[str, str]:
        """Nothing of the machine but git and a stand-in for the Salesforce CLI."""
        return {"PATH": str(self.home / "tools")}


def _ports(names: Sequence[str]) -> dict[str, int]:
    """A port for each, one after the other, so that their order is always the same."""
    first = random.randrange(10_000, 32_768 - len(names))
    return {name: first + number for number, name in enumerate(names)}


@contextmanager
def staged(
    root: Path, orgs: Sequence[str] = (), faults: Mapping[str, Sequence[Fault]] | None = None, *, rules: bool = False
) -> Iterator[Scene]:
    """The home at `root`, and an org of each name, in which its faults happen."""
    others = {"callback": free_port(), "nobody": free_port()}
    if not orgs:
        yield Scene(home(root, others, rules), others)
        return
    with ExitStack() as stack:
        while True:
            ports = {**others, **_ports(orgs)}
            apps = registered(acme(root, others["callback"]))
            plan = [
                Fault(each.path, each.do, org, each.times) for org, some in (faults or {}).items() for each in some
            ]
            emulator = Emulator(apps, orgs=orgs, port=ports[orgs[0]], faults=plan)
            try:
                stack.enter_context(emulator)
                break
            except OSError:  # one of the ports is taken
                continue
        shutil.rmtree(root / "acme")
        yield Scene(home(root, ports, rules), ports, emulator)
