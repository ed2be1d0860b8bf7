"""What a CI system tells of the run that it starts: from which commit, and for whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from ecapipe.adapters.environment import Environment
from ecapipe.events import Origin
from ecapipe.secret import redact

_LONGEST: Final = 200
"""Characters of a value: whoever names a branch chooses them."""


class _System(NamedTuple):
    """A CI system: the variable that tells it, and those of commit, branch and actor, the first that is set."""

    name: str
    told_by: str
    commit: str
    branch: tuple[str, ...]
    actor: tuple[str, ...]


_SYSTEMS: Final = (
    _System(
        "GitHub Actions", "GITHUB_ACTIONS", "GITHUB_SHA", ("GITHUB_HEAD_REF", "GITHUB_REF_NAME"), ("GITHUB_ACTOR",)
    ),
    _System(
        "GitLab CI",
        "GITLAB_CI",
        "CI_COMMIT_SHA",
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"),
        ("GITLAB_USER_LOGIN",),
    ),
    _System(
        "Azure Pipelines",
        "TF_BUILD",
        "BUILD_SOURCEVERSION",
        ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "BUILD_SOURCEBRANCH"),
        ("BUILD_REQUESTEDFOR",),
    ),
    _System(
        "Bitbucket Pipelines",
        "BITBUCKET_BUILD_NUMBER",
        "BITBUCKET_COMMIT",
        ("BITBUCKET_BRANCH",),
        ("BITBUCKET_STEP_TRIGGERER_UUID",),
    ),
    _System("CircleCI", "CIRCLECI", "CIRCLE_SHA1", ("CIRCLE_BRANCH",), ("CIRCLE_USERNAME",)),
    _System(
        "Jenkins",
        "JENKINS_URL",
        "GIT_COMMIT",
        ("CHANGE_BRANCH", "BRANCH_NAME", "GIT_BRANCH"),
        ("CHANGE_AUTHOR", "BUILD_USER_ID"),
    ),
)


def of(environment: Environment) -> Origin | None:
    """The origin of this run; None where no CI system says that it started it."""

    def first(names: Iterable[str]) -> str | None:
        value = next(filter(None, map(environment.get, names)), None)
        return _bounded(value) if value else None

    system = next((each for each in _SYSTEMS if environment.get(each.told_by)), None)
    if system is None:
        return None
    return Origin(first((system.commit,)), first(system.branch), first(system.actor), system.name)


def _bounded(text: str) -> str:
    """`text` on one line, without secrets, and no longer than anybody reads."""
    line = "".join(character if character.isprintable() else " " for character in redact(text[: 2 * _LONGEST]))
    return line[:_LONGEST]
