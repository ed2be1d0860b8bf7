"""Results as one JSON document, and the links beside it."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st
from render.scenes import LINK, Screen, dangerous, hostile, run, tell

from ecapipe.documents.report import Report
from ecapipe.render.json import Links, dump, write


def test_a_document_is_indented_as_sf_does_it() -> None:
    screen = Screen()
    write(screen, {"status": 0, "result": {"apps": ["é"]}, "warnings": []})
    assert (
        screen.getvalue()
        == """\
{
  "status": 0,
  "result": {
    "apps": [
      "\\u00e9"
    ]
  },
  "warnings": []
}
"""
    )


@given(st.dictionaries(hostile, hostile | st.none() | st.booleans() | st.integers() | st.lists(hostile)))
def test_any_text_comes_back_as_it_was_and_does_nothing_on_the_way(document: dict[str, object]) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write(stream, document)
    shown = raw.getvalue().decode("ascii")
    assert dangerous(shown) == set()
    assert "##" not in shown
    assert json.loads(shown) == document


def test_no_text_in_a_document_commands_a_ci_system() -> None:
    screen = Screen()
    document: dict[str, object] = {"name": "##vso[task.setvariable]", "##[error]": "###"}
    write(screen, document)
    assert "##" not in screen.getvalue()
    assert json.loads(screen.getvalue()) == document


def test_the_link_and_what_to_do_with_it_go_to_the_error_stream() -> None:
    err, report = Screen(), Report()
    tell(run(), report, Links(err))
    assert (
        err.getvalue()
        == f"""\
{LINK}
Sign in to uat and allow Billing.
Not the redirect URL.
"""
    )


@given(hostile)
def test_what_is_said_beside_the_link_is_harmless(text: str) -> None:
    err, report = Screen(), Report()
    tell(run(text), report, Links(err))
    assert dangerous(err.getvalue()) == set()
    assert len(err.getvalue().split("\n")) == 4


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["##vso[x]", "a\x1b]b", "\ud800"]),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_document_is_laid_out_as_python_does(value: object) -> None:
    assert dump(value) == json.dumps(value, indent=2).replace("##", "#\\u0023")
    assert json.loads(dump(value)) == json.loads(json.dumps(value))
