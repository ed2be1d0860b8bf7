"""What git does not let us look at is a finding: everywhere, and nobody can accept it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trees
from check import ground
from check.ground import IGNORE, SETTINGS, committed
from commandline import environment
from hypothesis import given
from hypothesis import strategies as st
from profiles import tries

from ecapipe.adapters.project_tree.git import Repositories
from ecapipe.check.findings import NOT_EXAMINED, PURPOSES, USING, Finding, Purpose
from ecapipe.check.git import GitRefused
from ecapipe.check.inspection import CheckOptions
from ecapipe.check.rules.registry import RULES
from ecapipe.render.reports import FORMATS

APP = trees.project() | trees.app() | IGNORE
ACCEPTED = "accepted.json"
COMMIT = CheckOptions("commit")


def pipe(root: Path) -> None:
    os.mkfifo(root / ".git")


def linked_pipe(root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / ".git").symlink_to("pipe")


def device(root: Path) -> None:
    (root / ".git").symlink_to("/dev/zero")


def dangling(root: Path) -> None:
    (root / ".git").symlink_to("nowhere")


def of_the_disk(root: Path) -> None:
    (root / ".git").write_text("gitdir: /\n")


def elsewhere(root: Path) -> None:
    (root / ".git").write_text("gitdir: nowhere\n")


def no_text(root: Path) -> None:
    (root / ".git").write_bytes(b"\xff\x00gitdir: nowhere\n")


def broken(root: Path) -> None:
    ground.git(root, "init", "--quiet")
    (root / ".git/index").write_bytes(b"no index")


def of_another_user(root: Path) -> None:
    ground.git(root, "init", "--quiet")
    for path in (root, *root.rglob("*")):
        os.chown(path, 12345, 12345)


PARTS = [
    "HEAD",
    "config",
    "index",
    "packed-refs",
    "commondir",
    "info/exclude",
    "refs/heads/main",
    "objects/pack/a.idx",
]
"""Files that git reads, or may read, of a repository."""


def blocking(part: str, kind: str) -> Callable[[Path], None]:
    """A repository of which a part is a pipe, a link to one or a device."""

    def refuse(root: Path) -> None:
        ground.git(root, "init", "--quiet")
        place = root / ".git" / part
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if kind == "device":
            place.symlink_to("/dev/zero")
            return
        os.mkfifo(root.parent / "pipe" if kind == "link" else place)
        if kind == "link":
            place.symlink_to(root.parent / "pipe")

    refuse.__name__ = f"{kind} {part}"
    return refuse


def linked(root: Path) -> None:
    """A work tree whose repository elsewhere has a pipe."""
    ground.ready(root.parent / "main", committed({"a": "made up"}))
    ground.git(root.parent / "main", "worktree", "add", "--quiet", "--detach", str(root.parent / "tree"))
    (root / ".git").write_text((root.parent / "tree/.git").read_text())
    (root.parent / "main/.git/config").unlink()
    os.mkfifo(root.parent / "main/.git/config")


REFUSING: list[Callable[[Path], None]] = [
    pipe,
    linked_pipe,
    device,
    dangling,
    elsewhere,
    of_the_disk,
    no_text,
    broken,
    linked,
]
REFUSING += [blocking("HEAD", kind) for kind in ("pipe", "link", "device")]
if os.getuid() == 0:
    REFUSING.append(of_another_user)


def told(root: Path, gate: CheckOptions = COMMIT) -> list[Finding]:
    return [each for each in ground.findings(root, gate) if each.rule == NOT_EXAMINED]


def check(root: Path, *arguments: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command itself; it hangs for a minute at most."""
    command = [sys.executable, "-m", "ecapipe", "app", "check", "--source-dir", str(root), *arguments]
    return subprocess.run(
        command, cwd=home, env=environment(home, **variables), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("refuse", REFUSING, ids=lambda each: each.__name__)
def test_a_repository_that_git_does_not_read_is_a_finding(
    refuse: Callable[[Path], None], tmp_path: Path, nobody: Path
) -> None:
    root = ground.ready(tmp_path / "project", APP)
    refuse(root)
    for purpose, level, status in (("login", "warning", 0), ("deploy", "error", 1), ("commit", "error", 1)):
        ended = check(root, "--for", purpose, "--json", home=nobody)
        answer = json.loads(ended.stdout)
        (found,) = [each for each in answer["result"]["findings"] if each["rule"] == NOT_EXAMINED]
        assert (found["level"], found["app"], found["file"], found["accepted"]) == (level, None, None, False)
        assert "Checks that need git were skipped." in found["message"]
        assert found["actions"]
        assert (ended.returncode, answer["status"], answer["warnings"]) == (status, status, [])


@tries(20)
@given(
    part=st.sampled_from(PARTS), kind=st.sampled_from(["pipe", "link", "device"]), purpose=st.sampled_from(PURPOSES)
)
def test_nothing_that_git_reads_blocks(part: str, kind: str, purpose: Purpose) -> None:
    with TemporaryDirectory() as home:
        root = ground.ready(Path(home) / "project", APP)
        blocking(part, kind)(root)
        (found,) = told(root, CheckOptions(purpose))
        assert f"its .git/{part} is neither a folder nor a file" in found.message
        assert found.level == ("warning" if purpose in USING else "error")


@pytest.mark.parametrize("options", [("--staged",), ("--since", "HEAD"), ("--history",)], ids=" ".join)
def test_a_question_that_only_git_answers_is_refused_in_every_report(
    options: tuple[str, ...], tmp_path: Path, nobody: Path
) -> None:
    root = ground.ready(tmp_path / "project", committed(APP))
    (root / ".git/index").write_bytes(b"no index")
    (root / ".git/HEAD").write_text("no head")
    page = tmp_path / "page.sarif"
    ended = check(root, "--for", "commit", *options, "--json", "--report", f"sarif={page}", home=nobody)
    answer = json.loads(ended.stdout)
    assert ended.returncode == answer["status"] == 1
    assert NOT_EXAMINED in {each["rule"] for each in answer["result"]["findings"]}
    assert '"executionSuccessful": false' in page.read_text()
    assert check(root, *options, home=nobody).returncode == 1


def test_a_configuration_that_includes_a_pipe_is_refused_in_time(tmp_path: Path) -> None:
    root = ground.ready(tmp_path / "project", committed(APP))
    os.mkfifo(tmp_path / "pipe")
    with (root / ".git/config").open("a") as file:
        file.write(f"[include]\n\tpath = {tmp_path}/pipe\n")
    repository = Repositories(patience=0.2)(str(root))
    assert repository is not None
    for _ in range(2):  # the second question does not wait
        with pytest.raises(GitRefused, match="did not respond within"):
            repository.index()


@pytest.mark.parametrize("search", ["staged", "history"])
def test_contents_that_never_come_are_refused_in_time(search: str, tmp_path: Path) -> None:
    root = ground.ready(tmp_path / "project", committed(APP | {"a": "made up"}))
    repository = Repositories(patience=0.2)(str(root))
    assert repository is not None
    id = ground.git(root, "rev-parse", ":a").strip()
    content = root / f".git/objects/{id[:2]}/{id[2:]}"
    content.unlink()
    os.mkfifo(content)
    contents = repository.staged(".") if search == "staged" else repository.history()[1]
    with pytest.raises(GitRefused, match="did not respond within"):
        list(contents)


def test_a_pipe_that_git_reads_in_any_folder_is_found_soon(tmp_path: Path) -> None:
    root = ground.ready(tmp_path / "project", committed(APP))
    (root / "deep/er").mkdir(parents=True)
    os.mkfifo(root / "deep/er/.gitignore")
    repository = Repositories()(str(root))
    assert repository is not None
    with pytest.raises(GitRefused, match=r"deep/er/\.gitignore is neither"):
        repository.files(".")


@pytest.mark.parametrize("staged", [False, True])
def test_contents_that_git_lacks_are_said(staged: bool, tmp_path: Path) -> None:
    root = ground.ready(tmp_path / "project", committed(APP | {"a": "made up"}))
    ground.ready(root, [trees.app(), "add --all --force"])
    options = CheckOptions("commit", staged=staged)
    assert told(root, options) == []
    id = ground.git(root, "rev-parse", f":{SETTINGS}").strip()
    (root / f".git/objects/{id[:2]}/{id[2:]}").unlink()
    assert {each.level for each in told(root, options)} == {"error"}


def test_contents_that_a_partial_clone_lacks_are_a_warning(tmp_path: Path) -> None:
    full = ground.ready(tmp_path / "full", [*committed(APP | {"a": "one"}), *committed({"a": "two"})])
    ground.git(full, "config", "uploadpack.allowFilter", "true")
    ground.git(tmp_path, "clone", "--quiet", "--filter=blob:none", f"file://{full}", "partial")
    trees.plant(tmp_path / "partial", trees.app())
    assert told(tmp_path / "partial") == []
    assert [each.level for each in told(tmp_path / "partial", ground.for_("commit", history=True))] == ["warning"]


# --- files ----------------------------------------------------------------------------------------------------


NOBODY = 65534


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder, and home, that everybody may enter, which `tmp_path` is not."""
    with TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        monkeypatch.setenv("HOME", name)
        monkeypatch.setenv("XDG_CONFIG_HOME", name)
        yield Path(name)


@contextmanager
def bound(root: Path) -> Iterator[None]:
    """As a user whom permissions bind, and whom the tree belongs to: nothing is unreadable for root."""
    if os.getuid() == 0:
        for path in (root, *root.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(os.getuid())


def closed(path: Path) -> None:
    path.chmod(0)


def no_file(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def gone(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("spoil", [closed, no_file, gone], ids=lambda each: each.__name__)
@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_settings_file_that_cannot_be_read_is_a_finding(
    purpose: Purpose, tracked: bool, spoil: Callable[[Path], None], public: Path
) -> None:
    root = ground.ready(public / "project", committed(APP) if tracked else APP)
    spoil(root / SETTINGS)
    with bound(root):
        (found,) = told(root, ground.for_(purpose))
    assert (found.file, found.app, found.level) == (SETTINGS, None, "warning" if purpose in USING else "error")


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("place", ["notes", "folder"])
def test_a_file_that_may_hold_a_secret_and_cannot_be_read_is_a_finding(
    place: str, tracked: bool, public: Path
) -> None:
    files = APP | {"notes": "made up", "folder/notes": "made up"}
    root = ground.ready(public / "project", [files, "init --quiet"] if tracked else files)
    closed(root / place)
    with bound(root):
        (found,) = told(root)
    assert (found.file, found.level) == (place, "error")


@pytest.fixture
def refusing(tmp_path: Path) -> Path:
    """A project that only git's silence is wrong with."""
    root = ground.private(ground.ready(tmp_path / "project", APP))
    pipe(root)
    return root


@pytest.mark.parametrize(("purpose", "level"), [("login", "warning"), ("commit", "error")])
def test_every_report_tells_of_it(purpose: str, level: str, refusing: Path, tmp_path: Path, nobody: Path) -> None:
    pages = {name: tmp_path / f"page.{name}" for name in FORMATS}
    options = [word for name, path in pages.items() for word in ("--report", f"{name}={path}")]
    actions = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    ended = check(refusing, "--for", purpose, *options, home=nobody, **actions)
    said = {name: path.read_text() for name, path in (*pages.items(), ("summary", tmp_path / "summary"))}
    for name, text in {**said, "text": ended.stdout}.items():
        assert "its .git is neither a folder nor a file" in " ".join(text.split()), name  # some wrap their lines
        assert NOT_EXAMINED in text, name
    assert f"::{level} title={NOT_EXAMINED}::git could not be used" in ended.stderr
    assert ended.stdout.startswith(f"Project\n  {level}  {NOT_EXAMINED}  git could not be used")
    (run,) = json.loads(said["sarif"])["runs"]
    assert run["invocations"] == [{"executionSuccessful": level != "error"}]
    assert [each["level"] for each in run["results"] if each["ruleId"] == NOT_EXAMINED] == [level]
    (suite,) = [part for part in said["junit"].split("<testsuite ") if 'name="project"' in part]
    assert (f'<failure type="{NOT_EXAMINED}"' in suite) is (level == "error")


def test_a_machine_without_git_is_warned_at_most(tmp_path: Path, nobody: Path) -> None:
    root = ground.ready(tmp_path / "project", [APP, "status"])
    for purpose in ("login", "deploy", "commit"):
        page = tmp_path / f"{purpose}.sarif"
        options = ("--for", purpose, "--report", f"sarif={page}")
        ended = check(root, *options, home=nobody, PATH=str(tmp_path))
        assert ended.returncode == 0
        assert f"warning  {NOT_EXAMINED}  git could not be used" in ended.stdout
        assert "there is no git program" in ended.stdout
        assert '"executionSuccessful": true' in page.read_text()
        assert check(root, *options, "--fail-on", "warning", home=nobody, PATH=str(tmp_path)).returncode == 1


def test_where_git_need_not_be_asked_nothing_is_missed(tmp_path: Path, refusing: Path) -> None:
    assert told(ground.ready(tmp_path / "none", APP)) == []
    assert told(ground.ready(tmp_path / "read", [APP, "status"])) == []
    trees.plant(refusing, trees.app(settings={"consumerSecret": None}))
    assert told(refusing, CheckOptions()) == []
    assert len(told(refusing)) == 1


def test_what_other_repositories_tell_still_counts(tmp_path: Path) -> None:
    package = trees.app("Portal", folder="inner/main")
    files = trees.project("force-app", "inner") | trees.app()
    root = ground.ready(tmp_path, [*committed(files), package])
    pipe(root / "inner")
    found = ground.findings(root, COMMIT)
    (missed,) = [each.message for each in found if each.rule == NOT_EXAMINED]
    assert missed.startswith(f"git could not be used in {root}/inner: ")
    assert {each.app for each in found if each.rule == "secret-tracked-by-git"} == {"Billing"}


def test_a_history_that_is_there_in_part_is_a_warning(tmp_path: Path) -> None:
    full = ground.ready(tmp_path / "full", [*committed(APP), *committed({"notes": "made up"}), APP])
    ground.git(full, "add", "--force", SETTINGS)
    ground.ready(full, committed())
    ground.git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{full}", "shallow")
    shallow = tmp_path / "shallow"
    for purpose in ("login", "deploy", "commit"):
        (found,) = told(shallow, ground.for_(purpose, history=True))
        assert (found.level, "part of the history" in found.message) == ("warning", True)
        assert "git fetch --unshallow" in found.actions[0]
    assert told(shallow) == told(full, CheckOptions("commit", history=True)) == []


# --- what a project may say of it ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "login", "commit"),
    [("off", [], []), ("note", ["note"], ["note"]), ("warning", ["warning"], ["warning"]),
     ("error", ["error"], ["error"])],
)  # fmt: skip
def test_a_project_may_give_it_a_level(level: str, login: list[str], commit: list[str], refusing: Path) -> None:
    trees.plant(refusing, trees.project(plugins={"ecapipe": {"rules": {NOT_EXAMINED: level}}}))
    assert [each.level for each in told(refusing, CheckOptions())] == login
    assert [each.level for each in told(refusing)] == commit


def test_switched_off_it_is_still_said(refusing: Path) -> None:
    trees.plant(refusing, trees.project(plugins={"ecapipe": {"rules": {NOT_EXAMINED: "off"}}}))
    (notice,) = ground.inspect(refusing, COMMIT).notices
    assert "Checks that need git were skipped." in notice


def test_no_baseline_accepts_it(refusing: Path) -> None:
    trees.plant(refusing, trees.project(plugins={"ecapipe": {"baseline": ACCEPTED}}))
    first = ground.inspect(refusing, CheckOptions("commit", update=True))
    assert any(each.accepted for each in first.findings)
    (found,) = told(refusing)
    assert not found.accepted
    assert NOT_EXAMINED not in (refusing / ACCEPTED).read_text()

    by_hand = json.loads((refusing / ACCEPTED).read_text())
    by_hand["accepted"].append(
        {"rule": "unknown-element", "app": None, "file": None, "fingerprint": found.fingerprint}
    )
    (refusing / ACCEPTED).write_text(json.dumps(by_hand))
    assert [each.accepted for each in told(refusing)] == [False]


def test_what_git_does_not_tell_is_not_taken_out_of_a_baseline(tmp_path: Path) -> None:
    files = trees.project(plugins={"ecapipe": {"baseline": ACCEPTED}}) | trees.app()
    root = ground.ready(tmp_path, committed(files | {"notes": trees.secret("Billing")}))
    ground.inspect(root, CheckOptions(update=True))
    before = (root / ACCEPTED).read_text()
    assert "secret-tracked-by-git" in before
    assert "secret-elsewhere-in-tree" in before
    (root / ".git").rename(root / "aside")
    pipe(root)
    again = ground.inspect(root, CheckOptions(update=True))
    assert (root / ACCEPTED).read_text() == before
    assert again.notices == ()


def test_explain_says_that_no_baseline_accepts_it() -> None:
    assert "A baseline can't accept it." in RULES[NOT_EXAMINED].means


@pytest.mark.parametrize("staged", [False, True])
def test_settings_in_the_other_format_are_not_passed_over(staged: bool, tmp_path: Path) -> None:
    """The Salesforce CLI takes them for source."""
    plain = {path.removesuffix("-meta.xml"): text for path, text in trees.app("Portal").items()}
    root = ground.ready(tmp_path, [trees.project() | trees.app(settings=None) | plain, "add --all"])
    for purpose, level in (("login", "warning"), ("deploy", "error"), ("commit", "error")):
        result = ground.inspect(root, ground.for_(purpose, staged=staged))
        (found,) = (each for each in result.findings if each.rule == NOT_EXAMINED)
        assert (found.level, result.notices) == (level, ())
        assert f"--metadata-dir {root}/{trees.DEFAULT}" in found.actions[0]
