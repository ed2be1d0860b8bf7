"""Rules about what Salesforce changes on a day: before it, and from it on."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import trees
from check import ground
from check.test_every_rule import CASES, DEVICE, app, connected
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.check import inspection
from ecapipe.check.findings import Finding
from ecapipe.check.inspection import CheckOptions
from ecapipe.orgs.hosts import is_instanced
from ecapipe.project.discovery import ProjectSelection


def told(root: Path, rule: str, gate: CheckOptions | None = None, today: str = "") -> list[Finding]:
    return [each for each in ground.inspect(root, gate, today=today).findings if each.rule == rule]


@pytest.mark.parametrize(
    ("rule", "eve", "day", "before", "after"),
    [
        (
            "device-flow-restricted", "2026-11-29", "2026-11-30",
            "Salesforce will require starting 30 November 2026", "Salesforce has required since 30 November 2026",
        ),
        (
            "instanced-url", "2027-01-31", "2027-02-01",
            "Salesforce will end API traffic there, in phases starting Spring '27",
            "Salesforce has been ending API traffic there, in phases since Spring '27",
        ),
        (
            "connected-app-beside", "2027-05-31", "2027-06-01",
            "Salesforce will no longer support connected apps starting Summer '27",
            "Salesforce has not supported connected apps since Summer '27",
        ),
    ],
)  # fmt: skip
def test_a_rule_knows_what_is_to_come_and_what_has_come(
    rule: str, eve: str, day: str, before: str, after: str, tmp_path: Path
) -> None:
    root = ground.ready(tmp_path, CASES[rule].bad)
    for today, words in {"2026-01-01": before, eve: before, day: after, "2031-12-31": after}.items():
        (found,) = told(root, rule, today=today)
        assert found.message.endswith(f"{words}."), today


@pytest.mark.parametrize(
    ("header", "callback", "reason"),
    [
        ({}, trees.LOOPBACK, None),
        ({}, f"https://example.com/a\n{trees.LOOPBACK}", None),
        ({}, "https://example.com/a", "the app has no callback URL on localhost, as"),
        ({}, None, "the app has no callback URL on localhost, as"),
        ({}, "http://localhost.example.com/a", "the app has no callback URL on localhost, as"),
        ({"distributionState": "Packaged"}, trees.LOOPBACK, "the app isn't Local, as"),
        ({"distributionState": "Managed"}, None, "the app isn't Local and has no callback URL on localhost, as"),
        # What is not known is not held against it.
        ({"distributionState": None}, trees.LOOPBACK, None),
        (None, trees.LOOPBACK, None),
    ],
)
def test_the_device_flow_stays_with_local_apps_on_localhost(
    header: trees.Elements | None, callback: str | None, reason: str | None, tmp_path: Path
) -> None:
    root = ground.ready(tmp_path, app(header=header, settings={**DEVICE, "callbackUrl": callback}))
    messages = [each.message for each in told(root, "device-flow-restricted")]
    assert len(messages) == (reason is not None)
    assert all(reason and reason in each for each in messages)


LABELS = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True)
INSTANCES = st.from_regex(r"[a-z]{2,3}[0-9]{1,3}s?", fullmatch=True)
PARTITIONS = st.sampled_from(["", ".sandbox", ".develop", ".scratch", ".demo", ".patch", ".trailblaze", ".free"])


@given(LABELS | INSTANCES, PARTITIONS, st.sampled_from([".my.salesforce.com", ".my.site.com", ".my-salesforce.com"]))
def test_no_my_domain_is_that_of_an_instance_whatever_it_is_called(name: str, partition: str, end: str) -> None:
    assert not is_instanced(f"https://{name}{partition}{end}")


FORMS = st.sampled_from([
    "{}.salesforce.com", "{}-api.salesforce.com/services", "{name}.{}.force.com", "{name}.{}.my.salesforce.com",
    "{name}--c.{}.visual.force.com",
])  # fmt: skip


@given(INSTANCES, LABELS, FORMS)
def test_an_instance_is_found_wherever_it_stands(instance: str, name: str, form: str) -> None:
    host = form.format(instance, name=name)
    for address in (host, f"https://{host}", f"HTTPS://{host.upper()}", f"https://{host}/"):
        assert is_instanced(address), address


@pytest.mark.parametrize("address", ["", "https://[", "https://login.salesforce.com", "na99.example.com", "na99"])
def test_what_is_no_address_of_an_instance_is_none(address: str) -> None:
    assert not is_instanced(address)


def test_instances_are_found_in_every_place_that_names_an_org(tmp_path: Path) -> None:
    orgs = {"old": {"url": "acme--uat.cs12.my.salesforce.com"}, "good": {"url": "acme.my.salesforce.com"}, "odd": {}}
    members = {"sfdcLoginUrl": "https://na99.salesforce.com", "plugins": {"ecapipe": {"orgs": orgs}}}
    root = ground.ready(tmp_path, trees.project(**members) | trees.app())
    places = ["sfdcLoginUrl", "plugins.ecapipe.orgs.old"]
    for target, more in {"good": [], "old": [], "eu5.salesforce.com": ["--target-org"]}.items():
        found = told(root, "instanced-url", CheckOptions(target=target))
        assert [each.element for each in found] == sorted([*places, *more], key=lambda each: each[0] != "-")
        assert [each.file for each in found if each.element in places] == ["sfdx-project.json"] * 2
    assert told(root, "instanced-url", CheckOptions("commit", target="eu5.salesforce.com")) == []
    assert not any(each.rule == "instanced-url" for each in ground.inspect(root, trusted=False).findings)


@pytest.mark.parametrize(
    ("name", "key", "shared"),
    [
        ("Billing", "3MVG9.another", "name"),
        ("Old_Billing", f"\n      {trees.key('Billing')}\n", "consumer key"),
        ("Billing", trees.key("Billing"), "consumer key"),
        ("Billing_2", f"{trees.key('Billing')}0", None),
        ("billing", "", None),
    ],
)
@pytest.mark.parametrize("where", ["disk", "index", "zip"])
def test_a_connected_app_beside_is_known_by_name_or_key(
    where: str, name: str, key: str, shared: str | None, tmp_path: Path
) -> None:
    files = app() | connected(name, key)
    root = ground.ready(tmp_path / "project", [files, "add --all"] if where == "index" else files)
    selection, gate = ProjectSelection((str(root),)), CheckOptions("deploy", staged=where == "index")
    if where == "zip":
        with zipfile.ZipFile(tmp_path / "retrieved.zip", "w") as packed:
            for path, content in files.items():
                packed.writestr(path.removesuffix("-meta.xml"), content)
        selection = ProjectSelection(metadata_dirs=(str(tmp_path / "retrieved.zip"),))
    world = composition.real_world(Environment({}))
    found = [
        each for each in inspection.inspect(selection, gate, world).findings if each.rule == "connected-app-beside"
    ]
    assert len(found) == (shared is not None)
    for each in found:
        assert (each.app, each.level) == ("Billing", "note")
        assert f"has the {shared} of the external client app Billing" in each.message
        assert each.file is not None
        assert f"/{name}.connectedApp" in each.file


def test_placeholders_are_no_key_that_two_apps_share(tmp_path: Path) -> None:
    root = ground.ready(tmp_path, app(settings={"consumerKey": "REPLACE_ME"}) | connected("Old", "REPLACE_ME"))
    assert told(root, "connected-app-beside") == []


def test_a_connected_app_that_cannot_be_read_stands_in_nobodys_way(tmp_path: Path) -> None:
    (path,) = connected("Billing")
    root = ground.ready(tmp_path, app() | {path: b"\xff\xfe\0" * 1000})
    assert [each.file for each in told(root, "connected-app-beside")] == [path]
    assert told(root, "connected-app-beside", CheckOptions("commit")) == []
    (root / path).unlink()
    (root / path).symlink_to("nowhere")
    rules = ground.rules(root, CheckOptions("commit")) | ground.rules(root, CheckOptions("deploy"))
    assert not {"connected-app-beside", "not-examined"} & rules


def test_a_tree_without_apps_has_nothing_to_be_told_of(tmp_path: Path) -> None:
    files = trees.project(sfdcLoginUrl="https://na99.salesforce.com") | connected("Billing")
    assert ground.findings(ground.ready(tmp_path, files), CheckOptions("deploy", target="eu5.salesforce.com")) == []
