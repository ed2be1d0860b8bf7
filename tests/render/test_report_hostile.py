"""Whatever files and orgs say, it stays text: no command, line, tag or escape of it comes alive in any report."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pages import Page
from render import accounts

from ecapipe.render import annotations as workflow
from ecapipe.render import json as json_output
from ecapipe.render.report_data import ReportData
from ecapipe.render.reports import FORMATS

SARIF = jsonschema.Draft202012Validator(json.loads((Path(__file__).parent / "sarif.schema.json").read_text()))

WEAPONS = (
    "::error::", "::set-output name=a::b", "\n::stop-commands::x", "##[error]", "##vso[task.complete]", "%0A", "%25",
    "\n", "\r\n", "\x85", "\u2028", "\x1b[31m", "\x9b2J", "\x07", "\x00", "\u202e", "\ufeff", "\ufffe", "\ud800",
    "<script>alert(1)</script>", "</td></tr></table>", "<!--", "-->", "]]>", "<?x?>", "&lt;", "&#60;", '"', "'",
    "` x", "```", "````text", "|", "\\|", "\\", "](https://evil.example)", "[x", "![", "https://evil.example",
    "www.evil.example", "@octocat", "#1", "# x", "* x", "{0}", "}", ",title=x", ":", "=", " ",
)  # fmt: skip
TEXT = st.lists(st.sampled_from(WEAPONS) | st.text(max_size=8), min_size=1, max_size=5).map(
    lambda parts: "".join(parts) or "x"
)

unhurried = settings(deadline=None)
"""Several reports are made of each text; how long that takes is not the point here."""

ESCAPES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")


def commands(text: str) -> list[str]:
    """The lines that a CI system would obey: GitHub's runner takes ``::name …::`` where a line starts, after space,
    and ``##[name]`` anywhere in it, Azure's ``##vso[``, TeamCity ``##teamcity[``."""
    lines = re.split("[\n\r\x0b\x0c\x85\u2028\u2029]", text)
    return [line for line in lines if re.match(r"\s*::.*::", line) or re.search(r"##\w*\[", line)]


def check(text: str, other: str) -> ReportData:
    return accounts.check(
        [accounts.app(text, other), accounts.app("Portal")],
        [
            accounts.finding("wrong-root", message=text, app=text, file=other, actions=(other, text)),
            accounts.finding("malformed-xml", "warning", other, app=None, file=text, line=None),
            accounts.finding("settings-missing", "note", other, app="Portal", file=None, actions=()),
            accounts.finding("settings-missing", "note", text, app="Portal", file=other, accepted=True),
        ],
    )


def run(text: str, other: str) -> ReportData:
    return accounts.run(
        name=text, org=other, message=other, action=text, reason=text, warning=other, username=text, file=other
    )


def results(text: str, other: str) -> list[ReportData]:
    return [check(text, other), run(text, other), accounts.failure(text, other, other)]


@given(TEXT, TEXT)
@example("\n::add-mask::x", "##[stop-commands]x")
@unhurried
def test_no_report_holds_a_command_or_an_escape(text: str, other: str) -> None:
    for result in results(text, other):
        for name, render in FORMATS.items():
            report = render(result)
            assert not commands(report), name
            assert not ESCAPES.search(report), name


@given(TEXT, TEXT)
@unhurried
def test_an_annotation_is_one_command_with_nothing_of_its_own_making(text: str, other: str) -> None:
    for result in results(text, other):
        lines = list(workflow.github(result))
        assert len(lines) == len(result.open_entries)
        for line, entry in zip(lines, result.open_entries, strict=True):
            assert not ESCAPES.search(line)
            assert "\n" not in line
            match = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", line)
            assert match
            pairs = [pair.partition("=")[::2] for pair in match[2].split(",")]
            said = {name: _decoded(value, ":", ",") for name, value in pairs}
            place = {} if entry.file is None else {"file": entry.file, "line": str(entry.line or 1)}
            assert said == {**place, "title": entry.name}
            assert _decoded(match[3]) == "\n".join((entry.sentence, *entry.actions))


@given(TEXT, TEXT)
@example("%0A%AZP25%3B", "##vso[task.complete result=Succeeded;]%5D")
@unhurried
def test_an_issue_of_azure_is_one_command_with_nothing_of_its_own_making(text: str, other: str) -> None:
    for result in results(text, other):
        lines = [line for line in workflow.azure(result) if line.startswith("##vso[task.logissue ")]
        entries = [entry for entry in result.open_entries if entry.level != "note"]
        for line, entry in zip(lines, entries, strict=True):
            assert not ESCAPES.search(line)
            assert len(re.findall(r"##\w*\[", line)) == 1
            event, properties, message = _parsed(line)
            place = {} if entry.file is None else {"sourcepath": entry.file, "linenumber": str(entry.line or 1)}
            assert (event, properties) == ("task.logissue", {"type": entry.level, **place, "code": entry.name})
            assert message == "\n".join((entry.sentence, *entry.actions))


def _parsed(line: str) -> tuple[str, dict[str, str], str]:
    """As the agent of Azure Pipelines does it: up to the first bracket, then at semicolons, then the escapes."""

    def unescaped(text: str) -> str:
        for code, sign in (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%")):
            text = text.replace(code, sign)
        return text

    head, _, message = line.removeprefix("##vso[").partition("]")
    event, _, properties = head.partition(" ")
    pairs = [each.partition("=")[::2] for each in properties.split(";") if each]
    return event, {name: unescaped(value) for name, value in pairs}, unescaped(message)


def _decoded(text: str, *more: str) -> str:
    """As GitHub's runner does it: the percent sign last."""
    for sign in ("\r", "\n", *more, "%"):
        text = text.replace(f"%{ord(sign):02X}", sign)
    return text


def sarif(result: ReportData, report: str) -> None:
    """Valid, and without a link."""
    document = json.loads(report)
    SARIF.validate(document)
    assert len(document["runs"][0]["results"]) == len(result.open_entries)


def gitlab(result: ReportData, report: str) -> None:
    assert [each["description"] for each in json.loads(report)] == sentences(result)


def bitbucket(result: ReportData, report: str) -> None:
    assert [each["details"] for each in json.loads(report)["annotations"]] == sentences(result)


def sentences(result: ReportData) -> list[str]:
    return ["\n".join((entry.sentence, *entry.actions)) for entry in result.open_entries]


def document(result: ReportData, report: str) -> None:
    assert json.loads(report) == result.document


def junit(result: ReportData, report: str) -> None:
    """With the elements that it should have, and no other."""
    root = ElementTree.fromstring(report)
    cells = [(row.subject or "project", name) for row in result.rows for name in row.cells]
    assert [(case.get("classname"), case.get("name")) for case in root.iter("testcase")] == cells
    tags = {element.tag for element in root.iter()}
    assert tags <= set("testsuites testsuite testcase failure skipped system-out properties property".split())
    failed = [cell.entries[0].message for row in result.rows for cell in row.cells.values() if cell.mark == "failed"]
    assert [each.get("message") for each in root.iter("failure")] == failed


def html(result: ReportData, report: str) -> None:
    """With the elements that it should have, and no other."""
    page = Page(report)
    assert page.names["tr"] == len(result.rows) + 1
    assert page.names["article"] == len(result.groups)
    assert page.names["li"] == sum(len(group.first.actions) for group in result.groups)
    assert set(page.names) <= set(
        "html head meta title link style body main header h1 h2 h3 p dl dt dd div table thead tbody tr th td a "
        "span section article code ul li footer".split()
    )
    assert page.attributes <= set(
        "lang charset http-equiv content name rel href class id scope title role tabindex aria-label "
        "aria-hidden".split()
    )
    assert {a["href"] for a in page.of("a")} <= {f"#{each['id']}" for each in page.of("article")}


def markdown(result: ReportData, report: str) -> None:
    """With foreign text in code alone."""
    tokens = MarkdownIt("commonmark").enable("table").parse(report)
    kinds = Counter(token.type for token in tokens)
    assert kinds["fence"] == len(result.groups)
    assert set(kinds) <= {
        f"{name}_{end}"
        for name in "heading table thead tbody tr th td paragraph bullet_list list_item".split()
        for end in ("open", "close")
    } | {"inline", "fence", "html_block"}
    page = Page("".join(token.content for token in tokens if token.type == "html_block"))
    assert page.names["summary"] == page.names["details"] == len(result.groups)
    assert set(page.names) <= {"details", "summary", "b", "code"}
    assert page.attributes <= {"open"}
    spans = [child for token in tokens for child in token.children or ()]
    assert {span.type for span in spans} <= {"text", "code_inline"}
    assert {span.content for span in spans if span.type == "text"} <= _words(result)


READERS: Mapping[str, Callable[[ReportData, str], None]] = {
    "bitbucket": bitbucket,
    "gitlab": gitlab,
    "html": html,
    "json": document,
    "junit": junit,
    "markdown": markdown,
    "sarif": sarif,
}
"""What each format must be, whatever the result holds."""


def test_every_format_has_a_reader() -> None:
    assert READERS.keys() == FORMATS.keys()


@pytest.mark.parametrize("name", READERS)
@given(TEXT, TEXT)
@example("` x", "```\n# x")
@example("a|b", "\\|")
@unhurried
def test_a_format_is_what_it_should_be_whatever_it_holds(name: str, text: str, other: str) -> None:
    for result in results(text, other):
        READERS[name](result, FORMATS[name](result))


def _words(result: ReportData) -> set[str]:
    """All that is outside of code: our own words, and names of stages."""
    facts = {f"{gap}{name}: " for gap in ("", " · ") for name, _ in result.provenance}
    heads = {"App", "App and org", "Result", "Errors", "Warnings", "Notes", "What to do", "Apps", "Accepted"}
    stages = {f"{column.name}: " for column in result.columns}
    numbers = {str(number) for number in range(10)}
    return (
        {"", " ", "project", *"✅⚪❌", "⚠️", f"{result.command}: {result.verdict}"} | facts | heads | stages | numbers
    )


@given(TEXT)
@unhurried
def test_json_output_keeps_every_character_and_commands_nobody(text: str) -> None:
    printed = json_output.dump({"name": text, text: [text]})
    assert json.loads(printed) == {"name": text, text: [text]}
    assert not commands(printed)
    assert printed.isascii()
