"""The gate in every kind of repository, and without one."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
import trees
from check import ground
from check.ground import IGNORE, SETTINGS, committed
from commandline import ecapipe

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.project_tree.git import Repositories
from ecapipe.check import inspection
from ecapipe.check.inspection import CheckOptions
from ecapipe.problems.git import git_unavailable, unknown_revision
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.discovery import ProjectSelection

APP = trees.project() | trees.app()
GIT_RULES = {"secret-tracked-by-git", "secret-staged", "secret-in-history", "settings-not-gitignored"}
COMMIT, EVERYTHING = CheckOptions("commit"), CheckOptions("commit", history=True)


def refused(root: Path, gate: CheckOptions) -> str:
    """The name of the problem that keeps the gate from its work."""
    with pytest.raises(EcapipeError) as raised:
        ground.inspect(root, gate)
    return raised.value.problem.name


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A committed app whose settings are ignored now, but tracked."""
    return ground.ready(tmp_path / "project", [*committed(APP), *committed(IGNORE)])


def test_a_repository_tells_everything(project: Path) -> None:
    assert GIT_RULES & ground.rules(project, EVERYTHING) == {"secret-tracked-by-git", "secret-in-history"}


def test_without_a_repository_git_has_nothing_to_say(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, APP)
    came = ground.inspect(root, COMMIT)
    assert not {*GIT_RULES, "not-examined"} & {each.rule for each in came.findings}
    assert came.notices == ()
    for gate in (CheckOptions(staged=True), CheckOptions(since="HEAD"), CheckOptions(history=True)):
        assert refused(root, gate) == git_unavailable.name


def test_before_the_first_commit_everything_is_new(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [APP, "add --all"])
    assert GIT_RULES & ground.rules(root, EVERYTHING) == {
        "secret-tracked-by-git",
        "secret-staged",
        "settings-not-gitignored",
    }
    assert ground.inspect(root, CheckOptions(since="HEAD")).apps != ()


def test_a_worktree_has_an_index_of_its_own(project: Path, tmp_path: Path) -> None:
    ground.git(project, "worktree", "add", "--quiet", "--detach", str(tmp_path / "other"))
    ground.git(project, "rm", "--quiet", "--cached", SETTINGS)
    assert "secret-tracked-by-git" not in ground.rules(project, COMMIT)
    assert {"secret-tracked-by-git", "secret-in-history"} <= ground.rules(tmp_path / "other", EVERYTHING)


def test_a_submodule_is_a_repository_of_its_own(project: Path, tmp_path: Path) -> None:
    outer = ground.ready(tmp_path / "outer", committed({"README.md": "made up\n"}))
    ground.git(outer, "submodule", "--quiet", "add", str(project), "modules/inner")
    assert GIT_RULES & ground.rules(outer / "modules/inner", EVERYTHING) == {
        "secret-tracked-by-git",
        "secret-in-history",
    }


def test_a_package_directory_may_be_a_submodule(tmp_path: Path) -> None:
    package = ground.ready(tmp_path / "package", committed(trees.app(folder="main")))
    files = {path: content for path, content in trees.project("app", "inner").items() if path != "inner/"}
    outer = ground.ready(tmp_path / "outer", committed(files))
    ground.git(outer, "submodule", "--quiet", "add", str(package), "inner")
    assert {"secret-tracked-by-git", "settings-not-gitignored"} <= ground.rules(outer, COMMIT)
    assert "secret-staged" not in ground.rules(outer, COMMIT)


def test_a_shallow_clone_says_that_it_knows_a_part_only(project: Path, tmp_path: Path) -> None:
    ground.git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{project}", "shallow")
    came = ground.inspect(tmp_path / "shallow", EVERYTHING)
    assert "secret-in-history" in {each.rule for each in came.findings}
    assert any("shallow" in each.message for each in came.findings if each.rule == "not-examined")
    assert refused(tmp_path / "shallow", CheckOptions(since="HEAD~1")) == unknown_revision.name


def test_a_detached_head_is_a_head(project: Path) -> None:
    ground.git(project, "checkout", "--quiet", "--detach", "HEAD~1")
    assert GIT_RULES & ground.rules(project, EVERYTHING) == {
        "secret-tracked-by-git",
        "secret-in-history",
        "settings-not-gitignored",
    }


def test_only_a_branch_elsewhere_had_the_secret(project: Path) -> None:
    ground.git(project, "checkout", "--quiet", "--orphan", "clean")
    ground.git(project, "rm", "-r", "--quiet", "--cached", ".")
    ground.ready(project, committed())
    assert GIT_RULES & ground.rules(project, EVERYTHING) == {"secret-in-history"}


def test_a_secret_that_only_a_merge_brought_in_is_found(project: Path, tmp_path: Path) -> None:
    root = ground.ready(tmp_path / "merged", committed(IGNORE | {"notes": "one\n"}))
    ground.git(root, "checkout", "--quiet", "-b", "side")
    ground.ready(root, committed({"notes": "two\n"}))
    ground.git(root, "checkout", "--quiet", "-")
    ground.ready(root, committed({"other": "three\n"}))
    ground.git(root, "merge", "--quiet", "--no-commit", "--no-ff", "side")
    ground.ready(root, [*committed({"notes": f"{trees.secret('Billing')}\n"}), *committed({"notes": "four\n"}), APP])
    (found,) = [each for each in ground.findings(root, EVERYTHING) if each.rule == "secret-in-history"]
    assert "notes" in found.message


def test_a_repository_of_somebody_else_is_not_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for this very test
    came = ground.inspect(project, COMMIT)
    assert not GIT_RULES & {each.rule for each in came.findings}
    (missed,) = [each for each in came.findings if each.rule == "not-examined"]
    assert "dubious ownership" in missed.message
    assert any("safe.directory" in action for action in missed.actions)
    for gate in (CheckOptions(staged=True), CheckOptions(since="HEAD"), CheckOptions(history=True)):
        assert refused(project, gate) == git_unavailable.name


def test_a_broken_repository_is_told(project: Path) -> None:
    (project / ".git/index").write_bytes(b"no index")
    (missed,) = [each for each in ground.findings(project, COMMIT) if each.rule == "not-examined"]
    assert "index" in missed.message


def test_a_project_in_a_subfolder_keeps_its_own_paths(tmp_path: Path) -> None:
    sales = {f"sales/{path}": content for path, content in APP.items()}
    script = {"sales/login.sh": trees.secret("Billing"), "ci.yml": trees.secret("Billing")}
    ground.ready(tmp_path, committed(sales, script))
    found = {each.rule: each for each in ground.findings(tmp_path / "sales", EVERYTHING)}
    assert GIT_RULES & found.keys() == {"secret-tracked-by-git", "secret-in-history", "settings-not-gitignored"}
    assert found["secret-tracked-by-git"].file == SETTINGS
    assert found["secret-elsewhere-in-tree"].file == "login.sh"
    assert "../ci.yml, " in found["secret-in-history"].message
    staged = ground.inspect(tmp_path / "sales", CheckOptions(staged=True))
    assert [app.settings_file for app in staged.apps] == [SETTINGS]
    assert ground.inspect(tmp_path / "sales", CheckOptions(since="HEAD")).apps == ()


def test_a_project_is_reached_through_a_link(project: Path, tmp_path: Path) -> None:
    (tmp_path / "way in").symlink_to(project)
    assert "secret-tracked-by-git" in ground.rules(tmp_path / "way in", COMMIT)
    assert len(ground.inspect(tmp_path / "way in", CheckOptions(staged=True)).apps) == 1


def test_without_a_git_program_git_has_nothing_to_say(project: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "ecapipe", "app", "check", "--source-dir", str(project), "--for", "commit"]
    environment = {**os.environ, "PATH": str(tmp_path)}

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, *more], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    plain = run()
    assert plain.returncode == 0
    assert "secret-" not in plain.stdout
    assert "no git program" in plain.stdout
    for flag in ("--staged", "--since=HEAD", "--history"):
        ended = run(flag)
        assert ended.returncode == 1
        assert "Error (GitUnavailable)" in ended.stderr


ODD = ["with space", "'quoted' \"twice\"", "tab\t", "*", "[a]", "-x", ":(top)a", ":!a", "é ☃", "back\\slash"]


@pytest.mark.parametrize("name", ODD)
def test_any_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    path = f"force-app/{name}/{name}.ecaGlblOauth-meta.xml"
    files = trees.project() | trees.app(settings=None) | {path: trees.app()[SETTINGS]}
    root = ground.ready(tmp_path, [*committed(files), {name: trees.secret("Billing")}])
    found = {each.rule: each.file for each in ground.findings(root, COMMIT)}
    assert found["secret-tracked-by-git"] == found["settings-not-gitignored"] == path
    assert found["secret-elsewhere-in-tree"] == name
    assert [app.settings_file for app in ground.inspect(root, CheckOptions(staged=True)).apps] == [path]
    assert ground.inspect(root, CheckOptions(since="HEAD")).apps == ()


def test_names_that_are_no_text_are_names(tmp_path: Path) -> None:
    path = os.fsdecode(b"force-app/Caf\xe9.ecaGlblOauth-meta.xml")
    files = trees.project() | trees.app(settings=None) | {path: trees.app()[SETTINGS]}
    root = ground.ready(tmp_path, committed(files))
    found = {each.rule: each.file for each in ground.findings(root, COMMIT)}
    assert found["secret-tracked-by-git"] == path


# --- nothing leaves, nothing changes ------------------------------------------------------------------------


def test_asking_changes_nothing(project: Path) -> None:
    def snapshot() -> dict[str, tuple[int, bytes]]:
        files = [path for path in project.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    for path in project.rglob("*.xml"):
        os.utime(path)  # now the index is out of date, and a careless command would refresh it
    before = snapshot()
    for gate in (EVERYTHING, CheckOptions(staged=True), CheckOptions(since="HEAD")):
        ground.inspect(project, gate)
    assert snapshot() == before


@pytest.mark.parametrize(
    "setting",
    ["core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "diff.external", "filter.trap.clean",
     "filter.trap.smudge", "diff.trap.textconv", "alias.ls-files", "gpg.program"],
)  # fmt: skip
def test_no_command_of_the_repository_is_run(setting: str, project: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{tmp_path}/sprung'\ncat\n")
    trap.chmod(0o755)
    ground.git(project, "config", setting, str(trap))
    ground.git(project, "config", "log.showSignature", "true")
    trees.plant(project, {".gitattributes": "* filter=trap diff=trap\n", "login.sh": trees.secret("Billing")})
    for path in project.rglob("*.xml"):
        os.utime(path)
    (tmp_path / "sprung").unlink(missing_ok=True)
    for gate in (EVERYTHING, CheckOptions("commit", staged=True), CheckOptions(since="HEAD")):
        assert ground.findings(project, gate) != [] or gate.since
    assert not (tmp_path / "sprung").exists()


def test_no_secret_is_among_gits_arguments_or_variables(project: Path, tmp_path: Path) -> None:
    bin = tmp_path / "bin"
    bin.mkdir()
    real = subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()
    (bin / "git").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/seen\nenv >> {tmp_path}/seen\nexec {real} "$@"\n'
    )
    (bin / "git").chmod(0o755)
    supplied = trees.secret("supplied")
    environment = {
        **os.environ,
        "PATH": f"{bin}:{os.environ['PATH']}",
        "ECAPIPE_CLIENT_SECRET": supplied,
    }
    trees.plant(project, {"login.sh": f"{trees.secret('Billing')} {supplied}\n"})
    program = [sys.executable, "-m", "ecapipe", "app", "check", "--source-dir", str(project), "--history", "--json"]
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)
    seen = (tmp_path / "seen").read_text()
    assert "secret-elsewhere-in-tree" in ended.stdout
    assert "grep" in seen
    for secret in (trees.secret("Billing"), supplied):
        for part in (secret[:8], secret[-8:], secret[20:28]):
            assert part not in seen
            assert part not in ended.stdout + ended.stderr


# --- a huge history -----------------------------------------------------------------------------------------


def test_a_huge_history_is_searched_in_little_memory_and_told_about(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [APP, IGNORE, "status"])
    commits = "".join(
        f"commit refs/heads/old\ncommitter N <n@example.com> {number} +0000\ndata 0\n"
        f"M 100644 inline notes/{number % 10}.txt\ndata 7\n{number:06}\n\n"
        for number in range(4500)
    )
    large = b"made up\n" * 4_000_000 + trees.secret("Billing").encode() + b"\n"
    stream = commits.encode() + (
        b"commit refs/heads/old\ncommitter N <n@example.com> 9999 +0000\ndata 0\n"
        b"M 100644 inline large.bin\ndata %d\n%b\n" % (len(large), large)
    )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input=stream, check=True, timeout=60)
    told: list[tuple[str, int, int]] = []
    world = replace(composition.real_world(Environment({})), tell=lambda *words: told.append(words))
    tracemalloc.start()
    found = inspection.inspect(ProjectSelection((str(root),)), CheckOptions(history=True), world).findings
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (history,) = [each for each in found if each.rule == "secret-in-history"]
    assert "large.bin" in history.message
    assert [(done, total > 4500) for _, done, total in told] == [(2000, True), (4000, True)]
    assert peak < len(large) / 2


def test_a_repository_is_opened_once(project: Path) -> None:
    around = Repositories()
    assert around(str(project)) is around(str(project / "force-app"))


@pytest.mark.parametrize("name", ["HOME", "XDG_CONFIG_HOME", "PATH", "GIT_CONFIG_NOSYSTEM"])
@pytest.mark.parametrize("more", [(), ("--staged",), ("--no-project-config",)])
def test_a_tree_cannot_take_away_what_git_goes_by(name: str, more: tuple[str, ...], tmp_path: Path) -> None:
    """The repository is somebody else's, and only the user's configuration lets git read it."""
    configured = trees.project(
        replacements=[{"glob": "**/*", "stringToReplace": "made up", "replaceWithEnv": name}],
        plugins={"ecapipe": {"orgs": {"uat": {"url": "acme.my.salesforce.com", "secretEnv": name}}}},
    )
    root = ground.ready(tmp_path / "project", committed(trees.app() | configured))
    home = trees.plant(tmp_path / "home", {".gitconfig": "[safe]\n\tdirectory = *\n"})
    variables = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}
    if name == "XDG_CONFIG_HOME":
        (home / ".gitconfig").rename(trees.plant(home, {"git/": ""}) / "git/config")
        variables[name] = str(home)
    ended = ecapipe("app", "check", "--for", "commit", "--json", *more, at=root, **variables, HOME=str(home))
    assert ended.status == 1
    told = {each["rule"] for each in ended.result["findings"]}
    assert ("secret-tracked-by-git" in told, "variable-reserved" in told) == (True, "--no-project-config" not in more)


@pytest.mark.parametrize("folder", ["[ab]", ":(top)a", "*"])
def test_a_project_may_lie_in_a_folder_of_any_name(folder: str, tmp_path: Path) -> None:
    inner: trees.Files = {f"{folder}/{path}": content for path, content in APP.items()}
    scripts = {f"{folder}/login.sh": trees.secret("Billing"), "a/login.sh": trees.secret("Billing")}
    root = ground.ready(tmp_path / "$HOME", committed(inner | scripts)) / folder
    for gate in (COMMIT, CheckOptions("commit", staged=True)):
        found = [each.file for each in ground.findings(root, gate) if each.rule == "secret-elsewhere-in-tree"]
        assert found == ["login.sh"]


def test_a_settings_file_at_the_top_may_have_any_name(tmp_path: Path) -> None:
    name = ":(top)a.ecaGlblOauth-meta.xml"
    root = ground.ready(tmp_path, [{name: trees.app()[SETTINGS]} | IGNORE, "status"])
    assert not {"secret-tracked-by-git", "settings-not-gitignored"} & ground.rules(root, COMMIT)


@pytest.mark.parametrize(
    "steps", [("add --all --force",), ("config color.ui always",), ("config color.grep always",)]
)
def test_a_secret_in_another_file_is_found_whatever_git_shows_or_ignores(
    steps: tuple[str, ...], tmp_path: Path
) -> None:
    secret = trees.secret("Billing")
    ignored = {".gitignore": "*.ecaGlblOauth-meta.xml\nscripts/\n"} if "--force" in steps[0] else IGNORE
    root = ground.ready(tmp_path / "project", [APP | ignored | {"scripts/login.sh": secret}, *steps])
    found = [each.file for each in ground.findings(root, COMMIT) if each.rule == "secret-elsewhere-in-tree"]
    assert found == ["scripts/login.sh"]


def test_a_work_tree_that_only_a_variable_tells_of_is_not_passed_over(tmp_path: Path) -> None:
    root = ground.ready(tmp_path / "project", committed(APP))
    (root / ".git").rename(tmp_path / "elsewhere")
    told = {"GIT_DIR": str(tmp_path / "elsewhere"), "GIT_WORK_TREE": str(root)}
    for asked in (told, {"GIT_DIR": told["GIT_DIR"]}):
        ended = ecapipe("app", "check", "--for", "commit", "--concise", at=root, **asked)
        assert (ended.status, "not-examined" in ended.out) == (1, True)
    ground.ready(tmp_path / "other", APP)
    ended = ecapipe("app", "check", "--for", "commit", "--concise", at=tmp_path / "other", **told)
    assert (ended.status, "not-examined" in ended.out) == (0, False)
