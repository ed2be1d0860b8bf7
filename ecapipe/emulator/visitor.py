"""A visitor, who stands in for the person at the browser: reads the pages, fills the forms, presses Allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ssl import SSLContext
from urllib.parse import urlencode, urljoin, urlsplit

_TIMEOUT = 10.0
_PAGES = 3
"""Pages on the way to the callback: login, approval, and the redirect."""


class VisitError(Exception):
    """The visit ended on a page and not at the callback."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description


def visit(url: str, username: str, password: str, trust: SSLContext | None) -> str:
    """Log in at an authorize URL and allow what the app requests; `trust` is for https.

    Returns the address that the org redirects to, without going there, also if it carries an error for the callback.
    Raises VisitError.
    """
    answer = _request("GET", url, None, trust)
    if answer.location and answer.location.startswith("/login?"):
        answer = _request("GET", urljoin(url, answer.location), None, trust)
    for _ in range(_PAGES):
        if answer.location is not None:
            return answer.location
        page = _Page.read(answer.html)
        if page.action is None:
            raise VisitError(
                page.texts.get("error", "unexpected_page"),
                page.texts.get("error_description", f"a page without a form (HTTP {answer.status})"),
            )
        credentials = {"username": username, "password": password}
        fields = {name: credentials.get(name, value) for name, value in page.fields.items()}
        form = urlencode(fields | page.buttons.get("Allow", {}))
        answer = _request("POST", urljoin(url, page.action), form, trust)
    raise VisitError("unexpected_page", "the login pages do not come to an end")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    location: str | None
    html: str


def _request(method: str, url: str, form: str | None, trust: SSLContext | None) -> _Answer:
    parts = urlsplit(url)
    host = parts.hostname or ""
    # http.client knows no proxy: one of the environment has no business with requests to this machine.
    connection = HTTPConnection(host, parts.port, timeout=_TIMEOUT)
    if trust:
        connection = HTTPSConnection(host, parts.port, timeout=_TIMEOUT, context=trust)
    headers = {}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        connection.request(method, f"{parts.path or '/'}?{parts.query}", form, headers)
        response = connection.getresponse()
        return _Answer(response.status, response.getheader("Location"), response.read().decode("utf-8", "replace"))
    except (OSError, HTTPException) as error:
        raise VisitError("no_answer", f"the org did not answer ({type(error).__name__})") from None
    finally:
        connection.close()


@dataclass(slots=True)
class _Page:
    """What a person finds on a page: one form with fields and buttons, and texts that have an id."""

    action: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, dict[str, str]] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, html: str) -> _Page:
        reader = _Reader()
        reader.feed(html)
        reader.close()
        return reader.page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = _Page()
        self._tag = ""
        self._attributes: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.page.action = attributes.get("action", "")
        if tag == "input":
            self.page.fields[attributes.get("name", "")] = attributes.get("value", "")
        else:
            self._tag, self._attributes = tag, attributes

    def handle_endtag(self, tag: str) -> None:
        self._tag, self._attributes = "", {}

    def handle_data(self, data: str) -> None:
        if self._tag == "button" and "name" in self._attributes:
            name, value = self._attributes["name"], self._attributes.get("value", "")
            self.page.buttons[data.strip()] = {name: value}
        elif "id" in self._attributes:
            self.page.texts[self._attributes["id"]] = data
