"""The REST API, as far as clients use it after a login: versions, resources, records, queries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from starlette.responses import JSONResponse, Response

from ecapipe.emulator import consumers
from ecapipe.emulator.org import EmulatedOrg, EmulatedSession, EmulatedUser
from ecapipe.emulator.wire import Call, OAuthError, RestError

ROOT: Final = "/services/data"

_OLDEST: Final = 41
_SEASONS: Final = ("Winter", "Spring", "Summer")
_RESOURCES: Final = ("actions", "apps", "connect", "limits", "query", "recent", "search", "sobjects", "tooling")
_PATH: Final = re.compile(rf"{ROOT}/v([0-9]{{2}})\.0(/.*)?")
_QUERY: Final = re.compile(
    r"\s*select\s+(?P<fields>\w+(?:\s*,\s*\w+)*)\s+from\s+(?P<type>\w+)"
    r"(?:\s+where\s+(?P<by>\w+)\s*=\s*'(?P<value>[^'\\]*)')?(?:\s+limit\s+(?P<limit>[0-9]+))?\s*",
    re.IGNORECASE,
)

Row = Mapping[str, object]


def versions(org: EmulatedOrg) -> Response:
    """All API versions. Nobody has to be logged in for that."""
    return JSONResponse([_version(number) for number in _known(org)])


def answer(org: EmulatedOrg, call: Call) -> Response | None:
    """The response to a request below a version; None for a version that does not exist."""
    match = _PATH.fullmatch(call.path)
    if match is None or int(match[1]) not in _known(org):
        return None
    try:
        session = _admit(org, call)
        if session is None or not {"api", "full"}.intersection(session.scopes):
            raise RestError(401, "INVALID_SESSION_ID", "Session expired or invalid")
        result = _resource(org, call, int(match[1]), match[2] or "", session.user)
        return Response(status_code=204) if result is None else JSONResponse(result)
    except RestError as error:
        headers = {}
        if error.status == 401:
            bound = error.code.endswith(("_dpop_proof", "_dpop_nonce"))
            headers["WWW-Authenticate"] = f'DPoP error="{error.code}", algs="ES256"' if bound else "Token"
        # A list, though there is one error: the form of the REST API.
        return JSONResponse([{"message": error.message, "errorCode": error.code}], error.status, headers)


def _admit(org: EmulatedOrg, call: Call) -> EmulatedSession | None:
    try:
        return org.admit(call)
    except OAuthError as error:
        raise RestError(401, error.error, error.description) from None


def _known(org: EmulatedOrg) -> range:
    return range(_OLDEST, org.setup.newest + 1)


def _resource(org: EmulatedOrg, call: Call, number: int, path: str, user: EmulatedUser) -> object:
    """What a resource says; None where it has nothing to say."""
    root, steps = f"{ROOT}/v{number}.0", path.strip("/").split("/")
    if call.method != "GET" and steps[:2] != ["apps", "oauth"]:
        raise RestError(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{call.method}' not allowed")
    match steps:
        case [""]:
            return {name: f"{root}/{name}" for name in _RESOURCES}
        case ["query"]:
            return _query(org, root, call.query.get("q") or "")
        case ["sobjects", type, id]:
            for row in _rows(org, type) or ():
                if len(id) in (15, 18) and str(row["Id"]).startswith(id):
                    return _record(root, type, row)
        case ["apps", "oauth", *steps]:
            return consumers.answer(org, call, steps, root=f"{root}/apps/oauth", version=number, user=user)
        case _:
            pass
    raise RestError(404, "NOT_FOUND", "The requested resource does not exist")


def _query(org: EmulatedOrg, root: str, text: str) -> object:
    """The answer to a query of a few fields of one type. Names are case-insensitive, as in SOQL."""
    query = _QUERY.fullmatch(text)
    if query is None:
        raise RestError(400, "MALFORMED_QUERY", "unexpected token in the query")
    rows = _rows(org, query["type"])
    if not rows:
        raise RestError(400, "INVALID_TYPE", f"sObject type '{query['type']}' is not supported.")
    type = _TYPES[query["type"].lower()]
    names = {name.lower(): name for name in rows[0]}
    fields = [field.strip().lower() for field in query["fields"].split(",")]
    by = (query["by"] or "Id").lower()
    for field in (*fields, by):
        if field not in names:
            raise RestError(400, "INVALID_FIELD", f"No such column '{field}' on entity '{type}'.")
    rows = [row for row in rows if query["value"] is None or row[names[by]] == query["value"]]
    if query["limit"] is not None:
        # Nine digits are more than all rows; int refuses some thousand.
        rows = rows[: int(query["limit"][:9])]
    records = [_record(root, type, row, [names[field] for field in fields]) for row in rows]
    return {"totalSize": len(records), "done": True, "records": records}


_TYPES: Final = {
    "organization": "Organization",
    "user": "User",
    "externalclientapplication": "ExternalClientApplication",
}


def _rows(org: EmulatedOrg, type: str) -> list[Row] | None:
    """All records of a type; None for a type that the org does not have."""
    # Nor has it ScratchOrgInfo, so that the Salesforce CLI takes it for no Dev Hub.
    match type.lower():
        case "organization":
            return [_organization(org)]
        case "user":
            return [_user(org, user) for user in org.users]
        case "externalclientapplication":
            return [{"Id": id, "DeveloperName": app.name} for id, app in consumers.with_ids(org)]
        case _:
            return None


def _organization(org: EmulatedOrg) -> Row:
    return {
        "Id": org.id,
        "Name": org.name,
        "InstanceName": "LOCAL",
        "IsSandbox": False,
        "NamespacePrefix": None,
        "OrganizationType": "Developer Edition",
        "TrialExpirationDate": None,
    }


def _user(org: EmulatedOrg, user: EmulatedUser) -> Row:
    name = user.username.partition("@")[0]
    return {
        "Id": user.id,
        "Username": user.username,
        "Email": user.username,
        "FirstName": name,
        "LastName": f"of {org.name}",
        "Name": f"{name} of {org.name}",
        "IsActive": True,
    }


def _record(root: str, type: str, row: Row, fields: Iterable[str] | None = None) -> Row:
    type = _TYPES[type.lower()]
    attributes = {"type": type, "url": f"{root}/sobjects/{type}/{row['Id']}"}
    return {"attributes": attributes, **{name: row[name] for name in fields or row}}


def _version(number: int) -> dict[str, str]:
    """An API version: three a year, of which 59 is Winter '24."""
    years, season = divmod(number - 59, len(_SEASONS))
    return {"label": f"{_SEASONS[season]} '{24 + years}", "url": f"{ROOT}/v{number}.0", "version": f"{number}.0"}
