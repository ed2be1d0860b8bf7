"""What the commands without stages print."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st
from render.scenes import Screen, dangerous, hostile

from ecapipe.check.findings import Finding
from ecapipe.check.rules.registry import RULES
from ecapipe.events import AppFacts, CredentialFacts, SavedLoginFacts, SavedSecretFacts
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.render import finding_list, listings, text
from ecapipe.render import screen as layout

WIDE = layout.Screen(1000)
"""So wide that nothing is wrapped."""


def app(said: str | None = None) -> AppFacts:
    """A complete app; with `said`, that is what everything from outside says."""

    def of(usual: str) -> str:
        return usual if said is None else said

    return AppFacts(
        of("Billing"), of("/p"), of("main/Billing_x.ecaGlblOauth-meta.xml"), (of("main/Billing.eca-meta.xml"),),
        "Local", "own", None, (of("http://localhost:1717/OauthRedirect"), of("https://example.com")),
        ("web", "client-credentials"),
        CredentialFacts("present", True, "file", ()), CredentialFacts("absent", True, "environment", (), True),
    )  # fmt: skip


def login(said: str | None = None) -> SavedLoginFacts:
    """A kept login; with `said`, that is what everything from outside says."""
    org = said or "uat"
    times = (org, org, org, None)
    return SavedLoginFacts(
        said or "Billing", org, org, org, org, org, org, org, (org,), said or "web", org, "file", True, *times
    )


def secret(said: str | None = None) -> SavedSecretFacts:
    return SavedSecretFacts(said or "Billing", said, said or "3MVG9…0000", "file", said or "2026-11-25T12:00:00Z")


def finding(said: str | None = None) -> Finding:
    actions = (said or "Mend it.", "Or leave it.")
    return Finding("malformed-xml", "error", said or "It is broken.", None, said or "main/a.xml", 7, actions)


def shown(lines: object) -> str:
    screen = Screen()
    text.write(screen, lines)  # type: ignore[arg-type]  # whatever plain makes
    return screen.getvalue()


def test_a_list_of_apps_reads_so() -> None:
    linked = AppFacts(
        "Portal", "/p", None, (), None, "sourceOrg", "00D000000000002EAA", (), (),
        CredentialFacts("absent", False, None, ()), CredentialFacts("absent", False, None, (), False),
    )  # fmt: skip
    assert (
        shown(listings.listing([app(), linked], "verbose"))
        == """\
Billing
  Distribution: Local
  Settings: main/Billing_x.ecaGlblOauth-meta.xml
  Callback URLs: http://localhost:1717/OauthRedirect, https://example.com
  Flows: web, client-credentials
  Consumer key: usable, from file
  Consumer secret: usable, from environment
  Files:
    main/Billing.eca-meta.xml

Portal
  Distribution: unknown
  Settings: none: likely linked, key and secret belong to org 00D000000000002EAA
  Callback URLs: none
  Flows: none
  Consumer key: absent in the file
  Consumer secret: absent in the file (not required)
  Files:
"""
    )


def test_many_apps_are_a_table_that_fits_or_blocks_where_it_cannot() -> None:
    wide, narrow = (shown(listings.listing([app()], screen=layout.Screen(width))) for width in (80, 40))
    assert (
        wide
        == """\
App      Distribution  Flows                    Consumer Key  Consumer Secret
───────  ────────────  ───────────────────────  ────────────  ────────────────
Billing  Local         web, client-credentials  from file     from environment

Billing
  main/Billing.eca-meta.xml

To show callback URLs and what is missing, add --verbose.
"""
    )
    assert (
        narrow
        == """\
App: Billing
Distribution: Local
Flows: web, client-credentials
Consumer Key: from file
Consumer Secret: from environment

Billing
  main/Billing.eca-meta.xml

To show callback URLs and what is
missing, add --verbose.
"""
    )


@given(
    st.integers(40, 120),
    st.lists(st.lists(st.text("ab/@ .-", max_size=60), min_size=3, max_size=3), max_size=4),
)
def test_a_table_fits_and_leaves_nothing_out(width: int, rows: list[list[str]]) -> None:
    lines = list(layout.Screen(width).table(("One", "Two", "Three"), rows))
    assert all(len(line) <= width for line in lines)
    shown = sorted("".join("".join(lines).split()))
    assert not Counter("".join("".join(cell.split()) for row in rows for cell in row)) - Counter(shown)


def test_an_empty_list_says_so() -> None:
    assert shown(listings.listing([])) == "No external client apps found.\n"


def test_findings_are_grouped_by_app_and_told_once() -> None:
    def missing(app: str) -> Finding:
        file = f"main/{app}.xml"
        return Finding(
            "secret-missing", "error", f"{app} has none. It needs one.", app, file, 7, (f"Set A_{app.upper()}.",)
        )

    note = Finding("settings-missing", "note", "It has none.", "Portal", "main/Portal.eca-meta.xml", None, ())
    command = replace(finding(), app="Billing", accepted=False, actions=("Look: git status --short",))
    found = [note, missing("Portal"), missing("Billing"), missing("Nightly"), command]
    assert (
        shown(finding_list.findings(found, 4))
        == """\
Portal
  error  secret-missing  Portal has none.
      main/Portal.xml:7
      It needs one.
      - Set A_PORTAL.
      Same for 2 more apps: Billing, Nightly
  note  settings-missing  It has none.
      main/Portal.eca-meta.xml

Billing
  error  malformed-xml  It is broken.
      main/a.xml:7
      - Look:
          git status --short

Checked 4 apps: 4 errors, 0 warnings, 1 note.
"""
    )


def test_sixty_apps_with_the_same_findings_are_no_longer_than_one_and_a_list() -> None:
    found = [
        Finding(
            "secret-missing", "error", f"App{number} has none.", f"App{number}", f"App{number}.xml", 1, ("Set it.",)
        )
        for number in range(60)
    ]
    assert len(shown(finding_list.findings(found, 60)).splitlines()) < 20


def test_everything_can_be_explained() -> None:
    names = [*RULES, *CATALOGUE]
    index = shown(listings.index(RULES.values(), CATALOGUE.values(), screen=WIDE))
    assert [name for name in names if f"\n{name}  " not in index] == []
    for rule in RULES.values():
        page = shown(listings.rule(rule, WIDE))
        assert all(
            part in page for part in (rule.name, str(rule.levels), rule.means, rule.why, rule.remedy, rule.source)
        )
    for problem in CATALOGUE.values():
        page = shown(listings.problem(problem, WIDE))
        assert all(part in page for part in (problem.name, problem.means, problem.remedy, str(problem.exit_code)))


@given(hostile)
@example("\n::error::forged")
@example("\x1b]0;title\x07")
def test_text_from_outside_forges_nothing(said: str) -> None:
    for mine, usual in (
        (listings.listing([app(said)], "verbose"), listings.listing([app()], "verbose")),
        (listings.listing([app(said)], screen=WIDE), listings.listing([app()], screen=WIDE)),
        (listings.logins([login(said)], screen=WIDE), listings.logins([login()], screen=WIDE)),
        (finding_list.findings([finding(said)], 1, screen=WIDE), finding_list.findings([finding()], 1, screen=WIDE)),
        (listings.logins([login(said)], "verbose"), listings.logins([login()], "verbose")),
        (listings.logins([login(said)], "concise"), listings.logins([login()], "concise")),
        (listings.kept_secret(secret(said), said), listings.kept_secret(secret(), "/state")),
        (listings.forgotten([secret(said)]), listings.forgotten([secret()])),
    ):
        mine_shown, usual_shown = shown(mine), shown(usual)
        assert dangerous(mine_shown) == set()
        assert mine_shown.count("\n") == usual_shown.count("\n")
        assert not any(line.lstrip().startswith("::") for line in mine_shown.splitlines())


def test_a_concise_listing_is_a_line_per_app() -> None:
    assert len(shown(listings.listing([app(), app()], "concise")).splitlines()) == 2


def test_a_verbose_listing_says_why_something_is_missing() -> None:
    facts = app()
    lacking = replace(facts, consumer_secret=replace(facts.consumer_secret, causes=("Nobody knows.",)))
    assert "Nobody knows." in shown(listings.listing([lacking], "verbose"))
    assert "Nobody knows." not in shown(listings.listing([lacking]))


def test_concise_findings_leave_out_what_to_do_and_verbose_ones_say_why() -> None:
    found = [finding()]
    lengths = [
        len(shown(finding_list.findings(found, 1, length)).splitlines()) for length in ("concise", "usual", "verbose")
    ]
    assert lengths[0] == 4
    assert lengths[0] < lengths[1] < lengths[2]
