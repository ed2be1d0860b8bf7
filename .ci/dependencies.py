"""Add to a list of parts (CycloneDX), FILE, which of them needs which: ``.ci/dependencies.py FILE``."""

import json
import re
import sys
from pathlib import Path

LOCK = Path(__file__).parents[1] / ".github/lock/ecapipe.txt"


def needs(lock: str) -> dict[str, list[str]]:
    """What each package of a lock needs, by the ``# via`` of the others; the project itself is one of them."""
    needed: dict[str, list[str]] = {}
    for name, rest in re.findall(r"^([\w.-]+)==(.*?)(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL):
        for parent in re.findall(r"^ +#(?: via)? +(\S+)$", rest, re.MULTILINE):
            if parent != "via":
                needed.setdefault(parent, []).append(name)
    return needed


def main(file: str) -> None:
    parts = json.loads(Path(file).read_text())
    root = parts["metadata"]["component"]
    refs = {part["name"]: part["bom-ref"] for part in (root, *parts["components"])}
    needed = needs(LOCK.read_text())
    parts["dependencies"] = [
        {"ref": ref, "dependsOn": [refs[each] for each in needed.get(name, ())]} for name, ref in refs.items()
    ]
    Path(file).write_text(json.dumps(parts, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
