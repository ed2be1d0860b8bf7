"""Help as `sf` lays it out: ``-h`` the short form, ``--help`` everything."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ecapipe.render.screen import Screen, coloured, terminal_width

_WIDEST: Final = 100
_TWO_COLUMNS: Final = 60
"""The width from which a table has its second column beside the first."""


@dataclass(frozen=True, slots=True)
class HelpEntry:
    """A command or topic of the overview; `children` are a topic's commands."""

    summary: str
    children: tuple[str, ...] = ()


# A table rather than what typer knows: the overview and completion are there without importing any command.
COMMANDS: Final[Mapping[str, HelpEntry]] = {
    "run": HelpEntry("Authorize the external client apps of a project, from their files to a verified token."),
    "app": HelpEntry(
        "List, check, probe, protect and rotate the external client apps of a project, and save their secrets.",
        ("list", "check", "probe", "protect", "rotate", "set-secret", "forget-secret"),
    ),
    "login": HelpEntry("Manage saved logins.", ("list", "display", "refresh", "token", "logout")),
    "runs": HelpEntry("List and show recent runs.", ("list", "show")),
    "report": HelpEntry("Merge run results.", ("merge",)),
    "emulator": HelpEntry("Run a local org for tests and trials.", ("start",)),
    "manifest": HelpEntry("Print a package.xml that retrieves exactly the metadata of external client apps."),
    "doctor": HelpEntry("Check this machine: what ecapipe needs, and what is stored here."),
    "explain": HelpEntry("Explain a problem or a rule."),
}

HELP: Final = "help"
TOPICS: Final = {
    "environment": "Environment variables of all commands.",
    "exit-codes": "Exit codes of all commands.",
}
"""What ``ecapipe help`` shows besides commands."""


FLAGS: Final = (
    ("-h, --help", "Short or full help."),
    ("    --version", "Print the version. With --verbose, also Python, the platform and packages, for bug reports."),
    ("    --show-completion=SHELL", "Print the completion script for bash, zsh, fish or powershell."),
    ("    --install-completion=SHELL", "Install completion for bash, zsh or fish."),
)


@dataclass(frozen=True, slots=True)
class Example:
    """A command that works as printed, and what it does."""

    does: str
    command: str


EXAMPLES: Final[Mapping[str, Sequence[Example]]] = {
    "ecapipe": (
        Example("Run the whole pipeline on the sample project, without an org:",
                "ecapipe run --source-dir sample-project --emulator"),
        Example("Check a project after a retrieve:", "ecapipe app check --source-dir sample-project"),
        Example("Print version details for a bug report:", "ecapipe --version --verbose"),
    ),
    "ecapipe run": (
        Example("Try the pipeline without an org:", "ecapipe run --source-dir sample-project --emulator"),
        Example("Sign in to one org with one app:",
                "ecapipe run --name Billing_Sync --target-org uat=https://acme--uat.sandbox.my.salesforce.com"),
        Example("Sign in to several orgs on one page, opened on another machine with "
                "ssh -L 8765:127.0.0.1:8765 HOST:",
                "ecapipe run --target-org uat --target-org https://acme.my.salesforce.com --board-port 8765"),
        Example("Log in from CI, with the secret in ECAPIPE_CLIENT_SECRET_NIGHTLY_REPORTS:",
                "ecapipe run --name Nightly_Reports --target-org https://acme.my.salesforce.com --json"),
        Example("Show what would be done in every org of a table:",
                "ecapipe run --source-dir sample-project --file sample-project/orgs.csv --dry-run"),
        Example("Log in from CI with the private key of the app's certificate:",
                "ecapipe run --name Nightly_Reports --target-org https://acme.my.salesforce.com "
                "--username robot@acme.example --jwt-key-file server.key --json"),
        Example("Show what would be done, and check whether it is possible:",
                "ecapipe run --source-dir sample-project --emulator --dry-run"),
        Example("Find out what an org would refuse, before users sign in:",
                "ecapipe run --source-dir sample-project --emulator --dry-run --probe"),
        Example("Save a login for ecapipe login, in a private file instead of the keyring:",
                "ecapipe run --name Billing_Sync --target-org uat --save --store file"),
        Example("Bind the token to a key, as apps with DPoP require:",
                "ecapipe run --source-dir sample-project --emulator --name Nightly_Reports --dpop"),
        Example("Write a test report for CI:",
                "ecapipe run --source-dir sample-project --emulator --report junit=build/run.xml"),
        Example("Resume the last run, after it was interrupted or sign-ins timed out:", "ecapipe run --resume"),
        Example("Run one of four parts of the logins, in one of four CI jobs:",
                "ecapipe run --source-dir sample-project --emulator --shard 1/4 --report json=build/shard-1.json"),
        Example("Retrieve the apps of an org with the Salesforce CLI, then sign in with one of them:",
                "ecapipe run --retrieve --name Billing_Sync --target-org uat"),
        Example("Sign in, then use the login in the Salesforce CLI:",
                "ecapipe run --name Billing_Sync --target-org uat --hand-over sf"),
        Example("Use a token in a script:",
                "ecapipe run --source-dir sample-project --emulator --name Nightly_Reports --print-token header"),
    ),
    "ecapipe runs": (Example("List the last runs:", "ecapipe runs list"),),
    "ecapipe runs list": (
        Example("List the last runs:", "ecapipe runs list"),
        Example("List them as JSON, for a script:", "ecapipe runs list --json"),
    ),
    "ecapipe runs show": (
        Example("Show what the last run did, and what is left:", "ecapipe runs show"),
        Example("Show how to fix what failed:", "ecapipe runs show --verbose"),
    ),
    "ecapipe report": (
        Example("Merge the results of two shards:",
                "ecapipe report merge build/shard-1.json build/shard-2.json"),
    ),
    "ecapipe report merge": (
        Example("Merge the results of two shards:",
                "ecapipe report merge build/shard-1.json build/shard-2.json"),
        Example("Create one test report from them, for CI:",
                "ecapipe report merge build/shard-1.json build/shard-2.json --report junit=build/run.xml"),
    ),
    "ecapipe app": (Example("List the apps of a project:", "ecapipe app list --source-dir sample-project"),),
    "ecapipe app list": (
        Example("List the apps of a project:", "ecapipe app list --source-dir sample-project"),
        Example("List them as JSON, for a script:", "ecapipe app list --source-dir sample-project --json"),
        Example("Show which secrets a CI system must set:",
                "ecapipe app list --source-dir sample-project --variables"),
    ),
    "ecapipe app check": (
        Example("Check all apps of a project:", "ecapipe app check --source-dir sample-project"),
        Example("Check one app:", "ecapipe app check --source-dir sample-project --name Billing_Sync"),
        Example("Write a report for code scanning:",
                "ecapipe app check --source-dir sample-project --report sarif=build/check.sarif"),
        Example("Check before a deploy, and also fail on warnings:",
                "ecapipe app check --source-dir sample-project --for deploy --fail-on warning"),
        Example("Check what the next commit would contain, in a commit hook:",
                "ecapipe app check --source-dir sample-project --for commit --staged"),
        Example("Check whether Salesforce's hosted MCP servers accept an app:",
                "ecapipe app check --source-dir sample-project/mcp --for mcp"),
        Example("Check with the settings and the baseline of the last commit:",
                "ecapipe app check --source-dir sample-project --project-config-from HEAD"),
    ),
    "ecapipe app probe": (
        Example("Probe one app in a local org:",
                "ecapipe app probe --source-dir sample-project --name Nightly_Reports --emulator"),
        Example("Print the result as JSON, for a script:",
                "ecapipe app probe --source-dir sample-project --name Nightly_Reports --emulator --json"),
        Example("Treat unclear answers as failures, in CI:",
                "ecapipe app probe --source-dir sample-project --emulator --strict"),
    ),
    "ecapipe app rotate": (
        Example("Show what would be done, and check whether it is possible:",
                "ecapipe app rotate --name Nightly_Reports --target-org uat --dry-run"),
        Example("Rotate, and store the new pair as secrets of GitHub Actions:",
                'ecapipe app rotate --name Nightly_Reports --target-org uat --deliver "gh secret set {variable}"'),
        Example("Delete the previous pair, once nothing uses it:",
                "ecapipe app rotate --name Nightly_Reports --target-org uat --end-previous"),
    ),
    "ecapipe app protect": (
        Example("Show what would change to keep the settings files out of git:",
                "ecapipe app protect --source-dir sample-project --dry-run"),
        Example("Show what would change to supply a consumer secret from the environment at each deploy:",
                "ecapipe app protect --source-dir sample-project --name Billing_Sync --replace-with-env --dry-run"),
        Example("Print rules with which gitleaks finds consumer secrets:",
                "ecapipe app protect --rules gitleaks"),
    ),
    "ecapipe app set-secret": (
        Example("Prompt for the consumer secret of an app, and save it in a private file instead of the keyring:",
                "ecapipe app set-secret Billing_Sync --source-dir sample-project --store file"),
    ),
    "ecapipe app forget-secret": (
        Example("Remove the saved consumer secret of an app:", "ecapipe app forget-secret Billing_Sync"),
    ),
    "ecapipe login": (Example("List saved logins:", "ecapipe login list"),),
    "ecapipe login list": (
        Example("List saved logins:", "ecapipe login list"),
        Example("List them as JSON, for a script:", "ecapipe login list --json"),
    ),
    "ecapipe login display": (
        Example("Ask the org whether a saved login is valid:",
                "ecapipe login display --name Nightly_Reports --target-org uat --verify"),
    ),
    "ecapipe login refresh": (
        Example("Get a new access token now:", "ecapipe login refresh --name Nightly_Reports --target-org uat"),
        Example("Use every refresh token, so that none expires unused:", "ecapipe login refresh --all"),
    ),
    "ecapipe login token": (
        Example("Print a valid access token, for a script:", "ecapipe login token --target-org uat"),
        Example("Print it as a header, for curl:",
                "ecapipe login token --name Nightly_Reports --target-org uat --header"),
        Example("Print the headers of one request, with a login that is bound to a key:",
                "ecapipe login token --target-org uat --proof GET https://acme.my.salesforce.com/services/data/"),
    ),
    "ecapipe login logout": (
        Example("Revoke the tokens of a saved login, and remove it:", "ecapipe login logout --target-org uat"),
        Example("Log out of all saved logins:", "ecapipe login logout --all"),
    ),
    "ecapipe emulator": (Example("Start a local org:", "ecapipe emulator start --source-dir sample-project"),),
    "ecapipe emulator start": (
        Example("Start a local org that knows the apps of a project:",
                "ecapipe emulator start --source-dir sample-project"),
        Example("Start two local orgs, and print their addresses as JSON, for a script:",
                "ecapipe emulator start --source-dir sample-project --org dev --org uat --json"),
    ),
    "ecapipe manifest": (
        Example("Print a manifest for all external client apps of an org:",
                "ecapipe manifest --source-dir sample-project"),
        Example("Print a manifest for one app, as JSON:",
                "ecapipe manifest --source-dir sample-project --name Billing_Sync --json"),
    ),
    "ecapipe doctor": (
        Example("Check whether this machine has what ecapipe needs:", "ecapipe doctor"),
        Example("Show what is stored where, and how to remove it:", "ecapipe doctor --storage"),
    ),
    "ecapipe explain": (
        Example("List all problems and rules:", "ecapipe explain"),
        Example("Explain one:", "ecapipe explain ConsumerSecretMissing"),
        Example("Print the JSON Schema of what --json prints:", "ecapipe explain json-schema"),
    ),
}  # fmt: skip

VARIABLES: Final[Mapping[str, str]] = {
    "ECAPIPE_CLIENT_ID_<APP>[_<ORG>]": "Consumer key of an app, or of an app in an org. Names are in upper case, "
    "with _ for every other character. With a single app, also ECAPIPE_CLIENT_ID. With the suffix _FILE, the path "
    "of a file that contains the key.",
    "ECAPIPE_CLIENT_SECRET_<APP>[_<ORG>]": "Consumer secret, with the same names and suffix.",
    "ECAPIPE_JWT_KEY_FILE": "Path of the private key (RSA, PEM) for the JWT bearer flow, if --jwt-key-file isn't "
    "used.",
    "ECAPIPE_JWT_KEY_PASSPHRASE": "Passphrase of an encrypted private key. With the suffix _FILE, the path of a "
    "file that contains it.",
    "ECAPIPE_ALLOWED_HOSTS": "More hosts to accept as orgs, separated by spaces or commas.",
    "ECAPIPE_STATE_DIR": "State directory, an absolute path. Default: the usual place of the operating system.",
    "ECAPIPE_KEEP_RUNS": "Maximum number of recorded runs. Default: 50.",
    "ECAPIPE_SF, ECAPIPE_GIT": "Absolute path of the Salesforce CLI and of git. Default: the first on the PATH that "
    "is outside the repository.",
    "ECAPIPE_NO_PROJECT_CONFIG": "1: same as --no-project-config.",
    "ECAPIPE_LOG_LEVEL, SF_LOG_LEVEL": "Level of the log on standard error: trace, debug, info, warn, error or "
    "fatal. SF_LOG_LEVEL is the fallback.",
    "SF_TARGET_ORG": "Org to use if --target-org isn't used.",
    "SF_AUDIENCE_URL": "Audience of the JWT bearer flow, instead of the org's login host.",
    "SF_CONTENT_TYPE": "JSON: same as --json.",
    "SF_WEB_OAUTH_SERVER_TIMEOUT": "Milliseconds to wait for sign-ins, if --wait isn't used.",
    "BROWSER": "Browser to open.",
    "DISPLAY, WAYLAND_DISPLAY": "On Linux, no browser is opened if neither is set.",
    "GITHUB_ACTIONS, GITHUB_STEP_SUMMARY": "true: print annotations on standard error. GITHUB_STEP_SUMMARY: the "
    "file to write a summary to.",
    "TF_BUILD, AGENT_TEMPDIRECTORY": "True: print issues for Azure Pipelines on standard error. "
    "AGENT_TEMPDIRECTORY: the folder to write a summary to.",
    "CI, NO_COLOR, FORCE_COLOR, TERM": "CI: print lines instead of a live display. NO_COLOR: no colors. "
    "FORCE_COLOR: colors also in a pipe. TERM=dumb: lines, no colors.",
    "HTTPS_PROXY, ALL_PROXY, NO_PROXY": "Proxy for requests to orgs, with ALL_PROXY as the fallback. NO_PROXY: "
    "hosts to reach without a proxy.",
    "SSH_CONNECTION": "If set, the browser is on another machine: --callback auto asks for the redirect URL.",
    "CODESPACES, REMOTE_CONTAINERS, GITPOD_WORKSPACE_ID, SF_CONTAINER_MODE": "If set, the browser may be on "
    "another machine: --callback auto listens, and also asks for the redirect URL.",
    "WSL_DISTRO_NAME, WSL_INTEROP": "If set, the browser of Windows is opened.",
    "SSL_CERT_FILE, SSL_CERT_DIR, NODE_EXTRA_CA_CERTS, REQUESTS_CA_BUNDLE": "Additional certificates to trust.",
    "SF_ENV": "development: also print where a bug in ecapipe occurred.",
}

_TREES: Final = ("run", "app", "manifest", "emulator", "doctor")
_CREDENTIALS: Final = ("run", "app list", "app check", "app probe", "app rotate")
_ORGS: Final = ("run", "app probe", "app rotate", "login")
_USED_BY: Final[Mapping[str, Sequence[str]]] = {
    "ECAPIPE_CLIENT_ID_<APP>[_<ORG>]": _CREDENTIALS,
    "ECAPIPE_CLIENT_SECRET_<APP>[_<ORG>]": _CREDENTIALS,
    "ECAPIPE_JWT_KEY_FILE": ("run", "app check"),
    "ECAPIPE_JWT_KEY_PASSPHRASE": ("run", "app rotate", "login"),
    "ECAPIPE_ALLOWED_HOSTS": (*_ORGS, "app check"),
    "ECAPIPE_STATE_DIR": ("run", "runs", "login", "app", "doctor"),
    "ECAPIPE_KEEP_RUNS": ("run",),
    "ECAPIPE_SF, ECAPIPE_GIT": _TREES,
    "ECAPIPE_NO_PROJECT_CONFIG": _TREES,
    "SF_TARGET_ORG": _ORGS,
    "SF_AUDIENCE_URL": ("run", "app rotate", "login"),
    "SF_WEB_OAUTH_SERVER_TIMEOUT": ("run",),
    "BROWSER": ("run", "doctor"),
    "GITHUB_ACTIONS, GITHUB_STEP_SUMMARY": ("run", "app check", "report"),
    "TF_BUILD, AGENT_TEMPDIRECTORY": ("run", "app check", "report"),
    "DISPLAY, WAYLAND_DISPLAY": ("run", "doctor"),
    "HTTPS_PROXY, ALL_PROXY, NO_PROXY": (*_ORGS, "doctor"),
    "SSH_CONNECTION": ("run", "doctor"),
    "CODESPACES, REMOTE_CONTAINERS, GITPOD_WORKSPACE_ID, SF_CONTAINER_MODE": ("run", "doctor"),
    "WSL_DISTRO_NAME, WSL_INTEROP": ("run", "doctor"),
    "SSL_CERT_FILE, SSL_CERT_DIR, NODE_EXTRA_CA_CERTS, REQUESTS_CA_BUNDLE": (*_ORGS, "doctor"),
}
"""The commands and topics that read a variable; those that are not here are for all of them."""

EXIT_CODES: Final[Mapping[str, str]] = {
    "0": "Everything asked for succeeded.",
    "1": "Failed: nothing succeeded, there is a finding of the --fail-on severity or higher, or no apps were found.",
    "2": "Usage: unknown command or flag, bad value, unknown org or app, refused host, no org chosen.",
    "3": "A bug in ecapipe. The output says how to report it.",
    "68": "Partial: some targets succeeded, some failed.",
    "69": "Sign-ins are still pending; --resume continues with new links.",
    "130": "Interrupted by Ctrl-C, SIGTERM or SIGHUP. What finished is reported, and reports are written.",
}


_CODES: Final = "0 1 2 3 130"
_CODES_OF: Final[Mapping[str, str]] = {
    "ecapipe": " ".join(EXIT_CODES),
    "ecapipe run": " ".join(EXIT_CODES),
    "ecapipe report merge": " ".join(EXIT_CODES),
    "ecapipe app probe": "0 1 2 3 68 130",
    "ecapipe app rotate": "0 1 2 3 68 130",
    "ecapipe login refresh": "0 1 2 3 68 130",
}
"""The exit codes of the commands that have others than most."""


def width() -> int:
    """Columns of a page: as wide as the terminal, 80 where there is none."""
    return min(_WIDEST, terminal_width())


def _heading(title: str) -> str:
    return Screen(colour=coloured(sys.stdout)).paint(title, "heading")


def _wrap(text: str, columns: int) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), columns, break_on_hyphens=False) or [""]


def overview(*, full: bool) -> Iterator[str]:
    """The page of ``ecapipe`` itself."""
    yield from _wrap("From a retrieved Salesforce project to a verified token.", width())
    yield from _section("USAGE", ["$ ecapipe COMMAND"])
    rows = [(name, entry.summary) for name, entry in COMMANDS.items()]
    yield from _section("COMMANDS", _table([*rows, (HELP, f"Help for a command, or: {', '.join(TOPICS)}.")]))
    yield from _section("FLAGS", _table(FLAGS))
    yield from _rest("ecapipe", full)


def topic(name: str) -> Iterator[str]:
    """The page of one of `TOPICS`."""
    table = VARIABLES if name == "environment" else EXIT_CODES
    yield _heading(name.replace("-", " ").upper())
    yield from (f"  {line}".rstrip() for line in _table(list(table.items())))


def page(command: Any, context: Any) -> Iterator[str]:
    """The page of a command or topic, laid out from what typer knows of it."""
    name = context.command_path
    summary, _, description = (command.help or "").strip().partition("\n\n")
    options = [option for option in command.params if option.param_type_name == "option" and not option.hidden]
    yield from _wrap(summary, width())
    arguments = [each.metavar or each.name.upper() for each in command.params if each.param_type_name == "argument"]
    children = getattr(command, "commands", {})
    usage = list(arguments)
    if children:
        usage = ["COMMAND"]
    elif options:
        usage.append("[FLAGS]")
    yield from _section("USAGE", [f"$ {name} {' '.join(usage)}"])
    if children:
        rows = [(child, (command.help or "").strip().partition("\n\n")[0]) for child, command in children.items()]
        yield from _section("COMMANDS", _table(rows))
    by_panel: dict[str, list[tuple[str, str]]] = {}
    for option in options:
        by_panel.setdefault(option.rich_help_panel or "FLAGS", []).append(_row(option))
    for panel, flags in by_panel.items():
        yield from _section(panel, _table(flags))
    full = getattr(context.obj, "full_help", True)
    if full and description:
        paragraphs = [_wrap(part, width() - 2) for part in description.split("\n\n")]
        yield from _section("DESCRIPTION", [line for lines in paragraphs for line in (*lines, "")][:-1])
    yield from _rest(name, full)


def _rest(name: str, full: bool) -> Iterator[str]:
    """What full help adds, or where it is."""
    if not full:
        yield from ("", *_wrap(f"See {name} --help for examples, variables and exit codes.", width()))
        return
    examples = [
        (*_wrap(example.does, width() - 2), "", f"  $ {example.command}", "") for example in EXAMPLES.get(name, ())
    ]
    # Without the empty line that ends the last example.
    yield from _section("EXAMPLES", [line for lines in examples for line in lines][:-1])
    variables = [(variable, text) for variable, text in VARIABLES.items() if _reads(name, variable)]
    yield from _section("ENVIRONMENT VARIABLES", _table(variables))
    codes = _CODES_OF.get(name, _CODES).split()
    yield from _section("EXIT CODES", _table([(code, EXIT_CODES[code]) for code in codes]))
    yield from ("", *_wrap(f"See also: {', '.join(f'ecapipe {HELP} {each}' for each in TOPICS)}", width()))


def _reads(name: str, variable: str) -> bool:
    """Whether the command or topic with the path `name` reads a variable."""
    path = name.removeprefix("ecapipe ")
    users = _USED_BY.get(variable)
    return users is None or any(
        f"{path} ".startswith(f"{user} ") or f"{user} ".startswith(f"{path} ") for user in users
    )


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield from ("", _heading(title), *(f"  {line}".rstrip() for line in lines))


def _row(option: Any) -> tuple[str, str]:
    """``-d, --source-dir=DIR...`` and its help."""
    short = next((name for name in option.opts if not name.startswith("--")), None)
    long = next((name for name in option.opts if name.startswith("--")), "")
    left = f"{short}, {long}" if short else f"    {long}"
    words = [option.help or ""]
    if not getattr(option, "is_flag", False):
        left += f"={option.metavar}"
        if option.default not in (None, [], ()) and not callable(option.default):
            words.insert(0, f"[default: {getattr(option.default, 'value', option.default)}]")
    if option.multiple:
        left += "..."
    return left, " ".join(words)


def _table(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Two columns; a left side that is too wide is on a line of its own, as all are on a narrow terminal."""
    columns = width() - 2
    left_width = min(34 if columns > 90 else 28, max(len(left) for left, _ in rows))
    indent = left_width + 2 if columns >= _TWO_COLUMNS or left_width <= 10 else 4
    lines: list[str] = []
    for left, right in rows:
        wrapped = _wrap(right, columns - indent)
        if len(left) + 2 > indent:
            lines += [left] if columns >= _TWO_COLUMNS else _wrap(left, columns)
            left = ""
        lines += [f"{left:{indent}}{wrapped[0]}", *(" " * indent + line for line in wrapped[1:])]
    return lines
