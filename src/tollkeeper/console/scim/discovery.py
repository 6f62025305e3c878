"""What this SCIM server can do, for clients that ask: RFC 7643, sections 5 to 7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.scim.listing import COUNT_MAX
from tollkeeper.console.scim_words import GROUP, LIST, ROOT, USER
from tollkeeper.console.shared import Console
from tollkeeper.domain.errors import NotAllowed, NotFound

_SCHEMAS: Final = "urn:ietf:params:scim:schemas:core:2.0:"
_NO: Final = {"supported": False}


def provider_config(console: Console, access: Access, question: Question) -> Answer:
    """Say which parts of SCIM there are here."""
    _require_no_filter(question)
    return Document(
        {
            "schemas": [f"{_SCHEMAS}ServiceProviderConfig"],
            "patch": {"supported": True},
            "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
            "filter": {"supported": True, "maxResults": COUNT_MAX},
            "changePassword": _NO,
            "sort": _NO,
            "etag": _NO,
            "authenticationSchemes": [
                {
                    "type": "oauthbearertoken",
                    "name": "SCIM token",
                    "description": "Made with: tollkeeper users scim-token NAME",
                    "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
                    "primary": True,
                }
            ],
            "meta": _meta(console, "ServiceProviderConfig", "/ServiceProviderConfig"),
        }
    )


def resource_types(console: Console, access: Access, question: Question) -> Answer:
    """List what is kept: users and groups."""
    _require_no_filter(question)
    return _list([_resource_type(console, name) for name in _TYPES])


def resource_type(console: Console, access: Access, question: Question) -> Answer:
    """Describe users or groups."""
    name = question.path["name"]
    if name not in _TYPES:
        raise NotFound("there is no such resource type", code="not_found")
    return Document(_resource_type(console, name))


def schemas(console: Console, access: Access, question: Question) -> Answer:
    """List the schemas of users and groups, of which only what is kept stands here."""
    _require_no_filter(question)
    return _list([_schema(console, urn) for urn in _ATTRIBUTES])


def schema(console: Console, access: Access, question: Question) -> Answer:
    """Describe the attributes of users or groups."""
    urn = question.path["urn"]
    if urn not in _ATTRIBUTES:
        raise NotFound("there is no such schema", code="not_found")
    return Document(_schema(console, urn))


def _attribute(name: str, description: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "multiValued": False,
        "description": description,
        "required": False,
        "caseExact": False,
        "mutability": "readWrite",
        "returned": "default",
        "uniqueness": "none",
        **more,
    }


def _several(name: str, description: str, parts: Sequence[Any], **more: Any) -> dict[str, Any]:
    return _attribute(
        name, description, "complex", multiValued=True, subAttributes=list(parts), **more
    )


_READ: Final[Mapping[str, Any]] = {"mutability": "readOnly"}
_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "User": (USER, "A person with an account."),
    "Group": (GROUP, "A team. A person belongs to one: the last that they were put into."),
}
_ATTRIBUTES: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    USER: (
        _attribute(
            *("userName", "What the provider calls the person."),
            required=True,
            uniqueness="server",
        ),
        _attribute(
            *("name", "The person's name. We have one, and displayName comes first.", "complex"),
            subAttributes=[
                _attribute("formatted", "The whole name."),
                _attribute("givenName", "Counts together with familyName.", returned="never"),
                _attribute("familyName", "Counts together with givenName.", returned="never"),
            ],
        ),
        _attribute("displayName", "What the person is called here."),
        _several(
            *("emails", "One address: of those that a new person comes with. It stays."),
            (
                _attribute("value", "The address, in small letters."),
                _attribute("type", "Always work."),
                _attribute("primary", "Always true.", "boolean"),
            ),
            mutability="immutable",
        ),
        _attribute("active", "False ends sessions and revokes keys for good.", "boolean"),
        _several(
            *("groups", "The person's team."),
            (
                _attribute("value", "The group's id.", caseExact=True, **_READ),
                _attribute("display", "The group's name.", **_READ),
            ),
            **_READ,
        ),
    ),
    GROUP: (
        _attribute("displayName", "The team's name.", required=True, uniqueness="server"),
        _several(
            *("members", "The people in the team."),
            (
                _attribute("value", "The user's id.", caseExact=True, mutability="immutable"),
                _attribute("display", "The userName.", **_READ),
            ),
        ),
    ),
}


def _resource_type(console: Console, name: str) -> dict[str, Any]:
    urn, description = _TYPES[name]
    return {
        "schemas": [f"{_SCHEMAS}ResourceType"],
        "id": name,
        "name": name,
        "description": description,
        "endpoint": f"/{name}s",
        "schema": urn,
        "schemaExtensions": [],
        "meta": _meta(console, "ResourceType", f"/ResourceTypes/{name}"),
    }


def _schema(console: Console, urn: str) -> dict[str, Any]:
    name = urn.rpartition(":")[2]
    return {
        "schemas": [f"{_SCHEMAS}Schema"],
        "id": urn,
        "name": name,
        "description": _TYPES[name][1],
        "attributes": list(_ATTRIBUTES[urn]),
        "meta": _meta(console, "Schema", f"/Schemas/{urn}"),
    }


def _meta(console: Console, kind: str, path: str) -> dict[str, str]:
    return {"resourceType": kind, "location": f"{console.public_url}{ROOT}{path}"}


def _list(found: Sequence[Mapping[str, Any]]) -> Document:
    return Document(
        {
            "schemas": [LIST],
            "totalResults": len(found),
            "startIndex": 1,
            "itemsPerPage": len(found),
            "Resources": list(found),
        }
    )


def _require_no_filter(question: Question) -> None:
    """RFC 7644, section 4: a filter here is refused with 403."""
    if "filter" in question.query:
        raise NotAllowed("this is not filtered", code="scim_refused")
