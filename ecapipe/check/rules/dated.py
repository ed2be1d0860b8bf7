"""Rules about what Salesforce changes on a day: each says what is to come before it, and what holds from it on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from ecapipe.check.findings import Levels
from ecapipe.check.rules.rule import HELP, project_rule, rule
from ecapipe.check.rules.subject import Evidence, Remark, RuleInput
from ecapipe.credentials.placeholders import is_placeholder
from ecapipe.project.sfdx_project import FILE


@dataclass(frozen=True, slots=True)
class Change:
    """What Salesforce has announced. `since` is the first day or month of it, as ISO 8601; `name` is for people."""

    since: str
    name: str
    source: str

    def tell(self, today: str, *, before: str, after: str) -> str:
        """What is to come, or has come by `today`, with the date."""
        if today < self.since:
            return f"{before} starting {self.name}"
        return f"{after} since {self.name}"


_NOTES: Final = "Salesforce release notes, Winter '27"
DEVICE_FLOW: Final = Change("2026-11-30", "30 November 2026", _NOTES)
# A release comes to the orgs in turn; these are the months in which the last of them have it.
INSTANCED_URLS: Final = Change("2027-02", "Spring '27", _NOTES)
CONNECTED_APPS: Final = Change(
    "2027-06", "Summer '27", f"{_NOTES}: release update Migrate All Connected Apps to External Client Apps"
)


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note", mcp=None),
    means="The device flow is enabled in an app that isn't Local or has no callback URL on localhost.",
    why=f"Starting {DEVICE_FLOW.name}, Salesforce restricts the device flow to Local apps with such a URL: an "
    "attacker who knows an app's key can trick users into signing in for them.",
    remedy="Use the web server flow with PKCE, and set isDeviceFlowEnabled to false. Or use the device flow in a "
    "Local app with a callback URL on localhost.",
    source=f"{DEVICE_FLOW.source}; {HELP}, Configure a Device Flow",
)
def device_flow_restricted(subject: RuleInput) -> Iterator[Remark]:
    app = subject.app
    if not subject.settings or not subject.settings.document.flag("isDeviceFlowEnabled", False):
        return
    lacks = []
    if app.distribution == "Packaged":
        lacks.append("isn't Local")
    if not any(map(_on_localhost, subject.callback_urls)):
        lacks.append("has no callback URL on localhost")
    if lacks:
        asks = DEVICE_FLOW.tell(
            subject.evidence.today, before="Salesforce will require", after="Salesforce has required"
        )
        yield subject.remark(
            f"The device flow of {app.name} is enabled, but the app {' and '.join(lacks)}, as {asks}.",
            "Use the web server flow, and set isDeviceFlowEnabled to false.",
            element="isDeviceFlowEnabled",
        )


@project_rule(
    levels=Levels(login="warning", deploy="warning", mcp=None),
    means="sfdcLoginUrl, an org of the project or --target-org is an instance URL, such as na99.salesforce.com, "
    "instead of a My Domain URL.",
    why=f"In phases starting {INSTANCED_URLS.name}, Salesforce accepts API requests only at an org's My Domain. "
    "Also, the URL stops working when the org moves to another instance.",
    remedy="Use the org's My Domain, such as https://acme.my.salesforce.com. sf org display shows it.",
    source=INSTANCED_URLS.source,
    needs=("instanced_urls",),
)
def instanced_url(evidence: Evidence) -> Iterator[Remark]:
    ends = INSTANCED_URLS.tell(
        evidence.today,
        before="Salesforce will end API traffic there, in phases",
        after="Salesforce has been ending API traffic there, in phases",
    )
    for place, url in evidence.instanced_urls.items():
        yield Remark(
            f"{place} is an instance URL: {url}. {ends}.",
            ("Use the org's My Domain, such as https://acme.my.salesforce.com. sf org display shows it.",),
            file=None if place.startswith("-") else FILE,
            line=None,
            element=place,
        )


@rule(
    levels=Levels(login="note", deploy="note"),
    means="The project has a connected app with the name or the consumer key of the app.",
    why=f"Starting {CONNECTED_APPS.name}, Salesforce no longer supports connected apps. Clients may still use the "
    "one that the external client app replaces.",
    remedy="Move the clients of the connected app to the external client app, then remove it from the org and the "
    "project.",
    source=CONNECTED_APPS.source,
    needs=("connected_apps",),
)
def connected_app_beside(subject: RuleInput) -> Iterator[Remark]:
    beside, key = subject.evidence.connected_apps, subject.settings_text("consumerKey") or ""
    with_key = () if is_placeholder(key) else beside.get(key, ())
    ends = CONNECTED_APPS.tell(
        subject.evidence.today,
        before="Salesforce will no longer support connected apps",
        after="Salesforce has not supported connected apps",
    )
    for path in dict.fromkeys((*with_key, *beside.get(subject.app.name, ()))):
        shared = "consumer key" if path in with_key else "name"
        # Not `subject.remark`: the file is none of the app's.
        yield Remark(
            f"This connected app has the {shared} of the external client app {subject.app.name}. {ends}.",
            ("Move its clients to the external client app, then remove it from the org and the project.",),
            file=path,
            line=None,
            element=subject.app.name,
        )


def _on_localhost(url: str) -> bool:
    try:
        return urlsplit(url).hostname == "localhost"
    except ValueError:
        return False
