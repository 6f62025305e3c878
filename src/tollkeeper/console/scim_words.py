"""The words of SCIM: its media type, paths and schemas, and how an error looks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MEDIA_TYPE: Final = "application/scim+json"
MEDIA_TYPES: Final = frozenset({MEDIA_TYPE, "application/json"})
BODY_BYTES_MAX: Final = 120 << 10
"""A little less than the gateway relays."""

ROOT: Final = "/scim/v2"
USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
_MESSAGES: Final = "urn:ietf:params:scim:api:messages:2.0:"
LIST: Final = f"{_MESSAGES}ListResponse"
ERROR: Final = f"{_MESSAGES}Error"
_TAKEN: Final = frozenset({"user_exists", "team_exists"})
_UNREAD: Final = frozenset({"bad_json", "body_incomplete"})


def error_document(status: int, code: str, detail: str, fault: str) -> Mapping[str, Any]:
    """Give an error as RFC 7644 has it. ``fault`` is its ``scimType`` where one is known."""
    scim_type = fault or _scim_type(status, code)
    found = {"schemas": [ERROR], "status": str(status), "detail": detail}
    return found | ({"scimType": scim_type} if scim_type else {})


def scim_status(status: int) -> int:
    """Give the status for SCIM, which knows no 422."""
    return 400 if status == 422 else status


def _scim_type(status: int, code: str) -> str:
    if code in _TAKEN:
        return "uniqueness"
    if code in _UNREAD:
        return "invalidSyntax"
    return "invalidValue" if status == 400 else ""
