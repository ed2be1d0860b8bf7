"""What a release consists of, built by its own command and installed as people do who have nothing yet."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from commandline import ROOT, SAMPLE

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]  # two builds from clones

CI = ROOT / ".ci"
LOCK = ROOT / ".github/lock"


def output(*command: str | Path, at: Path, **variables: str) -> str:
    """What a command prints that succeeds, with no environment but what installing needs."""
    kept = re.compile(r"PATH$|PIP_|SSL_|(https?|no)_proxy$", re.IGNORECASE)  # where packages come from
    given = {name: value for name, value in os.environ.items() if kept.match(name)}
    environment = {"HOME": str(at), **given, **variables}
    done = subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of the commit that is checked out. The command itself builds twice, and compares."""
    folder = tmp_path_factory.mktemp("release")
    subprocess.run([CI / "build", folder], check=True, timeout=300)
    return folder


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


@pytest.mark.usefixtures("release")
def test_a_lock_that_does_not_fit_is_told(tmp_path: Path) -> None:
    """`.ci/run` asks whether ours does."""
    subprocess.run(["git", "clone", "--quiet", ROOT, tmp_path / "clone"], check=True)
    shutil.copytree(ROOT / ".cache/release", tmp_path / "clone/.cache/release", symlinks=True)
    lock = tmp_path / "clone/.github/lock/ecapipe.txt"
    lock.write_text(re.sub(r"^typer==\S+", "typer==0.27.0", lock.read_text(), flags=re.MULTILINE))
    done = subprocess.run([tmp_path / "clone/.ci/lock", "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, "typer==0.27.0" in done.stdout) == (1, True)


def test_checksums_are_of_all_that_is_there(release: Path) -> None:
    lines = (line.split() for line in (release / "SHA256SUMS").read_text().splitlines())
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in release.iterdir()}
    del files["SHA256SUMS"]
    assert {name: digest for digest, name in lines} == files
    assert len(files) == 3


def test_the_list_of_parts_is_the_lock(release: Path) -> None:
    parts = json.loads(only(release, "*.cdx.json").read_text())
    locked = re.findall(r"^([\w-]+)==([^\s;]+)", (LOCK / "ecapipe.txt").read_text(), re.MULTILINE)
    assert {(part["name"], part["version"]) for part in parts["components"]} == {*locked}
    assert only(release, "*.whl").name.startswith(f"ecapipe-{parts['metadata']['component']['version']}-")


def test_the_list_of_parts_says_which_needs_which(release: Path) -> None:
    parts = json.loads(only(release, "*.cdx.json").read_text())
    names = {part["bom-ref"]: part["name"] for part in (parts["metadata"]["component"], *parts["components"])}
    needs = {names[each["ref"]]: {names[ref] for ref in each["dependsOn"]} for each in parts["dependencies"]}
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert needs["ecapipe"] == {re.split(r"[^\w-]", each.lower())[0] for each in asked}
    assert needs["httpcore"] == {"certifi", "h11"}


def test_the_sdist_holds_what_readme_and_guides_link_to(release: Path) -> None:
    with tarfile.open(only(release, "*.tar.gz")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    pages = [ROOT / "README.md", *(ROOT / ".github").rglob("*.md")]
    links = [
        os.path.relpath(page.parent / target, ROOT)
        for page in pages
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    ]
    assert len(links) > 10
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    assert {*links, *tracked} - {name for known in names for name in (known, os.path.dirname(known))} == set()


def test_the_wheel_runs_from_an_empty_environment(release: Path, tmp_path: Path) -> None:
    """On a project in another folder, with the extras. It was built from the sdist, so that this works, too."""
    project = shutil.copytree(SAMPLE, tmp_path / "elsewhere")
    output(sys.executable, "-m", "venv", tmp_path / "env", at=tmp_path)
    programs = tmp_path / "env/bin"
    output(programs / "pip", "install", "--quiet", f"{only(release, '*.whl')}[keyring,tls]", at=tmp_path)
    run = output(programs / "ecapipe", "run", "--emulator", "--json", at=project)
    assert json.loads(run)["status"] == 0
    null = "keyring.backends.null.Keyring"
    health = output(programs / "ecapipe", "doctor", at=project, PYTHON_KEYRING_BACKEND=null)
    assert "keyring is not installed" not in health
    code = "from ecapipe.emulator.server import Emulator\nwith Emulator((), tls=True) as it: print(it.urls)"
    assert "https://" in output(programs / "python", "-I", "-c", code, at=tmp_path)


def test_the_container_has_all_it_copies_and_the_lock_is_enough(tmp_path: Path) -> None:
    """The lines of the Dockerfile that need no container, in a folder of what it copies alone."""
    text = (ROOT / ".github/docker/Dockerfile").read_text(encoding="utf-8")
    for names, target in re.findall(r"^COPY (?!--from)(.+) /source/(.*)$", text, re.MULTILINE):
        for name in names.split():
            place = tmp_path / "source" / target / ("" if (ROOT / name).is_dir() else Path(name).name)
            place.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, place)
    (build,) = re.findall(r"^RUN (python3 .*(?:\\\n.*)*)", text, re.MULTILINE)
    build = build.replace("/source/", f"{tmp_path}/source/").replace("/opt/", f"{tmp_path}/opt/")
    output("sh", "-ec", build, at=tmp_path)
    program = tmp_path / "opt/ecapipe/bin/ecapipe"
    assert json.loads(output(program, "run", "--emulator", "--json", at=SAMPLE, HOME=str(tmp_path)))["status"] == 0
    assert not (program.parent / "flit").exists()


def test_the_container_file_is_linted() -> None:
    subprocess.run([ROOT / ".cache/release/bin/hadolint", ROOT / ".github/docker/Dockerfile"], check=True)
