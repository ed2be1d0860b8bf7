from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecapipe.adapters import reading

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")

SPECIAL: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    SPECIAL[kind](tmp_path / "x")
    with pytest.raises(OSError, match=r"not a regular file|directory"):
        reading.read(str(tmp_path / "x"), 10)


def test_a_link_at_the_end_is_followed_only_where_links_are(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert reading.read(str(tmp_path / "link"), 10) == b"content"
    with pytest.raises(OSError):  # noqa: PT011 - systems word it differently
        reading.open_file(str(tmp_path / "link"), links=False)


def test_no_more_is_read_than_shows_that_a_file_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 300_000)
    assert len(reading.read(str(tmp_path / "file"), 200_000)) == 200_001


def test_a_pipe_that_the_user_named_is_read_to_its_end_however_it_comes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        time.sleep(0.05)
        with pipe.open("wb", buffering=0) as stream:
            for part in (b"first, ", b"x" * 100_000, b", last"):
                stream.write(part)
                time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    assert reading.read(str(pipe), 2**20, pipes=True) == b"first, " + b"x" * 100_000 + b", last"
    writer.join()


def test_a_pipe_that_never_ends_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TimeoutError):
        reading.read(str(tmp_path / "pipe"), 10, pipes=True, patience=0.05)
