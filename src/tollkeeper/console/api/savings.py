"""``GET /api/v1/savings``: what is wasted, and what another model would have cost."""

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
    mapping,
    or_null,
)
from tollkeeper.console.masking import ledger_for
from tollkeeper.console.savings_lines import prices_of
from tollkeeper.console.shared import Console
from tollkeeper.reports.export import csv_lines
from tollkeeper.reports.parameters import savings_question
from tollkeeper.reports.questions import BadQuestion, one_of, quoted
from tollkeeper.reports.savings import savings as report
from tollkeeper.reports.savings_answers import COLUMNS, savings_document, savings_rows

FORMATS: Final = ("json", "csv")
_STAKE: Final = {"calls": COUNT, "usd": MONEY, "unknown": COUNT}


def savings(console: Console, access: Access, question: Question) -> Answer:
    """Say what is wasted, and with ``to_model`` what another model would have cost."""
    wanted = question.query.get("format", "json")
    if wanted not in FORMATS:
        raise BadQuestion("format", f"{quoted(wanted)} is none; {one_of(FORMATS)}")
    asked = savings_question(question.query, console.now_us(), console.zone)
    viewer = viewer_of(access)
    ledger = ledger_for(console, viewer)
    found = report(ledger, viewer.scope, asked, prices_of(console), console.beside)
    if wanted == "csv":
        return csv_file("savings", csv_lines(COLUMNS, savings_rows(found)))
    return Document(savings_document(found))


def savings_schemas() -> dict[str, Schema]:
    """Give the named schemas."""
    group = exactly(
        {
            "keys": mapping(TEXT),
            "key_name": TEXT,
            "from": or_null(TIME),
            "to": or_null(TIME),
            **_STAKE,
            "note": TEXT,
        }
    )
    sides = {"now": exactly(_STAKE), "before": exactly(_STAKE)}
    caches = exactly(
        {
            **sides,
            "read_tokens": COUNT,
            "written_tokens": COUNT,
            "read_usd": MONEY,
            "written_usd": MONEY,
            "flat_rate": COUNT,
            "own_cache_usd": MONEY,
            "by": mapping(listed(group)),
        }
    )
    finding = exactly(
        {"name": TEXT, **sides, "at_least": {"type": "boolean"}, "groups": listed(group)}
    )
    period = exactly({"name": TEXT, "from": TIME, "to": TIME, "tz": TEXT})
    return {
        "Savings": exactly(
            {
                "period": period,
                "cost_usd": MONEY,
                "prompt_caches": caches,
                "findings": listed(finding),
                "what_if": or_null(_what_if()),
            }
        )
    }


def _what_if() -> Schema:
    amounts = {"now_usd": MONEY, "then_usd": MONEY}
    line = exactly({"provider": TEXT, "model": TEXT, "calls": COUNT, **amounts})
    left = exactly({"reason": TEXT, "calls": COUNT, "cost_usd": MONEY})
    return exactly(
        {
            "from_model": or_null(TEXT),
            "to_model": TEXT,
            "calls": COUNT,
            **amounts,
            "difference_usd": MONEY,
            "written_as_input_tokens": COUNT,
            "lines": listed(line),
            "left_out": listed(left),
        }
    )
