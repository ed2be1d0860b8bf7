"""What a rule is: what it says of itself, what it needs, and the function that finds where it does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict, Unpack

from ecapipe.check.findings import Levels
from ecapipe.check.rules.subject import Evidence, Need, Remark, RuleInput
from ecapipe.project.metadata import Type

GUIDE: Final = "Metadata API Developer Guide"
HELP: Final = "Salesforce Help"
DX_GUIDE: Final = "Salesforce DX Developer Guide"
REPLACING: Final = f"{DX_GUIDE}, Replace Strings in Code Before Deploying"
REGISTRY: Final = "Metadata registry of the Salesforce CLI"

AppCheck = Callable[[RuleInput], Iterator[Remark]]
ProjectCheck = Callable[[Evidence], Iterator[Remark]]
"""A remark for each place, in an app or in a project, where a rule does not hold."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's promise: `name` and `levels` do not change once released."""

    name: str
    levels: Levels
    means: str
    why: str
    remedy: str
    source: str
    check_app: AppCheck | None = None
    check_project: ProjectCheck | None = None
    file_type: Type | None = None
    needs: frozenset[Need] = frozenset()

    def concerns(self, evidence: Evidence) -> bool:
        """Whether there is anything that the rule could find something by."""
        return not self.needs or any(getattr(evidence, need) for need in self.needs)


class Promise(TypedDict):
    """What every rule says of itself, beside its function."""

    levels: Levels
    means: str
    why: str
    remedy: str
    source: str


def rule(
    *,
    file_type: Type | None = None,
    needs: Sequence[Need] = (),
    check_project: ProjectCheck | None = None,
    **promise: Unpack[Promise],
) -> Callable[[AppCheck], Rule]:
    """Makes a rule about apps of a function, under its name.

    Most rules have nothing to say of most apps, and a check of thousands of apps takes as long as it calls them. So
    the function is called only for apps with a file of `file_type`, and only if some evidence that it `needs` is
    there. What the rule finds in the project besides its apps is for `check_project`.
    """

    def declare(check: AppCheck) -> Rule:
        return Rule(
            _name(check),
            check_app=check,
            check_project=check_project,
            file_type=file_type,
            needs=frozenset(needs),
            **promise,
        )

    return declare


def project_rule(*, needs: Sequence[Need] = (), **promise: Unpack[Promise]) -> Callable[[ProjectCheck], Rule]:
    """Makes a rule about a project as a whole of a function, under its name."""

    def declare(check: ProjectCheck) -> Rule:
        return Rule(_name(check), check_project=check, needs=frozenset(needs), **promise)

    return declare


def guide(type: Type) -> str:
    """Where a type of metadata is documented."""
    return f"{GUIDE}, {type.name}"


def _name(check: AppCheck | ProjectCheck) -> str:
    return check.__name__.replace("_", "-")
