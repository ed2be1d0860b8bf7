"""A browser window, and what it gave away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


class Seen:
    """A browser window, every address it asked for, redirects included, and everything it complained about."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.addresses: list[str] = []
        self.complaints: list[str] = []
        context.on("request", lambda request: self.addresses.append(request.url))
        context.on("console", lambda message: self.complaints.append(message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.set_default_timeout(10_000)
        self.page: Page = context.new_page()

    @property
    def hosts(self) -> set[str]:
        return {urlsplit(address).netloc for address in self.addresses if not address.startswith("data:")}

    def history(self, page: Page | None = None) -> list[str]:
        """The addresses that the back button of a tab leads to, and the one in the bar, shown or not."""
        session = self.context.new_cdp_session(page or self.page)
        return [entry["url"] for entry in session.send("Page.getNavigationHistory")["entries"]]

    def opened(self, do: Callable[[], None]) -> Page:
        """The tab that opens when this is done."""
        with self.context.expect_page() as opened:
            do()
        return opened.value
