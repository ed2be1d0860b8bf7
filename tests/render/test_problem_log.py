"""What people are told of problems: which login has them, each once in full, and how all targets ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render.scenes import AT, Screen, login, tell

from ecapipe.documents.report import Report
from ecapipe.events import (
    AUTHORIZE,
    CHECK,
    LOCATE,
    RUN_STAGES,
    TARGET_STAGES,
    Event,
    Note,
    OrgFacts,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.credentials import consumer_secret_missing
from ecapipe.problems.network import host_not_found
from ecapipe.problems.problem import Problem
from ecapipe.problems.sign_in import auth_timeout_error
from ecapipe.problems.usage import interrupted
from ecapipe.render import text
from ecapipe.render.live_display import LiveDisplay
from ecapipe.render.plain_display import PlainDisplay
from ecapipe.render.text import split_sentences


def shown(events: list[Event], display: str) -> tuple[str, str]:
    out, err, report = Screen(), Screen(), Report()
    if display == "live":
        live = LiveDisplay(out, err, report, colour=False)
        tell(events, report, live)
        live.close()
    else:
        tell(events, report, PlainDisplay(out, err, report, stages=display == "lines"))
    return out.getvalue(), err.getvalue()


displays = pytest.mark.parametrize("display", ["lines", "concise", "live"])


def planned(*subjects: Subject) -> list[Event]:
    orgs = dict.fromkeys(each.org for each in subjects if each.org)
    facts = [OrgFacts(org, f"https://{org}.my.salesforce.com", "user", None) for org in orgs]
    return [RunStarted("made-up", AT, RUN_STAGES), RunPlanned((), subjects, tuple(facts))]


def failing(subject: Subject, problem: Problem) -> list[Event]:
    stage = AUTHORIZE if subject.org else CHECK
    return [StageStarted(stage, subject), StageEnded(stage, subject, "failed", AT, 1, problem=problem)]


def logged_in(subject: Subject) -> list[Event]:
    ended: list[Event] = [StageEnded(stage, subject, "passed", AT, 1) for stage in TARGET_STAGES[:3]]
    return [StageStarted(AUTHORIZE, subject), *ended, SubjectFinished(subject, login())]


def no_secret(app: str) -> Problem:
    variable = f"ECAPIPE_CLIENT_SECRET_{app.upper()}"
    return consumer_secret_missing(app, variable, (), ("web",), (), (), None, None, file=f"main/{app}.xml", line=3)


CAUSES = {
    "one Ctrl-C": [(Subject(f"App{number}", "uat", "t"), interrupted()) for number in range(40)],
    "one host": [
        (Subject(app, "uat", "t"), host_not_found("uat.my.salesforce.com")) for app in ("A", "Beta", "Gamma")
    ],
    "each a host": [
        (Subject("Acme", org, "t"), host_not_found(f"{org}.my.salesforce.com")) for org in ("dev", "uat", "prod")
    ],
    "no secret": [(Subject(app, None, "t"), no_secret(app)) for app in ("Nightly_Jobs", "Portal", "Robot")],
    "nobody came": [(Subject("Acme", org, "t"), auth_timeout_error("Acme", 5)) for org in ("dev", "uat")],
}


@displays
@pytest.mark.parametrize("cause", CAUSES)
def test_one_cause_is_told_in_full_once_and_names_all_it_is_about(cause: str, display: str) -> None:
    failures = CAUSES[cause]
    events = [*planned(*(subject for subject, _ in failures))]
    events += [event for subject, problem in failures for event in failing(subject, problem)]
    _, err = shown([*events, RunEnded(False, 1)], display)
    name = failures[0][1].name
    lines = err.splitlines()
    heads = [line.partition(": ")[0] for line in lines if line.startswith("Error")]
    assert heads == [f"Error ({name}) {subject}" for subject, _ in failures]
    assert err.count("Try this:") == 1
    for number, (subject, problem) in enumerate(failures):
        # The first has a line for each sentence.
        headline, *details = split_sentences(problem.message) if number == 0 else [problem.message]
        assert f"Error ({name}) {subject}: {headline}" in lines
        assert {f"  {detail}" for detail in details} <= {*lines}
    assert lines[-1] == f"{name}, {len(failures)} times: {', '.join(str(subject) for subject, _ in failures)}"


@displays
def test_other_advice_is_told_in_full_each_time(display: str) -> None:
    problems = [no_secret("Acme"), host_not_found("uat.my.salesforce.com"), no_secret("Portal")]
    extra = consumer_secret_missing(
        "Robot", "CI_SECRET", (), ("web", "jwt"), (), ("Use a key.",), None, None, file=None, line=None
    )
    subjects = [Subject(app, None, "t") for app in ("Acme", "B", "Portal", "Robot")]
    events = [each for pair in zip(subjects, [*problems, extra], strict=True) for each in failing(*pair)]
    _, err = shown([*planned(*subjects), *events, RunEnded(False, 1)], display)
    assert err.count("Try this:") == 3
    assert "Or use a key." in err


@displays
def test_two_trees_are_told_apart(display: str) -> None:
    subjects = [Subject("Nightly", None, tree) for tree in ("orgs/a", "orgs/b")]
    events = [each for subject in subjects for each in failing(subject, no_secret("Nightly"))]
    _, err = shown([*planned(*subjects), *events, RunEnded(False, 1)], display)
    assert "Error (ConsumerSecretMissing) Nightly (orgs/a): " in err
    assert "Error (ConsumerSecretMissing) Nightly (orgs/b): " in err


@displays
@pytest.mark.parametrize("tries", [1, 3])
@pytest.mark.parametrize("others", [1, 4])
def test_a_login_that_began_again_and_succeeded_leaves_no_error(display: str, tries: int, others: int) -> None:
    target = Subject("Acme", "uat", "t")
    rest = [Subject(f"App{number}", "uat", "t") for number in range(others)]
    offer: list[Event] = [StageNoted(AUTHORIZE, target, Note("offer", "https://uat.my.salesforce.com/"))]
    attempt = [StageStarted(AUTHORIZE, target), *offer, *failing(target, auth_timeout_error("Acme", 5))[1:]]
    attempt += [StageEnded(stage, target, "skipped", AT, reason="Failed.") for stage in TARGET_STAGES[1:3]]
    events = [*planned(target, *rest), *[event for each in rest for event in logged_in(each)], *attempt * tries]
    out, err = shown([*events, *logged_in(target), RunEnded(False, 1)], display)
    assert err == ""
    assert f"{others + 1} targets: {others + 1} succeeded, 0 failed, 0 waiting" in out
    if display == "live":
        assert "✘" not in out
    _, err = shown([*events, RunEnded(False, 1)], display)
    assert err.count("Error (AuthTimeoutError) Acme@uat: ") == 1


@displays
def test_a_run_of_several_targets_ends_with_a_count_of_each_end(display: str) -> None:
    one, two, three, four = (Subject(f"App{number}", "uat", "t") for number in range(4))
    lost = [StageEnded(AUTHORIZE, four, "skipped", AT, reason="Locating failed.")]
    events = [
        *planned(one, two, three, four),
        *logged_in(one),
        *failing(two, auth_timeout_error("App1", 5)),
        *failing(three, host_not_found("uat.my.salesforce.com")),
        StageStarted(LOCATE, four.whole_app),
        *failing(four.whole_app, no_secret("App3")),
        *lost,
        RunEnded(False, 1),
    ]
    out, _ = shown(events, display)
    assert "4 targets: 1 succeeded, 2 failed, 1 waiting\n" in out
    for target in (one, two, three, four):
        assert (str(target) in out) or display == "concise"
    alone, _ = shown([*planned(one), *logged_in(one), RunEnded(False, 1)], display)
    assert "target" not in alone


names = st.text(st.sampled_from("abcXYZ_0"), min_size=1, max_size=60)


@given(names, st.none() | names, st.integers(10, 60), st.sampled_from(["…", "..."]))
def test_what_follows_the_app_is_never_cut(app: str, org: str | None, width: int, ellipsis: str) -> None:
    name = str(Subject(app, org)) + " (orgs/a)"
    short = text.shorten(name, app, width, ellipsis)
    rest = name.removeprefix(app)
    assert short.endswith(rest)
    assert len(short) <= max(width, len(rest) + 2 + len(ellipsis))
    assert short == name or (ellipsis in short and short[0] == app[0] and short.removesuffix(rest)[-1] == app[-1])


@pytest.mark.parametrize("width", ["80", "100", "140"])
def test_the_table_keeps_each_org_readable(width: str) -> None:
    orgs = [f"{name}--sandbox.sandbox.my.salesforce.com" for name in ("acme", "europe", "asia", "x" * 30)]
    subjects = [Subject("A_Rather_Long_Name_Of_An_App_That_Goes_On", org, "t") for org in orgs]
    events = [*planned(*subjects), *[event for each in subjects for event in logged_in(each)], RunEnded(False, 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", width)
        table, _ = shown(events, "live")
        lines, _ = shown(events, "lines")
    # A name that does not fit goes on in the next line of its cell.
    for shown_table in (table, lines):
        rows = shown_table[shown_table.rindex("App@Org") :].splitlines()
        room = min(rows[0].find(head) % 1000 for head in ("Stages", "Locate"))
        cells = "".join(line[:room].strip() for line in rows)
        for org in orgs:
            assert f"@{org}" in cells
            assert all(len(line) <= int(width) for line in rows[: rows.index("")])
