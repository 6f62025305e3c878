"""The keys: get one, see who has which, revoke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tollkeeper.console.access import issuer_of
from tollkeeper.console.shared import Console, Query, Redirect
from tollkeeper.domain.access import Viewer
from tollkeeper.ports import KeyRecord
from tollkeeper.services import keys as service


@dataclass(frozen=True, slots=True)
class KeysPage:
    """The keys that the viewer may see. ``issued`` is the text of a new one, shown once."""

    template: ClassVar[str] = "keys.html"
    names: tuple[str, ...]
    issued: str = ""


def keys(console: Console, viewer: Viewer, query: Query) -> KeysPage:
    """Answer ``GET /keys``."""
    return _page(service.list_keys(console.store, issuer_of(console, viewer)))


def issue_key(console: Console, viewer: Viewer, form: Query) -> KeysPage:
    """Answer ``POST /keys``."""
    issuer = issuer_of(console, viewer)
    request = service.KeyRequest(
        form.get("name", ""), email=form.get("email", ""), team=form.get("team", "")
    )
    issued = service.issue(console.store, console.vault, request, issuer, console.now_us())
    return KeysPage(_page(service.list_keys(console.store, issuer)).names, issued.token)


def revoke_key(console: Console, viewer: Viewer, form: Query) -> Redirect:
    """Answer ``POST /keys/{key_id}/revoke``."""
    service.revoke(console.store, form["key_id"], issuer_of(console, viewer), console.now_us())
    return Redirect("/keys")


def _page(records: list[KeyRecord]) -> KeysPage:
    return KeysPage(tuple(f"{record.key.key_id} {record.key.name}" for record in records))
