#!/usr/bin/env python3
"""The page of rules, ``.github/RULES.md``; ``.venv/bin/python tests/check/rules_page.py`` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ecapipe.check.findings import PURPOSES
from ecapipe.check.rules.registry import MODULES, RULES
from ecapipe.check.rules.rule import Rule

PAGE: Final = Path(__file__).parents[2] / ".github" / "RULES.md"

_HEAD: Final = """\
# Rules of `ecapipe app check`

`ecapipe explain RULE` describes why a rule matters, how to fix a finding, and the source. The severity \
depends on `--for`. To override it for all purposes, set `plugins.ecapipe.rules` in `sfdx-project.json` \
(`off`, `note`, `warning`, `error`). A dash means that the rule is off.
"""


def lines() -> Iterator[str]:
    """The page: a section for each module of rules, a row for each rule."""
    yield _HEAD
    for module in MODULES:
        name = module.__name__.rpartition(".")[2]
        yield f"## {'MCP' if name == 'mcp' else name.capitalize()}\n"
        yield f"| rule | {' | '.join(PURPOSES)} | meaning |\n|---|{'---|' * len(PURPOSES)}---|"
        rules = vars(module).values()
        yield "".join(f"{_row(rule)}\n" for rule in RULES.values() if rule in rules)


def page() -> str:
    return "\n".join(lines()).rstrip("\n") + "\n"


def _row(rule: Rule) -> str:
    levels = (rule.levels.of(purpose) or "–" for purpose in PURPOSES)
    return f"| `{rule.name}` | {' | '.join(levels)} | {rule.means} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
