"""A run as lines: exact, only ever appended, and safe whatever the text says."""

from __future__ import annotations

import io
from itertools import pairwise

from hypothesis import example, given
from render.scenes import LINK, LOST, Screen, dangerous, hostile, run, tell

from ecapipe.documents.report import Report
from ecapipe.events import Event
from ecapipe.render import screen as layout
from ecapipe.render.plain_display import PlainDisplay


def shown(events: list[Event], *, stages: bool = True, verbose: bool = False, width: int = 80) -> tuple[str, str]:
    """What goes to standard output and to standard error."""
    out, err, report = Screen(), Screen(), Report()
    tell(events, report, PlainDisplay(out, err, report, stages=stages, verbose=verbose, screen=layout.Screen(width)))
    return out.getvalue(), err.getvalue()


def test_a_run_reads_so() -> None:
    out, err = shown(run())
    assert (
        out
        == """\
───── Authorizing External Client Apps ─────
Stages:
1. Finding external client apps
2. Locating global OAuth settings
3. Checking credentials
4. Authorizing
5. Requesting token
6. Verifying user info

✔ Finding external client apps (5ms)
   Apps: 2
   Orgs: uat
⚠ Checking credentials - Billing (1ms)
✔ Billing: Locating global OAuth settings 1ms
✔ [1/2] Billing@uat: Successfully authorized ada@acme.example with org ID 00D000000000001EAA (1m 6.84s)
✘ Requesting token - Portal2@uat (20ms)

App@Org      Stages  Result
─────────────────────────────────────
Billing@uat  ✔⚠✔✔✔   ada@acme.example
Portal2@uat  ✔✔◯✘◯   ConnectionFailed
Stages: Locate, Check, Authorize, Token, Verify

2 targets: 1 succeeded, 1 failed, 0 waiting

Status: Partial Success
The access tokens weren't stored. They remain valid until the session expires; use --revoke to \
revoke them.
Elapsed time: 1m 6.90s
"""
    )
    assert err == f"Warning: Billing: Key and secret differ in source.\n{LINK}\n{LOST}"


def test_concise_is_logins_and_problems() -> None:
    out, err = shown(run(), stages=False)
    assert (
        out
        == """\
Billing@uat: Successfully authorized ada@acme.example with org ID 00D000000000001EAA
2 targets: 1 succeeded, 1 failed, 0 waiting
The access tokens weren't stored. They remain valid until the session expires; use --revoke to \
revoke them.
"""
    )
    assert err == shown(run())[1]


def test_verbose_adds_the_facts_of_the_middle() -> None:
    usual, verbose = (shown(run(), verbose=choice)[0].splitlines() for choice in (False, True))
    assert [line for line in usual if line not in verbose] == [
        "✔ Billing: Locating global OAuth settings 1ms",
    ]
    more = [line for line in verbose if line not in usual]
    assert [line for line in more if not line.startswith(("▶", "✔", "◯"))] == [
        "   Settings File: main/Billing.xml",
        "   Redirect URI: http://localhost/",
        "   Username: ada@acme.example",
    ]
    assert "▶ Authorizing - Billing@uat…" in more
    assert "✔ Requesting token - Billing@uat (1.30s)" in more
    assert "◯ Authorizing - Skipped - Portal2@uat: It has no browser step." in more


def test_lines_are_only_ever_appended() -> None:
    out, err, report = Screen(), Screen(), Report()
    seen: list[tuple[str, str]] = [("", "")]
    tell(run(), report, PlainDisplay(out, err, report), lambda event: seen.append((out.getvalue(), err.getvalue())))
    for before, after in pairwise(seen):
        assert all(new.startswith(old) and new[-1:] in ("", "\n") for old, new in zip(before, after, strict=True))


@given(hostile)
@example("\x1b[2J\x1b]0;title\x07")
@example("\n✔ Verifying user info - Billing@uat (1ms)\r")
@example("::error::forged")
def test_text_from_outside_forges_nothing(text: str) -> None:
    for mine, usual in zip(
        shown(run(text), verbose=True, width=500), shown(run(), verbose=True, width=500), strict=True
    ):
        assert dangerous(mine) == set()
        assert mine.count("\n") == usual.count("\n")
        assert not any(line.lstrip().startswith("::") for line in mine.splitlines())


def test_a_stream_without_our_glyphs_gets_others() -> None:
    for encoding in ("ascii", "latin-1"):
        raw = io.BytesIO()
        out, report = io.TextIOWrapper(raw, encoding=encoding), Report()
        tell(run(), report, PlainDisplay(out, out, report, verbose=True))
        lines = raw.getvalue().decode("ascii").splitlines()
        assert lines[0] == "----- Authorizing External Client Apps -----"
        assert "+ Requesting token - Billing@uat (1.30s)" in lines
        assert "x Requesting token - Portal2@uat (20ms)" in lines
        assert "> Authorizing - Billing@uat..." in lines
        assert "?" not in "".join(lines).replace("authorize?", "")
