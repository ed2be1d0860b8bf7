"""Results as one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from ecapipe.documents.report import Json
from ecapipe.events import Event, StageNoted
from ecapipe.render import text
from ecapipe.secret import members_without_known, without_known

if TYPE_CHECKING:
    from ecapipe.render.report_data import ReportData


def dump(document: object) -> str:
    """`document` as text, indented as `sf` does.

    ASCII only, so that no terminal or encoding can be upset by it, and without ``##``: Azure Pipelines obeys
    ``##vso[`` in the middle of any line. As in `text.clean`, there is no consumer secret in it.
    """
    from ecapipe.documents import codec

    written = codec.indented(document)
    # A search through all of it is many times as fast as one through each string.
    if without_known(written) != written:
        written = codec.indented(members_without_known(document))
    return written.replace("##", "#\\u0023")


def write(stream: TextIO, document: Json) -> None:
    """Write `document` as text."""
    text.write(stream, [dump(document)])


def render(result: ReportData) -> str:
    """What ``--json`` prints."""
    return dump(result.document) + "\n"


class Links:
    """An `Emit` for a run whose only output is its JSON: the links still have to reach a person, on `err`."""

    def __init__(self, err: TextIO) -> None:
        self._err = err

    def __call__(self, event: Event) -> None:
        if not isinstance(event, StageNoted):
            return
        note = event.note
        if note.kind == "link":
            # As it is: people and programs copy it.
            lines = [note.text]
        else:
            lines = [text.clean(note.text)]
        # An offer is shown on the board, most progress where something can move.
        if note.text and note.kind != "offer" and (note.kind != "progress" or event.subject.org):
            text.write(self._err, lines)
