"""--project-config-from: a commit says how the project is checked, whatever the tree says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import trees
from check import ground
from check.ground import committed
from commandline import inside
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.check import baseline
from ecapipe.check.baseline import AcceptedFinding
from ecapipe.check.findings import Finding
from ecapipe.check.inspection import CheckOptions
from ecapipe.problems.git import git_unavailable, unknown_revision
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import json_parse_error, schema_validation_error
from ecapipe.project.sfdx_project import same_configuration

RULE = "pkce-not-required"
CHANGED = "check-config-changed"
FILE = "sfdx-project.json"
ACCEPTED = "accepted.json"
APP = trees.app(settings={"isPkceRequired": "false"})
BASE = CheckOptions(config_from="HEAD")


def project(**plugin: object) -> trees.Files:
    return trees.project(plugins={"ecapipe": plugin})


def rules(**levels: str) -> trees.Files:
    return project(rules={name.replace("_", "-"): level for name, level in levels.items()})


STRICT, LENIENT = rules(pkce_not_required="error"), rules(pkce_not_required="off")


def accepting(root: Path) -> str:
    """A baseline that accepts what is found in `root`."""
    found = [each for each in ground.findings(root) if each.rule == RULE]
    return baseline.render(AcceptedFinding(each.fingerprint, each.rule, each.app, each.file) for each in found)


def judged(root: Path, gate: CheckOptions = BASE) -> tuple[list[Finding], list[str | None]]:
    """What is found of the rule, and the files of the configuration that are said to have changed."""
    found = ground.findings(root, gate)
    assert {each.level for each in found if each.rule == CHANGED} <= {"warning"}
    return [each for each in found if each.rule == RULE], [each.file for each in found if each.rule == CHANGED]


@pytest.mark.parametrize("purpose", ["login", "deploy", "commit"])
@pytest.mark.parametrize("staged", [False, True])
def test_the_tree_switches_no_rule_off(purpose: str, staged: bool, tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [*committed(STRICT | APP), LENIENT])
    if staged:
        ground.git(root, "add", "--all")
        trees.plant(root, STRICT)  # not what would be committed
    gate = ground.for_(purpose, staged=staged, config_from="HEAD")
    (found,), changed = judged(root, gate)
    assert (found.level, changed) == ("error", [FILE])
    assert judged(root, ground.for_(purpose, staged=staged)) == ([], [])


def test_the_tree_accepts_nothing(tmp_path: Path) -> None:
    ready = project(baseline=ACCEPTED)
    root = ground.ready(tmp_path, committed(ready | APP | {ACCEPTED: baseline.render(())}))
    trees.plant(root, {ACCEPTED: accepting(root)})
    assert judged(root, CheckOptions())[0][0].accepted
    (found,), changed = judged(root)
    assert (found.accepted, changed) == (False, [ACCEPTED])
    trees.plant(root, project(baseline="other.json") | {"other.json": (root / ACCEPTED).read_text()})
    (root / ACCEPTED).unlink()
    (found,), changed = judged(root)
    assert (found.accepted, changed) == (False, [ACCEPTED, FILE])


def test_what_the_commit_accepts_stays_accepted(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, project(baseline=ACCEPTED) | APP)
    text = accepting(root)
    ground.ready(root, committed({ACCEPTED: text}))
    (root / ACCEPTED).write_text(text.replace("\n", "\r\n"))  # as git writes it on Windows
    (found,), changed = judged(root)
    assert (found.accepted, changed) == (True, [])
    (root / ACCEPTED).unlink()
    (found,), changed = judged(root)
    assert (found.accepted, changed) == (True, [ACCEPTED])


@pytest.mark.parametrize("before", [trees.project(), {"notes": "made up"}])
def test_without_settings_in_the_commit_there_are_none(before: trees.Files, tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [*committed(before), LENIENT | APP])
    (found,), changed = judged(root)
    assert (found.level, changed) == ("warning", [FILE])
    trees.plant(root, trees.project(namespace="acme"))
    assert judged(root) == ([found], [])


def test_nothing_is_committed_yet(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [LENIENT | APP, "status"])
    (found,), changed = judged(root)
    assert (found.level, changed) == ("warning", [FILE])


def test_a_project_file_that_is_taken_away_or_replaced_by_a_link_changes_nothing(tmp_path: Path) -> None:
    other = {"other/sfdx-project.json": LENIENT[FILE], "other/force-app/": ""}
    root = ground.ready(tmp_path, committed(STRICT | APP | other))
    (root / FILE).unlink()
    (root / FILE).symlink_to("other/sfdx-project.json")
    (found,), changed = judged(root)
    assert (found.level, changed) == ("error", [FILE])
    (root / FILE).unlink()
    (root / "other/sfdx-project.json").unlink()
    (found,), changed = judged(root)
    assert (found.level, changed) == ("error", [FILE])


@pytest.mark.parametrize("change", ["link", "link above", "taken away"])
def test_the_folder_that_was_named_is_judged_as_it_was(change: str, tmp_path: Path) -> None:
    """The tree has another project in its place, or none, so that one with more lenient rules is around it."""
    kinds = {"": LENIENT, "all/other/": LENIENT, "all/named/": STRICT | APP}
    root = ground.ready(
        tmp_path, committed({f"{place}{path}": each[path] for place, each in kinds.items() for path in each})
    )
    trees.plant(root / "all/other", APP)
    if change == "taken away":
        (root / "all/named" / FILE).unlink()
    else:
        trees.plant(root / "more/named", LENIENT | APP)
        place = root / ("all" if change == "link above" else "all/named")
        shutil.rmtree(place)
        place.symlink_to("more" if change == "link above" else "../more/named")
    (found,), changed = judged(root / "all/named")
    assert (found.level, changed) == ("error", [FILE])


def test_a_link_of_the_commit_is_followed(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, {"shared.json": STRICT[FILE]} | APP)
    (root / FILE).symlink_to("shared.json")
    ground.ready(root, committed({}))
    trees.plant(root, {"shared.json": LENIENT[FILE]})
    (found,), changed = judged(root)
    assert (found.level, changed) == ("error", [FILE])


def test_every_project_goes_by_its_own_file(tmp_path: Path) -> None:
    both = {f"{name}/{path}": text for name, files in (("one", STRICT), ("two", LENIENT)) for path, text in
            (files | APP).items()}  # fmt: skip
    root = ground.ready(tmp_path, committed(both))
    assert [each.level for each in judged(root / "one")[0]] == ["error"]
    assert judged(root / "two") == ([], [])


def test_the_deploy_target_is_that_of_the_commit(tmp_path: Path) -> None:
    orgs = [{"prod": {"url": "acme.my.salesforce.com", "orgId": id}} for id in (ground.AWAY, ground.HOME)]
    app = trees.app(oauth=ground.LINK)
    root = ground.ready(tmp_path, [*committed(project(orgs=orgs[0]) | app), project(orgs=orgs[1])])
    gate = ground.for_("deploy", target="prod")
    assert "oauth-link-foreign" not in ground.rules(root, gate)
    assert "oauth-link-foreign" in ground.rules(root, ground.for_("deploy", target="prod", config_from="HEAD"))


def test_a_tree_that_is_not_trusted_is_checked_by_the_commit_too(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [*committed(STRICT | APP), LENIENT])
    found = ground.inspect(root, BASE, trusted=False).findings
    assert {(each.rule, each.level) for each in found} >= {(RULE, "error"), (CHANGED, "warning")}


def test_the_commit_says_how_much_a_change_matters(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [*committed(rules(check_config_changed="error") | APP), LENIENT])
    assert [each.level for each in ground.findings(root, BASE) if each.rule == CHANGED] == ["error"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("{", json_parse_error), (json.dumps({"plugins": {"ecapipe": {"rules": []}}}), schema_validation_error)],
)
def test_settings_that_are_malformed_in_the_commit_are_told(text: str, kind: object, tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [*committed({FILE: text}), STRICT | APP])
    with pytest.raises(EcapipeError, match=r"^At HEAD: ") as caught:
        ground.inspect(root, BASE)
    assert caught.value.problem.kind is kind


def test_a_revision_has_to_be_there(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, STRICT | APP)
    for revision, kind in (("HEAD", git_unavailable), ("nowhere", unknown_revision), ("--all", unknown_revision)):
        with pytest.raises(EcapipeError) as caught:
            ground.inspect(root, CheckOptions(config_from=revision))
        assert caught.value.problem.kind is kind
        ground.ready(root, committed({}))


def test_the_commit_may_have_been_fetched_beside_a_shallow_clone_anywhere(tmp_path: Path) -> None:
    root = ground.ready(tmp_path / "origin", [*committed(STRICT | APP), *committed(LENIENT)])
    base = ground.git(root, "rev-parse", "HEAD~1").strip()
    ground.git(tmp_path, "clone", "--quiet", "--depth=1", root.as_uri(), "place/clone")
    fetched = ground.ready(tmp_path / "fetched", [f"fetch --quiet {root.as_uri()} {base}"])
    asked = ("app", "check", "-d", "clone", "--project-config-from", base, "--json")
    ended = inside(*asked, at=tmp_path / "place", GIT_ALTERNATE_OBJECT_DIRECTORIES=str(fetched / ".git/objects"))
    found = {each["rule"]: each["level"] for each in json.loads(ended.out)["result"]["findings"]}
    assert (found[RULE], found[CHANGED]) == ("error", "warning")


def test_a_package_directory_that_is_left_out_is_told(tmp_path: Path) -> None:
    gate = ground.for_("commit", config_from="HEAD")
    root = ground.ready(tmp_path, committed(trees.project("force-app", "more/app") | APP | {"more/app/a": "made up"}))
    assert judged(root, gate)[1] == []
    trees.plant(root, {FILE: trees.project("more")[FILE]})
    assert judged(root, gate) == ([], [FILE])
    trees.plant(root, {FILE: trees.project("force-app")[FILE]})
    assert judged(root, gate)[1] == [FILE]
    (root / "more/app/a").unlink()
    (root / "more/app").rmdir()
    assert judged(root, gate)[1] == []


@pytest.mark.parametrize("folder", ["force-app", "force-app/main"])
@pytest.mark.parametrize("before", [STRICT, {"notes": "made up"}], ids=["project", "none"])
def test_no_project_of_the_tree_hides_what_the_commit_would_check(
    before: trees.Files, folder: str, tmp_path: Path
) -> None:
    root = ground.ready(tmp_path, committed(before | trees.app(settings=None)))
    place = root / folder if FILE in before else root
    gate = ground.for_("commit", config_from="HEAD")
    assert CHANGED not in ground.rules(place, gate)
    trees.plant(place, trees.project("empty") | {"empty/a": "made up"})
    trees.plant(root, APP)
    assert {(each.rule, each.file) for each in ground.findings(place, gate)} == {(CHANGED, FILE)}


def test_a_project_inside_another_is_judged_by_that(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, committed(STRICT | APP))
    inner = trees.project("main", plugins={"ecapipe": {"rules": {RULE: "off"}}})
    (found,), changed = judged(trees.plant(root / "force-app", inner), ground.for_("commit", config_from="HEAD"))
    assert (found.level, changed) == ("error", [FILE])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1) | st.text(max_size=2),
    lambda each: st.lists(each, max_size=2) | st.dictionaries(st.sampled_from("ab"), each, max_size=2),
    max_leaves=4,
)


@given(JSON, JSON, st.booleans())
def test_a_change_is_one_of_values_not_of_writing(one: object, other: object, indented: bool) -> None:
    def text(value: object) -> str:
        more: Mapping[str, object] = {"name": "other"} if indented else {}
        members = {**more, "plugins": {"another": {}, "ecapipe": value}}
        return json.dumps(members, indent=2 if indented else None, sort_keys=indented)

    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert same_configuration(json.dumps({"plugins": {"ecapipe": one}}), text(other)) is same
