"""What the providers' prompt caches saved, what writing to them cost, and who got how much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Basis
from tollkeeper.ports import Ledger
from tollkeeper.reports.dimensions import dimension
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import Period
from tollkeeper.reports.savings_findings import (
    GROUPS_MAX,
    ZERO,
    Group,
    Parts,
    Stake,
    in_either,
    is_now,
    largest,
    two_periods,
)
from tollkeeper.reports.savings_prices import SavingsPrices
from tollkeeper.reports.savings_writes import written_usd
from tollkeeper.reports.selection import SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

DIMENSIONS: Final = ("model", "tool", "team")


@dataclass(frozen=True, slots=True)
class CacheSavings:
    """What caches saved in a period, and in the one before.

    ``now`` is the net: what reading saved less ``written_usd``, which writing cost beyond plain
    input; the latter is None where a price of it is not known any more. ``flat_rate`` counts
    calls with cached tokens that a subscription pays, which saved nothing. ``own_usd`` is what
    our own cache of replies saved, None where it answered nothing. ``groups`` has the largest
    parts of each of ``DIMENSIONS``.
    """

    now: Stake
    before: Stake
    read_tokens: int
    written_tokens: int
    written_usd: Decimal | None
    flat_rate: int
    own_usd: Decimal | None
    groups: Mapping[str, tuple[Group, ...]]

    @property
    def read_usd(self) -> Decimal | None:
        """Give what reading from caches saved, before writing to them is taken off."""
        if self.written_usd is None or self.now.usd is None:
            return None
        return self.now.usd + self.written_usd


def saved_by_part(
    ledger: Ledger, scope: Scope, period: Period, filters: tuple[Filter, ...]
) -> Sequence[Mapping[str, Any]]:
    """Sum up what the ledger says each call saved, which was worked out when it was booked."""
    both = two_periods(scope, period, filters)
    moments_us = (period.start_us, period.previous().until_us)
    summed = both.selection.with_caches((*DIMENSIONS, "basis"), moments_us)
    return ledger.run(_by_part(ledger, summed.shape()), {**both.values, **summed.values()})


def cache_savings(
    ledger: Ledger,
    scope: Scope,
    period: Period,
    filters: tuple[Filter, ...],
    prices: SavingsPrices,
    rows: Sequence[Mapping[str, Any]],
) -> CacheSavings:
    """Put together what each part saved: ``rows`` are those of ``saved_by_part``."""
    provider = [row for row in rows if row["basis"] != Basis.CACHED]
    own = [row for row in rows if row["basis"] == Basis.CACHED and row["now_"]]
    now = [row for row in provider if row["now_"] and row["basis"] != Basis.FLAT_RATE]
    before = [row for row in provider if not row["now_"] and row["basis"] != Basis.FLAT_RATE]
    flat = [row for row in provider if row["now_"] and row["basis"] == Basis.FLAT_RATE]
    written = sum(int(row["written"]) for row in now)
    return CacheSavings(
        _stake(now),
        _stake(before),
        sum(int(row["cached"]) for row in now),
        written,
        written_usd(ledger, scope, period, filters, prices) if written else ZERO,
        sum(int(row["calls"]) for row in flat),
        sum((row["saved"] or ZERO for row in own), ZERO) if own else None,
        {name: _groups(now, name) for name in DIMENSIONS},
    )


@lru_cache(16)
def _by_part(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    table = table.filter(in_either(table))
    if not shape.caches:
        written = table.cache_write_tokens + table.cache_write_1h_tokens
        table = table.filter(
            (table.tokens_cached != 0) | (written != 0) | (table.basis == Basis.CACHED.value)
        )
    written = table.cache_write_tokens + table.cache_write_1h_tokens
    return (
        table.group_by(
            model=dimension(ledger, table, "model"),
            tool=table.tool,
            team=table.team,
            basis=table.basis,
            now_=is_now(table),
        )
        .agg(
            saved=table.saved_usd.sum(),
            calls=table.sign.sum(),
            unknown=table.sign.sum(where=table.saved_usd.isnull()),
            cached=table.tokens_cached.sum(),
            written=written.sum(),
        )
        .order_by("model", "tool", "team", "basis", "now_")
        .limit(GROUPS_MAX * 4)
    )


def _stake(rows: Iterable[Mapping[str, Any]]) -> Stake:
    parts = Parts()
    for row in rows:
        parts.add((), int(row["calls"]), usd=row["saved"], unknown=int(row["unknown"] or 0))
    return parts.total()


def _groups(rows: Iterable[Mapping[str, Any]], name: str) -> tuple[Group, ...]:
    parts = Parts()
    for row in rows:
        parts.add((row[name],), int(row["calls"]), usd=row["saved"], unknown=row["unknown"] or 0)
    return largest(Group({name: place[0]}, stake) for place, stake in parts.stakes().items())
