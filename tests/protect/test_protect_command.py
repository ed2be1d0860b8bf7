"""``app protect`` as a command: real projects, real repositories, real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pexpect
import pytest
import trees
from render.test_json_schemas import strict

from ecapipe.problems.usage import ambiguous_variable, not_confirmed, usage_error

SETTINGS = f"{trees.DEFAULT}/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"
SECRET = trees.secret("Billing")
VARIABLE = "ECAPIPE_CLIENT_SECRET_BILLING"
BLOCK = (
    "# Consumer secrets of external client apps (ecapipe app protect)\n"
    "**/*.ecaGlblOauth-meta.xml\n"
    "**/*.ecaGlblOauth\n"
)  # fmt: skip

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("ECAPIPE_", "SF_", "CI", "GIT_"))},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    named = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.com"]
    done = subprocess.run(
        ["git", *named, *arguments], cwd=folder, capture_output=True, text=True, check=check, env=ENVIRONMENT
    )
    return done.stdout


def protect(folder: Path, *options: str, status: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "ecapipe", "app", "protect", *options],
        cwd=folder, capture_output=True, text=True, env=ENVIRONMENT | variables, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    for app in ("Billing", "GitHub"):
        assert trees.secret(app) not in done.stdout + done.stderr
        assert trees.key(app) not in done.stdout + done.stderr
    return done


def result(folder: Path, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(protect(folder, *options, "--json").stdout)
    strict("app-protect").validate(document)
    return {**document["result"], "warnings": document["warnings"]}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    return trees.plant(tmp_path, trees.project() | trees.app())


def ignored(root: Path, path: str) -> bool:
    return path in git(root, "check-ignore", "--no-index", path, check=False)


# --- .gitignore -----------------------------------------------------------------------------------------------


def test_a_project_without_ignore_file_gets_one(project: Path) -> None:
    done = protect(project)
    assert (project / ".gitignore").read_text() == BLOCK
    assert ignored(project, SETTINGS)
    assert ignored(project, "force-app/other/New.ecaGlblOauth")
    assert "Changed .gitignore." in done.stdout
    assert "+**/*.ecaGlblOauth-meta.xml" in done.stdout


def test_a_second_run_changes_nothing(project: Path) -> None:
    protect(project)
    before = (project / ".gitignore").stat()
    assert "Nothing to change" in protect(project).stdout
    after = (project / ".gitignore").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_dry_run_shows_the_change_and_writes_nothing(project: Path) -> None:
    done = protect(project, "--dry-run", "--forceignore", "--replace-with-env")
    assert "Would change .gitignore." in done.stdout
    assert "--- /dev/null" in done.stdout
    assert sorted(os.listdir(project)) == [".git", "force-app", "sfdx-project.json"]
    assert SECRET in (project / SETTINGS).read_text()
    assert all(not each["written"] for each in result(project, "--dry-run")["changes"])


def test_lines_go_to_the_end_with_the_endings_of_the_file(project: Path) -> None:
    (project / ".gitignore").write_bytes(b"node_modules/\r\n.sf/")
    protect(project)
    kept = b"node_modules/\r\n.sf/\r\n\r\n"
    assert (project / ".gitignore").read_bytes() == kept + BLOCK.replace("\n", "\r\n").encode()


def test_what_is_ignored_already_needs_no_pattern(project: Path) -> None:
    (project / ".gitignore").write_text("*.ecaGlblOauth*\n")
    assert result(project)["changes"] == []


def test_the_ignore_file_of_the_repository_serves_a_project_in_a_folder(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("dist/\n")
    trees.plant(tmp_path / "apps/first", trees.project() | trees.app())
    trees.plant(tmp_path / "apps/second", trees.project() | trees.app())
    done = result(tmp_path, "-d", "apps/first", "-d", "apps/second")
    assert (tmp_path / ".gitignore").read_text() == f"dist/\n\n{BLOCK}"
    assert [each["file"] for each in done["changes"]] == ["../../.gitignore"]
    assert ignored(tmp_path, f"apps/second/{SETTINGS}")
    assert result(tmp_path, "-d", "apps/first")["changes"] == []


def test_the_ignore_file_of_the_project_comes_before_one_above_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("dist/\n")
    trees.plant(tmp_path / "app", trees.project() | trees.app() | {".gitignore": ".sf/\n"})
    protect(tmp_path, "-d", "app")
    assert (tmp_path / ".gitignore").read_text() == "dist/\n"
    assert (tmp_path / "app/.gitignore").read_text() == f".sf/\n\n{BLOCK}"


def test_an_exception_is_taken_back_in_the_file_it_stands_in(project: Path) -> None:
    (project / ".gitignore").write_text("*.ecaGlblOauth*\n")
    (project / "force-app/.gitignore").write_text("!*.ecaGlblOauth-meta.xml\n")
    assert not ignored(project, SETTINGS)
    assert [each["file"] for each in result(project)["changes"]] == ["force-app/.gitignore"]
    assert ignored(project, SETTINGS)
    assert result(project)["changes"] == []


def test_what_only_this_clone_ignores_is_not_protected(project: Path) -> None:
    (project / ".git/info/exclude").write_text("*.ecaGlblOauth*\n")
    protect(project)
    assert (project / ".gitignore").read_text() == BLOCK


def test_a_project_without_apps_is_protected_before_the_first_retrieve(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    trees.plant(tmp_path, trees.project())
    protect(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == BLOCK


@pytest.mark.parametrize("path", ["", "/nowhere"], ids=["no repository", "no git"])
def test_without_git_the_lines_of_the_file_decide(tmp_path: Path, path: str) -> None:
    trees.plant(tmp_path, trees.project() | trees.app())
    variables: Any = {"PATH": path} if path else {}
    protect(tmp_path, **variables)
    assert (tmp_path / ".gitignore").read_text() == BLOCK
    assert "Nothing to change" in protect(tmp_path, **variables).stdout


def test_a_package_directory_outside_of_the_repository_keeps_runs_idempotent(tmp_path: Path) -> None:
    outside, project = tmp_path / "outside", tmp_path / "project"
    trees.plant(outside, trees.app(folder="main"))
    trees.plant(project, {"sfdx-project.json": trees.project()["sfdx-project.json"]})
    (project / "force-app").symlink_to(outside)
    git(project, "init", "--quiet")
    protect(project)
    assert result(project)["changes"] == []


def test_a_zip_file_is_ignored_by_its_name(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    trees.plant(tmp_path, trees.project() | trees.app())
    archive = tmp_path / "out [1].zip"
    subprocess.run([sys.executable, "-m", "zipfile", "-c", archive, "force-app"], cwd=tmp_path, check=True)
    protect(tmp_path, "--metadata-dir", archive.name, "--replace-with-env", "--no-prompt")
    assert (tmp_path / ".gitignore").read_text().splitlines()[1:] == [r"out\ \[1\].zip"]
    assert ignored(tmp_path, archive.name)


def test_a_worktree_is_a_repository_like_any_other(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    git(project, "commit", "--quiet", "--allow-empty", "--message", "start")
    other = tmp_path_factory.mktemp("worktrees") / "other"
    git(project, "worktree", "add", "--quiet", "--detach", str(other))
    trees.plant(other, trees.project() | trees.app())
    protect(other)
    assert ignored(other, SETTINGS)
    assert not (project / ".gitignore").exists()


def test_a_package_directory_that_is_a_repository_of_its_own_has_its_own_ignore_file(tmp_path: Path) -> None:
    part, whole = tmp_path / "part", tmp_path / "whole"
    trees.plant(part, {"README": "part"})
    git(part, "init", "--quiet")
    git(part, "add", ".")
    git(part, "commit", "--quiet", "--message", "part")
    trees.plant(
        whole, {"sfdx-project.json": trees.project("main", "sub/force-app")["sfdx-project.json"], "main/": ""}
    )
    git(whole, "init", "--quiet")
    git(whole, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part), "sub")
    trees.plant(whole, trees.app(folder="sub/force-app"))
    changed = [each["file"] for each in result(whole)["changes"]]
    assert sorted(changed) == [".gitignore", "sub/force-app/.gitignore"]
    assert ignored(whole, "main/New.ecaGlblOauth-meta.xml")
    assert ignored(whole / "sub", SETTINGS.replace(trees.DEFAULT, "force-app"))
    assert result(whole)["changes"] == []


def test_text_of_an_ignore_file_cannot_forge_escapes_or_commands(project: Path) -> None:
    (project / ".gitignore").write_bytes(b"\x1b[31mred\n::error::forged\n##[error]forged\n")
    lines = protect(project).stdout.splitlines()
    assert any("forged" in line for line in lines)
    assert not any("\x1b" in line or line.lstrip().startswith("::") or "##[" in line for line in lines)


def test_a_linked_ignore_file_is_refused(project: Path) -> None:
    (project / "shared").write_text("dist/\n")
    (project / ".gitignore").symlink_to("shared")
    done = protect(project, status=1)
    assert "Error (UnwritableFile): .gitignore was not written: its path contains a link, " in done.stderr
    assert (project / "shared").read_text() == "dist/\n"


# --- what people have to do -----------------------------------------------------------------------------------


def test_a_tracked_secret_is_told_with_a_command_that_untracks_it(project: Path) -> None:
    git(project, "add", ".")
    git(project, "commit", "--quiet", "--message", "everything")
    (exposure,) = result(project)["exposures"]
    assert (exposure["app"], exposure["file"], exposure["holdsSecret"]) == ("Billing", SETTINGS, True)
    untrack, rotate = exposure["actions"]
    assert "rotate the consumer secret of Billing" in rotate
    subprocess.run(untrack.removeprefix("Untrack it: "), shell=True, check=True, cwd="/", capture_output=True)
    assert result(project)["exposures"] == []
    git(project, "add", ".")
    assert SETTINGS not in git(project, "ls-files").splitlines()


def test_the_command_is_safe_to_paste_whatever_the_file_is_called(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    folder = "force-app/$(touch pasted) \"'`touch pasted`"
    trees.plant(tmp_path, trees.project() | trees.app(folder=folder))
    git(tmp_path, "add", ".")
    (exposure,) = result(tmp_path)["exposures"]
    command = exposure["actions"][0].removeprefix("Untrack it: ")
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, capture_output=True)
    assert result(tmp_path)["exposures"] == []
    assert not (tmp_path / "pasted").exists()


@pytest.mark.parametrize(("secret", "told"), [(None, 1), ("@@MINE@@", 0)])
def test_a_tracked_file_without_secret_is_told_unless_it_holds_a_placeholder(
    tmp_path: Path, secret: str | None, told: int
) -> None:
    git(tmp_path, "init", "--quiet")
    trees.plant(tmp_path, trees.project() | trees.app(settings={"consumerSecret": secret}))
    git(tmp_path, "add", ".")
    exposures = result(tmp_path)["exposures"]
    assert [each["holdsSecret"] for each in exposures] == [False] * told


# --- .forceignore ---------------------------------------------------------------------------------------------


def test_forceignore_is_written_on_request_and_warned_about(project: Path) -> None:
    (project / ".forceignore").write_text("package.xml\n")
    done = protect(project, "--forceignore")
    assert (project / ".forceignore").read_text() == f"package.xml\n\n{BLOCK}"
    assert "sf neither deploys nor retrieves the settings files" in done.stderr
    again = result(project, "--forceignore")
    assert again["changes"] == []
    assert len(again["warnings"]) == 1
    listed = subprocess.run(
        [sys.executable, "-m", "ecapipe", "run", "--until", "locate", "--json"],
        cwd=project, capture_output=True, text=True, env=ENVIRONMENT, check=True,
    )  # fmt: skip
    stage = json.loads(listed.stdout)["result"]["stages"][-1]
    assert stage["facts"]["forceignored"] is True


# --- replacements ---------------------------------------------------------------------------------------------


def test_a_secret_makes_way_for_a_replacement(project: Path) -> None:
    before = (project / SETTINGS).read_text()
    done = protect(project, "--replace-with-env")
    assert (project / SETTINGS).read_text() == before.replace(SECRET, f"@@{VARIABLE}@@")
    assert json.loads((project / "sfdx-project.json").read_text())["replacements"] == [
        {"filename": SETTINGS, "stringToReplace": f"@@{VARIABLE}@@", "replaceWithEnv": VARIABLE}
    ]
    assert f"The consumer secret of Billing now comes from {VARIABLE}, not from {SETTINGS}." in done.stdout
    assert "-    <consumerSecret>[REDACTED]</consumerSecret>" in done.stdout
    assert f"+    <consumerSecret>@@{VARIABLE}@@</consumerSecret>" in done.stdout
    assert SECRET.encode() not in b"".join(
        file.read_bytes() for file in project.rglob("*") if file.is_file() and ".git/" not in file.as_posix()
    )


def test_ecapipe_takes_the_secret_from_the_variable_that_was_named(project: Path) -> None:
    done = result(project, "--replace-with-env")
    # A replacement without its placeholder does no harm, if the power fails in between; the reverse does.
    assert [each["file"] for each in done["changes"]] == [".gitignore", "sfdx-project.json", SETTINGS]
    (given,) = done["variables"]
    assert given == {"project": str(project), "app": "Billing", "file": SETTINGS, "name": VARIABLE}
    checked = subprocess.run(
        [sys.executable, "-m", "ecapipe", "app", "check", "--json"],
        cwd=project, capture_output=True, text=True, env=ENVIRONMENT | {VARIABLE: SECRET},
    )  # fmt: skip
    (app,) = json.loads(checked.stdout)["result"]["apps"]
    secret = app["credentials"]["consumerSecret"]
    assert (secret["inFile"], secret["usable"], secret["source"]) == ("placeholder", True, "environment")


def test_replacing_again_changes_nothing_and_after_a_retrieve_only_the_file(project: Path) -> None:
    retrieved = (project / SETTINGS).read_bytes()
    protect(project, "--replace-with-env")
    again = result(project, "--replace-with-env")
    assert (again["changes"], again["variables"]) == ([], [])
    (project / SETTINGS).write_bytes(retrieved)
    assert [each["file"] for each in result(project, "--replace-with-env")["changes"]] == [SETTINGS]


def test_only_the_named_app_loses_its_secret(project: Path) -> None:
    trees.plant(project, trees.app("GitHub"))
    protect(project, "--replace-with-env", "--name", "GitHub")
    assert SECRET in (project / SETTINGS).read_text()
    assert trees.secret("GitHub") not in (project / SETTINGS.replace("Billing", "GitHub")).read_text()


def test_a_tracked_file_is_to_be_committed_with_its_placeholder(project: Path) -> None:
    git(project, "add", ".")
    (exposure,) = result(project, "--replace-with-env")["exposures"]
    commit, rotate = exposure["actions"]
    assert commit == f"Commit {SETTINGS} with its placeholder."
    assert "rotate" in rotate


def test_apps_that_would_share_a_variable_are_refused_before_anything_is_written(project: Path) -> None:
    trees.plant(project, trees.app("BILLING"))
    done = protect(project, "--replace-with-env", status=2)
    assert ambiguous_variable.name in done.stderr
    assert not (project / ".gitignore").exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace("</Extl", f"<!-- was {SECRET} --></Extl"), "not as Salesforce writes it"),
        (lambda text: text.replace(SECRET, f"<![CDATA[{SECRET}]]>"), "not as Salesforce writes it"),
        (lambda text: text.replace("</consumerS", f"</consumerSecret><consumerSecret>{SECRET}</consumerS"), "not as"),
    ],
    ids=["copy in a comment", "CDATA", "twice"],
)
def test_a_file_that_cannot_be_emptied_safely_is_left_alone(project: Path, change: Any, why: str) -> None:
    text = change((project / SETTINGS).read_text())
    (project / SETTINGS).write_text(text)
    done = result(project, "--replace-with-env")
    assert (project / SETTINGS).read_text() == text
    assert [each["file"] for each in done["changes"]] == [".gitignore"]
    assert why in done["warnings"][0]
    assert SECRET not in json.dumps(done)


def test_the_secret_is_not_shown_where_xml_writes_it_otherwise(project: Path) -> None:
    odd = "FAKE&<SECRET>0123456789"
    trees.plant(project, trees.app(settings={"consumerSecret": odd}))
    done = protect(project, "--replace-with-env")
    assert "0123456789" not in done.stdout
    assert "0123456789" not in (project / SETTINGS).read_text()


def test_a_secret_in_the_project_file_is_not_shown(project: Path) -> None:
    (project / "sfdx-project.json").write_text(
        json.dumps(
            {"packageDirectories": [{"path": "force-app"}], "name": SECRET, "plugins": {"x": trees.key("Billing")}}
        )
    )
    assert "[REDACTED]" in protect(project, "--replace-with-env").stdout


def test_a_tree_without_project_keeps_its_secrets(tmp_path: Path) -> None:
    tree = {path.removesuffix("-meta.xml"): content for path, content in trees.app(folder="mdapi").items()}
    trees.plant(tmp_path, tree)
    done = result(tmp_path, "--metadata-dir", "mdapi", "--replace-with-env")
    assert "there is no sfdx-project.json" in done["warnings"][0]
    assert (tmp_path / "mdapi/.gitignore").exists()
    assert SECRET in "".join(file.read_text() for file in tmp_path.rglob("*.ecaGlblOauth"))


# --- asking ---------------------------------------------------------------------------------------------------


def ask(folder: Path, *options: str) -> pexpect.spawn[str]:
    arguments = ["-m", "ecapipe", "app", "protect", *options]
    return pexpect.spawn(sys.executable, arguments, cwd=str(folder), env=ENVIRONMENT, encoding="utf-8", timeout=20)


@pytest.mark.parametrize(("answer", "status", "emptied"), [("y", 0, True), ("n", 1, False), ("", 1, False)])
def test_on_a_terminal_the_diff_comes_first_and_then_a_question(
    project: Path, answer: str, status: int, emptied: bool
) -> None:
    child = ask(project, "--replace-with-env")
    child.expect_exact("[REDACTED]")
    child.expect_exact("consumer secrets from these files? They aren't stored anywhere else [y/N]: ")
    assert not (project / ".gitignore").exists()
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == status
    assert (SECRET not in (project / SETTINGS).read_text()) is emptied
    assert (project / ".gitignore").exists() is emptied


def test_no_answer_is_no(project: Path) -> None:
    child = ask(project, "--replace-with-env")
    child.expect_exact("[y/N]: ")
    child.sendeof()
    child.expect_exact(not_confirmed.name)
    child.expect(pexpect.EOF)
    assert not (project / ".gitignore").exists()


@pytest.mark.parametrize("options", [["--replace-with-env", "--no-prompt"], []])
def test_nobody_is_asked_with_no_prompt_or_without_need(project: Path, options: list[str]) -> None:
    child = ask(project, *options)
    child.expect_exact("Changed .gitignore.")
    child.expect(pexpect.EOF)
    assert (SECRET in (project / SETTINGS).read_text()) is not bool(options)


def test_json_on_a_terminal_needs_no_prompt_spelt_out(project: Path) -> None:
    child = ask(project, "--replace-with-env", "--json")
    child.expect_exact("add --no-prompt")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2
    assert not (project / ".gitignore").exists()


# --- rules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["gitleaks", "detect-secrets"])
def test_rules_are_printed_alone_and_need_no_project(tmp_path: Path, tool: str) -> None:
    printed = protect(tmp_path, "--rules", tool).stdout
    assert printed.startswith(f"# Made by: ecapipe app protect --rules {tool}\n")
    assert result(tmp_path, "--rules", tool)["rules"] == printed.removesuffix("\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("other", ["--dry-run", "--forceignore", "--replace-with-env"])
def test_rules_go_with_nothing_that_writes(project: Path, other: str) -> None:
    assert "--rules" in protect(project, "--rules", "gitleaks", other, status=2).stderr


def test_an_unknown_tool_is_a_usage_error(project: Path) -> None:
    assert usage_error.name in protect(project, "--rules", "grep", status=2).stderr


def test_concise_it_leaves_out_how_the_files_change(project: Path) -> None:
    assert "+**/*.ecaGlblOauth-meta.xml" in protect(project, "--dry-run").stdout
    concise = protect(project, "--dry-run", "--concise").stdout
    assert concise.startswith("Would change .gitignore.\n")
    assert "ecaGlblOauth-meta.xml\n+" not in concise


def test_the_tree_that_lends_credentials_is_protected_too(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = trees.plant(tmp_path_factory.mktemp("source"), trees.project() | trees.app("GitHub"))
    git(source, "init", "--quiet")
    protect(project, "--credentials-dir", str(source))
    assert (project / ".gitignore").read_text() == (source / ".gitignore").read_text() == BLOCK
    assert "--credentials-dir" in protect(project, "--credentials-dir", "nowhere", status=2).stderr
