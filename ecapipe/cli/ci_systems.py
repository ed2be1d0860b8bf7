"""What GitHub Actions and Azure Pipelines are shown without being asked: annotations, and a summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import files

if TYPE_CHECKING:
    from ecapipe.render.report_data import ReportData

_SUMMARY_SIZE: Final = 1_000_000
"""Bytes of a summary; GitHub shows none above 1 MiB."""


@dataclass(frozen=True, slots=True)
class Shown:
    """`commands` are lines for the CI system to obey, `warnings` say what it could not be given."""

    commands: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class CiSystem(Protocol):
    """Shows a result in one CI system: a function that writes the summary, and returns the rest."""

    def __call__(self, data: ReportData, environment: Environment) -> Shown: ...


def current(environment: Environment) -> CiSystem | None:
    """The CI system that runs this command, if it takes commands from a log."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return _github_actions
    if (environment.get("TF_BUILD") or "").lower() == "true":
        return _azure_pipelines
    return None


def _github_actions(data: ReportData, environment: Environment) -> Shown:
    from ecapipe.render import annotations

    commands = tuple(annotations.github(data))
    path = environment.get("GITHUB_STEP_SUMMARY")
    if path is None:
        return Shown(commands)
    try:
        # Other steps of the job write to the same file.
        files.append(path, _summary(data))
    except OSError as error:
        return Shown(commands, (_unwritten("GITHUB_STEP_SUMMARY", error),))
    return Shown(commands)


def _azure_pipelines(data: ReportData, environment: Environment) -> Shown:
    from ecapipe.render import annotations

    commands = tuple(annotations.azure(data))
    folder = environment.get("AGENT_TEMPDIRECTORY")
    if folder is None:
        return Shown(commands)
    try:
        # The agent uploads it some time later, and empties the folder when the job ends.
        path = files.create(folder, f"{data.command.replace(' ', '-')}-", ".md", _summary(data))
    except OSError as error:
        return Shown(commands, (_unwritten("AGENT_TEMPDIRECTORY", error),))
    return Shown((*commands, annotations.azure_summary(path)))


def _summary(data: ReportData) -> str:
    from ecapipe.render import markdown

    summary = ""
    for block in markdown.blocks(data):
        if len((summary + block).encode()) < _SUMMARY_SIZE:
            summary += f"{block}\n\n"
    return summary


def _unwritten(variable: str, error: OSError) -> str:
    return f"Warning: Can't write to {variable}: {files.reason(error)}."
