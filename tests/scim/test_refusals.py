"""What is refused by SCIM, and with which words. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from consoles import RunningConsole, running_console
from scim_clients import ScimClient


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    with running_console(tmp_path_factory.mktemp("scim")) as made:
        yield made


@pytest.fixture(scope="module")
def scim(console: RunningConsole) -> ScimClient:
    return ScimClient(console)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("filter=userName", "invalidFilter"),
        ("filter=color%20eq%20%22red%22", "invalidFilter"),
        ("filter=userName%20eq%20%22%00%22", "invalidValue"),
        ("count=many", "invalidValue"),
        ("startIndex=1e3", "invalidValue"),
        ("count=99999999999", "invalidValue"),
        ("attributes=id&excludedAttributes=id", "invalidValue"),
        ("count=1&count=2", "invalidValue"),
    ],
)
def test_lists_that_cannot_be_given(scim: ScimClient, query: str, fault: str) -> None:
    assert scim.refused("GET", f"/Users?{query}") == (400, fault)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"userName": ""},
        {"userName": " "},
        {"userName": None},
        {"userName": 5},
        {"userName": "no address"},
        {"userName": "a@acme.com\0"},
        {"userName": "a@acme.com", "emails": "a@acme.com"},
        {"userName": "a@acme.com", "emails": [{"value": "not one"}]},
        {"userName": "a@acme.com", "active": "perhaps"},
        {"userName": "a@acme.com", "active": 1},
        {"userName": "a@acme.com", "name": "A"},
        {"userName": "a@acme.com", "displayName": ["A"]},
        {"userName": "a@acme.com", "externalId": 7},
        {"userName": "a@acme.com", "externalId": "x" * 256},
        {"userName": "a" * 300 + "@acme.com"},
    ],
)
def test_people_that_cannot_be_made(scim: ScimClient, body: dict[str, Any]) -> None:
    assert scim.refused("POST", "/Users", body) == (400, "invalidValue")


@pytest.mark.parametrize("user_id", ["nobody", "%00", "%ff", "a%20b", "..", "x" * 400])
def test_nobody_of_this_id(scim: ScimClient, user_id: str) -> None:
    assert scim.refused("GET", f"/Users/{user_id}") == (404, "")


def test_bodies_that_cannot_be_read(console: RunningConsole, scim: ScimClient) -> None:
    for content_type, body, status, fault in (
        ("application/scim+json", b"{", 400, "invalidSyntax"),
        ("application/scim+json", b"[]", 400, "invalidSyntax"),
        ("application/json; charset=utf-8", b'{"userName": NaN}', 400, "invalidSyntax"),
        ("application/json", b'{"userName": "\\ud800"}', 400, "invalidSyntax"),
        ("text/plain", b"{}", 415, ""),
        ("application/scim+json", b'{"userName": "' + b"x" * (121 << 10) + b'"}', 413, ""),
    ):
        headers = scim.headers | {"content-type": content_type}
        reply = console.ask("POST", "/scim/v2/Users", headers=headers, body=body)
        assert (reply.status, reply.json().get("scimType", "")) == (status, fault), body[:40]


def test_paths_and_methods_that_are_not_there(scim: ScimClient) -> None:
    assert scim.refused("GET", "/Bulk") == (404, "")
    assert scim.refused("GET", "/users") == (404, "")
    assert scim.refused("POST", "/Users/x") == (405, "")
