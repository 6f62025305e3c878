"""Where does it go: one metric by up to three dimensions, over time, beside the period before.

A question has a bounded answer: the first groups in order, and everything else as one more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tollkeeper.domain.access import Scope
from tollkeeper.ports import Ledger
from tollkeeper.reports import explore_queries as queries
from tollkeeper.reports import explore_ranks, zones
from tollkeeper.reports.calls import newest
from tollkeeper.reports.comparison import MEASURES as COMPARED
from tollkeeper.reports.comparison import Comparison
from tollkeeper.reports.dimensions import HOUR_OF_DAY, NAMES, WEEKDAY
from tollkeeper.reports.explore_queries import PivotShape
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.explore_ranks import NOTHING_RANKED, Ranked, RankedShape
from tollkeeper.reports.explore_sessions import first_sessions
from tollkeeper.reports.measures import (
    ADDITIVE,
    MEASURES,
    Kind,
    Value,
    completed,
    known,
    summed,
)
from tollkeeper.reports.overview import compared
from tollkeeper.reports.period import Period
from tollkeeper.reports.selection import Selection, SelectionShape
from tollkeeper.reports.steps import Step, steps_of
from tollkeeper.reports.usage_queries import group_shape, grouped, ranked, time_values

SERIES: Final = 6
_FLOWS_READ: Final = 2_000
_ALWAYS: Final = ("entries", "requests", "unpriced")

Key = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Row:
    """One group, or several together (``keys`` is empty then).

    ``keys`` belong to ``group_by``: what a filter takes, None where a tag is absent. ``names`` are
    what people read. ``now`` and ``before`` are the metric's values in both periods: None where
    unknown, 0 where there was nothing to count. ``requests`` and ``unpriced`` are of now.
    ``by_step`` has a value for each step, for the rows that the chart shows.
    """

    keys: tuple[Key, ...]
    names: tuple[str, ...]
    now: Value
    before: Value
    requests: int
    unpriced: int
    unpriced_before: int = 0
    by_step: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Explored:
    """The answer. ``comparison`` has the sums of everything selected, whatever the metric.

    ``rows`` are the first groups in order, ``other`` all further ones together (None when there
    are none), ``groups`` counts all of them. The rows that come first have ``by_step``, and so has
    ``rest_by_step`` what is not in one of these; ``total_by_step`` is of everything. ``running``
    is the index of the step that is not over yet. ``flows`` are the rows of a sankey, more of
    them than ``rows``. ``heat`` has the value of each weekday (1 is Monday) and hour (0 to 23).
    ``kinds`` has tokens by kind, now and before, where the metric counts tokens.
    """

    question: ExploreQuestion
    comparison: Comparison
    total: Row
    rows: tuple[Row, ...]
    other: Row | None
    groups: int
    steps: tuple[Step, ...]
    running: int | None
    rest_by_step: tuple[Value, ...]
    total_by_step: tuple[Value, ...]
    flows: tuple[Row, ...]
    heat: Mapping[tuple[int, int], Value]
    kinds: Mapping[str, tuple[int, int]]
    has_entries: bool


def explore(ledger: Ledger, scope: Scope, question: ExploreQuestion, now_us: int) -> Explored:
    """Answer a question about the entries that the scope allows."""
    with ledger.snapshot():  # all of it is of one moment, whatever is being loaded
        return _Exploring(ledger, scope, question).answer(now_us)


class _Exploring:
    """One question on its way: what all its queries have in common."""

    def __init__(self, ledger: Ledger, scope: Scope, question: ExploreQuestion) -> None:
        self.ledger = ledger
        self.scope = scope
        self.question = question
        period = question.period
        before = period.previous()
        first_us = before.start_us if question.compare else period.start_us
        filters, zone = question.filters, period.zone
        self.allowed: dict[str, Any] = {"finely": ledger.sums_finely(), "daily": ledger.days_zone()}
        self.both = Selection(scope, first_us, period.end_us, filters, zone)
        self.boundaries = (before.until_us, period.start_us)
        self.values = self.both.summed((), self.boundaries, **self.allowed).values()
        self.values |= zones.interval_values(self.boundaries, queries.SPAN)
        self.only = Selection(scope, period.start_us, period.end_us, filters, zone)
        self.values_now = self.only.summed((), **self.allowed).values() | time_values(period)
        self.is_percentile = question.kind is Kind.MILLISECONDS
        self.ranked = NOTHING_RANKED
        needed = summed((*_ALWAYS, question.metric))
        self.measures = tuple(dict.fromkeys(needed))

    def answer(self, now_us: int) -> Explored:
        question = self.question
        steps = steps_of(question.period, question.step) if question.step else ()
        (comparison,) = compared(self.ledger, self.scope, question.filters, (question.period,))
        found = self.groups()
        if self.is_percentile:
            self.ranked = self.ranks(found, steps)
        total_values = self.total(comparison)
        total = self.row({}, total_values)
        rows = [self.row(each, self.parts(each)) for each in found]
        groups = found[0]["groups_"] if found else 0
        shown = rows[: question.limit]
        by_step, step_totals = self.by_step(shown[:SERIES], steps)
        shown = [
            replace(row, by_step=by_step[index]) if index < len(by_step) - 1 else row
            for index, row in enumerate(shown)
        ]
        beyond = groups > len(shown)
        return Explored(
            question=question,
            comparison=comparison,
            total=total,
            rows=tuple(shown),
            other=self.other(total_values, found[: question.limit]) if beyond else None,
            groups=groups,
            steps=steps,
            running=_running(question.period, steps, now_us),
            rest_by_step=by_step[-1] if by_step and groups > len(by_step) - 1 else (),
            total_by_step=step_totals,
            flows=tuple(rows) if question.view == "sankey" else (),
            heat=self.heat() if question.view == "heat" else {},
            kinds=self.kinds() if _counts_tokens(question.metric) else {},
            has_entries=bool(comparison.now.entries or comparison.before.entries)
            or bool(newest(self.ledger, self.scope, (), 1).rows),
        )

    # ------------------------------------------------------------------ totals

    def total(self, comparison: Comparison) -> dict[str, Value]:
        """Give the measures of everything, as ``parts`` gives those of a group."""
        sums = {"now": comparison.now, "before": comparison.before}
        if all(name in COMPARED for name in self.measures):
            return self.ranked.of_all() | {
                f"{name}_{span}": getattr(each, name)
                for span, each in sums.items()
                for name in self.measures
            }
        (row,) = self.ledger.run(queries.pivoted(self.ledger, self.pivot((), 1)), self.values)
        return self.parts(row)

    def other(self, total: Mapping[str, Value], found: Sequence[Mapping[str, Any]]) -> Row:
        """Give what is in no row: the totals without the rows, where they can be taken off."""
        values: dict[str, Value] = {}
        measured = [self.parts(each) for each in found]
        for name in self.measures:
            for span in ("now", "before"):
                column = f"{name}_{span}"
                values[column] = _without(total[column], [each[column] for each in measured])
                if MEASURES[name].kind is Kind.MONEY and not values[column]:
                    unknown = _without(
                        total[f"unpriced_{span}"], [each[f"unpriced_{span}"] for each in measured]
                    )
                    values[column] = None if unknown else values[column]
        if self.is_percentile:
            values |= self.ranked.of(None)
        if any(MEASURES[name].kind not in ADDITIVE for name in self.measures):
            kept = self.pivot(self.question.group_by, self.question.limit)
            every = self.pivot(self.question.group_by, 1)
            query = queries.rest(self.ledger, every, kept)
            values |= self.parts(values | self.ledger.run(query, self.values)[0])
        return self.row({}, values)

    # ------------------------------------------------------------------ groups

    def groups(self) -> list[dict[str, Any]]:
        """Give the first groups, more of them than are shown where flows are drawn."""
        group_by = self.question.group_by
        if not group_by:
            return []
        limit = self.question.limit
        if self.question.view == "sankey" and self.question.adds_up:
            limit = max(limit, _FLOWS_READ)
        kept = self.pivot(group_by, limit)
        if queries.of_many(kept):
            return first_sessions(self.ledger, kept, self.values)
        return self.ledger.run(queries.pivoted(self.ledger, kept), self.values)

    def ranks(self, found: Sequence[dict[str, Any]], steps: Sequence[Step]) -> Ranked:
        """Find the percentiles of all that is shown; give those of groups to their rows."""
        question = self.question
        of_all = self.pivot(question.group_by, 1, timed=True)
        everything = self.pivot((), 1, timed=True)
        kept = self.pivot(question.group_by, question.limit) if question.group_by else None
        step = None
        if steps and len(steps) * (len(found) + 1) <= explore_ranks.CELLS_MAX:
            step = group_shape(of_all.groups.selection, (question.step,), question.period)
        shape = RankedShape(of_all, everything, kept, step, min(SERIES, len(found)))
        slots = self.values_now | self.values
        ranked = explore_ranks.ranked(self.ledger, shape, found, slots)
        for place, row in enumerate(found):
            row |= ranked.of(place)
        return ranked

    def selected(
        self, selection: Selection, group_by: tuple[str, ...], *, timed: bool
    ) -> SelectionShape:
        """Give sums by the quarter-hour where these do, or how long requests took."""
        boundaries = self.boundaries if selection is self.both else ()
        if timed and not self.ledger.keeps_times():
            return selection.shape()
        if timed:
            return selection.timed(group_by, boundaries).shape()
        return selection.summed(group_by, boundaries, self.measures, **self.allowed).shape()

    def pivot(self, group_by: tuple[str, ...], limit: int, *, timed: bool = False) -> PivotShape:
        """Describe a query for groups beside the period before, of sums or how long all took.

        Groups that percentiles are asked of are found by their requests, whatever the order.
        """
        order = self.question.order if group_by else "name"
        if self.is_percentile and order != "name":
            order = "requests"
        selection = self.selected(self.both, group_by, timed=timed)
        shape = group_shape(selection, group_by, self.question.period)
        return PivotShape(
            *(shape, self.measures, self.question.metric, self.question.compare, order, limit)
        )

    def parts(self, row: Mapping[str, Any]) -> dict[str, Value]:
        """Read the measures of one row in both periods; what is unknown stays so."""
        found: dict[str, Value] = {}
        for span in ("now", "before"):
            entries = int(row[f"entries_{span}"] or 0)
            for name in self.measures:
                found[f"{name}_{span}"] = known(name, row[f"{name}_{span}"], entries)
            found[f"value_{span}"] = row.get(f"value_{span}")
        return found

    def row(self, keys: Mapping[str, Any], values: Mapping[str, Value]) -> Row:
        """Make a row of a group's keys and measures."""
        group_by = self.question.group_by if keys else ()
        raw = tuple(keys[f"group_{index}"] for index in range(len(group_by)))
        names = tuple(
            str((keys.get(f"name_{index}") if name in NAMES else None) or _text(key))
            for index, (name, key) in enumerate(zip(group_by, raw, strict=True))
        )
        return Row(
            keys=raw,
            names=names,
            now=self.value(values, "now"),
            before=self.value(values, "before") if self.question.compare else None,
            requests=int(values["requests_now"] or 0),
            unpriced=int(values["unpriced_now"] or 0),
            unpriced_before=int(values["unpriced_before"] or 0),
        )

    def value(self, values: Mapping[str, Value], span: str) -> Value:
        """Give the metric of one period."""
        if self.is_percentile:
            return values.get(f"value_{span}")
        of_span = {name: values[f"{name}_{span}"] for name in self.measures}
        return completed(of_span, (self.question.metric,))[self.question.metric]

    # ------------------------------------------------------------------ time

    def by_step(
        self, rows: Sequence[Row], steps: Sequence[Step]
    ) -> tuple[list[tuple[Value, ...]], tuple[Value, ...]]:
        """Give the values of each row by step, last those of the rest; and those of all."""
        if not steps:
            return [], ()
        question = self.question
        if self.ranked.whole:
            return self.ranked.by_step([step.key for step in steps], len(rows))
        absent = tuple(tuple(key is None for key in row.keys) for row in rows)
        slots = {
            f"part_{index}_{place}": _text(key)
            for index, row in enumerate(rows)
            for place, key in enumerate(row.keys)
        }
        found = self.stepped(question.group_by if rows else (), absent, slots)
        places = [
            tuple(found.get((step.key, place), self.nothing) for step in steps)
            for place in range(len(rows) + 1)
        ]
        if not rows:
            return [], places[0]
        if question.adds_up:
            return places, tuple(_sum(column) for column in zip(*places, strict=True))
        whole = self.stepped((), (), {})
        return places, tuple(whole.get((step.key, 0), self.nothing) for step in steps)

    @property
    def nothing(self) -> Value:
        """Give the metric's value where nothing happened."""
        return known(self.question.metric, None, 0) if self.question.adds_up else None

    def stepped(
        self,
        dimensions: tuple[str, ...],
        absent: tuple[tuple[bool, ...], ...],
        slots: Mapping[str, object],
    ) -> dict[tuple[int, int], Value]:
        question = self.question
        asked = (*dimensions, question.step)
        selection = self.selected(self.only, asked, timed=self.is_percentile)
        shape = group_shape(selection, (question.step,), question.period)
        query = queries.by_step(
            *(self.ledger, shape, self.measures, question.metric, dimensions, absent)
        )
        rows = self.ledger.run(query, {**self.values_now, **slots})
        return {(row["group_0"], row["place_"]): self.single(row) for row in rows}

    def heat(self) -> dict[tuple[int, int], Value]:
        """Give the metric of each hour of the week."""
        groups = (WEEKDAY, HOUR_OF_DAY)
        selection = self.selected(self.only, groups, timed=self.is_percentile)
        shape = group_shape(selection, groups, self.question.period)
        if self.is_percentile:
            column, rank = MEASURES[self.question.metric].percentile
            rows = self.ledger.run(ranked(self.ledger, shape, column, (rank,)), self.values_now)
            return {(row["group_0"], row["group_1"]): row[f"p{rank}"] for row in rows}
        rows = self.ledger.run(grouped(self.ledger, shape, self.measures), self.values_now)
        return {(row["group_0"], row["group_1"]): self.single(row) for row in rows}

    def single(self, row: Mapping[str, Any]) -> Value:
        """Read the metric of a row of one period."""
        if self.is_percentile:
            value: Value = row["value"]
            return value
        values = {name: known(name, row[name], row["entries"]) for name in self.measures}
        return completed(values, (self.question.metric,))[self.question.metric]

    def kinds(self) -> dict[str, tuple[int, int]]:
        """Count the tokens of each kind, those that there are."""
        names = tuple(name for name in MEASURES if name.endswith("_tokens"))
        shape = self.pivot((), 1)._replace(measures=names, metric="tokens")
        (row,) = self.ledger.run(queries.pivoted(self.ledger, shape), self.values)
        found = {
            name: (int(row[f"{name}_now"] or 0), int(row[f"{name}_before"] or 0)) for name in names
        }
        return {name: pair for name, pair in found.items() if any(pair)}


def _counts_tokens(metric: str) -> bool:
    return metric.startswith("tokens") or metric.endswith("_tokens")


def _text(key: Key) -> str:
    if key is None:
        return ""
    return str(key).lower() if isinstance(key, bool) else str(key)


def _without(total: Value, parts: Sequence[Value]) -> Value:
    """Take parts off a total; None where nothing of the total is known."""
    if total is None:
        return None
    for part in parts:
        total -= part or 0
    return total


def _sum(values: Sequence[Value]) -> Value:
    """Add up what is known; None where nothing is."""
    total: Value = None
    for value in values:
        if value is not None:
            total = value if total is None else total + value
    return total


def _running(period: Period, steps: Sequence[Step], now_us: int) -> int | None:
    if period.complete:
        return None
    return next(
        (place for place, each in enumerate(steps) if each.start_us <= now_us < each.end_us), None
    )
