"""Results are read as what they were written from, and whoever gives another document learns where it differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecapipe.documents import codec
from ecapipe.documents.json_object import MalformedRecord, NewerVersion
from ecapipe.documents.run_document import RunResult

PAST = Path(__file__).parents[1] / "past/v0_1_0/results"
RESULT = json.loads((PAST / "run.json").read_text())["result"]


@pytest.mark.parametrize("file", ["run.json", "run-shard-1.json", "run-shard-2.json"])
def test_a_result_of_0_1_0_is_read_and_written_as_it_was(file: str) -> None:
    document = json.loads((PAST / file).read_text())
    result = document.get("result", document)
    assert json.dumps(codec.builtins(codec.convert(result, RunResult))) == json.dumps(result)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run": 3}, "result.run is not a string"),
        ({"apps": {}}, "result.apps is not a list"),
        ({"apps": [{}]}, "result.apps[0].name is missing"),
        (
            {"stages": [RESULT["stages"][0], {**RESULT["stages"][0], "reason": 1}]},
            "result.stages[1].reason is not a string or null",
        ),
        ({"stages": [{**RESULT["stages"][0], "outcome": "done"}]}, "result.stages[0].outcome cannot be 'done'"),
        ({"stages": [{**RESULT["stages"][0], "outcome": "\ud800"}]}, "result holds text that is not Unicode"),
        (
            {"stages": [{**RESULT["stages"][0], "milliseconds": -1}]},
            "result.stages[0].milliseconds is not an integer >= 0",
        ),
        (
            {"stages": [{**RESULT["stages"][0], "milliseconds": True}]},
            "result.stages[0].milliseconds is not an integer",
        ),
        ({"version": 0}, "result.version is 0"),
        ({"version": True}, "result.version is not an integer"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: dict[str, object], message: str) -> None:
    with pytest.raises(MalformedRecord) as raised:
        codec.convert(RESULT | change, RunResult, "result")
    assert str(raised.value) == message


def test_a_later_version_is_told_before_anything_else() -> None:
    with pytest.raises(NewerVersion) as raised:
        codec.parse(b'{"version": 2, "run": []}', RunResult)
    assert raised.value.version == 2


@pytest.mark.parametrize(
    ("document", "message"),
    [(b"{}", "version is missing"), (b"[]", "it is not a JSON object"), (b'{"version": 1}', "run is missing")],
)
def test_the_document_itself_needs_no_name(document: bytes, message: str) -> None:
    with pytest.raises(MalformedRecord) as raised:
        codec.parse(document, RunResult)
    assert str(raised.value) == message
