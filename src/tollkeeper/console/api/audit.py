"""``GET /api/v1/audit``: the entries of the audit log."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import LIMIT, LIMIT_MAX, PAGING, check_names
from tollkeeper.console.api.schemas import COUNT, TEXT, TIME, Schema, exactly, or_null
from tollkeeper.console.shared import Console
from tollkeeper.domain.audit import AuditQuestion
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.services import audit as service

FILTERS: Final = ("actor", "action", "target_kind", "target")
PARAMETERS: Final = (*FILTERS, *PAGING)
_DIGITS_MAX: Final = 18


def list_entries(console: Console, access: Access, question: Question) -> Answer:
    """List entries of the audit log, newest first."""
    query = question.query
    check_names(query, PARAMETERS)
    limit = _number("limit", query.get("limit", str(LIMIT)))
    if not 1 <= limit <= LIMIT_MAX:
        raise BadQuestion("limit", f"a number from 1 to {LIMIT_MAX}")
    actor, action, kind, target = (query.get(name, "") for name in FILTERS)
    wanted = AuditQuestion(actor, action, kind, target)
    if "cursor" in query:
        wanted = wanted._replace(before_seq=_number("cursor", query["cursor"]))
    found = console.store.audit(wanted._replace(most=limit + 1))
    name_of = service.names_of_targets(console.store)
    return Document(
        {
            "entries": [service.entry_document(entry, name_of) for entry in found[:limit]],
            "next_cursor": str(found[limit - 1].seq) if len(found) > limit else None,
        }
    )


def audit_schemas() -> dict[str, Schema]:
    """Give the named schemas."""
    return {
        "AuditEntry": exactly(
            {
                "seq": COUNT,
                "at": TIME,
                "at_us": COUNT,
                "actor": exactly(
                    {"kind": TEXT, **dict.fromkeys(("id", "name", "address"), or_null(TEXT))}
                ),
                "action": TEXT,
                "target": exactly({"kind": TEXT, **dict.fromkeys(("id", "name"), or_null(TEXT))}),
                "detail": {"type": "object"},
                **dict.fromkeys(("prev_hash", "hash"), TEXT),
            }
        )
    }


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise BadQuestion(name, "a number; a cursor is the next_cursor of the page before")
    return int(text)
