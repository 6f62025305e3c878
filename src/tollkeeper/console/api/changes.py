"""``GET /api/v1/changes``: why a cost changed between two periods, as JSON or CSV."""

from __future__ import annotations

from typing import Final

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question, csv_file
from tollkeeper.console.api.reading import viewer_of
from tollkeeper.console.api.schemas import (
    COUNT,
    MONEY,
    TEXT,
    TIME,
    Schema,
    exactly,
    listed,
    or_null,
)
from tollkeeper.console.masking import ledger_for, unranked_changes
from tollkeeper.console.shared import Console
from tollkeeper.domain.bridge import Cause
from tollkeeper.reports import bridge as report
from tollkeeper.reports.bridge_answers import COLUMNS, changes_document, changes_rows
from tollkeeper.reports.export import csv_lines
from tollkeeper.reports.parameters import changes_question
from tollkeeper.reports.questions import BadQuestion, one_of, quoted

FORMATS: Final = ("json", "csv")
_KEY: Final[Schema] = {"type": ["string", "integer", "boolean", "null"]}


def changes(console: Console, access: Access, question: Question) -> Answer:
    """Say by what a cost changed; the causes add up to the difference."""
    wanted = question.query.get("format", "json")
    if wanted not in FORMATS:
        raise BadQuestion("format", f"{quoted(wanted)} is none; {one_of(FORMATS)}")
    now_us, viewer = console.now_us(), viewer_of(access)
    asked = changes_question(question.query, now_us, console.zone)
    found = report.changes(
        ledger_for(console, viewer), viewer.scope, asked, console.terms().book, now_us
    )
    found = unranked_changes(console, viewer, found)
    if wanted == "csv":
        return csv_file("changes", csv_lines(COLUMNS, changes_rows(found)))
    return Document(changes_document(found))


def changes_schemas() -> dict[str, Schema]:
    """Give the named schemas."""
    period = exactly({"name": TEXT, "from": TIME, "to": TIME, "tz": TEXT})
    counts = ("requests", "tokens_in", "tokens_cached", "tokens_out", "unpriced")
    whole: Schema = {"type": "integer"}
    amounts = exactly({"cost_usd": MONEY, **dict.fromkeys(counts, whole)})
    bridge = {
        "before": amounts,
        "now": amounts,
        "difference_usd": MONEY,
        "causes": exactly({cause.value: MONEY for cause in Cause}),
    }
    row = {"key": _KEY, "name": TEXT, **bridge, "why": TEXT}
    return {
        "Changes": exactly(
            {
                "as_of": TIME,
                "by": TEXT,
                "period": period,
                "before": period,
                "total": exactly(bridge),
                "rows": listed(exactly(row)),
                "rows_found": COUNT,
                "other": {"anyOf": [exactly(bridge), {"type": "null"}]},
                "pairs": listed(exactly({**row, "model": or_null(TEXT)})),
            }
        )
    }
