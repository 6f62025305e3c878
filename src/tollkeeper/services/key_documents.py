"""A virtual key as data, in the same words for the API, the command line and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tollkeeper.clock import second_text
from tollkeeper.ports import KeyRecord, Store
from tollkeeper.services.key_caps import NO_CAPS, KeyCaps, cap_document


def key_document(
    record: KeyRecord,
    emails: Mapping[str, str],
    now_us: int,
    caps: KeyCaps = NO_CAPS,
    use: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Give a key as data. ``emails`` maps user ids to addresses, ``caps`` has the budgets of
    single keys, ``use`` says how it is used where that was asked for; times are ISO 8601 in UTC.
    """
    key = record.key
    return {
        "id": key.key_id,
        "name": key.name,
        "role": key.kind.value,
        "user": emails.get(key.user_id) or None,
        "team": key.team or None,
        "state": key_state(record, now_us),
        "models": list(key.models),
        "providers": list(key.providers),
        "networks": [] if key.networks is None else list(key.networks.texts),
        "tags": dict(key.tags),
        "use": None if use is None else dict(use),
        "budgets": [cap_document(*pair) for pair in caps.get(key.key_id, ())],
        "created_at": second_text(record.created_at_us),
        "created_by": record.created_by,
        "expires_at": second_text(key.expires_at_us),
        "revoked_at": second_text(record.revoked_at_us),
        "rotated_at": second_text(record.rotated_at_us),
        "rotated_by": record.rotated_by or None,
        "earlier_secret_until": second_text(key.earlier_until_us or None),
    }


def key_state(record: KeyRecord, now_us: int) -> str:
    """Say in one word whether a key works, and if not, why."""
    if record.revoked_at_us is not None:
        return "revoked"
    if not record.key.active:
        return "off"  # its person or team is switched off
    expires_at_us = record.key.expires_at_us
    return "expired" if expires_at_us is not None and now_us >= expires_at_us else "active"


def emails_of(store: Store) -> dict[str, str]:
    """Map the ids of all users to their addresses."""
    return {user.user_id: user.email for user in store.users()}
