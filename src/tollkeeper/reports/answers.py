"""Answers as the documents of the JSON API: money as decimal strings, times in ISO 8601."""

from __future__ import annotations

import json
from dataclasses import fields
from decimal import Context, Decimal
from typing import Any, Final

from tollkeeper.domain import usage as u
from tollkeeper.domain.money import usd_text
from tollkeeper.reports import zones
from tollkeeper.reports.call import CallDetail, EntryDetail
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.reports.calls import CallsPage
from tollkeeper.reports.comparison import Change, Comparison, Sums
from tollkeeper.reports.dimensions import NAMES
from tollkeeper.reports.export import amount_text
from tollkeeper.reports.live import LiveFigures
from tollkeeper.reports.me import SpentToday
from tollkeeper.reports.measures import MEASURES, Kind, Value
from tollkeeper.reports.overview import Overview, Part
from tollkeeper.reports.period import Period
from tollkeeper.reports.usage import UsageAnswer, UsageRow

_NANO: Final = Decimal("0.000000001")
_RATIO: Final = Decimal("0.000001")
_EXACT: Final = Context(prec=60)
_SPENT: Final = (
    *("cost_usd", "list_cost_usd", "requests", "refusals"),
    *("tokens_in", "tokens_out", "unpriced"),
)

ATTRIBUTED: Final = (
    *("team", "user_name", "key_id", "tool", "tool_version", "session_id", "provider"),
    *("model_requested", "model_served", "wire", "outcome", "error_code", "status"),
    *("basis", "unpriced_reason"),
)
"""What ``GET /me`` says of one call, by the names of the ledger's columns."""
_CACHE_LIVES: Final = ((u.CACHE_WRITE, "5m"), (u.CACHE_WRITE_1H, "1h"))


def usage_document(answer: UsageAnswer) -> dict[str, Any]:
    """Give the document of ``GET /api/v1/usage``."""
    return {
        "period": period_document(answer.question.period),
        "rows": [
            {name: json_of(name, value) for name, value in row.items()}
            for row in usage_rows(answer)
        ],
        "totals": {
            **{name: json_of(name, value) for name, value in answer.totals.items()},
            "unpriced": answer.unpriced,
            "unpriced_calls": answer.unpriced_calls,
            "unpriced_tokens": answer.unpriced_tokens,
        },
        "basis": {
            basis: {
                "requests": share.requests,
                "cost_usd": exact_amount(share.cost_usd),
                "list_cost_usd": exact_amount(share.list_cost_usd),
                "tokens": share.tokens,
            }
            for basis, share in sorted(answer.basis.items())
        },
        "truncated": answer.truncated,
    }


def usage_columns(answer: UsageAnswer) -> tuple[str, ...]:
    """List the columns of the rows, for tables and files."""
    found: dict[str, None] = {}
    for name in answer.question.group_by:
        found[name] = None
        if name in NAMES:
            found[f"{name}_name"] = None
    return tuple(found | dict.fromkeys((*answer.question.metrics, "unpriced")))


def usage_rows(answer: UsageAnswer) -> list[dict[str, Value | str | bool]]:
    """Give the rows as flat mappings of ``usage_columns``, amounts as Decimal."""
    columns = usage_columns(answer)
    return [_flat(row, columns) for row in answer.rows]


def _flat(row: UsageRow, columns: tuple[str, ...]) -> dict[str, Value | str | bool]:
    found: dict[str, Value | str | bool] = {**row.keys, **row.values, "unpriced": row.unpriced}
    found |= {f"{name}_name": text for name, text in row.names.items()}
    return {name: found[name] for name in columns}


def calls_document(page: CallsPage) -> dict[str, Any]:
    """Give the document of ``GET /api/v1/calls``."""
    return {
        "calls": [call_row_document(row) for row in page.rows],
        "next_cursor": page.next_cursor or None,
    }


def call_row_document(row: CallRow) -> dict[str, Any]:
    """Give one call of the list."""
    found: dict[str, Any] = {field.name: getattr(row, field.name) for field in fields(row)}
    started_us = found.pop("started_at_us")
    found["tags"] = dict(row.tags)
    for name in ("cost_usd", "list_cost_usd", "saved_usd"):
        found[name] = exact_amount(found[name])
    return {"call_id": found.pop("call_id"), "started_at": time_text(started_us), **found}


def call_document(detail: CallDetail) -> dict[str, Any]:
    """Give the document of ``GET /api/v1/calls/{id}``."""
    return {
        "call_id": detail.call_id,
        "cost_usd": exact_amount(detail.cost_usd),
        "list_cost_usd": exact_amount(detail.list_cost_usd),
        "saved_usd": exact_amount(detail.saved_usd),
        "unpriced": detail.unpriced,
        "entries": [_entry(each) for each in detail.entries],
        "omitted": detail.omitted,
    }


def own_call_document(detail: CallDetail) -> dict[str, Any]:
    """Give what one call was attributed to, for ``GET /me``."""
    entry = detail.standing(detail.first)
    found: dict[str, Any] = {name: getattr(entry, name) for name in ATTRIBUTED}
    lives = [life for quantity, life in _CACHE_LIVES if _used(detail, quantity)]
    return {
        "call_id": detail.call_id,
        **found,
        "cost_usd": exact_amount(detail.cost_usd),
        "list_cost_usd": exact_amount(detail.list_cost_usd),
        "cache_written_for": lives,
    }


def _used(detail: CallDetail, quantity: str) -> bool:
    return any(each.quantities.get(quantity) for each in detail.entries)


def _entry(detail: EntryDetail) -> dict[str, Any]:
    """Give an entry by the names of the ledger's columns."""
    found: dict[str, Any] = detail.entry._asdict()
    found["started_at"] = time_text(found.pop("started_at_us"))
    corrected_us = found.pop("corrected_at_us")
    found["corrected_at"] = None if corrected_us is None else time_text(corrected_us)
    for name in ("cost", "list_cost", "saved", "provider_cost", "provider_list", "held"):
        nanos = found.pop(f"{name}_nanos")
        found[f"{name}_usd"] = None if nanos is None else usd_text(nanos)
    found |= {"units": dict(detail.entry.units), "tags": dict(detail.entry.tags)}
    found["usage_raw"] = _raw(detail.entry.usage_raw)
    found["quantities"] = dict(detail.quantities)
    found["price_source"] = detail.explanation.source
    found["price_standing"] = detail.explanation.standing
    found["lines"] = [
        {
            "quantity": line.quantity,
            "count": line.count,
            "priced_as": line.priced_as,
            "price_usd": line.price,
            "per": line.per,
            "cost_usd": line.cost,
        }
        for line in detail.lines
    ]
    return found


def overview_document(page: Overview) -> dict[str, Any]:
    """Give the first page as data. ``not_listed`` is all that is in none of the parts."""
    beyond = page.beyond(len(page.parts))
    return {
        "as_of": time_text(page.now_us),
        "month": comparison_document(page.month),
        "period": comparison_document(page.stretch),
        "today": comparison_document(page.today),
        "by": page.question.dimension,
        "days": [day.isoformat() for day in page.days],
        "parts": [_part(part) for part in page.parts],
        "other": None if page.other is None else _part(page.other),
        "groups": page.groups,
        "not_listed": None if beyond is None else _part(beyond),
        "recent_calls": [call_row_document(row) for row in page.recent_calls],
    }


def spent_document(spent: SpentToday) -> dict[str, Any]:
    """Give what was spent today, for ``GET /me``."""
    sums = {name: getattr(spent, name) for name in _SPENT}
    return {
        **period_document(spent.period),
        **{name: json_of(name, value) for name, value in sums.items()},
    }


def live_figures_document(figures: LiveFigures) -> dict[str, Any]:
    """Give what the event ``figures`` says."""
    return {
        "as_of": time_text(figures.now_us),
        "tz": figures.today_period.zone,
        "today": _sums(figures.today),
        "month": _sums(figures.month),
    }


def comparison_document(found: Comparison) -> dict[str, Any]:
    """Give a stretch of time beside the one before it."""
    return {
        **period_document(found.period),
        "now": _sums(found.now),
        "before": _sums(found.before),
        "change": _change(found.change),
    }


def _sums(sums: Sums) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: json_of(name, getattr(sums, name))
        for name in (field.name for field in fields(sums))
        if name != "by_basis"
    }
    found["basis"] = {
        basis: {
            "requests": share.requests,
            "cost_usd": exact_amount(share.cost_usd),
            "tokens": share.tokens,
        }
        for basis, share in sorted(sums.by_basis.items())
    }
    return found


def _part(part: Part) -> dict[str, Any]:
    return {
        "key": part.key,
        "name": part.name,
        "cost_usd": exact_amount(part.change.now),
        "change": _change(part.change),
        "requests": part.requests,
        "unpriced": part.unpriced,
        "share": _share(part.share),
        "cost_usd_by_day": [exact_amount(cost) for cost in part.by_day],
    }


def _change(change: Change) -> dict[str, Any]:
    return {"amount_usd": exact_amount(change.amount), "ratio": _share(change.ratio)}


def period_document(period: Period) -> dict[str, Any]:
    """Give a stretch of time: its name, both bounds in UTC, and its zone."""
    return {
        "name": period.name,
        "from": time_text(period.start_us),
        "to": time_text(period.end_us),
        "tz": period.zone,
    }


def json_of(name: str, value: Value | str | bool) -> object:
    """Give a value of a column; a column that is no measure holds a group's key."""
    kind = MEASURES[name].kind if name in MEASURES else None
    if not isinstance(value, Decimal):
        return value
    return _share(value) if kind is Kind.RATIO else exact_amount(value)


def exact_amount(amount: Decimal | None) -> str | None:
    """Write an amount with nine decimals; ratios of money are rounded to them."""
    return None if amount is None else amount_text(amount.quantize(_NANO, context=_EXACT))


def _share(share: Decimal | None) -> float | None:
    return None if share is None else float(share.quantize(_RATIO, context=_EXACT))


def time_text(epoch_us: int) -> str:
    """Write a time as ISO 8601 in UTC."""
    return zones.moment_of(epoch_us).isoformat().replace("+00:00", "Z")


def _raw(text: str) -> object:
    """Give the provider's usage as JSON; as text where it is none."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
