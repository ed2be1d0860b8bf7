"""Rules about consumer key and consumer secret."""

from __future__ import annotations

from collections.abc import Iterator

from ecapipe.checks.subject import Checked
from ecapipe.credentials import Field, flows_without_secret, in_file, variable
from ecapipe.findings import Finding
from ecapipe.problems import retrieve_command

FIELDS: tuple[Field, ...] = ("consumerKey", "consumerSecret")


def consumer_key_missing(subject: Checked) -> Iterator[Finding]:
    if (
        subject.app.settings
        and subject.resolved.key.source is None
        and in_file(subject.app, "consumerKey") == "absent"
    ):
        yield subject.finding(
            "consumer-key-missing",
            f"{subject.app.name} has no consumerKey. {' '.join(subject.resolved.key.causes)}",
            f"Deploy the app, then retrieve: {retrieve_command()}",
            field="consumerKey",
        )


def consumer_secret_missing(subject: Checked) -> Iterator[Finding]:
    app, secret = subject.app, subject.resolved.secret
    if not app.settings or secret.source or in_file(app, "consumerSecret") != "absent":
        return
    without = flows_without_secret(app)
    allowed = f"Its settings allow: {', '.join(app.flows) or 'no flow'}."
    spare = f" No secret is needed for: {', '.join(without)}." if without else ""
    yield subject.finding(
        "consumer-secret-missing",
        " ".join((f"{app.name} has no consumerSecret.", *secret.causes, allowed)) + spare,
        f"Set {variable('consumerSecret', app.name)} to the consumer secret, from your CI system's secret store.",
        f"Or allow it in the org, then retrieve: {retrieve_command()}",
        field="consumerSecret",
        level="warning" if without else None,
    )


def credential_placeholder(subject: Checked) -> Iterator[Finding]:
    for field in FIELDS:
        if in_file(subject.app, field) == "placeholder" and not _supplied(subject, field):
            yield subject.finding(
                "credential-placeholder",
                f"{field} of {subject.app.name} is a placeholder, not a credential.",
                f"Retrieve the value: {retrieve_command()}",
                f"Or set {variable(field, subject.app.name)}.",
                field=field,
            )


def credential_duplicated(subject: Checked) -> Iterator[Finding]:
    for field in FIELDS:
        if in_file(subject.app, field) == "duplicate":
            yield subject.finding(
                "credential-duplicated",
                f"{field} stands more than once in the settings of {subject.app.name}.",
                "Leave one element, or retrieve the file again.",
                field=field,
            )


def _supplied(subject: Checked, field: Field) -> bool:
    evidence = subject.resolved.key if field == "consumerKey" else subject.resolved.secret
    return evidence.source is not None
