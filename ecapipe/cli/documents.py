"""The results of commands, imported only where one is written as JSON: importing msgspec takes some 10 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecapipe.documents import results as results
else:

    class _Results:
        def __getattr__(self, name: str) -> object:
            from ecapipe.documents import results

            return getattr(results, name)

    results = _Results()
