#!/usr/bin/env python3
"""The public address of the repository: ``.ci/address.py ADDRESS`` writes it where it stands, ``--check`` compares.

It is kept in ``ecapipe/__init__.py``. Until there is one ('' takes it away), texts show the line from a clone, and
examples the place where a clone of one's own may lie.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "ecapipe/__init__.py"
CLONE = "python3 -m venv .venv && .venv/bin/pip install -q ."


def places(address: str, version: str) -> Iterator[tuple[str, str, str]]:
    """Each place: a file, a pattern whose one group is the place, and what belongs there."""
    git, examples = f"git+{address}@v{version}", ".github/examples"
    readme = f"From a clone:\n\n```sh\n{CLONE}\n```\n"
    urls = "# .ci/address.py writes this table.\n"
    if address:
        readme = f"```sh\npipx install {git}\n```\n\nOr from a clone of {address}:\n\n```sh\n{CLONE}\n```\n"
        urls += f'Source = "{address}"\nIssues = "{address}/issues"\n'
    yield PACKAGE, r'^ADDRESS = "(.*)"$', address
    yield "pyproject.toml", r"^\[project\.urls\]\n((?:.+\n)*)", urls
    yield "README.md", r"^<!-- address: .*\n((?:.*\n)*?)<!-- /address -->$", readme
    github = address or "https://github.com/your-organization/ecapipe"
    gitlab = address or "https://gitlab.example.com/your-group/ecapipe"
    for name, source in {"github-batch": github, "gitlab-batch": gitlab, "gitlab-ci": gitlab}.items():
        yield f"{examples}/{name}.yml", r"ECAPIPE_SOURCE: (.*)$", source
    # What is used as an action has to lie on GitHub: if need be, as a clone of one's own.
    _, on_github, name = github.partition("https://github.com/")
    action = name if on_github else "your-organization/ecapipe"
    yield f"{examples}/github.yml", r"uses: (.*)/\.github/actions/check@", action


def main(word: str) -> int:
    """Write, or with ``--check`` compare; the exit status."""
    package = (ROOT / PACKAGE).read_text(encoding="utf-8")
    known = dict(re.findall(r'^(ADDRESS|__version__) = "(.*)"$', package, re.MULTILINE))
    address = known["ADDRESS"] if word == "--check" else word.removesuffix("/").removesuffix(".git")
    if address and not re.fullmatch(r"https://[\w.-]+(/[\w.-]+)+", address):
        print(f"{address} is not the https address of a repository.", file=sys.stderr)
        return 2
    different = []
    for name, pattern, text in places(address, known["__version__"]):
        path = ROOT / name
        old = path.read_text(encoding="utf-8")
        (place,) = re.finditer(pattern, old, re.MULTILINE)
        if place[1] != text:
            different.append(name)
            if word != "--check":
                path.write_text(old[: place.start(1)] + text + old[place.end(1) :], encoding="utf-8")
    print(*different, sep="\n", end="\n" if different else "")
    return int(word == "--check" and bool(different))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) if len(sys.argv) == 2 else __doc__)
