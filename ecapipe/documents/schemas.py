"""The JSON Schemas of everything that ``--json`` prints, and of what people write: made of the types.

``python -m ecapipe.documents.schemas`` writes them into ``ecapipe/schemas``, from where they ship.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from ecapipe.documents import codec, inputs, results
from ecapipe.documents.report import PARTIAL, Json
from ecapipe.documents.run_document import RunResult
from ecapipe.problems.problem import INTERRUPTED, WAITING

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_ID: Final = "urn:ecapipe:schema:1:"

_RESULTS: Final[dict[str, tuple[list[Any], list[int]]]] = {
    "app-check": ([results.AppCheck], [0, 1]),
    "app-forget-secret": ([results.AppForgetSecret], [0]),
    "app-list": ([results.AppList], [0]),
    "app-probe": ([results.AppProbe], [0, 1, PARTIAL]),
    "app-protect": ([results.AppProtect, results.ScannerRules], [0]),
    "app-rotate": ([results.AppRotate], [0, 1, PARTIAL, INTERRUPTED]),
    "app-set-secret": ([results.AppSetSecret], [0]),
    "doctor": ([results.Doctor, results.Storage], [0, 1]),
    "emulator-start": ([results.EmulatorStart], [0]),
    "explain": ([results.Explanations, results.ExplainedRule, results.ExplainedProblem, results.Schema], [0]),
    "login-display": ([results.LoginDisplay], [0, 1]),
    "login-list": ([results.LoginList], [0]),
    "login-logout": ([results.LoginLogout], [0, 1, PARTIAL]),
    "login-refresh": ([results.LoginRefresh, results.LoginRefreshAll], [0, 1, PARTIAL]),
    "manifest": ([results.Manifest], [0]),
    "run": ([RunResult], [0, 1, PARTIAL, WAITING, INTERRUPTED]),
    "runs-list": ([results.RunsList], [0]),
    "runs-show": ([results.RunsShow, results.RotationShow], [0]),
}
"""The results and the exit statuses of each command, whose name has blanks for hyphens."""

_OTHERS: Final[dict[str, tuple[Any, str]]] = {
    "error": (results.Error, "Any command with --json that failed to run"),
    "settings": (inputs.Settings, "plugins.ecapipe in sfdx-project.json"),
    "org-file": (inputs.OrgFile, "A JSON file for ecapipe run --file"),
}

PARTS: Final = ("settings", "org-file", "shared")
"""The schemas of what people write, and of what several schemas share."""


def schemas() -> dict[str, Json]:
    """Every schema by its name."""
    kinds = [kind for kinds, _ in _RESULTS.values() for kind in kinds]
    others = [kind for kind, _ in _OTHERS.values()]
    made, shared = codec.schema([results.Envelope, *kinds, *others], f"{_ID}shared#/$defs/{{name}}")
    envelope = shared.pop("Envelope")
    del made[0]
    documents = {}
    for name, (alternatives, statuses) in _RESULTS.items():
        result = [made.pop(0) for _ in alternatives]
        members = {
            "status": {"description": "The exit status.", "enum": statuses},
            "result": result[0] if len(result) == 1 else {"anyOf": result},
        }
        title = f"ecapipe {name.replace('-', ' ', 1)} --json"
        documents[name] = _document(name, title, {**envelope, "properties": {**envelope["properties"], **members}})
    for name, (_, title) in _OTHERS.items():
        documents[name] = _document(name, title, made.pop(0))
    documents["shared"] = _document("shared", "Definitions that the schemas of ecapipe refer to", {"$defs": shared})
    return dict(sorted(documents.items()))


def all_in_one() -> Json:
    """One schema, which holds the others, and which any result of ecapipe is valid against."""
    parts = schemas()
    return {
        "$schema": _DRAFT,
        "$id": _ID.removesuffix(":"),
        "title": "What ecapipe prints with --json",
        "anyOf": [{"$ref": part["$id"]} for name, part in parts.items() if name not in PARTS],
        "$defs": parts,
    }


def _document(name: str, title: str, schema: Json) -> Json:
    return {"$schema": _DRAFT, "$id": f"{_ID}{name}", "title": title} | schema


def text(schema: Json) -> str:
    """A schema as it stands in its file: objects and lists that hold no others are on one line."""
    indented = json.dumps(schema, indent=2, ensure_ascii=False)
    return re.sub(r"[\[{]\n[^\[\]{}]*[\]}]", lambda inner: re.sub(r"\n\s*", " ", inner[0]), indented) + "\n"


if __name__ == "__main__":
    folder = Path(__file__).parents[1] / "schemas"
    for file in folder.glob("*.json"):
        file.unlink()
    for name, schema in schemas().items():
        (folder / f"{name}.json").write_text(text(schema), encoding="utf-8")
