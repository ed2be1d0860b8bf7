"""A secret on the command line was pasted to the wrong place: no error repeats it, and no record keeps it."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
import trees
from commandline import inside
from keypairs import pem, rsa_key

from ecapipe.cli.arguments import presentable

SECRETS = {
    "consumer secret": trees.secret("Billing"),
    "consumer secret, old form": "1234567890123456789",
    "in hexadecimal": secrets.token_hex(24),
    "as somebody made it up": "correct-horse!battery",
    "private key": pem(rsa_key()).decode(),
    "private key without its first line": "".join(pem(rsa_key()).decode().splitlines()[1:-1]),
}
HARMLESS = (
    "Nightly_Reports", "ThisIsAVeryOddAppName2", "00Dao00000kLmNoEAG", "20261128T220046Z-abcdef", "8717", "1/4",
    "https://acme--uat.sandbox.my.salesforce.com", "uat=https://d5g000004zzzzeae-dev-ed.develop.my.salesforce.com",
    "test-abcdefg1hijk@example.com", "robot@acme.example.ab12cd34", "json=build/shard-1.json", "api refresh_token",
    "--jwt-key-file", r"C:\Users\dev\My Project (2)\server.key", "localhost:8443", "",
)  # fmt: skip
PLACES = (
    "{}", "app {}", "login {}", "login logout {}", "runs show {}", "explain {}", "app list -d {}", "app list -n {}",
    "app list -n{}", "app list --{}", "app set-secret Billing {}", "run -n {}", "run -o {}", "run -o uat={}",
    "run --flow {}", "run --flow={}", "run --jwt-key-file {}", "run --report {}=x", "run --shard {}", "run --wait {}",
)  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_what_looks_like_a_secret_is_not_presentable(secret: str) -> None:
    assert presentable([secret]) == ["[REDACTED]"]
    assert presentable([f"--jwt-key-file={secret}"]) == ["--jwt-key-file=[REDACTED]"]


@pytest.mark.parametrize("word", HARMLESS)
def test_what_people_name_is_shown(word: str) -> None:
    assert presentable([word]) == [word]
    assert presentable([f"--name={word}"]) == [f"--name={word}"]


def test_what_exists_is_a_path_whatever_it_looks_like(tmp_path: Path) -> None:
    path = tmp_path / trees.secret("Billing")
    assert presentable([f"--source-dir={path}"]) == ["--source-dir=[REDACTED]"]
    path.touch()
    assert presentable([f"--source-dir={path}"]) == [f"--source-dir={path}"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("json", [[], ["--json"]], ids=["people", "json"])
def test_no_error_repeats_a_secret(tmp_path: Path, place: str, json: list[str]) -> None:
    trees.plant(tmp_path, trees.project() | trees.app("Billing"))
    secret = SECRETS["in hexadecimal"]
    ended = inside(*(word.format(secret) for word in place.split()), *json, at=tmp_path)
    assert ended.status in (1, 2)
    assert secret not in ended.out + ended.err
