"""Secrets that sing: whatever is asked, in whatever form, none of them leaves where it should not."""

from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import trees
from commandline import Ended, ecapipe, inside, on_terminal
from fakes.scene import staged
from fakes.servers import Said, Seen, origin
from loopback import free_port, request

from ecapipe.emulator import jws

PART = 8
"""So many characters of a secret count as the secret."""

SECRET_FIELDS = ("client_secret", "code", "code_verifier", "token", "access_token", "refresh_token", "signature")

Answer = Callable[[Seen, Said], Said | None]
Form = Callable[..., Ended]


@dataclass
class Secrets:
    """Every secret that was seen on the wire or planted in files and variables."""

    values: set[str] = field(default_factory=set)

    def add(self, value: str) -> None:
        # The first half of an access token is the org's id, which everybody may know.
        self.values.add(value.partition("!")[2] or value)

    def overhear(self, seen: Seen, said: Said) -> None:
        """Note the secrets of a request and of its answer."""
        for name, values in parse_qs(seen.body).items():
            if name in SECRET_FIELDS:
                self.add(values[0])
        if bearer := seen.headers.get("Authorization", "").removeprefix("Bearer "):
            self.add(bearer)
        if said.body.startswith(b"{"):
            for name, value in json.loads(said.body).items():
                if name in SECRET_FIELDS:
                    self.add(value)
        for code in parse_qs(urlsplit(said.headers.get("Location", "")).query).get("code", []):
            self.add(code)

    def heard_in(self, *texts: str) -> set[str]:
        """Parts of secrets in `texts`: plain, as in a URL, or in base64."""
        parts: set[str] = set()
        for value in self.values:
            encoded = [b64encode(b" " * lead + value.encode()).decode()[4:-4] for lead in range(3)]
            for form in (value, quote(value, safe=""), *encoded):
                parts.update(form[at : at + PART] for at in range(len(form) - PART + 1))
        return {text[at : at + PART] for text in texts for at in range(len(text) - PART + 1)} & parts


def passed_on(seen: Seen, port: int) -> Said:
    """What the org at `port` answers."""
    headers = {name: seen.headers[name] for name in ("Authorization", "Content-Type") if name in seen.headers}
    reply = request(port, seen.target, seen.method, body=seen.body or None, headers=headers)
    kept = {name: reply.headers[name] for name in ("Content-Type", "Location") if name in reply.headers}
    return Said(reply.status, reply.text.encode(), kept)


@dataclass
class Stage:
    """A project full of secrets, an org, and children that tell what they were given."""

    root: Path
    home: Path
    told: Path
    port: int
    org: int
    login: tuple[str, str]
    secrets: Secrets

    @contextmanager
    def before(self, answer: Answer | None = None) -> Iterator[str]:
        """The address of a relay before the org; it overhears everything, and gives `answer` where that is not
        the org's own."""

        def relayed(seen: Seen) -> Said:
            said = passed_on(seen, self.org)
            self.secrets.overhear(seen, said)
            return (answer(seen, said) if answer else None) or said

        with origin(relayed) as relay:
            yield relay.url("")

    def variables(self, **more: str) -> dict[str, str]:
        """The environment: a browser that signs in, and a git, both of which tell what they were given."""
        browser, git = self.told / "browser", self.told / "git"
        return {"BROWSER": str(browser), "PATH": f"{git.parent}:/usr/local/bin:/usr/bin:/bin", **more}

    def check(self, ended: Ended, key: str) -> None:
        """Nothing of a secret in what came out, was written, or was handed to a child."""
        scripts = {self.told / "browser", self.told / "git"}
        files = {path for folder in (self.home, self.told) for path in folder.rglob("*") if path.is_file()} - scripts
        texts = [ended.out, ended.err, *(path.read_text(errors="replace") for path in files)]
        assert self.secrets.heard_in(*texts) == set()
        words = [word for word in (ended.out + ended.err).split() if "/services/oauth2/authorize?" not in word]
        assert key[:10] not in " ".join(words)


BROWSER = """#!{python}
import os, sys
with open({told!r} + f"/child-{{os.getpid()}}", "w") as file:
    print(*sys.argv, *map("=".join, os.environ.items()), sep="\\n", file=file)
sys.path[:0] = [{root!r}, {root!r} + "/tests"]
from ecapipe.emulator.visitor import visit
from fakes.browser import sign_in
sign_in(sys.argv[1], lambda link: visit(link, *{login!r}, None))
"""
GIT = """#!/bin/sh
{{ printf '%s\\n' "$@"; env; }} > {told}/child-$$
PATH=/usr/local/bin:/usr/bin:/bin exec git "$@"
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    place = tmp_path_factory.mktemp("canary")
    port = free_port()
    with staged(place / "project", port) as scene:
        made = Stage(
            scene.root,
            place / "home",
            place / "told",
            port,
            int(scene.url.rpartition(":")[2]),
            scene.emulator.login("uat"),
            Secrets({trees.secret(app) for app in ("Batch", "Robot", "Listener", "Paster")}),
        )
        made.home.mkdir()
        made.told.mkdir()
        root = str(Path(__file__).parents[2])
        names = {"python": sys.executable, "told": str(made.told), "root": root, "login": made.login}
        for name, script in (("browser", BROWSER), ("git", GIT)):
            (made.told / name).write_text(script.format(**names))
            (made.told / name).chmod(0o755)
        yield made


def as_json(*arguments: str, at: Path, **more: str) -> Ended:
    ended = inside(*arguments, "--json", at=at, **more)
    assert ended.document["status"] == ended.status
    return ended


def on_screen(*arguments: str, at: Path, **more: Any) -> Ended:
    with on_terminal(*arguments, at=at, **more) as screen:
        return screen.end()


def as_lines(*arguments: str, at: Path, **more: str) -> Ended:
    """With everything that can be said: the log of all that happens, and where a bug stands."""
    return inside(*arguments, at=at, ECAPIPE_LOG_LEVEL="trace", SF_ENV="development", **more)


FORMS = (as_json, on_screen, as_lines)


def sweep(
    stage: Stage, status: int, *command: str, app: str = "Batch", forms: Iterable[Form] = FORMS, **more: Any
) -> None:
    """Run a command in every form, and listen."""

    for form in forms:
        ended = form(*command, at=stage.home, **stage.variables(**more))
        assert ended.status == status, ended
        stage.check(ended, trees.key(app))


def run(stage: Stage, url: str, app: str, *more: str) -> list[str]:
    return ["run", "-d", str(stage.root), "-n", app, "-o", f"uat={url}", *more]


def repeated(seen: Seen, said: Said) -> str:
    """Every secret of an exchange, as bad servers repeat what they were sent."""
    sent = [value for values in parse_qs(seen.body).values() for value in values]
    sent += [seen.headers.get("Authorization", ""), seen.body, said.body.decode()]
    return " ".join([*sent, *(b64encode(value.encode()).decode() for value in sent), *map(quote, sent)])


def test_a_part_of_a_secret_is_heard_in_every_disguise() -> None:
    value = "made-up/secret+of==the+canary"
    in_base64 = [b64encode(b"x" * lead + value.encode()).decode() for lead in range(3)]
    for text in (value, value[5:13], quote(value, safe=""), *in_base64):
        assert Secrets({value}).heard_in(f"before {text} after")
    assert not Secrets({value}).heard_in(f"before {value[5:12]} after")


def test_a_login_without_people(stage: Stage) -> None:
    before = len(stage.secrets.values)
    supplied: dict[str, Any] = {
        "ECAPIPE_CLIENT_SECRET_BATCH": trees.secret("Batch"),
        "ECAPIPE_CLIENT_ID": trees.key("Batch"),
    }
    with stage.before() as url:
        sweep(stage, 0, *run(stage, url, "Batch", "--verbose"))
        sweep(stage, 0, *run(stage, url, "Batch", "--revoke"), forms=[as_lines], **supplied)
    assert len(stage.secrets.values) >= before + 2 * 4, "a token and a signature for each login"


def test_a_login_in_a_browser(stage: Stage) -> None:
    before = len(stage.secrets.values)
    supplied: dict[str, Any] = {"ECAPIPE_CLIENT_SECRET_LISTENER": trees.secret("Listener")}
    with stage.before() as url:
        command = run(stage, url, "Listener", "--flow", "web", "--scopes", "api refresh_token", "--verbose")
        sweep(stage, 0, *command, app="Listener", **supplied)
    assert len(stage.secrets.values) >= before + 5 * 3, "code, verifier, two tokens and a signature for each login"
    children = [path.read_text() for path in stage.told.glob("child-*")]
    assert any("/ecapipe/open/" in child for child in children)
    assert not any("state=" in child or "/services/oauth2/authorize" in child for child in children)
    assert not any("ECAPIPE_CLIENT" in child for child in children)


def test_an_org_that_repeats_what_it_was_sent(stage: Stage) -> None:
    def refused(seen: Seen, said: Said) -> Said | None:
        told = {"error": "invalid_grant", "error_description": repeated(seen, said)}
        return Said(400, json.dumps(told).encode()) if seen.target.endswith("/token") else None

    with stage.before(refused) as url:
        sweep(stage, 1, *run(stage, url, "Batch"))
        sweep(stage, 1, *run(stage, url, "Listener", "--flow", "web"), app="Listener", forms=[as_json])


def test_a_pair_that_is_probed(stage: Stage) -> None:
    def refused(seen: Seen, said: Said) -> Said:
        return Said(400, json.dumps({"error": "strange", "error_description": repeated(seen, said)}).encode())

    with stage.before() as url:
        sweep(stage, 0, "app", "probe", "-d", str(stage.root), "-n", "Batch", "-o", f"uat={url}", "--verbose")
    with stage.before(refused) as url:
        sweep(stage, 1, "app", "probe", "-d", str(stage.root), "-n", "Batch", "-o", f"uat={url}", "--strict")


@pytest.mark.parametrize("kind", ["page", "error", "redirect"])
def test_an_answer_that_is_none(stage: Stage, kind: str) -> None:
    def strange(seen: Seen, said: Said) -> Said | None:
        if not seen.target.endswith("/token"):
            return None
        told = repeated(seen, said)
        return {
            "page": Said(200, f"<html>{told}</html>".encode(), {"Content-Type": "text/html"}),
            "error": Said(400, json.dumps({"error": told}).encode()),
            "redirect": Said(302, told.encode(), {"Location": f"https://evil.example/?{quote(told)}"}),
        }[kind]

    with stage.before(strange) as url:
        sweep(stage, 1, *run(stage, url, "Batch"), forms=[as_lines])


def test_a_token_that_is_refused(stage: Stage) -> None:
    def refused(seen: Seen, said: Said) -> Said | None:
        if seen.target.endswith("/userinfo"):
            return Said(403, seen.headers["Authorization"].encode(), {"Content-Type": "text/plain"})
        return None

    with stage.before(refused) as url:
        sweep(stage, 1, *run(stage, url, "Batch"), forms=[as_json, as_lines])


def test_a_secret_that_is_wrong(stage: Stage) -> None:
    wrong = "WRONG0SECRET0THAT0IS0MADE0UP"
    stage.secrets.add(wrong)
    with stage.before() as url:
        sweep(stage, 1, *run(stage, url, "Batch"), ECAPIPE_CLIENT_SECRET_BATCH=wrong)


def test_an_address_that_is_pasted(stage: Stage) -> None:
    code = "aPrxMADEUP.MADEUP.MADEUP.MADEUP%3D%3D"
    stage.secrets.add(code)
    pasted = f"{code[:20]} {code}\nhttps://www.example.com/done?code={code}&state=wrong\n"
    with stage.before() as url:
        command = run(stage, url, "Paster", "--callback", "paste", "--browser", "none")
        ended = ecapipe(*command, at=stage.home, typed=pasted, **stage.variables(ECAPIPE_LOG_LEVEL="trace"))
        assert ended.status == 69, ended
        assert "No sign-in is waiting for this response" in ended.err
        stage.check(ended, trees.key("Paster"))


@pytest.mark.parametrize(("command", "status"), [("app list", 0), ("app check", 1), ("run -p --until check", 1)])
def test_files_that_are_broken(stage: Stage, tmp_path: Path, command: str, status: int) -> None:
    app = trees.app("Batch", settings={"consumerSecret": [trees.secret("Batch")] * 2})
    path = next(path for path in app if "ecaGlblOauth" in path)
    broken = str(app[path]).replace("</consumerSecret>", "</consumerSecret", 1)
    root = trees.plant(tmp_path, trees.project() | app | {path.replace("Batch", "Broken"): broken})
    sweep(stage, status, *command.split(), "-d", str(root), forms=[as_json, as_lines])


def test_a_secret_in_the_place_of_a_flag_is_not_repeated(stage: Stage) -> None:
    secret = trees.secret("Batch")
    sweep(stage, 2, "run", f"--client-secret={secret}", forms=[as_json])
    sweep(stage, 2, "run", "--client-secret", secret, forms=[as_lines])
    address = f"https://robot:{secret}@acme.my.salesforce.com"
    sweep(stage, 2, "run", "-d", str(stage.root), "-o", address, forms=[as_lines])


def test_a_login_that_is_kept_used_and_ended(stage: Stage, tmp_path: Path) -> None:
    """Only the files that were asked for hold its secrets, and only the token's own command prints one."""
    at: dict[str, Any] = {"ECAPIPE_STATE_DIR": str(tmp_path)}
    login = ("-n", "Batch", "-o", "uat", "--verbose")
    with stage.before() as url:
        sweep(stage, 0, *run(stage, url, "Batch", "--save", "--store", "file", "--verbose"), **at)
        assert any(trees.secret("Batch") in path.read_text() for path in tmp_path.rglob("*.json"))
        for words in (("list", "--verbose"), ("display", *login, "--verify"), ("refresh", *login)):
            sweep(stage, 0, "login", *words, **at)
        token = ecapipe("login", "token", at=stage.home, **stage.variables(**at), ECAPIPE_LOG_LEVEL="trace")
        assert stage.secrets.heard_in(token.out)
        stage.check(Ended(token.status, "", token.err), trees.key("Batch"))
        sweep(stage, 0, "login", "logout", *login, forms=[as_lines], **at)
        sweep(stage, 2, "login", "token", forms=[as_lines], **at)


def test_a_key_that_tokens_are_bound_to(stage: Stage, tmp_path: Path) -> None:
    """It is made here and goes nowhere but to the place that was asked for."""
    at: dict[str, Any] = {"ECAPIPE_STATE_DIR": str(tmp_path)}
    login = ("-n", "Listener", "-o", "uat", "--verbose")
    url = f"http://localhost:{stage.org}"
    saving = run(stage, url, "Listener", "--flow", "web", "--dpop", "--save", "--store", "file", "--verbose")
    ended = [form(*saving, at=stage.home, **stage.variables(**at)) for form in FORMS]
    (path,) = (tmp_path / "logins").glob("*.json")
    secrets = json.loads(path.read_text())["secrets"]
    stage.secrets.add(secrets["dpopKey"])
    # In the forms of others, too: as a number, and in the base64 that is not for addresses.
    number = int.from_bytes(b64decode(secrets["dpopKey"].translate(str.maketrans("-_", "+/")) + "="))
    stage.secrets.values |= {str(number), f"{number:064x}", b64encode(number.to_bytes(32)).decode().rstrip("=")}
    for each in ended:
        assert each.status == 0, each
        stage.check(each, trees.key("Listener"))
    for words in (("list", "--verbose"), ("display", *login, "--verify"), ("refresh", *login)):
        sweep(stage, 0, "login", *words, app="Listener", **at)
    proved = inside("login", "token", "--proof", "GET", url, at=stage.home, **stage.variables(**at))
    proof = proved.out.partition("DPoP: ")[2].strip()
    assert proof.count(".") == 2
    # The token and the proof are what the command is for; the key is in neither.
    spoken = [json.dumps(jws.parse(proof).header), json.dumps(jws.parse(proof).claims), proof, proved.err]
    assert stage.secrets.heard_in(*spoken) == set()
    stage.secrets.add(proof.rpartition(".")[2])
    runs = [path.read_text() for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "logins"]
    assert runs
    assert stage.secrets.heard_in(*runs) == set()
    sweep(stage, 0, "login", "logout", *login, app="Listener", forms=[as_lines], **at)


@pytest.mark.parametrize("path", ["/token", "/userinfo", "/revoke"])
def test_an_org_that_repeats_what_a_kept_login_sends(stage: Stage, tmp_path: Path, path: str) -> None:
    at: dict[str, Any] = {"ECAPIPE_STATE_DIR": str(tmp_path)}
    refusing = False

    def refused(seen: Seen, said: Said) -> Said | None:
        told = {"error": "invalid_grant", "error_description": repeated(seen, said)}
        return Said(400, json.dumps(told).encode()) if refusing and seen.target.endswith(path) else None

    with stage.before(refused) as url:
        command = run(stage, url, "Listener", "--flow", "web", "--save", "--store", "file")
        sweep(stage, 0, *command, app="Listener", forms=[as_lines], **at)
        refusing = True
        words = {"/token": "refresh", "/userinfo": "display --verify", "/revoke": "logout"}[path]
        # A token that is refused at its end is over.
        sweep(stage, int(path != "/revoke"), "login", *words.split(), app="Listener", forms=[as_lines], **at)


def test_a_secret_that_is_kept(stage: Stage, tmp_path: Path) -> None:
    secret = trees.secret("Batch")
    command = ["app", "set-secret", "Batch", "-d", str(stage.root), "--store", "file"]
    for more in ([], ["--json"], ["--verbose"]):
        variables = stage.variables(ECAPIPE_STATE_DIR=str(tmp_path), ECAPIPE_LOG_LEVEL="trace")
        ended = ecapipe(*command, *more, at=stage.home, typed=f"{secret}\n", **variables)
        assert ended.status == 0, ended
        stage.check(ended, trees.key("Batch"))
    sweep(stage, 2, *command, secret, forms=[as_lines], ECAPIPE_STATE_DIR=str(tmp_path))
    sweep(stage, 0, "app", "forget-secret", "Batch", forms=[as_json], ECAPIPE_STATE_DIR=str(tmp_path))


def test_what_looks_around(stage: Stage) -> None:
    supplied: dict[str, Any] = {"ECAPIPE_CLIENT_SECRET_BATCH": trees.secret("Batch")}
    sweep(stage, 0, "manifest", "-d", str(stage.root), "--verbose", **supplied)
    for form in (as_json, as_lines):
        for command in (("doctor", "--verbose"), ("doctor", "--storage", "--verbose")):
            ended = form(*command, at=stage.root, **stage.variables(**supplied))
            assert ended.status == 0, ended
            stage.check(ended, trees.key("Batch"))
    # Names are offered, and nothing else of the files that they are in.
    asked = stage.variables(_ECAPIPE_COMPLETE="bash", **supplied)
    offered = inside("run", "-d", str(stage.root), "-n", "", at=stage.home, **asked)
    assert "Batch" in offered.out.splitlines()
    stage.check(offered, trees.key("Batch"))
