"""Requests to an org and its responses, as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl

from ecapipe.credentials.sources import ClientIdentity
from ecapipe.oauth.dpop import NONCE_WANTED, ProofKey
from ecapipe.oauth.refusals import CODE, Place, at, one_line, refusal, words_of_org
from ecapipe.orgs.org import Address
from ecapipe.problems.network import redirect_refused, unexpected_answer
from ecapipe.problems.oauth import rate_limited, server_busy
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.apps import App
from ecapipe.secret import Secret, repeats

Members = Mapping[str, object]

_CONTENT_TYPES: Final = frozenset(
    {
        *("application/json", "application/x-www-form-urlencoded", "application/xml"),
        *("text/html", "text/plain", "text/xml"),
    }
)
"""The content types that messages name. Any other is text of the host's choice, and not repeated."""


@dataclass(frozen=True, slots=True)
class Request:
    """A GET of a path at an org, or, when there is a `form`, a POST of it (``application/x-www-form-urlencoded``).

    With a `method` it is that one, of `json` if there is any; neither holds a secret.
    """

    to: Address
    path: str
    bearer: Secret | None = None
    form: Secret | None = None
    key: ProofKey | None = None
    """Proves, each time it is sent, who sends it; the bearer is bound to it."""
    proof: Secret | None = None
    """Of `key`, for one time; `exchange.sending` makes it."""
    verb: Literal["POST", "PATCH", "DELETE"] | None = None
    """None: GET, or POST with a form."""
    json: str | None = None

    @property
    def method(self) -> str:
        return self.verb or ("GET" if self.form is None else "POST")

    @property
    def host(self) -> str:
        return self.to.host

    @property
    def url(self) -> str:
        return f"{self.to.url}{self.path}"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, bounded in size. `content_type` is lower case, without parameters.

    The body is not part of the ``repr``: it may hold tokens.
    """

    status: int
    content_type: str
    body: bytes = field(repr=False)
    retry_after: float | None = None
    """Seconds to wait before the next request, if the host named them."""
    date: float | None = None
    """The host's own time of day, in seconds since 1970, if it named it."""
    nonce: str | None = None
    """What the host wants to see in the next proof."""
    challenge: str | None = None
    """The error in a DPoP challenge, which says more than the body."""
    location: str | None = field(default=None, repr=False)
    """Where a redirect leads; it is never followed."""


Send = Callable[[Request], Response]
"""Sends one request. Raises `EcapipeError` for what fails before there is a response."""


def members(
    response: Response,
    host: str,
    *secrets: Secret | None,
    place: Place,
    app: App | None,
    client: ClientIdentity | None = None,
    proved: bool = False,
) -> Members:
    """The JSON object of a successful response.

    Raises `EcapipeError`: the refusal an error response means (RFC 6749 §5.2), RedirectRefused, ServerBusy, or
    UnexpectedAnswer for anything that is not a JSON object. `secrets` are struck out of what the org says.
    For the words of a refusal: `place` is what was asked, `app` who asked; `client`: what showed key and secret;
    `proved`: it sent a proof.
    """
    content = json_object(response)
    # Before the status, which says less than the error's own code.
    if content is not None and (error := one_line(content.get("error"))):
        description = one_line(content.get("error_description"))
        status = response.status
        raise refusal(error, description, host, status, *secrets, place=place, app=app, client=client, proved=proved)
    # A redirect is not followed: it would take the secret to another host.
    if 300 <= response.status < 400:
        raise at(redirect_refused(host, response.status), host, response.status)
    if response.status == 429:
        raise at(rate_limited(host, "HTTP 429"), host, response.status)
    if response.status >= 500:
        raise at(server_busy(host, f"HTTP {response.status}"), host, response.status)
    if content is None:
        raise unexpected(response, host, "expected a JSON object")
    if response.status != 200:
        raise unexpected(response, host, "expected HTTP 200")
    return content


def wants_nonce(response: Response) -> bool:
    """Whether the nonce is all that is wrong with a proof: it was missing, or is out of date (RFC 9449 §8, §9)."""
    return response.status >= 400 and refusal_code(response) == NONCE_WANTED


def unexpected(response: Response, host: str, reason: str) -> EcapipeError:
    """The error for a response that Salesforce does not give; `reason` says what is wrong with it."""
    problem = unexpected_answer(host, response.status, f"{reason} ({kind(response.content_type)})")
    return at(problem, host, response.status)


def kind(content_type: str) -> str:
    """The words for what a response is."""
    if not content_type:
        return "no content type"
    if content_type in _CONTENT_TYPES:
        return f"content type {content_type}"
    return "another content type"


def refuse_repeats(response: Response, host: str, visible: Mapping[str, str], *secrets: Secret | None) -> None:
    """Refuse a response of which something that will be shown, by the name of its member, repeats a secret.

    Raises `EcapipeError` (UnexpectedAnswer).
    """
    # All at once first, for nearly always there is nothing to refuse.
    if repeats("\n".join(visible.values()), *secrets):
        names = [name for name, text in visible.items() if repeats(text, *secrets)]
        raise unexpected(response, host, f"it repeats a secret in its {' and its '.join(names)}")


def refusal_code(response: Response, *secrets: Secret | None) -> str:
    """The code with which a resource refuses a token: in JSON, or a bare word like Bad_OAuth_Token."""
    try:
        parsed = json.loads(response.body)
    except (ValueError, RecursionError):
        parsed = response.body.decode("utf-8", "replace").strip()
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if isinstance(parsed, dict):
        parsed = parsed.get("errorCode") or parsed.get("error") or ""
    code = one_line(response.challenge or parsed)
    # A page of a proxy is no code, and must not fill the terminal.
    if not CODE.fullmatch(code):
        return "no reason given"
    return words_of_org(code, *secrets)


def json_object(response: Response) -> Members | None:
    """The members of a JSON object, or of a form, which Salesforce sends on request and some proxies unasked."""
    parsed, _ = _read(response)
    return parsed if isinstance(parsed, dict) else None


def values(response: Response, name: str) -> list[object]:
    """The value of each member of this name, wherever it stands in the response, and however often."""
    return [value for known, value in _read(response)[1] if known == name]


def _read(response: Response) -> tuple[object, list[tuple[str, object]]]:
    """What a response is, and its members at any depth; nothing if it is neither JSON nor a form."""
    members: list[tuple[str, object]] = []

    def keep(found: list[tuple[str, object]]) -> dict[str, object]:
        members.extend(found)
        return dict(found)

    try:
        if response.content_type == "application/x-www-form-urlencoded":
            parsed: object = keep(
                [*parse_qsl(response.body.decode("utf-8"), strict_parsing=True, max_num_fields=100)]
            )
        else:
            parsed = json.loads(response.body, object_pairs_hook=keep)
    except (ValueError, RecursionError):
        return None, []
    return parsed, members
