"""Where secrets go is the user's word: what a tree says of it, tried with a stranger who listens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trees
from commandline import Ended, inside
from fakes.servers import Origin, origin

SECRET = "AN0ORGS0SECRET0THAT0NO0STRANGER0GETS"
ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "GITHUB_TOKEN": trees.key("Another"),
    "ECAPIPE_CLIENT_SECRET": SECRET,
    "ECAPIPE_CLIENT_SECRET_ONE_PROD": SECRET,
}
PROD = "https://acme.my.salesforce.com"


@pytest.fixture
def stranger() -> Iterator[Origin]:
    with origin() as server:
        yield server


def plant(root: Path, files: trees.Files | None = None, **members: object) -> Path:
    """A project in a repository of its own."""
    settings = {"callbackUrl": None, "consumerSecret": None, **trees.CLIENT_CREDENTIALS}
    app = trees.app("One", settings=settings, policies=trees.CLIENT_CREDENTIALS)
    trees.plant(root / "project", trees.project(**members) | app | (files or {}))
    (root / ".git").mkdir(exist_ok=True)
    return root / "project"


def configured(url: str, **members: str) -> dict[str, Any]:
    return {"plugins": {"ecapipe": {"orgs": {"prod": {"url": url, **members}}}}}


def cases(root: Path, url: str) -> Iterator[tuple[str, ...]]:
    """Trees that send a secret to `url`, and the arguments that it takes."""
    replaced = [
        {
            "glob": "**/*.ecaGlblOauth-meta.xml",
            "stringToReplace": trees.key("One"),
            "replaceWithEnv": "GITHUB_TOKEN",
        }
    ]
    plant(root, **configured(url, flow="client-credentials", secretEnv="AWS_SECRET_ACCESS_KEY"))
    yield ()
    yield ("-o", "prod")
    yield ("--all-orgs",)
    plant(root, **configured(url), replacements=replaced)
    yield ()
    plant(root, {".sf/config.json": json.dumps({"target-org": url})})
    yield ()
    plant(root, {".sf/config.json": json.dumps({"target-org": f"prod={url}"})})
    yield ()
    plant(root, {".sf/config.json": "{}", "orgs.csv": f"alias,url\nprod,{url}\n"})
    yield ("-f", str(root / "project/orgs.csv"))
    (root / "orgs.csv").write_text(f"alias,url\nprod,{url}\n", encoding="utf-8")
    yield ("-f", str(root / "orgs.csv"))
    (root / "orgs.csv").write_text("alias\nprod\n", encoding="utf-8")
    plant(root, **configured(url))
    yield ("-f", str(root / "orgs.csv"))


def ask(command: str, root: Path, *more: str) -> Ended:
    words = command.split()
    return inside(*words, "-d", str(root / "project"), *more, "--json", at=root.parent, **ENVIRONMENT)


@pytest.mark.parametrize("command", ["run", "app probe"])
def test_no_secret_goes_where_only_the_tree_sends_it(command: str, stranger: Origin, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    for arguments in cases(root, stranger.url("")):
        ended = ask(command, root, *arguments)
        assert (ended.status, stranger.seen) == (2, []), arguments
        assert ended.document["name"] in ("RefusedHost", "MalformedBatchFile")
        ask(command, root, *arguments, "--allow-host", "localhost")
        sent = "".join(call.body for call in stranger.seen)
        assert SECRET in sent, "what the user allows is done"
        stranger.seen.clear()


def test_the_gate_takes_no_such_org_either(stranger: Origin, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    plant(root, **configured(stranger.url(""), orgId="00D000000000009"))
    refused = ask("app check", root, "-o", "prod")
    assert (refused.status, refused.document["name"]) == (2, "RefusedHost")


def test_a_file_outside_the_repository_is_the_users(stranger: Origin, tmp_path: Path) -> None:
    root, file = tmp_path / "repository", tmp_path / "orgs.csv"
    plant(root)
    file.write_text(f"alias,url\nprod,{stranger.url('')}\n", encoding="utf-8")
    ask("run", root, "-f", str(file))
    assert SECRET in "".join(call.body for call in stranger.seen)
    (root / "orgs.csv").symlink_to(file)
    assert ask("run", root, "-f", str(root / "orgs.csv")).document["name"] == "MalformedBatchFile"
    (tmp_path / "link.csv").symlink_to(root / "own.csv")
    (root / "own.csv").write_bytes(file.read_bytes())
    assert ask("run", root, "-f", str(tmp_path / "link.csv")).document["name"] == "MalformedBatchFile"


def test_a_file_beside_the_trees_that_it_names_is_theirs(stranger: Origin, tmp_path: Path) -> None:
    """Without a project: each row brings its tree along."""
    root = tmp_path / "repository"
    plant(root)
    (root / "orgs.csv").write_text(f"alias,url,sourceDir\nprod,{stranger.url('')},project\n", encoding="utf-8")
    command = ["run", "-f", str(root / "orgs.csv"), "--json"]
    ended = inside(*command, at=tmp_path, **ENVIRONMENT)
    assert (ended.document["name"], stranger.seen) == ("MalformedBatchFile", [])


@pytest.mark.parametrize("command", ["run", "app probe"])
def test_without_the_projects_word_it_names_no_org(command: str, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    cases: tuple[tuple[trees.Files, dict[str, Any]], ...] = (
        ({}, {"sfdcLoginUrl": PROD}),
        ({".sf/config.json": json.dumps({"target-org": PROD})}, {}),
        ({".sfdx/sfdx-config.json": json.dumps({"defaultusername": PROD})}, {}),
        ({".sf/config.json": "{}", ".sfdx/sfdx-config.json": "{}"}, configured(PROD)),
    )
    for files, members in cases:
        plant(root, files, **members)
        ended = ask(command, root, "--no-project-config")
        assert (ended.status, ended.document["name"]) == (2, "NoOrgChosen"), members
    plant(root, sfdcLoginUrl=PROD)
    planned = ask("run", root, "--dry-run")
    assert planned.result["stages"][0]["facts"]["orgs"] == ["acme.my.salesforce.com"]


def elsewhere(root: Path) -> Path:
    """A project that has nothing to do with the repository."""
    app = trees.app("Victim", settings=trees.CLIENT_CREDENTIALS, policies=trees.CLIENT_CREDENTIALS)
    return trees.plant(root, trees.project() | app)


def run_there(root: Path, *arguments: str) -> Ended:
    flow = ("--flow", "client-credentials", "--allow-host", "localhost")
    return inside("run", *arguments, *flow, "--json", at=root)


def sent(stranger: Origin) -> bool:
    return any(trees.secret("Victim") in call.body for call in stranger.seen)


@pytest.mark.parametrize("target", ["../../other", "../../other/force-app/main"])
def test_no_link_of_the_project_sends_the_secret_of_another(stranger: Origin, tmp_path: Path, target: str) -> None:
    elsewhere(tmp_path / "other")
    root = plant(tmp_path / "repository", **configured(stranger.url(""), sourceDir="t"))
    (root / "t").symlink_to(target)
    ended = run_there(root, "-o", "prod")
    assert stranger.seen == []
    assert (ended.status, ended.document["name"]) == (1, "SchemaValidationError")
    assert "sourceDir leads out of the repository" in ended.document["message"]


@pytest.mark.parametrize("absolute", [False, True])
def test_an_org_file_sends_the_secret_of_another_project_only_from_outside(
    stranger: Origin, tmp_path: Path, absolute: bool
) -> None:
    other = elsewhere(tmp_path / "other")
    root = plant(tmp_path / "repository")
    row = {"alias": "prod", "url": stranger.url(""), "sourceDir": str(other) if absolute else "../../other"}
    (root / "orgs.json").write_text(json.dumps([row]))
    ended = run_there(root, "-f", "orgs.json")
    assert stranger.seen == []
    assert (ended.status, ended.document["name"]) == (2, "MalformedBatchFile")
    (tmp_path / "orgs.json").write_text(json.dumps([row | {"sourceDir": str(other)}]))
    run_there(root, "-f", str(tmp_path / "orgs.json"))
    assert sent(stranger)


def test_links_of_packages_are_followed_within_the_repository_alone(stranger: Origin, tmp_path: Path) -> None:
    other = elsewhere(tmp_path / "other")
    root = plant(tmp_path / "repository")
    (root / "force-app/all").symlink_to(other / "force-app")
    for file in other.rglob("*Victim*"):
        (root / "force-app" / file.name).symlink_to(file)
    for options in ((), ("--no-project-config",)):
        ended = run_there(root, "-o", stranger.url(""), "--name", "Victim", *options)
        assert ended.document["name"] == "UnknownApp"
    assert stranger.seen == []
    for named in (str(other), "force-app/all"):  # the user's word
        stranger.seen.clear()
        run_there(root, "-o", stranger.url(""), "--source-dir", named)
        assert sent(stranger), named
    elsewhere(tmp_path / "repository/shared")
    (root / "force-app/all").unlink()
    (root / "force-app/all").symlink_to(tmp_path / "repository/shared/force-app")
    stranger.seen.clear()
    run_there(root, "-o", stranger.url(""), "--name", "Victim")
    assert sent(stranger)


def test_a_project_file_that_leads_out_is_not_followed(stranger: Origin, tmp_path: Path) -> None:
    root = plant(tmp_path / "repository", **configured(stranger.url("")))
    (root / "sfdx-project.json").rename(tmp_path / "sfdx-project.json")
    (root / "sfdx-project.json").symlink_to(tmp_path / "sfdx-project.json")
    ended = run_there(root, "-o", "prod")
    assert (ended.document["name"], stranger.seen) == ("LinkOutOfRepository", [])
    assert ended.document["actions"] == [f"Name its target: --source-dir {tmp_path}"]
