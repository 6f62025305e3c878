"""The general question: any measures, grouped by any dimensions, of any selection.

``GET /api/v1/usage``, the Explore page and ``tollkeeper spend`` are this report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tollkeeper.domain.access import Scope
from tollkeeper.ports import Ledger
from tollkeeper.reports import usage_queries as queries
from tollkeeper.reports import zones
from tollkeeper.reports.dimensions import NAMES, TIMES, check_dimension
from tollkeeper.reports.filters import Filter
from tollkeeper.reports.measures import (
    ADDITIVE,
    MEASURES,
    Kind,
    Value,
    added,
    check_measure,
    completed,
    known,
    summed,
)
from tollkeeper.reports.period import Period
from tollkeeper.reports.questions import BadQuestion, one_of, quoted
from tollkeeper.reports.selection import Selection
from tollkeeper.reports.usage_queries import (
    GroupShape,
    Kept,
    Order,
    group_shape,
    grouped,
    ranked,
    time_values,
)

GROUPS_MAX: Final = 4
METRICS_MAX: Final = 40
LIMIT_MAX: Final = 50_000
_ALWAYS: Final = ("entries", "unpriced")
_BASIS: Final = ("requests", "cost_usd", "list_cost_usd", "tokens")

Key = str | int | bool | None


@dataclass(frozen=True, slots=True)
class UsageQuestion:
    """What is asked. Raises BadQuestion when a name or a number is not allowed.

    ``group_by`` holds times (hour, day, week, month, hour_of_day, weekday) and dimensions.
    ``order`` holds names from ``metrics`` or ``group_by``, with ``-`` before a name for
    descending; empty means times ascending, then the first metric descending.
    """

    period: Period
    metrics: tuple[str, ...] = ("cost_usd", "requests")
    group_by: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    order: tuple[str, ...] = ()
    limit: int = 1_000

    def __post_init__(self) -> None:
        if not 1 <= len(self.metrics) <= METRICS_MAX:
            raise BadQuestion("metrics", f"1 to {METRICS_MAX} metrics")
        if len(self.group_by) > GROUPS_MAX:
            raise BadQuestion("group_by", f"at most {GROUPS_MAX} groups")
        if not 1 <= self.limit <= LIMIT_MAX:
            raise BadQuestion("limit", f"a number from 1 to {LIMIT_MAX}")
        for name in self.metrics:
            check_measure("metrics", name)
        for name in self.group_by:
            if name not in TIMES:
                check_dimension("group_by", name)
        for parameter, names in (("metrics", self.metrics), ("group_by", self.group_by)):
            if len(set(names)) < len(names):
                raise BadQuestion(parameter, "each name once")
        for name in self.order:
            if name.removeprefix("-") not in {*self.metrics, *self.group_by}:
                allowed = one_of([*self.metrics, *self.group_by])
                raise BadQuestion("order", f"{quoted(name)} is not asked for; {allowed}")

    def sorting(self) -> tuple[Order, ...]:
        """Give the order by names, completed so that it is the same every time."""
        if self.order:
            asked = [Order(name.removeprefix("-"), name.startswith("-")) for name in self.order]
        else:
            asked = [Order(name, False) for name in self.group_by if name in TIMES]
            asked.append(Order(self.metrics[0], True))
        named = {each.column for each in asked}
        return (*asked, *(Order(name, False) for name in self.group_by if name not in named))


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One group.

    ``keys`` has one value for each ``group_by``: a text, number or flag, None where a tag is
    absent; ``2026-11-01`` for a day or the Monday of a week, ``2026-11`` for a month, an ISO
    time with offset for an hour, 0 to 23 for an hour of the day and 1 to 7 for a weekday from
    Monday. ``names`` has the latest known names of ids (``user``, ``key``). ``values`` has one
    value for each metric; money is Decimal USD, None when unknown. ``unpriced`` counts the
    entries whose cost is unknown and thus in no sum.
    """

    keys: Mapping[str, Key]
    names: Mapping[str, str]
    values: Mapping[str, Value]
    unpriced: int


@dataclass(frozen=True, slots=True)
class BasisShare:
    """How much of an answer is known in one way."""

    requests: int
    cost_usd: Decimal | None
    list_cost_usd: Decimal | None
    tokens: int


@dataclass(frozen=True, slots=True)
class UsageAnswer:
    """The rows, and the totals of everything selected, whether or not it is in the rows.

    ``basis`` maps ``domain.ledger.Basis`` values to their shares. ``truncated`` tells that
    there are more groups than the limit let through. ``unpriced`` counts entries,
    ``unpriced_calls`` the calls that they belong to, ``unpriced_tokens`` their tokens.
    """

    question: UsageQuestion
    rows: tuple[UsageRow, ...]
    totals: Mapping[str, Value]
    unpriced: int
    basis: Mapping[str, BasisShare]
    truncated: bool
    unpriced_calls: int
    unpriced_tokens: int


def usage(ledger: Ledger, scope: Scope, question: UsageQuestion) -> UsageAnswer:
    """Answer a question about the entries that the scope allows."""
    with ledger.snapshot():  # rows and totals of one moment, whatever is being loaded
        return _Asking(ledger, scope, question).answer()


class _Asking:
    """One question on its way: what all its queries have in common."""

    def __init__(self, ledger: Ledger, scope: Scope, question: UsageQuestion) -> None:
        period = question.period
        selection = Selection(
            *(scope, period.start_us, period.end_us, question.filters), zone=period.zone
        )
        self.ledger = ledger
        self.question = question
        self.selection = selection
        self.finely, self.daily = ledger.sums_finely(), ledger.days_zone()
        summed_up = selection.summed((), finely=self.finely, daily=self.daily)
        self.values = summed_up.values() | time_values(period)
        self.summed = summed((*question.metrics, *_ALWAYS))

    def answer(self) -> UsageAnswer:
        by_basis = self.by_basis()
        totals, unpriced = self.totals(by_basis)
        if self.question.group_by:
            rows, truncated = self.rows()
        else:
            rows, truncated = (UsageRow({}, {}, totals, unpriced),), False
        shares = {
            row["group_0"]: BasisShare(**_known(row, _BASIS)) for row in by_basis if row["entries"]
        }
        summed = self.selection.summed((), finely=self.finely)
        (row,) = self.ledger.run(queries.unpriced(self.ledger, summed.shape()), self.values)
        return UsageAnswer(
            *(self.question, rows, totals, unpriced, shares, truncated),
            unpriced_calls=row["calls"],
            unpriced_tokens=row["tokens"] or 0,
        )

    def by_basis(self) -> list[dict[str, Any]]:
        """Give what adds up by basis, with those of which all was taken back: an amount that
        comes to 0 is known, and totals are the same in whatever groups they are made."""
        names = dict.fromkeys((*_BASIS, *self.summed))
        additive = tuple(name for name in names if MEASURES[name].kind in ADDITIVE)
        return self._run(("basis",), additive, emptied=True)

    def totals(self, by_basis: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Value], int]:
        """Add up what can be added up; ask again for what cannot."""
        found: dict[str, Value] = {}
        entries = sum(row["entries"] for row in by_basis)
        for name in self.summed:
            if MEASURES[name].kind in ADDITIVE:
                total: Value = None
                for row in by_basis:
                    total = added(total, row[name])
                found[name] = known(name, total, entries)
        distinct = tuple(name for name in self.summed if name not in found)
        if distinct:
            found |= _known(self._run((), (*distinct, "entries"))[0], distinct)
        found |= self.percentiles(()).get((), {})
        unpriced = sum(row["unpriced"] for row in by_basis)
        return completed(found, self.question.metrics), unpriced

    def rows(self) -> tuple[tuple[UsageRow, ...], bool]:
        """Give the groups in order, and whether the limit cut some off."""
        question = self.question
        in_sql = {*question.group_by, *self.summed}
        sorting = question.sorting()
        if all(each.column in in_sql for each in sorting):
            order = tuple(each._replace(column=self._column(each.column)) for each in sorting)
            found = self._run(question.group_by, self.summed, order, question.limit + 1)
            more = len(found) > question.limit
            rows = self._read(found, Kept(self.summed, order, question.limit) if more else None)
        else:  # ratios and percentiles are made here, so here is where they can be compared
            found = self._run(question.group_by, self.summed, (), LIMIT_MAX + 1)
            if len(found) > LIMIT_MAX:
                raise BadQuestion(
                    "order",
                    f"more than {LIMIT_MAX:,} groups are ordered by a sum: "
                    "order=-cost_usd with cost_usd among the metrics, or add a filter",
                )
            rows = self._read(found)
            for each in reversed(sorting):
                _sort(rows, each)
        return tuple(rows[: question.limit]), len(rows) > question.limit

    def percentiles(
        self, group_by: tuple[str, ...], kept: Kept | None = None
    ) -> dict[tuple[Key, ...], dict[str, Value]]:
        """Give the asked percentiles of each group that is kept, by the group's raw keys."""
        asked: dict[str, list[str]] = {}
        for name in self.question.metrics:
            if MEASURES[name].kind is Kind.MILLISECONDS:
                asked.setdefault(MEASURES[name].percentile[0], []).append(name)
        nothing: dict[str, Value] = {name: None for names in asked.values() for name in names}
        found: dict[tuple[Key, ...], dict[str, Value]] = {}
        for column, names in asked.items():
            ranks = tuple(MEASURES[name].percentile[1] for name in names)
            shape = self._shape(self.selection.timed(group_by), group_by)
            query = ranked(self.ledger, shape, column, ranks, kept, self.selection.shape())
            for row in self.ledger.run(query, self.values):
                values = found.setdefault(_raw_key(row, group_by), dict(nothing))
                for name, rank in zip(names, ranks, strict=True):
                    values[name] = row[f"p{rank}"]
        return found if group_by else {(): found.get((), nothing)}

    def _read(self, found: Iterable[Mapping[str, Any]], kept: Kept | None = None) -> list[UsageRow]:
        """Turn what the ledger gave into rows."""
        question = self.question
        group_by = question.group_by
        by_key = self.percentiles(group_by, kept)
        absent: dict[str, Value] = {
            name: None for name in question.metrics if MEASURES[name].kind is Kind.MILLISECONDS
        }
        rows = []
        for row in found:
            values = _known(row, self.summed) | by_key.get(_raw_key(row, group_by), absent)
            rows.append(
                UsageRow(
                    keys={
                        name: self._key(name, row[f"group_{index}"])
                        for index, name in enumerate(group_by)
                    },
                    names={
                        name: row[f"name_{index}"]
                        for index, name in enumerate(group_by)
                        if name in NAMES
                    },
                    values=completed(values, question.metrics),
                    unpriced=row["unpriced"],
                )
            )
        return rows

    def _key(self, name: str, value: Any) -> Key:
        key: Key
        match name:
            case "hour":
                key = zones.hour_text(value, self.question.period.zone_info)
            case "day" | "week":
                key = zones.day_of(value).isoformat()
            case "month":
                key = self.question.period.month_starts()[value][0]
            case _:
                key = value
        return key

    def _column(self, name: str) -> str:
        group_by = self.question.group_by
        return f"group_{group_by.index(name)}" if name in group_by else name

    def _shape(self, selection: Selection, group_by: tuple[str, ...]) -> GroupShape:
        return group_shape(selection.shape(), group_by, self.question.period)

    def _run(
        self,
        group_by: tuple[str, ...],
        measures: tuple[str, ...],
        order: tuple[Order, ...] = (),
        limit: int | None = None,
        *,
        emptied: bool = False,
    ) -> list[dict[str, Any]]:
        selection = self.selection.summed(
            group_by, (), measures, finely=self.finely, daily=self.daily
        )
        shape = self._shape(selection, group_by)
        query = grouped(self.ledger, shape, measures, order, limit, emptied=emptied)
        return self.ledger.run(query, self.values)


def _known(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: known(name, row[name], row["entries"]) for name in names}


def _raw_key(row: Mapping[str, Any], group_by: Sequence[str]) -> tuple[Key, ...]:
    return tuple(row[f"group_{index}"] for index in range(len(group_by)))


def _sort(rows: list[UsageRow], by: Order) -> None:
    """Sort by one name, stably; what is unknown comes last in either direction."""

    def place(row: UsageRow) -> tuple[Any, ...]:
        value = row.keys[by.column] if by.column in row.keys else row.values[by.column]
        return (value is not None) == by.descending, *(() if value is None else (value,))

    rows.sort(key=place, reverse=by.descending)
