"""sfdx-project.json: what is read, and the Salesforce CLI's names for what is wrong."""

from __future__ import annotations

import json
import sys

import pytest
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.check.rules.registry import parse_levels
from ecapipe.problems import project
from ecapipe.problems.problem import EcapipeError, Kind
from ecapipe.project import sfdx_project

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def written(**members: object) -> str:
    return json.dumps({"packageDirectories": [{"path": "force-app", "default": True}], **members})


def ours(**members: object) -> dict[str, object]:
    return {"ecapipe": members}


def directories(*entries: object) -> str:
    return json.dumps({"packageDirectories": list(entries)})


def test_everything_that_later_rooms_need_is_read() -> None:
    orgs = {"uat": {"url": "https://acme--uat.sandbox.my.salesforce.com"}}
    text = written(
        namespace="acme",
        sfdcLoginUrl="https://acme.my.salesforce.com",
        sourceApiVersion="66.0",
        plugins={"ecapipe": {"orgs": orgs}, "other": 1},
        unknown="is ignored",
    )
    found = sfdx_project.parse(text, "/home/ada/acme")
    assert found.root == "/home/ada/acme"
    assert found.package_directories == ("force-app",)
    assert found.namespace == "acme"
    assert found.login_url == "https://acme.my.salesforce.com"
    assert found.api_version == "66.0"
    assert found.orgs == orgs


def test_what_is_not_said_has_a_default() -> None:
    found = sfdx_project.parse(written(), "/p")
    assert (found.namespace, found.login_url, found.api_version) == ("", None, sfdx_project.DEFAULT_API_VERSION)
    assert found.orgs == {}


@pytest.mark.parametrize("wrong", [{}, [1], [{"filename": "a.xml"}]])
def test_what_is_wrong_with_replacements_does_not_matter_where_they_give_no_value(wrong: object) -> None:
    assert problem_of(sfdx_project.parse, written(replacements=wrong), "/p").kind is project.schema_validation_error
    assert sfdx_project.parse(written(replacements=wrong), "/p", trusted=False).replacements == ()


def test_an_untrusted_project_says_nothing_about_orgs() -> None:
    text = written(namespace="acme", plugins={"ecapipe": {"orgs": {"prod": {"url": "https://evil.test"}}}})
    found = sfdx_project.parse(text, "/p", trusted=False)
    assert found.orgs == {}
    assert found.namespace == "acme"


@pytest.mark.parametrize("plugins", ["text", {"ecapipe": "text"}, {"ecapipe": {"orgs": ["uat"]}}])
def test_the_settings_of_an_untrusted_project_are_not_even_read(plugins: object) -> None:
    assert (
        problem_of(sfdx_project.parse, written(plugins={"ecapipe": 1}), "/p").kind is project.schema_validation_error
    )
    trusted = {"plugins": plugins} if isinstance(plugins, dict) else {}
    assert sfdx_project.parse(written(**trusted), "/p", trusted=False).orgs == {}


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("66.0", "66.0"),
        ("66", "66.0"),
        ("100.0", "100.0"),
        ("66.1", sfdx_project.DEFAULT_API_VERSION),
        ("v66.0", sfdx_project.DEFAULT_API_VERSION),
        ("٦٦.0", sfdx_project.DEFAULT_API_VERSION),
        ("66.0/../query", sfdx_project.DEFAULT_API_VERSION),
        ("", sfdx_project.DEFAULT_API_VERSION),
        (None, sfdx_project.DEFAULT_API_VERSION),
    ],
)
def test_the_api_version_is_one_that_fits_a_url(said: str | None, read: str) -> None:
    assert sfdx_project.parse(written(sourceApiVersion=said), "/p").api_version == read


def test_a_byte_order_mark_is_no_part_of_the_json() -> None:
    assert sfdx_project.parse("\ufeff" + written(), "/p").package_directories == ("force-app",)


COLUMN_OF_A_TRAILING_COMMA = 25 if sys.version_info >= (3, 13) else 26
"""Python names the comma itself since 3.13, before that what follows."""


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ("{", 1, 2),
        ('{"packageDirectories": [}', 1, 25),
        ('{\n  "packageDirectories": [\n    {"path": "force-app",}\n  ]\n}', 3, COLUMN_OF_A_TRAILING_COMMA),
        ('{\n  // a comment\n}', 2, 3),
        ("{}\n{}", 2, 1),
        ("<<<<<<< HEAD\n{}", 1, 1),
    ],
)  # fmt: skip
def test_bad_json_is_named_with_line_and_column(text: str, line: int, column: int) -> None:
    problem = problem_of(sfdx_project.parse, text, "/p")
    assert problem.kind is project.json_parse_error
    assert (problem.file, problem.line) == ("sfdx-project.json", line)
    assert f"(line {line}, column {column})" in problem.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  "a" 1}', "Expecting ':' delimiter (line 2, column 7)"),
        ("[" * 100_000, "nested too deeply (line 1, column 1)"),
        ('{"a": ' + "1" * 5_000 + "}", "it contains a number with too many digits (line 1, column 1)"),
    ],
)
def test_what_is_no_json_is_told_in_these_words(text: str, message: str) -> None:
    problem = problem_of(sfdx_project.parse, text, "/p")
    assert (problem.kind, problem.file) == (project.json_parse_error, "sfdx-project.json")
    assert problem.message == f"sfdx-project.json is not valid JSON: {message}."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "it must be an object"),
        ("null", "it must be an object"),
        (written(packageDirectories="force-app"), "packageDirectories must be a list"),
        (directories("force-app"), "every entry of packageDirectories must be an object"),
        *((directories(entry), "every entry of packageDirectories needs a path as a string")
          for entry in ({}, {"path": 7}, {"path": ""}, {"path": "a\0b"})),
        (written(namespace=7), "namespace must be a string"),
        (written(sfdcLoginUrl=["https://acme.my.salesforce.com"]), "sfdcLoginUrl must be a string"),
        (written(sourceApiVersion=66.0), "sourceApiVersion must be a string"),
        (written(replacements={}), "replacements must be a list"),
        (written(replacements=[1]), "entry 1 of replacements must be an object"),
        (written(plugins=[]), "plugins must be an object"),
        (written(plugins={"ecapipe": []}), "plugins.ecapipe must be an object"),
        (written(plugins=ours(orgs=[])), "plugins.ecapipe.orgs must be an object"),
        (written(plugins=ours(orgs={"uat": "url"})), "plugins.ecapipe.orgs.uat must be an object"),
        (written(plugins=ours(rules=1)), "plugins.ecapipe.rules must be an object"),
        (written(plugins=ours(baseline=1)), "plugins.ecapipe.baseline must be a string"),
        (written(plugins=ours(baseline="../a.json")), "plugins.ecapipe.baseline must be a path inside the project"),
    ],
)  # fmt: skip
def test_a_member_of_the_wrong_shape_is_named(text: str, reason: str) -> None:
    problem = problem_of(sfdx_project.parse, text, "/p")
    assert (problem.kind, problem.file) == (project.schema_validation_error, "sfdx-project.json")
    assert problem.message == f"sfdx-project.json is not valid: {reason}."


def test_a_replacement_that_is_none_is_told_with_its_place() -> None:
    problem = problem_of(sfdx_project.parse, written(replacements=[{}]), "/p")
    assert problem.message.startswith("sfdx-project.json is not valid: entry 1 of replacements ")


def test_levels_and_baseline_are_taken_as_they_are_given() -> None:
    found = sfdx_project.parse(
        written(plugins=ours(rules={"scope-full": "off", "wrong-root": "note"}, baseline="a/b.json")), "/"
    )
    assert parse_levels(found.rules) == {"scope-full": None, "wrong-root": "note"}
    assert found.baseline == "a/b.json"
    bare = sfdx_project.parse(written(), "/")
    assert (bare.rules, bare.baseline) == ({}, None)


@pytest.mark.parametrize("text", ["{}", directories()])
def test_a_project_without_package_directories_has_nowhere_to_look(text: str) -> None:
    assert problem_of(sfdx_project.parse, text, "/p").kind is project.no_package_directories


ONE, TWO = {"path": "one"}, {"path": "two"}


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ([{**ONE, "default": False}], project.single_non_default_package_error),
        ([ONE, TWO], project.missing_default_path_error),
        ([{**ONE, "default": False}, TWO], project.missing_default_path_error),
        ([{**ONE, "default": True}, {**TWO, "default": True}], project.multiple_default_paths_error),
    ],
)
def test_exactly_one_package_directory_is_the_default(entries: list[object], kind: Kind[...]) -> None:
    problem = problem_of(sfdx_project.parse, directories(*entries), "/p")
    assert (problem.kind, problem.file) == (kind, "sfdx-project.json")
    assert "None" not in problem.message


def test_a_single_package_directory_need_not_say_that_it_is_the_default() -> None:
    assert sfdx_project.parse(directories(ONE), "/p").package_directories == ("one",)


@pytest.mark.parametrize(
    "path", ["/etc", "../other", "one/../../other", "C:\\one", "C:one", "\\\\host\\share", "\\one"]
)
def test_a_package_directory_stays_inside_the_project(path: str) -> None:
    problem = problem_of(sfdx_project.parse, directories({"path": path}), "/p")
    assert problem.kind is project.invalid_package_directory_error
    assert path in problem.message


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ("force-app", "force-app"),
        ("./force-app/", "force-app"),
        ("packages\\core", "packages/core"),
        ("packages//core/.", "packages/core"),
        (".", "."),
        ("ünï cødé", "ünï cødé"),
        ("..odd", "..odd"),
    ],
)
def test_package_directories_are_written_one_way(path: str, read: str) -> None:
    assert sfdx_project.parse(directories({"path": path}), "/p").package_directories == (read,)


def test_a_package_directory_named_twice_is_searched_once() -> None:
    text = directories({"path": "one", "default": True}, {"path": "./one"}, {"path": "two"})
    assert sfdx_project.parse(text, "/p").package_directories == ("one", "two")


def outcome(text: str) -> sfdx_project.Project | None:
    """The project, or None for the one failure that is allowed."""
    try:
        return sfdx_project.parse(text, "/p")
    except EcapipeError:
        return None


@given(st.text())
def test_any_text_is_a_project_or_a_problem(text: str) -> None:
    assert outcome(text) is None or "packageDirectories" in text


MEMBERS = ("packageDirectories", "namespace", "sfdcLoginUrl", "sourceApiVersion", "plugins", "replacements")


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON), st.lists(JSON | st.fixed_dictionaries({"path": JSON})))
def test_any_json_is_a_project_or_a_problem(members: dict[str, object], entries: list[object]) -> None:
    found = outcome(json.dumps({"packageDirectories": entries, **members}))
    assert found is None or found.package_directories
    for path in found.package_directories if found else ():
        assert not path.startswith("/")
        assert ".." not in path.split("/")
