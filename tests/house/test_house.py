"""House rules that a machine can see. A red test says what to do."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
import trees
from commandline import ROOT, environment
from fakes.orgs import emulated

from ecapipe.problems.catalogue import CATALOGUE

PACKAGE = ROOT / "ecapipe"
TESTS = ROOT / "tests"

REVEALING = {
    "cli/options.py": "--print-token and login token",
    "credentials/placeholders.py": "to tell placeholders",
    "credentials/sources.py": "to tell placeholders",
    "credentials/resolution.py": "to tell placeholders, and the key, which is no secret",
    "adapters/network/http.py": "the form, the bearer and the proof on the wire",
    "adapters/storage/store.py": "the keyring, or the private file",
    "adapters/salesforce_cli.py": "what the Salesforce CLI reads as a file on Windows",
    "adapters/salesforce_cli_process.py": "what is piped to the Salesforce CLI",
    "adapters/signer.py": "the passphrase of a private key, and a key that was saved",
    "emulator/consumers.py": "the credentials REST API of an org",
    "emulator/org.py": "the signature of a token answer",
    "oauth/flows/web.py": "the token form, and the PKCE digest",
    "oauth/flows/jwt.py": "the token form",
    "oauth/dpop.py": "the hash of a token in a proof",
    "oauth/grants.py": "the token form",
    "login/handover.py": "the login URL of the Salesforce CLI, and its grammar",
    "secret.py": "redaction",
    "run/writeback.py": "--write-back",
    "adapters/rotation_tools.py": "what is piped to a --deliver program",
    "oauth/tokens.py": "the check of the signature, and the form that revokes",
}
"""The modules that may look into a `Secret`, and what for."""

TYPER = {"typer"}
"""What every command pays for."""

HEAVY = TYPER | {
    "cryptography", "filelock", "git", "http", "httpx", "keyring", "msgspec", "platformdirs", "pydantic",
    "rich", "ssl", "starlette", "truststore", "uvicorn", "xmltodict",
}  # fmt: skip

LOGGING_IN = {
    "adapters.network.browser", "adapters.network.http", "adapters.network.listener", "adapters.salesforce_cli",
    "adapters.signer", "emulator", "exchange", "login", "oauth.messages", "oauth.refusals", "oauth.tokens",
    "oauth.userinfo",
    "run.pipeline", "run.scheduler",
}  # fmt: skip
"""Our own modules that are about logins; each costs a millisecond or more."""

NAMES_OF_OTHERS = {
    "ecapipe/adapters/salesforce_cli_answers.py": "an error of the Salesforce CLI",
    "ecapipe/render/text.py": "the end of a run in a word",
    "tests/adapters/test_sf.py": "an error of the Salesforce CLI",
    "tests/login/test_hand_over.py": "an error of the Salesforce CLI",
    "tests/problems/test_problems.py": "exit codes that are promised by name",
    "tests/render/test_text.py": "the end of a run in a word",
}
"""Where a text is called like a problem and stands for something else."""

READING_OUTPUT = ("cli/", "interop/", "journeys/", "rotate/")
"""Tests of what a process prints."""

VAGUE = {"base", "common", "core", "helpers", "manager", "misc", "util", "utils"}


@cache
def sources(folder: Path) -> dict[str, ast.Module]:
    """The modules below a folder, by their path."""
    return {
        str(path.relative_to(folder)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.py"))
    }


@cache
def nodes(folder: Path) -> list[tuple[str, ast.AST]]:
    """Everything in these modules."""
    return [(path, node) for path, module in sources(folder).items() for node in ast.walk(module)]


def where(folder: Path, found: Iterable[tuple[str, ast.AST]]) -> list[str]:
    """Places as editors open them."""
    return [f"{folder.name}/{path}:{getattr(node, 'lineno', 1)}" for path, node in found]


def calls(folder: Path, name: str) -> Iterator[tuple[str, ast.Call]]:
    """Calls of a function or method called `name`."""
    for path, node in nodes(folder):
        if isinstance(node, ast.Call) and name in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            yield path, node


def imports(folder: Path, name: str) -> Iterator[tuple[str, ast.AST]]:
    """Imports of the module `name` or of something in it."""
    for path, node in nodes(folder):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if any(found == name or found.startswith(f"{name}.") for found in names):
            yield path, node


def test_nothing_prints_or_knows_typer_but_the_command_line() -> None:
    prints = [(path, node) for path, node in calls(PACKAGE, "print") if isinstance(node.func, ast.Name)]
    found = [*prints, *imports(PACKAGE, "typer")]
    strays = where(PACKAGE, ((path, node) for path, node in found if not path.startswith("cli/")))
    assert strays == [], "return values or emit events, and let cli/ or render/ show them"


def test_nothing_ends_the_process_but_its_main() -> None:
    found = [*calls(PACKAGE, "exit"), *calls(PACKAGE, "_exit")]
    strays = where(PACKAGE, ((path, node) for path, node in found if path != "__main__.py"))
    assert strays == [], "raise EcapipeError with a problem, or return the status"


def of(module: str, node: ast.AST) -> bool:
    """Whether it is a name in `module`."""
    return isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == module


def test_every_child_is_given_an_environment() -> None:
    made = [(path, node) for path, node in nodes(PACKAGE) if isinstance(node, ast.Call)]
    started = [(path, node) for path, node in made if of("subprocess", node.func)]
    strays = [(path, node) for path, node in started if "env" not in {each.arg for each in node.keywords}]
    strays += [each for name in ("system", "popen", "putenv", "unsetenv") for each in calls(PACKAGE, name)
               if of("os", each[1].func)]  # fmt: skip
    assert len(started) > 3
    assert where(PACKAGE, strays) == [], "hand over what Environment.for_git or Environment.for_programs gives"
    assert not list(calls(PACKAGE, "execute")), "GitPython gives git all that stands in os.environ"


def test_our_own_environment_is_not_changed() -> None:
    network = {"adapters/network/http.py", "adapters/network/proxies.py"}
    told = network | {"adapters/environment.py", "adapters/project_tree/git.py", "cli/main.py", "render/screen.py"}
    found = [
        (path, node) for path, node in nodes(PACKAGE) if of("os", node) and getattr(node, "attr", "") == "environ"
    ]
    written = {path for path, node in found if isinstance(getattr(node, "ctx", None), ast.Store)}
    assert {path for path, _ in found} == told, "ask an Environment, or a World"
    assert written == {"adapters/project_tree/git.py"}, "it stands in while GitPython is loaded"


def test_secrets_are_looked_into_only_where_they_leave_on_purpose() -> None:
    revealing = {path for path, _ in calls(PACKAGE, "reveal")}
    assert revealing == set(REVEALING), "pass the Secret on; or add the module to REVEALING here, with its reason"


def test_one_place_makes_the_addresses_that_secrets_are_sent_to() -> None:
    made = {path for path, _ in calls(PACKAGE, "Address")}
    # A changed copy would go round it, too.
    changed = [node for _, call in calls(PACKAGE, "replace") for node in call.keywords if node.arg == "address"]
    assert (made, changed) == ({"orgs/address.py"}, []), "call accept_address, and say who names it"


def test_problems_are_told_apart_by_their_constants() -> None:
    literals = [
        place
        for folder in (PACKAGE, TESTS)
        for path, node in nodes(folder)
        if isinstance(node, ast.Constant) and node.value in CATALOGUE
        if folder is PACKAGE or not path.startswith(READING_OUTPUT)
        for place in where(folder, [(path, node)])
    ]
    strays = [place for place in literals if place.partition(":")[0] not in NAMES_OF_OTHERS]
    assert strays == [], "write problem.kind is refused_host, or refused_host.name: nobody finds a misspelt text"


@pytest.mark.parametrize("folder", [PACKAGE, TESTS], ids=["ecapipe", "tests"])
def test_nothing_is_left_for_later(folder: Path) -> None:
    words = "|".join(word[::-1] for word in ("ODOT", "EMXIF", "XXX", "KCAH"))
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted(folder.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(rf"#.*\b({words})\b", line)
    ]
    assert found == [], "do it now, or leave it out"


def test_nothing_is_only_a_stub() -> None:
    found = (
        (path, node)
        for path, node in nodes(PACKAGE)
        if isinstance(node, ast.Raise) and node.exc and "NotImplementedError" in ast.unparse(node.exc)
    )
    assert where(PACKAGE, found) == [], "build it, or leave it unknown"


def test_no_failure_is_swallowed_unseen() -> None:
    found = where(
        PACKAGE,
        (
            (path, node)
            for path, node in nodes(PACKAGE)
            if isinstance(node, ast.ExceptHandler)
            and (node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException"))
            and all(isinstance(statement, ast.Pass | ast.Continue) for statement in node.body)
        ),
    )
    assert found == [], "name the exceptions that are meant, and say why they do not matter"


def test_every_module_says_in_a_sentence_what_it_is() -> None:
    silent = [
        path
        for path, module in sources(PACKAGE).items()
        if module.body and not (ast.get_docstring(module) or "").strip()
    ]
    assert silent == [], "start it with a docstring that could stand in a table of contents"


def test_modules_are_called_by_what_they_hold() -> None:
    vague = [path for path in sources(PACKAGE) if VAGUE.intersection(Path(path).with_suffix("").parts)]
    assert vague == [], "name it after the noun it is about"


def test_tests_replace_nothing_behind_the_back_of_the_code() -> None:
    found = [*imports(TESTS, "unittest.mock"), *imports(TESTS, "mock"), *imports(TESTS, "pytest_mock")]
    found += [(path, node) for path, node in calls(TESTS, "setattr") if "patch" in ast.unparse(node)]
    assert where(TESTS, found) == [], "a seam is missing: make what has to be replaced an argument"


DRIVER = """
import json, sys
before = set(sys.modules)
from ecapipe.cli.main import main
report, *commands = sys.argv[1:]
ended = [main(command.split()) for command in commands]
loaded = set(sys.modules) - before
with open(report, "w") as file:
    json.dump([ended, sorted(loaded)], file)
"""


def modules(at: Path, *commands: str) -> set[str]:
    """What these commands load, one after the other."""
    report = at / "loaded.json"
    driver = [sys.executable, "-c", DRIVER, str(report), *commands]
    subprocess.run(driver, cwd=at, env=environment(at), check=True, capture_output=True, timeout=30)
    ended, names = json.loads(report.read_text())
    assert ended == [0] * len(commands)
    return set(names)


def loaded(at: Path, *commands: str) -> set[str]:
    """The heavy libraries that these commands load."""
    return {name.partition(".")[0] for name in modules(at, *commands)}.intersection(HEAVY)


def test_version_and_help_load_no_library(tmp_path: Path) -> None:
    assert loaded(tmp_path, "--version", "-h", "--help") == set(), "import it inside the function that needs it"


def test_a_list_of_nothing_loads_no_reader_of_files(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project())
    assert loaded(tmp_path, "explain", "app list") == TYPER, "import it inside the function that needs it"


def test_git_is_loaded_for_a_secret_in_a_repository_and_for_no_other(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project() | trees.app())
    assert loaded(tmp_path, "app list", "app check") == TYPER | {"xmltodict"}, "ask git only where there is a .git"
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert loaded(tmp_path, "app list") == TYPER | {"xmltodict"}, "a list needs no git"
    assert loaded(tmp_path, "app check") == TYPER | {"xmltodict", "git"}


def test_only_a_login_that_is_bound_to_a_key_loads_what_makes_keys(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project() | trees.robot())
    with emulated(tmp_path) as emulator:
        run = f"run -o uat={emulator.urls['uat']} --no-journal"
        assert "cryptography" not in loaded(tmp_path, run, f"{run} --dpop --dry-run")
        assert "cryptography" in loaded(tmp_path, f"{run} --dpop")


def test_who_only_looks_loads_nothing_of_logging_in(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project() | trees.app())
    own = {name.partition(".")[2] for name in modules(tmp_path, "app list", "app check") if name[:8] == "ecapipe."}
    assert own & LOGGING_IN == set(), "import it inside the function that needs it, or for type checkers only"
    assert LOGGING_IN <= {path.removesuffix(".py").replace("/", ".") for path in sources(PACKAGE)} | {
        "emulator",
        "exchange",
        "login",
    }


def test_who_lists_loads_no_rules(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project() | trees.app())
    own = modules(tmp_path, "app list", "app protect --dry-run", "login list")
    assert {name for name in own if name.startswith("ecapipe.check.rules")} == set(), (
        "import the rules where they apply"
    )


def test_a_kept_secret_is_known_without_a_look_into_the_keyring(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project() | trees.app(settings={"consumerSecret": None}))
    keep = [sys.executable, "-m", "ecapipe", "app", "set-secret", "Billing", "--store", "file"]
    typed = trees.secret("Billing")
    subprocess.run(
        keep, cwd=tmp_path, env=environment(tmp_path), input=typed.encode(), check=True, capture_output=True
    )
    (record,) = tmp_path.rglob("secrets/*.json")
    record.write_text(record.read_text().replace('"place": "file"', '"place": "keyring"'))
    commands = ("app list", "app check", "login list")
    assert loaded(tmp_path, *commands).isdisjoint({"keyring", "httpx"}), "that it is there is enough to know"


def test_what_is_offline_loads_no_network_and_what_holds_no_secret_no_git(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    public = {"isConsumerSecretOptional": "true", "consumerSecret": None}
    trees.plant(tmp_path, trees.project() | trees.app(settings=public))
    dry = "run --dry-run --target-org http://localhost:1 --browser none --callback paste"
    offline = TYPER | {"xmltodict"}
    assert loaded(tmp_path, "app list", "app check") == offline, "import it inside the edge that uses it"
    assert loaded(tmp_path, dry) == offline | {"platformdirs"}, "it looks whether the run could be recorded"
    # What writes JSON: a result, and the record of a run.
    assert loaded(tmp_path, "app check --json", "run --until check") == TYPER | {"xmltodict", "msgspec"}
