"""A certificate for an emulator that serves https, and the authority to trust for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Certificate(NamedTuple):
    """Two PEM files: the authority's certificate, and the server's key with its chain."""

    ca_file: str
    server_file: str


@contextmanager
def issue_certificate() -> Iterator[Certificate]:
    """A new certificate for the loopback names of this machine, by a new authority whose key is never written.

    The files are in a private folder that is removed when the context ends. Raises ModuleNotFoundError where
    trustme, which the extra ``tls`` brings, is not installed.
    """
    # An extra, which only --tls needs.
    import trustme

    # An authority for each start: a key that lay about would let others impersonate any site to whoever trusts it.
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1", "::1")
    with tempfile.TemporaryDirectory(prefix="ecapipe-emulator-") as folder:
        certificate = Certificate(os.path.join(folder, "ca.pem"), os.path.join(folder, "server.pem"))
        authority.cert_pem.write_to_path(certificate.ca_file)
        server.private_key_and_cert_chain_pem.write_to_path(certificate.server_file)
        yield certificate
