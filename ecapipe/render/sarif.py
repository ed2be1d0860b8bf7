"""SARIF 2.1.0, the format of code scanning (GitHub, Azure DevOps, editors)."""

from __future__ import annotations

from urllib.parse import quote

from ecapipe import __version__
from ecapipe.documents.report import Json
from ecapipe.render import json
from ecapipe.render.report_data import ReportData, ReportEntry, Topic

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
"""The name by which SARIF's readers know the root of the repository."""


def render(result: ReportData) -> str:
    """One SARIF run. Accepted findings are left out: GitHub shows suppressed results as if they were open."""
    number = {name: index for index, name in enumerate(result.topics)}
    # versionControlProvenance would need the address of the repository.
    properties = {"properties": dict(result.provenance)} if result.provenance else {}
    document: Json = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "ecapipe",
                        "semanticVersion": __version__,
                        "rules": [_rule(topic) for topic in result.topics.values()],
                    }
                },
                "automationDetails": {"id": f"{result.command.replace(' ', '-')}/"},
                "invocations": [{"executionSuccessful": result.completed}],
                "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(entry, number[entry.name]) for entry in result.open_entries],
                **properties,
            }
        ],
    }
    return json.dump(document) + "\n"


def _rule(topic: Topic) -> Json:
    parts = {"Why it matters": topic.why, "What to do": topic.remedy, "Source": topic.source}
    sections = {title: part for title, part in parts.items() if part}
    return {
        "id": topic.name,
        "shortDescription": {"text": topic.means},
        "fullDescription": {"text": " ".join(filter(None, (topic.means, topic.why)))},
        "help": {
            "text": "\n\n".join([topic.means, *(f"{title}: {part}" for title, part in sections.items())]),
            "markdown": "\n\n".join([topic.means, *(f"**{title}:** {part}" for title, part in sections.items())]),
        },
    }


def _result(entry: ReportEntry, rule: int) -> Json:
    message = entry.sentence
    if entry.actions:
        actions = "".join(f"\n- {action}" for action in entry.actions)
        message = f"{message}\n\nTry this:{actions}"
    location: Json = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(entry.near), "uriBaseId": _ROOT},
            # GitHub requires a line.
            "region": {"startLine": entry.line or 1},
        }
    }
    if entry.subject:
        location["logicalLocations"] = [{"fullyQualifiedName": entry.subject}]
    return {
        "ruleId": entry.name,
        "ruleIndex": rule,
        "level": entry.level,
        "message": {"text": _escape(message)},
        "locations": [location],
        # Not primaryLocationLineHash: GitHub computes that itself, and complains of any other value.
        "partialFingerprints": {"ecapipe/v1": entry.fingerprint},
    }


def _escape(text: str) -> str:
    """`text` without the two things that SARIF reads in a plain message: links and placeholders."""
    return text.replace("](", "] (").replace("{", "{{").replace("}", "}}")
