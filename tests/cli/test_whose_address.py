"""Where secrets go is the user's word: what a tree says of it, tried with a stranger who listens."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trees
import trustme
from commandline import Ended, inside
from fakes.salesforce_cli import StandIn, login
from fakes.servers import Origin, everywhere, origin

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
    # A project in a submodule: whoever writes the repository chooses that.
    plant(root, {".git": "gitdir: ../.git/modules/project\n"})
    (root / "orgs.csv").write_text(f"alias,url\nprod,{url}\n", encoding="utf-8")
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


def test_each_of_several_files_is_the_word_of_whoever_wrote_it(stranger: Origin, tmp_path: Path) -> None:
    root, users, trees = tmp_path / "repository", tmp_path / "users.csv", tmp_path / "repository/trees.csv"
    plant(root)
    users.write_text(f"alias,url\nprod,{stranger.url('')}\n", encoding="utf-8")
    # Another port of this machine, whatever that of the stranger ends with.
    other = f"{stranger.url('')[:-1]}{9 - int(stranger.url('')[-1])}"
    trees.write_text(f"alias,url\nother,{other}\n", encoding="utf-8")
    for files in ((users, trees), (trees, users)):
        ended = ask("run", root, *(word for file in files for word in ("-f", str(file))))
        assert (ended.status, ended.document["name"], stranger.seen) == (2, "MalformedBatchFile", [])
        assert f"row 2 of {trees}, column url" in ended.document["message"]
    trees.write_text("alias,url,sourceDir\nuat,https://acme--uat.sandbox.my.salesforce.com,/etc\n", encoding="utf-8")
    ended = inside("run", "-f", str(users), "-f", str(trees), "--json", at=root / "project", **ENVIRONMENT)
    assert f"row 2 of {trees}, column sourceDir: " in ended.document["message"]
    trees.write_text(f"alias,url\nagain,{stranger.url('')}\n", encoding="utf-8")
    ask("run", root, "-f", str(trees), "-f", str(users))
    assert SECRET in "".join(call.body for call in stranger.seen), "the address is the user's, too"


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
    assert "sourceDir leads outside the repository" in ended.document["message"]


@pytest.mark.parametrize("command", ["run", "app probe"])
def test_a_repository_without_a_project_is_no_user(command: str, stranger: Origin, tmp_path: Path) -> None:
    """Whoever writes it could have taken the project away."""
    other, repository = elsewhere(tmp_path / "other"), tmp_path / "repository"
    rows = [{"alias": "prod", "url": stranger.url(""), "sourceDir": str(other)}]
    trees.plant(repository, {"ci/orgs.json": json.dumps(rows), ".git/HEAD": ""})
    words = [*command.split(), "-f", "orgs.json", "--json"]
    ended = inside(*words, at=repository / "ci", **ENVIRONMENT)
    assert (ended.status, ended.document["name"], stranger.seen) == (2, "MalformedBatchFile", [])
    (repository / ".git").rename(repository / "no.git")
    inside(*words, at=repository / "ci", **ENVIRONMENT)
    assert SECRET in "".join(call.body for call in stranger.seen), "without one the file is the user's"


@pytest.mark.parametrize("words", [("-d", "app"), ("--metadata-dir", "app"), ()])
@pytest.mark.parametrize("target", ["other", "other/force-app/main"])
def test_a_link_to_another_project_makes_no_file_the_users(
    target: str, words: tuple[str, ...], stranger: Origin, tmp_path: Path
) -> None:
    """Whoever writes the repository could put it in the place of the folder that a command names, or is run in."""
    elsewhere(tmp_path / "other")
    repository = trees.plant(tmp_path / "repository", {".git/HEAD": ""})
    (repository / "orgs.csv").write_text(f"alias,url\nprod,{stranger.url('')}\n", encoding="utf-8")
    (repository / "app").symlink_to(tmp_path / target)
    at = repository if words else repository / "app"
    command = ["run", *words, "-f", str(repository / "orgs.csv"), "--json"]
    ended = inside(*command, at=at, **ENVIRONMENT, PWD=str(at))
    assert (ended.status, ended.document["name"], stranger.seen) == (2, "MalformedBatchFile", [])


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


@pytest.mark.parametrize("at", [".", "../.."])
@pytest.mark.parametrize("way", ["option", "org"])
@pytest.mark.parametrize("path", ["../../other", "t"])
def test_a_result_names_no_tree_outside_the_repository(
    stranger: Origin, tmp_path: Path, path: str, way: str, at: str
) -> None:
    """Wherever it lies itself."""
    other = elsewhere(tmp_path / "other")
    root = plant(tmp_path / "repository")
    (root / "t").symlink_to(other)
    planned = run_there(root, "-n", "One", "-o", stranger.url(""), "--dry-run").document
    result = planned["result"]
    result["stages"], (org,) = [], result["orgs"]
    options = result["invocation"]["options"] = ["--flow", "client-credentials"]
    if way == "option":
        options += ["--source-dir", path]
    else:
        org["sourceDir"] = str(other) if path != "t" else str(root / "t")
    file = root / at / "result.json"
    file.write_text(json.dumps(planned), encoding="utf-8")
    ended = inside("run", "--resume", str(file), "--allow-host", "localhost", "--json", at=root)
    assert (ended.status, sent(stranger)) == (1 if way == "option" else 2, False), ended


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
    assert ended.document["actions"] == [f"Specify its target: --source-dir {tmp_path}"]


# --- who names it, which host, where the secret is from: every combination, and what is sent -----------------------

LOGIN, SITE = "https://login.salesforce.com", "https://acme.my.site.com/partners"
TAKES = [{"glob": "**/*.xml", "stringToReplace": "@@S@@", "replaceWithEnv": "TAKEN"}]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(urlsplit(url).netloc for url in (PROD, LOGIN, SITE))).configure_cert(context)
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return context, str(file)


def arrange(root: Path, who: str, url: str, source: str) -> tuple[str, ...]:
    """A tree whose org, or that of the user, is at `url`, and whose secret is from `source`; and the arguments."""
    members: dict[str, Any] = {}
    settings = {"callbackUrl": None, "consumerSecret": None, **trees.CLIENT_CREDENTIALS}
    if source == "replacement":
        members["replacements"] = TAKES
        settings["consumerSecret"] = "@@S@@"
    if source == "file":
        settings["consumerSecret"] = SECRET
    org = {"url": url} | ({"secretEnv": "TAKEN"} if source == "secretEnv" else {})
    members["plugins"] = {"ecapipe": {"orgs": {"prod": org}}}
    app = trees.app("One", settings=settings, policies=trees.CLIENT_CREDENTIALS)
    trees.plant(root / "project", trees.project(**members) | app)
    (root / ".git").mkdir()
    (root.parent / "mine.json").write_text(json.dumps([{"alias": "prod", **org}]))
    return {
        "tree": ("-o", "prod"),
        "tree, allowed": ("-o", "prod", "--allow-host", urlsplit(url).netloc),
        "user": ("-o", "prod", "-o", f"mine={url}"),
        "user's file": ("-f", str(root.parent / "mine.json")),
    }[who]


@pytest.mark.parametrize("source", ["secretEnv", "replacement", "variable", "file"])
@pytest.mark.parametrize("url", [PROD, LOGIN, SITE])
@pytest.mark.parametrize("who", ["tree", "tree, allowed", "user", "user's file"])
def test_what_is_sent_goes_by_who_names_it_and_what_is_taken(
    who: str, url: str, source: str, certificates: tuple[ssl.SSLContext, str], tmp_path: Path
) -> None:
    arguments = arrange(tmp_path / "repository", who, url, source)
    variables = {"TAKEN": SECRET}
    if source == "variable":
        variables = {"ECAPIPE_CLIENT_SECRET_ONE": SECRET}
    with everywhere(certificates[0]) as (port, sent):
        command = ["run", "-d", str(tmp_path / "repository/project"), *arguments, "--json"]
        variables |= {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "SSL_CERT_FILE": certificates[1]}
        planned = inside(*command, "--dry-run", at=tmp_path, **variables)
        assert sent == []
        ended = inside(*command, at=tmp_path, **variables)
    refused = who == "tree" and (url == SITE or (url == LOGIN and source in ("secretEnv", "replacement")))
    assert {host for host, text in sent if SECRET in text} == (set() if refused else {urlsplit(url).netloc})
    if not refused and source in ("secretEnv", "replacement"):
        assert "TAKEN" in json.dumps(planned.result["stages"]), "the plan names it"
    if refused and url == LOGIN:
        (failure,) = ended.result["failures"]
        assert (failure["name"], "TAKEN" in failure["message"]) == ("VariablesWithheld", True)
        probed = inside("app", "probe", *command[1:], at=tmp_path, **variables)
        assert "TAKEN" in probed.result["probes"][0]["message"]


@pytest.mark.parametrize(
    "more", [("--flow", "web", "--browser", "none"), ("--hand-over", "sf"), ("--save", "--store", "file")]
)
@pytest.mark.parametrize("origin", [{"replaceWithEnv": "GITHUB_TOKEN"}, {"replaceWithFile": ".git/config"}])
@pytest.mark.parametrize("beginning", ["", "3MVG9"])
def test_what_a_tree_calls_a_key_is_not_shown(
    beginning: str, origin: dict[str, str], more: tuple[str, ...], tmp_path: Path
) -> None:
    """A consumer key is no secret, and is seen in the authorize URL and among the arguments of ``sf``; what the tree
    puts before a secret makes no key of it."""
    token, sf = "ghp_a_token_of_the_job", StandIn(tmp_path / "bin")
    text = trees.key("One").removeprefix(beginning)
    replaced = {"glob": "**/*.ecaGlblOauth-meta.xml", "stringToReplace": text, **origin}
    app = trees.app("One", settings=trees.CLIENT_CREDENTIALS, policies=trees.CLIENT_CREDENTIALS)
    trees.plant(tmp_path / "project", trees.project(replacements=[replaced]) | app | {".git/config": token})
    variables = {"GITHUB_TOKEN": token, "PATH": f"{sf.folder}:/usr/bin:/bin"}
    command = ["run", "-o", PROD, "--wait", "0.01", *more]
    for output in ([], ["--json"], ["--dry-run"]):
        ended = inside(*command, *output, at=tmp_path / "project", **variables)
        assert (ended.status, token in ended.out + ended.err) == (1, False)
        assert "ConsumerKeyWithheld" in ended.out + ended.err
        assert token not in str([call.argv for call in sf.calls])
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        nobody.settimeout(0.1)
        address = f"known=http://127.0.0.1:{nobody.getsockname()[1]}"
        probed = inside("app", "probe", "-o", address, "--json", at=tmp_path / "project", **variables)
        assert "replacements" in probed.result["probes"][0]["message"]
        with pytest.raises(TimeoutError):
            nobody.accept()
    kept = inside("app", "set-secret", "One", "--store", "file", at=tmp_path / "project", **variables)
    assert (kept.status, "ConsumerKeyWithheld" in kept.err, list(tmp_path.rglob("secrets/*.json"))) == (1, True, [])
    key = trees.key("Another")
    trees.plant(tmp_path / "project", {".git/config": key})
    ended = inside(*command, "--dry-run", at=tmp_path / "project", **variables | {"GITHUB_TOKEN": key})
    assert ("ConsumerKeyWithheld" in ended.err) is bool(beginning)


def test_the_plan_names_for_people_what_the_tree_takes(tmp_path: Path) -> None:
    for number, source in enumerate(("secretEnv", "replacement")):
        root = tmp_path / str(number) / "repository"
        arrange(root, "tree", PROD, source)
        ended = inside("run", "-d", str(root / "project"), "--dry-run", at=tmp_path, TAKEN=SECRET)
        assert (ended.status, "TAKEN" in ended.out, SECRET in ended.out) == (0, True, False)


# --- files of the user that are the tree's --------------------------------------------------------------------


def test_the_salesforce_cli_of_a_home_in_the_repository_is_the_trees(stranger: Origin, tmp_path: Path) -> None:
    """As in containers whose home is the checkout: what ``sf`` knows is what the tree says."""
    root = tmp_path / "repository"
    plant(root)
    trees.plant(root, {".sf/config.json": json.dumps({"target-org": stranger.url("")})})
    command = ["run", "-d", str(root / "project"), "--json"]
    ended = inside(*command, at=tmp_path, **ENVIRONMENT | {"HOME": str(root)})
    assert (ended.document["name"], stranger.seen) == ("RefusedHost", [])
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/.sf").symlink_to(root / ".sf")
    ended = inside(*command, at=tmp_path, **ENVIRONMENT | {"HOME": str(tmp_path / "linked")})
    assert (ended.document["name"], stranger.seen) == ("RefusedHost", [])
    ended = inside(*command, "--no-project-config", at=tmp_path, **ENVIRONMENT | {"HOME": str(root)})
    assert (ended.document["name"], stranger.seen) == ("NoOrgChosen", [])
    sf = StandIn(tmp_path / "bin")
    sf.keeps(login("known", url=stranger.url("")))
    path = f"{sf.folder}:/usr/bin:/bin"
    command += ["-o", "known"]
    ended = inside(*command, at=tmp_path, **ENVIRONMENT | {"HOME": str(root), "PATH": path})
    assert (ended.document["name"], stranger.seen) == ("RefusedHost", [])
    inside(*command, at=tmp_path, **ENVIRONMENT | {"HOME": str(tmp_path / "home"), "PATH": path})
    assert SECRET in "".join(call.body for call in stranger.seen), "elsewhere it is the user's"


@pytest.mark.parametrize("git", ["folder", "file", "none"])
def test_the_repository_is_found_by_us(git: str, stranger: Origin, tmp_path: Path) -> None:
    """Whatever variables of git say; without one it is the project."""
    elsewhere(tmp_path / "other")
    root = plant(tmp_path / "repository", {".forceignore": ""}, **configured(stranger.url("")))
    (tmp_path / "repository/.git").rmdir()
    if git == "folder":
        (tmp_path / "repository/.git").mkdir()
    if git == "file":
        (tmp_path / "repository/.git").write_text(f"gitdir: {tmp_path}/other/.git\n")
    (tmp_path / "other/ignore").write_text("**/One*\n")
    (root / ".forceignore").unlink()
    (root / ".forceignore").symlink_to(tmp_path / "other/ignore")
    (root / "force-app/all").symlink_to(tmp_path / "other/force-app")
    trees.plant(tmp_path / "repository/shared", trees.app("Shared", settings=trees.CLIENT_CREDENTIALS))
    (root / "force-app/shared").symlink_to(tmp_path / "repository/shared")
    variables = {"GIT_WORK_TREE": str(tmp_path), "GIT_DIR": str(tmp_path / "other/.git")}
    ended = inside("app", "list", "-d", str(root), "--json", at=tmp_path, **variables)
    names = {app["name"] for app in ended.result["apps"]}
    assert names == ({"One"} if git == "none" else {"One", "Shared"})
    told = " ".join(ended.document["warnings"])
    assert ".forceignore is a link that leads outside" in told
    assert "force-app/all is a link that leads outside" in told
    (root / ".sf").mkdir()
    (tmp_path / "other/config.json").write_text(json.dumps({"target-org": PROD}))
    (root / ".sf/config.json").symlink_to(tmp_path / "other/config.json")
    ended = inside("run", "-d", str(root), "--json", at=tmp_path)
    assert (ended.document["name"], "leads out" in ended.document["message"]) == ("SfConfigUnreadable", True)


# --- three who must not notice any of this ----------------------------------------------------------------------


def test_a_team_with_aliases_of_its_project_and_secrets_in_its_ci(
    certificates: tuple[ssl.SSLContext, str], tmp_path: Path
) -> None:
    uat = "https://acme--uat.sandbox.my.salesforce.com"
    orgs = {"prod": {"url": PROD, "secretEnv": "PROD_SECRET"}, "uat": {"url": uat}}
    root = plant(tmp_path / "repository", plugins={"ecapipe": {"orgs": orgs}})
    variables = {"CI": "true", "PROD_SECRET": SECRET, "ECAPIPE_CLIENT_SECRET_ONE_UAT": f"{SECRET}U"}
    ended = inside("run", "-d", str(root), "--all-orgs", "--dry-run", "--json", at=tmp_path, **variables)
    assert (ended.status, ended.result["failures"]) == (0, [])
    with everywhere(certificates[0]) as (port, sent):
        variables |= {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "SSL_CERT_FILE": certificates[1]}
        inside("run", "-d", str(root), "-o", "prod", "--json", at=tmp_path, **variables)
    assert [host for host, text in sent if SECRET in text] == ["acme.my.salesforce.com"]


def test_a_monorepo_with_links_inside_the_repository(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    root = plant(repository, **configured(PROD, sourceDir="tree"))
    trees.plant(
        repository / "shared", trees.app("Two", settings=trees.CLIENT_CREDENTIALS, policies=trees.CLIENT_CREDENTIALS)
    )
    (repository / "shared/.forceignore").write_text("nothing\n")
    for link, target in {
        "force-app/two": "../../shared",
        ".forceignore": "../shared/.forceignore",
        "tree": "../shared",
    }.items():
        (root / link).symlink_to(target)
    listed = inside("app", "list", "-d", str(root), "--json", at=tmp_path)
    assert {app["name"] for app in listed.result["apps"]} == {"One", "Two"}
    assert listed.document["warnings"] == []
    planned = inside("run", "-d", str(root), "-o", "prod", "-n", "Two", "--dry-run", "--json", at=tmp_path)
    assert planned.result["failures"] == [], planned


def test_a_hook_on_a_laptop(tmp_path: Path) -> None:
    root = plant(tmp_path / "repository", **configured("https://acme.my.site.com"))
    (root / ".forceignore").write_text("nothing\n")
    ended = inside("app", "check", "--for", "deploy", "-d", str(root), "--fail-on", "error", "--json", at=root)
    assert "leads out" not in ended.out
    assert ended.document.get("name") is None
