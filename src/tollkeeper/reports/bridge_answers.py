"""Why a cost changed, as the document of the JSON API and as rows of a file."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from tollkeeper.domain.bridge import Cause
from tollkeeper.reports.answers import exact_amount, time_text
from tollkeeper.reports.bridge import Amounts, Bridge, Changes
from tollkeeper.reports.bridge_words import why
from tollkeeper.reports.explore_answers import OTHER
from tollkeeper.reports.period import Period

_ZERO: Final = Decimal("0.000000000")
COLUMNS: Final = (
    *("name", "cost_usd_before", "cost_usd", "difference_usd"),
    *(f"{cause}_usd" for cause in Cause),
    *("requests_before", "requests", "unpriced_before", "unpriced", "why"),
)


def changes_document(found: Changes) -> dict[str, Any]:
    """Give the document of ``GET /api/v1/changes``."""
    question = found.question
    return {
        "as_of": time_text(found.now_us),
        "by": question.dimension,
        "period": _period(question.period),
        "before": _period(question.before),
        "total": _bridge(found.total),
        "rows": [
            {"key": row.key, "name": row.name, **_bridge(row), "why": why(row)}
            for row in found.rows
        ],
        "rows_found": found.rows_found,
        "other": None if found.other is None else _bridge(found.other),
        "pairs": [
            {
                "key": pair.key,
                "name": pair.name,
                "model": pair.model,
                **_bridge(pair),
                "why": why(pair),
            }
            for pair in found.pairs
        ],
    }


def changes_rows(found: Changes) -> list[dict[str, object]]:
    """Give the rows as a flat table, amounts as Decimal, last what is in no row."""
    rows = [(row.name, row) for row in found.rows]
    if found.other is not None:
        rows.append((OTHER, found.other))
    return [
        {
            "name": name,
            "cost_usd_before": row.before.cost_usd,
            "cost_usd": row.now.cost_usd,
            "difference_usd": row.difference_usd,
            **{f"{cause}_usd": row.effects.get(cause, _ZERO) for cause in Cause},
            "requests_before": row.before.requests,
            "requests": row.now.requests,
            "unpriced_before": row.before.unpriced,
            "unpriced": row.now.unpriced,
            "why": why(row),
        }
        for name, row in rows
    ]


def _bridge(found: Bridge) -> dict[str, Any]:
    return {
        "before": _amounts(found.before),
        "now": _amounts(found.now),
        "difference_usd": exact_amount(found.difference_usd),
        "causes": {cause.value: exact_amount(found.effects.get(cause, _ZERO)) for cause in Cause},
    }


def _amounts(amounts: Amounts) -> dict[str, Any]:
    return {**amounts._asdict(), "cost_usd": exact_amount(amounts.cost_usd)}


def _period(period: Period) -> dict[str, Any]:
    """Give what of a period is counted: up to as far as it has elapsed."""
    return {
        "name": period.name,
        "from": time_text(period.start_us),
        "to": time_text(period.until_us),
        "tz": period.zone,
    }
