"""Orgs that answer well, and hide in what they answer the secrets that they were sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import trees
from cli.test_canary import Secrets, Stage, as_json, as_lines, passed_on, stage
from commandline import Ended, inside
from disguises import DISGUISES, readings
from fakes.servers import Said, Seen, origin
from keypairs import certificate, pem, rsa_key, written

from ecapipe.render.reports import FORMATS

__all__ = ["stage"]

FORMS: dict[str, str] = {
    "preferred_username": "{:.240}@acme.example",
    "user_id": "005{:0<12.12}",
    "organization_id": "00D{:0<12.12}",
    "scope": "api {:.128}",
    "instance_url": "https://{:.63}.my.salesforce.com",
    "id": "https://acme.my.salesforce.com/id/00D{:0<12.12}/005000000000001AAA",
}
"""Where a text fits into each member that is shown."""
BARE = dict.fromkeys(FORMS, "{}")
OF_TOKENS = ("scope", "instance_url", "id")
OF_USER_INFO = ("preferred_username", "user_id", "organization_id")


def told(said: Said, member: str, text: str) -> Said:
    """The answer with another text in one of its members."""
    return replace(said, body=json.dumps({**json.loads(said.body), member: text}).encode())


def sent(seen: Seen) -> dict[str, str]:
    """The secrets of a request, by what they are."""
    form = {name: values[0] for name, values in parse_qs(seen.body).items()}
    return form | {"bearer": seen.headers.get("Authorization", "").removeprefix("Bearer ").partition("!")[2]}


def is_about(seen: Seen, member: str) -> bool:
    return seen.target.endswith("/token" if member in OF_TOKENS else "/userinfo")


def heard(secrets: Secrets, *texts: str) -> set[str]:
    """Parts of secrets in whatever `texts` read as."""
    lower = Secrets({value.lower() for value in secrets.values} | secrets.values)
    return lower.heard_in(*texts) | lower.heard_in(*(reading for text in texts for reading in readings(text)))


@contextmanager
def orgs(stage: Stage, hide: Callable[[int, Seen, Said], Said]) -> Iterator[Callable[[int], str]]:
    """The addresses of as many orgs as are wanted, each of which answers what `hide` makes of an honest answer."""

    def relayed(seen: Seen) -> Said:
        number, _, path = seen.target.removeprefix("/").partition("/")
        if not number.isdigit():  # a browser follows an address of the org's own
            number, path = "0", seen.target.removeprefix("/")
        asked = replace(seen, target=f"/{path}")
        said = passed_on(asked, stage.org)
        stage.secrets.overhear(asked, said)
        return hide(int(number), asked, said)

    with origin(relayed) as relay:
        yield lambda number: relay.url(f"/{number}")


def silent(stage: Stage, ended: Ended, *folders: Path) -> None:
    """Nothing of a secret in what came out, or in any file."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert heard(stage.secrets, ended.out, ended.err, *(path.read_text(errors="replace") for path in files)) == set()


def everything(home: Path) -> tuple[list[str], dict[str, str]]:
    """The flags and variables for all that can be written of a run, below `home`."""
    reports = [word for name in FORMATS for word in ("--report", f"{name}={home / name}")]
    variables = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(home / "summary")}
    return reports, variables


@pytest.mark.parametrize("form", [as_json, as_lines])
@pytest.mark.parametrize("member", FORMS)
def test_no_disguise_of_a_consumer_secret_is_repeated(
    stage: Stage, tmp_path: Path, member: str, form: Callable[..., Ended]
) -> None:
    secret = trees.secret("Batch")
    cases = [shape[member].format(disguise(secret)) for shape, disguise in product((FORMS, BARE), DISGUISES.values())]

    def hide(number: int, seen: Seen, said: Said) -> Said:
        return told(said, member, cases[number]) if is_about(seen, member) else said

    reports, variables = everything(tmp_path)
    with orgs(stage, hide) as at:
        wanted = [word for number in range(len(cases)) for word in ("-o", f"case{number}={at(number)}")]
        command = ["run", "-d", str(stage.root), "-n", "Batch", *wanted, "--verbose", *reports]
        ended = form(*command, at=tmp_path, **stage.variables(**variables))
    assert ended.status == 1, ended
    failures = json.loads((tmp_path / "json").read_text())["result"]["failures"]
    assert {failure["name"] for failure in failures} == {"UnexpectedAnswer"}
    assert len(failures) == len(cases)
    assert all(f"its {member}" in failure["message"] for failure in failures)
    silent(stage, ended, tmp_path)
    assert list(tmp_path.rglob("*.jsonl")), "it was recorded"


@pytest.mark.parametrize("disguise", ["hexadecimal"])
@pytest.mark.parametrize(
    ("member", "secret"),
    [
        ("scope", "code"),
        ("scope", "code_verifier"),
        ("scope", "client_secret"),
        ("preferred_username", "code"),
        ("preferred_username", "code_verifier"),
        ("preferred_username", "client_secret"),
        ("preferred_username", "bearer"),
    ],
)
def test_nothing_of_a_web_login_is_repeated_and_its_tokens_are_revoked(
    stage: Stage, tmp_path: Path, member: str, secret: str, disguise: str
) -> None:
    known: dict[str, str] = {}
    revoked: list[str] = []

    def hide(_: int, seen: Seen, said: Said) -> Said:
        known.update(sent(seen))
        if seen.target.endswith("/revoke"):
            revoked.append(sent(seen)["token"])
        return (
            told(said, member, FORMS[member].format(DISGUISES[disguise](known[secret])))
            if is_about(seen, member)
            else said
        )

    reports, variables = everything(tmp_path)
    with orgs(stage, hide) as at:
        command = ["run", "-d", str(stage.root), "-n", "Listener", "-o", f"uat={at(0)}", "--flow", "web", "--json"]
        scopes = ["--scopes", "api id refresh_token"]
        ended = inside(*command, *scopes, *reports, at=tmp_path, **stage.variables(**variables))
    assert [failure["name"] for failure in ended.result["failures"]] == ["UnexpectedAnswer"], ended
    assert len(revoked) == 2
    silent(stage, ended, tmp_path)


@pytest.mark.parametrize("disguise", ["plain", "hexadecimal", "escaped", "base64 of an address"])
@pytest.mark.parametrize("member", ["scope", "preferred_username"])
def test_an_assertion_is_not_repeated(tmp_path: Path, member: str, disguise: str) -> None:
    settings = {"certificate": certificate(rsa_key()), "consumerSecret": None}
    root = trees.plant(tmp_path / "project", trees.project() | trees.app(settings=settings))
    (home := tmp_path / "home").mkdir()
    secrets, known = Secrets(), dict[str, str]()
    identity = "https://acme.my.salesforce.com/id/00D000000000001EAA/005000000000001AAA"
    users = {
        "user_id": identity[-18:],
        "organization_id": "00D000000000001EAA",
        "preferred_username": "ada@b.example",
    }

    def answer(seen: Seen) -> Said:
        known.update(sent(seen))
        secrets.add(known["assertion"])
        honest = {"access_token": "00D000000000001!AQ", "id": identity} if seen.method == "POST" else users
        said = Said(body=json.dumps(honest).encode())
        text = FORMS[member].format(DISGUISES[disguise](known["assertion"][-100:]))
        return told(said, member, text) if is_about(seen, member) else said

    reports, variables = everything(home)
    key = ["--jwt-key-file", written(tmp_path, pem(rsa_key()))]
    with origin(answer) as org:
        command = ["run", "-d", str(root), "-o", f"uat={org.url('')}", "--username", "ada@b.example", *key, "--json"]
        ended = inside(*command, *reports, at=home, **variables)
    assert [failure["name"] for failure in ended.result["failures"]] == ["UnexpectedAnswer"], ended
    files = [path.read_text() for path in home.rglob("*") if path.is_file()]
    assert heard(secrets, ended.out, ended.err, *files) == set()


@pytest.mark.parametrize("words", [("display", "--verify"), ("refresh",), ("token",)])
def test_nothing_of_a_kept_login_is_repeated(stage: Stage, tmp_path: Path, words: tuple[str, ...]) -> None:
    (home := tmp_path / "home").mkdir()
    at_home = stage.variables(ECAPIPE_STATE_DIR=str(tmp_path / "state"))
    case: tuple[str, str] | None = None
    member_of = OF_TOKENS if words == ("refresh",) else OF_USER_INFO
    known = ("secret",) if words == ("refresh",) else ("secret", "bearer")
    shapes = product(member_of, ("plain", "entities"), known)
    bearer = ""

    def hide(_: int, seen: Seen, said: Said) -> Said:
        nonlocal bearer
        bearer = sent(seen)["bearer"] or bearer
        if case is None or not is_about(seen, case[0]):
            return said
        return told(said, case[0], FORMS[case[0]].format(case[1]))

    with orgs(stage, hide) as at:
        command = ["run", "-d", str(stage.root), "-n", "Batch", "-o", f"uat={at(0)}", "--save", "--store", "file"]
        assert inside(*command, at=home, **at_home).status == 0
        for member, disguise, secret in shapes:
            value = trees.secret("Batch") if secret == "secret" else bearer
            case = (member, DISGUISES[disguise](value))
            for more in (["--json"],) if words[0] != "token" else ([],):
                ended = inside("login", *words, *more, at=home, **at_home, ECAPIPE_LOG_LEVEL="trace")
                assert ended.status == 1, (case, ended)
                assert f"its {member}" in ended.out + ended.err
                silent(stage, ended, home)
        kept = [path.read_text() for path in (tmp_path / "state").rglob("*.json")]
        assert not any("{:.8}".format(DISGUISES["hexadecimal"](trees.secret("Batch"))) in text for text in kept)
