"""``ecapipe explain`` as a program."""

from __future__ import annotations

from pathlib import Path

from commandline import ecapipe, inside

from ecapipe.check.rules.registry import RULES
from ecapipe.problems.catalogue import CATALOGUE


def test_a_rule_or_a_problem_is_explained_however_it_is_spelt(tmp_path: Path) -> None:
    names = ["consumer-secret-missing", "CONSUMER-SECRET-MISSING", "invalidclient", "InvalidClient"]
    rule, rule_again, problem, problem_again = (inside("explain", name, at=tmp_path) for name in names)
    assert rule == rule_again
    assert problem == problem_again
    assert rule.out.startswith(
        "consumer-secret-missing (rule; login: error, deploy: note, commit: silent, mcp: error)\n\n"
    )
    assert problem.out.startswith("InvalidClient (problem, credentials, exit code 1)\n\nWhat it means: ")
    assert [rule.status, problem.status, rule.err, problem.err] == [0, 0, "", ""]


def test_without_a_name_everything_is_listed(tmp_path: Path) -> None:
    as_json, as_lines = (ecapipe("explain", *more, at=tmp_path) for more in (["--json"], []))
    result = as_json.result
    assert result["version"] == 1
    assert [rule["name"] for rule in result["rules"]] == list(RULES)
    assert [problem["name"] for problem in result["problems"]] == list(CATALOGUE)
    assert all(f"\n{name}  " in as_lines.out for name in [*RULES, *CATALOGUE])


def test_one_explanation_is_a_document_too(tmp_path: Path) -> None:
    rule, problem = (inside("explain", name, "--json", at=tmp_path) for name in ("malformed-xml", "HostNotFound"))
    assert set(rule.result) == {"version", "kind", "name", "levels", "means", "why", "remedy", "source"}
    assert set(problem.result) == {"version", "kind", "name", "category", "means", "remedy", "exitCode"}
    assert (rule.result["kind"], problem.result["kind"]) == ("rule", "problem")


def test_concise_it_lists_the_names_alone(tmp_path: Path) -> None:
    assert inside("explain", "--concise", at=tmp_path).out.splitlines() == [*RULES, *CATALOGUE]


def test_verbose_it_explains_everything(tmp_path: Path) -> None:
    out = inside("explain", "--verbose", at=tmp_path).out
    assert all(inside("explain", name, at=tmp_path).out in out for name in ("secret-tracked-by-git", "NoAppsFound"))
    assert all(f"{name} (" in out for name in [*RULES, *CATALOGUE])
