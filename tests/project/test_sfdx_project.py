"""sfdx-project.json: what is read, and the Salesforce CLI's names for what is wrong."""

from __future__ import annotations

import json

import pytest
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.problems.problem import EcapipeError
from ecapipe.project import sfdx_project

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def written(**members: object) -> str:
    return json.dumps({"packageDirectories": [{"path": "force-app", "default": True}], **members})


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


def test_an_untrusted_project_says_nothing_about_replacements() -> None:
    rule = {"filename": "a.xml", "stringToReplace": "@@KEY@@", "replaceWithEnv": "HOME"}
    assert len(sfdx_project.parse(written(replacements=[rule]), "/p").replacements) == 1
    assert sfdx_project.parse(written(replacements=[rule]), "/p", trusted=False).replacements == ()


def test_an_untrusted_project_says_nothing_about_orgs() -> None:
    text = written(namespace="acme", plugins={"ecapipe": {"orgs": {"prod": {"url": "https://evil.test"}}}})
    found = sfdx_project.parse(text, "/p", trusted=False)
    assert found.orgs == {}
    assert found.namespace == "acme"


@pytest.mark.parametrize("plugins", ["text", {"ecapipe": "text"}, {"ecapipe": {"orgs": ["uat"]}}])
def test_the_settings_of_an_untrusted_project_are_not_even_read(plugins: object) -> None:
    assert problem_of(sfdx_project.parse, written(plugins={"ecapipe": 1}), "/p").name == "SchemaValidationError"
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


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, 1),
        ("{", 1, 2),
        ('{"packageDirectories": [}', 1, 25),
        ('{\n  "packageDirectories": [\n    {"path": "force-app",}\n  ]\n}', 3, 26),
        ('{\n  // a comment\n}', 2, 3),
        ("{}\n{}", 2, 1),
        ("<<<<<<< HEAD\n{}", 1, 1),
    ],
)  # fmt: skip
def test_bad_json_is_named_with_line_and_column(text: str, line: int, column: int) -> None:
    problem = problem_of(sfdx_project.parse, text, "/p")
    assert problem.name == "JsonParseError"
    assert (problem.file, problem.line) == ("sfdx-project.json", line)
    assert f"(line {line}, column {column})" in problem.message


@pytest.mark.parametrize("text", ["[" * 100_000, '{"sourceApiVersion": ' + "6" * 5000 + "}"])
def test_json_that_python_itself_refuses_is_a_json_error(text: str) -> None:
    assert problem_of(sfdx_project.parse, text, "/p").name == "JsonParseError"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "it must be an object"),
        ("null", "it must be an object"),
        (written(packageDirectories="force-app"), "packageDirectories must be a list"),
        (directories("force-app"), "every entry of packageDirectories must be an object"),
        (directories({}), "needs a path"),
        (directories({"path": 7}), "needs a path"),
        (directories({"path": ""}), "needs a path"),
        (directories({"path": "a\0b"}), "needs a path"),
        (written(namespace=7), "namespace must be a string"),
        (written(sfdcLoginUrl=["https://acme.my.salesforce.com"]), "sfdcLoginUrl must be a string"),
        (written(sourceApiVersion=66.0), "sourceApiVersion must be a string"),
        (written(plugins=[]), "plugins must be an object"),
        (written(plugins={"ecapipe": []}), "plugins.ecapipe must be an object"),
        (written(plugins={"ecapipe": {"orgs": []}}), "plugins.ecapipe.orgs must be an object"),
        (written(plugins={"ecapipe": {"orgs": {"uat": "url"}}}), "plugins.ecapipe.orgs.uat must be an object"),
    ],
)
def test_a_member_of_the_wrong_shape_is_named(text: str, says: str) -> None:
    problem = problem_of(sfdx_project.parse, text, "/p")
    assert problem.name == "SchemaValidationError"
    assert problem.file == "sfdx-project.json"
    assert says in problem.message


@pytest.mark.parametrize("text", ["{}", directories()])
def test_a_project_without_package_directories_has_nowhere_to_look(text: str) -> None:
    assert problem_of(sfdx_project.parse, text, "/p").name == "NoPackageDirectories"


ONE, TWO = {"path": "one"}, {"path": "two"}


@pytest.mark.parametrize(
    ("entries", "name"),
    [
        ([{**ONE, "default": False}], "SingleNonDefaultPackageError"),
        ([ONE, TWO], "MissingDefaultPathError"),
        ([{**ONE, "default": False}, TWO], "MissingDefaultPathError"),
        ([{**ONE, "default": True}, {**TWO, "default": True}], "MultipleDefaultPathsError"),
    ],
)
def test_exactly_one_package_directory_is_the_default(entries: list[object], name: str) -> None:
    assert problem_of(sfdx_project.parse, directories(*entries), "/p").name == name


def test_a_single_package_directory_need_not_say_that_it_is_the_default() -> None:
    assert sfdx_project.parse(directories(ONE), "/p").package_directories == ("one",)


@pytest.mark.parametrize(
    "path", ["/etc", "../other", "one/../../other", "C:\\one", "C:one", "\\\\host\\share", "\\one"]
)
def test_a_package_directory_stays_inside_the_project(path: str) -> None:
    problem = problem_of(sfdx_project.parse, directories({"path": path}), "/p")
    assert problem.name == "InvalidPackageDirectoryError"
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
