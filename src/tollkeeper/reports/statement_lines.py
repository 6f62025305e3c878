"""A statement as rows of a file: one for each line, amounts as Decimal USD."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tollkeeper.domain.money import usd
from tollkeeper.domain.statements import MonthStatement, Seats, Share, Use, lines_of

COLUMNS: Final = (
    *("month", "team", "kind", "corrects_month", "provider", "model", "feature", "basis"),
    *("requests", "tokens_in", "tokens_out", "entries", "unpriced", "cost_usd", "list_cost_usd"),
    *("discount_usd", "price_version_first", "price_version_last", "plan", "people", "seats"),
    *("weight", "weights"),
)
KINDS: Final[Mapping[str, type]] = {
    **dict.fromkeys(("cost_usd", "list_cost_usd", "discount_usd"), Decimal),
    **dict.fromkeys(
        (
            *("requests", "tokens_in", "tokens_out", "entries", "unpriced"),
            *("people", "seats", "weight", "weights"),
        ),
        int,
    ),
}
"""Types of columns that may have no value at all in a file."""

_COUNTS: Final = ("requests", "tokens_in", "tokens_out", "entries", "unpriced")


def statement_rows(found: MonthStatement) -> list[dict[str, Any]]:
    """Give one row of ``COLUMNS`` for each line.

    Costs of the kinds ``usage``, ``correction`` and ``shared`` add up to what is booked;
    ``seats`` stand apart.
    """
    return [_row(found.month, kind, line) for kind, line in lines_of(found)]


def _row(month: str, kind: str, line: Use | Share | Seats) -> dict[str, Any]:
    row: dict[str, Any] = {**dict.fromkeys(COLUMNS), "month": month, "kind": kind}
    if isinstance(line, Use):
        said = line._asdict()
        return row | {
            "team": line.key.team,
            "corrects_month": None if line.key.month == month else line.key.month,
            **{name: getattr(line.key, name) for name in ("provider", "model", "feature", "basis")},
            **{name: said[name] for name in _COUNTS},
            "cost_usd": None if line.cost_nanos is None else usd(line.cost_nanos),
            "list_cost_usd": None if line.list_nanos is None else usd(line.list_nanos),
            "discount_usd": usd(line.discount_nanos),
            "price_version_first": line.first_version or None,
            "price_version_last": line.last_version or None,
        }
    row |= {"team": line.team, "cost_usd": usd(line.cost_nanos)}
    if isinstance(line, Share):
        weights = {"weight": line.weight, "weights": line.weights}
        return row | {"list_cost_usd": usd(line.list_nanos), **weights}
    said = {"plan": line.plan, "people": line.people, "seats": line.seats}
    return row | {"provider": line.provider, **said}
