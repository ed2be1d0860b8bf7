"""Any bytes are a metadata document or a problem, and nothing else; guided by coverage, run by hand.

    pip install --target /tmp/atheris atheris
    PYTHONPATH=/tmp/atheris:. .venv/bin/python tests/fuzz/fuzz_metadata.py -max_total_time=300 -max_len=4096

What it finds is written to a file ``crash-…``, which becomes a test in tests/project/test_metadata.py.
"""

from __future__ import annotations

import sys

import atheris

from ecapipe.problems.project import malformed_xml, wrong_root

with atheris.instrument_imports():
    import xmltodict  # noqa: F401  # imported late by what is tested

    from ecapipe.credentials import resolution, sources
    from ecapipe.problems.problem import EcapipeError, Problem
    from ecapipe.project import apps, metadata


def parsed(data: bytes, type: metadata.Type) -> metadata.Document | Problem:
    try:
        return metadata.parse(data, type, "fuzzed.xml")
    except EcapipeError as error:
        return error.problem


def one(data: bytes) -> None:
    type = metadata.TYPES[sum(data[:1]) % len(metadata.TYPES)]
    document = parsed(data[1:], type)
    if isinstance(document, Problem):
        assert document.kind in (malformed_xml, wrong_root)
        assert document.actions
        return
    assert all(element.name and element.line >= 1 for element in document.elements)
    for app in apps.assemble([apps.SourceFile("fuzzed.xml", type, "Fuzzed", document)], "/project", ""):
        chain = sources.chain([sources.REPLACEMENT, sources.FILE], None, sources.Scope([app]))
        resolution.resolve(app, None, chain)


def main() -> None:
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
