"""Prompt caches that ran out: what a session wrote again because it came back too late.

Only models of Anthropic's are looked at: how long their caches live is published, and is in
the ledger for each write. A call counts whose session had written or read so much of the
prompt before, comes back after the cache's life, and writes more of its prompt than it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis

from tollkeeper.domain import usage as u
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.price_plan import PricePlan
from tollkeeper.domain.price_sums import piece_price
from tollkeeper.ports import Ledger
from tollkeeper.reports import bindings
from tollkeeper.reports.dimensions import dimension
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.measures import is_request
from tollkeeper.reports.period import Period
from tollkeeper.reports.savings_findings import (
    GROUPS_MAX,
    Finding,
    Group,
    Parts,
    in_either,
    is_now,
    largest,
    two_periods,
)
from tollkeeper.reports.savings_prices import (
    SavingsPrices,
    conditions_of_row,
    cuts_of,
    interval_of,
    price_keys,
    step_of,
)
from tollkeeper.reports.savings_rules import EXPIRED
from tollkeeper.reports.selection import SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

SHORT_S: Final = 300
LONG_S: Final = 3_600
TOKENS_MIN: Final = 1_024
REFRESHES_MAX: Final = 24
_FAMILY: Final = "claude"


_SESSIONS: Final = "sessions"
_OF_CACHE: Final = ("session_id", "key_id", "named_")


class _Shape(NamedTuple):
    selection: SelectionShape
    edges: int
    steps: int


def expired_caches(
    ledger: Ledger,
    scope: Scope,
    period: Period,
    filters: tuple[Filter, ...],
    prices: SavingsPrices,
) -> Finding:
    """Find what was written again after its cache's life, and what a longer one had saved."""
    both = two_periods(scope, period, filters)
    shape = _Shape(both.selection.shape(), 0, 0)
    wanted = ledger.run(_wanted(ledger, shape.selection), both.values)
    if not wanted:
        return Finding(EXPIRED)
    start_us = both.selection.start_us or 0
    cuts = cuts_of(
        prices.book,
        ((prices.place_of(row), row["model"], conditions_of_row(row)) for row in wanted),
        *(start_us, period.end_us),
    )
    shape = shape._replace(edges=len(cuts.edges_us), steps=len(cuts.steps))
    again = ledger.run(_often_written(ledger, shape.selection), both.values)
    values = {**both.values, **cuts.values(), _SESSIONS: [row["session_id"] for row in again]}
    rows = ledger.run(_written_again(ledger, shape), values) if again else []
    now, before = Parts(), Parts()
    for row in rows:
        plan = prices.book.plan(
            *(prices.place_of(row), row["model"], conditions_of_row(row)),
            cuts.at_us(row["interval_"]),
        )
        saving = avoidable(plan, cuts.prompt_tokens(row["step_"]), row)
        calls = int(row["calls"])
        place = (row["tool"], row["model"], row["team"])
        (now if row["now_"] else before).add(
            place,
            calls,
            units=0 if saving is None else saving * int(row["tokens"]),
            unknown=calls if saving is None else 0,
        )
    return Finding(
        EXPIRED,
        now.total(),
        before.total(),
        largest(
            Group({"tool": tool, "model": model, "team": team}, stake)
            for (tool, model, team), stake in now.stakes().items()
        ),
        more=len(rows) == GROUPS_MAX,
    )


def avoidable(plan: PricePlan, prompt_tokens: int, row: Mapping[str, Any]) -> int | None:
    """Say what keeping one token would have saved, in price units; None without a price.

    ``row`` says what it was kept for (``long``), how often it would have had to be read again
    in between (``refreshes``), and whether an hour would have been enough (``in_hour``).
    """
    read = piece_price(plan, prompt_tokens, u.CACHE_READ)
    short = piece_price(plan, prompt_tokens, u.CACHE_WRITE)
    long = piece_price(plan, prompt_tokens, u.CACHE_WRITE_1H)
    written = long if row["long"] else short
    if read is None or written is None:
        return None
    keeping = read * int(row["refreshes"])
    if not row["long"] and row["in_hour"] and long is not None:
        keeping = min(keeping, long - written)
    return max(0, written - read - keeping)


def _sessions(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    """Give the calls of sessions that may have a cache, as they were made."""
    table = selected(ledger, shape)
    return table.filter(
        in_either(table),
        is_request(table),
        table.session_id != "",
        table.price_key != "",
        table.basis.notin([Basis.FLAT_RATE.value, Basis.UNPRICED.value]),
        dimension(ledger, table, "model").lower().contains(_FAMILY),
        (table.cache_write_tokens + table.cache_write_1h_tokens + table.cache_read_tokens) > 0,
    )


def _is_written_anew(table: ir.Table) -> ir.BooleanValue:
    written = table.cache_write_tokens + table.cache_write_1h_tokens
    return (written >= TOKENS_MIN) & (written > table.cache_read_tokens)


@lru_cache(16)
def _wanted(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = _sessions(ledger, shape)
    table = table.filter(_is_written_anew(table))
    return table.select(**price_keys(ledger, table)).distinct().limit(GROUPS_MAX)


@lru_cache(16)
def _often_written(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    """Give the sessions that wrote most of a prompt twice: few, of all sessions."""
    table = _sessions(ledger, shape)
    heavy = table.filter(_is_written_anew(table))
    twice = heavy.group_by("session_id", "key_id", named_=dimension(ledger, heavy, "model"))
    found = twice.agg(times_=ibis._.count())
    return found.filter(found.times_ > 1).select("session_id").distinct()


@lru_cache(16)
def _written_again(ledger: Ledger, shape: _Shape) -> ir.Table:
    """Sum up what was written again, by price and by how it could have been kept."""
    table = bindings.among(_sessions(ledger, shape.selection), "session_id", _SESSIONS)
    table = table.mutate(named_=dimension(ledger, table, "model"))
    seconds = table.started_at.epoch_seconds()
    written = table.cache_write_tokens + table.cache_write_1h_tokens
    window = ibis.window(group_by=_OF_CACHE, order_by=["started_at", "entry_id"])
    ends = seconds + table.duration_ms // 1_000
    table = table.mutate(
        times_=_is_written_anew(table).sum().over(group_by=_OF_CACHE),
        written_=written,
        place_=ibis.row_number().over(window),
        gap_=seconds - ends.lag().over(window),
        kept_=(table.cache_read_tokens + written).lag().over(window),
    )
    long = table.cache_write_1h_tokens > table.cache_write_tokens
    life = long.ifelse(LONG_S, SHORT_S)
    lost = table.kept_ - table.cache_read_tokens
    again = (lost < table.written_).ifelse(lost, table.written_)
    table = table.filter(
        table.times_ > 1,
        table.place_ > 0,  # the first of a session has none before it, on every engine
        _is_written_anew(table),
        table.gap_ >= life,
        again >= TOKENS_MIN,
    )
    long = table.cache_write_1h_tokens > table.cache_write_tokens
    refreshes = (table.gap_ // long.ifelse(LONG_S, SHORT_S)).cast("int64")
    lost = table.kept_ - table.cache_read_tokens
    again = (lost < table.written_).ifelse(lost, table.written_)
    return (
        table.group_by(
            **price_keys(ledger, table),
            interval_=interval_of(table.started_at, shape.edges),
            step_=step_of(table.tokens_in, shape.steps),
            now_=is_now(table),
            tool=table.tool,
            team=table.team,
            long=long,
            refreshes=(refreshes > REFRESHES_MAX).ifelse(REFRESHES_MAX, refreshes),
            in_hour=table.gap_ < LONG_S,
        )
        .agg(calls=table.count(), tokens=again.sum())
        .order_by(ibis.desc("tokens"))
        .limit(GROUPS_MAX)
    )
