from __future__ import annotations

import json
from pathlib import Path

import pytest
import trees

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.project_tree.substitution import Substitution
from ecapipe.problems.problem import EcapipeError
from ecapipe.project import discovery
from ecapipe.project.search import ProjectSelection

ENDLESS = "(A+)+!"


def test_an_expression_that_comes_to_no_end_is_stopped_once_and_the_others_go_on() -> None:
    substitute = Substitution()
    assert substitute("b+", "#", "abba") == ("a#a", 1)
    assert substitute(ENDLESS, "#", "A" * 40) is None
    # Not asked again: in every file it would take as long.
    assert substitute(ENDLESS, "#", "!") is None
    assert substitute("b+", "#", "ä\nb\udcff") == ("ä\n#\udcff", 1)


def test_what_it_would_have_replaced_is_unresolved_with_the_cause(tmp_path: Path) -> None:
    rule = {"glob": "**/*.xml", "regexToReplace": ENDLESS, "replaceWithEnv": "ECA_SECRET"}
    files = trees.project(replacements=[rule]) | trees.app(settings={"consumerSecret": "A" * 40})
    where = ProjectSelection((str(trees.plant(tmp_path, files)),))
    (app,) = discovery.discover(where, composition.real_world(Environment({"ECA_SECRET": "x"}))).apps
    assert app.settings
    replaced = app.settings.replaced["consumerSecret"]
    assert (replaced.value, replaced.missing_origins, replaced.unfinished) == (None, ("ECA_SECRET",), True)


@pytest.mark.parametrize("regex", ["a{99999999999999999999}", "(" * 900 + ")" * 900, "(" * 5000 + ")" * 5000, "(?<n"])
def test_an_expression_that_cannot_be_read_is_a_problem_of_the_project(tmp_path: Path, regex: str) -> None:
    rule = {"glob": "**/*.xml", "regexToReplace": regex, "replaceWithEnv": "X"}
    root = trees.plant(tmp_path, trees.project(replacements=[rule]) | trees.app())
    assert json.loads((root / "sfdx-project.json").read_text())["replacements"] == [rule]
    with pytest.raises(EcapipeError, match="regexToReplace that cannot be read"):
        discovery.discover(ProjectSelection((str(root),)), composition.real_world(Environment({})))
