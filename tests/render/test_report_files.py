"""``--report`` and GitHub Actions: where reports go, when, and what is said when they cannot."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
import trees
from commandline import PROGRAM, ecapipe, environment, started
from render import accounts

from ecapipe import __version__
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.project_tree.disk import Disk
from ecapipe.cli import reports
from ecapipe.cli.session import open_session
from ecapipe.events import ProjectFacts, Subject
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import json_parse_error
from ecapipe.problems.usage import interrupted, usage_error
from ecapipe.project.discovery import ProjectSelection
from ecapipe.render.reports import FORMATS

LACKING = {"consumerKey": None}


def private(root: Path, files: trees.Files) -> Path:
    """A project whose settings only their owner may read, so that nothing is found in them by the way."""
    trees.plant(root, trees.project() | files)
    for settings in root.rglob("*.ecaGlblOauth-meta.xml"):
        settings.chmod(0o600)
    return root


def planted(folder: Path) -> Path:
    """A project whose app Billing lacks its key."""
    return private(folder, trees.app("Billing", settings=LACKING) | trees.app("Portal"))


def place_of_the_error(report: Path) -> str:
    """Where a GitLab report puts the lacking key."""
    (place,) = [issue["location"]["path"] for issue in json.loads(report.read_text()) if issue["severity"] == "major"]
    return str(place)


def asked(*given: str, where: ProjectSelection | None = None, **variables: str) -> tuple[reports.Reports, StringIO]:
    """The reports of a command line, and what is then said on standard error."""
    err = StringIO()
    session = open_session([], Environment(dict(variables)), StringIO(), err)
    return reports.parse(session, accounts.CHECK, given, where or ProjectSelection(), Disk()), err


def test_every_format_is_written_and_the_output_stays_as_it_is(tmp_path: Path) -> None:
    root = planted(tmp_path)
    plain = ecapipe("app", "check", at=root)
    given = [argument for name in FORMATS for argument in ("--report", f"{name}=out/deep/{name}")]
    written = ecapipe("app", "check", *given, at=root)
    assert (written.status, written.out, written.err) == (1, plain.out, plain.err)
    assert sorted(file.name for file in (root / "out/deep").iterdir()) == sorted(FORMATS)
    for file in (root / "out/deep").iterdir():
        assert "consumer-key-missing" in file.read_text(encoding="utf-8")


def test_the_json_report_is_what_json_prints(tmp_path: Path) -> None:
    done = ecapipe("app", "check", "--json", "--report", "json=a.json", at=planted(tmp_path))
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads(done.out)


def test_paths_are_relative_to_the_repository(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    root = planted(tmp_path / "salesforce" / "core")
    ecapipe("app", "check", "--report", "gitlab=a.json", "--report", "json=b.json", at=root)
    inside = f"{trees.DEFAULT}/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"
    assert place_of_the_error(root / "a.json") == f"salesforce/core/{inside}"
    findings = json.loads((root / "b.json").read_text())["result"]["findings"]
    assert {finding["file"] for finding in findings if finding["app"] == "Billing"} == {inside}


def test_without_a_repository_paths_are_relative_to_the_project(tmp_path: Path) -> None:
    planted(tmp_path / "salesforce")
    ecapipe("app", "check", "--source-dir", "salesforce", "--report", "gitlab=a.json", at=tmp_path)
    assert place_of_the_error(tmp_path / "a.json").startswith(trees.DEFAULT)


def test_a_file_of_no_app_is_found_in_the_project_that_holds_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    planted(tmp_path / "one")
    broken = f"{trees.DEFAULT}/externalClientApps/Odd.eca-meta.xml"
    trees.plant(planted(tmp_path / "two"), {broken: "<oops"})
    facts = [ProjectFacts(str(tmp_path / name), ("force-app",), name) for name in ("one", "two")]
    place = asked()[0].place(facts)
    assert place(broken, Subject()) == f"two/{broken}"
    assert place(broken, Subject(tree="one")) == f"one/{broken}"


def test_of_two_projects_with_the_same_app_each_finding_is_in_its_own(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for name in ("one", "two"):
        planted(tmp_path / name)
    given = ["--source-dir", "one", "--source-dir", "two", "--report", "gitlab=a.json"]
    ecapipe("app", "check", *given, at=tmp_path)
    issues = json.loads((tmp_path / "a.json").read_text())
    missing = [each["location"]["path"] for each in issues if each["check_name"] == "consumer-key-missing"]
    assert [path.partition("/")[0] for path in missing] == ["one", "two"]


def test_a_case_is_a_rule_that_was_applied_and_fails_where_the_check_does(tmp_path: Path) -> None:
    root = planted(tmp_path)
    named: dict[str, set[str | None]] = {}
    failed: dict[str, list[str | None]] = {}
    for purpose, fail_on in (("login", "error"), ("deploy", "error"), ("deploy", "note")):
        done = ecapipe("app", "check", "--for", purpose, "--fail-on", fail_on, "--report", "junit=a.xml", at=root)
        cases = list(ElementTree.parse(root / "a.xml").iter("testcase"))
        named[purpose] = {case.get("name") for case in cases}
        failed[f"{purpose} {fail_on}"] = [case.get("name") for case in cases if case.find("failure") is not None]
        assert done.status == int(bool(failed[f"{purpose} {fail_on}"]))
    assert failed["login error"] == ["consumer-key-missing"]
    assert failed["deploy error"] == []
    assert "consumer-key-missing" in failed["deploy note"]
    assert "file-permissions-open" in named["login"] - named["deploy"]
    assert "label-missing" in named["deploy"] - named["login"]
    assert "secret-in-history" not in named["login"]


def test_a_report_replaces_a_file_at_once(tmp_path: Path) -> None:
    root = planted(tmp_path)
    (root / "a.html").write_text("old")
    os.link(root / "a.html", root / "reader")
    before = set(os.listdir(root))
    ecapipe("app", "check", "--report", "html=a.html", at=root)
    assert (root / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (root / "reader").read_text() == "old"
    assert set(os.listdir(root)) == before


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    root = planted(tmp_path)
    os.mkfifo(root / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((root / "pipe").read_text()))
    reader.start()
    ecapipe("app", "check", "--report", "json=pipe", at=root)
    reader.join(timeout=10)
    assert json.loads(read[0])["status"] == 1
    assert (root / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["sarf=a"], "Unknown report format: sarf."),
        (["sarif"], "Expected --report to be FORMAT=PATH"),
        (["sarif="], "Expected --report to be FORMAT=PATH"),
        (["json=-"], "Expected --report to be FORMAT=PATH"),
        (["json=a", "html=./a"], "--report specifies ./a more than once."),
        (["json=force-app"], "report force-app: it is a folder.\n\nTry this:\n\nSpecify a file in that folder."),
        (["json=sfdx-project.json/a"], "Can't write the report sfdx-project.json/a"),
    ],
)
@pytest.mark.parametrize("command", [["app", "check"], ["run", "--emulator"]])
def test_what_cannot_be_written_is_refused_before_any_work(
    command: list[str], given: list[str], said: str, tmp_path: Path
) -> None:
    arguments = [argument for each in given for argument in ("--report", each)]
    done = ecapipe(*command, *arguments, at=planted(tmp_path))
    assert done.status == 2
    assert done.out == ""
    assert said in done.err
    assert not (tmp_path / "a").exists()


def test_a_mistyped_format_is_answered_with_the_right_one(tmp_path: Path) -> None:
    done = ecapipe("app", "check", "--report", "sarf=a", at=planted(tmp_path))
    assert 'Did you mean "sarif"?' in done.err
    assert f"Formats: {', '.join(FORMATS)}." in done.err


def test_a_report_that_gets_lost_is_told_and_the_result_is_kept(tmp_path: Path) -> None:
    root = private(tmp_path, trees.app("Portal"))
    # The folder of the second takes the place of the first.
    done = ecapipe("app", "check", "--json", "--report", "html=a", "--report", "json=a/b", at=root)
    document = json.loads(done.out)
    assert done.status == document["status"] == 1
    assert document["result"]["findings"] == []
    (warning,) = document["warnings"]
    assert warning.startswith("a was not written: ")
    assert "Error (UnwritableFile): " in done.err
    assert json.loads((root / "a/b").read_text())["status"] == 0
    assert os.listdir(root / "a") == ["b"]
    assert sorted(os.listdir(root)) == ["a", "force-app", "sfdx-project.json"]


def test_a_lost_report_is_told_once(tmp_path: Path) -> None:
    root = private(tmp_path, trees.app("Portal"))
    done = ecapipe("app", "check", "--report", "html=a", "--report", "json=a/b", at=root)
    assert done.status == 1
    assert done.err.count("was not written") == 1
    assert done.out == "Checked 1 app: 0 errors, 0 warnings, 0 notes.\n"


def test_a_lost_report_fails_a_run_that_succeeded(tmp_path: Path) -> None:
    root = private(tmp_path, trees.app("Portal"))
    given = ["--report", "html=a", "--report", "json=a/b"]
    done = ecapipe("run", "--until", "check", "--emulator", "--json", *given, at=root)
    assert done.document["status"] == 1
    assert json.loads((root / "a/b").read_text())["status"] == 0


def test_a_check_that_cannot_be_made_is_reported_as_such(tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "core", {"sfdx-project.json": "{\n  oops"})
    (tmp_path / ".git").mkdir()
    given = ["--report", "sarif=a.sarif", "--report", "junit=a.xml", "--report", "json=a.json"]
    done = ecapipe("app", "check", "--json", "--source-dir", str(root), *given, at=tmp_path)
    assert done.status == 1
    assert json.loads((tmp_path / "a.json").read_text()) == json.loads(done.out)
    (run,) = json.loads((tmp_path / "a.sarif").read_text())["runs"]
    assert run["invocations"] == [{"executionSuccessful": False}]
    (result,) = run["results"]
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "core/sfdx-project.json"
    assert location["region"] == {"startLine": 2}
    failures = [each.get("type") for each in ElementTree.parse(tmp_path / "a.xml").iter("failure")]
    assert failures == [json_parse_error.name]


def test_an_interrupted_check_is_reported_as_such(tmp_path: Path) -> None:
    wanted, _ = asked(f"junit={tmp_path / 'a.xml'}")
    with pytest.raises(KeyboardInterrupt), wanted.covering():
        raise KeyboardInterrupt
    assert [each.get("type") for each in ElementTree.parse(tmp_path / "a.xml").iter("failure")] == [interrupted.name]


def test_a_run_writes_its_reports_when_it_is_interrupted(tmp_path: Path) -> None:
    root = private(tmp_path, trees.app("Billing") | trees.app("Portal"))
    with socket.create_server(("127.0.0.1", 0)) as org:
        where = f"http://localhost:{org.getsockname()[1]}"
        given = ["--callback", "paste", "--browser", "none", "--report", "junit=a.xml", "--report", "html=a.html"]
        with started("run", "--target-org", where, *given, at=root) as running:
            running.line("At each link")
            running.interrupt()
            assert running.end().status == 130
    cases = {
        (str(case.get("classname")).partition("@")[0], case.get("name")): [child.tag for child in case]
        for case in ElementTree.parse(root / "a.xml").iter("testcase")
    }
    assert cases["Billing", "check"] == cases["Portal", "check"] == []
    assert cases["Billing", "authorize"] == cases["Portal", "authorize"] == ["failure"]
    assert cases["Billing", "token"] == cases["Portal", "verify"] == ["skipped"]
    assert interrupted.name in (root / "a.html").read_text(encoding="utf-8")


def test_nothing_is_loaded_and_written_when_nothing_is_asked_for(tmp_path: Path) -> None:
    wanted, err = asked()
    assert wanted.write(lambda: pytest.fail("a result was made for nobody")) == []
    assert err.getvalue() == ""
    listing = "import sys; from ecapipe.cli.main import main; main(['app', 'check']); print(*sys.modules)"
    program = [PROGRAM[0], "-c", listing]
    done = subprocess.run(
        program, cwd=planted(tmp_path), env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    loaded = done.stdout.splitlines()[-1].split()
    assert "ecapipe.cli.reports" in loaded
    assert not {f"ecapipe.render.{name}" for name in ("annotations", "html", "report_data")} & set(loaded)


def test_github_actions_gets_annotations_on_standard_error_and_a_summary(tmp_path: Path) -> None:
    root = planted(tmp_path)
    (root / "summary.md").write_text("earlier\n")
    variables = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(root / "summary.md")}
    done = ecapipe("app", "check", "--json", at=root, **variables)
    assert json.loads(done.out)["status"] == 1
    file = f"{trees.DEFAULT}/extlClntAppGlobalOauthSets/Billing_glbloauth.ecaGlblOauth-meta.xml"
    assert done.err.startswith(f"::error file={file},line=1,title=consumer-key-missing::Billing has no consumerKey.")
    assert len(done.err.splitlines()) == 1
    summary = (root / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("earlier\n## ecapipe app check: 1 error, 0 warnings, 0 notes\n\nProject: `")
    assert "consumer-key-missing" in summary


def test_a_check_in_ci_says_what_an_auditor_asks_for(tmp_path: Path) -> None:
    ci = {"CIRCLECI": "true", "CIRCLE_SHA1": "c0ffee", "CIRCLE_BRANCH": "release<", "CIRCLE_USERNAME": "ada"}
    formats = ("html", "markdown", "junit", "sarif", "json")
    words = [word for name in formats for word in ("--report", f"{name}=r.{name}")]
    assert ecapipe("app", "check", "--for", "deploy", *words, at=planted(tmp_path), **ci).status == 0
    texts = {name: (tmp_path / f"r.{name}").read_text(encoding="utf-8") for name in formats}
    for text in texts.values():
        assert all(word in text for word in ("c0ffee", "release", "ada", "CircleCI", "deploy", __version__))
    (run,) = json.loads(texts["sarif"])["runs"]
    assert (run["properties"]["Branch"], run["properties"]["Purpose"]) == ("release<", "deploy")
    suite = next(ElementTree.fromstring(texts["junit"]).iter("testsuite"))
    assert {each.get("name"): each.get("value") for each in suite.iter("property")} == run["properties"]
    result = json.loads(texts["json"])["result"]
    origin = {"commit": "c0ffee", "branch": "release<", "actor": "ada", "system": "CircleCI"}
    assert (result["purpose"], result["ecapipe"], result["origin"]) == ("deploy", __version__, origin)


def test_the_summary_holds_what_annotations_leave_out(tmp_path: Path) -> None:
    files = trees.project()
    for number in range(12):
        files |= trees.app(f"App_{number}", settings=LACKING)
    root = trees.plant(tmp_path, files)
    done = ecapipe("app", "check", at=root, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY="summary.md")
    assert done.err.count("::error ") == 10
    summary = (root / "summary.md").read_text(encoding="utf-8")
    assert all(f"- `App_{number}`" in summary for number in range(12))


def test_azure_pipelines_gets_issues_a_summary_and_its_name_for_a_partial_success(tmp_path: Path) -> None:
    root, temp = planted(tmp_path), tmp_path / "temp;"
    temp.mkdir()
    variables = {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": str(temp)}
    done = ecapipe("run", "--emulator", "--json", at=root, **variables)
    assert json.loads(done.out)["status"] == 68
    (summary,) = temp.iterdir()
    assert summary.name.startswith("ecapipe-run-")
    assert summary.read_text(encoding="utf-8").startswith("## ecapipe run: Partial Success")
    issue, complete, upload = done.err.splitlines()
    assert issue.startswith("##vso[task.logissue type=error;sourcepath=")
    assert complete == "##vso[task.complete result=SucceededWithIssues;]Partial Success"
    assert upload == f"##vso[task.uploadsummary]{str(summary).replace(';', '%3B')}"
    done = ecapipe("app", "check", "--json", at=root, **variables)
    assert json.loads(done.out)["status"] == 1
    assert [line.partition(" ")[0].partition("]")[0] for line in done.err.splitlines()] == [
        "##vso[task.logissue",
        "##vso[task.uploadsummary",
    ]
    lost = ecapipe("app", "check", at=root, TF_BUILD="True", AGENT_TEMPDIRECTORY=str(root / "gone"))
    assert "Warning: Can't write to AGENT_TEMPDIRECTORY: no such file or directory." in lost.err.splitlines()


@pytest.mark.parametrize("variables", [{}, {"GITHUB_ACTIONS": "false"}, {"GITLAB_CI": "true", "CI": "true"}])
def test_elsewhere_there_are_no_annotations(variables: dict[str, str], tmp_path: Path) -> None:
    done = ecapipe("app", "check", at=planted(tmp_path), **variables)
    assert done.err == ""


def test_a_summary_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    root = private(tmp_path, trees.app("Portal"))
    done = ecapipe("app", "check", at=root, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(root))
    assert done.status == 0
    assert done.err.startswith("Warning: Can't write to GITHUB_STEP_SUMMARY: ")


def test_a_summary_stays_below_what_github_takes(tmp_path: Path) -> None:
    wanted, _ = asked(GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
    names = ["\N{PILE OF POO}" * 900 + str(number) for number in range(400)]
    findings = [accounts.finding(app=name, message=name, actions=(name,) * 20) for name in names]
    wanted.write(lambda: accounts.check(map(accounts.app, names), findings))
    assert 10_000 < (tmp_path / "summary.md").stat().st_size < 1024 * 1024


def test_annotations_of_a_run_are_beside_its_output(tmp_path: Path) -> None:
    done = ecapipe("run", "--emulator", "--json", at=planted(tmp_path), GITHUB_ACTIONS="true")
    assert json.loads(done.out)["status"] == 68
    assert [line.partition("::")[0] for line in done.err.splitlines()].count("") == 1
    assert "::error file=" in done.err
    assert ",title=ConsumerKeyMissing::" in done.err


def test_hostile_names_on_disk_command_nobody(tmp_path: Path) -> None:
    name = "##[error]x ::error::y <script>"
    files = trees.app("Odd", settings={"externalClientApplication": name, "consumerKey": None}, header=None)
    root = private(tmp_path, files)
    given = [argument for each in FORMATS for argument in ("--report", f"{each}=out/{each}")]
    variables = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "out/summary"}
    azure = ecapipe("app", "check", at=root, TF_BUILD="True", AGENT_TEMPDIRECTORY=str(root))
    shown, told = (ecapipe("app", "check", *given, *more, at=root, **variables) for more in ([], ["--json"]))
    assert name in [app["name"] for app in told.result["apps"]]
    levels = sorted(finding["level"] for finding in told.result["findings"])
    for done in (shown, told):
        lines = [*done.out.splitlines(), *done.err.splitlines()]
        obeyed = sorted(line.partition(" ")[0] for line in lines if line.lstrip().startswith("::"))
        assert obeyed == [f"::{level}" for level in levels]
        assert not [line for line in lines if "##[" in line]
    commands = re.findall(r"##\w*\[.*?[ \]]", azure.out + azure.err)
    assert commands == [*["##vso[task.logissue "] * len(levels), "##vso[task.uploadsummary]"]
    for file in (root / "out").iterdir():
        assert "##[" not in file.read_text(encoding="utf-8")
    assert "<script>" not in (root / "out/html").read_text(encoding="utf-8")


def test_a_folder_that_vanishes_is_a_lost_report_not_a_bug(tmp_path: Path) -> None:
    wanted, err = asked(f"json={tmp_path / 'out' / 'a.json'}")
    shutil.rmtree(tmp_path / "out")
    (lost,) = wanted.write(lambda: accounts.check([], []))
    assert lost.startswith(str(tmp_path))
    assert err.getvalue().startswith("Error (UnwritableFile): ")


def test_a_report_in_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EcapipeError) as refused:
        asked(f"json={tmp_path / 'file' / 'sub' / 'a.json'}")
    assert refused.value.problem.kind is usage_error
