"""The real Salesforce CLI retrieves from several orgs at the same time, each into a tree of its own."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trees
from fakes.orgs import registered
from interop.program import Ended, ran, started
from interop.salesforce import Sf
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ecapipe.emulator.server import Emulator

pytestmark = pytest.mark.interop

ORGS = ("uat", "prod")
PASTED = "https://www.example.com/done"
WEB = {"commaSeparatedOauthScopes": "Api, Basic, Web, RefreshToken"}


def robot(org: str) -> trees.Files:
    """The app of an org, with a key and secret that are that org's own."""
    pair = {"consumerKey": trees.key(f"Nightly of {org}"), "consumerSecret": trees.secret(f"Nightly of {org}")}
    return trees.robot("Nightly", settings=pair)


class Orgs(Emulator):
    """Orgs that also have as much of the Metadata API as a retrieve needs: it gives each its `files`, in metadata
    format. An org without any refuses it, as the emulator does."""

    files: Mapping[str, trees.Files]

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        org = next(name for name, url in self.urls.items() if url.endswith(f":{scope['server'][1]}"))
        if not scope["path"].startswith("/services/Soap/m/") or org not in self.files:
            await super()._serve(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        answer = _result(self.files[org]) if b"checkRetrieveStatus" in body else _accepted()
        await Response(answer, media_type="text/xml")(scope, receive, send)


def _accepted() -> str:
    return _soap("retrieveResponse", "<done>false</done><id>09S000000000001AAA</id><state>Queued</state>")


def _result(files: trees.Files) -> str:
    packed, described = io.BytesIO(), ""
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in files.items():
            name = "/".join(("unpackaged", *path.split("/")[-2:])).removesuffix("-meta.xml")
            archive.writestr(name, content)
            kind = str(content).split("<", 2)[2].partition(" ")[0]
            full = name.rpartition("/")[2].rpartition(".")[0]
            described += (
                f"<fileProperties><fileName>{name}</fileName><fullName>{full}</fullName><id/>"
                f"<type>{kind}</type></fileProperties>"
            )
    data = base64.b64encode(packed.getvalue()).decode()
    status = "<done>true</done><id>09S000000000001AAA</id><status>Succeeded</status><success>true</success>"
    return _soap("checkRetrieveStatusResponse", f"{status}{described}<zipFile>{data}</zipFile>")


def _soap(name: str, result: str) -> str:
    return (
        '<?xml version="1.0"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        f'xmlns="{trees.NAMESPACE}"><soapenv:Body><{name}><result>{result}</result></{name}></soapenv:Body>'
        "</soapenv:Envelope>"
    )


@pytest.fixture
def orgs(tmp_path: Path) -> Iterator[Orgs]:
    portal = trees.plant(
        tmp_path / "project", trees.project() | trees.app("Portal", settings={"callbackUrl": PASTED}, oauth=WEB)
    )
    apps = [*registered(portal)]
    for org in ORGS:
        planted = trees.plant(tmp_path / "orgs" / org, trees.project() | robot(org))
        apps += [replace(app, orgs=(org,)) for app in registered(planted)]
    with Orgs(apps, orgs=ORGS, tls=True) as made:
        made.files = {}
        yield made


@pytest.fixture
def sf(tmp_path: Path, orgs: Orgs) -> Sf:
    """It is logged in to both orgs."""
    home = tmp_path / "home"
    home.mkdir()
    sf = Sf(home, {"NODE_EXTRA_CA_CERTS": str(orgs.ca_file)})
    for org in ORGS:
        words = ("run", "-d", tmp_path / "project", "-o", f"{org}={orgs.urls[org]}", "--hand-over", "sf")
        with started(*words, "--browser", "none", env=sf.env) as running:
            running.paste(orgs.visit(running.link()))
            assert running.ended().status == 0
    return sf


def test_each_org_has_its_own_tree_or_its_own_failure(orgs: Orgs, sf: Sf) -> None:
    def run() -> Ended:
        ended = ran("run", "--retrieve", "-n", "Nightly", "-o", "uat", "-o", "prod", env=sf.env)
        assert not list((sf.home / "state/retrieved").iterdir())
        return ended

    def failures(ended: Ended) -> list[Any]:
        return [
            tuple(each[name] for name in ("org", "project", "stage", "name")) for each in ended.result["failures"]
        ]

    # Without the Metadata API the Salesforce CLI gets as far as its request.
    refused = run()
    assert (refused.status, refused.result["successes"]) == (1, [])
    assert failures(refused) == [(org, f"org:{org}", "discover", "SfFailed") for org in ORGS]
    asked = {each.org for each in orgs.requests if each.path.startswith("/services/Soap/m/")}
    assert asked == {*ORGS}

    orgs.files = {"uat": robot("uat")}
    half = run()
    assert (half.status, failures(half)) == (68, [("prod", "org:prod", "discover", "SfFailed")])
    assert [each["org"] for each in half.result["successes"]] == ["uat"]

    orgs.files = {org: robot(org) for org in ORGS}
    whole = run()
    assert whole.status == 0, whole
    assert [(each["org"], each["project"], each["username"]) for each in whole.result["successes"]] == [
        (org, f"org:{org}", "nightly@acme.example") for org in ORGS
    ]
