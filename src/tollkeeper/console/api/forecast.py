"""``GET /api/v1/forecast``: where this month will end, and how far that may be off."""

from __future__ import annotations

from tollkeeper.console.access import Access
from tollkeeper.console.answers import Answer, Document, Question
from tollkeeper.console.api.reading import viewer_of
from tollkeeper.console.api.schemas import COUNT, MONEY, TEXT, TIME, Schema, exactly, listed
from tollkeeper.console.masking import ledger_for
from tollkeeper.console.shared import Console
from tollkeeper.domain.forecast import State
from tollkeeper.reports import forecast as report
from tollkeeper.reports.forecast_answers import forecast_document
from tollkeeper.reports.parameters import forecast_question


def forecast(console: Console, access: Access, question: Question) -> Answer:
    """Say where this month will end."""
    viewer = viewer_of(access)
    zone, filters = forecast_question(question.query, console.zone)
    found = report.forecast(
        ledger_for(console, viewer), viewer.scope, zone, filters, console.now_us()
    )
    return Document(forecast_document(found))


def forecast_schemas() -> dict[str, Schema]:
    """Give the named schemas."""
    share: Schema = {"type": "number", "minimum": 0, "maximum": 1}
    return {
        "Forecast": exactly(
            {
                "as_of": TIME,
                "month": exactly({"from": TIME, "to": TIME, "tz": TEXT}),
                "state": {"enum": list(State)},
                **dict.fromkeys(("so_far_usd", "end_usd", "low_usd", "high_usd"), MONEY),
                "covered": share,
                "days_left": COUNT,
                "history_days": COUNT,
                "needed_days": COUNT,
                "origins": COUNT,
                "missed_share": {"type": ["number", "null"], "minimum": 0},
                "estimated_usd": MONEY,
                "unpriced": {"type": "integer"},
                "unpriced_before": {"type": "integer"},
                "how": listed(TEXT),
            }
        )
    }
