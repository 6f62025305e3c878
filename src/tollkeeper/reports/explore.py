"""Where does it go: one metric by up to three dimensions, over time, beside the period before.

A question has a bounded answer: the first groups in order, and everything else as one more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final

from tollkeeper.domain.access import Scope
from tollkeeper.domain.beside import Beside, at_once
from tollkeeper.ports import Ledger
from tollkeeper.reports import explore_comparison, explore_ranks
from tollkeeper.reports import explore_queries as queries
from tollkeeper.reports.calls import newest
from tollkeeper.reports.comparison import MEASURES as COMPARED
from tollkeeper.reports.comparison import Comparison
from tollkeeper.reports.dimensions import HOUR_OF_DAY, WEEKDAY
from tollkeeper.reports.explore_asked import Asked
from tollkeeper.reports.explore_calls import first_calls
from tollkeeper.reports.explore_question import ExploreQuestion
from tollkeeper.reports.explore_ranks import NOTHING_RANKED, Ranked, RankedShape
from tollkeeper.reports.explore_session_queries import placed_shown
from tollkeeper.reports.explore_sessions import (
    NOTHING_APART,
    FirstSessions,
    first_by_step,
    first_sessions,
    steps_follow,
)
from tollkeeper.reports.explore_spans import CALL, STAGE, PivotShape, StageShape, stage_rows
from tollkeeper.reports.explore_values import (
    TOKENS,
    absent_keys,
    counts_tokens,
    key_slots,
    known_in,
    row_of,
    running_step,
    sum_of,
    tokens_by_kind,
    without,
)
from tollkeeper.reports.explore_values import Explored as Explored
from tollkeeper.reports.explore_values import Key as Key
from tollkeeper.reports.explore_values import Row as Row
from tollkeeper.reports.measures import ADDITIVE, MEASURES, Kind, Value, completed, known
from tollkeeper.reports.overview import compared
from tollkeeper.reports.steps import Step, steps_of
from tollkeeper.reports.usage_queries import group_shape, grouped

SERIES: Final = 6
_FLOWS_READ: Final = 2_000


def explore(
    ledger: Ledger,
    scope: Scope,
    question: ExploreQuestion,
    now_us: int,
    beside: Beside = at_once,
) -> Explored:
    """Answer a question about the entries that the scope allows."""
    with ledger.snapshot():  # all of it is of one moment, whatever is being loaded
        return _Exploring(ledger, scope, question, beside).answer(now_us)


class _Exploring(Asked):
    """One question on its way to its answer."""

    def __init__(
        self, ledger: Ledger, scope: Scope, question: ExploreQuestion, lent: Beside
    ) -> None:
        super().__init__(ledger, scope, question, lent)
        self.row = partial(row_of, question, self.measures)
        self.ranked = NOTHING_RANKED
        self.everything: Callable[[], tuple[Mapping[str, Any], list[dict[str, Any]]]] | None = None
        self.first: FirstSessions | None = None
        self.sums: Callable[[], Comparison] = self.compared
        self.whole: list[dict[str, Any]] | None = None

    def answer(self, now_us: int) -> Explored:
        question = self.question
        steps = steps_of(question.period, question.step) if question.step else ()
        self.read_ahead(steps)  # what takes longest comes first
        heat = self.begin(self.heat) if question.view == "heat" else dict
        self.sums = sums = cache(self.sums_of_stage() or self.begin(self.compared))
        kinds = self.begin(self.kinds) if counts_tokens(question.metric) else dict
        self.set_stage()
        found = self.groups()
        comparison = sums()
        if self.is_percentile:
            self.ranked = self.ranks(found, steps)
        total_values = self.total(comparison)
        total = self.row({}, total_values)
        rows = [self.row(each, known_in(self.measures, each)) for each in found]
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
            running=running_step(question.period, steps, now_us),
            rest_by_step=by_step[-1] if by_step and groups > len(by_step) - 1 else (),
            total_by_step=step_totals,
            flows=tuple(rows) if question.view == "sankey" else (),
            heat=heat(),
            kinds=kinds(),
            has_entries=bool(comparison.now.entries or comparison.before.entries)
            or bool(newest(self.ledger, self.scope, (), 1).rows),
        )

    def compared(self) -> Comparison:
        """Compare the period with the one before."""
        return compared(self.ledger, self.scope, self.question.filters, (self.question.period,))[0]

    def sums_of_stage(self) -> Callable[[], Comparison] | None:
        """Read finer sums for both periods and the first groups at once, where both need them.

        An engine that reads them on two threads anyway has these side by side instead.
        """
        question = self.question
        pivot, everything = self.pivot(question.group_by, 1), self.pivot((), 1)
        finer = all(each.groups.selection.finer for each in (pivot, everything))
        of_few = bool(question.group_by) and not self.of_many(pivot)
        apart = not (self.is_percentile and question.compare and finer and of_few)
        if apart or not self.ledger.hashes_texts():
            return None
        self.stage = explore_comparison.set_aside(self.ledger, pivot, self.slots())
        found = explore_comparison.compared_in(self.ledger, self.stage, question.period)
        return None if found is None else lambda: found

    def set_stage(self) -> None:
        """Read finer sums once for all that is asked; of too many groups, for everything alone."""
        question = self.question
        pivot = self.pivot(question.group_by, 1)
        if self.is_percentile or not pivot.groups.selection.finer:
            return
        if question.adds_up and len(question.group_by) > 1:  # each would have its steps
            return
        if self.of_many(pivot):
            pivot = self.pivot((), 1)
            if question.adds_up or not pivot.groups.selection.finer:
                return
            self.everything = self.begin(partial(self.of_everything, pivot))
            return
        self.stage = self.set_aside(pivot)

    def set_aside(self, pivot: PivotShape) -> StageShape:
        """Read finer sums into a stage for the groups of a query."""
        stage = StageShape(pivot._replace(metric="", sort="name"), self.times(pivot))
        self.ledger.set_aside(STAGE, stage_rows(self.ledger, stage), self.slots())
        return stage

    def of_everything(self, pivot: PivotShape) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
        """Give the measures of everything and of each step, from a stage that has nothing else."""
        stage = self.set_aside(pivot)
        query = queries.pivoted(self.ledger, pivot._replace(stage=stage))
        (row,) = self.ledger.run(query, self.values)
        return row, self.stepped((), (), {}, stage) if self.question.step else []

    # ------------------------------------------------------------------ totals

    def total(self, comparison: Comparison) -> dict[str, Value]:
        """Give the measures of everything, as ``known_in`` gives those of a group."""
        sums = {"now": comparison.now, "before": comparison.before}
        if all(name in COMPARED for name in self.measures):
            return self.ranked.of_all() | {
                f"{name}_{span}": getattr(each, name)
                for span, each in sums.items()
                for name in self.measures
            }
        if self.everything:
            row, self.whole = self.everything()
            return known_in(self.measures, row)
        (row,) = self.ledger.run(queries.pivoted(self.ledger, self.staged((), 1)), self.values)
        return known_in(self.measures, row)

    def other(self, total: Mapping[str, Value], found: Sequence[Mapping[str, Any]]) -> Row:
        """Give what is in no row: the totals without the rows, where they can be taken off."""
        values: dict[str, Value] = {}
        measured = [known_in(self.measures, each) for each in found]
        for name in self.measures:
            for span in ("now", "before"):
                column = f"{name}_{span}"
                values[column] = without(total[column], [each[column] for each in measured])
                if MEASURES[name].kind is Kind.MONEY and not values[column]:
                    unknown = without(
                        total[f"unpriced_{span}"], [each[f"unpriced_{span}"] for each in measured]
                    )
                    values[column] = None if unknown else values[column]
        if self.is_percentile:
            values |= self.ranked.of(None)
        apart = self.first.apart if self.first else NOTHING_APART
        if apart and not self.may_be_unknown(values):
            values |= {name: without(total[name], [few]) for name, few in apart.items()}
        elif any(MEASURES[name].kind not in ADDITIVE for name in self.measures):
            kept = self.staged(self.question.group_by, self.question.limit)
            every = self.staged(self.question.group_by, 1)
            query = queries.rest(self.ledger, every, kept)
            values |= known_in(self.measures, values | self.ledger.run(query, self.values)[0])
        return self.row({}, values)

    def may_be_unknown(self, values: Mapping[str, Value]) -> bool:
        """Tell whether an amount that comes to nothing, of some entries, may be one not known."""
        return any(
            MEASURES[name].kind is Kind.MONEY
            and values[f"{name}_{span}"] == 0
            and bool(values[f"entries_{span}"])
            for name in self.measures
            for span in ("now", "before")
        )

    # ------------------------------------------------------------------ groups

    def groups(self) -> list[dict[str, Any]]:
        """Give the first groups, more of them than are shown where flows are drawn."""
        group_by, limit = self.question.group_by, self.question.limit
        if not group_by:
            return []
        if self.question.view == "sankey" and self.question.adds_up:
            limit = max(limit, _FLOWS_READ)
        kept = self.staged(group_by, limit)
        of_many = self.of_many(kept)
        if kept.stage is not None or (self.finely and self.is_percentile and not of_many):
            self.ledger.set_aside(queries.FIRST, queries.placed(self.ledger, kept), self.values)
            return self.ledger.run(queries.first_staged(self.ledger, kept), self.values)
        if of_many:
            self.first = self.first_of_many(kept)
            if self.is_percentile:
                first = placed_shown(self.ledger, self.first.shown, limit)
                self.ledger.set_aside(queries.FIRST, first, self.slots())
            return self.first.rows
        return self.ledger.run(queries.pivoted(self.ledger, kept), self.values)

    def first_of_many(self, kept: PivotShape) -> FirstSessions:
        """Give the first groups of sessions or calls, which are set aside."""
        times, slots = self.times(kept), self.slots()
        if CALL not in kept.groups.group_by:
            return first_sessions(self.ledger, kept, times, slots, self.begin)
        both = self.sums()
        entries = both.now.entries + (both.before.entries if self.question.compare else 0)
        return first_calls(self.ledger, kept, times, slots, entries)

    def read_ahead(self, steps: Sequence[Step]) -> None:
        """Let requests be read for ``ranks`` while it is found which groups come first."""
        group_by, limit = self.question.group_by, self.question.limit
        if not self.is_percentile or not group_by or self.of_many(self.pivot(group_by, limit)):
            return
        shape = self.ranked_shape(steps, limit)
        if shape.step is not None or not steps:  # as it will be, however many groups there are
            explore_ranks.read_ahead(self.ledger, self.lent, shape, self.rank_slots(steps))

    def ranks(self, found: Sequence[dict[str, Any]], steps: Sequence[Step]) -> Ranked:
        """Find the percentiles of all that is shown; give those of groups to their rows."""
        shape = self.ranked_shape(steps, len(found))
        ranked = explore_ranks.ranked(self.ledger, shape, found, self.rank_slots(steps))
        for place, row in enumerate(found):
            row |= ranked.of(place)
        return ranked

    def rank_slots(self, steps: Sequence[Step]) -> dict[str, Any]:
        """Give the values of what is ranked: what was read ahead is only used with the same."""
        return self.slots() | ({explore_ranks.FIRST_STEP: steps[0].key} if steps else {})

    def ranked_shape(self, steps: Sequence[Step], groups: int) -> RankedShape:
        """Describe what is ranked, where so many groups are shown."""
        question = self.question
        of_all = self.pivot(question.group_by, 1, timed=True)
        everything = self.pivot((), 1, timed=True)
        kept = self.pivot(question.group_by, question.limit) if question.group_by else None
        step = None
        if steps and len(steps) * (groups + 1) <= explore_ranks.CELLS_MAX:
            step = group_shape(of_all.groups.selection, (question.step,), question.period)
        shown = self.first.shown if self.first else None
        series = min(SERIES, groups)
        return RankedShape(of_all, everything, kept, step, series, shown, self.finely)

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
        absent, slots = absent_keys(rows), key_slots(rows)
        found = self.first_stepped(absent, slots) if rows else None
        if found is None:
            dimensions = question.group_by if rows else ()
            found = self.by_steps(self.stepped(dimensions, absent, slots))
        places = [
            tuple(found.get((step.key, place), self.nothing) for step in steps)
            for place in range(len(rows) + 1)
        ]
        if not rows:
            return [], places[0]
        if question.adds_up:
            return places, tuple(sum_of(column) for column in zip(*places, strict=True))
        whole = self.by_steps(self.whole_stepped())
        return places, tuple(whole.get((step.key, 0), self.nothing) for step in steps)

    def stepped(
        self,
        dimensions: tuple[str, ...],
        absent: tuple[tuple[bool, ...], ...],
        slots: Mapping[str, object],
        stage: StageShape | None = None,
    ) -> list[dict[str, Any]]:
        question = self.question
        asked = (*dimensions, question.step)
        selection = self.selected(self.only, asked, timed=self.is_percentile)
        shape = group_shape(selection, (question.step,), question.period)
        query = queries.by_step(
            *(self.ledger, shape, self.measures, question.metric, dimensions, absent),
            stage=stage or (None if self.is_percentile else self.stage_of(dimensions)),
        )
        return self.ledger.run(query, {**self.values_now, **slots})

    def by_steps(self, rows: Iterable[Mapping[str, Any]]) -> dict[tuple[int, int], Value]:
        """Read the metric of steps and places."""
        return {(row["group_0"], row["place_"]): self.single(row) for row in rows}

    def whole_stepped(self) -> list[dict[str, Any]]:
        """Give the measures of everything by step."""
        if self.whole is None:
            self.whole = self.stepped((), (), {})
        return self.whole

    def first_stepped(
        self, absent: tuple[tuple[bool, ...], ...], slots: Mapping[str, object]
    ) -> dict[tuple[int, int], Value] | None:
        """Give the same of what is known of the first sessions already, if it follows from that."""
        if self.is_percentile or not self.first or not steps_follow(self.first.shown):
            return None
        whole = self.whole_stepped()
        rows = first_by_step(self.ledger, self.first.shown, absent, slots, whole)
        return None if rows is None else self.by_steps(rows)

    def heat(self) -> dict[tuple[Any, ...], Value]:
        """Give the metric of each hour of the week."""
        groups = (WEEKDAY, HOUR_OF_DAY)
        selection = self.selected(self.only, groups, timed=self.is_percentile)
        shape = group_shape(selection, groups, self.question.period)
        if self.is_percentile:
            metric = self.question.metric
            return explore_ranks.by_group(self.ledger, shape, metric, self.values_now)
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
        shape = self.pivot((), 1)._replace(measures=TOKENS, metric="tokens")
        (row,) = self.ledger.run(queries.pivoted(self.ledger, shape), self.values)
        return tokens_by_kind(row)
