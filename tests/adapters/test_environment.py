"""Environment variables: what they choose, the credentials they carry, and that no child inherits those."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ecapipe.adapters import environment
from ecapipe.adapters.environment import Environment
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unreadable_file

NAME = "ECAPIPE_CLIENT_SECRET_BILLING"
VALUE = "made-up-secret"


def revealed(variables: dict[str, str], name: str = NAME) -> str | None:
    secret = Environment(variables).credential(name)
    return None if secret is None else secret.reveal()


def test_a_variable_that_is_unset_or_empty_has_no_value() -> None:
    made = Environment({"EMPTY": "", "FULL": " text "})
    assert (made.get("MISSING"), made.get("EMPTY"), made.get("FULL")) == (None, None, " text ")


def test_children_are_given_no_credential_and_all_else() -> None:
    credentials = {
        name: VALUE
        for field in ("ECAPIPE_CLIENT_ID", "ECAPIPE_CLIENT_SECRET")
        for name in (field, f"{field}_APP", f"{field}_APP_ORG", f"{field}_FILE", f"{field}_APP_FILE")
    }
    jwt = ("ECAPIPE_JWT_KEY_FILE", "ECAPIPE_JWT_KEY_PASSPHRASE", "ECAPIPE_JWT_KEY_PASSPHRASE_FILE")
    credentials |= dict.fromkeys(jwt, VALUE)
    kept = {"PATH": "/bin", "CLIENT_SECRET": "not ours", "SF_TARGET_ORG": "uat", "GIT_DIR": "/repo/.git"}
    made = Environment(credentials | kept)
    assert made.for_programs() == kept
    assert made.for_git() == {"PATH": "/bin", "GIT_DIR": "/repo/.git"}
    assert {name: made.get(name) for name in credentials} == credentials


@pytest.mark.parametrize("ask", [Environment.take, Environment.credential])
def test_what_a_project_names_is_kept_from_children_with_its_twin(ask: Callable[[Environment, str], object]) -> None:
    variables = {"BILLING_KEY": VALUE, "BILLING_KEY_FILE": "/key", "billing_key": VALUE, "PATH": "/bin"}
    made = Environment(variables)
    for _ in range(2):
        assert str(getattr(ask(made, "BILLING_KEY"), "reveal", lambda: VALUE)()) == VALUE
        assert made.for_programs() == {"PATH": "/bin"}
    assert ask(made, "MISSING") is None
    assert len(variables) == 4, "our own environment is not changed"


def test_a_twin_is_kept_from_children_though_only_it_is_set() -> None:
    made = Environment({"BILLING_KEY_FILE": "/key"})
    made.take("BILLING_KEY")
    assert made.for_programs() == {}


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "HOME", "USERPROFILE", "TMPDIR", "LANG", "LC_ALL", "XDG_CONFIG_HOME", "GIT_DIR", "SF_TARGET_ORG",
        "SFDX_ACCESS_TOKEN", "HTTPS_PROXY", "https_proxy", "no_proxy", "ftp_proxy", "SSL_CERT_FILE",
        "NODE_EXTRA_CA_CERTS",
    ],
)  # fmt: skip
def test_what_programs_need_cannot_be_taken(name: str) -> None:
    value = f"/{VALUE}"  # as a folder of PATH it has to be absolute
    variables = {name: value, f"{name}_FILE": "/made-up"}
    made = Environment(variables)
    assert made.take(name) is None
    assert made.credential(name) is None
    assert made.get(name) == value
    assert made.for_programs()[name] == value
    assert variables == {name: value, f"{name}_FILE": "/made-up"}


def test_what_is_called_like_a_twin_and_is_needed_is_none(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("made up")
    made = Environment({"SSL_CERT_FILE": str(tmp_path / "ca.pem")})
    assert made.take("SSL_CERT") is None
    assert made.credential("SSL_CERT") is None
    assert made.for_programs() == {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}


def test_reading_a_credential_leaves_the_process_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, VALUE)
    before = dict(os.environ)
    made = environment.process()
    secret = made.credential(NAME)
    assert secret is not None
    assert secret.reveal() == VALUE
    made.take("PATH")
    assert dict(os.environ) == before


def test_only_absolute_folders_are_searched_for_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (".", "sub", "bin"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "tool").write_text("#!/bin/sh\n")
        (tmp_path / folder / "tool").chmod(0o755)
    assert Environment({"PATH": f".::sub:{tmp_path}/bin"}).program("missing", "tool") == f"{tmp_path}/bin/tool"
    assert Environment({"PATH": ".::sub"}).program("tool") is None


@pytest.mark.parametrize("mark", [".git", "sfdx-project.json", "force-app/.git"])
def test_no_program_of_the_tree_is_found_or_passed_on(
    mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("tree/bin", "tree/force-app", "own"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("tree/bin", "own"):
        (tmp_path / folder / "tool").write_text("#!/bin/sh\n")
        (tmp_path / folder / "tool").chmod(0o755)
    (tmp_path / "tree" / mark).touch()
    if mark == "force-app/.git":  # a submodule, which the tree around it has chosen
        (tmp_path / "tree/.git").mkdir()
    (tmp_path / "tree/link").symlink_to(tmp_path / "own")
    (tmp_path / "alias").symlink_to(tmp_path / "tree")
    (tmp_path / "into").symlink_to(tmp_path / "tree/bin")
    monkeypatch.chdir(tmp_path / "tree/force-app")
    for inside in ("tree", "tree/bin", "tree/link", "own/../tree/bin", "alias/bin", "alias/link", "into"):
        made = Environment({"PATH": f"{tmp_path}/{inside}"})
        assert made.program("tool") is None, inside
        assert (made.for_programs(), made.for_git()) == ({}, {}), inside
    monkeypatch.chdir(tmp_path)
    for path in ("tree/force-app", f"{tmp_path}/alias/force-app", "tree/link"):  # looked at from elsewhere
        made = Environment({"PATH": f"{tmp_path}/tree/bin"})
        assert made.program("tool") == f"{tmp_path}/tree/bin/tool"
        made.pass_over((path,))
        assert (made.program("tool"), made.for_programs()) == (None, {})
    monkeypatch.chdir(tmp_path / "tree/force-app")
    made = Environment({"PATH": f"bin::.:{tmp_path}/tree/bin:{tmp_path}/own", "CHOSEN": f"{tmp_path}/tree/bin/tool"})
    assert made.program("tool") == f"{tmp_path}/own/tool"
    assert made.for_programs()["PATH"] == made.for_git()["PATH"] == f"{tmp_path}/own"
    assert made.program("tool", chosen="CHOSEN") == f"{tmp_path}/tree/bin/tool"
    assert Environment({**made.for_git(), "CHOSEN": "../bin/tool"}).program("tool", chosen="CHOSEN") is None


def test_a_name_that_ends_like_a_twin_is_a_name(tmp_path: Path) -> None:
    assert revealed({"DB_PASS_FILE": VALUE}, "DB_PASS_FILE") == VALUE
    (tmp_path / "secret").write_text(VALUE)
    assert revealed({"DB_PASS_FILE_FILE": str(tmp_path / "secret")}, "DB_PASS_FILE") == VALUE
    made = Environment({"DB_PASS_FILE": VALUE})
    made.credential("DB_PASS_FILE")
    assert made.for_programs() == {}


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
    assert problem.kind is unreadable_file
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
