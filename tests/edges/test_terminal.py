"""Lines from a real pipe, and hidden answers from a real terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from queue import Queue
from typing import TextIO

import pexpect
import pytest

from ecapipe.edges.terminal import Typed

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


@pytest.mark.parametrize(
    ("typed", "told"), [("made-up-secret\r", "14"), (" made-up-secret \r", "14"), ("\r", "none"), ("\x04", "none")]
)
def test_a_hidden_answer_is_taken_and_not_shown(typed: str, told: str) -> None:
    program = (
        "from ecapipe.edges.terminal import ask; secret = ask('Consumer secret of Billing: ');"
        "print('got', len(secret.reveal()) if secret else 'none')"
    )
    terminal = pexpect.spawn(sys.executable, ["-c", program], encoding="utf-8", timeout=20)
    screen = io.StringIO()
    terminal.logfile_read = screen
    terminal.expect_exact("Consumer secret of Billing: ")
    terminal.send(typed)
    terminal.expect_exact(f"got {told}")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert "made-up" not in screen.getvalue()


def test_a_question_can_be_interrupted() -> None:
    program = "from ecapipe.edges.terminal import ask\ntry: ask('? ')\nexcept KeyboardInterrupt: print('stopped')"
    terminal = pexpect.spawn(sys.executable, ["-c", program], encoding="utf-8", timeout=20)
    terminal.expect_exact("? ")
    terminal.sendintr()
    terminal.expect_exact("stopped")
    terminal.expect(pexpect.EOF)
    terminal.close()
