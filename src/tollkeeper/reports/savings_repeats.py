"""Calls that were made again: storms of one key, and calls that look like duplicates.

No prompt is kept, so nobody can say here that two calls were the same. What can be said is
that they have the same key, model and endpoint, and the same numbers of tokens. Money counts
all but the dearest of such calls, so it is never too much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Outcome
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings
from tollkeeper.reports.dimensions import dimension
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.period import Period
from tollkeeper.reports.savings_findings import (
    GROUPS_MAX,
    ZERO,
    Finding,
    Group,
    Parts,
    Stake,
    in_either,
    is_now,
    largest,
    two_periods,
)
from tollkeeper.reports.savings_rules import (
    ALIKE_MIN,
    DUPLICATES,
    EMBEDDINGS,
    ERRORS_MIN,
    IN_TOKENS_MIN,
    MINUTE_S,
    OUT_TOKENS_MIN,
    STORMS,
    WINDOW_S,
)
from tollkeeper.reports.selection import SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

APART_MINUTES: Final = 2
FAILED: Final = "failed"
ALIKE: Final = "alike"
_WINDOWS: Final = 1 << 13
_SIZES: Final = 1 << 20
_MARKS: Final = "marks"


class Storm(NamedTuple):
    """Calls of one key in minutes that follow each other. ``first`` and ``last`` count minutes
    since 1970; ``dearest`` is what is not counted as repeated."""

    now: bool
    kind: str
    keys: tuple[str, str, str, str]
    name: str
    first: int
    last: int
    calls: int
    errors: int
    cost: Decimal
    dearest: Decimal
    unknown: int

    @property
    def stake(self) -> Stake:
        """Give what the repeated calls cost."""
        repeated = self.calls - 1
        unknown = min(self.unknown, repeated)
        return Stake.of(repeated, self.cost - self.dearest, unknown)


def retry_storms(
    ledger: Ledger, scope: Scope, period: Period, filters: tuple[Filter, ...]
) -> Finding:
    """Find keys that ran away: many failures, or many calls of one size, minute after minute."""
    both = two_periods(scope, period, filters)
    shape = both.selection.noted(ledger, STORMS).shape()
    values = {**both.values, _MARKS: _marks(ledger, _busy, shape, both.values)}
    rows = ledger.run(_minutes(ledger, shape), values) if shape.noted or values[_MARKS] else []
    now, before = Parts(), Parts()
    found = storms(rows)
    for number, storm in enumerate(found):
        calls, amount, unknown = storm.stake
        (now if storm.now else before).add((number,), calls, usd=amount, unknown=unknown)
    return Finding(
        STORMS,
        now.total(),
        before.total(),
        largest(_storm_group(storm) for storm in found if storm.now),
        more=len(rows) == GROUPS_MAX,
    )


def storms(rows: Iterable[Mapping[str, Any]]) -> list[Storm]:
    """Put minutes together that follow each other, of one key, model and endpoint."""
    made = [_minute(row) for row in rows]
    made.sort(key=lambda it: (it.now, it.kind, it.keys, it.first))
    found: list[Storm] = []
    for each in made:
        last = found[-1] if found else None
        if (
            last is not None
            and (last.now, last.kind, last.keys) == (each.now, each.kind, each.keys)
            and each.first - last.last <= APART_MINUTES
        ):
            found[-1] = last._replace(
                last=each.last,
                calls=last.calls + each.calls,
                errors=last.errors + each.errors,
                cost=last.cost + each.cost,
                dearest=max(last.dearest, each.dearest),
                unknown=last.unknown + each.unknown,
            )
        else:
            found.append(each)
    return found


def _minute(row: Mapping[str, Any]) -> Storm:
    errors, minute = int(row["errors"]), int(row["minute"])
    kind = FAILED if errors >= ERRORS_MIN else ALIKE
    return Storm(
        row["now_"],
        kind,
        (row["key_id"], row["model"], row["endpoint"], row["team"]),
        row["key_name"] or "",
        minute,
        minute,
        int(row["calls"]),
        errors,
        row["cost"] or ZERO,
        row["dearest"] or ZERO,
        int(row["unknown"] or 0),
    )


def _storm_group(storm: Storm) -> Group:
    key_id, model, endpoint, team = storm.keys
    return Group(
        {"key": key_id, "model": model, "endpoint": endpoint, "team": team},
        storm.stake,
        storm.name,
        storm.first * MINUTE_S * 1_000_000,
        (storm.last + 1) * MINUTE_S * 1_000_000,
        f"{storm.errors:,} of {storm.calls:,} failed"
        if storm.kind == FAILED
        else f"{storm.calls:,} calls of one size",
    )


def _marks(
    ledger: Ledger,
    query: Callable[[Ledger, SelectionShape], ir.Table],
    shape: SelectionShape,
    values: Mapping[str, object],
) -> list[int]:
    """Give the whole numbers of calls that are looked at; none where a ledger has noted these."""
    if shape.noted:
        return []
    return [row["mark"] for row in ledger.run(query(ledger, shape), values)]


def _marked(table: ir.Table, shape: SelectionShape) -> ir.Table:
    return table if shape.noted else bindings.among(table, "mark", _MARKS)


def _by_minute(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    """Give the calls of keys, with a whole number that few of another minute or size have."""
    table = selected(ledger, shape)
    table = table.filter(in_either(table), table.key_id != "").mutate(
        minute=(table.started_at.epoch_seconds() // MINUTE_S).cast("int64"),
        size=table.tokens_in.abs(),
    )
    return table.mutate(mark=table.minute * _SIZES + table["size"] % _SIZES)


@lru_cache(16)
def _busy(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    """Give the marks of many calls: whole numbers are grouped several times as fast as names."""
    found = _by_minute(ledger, shape).group_by("mark").agg(calls_=ibis._.count())
    return found.filter(found.calls_ >= min(ERRORS_MIN, ALIKE_MIN)).select("mark")


@lru_cache(16)
def _minutes(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = _marked(_by_minute(ledger, shape), shape)
    groups = table.group_by(
        "minute",
        "size",
        key_id=table.key_id,
        model=dimension(ledger, table, "model"),
        endpoint=table.endpoint,
        team=table.team,
        now_=is_now(table),
    ).agg(
        calls=table.requests.sum(),
        errors=table.errors.sum(),
        cost=table.cost_usd.sum(),
        dearest=table.cost_usd.max(where=table.sign > 0),
        unknown=table.unpriced.sum(),
        key_name=table.key_name.max(),
    )
    alike = (
        (groups.calls >= ALIKE_MIN)
        & (groups["size"] > 0)
        & ~groups.endpoint.lower().contains(EMBEDDINGS)
    )
    return (
        groups.filter((groups.errors >= ERRORS_MIN) | alike)
        .order_by(ibis.desc("calls"), "minute", "key_id")
        .limit(GROUPS_MAX)
    )


# ------------------------------------------------------------------ duplicates


def duplicate_calls(
    ledger: Ledger, scope: Scope, period: Period, filters: tuple[Filter, ...]
) -> Finding:
    """Find calls of one key and session that have the same tokens within ten minutes."""
    both = two_periods(scope, period, filters)
    shape = both.selection.noted(ledger, DUPLICATES).shape()
    values = {**both.values, _MARKS: _marks(ledger, _twice, shape, both.values)}
    rows = ledger.run(_alike(ledger, shape), values) if shape.noted or values[_MARKS] else []
    now, before = Parts(), Parts()
    names: dict[str, str] = {}
    for row in rows:
        calls = int(row["calls"])
        place = (row["key_id"], row["model"], row["tool"], row["team"])
        names[row["key_id"]] = row["key_name"] or ""
        (now if row["now_"] else before).add(
            place, calls, usd=row["repeated"], unknown=min(int(row["unknown"] or 0), calls)
        )
    return Finding(
        DUPLICATES,
        now.total(),
        before.total(),
        largest(
            Group({"key": key, "model": model, "tool": tool, "team": team}, stake, names[key])
            for (key, model, tool, team), stake in now.stakes().items()
        ),
        more=len(rows) == GROUPS_MAX,
    )


def _by_tokens(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    """Give calls that were answered, with a whole number that few of other tokens have."""
    table = selected(ledger, shape)
    table = table.filter(
        in_either(table),
        table.key_id != "",
        table.outcome == Outcome.OK.value,
        table.tokens_in.abs() >= IN_TOKENS_MIN,
        table.tokens_out.abs() >= OUT_TOKENS_MIN,
    ).mutate(
        window=(table.started_at.epoch_seconds() // WINDOW_S).cast("int64"),
        size_in=table.tokens_in.abs(),
        size_out=table.tokens_out.abs(),
    )
    return table.mutate(
        mark=(table.window % _WINDOWS * _SIZES + table.size_in % _SIZES) * _SIZES
        + table.size_out % _SIZES
    )


@lru_cache(16)
def _twice(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    found = _by_tokens(ledger, shape).group_by("mark").agg(calls_=ibis._.count())
    return found.filter(found.calls_ > 1).select("mark")


@lru_cache(16)
def _alike(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = _marked(_by_tokens(ledger, shape), shape)
    groups = table.group_by(
        *("window", "size_in", "size_out"),
        key_id=table.key_id,
        session_id=table.session_id,
        model=dimension(ledger, table, "model"),
        endpoint=table.endpoint,
        tool=table.tool,
        team=table.team,
        now_=is_now(table),
    ).agg(
        calls=table.requests.sum(),
        cost=table.cost_usd.sum(),
        dearest=table.cost_usd.max(where=table.sign > 0),
        unknown=table.unpriced.sum(),
        key_name=table.key_name.max(),
    )
    groups = groups.filter(groups.calls > 1)
    groups = groups.mutate(again_=groups.cost - groups.dearest, repeated_=groups.calls - 1)
    return (
        groups.group_by("key_id", "model", "tool", "team", "now_")
        .agg(
            calls=groups.repeated_.sum(),
            repeated=groups.again_.sum(),
            unknown=groups.unknown.sum(),
            key_name=groups.key_name.max(),
        )
        .order_by(ibis.desc("calls"), "key_id", "model", "tool", "team")
        .limit(GROUPS_MAX)
    )
