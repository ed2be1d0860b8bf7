#!/usr/bin/env python3
"""Records journeys: what every command line of the table leaves behind, with all that differs from run to run taken
out. ``.venv/bin/python tests/journeys/record.py --update [GROUP...]`` writes what ``test_recorded.py`` compares with.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import trees
from commandline import Ended, ecapipe, inside, started
from journeys.scene import Scene, staged
from journeys.table import GROUPS, Journey

from ecapipe import __version__
from ecapipe.check.rules import dated

CHANGES = [change.name for change in vars(dated).values() if isinstance(change, dated.Change)]
RECORDED = Path(__file__).parent / "recorded"
UNSTABLE = tuple(
    (re.compile(pattern), put)
    for pattern, put in (
        (r"\b00D\w{12}![\w.]+", "TOKEN"),
        (r"\b5Aep861[\w.]+", "REFRESH-TOKEN"),
        (r"\bDPoP: eyJ[\w.-]+", "DPoP: PROOF"),
        (r"\b\d{8}T\d{6}Z-[0-9a-f]{6}\b", "RUN"),
        (r"\b[0-9a-f]{40}\b", "COMMIT"),
        (r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?", "TIME"),
        (r"\b20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)?(,\d+)?( UTC)?", "TIME"),
        (r"\b20\d\d-\d\d-\d\d(?= )", "YYYY-MM-DD"),
        (r"(?m)(?<=  )\d\d:\d\d(?=\s*$)", "HH:MM"),
        # Which of several logins ends first is chance.
        (r"\[\d+/(\d+)\] ", r"[N/\1] "),
        (r'(unused by |"expiresIfUnusedBy": ")20\d\d-\d\d-\d\d', r"\1DAY"),
        (r'("(?:milliseconds|seconds|duration)": )[\d.]+', r"\g<1>0"),
        (r"(?<![\w.])\d+(\.\d+)?( ?ms|s)\b", "0s"),
        (r'(time=")[\d.]+"', r'\g<1>0"'),
        (r"((?:state|code_challenge|nonce|code)=)[\w.%-]{20,}", r"\1RANDOM"),
        (r'("(?:org|files|scopes|expected|key|flow)": )"[0-9a-f]{16}"', r'\1"DIGEST"'),
        (r"\b(localhost|127\.0\.0\.1|\[::1\]):\d{5}\b", r"\1:PORT"),
        (r"\b(git version )[\w.()]+( \([\w. -]+\))?", r"\1GIT"),
        (r"\b(Python )3\.[\w.+]+", r"\1PYTHON"),
        (re.escape(__version__), "VERSION"),
        (rf"Salesforce (?:will|has)\b[^.]*(?:from|since) ({'|'.join(CHANGES)})(?: on)?", r"Salesforce … \1"),
        (r"(?s)<style>.*?</style>", lambda found: f"<style>{_digest(found[0])}</style>"),
    )
)


def _digest(text: str) -> str:
    return f"{len(text)} characters, SHA-256 {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def record(name: str, root: Path) -> str:
    """What the journeys of a group leave behind when they start from a new home at `root`."""
    group = GROUPS[name]
    with staged(root, group.orgs, group.faults, rules=name == "rules") as scene:
        return "\n".join(told(each, scene) for each in group.journeys)


def told(journey: Journey, scene: Scene) -> str:
    """A journey as it is written down: its line, exit status, both outputs, and the files that came of it."""
    before = _files(scene.home)
    ended = travelled(journey, scene)
    after = _files(scene.home)
    given = [f"{name}={'…' if 'SECRET' in name else value}" for name, value in journey.variables.items()]
    parts = [f"$ {' '.join((*given, 'ecapipe', journey.line))}\n"]
    parts.append(f"exit {ended.status}\n")
    for title, text in (("out", ended.out), ("err", ended.err)):
        if text:
            parts.append(_part(title, steady(text, scene), journey))
    for path, content in after.items():
        if before.get(path) != content:
            parts.append(
                _part(f"file {steady(path, scene)}", steady(content.decode("utf-8", "replace"), scene), journey)
            )
    parts += [f"--- gone {path}\n" for path in before if path not in after]
    return "".join(parts)


def _part(title: str, text: str, journey: Journey) -> str:
    lines = text.split("\n")
    if "sort" in journey.how:
        lines = sorted(lines)
    return "\n".join([f"--- {title}", *(f"  {line}" if line else "" for line in lines)]).rstrip("\n ") + "\n"


def travelled(journey: Journey, scene: Scene) -> Ended:
    """Run it."""
    words = shlex.split(journey.line.format_map({**scene.ports, **scene.urls}))
    variables = {**scene.variables, **journey.variables}
    if not Path(variables["PATH"]).is_absolute():
        variables["PATH"] = str(scene.home / variables["PATH"])
    typed = journey.typed.format(secret=trees.secret("Robot"))
    at = scene.home / "acme" if "acme" in journey.how else scene.home
    if "person" in journey.how:
        assert scene.emulator
        with started(*words, at=at, **variables) as run:
            run.type(scene.emulator.visit(run.line("http://localhost:")))
            return run.end()
    if "process" in journey.how:
        return ecapipe(*words, at=at, typed=typed, **variables)
    return inside(*words, at=at, **variables)


def _files(home: Path) -> dict[str, bytes]:
    """What journeys may write into, but for records, repositories and tools."""
    found: dict[str, bytes] = {}
    for folder, below, names in os.walk(home):
        below[:] = sorted({*below} - {".git", ".local", "tools", "rules"})
        for name in sorted(names):
            path = Path(folder, name)
            found[path.relative_to(home).as_posix()] = path.read_bytes()
    return found


def steady(text: str, scene: Scene) -> str:
    """The text without what differs from run to run, and from machine to machine."""
    # A table may break a path behind a dash or a slash.
    home = r"(?:\n +)?".join(map(re.escape, re.split(r"(?<=[-/])", str(scene.home))))
    text = re.sub(home, "/home/dev", text).replace(sys.executable, "/usr/bin/python3")
    for name, port in scene.ports.items():
        text = re.sub(rf"\b{port}\b", f"PORT-{name}", text)
    for pattern, put in UNSTABLE:
        text = pattern.sub(put, text)
    return text


def recordings(names: list[str]) -> Iterator[tuple[Path, str]]:
    """The file of each group, and what belongs into it."""
    for name in names or GROUPS:
        with tempfile.TemporaryDirectory(prefix="journeys-") as temporary:
            yield RECORDED / f"{name}.txt", record(name, Path(temporary).resolve() / "home")


if __name__ == "__main__":
    if sys.argv[1:2] != ["--update"] or not GROUPS.keys() >= set(sys.argv[2:]):
        sys.exit(f"Usage: {sys.argv[0]} --update [{'|'.join(GROUPS)}]...")
    RECORDED.mkdir(exist_ok=True)
    for file, text in recordings(sys.argv[2:]):
        changed = not file.exists() or file.read_text(encoding="utf-8") != text
        file.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{'changed' if changed else 'same   '} {file.name}\n")
