"""``ecapipe manifest`` as a program."""

from __future__ import annotations

from pathlib import Path

import trees
from commandline import SAMPLE, ecapipe, inside, together


def test_it_prints_the_same_in_both_forms(tmp_path: Path) -> None:
    command = ["manifest", "-d", str(SAMPLE)]
    text, as_json = together([command, [*command, "--json"]], tmp_path)
    assert (text.status, text.err) == (0, "")
    assert as_json.result["manifest"] == text.out
    assert as_json.result["apiVersion"] == "66.0"
    assert {"name": "ExtlClntAppGlobalOauthSettings", "members": ["*"]} in as_json.result["types"]
    assert all(f"<name>{each['name']}</name>" in text.out for each in as_json.result["types"])


def test_how_much_it_says_about_itself(tmp_path: Path) -> None:
    command = ["manifest", "-d", str(SAMPLE), "-n", "Billing_Sync"]
    usual, concise, verbose, both = together(
        [command, [*command, "--concise"], [*command, "--verbose"], [*command, "--concise", "--verbose"]], tmp_path
    )
    assert "<!-- External client apps: the named apps, for API version 66.0. -->" in usual.out
    assert "<!--" not in concise.out
    assert "5 types; created by ecapipe manifest. -->" in verbose.out
    assert both.status == 2


def test_an_unknown_app_is_a_usage_error(tmp_path: Path) -> None:
    ended = ecapipe("manifest", "-d", str(SAMPLE), "-n", "Billing_Snyc", "--json", at=tmp_path)
    assert (ended.status, ended.document["name"]) == (2, "UnknownApp")
    assert 'Did you mean "Billing_Sync"?' in ended.document["actions"]


def test_a_folder_without_an_app_has_nothing_to_name(tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "project", trees.project())
    assert ecapipe("manifest", "-d", str(root), at=tmp_path).status == 0
    ended = ecapipe("manifest", "-d", str(root / "force-app"), "--json", at=tmp_path)
    assert (ended.status, ended.document["name"]) == (1, "NoAppsFound")


def test_what_was_not_meant_is_said_on_standard_error(tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "project", trees.project() | trees.app("Billing", settings=None))
    ended = ecapipe("manifest", "-d", str(root), "-n", "Billing", at=tmp_path)
    assert ended.status == 0
    assert "Warning: The project has no ExtlClntAppGlobalOauthSettings of Billing," in ended.err
    assert "<members>*</members>" in ended.out


def test_it_takes_the_folders_that_every_command_on_apps_takes(tmp_path: Path) -> None:
    root = trees.plant(tmp_path / "project", trees.project() | trees.app())
    source = trees.plant(tmp_path / "source", trees.project() | trees.app())
    command = ["manifest", "-d", str(root), "--credentials-dir"]
    assert inside(*command, str(source), at=tmp_path).out == inside(*command[:-1], at=tmp_path).out
    assert inside(*command, "nowhere", at=tmp_path).status == 2
