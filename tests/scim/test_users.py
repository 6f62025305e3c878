"""``/scim/v2/Users`` over HTTP: people of ours, as a provider keeps them."""

from __future__ import annotations

from consoles import RunningConsole
from scim_clients import USER, ScimClient, patch
from stores import issue_key
from tollkeeper.domain.access import Role


def test_a_person_is_made_read_and_found(console: RunningConsole, scim: ScimClient) -> None:
    reply = scim.ask(
        "POST",
        "/Users",
        {
            "schemas": [USER],
            "userName": "bjensen",
            "externalId": "e-1",
            "name": {"givenName": "Barbara", "familyName": "Jensen"},
            "emails": [{"value": "Home@acme.com"}, {"value": "B@ACME.com", "primary": True}],
            "title": "Tour guide",
            "password": "not kept",
        },
    )
    made = reply.json()
    assert reply.status == 201
    assert reply.header("location") == made["meta"]["location"]
    assert made["meta"]["location"] == f"http://localhost:4000/scim/v2/Users/{made['id']}"
    assert made == {
        "schemas": [USER],
        "id": made["id"],
        "externalId": "e-1",
        "userName": "bjensen",
        "name": {"formatted": "Barbara Jensen"},
        "displayName": "Barbara Jensen",
        "emails": [{"value": "b@acme.com", "type": "work", "primary": True}],
        "active": True,
        "groups": [],
        "meta": {
            "resourceType": "User",
            "created": "2026-09-21T14:13:20Z",
            "location": made["meta"]["location"],
        },
    }
    user = console.store.user(made["id"])
    assert user is not None
    assert (user.email, user.role, user.team) == ("b@acme.com", Role.MEMBER, "")
    assert scim.done("GET", f"/Users/{made['id']}") == made
    for text in (
        *('userName eq "BJENSEN"', 'externalId eq "e-1"', f'id eq "{made["id"]}"'),
        *('userName eq "bjensen" and active eq true', 'emails.value eq "b@acme.com"'),
    ):
        assert scim.found("Users", text) == [made], text
    for text in (
        *('userName eq "b@acme.com"', 'externalId eq "E-1"', 'id eq "nobody"'),
        *('userName eq "bjensen" and active eq false', 'userName eq "bjensen" and id eq "x"'),
    ):
        assert scim.found("Users", text) == [], text


def test_people_of_ours_are_there_under_their_address(
    console: RunningConsole, scim: ScimClient
) -> None:
    listed = scim.done("GET", "/Users")
    assert listed["totalResults"] == len(console.users)
    (alice,) = scim.found("Users", 'userName eq "Alice@acme.com"')
    assert alice["id"] == console.users["member"].user_id
    assert [each["display"] for each in alice["groups"]] == ["core"]
    assert scim.refused("POST", "/Users", {"userName": "alice@acme.com"}) == (409, "uniqueness")
    scim.patch(f"/Users/{alice['id']}", {"op": "add", "value": {"externalId": "e-7"}})
    assert scim.found("Users", 'externalId eq "e-7"')[0]["id"] == alice["id"]


def test_pages_of_people(scim: ScimClient) -> None:
    everybody = [each["id"] for each in scim.done("GET", "/Users")["Resources"]]
    walked: list[str] = []
    while len(walked) < len(everybody):
        page = scim.done("GET", f"/Users?startIndex={len(walked) + 1}&count=3")
        assert page["startIndex"] == len(walked) + 1
        assert page["itemsPerPage"] == len(page["Resources"])
        walked += [each["id"] for each in page["Resources"]]
    assert walked == everybody
    for query, shown in (("count=0", 0), ("count=-1", 0), ("startIndex=0&count=2", 2)):
        page = scim.done("GET", f"/Users?{query}")
        assert (page["totalResults"], len(page["Resources"])) == (len(everybody), shown)
    assert scim.done("GET", "/Users?startIndex=1000")["Resources"] == []
    filtered = scim.done("GET", "/Users?filter=active%20eq%20true&startIndex=2&count=1")
    assert (filtered["totalResults"], filtered["Resources"][0]["id"]) == (
        *(len(everybody), everybody[1]),
    )


def test_only_what_is_wanted_is_shown(scim: ScimClient) -> None:
    first = scim.done("GET", "/Users?attributes=userName,emails.value&count=1")["Resources"][0]
    assert set(first) == {"id", "schemas", "meta", "userName", "emails"}
    first = scim.done("GET", "/Users?excludedAttributes=emails,id&count=1")["Resources"][0]
    assert "emails" not in first
    assert "id" in first


def test_a_person_is_replaced(console: RunningConsole, scim: ScimClient) -> None:
    made = scim.add_user(externalId="e", displayName="Babs")
    path = f"/Users/{made['id']}"
    body = {"schemas": [USER], "userName": "barbara", "displayName": "Barbara", "active": True}
    after = scim.done("PUT", path, body)
    assert (after["userName"], after["displayName"]) == ("barbara", "Barbara")
    assert (after["externalId"], after["emails"]) == ("e", made["emails"])
    assert scim.done("PUT", path, {"userName": "barbara", "externalId": None}) == {
        name: value for name, value in after.items() if name != "externalId"
    }
    assert scim.found("Users", 'userName eq "bjensen@acme.com"') == []
    before = console.store.audit_head()
    scim.done("PUT", path, {"userName": "barbara"})
    assert console.store.audit_head() == before  # nothing changed, nothing is told
    assert scim.refused("PUT", path, {"userName": "alice@acme.com"}) == (409, "uniqueness")


def test_one_of_several_names_is_kept(scim: ScimClient) -> None:
    both = {"displayName": "Al (ext)", "name": {"givenName": "Alice", "familyName": "Ng"}}
    made = scim.add_user(**both)
    path = f"/Users/{made['id']}"
    for _ in range(2):  # the same again changes nothing
        sent = {"userName": made["userName"], **both}
        assert scim.done("PUT", path, sent)["displayName"] == "Al (ext)"
    for patched, name in (
        ({"name.formatted": "Alice Ng"}, "Alice Ng"),
        ({"name.givenName": "Alicia"}, "Alice Ng"),
        ({"name": {"givenName": "Alicia", "familyName": "Ng"}}, "Alicia Ng"),
        ({"displayName": "A" * 200}, "A" * 100),
        ({"displayName": " "}, "A" * 100),
    ):
        assert scim.patch(path, {"op": "replace", "value": patched})["displayName"] == name


def test_whoever_is_switched_off_loses_keys_and_sessions(
    console: RunningConsole, scim: ScimClient
) -> None:
    session = console.session("member")
    user_id = console.users["member"].user_id
    after = scim.patch(f"/Users/{user_id}", {"op": "Replace", "path": "active", "value": "False"})
    assert after["active"] is False
    assert scim.done("GET", f"/Users/{user_id}")["active"] is False
    assert console.get("/calls", session).status == 303
    (record,) = console.store.keys_of(user_id)
    assert record.revoked_at_us is not None
    assert [each["id"] for each in scim.found("Users", "active eq false")] == [user_id]
    again = scim.patch(f"/Users/{user_id}", {"op": "replace", "value": {"active": True}})
    assert again["active"] is True
    assert console.store.keys_of(user_id)[0].revoked_at_us is not None  # for good


def test_whoever_is_deleted_is_gone_until_they_come_again(
    console: RunningConsole, scim: ScimClient
) -> None:
    lead = console.users["lead"]
    issue_key(console.folder, lead.email)
    path = f"/Users/{lead.user_id}"
    scim.patch(path, {"op": "add", "value": {"externalId": "e", "userName": "lena"}})
    assert scim.done("DELETE", path) is None
    user = console.store.user(lead.user_id)
    assert user is not None
    assert (user.active, user.team) == (False, "")
    assert all(each.revoked_at_us for each in console.store.keys_of(lead.user_id))
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        body = {"PUT": {"userName": "x"}, "PATCH": patch({"op": "remove", "path": "title"})}
        assert scim.refused(method, path, body.get(method)) == (404, "")
    for text in ('userName eq "lena"', f'userName eq "{lead.email}"', 'externalId eq "e"'):
        assert scim.found("Users", text) == []
    assert all(each["id"] != lead.user_id for each in scim.done("GET", "/Users")["Resources"])
    again = scim.add_user("lena", emails=[{"value": lead.email}])
    assert again["id"] == lead.user_id
    user = console.store.user(lead.user_id)
    assert user is not None
    assert (user.active, user.role) == (True, Role.MEMBER)  # a role of long ago does not come back


def test_the_last_admin_stays(console: RunningConsole, scim: ScimClient) -> None:
    path = f"/Users/{console.users['admin'].user_id}"
    off = patch({"op": "replace", "value": {"active": False, "displayName": "Gone"}})
    for method, body in (("PATCH", off), ("DELETE", None)):
        reply = scim.ask(method, path, body)
        assert reply.status == 409
        assert "last active admin" in reply.json()["detail"]
    assert scim.refused("PUT", path, {"userName": "root", "active": False}) == (409, "")
    admin = console.store.user(console.users["admin"].user_id)
    assert admin == console.users["admin"]
    assert console.store.scim_user(admin.user_id) is None


def test_a_user_name_cannot_be_removed(scim: ScimClient) -> None:
    path = f"/Users/{scim.add_user()['id']}"
    for operation in (
        {"op": "remove", "path": "userName"},
        {"op": "replace", "path": "userName", "value": None},
        {"op": "replace", "path": "active", "value": "perhaps"},
    ):
        assert scim.refused("PATCH", path, patch(operation)) == (400, "invalidValue")


def test_an_address_stays(console: RunningConsole, scim: ScimClient) -> None:
    made = scim.add_user()
    work = {"op": "replace", "path": 'emails[type eq "work"].value', "value": "root@acme.com"}
    off = {"op": "replace", "path": "active", "value": False}
    after = scim.patch(f"/Users/{made['id']}", work, off)
    assert (after["emails"], after["active"]) == (made["emails"], False)
