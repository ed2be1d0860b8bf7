"""A secret that git has is found wherever it stands: in the file, beside it, and in git alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest
import trees
from check import ground
from check.ground import IGNORE, SETTINGS, committed
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.check.evidence import secrets_in
from ecapipe.check.inspection import CheckOptions

SECRET: Final = trees.secret("Billing")
COMMIT: Final = CheckOptions("commit")
GATES: Final = (COMMIT, CheckOptions("commit", staged=True), CheckOptions("deploy"))
RULE, ELSEWHERE = "secret-tracked-by-git", "secret-elsewhere-in-tree"
NIL: Final = 'xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"'

PLACES: Final = (
    "<consumerSecret>{}</consumerSecret>", "<consumerSecret><![CDATA[{}]]></consumerSecret>",
    "<consumerSecret>REPLACE_ME</consumerSecret><consumerSecret>{}</consumerSecret>",
    "<consumerSecret><value>{}</value></consumerSecret>", "<consumerSecret>{}<value/></consumerSecret>",
    "<more><consumerSecret>{}</consumerSecret></more>", f"<consumerSecret {NIL}>{{}}</consumerSecret>",
    "<ConsumerSecret>{}</ConsumerSecret>", '<a:consumerSecret xmlns:a="urn:a">{}</a:consumerSecret>',
    "<!-- <consumerSecret>{}</consumerSecret> -->", "<!-- -- <consumerSecret>{}</consumerSecret> -->",
)  # fmt: skip
"""Where any secret is seen."""
PLACES_OF_GENERATED: Final = (
    "<!-- {} -->", '<consumerSecret value="{}"/>', "<?old {}?>", "<label>was {}</label>",
    "<consumerSecret>be sure: {}</consumerSecret>", "<consumerSecret>{{{{{}}}}}</consumerSecret>",
)  # fmt: skip
"""Where it is seen by the form that Salesforce gives to it."""
HARMLESS: Final = (
    "", "<consumerSecret/>", "<consumerSecret>REPLACE_ME</consumerSecret>",
    "<!-- <consumerSecret>TODO</consumerSecret> -->",
    "<consumerSecret>{{SECRET}}</consumerSecret>", "<isConsumerSecretOptional>true</isConsumerSecretOptional>",
    "<!-- consumerSecret -> see the vault -->", f"<label>{'0' * 64}</label>", f"<label>{'a1' * 64}</label>",
)  # fmt: skip

text = st.text(st.characters(codec="utf-8", exclude_characters="<>&", exclude_categories=["Cc"]), max_size=20)
generated = st.text("0123456789ABCDEFabcdef", min_size=64, max_size=64).filter(lambda value: len(set(value)) > 1)


@given(
    generated,
    st.sampled_from((*PLACES, *PLACES_OF_GENERATED)),
    text,
    st.sampled_from(["utf-8", "utf-16", "utf-16-be"]),
)
def test_a_secret_in_a_settings_file_is_seen(secret: str, place: str, label: str, encoding: str) -> None:
    content = f"<Root><label>{label}</label>\n{place.format(secret)}\n<label>{label}</label></Root>"
    assert secret in secrets_in(content.encode(encoding))


@given(generated, st.lists(st.integers(1, 63), max_size=5), st.sampled_from(["\n", " ", "\r\n\t"]))
def test_a_secret_is_seen_across_lines(secret: str, places: list[int], space: str) -> None:
    for place in sorted(places, reverse=True):
        secret = secret[:place] + space + secret[place:]
    assert secrets_in(f"<consumerSecret>{secret}</consumerSecret>".encode())


@pytest.mark.parametrize("place", HARMLESS)
def test_nothing_else_is_a_secret(place: str) -> None:
    (settings,) = (text for path, text in trees.app(settings={"consumerSecret": None}).items() if path == SETTINGS)
    assert isinstance(settings, str)
    assert secrets_in(settings.replace("<externalClient", f"{place}<externalClient").encode()) == set()


def app(name: str, place: str) -> dict[str, str | bytes]:
    """An app with something more in its settings file."""
    files = trees.app(name, settings={"consumerSecret": None})
    return {
        path: text.replace("</ExtlClntAppGlobalOauthSettings>", f"{place}</ExtlClntAppGlobalOauthSettings>")
        if isinstance(text, str) else text
        for path, text in files.items()
    }  # fmt: skip


def flagged(root: Path, gate: CheckOptions, rule: str = RULE, *names: str) -> set[str | None]:
    return {each.file for each in ground.inspect(root, gate, *names).findings if each.rule == rule}


def test_the_gate_sees_it_in_every_place(tmp_path: Path) -> None:
    places = (*PLACES, *PLACES_OF_GENERATED)
    leaks = {f"Leak{number}": place.format(trees.secret(str(number))) for number, place in enumerate(places)}
    fine = {f"Fine{number}": place for number, place in enumerate(HARMLESS)}
    files = {path: text for name, place in (leaks | fine).items() for path, text in app(name, place).items()}
    root = ground.ready(tmp_path, committed(trees.project() | files))
    expected = {path for path in files if "ecaGlblOauth" in path and "Leak" in path}
    for gate in GATES:
        assert flagged(root, gate) == expected, gate
    ground.ready(tmp_path / "new", [trees.project() | files, "add --all"])
    assert flagged(tmp_path / "new", COMMIT, "secret-staged") == expected


@pytest.mark.parametrize("how", ["modified", "skipped", "unchanged", "deleted", "sparse"])
def test_what_git_has_counts_whatever_is_on_the_disk(how: str, tmp_path: Path) -> None:
    root = ground.ready(tmp_path, committed(trees.project() | trees.app()))
    flag = {"skipped": "--skip-worktree", "unchanged": "--assume-unchanged"}.get(how)
    if flag:
        ground.git(root, "update-index", flag, SETTINGS)
    if how == "sparse":
        ground.git(root, "sparse-checkout", "set", "--no-cone", "/*", f"!{SETTINGS}")
    elif how == "deleted":
        (root / SETTINGS).unlink()
    else:
        trees.plant(root, trees.app(settings={"consumerSecret": None}))
    assert flagged(root, COMMIT) == {SETTINGS}


def test_a_copy_of_a_settings_file_is_none_of_the_apps(tmp_path: Path) -> None:
    harmless = trees.project() | trees.app(settings={"consumerSecret": "REPLACE_ME"})
    content = trees.app()[SETTINGS]
    copies = {
        f"{SETTINGS}.orig", f"{SETTINGS}~", "force-app/.old/B.ecaGlblOauth-meta.xml", "force-app/lwc/B.ECAGLBLOAUTH",
        "docs/B.ecaGlblOauth", "deep/er/than/it/looks/B.ecaGlblOauth-meta.xml",
    }  # fmt: skip
    large = {"docs/large.ecaGlblOauth": " " * (2**20 - 300) + str(content)}
    root = ground.ready(tmp_path, committed(harmless | dict.fromkeys(copies, content) | large))
    copies |= large.keys()
    for gate in GATES:
        assert flagged(root, gate) == copies, gate
    assert flagged(root, CheckOptions()) == set(), "before a login, only what it uses"
    assert flagged(root, COMMIT, RULE, "Billing") == set(), "an app was named"
    (finding, *_) = ground.findings(root, COMMIT)
    assert (finding.app, finding.level, "git rm --cached" in finding.actions[0]) == (None, "error", True)


ELEMENT: Final = f"<consumerSecret>{trees.secret('Other')}</consumerSecret>"


def test_an_element_with_a_secret_is_seen_in_a_file_of_any_name(tmp_path: Path) -> None:
    app = trees.app()
    (oauth,) = (path for path in app if path.endswith("ecaOauth-meta.xml"))
    leaks: trees.Files = {
        oauth: str(app[oauth]).replace("</Extl", f"{ELEMENT}</Extl"), "docs/notes.md": f"Use\n{ELEMENT}!",
        "force-app/A.connectedApp-meta.xml": ELEMENT, "a.xml": "<a:consumerSecret x='y'>\n1234567890123456789</a>",
        f"{SETTINGS}.txt": ELEMENT, "b.txt": f"<!--{ELEMENT.upper()}", "c": ELEMENT.replace(">", "><![CDATA[", 1),
        "wide.txt": ELEMENT.encode("utf-16"), "wide": f"\ufeff{ELEMENT}".encode("utf-16-be"),
    }  # fmt: skip
    harmless: trees.Files = {
        "docs/README.md": "<consumerSecret>YOUR_SECRET</consumerSecret> or <consumerSecret>1234</consumerSecret>",
        "docs/more.md": f"consumerSecret: {SECRET[:40]} <isConsumerSecretOptional>", "empty": "<consumerSecret/>",
    }  # fmt: skip
    files = trees.project() | trees.app(settings={"consumerSecret": None}) | leaks | harmless
    root = ground.ready(tmp_path, committed(files))
    trees.plant(root, dict.fromkeys(leaks.keys() - {oauth}, "nothing"))
    for gate in GATES:
        assert flagged(root, gate) == leaks.keys(), gate
    ground.git(root, "add", ".")
    assert flagged(root, COMMIT) == {oauth}


def test_a_settings_file_that_cannot_be_read_is_searched(tmp_path: Path) -> None:
    broken = str(trees.app()[SETTINGS]).replace("</consumerSecret>", "")
    root = ground.ready(tmp_path, committed(trees.project() | trees.app() | {SETTINGS: broken}))
    for gate in GATES:
        assert flagged(root, gate) == {SETTINGS} == flagged(root, gate, "malformed-xml")


PUSH: Final = f"{trees.DEFAULT}/Billing.ecaPush-meta.xml"
KEYS: Final = trees.xml(
    "ExtlClntAppPushSettings", {"externalClientApplication": "Billing", "applePushConfig": "made up"}
)


@pytest.mark.parametrize("how", ["as it is", "modified", "deleted", "a copy", "a wide copy", "a link", "broken"])
def test_what_git_has_of_push_settings_counts(how: str, tmp_path: Path) -> None:
    place = {"a copy": f"{PUSH}.orig", "a wide copy": f"{PUSH}.txt", "a link": "keys.txt"}.get(how, PUSH)
    keys = KEYS.encode("utf-16" if "wide" in how else "utf-8")
    root = ground.ready(tmp_path, trees.project() | trees.app(settings={"consumerSecret": None}) | {place: keys})
    if how == "broken":
        trees.plant(root, {PUSH: KEYS.replace("</apple", "</orange")})
    if how == "a link":
        (root / PUSH).symlink_to(os.path.relpath(root / place, (root / PUSH).parent))
    ground.ready(root, committed({}))
    if how == "modified":
        trees.plant(root, {PUSH: KEYS.replace("applePushConfig", "label")})
    elif how == "deleted":
        (root / PUSH).unlink()
    for gate in (COMMIT, CheckOptions("deploy")):
        assert flagged(root, gate, "push-settings-secret-tracked") == {PUSH if how == "a link" else place}
    ground.git(root, "rm", "--quiet", "--force", "--cached", place)
    for gate in (COMMIT, CheckOptions("deploy")):
        assert flagged(root, gate, "push-settings-secret-tracked") == set()


def test_a_hook_answers_for_the_whole_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, name = trees.app()[SETTINGS], "x/B.ecaGlblOauth-meta.xml"
    sales, deep = trees.plant(tmp_path / "sales", trees.project()), trees.plant(tmp_path / "a/b/c/d", trees.project())
    ground.ready(tmp_path, committed({f"sales/{name}": content, f"a/b/c/d/{name}": content, name: content}))
    trees.plant(tmp_path / "b/c", trees.project())
    for folder in (tmp_path, sales, deep):
        monkeypatch.chdir(folder)
        world = ground.hook()
        found = [(folder / (each.project or "") / (each.file or "")).resolve() for each in world.findings]
        assert sorted(found) == sorted(tmp_path / each for each in (f"sales/{name}", f"a/b/c/d/{name}", name))
    assert flagged(sales, COMMIT) == {name}, "who names a folder means that"


@pytest.mark.parametrize("attribute", ["working-tree-encoding=UTF-16LE-BOM", "ident", "filter=made-up"])
def test_what_git_writes_otherwise_to_the_disk_is_searched(attribute: str, tmp_path: Path) -> None:
    root = ground.ready(tmp_path, committed(IGNORE | {".gitattributes": f"*.txt {attribute}\n"}))
    trees.plant(root, trees.project() | trees.app())
    command = ["git", "hash-object", "-w", "--stdin"]
    content = f"first\n$Id:{SECRET}$\n".encode()
    blob = subprocess.run(
        command, cwd=root, input=content, check=True, capture_output=True, timeout=60
    ).stdout.decode()
    for name in ("notes.txt", "more.txt"):
        ground.git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob.strip()},{name}")
    ground.git(root, "config", "filter.made-up.smudge", "sed s/./x/g")
    ground.git(root, "checkout-index", "notes.txt", "more.txt")
    ground.git(root, "commit", "--quiet", "-m", "notes")
    assert SECRET.encode() not in (root / "notes.txt").read_bytes()
    assert flagged(root, COMMIT, ELSEWHERE) == {"notes.txt", "more.txt"}
    many = {path: text for number in range(60) for path, text in trees.app(f"App{number}").items()}
    trees.plant(root, many)
    assert flagged(root, COMMIT, ELSEWHERE) == {"notes.txt", "more.txt"}, "also where every file is read"


def test_text_as_windows_writes_it_is_searched(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [trees.project() | IGNORE | trees.app(), "init"])
    leaks = dict.fromkeys(("notes.txt", "ignored.txt"), f"It is\r\n{SECRET}".encode("utf-16"))
    ground.ready(root, committed(leaks | {"fine.txt": "It is not".encode("utf-16")}))
    trees.plant(root, {".git/info/exclude": "ignored.txt"})
    assert flagged(root, COMMIT, ELSEWHERE) == leaks.keys()


def test_a_package_directory_that_is_a_repository_is_searched(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, [trees.project() | trees.app(), "init"])
    ground.ready(root / "force-app", committed(IGNORE | {"notes.txt": SECRET, "gone.txt": SECRET}))
    ground.ready(root, [*committed({}), {"force-app/.gitignore": "", ".gitignore": ""}])
    assert flagged(root, COMMIT, ELSEWHERE) == {"force-app/notes.txt", "force-app/gone.txt"}
    many = {path: text for number in range(60) for path, text in trees.app(f"App{number}").items()}
    trees.plant(root, many)
    assert flagged(root, COMMIT, ELSEWHERE) == {"force-app/notes.txt", "force-app/gone.txt"}


def test_a_hook_of_such_a_repository_searches_what_it_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = ground.ready(tmp_path, [trees.project() | trees.app(), "init"])
    staged = {"notes.txt": SECRET, "copy.txt": f"<consumerSecret>{SECRET}</consumerSecret>"}
    inner = ground.ready(root / "force-app", [*committed(IGNORE), staged, "add --all"])
    monkeypatch.chdir(inner)
    for only_staged in (False, True):
        found = {(each.rule, each.file) for each in ground.hook(only_staged).findings}
        assert {(ELSEWHERE, f"force-app/{name}") for name in staged} <= found
    trees.plant(root, trees.app(settings={"consumerSecret": None}))
    assert (RULE, "force-app/copy.txt") in {(each.rule, each.file) for each in ground.hook().findings}


def test_what_such_a_repository_has_in_files_of_no_app_counts_unless_it_lies_outside(tmp_path: Path) -> None:
    files = trees.project("force-app", "inner", "outer") | trees.app(settings={"consumerSecret": None})
    del files["outer/"]
    root = ground.ready(tmp_path / "project", [files, "init"])
    leaks: trees.Files = {"copy.txt": ELEMENT, "B.ecaGlblOauth-meta.xml.orig": trees.app()[SETTINGS]}
    for place in (root / "inner", tmp_path / "outer"):
        ground.ready(place, committed(leaks | {"notes.txt": SECRET}))
    (root / "outer").symlink_to(tmp_path / "outer")
    (root / "inner/copy.txt").unlink()
    assert flagged(root, COMMIT) == {f"inner/{name}" for name in leaks}
    trees.plant(root, trees.app())
    assert flagged(root, COMMIT, ELSEWHERE) == {"inner/notes.txt", "inner/B.ecaGlblOauth-meta.xml.orig"}


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("disk", [None, "nothing"])
def test_what_the_next_commit_has_is_searched_whatever_is_on_the_disk(
    disk: str | None, first: bool, tmp_path: Path
) -> None:
    root = trees.plant(tmp_path / "project", trees.project() | IGNORE | trees.app())
    ground.git(root, "init", "--quiet")
    if not first:
        ground.git(root, "add", ".")
        ground.git(root, "commit", "--quiet", "-m", "first")
    trees.plant(root, {"notes.txt": f"It is {SECRET}", "more.txt": "nothing"})
    ground.git(root, "add", ".")
    assert flagged(root, COMMIT, ELSEWHERE) == {"notes.txt"}
    if disk is None:
        (root / "notes.txt").unlink()
    else:
        (root / "notes.txt").write_text(disk, encoding="utf-8")
    assert flagged(root, COMMIT, ELSEWHERE) == {"notes.txt"}
    ground.git(root, "add", ".")
    assert flagged(root, COMMIT, ELSEWHERE) == set()
