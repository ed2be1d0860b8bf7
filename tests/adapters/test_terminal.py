"""Lines from a real pipe, and hidden answers from a real terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import TextIO

import pexpect
import pytest
from commandline import on_terminal

from ecapipe.adapters.terminal import Typed

Pipe = tuple[TextIO, TextIO]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """What comes out, and where it goes in."""
    out, into = os.pipe()
    with open(out, encoding="utf-8") as reader:
        writer = open(into, "w", encoding="utf-8", buffering=1)
        try:
            yield reader, writer
        finally:
            writer.close()


def test_lines_go_to_whoever_listens(pipe: Pipe) -> None:
    reader, writer = pipe
    lines, heard = Typed(reader), Queue[str | None]()
    with lines(heard.put):
        writer.write("one\n")
        assert heard.get(timeout=5) == "one\n"
        writer.write("\n two \n")
        assert [heard.get(timeout=5), heard.get(timeout=5)] == ["\n", " two \n"]


def test_a_line_that_nobody_waited_for_is_kept_for_the_next(pipe: Pipe) -> None:
    reader, writer = pipe
    lines, first, second = Typed(reader), Queue[str | None](), Queue[str | None]()
    with lines(first.put):
        writer.write("one\n")
        assert first.get(timeout=5) == "one\n"
    writer.write("two\n")
    with lines(second.put):
        assert second.get(timeout=5) == "two\n"
    assert first.empty()


def test_the_end_is_told_to_everybody_who_listens(pipe: Pipe) -> None:
    reader, writer = pipe
    lines, heard = Typed(reader), Queue[str | None]()
    with lines(heard.put):
        writer.write("last, without a line break")
        writer.close()
        assert [heard.get(timeout=5), heard.get(timeout=5)] == ["last, without a line break", None]
    for _ in range(2):
        with lines(heard.put):
            assert heard.get(timeout=5) is None


def test_without_a_stream_it_ends_at_once() -> None:
    heard = Queue[str | None]()
    with Typed(None)(heard.put):
        assert heard.get(timeout=5) is None


def test_a_stream_that_breaks_has_ended() -> None:
    heard = Queue[str | None]()
    with Typed(io.TextIOWrapper(io.BytesIO(b"\xff\xff\n"), encoding="utf-8"))(heard.put):
        assert heard.get(timeout=5) is None


ASKING = (sys.executable, "-c")


@pytest.mark.parametrize(
    ("typed", "told"), [("made-up-secret", "14"), (" made-up-secret ", "14"), ("", "none"), ("\x04", "none")]
)
def test_a_hidden_answer_is_taken_and_not_shown(tmp_path: Path, typed: str, told: str) -> None:
    program = (
        "from ecapipe.adapters.terminal import ask; secret = ask('Consumer secret of Billing: ');"
        "print('got', len(secret.reveal()) if secret else 'none')"
    )
    with on_terminal(program, at=tmp_path, program=ASKING) as screen:
        screen.terminal.expect_exact("Consumer secret of Billing: ")
        screen.terminal.send(typed if typed == "\x04" else f"{typed}\r")
        ended = screen.end()
    assert ended.status == 0
    assert f"got {told}" in ended.out
    assert "made-up" not in ended.out


def test_a_question_can_be_interrupted(tmp_path: Path) -> None:
    program = "from ecapipe.adapters.terminal import ask\ntry: ask('? ')\nexcept KeyboardInterrupt: print('stopped')"
    with on_terminal(program, at=tmp_path, program=ASKING) as screen:
        screen.terminal.expect_exact("? ")
        screen.terminal.sendintr()
        # Python sees a signal just before its read only after it; whoever sees nothing happen presses again.
        while screen.terminal.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=2):
            screen.terminal.sendintr()
        assert "stopped" in screen.seen.getvalue()
