"""What a client looks up after a login: records of the user and the org, by id and by query."""

from __future__ import annotations

from typing import Any

import pytest
from emulator.client import NIGHTLY, Client
from hypothesis import given
from hypothesis import strategies as st
from profiles import tries

DATA = "/services/data/v68.0"


@pytest.fixture(scope="module")
def token(client: Client) -> str:
    return str(client.token().json()["access_token"])


def queried(client: Client, token: str, soql: str) -> Any:
    return client.http.get(
        client.url(f"{DATA}/query"), params={"q": soql}, headers={"Authorization": f"Bearer {token}"}
    ).json()


def test_the_user_record_names_the_user(client: Client, token: str) -> None:
    who = client.get("/services/oauth2/userinfo", token).json()
    for id in (who["user_id"], who["user_id"][:15]):
        record = client.get(f"/services/data/v51.0/sobjects/User/{id}", token).json()
        assert (record["Id"], record["Username"]) == (who["user_id"], who["preferred_username"])
        assert record["attributes"] == {
            "type": "User",
            "url": f"/services/data/v51.0/sobjects/User/{who['user_id']}",
        }


def test_a_query_of_the_org(client: Client, token: str) -> None:
    who = client.get("/services/oauth2/userinfo", token).json()
    fields = "Name, InstanceName, IsSandbox, TrialExpirationDate, NamespacePrefix, OrganizationType"
    said = queried(client, token, f"SELECT {fields} FROM Organization")
    assert (said["totalSize"], said["done"]) == (1, True)
    (record,) = said["records"]
    assert record.pop("attributes")["url"].endswith(f"/Organization/{who['organization_id']}")
    assert record == {
        "Name": client.org,
        "InstanceName": "LOCAL",
        "IsSandbox": False,
        "TrialExpirationDate": None,
        "NamespacePrefix": None,
        "OrganizationType": "Developer Edition",
    }


def test_queries_find_by_a_field_and_end_at_a_limit(client: Client, token: str) -> None:
    client.of(NIGHTLY).credentials()
    everybody = queried(client, token, "select username from user")["records"]
    assert "robot@example.com" in [each["Username"] for each in everybody]
    (found,) = queried(client, token, "SELECT Id FROM User WHERE Username = 'robot@example.com'")["records"]
    assert found["Id"].startswith("005")
    assert len(queried(client, token, "SELECT Id FROM User LIMIT 1")["records"]) == 1
    assert queried(client, token, "SELECT Id FROM User LIMIT 0")["totalSize"] == 0
    assert queried(client, token, "SELECT Id FROM User WHERE Username = 'nobody'")["totalSize"] == 0


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/query?q=SELECT%20Id%20FROM%20ScratchOrgInfo%20limit%201", 400, "INVALID_TYPE"),
        ("/query?q=SELECT%20Secret%20FROM%20User", 400, "INVALID_FIELD"),
        ("/query?q=SELECT%20Id%20FROM%20User%20WHERE%20Secret='x'", 400, "INVALID_FIELD"),
        ("/query?q=SELECT", 400, "MALFORMED_QUERY"),
        ("/query", 400, "MALFORMED_QUERY"),
        ("/sobjects/User/005000000000000AAA", 404, "NOT_FOUND"),
        ("/sobjects/User/005", 404, "NOT_FOUND"),
        ("/sobjects/Account/001000000000000AAA", 404, "NOT_FOUND"),
        ("/nothing", 404, "NOT_FOUND"),
    ],
)
def test_refusals(client: Client, token: str, path: str, status: int, code: str) -> None:
    response = client.get(DATA + path, token)
    assert response.status_code == status
    (error,) = response.json()
    assert error["errorCode"] == code
    assert error["message"]


@pytest.mark.parametrize("path", ["/query?q=SELECT%20Id%20FROM%20User", "/sobjects/User/x", "/nothing"])
def test_nothing_is_told_without_a_token(client: Client, path: str) -> None:
    response = client.get(DATA + path)
    assert response.status_code == 401
    assert response.json()[0]["errorCode"] == "INVALID_SESSION_ID"


def test_two_slashes_are_one(client: Client, token: str) -> None:
    assert client.get(f"/{DATA}/", token).status_code == 200


@tries(100)
@given(st.text(max_size=40), st.text("selctfromwhi dUs,='0*()\\", max_size=40))
def test_no_query_breaks_it(client: Client, token: str, anything: str, tail: str) -> None:
    for soql in (anything, f"SELECT Id FROM User {tail}", f"SELECT {tail} FROM User"):
        said = queried(client, token, soql)
        if isinstance(said, list):
            assert said[0]["errorCode"] in {"MALFORMED_QUERY", "INVALID_TYPE", "INVALID_FIELD"}
        else:
            assert said["done"]
