"""The problems of a run, as people are told them: in full at first sight, in one line later."""

from __future__ import annotations

from urllib.parse import urlsplit

from ecapipe.credentials.sources import in_capitals
from ecapipe.documents.report import Report
from ecapipe.events import Event, StageEnded, StageNoted, StageStarted, Subject
from ecapipe.problems.problem import Problem
from ecapipe.render import text


class ProblemLog:
    """What a display says of problems, each with its login. `report` has to receive each event before this does.

    That of a login which can begin again on the board is kept back until nothing comes of that any more.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._groups: list[tuple[str, list[str]]] = []
        """For each problem its name and those of its subjects."""
        self._subjects: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        """The latter by the problem's name and actions, as they are and without the names in them."""
        self._offered: set[Subject] = set()
        self._held: dict[Subject, Problem] = {}

    def lines(self, event: Event) -> list[str]:
        """What an event has to tell."""
        match event:
            case StageNoted() if event.note.kind == "offer":
                self._offered.add(event.subject)
            case StageStarted():
                self._held.pop(event.subject, None)
            case StageEnded(problem=Problem() as problem):
                if event.subject not in self._offered:
                    return self._tell(event.subject, problem)
                self._held[event.subject] = problem
            case _:
                pass
        return []

    def may_return(self, subject: Subject) -> bool:
        """Whether it can begin again if it fails."""
        return subject in self._offered

    def end(self) -> list[str]:
        """What was kept back, and the problems that several subjects have."""
        lines = [line for subject, problem in self._held.items() for line in self._tell(subject, problem)]
        self._held.clear()
        for name, names in self._groups:
            if len(names) > 1:
                lines.append(f"{name}, {len(names)} times: {', '.join(names)}")
        return lines

    def _tell(self, subject: Subject, problem: Problem) -> list[str]:
        name = text.clean(self._report.name(subject))
        keys = (problem.name, problem.actions), (problem.name, self._without_names(subject, problem))
        names = next((self._subjects[key] for key in keys if key in self._subjects), [])
        names.append(name)
        self._subjects |= dict.fromkeys(keys, names)
        if len(names) > 1:
            return [text.problem_line(problem, name)]
        self._groups.append((problem.name, names))
        return text.problem(problem, name)

    def _without_names(self, subject: Subject, problem: Problem) -> tuple[str, ...]:
        """What a problem calls for, the same for whatever login has it."""
        url = next((org.url for org in self._report.orgs if org.name == subject.org), "")
        words = {subject.app, subject.org, urlsplit(url).netloc, problem.host}
        words |= {in_capitals(word) for word in (subject.app, subject.org) if word}
        return tuple(map(text.without_names(words), problem.actions))
