"""What needs no org: commands of ``--deliver``, and the records that say which logins were handed over."""

from __future__ import annotations

import posixpath
import re
import shlex
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.adapters import rotation_tools
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage.journal import JournalWriter
from ecapipe.documents.recorded_runs import FINGERPRINT
from ecapipe.events import (
    ALL_STAGES,
    HAND_OVER,
    LoginResult,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    Subject,
    SubjectFinished,
)
from ecapipe.rotate import commands
from ecapipe.rotate.ports import HandedOver

VALUES = {"field": "consumerKey", "variable": "ECAPIPE_CLIENT_ID_X", "app": "X", "org": "uat"}
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_what_a_shell_would_pass_on_is_passed_on(words: list[str]) -> None:
    command = commands.parse(shlex.join(["program", "{field}", *words]))
    assert command.words == ("program", "{field}", *words)


@given(NAMES, NAMES)
def test_a_name_stays_in_its_argument_and_is_no_option(app: str, org: str) -> None:
    command = commands.parse("program {field} {app} --name={org} {app}{org}")
    try:
        arguments = command.arguments({**VALUES, "app": app, "org": org})
    except ValueError:
        assert any(re.search(r"[^\w .:@+-]|^\.+$|(?:^| )-", name) for name in (app, org))
    else:
        assert arguments == ["consumerKey", app, f"--name={org}", app + org]
        assert not [word for word in (*app.split(), *org.split()) if word.startswith("-")]
        # Nothing but words to a shell, and one step of a path.
        assert shlex.split(app) == app.split()
        assert PurePosixPath(posixpath.normpath(f"a/{app}/b")).parts == ("a", app, "b")


@pytest.mark.parametrize(
    "name",
    [
        "$(touch made)",
        "`touch made`",
        "X;touch made",
        "..",
        "../up",
        "a/b",
        "a\nb",
        "'",
        "a&b",
        "-x",
        "X --vault mine",
    ],
)
@pytest.mark.parametrize("placeholder", ["app", "org"])
def test_a_name_that_a_shell_or_a_path_reads_otherwise_is_refused(name: str, placeholder: str) -> None:
    command = commands.parse(f"sh -c 'put {{field}} {{{placeholder}}}'")
    assert command.arguments(VALUES) == ["-c", f"put consumerKey {VALUES[placeholder]}"]
    with pytest.raises(ValueError, match="starts with a hyphen, or it contains other characters"):
        command.arguments({**VALUES, placeholder: name})


def test_an_argument_of_the_user_may_hold_anything() -> None:
    command = commands.parse("sh -c 'set -e\n\tput {field}'")
    assert command.arguments(VALUES) == ["-c", "set -e\n\tput consumerKey"]


@pytest.mark.parametrize(
    "text", ["", "x", "consumerSecret=", "consumerSecret=''", "x '{field}", "'' {field}", "{field}"]
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="--deliver"):
        commands.parse(text)


def test_records_tell_which_logins_were_handed_over(tmp_path: Path) -> None:
    environment = Environment({"ECAPIPE_STATE_DIR": str(tmp_path)})
    subject, at = Subject("Billing", "uat", "."), "2026-11-29T00:00:00Z"
    login = LoginResult("ada@acme.example", "005000000000001", "00D000000000001", None, (), "web", "handedOver")
    writer = JournalWriter(environment)
    writer(RunStarted("20261129T000000Z-abcdef", at, ALL_STAGES))
    writer(RunPlanned((), (subject,)))
    writer(StageEnded(HAND_OVER, subject, "passed", at, facts={FINGERPRINT: {"key": "0123456789abcdef"}}))
    writer(SubjectFinished(subject, login))
    writer(RunEnded(False, 1))
    expected = HandedOver("Billing", "00D000000000001", "ada@acme.example", "0123456789abcdef")
    assert list(rotation_tools.tools(environment).handed_over) == [expected]
