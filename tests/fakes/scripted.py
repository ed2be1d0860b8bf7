"""Orgs in memory and a run against them: they answer as scripted or grant what they are asked for, and check it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from zlib import crc32

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.documents.report import Report
from ecapipe.events import Clock, Event, StageEnded, StageNoted
from ecapipe.oauth.messages import Request, Response
from ecapipe.problems.problem import EcapipeError
from ecapipe.run import pipeline
from ecapipe.run.pipeline import RunRequest

PASTED = "https://www.example.com/done"
NOW = "2026-11-23T12:00:00.000Z"
BUSY = Response(503, "text/html", b"<html>Data Not Available</html>")
Answer = Response | EcapipeError
Form = dict[str, list[str]]


def org_id(host: str) -> str:
    """The id of the org at a host, made from its name."""
    return f"00D{crc32(host.encode()):012}EAA"


def user_id(host: str) -> str:
    return f"005{crc32(host.encode()):012}AAA"


def identity(host: str) -> str:
    return f"https://{host}/id/{org_id(host)}/{user_id(host)}"


def username(host: str) -> str:
    """The user of an org: ada@uat.example in acme--uat.sandbox.my.salesforce.com."""
    return f"ada@{host.partition('.')[0].rpartition('--')[2]}.example"


def access_token(host: str) -> str:
    """The only access token of an org; in what is secret of it, there is nothing of its ids."""
    return f"{org_id(host)[:15]}!FAKE.{hashlib.sha256(host.encode()).hexdigest()[:20]}"


def answer(
    members: object, status: int = 200, retry_after: float | None = None, date: float | None = None
) -> Response:
    return Response(status, "application/json", json.dumps(members).encode(), retry_after, date=date)


def token(host: str, **changes: object) -> Response:
    members = {"access_token": access_token(host), "id": identity(host), "issued_at": "1", "token_type": "Bearer"}
    return answer({**members, "instance_url": f"https://{host}", "scope": "id", **changes})


def user(host: str, **changes: object) -> Response:
    ids = {"user_id": user_id(host), "organization_id": org_id(host)}
    return answer({**ids, "preferred_username": username(host), **changes})


@dataclass
class Orgs:
    """As many orgs as are asked. What `script` has for an endpoint is said first, the last of it for ever."""

    script: Mapping[str, list[Answer]] = field(default_factory=dict)
    scope: str = "id"
    refresh: str | None = None
    users: dict[str, str] = field(default_factory=dict)
    """Usernames by host, where they are not the usual ones."""
    codes: dict[str, str] = field(default_factory=dict)
    """The host that each code was made for, until it is redeemed."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    authorized: list[Form] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)

    @property
    def endpoints(self) -> list[str]:
        return [endpoint for _, endpoint in self.asked]

    def __call__(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        assert (parts.scheme, parts.query) == ("https", "")
        host, endpoint = parts.netloc, parts.path.rstrip("/").rpartition("/")[2]
        self.asked.append((host, endpoint))
        if request.form is None:
            assert request.bearer is not None
            assert request.bearer.reveal() == access_token(host), "a token went to another org"
            given = self._scripted(endpoint) or self.show(host, endpoint)
        else:
            form = parse_qs(request.form.reveal(), strict_parsing=True)
            self.forms.append(form)
            given = self._scripted(endpoint) or self.take(host, endpoint, form)
        if isinstance(given, EcapipeError):
            raise given
        return given

    def _scripted(self, endpoint: str) -> Answer | None:
        answers = self.script.get(endpoint, [])
        return answers.pop(0) if len(answers) > 1 else answers[0] if answers else None

    def show(self, host: str, endpoint: str) -> Answer:
        """What whoever has a token gets."""
        changes = {"preferred_username": self.users[host]} if host in self.users else {}
        return user(host, **changes) if endpoint == "userinfo" else answer({})

    def take(self, host: str, endpoint: str, form: Form) -> Answer:
        """What a form gets: a token, or its end."""
        if endpoint == "revoke":
            self.revoked += form["token"]
            return answer({})
        if "code" not in form:
            return token(host, scope=self.scope)
        assert self.codes.pop(form["code"][0]) == host, "a code went to an org it was not made for"
        return token(host, scope=self.scope, **({"refresh_token": self.refresh} if self.refresh else {}))

    def code(self, host: str) -> str:
        """A new code, with what has to be escaped in an address."""
        code = f"aPrxFAKE.{hashlib.sha256(f'{host} {len(self.authorized)}'.encode()).hexdigest()}=="
        self.codes[code] = host
        return code

    def approve(self, link: str, **changes: str) -> str:
        """Sign in at a link: the query that the browser comes back with."""
        parts = urlsplit(link)
        query = parse_qs(parts.query)
        self.authorized.append(query)
        return urlencode({"code": self.code(parts.netloc), "state": query["state"][0], **changes})


@dataclass
class Outcome:
    """A run: what it told, and how long it waited."""

    orgs: Orgs
    report: Report = field(default_factory=Report)
    events: list[Event] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        self.report(event)
        self.events.append(event)

    @property
    def problem(self) -> str | None:
        return self.report.problems[0].name if self.report.problems else None

    @property
    def notes(self) -> list[str]:
        return [event.note.text for event in self.events if isinstance(event, StageNoted)]

    def ended(self, name: str) -> StageEnded:
        (found,) = [each for each in self.events if isinstance(each, StageEnded) and each.stage.name == name]
        return found


def run(request: RunRequest, orgs: Orgs, environment: Environment | None = None, **changes: Any) -> Outcome:
    """Run in a world where time passes only while somebody waits, and everybody who is shown a link signs in and
    pastes the address that the browser ends at. `changes` are other fields of the `World`."""
    outcome = Outcome(orgs)
    pasted: list[Callable[[str | None], None]] = []

    @contextmanager
    def lines(take: Callable[[str | None], None]) -> Iterator[None]:
        pasted.append(take)
        yield

    def sign_in(url: str) -> bool:
        pasted[-1](f"{PASTED}?{orgs.approve(url)}")
        return True

    clock = Clock(lambda: sum(outcome.slept), lambda: NOW, outcome.slept.append)
    real = composition.real_world(environment or Environment({}))
    world = replace(real, send=orgs, clock=clock, lines=lines, open=sign_in, person=True, board=None)
    pipeline.run(request, replace(world, **changes), outcome)
    return outcome
