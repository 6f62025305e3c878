"""Prompt caches that ran out: what a session wrote again because it came back too late.

Only models of Anthropic's are looked at: how long their caches live is published, and is in
the ledger for each write. A call counts whose session had written or read so much of the
prompt before, comes back after the cache's life, and writes more of its prompt than it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis

from tollkeeper.domain import usage as u
from tollkeeper.domain.access import Scope
from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.noted import NOT_KNOWN
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
    PRICE_KEYS,
    SavingsPrices,
    conditions_of_row,
    cuts_of,
    interval_of,
    price_keys,
    step_of,
)
from tollkeeper.reports.savings_rules import CACHE_FAMILY, CACHE_TOKENS_MIN, EXPIRED
from tollkeeper.reports.selection import SelectionShape, conditions, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

SHORT_S: Final = 300
LONG_S: Final = 3_600
REFRESHES_MAX: Final = 24


_SESSIONS: Final = "sessions"
_OF_CACHE: Final = ("session_id", "key_id", "model")


class _Shape(NamedTuple):
    """What of a query is part of its SQL text. ``noted``: notes find the calls of sessions."""

    selection: SelectionShape
    edges: int
    steps: int
    noted: bool


class _Asked(NamedTuple):
    """A ledger, the entries that it has noted of the selection, and the sessions of which not all
    is noted; None where what was before a call has to be looked up."""

    ledger: Ledger
    noted: SelectionShape
    opened: frozenset[str] | None


def expired_caches(
    ledger: Ledger,
    scope: Scope,
    period: Period,
    filters: tuple[Filter, ...],
    prices: SavingsPrices,
) -> Finding:
    """Find what was written again after its cache's life, and what a longer one had saved."""
    both = two_periods(scope, period, filters)
    noted = both.selection.noted(ledger, EXPIRED).shape()
    shape = _Shape(both.selection.shape(), 0, 0, bool(noted.noted))
    opened = ledger.open_sessions() if noted.noted and _is_of_all(shape.selection) else None
    asked = _Asked(ledger, noted, opened)
    wanted = _wanted(asked, shape, both.values)
    if not wanted:
        return Finding(EXPIRED)
    start_us = both.selection.start_us or 0
    cuts = cuts_of(
        prices.book,
        ((prices.place_of(row), row["model"], conditions_of_row(row)) for row in wanted),
        *(start_us, period.end_us),
    )
    shape = shape._replace(edges=len(cuts.edges_us), steps=len(cuts.steps))
    rows = _rows(asked, shape, {**both.values, **cuts.values()})
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


def _listed(ledger: Ledger, shape: _Shape) -> ir.Table:
    """Give the calls of the sessions that are listed: engines that ask one thing after the other
    ask first which these are."""
    if not shape.noted:
        return bindings.among(selected(ledger, shape.selection), "session_id", _SESSIONS)
    table = ledger.of_sessions(_SESSIONS)
    table = table.filter(*conditions(ledger, table, shape.selection))
    return bindings.among(table, "session_id", _SESSIONS)


def _cached(ledger: Ledger, table: ir.Table) -> ir.Table:
    """Leave the calls of sessions that may have a cache, as they were made."""
    return table.filter(
        in_either(table),
        is_request(table),
        table.session_id != "",
        table.price_key != "",
        table.basis.notin([Basis.FLAT_RATE.value, Basis.UNPRICED.value]),
        dimension(ledger, table, "model").lower().contains(CACHE_FAMILY),
        (table.cache_write_tokens + table.cache_write_1h_tokens + table.cache_read_tokens) > 0,
    )


def _is_written_anew(table: ir.Table) -> ir.BooleanValue:
    written = table.cache_write_tokens + table.cache_write_1h_tokens
    return (written >= CACHE_TOKENS_MIN) & (written > table.cache_read_tokens)


def _wanted(asked: _Asked, shape: _Shape, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """List what the prices of calls that write most of a prompt depend on, and of some more."""
    ledger, noted, opened = asked
    if opened is None:
        return ledger.run(_prices(ledger, noted), values)
    found = ledger.run(_prices_noted(ledger, shape.selection), values)
    if opened:
        values = {**values, _SESSIONS: sorted(opened)}
        found += ledger.run(_prices_listed(ledger, shape._replace(edges=0, steps=0)), values)
    return found


@lru_cache(16)
def _prices(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    return _distinct_prices(ledger, _cached(ledger, selected(ledger, shape)))


@lru_cache(16)
def _prices_listed(ledger: Ledger, shape: _Shape) -> ir.Table:
    return _distinct_prices(ledger, _cached(ledger, _listed(ledger, shape)))


@lru_cache(16)
def _prices_noted(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    return _distinct_prices(ledger, _noted(ledger, shape))


def _distinct_prices(ledger: Ledger, table: ir.Table) -> ir.Table:
    table = table.filter(_is_written_anew(table))
    return table.select(**price_keys(ledger, table)).distinct().limit(GROUPS_MAX)


@lru_cache(16)
def _often_written(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    """Give the sessions that wrote most of a prompt twice: few, of all sessions."""
    table = _cached(ledger, selected(ledger, shape))
    heavy = table.filter(_is_written_anew(table))
    twice = heavy.group_by("session_id", "key_id", named_=dimension(ledger, heavy, "model"))
    found = twice.agg(times_=ibis._.count())
    return found.filter(found.times_ > 1).select("session_id").distinct()


@lru_cache(16)
def _written_again(ledger: Ledger, shape: _Shape) -> ir.Table:
    """Sum up what some sessions wrote again, by price and by how it could have been kept."""
    calls = _cached(ledger, _listed(ledger, shape))
    seconds = calls.started_at.epoch_seconds()
    # No engine leaves out by itself what nobody asks of rows that it has to put in order.
    table = calls.select(
        *("session_id", "key_id", "entry_id"),
        **_asked_of_calls(ledger, calls),
        seconds_=seconds,
        ends_=seconds + calls.duration_ms // 1_000,
        anew_=_is_written_anew(calls),
    )
    window = ibis.window(group_by=_OF_CACHE, order_by=["started_at", "entry_id"])
    table = table.mutate(
        times_=table.anew_.sum().over(group_by=_OF_CACHE),
        place_=ibis.row_number().over(window),
        gap_=table.seconds_ - table.ends_.lag().over(window),
        kept_=(table.read_ + table.written_).lag().over(window),
    )
    table = table.filter(
        table.times_ > 1,
        table.place_ > 0,  # the first of a session has none before it, on every engine
        table.anew_,
    )
    return _by_price_and_life(ledger, table, shape)


def _asked_of_calls(ledger: Ledger, calls: ir.Table) -> dict[str, ir.Value]:
    return {
        **{name: calls[name] for name in ("started_at", "tokens_in", "tool", "team")},
        **price_keys(ledger, calls),
        "now_": is_now(calls),
        "read_": calls.cache_read_tokens,
        "written_": calls.cache_write_tokens + calls.cache_write_1h_tokens,
        "long_": calls.cache_write_1h_tokens > calls.cache_write_tokens,
    }


def _by_price_and_life(ledger: Ledger, table: ir.Table, shape: _Shape) -> ir.Table:
    """Sum up calls that wrote anew ``gap_`` seconds after one that had left ``kept_`` tokens."""
    life = table.long_.ifelse(LONG_S, SHORT_S)
    lost = table.kept_ - table.read_
    again = (lost < table.written_).ifelse(lost, table.written_)
    table = table.filter(table.gap_ >= life, again >= CACHE_TOKENS_MIN)
    refreshes = (table.gap_ // table.long_.ifelse(LONG_S, SHORT_S)).cast("int64")
    lost = table.kept_ - table.read_
    again = (lost < table.written_).ifelse(lost, table.written_)
    return (
        table.group_by(
            *PRICE_KEYS,
            interval_=interval_of(table.started_at, shape.edges),
            step_=step_of(table.tokens_in, shape.steps),
            now_=table.now_,
            tool=table.tool,
            team=table.team,
            long=table.long_,
            refreshes=(refreshes > REFRESHES_MAX).ifelse(REFRESHES_MAX, refreshes),
            in_hour=table.gap_ < LONG_S,
        )
        .agg(calls=table.count(), tokens=again.sum())
        .order_by(ibis.desc("tokens"))
        .limit(GROUPS_MAX)
    )


# ------------------------------------------------------------------ what was noted before


def _rows(asked: _Asked, shape: _Shape, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Give what was written again, of sessions whose calls are all there, as noted; of others,
    from their calls."""
    ledger, noted, opened = asked
    if opened is not None:
        found = ledger.run(_apart(ledger, shape.selection), values)
        apart = {row["session_id"] for row in found} | opened
        values = {**values, _SESSIONS: sorted(apart)}
        parts = ledger.run(_noted_again(ledger, shape), values)
        others = ledger.run(_written_again(ledger, shape), values) if apart else []
        if len(parts) < GROUPS_MAX and len(others) < GROUPS_MAX:
            return _together([*parts, *others])[:GROUPS_MAX]
    again = ledger.run(_often_written(ledger, noted), values)
    values = {**values, _SESSIONS: [row["session_id"] for row in again]}
    return ledger.run(_written_again(ledger, shape), values) if again else []


def _is_of_all(shape: SelectionShape) -> bool:
    """Tell whether no call of a session is left out but by its time."""
    return shape.teams is None and not shape.one_user and not shape.filters


def _together(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Put groups together that are alike, those of most tokens first."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        alike = tuple(value for name, value in row.items() if name not in {"calls", "tokens"})
        if alike in found:
            found[alike]["calls"] += row["calls"]
            found[alike]["tokens"] += row["tokens"]
        else:
            found[alike] = dict(row)
    return sorted(found.values(), key=lambda row: -row["tokens"])


def _noted(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    table = ledger.gaps()
    return table.filter(*conditions(ledger, table, shape), in_either(table))


def _in_between(moment: ir.TimestampValue) -> ir.BooleanValue:
    """Tell whether a moment is after the one period and before the other."""
    return (moment >= bindings.moment("before_until")) & (moment < bindings.moment("now_start"))


@lru_cache(16)
def _apart(ledger: Ledger, shape: SelectionShape) -> ir.Table:
    """Give the sessions of which it is not noted what came before a call that is in no period, or
    before any call."""
    table = _noted(ledger, shape)
    found = [_in_between(table[name]) for name in ("before_at", "anew_before_at", "anew_after_at")]
    found.append(table.kept_tokens == NOT_KNOWN)
    return table.filter(ibis.or_(*found)).select("session_id").distinct()


@lru_cache(16)
def _noted_again(ledger: Ledger, shape: _Shape) -> ir.Table:
    """Sum up the same of all other sessions, from what is noted of each call."""
    table = _noted(ledger, shape.selection)
    start, end = bindings.moment("start"), bindings.moment("end")
    table = table.filter(
        table.before_at >= start, (table.anew_before_at >= start) | (table.anew_after_at < end)
    )
    table = table.filter(~bindings.is_among(table.session_id, _SESSIONS))
    table = table.select(
        **_asked_of_calls(ledger, table), gap_=table.gap_s, kept_=table.kept_tokens
    )
    return _by_price_and_life(ledger, table, shape)
