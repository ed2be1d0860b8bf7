"""The GitHub Action and the examples that people copy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml
from commandline import inside

GITHUB = Path(__file__).parents[2] / ".github"
ACTION, EXAMPLES = GITHUB / "actions/check/action.yml", GITHUB / "examples"


def zizmor(*files: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("zizmor")
    options = ["--offline", "--no-config", "--quiet", "--persona", "auditor"]
    return subprocess.run([program, *options, *files], capture_output=True, text=True)


def test_zizmor_finds_nothing_in_them() -> None:
    done = zizmor(GITHUB, *EXAMPLES.glob("github*.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_would_find_a_script_that_its_inputs_can_write(tmp_path: Path) -> None:
    bad = tmp_path / "action.yml"
    bad.write_text(ACTION.read_text().replace('"$SOURCE_DIR"', "${{ inputs.source-dir }}"))
    assert "template-injection" in zizmor(bad).stdout


def test_an_action_is_taken_from_one_commit_everywhere() -> None:
    texts = [path.read_text() for path in GITHUB.rglob("*.yml")]
    used = {use for text in texts for use in re.findall(r"uses: ([^$\s]\S+@\S+) # (v\S+)", text)}
    assert len(used) > 5
    assert len({use.partition("@")[0] for use, _ in used}) == len(used)


def test_the_scripts_are_bash() -> None:
    for step in yaml.safe_load(ACTION.read_text())["runs"]["steps"]:
        assert step["shell"] == "bash"
        subprocess.run(["bash", "-n", "-c", step["run"]], check=True)


def test_the_action_uses_every_input_it_offers() -> None:
    action = yaml.safe_load(ACTION.read_text())
    used = re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", ACTION.read_text())
    assert {*used} == {*action["inputs"]}
    example = yaml.safe_load((EXAMPLES / "github.yml").read_text())
    (check,) = [step for step in example["jobs"]["check"]["steps"] if "ecapipe" in step.get("uses", "")]
    assert set(check["with"]) <= set(action["inputs"])


def test_no_artifact_holds_what_was_retrieved() -> None:
    github = yaml.safe_load((EXAMPLES / "github.yml").read_text())["jobs"]["check"]["steps"]
    kept = [step["with"]["path"] for step in github if "upload-artifact" in step.get("uses", "")]
    artifacts = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text())["external-client-apps"]["artifacts"]
    kept += [*artifacts["paths"], *artifacts["reports"].values()]
    assert kept
    assert all(re.match(r"ecapipe[.-]", path) for paths in kept for path in paths.split())


def test_the_check_step_hands_inputs_on_as_they_are(tmp_path: Path) -> None:
    stand_in = tmp_path / "a program"
    stand_in.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\nsys.exit(2)\n")
    stand_in.chmod(0o755)
    step = yaml.safe_load(ACTION.read_text())["runs"]["steps"][-1]
    inputs = {
        "SOURCE_DIR": "my project/$(touch made)",
        "PURPOSE": "deploy",
        "FAIL_ON": "`touch made`",
        "CONFIG_FROM": "$(touch made)",
        "REPORTS": "sarif=out dir/a.sarif\n\njunit=b.xml\n",
        "RETRIEVE": "my org; touch made",
        "ECAPIPE": str(stand_in),
    }
    assert {*inputs, "PYTHONPATH"} == set(step["env"])
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
        cwd=tmp_path, env=inputs | {"RUNNER_TEMP": str(tmp_path), "GITHUB_OUTPUT": str(tmp_path / "outputs")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout) == [
        "app", "check", "--source-dir", inputs["SOURCE_DIR"], "--for", "deploy", "--fail-on", inputs["FAIL_ON"],
        "--project-config-from", inputs["CONFIG_FROM"], "--target-org", inputs["RETRIEVE"],
        "--report", "sarif=out dir/a.sarif", "--report", "junit=b.xml", "--report", f"json={tmp_path}/ecapipe.json",
    ]  # fmt: skip
    assert (done.returncode, (tmp_path / "outputs").read_text()) == (2, "exit-code=2\n")
    assert not (tmp_path / "made").exists()


def test_a_report_of_a_bug_asks_for_what_ecapipe_prints() -> None:
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE/bug.yml").read_text())
    asked = {each["id"]: each["attributes"]["label"] for each in form["body"] if "id" in each}
    for name in ("version", "doctor"):
        program, *words = asked[name].split()
        assert program == "ecapipe"
        printed = inside(*words, at=GITHUB.parent, HTTPS_PROXY="http://ada:0FAKE@127.0.0.1:9")
        assert printed.status in (0, 1)
        assert printed.out
        assert "0FAKE" not in printed.out
