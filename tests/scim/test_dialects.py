"""Requests as Okta and Entra ID send them, by what both document of their SCIM clients.

Okta: "SCIM 2.0 protocol reference" of its developer documentation. Entra ID: "Develop and plan
provisioning for a SCIM endpoint" of Microsoft's, with the older forms of PATCH that it still sends
where no flag is set (texts for booleans, names in any case, dotted names without a path).
"""

from __future__ import annotations

from typing import Any

from consoles import RunningConsole
from scim_clients import GROUP, PATCH, USER, ScimClient

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"


def test_okta_provisions_a_person(console: RunningConsole, scim: ScimClient) -> None:
    assert scim.done(
        "GET",
        "/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100",
    ) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 0,
        "startIndex": 1,
        "itemsPerPage": 0,
        "Resources": [],
    }
    sent: dict[str, Any] = {
        "schemas": [USER],
        "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": True, "value": "test.user@okta.local", "type": "work"}],
        "displayName": "Test User",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": True,
    }
    made = scim.done("POST", "/Users", sent)
    assert {name: made[name] for name in ("userName", "displayName", "externalId", "active")} == {
        "userName": "test.user@okta.local",
        "displayName": "Test User",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "active": True,
    }
    path = f"/Users/{made['id']}"
    sent |= {"id": made["id"], "meta": {"resourceType": "User"}, "displayName": "Another User"}
    sent["name"] = {"givenName": "Another", "familyName": "User"}
    assert scim.done("PUT", path, sent)["displayName"] == "Another User"
    off = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": False}}]}
    assert scim.done("PATCH", path, off)["active"] is False
    user = console.store.user(made["id"])
    assert user is not None
    assert not user.active


def test_okta_pushes_groups(scim: ScimClient) -> None:
    one, two = scim.add_user("one@okta.local")["id"], scim.add_user("two@okta.local")["id"]
    sent = {"schemas": [GROUP], "displayName": "Test SCIMv2", "members": []}
    made = scim.done("POST", "/Groups", sent)
    path = f"/Groups/{made['id']}"
    rename = {"op": "replace", "value": {"id": made["id"], "displayName": "Test SCIMv2 B"}}
    assert scim.patch(path, rename)["displayName"] == "Test SCIMv2 B"
    joined = [{"value": one, "display": "one@okta.local"}]
    scim.patch(path, {"op": "add", "path": "members", "value": joined})
    after = scim.patch(
        path,
        {"op": "remove", "path": f'members[value eq "{one}"]'},
        {"op": "add", "path": "members", "value": [{"value": two, "display": "two@okta.local"}]},
    )
    assert [each["value"] for each in after["members"]] == [two]
    whole = {"schemas": [GROUP], "id": made["id"], "displayName": "Test SCIMv2 B"}
    after = scim.done("PUT", path, whole | {"members": [{"value": one}, {"value": two}]})
    assert {each["value"] for each in after["members"]} == {one, two}
    assert scim.done("DELETE", path) is None


def test_entra_provisions_a_person(scim: ScimClient) -> None:
    name = "Test_User_ab6490ee-1e48-479e-a20b-2d77186b5dd1"
    assert scim.found("Users", f'userName eq "{name}"') == []
    made = scim.done(
        "POST",
        "/Users",
        {
            "schemas": [USER, ENTERPRISE],
            "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
            "userName": name,
            "active": True,
            "emails": [
                {"primary": True, "type": "work", "value": "Test_User_fd0ea19b@testuser.com"}
            ],
            "meta": {"resourceType": "User"},
            "name": {
                "formatted": "givenName familyName",
                "familyName": "familyName",
                "givenName": "givenName",
            },
            "roles": [],
            ENTERPRISE: {"department": "R&D", "manager": {"value": "x"}},
        },
    )
    assert (made["userName"], made["displayName"]) == (name, "givenName familyName")
    assert made["emails"][0]["value"] == "test_user_fd0ea19b@testuser.com"
    path = f"/Users/{made['id']}"
    address = 'emails[type eq "work"].value eq "Test_User_fd0ea19b@testuser.com"'
    assert [each["id"] for each in scim.found("Users", address)] == [made["id"]]
    after = scim.patch(
        path,
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "upd@microsoft.com"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Sales"},
        {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "555"},
        {"op": "Replace", "path": "userName", "value": "5b50642d@testuser.com"},
    )
    assert (after["userName"], after["emails"]) == ("5b50642d@testuser.com", made["emails"])
    dotted = {"displayName": "Bjfe", "name.givenName": "Kjell", "name.formatted": "Bjfe B"}
    after = scim.patch(path, {"op": "replace", "value": dotted})
    assert after["displayName"] == "Bjfe"
    after = scim.patch(path, {"op": "Replace", "path": "name.formatted", "value": "Bjfe B"})
    assert (after["displayName"], after["name"]) == ("Bjfe B", {"formatted": "Bjfe B"})
    for value in ("False", False):
        off = {"op": "Replace", "path": "active", "value": value}
        assert scim.patch(path, off)["active"] is False
        assert scim.patch(path, off | {"value": "True"})["active"] is True
    assert scim.done("DELETE", path) is None
    assert scim.refused("GET", path) == (404, "")


def test_entra_provisions_groups(scim: ScimClient) -> None:
    one, two = scim.add_user("one@testuser.com")["id"], scim.add_user("two@testuser.com")["id"]
    made = scim.done(
        "POST",
        "/Groups",
        {
            "schemas": [GROUP, ADSCIM],
            "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
            "displayName": "displayName",
            "meta": {"resourceType": "Group"},
        },
    )
    path = f"/Groups/{made['id']}"
    query = "excludedAttributes=members&filter=displayName%20eq%20%22displayName%22"
    (found,) = scim.done("GET", f"/Groups?{query}")["Resources"]
    assert (found["id"], found["externalId"]) == (made["id"], made["externalId"])
    assert "members" not in found
    scim.patch(path, {"op": "Replace", "path": "displayName", "value": "1879db59-3bdf"})
    for user_id in (one, two):
        joined = [{"$ref": None, "value": user_id}]
        scim.patch(path, {"op": "Add", "path": "members", "value": joined})
    after = scim.patch(
        path, {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": one}]}
    )
    assert (after["displayName"], [each["value"] for each in after["members"]]) == (
        *("1879db59-3bdf", [two]),
    )
    for member, there in ((one, []), (two, [made["id"]])):
        text = f'id eq "{made["id"]}" and members eq "{member}"'
        assert [each["id"] for each in scim.found("Groups", text)] == there


def test_what_there_is_can_be_asked(scim: ScimClient) -> None:
    config = scim.done("GET", "/ServiceProviderConfig")
    assert config["patch"] == {"supported": True}
    for part in ("bulk", "changePassword", "sort", "etag"):
        assert config[part]["supported"] is False
    types = scim.done("GET", "/ResourceTypes")["Resources"]
    assert [each["endpoint"] for each in types] == ["/Users", "/Groups"]
    for each in types:
        assert scim.done("GET", f"/ResourceTypes/{each['id']}") == each
        schema = scim.done("GET", f"/Schemas/{each['schema']}")
        assert schema in scim.done("GET", "/Schemas")["Resources"]
        made = scim.add_user("a@b.c") if each["id"] == "User" else scim.add_group("g")
        named = {attribute["name"] for attribute in schema["attributes"]}
        assert set(made) - named == {"schemas", "id", "meta"}
    assert scim.refused("GET", "/Schemas/urn:x") == (404, "")
    assert scim.refused("GET", "/ResourceTypes/Device") == (404, "")
    assert scim.refused("GET", "/Schemas?filter=id%20pr") == (403, "")
