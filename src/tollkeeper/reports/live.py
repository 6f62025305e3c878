"""What pages show as it happens: calls that have just been loaded, and figures that tick."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tollkeeper.domain import usage as u
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import LedgerEntry, is_attempt, unpriced_count
from tollkeeper.domain.money import usd
from tollkeeper.ports import Ledger
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.reports.comparison import Sums, sums_of
from tollkeeper.reports.interval_sums import interval_sums
from tollkeeper.reports.measures import added
from tollkeeper.reports.period import Period, period_named
from tollkeeper.reports.selection import Selection

_INPUT = tuple(f"{name}_tokens" for name in u.INPUT_TOKENS)
_OUTPUT = tuple(f"{name}_tokens" for name in u.OUTPUT_TOKENS)
_CACHED = tuple(f"{name}_tokens" for name in u.INPUT_TOKENS if name.startswith(u.CACHE_READ))
_SAME = frozenset(CallRow.__slots__) & frozenset(LedgerEntry._fields)


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """Today and the month to date, in one zone."""

    now_us: int
    month_period: Period
    today_period: Period
    month: Sums
    today: Sums


def live_figures(ledger: Ledger, scope: Scope, zone: str, now_us: int) -> LiveFigures:
    """Sum up today and the month to date, in one pass over the entries that the scope allows."""
    month, today = (period_named(name, zone, now_us) for name in ("month", "today"))
    selection = Selection(scope, month.start_us, today.end_us)
    sums = interval_sums(ledger, selection, (today.start_us,))
    return LiveFigures(
        now_us,
        month,
        today,
        month=sums_of(*sums),
        today=sums_of(*([row for row in found if row["interval_"] == 1] for found in sums)),
    )


def allows(scope: Scope, row: CallRow) -> bool:
    """Tell whether a viewer may see a call of the own organisation, as every query does."""
    return (scope.teams is None or row.team in scope.teams) and (
        scope.user_id is None or row.user_id == scope.user_id
    )


def call_rows(entries: Iterable[LedgerEntry]) -> list[CallRow]:
    """Give loaded entries as the list of calls would show them, in the order of loading.

    What an attempt billed besides is contained, as far as it is among these entries; a
    correction is no call, and changes none here.
    """
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for entry in entries:
        if is_attempt(entry):
            rows[entry.call_id, entry.attempt] = _row(entry)
        elif not entry.corrects and (entry.call_id, entry.attempt) in rows:
            row = rows[entry.call_id, entry.attempt]
            for name, value in _sums(entry).items():
                row[name] = added(row[name], value)
    return [CallRow(**row) for row in rows.values()]


def _row(entry: LedgerEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _SAME} | _sums(entry)


def _sums(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "tokens_in": _tokens(entry, _INPUT),
        "tokens_cached": _tokens(entry, _CACHED),
        "tokens_out": _tokens(entry, _OUTPUT),
        "cost_usd": _money(entry.cost_nanos),
        "list_cost_usd": _money(entry.list_cost_nanos),
        "saved_usd": _money(entry.saved_nanos),
        "unpriced": unpriced_count(entry),
    }


def _tokens(entry: LedgerEntry, fields: tuple[str, ...]) -> int:
    return sum(getattr(entry, field) for field in fields)


def _money(nanos: int | None) -> Decimal | None:
    return None if nanos is None else usd(nanos)
