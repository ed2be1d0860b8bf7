"""Every journey leaves behind what was recorded: outputs, exit status, JSON, and files."""

from __future__ import annotations

import difflib
import sys
import tempfile
from pathlib import Path

import pytest
import trees
from journeys import record
from journeys.table import GROUPS

from ecapipe.cli.help import COMMANDS


@pytest.mark.timeout(300)
@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="other versions word what the interpreter says differently"
)
@pytest.mark.parametrize("group", GROUPS)
def test_journeys_end_as_they_were_recorded(group: str) -> None:
    """Where a change is meant: tests/journeys/record.py --update, and read what `git diff` says of it."""
    recorded = (record.RECORDED / f"{group}.txt").read_text(encoding="utf-8")
    # As record.py has it: a table takes other lines for a longer path.
    with tempfile.TemporaryDirectory(prefix="journeys-") as temporary:
        now = record.record(group, Path(temporary).resolve() / "home")
    changed = difflib.unified_diff(recorded.splitlines(), now.splitlines(), "recorded", "now", lineterm="", n=8)
    assert now == recorded, "\n".join(list(changed)[:200])


def test_every_command_is_travelled() -> None:
    lines = {line for path in record.RECORDED.glob("*.txt") for line in path.read_text(encoding="utf-8").split("\n")}
    for name, entry in COMMANDS.items():
        for child in entry.children or ("",):
            command = f"ecapipe {name} {child}".rstrip()
            assert any(f"{command} " in line and line.startswith("$ ") and "help" not in line for line in lines), (
                command
            )


def test_recordings_hold_no_secret_and_no_place_of_whoever_made_them() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in record.RECORDED.glob("*.txt"))
    apps = ("Billing", "Portal", "Batch", "Robot", "Listener", "Paster", "Lasting", "Twin", "Odd")
    for word in (*map(trees.secret, apps), str(Path.home()) + "/", str(record.RECORDED.parents[2]), "/tmp/"):
        assert word not in text, word
