"""Every change over SCIM leaves its entries in the audit log, by the token that made it."""

from __future__ import annotations

from consoles import RunningConsole
from scim_clients import ScimClient, patch
from tollkeeper.services import audit


def test_every_change_is_recorded_with_the_token(console: RunningConsole, scim: ScimClient) -> None:
    user = scim.add_user()["id"]
    group = scim.add_group("one")["id"]
    joined = patch({"op": "add", "path": "members", "value": [{"value": user}]})
    steps = (
        (("POST", "/Users", {"userName": "n@acme.com"}), {"user.add", "user.provision"}),
        (("PUT", f"/Users/{user}", {"userName": "n2", "displayName": "N"}), {"user.name"}),
        (
            ("PATCH", f"/Users/{user}", patch({"op": "add", "value": {"externalId": "e"}})),
            {"user.provision"},
        ),
        (("POST", "/Groups", {"displayName": "two"}), {"team.add"}),
        (("PATCH", f"/Groups/{group}", joined), {"user.team"}),
        (
            ("PUT", f"/Groups/{group}", {"displayName": "three", "externalId": "g"}),
            {"team.rename", "team.provision", "user.team"},
        ),
        (("DELETE", f"/Groups/{group}", None), {"team.deactivate", "team.provision"}),
        (("DELETE", f"/Users/{user}", None), {"user.deactivate", "user.provision"}),
    )
    for (method, path, data), actions in steps:
        before = console.store.audit_head().seq
        scim.done(method, path, data)
        entries = list(audit.entries(console.store, before))
        assert actions <= {entry.action for entry in entries}, (method, path)
        assert {(entry.actor_kind, entry.actor_name, entry.actor_id) for entry in entries} == {
            ("scim", "okta", scim.token.token_id)
        }
        assert {entry.address for entry in entries} == {"203.0.113.9"}
    assert audit.verify(console.store).bad_seq is None
    assert "bjensen" not in repr([e.detail for e in audit.entries(console.store, 0)])


def test_what_is_refused_leaves_nothing(console: RunningConsole, scim: ScimClient) -> None:
    before = console.store.audit_head()
    admin = console.users["admin"].user_id
    for method, path, data in (
        ("POST", "/Users", {"userName": "alice@acme.com"}),
        ("DELETE", f"/Users/{admin}", None),
        ("POST", "/Groups", {"displayName": "new", "members": [{"value": "nobody"}]}),
    ):
        assert scim.ask(method, path, data).status in {400, 409}
    assert console.store.audit_head() == before
