"""Somebody who signs in over plain HTTP: reads pages, fills forms, and stops where the org sends them elsewhere."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx


class Stopped(Exception):
    """The org showed a page that leads nowhere; the text is the page."""


def sign_in(url: str, username: str, *, deny: bool = False) -> str:
    """Walk from an authorize URL to where the org redirects to, which is not visited."""
    with httpx.Client(trust_env=False) as browser:
        answer = browser.get(url)
        for _ in range(12):
            if answer.has_redirect_location:
                address = urljoin(str(answer.url), answer.headers["Location"])
                if urlsplit(address).netloc != urlsplit(url).netloc:
                    return str(answer.headers["Location"])
                answer = browser.get(address)
                continue
            page = _Page(answer.text)
            if page.action is None:
                raise Stopped(answer.text)
            if deny and "password" not in page.fields:
                answer = browser.get(urljoin(url, page.cancel))
                continue
            typed = {"login": username, "password": "any password will do"}
            filled = {name: typed.get(name, value) for name, value in page.fields.items()}
            answer = browser.post(urljoin(url, page.action), data=filled)
    raise AssertionError("the pages do not come to an end")


def go_on(address: str) -> httpx.Response:
    """Follow a redirect to this machine, as a browser does."""
    return httpx.get(address, follow_redirects=True, trust_env=False)


class _Page(HTMLParser):
    """A page's one form, and its link for leaving."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.cancel = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = attributes["action"]
        elif tag == "input":
            self.fields[attributes["name"]] = attributes.get("value", "")
        elif tag == "a" and attributes.get("href", "").endswith("/abort"):
            self.cancel = attributes["href"]
