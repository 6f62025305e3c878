"""``/scim/v2/Groups`` over HTTP: teams of ours, as a provider keeps them."""

from __future__ import annotations

from consoles import RunningConsole
from scim_clients import GROUP, ScimClient, patch
from stores import issue_key


def members(scim: ScimClient, group_id: str) -> list[str]:
    return [each["value"] for each in scim.done("GET", f"/Groups/{group_id}")["members"]]


def test_a_group_is_a_team(console: RunningConsole, scim: ScimClient) -> None:
    alice, olga = console.users["member"], console.users["other lead"]
    made = scim.add_group("Tour guides", alice.user_id)
    assert made == {
        "schemas": [GROUP],
        "id": made["id"],
        "displayName": "Tour guides",
        "members": [
            {
                "value": alice.user_id,
                "display": "alice@acme.com",
                "type": "User",
                "$ref": f"http://localhost:4000/scim/v2/Users/{alice.user_id}",
            }
        ],
        "meta": {
            "resourceType": "Group",
            "created": "2026-09-21T14:13:20Z",
            "location": f"http://localhost:4000/scim/v2/Groups/{made['id']}",
        },
    }
    path = f"/Groups/{made['id']}"
    after = scim.done(
        "PUT",
        path,
        {"displayName": "Guides", "externalId": "g-1", "members": [{"value": olga.user_id}]},
    )
    assert [each["value"] for each in after["members"]] == [olga.user_id]
    kept = console.store.team_named("guides")
    assert kept is not None
    assert kept.team_id == made["id"]
    teams = {each.user_id: each.team for each in console.store.users()}
    assert (teams[alice.user_id], teams[olga.user_id]) == ("", "Guides")
    for text in (
        *('displayName eq "GUIDES"', 'externalId eq "g-1"', f'id eq "{made["id"]}"'),
        *(f'id eq "{made["id"]}" and members eq "{olga.user_id}"', "externalId pr"),
        f'members[value eq "{olga.user_id}"]',
    ):
        assert scim.found("Groups", text) == [after], text
    assert scim.found("Groups", f'members[value eq "{alice.user_id}"]') == []
    assert "members" not in scim.done("GET", f"{path}?excludedAttributes=members")
    assert scim.done("GET", "/Groups")["totalResults"] == 3


def test_the_last_group_that_somebody_is_put_into_wins(
    console: RunningConsole, scim: ScimClient
) -> None:
    alice = console.users["member"]
    one, two = scim.add_group("one", alice.user_id)["id"], scim.add_group("two")["id"]
    add = {"op": "Add", "path": "members", "value": [{"value": alice.user_id}]}
    scim.patch(f"/Groups/{two}", add)
    assert (members(scim, one), members(scim, two)) == ([], [alice.user_id])
    groups = scim.done("GET", f"/Users/{alice.user_id}")["groups"]
    assert [each["display"] for each in groups] == ["two"]
    remove = {"op": "Remove", "path": "members", "value": [{"value": alice.user_id}]}
    scim.patch(f"/Groups/{one}", remove)  # was no member of it any more
    assert members(scim, two) == [alice.user_id]
    scim.patch(f"/Groups/{two}", {"op": "remove", "path": f'members[value eq "{alice.user_id}"]'})
    assert scim.done("GET", f"/Users/{alice.user_id}")["groups"] == []


def test_a_group_that_is_deleted_leaves_its_people_without_a_team(
    console: RunningConsole, scim: ScimClient
) -> None:
    core = console.store.team_named("core")
    assert core is not None
    team_key = issue_key(console.folder, team="core").record.key.key_id
    path = f"/Groups/{core.team_id}"
    assert scim.done("DELETE", path) is None
    record = console.store.key(team_key)
    assert record is not None
    assert not record.key.active
    assert {each.team for each in console.store.users()} == {"", "other"}
    for method, body in (("GET", None), ("PATCH", patch({"op": "remove", "path": "members"}))):
        assert scim.refused(method, path, body) == (404, "")
    assert scim.refused("DELETE", path) == (404, "")
    assert scim.found("Groups", 'displayName eq "core"') == []
    again = scim.add_group("Core", console.users["member"].user_id)
    assert again["id"] == core.team_id
    assert console.store.team_named("core").active  # type: ignore[union-attr]


def test_groups_that_cannot_be(console: RunningConsole, scim: ScimClient) -> None:
    alice = console.users["member"].user_id
    made = scim.add_group("one", alice)
    path = f"/Groups/{made['id']}"
    for body, refused in (
        ({}, (400, "invalidValue")),
        ({"displayName": ""}, (400, "invalidValue")),
        ({"displayName": "x" * 101}, (400, "invalidValue")),
        ({"displayName": "CORE"}, (409, "uniqueness")),
        ({"displayName": "two", "members": alice}, (400, "invalidValue")),
        ({"displayName": "two", "members": [{"display": "a"}]}, (400, "invalidValue")),
        ({"displayName": "two", "members": [{"value": made["id"]}]}, (400, "invalidValue")),
        ({"displayName": "two", "members": [{"value": "\0"}]}, (400, "invalidValue")),
    ):
        assert scim.refused("POST", "/Groups", body) == refused, body
        assert scim.refused("PUT", path, body) == refused, body
    assert members(scim, made["id"]) == [alice]
    assert console.store.team_named("two") is None  # all of it, or nothing
    both = patch(
        {"op": "replace", "path": "displayName", "value": "renamed"},
        {"op": "add", "path": "members", "value": [{"value": "nobody"}]},
    )
    assert scim.refused("PATCH", path, both) == (400, "invalidValue")
    assert scim.done("GET", path)["displayName"] == "one"
    unknown = patch({"op": "add", "path": "owners", "value": []})
    assert scim.refused("PATCH", path, unknown) == (400, "invalidPath")
    assert scim.refused("PATCH", path, {"Operations": []}) == (400, "invalidSyntax")
    assert scim.refused("GET", "/Groups/nothing%00") == (404, "")
    assert scim.refused("GET", "/Groups?filter=userName%20pr") == (400, "invalidFilter")


def test_an_external_id_comes_and_goes(scim: ScimClient) -> None:
    path = f"/Groups/{scim.add_group('one')['id']}"
    after = scim.patch(path, {"op": "add", "path": "externalId", "value": "g"})
    assert after["externalId"] == "g"
    assert "externalId" in scim.done("PUT", path, {"displayName": "one"})
    assert "externalId" not in scim.patch(path, {"op": "remove", "path": "externalId"})
