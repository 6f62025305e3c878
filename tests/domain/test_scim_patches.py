"""SCIM's PATCH on a resource as JSON, in the words of the standard, Okta and Entra ID."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.domain.scim import Fault, ScimRefused
from tollkeeper.domain.scim_patches import PATCH_SCHEMA, patched, read_operations

KNOWN = frozenset(
    ["username", "displayname", "name", "emails", "active", "members", "title", "externalid"]
)
USER: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
    "id": "1",
    "userName": "bjensen",
    "displayName": "Babs",
    "name": {"formatted": "Babs"},
    "emails": [{"value": "b@acme.com", "type": "work", "primary": True}],
    "active": True,
}
GROUP: dict[str, Any] = {
    "id": "g",
    "displayName": "Tours",
    "members": [{"value": "a"}, {"value": "b"}, {"value": "B"}],
}


def after(resource: dict[str, Any], *operations: Any) -> dict[str, Any]:
    body = {"schemas": [PATCH_SCHEMA], "Operations": list(operations)}
    return patched(resource, read_operations(body), KNOWN)


def changed(resource: dict[str, Any], *operations: Any) -> dict[str, Any]:
    found = after(resource, *operations)
    return {name: value for name, value in found.items() if resource.get(name) != value}


def test_what_is_patched_stays_as_it_was() -> None:
    before = {**USER, "emails": [dict(USER["emails"][0])]}
    path = 'emails[type eq "work"].value'
    after(before, {"op": "replace", "path": path, "value": "x@acme.com"})
    assert before == USER


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "Replace", "path": "active", "value": "False"}, {"active": "False"}),
        ({"op": "replace", "value": {"active": False}}, {"active": False}),
        (
            {"op": "Add", "value": {"name.formatted": "B", "displayName": "B"}},
            {"name": {"formatted": "B"}, "displayName": "B"},
        ),
        (
            {"op": "add", "path": "name.givenName", "value": "Barbara"},
            {"name": {"formatted": "Babs", "givenname": "Barbara"}},
        ),
        (
            {"op": "replace", "path": "name", "value": {"FORMATTED": "B"}},
            {"name": {"formatted": "B"}},
        ),
        (
            {"op": "replace", "path": 'emails[type eq "work"].value', "value": "n@acme.com"},
            {"emails": [{"value": "n@acme.com", "type": "work", "primary": True}]},
        ),
        (
            {"op": "add", "path": 'emails[type eq "home"].value', "value": "h@acme.com"},
            {"emails": [*USER["emails"], {"type": "home", "value": "h@acme.com"}]},
        ),
        (
            {"op": "add", "value": {'emails[type eq "home"].value': "h@acme.com"}},
            {"emails": [*USER["emails"], {"type": "home", "value": "h@acme.com"}]},
        ),
        ({"op": "add", "path": "externalId", "value": "e"}, {"externalid": "e"}),
        ({"op": "replace", "value": {"id": "1", "schemas": [], "meta": {}}}, {}),
        (
            {
                "op": "add",
                "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
                "value": "R&D",
            },
            {},
        ),
        (
            {
                "op": "add",
                "value": {
                    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"manager": "x"}
                },
            },
            {},
        ),
    ],
)
def test_a_person_is_patched(operation: dict[str, Any], expected: dict[str, Any]) -> None:
    assert changed(USER, operation) == expected


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ({"op": "add", "path": "members", "value": [{"value": "c"}, {"value": "a"}]}, "abBc"),
        ({"op": "Add", "path": "members", "value": {"value": "c"}}, "abBc"),
        ({"op": "add", "value": {"members": [{"value": "c"}]}}, "abBc"),
        ({"op": "replace", "path": "members", "value": [{"value": "c"}]}, "c"),
        ({"op": "replace", "value": {"members": []}}, ""),
        ({"op": "remove", "path": 'members[value eq "b"]'}, "aB"),
        ({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "b"}]}, "aB"),
        ({"op": "remove", "path": "members", "value": ["b"]}, "aB"),
        ({"op": "remove", "path": 'members[value eq "z"]'}, "abB"),
        ({"op": "remove", "path": "members", "value": []}, "abB"),
    ],
)
def test_a_group_is_patched(operation: dict[str, Any], members: str) -> None:
    found = after(GROUP, operation)["members"]
    assert "".join(each["value"] for each in found) == members


def test_all_are_removed_where_none_is_named() -> None:
    assert "members" not in after(GROUP, {"op": "remove", "path": "members"})


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ({"op": "move", "path": "active", "value": True}, Fault.SYNTAX),
        ({"path": "active", "value": True}, Fault.SYNTAX),
        ("replace", Fault.SYNTAX),
        ({"op": "remove"}, Fault.NO_TARGET),
        ({"op": "replace", "path": "active"}, Fault.VALUE),
        ({"op": "replace", "value": True}, Fault.VALUE),
        ({"op": "replace", "path": 5, "value": True}, Fault.PATH),
        ({"op": "replace", "path": "actve", "value": True}, Fault.PATH),
        ({"op": "replace", "path": "emails[", "value": True}, Fault.PATH),
        ({"op": "replace", "value": {"actve": True}}, Fault.PATH),
        ({"op": "replace", "path": "id", "value": "2"}, Fault.MUTABILITY),
        ({"op": "replace", "value": {"id": "2"}}, Fault.MUTABILITY),
        ({"op": "remove", "path": "meta"}, Fault.MUTABILITY),
        ({"op": "replace", "path": 'emails[type eq "x"]', "value": {}}, Fault.NO_TARGET),
        ({"op": "replace", "path": 'emails[type co "x"].value', "value": ""}, Fault.NO_TARGET),
        ({"op": "replace", "path": 'emails[type eq "work"]', "value": "x"}, Fault.VALUE),
    ],
)
def test_what_cannot_be_done_is_refused(operation: Any, fault: Fault) -> None:
    with pytest.raises(ScimRefused) as refused:
        after(USER, operation)
    assert refused.value.fault is fault


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"schemas": [PATCH_SCHEMA]},
        {"schemas": [PATCH_SCHEMA], "Operations": []},
        {"schemas": [PATCH_SCHEMA], "Operations": {"op": "add"}},
        {"schemas": PATCH_SCHEMA, "Operations": [{"op": "remove", "path": "title"}]},
        {"Operations": [{"op": "remove", "path": "title"}]},
        {"schemas": [PATCH_SCHEMA], "Operations": [{"op": "remove", "path": "title"}] * 1_001},
    ],
)
def test_a_body_that_is_no_patch_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ScimRefused) as refused:
        read_operations(body)
    assert refused.value.fault is Fault.SYNTAX


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["value", "type", "formatted", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
PATHS = st.sampled_from(
    [
        *("active", "name", "name.formatted", "emails", "emails.value", "members", "title.x"),
        *('emails[type eq "work"]', 'emails[type eq "work"].value', 'members[value eq "a"]'),
        *('title[a eq "b" and c eq true].d', "active[not (a pr)].b", ""),
    ]
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "REMOVE"]), "value": JSON}, optional={"path": PATHS}
)


@given(st.sampled_from([USER, GROUP]), st.lists(OPERATIONS, min_size=1, max_size=5))
def test_no_patch_raises_anything_else(
    resource: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    try:
        found = after(resource, *operations)
    except ScimRefused:
        return
    assert found["id"] == resource["id"]
