"""A secret on the command line was pasted to the wrong place: no error repeats it, and no record keeps it."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
import trees
from commandline import inside
from hypothesis import given
from hypothesis import strategies as st
from keypairs import pem, rsa_key
from profiles import tries

from ecapipe.cli import arguments
from ecapipe.cli.completion import load_command
from ecapipe.cli.help import COMMANDS
from ecapipe.secret import REDACTED

SECRETS = {
    "consumer secret": trees.secret("Billing"),
    "consumer secret, old form": "1234567890123456789",
    "in hexadecimal": secrets.token_hex(24),
    "as somebody made it up": "correct-horse!battery",
    "private key": pem(rsa_key()).decode(),
    "private key without its first line": "".join(pem(rsa_key()).decode().splitlines()[1:-1]),
}
HARMLESS = {
    "APP": ("Nightly_Reports", "ThisIsAVeryOddAppName2", "acme__Billing", "Biling App"),
    "ORG": (
        "uat", "00Dao00000kLmNoEAG", "https://acme--uat.sandbox.my.salesforce.com", "acme.my.site.com/partners",
        "uat=https://d5g000004zzzzeae-dev-ed.develop.my.salesforce.com", "localhost:8443", "robot@acme.example",
        "dev=http://[::1]:8443/uat", "My Org",
    ),
    "HOST": ("localhost:8443", "sso.acme.example", "https://sso.acme.example/"),
    "NAME": ("test-abcdefg1hijk@example.com", "robot@acme.example.ab12cd34", "o'ada+x@acme.example", "RefusedHost"),
    "DIR": ("force-app", "..", r"C:\Users\dev\My Project (2)", "~/projects/acme/2026-11-28/force-app", ""),
    "FILE": ("orgs.csv", "/tmp/shard-1.json"),
    "FORMAT=PATH": ("json=build/shard-1.json", "jsn=x"),
    "PATH": (),
    "COMMAND": ("gh secret set {variable}", "consumerSecret=vault kv patch {app} {field}=-", "receiver 'a b'"),
    "RUN": ("20261128T220046Z-abcdef", "20261128"),
    "RUN|FILE": ("20261128T220046Z-abcdef", "build/result.json"),
    "REF": ("origin/main", "HEAD~3", "v1.2.0", "0123456789abcdef0123456789abcdef01234567"),
    '"A B"': ("api refresh_token", "api,web", "cdp_ingest_api", "a:b/c.d_e"),
    "METHOD URL": ("GET", "patch"),
    "MINUTES": ("5", "0.5", "abc", "5m"),
    "N": ("8717", "-1"),
    "K/N": ("1/4",),
    arguments.CHOICE: ("client-credentials", "wbe"),
}  # fmt: skip
PLACES = (
    "{}", "app {}", "login {}", "login logout {}", "runs show {}", "explain {}", "app list -d {}", "app list -n {}",
    "app list -n{}", "app list --{}", "app set-secret Billing {}", "run -n {}", "run -o {}", "run -o uat={}",
    "run --flow {}", "run --flow={}", "run --jwt-key-file {}", "run --report {}=x", "run --shard {}", "run --wait {}",
)  # fmt: skip


LINES = [(name, child) for name, command in COMMANDS.items() for child in command.children or (None,)]


def presentable(name: str, child: str | None, *words: str) -> list[str]:
    return arguments.presentable(words, load_command(name, child).params)


def takers(name: str, child: str | None) -> list[tuple[str, list[str], str]]:
    """What stands before each value that a command takes, and the value's kind."""
    return [
        (each.name, [] if each.param_type_name == "argument" else each.opts, arguments.kind(each))
        for each in load_command(name, child).params
        if each.param_type_name == "argument" or not each.is_flag
    ]


@pytest.mark.parametrize(("name", "child"), LINES)
def test_a_value_is_shown_if_it_has_the_form_of_what_its_flag_takes(name: str, child: str | None) -> None:
    for _, flags, kind in takers(name, child):
        assert kind in HARMLESS, "every flag says what it takes"
        for value in HARMLESS[kind]:
            for words in [[flag, value] for flag in flags] or [[value or "."]]:
                assert presentable(name, child, *words) == words
        for secret in SECRETS.values():
            lines = [[value] for value in (secret, f"--{secret}", f"--client-secret={secret}")]
            lines += [[flag, secret] for flag in flags]
            lines += [[f"{flag}={secret}" if flag.startswith("--") else flag + secret] for flag in flags]
            for words in lines:
                shown = presentable(name, child, *words)
                assert REDACTED in shown[-1]
                assert not any(secret[:8] in word for word in shown)


@tries(25)
@given(st.integers(1, 40), st.integers(0, 10**6))
def test_no_lines_of_a_private_key_are_shown(count: int, start: int) -> None:
    lines = pem(rsa_key()).decode().splitlines()[:-2]
    start %= len(lines)
    for text in ("\n".join(lines[start : start + count]), " ".join(lines[start : start + count])):
        for _, flags, _ in takers("run", None):
            assert presentable("run", None, flags[0], text) == [flags[0], "[REDACTED]"]


def test_what_no_flag_expects_is_shown_if_it_is_a_word() -> None:
    words = ["Billing", "--nosuch=thing", "--", "-x", "--json", "--verbose"]
    assert presentable("run", None, *words) == [*words[:3], "[REDACTED]", "[REDACTED]", "[REDACTED]"]
    assert presentable("run", None, "https://user:pass@host") == ["[REDACTED]"]
    for flag in ("-o", "-d", "--file", "--report"):
        assert presentable("run", None, flag, "https://user:pass@host") == [flag, "[REDACTED]"]


def test_what_exists_is_a_path_whatever_it_looks_like(tmp_path: Path) -> None:
    path = tmp_path / trees.secret("Billing")
    for flag in ("--source-dir", "--jwt-key-file"):
        assert presentable("run", None, f"{flag}={path}") == [f"{flag}=[REDACTED]"]
    path.touch()
    for flag in ("--source-dir", "--jwt-key-file"):
        assert presentable("run", None, f"{flag}={path}") == [f"{flag}={path}"]
    assert presentable("run", None, f"--name={path}") == ["--name=[REDACTED]"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("json", [[], ["--json"]], ids=["people", "json"])
def test_no_error_repeats_a_secret(tmp_path: Path, place: str, json: list[str]) -> None:
    trees.plant(tmp_path, trees.project() | trees.app("Billing"))
    secret = SECRETS["in hexadecimal"]
    ended = inside(*(word.format(secret) for word in place.split()), *json, at=tmp_path)
    assert ended.status in (1, 2)
    assert secret not in ended.out + ended.err


def test_an_error_about_a_file_repeats_no_secret_of_it(tmp_path: Path) -> None:
    token = "00D000000000001!AQFAKE.token"
    trees.plant(tmp_path, trees.project(sfdcLoginUrl=f"https://{token}.my.salesforce.com") | trees.app("Billing"))
    for words in (["run"], ["run", "--json"]):
        ended = inside(*words, at=tmp_path)
        assert ended.status == 2
        assert "AQFAKE" not in ended.out + ended.err


@pytest.mark.parametrize(
    "variable", ["ECAPIPE_LOG_LEVEL", "ECAPIPE_ALLOWED_HOSTS", "ECAPIPE_STATE_DIR", "SSL_CERT_FILE"]
)
@pytest.mark.parametrize("command", ["doctor", "run"])
def test_nothing_repeats_a_password_or_a_token_in_a_variable(tmp_path: Path, variable: str, command: str) -> None:
    trees.plant(tmp_path, trees.project() | trees.app("Billing"))
    for value in ("http://ada:swordfish@proxy.example:3128", "00D000000000001!AQFAKE.token"):
        for json in ([], ["--json"]):
            ended = inside(command, *json, at=tmp_path, **{variable: value})
            assert ended.status in (0, 1, 2)
            assert not any(part in ended.out + ended.err for part in ("swordfish", "AQFAKE"))


@pytest.mark.parametrize("secret", [trees.secret("Billing"), SECRETS["private key"], "a\x1b[2J"])
@pytest.mark.parametrize("place", ["--username", "--scopes", "-o"])
def test_what_would_be_sent_and_shown_is_refused_if_it_is_no_name(tmp_path: Path, place: str, secret: str) -> None:
    trees.plant(tmp_path, trees.project() | trees.app("Billing"))
    value = f"{secret}=https://acme.my.salesforce.com" if place == "-o" else secret
    ended = inside("run", place, value, "--dry-run", "--json", at=tmp_path)
    assert ended.status == 2
    assert secret[:8] not in ended.out + ended.err
