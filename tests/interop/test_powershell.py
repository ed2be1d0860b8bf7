"""The completion script for PowerShell, parsed by a grammar of PowerShell: there is no shell to run it in here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ecapipe.cli import completion_scripts

if TYPE_CHECKING:
    import tree_sitter

pytestmark = pytest.mark.interop


def parsed(script: str) -> tree_sitter.Node:
    import tree_sitter
    import tree_sitter_powershell

    language = tree_sitter.Language(tree_sitter_powershell.language())
    return tree_sitter.Parser(language).parse(script.encode()).root_node


def names(node: tree_sitter.Node) -> Iterator[str]:
    if node.type in ("command_name", "type_spec"):
        yield (node.text or b"").decode()
    for child in node.children:
        yield from names(child)


def test_it_is_powershell() -> None:
    script = completion_scripts.SCRIPTS["powershell"]
    tree = parsed(script)
    assert not tree.has_error
    found = set(names(tree))
    assert {"Register-ArgumentCompleter", "Select-Object", "System.Management.Automation.CompletionResult"} <= found
    assert parsed(script.replace("}", "", 1)).has_error
