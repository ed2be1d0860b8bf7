"""Mistakes in a command line: values that cannot be meant, and habits from other command lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from typer import Context, exceptions

from ecapipe.cli.help import COMMANDS
from ecapipe.problems.problem import EcapipeError, Problem, did_you_mean
from ecapipe.problems.usage import usage_error

_ORG: Final = "Specify the org with --target-org: an alias, a URL, or ALIAS=URL."
_KEY: Final = "The consumer key is read from the app's settings file or ECAPIPE_CLIENT_ID_<APP>."
_NO_FLAG: Final = "Set ECAPIPE_CLIENT_SECRET_<APP> instead. Secrets can't be passed in flags."
_MANIFEST: Final = "Select apps with --name. To create a manifest: ecapipe manifest"
_LOG: Final = "Set ECAPIPE_LOG_LEVEL instead."
_ALIAS: Final = "Use --target-org ALIAS=URL."

# Flags and commands of sf (https://developer.salesforce.com/docs/atlas.en-us.sfdx_cli_reference.meta) and of its
# predecessor, and what takes their place here.
_FLAGS: Final[Mapping[str, str]] = {
    "-a": _ALIAS, "--alias": _ALIAS, "--setalias": _ALIAS,
    "-r": _ORG, "--instance-url": _ORG, "--instanceurl": _ORG, "--org": _ORG, "-u": _ORG, "--targetusername": _ORG,
    "--target-username": _ORG, "--login-url": _ORG, "--url": _ORG,
    "-i": _KEY, "--client-id": _KEY, "--clientid": _KEY, "--consumer-key": _KEY,
    "--client-secret": _NO_FLAG, "--consumer-secret": _NO_FLAG, "--secret": _NO_FLAG, "--password": _NO_FLAG,
    "-x": _MANIFEST, "--manifest": _MANIFEST, "-m": _MANIFEST, "--metadata": _MANIFEST,
    "-l": _LOG, "--loglevel": _LOG, "--log-level": _LOG,
    "--project-dir": "Specify the project with --source-dir.", "--app": "Select an app with --name.",
    "--test-level": "ecapipe doesn't deploy. Use sf project deploy start.", "--no-browser": "Use --browser none.",
    "--quiet": "Use --concise.", "-q": "Use --concise.", "--yes": "Use --no-prompt.", "-y": "Use --no-prompt.",
    "-v": "Use --verbose, or ecapipe --version.", "-V": "Use ecapipe --version.",
}  # fmt: skip
_WORDS: Final[Mapping[str, str]] = {
    "commands": "To list the commands: ecapipe --help",
    "version": "To print the version: ecapipe --version",
    "org": "To log in to an org: ecapipe run --target-org ORG",
    "auth": "To log in to an org: ecapipe run --target-org ORG",
    "project": "To retrieve external client apps and log in: ecapipe run --retrieve --target-org ORG",
    "config": "Settings are in sfdx-project.json, under plugins.ecapipe.",
    "autocomplete": "To set up completion: ecapipe --install-completion bash",
    "update": "Update ecapipe the way you installed it.",
}


_NUMBERS: Final = {"int": "a whole number", "integer": "a whole number", "float": "a number"}


def refuse(context: Context, command: Any, words: Sequence[str]) -> None:
    """Raise `EcapipeError` (UsageError) for a flag given twice that takes one value, for a value that is empty or is
    itself a flag, and for a word too many; typer's exceptions for what it refuses itself."""
    values, rest, order = command.make_parser(context).parse_args(list(words))
    known = {name for each in command.params if each.param_type_name == "option" for name in each.opts}
    for mistake in _mistakes(values, order, known | {*context.help_option_names}):
        raise EcapipeError(usage_error(mistake, context.command_path))
    if rest:
        raise EcapipeError(_too_many(words, rest[0], command, context.command_path))


def _mistakes(values: Mapping[str, Any], order: Sequence[Any], known: Iterable[str]) -> Iterator[str]:
    """A sentence for each mistake; `order` holds a parameter as often as it was given."""
    # Each parameter once: a batch names its thousand orgs with one flag.
    for parameter, times in Counter(order).items():
        value = values.get(parameter.name)
        if parameter.param_type_name != "option":
            given = value if isinstance(value, tuple | list) else (value,)
            if any(isinstance(each, str) and not each.strip() for each in given):
                yield f"{parameter.metavar.strip('[]')} is empty."
            continue
        if parameter.is_flag:
            continue
        flag = parameter.opts[0]
        if times > 1 and not parameter.multiple:
            yield f"{flag} can only be given once."
        for each in value if isinstance(value, tuple | list) else (value,):
            if not str(each).strip():
                yield f"{flag} expects a value, but it is empty."
            elif str(each).partition("=")[0] in known or (re.match("-[^-]", str(each)) and str(each)[:2] in known):
                yield f"{flag} expects a value, but is followed by another flag."


def _too_many(words: Sequence[str], word: str, command: Any, path: str) -> Problem:
    """For a word that no flag and no argument takes."""
    before = [*words[: list(words).index(word)]]
    flag = next((each for each in reversed(before) if each.startswith("-")), None)
    repeatable = {name for each in command.params if getattr(each, "multiple", False) for name in each.opts}
    hints = [f"Repeat the flag for each value: {flag} VALUE {flag} VALUE"] if flag in repeatable else []
    if flag is None and any("--name" in each.opts for each in command.params):
        hints = ["Select an app with --name."]
    return usage_error(f"Unexpected argument: {word}.", path, *hints)


def unknown_word(words: Sequence[str], path: str, known: Iterable[str]) -> Problem:
    """For a first word that is no command below `path`, where those in `known` are."""
    word = words[0]
    if word.startswith("-"):
        return usage_error(f"Nonexistent flag: {word}.", path, *_habit(word))
    plain = word.replace(":", " ").split()
    topic = next((name for name, entry in COMMANDS.items() if word in entry.children), None)
    hints = [*did_you_mean(word, known)]
    if plain and plain[0] in COMMANDS and len(plain) > 1:
        hints = [f"Did you mean ecapipe {' '.join(plain)}?"]
    elif word in _WORDS:
        hints = [_WORDS[word]]
    elif topic:
        hints = [f"Did you mean ecapipe {topic} {word}?"]
    return usage_error(f"{path.partition(' ')[2]} {word} is not an ecapipe command.".lstrip(), path, *hints)


def _habit(flag: str) -> list[str]:
    return [_FLAGS[flag]] if flag in _FLAGS else []


def usage_problem(error: exceptions.TyperException, path: str) -> Problem:
    """What typer refuses, in the words of `sf`."""
    flag = getattr(error, "option_name", None)
    if flag is None:
        return usage_error(_worded(error), path)
    if "requires" in error.format_message():
        several = re.search("requires ([0-9]+)", error.format_message())
        return usage_error(f"{flag} expects {several[1] + ' values' if several else 'a value'}.", path)
    if "does not take a value" in error.format_message():
        return usage_error(f"{flag} doesn't take a value.", path)
    hints = _habit(flag) or [f"Did you mean {name}?" for name in getattr(error, "possibilities", None) or ()]
    return usage_error(f"Nonexistent flag: {flag}.", path, *hints)


def _missing(metavar: str) -> str:
    name = metavar.removesuffix("...")
    return f"Specify {'' if name == metavar else 'at least one '}{name}."


def _worded(error: exceptions.TyperException) -> str:
    parameter = getattr(error, "param", None)
    if parameter is None:
        return error.format_message()
    if not getattr(error, "message", ""):
        return _missing(parameter.metavar or parameter.name.upper())
    name, value = parameter.opts[0], re.match("'(.*)' is not", getattr(error, "message", ""))
    if value:
        name += f"={value[1]}"
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return f"Expected {name} to be one of: {', '.join(getattr(each, 'value', each) for each in choices)}."
    if number := _NUMBERS.get(parameter.type.name.removesuffix(" range")):
        least, most = (getattr(parameter.type, end, None) for end in ("min", "max"))
        span = "" if least is None or most is None else f" from {least} to {most}"
        return f"Expected {name} to be {number}{span}."
    return error.format_message()
