"""An org over TLS, with just the answers that the Salesforce CLI needs to log in."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from ecapipe.emulator import tls

ORG, USER = "00D000000000001EAA", "005000000000001AAA"


@dataclass(frozen=True)
class Peer:
    """Where it is, and the certificate to trust."""

    url: str
    ca_file: str


@contextmanager
def listening() -> Iterator[Peer]:
    """Answer until the context ends."""
    with tls.issue_certificate() as certificate, ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.server_file)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Peer(f"https://localhost:{server.server_port}", certificate.ca_file)
        server.shutdown()


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        url = f"https://{self.headers['Host']}"
        if path == "/services/oauth2/authorize":
            query = parse_qs(urlsplit(self.path).query)
            self._say({}, 302, f"{query['redirect_uri'][0]}?code=FAKECODE&state={query['state'][0]}")
        elif path.endswith("/query"):
            record = {"Name": "Acme", "InstanceName": "XX1", "IsSandbox": False, "TrialExpirationDate": None}
            self._say({"done": True, "totalSize": 1, "records": [{**record, "NamespacePrefix": None}]})
        elif path.endswith("/services/data"):
            self._say([{"label": "Summer", "url": "/services/data/v66.0", "version": "66.0"}])
        else:
            identity = {"user_id": USER, "organization_id": ORG, "preferred_username": "ada@acme.example"}
            self._say({**identity, "username": "ada@acme.example", "Username": "ada@acme.example", "url": url})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = f"https://{self.headers['Host']}"
        token = {"access_token": "00D000000000001!FAKE", "refresh_token": "FAKE", "token_type": "Bearer"}
        self._say({**token, "instance_url": url, "id": f"{url}/id/{ORG}/{USER}", "issued_at": "1", "scope": "api"})

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def _say(self, value: object, status: int = 200, location: str | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
