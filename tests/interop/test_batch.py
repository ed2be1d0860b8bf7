"""A batch over several certified OAuth servers: all flows at once, answers in any order, and what failed again."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import trees
from interop import person, provider
from interop.program import environment, started
from interop.provider import Provider
from loopback import free_port

pytestmark = pytest.mark.interop

ORGS = ("dev", "qa", "uat", "prod")
ELSEWHERE = "https://www.example.com"
ROBOT = "robot@example.com"
TOKEN = "/services/oauth2/token"

Apps = Mapping[str, str | None]
"""Names with callback URLs; None is for client credentials."""


@pytest.fixture(scope="module")
def apps() -> Apps:
    return {"Listening": f"http://localhost:{free_port()}/cb", "Pasting": ELSEWHERE, "Nightly": None}


@pytest.fixture
def orgs(apps: Apps) -> Iterator[dict[str, Provider]]:
    clients = [provider.client(trees.key(app), trees.secret(app), url) for app, url in apps.items()]
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                provider.running(
                    f"00D00000000000{number}EAA",
                    {username(name): "005000000000001AAA", ROBOT: "005000000000002AAA"},
                    ROBOT,
                    clients,
                    [trees.key("Listening"), trees.key("Pasting")],
                )
            )
            for number, name in enumerate(ORGS, 1)
        }


@pytest.fixture
def project(tmp_path: Path, apps: Apps) -> Path:
    files = trees.project(sourceApiVersion="66.0")
    for app, url in apps.items():
        night = trees.CLIENT_CREDENTIALS if url is None else {}
        files |= trees.app(app, settings={"callbackUrl": url, **night}, policies=night)
    return trees.plant(tmp_path / "project", files)


def username(org: str) -> str:
    return f"someone@{org}.example"


def test_every_app_in_every_org_and_then_again_what_was_denied(
    orgs: dict[str, Provider], project: Path, tmp_path: Path
) -> None:
    batch = tmp_path / "orgs.csv"
    rows = [f"{name};{org.url};{org.org_id}" for name, org in orgs.items()]
    batch.write_text("\r\n".join(["alias;url;orgId", *rows, ""]), encoding="utf-8-sig")
    env = environment(tmp_path, ECAPIPE_STATE_DIR=str(tmp_path / "state"))
    command = ("run", "-d", project, "-f", batch, "--browser", "none", "--callback", "auto")
    of = {urlsplit(org.url).netloc: name for name, org in orgs.items()}

    with started(*command, env=env) as run:
        links = [run.link() for _ in range(2 * len(ORGS))]
        random.Random(7).shuffle(links)
        denied = links[3]
        for link in links:
            run.paste(person.sign_in(link, username(of[urlsplit(link).netloc]), deny=link == denied))
        ended = run.ended()

    assert ended.status == 68
    done = {(each["app"], each["org"]): each for each in ended.result["successes"]}
    assert len(done) == 3 * len(ORGS) - 1
    for (app, org), each in done.items():
        assert each["orgId"] == orgs[org].org_id
        assert each["username"] == (ROBOT if app == "Nightly" else username(org))
    failure = ended.failure
    assert (failure["name"], failure["org"]) == ("AccessDenied", of[urlsplit(denied).netloc])
    before = {name: len(org.asked(TOKEN)) for name, org in orgs.items()}
    assert sum(before.values()) == 3 * len(ORGS) - 1

    with started(*command, "--resume", env=env) as run:
        link = run.link()
        assert urlsplit(link).netloc == urlsplit(denied).netloc
        assert parse_qs(urlsplit(link).query)["state"] != parse_qs(urlsplit(denied).query)["state"]
        run.paste(person.sign_in(link, username(failure["org"])))
        again = run.ended()

    assert (again.status, len(again.result["successes"])) == (0, 3 * len(ORGS))
    after = {name: len(org.asked(TOKEN)) for name, org in orgs.items()}
    assert after == {name: count + (name == failure["org"]) for name, count in before.items()}
