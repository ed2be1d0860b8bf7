"""Completion for shells: the scripts that ask, and the answers.

A script starts ecapipe with the words up to the cursor, the last of them unfinished or empty, and reads candidates
line by line: the word, a tab, what it means. It runs nothing of what it reads, and an answer holds no character that
a shell would.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ecapipe.adapters.environment import Environment
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
    SHOW: "Print what completes ecapipe in bash, zsh, fish or powershell.",
    INSTALL: "Make bash, zsh or fish complete ecapipe from now on.",
    "--version": "The version.",
    "--help": "All of the help; -h is shorter.",
}

_PLAIN: Final = re.compile(r"[\w.,@:/=+-]+")
"""Words that mean themselves in every shell. Others are not offered: they may come from a file of anybody."""

_BASH = """\
_ecapipe() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("${line%%$'\\t'*}")
  done < <(_ECAPIPE_COMPLETE=bash "${1/#\\~/$HOME}" "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -o default -F _ecapipe ecapipe
"""

_ZSH = """\
_ecapipe() {
  local line
  local -a spoken values more
  spoken=("${(@Q)words[2,CURRENT]}")
  while IFS= read -r line; do
    if [[ $line == *$'\t'* ]]; then
      values+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    else
      values+=("${line//:/\\:}")
    fi
    [[ $line == *= ]] && more=(-S '')
  done < <(_ECAPIPE_COMPLETE=zsh ${~words[1]} "${spoken[@]}" 2>/dev/null)
  if (( ${#values} )); then _describe ecapipe values "${more[@]}"; else _files; fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }
compdef _ecapipe ecapipe
"""

_FISH = """\
function __ecapipe_complete
    set -l words (commandline -opc)
    set -l found (env _ECAPIPE_COMPLETE=fish $words[1] $words[2..-1] (commandline -ct) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command ecapipe --no-files --arguments '(__ecapipe_complete)'
"""

_POWERSHELL = """\
Register-ArgumentCompleter -Native -CommandName ecapipe -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { if ($null -ne $_.Value) { $_.Value } else { $_.ToString() } })
    $rest = @($words | Select-Object -Skip 1)
    try {
        $env:_ECAPIPE_COMPLETE = 'powershell'
        $env:_ECAPIPE_COMPLETE_WORD = $wordToComplete
        & $words[0] @rest 2>$null | ForEach-Object {
            $value, $help = $_ -split "`t", 2
            if (-not $help) { $help = $value }
            [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $help)
        }
    } finally {
        $env:_ECAPIPE_COMPLETE = $null
        $env:_ECAPIPE_COMPLETE_WORD = $null
    }
}
"""

SCRIPTS: Final = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}

_STARTUP: Final = {"bash": ".bashrc", "zsh": ".zshrc"}
"""What a shell reads when it starts, below the home folder."""


def answer(words: Sequence[str], environment: Environment) -> Iterator[str]:
    """The lines for a script that asks about `words`."""
    if environment.get(VARIABLE) == "powershell":  # it drops empty arguments
        words = [*words, environment.get(f"{VARIABLE}_WORD") or ""]
    for value, meaning in candidates(words or [""], environment):
        if _PLAIN.fullmatch(value):
            yield f"{value}\t{' '.join(meaning.split())}" if meaning else value


def candidates(words: Sequence[str], environment: Environment) -> Iterator[tuple[str, str]]:
    """What the last of `words` may become, and what that means; nothing where a path or free text is wanted."""
    *before, last = [word for word in words if word != "="] or [""]
    if words[-1] == "=":  # bash makes words of its own of --name=value
        before, last = [*before, last], ""
    option, mark, start = last.partition("=")
    prefix = ""
    if mark and option.startswith("--"):
        before, last, prefix = [*before, option], start, f"{option}="
    for value, meaning in _meant(before, last, environment):
        if value.startswith(last):
            yield prefix + value, meaning


def _meant(before: Sequence[str], last: str, environment: Environment) -> Iterable[tuple[str, str]]:
    name = before[0] if before else ""
    if not before:
        return FLAGS.items() if last.startswith("-") else [(each, entry.summary) for each, entry in COMMANDS.items()]
    if name in (SHOW, INSTALL):
        return [(shell, "") for shell in SCRIPTS if name == SHOW or shell in (*_STARTUP, "fish")]
    if name not in COMMANDS:
        return ()
    children = COMMANDS[name].children
    if children and len(before) == 1:
        return _children(name)
    command = _command(name, before[1] if children else None)
    if command is None:
        return ()
    options = {word: each for each in command.params for word in each.opts if each.param_type_name == "option"}
    wanted = options.get(before[-1])
    if wanted is not None and not wanted.is_flag:
        return _values(wanted, before, environment)
    if last.startswith("-"):
        used = {options[word].name for word in before if word in options and not options[word].multiple}
        shown = [each for each in command.params if each.param_type_name == "option" and each.name not in used]
        return [(next(word for word in each.opts if word[:2] == "--"), each.help or "") for each in shown]
    argument = next((each for each in command.params if each.param_type_name == "argument"), None)
    return _values(argument, before, environment) if argument is not None else ()


def _values(parameter: Any, before: Sequence[str], environment: Environment) -> Iterable[tuple[str, str]]:
    """The values of an option or argument, by what its help calls them."""
    kind = (parameter.metavar or "").strip("[]").partition("...")[0].rstrip("…")
    match kind:
        case "APP":
            return [(name, "") for name in _apps(before, environment)]
        case "ORG":
            return _orgs(before, environment)
        case "NAME" if parameter.param_type_name == "argument":
            return _explained()
        case "RUN" | "RUN|FILE":
            from ecapipe.adapters.storage import journal

            return [(run, "") for run in journal.names(environment)]
        case "FORMAT=PATH":
            from ecapipe.render import reports

            return [(f"{name}=", "") for name in reports.FORMATS]
        case _:
            return [(choice, "") for choice in kind.split("|")] if "|" in kind else ()


def _children(name: str) -> list[tuple[str, str]]:
    """A topic's commands. Their summaries are worth no import: people who know the topic choose by name."""
    return [(child, "") for child in COMMANDS[name].children]


def _command(name: str, child: str | None) -> Any:
    """The command as typer knows it, with its parameters; None for one that is not there."""
    import typer

    from ecapipe.cli.commands import Command, Group

    line = typer.Typer(cls=Group, rich_markup_mode=None, add_completion=False)
    line.callback()(lambda: None)
    module = import_module(f"ecapipe.cli.{name}")
    if child is None:
        line.command(name, cls=Command)(getattr(module, name))
        return typer.main.get_command(line).commands[name]  # type: ignore[attr-defined]  # it is a group
    return typer.main.get_command(module.commands).commands.get(child)  # type: ignore[attr-defined]


def _apps(before: Sequence[str], environment: Environment) -> Iterable[str]:
    """The apps that the options before the cursor let the command see; of kept logins where it is about them."""
    from ecapipe.adapters import composition
    from ecapipe.project import discovery

    if before[0] == "login":
        return _kept("app", environment)
    try:
        found = discovery.discover(_where(before, environment), composition.real_world(environment))
    except EcapipeError:
        return ()
    return [app.name for app in found.apps]


def _kept(member: str, environment: Environment) -> list[str]:
    """A member of the records of kept logins, which hold no secret here."""
    from ecapipe.adapters import composition
    from ecapipe.saved.records import SavedRecord

    try:
        records = list(composition.real_world(environment).store.records("login"))
    except EcapipeError:
        return []
    values = [record.members.get(member) for record in records if isinstance(record, SavedRecord)]
    return list(dict.fromkeys(value for value in values if isinstance(value, str)))


def _orgs(before: Sequence[str], environment: Environment) -> Iterator[tuple[str, str]]:
    """The aliases of the project's configured orgs, and those of the Salesforce CLI as its file has them: starting
    it would take longer than anybody waits for a completion."""
    from ecapipe.adapters import composition, salesforce_cli
    from ecapipe.project import discovery

    if before[0] == "login":
        yield from ((alias, "") for alias in _kept("alias", environment))
        return
    known: dict[str, str] = {}
    try:
        for found in discovery.projects(_where(before, environment), composition.real_world(environment)):
            known |= {alias: str(members.get("url", "")) for alias, members in found.orgs.items()}
    except EcapipeError:  # no project: the Salesforce CLI's are left
        pass
    yield from {**salesforce_cli.aliases(environment), **known}.items()


def _explained() -> list[tuple[str, str]]:
    from ecapipe.check import findings

    rules = [(rule.name, rule.means) for rule in findings.RULES.values()]
    return [*rules, *((known.name, known.means) for known in CATALOGUE.values())]


def _where(before: Sequence[str], environment: Environment) -> ProjectSelection:
    """What the options before the cursor point at."""
    from ecapipe.cli import options

    values: dict[str, list[str]] = {}
    words = iter(word for word in before)
    for word in words:
        name, mark, value = word.partition("=")
        if name in ("-d", "--source-dir", "--metadata-dir"):
            values.setdefault(name, []).append(value if mark else next(words, ""))
    sources = [*values.get("-d", []), *values.get("--source-dir", [])]
    return options.project_selection(
        environment, sources, None, "--no-project-config" in before, metadata_dirs=values.get("--metadata-dir")
    )


def main(given: Sequence[str], environment: Environment) -> list[str]:
    """What ``--show-completion`` or ``--install-completion`` prints.

    Raises `EcapipeError`: UsageError for an unknown shell or further words, UnwritableFile.
    """
    flag, *rest = given
    shell = rest[0] if rest else _own_shell(environment)
    known = list(SCRIPTS) if flag == SHOW else [*_STARTUP, "fish"]
    if len(rest) > 1 or shell not in known:
        if shell == "powershell" and len(rest) < 2:
            sentence = f"{INSTALL} knows no startup file of PowerShell."
            action = f"In PowerShell: ecapipe {SHOW} powershell | Out-File -Append -Encoding utf8 $PROFILE"
            raise EcapipeError(usage_error(sentence, "ecapipe", action))
        sentence = f"{flag} takes one shell: {', '.join(known)}."
        raise EcapipeError(usage_error(sentence, "ecapipe", f"Try ecapipe {flag} bash"))
    return SCRIPTS[shell].splitlines() if flag == SHOW else [_installed(shell, environment)]


def _installed(shell: str, environment: Environment) -> str:
    """Put a line into the shell's startup file, or the script where fish looks for it; what was done."""
    home = environment.get("HOME") or os.path.expanduser("~")
    if shell == "fish":
        folder = environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        path = os.path.join(folder, "fish", "completions", "ecapipe.fish")
        _write(path, SCRIPTS[shell], "w")
        return f"Wrote {path}."
    path = os.path.join(home, _STARTUP[shell])
    line = f'eval "$(ecapipe {SHOW} {shell})"'
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            before = file.read()
    except FileNotFoundError:
        before = ""
    except OSError as error:
        raise EcapipeError(unreadable_file(path, error.strerror or "unknown reason")) from None
    if line in before.splitlines():
        return f"{path} completes ecapipe already."
    _write(path, f"{'' if not before or before.endswith(chr(10)) else chr(10)}{line}\n", "a")
    return f"Added a line to {path}: new shells complete ecapipe."


def _write(path: str, text: str, mode: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, mode, encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise EcapipeError(unwritable_file(path, error.strerror or "unknown reason")) from None


def _own_shell(environment: Environment) -> str:
    """The user's shell, as far as the environment tells."""
    named = os.path.basename(environment.get("SHELL") or "")
    return named if named in SCRIPTS else "powershell" if sys.platform == "win32" else named
