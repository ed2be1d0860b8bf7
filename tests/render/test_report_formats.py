"""Each format says what was found, in the words of its readers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from pages import Page
from render import accounts

from ecapipe import __version__
from ecapipe.check.rules.registry import RULES
from ecapipe.cli import options
from ecapipe.render import annotations as workflow
from ecapipe.render.report_data import ReportCell, ReportColumn, ReportData, ReportRow
from ecapipe.render.reports import FORMATS

SARIF = json.loads((Path(__file__).parent / "sarif.schema.json").read_text())
BILLING, PORTAL = accounts.app("Billing"), accounts.app("Portal", "force-app/b.ecaGlblOauth-meta.xml")


def found() -> ReportData:
    """An error, a warning and a note, one of a file that belongs to no app, and one that is accepted."""
    return accounts.check(
        [BILLING, PORTAL],
        [
            accounts.finding("credential-duplicated", "note", "Twice.", line=None),
            accounts.finding("malformed-xml", "error", "Not XML.", app=None, file="force-app/c.eca-meta.xml", line=2),
            accounts.finding("secret-tracked-by-git", "warning", "git tracks it."),
            accounts.finding("secret-tracked-by-git", "warning", "Known.", app="Portal", accepted=True),
        ],
    )


def sarif(result: ReportData) -> dict[str, Any]:
    document = json.loads(FORMATS["sarif"](result))
    jsonschema.validate(document, SARIF, format_checker=jsonschema.FormatChecker())
    (run,) = document["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[each["ruleIndex"]] for each in run["results"]] == [each["ruleId"] for each in run["results"]]
    return run  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_tells_what_is_wrong_where(name: str) -> None:
    # Without what formats do to a text: Markdown's escapes, and places where HTML may break a line.
    report = re.sub(r"\\|<wbr>", "", FORMATS[name](found()))
    for entry in found().open_entries:
        for text in (entry.name, entry.message, entry.near):
            assert text in report


def test_sarif_has_a_result_per_finding_and_help_for_every_rule() -> None:
    run = sarif(found())
    assert [(each["ruleId"], each["level"]) for each in run["results"]] == [
        ("malformed-xml", "error"),
        ("secret-tracked-by-git", "warning"),
        ("credential-duplicated", "note"),
    ]
    place = run["results"][1]["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "force-app/a.ecaGlblOauth-meta.xml"
    assert place["physicalLocation"]["region"] == {"startLine": 5}
    assert place["logicalLocations"] == [{"fullyQualifiedName": "Billing"}]
    assert run["results"][1]["message"]["text"] == "Billing: git tracks it.\n\nTry this:\n- Retrieve it."
    rules = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert set(rules) == set(RULES)
    rule = RULES["malformed-xml"]
    for part in (rule.means, rule.why, rule.remedy, rule.source):
        assert part in rules["malformed-xml"]["help"]["text"]
        assert part in rules["malformed-xml"]["help"]["markdown"]
    assert run["invocations"] == [{"executionSuccessful": True}]


def test_sarif_identifies_a_finding_by_its_fingerprint() -> None:
    finding = accounts.finding()
    moved = accounts.finding(line=77, message="The same, worded anew.")
    (one,), (other,) = (sarif(accounts.check([BILLING], [each]))["results"] for each in (finding, moved))
    assert one["partialFingerprints"] == other["partialFingerprints"] == {"ecapipe/v1": finding.fingerprint}


def test_sarif_gives_a_file_to_what_has_none_since_readers_insist_on_one() -> None:
    run = sarif(accounts.run())
    assert {each["ruleId"]: each["level"] for each in run["results"]} == {
        accounts.REFUSED: "error",
        "authorize": "warning",
    }
    for each in run["results"]:
        location = each["locations"][0]["physicalLocation"]
        assert location["artifactLocation"]["uri"] == "force-app/a.ecaGlblOauth-meta.xml"
        assert location["region"] == {"startLine": 1}


@pytest.mark.parametrize("result", [accounts.run(interrupted=True), accounts.failure("No.", "Do.", None)])
def test_sarif_tells_that_the_work_was_not_completed(result: ReportData) -> None:
    assert sarif(result)["invocations"] == [{"executionSuccessful": False}]


def suites(result: ReportData) -> dict[str, dict[str, ElementTree.Element]]:
    """The cases by suite and name, once the totals are seen to be right."""
    root = ElementTree.fromstring(FORMATS["junit"](result))
    assert root.tag == "testsuites"
    assert {suite.tag for suite in root} <= {"testsuite"}
    for group in (root, *root):
        cases = list(group.iter("testcase"))
        assert group.get("tests") == str(len(cases))
        assert group.get("failures") == str(sum(case.find("failure") is not None for case in cases))
        assert group.get("skipped") == str(sum(case.find("skipped") is not None for case in cases))
        seconds = sum(float(case.get("time", "")) for case in cases)
        assert float(group.get("time", "")) == pytest.approx(seconds)
    return {suite.get("name", ""): {case.get("name", ""): case for case in suite.iter("testcase")} for suite in root}


def test_junit_has_a_case_per_app_and_rule() -> None:
    by_suite = suites(found())
    assert list(by_suite) == ["project", "Billing", "Portal"]
    assert list(by_suite["project"]) == ["malformed-xml"]
    assert list(by_suite["Billing"]) == list(by_suite["Portal"]) == list(RULES)
    failure = by_suite["project"]["malformed-xml"].find("failure")
    assert failure is not None
    assert failure.attrib == {"type": "malformed-xml", "message": "Not XML."}
    assert failure.text == "force-app/c.eca-meta.xml:2: error: Not XML.\nRetrieve it."
    warned = by_suite["Billing"]["secret-tracked-by-git"]
    assert [child.tag for child in warned] == ["system-out"]
    assert (warned.get("file"), warned.get("line")) == ("force-app/a.ecaGlblOauth-meta.xml", "5")
    accepted = by_suite["Portal"]["secret-tracked-by-git"].find("skipped")
    assert accepted is not None
    assert accepted.get("message") == "Accepted: Known."
    assert not list(by_suite["Billing"]["wrong-root"])


def test_junit_has_a_case_per_stage_of_everything_that_was_to_be_done() -> None:
    by_suite = suites(accounts.run())
    assert {name: list(cases) for name, cases in by_suite.items()} == {
        "project": ["discover"],
        "Billing": ["locate", "check"],
        "Billing@uat": ["authorize", "token", "verify"],
        "Billing@uat 2": ["authorize", "token", "verify"],
        "Billing 2": ["locate", "check"],
        "Billing 2@uat": ["authorize", "token", "verify"],
        "Billing 2@uat 2": ["authorize", "token", "verify"],
    }
    assert by_suite["Billing@uat"]["token"].get("time") == "1.240"
    failure = by_suite["Billing@uat 2"]["authorize"].find("failure")
    assert failure is not None
    assert failure.get("type") == accounts.REFUSED
    assert failure.text == "The callback URL does not match.\nCompare it with the file."
    skips = [by_suite[name]["token"].find("skipped") for name in ("Billing@uat 2", "Billing 2@uat 2")]
    reasons = [None if skip is None else skip.get("message") for skip in skips]
    assert reasons == ["Requesting token failed.", "Not reached."]


def test_gitlab_lists_what_nobody_has_accepted() -> None:
    issues = json.loads(FORMATS["gitlab"](found()))
    assert [(each["check_name"], each["severity"]) for each in issues] == [
        ("malformed-xml", "major"),
        ("secret-tracked-by-git", "minor"),
        ("credential-duplicated", "info"),
    ]
    assert issues[2] == {
        "description": "Billing: Twice.\nRetrieve it.",
        "check_name": "credential-duplicated",
        "fingerprint": accounts.finding("credential-duplicated").fingerprint,
        "severity": "info",
        "location": {"path": "force-app/a.ecaGlblOauth-meta.xml", "lines": {"begin": 1}},
    }


def test_gitlab_fingerprints_are_unique_since_it_drops_what_it_has_seen() -> None:
    twice = accounts.check([BILLING], [accounts.finding(line=3), accounts.finding(line=9)])
    one, other = json.loads(FORMATS["gitlab"](twice))
    assert one["fingerprint"] != other["fingerprint"]
    assert FORMATS["gitlab"](twice) == FORMATS["gitlab"](twice)


def test_bitbucket_gets_a_report_and_annotations_that_its_api_takes() -> None:
    insights = json.loads(FORMATS["bitbucket"](found()))
    assert (insights["report"]["title"], insights["report"]["result"]) == ("ecapipe app check", "FAILED")
    assert [(each["title"], each["value"]) for each in insights["report"]["data"]] == [
        ("errors", 1),
        ("warnings", 1),
        ("notes", 1),
    ]
    assert insights["annotations"][1] == {
        "external_id": accounts.finding("secret-tracked-by-git").fingerprint,
        "annotation_type": "VULNERABILITY",
        "severity": "MEDIUM",
        "summary": "secret-tracked-by-git: Billing: git tracks it.",
        "details": "Billing: git tracks it.\nRetrieve it.",
        "path": "force-app/a.ecaGlblOauth-meta.xml",
        "line": 5,
    }
    (failure,) = json.loads(FORMATS["bitbucket"](accounts.failure("No.", "Do.", None)))["annotations"]
    assert "path" not in failure
    many = accounts.check(
        [BILLING], [accounts.finding(line=line, message="\N{PILE OF POO}" * 3000) for line in range(1, 1201)]
    )
    annotations = json.loads(FORMATS["bitbucket"](many))["annotations"]
    assert len({each["external_id"] for each in annotations}) == len(annotations) == 1000
    assert {len(each["summary"].encode("utf-16-le")) // 2 for each in annotations} <= {449, 450}
    assert {len(each["details"].encode("utf-16-le")) // 2 for each in annotations} <= {1999, 2000}


def test_json_is_what_the_command_prints() -> None:
    result = found()
    assert json.loads(FORMATS["json"](result)) == result.document


def test_markdown_has_what_to_do_and_a_narrow_table() -> None:
    assert FORMATS["markdown"](found()) == FOUND


FOUND = f"""\
## ecapipe app check: 1 error, 1 warning, 1 note, 1 accepted

Project: `/project` · ecapipe: `{__version__}`

### What to do

<details open>
<summary>❌ error · <b>malformed-xml</b></summary>

```text
Not XML.

Retrieve it.
```

- `force-app/c.eca-meta.xml:2`

</details>

<details>
<summary>⚠️ warning · <b>secret-tracked-by-git</b> · <code>Billing</code></summary>

```text
git tracks it.

Retrieve it.
```

- `force-app/a.ecaGlblOauth-meta.xml:5`

</details>

<details>
<summary>ℹ️ note · <b>credential-duplicated</b> · <code>Billing</code></summary>

```text
Twice.

Retrieve it.
```

- `force-app/a.ecaGlblOauth-meta.xml`

</details>

### Apps

| App | Errors | Warnings | Notes |
|---|---:|---:|---:|
| project | 1 | 0 | 0 |
| `Billing` | 0 | 1 | 1 |

### Accepted

<details>
<summary>⚠️ warning · <b>secret-tracked-by-git</b> · <code>Portal</code></summary>

```text
Known.

Retrieve it.
```

- `force-app/a.ecaGlblOauth-meta.xml:5`

</details>
"""


def test_markdown_of_a_run_says_how_every_target_ended() -> None:
    page = FORMATS["markdown"](accounts.run())
    assert "| ✅ | `Billing@uat` | `user@acme.example in org 00D000000000001EAA` |" in page
    assert "| ❌ | `Billing@uat 2` | authorize: `RedirectUriMismatch` |" in page
    assert "| ⚪ | `Billing 2@uat 2` | `Not reached.` |" in page


def test_markdown_counts_a_login_that_skips_its_browser_as_passed() -> None:
    cells = {"authorize": ReportCell("skipped"), "token": ReportCell("passed"), "verify": ReportCell("passed")}
    columns = tuple(ReportColumn(name, name, always=True) for name in cells)
    rows = (ReportRow("Robot@uat", cells, is_target=True),)
    assert "| ✅ | `Robot@uat` |" in FORMATS["markdown"](ReportData("ecapipe run", "Succeeded", {}, columns, rows))


def test_markdown_folds_what_is_long_and_stops_where_nobody_reads_on() -> None:
    names = [f"App_{number}" for number in range(1000)]
    findings = [accounts.finding(app=each, message=f"{each} {'x' * 5000}", file=f"{each}.xml") for each in names]
    page = FORMATS["markdown"](accounts.check(map(accounts.app, names), findings))
    assert len(page.encode()) < 100_000
    assert "<summary>1000 rows</summary>" in page
    assert "… and 700 more." in page
    assert "<summary>1000 places</summary>" in page
    assert "… and 900 more." in page


def test_html_shows_apps_and_checks() -> None:
    page = FORMATS["html"](found())
    assert Page(page).cells == [
        ["App", "credential-duplicated", "malformed-xml", "secret-tracked-by-git"],
        ["project", "", "✘ failed: malformed-xml", ""],
        ["Billing", "ℹ note: credential-duplicated", "–no finding", "⚠ warning: secret-tracked-by-git"],
        ["Portal", "–no finding", "–no finding", "☑ accepted: secret-tracked-by-git"],
    ]
    assert [link["href"] for link in Page(page).of("a")] == ["#g1", "#g3", "#g2", "#g4"]
    assert f"{len(RULES) - 3} other rules found nothing." in page
    assert page.index("Not XML.") < page.index("git tracks it.") < page.index("Twice.") < page.index("Known.")


def test_html_says_once_what_is_the_same_of_several_apps() -> None:
    names = [f"App_{number}" for number in range(60)]
    alike = [
        accounts.finding(app=name, message=f"{name} has no consumerKey.", file=f"force-app/{name}.xml")
        for name in names
    ]
    other = accounts.finding(app="App_7", message="App_7 has an empty consumerKey.")
    page = Page(FORMATS["html"](accounts.check(map(accounts.app, names), [*alike, other])))
    assert (page.names["article"], page.names["details"]) == (2, 1)
    assert page.text.count("has no consumerKey.") == 1
    assert all(
        words in page.text for words in ("60 apps", "The same for 59 more apps.", "App_59 force-app/App_59.xml")
    )


def test_html_says_what_was_checked_and_what_for() -> None:
    page = FORMATS["html"](accounts.check([BILLING], [], purpose="deploy", commit="0123abc"))
    facts = "<dt>Project</dt><dd>/project</dd>", "<dt>Purpose</dt><dd>deploy</dd>", "<dt>Commit</dt><dd>0123abc</dd>"
    assert all(
        fact in page for fact in (*facts, "<title>ecapipe app check: 0 errors, 0 warnings, 0 notes - /project<")
    )


def test_html_shows_apps_orgs_and_stages() -> None:
    cells = Page(FORMATS["html"](accounts.run())).cells
    assert cells[0] == ["App and org", "discover", "locate", "check", "authorize", "token", "verify", "Result"]
    assert cells[1] == ["project", "✔ passed: Finding external client apps", "", "", "", "", "", ""]
    assert [cell.partition(":")[0] for cell in cells[4][4:]] == [
        "✘ failed",
        "◯ skipped",
        "◯ skipped",
        accounts.REFUSED,
    ]


def test_html_stands_alone() -> None:
    text = FORMATS["html"](found())
    page = Page(text)
    policy = next(each["content"] or "" for tag, each in page.tags if "http-equiv" in each)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert not {"script", "img", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    assert {(each["href"] or "")[:5] for each in page.of("link")} == {"data:"}
    assert not re.search(r"url\(|@import|//(?!www.w3.org/2000/svg')", text)


def test_a_check_that_finds_nothing_says_so() -> None:
    result = accounts.check([BILLING], [])
    assert f"{len(RULES)} rules found nothing." in FORMATS["html"](result)
    assert "###" not in FORMATS["markdown"](result)
    assert json.loads(FORMATS["gitlab"](result)) == []
    assert sarif(result)["results"] == []
    assert not list(workflow.github(result))


def test_annotations_are_workflow_commands_on_file_and_line() -> None:
    assert list(workflow.github(found())) == [
        "::error file=force-app/c.eca-meta.xml,line=2,title=malformed-xml::Not XML.%0ARetrieve it.",
        "::warning file=force-app/a.ecaGlblOauth-meta.xml,line=5,title=secret-tracked-by-git"
        "::Billing: git tracks it.%0ARetrieve it.",
        "::notice file=force-app/a.ecaGlblOauth-meta.xml,line=1,title=credential-duplicated"
        "::Billing: Twice.%0ARetrieve it.",
    ]
    assert next(workflow.github(accounts.run())) == (
        "::error title=RedirectUriMismatch"
        "::Billing@uat 2: The callback URL does not match.%0ACompare it with the file."
    )


def test_azure_gets_an_issue_for_each_error_and_warning() -> None:
    assert list(workflow.azure(found())) == [
        "##vso[task.logissue type=error;sourcepath=force-app/c.eca-meta.xml;linenumber=2;code=malformed-xml;]"
        "Not XML.%0ARetrieve it.",
        "##vso[task.logissue type=warning;sourcepath=force-app/a.ecaGlblOauth-meta.xml;linenumber=5;"
        "code=secret-tracked-by-git;]Billing: git tracks it.%0ARetrieve it.",
    ]


def test_annotations_are_ten_of_each_level_since_the_rest_is_dropped() -> None:
    names = [f"App_{number}" for number in range(12)]
    findings = [
        accounts.finding(level=level, app=name) for name in names for level in ("note", "warning", "error")
    ]  # fmt: skip
    result = accounts.check(map(accounts.app, names), findings)
    commands = [line.split(" ")[0] for line in workflow.github(result)]
    assert commands == ["::error"] * 10 + ["::warning"] * 10 + ["::notice"] * 10
    issues = [line.split(";")[0] for line in workflow.azure(result)]
    assert issues == [f"##vso[task.logissue type={level}" for level in ("error", "warning") for _ in range(10)]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_is_named_in_help_and_ends_its_last_line(name: str) -> None:
    assert name in str(options.ReportFiles.__metadata__[0].help)  # type: ignore[attr-defined]
    for result in (found(), accounts.run(), accounts.failure("No.", "Do.", "force-app/a.eca-meta.xml")):
        text = FORMATS[name](result)
        assert text.endswith("\n")
        assert text.encode().decode() == text
