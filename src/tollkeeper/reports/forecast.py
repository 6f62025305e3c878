"""Where this month will end, from the daily costs of the last weeks: one pass over their sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ibis

from tollkeeper.domain.access import Scope
from tollkeeper.domain.forecast import HISTORY_DAYS, Day, State, forecast_of
from tollkeeper.domain.ledger import Basis
from tollkeeper.domain.money import nanos_of_usd, usd
from tollkeeper.ports import QUARTER_HOUR_US, Ledger
from tollkeeper.reports import bindings, zones
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.measures import ratio
from tollkeeper.reports.period import Period, period_named
from tollkeeper.reports.selection import Selection, SelectionShape, selected

if TYPE_CHECKING:
    import ibis.expr.types as ir

_QUARTER_S: Final = QUARTER_HOUR_US // 1_000_000
_Query = Callable[[Ledger, SelectionShape, int], "ir.Table"]
_BEGUN: Final = "begun_s"
_ENDS: Final = "ends_s"


class DayAhead(NamedTuple):
    """What a day that is left is expected to cost, of today the rest. Money is USD.

    ``low_usd`` and ``high_usd`` are its part of the band, None where there is none.
    """

    day: date
    usd: Decimal
    low_usd: Decimal | None
    high_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class MonthForecast:
    """What the running month will come to. Money is USD, None where ``state`` says why.

    ``low_usd`` and ``high_usd`` are the band, which holds ``domain.forecast.COVERED`` of the
    tries of the method on the past. ``unpriced`` and ``unpriced_before`` count the entries
    without a price of this month and of the weeks before, which no number has; ``estimated_usd``
    is what of the month so far was counted here. ``days_left`` are the full days after today,
    ``days`` what the rest of today and each of them will add, empty where nobody can tell.
    """

    period: Period
    now_us: int
    state: State
    so_far_usd: Decimal | None
    end_usd: Decimal | None
    low_usd: Decimal | None
    high_usd: Decimal | None
    days_left: int
    history_days: int
    needed_days: int
    origins: int
    missed_share: Decimal | None
    estimated_usd: Decimal
    unpriced: int
    unpriced_before: int
    days: tuple[DayAhead, ...] = ()

    @property
    def estimated_share(self) -> Decimal | None:
        """Give the part of the month so far that was counted here."""
        return ratio(self.estimated_usd, self.so_far_usd)


class _Daily(NamedTuple):
    cost_nanos: int = 0
    early_nanos: int = 0
    estimated_nanos: int = 0
    unpriced: int = 0
    entries: int = 0


def forecast(
    ledger: Ledger, scope: Scope, zone: str, filters: tuple[Filter, ...], now_us: int
) -> MonthForecast:
    """Say where the month that runs in a zone will end, of what the scope allows."""
    month = period_named("month", zone, now_us)
    today = zones.local_time(now_us, month.zone_info).date()
    first = min(month.first_day, today - timedelta(days=HISTORY_DAYS))
    found = _by_day(ledger, scope, zone, filters, first, now_us)
    known = [day for day, daily in found.items() if daily.entries and day < today]
    begins = max(min(known, default=today), today - timedelta(days=HISTORY_DAYS))
    past = [_day(found, day) for day in _days(begins, today)]
    so_far = [found[day] for day in found if month.first_day <= day <= today]
    so_far_nanos = sum(each.cost_nanos for each in so_far)
    unpriced = sum(each.unpriced for each in so_far)
    days_left = (month.last_day - today).days
    told = forecast_of(past, _day(found, today), so_far_nanos, days_left)
    is_unknown = bool(unpriced) and not so_far_nanos
    return MonthForecast(
        period=month,
        now_us=now_us,
        state=told.state,
        so_far_usd=None if is_unknown else usd(so_far_nanos),
        end_usd=_money(told.end_nanos),
        low_usd=_money(told.low_nanos),
        high_usd=_money(told.high_nanos),
        days_left=days_left,
        history_days=told.history_days,
        needed_days=told.needed_days,
        origins=told.origins,
        missed_share=told.missed_share,
        estimated_usd=usd(sum(each.estimated_nanos for each in so_far)),
        unpriced=unpriced,
        unpriced_before=sum(
            daily.unpriced for day, daily in found.items() if day < month.first_day
        ),
        days=tuple(
            DayAhead(
                today + timedelta(days=ahead),
                *(usd(each.nanos), _money(each.low_nanos), _money(each.high_nanos)),
            )
            for ahead, each in enumerate(told.days)
        ),
    )


def _money(nanos: int | None) -> Decimal | None:
    return None if nanos is None else usd(nanos)


def _days(first: date, after: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((after - first).days)]


def _day(found: Mapping[date, _Daily], day: date) -> Day:
    daily = found.get(day, _Daily())
    return Day(day.weekday(), daily.cost_nanos, daily.early_nanos)


def _by_day(
    ledger: Ledger,
    scope: Scope,
    zone_name: str,
    filters: tuple[Filter, ...],
    first: date,
    now_us: int,
) -> dict[date, _Daily]:
    """Sum up each day until now; days without entries are left out."""
    zone = zones.zone_info(zone_name)
    start_us = zones.day_start(first, zone)
    clock = zones.local_time(now_us, zone)
    offsets = zones.offsets(zone_name, start_us // 1_000_000, now_us // 1_000_000 + 1)
    finely = bool(filters) and ledger.sums_finely()
    clock_s = clock.hour * 3_600 + clock.minute * 60 + clock.second
    passed_s = clock_s % _QUARTER_S
    times = {
        **zones.offset_values(offsets),
        _BEGUN: clock_s - passed_s,
        _ENDS: clock_s - passed_s + _QUARTER_S,
    }

    def rows_of(make: _Query, selection: Selection) -> dict[date, dict[str, Any]]:
        query = make(ledger, selection.shape(), len(offsets.changes))
        rows = ledger.run(query, selection.values() | times)
        return {zones.day_of(row["day"]): row for row in rows}

    whole = Selection(scope, start_us, now_us, filters, zone_name)
    summed = whole.summed(("day",), finely=finely, daily=ledger.days_zone())
    if summed.daily:
        past = replace(whole, end_us=zones.day_start(clock.date(), zone))  # all it is about
        found, early = rows_of(_daily, summed), rows_of(_early, past.summed(()))
    else:
        found = rows_of(_at_once, summed)
        early = found
    return {day: _read(row, early.get(day, {}), passed_s) for day, row in found.items()}


def _read(row: Mapping[str, Any], by_then: Mapping[str, Any], passed_s: int) -> _Daily:
    """Read one day. Of the quarter-hour that the clock is in, as much came by now as has passed
    of it: what was summed up cannot be told apart any further, on days that are over."""
    early, running = (nanos_of_usd(by_then.get(name) or 0) for name in ("early", "running"))
    early += running * passed_s // _QUARTER_S
    cost, estimated = (nanos_of_usd(row[name] or 0) for name in ("cost", "estimated"))
    return _Daily(cost, early, estimated, int(row["unpriced"] or 0), int(row["entries"] or 0))


@lru_cache(64)
def _daily(ledger: Ledger, shape: SelectionShape, changes: int) -> ir.Table:
    """Sum up local days: all, and what of it was estimated."""
    table = selected(ledger, shape)
    is_estimated = table.basis == Basis.ESTIMATED.value
    return table.group_by(day=zones.local_day(table.started_at, changes)).agg(
        cost=table.cost_usd.sum(),
        estimated=table.cost_usd.sum(where=is_estimated),
        unpriced=table.unpriced.sum(),
        entries=table.sign.sum(),
    )


@lru_cache(64)
def _early(ledger: Ledger, shape: SelectionShape, changes: int) -> ir.Table:
    """Sum up what of local days came before the quarter-hour that the clock is in, and in it."""
    table = selected(ledger, shape).select("started_at", "cost_usd")
    table = table.mutate(clock_s=zones.local_second(table.started_at, changes))
    table = table.filter(table.clock_s < bindings.integer(_ENDS))
    is_running = table.clock_s >= bindings.integer(_BEGUN)
    return table.group_by(day=zones.local_day(table.started_at, changes)).agg(
        early=table.cost_usd.sum(where=~is_running),
        running=table.cost_usd.sum(where=is_running),
    )


@lru_cache(64)
def _at_once(ledger: Ledger, shape: SelectionShape, changes: int) -> ir.Table:
    """Sum up all of it in one pass."""
    table = selected(ledger, shape)
    table = table.select(
        "started_at",
        "unpriced",
        cost=table.cost_usd,
        estimated=(table.basis == Basis.ESTIMATED.value).ifelse(table.cost_usd, ibis.null()),
        entries=table.sign,
    )
    if shape.edges is not None:  # most rows begin with one of a few quarter-hours
        names = [name for name in table.columns if name != "started_at"]
        table = table.group_by("started_at").agg(**{name: table[name].sum() for name in names})
    table = table.mutate(
        day=zones.local_day(table.started_at, changes),
        clock_s=zones.local_second(table.started_at, changes),
    )
    clock_s = table.clock_s
    begun_s, ends_s = bindings.integer(_BEGUN), bindings.integer(_ENDS)
    return table.group_by("day").agg(
        cost=table.cost.sum(),
        early=table.cost.sum(where=clock_s < begun_s),
        running=table.cost.sum(where=(clock_s >= begun_s) & (clock_s < ends_s)),
        estimated=table.estimated.sum(),
        unpriced=table.unpriced.sum(),
        entries=table.entries.sum(),
    )
