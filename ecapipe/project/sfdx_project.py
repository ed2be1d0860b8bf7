"""An SFDX project: its root, its package directories, and its settings for ecapipe."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.project import (
    invalid_package_directory_error,
    json_parse_error,
    missing_default_path_error,
    multiple_default_paths_error,
    no_package_directories,
    schema_validation_error,
    single_non_default_package_error,
    unfit_api_version,
)
from ecapipe.project import replacements
from ecapipe.project.replacements import Replacement

FILE = "sfdx-project.json"
DEFAULT_API_VERSION = "60.0"
"""The oldest version whose REST API knows all that ecapipe asks; used when the project names none."""

FIRST_API_VERSION: Final = "59.0"
"""The first one with external client apps."""

_VERSION: Final = re.compile(r"[0-9]{1,3}(\.0)?")


@dataclass(frozen=True, slots=True)
class Project:
    """What `sfdx-project.json` says. `root` is absolute; package directories are relative to it, with ``/``.

    A folder without a project (the output of a retrieve) is a `Project` whose one package directory is ``.``.
    """

    root: str
    package_directories: tuple[str, ...]
    namespace: str = ""
    login_url: str | None = None
    api_version: str = DEFAULT_API_VERSION
    unfit_api_version: Problem | None = None
    """Why ``sourceApiVersion`` does not fit external client apps."""
    orgs: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    tree: str = ""
    """What results call it, as `ProjectFacts.tree`."""
    replacements: tuple[Replacement, ...] = ()
    rules: Mapping[str, object] = field(default_factory=dict)
    """The levels that the project gives to rules, as written; `check.rules.registry.parse_levels` reads them."""
    baseline: str | None = None
    """The file of accepted findings, relative to the root."""
    trusted: bool = True
    """Whether the replacements give values; otherwise the texts that they would replace are placeholders only."""

    @property
    def variables(self) -> frozenset[str]:
        """The variables that it names for credentials: in orgs, selected or not, and in replacements."""
        of_orgs = (members.get("secretEnv") for members in self.orgs.values())
        of_replacements = (each.origin for each in self.replacements if each.kind == "variable")
        return frozenset((*(name for name in of_orgs if isinstance(name, str) and name), *of_replacements))


def named(text: str) -> frozenset[str]:
    """Every variable that the text of `sfdx-project.json` names for a credential, whatever is wrong with the rest."""
    # All members of all objects, also of those that a repeated name hides: what is named anywhere is withheld from
    # child processes, even where the file is refused.
    pairs: list[tuple[str, object]] = []
    with suppress(ValueError, RecursionError):
        json.loads(text.removeprefix("\ufeff"), object_pairs_hook=pairs.extend)
    names = [value for name, value in pairs if name in ("secretEnv", "replaceWithEnv")]
    return frozenset(name for name in names if isinstance(name, str) and name)


def parse(text: str, root: str, *, trusted: bool = True) -> Project:
    """Read `sfdx-project.json`.

    `trusted` False leaves out ``plugins.ecapipe`` and ``sfdcLoginUrl``, and takes no value from ``replacements``
    (``--no-project-config``): they let the project choose where values come from, and where they go. Raises
    `EcapipeError` with the Salesforce CLI's names for what it finds wrong (sfdx-core, SfProjectJson). Whether the
    package directories exist is not looked at: nothing is read from the disk here.
    """
    members = _object(_loads(text), "it must be an object")
    directories, version = _directories(members), _string(members, "sourceApiVersion")
    project = Project(
        root=root,
        package_directories=directories,
        api_version=_api_version(version),
        unfit_api_version=_unfit(version),
        namespace=_string(members, "namespace") or "",
        login_url=_string(members, "sfdcLoginUrl") if trusted else None,
        replacements=_replacements(members, trusted=trusted),
        trusted=trusted,
    )
    return _configured(project, _plugin(members) if trusted else {})


def configured_by(text: str | None, project: Project) -> Project:
    """The project with ``plugins.ecapipe`` of another version of its `sfdx-project.json`; None: there was no file.

    Raises `EcapipeError` as `parse`.
    """
    members = {} if text is None else _object(_loads(text), "it must be an object")
    return _configured(project, _plugin(members))


def directories(text: str | None) -> tuple[str, ...]:
    """The package directories that a version of `sfdx-project.json` names; none where it cannot be read."""
    try:
        return _directories(_object(_loads(text or "{}"), "it must be an object"))
    except EcapipeError:
        return ()


def same_configuration(one: str | None, other: str | None) -> bool:
    """Whether two versions of `sfdx-project.json` hold the same ``plugins.ecapipe``; raises as `parse`."""
    return one == other or _configuration(one) == _configuration(other)


def _configuration(text: str | None) -> str:
    members = _loads(text or "{}")
    for name in ("plugins", "ecapipe"):
        members = members.get(name, {}) if isinstance(members, dict) else members
    # As text: to Python, true equals 1.
    return json.dumps(members, sort_keys=True)


def _configured(project: Project, plugin: Mapping[str, object]) -> Project:
    orgs = _object(plugin.get("orgs", {}), "plugins.ecapipe.orgs must be an object")
    return replace(
        project,
        orgs={alias: _object(org, f"plugins.ecapipe.orgs.{alias} must be an object") for alias, org in orgs.items()},
        rules=_object(plugin.get("rules", {}), "plugins.ecapipe.rules must be an object"),
        baseline=_baseline(_string(plugin, "baseline", "plugins.ecapipe.")),
    )


def _plugin(members: Mapping[str, object]) -> dict[str, object]:
    plugins = _object(members.get("plugins", {}), "plugins must be an object")
    return _object(plugins.get("ecapipe", {}), "plugins.ecapipe must be an object")


def _api_version(text: str | None) -> str:
    if text is None or not _VERSION.fullmatch(text):
        return DEFAULT_API_VERSION
    return f"{text.removesuffix('.0')}.0"


def _unfit(version: str | None) -> Problem | None:
    if version is None or (_VERSION.fullmatch(version) and float(version) >= float(FIRST_API_VERSION)):
        return None
    return unfit_api_version(version, FILE)


def _loads(text: str) -> object:
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise EcapipeError(json_parse_error(FILE, error.lineno, error.colno, error.msg)) from None
    except RecursionError:
        raise EcapipeError(json_parse_error(FILE, 1, 1, "nested too deeply")) from None
    except ValueError:
        raise EcapipeError(json_parse_error(FILE, 1, 1, "it contains a number with too many digits")) from None


def _object(value: object, rule: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise EcapipeError(schema_validation_error(FILE, rule))
    return value


def _string(members: Mapping[str, object], name: str, within: str = "") -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise EcapipeError(schema_validation_error(FILE, f"{within}{name} must be a string"))
    return value


def _baseline(path: str | None) -> str | None:
    if path is None:
        return None
    clean = _within(path)
    # It is written, and what belongs to git is only read.
    if clean is None or ".git" in clean.lower().split("/"):
        reason = "plugins.ecapipe.baseline must be a path inside the project"
        raise EcapipeError(schema_validation_error(FILE, reason))
    return clean


def _directories(members: Mapping[str, object]) -> tuple[str, ...]:
    entries = members.get("packageDirectories", [])
    if not isinstance(entries, list):
        raise EcapipeError(schema_validation_error(FILE, "packageDirectories must be a list"))
    if not entries:
        raise EcapipeError(no_package_directories(FILE))
    objects = [_object(entry, "every entry of packageDirectories must be an object") for entry in entries]
    paths = tuple(_relative(entry) for entry in objects)
    defaults = [entry.get("default") for entry in objects]
    if len(objects) == 1 and defaults[0] is False:
        raise EcapipeError(single_non_default_package_error(FILE))
    if len(objects) > 1 and True not in defaults:
        raise EcapipeError(missing_default_path_error(FILE))
    if defaults.count(True) > 1:
        raise EcapipeError(multiple_default_paths_error(FILE))
    return tuple(dict.fromkeys(paths))


def _replacements(members: Mapping[str, object], *, trusted: bool) -> tuple[Replacement, ...]:
    """The entries; where they give no values, those that are wrong do not matter."""
    entries = members.get("replacements", [])
    parsed, mistakes = list[Replacement](), list[str]()
    if not isinstance(entries, list):
        entries, mistakes = [], ["replacements must be a list"]
    if len(entries) > replacements.MOST:
        raise EcapipeError(schema_validation_error(FILE, f"replacements has more than {replacements.MOST} entries"))
    for number, entry in enumerate(entries, 1):
        outcome = replacements.parse(entry) if isinstance(entry, dict) else "must be an object"
        if isinstance(outcome, str):
            mistakes.append(f"entry {number} of replacements {outcome}")
        else:
            parsed.append(outcome)
    if trusted and mistakes:
        raise EcapipeError(schema_validation_error(FILE, mistakes[0]))
    if sum(each.glob is not None for each in parsed) > replacements.MOST_GLOBS:
        reason = f"replacements has more than {replacements.MOST_GLOBS} entries with a glob"
        raise EcapipeError(schema_validation_error(FILE, reason))
    return tuple(parsed)


def _relative(entry: Mapping[str, object]) -> str:
    path = entry.get("path")
    if not isinstance(path, str) or not path or "\0" in path:
        raise EcapipeError(
            schema_validation_error(FILE, "every entry of packageDirectories needs a path as a string")
        )
    clean = _within(path)
    if clean is None:
        raise EcapipeError(invalid_package_directory_error(path, FILE))
    return clean


def _within(path: str) -> str | None:
    """`path` with ``/``; None if it is absolute or leads out of the project."""
    # A project that was made on Windows is read on every system, and the other way round.
    clean = PurePosixPath(path.replace("\\", "/"))
    if clean.is_absolute() or PureWindowsPath(path).drive or ".." in clean.parts:
        return None
    return clean.as_posix()
