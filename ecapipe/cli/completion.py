"""Completion for shells: what may follow the words on a command line, and how a shell comes to ask.

A script starts ecapipe with the words up to the cursor, the last of them unfinished or empty, and reads candidates
line by line: the word, a tab, what it means. It runs nothing of what it reads, and an answer holds no character that
a shell would.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ecapipe.adapters.environment import Environment
from ecapipe.cli import arguments
from ecapipe.cli.completion_scripts import SCRIPTS
from ecapipe.cli.help import COMMANDS
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unreadable_file, unwritable_file, usage_error

if TYPE_CHECKING:
    from ecapipe.project.discovery import ProjectSelection

VARIABLE: Final = "_ECAPIPE_COMPLETE"
"""Set by the scripts, to the name of the shell."""

SHOW, INSTALL = "--show-completion", "--install-completion"
FLAGS: Final = {
    SHOW: "Print the completion script for bash, zsh, fish or powershell.",
    INSTALL: "Install completion for bash, zsh or fish.",
    "--version": "Print the version.",
    "--help": "Print the full help; -h is shorter.",
}

_PLAIN: Final = re.compile(r"[\w.,@:/=+-]+")
"""Words that mean themselves in every shell. Others are not offered: they may come from a file of anybody."""

_STARTUP: Final = {"bash": ".bashrc", "zsh": ".zshrc"}
"""What a shell reads when it starts, below the home folder."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the last word may become, and what that means; empty where the word says it."""

    word: str
    meaning: str = ""


def answer(words: Sequence[str], environment: Environment) -> Iterator[str]:
    """The lines for a script that asks about `words`."""
    # PowerShell drops empty arguments, so its script hands over the last word apart.
    if environment.get(VARIABLE) == "powershell":
        words = [*words, environment.get(f"{VARIABLE}_WORD") or ""]
    for candidate in candidates(words or [""], environment):
        # Text of files that anybody may have written: a shell must not find a command in it.
        if not _PLAIN.fullmatch(candidate.word):
            continue
        line = candidate.word
        if candidate.meaning:
            line += f"\t{' '.join(candidate.meaning.split())}"
        yield line


def candidates(words: Sequence[str], environment: Environment) -> Iterator[Candidate]:
    """What the last of `words` may become; nothing for a path or free text."""
    *before, last = [word for word in words if word != "="] or [""]
    # bash makes three words of --name=value.
    if words[-1] == "=":
        before, last = [*before, last], ""
    option, mark, start = last.partition("=")
    prefix = ""
    if mark and option.startswith("--"):
        before, last, prefix = [*before, option], start, f"{option}="
    for candidate in _candidates_after(before, last, environment):
        if candidate.word.startswith(last):
            yield Candidate(prefix + candidate.word, candidate.meaning)


def _candidates_after(before: Sequence[str], last: str, environment: Environment) -> Iterable[Candidate]:
    """What may follow the words `before`, of the kind that `last` begins; not all of it begins like `last`."""
    if not before:
        return _first_words(last)
    name = before[0]
    if name in (SHOW, INSTALL):
        return _plain(_shells(name))
    if name not in COMMANDS:
        return ()
    child = None
    if COMMANDS[name].children:
        # Their summaries are worth no import: people who know the topic choose by name.
        if len(before) == 1:
            return _plain(COMMANDS[name].children)
        child = before[1]
    command = load_command(name, child)
    if command is None:
        return ()
    return _parameters(command, before, last, environment)


def _first_words(last: str) -> list[Candidate]:
    if last.startswith("-"):
        return [Candidate(flag, meaning) for flag, meaning in FLAGS.items()]
    return [Candidate(name, entry.summary) for name, entry in COMMANDS.items()]


def _parameters(command: Any, before: Sequence[str], last: str, environment: Environment) -> Iterable[Candidate]:
    """The value of the option before the cursor, else the options that are left, else the argument."""
    options = [each for each in command.params if each.param_type_name == "option"]
    by_word = {word: option for option in options for word in option.opts}
    option = by_word.get(before[-1])
    if option is not None and not option.is_flag:
        return _values(option, before, environment)
    if last.startswith("-"):
        used = {by_word[word].name for word in before if word in by_word and not by_word[word].multiple}
        return [
            Candidate(next(word for word in option.opts if word[:2] == "--"), option.help or "")
            for option in options
            if option.name not in used
        ]
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            return _values(parameter, before, environment)
    return ()


def _values(parameter: Any, before: Sequence[str], environment: Environment) -> Iterable[Candidate]:
    """The values of an option or argument, by what its help calls them."""
    metavar = (parameter.metavar or "").strip("[]")
    match arguments.kind(parameter):
        case "APP":
            return _plain(_apps(before, environment))
        case "ORG":
            return _orgs(before, environment)
        # As an option, NAME is what somebody makes up.
        case "NAME" if parameter.param_type_name == "argument":
            return _explanations()
        case "RUN" | "RUN|FILE":
            from ecapipe.adapters.storage import journal

            return _plain(journal.names(environment))
        case "FORMAT=PATH":
            from ecapipe.render import reports

            return _plain(f"{name}=" for name in reports.FORMATS)
        case arguments.CHOICE:
            return _plain(metavar.split("|"))
        case _:
            return ()


def _plain(words: Iterable[str]) -> list[Candidate]:
    """Candidates that need no explanation."""
    return [Candidate(word) for word in words]


def _shells(flag: str) -> list[str]:
    """The shells that `flag` takes: PowerShell has no startup file of a certain name to install into."""
    if flag == SHOW:
        return list(SCRIPTS)
    return [*_STARTUP, "fish"]


def load_command(name: str, child: str | None) -> Any:
    """The command as typer knows it, with its parameters; None for one that does not exist."""
    import typer

    from ecapipe.cli.commands import Command, Group, load_topic

    if child is None:
        module = import_module(f"ecapipe.cli.{name}")
        parser = typer.Typer(cls=Group, rich_markup_mode=None, add_completion=False)
        # With a callback typer makes a group of it, even of one command.
        parser.callback()(lambda: None)
        parser.command(name, cls=Command)(getattr(module, name))
        return typer.main.get_command(parser).commands[name]  # type: ignore[attr-defined]  # it is a group
    return typer.main.get_group(load_topic(name, (child,))).commands.get(child)


def _apps(before: Sequence[str], environment: Environment) -> Iterable[str]:
    """The apps in the folders that the options before the cursor name; for ``login``, those of saved logins."""
    from ecapipe.adapters import composition
    from ecapipe.project import discovery

    if before[0] == "login":
        return _login_values("app", environment)
    try:
        result = discovery.discover(_project(before, environment), composition.real_world(environment))
    except EcapipeError:
        # A completion has no place for a message.
        return ()
    return [app.name for app in result.apps]


def _login_values(member: str, environment: Environment) -> list[str]:
    """The values of a member of the records of saved logins, which are read without their secrets."""
    from ecapipe.adapters import composition
    from ecapipe.saved.records import SavedRecord

    try:
        records = list(composition.real_world(environment).store.records("login"))
    except EcapipeError:
        return []
    values = [record.members.get(member) for record in records if isinstance(record, SavedRecord)]
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def _orgs(before: Sequence[str], environment: Environment) -> Iterable[Candidate]:
    """The aliases of the project's configured orgs, and those of the Salesforce CLI."""
    from ecapipe.adapters import composition, salesforce_cli
    from ecapipe.project import discovery

    if before[0] == "login":
        return _plain(_login_values("alias", environment))
    # From its file: to start the Salesforce CLI takes longer than anybody waits for a completion.
    urls = dict(salesforce_cli.aliases(environment))
    try:
        for project in discovery.projects(_project(before, environment), composition.real_world(environment)):
            urls |= {alias: str(members.get("url", "")) for alias, members in project.orgs.items()}
    except EcapipeError:
        # No project: the aliases of the Salesforce CLI are left.
        pass
    return [Candidate(alias, url) for alias, url in urls.items()]


def _explanations() -> list[Candidate]:
    """The names that ``explain`` takes."""
    from ecapipe.check.rules.registry import RULES

    rules = [Candidate(rule.name, rule.means) for rule in RULES.values()]
    return [*rules, *(Candidate(problem.name, problem.means) for problem in CATALOGUE.values())]


def _project(before: Sequence[str], environment: Environment) -> ProjectSelection:
    """What the options before the cursor select."""
    from ecapipe.cli import options

    values: dict[str, list[str]] = {}
    words = iter(before)
    for word in words:
        name, mark, value = word.partition("=")
        if name in ("-d", "--source-dir", "--metadata-dir"):
            values.setdefault(name, []).append(value if mark else next(words, ""))
    sources = [*values.get("-d", []), *values.get("--source-dir", [])]
    trees, untrusted = values.get("--metadata-dir"), "--no-project-config" in before
    return options.select_project(environment, sources, trees, no_project_config=untrusted)


def main(words: Sequence[str], environment: Environment) -> list[str]:
    """What ``--show-completion`` or ``--install-completion`` prints.

    Raises `EcapipeError`: UsageError for an unknown shell or further words, UnwritableFile.
    """
    flag, *rest = words
    shell = rest[0] if rest else _own_shell(environment)
    shells = _shells(flag)
    if shell == "powershell" and shell not in shells and len(rest) < 2:
        sentence = f"{INSTALL} doesn't support PowerShell."
        action = f"In PowerShell, run: ecapipe {SHOW} powershell | Out-File -Append -Encoding utf8 $PROFILE"
        raise EcapipeError(usage_error(sentence, "ecapipe", action))
    if len(rest) > 1 or shell not in shells:
        sentence = f"Expected {flag} to be one of: {', '.join(shells)}."
        raise EcapipeError(usage_error(sentence, "ecapipe", f"Example: ecapipe {flag} bash"))
    if flag == SHOW:
        return SCRIPTS[shell].splitlines()
    home = environment.get("HOME") or os.path.expanduser("~")
    if shell == "fish":
        return [_install_for_fish(home, environment)]
    return [_install(shell, home)]


def _install_for_fish(home: str, environment: Environment) -> str:
    """Put the script where fish looks for it; what was done."""
    folder = environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    path = os.path.join(folder, "fish", "completions", "ecapipe.fish")
    _write(path, SCRIPTS["fish"], "w")
    return f"Wrote {path}."


def _install(shell: str, home: str) -> str:
    """Put a line into the shell's startup file, unless it is there; what was done."""
    path = os.path.join(home, _STARTUP[shell])
    # A line that asks for the script, rather than the script: it is then always that of the installed version.
    line = f'eval "$(ecapipe {SHOW} {shell})"'
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            before = file.read()
    except FileNotFoundError:
        before = ""
    except OSError as error:
        raise EcapipeError(unreadable_file(path, error.strerror or "unknown reason")) from None
    if line in before.splitlines():
        return f"Completion is already installed in {path}."
    # The last line of the file may lack its end.
    if before and not before.endswith("\n"):
        line = f"\n{line}"
    _write(path, f"{line}\n", "a")
    return f"Added completion to {path}. Open a new shell to use it."


def _write(path: str, text: str, mode: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, mode, encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise EcapipeError(unwritable_file(path, error.strerror or "unknown reason")) from None


def _own_shell(environment: Environment) -> str:
    """The user's shell, as far as the environment tells."""
    shell = os.path.basename(environment.get("SHELL") or "")
    # SHELL is set on Windows only by what brings a shell of its own, like Git Bash.
    if shell not in SCRIPTS and sys.platform == "win32":
        return "powershell"
    return shell
