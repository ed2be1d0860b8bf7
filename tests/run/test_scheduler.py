"""Many logins at once: who waits for whom, what an interrupt leaves, and what the board can do."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trees
from fakes import scripted

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.documents.report import Report
from ecapipe.events import Event, RunEnded, StageEnded, StageNoted, StageStarted, Subject, SubjectFinished
from ecapipe.login.callbacks import CallbackReply
from ecapipe.login.options import LoginOptions
from ecapipe.oauth.messages import Request, Response
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems import oauth, sign_in
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.discovery import ProjectSelection
from ecapipe.run import pipeline, scheduler
from ecapipe.run.board import BoardActions
from ecapipe.run.pipeline import RunRequest as Run

PATIENCE = 10.0


class Orgs(scripted.Orgs):
    """Orgs that are asked by many at once, of which some may be held up, or refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.hold: dict[str, threading.Event] = {}
        """Hosts that answer only once the event is set."""
        self.refuse: set[str] = set()
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        host = urlsplit(request.url).netloc
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            if host in self.hold:
                assert self.hold[host].wait(PATIENCE)
            return super().__call__(request)
        finally:
            with self._lock:
                self.now -= 1

    def take(self, host: str, endpoint: str, form: scripted.Form) -> scripted.Answer:
        if host in self.refuse:
            members = {"error": "invalid_client", "error_description": "invalid client credentials"}
            return scripted.answer(members, 400)
        return super().take(host, endpoint, form)


@dataclass
class People:
    """Everybody at a browser: keeps the links that were shown, and brings answers back to who listens."""

    orgs: Orgs
    links: list[str] = field(default_factory=list)
    land: Callable[[str], CallbackReply] | None = None
    take: Callable[[str | None], None] | None = None
    shown: threading.Condition = field(default_factory=threading.Condition)
    lost: dict[str, Problem] = field(default_factory=dict)
    types: bool = True
    """Somebody may type; otherwise input ends at once."""

    def open(self, url: str) -> bool:
        self.see(url)
        return True

    def see(self, url: str) -> None:
        with self.shown:
            if url not in self.links:  # printed and opened
                self.links.append(url)
            self.shown.notify_all()

    def see_all(self, count: int) -> list[str]:
        with self.shown:
            assert self.shown.wait_for(lambda: len(self.links) >= count, PATIENCE)
            return [*self.links]

    @contextmanager
    def listen(
        self, callback_urls: Collection[str], land: Callable[[str], CallbackReply]
    ) -> Iterator[Mapping[str, Problem]]:
        self.land = land
        yield {url: problem for url, problem in self.lost.items() if url in callback_urls}

    @contextmanager
    def lines(self, take: Callable[[str | None], None]) -> Iterator[None]:
        self.take = take
        if not self.types:
            take(None)
        yield

    def approve(self, link: str, **changes: str) -> CallbackReply:
        """Come back from a link as Salesforce sends a browser back."""
        assert self.land is not None
        return self.land(self.orgs.approve(link, **changes))


class Stage:
    """A run in a thread of its own, and all that it told."""

    def __init__(self, root: Path, orgs: Orgs, **changes: object) -> None:
        self.orgs, self.people, self.report = orgs, People(orgs), Report()
        self.events: list[Event] = []
        self.interrupt: Callable[[], None] | None = None
        self._told = threading.Condition()
        real = composition.real_world(Environment({}))
        fields: dict[str, Any] = {"open": self.people.open, "listen": self.people.listen, "lines": self.people.lines}
        usual: dict[str, Any] = {
            "send": orgs,
            "person": True,
            "local_browser": True,
            "interrupts": self._interrupts,
            **fields,
        }
        self.world = replace(real, **{**usual, **changes})
        self.root = root

    def start(
        self, hosts: int, how: LoginOptions | None = None, at_once: int = 8, orgs: tuple[str, ...] = ()
    ) -> Stage:
        names = tuple(f"o{number}=https://o{number}.my.salesforce.com" for number in range(1, hosts + 1))
        request = Run(
            ProjectSelection((str(self.root),)), OrgSelection(orgs or names), how or LoginOptions(), at_once=at_once
        )
        self._thread = threading.Thread(target=pipeline.run, args=(request, self.world, self._emit), daemon=True)
        self._thread.start()
        return self

    def end(self) -> Report:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return self.report

    def until(self, seen: Callable[[list[Event]], bool]) -> None:
        with self._told:
            assert self._told.wait_for(lambda: seen(self.events), PATIENCE)

    def _emit(self, event: Event) -> None:
        assert threading.current_thread() is self._thread, "one thread tells everything"
        self.report(event)
        if isinstance(event, StageNoted) and event.note.kind == "link":
            self.people.see(event.note.text)
        with self._told:
            self.events.append(event)
            self._told.notify_all()

    @contextmanager
    def _interrupts(self, call: Callable[[], None]) -> Iterator[None]:
        self.interrupt = call
        yield


@pytest.fixture
def robots(tmp_path: Path) -> Path:
    settings = {"callbackUrl": None, **trees.CLIENT_CREDENTIALS}
    return trees.plant(tmp_path, trees.project() | trees.app(settings=settings, policies=trees.CLIENT_CREDENTIALS))


@pytest.fixture
def web(tmp_path: Path) -> Path:
    return trees.plant(tmp_path, trees.project() | trees.app())


def usernames(report: Report) -> dict[str | None, str | None]:
    return {subject.org: login.username for subject, login in report.logins.items()}


def everybody(count: int) -> dict[str | None, str | None]:
    return {f"o{number}": f"ada@o{number}.example" for number in range(1, count + 1)}


def test_no_more_logins_are_at_work_than_was_asked(robots: Path) -> None:
    stage = Stage(robots, Orgs()).start(40, at_once=3)
    assert usernames(stage.end()) == everybody(40)
    assert stage.orgs.most <= 3


def test_results_stand_in_the_order_of_the_plan(robots: Path) -> None:
    orgs = Orgs()
    orgs.hold = {"o1.my.salesforce.com": threading.Event()}
    stage = Stage(robots, orgs).start(4)
    stage.until(lambda events: sum(isinstance(event, StageEnded) for event in events) >= 12)
    orgs.hold["o1.my.salesforce.com"].set()
    assert list(usernames(stage.end())) == ["o1", "o2", "o3", "o4"]


def test_orgs_that_hang_hold_nobody_up(robots: Path) -> None:
    orgs = Orgs()
    orgs.hold = {f"o{number}.my.salesforce.com": threading.Event() for number in range(1, 5)}
    stage = Stage(robots, orgs).start(20, at_once=2)
    stage.until(
        lambda events: (
            {e.subject.org for e in events if isinstance(e, StageEnded) and e.stage.name == "verify"}
            >= {f"o{number}" for number in range(5, 21)}
        )
    )
    for event in orgs.hold.values():
        event.set()
    assert usernames(stage.end()) == everybody(20)


def test_one_refusal_leaves_the_others(robots: Path) -> None:
    orgs = Orgs()
    orgs.refuse.add("o2.my.salesforce.com")
    report = Stage(robots, orgs).start(3).end()
    assert list(usernames(report)) == ["o1", "o3"]
    assert ([problem.name for problem in report.problems], report.status) == ([oauth.invalid_client.name], 68)


def test_fifty_answers_in_any_order_reach_the_org_they_belong_to(web: Path) -> None:
    stage = Stage(web, Orgs()).start(50)
    links = stage.people.see_all(50)
    random.Random(50).shuffle(links)
    replayed = links[0]
    for link in links[:-1]:
        assert stage.people.approve(link).granted
        assert not stage.people.approve(replayed).fits, "a state counts once"
        assert not stage.people.approve(links[-1], iss="https://evil.my.salesforce.com").fits
    assert stage.people.approve(links[-1], iss=f"https://{urlsplit(links[-1]).netloc}").granted
    assert usernames(stage.end()) == everybody(50)


def test_each_browser_hears_what_became_of_its_login(web: Path) -> None:
    refuses = "o2.my.salesforce.com"
    orgs = Orgs()
    orgs.refuse.add(refuses)
    stage = Stage(web, orgs).start(2)
    replies = {urlsplit(link).netloc: stage.people.approve(link) for link in stage.people.see_all(2)}
    stage.end()
    for host, reply in replies.items():
        assert "authorized" not in reply.sentence
        heard = reply.settled()
        assert heard.granted == (host != refuses)
        assert ("is authorized in" in heard.sentence) == (host != refuses)
        assert ("refused the consumer secret" in heard.sentence) == (host == refuses)


def test_people_who_take_long_hold_nobody_up(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.app("Person") | trees.robot())
    stage = Stage(root, Orgs()).start(20, at_once=1)
    links = stage.people.see_all(20)
    stage.until(lambda events: sum(isinstance(e, StageEnded) and e.stage.name == "verify" for e in events) == 20)
    for link in links:
        stage.people.approve(link)
    assert len(stage.end().logins) == 40


def test_pasted_answers_are_taken_in_any_order_after_one_question(tmp_path: Path) -> None:
    root = trees.plant(tmp_path, trees.project() | trees.app(settings={"callbackUrl": "https://www.example.com/cb"}))
    stage = Stage(root, Orgs()).start(3)
    links = stage.people.see_all(3)
    stage.until(lambda events: any(isinstance(e, StageNoted) and e.note.kind == "asking" for e in events))
    take = stage.people.take
    assert take is not None
    first, second, third = (f"www.example.com/cb?{stage.orgs.approve(link)}" for link in links)
    take("https://www.example.com/cb?code=aPrxFAKE&state=unknown\n")
    stage.until(lambda events: sum(isinstance(e, StageNoted) and e.note.kind == "asking" for e in events) == 2)
    # One paste of two, one of them broken into two lines.
    take(f'"https://{third}" <{second[:-9]}\n')
    take(f" {second[-9:]}>\n")
    stage.until(lambda events: any(isinstance(e, StageNoted) and "1 sign-in pending" in e.note.text for e in events))
    take(f"https://{first}\n")
    assert usernames(stage.end()) == everybody(3)
    notes = [event.note for event in stage.events if isinstance(event, StageNoted)]
    assert [note.kind for note in notes] == ["hint", "link"] * 3 + ["asking", "hint", "asking"] + ["hint"] * 3
    assert [note.text for note in notes if note.text.startswith(("1", "2", "3"))] == [
        f"{number}. Billing@o{number}" for number in (1, 2, 3)
    ]
    assert [note.text for note in notes[-5:]] == [
        "No sign-in is waiting for this response: its state is missing or unknown.",
        "Paste a redirect URL:",
        "Billing@o3: URL accepted. 2 sign-ins pending.",
        "Billing@o2: URL accepted. 1 sign-in pending.",
        "Billing@o1: URL accepted. No sign-ins pending.",
    ]


def test_when_nobody_types_any_more_pasted_logins_wait_in_vain_and_others_go_on(tmp_path: Path) -> None:
    paster = trees.app("Paster", settings={"callbackUrl": "https://www.example.com/cb"})
    root = trees.plant(tmp_path, trees.project() | trees.app() | paster)
    stage = Stage(root, Orgs()).start(1)
    links = stage.people.see_all(2)
    assert stage.people.take is not None
    stage.people.take(None)
    (listened,) = [link for link in links if "localhost" in link]
    stage.people.approve(listened)
    report = stage.end()
    assert [str(subject) for subject in report.logins] == ["Billing@o1"]
    assert [problem.name for problem in report.problems] == [sign_in.nobody_to_ask.name]


def test_nobody_is_told_to_paste_where_nobody_can(tmp_path: Path) -> None:
    paster = trees.app("Paster", settings={"callbackUrl": "https://www.example.com/cb"})
    other = trees.app("Other", settings={"callbackUrl": "http://localhost:1718/cb"})
    stage = Stage(trees.plant(tmp_path, trees.project() | trees.app() | other | paster), Orgs())
    stage.people.types = False
    stage.start(1)
    for link in stage.people.see_all(3):
        stage.until(lambda events: any(isinstance(e, StageNoted) and e.note.kind == "waiting" for e in events))
        if "localhost" in link:
            stage.people.approve(link)
    assert [problem.name for problem in stage.end().problems] == [sign_in.nobody_to_ask.name]
    assert "asking" not in [event.note.kind for event in stage.events if isinstance(event, StageNoted)]


def test_an_address_that_cannot_be_opened_fails_its_logins_alone(tmp_path: Path) -> None:
    other = trees.app("Other", settings={"callbackUrl": "http://localhost:1718/cb"})
    stage = Stage(trees.plant(tmp_path, trees.project() | trees.app() | other), Orgs())
    stage.people.lost[trees.LOOPBACK] = trouble = sign_in.port_in_use_error("localhost", 1717)
    stage.start(1)
    stage.people.approve(stage.people.see_all(1)[0])
    report = stage.end()
    assert [str(subject) for subject in report.logins] == ["Other@o1"]
    assert report.problems == [trouble]


def test_time_is_counted_for_all_from_the_first_link(web: Path) -> None:
    start = time.monotonic()
    report = Stage(web, Orgs()).start(5, LoginOptions(wait=0.01)).end()
    assert [problem.name for problem in report.problems] == [sign_in.auth_timeout_error.name] * 5
    assert report.status == 69
    assert time.monotonic() - start < 5


def test_an_interrupt_ends_what_waits_and_tells_the_rest(web: Path) -> None:
    stage = Stage(web, Orgs()).start(3)
    links = stage.people.see_all(3)
    stage.people.approve(links[0])
    stage.until(lambda events: any(isinstance(e, StageEnded) and e.stage.name == "verify" for e in events))
    assert stage.interrupt is not None
    start = time.monotonic()
    stage.interrupt()
    report = stage.end()
    assert time.monotonic() - start < 2
    assert (report.status, list(usernames(report))) == (130, ["o1"])
    told = {(e.subject.org, e.stage.name): (e.outcome, e.reason) for e in report.ended if e.subject.org}
    for org in ("o2", "o3"):
        assert told[org, "authorize"] == ("failed", None)
        assert told[org, "token"] == told[org, "verify"] == ("skipped", "Interrupted.")
    assert stage.events[-1] == RunEnded(True, stage.events[-1].milliseconds)  # type: ignore[union-attr]


def test_an_interrupt_begins_nothing_more_and_waits_only_so_long_for_what_hangs(robots: Path) -> None:
    orgs = Orgs()
    orgs.hold = {f"o{number}.my.salesforce.com": threading.Event() for number in range(1, 3)}
    stage = Stage(robots, orgs).start(6, at_once=2)
    stage.until(lambda events: sum(isinstance(e, StageStarted) and e.stage.name == "token" for e in events) == 2)
    assert stage.interrupt is not None
    start = time.monotonic()
    stage.interrupt()
    report = stage.end()
    assert scheduler.GRACE <= time.monotonic() - start < 5
    outcomes = {(e.subject.org, e.stage.name): e.outcome for e in report.ended if e.subject.org}
    assert [outcomes[f"o{n}", "token"] for n in range(1, 7)] == ["failed"] * 2 + ["skipped"] * 4
    assert len(outcomes) == 18, "each login is accounted for"
    for event in orgs.hold.values():
        event.set()


def test_what_is_nearly_done_ends_well_after_an_interrupt(robots: Path) -> None:
    orgs = Orgs()
    orgs.hold = {"o1.my.salesforce.com": threading.Event()}
    stage = Stage(robots, orgs).start(1)
    stage.until(lambda events: any(isinstance(e, StageStarted) and e.stage.name == "token" for e in events))
    assert stage.interrupt is not None
    stage.interrupt()
    orgs.hold["o1.my.salesforce.com"].set()
    report = stage.end()
    assert (report.status, usernames(report)) == (130, everybody(1))


class Page:
    """A board without a page: what a person would do there, as calls."""

    url = "http://localhost:0/board"

    def __init__(self) -> None:
        self.desk: BoardActions | None = None
        self.seen = True

    @contextmanager
    def __call__(self, desk: BoardActions) -> Iterator[Page]:
        self.desk = desk
        yield self

    def watched(self) -> bool:
        return self.seen


def failed(org: str) -> Callable[[list[Event]], bool]:
    return lambda events: any(
        isinstance(e, StageEnded) and e.outcome == "failed" and str(e.subject) == f"Billing@{org}" for e in events
    )


def offers(stage: Stage) -> list[str]:
    return [e.note.text for e in stage.events if isinstance(e, StageNoted) and e.note.kind == "offer"]


def on_the_board(web: Path, hosts: int) -> tuple[Stage, Page]:
    page = Page()
    stage = Stage(web, Orgs(), board=page).start(hosts)
    stage.until(lambda events: len(offers(stage)) == hosts)
    return stage, page


def test_the_board_is_opened_once_and_offers_every_link(web: Path) -> None:
    stage, _ = on_the_board(web, 3)
    assert stage.people.see_all(1) == [Page.url]
    for link in offers(stage):
        stage.people.approve(link)
    assert usernames(stage.end()) == everybody(3)


def test_one_login_needs_no_board(web: Path) -> None:
    page = Page()
    stage = Stage(web, Orgs(), board=page).start(1)
    stage.people.approve(stage.people.see_all(1)[0])
    stage.end()
    assert page.desk is None


def test_a_login_that_failed_begins_again_with_a_new_link_and_its_failure_is_forgotten(web: Path) -> None:
    stage, page = on_the_board(web, 2)
    first, second = offers(stage)
    stage.orgs.refuse.add("o1.my.salesforce.com")
    stage.people.approve(first)
    stage.people.approve(second)
    stage.until(failed("o1"))
    assert page.desk is not None
    assert not page.desk.retry(Subject("Billing", "o2", str(web))), "it has not failed"
    stage.orgs.refuse.clear()
    until(lambda: page.desk is not None and page.desk.retry(Subject("Billing", "o1", str(web))))
    stage.until(lambda events: len(offers(stage)) == 3)
    again = offers(stage)[-1]
    assert parse_qs(urlsplit(again).query)["state"] != parse_qs(urlsplit(first).query)["state"]
    assert not stage.people.approve(first).fits
    stage.people.approve(again)
    report = stage.end()
    assert (usernames(report), report.problems, report.status) == (everybody(2), [], 0)


def test_the_run_lingers_for_those_who_may_try_again_until_they_say_that_it_is_enough(web: Path) -> None:
    stage, page = on_the_board(web, 2)
    stage.orgs.refuse.add("o1.my.salesforce.com")
    for link in offers(stage):
        stage.people.approve(link)
    stage.until(failed("o1"))
    time.sleep(0.5)
    assert not any(isinstance(event, RunEnded) for event in stage.events)
    assert page.desk is not None
    page.desk.finish()
    report = stage.end()
    assert (list(usernames(report)), report.status) == (["o2"], 68)
    assert not page.desk.retry(Subject("Billing", "o1", str(web)))


def test_nobody_is_waited_for_when_nobody_looks(web: Path) -> None:
    stage, page = on_the_board(web, 2)
    page.seen = False
    stage.orgs.refuse.add("o1.my.salesforce.com")
    for link in offers(stage):
        stage.people.approve(link)
    assert list(usernames(stage.end())) == ["o2"]


def test_an_end_on_the_board_ends_what_still_waits(web: Path) -> None:
    stage, page = on_the_board(web, 3)
    stage.people.approve(offers(stage)[0])
    stage.until(lambda events: any(isinstance(e, StageEnded) and e.stage.name == "verify" for e in events))
    assert page.desk is not None
    page.desk.finish()
    report = stage.end()
    assert (list(usernames(report)), [p.name for p in report.problems]) == (["o1"], [sign_in.sign_in_ended.name] * 2)
    assert report.status == 69


def links(stage: Stage) -> list[str]:
    return [e.note.text for e in stage.events if isinstance(e, StageNoted) and e.note.kind == "link"]


def hints(stage: Stage) -> list[str]:
    return [e.note.text for e in stage.events if isinstance(e, StageNoted) and e.note.kind == "hint"]


def test_where_urls_are_only_printed_the_links_are_printed_too(web: Path) -> None:
    stage = Stage(web, Orgs(), board=Page(), open=None).start(2)
    stage.until(lambda events: len(links(stage)) == 3)
    assert links(stage)[:2] == offers(stage)
    assert links(stage)[2] == Page.url
    assert [hint for hint in hints(stage) if hint.startswith(("1.", "2."))] == ["1. Billing@o1", "2. Billing@o2"]
    for link in offers(stage):
        stage.people.approve(link)
    assert usernames(stage.end()) == everybody(2)


def test_where_no_browser_opens_the_links_are_printed_after_all(web: Path) -> None:
    stage = Stage(web, Orgs(), board=Page(), open=lambda url: False).start(2)
    stage.until(lambda events: len(links(stage)) == 3)
    assert links(stage) == [Page.url, *offers(stage)]
    assert "No browser could be opened: open the page yourself." in hints(stage)
    for link in offers(stage):
        stage.people.approve(link)
    stage.end()


def test_to_a_board_on_another_machine_the_way_is_told(web: Path) -> None:
    page = Page()
    stage = Stage(web, Orgs(), board=page, open=lambda url: False, local_browser=False).start(2)
    stage.until(lambda events: "No browser could be opened: open the page yourself." in hints(stage))
    assert "To open it on another machine, first run there: ssh -L 0:127.0.0.1:0 <this machine>" in hints(stage)
    assert links(stage) == [Page.url]
    pasted = [e.note.pasted for e in stage.events if isinstance(e, StageNoted) and e.note.kind == "offer"]
    assert pasted == [True, True]
    assert page.desk is not None
    page.desk.finish()
    stage.end()


@pytest.mark.parametrize("count", [1, 2])
def test_where_the_browser_may_be_elsewhere_the_address_is_asked_for_as_well(web: Path, count: int) -> None:
    stage = Stage(web, Orgs(), open=None, browser_doubt="CODESPACES is set", ask=None).start(count)
    stage.until(lambda events: "(CODESPACES is set), paste the URL of that page here:" in repr(events))
    assert stage.people.take is not None
    stage.people.take(None)  # the end of the input is not the end of answers
    for link in links(stage):
        stage.people.approve(link)
    assert len(stage.end().logins) == count


def test_one_browser_is_shown_one_link_after_the_other(web: Path) -> None:
    opened: list[str] = []

    def show(url: str) -> bool:
        opened.append(url)
        return True

    stage = Stage(web, Orgs(), open=show).start(3)
    every = stage.people.see_all(3)
    until(lambda: opened == every[:1])
    stage.people.approve(every[1])
    stage.until(lambda events: any(isinstance(event, SubjectFinished) for event in events))
    stage.people.approve(every[0])
    until(lambda: opened == [every[0], every[2]])
    stage.people.approve(every[2])
    assert usernames(stage.end()) == everybody(3)


def test_links_stay_where_no_browser_opens(web: Path) -> None:
    stage = Stage(web, Orgs(), open=lambda url: False).start(2)
    stage.until(lambda events: "No browser could be opened: open the links yourself." in hints(stage))
    for link in links(stage):
        stage.people.approve(link)
    assert usernames(stage.end()) == everybody(2)


def test_an_org_with_a_browser_of_its_own_is_shown_in_it_from_the_board(tmp_path: Path) -> None:
    orgs = {"o1": {"url": "https://o1.my.salesforce.com", "browser": "firefox"}}
    orgs["o2"] = {"url": "https://o2.my.salesforce.com"}
    trees.plant(tmp_path, trees.project(plugins={"ecapipe": {"orgs": orgs}}) | trees.app("Billing"))
    opened: list[tuple[str, str]] = []
    page = Page()

    def browsers(name: str) -> Callable[[str], bool]:
        def show(url: str) -> bool:
            opened.append((name, url))
            return True

        return show

    stage = Stage(tmp_path, Orgs(), board=page, browsers=browsers).start(0, orgs=("o1", "o2"))
    stage.until(lambda events: len(offers(stage)) == 2)
    named = [e.note.browser for e in stage.events if isinstance(e, StageNoted) and e.note.kind == "offer"]
    assert named == ["firefox", None]
    assert page.desk is not None
    assert page.desk.open(Subject("Billing", "o1", str(tmp_path)))
    assert opened == [("firefox", offers(stage)[0])]
    assert not page.desk.open(Subject("Billing", "o3", str(tmp_path)))
    page.desk.finish()
    stage.end()


def test_without_its_board_the_run_goes_on_in_the_terminal(web: Path) -> None:
    @contextmanager
    def refused(desk: BoardActions) -> Iterator[Page]:
        raise EcapipeError(sign_in.board_cannot_listen(8765, "it is in use"))
        yield Page()

    stage = Stage(web, Orgs(), board=refused).start(2)
    for link in stage.people.see_all(2):
        stage.people.approve(link)
    assert usernames(stage.end()) == everybody(2)
    assert hints(stage)[0] == "Cannot serve the sign-in page on port 8765: it is in use."


def until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)
