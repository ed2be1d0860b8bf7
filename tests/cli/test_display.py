"""A run on a real terminal, and on what only looks like one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from commandline import Ended, on_terminal
from fakes.scene import Scene

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9]")


def shown(*arguments: str, at: Path, **variables: Any) -> Ended:
    with on_terminal(*arguments, at=at, **variables) as screen:
        return screen.end()


def test_a_terminal_gets_blocks_colours_and_its_cursor_back(scene: Scene, tmp_path: Path) -> None:
    ended = shown(*scene.run("Batch"), at=tmp_path)
    assert ended.status == 0
    assert COLOUR.search(ended.out)
    lines = [line.rpartition("\r")[2] for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", ended.out).split("\n")]
    assert " Batch@uat" in lines
    assert any(line.startswith(" ✔ Requesting token ") for line in lines)
    assert " Status: Succeeded" in lines
    assert ended.out.rfind("\x1b[?25h") > ended.out.rfind("\x1b[?25l")


@pytest.mark.parametrize(
    ("flags", "variables"),
    [
        ((), {"TERM": "dumb"}),
        ((), {"CI": "true"}),
        (("--no-progress",), {"NO_COLOR": "1"}),
    ],
)
def test_what_cannot_move_gets_lines(
    scene: Scene, tmp_path: Path, flags: tuple[str, ...], variables: dict[str, str]
) -> None:
    ended = shown(*scene.run("Batch"), *flags, at=tmp_path, **variables)
    assert ended.status == 0
    assert "\x1b" not in ended.out
    assert "\r" not in ended.out
    assert "✔ Batch@uat: Successfully authorized " in ended.out


def test_a_plain_terminal_gets_neither_colours_nor_glyphs(scene: Scene, tmp_path: Path) -> None:
    ended = shown(*scene.run("Batch"), at=tmp_path, PYTHONIOENCODING="ascii", NO_COLOR="1")
    assert ended.status == 0
    assert "\x1b[?25l" in ended.out
    assert not COLOUR.search(ended.out)
    assert ended.out.isascii()
    assert "+ Requesting token" in ended.out


def test_json_is_never_coloured(scene: Scene, tmp_path: Path) -> None:
    ended = shown(*scene.run("Batch"), "--json", at=tmp_path, FORCE_COLOR="1", CLICOLOR_FORCE="1")
    assert "\x1b" not in ended.out
    assert json.loads(ended.out)["status"] == ended.status == 0


def test_nobody_can_be_asked_in_ci_unless_ci_says_no(scene: Scene, tmp_path: Path) -> None:
    command = [*scene.run("Paster"), "--dry-run", "--json"]
    statuses = [shown(*command, at=tmp_path, CI=value).status for value in ("true", "false")]
    assert statuses == [1, 0]


def test_an_address_is_pasted_on_a_terminal(scene: Scene, tmp_path: Path) -> None:
    command = [*scene.run("Paster"), "--callback", "paste", "--browser", "none"]
    with on_terminal(*command, at=tmp_path, width=60, NO_COLOR="1") as screen:
        screen.terminal.expect(r"\r\n(http://localhost:\S+)\r\n")
        address = scene.sign_in(screen.found[1])
        screen.terminal.expect_exact("paste the")
        screen.terminal.sendline("what?")
        screen.terminal.expect_exact("Not a redirect URL or code.")
        screen.terminal.expect_exact("Paste a redirect URL:")
        screen.terminal.sendline(address)
        ended = screen.end()
    assert ended.status == 0
    assert "Successfully authorized user@uat.example" in ended.out


def test_a_missing_secret_is_asked_for_and_not_shown(scene: Scene, tmp_path: Path) -> None:
    settings = next(scene.root.rglob("Batch_glbloauth*"))
    secret = settings.read_text().partition("<consumerSecret>")[2].partition("<")[0]
    command = [*scene.run("Batch"), "--secret-from", "prompt"]
    with on_terminal(*command, at=tmp_path) as screen:
        screen.terminal.expect_exact("Consumer secret of Batch: ")
        screen.terminal.sendline(secret)
        ended = screen.end()
    assert ended.status == 0
    assert secret not in ended.out


def test_an_interrupted_terminal_is_left_as_it_was(scene: Scene, tmp_path: Path) -> None:
    command = [*scene.run("Listener"), "--callback", "listen", "--browser", "none"]
    with on_terminal(*command, at=tmp_path) as screen:
        screen.terminal.expect_exact("◼")  # the display runs
        screen.terminal.sendintr()
        ended = screen.end()
    assert ended.status == 130
    assert "Status: " in ended.out
    assert "Interrupted" in ended.out
    assert "Traceback" not in ended.out
    assert ended.out.rfind("\x1b[?25h") > ended.out.rfind("\x1b[?25l")
