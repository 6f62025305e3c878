"""What is usual: hours, latencies and tools of the last weeks, for rules that compare with them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tollkeeper.domain.access import Scope
from tollkeeper.domain.anomalies import (
    DAY_US,
    HISTORY_DAYS,
    HOUR_US,
    HourSums,
    Latency,
    ToolUse,
    Usual,
)
from tollkeeper.domain.money import nanos_of_usd
from tollkeeper.ports import Ledger
from tollkeeper.reports import zones
from tollkeeper.reports.measures import is_request
from tollkeeper.reports.percentiles import percentiles
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

LATENCY_DAYS: Final = 7
_SHAPES_REMEMBERED: Final = 16


class LedgerUsualFigures:
    """Implements ``domain.anomalies.UsualFigures`` for one organisation and time zone."""

    def __init__(self, ledger: Ledger, org: str, zone: str) -> None:
        self._ledger = ledger
        self._scope = Scope(org)
        self._zone = zone
        self._latency_of: tuple[int, Latency] | None = None

    def usual(self, now_us: int) -> Usual:
        """Sum up the last weeks, all of one moment."""
        start_us = now_us - HISTORY_DAYS * DAY_US
        with self._ledger.snapshot():
            hours, since_us = self._hours(start_us, now_us)
            return Usual(
                hours,
                since_us,
                self._latency(now_us - HOUR_US, now_us),
                self._usual_latency(now_us),
                self._tools(start_us, now_us),
            )

    def _hours(
        self, start_us: int, now_us: int
    ) -> tuple[Mapping[str, Mapping[int, HourSums]], Mapping[str, int]]:
        """Give the sums of each hour of each team, and of all under ""; and their beginnings."""
        offsets = zones.offsets(self._zone, start_us // 1_000_000, now_us // 1_000_000 + 1)
        selection = Selection(self._scope, start_us, now_us)
        query = _hours(self._ledger, selection.shape(), len(offsets.changes))
        values = selection.values() | zones.offset_values(offsets)
        found: dict[str, dict[int, HourSums]] = {"": {}}
        since: dict[str, int] = {}
        for row in self._ledger.run(query, values):
            hour_us = row["hour"] * 1_000_000
            sums = _sums(row)
            for name in {"", row["team"]}:
                hours = found.setdefault(name, {})
                hours[hour_us] = _added(hours.get(hour_us, HourSums()), sums)
                since[name] = min(since.get(name, hour_us), hour_us)
        return found, since

    def _usual_latency(self, now_us: int) -> Latency:
        """Give the latency of the last days, looked up once an hour: it hardly changes."""
        hour = now_us // HOUR_US
        if self._latency_of is None or self._latency_of[0] != hour:
            found = self._latency(now_us - LATENCY_DAYS * DAY_US, now_us - HOUR_US)
            self._latency_of = hour, found
        return self._latency_of[1]

    def _latency(self, start_us: int, end_us: int) -> Latency:
        selection = Selection(self._scope, start_us, end_us)
        shape, values = selection.shape(), selection.values()
        (row,) = self._ledger.run(_p95(self._ledger, shape), values)
        (counted,) = self._ledger.run(_requests(self._ledger, shape), values)
        return Latency(row["p95"], int(counted["requests"] or 0))

    def _tools(self, start_us: int, now_us: int) -> tuple[ToolUse, ...]:
        selection = Selection(self._scope, start_us, now_us)
        rows = self._ledger.run(_tools(self._ledger, selection.shape()), selection.values())
        first: dict[str, int] = {}
        counts: dict[str, int] = {}
        for row in rows:
            key_id, since_us = row["key_id"], zones.epoch_us_of(row["since"])
            first[key_id] = min(first.get(key_id, since_us), since_us)
            counts[key_id] = counts.get(key_id, 0) + int(row["calls"])
        return tuple(
            ToolUse(
                row["key_id"],
                row["key_name"] or "",
                row["tool"],
                zones.epoch_us_of(row["since"]),
                first[row["key_id"]],
                counts[row["key_id"]] - int(row["calls"]),
            )
            for row in rows
            if row["tool"]
        )


@lru_cache(_SHAPES_REMEMBERED)
def _hours(ledger: Ledger, shape: SelectionShape, changes: int) -> ir.Table:
    table = selected(ledger, shape)
    hour = zones.local_hour(table.started_at, changes)
    return table.group_by(hour=hour, team=table.team).agg(
        cost=table.cost_usd.sum(), requests=table.requests.sum(), errors=table.errors.sum()
    )


@lru_cache(_SHAPES_REMEMBERED)
def _p95(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    return percentiles(ledger, table, {}, "duration_ms", (95,))


@lru_cache(_SHAPES_REMEMBERED)
def _requests(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    return table.agg(requests=table.requests.sum())


@lru_cache(_SHAPES_REMEMBERED)
def _tools(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = selected(ledger, shape)
    table = table.filter(is_request(table), table.key_id != "")
    return table.group_by("key_id", "tool").agg(
        since=table.started_at.min(),
        calls=table.count(),
        key_name=table.key_name.argmax(table.started_at),
    )


def _sums(row: Mapping[str, Any]) -> HourSums:
    cost = row["cost"]
    return HourSums(
        0 if cost is None else max(nanos_of_usd(cost), 0),
        int(row["requests"] or 0),
        int(row["errors"] or 0),
    )


def _added(left: HourSums, right: HourSums) -> HourSums:
    return HourSums(*(one + other for one, other in zip(left, right, strict=True)))
