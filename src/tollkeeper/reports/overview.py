"""The first page: what do we spend, how does that compare, where does it go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from tollkeeper.domain.access import Scope
from tollkeeper.domain.beside import Beside, at_once
from tollkeeper.domain.money import EXACT, usd_sum
from tollkeeper.ports import Ledger
from tollkeeper.reports import overview_queries as queries
from tollkeeper.reports import zones
from tollkeeper.reports.call_rows import CallRow
from tollkeeper.reports.calls import newest
from tollkeeper.reports.comparison import Change, Comparison, Sums, sums_of
from tollkeeper.reports.dimensions import check_dimension
from tollkeeper.reports.filters import CLOCK, Filter
from tollkeeper.reports.interval_sums import interval_sums
from tollkeeper.reports.measures import ratio
from tollkeeper.reports.period import Period, period_named
from tollkeeper.reports.questions import BadQuestion
from tollkeeper.reports.selection import Selection

DAYS_MAX: Final = 400
SERIES: Final = 6
PARTS_MAX: Final = 2_000
MOVERS: Final = 5
RECENT_CALLS: Final = 10

Key = str | int | bool | None


@dataclass(frozen=True, slots=True)
class OverviewQuestion:
    """What to show. ``period`` is what the chart and the breakdown are about.

    ``by_name`` lists the parts by their names instead of the dearest first.
    Raises BadQuestion for a dimension that there is not and for more days than a chart holds.
    """

    period: Period
    dimension: str = "model"
    filters: tuple[Filter, ...] = ()
    by_name: bool = False

    def __post_init__(self) -> None:
        check_dimension("by", self.dimension)
        if len(self.period.days()) > DAYS_MAX:
            raise BadQuestion("period", f"at most {DAYS_MAX} days fit into a chart")


@dataclass(frozen=True, slots=True)
class Part:
    """One value of the dimension, in the period and in the one before.

    ``key`` is what a filter takes (None where a tag is absent), ``name`` what people read:
    the latest name of a user or key, otherwise the key ("" where there is none).
    ``change`` compares the costs; ``share`` is the part's share of the period's cost.
    ``by_day`` has the cost of each of the overview's days for the parts that the chart
    shows, and is empty for the others.
    """

    key: Key
    name: str
    change: Change
    requests: int
    unpriced: int
    share: Decimal | None
    by_day: tuple[Decimal | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the page says.

    ``month``, ``stretch`` (the question's period) and ``today`` are each compared with the
    period before, up to the same point. ``parts`` lists the values of the dimension, dearest
    first (at most ``PARTS_MAX`` of ``groups``); the first ``SERIES`` of them have ``by_day``, and
    ``other`` is all the rest together (None when there is no rest). ``movers`` are the parts whose
    cost changed most. ``partial_day`` is the index in ``days`` of the day that still runs.
    ``has_entries`` tells an installation without any calls from filters that nothing passes.
    """

    question: OverviewQuestion
    now_us: int
    month: Comparison
    stretch: Comparison
    today: Comparison
    days: tuple[date, ...]
    partial_day: int | None
    parts: tuple[Part, ...]
    other: Part | None
    movers: tuple[Part, ...]
    recent_calls: tuple[CallRow, ...]
    has_entries: bool
    groups: int

    def beyond(self, count: int) -> Part | None:
        """Give all that is in none of the first parts as one, None where nothing is left."""
        return _other(self.parts[:count], self.stretch, ()) if self.groups > count else None


def overview(
    ledger: Ledger,
    scope: Scope,
    question: OverviewQuestion,
    now_us: int,
    beside: Beside = at_once,
) -> Overview:
    """Answer the first page's questions about the entries that the scope allows.

    All sums are of one moment; the newest calls are newer by a blink where they are looked for
    ``beside`` these.
    """
    period = question.period
    days = period.days()
    newest_calls = beside(lambda: _newest(ledger, scope, question))
    with ledger.snapshot():
        month, today, stretch = compared(
            ledger,
            scope,
            question.filters,
            (
                period_named("month", period.zone, now_us),
                period_named("today", period.zone, now_us),
                period,
            ),
        )
        rows = _part_rows(ledger, scope, question, stretch.previous)
        daily = _by_day(ledger, scope, question, [row["part"] for row in rows[:SERIES]])
        recent, has_entries = newest_calls()
    parts = tuple(
        _part(row, stretch.now, daily[index] if index < SERIES else ())
        for index, row in enumerate(rows)
    )
    return Overview(
        question=question,
        now_us=now_us,
        month=month,
        stretch=stretch,
        today=today,
        days=days,
        partial_day=_running_day(period, days, now_us),
        parts=parts,
        other=_other(parts[:SERIES], stretch, daily[-1]) if len(parts) > SERIES else None,
        movers=() if question.by_name else _movers(parts),  # those would be a ranking
        recent_calls=recent,
        has_entries=has_entries,
        groups=rows[0]["groups_"] if rows else 0,
    )


def _newest(
    ledger: Ledger, scope: Scope, question: OverviewQuestion
) -> tuple[tuple[CallRow, ...], bool]:
    """Give the newest calls, and whether there are any at all, whatever is filtered."""
    on_the_clock = any(each.dimension in CLOCK for each in question.filters)
    within = question.period if on_the_clock else None  # clocks hang in a zone, for a time
    recent = newest(ledger, scope, question.filters, RECENT_CALLS, within).rows
    return recent, bool(recent or newest(ledger, scope, (), 1).rows)


def compared(
    ledger: Ledger, scope: Scope, filters: tuple[Filter, ...], periods: Sequence[Period]
) -> list[Comparison]:
    """Compare each period with the one before it, all in one pass over the entries."""
    pairs = [(period, period.previous()) for period in periods]
    spans = [
        span
        for period, before in pairs
        for span in ((period.start_us, period.end_us), (before.start_us, before.until_us))
    ]
    bounds = sorted({bound for span in spans for bound in span})
    selection = Selection(scope, bounds[0], bounds[-1], filters, periods[0].zone)
    finely = bool(filters) and ledger.sums_finely()
    sums = interval_sums(ledger, selection, bounds[1:-1], finely=finely)

    def within(start_us: int, end_us: int) -> Sums:
        return sums_of(
            *(
                [row for row in found if start_us <= bounds[row["interval_"]] < end_us]
                for found in sums
            )
        )

    return [
        Comparison(
            period,
            before,
            now=within(period.start_us, period.end_us),
            before=within(before.start_us, before.until_us),
        )
        for period, before in pairs
    ]


def _part_rows(
    ledger: Ledger, scope: Scope, question: OverviewQuestion, previous: Period
) -> list[dict[str, Any]]:
    period = question.period
    selection = Selection(
        *(scope, previous.start_us, period.end_us, question.filters), zone=period.zone
    ).summed((question.dimension,), (period.start_us, previous.until_us), daily=ledger.days_zone())
    query = queries.by_part(ledger, selection.shape(), question.dimension, PARTS_MAX)
    values = selection.values() | {
        "now_start": zones.moment_of(question.period.start_us),
        "before_until": zones.moment_of(previous.until_us),
    }
    rows = ledger.run(query, values)
    for row in rows:
        row["cost"] = row["cost"] if row["entries"] else Decimal(0)
        row["cost_before"] = row["cost_before"] if row["entries_before"] else Decimal(0)
    if question.by_name:
        rows.sort(key=lambda row: row.get("name") or _slot_text(row["part"]))
    else:
        rows.sort(key=lambda row: (row["cost"] is None, -(row["cost"] or 0)))
    return rows


def _by_day(
    ledger: Ledger, scope: Scope, question: OverviewQuestion, keys: Sequence[Key]
) -> list[tuple[Decimal | None, ...]]:
    """Give the daily costs of each key, and last those of everything else."""
    period = question.period
    selection = Selection(
        *(scope, period.start_us, period.end_us, question.filters), zone=period.zone
    ).summed((question.dimension, "day"), daily=ledger.days_zone())
    found = period.offsets()
    query = queries.by_day(
        ledger,
        selection.shape(),
        question.dimension,
        len(found.changes),
        tuple(key is None for key in keys),
    )
    values = selection.values() | zones.offset_values(found)
    values |= {f"part_{index}": _slot_text(key) for index, key in enumerate(keys)}
    costs = {(row["index_"], row["day"]): row["cost"] for row in ledger.run(query, values)}
    days = [zones.number_of(day) for day in period.days()]
    return [
        tuple(costs.get((index, day), Decimal(0)) for day in days) for index in range(len(keys) + 1)
    ]


def _slot_text(key: Key) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _part(row: Mapping[str, Any], total: Sums, by_day: tuple[Decimal | None, ...]) -> Part:
    key = row["part"]
    name = row.get("name") or ("" if key is None else _slot_text(key))
    return Part(
        key=key,
        name=name,
        change=Change(row["cost"], row["cost_before"]),
        requests=int(row["requests"] or 0),
        unpriced=int(row["unpriced"] or 0),
        share=ratio(row["cost"], total.cost_usd),
        by_day=by_day,
    )


def _other(shown: Sequence[Part], stretch: Comparison, by_day: tuple[Decimal | None, ...]) -> Part:
    """Give what is not shown: the totals without the parts that are."""
    now = _without(stretch.now.cost_usd, [part.change.now for part in shown])
    return Part(
        key=None,
        name="Other",
        change=Change(
            now, _without(stretch.before.cost_usd, [part.change.before for part in shown])
        ),
        requests=stretch.now.requests - sum(part.requests for part in shown),
        unpriced=stretch.now.unpriced - sum(part.unpriced for part in shown),
        share=ratio(now, stretch.now.cost_usd),
        by_day=by_day,
    )


def _without(total: Decimal | None, parts: Sequence[Decimal | None]) -> Decimal | None:
    if total is None:
        return None
    return EXACT.subtract(total, usd_sum(part for part in parts if part is not None))


def _movers(parts: Sequence[Part]) -> tuple[Part, ...]:
    moved = [(abs(amount), part) for part in parts if (amount := part.change.amount)]
    moved.sort(key=lambda each: each[0], reverse=True)
    return tuple(part for _, part in moved[:MOVERS])


def _running_day(period: Period, days: Sequence[date], now_us: int) -> int | None:
    today = zones.local_time(now_us, period.zone_info).date()
    return days.index(today) if not period.complete and today in days else None
