"""SFDX project trees for tests: files as plain values, put on disk under a folder or read straight into apps.

A tree is a mapping of paths to contents, so trees are joined with ``|`` and any odd file is one more entry::

    root = trees.plant(tmp_path, trees.project() | trees.app("Billing", settings={"consumerSecret": None}))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypedDict
from xml.sax.saxutils import escape

from ecapipe.project import apps, metadata

Files = dict[str, str | bytes]
Elements = Mapping[str, str | Sequence[str] | None]
"""Elements by name: a text, several texts for a repeated element, or None for one that is left out."""


class Changes(TypedDict, total=False):
    """What `app` takes beside the name: elements of one of its files, or None for a file that is left out."""

    header: Elements | None
    settings: Elements | None
    oauth: Elements | None
    policies: Elements | None


NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
AS_USUAL: Elements = MappingProxyType({})
DEFAULT = "force-app/main/default"
LOOPBACK = "http://localhost:1717/OauthRedirect"
CLIENT_CREDENTIALS = {"isClientCredentialsFlowEnabled": "true"}
"""What `settings` and `policies` both need for the client credentials flow."""


def key(app: str) -> str:
    """The consumer key that `app` has unless a test says otherwise: of the real shape, made from the name."""
    return "3MVG9" + hashlib.sha512(f"fake key of {app}".encode()).hexdigest()[:80]


def secret(app: str) -> str:
    """The consumer secret that `app` has unless a test says otherwise: of the real shape, made from the name."""
    return hashlib.sha256(f"fake secret of {app}".encode()).hexdigest().upper()


def project(*directories: str, **members: object) -> Files:
    """`sfdx-project.json` with the given members, and its package directories, of which the first is the default."""
    paths = directories or ("force-app",)
    entries = [{"path": path, "default": True} if path == paths[0] else {"path": path} for path in paths]
    text = json.dumps({"packageDirectories": entries, **members})
    return {"sfdx-project.json": text, **{f"{path}/": "" for path in paths}}


def app(
    name: str = "Billing",
    *,
    header: Elements | None = AS_USUAL,
    settings: Elements | None = AS_USUAL,
    oauth: Elements | None = AS_USUAL,
    policies: Elements | None = AS_USUAL,
    folder: str = DEFAULT,
) -> Files:
    """The four files of an external client app that is complete and allows the web flow.

    Each argument changes elements of one file; None leaves that file out.
    """
    of = {"externalClientApplication": name}
    files: Files = {}

    def add(place: str, root: str, usual: Elements, changes: Elements | None) -> None:
        if changes is not None:
            files[f"{folder}/{place}-meta.xml"] = xml(root, {**usual, **changes})

    add(
        f"externalClientApps/{name}.eca",
        "ExternalClientApplication",
        {"contactEmail": "nobody@example.com", "distributionState": "Local", "label": name},
        header,
    )
    add(
        f"extlClntAppGlobalOauthSets/{name}_glbloauth.ecaGlblOauth",
        "ExtlClntAppGlobalOauthSettings",
        {"callbackUrl": LOOPBACK, "consumerKey": key(name), "consumerSecret": secret(name), **of},
        settings,
    )
    add(
        f"extlClntAppOauthSettings/{name}_oauth.ecaOauth",
        "ExtlClntAppOauthSettings",
        {"commaSeparatedOauthScopes": "Api, Basic", **of},
        oauth,
    )
    add(
        f"extlClntAppOauthPolicies/{name}_oauthPlcy.ecaOauthPlcy",
        "ExtlClntAppOauthConfigurablePolicies",
        {**of, "isClientCredentialsFlowEnabled": "false"},
        policies,
    )
    return files


def robot(
    name: str = "Robot", *, header: Elements = AS_USUAL, settings: Elements = AS_USUAL, oauth: Elements = AS_USUAL
) -> Files:
    """An app that logs in by itself, as a user of its own."""
    policies = {"clientCredentialsFlowUser": f"{name.lower()}@acme.example", **CLIENT_CREDENTIALS}
    settings = {"callbackUrl": None, **CLIENT_CREDENTIALS, **settings}
    return app(name, header=header, settings=settings, oauth=oauth, policies=policies)


def xml(root: str, elements: Elements) -> str:
    """A metadata file as a retrieve writes it, one element a line."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<{root} xmlns="{NAMESPACE}">']
    for name, value in elements.items():
        texts = [value] if isinstance(value, str) else value or ()
        lines += [f"    <{name}>{escape(text)}</{name}>" for text in texts]
    return "\n".join([*lines, f"</{root}>", ""])


def plant(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write `files` below `root`, and give `root` back; a path that ends in ``/`` is a folder."""
    for path, content in files.items():
        place = root / path
        if path.endswith("/"):
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def assembled(
    files: Mapping[str, str | bytes], *, root: str = "/project", namespace: str = ""
) -> tuple[apps.App, ...]:
    """The apps of `files`, without a disk."""
    found: list[apps.SourceFile] = []
    for path, content in files.items():
        if known := metadata.recognise(path.rpartition("/")[2]):
            data = content.encode() if isinstance(content, str) else content
            found.append(apps.SourceFile(path, *known, metadata.parse(data, known[0], path)))
    return apps.assemble(found, root, namespace)
