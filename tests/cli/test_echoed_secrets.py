"""A consumer secret that somebody has written where it does not belong: no output repeats it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import trees
from commandline import inside

from ecapipe.render.reports import FORMATS

ORG = "https://acme.my.salesforce.com"
ODD = "Made-Up+Secret/0f=no$shape<&>é"

Place = Callable[[str], trees.Files]


def app(**changes: dict[str, str]) -> Place:
    """An app with a ``{}`` in one of its files, where the secret goes."""

    def files(secret: str) -> trees.Files:
        filled = {file: {name: text.format(secret) for name, text in each.items()} for file, each in changes.items()}
        settings = {"consumerSecret": secret, **filled.pop("settings", {})}
        return trees.project() | trees.app("One", settings=settings, **filled)  # type: ignore[arg-type]

    return files


def plugin(members: Mapping[str, object]) -> Place:
    """The same with a ``{}`` in the settings of the project."""

    def files(secret: str) -> trees.Files:
        filled = json.loads(json.dumps(members).replace("{}", json.dumps(secret)[1:-1]))
        return trees.project(plugins={"ecapipe": filled}) | trees.app("One", settings={"consumerSecret": secret})

    return files


def named(secret: str) -> trees.Files:
    path = f"force-app/{secret.replace('/', '_')}.eca-meta.xml"
    return app()(secret.replace("/", "_")) | {path: "<x/>"}


PLACES: Mapping[str, Place] = {
    "callback": app(settings={"callbackUrl": "https://x.example/{}"}),
    "key": app(settings={"consumerKey": "{}"}),
    "another app": app(settings={"externalClientApplication": "{}"}),
    "switch": app(settings={"isPkceRequired": "{}"}),
    "scope": app(oauth={"commaSeparatedOauthScopes": "Api, {}"}),
    "link": app(oauth={"oauthLink": "{}"}),
    "label": app(header={"label": "{}", "distributionState": "{}", "contactEmail": "{}@x.example"}),
    "policy": app(policies={"refreshTokenPolicyType": "{}", "clientCredentialsFlowUser": "{}"}),
    "file": named,
    "alias": plugin({"orgs": {"{}": {"url": ORG}}}),
    "org": plugin({"orgs": {"prod": {"url": ORG, "apps": ["{}"], "scopes": "{}", "username": "{}", "{}": "x"}}}),
    "address": plugin({"orgs": {"prod": {"url": "https://acme.my.site.com/{}"}}}),
    "rule": plugin({"rules": {"{}": "{}"}}),
    "baseline": plugin({"baseline": "{}"}),
}
REPORTS = [f"--report={name}=../report.{name}" for name in FORMATS]
COMMANDS = (
    ["app", "list"], ["app", "list", "--json", "-n", "Two"], ["app", "check", *REPORTS],
    ["app", "check", "--for", "commit", "--json"], ["run", "--dry-run"], ["run", "--until", "check", "--json"],
    ["run", "-o", ORG, "--dry-run", *REPORTS], ["manifest"], ["app", "protect", "--dry-run"],
)  # fmt: skip


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_no_output_repeats_the_secret_of_a_tree(place: str, odd: bool, tmp_path: Path) -> None:
    # A secret for each case: what this process knows by now is not to help.
    secret = f"{ODD if odd else ''}{trees.secret(f'{place} {odd}')}"
    root = trees.plant(tmp_path / "project", PLACES[place](secret))
    for command in COMMANDS:
        ended = inside(*command, at=root, ECAPIPE_STATE_DIR=str(tmp_path / "state"))
        written = [file.read_text() for file in tmp_path.rglob("*") if file.is_file() and root not in file.parents]
        hidden = secret.replace("/", "_")[-64:]
        assert hidden not in "\n".join([ended.out, ended.err, *written]), command
        assert ended.status != 3
