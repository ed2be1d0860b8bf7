"""The members of JSON results, as the interface promises them."""

from __future__ import annotations

ENVELOPE = {"name", "message", "exitCode", "actions", "context", "warnings", "code", "status", "commandName"}
RUN = {
    "version",
    "ecapipe",
    "run",
    "startedAt",
    "projects",
    "apps",
    "stages",
    "successes",
    "failures",
    "invocation",
    "orgs",
}
CHECK = {"version", "ecapipe", "purpose", "projects", "apps", "findings", "summary"}
LIST = {"version", "projects", "apps"}

PROJECT = {"root", "packageDirectories"}
APP = {
    "name", "project", "settingsFile", "distribution", "credentialsOf", "sourceOrgId", "callbackUrls", "flows",
    "credentials",
}  # fmt: skip
CREDENTIAL = {"inFile", "usable", "source", "causes"}
STAGE = {"stage", "project", "app", "org", "outcome", "reason", "milliseconds", "facts", "problem"}
PROBLEM = {"name", "message", "actions", "file", "line"}
SUCCESS = {"project", "app", "org", "username", "userId", "orgId", "instanceUrl", "scopes", "flow", "token"}
FAILURE = {
    "project", "app", "org", "stage", "name", "message", "actions", "category", "retryable", "host", "httpStatus",
    "oauthError", "at",
}  # fmt: skip
FINDING = {"rule", "level", "message", "app", "file", "line", "actions", "fingerprint", "accepted"}
SUMMARY = {"error", "warning", "note", "accepted"}
