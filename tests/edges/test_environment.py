"""Environment variables: what they choose, the credentials they carry, and that no child inherits those."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecapipe.edges import environment
from ecapipe.edges.environment import Environment
from ecapipe.problems import EcapipeError

NAME = "ECAPIPE_CLIENT_SECRET_BILLING"
VALUE = "made-up-secret"


def revealed(variables: dict[str, str], name: str = NAME) -> str | None:
    secret = Environment(variables).credential(name)
    return None if secret is None else secret.reveal()


def test_a_variable_that_is_unset_or_empty_has_no_value() -> None:
    made = Environment({"EMPTY": "", "FULL": " text "})
    assert (made.get("MISSING"), made.get("EMPTY"), made.get("FULL")) == (None, None, " text ")


def test_credentials_are_taken_out_and_nothing_else() -> None:
    credentials = {
        name: VALUE
        for field in ("ECAPIPE_CLIENT_ID", "ECAPIPE_CLIENT_SECRET")
        for name in (field, f"{field}_APP", f"{field}_APP_ORG", f"{field}_FILE", f"{field}_APP_FILE")
    }
    jwt = ("ECAPIPE_JWT_KEY_FILE", "ECAPIPE_JWT_KEY_PASSPHRASE", "ECAPIPE_JWT_KEY_PASSPHRASE_FILE")
    credentials |= dict.fromkeys(jwt, VALUE)
    kept = {"PATH": "/bin", "ECAPIPE_ALLOWED_HOSTS": "example.com", "CLIENT_SECRET": "not ours"}
    variables = credentials | kept
    made = Environment(variables)
    assert variables == kept
    assert {name: made.get(name) for name in credentials} == credentials


def test_a_variable_can_be_taken_out_by_name() -> None:
    variables = {"BILLING_KEY": VALUE, "PATH": "/bin"}
    made = Environment(variables)
    assert [made.take("BILLING_KEY"), made.take("BILLING_KEY"), made.take("MISSING")] == [VALUE, VALUE, None]
    assert variables == {"PATH": "/bin"}


def test_no_child_of_this_process_inherits_a_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, VALUE)
    made = environment.process()
    dump = [sys.executable, "-c", "import os; print(sorted(os.environ.items()))"]
    child = subprocess.run(dump, check=True, capture_output=True, text=True, timeout=30).stdout
    assert "PATH" in child
    assert VALUE not in child
    secret = made.credential(NAME)
    assert secret is not None
    assert secret.reveal() == VALUE
    assert NAME not in os.environ


@pytest.mark.parametrize("value", [VALUE, f" {VALUE}\n", f"\t{VALUE}\r\n"])
def test_a_credential_comes_without_surrounding_space(value: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(value, encoding="utf-8-sig")
    assert revealed({NAME: value}) == VALUE
    assert revealed({f"{NAME}_FILE": str(tmp_path / "secret")}) == VALUE


def test_the_variable_wins_over_the_file_unless_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the file")
    variables = {f"{NAME}_FILE": str(tmp_path / "secret")}
    assert revealed({NAME: VALUE, **variables}) == VALUE
    assert revealed({NAME: " ", **variables}) == "of the file"


def test_nothing_is_no_credential(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    assert revealed({}) is None
    assert revealed({NAME: "", f"{NAME}_FILE": ""}) is None
    assert revealed({f"{NAME}_FILE": str(tmp_path / "empty")}) is None


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named_by_its_variable(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "aPrxTHE.SECRET.ITSELF"  # a frequent mistake: the value where a path belongs
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EcapipeError) as caught:
        revealed({f"{NAME}_FILE": str(path)})
    problem = caught.value.problem
    assert problem.name == "UnreadableFile"
    assert f"{NAME}_FILE" in problem.message
    assert path.name not in repr(problem)


@pytest.mark.parametrize(
    ("variables", "is_ci"),
    [
        ({}, False),
        ({"CI": "true"}, True),
        ({"CI": "1"}, True),
        ({"CI": "yes"}, True),
        ({"CI": ""}, False),
        ({"CI": "false"}, False),
        ({"CI": "False"}, False),
        ({"CI": "0"}, False),
        ({"CONTINUOUS_INTEGRATION": "true"}, True),
        ({"CI_JOB_ID": "7"}, True),
        ({"CI_JOB_ID": ""}, True),
        ({"CI": "false", "CI_JOB_ID": "7"}, False),
        ({"CI": "0", "CONTINUOUS_INTEGRATION": "true"}, False),
        ({"CIRCLE": "yes", "MY_CI_NAME": "x"}, False),
    ],
)
def test_ci_is_what_sf_takes_for_ci(variables: dict[str, str], is_ci: bool) -> None:
    assert Environment(variables).is_ci() is is_ci
