"""A project with an app for each way to log in, and an org that knows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import trees
from fakes.orgs import emulated
from loopback import Reply, request

from ecapipe.emulator.server import Emulator

PASTED = "https://www.example.com/done"


def project(root: Path, port: int) -> Path:
    """Batch and Robot log in by themselves, Listener comes back to `port`, Paster to a public page."""
    return trees.plant(
        root,
        trees.project()
        | trees.robot("Batch")
        | trees.robot()
        | trees.app(
            "Listener",
            settings={"callbackUrl": f"http://localhost:{port}/OauthRedirect"},
            oauth={"commaSeparatedOauthScopes": "Api, Basic, RefreshToken"},
        )
        | trees.app("Paster", settings={"callbackUrl": PASTED}),
    )


@dataclass(frozen=True)
class Scene:
    """The project, the org, and the port to which Listener comes back."""

    root: Path
    emulator: Emulator
    port: int

    @property
    def url(self) -> str:
        return self.emulator.urls["uat"]

    def run(self, *apps: str) -> list[str]:
        """The command line that logs these apps in to the org."""
        names = [word for app in apps for word in ("--name", app)]
        return ["run", "--source-dir", str(self.root), "--target-org", f"uat={self.url}", *names]

    def sign_in(self, link: str) -> str:
        """What a person does at a link; the address that the browser ends at."""
        return self.emulator.visit(link)

    def come_back(self, address: str) -> Reply:
        """What a browser does with the address of a login on this machine: open it, and follow it."""
        parts = urlsplit(address)
        reply = request(self.port, f"{parts.path}?{parts.query}")
        return request(self.port, reply.headers["Location"]) if reply.status == 303 else reply


@contextmanager
def staged(root: Path, port: int) -> Iterator[Scene]:
    """The project below `root`, and an org that knows its apps."""
    project(root, port)
    with emulated(root) as emulator:
        yield Scene(root, emulator, port)
