"""A repository whose configuration, attributes and hooks name a program wherever git would start one."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import trees
from check import ground
from check.ground import SETTINGS, committed
from commandline import PROGRAM, environment

GIT = shutil.which("git") or "git"

KEYS = """
core.fsmonitor core.pager core.editor core.sshCommand core.gitProxy core.askPass core.alternateRefsCommand
sequence.editor diff.external diff.trap.command diff.trap.textconv merge.trap.driver merge.default
filter.trap.clean filter.trap.smudge filter.trap.process credential.helper credential.https://example.com.helper
gpg.program gpg.openpgp.program gpg.ssh.program gpg.ssh.defaultKeyCommand gpg.x509.program interactive.diffFilter
difftool.trap.cmd mergetool.trap.cmd mergetool.trap.path browser.trap.cmd browser.trap.path man.trap.cmd web.browser
remote.origin.uploadpack remote.origin.receivepack uploadpack.packObjectsHook tar.trap.command trailer.trap.command
trailer.trap.cmd imap.tunnel sendemail.smtpServer sendemail.toCmd gc.recentObjectsHook instaweb.httpd
hook.trap.command pager.cat-file pager.grep pager.ls-files pager.ls-tree pager.rev-list pager.check-ignore
alias.cat-file alias.grep alias.ls-files alias.ls-tree alias.rev-list alias.check-ignore alias.version
""".split()
"""The keys whose value is a program, or a command line."""

SWITCHES = {
    # Sealed against GIT_ALLOW_PROTOCOL alone: a remote that is a program, which promises the missing objects.
    "core.repositoryformatversion": "1", "extensions.partialClone": "origin", "remote.origin.promisor": "true",
    "remote.origin.partialclonefilter": "blob:none", "protocol.allow": "always", "protocol.ext.allow": "always",
    "protocol.file.allow": "always", "credential.interactive": "true", "commit.gpgSign": "true",
    "log.showSignature": "true", "diff.tool": "trap", "merge.tool": "trap", "submodule.recurse": "true",
    "core.untrackedCache": "true", "hook.trap.event": "post-index-change",
}  # fmt: skip
HOOKS = ("post-checkout", "post-index-change", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc")
ATTRIBUTES = "* filter=trap diff=trap merge=trap\n"

OLD_GIT = f"""#!/bin/sh
unset GIT_NO_LAZY_FETCH
case "$1" in version|--version) echo git version 2.30.2;; *) exec {GIT} "$@";; esac
"""
"""git as it was: it knows nothing of that variable."""


class Trapped:
    """A project in a repository full of traps, each of which leaves its name in `sprung`."""

    def __init__(self, root: Path) -> None:
        self.root, self.project = root, root / "project"
        app = trees.project() | trees.app() | {".gitattributes": ATTRIBUTES, "notes.txt": "made up\n"}
        later = trees.app(settings={"label": "new"})
        ground.ready(self.project, [*committed(app), *committed(later)])

    @property
    def sprung(self) -> set[str]:
        marks = self.root / "sprung"
        return {*marks.read_text().split()} if marks.exists() else set()

    def trap(self, name: str) -> str:
        path = self.root / "traps" / name.replace("/", "_")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {shlex.quote(name)} >> {self.root}/sprung\nexit 1\n")
        path.chmod(0o755)
        return str(path)

    def set_traps(self, place: str) -> None:
        """Set every trap; `place` says where the configuration stands."""
        git = self.project / ".git"
        for hook in HOOKS:
            shutil.copy(self.trap(hook), git / "hooks" / hook)
        (git / "info/attributes").write_text(ATTRIBUTES)
        values = {key: f"!{self.trap(key)}" if key.startswith("alias.") else self.trap(key) for key in KEYS}
        values |= SWITCHES | {"remote.origin.url": f"ext::{self.trap('ext')}"}
        hostile = {"config": git / "config", "included": git / "more", "worktree": git / "config.worktree"}[place]
        for key, value in values.items():
            subprocess.run([GIT, "config", "--file", hostile, key, value], check=True)
        ways = {"included": ("include.path", "more"), "worktree": ("extensions.worktreeConfig", "true")}
        if place in ways:
            # What decides on the format of a repository counts only in its own file.
            own = {key: SWITCHES[key] for key in ("core.repositoryformatversion", "extensions.partialClone")}
            for key, value in (own | dict([ways[place]])).items():
                subprocess.run([GIT, "config", "--file", git / "config", key, value], check=True)

    def lose(self, revision: str) -> None:
        """Take an object away, as it is in a partial clone."""
        blob = ground.git(self.project, "rev-parse", revision).strip()
        (self.project / ".git/objects" / blob[:2] / blob[2:]).unlink()


@pytest.fixture(params=["config", "included", "worktree"])
def trapped(request: pytest.FixtureRequest, tmp_path: Path) -> Trapped:
    made = Trapped(tmp_path)
    for name in (SETTINGS, "notes.txt"):
        made.lose(f"HEAD~1:{name}" if name == SETTINGS else f"HEAD:{name}")
    made.set_traps(request.param)
    return made


COMMANDS = (
    "app check", "app check --for deploy", "app check --for commit --staged", "app check --since HEAD~1",
    "app check --history", "app check --project-config-from HEAD~1", "app protect --dry-run", "app list", "doctor",
    "run --dry-run --emulator",
)  # fmt: skip


@pytest.mark.parametrize("old", [False, True])
def test_no_command_runs_what_a_repository_names(old: bool, trapped: Trapped) -> None:
    variables = environment(trapped.root, GIT_CONFIG_NOSYSTEM="1")
    if old:
        trees.plant(trapped.root, {"old/git": OLD_GIT})
        (trapped.root / "old/git").chmod(0o755)
        variables["ECAPIPE_GIT"] = str(trapped.root / "old/git")
    for command in COMMANDS:
        ended = subprocess.run(
            [*PROGRAM, *command.split()],
            cwd=trapped.project,
            env=variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (trapped.sprung, ended.returncode in (0, 1)) == (set(), True), (command, ended.stderr)
        assert "git could not be used" not in ended.stdout, command  # it did ask


@pytest.mark.parametrize(
    "command",
    [
        "app check --for commit -d project",
        "app protect --dry-run -d project",
        "run --retrieve -o uat --until check -d project",
        "run -f orgs.json",
    ],
)
def test_no_program_of_a_tree_is_run_from_elsewhere(command: str, tmp_path: Path) -> None:
    """Also where PATH holds a folder of a tree that the current folder does not lie in."""
    trapped = Trapped(tmp_path)
    (trapped.project / "bin").mkdir()
    for name in ("git", "sf", "xdg-open", "python3"):
        shutil.copy(trapped.trap(name), trapped.project / "bin" / name)
    trees.plant(tmp_path, {"orgs.json": '[{"alias": "uat", "sourceDir": "project"}]'})
    path = f"{trapped.project}/bin:{tmp_path}/nothing:/usr/bin:/bin"
    subprocess.run(
        [*PROGRAM, *command.split()], cwd=tmp_path, env=environment(tmp_path, PATH=path),
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert trapped.sprung == set()


@pytest.mark.parametrize(
    ("command", "trap"),
    [("status", "core.fsmonitor"), ("cat-file -p HEAD:notes.txt", "ext"),
     ("grep --textconv made", "diff.trap.textconv"), ("add --all", "filter.trap.process")],
)  # fmt: skip
def test_the_traps_spring_for_others(command: str, trap: str, trapped: Trapped) -> None:
    (trapped.project / "sfdx-project.json").write_text("made up anew\n")
    variables = environment(trapped.root, GIT_CONFIG_NOSYSTEM="1")
    subprocess.run([GIT, *command.split()], cwd=trapped.project, env=variables, capture_output=True, check=False)
    assert trap in trapped.sprung
