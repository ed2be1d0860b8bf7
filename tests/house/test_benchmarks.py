"""Benchmarks, as far as they are more than figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.mark.parametrize(
    ("program", "need"), [("measure.SF", "tests/interop/setup"), ("measure.FD", "apt-get install fd-find")]
)
def test_a_benchmark_says_what_it_needs(program: str, need: str, tmp_path: Path) -> None:
    """As in a clone of its own, with nothing on the PATH."""
    (tmp_path / "tests/bench").mkdir(parents=True)
    (tmp_path / "tests/bench/measure.py").write_text((BENCH / "measure.py").read_text())
    script = f"import measure; measure.Program(({program},))()"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(tmp_path / "tests/bench"), "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert need in ended.stderr
    assert "Traceback" not in ended.stderr
