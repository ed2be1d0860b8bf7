"""What is checked, at which level, and what the project has accepted."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import trees
from check import ground
from check.ground import HOME, IGNORE, LINK, SETTINGS, committed
from check.rules_page import PAGE, page

from ecapipe.check import baseline
from ecapipe.check.baseline import AcceptedFinding
from ecapipe.check.findings import Finding
from ecapipe.check.inspection import CheckOptions
from ecapipe.check.rules import registry
from ecapipe.check.rules.registry import RULES
from ecapipe.problems.git import unknown_revision
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.project import baseline_not_configured, malformed_baseline, schema_validation_error
from ecapipe.problems.usage import unreadable_file, unwritable_file

ROOT = Path(__file__).parents[2]
ACCEPTED = "accepted.json"
COPY: trees.Changes = {"settings": {"consumerKey": trees.key("Billing")}}
OAUTH = f"{trees.DEFAULT}/extlClntAppOauthSettings/Billing_oauth.ecaOauth-meta.xml"


def project(*, rules: Mapping[str, object] | None = None, **more: object) -> trees.Files:
    return trees.project(plugins={"ecapipe": {"rules": rules or {}, **more}})


def raised(root: Path, gate: CheckOptions, trusted: bool = True) -> Problem:
    with pytest.raises(EcapipeError) as caught:
        ground.inspect(root, gate, trusted=trusted)
    return caught.value.problem


def check(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command itself."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "ecapipe", "app", "check", *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=60, check=False)


# --- --staged -----------------------------------------------------------------------------------------------


def test_staged_reads_what_the_next_commit_would_take(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [*committed(trees.project() | trees.app()), IGNORE])
    trees.plant(root, trees.app(settings={"isPkceRequired": "false"}))
    assert "pkce-not-required" in ground.rules(root)
    assert "pkce-not-required" not in ground.rules(root, CheckOptions(staged=True))
    ground.git(root, "add", "--all")
    trees.plant(root, trees.app())
    assert "pkce-not-required" not in ground.rules(root)
    found = [each for each in ground.findings(root, CheckOptions(staged=True)) if each.rule == "pkce-not-required"]
    assert [(each.file, each.line is not None) for each in found] == [(SETTINGS, True)]


def test_staged_takes_the_projects_own_words_from_the_index(tmp_path: Path) -> None:
    loud, quiet = project(), project(rules={"scope-full": "off"})
    app = trees.app(oauth={"commaSeparatedOauthScopes": "Full"})
    root = ground.ready(tmp_path, [*committed(loud | app), quiet])
    assert "scope-full" not in ground.rules(root)
    assert "scope-full" in ground.rules(root, CheckOptions(staged=True))


def test_staged_does_not_see_what_is_not_added(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [*committed(trees.project() | trees.app()), trees.app("Portal")])
    assert [app.name for app in ground.inspect(root, CheckOptions(staged=True)).apps] == ["Billing"]
    ground.git(root, "rm", "-r", "--quiet", "--cached", ".")
    assert ground.inspect(root, CheckOptions(staged=True)).apps == ()


def test_staged_follows_no_link_into_another_repository(tmp_path: Path) -> None:
    other = ground.ready(tmp_path / "other", committed(trees.project() | trees.app()))
    root = ground.ready(tmp_path / "own", committed({"sfdx-project.json": trees.project()["sfdx-project.json"]}))
    (root / "force-app").symlink_to(other / "force-app")
    ground.git(root, "add", "--all")
    for gate in (CheckOptions(), CheckOptions(staged=True)):
        with pytest.raises(EcapipeError, match="force-app is a link that leads outside the repository"):
            ground.inspect(root, gate)


def test_staged_finds_the_secret_of_an_ignored_file_in_what_is_added(tmp_path: Path) -> None:
    script = {"login.sh": f"curl -d client_secret={trees.secret('Billing')}\n"}
    root = ground.ready(tmp_path, [*committed(trees.project() | trees.app() | IGNORE), script])
    gate = CheckOptions("commit", staged=True)
    assert "secret-elsewhere-in-tree" not in ground.rules(root, gate)
    ground.git(root, "add", "login.sh")
    (root / "login.sh").unlink()
    (found,) = [each for each in ground.findings(root, gate) if each.rule == "secret-elsewhere-in-tree"]
    assert (found.file, found.line, found.level) == ("login.sh", 1, "error")


def test_staged_finds_every_copy_of_a_settings_file(tmp_path: Path) -> None:
    copy = {"backup/one.xml": trees.app()[SETTINGS], "backup/two.xml": trees.app()[SETTINGS]}
    root = ground.ready(tmp_path, committed(trees.project() | trees.app() | copy))
    for gate in (CheckOptions("deploy"), CheckOptions("deploy", staged=True)):
        found = [each.file for each in ground.findings(root, gate) if each.rule == "secret-elsewhere-in-tree"]
        assert found == ["backup/one.xml", "backup/two.xml"]


def test_many_secrets_are_looked_for_as_well_as_few(tmp_path: Path) -> None:
    files = trees.project() | {"notes": f"{trees.secret('App77')}\n", ".env": trees.secret("App78")}
    for number in range(80):
        files |= trees.app(f"App{number}", header=None, oauth=None, policies=None)
    root = ground.ready(tmp_path, [files, {".gitignore": ".env\n"}, "add --all"])
    for gate in (CheckOptions(), CheckOptions(staged=True), CheckOptions("deploy")):
        found = [each for each in ground.findings(root, gate) if each.rule == "secret-elsewhere-in-tree"]
        assert [(each.app, each.file, each.line) for each in found] == [("App77", "notes", 1)]


def test_staged_passes_over_bundles_and_hidden_folders(tmp_path: Path) -> None:
    header = trees.xml("ExternalClientApplication", {"label": "made up"})
    names = ["lwc/a", ".hidden/b", "node_modules/c", "classes/d"]
    files: trees.Files = {f"force-app/{name}.eca-meta.xml": header for name in names}
    root = ground.ready(tmp_path, committed(trees.project() | files))
    assert [app.name for app in ground.inspect(root, CheckOptions(staged=True)).apps] == ["c", "d"]


LINKS: Mapping[str, Mapping[str, str]] = {
    "folder": {"project/force-app/two": "../../shared"},
    "file": {"project/force-app/Two.ecaGlblOauth-meta.xml": f"../../shared/{SETTINGS.replace('Billing', 'Two')}"},
    "absolute": {"project/force-app/two": "{root}/shared"},
    "chain": {"project/force-app/two": "../../one", "one": "two", "two": "shared/force-app"},
    "through a link": {"project/force-app/two": "../../all/force-app", "all": "shared"},
    "in what a link leads to": {"project/force-app/x": "../../more", "more/two": "../shared"},
    "package": {"project/package": "../shared"},
    "circle": {
        "project/force-app/x": "../force-app",
        "project/force-app/y": "y",
        "project/force-app/z": "../../shared",
    },
    "away": {"project/force-app/two": "../../../away"},
    "absolutely away": {"project/force-app/two": "{root}/../away"},
    "hidden": {"project/force-app/.two": "../../shared"},
}


@pytest.mark.parametrize("links", LINKS.values(), ids=LINKS)
def test_staged_follows_links_as_the_disk_does(links: Mapping[str, str], tmp_path: Path) -> None:
    root = tmp_path / "repository"
    trees.plant(tmp_path / "away", trees.app("Two"))
    trees.plant(root / "shared", trees.app("Two"))
    trees.plant(root / "project", trees.project("force-app", *(["package"] if "project/package" in links else [])))
    for link, target in links.items():
        (root / link).parent.mkdir(exist_ok=True)
        if (root / link).is_dir():
            (root / link).rmdir()
        (root / link).symlink_to(target.format(root=root))
    ground.ready(root, ["add --all"])
    on_disk, staged = (ground.inspect(root / "project", ground.for_("commit", staged=each)) for each in (False, True))
    assert {(each.rule, each.file) for each in staged.findings} == {
        (each.rule, each.file) for each in on_disk.findings
    }
    assert (staged.apps, staged.notices) == (on_disk.apps, on_disk.notices)


def test_staged_takes_nothing_from_outside_of_the_project(tmp_path: Path) -> None:
    ground.ready(tmp_path / "other", [{"secret.txt": "made-up-secret-of-others"}, "add --all"])
    for place in ("../other/secret.txt", str(tmp_path / "other/secret.txt"), "/etc/hostname"):
        entry = {"glob": "**/*.xml", "stringToReplace": "@@", "replaceWithFile": place}
        files = trees.project(replacements=[entry]) | trees.app(settings={"consumerSecret": "@@"})
        root = ground.ready(tmp_path / "project", [files | {"copy": "made-up-secret-of-others"}, "add --all"])
        (app,) = ground.inspect(root, ground.for_("commit", staged=True)).apps
        assert app.consumer_secret.source is None


def test_staged_does_not_read_a_file_twice_where_package_directories_overlap(tmp_path: Path) -> None:
    files = trees.project("force-app", "force-app/main") | trees.app()
    root = ground.ready(tmp_path, committed(files))
    for gate in (CheckOptions(), CheckOptions(staged=True)):
        assert "settings-duplicated" not in ground.rules(root, gate)


def test_staged_tells_misspelt_and_broken_files(tmp_path: Path) -> None:
    files: trees.Files = {"force-app/a.ecaglblOauth-meta.xml": "<a/>", "force-app/b.eca-meta.xml": "<oops"}
    root = ground.ready(tmp_path, committed(trees.project() | trees.app() | files))
    assert {"suffix-misspelt", "malformed-xml"} <= ground.rules(root, CheckOptions(staged=True))


# --- --since ------------------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two apps in a commit; the settings are ignored, and were never committed."""
    apps = trees.project() | trees.app(settings=None) | trees.app("Portal", settings=None)
    return ground.ready(tmp_path / "two", [*committed(apps | IGNORE)])


def since(root: Path, revision: str = "HEAD") -> list[str]:
    return [app.name for app in ground.inspect(root, CheckOptions(since=revision)).apps]


def test_since_leaves_what_has_not_changed(two: Path) -> None:
    assert since(two) == []
    assert ground.inspect(two, CheckOptions(since="HEAD")).findings == ()
    trees.plant(two, trees.app(settings=None, oauth={"commaSeparatedOauthScopes": "Full"}))
    assert since(two) == ["Billing"]
    ground.ready(two, committed())
    assert (since(two), since(two, "HEAD~1")) == ([], ["Billing"])


def test_since_counts_what_git_ignores_and_does_not_track(two: Path) -> None:
    trees.plant(two, trees.app())
    assert since(two) == ["Billing"]
    trees.plant(two, trees.app("New", settings=None))
    assert since(two) == ["Billing", "New"]


def test_since_compares_what_has_changed_with_what_has_not(two: Path) -> None:
    ground.ready(two, [IGNORE | {".gitignore": ""}, *committed(trees.app())])
    trees.plant(two, trees.app("Portal", **COPY))
    found = ground.findings(two, CheckOptions(since="HEAD"))
    assert {each.app for each in found} == {"Portal"}
    assert "same-key-in-two-apps" in {each.rule for each in found}


def test_since_counts_what_is_gone(two: Path) -> None:
    (two / OAUTH).unlink()
    assert since(two) == ["Billing"]


def test_since_reads_the_index_with_staged(two: Path) -> None:
    trees.plant(two, trees.app(settings=None, oauth=LINK))
    staged = CheckOptions(since="HEAD", staged=True)
    assert ground.inspect(two, staged).apps == ()
    ground.git(two, "add", "--all")
    assert [app.name for app in ground.inspect(two, staged).apps] == ["Billing"]


def test_since_does_not_mind_line_endings(two: Path) -> None:
    content = (two / OAUTH).read_bytes()
    (two / OAUTH).write_bytes(content.replace(b"\n", b"\r\n"))
    assert since(two) == []


def test_since_keeps_broken_files_that_have_changed(two: Path) -> None:
    broken = {"force-app/a.eca-meta.xml": "<oops", "force-app/b.eca-meta.xml": "<oops"}
    ground.ready(two, committed(broken))
    trees.plant(two, {"force-app/b.eca-meta.xml": "<oops!"})
    found = ground.inspect(two, CheckOptions(since="HEAD")).findings
    assert [(each.rule, each.file) for each in found] == [("malformed-xml", "force-app/b.eca-meta.xml")]


@pytest.mark.parametrize("revision", ["nowhere", "--all", "", "HEAD:sfdx-project.json", "a b", "HEAD..HEAD"])
def test_since_refuses_what_is_no_revision(revision: str, two: Path) -> None:
    problem = raised(two, CheckOptions(since=revision))
    assert (problem.kind, problem.exit_code) == (unknown_revision, 2)


# --- levels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["note", "warning", "error"])
def test_a_project_gives_a_rule_its_level(level: str, tmp_path: Path) -> None:
    chosen = {"pkce-not-required": level, "label-missing": level, "consumer-secret-missing": level}
    settings = {"certificate": "TUlJRkFLRQ==", "consumerSecret": None, "isPkceRequired": "false"}
    root = ground.ready(tmp_path, project(rules=chosen) | trees.app(settings=settings))
    for purpose in ("login", "deploy", "commit"):
        levels = {each.rule: each.level for each in ground.findings(root, ground.for_(purpose))}
        assert {rule: levels[rule] for rule in chosen} == chosen


def test_a_rule_can_be_switched_off(tmp_path: Path) -> None:
    broken: trees.Files = {"force-app/a.eca-meta.xml": "<oops"}
    rules = {"pkce-not-required": "off", "malformed-xml": "off"}
    app = trees.app(settings={"isPkceRequired": "false"})
    root = ground.private(ground.ready(tmp_path, project(rules=rules) | app | broken))
    assert ground.findings(root) == []
    untrusted = ground.inspect(root, trusted=False).findings
    assert {each.rule for each in untrusted} == {"pkce-not-required", "malformed-xml"}


@pytest.mark.parametrize(
    "settings",
    [
        {"rules": []},
        {"rules": {"no-such-rule": "off"}},
        {"rules": {"scope-full": "fatal"}},
        {"rules": {"scope-full": None}},
        {"rules": {"scope-full": ["error"]}},
        {"baseline": 1},
        {"baseline": "/etc/baseline.json"},
        {"baseline": "../baseline.json"},
        {"baseline": "C:\\baseline.json"},
    ],
)
def test_settings_are_read_strictly(settings: dict[str, object], tmp_path: Path) -> None:
    root = ground.ready(tmp_path, trees.project(plugins={"ecapipe": settings}) | trees.app())
    assert raised(root, CheckOptions()).kind is schema_validation_error
    assert ground.inspect(root, trusted=False).apps != ()


@pytest.mark.parametrize(
    ("fail_on", "level", "status"),
    [("error", "error", 1), ("error", "warning", 0), ("warning", "warning", 1), ("warning", "note", 0),
     ("note", "note", 1), ("note", "off", 0)],
)  # fmt: skip
def test_the_status_is_that_of_the_worst_finding(fail_on: str, level: str, status: int, tmp_path: Path) -> None:
    app = trees.app(settings={"isPkceRequired": "false"})
    root = ground.private(ground.ready(tmp_path, project(rules={"pkce-not-required": level}) | app))
    ended = check(root, "--fail-on", fail_on, "--json")
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["status"]) == (status, status)
    told = {level: 1} if level != "off" else {}
    assert document["result"]["summary"] == {"error": 0, "warning": 0, "note": 0, "accepted": 0, **told}


def test_the_purpose_decides_the_level(tmp_path: Path) -> None:
    root = ground.private(ground.ready(tmp_path, trees.project() | trees.app(settings={"consumerKey": None})))
    assert (check(root).returncode, check(root, "--for", "deploy").returncode) == (1, 0)
    assert "consumer-key-missing" not in check(root, "--for", "commit").stdout


@pytest.mark.parametrize(
    "arguments",
    [("--for", "fun"), ("--fail-on", "fatal"), ("--target-org", "nowhere"), ("--since", "nowhere"),
     ("--target-org", "https://evil.example"), ("--name", "Biling"), ("--update-baseline",)],
)  # fmt: skip
def test_what_makes_no_sense_is_a_usage_error(arguments: tuple[str, ...], tmp_path: Path) -> None:
    root = ground.ready(tmp_path, committed(trees.project() | trees.app()))
    ended = check(root, *arguments, "--json")
    assert (ended.returncode, json.loads(ended.stdout)["exitCode"]) == (2, 2)


def test_the_target_is_an_org_of_the_project(tmp_path: Path) -> None:
    orgs = {"prod": {"url": "acme.my.salesforce.com", "orgId": "00D000000000009"}}
    root = ground.ready(tmp_path, project(orgs=orgs) | trees.app(oauth=LINK))
    ended = check(root, "--for", "deploy", "-o", "prod")
    assert ended.returncode == 1
    assert f"oauthLink of Billing belongs to org {HOME}, not to the target 00D000000000009." in " ".join(
        ended.stdout.split()
    )


# --- the baseline -------------------------------------------------------------------------------------------


@pytest.fixture
def accepting(tmp_path: Path) -> Path:
    """A project with a baseline to come, and two apps with findings."""
    apps = trees.app(settings={"isPkceRequired": "false"}) | trees.app("Portal", **COPY)
    return ground.private(ground.ready(tmp_path / "accepting", project(baseline=ACCEPTED) | apps))


def test_what_is_accepted_does_not_count(accepting: Path) -> None:
    before = ground.findings(accepting)
    assert not any(each.accepted for each in before)
    came = ground.inspect(accepting, CheckOptions(update=True))
    assert [replace(each, accepted=False) for each in came.findings] == before
    assert all(each.accepted for each in ground.findings(accepting))
    ended = check(accepting, "--fail-on", "note")
    assert ended.returncode == 0
    assert ended.stdout.count("warning (accepted)  ") == 3
    assert ended.stdout.endswith("Checked 2 apps: 0 errors, 0 warnings, 0 notes, 3 accepted.\n")
    trees.plant(
        accepting, trees.app(oauth={"commaSeparatedOauthScopes": "Full"}, settings={"isPkceRequired": "false"})
    )
    assert check(accepting, "--fail-on", "warning").returncode == 1
    assert [each.rule for each in ground.findings(accepting) if not each.accepted] == ["scope-full"]


def test_a_baseline_outlives_edits_and_holds_no_value(accepting: Path) -> None:
    ground.inspect(accepting, CheckOptions(update=True))
    text = (accepting / ACCEPTED).read_text()
    for value in (trees.key("Billing"), trees.secret("Billing"), trees.secret("Portal")):
        assert value[:8] not in text
    settings = accepting / SETTINGS
    settings.write_text(settings.read_text().replace("<callbackUrl>", "\n\n<callbackUrl>"))
    assert all(each.accepted for each in ground.findings(accepting))


def test_a_baseline_is_sorted_and_stable(accepting: Path) -> None:
    ground.inspect(accepting, CheckOptions(update=True))
    first = (accepting / ACCEPTED).read_bytes()
    ground.inspect(accepting, CheckOptions(update=True))
    assert (accepting / ACCEPTED).read_bytes() == first
    entries = list(baseline.parse(first.decode(), ACCEPTED))
    random.Random(1).shuffle(entries)
    assert baseline.render([*entries, entries[0]]).encode() == first


def test_dead_entries_are_told_and_taken_out(accepting: Path) -> None:
    ground.inspect(accepting, CheckOptions(update=True))
    trees.plant(accepting, trees.app())
    ground.private(accepting)
    came = ground.inspect(accepting)
    assert len(came.notices) == 1
    assert "pkce-not-required" in came.notices[0]
    assert "--update-baseline" in came.notices[0]
    assert ground.inspect(accepting, CheckOptions(update=True)).notices == ()
    assert "pkce-not-required" not in (accepting / ACCEPTED).read_text()


def test_what_was_not_looked_at_is_neither_dead_nor_taken_out(accepting: Path) -> None:
    ground.git(accepting, "init", "--quiet")
    ground.inspect(accepting, CheckOptions(update=True))
    login = {entry.rule for entry in baseline.parse((accepting / ACCEPTED).read_text(), ACCEPTED)}
    ground.inspect(accepting, CheckOptions("deploy", update=True))
    both = {entry.rule for entry in baseline.parse((accepting / ACCEPTED).read_text(), ACCEPTED)}
    assert both == login | {"label-missing"}
    for gate, names in (
        (CheckOptions(), ()),
        (CheckOptions("deploy"), ()),
        (CheckOptions(), ("Portal",)),
        (CheckOptions(history=True), ("Billing",)),
    ):
        assert ground.inspect(accepting, gate, *names).notices == ()
    text = (accepting / ACCEPTED).read_text()
    ground.inspect(accepting, CheckOptions(update=True), "Portal")
    assert (accepting / ACCEPTED).read_text() == text
    (accepting / ".git").rename(accepting / "no-git")
    assert ground.inspect(accepting).notices == ()


def test_a_baseline_that_is_not_there_accepts_nothing(accepting: Path) -> None:
    came = ground.inspect(accepting)
    assert not any(each.accepted for each in came.findings)
    assert [notice for notice in came.notices if ACCEPTED in notice]


def test_a_baseline_has_to_have_a_place(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, project(baseline=ACCEPTED) | trees.app())
    assert raised(root, CheckOptions(update=True), trusted=False).kind is baseline_not_configured
    assert not (root / ACCEPTED).exists()
    (root / ACCEPTED).mkdir()
    assert raised(root, CheckOptions()).kind is unreadable_file


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 2, "accepted": []}', '{"version": 1}', '{"version": 1, "accepted": [1]}',
     '{"version": 1, "accepted": [{"rule": "a"}]}', "[" * 100_000],
)  # fmt: skip
def test_a_baseline_that_is_none_is_told(text: str, accepting: Path) -> None:
    (accepting / ACCEPTED).write_text(text)
    problem = raised(accepting, CheckOptions())
    assert (problem.kind, problem.file) == (malformed_baseline, ACCEPTED)


def test_a_baseline_is_not_written_through_a_link_and_leaves_nothing_behind(accepting: Path) -> None:
    (accepting / "shared.json").write_text('{"version": 1, "accepted": []}')
    (accepting / ACCEPTED).symlink_to("shared.json")
    assert raised(accepting, CheckOptions(update=True)).kind is unwritable_file
    assert (accepting / "shared.json").read_text() == '{"version": 1, "accepted": []}'
    (accepting / ACCEPTED).unlink()
    ground.inspect(accepting, CheckOptions(update=True))
    assert "pkce-not-required" in (accepting / ACCEPTED).read_text()
    assert sorted(path.name for path in accepting.iterdir()) == [
        ACCEPTED, "force-app", "sfdx-project.json", "shared.json",
    ]  # fmt: skip


def test_a_baseline_that_cannot_be_written_is_told(accepting: Path) -> None:
    trees.plant(accepting, project(baseline="nowhere/accepted.json") | {"nowhere": "a file"})
    assert raised(accepting, CheckOptions(update=True)).kind is unwritable_file


def test_an_old_fingerprint_is_kept_while_its_rule_is_silent() -> None:
    entries = (AcceptedFinding("1", "scope-full", "A", "a"), AcceptedFinding("2", "label-missing", "A", "a"))
    kept = baseline.updated(entries, (), lambda entry: entry.rule == "scope-full")
    assert kept == [entries[1]]
    assert baseline.obsolete(entries, (), lambda entry: False) == []


# --- the sample project -------------------------------------------------------------------------------------

MADE_UP = {"secret-tracked-by-git", "secret-in-history", "settings-not-gitignored"}


def test_the_sample_project_accepts_its_made_up_secrets_and_nothing_else(tmp_path: Path) -> None:
    entries = baseline.parse((ROOT / "sample-project/ecapipe-baseline.json").read_text(), "")
    assert {entry.rule for entry in entries} == MADE_UP
    root = tmp_path / "sample"
    files = {
        str(path.relative_to(ROOT)): path.read_bytes()
        for path in (ROOT / "sample-project").rglob("*")
        if path.is_file()
    }
    ground.ready(root, committed(files))
    for purpose in ("login", "deploy", "commit"):
        came = ground.inspect(root / "sample-project", ground.for_(purpose, history=True))
        assert {each.rule for each in came.findings if each.accepted} == MADE_UP
        assert not any(each.level == "error" for each in came.findings if not each.accepted)
        assert came.notices == ()


# --- the list of rules --------------------------------------------------------------------------------------


def test_the_page_of_rules_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run .venv/bin/python tests/check/rules_page.py"


def test_a_rule_that_is_silent_is_not_asked() -> None:
    off: dict[str, None] = dict.fromkeys(RULES)
    assert registry.active("deploy", off) == {}
    assert "key-deployed-to-other-org" not in registry.active("login", {})


def test_a_finding_knows_its_project(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, trees.project() | trees.app(settings=None) | {"force-app/a.eca-meta.xml": "<"})
    found: list[Finding] = ground.findings(root)
    assert {each.rule for each in found} == {"settings-missing", "malformed-xml"}
    assert {each.project for each in found} == {str(root)}
