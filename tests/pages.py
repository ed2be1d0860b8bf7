"""A page as what a browser makes of it."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

Attributes = dict[str, str | None]


class Page(HTMLParser):
    """The tags of a page with their attributes, the text between them, and that of each table cell.

    What is neither tag nor text is refused.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, Attributes]] = []
        self.text = ""
        self.cells: list[list[str]] = []
        self._open = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open:
            self.cells[-1][-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)

    @property
    def names(self) -> Counter[str]:
        return Counter(tag for tag, _ in self.tags)

    @property
    def attributes(self) -> set[str]:
        return {name for _, attributes in self.tags for name in attributes}

    def of(self, name: str) -> list[Attributes]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def rows(self) -> list[str | None]:
        """The ids of the rows, in order."""
        return [attributes["id"] for attributes in self.of("tr") if "id" in attributes]

    @property
    def ids(self) -> list[str | None]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]
